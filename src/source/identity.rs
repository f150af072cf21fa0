//! Which file is it: new, known from before, a copy, compressed, truncated, gone. Not for when to look (`tailer`) nor for reading.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crmwatch_detectors::Millis;

use super::discover::{self, Found};
use super::follow::Follower;
use super::input::{Compression, Input};
use super::notice::Notice;
use super::position::Position;
use super::tailer::{CLOSED, Open, Tailer};
use crate::config::Start;

/// What tells a compressed file from plain text, in bytes.
const MAGIC: u64 = 4;

impl Tailer {
    /// A file that is not being read: one known from before, a copy, a compressed sibling, or new.
    pub(super) fn meet(&mut self, found: &Found, notices: &mut Vec<Notice>) -> io::Result<()> {
        // A compressor made it and has written nothing yet: opened now, it would be taken for plain text.
        if found.size < MAGIC && found.path.extension().is_some_and(|ending| ending == "gz" || ending == "zst") {
            return Ok(());
        }
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

    pub(super) fn meet_compressed(
        &mut self,
        found: &Found,
        mut input: Input,
        notices: &mut Vec<Notice>,
    ) -> io::Result<()> {
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

    pub(super) fn resume(
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

    pub(super) fn begin(&mut self, found: &Found, input: Input, notices: &mut Vec<Notice>) -> io::Result<()> {
        self.start(found, input, false, notices)?;
        if self.fresh.contains(&found.source) && self.sources[found.source].source.start == Start::End {
            let open = self.open.last_mut().expect("pushed by start");
            open.follower.skip_to_end(&mut self.buffer)?;
        }
        Ok(())
    }

    pub(super) fn start(
        &mut self,
        found: &Found,
        input: Input,
        ending: bool,
        notices: &mut Vec<Notice>,
    ) -> io::Result<()> {
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
    pub(super) fn search_lost(&mut self, named: &BTreeMap<(u64, u64), &Found>, now: Millis, notices: &mut Vec<Notice>) {
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
    pub(super) fn elsewhere(
        &self,
        position: &Position,
        named: &BTreeMap<(u64, u64), &Found>,
    ) -> Option<(PathBuf, Input)> {
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
    pub(super) fn shorter_copy(&self, at: usize) -> Option<(PathBuf, Input, u64)> {
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

    pub(super) fn finish(&mut self, position: Position) {
        self.dirty.insert(position.generation);
        self.known.insert(position.generation, position);
    }

    /// A file truncated in place: what was not read of it may lie in a copy; the file itself is a new generation.
    pub(super) fn truncated(&mut self, at: usize, size_before: u64, now: Millis, notices: &mut Vec<Notice>) {
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
