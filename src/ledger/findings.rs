//! Findings in the ledger: written with their batch, read by the alert stage and by people. Not for grouping them (`alert`).

use crmwatch_detectors::{Finding, Millis, Severity};
use rusqlite::{OptionalExtension, Row, Transaction};

use super::{Batch, Ledger, LedgerError};

/// A finding with what the ledger knows about it.
#[derive(Debug, Clone, PartialEq)]
pub struct FindingRow {
    /// The finding.
    pub finding: Finding,
    /// The batch it was last changed by.
    pub batch: u64,
    /// When it was first detected (the batch's reading time).
    pub detected_at: Millis,
    /// The lateness of its deciding event's source.
    pub lateness: Millis,
    /// Grows with each change.
    pub revision: u64,
    /// Whether it was too old when detected; nothing until the alert stage has looked.
    pub historic: Option<bool>,
    /// The incident it belongs to.
    pub incident: Option<i64>,
    /// Its own copy of evidence lines, as a JSON list, once filled.
    pub lines: Option<String>,
}

const COLUMNS: &str = "body, batch, detected_at, lateness, revision, historic, incident, lines";

/// Inserts new findings and updates changed ones. One that is the same as before is left alone, so that a replay changes nothing.
pub(super) fn upsert(
    transaction: &Transaction<'_>,
    batch: &Batch,
    findings: &[(Finding, Millis)],
) -> rusqlite::Result<()> {
    for (finding, lateness) in findings {
        let id = finding.id.to_string();
        let body = serde_json::to_string(finding).expect("findings serialise");
        let known: Option<String> = transaction
            .prepare_cached("SELECT body FROM findings WHERE id = ?1")?
            .query_row([&id], |row| row.get(0))
            .optional()?;
        let severity = finding.severity as u8;
        match known {
            None => {
                transaction
                    .prepare_cached(
                        "INSERT INTO findings (id, rule, severity, time, last_time, primary_key, primary_value, batch, detected_at, lateness, body)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                    )?
                    .execute((
                        id,
                        &*finding.rule,
                        severity,
                        finding.time,
                        finding.last_time,
                        &*finding.primary,
                        finding.primary_value(),
                        batch.number,
                        batch.read_at,
                        lateness,
                        body,
                    ))?;
            }
            Some(known) if known == body => {}
            Some(known) => {
                // A replay derives earlier forms of an episode again; they must not undo later ones.
                let older = serde_json::from_str::<Finding>(&known).is_ok_and(|known| {
                    (known.evidence.count(), known.last_time) > (finding.evidence.count(), finding.last_time)
                });
                if !older {
                    transaction
                        .prepare_cached(
                            "UPDATE findings SET severity = ?2, last_time = ?3, batch = ?4, body = ?5, revision = revision + 1 WHERE id = ?1",
                        )?
                        .execute((id, severity, finding.last_time, batch.number, body))?;
                }
            }
        }
    }
    Ok(())
}

impl Ledger {
    fn row(&self, row: &Row<'_>) -> rusqlite::Result<Option<FindingRow>> {
        let body: String = row.get(0)?;
        let Ok(finding) = serde_json::from_str(&body) else { return Ok(None) };
        Ok(Some(FindingRow {
            finding,
            batch: row.get(1)?,
            detected_at: row.get(2)?,
            lateness: row.get(3)?,
            revision: row.get(4)?,
            historic: row.get(5)?,
            incident: row.get(6)?,
            lines: row.get(7)?,
        }))
    }

    pub(crate) fn findings_where(
        &self,
        condition: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<FindingRow>, LedgerError> {
        let wrong = |source| self.error(source);
        let query = format!("SELECT {COLUMNS} FROM findings WHERE {condition}");
        let mut statement = self.connection.prepare_cached(&query).map_err(wrong)?;
        let mut rows = statement.query(parameters).map_err(wrong)?;
        let mut findings = Vec::new();
        while let Some(row) = rows.next().map_err(wrong)? {
            match self.row(row).map_err(wrong)? {
                Some(finding) => findings.push(finding),
                None => return Err(self.damaged("a finding")),
            }
        }
        Ok(findings)
    }

    /// Findings the alert stage has not handled in their present form, oldest first.
    pub fn unhandled_findings(&self, limit: usize) -> Result<Vec<FindingRow>, LedgerError> {
        self.findings_where("handled < revision ORDER BY time, id LIMIT ?1", [limit])
    }

    /// Findings by the deciding event's time, from one time to before another, of at least a severity; ordered by time, then id.
    pub fn findings_between(&self, from: Millis, to: Millis, least: Severity) -> Result<Vec<FindingRow>, LedgerError> {
        self.findings_where("time >= ?1 AND time < ?2 AND severity >= ?3 ORDER BY time, id", (from, to, least as u8))
    }

    /// One finding by its id.
    pub fn finding(&self, id: &str) -> Result<Option<FindingRow>, LedgerError> {
        Ok(self.findings_where("id = ?1", [id])?.pop())
    }
}
