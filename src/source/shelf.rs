//! How many files are open: those being read, and of the others as many as the process can afford. The rest is closed, and remembered by
//! little more than its size. Not for what a look makes of a closed file that has changed (`identity`).

use std::io;
use std::path::Path;

use crmwatch_detectors::Millis;

use super::input::Compression;
use super::notice::Notice;
use super::tailer::{CLOSED, Identity, State, Tailer};

/// A file read to its end and not written to for so long is closed.
pub(super) const QUIET: Millis = 5_000;
/// Files open at a time, at most: each costs a few KB beside its descriptor. Those that have no name any more, and so could not be opened
/// again, come on top: they must not keep others waiting until they are done with.
const OPEN: usize = 512;
/// Descriptors left to the index, the ledger and the network.
const SPARE: usize = 400;
/// Compressed files open at a time: each has a decompressor, which takes up to 8 MiB.
const DECOMPRESSED: usize = 4;
/// An open file makes room for one whose events lie so far before its own.
const AHEAD: Millis = 60_000;

/// How many files may be open, by the process's limit of descriptors.
pub(super) fn limit() -> usize {
    let allowed = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let allowed = allowed.map_or(usize::MAX, |allowed| usize::try_from(allowed).unwrap_or(usize::MAX));
    // Half of them for files without a name.
    (allowed.saturating_sub(SPARE) / 2).max(allowed / 4).clamp(1, OPEN)
}

/// Whether an error says that there are no descriptors left.
pub(super) fn out_of_descriptors(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    matches!(errno, Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE))
}

impl Tailer {
    /// Closes an open file, which is followed on; the caller drops what is marked `CLOSED`.
    pub(super) fn close(&mut self, at: usize, unread: bool) {
        let open = &mut self.open[at];
        let position = open.follower.kept();
        let generation = position.generation;
        if let Some(listed) = self.listed.get_mut(&open.identity()) {
            listed.state = State::Closed;
            // One that was written to a moment ago is looked into again.
            let modified = if open.follower.unsure { 0 } else { open.follower.modified };
            (listed.size, listed.modified) = (open.follower.size, modified);
            listed.reached = open.reached;
            listed.compressed = open.follower.input.compression() != Compression::None;
        }
        if unread {
            self.waiting.insert((open.reached, generation));
        }
        open.source = CLOSED;
        self.known.insert(position);
    }

    /// Closes what is too much: the longest idle, then what lies furthest ahead. A file that has no name could not be opened again.
    pub(super) fn make_room(&mut self, now: Millis) {
        loop {
            let compressed = |at: &usize| self.open[*at].follower.input.compression() != Compression::None;
            let closable = |at: &usize| self.open[*at].unnamed_since.is_none();
            let all = (0..self.open.len()).filter(|at| self.open[*at].source != CLOSED);
            let furthest = |at: &usize| (self.open[*at].reached, self.open[*at].follower.position.generation);
            let victim = if all.clone().filter(compressed).count() > DECOMPRESSED {
                all.filter(compressed).filter(closable).max_by_key(furthest)
            } else if all.clone().filter(closable).count() > self.limit {
                let idle = all.clone().filter(closable).filter(|at| self.open[*at].idle);
                let idle = idle.min_by_key(|at| self.open[*at].active_at);
                idle.or_else(|| all.filter(|at| !compressed(at)).filter(closable).max_by_key(furthest))
            } else {
                None
            };
            let Some(at) = victim else { return };
            if self.open[at].follower.unlinked() {
                // Deleted since the last look.
                self.open[at].unnamed_since = Some(self.steady);
                continue;
            }
            // What happened to it since it was read last must not wait for the next look.
            let unread = !self.open[at].idle || self.open[at].follower.pending().unwrap_or(true);
            self.open[at].reached = self.open[at].reached.min(now);
            self.close(at, unread);
        }
    }

    /// Whether closed files wait that could be opened now.
    pub(super) fn can_open_more(&self) -> bool {
        !self.waiting.is_empty() && self.room() > 0 && !self.exhausted.0
    }

    /// How many files can be opened, where those that have nothing to read make room.
    fn room(&self) -> usize {
        let busy = self.open.iter().filter(|open| !open.idle && open.unnamed_since.is_none());
        self.limit.saturating_sub(busy.count())
    }

    /// Opens closed files that have something to read, those first whose events lie furthest back.
    pub(super) fn open_waiting(&mut self, now: Millis, notices: &mut Vec<Notice>) {
        if self.waiting.is_empty() {
            return;
        }
        let decompressed =
            self.open.iter().filter(|open| open.follower.input.compression() != Compression::None).count();
        let mut decompressors = DECOMPRESSED.saturating_sub(decompressed);
        let ahead = self.open.iter().map(|open| open.reached).max().unwrap_or(Millis::MAX).saturating_sub(AHEAD);
        let room = self.room();
        let mut chosen = Vec::new();
        for (reached, generation) in &self.waiting {
            // One that lies far behind what is open takes a place, too: that is how a backlog of more files than can be open is merged.
            if chosen.len() >= room.max(usize::from(*reached < ahead)) {
                break;
            }
            let Some(position) = self.known.get(*generation) else { continue };
            let Some(listed) = self.listed.get(&(position.device, position.inode)) else { continue };
            if listed.compressed {
                let Some(left) = decompressors.checked_sub(1) else { continue };
                decompressors = left;
            }
            chosen.push((*reached, *generation));
        }
        for (reached, generation) in chosen {
            let Some(position) = self.known.get(generation) else { continue };
            let (path, identity) = (position.path.clone(), (position.device, position.inode));
            let outcome = match self.patterns.at(Path::new(&path)) {
                Some(found) if (found.device, found.inode) == identity => {
                    match self.revive(generation, &found, now, notices) {
                        Ok(false) => {
                            self.look_into_open();
                            self.meet(&found, false, now, notices)
                        }
                        outcome => outcome,
                    }
                }
                // It is not where it was, or its name is not text: the next look finds it.
                _ => {
                    self.look_again(reached, generation, identity);
                    Ok(true)
                }
            };
            self.sweep();
            if let Err(error) = outcome {
                if error.kind() != io::ErrorKind::NotFound {
                    self.unreadable(Path::new(&path), &error, notices);
                }
                if !out_of_descriptors(&error) {
                    self.look_again(reached, generation, identity);
                }
                break;
            }
            // Its name leads elsewhere since a moment ago.
            if self.waiting.contains(&(reached, generation)) {
                self.look_again(reached, generation, identity);
            }
        }
    }

    /// A waiting file that could not be opened is met again at the next look.
    fn look_again(&mut self, reached: Millis, generation: u64, identity: Identity) {
        self.waiting.remove(&(reached, generation));
        if let Some(listed) = self.listed.get_mut(&identity) {
            listed.modified = 0;
        }
    }
}
