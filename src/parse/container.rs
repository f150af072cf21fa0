//! What container runtimes put around a program's lines, taken off before any format sees them: docker's json-file, Kubernetes' CRI,
//! docker compose's names. Not for syslog (`syslog`), nor for collectors' own JSON (`json_lines::wrapped`).

use std::borrow::Cow;

use chrono_tz::Tz;
use crmwatch_detectors::event::Value as Kept;
use crmwatch_detectors::{Event, Millis};
use memchr::{memchr, memmem};

use super::json::{Reader, Value, Visitor};
use super::{Framing, Grammar, NO_TIME, Verdict, json_lines, syslog, time, wrap};

/// A runtime cuts a line that is longer into several records.
const CUT: usize = 16 * 1024;
/// Of pieces that never end no more is held; what is there then is read as it is.
const MOST: usize = 1 << 20;

/// Reads what containers wrote in a format of its own.
pub(super) struct Contained {
    grammar: Box<dyn Grammar>,
    /// A line that is of no format is a message of its own: it came, and from whom is known.
    lenient: bool,
    /// What looks like a runtime's may be part of the format: it is taken off only where the whole record is none.
    whole_first: bool,
    /// The pieces so far of a line that a runtime cut, of standard output and of standard error.
    pieces: [String; 2],
    reader: Reader,
}

impl Contained {
    /// Around a grammar. `lenient`: nobody said of which format the lines are.
    pub(super) fn new(grammar: Box<dyn Grammar>, lenient: bool) -> Contained {
        Contained { grammar, lenient, whole_first: false, pieces: Default::default(), reader: Reader::default() }
    }

    /// Around a grammar of records that may begin as a runtime's do.
    pub(super) fn unless_whole(grammar: Box<dyn Grammar>) -> Contained {
        Contained { whole_first: true, ..Contained::new(grammar, false) }
    }

    /// A record as it is, without the mark that stands where one file was written behind another.
    fn bare(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let Some(text) = record.strip_prefix('\u{feff}') else { return self.grammar.parse(record, events) };
        let before = events.len();
        let verdict = self.grammar.parse(text, events);
        events[before..].iter_mut().for_each(|event| event.carried_in(record));
        verdict
    }

    /// The line in a record; nothing where no runtime wrote it.
    fn unwrap<'r>(&mut self, record: &'r str) -> Option<Line<'r>> {
        let text = record.strip_prefix('\u{feff}').unwrap_or(record);
        match text.as_bytes().first()? {
            b'0'..=b'9' => cri(text).or_else(|| stamped(text)).or_else(|| composed(text)),
            b'[' => of_a_pod(text),
            // A JSON source unwraps it itself, and what is no JSON in it, too.
            b'{' if self.grammar.format() != json_lines::NAME && is_docker(text.as_bytes()) => {
                docker(&mut self.reader, text)
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x1b => composed(text),
            _ => None,
        }
    }
}

/// A program's line, and what its runtime says of it.
#[derive(Default)]
struct Line<'r> {
    text: Cow<'r, str>,
    time: Option<Millis>,
    stream: &'r str,
    /// More of it comes in the next record of the stream.
    cut: bool,
    /// What else stands beside it.
    others: Vec<(String, Cow<'r, str>)>,
}

/// `2026-03-02T09:14:07.123456789Z stdout F message`; `P` for `F`: a piece.
fn cri(text: &str) -> Option<Line<'_>> {
    let bytes = text.as_bytes();
    let blank = memchr(b' ', &bytes[..bytes.len().min(40)])?;
    let rest = &text[blank + 1..];
    let stream = rest.get(..6).filter(|word| matches!(*word, "stdout" | "stderr"))?;
    let rest = rest[6..].strip_prefix(' ')?;
    let (tag, message) = rest.split_once(' ').unwrap_or((rest, ""));
    let cut = match tag.split(':').next() {
        Some("F") => false,
        Some("P") => true,
        _ => return None,
    };
    let (time, "") = time::iso_prefix(&text[..blank], Tz::UTC)? else { return None };
    Some(Line { text: Cow::Borrowed(message), time: Some(time), stream, cut, ..Line::default() })
}

/// `2026-03-02T09:14:07.123456789Z line`: what `docker logs -t` and `kubectl logs --timestamps` put in front, always with nine digits.
fn stamped(text: &str) -> Option<Line<'_>> {
    let bytes = text.as_bytes();
    let nine = bytes.get(19) == Some(&b'.') && bytes.get(20..29)?.iter().all(u8::is_ascii_digit);
    if !nine || bytes[10] != b'T' || !matches!(bytes.get(29), Some(b'Z' | b'+' | b'-')) {
        return None;
    }
    let (stamp, line) = text.split_once(' ')?;
    let (time, "") = time::iso_prefix(stamp, Tz::UTC)? else { return None };
    Some(Line { text: Cow::Borrowed(line), time: Some(time), ..Line::default() })
}

/// `[pod/name/container] line`: what `kubectl logs --prefix` puts in front.
fn of_a_pod(text: &str) -> Option<Line<'_>> {
    let (name, line) = text.strip_prefix("[pod/")?.split_once("] ")?;
    if name.len() > MOST_OF_A_NAME || name.contains(' ') {
        return None;
    }
    let inner = stamped(line).unwrap_or(Line { text: Cow::Borrowed(line), ..Line::default() });
    Some(Line { others: vec![("kubernetes.pod".to_owned(), Cow::Borrowed(name))], ..inner })
}

/// A pod's and its container's name.
const MOST_OF_A_NAME: usize = 330;

