//! Where records come from: tailed files and their positions. Not for what a record means (`parse`), nor for the threads that read (`pipeline`).

mod attribute;
mod content;
mod copies;
mod decode;
mod discover;
mod follow;
mod framing;
mod identity;
mod inlet;
mod input;
mod intake;
mod journal_entry;
mod journal_follow;
mod known;
mod locate;
mod look;
mod merge;
mod notice;
mod position;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod quiet_tests;
mod reading;
mod records;
mod reread;
mod rounds;
mod search;
mod shelf;
mod spool;
mod spool_bound;
mod spool_file;
mod spool_line;
#[cfg(test)]
mod spool_tests;
mod standard_input;
#[cfg(test)]
mod storm_tests;
pub mod syslog;
mod tailer;
#[cfg(test)]
mod tailer_tests;
mod turn;
mod units;
mod whereabouts;
mod whole;

pub use attribute::{Attributed, attribute};
pub use decode::Decoder;
pub use discover::siblings;
pub use framing::{Found, Scan};
pub use inlet::Inlet;
pub use input::{Compression, Input, is_no_answer};
pub use intake::{Intake, Place, Wrapping, first_line_hash};
pub use journal_follow::{JOURNALCTL, Journal};
pub use locate::locate;
pub use merge::{Merge, MergeError, Next, Tally};
pub use notice::Notice;
pub use position::{Position, digest};
pub use reading::{BATCH_RECORDS, Counts, Reading};
pub use reread::{Part, parts, reread};
pub use spool::{FOLDER as SPOOL_FOLDER, Sealed, Spool, SpoolError};
pub use spool_line::{Received, Spooled, spooled, unwrap as unspooled};
pub use standard_input::{Surroundings, read_lines};
pub use tailer::{Followed, Tailer};
pub use units::Units;
pub use whole::{Step, WholeFile};
