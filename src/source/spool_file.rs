//! The files of one spool: begun, written, synced, ended, and put right after a crash. Not for who waits for what (`spool`).
//!
//! A file is begun under a name the tailer does not look for, bounded, and only then given its own; its folder is synced before anything
//! in it is acknowledged. After a failed write or sync nobody knows what the disk has: the file is cut back to what was synced before and
//! never written to again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::spool_bound::Bound;
use super::spool_line::Wholeness;

/// A step that can fail; tests make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    Write,
    Sync,
    Cut,
}

/// Asked before each step in tests: how many bytes a failing write still writes, or that the step fails.
#[cfg(test)]
pub(super) type Fault = Box<dyn FnMut(Step) -> io::Result<()> + Send>;

/// The file being written.
struct Active {
    number: u64,
    file: File,
    synced: u64,
    bound: Bound,
    begun: Instant,
}

/// The spool's folder and the file being written.
pub(super) struct Files {
    folder: PathBuf,
    /// A file is ended before it would be longer than this.
    cut_at: u64,
    next: u64,
    active: Option<Active>,
    /// Files that could not be cut back yet: what is in them beyond the bound is nobody's.
    crooked: Vec<Active>,
    #[cfg(test)]
    pub(super) fault: Option<Fault>,
}

/// What a write came to.
pub(super) struct Written {
    /// The file's number.
    pub(super) number: u64,
    /// Its size now.
    pub(super) size: u64,
}

pub(super) fn name(number: u64) -> String {
    format!("{number:016}.log")
}

fn number_of(path: &Path) -> Option<u64> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".log")?;
    (stem.len() == 16).then(|| stem.parse().ok()).flatten()
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

impl Files {
    /// Opens a folder of spool files, making it where there is none; gives the sizes of the files in it, by number.
    pub(super) fn open(folder: &Path, cut_at: u64) -> io::Result<(Files, BTreeMap<u64, u64>)> {
        fs::DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
        for above in folder.ancestors().skip(1).take(2) {
            sync_folder(above)?;
        }
        let mut sizes = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match number_of(&path) {
                Some(number) => drop(sizes.insert(number, fs::metadata(&path)?.size())),
                // Begun and never used.
                None if path.extension().is_some_and(|ending| ending == "new") => fs::remove_file(&path)?,
                None => {}
            }
        }
        let last = sizes.keys().next_back().copied();
        for (number, size) in &mut sizes {
            let path = folder.join(name(*number));
            // The last file may have been in the middle of a write; another only if it could not be cut back before the stop.
            if Some(*number) == last || !ends_in_a_line(&path)? {
                *size = put_right(&path)?;
            }
        }
        sync_folder(folder)?;
        let files = Files {
            folder: folder.to_owned(),
            cut_at,
            next: last.map_or(0, |last| last + 1),
            active: None,
            crooked: Vec::new(),
            #[cfg(test)]
            fault: None,
        };
        Ok((files, sizes))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(name(number))
    }

    fn step(&mut self, step: Step) -> io::Result<()> {
        #[cfg(test)]
        if let Some(fault) = &mut self.fault {
            return fault(step);
        }
        let _ = step;
        Ok(())
    }

    /// Writes and syncs. On an error nothing of it counts.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<Written> {
        self.straighten();
        if self.active.as_ref().is_some_and(|active| active.synced + bytes.len() as u64 > self.cut_at) {
            self.end();
        }
        let mut active = match self.active.take() {
            Some(active) => active,
            None => self.begin()?,
        };
        let written = self
            .step(Step::Write)
            .and_then(|()| active.file.write_all(bytes))
            .and_then(|()| self.step(Step::Sync))
            .and_then(|()| active.file.sync_data());
        if let Err(error) = written {
            self.give_up(active);
            return Err(error);
        }
        active.synced += bytes.len() as u64;
        active.bound.set(active.synced);
        let written = Written { number: active.number, size: active.synced };
        self.active = Some(active);
        Ok(written)
    }

    fn begin(&mut self) -> io::Result<Active> {
        self.step(Step::Create)?;
        // Never a number used before, also where all files of it are gone: no earlier than the clock's milliseconds.
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let number = self.next.max(u64::try_from(clock).unwrap_or(0));
        let path = self.path(number);
        let unnamed = path.with_extension("new");
        let file = File::options().create_new(true).append(true).read(true).mode(0o640).open(&unnamed)?;
        let begun = (|| {
            let metadata = file.metadata()?;
            let bound = Bound::new(metadata.dev(), metadata.ino());
            fs::rename(&unnamed, &path)?;
            sync_folder(&self.folder)?;
            Ok(bound)
        })();
        match begun {
            Ok(bound) => {
                self.next = number + 1;
                Ok(Active { number, file, synced: 0, bound, begun: Instant::now() })
            }
            Err(error) => {
                let _ = fs::remove_file(&unnamed).or_else(|_| fs::remove_file(&path));
                Err(error)
            }
        }
    }

    /// After a fault: what was synced stays, the rest goes.
    fn give_up(&mut self, active: Active) {
        if let Err(active) = self.cut(active) {
            self.crooked.push(active);
        }
    }

    fn cut(&mut self, active: Active) -> Result<(), Active> {
        let cut = if active.synced == 0 {
            fs::remove_file(self.path(active.number))
        } else {
            self.step(Step::Cut).and_then(|()| active.file.set_len(active.synced))
        };
        cut.map_err(|_| active)
    }

    fn straighten(&mut self) {
        for active in std::mem::take(&mut self.crooked) {
            self.give_up(active);
        }
    }

    /// Ends the file being written; the next write begins another.
    pub(super) fn end(&mut self) {
        self.active = None;
    }

    /// Since when the file being written is.
    pub(super) fn begun(&self) -> Option<Instant> {
        self.active.as_ref().map(|active| active.begun)
    }

    /// Files that may still be written to, or hold more than counts.
    pub(super) fn open_files(&self) -> Vec<u64> {
        self.active.iter().chain(&self.crooked).map(|one| one.number).collect()
    }
}

