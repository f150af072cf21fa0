//! The one writer of the store. Not for reading.

use std::sync::Arc;
use std::thread;

use crmwatch_detectors::{Event, Millis};
use tantivy::directory::error::LockError;
use tantivy::indexer::IndexWriterOptions;
use tantivy::{IndexWriter, TantivyError};

use super::document::EventDocument;
use super::partition::{Name, Opened, Partition, Record, day, sweep, sync};
use super::{Payload, Shared, StoreError};

/// Adds events and commits them together with how far the logs have been read.
///
/// After any error of [`add`](Writer::add) or [`commit`](Writer::commit) the writer is dead: what was not committed is gone.
/// Drop it, ask the store for another, and read on from [`Store::payload`](super::Store::payload).
pub struct Writer {
    shared: Arc<Shared>,
    partition: Arc<Partition>,
    opened: Opened,
    /// Nothing once it has failed.
    index: Option<IndexWriter<EventDocument>>,
    times: Option<(Millis, Millis)>,
    events: u64,
}

impl Writer {
    pub(super) fn open(shared: Arc<Shared>) -> Result<Writer, StoreError> {
        // A writer that failed may have left the opened index in any state; a commit, or a new partition, that failed late may still be
        // on disk, and what is read of it must not be lost again.
        sync(&shared.events)?;
        shared.look_again()?;
        let partition = shared.newest();
        partition.close();
        partition.begin()?;
        sync(&partition.path)?;
        partition.refresh()?;
        shared.in_order()?;
        sweep(&partition.path);
        let (opened, index) = start(&shared, &partition)?;
        let record = partition.record();
        Ok(Writer { shared, partition, opened, index: Some(index), times: record.times, events: record.events })
    }

    /// The folder of the partition that is written to.
    pub(super) fn folder(&self) -> &std::path::Path {
        &self.partition.path
    }

    /// Takes an event in. Waits while the indexing threads are behind.
    pub fn add(&mut self, event: &Event) -> Result<(), StoreError> {
        let Some(index) = &self.index else { return Err(StoreError::WriterDead) };
        if let Err(error) = index.add_document(EventDocument::new(event, &self.opened.layout)) {
            return Err(self.fail(error));
        }
        let (least, greatest) = self.times.unwrap_or((event.time, event.time));
        self.times = Some((least.min(event.time), greatest.max(event.time)));
        self.events += 1;
        Ok(())
    }

    /// Makes everything added so far durable and searchable, together with the payload: all or nothing, whenever the machine
    /// stops. Afterwards goes on in a new partition if the UTC day of `now` is another or this one is full.
    pub fn commit(&mut self, payload: &Payload, now: Millis) -> Result<(), StoreError> {
        let mut record = self.partition.record();
        record.store_id.clone_from(&payload.store_id);
        record.batch = Some(payload.batch);
        record.positions.clone_from(&payload.positions);
        record.times = self.times;
        record.events = self.events;
        let Some(index) = &mut self.index else { return Err(StoreError::WriterDead) };
        let committed = index.prepare_commit().and_then(|mut commit| {
            commit.set_payload(&record.to_text());
            commit.commit()
        });
        if let Err(error) = committed {
            return Err(self.fail(error));
        }
        self.partition.set_record(record);
        self.opened.reader.reload().map_err(StoreError::read(&self.partition.path))?;
        if self.is_due(now)
            && let Err(error) = self.roll(now)
        {
            if self.index.is_none() {
                return Err(error);
            }
            // Everything is committed and the old partition still takes events; the next commit tries again.
            tracing::warn!(%error, "cannot start a new partition yet");
        }
        Ok(())
    }

    fn is_due(&self, now: Millis) -> bool {
        // A clock that was far ahead for a while left a name of the future; days go on all the same. A clock a few seconds back at midnight
        // begins nothing.
        let begun = begun(&self.partition);
        let other_day = day(now) > begun || day(now).succ_opt().is_some_and(|next| next < begun);
        self.events > 0 && (other_day || self.events >= self.shared.options.partition_events)
    }

