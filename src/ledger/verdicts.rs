//! What people said of findings by closing incidents, for the detectors to hear between two batches. Not for how incidents are worked.

use crmwatch_detectors::{Finding, Verdict};
use rusqlite::Transaction;

use super::{Ledger, LedgerError};

/// Somebody closed an incident: his word on each of its findings waits to be heard.
pub(super) fn say(transaction: &Transaction<'_>, incident: i64, harmless: bool) -> rusqlite::Result<()> {
    let bodies: Vec<String> = transaction
        .prepare_cached("SELECT body FROM findings WHERE incident = ?1 ORDER BY time, id")?
        .query_map([incident], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    // A finding that cannot be read says nothing about whom it is; the alert stage has told of it.
    for finding in bodies.iter().filter_map(|body| serde_json::from_str::<Finding>(body).ok()) {
        let verdict = serde_json::to_string(&Verdict::on(&finding, harmless)).expect("verdicts serialise");
        transaction.prepare_cached("INSERT INTO verdicts (body) VALUES (?1)")?.execute([verdict])?;
    }
    Ok(())
}

impl Ledger {
    /// Those that nobody has heard yet, from now on heard before this batch, which has not been read yet.
    pub fn hear_verdicts(&mut self, batch: u64) -> Result<Vec<Verdict>, LedgerError> {
        let waiting: bool = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM verdicts WHERE batch IS NULL)")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map_err(|source| self.error(source))?;
        if !waiting {
            return Ok(Vec::new());
        }
        let bodies: Vec<String> = self.transaction(|transaction| {
            let bodies = transaction
                .prepare_cached("SELECT body FROM verdicts WHERE batch IS NULL ORDER BY id")?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            transaction.prepare_cached("UPDATE verdicts SET batch = ?1 WHERE batch IS NULL")?.execute([batch])?;
            Ok(bodies)
        })?;
        bodies.iter().map(|body| self.verdict(body)).collect()
    }

    /// Those that were heard after a batch, with the one they were heard before; oldest first.
    pub fn heard_verdicts(&self, after: u64) -> Result<Vec<(u64, Verdict)>, LedgerError> {
        let wrong = |source| self.error(source);
        let mut statement = self
            .connection
            .prepare_cached("SELECT batch, body FROM verdicts WHERE batch > ?1 ORDER BY id")
            .map_err(wrong)?;
        let rows = statement.query_map([after], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).map_err(wrong)?;
        let mut heard = Vec::new();
        for row in rows {
            let (batch, body) = row.map_err(wrong)?;
            heard.push((batch, self.verdict(&body)?));
        }
        Ok(heard)
    }

    fn verdict(&self, body: &str) -> Result<Verdict, LedgerError> {
        serde_json::from_str(body).map_err(|_| self.damaged("a verdict on a finding".to_owned()))
    }
}

/// Those that no batch can be read again before go.
pub(super) fn forget(transaction: &Transaction<'_>, up_to: u64) -> rusqlite::Result<()> {
    transaction.prepare_cached("DELETE FROM verdicts WHERE batch <= ?1")?.execute([up_to])?;
    Ok(())
}

/// Batches are numbered anew: what is still kept is heard again, which changes nothing for those who have heard it.
pub(super) fn renumber(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute("UPDATE verdicts SET batch = NULL", [])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crmwatch_detectors::finding::Evidence;
    use crmwatch_detectors::{EventId, Identities, Sentence, Severity};

    use super::*;
    use crate::ledger::{Batch, Reason, Settlement, incidents};

    fn with_an_incident() -> (tempfile::TempDir, Ledger) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut ledger = Ledger::open(folder.path()).expect("made");
        let mut entity = Identities::default();
        entity.add("user.name", "Ann");
        let finding = Finding {
            id: EventId(7),
            rule: "mass-delete".into(),
            severity: Severity::High,
            time: 9,
            last_time: 9,
            entity,
            primary: "user.name".into(),
            summary: Sentence::default(),
            observed: Sentence::default(),
            expected: Sentence::default(),
            window: (3, 9),
            evidence: Evidence::default(),
            techniques: Vec::new(),
            parts: Vec::new(),
        };
        let batch = Batch { number: 1, read_at: 9, segments: Vec::new() };
        ledger.record_batch(&batch, &[], &[], &[(finding.clone(), 0)]).expect("recorded");
        ledger
            .transaction(|transaction| {
                let id = incidents::open(transaction, &finding, None, 9)?;
                incidents::join(transaction, id, &finding, &[], 9)
            })
            .expect("opened");
        (folder, ledger)
    }

    #[test]
    fn a_verdict_waits_is_heard_once_and_is_kept_as_long_as_a_batch_before_it_may_be_read_again() {
        let (_folder, mut ledger) = with_an_incident();
        ledger.settle(1, Settlement::Close(Reason::Undetermined), "ann", None, 5).expect("closed");
        assert!(ledger.hear_verdicts(3).expect("read").is_empty(), "nobody could tell");
        ledger.settle(1, Settlement::Close(Reason::Benign), "ann", None, 6).expect("closed");
        let heard = ledger.hear_verdicts(4).expect("read");
        assert_eq!(heard.len(), 1);
        assert!(heard[0].harmless && heard[0].subjects.contains(&"user:ann".to_owned()), "{heard:?}");
        assert!(ledger.hear_verdicts(5).expect("read").is_empty(), "heard once");
        let again = |ledger: &Ledger, after| ledger.heard_verdicts(after).expect("read");
        assert_eq!(again(&ledger, 3), [(4, heard[0].clone())]);
        assert!(again(&ledger, 4).is_empty());
        ledger.forget_batches(3).expect("forgotten");
        assert_eq!(again(&ledger, 0).len(), 1);
        ledger.forget_batches(4).expect("forgotten");
        assert!(again(&ledger, 0).is_empty());
    }
}
