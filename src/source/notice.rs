//! What the tailer tells an operator. Not for the words it is told in, nor for counting (`pipeline::reader`).

/// Something an operator may want to know; the daemon logs and counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "`source` is the source's index, `path` the file's; the variants say the rest")]
pub enum Notice {
    /// A file is read for the first time.
    Opened { source: usize, path: String },
    /// A file goes on under another name.
    Renamed { source: usize, path: String },
    /// A file was truncated or overwritten in place and is read from its start.
    Truncated { source: usize, path: String },
    /// Nothing more can come from a file.
    Finished { source: usize, path: String },
    /// Bytes that were written and can no longer be read; nothing where nobody can know how many.
    Lost { source: usize, path: String, bytes: Option<u64>, cause: &'static str },
    /// No file is there yet.
    Waiting { source: usize },
    /// The process has no descriptors left; what could not be opened is tried again. So many files are open.
    OutOfDescriptors { open: usize },
    /// A file that cannot be read.
    Unreadable { path: String, error: String },
}
