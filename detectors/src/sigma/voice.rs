//! What a rule says: severity, techniques, manual and sentences, from the standard keys and the `crmwatch:` block.
//! Not for filling sentences in (`template`).

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};

use rsigma_parser::Level;

use crate::field::Field;
use crate::finding::{Sentence, Severity};
use crate::manual::{HEADINGS, Manual};

use super::attributes::{Attributes, Words};
use super::template::{WORDS, placeholders, span_in_words};

/// The standard keys that are for people.
pub struct Standard<'r> {
    /// `title`.
    pub title: &'r str,
    /// `description`.
    pub description: Option<&'r str>,
    /// `falsepositives`.
    pub falsepositives: &'r [String],
    /// `level`.
    pub level: Option<Level>,
    /// `tags`.
    pub tags: &'r [String],
    /// `author`.
    pub author: Option<&'r str>,
    /// `license`.
    pub license: Option<&'r str>,
    /// `references`.
    pub references: &'r [String],
}

/// What a rule says.
#[derive(Debug, Clone)]
pub struct Voice {
    /// Its severity.
    pub severity: Severity,
    /// ATT&CK technique ids.
    pub techniques: Vec<&'static str>,
    /// Its manual.
    pub manual: Manual,
    /// The identity incidents group by, where the rule names one.
    pub primary: Option<&'static str>,
    /// What happened.
    pub summary: Sentence,
    /// What was seen.
    pub observed: Sentence,
    /// What is normal.
    pub expected: Sentence,
}

/// Texts that live as long as the program; each is kept once, however often rules are loaded again.
fn lasting(text: &str) -> &'static str {
    static TEXTS: OnceLock<Mutex<BTreeSet<&'static str>>> = OnceLock::new();
    let mut texts = TEXTS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    match texts.get(text) {
        Some(kept) => kept,
        None => {
            let kept: &'static str = Box::leak(text.into());
            texts.insert(kept);
            kept
        }
    }
}

/// `attack.t1110.001` is the technique T1110.001; tactics and other tags are none.
fn technique(tag: &str) -> Option<&'static str> {
    let id = tag.strip_prefix("attack.")?;
    let digits = id.strip_prefix(['t', 'T'])?;
    let plain = !digits.is_empty() && digits.chars().all(|one| one.is_ascii_digit() || one == '.');
    plain.then(|| lasting(&id.to_uppercase()))
}

fn sentence(words: Option<&Words>, otherwise: Sentence) -> Sentence {
    match words {
        Some(words) if words.zh.is_empty() => Sentence::new(words.en.clone(), words.en.clone()),
        Some(words) => Sentence::new(words.en.clone(), words.zh.clone()),
        None => otherwise,
    }
}

impl Voice {
    /// Reads it; the mistake is told as a sentence.
    pub fn of(standard: &Standard<'_>, own: &Attributes, correlates: bool) -> Result<Voice, String> {
        let severity = match standard.level {
            Some(Level::Critical) => Severity::Critical,
            Some(Level::High) => Severity::High,
            Some(Level::Medium) => Severity::Medium,
            Some(Level::Low | Level::Informational) | None => Severity::Low,
        };
        let primary = match own.primary.as_deref() {
            None => None,
            Some("crm.source") => Some("crm.source"),
            Some(name) => match Field::from_name(name) {
                Some(field) => Some(field.name()),
                None => return Err(format!("`primary` names the field {name:?}, which events do not have")),
            },
        };
        for words in [&own.summary, &own.observed, &own.expected].into_iter().flatten() {
            for name in placeholders(&words.en).chain(placeholders(&words.zh)) {
                if !WORDS.contains(&name) && Field::from_name(name).is_none() {
                    return Err(format!(
                        "the placeholder {{{name}}} is neither a field nor one of {}",
                        WORDS.join(", ")
                    ));
                }
            }
        }
        let title = standard.title;
        let seen = if correlates {
            Sentence::new("{count} within {timespan}", "{timespan}内 {count}")
        } else {
            Sentence::new("one event of {who}", "{who} 的一条事件")
        };
        let usual = if correlates {
            Sentence::new("fewer than the rule's {threshold}", "少于规则的 {threshold}")
        } else {
            Sentence::new("no such event", "没有此类事件")
        };
        Ok(Voice {
            severity,
            techniques: standard.tags.iter().filter_map(|tag| technique(tag)).collect(),
            manual: manual(standard, own),
            primary,
            summary: sentence(
                own.summary.as_ref(),
                Sentence::new(format!("{title}: {{who}}"), format!("{title}：{{who}}")),
            ),
            observed: sentence(own.observed.as_ref(), seen),
            expected: sentence(own.expected.as_ref(), usual),
        })
    }

