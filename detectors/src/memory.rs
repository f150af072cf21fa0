//! What is remembered, on its way to the disk: marked at one moment and then taken piece by piece as it was at that moment, while events go
//! on changing it. So saving costs each event a little and no event much. Not for where the pieces are written.

use crate::clock::Now;
use crate::detector::StateChange;

/// Something that is saved piece by piece.
pub trait Memory {
    /// The name it is saved under.
    fn owner(&self) -> &'static str;

    /// How many pieces it is kept in.
    fn len(&self) -> usize;

    /// Whether it is kept in none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets go of some of what can no longer matter now; asked once in five hundred events.
    fn fade(&mut self, _now: Now) {}

    /// What has changed since the last mark waits from now on, as it is now. What waited before must have been taken.
    fn mark(&mut self);

    /// Gives one piece that waits: its key and its bytes, or that the key was dropped. False where nothing waits any more.
    fn take(&mut self, give: &mut dyn FnMut(&str, Option<Vec<u8>>)) -> bool;
}

/// A memory with what stands before its keys, where an owner has several.
pub struct Shelf<'m> {
    prefix: &'static str,
    memory: &'m mut dyn Memory,
}

impl<'m> Shelf<'m> {
    /// The only one of its owner.
    pub fn of(memory: &'m mut dyn Memory) -> Shelf<'m> {
        Shelf { prefix: "", memory }
    }

    /// One of several.
    pub fn under(prefix: &'static str, memory: &'m mut dyn Memory) -> Shelf<'m> {
        Shelf { prefix, memory }
    }

    /// The name it is saved under.
    pub fn owner(&self) -> &'static str {
        self.memory.owner()
    }

    /// How many pieces it is kept in.
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Whether it is kept in none.
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty()
    }

    /// See [`Memory::fade`].
    pub fn fade(&mut self, now: Now) {
        self.memory.fade(now);
    }

    fn take(&mut self, out: &mut Vec<StateChange>) -> bool {
        let (owner, prefix) = (self.memory.owner(), self.prefix);
        self.memory.take(&mut |key, value| {
            let key = if prefix.is_empty() { key.to_owned() } else { [prefix, key].concat() };
            out.push(StateChange { owner, key, value });
        })
    }
}

/// Everything changed since the last time, at once, in an order that depends on nothing but the state.
pub fn all(mut shelves: Vec<Shelf<'_>>) -> Vec<StateChange> {
    let mut changes = Vec::new();
    for shelf in &mut shelves {
        let start = changes.len();
        shelf.memory.mark();
        while shelf.take(&mut changes) {}
        // A key that went and came again stands after its going.
        changes[start..].sort_by(|left: &StateChange, right| left.key.cmp(&right.key));
    }
    changes
}

/// How far the pieces of one moment have been taken.
#[derive(Debug, Default)]
pub struct Taking {
    shelf: usize,
    over: bool,
}

impl Taking {
    /// Marks this moment. What waited since an earlier one is lost: take it first.
    pub fn begin(shelves: Vec<Shelf<'_>>) -> Taking {
        shelves.into_iter().for_each(|shelf| shelf.memory.mark());
        Taking::default()
    }

    /// Whether all were taken.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The next pieces, at most `room`.
    pub fn next(&mut self, shelves: Vec<Shelf<'_>>, room: usize) -> Vec<StateChange> {
        let mut pieces = Vec::new();
        for mut shelf in shelves.into_iter().skip(self.shelf) {
            while pieces.len() < room && shelf.take(&mut pieces) {}
            if pieces.len() >= room {
                return pieces;
            }
            self.shelf += 1;
        }
        self.over = true;
        pieces
    }
}
