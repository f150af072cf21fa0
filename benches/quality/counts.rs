//! Findings against the labels of a simulated company: recall and delay by family, false findings by rule. Not for making either.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use crmwatch_detectors::{Event, EventId, Field, Finding, Millis, Severity, registry};
use serde_json::Value;

const HOUR: Millis = 3_600_000;
/// Counted apart: it adds up other findings.
const APART: &str = "entity-risk";

/// What to print beside the tables.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown {
    /// Attacks nothing was found of.
    pub missed: bool,
    /// Findings without an attack.
    pub wrong: bool,
    /// Attacks found more than a minute after the deciding event.
    pub late: bool,
    /// Without a city database, what only one could tell is not counted.
    pub city: bool,
    /// The same for a database of network owners.
    pub owners: bool,
}

/// One attack or oddity.
pub struct Label {
    pub id: String,
    attack: bool,
    family: String,
    rules: Vec<String>,
    needs_city: bool,
    needs_owner: bool,
    stealth: bool,
    entity: BTreeSet<(String, String)>,
    span: (Millis, Millis),
    deciding: Millis,
    sources: String,
}

impl Label {
    fn of(line: &str) -> anyhow::Result<Label> {
        let value: Value = serde_json::from_str(line)?;
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
        };
        let time = |key: &str| -> anyhow::Result<Millis> {
            let stamp = chrono::DateTime::parse_from_rfc3339(&text(key)).with_context(|| format!("{key} of {line}"))?;
            Ok(stamp.timestamp_millis())
        };
        let mut entity = BTreeSet::new();
        for (name, values) in value["entity"].as_object().into_iter().flatten() {
            entity.extend(list(values).into_iter().map(|one| (name.clone(), one.to_lowercase())));
        }
        let attack = value.get("attack").is_some();
        Ok(Label {
            id: text(if attack { "attack" } else { "benign" }),
            attack,
            family: text("family"),
            rules: list(&value["rules"]),
            needs_city: value["needs_city"].as_bool().unwrap_or_default(),
            needs_owner: value["needs_owner"].as_bool().unwrap_or_default(),
            stealth: value["stealth"].as_bool().unwrap_or_default(),
            entity,
            span: (time("start")?, time("end")? + HOUR),
            deciding: time("deciding")?,
            sources: list(&value["sources"]).join(","),
        })
    }

    /// Whether an event is one of the deeds: the attacker's address and name at the time.
    pub fn holds(&self, event: &Event) -> bool {
        let silent = self.entity.iter().any(|(name, _)| name == "crm.source");
        if silent || event.time < self.span.0 || event.time > self.span.1 - HOUR {
            return false;
        }
        let has = |field: Field| {
            let value = event.value(field).map(|value| value.to_string().to_lowercase());
            value.is_some_and(|value| self.entity.contains(&(field.name().to_owned(), value)))
        };
        let named = [Field::UserName, Field::UserEmail, Field::UserId].into_iter().any(has)
            || event
                .person
                .as_ref()
                .is_some_and(|person| self.entity.contains(&("user.email".to_owned(), person.user.to_lowercase())));
        let somebody = self.entity.iter().any(|(name, _)| name.starts_with("user."));
        let (addressed, anywhere) = (has(Field::SourceIp), self.entity.iter().all(|(name, _)| name != "source.ip"));
        (named || !somebody) && (addressed || anywhere)
    }

    /// A finding is about an attack when it names whom the attack names while it goes on or in the hour after, or rests on one of its deeds.
    fn is_named_by(&self, number: usize, finding: &Finding, deeds: &Deeds) -> bool {
        let shared = |(name, values): (&String, &Vec<String>)| {
            values.iter().any(|value| self.entity.contains(&(name.clone(), value.to_lowercase())))
        };
        // Behind one office's address sit many: where both name people, the people count.
        let people = finding.entity.0.keys().any(|name| name.starts_with("user."))
            && self.entity.iter().any(|(name, _)| name.starts_with("user."));
        let about = finding.entity.0.iter().filter(|(name, _)| !people || name.starts_with("user.")).any(shared);
        let during = finding.time >= self.span.0 && finding.time <= self.span.1;
        (about && during)
            || finding.evidence.iter().any(|one| deeds.get(&one.id).is_some_and(|labels| labels.contains(&number)))
    }
}

/// Events of attacks, with the positions of their labels.
pub type Deeds = BTreeMap<EventId, Vec<usize>>;

/// The labels of a folder.
pub fn labels(folder: &Path) -> anyhow::Result<Vec<Label>> {
    std::fs::read_to_string(folder.join("labels.jsonl"))?.lines().map(Label::of).collect()
}

#[derive(Default)]
struct Family {
    attacks: usize,
    by_any: usize,
    by_listed: usize,
    by_own: usize,
    needs_city: usize,
    delays: Vec<Millis>,
}

/// What was found, summed up over companies.
#[derive(Default)]
pub struct Counts {
    families: BTreeMap<String, Family>,
    wrong: BTreeMap<String, usize>,
    /// Of these, high or critical.
    wrong_high: usize,
    findings: BTreeMap<String, usize>,
    user_days: usize,
}

