//! Silences: a rule, an entity or both, about which no messages are wanted until some time. Findings under a silence are recorded and
//! shown like any other. Not for switching detectors off (configuration).

use crmwatch_detectors::{Finding, Millis};
use rusqlite::{Connection, Row};
use serde::Serialize;

use super::{Ledger, LedgerError, add_history};

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Silence {
    /// Its number.
    pub id: i64,
    /// Only findings of this rule, if said.
    pub rule: Option<String>,
    /// Only findings with this identity, if said: ECS name and value.
    pub entity: Option<(String, String)>,
    /// When it was made.
    pub created: Millis,
    /// When it ends.
    pub until: Millis,
    /// Who made it.
    pub who: String,
    /// Why.
    pub reason: String,
}

/// What a person says to make one. At least a rule or an entity; a silence over everything is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSilence {
    /// Rule.
    pub rule: Option<String>,
    /// ECS name and value.
    pub entity: Option<(String, String)>,
    /// When it ends.
    pub until: Millis,
    /// Who.
    pub who: String,
    /// Why.
    pub reason: String,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Silence> {
    let (key, value): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
    Ok(Silence {
        id: row.get(0)?,
        rule: row.get(1)?,
        entity: key.zip(value),
        created: row.get(4)?,
        until: row.get(5)?,
        who: row.get(6)?,
        reason: row.get(7)?,
    })
}

impl Silence {
    /// Whether it is about this finding.
    pub fn covers(&self, finding: &Finding) -> bool {
        self.rule.as_deref().is_none_or(|rule| rule == &*finding.rule)
            && self.entity.as_ref().is_none_or(|(key, value)| {
                let wanted = value.to_lowercase();
                finding.entity.0.get(key).is_some_and(|values| values.iter().any(|one| one.to_lowercase() == wanted))
            })
    }
}

fn silences_at(connection: &Connection, now: Millis) -> rusqlite::Result<Vec<Silence>> {
    connection
        .prepare_cached(
            "SELECT id, rule, key, value, created, until, who, reason FROM silences WHERE until > ?1 ORDER BY id",
        )?
        .query_map([now], from_row)?
        .collect()
}

/// The silence that is about this finding now, if any.
pub(crate) fn silence_of(connection: &Connection, finding: &Finding, now: Millis) -> rusqlite::Result<Option<i64>> {
    Ok(silences_at(connection, now)?.into_iter().find(|silence| silence.covers(finding)).map(|silence| silence.id))
}

impl Ledger {
    /// Makes a silence; gives its number.
    pub fn silence(&mut self, new: &NewSilence, now: Millis) -> Result<i64, LedgerError> {
        if new.rule.is_none() && new.entity.is_none() {
            return Err(LedgerError::Refused("a silence needs a rule, an entity or both".to_owned()));
        }
        if new.until <= now {
            return Err(LedgerError::Refused("a silence must end in the future".to_owned()));
        }
        self.transaction(|transaction| {
            let (key, value) = new.entity.clone().unzip();
            transaction
                .prepare_cached(
                    "INSERT INTO silences (rule, key, value, created, until, who, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute((&new.rule, key, value, now, new.until, &new.who, &new.reason))?;
            let id = transaction.last_insert_rowid();
            add_history(transaction, now, &new.who, None, "silence", Some(&format!("silence {id}: {}", new.reason)))?;
            Ok(id)
        })
    }

    /// Ends a silence now. The row stays.
    pub fn end_silence(&mut self, id: i64, who: &str, now: Millis) -> Result<(), LedgerError> {
        let ended = self.transaction(|transaction| {
            let ended = transaction
                .prepare_cached("UPDATE silences SET until = ?2 WHERE id = ?1 AND until > ?2")?
                .execute((id, now))?;
            if ended > 0 {
                add_history(transaction, now, who, None, "silence-ended", Some(&format!("silence {id}")))?;
            }
            Ok(ended)
        })?;
        if ended == 0 {
            return Err(LedgerError::Refused(format!("there is no silence {id} in force")));
        }
        Ok(())
    }

    /// The silences in force.
    pub fn silences(&self, now: Millis) -> Result<Vec<Silence>, LedgerError> {
        silences_at(&self.connection, now).map_err(|source| self.error(source))
    }

    /// How many of the findings since a time a silence would have kept quiet, and how many there were: what to show before making it.
    pub fn would_silence(&self, new: &NewSilence, since: Millis) -> Result<(usize, usize), LedgerError> {
        let silence = Silence {
            id: 0,
            rule: new.rule.clone(),
            entity: new.entity.clone(),
            created: since,
            until: new.until,
            who: String::new(),
            reason: String::new(),
        };
        let findings = self.findings_where("time >= ?1 ORDER BY time DESC LIMIT 10000", [since])?;
        let covered = findings.iter().filter(|row| silence.covers(&row.finding)).count();
        Ok((covered, findings.len()))
    }
}
