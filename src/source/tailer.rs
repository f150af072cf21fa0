//! All followed files: finds them, keeps each identified through rotation of every kind, and reads them in fair turns.
//! Not for threads, batches' numbers or the journal (`pipeline`).
//!
//! The truth is the size and content of each file and a look at the folders; a wake-up from the kernel only makes it look sooner.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crmwatch_detectors::{Event, Millis};

use super::discover::{self, Found};
use super::follow::{Follower, Turn};
use super::input::{Compression, Input};
use super::position::Position;
use crate::config::{Source, Start};
use crate::ledger::Segment;
use crate::parse::web::Tables;

/// Something an operator may want to know; the daemon logs and counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "`source` is the source's index, `path` the file's; the variants say the rest")]
pub enum Notice {
    /// A file is read for the first time.
    Opened { source: usize, path: String },
    /// A file goes on under another name.
    Renamed { source: usize, path: String },
    /// A file was truncated or overwritten in place and is read from its start.
    Truncated { source: usize, path: String },
    /// Nothing more can come from a file.
    Finished { source: usize, path: String },
    /// Bytes that were written and can no longer be read; nothing where nobody can know how many.
    Lost { source: usize, path: String, bytes: Option<u64>, cause: &'static str },
    /// No file is there yet.
    Waiting { source: usize },
    /// A file that cannot be read.
    Unreadable { path: String, error: String },
}

/// A source as it is followed.
#[derive(Clone)]
pub struct Followed {
    /// Its configuration.
    pub source: Arc<Source>,
    /// Its URL tables.
    pub tables: Arc<Tables>,
}

/// What was read in one go, before it has a number.
#[derive(Default)]
pub struct Reading {
    /// The events, in the order read.
    pub events: Vec<Event>,
    /// The stretches they came from.
    pub segments: Vec<Segment>,
    /// The one reading time of all of them; it stands in for times that cannot be believed.
    pub read_at: Millis,
    /// Records read, and bytes, by source.
    pub counts: BTreeMap<usize, Counts>,
}

/// What one source gave.
#[derive(Debug, Default, Clone)]
pub struct Counts {
    /// Records.
    pub records: u64,
    /// Bytes.
    pub bytes: u64,
    /// Events, by format.
    pub events: BTreeMap<&'static str, u64>,
    /// Records no grammar accepted, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
}

struct Open {
    follower: Follower,
    source: usize,
    /// A finished file's rest is read once, then it is closed.
    ending: bool,
    /// Since when it has no name that the patterns know.
    unnamed_since: Option<Millis>,
    /// The time of the last event read; before the first, the time of the next one.
    reached: Millis,
}

/// A renamed file that no pattern names is read this long after its last line.
const GRACE: Millis = 60_000;
/// A file is read on so far beyond the next one's events, so that turns are not single lines.
const SLACK: Millis = 5_000;
/// Positions of finished files kept, so that copies that turn up are known.
const FINISHED_KEPT: usize = 10_000;

/// Follows the files of all sources.
pub struct Tailer {
    sources: Vec<Followed>,
    open: Vec<Open>,
    /// Positions of files that are not open, by generation.
    known: BTreeMap<u64, Position>,
    next_generation: u64,
    /// Sources that were never read: their `start` counts.
    fresh: BTreeSet<usize>,
    /// Files looked at and left alone (copies, compressed siblings), as they were then.
    settled: BTreeMap<(u64, u64), (u64, i128)>,
    told: BTreeSet<String>,
    dirty: BTreeSet<u64>,
    buffer: Vec<u8>,
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

    fn unreadable(&mut self, path: &Path, error: &str, notices: &mut Vec<Notice>) {
        let path = path.to_string_lossy().into_owned();
        if self.told.len() < 10_000 && self.told.insert(format!("{path}: {error}")) {
            notices.push(Notice::Unreadable { path, error: error.to_owned() });
        }
    }

