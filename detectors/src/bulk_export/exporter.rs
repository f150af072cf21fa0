//! What is remembered of one exporting entity and of a group of them. Not for deciding (`judge`).

use serde::{Deserialize, Serialize};

use crate::baseline::{Counts, Firsts, Histogram, LogNormal, Spread, remaining};
use crate::event::Millis;
use crate::keyed::Resident;
use crate::window::{Ring, Trail, bucket_of};

pub(super) const HOUR: Millis = 3_600_000;
/// Hours in which half of what was learned is forgotten.
const HALF_LIFE: f64 = 30.0 * 24.0;
/// The same for the largest window ever: month ends and quarter ends come again.
const TOP_HALF_LIFE: f64 = 365.0 * 24.0;
/// Hours for which a window that raised an alert teaches nothing, without a verdict.
const HELD: u32 = 14 * 24;
const CELLS: usize = 400;

/// Number of the hour of a time.
pub(super) fn hour_of(time: Millis) -> u32 {
    u32::try_from((time / HOUR).max(0)).unwrap_or(u32::MAX / 2)
}

/// An hour or a day that is not learned yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Cell {
    /// First hour.
    pub start: u32,
    pub day: bool,
    /// The hour from which it may be looked at.
    pub due: u32,
    pub amount: f64,
    pub actions: u32,
    pub alerted: bool,
    /// It raised an alert, and waits.
    held: bool,
}

impl Cell {
    pub(super) fn end(&self) -> u32 {
        self.start.saturating_add(if self.day { 24 } else { 1 })
    }
}

/// The same hour of several days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Slot {
    hour: u8,
    top: f32,
    days: u16,
    last_day: u32,
}

/// The largest window, slowly forgotten.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Top {
    amount: f64,
    hour: u32,
}

impl Top {
    fn at(&self, hour: u32) -> f64 {
        self.amount * remaining(f64::from(hour.saturating_sub(self.hour)), TOP_HALF_LIFE)
    }

    fn learn(&mut self, amount: f64, hour: u32) {
        if amount >= self.at(hour) {
            *self = Top { amount, hour };
        }
    }
}

/// What was said last, so that an episode is told when it grows and not at each event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    pub time: Millis,
    pub amount: f64,
    pub severity: u8,
    /// Records taken out since.
    pub since: f64,
}

/// Pages turned within an hour from which on nobody reads them.
const PAGES_READ: u32 = 60;

/// How many pages were turned lately, in steps of five minutes. A list that refreshes itself is one page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Pages {
    last: u32,
    turned: Vec<(u32, u32)>,
}

impl Pages {
    /// Notes a page; whether more were turned in the hour than anybody reads.
    pub(super) fn turn(&mut self, page: u32, time: Millis) -> bool {
        let bucket = bucket_of(time);
        if page != self.last {
            self.last = page;
            self.turned.retain(|(known, _)| known.abs_diff(bucket) < 12);
            match self.turned.iter_mut().find(|(known, _)| *known == bucket) {
                Some((_, count)) => *count += 1,
                None => self.turned.push((bucket, 1)),
            }
        }
        self.turned.iter().map(|(_, count)| count).sum::<u32>() > PAGES_READ
    }
}

/// A day on which something was reported, and the largest windows then.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Reported {
    day: u32,
    hour_most: f64,
    day_most: f64,
}

/// Days for which reports are remembered, and how many of them.
const REPORTS_DAYS: u32 = 30;
const REPORTS: usize = 8;
/// Reported on so many days, it is known: whoever has not acted on it by then is not helped by another.
const KNOWN_AFTER: usize = 2;
/// But what is so many times larger is new.
const LARGER: f64 = 1.5;

/// An entity that exports.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Exporter {
    pub ring: Ring,
    pub trail: Trail,
    pub hours: LogNormal,
    pub days: LogNormal,
    /// The same, of those with an export in them: who looks at lists each day and exports once a month has two habits.
    pub export_hours: LogNormal,
    pub export_days: LogNormal,
    pub actions: Counts,
    pub cells: Vec<Cell>,
    top_hour: Top,
    top_day: Top,
    top_export_day: Top,
    slots: Vec<Slot>,
    /// Channels, objects, reports and apps.
    pub known: Firsts<u32>,
    /// Has acted as a person does.
    pub human: bool,
    /// Has acted as programs do.
    pub program: bool,
    pub told: Told,
    /// Records changed by commands for many, of those that were read in the hour before.
    pub written: Ring,
    pub pages: Pages,
    reported: Vec<Reported>,
    /// The groups it belongs to, as of its last event.
    pub groups: Vec<Box<str>>,
}

