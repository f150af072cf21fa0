//! What can go wrong with the store, and who can mend it.

use std::path::PathBuf;

use tantivy::TantivyError;

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
    #[error("cannot read the index {}: {error}; if its files are damaged: `crmwatch check --deep` says which, restore them from a backup; without one move the folder away and see `crmwatch recover`", path.display())]
    Read {
        /// The partition.
        path: PathBuf,
        /// Why.
        error: TantivyError,
    },
    /// Writing failed: everything since the last commit is gone from the writer, which is of no more use.
    #[error("cannot write the index {}: {error}; free space or mend the disk, what was not committed is read again from the logs", path.display())]
    Write {
        /// The partition.
        path: PathBuf,
        /// Why.
        error: TantivyError,
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
    #[error("{} carries no commit record to go on from ({reason}); `crmwatch recover` shows what can be resumed", path.display())]
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
    /// Whether only a person can mend it. Anything else, a full disk or too many open files, is a fault that passes.
    pub fn needs_a_person(&self) -> bool {
        match self {
            StoreError::Newer { .. } | StoreError::Damaged { .. } => true,
            StoreError::Read { error, .. } | StoreError::Write { error, .. } => is_damage(error),
            _ => false,
        }
    }

    pub(super) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> StoreError {
        let path = path.to_owned();
        move |error| StoreError::Io { action, path, error }
    }

    pub(super) fn read(path: &std::path::Path) -> impl FnOnce(TantivyError) -> StoreError {
        let path = path.to_owned();
        move |error| StoreError::Read { path, error }
    }
}

/// Whether the files are not what was written, in contrast to a disk that cannot be read or written at the moment.
fn is_damage(error: &TantivyError) -> bool {
    use tantivy::directory::error::{OpenDirectoryError, OpenReadError};
    let bad = |error: &std::io::Error| {
        use std::io::ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
        matches!(error.kind(), InvalidData | InvalidInput | NotFound | UnexpectedEof)
            // What the library itself says of a file's end or footer carries no number of the system.
            || error.raw_os_error().is_none() && error.kind() != std::io::ErrorKind::Other
    };
    match error {
        TantivyError::DataCorruption(_) | TantivyError::IncompatibleIndex(_) | TantivyError::SchemaError(_) => true,
        TantivyError::OpenDirectoryError(
            OpenDirectoryError::DoesNotExist(_) | OpenDirectoryError::NotADirectory(_),
        )
        | TantivyError::OpenReadError(OpenReadError::FileDoesNotExist(_) | OpenReadError::IncompatibleIndex(_)) => true,
        TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. }) | TantivyError::IoError(io_error) => {
            bad(io_error)
        }
        _ => false,
    }
}
