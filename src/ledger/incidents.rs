//! Incidents as people work them: open, acknowledged, closed with a reason, with a history that is only ever added to.
//! Not for deciding which finding belongs to which (`alert::grouping`).

use crmwatch_detectors::{Finding, Millis, Severity};
use rusqlite::{Connection, Row, Transaction};
use serde::Serialize;

use super::{FindingRow, Ledger, LedgerError, outbox, verdicts};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$one:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$one])* $variant,)* }

        impl $name {
            /// Lower-case word.
            pub const fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// The one of that word.
            pub fn from_word(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// Where an incident stands.
    IncidentState {
        /// Nobody has looked.
        Open = "open",
        /// Somebody is on it.
        Acknowledged = "acknowledged",
        /// Settled.
        Closed = "closed",
    }
}

words! {
    /// Why an incident was closed.
    Reason {
        /// It was an attack.
        TruePositive = "true-positive",
        /// It happened, and was allowed.
        Benign = "benign",
        /// It did not happen as the finding says.
        FalsePositive = "false-positive",
        /// Nobody could tell.
        Undetermined = "undetermined",
    }
}

impl Reason {
    /// Whether what was found may be learned as usual; nothing where nobody could tell.
    pub const fn is_harmless(self) -> Option<bool> {
        match self {
            Reason::Benign | Reason::FalsePositive => Some(true),
            Reason::TruePositive => Some(false),
            Reason::Undetermined => None,
        }
    }
}

/// Findings of one entity, and what is linked to it, grouped over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its number.
    pub id: i64,
    /// When it was opened, by the clock.
    pub opened: Millis,
    /// When it last changed, by the clock.
    pub updated: Millis,
    /// The first event's time.
    pub first_time: Millis,
    /// The last event's time.
    pub last_time: Millis,
    /// The highest of its findings.
    pub severity: Severity,
    /// Where it stands.
    pub state: IncidentState,
    /// Why it was closed.
    pub reason: Option<Reason>,
    /// When it was closed.
    pub closed: Option<Millis>,
    /// Who last acknowledged or closed it.
    pub who: Option<String>,
    /// What that person wrote.
    pub note: Option<String>,
    /// ECS name of what it is about.
    pub primary_key: String,
    /// Its value.
    pub primary_value: String,
    /// The closed incident it goes on from.
    pub refers_to: Option<i64>,
}

/// One line of an incident's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryEntry {
    /// When, by the clock.
    pub at: Millis,
    /// A person's name, or `crmwatch`.
    pub who: String,
    /// What was done, in one word.
    pub what: String,
    /// In his own words.
    pub note: Option<String>,
}

/// Which incidents are wanted.
#[derive(Debug, Clone, Default)]
pub struct IncidentFilter {
    /// In this state; nothing said means not closed.
    pub state: Option<IncidentState>,
    /// Closed ones too.
    pub all: bool,
    /// Opened at or after.
    pub since: Option<Millis>,
    /// Of at least this severity.
    pub severity: Option<Severity>,
    /// At most so many, the latest first.
    pub limit: usize,
}

/// How a person settles an incident.
#[derive(Debug, Clone, Copy)]
pub enum Settlement<'a> {
    /// He is on it.
    Acknowledge,
    /// It is done.
    Close(Reason),
    /// The closing was wrong, or somebody else shall look.
    Reopen,
    /// Only something to be remembered.
    Note(&'a str),
}

const COLUMNS: &str = "id, opened, updated, first_time, last_time, severity, state, reason, closed, who, note, primary_key, primary_value, refers_to";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Incident> {
    let wrong = |column| rusqlite::Error::InvalidColumnType(column, "word".to_owned(), rusqlite::types::Type::Text);
    let reason: Option<String> = row.get(7)?;
    Ok(Incident {
        id: row.get(0)?,
        opened: row.get(1)?,
        updated: row.get(2)?,
        first_time: row.get(3)?,
        last_time: row.get(4)?,
        severity: severity(row.get(5)?),
        state: IncidentState::from_word(&row.get::<_, String>(6)?).ok_or_else(|| wrong(6))?,
        reason: reason.as_deref().and_then(Reason::from_word),
        closed: row.get(8)?,
        who: row.get(9)?,
        note: row.get(10)?,
        primary_key: row.get(11)?,
        primary_value: row.get(12)?,
        refers_to: row.get(13)?,
    })
}

/// The severity of a stored number.
pub(crate) fn severity(number: u8) -> Severity {
    match number {
        0 => Severity::Low,
        1 => Severity::Medium,
        2 => Severity::High,
        _ => Severity::Critical,
    }
}

