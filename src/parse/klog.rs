//! Kubernetes' own programs: `I0302 09:14:07.123456       1 auth.go:70] message`. Not for what runs in its containers.

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field};

use super::app_log::{self, Application, Head};
use super::time::{self, YearClock};
use super::{Format, ip};

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: LOG.name,
    about: "Kubernetes' own programs (klog): API server, kubelet, ingress controllers",
    sniff: |record| app_log::sniff(&LOG, record, 90),
    grammar: |options| app_log::grammar(&LOG, options),
};

static LOG: Application = Application { name: "klog", head, tell };

/// Level, month and day in one word, the time of day, a thread, and where in the source.
fn head<'l>(line: &'l str, zone: Tz, clock: &mut YearClock) -> Option<Head<'l>> {
    let (mark, rest) = line.split_at_checked(5)?;
    let level = match mark.as_bytes()[0] {
        b'I' => "info",
        b'W' => "warning",
        b'E' => "error",
        b'F' => "fatal",
        _ => return None,
    };
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
    let (month, day) = (number(mark.get(1..3)?)?, number(mark.get(3..5)?)?);
    let (time_of_day, rest) = rest.strip_prefix(' ')?.split_at_checked(15)?;
    let (pid, rest) = rest.trim_start().split_once(' ')?;
    let (logger, message) = rest.split_once("] ").or_else(|| Some((rest.strip_suffix(']')?, "")))?;
    number(pid).filter(|_| logger.contains(':') && !logger.contains(' '))?;
    let part = |from: usize, to: usize| number(time_of_day.get(from..to)?).map(i64::from);
    let shaped =
        time_of_day.as_bytes()[2] == b':' && time_of_day.as_bytes()[5] == b':' && time_of_day.as_bytes()[8] == b'.';
    let year = i64::from(clock.year_of(month, day));
    let (hour, minute, second) = (part(0, 2)?, part(3, 5)?, part(6, 8).filter(|_| shaped)?);
    let wall = time::civil(year, month.into(), day.into(), hour, minute, second, part(9, 12)?)?;
    Some(Head { time: time::local(wall, zone), level, logger, pid, message, ..Head::default() })
}

/// `"HTTP" verb="GET" URI="/api" srcIP="203.0.113.7:4711" resp=401`, `Unable to authenticate the request ...`. Nobody logs in to a CRM here.
fn tell(event: &mut Event, raw: &str, message: &str) -> Option<(&'static str, &'static str)> {
    if let Some((_, rest)) = message.split_once(" srcIP=\"") {
        ip::set_source(event, raw, rest.split('"').next().unwrap_or(rest));
    }
    let refused = message.trim_start_matches('"').starts_with("Unable to authenticate the request");
    if let Some((_, reason)) =
        message.split_once(" err=").or_else(|| message.split_once(" error: ")).filter(|_| refused)
    {
        event.set_part(Field::EventReason, raw, reason.trim_matches('"'));
    }
    refused.then_some(("info", "failure"))
}

#[cfg(test)]
mod tests {
    use super::super::trial::{event, holds};
    use super::*;
    use crate::parse::{Grammar, Options, Verdict};

    fn grammar() -> Box<dyn Grammar> {
        (FORMAT.grammar)(&Options { year: 2026, ..Options::default() })
    }

    #[test]
    fn level_time_place_and_sentence_are_told_apart() {
        let record = "E0302 09:14:07.123456       1 auth.go:70] \"Unable to authenticate the request\" err=\"invalid bearer token\"";
        assert_eq!((FORMAT.sniff)(record), 90);
        let found = event(grammar(), record);
        holds(
            &found,
            &[
                (Field::EventAction, "info"),
                (Field::EventOutcome, "failure"),
                (Field::EventReason, "invalid bearer token"),
                (Field::LogLevel, "error"),
                (Field::LogLogger, "auth.go:70"),
                (Field::ProcessPid, "1"),
            ],
            record,
        );
        assert_eq!(found.time, 1_772_442_847_123);
        let record = "I0302 09:14:07.123456   77 httplog.go:132] \"HTTP\" verb=\"GET\" URI=\"/x\" srcIP=\"203.0.113.7:4711\" resp=401";
        holds(&event(grammar(), record), &[(Field::SourceIp, "203.0.113.7"), (Field::SourcePort, "4711")], record);
    }

    #[test]
    fn what_has_another_head_is_none() {
        for line in [
            "",
            "I0302",
            "I1302 09:14:07.123456 1 a.go:1] x",
            "I0302 09:14:07,123456 1 a.go:1] x",
            "I0302 09-14-07.123456 1 a.go:1] x",
            "I0302 09:14:07.123456 x a.go:1] x",
            "I0302 09:14:07.123456 1 a b:1] x",
            "X0302 09:14:07.123456 1 a.go:1] x",
            "I+302 09:14:07.123456 1 a.go:1] x",
            "Iä02 09:14:07.123456 1 a.go:1] x",
        ] {
            assert_eq!((FORMAT.sniff)(line), 0, "{line}");
            assert!(!matches!(grammar().parse(line, &mut Vec::new()), Verdict::Parsed), "{line}");
        }
    }
}
