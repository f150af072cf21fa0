//! What detectors and enrichment remember, saved piece by piece with the number of the batch it belongs to.
//!
//! A state of a million pieces is written while the stream goes on: the pieces gather in `state_coming`, and count all together from the one
//! small transaction on that says so and names their batch. Then they are moved to their places in `state`, a few at a time; until that is
//! done, a piece that comes hides the one that is there. What had not come whole when the daemon died is dropped.

use crmwatch_detectors::{Millis, StateChange};
use rusqlite::Transaction;

use super::{Ledger, LedgerError, set_meta};

const BATCH: &str = "snapshot_batch";
/// There where the pieces in `state_coming` count.
const COME: &str = "snapshot_come";
const CLOCK: &str = "clock_known";

impl Ledger {
    /// Saves the changed pieces as of a batch, all at once.
    pub fn save_state(&mut self, batch: u64, changes: &[StateChange]) -> Result<(), LedgerError> {
        while self.settle_state(usize::MAX)? {}
        self.transaction(|transaction| {
            transaction.execute("DELETE FROM state_coming", [])?;
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

    /// Writes some pieces of a state that is being saved. They count once all have come; what waits for that need not be on the disk before.
    pub fn gather_state(&mut self, changes: &[StateChange]) -> Result<(), LedgerError> {
        self.unhurried(|transaction| {
            let mut put = transaction
                .prepare_cached("INSERT OR REPLACE INTO state_coming (owner, key, value) VALUES (?1, ?2, ?3)")?;
            for change in changes {
                put.execute((&change.owner, &change.key, &change.value))?;
            }
            Ok(())
        })
    }

    /// All pieces have come: from now on they are what is remembered, as of a batch.
    pub fn complete_state(&mut self, batch: u64) -> Result<(), LedgerError> {
        self.transaction(|transaction| {
            set_meta(transaction, COME, "1")?;
            set_meta(transaction, BATCH, &batch.to_string())
        })
    }

    /// Moves pieces that have come to their places, at most `room`; whether any are left. Without it nothing may be gathered again.
    pub fn settle_state(&mut self, room: usize) -> Result<bool, LedgerError> {
        if self.meta(COME)?.is_none() {
            return Ok(false);
        }
        let skipped = i64::try_from(room.saturating_sub(1)).unwrap_or(i64::MAX);
        self.unhurried(|transaction| {
            use rusqlite::OptionalExtension;
            let last: Option<(String, String)> = transaction
                .prepare_cached("SELECT owner, key FROM state_coming ORDER BY owner, key LIMIT 1 OFFSET ?1")?
                .query_row([skipped], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some(last) = last else {
                settle(transaction, None)?;
                transaction.execute("DELETE FROM meta WHERE key = ?1", [COME])?;
                return Ok(false);
            };
            settle(transaction, Some(&last))?;
            Ok(true)
        })
    }

    /// Drops what had not come whole when the last session ended.
    pub fn drop_unfinished_state(&mut self) -> Result<(), LedgerError> {
        if self.meta(COME)?.is_some() {
            return Ok(());
        }
        self.transaction(|transaction| transaction.execute("DELETE FROM state_coming", []).map(|_| ()))
    }

    /// A transaction that need not be on the disk when it ends: the next one that must takes it along.
    fn unhurried<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, LedgerError> {
        self.connection.pragma_update(None, "synchronous", "NORMAL").map_err(|source| self.error(source))?;
        let done = self.transaction(work);
        self.connection.pragma_update(None, "synchronous", "FULL").map_err(|source| self.error(source))?;
        done
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

    /// How many pieces each owner has saved, by owner. Reads all of them.
    pub fn state_sizes(&self) -> Result<Vec<(String, u64)>, LedgerError> {
        let mut sizes: Vec<(String, u64)> = Vec::new();
        self.each_state(|owner, _, _| match sizes.last_mut().filter(|last| last.0 == owner) {
            Some(last) => last.1 += 1,
            None => sizes.push((owner.to_owned(), 1)),
        })?;
        Ok(sizes)
    }

    /// Every saved piece, by owner and key.
    pub fn each_state(&self, mut give: impl FnMut(&str, &str, &[u8])) -> Result<(), LedgerError> {
        let wrong = |source| self.error(source);
        let sql = match self.meta(COME)? {
            None => "SELECT owner, key, value FROM state ORDER BY owner, key",
            Some(_) => {
                "SELECT owner, key, value FROM state_coming WHERE value IS NOT NULL
                 UNION ALL SELECT owner, key, value FROM state AS held WHERE NOT EXISTS
                     (SELECT 1 FROM state_coming AS new WHERE new.owner = held.owner AND new.key = held.key)
                 ORDER BY owner, key"
            }
        };
        let mut statement = self.connection.prepare(sql).map_err(wrong)?;
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

/// Moves the pieces up to one, or all.
fn settle(transaction: &Transaction<'_>, last: Option<&(String, String)>) -> rusqlite::Result<()> {
    // No text is beyond this one: owners are words.
    let (owner, key) = last.map_or(("\u{10ffff}", ""), |(owner, key)| (owner.as_str(), key.as_str()));
    for sql in [
        "INSERT INTO state (owner, key, value)
         SELECT owner, key, value FROM state_coming WHERE (owner, key) <= (?1, ?2) AND value IS NOT NULL ORDER BY owner, key
         ON CONFLICT (owner, key) DO UPDATE SET value = excluded.value",
        "DELETE FROM state WHERE (owner, key) IN
         (SELECT owner, key FROM state_coming WHERE (owner, key) <= (?1, ?2) AND value IS NULL)",
        "DELETE FROM state_coming WHERE (owner, key) <= (?1, ?2)",
    ] {
        transaction.prepare_cached(sql)?.execute((owner, key))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn held(ledger: &Ledger) -> BTreeMap<String, Vec<u8>> {
        let mut held = BTreeMap::new();
        ledger.each_state(|_, key, value| drop(held.insert(key.to_owned(), value.to_vec()))).expect("read");
        held
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_state_counts_as_a_whole_or_not_at_all_wherever_writing_it_is_cut_off(
            rounds in proptest::collection::vec(proptest::collection::vec((0u8..20, proptest::option::of(0u8..9)), 1..12), 1..6),
            room in 1usize..6,
            cut in 0usize..40,
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let mut ledger = Ledger::open(folder.path()).expect("made");
            let (mut wanted, mut steps) = (BTreeMap::new(), 0);
            let mut go = |ledger: &mut Ledger| {
                steps += 1;
                if steps == cut {
                    *ledger = Ledger::open(folder.path()).expect("opened again");
                }
                steps == cut
            };
            'rounds: for (batch, round) in rounds.iter().enumerate() {
                let mut next: BTreeMap<String, Vec<u8>> = wanted.clone();
                for (key, value) in round {
                    let (key, value) = (format!("k{key}"), value.map(|value| vec![value]));
                    match &value {
                        Some(value) => next.insert(key.clone(), value.clone()),
                        None => next.remove(&key),
                    };
                    ledger.gather_state(&[StateChange { owner: "test", key, value }]).expect("written");
                    prop_assert_eq!(&held(&ledger), &wanted);
                    if go(&mut ledger) {
                        ledger.drop_unfinished_state().expect("dropped");
                        prop_assert_eq!(&held(&ledger), &wanted);
                        continue 'rounds;
                    }
                }
                let batch = batch as u64 + 1;
                ledger.complete_state(batch).expect("completed");
                wanted = next;
                loop {
                    prop_assert_eq!(&held(&ledger), &wanted);
                    prop_assert_eq!(ledger.state_batch().expect("read"), batch);
                    if go(&mut ledger) {
                        ledger.drop_unfinished_state().expect("nothing to drop");
                    }
                    if !ledger.settle_state(room).expect("moved") {
                        break;
                    }
                }
                prop_assert_eq!(&held(&ledger), &wanted);
            }
        }
    }
}
