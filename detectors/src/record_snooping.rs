//! Somebody looks at many more customers than his work needs.
//!
//! # What it finds
//! A person who opens far more different records in a day than ever before and than his peers do; and one who opens several records of the list of
//! customers that deserve special care.
//!
//! # Why it matters
//! Curiosity about neighbours, ex-partners and celebrities is the most frequent abuse of customer data, and it leaves no trace but the looking.
//!
//! # How it decides
//! Different records a person opens are counted by day (in UTC). A day is a finding from `records` on when it has at least four times the largest of his
//! earlier days and more than 199 in 200 days of his peers (role, else everybody); where fewer than 200 days of peers are known, more than five times the
//! largest. It takes five earlier days. It is low: looking is mostly work, so it adds to other findings; from five times the largest and twice `records` on it is medium. Different records of
//! `vip_records` are counted apart: from `vips` a day on it is medium. Programs and what happens by script are left to record-enumeration.
//!
//! # False positives
//! Somebody who takes over a colleague's customers; a campaign by telephone.
//!
//! # What to check
//! - Are the records those of his territory? Ask the manager.
//! - Is there a case or a call behind each look?
//!
//! # Settings
//! - `records` (150): different records in a day.
//! - `vip_records` ([]): ids of records that deserve special care.
//! - `vips` (3): how many of them in a day.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::baseline::Histogram;
use crate::detector::Context;
use crate::distinct::Different;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::keyed::Resident;
use crate::mass::Told;
use crate::names::who;
use crate::verdict::Verdict;
use crate::watch::{Post, Watch};
use crate::window::Trail;
use crate::wording::figure;

const DAY: Millis = 86_400_000;
const LEAST_DAYS: usize = 5;
const DAYS_KEPT: usize = 30;
const PEER_DAYS: u64 = 200;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    records: f64,
    vip_records: BTreeSet<String>,
    vips: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { records: 150.0, vip_records: BTreeSet::new(), vips: 3.0 }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Day {
    number: i64,
    seen: Different,
    vips: Different,
}

/// What a person looked at, or what a group does.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Looks {
    /// The last two days, which late lines may still belong to.
    open: Vec<Day>,
    /// Different records on earlier days, and whether the day was reported.
    days: Vec<(i64, f32, bool)>,
    trail: Trail,
    told: Told,
    /// Of a group: its members' days.
    group: Histogram,
}

impl Resident for Looks {
    fn rank(&self) -> u8 {
        1 + u8::from(self.days.len() >= 2 || self.group.total() > 0)
    }
}

/// See the file's head.
pub struct RecordSnooping;

impl Watch for RecordSnooping {
    const ID: &'static str = "record-snooping";
    const SOURCE: &'static str = include_str!("record_snooping.rs");
    const SEVERITY: Severity = Severity::Low;
    const TECHNIQUES: &'static [&'static str] = &["T1213"];
    const ACTIONS: &'static [&'static str] = &["view"];
    const CAPACITY: usize = 200_000;
    type Settings = Settings;
    type State = Looks;

    fn look(at: &mut Post<'_, Self>, event: &Event, _: &Context, out: &mut Vec<Detection>) {
        let Some(id) = event.text(Field::ObjectId) else { return };
        let script = matches!(event.text(Field::UserAgentDevice), Some("script" | "crawler"));
        let key = crate::entity::entity_key(event);
        if script
            || event.text(Field::EventOutcome) == Some("failure")
            || event.person.as_ref().is_some_and(|person| person.is_program())
            || !["person:", "user:", "user-id:"].iter().any(|word| key.starts_with(word))
        {
            return;
        }
        let number = event.time.div_euclid(DAY);
        let vip = at.settings.vip_records.contains(id);
        let role = event.person.as_ref().and_then(|person| person.role.as_deref()).unwrap_or("everybody");
        let looks = at.states.touch(&key, event.time);
        if looks.open.iter().any(|day| day.number + 1 < number) {
            let group = at_group(role);
            for day in close(looks, number) {
                at.states.touch(&group, event.time).group.learn(day);
            }
        }
        let looks = at.states.touch(&key, event.time);
        let position = match looks.open.iter().position(|day| day.number == number) {
            Some(position) => position,
            None if looks.open.iter().any(|day| day.number > number + 1) => return,
            None => {
                looks.open.push(Day { number, ..Day::default() });
                looks.open.len() - 1
            }
        };
        let day = &mut looks.open[position];
        let mut new = day.seen.add(id);
        new |= vip && day.vips.add(id);
        let (seen, vips) = (day.seen.count(), day.vips.count());
        if !new || (seen < at.settings.records && !vip) {
            return;
        }
        looks.trail.add(event, DAY, 50);
        let largest =
            looks.days.iter().filter(|(_, _, told)| !told).map(|(_, seen, _)| f64::from(*seen)).fold(0.0, f64::max);
        let known = looks.days.len() >= LEAST_DAYS;
        let peers = at.states.get(&at_group(role)).map(|looks| &looks.group);
        let rare = match peers.filter(|group| group.total() >= PEER_DAYS) {
            Some(group) => group.share_below(seen) > 0.995 && seen >= 4.0 * largest,
            None => seen >= 5.0 * largest,
        };
        let severity = if vips >= at.settings.vips {
            Severity::Medium
        } else if known && seen >= at.settings.records && rare {
            if seen >= 5.0 * largest && seen >= 2.0 * at.settings.records { Severity::Medium } else { Severity::Low }
        } else {
            return;
        };
        let looks = at.states.touch(&key, event.time);
        if looks.told.again(event.time, seen, severity as u8) {
            let mut evidence = looks.trail.references(number * DAY, event.time);
            evidence.retain(|reference| reference.id != event.id);
            let detection = tell(event, severity, seen, vips, largest).resting_on(evidence, number * DAY, event.time);
            out.push(Detection { evidence_count: seen as u64, ..detection });
        }
    }

    fn settle(at: &mut Post<'_, Self>, verdict: &Verdict) {
        at.each_judged(verdict, |looks| {
            let judged = |day: &(i64, f32, bool)| day.2 && verdict.touches(day.0 * DAY, (day.0 + 1) * DAY - 1);
            if verdict.harmless {
                looks.days.iter_mut().filter(|day| judged(day)).for_each(|day| day.2 = false);
            } else {
                looks.days.retain(|day| !judged(day));
            }
        });
    }
}

