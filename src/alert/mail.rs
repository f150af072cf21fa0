//! The message about one incident: what happened, against which normal, from which lines, what to do next, and why it was sent.
//! Not for when it is sent (`notices`) nor for the channel's own form (`email`).

use chrono::{DateTime, SecondsFormat, TimeZone};
use chrono_tz::Tz;
use crmwatch_detectors::json::timestamp;
use crmwatch_detectors::{Field, Finding, Millis, Severity};

use super::document::{Document, shown};
use super::evidence::{EvidenceLine, kept};
use super::words::{Words, fill};
use super::{AlertSettings, millis};
use crate::ledger::{FindingRow, Incident, IncidentState, Letter, Notice, Reason};
use crate::text;

/// Findings written out in full.
const FINDINGS: usize = 5;
/// Values of one name written out.
const VALUES: usize = 6;
/// Columns of one value.
const VALUE_COLUMNS: usize = 120;
/// Columns of a sentence of a detector.
const SENTENCE_COLUMNS: usize = 600;
/// Columns of what stands in the subject.
const SUBJECT_COLUMNS: usize = 120;

/// What there is to tell.
pub(super) struct Told<'a> {
    pub incident: &'a Incident,
    /// The worst that is not silenced.
    pub severity: Severity,
    /// By time.
    pub findings: &'a [FindingRow],
    /// Other incidents of the same entity, the latest first.
    pub earlier: &'a [Incident],
    /// What was told before.
    pub before: &'a Notice,
    /// What message ids end in.
    pub domain: &'a str,
    /// The clock's.
    pub now: Millis,
}

/// The id of an incident's message of that sequence number: the same however often it is written. The first finding's id keeps
/// incidents of another ledger apart.
pub(super) fn message_id(told: &Told<'_>, sequence: u32) -> String {
    let first = told.findings.first().map(|row| row.finding.id.to_string()).unwrap_or_default();
    let mark = first.get(..12).unwrap_or_default();
    format!("<crmwatch.{}.{sequence}.{mark}@{}>", told.incident.id, told.domain)
}

/// The worst finding, the earliest of equals: what the subject speaks of.
fn lead<'a>(findings: &'a [FindingRow]) -> Option<&'a FindingRow> {
    let silent = |row: &&FindingRow| row.silenced.is_none();
    let worst = |rows: &mut dyn Iterator<Item = &'a FindingRow>| {
        rows.min_by_key(|row| (std::cmp::Reverse(row.finding.severity), row.finding.time, row.finding.id))
    };
    worst(&mut findings.iter().filter(silent)).or_else(|| worst(&mut findings.iter()))
}

/// Writes the message.
pub(super) fn letter(settings: &AlertSettings, told: &Told<'_>) -> Letter {
    let words = Words::of(&settings.locale);
    let incident = told.incident;
    let id = incident.id.to_string();
    let lead = lead(told.findings);
    let zone = zone_of(settings, incident, lead);
    let sentence = lead.map_or("", |row| row.finding.summary.in_locale(&settings.locale));
    let mut document = Document::default();

    opening(&mut document, words, told, sentence, zone);
    let mut findings: Vec<&FindingRow> = told.findings.iter().collect();
    findings.sort_by_key(|row| (std::cmp::Reverse(row.finding.severity), row.finding.time, row.finding.id));
    for row in findings.iter().take(FINDINGS) {
        let said = lead.is_some_and(|lead| lead.finding.id == row.finding.id);
        explain(&mut document, words, settings, row, zone, said);
    }
    if findings.len() > FINDINGS {
        document.paragraph(fill(words.more_findings, &[&(findings.len() - FINDINGS).to_string()]));
    }
    entities(&mut document, words, told.findings);
    earlier(&mut document, words, told.earlier, zone);
    manuals(&mut document, words, settings, &findings);

    document.heading(words.go_on);
    document.command(words.all_of_it, vec![format!("crmwatch alerts show {id}")]);
    document.command(words.same_time, search(incident, lead.map(|row| &row.finding)));
    document.command(words.settle, vec![format!("crmwatch alerts close {id} --reason true-positive")]);
    if let Some(link) = &settings.alerts.link {
        document.link(format!("{link}/incidents/{id}"));
    }
    document.heading(words.why);
    let minutes = (millis(settings.alerts.group_interval) / 60_000).to_string();
    document.paragraph(fill(words.why_text, &[&id, words.severity(told.severity), &minutes, &id]));

    let mut references = Vec::new();
    if told.before.sequence > 0 {
        references.push(message_id(told, 1));
        if told.before.sequence > 1 {
            references.push(message_id(told, told.before.sequence));
        }
    }
    let subject = text::cut(&shown(sentence), SUBJECT_COLUMNS).into_owned();
    Letter {
        subject: text::header(&fill(words.subject, &[words.severity(told.severity), &subject, &id])),
        text: document.text(),
        html: document.html(),
        date: told.now,
        severity: told.severity,
        rule: lead.map_or(String::new(), |row| row.finding.rule.to_string()),
        references,
    }
}

