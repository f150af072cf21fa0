//! Which file is it: one known from before, a copy, a compressed one, or new. Not for finding files (`look`), nor for what became of one
//! that is not where it was (`whereabouts`).
//!
//! One rule decides, whatever the file is called and however it is compressed. What holds nothing but what another file holds that is there
//! is a copy of it, and is left alone until that one is gone (`copies`). What holds all that was read of a file that is not there goes on from
//! its position. Everything else is new. Nothing is begun that cannot be judged: it is judged again when something has changed.
//!
//! Mistakes that this leaves possible cost nothing: where no more was read of a file than a header, any file with that header may be taken for
//! it, and is then read from behind the header, while the other is taken for a new one.

use std::cmp::Reverse;
use std::io;
use std::path::Path;

use crmwatch_detectors::Millis;

use super::content::{Content, HEADERS};
use super::copies::{Text, Until, sound};
use super::discover::Found;
use super::follow::Follower;
use super::input::{Compression, Input};
use super::notice::Notice;
use super::position::Position;
use super::tailer::{CLOSED, Open, State, Tailer};
use super::whereabouts::Cause;
use crate::config::Start;

/// What tells a compressed file from plain text, in bytes.
const MAGIC: u64 = 4;

/// Nor has a header more lines.
const HEADER_LINES: u64 = 8;

/// What a file is taken for.
enum Judged {
    /// A copy, or not to be told yet.
    Held(Until),
    /// It goes on from the position of a file that is not there.
    GoesOn(u64),
    /// All of it was read as this generation.
    Read(u64),
    /// Nothing is known of it.
    New,
}

impl Tailer {
    /// A file that is not followed: one known from before, a copy, a compressed sibling, or new. `itself`: false comes back, and nothing has
    /// happened, unless it is the file that its inode says.
    pub(super) fn meet(
        &mut self,
        found: &Found,
        itself: bool,
        now: Millis,
        notices: &mut Vec<Notice>,
    ) -> io::Result<bool> {
        if self.recognise(found) {
            return Ok(true);
        }
        self.forget_blank(found.inode);
        // A compressor made it and has written nothing yet: opened now, it would be taken for plain text.
        let to_be_compressed = found.path.extension().is_some_and(|ending| ending == "gz" || ending == "zst");
        if found.size < MAGIC && to_be_compressed {
            self.hold(found, Until::Changed, None);
            return Ok(true);
        }
        let Some(mut text) = Text::of(open_as_found(found)?)? else {
            self.hold(found, Until::Changed, None);
            return Ok(true);
        };
        let judged = self.judge(found, &mut text)?;
        let other = |generation: u64| self.known.get(generation).is_none_or(|position| position.inode != found.inode);
        match judged {
            Judged::New if itself => return Ok(false),
            Judged::GoesOn(generation) if itself && other(generation) => return Ok(false),
            Judged::Held(until) => self.hold(found, until, Some(text.ends)),
            Judged::GoesOn(generation) => self.resume(generation, found, text.input, None, now, notices)?,
            Judged::Read(generation) => self.set_aside(found, text, Some(generation), now)?,
            Judged::New if text.input.compression() != Compression::None && self.skips_to_end(found.source) => {
                self.set_aside(found, text, None, now)?;
            }
            Judged::New => {
                let empty = text.ends.length == 0;
                self.start(found, text.input, now, notices)?;
                // Of an empty one nobody knows yet whether it is to be a copy: it is looked at again once it holds something.
                let identity = (found.device, found.inode);
                let mine = |open: &Open| open.identity() == identity && open.source != CLOSED;
                if empty && let Some(at) = self.open.iter().position(mine) {
                    self.close(at, false);
                }
            }
        }
        Ok(true)
    }

    fn judge(&mut self, found: &Found, text: &mut Text) -> io::Result<Judged> {
        let identity = (found.device, found.inode);
        if let Some(until) = self.original(identity, &found.path, text)? {
            return Ok(Judged::Held(until));
        }
        // Of a file that was truncated a moment ago, what was read of it is remembered to the byte.
        for (generation, absence) in &self.missing {
            if let Some(content) = &absence.content
                && matches!(content.within_prefix(&mut text.input)?, Some(Some(_)))
            {
                return Ok(Judged::Held(Until::Ends(*generation)));
            }
        }
        let mut candidates: Vec<&Position> = self.known.with_inode(found.inode).collect();
        candidates.extend(self.known.with_head(&text.ends.head).into_iter().filter_map(|one| self.known.get(one)));
        let own = &self.sources[found.source].source.name;
        candidates.retain(|position| position.source == *own && !self.is_followed(position));
        // The one of which most is the same is meant: where all that was read of a file is a header, every file with that header goes on from
        // it.
        candidates.sort_by_key(|position| {
            let missing = self.missing.contains_key(&position.generation);
            let same = position.offset.max(position.prefix_length as u64);
            Reverse((same, missing, position.inode == found.inode, position.generation))
        });
        for position in candidates {
            let generation = position.generation;
            let finished = position.finished_at.is_some();
            if position.offset == 0 && finished {
                continue;
            }
            let listed = self.listed.get(&(position.device, position.inode));
            let there = listed.is_some_and(|one| one.generation == generation) && position.inode != found.inode;
            if sound(position.holds(&mut text.input))? {
                let exact = text.ends.length == position.offset;
                return Ok(match finished && exact && (position.whole || there) {
                    true => Judged::Read(generation),
                    // A file that was read to its very end has no longer copy: that is another one that begins alike.
                    false if finished && (there || (position.whole && !position.compressed)) => continue,
                    false => Judged::GoesOn(generation),
                });
            }
            let seen_to_be = self.was_copy_of(identity, generation, &text.ends);
            if text.ends.length < position.offset && position.shorter_copy(&mut text.input, seen_to_be)?.is_some() {
                return Ok(if finished { Judged::Read(generation) } else { Judged::Held(Until::Ends(generation)) });
            }
        }
        Ok(Judged::New)
    }

