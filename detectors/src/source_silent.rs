//! A log that should be speaking is silent.
//!
//! # What it finds
//! A source from which nothing has come for at least two full hours in which, by its own past, something should have come.
//!
//! # Why it matters
//! Whoever does not want to be seen stops the log, or the machine that ships it. And all other rules are blind where nothing comes.
//!
//! # How it decides
//! For each source the minutes with events are counted by hour for four weeks. An hour counts as missing when it is over (the source's lateness added),
//! nothing came in it, and something did in four fifths of the same hours of at least four days before: working days are compared with working days of two weeks, weekends
//! with weekends of four; a source that spoke in every hour of the last five days, with all days. How much a missing hour says is the larger of two numbers: the logarithm of
//! (n + 2) / (n - k + 1) where something came on k of n such days (Laplace), and half of the least number of minutes in which something came then (a Poisson
//! process, with room for bursts). From `hours` missing hours on whose numbers make 7 together, one chance in a thousand, it is medium; the finding grows each hour. So a quiet night
//! and a weekend raise nothing where they are always quiet, nor does a log of a few lines a day. Time comes from the pipeline's ticks, not from events, for silence has none. A
//! source whose newest event was more than a day old whenever everything there was had been read is an archive, and never silent.
//!
//! # False positives
//! Maintenance; a holiday (a source of which people are the only cause).
//!
//! # What to check
//! - Is the file still being written? Was it rotated to another name, or is the disk full?
//! - Does the shipper run, and does the network let it through?
//! - Who was logged in on that machine when it became silent?
//!
//! # Settings
//! - `hours` (2): missing hours in a row.
//! - `ignore` ([]): names of sources that may be silent.

use serde::{Deserialize, Serialize};

use crate::detector::Context;
use crate::event::{Event, EventId, Millis};
use crate::finding::{Detection, Identities, Sentence, Severity, finding_id};
use crate::keyed::Resident;
use crate::watch::{Post, Watch};
use crate::wording::{moment, span_en, span_zh};

const MINUTE: Millis = 60_000;
const HOUR: Millis = 3_600_000;
const DAY_HOURS: i64 = 24;
/// Days of an hour's past.
const KEPT_DAYS: i64 = 29;
/// Of so many days before, those of the same kind are compared with.
const WORKING: i64 = 14;
const WEEKENDS: i64 = 28;
/// Fewer of them tell nothing.
const LEAST_DAYS: usize = 4;
/// Speaking in every hour of so many days makes a machine.
const STEADY_DAYS: i64 = 5;
/// Together so much must the missing hours say: the logarithm of a thousand.
const SAYS: f64 = 7.0;
/// A source whose newest event is no older than this, beyond its lateness, is being written.
const LIVE: Millis = 24 * HOUR;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    hours: i64,
    ignore: Vec<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { hours: 2, ignore: Vec::new() }
    }
}

/// When a source has spoken.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Spoken {
    first: i64,
    last: Millis,
    lateness: Millis,
    /// Hours since 1970 in which something came, and in how many of their minutes.
    hours: std::collections::BTreeMap<i64, u8>,
    told: Option<Millis>,
    /// It has been read while it was being written: an archive that nobody writes to any more is not silent.
    live: bool,
}

impl Resident for Spoken {
    fn rank(&self) -> u8 {
        1 + u8::from(self.hours.len() > 24)
    }
}

impl Spoken {
    /// How much it says that nothing came in this hour; nothing where nothing need have come.
    fn says(&self, hour: i64) -> Option<f64> {
        let weekend = |hour: i64| matches!((hour.div_euclid(DAY_HOURS) + 3).rem_euclid(7), 5 | 6);
        let since = self.last.div_euclid(HOUR);
        let steady = self.hours.range(since - STEADY_DAYS * DAY_HOURS..since).count() as i64 == STEADY_DAYS * DAY_HOURS;
        let days = if weekend(hour) && !steady { WEEKENDS } else { WORKING };
        let alike = (1..=days)
            .map(|day| hour - day * DAY_HOURS)
            .filter(|other| *other > self.first && *other < since && (steady || weekend(*other) == weekend(hour)));
        let minutes: Vec<u8> = alike.map(|other| self.hours.get(&other).copied().unwrap_or(0)).collect();
        let (days, came) = (minutes.len(), minutes.iter().filter(|minutes| **minutes > 0).count());
        if days < LEAST_DAYS || came * 5 < days * 4 {
            return None;
        }
        let rare = ((days + 2) as f64 / (days - came + 1) as f64).ln();
        let least = minutes.iter().copied().filter(|minutes| *minutes > 0).min().unwrap_or(0);
        Some(rare.max(f64::from(least) / 2.0))
    }

