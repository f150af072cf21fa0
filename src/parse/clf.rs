//! The CLF family, one grammar: common, combined, nginx's `main`, `vhost_combined`, tails of any length, Odoo's werkzeug lines.
//! Not for what a path means to a CRM (`web`), nor for which proxies are believed (`enrich`).
//!
//! What a client sends can hold anything but an unescaped quote, so the grammar hangs on quotes: the stamp is what stands in
//! brackets before the first `] "`. A forged stamp, blank or bracket in a user's name moves nothing.

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field, Millis};
use memchr::{memchr, memchr_iter, memchr2, memrchr};
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while_m_n, take_while1};
use nom::character::complete::{char, space0};
use nom::combinator::{map, opt};
use nom::sequence::preceded;
use nom::{IResult, Parser};

use super::target::{locate, request, set, without_port};
use super::{Format, Grammar, NO_TIME, Options, Verdict, absent, ip, proxy_manager, syslog_header, time, wrap};

/// nginx access logs.
pub const NGINX: Format = Format {
    name: "nginx",
    about: "nginx access log: combined, main (with X-Forwarded-For), with a host in front or fields behind; nginx proxy manager",
    sniff: |record| sniff(record).saturating_sub(5 * u8::from(apache_escapes(record))),
    grammar: |options| Box::new(Clf { zone: options.timezone, name: "nginx" }),
};

/// Apache access logs.
pub const APACHE: Format = Format {
    name: "apache",
    about: "Apache access log: common, combined, vhost_combined, with fields behind",
    sniff,
    grammar: |options: &Options| Box::new(Clf { zone: options.timezone, name: "apache" }),
};

struct Clf {
    zone: Tz,
    name: &'static str,
}

impl Grammar for Clf {
    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        if record.trim_ascii().is_empty() || record.starts_with('#') {
            return Verdict::Skipped;
        }
        if record.starts_with('{') {
            return Verdict::Rejected(JSON);
        }
        let read = match access(record) {
            Err(_) if record.starts_with('[') => {
                proxy_manager::access(record).or_else(|| of_tls(record)).ok_or("error log, not access log")
            }
            read => read,
        };
        let access = match read {
            Ok(access) => access,
            Err(reason) => return Verdict::Rejected(reason),
        };
        let Some(time) = moment(access.stamp, self.zone) else {
            return Verdict::Rejected("unreadable time stamp");
        };
        let mut event = Event::new(record);
        event.time = time;
        fill(&mut event, record, &access);
        events.push(event);
        Verdict::Parsed
    }

    fn format(&self) -> &'static str {
        self.name
    }
}

/// `02/Mar/2026:09:14:07 +0100`, or ISO 8601 where the server was told so.
fn moment(stamp: &str, zone: Tz) -> Option<Millis> {
    let stamp = stamp.trim_ascii();
    time::clf(stamp, zone).or_else(|| time::iso(stamp, zone))
}

/// The parts of an access line, as they stand in it; empty where there is none.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Access<'l> {
    pub vhost: &'l str,
    pub client: &'l str,
    pub user: &'l str,
    pub stamp: &'l str,
    pub request: &'l str,
    /// Method and target where they do not stand in one request string.
    pub method: &'l str,
    pub target: &'l str,
    pub status: Option<i64>,
    pub bytes: Option<i64>,
    pub referrer: &'l str,
    pub agent: &'l str,
    pub forwarded: &'l str,
}

/// Takes a line apart, or says what is missing.
pub(super) fn access(line: &str) -> Result<Access<'_>, &'static str> {
    let (head, stamp, host, after) = around_stamp(line).ok_or("no time stamp before a request")?;
    let mut access = Access { stamp, vhost: host, ..Access::default() };
    who(head.trim_ascii(), &mut access, true);
    if access.client.is_empty() {
        return Err("no client address");
    }
    let (rest, (request, status, bytes)) = answered(after).ok_or("no status after the request")?;
    access.request = request;
    access.status = status;
    access.bytes = bytes;
    tail(rest, &mut access);
    Ok(access)
}

/// What stands before the stamp, the stamp, a word between stamp and request, and what follows the request's opening quote.
fn around_stamp(line: &str) -> Option<(&str, &str, &str, &str)> {
    let bytes = line.as_bytes();
    for quote in memchr_iter(b'"', bytes) {
        if quote >= 2 && bytes[quote - 2..quote] == *b"] " {
            let open = memrchr(b'[', &bytes[..quote - 2])?;
            return Some((&line[..open], &line[open + 1..quote - 2], "", &line[quote + 1..]));
        }
        // An empty user is logged as ""; any other quote before the stamp means that this is no line of the family, or of the loose kind.
        if quote > 0 && !matches!(bytes[quote - 1], b'"' | b' ' | b'\\') {
            break;
        }
    }
    // Some put the host between stamp and request.
    let open = memchr(b'[', bytes)?;
    let close = open + memchr(b']', &bytes[open..])?;
    let quote = close + memchr(b'"', &bytes[close..])?;
    let host = line[close + 1..quote].trim_ascii();
    (bytes[open + 1..close].get(2) == Some(&b'/') && !host.contains(' '))
        .then(|| (&line[..open], &line[open + 1..close], host, &line[quote + 1..]))
}

