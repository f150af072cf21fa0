//! What became of a file that is not where it was, or does not hold what it held: renamed out of sight, compressed, truncated after a copy was
//! made, deleted. Not for files that are where a pattern finds them (`identity`).

use std::io;
use std::path::{Path, PathBuf};

use crmwatch_detectors::Millis;

use super::content::Content;
use super::copies::Text;
use super::discover::{self, Found};
use super::follow::Follower;
use super::input::{Compression, Input, is_no_answer};
use super::notice::Notice;
use super::position::{PREFIX, Position};
use super::rounds::GRACE;
use super::tailer::{CLOSED, Identity, State, Tailer};

/// Why a position has no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It is from before the start, and its file was not found yet.
    Stopped,
    /// The file was truncated or overwritten in place, or another one stands in its place.
    Truncated,
    /// No pattern names it any more.
    Unseen,
}

/// A position whose file is looked for.
pub(super) struct Absence {
    pub(super) cause: Cause,
    /// Bytes known to have been there and not read.
    unread: Option<u64>,
    /// What an open file remembers beyond its position.
    pub(super) content: Option<Content>,
    /// Looks at the folders in which it was not found, and since when it is looked for.
    looks: u32,
    since: Millis,
}

impl Absence {
    pub(super) fn stopped(position: &Position) -> Absence {
        Absence { cause: Cause::Stopped, unread: position.unread(), content: None, looks: 0, since: 0 }
    }
}

/// A file written to its end so much before the newest one of its source is not missed when it is gone after a stop.
const LONG_BEFORE: i64 = 3_600_000_000_000;
/// A folder in which a file seems to be missing is listed so often: while it is listed, names may change.
const LOOKS: u32 = 2;
/// And so often at once where files went away between the listing and the opening.
const LISTINGS: u32 = 4;

/// What a search for a position's file came to.
enum Search {
    /// Here, and reading goes on at this offset.
    Found(PathBuf, Input, u64),
    /// A compressor is at work, or what stands there cannot be told yet.
    Wait,
    /// All there was of it is also in another file that is followed.
    Covered,
    Nowhere,
}

impl Tailer {
    /// A position has lost its file; it is looked for at this look or the next ones. The caller says what stands in its place.
    pub(super) fn displaced(
        &mut self,
        position: Position,
        cause: Cause,
        unread: Option<u64>,
        content: Option<Content>,
    ) {
        let generation = position.generation;
        let identity = (position.device, position.inode);
        if let Some(listed) = self.listed.get(&identity).copied()
            && listed.generation == generation
        {
            self.waiting.remove(&(listed.reached, generation));
            self.listed.remove(&identity);
        }
        let unread = unread.or_else(|| position.unread());
        let absence = Absence { cause, unread, content, looks: 0, since: self.steady };
        self.missing.insert(generation, absence);
        self.dirty.insert(generation);
        self.known.insert(position);
    }

    /// Looks for the files of all positions that have none; at a look at all folders those that were not found twice are given up.
    pub(super) fn resolve_all(&mut self, now: Millis, notices: &mut Vec<Notice>) {
        let missing: Vec<u64> = self.missing.keys().copied().collect();
        self.beside.clear();
        for generation in missing {
            self.resolve(generation, true, now, notices);
            self.sweep();
        }
        self.beside.clear();
    }

    /// Looks for the file of a position that has none.
    pub(super) fn resolve(&mut self, generation: u64, whole: bool, now: Millis, notices: &mut Vec<Notice>) {
        if !self.missing.contains_key(&generation) {
            return;
        }
        let Some(position) = self.known.get(generation).cloned() else {
            self.missing.remove(&generation);
            return;
        };
        let Some(source) = self.source_of(&position) else { return };
        if position.is_blank() {
            if whole {
                self.forget(generation);
            }
            return;
        }
        match self.search(&position, !whole) {
            Err(error) => self.unreadable(Path::new(&position.path), &error, notices),
            Ok(Search::Found(path, input, offset)) => {
                let absence = self.missing.get(&generation).expect("it is missing");
                if offset < position.offset
                    && let Some(bytes) = absence.unread.filter(|bytes| *bytes > 0)
                {
                    // What was written after the copy was made and before the truncation.
                    let (path, bytes) = (position.path.clone(), Some(bytes));
                    notices.push(Notice::Lost { source, path, bytes, cause: "truncated" });
                }
                let found = found_at(source, path, &input);
                self.known.insert(Position { offset, ..position });
                if let Err(error) = self.resume(generation, &found, input, Some(Millis::MIN), now, notices) {
                    self.unreadable(&found.path, &error, notices);
                    return;
                }
                // Its new name may be none that a pattern knows; the next look tells.
                let since = self.steady;
                if let Some(open) = self.open.iter_mut().find(|open| open.follower.position.generation == generation) {
                    open.unnamed_since = Some(since);
                }
            }
            Ok(Search::Covered) => self.finish(Position { finished_at: Some(now), ..position }),
            Ok(search) => {
                let steady = self.steady;
                let Some(absence) = self.missing.get_mut(&generation).filter(|_| whole) else { return };
                absence.looks += 1;
                if absence.since == 0 {
                    absence.since = steady;
                }
                let waits = matches!(search, Search::Wait) && steady - absence.since < GRACE;
                if absence.looks >= LOOKS && !waits {
                    self.give_up(position, source, now, notices);
                }
            }
        }
    }

