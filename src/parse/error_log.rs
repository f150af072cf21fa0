//! The error logs of nginx and Apache: who was refused a login by the web server itself, and everything else as `info`.
//! Not for access logs (`clf`); the same requests stand there, so nothing here counts as one.
//!
//! A user's name may hold anything, also a forged tail or a second `[client …]`: nginx's tail counts only if it reads to the line's end,
//! Apache's client only directly behind the prefix, and a name ends at the last phrase that can follow one.

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field, Millis};
use memchr::memmem;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_while1};
use nom::character::complete::{char, digit1};
use nom::combinator::{opt, recognize};
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

use super::{Format, Grammar, NO_TIME, Options, Verdict, actions, ip, target, time, wrap};

/// nginx's error log.
pub const NGINX: Format = Format {
    name: "nginx-error",
    about: "nginx error log: failed logins of its own password files, requests refused",
    sniff: |record| 95 * u8::from(nginx(record, Tz::UTC).is_some()),
    grammar: |options: &Options| Box::new(ErrorLog::new(options, "nginx-error", nginx)),
};

/// Apache's error log.
pub const APACHE: Format = Format {
    name: "apache-error",
    about: "Apache error log, 2.2 and 2.4: failed logins of its own password files, requests refused",
    sniff: |record| 95 * u8::from(apache(record, Tz::UTC).is_some()),
    grammar: |options: &Options| Box::new(ErrorLog::new(options, "apache-error", apache)),
};

struct ErrorLog {
    zone: Tz,
    name: &'static str,
    entry: fn(&str, Tz) -> Option<Entry<'_>>,
    /// An entry came before, so a trace may go on from it.
    started: bool,
}

impl ErrorLog {
    fn new(options: &Options, name: &'static str, entry: fn(&str, Tz) -> Option<Entry<'_>>) -> ErrorLog {
        ErrorLog { zone: options.timezone, name, entry, started: false }
    }
}

/// Whether a line without a head is part of a trace that PHP wrote through the server: `#0 /x.php(7): y()`, `  thrown in ...`.
fn of_a_trace(line: &str) -> bool {
    match line.as_bytes() {
        [b' ' | b'\t', ..] | [b'#', b'0'..=b'9', ..] => true,
        _ => ["Stack trace:", "PHP message:", "PHP ", "Next "].iter().any(|start| line.starts_with(start)),
    }
}

/// The parts of an entry, as they stand in it; empty where there is none.
#[derive(Debug, Default, PartialEq)]
struct Entry<'l> {
    time: Millis,
    level: &'l str,
    module: &'l str,
    pid: &'l str,
    client: &'l str,
    message: &'l str,
    /// nginx: what stands behind the message.
    pairs: Vec<(&'l str, &'l str)>,
    referrer: &'l str,
}

impl Grammar for ErrorLog {
    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let line = wrap::plain(record);
        if line.trim_ascii().is_empty() {
            return Verdict::Skipped;
        }
        let Some(entry) = (self.entry)(&line, self.zone) else {
            return if self.started && of_a_trace(&line) {
                Verdict::Continuation
            } else {
                Verdict::Rejected("no error log entry")
            };
        };
        self.started = true;
        let mut event = Event::new(record);
        event.time = entry.time;
        tell(&mut event, record, &entry);
        events.push(event);
        Verdict::Parsed
    }

    fn state(&self) -> String {
        if self.started { "started".to_owned() } else { String::new() }
    }

    fn resume(&mut self, state: &str) {
        self.started = state == "started";
    }

    fn format(&self) -> &'static str {
        self.name
    }
}

/// `2026/03/02 09:14:07 [error] 7#7: *17 MESSAGE, client: IP, server: NAME, request: "…", host: "…"`
fn nginx(line: &str, zone: Tz) -> Option<Entry<'_>> {
    let line = bare(line)?;
    let (time, rest) = time::iso_prefix(line, zone)?;
    let (rest, (level, pid)) = nginx_head(rest).ok()?;
    let mut entry = Entry { time, level, pid, message: rest.trim_ascii_end(), ..Entry::default() };
    for at in memmem::find_iter(rest.as_bytes(), b", client: ").take(MAX_TAILS) {
        if let Some(pairs) = tail(rest[at..].trim_ascii_end()).filter(|pairs| ip::address(pairs[0].1).is_some()) {
            (entry.message, entry.client) = (&rest[..at], pairs[0].1);
            entry.pairs = pairs;
            break;
        }
    }
    Some(entry)
}