impl Resident for Exporter {
    fn rank(&self) -> u8 {
        // Who has a history of several days is worth more than a name seen once.
        1 + u8::from(self.days.weight() >= 2.0)
    }
}

/// What one closed window teaches the groups.
pub(super) struct Lesson {
    pub day: bool,
    pub amount: f64,
    pub actions: u32,
    pub end: u32,
}

impl Exporter {
    /// Adds to the open hour and day; for those that are new, the hour from which they may be learned.
    pub(super) fn open(&mut self, time: Millis, amount: f64, export: bool) -> [Option<u32>; 2] {
        let hour = hour_of(time);
        [(hour, false), (hour - hour % 24, true)].map(|(start, day)| {
            let known = self.cells.iter_mut().find(|cell| cell.start == start && cell.day == day && !cell.held);
            if let Some(cell) = known {
                cell.amount += amount;
                cell.actions += u32::from(export);
                return None;
            }
            if self.cells.len() >= CELLS {
                self.cells.remove(0);
            }
            let mut cell = Cell { start, day, due: 0, amount, actions: u32::from(export), alerted: false, held: false };
            cell.due = cell.end();
            let due = cell.due;
            self.cells.push(cell);
            Some(due)
        })
    }

    /// Marks what an alert rests on, so that it teaches nothing for now.
    pub(super) fn mark(&mut self, from: Millis, to: Millis) {
        let (from, to) = (hour_of(from), hour_of(to));
        self.cells.iter_mut().filter(|cell| cell.end() > from && cell.start <= to).for_each(|cell| cell.alerted = true);
    }

    /// Learns every window due by `hour`, those that raised an alert two weeks later and clipped. Returns what is to be told to the groups,
    /// and the hours at which something is due again.
    pub(super) fn close(&mut self, hour: u32, prior: &Spread) -> (Vec<Lesson>, Vec<u32>) {
        let (mut lessons, mut dues) = (Vec::new(), Vec::new());
        let mut due: Vec<Cell> = Vec::new();
        self.cells.retain(|cell| {
            let open = cell.due > hour;
            if !open {
                due.push(cell.clone());
            }
            open
        });
        due.sort_by_key(|cell| (cell.due, cell.start, cell.day));
        for mut cell in due {
            if !cell.day && !cell.held {
                self.routine(&cell);
            }
            if cell.alerted && !cell.held {
                cell.held = true;
                cell.due = cell.end().saturating_add(HELD);
                dues.push(cell.due);
                self.cells.push(cell);
                continue;
            }
            let (model, top) =
                if cell.day { (&mut self.days, &mut self.top_day) } else { (&mut self.hours, &mut self.top_hour) };
            let normal = model.given(prior);
            let most = (normal.mean + 3.0 * normal.deviation).min(30.0).exp_m1();
            let amount = if cell.held { cell.amount.min(most) } else { cell.amount };
            model.learn(amount, cell.end(), HALF_LIFE);
            top.learn(cell.amount, cell.end());
            if cell.actions > 0 {
                let model = if cell.day { &mut self.export_days } else { &mut self.export_hours };
                model.learn(amount, cell.end(), HALF_LIFE);
                if cell.day {
                    self.top_export_day.learn(cell.amount, cell.end());
                }
            }
            if cell.day {
                self.actions.learn(f64::from(cell.actions), cell.end(), HALF_LIFE);
            }
            if !cell.held {
                lessons.push(Lesson { day: cell.day, amount, actions: cell.actions, end: cell.end() });
            }
        }
        (lessons, dues)
    }

    /// Windows that raised an alert are to be learned as they are, or not at all. The hours at which something is due again.
    pub(super) fn settle(&mut self, from: Millis, to: Millis, harmless: bool) -> Vec<u32> {
        let (from, to) = (hour_of(from), hour_of(to));
        let judged = |cell: &Cell| cell.alerted && cell.end() > from && cell.start <= to;
        let mut dues = Vec::new();
        if harmless {
            for cell in self.cells.iter_mut().filter(|cell| judged(cell)) {
                (cell.alerted, cell.held, cell.due) = (false, false, cell.end());
                dues.push(cell.due);
            }
        } else {
            self.cells.retain(|cell| !judged(cell));
            self.reported.retain(|one| !(from / 24..=to / 24).contains(&one.day));
        }
        dues
    }

