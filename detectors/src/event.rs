//! The event: one normalised record. It is built once by a parser, gains facts in enrichment and is then only read.
//! Not for its stored form (`codec`) nor for names (`field`).
//!
//! An event owns one text: the raw record first, then whatever values are not part of it. Values point into that text,
//! so a parsed line costs two allocations however many fields it has.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use crate::field::{FIELD_LIMIT, Field};
use crate::person::Person;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// The `_id` of an event: the first 128 bits of a SHA-256, written as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventId(pub u128);

impl fmt::Display for EventId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl EventId {
    /// Reads the 32 hex digits back.
    pub fn parse(text: &str) -> Option<EventId> {
        if text.len() != 32 { None } else { u128::from_str_radix(text, 16).ok().map(EventId) }
    }
}

impl Serialize for EventId {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if out.is_human_readable() { out.collect_str(self) } else { self.0.serialize(out) }
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<EventId, D::Error> {
        if input.is_human_readable() {
            let text = std::borrow::Cow::<'_, str>::deserialize(input)?;
            EventId::parse(&text).ok_or_else(|| serde::de::Error::custom("an event id is 32 hex digits"))
        } else {
            u128::deserialize(input).map(EventId)
        }
    }
}

/// Where events come from: shared by all events of one file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    /// The source's name in the configuration.
    pub source: Box<str>,
    /// The file's path when it was opened.
    pub path: Box<str>,
    /// How late an event of this source may come, in milliseconds.
    pub lateness: Millis,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// A stretch of an event's own text; of another event's it means nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part(Span);

/// What a value is called: a known field, or a name the schema does not know, which is kept searchable. As small as it can be, like
/// [`Slot`]: an event has dozens, and they go from thread to thread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Key {
    pub(crate) field: Option<Field>,
    /// Of a name the schema does not know, in the event's text.
    length: u16,
    start: u32,
}

impl Key {
    pub(crate) fn known(field: Field) -> Key {
        Key { field: Some(field), length: 0, start: 0 }
    }

    /// A name too long to be one is cut.
    pub(crate) fn other(name: Span, text: &str) -> Key {
        let name_text = &text[name.start as usize..name.end as usize];
        let length = name_text.floor_char_boundary(usize::from(u16::MAX));
        Key { field: None, length: length as u16, start: name.start }
    }