/// The entry without the host and the name that a syslog sender put before it; the stamp is the entry's own.
fn bare(line: &str) -> Option<&str> {
    let begins = |at: &usize| matches!(line.as_bytes().get(*at + 4), Some(b'/')) && line.is_char_boundary(*at);
    let behind_names = memmem::find_iter(line.as_bytes(), b": ").map(|at| at + 2).take_while(|at| *at < MAX_NAMES);
    std::iter::once(0).chain(behind_names).find(begins).map(|at| &line[at..])
}

/// Bytes of host and program before an entry.
const MAX_NAMES: usize = 120;
/// Places where nginx's tail may begin; a name that forges more of them hides the address, not the entry.
const MAX_TAILS: usize = 16;
/// The server writes eight.
const MAX_PAIRS: usize = 16;

fn nginx_head(input: &str) -> IResult<&str, (&str, &str)> {
    let level = delimited(tag(" ["), take_while1(|one: char| one.is_ascii_lowercase()), tag("] "));
    let process = terminated(digit1, (char('#'), digit1, tag(": ")));
    let connection = opt((char('*'), digit1, char(' ')));
    terminated((level, process), connection).parse(input)
}

/// The tail, if it reads to the line's end.
fn tail(mut rest: &str) -> Option<Vec<(&str, &str)>> {
    let mut pairs = Vec::new();
    while !rest.is_empty() && pairs.len() < MAX_PAIRS {
        let (after, pair) = pair(rest).ok()?;
        pairs.push(pair);
        rest = after;
    }
    rest.is_empty().then_some(pairs)
}

fn pair(input: &str) -> IResult<&str, (&str, &str)> {
    let key = delimited(tag(", "), take_while1(|one: char| one.is_ascii_lowercase()), tag(": "));
    let quoted = delimited(char('"'), take_till(|one| one == '"'), char('"'));
    (key, alt((quoted, take_till(|one| one == ',')))).parse(input)
}

/// `[Mon Mar 02 09:14:07.123456 2026] [auth_basic:error] [pid 7:tid 9] [client IP:PORT] AH01617: MESSAGE, referer: URL`
fn apache(line: &str, zone: Tz) -> Option<Entry<'_>> {
    if is_numbered(line) {
        return Some(Entry { time: NO_TIME, message: line, ..Entry::default() });
    }
    let (rest, first) = bracketed(line).ok()?;
    let mut entry = Entry::default();
    let (mut rest, level) = match stamped(first, zone) {
        Some(time) => {
            entry.time = time;
            preceded(char(' '), bracketed).parse(rest).ok()?
        }
        // To syslog Apache writes no stamp; the process or client behind the level tells its entry from others that begin with a bracket.
        None => {
            entry.time = NO_TIME;
            let of_2_2 = rest.starts_with(" [client ") && !first.contains(' ');
            (of_2_2 || rest.starts_with(" [pid ") && first.contains(':')).then_some((rest, first))?
        }
    };
    (entry.module, entry.level) = level.split_once(':').unwrap_or(("", level));
    if let Ok((after, pid)) = process(rest) {
        (rest, entry.pid) = (after, pid);
    }
    if let Ok((after, _)) = source_file(rest)
        && after.starts_with(" [client ")
    {
        rest = after;
    }
    // An error of the system stands before the client it came about.
    let os_error = rest.starts_with(" (").then(|| memmem::find(rest.as_bytes(), b": [client ")).flatten();
    if let Ok((after, found)) = client(os_error.map_or(rest, |at| &rest[at + 1..])) {
        (rest, entry.client) = (after, found);
    }
    let message = rest.trim_ascii();
    (entry.message, entry.referrer) = match memmem::rfind(message.as_bytes(), b", referer: ") {
        Some(at) => (&message[..at], &message[at + 11..]),
        None => (message, ""),
    };
    Some(entry)
}

