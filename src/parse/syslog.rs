//! Syslog as a carrier: takes the header off, gives the message to the grammar it is of, and adds what the header knows. A stream of syslog
//! is many logs, one for each program, so each has a grammar of its own. Not for the header's grammar (`syslog_header`).

use std::borrow::Cow;
use std::sync::LazyLock;

use crmwatch_detectors::event::Value;
use crmwatch_detectors::{Event, Field, Millis};
use memchr::memchr;
use serde::{Deserialize, Serialize};

use super::auto::Auto;
use super::syslog_header::{self, Header};
use super::time::YearClock;
use super::{FORMATS, Format, Framing, Grammar, NO_TIME, Options, Verdict, host_login, wrap};

/// As it stands in the configuration.
pub const NAME: &str = "syslog";

/// Syslog whose messages may be of any format.
pub const FORMAT: Format = Format {
    name: NAME,
    about: "syslog, RFC 3164 and RFC 5424, from files or the network; its messages may be of any other format",
    sniff,
    grammar: |options: &Options| Box::new(Syslog::strict(options)),
};

/// What a message may be of.
static MESSAGES: LazyLock<Vec<Format>> =
    LazyLock::new(|| FORMATS.iter().filter(|format| format.name != NAME).copied().collect());

/// Programs whose format is remembered; of more, the one not heard of for longest is told anew.
const PROGRAMS: usize = 32;

const NO_HEADER: &str = "no syslog header";

fn sniff(record: &str) -> u8 {
    match syslog_header::header(record, chrono_tz::Tz::UTC) {
        Some(header) if header.priority.is_some() => 97,
        // A stamp with names behind it may be any program's own format.
        Some(header) if record.as_bytes()[0].is_ascii_digit() => {
            if header.process.is_empty() {
                40
            } else {
                96
            }
        }
        Some(_) => 96,
        None => 0,
    }
}

/// Reads syslog in which every program may write a format of its own.
pub struct Syslog {
    options: Options,
    clock: YearClock,
    /// Programs of whose messages a format was sure, the last heard first.
    programs: Vec<(Box<str>, Auto)>,
    /// A record without a header is a message of its own.
    lenient: bool,
    started: bool,
    name: String,
}

#[derive(Serialize, Deserialize)]
struct State<'s> {
    /// A clock in its written form.
    year: String,
    #[serde(borrow)]
    programs: Vec<(Cow<'s, str>, Cow<'s, str>)>,
}

impl Syslog {
    /// For who finds out a file's format: what has no header is of another one.
    pub fn strict(options: &Options) -> Syslog {
        Syslog {
            options: options.clone(),
            clock: YearClock::of(options),
            programs: Vec::new(),
            lenient: false,
            started: false,
            name: String::new(),
        }
    }

    /// For who was told that it is syslog: a message without any header is one, too.
    pub fn lenient(options: &Options) -> Syslog {
        Syslog { lenient: true, ..Syslog::strict(options) }
    }

    fn auto(&self) -> Auto {
        Auto::among(&self.options, &MESSAGES)
    }

    /// The message in the format of its program.
    fn message(&mut self, program: &str, message: &str, events: &mut Vec<Event>) -> Verdict {
        if let Some(at) = self.programs.iter().position(|(name, _)| **name == *program) {
            self.programs[..=at].rotate_right(1);
            return self.programs[0].1.parse(message, events);
        }
        if is_prose(message) {
            return Verdict::Rejected(NO_HEADER);
        }
        let mut auto = self.auto();
        let verdict = auto.parse(message, events);
        if auto.has_chosen() {
            self.programs.truncate(PROGRAMS - 1);
            self.programs.insert(0, (program.into(), auto));
        }
        verdict
    }

    fn without_header(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let line = wrap::plain(record);
        if line.trim_ascii().is_empty() {
            return Verdict::Skipped;
        }
        if self.started && line.starts_with([' ', '\t']) {
            return Verdict::Continuation;
        }
        if !self.lenient {
            return Verdict::Rejected(NO_HEADER);
        }
        if self.message("", record, events) == Verdict::Parsed {
            return Verdict::Parsed;
        }
        events.push(plain(record, record));
        Verdict::Parsed
    }
}

