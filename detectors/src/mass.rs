//! Records changed, deleted or shared by the hundred: how many within an hour, and how many this entity has done before. Not for what each
//! rule makes of it (mass-delete, mass-update, mass-share).

use serde::{Deserialize, Serialize};

use crate::event::{Event, Millis};
use crate::keyed::Resident;
use crate::verdict::Verdict;
use crate::window::{Ring, Trail};
use crate::{Field, mark::Mark};

pub(crate) const HOUR: Millis = 3_600_000;
const DAY_HOURS: i64 = 24;
/// An hour that was reported is usual only after two weeks.
const HELD_HOURS: i64 = 14 * DAY_HOURS;
const HOURS_KEPT: usize = 48;
/// So many times the largest hour before is unusual.
const TIMES: f64 = 3.0;
const EVIDENCE: usize = 100;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Hour {
    number: i64,
    amount: f64,
    told: bool,
}

/// The largest hours, by which what is usual is known.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Hours(Vec<Hour>);

impl Hours {
    /// Changes the amount of an hour.
    pub(crate) fn change(&mut self, number: i64, change: impl FnOnce(f64) -> f64) {
        match self.0.iter_mut().find(|hour| hour.number == number) {
            Some(hour) => hour.amount = change(hour.amount),
            None => {
                self.0.push(Hour { number, amount: change(0.0), told: false });
                if self.0.len() > HOURS_KEPT {
                    // The largest is what is usual; of the rest the oldest goes.
                    let largest = self.0.iter().map(|hour| hour.amount).fold(0.0, f64::max);
                    let oldest = (0..self.0.len())
                        .filter(|index| self.0[*index].amount < largest)
                        .min_by_key(|index| self.0[*index].number);
                    self.0.remove(oldest.unwrap_or(0));
                }
            }
        }
    }

    /// The largest of those a day back. One that was reported counts two weeks later, or once two days were reported: whoever has
    /// not acted on it by then is not helped by a third.
    pub(crate) fn usual(&self, number: i64) -> f64 {
        let mut days: Vec<i64> = self
            .0
            .iter()
            .filter(|hour| hour.told && hour.number + DAY_HOURS <= number)
            .map(|hour| hour.number.div_euclid(DAY_HOURS))
            .collect();
        days.sort_unstable();
        days.dedup();
        let held = if days.len() >= 2 { DAY_HOURS } else { HELD_HOURS };
        let ripe = |hour: &&Hour| hour.number + if hour.told { held } else { DAY_HOURS } <= number;
        self.0.iter().filter(ripe).map(|hour| hour.amount).fold(0.0, f64::max)
    }

    /// An hour and the one before it were reported.
    pub(crate) fn reported(&mut self, number: i64) {
        self.0.iter_mut().filter(|hour| (number - 1..=number).contains(&hour.number)).for_each(|hour| hour.told = true);
    }

    /// Reported hours are usual after all, or were an attacker's.
    pub(crate) fn settle(&mut self, verdict: &Verdict) {
        let judged = |hour: &Hour| hour.told && verdict.touches(hour.number * HOUR, (hour.number + 1) * HOUR - 1);
        if verdict.harmless {
            self.0.iter_mut().filter(|hour| judged(hour)).for_each(|hour| hour.told = false);
        } else {
            self.0.retain(|hour| !judged(hour));
        }
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// When something was last said, about how much and how bad.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Told(Option<(Millis, f64, u8)>);

impl Told {
    /// Whether it is to be said again: when it grew by half, got worse, or ten minutes have passed. Remembers that it was.
    pub(crate) fn again(&mut self, time: Millis, amount: f64, severity: u8) -> bool {
        let again = self.0.is_none_or(|(told, before, worst)| {
            told.abs_diff(time) >= 600_000 || amount >= 1.5 * before || severity > worst
        });
        if again {
            self.0 = Some((time, amount, severity));
        }
        again
    }
}

/// What one entity did of one kind.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Deeds {
    ring: Ring,
    trail: Trail,
    hours: Hours,
    told: Told,
}

impl Resident for Deeds {
    fn rank(&self) -> u8 {
        1 + u8::from(self.hours.len() > 2)
    }
}

/// What an hour holds, against the largest before.
pub(crate) struct Amount {
    pub(crate) records: f64,
    pub(crate) usual: f64,
}

/// How many records an event concerns; so many as are given where a command for many does not say.
pub(crate) fn records(event: &Event, unknown: f64) -> f64 {
    let many = matches!(event.text(Field::EventAction), Some("bulk-delete" | "bulk-api"));
    match event.integer(Field::Records).filter(|records| *records > 0) {
        Some(records) => (records as f64).min(1e9),
        None if many => unknown,
        None => 1.0,
    }
}

impl Deeds {
    /// Adds an event; the hour's amount where it is above `floor` and unusual for this entity.
    pub(crate) fn add(&mut self, event: &Event, records: f64, floor: f64) -> Option<Amount> {
        self.ring.add(event.time, records, 1);
        self.trail.add(event, HOUR, EVIDENCE);
        let number = event.time.div_euclid(HOUR);
        self.hours.change(number, |amount| amount + records);
        let total = self.ring.sum(self.ring.end_for(event.time, HOUR), HOUR).amount;
        if total < floor {
            return None;
        }
        let usual = self.hours.usual(number);
        (total >= TIMES * usual).then_some(Amount { records: total, usual })
    }

    /// Whether it is to be said (again), and remembers that it was.
    pub(crate) fn worth_telling(&mut self, event: &Event, amount: &Amount, severity: u8) -> bool {
        self.hours.reported(event.time.div_euclid(HOUR));
        self.told.again(event.time, amount.records, severity)
    }

    /// See [`Hours::settle`].
    pub(crate) fn settle(&mut self, verdict: &Verdict) {
        self.hours.settle(verdict);
    }

    /// The events of the hour, but for the deciding one.
    pub(crate) fn evidence(&self, event: &Event) -> Vec<Mark> {
        let mut references = self.trail.references(event.time - HOUR, event.time);
        references.retain(|reference| reference.id != event.id);
        references
    }
}
