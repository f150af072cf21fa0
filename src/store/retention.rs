//! Letting go of old events: whole partitions, the oldest first, never the one that is open for writing. Not for deleting
//! single events.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use crmwatch_detectors::Millis;

use super::partition::{Partition, sync};
use super::{Store, StoreError};

const DAY: Millis = 86_400_000;

/// What may be kept.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Days; a partition goes when its newest event is older.
    pub days: u32,
    /// Bytes of all partitions together.
    pub max_bytes: u64,
    /// Bytes that must be free on the file system.
    pub min_free_bytes: u64,
    /// Bytes that are free now.
    pub free_bytes: u64,
}

/// Why a partition was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its newest event was too old: as configured.
    Age,
    /// The store was too big: worth a warning.
    Size,
    /// The file system was too full: worth a warning.
    Space,
}

/// A partition that is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Its directory.
    pub path: PathBuf,
    /// Why.
    pub cause: Cause,
    /// How many events went with it.
    pub events: u64,
    /// How many bytes became free.
    pub bytes: u64,
    /// The time of its newest event.
    pub newest: Option<Millis>,
}

impl Store {
    /// Drops what need not or cannot be kept, and says what it dropped.
    pub fn retain(&self, now: Millis, keep: Keep) -> Result<Vec<Dropped>, StoreError> {
        let partitions = self.shared.partitions();
        let Some((_, closed)) = partitions.split_last() else { return Ok(Vec::new()) };
        let oldest_kept = now.saturating_sub(Millis::from(keep.days) * DAY);
        let mut total: u64 = partitions.iter().map(|one| one.bytes()).sum();
        let mut free = keep.free_bytes;
        let mut dropped = Vec::new();
        for partition in closed {
            let newest = partition.times().map(|(_, newest)| newest);
            let cause = if newest.is_none_or(|newest| newest < oldest_kept) {
                Cause::Age
            } else if total > keep.max_bytes {
                Cause::Size
            } else if free < keep.min_free_bytes {
                Cause::Space
            } else {
                continue;
            };
            let (events, bytes) = (partition.events(), partition.bytes());
            // First out of the list, so that no search opens it; then under a name that is swept at the next start.
            self.shared
                .partitions
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|one| one.name != partition.name);
            partition.close();
            let gone = partition.swept();
            if let Err(error) = fs::rename(&partition.path, &gone) {
                self.put_back(partition);
                return Err(StoreError::io("remove", &partition.path)(error));
            }
            sync(&self.shared.events)?;
            fs::remove_dir_all(&gone).map_err(StoreError::io("remove", &gone))?;
            total = total.saturating_sub(bytes);
            free = free.saturating_add(bytes);
            dropped.push(Dropped { path: partition.path.clone(), cause, events, bytes, newest });
        }
        Ok(dropped)
    }

    /// A partition that could not be removed is searched on, and tried again.
    fn put_back(&self, partition: &Arc<Partition>) {
        let mut partitions = self.shared.partitions.write().unwrap_or_else(PoisonError::into_inner);
        let at = partitions.partition_point(|one| one.name < partition.name);
        partitions.insert(at, Arc::clone(partition));
    }
}
