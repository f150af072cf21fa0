//! One generation of one file being read: how far, and whether it is still the same. Not for which files there are (`tailer`), nor for a
//! turn of reading (`turn`) and what is made of the records (`records`).

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crmwatch_detectors::{Millis, Origin};

use super::content::Content;
use super::decode::Decoder;
use super::input::{Compression, Input};
use super::intake::Intake;
use super::position::Position;
use super::search::Search;
use crate::config::Source;
use crate::ledger::Segment;
use crate::parse::explain::Account;
use crate::parse::web::Tables;

/// How much is read from one file before the others have their turn.
pub(super) const CHUNK: usize = 256 << 10;
/// And where other files wait whose events may come before these.
pub(super) const SMALL_CHUNK: usize = 32 << 10;

/// Files' times move on in steps of up to so much (10 ms on the coarsest kernels).
const TICK: Duration = Duration::from_millis(20);

/// A file being read.
pub struct Follower {
    /// How far.
    pub position: Position,
    pub(super) input: Input,
    pub(super) intake: Option<Intake>,
    pub(super) source: Arc<Source>,
    pub(super) tables: Arc<Tables>,
    pub(super) content: Content,
    /// The record at the offset, as far as its end was searched for.
    pub(super) search: Search,
    /// How its bytes become text, once its first ones are there.
    pub(super) decoder: Option<Decoder>,
    /// No more will come: what is not whole is taken as it is.
    pub(super) ending: bool,
    /// The size seen last.
    pub size: u64,
    /// The greatest size seen while what was read before was still there: what of it is not read when it is gone, is lost.
    pub(super) sound: u64,
    /// The modification time seen last; a file of the same size that was written to since is looked at again.
    pub(super) modified: i64,
    /// The file was written to so shortly before it was last looked at that a later change may bear the same time.
    pub(super) unsure: bool,
    /// Found to hold something else before the offset than what was read there.
    pub(super) rewritten: bool,
    /// What stands in for times that cannot be believed, where that is not the time of reading (`scan`: the file's modification time).
    pub stand_in: Option<Millis>,
    /// Where the grammar gives account of each record, where anybody asks for it.
    pub(super) account: Option<Account>,
}

impl Follower {
    /// Goes on reading a file from a position; a new one has its offset at 0.
    pub fn new(
        mut input: Input,
        mut position: Position,
        source: Arc<Source>,
        tables: Arc<Tables>,
    ) -> io::Result<Follower> {
        let metadata = input.metadata()?;
        (position.device, position.inode) = (metadata.dev(), metadata.ino());
        position.compressed = input.compression() != Compression::None;
        if position.year == 0 {
            position.year = year_of(metadata.mtime());
        }
        if input.compression() != Compression::None {
            // The size that counts is that of the file as it lies there now.
            position.size = 0;
        }
        let marks = std::mem::take(&mut position.marks);
        let content = Content::before(position.offset, &mut input, marks)?;
        Ok(Follower {
            position,
            input,
            intake: None,
            source,
            tables,
            content,
            search: Search::default(),
            decoder: None,
            ending: false,
            size: metadata.size(),
            sound: metadata.size(),
            modified: Self::stamp(&metadata),
            unsure: true,
            rewritten: false,
            stand_in: None,
            account: None,
        })
    }

    pub(super) fn remember_content(&mut self) -> io::Result<()> {
        let marks = std::mem::take(&mut self.content).into_marks();
        self.content = Content::before(self.position.offset, &mut self.input, marks)?;
        Ok(())
    }

