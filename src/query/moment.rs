//! Times as a query writes them: `now-24h`, `now/d`, `2026-03-02`, RFC 3339. Each is a stretch: a day has a first and a last
//! millisecond. Not for how logs write times (`parse::time`).

use chrono_tz::Tz;
use crmwatch_detectors::Millis;

use super::error::Mistake;
use crate::config::Span;
use crate::parse::time::{civil, iso};

const DAY: i64 = 86_400_000;

/// The first and last millisecond of a written time.
pub(super) fn moment(text: &str, now: Millis) -> Result<(Millis, Millis), Mistake> {
    let wrong = || {
        Mistake::new(
            format!("{text:?} is no time"),
            "write now-24h, now-7d/d, 2026-03-02, or 2026-03-02T09:14:07Z (UTC where no offset is given)",
        )
    };
    match text.strip_prefix("now") {
        Some(rest) => relative(rest, now).ok_or_else(wrong),
        None => absolute(text).ok_or_else(wrong),
    }
}

/// `-24h`, `-1d+2h`, and at the end `/d` or `/h`, which takes the whole day or hour.
fn relative(mut rest: &str, now: Millis) -> Option<(Millis, Millis)> {
    let mut time = now;
    loop {
        if let Some(unit) = rest.strip_prefix('/') {
            let length = match unit {
                "d" => DAY,
                "h" => 3_600_000,
                "m" => 60_000,
                "w" => 7 * DAY,
                _ => return None,
            };
            // Weeks start on Monday; 1970-01-01 was a Thursday.
            let shift = if unit == "w" { 3 * DAY } else { 0 };
            let start = time.checked_add(shift)?.div_euclid(length).checked_mul(length)? - shift;
            return Some((start, start.checked_add(length - 1)?));
        }
        let sign = match rest.bytes().next() {
            None => return Some((time, time)),
            Some(b'-') => -1,
            Some(b'+') => 1,
            Some(_) => return None,
        };
        let end = rest[1..].find(['+', '-', '/']).map_or(rest.len(), |end| end + 1);
        let step = match rest[1..end].strip_suffix('w') {
            Some(weeks) => weeks.parse::<u32>().ok().map(|weeks| i64::from(weeks) * 7 * DAY)?,
            None => Span::parse(&rest[1..end])?.millis(),
        };
        time = time.checked_add(step.checked_mul(sign)?)?;
        rest = &rest[end..];
    }
}

fn absolute(text: &str) -> Option<(Millis, Millis)> {
    if text.len() == 10 {
        let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
        if text.as_bytes()[4] != b'-' || text.as_bytes()[7] != b'-' {
            return None;
        }
        let start = civil(number(0..4)?, number(5..7)?, number(8..10)?, 0, 0, 0, 0)?;
        return Some((start, start + DAY - 1));
    }
    let start = iso(text, Tz::UTC)?;
    let clock = text.get(11..)?;
    let width = if clock.contains(['.', ',']) {
        1
    } else if clock.as_bytes().get(5) == Some(&b':') {
        1_000
    } else {
        60_000
    };
    Some((start, start.checked_add(width - 1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_times_are_stretches() {
        let now = civil(2026, 3, 2, 9, 14, 7, 5).expect("a time");
        let at = |text| moment(text, now).ok();
        assert_eq!(at("now"), Some((now, now)));
        assert_eq!(at("now-24h"), Some((now - DAY, now - DAY)));
        assert_eq!(at("now-1d+1h"), Some((now - DAY + 3_600_000, now - DAY + 3_600_000)));
        let midnight = civil(2026, 3, 2, 0, 0, 0, 0).expect("a time");
        assert_eq!(at("now/d"), Some((midnight, midnight + DAY - 1)));
        assert_eq!(at("now/w"), Some((midnight, midnight + 7 * DAY - 1)));
        assert_eq!(at("2026-03-02"), at("now/d"));
        assert_eq!(at("2026-03-02T09:14:07.005Z"), Some((now, now)));
        assert_eq!(at("2026-03-02T10:14:07+01:00"), Some((now - 5, now + 994)));
        for wrong in ["", "now-", "now-24", "now/x", "2026-02-30", "yesterday", "now-9999999999999999d", "2026-03-0导"]
        {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }
}
