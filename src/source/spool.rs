//! What comes over the network, from standard input or the journal is written to a spool on disk before it is acknowledged, and the spool
//! is tailed like any log. Not for receiving (`pipeline::receivers`), nor for reading it again (`tailer`).
//!
//! `append` comes back when its records are synced; callers that come meanwhile share the next write and its sync. A write is visible to the
//! tailer as a whole or not at all: while the daemon runs the tailer reads no further than the last sync (`spool_bound`), and after a crash
//! a write that is not whole is cut off when the spool is opened (`spool_line` has the sum by which that is known).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crossbeam_channel::Sender;

use super::spool_file::Files;
use super::spool_line::{Lines, Received};

/// The folder in the state directory.
pub const FOLDER: &str = "spool";
/// A file is ended at about this size.
const FILE_BYTES: u64 = 16 << 20;

/// Why records were not taken. Nothing of the call is kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SpoolError {
    /// As much is waiting to be read as may wait.
    #[error("the spool is full: {bytes} of {max_bytes} bytes wait to be read")]
    Full {
        /// Bytes waiting.
        bytes: u64,
        /// Bytes that may wait.
        max_bytes: u64,
    },
    /// The disk.
    #[error("the spool cannot be written: {0}")]
    Io(Arc<io::Error>),
}

/// A spool file that is not written to any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Its number.
    pub number: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// The spool of one source. Cheap to clone; every clone is the same spool.
#[derive(Clone)]
pub struct Spool {
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    max_bytes: u64,
    state: Mutex<State>,
    /// A write is done.
    done: Condvar,
}

struct State {
    /// Lines that no write has taken yet.
    pending: Pending,
    /// Bytes of the write under way.
    under_way: u64,
    /// Who writes has them.
    files: Option<Files>,
    /// Files that may still be written to, or hold more than counts.
    open: Vec<u64>,
    /// Size of each file, by number.
    sizes: BTreeMap<u64, u64>,
    /// Told when there is something to read.
    reader: Option<Sender<()>>,
}

/// Callers that share one write.
#[derive(Default)]
struct Pending {
    lines: Lines,
    outcome: Arc<OnceLock<Result<(), SpoolError>>>,
}

impl State {
    fn bytes(&self) -> u64 {
        let pending = if self.pending.lines.is_empty() { 0 } else { self.pending.lines.length() };
        self.sizes.values().sum::<u64>() + self.under_way + pending
    }
}

impl Spool {
    /// Opens the spool of a source, putting right what a crash left. `max_bytes` of records may wait to be read.
    pub fn open(state_dir: &Path, source: &str, max_bytes: u64) -> io::Result<Spool> {
        let folder = state_dir.join(FOLDER).join(source);
        // Files go one by one: a small spool has small ones.
        let (files, mut sizes) = Files::open(&folder, FILE_BYTES.min(max_bytes / 4))?;
        sizes.retain(|_, bytes| *bytes > 0);
        let state = State {
            pending: Pending::default(),
            under_way: 0,
            files: Some(files),
            open: Vec::new(),
            sizes,
            reader: None,
        };
        let shared = Shared { folder, max_bytes, state: Mutex::new(state), done: Condvar::new() };
        Ok(Spool { shared: Arc::new(shared) })
    }

    /// The pattern of its files, for the tailer.
    pub fn pattern(state_dir: &Path, source: &str) -> String {
        let folder = state_dir.join(FOLDER).join(source);
        format!("{}/*.log", glob::Pattern::escape(&folder.to_string_lossy()))
    }

    /// Takes records in, all of them or none; comes back when they are on the disk. Blocks: callers in an asynchronous runtime go
    /// through its blocking threads.
    pub fn append(&self, records: &[Received<'_>]) -> Result<(), SpoolError> {
        if records.is_empty() {
            return Ok(());
        }
        let lines = Lines::of(records);
        let mut state = self.state();
        let bytes = state.bytes();
        if bytes.saturating_add(lines.length()) > self.shared.max_bytes {
            return Err(SpoolError::Full { bytes, max_bytes: self.shared.max_bytes });
        }
        state.pending.lines.append(lines);
        let outcome = Arc::clone(&state.pending.outcome);
        loop {
            if let Some(outcome) = outcome.get() {
                return outcome.clone();
            }
            state = match state.files.take() {
                Some(files) => self.write(state, files),
                None => self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Writes what is pending, for everybody who waits for it.
    fn write<'s>(&'s self, mut state: MutexGuard<'s, State>, mut files: Files) -> MutexGuard<'s, State> {
        let Pending { lines, outcome } = std::mem::take(&mut state.pending);
        state.under_way = lines.length();
        drop(state);
        let written = files.write(&lines.finish());
        let mut state = self.state();
        state.under_way = 0;
        state.open = files.open_files();
        state.files = Some(files);
        let result = match written {
            Ok(written) => {
                state.sizes.insert(written.number, written.size);
                if let Some(reader) = &state.reader {
                    let _ = reader.try_send(());
                }
                Ok(())
            }
            Err(error) => Err(SpoolError::Io(Arc::new(error))),
        };
        outcome.set(result).expect("set once, by whoever writes");
        self.shared.done.notify_all();
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of its files: what is not read yet, and what was read and may still be needed.
    pub fn bytes(&self) -> u64 {
        self.state().bytes()
    }

    /// Bytes it may have.
    pub fn max_bytes(&self) -> u64 {
        self.shared.max_bytes
    }

    /// Whom to wake when there is something to read.
    pub fn wakes(&self, reader: Sender<()>) {
        self.state().reader = Some(reader);
    }

    /// Ends the file being written if it is so old; without this a quiet source's last records would stay in it for weeks.
    pub fn end_file_older_than(&self, age: Duration) {
        let state = &mut *self.state();
        if let Some(files) = &mut state.files
            && files.begun().is_some_and(|begun| begun.elapsed() >= age)
        {
            files.end();
            state.open = files.open_files();
        }
    }

    /// Files that are not written to any more, oldest first.
    pub fn sealed(&self) -> Vec<Sealed> {
        let state = self.state();
        // A write under way goes to the one that is open, or to one that is not known here yet.
        let ended = state.sizes.iter().filter(|(number, _)| !state.open.contains(number));
        ended.map(|(number, bytes)| Sealed { number: *number, path: self.path(*number), bytes: *bytes }).collect()
    }

    /// Deletes a file that nobody needs any more.
    pub fn delete(&self, sealed: &Sealed) -> io::Result<()> {
        match std::fs::remove_file(&sealed.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.state().sizes.remove(&sealed.number);
        Ok(())
    }

    /// The record taken in last, if its file is still there.
    pub fn last(&self) -> io::Result<Option<Vec<u8>>> {
        let newest = {
            let state = self.state();
            let Some((number, bytes)) = state.sizes.iter().next_back() else { return Ok(None) };
            (self.path(*number), *bytes)
        };
        let line = super::spool_file::last_line(&newest.0, newest.1)?;
        Ok(super::spool_line::unwrap(&line).map(|spooled| spooled.payload.into_owned()))
    }

    /// The number of the newest file.
    pub fn newest(&self) -> Option<u64> {
        self.state().sizes.keys().next_back().copied()
    }

    fn path(&self, number: u64) -> PathBuf {
        self.shared.folder.join(super::spool_file::name(number))
    }

    #[cfg(test)]
    pub(super) fn set_fault(&self, fault: super::spool_file::Fault) {
        self.state().files.as_mut().expect("nobody writes").fault = Some(fault);
    }
}