    /// The first of the missing hours that reach up to `now`, how many there are, and how much they say.
    fn missing(&self, now: Millis) -> Option<(i64, i64, f64)> {
        let over = (now - self.lateness).div_euclid(HOUR) - 1;
        let since = self.last.div_euclid(HOUR) + 1;
        // After a long silence only its beginning need be looked at.
        let (mut first, mut count, mut says) = (None, 0, 0.0);
        for hour in since..=over.min(since + WORKING * DAY_HOURS) {
            if let Some(more) = self.says(hour) {
                first = first.or(Some(hour));
                count += 1;
                says += more;
            }
        }
        Some((first?, count, says))
    }
}

/// See the file's head.
pub struct SourceSilent;

impl Watch for SourceSilent {
    const ID: &'static str = "source-silent";
    const SOURCE: &'static str = include_str!("source_silent.rs");
    const SEVERITY: Severity = Severity::Medium;
    const TECHNIQUES: &'static [&'static str] = &["T1562.008"];
    const ACTIONS: &'static [&'static str] = &[];
    const CAPACITY: usize = 1_000;
    const ONCE_A_MINUTE: bool = true;
    type Settings = Settings;
    type State = Spoken;

    fn look(at: &mut Post<'_, Self>, event: &Event, _: &Context, _: &mut Vec<Detection>) {
        let source = &*event.origin.source;
        let hour = event.time.div_euclid(HOUR);
        // Once a minute is enough to know that it speaks.
        let minute = event.time.div_euclid(MINUTE);
        let knows = |spoken: &Spoken| minute <= spoken.last.div_euclid(MINUTE) && spoken.hours.contains_key(&hour);
        if at.states.get(source).is_some_and(knows) {
            return;
        }
        let spoken = at.states.touch(source, event.time);
        spoken.first = if spoken.hours.is_empty() { hour } else { spoken.first.min(hour) };
        // A minute counts once, whichever of its events comes first.
        let minutes = spoken.hours.entry(hour).or_insert(0);
        if *minutes == 0 || minute > spoken.last.div_euclid(MINUTE) {
            *minutes = minutes.saturating_add(1);
        }
        // To the minute, so that it does not matter which of a minute's events was the first.
        spoken.last = spoken.last.max(minute * MINUTE);
        spoken.lateness = event.origin.lateness;
        spoken.told = spoken.told.filter(|told| *told > event.time);
        let oldest = hour - KEPT_DAYS * DAY_HOURS;
        while spoken.hours.first_key_value().is_some_and(|(first, _)| *first < oldest) {
            spoken.hours.pop_first();
        }
    }

    fn tick(at: &mut Post<'_, Self>, now: Millis, out: &mut Vec<(Event, Detection)>) {
        for source in at.states.keys() {
            if at.settings.ignore.iter().any(|one| **one == *source) {
                continue;
            }
            let Some(spoken) = at.states.get(&source) else { continue };
            if !spoken.live {
                if now - spoken.last > spoken.lateness + LIVE {
                    continue;
                }
                at.states.touch(&source, Millis::MIN).live = true;
            }
            let Some(spoken) = at.states.get(&source) else { continue };
            let Some((first, count, says)) = spoken.missing(now) else { continue };
            let again = spoken.told.is_none_or(|told| now - told >= HOUR);
            if count >= at.settings.hours && says >= SAYS && again {
                let last = spoken.last;
                at.states.touch(&source, Millis::MIN).told = Some(now);
                out.push(tell(&source, now, last, first * HOUR, (count, says)));
            }
        }
    }
}

