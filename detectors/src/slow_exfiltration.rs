//! A little more than usual every day, for days: no single day is remarkable.
//!
//! # What it finds
//! A person whose exports stay above what is usual for him and his peers for four working days or longer.
//!
//! # Why it matters
//! Whoever knows that large exports are noticed takes small ones. In two weeks it is the same file.
//!
//! # How it decides
//! For each day what a person took out is written as the logarithm of 1 plus a hundredth of the records, compared with the mean and the spread of
//! his days so far, those without exports included (also those before his first one) and peers' days added as five of his own, and summed up as in CUSUM (Page, 1954): the sum grows by the distance from the mean in
//! spreads, less `slack`, and never below zero. A day counts for two spreads at most, so no single day and no three reach `alarm`; the last five days of a
//! month and the first three of the next count for one at most, for then books are closed. Once the sum has reached `alarm`, nothing
//! is learned. Besides, the last four to fourteen days must hold `records` together and three times what is usual in as many days, and the person must have been seen on ten days. It is medium; ten times
//! `records` are high. Days are those of UTC, weekends count only where something was taken out, and programs are left out.
//!
//! # False positives
//! A new duty: the first two weeks of a daily report; a year-end close of a whole week.
//!
//! # What to check
//! - What is new in this person's work since the first of these days? Ask the manager.
//! - Are the exports different parts of one whole (region by region, letter by letter)?
//! - Is he leaving?
//!
//! # Settings
//! - `slack` (0.5) and `alarm` (5): of the sum, in spreads.
//! - `records` (5000): what the days must hold together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::aftermath::records_taken;
use crate::brute_force_success::account_key;
use crate::detector::Context;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::keyed::Resident;
use crate::names::who;
use crate::steps::{Step, Steps};
use crate::verdict::Verdict;
use crate::watch::{Post, Watch};
use crate::wording::figure;

const DAY: Millis = 86_400_000;
const LEAST_DAYS: u32 = 10;
/// Most spreads of one day.
const CAP: f64 = 2.0;
/// And of one around a month's end: eight such days in a row raise nothing.
const CLOSE_CAP: f64 = 1.0;
/// Least spread of the logarithms.
const LEAST_SPREAD: f64 = 0.5;
/// Weight of a day in the mean: half is forgotten in about a month of working days.
const WEIGHT: f64 = 0.03;
/// Days of which something is said.
const LEAST_RUN: i64 = 4;
const FORTNIGHT: i64 = 14;
/// They must hold so many times what they would hold anyway.
const TIMES: f64 = 3.0;
/// Peers' mean weighs like so many own days.
const PEERS: f64 = 5.0;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    slack: f64,
    alarm: f64,
    records: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { slack: 0.5, alarm: 5.0, records: 5_000.0 }
    }
}

/// A person's days, or a group's mean of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Drip {
    days: f64,
    mean: f64,
    variance: f64,
    /// Records a day, in plain numbers.
    usual: f64,
    closed: i64,
    sum: f64,
    open: BTreeMap<i64, f64>,
    /// The closed days of the last fortnight on which something was taken out.
    recent: Vec<(i64, f64)>,
    steps: Steps,
    told: Option<(i64, u8)>,
}

impl Resident for Drip {
    fn rank(&self) -> u8 {
        1 + u8::from(self.days >= 5.0)
    }
}

fn measure(records: f64) -> f64 {
    (records / 100.0).ln_1p()
}

fn is_weekend(day: i64) -> bool {
    // Day 0 was a Thursday.
    matches!((day + 3).rem_euclid(7), 5 | 6)
}

/// Whether a day lies around a month's end, when books are closed: its last five days and the first three of the next.
fn closes_a_month(day: i64) -> bool {
    use chrono::Datelike;
    let date = chrono::DateTime::from_timestamp(day * 86_400, 0).unwrap_or_default().date_naive();
    date.day() <= 3 || (date + chrono::Days::new(5)).month() != date.month()
}

/// The days that stand out: how high the sum is, what they hold, and the first of them.
#[derive(Clone, Copy)]
struct Run {
    height: f64,
    taken: f64,
    since: i64,
}

impl Drip {
    fn learn(&mut self, y: f64) {
        self.days += 1.0;
        let weight = WEIGHT.max(1.0 / self.days);
        self.usual += weight * (y.exp_m1() * 100.0 - self.usual);
        let step = y - self.mean;
        self.mean += weight * step;
        self.variance = (1.0 - weight) * (self.variance + weight * step * step);
    }

    /// Somebody's first export: the days on which he was seen before it are days without one, a fortnight of them at most.
    fn credit(&mut self, seen: u32) {
        for _ in 1..i64::from(seen).min(FORTNIGHT) {
            self.learn(measure(0.0));
        }
    }

    fn distance(&self, day: i64, records: f64, peers: f64) -> f64 {
        // Peers tell a newcomer's mean; who is known to take out more than they do is measured by himself.
        let with_peers = (self.days * self.mean + PEERS * peers) / (self.days + PEERS);
        let mean = if self.days >= PEERS { with_peers.max(self.mean) } else { with_peers };
        let cap = if closes_a_month(day) { CLOSE_CAP } else { CAP };
        ((measure(records) - mean) / self.variance.sqrt().max(LEAST_SPREAD)).min(cap)
    }

