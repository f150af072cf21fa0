//! How far a file has been read, and what it is known by. Not for reading.
//!
//! No single mark identifies a file: device and inode are reused at once, first lines are equal, names rotate. All of them together do.

use crmwatch_detectors::Millis;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// How many of a file's first bytes are remembered.
pub const PREFIX: usize = 1024;
/// How many of the bytes before the offset are remembered.
pub const TAIL: usize = 256;
/// How many earlier offsets are remembered.
pub const MARKS: usize = 8;

/// How far one generation of one file has been read: always a record boundary.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// The source's name.
    pub source: String,
    /// The path it was last seen at.
    pub path: String,
    /// Counts every file ever begun; never reused.
    pub generation: u64,
    /// Device. A changed device alone is not a new file.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// How many of the first bytes `prefix` covers.
    pub prefix_length: usize,
    /// SHA-256 of the first bytes.
    pub prefix: Digest,
    /// SHA-256 of the first complete line; empty until there is one. Event ids are made from it.
    pub first_line: Digest,
    /// Bytes of whole records read, in the decompressed file.
    pub offset: u64,
    /// Lines read.
    pub line: u64,
    /// How many of the bytes before `offset` `tail` covers.
    pub tail_length: usize,
    /// SHA-256 of the bytes before `offset`: the only thing that sees a truncation that grew back with an equal head.
    pub tail: Digest,
    /// Earlier offsets: what a copy that is shorter than what was read is known by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// The greatest size seen, in bytes of the file itself; 0 where a version before this field wrote it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
    /// It is compressed: its size says nothing of how much is not read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compressed: bool,
    /// Its modification time when it was last looked at, in nanoseconds since 1970; 0 where unknown.
    #[serde(default, skip_serializing_if = "is_zero_time")]
    pub modified: i64,
    /// What the grammar needs to go on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// The year year-less stamps started from.
    pub year: i32,
    /// When nothing more could come: the file is gone, or was compressed. It is remembered so that a copy that turns up is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Millis>,
    /// It was read to its very end, beyond which nothing can have been written: its text is as long as the offset.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
}

impl Position {
    /// Nothing is known of its content: it was empty.
    pub fn is_blank(&self) -> bool {
        self.offset == 0 && self.prefix_length == 0
    }

    /// Bytes that were there when the file was last looked at, and are not read; nothing where that cannot be known.
    pub fn unread(&self) -> Option<u64> {
        (!self.compressed).then(|| self.size.saturating_sub(self.offset)).filter(|bytes| *bytes > 0)
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_zero_time(number: &i64) -> bool {
    *number == 0
}

/// An earlier offset, and the first 64 bits of SHA-256 of the up to [`TAIL`] bytes before it. Short, since there are several a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct Mark {
    /// The offset.
    pub offset: u64,
    /// The hash.
    pub tail: u64,
}

impl Mark {
    /// The hash of the bytes before an offset.
    pub fn of(tail: &[u8]) -> u64 {
        let Digest(bytes) = digest(tail);
        bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

impl From<(u64, u64)> for Mark {
    fn from((offset, tail): (u64, u64)) -> Mark {
        Mark { offset, tail }
    }
}

impl From<Mark> for (u64, u64) {
    fn from(mark: Mark) -> (u64, u64) {
        (mark.offset, mark.tail)
    }
}

/// SHA-256, written in hex; all zeroes stand for none and are written as nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Whether it stands for none.
    pub fn is_none(&self) -> bool {
        self.0 == [0; 32]
    }
}

/// SHA-256.
pub fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        if digest.is_none() {
            return String::new();
        }
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let pair = |byte: &u8| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
        digest.0.iter().flat_map(pair).map(char::from).collect()
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Digest, &'static str> {
        if text.is_empty() {
            return Ok(Digest::default());
        }
        let wrong = "not a SHA-256 in hex";
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong);
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).map_err(|_| wrong)?;
        }
        Ok(Digest(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_written_before_marks_and_sizes_were_kept_is_read() {
        let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let old = format!(
            "{{\"source\":\"app\",\"path\":\"/l/app.log\",\"generation\":7,\"device\":1,\"inode\":2,\"prefix_length\":4,\
             \"prefix\":\"{hash}\",\"first_line\":\"\",\"offset\":4,\"line\":1,\"tail_length\":4,\"tail\":\"{hash}\",\"year\":2026}}"
        );
        let position: Position = serde_json::from_str(&old).expect("read");
        assert_eq!(position.prefix, digest(b"test"));
        assert!(position.first_line.is_none() && position.marks.is_empty());
        assert_eq!(serde_json::to_string(&position).expect("written"), old);
    }

    #[test]
    fn a_position_comes_back_as_it_was_written() {
        let position = Position {
            first_line: digest(b"line"),
            marks: vec![Mark { offset: 9, tail: u64::MAX }],
            size: 12,
            modified: 1_800_000_000_123_456_789,
            ..Position::default()
        };
        let text = serde_json::to_string(&position).expect("written");
        assert_eq!(serde_json::from_str::<Position>(&text).expect("read"), position);
    }
}
