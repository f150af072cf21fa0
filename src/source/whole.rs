//! A file read from its first byte to its last, once: for `scan` and `parse`. Not for files that are followed (`tailer`).

use std::io;
use std::path::Path;
use std::sync::Arc;

use crmwatch_detectors::{Event, Millis};

use super::Followed;
use super::follow::Follower;
use super::input::Input;
use super::position::Position;
use crate::parse::explain::Account;

/// What one step of reading gave.
#[derive(Debug, Default)]
pub struct Step {
    /// Records read.
    pub records: u64,
    /// Bytes of them, decompressed.
    pub bytes: u64,
    /// The file is at its end.
    pub ended: bool,
}

/// A file being read as a whole.
pub struct WholeFile {
    follower: Follower,
    buffer: Vec<u8>,
    now: Millis,
}

impl WholeFile {
    /// Opens a file. `now` bounds what stamps can be; the file's modification time stands in for those that cannot.
    pub fn open(path: &Path, followed: &Followed, now: Millis) -> io::Result<WholeFile> {
        Self::over(Input::open(path)?, path, followed, now)
    }

    /// As [`WholeFile::open`], with the bytes already at hand under a name of their own.
    pub fn over(input: Input, path: &Path, followed: &Followed, now: Millis) -> io::Result<WholeFile> {
        use std::os::unix::fs::MetadataExt;
        let position = Position {
            source: followed.source.name.clone(),
            path: path.to_string_lossy().into_owned(),
            ..Position::default()
        };
        let modified = input.metadata()?.mtime().saturating_mul(1000);
        let mut follower = Follower::new(input, position, Arc::clone(&followed.source), Arc::clone(&followed.tables))?;
        follower.stand_in = Some(modified.min(now));
        Ok(WholeFile { follower, buffer: Vec::new(), now })
    }

    /// Reads some records on.
    pub fn step(&mut self, events: &mut Vec<Event>) -> io::Result<Step> {
        let turn = self.follower.turn(&mut self.buffer, self.now, events)?;
        if turn.bytes > 0 || turn.more {
            return Ok(Step { records: turn.records, bytes: turn.bytes, ended: false });
        }
        let rest = self.follower.remainder(&mut self.buffer, self.now, events)?;
        Ok(Step { records: rest.records, bytes: rest.bytes, ended: true })
    }

    /// Lets the grammar give account of each record from the first on.
    pub fn explained(&mut self) -> Account {
        self.follower.account.get_or_insert_default().clone()
    }

    /// The format in use, once known.
    pub fn format(&self) -> Option<&'static str> {
        self.follower.format()
    }
}
