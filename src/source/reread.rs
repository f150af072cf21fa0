//! Reads a journalled stretch of a file again, giving the same events as the first time. Not for finding the file (`pipeline::recover`).

use std::io;
use std::sync::Arc;

use crmwatch_detectors::{Event, Field, Millis};

use super::follow::Follower;
use super::input::Input;
use super::position::Position;
use super::turn::Turn;
use crate::config::Source;
use crate::ledger::Segment;
use crate::parse::web::Tables;

/// Reads a journalled stretch again, giving the same events as the first time. Gives the bytes that can no longer be read, and the
/// position at the stretch's end.
pub fn reread(
    input: Input,
    segment: &Segment,
    mut position: Position,
    source: Arc<Source>,
    tables: Arc<Tables>,
    read_at: Millis,
    events: &mut Vec<Event>,
) -> io::Result<(u64, Position)> {
    position.offset = segment.from;
    position.line = segment.line.saturating_sub(1);
    position.state.clone_from(&segment.state);
    let mut follower = Follower::new(input, position, source, tables)?;
    let mut buffer = Vec::new();
    while follower.position.offset < segment.to {
        let limit = segment.to - follower.position.offset;
        let before = events.len();
        let turn = follower.turn_within(&mut buffer, limit, read_at, events)?;
        if turn.bytes == 0 && segment.partial && !turn.more {
            follower.remainder(&mut buffer, read_at, events)?;
            break;
        }
        if turn.truncated || (turn.bytes == 0 && !turn.more && events.len() == before) {
            break;
        }
    }
    Ok((segment.to.saturating_sub(follower.position.offset), follower.kept()))
}

/// A part of a long stretch, ended at a record boundary.
pub struct Part {
    /// Where it is.
    pub segment: Segment,
    /// The time of its first event that has one of its own.
    pub first: Option<Millis>,
}

/// Cuts a stretch that was never journalled as a whole into parts of a size that can be held at once. What cannot be read any more is one
/// part, so that whoever reads it counts it.
pub fn parts(
    input: Input,
    whole: &Segment,
    mut position: Position,
    source: Arc<Source>,
    tables: Arc<Tables>,
) -> io::Result<Vec<Part>> {
    position.offset = whole.from;
    position.line = whole.line - 1;
    position.state.clone_from(&whole.state);
    let mut follower = Follower::new(input, position, source, tables)?;
    let (mut parts, mut events, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
    while follower.position.offset < whole.to {
        let mut segment = follower.segment();
        let turn = follower.turn_within(&mut buffer, whole.to - segment.from, Millis::MAX, &mut events)?;
        // A line longer than a turn is searched for its end over several.
        if turn.bytes == 0 && turn.more && !turn.truncated {
            continue;
        }
        segment.partial = turn.bytes == 0 && !turn.truncated;
        segment.to = if turn.bytes == 0 { whole.to } else { follower.position.offset };
        let ended = segment.to == whole.to;
        let own = |event: &&Event| !event.is(Field::TimeSuspect) && !event.has(Field::QuarantineReason);
        parts.push(Part { segment, first: events.iter().find(own).map(|event| event.time) });
        events.clear();
        if ended {
            break;
        }
    }
    Ok(parts)
}

impl Follower {
    /// As [`Follower::turn`], but takes nothing that ends beyond `limit` bytes: a journalled stretch ended at a record boundary there.
    fn turn_within(
        &mut self,
        buffer: &mut Vec<u8>,
        limit: u64,
        read_at: Millis,
        events: &mut Vec<Event>,
    ) -> io::Result<Turn> {
        let first = events.len();
        let (offset, line) = (self.position.offset, self.position.line);
        let turn = self.turn(buffer, read_at, events)?;
        if turn.bytes > limit {
            // Only records that start inside the stretch belong to it.
            let end = offset + limit;
            let keep = events[first..].iter().take_while(|event| event.offset < end).count();
            events.truncate(first + keep);
            self.position.offset = end;
            self.position.line = line;
        }
        Ok(turn)
    }
}