    /// A file that is not being read: one known from before, a copy, a compressed sibling, or new.
    fn meet(&mut self, found: &Found, notices: &mut Vec<Notice>) -> io::Result<()> {
        let mut input = Input::open(&found.path)?;
        if input.compression() != Compression::None {
            return self.meet_compressed(found, input, notices);
        }
        let same_inode = |position: &&Position| position.inode == found.inode;
        let known = self.known.values().rev();
        let by_inode = known.filter(same_inode).find(|position| position.fits(&mut input).unwrap_or(false));
        if let Some(generation) = by_inode.map(|position| position.generation) {
            return self.resume(generation, found, input, false, notices);
        }
        // Content that goes on from a file being read: a copy, as copytruncate makes it before it truncates. The original is read on;
        // once it is truncated, the copy takes its place. A "copy" that is longer than its original is a file of its own.
        let mut copy = false;
        for open in &mut self.open {
            let kept = open.follower.kept();
            let (intact, size) = open.follower.intact()?;
            if kept.fits(&mut input)? {
                copy = !intact || found.size <= size;
            } else if intact {
                // A copy that is still being made, or one that was read past before the truncation.
                copy = open.follower.begins_with(&mut input, found.size)?;
            } else {
                // Truncated, and not noticed yet; `truncated` will look for the copy.
                copy = open.follower.shorter_copy(&mut input)?.is_some();
            }
            if copy {
                break;
            }
        }
        if copy {
            return Ok(());
        }
        // By content, wherever it lies now; a file of which nothing was read yet has only its inode.
        let known = self.known.values().rev();
        let by_content = known.clone().find(|position| position.fits(&mut input).unwrap_or(false)).or_else(|| {
            known.filter(same_inode).find(|position| position.offset == 0 && position.finished_at.is_none())
        });
        match by_content.map(|position| position.generation) {
            Some(generation) => self.resume(generation, found, input, false, notices),
            None => self.begin(found, input, notices),
        }
    }

    fn meet_compressed(&mut self, found: &Found, mut input: Input, notices: &mut Vec<Notice>) -> io::Result<()> {
        for open in &mut self.open {
            let kept = open.follower.kept();
            if !open.ending && kept.fits(&mut input).unwrap_or(false) {
                // The original is still there: what is read of it is not read here.
                return Ok(());
            }
        }
        // Only a complete file is judged: a compressor may still be writing it.
        if !complete(&mut input) {
            return Ok(());
        }
        let known = self.known.values().rev().find(|position| position.fits(&mut input).unwrap_or(false));
        match known.map(|position| position.generation) {
            Some(generation) => self.resume(generation, found, input, true, notices),
            None if self.fresh.contains(&found.source) && self.sources[found.source].source.start == Start::End => {
                self.settled.insert((found.device, found.inode), (found.size, found.modified));
                Ok(())
            }
            None => {
                self.start(found, input, true, notices)?;
                Ok(())
            }
        }
    }

    fn resume(
        &mut self,
        generation: u64,
        found: &Found,
        input: Input,
        ending: bool,
        notices: &mut Vec<Notice>,
    ) -> io::Result<()> {
        let mut position = self.known.remove(&generation).expect("looked up before");
        position.finished_at = None;
        let path = found.path.to_string_lossy().into_owned();
        if position.path != path {
            notices.push(Notice::Renamed { source: found.source, path: path.clone() });
        }
        position.path = path;
        let followed = &self.sources[found.source];
        let mut follower = Follower::new(input, position, followed.source.clone(), followed.tables.clone())?;
        self.dirty.insert(generation);
        let reached = follower.first_time().unwrap_or(Millis::MIN);
        self.open.push(Open { follower, source: found.source, ending, unnamed_since: None, reached });
        Ok(())
    }

