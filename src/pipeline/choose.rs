//! For `crmwatch recover`: what index and ledger each have, and going on from the one that is chosen. Not for what the daemon does by
//! itself at every start (`recover`).
//!
//! Of two sides of one store one is ahead. Chosen the one behind, the next start reads what lies between from the logs for that side alone,
//! by rows added to the journal: nothing is missing and nothing doubled. Chosen the one ahead, the other is taken there and lacks it for good.

use std::path::Path;

use crmwatch_detectors::Millis;

use super::bridge::{Positions, batches, before, between, renumbered};
use super::carried;
use super::recover::RecoverError;
use super::{RunError, followed, lock, now};
use crate::config::Config;
use crate::ledger::{Adopted, Batch, Ledger};
use crate::source::{Followed, Position, locate};
use crate::store::{Payload, Store, StoreOptions};

/// Which of the two is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The index: its commit names the positions it was made at.
    Index,
    /// The ledger: its journal and positions, and what detectors remember.
    Ledger,
}

/// How the two stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// The next start brings them together by itself.
    Fit,
    /// Of one store; this side is behind, further than the journal reaches.
    Behind(Side),
    /// This side is new: what was there is not there any more.
    Missing(Side),
    /// Of two stores that have nothing to do with each other.
    Strangers,
}

/// What one side has.
#[derive(Debug, Clone, PartialEq)]
pub struct Holdings {
    /// The store it says it belongs to.
    pub store_id: Option<String>,
    /// The last batch it has.
    pub batch: u64,
    /// How far each file was read by then.
    pub positions: Positions,
}

/// What both have.
pub struct Choice {
    _lock: std::fs::File,
    store: Store,
    ledger: Ledger,
    followed: Vec<Followed>,
    /// The index.
    pub index: Holdings,
    /// The ledger's journal.
    pub journal: Holdings,
    /// What detectors and findings are up to date with: the journal's last batch, or one before it.
    pub memory: Holdings,
    /// The journal's rows after that.
    rows: Vec<Batch>,
    /// The journal reaches from the one that is behind to its end.
    whole: bool,
    /// Events in the index.
    pub events: u64,
    /// The newest of them.
    pub newest: Option<Millis>,
}

/// What lies between the two sides in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The file, where it was last seen.
    pub path: String,
    /// Bytes that one side has read and the other has not.
    pub bytes: u64,
    /// Whether the file is still there, so that they can be read again.
    pub there: bool,
}

impl Choice {
    /// Looks at a stopped daemon's state directory.
    pub fn open(config: &Config) -> Result<Choice, RunError> {
        let state_dir: &Path = &config.state_dir;
        let held = lock(state_dir)?;
        let followed = followed(config)?;
        let store = Store::open(state_dir, StoreOptions::default())?;
        let ledger = Ledger::open(state_dir)?;
        let payload = store.payload();
        let positions = payload
            .as_ref()
            .map(|payload| carried::read(&payload.positions, |name| store.beside(name)))
            .transpose()
            .map_err(|error| RunError::Session(format!(
                    "the index's copy of the positions cannot be read ({error}): restore its newest partition, or start the daemon once, which writes it anew if it can go on"
                )))?
            .unwrap_or_default();
        let index =
            Holdings { store_id: Some(store.store_id()), batch: payload.map_or(0, |payload| payload.batch), positions };
        let journal = Holdings {
            store_id: ledger.meta("store_id")?,
            batch: ledger.last_batch()?,
            positions: ledger.positions()?,
        };
        let saved = ledger.state_batch()?;
        let behind = index.batch.min(saved);
        let first = ledger.batches_after(behind)?.first().map_or(journal.batch + 1, |batch| batch.number);
        let whole = index.batch.max(saved) <= journal.batch && first <= behind + 1;
        let state = saved.min(journal.batch);
        let mut rows = ledger.batches_after(state)?;
        // The rows of a damaged journal may begin later: what comes before them is not known any more, and they are left out.
        if rows.first().is_some_and(|first| first.number != state + 1) {
            rows.clear();
        }
        let batch = journal.batch - rows.len() as u64;
        let memory = Holdings { batch, positions: before(&rows, &journal.positions), ..journal.clone() };
        let statistics = store.statistics();
        let newest = store.newest_time();
        let events = statistics.events;
        Ok(Choice { _lock: held, store, ledger, followed, index, journal, memory, rows, whole, events, newest })
    }

    /// How the two stand to each other.
    pub fn relation(&self) -> Relation {
        let new = |side: &Holdings| side.batch == 0 && side.positions.is_empty();
        match (new(&self.index), new(&self.journal)) {
            (true, true) => return Relation::Fit,
            (true, false) => return Relation::Missing(Side::Index),
            (false, true) => return Relation::Missing(Side::Ledger),
            (false, false) => {}
        }
        if self.index.store_id != self.journal.store_id {
            Relation::Strangers
        } else if self.whole {
            Relation::Fit
        } else if self.index.batch < self.memory.batch {
            Relation::Behind(Side::Index)
        } else {
            Relation::Behind(Side::Ledger)
        }
    }