fn tell(source: &str, now: Millis, last: Millis, from: Millis, (missing, says): (i64, f64)) -> (Event, Detection) {
    let mut event = Event::new("");
    event.time = now;
    // The same silence is the same event after a replay.
    event.id = finding_id(SourceSilent::ID, source, EventId(last.unsigned_abs().into()));
    event.origin = std::sync::Arc::new(crate::Origin { source: source.into(), ..crate::Origin::default() });
    let mut entity = Identities::default();
    entity.add("crm.source", source);
    let (silent, silent_zh, since) = (span_en(now - last), span_zh(now - last), moment(last));
    let detection = Detection {
        entity,
        primary: "crm.source",
        subject: source.to_owned(),
        summary: Sentence::new(
            format!("Nothing has come from the log {source} for {silent}, at a time at which something always comes"),
            format!("日志 {source} 已静默 {silent_zh}，而此时段以往总有记录"),
        ),
        observed: Sentence::new(format!("the last event is of {since}"), format!("最后一条事件时间为 {since}")),
        expected: Sentence::new(
            format!("events in each of {missing} hours since, as on the days before"),
            format!("其后 {missing} 个小时内均应有事件，如前几周一样"),
        ),
        window: (from, now),
        quiet: 26 * HOUR,
        parts: vec![("missing hours", missing as f64), ("how much they say", says)],
        ..SourceSilent::detection(&event, Severity::Medium)
    };
    (event, detection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::finding::Finding;
    use crate::scenario::{BERLIN, DAY, START, event};

    fn engine() -> Engine {
        Engine::with(vec![crate::watch::build::<SourceSilent>(&serde_json::json!({})).expect("defaults fit")])
    }

    /// Events every half hour from 6 to 20 on working days, for so many days; then ticks for so many hours.
    fn silent(days: i64, hours: std::ops::Range<i64>) -> Vec<Finding> {
        let mut engine = engine();
        for day in (0..days).filter(|day| day % 7 < 5) {
            (0..28).for_each(|half| engine.observe(&event(day * DAY + 360 + half * 30, "mia", BERLIN, "view", 1)));
            engine.tick(START + day * 86_400_000 + 21 * HOUR);
        }
        let mut found = std::collections::BTreeMap::new();
        for hour in hours {
            engine.tick(START + days * 86_400_000 + hour * HOUR);
            found.extend(engine.drain().into_iter().map(|finding| (finding.id, finding)));
        }
        found.into_values().collect()
    }

    #[test]
    fn a_working_morning_without_a_line_is_found_after_three_hours_and_told_once() {
        // Day 21 is a Monday.
        let found = silent(21, 0..20);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].primary_value(), "crm");
        let hour = (found[0].time - START) / HOUR - 21 * 24;
        assert!((9..=10).contains(&hour), "{hour}");
        assert!(found[0].summary.zh.contains("静默"));
    }

    #[test]
    fn nights_weekends_and_a_source_of_a_few_days_are_quiet() {
        assert!(silent(21, 0..7).is_empty(), "before work");
        assert!(silent(26, 0..48).is_empty(), "a weekend");
        assert!(silent(3, 0..48).is_empty(), "nothing is known yet");
    }

    #[test]
    fn in_the_first_fortnight_five_like_days_are_enough() {
        let mut engine = engine();
        for day in 0..6 {
            (0..24).for_each(|hour| engine.observe(&event(day * DAY + hour * 60, "mia", BERLIN, "view", 1)));
        }
        engine.tick(START + 6 * 86_400_000 + 5 * HOUR);
        assert_eq!(engine.drain().len(), 1);
    }

    #[test]
    fn saved_and_restored_it_knows_what_it_told() {
        let mut first = engine();
        for day in 0..6 {
            (0..24).for_each(|hour| first.observe(&event(day * DAY + hour * 60, "mia", BERLIN, "view", 1)));
        }
        first.tick(START + 6 * 86_400_000 + 6 * HOUR);
        let told = first.drain();
        let mut second = engine();
        for change in first.changes() {
            second.restore(change.owner, &change.key, change.value.as_deref().expect("kept")).expect("readable");
        }
        second.tick(START + 6 * 86_400_000 + 6 * HOUR + HOUR / 2);
        assert_eq!((told.len(), second.drain().len()), (1, 0));
        second.tick(START + 6 * 86_400_000 + 7 * HOUR);
        let again = second.drain();
        assert_eq!((again.len(), again[0].id), (1, told[0].id), "it grows and is the same");
    }

    #[test]
    fn a_log_of_a_few_lines_a_day_at_any_time_is_never_missed() {
        let mut engine = engine();
        for day in 0..28 {
            // Four lines, at hours that change from day to day.
            (0..4).for_each(|nth| {
                let hour = (day * 5 + nth * 7) % 12 + 7;
                engine.observe(&event(day * DAY + hour * 60, "mia", BERLIN, "view", 1));
            });
            (0..24).for_each(|hour| engine.tick(START + day * 86_400_000 + hour * HOUR));
        }
        assert!(engine.drain().is_empty());
    }

    #[test]
    fn a_busy_log_says_more_with_each_hour_and_is_found_after_two() {
        let mut engine = engine();
        for day in 0..6 {
            (0..720).for_each(|minute| engine.observe(&event(day * DAY + minute * 2, "mia", BERLIN, "view", 1)));
        }
        engine.tick(START + 6 * 86_400_000 + HOUR + HOUR / 2);
        assert!(engine.drain().is_empty());
        engine.tick(START + 6 * 86_400_000 + 3 * HOUR);
        assert_eq!(engine.drain().len(), 1);
    }

    #[test]
    fn an_archive_is_not_silent() {
        let mut engine = engine();
        for day in 0..20 {
            (0..24).for_each(|hour| engine.observe(&event(day * DAY + hour * 60, "mia", BERLIN, "view", 1)));
        }
        engine.tick(START + 90 * 86_400_000);
        assert!(engine.drain().is_empty());
    }
}
