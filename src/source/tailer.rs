//! All followed files: finds them, keeps each identified through rotation of every kind, and reads them in fair turns.
//! Not for threads, batches' numbers or the journal (`pipeline`); which file is which is decided in `identity`, whose turn it is in `rounds`.
//!
//! The truth is the size and content of each file and a look at the folders; a wake-up from the kernel only makes it look sooner.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crmwatch_detectors::Millis;

use super::discover::{self, Found};
use super::follow::Follower;
use super::notice::Notice;
use super::position::Position;
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

pub(super) struct Open {
    pub(super) follower: Follower,
    pub(super) source: usize,
    /// A finished file's rest is read once, then it is closed.
    pub(super) ending: bool,
    /// Since when it has no name that the patterns know.
    pub(super) unnamed_since: Option<Millis>,
    /// The time of the last event read; before the first, the time of the next one.
    pub(super) reached: Millis,
}

/// Positions of finished files kept, so that copies that turn up are known.
const FINISHED_KEPT: usize = 10_000;

/// Follows the files of all sources.
pub struct Tailer {
    pub(super) sources: Vec<Followed>,
    pub(super) open: Vec<Open>,
    /// Positions of files that are not open, by generation.
    pub(super) known: BTreeMap<u64, Position>,
    pub(super) next_generation: u64,
    /// Sources that were never read: their `start` counts.
    pub(super) fresh: BTreeSet<usize>,
    /// Files looked at and left alone (copies, compressed siblings), as they were then.
    pub(super) settled: BTreeMap<(u64, u64), (u64, i128)>,
    pub(super) told: BTreeSet<String>,
    pub(super) dirty: BTreeSet<u64>,
    pub(super) buffer: Vec<u8>,
}

impl Tailer {
    /// Goes on from the positions of the ledger.
    pub fn new(sources: Vec<Followed>, positions: BTreeMap<u64, Position>) -> Tailer {
        let fresh = (0..sources.len())
            .filter(|index| !positions.values().any(|position| position.source == sources[*index].source.name))
            .collect();
        let next_generation = positions.keys().next_back().map_or(1, |last| last + 1);
        Tailer {
            sources,
            open: Vec::new(),
            known: positions,
            next_generation,
            fresh,
            settled: BTreeMap::new(),
            told: BTreeSet::new(),
            dirty: BTreeSet::new(),
            buffer: Vec::new(),
        }
    }

    /// Looks at the folders: new files, renamed ones, ones that went away.
    pub fn look(&mut self, now: Millis, notices: &mut Vec<Notice>) {
        let listing = discover::list(self.sources.iter().map(|followed| followed.source.paths.as_slice()));
        for (path, error) in listing.unreadable {
            self.unreadable(&path, &error, notices);
        }
        for source in listing.empty {
            if self.told.insert(format!("waiting {source}")) {
                notices.push(Notice::Waiting { source });
            }
        }
        let named: BTreeMap<(u64, u64), &Found> =
            listing.files.iter().map(|found| ((found.device, found.inode), found)).collect();
        for open in &mut self.open {
            let identity = (open.follower.position.device, open.follower.position.inode);
            match named.get(&identity) {
                Some(found) => {
                    open.unnamed_since = None;
                    if found.path.as_os_str() != open.follower.position.path.as_str() {
                        open.follower.renamed(&found.path);
                        self.dirty.insert(open.follower.position.generation);
                        notices
                            .push(Notice::Renamed { source: open.source, path: open.follower.position.path.clone() });
                    }
                }
                None => {
                    open.unnamed_since.get_or_insert(now);
                }
            }
        }
        let followed: BTreeSet<(u64, u64)> =
            self.open.iter().map(|open| (open.follower.position.device, open.follower.position.inode)).collect();
        let newcomers: Vec<&Found> = listing
            .files
            .iter()
            .filter(|found| !followed.contains(&(found.device, found.inode)))
            .filter(|found| self.settled.get(&(found.device, found.inode)) != Some(&(found.size, found.modified)))
            .collect();
        for found in newcomers {
            if let Err(error) = self.meet(found, notices) {
                self.unreadable(&found.path, &error.to_string(), notices);
            }
        }
        self.settled.retain(|identity, _| named.contains_key(identity));
        self.search_lost(&named, now, notices);
        self.fresh.clear();
    }

