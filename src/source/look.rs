//! A look at the folders, or at a few paths: what is new, what has changed, what goes by another name, what is not there any more. Not for
//! what is to be thought of it (`identity`, `whereabouts`).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use ahash::{AHashMap, RandomState};
use crmwatch_detectors::Millis;

use super::copies::{Until, stamp_of};
use super::discover::{Entry, Found};
use super::notice::Notice;
use super::position::Position;
use super::tailer::{CLOSED, Identity, Listed, Open, State, Tailer};
use super::whereabouts::Cause;

/// A compressed file that is not complete and has not changed for so long is told of.
const STUCK: Millis = 300_000;
/// Compressed files up to this size are looked into at each change.
const SMALL: u64 = 1 << 20;

/// What differs from what is remembered.
#[derive(Default)]
struct Sight {
    /// New files, and closed ones that have changed.
    changed: Vec<Found>,
    /// Followed files under a name that is not theirs.
    moved: Vec<Found>,
}

impl Sight {
    fn compare(
        &mut self,
        listed: &mut AHashMap<Identity, Listed>,
        hasher: &RandomState,
        looks: u32,
        entry: &Entry<'_>,
    ) {
        use std::os::unix::ffi::OsStrExt;
        let Some(one) = listed.get_mut(&(entry.device, entry.inode)) else {
            self.changed.push(entry.found());
            return;
        };
        one.seen = looks;
        let own = one.name == hasher.hash_one((entry.folder.as_os_str().as_bytes(), entry.name.as_bytes()));
        if own {
            one.named = looks;
        }
        let same = one.size == entry.size && one.modified == entry.modified;
        match one.state {
            State::Closed | State::Settled | State::Copy if !same => self.changed.push(entry.found()),
            State::Open | State::Closed if !own => self.moved.push(entry.found()),
            _ => {}
        }
    }
}

impl Tailer {
    /// Looks at the folders: new files, renamed ones, ones that went away.
    pub fn look(&mut self, now: Millis, notices: &mut Vec<Notice>) {
        self.tick(now);
        self.looks = self.looks.wrapping_add(1);
        self.exhausted.1 = false;
        let mut sight = Sight::default();
        let Tailer { patterns, listed, hasher, looks, .. } = self;
        let look = patterns.look(&mut |entry| sight.compare(listed, hasher, *looks, entry));
        for (path, error) in look.unreadable {
            self.unreadable(&path, &error, notices);
        }
        for source in look.empty {
            if self.told.insert(format!("waiting {source}")) {
                notices.push(Notice::Waiting { source });
            }
        }
        self.take_in(sight, true, now, notices);
        if !look.partial && !self.exhausted.1 {
            self.find_unseen(now, notices);
            self.fresh.clear();
        }
        self.give_up_deleted(now, notices);
        if !self.exhausted.1 && self.exhausted.0 {
            self.exhausted.0 = false;
            self.limit = super::shelf::limit();
        }
    }

