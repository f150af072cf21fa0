//! Rounds of reading: which file has its turn, and what happens at a file's end. Not for which file is which (`identity`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use crmwatch_detectors::Millis;

use super::notice::Notice;
use super::position::Position;
use super::reading::Reading;
use super::shelf::QUIET;
use super::tailer::{CLOSED, State, Tailer};
use super::whereabouts::{Cause, found_at};
use crate::ledger::Segment;

/// A renamed file that no pattern names is read this long after its last line.
pub(super) const GRACE: Millis = 60_000;
/// A file is read on so far beyond the next one's events, so that turns are not single lines.
const SLACK: Millis = 5_000;
/// Bytes read of a file while its events' time does not move on, before the others have a turn regardless of time.
const STANDSTILL: u64 = 8 << 20;
/// How far the time must move on for that.
const STEP: Millis = 1_000;

impl Tailer {
    /// Reads about a batch. True if anything was read or more is there.
    ///
    /// Of the files with something to read, the one whose events lie furthest back goes first: a backlog of rotated files, and of
    /// several sources, is taken in nearly in the order of time. It is read on only as far as the next one's events, so that a sparse
    /// log does not run days ahead. None starves: a busy file's time moves on past that of the quiet ones, and where it does not, the
    /// others have their turn all the same.
    pub fn read(&mut self, now: Millis, reading: &mut Reading, notices: &mut Vec<Notice>) -> bool {
        self.tick(now);
        self.open_waiting(now, notices);
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut waiting: BinaryHeap<Reverse<(Millis, u64, u64, usize)>> = BinaryHeap::new();
        for at in 0..self.open.len() {
            let open = &mut self.open[at];
            let pending = open.follower.pending();
            open.idle = matches!(pending, Ok(false));
            match pending {
                Ok(true) => {
                    waiting.push(Reverse((open.due(), open.served, open.follower.position.generation, at)));
                }
                Ok(false) => self.at_end(at, now, &mut buffer, reading, notices),
                Err(error) => self.failed(at, &error, notices),
            }
        }
        let mut busy = false;
        while let Some(Reverse((_, _, generation, at))) = waiting.pop() {
            if reading.events.len() >= self.batch {
                busy = true;
                break;
            }
            // Of those that are equally far back, the one served longest ago goes first.
            self.turns += 1;
            self.open[at].served = self.turns;
            let until = waiting.peek().map_or(Millis::MAX, |Reverse((next, ..))| next.saturating_add(SLACK));
            if self.turn(at, until, now, &mut buffer, reading, notices) {
                busy = true;
                let open = &mut self.open[at];
                waiting.push(Reverse((open.due(), open.served, generation, at)));
            }
        }
        self.buffer = buffer;
        self.sweep();
        busy || self.can_open_more()
    }

    /// Drops what was closed.
    pub(super) fn sweep(&mut self) {
        self.open.retain(|open| open.source != CLOSED);
    }

    fn failed(&mut self, at: usize, error: &std::io::Error, notices: &mut Vec<Notice>) {
        let path = self.open[at].follower.position.path.clone();
        self.unreadable(Path::new(&path), error, notices);
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
        let turn = match open.follower.turn_until(until, buffer, reading.read_at, &mut reading.events) {
            Ok(turn) => turn,
            Err(error) => {
                self.failed(at, &error, notices);
                return false;
            }
        };
        if turn.truncated {
            self.truncated(at, now, notices);
            return true;
        }
        let idle = turn.bytes == 0 && !turn.more;
        let source = open.source;
        let generation = segment.generation;
        if turn.bytes > 0 {
            let format = open.follower.format().unwrap_or("none");
            let events = (reading.events.len() - first) as u64 - turn.rejected.len() as u64;
            *reading.counts.entry(source).or_default().events.entry(format).or_default() += events;
            reading.record(source, segment, open.follower.position.offset, &turn);
            self.dirty.insert(generation);
            open.active_at = self.steady;
        }
        // A stamp ahead of the clock must not make a file wait for the others to get there.
        if let Some(time) = turn.next.or_else(|| reading.events[first..].last().map(|event| event.time)) {
            open.reached = time.min(now);
        }
        open.moved_on(turn.bytes);
        if idle {
            open.idle = true;
            self.at_end(at, now, buffer, reading, notices);
        }
        !idle
    }

    /// A file read to its end: closed if nothing more can come, or nothing has for a while.
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
        let abandoned = open.unnamed_since.is_some_and(|since| self.steady - since > GRACE);
        if !dead && !abandoned {
            // The beginning of a line is not left behind: if the file goes away, it is all there ever was of it.
            if self.steady - open.active_at > QUIET && open.unnamed_since.is_none() && open.unread() == 0 {
                self.close(at, false);
            }
            return;
        }
        let mut whole = false;
        if dead {
            let segment = Segment { partial: true, ..open.follower.segment() };
            if let Ok(turn) = open.follower.remainder(buffer, reading.read_at, &mut reading.events) {
                whole = true;
                if turn.bytes > 0 {
                    reading.record(open.source, segment, open.follower.position.offset, &turn);
                }
            }
        }
        let source = std::mem::replace(&mut open.source, CLOSED);
        let identity = open.identity();
        let position = Position { finished_at: Some(now), whole, ..open.follower.kept() };
        if open.follower.unlinked() {
            self.listed.remove(&identity);
        } else if let Some(listed) = self.listed.get_mut(&identity) {
            listed.state = State::Settled;
            (listed.size, listed.modified) = (open.follower.size, open.follower.modified);
        }
        notices.push(Notice::Finished { source, path: position.path.clone() });
        self.finish(position);
    }

    /// A file truncated in place: what was not read of it may lie in a copy; the file itself is a new one.
    fn truncated(&mut self, at: usize, now: Millis, notices: &mut Vec<Notice>) {
        let open = &mut self.open[at];
        let source = std::mem::replace(&mut open.source, CLOSED);
        let position = open.follower.kept();
        let unread = open.follower.sound.saturating_sub(position.offset);
        let content = std::mem::take(&mut open.follower.content);
        let input = open.follower.input.again();
        let (generation, path) = (position.generation, position.path.clone());
        notices.push(Notice::Truncated { source, path: path.clone() });
        self.displaced(position, Cause::Truncated, Some(unread), Some(content));
        // One that cannot be opened once more is met at the next look.
        let begun = input.and_then(|input| {
            let found = found_at(source, PathBuf::from(&path), &input);
            self.start(&found, input, now, notices)
        });
        match begun {
            Err(error) => self.unreadable(Path::new(&path), &error, notices),
            Ok(()) => {
                let since = self.steady;
                if let Some(open) = self.open.last_mut()
                    && open.follower.unlinked()
                {
                    open.unnamed_since = Some(since);
                }
            }
        }
        self.look_into_open();
        self.resolve(generation, false, now, notices);
    }
}

impl super::tailer::Open {
    /// When its turn comes. A file of which much was read while its events' time stood still comes after the others, once.
    fn due(&mut self) -> Millis {
        if self.standstill.1 < STANDSTILL {
            return self.reached;
        }
        self.standstill = (self.reached, 0);
        Millis::MAX
    }

    fn moved_on(&mut self, bytes: u64) {
        self.standstill.1 += bytes;
        if self.reached >= self.standstill.0.saturating_add(STEP) {
            self.standstill = (self.reached, 0);
        }
    }
}
