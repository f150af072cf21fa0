//! One record as a line of a spool file, and back. Not for files or their durability (`spool_file`).
//!
//! ```text
//! <received, unix ms><mark> <peer or ->[+cut=<bytes>][+partial] <payload>
//! ```
//!
//! In the payload a backslash is written `\\` and a line feed `\n`; every other byte stays as it came. The mark is `+` where more records
//! of the same write follow, and `*` with the CRC-32 of the whole write in hex on its last line: a write that a crash left incomplete is
//! known by it, and cut off when the spool is opened again.

use std::borrow::Cow;
use std::io::Write as _;
use std::net::IpAddr;

use crmwatch_detectors::Millis;
use flate2::Crc;
use memchr::{memchr, memchr2};

/// A record as it came in.
#[derive(Debug, Clone, Copy)]
pub struct Received<'r> {
    /// When, in milliseconds since 1970.
    pub at: Millis,
    /// Who sent it, where that is known.
    pub peer: Option<IpAddr>,
    /// The record itself, without the line end it may have travelled with.
    pub payload: &'r [u8],
    /// Bytes the receiver cut off because the record was too long.
    pub cut: u64,
    /// The connection ended in the middle of it.
    pub partial: bool,
}

impl<'r> Received<'r> {
    /// A whole record.
    pub fn new(at: Millis, peer: Option<IpAddr>, payload: &'r [u8]) -> Received<'r> {
        Received { at, peer, payload, cut: 0, partial: false }
    }
}

/// A spooled line read back.
#[derive(Debug, PartialEq, Eq)]
pub struct Spooled<'l> {
    /// When it came, in milliseconds since 1970.
    pub at: Millis,
    /// Who sent it.
    pub peer: Option<IpAddr>,
    /// The record.
    pub payload: Cow<'l, [u8]>,
    /// Bytes the receiver cut off.
    pub cut: u64,
    /// The connection ended in the middle of it.
    pub partial: bool,
}

/// Lines of one write, all but the last of them ready.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Where the last line's mark stands.
    mark: usize,
}

impl Lines {
    pub(super) fn of(records: &[Received<'_>]) -> Lines {
        let mut lines = Lines::default();
        for record in records {
            lines.push(record);
        }
        lines
    }

    fn push(&mut self, record: &Received<'_>) {
        let out = &mut self.bytes;
        out.reserve(record.payload.len() + 48);
        let _ = write!(out, "{}", record.at.max(0));
        self.mark = out.len();
        out.extend_from_slice(b"+ ");
        match record.peer {
            Some(peer) => drop(write!(out, "{}", peer.to_canonical())),
            None => out.push(b'-'),
        }
        if record.cut > 0 {
            let _ = write!(out, "+cut={}", record.cut);
        }
        if record.partial {
            out.extend_from_slice(b"+partial");
        }
        out.push(b' ');
        let mut rest = record.payload;
        while let Some(at) = memchr2(b'\\', b'\n', rest) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(if rest[at] == b'\n' { b"\\n" } else { b"\\\\" });
            rest = &rest[at + 1..];
        }
        out.extend_from_slice(rest);
        out.push(b'\n');
    }

    /// Puts others behind these.
    pub(super) fn append(&mut self, others: Lines) {
        if self.bytes.is_empty() {
            *self = others;
        } else {
            self.mark = self.bytes.len() + others.mark;
            self.bytes.extend_from_slice(&others.bytes);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of the write these lines will be.
    pub(super) fn length(&self) -> u64 {
        self.bytes.len() as u64 + 8
    }

    /// The write: its last line carries the sum over everything before and after the mark.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.bytes.is_empty() {
            return self.bytes;
        }
        let mut sum = Crc::new();
        sum.update(&self.bytes[..self.mark]);
        sum.update(&self.bytes[self.mark + 1..]);
        let mark = format!("*{:08x}", sum.sum());
        self.bytes.splice(self.mark..=self.mark, mark.into_bytes());
        self.bytes
    }
}

