//! One turn of reading one file: a chunk of whole records, a line beyond all bounds, the rest of a file that is dead. Not for whose turn it
//! is (`rounds`), nor for a record whose end is not there yet (`search`).

use std::io;

use crmwatch_detectors::{Event, Field, Millis};

use super::follow::{CHUNK, Follower, SMALL_CHUNK};
use super::framing::Scan;
use super::input::Compression;
use super::intake::Intake;
use super::search::{Search, Searched};
use super::units::Units;
use crate::parse::Framing;

/// What a turn of reading found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Bytes of whole records taken in.
    pub bytes: u64,
    /// Records taken in.
    pub records: u64,
    /// Of these, records no grammar accepted, by reason.
    pub rejected: Vec<&'static str>,
    /// Of the bytes, zeros at the beginning of records that were passed over.
    pub zeros: u64,
    /// There is more to read at once.
    pub more: bool,
    /// What was read before is not there any more: the file was truncated or overwritten in place.
    pub truncated: bool,
    /// The time of the next event, where it was seen and left for later.
    pub next: Option<Millis>,
}

impl Follower {
    /// Reads up to a chunk of whole records. Nothing is read of a file whose content before the offset has changed.
    pub fn turn(&mut self, buffer: &mut Vec<u8>, read_at: Millis, events: &mut Vec<Event>) -> io::Result<Turn> {
        self.turn_until(Millis::MAX, buffer, read_at, events)
    }

