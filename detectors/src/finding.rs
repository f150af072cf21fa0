//! A finding: an episode of one rule about one entity, with everything that explains it. Not for how it is decided (the detectors)
//! nor how long an episode lasts (`episode`).

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ahash::AHashSet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::event::{Event, EventId, Millis, Origin};
use crate::field::Field;
use crate::mark::Mark;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; wakes nobody.
    Low,
    /// To be looked at today.
    Medium,
    /// To be looked at now.
    High,
    /// Somebody is taking the data.
    Critical,
}

impl Severity {
    /// Lower-case word.
    pub const fn word(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    /// The severity of that word.
    pub fn from_word(word: &str) -> Option<Severity> {
        [Severity::Low, Severity::Medium, Severity::High, Severity::Critical].into_iter().find(|one| one.word() == word)
    }
}

/// A sentence for people, in the languages the program speaks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sentence {
    /// English.
    pub en: String,
    /// Simplified Chinese.
    pub zh: String,
}

impl Sentence {
    /// Both languages.
    pub fn new(en: impl Into<String>, zh: impl Into<String>) -> Sentence {
        Sentence { en: en.into(), zh: zh.into() }
    }

    /// The sentence in the language of a locale (`en`, `zh-CN`).
    pub fn in_locale(&self, locale: &str) -> &str {
        if locale.starts_with("zh") && !self.zh.is_empty() { &self.zh } else { &self.en }
    }
}

/// Where one piece of evidence lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// `_id` of the event.
    pub id: EventId,
    /// Its source and file.
    pub origin: Arc<Origin>,
    /// Its line in the file, from 1.
    pub line: u64,
    /// Its offset in the file.
    pub offset: u64,
}

impl Reference {
    /// The reference to an event.
    pub fn of(event: &Event) -> Reference {
        Reference { id: event.id, origin: event.origin.clone(), line: event.line, offset: event.offset }
    }
}

/// How many references are kept from either end.
pub const EVIDENCE_KEPT: usize = 50;

/// The events a finding rests on: the first and the last fifty, and how many there were.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    first: Vec<Reference>,
    last: VecDeque<Reference>,
    count: u64,
}

/// As people and other programs read it.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Evidence")]
struct Written<'e> {
    first: Cow<'e, [Reference]>,
    last: Cow<'e, [Reference]>,
    count: u64,
}

/// As it is saved: files are named once.
#[derive(Serialize, Deserialize)]
struct Saved {
    files: Vec<Arc<Origin>>,
    lines: Vec<([u8; 16], u8, u64, u64)>,
    count: u64,
}

impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if out.is_human_readable() {
            let last: Vec<Reference> = self.last.iter().cloned().collect();
            return Written { first: (&self.first).into(), last: last.into(), count: self.count }.serialize(out);
        }
        let mut saved = Saved { files: Vec::new(), lines: Vec::new(), count: self.count };
        for one in self.iter() {
            // No more than a hundred are kept.
            let file = saved.files.iter().position(|file| *file == one.origin).unwrap_or_else(|| {
                saved.files.push(one.origin.clone());
                saved.files.len() - 1
            });
            saved.lines.push((one.id.0.to_le_bytes(), file as u8, one.line, one.offset));
        }
        saved.serialize(out)
    }
}

impl<'de> Deserialize<'de> for Evidence {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Evidence, D::Error> {
        if input.is_human_readable() {
            let Written { first, last, count } = Written::deserialize(input)?;
            return Ok(Evidence { first: first.into_owned(), last: last.into_owned().into(), count });
        }
        let Saved { files, lines, count } = Saved::deserialize(input)?;
        let mut all = lines.into_iter().filter_map(|(id, file, line, offset)| {
            let (id, origin) = (EventId(u128::from_le_bytes(id)), files.get(usize::from(file))?.clone());
            Some(Reference { id, origin, line, offset })
        });
        let first = all.by_ref().take(EVIDENCE_KEPT).collect();
        Ok(Evidence { first, last: all.collect(), count })
    }
}

