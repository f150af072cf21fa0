//! Findings in the ledger: written with their batch, read by the alert stage and by people. Not for grouping them (`alert`).

use crmwatch_detectors::{Finding, Millis, Severity};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

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
    /// The silence that keeps it from making messages.
    pub silenced: Option<i64>,
}

impl FindingRow {
    /// The finding's JSON with what the ledger knows about it: `historic`, `incident`, `silenced`, `lines`.
    pub fn to_json(&self, locale: &str) -> serde_json::Value {
        let mut object = self.finding.to_json(locale);
        object["historic"] = self.historic.into();
        object["incident"] = self.incident.into();
        object["silenced"] = self.silenced.into();
        object["lines"] =
            self.lines.as_deref().and_then(|lines| serde_json::from_str(lines).ok()).unwrap_or(serde_json::Value::Null);
        object
    }
}

const COLUMNS: &str = "body, batch, detected_at, lateness, revision, historic, incident, lines, silenced";

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

/// The error for a stored body that is not a finding.
pub(crate) fn unreadable() -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, "a finding cannot be read".into())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<FindingRow> {
    let body: String = row.get(0)?;
    Ok(FindingRow {
        finding: serde_json::from_str(&body).map_err(|_| unreadable())?,
        batch: row.get(1)?,
        detected_at: row.get(2)?,
        lateness: row.get(3)?,
        revision: row.get(4)?,
        historic: row.get(5)?,
        incident: row.get(6)?,
        lines: row.get(7)?,
        silenced: row.get(8)?,
    })
}

/// Findings that meet a condition; `condition` is the program's own text.
pub(crate) fn findings_in(
    connection: &Connection,
    condition: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<Vec<FindingRow>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM findings WHERE {condition}"))?;
    statement.query_map(parameters, from_row)?.collect()
}

impl Ledger {
    pub(crate) fn findings_where(
        &self,
        condition: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<FindingRow>, LedgerError> {
        findings_in(&self.connection, condition, parameters).map_err(|error| match error {
            rusqlite::Error::FromSqlConversionFailure(0, ..) => self.damaged("a finding"),
            error => self.error(error),
        })
    }

    /// Findings the alert stage has not handled in their present form, oldest first.
    pub fn unhandled_findings(&self, limit: usize) -> Result<Vec<FindingRow>, LedgerError> {
        self.findings_where("handled < revision ORDER BY time, id LIMIT ?1", [limit])
    }

    /// Findings by the deciding event's time, from one time to before another, of at least a severity; ordered by time, then id.
    pub fn findings_between(&self, from: Millis, to: Millis, least: Severity) -> Result<Vec<FindingRow>, LedgerError> {
        self.findings_where("time >= ?1 AND time < ?2 AND severity >= ?3 ORDER BY time, id", (from, to, least as u8))
    }

    /// Findings opened or changed by later batches than the one named, oldest first.
    pub fn findings_after_batch(&self, batch: u64) -> Result<Vec<FindingRow>, LedgerError> {
        self.findings_where("batch > ?1 ORDER BY batch, time, id", [batch])
    }

    /// One finding by its id.
    pub fn finding(&self, id: &str) -> Result<Option<FindingRow>, LedgerError> {
        Ok(self.findings_where("id = ?1", [id])?.pop())
    }

    /// The findings of an incident, by the deciding event's time.
    pub fn findings_of(&self, incident: i64) -> Result<Vec<FindingRow>, LedgerError> {
        self.findings_where("incident = ?1 ORDER BY time, id", [incident])
    }

    /// Findings that have no copy of their evidence lines yet, newest first: those of today are read first.
    pub fn findings_without_lines(&self, limit: usize) -> Result<Vec<FindingRow>, LedgerError> {
        self.findings_where("lines IS NULL ORDER BY time DESC, id LIMIT ?1", [limit])
    }

    /// Gives a finding its own copy of evidence lines (a JSON list), so that it stays readable when its partition is gone.
    pub fn set_lines(&mut self, id: &str, lines: &str) -> Result<(), LedgerError> {
        self.transaction(|transaction| {
            transaction.prepare_cached("UPDATE findings SET lines = ?2 WHERE id = ?1")?.execute((id, lines))?;
            Ok(())
        })
    }
}
