//! Files of vtiger and its fork YetiForce: log4php lines, Yii-like lines, PHP's error log with the zone in the stamp. Their login history
//! is a table, read as CSV (`login_history`).

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Millis};

use super::Format;
use super::app_log::{self, Application, Head};
use super::spoken_time;
use super::time::{self, YearClock};

/// vtiger's log4php lines.
pub const FORMAT: Format = Format {
    name: LOG.name,
    about: "vtiger log (logs/vtigercrm.log, security.log)",
    sniff: |record| app_log::sniff(&LOG, record, 72),
    grammar: |options| app_log::grammar(&LOG, options),
};

/// YetiForce's system and PHP error log.
pub const YETIFORCE: Format = Format {
    name: YETI.name,
    about: "YetiForce logs (cache/logs/system.log, phpError.log); PHP error logs",
    sniff: |record| app_log::sniff(&YETI, record, 76),
    grammar: |options| app_log::grammar(&YETI, options),
};

static LOG: Application = Application { name: "vtiger", head, tell };
static YETI: Application = Application { name: "yetiforce", head: yeti, tell };

const LEVELS: [&str; 6] = ["FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

/// `Tue Oct 16 14:53:17 2018,123 [4897] FATAL VT - message`, also with an ISO stamp, or `10/16/18 14:53:17,123`.
fn head<'l>(line: &'l str, zone: Tz, _clock: &mut YearClock) -> Option<Head<'l>> {
    let (time, rest) =
        time::ctime_prefix(line, zone).or_else(|| time::iso_prefix(line, zone)).or_else(|| short(line, zone))?;
    let rest = rest.trim_start_matches(|letter: char| letter == ',' || letter.is_ascii_digit()).trim_start();
    let (pid, rest) = rest.strip_prefix('[')?.split_once("] ")?;
    let (level, rest) = rest.trim_start().split_once(' ')?;
    let (logger, message) = rest.split_once(" - ")?;
    let plain = LEVELS.contains(&level) && !logger.contains(' ') && pid.bytes().all(|byte| byte.is_ascii_digit());
    plain.then_some(Head { time, level, logger, pid, message, ..Head::default() })
}

/// `06/24/15 00:52:59` at the line's start.
fn short(line: &str, zone: Tz) -> Option<(Millis, &str)> {
    let (stamp, rest) = line.split_at_checked(17)?;
    let place = |at: usize| stamp.as_bytes()[at];
    let number = |at: usize| stamp.get(at..at + 2)?.parse::<i64>().ok();
    let shaped = [(2, b'/'), (5, b'/'), (8, b' '), (11, b':'), (14, b':')].iter().all(|(at, mark)| place(*at) == *mark);
    let year = 2000 + number(6).filter(|_| shaped)?;
    let wall = time::civil(year, number(0)?, number(3)?, number(9)?, number(12)?, number(15)?, 0)?;
    Some((time::local(wall, zone), rest))
}

/// `[23-Nov-2015 15:45:04 Europe/Brussels] PHP Notice:  text`, or `2026-03-02 09:14:07 [ip][user][session][level][category] text`.
fn yeti<'l>(line: &'l str, zone: Tz, _clock: &mut YearClock) -> Option<Head<'l>> {
    if let Some((stamp, rest)) = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        let (moment, named) =
            match stamp.rsplit_once(' ').and_then(|(moment, name)| Some((moment, name.parse::<Tz>().ok()?))) {
                Some((moment, named)) => (moment, named),
                None => (stamp, zone),
            };
        // What a program says through `error_log` has no level; the zone's name tells the log from others.
        let (level, message) = match rest.strip_prefix("PHP ") {
            Some(message) => message.split_once(": ").unwrap_or(("", message)),
            None if moment.len() < stamp.len() && moment.as_bytes().get(2) == Some(&b'-') => ("", rest),
            None => return None,
        };
        let time = spoken_time::moment(moment, named)?;
        return Some(Head { time, level, logger: "php", message, ..Head::default() });
    }
    let (time, rest) = time::iso_prefix(line, zone)?;
    let mut rest = rest.trim_start();
    let mut marks = Vec::new();
    while let Some((mark, after)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        marks.push(mark);
        rest = after;
    }
    match marks[..] {
        // Yii's own: `[ip][userId][sessionId][level][category]`.
        [client, user_id, session, level, logger] => {
            Some(Head { time, level, logger, user_id, client, session, message: rest, ..Head::default() })
        }
        // A number there is a process of another program (`[INFO][88]`).
        [level, logger]
            if (LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level))
                || matches!(level, "warning" | "notice"))
                && !logger.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Some(Head { time, level, logger, message: rest, ..Head::default() })
        }
        _ => None,
    }
}

fn tell(_event: &mut Event, _raw: &str, message: &str) -> Option<(&'static str, &'static str)> {
    let lower = message.get(..message.len().min(400)).unwrap_or("").to_lowercase();
    let login = lower.contains("login") || lower.contains("log in");
    (login && (lower.contains("fail") || lower.contains("invalid") || lower.contains("blocked")))
        .then_some(("login", "failure"))
}

#[cfg(test)]
mod tests {
    use super::super::trial::{event, holds};
    use super::*;
    use crate::parse::Options;
    use crmwatch_detectors::Field;

    #[test]
    fn vtiger_s_lines_are_read_with_the_stamp_of_the_locale_or_iso() {
        for record in [
            "Mon Mar  2 09:14:07 2026,123 [4897] FATAL VT - Login failed for admin",
            "2026-03-02 09:14:07,123 [4897] FATAL VT - Login failed for admin",
            "03/02/26 09:14:07,123 [4897] FATAL VT - Login failed for admin",
        ] {
            assert_eq!((FORMAT.sniff)(record), 72, "{record}");
            let found = event((FORMAT.grammar)(&Options::default()), record);
            holds(
                &found,
                &[
                    (Field::EventAction, "login"),
                    (Field::EventOutcome, "failure"),
                    (Field::LogLevel, "FATAL"),
                    (Field::ProcessPid, "4897"),
                    (Field::LogLogger, "VT"),
                ],
                record,
            );
            assert_eq!(found.time / 1000, 1_772_442_847, "{record}");
        }
    }

    #[test]
    fn the_zone_named_in_the_stamp_counts() {
        let record = "[02-Mar-2026 10:14:07 Europe/Brussels] PHP Notice:  Undefined index: kr in /x.php on line 3";
        assert_eq!((YETIFORCE.sniff)(record), 76);
        let found = event((YETIFORCE.grammar)(&Options::default()), record);
        holds(&found, &[(Field::EventAction, "info"), (Field::LogLevel, "Notice")], record);
        assert_eq!(found.time, 1_772_442_847_000);
        // What a program says itself has no level, and may be nothing at all.
        let record = "[02-Mar-2026 10:14:07 Europe/Brussels] ";
        let found = event((YETIFORCE.grammar)(&Options::default()), record);
        assert_eq!((found.time, found.text(Field::EventAction)), (1_772_442_847_000, Some("info")));
        let record = "2026-03-02 09:14:07 [203.0.113.7][7][s1][error][Users] Login attempt failed";
        holds(
            &event((YETIFORCE.grammar)(&Options::default()), record),
            &[
                (Field::EventAction, "login"),
                (Field::SessionId, "s1"),
                (Field::LogLogger, "Users"),
                (Field::UserId, "7"),
                (Field::SourceIp, "203.0.113.7"),
            ],
            record,
        );
    }
}
