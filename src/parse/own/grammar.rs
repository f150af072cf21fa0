//! Reads lines in an operator's own format. Values go the way of a JSON record's keys, so that a user, an address or a request means here
//! what it means there. Not for finding the values in a line (`pattern`, `captures`), nor for
//! saying where one fails (`miss`).

use std::borrow::Cow;
use std::sync::Arc;

use crmwatch_detectors::field::Kind;
use crmwatch_detectors::{Event, Field, Millis};

use super::stamp::Form;
use super::{Meaning, OwnFormat, Shape, meaning};
use crate::parse::json_lines::{self, Pairs};
use crate::parse::syslog::Carried;
use crate::parse::time::YearClock;
use crate::parse::{Framing, Grammar, NO_TIME, Options, Verdict, absent, actions, ip, wrap};

/// Said of a line that does not fit the pattern or the expression.
const LINE: &str = "own-line";
/// Said of a line whose time is not written as the format says.
const TIME: &str = "own-time";
/// Said of a line in which something else stands where a number should.
const NUMBER: &str = "own-number";

/// Starts reading a file in the format, with or without a syslog header around each line.
pub fn grammar(format: &Arc<OwnFormat>, options: &Options) -> Box<dyn Grammar> {
    let own = Own::new(format, options);
    Box::new(Carried::unless_whole(Box::new(own), options))
}

pub(super) struct Own {
    format: Arc<OwnFormat>,
    options: Options,
    clock: YearClock,
    /// A stamp without a year came, so the year is worth keeping.
    dated: bool,
    started: bool,
    reading: Reading,
}

enum Reading {
    /// Each variable or capture: its field, where it is of one whose values have a form.
    Values {
        pairs: Pairs,
        kinds: Vec<Option<Field>>,
    },
    Json(Box<dyn Grammar>),
}

impl Own {
    pub(super) fn new(format: &Arc<OwnFormat>, options: &Options) -> Own {
        let mut options = options.clone();
        options.mapping.extend(format.mapping.clone());
        let kinds = |names: &mut dyn Iterator<Item = &str>| {
            let kind = |name| match meaning(name) {
                Some(Meaning::Field(field)) if matches!(field.kind(), Kind::Integer | Kind::Float) => Some(field),
                _ => None,
            };
            names.map(kind).collect()
        };
        let reading = match &format.shape {
            Shape::Pattern(pattern) => {
                Reading::Values { pairs: Pairs::new(&options), kinds: kinds(&mut pattern.names()) }
            }
            Shape::Captures(captures) => {
                Reading::Values { pairs: Pairs::new(&options), kinds: kinds(&mut captures.names()) }
            }
            Shape::Json => {
                // A value that the table or the time asks for is kept under its own key, too.
                let asked =
                    format.actions.iter().map(|rule| &rule.value).chain(format.time.as_ref().map(|(key, _)| key));
                let mapped = |key: &&String| format.mapping.values().any(|known| known == *key);
                for key in asked.filter(|key| Field::from_name(key).is_none() && !mapped(key)) {
                    options.mapping.entry(key.clone()).or_insert_with(|| key.clone());
                }
                Reading::Json((json_lines::FORMAT.grammar)(&options))
            }
        };
        let clock = YearClock::of(&options);
        Own { format: format.clone(), options, clock, dated: false, started: false, reading }
    }

    fn time(&mut self, form: &Form, text: &str) -> Option<Millis> {
        let before = self.clock;
        let time = form.read(text.trim(), self.options.timezone, &mut self.clock);
        self.dated |= self.clock != before;
        time
    }

    /// A line's values, in which numbers are numbers and the time is one.
    fn values(&mut self, line: &str, events: &mut Vec<Event>) -> Verdict {
        let format = self.format.clone();
        let mut values: Vec<Option<&str>> = Vec::with_capacity(16);
        let names: &mut dyn Iterator<Item = &str> = match &format.shape {
            Shape::Pattern(pattern) => {
                if pattern.read(line, &mut values).is_err() {
                    return Verdict::Rejected(LINE);
                }
                &mut pattern.names()
            }
            Shape::Captures(captures) => {
                if !captures.read(line, &mut values) {
                    return Verdict::Rejected(LINE);
                }
                &mut captures.names()
            }
            Shape::Json => return Verdict::Rejected(LINE),
        };
        let mut time = None;
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(values.len());
        for (name, value) in names.zip(&values) {
            let Some(value) = *value else { continue };
            match &format.time {
                Some((of_time, form)) if of_time == name => match self.time(form, value) {
                    Some(read) => time = Some(read),
                    None => return Verdict::Rejected(TIME),
                },
                _ if name.starts_with('_') => {}
                _ => pairs.push((name, value)),
            }
        }
        let Reading::Values { pairs: reader, kinds } = &mut self.reading else { return Verdict::Rejected(LINE) };
        if kinds.iter().zip(&values).any(|(kind, value)| kind.is_some() && value.is_some_and(|value| !is_number(value)))
        {
            return Verdict::Rejected(NUMBER);
        }
        let named = pairs.iter().map(|(name, value)| (*name, Some(Cow::Borrowed(*value))));
        let mut event = reader.event(line, named);
        event.time = time.unwrap_or(event.time);
        let value = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        finish(&format, &mut event, value);
        events.push(event);
        Verdict::Parsed
    }