    fn grown(&self, height: f64, day: i64, records: f64, peers: f64, slack: f64) -> f64 {
        (height + self.distance(day, records, peers) - slack).max(0.0)
    }

    /// The last days, four to fourteen, that hold the most times what is usual in as many; if they hold enough.
    fn run(&self, height: f64, today: i64, records: f64) -> Option<Run> {
        let taken_since = |since: i64| -> f64 {
            let closed = self.recent.iter().filter(|(day, _)| *day >= since).map(|(_, records)| records);
            closed.chain(self.open.range(since..=today).map(|(_, records)| records)).sum()
        };
        let runs = (LEAST_RUN..=FORTNIGHT).map(|days| Run {
            height,
            taken: taken_since(today - days + 1),
            since: today - days + 1,
        });
        let times = |run: &Run| run.taken / (self.usual.max(1.0) * (today - run.since + 1) as f64);
        let enough = |run: &Run| run.taken >= records && times(run) >= TIMES;
        runs.filter(enough).max_by(|one, other| times(one).total_cmp(&times(other)))
    }

    /// Closes the days before yesterday, those without exports too. What each taught.
    fn close(&mut self, today: i64, peers: f64, settings: &Settings) -> Vec<f64> {
        let mut lessons = Vec::new();
        if self.closed == 0 {
            self.closed = self.open.keys().next().copied().unwrap_or(today) - 1;
        }
        // After a long absence nothing is learned from the empty days but a fortnight's.
        self.closed = self.closed.max(today - 14);
        while self.closed < today - 2 {
            let day = self.closed + 1;
            self.closed = day;
            let records = self.open.remove(&day).unwrap_or(0.0);
            if records == 0.0 && is_weekend(day) {
                continue;
            }
            self.sum = self.grown(self.sum, day, records, peers, settings.slack);
            if records > 0.0 {
                self.recent.push((day, records));
            }
            if self.sum < settings.alarm {
                // One wild day moves the mean no farther than three spreads.
                let most = self.mean + 3.0 * self.variance.sqrt().max(LEAST_SPREAD);
                let y = if self.days >= 5.0 { measure(records).min(most) } else { measure(records) };
                self.learn(y);
                lessons.push(y);
            } else if self.sum > 2.0 * settings.alarm {
                // It was told long ago, and goes on: then it is how things are.
                self.sum = 2.0 * settings.alarm;
                self.learn(measure(records));
            }
        }
        self.open.retain(|day, _| *day >= today - 1);
        self.recent.retain(|(day, _)| *day > today - FORTNIGHT);
        lessons
    }
}

/// See the file's head.
pub struct SlowExfiltration;

impl Watch for SlowExfiltration {
    const ID: &'static str = "slow-exfiltration";
    const SOURCE: &'static str = include_str!("slow_exfiltration.rs");
    const SEVERITY: Severity = Severity::Medium;
    const TECHNIQUES: &'static [&'static str] = &["T1030", "T1567"];
    const ACTIONS: &'static [&'static str] = &["export", "bulk-api", "api-call", "file-download"];
    type Settings = Settings;
    type State = Drip;

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        let program = event.person.as_ref().is_some_and(|person| person.is_program())
            || matches!(event.text(Field::UserAgentDevice), Some("crawler"));
        let (Some(key), Some(records)) = (account_key(event).filter(|_| !program), records_taken(event, context))
        else {
            return;
        };
        let role = event.person.as_ref().and_then(|person| person.role.as_deref()).unwrap_or("everybody");
        let group = format!("group/{role}");
        let peers = at.states.get(&group).map_or(0.0, |group| group.mean);
        let today = event.time.div_euclid(DAY);
        let drip = at.states.touch(&key, event.time);
        if today + 1 < drip.closed {
            return;
        }
        if drip.closed == 0 {
            drip.credit(context.view(event).days());
        }
        let lessons = drip.close(today, peers, at.settings);
        *drip.open.entry(today).or_insert(0.0) += records;
        drip.steps.add(Step::of(event, records, ""));
        let mut height = drip.sum;
        for (day, taken) in drip.open.range(..=today) {
            height = drip.grown(height, *day, *taken, peers, at.settings.slack);
        }
        let run = drip.run(height, today, at.settings.records).filter(|_| height >= at.settings.alarm);
        // The days of the past on which he was at work and took out nothing are his history, too.
        let known = context.view(event).days() >= LEAST_DAYS;
        if let Some(run) = run.filter(|_| known) {
            let severity = if run.taken >= 10.0 * at.settings.records { Severity::High } else { Severity::Medium };
            if drip.told.is_none_or(|(day, worst)| day != today || severity as u8 > worst) {
                drip.told = Some((today, severity as u8));
                let from = run.since * DAY;
                let steps = drip.steps.between(from, event.time).map(|step| step.reference);
                let evidence = steps.filter(|one| one.id != event.id).collect();
                out.push(tell(event, severity, &run, today, drip.usual).resting_on(evidence, from, event.time));
            }
        }
        if !lessons.is_empty() {
            let group = at.states.touch(&group, event.time);
            lessons.into_iter().for_each(|y| group.learn(y));
        }
    }

    fn settle(at: &mut Post<'_, Self>, verdict: &Verdict) {
        at.each_judged(verdict, |drip| {
            // The days that stood out were kept back; they are what the sum has grown by since.
            let judged = |day: i64| verdict.touches(day * DAY, (day + 1) * DAY - 1);
            let days: Vec<f64> =
                drip.recent.iter().filter(|(day, _)| judged(*day)).map(|(_, records)| measure(*records)).collect();
            if verdict.harmless && drip.sum > 0.0 {
                days.into_iter().for_each(|y| drip.learn(y));
            }
            drip.sum = 0.0;
            drip.recent.retain(|(day, _)| !judged(*day));
        });
    }
}

