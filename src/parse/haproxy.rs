//! HAProxy's HTTP and TCP logs. Not for the syslog header they mostly come behind, which is taken off before.

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field};
use nom::bytes::complete::{take_till1, take_until, take_while1};
use nom::character::complete::{char, space1};
use nom::sequence::{delimited, terminated};
use nom::{IResult, Parser};

use super::{Format, Grammar, NO_TIME, Options, Verdict, absent, actions, haproxy_object, ip, target, time, wrap};

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: "haproxy",
    about: "HAProxy HTTP and TCP log",
    sniff: |record| {
        let line = wrap::plain(record);
        match connection(&line) {
            Ok((_, head)) if head.server.is_some() => 88,
            Ok(_) => 60,
            // An object alone is JSON of any program.
            Err(_) if !line.starts_with('{') && haproxy_object::find(&line).is_some() => 86,
            Err(_) => 0,
        }
    },
    grammar: |options: &Options| Box::new(HaProxy { zone: options.timezone }),
};

struct HaProxy {
    zone: Tz,
}

/// What every line about a connection begins with.
struct Head<'l> {
    client: &'l str,
    stamp: &'l str,
    frontend: &'l str,
    backend: &'l str,
    /// Absent in lines about a handshake.
    server: Option<&'l str>,
}

fn word(input: &str) -> IResult<&str, &str> {
    take_till1(|one| one == ' ').parse(input)
}

/// `CLIENT:PORT [STAMP] FRONTEND[~] BACKEND/SERVER `, `CLIENT:PORT [STAMP] FRONTEND/LISTENER: `, or, of a connection that came to nothing,
/// `CLIENT:PORT [STAMP] FRONTEND[~] ERROR/ERROR/ERROR/ERROR/RESUMED ...`.
fn connection(input: &str) -> IResult<&str, Head<'_>> {
    let (rest, client) = terminated(word, char(' ')).parse(input)?;
    let (rest, stamp) = delimited(char('['), take_until("] "), char(']')).parse(rest)?;
    let (rest, frontend) = terminated(word, space1).parse(&rest[1..])?;
    let fail = || nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Verify));
    // In a collector's object the client would begin with its braces.
    if client.starts_with(['{', '"'])
        || ip::address(client).is_none() && !client.contains(':') && client != "-"
        || stamp.as_bytes().get(2) != Some(&b'/')
    {
        return Err(fail());
    }
    if let Some(listener) = frontend.strip_suffix(':') {
        return Ok((rest, Head { client, stamp, frontend: listener, backend: "", server: None }));
    }
    let frontend = frontend.trim_end_matches('~');
    let (after, target) = terminated(word, space1).parse(rest)?;
    if target.matches('/').count() == 4 && target.bytes().all(|byte| byte == b'/' || byte.is_ascii_hexdigit()) {
        return Ok((rest, Head { client, stamp, frontend, backend: "", server: None }));
    }
    let (backend, server) = target.split_once('/').ok_or_else(fail)?;
    Ok((after, Head { client, stamp, frontend, backend, server: Some(server) }))
}

/// Numbers with slashes between: timers, connections, queues.
fn numbers(input: &str) -> IResult<&str, &str> {
    take_while1(|one: char| one.is_ascii_digit() || matches!(one, '/' | '-' | '+')).parse(input)
}

