//! Records are opened one after the other by their numbers, whether they exist or not.
//!
//! # What it finds
//! Somebody who opens far more different records within an hour than ever before, in a way no person does: counting up, meeting records that do not
//! exist, faster than anybody reads, or by a script.
//!
//! # Why it matters
//! Where an application does not check whose record it shows, trying numbers is all it takes to copy the database; no export is logged.
//!
//! # How it decides
//! Different records opened (also in vain) are counted for each entity in the last hour, in steps of ten minutes. From `records` on, and from three times
//! the largest hour that lies a day back or farther, at least one of these must hold: three in ten steps go from one number to the next (up to three
//! higher or lower), one opening in five fails, a hundred different records within ten minutes, a script. Twice as many records need no
//! such sign. It is medium; five times `records`, or a network that is strange to the account, is high. Programs are low in an organisation's first three days.
//!
//! # False positives
//! A crawler of one's own that checks links; a synchronisation that reads record by record, on its first day.
//!
//! # What to check
//! - Were the records his to see? If the application showed others' records, that is the hole to close.
//! - Lock the session; keep the access log.
//!
//! # Settings
//! - `records` (200): different records within an hour.

use serde::{Deserialize, Serialize};

use crate::detector::Context;
use crate::distinct::Different;
use crate::entity::entity_key;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::keyed::Resident;
use crate::mass::{HOUR, Hours, Told};
use crate::names::who;
use crate::verdict::Verdict;
use crate::watch::{Post, Watch};
use crate::window::Trail;
use crate::wording::figure;

const STEP: Millis = 600_000;
const STEPS: i64 = 6;
/// Different records within ten minutes that nobody reads.
const UNREADABLE: f64 = 100.0;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    records: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { records: 200.0 }
    }
}

/// Ten minutes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Slot {
    number: i64,
    different: Different,
    opened: u32,
    missing: u32,
    neighbours: u32,
    scripts: u32,
}

/// What one entity opened.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Reader {
    slots: Vec<Slot>,
    last: Option<i64>,
    hours: Hours,
    trail: Trail,
    told: Told,
}

impl Resident for Reader {
    fn rank(&self) -> u8 {
        1 + u8::from(self.slots.iter().any(|slot| slot.opened > 10))
    }
}

/// See the file's head.
pub struct RecordEnumeration;

/// The number at the end of a record's id.
fn number_of(id: &str) -> Option<i64> {
    let digits = id.len() - id.bytes().rev().take_while(u8::is_ascii_digit).count();
    id[digits..].get(..18.min(id.len() - digits))?.parse().ok()
}

impl Watch for RecordEnumeration {
    const ID: &'static str = "record-enumeration";
    const SOURCE: &'static str = include_str!("record_enumeration.rs");
    const SEVERITY: Severity = Severity::Medium;
    const TECHNIQUES: &'static [&'static str] = &["T1213", "T1119"];
    const ACTIONS: &'static [&'static str] = &["view"];
    const CAPACITY: usize = 200_000;
    type Settings = Settings;
    type State = Reader;

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        let Some(id) = event.text(Field::ObjectId) else { return };
        // What visitors read is judged by address (guest-enumeration).
        if context.is_guest(event) {
            return;
        }
        let key = entity_key(event);
        if key.is_empty() {
            return;
        }
        let reader = at.states.touch(&key, event.time);
        let slot_number = event.time.div_euclid(STEP);
        reader.slots.retain(|slot| slot.number.abs_diff(slot_number) <= 2 * STEPS as u64);
        let near = number_of(id).zip(reader.last).is_some_and(|(one, other)| (1..=3).contains(&one.abs_diff(other)));
        reader.last = number_of(id).or(reader.last);
        let position = reader.slots.partition_point(|slot| slot.number < slot_number);
        if reader.slots.get(position).is_none_or(|slot| slot.number != slot_number) {
            reader.slots.insert(position, Slot { number: slot_number, ..Slot::default() });
        }
        let slot = &mut reader.slots[position];
        slot.different.add(id);
        slot.opened += 1;
        slot.neighbours += u32::from(near);
        slot.missing += u32::from(event.text(Field::EventOutcome) == Some("failure"));
        slot.scripts += u32::from(matches!(event.text(Field::UserAgentDevice), Some("script" | "crawler")));
        // The sum costs a few microseconds; every eighth opening is often enough, and in a flood every sixty-fourth.
        if !slot.opened.is_multiple_of(if slot.opened < 512 { 8 } else { 64 }) {
            return;
        }
        let last = reader.slots.last().map_or(slot_number, |slot| slot.number);
        let seen = Seen::of(reader.slots.iter().filter(|slot| slot.number > last - STEPS));
        let hour = event.time.div_euclid(HOUR);
        reader.hours.change(hour, |before| before.max(seen.different));
        if seen.opened.is_multiple_of(64) || seen.different >= at.settings.records / 2.0 {
            reader.trail.add(event, HOUR, 50);
        }
        let usual = reader.hours.usual(hour);
        let enough = seen.different >= at.settings.records && seen.different >= 3.0 * usual;
        if !enough || !(seen.is_mechanical() || seen.different >= 2.0 * at.settings.records) {
            return;
        }
        let view = context.view(event);
        let program = key.starts_with("app:") || event.person.as_ref().is_some_and(|person| person.is_program());
        let severity = if program && view.organisation_days() < 3.0 {
            Severity::Low
        } else if seen.different >= 5.0 * at.settings.records || (view.mature() && view.strange_network()) {
            Severity::High
        } else {
            Severity::Medium
        };
        reader.hours.reported(hour);
        if reader.told.again(event.time, seen.different, severity as u8) {
            let mut evidence = reader.trail.references(event.time - HOUR, event.time);
            evidence.retain(|reference| reference.id != event.id);
            let count = u64::from(seen.opened);
            let detection = tell(event, severity, &seen, usual).resting_on(evidence, event.time - HOUR, event.time);
            out.push(Detection { evidence_count: count, ..detection });
        }
    }

    fn settle(at: &mut Post<'_, Self>, verdict: &Verdict) {
        at.each_judged(verdict, |reader| reader.hours.settle(verdict));
    }
}

