//! One partition: a directory with a tantivy index whose newest commit carries a record of how far the logs have been read and
//! what times it holds. Made whole before it gets its name, so that a name in `events/` always stands for a usable index.

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, NaiveDate};
use crmwatch_detectors::Millis;
use serde::{Deserialize, Serialize};
use tantivy::error::DataCorruption;
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, TantivyError};

use super::beside::take_along;
use super::disk::Disk;
use super::layout::{Layout, equip, schema, settings};
use super::{Payload, StoreError};

/// The form of [`Record`] this program writes; it reads all up to it.
const FORM: u32 = 1;
/// Partitions half made or half removed; swept when the store is opened.
pub(super) const UNFINISHED: &str = ".new-";
/// What is to be known of a partition that is no longer written to, in a small file beside the index: reading it costs nothing, while the
/// commit it was taken from carries the positions of all logs, too.
pub(super) const SIDE_FILE: &str = "partition.json";
/// What tantivy asks for at least; a new partition's first commit holds no event.
const SMALLEST_BUDGET: usize = 15_000_000;

/// What stands in a commit beside the segments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    form: u32,
    pub(super) store_id: String,
    /// Nothing until the first commit of the store.
    pub(super) batch: Option<u64>,
    pub(super) positions: String,
    /// When the partition was begun, by the clock, which may not be the day of its name: a clock can be set back.
    #[serde(default)]
    pub(super) begun: Option<Millis>,
    /// The least and greatest event time in this partition.
    pub(super) times: Option<(Millis, Millis)>,
    /// Events in this partition.
    pub(super) events: u64,
}

impl Record {
    /// The record of a store that holds nothing.
    pub(super) fn empty(store_id: String, now: Millis) -> Record {
        let begun = Some(now);
        Record { form: FORM, store_id, batch: None, positions: String::new(), begun, times: None, events: 0 }
    }

    /// The first record of the partition after this one.
    pub(super) fn continued(&self, now: Millis) -> Record {
        Record { begun: Some(now), times: None, events: 0, ..self.clone() }
    }

    fn without_positions(self) -> Record {
        Record { positions: String::new(), ..self }
    }

    pub(super) fn payload(&self) -> Option<Payload> {
        let batch = self.batch?;
        Some(Payload { store_id: self.store_id.clone(), batch, positions: self.positions.clone() })
    }

    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a record of strings and numbers is always JSON")
    }

    fn read(text: Option<&str>, path: &Path) -> Result<Record, StoreError> {
        #[derive(Deserialize)]
        struct Form {
            form: u32,
        }
        let damaged = |reason: String| StoreError::Damaged { path: path.to_owned(), reason };
        let text = text.ok_or_else(|| damaged("there is none".to_owned()))?;
        let Form { form } = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        if form > FORM {
            return Err(StoreError::Newer { path: path.to_owned(), found: form, known: FORM });
        }
        serde_json::from_str(text).map_err(|error| damaged(error.to_string()))
    }
}

/// The record of a finished partition beside its index. Only a copy: where it is missing, torn or of another state of the index, the
/// commit itself is read and the copy is made again.
#[derive(Serialize, Deserialize)]
struct Side {
    /// The length of the `meta.json` it was taken from: merges that end late write another, and so does a restore.
    meta_bytes: u64,
    record: Record,
}

impl Side {
    fn meta_bytes(path: &Path) -> Option<u64> {
        fs::metadata(path.join("meta.json")).ok().map(|data| data.len())
    }

    fn read(path: &Path) -> Option<Record> {
        let text = fs::read_to_string(path.join(SIDE_FILE)).ok()?;
        let side: Side = serde_json::from_str(&text).ok()?;
        (side.record.form == FORM && Some(side.meta_bytes) == Side::meta_bytes(path)).then_some(side.record)
    }

    /// Not synced, and no fault if it fails: the next start reads the commit instead.
    fn write(path: &Path, record: &Record) {
        let Some(meta_bytes) = Side::meta_bytes(path) else { return };
        let side = Side { meta_bytes, record: record.clone() };
        let text = serde_json::to_string(&side).expect("a record of strings and numbers is always JSON");
        let unfinished = path.join(format!(".{SIDE_FILE}"));
        let written = fs::write(&unfinished, text).and_then(|()| fs::rename(&unfinished, path.join(SIDE_FILE)));
        if let Err(error) = written {
            tracing::debug!(path = %path.display(), %error, "the next start reads this partition's commit");
        }
    }

