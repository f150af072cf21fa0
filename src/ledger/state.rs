//! What detectors and enrichment remember, saved piece by piece in a transaction of its own, with the number of the batch it belongs to.

use crmwatch_detectors::{Millis, StateChange};

use super::{Ledger, LedgerError, set_meta};

const BATCH: &str = "snapshot_batch";
const CLOCK: &str = "clock_known";

impl Ledger {
    /// Saves the changed pieces as of a batch.
    pub fn save_state(&mut self, batch: u64, changes: &[StateChange]) -> Result<(), LedgerError> {
        self.transaction(|transaction| {
            let mut put = transaction.prepare_cached(
                "INSERT INTO state (owner, key, value) VALUES (?1, ?2, ?3) ON CONFLICT (owner, key) DO UPDATE SET value = excluded.value",
            )?;
            let mut drop = transaction.prepare_cached("DELETE FROM state WHERE owner = ?1 AND key = ?2")?;
            for change in changes {
                match &change.value {
                    Some(value) => put.execute((&change.owner, &change.key, value))?,
                    None => drop.execute((&change.owner, &change.key))?,
                };
            }
            set_meta(transaction, BATCH, &batch.to_string())
        })
    }

    /// The batch the saved state belongs to; 0 where none was saved.
    pub fn state_batch(&self) -> Result<u64, LedgerError> {
        Ok(self.meta_number(BATCH)?.unwrap_or(0))
    }

    /// The time that was believed last, by which old events are let go.
    pub fn clock_known(&self) -> Result<Option<Millis>, LedgerError> {
        self.meta_number(CLOCK)
    }

    /// Remembers it.
    pub fn set_clock_known(&mut self, known: Millis) -> Result<(), LedgerError> {
        self.set_meta(CLOCK, &known.to_string())
    }

    /// How many pieces each owner has saved, by owner.
    pub fn state_sizes(&self) -> Result<Vec<(String, u64)>, LedgerError> {
        let wrong = |source| self.error(source);
        let mut statement = self
            .connection
            .prepare("SELECT owner, COUNT(*) FROM state GROUP BY owner ORDER BY owner")
            .map_err(wrong)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(wrong)?;
        rows.collect::<rusqlite::Result<_>>().map_err(wrong)
    }

    /// Every saved piece, by owner and key.
    pub fn each_state(&self, mut give: impl FnMut(&str, &str, &[u8])) -> Result<(), LedgerError> {
        let wrong = |source| self.error(source);
        let mut statement =
            self.connection.prepare("SELECT owner, key, value FROM state ORDER BY owner, key").map_err(wrong)?;
        let mut rows = statement.query([]).map_err(wrong)?;
        while let Some(row) = rows.next().map_err(wrong)? {
            let owner = row.get_ref(0).and_then(|value| Ok(value.as_str()?)).map_err(wrong)?;
            let key = row.get_ref(1).and_then(|value| Ok(value.as_str()?)).map_err(wrong)?;
            let value = row.get_ref(2).and_then(|value| Ok(value.as_blob()?)).map_err(wrong)?;
            give(owner, key, value);
        }
        Ok(())
    }
}