struct Seen {
    different: f64,
    opened: u32,
    neighbours: f64,
    missing: f64,
    scripts: f64,
    fastest: f64,
}

impl Seen {
    fn of<'s>(slots: impl Iterator<Item = &'s Slot>) -> Seen {
        let mut all = Different::default();
        let (mut opened, mut neighbours, mut missing, mut scripts, mut fastest) = (0, 0, 0, 0, 0.0);
        for slot in slots {
            all.join(&slot.different);
            opened += slot.opened;
            neighbours += slot.neighbours;
            missing += slot.missing;
            scripts += slot.scripts;
            fastest = slot.different.count().max(fastest);
        }
        let share = |part: u32| f64::from(part) / f64::from(opened.max(1));
        Seen {
            different: all.count(),
            opened,
            neighbours: share(neighbours),
            missing: share(missing),
            scripts: share(scripts),
            fastest,
        }
    }

    fn is_mechanical(&self) -> bool {
        self.neighbours >= 0.3 || self.missing >= 0.2 || self.fastest >= UNREADABLE || self.scripts >= 0.5
    }
}

fn tell(event: &Event, severity: Severity, seen: &Seen, usual: f64) -> Detection {
    let who = who(event);
    let (count, before) = (figure(seen.different), figure(usual));
    let (neighbours, missing) = (seen.neighbours * 100.0, seen.missing * 100.0);
    Detection {
        summary: Sentence::new(
            format!(
                "{who} opened {count} different records within an hour, one after the other; the most so far were {before}"
            ),
            format!("{who} 在一小时内逐个打开了 {count} 条不同记录；此前最多为 {before} 条"),
        ),
        observed: Sentence::new(
            format!(
                "{count} different records, {neighbours:.0} % of them next to the one before, {missing:.0} % missing"
            ),
            format!("{count} 条不同记录，其中 {neighbours:.0}% 与前一条编号相邻，{missing:.0}% 不存在"),
        ),
        expected: Sentence::new(
            format!("the largest hour before had {before}"),
            format!("此前最多的一小时为 {before} 条"),
        ),
        quiet: 6 * HOUR,
        parts: vec![
            ("records", seen.different),
            ("neighbours", seen.neighbours),
            ("missing", seen.missing),
            ("fastest ten minutes", seen.fastest),
            ("scripts", seen.scripts),
        ],
        ..RecordEnumeration::detection(event, severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BERLIN, DAY, event, kept_promises, play_all, with, worst};

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<RecordEnumeration>(&serde_json::json!({})).expect("defaults fit")
    }

    fn opened(day: i64, second: i64, id: i64) -> Event {
        let mut one = with(event(day * DAY + 600, "mia", BERLIN, "view", id), Field::ObjectId, &format!("{id}"));
        one.time += second * 1_000;
        one
    }

    /// Thirty records an hour on ordinary days, then what is asked.
    fn story(count: i64, seconds: i64, id: &dyn Fn(i64) -> i64) -> Vec<Event> {
        let days = (0..14).flat_map(|day| (0..30).map(move |nth| opened(day, nth * 110, 7_919 * (nth + day) % 50_000)));
        days.chain((0..count).map(|nth| opened(15, nth * seconds, id(nth)))).collect()
    }

    #[test]
    fn counting_up_is_found_and_so_is_a_shuffled_list() {
        let found = kept_promises(&make, story(600, 1, &|nth| 1_000 + nth));
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::Medium)));
        assert!(found[0].observed.en.contains("% of them next to"), "{}", found[0].observed.en);
        assert_eq!(worst(&play_all(&make, story(600, 4, &|nth| nth * 7_919 % 200_003))), Some(Severity::Medium));
    }

    #[test]
    fn reading_much_reading_the_same_again_and_a_daily_habit_are_nothing() {
        assert_eq!(play_all(&make, story(150, 20, &|nth| nth * 7_919 % 200_003)).len(), 0);
        assert_eq!(play_all(&make, story(2_000, 1, &|nth| nth % 40)).len(), 0);
        let daily = (0..10).flat_map(|day| (0..260).map(move |nth| opened(day, nth * 5, nth * 7_919 % 200_003)));
        let late = play_all(&make, daily.collect())
            .iter()
            .filter(|one| one.time > crate::scenario::START + 86_400_000)
            .count();
        assert!(late <= 2, "told on two days, it is known: {late}");
    }
}
