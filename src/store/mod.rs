//! The index of events: schema, partitions, writer, reader, retention. Not for the query language.
//!
//! Exactly one partition is open for writing, the newest; its newest commit carries the payload (how far the logs have been
//! read) in the same atomic rename as the events. One thread writes, any thread searches.

mod beside;
mod compile;
mod complement;
mod disk;
mod document;
mod error;
mod layout;
mod look;
mod partition;
mod replay;
mod retention;
mod search;
mod terms;
pub mod verify;
mod writer;

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use crmwatch_detectors::Millis;

pub use beside::read as read_beside;
pub use error::StoreError;
use partition::{Name, Partition, Record};
pub use retention::{Cause, Dropped, Keep};
pub use search::{Hits, MOST, Search};
pub use writer::Writer;

/// How far the logs have been read, as a commit carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The id that index and ledger share.
    pub store_id: String,
    /// The number of the last batch that is in.
    pub batch: u64,
    /// What the sources need to go on from there; opaque here.
    pub positions: String,
}

/// How the store works.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Indexing threads.
    pub threads: usize,
    /// Bytes each of them gathers before it writes a segment; less than 64 MB makes many small ones.
    pub memory_per_thread: usize,
    /// A partition with so many events is full.
    pub partition_events: u64,
    /// The id of a store that does not exist yet; nothing makes one up.
    pub store_id: Option<String>,
    /// The time by which a new store's first partition is named; nothing takes the clock's.
    pub now: Option<Millis>,
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions {
            threads: 2,
            memory_per_thread: 64 << 20,
            partition_events: 20_000_000,
            store_id: None,
            now: None,
        }
    }
}

/// What the store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// Committed events.
    pub events: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Partitions.
    pub partitions: usize,
    /// The time of the oldest event.
    pub oldest: Option<Millis>,
}

/// What the store and its writer share.
struct Shared {
    events: PathBuf,
    options: StoreOptions,
    /// Oldest first; never empty.
    partitions: RwLock<Vec<Arc<Partition>>>,
    /// Found damaged since the start.
    bad: Mutex<look::Bad>,
}

impl Shared {
    fn partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn newest(&self) -> Arc<Partition> {
        let partitions = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(partitions.last().expect("a store has a partition from the moment it is opened"))
    }

    /// Takes in partitions that are on disk and were not known: one whose making failed after it had its name.
    fn look_again(&self) -> Result<(), StoreError> {
        let newest = self.newest().name;
        for (path, name) in partition::list(&self.events)? {
            if name > newest {
                self.push(Partition::find(path, name)?);
            }
        }
        Ok(())
    }

    /// Checks that the newest partition goes on from the one before it: its record says how far the logs were read.
    fn in_order(&self) -> Result<(), StoreError> {
        let partitions = self.partitions();
        let [.., before, newest] = &partitions[..] else { return Ok(()) };
        let (had, has) = (before.record().batch.unwrap_or(0), newest.record().batch.unwrap_or(0));
        if has >= had {
            return Ok(());
        }
        let reason = format!(
            "it says batch {has}, and {} before it says batch {had}: one of them is from another time",
            before.path.display()
        );
        Err(StoreError::Damaged { path: newest.path.clone(), reason })
    }

    fn push(&self, partition: Partition) -> Arc<Partition> {
        let partition = Arc::new(partition);
        self.partitions.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&partition));
        partition
    }
}

/// The events, on disk. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    unreadable: Arc<[String]>,
}

impl Store {
    /// Opens the store in a directory, or makes one there. The newest partition must be readable, since its payload says where
    /// reading goes on; an older one that is not is left out and named by [`Store::unreadable`].
    pub fn open(directory: &Path, options: StoreOptions) -> Result<Store, StoreError> {
        let events = directory.join("events");
        fs::create_dir_all(&events).map_err(StoreError::io("create", &events))?;
        let mut partitions = Vec::new();
        let mut unreadable = Vec::new();
        let mut names = partition::list(&events)?;
        let newest = names.pop();
        for (path, name) in names {
            match Partition::find_closed(path, name) {
                Ok(partition) => partitions.push(Arc::new(partition)),
                Err(error) => {
                    tracing::error!(%error, "a partition cannot be read and is left out of searches");
                    unreadable.push(error.to_string());
                }
            }
        }
        let newest = match newest {
            Some((path, name)) => Partition::find(path, name)?,
            None => {
                let now = options.now.unwrap_or_else(clock);
                let record = Record::empty(options.store_id.clone().unwrap_or_else(new_id), now);
                Partition::create(&events, Name { day: partition::day(now), number: 0 }, record)?
            }
        };
        partitions.push(Arc::new(newest));
        let shared = Arc::new(Shared { events, options, partitions: RwLock::new(partitions), bad: Mutex::default() });
        Ok(Store { shared, unreadable: unreadable.into() })
    }

    /// What the last commit carried; nothing before the first.
    pub fn payload(&self) -> Option<Payload> {
        self.shared.newest().record().payload()
    }

    /// The error for a payload whose positions are not what this program writes.
    pub(crate) fn damaged(&self, reason: String) -> StoreError {
        StoreError::Damaged { path: self.shared.newest().path.clone(), reason }
    }

    /// The id that the ledger must carry, too.
    pub fn store_id(&self) -> String {
        self.shared.newest().record().store_id
    }

    /// The writer; there can be one at a time.
    pub fn writer(&self) -> Result<Writer, StoreError> {
        Writer::open(Arc::clone(&self.shared))
    }

    /// What the store holds.
    pub fn statistics(&self) -> Statistics {
        let partitions = self.shared.partitions();
        Statistics {
            events: partitions.iter().map(|one| one.events()).sum(),
            bytes: partitions.iter().map(|one| one.bytes()).sum(),
            partitions: partitions.len(),
            oldest: partitions.iter().filter_map(|one| one.times()).map(|(least, _)| least).min(),
        }
    }

    /// The time of the newest committed event.
    pub fn newest_time(&self) -> Option<Millis> {
        self.shared.partitions().iter().filter_map(|one| one.times()).map(|(_, greatest)| greatest).max()
    }

    /// Partitions that could not be read when the store was opened, each with the reason.
    pub fn unreadable(&self) -> &[String] {
        &self.unreadable
    }
}

fn clock() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// 128 random bits: the standard library seeds each of its hashers from the system.
fn new_id() -> String {
    let half = || RandomState::new().hash_one(SystemTime::now());
    format!("{:016x}{:016x}", half(), half())
}
