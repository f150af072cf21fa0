//! What carriers put around a line: syslog headers, docker compose's names, terminal colours, a byte order mark.
//! Not a syslog format of its own; for grammars whose lines travel so.

use std::borrow::Cow;

use chrono_tz::Tz;
use crmwatch_detectors::Millis;
use memchr::{memchr, memmem};

use super::time::{self, YearClock};

/// The time in a syslog header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// RFC 5424, or a sender that writes the year.
    Full(Millis),
    /// Month, day and the time of day in milliseconds.
    Yearless(u32, u32, i64),
}

impl Stamp {
    /// The moment, with the year of a year-less stamp from the clock.
    pub fn moment(self, clock: &mut YearClock, zone: Tz) -> Option<Millis> {
        match self {
            Stamp::Full(time) => Some(time),
            Stamp::Yearless(month, day, of_day) => {
                let year = clock.year_of(month, day);
                let midnight = time::civil(year.into(), month.into(), day.into(), 0, 0, 0, 0)?;
                Some(time::local(midnight + of_day, zone))
            }
        }
    }
}

/// A syslog header's time, and what follows the host.
pub(super) fn header(line: &str, zone: Tz) -> Option<(Stamp, &str)> {
    let mut rest = line;
    if let Some(after) = line.strip_prefix('<') {
        let (priority, after) = after.split_once('>')?;
        if priority.is_empty() || priority.len() > 3 || priority.parse::<u8>().ok()? > 191 {
            return None;
        }
        rest = after.strip_prefix("1 ").unwrap_or(after);
    }
    let (stamp, rest) = match time::iso_prefix(rest, zone) {
        // RFC 5424 puts a `T` between date and time; with a blank it is the line's own stamp.
        Some((time, after)) if matches!(rest.as_bytes().get(10), Some(b'T' | b't')) => (Stamp::Full(time), after),
        Some(_) => return None,
        None => yearless(rest)?,
    };
    let (_host, rest) = rest.trim_start().split_once(' ')?;
    Some((stamp, rest))
}

/// A syslog header's time, and the message behind `TAG[PID]: `.
pub(super) fn syslog(line: &str) -> Option<(Stamp, &str)> {
    let (stamp, rest) = header(line, Tz::UTC)?;
    let at = memmem::find(rest.as_bytes(), b": ")?;
    Some((stamp, rest[at + 2..].trim_start()))
}

fn yearless(text: &str) -> Option<(Stamp, &str)> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (name, rest) = text.split_once(' ')?;
    let month = MONTHS.iter().position(|month| *month == name)? as u32 + 1;
    let (day, rest) = rest.trim_start().split_once(' ')?;
    let day = day.parse::<u32>().ok().filter(|day| (1..=31).contains(day))?;
    let clock = rest.get(..8)?;
    let mut parts = clock.split(':').map(|part| part.parse::<i64>().ok().filter(|_| part.len() == 2));
    let mut next = || parts.next().flatten();
    let (hour, minute, second) = (next()?, next()?, next()?);
    if hour > 23 || minute > 59 || second > 60 || !rest[8..].starts_with(' ') {
        return None;
    }
    Some((Stamp::Yearless(month, day, ((hour * 60 + minute) * 60 + second) * 1_000), &rest[8..]))
}

/// `name-1  | line`: what docker compose puts in front.
pub(super) fn compose(line: &str) -> Option<&str> {
    let bar = memchr(b'|', line.as_bytes().get(..line.len().min(100))?)?;
    let name = line[..bar].strip_suffix(' ')?.trim_end();
    let plain = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        return None;
    }
    Some(line[bar + 1..].strip_prefix(' ').unwrap_or(&line[bar + 1..]))
}

/// The line without byte order mark, carriage return and colour sequences `ESC [ … m`.
pub(super) fn plain(line: &str) -> Cow<'_, str> {
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let Some(mut escape) = memchr(0x1b, line.as_bytes()) else { return Cow::Borrowed(line) };
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    loop {
        let (before, sequence) = rest.split_at(escape);
        out.push_str(before);
        let body = sequence[1..]
            .strip_prefix('[')
            .map(|body| body.trim_start_matches(|one: char| one.is_ascii_digit() || one == ';'));
        match body.and_then(|body| body.strip_prefix('m')) {
            Some(after) => rest = after,
            None => {
                out.push('\u{1b}');
                rest = &sequence[1..];
            }
        }
        match memchr(0x1b, rest.as_bytes()) {
            Some(next) => escape = next,
            None => break,
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_both_ages_are_taken_off() {
        let (stamp, rest) = header("Dec  5 03:04:05 crm nginx[7]: hello", Tz::UTC).expect("a header");
        assert_eq!((stamp, rest), (Stamp::Yearless(12, 5, 11_045_000), "nginx[7]: hello"));
        assert_eq!(syslog("<38>Dec  5 03:04:05 crm nginx: hello").map(|(_, message)| message), Some("hello"));
        let full = syslog("<38>1 2026-03-02T09:14:07Z crm app: hello");
        assert_eq!(full, Some((Stamp::Full(1_772_442_847_000), "hello")));
        for no in
            ["", "<192>Dec  5 03:04:05 a b: c", "Foo 5 03:04:05 a b: c", "Dec 5 3:4:5 a b", "<>x", "Dec 日本語日本"]
        {
            assert_eq!(header(no, Tz::UTC), None, "{no}");
        }
    }

    #[test]
    fn the_year_of_a_header_without_one_goes_on_at_new_year() {
        let mut clock = YearClock::new(2025);
        let mut at = |month, day| Stamp::Yearless(month, day, 0).moment(&mut clock, Tz::UTC);
        assert_eq!(at(12, 31), Some(1_767_139_200_000));
        assert_eq!(at(1, 1), Some(1_767_225_600_000));
    }

    #[test]
    fn names_of_containers_and_colours_are_taken_off_and_nothing_else() {
        assert_eq!(compose("crm_web-1  | line | x"), Some("line | x"));
        assert_eq!(compose("a b | x"), None);
        assert_eq!(compose("a|b"), None);
        assert_eq!(plain("\u{feff}\u{1b}[1;32mINFO\u{1b}[0m ok\r"), "INFO ok");
        assert_eq!(plain("\u{1b}]0;x\u{7}"), "\u{1b}]0;x\u{7}");
    }
}
