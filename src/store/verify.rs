//! Looks at every partition on disk for `crmwatch check --deep`: checksums, counts, times, stored events. Changes nothing and needs no
//! lock; beside a running daemon it looks only at partitions that are no longer written to. Not for mending.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crmwatch_detectors::{Millis, codec};
use tantivy::schema::Value;
use tantivy::{DocAddress, Index, ReloadPolicy, TantivyDocument, TantivyError};

use super::beside::is_beside;
use super::layout::{Layout, TIME, equip};
use super::partition::{Name, Partition, Record, SIDE_FILE, UNFINISHED};
use super::{Payload, StoreError};
use crate::query::words;

/// Stored events read of each partition, spread over all of it.
const SAMPLE: u32 = 2_000;
/// How much of a file is read at once.
const CHUNK: usize = 1 << 20;

/// What is wrong with a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// Its own description (`meta.json`) cannot be read: the index library's or our word for it.
    Unreadable(String),
    /// Written by a newer program.
    Newer(String),
    /// A file that belongs to it is not there.
    Missing(String),
    /// A file is not what was written: the name, and what is wrong.
    Damaged(String, String),
    /// It holds another number of events than its commit says.
    Count {
        /// What the commit says.
        said: u64,
        /// What is there.
        found: u64,
    },
    /// It holds events outside the times its commit names: searches by time pass them over.
    Times {
        /// What the commit says.
        said: Option<(Millis, Millis)>,
        /// What is there.
        found: (Millis, Millis),
    },
    /// Stored events that cannot be read, of so many looked at; with the first reason.
    Stored {
        /// How many could not be read.
        bad: u64,
        /// How many were looked at.
        of: u64,
        /// The first one's reason.
        reason: String,
    },
}

/// What is known of one partition after looking at all of it.
#[derive(Debug, Clone)]
pub struct Examined {
    /// Its folder's name.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
    /// Whether it is the one that is written to.
    pub newest: bool,
    /// Files that belong to it.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Events, as its commit says; nothing where that cannot be read.
    pub events: Option<u64>,
    /// The least and greatest event time, as its commit says.
    pub times: Option<(Millis, Millis)>,
    /// Of which store it is.
    pub store_id: Option<String>,
    /// How far the logs had been read.
    pub payload: Option<Payload>,
    /// Stored events that were read.
    pub sampled: u64,
    /// What is wrong.
    pub flaws: Vec<Flaw>,
    /// Files that belong to nothing, left by a crash; with their bytes.
    pub orphans: Vec<(String, u64)>,
}

/// All partitions of a state directory, and what else lies among them.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    /// Their folders, oldest first.
    pub partitions: Vec<(PathBuf, String)>,
    /// Half made or half removed by a crash; swept at the next start.
    pub unfinished: Vec<String>,
    /// What crmwatch did not put there.
    pub strange: Vec<String>,
}

/// Lists the partitions without opening or sweeping anything.
pub fn partitions(state_dir: &Path) -> Result<Folder, StoreError> {
    let events = state_dir.join("events");
    let mut folder = Folder::default();
    let mut named = Vec::new();
    for entry in fs::read_dir(&events).map_err(StoreError::io("list", &events))? {
        let entry = entry.map_err(StoreError::io("list", &events))?;
        let text = entry.file_name().to_string_lossy().into_owned();
        match Name::parse(&text) {
            _ if text.starts_with(UNFINISHED) => folder.unfinished.push(text),
            Some(name) if entry.path().is_dir() => named.push((name, entry.path(), text)),
            _ => folder.strange.push(text),
        }
    }
    named.sort_by_key(|(name, _, _)| *name);
    folder.partitions = named.into_iter().map(|(_, path, text)| (path, text)).collect();
    folder.unfinished.sort();
    folder.strange.sort();
    Ok(folder)
}

/// The bytes of a partition's files, for a progress bar.
pub fn size(path: &Path) -> u64 {
    let Ok(files) = fs::read_dir(path) else { return 0 };
    files.flatten().filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum()
}

/// Looks at all of one partition. `progress` is told the bytes read.
pub fn examine(path: &Path, name: &str, newest: bool, progress: &dyn Fn(u64)) -> Examined {
    let mut seen = Examined {
        name: name.to_owned(),
        path: path.to_owned(),
        newest,
        files: 0,
        bytes: 0,
        events: None,
        times: None,
        store_id: None,
        payload: None,
        sampled: 0,
        flaws: Vec::new(),
        orphans: Vec::new(),
    };
    match Partition::read_record(path) {
        Ok(record) => {
            (seen.events, seen.times) = (Some(record.events), record.times);
            (seen.store_id, seen.payload) = (Some(record.store_id.clone()), record.payload());
            if let Err(error) = seen.look(&record, progress) {
                seen.flaws.push(Flaw::Unreadable(error.to_string()));
            }
        }
        Err(StoreError::Newer { found, known, .. }) => {
            seen.flaws.push(Flaw::Newer(format!("form {found}, this program reads up to {known}")));
        }
        Err(StoreError::Damaged { reason, .. }) => seen.flaws.push(Flaw::Unreadable(reason)),
        Err(StoreError::Read { error, .. }) => seen.flaws.push(Flaw::Unreadable(error.to_string())),
        Err(error) => seen.flaws.push(Flaw::Unreadable(error.to_string())),
    }
    seen
}

