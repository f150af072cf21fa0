//! The records of one generation: where each ends, what is made of it, and what the grammar must know first. Not for how far a file was
//! read (`follow`).

use std::io;

use crmwatch_detectors::{Event, Field, Millis};

use super::decode::Decoder;
use super::follow::{Follower, SMALL_CHUNK};
use super::framing::record_end;
use super::intake::{Intake, Place, first_line_hash};
use super::position::Digest;
use super::turn::Turn;
use crate::parse::{self, Framing, Verdict};

impl Follower {
    /// Where the record at the start of `bytes` ends. One of several lines that does not end within `max_line` is taken line by line,
    /// so that an open quote cannot swallow the rest of a file.
    pub(super) fn end_of(&self, bytes: &[u8], searched: usize) -> Option<usize> {
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
    pub(super) fn take(
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

    /// Makes the intake once the first line is known; false where it is not complete yet.
    pub(super) fn start_intake(&mut self, bytes: &[u8]) -> io::Result<bool> {
        if !self.position.first_line.is_none() {
            self.begin(&[]);
            return Ok(true);
        }
        if self.position.offset == 0 {
            // An over-long first line identifies the file by its first `max_line` bytes.
            let end = match memchr::memchr(b'\n', bytes) {
                Some(end) => end,
                None if bytes.len() >= self.source.max_line => self.source.max_line,
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

    pub(super) fn begin(&mut self, first_line: &[u8]) {
        if self.position.first_line.is_none() {
            self.position.first_line = Digest(first_line_hash(first_line));
        }
        self.intake = Some(self.make_intake(self.position.first_line.0));
    }

    pub(super) fn make_intake(&self, identity: [u8; 32]) -> Intake {
        let options = parse::Options {
            timezone: self.source.timezone,
            year: self.position.year,
            mapping: self.source.mapping.clone(),
        };
        let grammar =
            parse::grammar(&self.source.format, &options).expect("the configuration only names formats there are");
        let decoder = Decoder::of(&self.source.encoding);
        let mut intake = Intake::new(grammar, decoder, self.tables.clone(), self.origin(), identity);
        intake.resume(&self.position.state);
        intake
    }

    /// The format in use, once known.
    pub(super) fn format(&self) -> Option<&'static str> {
        self.intake.as_ref().map(Intake::format)
    }

    /// The time of the first event after the offset that has one of its own; nothing is taken in.
    pub(super) fn first_time(&mut self) -> Option<Millis> {
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
}
