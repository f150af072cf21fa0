//! Where a record ends. Not for what it says; the grammar only tells which framing its records have.

use super::units::Units;
use crate::parse::Framing;
use crate::parse::json::DEPTH;

/// What the search for a record's end came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It ends here: bytes from its start to its newline.
    End(usize),
    /// Not within the bytes seen so far.
    Open,
    /// Nothing that can end: the first line is taken for itself.
    Never,
}

/// The search for the end of one record. It goes on where it stopped when more bytes have come, so that none is looked at twice.
#[derive(Debug, Clone)]
pub struct Scan {
    units: Units,
    /// Bytes of the record that were looked at.
    seen: usize,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Line,
    /// Inside double quotes or not. A doubled quote inside a cell closes and opens again, which comes to the same.
    Csv(bool),
    /// As bytes below 0x80 stand for themselves; and as some may be the second byte of a character, from where that began to matter.
    Json(Json, Option<Box<Second>>),
}

/// The other reading of a JSON record: in an encoding of two bytes.
#[derive(Debug, Clone)]
struct Second {
    json: Json,
    /// The byte before leads this one.
    led: bool,
    found: Found,
    /// Whether the record is UTF-8 so far; where it is none, this reading is the right one.
    utf8: Utf8,
}

impl Scan {
    /// Begins at a record's first byte.
    pub fn new(framing: Framing, units: Units) -> Scan {
        let state = match framing {
            Framing::Lines => State::Line,
            Framing::QuotedCsv => State::Csv(false),
            Framing::Json => State::Json(Json::Before, None),
        };
        Scan { units, seen: 0, state }
    }

    /// Whether a torn unit may be left of the bytes given.
    pub(super) fn is_wide(&self) -> bool {
        self.units.wide()
    }

    /// Bytes looked at; the next ones to be given.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// Goes on with the bytes after those seen. A torn unit at their end is left for the next time.
    pub fn on(&mut self, bytes: &[u8]) -> Found {
        let Scan { units, seen, state } = self;
        let width = units.width();
        let begin = *seen;
        *seen += bytes.len() - bytes.len() % width;
        let found = match state {
            State::Line => units.newline(bytes, 0).map_or(Found::Open, Found::End),
            State::Csv(quoted) => quoted_end(quoted, &units.narrow(bytes)).times(width),
            State::Json(json, second) => match units {
                Units::Single | Units::Utf16Le | Units::Utf16Be => json.on(&units.narrow(bytes)).times(width),
                _ => return two_ways(*units, json, second, bytes, begin),
            },
        };
        if let Found::End(at) = found { Found::End(begin + at) } else { found }
    }
}

impl Found {
    fn times(self, width: usize) -> Found {
        if let Found::End(at) = self { Found::End(at * width) } else { self }
    }
}

fn quoted_end(quoted: &mut bool, bytes: &[u8]) -> Found {
    let mut at = 0;
    while let Some(next) = memchr::memchr2(b'"', b'\n', &bytes[at..]) {
        match bytes[at + next] {
            b'"' => *quoted = !*quoted,
            _ if !*quoted => return Found::End(at + next),
            _ => {}
        }
        at += next + 1;
    }
    Found::Open
}

/// Where a JSON value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Json {
    /// Before its first character.
    Before,
    /// So many containers deep.
    In(usize),
    /// In a string, so many deep.
    Text(usize),
    /// Behind a backslash in a string.
    Escaped(usize),
    /// Behind its end, or no value at all: the next newline ends it.
    Line,
}

impl Json {
    fn on(&mut self, bytes: &[u8]) -> Found {
        for (at, byte) in bytes.iter().enumerate() {
            match self.step(*byte) {
                Found::Open => {}
                Found::End(_) => return Found::End(at),
                Found::Never => return Found::Never,
            }
        }
        Found::Open
    }

