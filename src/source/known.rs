//! Positions of files that are not open, found by generation, inode or head. Not for judging whether a file is the one meant (`identity`).

use std::collections::{BTreeMap, BTreeSet};

use crmwatch_detectors::Millis;
use sha2::{Digest as _, Sha256};

use super::position::{Digest, Mark, PREFIX, Position, TAIL};

/// Positions at rest. Each look-up costs as much as what it finds, however many there are.
#[derive(Default)]
pub struct Known {
    positions: BTreeMap<u64, Position>,
    inodes: BTreeSet<(u64, u64)>,
    heads: BTreeSet<(Digest, u64)>,
    /// How many positions remember a head of each length.
    lengths: BTreeMap<usize, usize>,
    /// First marks that lie within the head, for files shorter than that; and how many there are at each offset.
    starts: BTreeSet<(Mark, u64)>,
    offsets: BTreeMap<u64, usize>,
    finished: BTreeSet<(Millis, u64)>,
}

impl Known {
    /// All of these.
    pub fn new(positions: BTreeMap<u64, Position>) -> Known {
        let mut known = Known::default();
        for position in positions.into_values() {
            known.insert(position);
        }
        known
    }

    /// One position.
    pub fn get(&self, generation: u64) -> Option<&Position> {
        self.positions.get(&generation)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Position> {
        self.positions.values()
    }

    /// Puts one in, in the place of an older one of the same generation.
    pub fn insert(&mut self, position: Position) {
        let generation = position.generation;
        self.remove(generation);
        self.inodes.insert((position.inode, generation));
        if position.prefix_length > 0 {
            self.heads.insert((position.prefix, generation));
            *self.lengths.entry(position.prefix_length).or_default() += 1;
        }
        if let Some(start) = start(&position) {
            self.starts.insert((start, generation));
            *self.offsets.entry(start.offset).or_default() += 1;
        }
        if let Some(at) = position.finished_at {
            self.finished.insert((at, generation));
        }
        self.positions.insert(generation, position);
    }

    /// Takes one out.
    pub fn remove(&mut self, generation: u64) -> Option<Position> {
        let position = self.positions.remove(&generation)?;
        self.inodes.remove(&(position.inode, generation));
        if position.prefix_length > 0 {
            self.heads.remove(&(position.prefix, generation));
            take_one(&mut self.lengths, position.prefix_length);
        }
        if let Some(start) = start(&position) {
            self.starts.remove(&(start, generation));
            take_one(&mut self.offsets, start.offset);
        }
        if let Some(at) = position.finished_at {
            self.finished.remove(&(at, generation));
        }
        Some(position)
    }

    /// The file goes by another name.
    pub fn rename(&mut self, generation: u64, path: String) {
        if let Some(position) = self.positions.get_mut(&generation) {
            position.path = path;
        }
    }

    /// Those of an inode, the newest first.
    pub fn with_inode(&self, inode: u64) -> impl Iterator<Item = &Position> {
        self.inodes.range((inode, 0)..=(inode, u64::MAX)).rev().filter_map(|(_, generation)| self.get(*generation))
    }

    /// Those whose head, or the first part of it that was read at once, is that of a file beginning with these bytes; the newest first.
    pub fn with_head(&self, head: &[u8]) -> Vec<u64> {
        let mut hash = Sha256::new();
        let mut hashed = 0;
        let mut generations = Vec::new();
        for length in self.lengths.range(..=head.len()).map(|(length, _)| *length) {
            hash.update(&head[hashed..length]);
            hashed = length;
            let digest = Digest(hash.clone().finalize().into());
            let same = self.heads.range((digest, 0)..=(digest, u64::MAX));
            generations.extend(same.map(|(_, generation)| *generation));
        }
        // A file that ends within the head of another may be the beginning of it.
        let within = u64::try_from(head.len()).unwrap_or(u64::MAX);
        for offset in self.offsets.range(..=within).map(|(offset, _)| *offset) {
            let end = usize::try_from(offset).unwrap_or(usize::MAX);
            let mark = Mark { offset, tail: Mark::of(&head[end.saturating_sub(TAIL)..end]) };
            let same = self.starts.range((mark, 0)..=(mark, u64::MAX));
            generations.extend(same.map(|(_, generation)| *generation));
        }
        generations.sort_unstable_by(|left, right| right.cmp(left));
        generations.dedup();
        generations
    }

    /// Forgets all finished ones but the last `kept`, and says which.
    pub fn forget_finished(&mut self, kept: usize) -> Vec<u64> {
        let mut forgotten = Vec::new();
        while self.finished.len() > kept
            && let Some((_, generation)) = self.finished.first().copied()
        {
            self.remove(generation);
            forgotten.push(generation);
        }
        forgotten
    }
}

fn start(position: &Position) -> Option<Mark> {
    position.marks.first().copied().filter(|mark| mark.offset < PREFIX as u64)
}

fn take_one<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::position::digest;
    use super::*;

    fn position(generation: u64, inode: u64, head: &[u8], finished_at: Option<Millis>) -> Position {
        let (prefix, prefix_length) = (digest(head), head.len());
        Position { generation, inode, prefix, prefix_length, finished_at, ..Position::default() }
    }

    #[test]
    fn positions_are_found_by_inode_and_by_heads_of_every_length() {
        let mut known = Known::default();
        known.insert(position(1, 7, b"abc", None));
        known.insert(position(2, 7, b"abcdef", None));
        known.insert(position(3, 8, b"abd", None));
        known.insert(position(4, 9, b"", None));
        assert_eq!(known.with_head(b"abcdefgh"), [2, 1]);
        assert_eq!(known.with_head(b"abc"), [1]);
        assert_eq!(known.with_inode(7).map(|position| position.generation).collect::<Vec<_>>(), [2, 1]);
        known.remove(1);
        assert_eq!(known.with_head(b"abcdefgh"), [2]);
        assert!(known.with_head(b"abc").is_empty());
    }

    #[test]
    fn only_the_oldest_finished_ones_are_forgotten() {
        let mut known = Known::default();
        for generation in 0..5 {
            let finished_at = (generation != 2).then_some(100 - generation as Millis);
            known.insert(position(generation, generation, b"x", finished_at));
        }
        assert_eq!(known.forget_finished(1), [4, 3, 1]);
        assert_eq!(known.iter().map(|position| position.generation).collect::<Vec<_>>(), [0, 2]);
    }
}
