//! Which of the operator's Sigma rules were in force from which batch on. Not for what they mean.

use crmwatch_detectors::sigma::Texts;
use rusqlite::Transaction;

use super::{Ledger, LedgerError};

impl Ledger {
    /// Batch and rules in force from it on, oldest first.
    pub fn rules(&self) -> Result<Vec<(u64, Texts)>, LedgerError> {
        let wrong = |source| self.error(source);
        let mut statement = self.connection.prepare("SELECT batch, texts FROM rules ORDER BY batch").map_err(wrong)?;
        let rows =
            statement.query_map([], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?))).map_err(wrong)?;
        let mut rules = Vec::new();
        for row in rows {
            let (batch, texts) = row.map_err(wrong)?;
            let texts =
                serde_json::from_str(&texts).map_err(|_| self.damaged(format!("the rules of batch {batch}")))?;
            rules.push((batch, texts));
        }
        Ok(rules)
    }

    /// Remembers that these are in force from a batch on that has not been read yet.
    pub fn set_rules(&mut self, batch: u64, texts: &Texts) -> Result<(), LedgerError> {
        let texts = serde_json::to_string(texts).expect("texts serialise");
        self.transaction(|transaction| {
            transaction.execute("DELETE FROM rules WHERE batch >= ?1", [batch])?;
            transaction.execute("INSERT INTO rules (batch, texts) VALUES (?1, ?2)", (batch, texts))?;
            Ok(())
        })
    }
}

/// Rules that no batch after this one needs any more go.
pub(super) fn forget(transaction: &Transaction<'_>, up_to: u64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM rules WHERE batch < (SELECT max(batch) FROM rules WHERE batch <= ?1)")?
        .execute([up_to])?;
    Ok(())
}

/// Batches are numbered anew: the newest rules are taken for those of all of them.
pub(super) fn renumber(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM rules WHERE batch < (SELECT max(batch) FROM rules)", [])?;
    transaction.execute("UPDATE rules SET batch = 0", [])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_kept_as_long_as_a_batch_may_be_read_again_under_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut ledger = Ledger::open(folder.path()).expect("made");
        for batch in [0, 5, 9] {
            ledger.set_rules(batch, &Texts::one("a.yml", &batch.to_string())).expect("kept");
        }
        let left = |ledger: &Ledger| ledger.rules().expect("read").iter().map(|(batch, _)| *batch).collect::<Vec<_>>();
        for (up_to, expected) in [(4, vec![0, 5, 9]), (5, vec![5, 9]), (8, vec![5, 9]), (20, vec![9])] {
            ledger.forget_batches(up_to).expect("forgotten");
            assert_eq!(left(&ledger), expected);
        }
        ledger.set_rules(7, &Texts::default()).expect("kept");
        assert_eq!(left(&ledger), [7], "what was to come and never came is replaced");
    }
}
