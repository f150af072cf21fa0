//! JSON lines: ECS names, dotted or nested, as they are; the usual names of other programs by a table; the operator's own by the
//! configuration. One object a line, an array of them, objects one behind the other, or one object over many lines.
//! Not for vendors' records with a meaning of their own; each has its format.

mod keys;
mod particulars;
mod record;
mod wrapped;

use std::borrow::Cow;

use crmwatch_detectors::{Event, Field};

pub(crate) use record::{delivery, is_mail, keep, locate};

use super::json::{JsonError, Reader, TOO_DEEP, Value, Visitor, each_item, each_object_value, repaired};
use super::{Format, Framing, Grammar, Options, Verdict, actions};
use record::Record;
use wrapped::Wrapped;

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: NAME,
    about: "JSON lines: ECS names, usual synonyms, or the source's own by a mapping; nginx's JSON variants",
    sniff,
    grammar: |options| Box::new(JsonLines::new(options, 0)),
};

/// The format's name.
pub const NAME: &str = "json";

/// Said of a record that is not JSON.
pub(crate) const SYNTAX: &str = "json-syntax";
pub(crate) const DEEP: &str = "json-too-deep";
pub(crate) const NO_OBJECT: &str = "json-no-object";

struct JsonLines {
    options: Options,
    mapping: keys::Mapping,
    reader: Reader,
    items: Reader,
    wrapped: Wrapped,
}

impl JsonLines {
    /// `depth`: how many collectors' wrappings this one lies in.
    fn new(options: &Options, depth: u8) -> JsonLines {
        JsonLines {
            options: options.clone(),
            mapping: keys::mapping(options),
            reader: Reader::default(),
            items: Reader::default(),
            wrapped: Wrapped::new(depth),
        }
    }

    /// Reads the object at the text's start over `raw`; gives what follows it, its verdict, and its events.
    fn object<'a>(
        &mut self,
        raw: &str,
        text: &'a str,
        events: &mut Vec<Event>,
    ) -> Result<(&'a str, Verdict), JsonError> {
        let mut record = Record::new(&mut self.mapping, raw, self.options.timezone);
        let rest = self.reader.read(text, &mut record)?;
        let line = record.line.take();
        let mut event = record.finish();
        let verdict = match self.wrapped.unwrap(&self.options, &event, line.as_deref(), events) {
            Some(verdict) => verdict,
            None => {
                of_message(&mut event);
                events.push(event);
                Verdict::Parsed
            }
        };
        Ok((rest, verdict))
    }

    /// The lines of a stream as they are pushed to Loki, `{"stream":{"app":"crm"},"values":[["1772442847000000000","line"],...]}`: each as
    /// if a collector had put it into an object with the stream's labels. Nothing where the object has facts of its own.
    fn pushed(&mut self, object: &str, before: usize, events: &mut Vec<Event>) -> Option<Verdict> {
        let [event] = &events[before..] else { return None };
        if OWN.iter().any(|field| event.has(*field)) || memchr::memmem::find(object.as_bytes(), b"\"values\"").is_none()
        {
            return None;
        }
        let (mut labels, mut lines) = (None, None);
        each_object_value(&mut Reader::default(), object, |key, value| match (key, value) {
            ("stream", Value::Raw(inside)) => labels = inside.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')),
            ("values", Value::Raw(list)) if list.starts_with('[') => lines = Some(list),
            _ => {}
        })
        .ok()?;
        let (labels, lines) = (labels?, lines?);
        events.truncate(before);
        let (mut entries, mut inner) = (Reader::default(), Reader::default());
        let read = each_item(&mut entries, lines, |entry| {
            let Value::Raw(entry) = entry else { return };
            let mut parts = Vec::with_capacity(3);
            if each_item(&mut inner, entry, |part| parts.push(part.held())).is_err() || parts.len() < 2 {
                return;
            }
            let comma = if labels.trim_ascii().is_empty() { "" } else { "," };
            let whole = format!("{{{labels}{comma}\"time\":{:?},\"log\":{}}}", parts[0], serde_json::json!(parts[1]));
            let first = events.len();
            // Labels that are no JSON leave nothing to read the line by.
            let _ = self.object(entry, &whole, events);
            if let [event] = &mut events[first..]
                && event.others().any(|(name, _)| name == "log")
            {
                // Of no format: a message.
                event.remove_other("log");
                event.set_part(Field::Message, entry, &parts[1]);
            }
        });
        Some(if read.is_ok() && events.len() > before { Verdict::Parsed } else { Verdict::Skipped })
    }

    /// All values of a text. Only an object that stands alone has the whole record as its raw text.
    fn values(&mut self, record: &str, text: &str, depth: u8, events: &mut Vec<Event>) -> Result<Verdict, Fault> {
        let before = events.len();
        if text.starts_with('{') {
            let (after, verdict) = self.object(record, text, events)?;
            if between(after).is_empty() {
                if let Some(verdict) = self.pushed(text, before, events) {
                    return Ok(verdict);
                }
                let Some(inside) = enveloped(text, depth, &events[before..]) else { return Ok(verdict) };
                events.truncate(before);
                return self.values(inside, inside, depth + 1, events);
            }
            events.truncate(before);
        }
        // Several: each is cut out first, so that its event holds no more than itself.
        let mut objects: Vec<&str> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if !rest.starts_with(['{', '[']) {
                return Err(if rest.len() == text.len() { Fault::NoObject } else { Fault::Syntax });
            }
            let mut only_objects = true;
            rest = between(each_item(&mut self.items, rest, |item| match item {
                Value::Raw(item) if item.starts_with('{') => objects.push(item),
                _ => only_objects = false,
            })?);
            if !only_objects {
                return Err(Fault::NoObject);
            }
        }
        let mut verdict = Verdict::Skipped;
        for object in objects {
            let before = events.len();
            let mut one = self.object(object, object, events)?.1;
            if let Some(lines) = self.pushed(object, before, events) {
                one = lines;
            } else if let Some(inside) = enveloped(object, depth, &events[before..]) {
                events.truncate(before);
                one = self.values(inside, inside, depth + 1, events)?;
            }
            verdict = joined(verdict, one);
        }
        Ok(verdict)
    }
}