    /// Looks at these paths only: something was told of them.
    pub fn look_at<'p>(&mut self, paths: impl Iterator<Item = &'p Path>, now: Millis, notices: &mut Vec<Notice>) {
        let mut sight = Sight::default();
        for found in paths.filter_map(|path| self.patterns.at(path)) {
            let (folder, name) = (found.path.parent(), found.path.file_name());
            let (Some(folder), Some(name)) = (folder, name) else { continue };
            let Found { source, device, inode, size, modified, .. } = found;
            let entry = Entry { source, folder, name, device, inode, size, modified };
            sight.compare(&mut self.listed, &self.hasher, self.looks, &entry);
        }
        self.take_in(sight, false, now, notices);
    }

    fn take_in(&mut self, mut sight: Sight, whole: bool, now: Millis, notices: &mut Vec<Notice>) {
        if whole {
            self.add_due(&mut sight.changed, notices);
        }
        for found in sight.moved {
            if !self.is_second_name(&found, whole) {
                self.renamed(&found, notices);
            }
        }
        let mut changed = sight.changed;
        changed.sort_unstable();
        // Files that are known by their inode come first: whether one of them is still what it was decides what the others can be.
        let bound = |found: &Found| {
            self.listed.get(&(found.device, found.inode)).is_some_and(|one| one.state == State::Closed)
                || self.known.with_inode(found.inode).any(|position| self.missing.contains_key(&position.generation))
        };
        let (bound, mut others): (Vec<Found>, Vec<Found>) = changed.into_iter().partition(bound);
        if !bound.is_empty() || !others.is_empty() {
            self.look_into_open();
        }
        for found in bound {
            let identity = (found.device, found.inode);
            let outcome = match self.listed.get(&identity).map(|one| (one.state, one.generation)) {
                Some((State::Open, _)) => continue,
                Some((State::Closed, _)) if self.is_second_name(&found, whole) => continue,
                Some((State::Closed, generation)) => self.revive(generation, &found, now, notices),
                _ if self.is_written_slowly(&found) => continue,
                _ => self.meet(&found, true, now, notices),
            };
            self.sweep();
            match outcome {
                Ok(true) => {}
                // It has only the inode of the one that was expected. In its turn, so that an original is begun before its copies.
                Ok(false) => others.push(found),
                Err(error) => self.not_met(&found, &error, notices),
            }
        }
        others.sort_unstable();
        for found in others {
            let identity = (found.device, found.inode);
            let outcome = match self.listed.get(&identity).map(|one| one.state) {
                Some(State::Open | State::Closed) => continue,
                _ if self.is_written_slowly(&found) => continue,
                // One that cannot be judged now stays what it is.
                _ => self.meet(&found, false, now, notices),
            };
            self.sweep();
            if let Err(error) = outcome {
                self.not_met(&found, &error, notices);
            }
        }
    }

    fn not_met(&mut self, found: &Found, error: &io::Error, notices: &mut Vec<Notice>) {
        // One that was renamed or deleted since it was seen is found, or missed, at the next look.
        if error.kind() != io::ErrorKind::NotFound {
            self.unreadable(&found.path, error, notices);
        }
    }

    /// Whether a followed file, found under a name that is not its own, still has its own, too: a hard or symbolic link.
    fn is_second_name(&self, found: &Found, whole: bool) -> bool {
        let identity = (found.device, found.inode);
        let Some(one) = self.listed.get(&identity) else { return false };
        if one.name == self.name(&found.path) {
            return false;
        }
        if whole && one.named == self.looks {
            return true;
        }
        let own: Option<PathBuf> = match one.state {
            State::Open => {
                self.open.iter().find(|open| open.identity() == identity).map(|open| &open.follower.position)
            }
            _ => self.known.get(one.generation),
        }
        .map(|position| PathBuf::from(&position.path));
        let there = own.and_then(|path| self.patterns.at(&path));
        there.is_some_and(|there| (there.device, there.inode) == identity)
    }

    fn renamed(&mut self, found: &Found, notices: &mut Vec<Notice>) {
        let identity = (found.device, found.inode);
        let name = self.name(&found.path);
        let Some(one) = self.listed.get_mut(&identity) else { return };
        (one.name, one.named) = (name, self.looks);
        let (source, generation) = (one.source, one.generation);
        let path = found.path.to_string_lossy().into_owned();
        match one.state {
            State::Open => match self.open.iter_mut().find(|open| open.identity() == identity) {
                Some(open) => open.follower.renamed(&found.path),
                None => {
                    self.listed.remove(&identity);
                    return;
                }
            },
            _ => self.known.rename(generation, path.clone()),
        }
        self.dirty.insert(generation);
        notices.push(Notice::Renamed { source, path });
    }

    /// Files that were left alone and are to be judged again, though they have not changed.
    fn add_due(&mut self, changed: &mut Vec<Found>, notices: &mut Vec<Notice>) {
        if self.copies.is_empty() {
            return;
        }
        let open = self.open.iter_mut().filter(|open| open.source != CLOSED);
        let mut open: BTreeMap<u64, &mut Open> = open.map(|open| (open.follower.position.generation, open)).collect();
        let known = |found: &Found| (found.device, found.inode);
        let already: BTreeSet<Identity> = changed.iter().map(known).collect();
        let mut stuck = Vec::new();
        for (identity, pending) in &self.copies {
            let Some(listed) = self.listed.get(identity).filter(|one| one.seen == self.looks) else { continue };
            let due = match pending.until {
                Until::Changed => {
                    if self.steady - pending.since > STUCK {
                        stuck.push(pending.path.clone());
                    }
                    false
                }
                Until::NextLook => true,
                Until::Ends(generation) => {
                    let known = self.known.get(generation);
                    match open.get_mut(&generation) {
                        Some(open) => !Tailer::still_holds(open, pending),
                        // Gone, or changed since.
                        None => known
                            .and_then(|position| stamp_of(&self.listed, position))
                            .is_none_or(|stamp| Some(stamp) != pending.original),
                    }
                }
            };
            if due && !already.contains(identity) {
                let (Listed { modified, source, size, .. }, path) = (*listed, pending.path.clone());
                changed.push(Found { modified, source, path, device: identity.0, inode: identity.1, size });
            }
        }
        for path in stuck {
            let error =
                io::Error::other("it does not decompress to its end, and nobody seems to be writing it any more");
            self.unreadable(&path, &error, notices);
        }
    }

    /// A large compressed file is looked into only once it has stopped growing: each time it would be decompressed from its start.
    fn is_written_slowly(&mut self, found: &Found) -> bool {
        let identity = (found.device, found.inode);
        let (Some(listed), Some(pending)) = (self.listed.get_mut(&identity), self.copies.get_mut(&identity)) else {
            return false;
        };
        let grows = listed.state == State::Copy && found.size > SMALL && listed.size != found.size;
        if grows {
            (listed.size, listed.modified) = (found.size, found.modified);
            (pending.until, pending.since) = (Until::NextLook, self.steady);
        }
        grows
    }

    /// Followed files that the patterns do not name any more.
    fn find_unseen(&mut self, now: Millis, notices: &mut Vec<Notice>) {
        let (looks, steady) = (self.looks, self.steady);
        let mut gone = Vec::new();
        self.listed.retain(|_, one| match one.state {
            _ if one.seen == looks => true,
            State::Open => true,
            State::Closed => {
                gone.push(one.generation);
                true
            }
            State::Settled | State::Copy => false,
        });
        let listed = &self.listed;
        self.copies.retain(|identity, _| listed.get(identity).is_some_and(|one| one.state == State::Copy));
        for open in &mut self.open {
            let named = self.listed.get(&open.identity()).is_some_and(|one| one.seen == looks);
            open.unnamed_since = (!named).then_some(open.unnamed_since.unwrap_or(steady));
        }
        gone.sort_unstable();
        for generation in gone {
            let Some(position) = self.known.get(generation).cloned() else { continue };
            self.displaced(position.clone(), Cause::Unseen, None, None);
            // A spool's files are deleted by this program, once nobody needs them again.
            let spooled = self.source_of(&position).is_some_and(|source| self.sources[source].source.spooled());
            if spooled && position.unread().is_none() {
                self.finish(Position { finished_at: Some(now), ..position });
            }
        }
        self.resolve_all(now, notices);
    }
}