/// `name-1  | line`, also with the name in colour.
fn composed(text: &str) -> Option<Line<'_>> {
    if !text.starts_with('\u{1b}') {
        return wrap::compose(text).map(|line| Line { text: Cow::Borrowed(line), ..Line::default() });
    }
    let plain = wrap::plain(text);
    let line = wrap::compose(&plain)?;
    Some(Line { text: Cow::Owned(line.to_owned()), ..Line::default() })
}

/// What docker writes begins so and says which stream it was.
fn is_docker(line: &[u8]) -> bool {
    line.starts_with(b"{\"log\":\"") && memmem::find(line, b"\"stream\":\"std").is_some()
}

/// `{"log":"line\n","stream":"stdout","time":"..."}`, with labels and attributes beside.
fn docker<'r>(reader: &mut Reader, text: &'r str) -> Option<Line<'r>> {
    let mut entry = Entry::default();
    let rest = reader.read(text, &mut entry).ok()?;
    let line = entry.log.filter(|_| rest.trim_ascii().is_empty())?;
    let ended = line.ends_with('\n');
    let text = match line {
        Cow::Borrowed(line) => Cow::Borrowed(line.trim_end_matches(['\n', '\r'])),
        Cow::Owned(mut line) => {
            line.truncate(line.trim_end_matches(['\n', '\r']).len());
            Cow::Owned(line)
        }
    };
    let cut = !ended && text.len() >= CUT;
    Some(Line { text, time: entry.time, stream: entry.stream, cut, others: entry.others })
}

/// The values of docker's object.
#[derive(Default)]
struct Entry<'r> {
    log: Option<Cow<'r, str>>,
    stream: &'static str,
    time: Option<Millis>,
    others: Vec<(String, Cow<'r, str>)>,
}

impl<'r> Visitor<'r> for Entry<'r> {
    fn value(&mut self, path: &str, value: Value<'r, '_>, _listed: bool) {
        match path {
            "log" => self.log = Some(value.held()),
            "stream" => self.stream = if value.text() == "stderr" { "stderr" } else { "stdout" },
            "time" => self.time = time::iso(value.text(), Tz::UTC),
            _ if !super::absent(value.text()) => self.others.push((path.to_owned(), value.held())),
            _ => {}
        }
    }
}

impl Grammar for Contained {
    fn framing(&self, line: &[u8]) -> Framing {
        if self.whole_first {
            return self.grammar.framing(line);
        }
        // A runtime writes one line a record, whatever the line itself would begin.
        let head = &line[..line.len().min(100)];
        let contained = match head.first() {
            Some(b'0'..=b'9') => memmem::find(head, b" std").is_some() && is_cri(head),
            Some(b'{') => is_docker(line),
            Some(0x1b | b'a'..=b'z' | b'A'..=b'Z' | b'_') if memchr(b'|', head).is_some() => {
                composed(&String::from_utf8_lossy(head)).is_some()
            }
            _ => false,
        };
        if contained { Framing::Lines } else { self.grammar.framing(line) }
    }

    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let before = events.len();
        if self.whole_first {
            let verdict = self.bare(record, events);
            if !matches!(verdict, Verdict::Rejected(_)) {
                return verdict;
            }
            events.truncate(before);
        }
        let Some(line) = self.unwrap(record) else { return self.bare(record, events) };
        let pieces = &mut self.pieces[usize::from(line.stream == "stderr")];
        if line.cut && pieces.len() + line.text.len() <= MOST {
            pieces.push_str(&line.text);
            return Verdict::Skipped;
        }
        let joined = !pieces.is_empty();
        let whole = if joined { Cow::Owned(std::mem::take(pieces) + &line.text) } else { Cow::Borrowed(&*line.text) };
        let text = &*whole;
        let mut verdict = self.grammar.parse(text, events);
        if self.lenient && matches!(verdict, Verdict::Rejected(_)) {
            events.truncate(before);
            if text.trim_ascii().is_empty() {
                return Verdict::Skipped;
            }
            events.push(syslog::plain(text, text));
            verdict = Verdict::Parsed;
        }
        for event in &mut events[before..] {
            // Of pieces, the whole line says more than the last record.
            if !joined && event.raw().len() != record.len() {
                event.carried_in(record);
            }
            if event.time == NO_TIME
                && let Some(time) = line.time
            {
                event.time = time;
            }
            if !line.stream.is_empty() {
                event.set_other("stream", Kept::Text(line.stream));
            }
            for (name, value) in &line.others {
                event.set_other(name, Kept::Text(value));
            }
        }
        verdict
    }

    fn state(&self) -> String {
        let state = self.grammar.state();
        if self.pieces.iter().all(String::is_empty) {
            return state;
        }
        let pieces = serde_json::to_string(&self.pieces).unwrap_or_default();
        format!("{PIECES}{pieces}\n{state}")
    }

    fn resume(&mut self, state: &str) {
        let held = state.strip_prefix(PIECES).and_then(|rest| rest.split_once('\n'));
        let Some((pieces, state)) = held else { return self.grammar.resume(state) };
        self.pieces = serde_json::from_str(pieces).unwrap_or_default();
        if !state.is_empty() {
            self.grammar.resume(state);
        }
    }

    fn format(&self) -> &'static str {
        self.grammar.format()
    }

    fn explain(&mut self) {
        self.grammar.explain();
    }

    fn choice(&mut self) -> Option<super::explain::Choice> {
        self.grammar.choice()
    }
}

/// Before the state of the grammar, where pieces of a line are held.
const PIECES: &str = "pieces ";

/// As [`cri`], of a line's beginning.
fn is_cri(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    cri(&text).is_some()
}

#[cfg(test)]
#[path = "container_tests.rs"]
mod tests;