    fn begin(&mut self, found: &Found, input: Input, notices: &mut Vec<Notice>) -> io::Result<()> {
        self.start(found, input, false, notices)?;
        if self.fresh.contains(&found.source) && self.sources[found.source].source.start == Start::End {
            let open = self.open.last_mut().expect("pushed by start");
            open.follower.skip_to_end(&mut self.buffer)?;
        }
        Ok(())
    }

    fn start(&mut self, found: &Found, input: Input, ending: bool, notices: &mut Vec<Notice>) -> io::Result<()> {
        let followed = &self.sources[found.source];
        let generation = self.next_generation;
        let path = found.path.to_string_lossy().into_owned();
        let position =
            Position { source: followed.source.name.clone(), path: path.clone(), generation, ..Position::default() };
        let mut follower = Follower::new(input, position, followed.source.clone(), followed.tables.clone())?;
        self.next_generation += 1;
        self.dirty.insert(generation);
        notices.push(Notice::Opened { source: found.source, path });
        let reached = follower.first_time().unwrap_or(Millis::MIN);
        self.open.push(Open { follower, source: found.source, ending, unnamed_since: None, reached });
        Ok(())
    }

    /// Positions from before the start whose file was not named by any pattern: looked for among its siblings, given up otherwise.
    fn search_lost(&mut self, named: &BTreeMap<(u64, u64), &Found>, now: Millis, notices: &mut Vec<Notice>) {
        let missing: Vec<u64> = self
            .known
            .values()
            .filter(|position| position.finished_at.is_none())
            .map(|position| position.generation)
            .collect();
        for generation in missing {
            let position = self.known[&generation].clone();
            let Some(source) = self.sources.iter().position(|one| one.source.name == position.source) else {
                continue;
            };
            match self.elsewhere(&position, named) {
                Some((path, input)) => {
                    let ending = input.compression() != Compression::None;
                    let (device, inode) = input.identity().unwrap_or_default();
                    let found = Found { source, path, device, inode, size: 0, modified: 0 };
                    if let Err(error) = self.resume(generation, &found, input, ending, notices) {
                        self.unreadable(&found.path, &error.to_string(), notices);
                    }
                }
                None => {
                    if position.offset > 0 || position.prefix_length > 0 {
                        notices.push(Notice::Lost {
                            source,
                            path: position.path.clone(),
                            bytes: None,
                            cause: "gone_while_stopped",
                        });
                    }
                    self.finish(Position { finished_at: Some(now), ..position });
                }
            }
        }
    }

    /// A sibling, named by no pattern or followed by nobody, that goes on from a position.
    fn elsewhere(&self, position: &Position, named: &BTreeMap<(u64, u64), &Found>) -> Option<(PathBuf, Input)> {
        for path in discover::siblings(Path::new(&position.path)) {
            let Ok(mut input) = Input::open(&path) else { continue };
            let Ok(identity) = input.identity() else { continue };
            let followed =
                self.open.iter().any(|open| (open.follower.position.device, open.follower.position.inode) == identity);
            let same_file = position.offset == 0 && identity.1 == position.inode && !named.contains_key(&identity);
            if !followed && (same_file || position.fits(&mut input).unwrap_or(false)) {
                return Some((path, input));
            }
        }
        None
    }

    /// A sibling that is a copy of what was read of a file, made a moment before the last of it was written; and where it ends.
    fn shorter_copy(&self, at: usize) -> Option<(PathBuf, Input, u64)> {
        let follower = &self.open[at].follower;
        for path in discover::siblings(Path::new(&follower.position.path)) {
            let Ok(mut input) = Input::open(&path) else { continue };
            let Ok(identity) = input.identity() else { continue };
            let followed =
                self.open.iter().any(|open| (open.follower.position.device, open.follower.position.inode) == identity);
            if followed {
                continue;
            }
            if let Ok(Some(end)) = follower.shorter_copy(&mut input) {
                return Some((path, input, end));
            }
        }
        None
    }

