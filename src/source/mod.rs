//! Where records come from: tailed files and their positions. Not for what a record means (`parse`), nor for the threads that read (`pipeline`).

mod attribute;
mod decode;
mod discover;
mod follow;
mod framing;
mod input;
mod intake;
mod merge;
mod position;
pub mod syslog;
mod tailer;
#[cfg(test)]
mod tailer_tests;
mod whole;

pub use attribute::{Attributed, attribute};
pub use decode::Decoder;
pub use discover::siblings;
pub use follow::{Follower, reread};
pub use framing::record_end;
pub use input::{Compression, Input};
pub use intake::{Intake, Place, first_line_hash};
pub use merge::{Merge, MergeError, Next, Tally};
pub use position::Position;
pub use tailer::{BATCH_RECORDS, Counts, Followed, Notice, Reading, Tailer};
pub use whole::{Step, WholeFile};