    /// Where a name that the schema does not know stands.
    pub(crate) fn name(&self) -> Span {
        Span { start: self.start, end: self.start + u32::from(self.length) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Slot {
    Text(Span),
    Integer(i64),
    Float(f64),
    Bool(bool),
    V4(Ipv4Addr),
    /// A position in the event's own list of these.
    V6(u32),
}

const _: () = assert!(size_of::<(Key, Slot)>() == 24, "a value of an event grew");

/// A name that the schema does not know. A column's is looked up once for a whole file.
#[derive(Debug, Clone)]
pub struct UnknownName(Box<str>);

impl UnknownName {
    /// Nothing where it is a field's, or one that an event has of its own.
    pub fn of(name: &str) -> Option<UnknownName> {
        let known = OWN.contains(&name) || Field::from_name(name).is_some();
        (!known).then(|| UnknownName(name.into()))
    }
}

/// A value as it is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'e> {
    /// Text.
    Text(&'e str),
    /// A whole number.
    Integer(i64),
    /// A fraction.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// An address.
    Ip(IpAddr),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => out.write_str(text),
            Value::Integer(number) => write!(out, "{number}"),
            Value::Float(number) => write!(out, "{number}"),
            Value::Bool(flag) => write!(out, "{flag}"),
            Value::Ip(ip) => write!(out, "{ip}"),
        }
    }
}

const ABSENT: u8 = u8::MAX;

/// The origin of an event that has none yet; shared, since every event starts with it.
static NOWHERE: LazyLock<Arc<Origin>> = LazyLock::new(Arc::default);

/// One normalised record.
#[derive(Clone)]
pub struct Event {
    /// The `_id`.
    pub id: EventId,
    /// `@timestamp`.
    pub time: Millis,
    /// Source and file.
    pub origin: Arc<Origin>,
    /// Line number of the record in its file, from 1; 0 where unknown.
    pub line: u64,
    /// Offset of the record in the decompressed file (`log.offset`).
    pub offset: u64,
    /// The person of the people file, once enriched.
    pub person: Option<Arc<Person>>,
    /// A hash of what makes one delivery of this event the same as another (the source's own id, or the whole row); not stored.
    pub delivery: Option<u64>,
    /// The raw bytes, where they are not the text: the record did not decode reversibly.
    pub raw_bytes: Option<Box<[u8]>>,
    pub(crate) text: String,
    pub(crate) raw_end: u32,
    pub(crate) values: Vec<(Key, Slot)>,
    pub(crate) addresses: Vec<Ipv6Addr>,
    slots: [u8; FIELD_LIMIT],
}

/// Text that parsing and enrichment commonly add to a record.
const ROOM: usize = 256;

/// What an event itself knows, under the names it is shown with: a log cannot say them.
const OWN: [&str; 7] = ["@timestamp", "_id", "crm.source", "event.original", "log.file.path", "log.line", "log.offset"];

/// More values than this in one event are dropped, the later ones first: a bound against hostile records.
const MAX_VALUES: usize = 250;

impl Event {
    /// An event over a raw record, with nothing known yet.
    pub fn new(raw: &str) -> Event {
        let mut text = String::with_capacity(raw.len() + ROOM);
        text.push_str(raw);
        Event {
            id: EventId::default(),
            time: 0,
            origin: NOWHERE.clone(),
            line: 0,
            offset: 0,
            person: None,
            delivery: None,
            raw_bytes: None,
            raw_end: u32::try_from(raw.len()).unwrap_or(u32::MAX),
            text,
            values: Vec::with_capacity(28),
            addresses: Vec::new(),
            slots: [ABSENT; FIELD_LIMIT],
        }
    }

    /// The raw record as text (`event.original`).
    pub fn raw(&self) -> &str {
        &self.text[..self.raw_end as usize]
    }

    /// Makes the raw record the one that carried what the event was made over (a syslog header before it, a collector's JSON around it).
    /// Values go on pointing at what they are part of.
    pub fn carried_in(&mut self, record: &str) {
        let inner = self.raw_end;
        let at = if record.ends_with(self.raw()) {
            self.text.insert_str(0, &record[..record.len() - inner as usize]);
            record.len() - inner as usize
        } else {
            self.text.insert_str(0, record);
            record.len()
        };
        let by = u32::try_from(at).unwrap_or(u32::MAX);
        self.raw_end = u32::try_from(record.len()).unwrap_or(u32::MAX);
        for (key, slot) in &mut self.values {
            if key.field.is_none() {
                key.start += by;
            }
            if let Slot::Text(span) = slot {
                span.start += by;
                span.end += by;
            }
        }
    }

    /// Whether the field is there.
    #[inline]
    pub fn has(&self, field: Field) -> bool {
        self.slots[field as usize] != ABSENT
    }

    #[inline]
    fn slot(&self, field: Field) -> Option<Slot> {
        match self.slots[field as usize] {
            ABSENT => None,
            index => Some(self.values[index as usize].1),
        }
    }

    /// The first value of the field.
    pub fn value(&self, field: Field) -> Option<Value<'_>> {
        self.slot(field).map(|slot| self.view(slot))
    }

    /// The field's text; nothing where it holds no text.
    #[inline]
    pub fn text(&self, field: Field) -> Option<&str> {
        match self.slot(field)? {
            Slot::Text(span) => Some(self.at(span)),
            _ => None,
        }
    }

