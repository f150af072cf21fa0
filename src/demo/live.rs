//! The company after its history: ordinary work goes on, and every half minute an attack begins. The caller has the clock.
//! Not for showing what is found.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::io;

use crmwatch_detectors::Millis;
use serde_json::Value;

use super::attacks;
use super::clock::{HOUR, SECOND};
use super::folder::Folder;
use super::logs::Line;
use super::rng::Rng;
use super::scene::Moment;
use super::stream::Stream;

/// The company as it goes on.
#[derive(Debug)]
pub struct Live {
    stream: Stream,
    folder: Folder,
    /// Lines whose keeper has not delivered them yet.
    held: BinaryHeap<Reverse<Held>>,
    count: u64,
    rng: Rng,
    next_attack: Millis,
    /// Attacks made so far: each kind has its turn.
    turn: usize,
    /// The only families that attack; all where nothing is said.
    families: Option<BTreeSet<String>>,
    used: BTreeSet<u32>,
}

#[derive(Debug, PartialEq, Eq)]
struct Held {
    number: u64,
    line: Line,
}

impl Ord for Held {
    fn cmp(&self, other: &Held) -> std::cmp::Ordering {
        (self.line.due, self.number).cmp(&(other.line.due, other.number))
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Held) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Live {
    pub(super) fn new(stream: Stream, held: Vec<Line>, folder: Folder) -> Live {
        let plan = stream.company().plan;
        let mut live = Live {
            held: BinaryHeap::new(),
            count: 0,
            rng: Rng::of(plan.seed, &[30]),
            next_attack: plan.end + 8 * SECOND,
            turn: 0,
            families: None,
            used: BTreeSet::new(),
            stream,
            folder,
        };
        held.into_iter().for_each(|line| live.hold(line));
        live
    }

    /// Everything delivered up to now, in order, and the labels of the attacks that begin by then. Time never goes back.
    pub fn until(&mut self, now: Millis) -> (Vec<Line>, Vec<Value>) {
        let mut labels = Vec::new();
        while self.next_attack <= now {
            let at = self.next_attack;
            self.work_until(at);
            labels.extend(self.attack(at));
            self.next_attack = at + self.rng.between(20, 40) * SECOND;
        }
        self.work_until(now);
        let mut lines = Vec::new();
        while self.held.peek().is_some_and(|Reverse(held)| held.line.due <= now) {
            lines.extend(self.held.pop().map(|Reverse(held)| held.line));
        }
        (lines, labels)
    }

    /// Appends everything up to now to the files, and gives the labels of the attacks that began.
    pub fn append_until(&mut self, now: Millis) -> io::Result<Vec<Value>> {
        let (lines, labels) = self.until(now);
        for line in &lines {
            self.folder.line(line)?;
        }
        self.folder.close()?;
        for label in &labels {
            self.folder.label(label)?;
        }
        Ok(labels)
    }

    /// The next attack begins then, and no other before it.
    pub fn next_attack_at(&mut self, time: Millis) {
        self.next_attack = time;
    }

    /// Only attacks of these families begin from here on.
    pub fn only(&mut self, families: BTreeSet<String>) {
        self.families = Some(families);
    }

    fn work_until(&mut self, now: Millis) {
        while let Some(line) = self.stream.next_until(now) {
            self.hold(line);
        }
    }

    /// Keeps a line until it is delivered. Nobody waits minutes before a demonstration, so the mild delays shrink to seconds;
    /// the hourly files stay as late as they are.
    fn hold(&mut self, mut line: Line) {
        if line.due - line.time < HOUR {
            line.due = line.due.min(line.time + 5 * SECOND);
        }
        self.count += 1;
        self.held.push(Reverse(Held { number: self.count, line }));
    }

    fn attack(&mut self, at: Millis) -> Option<Value> {
        let variants = attacks::live();
        for _ in 0..variants.len() {
            let variant = variants[self.turn % variants.len()];
            self.turn += 1;
            let made = attacks::make(self.stream.company(), variant, Moment::Now(at), self.rng.next(), &mut self.used);
            let Some(incident) = made else { continue };
            let wanted = self.families.as_ref().is_none_or(|families| families.contains(incident.family));
            if incident.span().0 < at || !wanted {
                continue;
            }
            self.stream.acts(incident.acts.iter().copied().collect());
            let company = self.stream.company_mut();
            let label = incident.label(company.incidents.len(), &company.people);
            company.incidents.push(incident);
            return Some(label);
        }
        // Everybody at work has been attacked: begin again.
        self.used.clear();
        None
    }
}