    fn remove(path: &Path) -> Result<(), StoreError> {
        let file = path.join(SIDE_FILE);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("remove", &file)(error)),
            _ => Ok(()),
        }
    }
}

/// An index opened for searching.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) index: Index,
    pub(super) reader: IndexReader,
    pub(super) layout: Arc<Layout>,
}

/// A directory name: the UTC day it was made, and which one of that day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) day: NaiveDate,
    pub(super) number: u32,
}

impl Name {
    pub(super) fn parse(text: &str) -> Option<Name> {
        let (day, number) = text.rsplit_once('-')?;
        Some(Name { day: day.parse().ok()?, number: number.parse().ok()? })
    }

    fn directory(self) -> String {
        format!("{}-{:03}", self.day, self.number)
    }

    /// Where its partition is.
    pub(super) fn path(self, events: &Path) -> PathBuf {
        events.join(self.directory())
    }
}

/// The UTC day of a time.
pub(super) fn day(now: Millis) -> NaiveDate {
    DateTime::from_timestamp_millis(now).unwrap_or_default().date_naive()
}

/// One partition.
pub(super) struct Partition {
    pub(super) path: PathBuf,
    pub(super) name: Name,
    record: Mutex<Record>,
    opened: Mutex<Option<Opened>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these; and what they hold is replaced whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Partition {
    /// Makes a partition that starts with that record.
    pub(super) fn create(events: &Path, name: Name, record: Record) -> Result<Partition, StoreError> {
        Partition::create_after(events, name, record, None)
    }

    /// As [`Partition::create`], for one that goes on from another.
    pub(super) fn create_after(
        events: &Path,
        name: Name,
        record: Record,
        before: Option<&Path>,
    ) -> Result<Partition, StoreError> {
        let unfinished = events.join(format!("{UNFINISHED}{}", name.directory()));
        let path = name.path(events);
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(StoreError::io("remove", &unfinished))?;
        }
        fs::create_dir(&unfinished).map_err(StoreError::io("create", &unfinished))?;
        let fill = || -> tantivy::Result<()> {
            let index = Index::create(Disk::open(&unfinished)?, schema(), settings())?;
            let mut writer: IndexWriter<TantivyDocument> = index.writer_with_num_threads(1, SMALLEST_BUDGET)?;
            let mut commit = writer.prepare_commit()?;
            commit.set_payload(&record.to_text());
            commit.commit()?;
            writer.wait_merging_threads()
        };
        fill().map_err(|error| StoreError::Write { path: unfinished.clone(), error })?;
        if let Some(before) = before {
            take_along(before, &unfinished)?;
        }
        sync(&unfinished)?;
        fs::rename(&unfinished, &path).map_err(StoreError::io("name", &path))?;
        sync(events)?;
        Ok(Partition { path, name, record: Mutex::new(record), opened: Mutex::new(None) })
    }

    /// Finds the partition that is written to; reads its record.
    pub(super) fn find(path: PathBuf, name: Name) -> Result<Partition, StoreError> {
        let record = Partition::read_record(&path)?;
        Ok(Partition { path, name, record: Mutex::new(record), opened: Mutex::new(None) })
    }

    /// Finds a partition that is no longer written to. Of its record only times and counts are of use; they stand in a small file.
    pub(super) fn find_closed(path: PathBuf, name: Name) -> Result<Partition, StoreError> {
        let record = match Side::read(&path) {
            Some(record) => record,
            None => {
                let record = Partition::read_record(&path)?.without_positions();
                Side::write(&path, &record);
                record
            }
        };
        Ok(Partition { path, name, record: Mutex::new(record), opened: Mutex::new(None) })
    }

    /// From here on it is only read: its record shrinks to what searches need, in memory and beside the index.
    pub(super) fn finish(&self) {
        let record = self.record().without_positions();
        Side::write(&self.path, &record);
        self.set_record(record);
    }

