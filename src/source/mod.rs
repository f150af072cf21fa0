//! Where records come from: tailed files and their positions. Not for what a record means (`parse`), nor for the threads that read (`pipeline`).

mod attribute;
mod content;
mod decode;
mod discover;
mod follow;
mod framing;
mod identity;
mod input;
mod intake;
mod known;
mod look;
mod merge;
mod notice;
mod position;
#[cfg(test)]
mod quiet_tests;
mod reading;
mod records;
mod reread;
mod rounds;
mod shelf;
mod tailer;
#[cfg(test)]
mod tailer_tests;
mod turn;
mod whereabouts;
mod whole;

pub use attribute::{Attributed, attribute};
pub use decode::Decoder;
pub use discover::siblings;
pub use framing::record_end;
pub use input::{Compression, Input};
pub use intake::{Intake, Place, first_line_hash};
pub use merge::{Merge, MergeError, Next, Tally};
pub use notice::Notice;
pub use position::Position;
pub use reading::{BATCH_RECORDS, Counts, Reading};
pub use reread::reread;
pub use tailer::{Followed, Tailer};
pub use whole::{Step, WholeFile};