    pub(super) fn unreadable(&mut self, path: &Path, error: &str, notices: &mut Vec<Notice>) {
        let path = path.to_string_lossy().into_owned();
        if self.told.len() < 10_000 && self.told.insert(format!("{path}: {error}")) {
            notices.push(Notice::Unreadable { path, error: error.to_owned() });
        }
    }

    /// Positions changed since the last call, to be journalled with the batch; old finished ones that are forgotten come separately.
    pub fn changed(&mut self) -> (Vec<Position>, Vec<u64>) {
        let mut forgotten = Vec::new();
        let finished = self.known.values().filter(|position| position.finished_at.is_some()).count();
        if finished > FINISHED_KEPT {
            let mut oldest: Vec<(Option<Millis>, u64)> = self
                .known
                .values()
                .filter(|position| position.finished_at.is_some())
                .map(|position| (position.finished_at, position.generation))
                .collect();
            oldest.sort_unstable();
            for (_, generation) in oldest.into_iter().take(finished - FINISHED_KEPT) {
                self.known.remove(&generation);
                self.dirty.remove(&generation);
                forgotten.push(generation);
            }
        }
        for generation in self.left_spools() {
            self.known.remove(&generation);
            self.dirty.remove(&generation);
            forgotten.push(generation);
        }
        let dirty = std::mem::take(&mut self.dirty);
        let positions = dirty
            .into_iter()
            .filter_map(|generation| {
                let open = self
                    .open
                    .iter()
                    .find(|open| open.source != CLOSED && open.follower.position.generation == generation);
                open.map(|open| open.follower.kept()).or_else(|| self.known.get(&generation).cloned())
            })
            .collect();
        (positions, forgotten)
    }

    /// Finished files of spools that are deleted: nobody makes copies of them, so that their positions would only push out those of real
    /// logs. The greatest generation stays, so that its number does not come again.
    fn left_spools(&self) -> Vec<u64> {
        let spooled = |name: &str| self.sources.iter().any(|one| one.source.spooled() && one.source.name == name);
        self.known
            .values()
            .filter(|position| position.finished_at.is_some() && position.generation + 1 < self.next_generation)
            .filter(|position| spooled(&position.source) && !Path::new(&position.path).exists())
            .map(|position| position.generation)
            .collect()
    }

    /// Bytes not read yet, by source.
    pub fn lag(&self) -> BTreeMap<usize, u64> {
        let mut lag: BTreeMap<usize, u64> = (0..self.sources.len()).map(|source| (source, 0)).collect();
        for open in &self.open {
            let unread = open.follower.size.saturating_sub(open.follower.position.offset);
            *lag.entry(open.source).or_default() += unread;
        }
        lag
    }

    /// How many files are open, and how many bytes are not read yet of files that have no name any more, by source.
    pub fn held(&self) -> BTreeMap<usize, (usize, u64)> {
        let mut held: BTreeMap<usize, (usize, u64)> = (0..self.sources.len()).map(|source| (source, (0, 0))).collect();
        for open in &self.open {
            let (files, bytes) = held.entry(open.source).or_default();
            *files += 1;
            if open.unnamed_since.is_some() && open.follower.unlinked() {
                *bytes += open.follower.size.saturating_sub(open.follower.position.offset);
            }
        }
        held
    }

    /// Whether positions changed that no batch has carried yet.
    pub fn has_changes(&self) -> bool {
        !self.dirty.is_empty()
    }
}

/// The source of a follower that is to be dropped at the end of the round.
pub(super) const CLOSED: usize = usize::MAX;