    fn give_up(&mut self, position: Position, source: usize, now: Millis, notices: &mut Vec<Notice>) {
        let Some(absence) = self.missing.remove(&position.generation) else { return };
        let path = position.path.clone();
        let bytes = absence.unread.filter(|bytes| *bytes > 0);
        let (told, cause) = match absence.cause {
            Cause::Stopped => (bytes.is_some() || !self.was_done_with(&position), "gone_while_stopped"),
            Cause::Truncated => (bytes.is_some(), "truncated"),
            Cause::Unseen => (bytes.is_some(), "deleted"),
        };
        if told {
            notices.push(Notice::Lost { source, path: path.clone(), bytes, cause });
        }
        if absence.cause == Cause::Unseen {
            notices.push(Notice::Finished { source, path });
        }
        self.finish(Position { finished_at: Some(now), ..position });
    }

    /// Whether a file had been read to its end when others of its source were still written long after: a rotated one that was deleted in due
    /// time.
    fn was_done_with(&self, position: &Position) -> bool {
        let of_source = self.known.iter().filter(|one| one.source == position.source).map(|one| one.modified);
        let open = self.open.iter().filter(|one| one.follower.position.source == position.source);
        let newest = of_source.chain(open.map(|one| one.follower.modified)).max().unwrap_or_default();
        position.size > 0 && position.size <= position.offset && position.modified < newest.saturating_sub(LONG_BEFORE)
    }

    /// A sibling, followed by nobody, that goes on from a position: the file itself under another name first, then its content, then a copy
    /// made a moment before the last of it was written. An error where one could not be looked into: nobody knows then whether it was the one.
    fn search(&mut self, position: &Position, anew: bool) -> io::Result<Search> {
        let mut search = Search::Nowhere;
        for listing in 0..LISTINGS {
            let strangers = self.strangers(position, anew || listing > 0);
            let (itself, others): (Vec<_>, Vec<_>) =
                strangers.into_iter().partition(|(_, inode)| *inode == position.inode);
            let (mut vanished, mut unknown, mut shorter) = (false, None, None);
            search = Search::Nowhere;
            for (path, _) in itself.into_iter().chain(others) {
                match self.goes_on(position, &path) {
                    Ok(Search::Found(path, input, offset)) if offset < position.offset => {
                        shorter.get_or_insert((path, input, offset));
                    }
                    Ok(Search::Nowhere) => {}
                    Ok(Search::Covered) => search = Search::Covered,
                    Ok(Search::Wait) if matches!(search, Search::Covered) => {}
                    Ok(Search::Wait) => search = Search::Wait,
                    Ok(found) => return Ok(found),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => vanished = true,
                    Err(error) if is_no_answer(&error, true) => unknown = Some(error),
                    Err(_) => {}
                }
            }
            // It may have gone by another name meanwhile, or have become a compressed one.
            if vanished {
                continue;
            }
            return match (shorter, unknown) {
                (Some((path, input, offset)), _) => Ok(Search::Found(path, input, offset)),
                (None, Some(error)) => Err(error),
                (None, None) => Ok(search),
            };
        }
        Ok(search)
    }

