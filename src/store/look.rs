//! Looks at closed partitions one after the other while the daemon runs, so that damage is told before somebody searches in vain. Opens
//! them, which finds files that are gone or cut off; not for checksums (`verify`).

use std::sync::{MutexGuard, PoisonError};

use super::partition::Name;
use super::{Store, StoreError};

/// Partitions found damaged since the start.
pub(super) type Bad = std::collections::BTreeSet<Name>;

impl Store {
    /// Looks at one closed partition, the next one each turn; says what is wrong with it when that is first found.
    pub fn look(&self, turn: usize) -> Option<StoreError> {
        let partitions = self.shared.partitions();
        let (_, closed) = partitions.split_last()?;
        let partition = closed.get(turn.checked_rem(closed.len())?)?;
        let was_open = partition.is_open();
        let looked = partition.open();
        if !was_open {
            partition.close();
        }
        match looked {
            Ok(_) => {
                self.bad().remove(&partition.name);
                None
            }
            // Retention has taken it meanwhile; or the fault is not the partition's and passes.
            Err(error) if !error.needs_a_person() || !partition.path.exists() => None,
            Err(error) => self.bad().insert(partition.name).then_some(error),
        }
    }

    /// How many partitions are known to be unreadable: since the start, and found since.
    pub fn unreadable_partitions(&self) -> usize {
        let partitions = self.shared.partitions();
        let mut bad = self.bad();
        bad.retain(|name| partitions.iter().any(|one| one.name == *name));
        self.unreadable().len() + bad.len()
    }

    fn bad(&self) -> MutexGuard<'_, Bad> {
        self.shared.bad.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
