//! What became of a file that is not where it was, or does not hold what it held: renamed out of sight, compressed, truncated after a copy was
//! made, deleted. Not for files that are where a pattern finds them (`identity`).

use std::io;
use std::path::{Path, PathBuf};

use crmwatch_detectors::Millis;

use super::content::Content;
use super::discover::{self, Found};
use super::follow::Follower;
use super::input::{Compression, Input, is_no_answer};
use super::notice::Notice;
use super::position::Position;
use super::tailer::{CLOSED, Identity, State, Tailer};

/// What is known of a file whose content is another one now.
pub(super) struct Rewritten {
    pub(super) source: usize,
    /// Bytes known to have been there and not read.
    pub(super) unread: Option<u64>,
    /// It happened while nobody looked: there may have been more.
    pub(super) stopped: bool,
    /// What the open file remembers beyond its position.
    pub(super) shorter: Option<Content>,
    /// The file itself, if it is open: by its path it may not be found any more. One that is not is met as a new one.
    pub(super) input: Option<Input>,
}

/// A file written to its end so much before the newest one of its source is not missed when it is gone after a stop.
const LONG_BEFORE: i64 = 3_600_000_000_000;

impl Tailer {
    /// A file truncated in place or replaced: what was not read of it may lie in a copy; the file itself, if it is open, is a new generation.
    pub(super) fn rewritten(
        &mut self,
        position: Position,
        what: Rewritten,
        now: Millis,
        notices: &mut Vec<Notice>,
    ) -> io::Result<()> {
        let Rewritten { source, unread, stopped, shorter, input } = what;
        // Its inode may be that of another source's file by now: it stays with its own.
        let source = self.source_of(&position).unwrap_or(source);
        let path = position.path.clone();
        let identity = (position.device, position.inode);
        // What stands at the path is not the file meant: it must not be found as its own copy.
        let listed = self.listed.remove(&identity);
        let whole = match self.elsewhere(&position, Some(identity)) {
            Ok(whole) => whole.map(|(copy, input)| (copy, input, position.offset)),
            Err(error) => {
                self.listed.extend(listed.map(|listed| (identity, listed)));
                return Err(error);
            }
        };
        notices.push(Notice::Truncated { source, path: path.clone() });
        let lost = |notices: &mut Vec<Notice>| {
            let bytes = unread.filter(|bytes| *bytes > 0);
            let cause = if stopped { "gone_while_stopped" } else { "truncated" };
            if bytes.is_some() || stopped {
                notices.push(Notice::Lost { source, path: path.clone(), bytes, cause });
            }
        };
        let copy = whole.or_else(|| self.shorter_copy(&position, identity, shorter.as_ref()));
        match copy.or_else(|| self.unread_copy(&position, identity, shorter.as_ref().map_or(&[], Content::beginning))) {
            Some((copy, input, offset)) => {
                if offset < position.offset && unread.is_some_and(|bytes| bytes > 0) {
                    lost(notices);
                }
                let found = found_at(source, copy, &input);
                self.finish(Position { offset, ..position.clone() });
                if let Err(error) = self.resume(position.generation, &found, input, Some(Millis::MIN), now, notices) {
                    self.missing.insert(position.generation);
                    self.unreadable(&found.path, &error, notices);
                }
            }
            None => {
                lost(notices);
                self.finish(Position { finished_at: Some(now), ..position });
            }
        }
        if let Some(input) = input {
            let found = found_at(source, path.into(), &input);
            if let Err(error) = self.start(&found, input, now, notices) {
                self.unreadable(&found.path, &error, notices);
            }
        }
        Ok(())
    }

    /// A closed file that no pattern names any more.
    pub(super) fn gone(&mut self, generation: u64, now: Millis, notices: &mut Vec<Notice>) {
        let Some(position) = self.known.get(generation).cloned() else { return };
        let Some(listed) = self.listed.remove(&(position.device, position.inode)) else { return };
        self.waiting.remove(&(listed.reached, generation));
        match self.elsewhere(&position, None) {
            Ok(Some((path, input))) => {
                self.follow_elsewhere(generation, listed.source, path, input, listed.reached, now, notices);
                return;
            }
            Ok(None) => {}
            Err(error) => {
                self.listed.insert((position.device, position.inode), listed);
                self.unreadable(Path::new(&position.path), &error, notices);
                return;
            }
        }
        let (source, path) = (listed.source, position.path.clone());
        let bytes = position.unread();
        if bytes.is_some() {
            notices.push(Notice::Lost { source, path: path.clone(), bytes, cause: "deleted" });
        }
        notices.push(Notice::Finished { source, path });
        self.finish(Position { finished_at: Some(now), ..position });
    }

