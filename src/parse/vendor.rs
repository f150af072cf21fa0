//! What the JSON records of vendors have in common: how they are packed (one a line, an array, an envelope), and their values by path.
//! Not for what a record means; each vendor's file says that in one function.

use std::borrow::Cow;
use std::cell::Cell;

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field, Millis};

use super::json::{Enter, Reader, Value, Visitor, each_item};
use super::json_lines::{Fault, framing, is_mail, keep, with_repair};
use super::{Framing, Grammar, Options, Verdict, absent, ip, spoken_time, time};

/// A vendor's records.
pub(super) struct Vendor {
    /// The format's name.
    pub name: &'static str,
    /// Paths whose array or object is handed on whole.
    pub whole: &'static [&'static str],
    /// Paths under which an envelope holds its records: `value`, `records`, `data.payload`.
    pub envelopes: &'static [&'static str],
    /// Makes events of one record. A record of another kind is [`Verdict::Rejected`].
    pub read: fn(&Fields<'_>, &Around<'_>, &mut Vec<Event>) -> Verdict,
}

/// What a record is read with besides its own values.
pub(super) struct Around<'r> {
    /// The text its event keeps.
    pub raw: &'r str,
    /// The zone of stamps without an offset.
    pub zone: Tz,
}

/// Starts reading a file of a vendor's records.
pub(super) fn grammar(vendor: &'static Vendor, options: &Options) -> Box<dyn Grammar> {
    Box::new(Records {
        vendor,
        zone: options.timezone,
        reader: Reader::default(),
        items: Reader::default(),
        paths: String::new(),
    })
}

/// Envelopes within envelopes beyond this are refused.
const ENVELOPES: u8 = 3;
/// So many values of a record are looked at; no vendor's has as many.
const MOST: usize = 2_000;

/// What the portal's exports put behind the names of their times.
pub(super) const PORTAL_S_ZONE: &str = " [UTC]";

/// One value of a record.
struct Entry<'a> {
    /// Its path in [`Fields::paths`].
    path: (usize, usize),
    value: Cow<'a, str>,
    kind: Kind,
    listed: bool,
    used: Cell<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Bool,
    Whole,
}

/// A record's values by their dotted path, compared without case. What nobody asks for is kept under its own name.
pub(super) struct Fields<'a> {
    paths: String,
    entries: Vec<Entry<'a>>,
    vendor: &'static Vendor,
}

impl<'a> Visitor<'a> for Fields<'a> {
    fn enter(&mut self, path: &str, _array: bool) -> Enter {
        let same = |known: &&str| known.eq_ignore_ascii_case(path);
        let whole = self.vendor.whole.iter().any(&same) || self.vendor.envelopes.iter().any(same);
        if whole { Enter::Whole } else { Enter::Flatten }
    }

    fn value(&mut self, path: &str, value: Value<'a, '_>, listed: bool) {
        if absent(value.text()) || self.entries.len() == MOST {
            return;
        }
        let kind = match value {
            Value::Number(_) => Kind::Number,
            Value::Bool(_) => Kind::Bool,
            Value::Raw(_) => Kind::Whole,
            _ => Kind::Text,
        };
        let from = self.paths.len();
        self.paths.push_str(path.strip_suffix(PORTAL_S_ZONE).unwrap_or(path));
        let path = (from, self.paths.len());
        self.entries.push(Entry { path, value: value.held(), kind, listed, used: Cell::new(false) });
    }
}

impl<'a> Fields<'a> {
    /// The values of the object at the text's start, and what follows it.
    fn read(
        reader: &mut Reader,
        vendor: &'static Vendor,
        object: &'a str,
        mut paths: String,
    ) -> Result<(Fields<'a>, &'a str), super::json::JsonError> {
        paths.clear();
        let mut fields = Fields { paths, entries: Vec::with_capacity(48), vendor };
        let rest = reader.read(object, &mut fields)?;
        Ok((fields, rest))
    }

    fn path(&self, entry: &Entry<'a>) -> &str {
        &self.paths[entry.path.0..entry.path.1]
    }

