//! The header of a syslog message, RFC 3164 and RFC 5424 and what senders make of them: who said it, when, and where the message begins.
//! Not for what the message says (`syslog`).

use chrono_tz::Tz;
use crmwatch_detectors::Millis;
use memchr::memchr;

use super::time::{self, YearClock};

/// The time in a syslog header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// RFC 5424, or a sender that writes the year.
    Full(Millis),
    /// Month, day and the time of day in milliseconds.
    Yearless(u32, u32, i64),
}

impl Stamp {
    /// The moment, with the year of a year-less stamp from the clock.
    pub fn moment(self, clock: &mut YearClock, zone: Tz) -> Option<Millis> {
        match self {
            Stamp::Full(time) => Some(time),
            Stamp::Yearless(month, day, of_day) => {
                let year = clock.year_of(month, day);
                let midnight = time::civil(year.into(), month.into(), day.into(), 0, 0, 0, 0)?;
                Some(time::local(midnight + of_day, zone))
            }
        }
    }
}

/// What stands before a message; empty where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Header<'l> {
    /// Facility times eight and severity.
    pub priority: Option<u8>,
    pub stamp: Option<Stamp>,
    pub host: &'l str,
    /// The program: TAG, or APP-NAME.
    pub program: &'l str,
    /// A number as a rule, but not always.
    pub process: &'l str,
    pub message_id: &'l str,
    /// The brackets of RFC 5424, as they stand there.
    pub data: &'l str,
    pub message: &'l str,
    /// What follows the host: another reading of the message, where its beginning looked like a program's name.
    pub behind_host: &'l str,
    /// What follows the priority, where that is not followed by RFC 5424's version: yet another one, whose own stamp looked like the header's.
    pub behind_priority: &'l str,
}

/// Relays put a header of their own before the one that came. More than this are taken for text.
const HEADERS: usize = 2;

/// Whether it is worth looking for a header: all but free, for lines of files that have none.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    match bytes.first() {
        Some(b'<') => bytes.get(1).is_some_and(u8::is_ascii_digit),
        Some(b'0'..=b'9') => matches!(bytes.get(10), Some(b'T' | b't')) || !bytes[..bytes.len().min(8)].is_ascii(),
        // A month's name, a blank, the day.
        Some(b'A'..=b'Z' | b'a'..=b'z' | 0x80..) => match memchr(b' ', &bytes[..bytes.len().min(MONTH)]) {
            Some(at) => matches!(bytes.get(at + 1), Some(b' ' | b'0'..=b'9')),
            None => false,
        },
        _ => false,
    }
}

/// The header of a line. Without a priority it must be one beyond doubt: a stamp without a year and a host, or any stamp with host and program.
pub(super) fn header(line: &str, zone: Tz) -> Option<Header<'_>> {
    if !may_begin(line.as_bytes()) {
        return None;
    }
    let mut found = one(line, zone)?;
    for _ in 1..HEADERS {
        // A program's text may look like a header; a relay's own header names none.
        if !found.program.is_empty() || !may_begin(found.message.as_bytes()) {
            break;
        }
        let Some(inner) = one(found.message, zone).filter(|inner| inner.stamp.is_some()) else { break };
        found = Header {
            priority: inner.priority.or(found.priority),
            stamp: inner.stamp,
            host: if inner.host.is_empty() { found.host } else { inner.host },
            ..inner
        };
    }
    Some(found)
}

fn one(line: &str, zone: Tz) -> Option<Header<'_>> {
    match priority(line) {
        Some((priority, rest)) => {
            let header = match rest.strip_prefix("1 ").and_then(|rest| rfc5424(rest, zone)) {
                Some(header) => header,
                None => Header { behind_priority: rest, ..marked(rest, zone) },
            };
            Some(Header { priority: Some(priority), ..header })
        }
        None => unmarked(line, zone),
    }
}

/// `<PRI>`, 0 to 191.
fn priority(line: &str) -> Option<(u8, &str)> {
    let bytes = line.as_bytes();
    if bytes.first() != Some(&b'<') {
        return None;
    }
    let end = 1 + bytes[1..].iter().take(4).position(|byte| *byte == b'>')?;
    let digits = &line[1..end];
    let value = digits.parse::<u8>().ok().filter(|value| *value <= 191 && !digits.starts_with('+'))?;
    Some((value, &line[end + 1..]))
}

