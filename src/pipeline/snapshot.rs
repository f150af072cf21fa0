//! Saves what detectors and enrichment remember while the stream goes on: as of one batch, a few pieces after each batch that follows. Not for
//! how a state comes to count as a whole (`ledger::state`).
//!
//! It counts only once the index has its batch: events read again after a crash are then always enriched from a state no later than they need.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crmwatch_detectors::memory::Taking;

use super::absorb::{Minds, Surroundings};
use crate::ledger::{Ledger, LedgerError};

/// How often what is remembered is saved.
pub(super) const EVERY: Duration = Duration::from_secs(10);
/// For how long the stream may be held up by it after one batch.
pub(super) const PATIENCE: Duration = Duration::from_millis(10);
/// Pieces written at once.
const PIECES: usize = 256;

/// Where saving stands.
enum Stage {
    /// All that was saved lies in its place.
    Idle,
    /// Pieces are taken and written.
    Gathering { batch: u64, taking: Taking },
    /// They are all written; the index does not have the batch yet.
    Waiting { batch: u64 },
    /// They count, and are moved to their places.
    Settling,
}

/// The saving of what is remembered.
pub(super) struct Snapshot {
    stage: Stage,
    begun: Instant,
    /// What it has taken since it was begun.
    spent: Duration,
    /// The batch of the last that counts.
    batch: u64,
}

impl Snapshot {
    /// Goes on from what the ledger has.
    pub(super) fn resume(ledger: &mut Ledger) -> Result<Snapshot, LedgerError> {
        ledger.drop_unfinished_state()?;
        let batch = ledger.state_batch()?;
        Ok(Snapshot { stage: Stage::Settling, begun: Instant::now(), spent: Duration::ZERO, batch })
    }

    /// Whether there is something to do for it now.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.stage, Stage::Gathering { .. } | Stage::Settling)
    }

    /// Goes on with it, for as long as `patience` allows; begins anew when `every` has passed since the last.
    pub(super) fn step(
        &mut self,
        last: u64,
        minds: &mut Minds,
        ledger: &mut Ledger,
        around: &Surroundings<'_>,
        (every, patience): (Duration, Duration),
    ) -> Result<(), LedgerError> {
        let start = Instant::now();
        while self.go_on(last, minds, ledger, around, every)? && start.elapsed() < patience {}
        self.spent += start.elapsed();
        Ok(())
    }

    /// One small piece of work; whether there is more to do now.
    fn go_on(
        &mut self,
        last: u64,
        minds: &mut Minds,
        ledger: &mut Ledger,
        around: &Surroundings<'_>,
        every: Duration,
    ) -> Result<bool, LedgerError> {
        match &mut self.stage {
            Stage::Idle => {
                if self.batch >= last || self.begun.elapsed() < every {
                    return Ok(false);
                }
                (self.begun, self.spent) = (Instant::now(), Duration::ZERO);
                self.stage = Stage::Gathering { batch: last, taking: minds.mark() };
            }
            Stage::Gathering { batch, taking } => {
                ledger.gather_state(&minds.pieces(taking, PIECES))?;
                if taking.is_over() {
                    self.stage = Stage::Waiting { batch: *batch };
                }
            }
            Stage::Waiting { batch } => {
                if around.committed.load(Ordering::Acquire) < *batch {
                    return Ok(false);
                }
                ledger.complete_state(*batch)?;
                ledger.forget_batches(*batch)?;
                around.spools.release(ledger, around.metrics)?;
                self.batch = *batch;
                self.stage = Stage::Settling;
                minds.count(around.metrics);
            }
            Stage::Settling => {
                if !ledger.settle_state(PIECES)? {
                    around.metrics.snapshot_seconds.observe(self.spent.as_secs_f64());
                    self.stage = Stage::Idle;
                }
            }
        }
        Ok(true)
    }
}
