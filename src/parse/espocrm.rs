//! EspoCRM's own log (Monolog lines, with and without a channel), and its AuthLogRecord and ActionHistoryRecord entities as JSON.
//! Its web log is worth more, and is an access log like any other (`clf`, `web`).

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field};

use super::app_log::{self, Application, Head, between};
use super::json_lines::{body, delivery};
use super::time::{self, YearClock};
use super::vendor::{self, Around, Fields, Vendor, has_all};
use super::{Format, NO_TIME, Verdict, actions, ip};

/// The log.
pub const FORMAT: Format = Format {
    name: LOG.name,
    about: "EspoCRM log (data/logs/espo-*.log)",
    sniff: |record| {
        let own = ["Espo.", "Espo\\", ": AUTH: "].iter().any(|word| record.contains(word));
        app_log::sniff(&LOG, record, if own { 90 } else { 58 })
    },
    grammar: |options| app_log::grammar(&LOG, options),
};

/// The entities.
pub const RECORDS: Format = Format {
    name: VENDOR.name,
    about: "EspoCRM AuthLogRecord and ActionHistoryRecord, JSON of its API",
    sniff: |record| match body(record) {
        Some(text) if has_all(text, &["\"isDenied\"", "\"ipAddress\""]) => 95,
        Some(text) if has_all(text, &["\"targetType\"", "\"targetId\"", "\"authLogRecordId\""]) => 95,
        _ => 0,
    },
    grammar: |options| vendor::grammar(&VENDOR, options),
};

static LOG: Application = Application { name: "espocrm", head, tell };

/// `[STAMP] (CHANNEL.)?LEVEL: MESSAGE`
fn head<'l>(line: &'l str, zone: Tz, _clock: &mut YearClock) -> Option<Head<'l>> {
    let (stamp, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let time = time::iso(stamp, zone)?;
    let (mark, message) = rest.split_once(": ").or_else(|| rest.strip_suffix(':').map(|mark| (mark, "")))?;
    let (logger, level) = mark.rsplit_once('.').unwrap_or(("", mark));
    const LEVELS: [&str; 8] = ["DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"];
    if !LEVELS.contains(&level) || logger.contains(' ') {
        return None;
    }
    let message = message.trim_end();
    let message = message.strip_suffix(" []").unwrap_or(message);
    let message = message.strip_suffix(" []").unwrap_or(message);
    Some(Head { time, level, logger, message, ..Head::default() })
}

fn tell(event: &mut Event, raw: &str, message: &str) -> Option<(&'static str, &'static str)> {
    if let Some(auth) = message.strip_prefix("AUTH: ") {
        event.set_part(Field::EventReason, raw, auth);
        if let Some(address) = between(auth, "for IP '", "'") {
            ip::set_source(event, raw, address);
        } else if let Some(name) = between(auth, "user '", "'") {
            event.set_part(Field::UserName, raw, name);
        }
        return Some(("login", "failure"));
    }
    // `(403) Forbidden; POST /Account; line: ...`, `Code: 403 URL: /crm/api/v1/Case`
    let code = message
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'))
        .map(|(code, _)| code)
        .or_else(|| message.split_once("Code: ").map(|(_, rest)| rest.split(' ').next().unwrap_or("")))
        .and_then(|code| code.parse::<i64>().ok())
        .filter(|code| (400..600).contains(code))?;
    event.set_integer(Field::HttpStatus, code);
    if let Some((_, url)) = message.split_once(" URL: ") {
        event.set_part(Field::UrlPath, raw, url.split([' ', '?']).next().unwrap_or(url));
    } else if let Some((method, path)) = message.split("; ").nth(1).and_then(|request| request.split_once(' ')) {
        event.set_part(Field::HttpMethod, raw, method);
        event.set_part(Field::UrlPath, raw, path);
    }
    if code == 403 {
        event.set(Field::EventType, "denied");
    }
    Some(("info", "failure"))
}

static VENDOR: Vendor = Vendor { name: "espocrm-records", whole: &["data"], envelopes: &["list"], read };

