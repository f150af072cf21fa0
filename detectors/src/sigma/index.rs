//! Which rules of one log source can match an event at all, by a text that each cannot do without: all texts of one field are looked for in
//! one pass over its value, so that a rule whose text is not there costs nothing. Never more than a reason not to ask the engine; not for
//! rules told apart by `event.action` (`prefilter`).

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use rsigma_eval::{Event as _, EventValue};
use rsigma_parser::value::StringPart;
use rsigma_parser::{ConditionExpr, Detection, DetectionItem, Detections, Modifier, SigmaValue};

use super::event::View;
use super::selectors::written_out;

/// A shorter text is in nearly every event.
const SHORTEST: usize = 3;

/// A field and a text (lower case, ASCII) within its value.
pub type Needle = (String, String);

/// Needles one of which must be found, or the rule cannot match; nothing where there is no such set.
pub fn needles(detections: &Detections) -> Option<BTreeSet<Needle>> {
    let names: Vec<&str> = detections.named.keys().map(String::as_str).collect();
    let mut all = BTreeSet::new();
    for condition in &detections.conditions {
        all.extend(of_condition(&written_out(condition, &names).ok()?, detections)?);
    }
    (!all.is_empty()).then_some(all)
}

fn of_condition(condition: &ConditionExpr, detections: &Detections) -> Option<BTreeSet<Needle>> {
    match condition {
        ConditionExpr::Identifier(name) => of_detection(detections.named.get(name)?),
        ConditionExpr::And(parts) => rarest(parts.iter().filter_map(|part| of_condition(part, detections))),
        ConditionExpr::Or(parts) => any(parts.iter().map(|part| of_condition(part, detections))),
        ConditionExpr::Not(_) | ConditionExpr::Selector { .. } => None,
    }
}

fn of_detection(detection: &Detection) -> Option<BTreeSet<Needle>> {
    match detection {
        Detection::AllOf(items) => rarest(items.iter().filter_map(of_item)),
        Detection::AnyOf(parts) => any(parts.iter().map(of_detection)),
        Detection::And(parts) => rarest(parts.iter().filter_map(of_detection)),
        _ => None,
    }
}

fn of_item(item: &DetectionItem) -> Option<BTreeSet<Needle>> {
    let field = item.field.name.as_deref()?;
    let plain = |modifier: &Modifier| {
        matches!(
            modifier,
            Modifier::Contains | Modifier::StartsWith | Modifier::EndsWith | Modifier::All | Modifier::Cased
        )
    };
    if !item.field.modifiers.iter().all(plain) {
        return None;
    }
    let of_value = |value: &SigmaValue| {
        let SigmaValue::String(text) = value else { return None };
        let parts = text.parts.iter().filter_map(|part| match part {
            StringPart::Plain(plain) => Some(plain),
            StringPart::Special(_) => None,
        });
        let longest = parts.max_by_key(|plain| plain.len())?;
        let fits = longest.is_ascii() && longest.len() >= SHORTEST;
        fits.then(|| BTreeSet::from([(field.to_owned(), longest.to_ascii_lowercase())]))
    };
    match item.field.modifiers.contains(&Modifier::All) {
        true => rarest(item.values.iter().filter_map(of_value)),
        false => any(item.values.iter().map(of_value)),
    }
}

/// Of several sets that are all needed the one found least often: whose shortest text is the longest.
fn rarest(sets: impl Iterator<Item = BTreeSet<Needle>>) -> Option<BTreeSet<Needle>> {
    let shortest = |set: &BTreeSet<Needle>| set.iter().map(|(_, text)| text.len()).min();
    sets.max_by_key(|set| (shortest(set), std::cmp::Reverse(set.len())))
}

/// Where one of several is enough, all their needles; nothing where one of them has none.
fn any(mut sets: impl Iterator<Item = Option<BTreeSet<Needle>>>) -> Option<BTreeSet<Needle>> {
    let all = sets.try_fold(BTreeSet::new(), |mut all, set| {
        all.extend(set?);
        Some(all)
    })?;
    (!all.is_empty()).then_some(all)
}

/// The rules of one log source.
#[derive(Default)]
pub struct Index {
    fields: Vec<Texts>,
    /// Those that no text tells from others.
    always: Vec<usize>,
}

/// The texts looked for in one field.
struct Texts {
    field: String,
    search: AhoCorasick,
    /// Which rules want each.
    rules: Vec<Vec<usize>>,
}

