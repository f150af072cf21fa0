//! The journal rows that lead from the positions of the side that is behind to those of the side that is ahead, so that the next start reads
//! what lies between, for the one and not for the other. Not for deciding whether to (`choose`).

use std::collections::{BTreeMap, VecDeque};

use crmwatch_detectors::Millis;

use super::now;
use crate::ledger::{Batch, Segment};
use crate::source::{BATCH_RECORDS, Followed, Part, Position, digest, locate, parts};

/// Positions by generation.
pub(super) type Positions = BTreeMap<u64, Position>;

/// Parts put into one batch: about as many records as a batch of the reader's.
const PARTS: usize = BATCH_RECORDS / 2_500;

/// The positions as they were before some batches.
pub(super) fn before(batches: &[Batch], positions: &Positions) -> Positions {
    let mut earlier = positions.clone();
    for segment in batches.iter().rev().flat_map(|batch| batch.segments.iter().rev()) {
        if let Some(position) = earlier.get_mut(&segment.generation) {
            position.offset = segment.from;
            position.line = segment.line.saturating_sub(1);
            position.state.clone_from(&segment.state);
            position.finished_at = None;
            // What stood before that offset is not known: the head alone tells the file.
            (position.tail_length, position.tail) = (0, digest(b""));
            position.marks.retain(|mark| mark.offset <= segment.from);
        }
    }
    earlier.retain(|_, position| position.offset > 0);
    earlier
}

/// The stretches between two states of reading.
pub(super) fn between(behind: &Positions, ahead: &Positions) -> Vec<Segment> {
    let stretch = |(generation, position): (&u64, &Position)| {
        let start = behind.get(generation);
        let from = start.map_or(0, |start| start.offset);
        (position.offset > from).then(|| Segment {
            generation: *generation,
            from,
            to: position.offset,
            line: start.map_or(0, |start| start.line) + 1,
            state: start.map(|start| start.state.clone()).unwrap_or_default(),
            partial: false,
        })
    };
    ahead.iter().filter_map(stretch).collect()
}

/// Batches that hold these stretches, cut at record boundaries, in the order of time as far as the files allow; numbered from `first` on.
/// What is not there any more is in them too, so that the reading counts it.
pub(super) fn batches(stretches: &[Segment], ahead: &Positions, followed: &[Followed], first: u64) -> Vec<Batch> {
    let mut files: Vec<VecDeque<(Millis, Segment)>> = Vec::new();
    for whole in stretches {
        // A part whose events have no times of their own goes with the one before it.
        let mut time = Millis::MIN;
        let timed = cut(whole, ahead, followed).into_iter().map(|part| {
            time = time.max(part.first.unwrap_or(time));
            (time, part.segment)
        });
        files.push(timed.collect());
    }
    let read_at = now();
    let mut batches: Vec<Batch> = Vec::new();
    let next = |files: &[VecDeque<(Millis, Segment)>]| {
        let heads = files.iter().enumerate().filter_map(|(index, parts)| Some((parts.front()?.0, index)));
        heads.min().map(|(_, index)| index)
    };
    while let Some(index) = next(&files) {
        let Some((_, segment)) = files[index].pop_front() else { break };
        match batches.last_mut() {
            Some(batch) if batch.segments.len() < PARTS.max(1) => batch.segments.push(segment),
            _ => {
                let number = first + batches.len() as u64;
                batches.push(Batch { number, read_at, segments: vec![segment] });
            }
        }
    }
    batches
}

fn cut(whole: &Segment, ahead: &Positions, followed: &[Followed]) -> Vec<Part> {
    let lost = || vec![Part { segment: whole.clone(), first: None }];
    let Some(position) = ahead.get(&whole.generation) else { return lost() };
    let Some(source) = followed.iter().find(|one| one.source.name == position.source) else { return lost() };
    let Ok(Some(input)) = locate(position) else { return lost() };
    parts(input, whole, position.clone(), source.source.clone(), source.tables.clone()).unwrap_or_else(|_| lost())
}

/// The same rows under numbers that begin with `first`.
pub(super) fn renumbered(batches: &[Batch], first: u64) -> impl Iterator<Item = Batch> {
    batches.iter().zip(first..).map(|(batch, number)| Batch { number, ..batch.clone() })
}