fn incidents_in(
    connection: &Connection,
    condition: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<Vec<Incident>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM incidents WHERE {condition}"))?;
    statement.query_map(parameters, from_row)?.collect()
}

/// One incident.
pub(crate) fn incident_in(connection: &Connection, id: i64) -> rusqlite::Result<Option<Incident>> {
    Ok(incidents_in(connection, "id = ?1", [id])?.pop())
}

/// Incidents, in any state, that are known by one of these names and touch this stretch of time; oldest first.
pub(crate) fn related(
    connection: &Connection,
    links: &[(String, String)],
    from: Millis,
    to: Millis,
) -> rusqlite::Result<Vec<Incident>> {
    let mut found: Vec<Incident> = Vec::new();
    for (key, value) in links {
        let some = incidents_in(
            connection,
            "id IN (SELECT incident FROM incident_links WHERE key = ?1 AND value = ?2) AND last_time >= ?3 AND first_time <= ?4 ORDER BY id",
            (key, value, from, to),
        )?;
        for incident in some {
            if !found.iter().any(|known| known.id == incident.id) {
                found.push(incident);
            }
        }
    }
    found.sort_by_key(|incident| incident.id);
    Ok(found)
}

/// Opens an incident around a finding; gives its number.
pub(crate) fn open(
    transaction: &Transaction<'_>,
    finding: &Finding,
    refers_to: Option<i64>,
    now: Millis,
) -> rusqlite::Result<i64> {
    transaction
        .prepare_cached(
            "INSERT INTO incidents (opened, updated, first_time, last_time, severity, primary_key, primary_value, refers_to)
             VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((
            now,
            finding.window.0.min(finding.time),
            finding.last_time,
            finding.severity as u8,
            &*finding.primary,
            finding.primary_value(),
            refers_to,
        ))?;
    let id = transaction.last_insert_rowid();
    let note = refers_to.map(|earlier| format!("goes on from incident {earlier}"));
    add_history(transaction, now, "crmwatch", Some(id), "opened", note.as_deref())?;
    Ok(id)
}

/// Puts a finding into an incident and lets further ones be recognised by its names.
pub(crate) fn join(
    transaction: &Transaction<'_>,
    incident: i64,
    finding: &Finding,
    links: &[(String, String)],
    now: Millis,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE findings SET incident = ?2 WHERE id = ?1")?
        .execute((finding.id.to_string(), incident))?;
    for (key, value) in links {
        transaction
            .prepare_cached("INSERT OR IGNORE INTO incident_links (key, value, incident) VALUES (?1, ?2, ?3)")?
            .execute((key, value, incident))?;
    }
    refresh(transaction, incident, finding, now)
}

/// Lets an incident's times and severity follow a finding of it.
fn refresh(transaction: &Transaction<'_>, incident: i64, finding: &Finding, now: Millis) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "UPDATE incidents SET updated = ?2, first_time = min(first_time, ?3), last_time = max(last_time, ?4), severity = max(severity, ?5) WHERE id = ?1",
        )?
        .execute((
            incident,
            now,
            finding.window.0.min(finding.time),
            finding.last_time,
            finding.severity as u8,
        ))?;
    Ok(())
}

/// Adds a line of history.
pub(crate) fn add_history(
    transaction: &Transaction<'_>,
    at: Millis,
    who: &str,
    incident: Option<i64>,
    what: &str,
    note: Option<&str>,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT INTO history (at, who, incident, what, note) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute((at, who, incident, what, note))?;
    Ok(())
}

impl Ledger {
    /// The incidents that are wanted, the latest first.
    pub fn incidents(&self, filter: &IncidentFilter) -> Result<Vec<Incident>, LedgerError> {
        let state = filter.state.map(IncidentState::word);
        incidents_in(
            &self.connection,
            "((?1 IS NULL AND (?2 OR state <> 'closed')) OR state = ?1) AND opened >= ?3 AND severity >= ?4 ORDER BY id DESC LIMIT ?5",
            (
                state,
                filter.all,
                filter.since.unwrap_or(Millis::MIN),
                filter.severity.map_or(0, |severity| severity as u8),
                filter.limit,
            ),
        )
        .map_err(|source| self.error(source))
    }

    /// One incident.
    pub fn incident(&self, id: i64) -> Result<Option<Incident>, LedgerError> {
        incident_in(&self.connection, id).map_err(|source| self.error(source))
    }

    /// What was done with an incident, oldest first.
    pub fn history(&self, incident: i64) -> Result<Vec<HistoryEntry>, LedgerError> {
        let read = || {
            self.connection
                .prepare_cached("SELECT at, who, what, note FROM history WHERE incident = ?1 ORDER BY id")?
                .query_map([incident], |row| {
                    Ok(HistoryEntry { at: row.get(0)?, who: row.get(1)?, what: row.get(2)?, note: row.get(3)? })
                })?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|source| self.error(source))
    }