impl Examined {
    fn look(&mut self, record: &Record, progress: &dyn Fn(u64)) -> tantivy::Result<()> {
        let mut index = Index::open_in_dir(&self.path)?;
        equip(&mut index);
        let metas = index.load_metas()?;
        // What the commit may name, and what was once made: a file that was made, is named and is not there has been lost.
        let named: BTreeSet<PathBuf> = metas.list_segment_files().into_iter().collect();
        let made = index.directory().list_managed_files();
        for file in &named {
            let shown = file.display().to_string();
            match read_through(&self.path.join(file), progress) {
                Ok(bytes) => {
                    self.files += 1;
                    self.bytes += bytes;
                    // The library reads through a map of the file, where a disk error would end the process: hence the reading before.
                    match index.directory().validate_checksum(file) {
                        Ok(true) => {}
                        Ok(false) => self.flaws.push(Flaw::Damaged(shown, "its checksum is wrong".to_owned())),
                        // It could be read, so the library can only mean that its end is not there.
                        Err(_) => self.flaws.push(Flaw::Damaged(shown, "it is cut off or overwritten".to_owned())),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if made.contains(file) {
                        self.flaws.push(Flaw::Missing(shown));
                    }
                }
                Err(error) => self.flaws.push(Flaw::Damaged(shown, format!("it cannot be read: {error}"))),
            }
        }
        self.orphans = orphans(&self.path, &named)?;
        let found: u64 = metas.segments.iter().map(|segment| u64::from(segment.num_docs())).sum();
        if found != record.events {
            self.flaws.push(Flaw::Count { said: record.events, found });
        }
        // Files that are not what was written are not given to the library to read: it may take them at their word.
        if self.flaws.iter().any(|flaw| matches!(flaw, Flaw::Missing(_) | Flaw::Damaged(..))) {
            return Ok(());
        }
        match catch_unwind(AssertUnwindSafe(|| self.read(&index, record))) {
            Ok(read) => read,
            Err(_) => Err(TantivyError::InternalError("reading it fails".to_owned())),
        }
    }

    /// Opens it as a search does; looks at the times of all events and reads some of them whole.
    fn read(&mut self, index: &Index, record: &Record) -> tantivy::Result<()> {
        let layout = Layout::of(&index.schema())?;
        let reader: tantivy::IndexReader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let searcher = reader.searcher();
        let mut times: Option<(Millis, Millis)> = None;
        for segment in searcher.segment_readers().iter().filter(|segment| segment.num_docs() > 0) {
            let column = segment.fast_fields().date(TIME)?;
            let ends = [column.min_value(), column.max_value()].map(|time| time.into_timestamp_millis());
            let (least, greatest) = times.unwrap_or((ends[0], ends[1]));
            times = Some((least.min(ends[0]), greatest.max(ends[1])));
        }
        if let Some((least, greatest)) = times
            && !record.times.is_some_and(|(first, last)| words::time(first) <= least && words::time(last) >= greatest)
        {
            self.flaws.push(Flaw::Times { said: record.times, found: (least, greatest) });
        }
        let total = u32::try_from(searcher.num_docs()).unwrap_or(u32::MAX);
        let step = (total / SAMPLE).max(1);
        let (mut bad, mut reason) = (0, None);
        for (number, segment) in searcher.segment_readers().iter().enumerate() {
            for doc in (0..segment.max_doc()).step_by(step as usize).filter(|doc| !segment.is_deleted(*doc)) {
                self.sampled += 1;
                let read = searcher
                    .doc::<TantivyDocument>(DocAddress::new(u32::try_from(number).unwrap_or(u32::MAX), doc))
                    .map_err(|error| error.to_string())
                    .and_then(|document| {
                        let bytes = document.get_first(layout.stored).and_then(|value| value.as_bytes());
                        codec::decode(bytes.unwrap_or_default()).map_err(|error| error.to_string())
                    });
                if let Err(error) = read {
                    bad += 1;
                    reason.get_or_insert(error);
                }
            }
        }
        if let Some(reason) = reason {
            self.flaws.push(Flaw::Stored { bad, of: self.sampled, reason });
        }
        Ok(())
    }
}

/// Files of a partition that nothing names. The library removes those it knows of at its next commit.
fn orphans(path: &Path, named: &BTreeSet<PathBuf>) -> io::Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = is_beside(&name)
            || named.contains(Path::new(&name))
            || name == "meta.json"
            || name == SIDE_FILE
            || name.starts_with('.');
        if !known {
            found.push((name, entry.metadata().map_or(0, |data| data.len())));
        }
    }
    found.sort();
    Ok(found)
}

/// Reads a file to its end; gives its size.
fn read_through(path: &Path, progress: &dyn Fn(u64)) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut chunk = vec![0; CHUNK];
    let mut bytes = 0;
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(count) => {
                bytes += count as u64;
                progress(count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