fn word(text: &str) -> (&str, &str) {
    match memchr(b' ', text.as_bytes()) {
        Some(at) => (&text[..at], text[at + 1..].trim_ascii_start()),
        None => (text, ""),
    }
}

fn is_address(text: &str) -> bool {
    text.as_bytes().first().is_some_and(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'['))
        && ip::address(text).is_some()
}

/// `HOST IDENT USER`, with what servers put before it. The user is everything that is left: it may hold blanks.
fn who<'l>(head: &'l str, access: &mut Access<'l>, wrapped: bool) {
    let (first, rest) = word(head);
    let (second, after) = word(rest);
    if second == "-" && !first.ends_with(',') {
        (access.client, access.user) = (first, after);
        return;
    }
    if first.ends_with(',') || first.starts_with('"') {
        return passed_on(head, access);
    }
    // A list of addresses with one word before it: the host that was asked.
    if !after.is_empty() && (second.ends_with(',') || second.starts_with('"')) {
        access.vhost = first;
        return passed_on(rest, access);
    }
    let named = |access: &mut Access<'l>| {
        if first != "-" {
            access.vhost = first;
        }
        (access.client, access.user) = (second, word(after).1);
    };
    if (is_address(second) || second == "unix:") && !after.is_empty() {
        return named(access);
    }
    if wrapped && !is_address(first) {
        if let Some(header) = syslog_header::header(head, Tz::UTC).filter(|header| !header.program.is_empty()) {
            return who(header.message, access, false);
        }
        if let Some(message) = wrap::compose(head) {
            return who(message, access, false);
        }
    }
    let (third, user) = word(after);
    let host_like = third == "-" && !user.is_empty() && second.contains('.');
    if first == "-" && !second.is_empty() || host_like && !is_address(first) {
        return named(access);
    }
    if host_like {
        (access.client, access.vhost, access.user) = (first, second, user);
        return;
    }
    (access.client, access.user) = (first, after);
}

/// `ADDRESS, ADDRESS IDENT USER`, or with the server's own peer behind the list, which may stand in quotes: X-Forwarded-For in the place
/// of the client or before it. Without a peer the last address is the one nearest to the server.
fn passed_on<'l>(head: &'l str, access: &mut Access<'l>) {
    if let Some((list, rest)) = head.strip_prefix('"').and_then(|inside| inside.split_once("\" ")) {
        let (client, after) = word(rest);
        (access.forwarded, access.client, access.user) = (list, client, word(after).1);
        return;
    }
    let (mut at, mut left) = word(head);
    while at.ends_with(',') {
        (at, left) = word(left);
    }
    access.forwarded = head[..head.len() - left.len()].trim_ascii();
    let (next, after) = word(left);
    (access.client, access.user) =
        if is_address(next) && !after.is_empty() { (next, word(after).1) } else { (at, after) };
}

/// A quoted text whose opening quote is already taken: up to the first quote that is not escaped and has a blank or nothing behind it.
fn quoted(input: &str) -> IResult<&str, &str> {
    let bytes = input.as_bytes();
    let mut from = 0;
    while let Some(found) = memchr2(b'"', b'\\', bytes.get(from..).unwrap_or_default()) {
        let at = from + found;
        if bytes[at] == b'"' {
            if matches!(bytes.get(at + 1), None | Some(b' ' | b'\r')) {
                return Ok((&input[at + 1..], &input[..at]));
            }
            from = at + 1;
        } else {
            from = at + 2;
        }
    }
    Err(nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::TakeUntil)))
}

fn number(digits: &str) -> Option<i64> {
    digits.parse().ok()
}

fn status(input: &str) -> IResult<&str, Option<i64>> {
    let digits = |one: char| one.is_ascii_digit();
    alt((map(take_while_m_n(3, 3, digits), number), map(char('-'), |_| None))).parse(input)
}

fn size(input: &str) -> IResult<&str, Option<i64>> {
    let digits = take_while1(|one: char| one.is_ascii_digit());
    alt((map(digits, number), map(tag("-"), |_| None))).parse(input)
}

/// ` 200 512` and what follows.
fn result(input: &str) -> IResult<&str, (Option<i64>, Option<i64>)> {
    let (rest, status) = preceded(char(' '), status).parse(input)?;
    if !matches!(rest.as_bytes().first(), None | Some(b' ' | b'\r')) {
        return Err(nom::Err::Error(nom::error::Error::new(rest, nom::error::ErrorKind::Space)));
    }
    let (rest, bytes) = opt(preceded(space0, size)).parse(rest)?;
    Ok((rest, (status, bytes.flatten())))
}