impl Evidence {
    /// Adds one event's reference; one that is already kept is not counted again.
    pub fn add(&mut self, reference: Reference) {
        if self.iter().any(|kept| kept.id == reference.id) {
            return;
        }
        self.count += 1;
        if self.first.len() < EVIDENCE_KEPT {
            self.first.push(reference);
        } else {
            if self.last.len() == EVIDENCE_KEPT {
                self.last.pop_front();
            }
            self.last.push_back(reference);
        }
    }

    /// Says that more events belong to it than are referenced.
    pub fn count_at_least(&mut self, count: u64) {
        self.count = self.count.max(count);
    }

    /// All kept references, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Reference> {
        self.first.iter().chain(&self.last)
    }

    /// How many events there were.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// Everything a finding is about: ECS name to values.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Identities(pub BTreeMap<String, Vec<String>>);

/// How many values of one name are kept.
pub const IDENTITIES_KEPT: usize = 50;

impl Identities {
    /// Adds one value of a name, once.
    pub fn add(&mut self, name: &str, value: &str) {
        match self.0.get_mut(name) {
            Some(values) if values.len() >= IDENTITIES_KEPT || values.iter().any(|kept| kept == value) => {}
            Some(values) => values.push(value.to_owned()),
            None => {
                self.0.insert(name.to_owned(), vec![value.to_owned()]);
            }
        }
    }

    /// Adds values of a name, each once, as long as there is room.
    pub fn add_all<'v>(&mut self, name: &str, values: impl IntoIterator<Item = &'v str>) {
        let mut met = AHashSet::new();
        let mut room = self.room_for(name);
        for value in values {
            if room == 0 {
                return;
            }
            if met.insert(value) {
                self.add(name, value);
                room = self.room_for(name);
            }
        }
    }

    /// How many more values of that name are kept.
    pub fn room_for(&self, name: &str) -> usize {
        IDENTITIES_KEPT.saturating_sub(self.0.get(name).map_or(0, Vec::len))
    }

    /// Adds what an event says about who it was: user, person, address, app, session.
    pub fn add_event(&mut self, event: &Event) {
        for field in [Field::UserName, Field::Person] {
            if let Some(name) = event.text(field) {
                self.add(Field::UserName.name(), name);
            }
        }
        for field in [Field::UserId, Field::OauthClientId, Field::OauthClientName] {
            if let Some(text) = event.text(field) {
                self.add(field.name(), text);
            }
        }
        if let Some(ip) = event.ip(Field::SourceIp) {
            self.add(Field::SourceIp.name(), &ip.to_string());
        }
    }

    /// Adds everything another set has.
    pub fn merge(&mut self, other: &Identities) {
        for (name, values) in &other.0 {
            match self.0.get_mut(name) {
                // What goes on mostly names the same ones again.
                Some(kept) if kept.len() >= IDENTITIES_KEPT || kept.starts_with(values) => {}
                Some(_) => values.iter().for_each(|value| self.add(name, value)),
                None => {
                    self.0.insert(name.clone(), values.clone());
                }
            }
        }
    }

    /// The first value of a name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|values| values.first()).map(String::as_str)
    }
}

/// What a detector says when it decides: the material of a finding.
#[derive(Debug, Clone)]
pub struct Detection {
    /// The rule's id.
    pub rule: Arc<str>,
    /// How bad.
    pub severity: Severity,
    /// Everything it is about.
    pub entity: Identities,
    /// The key of `entity` by which incidents group, e.g. `user.name`.
    pub primary: &'static str,
    /// What tells episodes of the same rule apart: normally the entity's key (`Event::entity_key`).
    pub subject: String,
    /// What happened, in one sentence.
    pub summary: Sentence,
    /// What was seen.
    pub observed: Sentence,
    /// What is normal.
    pub expected: Sentence,
    /// From when to when.
    pub window: (Millis, Millis),
    /// The events it rests on, oldest first, without the deciding one, which is added.
    pub evidence: Vec<Mark>,
    /// How many events it rests on in all, where more than are referenced.
    pub evidence_count: u64,
    /// ATT&CK technique ids.
    pub techniques: Vec<&'static str>,
    /// The score's parts, for those who want to check it.
    pub parts: Vec<(&'static str, f64)>,
    /// For how long after its last event the episode stays open, in milliseconds.
    pub quiet: Millis,
}

impl Detection {
    /// What is the same for every detection about an event's own entity; the sentences are to be filled in.
    pub fn about(event: &Event, rule: &'static str, severity: Severity) -> Detection {
        let mut entity = Identities::default();
        entity.add_event(event);
        let primary = crate::entity::primary_field(event).name();
        Detection {
            rule: rule.into(),
            severity,
            entity,
            primary,
            subject: crate::entity::entity_key(event).into_owned(),
            summary: Sentence::default(),
            observed: Sentence::default(),
            expected: Sentence::default(),
            window: (event.time, event.time),
            evidence: Vec::new(),
            evidence_count: 1,
            techniques: Vec::new(),
            parts: Vec::new(),
            quiet: 3_600_000,
        }
    }

