//! The outbox: messages as they will be sent, from the moment they are decided until they are sent, refused for good, or no longer wanted.
//! Not for writing them (`alert`) and not for sending them (channels).

use crmwatch_detectors::{Millis, Severity};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use serde::{Deserialize, Serialize};

use super::incidents::severity;
use super::{Ledger, LedgerError, add_history};

/// No attempt is planned further ahead than this.
const FURTHEST: Millis = 2 * 3_600_000;

/// A message in the form in which it is sent, each time the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// One line, harmless.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    /// When it was written.
    pub date: Millis,
    /// The worst it tells of.
    pub severity: Severity,
    /// The rule it is mainly about; empty for summaries.
    pub rule: String,
    /// Message ids of the thread, the first one first.
    pub references: Vec<String>,
}

/// A message to be queued.
#[derive(Debug, Clone)]
pub(crate) struct NewMessage<'a> {
    pub channel: &'a str,
    /// Tells messages of a channel apart: one that is there already is not queued again.
    pub key: &'a str,
    pub incident: Option<i64>,
    pub message_id: &'a str,
    pub recipients: &'a [String],
    pub letter: &'a Letter,
}

/// A message of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// Its number.
    pub id: i64,
    /// Through what it goes.
    pub channel: String,
    /// What tells it apart.
    pub key: String,
    /// Its incident; none for summaries.
    pub incident: Option<i64>,
    /// The same at every attempt.
    pub message_id: String,
    /// When it was queued.
    pub created: Millis,
    /// `queued`, `sent`, `parked` or `dropped`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub next: Millis,
    /// What went wrong last.
    pub error: Option<String>,
    /// Who still has to get it.
    pub recipients: Vec<String>,
    /// The message; gone once settled.
    pub letter: Option<Letter>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everybody left has it, but those who were refused for good.
    Sent {
        /// Who was refused, and with what words.
        refused: Vec<String>,
    },
    /// Some or all are to be tried again.
    Later {
        /// Who.
        recipients: Vec<String>,
        /// Who was refused for good meanwhile, and with what words.
        refused: Vec<String>,
        /// When.
        next: Millis,
        /// Why.
        error: String,
    },
    /// Refused for good.
    Parked {
        /// With what words.
        error: String,
    },
}

/// What waits in a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelCount {
    /// Messages waiting.
    pub queued: i64,
    /// Since when the oldest of them has been waiting.
    pub oldest: Option<Millis>,
    /// Messages refused for good whose incident is not closed.
    pub parked: i64,
}

/// What a channel has been told of an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Notice {
    pub due: Option<Millis>,
    pub sequence: u32,
    pub told_at: Option<Millis>,
    pub told_severity: Option<Severity>,
    pub told_rules: Vec<String>,
    /// Since when it waits to be summed up with others, because the limit was reached.
    pub summed_since: Option<Millis>,
}

