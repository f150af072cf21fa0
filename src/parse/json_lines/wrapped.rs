//! Lines of other programs that a collector put into JSON: `{"log":"line\n","stream":"stdout"}`, `{"message":"line"}`.
//! Unwrapped only where another format is sure of the line: a message that merely looks odd stays a message.

use crmwatch_detectors::{Event, Field};

use super::{JsonLines, NAME};
use crate::parse::{FORMATS, Grammar, NO_TIME, Options, Verdict};

/// How sure a format has to be of a message inside another record.
const SURE: u8 = 80;
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
        let name = surest(line, if log.is_some() { LIKELY } else { SURE })?;
        if self.inner.as_ref().is_none_or(|inner| inner.format() != name) {
            self.inner = Some(self.grammar(options, name)?);
        }
        let before = events.len();
        let verdict = self.inner.as_mut()?.parse(line, events);
        if let Verdict::Rejected(_) = verdict {
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
            for (name, value) in event.others().filter(|(name, _)| *name != "log") {
                inner.set_other(name, value);
            }
        }
        Some(verdict)
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

/// The format that is sure of a line; JSON within JSON is taken by its braces.
fn surest(line: &str, least: u8) -> Option<&'static str> {
    let end = (0..=line.len().min(LOOK)).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
    let line = &line[..end];
    let surest = FORMATS.iter().map(|format| ((format.sniff)(line), format.name)).rev().max_by_key(|(score, _)| *score);
    match surest {
        Some((score, name)) if score >= least => Some(name),
        _ => (line.starts_with('{') && (line.ends_with('}') || end == LOOK)).then_some(NAME),
    }
}
