//! One generation of one file being read: record by record, from its position on. Not for which files there are (`tailer`).

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use crmwatch_detectors::{Event, Field, Millis, Origin};

use super::decode::Decoder;
use super::framing::record_end;
use super::input::{Compression, Input};
use super::intake::{Intake, Place, Wrapping, first_line_hash};
use super::position::{PREFIX, Position, TAIL, hash, unhex};
use crate::config::{Arrival, Source};
use crate::ledger::Segment;
use crate::parse::{self, Framing, Verdict};

/// How much is read from one file before the others have their turn.
const CHUNK: usize = 256 << 10;
/// And where other files wait whose events may come before these.
const SMALL_CHUNK: usize = 32 << 10;
/// Offsets remembered of a file that is being read.
const MARKS: usize = 16;

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

/// A file being read.
pub struct Follower {
    /// How far.
    pub position: Position,
    input: Input,
    intake: Option<Intake>,
    source: Arc<Source>,
    tables: Arc<parse::web::Tables>,
    prefix: Vec<u8>,
    tail: Vec<u8>,
    /// Earlier offsets, each with a hash of the bytes before it: what a copy that is shorter than what was read is known by.
    marks: Vec<(u64, String)>,
    /// Bytes after the offset that were looked at and hold no whole record.
    looked: usize,
    /// Of these, how many are known to hold no newline.
    searched: usize,
    /// The size seen last.
    pub size: u64,
    /// The modification time seen last; a file of the same size that was written to since is looked at again.
    modified: (i64, i64),
    /// Found to hold something else before the offset than what was read there.
    rewritten: bool,
    /// What stands in for times that cannot be believed, where that is not the time of reading (`scan`: the file's modification time).
    pub stand_in: Option<Millis>,
}

impl Follower {
    /// Goes on reading a file from a position; a new one has its offset at 0.
    pub fn new(
        input: Input,
        mut position: Position,
        source: Arc<Source>,
        tables: Arc<parse::web::Tables>,
    ) -> io::Result<Follower> {
        let metadata = input.metadata()?;
        (position.device, position.inode) = (metadata.dev(), metadata.ino());
        if position.year == 0 {
            position.year = year_of(metadata.mtime());
        }
        let mut follower = Follower {
            position,
            input,
            intake: None,
            source,
            tables,
            prefix: Vec::new(),
            tail: Vec::new(),
            marks: Vec::new(),
            looked: 0,
            searched: 0,
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            rewritten: false,
            stand_in: None,
        };
        follower.remember_content()?;
        Ok(follower)
    }

    fn remember_content(&mut self) -> io::Result<()> {
        let offset = self.position.offset;
        let mut prefix = vec![0; usize::try_from(offset).unwrap_or(PREFIX).min(PREFIX)];
        let count = self.input.read_at(&mut prefix, 0)?;
        prefix.truncate(count);
        let mut tail = vec![0; usize::try_from(offset).unwrap_or(TAIL).min(TAIL)];
        let from = offset - tail.len() as u64;
        let count = self.input.read_at(&mut tail, from)?;
        tail.truncate(count);
        (self.prefix, self.tail) = (prefix, tail);
        self.mark();
        Ok(())
    }

    /// Remembers the offset. Old marks thin out: one is left from the beginning, and half of those before the last few turns.
    fn mark(&mut self) {
        if self.position.offset == 0 {
            return;
        }
        if self.marks.len() >= MARKS {
            let mut number = 0;
            self.marks.retain(|_| {
                number += 1;
                number % 2 == 1 || number > MARKS / 2
            });
        }
        self.marks.push((self.position.offset, hash(&self.tail)));
    }

    /// Where a file ends that is a copy of what was read here and ends before the offset; nothing if it is no such copy.
    ///
    /// `copytruncate` makes them: what is written between the copy and the truncation may have been read here and is not in the copy.
    /// The last mark the copy is long enough for must hold, and its head.
    pub fn shorter_copy(&self, input: &mut Input) -> io::Result<Option<u64>> {
        let mut head = vec![0; self.prefix.len()];
        let count = input.read_at(&mut head, 0)?;
        if head[..count] != self.prefix[..count] {
            return Ok(None);
        }
        if count < head.len() {
            // It ends within what is remembered whole.
            return Ok((count > 0).then_some(count as u64));
        }
        for (offset, kept) in self.marks.iter().rev() {
            let mut tail = vec![0; usize::try_from(*offset).unwrap_or(TAIL).min(TAIL)];
            let from = offset - tail.len() as u64;
            if input.read_at(&mut tail, from)? < tail.len() {
                continue;
            }
            if hash(&tail) != *kept {
                return Ok(None);
            }
            let mut end = *offset;
            let mut chunk = vec![0; CHUNK];
            while end < self.position.offset {
                match input.read_at(&mut chunk, end)? {
                    0 => return Ok(Some(end)),
                    count => end += count as u64,
                }
            }
            return Ok(None);
        }
        Ok(None)
    }