fn read(fields: &Fields<'_>, around: &Around<'_>, events: &mut Vec<Event>) -> Verdict {
    let raw = around.raw;
    let mut event = Event::new(raw);
    // The API writes UTC without saying so.
    event.time = fields.time(&["createdAt", "requestTime"], Tz::UTC).unwrap_or(NO_TIME);
    fields.client(&mut event, raw, &["ipAddress"]);
    fields.put(
        &mut event,
        raw,
        &[(Field::UserId, "userId"), (Field::HttpMethod, "requestMethod"), (Field::UrlOriginal, "requestUrl")],
    );
    fields.person(&mut event, raw, &["username", "userName"]);
    let (action, outcome, dataset) = if fields.has("isDenied") || fields.has("authenticationMethod") {
        fields.put(
            &mut event,
            raw,
            &[
                (Field::EventReason, "denialReason"),
                (Field::SessionId, "authTokenId"),
                (Field::LoginType, "authenticationMethod"),
            ],
        );
        let denied = fields.bool("isDenied").unwrap_or(false);
        let second = event.text(Field::EventReason) == Some("WRONG_CODE");
        (if second { "mfa-denied" } else { "login" }, if denied { "failure" } else { "success" }, "espocrm.auth")
    } else if let Some(verb) = fields.get("action") {
        fields.put(
            &mut event,
            raw,
            &[(Field::ObjectType, "targetType"), (Field::ObjectId, "targetId"), (Field::SessionId, "authLogRecordId")],
        );
        (actions::action(verb).unwrap_or("info"), "success", "espocrm.history")
    } else {
        return Verdict::Rejected("not-an-espocrm-record");
    };
    actions::set(&mut event, action);
    event.set(Field::EventOutcome, outcome);
    event.set(Field::EventProvider, "espocrm");
    event.set(Field::EventDataset, dataset);
    if let Some(id) = fields.get("id") {
        event.set_part(Field::EventId, raw, id);
        event.delivery = Some(delivery(id));
    }
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
    fn entries_of_every_version_are_read_and_refused_logins_told() {
        for (record, expected) in [
            (
                "[2026-03-02 09:14:07] Espo.WARNING: AUTH: Trying to login as user 'm'ia' which is not active. [] []",
                vec![
                    (Field::EventAction, "login"),
                    (Field::EventOutcome, "failure"),
                    (Field::UserName, "m'ia"),
                    (Field::LogLogger, "Espo"),
                ],
            ),
            (
                "[2026-03-02 09:14:07] WARNING: AUTH: Max failed login attempts exceeded for IP '203.0.113.7'.",
                vec![(Field::EventAction, "login"), (Field::SourceIp, "203.0.113.7"), (Field::UserName, "")],
            ),
            (
                "[2026-03-02 09:14:07] ERROR: (403) Forbidden; POST /Account; line: 12",
                vec![
                    (Field::EventAction, "info"),
                    (Field::EventOutcome, "failure"),
                    (Field::HttpStatus, "403"),
                    (Field::UrlPath, "/Account"),
                ],
            ),
            (
                "[2026-03-02 09:14:07] Espo.ERROR: Display Error: , Code: 403 URL: /crm/api/v1/Case [] []",
                vec![(Field::HttpStatus, "403"), (Field::UrlPath, "/crm/api/v1/Case")],
            ),
            (
                "[2026-03-02 09:14:07] NOTICE: Cron is late",
                vec![(Field::EventAction, "info"), (Field::Message, "Cron is late")],
            ),
        ] {
            let found = event((FORMAT.grammar)(&Options::default()), record);
            holds(&found, &expected, record);
            assert_eq!(found.time, 1_772_442_847_000);
        }
    }

    #[test]
    fn a_stack_trace_goes_on_from_its_entry() {
        let mut grammar = (FORMAT.grammar)(&Options::default());
        let mut events = Vec::new();
        assert!(matches!(grammar.parse("#0 /var/www/x.php(12)", &mut events), Verdict::Rejected(_)));
        assert_eq!(grammar.parse("[2026-03-02 09:14:07] ERROR: x", &mut events), Verdict::Parsed);
        assert_eq!(grammar.parse("#0 /var/www/x.php(12)", &mut events), Verdict::Continuation);
    }

    #[test]
    fn entities_of_the_api_are_logins_and_what_was_done() {
        let auth = r#"{"total":1,"list":[{"id":"a1","username":"mia","ipAddress":"203.0.113.7","createdAt":"2026-03-02 09:14:07","isDenied":true,"denialReason":"CREDENTIALS","authenticationMethod":"Espo"}]}"#;
        assert_eq!((RECORDS.sniff)(auth), 95);
        holds(
            &event((RECORDS.grammar)(&Options::default()), auth),
            &[
                (Field::EventAction, "login"),
                (Field::EventOutcome, "failure"),
                (Field::UserName, "mia"),
                (Field::EventReason, "CREDENTIALS"),
            ],
            auth,
        );
        let history = r#"{"id":"h1","action":"read","targetType":"Contact","targetId":"c1","userId":"u1","ipAddress":"203.0.113.7","createdAt":"2026-03-02 09:14:07","authLogRecordId":"a1"}"#;
        assert_eq!((RECORDS.sniff)(history), 95);
        holds(
            &event((RECORDS.grammar)(&Options::default()), history),
            &[
                (Field::EventAction, "view"),
                (Field::ObjectType, "Contact"),
                (Field::ObjectId, "c1"),
                (Field::UserId, "u1"),
            ],
            history,
        );
    }
}