    fn finish(&mut self, position: Position) {
        self.dirty.insert(position.generation);
        self.known.insert(position.generation, position);
    }

    /// Reads about a batch. True if anything was read or more is there.
    ///
    /// Of the files with something to read, the one whose events lie furthest back goes first: a backlog of rotated files, and of
    /// several sources, is taken in nearly in the order of time. It is read on only as far as the next one's events, so that a sparse
    /// log does not run days ahead. None starves: a busy file's time moves on past that of the quiet ones.
    pub fn read(&mut self, now: Millis, reading: &mut Reading, notices: &mut Vec<Notice>) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut waiting: BinaryHeap<Reverse<(Millis, u64, usize)>> = BinaryHeap::new();
        for at in 0..self.open.len() {
            match self.open[at].follower.pending() {
                Ok(true) => {
                    let generation = self.open[at].follower.position.generation;
                    waiting.push(Reverse((self.open[at].reached, generation, at)));
                }
                Ok(false) => self.at_end(at, now, &mut buffer, reading, notices),
                Err(error) => {
                    let path = self.open[at].follower.position.path.clone();
                    self.unreadable(Path::new(&path), &error.to_string(), notices);
                }
            }
        }
        let mut busy = false;
        while let Some(Reverse((_, generation, at))) = waiting.pop() {
            if reading.events.len() >= BATCH_RECORDS {
                busy = true;
                break;
            }
            let until = waiting.peek().map_or(Millis::MAX, |Reverse((next, _, _))| next.saturating_add(SLACK));
            if self.turn(at, until, now, &mut buffer, reading, notices) {
                busy = true;
                waiting.push(Reverse((self.open[at].reached, generation, at)));
            }
        }
        self.buffer = buffer;
        self.open.retain(|open| open.source != CLOSED);
        busy
    }

    fn turn(
        &mut self,
        at: usize,
        until: Millis,
        now: Millis,
        buffer: &mut Vec<u8>,
        reading: &mut Reading,
        notices: &mut Vec<Notice>,
    ) -> bool {
        let open = &mut self.open[at];
        if open.source == CLOSED {
            return false;
        }
        let segment = open.follower.segment();
        let first = reading.events.len();
        let size_before = open.follower.size;
        let turn = match open.follower.turn_until(until, buffer, reading.read_at, &mut reading.events) {
            Ok(turn) => turn,
            Err(error) => {
                let path = open.follower.position.path.clone();
                self.unreadable(Path::new(&path), &error.to_string(), notices);
                return false;
            }
        };
        if turn.truncated {
            self.truncated(at, size_before, now, notices);
            return true;
        }
        let idle = turn.bytes == 0 && !turn.more;
        let source = open.source;
        let generation = segment.generation;
        if turn.bytes > 0 {
            let format = open.follower.format().unwrap_or("none");
            let events = (reading.events.len() - first) as u64 - turn.rejected.len() as u64;
            *reading.counts.entry(source).or_default().events.entry(format).or_default() += events;
            record(reading, source, segment, open.follower.position.offset, &turn, false);
            self.dirty.insert(generation);
        }
        // A stamp ahead of the clock must not make a file wait for the others to get there.
        if let Some(time) = turn.next.or_else(|| reading.events[first..].last().map(|event| event.time)) {
            open.reached = time.min(now);
        }
        if idle {
            self.at_end(at, now, buffer, reading, notices);
        }
        !idle
    }