/// `TIMESTAMP HOST APP PROCID MSGID SD MSG`, behind `<PRI>1 `.
fn rfc5424(rest: &str, zone: Tz) -> Option<Header<'_>> {
    let (stamp, rest) = match rest.strip_prefix("- ") {
        Some(rest) => (None, rest),
        None => {
            let (time, rest) = time::iso_prefix(rest, zone)?;
            (Some(Stamp::Full(time)), rest.strip_prefix(' ')?)
        }
    };
    let (host, behind_host) = word(rest);
    let mut header = Header { stamp, host: value(host), behind_host, message: behind_host, ..Header::default() };
    // Some write this header and then, without more ado, a format that knows no syslog.
    if carries(behind_host) {
        return Some(header);
    }
    let (program, rest) = word(behind_host);
    let (process, rest) = word(rest);
    let (message_id, rest) = word(rest);
    (header.program, header.process, header.message_id) = (value(program), value(process), value(message_id));
    let (data, message) = structured(rest);
    header.data = data;
    header.message = message.strip_prefix('\u{feff}').unwrap_or(message);
    Some(header)
}

fn word(text: &str) -> (&str, &str) {
    match memchr(b' ', text.as_bytes()) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    }
}

fn value(word: &str) -> &str {
    if word == "-" { "" } else { word }
}

/// Structured data, and the message behind it. What is no structured data belongs to the message.
fn structured(text: &str) -> (&str, &str) {
    if let Some(rest) = text.strip_prefix('-').filter(|rest| rest.is_empty() || rest.starts_with(' ')) {
        return ("", rest.strip_prefix(' ').unwrap_or(rest));
    }
    let bytes = text.as_bytes();
    let mut at = 0;
    while bytes.get(at) == Some(&b'[') {
        match element_end(&bytes[at..]) {
            Some(length) => at += length,
            None => return ("", text),
        }
    }
    match bytes.get(at) {
        None => (text, ""),
        Some(b' ') => (&text[..at], &text[at + 1..]),
        // A message without a blank before it, or one that begins with a bracket.
        Some(_) if at > 0 && element_end(bytes).is_some_and(|length| memchr(b'=', &bytes[..length]).is_some()) => {
            (&text[..at], &text[at..])
        }
        Some(_) => ("", text),
    }
}

/// The length of one `[id name="value" ...]`; a `]` in a value is written `\]`.
fn element_end(bytes: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The parameters of structured data: element, name, value with its escapes.
pub(super) fn parameters(data: &str, mut each: impl FnMut(&str, &str, &str)) {
    let mut rest = data;
    while let Some(length) = rest.strip_prefix('[').and_then(|_| element_end(rest.as_bytes())) {
        let (element, mut pairs) = word(&rest[1..length - 1]);
        rest = &rest[length..];
        while let Some((name, after)) = pairs.split_once("=\"") {
            let bytes = after.as_bytes();
            let mut end = 0;
            while end < bytes.len() && bytes[end] != b'"' {
                end += 1 + usize::from(bytes[end] == b'\\');
            }
            let Some(value) = after.get(..end.min(after.len())) else { return };
            each(element, name.trim_start(), value);
            pairs = after.get(end + 1..).unwrap_or_default();
        }
    }
}

/// What follows a priority that no RFC 5424 header follows: as much of RFC 3164 as there is.
fn marked(rest: &str, zone: Tz) -> Header<'_> {
    let body = numbered(rest);
    let stamped = match time::iso_prefix(body, zone) {
        Some((time, after)) => Some((Stamp::Full(time), after)),
        None => named_month(body.strip_prefix(['*', '.']).unwrap_or(body), zone),
    };
    let Some((stamp, after)) = stamped else {
        let (program, process, message) = program(body).unwrap_or(("", "", body));
        return Header { program, process, message, behind_host: body, ..Header::default() };
    };
    // With a blank in it, or nothing behind it but the message, it may be the message's own stamp: `behind_priority` has it.
    let stamp = Some(stamp);
    if let Some(message) = after.strip_prefix(": ") {
        let (program, process, message) = program(message).unwrap_or(("", "", message));
        return Header { stamp, program, process, message, behind_host: message, ..Header::default() };
    }
    let after = after.trim_ascii_start();
    let (host, behind_host) = host(after);
    let (program, process, message) = program(behind_host).unwrap_or(("", "", behind_host));
    Header { stamp, host, program, process, message, behind_host, ..Header::default() }
}

/// A header without a priority, as it stands in files.
fn unmarked(line: &str, zone: Tz) -> Option<Header<'_>> {
    let iso = matches!(line.as_bytes().get(10), Some(b'T' | b't'));
    let (stamp, after) = match iso {
        true => time::iso_prefix(line, zone).map(|(time, rest)| (Stamp::Full(time), rest))?,
        false => named_month(line, zone)?,
    };
    let after = after.strip_prefix(' ')?;
    let (host, behind_host) = host(after);
    let named = program(behind_host);
    // With a blank between date and time, or no names behind it, it is the line's own stamp. Some leave the host out: `STAMP heroku[web.1]: `.
    let carried = carries(behind_host);
    let told = named.is_some() || carried;
    let numbered = named.is_some_and(|(_, process, _)| !process.is_empty()) || carried;
    if iso && (host.is_empty() && !numbered || !told) || host.is_empty() && named.is_none() && !carried {
        return None;
    }
    let (program, process, message) = named.unwrap_or(("", "", behind_host));
    Some(Header {
        stamp: Some(stamp),
        host,
        program,
        process,
        message,
        behind_host,
        behind_priority: line,
        ..Header::default()
    })
}

