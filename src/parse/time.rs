//! Every way logs write a time, to milliseconds UTC. Hand-written for the common shapes: stamps are the dearest part of a line.
//! Not for judging whether a time is believable; the source stage does.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use chrono::{NaiveDate, NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use crmwatch_detectors::Millis;

use super::Options;

const DAY: i64 = 86_400_000;

/// Days since 1970-01-01 of a civil date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"); nothing where there is no such day.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    const LENGTHS: [i64; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *LENGTHS.get(usize::try_from(month - 1).ok()?)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if day < 1 || day > length || (month == 2 && day == 29 && !leap) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = (month + 9) % 12;
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

/// A wall-clock time, in milliseconds as if it were UTC.
pub fn civil(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64, millis: i64) -> Option<Millis> {
    // 60 is a leap second; it is taken as the next minute's first.
    if !(0..24).contains(&hour)
        || !(0..60).contains(&minute)
        || !(0..=60).contains(&second)
        || !(0..=9999).contains(&year)
    {
        return None;
    }
    Some(days(year, month, day)? * DAY + hour * 3_600_000 + minute * 60_000 + second * 1_000 + millis)
}

/// A wall-clock time of a zone to UTC. A time that the clocks skip is taken an hour on; one that comes twice is taken the first time.
pub fn local(wall: Millis, zone: Tz) -> Millis {
    if zone == Tz::UTC {
        return wall;
    }
    let Some(naive) = chrono::DateTime::from_timestamp_millis(wall).map(|time| time.naive_utc()) else { return wall };
    let resolve =
        |naive: &NaiveDateTime| zone.from_local_datetime(naive).earliest().map(|time| time.timestamp_millis());
    resolve(&naive).or_else(|| resolve(&(naive + chrono::Duration::hours(1)))).unwrap_or(wall)
}