/// `AH00558: httpd: ...`: what is said before the log is open has no head.
fn is_numbered(line: &str) -> bool {
    line.strip_prefix("AH")
        .and_then(|rest| rest.split_once(": "))
        .is_some_and(|(number, _)| number.len() == 5 && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// ` mod_rewrite.c(470):`: where in the server's source a trace was written.
fn source_file(input: &str) -> IResult<&str, &str> {
    let name = take_while1(|one: char| one.is_ascii_alphanumeric() || one == '_');
    recognize((char(' '), name, tag(".c("), digit1, tag("):"))).parse(input)
}

/// ` [pid 7:tid 9]`
fn process(input: &str) -> IResult<&str, &str> {
    delimited(tag(" [pid "), digit1, (take_till(|one| one == ']'), char(']'))).parse(input)
}

/// ` [client 203.0.113.7:4711]`, ` [client [2001:db8::7]:4711]`
fn client(input: &str) -> IResult<&str, &str> {
    fn inner(input: &str) -> IResult<&str, &str> {
        take_till(|one| one == ']').parse(input)
    }
    let in_brackets = recognize((char('['), inner, char(']'), inner));
    delimited(tag(" [client "), alt((in_brackets, inner)), char(']')).parse(input)
}

fn bracketed(input: &str) -> IResult<&str, &str> {
    delimited(char('['), take_till(|one| one == ']'), char(']')).parse(input)
}

/// `Mon Mar 02 09:14:07.123456 2026`; 2.2 has no fraction.
/// `%{cu}t` in the server's `ErrorLogFormat` makes it ISO 8601, others make it that of an access log.
fn stamped(stamp: &str, zone: Tz) -> Option<Millis> {
    if let Some(time) = time::iso(stamp, zone).or_else(|| time::clf(stamp, zone)) {
        return Some(time);
    }
    let (clock, after) = (stamp.get(..19)?, stamp.get(19..)?);
    let (fraction, year) = after.split_once(' ')?;
    let whole = format!("{clock} {year}");
    let (time, rest) = time::ctime_prefix(&whole, zone)?;
    let digits = fraction.strip_prefix('.').unwrap_or_default();
    let millis = format!("{digits:0<3}").get(..3).and_then(|digits| digits.parse::<i64>().ok()).unwrap_or(0);
    rest.is_empty().then_some(time + millis)
}

fn tell(event: &mut Event, raw: &str, entry: &Entry<'_>) {
    match refused(entry.message) {
        Some(name) => {
            actions::set(event, "login");
            event.set(Field::EventOutcome, "failure");
            if !name.is_empty() {
                event.set_part(Field::UserName, raw, name);
            }
        }
        None => {
            actions::set(event, "info");
            let denied = ["client denied by", "access forbidden by", "limiting requests", "limiting connections"];
            let denied = denied.iter().any(|words| without_code(entry.message).starts_with(words));
            event.set(Field::EventOutcome, if denied { "failure" } else { "unknown" });
            if denied {
                event.set(Field::EventType, "denied");
            }
        }
    }
    ip::set_source(event, raw, &entry.client.replace(" :", ":"));
    for (key, value) in &entry.pairs {
        match *key {
            "request" => target::request(event, raw, value),
            "host" => target::set(event, Field::UrlDomain, raw, target::without_port(value)),
            "referrer" => target::set(event, Field::HttpReferrer, raw, value),
            _ => {}
        }
    }
    target::set(event, Field::HttpReferrer, raw, entry.referrer);
    if let Ok(pid) = entry.pid.parse() {
        event.set_integer(Field::ProcessPid, pid);
    }
    event.set_part(Field::LogLevel, raw, entry.level);
    if !entry.module.is_empty() {
        event.set_part(Field::LogLogger, raw, entry.module);
    }
    event.set_part(Field::Message, raw, entry.message);
}

/// Apache's message without `AH01617: `.
fn without_code(message: &str) -> &str {
    match message.strip_prefix("AH").and_then(|rest| rest.split_once(": ")) {
        Some((digits, rest)) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => message,
    }
}

/// The name of who was refused a login, where that is what the message says.
fn refused(message: &str) -> Option<&str> {
    let message = without_code(message);
    if let Some(rest) = message.strip_prefix("PAM: user '") {
        return rest.rsplit_once("' - not authenticated").map(|(name, _)| name);
    }
    let rest = message.strip_prefix("user ")?;
    let quoted = |open: char, closed: &str| rest.strip_prefix(open).and_then(|rest| rest.rsplit_once(closed));
    let nginx = quoted('"', "\" was not found in ").or_else(|| quoted('"', "\": password mismatch"));
    let digest = || quoted('`', "' in realm `").filter(|(_, after)| after.contains("' not found"));
    let basic = || {
        [": authentication failure for ", ": password mismatch: ", " not found: "]
            .iter()
            .find_map(|phrase| rest.rsplit_once(phrase))
    };
    nginx.or_else(digest).or_else(basic).map(|(name, _)| name)
}

#[cfg(test)]
#[path = "error_log_tests.rs"]
mod tests;
