//! Caddy's JSON access log, and the lines of its other loggers that share the file. Not for Caddy's Common Log Format plug-in (`clf`).

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field, Millis};

use super::json_lines::body;
use super::vendor::{self, Around, Fields, Vendor, has_all};
use super::{Format, Framing, Grammar, NO_TIME, Verdict, actions, target, time, wrap};

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: VENDOR.name,
    about: "Caddy access log (JSON), with the lines of its other loggers",
    sniff: |record| match body(record) {
        Some(text) if !text.starts_with(['{', '[']) => 95 * u8::from(console(&wrap::plain(text), Tz::UTC).is_some()),
        Some(text) if has_all(text, &["\"http.log.access", "\"request\""]) => 95,
        Some(text) if has_all(text, &["\"request\"", "\"remote_ip\"", "\"resp_headers\""]) => 95,
        // Other programs write with the same library: only Caddy's own names tell it.
        Some(text)
            if has_all(text, &["\"ts\":", "\"level\":", "\"msg\":"])
                && LOGGERS.iter().any(|name| has_all(text, &[name])) =>
        {
            91
        }
        _ => 0,
    },
    grammar: |options| Box::new(Caddy { zone: options.timezone, objects: vendor::grammar(&VENDOR, options) }),
};

/// Caddy's objects, and its lines for the console, which end with one.
struct Caddy {
    zone: Tz,
    objects: Box<dyn Grammar>,
}

/// What stands before the object of a line for the console.
struct Console<'l> {
    time: Millis,
    level: &'l str,
    logger: &'l str,
    message: &'l str,
    object: &'l str,
}

/// `2026/03/02 09:14:07.123 INFO http.log.access handled request {"request": ...}`, with tabs or blanks between.
fn console(line: &str, zone: Tz) -> Option<Console<'_>> {
    let (time, rest) = time::iso_prefix(line, zone).filter(|_| line.as_bytes().get(4) == Some(&b'/'))?;
    let blank = [' ', '\t'];
    let (level, rest) = rest.trim_start_matches(blank).split_once(blank)?;
    if !matches!(level, "DEBUG" | "INFO" | "WARN" | "ERROR" | "PANIC" | "FATAL") {
        return None;
    }
    let rest = rest.trim_start_matches(blank);
    let (text, object) = rest.split_at(memchr::memchr(b'{', rest.as_bytes()).unwrap_or(rest.len()));
    let (logger, message) = text.split_once(blank).unwrap_or(("", text));
    let named = LOGGERS.iter().filter_map(|known| known.strip_prefix("\"logger\":\""));
    let is_one = named.map(|name| name.trim_end_matches('"')).any(|name| logger.starts_with(name));
    is_one.then_some(Console { time, level, logger, message: message.trim_matches(blank), object })
}

impl Grammar for Caddy {
    fn framing(&self, line: &[u8]) -> Framing {
        self.objects.framing(line)
    }

    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let line = wrap::plain(record);
        let Some(console) = console(&line, self.zone) else { return self.objects.parse(record, events) };
        let before = events.len();
        if console.object.is_empty() || self.objects.parse(console.object, events) != Verdict::Parsed {
            events.truncate(before);
            let mut event = Event::new(record);
            event.set(Field::EventProvider, "caddy");
            actions::set(&mut event, "info");
            event.set(Field::EventOutcome, "unknown");
            events.push(event);
        }
        for event in &mut events[before..] {
            if event.raw().len() != record.len() {
                event.carried_in(record);
            }
            event.time = console.time;
            for (field, text) in [
                (Field::LogLevel, console.level),
                (Field::LogLogger, console.logger),
                (Field::Message, console.message),
            ] {
                if !text.is_empty() {
                    event.set_part(field, record, text);
                }
            }
        }
        Verdict::Parsed
    }

    fn format(&self) -> &'static str {
        FORMAT.name
    }
}

/// What Caddy's own lines hold besides.
const LOGGERS: [&str; 6] = [
    "\"logger\":\"http",
    "\"logger\":\"tls",
    "\"logger\":\"admin\"",
    "\"logger\":\"caddy",
    "\"logger\":\"pki",
    "/Caddyfile\"",
];

static VENDOR: Vendor = Vendor { name: "caddy", whole: &[], envelopes: &[], read };

fn read(fields: &Fields<'_>, around: &Around<'_>, events: &mut Vec<Event>) -> Verdict {
    // For the console the stamp stands before the object.
    let told = fields.has("request.uri") && fields.has("request.method");
    if !(told || fields.has("ts") && fields.has("msg")) {
        return Verdict::Rejected("not-a-caddy-record");
    }
    let raw = around.raw;
    let mut event = Event::new(raw);
    event.time = fields.time(&["ts"], around.zone).unwrap_or(NO_TIME);
    fields.put(&mut event, raw, &[(Field::LogLevel, "level"), (Field::LogLogger, "logger"), (Field::Message, "msg")]);
    event.set(Field::EventProvider, "caddy");
    if fields.has("request.uri") || fields.has("request.method") {
        access(fields, &mut event, raw);
    } else {
        fields.put(&mut event, raw, &[(Field::ErrorMessage, "error")]);
        actions::set(&mut event, "info");
        event.set(Field::EventOutcome, "unknown");
    }
    fields.rest(&mut event, raw);
    events.push(event);
    Verdict::Parsed
}

