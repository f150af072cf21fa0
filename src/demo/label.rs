//! The truth about the simulation: which lines belong to an attack or to a harmless oddity. Written to `labels.jsonl`.
//! Not for judging findings against it.

use std::collections::{BTreeMap, BTreeSet};

use crmwatch_detectors::{Millis, Severity};
use serde_json::{Value, json};

use super::act::{Act, System, Who};
use super::clock::{Rfc3339, SECOND};
use super::logs::{GUEST, LOGS, Log};
use super::people::Person;

/// Something worth a label, with the deeds it is made of.
#[derive(Debug, Clone)]
pub struct Incident {
    /// The rule that should name it; for oddities what they are.
    pub family: &'static str,
    /// Which way of the family; not part of the label.
    pub variant: &'static str,
    /// Every rule that may rightly name it.
    pub rules: &'static [&'static str],
    /// How bad; nothing for oddities.
    pub severity: Option<Severity>,
    /// Hidden in some way.
    pub stealth: bool,
    /// Only a city database could tell.
    pub needs_city: bool,
    /// Only a database of network owners could tell.
    pub needs_owner: bool,
    /// When it can be known for what it is.
    pub deciding: Millis,
    /// Whom it concerns beside those who act.
    pub victims: Vec<u32>,
    /// The log that says nothing meanwhile.
    pub silent: Option<Log>,
    /// The deeds, by time.
    pub acts: Vec<Act>,
    /// An oddity that lies in the ordinary days of people has no deeds of its own, only a time.
    pub span: Option<(Millis, Millis)>,
}

impl Incident {
    /// An attack whose last deed decides.
    pub fn attack(
        family: &'static str,
        rules: &'static [&'static str],
        severity: Severity,
        acts: Vec<Act>,
    ) -> Incident {
        let deciding = acts.last().map_or(0, |act| act.time);
        let severity = Some(severity);
        Incident {
            family,
            variant: "",
            rules,
            severity,
            stealth: false,
            needs_city: false,
            needs_owner: false,
            deciding,
            victims: Vec::new(),
            silent: None,
            acts,
            span: None,
        }
    }

    /// A harmless oddity.
    pub fn oddity(what: &'static str, acts: Vec<Act>) -> Incident {
        Incident { severity: None, ..Incident::attack(what, &[], Severity::Low, acts) }
    }

    /// Hidden in some way.
    pub fn stealthy(self) -> Incident {
        Incident { stealth: true, ..self }
    }

    /// Decided at the deed of that number, from 0.
    pub fn decided_by(self, nth: usize) -> Incident {
        let deciding = self.acts.get(nth).map_or(self.deciding, |act| act.time);
        Incident { deciding, ..self }
    }

    /// The first and the last moment.
    pub fn span(&self) -> (Millis, Millis) {
        let own = self.acts.first().map(|act| act.time).zip(self.acts.last().map(|act| act.time));
        self.span.or(own).unwrap_or_default()
    }

    /// The line of `labels.jsonl`.
    pub fn label(&self, number: usize, people: &[Person]) -> Value {
        let mut names: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let mut systems: BTreeSet<System> = self.acts.iter().map(|act| act.system).collect();
        let mut persons: BTreeSet<u32> = self.victims.iter().copied().collect();
        for act in &self.acts {
            names.entry("source.ip").or_default().insert(act.ip.to_string());
            match act.who {
                Who::Person(index) => {
                    persons.insert(index);
                }
                Who::Unknown(number) => {
                    names.entry("user.name").or_default().insert(super::logs::invented(number, act.system));
                }
                Who::Guest => {
                    names.entry("user.name").or_default().insert(GUEST.to_owned());
                }
                Who::Nobody => {}
            }
        }
        for index in persons {
            let person = &people[index as usize];
            names.entry("user.email").or_default().insert(person.email.clone());
            names.entry("user.id").or_default().insert(person.salesforce.clone());
            names.entry("user.name").or_default().extend(person.names().into_iter().map(str::to_owned));
            if self.acts.is_empty() {
                systems.extend(person.systems.iter().copied());
            }
        }
        if let Some(log) = self.silent {
            names.entry("crm.source").or_default().insert(log.name.to_owned());
            systems.insert(log.system);
        }
        let sources: Vec<&str> = LOGS.iter().filter(|log| systems.contains(&log.system)).map(|log| log.name).collect();
        let (start, end) = self.span();
        // Many logs keep whole seconds only: what they date before its own fraction belongs to it, too.
        let start = start.div_euclid(SECOND) * SECOND;
        let key = if self.severity.is_some() { "attack" } else { "benign" };
        let id = format!("{}-{number:04}", if self.severity.is_some() { "a" } else { "b" });
        json!({
            key: id,
            "family": self.family,
            "rules": self.rules,
            "severity": self.severity.map(Severity::word),
            "stealth": self.stealth,
            "needs_city": self.needs_city,
            "needs_owner": self.needs_owner,
            "entity": names,
            "start": Rfc3339(start).to_string(),
            "deciding": Rfc3339(self.deciding.clamp(start, end)).to_string(),
            "end": Rfc3339(end).to_string(),
            "sources": sources,
        })
    }
}
