//! How characters lie in a log's bytes, as far as newlines, quotes and braces must be told from parts of other characters. Not for turning
//! bytes into text (`decode`).

use std::borrow::Cow;

use encoding_rs::Encoding;
use memchr::{memchr, memchr_iter, memrchr};

/// The encodings, by how they hide ASCII.
///
/// No encoding hides a newline or a quote in another character but UTF-16. GBK, Big5 and Shift JIS hide backslash, brackets and braces: they
/// are second bytes of common characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Units {
    /// UTF-8, or GB18030 where it is none: a record shows which only once its bytes are seen.
    #[default]
    Mixed,
    /// A byte below 0x80 is always that character.
    Single,
    /// GB18030, GBK, Big5: a byte from 0x81 on may lead a second one from 0x40 on.
    Double,
    /// Shift JIS: as `Double`, but 0xA0 to 0xDF stand alone.
    ShiftJis,
    /// Two bytes, the low one first.
    Utf16Le,
    /// Two bytes, the high one first.
    Utf16Be,
}

impl Units {
    /// Those of an encoding.
    pub fn of(encoding: &'static Encoding) -> Units {
        if encoding == encoding_rs::UTF_16LE {
            Units::Utf16Le
        } else if encoding == encoding_rs::UTF_16BE {
            Units::Utf16Be
        } else if [encoding_rs::GB18030, encoding_rs::GBK, encoding_rs::BIG5].contains(&encoding) {
            Units::Double
        } else if encoding == encoding_rs::SHIFT_JIS {
            Units::ShiftJis
        } else {
            Units::Single
        }
    }

    /// Bytes of a newline.
    pub fn width(self) -> usize {
        if self.wide() { 2 } else { 1 }
    }

    /// Whether every character takes at least two bytes.
    pub fn wide(self) -> bool {
        matches!(self, Units::Utf16Le | Units::Utf16Be)
    }

    /// Whether a byte leads a second one. Four-byte characters of GB18030 are two leads followed by digits, which hide nothing.
    pub(super) fn leads(self, byte: u8) -> bool {
        match self {
            Units::Mixed | Units::Double => (0x81..=0xfe).contains(&byte),
            Units::ShiftJis => matches!(byte, 0x81..=0x9f | 0xe0..=0xfc),
            Units::Single | Units::Utf16Le | Units::Utf16Be => false,
        }
    }

    /// The index of the first byte of the first newline from `searched` on. `bytes` and `searched` are at a unit's beginning.
    pub fn newline(self, bytes: &[u8], searched: usize) -> Option<usize> {
        if !self.wide() {
            return memchr(b'\n', bytes.get(searched..)?).map(|at| searched + at);
        }
        let mut from = searched;
        loop {
            let low = from + memchr(b'\n', bytes.get(from..)?)?;
            if let Some(at) = self.is_newline(bytes, low) {
                return Some(at);
            }
            from = low + 1;
        }
    }

    /// The index of the first byte of the last newline.
    pub fn last_newline(self, bytes: &[u8]) -> Option<usize> {
        let mut end = bytes.len();
        loop {
            let low = memrchr(b'\n', &bytes[..end])?;
            if !self.wide() {
                return Some(low);
            }
            if let Some(at) = self.is_newline(bytes, low) {
                return Some(at);
            }
            end = low;
        }
    }

    /// How many newlines there are.
    pub fn newlines(self, bytes: &[u8]) -> u64 {
        if !self.wide() {
            return memchr_iter(b'\n', bytes).count() as u64;
        }
        memchr_iter(b'\n', bytes).filter(|low| self.is_newline(bytes, *low).is_some()).count() as u64
    }

    /// Where the newline begins whose low byte stands at `low`; nothing if that byte is part of another character.
    fn is_newline(self, bytes: &[u8], low: usize) -> Option<usize> {
        let (at, high) = if self == Units::Utf16Le { (low, low + 1) } else { (low.checked_sub(1)?, low - 1) };
        (at % 2 == 0 && bytes.get(high) == Some(&0)).then_some(at)
    }

    /// One byte a unit: itself where it is ASCII, 0x80 where it is not; a torn unit at the end is left out. What hides nothing is given back.
    pub(super) fn narrow(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        let ascii = |high: u8, low: u8| if high == 0 && low < 0x80 { low } else { 0x80 };
        match self {
            Units::Utf16Le => bytes.chunks_exact(2).map(|unit| ascii(unit[1], unit[0])).collect(),
            Units::Utf16Be => bytes.chunks_exact(2).map(|unit| ascii(unit[0], unit[1])).collect(),
            _ => Cow::Borrowed(bytes),
        }
    }

    /// How many zero characters stand at the beginning, in bytes.
    pub fn leading_zeros(self, bytes: &[u8]) -> usize {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        zeros - zeros % self.width()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newline_in_utf_16_is_a_unit_of_its_own_and_not_a_byte_of_another() {
        // U+0A0A, U+0A00 and U+010A hold the byte; U+000A is the newline.
        let text: Vec<u16> = vec![0x0a0a, 0x0a00, 0x010a, 0x000a, 0x4e0a, 0x000a, 0x0041];
        let little: Vec<u8> = text.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = text.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for (units, bytes) in [(Units::Utf16Le, little), (Units::Utf16Be, big)] {
            assert_eq!(units.newline(&bytes, 0), Some(6));
            assert_eq!(units.newline(&bytes, 8), Some(10));
            assert_eq!(units.newline(&bytes, 12), None);
            assert_eq!(units.last_newline(&bytes), Some(10));
            assert_eq!(units.newlines(&bytes), 2);
            assert_eq!(*units.narrow(&bytes[6..]), [b'\n', 0x80, b'\n', b'A']);
            // A torn unit is no newline yet.
            assert_eq!(units.newline(&bytes[..7], 0), None);
        }
    }

    #[test]
    fn zeros_are_counted_in_whole_units() {
        assert_eq!(Units::Mixed.leading_zeros(b"\0\0\0a"), 3);
        assert_eq!(Units::Utf16Be.leading_zeros(b"\0\0\0a"), 2);
    }
}