    /// A file all of which was read as another one, or that is passed over: it gets a position of its own, by which it is known at the next
    /// start without being looked into.
    fn set_aside(&mut self, found: &Found, mut text: Text, read_as: Option<u64>, now: Millis) -> io::Result<()> {
        let like = read_as.and_then(|generation| self.known.get(generation)).cloned().unwrap_or_default();
        let listed = self.listed.get(&(like.device, like.inode));
        let there = listed.is_some_and(|one| one.generation == like.generation);
        // Where that file is gone, this one takes its place.
        let generation = match read_as {
            Some(generation) if !there && text.ends.length == like.offset => generation,
            _ => {
                self.next_generation += 1;
                self.next_generation - 1
            }
        };
        let mut position = Position {
            source: self.sources[found.source].source.name.clone(),
            path: found.path.to_string_lossy().into_owned(),
            generation,
            device: found.device,
            inode: found.inode,
            offset: text.ends.length,
            size: found.size,
            modified: found.modified,
            compressed: text.input.compression() != Compression::None,
            finished_at: Some(now),
            whole: true,
            ..like
        };
        let content = Content::before(text.ends.length, &mut text.input, Vec::new())?;
        content.describe(&mut position);
        self.finish(position);
        self.list(found, State::Settled, generation);
        Ok(())
    }

    /// The source a position is of; nothing where the configuration has it no more.
    pub(super) fn source_of(&self, position: &Position) -> Option<usize> {
        self.sources.iter().position(|one| one.source.name == position.source)
    }

    /// Positions of empty files say nothing of what stands at their inodes now.
    fn forget_blank(&mut self, inode: u64) {
        let blank = |position: &&Position| position.is_blank() && !self.is_followed(position);
        let blank: Vec<u64> = self.known.with_inode(inode).filter(blank).map(|position| position.generation).collect();
        blank.into_iter().for_each(|generation| self.forget(generation));
    }

    /// A file that lies there as it was left is not even opened: of thousands, at a start, few have changed.
    fn recognise(&mut self, found: &Found) -> bool {
        let unchanged = |position: &&Position| {
            (position.device, position.size, position.modified) == (found.device, found.size, found.modified)
                && position.modified != 0
                && if position.finished_at.is_some() {
                    // One that was given up is not done with while something is left of it.
                    position.whole || (position.offset > 0 && (position.compressed || position.offset >= found.size))
                } else {
                    // Not one whose content was found to be another's a moment ago, by a clock that had not moved on.
                    self.missing.get(&position.generation).is_some_and(|absence| absence.cause == Cause::Stopped)
                        && position.offset == found.size
                        && !position.compressed
                        && Path::new(&position.path) == found.path
                }
        };
        let Some(position) = self.known.with_inode(found.inode).find(unchanged) else { return false };
        let (generation, finished) = (position.generation, position.finished_at.is_some());
        self.missing.remove(&generation);
        self.list(found, if finished { State::Settled } else { State::Closed }, generation);
        true
    }

    /// A followed, closed file that has changed, or is to be read. False where another one stands in its place, which is to be met then.
    pub(super) fn revive(
        &mut self,
        generation: u64,
        found: &Found,
        now: Millis,
        notices: &mut Vec<Notice>,
    ) -> io::Result<bool> {
        let identity = (found.device, found.inode);
        let Some(position) = self.known.get(generation).cloned() else { return Ok(true) };
        let Some(listed) = self.listed.get_mut(&identity) else { return Ok(true) };
        let before = *listed;
        if position.is_blank() {
            self.waiting.remove(&(before.reached, generation));
            if found.size == 0 && position.path == found.path.to_string_lossy() {
                (listed.size, listed.modified) = (0, found.modified);
                return Ok(true);
            }
            // It was empty when it was found, which says nothing of what it is: its inode may be that of another file by now.
            self.listed.remove(&identity);
            self.forget(generation);
            return Ok(false);
        }
        let mut input = open_as_found(found)?;
        let mut itself = sound(position.holds(&mut input))?;
        // A header is no proof: the inode may be another file's by now, or a copy's.
        let changed = before.size != found.size || before.modified != found.modified;
        if itself && changed && position.offset <= HEADERS && position.line <= HEADER_LINES {
            itself = position.source == self.sources[found.source].source.name;
            let text = Text::of(input.again()?)?;
            itself &= match text {
                Some(mut text) => self.original(identity, &found.path, &mut text)?.is_none(),
                None => false,
            };
        }
        if itself {
            self.resume(generation, found, input, Some(before.reached), now, notices)?;
            return Ok(true);
        }
        notices.push(Notice::Truncated { source: before.source, path: position.path.clone() });
        self.displaced(position, Cause::Truncated, None, None);
        Ok(false)
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
        (position.finished_at, position.whole) = (None, false);
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
        let (unnamed_since, active_at, idle, served, instead) = (None, self.steady, false, 0, None);
        let open =
            Open { follower, source, ending, unnamed_since, reached, active_at, idle, served, standstill, instead };
        self.open.push(open);
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