    /// The field's whole number.
    #[inline]
    pub fn integer(&self, field: Field) -> Option<i64> {
        match self.slot(field)? {
            Slot::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The field's number, whole or not.
    pub fn float(&self, field: Field) -> Option<f64> {
        match self.slot(field)? {
            Slot::Float(number) => Some(number),
            Slot::Integer(number) => Some(number as f64),
            _ => None,
        }
    }

    /// Whether the field is there and true.
    #[inline]
    pub fn is(&self, field: Field) -> bool {
        matches!(self.slot(field), Some(Slot::Bool(true)))
    }

    /// The field's address.
    #[inline]
    pub fn ip(&self, field: Field) -> Option<IpAddr> {
        match self.slot(field)? {
            Slot::V4(ip) => Some(IpAddr::V4(ip)),
            Slot::V6(at) => Some(IpAddr::V6(self.addresses[at as usize])),
            _ => None,
        }
    }

    /// All values of a field, in the order they were added.
    pub fn all(&self, field: Field) -> impl Iterator<Item = Value<'_>> {
        self.values.iter().filter(move |(key, _)| key.field == Some(field)).map(|(_, slot)| self.view(*slot))
    }

    /// Every value with its name, known or not, in the order they were added.
    pub fn values(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.values.iter().map(|(key, slot)| {
            let name: &str = match key.field {
                Some(field) => field.name(),
                None => self.at(key.name()),
            };
            (name, self.view(*slot))
        })
    }

    /// The known fields with their values.
    pub fn known(&self) -> impl Iterator<Item = (Field, Value<'_>)> {
        self.values.iter().filter_map(|(key, slot)| Some((key.field?, self.view(*slot))))
    }

    /// The values whose names the schema does not know.
    pub fn others(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        let other = self.values.iter().filter(|(key, _)| key.field.is_none());
        other.map(|(key, slot)| (self.at(key.name()), self.view(*slot)))
    }

    /// The first value of that dotted name, known or not.
    pub fn named(&self, name: &str) -> Option<Value<'_>> {
        match Field::from_name(name) {
            Some(field) => self.value(field),
            None => self.others().find(|(other, _)| *other == name).map(|(_, value)| value),
        }
    }

    /// Sets a text, replacing what was there. Text that is part of the raw record it was sliced from (`raw`) is only pointed at.
    pub fn set_part(&mut self, field: Field, raw: &str, part: &str) {
        let span = self.span_of(raw, part);
        self.put(field, Slot::Text(span));
    }

