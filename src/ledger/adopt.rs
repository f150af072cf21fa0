//! Setting the ledger to another state of reading, for `crmwatch recover`. Not for the normal way (`journal`).

use super::{Batch, Ledger, LedgerError, set_meta};
use crate::source::Position;

/// A state of reading.
pub struct Adopted<'a> {
    /// Of which store.
    pub store_id: &'a str,
    /// The last batch.
    pub last: u64,
    /// The batch that what detectors remember belongs to.
    pub state: u64,
    /// The batches after that one, up to the last.
    pub batches: &'a [Batch],
    /// How far each file has been read by the last.
    pub positions: &'a [Position],
}

impl Ledger {
    /// Goes on from that state. Findings, incidents and what detectors remember stay.
    pub fn adopt(&mut self, adopted: &Adopted<'_>) -> Result<(), LedgerError> {
        self.transaction(|transaction| {
            transaction.execute("DELETE FROM batches", [])?;
            transaction.execute("DELETE FROM files", [])?;
            for batch in adopted.batches {
                let segments = serde_json::to_string(&batch.segments).expect("segments serialise");
                transaction
                    .prepare_cached("INSERT INTO batches (number, read_at, segments) VALUES (?1, ?2, ?3)")?
                    .execute((batch.number, batch.read_at, segments))?;
            }
            for position in adopted.positions {
                let text = serde_json::to_string(position).expect("positions serialise");
                transaction
                    .prepare_cached("INSERT INTO files (generation, position) VALUES (?1, ?2)")?
                    .execute((position.generation, text))?;
            }
            super::rules::renumber(transaction)?;
            super::verdicts::renumber(transaction)?;
            set_meta(transaction, "store_id", adopted.store_id)?;
            set_meta(transaction, "last_batch", &adopted.last.to_string())?;
            set_meta(transaction, "snapshot_batch", &adopted.state.to_string())
        })
    }
}
