//! Rounds of reading: which file has its turn, and what happens at a file's end. Not for which file is which (`identity`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

use crmwatch_detectors::Millis;

use super::notice::Notice;
use super::position::Position;
use super::reading::{BATCH_RECORDS, Reading};
use super::tailer::{CLOSED, Tailer};
use crate::ledger::Segment;

/// A renamed file that no pattern names is read this long after its last line.
const GRACE: Millis = 60_000;
/// A file is read on so far beyond the next one's events, so that turns are not single lines.
const SLACK: Millis = 5_000;

impl Tailer {
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

    pub(super) fn turn(
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
            reading.record(source, segment, open.follower.position.offset, &turn);
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
    pub(super) fn at_end(
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
                reading.record(open.source, segment, open.follower.position.offset, &turn);
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
}