fn number(bytes: &[u8]) -> Option<i64> {
    if bytes.is_empty() || bytes.len() > 18 {
        return None;
    }
    bytes.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

fn month(name: &[u8]) -> Option<i64> {
    const NAMES: [&[u8; 3]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let lower =
        [name.first()?.to_ascii_lowercase(), name.get(1)?.to_ascii_lowercase(), name.get(2)?.to_ascii_lowercase()];
    NAMES.iter().position(|known| **known == lower).map(|index| index as i64 + 1)
}

/// The number of a month by the first three letters of its English name.
pub fn month_number(name: &str) -> Option<u32> {
    month(name.as_bytes()).and_then(|number| u32::try_from(number).ok())
}

/// A fraction's digits to milliseconds, and how many bytes they took.
fn fraction(bytes: &[u8]) -> (i64, usize) {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut millis = 0;
    for place in 0..3 {
        millis = millis * 10 + bytes[..digits].get(place).map_or(0, |byte| i64::from(byte - b'0'));
    }
    (millis, digits)
}

/// `+0100`, `+01:00`, `+01`, `-0930`, `Z` to milliseconds, and what follows.
fn offset(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (sign, rest) = match bytes.first()? {
        b'Z' | b'z' => return Some((0, &bytes[1..])),
        b'+' => (1, &bytes[1..]),
        b'-' => (-1, &bytes[1..]),
        _ => return None,
    };
    let hours = number(rest.get(..2)?)?;
    let rest = &rest[2..];
    let (minutes, rest) = match rest {
        [b':', a, b, tail @ ..] => (number(&[*a, *b])?, tail),
        [a, b, tail @ ..] if a.is_ascii_digit() && b.is_ascii_digit() => (number(&[*a, *b])?, tail),
        tail => (0, tail),
    };
    (hours <= 18 && minutes < 60).then_some((sign * (hours * 3_600_000 + minutes * 60_000), rest))
}

/// `2026-03-02T09:14:07.123Z`, with `T` or a blank (or `/` in the date, `,` before the fraction), any number of fraction digits,
/// an offset or none (then the zone's). Gives what follows the stamp, too.
pub fn iso_prefix(text: &str, zone: Tz) -> Option<(Millis, &str)> {
    let bytes = text.as_bytes();
    let at = |range: std::ops::Range<usize>| bytes.get(range).and_then(number);
    let (year, month, day) = (at(0..4)?, at(5..7)?, at(8..10)?);
    let separator = *bytes.get(4)?;
    if !matches!(separator, b'-' | b'/') || bytes.get(7) != Some(&separator) {
        return None;
    }
    if !matches!(bytes.get(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    let (hour, minute) = (at(11..13)?, at(14..16)?);
    if bytes.get(13) != Some(&b':') {
        return None;
    }
    let mut end = 16;
    let mut second = 0;
    if bytes.get(16) == Some(&b':') {
        second = at(17..19)?;
        end = 19;
    }
    let mut millis = 0;
    if matches!(bytes.get(end), Some(b'.' | b',')) && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        let (value, digits) = fraction(&bytes[end + 1..]);
        millis = value;
        end += 1 + digits;
    }
    let wall = civil(year, month, day, hour, minute, second, millis)?;
    let blank = usize::from(
        bytes.get(end) == Some(&b' ')
            && matches!(bytes.get(end + 1), Some(b'+' | b'-'))
            && bytes.get(end + 2).is_some_and(u8::is_ascii_digit),
    );
    match offset(&bytes[end + blank..]) {
        Some((offset, rest)) => Some((wall - offset, &text[text.len() - rest.len()..])),
        None => Some((local(wall, zone), &text[end..])),
    }
}

/// As [`iso_prefix`], with nothing after it.
pub fn iso(text: &str, zone: Tz) -> Option<Millis> {
    let (time, rest) = iso_prefix(text.trim(), zone)?;
    (rest.is_empty() || rest == " UTC").then_some(time)
}

/// `02/Mar/2026:09:14:07 +0100`, also with a blank for the first colon, with milliseconds, or without an offset (then the zone's).
pub fn clf(text: &str, zone: Tz) -> Option<Millis> {
    let bytes = text.as_bytes();
    let at = |range: std::ops::Range<usize>| bytes.get(range).and_then(number);
    // Some relays write the month first: `Mar/02/2026 09:14:07`.
    let month_first = bytes.get(3) == Some(&b'/');
    let (of_day, of_month) = if month_first { (4..6, 0..3) } else { (0..2, 3..6) };
    if !month_first && bytes.get(2) != Some(&b'/')
        || bytes.get(6) != Some(&b'/')
        || !matches!(bytes.get(11), Some(b':' | b' '))
    {
        return None;
    }
    let mut end = 20;
    let mut millis = 0;
    if bytes.get(20) == Some(&b'.') {
        let (value, digits) = fraction(&bytes[21..]);
        millis = value;
        end += 1 + digits;
    }
    let wall =
        civil(at(7..11)?, month(bytes.get(of_month)?)?, at(of_day)?, at(12..14)?, at(15..17)?, at(18..20)?, millis)?;
    match bytes.get(end..)? {
        [] => Some(local(wall, zone)),
        [b' ', rest @ ..] => offset(rest).filter(|(_, rest)| rest.is_empty()).map(|(offset, _)| wall - offset),
        _ => None,
    }
}

/// `20260302091407.123`: Salesforce's own stamp, UTC; the fraction may be shorter or absent.
pub fn compact(text: &str) -> Option<Millis> {
    let bytes = text.as_bytes();
    let at = |range: std::ops::Range<usize>| bytes.get(range).and_then(number);
    let millis = match bytes.get(14..)? {
        [] => 0,
        [b'.', rest @ ..] => fraction(rest).0,
        _ => return None,
    };
    civil(at(0..4)?, at(4..6)?, at(6..8)?, at(8..10)?, at(10..12)?, at(12..14)?, millis)
}

/// `Tue Oct 16 14:53:17 2018` (`strftime("%c")`, the day padded with a blank or a zero), in the zone. Gives what follows, too.
pub fn ctime_prefix(text: &str, zone: Tz) -> Option<(Millis, &str)> {
    let bytes = text.as_bytes();
    let at = |range: std::ops::Range<usize>| bytes.get(range).and_then(number);
    if bytes.get(3) != Some(&b' ')
        || bytes.get(7) != Some(&b' ')
        || bytes.get(10) != Some(&b' ')
        || bytes.get(19) != Some(&b' ')
    {
        return None;
    }
    let day = if bytes.get(8) == Some(&b' ') { at(9..10)? } else { at(8..10)? };
    let wall = civil(at(20..24)?, month(bytes.get(4..7)?)?, day, at(11..13)?, at(14..16)?, at(17..19)?, 0)?;
    Some((local(wall, zone), text.get(24..)?))
}

/// `Mar 02 2026 09:14:07.123`, also without the fraction, in the zone: CEF's own.
pub fn month_day_year(text: &str, zone: Tz) -> Option<Millis> {
    let bytes = text.as_bytes();
    let at = |range: std::ops::Range<usize>| bytes.get(range).and_then(number);
    if [bytes.get(3), bytes.get(6), bytes.get(11)] != [Some(&b' '); 3] || bytes.get(14) != Some(&b':') {
        return None;
    }
    let millis = match bytes.get(20..)? {
        [] => 0,
        [b'.', digits @ ..] => {
            let (value, length) = fraction(digits);
            (length == digits.len()).then_some(value)?
        }
        _ => return None,
    };
    let wall = civil(at(7..11)?, month(&bytes[..3])?, at(4..6)?, at(12..14)?, at(15..17)?, at(18..20)?, millis)?;
    Some(local(wall, zone))
}

/// `Mon, 02 Mar 2026 09:14:07 GMT`: as mails and HTTP headers write it (RFC 2822), which always say the zone.
pub fn mail(text: &str) -> Option<Millis> {
    let found = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    Some(found.timestamp_millis())
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by size; a fraction is of seconds.
pub fn epoch(text: &str) -> Option<Millis> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let (negative, digits) = whole.strip_prefix('-').map_or((false, whole), |digits| (true, digits));
    let value = number(digits.as_bytes()).or_else(|| digits.parse::<i64>().ok())?;
    let millis = match value {
        0..100_000_000_000 => value * 1_000 + fraction(rest.as_bytes()).0,
        100_000_000_000..100_000_000_000_000 => value,
        100_000_000_000_000..100_000_000_000_000_000 => value / 1_000,
        _ => value / 1_000_000,
    };
    if !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(if negative { -millis } else { millis })
}

/// The year of a stamp that has none: the one carried on, a year on when stamps jump back by more than six months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct YearClock {
    /// The year in force.
    pub year: i32,
    last: Option<(u32, u32)>,
    /// No line can be younger than this: when the file was written to last.
    written: Option<Millis>,
}

/// Stamps are in a zone of their own, and clocks differ.
const SLACK: i64 = DAY;

impl YearClock {
    /// Starts in a year.
    pub fn new(year: i32) -> YearClock {
        YearClock { year, last: None, written: None }
    }

    /// Starts in the year of a source's file.
    pub fn of(options: &Options) -> YearClock {
        YearClock { written: options.written, ..YearClock::new(options.year) }
    }

    /// Goes on from its written form; another text changes nothing, and is told by `false`.
    pub fn resume(&mut self, text: &str) -> bool {
        let Ok(before) = text.parse::<YearClock>() else { return false };
        *self = YearClock { written: self.written, ..before };
        true
    }

    /// The first stamp's year: the file's, or the one before where the file would be older than its line (a December's line in a file
    /// written to in January), or where that year has no such day.
    fn begin(&mut self, month: u32, day: u32) {
        for year in (self.year - 8..=self.year).rev() {
            let Some(midnight) = days(year.into(), month.into(), day.into()).map(|days| days * DAY) else { continue };
            if self.written.is_none_or(|written| midnight <= written + SLACK) {
                self.year = year;
                return;
            }
        }
    }

    /// The year of a stamp of this month and day.
    pub fn year_of(&mut self, month: u32, day: u32) -> i32 {
        let ordinal = |month: u32, day: u32| {
            NaiveDate::from_ymd_opt(2000, month, day).map_or(0, |date| chrono::Datelike::ordinal(&date))
        };
        if let Some((last_month, last_day)) = self.last {
            let (now, before) = (i64::from(ordinal(month, day)), i64::from(ordinal(last_month, last_day)));
            if before - now > 183 {
                self.year += 1;
            } else if now - before > 183 {
                // A stamp from before New Year that came late: last year's, and the clock stays.
                return self.year - 1;
            }
        } else {
            self.begin(month, day);
        }
        self.last = Some((month, day));
        self.year
    }
}

/// As it is carried over a restart: the year in force, with month and day of the last stamp once there was one.
impl fmt::Display for YearClock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last {
            Some((month, day)) => write!(out, "{}-{month:02}-{day:02}", self.year),
            None => write!(out, "{}", self.year),
        }
    }
}