    /// Says in the manual how the rule decides, where its author has not.
    pub fn explain(&mut self, how: String, settings: String) {
        for (heading, text) in &mut self.manual.sections {
            if heading == "How it decides" && text.is_empty() {
                *text = how.clone();
            }
            if heading == "Settings" {
                *text = settings.clone();
            }
        }
    }
}

fn manual(standard: &Standard<'_>, own: &Attributes) -> Manual {
    let unsaid = own.why.is_empty() && origin(standard).is_empty();
    let falsepositives: Vec<String> = standard.falsepositives.iter().map(|one| format!("- {one}")).collect();
    let text = |heading: &str| match heading {
        "What it finds" => standard.description.unwrap_or(standard.title).trim().to_owned(),
        "Why it matters" if unsaid => "The rule's author has not said.".to_owned(),
        "Why it matters" => [own.why.trim().to_owned(), origin(standard)].join("\n\n").trim().to_owned(),
        "How it decides" => own.how.trim().to_owned(),
        "False positives" if falsepositives.is_empty() => "The rule's author names none.".to_owned(),
        "False positives" => falsepositives.join("\n"),
        "What to check" if own.check.is_empty() => {
            "Look at the events it rests on, and at what else their entity did.".to_owned()
        }
        "What to check" => own.check.trim().to_owned(),
        _ => String::new(),
    };
    Manual {
        title: standard.title.to_owned(),
        sections: HEADINGS.iter().map(|heading| ((*heading).to_owned(), text(heading))).collect(),
    }
}

/// Whose a rule is, and where it is explained: kept with rules of others, as their licences ask.
fn origin(standard: &Standard<'_>) -> String {
    let mut lines = Vec::new();
    lines.extend(standard.author.map(|author| format!("Author: {}", author.trim())));
    lines.extend(standard.license.map(|license| format!("Licence: {}", license.trim())));
    lines.extend(standard.references.iter().map(|one| format!("See {}", one.trim())));
    lines.join("\n")
}

/// `event_count >= 10 within 20 minutes by crm.entity`, for manuals.
pub fn condition_in_words(correlation: &super::correlation::Correlation) -> String {
    use rsigma_parser::ConditionOperator as Operator;
    let bounds: Vec<String> = correlation
        .bounds
        .iter()
        .map(|(operator, bound)| {
            let sign = match operator {
                Operator::Gt => ">",
                Operator::Gte => ">=",
                Operator::Lt => "<",
                Operator::Lte => "<=",
                Operator::Eq => "=",
                Operator::Neq => "!=",
            };
            format!("{sign} {bound}")
        })
        .collect();
    let field = match correlation.fields.as_slice() {
        [] => String::new(),
        fields => format!(" of {}", fields.join(" and ")),
    };
    let by = if correlation.group_names.is_empty() {
        String::new()
    } else {
        format!(", by {}", correlation.group_names.join(" and "))
    };
    let span = span_in_words(correlation.span, false);
    let kind = match correlation.kind {
        rsigma_parser::CorrelationType::ValuePercentile => format!("value_percentile {}", correlation.percent),
        kind => kind.as_str().to_owned(),
    };
    let bounds = match &correlation.expression {
        Some(expression) => format!("of {expression}"),
        None => bounds.join(" and "),
    };
    format!("{kind}{field} {bounds} within {span} of event time{by}.")
}