/// A key and its value; a flag has none.
pub(crate) type Pair<'a, 'k> = (&'k str, Option<Cow<'a, str>>);

/// Pairs of another syntax, read as if they were the keys and values of a JSON object.
pub(crate) struct Pairs {
    mapping: keys::Mapping,
    zone: chrono_tz::Tz,
}

impl Pairs {
    /// With the source's own mapping of keys.
    pub(crate) fn new(options: &Options) -> Pairs {
        Pairs { mapping: keys::mapping(options), zone: options.timezone }
    }

    /// The event of a record's pairs.
    pub(crate) fn event<'a, 'k>(&mut self, raw: &'a str, pairs: impl Iterator<Item = Pair<'a, 'k>>) -> Event {
        let mut record = Record::new(&mut self.mapping, raw, self.zone);
        for (key, value) in pairs {
            let value = match &value {
                Some(Cow::Borrowed(text)) => Value::Plain(text),
                Some(Cow::Owned(text)) => Value::Decoded(text),
                None => Value::Bool(true),
            };
            record.value(key, value, false);
        }
        record.finish()
    }

    /// The zone of stamps without an offset.
    pub(crate) fn zone(&self) -> chrono_tz::Tz {
        self.zone
    }
}

/// Longer messages are no sentence about who came in.
const SENTENCE: usize = 200;

/// `Login failed for mia`: where no key says what was done, a message counts that says what, and how it ended.
fn of_message(event: &mut Event) {
    if event.has(Field::EventAction) || event.has(Field::EventOutcome) {
        return;
    }
    let Some(message) = event.text(Field::Message).filter(|text| text.len() <= SENTENCE) else { return };
    // Most tell of something else: log in, sign out, authentication, password, export, download.
    let may = message.as_bytes().windows(3).any(|three| {
        let three = [three[0] | 0x20, three[1] | 0x20, three[2] | 0x20];
        matches!(&three, b"log" | b"sig" | b"aut" | b"ssw" | b"xpo" | b"nlo")
    });
    if may
        && let Some(outcome) = actions::outcome_of_phrase(message)
        && let Some(action) = actions::phrase(message)
    {
        actions::set_beside(event, action);
        event.set(Field::EventOutcome, outcome);
    }
}

/// Whether a key is one that programs without ECS commonly use, and means something by itself.
pub(crate) fn usual(key: &str) -> bool {
    keys::usual_names().any(|known| known == key)
}

/// The keys that mean something by themselves.
pub(crate) fn usual_names() -> impl Iterator<Item = &'static str> {
    keys::usual_names()
}

/// Where a text's first value is not JSON.
pub(crate) fn syntax(text: &str) -> Result<(), JsonError> {
    if !text.starts_with(['{', '[']) {
        return Err(JsonError { at: 0, problem: "neither a brace nor a bracket" });
    }
    each_item(&mut Reader::default(), text, |_| ()).map(drop)
}

/// Why a text is refused.
pub(crate) enum Fault {
    Syntax,
    Deep,
    NoObject,
}

impl From<JsonError> for Fault {
    fn from(error: JsonError) -> Fault {
        if error.problem == TOO_DEEP { Fault::Deep } else { Fault::Syntax }
    }
}

impl Fault {
    pub(crate) fn verdict(&self) -> Verdict {
        Verdict::Rejected(match self {
            Fault::Syntax => SYNTAX,
            Fault::Deep => DEEP,
            Fault::NoObject => NO_OBJECT,
        })
    }
}

