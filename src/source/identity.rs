//! Which file is it: one known from before, a copy, a compressed one, or new. Not for finding files (`look`), nor for what became of one
//! that is not where it was (`whereabouts`).

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crmwatch_detectors::Millis;

use super::content;
use super::discover::Found;
use super::follow::Follower;
use super::input::{Compression, Input, is_no_answer};
use super::notice::Notice;
use super::position::{PREFIX, Position};
use super::tailer::{CLOSED, Open, State, Tailer};
use super::whereabouts::Rewritten;
use crate::config::Start;

/// What tells a compressed file from plain text, in bytes.
const MAGIC: u64 = 4;

impl Tailer {
    /// A file that is not followed: one known from before, a copy, a compressed sibling, or new.
    pub(super) fn meet(&mut self, found: &Found, now: Millis, notices: &mut Vec<Notice>) -> io::Result<()> {
        // A compressor made it and has written nothing yet: opened now, it would be taken for plain text.
        if found.size < MAGIC && found.path.extension().is_some_and(|ending| ending == "gz" || ending == "zst") {
            return Ok(());
        }
        if self.recognise(found) {
            return Ok(());
        }
        let mut input = open_as_found(found)?;
        let mut head = [0; PREFIX];
        let count = match input.read_at(&mut head, 0) {
            // A compressor is still at work.
            Err(error) if input.compression() != Compression::None && !is_no_answer(&error, false) => {
                self.list(found, State::Copy, 0);
                return Ok(());
            }
            count => count?,
        };
        let head = &head[..count];
        if input.compression() != Compression::None {
            return self.meet_compressed(found, input, head, now, notices);
        }
        let by_inode: Vec<u64> = self.known.with_inode(found.inode).map(|position| position.generation).collect();
        if let Some(generation) = self.that_fits(found.source, &by_inode, &mut input)? {
            return self.resume(generation, found, input, None, now, notices);
        }
        // In its place, with its inode, and something else in it: truncated or replaced while nobody looked.
        let here = found.path.to_string_lossy();
        let replaced = by_inode.iter().filter(|generation| self.missing.contains(generation));
        let mut replaced = replaced.filter_map(|generation| self.known.get(*generation));
        let replaced = replaced.find(|position| position.offset > 0 && position.path == here).cloned();
        if let Some(position) = replaced {
            let unread = position.unread();
            let rewritten = Rewritten { source: found.source, unread, stopped: true, shorter: None, input: None };
            self.rewritten(position, rewritten, now, notices)?;
            return self.meet(found, now, notices);
        }
        if self.is_copy(found, &mut input, head)? {
            self.list(found, State::Copy, 0);
            return Ok(());
        }
        // By content, wherever it lies now; a file of which nothing was read yet has only its inode.
        let by_content = self.that_fits(found.source, &self.known.with_head(head), &mut input)?;
        let unread = |generation: &&u64| {
            let own = |one: &Position| one.source == self.sources[found.source].source.name;
            self.at_rest(**generation).is_some_and(|one| one.offset == 0 && one.finished_at.is_none() && own(one))
        };
        match by_content.or_else(|| by_inode.iter().find(unread).copied()) {
            Some(generation) => self.resume(generation, found, input, None, now, notices),
            None => {
                self.start(found, input, now, notices)?;
                // Of an empty one nobody knows yet whether it is to be a copy: it is looked at again once it holds something.
                let identity = (found.device, found.inode);
                let empty =
                    |open: &Open| open.identity() == identity && open.source != CLOSED && open.follower.size == 0;
                if let Some(at) = self.open.iter().position(empty) {
                    self.close(at, false);
                }
                Ok(())
            }
        }
    }

    /// The source a position is of; nothing where the configuration has it no more.
    pub(super) fn source_of(&self, position: &Position) -> Option<usize> {
        self.sources.iter().position(|one| one.source.name == position.source)
    }

    /// A position of a file that is not there, as far as is known.
    fn at_rest(&self, generation: u64) -> Option<&Position> {
        self.known.get(generation).filter(|position| !self.is_followed(position))
    }