    fn json(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let Reading::Json(grammar) = &mut self.reading else { return Verdict::Rejected(LINE) };
        let before = events.len();
        let verdict = grammar.parse(record, events);
        let format = self.format.clone();
        for event in &mut events[before..] {
            if let Some((key, form)) = &format.time {
                let text = of_key(&format, event, key);
                let time = text.as_ref().and_then(|text| self.time(form, text));
                if time.is_none() && (text.is_some() || event.time == NO_TIME) {
                    return Verdict::Rejected(TIME);
                }
                event.time = time.unwrap_or(event.time);
                event.remove_other(key);
            }
            let values: Vec<(&str, Option<String>)> =
                format.actions.iter().map(|rule| (rule.value.as_str(), of_key(&format, event, &rule.value))).collect();
            let value = |name: &str| values.iter().find(|(known, _)| *known == name)?.1.clone();
            finish(&format, event, value);
        }
        verdict
    }
}

/// What an event holds of a JSON key.
fn of_key(format: &OwnFormat, event: &Event, key: &str) -> Option<String> {
    let mapped = || {
        let (name, _) = format.mapping.iter().find(|(_, mapped)| *mapped == key)?;
        event.named(name)
    };
    event.named(key).or_else(mapped).map(|value| value.to_string())
}

/// Gives the event what table and defaults say. `value`: a value of the line by its name.
fn finish(format: &OwnFormat, event: &mut Event, value: impl Fn(&str) -> Option<String>) {
    let (mut action, mut outcome) = (None, None);
    for rule in &format.actions {
        let text = value(&rule.value).or_else(|| event.named(&rule.value).map(|value| value.to_string()));
        if text.is_some_and(|text| rule.test.holds(&text)) {
            action = action.or(rule.action);
            outcome = outcome.or(rule.outcome);
        }
    }
    if let Some(action) = action {
        actions::set_known(event, action);
    }
    if let Some(outcome) = outcome {
        event.set(Field::EventOutcome, outcome);
    }
    for (field, text) in &format.defaults {
        if !event.has(*field) {
            set(event, *field, text);
        }
    }
    if !event.has(Field::EventAction) {
        actions::set(event, "info");
    }
    if !event.has(Field::EventOutcome) {
        event.set(Field::EventOutcome, "unknown");
    }
    if !event.has(Field::EventProvider) {
        event.set(Field::EventProvider, format.name);
    }
}

/// Sets a default, which was checked to be of the field's kind.
fn set(event: &mut Event, field: Field, text: &str) {
    match field.kind() {
        Kind::Integer => event.set_integer(field, text.parse().unwrap_or_default()),
        Kind::Float => event.set_float(field, text.parse().unwrap_or_default()),
        Kind::Bool => event.set_bool(field, text == "true"),
        Kind::Ip => {
            if let Some((address, _port)) = ip::address(text) {
                event.set_ip(field, address);
            }
        }
        _ if field == Field::EventAction => actions::set_beside(event, text),
        _ => event.set(field, text),
    }
}

pub(super) fn is_number(value: &str) -> bool {
    absent(value.trim()) || value.trim().parse::<f64>().is_ok_and(f64::is_finite)
}

impl Grammar for Own {
    fn framing(&self, line: &[u8]) -> Framing {
        match &self.reading {
            Reading::Json(grammar) => grammar.framing(line),
            Reading::Values { .. } => Framing::Lines,
        }
    }

    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let before = events.len();
        let line = wrap::plain(record);
        if line.trim_ascii().is_empty() {
            return Verdict::Skipped;
        }
        let verdict = match self.reading {
            Reading::Json(_) => self.json(record, events),
            Reading::Values { .. } => self.values(&line, events),
        };
        match verdict {
            Verdict::Parsed => {
                self.started = true;
                for event in &mut events[before..] {
                    // Colours and a byte order mark were taken off: the event keeps the record as it stands.
                    if event.raw().len() != record.len() && line.len() != record.len() {
                        event.carried_in(record);
                    }
                }
            }
            Verdict::Rejected(_) => {
                events.truncate(before);
                // The lines of a traceback, or of a message with line breaks.
                if self.started && line.starts_with([' ', '\t']) && !matches!(self.reading, Reading::Json(_)) {
                    return Verdict::Continuation;
                }
            }
            _ => {}
        }
        verdict
    }

    fn state(&self) -> String {
        let inner = match &self.reading {
            Reading::Json(grammar) => grammar.state(),
            Reading::Values { .. } => String::new(),
        };
        if !self.started && !self.dated && inner.is_empty() {
            return String::new();
        }
        let year = if self.dated { self.clock.to_string() } else { "-".to_owned() };
        format!("{} {year}\n{inner}", u8::from(self.started))
    }

    fn resume(&mut self, state: &str) {
        let Some((head, inner)) = state.split_once('\n') else { return };
        let (started, year) = head.split_once(' ').unwrap_or((head, "-"));
        self.started = started == "1";
        self.dated |= self.clock.resume(year);
        if let Reading::Json(grammar) = &mut self.reading
            && !inner.is_empty()
        {
            grammar.resume(inner);
        }
    }

    fn format(&self) -> &'static str {
        self.format.name
    }
}