    fn roll(&mut self, now: Millis) -> Result<(), StoreError> {
        let old = self.partition.name;
        // The order of names is the order of payloads, so none is named before the newest.
        let day = day(now).max(old.day);
        let name = Name { day, number: if day == old.day { old.number + 1 } else { 0 } };
        let record = self.partition.record().continued(now);
        let made = Partition::create_after(&self.shared.events, name, record, Some(&self.partition.path));
        if made.is_err() && name.path(&self.shared.events).try_exists().unwrap_or(true) {
            // It has its name and is the newest already: a commit to the old one would be behind it.
            self.index = None;
        }
        let partition = self.shared.push(made?);
        // From here on the payload of the new partition is the store's; the old writer must not commit again.
        let finished = self.index.take();
        let (previous, left) = (self.opened.clone(), Arc::clone(&self.partition));
        left.finish();
        let (opened, index) = start(&self.shared, &partition)?;
        (self.partition, self.opened, self.index) = (partition, opened, Some(index));
        (self.times, self.events) = (None, 0);
        if let Some(finished) = finished {
            // Merges of a full partition can take a minute, and reading must not wait for them. A process that ends before
            // they do leaves them undone, which costs some speed and nothing else.
            let finish = move || {
                if finished.wait_merging_threads().is_ok() {
                    let _ = previous.reader.reload();
                    left.finish();
                }
            };
            if let Err(error) = thread::Builder::new().name("partition-end".to_owned()).spawn(finish) {
                tracing::warn!(%error, "the merges of the last partition were left undone");
            }
        }
        Ok(())
    }

    fn fail(&mut self, error: TantivyError) -> StoreError {
        self.index = None;
        StoreError::Write { path: self.partition.path.clone(), error }
    }
}

/// The day a partition was begun, by the clock of then.
fn begun(partition: &Partition) -> chrono::NaiveDate {
    let Record { begun, .. } = partition.record();
    begun.map_or(partition.name.day, day)
}

