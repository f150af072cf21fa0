//! A record was touched that nobody has a reason to touch.
//!
//! # What it finds
//! Any event whose record is on the list of honeytokens (`[honeytokens]` in the configuration): a customer that does not exist, planted so
//! that only somebody who goes through the data will ever open, export, change or share it.
//!
//! # Why it matters
//! No normal work leads to such a record. Who touches it is looking around, and often at the very start.
//!
//! # How it decides
//! The event's record id is compared, exactly, with the list. Failed attempts count, too: somebody tried. It is high at once, whoever it is.
//!
//! # False positives
//! Whoever planted the records; an integration that copies every record (name it under `ignore`); a data-quality job.
//!
//! # What to check
//! - What else did this user, session or address open in the hours around? Search by `user.name` and `source.ip`.
//! - Was it one record, or one of many in a row? In a row it is somebody copying the CRM.
//! - Ask the person; if nobody knows, end the sessions and treat the account as taken over.
//!
//! # Settings
//! - `records` ([]): the ids; filled from the file that `[honeytokens]` names.
//! - `ignore` ([]): users, e-mail addresses or apps that may touch them.

use std::sync::Arc;

use ahash::AHashSet;
use serde::{Deserialize, Serialize};

use crate::detector::{Context, Detector, RestoreError, Rule};
use crate::entity::{entity_key, primary_field};
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Identities, Sentence, Severity};
use crate::json::timestamp;
use crate::manual::Manual;

/// The rule's id.
pub const ID: &str = "honeytoken-touched";

const TECHNIQUES: [&str; 1] = ["T1213"];
/// Further touches within an hour are the same episode.
const QUIET: Millis = 3_600_000;

/// What may be set.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Record ids.
    pub records: Vec<String>,
    /// Who may touch them.
    pub ignore: Vec<String>,
}

/// Watches for touched honeytokens. It remembers nothing.
pub struct HoneytokenTouched {
    settings: Settings,
    records: AHashSet<String>,
}

impl HoneytokenTouched {
    /// For the registry.
    pub fn build(settings: &serde_json::Value) -> Result<Box<dyn Detector>, serde_json::Error> {
        let settings = Settings::deserialize(settings)?;
        let records = settings.records.iter().cloned().collect();
        Ok(Box::new(HoneytokenTouched { settings, records }))
    }

    fn ignored(&self, event: &Event) -> bool {
        [Field::UserName, Field::Person, Field::UserEmail, Field::OauthClientId, Field::OauthClientName]
            .into_iter()
            .filter_map(|field| event.text(field))
            .any(|name| self.settings.ignore.iter().any(|one| one.eq_ignore_ascii_case(name)))
    }
}

impl Detector for HoneytokenTouched {
    fn id(&self) -> &'static str {
        ID
    }

    fn rules(&self) -> Vec<Rule> {
        vec![Rule {
            id: ID.to_owned(),
            manual: Manual::from_source(include_str!("honeytoken_touched.rs")),
            severity: Severity::High,
            techniques: TECHNIQUES.iter().map(|one| (*one).to_owned()).collect(),
            settings: serde_json::to_value(&self.settings).unwrap_or_default(),
        }]
    }

    fn observe(&mut self, event: &Event, _context: &Context, out: &mut Vec<Detection>) {
        let Some(record) = event.text(Field::ObjectId) else { return };
        if !self.records.contains(record) || self.ignored(event) {
            return;
        }
        let primary = primary_field(event).name();
        let mut entity = Identities::default();
        entity.add_event(event);
        let who = entity.first(primary).unwrap_or("somebody").to_owned();
        let action = event.text(Field::EventAction).unwrap_or("touched");
        let time = timestamp(event.time);
        out.push(Detection {
            rule: Arc::from(ID),
            severity: Severity::High,
            entity,
            primary,
            subject: entity_key(event).into_owned(),
            summary: Sentence::new(
                format!("{who} touched the planted record {record}, which nobody has a reason to open."),
                format!("{who} 触碰了诱饵记录 {record}，正常工作中没有人需要打开它。"),
            ),
            observed: Sentence::new(
                format!("{action} of {record} at {time}"),
                format!("{time} 对 {record} 执行了 {action}"),
            ),
            expected: Sentence::new("nobody ever touches it", "任何人都不会触碰它"),
            window: (event.time, event.time),
            evidence: Vec::new(),
            evidence_count: 1,
            techniques: TECHNIQUES.to_vec(),
            parts: Vec::new(),
            quiet: QUIET,
        });
    }

    fn restore(&mut self, _key: &str, _value: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(record: &str, user: &str) -> usize {
        let settings = serde_json::json!({"records": ["0035g00000HONEYAA"], "ignore": ["Backup@acme.example"]});
        let mut detector = HoneytokenTouched::build(&settings).expect("fits");
        let mut event = Event::new("");
        event.set(Field::ObjectId, record);
        event.set(Field::UserName, user);
        event.set(Field::EventAction, "view");
        let mut out = Vec::new();
        detector.observe(&event, &Context::default(), &mut out);
        out.len()
    }

    #[test]
    fn a_planted_record_is_found_exactly_and_those_who_may_are_left_alone() {
        assert_eq!(touched("0035g00000HONEYAA", "mallory"), 1);
        assert_eq!(touched("0035g00000honeyaa", "mallory"), 0);
        assert_eq!(touched("42", "mallory"), 0);
        assert_eq!(touched("0035g00000HONEYAA", "backup@acme.example"), 0);
    }
}
