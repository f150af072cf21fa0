//! Stamps as they are written for people: months by name in several languages, parts in any order, twelve-hour clocks, Chinese.
//! Not for the shapes that programs write (`time`), which are tried first everywhere.

use std::borrow::Cow;

use chrono_tz::Tz;
use crmwatch_detectors::Millis;

use super::time;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/// Where German, French, Spanish, Italian and Dutch begin otherwise.
const OTHERS: [(&str, i64); 16] = [
    ("mär", 3),
    ("mai", 5),
    ("okt", 10),
    ("dez", 12),
    ("fév", 2),
    ("avr", 4),
    ("jui", 6),
    ("aoû", 8),
    ("déc", 12),
    ("ene", 1),
    ("abr", 4),
    ("ago", 8),
    ("dic", 12),
    ("gen", 1),
    ("mag", 5),
    ("mrt", 3),
];

/// The zone an abbreviation stands for, where it is not ambiguous.
pub(super) fn named_zone(name: &str) -> Option<Tz> {
    Some(match name {
        "UTC" | "GMT" | "Z" => Tz::UTC,
        "CET" | "CEST" | "MEZ" | "MESZ" => Tz::Europe__Berlin,
        "WET" | "WEST" => Tz::Europe__Lisbon,
        "EET" | "EEST" => Tz::Europe__Helsinki,
        "EST" | "EDT" => Tz::America__New_York,
        "CDT" => Tz::America__Chicago,
        "MST" | "MDT" => Tz::America__Denver,
        "PST" | "PDT" => Tz::America__Los_Angeles,
        "JST" => Tz::Asia__Tokyo,
        "HKT" => Tz::Asia__Hong_Kong,
        // Not every word that names a zone is one here: `MAR` or `Mo` begin a stamp.
        name => name.parse().ok().filter(|_| name.contains('/'))?,
    })
}

#[derive(Default)]
struct Parts {
    /// What the text itself says of its zone: a name, or milliseconds east of Greenwich.
    zone: Option<Tz>,
    offset: Option<Millis>,
    clock: Option<(i64, i64, i64)>,
    year: Option<i64>,
    day: Option<i64>,
    month: Option<i64>,
    /// Set where the clock has twelve hours: afternoon or not.
    afternoon: Option<bool>,
}

/// The moment a text means: a clock time, a year, a day and a month's name or number in any order. Of `3/2/2026` the month is first,
/// unless only the other way makes a date; of `2.3.2026` the day.
pub(super) fn moment(text: &str, zone: Tz) -> Option<Millis> {
    let mut parts = Parts::default();
    let spaced = if text.is_ascii() { Cow::Borrowed(text) } else { Cow::Owned(spaced(text)) };
    for word in spaced.split([' ', ',']).map(|word| word.trim_end_matches(['.', ':'])).filter(|word| !word.is_empty()) {
        parts.word(word)?;
    }
    let (hour, minute, second) = parts.clock?;
    let hour = match parts.afternoon {
        Some(afternoon) if (1..=12).contains(&hour) => hour % 12 + if afternoon { 12 } else { 0 },
        _ => hour,
    };
    let wall = time::civil(parts.year?, parts.month?, parts.day?, hour, minute, second, 0)?;
    Some(match parts.offset {
        Some(east) => wall - east,
        None => time::local(wall, parts.zone.unwrap_or(zone)),
    })
}

/// With what stands between the parts in Chinese, and the blanks that are none in ASCII, as it would be elsewhere.
fn spaced(text: &str) -> String {
    let plain = |letter| match letter {
        '年' | '月' => '/',
        '日' | '\u{202f}' | '\u{a0}' => ' ',
        '时' | '分' => ':',
        '秒' => ' ',
        other => other,
    };
    text.chars().map(plain).collect()
}