    /// As [`Follower::turn`], but ends with the record whose event lies beyond a time: other files have what comes before it.
    pub fn turn_until(
        &mut self,
        until: Millis,
        buffer: &mut Vec<u8>,
        read_at: Millis,
        events: &mut Vec<Event>,
    ) -> io::Result<Turn> {
        let plain = self.input.compression() == Compression::None;
        let mut size = self.size;
        if plain && (self.rewritten || self.ending || size <= self.position.offset + self.search.looked) {
            size = self.look()?;
            if size < self.position.offset || self.rewritten {
                return Ok(Turn { truncated: true, ..Turn::default() });
            }
            if size < self.position.offset + self.search.looked {
                // The beginning of a line that was looked at is not there any more.
                self.search = Search::default();
                if !self.content.holds(self.position.offset, &mut self.input)? {
                    return Ok(Turn { truncated: true, ..Turn::default() });
                }
            }
            if size == self.position.offset + self.search.looked && !self.ending {
                return Ok(Turn::default());
            }
        }
        let chunk = if until == Millis::MAX { CHUNK } else { SMALL_CHUNK };
        let mut capacity = chunk;
        if self.search.zeros > 0 {
            return self.zeros(buffer);
        }
        if self.search.scan.is_some() {
            match self.search_on(buffer)? {
                // With its newline, and what follows.
                Searched::Whole(length) => {
                    self.search = Search::default();
                    capacity = length + chunk;
                }
                Searched::Alone(length) => {
                    self.search = Search { alone: true, ..Search::default() };
                    capacity = length + chunk;
                }
                Searched::Overlong(length) => return self.overlong(length, buffer, read_at, events),
                Searched::Open(more) => return Ok(Turn { more, ..Turn::default() }),
            }
        }
        // No more memory than there is to read; what was searched already is there.
        if plain && capacity == chunk {
            let there = usize::try_from(size.saturating_sub(self.position.offset)).unwrap_or(usize::MAX);
            capacity = capacity.min(there.max(1));
        }
        buffer.resize(capacity, 0);
        let filled = self.input.read_at(&mut buffer[..capacity], self.position.offset)?;
        if plain && !self.still_holds(filled)? {
            return Ok(Turn { truncated: true, ..Turn::default() });
        }
        let more =
            if plain { filled > 0 && self.size > self.position.offset + filled as u64 } else { filled == capacity };
        let bytes = &buffer[..filled];
        let mut turn = Turn { more, ..Turn::default() };
        if self.intake.is_none() {
            let Some(units) = self.units()? else {
                self.search.looked = filled as u64;
                return Ok(turn);
            };
            if units.leading_zeros(bytes) == 0 && !self.start_intake(units, bytes)? {
                let mut scan = Scan::new(Framing::Lines, units);
                scan.on(bytes);
                self.search.begin(scan, None, bytes);
                self.search.looked = filled as u64;
                return Ok(turn);
            }
        }
        let units = self.intake.as_ref().map_or(Units::Mixed, Intake::units);
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at] == 0 && units.leading_zeros(&bytes[at..]) > 0 {
                if at == 0 {
                    return self.zeros(buffer);
                }
                turn.more = true;
                break;
            }
            let Some(end) = self.end_of(units, &bytes[at..], at == 0) else { break };
            let record = &bytes[at..at + end];
            // In a sparse log the next record may be days on: it is looked at, and put back if other files come before it. The first of
            // a turn is always taken, so that every turn gets on.
            let before = (at > 0 && until != Millis::MAX).then(|| (events.len(), self.position.line, self.state()));
            self.take(record, at as u64, 0, false, read_at, events, &mut turn);
            if let Some((count, line, state)) = before
                && let Some(event) = events[count..].last()
                && event.time > until
            {
                (turn.next, turn.more) = (Some(event.time), true);
                turn.records -= 1;
                if event.has(Field::QuarantineReason) {
                    turn.rejected.pop();
                }
                events.truncate(count);
                self.position.line = line;
                self.intake.as_mut().expect("it took the record").go_back(&state);
                break;
            }
            at += end + units.width();
        }
        if at > 0 {
            self.search = Search::default();
            self.content.advance(self.position.offset, &bytes[..at]);
            self.position.offset += at as u64;
            turn.bytes += at as u64;
        } else {
            self.search.looked = self.search.looked.max(filled as u64);
        }
        Ok(turn)
    }

    /// Whether what was read before is still there, after `filled` bytes beyond the offset were read.
    fn still_holds(&mut self, filled: usize) -> io::Result<bool> {
        let size = self.look()?;
        let holds = size >= self.position.offset + filled as u64
            && self.content.holds(self.position.offset, &mut self.input)?;
        if holds {
            self.sound = size;
        }
        Ok(holds)
    }

    /// Passes over zeros at the offset.
    fn zeros(&mut self, buffer: &mut Vec<u8>) -> io::Result<Turn> {
        let before = self.search.zeros;
        let bytes = self.pass_zeros(buffer)?;
        Ok(Turn { bytes, zeros: bytes, more: bytes > 0 || self.search.zeros > before, ..Turn::default() })
    }

    /// Takes in the head of a line beyond `max_line`.
    fn overlong(
        &mut self,
        length: u64,
        buffer: &mut Vec<u8>,
        read_at: Millis,
        events: &mut Vec<Event>,
    ) -> io::Result<Turn> {
        let mut turn = Turn { more: true, ..Turn::default() };
        buffer.resize(self.source.max_line, 0);
        let count = self.input.read_at(&mut buffer[..], self.position.offset)?;
        if self.input.compression() == Compression::None && !self.still_holds(count)? {
            return Ok(Turn { truncated: true, ..Turn::default() });
        }
        if self.intake.is_none() {
            let units = self.units()?.unwrap_or_default();
            self.start_intake(units, &buffer[..count])?;
        }
        let width = self.intake.as_ref().map_or(1, |intake| intake.units().width());
        let record = std::mem::take(buffer);
        self.take(&record[..count], 0, length - count as u64, false, read_at, events, &mut turn);
        *buffer = record;
        turn.bytes = length + width as u64;
        self.position.offset += turn.bytes;
        self.search = Search::default();
        self.remember_content()?;
        Ok(turn)
    }

    /// Takes in what stands after the last whole record of a file that is known dead: lines of a record that never ended, each for itself,
    /// and at last what stands after the last newline.
    pub fn remainder(&mut self, buffer: &mut Vec<u8>, read_at: Millis, events: &mut Vec<Event>) -> io::Result<Turn> {
        self.ending = true;
        self.search = Search::default();
        let mut turn = Turn::default();
        loop {
            let next = self.turn(buffer, read_at, events)?;
            let on = next.bytes > 0 || (next.more && !next.truncated);
            turn.add(next);
            if !on {
                break;
            }
        }
        buffer.resize(self.source.max_line, 0);
        let filled = self.input.read_at(&mut buffer[..], self.position.offset)?;
        if filled == 0 {
            return Ok(turn);
        }
        if self.intake.is_none() {
            let line = buffer[..filled].to_vec();
            self.begin(&line);
        }
        let record = std::mem::take(buffer);
        let cut = self.size.saturating_sub(self.position.offset + filled as u64);
        self.take(&record[..filled], 0, cut, true, read_at, events, &mut turn);
        *buffer = record;
        turn.bytes += filled as u64 + cut;
        self.position.offset += filled as u64 + cut;
        self.search = Search::default();
        self.remember_content()?;
        Ok(turn)
    }
}

impl Turn {
    fn add(&mut self, next: Turn) {
        self.bytes += next.bytes;
        self.records += next.records;
        self.zeros += next.zeros;
        self.rejected.extend(next.rejected);
    }
}
