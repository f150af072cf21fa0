//! All followed files: what is remembered of them, and what others may ask. Not for threads, batches' numbers or the journal (`pipeline`).
//!
//! A look at the folders (`look`) finds files and compares them with what is remembered; which file is which is decided in `identity`, what
//! became of one that is not where it was in `whereabouts`. Few are open at a time (`shelf`); those have turns of reading (`rounds`).
//! The truth is the size and content of each file and a look at the folders; a wake-up from the kernel only makes it look sooner.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ahash::{AHashMap, RandomState};
use crmwatch_detectors::Millis;

use super::copies::{Pending, Until, stamp_of};
use super::discover::{Found, Patterns};
use super::follow::Follower;
use super::known::Known;
use super::notice::Notice;
use super::position::Position;
use super::reading::BATCH_RECORDS;
use super::shelf;
use super::whereabouts::Absence;
use crate::config::Source;
use crate::parse::web::Tables;

/// A source as it is followed.
#[derive(Clone)]
pub struct Followed {
    /// Its configuration.
    pub source: Arc<Source>,
    /// Its URL tables.
    pub tables: Arc<Tables>,
}

/// Device and inode.
pub(super) type Identity = (u64, u64);

/// Paths with their inodes, by folder and beginning of the name, and device.
pub(super) type Beside = BTreeMap<((PathBuf, String), u64), Vec<(PathBuf, u64)>>;

/// A file that is open.
pub(super) struct Open {
    pub(super) follower: Follower,
    pub(super) source: usize,
    /// A finished file's rest is read once, then it is closed.
    pub(super) ending: bool,
    /// Since when it has no name that the patterns know.
    pub(super) unnamed_since: Option<Millis>,
    /// The time of the last event read; before the first, the time of the next one.
    pub(super) reached: Millis,
    /// When something was last read of it.
    pub(super) active_at: Millis,
    /// There was nothing to read at the last round.
    pub(super) idle: bool,
    /// The number of its last turn.
    pub(super) served: u64,
    /// Bytes read since `reached` last rose noticeably, and from where.
    pub(super) standstill: (Millis, u64),
    /// What it begins with, where that is not what was read of it: it was written over since.
    pub(super) instead: Option<Vec<u8>>,
}

impl Open {
    pub(super) fn identity(&self) -> Identity {
        (self.follower.position.device, self.follower.position.inode)
    }

    /// Bytes written and not read.
    pub(super) fn unread(&self) -> u64 {
        self.follower.size.saturating_sub(self.follower.position.offset)
    }
}

/// What a file that a look found is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is open.
    Open,
    /// It is followed, but closed: nothing is known to be unread of it, or it waits until others are read.
    Closed,
    /// It is left alone for good: finished, or passed over.
    Settled,
    /// It is left alone while another file is there whose copy it is, or until it can be judged.
    Copy,
}

/// All that a look compares of a file, and next to all that is kept of one that is closed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed {
    pub(super) generation: u64,
    pub(super) state: State,
    pub(super) source: usize,
    pub(super) size: u64,
    pub(super) modified: i64,
    /// Hash of its path.
    pub(super) name: u64,
    /// The look that last saw it, and the one that last saw it under its own name.
    pub(super) seen: u32,
    pub(super) named: u32,
    /// As in [`Open`], for one that is closed.
    pub(super) reached: Millis,
    /// Opening it costs a decompressor's memory.
    pub(super) compressed: bool,
}

/// The most that counts of the time between two looks.
const STEP: Millis = 10_000;
/// Positions of finished files kept, so that copies that turn up are known.
const FINISHED_KEPT: usize = 10_000;