    /// The same with the window and the events it rests on.
    #[must_use]
    pub fn resting_on(mut self, evidence: Vec<Mark>, from: Millis, to: Millis) -> Detection {
        self.evidence_count = evidence.len() as u64 + 1;
        self.evidence = evidence;
        self.window = (from.min(self.window.0), to.max(from));
        self
    }
}

/// An episode of one rule about one entity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Derived from rule, primary entity and the first deciding event's `_id`: the same again after a replay.
    pub id: EventId,
    /// The rule's id.
    pub rule: Arc<str>,
    /// The highest reached.
    pub severity: Severity,
    /// The deciding event's time; never moved later.
    pub time: Millis,
    /// The last event's time.
    pub last_time: Millis,
    /// Everything it is about.
    pub entity: Identities,
    /// The key of `entity` by which incidents group.
    pub primary: Box<str>,
    /// What happened.
    pub summary: Sentence,
    /// What was seen.
    pub observed: Sentence,
    /// What is normal.
    pub expected: Sentence,
    /// From when to when.
    pub window: (Millis, Millis),
    /// The events it rests on.
    pub evidence: Evidence,
    /// ATT&CK technique ids.
    pub techniques: Vec<Box<str>>,
    /// The score's parts.
    pub parts: Vec<(Box<str>, f64)>,
}

impl Finding {
    /// The value incidents group by.
    pub fn primary_value(&self) -> &str {
        self.entity.first(&self.primary).unwrap_or_default()
    }

    /// The finding as the one JSON object that `scan --json`, the API and the ledger show, in one language.
    pub fn to_json(&self, locale: &str) -> serde_json::Value {
        use crate::json::timestamp;
        let entity: serde_json::Map<String, serde_json::Value> = self
            .entity
            .0
            .iter()
            .map(|(name, values)| {
                let value = match values.as_slice() {
                    [one] => serde_json::Value::from(one.as_str()),
                    many => serde_json::Value::from(many.to_vec()),
                };
                (name.clone(), value)
            })
            .collect();
        let references: Vec<_> = self
            .evidence
            .iter()
            .map(|one| serde_json::json!({"file": &*one.origin.path, "line": one.line, "offset": one.offset}))
            .collect();
        serde_json::json!({
            "id": self.id.to_string(),
            "rule": &*self.rule,
            "severity": self.severity.word(),
            "time": timestamp(self.time),
            "last_time": timestamp(self.last_time),
            "entity": entity,
            "primary": &*self.primary,
            "summary": self.summary.in_locale(locale),
            "observed": self.observed.in_locale(locale),
            "expected": self.expected.in_locale(locale),
            "window": {"from": timestamp(self.window.0), "to": timestamp(self.window.1)},
            "evidence": self.evidence.iter().map(|one| one.id.to_string()).collect::<Vec<_>>(),
            "evidence_count": self.evidence.count(),
            "evidence_refs": references,
            "technique": self.techniques.iter().map(|one| &**one).collect::<Vec<_>>(),
            "score": self.parts.iter().map(|(name, part)| serde_json::json!({"part": &**name, "value": part})).collect::<Vec<_>>(),
        })
    }
}

/// The id of a finding.
pub fn finding_id(rule: &str, primary: &str, deciding: EventId) -> EventId {
    let mut hash = Sha256::new();
    hash.update(rule.as_bytes());
    hash.update([0]);
    hash.update(primary.as_bytes());
    hash.update([0]);
    hash.update(deciding.0.to_be_bytes());
    let digest = hash.finalize();
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    EventId(u128::from_be_bytes(first))
}