fn start(shared: &Shared, partition: &Partition) -> Result<(Opened, IndexWriter<EventDocument>), StoreError> {
    let opened = partition.open()?;
    let options = IndexWriterOptions::builder()
        .num_worker_threads(shared.options.threads.clamp(1, 8))
        .memory_budget_per_thread(shared.options.memory_per_thread)
        .num_merge_threads(2)
        .build();
    match opened.index.writer_with_options(options) {
        Ok(index) => Ok((opened, index)),
        Err(TantivyError::LockFailure(LockError::LockBusy, _)) => {
            Err(StoreError::Locked { path: partition.path.clone() })
        }
        Err(error) => Err(StoreError::Write { path: partition.path.clone(), error }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crmwatch_detectors::{EventId, Field};

    use super::*;
    use crate::store::{Store, StoreOptions};

    const DAY: Millis = 86_400_000;

    fn options() -> StoreOptions {
        StoreOptions { threads: 1, memory_per_thread: 15_000_000, now: Some(0), ..StoreOptions::default() }
    }

    fn event(number: u64) -> Event {
        let mut event = Event::new("alice exports");
        event.id = EventId(u128::from(number));
        event.time = number as Millis;
        event.set(Field::UserName, "alice");
        event
    }

    fn payload(store: &Store, batch: u64) -> Payload {
        Payload { store_id: store.store_id(), batch, positions: format!("{{\"batch\":{batch}}}") }
    }

    fn names(store: &Store) -> Vec<String> {
        let name = |one: &Arc<Partition>| one.path.file_name().expect("a name").to_string_lossy().into_owned();
        store.shared.partitions().iter().map(name).collect()
    }

    #[test]
    fn what_was_committed_is_there_with_its_payload_and_what_was_not_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), options()).expect("opens");
        assert_eq!(store.payload(), None);
        let id = store.store_id();
        let mut writer = store.writer().expect("a writer");
        writer.add(&event(1)).expect("adds");
        writer.commit(&payload(&store, 1), 0).expect("commits");
        writer.add(&event(2)).expect("adds");
        drop(writer);
        drop(store);
        let store = Store::open(folder.path(), options()).expect("opens again");
        assert_eq!(store.payload(), Some(payload(&store, 1)));
        assert_eq!(store.store_id(), id);
        assert_eq!(store.statistics().events, 1);
        let mut writer = store.writer().expect("a writer");
        writer.add(&event(2)).expect("adds");
        writer.commit(&payload(&store, 2), 0).expect("commits");
        assert_eq!(store.statistics().events, 2);
    }

    #[test]
    fn of_two_events_whose_ids_share_a_term_each_is_found_by_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), options()).expect("opens");
        let mut writer = store.writer().expect("a writer");
        let ids = [EventId(5), EventId(5 << 64)];
        for id in ids {
            let mut event = event(5);
            event.id = id;
            writer.add(&event).expect("adds");
        }
        writer.commit(&payload(&store, 1), 0).expect("commits");
        let found: Vec<EventId> = store.get(&ids).expect("reads").iter().map(|event| event.id).collect();
        assert_eq!(found, ids);
    }

    #[test]
    fn a_new_day_or_a_full_partition_starts_another_and_the_payload_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), StoreOptions { partition_events: 3, ..options() }).expect("opens");
        let mut writer = store.writer().expect("a writer");
        for number in 1..=4 {
            writer.add(&event(number)).expect("adds");
            writer.commit(&payload(&store, number), 0).expect("commits");
        }
        assert_eq!(names(&store), ["1970-01-01-000", "1970-01-01-001"]);
        writer.commit(&payload(&store, 5), 2 * DAY).expect("commits");
        assert_eq!(names(&store).last().map(String::as_str), Some("1970-01-03-000"));
        writer.add(&event(5)).expect("adds");
        writer.commit(&payload(&store, 6), DAY).expect("a clock set back names nothing older");
        drop(writer);
        let again = Store::open(folder.path(), options()).expect("opens again");
        assert_eq!(again.payload(), Some(payload(&store, 6)));
        assert_eq!(again.statistics().events, 5);
    }

    #[test]
    fn a_clock_that_was_a_year_ahead_for_a_moment_does_not_stop_the_days() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), options()).expect("opens");
        let mut writer = store.writer().expect("a writer");
        let mut commit = |number: u64, now: Millis| {
            writer.add(&event(number)).expect("adds");
            writer.commit(&payload(&store, number), now).expect("commits");
        };
        commit(1, 365 * DAY);
        commit(2, 3 * DAY);
        for (number, now) in [(3, 3 * DAY + 1), (4, 4 * DAY), (5, 4 * DAY - 2), (6, 5 * DAY)] {
            commit(number, now);
        }
        // Each is begun by the commit before: one for the year ahead, one when the clock was right again, then one a day.
        let begun = ["1970-01-01-000", "1971-01-01-000", "1971-01-01-001", "1971-01-01-002", "1971-01-01-003"];
        assert_eq!(names(&store), begun);
        drop(writer);
        let again = Store::open(folder.path(), options()).expect("opens again");
        assert_eq!(again.payload(), Some(payload(&store, 6)));
        let mut writer = again.writer().expect("a writer");
        writer.add(&event(7)).expect("adds");
        writer.commit(&payload(&store, 7), 5 * DAY + 7).expect("commits");
        assert_eq!(names(&again), begun, "the same day after a restart");
    }

    #[test]
    fn a_newest_partition_that_is_behind_the_one_before_it_is_refused_in_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), options()).expect("opens");
        let mut writer = store.writer().expect("a writer");
        writer.add(&event(1)).expect("adds");
        writer.commit(&payload(&store, 1), 0).expect("commits");
        // As if it had been copied back from an older backup.
        let name = Name { day: day(DAY), number: 0 };
        Partition::create(&store.shared.events, name, store.shared.newest().record().continued(DAY)).expect("made");
        writer.add(&event(2)).expect("adds");
        writer.commit(&payload(&store, 2), DAY).expect_err("the name is taken: nothing more may go to the old one");
        assert!(matches!(writer.add(&event(3)), Err(StoreError::WriterDead)));
        drop(writer);
        let error = store.writer().err().expect("refused");
        let words = error.to_string();
        assert!(error.needs_a_person() && words.contains("1970-01-02-000"), "{words}");
        assert!(words.contains("batch 1") && words.contains("batch 2"), "{words}");
    }

    #[test]
    fn what_a_kill_in_a_commit_left_lying_is_swept() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), options()).expect("opens");
        let left = folder.path().join("events/1970-01-01-000/.tmpAbCdEf");
        fs::write(&left, "half a meta.json").expect("written");
        drop(store.writer().expect("a writer"));
        assert!(!left.exists());
    }

    #[test]
    fn a_copy_taken_at_any_moment_opens_with_a_payload_that_matches_its_events() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), StoreOptions { partition_events: 4, ..options() }).expect("opens");
        let mut writer = store.writer().expect("a writer");
        for number in 1..=9u64 {
            writer.add(&event(number)).expect("adds");
            writer.commit(&payload(&store, number), 0).expect("commits");
            writer.add(&event(1000 + number)).expect("adds what no commit covers yet");
            let copy = tempfile::tempdir().expect("a folder");
            let target = copy.path().join("events");
            for partition in fs::read_dir(folder.path().join("events")).expect("a list").flatten() {
                let to = target.join(partition.file_name());
                fs::create_dir_all(&to).expect("a folder");
                for file in fs::read_dir(partition.path()).expect("a list").flatten() {
                    // A file that merging removed meanwhile is no longer part of the index.
                    let _ = fs::copy(file.path(), to.join(file.file_name()));
                }
            }
            fs::create_dir(copy.path().join("events/.new-1970-01-09-000")).expect("a half-made partition");
            let crashed = Store::open(copy.path(), options()).expect("opens after the crash");
            assert_eq!(crashed.payload(), Some(payload(&store, number)));
            assert_eq!(crashed.statistics().events, 2 * number - 1);
            assert!(!copy.path().join("events/.new-1970-01-09-000").exists());
        }
    }

    #[test]
    fn after_a_failed_write_another_writer_goes_on_from_the_last_payload_in_the_same_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), options()).expect("opens");
        let mut writer = store.writer().expect("a writer");
        writer.add(&event(1)).expect("adds");
        writer.commit(&payload(&store, 1), 0).expect("commits");
        assert!(matches!(store.writer(), Err(StoreError::Locked { .. })), "one writer at a time");
        let partition = writer.partition.path.clone();
        let away = folder.path().join("away");
        fs::rename(&partition, &away).expect("the disk goes");
        let added = writer.add(&event(2));
        let error = added.and_then(|()| writer.commit(&payload(&store, 2), 0)).expect_err("there is no disk");
        assert!(matches!(error, StoreError::Write { .. }), "{error}");
        assert!(matches!(writer.add(&event(3)), Err(StoreError::WriterDead)));
        fs::rename(&away, &partition).expect("the disk comes back");
        drop(writer);
        let mut writer = store.writer().expect("another writer");
        assert_eq!(store.payload(), Some(payload(&store, 1)));
        writer.add(&event(2)).expect("adds");
        writer.commit(&payload(&store, 2), 0).expect("commits");
        assert_eq!((store.statistics().events, store.payload()), (2, Some(payload(&store, 2))));
        let found = store.get(&[EventId(1), EventId(2)]).expect("reads");
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_record_of_a_newer_program_or_a_damaged_one_is_refused_in_words() {
        for (record, words) in [("{\\\"form\\\":99", "newer crmwatch"), ("{\\\"from\\\":1", "crmwatch recover")] {
            let folder = tempfile::tempdir().expect("a folder");
            drop(Store::open(folder.path(), options()).expect("opens"));
            let meta = folder.path().join("events/1970-01-01-000/meta.json");
            let text = fs::read_to_string(&meta).expect("the index's own file");
            fs::write(&meta, text.replace("{\\\"form\\\":1", record)).expect("written");
            let error = Store::open(folder.path(), options()).err().expect("refused").to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
