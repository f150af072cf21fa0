//! The record at a file's offset whose end has not been found yet: how far it was searched, so that a line that comes slowly or is very
//! long is not searched twice. Not for whole records (`turn`).

use std::io;

use super::follow::{CHUNK, Follower};
use super::framing::{Found, Scan};
use super::input::Input;

/// How much of an open record is searched in one turn.
const STRETCH: u64 = 16 << 20;

/// How far the record at the offset was searched.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Bytes after the offset that were looked at and hold no whole record.
    pub(super) looked: u64,
    /// Zeros at the beginning, known so far.
    pub(super) zeros: u64,
    /// The search for the newline of the first line, or for the end of a record of several lines.
    pub(super) scan: Option<Scan>,
    /// Where the first line ends, once the record is known to have several.
    pub(super) first_line: Option<usize>,
    /// The record never ends: its first line is taken for itself.
    pub(super) alone: bool,
    /// The last bytes looked at: if others stand there now, the search is void.
    pub(super) last: Vec<u8>,
}

/// How many of the last bytes looked at are remembered.
const LAST: usize = 64;

impl Search {
    /// Remembers how far the record was searched; `bytes` are all that was looked at.
    pub(super) fn begin(&mut self, scan: Scan, first_line: Option<usize>, bytes: &[u8]) {
        (self.first_line, self.alone) = (first_line, false);
        self.keep(scan, bytes);
    }

    fn keep(&mut self, scan: Scan, bytes: &[u8]) {
        // A torn unit at the end is not counted as looked at.
        let torn = bytes.len() % 2 * usize::from(scan.is_wide());
        self.last = bytes[bytes.len().saturating_sub(LAST + torn)..bytes.len() - torn].to_vec();
        self.scan = Some(scan);
    }
}

/// What a search came to.
pub(super) enum Searched {
    /// So many bytes hold a whole record, or a whole first line of one.
    Whole(usize),
    /// So many bytes hold the first line of a record that never ends.
    Alone(usize),
    /// A line beyond all bounds, of so many bytes.
    Overlong(u64),
    /// The bytes ended; whether more are there at once.
    Open(bool),
}

impl Follower {
    /// Goes on searching for the end of the record at the offset, without keeping it.
    pub(super) fn search_on(&mut self, buffer: &mut Vec<u8>) -> io::Result<Searched> {
        let max_line = self.source.max_line;
        let Some(mut scan) = self.search.scan.take() else { return Ok(Searched::Whole(0)) };
        buffer.resize(CHUNK, 0);
        if !self.still_there(scan.seen() as u64)? {
            self.search = Search::default();
            return Ok(Searched::Whole(0));
        }
        let until = scan.seen() as u64 + STRETCH;
        loop {
            let from = self.position.offset + scan.seen() as u64;
            let filled = self.input.read_at(&mut buffer[..CHUNK], from)?;
            self.search.looked = scan.seen() as u64 + filled as u64;
            let found = scan.on(&buffer[..filled]);
            let more = filled == CHUNK;
            return Ok(match (self.search.first_line, found) {
                (None, Found::End(end)) if end > max_line => Searched::Overlong(end as u64),
                (None, Found::End(end)) => Searched::Whole(end),
                (Some(_), Found::End(end)) if end <= max_line => Searched::Whole(end),
                (Some(line), Found::End(_) | Found::Never) => Searched::Alone(line),
                (Some(line), Found::Open) if scan.seen() > max_line || (self.ending && !more) => Searched::Alone(line),
                (_, Found::Open | Found::Never) => {
                    if more && (scan.seen() as u64) < until {
                        continue;
                    }
                    if filled > 0 {
                        self.search.keep(scan, &buffer[..filled]);
                    } else {
                        self.search.scan = Some(scan);
                    }
                    Searched::Open(more)
                }
            });
        }
    }

    /// Whether the beginning of a record that was looked at is still there.
    pub(super) fn begun_holds(&mut self) -> io::Result<bool> {
        let seen = self.search.scan.as_ref().map(|scan| scan.seen() as u64);
        seen.map_or(Ok(true), |seen| self.still_there(seen))
    }

    /// Whether what was looked at of the record has not been written over.
    fn still_there(&mut self, seen: u64) -> io::Result<bool> {
        let mut now = [0; LAST];
        let now = &mut now[..self.search.last.len()];
        let Some(from) = seen.checked_sub(now.len() as u64) else { return Ok(false) };
        Ok(self.input.read_at(now, self.position.offset + from)? == now.len() && *now == self.search.last[..])
    }

    /// Passes over zeros at a record's beginning: a hole that a truncation left under a writer that keeps its place, or what a power cut
    /// left of a block. Only once something stands behind them, as they may yet be written over. Gives how many were passed over.
    pub(super) fn pass_zeros(&mut self, buffer: &mut Vec<u8>) -> io::Result<u64> {
        let width = self.intake.as_ref().map_or(1, |intake| intake.units().width()) as u64;
        buffer.resize(CHUNK, 0);
        let stop = self.search.zeros + STRETCH;
        while self.search.zeros < stop {
            let from = self.position.offset + self.search.zeros;
            if let Some(data) = next_data(&self.input, from)
                && data > from
            {
                self.search.zeros += data - from - (data - from) % width;
            }
            let from = self.position.offset + self.search.zeros;
            let filled = self.input.read_at(&mut buffer[..CHUNK], from)?;
            let zeros = buffer[..filled].iter().take_while(|byte| **byte == 0).count() as u64;
            self.search.zeros += zeros - zeros % width;
            self.search.looked = self.search.looked.max(self.search.zeros);
            if zeros < filled as u64 {
                let passed = self.search.zeros;
                self.position.offset += passed;
                self.search = Search::default();
                self.remember_content()?;
                return Ok(passed);
            }
            if filled < CHUNK {
                break;
            }
        }
        Ok(0)
    }
}

/// Where the next bytes lie that are not a hole; nothing where that cannot be told, or nothing but a hole follows.
fn next_data(input: &Input, from: u64) -> Option<u64> {
    let Input::Plain(file, _) = input else { return None };
    rustix::fs::seek(file, rustix::fs::SeekFrom::Data(from)).ok()
}
