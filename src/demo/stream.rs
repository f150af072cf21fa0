//! Everybody's deeds merged into one stream by time, written down line by line. Holds one session of those at work, never the whole.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crmwatch_detectors::Millis;

use super::Company;
use super::act::Act;
use super::ambient::Ambient;
use super::clock::{self, DAY};
use super::day::Session;
use super::logs::{Line, Writers};

/// What can happen next.
#[derive(Debug)]
enum Turn {
    /// A person's day is laid out.
    Day(u32, i64),
    /// A session begins.
    Session(Session),
    /// Deeds already laid out.
    Acts(VecDeque<Act>),
    /// Something that never ends.
    Ambient(Ambient),
}

/// The lines of a company, by time.
#[derive(Debug)]
pub struct Stream {
    company: Company,
    writers: Writers,
    heap: BinaryHeap<Reverse<(Millis, u64, usize)>>,
    turns: Vec<Option<Turn>>,
    free: Vec<usize>,
    count: u64,
    ready: VecDeque<Line>,
}

impl Stream {
    /// From the company's first moment on, without end.
    pub fn new(mut company: Company) -> Stream {
        let laid: Vec<VecDeque<Act>> =
            company.incidents.iter_mut().map(|incident| incident.acts.iter().copied().collect()).collect();
        let ambient = Ambient::all(&company);
        let mut stream = Stream {
            writers: Writers::new(),
            heap: BinaryHeap::new(),
            turns: Vec::new(),
            free: Vec::new(),
            count: 0,
            ready: VecDeque::new(),
            company,
        };
        let first_day = clock::day_of(stream.company.begin()) - 1;
        for index in 0..stream.company.people.len() {
            stream.day(index as u32, first_day);
        }
        for (time, one) in ambient {
            stream.push(time, Turn::Ambient(one));
        }
        for acts in laid {
            stream.acts(acts);
        }
        stream
    }

    /// The company.
    pub fn company(&self) -> &Company {
        &self.company
    }

    /// For adding what was not planned from the start.
    pub(super) fn company_mut(&mut self) -> &mut Company {
        &mut self.company
    }

    /// The next line whose event is not after `limit`.
    pub fn next_until(&mut self, limit: Millis) -> Option<Line> {
        loop {
            if self.ready.front().is_some_and(|line| line.time <= limit) {
                return self.ready.pop_front();
            }
            let &Reverse((time, _, slot)) = self.heap.peek()?;
            if time > limit {
                return None;
            }
            self.heap.pop();
            let turn = self.turns[slot].take().expect("a slot in the heap holds a turn");
            self.free.push(slot);
            self.play(time, turn);
        }
    }

    /// Deeds of an incident that comes unplanned; they must lie ahead.
    pub(super) fn acts(&mut self, acts: VecDeque<Act>) {
        if let Some(first) = acts.front() {
            self.push(first.time, Turn::Acts(acts));
        }
    }

    fn play(&mut self, time: Millis, turn: Turn) {
        match turn {
            Turn::Day(person, day) => {
                for session in self.company.sessions(&self.company.people[person as usize], day) {
                    self.push(session.start, Turn::Session(session));
                }
                self.day(person, day + 1);
            }
            Turn::Session(session) => {
                let acts = self.company.expand(&session).into();
                self.acts(acts);
            }
            Turn::Acts(mut acts) => {
                let act = acts.pop_front().expect("only non-empty ones are pushed");
                let silent =
                    |one: &super::Silence| one.log.system == act.system && (one.from..one.to).contains(&act.time);
                if act.time >= self.company.begin() && !self.company.silences.iter().any(silent) {
                    let ready = &mut self.ready;
                    self.writers.write(&self.company, &act, &mut |line| ready.push_back(line));
                }
                self.acts(acts);
            }
            Turn::Ambient(one) => {
                let (acts, next) = one.turn(&self.company, time);
                self.acts(acts.into());
                self.push(next, Turn::Ambient(one));
            }
        }
    }

    /// Nobody's day begins earlier than some hours before its midnight: one zone's morning is another's evening.
    fn day(&mut self, person: u32, day: i64) {
        self.push(day * DAY - DAY * 3 / 4, Turn::Day(person, day));
    }

    fn push(&mut self, time: Millis, turn: Turn) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.turns.push(None);
            self.turns.len() - 1
        });
        self.turns[slot] = Some(turn);
        self.count += 1;
        self.heap.push(Reverse((time, self.count, slot)));
    }
}
