//! The wiring of the stages: this module alone spawns long-lived threads and owns the channels. Not for what a stage does.
//!
//! ```text
//! reader ──(batches)──► absorb: enrich, detect, journal ──(recorded)──► index
//!                          │                                              │
//!                          └── wakes the alert stage                      ├── tells absorb what is committed
//!                                                                         └── hands events back to the reader, to be dropped
//! ```
//!
//! Every channel is bounded: when the index or the disk is slow, reading slows. A fault in any stage ends all three; the session is
//! started again from what is durable, until the fault has passed.

mod absorb;
mod backtest;
mod bridge;
mod carried;
mod choose;
mod clock;
mod daemon;
pub mod deep;
mod ending;
mod index;
mod once;
mod reader;
mod receivers;
mod recover;
mod rulebook;
mod session;
mod snapshot;
mod socket;
mod spools;
mod tend;
mod wake;

use crmwatch_detectors::{Event, Millis};

pub use backtest::{Backtest, Outcome as Backtested};
pub use choose::{Choice, Gap, Holdings, Relation, Side};
pub use daemon::{RunError, Running, Started, followed, lock, run, spawn};
pub use ending::Orders;
pub use once::{COUNTED, Report, once};
pub use recover::RecoverError;
pub use socket::{NAME as SOCKET, ask};

use crate::ledger::Batch;
use crate::source::Position;

/// A batch as the reader hands it on.
pub(crate) struct ReadBatch {
    /// Its number, time and stretches.
    pub(crate) batch: Batch,
    /// Its events.
    pub(crate) events: Vec<Event>,
    /// Positions that changed with it.
    pub(crate) positions: Vec<Position>,
    /// Generations forgotten with it.
    pub(crate) forgotten: Vec<u64>,
}

/// A batch that is in the journal and may go to the index.
pub(crate) struct Recorded {
    pub(crate) number: u64,
    pub(crate) events: Vec<Event>,
    pub(crate) positions: Vec<Position>,
    pub(crate) forgotten: Vec<u64>,
}

/// Batches that may wait between two stages. A full one holds some 7 MB; more of them would only wait for the index.
pub(crate) const QUEUE: usize = 2;

/// Milliseconds since 1970, by the machine's clock.
pub fn now() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}