    /// Whether a file is the beginning of this one, byte for byte as far as that is looked at: a copy that is being made.
    pub fn begins_with(&mut self, input: &mut Input, size: u64) -> io::Result<bool> {
        if size == 0 || size >= self.position.offset {
            return Ok(false);
        }
        let mut same = |input: &mut Input, from: u64, length: usize| -> io::Result<bool> {
            let (mut ours, mut theirs) = (vec![0; length], vec![0; length]);
            let count = self.input.read_at(&mut ours, from)?;
            Ok(count == length && input.read_at(&mut theirs, from)? == length && ours == theirs)
        };
        let length = usize::try_from(size).unwrap_or(PREFIX);
        let tail = length.min(TAIL);
        Ok(same(input, 0, length.min(PREFIX))? && same(input, size - tail as u64, tail)?)
    }

    /// Starts at the end of the last whole line, so that what is there already is not read.
    pub fn skip_to_end(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        let mut end = self.input.metadata()?.size();
        buffer.resize(CHUNK, 0);
        while end > 0 {
            let from = end.saturating_sub(CHUNK as u64);
            let want = usize::try_from(end - from).unwrap_or(CHUNK);
            let count = self.input.read_at(&mut buffer[..want], from)?;
            if let Some(newline) = memchr::memrchr(b'\n', &buffer[..count]) {
                self.position.offset = from + newline as u64 + 1;
                break;
            }
            end = from;
        }
        // Line numbers count from the file's start, so the lines passed over are counted.
        let mut at = 0;
        while at < self.position.offset {
            let count = self.input.read_at(&mut buffer[..CHUNK], at)?;
            let count = count.min(usize::try_from(self.position.offset - at).unwrap_or(usize::MAX));
            if count == 0 {
                break;
            }
            self.position.line += memchr::memchr_iter(b'\n', &buffer[..count]).count() as u64;
            at += count as u64;
        }
        self.remember_content()
    }

    /// The file's path, where it is known under a new one.
    pub fn renamed(&mut self, path: &Path) {
        self.position.path = path.to_string_lossy().into_owned();
        let origin = self.origin();
        if let Some(intake) = &mut self.intake {
            intake.renamed(origin);
        }
    }

    fn origin(&self) -> Arc<Origin> {
        Arc::new(Origin {
            source: self.source.name.as_str().into(),
            path: self.position.path.as_str().into(),
            lateness: i64::try_from(self.source.lateness.as_millis()).unwrap_or(i64::MAX),
        })
    }

    /// The open file.
    pub fn input(&mut self) -> &mut Input {
        &mut self.input
    }

    /// Whether what was read before is still there; with the file's size now.
    pub fn intact(&mut self) -> io::Result<(bool, u64)> {
        let size = self.input.metadata()?.size();
        Ok((size >= self.position.offset && self.tail_holds()?, size))
    }