/// Cisco's number of the message, `4711: `, taken off.
fn numbered(text: &str) -> &str {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    match text.get(digits..) {
        Some(rest) if (1..=10).contains(&digits) => rest.strip_prefix(": ").unwrap_or(text),
        _ => text,
    }
}

/// The host, and what follows it. A word that ends with a colon, or holds a process number, is the program's, and the host is missing.
fn host(text: &str) -> (&str, &str) {
    let (first, rest) = word(text);
    // Cisco's: `NAME : %ASA-...`.
    if let Some(rest) = rest.strip_prefix(": ").filter(|rest| rest.starts_with('%')) {
        return (first, rest);
    }
    if let Some(name) = first.strip_suffix(':').filter(|_| rest.starts_with('%')) {
        return (name, rest);
    }
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'/' | b'@' | b'%');
    let is_host = !first.is_empty()
        && first.len() <= 255
        && first.as_bytes()[0] != b'%'
        && !first.ends_with(':')
        && first.bytes().all(plain)
        && !carries(text);
    if is_host { (first, rest) } else { ("", text) }
}

/// Whether a text is of a format that needs no name before it.
fn carries(text: &str) -> bool {
    text.starts_with("CEF:") || text.starts_with("LEEF:") || text.starts_with("@cee:")
}

/// A program's name is no longer than this.
const PROGRAM: usize = 64;

/// What other formats write in brackets behind their stamp.
const LEVELS: [&str; 10] =
    ["debug", "info", "notice", "warn", "warning", "error", "crit", "critical", "alert", "emergency"];

/// `TAG[PID]: `, with or without the number, or without the colon if there is a number; and the message.
fn program(text: &str) -> Option<(&str, &str, &str)> {
    let bytes = text.as_bytes();
    if bytes.first() == Some(&b'[') {
        let (name, rest) = text[1..].split_once(']')?;
        // Metalog writes no colon; a level in brackets is another program's.
        let message = rest.strip_prefix(": ").or_else(|| rest.strip_prefix(' ').filter(|_| !LEVELS.contains(&name)))?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        return (name.len() <= PROGRAM
            && name.bytes().all(plain)
            && name.bytes().any(|byte| byte.is_ascii_alphabetic()))
        .then_some((name, "", message));
    }
    let ends = |byte: &u8| {
        byte.is_ascii_control() || matches!(byte, b' ' | b':' | b'[' | b'"' | b'{' | b'=' | b'|' | b',' | b'<')
    };
    let end = bytes.iter().take(PROGRAM + 1).position(ends).filter(|end| *end > 0)?;
    let name = &text[..end];
    let (process, rest) = match bytes[end] {
        b'[' => {
            let close = end + memchr(b']', bytes.get(end..bytes.len().min(end + PROGRAM))?)?;
            (&text[end + 1..close], &text[close + 1..])
        }
        b':' => ("", &text[end..]),
        _ => return None,
    };
    let message = match rest.strip_prefix(':') {
        Some(message) => message,
        None if rest.is_empty() || rest.starts_with(' ') => rest,
        None => return None,
    };
    let separate = message.is_empty() || message.starts_with([' ', '{']);
    let is_name = name.bytes().any(|byte| byte.is_ascii_alphabetic() || byte >= 0x80);
    // The name of a format that a relay took for a program's is left where it is.
    if !separate || !is_name || process.contains(' ') || carries(text) {
        return None;
    }
    Some((name, process, message.strip_prefix(' ').unwrap_or(message)))
}

/// No month's name takes more bytes, its point included.
const MONTH: usize = 12;