    fn routine(&mut self, cell: &Cell) {
        let (hour, day) = ((cell.start % 24) as u8, cell.start / 24);
        match self.slots.iter_mut().find(|slot| slot.hour == hour) {
            Some(slot) => {
                slot.days = slot.days.saturating_add(u16::from(day != slot.last_day));
                slot.last_day = slot.last_day.max(day);
                slot.top = (slot.top * 0.97).max(cell.amount as f32);
            }
            None => self.slots.push(Slot { hour, top: cell.amount as f32, days: 1, last_day: day }),
        }
    }

    /// What two earlier days at the least have had in this hour of the day and the ones beside it.
    pub(super) fn routine_at(&self, time: Millis) -> f64 {
        let hour = hour_of(time) % 24;
        let beside = [(hour + 23) % 24, hour, (hour + 1) % 24];
        self.slots
            .iter()
            .filter(|slot| slot.days >= 2 && beside.contains(&u32::from(slot.hour)))
            .map(|slot| f64::from(slot.top))
            .sum()
    }

    /// The same, over all hours of a day.
    pub(super) fn routine_day(&self) -> f64 {
        self.slots.iter().filter(|slot| slot.days >= 2).map(|slot| f64::from(slot.top)).sum()
    }

    /// Whether it has ever been busy in this hour of the day.
    pub(super) fn hour_is_new(&self, time: Millis) -> bool {
        let hour = (hour_of(time) % 24) as u8;
        !self.slots.iter().any(|slot| slot.hour.abs_diff(hour) <= 1 || slot.hour.abs_diff(hour) == 23)
    }

    /// Notes that something was reported.
    pub(super) fn report(&mut self, time: Millis, hour_most: f64, day_most: f64) {
        let day = hour_of(time) / 24;
        match self.reported.iter_mut().find(|known| known.day == day) {
            Some(known) => {
                (known.hour_most, known.day_most) = (known.hour_most.max(hour_most), known.day_most.max(day_most));
            }
            None => {
                if self.reported.len() == REPORTS {
                    self.reported.remove(0);
                }
                self.reported.push(Reported { day, hour_most, day_most });
            }
        }
    }

    /// Whether anything was.
    pub(super) fn was_reported(&self) -> bool {
        !self.reported.is_empty()
    }

    /// Whether the like was reported on two earlier days.
    pub(super) fn is_known(&self, time: Millis, hour: f64, day: f64) -> bool {
        let today = hour_of(time) / 24;
        let mut past = self.reported.iter().filter(|one| one.day < today && one.day + REPORTS_DAYS > today);
        past.clone().count() >= KNOWN_AFTER
            && past.clone().any(|one| hour <= LARGER * one.hour_most)
            && past.any(|one| day <= LARGER * one.day_most)
    }

    /// The largest hour and day it is known by.
    pub(super) fn tops(&self, time: Millis) -> (f64, f64) {
        (self.top_hour.at(hour_of(time)), self.top_day.at(hour_of(time)))
    }

    /// The largest day with an export in it.
    pub(super) fn top_export_day(&self, time: Millis) -> f64 {
        self.top_export_day.at(hour_of(time))
    }
}

/// A group of exporters: an organisation, a role, a department, the programs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    pub hours: LogNormal,
    pub days: LogNormal,
    pub export_hours: LogNormal,
    pub export_days: LogNormal,
    pub actions: Counts,
    pub spread: Histogram,
}

impl Resident for Group {}

impl Group {
    pub(super) fn learn(&mut self, lesson: &Lesson) {
        if lesson.day {
            self.days.learn(lesson.amount, lesson.end, HALF_LIFE);
            self.actions.learn(f64::from(lesson.actions), lesson.end, HALF_LIFE);
            self.spread.learn(lesson.amount);
        } else {
            self.hours.learn(lesson.amount, lesson.end, HALF_LIFE);
        }
        if lesson.actions > 0 {
            let model = if lesson.day { &mut self.export_days } else { &mut self.export_hours };
            model.learn(lesson.amount, lesson.end, HALF_LIFE);
        }
    }
}
