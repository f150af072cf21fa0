//! Records changed, deleted or shared by the hundred: how many within an hour, and how many this entity has done before. Not for what each
//! rule makes of it (mass-delete, mass-update, mass-share).

use serde::{Deserialize, Serialize};

use crate::event::{Event, Millis};
use crate::keyed::Resident;
use crate::window::{Ring, Trail};
use crate::{Field, finding::Reference};

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

/// What one entity did of one kind.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Deeds {
    ring: Ring,
    trail: Trail,
    hours: Vec<Hour>,
    told: Option<(Millis, f64, u8)>,
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
        match self.hours.iter_mut().find(|hour| hour.number == number) {
            Some(hour) => hour.amount += records,
            None => {
                self.hours.push(Hour { number, amount: records, told: false });
                if self.hours.len() > HOURS_KEPT {
                    // The largest is what is usual; of the rest the oldest goes.
                    let largest = self.hours.iter().map(|hour| hour.amount).fold(0.0, f64::max);
                    let oldest = (0..self.hours.len())
                        .filter(|index| self.hours[*index].amount < largest)
                        .min_by_key(|index| self.hours[*index].number);
                    self.hours.remove(oldest.unwrap_or(0));
                }
            }
        }
        let total = self.ring.sum(self.ring.end_for(event.time, HOUR), HOUR).amount;
        if total < floor {
            return None;
        }
        let ripe = |hour: &&Hour| hour.number + if hour.told { HELD_HOURS } else { DAY_HOURS } <= number;
        let usual = self.hours.iter().filter(ripe).map(|hour| hour.amount).fold(0.0, f64::max);
        (total >= TIMES * usual).then_some(Amount { records: total, usual })
    }

    /// Whether it is to be said (again), and remembers that it was.
    pub(crate) fn worth_telling(&mut self, event: &Event, amount: &Amount, severity: u8) -> bool {
        let number = event.time.div_euclid(HOUR);
        self.hours
            .iter_mut()
            .filter(|hour| (number - 1..=number).contains(&hour.number))
            .for_each(|hour| hour.told = true);
        let again = self.told.is_none_or(|(told, before, worst)| {
            told.abs_diff(event.time) >= 600_000 || amount.records >= 1.5 * before || severity > worst
        });
        if again {
            self.told = Some((event.time, amount.records, severity));
        }
        again
    }

    /// The events of the hour, but for the deciding one.
    pub(crate) fn evidence(&self, event: &Event) -> Vec<Reference> {
        let mut references = self.trail.references(event.time - HOUR, event.time);
        references.retain(|reference| reference.id != event.id);
        references
    }
}
