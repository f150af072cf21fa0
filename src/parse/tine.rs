//! Tine (Tine 2.0), a groupware with a CRM: `REQUEST SESSION -- user -- - STAMP LEVEL (N): Class::method::LINE message`.

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field};

use super::Format;
use super::app_log::{self, Application, Head};
use super::time::{self, YearClock};
use super::{absent, ip};

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: LOG.name,
    about: "Tine 2.0 (tine Groupware) log",
    sniff: |record| app_log::sniff(&LOG, record, 92),
    grammar: |options| app_log::grammar(&LOG, options),
};

static LOG: Application = Application { name: "tine", head, tell };

fn head<'l>(line: &'l str, zone: Tz, clock: &mut YearClock) -> Option<Head<'l>> {
    classic(line, zone, clock).or_else(|| timed(line, zone)).or_else(|| coloured(line, zone))
}

/// `REQUEST user - STAMP LEVEL (N): Class::method::LINE message`, as the logger that writes in colours has it.
fn coloured(line: &str, zone: Tz) -> Option<Head<'_>> {
    let (request, rest) = line.trim_start().split_once(' ')?;
    let (user, rest) = rest.split_once(" - ")?;
    let (time, behind) = time::iso_prefix(rest, zone).filter(|_| rest.as_bytes().get(10) == Some(&b'T'))?;
    let (level, behind) = behind.trim_start().split_once(" (")?;
    let (_, behind) = behind.split_once("): ")?;
    let (logger, message) = behind.split_once(' ').unwrap_or((behind, ""));
    let plain = !request.is_empty()
        && request.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !user.contains(' ')
        && logger.contains("::")
        && level.bytes().all(|byte| byte.is_ascii_uppercase());
    let user = if matches!(user, "none" | "anonymoususer") { "" } else { user };
    plain.then_some(Head { time, level, logger, user, message, ..Head::default() })
}

/// `REQUEST SESSION - user 96ms 2ms - STAMP LEVEL (N): Class::method::LINE message`, as later releases write it.
fn timed(line: &str, zone: Tz) -> Option<Head<'_>> {
    let (ids, rest) = line.split_once(" - ")?;
    let session = ids.split_once(' ')?.1;
    let (at, (time, behind)) = rest.match_indices(" - ").take(MOST_MARKS).find_map(|(at, mark)| {
        let stamp = &rest[at + mark.len()..];
        let dated = stamp.as_bytes().get(10) == Some(&b'T');
        Some((at, time::iso_prefix(stamp, zone).filter(|_| dated)?))
    })?;
    let (level, behind) = behind.trim_start().split_once(" (")?;
    let (_, behind) = behind.split_once("): ")?;
    let (logger, message) = behind.split_once(' ').unwrap_or((behind, ""));
    if session.contains(' ') || level.is_empty() || !level.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    // How long it has taken so far stands behind the name.
    let is_time = |word: &str| word.strip_suffix("ms").is_some_and(|digits| digits.parse::<u64>().is_ok());
    let mut user = rest[..at].trim_ascii();
    while let Some((before, _)) = user.rsplit_once(' ').filter(|(_, word)| is_time(word)) {
        user = before;
    }
    let user = if matches!(user, "none" | "anonymoususer") { "" } else { user };
    Some(Head { time, level, logger, user, session, message, ..Head::default() })
}

/// A name with more of these hides its own entry's head.
const MOST_MARKS: usize = 16;

fn classic<'l>(line: &'l str, zone: Tz, _clock: &mut YearClock) -> Option<Head<'l>> {
    let (ids, rest) = line.split_once(" -- ")?;
    // Before there is a session, none is named.
    let (request, session) = ids.split_once(' ').unwrap_or((ids, ""));
    if request.is_empty() || !request.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    // The user's name may hold anything: the stamp after the last mark before it tells where it ends.
    let (at, stamp) = rest.match_indices(" -- - ").find_map(|(at, mark)| {
        let stamp = &rest[at + mark.len()..];
        stamp.as_bytes().get(4).is_some_and(|byte| *byte == b'-').then_some((at, stamp))
    })?;
    let user = &rest[..at];
    let (time, rest) = time::iso_prefix(stamp, zone)?;
    let (level, rest) = rest.trim_start().split_once(" (")?;
    let (_, rest) = rest.split_once("): ")?;
    let (logger, message) = rest.split_once(' ').unwrap_or((rest, ""));
    if session.contains(' ') || level.contains(' ') {
        return None;
    }
    let user = if user == "none" { "" } else { user };
    Some(Head { time, level, logger, user, session, message, ..Head::default() })
}