/// What is known of an incident's notices through a channel.
pub(crate) fn notice(connection: &Connection, incident: i64, channel: &str) -> rusqlite::Result<Notice> {
    let found = connection
        .prepare_cached(
            "SELECT due, sequence, told_at, told_severity, told_rules, summed_since FROM notices WHERE incident = ?1 AND channel = ?2",
        )?
        .query_row((incident, channel), |row| {
            Ok(Notice {
                due: row.get(0)?,
                sequence: row.get(1)?,
                told_at: row.get(2)?,
                told_severity: row.get::<_, Option<u8>>(3)?.map(severity),
                told_rules: serde_json::from_str(&row.get::<_, String>(4)?).unwrap_or_default(),
                summed_since: row.get(5)?,
            })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Remembers it.
pub(crate) fn put_notice(
    transaction: &Transaction<'_>,
    incident: i64,
    channel: &str,
    notice: &Notice,
) -> rusqlite::Result<()> {
    let rules = serde_json::to_string(&notice.told_rules).expect("words serialise");
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO notices (incident, channel, due, sequence, told_at, told_severity, told_rules, summed_since)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute((
            incident,
            channel,
            notice.due,
            notice.sequence,
            notice.told_at,
            notice.told_severity.map(|severity| severity as u8),
            rules,
            notice.summed_since,
        ))?;
    Ok(())
}

/// Queues a message; one with the same key is there already and stays.
pub(crate) fn queue(transaction: &Transaction<'_>, new: &NewMessage<'_>, now: Millis) -> rusqlite::Result<()> {
    let letter = serde_json::to_string(new.letter).expect("letters serialise");
    let recipients = serde_json::to_string(new.recipients).expect("addresses serialise");
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO outbox (channel, key, incident, message_id, severity, created, next, recipients, letter)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8)",
        )?
        .execute((
            new.channel,
            new.key,
            new.incident,
            new.message_id,
            new.letter.severity as u8,
            now,
            recipients,
            letter,
        ))?;
    Ok(())
}

/// How many messages about single incidents were queued for a channel since a time.
pub(crate) fn queued_since(connection: &Connection, channel: &str, since: Millis) -> rusqlite::Result<u32> {
    connection
        .prepare_cached("SELECT count(*) FROM outbox WHERE channel = ?1 AND created > ?2 AND created <= ?3 AND incident IS NOT NULL")?
        // What was queued while the clock was far ahead does not count for ever.
        .query_row((channel, since, since.saturating_add(FURTHEST)), |row| row.get(0))
}

/// Drops what has not been sent about an incident, and forgets that more was due.
pub(super) fn drop_of(transaction: &Transaction<'_>, incident: i64, now: Millis) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "UPDATE outbox SET state = 'dropped', settled = ?2, letter = NULL WHERE incident = ?1 AND state IN ('queued', 'parked')",
        )?
        .execute((incident, now))?;
    transaction
        .prepare_cached("UPDATE notices SET due = NULL, summed_since = NULL WHERE incident = ?1")?
        .execute([incident])?;
    Ok(())
}

const COLUMNS: &str =
    "id, channel, key, incident, message_id, created, state, attempts, next, error, recipients, letter";

fn from_row(row: &Row<'_>) -> rusqlite::Result<MessageRow> {
    let letter: Option<String> = row.get(11)?;
    Ok(MessageRow {
        id: row.get(0)?,
        channel: row.get(1)?,
        key: row.get(2)?,
        incident: row.get(3)?,
        message_id: row.get(4)?,
        created: row.get(5)?,
        state: row.get(6)?,
        attempts: row.get(7)?,
        next: row.get(8)?,
        error: row.get(9)?,
        recipients: serde_json::from_str(&row.get::<_, String>(10)?).unwrap_or_default(),
        letter: letter.and_then(|letter| serde_json::from_str(&letter).ok()),
    })
}