    /// What lies between what the index has and what the ledger's side has, whichever is ahead, file by file.
    pub fn gaps(&self) -> Vec<Gap> {
        let ends = match self.relation() {
            Relation::Fit => return Vec::new(),
            Relation::Behind(Side::Index) | Relation::Missing(Side::Index) => {
                vec![(self.index.positions.clone(), &self.memory.positions)]
            }
            Relation::Behind(Side::Ledger) | Relation::Missing(Side::Ledger) => {
                vec![(self.memory.positions.clone(), &self.index.positions)]
            }
            Relation::Strangers => vec![
                (same_files(&self.memory.positions, &self.index.positions), &self.index.positions),
                (same_files(&self.index.positions, &self.memory.positions), &self.memory.positions),
            ],
        };
        let mut gaps = Vec::new();
        for (behind, ahead) in ends {
            for stretch in between(&behind, ahead) {
                let Some(position) = ahead.get(&stretch.generation) else { continue };
                let there = locate(position).ok().flatten().is_some();
                gaps.push(Gap { path: position.path.clone(), bytes: stretch.to - stretch.from, there });
            }
        }
        gaps
    }

    /// Makes both agree on the chosen side's state; the next start goes on from there.
    pub fn resume(mut self, side: Side) -> Result<(), RecoverError> {
        let relation = self.relation();
        let store_id = self.store.store_id();
        match (relation, side) {
            (Relation::Fit, _) => Ok(()),
            (Relation::Behind(Side::Index) | Relation::Missing(Side::Index), Side::Index) => {
                // Rows that the detectors have and the index has not, then those that neither has.
                let stretches = between(&self.index.positions, &self.memory.positions);
                let mut rows = batches(&stretches, &self.memory.positions, &self.followed, self.index.batch + 1);
                let state = self.index.batch + rows.len() as u64;
                rows.extend(renumbered(&self.rows, state + 1));
                self.take(&store_id, state, rows, self.journal.positions.clone())
            }
            (Relation::Behind(Side::Ledger) | Relation::Missing(Side::Ledger), Side::Ledger) => {
                // Rows that the index has and the detectors have not. They end where the index is, or later: then it is told so first.
                let stretches = between(&self.journal.positions, &self.index.positions);
                let mut rows = self.rows.clone();
                rows.extend(batches(&stretches, &self.index.positions, &self.followed, 0));
                let state = self.index.batch.saturating_sub(rows.len() as u64).max(self.memory.batch);
                let last = state + rows.len() as u64;
                if last > self.index.batch {
                    self.commit(&store_id, last, &self.index.positions)?;
                }
                let rows = renumbered(&rows, state + 1).collect();
                self.take(&store_id, state, rows, self.index.positions.clone())
            }
            (Relation::Behind(Side::Index) | Relation::Missing(Side::Index), Side::Ledger) => {
                // The index goes to where the detectors are, and takes the rows after that with them.
                self.commit(&store_id, self.memory.batch, &self.memory.positions)?;
                Ok(self.ledger.set_meta("store_id", &store_id)?)
            }
            (_, Side::Index) => {
                let batch = self.index.batch;
                self.take(&store_id, batch, Vec::new(), self.index.positions.clone())
            }
            (_, Side::Ledger) => {
                // The order of the index's partitions is that of their batches: none may be behind the one before it.
                let state = self.index.batch.max(self.memory.batch);
                self.commit(&store_id, state, &self.memory.positions)?;
                let rows = renumbered(&self.rows, state + 1).collect();
                self.take(&store_id, state, rows, self.journal.positions.clone())
            }
        }
    }

    /// Sets the ledger to rows after a batch that detectors have.
    fn take(
        &mut self,
        store_id: &str,
        state: u64,
        batches: Vec<Batch>,
        positions: Positions,
    ) -> Result<(), RecoverError> {
        let positions: Vec<Position> = positions.into_values().collect();
        let last = state + batches.iter().filter(|batch| batch.number > state).count() as u64;
        self.ledger.adopt(&Adopted { store_id, last, state, batches: &batches, positions: &positions })?;
        Ok(())
    }

    fn commit(&self, store_id: &str, batch: u64, positions: &Positions) -> Result<(), RecoverError> {
        let positions = serde_json::to_string(&positions.values().collect::<Vec<_>>()).expect("positions serialise");
        let payload = Payload { store_id: store_id.to_owned(), batch, positions };
        Ok(self.store.writer()?.commit(&payload, now())?)
    }
}

/// The positions of one store under the generations of another, for files that are the same by what they are known by.
fn same_files(of: &Positions, under: &Positions) -> Positions {
    let mut found = Positions::new();
    for (generation, wanted) in under {
        let same = |one: &&Position| one.source == wanted.source && one.first_line == wanted.first_line;
        if let Some(position) = of.values().filter(same).max_by_key(|one| one.offset) {
            found.insert(*generation, position.clone());
        }
    }
    found
}
