//! The records of one generation: where each ends, what is made of it, and what the grammar must know first. Not for how far a file was
//! read (`follow`).

use std::io;

use crmwatch_detectors::{Event, Field, Millis};

use super::decode::Decoder;
use super::follow::{Follower, SMALL_CHUNK};
use super::framing::{Found, Scan};
use super::intake::{Intake, Place, Wrapping, first_line_hash};
use super::position::Digest;
use super::turn::Turn;
use super::units::Units;
use crate::config::Arrival;
use crate::parse::explain::Explained;
use crate::parse::{self, Framing, Verdict};

impl Follower {
    /// Where the record at the start of `bytes` ends. One of several lines that does not end within `max_line` is taken line by line,
    /// so that an open quote cannot swallow the rest of a file. For the `first` record after the offset it is remembered how far it was
    /// searched.
    pub(super) fn end_of(&mut self, units: Units, bytes: &[u8], first: bool) -> Option<usize> {
        let Some(line_end) = units.newline(bytes, 0) else {
            if first {
                let mut scan = Scan::new(Framing::Lines, units);
                scan.on(bytes);
                self.search.begin(scan, None, bytes);
            }
            return None;
        };
        let framing = self.intake.as_ref()?.framing(&bytes[..line_end]);
        if framing == Framing::Lines || (first && self.search.alone) {
            return Some(line_end);
        }
        let mut scan = Scan::new(framing, units);
        match scan.on(bytes) {
            Found::End(end) if end <= self.source.max_line => Some(end),
            Found::Open if bytes.len() <= self.source.max_line => {
                if first {
                    self.search.begin(scan, Some(line_end), bytes);
                }
                None
            }
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
        let intake = self.intake.as_mut().expect("started before records are taken");
        let units = intake.units();
        let mut kept = record.len();
        if kept > self.source.max_line || cut > 0 {
            kept = kept.min(self.source.max_line);
            // A unit that the limit tears is cut whole.
            kept -= kept % units.width();
        }
        let place = Place {
            offset: self.position.offset + at,
            line: self.position.line + 1,
            read_at,
            stand_in: self.stand_in.unwrap_or(read_at),
            cut: cut + (record.len() - kept) as u64,
            partial,
        };
        let verdict = intake.absorb(&record[..kept], place, events);
        if let Verdict::Rejected(reason) = verdict {
            turn.rejected.push(reason);
        }
        self.position.line += 1 + units.newlines(record);
        turn.records += 1;
    }

    /// How characters lie in the file's bytes; nothing while too little is there to tell.
    pub(super) fn units(&mut self) -> io::Result<Option<Units>> {
        let decoder = self.decoder()?;
        // Lines of a spool are ours, whatever encoding the records in them have.
        let spooled = self.source.arrival != Arrival::Files;
        Ok(if spooled { Some(Units::Single) } else { decoder.map(Decoder::units) })
    }

    /// By the configuration and the first bytes of the file, wherever reading goes on.
    fn decoder(&mut self) -> io::Result<Option<Decoder>> {
        if self.decoder.is_none() {
            let mut head = [0; 2];
            let count = self.input.read_at(&mut head, 0)?;
            self.decoder = Decoder::of(&self.source.encoding, &head[..count]);
        }
        Ok(self.decoder)
    }

    /// Makes the intake once the first line is known; false where it is not complete yet. `bytes` are those at the offset.
    pub(super) fn start_intake(&mut self, units: Units, bytes: &[u8]) -> io::Result<bool> {
        if !self.position.first_line.is_none() {
            self.begin(&[]);
            return Ok(true);
        }
        let max_line = self.source.max_line;
        let mut head = Vec::new();
        if self.position.offset > 0 {
            head = vec![0; max_line];
            let count = self.input.read_at(&mut head, 0)?;
            head.truncate(count);
        }
        // Where zeros were passed over, the first line is what stands behind them.
        let bytes = if head.is_empty() || units.leading_zeros(&head) > 0 { bytes } else { &head };
        // An over-long first line identifies the file by its first `max_line` bytes.
        let end = match units.newline(bytes, 0) {
            Some(end) => end.min(max_line),
            None if bytes.len() >= max_line => max_line,
            None => return Ok(false),
        };
        let line = bytes[..end].to_vec();
        self.begin(&line);
        Ok(true)
    }

    pub(super) fn begin(&mut self, first_line: &[u8]) {
        if self.position.first_line.is_none() {
            self.position.first_line = Digest(first_line_hash(first_line));
        }
        self.intake = Some(self.make_intake(self.position.first_line.0));
    }

    fn make_intake(&self, identity: [u8; 32]) -> Intake {
        let options = parse::Options {
            timezone: self.source.timezone,
            year: self.position.year,
            written: Some(self.modified.div_euclid(1_000_000)),
            mapping: self.source.mapping.clone(),
            own: self.source.own.clone(),
        };
        let grammar =
            parse::grammar(&self.source.format, &options).expect("the configuration only names formats there are");
        let grammar = match &self.account {
            Some(account) => Box::new(Explained::new(grammar, account)),
            None => grammar,
        };
        let decoder = self.decoder.unwrap_or(Decoder::Auto);
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
    pub(super) fn format(&self) -> Option<&'static str> {
        self.intake.as_ref().map(Intake::format)
    }

    /// The time of the first event after the offset that has one of its own; nothing is taken in.
    pub(super) fn first_time(&mut self) -> Option<Millis> {
        let mut bytes = vec![0; SMALL_CHUNK];
        let count = self.input.read_at(&mut bytes, self.position.offset).ok()?;
        let units = self.units().ok()??;
        let mut intake = self.make_intake([0; 32]);
        let mut events = Vec::new();
        let mut rest = &bytes[units.leading_zeros(&bytes[..count])..count];
        while let Some(line_end) = units.newline(rest, 0) {
            let end = match Scan::new(intake.framing(&rest[..line_end]), units).on(rest) {
                Found::End(end) => end,
                Found::Open | Found::Never => line_end,
            };
            intake.absorb(&rest[..end], Place { read_at: Millis::MAX, ..Place::default() }, &mut events);
            let own = |event: &&Event| !event.is(Field::TimeSuspect) && !event.has(Field::QuarantineReason);
            if let Some(event) = events.iter().find(own) {
                return Some(event.time);
            }
            events.clear();
            rest = &rest[end + units.width()..];
        }
        None
    }
}
