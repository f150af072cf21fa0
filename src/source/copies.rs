//! Whether a file holds nothing but what another one holds that is there, too: a copy, whole or in the making, plain or compressed. Their
//! bytes are compared, since heads are alike and a position says little of a file of which little was read. Not for files that are not
//! there any more (`identity`).

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ahash::AHashMap;
use crmwatch_detectors::Millis;

use super::discover::Found;
use super::follow::Follower;
use super::input::{Compression, Input, is_no_answer};
use super::position::{PREFIX, Position, TAIL};
use super::tailer::{CLOSED, Identity, Listed, Open, State, Tailer};

/// How much of a compressed text is read at once when its end is looked for.
const CHUNK: usize = 256 << 10;

/// The text of a whole file.
pub(super) struct Text {
    pub(super) input: Input,
    pub(super) ends: Ends,
}

/// A text as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) head: Vec<u8>,
    tail: Vec<u8>,
    pub(super) length: u64,
}

impl Text {
    /// Nothing where a compressed file does not decompress to its end: a compressor may still be writing it.
    pub(super) fn of(mut input: Input) -> io::Result<Option<Text>> {
        let compressed = input.compression() != Compression::None;
        match Ends::of(&mut input) {
            Ok(ends) => Ok(Some(Text { input, ends })),
            Err(error) if !compressed || is_no_answer(&error, false) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Whether it is a copy of what was read of a file, or was seen of an unread one: up to there at least, or of the beginning of it.
    pub(super) fn is_of(&mut self, position: &Position) -> io::Result<bool> {
        Ok(position.holds(&mut self.input)?
            || (self.ends.length < position.offset && position.shorter_copy(&mut self.input, false)?.is_some()))
    }
}

impl Ends {
    fn of(input: &mut Input) -> io::Result<Ends> {
        let mut head = vec![0; PREFIX];
        let count = input.read_at(&mut head, 0)?;
        head.truncate(count);
        let mut tail = Vec::new();
        if input.compression() == Compression::None {
            let length = input.metadata()?.size();
            tail.resize(usize::try_from(length).unwrap_or(TAIL).min(TAIL), 0);
            let from = length - tail.len() as u64;
            let count = input.read_at(&mut tail, from)?;
            tail.truncate(count);
            return Ok(Ends { head, tail, length });
        }
        let mut length = 0;
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = input.read_at(&mut buffer, length)?;
            if count == 0 {
                return Ok(Ends { head, tail, length });
            }
            length += count as u64;
            tail.extend_from_slice(&buffer[count.saturating_sub(TAIL)..count]);
            tail.drain(..tail.len().saturating_sub(TAIL));
        }
    }

    /// Whether another file begins with this text, as far as that is looked at. Not looked at is what lies between its ends.
    fn begins(&self, other: &mut Input) -> io::Result<bool> {
        let mut same = |bytes: &[u8], from: u64| -> io::Result<bool> {
            let mut theirs = vec![0; bytes.len()];
            Ok(other.read_at(&mut theirs, from)? == bytes.len() && theirs == bytes)
        };
        Ok(same(&self.head, 0)? && same(&self.tail, self.length - self.tail.len() as u64)?)
    }
}

/// A file that is left alone for now.
pub(super) struct Pending {
    pub(super) path: PathBuf,
    pub(super) until: Until,
    /// When it was last seen to have changed, by [`Tailer::steady`].
    pub(super) since: Millis,
    /// What it is compared by, once it is complete.
    pub(super) ends: Option<Ends>,
    /// The original's size and modification time, where that was closed: once they are others, they are compared again.
    pub(super) original: Option<(u64, i64)>,
}

/// When it is judged again, at the latest; once it has changed it always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// It is not complete.
    Changed,
    /// What it is to be compared with is on its way to another name.
    NextLook,
    /// It is a copy of what this generation has read or will read.
    Ends(u64),
}

impl Tailer {
    /// Whether a file was seen to be a copy of what this generation read, while the original was there, and has not changed since.
    pub(super) fn was_copy_of(&self, identity: Identity, generation: u64, ends: &Ends) -> bool {
        let pending = self.copies.get(&identity).filter(|pending| pending.until == Until::Ends(generation));
        pending.is_some_and(|pending| pending.ends.as_ref() == Some(ends))
    }

    /// Leaves a file alone until then.
    pub(super) fn hold(&mut self, found: &Found, until: Until, ends: Option<Ends>) {
        self.list(found, State::Copy, 0);
        let pending =
            Pending { path: found.path.clone(), until, since: self.steady, ends, original: self.stamp_of(until) };
        self.copies.insert((found.device, found.inode), pending);
    }

    /// Whether an open file still begins with what was taken for a copy of it: it may have been truncated since, and hold other lines by now
    /// behind the header, all that was read of it.
    pub(super) fn still_holds(open: &mut Open, pending: &Pending) -> bool {
        let Some(ends) = pending.ends.as_ref().filter(|_| open.follower.input.compression() == Compression::None)
        else {
            return true;
        };
        ends.begins(&mut open.follower.input).unwrap_or(true)
    }

    /// Size and modification time of a closed file of which another is a copy, as a look last saw them.
    fn stamp_of(&self, until: Until) -> Option<(u64, i64)> {
        let Until::Ends(generation) = until else { return None };
        stamp_of(&self.listed, self.known.get(generation)?)
    }

