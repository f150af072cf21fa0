//! The last stage: adds recorded batches to the index and commits about once a second, with the positions in the same commit.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crmwatch_detectors::{Event, Millis, json};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::carried::Carried;
use super::clock::Trust;
use super::ending::Progress;
use super::{Recorded, now};
use crate::config::Retention;
use crate::ledger::Ledger;
use crate::metrics::{Metrics, SourceMetrics};
use crate::source::Position;
use crate::store::{Cause, Keep, Payload, Store, StoreError, Writer};

/// How long an event waits at most before it can be searched.
const COMMIT: Duration = Duration::from_secs(1);
/// How often what is too old, or too much, is looked for.
const RETENTION: Duration = Duration::from_secs(600);
/// How often the store's size is looked at.
const STATISTICS: Duration = Duration::from_secs(15);

/// The payload of a commit.
pub(super) fn payload(store_id: &str, batch: u64, positions: &BTreeMap<u64, Position>) -> Payload {
    let positions = serde_json::to_string(&positions.values().collect::<Vec<_>>()).expect("positions serialise");
    Payload { store_id: store_id.to_owned(), batch, positions }
}

/// What the stage needs.
pub(super) struct Index<'i> {
    pub(super) store: &'i Store,
    pub(super) store_id: &'i str,
    pub(super) state_dir: &'i Path,
    pub(super) retention: Retention,
    /// Told the last batch committed.
    pub(super) committed: &'i AtomicU64,
    pub(super) metrics: &'i Metrics,
    /// Told what is committed.
    pub(super) progress: &'i Progress,
    /// Takes back events that are in the index, to be dropped by the thread that made them.
    pub(super) spent: Sender<Vec<Event>>,
    /// By which time old events go.
    pub(super) trust: Cell<Trust>,
    /// Counts the looks at closed partitions.
    pub(super) turn: Cell<usize>,
}

