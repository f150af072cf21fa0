//! Twenty: its server's console lines (NestJS), and audit events as JSON rows. Its web log is an access log like any other.

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field};

use super::app_log::{self, Application, Head};
use super::json_lines::body;
use super::spoken_time;
use super::time::{self, YearClock};
use super::vendor::{self, Around, Fields, Vendor, has_all};
use super::{Format, NO_TIME, Verdict, actions};

/// The console's lines.
pub const FORMAT: Format = Format {
    name: LOG.name,
    about: "Twenty server log (NestJS console lines)",
    sniff: |record| app_log::sniff(&LOG, record, 90),
    grammar: |options| app_log::grammar(&LOG, options),
};

/// Audit events.
pub const EVENTS: Format = Format {
    name: VENDOR.name,
    about: "Twenty audit events (workspaceEvent, objectEvent rows as JSON)",
    sniff: |record| match body(record) {
        Some(text) if has_all(text, &["\"workspaceId\"", "\"event\"", "\"timestamp\""]) => 90,
        _ => 0,
    },
    grammar: |options| vendor::grammar(&VENDOR, options),
};

static LOG: Application = Application { name: "twenty", head, tell };

/// `[Nest] PID  - MM/DD/YYYY, H:MM:SS AM     LOG [Context] message`
fn head<'l>(line: &'l str, zone: Tz, _clock: &mut YearClock) -> Option<Head<'l>> {
    let rest = line.strip_prefix("[Nest]")?.trim_start();
    let (pid, rest) = rest.split_once(char::is_whitespace)?;
    let rest = rest.trim_start().strip_prefix('-')?.trim_start();
    const LEVELS: [&str; 6] = ["LOG", "ERROR", "WARN", "DEBUG", "VERBOSE", "FATAL"];
    let (at, level) = LEVELS
        .iter()
        .filter_map(|level| {
            let behind_blank = |(at, _): &(usize, &str)| *at > 0 && rest.as_bytes()[*at - 1] == b' ';
            let before_blank = |(at, _): &(usize, &str)| rest.as_bytes().get(*at + level.len()) == Some(&b' ');
            let (at, _) = rest.match_indices(level).filter(behind_blank).find(before_blank)?;
            Some((at - 1, *level))
        })
        .min_by_key(|(at, _)| *at)?;
    let stamp = rest[..at].trim();
    let time = day_first(stamp)
        .and_then(|stamp| spoken_time::moment(&stamp, zone))
        .or_else(|| spoken_time::moment(stamp, zone))
        .or_else(|| time::iso(stamp, zone))?;
    let level = &rest[at + 1..at + 1 + level.len()];
    let rest = rest[at + 2 + level.len()..].trim_start();
    let (logger, message) = rest.strip_prefix('[').and_then(|inner| inner.split_once("] ")).unwrap_or(("", rest));
    Some(Head { time, level, logger, pid, message, ..Head::default() })
}

/// `30/11/2025, 10:00:00`: a server whose language counts twenty-four hours puts the day first, as the dots between tell the reading.
fn day_first(stamp: &str) -> Option<String> {
    let (date, clock) = stamp.split_once(", ")?;
    (date.contains('/') && clock.bytes().all(|byte| byte.is_ascii_digit() || byte == b':'))
        .then(|| format!("{} {clock}", date.replace('/', ".")))
}

fn tell(_event: &mut Event, _raw: &str, message: &str) -> Option<(&'static str, &'static str)> {
    let refused = ["Wrong password", "Invalid credentials", "Unauthorized", "Forbidden"]
        .iter()
        .any(|word| message.contains(word));
    let login = message.contains("password") || message.contains("credentials");
    refused.then_some((if login { "login" } else { "info" }, "failure"))
}

static VENDOR: Vendor = Vendor { name: "twenty-events", whole: &["properties"], envelopes: &["data", "rows"], read };

fn read(fields: &Fields<'_>, around: &Around<'_>, events: &mut Vec<Event>) -> Verdict {
    let Some(name) = fields.get("event") else { return Verdict::Rejected("not-a-twenty-event") };
    let raw = around.raw;
    let mut event = Event::new(raw);
    event.time = fields.time(&["timestamp"], around.zone).unwrap_or(NO_TIME);
    event.set_part(Field::EventCode, raw, name);
    fields.put(
        &mut event,
        raw,
        &[
            (Field::UserId, "userWorkspaceId"),
            (Field::UserId, "userId"),
            (Field::OrganizationId, "workspaceId"),
            (Field::ObjectId, "recordId"),
            (Field::ObjectType, "objectMetadataId"),
        ],
    );
    fields.person(&mut event, raw, &["userEmail"]);
    let action = actions::action(name).or_else(|| actions::phrase(name)).unwrap_or("info");
    actions::set(&mut event, action);
    event.set(Field::EventOutcome, actions::outcome_of_phrase(name).unwrap_or("success"));
    event.set(Field::EventProvider, "twenty");
    event.set(Field::EventDataset, "twenty.audit");
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
    fn a_clock_of_twenty_four_hours_has_the_day_first() {
        for (stamp, time) in [
            ("02/03/2026, 09:14:07", 1_772_442_847_000),
            ("03/02/2026, 9:14:07 AM", 1_772_442_847_000),
            ("30/11/2025, 10:00:00", 1_764_496_800_000),
        ] {
            let record = format!("[Nest] 77  - {stamp}     LOG [NestFactory] Starting");
            assert_eq!(event((FORMAT.grammar)(&Options::default()), &record).time, time, "{record}");
        }
    }

    #[test]
    fn console_lines_are_read_with_colours_and_without() {
        for record in [
            "[Nest] 77  - 03/02/2026, 9:14:07 AM   ERROR [AuthService] Wrong password",
            "\u{1b}[32m[Nest] 77  - \u{1b}[39m03/02/2026, 9:14:07 AM \u{1b}[31m  ERROR\u{1b}[39m \u{1b}[33m[AuthService] \u{1b}[39mWrong password",
        ] {
            assert_eq!((FORMAT.sniff)(record), 90, "{record}");
            let found = event((FORMAT.grammar)(&Options::default()), record);
            holds(
                &found,
                &[
                    (Field::EventAction, "login"),
                    (Field::EventOutcome, "failure"),
                    (Field::ProcessPid, "77"),
                    (Field::LogLogger, "AuthService"),
                ],
                record,
            );
            assert_eq!(found.time, 1_772_442_847_000);
        }
    }

    #[test]
    fn audit_events_are_told_by_their_name() {
        let record = r#"{"event":"object.record.delete","timestamp":"2026-03-02 09:14:07.000","userId":"u1","workspaceId":"w1","recordId":"r1","objectMetadataId":"o1","properties":{"a":1}}"#;
        assert_eq!((EVENTS.sniff)(record), 90);
        holds(
            &event((EVENTS.grammar)(&Options::default()), record),
            &[
                (Field::EventAction, "delete"),
                (Field::UserId, "u1"),
                (Field::ObjectId, "r1"),
                (Field::OrganizationId, "w1"),
            ],
            record,
        );
    }
}
