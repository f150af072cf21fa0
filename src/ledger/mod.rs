//! The ledger: the SQLite database of everything that is not an event. Batch journal, file positions, findings, detector state,
//! incidents, outbox. Not for events (`store`) and not for deciding anything.
//!
//! WAL with full sync: a row that is committed survives a power cut. Each thread opens a connection of its own.

mod adopt;
mod findings;
mod incidents;
mod journal;
mod outbox;
mod rules;
mod silences;
mod state;
mod trail;
mod verdicts;
mod verify;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

pub use adopt::Adopted;
pub use findings::FindingRow;
pub(crate) use findings::findings_in;
pub use incidents::{HistoryEntry, Incident, IncidentFilter, IncidentState, Reason, Settlement};
pub(crate) use incidents::{add_history, incident_in, join, open as open_incident, related, severity};
pub use journal::{Batch, Segment};
pub use outbox::{ChannelCount, Letter, MessageRow, Outcome};
pub(crate) use outbox::{NewMessage, Notice, notice, put_notice, queue, queued_since};
pub(crate) use silences::silence_of;
pub use silences::{NewSilence, Silence};
pub use verify::{Reckoning, Soundness};

/// The schema, one step per version; a step is never changed once released.
const STEPS: &[&str] = &["
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

    -- What the reader handed on, in its order; rows behind both consumers are dropped.
    CREATE TABLE batches (number INTEGER PRIMARY KEY, read_at INTEGER NOT NULL, segments TEXT NOT NULL);
    -- How far each generation of each file has been read, as of the last batch.
    CREATE TABLE files (generation INTEGER PRIMARY KEY, position TEXT NOT NULL);

    -- What detectors and enrichment remember, as of meta.snapshot_batch.
    CREATE TABLE state (owner TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (owner, key)) WITHOUT ROWID;

    -- revision grows with each change; the alert stage works on rows whose revision it has not handled yet.
    CREATE TABLE findings (
        id TEXT PRIMARY KEY, rule TEXT NOT NULL, severity INTEGER NOT NULL, time INTEGER NOT NULL, last_time INTEGER NOT NULL,
        primary_key TEXT NOT NULL, primary_value TEXT NOT NULL, batch INTEGER NOT NULL, detected_at INTEGER NOT NULL,
        lateness INTEGER NOT NULL, body TEXT NOT NULL,
        revision INTEGER NOT NULL DEFAULT 1, handled INTEGER NOT NULL DEFAULT 0,
        historic INTEGER, incident INTEGER, lines TEXT
    ) WITHOUT ROWID;
    CREATE INDEX findings_unhandled ON findings (id) WHERE handled < revision;
    CREATE INDEX findings_time ON findings (time);
    CREATE INDEX findings_incident ON findings (incident) WHERE incident IS NOT NULL;
", "
    -- The silence that keeps a finding from making messages; whether a historic one has been summed up.
    ALTER TABLE findings ADD COLUMN silenced INTEGER;
    ALTER TABLE findings ADD COLUMN summed INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX findings_historic ON findings (id) WHERE historic = 1 AND summed = 0;
    CREATE INDEX findings_without_lines ON findings (time) WHERE lines IS NULL;

    -- Times of findings are event times; opened, updated and closed are the clock's.
    CREATE TABLE incidents (
        id INTEGER PRIMARY KEY AUTOINCREMENT, opened INTEGER NOT NULL, updated INTEGER NOT NULL,
        first_time INTEGER NOT NULL, last_time INTEGER NOT NULL, severity INTEGER NOT NULL,
        state TEXT NOT NULL DEFAULT 'open', reason TEXT, closed INTEGER, who TEXT, note TEXT,
        primary_key TEXT NOT NULL, primary_value TEXT NOT NULL, refers_to INTEGER REFERENCES incidents (id)
    );
    CREATE INDEX incidents_open ON incidents (state) WHERE state <> 'closed';
    -- What further findings are recognised by, in lower case.
    CREATE TABLE incident_links (
        key TEXT NOT NULL, value TEXT NOT NULL, incident INTEGER NOT NULL REFERENCES incidents (id),
        PRIMARY KEY (key, value, incident)
    ) WITHOUT ROWID;
    -- Only ever added to.
    CREATE TABLE history (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL, incident INTEGER, what TEXT NOT NULL, note TEXT
    );
    CREATE INDEX history_incident ON history (incident);
    CREATE TABLE silences (
        id INTEGER PRIMARY KEY AUTOINCREMENT, rule TEXT, key TEXT, value TEXT, created INTEGER NOT NULL, until INTEGER NOT NULL,
        who TEXT NOT NULL, reason TEXT NOT NULL
    );

    -- What a channel has been told of an incident, and when it is to be told next.
    CREATE TABLE notices (
        incident INTEGER NOT NULL REFERENCES incidents (id), channel TEXT NOT NULL, due INTEGER, sequence INTEGER NOT NULL DEFAULT 0,
        told_at INTEGER, told_severity INTEGER, told_rules TEXT NOT NULL DEFAULT '[]', summed_since INTEGER,
        PRIMARY KEY (incident, channel)
    ) WITHOUT ROWID;
    CREATE INDEX notices_due ON notices (due) WHERE due IS NOT NULL;
    CREATE INDEX notices_summed ON notices (channel, summed_since) WHERE summed_since IS NOT NULL;
    -- Messages as they are sent, until they are settled; key tells messages of a channel apart, so that none is queued twice.
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, key TEXT NOT NULL, incident INTEGER, message_id TEXT NOT NULL,
        severity INTEGER NOT NULL, created INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'queued', attempts INTEGER NOT NULL DEFAULT 0,
        next INTEGER NOT NULL, settled INTEGER, error TEXT, refused TEXT, recipients TEXT NOT NULL, letter TEXT,
        UNIQUE (channel, key)
    );
    CREATE INDEX outbox_queued ON outbox (channel, next) WHERE state = 'queued';
    CREATE INDEX outbox_created ON outbox (channel, created);
