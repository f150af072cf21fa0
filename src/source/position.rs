//! How far a file has been read, and what it is known by. Not for reading.
//!
//! No single mark identifies a file: device and inode are reused at once, first lines are equal, names rotate. All of them together do.

use std::io;

use crmwatch_detectors::Millis;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::input::Input;

/// How many of a file's first bytes are remembered.
pub const PREFIX: usize = 1024;
/// How many of the bytes before the offset are remembered.
pub const TAIL: usize = 256;

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
    /// SHA-256 of the first bytes, in hex.
    pub prefix: String,
    /// SHA-256 of the first complete line, in hex; empty until there is one. Event ids are made from it.
    pub first_line: String,
    /// Bytes of whole records read, in the decompressed file.
    pub offset: u64,
    /// Lines read.
    pub line: u64,
    /// How many of the bytes before `offset` `tail` covers.
    pub tail_length: usize,
    /// SHA-256 of the bytes before `offset`, in hex: the only thing that sees a truncation that grew back with an equal head.
    pub tail: String,
    /// What the grammar needs to go on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// The year year-less stamps started from.
    pub year: i32,
    /// When nothing more could come: the file is gone, or was compressed. It is remembered so that a copy that turns up is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Millis>,
}

/// SHA-256 in hex.
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads hex of 32 bytes back.
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

impl Position {
    /// Whether the content of a file goes on from here: its head is the one remembered, it is long enough, and the bytes before the
    /// offset are the same. A position with nothing read says nothing about content.
    pub fn fits(&self, input: &mut Input) -> io::Result<bool> {
        if self.offset == 0 {
            return Ok(false);
        }
        let mut head = vec![0; self.prefix_length];
        if input.read_at(&mut head, 0)? < head.len() || hash(&head) != self.prefix {
            return Ok(false);
        }
        let mut tail = vec![0; self.tail_length];
        let from = self.offset - self.tail_length as u64;
        Ok(input.read_at(&mut tail, from)? == tail.len() && hash(&tail) == self.tail)
    }
}