    /// Whether the file has no name any more.
    pub fn unlinked(&self) -> bool {
        self.input.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// What the grammar needs to go on from here.
    fn state(&self) -> String {
        self.intake.as_ref().map_or_else(|| self.position.state.clone(), Intake::state)
    }

    /// The position as it is to be kept.
    pub fn kept(&self) -> Position {
        Position {
            prefix_length: self.prefix.len(),
            prefix: hash(&self.prefix),
            tail_length: self.tail.len(),
            tail: hash(&self.tail),
            state: self.state(),
            ..self.position.clone()
        }
    }

    /// The start of a stretch to be journalled.
    pub fn segment(&self) -> Segment {
        Segment {
            generation: self.position.generation,
            from: self.position.offset,
            to: self.position.offset,
            line: self.position.line + 1,
            state: self.state(),
            partial: false,
        }
    }

    /// Whether a turn would find anything: new bytes, or fewer than before.
    pub fn pending(&mut self) -> io::Result<bool> {
        if self.input.compression() != Compression::None {
            return Ok(true);
        }
        let metadata = self.input.metadata()?;
        let size = metadata.size();
        if size >= self.position.offset {
            self.size = size;
        }
        if size != self.position.offset + self.looked as u64 {
            return Ok(true);
        }
        // Truncated and written again to just the same size: only the time of writing tells, and what stands there now.
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        if modified != self.modified {
            self.modified = modified;
            self.rewritten = !self.tail_holds()?;
        }
        Ok(self.rewritten)
    }

    /// The time of the first event after the offset that has one of its own; nothing is taken in.
    pub fn first_time(&mut self) -> Option<Millis> {
        let mut bytes = vec![0; SMALL_CHUNK];
        let count = self.input.read_at(&mut bytes, self.position.offset).ok()?;
        let mut intake = self.make_intake([0; 32]);
        let mut events = Vec::new();
        let mut rest = &bytes[..count];
        while let Some(line_end) = record_end(Framing::Lines, rest, 0) {
            let end = record_end(intake.framing(&rest[..line_end]), rest, 0).unwrap_or(line_end);
            intake.absorb(&rest[..end], Place { read_at: Millis::MAX, ..Place::default() }, &mut events);
            let own = |event: &&Event| !event.is(Field::TimeSuspect) && !event.has(Field::QuarantineReason);
            if let Some(event) = events.iter().find(own) {
                return Some(event.time);
            }
            events.clear();
            rest = &rest[end + 1..];
        }
        None
    }

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
        if plain {
            let size = self.input.metadata()?.size();
            if size < self.position.offset || self.rewritten {
                return Ok(Turn { truncated: true, ..Turn::default() });
            }
            self.size = size;
            if self.size == self.position.offset + self.looked as u64 {
                return Ok(Turn::default());
            }
        }
        let chunk = if until == Millis::MAX { CHUNK } else { SMALL_CHUNK };
        let capacity = self.looked.saturating_add(chunk).min(self.source.max_line + CHUNK);
        buffer.resize(capacity, 0);
        let filled = self.input.read_at(&mut buffer[..capacity], self.position.offset)?;
        if plain && (self.input.metadata()?.size() < self.position.offset + filled as u64 || !self.tail_holds()?) {
            return Ok(Turn { truncated: true, ..Turn::default() });
        }
        let bytes = &buffer[..filled];
        let mut turn = Turn::default();
        if self.intake.is_none() && !self.start_intake(bytes)? {
            self.looked = filled;
            turn.more = filled == capacity;
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
            self.advance(&bytes[..at]);
            turn.bytes += at as u64;
            turn.more |= filled == capacity;
        } else if filled == capacity && filled > self.source.max_line {
            return self.overlong(buffer, read_at, events);
        } else {
            self.looked = filled;
            self.searched = if memchr::memchr(b'\n', bytes).is_none() { filled } else { 0 };
            turn.more = filled == capacity;
        }
        Ok(turn)
    }

