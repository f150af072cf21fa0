//! Traefik's JSON access log. Not for its Common Log Format (`clf`).

use crmwatch_detectors::{Event, Field};

use super::json_lines::body;
use super::vendor::{self, Around, Fields, Vendor, has_all};
use super::{Format, NO_TIME, Verdict, actions, target};

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: VENDOR.name,
    about: "Traefik access log (JSON)",
    sniff: |record| match body(record) {
        Some(text) if has_all(text, &["\"ClientHost\"", "\"RequestMethod\""]) => 95,
        Some(text) if has_all(text, &["\"ClientAddr\"", "\"RequestPath\""]) => 95,
        Some(text) if has_all(text, &["\"DownstreamStatus\"", "\"RequestPath\""]) => 95,
        _ => 0,
    },
    grammar: |options| vendor::grammar(&VENDOR, options),
};

static VENDOR: Vendor = Vendor { name: "traefik", whole: &["ServiceURL"], envelopes: &[], read };

fn read(fields: &Fields<'_>, around: &Around<'_>, events: &mut Vec<Event>) -> Verdict {
    if !fields.has("RequestMethod") && !fields.has("RequestPath") {
        return Verdict::Rejected("not-a-traefik-request");
    }
    let raw = around.raw;
    let mut event = Event::new(raw);
    event.time = fields.time(&["StartUTC", "time", "StartLocal"], around.zone).unwrap_or(NO_TIME);
    fields.client(&mut event, raw, &["ClientHost", "ClientAddr"]);
    if let Some(port) = fields.integer("ClientPort").filter(|_| !event.has(Field::SourcePort)) {
        event.set_integer(Field::SourcePort, port);
    }
    fields.put(
        &mut event,
        raw,
        &[
            (Field::UserName, "ClientUsername"),
            (Field::HttpMethod, "RequestMethod"),
            (Field::UserAgent, "request_User-Agent"),
            (Field::HttpReferrer, "request_Referer"),
            (Field::ForwardedIp, "request_X-Forwarded-For"),
            (Field::ServiceName, "ServiceName"),
            (Field::LogLevel, "level"),
            (Field::HttpRequestId, "request_X-Request-Id"),
        ],
    );
    if let Some(host) = fields.first(&["RequestHost", "RequestAddr"]) {
        event.set_part(Field::UrlDomain, raw, target::without_port(host));
    }
    if let Some(path) = fields.get("RequestPath") {
        target::locate(&mut event, raw, path);
    }
    if let Some(version) = fields.get("RequestProtocol").and_then(|text| text.strip_prefix("HTTP/")) {
        event.set_part(Field::HttpVersion, raw, version);
    }
    let status =
        fields.integer("DownstreamStatus").or_else(|| fields.integer("OriginStatus")).filter(|status| *status > 0);
    if let Some(status) = status {
        event.set_integer(Field::HttpStatus, status);
    }
    for (field, path) in [
        (Field::HttpResponseBytes, "DownstreamContentSize"),
        (Field::HttpRequestBytes, "RequestContentSize"),
        (Field::EventDuration, "Duration"),
    ] {
        if let Some(number) = fields.integer(path) {
            event.set_integer(field, number);
        }
    }
    actions::set(&mut event, "http-request");
    event.set(Field::EventOutcome, status.and_then(actions::of_status).unwrap_or("unknown"));
    event.set(Field::EventProvider, "traefik");
    fields.rest(&mut event, raw);
    events.push(event);
    Verdict::Parsed
}

#[cfg(test)]
mod tests {
    use super::super::trial::{event, holds};
    use super::*;
    use crate::parse::Options;

    #[test]
    fn a_request_is_read_whether_the_service_is_text_or_object() {
        let record = r#"{"ClientAddr":"203.0.113.7:49158","ClientHost":"203.0.113.7","ClientPort":"49158","ClientUsername":"mia","DownstreamContentSize":19,"DownstreamStatus":404,"Duration":39999,"RequestHost":"crm.example.com","RequestMethod":"GET","RequestPath":"/x?y=1","RequestProtocol":"HTTP/1.1","ServiceURL":{"Scheme":"http","Host":"10.0.0.2"},"StartUTC":"2026-03-02T09:14:07.250123456Z","level":"info","msg":"","time":"2026-03-02T09:14:08Z","request_User-Agent":"Mozilla/5.0"}"#;
        for record in
            [record.to_owned(), record.replace(r#"{"Scheme":"http","Host":"10.0.0.2"}"#, r#""http://10.0.0.2""#)]
        {
            assert!((FORMAT.sniff)(&record) >= 90);
            let found = event((FORMAT.grammar)(&Options::default()), &record);
            holds(
                &found,
                &[
                    (Field::EventAction, "http-request"),
                    (Field::EventOutcome, "failure"),
                    (Field::SourceIp, "203.0.113.7"),
                    (Field::SourcePort, "49158"),
                    (Field::UserName, "mia"),
                    (Field::UrlPath, "/x"),
                    (Field::HttpStatus, "404"),
                    (Field::EventDuration, "39999"),
                    (Field::UserAgent, "Mozilla/5.0"),
                ],
                &record,
            );
            assert_eq!(found.time, 1_772_442_847_250);
        }
    }
}