    /// Where a text that was read from this event stands in it.
    pub fn part(&self, text: &str) -> Option<Part> {
        let start = (text.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        let end = start + text.len();
        (end <= self.text.len()).then_some(Part(Span { start: start as u32, end: end as u32 }))
    }

    /// The text that stands there.
    pub fn text_at(&self, part: Part) -> &str {
        self.at(part.0)
    }

    /// Sets a text that the event holds already, without copying it.
    pub fn set_at(&mut self, field: Field, part: Part) {
        self.put(field, Slot::Text(part.0));
    }

    /// Sets a text, replacing what was there.
    pub fn set(&mut self, field: Field, text: &str) {
        let span = self.append(text);
        self.put(field, Slot::Text(span));
    }

    /// Sets a whole number.
    pub fn set_integer(&mut self, field: Field, number: i64) {
        self.put(field, Slot::Integer(number));
    }

    /// Sets a fraction.
    pub fn set_float(&mut self, field: Field, number: f64) {
        self.put(field, Slot::Float(number));
    }

    /// Sets a flag.
    pub fn set_bool(&mut self, field: Field, flag: bool) {
        self.put(field, Slot::Bool(flag));
    }

    /// Sets an address. An IPv4 address mapped into IPv6 becomes IPv4.
    pub fn set_ip(&mut self, field: Field, ip: IpAddr) {
        let slot = self.address(ip.to_canonical());
        self.put(field, slot);
    }

    pub(crate) fn address(&mut self, ip: IpAddr) -> Slot {
        match ip {
            IpAddr::V4(ip) => Slot::V4(ip),
            IpAddr::V6(ip) => {
                self.addresses.push(ip);
                Slot::V6(self.addresses.len() as u32 - 1)
            }
        }
    }

    /// Adds one more text to a field that may have several.
    pub fn push(&mut self, field: Field, text: &str) {
        let span = self.append(text);
        if self.has(field) {
            self.push_slot(Key::known(field), Slot::Text(span))
        } else {
            self.put(field, Slot::Text(span))
        }
    }

    /// Keeps a value under a name the schema does not know; a known name goes to its field, and what the event itself says of id,
    /// time and place is not overruled.
    pub fn set_other(&mut self, name: &str, value: Value<'_>) {
        if OWN.contains(&name) {
            return;
        }
        let slot = match value {
            Value::Text(text) => Slot::Text(self.append(text)),
            Value::Integer(number) => Slot::Integer(number),
            Value::Float(number) => Slot::Float(number),
            Value::Bool(flag) => Slot::Bool(flag),
            Value::Ip(ip) => self.address(ip),
        };
        match Field::from_name(name) {
            Some(field) => self.put(field, slot),
            None => {
                let span = self.append(name);
                self.push_slot(Key::other(span, &self.text), slot);
            }
        }
    }

    /// Keeps a text that is part of the raw record under a name the schema does not know.
    pub fn set_other_part(&mut self, name: &str, raw: &str, part: &str) {
        if OWN.contains(&name) {
            return;
        }
        let slot = Slot::Text(self.span_of(raw, part));
        match Field::from_name(name) {
            Some(field) => self.put(field, slot),
            None => {
                let span = self.span_of(raw, name);
                self.push_slot(Key::other(span, &self.text), slot);
            }
        }
    }

    /// As [`Event::set_other_part`], where the name was looked up before.
    pub fn set_unknown_part(&mut self, name: &UnknownName, raw: &str, part: &str) {
        let slot = Slot::Text(self.span_of(raw, part));
        let span = self.append(&name.0);
        self.push_slot(Key::other(span, &self.text), slot);
    }

    /// Gives one field the value of another, without copying text.
    pub fn copy(&mut self, from: Field, to: Field) {
        if let Some(slot) = self.slot(from) {
            self.put(to, slot);
        }
    }

    /// Takes a field away, all its values.
    pub fn remove(&mut self, field: Field) {
        self.values.retain(|(key, _)| key.field != Some(field));
        self.index();
    }

    /// Takes a name the schema does not know away, all its values.
    pub fn remove_other(&mut self, name: &str) {
        let text = &self.text;
        self.values.retain(|(key, _)| {
            let span = key.name();
            key.field.is_some() || &text[span.start as usize..span.end as usize] != name
        });
        self.index();
    }

    pub(crate) fn index(&mut self) {
        self.slots = [ABSENT; FIELD_LIMIT];
        for (position, (key, _)) in self.values.iter().enumerate() {
            if let Some(field) = key.field
                && self.slots[field as usize] == ABSENT
            {
                self.slots[field as usize] = position as u8;
            }
        }
    }

    fn put(&mut self, field: Field, slot: Slot) {
        match self.slots[field as usize] {
            ABSENT if self.values.len() >= MAX_VALUES => {}
            ABSENT => {
                self.slots[field as usize] = self.values.len() as u8;
                self.values.push((Key::known(field), slot));
            }
            index => self.values[index as usize].1 = slot,
        }
    }

    fn push_slot(&mut self, key: Key, slot: Slot) {
        // Room is left for the known fields, so that a record with hundreds of invented keys cannot crowd them out.
        if self.values.len() < MAX_VALUES - FIELD_LIMIT {
            self.values.push((key, slot));
        }
    }

    fn span_of(&mut self, raw: &str, part: &str) -> Span {
        let (base, start) = (raw.as_ptr() as usize, part.as_ptr() as usize);
        let inside = start >= base && start + part.len() <= base + raw.len() && raw.len() == self.raw_end as usize;
        if inside {
            let start = (start - base) as u32;
            Span { start, end: start + part.len() as u32 }
        } else {
            self.append(part)
        }
    }

    fn append(&mut self, text: &str) -> Span {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Span { start, end: self.text.len() as u32 }
    }

    #[inline]
    fn at(&self, span: Span) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }

    fn view(&self, slot: Slot) -> Value<'_> {
        match slot {
            Slot::Text(span) => Value::Text(self.at(span)),
            Slot::Integer(number) => Value::Integer(number),
            Slot::Float(number) => Value::Float(number),
            Slot::Bool(flag) => Value::Bool(flag),
            Slot::V4(ip) => Value::Ip(IpAddr::V4(ip)),
            Slot::V6(at) => Value::Ip(IpAddr::V6(self.addresses[at as usize])),
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = out.debug_map();
        map.entry(&"_id", &self.id).entry(&"time", &self.time);
        for (name, value) in self.values() {
            map.entry(&name, &format_args!("{value}"));
        }
        map.finish()
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Event) -> bool {
        self.id == other.id
            && self.time == other.time
            && self.raw() == other.raw()
            && self.values().collect::<Vec<_>>() == other.values().collect::<Vec<_>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_raw_record_are_not_copied() {
        let raw = "alice 203.0.113.7 export";
        let mut event = Event::new(raw);
        let length = event.text.len();
        event.set_part(Field::UserName, raw, &raw[..5]);
        assert_eq!(event.text.len(), length);
        assert_eq!(event.text(Field::UserName), Some("alice"));
        event.set_part(Field::UserName, raw, "Bob");
        assert_eq!(event.text(Field::UserName), Some("Bob"));
        assert_eq!(event.values().count(), 1);
        assert_eq!(event.raw(), raw);
    }

    #[test]
    fn an_event_carried_in_another_record_keeps_its_values() {
        for (record, unchanged) in [("<13>host alice 203.0.113.7", true), ("{\"log\":\"alice 203.0.113.7\"}", false)] {
            let raw = "alice 203.0.113.7";
            let mut event = Event::new(raw);
            event.set_part(Field::UserName, raw, &raw[..5]);
            event.set(Field::EventAction, "login");
            event.set_other("own.name", Value::Text("kept"));
            let length = event.text.len();
            event.carried_in(record);
            assert_eq!(event.raw(), record);
            assert_eq!(event.text(Field::UserName), Some("alice"));
            assert_eq!(event.text(Field::EventAction), Some("login"));
            assert_eq!(event.named("own.name"), Some(Value::Text("kept")));
            assert_eq!(event.text.len() - length == record.len() - raw.len(), unchanged, "nothing is there twice");
        }
    }

    #[test]
    fn a_flood_of_unknown_keys_leaves_room_for_the_known_ones() {
        let mut event = Event::new("");
        for number in 0..10_000 {
            event.set_other(&format!("key{number}"), Value::Integer(number));
        }
        event.set(Field::UserName, "alice");
        assert_eq!(event.text(Field::UserName), Some("alice"));
    }

    #[test]
    fn a_log_cannot_say_what_the_event_itself_says() {
        let mut event = Event::new("x");
        for name in OWN {
            event.set_other(name, Value::Text("forged"));
            event.set_other_part(name, "x", "x");
        }
        assert_eq!(event.values().count(), 0);
        let object = crate::json::object(&event);
        assert!(object.values().all(|value| value != "forged" && !value.is_array()), "{object:?}");
    }

    #[test]
    fn several_values_of_one_field_are_all_kept_and_removed_together() {
        let mut event = Event::new("");
        event.push(Field::EventCategory, "iam");
        event.push(Field::EventCategory, "web");
        event.set_bool(Field::Partial, true);
        assert_eq!(event.all(Field::EventCategory).count(), 2);
        event.remove(Field::EventCategory);
        assert!(!event.has(Field::EventCategory));
        assert!(event.is(Field::Partial));
    }
}