    /// The latest other incidents about the same entity.
    pub fn earlier_incidents(&self, of: &Incident, limit: usize) -> Result<Vec<Incident>, LedgerError> {
        incidents_in(
            &self.connection,
            "id <> ?1 AND id IN (SELECT incident FROM incident_links WHERE key = ?2 AND value = ?3) ORDER BY id DESC LIMIT ?4",
            (of.id, &of.primary_key, of.primary_value.to_lowercase(), limit),
        )
        .map_err(|source| self.error(source))
    }

    /// How many incidents are not closed, by severity.
    pub fn open_incidents(&self) -> Result<Vec<(Severity, i64)>, LedgerError> {
        let read = || {
            self.connection
                .prepare_cached("SELECT severity, count(*) FROM incidents WHERE state <> 'closed' GROUP BY severity")?
                .query_map([], |row| Ok((severity(row.get(0)?), row.get(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|source| self.error(source))
    }

    /// Works an incident. Closing it drops its messages that have not been sent.
    pub fn settle(
        &mut self,
        id: i64,
        settlement: Settlement<'_>,
        who: &str,
        note: Option<&str>,
        now: Millis,
    ) -> Result<Incident, LedgerError> {
        let found = self.transaction(|transaction| {
            let Some(before) = incident_in(transaction, id)? else { return Ok(None) };
            let (state, reason, what, note) = match settlement {
                Settlement::Acknowledge if before.state == IncidentState::Closed => return Ok(Some(Err(()))),
                Settlement::Acknowledge => (IncidentState::Acknowledged, None, "acknowledged".to_owned(), note),
                Settlement::Close(reason) => {
                    (IncidentState::Closed, Some(reason), format!("closed {}", reason.word()), note)
                }
                Settlement::Reopen => (IncidentState::Open, None, "reopened".to_owned(), note),
                Settlement::Note(text) => (before.state, before.reason, "note".to_owned(), Some(text)),
            };
            let hand = match settlement {
                Settlement::Note(_) => before.who.as_deref(),
                _ => Some(who),
            };
            let closed = match settlement {
                Settlement::Close(_) => Some(now),
                Settlement::Note(_) => before.closed,
                _ => None,
            };
            transaction
                .prepare_cached(
                    "UPDATE incidents SET state = ?2, reason = ?3, closed = ?4, who = ?5, note = coalesce(?6, note), updated = ?7 WHERE id = ?1",
                )?
                .execute((id, state.word(), reason.map(Reason::word), closed, hand, note, now))?;
            if state == IncidentState::Closed {
                outbox::drop_of(transaction, id, now)?;
            }
            if let Settlement::Close(reason) = settlement
                && let Some(harmless) = reason.is_harmless()
            {
                verdicts::say(transaction, id, harmless)?;
            }
            add_history(transaction, now, who, Some(id), &what, note)?;
            Ok(incident_in(transaction, id)?.map(Ok))
        })?;
        match found {
            Some(Ok(incident)) => Ok(incident),
            Some(Err(())) => {
                Err(LedgerError::Refused(format!("incident {id} is closed: reopen it before acknowledging it")))
            }
            None => Err(LedgerError::Refused(format!(
                "there is no incident {id}; `crmwatch alerts list --all` shows them all"
            ))),
        }
    }
}

impl Incident {
    /// The incident as one JSON object, with its findings where they are at hand.
    pub fn to_json(&self, findings: Option<&[FindingRow]>, locale: &str) -> serde_json::Value {
        use crmwatch_detectors::json::timestamp;
        let mut object = serde_json::json!({
            "id": self.id,
            "state": self.state.word(),
            "severity": self.severity.word(),
            "opened": timestamp(self.opened),
            "updated": timestamp(self.updated),
            "first_time": timestamp(self.first_time),
            "last_time": timestamp(self.last_time),
            "primary": self.primary_key,
            "value": self.primary_value,
            "reason": self.reason.map(Reason::word),
            "closed": self.closed.map(timestamp),
            "who": self.who,
            "note": self.note,
            "refers_to": self.refers_to,
        });
        if let Some(findings) = findings {
            let mut rules: Vec<&str> = findings.iter().map(|row| &*row.finding.rule).collect();
            rules.sort_unstable();
            rules.dedup();
            object["rules"] = serde_json::json!(rules);
            object["findings"] = findings.iter().map(|row| row.to_json(locale)).collect();
        }
        object
    }
}
