//! How far the file that a spool is writing may be read: as far as it is synced. Not for any other file.
//!
//! What is in a file but not on the disk may be gone after a power cut, and a position beyond the end of its file would make the file look
//! truncated. So the tailer reads a spool file that is still written to no further than its last sync. Spool and tailer live in one process
//! but know each other only by the file; this table, by device and inode, is where they meet. It has one row for each spool.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

type Table = BTreeMap<(u64, u64), Arc<AtomicU64>>;

static TABLE: Mutex<Table> = Mutex::new(BTreeMap::new());

/// How far a file may be read, if it is bounded. An input keeps it: what was synced when the spool let go of the file stays right.
pub(super) fn of(device: u64, inode: u64) -> Option<Arc<AtomicU64>> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner).get(&(device, inode)).cloned()
}

/// Bounds one file for as long as it lives.
#[derive(Debug)]
pub(super) struct Bound {
    identity: (u64, u64),
    synced: Arc<AtomicU64>,
}

impl Bound {
    /// Of a file that nobody can have opened to read yet.
    pub(super) fn new(device: u64, inode: u64) -> Bound {
        let synced = Arc::new(AtomicU64::new(0));
        let identity = (device, inode);
        TABLE.lock().unwrap_or_else(PoisonError::into_inner).insert(identity, Arc::clone(&synced));
        Bound { identity, synced }
    }

    pub(super) fn set(&self, synced: u64) {
        self.synced.store(synced, Ordering::Release);
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        TABLE.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.identity);
    }
}
