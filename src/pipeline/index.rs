//! The last stage: adds recorded batches to the index and commits about once a second, with the positions in the same commit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::{Recorded, now};
use crate::metrics::{Metrics, SourceMetrics};
use crate::source::Position;
use crate::store::{Payload, Store, StoreError, Writer};

/// How long an event waits at most before it can be searched.
const COMMIT: Duration = Duration::from_secs(1);
/// How often the store's size is looked at.
const STATISTICS: Duration = Duration::from_secs(15);

/// The payload of a commit.
pub(super) fn payload(store_id: &str, batch: u64, positions: &BTreeMap<u64, Position>) -> Payload {
    let positions = serde_json::to_string(&positions.values().collect::<Vec<_>>()).expect("positions serialise");
    Payload { store_id: store_id.to_owned(), batch, positions }
}

/// Runs until no more batches come; commits what it has.
pub(super) fn index(
    store: &Store,
    mut writer: Writer,
    store_id: &str,
    mut positions: BTreeMap<u64, Position>,
    recorded: Receiver<Recorded>,
    committed: &AtomicU64,
    metrics: &Metrics,
) -> Result<(), StoreError> {
    let mut sources: BTreeMap<Box<str>, SourceMetrics> = BTreeMap::new();
    let mut waiting: Option<(u64, Instant)> = None;
    let mut looked: Option<Instant> = None;
    loop {
        let patience = waiting.map_or(COMMIT, |(_, since)| COMMIT.saturating_sub(since.elapsed()));
        let ended = match recorded.recv_timeout(patience) {
            Ok(batch) => {
                for event in &batch.events {
                    writer.add(event)?;
                }
                count(&batch, &mut sources, metrics);
                for generation in &batch.forgotten {
                    positions.remove(generation);
                }
                for position in batch.positions {
                    positions.insert(position.generation, position);
                }
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
            let timer = metrics.commit_seconds.start_timer();
            writer.commit(&payload(store_id, batch, &positions), now())?;
            timer.observe_duration();
            committed.store(batch, Ordering::Release);
            waiting = None;
        }
        if waiting.is_none() {
            metrics.last_commit_timestamp_seconds.set(now() / 1000);
        }
        if looked.is_none_or(|looked| looked.elapsed() >= STATISTICS) {
            looked = Some(Instant::now());
            let statistics = store.statistics();
            metrics.index_events.set(i64::try_from(statistics.events).unwrap_or(i64::MAX));
            metrics.index_bytes.set(i64::try_from(statistics.bytes).unwrap_or(i64::MAX));
            metrics.partitions.set(i64::try_from(statistics.partitions).unwrap_or(i64::MAX));
            metrics.oldest_event_timestamp_seconds.set(statistics.oldest.unwrap_or(0) / 1000);
        }
        if ended {
            return Ok(());
        }
    }
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