impl Grammar for Syslog {
    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let before = events.len();
        let line = record.strip_prefix('\u{feff}').unwrap_or(record);
        let Some(header) = syslog_header::header(line, self.options.timezone) else {
            return self.without_header(record, events);
        };
        self.started = true;
        let (header, times) = repeated(header);
        let time = moment(&header, &mut self.clock, &self.options);
        // Any format is asked, and that is dear: only for another reading that is likely.
        let header = Header {
            behind_host: if has_product(header.behind_host) { header.behind_host } else { "" },
            behind_priority: if header.program.is_empty() { header.behind_priority } else { "" },
            ..header
        };
        let verdict = first_that_fits(&header, events, |text, events| self.message(header.program, text, events));
        if verdict == Verdict::Skipped && begins_a_table(header.message) {
            return Verdict::Skipped;
        }
        if verdict != Verdict::Parsed {
            // Whatever its program's format makes of it (a traceback's line, a remark): with a header it is a message of its own.
            events.truncate(before);
            let message = without_cookie(header.message);
            if message.trim_ascii().is_empty() {
                return Verdict::Skipped;
            }
            let mut event = plain(record, message);
            host_login::tell(&mut event, record, header.program, message);
            events.push(event);
        }
        for event in &mut events[before..] {
            add(event, record, &header, time, &mut self.name);
        }
        again(events, before, times);
        Verdict::Parsed
    }

    fn state(&self) -> String {
        if !self.started {
            return String::new();
        }
        let programs = self.programs.iter().map(|(name, auto)| (Cow::Borrowed(&**name), Cow::Owned(auto.state())));
        let state = State { year: self.clock.to_string(), programs: programs.collect() };
        serde_json::to_string(&state).unwrap_or_default()
    }

    fn resume(&mut self, state: &str) {
        let Ok(state) = serde_json::from_str::<State<'_>>(state) else { return };
        self.started = true;
        self.clock.resume(&state.year);
        self.programs.clear();
        for (name, state) in state.programs {
            let mut auto = self.auto();
            auto.resume(&state);
            self.programs.push((name.into(), auto));
        }
    }

    fn format(&self) -> &'static str {
        NAME
    }
}

/// Reads records of one format, with or without a syslog header.
pub struct Carried {
    options: Options,
    clock: YearClock,
    /// A stamp without a year came, so the year is worth keeping.
    dated: bool,
    /// What looks like a header may be part of the format: it is taken off only where the whole line is none.
    unless_whole: bool,
    grammar: Box<dyn Grammar>,
    name: String,
}

/// Before the state of the grammar, where a year stands there too.
const YEAR: &str = "syslog-year ";

impl Carried {
    /// Around a grammar.
    pub fn new(grammar: Box<dyn Grammar>, options: &Options) -> Carried {
        let clock = YearClock::of(options);
        Carried { options: options.clone(), clock, dated: false, unless_whole: false, grammar, name: String::new() }
    }

    /// Around a grammar of lines that may begin as a syslog header does.
    pub fn unless_whole(grammar: Box<dyn Grammar>, options: &Options) -> Carried {
        Carried { unless_whole: true, ..Carried::new(grammar, options) }
    }
}

impl Grammar for Carried {
    fn framing(&self, line: &[u8]) -> Framing {
        if syslog_header::may_begin(line) {
            let text = String::from_utf8_lossy(&line[..line.len().min(MOST_OF_A_HEADER)]);
            if syslog_header::header(&text, self.options.timezone).is_some() {
                return Framing::Lines;
            }
        }
        self.grammar.framing(line)
    }

    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let before = events.len();
        let mut whole = None;
        if self.unless_whole {
            let verdict = self.grammar.parse(record, events);
            if !matches!(verdict, Verdict::Rejected(_)) {
                return verdict;
            }
            events.truncate(before);
            whole = Some(verdict);
        }
        let line = record.strip_prefix('\u{feff}').unwrap_or(record);
        let Some(header) = syslog_header::header(line, self.options.timezone) else {
            return whole.unwrap_or_else(|| self.grammar.parse(record, events));
        };
        let (header, times) = repeated(header);
        let year = self.clock;
        let time = moment(&header, &mut self.clock, &self.options);
        let verdict = first_that_fits(&header, events, |text, events| self.grammar.parse(text, events));
        if verdict != Verdict::Parsed {
            return verdict;
        }
        self.dated |= self.clock != year;
        for event in &mut events[before..] {
            add(event, record, &header, time, &mut self.name);
        }
        again(events, before, times);
        verdict
    }

    fn state(&self) -> String {
        let state = self.grammar.state();
        if self.dated { format!("{YEAR}{}\n{state}", self.clock) } else { state }
    }

    fn resume(&mut self, state: &str) {
        let dated = state.strip_prefix(YEAR).and_then(|rest| rest.split_once('\n'));
        match dated {
            Some((year, state)) => {
                self.clock.resume(year);
                self.dated = true;
                if !state.is_empty() {
                    self.grammar.resume(state);
                }
            }
            None => self.grammar.resume(state),
        }
    }

    fn format(&self) -> &'static str {
        self.grammar.format()
    }
}