impl Grammar for HaProxy {
    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let line = wrap::plain(record);
        let line = line.trim_ascii();
        if line.is_empty() {
            return Verdict::Skipped;
        }
        let mut event = Event::new(record);
        event.time = NO_TIME;
        event.set(Field::EventProvider, "haproxy");
        let Ok((rest, head)) = connection(line) else {
            if let Some(object) = haproxy_object::find(line) {
                if !haproxy_object::read(&mut event, record, object) {
                    return Verdict::Rejected("broken JSON");
                }
                events.push(event);
                return Verdict::Parsed;
            }
            // The process's own words: `Proxy X started.`, `Connect from A to B (FE/HTTP)`.
            let own =
                ["Proxy ", "Connect from ", "Server ", "Backend ", "Health check ", "[ALERT]", "[WARNING]", "[NOTICE]"];
            if !own.iter().any(|start| line.starts_with(start)) {
                return Verdict::Rejected("no connection and no notice of HAProxy");
            }
            actions::set(&mut event, "info");
            event.set(Field::EventOutcome, "unknown");
            event.set_part(Field::Message, record, line);
            if let Some(client) = line.strip_prefix("Connect from ").and_then(|rest| rest.split(' ').next()) {
                ip::set_source(&mut event, record, client);
            }
            events.push(event);
            return Verdict::Parsed;
        };
        let Some(moment) = time::clf(head.stamp, self.zone) else { return Verdict::Rejected("unreadable time stamp") };
        event.time = moment;
        client(&mut event, record, head.client);
        event.set_other_part("haproxy.frontend", record, head.frontend);
        match head.server {
            None => {
                actions::set(&mut event, "info");
                event.set(Field::EventOutcome, "failure");
                event.set_part(Field::Message, record, rest);
            }
            Some(server) => {
                for (name, text) in [("haproxy.backend", head.backend), ("haproxy.server", server)] {
                    if !absent(text) && text != "<NOSRV>" {
                        event.set_other_part(name, record, text);
                    }
                }
                if !self.exchange(&mut event, record, rest) {
                    return Verdict::Rejected("no timers after the backend");
                }
            }
        }
        events.push(event);
        Verdict::Parsed
    }

    fn format(&self) -> &'static str {
        FORMAT.name
    }
}

/// `ADDRESS:PORT`; of an IPv6 address, too, only the last colon parts the port.
fn client(event: &mut Event, raw: &str, client: &str) {
    // Nobody's address, on a socket of the machine itself.
    let client = if client.starts_with("-:") { "" } else { client };
    match client.rsplit_once(':').filter(|(host, _)| host.contains(':') && !host.starts_with('[')) {
        Some((host, port)) => ip::set_source(event, raw, &format!("[{host}]:{port}")),
        None => ip::set_source(event, raw, client),
    }
}