", "
    -- Who asked what of the events and incidents; append-only.
    CREATE TABLE trail (number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL);
", "
    -- The operator's rules in force from a batch on; those no batch needs any more are dropped.
    CREATE TABLE rules (batch INTEGER PRIMARY KEY, texts TEXT NOT NULL);
", "
    -- What people said of findings; batch is the first one read after the detectors heard it. Dropped once no earlier batch can be read again.
    CREATE TABLE verdicts (id INTEGER PRIMARY KEY AUTOINCREMENT, batch INTEGER, body TEXT NOT NULL);
    CREATE INDEX verdicts_waiting ON verdicts (id) WHERE batch IS NULL;
", "
    -- Pieces of state on their way to their places; without a value where the key was dropped. They count where meta has snapshot_come.
    CREATE TABLE state_coming (owner TEXT NOT NULL, key TEXT NOT NULL, value BLOB, PRIMARY KEY (owner, key)) WITHOUT ROWID;
", "
    -- Detectors remember in another form, in which what they knew could be read as something else: they learn anew.
    DELETE FROM state WHERE owner NOT LIKE 'enrich.%';
    DELETE FROM state_coming WHERE owner NOT LIKE 'enrich.%';
"];

/// The ledger's file in the state directory.
pub const FILE: &str = "ledger.sqlite";

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// SQLite's own word.
    #[error("ledger {path}: {source}{}", mend(source))]
    Database {
        /// The file.
        path: PathBuf,
        /// SQLite's word.
        source: rusqlite::Error,
    },
    /// Written by a newer program.
    #[error("ledger {path} has form {found}, this program knows up to {known}: run the newer program that wrote it")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// What a person asked for cannot be done; the words say why.
    #[error("{0}")]
    Refused(String),
    /// A row that cannot be read.
    #[error(
        "ledger {path}: {what} cannot be read; restore the state directory from a backup, or see what `crmwatch recover` can go on from"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which row.
        what: String,
    },
}

fn mend(error: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase, SystemIoFailure};
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => {
            "; it is damaged: restore the state directory from a backup, or move the ledger away and see `crmwatch recover`"
        }
        Some(DiskFull) => "; free space on its file system",
        Some(SystemIoFailure) => "; the kernel's log tells more",
        _ => "",
    }
}

impl LedgerError {
    /// Whether only a person can mend it. Anything else, a full disk or a lock, is a fault that passes.
    pub fn needs_a_person(&self) -> bool {
        match self {
            LedgerError::Newer { .. } | LedgerError::Damaged { .. } => true,
            LedgerError::Database { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
            ),
            LedgerError::Refused(_) => false,
        }
    }
}

/// One connection to the ledger.
pub struct Ledger {
    pub(crate) connection: Connection,
    path: PathBuf,
}

impl Ledger {
    /// Opens the ledger of a state directory, making or upgrading it.
    pub fn open(state_dir: &Path) -> Result<Ledger, LedgerError> {
        let path = state_dir.join(FILE);
        let wrong = |source| LedgerError::Database { path: path.clone(), source };
        let mut connection = Connection::open(&path).map_err(wrong)?;
        connection.busy_timeout(Duration::from_secs(10)).map_err(wrong)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(wrong)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(wrong)?;
        connection.pragma_update(None, "foreign_keys", "ON").map_err(wrong)?;
        let steps: Vec<&str> = STEPS.to_vec();
        let found: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(wrong)?;
        if found > steps.len() {
            return Err(LedgerError::Newer { path, found, known: steps.len() });
        }
        if found < steps.len() {
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(wrong)?;
            // Another connection may have upgraded between the look and the lock.
            let found: usize = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(wrong)?;
            for step in steps.iter().skip(found) {
                transaction.execute_batch(step).map_err(wrong)?;
            }
            transaction.pragma_update(None, "user_version", steps.len()).map_err(wrong)?;
            transaction.commit().map_err(wrong)?;
        }
        Ok(Ledger { connection, path })
    }