/// What APIs call the list of their records.
const ENVELOPES: [&str; 13] = [
    "records",
    "value",
    "results",
    "events",
    "items",
    "data",
    "rows",
    "hits",
    // Loki's.
    "streams",
    // CloudWatch's subscriptions, and OpenTelemetry's.
    "logEvents",
    "resourceLogs",
    "scopeLogs",
    "logRecords",
];
/// Envelopes within envelopes beyond this are left as they are.
const MOST_ENVELOPES: u8 = 4;
/// Facts that only a record has.
const OWN: [Field; 5] = [Field::EventAction, Field::UserName, Field::SourceIp, Field::HttpMethod, Field::Message];

/// The records in a page of an API, `{"count":2,"records":[{...},{...}]}`; nothing where the object is a record itself, which has facts of
/// its own beside its list.
fn enveloped<'t>(text: &'t str, depth: u8, events: &[Event]) -> Option<&'t str> {
    let [event] = events else { return None };
    if depth == MOST_ENVELOPES {
        return None;
    }
    if OWN.iter().any(|field| event.has(*field)) || memchr::memmem::find(text.as_bytes(), b"{\"").is_none() {
        return None;
    }
    let mut list = None;
    each_object_value(&mut Reader::default(), text, |key, value| {
        if let Value::Raw(value) = value
            && ENVELOPES.contains(&key)
            && (value.strip_prefix('[').is_some_and(|inside| inside.trim_ascii_start().starts_with("{\""))
                || key == "hits" && value.starts_with('{'))
        {
            list = list.or(Some(value));
        }
    })
    .ok()?;
    list
}

/// The verdict over several objects: one parsed makes them parsed.
fn joined(sofar: Verdict, next: Verdict) -> Verdict {
    if sofar == Verdict::Parsed { sofar } else { next }
}

/// What stands between two values: blanks, the comma after an item whose array is spread over lines, its closing bracket.
fn between(text: &str) -> &str {
    text.trim_start_matches(|letter: char| letter.is_ascii_whitespace() || letter == ',')
}

/// The record without what frames it; nothing where nothing is left. A bracket alone begins or ends an array spread over lines.
pub(crate) fn body(record: &str) -> Option<&str> {
    let text = record
        .trim_start_matches('\u{feff}')
        .trim_matches(|letter: char| letter.is_ascii_whitespace() || letter == ',');
    (!matches!(text, "" | "[" | "]")).then_some(text)
}

/// Parses a record's values, once more with `\xHH` mended where it is not JSON.
pub(crate) fn with_repair(
    record: &str,
    events: &mut Vec<Event>,
    mut values: impl FnMut(&str, &mut Vec<Event>) -> Result<Verdict, Fault>,
) -> Verdict {
    let Some(text) = body(record) else { return Verdict::Skipped };
    let before = events.len();
    let fault = match values(text, events) {
        Ok(verdict) => return verdict,
        Err(fault) => fault,
    };
    events.truncate(before);
    if let Fault::Syntax = fault
        && let Some(mended) = repaired(text)
        && let Ok(verdict) = values(&mended, events)
    {
        return verdict;
    }
    events.truncate(before);
    fault.verdict()
}

/// How a JSON record ends. Only a line that stops where a value or key is still to come goes on in the next one: a line torn inside a
/// string by a crash must not swallow those after it. A bracket alone begins an array whose items follow line by line.
pub(crate) fn framing(line: &[u8]) -> Framing {
    let line = line.trim_ascii();
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    let opens = matches!(line.first(), Some(b'{' | b'['));
    let goes_on = matches!(line.last(), Some(b'{' | b'[' | b':' | b','));
    if opens && goes_on && line != b"[" && !closed(line) { Framing::Json } else { Framing::Lines }
}

/// Whether what a line opens is closed again in it: `{...},` is an item of an array that is spread over lines.
fn closed(line: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    depth == 0
}

fn sniff(text: &str) -> u8 {
    let Some(text) = body(text) else { return 0 };
    let mut inside = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    match (inside.next(), inside.next()) {
        (Some(b'{'), Some(b'"')) if text.ends_with('}') => 60,
        (Some(b'{'), Some(b'"')) => 45,
        (Some(b'['), Some(b'{')) => 55,
        (Some(b'{'), Some(b'}') | None) => 40,
        _ => 0,
    }
}

impl Grammar for JsonLines {
    fn framing(&self, line: &[u8]) -> Framing {
        framing(line)
    }

    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        with_repair(record, events, |text, events| self.values(record, text, 0, events))
    }

    fn state(&self) -> String {
        self.wrapped.state()
    }

    fn resume(&mut self, state: &str) {
        self.wrapped.resume(&self.options, state);
    }

    fn format(&self) -> &'static str {
        NAME
    }
}

#[cfg(test)]
mod tests;