impl Index<'_> {
    /// Runs until no more batches come; commits what it has.
    pub(super) fn run(
        &self,
        mut writer: Writer,
        positions: BTreeMap<u64, Position>,
        recorded: Receiver<Recorded>,
    ) -> Result<(), StoreError> {
        let mut sources: BTreeMap<Box<str>, SourceMetrics> = BTreeMap::new();
        let mut waiting: Option<(u64, Instant)> = None;
        let mut events = 0;
        let mut carried = Carried::new(positions);
        let mut looked: Option<Instant> = None;
        let mut retained: Option<Instant> = None;
        loop {
            let patience = waiting.map_or(COMMIT, |(_, since)| COMMIT.saturating_sub(since.elapsed()));
            let ended = match recorded.recv_timeout(patience) {
                Ok(mut batch) => {
                    for event in &batch.events {
                        writer.add(event)?;
                    }
                    count(&batch, &mut sources, self.metrics);
                    events += batch.events.len() as u64;
                    carried.take(&mut batch);
                    let _ = self.spent.try_send(batch.events);
                    let since = waiting.map_or_else(Instant::now, |(_, since)| since);
                    waiting = Some((batch.number, since));
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            if let Some((batch, since)) = waiting
                && (ended || since.elapsed() >= COMMIT)
            {
                let timer = self.metrics.commit_seconds.start_timer();
                carried.commit(&mut writer, self.store_id, batch, now())?;
                timer.observe_duration();
                self.progress.indexed(batch, std::mem::take(&mut events));
                self.committed.store(batch, Ordering::Release);
                waiting = None;
            }
            if waiting.is_none() {
                self.metrics.last_commit_timestamp_seconds.set(now() / 1000);
            }
            if looked.is_none_or(|looked| looked.elapsed() >= STATISTICS) {
                looked = Some(Instant::now());
                self.measure();
            }
            if retained.is_none_or(|retained| retained.elapsed() >= RETENTION) {
                retained = Some(Instant::now());
                self.retain();
            }
            if ended {
                return Ok(());
            }
        }
    }

    fn measure(&self) {
        let statistics = self.store.statistics();
        let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.index_events.set(whole(statistics.events));
        self.metrics.index_bytes.set(whole(statistics.bytes));
        self.metrics.partitions.set(i64::try_from(statistics.partitions).unwrap_or(i64::MAX));
        self.metrics.oldest_event_timestamp_seconds.set(statistics.oldest.unwrap_or(0) / 1000);
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        if let Some(error) = self.store.look(turn) {
            tracing::error!(%error, "a partition cannot be read, and searches that touch it fail");
        }
        let unreadable = self.store.unreadable_partitions();
        self.metrics.partitions_unreadable.set(i64::try_from(unreadable).unwrap_or(i64::MAX));
        self.metrics.storage_min_free_bytes.set(whole(self.retention.min_free_bytes));
        if let Some(free) = free_bytes(self.state_dir) {
            self.metrics.storage_free_bytes.set(whole(free));
        }
    }

    /// The time by which events are old; remembered, so that a jump over a restart is seen, too.
    fn time(&self) -> Millis {
        let mut trust = self.trust.get();
        let (was_doubted, clock) = (trust.is_doubted(), now());
        let time = trust.believe(clock, Instant::now());
        self.trust.set(trust);
        self.metrics.clock_doubted.set(i64::from(trust.is_doubted()));
        if trust.is_doubted() && !was_doubted {
            tracing::warn!(
                clock = json::timestamp(clock),
                known = trust.known().map(json::timestamp),
                "the clock jumped by more than a day; by its time no event is dropped for its age until it has held for a day"
            );
        }
        let kept = Ledger::open(self.state_dir)
            .and_then(|mut ledger| trust.known().map_or(Ok(()), |known| ledger.set_clock_known(known)));
        if let Err(error) = kept {
            tracing::warn!(%error, "the time cannot be remembered; trying again");
        }
        time
    }

    /// Drops what may not or cannot be kept. A fault here stops nothing: it is tried again.
    fn retain(&self) {
        let Some(free_bytes) = free_bytes(self.state_dir) else { return };
        let keep = Keep {
            days: self.retention.days,
            max_bytes: self.retention.max_bytes,
            min_free_bytes: self.retention.min_free_bytes,
            free_bytes,
        };
        match self.store.retain(self.time(), keep) {
            Ok(dropped) => {
                for one in dropped {
                    let reason = match one.cause {
                        Cause::Age => "age",
                        Cause::Size => "size",
                        Cause::Space => "space",
                    };
                    self.metrics.retention_dropped_events_total.with_label_values(&[reason]).inc_by(one.events);
                    let path = one.path.display().to_string();
                    if one.cause == Cause::Age {
                        tracing::info!(path, events = one.events, "a partition is past its days and was dropped");
                    } else {
                        tracing::warn!(
                            path,
                            events = one.events,
                            reason,
                            "the oldest partition was dropped before its time to make room"
                        );
                    }
                }
            }
            Err(error) => tracing::error!(%error, "old events cannot be dropped; trying again"),
        }
    }
}

/// Bytes free to this user on a folder's file system.
fn free_bytes(folder: &Path) -> Option<u64> {
    let statistics = rustix::fs::statvfs(folder).ok()?;
    Some(statistics.f_bavail.saturating_mul(statistics.f_frsize))
}

fn count(batch: &Recorded, sources: &mut BTreeMap<Box<str>, SourceMetrics>, metrics: &Metrics) {
    use crmwatch_detectors::Field;
    for event in &batch.events {
        let source = match sources.get(&event.origin.source) {
            Some(source) => source,
            None => {
                let made = metrics.source(&event.origin.source);
                sources.entry(event.origin.source.clone()).or_insert(made)
            }
        };
        if !event.is(Field::TimeSuspect) && !event.has(Field::QuarantineReason) {
            source.saw_event(event.time);
        }
        if event.is(Field::Duplicate) {
            source.duplicates.inc();
        }
        if event.has(Field::Truncated) {
            source.lines_cut.inc();
        }
    }
}