    /// Where the record at the start of `bytes` ends. One of several lines that does not end within `max_line` is taken line by line,
    /// so that an open quote cannot swallow the rest of a file.
    fn end_of(&self, bytes: &[u8], searched: usize) -> Option<usize> {
        let intake = self.intake.as_ref()?;
        let line_end = record_end(Framing::Lines, bytes, searched)?;
        let framing = intake.framing(&bytes[..line_end]);
        if framing == Framing::Lines {
            return Some(line_end);
        }
        match record_end(framing, bytes, 0) {
            Some(end) if end <= self.source.max_line => Some(end),
            None if bytes.len() <= self.source.max_line => None,
            _ => Some(line_end),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "a record and all that is known of it")]
    fn take(
        &mut self,
        record: &[u8],
        at: u64,
        cut: u64,
        partial: bool,
        read_at: Millis,
        events: &mut Vec<Event>,
        turn: &mut Turn,
    ) {
        let place = Place {
            offset: self.position.offset + at,
            line: self.position.line + 1,
            read_at,
            stand_in: self.stand_in.unwrap_or(read_at),
            cut: cut + record.len().saturating_sub(self.source.max_line) as u64,
            partial,
        };
        let intake = self.intake.as_mut().expect("started before records are taken");
        let verdict = intake.absorb(&record[..record.len().min(self.source.max_line)], place, events);
        if let Verdict::Rejected(reason) = verdict {
            turn.rejected.push(reason);
        }
        self.position.line += 1 + memchr::memchr_iter(b'\n', record).count() as u64;
        turn.records += 1;
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
                buffer.resize(self.source.max_line, 0);
                let count = self.input.read_at(&mut buffer[..], self.position.offset)?;
                let cut = end - self.position.offset - count as u64;
                let record = std::mem::take(buffer);
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

    fn tail_holds(&mut self) -> io::Result<bool> {
        let mut now = [0; TAIL];
        let now = &mut now[..self.tail.len()];
        let count = self.input.read_at(now, self.position.offset - self.tail.len() as u64)?;
        Ok(now[..count] == self.tail[..])
    }

    /// Makes the intake once the first line is known; false where it is not complete yet.
    fn start_intake(&mut self, bytes: &[u8]) -> io::Result<bool> {
        if unhex(&self.position.first_line).is_some() {
            self.begin(&[]);
            return Ok(true);
        }
        if self.position.offset == 0 {
            // An over-long first line identifies the file by its first `max_line` bytes.
            let end = match memchr::memchr(b'\n', bytes) {
                Some(end) => end,
                None if bytes.len() > self.source.max_line => self.source.max_line,
                None => return Ok(false),
            };
            let line = bytes[..end.min(self.source.max_line)].to_vec();
            self.begin(&line);
            return Ok(true);
        }
        let mut head = vec![0; self.source.max_line];
        let count = self.input.read_at(&mut head, 0)?;
        let end = memchr::memchr(b'\n', &head[..count]).unwrap_or(count);
        self.begin(&head[..end]);
        Ok(true)
    }

    fn begin(&mut self, first_line: &[u8]) {
        let identity = unhex(&self.position.first_line).unwrap_or_else(|| first_line_hash(first_line));
        self.position.first_line = identity.iter().map(|byte| format!("{byte:02x}")).collect();
        self.intake = Some(self.make_intake(identity));
    }

    fn make_intake(&self, identity: [u8; 32]) -> Intake {
        let options = parse::Options {
            timezone: self.source.timezone,
            year: self.position.year,
            mapping: self.source.mapping.clone(),
        };
        let grammar =
            parse::grammar(&self.source.format, &options).expect("the configuration only names formats there are");
        let decoder = Decoder::of(&self.source.encoding);
        let wrapping = match self.source.arrival {
            Arrival::Files => Wrapping::None,
            Arrival::Journal(_) => Wrapping::Journal,
            Arrival::Syslog(_) | Arrival::Push(_) | Arrival::Stdin => Wrapping::Spool,
        };
        let mut intake =
            Intake::new(grammar, decoder, self.tables.clone(), self.origin(), identity).wrapped_in(wrapping);
        intake.resume(&self.position.state);
        intake
    }

    /// The format in use, once known.
    pub fn format(&self) -> Option<&'static str> {
        self.intake.as_ref().map(Intake::format)
    }

    fn advance(&mut self, taken: &[u8]) {
        if self.prefix.len() < PREFIX && self.prefix.len() as u64 == self.position.offset {
            let room = PREFIX - self.prefix.len();
            self.prefix.extend_from_slice(&taken[..taken.len().min(room)]);
        }
        self.position.offset += taken.len() as u64;
        if taken.len() >= TAIL {
            self.tail.clear();
            self.tail.extend_from_slice(&taken[taken.len() - TAIL..]);
        } else {
            self.tail.extend_from_slice(taken);
            let surplus = self.tail.len().saturating_sub(TAIL);
            self.tail.drain(..surplus);
        }
        self.mark();
    }
}

fn year_of(seconds: i64) -> i32 {
    chrono::DateTime::from_timestamp(seconds, 0).map_or(1970, |time| chrono::Datelike::year(&time))
}

/// Reads a journalled stretch again, giving the same events as the first time. What can no longer be read is told in bytes.
pub fn reread(
    input: Input,
    segment: &Segment,
    mut position: Position,
    source: Arc<Source>,
    tables: Arc<parse::web::Tables>,
    read_at: Millis,
    events: &mut Vec<Event>,
) -> io::Result<u64> {
    position.offset = segment.from;
    position.line = segment.line - 1;
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
    Ok(segment.to.saturating_sub(follower.position.offset))
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