/// Records as one write of a spool file.
pub fn spooled(records: &[Received<'_>]) -> Vec<u8> {
    Lines::of(records).finish()
}

/// Goes through the lines of a spool file and tells where whole writes end.
pub(super) struct Wholeness {
    sum: Crc,
}

impl Wholeness {
    pub(super) fn new() -> Wholeness {
        Wholeness { sum: Crc::new() }
    }

    /// Looks at the next line, with its newline. True where it ends a whole write.
    pub(super) fn line_ends_a_write(&mut self, line: &[u8]) -> bool {
        let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (head, rest) = line.split_at(digits);
        self.sum.update(head);
        let claimed = rest.strip_prefix(b"*").and_then(|rest| rest.split_at_checked(8));
        match claimed {
            Some((hex, rest)) if line.ends_with(b"\n") => {
                self.sum.update(rest);
                let sum = std::mem::replace(&mut self.sum, Crc::new()).sum();
                hex == format!("{sum:08x}").as_bytes()
            }
            _ => {
                self.sum.update(rest);
                false
            }
        }
    }
}

/// Reads a line without its newline. Nothing where it is none of ours, as when a file was damaged by hand.
pub fn unwrap(line: &[u8]) -> Option<Spooled<'_>> {
    let space = memchr(b' ', line)?;
    let (head, rest) = (&line[..space], &line[space + 1..]);
    let digits = head.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mark = &head[digits..];
    if mark != b"+" && !(mark.len() == 9 && mark[0] == b'*') {
        return None;
    }
    let at = std::str::from_utf8(&head[..digits]).ok()?.parse().ok()?;
    let space = memchr(b' ', rest)?;
    let mut parts = std::str::from_utf8(&rest[..space]).ok()?.split('+');
    let peer = match parts.next()? {
        "-" => None,
        peer => Some(peer.parse().ok()?),
    };
    let mut spooled = Spooled { at, peer, payload: unescape(&rest[space + 1..]), cut: 0, partial: false };
    for part in parts {
        match part.strip_prefix("cut=") {
            Some(cut) => spooled.cut = cut.parse().ok()?,
            None if part == "partial" => spooled.partial = true,
            None => return None,
        }
    }
    Some(spooled)
}

fn unescape(payload: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\\', payload).is_none() {
        return Cow::Borrowed(payload);
    }
    let mut out = Vec::with_capacity(payload.len());
    let mut rest = payload;
    while let Some(at) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        match rest.get(at + 1) {
            Some(b'n') => out.push(b'\n'),
            Some(other) => out.push(*other),
            // Not written so by us; nothing is thrown away all the same.
            None => out.push(b'\\'),
        }
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn there_and_back(payloads: &[Vec<u8>]) {
        let peer = Some("2001:db8::7".parse().expect("an address"));
        let records: Vec<Received<'_>> = payloads
            .iter()
            .map(|payload| Received { cut: 7, ..Received::new(1_700_000_000_000, peer, payload) })
            .collect();
        let write = Lines::of(&records).finish();
        let lines: Vec<&[u8]> = write.split_inclusive(|byte| *byte == b'\n').collect();
        assert_eq!(lines.len(), payloads.len());
        let mut wholeness = Wholeness::new();
        for (index, (line, payload)) in lines.iter().zip(payloads).enumerate() {
            assert_eq!(wholeness.line_ends_a_write(line), index + 1 == payloads.len());
            let spooled = unwrap(&line[..line.len() - 1]).expect("one of ours");
            assert_eq!((&*spooled.payload, spooled.peer, spooled.cut), (&payload[..], peer, 7));
        }
    }

    proptest! {
        #[test]
        fn whatever_bytes_come_are_the_bytes_read_back(payloads in prop::collection::vec(
            prop::collection::vec(prop::sample::select(vec![0, b'\n', b'\\', b'n', b' ', b'*', b'+', b'\r', 0xff]), 0..12), 1..5)
        ) {
            there_and_back(&payloads);
        }
    }

    #[test]
    fn a_line_shows_who_sent_it_when_and_what_is_missing() {
        let peer = Some("::ffff:192.0.2.1".parse().expect("an address"));
        let record = Received { cut: 12, partial: true, ..Received::new(1_700_000_000_000, peer, b"a\\b\nc") };
        let write = Lines::of(&[record, Received::new(5, None, b"x")]).finish();
        let text = String::from_utf8(write).expect("text");
        assert_eq!(text, "1700000000000+ 192.0.2.1+cut=12+partial a\\\\b\\nc\n5*b1495132 - x\n");
    }

    #[test]
    fn a_line_that_is_none_of_ours_is_not_read_as_one() {
        for line in [
            "",
            "x",
            "12 - x",
            "12+ - ",
            "12+",
            "12+ nobody x",
            "12*abc - x",
            "99999999999999999999+ - x",
            "1+ -+more x",
        ] {
            let read = unwrap(line.as_bytes());
            assert_eq!(read.is_some(), line == "12+ - ", "{line}: {read:?}");
        }
    }

    #[test]
    fn a_changed_byte_makes_a_write_incomplete() {
        let write = Lines::of(&[Received::new(1, None, b"one"), Received::new(2, None, b"two")]).finish();
        for at in 0..write.len() {
            let mut changed = write.clone();
            changed[at] ^= 1;
            let mut wholeness = Wholeness::new();
            let whole =
                changed.split_inclusive(|byte| *byte == b'\n').filter(|line| wholeness.line_ends_a_write(line)).count();
            assert_eq!(whole, 0, "byte {at}");
        }
    }
}