    /// Of keys that come twice the last counts.
    fn find(&self, path: &str) -> Option<&Entry<'a>> {
        self.entries
            .iter()
            .rev()
            .find(|entry| entry.path.1 - entry.path.0 == path.len() && self.path(entry).eq_ignore_ascii_case(path))
    }

    /// As [`Fields::find`], of a path in two pieces.
    fn find_in(&self, around: &str, path: &str) -> Option<&Entry<'a>> {
        if around.is_empty() {
            return self.find(path);
        }
        self.entries.iter().rev().find(|entry| {
            let found = self.path(entry);
            found.len() == around.len() + path.len()
                && found.get(..around.len()).is_some_and(|start| start.eq_ignore_ascii_case(around))
                && found[around.len()..].eq_ignore_ascii_case(path)
        })
    }

    /// As [`Fields::has`], of a path within an envelope's, which ends with a dot.
    pub(super) fn has_in(&self, around: &str, path: &str) -> bool {
        self.find_in(around, path).is_some()
    }

    /// As [`Fields::get`], of a path within an envelope's, which ends with a dot.
    pub(super) fn get_in(&self, around: &str, path: &str) -> Option<&str> {
        let entry = self.find_in(around, path)?;
        entry.used.set(true);
        Some(entry.value.trim())
    }

    /// Whether there is a value of that path; it stays to be kept.
    pub(super) fn has(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// The value of that path as text; it is not kept under its own name any more.
    pub(super) fn get(&self, path: &str) -> Option<&str> {
        let entry = self.find(path)?;
        entry.used.set(true);
        Some(entry.value.trim())
    }

    /// As [`Fields::get`], and the value stays to be kept.
    pub(super) fn peek(&self, path: &str) -> Option<&str> {
        self.find(path).map(|entry| entry.value.trim())
    }

    /// Every value of that path, of a list.
    pub(super) fn all(&self, path: &str) -> Vec<&str> {
        let same = |entry: &&Entry<'a>| self.path(entry).eq_ignore_ascii_case(path);
        let told = self.entries.iter().filter(same).inspect(|entry| entry.used.set(true));
        told.map(|entry| entry.value.trim()).collect()
    }

    /// The first of these that says something.
    pub(super) fn first(&self, paths: &[&str]) -> Option<&str> {
        paths.iter().find_map(|path| self.get(path))
    }

    /// A whole number, also from a string.
    pub(super) fn integer(&self, path: &str) -> Option<i64> {
        Value::Plain(self.get(path)?).integer()
    }

    /// True or false, also from a string or 0 and 1.
    pub(super) fn bool(&self, path: &str) -> Option<bool> {
        Value::Plain(self.get(path)?).bool()
    }

    /// The moment at the first of these paths that holds one.
    pub(super) fn time(&self, paths: &[&str], zone: Tz) -> Option<Millis> {
        paths.iter().find_map(|path| moment(self.get(path)?, zone))
    }

    /// Gives the event each field whose path holds something, unless it has it.
    pub(super) fn put(&self, event: &mut Event, raw: &str, pairs: &[(Field, &str)]) {
        for (field, path) in pairs {
            if !event.has(*field)
                && let Some(text) = self.get(path)
            {
                event.set_part(*field, raw, text);
            }
        }
    }

    /// The person who acted: the first name there is, which may be a mail address.
    pub(super) fn person(&self, event: &mut Event, raw: &str, paths: &[&str]) {
        self.person_in("", event, raw, paths);
    }

    /// As [`Fields::person`], within an envelope's path.
    pub(super) fn person_in(&self, around: &str, event: &mut Event, raw: &str, paths: &[&str]) {
        if let Some(name) = paths.iter().find_map(|path| self.get_in(around, path)) {
            event.set_part(Field::UserName, raw, name);
            if is_mail(name) {
                event.copy(Field::UserName, Field::UserEmail);
            }
        }
    }

    /// The client: the first address of these paths that is one, else the first text.
    pub(super) fn client(&self, event: &mut Event, raw: &str, paths: &[&str]) {
        self.client_of(event, raw, || paths.iter().filter_map(|path| self.get(path)));
    }

    /// As [`Fields::client`], of texts.
    pub(super) fn client_of<'t, T: Iterator<Item = &'t str>>(
        &self,
        event: &mut Event,
        raw: &str,
        texts: impl Fn() -> T,
    ) {
        if let Some(text) = texts().find(|text| ip::address(text).is_some()).or_else(|| texts().next()) {
            ip::set_source(event, raw, text);
        }
    }

    /// What nobody asked for, under its own name.
    pub(super) fn rest(&self, event: &mut Event, raw: &str) {
        for (at, entry) in self.entries.iter().enumerate().filter(|(_, entry)| !entry.used.get()) {
            let value = match (entry.kind, &entry.value) {
                (Kind::Number, Cow::Borrowed(text)) => Value::Number(text),
                (Kind::Bool, text) => Value::Bool(text == "true"),
                (_, Cow::Borrowed(text)) => Value::Plain(text),
                (_, Cow::Owned(text)) => Value::Decoded(text),
            };
            let path = self.path(entry);
            let again = !entry.listed && self.entries[..at].iter().any(|before| self.path(before) == path);
            keep(event, raw, path, value, again);
        }
    }
}

/// A stamp as vendors write it: ISO 8601 in any of its forms, the epoch in seconds to nanoseconds, or as for people (`3/2/2026 9:14:07 AM`).
pub(super) fn moment(text: &str, zone: Tz) -> Option<Millis> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return time::epoch(text);
    }
    time::iso(text, zone).or_else(|| spoken_time::moment(text, zone))
}

struct Records {
    vendor: &'static Vendor,
    zone: Tz,
    reader: Reader,
    items: Reader,
    /// Room for a record's paths.
    paths: String,
}

