//! Looks at a ledger for `crmwatch check --deep` without making, upgrading or changing it: SQLite's own checks, the form, and every row
//! that the way of the data depends on. Not for what the rows mean together (`pipeline::deep`).

use std::path::Path;
use std::time::Duration;

use crmwatch_detectors::Millis;
use rusqlite::{Connection, OpenFlags};

use super::{Batch, FILE, Ledger, STEPS};
use crate::source::Position;

/// Words of SQLite's check that are kept.
const WORDS: usize = 20;

/// What the database itself says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Soundness {
    /// Its form.
    pub form: usize,
    /// The newest form this program knows.
    pub known: usize,
    /// What SQLite's integrity check found; empty where all is well.
    pub faults: Vec<String>,
    /// Rows that point at rows that are not there, as `table row -> table`.
    pub dangling: Vec<String>,
}

/// The rows that say how far everything has come.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reckoning {
    /// Of which store it is.
    pub store_id: Option<String>,
    /// The last batch.
    pub last_batch: u64,
    /// The batch that what detectors remember belongs to.
    pub state_batch: u64,
    /// The journal, oldest first.
    pub batches: Vec<Batch>,
    /// How far each file has been read.
    pub positions: Vec<Position>,
    /// Rows that cannot be read, each in words.
    pub unreadable: Vec<String>,
}

impl Ledger {
    /// Opens a ledger as it is: it must be there, and stays in the form it has.
    pub fn open_to_look(state_dir: &Path) -> rusqlite::Result<Ledger> {
        let path = state_dir.join(FILE);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.pragma_update(None, "query_only", "ON")?;
        // Only a first read shows whether it is a database at all.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, u64>(0))?;
        Ok(Ledger { connection, path })
    }

    /// Asks SQLite whether the file is sound. Reads all of it.
    pub fn soundness(&self) -> rusqlite::Result<Soundness> {
        let form = self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let mut faults = Vec::new();
        let mut check = self.connection.prepare(&format!("PRAGMA integrity_check({WORDS})"))?;
        let mut rows = check.query([])?;
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let words: String = row.get(0)?;
                    faults.extend(words.lines().filter(|line| *line != "ok").map(str::to_owned));
                }
                Ok(None) => break,
                // So damaged that the check itself cannot go on.
                Err(error) => {
                    faults.push(error.to_string());
                    break;
                }
            }
        }
        drop(rows);
        faults.truncate(WORDS);
        let mut dangling = Vec::new();
        if faults.is_empty() {
            let mut check = self.connection.prepare("PRAGMA foreign_key_check")?;
            let found = check.query_map([], |row| {
                let (table, row_id, parent): (String, Option<i64>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(format!("{table} {} -> {parent}", row_id.map_or("?".to_owned(), |id| id.to_string())))
            })?;
            dangling = found.take(WORDS).collect::<rusqlite::Result<_>>()?;
        }
        Ok(Soundness { form, known: STEPS.len(), faults, dangling })
    }

    /// Reads the journal and the positions row by row, so that one bad row hides no other.
    pub fn reckoning(&self) -> rusqlite::Result<Reckoning> {
        let mut all = Reckoning::default();
        let meta = |key: &str| self.meta(key).ok().flatten();
        all.store_id = meta("store_id");
        let mut number = |key: &str| match meta(key).map(|text| text.parse::<u64>()) {
            Some(Ok(number)) => number,
            Some(Err(_)) => {
                all.unreadable.push(format!("meta {key}"));
                0
            }
            None => 0,
        };
        all.last_batch = number("last_batch");
        all.state_batch = number("snapshot_batch");
        let mut statement = self.connection.prepare("SELECT number, read_at, segments FROM batches ORDER BY number")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (number, read_at): (u64, Millis) = (row.get(0)?, row.get(1)?);
            let segments = row.get::<_, String>(2).ok().and_then(|text| serde_json::from_str(&text).ok());
            match segments {
                Some(segments) => all.batches.push(Batch { number, read_at, segments }),
                None => {
                    all.unreadable.push(format!("batch {number}"));
                    all.batches.push(Batch { number, read_at, segments: Vec::new() });
                }
            }
        }
        drop(rows);
        if let Some(last) = all.batches.last() {
            all.last_batch = last.number;
        }
        let mut statement = self.connection.prepare("SELECT generation, position FROM files ORDER BY generation")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let generation: u64 = row.get(0)?;
            match row.get::<_, String>(1).ok().and_then(|text| serde_json::from_str(&text).ok()) {
                Some(position) => all.positions.push(position),
                None => all.unreadable.push(format!("position of file generation {generation}")),
            }
        }
        Ok(all)
    }
}