impl Counts {
    /// Adds a company.
    pub fn add(
        &mut self,
        seed: u64,
        findings: &[Finding],
        labels: &[Label],
        deeds: &Deeds,
        user_days: usize,
        shown: Shown,
    ) {
        self.user_days += user_days;
        let counted: Vec<&Finding> =
            findings.iter().filter(|one| one.severity >= Severity::Medium && &*one.rule != APART).collect();
        for (number, label) in labels.iter().enumerate().filter(|(_, label)| label.attack) {
            let named: Vec<&&Finding> =
                counted.iter().filter(|finding| label.is_named_by(number, finding, deeds)).collect();
            let family = self.families.entry(label.family.clone()).or_default();
            if (label.needs_city && !shown.city) || (label.needs_owner && !shown.owners) {
                // Without a city database it is luck: shown, and not counted.
                family.needs_city += 1;
                continue;
            }
            family.attacks += 1;
            family.by_any += usize::from(!named.is_empty());
            family.by_listed +=
                usize::from(named.iter().any(|finding| label.rules.iter().any(|rule| **rule == *finding.rule)));
            family.by_own += usize::from(named.iter().any(|finding| *finding.rule == *label.family));
            if let Some(first) = named.iter().map(|finding| finding.time).min() {
                family.delays.push(first - label.deciding);
                if shown.late && first - label.deciding > 60_000 {
                    println!("late    {seed} {} {} {} s", label.id, label.family, (first - label.deciding) / 1_000);
                    for finding in &named {
                        let at = crmwatch_detectors::json::timestamp(finding.time);
                        println!("        {at} {} {}", finding.severity.word(), finding.summary.en);
                    }
                }
            } else if shown.missed && registry::ids().any(|id| id == label.family) {
                println!(
                    "missed  {seed} {} {} in {}{}{} from {} entity {:?}",
                    label.id,
                    label.family,
                    label.sources,
                    if label.stealth { " stealth" } else { "" },
                    if label.needs_city { " needs city" } else { "" },
                    crmwatch_detectors::json::timestamp(label.span.0),
                    label.entity.iter().map(|(_, value)| value.as_str()).take(6).collect::<Vec<_>>()
                );
                for finding in findings.iter().filter(|finding| label.is_named_by(number, finding, deeds)) {
                    println!("        but {} {}", finding.severity.word(), finding.summary.en);
                }
            }
        }
        for finding in counted {
            *self.findings.entry(finding.rule.to_string()).or_default() += 1;
            let mut named = labels.iter().enumerate().filter(|(_, label)| label.attack);
            if named.any(|(number, label)| label.is_named_by(number, finding, deeds)) {
                continue;
            }
            *self.wrong.entry(finding.rule.to_string()).or_default() += 1;
            self.wrong_high += usize::from(finding.severity >= Severity::High);
            if shown.wrong {
                let near: Vec<&str> = labels
                    .iter()
                    .enumerate()
                    .filter(|(number, label)| label.is_named_by(*number, finding, deeds))
                    .map(|(_, label)| label.family.as_str())
                    .collect();
                println!(
                    "false   {seed} {} {} {} {}{}",
                    crmwatch_detectors::json::timestamp(finding.time),
                    finding.severity.word(),
                    finding.rule,
                    finding.summary.en,
                    if near.is_empty() { String::new() } else { format!(" [{}]", near.join(", ")) }
                );
                println!("        {} | {}", finding.observed.en, finding.expected.en);
                let parts: Vec<String> =
                    finding.parts.iter().map(|(name, value)| format!("{name} {value:.1}")).collect();
                println!("        {}", parts.join(", "));
            }
        }
    }

    /// Prints the tables.
    pub fn print(&mut self) {
        println!(
            "\n{:<32} {:>7} {:>5} {:>6} {:>5} {:>6} {:>10} {:>9} {:>8} {:>10}",
            "family", "attacks", "found", "listed", "own", "recall", "needs city", "median s", "worst s", "in 60 s"
        );
        let (mut attacks, mut found, mut soon) = (0, 0, 0);
        for (name, family) in &mut self.families {
            family.delays.sort_unstable();
            let seconds = |delay: Option<&Millis>| delay.map_or(0, |delay| delay / 1_000);
            let in_time = family.delays.iter().filter(|delay| **delay <= 60_000).count();
            println!(
                "{name:<32} {:>7} {:>5} {:>6} {:>5} {:>6.2} {:>10} {:>9} {:>8} {in_time:>10}",
                family.attacks,
                family.by_any,
                family.by_listed,
                family.by_own,
                family.by_any as f64 / family.attacks.max(1) as f64,
                family.needs_city,
                seconds(family.delays.get(family.delays.len() / 2)),
                seconds(family.delays.last()),
            );
            (attacks, found, soon) = (attacks + family.attacks, found + family.by_any, soon + in_time);
        }
        println!(
            "all: {found} of {attacks} found, recall {:.3}; {soon} of them within a minute of the deciding event",
            found as f64 / attacks.max(1) as f64
        );
        let days = self.user_days.max(1) as f64 / 1_000.0;
        println!("\n{:<32} {:>9} {:>7} {:>22}", "rule", "findings", "false", "per 1,000 user-days");
        for (rule, count) in &self.findings {
            let wrong = self.wrong.get(rule).copied().unwrap_or_default();
            println!("{rule:<32} {count:>9} {wrong:>7} {:>22.3}", wrong as f64 / days);
        }
        let without: Vec<&str> =
            registry::ids().filter(|id| *id != APART && !self.families.contains_key(*id)).collect();
        println!("\nrules no attack of the simulation is labelled with: {}", without.join(", "));
        let wrong: usize = self.wrong.values().sum();
        println!(
            "{} user-days, {wrong} false of medium or above: {:.2} per 1,000 user-days; {} of them high or critical: {:.3}",
            self.user_days,
            wrong as f64 / days,
            self.wrong_high,
            self.wrong_high as f64 / days
        );
    }
}