/// Follows the files of all sources.
pub struct Tailer {
    pub(super) sources: Vec<Followed>,
    pub(super) patterns: Patterns,
    pub(super) listed: AHashMap<Identity, Listed>,
    /// The files that are left alone for now.
    pub(super) copies: BTreeMap<Identity, Pending>,
    pub(super) hasher: RandomState,
    pub(super) open: Vec<Open>,
    /// Positions of files that are not open.
    pub(super) known: Known,
    /// Files beside those that are looked for, during one search for all of them.
    pub(super) beside: Beside,
    /// Those whose files are looked for.
    pub(super) missing: BTreeMap<u64, Absence>,
    /// Closed files that have something to read, by the time they reached.
    pub(super) waiting: BTreeSet<(Millis, u64)>,
    pub(super) next_generation: u64,
    /// Sources that were never read: their `start` counts.
    pub(super) fresh: BTreeSet<usize>,
    /// Counts the turns.
    pub(super) turns: u64,
    /// Counts the looks.
    pub(super) looks: u32,
    /// What waits is measured by: the clock, but at most [`STEP`] from one time to the next, so that a clock that jumps ends no patience.
    pub(super) steady: Millis,
    /// What the clock said last.
    clock: Option<Millis>,
    pub(super) told: BTreeSet<String>,
    pub(super) dirty: BTreeSet<u64>,
    /// Generations that nothing is to be remembered of.
    forgotten: Vec<u64>,
    pub(super) buffer: Vec<u8>,
    /// Files open at a time, at most; fewer while the process is out of descriptors.
    pub(super) limit: usize,
    /// Records of one batch, about.
    pub(super) batch: usize,
    /// The process ran out of descriptors, and that was said; whether it did so since the last look.
    pub(super) exhausted: (bool, bool),
}

impl Tailer {
    /// Goes on from the positions of the ledger.
    pub fn new(sources: Vec<Followed>, positions: BTreeMap<u64, Position>) -> Tailer {
        let fresh = (0..sources.len())
            .filter(|index| !positions.values().any(|position| position.source == sources[*index].source.name))
            .collect();
        let next_generation = positions.keys().next_back().map_or(1, |last| last + 1);
        let unfinished = positions.values().filter(|position| position.finished_at.is_none());
        Tailer {
            patterns: Patterns::new(sources.iter().map(|followed| followed.source.paths.as_slice())),
            sources,
            listed: AHashMap::new(),
            copies: BTreeMap::new(),
            beside: BTreeMap::new(),
            hasher: RandomState::new(),
            open: Vec::new(),
            missing: unfinished.map(|position| (position.generation, Absence::stopped(position))).collect(),
            known: Known::new(positions),
            waiting: BTreeSet::new(),
            next_generation,
            fresh,
            turns: 0,
            looks: 0,
            steady: 1,
            clock: None,
            told: BTreeSet::new(),
            dirty: BTreeSet::new(),
            forgotten: Vec::new(),
            buffer: Vec::new(),
            limit: shelf::limit(),
            batch: BATCH_RECORDS,
            exhausted: (false, false),
        }
    }

    pub(super) fn name(&self, path: &Path) -> u64 {
        use std::os::unix::ffi::OsStrExt;
        let folder = path.parent().map_or(&[][..], |folder| folder.as_os_str().as_bytes());
        self.hasher.hash_one((folder, path.file_name().map_or(&[][..], OsStrExt::as_bytes)))
    }

    /// Remembers what a look found.
    pub(super) fn list(&mut self, found: &Found, state: State, generation: u64) {
        let listed = Listed {
            generation,
            state,
            source: found.source,
            size: found.size,
            modified: found.modified,
            name: self.name(&found.path),
            seen: self.looks,
            named: self.looks,
            reached: Millis::MIN,
            compressed: false,
        };
        let identity = (found.device, found.inode);
        if state != State::Copy {
            self.copies.remove(&identity);
        }
        self.listed.insert(identity, listed);
    }

    /// Whether a position at rest is that of a file that is there and followed.
    pub(super) fn is_followed(&self, position: &Position) -> bool {
        stamp_of(&self.listed, position).is_some()
    }

    pub(super) fn unreadable(&mut self, path: &Path, error: &io::Error, notices: &mut Vec<Notice>) {
        if shelf::out_of_descriptors(error) {
            self.exhausted.1 = true;
            if !std::mem::replace(&mut self.exhausted.0, true) {
                notices.push(Notice::OutOfDescriptors { open: self.open.len() });
            }
            self.limit = (self.open.len() - self.open.len() / 4).max(1);
            return;
        }
        let path = path.to_string_lossy().into_owned();
        if self.told.len() < 10_000 && self.told.insert(format!("{path}: {error}")) {
            notices.push(Notice::Unreadable { path, error: error.to_string() });
        }
    }

    pub(super) fn finish(&mut self, position: Position) {
        let generation = position.generation;
        self.missing.remove(&generation);
        self.dirty.insert(generation);
        // Marks serve to know a copy of a file that goes on, or one that was held back until now.
        let copied = self.copies.values().any(|pending| pending.until == Until::Ends(generation));
        let marks = if copied { position.marks } else { Vec::new() };
        self.known.insert(Position { marks, ..position });
    }