/// Of a line, so much tells whether it has a header.
const MOST_OF_A_HEADER: usize = 512;

fn moment(header: &Header<'_>, clock: &mut YearClock, options: &Options) -> Millis {
    header.stamp.and_then(|stamp| stamp.moment(clock, options.timezone)).unwrap_or(NO_TIME)
}

/// `message repeated 3 times: [ MESSAGE]`: what rsyslog writes instead of the same message again. The header of the message itself, and
/// how often it came.
fn repeated(header: Header<'_>) -> (Header<'_>, i64) {
    let inside = || {
        let (times, rest) = header.message.strip_prefix("message repeated ")?.split_once(" times: [")?;
        Some((rest.trim_ascii_end().strip_suffix(']')?.trim_ascii_start(), times.parse().ok()?))
    };
    match inside() {
        Some((message, times)) => (Header { message, behind_host: "", behind_priority: "", ..header }, times),
        None => (header, 1),
    }
}

/// Of what happened several times, so many events at most: a number is easily forged.
const MOST_TIMES: i64 = 32;

/// What a message says happened, as often as it came; a remark stands once.
fn again(events: &mut Vec<Event>, before: usize, times: i64) {
    if times < 2 {
        return;
    }
    for at in before..events.len() {
        events[at].set_other("log.syslog.repeated", Value::Integer(times));
        if events[at].text(Field::EventAction) != Some("info") {
            let copies = times.min(MOST_TIMES) - 1;
            events.extend(std::iter::repeat_n(events[at].clone(), usize::try_from(copies).unwrap_or(0)));
        }
    }
}

/// `@cee: ` says that JSON follows.
fn without_cookie(message: &str) -> &str {
    message.trim_ascii_start().strip_prefix("@cee:").map_or(message, str::trim_ascii_start)
}

/// Reads the message. Where it is none that way: with the word before it that may not have been a program's name, with the stamp that may
/// not have been the header's, with the line breaks that rsyslog wrote as `#012`.
fn first_that_fits(
    header: &Header<'_>,
    events: &mut Vec<Event>,
    mut read: impl FnMut(&str, &mut Vec<Event>) -> Verdict,
) -> Verdict {
    let before = events.len();
    let message = without_cookie(header.message);
    let verdict = read(message, events);
    if !matches!(verdict, Verdict::Rejected(_)) {
        return verdict;
    }
    for other in [header.behind_host, header.behind_priority] {
        if other.len() <= message.len() || is_prose(other) {
            continue;
        }
        events.truncate(before);
        if let Verdict::Parsed = read(other, events) {
            return Verdict::Parsed;
        }
    }
    events.truncate(before);
    if let Some(whole) = with_line_breaks(message)
        && let Verdict::Parsed = read(&whole, events)
    {
        return Verdict::Parsed;
    }
    events.truncate(before);
    verdict
}

/// With the control characters that rsyslog wrote as `#` and three octal digits.
fn with_line_breaks(message: &str) -> Option<String> {
    let mut rest = message;
    let mut out = String::new();
    while let Some(at) = memchr(b'#', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let code = match rest.as_bytes().get(at + 1..at + 4) {
            Some([b'0', tens @ b'0'..=b'3', ones @ b'0'..=b'7']) => Some((tens - b'0') * 8 + ones - b'0'),
            _ => None,
        };
        out.push(code.map_or('#', char::from));
        rest = &rest[at + if code.is_some() { 4 } else { 1 }..];
    }
    (out.len() + rest.len() < message.len()).then(|| out + rest)
}