    /// The first of these positions from which a file goes on, none of them that of another file that is there, nor of another source:
    /// headers are alike, and inodes come again.
    fn that_fits(&self, source: usize, generations: &[u64], input: &mut Input) -> io::Result<Option<u64>> {
        for generation in generations {
            let own = |position: &&Position| position.source == self.sources[source].source.name;
            let Some(position) = self.at_rest(*generation).filter(own) else { continue };
            match position.fits(input) {
                Ok(true) => return Ok(Some(*generation)),
                // A disk that does not answer must not make a known file a new one.
                Err(error) if is_no_answer(&error, false) => return Err(error),
                Ok(false) | Err(_) => {}
            }
        }
        Ok(None)
    }

    /// A file that lies there as it was left is not even opened: of thousands, at a start, few have changed.
    fn recognise(&mut self, found: &Found) -> bool {
        let unchanged = |position: &&Position| {
            (position.device, position.size, position.modified) == (found.device, found.size, found.modified)
                && position.modified != 0
                // One of which nothing was read is not done with, whatever was thought of it.
                && ((position.finished_at.is_some() && (position.offset > 0 || found.size == 0))
                    || (self.missing.contains(&position.generation)
                        && position.offset == found.size
                        && Path::new(&position.path) == found.path))
        };
        let Some(position) = self.known.with_inode(found.inode).find(unchanged) else { return false };
        let (generation, finished) = (position.generation, position.finished_at.is_some());
        self.missing.remove(&generation);
        self.list(found, if finished { State::Settled } else { State::Closed }, generation);
        true
    }

    /// A followed, closed file that has changed.
    pub(super) fn revive(
        &mut self,
        generation: u64,
        found: &Found,
        now: Millis,
        notices: &mut Vec<Notice>,
    ) -> io::Result<()> {
        let Some(position) = self.known.get(generation).cloned() else { return Ok(()) };
        if position.offset == 0
            && found.size == 0
            && position.path == found.path.to_string_lossy()
            && let Some(listed) = self.listed.get_mut(&(found.device, found.inode))
        {
            self.waiting.remove(&(listed.reached, generation));
            (listed.size, listed.modified) = (0, found.modified);
            return Ok(());
        }
        let mut input = open_as_found(found)?;
        let reached = self.listed.get(&(found.device, found.inode)).map(|one| (one.reached, one.size));
        let (reached, size_before) = reached.unwrap_or((Millis::MIN, 0));
        let plain = input.compression() == Compression::None;
        if position.offset == 0 {
            // It was empty when it was found, which says nothing of what it is: its inode may be that of another file by now.
            let mut head = [0; PREFIX];
            let count = input.read_at(&mut head, 0)?;
            let head = &head[..count];
            let copy = plain && self.is_copy(found, &mut input, head)?;
            let known = self.that_fits(found.source, &self.known.with_head(head), &mut input)?;
            if copy || (size_before == 0 && (!plain || known.is_some())) {
                self.waiting.remove(&(reached, generation));
                self.finish(Position { finished_at: Some(now), ..position });
                self.listed.remove(&(found.device, found.inode));
                return self.meet(found, now, notices);
            }
            let reached = (size_before > 0).then_some(reached);
            return self.resume(generation, found, input, reached, now, notices);
        }
        if position.fits(&mut input)? {
            return self.resume(generation, found, input, Some(reached), now, notices);
        }
        let unread = position.unread();
        self.waiting.remove(&(reached, generation));
        let rewritten = Rewritten { source: found.source, unread, stopped: false, shorter: None, input: None };
        self.rewritten(position, rewritten, now, notices)?;
        self.meet(found, now, notices)
    }