impl HaProxy {
    /// What follows the backend: `TIMERS STATUS BYTES CK SK TSTATE CONNS QUEUES {..} {..} "REQUEST"`, or for TCP `TIMERS BYTES TSTATE ...`.
    fn exchange(&self, event: &mut Event, raw: &str, rest: &str) -> bool {
        let mut timers = terminated(numbers, space1);
        // Some let the host that was asked stand before the timers.
        let (rest, timers) = match timers.parse(rest) {
            Ok(read) => read,
            Err(_) => {
                let Some((host, behind)) = rest.split_once(' ') else { return false };
                let Ok(read) = terminated(numbers, space1).parse(behind) else { return false };
                if !read.1.contains('/') || host.is_empty() {
                    return false;
                }
                event.set_part(Field::UrlDomain, raw, target::without_port(host));
                read
            }
        };
        let total = timers.rsplit('/').next().and_then(|text| text.trim_start_matches('+').parse::<i64>().ok());
        if let Some(millis) = total.filter(|millis| *millis >= 0) {
            event.set_integer(Field::EventDuration, millis.saturating_mul(1_000_000));
        }
        let (before, request) = match rest.find('"') {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        let (plain, captured) = match before.find('{') {
            Some(at) => before.split_at(at),
            None => (before, ""),
        };
        let words: Vec<&str> = plain.split_ascii_whitespace().collect();
        let number = |at: usize| words.get(at).and_then(|text| text.trim_start_matches('+').parse::<i64>().ok());
        let http = request.is_some() || words.len() >= 7;
        let state = words
            .iter()
            .copied()
            .find(|word| word.len() == 4 && word.bytes().all(|byte| byte == b'-' || byte.is_ascii_alphabetic()));
        if http {
            if let Some(status) = number(0).filter(|status| *status > 0) {
                event.set_integer(Field::HttpStatus, status);
            }
            if let Some(bytes) = number(1) {
                event.set_integer(Field::HttpResponseBytes, bytes);
            }
        } else if let Some(bytes) = number(0) {
            event.set_integer(Field::Bytes, bytes);
        }
        if let Some(state) = state.filter(|state| *state != "----") {
            event.set_other_part("haproxy.state", raw, state);
        }
        if let Some(request) = request {
            // It may be cut off before its closing quote.
            let end = request.rfind('"').unwrap_or(request.len());
            let text = &request[..end];
            if text != "<BADREQ>" {
                target::request(event, raw, text);
            }
        }
        self.captures(event, raw, captured);
        actions::set(event, if http { "http-request" } else { "info" });
        let refused = state.is_some_and(|state| state.starts_with(['P', 'R']));
        let outcome = match event.integer(Field::HttpStatus) {
            Some(status) => actions::of_status(status).unwrap_or("unknown"),
            None if refused => "failure",
            None => "unknown",
        };
        event.set(Field::EventOutcome, outcome);
        if refused {
            event.set(Field::EventType, "denied");
        }
        true
    }

    /// `{a|b} {c}`: captured headers, whichever the operator chose. An agent, a host and a forwarded address are known by their looks.
    fn captures(&self, event: &mut Event, raw: &str, captured: &str) {
        let Some(group) = captured.trim().strip_prefix('{') else { return };
        // The response's captures stand in a group of their own.
        let group = group.rsplit_once("} {").map_or(group, |(request, _)| request);
        for part in group.trim_end_matches('}').split('|').map(str::trim).filter(|part| !absent(part)) {
            if ip::address(part.split(',').next().unwrap_or(part).trim()).is_some() {
                event.set_part(Field::ForwardedIp, raw, part);
            } else if part.contains('/')
                && (part.contains(' ') || part.starts_with("Mozilla") || part.starts_with("curl"))
            {
                event.set_part(Field::UserAgent, raw, part);
            } else if part.contains('.') && !part.contains(['/', ' ']) {
                event.set_part(Field::UrlDomain, raw, target::without_port(part));
            } else {
                event.set_other_part("haproxy.captured", raw, part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{event, holds};
    use super::*;

    #[track_caller]
    fn check(record: &str, expected: &[(Field, &str)]) -> Event {
        let found = event((FORMAT.grammar)(&Options::default()), record);
        holds(&found, expected, record);
        found
    }

    #[test]
    fn a_client_of_a_socket_and_a_host_before_the_timers_move_nothing() {
        check(
            "-:22222 [02/Mar/2026:09:14:07.222] www~ crm/web1 crm.example.com 0/0/0/18/18 401 200 - - ---- 2/2/0/0/0 0/0 \"POST /login HTTP/1.1\"",
            &[
                (Field::EventOutcome, "failure"),
                (Field::SourceIp, ""),
                (Field::SourceAddress, ""),
                (Field::UrlDomain, "crm.example.com"),
                (Field::HttpStatus, "401"),
                (Field::UrlPath, "/login"),
            ],
        );
    }

    #[test]
    fn http_lines_tell_client_request_and_answer() {
        let found = check(
            "203.0.113.7:58430 [02/Mar/2026:09:14:07.608] https-in~ crm/web1 0/0/1/43/44 200 26170 - - ---- 3/3/1/1/0 0/0 {crm.example.com|Mozilla/5.0 (X11) x|198.51.100.9} {} \"GET /portal/?Script=934 HTTP/1.1\"",
            &[
                (Field::EventAction, "http-request"),
                (Field::EventOutcome, "success"),
                (Field::SourceIp, "203.0.113.7"),
                (Field::SourcePort, "58430"),
                (Field::HttpMethod, "GET"),
                (Field::UrlPath, "/portal/"),
                (Field::UrlQuery, "Script=934"),
                (Field::HttpStatus, "200"),
                (Field::HttpResponseBytes, "26170"),
                (Field::EventDuration, "44000000"),
                (Field::UserAgent, "Mozilla/5.0 (X11) x"),
                (Field::UrlDomain, "crm.example.com"),
                (Field::ForwardedIp, "198.51.100.9"),
            ],
        );
        assert_eq!(found.time, 1_772_442_847_608);
        check(
            "2001:db8::1234:58430 [02/Mar/2026:09:14:07.608] main main/<NOSRV> -1/-1/-1/-1/0 401 248 - - PR-- 0/0/0/0/0 0/0 \"GET / HTTP/1.1\"",
            &[
                (Field::SourceIp, "2001:db8::1234"),
                (Field::SourcePort, "58430"),
                (Field::HttpStatus, "401"),
                (Field::EventOutcome, "failure"),
                (Field::EventType, "denied"),
            ],
        );
    }

    #[test]
    fn the_last_colon_of_an_ipv6_client_parts_its_port() {
        for (client, ip, port) in [
            ("2001:db8::1234:5843", "2001:db8::1234", "5843"),
            ("::ffff:203.0.113.7:5843", "203.0.113.7", "5843"),
            ("203.0.113.7:5843", "203.0.113.7", "5843"),
        ] {
            let line = format!(
                "{client} [02/Mar/2026:09:14:07.608] fe be/s 0/0/1/43/44 200 2 - - ---- 3/3/1/1/0 0/0 \"GET / HTTP/1.1\""
            );
            check(&line, &[(Field::SourceIp, ip), (Field::SourcePort, port)]);
        }
    }

    #[test]
    fn a_cut_or_bad_request_an_empty_server_and_a_tcp_line_are_read() {
        check(
            "203.0.113.7:48492 [02/Mar/2026:09:14:07.762] PROD PROD/ -1/-1/-1/-1/+0 503 +216 - - SC-- 2/2/0/0/0 0/0 \"GET /very/long",
            &[(Field::HttpStatus, "503"), (Field::UrlPath, "/very/long")],
        );
        check(
            "203.0.113.7:48492 [02/Mar/2026:09:14:07.762] PROD PROD/<NOSRV> -1/-1/-1/-1/0 400 0 - - PR-- 2/2/0/0/0 0/0 \"<BADREQ>\"",
            &[(Field::HttpStatus, "400"), (Field::UrlOriginal, "")],
        );
        check(
            "203.0.113.7:48492 [02/Mar/2026:09:14:07.762] fe be/srv 0/0/5007 212 -- 0/0/0/0/3 0/0",
            &[(Field::EventAction, "info"), (Field::Bytes, "212"), (Field::EventDuration, "5007000000")],
        );
        check(
            "203.0.113.7:50033 [02/Mar/2026:09:14:07.123] fe/1: SSL handshake failure",
            &[(Field::EventOutcome, "failure"), (Field::Message, "SSL handshake failure")],
        );
    }

    #[test]
    fn a_handshake_that_failed_is_told_in_both_ways_there_are() {
        for line in [
            "203.0.113.7:5000 [02/Mar/2026:09:14:07.608] https~ 0/00000000/0/0/0 -/TLSv1.3/TLS_AES_256_GCM_SHA384",
            "203.0.113.7:5000 [02/Mar/2026:09:14:07.608] https~ 30/0A000086/0/0/0 crm.example.com/TLSv1.2/-",
        ] {
            check(
                line,
                &[
                    (Field::EventAction, "info"),
                    (Field::EventOutcome, "failure"),
                    (Field::SourceIp, "203.0.113.7"),
                    (Field::Message, &line[51..]),
                ],
            );
        }
    }

    #[test]
    fn an_object_behind_the_process_s_name_is_a_request() {
        let line = r#"lb[7]: [ACCESS] 2026 {"meth":"GET","ip":"203.0.113.7","port":4711,"path":"\/crm\/a","qs":"b=c","vers":"HTTP\/1.1","code":403,"bytes":363,"date":1772442847.608,"fqdn":"crm.example.com","ua":"Mozilla\/5.0 (X11)","tt":2022,"pn":"Windows"}"#;
        assert_eq!((FORMAT.sniff)(line), 86);
        let found = check(
            line,
            &[
                (Field::EventAction, "http-request"),
                (Field::EventOutcome, "failure"),
                (Field::SourceIp, "203.0.113.7"),
                (Field::SourcePort, "4711"),
                (Field::HttpMethod, "GET"),
                (Field::UrlPath, "/crm/a"),
                (Field::UrlQuery, "b=c"),
                (Field::UrlDomain, "crm.example.com"),
                (Field::UserAgent, "Mozilla/5.0 (X11)"),
                (Field::HttpStatus, "403"),
                (Field::HttpResponseBytes, "363"),
                (Field::EventDuration, "2022000000"),
            ],
        );
        assert_eq!(found.time, 1_772_442_847_608);
        assert_eq!((FORMAT.sniff)(&line[line.find('{').expect("there")..]), 0);
        let mut events = Vec::new();
        let torn = &line[..line.len() - 5];
        assert_eq!((FORMAT.grammar)(&Options::default()).parse(torn, &mut events), Verdict::Rejected("broken JSON"));
    }

    #[test]
    fn notices_are_kept_and_other_lines_are_refused() {
        check("Proxy crm started.", &[(Field::EventAction, "info"), (Field::Message, "Proxy crm started.")]);
        let mut events = Vec::new();
        for line in ["hello", "203.0.113.7 - - [02/Mar/2026:09:14:07 +0000] \"GET / HTTP/1.1\" 200 1"] {
            let verdict = (FORMAT.grammar)(&Options::default()).parse(line, &mut events);
            assert!(matches!(verdict, Verdict::Rejected(_)), "{line}");
        }
    }
}