/// `Mar  2 09:14:07`, with a fraction, a year before or behind the time, a zone's name, or the month in another language.
fn named_month(text: &str, zone: Tz) -> Option<(Stamp, &str)> {
    let bytes = text.as_bytes();
    let blank = memchr(b' ', &bytes[..bytes.len().min(MONTH)])?;
    let mut at = blank + 1 + usize::from(bytes.get(blank + 1) == Some(&b' '));
    let (day, digits) = short(&bytes[at..], 2)?;
    at += digits + 1;
    let mut year = None;
    if bytes.get(at + 4) == Some(&b' ') {
        year = Some(short(bytes.get(at..at + 4)?, 4).filter(|(_, digits)| *digits == 4)?.0);
        at += 5;
    }
    let clock = bytes.get(at..at + 8)?;
    if bytes[at - 1] != b' ' || clock[2] != b':' || clock[5] != b':' {
        return None;
    }
    let two = |at: usize| short(&clock[at..at + 2], 2).filter(|(_, digits)| *digits == 2).map(|(value, _)| value);
    let (hour, minute, second) = (two(0)?, two(3)?, two(6)?);
    let month = month(&text[..blank])?;
    if !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    at += 8;
    let mut millis = 0;
    if bytes.get(at) == Some(&b'.') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
        let digits = bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        millis = (0..3)
            .fold(0, |sum, place| sum * 10 + if place < digits { i64::from(bytes[at + 1 + place] - b'0') } else { 0 });
        at += 1 + digits;
    }
    if !matches!(bytes.get(at), None | Some(b' ' | b':')) {
        return None;
    }
    let mut rest = &text[at..];
    let mut zone = zone;
    // Cisco's: ` CET: %SYS-...`. The names of zones are no names of hosts.
    if let Some((name, after)) = rest.strip_prefix(' ').and_then(|rest| rest.split_once(": "))
        && (3..=5).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_uppercase())
        && after.starts_with('%')
    {
        if matches!(name, "UTC" | "GMT") {
            zone = Tz::UTC;
        }
        rest = &rest[1 + name.len()..];
    }
    if year.is_none()
        && let Some(behind) = rest.strip_prefix(' ')
        && let Some((value, 4)) = short(behind.as_bytes(), 4)
        && matches!(behind.as_bytes().get(4), Some(b' ' | b':'))
        && (1990..2100).contains(&value)
    {
        year = Some(value);
        rest = &behind[4..];
    }
    let of_day = i64::from((hour * 60 + minute) * 60 + second) * 1_000 + millis;
    let stamp = match year {
        Some(year) => {
            Stamp::Full(time::local(time::civil(year.into(), month.into(), day.into(), 0, 0, 0, 0)? + of_day, zone))
        }
        None => Stamp::Yearless(month, day, of_day),
    };
    Some((stamp, rest))
}

/// A number of up to so many digits, and how many it has.
fn short(bytes: &[u8], most: usize) -> Option<(u32, usize)> {
    let digits = bytes.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    let value = bytes[..digits].iter().fold(0, |sum, byte| sum * 10 + u32::from(byte - b'0'));
    (digits > 0).then_some((value, digits))
}

/// English first; then where German, French, Spanish, Italian, Portuguese, Dutch and Polish begin otherwise; Chinese and Japanese count.
fn month(name: &str) -> Option<u32> {
    const ENGLISH: [&[u8; 3]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    const OTHERS: [(&str, u32); 43] = [
        ("mär", 3),
        ("mrz", 3),
        ("mai", 5),
        ("okt", 10),
        ("dez", 12),
        ("fév", 2),
        ("avr", 4),
        ("juin", 6),
        ("juil", 7),
        ("aoû", 8),
        ("déc", 12),
        ("ene", 1),
        ("abr", 4),
        ("ago", 8),
        ("dic", 12),
        ("gen", 1),
        ("mag", 5),
        ("giu", 6),
        ("lug", 7),
        ("set", 9),
        ("ott", 10),
        ("fev", 2),
        ("out", 10),
        ("mrt", 3),
        ("mei", 5),
        ("sty", 1),
        ("lut", 2),
        ("kwi", 4),
        ("maj", 5),
        ("cze", 6),
        ("lip", 7),
        ("sie", 8),
        ("wrz", 9),
        ("paź", 10),
        ("lis", 11),
        ("gru", 12),
        ("янв", 1),
        ("фев", 2),
        ("мар", 3),
        ("апр", 4),
        ("июн", 6),
        ("июл", 7),
        ("авг", 8),
    ];
    if let [a, b, c, rest @ ..] = name.as_bytes() {
        let lower = [a.to_ascii_lowercase(), b.to_ascii_lowercase(), c.to_ascii_lowercase()];
        if let Some(index) = ENGLISH.iter().position(|known| **known == lower) {
            return rest.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'.').then_some(index as u32 + 1);
        }
    }
    if let Some(number) = name.strip_suffix('月') {
        return number.parse().ok().filter(|number| (1..=12).contains(number));
    }
    let lower = name.to_lowercase();
    OTHERS.iter().find(|(begin, _)| lower.starts_with(begin)).map(|(_, number)| *number)
}

#[cfg(test)]
#[path = "syslog_header_tests.rs"]
mod tests;