    /// Whether reading can go on in this file.
    fn goes_on(&mut self, position: &Position, path: &Path) -> io::Result<Search> {
        let mut input = Input::open(path)?;
        let identity = input.identity()?;
        let listed = self.listed.get(&identity).map(|one| one.state);
        if listed.is_some_and(|state| state != State::Copy) {
            return Ok(Search::Nowhere);
        }
        let mut head = [0; PREFIX];
        let compressed = input.compression() != Compression::None;
        let begins = match input.read_at(&mut head, 0) {
            Err(error) if compressed && !is_no_answer(&error, false) => return Ok(Search::Wait),
            count => position.begins_alike(&head[..count?]),
        };
        let content = self.missing.get(&position.generation).and_then(|one| one.content.clone());
        if !begins && content.is_none() {
            return Ok(Search::Nowhere);
        }
        let Some(mut text) = Text::of(input)? else { return Ok(Search::Wait) };
        let mut offset = position.holds(&mut text.input)?.then_some(position.offset);
        // Of one of which nothing was read only the first bytes are known: a stranger that no pattern names is a copy only if it is no longer.
        if position.offset == 0
            && listed.is_none()
            && identity != (position.device, position.inode)
            && !compressed
            && text.ends.length > position.size
        {
            offset = None;
        }
        if offset.is_none() {
            let within = content.as_ref().map(|content| content.within_prefix(&mut text.input)).transpose()?.flatten();
            offset = match within {
                Some(end) => end,
                None => position
                    .shorter_copy(&mut text.input, self.was_copy_of(identity, position.generation, &text.ends))?,
            };
        }
        let Some(offset) = offset else { return Ok(Search::Nowhere) };
        // While the original of a copy is there, the copy is nobody else's.
        if self.original(identity, path, &mut text)?.is_some() {
            return Ok(match identity == (position.device, position.inode) {
                true => Search::Wait,
                // A header, as a rule.
                false if text.ends.length >= position.size && position.size > 0 => Search::Covered,
                false => Search::Nowhere,
            });
        }
        Ok(Search::Found(path.to_owned(), text.input, offset))
    }

    /// Files beside that of a position whose names start like its, and those taken for copies, which nobody follows; with their inodes.
    fn strangers(&mut self, position: &Position, anew: bool) -> Vec<(PathBuf, u64)> {
        let path = Path::new(&position.path);
        let mut strangers = self.beside(path, position.device, anew);
        // Where the log is known by a link, its copies lie beside the file itself.
        if let Ok(target) = std::fs::read_link(path).and_then(|_| std::fs::canonicalize(path)) {
            strangers.extend(self.beside(&target, position.device, anew));
        }
        strangers.extend(self.copies_of(&position.source).map(|((_, inode), path)| (path.clone(), *inode)));
        strangers.sort_unstable();
        strangers.dedup();
        strangers
    }

    /// Thousands of files that went away at once are looked for in one list of their folder.
    fn beside(&mut self, path: &Path, device: u64, anew: bool) -> Vec<(PathBuf, u64)> {
        let key = (discover::family(path), device);
        if let Some(beside) = self.beside.get(&key).filter(|_| !anew) {
            return beside.clone();
        }
        let mut beside = discover::siblings_with_inodes(path);
        // A folder lies on one device, links aside; those are opened and judged by content.
        beside.retain(|(_, inode)| self.listed.get(&(device, *inode)).is_none_or(|one| one.state == State::Copy));
        self.beside.insert(key, beside.clone());
        beside
    }

    /// Files taken for copies of a source's own.
    fn copies_of<'t>(&'t self, source: &'t str) -> impl Iterator<Item = (&'t Identity, &'t PathBuf)> {
        let own = self.copies.iter().filter(move |(identity, _)| {
            self.listed.get(*identity).is_some_and(|one| self.sources[one.source].source.name == source)
        });
        own.map(|(identity, pending)| (identity, &pending.path))
    }

    /// Deleted files are held open only so far as the source allows; the longest deleted is given up first.
    pub(super) fn give_up_deleted(&mut self, now: Millis, notices: &mut Vec<Notice>) {
        for source in 0..self.sources.len() {
            let allowed = self.sources[source].source.hold_deleted;
            let mut held: Vec<(Millis, usize, u64)> = Vec::new();
            for (at, open) in self.open.iter().enumerate().filter(|(_, open)| open.source == source) {
                if let Some(since) = open.unnamed_since
                    && open.follower.unlinked()
                {
                    held.push((since, at, open.unread()));
                }
            }
            held.sort_unstable();
            let mut sum: u64 = held.iter().map(|(_, _, bytes)| bytes).sum();
            for (_, at, bytes) in held {
                if sum <= allowed {
                    break;
                }
                sum -= bytes;
                let open = &mut self.open[at];
                open.source = CLOSED;
                let (position, identity) = (open.follower.kept(), open.identity());
                self.listed.remove(&identity);
                let path = position.path.clone();
                notices.push(Notice::Lost { source, path, bytes: Some(bytes), cause: "deleted_limit" });
                self.finish(Position { finished_at: Some(now), ..position });
            }
        }
        self.open.retain(|open| open.source != CLOSED);
    }
}

pub(super) fn found_at(source: usize, path: PathBuf, input: &Input) -> Found {
    use std::os::unix::fs::MetadataExt;
    let metadata = input.metadata();
    let (device, inode, size, modified) =
        metadata.map_or((0, 0, 0, 0), |one| (one.dev(), one.ino(), one.size(), Follower::stamp(&one)));
    Found { modified, source, path, device, inode, size }
}