/// Whether the last byte is a newline; an empty file has none.
fn ends_in_a_line(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut last = [0];
    if file.metadata()?.size() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// The last line, without its newline, of a file's first `end` bytes.
pub(super) fn last_line(path: &Path, end: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut line = Vec::new();
    let mut from = end.saturating_sub(1);
    // The newline at the end is left out; the one before it begins the line.
    while from > 0 {
        let start = from.saturating_sub(1 << 16);
        let mut chunk = vec![0; usize::try_from(from - start).unwrap_or(1 << 16)];
        file.read_exact_at(&mut chunk, start)?;
        let begin = memchr::memrchr(b'\n', &chunk).map(|newline| newline + 1);
        chunk.drain(..begin.unwrap_or(0));
        chunk.extend_from_slice(&line);
        line = chunk;
        from = if begin.is_some() { 0 } else { start };
    }
    Ok(line)
}

/// Cuts off a last write that is not whole, and makes sure of the rest; gives the size left. Damage before whole writes stays where it is:
/// it was acknowledged, positions go beyond it, and the reader keeps what is there of it.
fn put_right(path: &Path) -> io::Result<u64> {
    let file = File::options().read(true).append(true).open(path)?;
    let mut lines = BufReader::with_capacity(1 << 16, &file);
    let mut wholeness = Wholeness::new();
    let (mut at, mut whole) = (0, 0);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        at += line.len() as u64;
        if wholeness.line_ends_a_write(&line) {
            whole = at;
        }
        line.clear();
    }
    if whole == 0 {
        fs::remove_file(path)?;
        return Ok(0);
    }
    if whole < at {
        file.set_len(whole)?;
    }
    file.sync_all()?;
    Ok(whole)
}