impl Parts {
    fn word(&mut self, word: &str) -> Option<()> {
        if self.clock.is_some() {
            if let Some(zone) = named_zone(word.trim_matches(['(', ')'])) {
                self.zone = Some(zone);
                return Some(());
            }
            if let Some(east) = offset(word.strip_prefix("GMT").or(word.strip_prefix("UTC")).unwrap_or(word)) {
                self.offset = Some(east);
                return Some(());
            }
        }
        let plain = word.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
        let lower = if plain { Cow::Borrowed(word) } else { Cow::Owned(word.to_lowercase()) };
        let start = lower.char_indices().nth(3).map_or(&*lower, |(end, _)| &lower[..end]);
        if let Some(rest) = ["上午", "下午"].iter().find_map(|half| word.strip_prefix(half)) {
            self.afternoon = Some(word.starts_with('下'));
            return if rest.is_empty() { Some(()) } else { self.word(rest) };
        }
        if word.contains(':') {
            // `9:14PM` as one word, too.
            let digits = lower.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
            match &lower[digits.len()..] {
                "" => {}
                half @ ("am" | "pm") => self.afternoon = Some(half == "pm"),
                _ => return None,
            }
            let mut numbers = digits.split([':', '.']).map(|part| part.parse::<i64>().ok());
            self.clock = Some((numbers.next()??, numbers.next()??, numbers.next().flatten().unwrap_or(0)));
        } else if let Some(date) = numbers(word, '/').or_else(|| numbers(word, '-')) {
            (self.year, self.month, self.day) = match date {
                [year, month, day] if year > 31 => (Some(year), Some(month), Some(day)),
                [day, month, year] if day > 12 => (Some(year), Some(month), Some(day)),
                [month, day, year] => (Some(year), Some(month), Some(day)),
            };
        } else if let Some([day, month, year]) = numbers(word, '.') {
            (self.day, self.month, self.year) = (Some(day), Some(month), Some(year));
        } else if let Some((day, rest)) = word.split_once(['-', '/']).filter(|(_, rest)| rest.contains(['-', '/'])) {
            // `02-Mar-2026`
            let (name, year) = rest.split_once(['-', '/'])?;
            self.word(day)?;
            self.word(name)?;
            self.word(year)?;
        } else if let Ok(number) = word.parse::<i64>() {
            *(if number > 31 { &mut self.year } else { &mut self.day }) = Some(number);
        } else if lower == "am" || lower == "pm" {
            self.afternoon = Some(lower == "pm");
        } else if lower.starts_with("juil") {
            self.month = Some(7);
        } else if self.month.is_none() && self.day.is_some() || start != "mar" {
            // `mar` before the day is a Tuesday in three languages.
            let known = MONTHS.iter().position(|name| *name == start).map(|at| at as i64 + 1);
            let other = || OTHERS.iter().find(|(name, _)| *name == start).map(|(_, number)| *number);
            self.month = self.month.or(known).or_else(other);
        } else {
            self.month = Some(3);
        }
        Some(())
    }
}

/// `+0100`, `-05:30`, `+1`: milliseconds east of Greenwich.
fn offset(word: &str) -> Option<Millis> {
    let (sign, digits) = match word.as_bytes().first()? {
        b'+' => (1, &word[1..]),
        b'-' => (-1, &word[1..]),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 && digits.is_ascii() => digits.split_at(2),
        None => (digits, "0"),
    };
    let number = |text: &str| text.parse::<i64>().ok().filter(|_| (1..=2).contains(&text.len()));
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

/// Three numbers between two of these.
fn numbers(word: &str, between: char) -> Option<[i64; 3]> {
    let mut parts = word.split(between);
    let mut next = || parts.next()?.parse::<i64>().ok().filter(|number| *number >= 0);
    let found = [next()?, next()?, next()?];
    (parts.next().is_none() && found.iter().any(|number| *number > 31)).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_for_people_are_read_in_any_order() {
        for text in [
            "Mar 2, 2026 09:14:07",
            "2 March 2026 9:14:07 AM",
            "3/2/2026, 9:14:07 AM",
            "02-Mar-2026 09:14:07",
            "2.3.2026 09:14:07",
            "2026/3/2 09:14:07",
            "2026年3月2日 09:14:07",
            "2026年3月2日 上午9:14:07",
            "2026年3月2日 9时14分7秒",
            "Mo 02 Mär 2026 09:14:07",
            "lun. 2 mars 2026 09:14:07",
            "2026-3-2 9:14:07",
        ] {
            assert_eq!(moment(text, Tz::UTC), Some(1_772_442_847_000), "{text}");
        }
        for text in [
            "Mo 02 Mär 2026 10:14:07 CET",
            "3/2/2026, 1:14:07 AM PST",
            "02.03.2026 10:14:07 +0100",
            "2 Mar 2026 03:44:07 GMT-05:30",
            "02.03.2026 09:14:07 (UTC)",
        ] {
            assert_eq!(moment(text, Tz::Asia__Shanghai), Some(1_772_442_847_000), "{text}");
        }
        assert_eq!(moment("23/11/2026 9:14PM", Tz::UTC), moment("11/23/2026 21:14", Tz::UTC));
        for no in ["", "yesterday", "Mar 2", "32/13/2026 09:14", "9:14:07", "a:b 2 Mar 2026"] {
            assert_eq!(moment(no, Tz::UTC), None, "{no}");
        }
    }
}