impl Records {
    /// The records in a text: one, several behind one another, arrays of them, or envelopes with them.
    fn values(&mut self, record: &str, text: &str, depth: u8, events: &mut Vec<Event>) -> Result<Verdict, Fault> {
        let mut objects: Vec<&str> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if !rest.starts_with(['{', '[']) {
                return Err(Fault::NoObject);
            }
            let mut only_objects = true;
            let after = each_item(&mut self.items, rest, |item| match item {
                Value::Raw(item) if item.starts_with('{') => objects.push(item),
                _ => only_objects = false,
            })?;
            if !only_objects {
                return Err(Fault::NoObject);
            }
            rest = after.trim_start_matches(|letter: char| letter.is_ascii_whitespace() || letter == ',');
        }
        let mut verdict = Verdict::Skipped;
        for object in &objects {
            let raw = if objects.len() == 1 { record } else { object };
            match self.record(raw, object, depth, events)? {
                Verdict::Rejected(reason) => return Ok(Verdict::Rejected(reason)),
                Verdict::Skipped => {}
                one => verdict = one,
            }
        }
        Ok(verdict)
    }

    fn record(&mut self, raw: &str, object: &str, depth: u8, events: &mut Vec<Event>) -> Result<Verdict, Fault> {
        let paths = std::mem::take(&mut self.paths);
        let (fields, _) = Fields::read(&mut self.reader, self.vendor, object, paths)?;
        let inside = self.vendor.envelopes.iter().find_map(|path| {
            fields.find(path).filter(|entry| entry.kind == Kind::Whole).map(|entry| entry.value.clone().into_owned())
        });
        match inside {
            Some(_) if depth == ENVELOPES => Err(Fault::Deep),
            Some(inside) => self.values(raw, inside.trim(), depth + 1, events),
            None => {
                let verdict = (self.vendor.read)(&fields, &Around { raw, zone: self.zone }, events);
                self.paths = fields.paths;
                Ok(verdict)
            }
        }
    }
}

impl Grammar for Records {
    fn framing(&self, line: &[u8]) -> Framing {
        framing(line)
    }

    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let before = events.len();
        let verdict = with_repair(record, events, |text, events| self.values(record, text, 0, events));
        if let Verdict::Rejected(_) = verdict {
            events.truncate(before);
        }
        verdict
    }

    fn format(&self) -> &'static str {
        self.vendor.name
    }
}

/// Whether a text holds each of these words: for `sniff`, which reads no JSON.
pub(super) fn has_all(text: &str, words: &[&str]) -> bool {
    words.iter().all(|word| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: Vendor = Vendor {
        name: "test",
        whole: &["list"],
        envelopes: &["records", "data.payload"],
        read: |fields, around, events| {
            let Some(name) = fields.get("Name") else { return Verdict::Rejected("no name") };
            let mut event = Event::new(around.raw);
            event.set_part(Field::UserName, around.raw, name);
            if let Some(list) = fields.get("list") {
                event.set_part(Field::Query, around.raw, list);
            }
            fields.rest(&mut event, around.raw);
            events.push(event);
            Verdict::Parsed
        },
    };

    fn parse(record: &str) -> (Verdict, Vec<Event>) {
        let mut events = Vec::new();
        let verdict = grammar(&TEST, &Options::default()).parse(record, &mut events);
        (verdict, events)
    }

    #[test]
    fn records_are_found_in_lines_arrays_and_envelopes() {
        for (record, count) in [
            (r#"{"name":"a"}"#, 1),
            (r#"[{"name":"a"},{"name":"b"}]"#, 2),
            (r#"{"name":"a"} {"name":"b"}"#, 2),
            (r#"{"count":2,"Records":[{"name":"a"},{"name":"b"}]}"#, 2),
            (r#"{"data":{"schema":"x","payload":{"name":"a"}},"channel":"/c"}"#, 1),
            (r#"{"records":[]}"#, 0),
        ] {
            let (verdict, events) = parse(record);
            let expected = if count == 0 { Verdict::Skipped } else { Verdict::Parsed };
            assert_eq!((verdict, events.len()), (expected, count), "{record}");
        }
        let nested = r#"{"records":[{"records":[{"records":[{"records":[{"name":"a"}]}]}]}]}"#;
        assert!(matches!(parse(nested).0, Verdict::Rejected(_)));
    }

    #[test]
    fn one_record_of_another_kind_refuses_the_whole_line_and_leaves_nothing_behind() {
        let (verdict, events) = parse(r#"[{"name":"a"},{"other":1}]"#);
        assert_eq!((verdict, events.len()), (Verdict::Rejected("no name"), 0));
    }

    #[test]
    fn what_nobody_asked_for_is_kept_under_its_name_with_its_kind() {
        let (_, events) = parse(r#"{"NAME":"a","n":7,"flag":true,"deep":{"x":"y"},"none":null,"list":[1,2],"n":8}"#);
        let others: Vec<(String, String)> =
            events[0].others().map(|(name, value)| (name.to_owned(), value.to_string())).collect();
        let expected = [("flag", "true"), ("deep.x", "y"), ("n", "8")];
        assert_eq!(others, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(events[0].text(Field::Query), Some("[1,2]"));
    }
}
