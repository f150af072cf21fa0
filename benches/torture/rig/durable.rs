//! What the daemon has made durable, seen from outside: only what neither its index nor its detectors can need again may be taken away
//! by a writer that wants to lose nothing. Not for what it should be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crmwatch::ledger::Segment;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

/// A file's content as the daemon knows it: its head and its size, decompressed.
#[derive(Debug, Clone)]
pub struct Content {
    /// The first bytes.
    pub head: Vec<u8>,
    /// The size.
    pub size: u64,
}

impl Content {
    /// That of a plain file.
    pub fn of(path: &Path) -> std::io::Result<Content> {
        use std::io::Read;
        let file = fs::File::open(path)?;
        let size = file.metadata()?.len();
        let mut head = Vec::new();
        file.take(1024).read_to_end(&mut head)?;
        Ok(Content { head, size })
    }
}

/// The state directory of a daemon that may be killed at any moment.
#[derive(Debug, Clone)]
pub struct Durable {
    /// The directory.
    pub state: PathBuf,
}

impl Durable {
    /// Whether all of a content has been read, and no batch that may have to be read again names it.
    pub fn has(&self, content: &Content) -> bool {
        self.look(content).unwrap_or(false)
    }

    fn look(&self, content: &Content) -> rusqlite::Result<bool> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let ledger = Connection::open_with_flags(self.state.join(crmwatch::ledger::FILE), flags)?;
        ledger.busy_timeout(Duration::from_secs(2))?;
        // One transaction, so that both questions are about one moment.
        let ledger = ledger.unchecked_transaction()?;
        let mut heads: BTreeMap<usize, String> = BTreeMap::new();
        let mut generations = BTreeSet::new();
        let mut files = ledger.prepare("SELECT position FROM files")?;
        let rows = files.query_map([], |row| row.get::<_, String>(0))?;
        for text in rows {
            let Ok(position) = serde_json::from_str::<serde_json::Value>(&text?) else { continue };
            let whole = |name: &str| position[name].as_u64();
            let length = whole("prefix_length").and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
            let Some(head) = content.head.get(..length).filter(|_| whole("offset") == Some(content.size)) else {
                continue;
            };
            if let Some(generation) = whole("generation")
                && position["prefix"].as_str() == Some(heads.entry(length).or_insert_with(|| hash(head)))
            {
                generations.insert(generation);
            }
        }
        let mut batches = ledger.prepare("SELECT segments FROM batches")?;
        let rows = batches.query_map([], |row| row.get::<_, String>(0))?;
        for text in rows {
            let Ok(segments) = serde_json::from_str::<Vec<Segment>>(&text?) else { return Ok(false) };
            if segments.iter().any(|segment| generations.contains(&segment.generation)) {
                return Ok(false);
            }
        }
        Ok(!generations.is_empty())
    }

    /// The number of the last batch in the journal; 0 where there is none, or none that can be asked.
    pub fn last_batch(&self) -> u64 {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let ledger = Connection::open_with_flags(self.state.join(crmwatch::ledger::FILE), flags);
        let last = ledger.and_then(|ledger| {
            ledger.busy_timeout(Duration::from_secs(2))?;
            ledger.query_row("SELECT max(number) FROM batches", [], |row| row.get::<_, Option<u64>>(0))
        });
        last.ok().flatten().unwrap_or(0)
    }

    /// Events the index has committed: the sum over the segments that the newest commits name.
    pub fn committed(&self) -> u64 {
        let Ok(partitions) = fs::read_dir(self.state.join("events")) else { return 0 };
        let partitions = partitions.flatten().filter(|one| !one.file_name().to_string_lossy().starts_with('.'));
        partitions.filter_map(|partition| documents(&partition.path().join("meta.json"))).sum()
    }

    /// Whether a new partition is being made at this moment.
    pub fn rolling(&self) -> bool {
        let Ok(partitions) = fs::read_dir(self.state.join("events")) else { return false };
        partitions.flatten().any(|one| one.file_name().to_string_lossy().starts_with('.'))
    }
}

fn documents(meta: &Path) -> Option<u64> {
    let meta: serde_json::Value = serde_json::from_slice(&fs::read(meta).ok()?).ok()?;
    Some(meta["segments"].as_array()?.iter().filter_map(|segment| segment["max_doc"].as_u64()).sum())
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
