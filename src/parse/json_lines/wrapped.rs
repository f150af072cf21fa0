//! Lines of other programs that a collector put into JSON: `{"log":"line\n","stream":"stdout"}`, `{"message":"line"}`.
//! Unwrapped only where another format is sure of the line: a message that merely looks odd stays a message.

use crmwatch_detectors::{Event, Field, Value};

use super::{JsonLines, NAME};
use crate::parse::{FORMATS, Grammar, NO_TIME, Options, Verdict};

/// How sure a format has to be of a message inside another record.
const SURE: u8 = 65;
/// And the one that the lines before were of: its other lines may be of no clear looks.
const ALIKE: u8 = 40;
/// So sure of a line it is not asked which other format might be surer.
const CERTAIN: u8 = 90;
/// And of what stands under `log`, which is a line.
const LIKELY: u8 = 55;
/// Of a line only so much is looked at.
const LOOK: usize = 4_096;
/// Wrappings within wrappings beyond this are left as they are.
const DEPTH: u8 = 2;
/// No program writes a record shorter than this.
const SHORTEST: usize = 16;

pub(super) struct Wrapped {
    depth: u8,
    /// The grammar of the lines unwrapped so far, kept since it may remember a header.
    inner: Option<Box<dyn Grammar>>,
}

impl Wrapped {
    pub(super) fn new(depth: u8) -> Wrapped {
        Wrapped { depth, inner: None }
    }

    /// Reads the line a wrapper holds. Nothing where the event is none.
    pub(super) fn unwrap(
        &mut self,
        options: &Options,
        event: &Event,
        log: Option<&str>,
        events: &mut Vec<Event>,
    ) -> Option<Verdict> {
        // A record with facts of its own only quotes a line.
        let own = [Field::EventAction, Field::UserName, Field::SourceIp, Field::HttpMethod, Field::HttpStatus];
        let message = event.text(Field::Message).filter(|_| !own.iter().any(|field| event.has(*field)));
        let line =
            log.or(message).map(|line| line.trim_end_matches(['\n', '\r'])).filter(|line| line.len() >= SHORTEST)?;
        if self.depth >= DEPTH {
            return None;
        }
        let name = self.of(line, if log.is_some() { LIKELY } else { SURE })?;
        if self.inner.as_ref().is_none_or(|inner| inner.format() != name) {
            self.inner = Some(self.grammar(options, name)?);
        }
        let before = events.len();
        let verdict = self.inner.as_mut()?.parse(line, events);
        // What goes on from another record is a message of its own here: it came with a time and a host.
        if let Verdict::Rejected(_) | Verdict::Continuation = verdict {
            events.truncate(before);
            return None;
        }
        for inner in &mut events[before..] {
            if inner.time == NO_TIME {
                inner.time = event.time;
            }
            if !inner.has(Field::HostName)
                && let Some(host) = event.text(Field::HostName)
            {
                inner.set(Field::HostName, host);
            }
            let itself = |value: &Value<'_>| matches!(value, Value::Text(text) if text.starts_with(line));
            for (name, value) in event.others().filter(|(_, value)| !itself(value)) {
                inner.set_other(name, value);
            }
        }
        Some(verdict)
    }

    /// The format of a line: that of the lines before, unless another one is certain and it is not.
    fn of(&self, line: &str, least: u8) -> Option<&'static str> {
        let line = beginning(line);
        let Some(inner) = &self.inner else { return surest(line, least).map(|(_, name)| name) };
        let alike = crate::parse::format(inner.format()).map_or(0, |format| (format.sniff)(line));
        if alike >= CERTAIN {
            return Some(inner.format());
        }
        match surest(line, least) {
            Some((score, name)) if alike < ALIKE || score >= CERTAIN => Some(name),
            _ if alike >= ALIKE => Some(inner.format()),
            Some((_, name)) => Some(name),
            // A row looks like nothing without its heading.
            None => (!inner.state().is_empty()).then_some(inner.format()),
        }
    }

    fn grammar(&self, options: &Options, name: &str) -> Option<Box<dyn Grammar>> {
        if name == NAME {
            return Some(Box::new(JsonLines::new(options, self.depth + 1)));
        }
        crate::parse::format(name).map(|format| (format.grammar)(options))
    }

    pub(super) fn state(&self) -> String {
        self.inner.as_ref().map_or_else(String::new, |inner| format!("{}\n{}", inner.format(), inner.state()))
    }

    pub(super) fn resume(&mut self, options: &Options, state: &str) {
        let Some((name, state)) = state.split_once('\n').filter(|_| self.depth < DEPTH) else { return };
        self.inner = self.grammar(options, name);
        if let Some(inner) = &mut self.inner {
            inner.resume(state);
        }
    }
}

/// As much of a line as is looked at.
fn beginning(line: &str) -> &str {
    &line[..line.floor_char_boundary(LOOK)]
}

/// The format that is sure of a line, and how sure; JSON within JSON is taken by its braces.
fn surest(line: &str, least: u8) -> Option<(u8, &'static str)> {
    let surest = FORMATS.iter().map(|format| ((format.sniff)(line), format.name)).rev().max_by_key(|(score, _)| *score);
    surest.filter(|(score, _)| *score >= least).or_else(|| {
        (line.starts_with('{') && (line.ends_with('}') || line.len() + 3 >= LOOK)).then_some((LIKELY, NAME))
    })
}