    /// A file read to its end: closed if nothing more can come.
    fn at_end(
        &mut self,
        at: usize,
        now: Millis,
        buffer: &mut Vec<u8>,
        reading: &mut Reading,
        notices: &mut Vec<Notice>,
    ) {
        let open = &mut self.open[at];
        let dead = open.ending || (open.unnamed_since.is_some() && open.follower.unlinked());
        let abandoned = open.unnamed_since.is_some_and(|since| now - since > GRACE);
        if !dead && !abandoned {
            return;
        }
        if dead {
            let segment = Segment { partial: true, ..open.follower.segment() };
            if let Ok(turn) = open.follower.remainder(buffer, reading.read_at, &mut reading.events)
                && turn.bytes > 0
            {
                record(reading, open.source, segment, open.follower.position.offset, &turn, true);
            }
        }
        let source = std::mem::replace(&mut open.source, CLOSED);
        let position = Position { finished_at: Some(now), ..open.follower.kept() };
        if let Ok(metadata) = open.follower.input().metadata() {
            use std::os::unix::fs::MetadataExt;
            self.settled.insert(
                (metadata.dev(), metadata.ino()),
                (metadata.size(), i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())),
            );
        }
        notices.push(Notice::Finished { source, path: position.path.clone() });
        self.finish(position);
    }

    /// A file truncated in place: what was not read of it may lie in a copy; the file itself is a new generation.
    fn truncated(&mut self, at: usize, size_before: u64, now: Millis, notices: &mut Vec<Notice>) {
        let open = &mut self.open[at];
        let source = std::mem::replace(&mut open.source, CLOSED);
        let position = open.follower.kept();
        let path = position.path.clone();
        notices.push(Notice::Truncated { source, path: path.clone() });
        let named = BTreeMap::new();
        let unread = size_before.saturating_sub(position.offset);
        let copy = match self.elsewhere(&position, &named) {
            Some((copy, input)) => Some((copy, input, position.offset)),
            None => self.shorter_copy(at),
        };
        match copy {
            Some((copy, input, offset)) => {
                if size_before > position.offset && offset < position.offset {
                    notices.push(Notice::Lost { source, path: path.clone(), bytes: Some(unread), cause: "truncated" });
                }
                let followed = &self.sources[source];
                let position = Position { path: copy.to_string_lossy().into_owned(), offset, ..position.clone() };
                let generation = position.generation;
                if let Ok(follower) = Follower::new(input, position, followed.source.clone(), followed.tables.clone()) {
                    self.dirty.insert(generation);
                    self.open.push(Open { follower, source, ending: false, unnamed_since: None, reached: Millis::MIN });
                }
            }
            None => {
                if unread > 0 {
                    notices.push(Notice::Lost { source, path: path.clone(), bytes: Some(unread), cause: "truncated" });
                }
                self.finish(Position { finished_at: Some(now), ..position });
            }
        }
        if let Ok(input) = Input::open(Path::new(&path))
            && let Ok((device, inode)) = input.identity()
        {
            let found = Found { source, path: path.into(), device, inode, size: 0, modified: 0 };
            if let Err(error) = self.start(&found, input, false, notices) {
                self.unreadable(&found.path, &error.to_string(), notices);
            }
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

/// Records in one batch, at most about.
pub const BATCH_RECORDS: usize = 5_000;

/// The source of a follower that is to be dropped at the end of the round.
const CLOSED: usize = usize::MAX;

fn record(reading: &mut Reading, source: usize, segment: Segment, to: u64, turn: &Turn, partial: bool) {
    let counts = reading.counts.entry(source).or_default();
    counts.records += turn.records;
    counts.bytes += turn.bytes;
    for reason in &turn.rejected {
        *counts.rejected.entry(reason).or_default() += 1;
    }
    match reading.segments.last_mut() {
        Some(last) if last.generation == segment.generation && last.to == segment.from && !last.partial && !partial => {
            last.to = to;
        }
        _ => reading.segments.push(Segment { to, partial, ..segment }),
    }
}

/// Whether a compressed file decompresses to its end.
fn complete(input: &mut Input) -> bool {
    let mut buffer = vec![0; 256 << 10];
    let mut at = 0;
    loop {
        match input.read_at(&mut buffer, at) {
            Ok(0) => return true,
            Ok(count) => at += count as u64,
            Err(_) => return false,
        }
    }
}
