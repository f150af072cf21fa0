//! The reader's thread: follows the files, numbers the batches, hands them on. Not for what is in them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crmwatch_detectors::Event;
use crossbeam_channel::{Receiver, Sender, select};

use super::session::Either;
use super::spools::Spools;
use super::wake::Wake;
use super::{ReadBatch, now};
use crate::api::Health;
use crate::ledger::Batch;
use crate::metrics::{Metrics, SourceMetrics};
use crate::source::{BATCH_RECORDS, Followed, Notice, Reading, Tailer};

/// A batch is handed on when it is this old, however small.
const BATCH_AGE: Duration = Duration::from_millis(50);
/// How often the folders are looked at without a wake-up.
const LOOK: Duration = Duration::from_secs(1);
/// How often detection is told that time has passed, once everything there is has been read.
const TICK: Duration = Duration::from_secs(60);
/// Where a change was not told in full, the folders are looked at no sooner than this after the last look.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Runs until it is told to stop or nobody takes its batches any more.
pub(super) fn read(
    mut tailer: Tailer,
    followed: &[Followed],
    last_batch: u64,
    watch: &Watch<'_>,
    stop: &Either<'_>,
    batches: Sender<ReadBatch>,
    spent: &Receiver<Vec<Event>>,
) {
    let sources: Vec<SourceMetrics> = followed.iter().map(|one| watch.metrics.source(&one.source.name)).collect();
    let mut wake = Wake::new();
    watch.spools.wake(wake.sender());
    let mut number = last_batch;
    let mut notices = Vec::new();
    let mut looked: Option<Instant> = None;
    let mut everything = false;
    let mut reading = Reading::default();
    let mut began = Instant::now();
    let mut ticked: Option<Instant> = None;
    while !stop.is_set() {
        let hints = wake.hints();
        everything |= hints.everything;
        let due = if everything { LOOK_AGAIN } else { LOOK };
        if looked.is_none_or(|looked| looked.elapsed() >= due) {
            everything = false;
            tailer.look(now(), &mut notices);
            looked = Some(Instant::now());
            wake.watch(&tailer.watched_folders(), watch.metrics);
            watch.gauge(&tailer, &sources);
        } else {
            // What is open is read anyway; of the rest only what was told of is looked at.
            let told = hints.paths.iter().filter(|(path, anew)| **anew || !tailer.is_open(path));
            let told: Vec<&Path> = told.map(|(path, _)| path.as_path()).collect();
            if !told.is_empty() {
                tailer.look_at(told.into_iter(), now(), &mut notices);
            }
        }
        // The index hands events back to be dropped here, where they were made: across threads that costs more than it seems.
        for mut events in spent.try_iter() {
            events.clear();
            if reading.events.capacity() == 0 {
                reading.events = events;
            }
        }
        if reading.segments.is_empty() {
            reading.read_at = now();
        }
        let busy = tailer.read(now(), &mut reading, &mut notices);
        tell(&mut notices, followed, &sources);
        let due = reading.events.len() >= BATCH_RECORDS || began.elapsed() >= BATCH_AGE || !busy;
        // Names and ends of files are journalled, too, if no lines come to go with them.
        let renamed = !busy && tailer.has_changes();
        if (due && !reading.segments.is_empty()) || renamed {
            number += 1;
            let batch = finish(&mut tailer, std::mem::take(&mut reading), number, &sources);
            if batches.send(batch).is_err() {
                return;
            }
        }
        // A batch of nothing: now it is known that nothing has come. While there is more to read it is not.
        if !busy && ticked.is_none_or(|ticked| ticked.elapsed() >= TICK) {
            ticked = Some(Instant::now());
            reading.read_at = now();
            number += 1;
            let batch = finish(&mut tailer, std::mem::take(&mut reading), number, &sources);
            if batches.send(batch).is_err() {
                return;
            }
        }
        if reading.segments.is_empty() {
            began = Instant::now();
        }
        if !busy {
            let since = looked.map_or(LOOK, |looked| looked.elapsed());
            let wait = LOOK.saturating_sub(since).max(Duration::from_millis(1));
            select! {
                recv(wake.receiver()) -> _ => {}
                default(wait.min(Duration::from_millis(200))) => {}
            }
        }
    }
    if !reading.segments.is_empty() {
        number += 1;
        let batch = finish(&mut tailer, reading, number, &sources);
        let _ = batches.send(batch);
    }
}