impl Ledger {
    fn messages_where(
        &self,
        condition: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<MessageRow>, LedgerError> {
        let read = || {
            self.connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM outbox WHERE {condition}"))?
                .query_map(parameters, from_row)?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|source| self.error(source))
    }

    /// The message of a channel to be tried next, the worst first.
    pub fn due_message(&self, channel: &str, now: Millis) -> Result<Option<MessageRow>, LedgerError> {
        Ok(self
            .messages_where(
                "channel = ?1 AND state = 'queued' AND (next <= ?2 OR next > ?3) ORDER BY severity DESC, id LIMIT 1",
                // Further ahead than any pause: the clock was set back meanwhile.
                (channel, now, now.saturating_add(FURTHEST)),
            )?
            .pop())
    }

    /// Messages of the outbox, the latest first.
    pub fn messages(&self, unsettled_only: bool, limit: usize) -> Result<Vec<MessageRow>, LedgerError> {
        self.messages_where(
            "(NOT ?1 OR state IN ('queued', 'parked')) ORDER BY id DESC LIMIT ?2",
            (unsettled_only, limit),
        )
    }

    /// Remembers how an attempt ended. A message that was dropped meanwhile stays dropped.
    pub fn record_attempt(&mut self, message: i64, outcome: &Outcome, now: Millis) -> Result<(), LedgerError> {
        self.transaction(|transaction| {
            let incident: Option<i64> =
                transaction.query_row("SELECT incident FROM outbox WHERE id = ?1", [message], |row| row.get(0))?;
            match outcome {
                Outcome::Sent { refused } => {
                    let refused = (!refused.is_empty()).then(|| refused.join("; "));
                    transaction
                        .prepare_cached(
                            "UPDATE outbox SET state = 'sent', settled = ?2, attempts = attempts + 1, error = NULL, letter = NULL, recipients = '[]',
                             refused = nullif(concat_ws('; ', refused, ?3), '') WHERE id = ?1 AND state = 'queued'",
                        )?
                        .execute((message, now, refused))?;
                    add_history(transaction, now, "crmwatch", incident, "told", None)?;
                }
                Outcome::Later { recipients, refused, next, error } => {
                    let recipients = serde_json::to_string(recipients).expect("addresses serialise");
                    let refused = (!refused.is_empty()).then(|| refused.join("; "));
                    transaction
                        .prepare_cached(
                            "UPDATE outbox SET attempts = attempts + 1, next = ?2, error = ?3, recipients = ?4,
                             refused = nullif(concat_ws('; ', refused, ?5), '') WHERE id = ?1 AND state = 'queued'",
                        )?
                        .execute((message, next, error, recipients, refused))?;
                }
                Outcome::Parked { error } => {
                    transaction
                        .prepare_cached(
                            "UPDATE outbox SET state = 'parked', settled = ?2, attempts = attempts + 1, error = ?3 WHERE id = ?1 AND state = 'queued'",
                        )?
                        .execute((message, now, error))?;
                    add_history(transaction, now, "crmwatch", incident, "refused", Some(error))?;
                }
            }
            Ok(())
        })
    }

    /// Tries a message again now, also one that was parked.
    pub fn retry_message(&mut self, id: i64, who: &str, now: Millis) -> Result<(), LedgerError> {
        self.change_message(
            id,
            "UPDATE outbox SET state = 'queued', next = ?2, settled = NULL WHERE id = ?1 AND state IN ('queued', 'parked')",
            "retry",
            who,
            now,
        )
    }

    /// Gives a message up.
    pub fn drop_message(&mut self, id: i64, who: &str, now: Millis) -> Result<(), LedgerError> {
        self.change_message(
            id,
            "UPDATE outbox SET state = 'dropped', settled = ?2, letter = NULL WHERE id = ?1 AND state IN ('queued', 'parked')",
            "gave up",
            who,
            now,
        )
    }

    fn change_message(&mut self, id: i64, change: &str, what: &str, who: &str, now: Millis) -> Result<(), LedgerError> {
        let changed = self.transaction(|transaction| {
            let changed = transaction.prepare_cached(change)?.execute((id, now))?;
            if changed > 0 {
                let incident: Option<i64> =
                    transaction.query_row("SELECT incident FROM outbox WHERE id = ?1", [id], |row| row.get(0))?;
                add_history(transaction, now, who, incident, what, Some(&format!("message {id}")))?;
            }
            Ok(changed)
        })?;
        if changed == 0 {
            return Err(LedgerError::Refused(format!(
                "message {id} is not waiting: it was sent or dropped, or never was"
            )));
        }
        Ok(())
    }

    /// What waits in a channel.
    pub fn waiting(&self, channel: &str) -> Result<ChannelCount, LedgerError> {
        self.connection
            .prepare_cached(
                "SELECT count(*) FILTER (WHERE state = 'queued'), min(created) FILTER (WHERE state = 'queued'),
                        count(*) FILTER (WHERE state = 'parked') FROM outbox WHERE channel = ?1 AND state IN ('queued', 'parked')",
            )
            .and_then(|mut statement| {
                statement.query_row([channel], |row| {
                    Ok(ChannelCount { queued: row.get(0)?, oldest: row.get(1)?, parked: row.get(2)? })
                })
            })
            .map_err(|source| self.error(source))
    }
}