    /// Another connection to the same ledger. After an error the old one is not to be trusted.
    pub fn again(&self) -> Result<Ledger, LedgerError> {
        Ledger::open(self.folder())
    }

    /// The state directory it is in.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// A remembered number; nothing where there is none.
    pub(crate) fn meta_number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, LedgerError> {
        let Some(text) = self.meta(key)? else { return Ok(None) };
        // Taken for zero it would have everything read again, or skipped.
        text.parse().map(Some).map_err(|_| self.damaged(format!("the number {key}")))
    }

    pub(crate) fn error(&self, source: rusqlite::Error) -> LedgerError {
        LedgerError::Database { path: self.path.clone(), source }
    }

    pub(crate) fn damaged(&self, what: impl Into<String>) -> LedgerError {
        LedgerError::Damaged { path: self.path.clone(), what: what.into() }
    }

    /// Runs some work as one transaction that takes the write lock at once.
    pub(crate) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        let path = &self.path;
        let wrong = |source| LedgerError::Database { path: path.clone(), source };
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(wrong)?;
        let value = work(&transaction).map_err(wrong)?;
        transaction.commit().map_err(wrong)?;
        Ok(value)
    }

    /// A remembered word.
    pub fn meta(&self, key: &str) -> Result<Option<String>, LedgerError> {
        use rusqlite::OptionalExtension;
        self.connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(|source| self.error(source))
    }

    /// Remembers a word.
    pub fn set_meta(&mut self, key: &str, value: &str) -> Result<(), LedgerError> {
        self.transaction(|transaction| set_meta(transaction, key, value))
    }
}

pub(crate) fn set_meta(transaction: &rusqlite::Transaction<'_>, key: &str, value: &str) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?
        .execute((key, value))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_of_a_newer_program_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(folder.path()).expect("made");
        ledger.connection.pragma_update(None, "user_version", 99).expect("set");
        let error = Ledger::open(folder.path()).err().expect("refused").to_string();
        assert!(error.contains("form 99") && error.contains("newer program"), "{error}");
    }

    #[test]
    fn a_ledger_of_the_first_form_is_upgraded_with_what_is_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let old = Connection::open(folder.path().join(FILE)).expect("made");
        old.execute_batch(STEPS[0]).expect("first form");
        old.execute_batch("INSERT INTO meta VALUES ('store_id', 'x'); PRAGMA user_version = 1").expect("kept");
        drop(old);
        let ledger = Ledger::open(folder.path()).expect("upgraded");
        assert_eq!(ledger.meta("store_id").expect("read").as_deref(), Some("x"));
        assert!(ledger.incidents(&IncidentFilter { limit: 1, ..IncidentFilter::default() }).expect("read").is_empty());
    }

    #[test]
    fn what_detectors_remembered_in_an_older_form_is_not_read_as_something_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let old = Connection::open(folder.path().join(FILE)).expect("made");
        STEPS[..6].iter().for_each(|step| old.execute_batch(step).expect("sixth form"));
        for table in ["state", "state_coming"] {
            let pieces =
                format!("INSERT INTO {table} VALUES ('bulk-export', 'x/mia', x'0102'), ('enrich.names', 'mia', x'03')");
            old.execute_batch(&pieces).expect("kept");
        }
        old.execute_batch("PRAGMA user_version = 6").expect("kept");
        drop(old);
        let ledger = Ledger::open(folder.path()).expect("upgraded");
        for table in ["state", "state_coming"] {
            let owners = format!("SELECT group_concat(owner) FROM {table}");
            let owners: String = ledger.connection.query_row(&owners, [], |row| row.get(0)).expect("one");
            assert_eq!(owners, "enrich.names", "{table}");
        }
    }

    #[test]
    fn it_opens_again_with_what_it_remembered() {
        let folder = tempfile::tempdir().expect("a folder");
        Ledger::open(folder.path()).expect("made").set_meta("store_id", "x").expect("kept");
        let again = Ledger::open(folder.path()).expect("opened");
        assert_eq!(again.meta("store_id").expect("read").as_deref(), Some("x"));
        assert_eq!(again.meta("other").expect("read"), None);
    }
}
