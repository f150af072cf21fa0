//! One turn of reading one file: a chunk of whole records, a line beyond all bounds, the rest of a file that is dead. Not for whose turn it is
//! (`rounds`).

use std::io;

use crmwatch_detectors::{Event, Field, Millis};

use super::follow::{CHUNK, Follower, SMALL_CHUNK};
use super::input::Compression;

/// What a turn of reading found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Bytes of whole records taken in.
    pub bytes: u64,
    /// Records taken in.
    pub records: u64,
    /// Of these, records no grammar accepted, by reason.
    pub rejected: Vec<&'static str>,
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
        if plain && (self.rewritten || size <= self.position.offset + self.looked as u64) {
            size = self.look()?;
            if size < self.position.offset || self.rewritten {
                return Ok(Turn { truncated: true, ..Turn::default() });
            }
            if size < self.position.offset + self.looked as u64 {
                // The beginning of a line that was looked at is not there any more.
                (self.looked, self.searched) = (0, 0);
                if !self.content.holds(self.position.offset, &mut self.input)? {
                    return Ok(Turn { truncated: true, ..Turn::default() });
                }
            }
            if size == self.position.offset + self.looked as u64 {
                return Ok(Turn::default());
            }
        }
        if self.searched > self.source.max_line {
            return self.overlong(buffer, read_at, events);
        }
        let chunk = if until == Millis::MAX { CHUNK } else { SMALL_CHUNK };
        if (1..=self.source.max_line).contains(&self.looked) && !self.has_newline(buffer, chunk)? {
            let more = plain && self.size > self.position.offset + self.looked as u64;
            return Ok(Turn { more: more || self.looked > self.source.max_line, ..Turn::default() });
        }
        // No more memory than there is to read.
        let there = if plain { usize::try_from(size - self.position.offset).unwrap_or(usize::MAX) } else { usize::MAX };
        let capacity = self.looked.saturating_add(chunk).min(self.source.max_line + CHUNK);
        buffer.resize(capacity, 0);
        let filled = self.input.read_at(&mut buffer[..capacity.min(there)], self.position.offset)?;
        if plain && !self.still_holds(filled)? {
            return Ok(Turn { truncated: true, ..Turn::default() });
        }
        let there = if plain { self.size > self.position.offset + filled as u64 } else { filled == capacity };
        let bytes = &buffer[..filled];
        let mut turn = Turn::default();
        if self.intake.is_none() && !self.start_intake(bytes)? {
            (self.looked, self.searched) = (filled, filled);
            turn.more = there;
            return Ok(turn);
        }
        let mut at = 0;
        while at < bytes.len() {
            let searched = if at == 0 { self.searched.min(bytes.len()) } else { 0 };
            let Some(end) = self.end_of(&bytes[at..], searched) else { break };
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
            at += end + 1;
        }
        if at > 0 {
            (self.looked, self.searched) = (0, 0);
            self.content.advance(self.position.offset, &bytes[..at]);
            self.position.offset += at as u64;
            turn.bytes += at as u64;
            turn.more |= there;
        } else if filled == capacity && filled > self.source.max_line {
            return self.overlong(buffer, read_at, events);
        } else {
            self.looked = filled;
            self.searched = if memchr::memchr(b'\n', bytes).is_none() { filled } else { 0 };
            turn.more = there;
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

    /// Searches what was added to the beginning of a record for a newline, so that a line written in many pieces is read again only when it
    /// is whole. In UTF-16 a newline may straddle the pieces: the last byte of what was looked at is searched again.
    fn has_newline(&mut self, buffer: &mut Vec<u8>, chunk: usize) -> io::Result<bool> {
        buffer.resize(chunk.max(buffer.len()), 0);
        let from = self.looked - 1;
        let filled = self.input.read_at(&mut buffer[..chunk], self.position.offset + from as u64)?;
        let found = memchr::memchr(b'\n', &buffer[..filled]).is_some();
        if !found {
            let looked = self.looked.max(from + filled);
            if self.searched == self.looked {
                self.searched = looked;
            }
            self.looked = looked;
        }
        Ok(found)
    }

    /// A line beyond `max_line`: its end is searched without keeping it, then its head is taken in.
    fn overlong(&mut self, buffer: &mut Vec<u8>, read_at: Millis, events: &mut Vec<Event>) -> io::Result<Turn> {
        let mut turn = Turn::default();
        let mut at = self.position.offset + self.searched as u64;
        buffer.resize(CHUNK, 0);
        // A turn is bounded here, too: the search goes on at the next.
        for _ in 0..64 {
            let filled = self.input.read_at(&mut buffer[..CHUNK], at)?;
            if filled == 0 {
                break;
            }
            if let Some(newline) = memchr::memchr(b'\n', &buffer[..filled]) {
                let end = at + newline as u64;
                if self.input.compression() == Compression::None && !self.still_holds(0)? {
                    return Ok(Turn { truncated: true, ..turn });
                }
                buffer.resize(self.source.max_line, 0);
                let count = self.input.read_at(&mut buffer[..], self.position.offset)?;
                let cut = end - self.position.offset - count as u64;
                let record = std::mem::take(buffer);
                if self.intake.is_none() {
                    self.start_intake(&record[..count])?;
                }
                self.take(&record[..count], 0, cut, false, read_at, events, &mut turn);
                *buffer = record;
                turn.bytes = end + 1 - self.position.offset;
                turn.more = true;
                (self.looked, self.searched) = (0, 0);
                self.position.offset = end + 1;
                self.remember_content()?;
                return Ok(turn);
            }
            at += filled as u64;
            turn.more = filled == CHUNK;
        }
        self.searched = usize::try_from(at - self.position.offset).unwrap_or(usize::MAX);
        self.looked = self.searched;
        Ok(turn)
    }

    /// Takes in what stands after the last newline of a file that is known dead.
    pub fn remainder(&mut self, buffer: &mut Vec<u8>, read_at: Millis, events: &mut Vec<Event>) -> io::Result<Turn> {
        let mut turn = Turn::default();
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
        turn.bytes = filled as u64 + cut;
        self.position.offset += turn.bytes;
        (self.looked, self.searched) = (0, 0);
        self.remember_content()?;
        Ok(turn)
    }
}
