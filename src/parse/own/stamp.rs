//! The times of an operator's own format: named forms, or a pattern in the style of strftime. Not for stamps of shipped formats (`time`).

use chrono::format::{Item, Parsed, StrftimeItems};
use chrono::{DateTime, TimeZone, Utc};
use chrono_tz::Tz;
use crmwatch_detectors::Millis;

use crate::parse::time::{self, YearClock};

/// How a stamp is written.
#[derive(Debug, Clone)]
pub enum Form {
    /// ISO 8601, with `T` or a blank, with or without fraction and offset.
    Iso,
    /// `02/Mar/2026:09:14:07 +0100`, as web servers write it.
    Clf,
    /// Seconds to nanoseconds since 1970, told apart by size; seconds may have a fraction.
    Epoch,
    /// Milliseconds since 1970.
    EpochMillis,
    /// In the style of strftime.
    Pattern(Vec<Item<'static>>),
}

/// The words that name a form.
pub const NAMES: [&str; 4] = ["iso", "clf", "epoch", "epoch_ms"];

/// 2026-03-02T09:14:07.250Z: what examples show, and what a pattern is tried with.
const SAMPLE: Millis = 1_772_442_847_250;

impl Form {
    /// By its name, or from a pattern. The error says what is wrong with it.
    pub fn new(text: &str) -> Result<Form, String> {
        match text {
            "iso" => return Ok(Form::Iso),
            "clf" => return Ok(Form::Clf),
            "epoch" => return Ok(Form::Epoch),
            "epoch_ms" => return Ok(Form::EpochMillis),
            _ if !text.contains('%') => return Err(format!("{text:?} is no form of a time")),
            _ => {}
        }
        let items =
            StrftimeItems::new(text).parse_to_owned().map_err(|_| format!("{text:?} has an unknown % letter"))?;
        let form = Form::Pattern(items);
        let sample = form.sample().ok_or_else(|| format!("{text:?} has a % letter that no time can be read with"))?;
        // A pattern without the day, or with twelve hours and no half of the day, tells no moment: better said now than of each line.
        let read = form.read(&sample, Tz::UTC, &mut YearClock::new(2026));
        if read.is_none_or(|read| (read - SAMPLE).abs() >= 60_000) {
            return Err(format!("a time such as {sample:?} does not tell day, hour and minute"));
        }
        Ok(form)
    }

    fn sample(&self) -> Option<String> {
        use std::fmt::Write as _;
        let moment = Utc.timestamp_millis_opt(SAMPLE).single()?;
        let mut text = String::new();
        match self {
            Form::Iso => text.push_str("2026-03-02T09:14:07Z"),
            Form::Clf => text.push_str("02/Mar/2026:09:14:07 +0000"),
            Form::Epoch => text.push_str("1772442847"),
            Form::EpochMillis => text.push_str("1772442847250"),
            Form::Pattern(items) => write!(text, "{}", moment.format_with_items(items.iter())).ok()?,
        }
        Some(text)
    }

    /// A time in this form, for who has to write one.
    pub fn example(&self) -> String {
        self.sample().unwrap_or_default()
    }

    /// The moment; nothing where the text is none of this form. `zone` counts where it has no offset, `clock` where it has no year.
    pub fn read(&self, text: &str, zone: Tz, clock: &mut YearClock) -> Option<Millis> {
        match self {
            Form::Iso => time::iso(text, zone),
            Form::Clf => time::clf(text, zone),
            Form::Epoch => time::epoch(text),
            Form::EpochMillis => text.parse().ok(),
            Form::Pattern(items) => {
                let mut parsed = Parsed::new();
                chrono::format::parse(&mut parsed, text, items.iter()).ok()?;
                moment(parsed, zone, clock)
            }
        }
    }
}

fn moment(mut parsed: Parsed, zone: Tz, clock: &mut YearClock) -> Option<Millis> {
    if let Some(seconds) = parsed.timestamp() {
        let fraction = parsed.nanosecond().unwrap_or(0);
        return DateTime::from_timestamp(seconds, fraction).map(|moment| moment.timestamp_millis());
    }
    let years = [parsed.year(), parsed.isoyear(), parsed.year_mod_100(), parsed.isoyear_mod_100()];
    if years.iter().all(Option::is_none) {
        let year = clock.year_of(parsed.month()?, parsed.day()?);
        parsed.set_year(i64::from(year)).ok()?;
    }
    let wall = parsed.to_naive_date().ok()?.and_time(parsed.to_naive_time().ok()?).and_utc().timestamp_millis();
    Some(match parsed.offset() {
        Some(seconds) => wall - i64::from(seconds) * 1_000,
        None => time::local(wall, zone),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &str, text: &str, zone: Tz) -> Option<Millis> {
        Form::new(form).expect("a form").read(text, zone, &mut YearClock::new(2026))
    }

    #[test]
    fn every_form_reads_the_example_it_shows() {
        for form in [
            "iso",
            "clf",
            "epoch",
            "epoch_ms",
            "%d.%m.%Y %H:%M:%S",
            "%b %d %H:%M:%S",
            "%Y%m%d%H%M%S%z",
            "%s",
            "%D %I:%M %p",
        ] {
            let form = Form::new(form).expect(form);
            let read = form.read(&form.example(), Tz::UTC, &mut YearClock::new(2026)).expect("its own example");
            assert!((read - SAMPLE).abs() < 60_000, "{form:?}");
        }
    }

    #[test]
    fn an_offset_counts_before_the_zone_of_the_source() {
        let noon = read("%d.%m.%Y %H:%M", "02.03.2026 12:00", Tz::UTC).expect("a time");
        assert_eq!(read("%d.%m.%Y %H:%M", "02.03.2026 13:00", Tz::Europe__Berlin), Some(noon));
        assert_eq!(read("%d.%m.%Y %H:%M %z", "02.03.2026 20:00 +0800", Tz::Europe__Berlin), Some(noon));
        assert_eq!(read("%d.%m.%Y %H:%M", "02.03.2026 12:00 x", Tz::UTC), None);
        assert_eq!(read("%d.%m.%Y %H:%M", "31.02.2026 12:00", Tz::UTC), None);
    }

    #[test]
    fn a_pattern_that_tells_no_moment_is_refused_at_once() {
        for form in ["%H:%M:%S", "%d.%m.%Y", "%d.%m.%Y %I:%M", "%Q", "rfc", "%d.%m.%Y %"] {
            assert!(Form::new(form).is_err(), "{form}");
        }
    }
}
