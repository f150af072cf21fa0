//! How far a file has been read, and what it is known by. Not for reading.

use serde::{Deserialize, Serialize};

/// How far one generation of one file has been read: always a record boundary.
///
/// No single mark identifies a file: device and inode are reused at once, first lines are equal, names rotate. All of them together do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    pub prefix_length: u64,
    /// SHA-256 of the first bytes, in hex.
    pub prefix: String,
    /// SHA-256 of the first complete record, in hex; empty until there is one. Event ids are made from it.
    pub first_record: String,
    /// Bytes of whole records read, in the decompressed file.
    pub offset: u64,
    /// Lines read.
    pub line: u64,
    /// How many of the bytes before `offset` `tail` covers.
    pub tail_length: u64,
    /// SHA-256 of the bytes before `offset`, in hex: the only thing that sees a truncation that grew back with an equal head.
    pub tail: String,
    /// What the grammar needs to go on.
    #[serde(default)]
    pub state: String,
    /// The year year-less stamps started from.
    #[serde(default)]
    pub year: i32,
}