fn access(fields: &Fields<'_>, event: &mut Event, raw: &str) {
    // `client_ip` has been through the proxies that Caddy trusts.
    fields.client(event, raw, &["request.client_ip", "request.remote_ip", "request.remote_addr"]);
    if let Some(port) = fields.integer("request.remote_port").filter(|_| !event.has(Field::SourcePort)) {
        event.set_integer(Field::SourcePort, port);
    }
    fields.put(
        event,
        raw,
        &[
            (Field::UserName, "user_id"),
            (Field::HttpMethod, "request.method"),
            (Field::UserAgent, "request.headers.User-Agent"),
            (Field::HttpReferrer, "request.headers.Referer"),
            (Field::ForwardedIp, "request.headers.X-Forwarded-For"),
        ],
    );
    if let Some(host) = fields.get("request.host") {
        event.set_part(Field::UrlDomain, raw, target::without_port(host));
    }
    if let Some(uri) = fields.get("request.uri") {
        target::locate(event, raw, uri);
    }
    if let Some(version) = fields.get("request.proto").and_then(|text| text.strip_prefix("HTTP/")) {
        event.set_part(Field::HttpVersion, raw, version);
    }
    // A status of 0: nothing was sent, mostly because the client had gone.
    let status = fields.integer("status").filter(|status| *status > 0);
    if let Some(status) = status {
        event.set_integer(Field::HttpStatus, status);
    }
    for (field, path) in [(Field::HttpResponseBytes, "size"), (Field::HttpRequestBytes, "bytes_read")] {
        if let Some(bytes) = fields.integer(path) {
            event.set_integer(field, bytes);
        }
    }
    let seconds =
        fields.get("duration").and_then(|text| text.parse::<f64>().ok()).filter(|seconds| (0.0..1e9).contains(seconds));
    if let Some(seconds) = seconds {
        event.set_integer(Field::EventDuration, (seconds * 1e9).round() as i64);
    }
    actions::set(event, "http-request");
    event.set(Field::EventOutcome, status.and_then(actions::of_status).unwrap_or("unknown"));
}

#[cfg(test)]
mod tests {
    use super::super::trial::{event, holds};
    use super::*;
    use crate::parse::Options;

    #[test]
    fn another_program_of_the_same_library_is_not_taken_for_caddy() {
        let record = r#"{"level":"info","ts":1772442847.75,"logger":"crm.audit","msg":"exported","user":"mia"}"#;
        assert_eq!((FORMAT.sniff)(record), 0);
        let first = r#"{"level":"info","ts":1772442847.75,"msg":"using config","file":"/etc/caddy/Caddyfile"}"#;
        assert_eq!((FORMAT.sniff)(first), 91, "before its first access line");
    }

    #[test]
    fn an_access_line_is_a_request_and_another_logger_s_line_is_kept() {
        for (record, expected) in [
            (
                r#"{"level":"info","ts":1772442847.7564995,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"10.0.0.1","remote_port":"44790","client_ip":"203.0.113.7","proto":"HTTP/2.0","method":"GET","host":"crm.example.com:443","uri":"/a?b=1","headers":{"User-Agent":["Mozilla/5.0"],"Authorization":["REDACTED"]}},"bytes_read":0,"user_id":"mia","duration":2.701e-06,"size":12,"status":200,"resp_headers":{"Server":["Caddy"]}}"#,
                vec![
                    (Field::EventAction, "http-request"),
                    (Field::EventOutcome, "success"),
                    (Field::SourceIp, "203.0.113.7"),
                    (Field::SourcePort, "44790"),
                    (Field::UserName, "mia"),
                    (Field::UrlDomain, "crm.example.com"),
                    (Field::UrlPath, "/a"),
                    (Field::UserAgent, "Mozilla/5.0"),
                    (Field::EventDuration, "2701"),
                    (Field::HttpVersion, "2.0"),
                ],
            ),
            (
                r#"{"level":"info","ts":"2026-03-02T09:14:07.756Z","logger":"http.log.access","msg":"handled request","request":{"remote_addr":"203.0.113.7:44790","method":"GET","uri":"/"},"status":0}"#,
                vec![
                    (Field::SourceIp, "203.0.113.7"),
                    (Field::SourcePort, "44790"),
                    (Field::HttpStatus, ""),
                    (Field::EventOutcome, "unknown"),
                ],
            ),
            (
                r#"{"level":"warn","ts":1772442847.75,"logger":"tls","msg":"stapling OCSP","error":"no OCSP"}"#,
                vec![(Field::EventAction, "info"), (Field::Message, "stapling OCSP"), (Field::ErrorMessage, "no OCSP")],
            ),
        ] {
            assert!((FORMAT.sniff)(record) >= 75, "{record}");
            let found = event((FORMAT.grammar)(&Options::default()), record);
            holds(&found, &expected, record);
            assert_eq!(found.time / 1000, 1_772_442_847);
        }
    }
}