/// `[STAMP] HOST TLSv1.3 CIPHER "REQUEST" BYTES`: Apache's `ssl_request_log`, which says nothing of how it was answered.
fn of_tls(line: &str) -> Option<Access<'_>> {
    let (stamp, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let (client, rest) = word(rest);
    let (protocol, rest) = word(rest);
    let (_cipher, rest) = word(rest);
    let (rest, request) = quoted(rest.strip_prefix('"')?).ok()?;
    let (rest, bytes) = preceded(space0, size).parse(rest).ok()?;
    let known = protocol == "-" || protocol.starts_with("TLSv") || protocol.starts_with("SSLv");
    (known && rest.trim_ascii().is_empty()).then(|| Access { stamp, client, request, bytes, ..Access::default() })
}

type Answered<'l> = (&'l str, (&'l str, Option<i64>, Option<i64>));

/// The request and how it was answered. Where the server does not escape quotes, the request ends at the first one with a status behind it.
fn answered(after: &str) -> Option<Answered<'_>> {
    if let Ok((rest, request)) = quoted(after)
        && let Ok((rest, (status, bytes))) = result(rest)
    {
        return Some((rest, (request, status, bytes)));
    }
    memchr_iter(b'"', after.as_bytes()).find_map(|quote| {
        let (rest, (status, bytes)) = result(&after[quote + 1..]).ok()?;
        Some((rest, (&after[..quote], status, bytes)))
    })
}

/// Referrer, agent and forwarded addresses among whatever a server appends.
fn tail<'l>(mut rest: &'l str, access: &mut Access<'l>) {
    let mut texts = [""; 3];
    let mut count = 0;
    let mut adjacent = true;
    while count < texts.len() {
        let Some(open) = memchr(b'"', rest.as_bytes()) else { break };
        adjacent &= count < 2 || rest[..open].trim_ascii().is_empty();
        let after = &rest[open + 1..];
        // A line that was cut ends within its agent.
        let (left, text) = quoted(after).unwrap_or(("", after));
        texts[count] = text;
        count += 1;
        rest = left;
    }
    match texts {
        [only, ..] if count == 1 => {
            let target = only == "-" || only.starts_with("http://") || only.starts_with("https://");
            *(if target { &mut access.referrer } else { &mut access.agent }) = only;
        }
        [referrer, agent, third] => {
            (access.referrer, access.agent) = (referrer, agent);
            if count == 3 && adjacent && third.split(',').all(|part| is_address(part.trim_ascii())) {
                access.forwarded = third;
            }
        }
    }
}

/// Puts the parts into the event, all but the time. Values are slices of `raw` unless they hold escapes.
pub(super) fn fill(event: &mut Event, raw: &str, access: &Access<'_>) {
    super::actions::set(event, "http-request");
    ip::set_source(event, raw, access.client);
    if access.user != "\"\"" && !access.user.bytes().all(|byte| matches!(byte, b'-' | b' ')) {
        set(event, Field::UserName, raw, access.user);
    }
    request(event, raw, access.request);
    if !access.method.is_empty() {
        event.set_part(Field::HttpMethod, raw, access.method);
        locate(event, raw, access.target);
    }
    if let Some(status) = access.status {
        event.set_integer(Field::HttpStatus, status);
    }
    let outcome = access.status.and_then(super::actions::of_status).unwrap_or("unknown");
    event.set(Field::EventOutcome, outcome);
    if let Some(bytes) = access.bytes {
        event.set_integer(Field::HttpResponseBytes, bytes);
    }
    set(event, Field::HttpReferrer, raw, access.referrer);
    set(event, Field::UserAgent, raw, access.agent);
    if access.forwarded.split(',').any(|part| is_address(part.trim_ascii())) {
        set(event, Field::ForwardedIp, raw, access.forwarded);
    }
    if !absent(access.vhost) {
        set(event, Field::UrlDomain, raw, without_port(access.vhost));
    }
}

/// Odoo's web server writes the family without an offset and with numbers behind; its entry has a better time in front.
pub(super) fn werkzeug(event: &mut Event, raw: &str, message: &str, zone: Tz) -> bool {
    let Ok(access) = access(message) else { return false };
    if event.time == NO_TIME
        && let Some(time) = time::clf(access.stamp.trim_ascii(), zone)
    {
        event.time = time;
    }
    fill(event, raw, &access);
    true
}

fn apache_escapes(record: &str) -> bool {
    memchr_iter(b'\\', record.as_bytes()).take(8).any(|at| match record.as_bytes().get(at + 1..) {
        Some([b'"' | b'\\', ..]) => true,
        Some([b'x', high, low, ..]) => high.is_ascii_lowercase() || low.is_ascii_lowercase(),
        _ => false,
    })
}

/// A collector put the line into an object: its braces would become part of the client's name.
const JSON: &str = "JSON, not an access line";

fn sniff(record: &str) -> u8 {
    match access(record) {
        _ if record.starts_with('{') => 0,
        Ok(access) if moment(access.stamp, Tz::UTC).is_none() => 0,
        Ok(access) if access.agent.is_empty() => 80,
        Ok(_) => 90,
        Err(_) if record.starts_with('[') && (proxy_manager::access(record).is_some() || of_tls(record).is_some()) => {
            85
        }
        Err(_) => 0,
    }
}

#[cfg(test)]
#[path = "clf_tests.rs"]
mod tests;
