//! CiviCRM's own log: `STAMP  [level] message`, with and without a year. Logins are in the log of the system it lives in.

use chrono_tz::Tz;
use crmwatch_detectors::Event;

use super::Format;
use super::app_log::{self, Application, Head};
use super::time::{self, YearClock};

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: LOG.name,
    about: "CiviCRM log (ConfigAndLog/CiviCRM.*.log)",
    sniff: |record| app_log::sniff(&LOG, record, 82),
    grammar: |options| app_log::grammar(&LOG, options),
};

static LOG: Application = Application { name: "civicrm", head, tell };

const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

fn head<'l>(line: &'l str, zone: Tz, clock: &mut YearClock) -> Option<Head<'l>> {
    let (time, rest) = match time::iso_prefix(line, zone) {
        Some(found) => found,
        // `Feb 03 10:11:12`
        None => {
            let stamp = line.get(..15).filter(|stamp| stamp.is_ascii())?;
            let month = time::month_number(&stamp[..3])?;
            let day: u32 = stamp[4..6].trim().parse().ok()?;
            let year = clock.year_of(month, day);
            let time = time::iso(&format!("{year:04}-{month:02}-{day:02} {}", &stamp[7..]), zone)?;
            (time, &line[15..])
        }
    };
    let (level, message) = rest.trim_start().strip_prefix('[')?.split_once(']')?;
    LEVELS.contains(&level).then_some(Head { time, level, message, ..Head::default() })
}

fn tell(_event: &mut Event, _raw: &str, message: &str) -> Option<(&'static str, &'static str)> {
    let refused = message.contains("Authorization Failed")
        || message.contains("API permission check failed")
        || message.contains("not authorized");
    refused.then_some(("info", "failure"))
}

#[cfg(test)]
mod tests {
    use super::super::trial::{event, holds};
    use super::*;
    use crate::parse::{Options, Verdict};
    use crmwatch_detectors::Field;

    #[test]
    fn both_stamps_are_read_and_the_lines_of_an_array_go_on() {
        let options = Options { year: 2026, ..Options::default() };
        for record in [
            "2026-03-02 09:14:07+0000  [error] API permission check failed",
            "Mar 02 09:14:07  [error] API permission check failed",
        ] {
            assert_eq!((FORMAT.sniff)(record), 82, "{record}");
            let found = event((FORMAT.grammar)(&options), record);
            holds(
                &found,
                &[(Field::EventAction, "info"), (Field::EventOutcome, "failure"), (Field::LogLevel, "error")],
                record,
            );
            assert_eq!(found.time, 1_772_442_847_000, "{record}");
        }
        let mut grammar = (FORMAT.grammar)(&options);
        let mut events = Vec::new();
        assert_eq!(grammar.parse("Mar 02 09:14:07  [info] $Fatal Error Details = Array", &mut events), Verdict::Parsed);
        assert_eq!(grammar.parse("(", &mut events), Verdict::Continuation);
    }
}