    /// It is written to (again): what stands beside the index would soon be wrong.
    pub(super) fn begin(&self) -> Result<(), StoreError> {
        Side::remove(&self.path)
    }

    pub(super) fn read_record(path: &Path) -> Result<Record, StoreError> {
        let open = || -> tantivy::Result<Index> { Index::open(Disk::open(path)?) };
        let index = open().map_err(StoreError::read(path))?;
        let metas = index.load_metas().map_err(StoreError::read(path))?;
        Record::read(metas.payload.as_deref(), path)
    }

    /// Reads the record again: after a failed commit the one on disk may be newer than what was known.
    pub(super) fn refresh(&self) -> Result<(), StoreError> {
        let record = Partition::read_record(&self.path)?;
        self.set_record(record);
        Ok(())
    }

    pub(super) fn record(&self) -> Record {
        locked(&self.record).clone()
    }

    pub(super) fn set_record(&self, record: Record) {
        *locked(&self.record) = record;
    }

    /// The least and greatest event time.
    pub(super) fn times(&self) -> Option<(Millis, Millis)> {
        locked(&self.record).times
    }

    /// How many events it holds.
    pub(super) fn events(&self) -> u64 {
        locked(&self.record).events
    }

    /// Opens the index for searching, once.
    pub(super) fn open(&self) -> Result<Opened, StoreError> {
        let mut slot = locked(&self.opened);
        if let Some(opened) = &*slot {
            return Ok(opened.clone());
        }
        let open = || -> tantivy::Result<Opened> {
            let mut index = Index::open(Disk::open(&self.path)?)?;
            equip(&mut index);
            let layout = Arc::new(Layout::of(&index.schema())?);
            let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
            Ok(Opened { index, reader, layout })
        };
        // The library reckons with what stands at the end of a file, and panics where that was cut off.
        let opened = catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|_| {
            let reason = "a file is not what was written (the lines logged before say more)".to_owned();
            Err(TantivyError::DataCorruption(DataCorruption::comment_only(reason)))
        });
        let opened = opened.map_err(StoreError::read(&self.path))?;
        *slot = Some(opened.clone());
        Ok(opened)
    }

    /// Whether it is open for searching at the moment.
    pub(super) fn is_open(&self) -> bool {
        locked(&self.opened).is_some()
    }

    /// Gives back the maps and memory of the opened index.
    pub(super) fn close(&self) {
        *locked(&self.opened) = None;
    }

    /// The name it gets while it is removed; a start sweeps it.
    pub(super) fn swept(&self) -> PathBuf {
        self.path.with_file_name(format!("{UNFINISHED}{}-gone", self.name.directory()))
    }

    /// The bytes of its files.
    pub(super) fn bytes(&self) -> u64 {
        let Ok(files) = fs::read_dir(&self.path) else { return 0 };
        files.flatten().filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum()
    }
}

/// The names of all partitions, oldest first; removes what a crash left unfinished.
pub(super) fn list(events: &Path) -> Result<Vec<(PathBuf, Name)>, StoreError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(events).map_err(StoreError::io("list", events))? {
        let entry = entry.map_err(StoreError::io("list", events))?;
        let file_name = entry.file_name();
        let Some(text) = file_name.to_str() else { continue };
        if text.starts_with(UNFINISHED) {
            fs::remove_dir_all(entry.path()).map_err(StoreError::io("remove", &entry.path()))?;
        } else if let Some(name) = Name::parse(text) {
            found.push((entry.path(), name));
        }
    }
    found.sort_by_key(|(_, name)| *name);
    Ok(found)
}

/// Removes the temporary files that a kill in the middle of a commit left behind; nothing else has such names.
pub(super) fn sweep(partition: &Path) {
    let Ok(files) = fs::read_dir(partition) else { return };
    for file in files.flatten() {
        if file.file_name().to_str().is_some_and(|name| name.starts_with(".tmp")) {
            let _ = fs::remove_file(file.path());
        }
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync(directory: &Path) -> Result<(), StoreError> {
    File::open(directory).and_then(|file| file.sync_all()).map_err(StoreError::io("sync", directory))
}
