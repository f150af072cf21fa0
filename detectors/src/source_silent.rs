//! A log that should be speaking is silent.
//!
//! # What it finds
//! A source from which nothing has come for at least two full hours in which something came in each of the weeks before.
//!
//! # Why it matters
//! Whoever does not want to be seen stops the log, or the machine that ships it. And all other rules are blind where nothing comes.
//!
//! # How it decides
//! For each source the hours of the week in which events came are remembered for eight weeks, and the hours of the day for the first fortnight. An hour
//! counts as missing when it is over (the source's lateness added), nothing came in it, and something did in the same hour of the last two weeks at least; in
//! the first two weeks, in the same hour of each of the last five days. From `hours` missing hours in a row on it is medium; the finding grows each hour. So a quiet night
//! and a weekend raise nothing where they are always quiet. Time comes from the pipeline's ticks, not from events, for silence has none. A
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
const WEEK_HOURS: i64 = 168;
/// Weeks of an hour's past, as bits.
const WEEKS: i64 = 8;
const DAY_HOURS: i64 = 24;
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
    /// Hours since 1970 in which something came, newest last.
    hours: std::collections::BTreeSet<i64>,
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
    fn expects(&self, hour: i64) -> bool {
        let came = |hour: i64| self.hours.contains(&hour);
        if hour - self.first >= 2 * WEEK_HOURS {
            return came(hour - WEEK_HOURS) && came(hour - 2 * WEEK_HOURS);
        }
        hour - self.first >= 5 * DAY_HOURS && (1..=5).all(|day| came(hour - day * DAY_HOURS))
    }

    /// The first of the missing hours in a row that reach up to `now`, and how many there are.
    fn missing(&self, now: Millis) -> Option<(i64, i64)> {
        let over = (now - self.lateness).div_euclid(HOUR) - 1;
        let since = self.last.div_euclid(HOUR) + 1;
        // After a long silence only its beginning need be looked at.
        let (mut first, mut count) = (None, 0);
        for hour in since..=over.min(since + 2 * WEEK_HOURS) {
            if self.expects(hour) {
                first = first.or(Some(hour));
                count += 1;
            }
        }
        Some((first?, count))
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
        let knows = |spoken: &Spoken| minute <= spoken.last.div_euclid(MINUTE) && spoken.hours.contains(&hour);
        if at.states.get(source).is_some_and(knows) {
            return;
        }
        let spoken = at.states.touch(source, event.time);
        spoken.first = if spoken.hours.is_empty() { hour } else { spoken.first.min(hour) };
        // To the minute, so that it does not matter which of a minute's events was the first.
        spoken.last = spoken.last.max(minute * MINUTE);
        spoken.lateness = event.origin.lateness;
        spoken.told = spoken.told.filter(|told| *told > event.time);
        spoken.hours.insert(hour);
        let oldest = hour - WEEKS * WEEK_HOURS;
        while spoken.hours.first().is_some_and(|first| *first < oldest) {
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
            let Some((first, count)) = spoken.missing(now) else { continue };
            let again = spoken.told.is_none_or(|told| now - told >= HOUR);
            if count >= at.settings.hours && again {
                let last = spoken.last;
                at.states.touch(&source, Millis::MIN).told = Some(now);
                out.push(tell(&source, now, last, first * HOUR, count));
            }
        }
    }
}

fn tell(source: &str, now: Millis, last: Millis, from: Millis, missing: i64) -> (Event, Detection) {
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
            format!("events in each of the {missing} hours since, as in the weeks before"),
            format!("其后 {missing} 个小时内均应有事件，如前几周一样"),
        ),
        window: (from, now),
        quiet: 26 * HOUR,
        parts: vec![("missing hours", missing as f64)],
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
    fn a_working_morning_without_a_line_is_found_after_two_hours_and_told_once() {
        // Day 21 is a Monday.
        let found = silent(21, 0..20);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].primary_value(), "crm");
        let hour = (found[0].time - START) / HOUR - 21 * 24;
        assert!((8..=9).contains(&hour), "{hour}");
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
        engine.tick(START + 6 * 86_400_000 + 3 * HOUR);
        assert_eq!(engine.drain().len(), 1);
    }

    #[test]
    fn saved_and_restored_it_knows_what_it_told() {
        let mut first = engine();
        for day in 0..6 {
            (0..24).for_each(|hour| first.observe(&event(day * DAY + hour * 60, "mia", BERLIN, "view", 1)));
        }
        first.tick(START + 6 * 86_400_000 + 4 * HOUR);
        let told = first.drain();
        let mut second = engine();
        for change in first.changes() {
            second.restore(change.owner, &change.key, change.value.as_deref().expect("kept")).expect("readable");
        }
        second.tick(START + 6 * 86_400_000 + 4 * HOUR + HOUR / 2);
        assert_eq!((told.len(), second.drain().len()), (1, 0));
        second.tick(START + 6 * 86_400_000 + 5 * HOUR);
        let again = second.drain();
        assert_eq!((again.len(), again[0].id), (1, told[0].id), "it grows and is the same");
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
