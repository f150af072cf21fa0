//! The positions as a commit of the index carries them: all of them while they are few; of many, those that changed since a list of all that
//! stands in a file beside the index. A line in one of ten thousand files then costs a commit of one position. Not for what a position is.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Recorded;
use super::bridge::Positions;
use crate::source::Position;
use crate::store::{Payload, StoreError, Writer};

/// So many positions stand in the commit itself.
const FEW: usize = 500;
/// A new list of all is written once so large a part of them has changed.
const PART: usize = 4;

/// The written form of many.
#[derive(Serialize, Deserialize)]
struct Since<'p> {
    /// The file with all of them, as of an earlier batch.
    base: String,
    /// Those that changed after it.
    changed: Vec<std::borrow::Cow<'p, Position>>,
    /// Those that were forgotten after it.
    forgotten: BTreeSet<u64>,
}

/// All positions as of the last batch that was taken.
pub(super) struct Carried {
    positions: Positions,
    base: Option<String>,
    changed: BTreeSet<u64>,
    forgotten: BTreeSet<u64>,
}

impl Carried {
    /// Goes on from there. The first commit of many writes a list.
    pub(super) fn new(positions: Positions) -> Carried {
        Carried { positions, base: None, changed: BTreeSet::new(), forgotten: BTreeSet::new() }
    }

    /// Takes what changed with a batch.
    pub(super) fn take(&mut self, batch: &mut Recorded) {
        for generation in batch.forgotten.drain(..) {
            self.positions.remove(&generation);
            self.changed.remove(&generation);
            self.forgotten.insert(generation);
        }
        for position in batch.positions.drain(..) {
            self.changed.insert(position.generation);
            self.positions.insert(position.generation, position);
        }
    }

    /// Commits all that was added to the index, with the positions as of this batch.
    pub(super) fn commit(
        &mut self,
        writer: &mut Writer,
        store_id: &str,
        batch: u64,
        now: crmwatch_detectors::Millis,
    ) -> Result<(), StoreError> {
        let mut base = None;
        let positions = if self.positions.len() <= FEW {
            list(&self.positions)
        } else {
            let stale = (self.changed.len() + self.forgotten.len()) * PART > self.positions.len();
            let name = match &self.base {
                Some(name) if !stale => name.clone(),
                _ => {
                    let name = format!("positions-{batch}.json");
                    writer.put_beside(&name, &list(&self.positions))?;
                    self.changed.clear();
                    self.forgotten.clear();
                    name
                }
            };
            base = Some(name.clone());
            let changed = self.changed.iter().filter_map(|generation| self.positions.get(generation));
            let since = Since {
                base: name,
                changed: changed.map(std::borrow::Cow::Borrowed).collect(),
                forgotten: self.forgotten.clone(),
            };
            serde_json::to_string(&since).expect("positions serialise")
        };
        writer.commit(&Payload { store_id: store_id.to_owned(), batch, positions }, now)?;
        if base != self.base {
            writer.tidy_beside(base.as_deref());
            self.base = base;
        }
        Ok(())
    }
}

fn list(positions: &Positions) -> String {
    serde_json::to_string(&positions.values().collect::<Vec<_>>()).expect("positions serialise")
}

/// Reads the positions of a commit; `beside` reads a file beside the index.
pub(super) fn read(text: &str, beside: impl FnOnce(&str) -> std::io::Result<String>) -> Result<Positions, String> {
    let parsed = |text: &str| serde_json::from_str::<Vec<Position>>(text).map_err(|error| error.to_string());
    let by_generation = |positions: Vec<Position>| -> Positions {
        positions.into_iter().map(|position| (position.generation, position)).collect::<BTreeMap<_, _>>()
    };
    if !text.starts_with('{') {
        return parsed(text).map(by_generation);
    }
    let since: Since<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let base = beside(&since.base).map_err(|error| format!("{}: {error}", since.base))?;
    let mut positions = by_generation(parsed(&base).map_err(|error| format!("{}: {error}", since.base))?);
    positions.retain(|generation, _| !since.forgotten.contains(generation));
    positions.extend(by_generation(since.changed.into_iter().map(std::borrow::Cow::into_owned).collect()));
    Ok(positions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, StoreOptions};

    fn position(generation: u64, offset: u64) -> Position {
        Position { source: "app".to_owned(), generation, offset, ..Position::default() }
    }

    fn recorded(number: u64, positions: Vec<Position>, forgotten: Vec<u64>) -> Recorded {
        Recorded { number, events: Vec::new(), positions, forgotten }
    }

    fn read_back(store: &Store) -> Positions {
        let payload = store.payload().expect("committed");
        read(&payload.positions, |name| store.beside(name)).expect("readable")
    }

    #[test]
    fn few_or_many_what_is_read_back_is_what_was_there_at_each_commit_and_after_a_roll() {
        for many in [3, 2_000] {
            let folder = tempfile::tempdir().expect("a folder");
            let options =
                StoreOptions { threads: 1, memory_per_thread: 15_000_000, now: Some(0), ..StoreOptions::default() };
            let store = Store::open(folder.path(), options.clone()).expect("opens");
            let mut writer = store.writer().expect("a writer");
            let mut wanted: Positions = (1..=many).map(|number| (number, position(number, 1))).collect();
            let mut carried = Carried::new(wanted.clone());
            let mut longest = 0;
            for batch in 1..=40u64 {
                let one = batch * 7 % many + 1;
                let gone = (batch % 5 == 0).then_some(batch * 13 % many + 1).filter(|gone| *gone != one);
                wanted.insert(one, position(one, 100 + batch));
                gone.map(|gone| wanted.remove(&gone));
                carried.take(&mut recorded(batch, vec![position(one, 100 + batch)], gone.into_iter().collect()));
                writer.add(&crmwatch_detectors::Event::new("line")).expect("adds");
                // A new day each ten batches.
                carried
                    .commit(&mut writer, &store.store_id(), batch, (batch / 10) as i64 * 86_400_000)
                    .expect("commits");
                assert_eq!(read_back(&store), wanted, "{many} positions, batch {batch}");
                let length = store.payload().expect("committed").positions.len();
                longest = longest.max(length);
                if batch % 9 == 0 {
                    assert_eq!(read_back(&Store::open(folder.path(), options.clone()).expect("opens")), wanted);
                }
            }
            assert!(longest < 30_000, "{many} positions: a commit carries {longest} bytes");
        }
    }

    #[test]
    fn where_most_change_the_list_is_written_anew_and_the_old_one_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let options =
            StoreOptions { threads: 1, memory_per_thread: 15_000_000, now: Some(0), ..StoreOptions::default() };
        let store = Store::open(folder.path(), options).expect("opens");
        let mut writer = store.writer().expect("a writer");
        let mut carried = Carried::new(Positions::new());
        for batch in 1..=4u64 {
            let all: Vec<Position> = (1..=1_000).map(|number| position(number, batch)).collect();
            carried.take(&mut recorded(batch, all, Vec::new()));
            carried.commit(&mut writer, &store.store_id(), batch, 0).expect("commits");
            assert!(read_back(&store).values().all(|position| position.offset == batch));
        }
        let lists = std::fs::read_dir(folder.path().join("events/1970-01-01-000")).expect("listed").flatten();
        let lists: Vec<_> = lists.filter(|file| file.file_name().to_string_lossy().starts_with("positions-")).collect();
        assert_eq!(lists.len(), 1, "{lists:?}");
    }
}
