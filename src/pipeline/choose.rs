//! For `crmwatch recover`: what index and ledger each have, and going on from the one that is chosen. Not for what the daemon does by
//! itself at every start (`recover`).

use std::collections::BTreeMap;
use std::path::Path;

use crmwatch_detectors::Millis;

use super::recover::{RecoverError, locate};
use super::{RunError, lock, now};
use crate::ledger::Ledger;
use crate::source::Position;
use crate::store::{Payload, Store, StoreOptions};

/// Which of the two is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The index: its commit names the positions it was made at.
    Index,
    /// The ledger: its journal and positions.
    Ledger,
}

/// What one side has.
#[derive(Debug, Clone, PartialEq)]
pub struct Holdings {
    /// The store it says it belongs to.
    pub store_id: Option<String>,
    /// The last batch it has.
    pub batch: u64,
    /// How far each file was read by then.
    pub positions: BTreeMap<u64, Position>,
}

/// What both have.
pub struct Choice {
    _lock: std::fs::File,
    store: Store,
    ledger: Ledger,
    /// The index.
    pub index: Holdings,
    /// The ledger.
    pub journal: Holdings,
    /// Events in the index.
    pub events: u64,
    /// The newest of them.
    pub newest: Option<Millis>,
}

/// What going on from one side means for one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The file, where it was last seen.
    pub path: String,
    /// Bytes that the other side has and the chosen one does not.
    pub bytes: u64,
    /// Whether the file is still there, so that they can be read again.
    pub there: bool,
}

impl Choice {
    /// Looks at a stopped daemon's state directory.
    pub fn open(state_dir: &Path) -> Result<Choice, RunError> {
        let held = lock(state_dir)?;
        let store = Store::open(state_dir, StoreOptions::default())?;
        let ledger = Ledger::open(state_dir)?;
        let payload = store.payload();
        let positions: Vec<Position> = payload
            .as_ref()
            .map(|payload| serde_json::from_str(&payload.positions))
            .transpose()
            .map_err(|error| RunError::Session(format!("the index's positions cannot be read: {error}")))?
            .unwrap_or_default();
        let index = Holdings {
            store_id: Some(store.store_id()),
            batch: payload.map_or(0, |payload| payload.batch),
            positions: positions.into_iter().map(|position| (position.generation, position)).collect(),
        };
        let journal = Holdings {
            store_id: ledger.meta("store_id")?,
            batch: ledger.last_batch()?,
            positions: ledger.positions()?,
        };
        let statistics = store.statistics();
        let newest = store.newest_time();
        Ok(Choice { _lock: held, store, ledger, index, journal, events: statistics.events, newest })
    }

    /// What would be missing, or be read again, in going on from a side.
    pub fn gaps(&self, side: Side) -> Vec<Gap> {
        let (chosen, other) = match side {
            Side::Index => (&self.index, &self.journal),
            Side::Ledger => (&self.journal, &self.index),
        };
        let mut gaps = Vec::new();
        // From the ledger, what the index lacks up to there is skipped; from the index, what the ledger has beyond is read again.
        let (behind, ahead) = match side {
            Side::Ledger => (other, chosen),
            Side::Index => (chosen, other),
        };
        for (generation, position) in &ahead.positions {
            let from = behind.positions.get(generation).map_or(0, |position| position.offset);
            if position.offset > from {
                let there = locate(position).ok().flatten().is_some();
                gaps.push(Gap { path: position.path.clone(), bytes: position.offset - from, there });
            }
        }
        gaps
    }

    /// Makes both agree on the chosen side's state; the next start goes on from there.
    pub fn resume(mut self, side: Side) -> Result<(), RecoverError> {
        match side {
            Side::Index => {
                let positions: Vec<Position> = self.index.positions.values().cloned().collect();
                self.ledger.adopt(&self.store.store_id(), self.index.batch, &positions)?;
            }
            Side::Ledger => {
                let store_id = self.journal.store_id.clone().unwrap_or_else(|| self.store.store_id());
                let positions: Vec<Position> = self.journal.positions.values().cloned().collect();
                let text = serde_json::to_string(&positions).expect("positions serialise");
                let mut writer = self.store.writer()?;
                writer.commit(
                    &Payload { store_id: store_id.clone(), batch: self.journal.batch, positions: text },
                    now(),
                )?;
                self.ledger.adopt(&store_id, self.journal.batch, &positions)?;
            }
        }
        Ok(())
    }
}
