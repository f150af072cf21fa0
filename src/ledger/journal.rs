//! The batch journal: for every batch, which bytes of which files it holds. Its row commits together with the batch's findings and
//! the files' new positions; only then the batch goes to the store. Not for reading the bytes again (`pipeline`).

use std::collections::BTreeMap;

use crmwatch_detectors::{Finding, Millis};
use serde::{Deserialize, Serialize};

use super::{Ledger, LedgerError, findings};
use crate::source::Position;

/// A stretch of one file's records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The file's generation.
    pub generation: u64,
    /// First byte.
    pub from: u64,
    /// One past the last byte; a record boundary.
    pub to: u64,
    /// Number of the first line, from 1.
    pub line: u64,
    /// What the grammar knew at `from`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// The file was known dead, and its last record has no newline.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

/// What the reader handed on at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Without gaps, from 1.
    pub number: u64,
    /// When it was read: the time of events whose own cannot be believed.
    pub read_at: Millis,
    /// In the order read; none where there was nothing more to read at that time, which is told to what is decided by silence.
    pub segments: Vec<Segment>,
}

impl Ledger {
    /// Makes a batch durable: its journal row, its findings and the files' positions, all or nothing.
    /// `lateness` of each finding is that of its deciding event's source.
    pub fn record_batch(
        &mut self,
        batch: &Batch,
        positions: &[Position],
        gone: &[u64],
        findings: &[(Finding, Millis)],
    ) -> Result<(), LedgerError> {
        let segments = serde_json::to_string(&batch.segments).expect("segments serialise");
        self.transaction(|transaction| {
            transaction
                .prepare_cached("INSERT INTO batches (number, read_at, segments) VALUES (?1, ?2, ?3)")?
                .execute((batch.number, batch.read_at, segments))?;
            for position in positions {
                let text = serde_json::to_string(position).expect("positions serialise");
                transaction
                    .prepare_cached("INSERT INTO files (generation, position) VALUES (?1, ?2) ON CONFLICT (generation) DO UPDATE SET position = excluded.position")?
                    .execute((position.generation, text))?;
            }
            for generation in gone {
                transaction.prepare_cached("DELETE FROM files WHERE generation = ?1")?.execute([generation])?;
            }
            findings::upsert(transaction, batch, findings)
        })
    }

    /// Records findings derived again for a batch that is in the journal already.
    pub fn record_findings(&mut self, batch: &Batch, found: &[(Finding, Millis)]) -> Result<(), LedgerError> {
        if found.is_empty() {
            return Ok(());
        }
        self.transaction(|transaction| findings::upsert(transaction, batch, found))
    }

    /// The number of the last batch; 0 where there was none.
    pub fn last_batch(&self) -> Result<u64, LedgerError> {
        let last: Option<u64> = self
            .connection
            .query_row("SELECT max(number) FROM batches", [], |row| row.get(0))
            .map_err(|source| self.error(source))?;
        Ok(match last {
            Some(last) => last,
            // All rows are behind both consumers and were dropped.
            None => self.meta_number("last_batch")?.unwrap_or(0),
        })
    }

    /// The batches after a number, in their order.
    pub fn batches_after(&self, number: u64) -> Result<Vec<Batch>, LedgerError> {
        let wrong = |source| self.error(source);
        let mut statement = self
            .connection
            .prepare_cached("SELECT number, read_at, segments FROM batches WHERE number > ?1 ORDER BY number")
            .map_err(wrong)?;
        let rows = statement
            .query_map([number], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, Millis>(1)?, row.get::<_, String>(2)?)))
            .map_err(wrong)?;
        let mut batches = Vec::new();
        for row in rows {
            let (number, read_at, segments) = row.map_err(wrong)?;
            let segments = serde_json::from_str(&segments).map_err(|_| self.damaged(format!("batch {number}")))?;
            batches.push(Batch { number, read_at, segments });
        }
        Ok(batches)
    }

    /// Forgets the batches up to a number: both consumers have them.
    pub fn forget_batches(&mut self, up_to: u64) -> Result<(), LedgerError> {
        self.transaction(|transaction| {
            let last: Option<u64> = transaction.query_row("SELECT max(number) FROM batches", [], |row| row.get(0))?;
            if let Some(last) = last {
                super::set_meta(transaction, "last_batch", &last.to_string())?;
            }
            transaction.prepare_cached("DELETE FROM batches WHERE number <= ?1")?.execute([up_to])?;
            super::rules::forget(transaction, up_to)?;
            super::verdicts::forget(transaction, up_to)
        })
    }

    /// Notes that nothing more can come from a file, as when a spool file was read to its end and is about to be deleted.
    pub fn finish_file(&mut self, generation: u64, at: Millis) -> Result<(), LedgerError> {
        self.transaction(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE files SET position = json_set(position, '$.finished_at', ?2) WHERE generation = ?1",
                )?
                .execute((generation, at))?;
            Ok(())
        })
    }

    /// How far every file has been read, by generation.
    pub fn positions(&self) -> Result<BTreeMap<u64, Position>, LedgerError> {
        let wrong = |source| self.error(source);
        let mut statement = self.connection.prepare_cached("SELECT generation, position FROM files").map_err(wrong)?;
        let rows =
            statement.query_map([], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?))).map_err(wrong)?;
        let mut positions = BTreeMap::new();
        for row in rows {
            let (generation, text) = row.map_err(wrong)?;
            let position = serde_json::from_str(&text)
                .map_err(|_| self.damaged(format!("position of file generation {generation}")))?;
            positions.insert(generation, position);
        }
        Ok(positions)
    }
}