    /// Looks at what open files hold now: one that was written over a moment ago is compared by what stands there, too.
    pub(super) fn look_into_open(&mut self) {
        for open in &mut self.open {
            open.instead = None;
            if open.source == CLOSED || open.follower.input.compression() != Compression::None {
                continue;
            }
            if let Ok((false, _)) = open.follower.intact() {
                let mut head = vec![0; PREFIX];
                let count = open.follower.input.read_at(&mut head, 0).unwrap_or(0);
                head.truncate(count);
                open.instead = Some(head);
            }
        }
    }

    /// The file that is there and followed of which this one is a copy, if there is one. A "copy" that is longer than its original is none.
    pub(super) fn original(&mut self, me: Identity, path: &Path, text: &mut Text) -> io::Result<Option<Until>> {
        if text.ends.length == 0 {
            return Ok(None);
        }
        let shares = |head: &[u8], text: &Text| {
            let length = head.len().min(text.ends.head.len());
            length > 0 && head[..length] == text.ends.head[..length]
        };
        for open in &mut self.open {
            let generation = open.follower.position.generation;
            if open.source == CLOSED || open.identity() == me {
                continue;
            }
            if let Some(instead) = &open.instead {
                if shares(instead, text) && text.ends.begins(&mut open.follower.input)? {
                    return Ok(Some(Until::NextLook));
                }
                // Of what was read of it before it was written over: `resolve` looks for that.
                if shares(open.follower.content.head(), text)
                    && (matches!(open.follower.content.within_prefix(&mut text.input)?, Some(Some(_)))
                        || text.is_of(&open.follower.kept())?)
                {
                    return Ok(Some(Until::Ends(generation)));
                }
                continue;
            }
            let known = open.follower.content.head();
            if !known.is_empty() && !shares(known, text) {
                continue;
            }
            let same = match open.follower.input.compression() {
                Compression::None => text.ends.begins(&mut open.follower.input)?,
                _ => sound(open.follower.input.again().and_then(|mut input| text.ends.begins(&mut input)))?,
            };
            if same {
                return Ok(Some(Until::Ends(generation)));
            }
        }
        let mut closed: BTreeSet<u64> = self.known.with_head(&text.ends.head).into_iter().collect();
        closed.extend(stems(path).filter_map(|stem| {
            let metadata = std::fs::metadata(stem).ok()?;
            self.listed.get(&(metadata.dev(), metadata.ino())).map(|listed| listed.generation)
        }));
        for generation in closed {
            let Some(position) = self.known.get(generation) else { continue };
            if (position.device, position.inode) == me || !self.is_followed(position) {
                continue;
            }
            if let Some(until) = of_closed(position, self.listed.get(&(position.device, position.inode)), text)? {
                return Ok(Some(until));
            }
        }
        Ok(None)
    }
}

/// Size and modification time of a closed file, as a look last saw them; nothing where it is not followed.
pub(super) fn stamp_of(listed: &AHashMap<Identity, Listed>, position: &Position) -> Option<(u64, i64)> {
    let listed = listed.get(&(position.device, position.inode))?;
    let followed = listed.generation == position.generation && listed.state == State::Closed;
    followed.then_some((listed.size, listed.modified))
}

fn of_closed(position: &Position, listed: Option<&Listed>, text: &mut Text) -> io::Result<Option<Until>> {
    let path = Path::new(&position.path);
    let on_its_way = Ok(Some(Until::NextLook));
    let metadata = match std::fs::metadata(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(metadata) if (metadata.dev(), metadata.ino()) == (position.device, position.inode) => metadata,
        // A name that is not text leads nowhere: what is remembered must do.
        _ if position.path.contains('\u{fffd}') => {
            let copy = text.ends.length <= position.size.max(position.offset) && text.is_of(position)?;
            return Ok(copy.then_some(Until::Ends(position.generation)));
        }
        _ => return on_its_way,
    };
    // Many files of which only a header was read need not be opened for each newcomer.
    let unchanged = listed.is_some_and(|one| (one.size, one.modified) == (metadata.size(), Follower::stamp(&metadata)));
    if !position.compressed && unchanged && text.ends.length > metadata.size() {
        return Ok(None);
    }
    let mut original = match Input::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return on_its_way,
        original => original?,
    };
    if original.identity()? != (position.device, position.inode) {
        return on_its_way;
    }
    if sound(position.holds(&mut original))? {
        return Ok(sound(text.ends.begins(&mut original))?.then_some(Until::Ends(position.generation)));
    }
    // Written over, and not noticed yet.
    if text.is_of(position)? {
        return Ok(Some(Until::Ends(position.generation)));
    }
    if sound(text.ends.begins(&mut original))? { on_its_way } else { Ok(None) }
}

/// What does not decompress is not the same; what cannot be read may be.
pub(super) fn sound(same: io::Result<bool>) -> io::Result<bool> {
    match same {
        Err(error) if is_no_answer(&error, false) => Err(error),
        same => Ok(same.unwrap_or(false)),
    }
}

/// The names that a copy's name begins with, up to where one usually adds to a name.
fn stems(path: &Path) -> impl Iterator<Item = PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.match_indices(['.', '-', '_', '~']).filter(|(at, _)| *at > 0).map(|(at, _)| path.with_file_name(&name[..at]))
}