    /// Whether content goes on from a file that is followed: a copy, as copytruncate makes it before it truncates. The original is read on;
    /// once it is truncated, the copy takes its place. A "copy" that is longer than its original is a file of its own.
    fn is_copy(&mut self, found: &Found, input: &mut Input, head: &[u8]) -> io::Result<bool> {
        for open in &mut self.open {
            if open.identity() == (found.device, found.inode) || open.ending {
                continue;
            }
            if open.follower.position.offset == 0 {
                // Nothing was read of it yet: its bytes themselves say whether it is the original.
                let beginning = open.follower.content.beginning();
                let shared = beginning.len().min(head.len());
                let copy = shared > 0
                    && beginning[..shared] == head[..shared]
                    && found.size <= open.follower.input.metadata()?.size()
                    && content::begins_with(&mut open.follower.input, input, found.size)?;
                if copy {
                    return Ok(true);
                }
                continue;
            }
            if !open.follower.content.shares_head(head) {
                continue;
            }
            let kept = open.follower.kept();
            let (intact, size) = open.follower.intact()?;
            let copy = if kept.fits(input)? {
                !intact || found.size <= size
            } else if intact {
                // A copy that is still being made, or one that was read past before the truncation.
                open.follower.begins_with(input, found.size)?
            } else {
                // Truncated, and not noticed yet; `rewritten` will look for the copy.
                open.follower.shorter_copy(input)?.is_some()
            };
            if copy {
                return Ok(true);
            }
        }
        for generation in self.known.with_head(head) {
            let Some(position) = self.known.get(generation).filter(|position| self.is_followed(position)) else {
                continue;
            };
            if (position.device, position.inode) == (found.device, found.inode) {
                continue;
            }
            let fits = position.fits(input)?;
            if !fits && (found.size >= position.offset || position.shorter_copy(input)?.is_none()) {
                continue;
            }
            // As above. The bytes themselves are compared, so that a file that begins alike and goes on otherwise is not held back.
            let original = Input::open(Path::new(&position.path));
            let copy = original.map_or(Ok(true), |mut original| {
                let size = original.metadata()?.size();
                if !position.fits(&mut original).unwrap_or(false) {
                    return Ok(true);
                }
                if fits { Ok(found.size <= size) } else { content::begins_with(&mut original, input, found.size) }
            })?;
            if copy {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn meet_compressed(
        &mut self,
        found: &Found,
        mut input: Input,
        head: &[u8],
        now: Millis,
        notices: &mut Vec<Notice>,
    ) -> io::Result<()> {
        if self.is_unread(&found.path.with_extension("")) || self.is_being_read(head) {
            self.list(found, State::Copy, 0);
            self.rejudge = true;
            return Ok(());
        }
        let candidates = self.known.with_head(head);
        let fits = |position: &Position, input: &mut Input| position.fits(input).unwrap_or(false);
        // While the original is there, what is read of it is not read here.
        let mut original = self.open.iter().any(|open| {
            !open.ending && open.follower.content.shares_head(head) && fits(&open.follower.kept(), &mut input)
        });
        original |= candidates.iter().any(|generation| {
            let position = self.known.get(*generation).filter(|position| self.is_followed(position));
            position.is_some_and(|position| fits(position, &mut input))
        });
        // Only a complete file is judged: a compressor may still be writing it.
        if original || !complete(&mut input)? {
            self.list(found, State::Copy, 0);
            return Ok(());
        }
        // One of which nothing was read yet has only its inode.
        let unread = self.known.with_inode(found.inode).find(|position| {
            position.offset == 0
                && position.size == found.size
                && self.missing.contains(&position.generation)
                && position.source == self.sources[found.source].source.name
        });
        let unread = unread.map(|position| position.generation);
        match self.that_fits(found.source, &candidates, &mut input)?.or(unread) {
            Some(generation) => self.resume(generation, found, input, None, now, notices),
            None if self.skips_to_end(found.source) => {
                self.list(found, State::Settled, 0);
                Ok(())
            }
            None => self.start(found, input, now, notices),
        }
    }

    /// Whether a followed file lies at a path that is not read to its end: what was compressed of it cannot be told yet.
    fn is_unread(&self, path: &Path) -> bool {
        let Some(there) = self.patterns.at(path) else { return false };
        let identity = (there.device, there.inode);
        match self.listed.get(&identity) {
            Some(one) if one.state == State::Open => {
                self.open.iter().any(|open| open.identity() == identity && open.unread() > 0)
            }
            Some(one) => self.waiting.contains(&(one.reached, one.generation)),
            None => false,
        }
    }

    /// Whether a file is open that begins with these bytes and of which less than them was read.
    fn is_being_read(&mut self, head: &[u8]) -> bool {
        let mut now = [0; PREFIX];
        self.open.iter_mut().filter(|open| !open.ending && open.follower.position.offset < head.len() as u64).any(
            |open| {
                let count = open.follower.input.read_at(&mut now[..head.len()], 0).unwrap_or(0);
                !head.is_empty() && now[..count] == *head
            },
        )
    }

    fn skips_to_end(&self, source: usize) -> bool {
        self.fresh.contains(&source) && self.sources[source].source.start == Start::End
    }

    /// Goes on reading a file of which a position is known.
    pub(super) fn resume(
        &mut self,
        generation: u64,
        found: &Found,
        input: Input,
        reached: Option<Millis>,
        now: Millis,
        notices: &mut Vec<Notice>,
    ) -> io::Result<()> {
        let mut position = self.known.get(generation).cloned().expect("looked up before");
        let before = (position.device, position.inode);
        position.finished_at = None;
        let path = found.path.to_string_lossy().into_owned();
        let renamed = position.path != path;
        position.path.clone_from(&path);
        // A file stays with its source for life, wherever it is found: the journal's stretches are read again by that one's grammar.
        let source = self.source_of(&position).unwrap_or(found.source);
        let followed = &self.sources[source];
        position.source.clone_from(&followed.source.name);
        let ending = input.compression() != Compression::None;
        let mut follower = Follower::new(input, position, followed.source.clone(), followed.tables.clone())?;
        self.known.remove(generation);
        self.missing.remove(&generation);
        if let Some(one) = self.listed.get(&before).filter(|one| one.generation == generation) {
            self.waiting.remove(&(one.reached, generation));
            self.listed.remove(&before);
        }
        if renamed {
            self.dirty.insert(generation);
            notices.push(Notice::Renamed { source, path });
        }
        let reached = reached.unwrap_or_else(|| follower.first_time().unwrap_or(Millis::MIN));
        self.list(&Found { source, ..found.clone() }, State::Open, generation);
        self.put(follower, source, ending, reached, now);
        Ok(())
    }

    /// A file of which nothing is known.
    pub(super) fn start(
        &mut self,
        found: &Found,
        input: Input,
        now: Millis,
        notices: &mut Vec<Notice>,
    ) -> io::Result<()> {
        let followed = &self.sources[found.source];
        let generation = self.next_generation;
        let path = found.path.to_string_lossy().into_owned();
        let position =
            Position { source: followed.source.name.clone(), path: path.clone(), generation, ..Position::default() };
        let ending = input.compression() != Compression::None;
        let mut follower = Follower::new(input, position, followed.source.clone(), followed.tables.clone())?;
        if !ending && self.skips_to_end(found.source) {
            follower.skip_to_end(&mut self.buffer)?;
        }
        self.next_generation += 1;
        self.dirty.insert(generation);
        notices.push(Notice::Opened { source: found.source, path });
        let reached = follower.first_time().unwrap_or(Millis::MIN);
        self.list(found, State::Open, generation);
        self.put(follower, found.source, ending, reached, now);
        Ok(())
    }

    fn put(&mut self, follower: Follower, source: usize, ending: bool, reached: Millis, now: Millis) {
        let standstill = (reached, 0);
        let (unnamed_since, active_at, idle, served) = (None, now, false, 0);
        self.open.push(Open { follower, source, ending, unnamed_since, reached, active_at, idle, served, standstill });
        self.make_room(now);
    }
}

/// Opens a file that a look found, if it is still the one at its path; if not, the next look finds both.
fn open_as_found(found: &Found) -> io::Result<Input> {
    let input = Input::open(&found.path)?;
    if input.identity()? != (found.device, found.inode) {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(input)
}

/// Whether a compressed file decompresses to its end.
fn complete(input: &mut Input) -> io::Result<bool> {
    let mut buffer = vec![0; 256 << 10];
    let mut at = 0;
    loop {
        match input.read_at(&mut buffer, at) {
            Ok(0) => return Ok(true),
            Ok(count) => at += count as u64,
            Err(error) if is_no_answer(&error, false) => return Err(error),
            Err(_) => return Ok(false),
        }
    }
}
