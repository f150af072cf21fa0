//! From a record's bytes to finished events: decoded, parsed, given id, time and place. The same for every way records come (tailing,
//! recovery, `scan`, `parse`), so that the same file gives the same events. Not for finding records.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use crmwatch_detectors::{Event, EventId, Field, Millis, Origin, json};
use sha2::{Digest, Sha256};

use super::decode::Decoder;
use super::journal_entry::Entry;
use super::spool_line;
use super::units::Units;
use crate::parse::{Framing, Grammar, NO_TIME, Verdict};

/// A stamp further ahead of the reading time than this is not believed.
const AHEAD: Millis = 24 * 3_600_000;
/// 2000-01-01: a stamp before it is not believed.
const EARLIEST: Millis = 946_684_800_000;

/// Where a record lies and how it was cut.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// Offset in the decompressed file.
    pub offset: u64,
    /// Line number, from 1.
    pub line: u64,
    /// The time of reading, beyond which no stamp can be.
    pub read_at: Millis,
    /// What stands in for times that cannot be believed; when tailing, the time of reading.
    pub stand_in: Millis,
    /// Bytes cut off beyond `max_line`.
    pub cut: u64,
    /// The file died before the newline came.
    pub partial: bool,
}

/// Turns one file's records into events.
pub struct Intake {
    grammar: Box<dyn Grammar>,
    decoder: Decoder,
    tables: Arc<crate::parse::web::Tables>,
    origin: Arc<Origin>,
    identity: Sha256,
    /// The last event a record began, and its time: what a continuation goes on from.
    last: EventId,
    last_time: Millis,
    wrapping: Wrapping,
}

/// What stands around each record of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wrapping {
    /// Nothing: the line is the record.
    #[default]
    None,
    /// The file is a spool's.
    Spool,
    /// The file is a spool's, and the records are entries of the journal.
    Journal,
}

/// What the wrapping told.
#[derive(Default)]
struct Told {
    peer: Option<IpAddr>,
    entry: Option<Entry>,
}

impl Intake {
    /// `first_line` is the file's first complete line, which makes its events' ids its own.
    pub fn new(
        grammar: Box<dyn Grammar>,
        decoder: Decoder,
        tables: Arc<crate::parse::web::Tables>,
        origin: Arc<Origin>,
        first_line: [u8; 32],
    ) -> Intake {
        let mut identity = Sha256::new();
        identity.update(first_line);
        Intake {
            grammar,
            decoder,
            tables,
            origin,
            identity,
            last: EventId::default(),
            last_time: NO_TIME,
            wrapping: Wrapping::None,
        }
    }

    /// Takes this off each record.
    pub fn wrapped_in(mut self, wrapping: Wrapping) -> Intake {
        self.wrapping = wrapping;
        self
    }

    /// What is needed to go on from here.
    pub fn state(&self) -> String {
        let grammar = self.grammar.state();
        if grammar.is_empty() && self.last == EventId::default() {
            return String::new();
        }
        format!("{} {} {grammar}", self.last, self.last_time)
    }

    /// Goes on from a saved state.
    pub fn resume(&mut self, state: &str) {
        let mut parts = state.splitn(3, ' ');
        if let (Some(last), Some(time), Some(grammar)) = (parts.next(), parts.next(), parts.next()) {
            self.last = EventId::parse(last).unwrap_or_default();
            self.last_time = time.parse().unwrap_or(NO_TIME);
            if !grammar.is_empty() {
                self.grammar.resume(grammar);
            }
        }
    }

    /// Goes back to a state of this file a record ago.
    pub fn go_back(&mut self, state: &str) {
        (self.last, self.last_time) = (EventId::default(), NO_TIME);
        self.resume(state);
    }

