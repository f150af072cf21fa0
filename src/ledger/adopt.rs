//! Setting the ledger to another state of reading, for `crmwatch recover`. Not for the normal way (`journal`).

use super::{Ledger, LedgerError, set_meta};
use crate::source::Position;

impl Ledger {
    /// Goes on from these positions as if this batch had been the last; the journal before it is dropped. Findings, incidents and
    /// what detectors remember stay.
    pub fn adopt(&mut self, store_id: &str, batch: u64, positions: &[Position]) -> Result<(), LedgerError> {
        self.transaction(|transaction| {
            transaction.execute("DELETE FROM batches", [])?;
            transaction.execute("DELETE FROM files", [])?;
            for position in positions {
                let text = serde_json::to_string(position).expect("positions serialise");
                transaction
                    .prepare_cached("INSERT INTO files (generation, position) VALUES (?1, ?2)")?
                    .execute((position.generation, text))?;
            }
            set_meta(transaction, "store_id", store_id)?;
            set_meta(transaction, "last_batch", &batch.to_string())?;
            set_meta(transaction, "snapshot_batch", &batch.to_string())
        })
    }
}
