//! What can go wrong with the store, and who can mend it.

use std::path::PathBuf;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The index library failed while opening or reading.
    #[error("cannot read the index {}: {error}; if its files are damaged, move the directory away and restore it from a backup", path.display())]
    Read {
        /// The partition.
        path: PathBuf,
        /// Why.
        error: tantivy::TantivyError,
    },
    /// Writing failed: everything since the last commit is gone from the writer, which is of no more use.
    #[error("cannot write the index {}: {error}; free space or mend the disk, what was not committed is read again from the logs", path.display())]
    Write {
        /// The partition.
        path: PathBuf,
        /// Why.
        error: tantivy::TantivyError,
    },
    /// The writer was used after it failed.
    #[error("the index writer has failed before; drop it, open another and read on from the last committed payload")]
    WriterDead,
    /// Another writer has the index.
    #[error("{} is being written by another process or writer; stop the other one first", path.display())]
    Locked {
        /// The partition.
        path: PathBuf,
    },
    /// A newer program wrote it.
    #[error("{} was written in form {found}, this program reads up to {known}; start the newer crmwatch that wrote it", path.display())]
    Newer {
        /// The partition.
        path: PathBuf,
        /// Its form.
        found: u32,
        /// The newest form this program knows.
        known: u32,
    },
    /// The payload of the newest commit is not what this program writes.
    #[error("{} carries no readable commit record ({reason}); `crmwatch recover` shows what can be resumed", path.display())]
    Damaged {
        /// The partition.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A stored event cannot be read.
    #[error("a stored event in {}: {error}", path.display())]
    Event {
        /// The partition.
        path: PathBuf,
        /// What is wrong with it.
        error: crmwatch_detectors::codec::DecodeError,
    },
    /// A search did not finish in its time.
    #[error("the search was stopped after {seconds} s; narrow the time range, or drop a leading wildcard")]
    TooSlow {
        /// The limit.
        seconds: u64,
    },
    /// A query that cannot be put to the index.
    #[error("{0}")]
    Query(String),
}

impl StoreError {
    pub(super) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> StoreError {
        let path = path.to_owned();
        move |error| StoreError::Io { action, path, error }
    }

    pub(super) fn read(path: &std::path::Path) -> impl FnOnce(tantivy::TantivyError) -> StoreError {
        let path = path.to_owned();
        move |error| StoreError::Read { path, error }
    }
}