fn tell(event: &Event, severity: Severity, run: &Run, today: i64, usual: f64) -> Detection {
    let who = who(event);
    let (taken, days, usual) = (figure(run.taken), today - run.since + 1, figure(usual));
    Detection {
        summary: Sentence::new(
            format!("{who} has been taking out more than usual for {days} days: {taken} records together"),
            format!("{who} 已连续 {days} 天导出高于平常的数量：合计 {taken} 条记录"),
        ),
        observed: Sentence::new(format!("{taken} records in {days} days"), format!("{days} 天内 {taken} 条记录")),
        expected: Sentence::new(format!("about {usual} a day"), format!("每天约 {usual} 条")),
        quiet: 4 * DAY,
        parts: vec![("sum of distances", run.height), ("records", run.taken)],
        ..SlowExfiltration::detection(event, severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BERLIN, DAY as DAY_MINUTES, event, fortnight, kept_promises, play_all, worst};

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<SlowExfiltration>(&serde_json::json!({})).expect("defaults fit")
    }

    /// Five weeks with a list of some hundred records twice a week, then what is taken out on the following working days.
    fn story(daily: &[i64]) -> Vec<Event> {
        let mut events = fortnight("mia");
        let weeks = (0..5).flat_map(|week| [0, 3].map(|day| (week * 7 + day, 400 + week * 20)));
        events.extend(weeks.map(|(day, records)| event(day * DAY_MINUTES + 600, "mia", BERLIN, "export", records)));
        // The sixth of April and the days after: no month's end.
        let working = (35..).filter(|day| day % 7 < 5);
        events.extend(
            working.zip(daily).map(|(day, records)| event(day * DAY_MINUTES + 600, "mia", BERLIN, "export", *records)),
        );
        events
    }

    #[test]
    fn two_thousand_a_day_for_a_week_are_found_though_no_day_stands_out() {
        let found = kept_promises(&make, story(&[2_000; 7]));
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::Medium)));
        let day = (found[0].time - crate::scenario::START) / 86_400_000;
        assert!((38..=40).contains(&day), "on the fourth day or soon after: {day}");
        assert!(found[0].evidence.count() >= 3);
    }

    #[test]
    fn who_never_took_out_anything_and_now_does_a_little_every_day_is_found() {
        let mut events = fortnight("mia");
        let days = (20..).filter(|day| day % 7 < 5).take(8);
        events.extend(days.map(|day| event(day * DAY_MINUTES + 600, "mia", BERLIN, "export", 900)));
        let found = kept_promises(&make, events.clone());
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::Medium)));
        // Once in a while is no drip.
        let seldom = events
            .into_iter()
            .enumerate()
            .filter(|(nth, event)| event.text(Field::EventAction) != Some("export") || nth % 4 == 0);
        assert_eq!(play_all(&make, seldom.map(|(_, event)| event).collect()).len(), 0);
    }

    #[test]
    fn one_large_day_a_month_end_of_three_days_and_the_usual_lists_are_nothing() {
        for daily in
            [&[40_000, 0, 0, 0, 400][..], &[8_000, 9_000, 12_000, 0, 0, 0, 400], &[400, 450, 0, 420, 0, 0, 450]]
        {
            let events: Vec<Event> =
                story(daily).into_iter().filter(|event| event.integer(Field::Records) != Some(0)).collect();
            assert_eq!(play_all(&make, events).len(), 0, "{daily:?}");
        }
    }

    #[test]
    fn a_close_of_a_whole_week_is_nothing() {
        let mut events = story(&[]);
        let close = [25, 28, 29, 30, 31, 32].map(|day| event(day * DAY_MINUTES + 700, "mia", BERLIN, "export", 9_000));
        events.extend(close);
        assert_eq!(play_all(&make, events).len(), 0);
    }

    #[test]
    fn somebody_who_came_last_week_is_not_judged() {
        assert_eq!(play_all(&make, story(&[2_000; 7]).split_off(66)).len(), 0);
    }
}
