//! The trail of who looked at what: append-only.

use crmwatch_detectors::Millis;

use super::{Ledger, LedgerError};

impl Ledger {
    /// Writes down that somebody asked something.
    pub fn note_look(&mut self, who: &str, what: &str, now: Millis) -> Result<(), LedgerError> {
        self.transaction(|transaction| {
            transaction
                .prepare_cached("INSERT INTO trail (at, who, what) VALUES (?1, ?2, ?3)")?
                .execute((now, who, what))?;
            Ok(())
        })
    }

    /// The last looks, newest first: when, who, what.
    pub fn looks(&self, limit: usize) -> Result<Vec<(Millis, String, String)>, LedgerError> {
        let wrong = |source| self.error(source);
        let mut statement = self
            .connection
            .prepare_cached("SELECT at, who, what FROM trail ORDER BY number DESC LIMIT ?1")
            .map_err(wrong)?;
        let rows = statement.query_map([limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(wrong)?;
        rows.collect::<rusqlite::Result<_>>().map_err(wrong)
    }
}