    /// Forgets a position for good.
    pub(super) fn forget(&mut self, generation: u64) {
        self.known.remove(generation);
        self.missing.remove(&generation);
        self.dirty.remove(&generation);
        self.forgotten.push(generation);
    }

    /// Time passes.
    pub(super) fn tick(&mut self, now: Millis) {
        let passed = self.clock.replace(now).map_or(0, |last| now.saturating_sub(last));
        self.steady += passed.clamp(0, STEP);
    }

    /// Positions changed since the last call, to be journalled with the batch; old finished ones that are forgotten come separately.
    pub fn changed(&mut self) -> (Vec<Position>, Vec<u64>) {
        let mut forgotten = self.known.forget_finished(FINISHED_KEPT);
        for generation in &forgotten {
            self.dirty.remove(generation);
        }
        forgotten.append(&mut self.forgotten);
        for generation in self.left_spools() {
            self.known.remove(generation);
            self.dirty.remove(&generation);
            forgotten.push(generation);
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        let mut positions: Vec<Position> = self
            .open
            .iter()
            .filter(|open| open.source != CLOSED && dirty.remove(&open.follower.position.generation))
            .map(|open| open.follower.kept())
            .collect();
        positions.extend(dirty.into_iter().filter_map(|generation| self.known.get(generation).cloned()));
        (positions, forgotten)
    }

    /// Finished files of spools that are deleted: nobody makes copies of them, so that their positions would only push out those of real
    /// logs. The greatest generation stays, so that its number does not come again.
    fn left_spools(&self) -> Vec<u64> {
        let spooled = |name: &str| self.sources.iter().any(|one| one.source.spooled() && one.source.name == name);
        if !self.sources.iter().any(|one| one.source.spooled()) {
            return Vec::new();
        }
        self.known
            .iter()
            .filter(|position| position.finished_at.is_some() && position.generation + 1 < self.next_generation)
            .filter(|position| spooled(&position.source) && !Path::new(&position.path).exists())
            .map(|position| position.generation)
            .collect()
    }

    /// Bytes not read yet, by source.
    pub fn lag(&self) -> BTreeMap<usize, u64> {
        let mut lag: BTreeMap<usize, u64> = (0..self.sources.len()).map(|source| (source, 0)).collect();
        for open in &self.open {
            *lag.entry(open.source).or_default() += open.unread();
        }
        for position in self.waiting.iter().filter_map(|(_, generation)| self.known.get(*generation)) {
            if let Some(listed) = self.listed.get(&(position.device, position.inode)) {
                *lag.entry(listed.source).or_default() += listed.size.saturating_sub(position.offset);
            }
        }
        lag
    }

    /// How many files are followed, and how many bytes are not read yet of files that have no name any more, by source.
    pub fn held(&self) -> BTreeMap<usize, (usize, u64)> {
        let mut held: BTreeMap<usize, (usize, u64)> = (0..self.sources.len()).map(|source| (source, (0, 0))).collect();
        for listed in self.listed.values().filter(|one| one.state == State::Closed) {
            held.entry(listed.source).or_default().0 += 1;
        }
        for open in &self.open {
            let (files, bytes) = held.entry(open.source).or_default();
            *files += 1;
            if open.unnamed_since.is_some() && open.follower.unlinked() {
                *bytes += open.unread();
            }
        }
        held
    }

    /// Whether positions changed that no batch has carried yet.
    pub fn has_changes(&self) -> bool {
        !self.dirty.is_empty() || !self.forgotten.is_empty()
    }

    /// Whether the file last seen at a path is open, so that reading sees what is added to it.
    pub fn is_open(&self, path: &Path) -> bool {
        self.open.iter().any(|open| Path::new(&open.follower.position.path) == path)
    }

    /// How many files hold a descriptor.
    pub fn descriptors(&self) -> usize {
        self.open.len()
    }

    /// The folders of the last look whose changes the kernel is to tell of.
    pub fn watched_folders(&self) -> Vec<PathBuf> {
        self.patterns.folders(|source| self.sources[source].source.watch == crate::config::Watch::Auto)
    }
}

/// The source of a follower that is to be dropped at the end of the round.
pub(super) const CLOSED: usize = usize::MAX;