fn opening(document: &mut Document, words: &Words, told: &Told<'_>, sentence: &str, zone: Tz) {
    let incident = told.incident;
    if told.before.sequence > 0 {
        let mut news = Vec::new();
        if let Some(before) = told.before.told_severity.filter(|before| *before < told.severity) {
            news.push(fill(words.worse, &[words.severity(told.severity), words.severity(before)]));
        }
        let mut joined: Vec<&str> = told.findings.iter().map(|row| &*row.finding.rule).collect();
        joined.retain(|rule| !told.before.told_rules.iter().any(|known| known == rule));
        joined.dedup();
        if !joined.is_empty() {
            news.push(fill(words.joined, &[&shown(&joined.join(", "))]));
        }
        let number = told.before.sequence.to_string();
        document.paragraph(fill(words.update, &[&number, &incident.id.to_string(), &news.join("; ")]));
    }
    document.heading(words.happened);
    document.paragraph(sentence_of(sentence));
    document.paragraph(fill(words.from_to, &[&moment(incident.first_time, zone), &moment(incident.last_time, zone)]));
    if let Some(closed) = incident.refers_to {
        document.paragraph(fill(words.goes_on, &[&closed.to_string()]));
    }
}

/// One finding: against which normal, in which window, from which lines. What it is was `said` where it is the one the mail opens with.
fn explain(document: &mut Document, words: &Words, settings: &AlertSettings, row: &FindingRow, zone: Tz, said: bool) {
    let finding = &row.finding;
    let locale = &settings.locale;
    document.heading(&format!("[{}] {}", words.severity(finding.severity), shown(&finding.rule)));
    if !said {
        document.paragraph(sentence_of(finding.summary.in_locale(locale)));
    }
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: String| {
        if !value.is_empty() {
            facts.push((name.to_owned(), value));
        }
    };
    fact(words.observed, sentence_of(finding.observed.in_locale(locale)));
    fact(words.expected, sentence_of(finding.expected.in_locale(locale)));
    fact(words.window, format!("{} – {}", moment(finding.window.0, zone), moment(finding.window.1, zone)));
    fact(words.technique, finding.techniques.iter().map(|one| &**one).collect::<Vec<_>>().join(", "));
    let parts: Vec<String> = finding.parts.iter().map(|(name, part)| format!("{name} {part:.2}")).collect();
    fact(words.score, parts.join(", "));
    let count = finding.evidence.count();
    fact(words.evidence, fill(words.events, &[&count.to_string()]));
    document.facts(facts);
    let lines = row.lines.as_deref().map(kept).unwrap_or_default();
    if lines.is_empty() {
        document.paragraph(words.no_lines);
        return;
    }
    let (first, last) = ends(&lines);
    let left = usize::try_from(count).unwrap_or(usize::MAX).saturating_sub(first.len() + usize::from(last.is_some()));
    let place = |line: &EvidenceLine| (format!("{} · {}", moment(line.time, zone), line.place), line.text.clone());
    document.lines(first.iter().map(place));
    if left > 0 {
        document.paragraph(fill(words.more_lines, &[&left.to_string()]));
    }
    if let Some(last) = last {
        document.lines(std::iter::once(place(last)));
    }
}

/// The first three and the last.
fn ends(lines: &[EvidenceLine]) -> (&[EvidenceLine], Option<&EvidenceLine>) {
    if lines.len() <= 3 { (lines, None) } else { (&lines[..3], lines.last()) }
}

fn entities(document: &mut Document, words: &Words, findings: &[FindingRow]) {
    let mut all = crmwatch_detectors::Identities::default();
    for row in findings {
        all.merge(&row.finding.entity);
    }
    let facts = all
        .0
        .iter()
        .map(|(name, values)| {
            let mut shown_values: Vec<String> =
                values.iter().take(VALUES).map(|value| text::cut(&shown(value), VALUE_COLUMNS).into_owned()).collect();
            if values.len() > VALUES {
                shown_values.push(fill(words.more_values, &[&(values.len() - VALUES).to_string()]));
            }
            (shown(name).into_owned(), shown_values.join(", "))
        })
        .collect();
    document.heading(words.who);
    document.facts(facts);
}