impl FromStr for YearClock {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<YearClock, ParseIntError> {
        let mut parts = text.splitn(3, '-');
        let mut clock = YearClock::new(parts.next().unwrap_or_default().parse()?);
        if let (Some(month), Some(day)) = (parts.next(), parts.next()) {
            clock.last = Some((month.parse()?, day.parse()?));
        }
        Ok(clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_carried_over_a_restart_at_new_year_goes_on_in_the_new_one() {
        let mut clock = YearClock::new(2025);
        clock.year_of(12, 31);
        let mut carried: YearClock = clock.to_string().parse().expect("a clock");
        assert_eq!(carried.year_of(1, 1), 2026);
        assert_eq!("2025".parse(), Ok(YearClock::new(2025)));
        assert!("2025-x-1".parse::<YearClock>().is_err());
    }

    #[test]
    fn the_shapes_of_a_stamp_all_mean_the_same_moment() {
        let moment = 1_772_442_847_000;
        let berlin = Tz::Europe__Berlin;
        assert_eq!(iso("2026-03-02T09:14:07Z", berlin), Some(moment));
        assert_eq!(iso("2026-03-02T10:14:07.1237062+01:00", berlin), Some(moment + 123));
        assert_eq!(iso("2026-03-02 10:14:07,000", berlin), Some(moment));
        assert_eq!(iso("2026/03/02 10:14:07", berlin), Some(moment));
        assert_eq!(iso("2026-03-02T09:14:07.000+0000", berlin), Some(moment));
        assert_eq!(clf("02/Mar/2026:10:14:07 +0100", Tz::UTC), Some(moment));
        assert_eq!(clf("02/Mar/2026 10:14:07", berlin), Some(moment));
        assert_eq!(clf("Mar/02/2026 10:14:07", berlin), Some(moment));
        assert_eq!(compact("20260302091407.13"), Some(moment + 130));
        assert_eq!(ctime_prefix("Mon Mar  2 10:14:07 2026 [1]", berlin), Some((moment, " [1]")));
        for text in ["1772442847", "1772442847000", "1772442847000000", "1772442847000000000"] {
            assert_eq!(epoch(text), Some(moment), "{text}");
        }
        assert_eq!(epoch("1772442847.5"), Some(moment + 500));
        assert_eq!(month_day_year("Mar 02 2026 10:14:07", berlin), Some(moment));
        assert_eq!(month_day_year("Mar 02 2026 10:14:07.123", berlin), Some(moment + 123));
        assert_eq!(month_day_year("Mar 02 2026 10:14:07 CET", berlin), None);
        assert_eq!(mail("Mon, 02 Mar 2026 09:14:07 GMT"), Some(moment));
        assert_eq!(mail("Mon, 02 Mar 2026 10:14:07 +0100"), Some(moment));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-03-02T25:00:00Z",
            "2026-03-02",
            "日本語日本語日本語日本語",
        ] {
            assert_eq!(iso(text, Tz::UTC), None, "{text}");
        }
        assert_eq!(clf("31/Feb/2026:00:00:00 +0000", Tz::UTC), None);
        assert_eq!(clf("日本語", Tz::UTC), None);
        assert_eq!(compact("2026030"), None);
        assert_eq!(epoch("12x"), None);
    }