/// `Login with username NAME from ADDRESS failed (-N)!`
fn tell(event: &mut Event, raw: &str, message: &str) -> Option<(&'static str, &'static str)> {
    if let Some(rest) = message.strip_prefix("Login with username ") {
        let (name, from) = rest.rsplit_once(" from ")?;
        let (address, how) = from.split_once(' ').unwrap_or((from, ""));
        event.set_part(Field::UserName, raw, name);
        if !absent(address) {
            ip::set_source(event, raw, address);
        }
        if how.starts_with("failed") {
            let reason = match how.split(['(', ')']).nth(1) {
                Some("-1") => "no such user",
                Some("-3") => "wrong password",
                Some(other) => other,
                None => how,
            };
            event.set(Field::EventReason, reason);
            return Some(("login", "failure"));
        }
        return Some(("login", "success"));
    }
    message.contains("logged out").then_some(("logout", "success"))
}

#[cfg(test)]
mod tests {
    use super::super::trial::{event, holds};
    use super::*;
    use crate::parse::Options;

    #[test]
    fn a_failed_login_names_who_from_where_and_why_whatever_the_name_holds() {
        for name in ["mia", "mia from 1.2.3.4", "a -- - b"] {
            let record = format!(
                "78017 00cff -- none -- - 2026-03-02T09:14:07+00:00 WARN (4): Tinebase_Controller::login::106 Login with username {name} from 203.0.113.7 failed (-3)!"
            );
            assert_eq!((FORMAT.sniff)(&record), 92, "{record}");
            let found = event((FORMAT.grammar)(&Options::default()), &record);
            holds(
                &found,
                &[
                    (Field::EventAction, "login"),
                    (Field::EventOutcome, "failure"),
                    (Field::UserName, name),
                    (Field::SourceIp, "203.0.113.7"),
                    (Field::EventReason, "wrong password"),
                    (Field::SessionId, "00cff"),
                    (Field::LogLogger, "Tinebase_Controller::login::106"),
                ],
                &record,
            );
            assert_eq!(found.time, 1_772_442_847_000);
        }
    }

    #[test]
    fn entries_without_a_session_and_in_colours_are_read() {
        for (record, user) in [
            ("93422 -- mia -- - 2026-03-02T09:14:07+00:00 INFO (6): Tinebase_Core::set::1271 Setting user", "mia"),
            (
                "\u{1b}[0m 5a437 \u{1b}[1m\u{1b}[32mmia\u{1b}[0m - \u{1b}[33m2026-03-02T10:14:07+01:00 WARN (4): Tinebase_Core::set::1271 Setting user",
                "mia",
            ),
            ("93422 -- none -- - 2026-03-02T09:14:07+00:00 INFO (6): Tinebase_Core::set::1271 Setting user", ""),
        ] {
            assert_eq!((FORMAT.sniff)(record), 92, "{record}");
            let found = event((FORMAT.grammar)(&Options::default()), record);
            holds(&found, &[(Field::UserName, user), (Field::Message, "Setting user"), (Field::SessionId, "")], record);
            assert_eq!(found.time, 1_772_442_847_000, "{record}");
        }
        assert_eq!((FORMAT.sniff)("one comment -- or two -- - 2026-03-02T09:14:07+00:00 INFO (6): a::b::1 x"), 0);
    }

    #[test]
    fn other_entries_are_kept_with_their_user() {
        let record = "a1 b2 -- mia -- - 2026-03-02T09:14:07+00:00 INFO (6): Crm_Controller::x::1 loading leads";
        holds(
            &event((FORMAT.grammar)(&Options::default()), record),
            &[(Field::EventAction, "info"), (Field::UserName, "mia"), (Field::Message, "loading leads")],
            record,
        );
    }
}
