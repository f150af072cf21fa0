//! Civil time for the simulation: dates, weekdays, zones, the stamps of each log. Not for reading time from logs (`parse::time`).

use std::cell::Cell;

use chrono::{Offset, TimeZone};
use chrono_tz::Tz;
use crmwatch_detectors::Millis;

/// Milliseconds.
pub const SECOND: Millis = 1_000;
/// Milliseconds.
pub const MINUTE: Millis = 60 * SECOND;
/// Milliseconds.
pub const HOUR: Millis = 60 * MINUTE;
/// Milliseconds.
pub const DAY: Millis = 24 * HOUR;

/// The month names of logs.
pub const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Day names, Monday first.
pub const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// A date and time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// 0 to 23.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// 0 to 59.
    pub second: i64,
    /// 0 to 999.
    pub milli: i64,
}

/// Splits a time (Howard Hinnant, `civil_from_days`).
pub fn civil(time: Millis) -> Civil {
    let (days, rest) = (time.div_euclid(DAY), time.rem_euclid(DAY));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let moved = (5 * of_year + 2) / 153;
    let month = if moved < 10 { moved + 3 } else { moved - 9 };
    Civil {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day: of_year - (153 * moved + 2) / 5 + 1,
        hour: rest / HOUR,
        minute: rest / MINUTE % 60,
        second: rest / SECOND % 60,
        milli: rest % SECOND,
    }
}

/// 0 is Monday.
pub fn weekday(day: i64) -> usize {
    (day + 3).rem_euclid(7) as usize
}

/// The day (since 1970-01-01) of a time.
pub fn day_of(time: Millis) -> i64 {
    time.div_euclid(DAY)
}

/// The first moment of a zone's day, in UTC.
pub fn midnight(day: i64, zone: Tz) -> Millis {
    let wall = day * DAY;
    // The offset a day's length before is right but for the few hours around a change of clocks, where an hour is no matter.
    wall - offset(wall, zone)
}

/// What must be added to UTC.
pub fn offset(time: Millis, zone: Tz) -> Millis {
    let naive = chrono::DateTime::from_timestamp_millis(time).unwrap_or_default().naive_utc();
    i64::from(zone.offset_from_utc_datetime(&naive).fix().local_minus_utc()) * SECOND
}

/// A zone as a log's writer knows it: the offset is looked up once an hour.
#[derive(Debug)]
pub struct Zone {
    zone: Tz,
    known: Cell<(i64, Millis)>,
}

impl Zone {
    /// Of that name.
    pub fn new(zone: Tz) -> Zone {
        Zone { zone, known: Cell::new((i64::MIN, 0)) }
    }

    /// What must be added to UTC.
    pub fn offset(&self, time: Millis) -> Millis {
        let hour = time.div_euclid(HOUR);
        if self.known.get().0 != hour {
            self.known.set((hour, offset(time, self.zone)));
        }
        self.known.get().1
    }

    /// Wall-clock time.
    pub fn civil(&self, time: Millis) -> Civil {
        civil(time + self.offset(time))
    }
}

/// `2026-03-02T09:14:07.123Z`
pub struct Rfc3339(pub Millis);

impl std::fmt::Display for Rfc3339 {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Civil { year, month, day, hour, minute, second, milli } = civil(self.0);
        write!(to, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_agree_with_chrono_over_four_centuries() {
        for day in (-40_000..100_000).step_by(17) {
            let time = day * DAY + 12_345_678;
            let theirs = chrono::DateTime::from_timestamp_millis(time).unwrap();
            assert_eq!(Rfc3339(time).to_string(), theirs.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
            assert_eq!(WEEKDAYS[weekday(day)], theirs.format("%a").to_string());
        }
    }
}