impl Index {
    /// Of rules by their numbers, with what each cannot do without.
    pub fn of<'n>(rules: impl Iterator<Item = (usize, Option<&'n BTreeSet<Needle>>)>) -> Index {
        let mut by_field: BTreeMap<&str, BTreeMap<&str, Vec<usize>>> = BTreeMap::new();
        let mut always = Vec::new();
        for (rule, needles) in rules {
            let Some(needles) = needles else {
                always.push(rule);
                continue;
            };
            for (field, text) in needles {
                by_field.entry(field).or_default().entry(text).or_default().push(rule);
            }
        }
        let mut fields = Vec::new();
        for (field, texts) in by_field {
            match AhoCorasickBuilder::new().ascii_case_insensitive(true).build(texts.keys()) {
                Ok(search) => {
                    fields.push(Texts { field: field.to_owned(), search, rules: texts.into_values().collect() })
                }
                // Too many texts for one search: then they are asked one by one.
                Err(_) => always.extend(texts.into_values().flatten()),
            }
        }
        Index { fields, always }
    }

    /// Adds the rules worth asking about an event; some perhaps twice.
    pub fn candidates(&self, view: &View<'_, '_>, out: &mut Vec<usize>) {
        out.extend(&self.always);
        for texts in &self.fields {
            if let Some(value) = view.get_field(&texts.field) {
                texts.look(&value, out);
            }
        }
    }
}

impl Texts {
    fn look(&self, value: &EventValue<'_>, out: &mut Vec<usize>) {
        match value {
            EventValue::Array(all) => all.iter().for_each(|one| self.look(one, out)),
            EventValue::Map(_) => out.extend(self.rules.iter().flatten()),
            EventValue::Str(text) => self.search(text, out),
            other => other.as_str().into_iter().for_each(|text| self.search(&text, out)),
        }
    }

    fn search(&self, text: &str, out: &mut Vec<usize>) {
        // Some letters beyond ASCII have an ASCII letter as their small one.
        let lower = (!text.is_ascii()).then(|| text.to_lowercase());
        let text = lower.as_deref().unwrap_or(text);
        for found in self.search.find_overlapping_iter(text) {
            out.extend(&self.rules[found.pattern().as_usize()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::event::View;
    use super::super::record::Record;
    use super::super::{Logic, Rules, Texts, load};
    use crate::event::Event;
    use crate::field::Field;

    const WORDS: [&str; 9] = ["select", "UNION", "passwd", "K", "ünion", "", "un", "elect", "/etc/"];

    fn rule(nth: usize, (field, modifier, words, condition): (usize, usize, Vec<usize>, usize)) -> String {
        let field = ["cs-uri-query", "cs-user-agent", "c-uri", "sc-status"][field % 4];
        let modifier = ["", "|contains", "|startswith", "|contains|all", "|endswith", "|re"][modifier % 6];
        let values: Vec<String> = words.iter().map(|word| format!("'*{}'", WORDS[word % 9])).collect();
        let plain = words.iter().map(|word| format!("'{}'", WORDS[word % 9])).collect::<Vec<_>>().join(", ");
        let values = if modifier.is_empty() { values.join(", ") } else { plain };
        let condition =
            ["one", "one and two", "one or two", "two and not one", "1 of them", "all of them"][condition % 6];
        format!(
            "title: rule {nth}\nname: rule-{nth}\nlogsource: {{category: webserver}}\nlevel: low\ndetection:\n  one:\n    {field}{modifier}: [{values}]\n  two:\n    cs-method: get\n  condition: {condition}\n"
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_rule_that_is_not_asked_would_not_have_matched(
            rules in prop::collection::vec((0usize..4, 0usize..6, prop::collection::vec(0usize..9, 1..4), 0usize..6), 1..12),
            events in prop::collection::vec((prop::collection::vec(0usize..9, 0..4), any::<bool>(), 0usize..3), 1..12),
        ) {
            let files = rules.into_iter().enumerate().map(|(nth, one)| (format!("{nth}.yml"), rule(nth, one))).collect();
            let texts = Texts { files, ..Texts::default() };
            let rules = Rules::new(load(&texts).expect("they load"));
            for (words, upper, method) in events {
                let mut path: String = words.iter().map(|word| WORDS[word % 9]).collect();
                if upper {
                    path = path.to_uppercase();
                }
                let mut event = Event::new("");
                event.set_integer(Field::HttpStatus, 200);
                event.set(Field::UrlOriginal, &path);
                event.set(Field::UrlPath, &path);
                event.set(Field::UserAgent, &path);
                event.set(Field::HttpMethod, ["GET", "POST", "get"][method]);
                let record = Record::of(event.raw());
                let asked = rules.candidates(&View { event: &event, record: &record, dialect: None });
                for (index, one) in rules.loaded.iter().enumerate() {
                    let Logic::Single { compiled, dialect, .. } = &one.logic else { continue };
                    let view = View { event: &event, record: &record, dialect: *dialect };
                    let matches = rsigma_eval::evaluate_rule(compiled, &view).is_some();
                    prop_assert!(!matches || asked.contains(&index), "{} of {path}", one.id);
                }
            }
        }
    }
}