    /// `End` where this byte is the newline behind the record.
    fn step(&mut self, byte: u8) -> Found {
        *self = match (*self, byte) {
            // Blank lines before a value, and anything that is no value, are records of their own.
            (Json::Before | Json::Line, b'\n') => return Found::End(0),
            (Json::Before, b'{' | b'[') => Json::In(1),
            // A byte order mark may stand before the first.
            (Json::Before, byte) if byte.is_ascii_whitespace() || !byte.is_ascii() => Json::Before,
            (Json::Before | Json::Line, _) => Json::Line,
            // Deeper than a value is read, it is none; and a hostile log cannot make every line open a search of its own.
            (Json::In(DEPTH), b'{' | b'[') => return Found::Never,
            (Json::In(depth), b'{' | b'[') => Json::In(depth + 1),
            (Json::In(1), b'}' | b']') => Json::Line,
            (Json::In(depth), b'}' | b']') => Json::In(depth - 1),
            (Json::In(depth), b'"') => Json::Text(depth),
            (Json::Text(depth), b'"') => Json::In(depth),
            (Json::Text(depth), b'\\') => Json::Escaped(depth),
            (Json::Escaped(depth), _) => Json::Text(depth),
            (here, _) => here,
        };
        Found::Open
    }
}

/// Reads a record both ways from the first byte on that is not ASCII, and takes the way that fits all its bytes.
fn two_ways(units: Units, json: &mut Json, second: &mut Option<Box<Second>>, bytes: &[u8], begin: usize) -> Found {
    for (at, byte) in (begin..).zip(bytes) {
        if second.is_none() && !byte.is_ascii() {
            let utf8 = if units == Units::Mixed { Utf8::new() } else { Utf8::broken() };
            *second = Some(Box::new(Second { json: *json, led: false, found: Found::Open, utf8 }));
        }
        let Some(other) = second else {
            match json.step(*byte) {
                Found::Open => continue,
                Found::End(_) => return Found::End(at),
                Found::Never => return Found::Never,
            }
        };
        other.step(units, *byte, at);
        if other.utf8.is_broken() {
            if other.found == Found::Open {
                continue;
            }
            // It may have ended before the byte that showed it.
            return other.found;
        }
        match json.step(*byte) {
            Found::Open => {}
            Found::End(_) => return Found::End(at),
            Found::Never => return Found::Never,
        }
    }
    Found::Open
}

impl Second {
    fn step(&mut self, units: Units, byte: u8, at: usize) {
        self.utf8.step(byte);
        if self.found != Found::Open {
            return;
        }
        if std::mem::take(&mut self.led) && matches!(byte, 0x40..=0x7e | 0x80..=0xfe) {
            // The second half of a character, a brace though it may look.
            self.json.step(0x80);
            return;
        }
        self.led = units.leads(byte);
        self.found = match self.json.step(byte) {
            Found::End(_) => Found::End(at),
            other => other,
        };
    }
}

/// Whether bytes are UTF-8, one after the other.
#[derive(Debug, Clone, Copy)]
struct Utf8 {
    /// Bytes of a character still to come, and the bounds of the next.
    left: u8,
    low: u8,
    high: u8,
    broken: bool,
}

impl Utf8 {
    fn new() -> Utf8 {
        Utf8 { left: 0, low: 0x80, high: 0xbf, broken: false }
    }

    fn broken() -> Utf8 {
        Utf8 { broken: true, ..Utf8::new() }
    }

    fn is_broken(self) -> bool {
        self.broken
    }

    fn step(&mut self, byte: u8) {
        let broken = self.broken;
        *self = if self.left > 0 {
            Utf8 { left: self.left - 1, broken: !(self.low..=self.high).contains(&byte), ..Utf8::new() }
        } else {
            let (left, low, high) = match byte {
                0x00..=0x7f => (0, 0x80, 0xbf),
                0xc2..=0xdf => (1, 0x80, 0xbf),
                0xe0 => (2, 0xa0, 0xbf),
                0xed => (2, 0x80, 0x9f),
                0xe1..=0xef => (2, 0x80, 0xbf),
                0xf0 => (3, 0x90, 0xbf),
                0xf1..=0xf3 => (3, 0x80, 0xbf),
                0xf4 => (3, 0x80, 0x8f),
                _ => (0, 1, 0),
            };
            Utf8 { left, low, high, broken: low > high }
        };
        self.broken |= broken;
    }
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