    /// The format in use.
    pub fn format(&self) -> &'static str {
        self.grammar.format()
    }

    /// Events name this path from now on.
    pub fn renamed(&mut self, origin: Arc<Origin>) {
        self.origin = origin;
    }

    /// How the record that starts with this line ends.
    pub fn framing(&self, line: &[u8]) -> Framing {
        match self.wrapping {
            Wrapping::None => self.grammar.framing(&self.decoder.plain(line)),
            // One record a line, whatever is in it.
            Wrapping::Spool | Wrapping::Journal => Framing::Lines,
        }
    }

    /// How characters lie in the file's bytes; in a spool they lie as they came only within a record.
    pub fn units(&self) -> Units {
        match self.wrapping {
            Wrapping::None => self.decoder.units(),
            Wrapping::Spool | Wrapping::Journal => Units::Single,
        }
    }

    fn unwrap<'r>(&self, record: &'r [u8], place: &mut Place) -> (Cow<'r, [u8]>, Told) {
        let mut told = Told::default();
        if self.wrapping == Wrapping::None {
            return (Cow::Borrowed(record), told);
        }
        let Some(spooled) = spool_line::unwrap(record) else { return (Cow::Borrowed(record), told) };
        place.stand_in = spooled.at;
        place.cut += spooled.cut;
        place.partial |= spooled.partial;
        told.peer = spooled.peer;
        if self.wrapping == Wrapping::Journal
            && let Some(mut entry) = Entry::open(&spooled.payload)
        {
            let message = std::mem::take(&mut entry.message);
            place.stand_in = entry.at.unwrap_or(place.stand_in);
            told.entry = Some(entry);
            return (Cow::Owned(message), told);
        }
        (spooled.payload, told)
    }

    /// Takes in one record, without its final newline.
    pub fn absorb(&mut self, record: &[u8], mut place: Place, events: &mut Vec<Event>) -> Verdict {
        let (record, told) = self.unwrap(record, &mut place);
        let record = &*record;
        let units = self.decoder.units();
        let (end, mark): (&[u8], &[u8]) = match units {
            Units::Utf16Le => (b"\r\0", b"\xff\xfe"),
            Units::Utf16Be => (b"\0\r", b"\xfe\xff"),
            _ => (b"\r", b"\xef\xbb\xbf"),
        };
        let mut bytes = record;
        if record.len().is_multiple_of(units.width()) {
            bytes = bytes.strip_suffix(end).unwrap_or(bytes);
        }
        if place.offset == 0 {
            bytes = bytes.strip_prefix(mark).unwrap_or(bytes);
        }
        // A file truncated under a writer that keeps its place starts with a hole that reads as NULs.
        let zeros = units.leading_zeros(bytes);
        bytes = &bytes[zeros..];
        if zeros > 0 && bytes.is_empty() {
            return Verdict::Skipped;
        }
        let (text, keep_bytes) = self.decoder.decode(bytes);
        let first = events.len();
        let verdict = self.grammar.parse(&text, events);
        match verdict {
            Verdict::Parsed => {}
            Verdict::Skipped => return verdict,
            Verdict::Continuation => {
                let mut event = Event::new(&text);
                event.time = self.last_time;
                event.set(Field::EventKind, "event");
                event.set(Field::EventAction, "info");
                event.set(Field::ContinuationOf, &self.last.to_string());
                events.push(event);
            }
            Verdict::Rejected(reason) => {
                events.truncate(first);
                let mut event = Event::new(&text);
                event.time = NO_TIME;
                event.set(Field::EventKind, "pipeline_error");
                event.set(Field::QuarantineReason, reason);
                events.push(event);
            }
        }
        for (index, event) in events[first..].iter_mut().enumerate() {
            event.id = self.id(place.offset, index, bytes);
            event.origin = self.origin.clone();
            event.offset = place.offset;
            event.line = place.line;
            if keep_bytes {
                event.raw_bytes = Some(bytes.into());
            }
            if place.cut > 0 {
                event.set_integer(Field::Truncated, i64::try_from(place.cut).unwrap_or(i64::MAX));
            }
            if place.partial {
                event.set_bool(Field::Partial, true);
            }
            if let Some(peer) = told.peer {
                event.set(Field::LogSourceAddress, &peer.to_string());
            }
            if let Some(entry) = &told.entry {
                entry.place(event);
                // The journal knows when it was written, whoever wrote it.
                if event.time == NO_TIME
                    && let Some(at) = entry.at
                {
                    event.time = at;
                }
            }
            believe(event, place, verdict);
            self.tables.apply(event);
        }
        if verdict == Verdict::Parsed
            && let Some(event) = events[first..].last()
        {
            self.last = event.id;
            self.last_time = event.time;
        }
        verdict
    }

    fn id(&self, offset: u64, index: usize, record: &[u8]) -> EventId {
        let mut hash = self.identity.clone();
        hash.update(offset.to_le_bytes());
        hash.update((index as u64).to_le_bytes());
        hash.update(record);
        let digest = hash.finalize();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        EventId(u128::from_be_bytes(first))
    }
}

/// One forged stamp must not blind a window or open a partition: what cannot be is kept aside, and the reading time stands in its place.
fn believe(event: &mut Event, place: Place, verdict: Verdict) {
    if event.time == NO_TIME {
        event.time = place.stand_in;
        if verdict == Verdict::Parsed {
            event.set_bool(Field::TimeSuspect, true);
        }
    } else if event.time > place.read_at.saturating_add(AHEAD) || event.time < EARLIEST {
        let told = json::timestamp(event.time);
        event.set(Field::EventCreated, &told);
        event.set_bool(Field::TimeSuspect, true);
        event.time = place.stand_in;
    }
}

/// The hash of a file's first complete line.
pub fn first_line_hash(line: &[u8]) -> [u8; 32] {
    Sha256::digest(line).into()
}
