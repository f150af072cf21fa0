//! Which keys of a map nobody has touched for so long that what is remembered of them can no longer matter. In generations, a quarter of that time
//! each: a key lies in the generation it was put down in, and is looked at once that is over. Time is the clock's, so a key lasts from its
//! touch on, however old the event was that touched it, and no stamp takes it away. Not for what is left of a key (`keyed`).

use std::collections::VecDeque;

use crate::clock::Now;
use crate::event::Millis;

/// Generations in the time a key lasts.
const PARTS: Millis = 4;
/// Of a key that lies in no generation.
pub(crate) const NONE: u16 = 0;

struct Generation {
    number: u16,
    lying: Vec<u32>,
    /// A time that no touch in it came after: what the clock told of the events that followed once it was over.
    end: Option<Millis>,
}

pub(crate) struct Fading {
    lasting: Millis,
    /// The oldest first.
    generations: VecDeque<Generation>,
    /// When the newest began.
    begun: Option<Millis>,
    /// What lies in generations whose time is over, to be looked at.
    due: Vec<(u16, u32)>,
}

impl Fading {
    /// For keys that matter for so long after they were touched.
    pub(crate) fn new(lasting: Millis) -> Fading {
        let first = Generation { number: NONE + 1, lying: Vec::new(), end: None };
        Fading { lasting, generations: VecDeque::from([first]), begun: None, due: Vec::new() }
    }

    /// The present generation.
    pub(crate) fn newest(&self) -> u16 {
        self.generations.back().map_or(NONE, |newest| newest.number)
    }

    /// Puts a key down in a generation, where its time is not over yet, else in the oldest; which it is.
    pub(crate) fn put(&mut self, generation: u16, at: u32) -> u16 {
        let place = self.generations.iter().position(|one| one.number == generation).unwrap_or(0);
        self.generations[place].lying.push(at);
        self.generations[place].number
    }

    /// Goes on to the time it is.
    pub(crate) fn turn(&mut self, now: Now) {
        let last = self.generations.len() - 1;
        self.generations.range_mut(..last).filter(|one| one.end.is_none()).for_each(|one| one.end = Some(now.time));
        let lasting = self.lasting.saturating_add(now.lateness);
        if self.begun.is_none_or(|begun| now.time >= begun.saturating_add(lasting / PARTS)) {
            self.begun = Some(now.time);
            let number = self.newest().wrapping_add(1).max(NONE + 1);
            self.generations.push_back(Generation { number, lying: Vec::new(), end: None });
        }
        let over = |one: &Generation| one.end.is_some_and(|end| end.saturating_add(lasting) <= now.time);
        while self.generations.front().is_some_and(over)
            && let Some(Generation { number, lying, .. }) = self.generations.pop_front()
        {
            self.due.extend(lying.into_iter().map(|at| (number, at)));
        }
    }

    /// A key that is to be looked at, and the generation it was put down in.
    pub(crate) fn due(&mut self) -> Option<(u16, u32)> {
        self.due.pop()
    }
}