/// Whether a message begins like a sentence, or like `pam_unix(sshd:session): `: then it is of no format, and none is asked, which is what
/// makes plain syslog cheap. Not if its first word holds more than that, or is a day's name, which begins a stamp.
fn is_prose(message: &str) -> bool {
    let of_a_word = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'(' | b')' | b'\'' | b',' | b':');
    let bytes = &message.as_bytes()[..message.len().min(LONGEST_WORD)];
    let end = bytes.iter().position(|byte| !of_a_word(byte)).unwrap_or(bytes.len());
    let word = &message[..end];
    if end < 2 || !matches!(bytes.get(end), None | Some(b' ')) {
        return false;
    }
    !(end == 3 && DAYS.contains(&word)
        || matches!(word, "CEF:" | "LEEF:")
        || has_product(message)
        || is_heading(message))
}

/// Whether a message that a format took without a word is the first row of its table, and no message of its own.
fn begins_a_table(message: &str) -> bool {
    message.trim_ascii_start().starts_with('"') || is_heading(message)
}

/// Names with commas between and no blank behind them: the first row of a table.
fn is_heading(message: &str) -> bool {
    let bytes = &message.as_bytes()[..message.len().min(MOST_OF_A_HEADER)];
    let between = memchr::memchr_iter(b',', bytes).filter(|at| bytes.get(at + 1).is_some_and(|next| *next != b' '));
    between.take(2).count() == 2 && !bytes.iter().any(u8::is_ascii_digit)
}

/// A longer word is none of a sentence.
const LONGEST_WORD: usize = 64;

/// Odoo's name for itself, where others write a program's.
fn has_product(message: &str) -> bool {
    message.starts_with("Odoo Server") || message.starts_with("OpenERP Server")
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// An event that only has its message.
pub(super) fn plain(record: &str, message: &str) -> Event {
    let mut event = Event::new(record);
    event.time = NO_TIME;
    event.set(Field::EventAction, "info");
    event.set(Field::EventType, "info");
    event.set(Field::EventOutcome, "unknown");
    event.set_part(Field::Message, record, message);
    event
}

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// What the header knows and the message does not. `name` is room to write names in.
fn add(event: &mut Event, record: &str, header: &Header<'_>, time: Millis, name: &mut String) {
    if event.raw().len() != record.len() {
        event.carried_in(record);
    }
    if event.time == NO_TIME {
        event.time = time;
    }
    if !super::absent(header.host) && !event.has(Field::HostName) {
        event.set_part(Field::HostName, record, header.host);
    }
    if !header.program.is_empty() && !event.has(Field::ProcessName) {
        event.set_part(Field::ProcessName, record, header.program);
    }
    if !header.process.is_empty() {
        match header.process.parse() {
            Ok(number) if !event.has(Field::ProcessPid) => event.set_integer(Field::ProcessPid, number),
            Ok(_) => {}
            Err(_) => event.set_other_part("log.syslog.procid", record, header.process),
        }
    }
    if let Some(priority) = header.priority {
        event.set_integer(Field::SyslogPriority, i64::from(priority));
        event.set_other("log.syslog.facility.name", Value::Text(FACILITIES[usize::from(priority >> 3)]));
        let severity = SEVERITIES[usize::from(priority & 7)];
        event.set_other("log.syslog.severity.name", Value::Text(severity));
        if !event.has(Field::LogLevel) {
            event.set(Field::LogLevel, severity);
        }
    }
    if !header.message_id.is_empty() {
        event.set_other_part("log.syslog.msgid", record, header.message_id);
    }
    if !header.data.is_empty() {
        syslog_header::parameters(header.data, |element, parameter, value| {
            name.clear();
            name.extend(["log.syslog.structured_data.", element, ".", parameter]);
            match value.contains('\\') {
                true => event.set_other(name, Value::Text(&without_escapes(value))),
                false => event.set_other_part(name, record, value),
            }
        });
    }
}

/// `\"`, `\\` and `\]` undone; any other backslash stands for itself.
fn without_escapes(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.as_bytes().first() {
            Some(b'"' | b'\\' | b']') => {
                out.push_str(&rest[..1]);
                rest = &rest[1..];
            }
            _ => out.push('\\'),
        }
    }
    out + rest
}

#[cfg(test)]
#[path = "syslog_tests.rs"]
mod tests;