    #[test]
    fn a_time_the_clocks_skip_or_repeat_is_still_a_time() {
        let berlin = Tz::Europe__Berlin;
        assert_eq!(iso("2026-03-29T02:30:00", berlin), iso("2026-03-29T01:30:00Z", berlin));
        assert_eq!(iso("2026-10-25T02:30:00", berlin), iso("2026-10-25T00:30:00Z", berlin));
    }

    #[test]
    fn a_december_line_in_a_file_written_to_in_january_is_last_years() {
        let january = civil(2026, 1, 5, 8, 0, 0, 0).expect("a day");
        let options = Options { year: 2026, written: Some(january), ..Options::default() };
        let mut clock = YearClock::of(&options);
        assert_eq!([clock.year_of(12, 30), clock.year_of(12, 31), clock.year_of(1, 1)], [2025, 2025, 2026]);
        // Within a day a zone or a clock may be the cause.
        assert_eq!(YearClock::of(&options).year_of(1, 6), 2026);
        assert_eq!(YearClock::of(&options).year_of(1, 7), 2025);
        // A state from before the first stamp does not take that away.
        let mut resumed = YearClock::of(&options);
        resumed.resume(&YearClock::of(&options).to_string());
        resumed.resume("nonsense");
        assert_eq!(resumed.year_of(12, 30), 2025);
    }

    #[test]
    fn a_leap_day_is_of_a_year_that_has_one() {
        assert_eq!(YearClock::new(2026).year_of(2, 29), 2024);
    }

    #[test]
    fn the_year_advances_at_new_year_and_a_late_stamp_does_not_move_it() {
        let mut clock = YearClock::new(2025);
        assert_eq!(clock.year_of(12, 31), 2025);
        assert_eq!(clock.year_of(1, 1), 2026);
        assert_eq!(clock.year_of(12, 31), 2025);
        assert_eq!(clock.year_of(1, 2), 2026);
    }
}