    /// A position from before the start whose file no pattern names: looked for among its siblings, given up otherwise.
    pub(super) fn gone_while_stopped(&mut self, generation: u64, now: Millis, notices: &mut Vec<Notice>) {
        let Some(position) = self.known.get(generation).cloned() else { return };
        let Some(source) = self.source_of(&position) else { return };
        match self.elsewhere(&position, None) {
            Ok(Some((path, input))) => {
                self.follow_elsewhere(generation, source, path, input, Millis::MIN, now, notices);
                return;
            }
            Ok(None) => {}
            Err(error) => {
                self.missing.insert(generation);
                self.unreadable(Path::new(&position.path), &error, notices);
                return;
            }
        }
        if (position.offset > 0 || position.prefix_length > 0 || position.size > 0) && !self.was_done_with(&position) {
            let bytes = position.unread();
            let path = position.path.clone();
            notices.push(Notice::Lost { source, path, bytes, cause: "gone_while_stopped" });
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

    #[allow(clippy::too_many_arguments, reason = "a file and all that is known of it")]
    fn follow_elsewhere(
        &mut self,
        generation: u64,
        source: usize,
        path: PathBuf,
        input: Input,
        reached: Millis,
        now: Millis,
        notices: &mut Vec<Notice>,
    ) {
        let found = found_at(source, path, &input);
        if let Err(error) = self.resume(generation, &found, input, Some(reached), now, notices) {
            self.missing.insert(generation);
            self.unreadable(&found.path, &error, notices);
            return;
        }
        if let Some(open) = self.open.iter_mut().find(|open| open.follower.position.generation == generation) {
            open.unnamed_since = Some(now);
        }
    }

    /// A sibling, followed by nobody, that goes on from a position: the file itself under another name first, then its content.
    /// An error where one could not be looked into: nobody knows then whether it was the one.
    fn elsewhere(&self, position: &Position, except: Option<Identity>) -> io::Result<Option<(PathBuf, Input)>> {
        let siblings = self.strangers(position);
        let (itself, others): (Vec<_>, Vec<_>) = siblings.into_iter().partition(|(_, inode)| *inode == position.inode);
        let mut unknown = None;
        for (path, inode) in itself.into_iter().chain(others) {
            let goes_on = Input::open(&path).and_then(|mut input| {
                let identity = input.identity()?;
                if Some(identity) == except {
                    return Ok(None);
                }
                let same_file = position.offset == 0 && inode == position.inode && !self.listed.contains_key(&identity);
                Ok((same_file || position.fits(&mut input)?).then_some(input))
            });
            match goes_on {
                Ok(Some(input)) => return Ok(Some((path, input))),
                Err(error) if is_no_answer(&error, true) => unknown = Some(error),
                Ok(None) | Err(_) => {}
            }
        }
        unknown.map_or(Ok(None), Err)
    }

    /// A file that begins like one of which nothing was read, and is no longer: one taken for its copy, or one as long as it was that nobody
    /// has met yet.
    fn unread_copy(&self, position: &Position, original: Identity, head: &[u8]) -> Option<(PathBuf, Input, u64)> {
        if position.offset > 0 || head.is_empty() {
            return None;
        }
        self.strangers(position).into_iter().find_map(|(path, _)| {
            let mut input = Input::open(&path).ok()?;
            let found = found_at(0, PathBuf::new(), &input);
            let identity = (found.device, found.inode);
            if input.compression() != Compression::None {
                return None;
            }
            let candidate = match self.listed.get(&identity) {
                Some(listed) => listed.state == State::Copy && found.size <= position.size,
                None => found.size == position.size,
            };
            let mut now = vec![0; head.len()];
            let count = input.read_at(&mut now, 0).ok()?;
            (candidate && identity != original && count == head.len() && now == head).then_some((path, input, 0))
        })
    }

    /// A sibling that is a copy of what was read of a file, made a moment before the last of it was written; and where it ends.
    fn shorter_copy(
        &self,
        position: &Position,
        original: Identity,
        content: Option<&Content>,
    ) -> Option<(PathBuf, Input, u64)> {
        self.strangers(position).into_iter().find_map(|(path, _)| {
            let mut input = Input::open(&path).ok()?;
            if input.identity().ok()? == original {
                return None;
            }
            let within = content.and_then(|content| content.within_prefix(&mut input).ok()).flatten();
            let end = within.unwrap_or_else(|| position.shorter_copy(&mut input).ok().flatten())?;
            Some((path, input, end))
        })
    }

    /// Files beside that of a position whose names start like its, and those taken for copies, which nobody follows; with their inodes.
    fn strangers(&self, position: &Position) -> Vec<(PathBuf, u64)> {
        let path = Path::new(&position.path);
        let mut strangers = discover::siblings_with_inodes(path);
        // Where the log is known by a link, its copies lie beside the file itself.
        if let Ok(target) = std::fs::read_link(path).and_then(|_| std::fs::canonicalize(path)) {
            strangers.extend(discover::siblings_with_inodes(&target));
        }
        strangers.extend(self.copies_of(&position.source).map(|((_, inode), path)| (path.clone(), *inode)));
        strangers.sort_unstable();
        strangers.dedup();
        strangers.retain(|(_, inode)| {
            // A folder lies on one device, links aside; those are opened and judged by content.
            let listed = self.listed.get(&(position.device, *inode));
            !listed.is_some_and(|one| matches!(one.state, State::Open | State::Closed))
        });
        strangers
    }

    /// Files taken for copies of a source's own.
    fn copies_of<'t>(&'t self, source: &'t str) -> impl Iterator<Item = (&'t Identity, &'t PathBuf)> {
        self.copies.iter().filter(move |(identity, _)| {
            self.listed.get(*identity).is_some_and(|one| self.sources[one.source].source.name == source)
        })
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

fn found_at(source: usize, path: PathBuf, input: &Input) -> Found {
    use std::os::unix::fs::MetadataExt;
    let metadata = input.metadata();
    let (device, inode, size, modified) =
        metadata.map_or((0, 0, 0, 0), |one| (one.dev(), one.ino(), one.size(), Follower::stamp(&one)));
    Found { modified, source, path, device, inode, size }
}