    /// Starts at the end of the last whole line, so that what is there already is not read.
    pub fn skip_to_end(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        let units = self.units()?.unwrap_or_default();
        let width = units.width() as u64;
        let mut end = self.input.metadata()?.size();
        end -= end % width;
        buffer.resize(CHUNK, 0);
        while end > 0 {
            let from = end.saturating_sub(CHUNK as u64);
            let want = usize::try_from(end - from).unwrap_or(CHUNK);
            let count = self.input.read_at(&mut buffer[..want], from)?;
            if let Some(newline) = units.last_newline(&buffer[..count]) {
                self.position.offset = from + newline as u64 + width;
                break;
            }
            end = from;
        }
        // Line numbers count from the file's start, so the lines passed over are counted.
        let mut at = 0;
        while at < self.position.offset {
            let count = self.input.read_at(&mut buffer[..CHUNK], at)?;
            let count = count.min(usize::try_from(self.position.offset - at).unwrap_or(usize::MAX));
            if count == 0 {
                break;
            }
            self.position.line += units.newlines(&buffer[..count]);
            at += count as u64;
        }
        self.remember_content()
    }

    /// The file's path, where it is known under a new one.
    pub fn renamed(&mut self, path: &Path) {
        self.position.path = path.to_string_lossy().into_owned();
        let origin = self.origin();
        if let Some(intake) = &mut self.intake {
            intake.renamed(origin);
        }
    }

    pub(super) fn origin(&self) -> Arc<Origin> {
        Arc::new(Origin {
            source: self.source.name.as_str().into(),
            path: self.position.path.as_str().into(),
            lateness: i64::try_from(self.source.lateness.as_millis()).unwrap_or(i64::MAX),
        })
    }

    /// A file's modification time in nanoseconds since 1970.
    pub(super) fn stamp(metadata: &std::fs::Metadata) -> i64 {
        metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
    }

    /// Whether what was read before is still there; with the file's size now.
    pub fn intact(&mut self) -> io::Result<(bool, u64)> {
        let size = self.input.metadata()?.size();
        Ok((size >= self.position.offset && self.content.holds(self.position.offset, &mut self.input)?, size))
    }

    /// Whether the file has no name any more.
    pub fn unlinked(&self) -> bool {
        self.input.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// What the grammar needs to go on from here.
    pub(super) fn state(&self) -> String {
        self.intake.as_ref().map_or_else(|| self.position.state.clone(), Intake::state)
    }

    /// The position as it is to be kept.
    pub fn kept(&self) -> Position {
        let size = self.sound.max(self.position.size);
        let mut position = Position { state: self.state(), size, modified: self.modified, ..self.position.clone() };
        self.content.describe(&mut position);
        position
    }

    /// The start of a stretch to be journalled.
    pub fn segment(&self) -> Segment {
        Segment {
            generation: self.position.generation,
            from: self.position.offset,
            to: self.position.offset,
            line: self.position.line + 1,
            state: self.state(),
            partial: false,
        }
    }

    /// The file's size now.
    pub(super) fn look(&mut self) -> io::Result<u64> {
        let metadata = self.input.metadata()?;
        let size = metadata.size();
        if size >= self.position.offset {
            self.size = size;
        }
        self.modified = Self::stamp(&metadata);
        let age = metadata.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
        self.unsure = age.is_none_or(|age| age < TICK);
        Ok(size)
    }

    /// Whether a turn would find anything: new bytes, or fewer than before.
    pub fn pending(&mut self) -> io::Result<bool> {
        if self.input.compression() != Compression::None {
            return Ok(true);
        }
        let (modified, unsure) = (self.modified, self.unsure);
        if self.look()? != self.position.offset + self.search.looked {
            return Ok(true);
        }
        // Truncated and written again to just the same size: only the time of writing tells, and what stands there now.
        if modified != self.modified || unsure {
            self.rewritten = !self.content.holds(self.position.offset, &mut self.input)?;
            if self.search.looked > 0 && (modified != self.modified || !self.begun_holds()?) {
                // So may the beginning of a line have been.
                self.search = Search::default();
                return Ok(true);
            }
        }
        Ok(self.rewritten)
    }
}

fn year_of(seconds: i64) -> i32 {
    chrono::DateTime::from_timestamp(seconds, 0).map_or(1970, |time| chrono::Datelike::year(&time))
}