/// The key of a group.
fn at_group(role: &str) -> String {
    format!("group/{role}")
}

/// Closes the days before yesterday; how many different records each had.
fn close(looks: &mut Looks, number: i64) -> Vec<f64> {
    let (open, old): (Vec<Day>, Vec<Day>) =
        std::mem::take(&mut looks.open).into_iter().partition(|day| day.number + 1 >= number);
    looks.open = open;
    let mut closed = Vec::new();
    for day in old {
        let seen = day.seen.count();
        let largest = looks.days.iter().map(|(_, seen, _)| f64::from(*seen)).fold(0.0, f64::max);
        // A day that stood out is not usual for two weeks; it stays in the list, and comes to count.
        let told = looks.days.len() >= LEAST_DAYS && seen >= 4.0 * largest.max(20.0);
        looks.days.push((day.number, seen as f32, told));
        looks.days.iter_mut().filter(|one| one.0 + 14 <= number).for_each(|one| one.2 = false);
        if looks.days.len() > DAYS_KEPT {
            looks.days.remove(0);
        }
        closed.push(seen);
    }
    closed
}

fn tell(event: &Event, severity: Severity, seen: f64, vips: f64, largest: f64) -> Detection {
    let who = who(event);
    let (count, before) = (figure(seen), figure(largest));
    let summary = if vips > 0.0 {
        Sentence::new(
            format!("{who} opened {} records that deserve special care within a day", figure(vips)),
            format!("{who} 在一天内打开了 {} 条需特别保护的记录", figure(vips)),
        )
    } else {
        Sentence::new(
            format!("{who} opened {count} different records in a day; the most so far were {before}"),
            format!("{who} 在一天内打开了 {count} 条不同记录；此前最多为 {before} 条"),
        )
    };
    Detection {
        summary,
        observed: Sentence::new(format!("{count} different records"), format!("{count} 条不同记录")),
        expected: Sentence::new(
            format!("the largest day before had {before}, and peers seldom more"),
            format!("此前最多的一天为 {before} 条，同类人员也很少超过"),
        ),
        quiet: 12 * 3_600_000,
        parts: vec![("records", seen), ("largest day before", largest), ("special records", vips)],
        ..RecordSnooping::detection(event, severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BERLIN, DAY as DAY_MINUTES, event, kept_promises, play_all, with, worst};

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<RecordSnooping>(&serde_json::json!({"vip_records": ["vip1", "vip2", "vip3"]}))
            .expect("fits")
    }

    fn opened(day: i64, nth: i64, id: &str) -> Event {
        with(event(day * DAY_MINUTES + 500 + nth, "mia", BERLIN, "view", nth), Field::ObjectId, id)
    }

    fn story(count: i64) -> Vec<Event> {
        let days = (0..10).flat_map(|day| (0..30).map(move |nth| opened(day, nth * 5, &format!("r{}", nth + day))));
        days.chain((0..count).map(|nth| opened(12, nth, &format!("x{nth}")))).collect()
    }

    #[test]
    fn five_times_the_largest_day_is_low_and_ten_times_medium() {
        assert_eq!(worst(&kept_promises(&make, story(180))), Some(Severity::Low));
        assert_eq!(worst(&kept_promises(&make, story(400))), Some(Severity::Medium));
    }

    #[test]
    fn a_busy_day_the_first_days_and_a_few_looks_again_are_nothing() {
        assert_eq!(play_all(&make, story(120)).len(), 0);
        assert_eq!(play_all(&make, story(400).split_off(300 - 60)).len(), 0, "too short a past");
        let again = (0..900).map(|nth| opened(12, nth / 2, &format!("r{}", nth % 25)));
        assert_eq!(play_all(&make, story(0).into_iter().chain(again).collect()).len(), 0);
    }

    #[test]
    fn three_records_of_special_care_are_medium_whoever_looks() {
        let looks = |ids: &[&str]| ids.iter().enumerate().map(|(nth, id)| opened(0, nth as i64, id)).collect();
        assert_eq!(worst(&kept_promises(&make, looks(&["vip1", "vip2", "vip3"]))), Some(Severity::Medium));
        assert_eq!(worst(&play_all(&make, looks(&["vip1", "vip1", "vip2"]))), None);
    }
}