fn finish(tailer: &mut Tailer, reading: Reading, number: u64, sources: &[SourceMetrics]) -> ReadBatch {
    let read_at = now();
    for (source, counts) in &reading.counts {
        let Some(metrics) = sources.get(*source) else { continue };
        metrics.lines_read.inc_by(counts.records);
        metrics.bytes_read.inc_by(counts.bytes);
        if counts.zeros > 0 {
            metrics.zero_bytes.inc_by(counts.zeros);
            tracing::info!(source, bytes = counts.zeros, "zeros before a line were passed over");
        }
        metrics.last_read.set(read_at / 1000);
        for (format, count) in &counts.events {
            metrics.events_parsed(format).inc_by(*count);
        }
        for (reason, count) in &counts.rejected {
            metrics.quarantined(reason).inc_by(*count);
        }
    }
    let (positions, forgotten) = tailer.changed();
    ReadBatch {
        batch: Batch { number, read_at: reading.read_at, segments: reading.segments },
        events: reading.events,
        positions,
        forgotten,
    }
}

/// Whom the reader tells that it is well. It does so only between batches: if the stages behind it are stuck, it is, too.
pub(super) struct Watch<'w> {
    pub(super) metrics: &'w Metrics,
    pub(super) health: &'w Health,
    pub(super) spools: &'w Spools,
}

/// Less than this to be read counts as caught up.
const BACKLOG: u64 = 1 << 20;

impl Watch<'_> {
    fn gauge(&self, tailer: &Tailer, sources: &[SourceMetrics]) {
        self.metrics.pipeline_heartbeat_timestamp_seconds.set(now() / 1000);
        self.health.beat(now());
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        self.health.set_caught_up(tailer.lag().values().sum::<u64>() < BACKLOG);
        for (source, lag) in tailer.lag() {
            if let Some(metrics) = sources.get(source) {
                metrics.lag_bytes.set(i64::try_from(lag).unwrap_or(i64::MAX));
            }
        }
        for (source, (files, deleted)) in tailer.held() {
            if let Some(metrics) = sources.get(source) {
                metrics.files_open.set(i64::try_from(files).unwrap_or(i64::MAX));
                metrics.held_deleted_bytes.set(i64::try_from(deleted).unwrap_or(i64::MAX));
            }
        }
    }
}

/// The daemon's own log and its metrics; the tailer itself neither logs nor counts.
fn tell(notices: &mut Vec<Notice>, followed: &[Followed], sources: &[SourceMetrics]) {
    let mut seen: BTreeMap<usize, u64> = BTreeMap::new();
    for notice in notices.drain(..) {
        let name = |source: usize| followed.get(source).map_or("", |one| one.source.name.as_str());
        match notice {
            Notice::Opened { source, path } => {
                // Thousands of files at a start are told once.
                let count = seen.entry(source).or_default();
                *count += 1;
                if *count <= 20 {
                    tracing::info!(source = name(source), path, "reading a new file");
                }
            }
            Notice::Renamed { source, path } => {
                sources[source].rotations.inc();
                tracing::info!(source = name(source), path, "a file goes on under another name");
            }
            Notice::Truncated { source, path } => {
                sources[source].truncations.inc();
                tracing::info!(source = name(source), path, "a file was truncated and is read from its start");
            }
            Notice::Finished { source, path } => tracing::info!(source = name(source), path, "a file is finished"),
            Notice::Lost { source, path, bytes, cause } => {
                sources[source].lost_bytes(cause).inc_by(bytes.unwrap_or(0).max(1));
                tracing::error!(source = name(source), path, bytes, cause, "lines were lost before they could be read");
            }
            // The files of a spool come with the records.
            Notice::Waiting { source } if followed[source].source.spooled() => {}
            Notice::Waiting { source } => {
                tracing::warn!(source = name(source), "no file is there yet; waiting for one");
            }
            Notice::OutOfDescriptors { open } => {
                tracing::error!(
                    open,
                    "no file descriptors are left; files wait until some are free (raise LimitNOFILE of the service)"
                );
            }
            Notice::Unreadable { path, error } => {
                tracing::error!(path, error, "a file cannot be read; trying again at every look");
            }
        }
    }
}
