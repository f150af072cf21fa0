//! HAProxy lines that hold a JSON object instead of HAProxy's own fields, with the short names of HAProxy's sample fetches (`meth`, `ip`,
//! `ua`, `fqdn`), as the Enterprise edition's templates write them. Not for objects that stand alone (`json`).

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field};

use super::json::{Reader, Value, Visitor};
use super::json_lines::keep;
use super::{NO_TIME, absent, actions, ip, target, time};

/// The object in a line, where it has the names that make a request.
pub(super) fn find(line: &str) -> Option<&str> {
    let object = &line[line.find("{\"")?..];
    let has = |name: &str| memchr::memmem::find(object.as_bytes(), name.as_bytes()).is_some();
    (has("\"meth\":") && has("\"ip\":") && has("\"code\":")).then_some(object)
}

struct Request<'e> {
    event: &'e mut Event,
    raw: &'e str,
    path: String,
    query: String,
}

/// Puts what the object says into the event; false where it is not JSON.
pub(super) fn read(event: &mut Event, raw: &str, object: &str) -> bool {
    let mut request = Request { event, raw, path: String::new(), query: String::new() };
    let whole = Reader::default().read(object, &mut request).is_ok();
    let Request { event, path, query, .. } = request;
    let local = if query.is_empty() { path } else { format!("{path}?{query}") };
    target::locate(event, raw, &local);
    actions::set(event, "http-request");
    let outcome = event.integer(Field::HttpStatus).and_then(actions::of_status);
    event.set(Field::EventOutcome, outcome.unwrap_or("unknown"));
    whole
}

impl<'a> Visitor<'a> for Request<'_> {
    fn value(&mut self, path: &str, value: Value<'a, '_>, listed: bool) {
        let (text, raw) = (value.text(), self.raw);
        let event = &mut *self.event;
        if absent(text) || listed {
            return;
        }
        match (path, value.integer()) {
            ("ip", _) => ip::set_source(event, raw, text),
            ("meth", _) => event.set_part(Field::HttpMethod, raw, text),
            ("path", _) => text.clone_into(&mut self.path),
            ("qs", _) => text.clone_into(&mut self.query),
            ("vers", _) => event.set_part(Field::HttpVersion, raw, text.trim_start_matches("HTTP/")),
            ("ua", _) => event.set_part(Field::UserAgent, raw, text),
            ("fqdn", _) => event.set_part(Field::UrlDomain, raw, target::without_port(text)),
            ("uniqueid", _) => event.set_part(Field::HttpRequestId, raw, text),
            ("date", _) => event.time = time::epoch(text).or_else(|| time::clf(text, Tz::UTC)).unwrap_or(NO_TIME),
            ("code", Some(status)) => event.set_integer(Field::HttpStatus, status),
            ("bytes", Some(bytes)) => event.set_integer(Field::HttpResponseBytes, bytes),
            ("port", Some(port)) => event.set_integer(Field::SourcePort, port),
            // Milliseconds from the request to its end.
            ("tt", Some(millis)) => event.set_integer(Field::EventDuration, millis.saturating_mul(1_000_000)),
            _ => keep(event, raw, path, value, false),
        }
    }
}