fn earlier(document: &mut Document, words: &Words, earlier: &[Incident], zone: Tz) {
    document.heading(words.earlier);
    if earlier.is_empty() {
        document.paragraph(words.none_earlier);
        return;
    }
    let item = |incident: &Incident| {
        let state = match (incident.state, incident.reason) {
            (IncidentState::Open, _) => words.open.to_owned(),
            (IncidentState::Acknowledged, _) => words.acknowledged.to_owned(),
            (IncidentState::Closed, reason) => {
                let reason = match reason {
                    Some(Reason::TruePositive) => words.true_positive,
                    Some(Reason::Benign) => words.benign,
                    Some(Reason::FalsePositive) => words.false_positive,
                    Some(Reason::Undetermined) | None => words.undetermined,
                };
                format!("{} ({reason})", words.closed)
            }
        };
        let name = fill(words.incident, &[&incident.id.to_string()]);
        let severity = words.severity(incident.severity);
        format!("{name} · {severity} · {} · {state}", moment(incident.first_time, zone))
    };
    document.list(earlier.iter().map(item).collect());
}

fn manuals(document: &mut Document, words: &Words, settings: &AlertSettings, findings: &[&FindingRow]) {
    let mut named: Vec<&str> = Vec::new();
    for row in findings {
        if !named.contains(&&*row.finding.rule) {
            named.push(&row.finding.rule);
        }
    }
    let known = settings.rules.now();
    let rules = named.iter().take(3).filter_map(|rule| known.get(*rule));
    for rule in rules {
        for (heading, title) in [("What to check", words.check), ("False positives", words.false_positives)] {
            if let Some(prose) = rule.manual.section(heading).filter(|prose| !prose.is_empty()) {
                document.heading(&format!("{title}: {}", shown(&rule.id)));
                document.prose(prose);
            }
        }
    }
}

/// The search for what else happened, with times that mean the same whenever it is run. A name that cannot be typed as it is seen is not
/// put into a command: then the search starts from the event itself.
fn search(incident: &Incident, lead: Option<&Finding>) -> Vec<String> {
    let value = &incident.primary_value;
    let typable = text::is_plain(value) && !value.contains('"') && !value.is_empty() && text::width(value) <= 100;
    let query = if typable && Field::from_name(&incident.primary_key).is_some() {
        Some(format!("{}:\"{value}\"", incident.primary_key))
    } else {
        lead.and_then(|finding| finding.evidence.iter().next()).map(|reference| format!("_id:{}", reference.id))
    };
    vec![
        "crmwatch search".to_owned(),
        format!("--since {}", timestamp(incident.first_time)),
        format!("--until {}", timestamp(incident.last_time.saturating_add(1000))),
        text::shell_word(query.as_deref().unwrap_or("*")),
    ]
}

fn sentence_of(sentence: &str) -> String {
    text::cut(&shown(sentence), SENTENCE_COLUMNS).into_owned()
}

fn zone_of(settings: &AlertSettings, incident: &Incident, lead: Option<&FindingRow>) -> Tz {
    let name = match incident.primary_key.as_str() {
        "user.name" => Some(incident.primary_value.as_str()),
        _ => lead.and_then(|row| row.finding.entity.first("user.name")),
    };
    name.and_then(|name| (settings.zone_of)(name)).unwrap_or(Tz::UTC)
}

/// A time with its offset, and UTC beside it: `2026-03-02 17:14:07 +08:00 (09:14:07 UTC)`.
pub(super) fn moment(time: Millis, zone: Tz) -> String {
    let Some(utc) = DateTime::from_timestamp_millis(time) else { return timestamp(time) };
    if zone == Tz::UTC {
        return utc.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    }
    let local = zone.from_utc_datetime(&utc.naive_utc());
    let beside = if local.date_naive() == utc.date_naive() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    let offset = local.to_rfc3339_opts(SecondsFormat::Secs, false);
    let offset = offset.get(offset.len().saturating_sub(6)..).unwrap_or_default().to_owned();
    format!("{} {offset} ({} UTC)", local.format("%Y-%m-%d %H:%M:%S"), utc.format(beside))
}
