//! How far each stage is, for those who wait: the service manager while the daemon starts or replays, and whoever stops it. Ends the process
//! when draining takes too long; that is safe at any moment, since what is not durable is read again. Not for draining itself.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crmwatch_detectors::sigma::Texts;
use sd_notify::NotifyState;

use super::now;
use super::rulebook::Rulebook;
use crate::api::Health;
use crate::config::Config;
use crate::ledger::Ledger;
use crate::metrics::Metrics;

/// What is heard from outside while the daemon runs.
#[derive(Clone)]
pub struct Orders {
    /// Set once: drain and end.
    pub stop: Arc<AtomicBool>,
    /// Set to have the configuration on disk looked at: its rules are taken over, the rest is not.
    pub look: Arc<AtomicBool>,
    /// Where that is.
    pub configuration: PathBuf,
}

/// A part of the daemon that may still be at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Start,
    Replay,
    Reader,
    Absorb,
    Index,
    Alerts,
    Answers,
}

/// In the order in which they end.
const STAGES: [(Stage, &str); 7] = [
    (Stage::Start, "start"),
    (Stage::Replay, "replay"),
    (Stage::Reader, "reader"),
    (Stage::Absorb, "absorb"),
    (Stage::Index, "index"),
    (Stage::Alerts, "alerts"),
    (Stage::Answers, "answers"),
];

#[derive(Default)]
struct State {
    at_work: AtomicU8,
    recorded: AtomicU64,
    recorded_events: AtomicU64,
    indexed: AtomicU64,
    indexed_events: AtomicU64,
    /// When the service manager and the log were last told of a replay.
    told: Mutex<Option<(Instant, Instant)>>,
    /// The end has begun without an order.
    by_itself: AtomicBool,
}

/// Shared by all stages. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<State>);

/// A stage at work, until dropped.
pub(super) struct AtWork(Arc<State>, u8);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.fetch_and(!self.1, Ordering::AcqRel);
    }
}

/// The service manager is told of a replay so often, and given so much more time each.
const TELL: Duration = Duration::from_secs(1);
const MORE_TIME: Duration = Duration::from_secs(60);
/// The log is told so often.
const LOG: Duration = Duration::from_secs(10);

impl Progress {
    /// A stage begins.
    pub(super) fn at(&self, stage: Stage) -> AtWork {
        let bit = 1 << stage as u8;
        self.0.at_work.fetch_or(bit, Ordering::AcqRel);
        AtWork(Arc::clone(&self.0), bit)
    }

    /// A session goes on after that batch, which is everywhere.
    pub(super) fn begin(&self, batch: u64) {
        for (cell, value) in [
            (&self.0.recorded, batch),
            (&self.0.indexed, batch),
            (&self.0.recorded_events, 0),
            (&self.0.indexed_events, 0),
        ] {
            cell.store(value, Ordering::Release);
        }
    }

    /// A batch is durable in the ledger.
    pub(super) fn recorded(&self, batch: u64, events: usize) {
        self.0.recorded.store(batch, Ordering::Release);
        self.0.recorded_events.fetch_add(events as u64, Ordering::AcqRel);
    }

    /// The batches up to that one are in the index, with so many events more.
    pub(super) fn indexed(&self, batch: u64, events: u64) {
        self.0.indexed.store(batch, Ordering::Release);
        self.0.indexed_events.fetch_add(events, Ordering::AcqRel);
    }

    /// A batch of a replay is about to be read: feeds the watchdog and asks for more time to start. False where it is to be left, since
    /// the daemon is to stop: the next start does it.
    pub(super) fn replaying(&self, number: u64, of: u64, health: &Health, stop: &AtomicBool) -> bool {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        health.beat(now());
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (notified, logged) = told.unzip();
        if notified.is_none_or(|at| at.elapsed() >= TELL) {
            let status = format!("reading again what was not durable at the last stop: batch {number} of {of}");
            let more = u32::try_from(MORE_TIME.as_micros()).unwrap_or(u32::MAX);
            let _ = sd_notify::notify(&[
                NotifyState::Status(&status),
                NotifyState::ExtendTimeoutUsec(more),
                NotifyState::Watchdog,
            ]);
            let log = logged.is_none_or(|at| at.elapsed() >= LOG);
            if log {
                tracing::info!(batch = number, of, "reading again what was not durable at the last stop");
            }
            let at = Instant::now();
            *told = Some((at, if log { at } else { logged.unwrap_or(at) }));
        }
        true
    }

    /// The daemon ends by a fault, though nobody ordered it to.
    pub(super) fn ends_by_itself(&self) {
        self.0.by_itself.store(true, Ordering::Release);
    }

    fn unfinished(&self) -> Vec<&'static str> {
        let at_work = self.0.at_work.load(Ordering::Acquire);
        STAGES.iter().filter(|(stage, _)| at_work & (1 << *stage as u8) != 0).map(|(_, name)| *name).collect()
    }

    /// Batches and events that are in the ledger and not yet in the index.
    fn waiting(&self) -> (u64, u64) {
        let load = |cell: &AtomicU64| cell.load(Ordering::Acquire);
        let batches = load(&self.0.recorded).saturating_sub(load(&self.0.indexed));
        (batches, load(&self.0.recorded_events).saturating_sub(load(&self.0.indexed_events)))
    }
}

/// Messages that wait to be sent, by channel, as last counted.
fn outbox(metrics: &Metrics) -> Vec<(String, i64)> {
    use prometheus::core::Collector;
    let families = metrics.outbox_messages.collect();
    families
        .iter()
        .flat_map(|family| family.get_metric())
        .map(|one| {
            let channel = one.get_label().first().map_or("", |label| label.value());
            (channel.to_owned(), one.get_gauge().get_value() as i64)
        })
        .collect()
}

/// A draining that was completed.
pub(super) fn farewell(state_dir: &Path, metrics: &Metrics) {
    // Counted once more: the alert stage may have been in the middle of a message.
    let count = |ledger: Ledger| {
        outbox(metrics)
            .iter()
            .filter_map(|(name, _)| ledger.waiting(name).ok())
            .map(|waiting| waiting.queued)
            .sum::<i64>()
    };
    let mails_waiting = Ledger::open(state_dir).map_or(0, count);
    tracing::info!(mails_waiting, "stopped; everything read is durable");
}

/// How often the orders are looked at.
const LISTEN: Duration = Duration::from_millis(100);
/// How long the report of what did not finish may take: a log that nobody takes must not hold up the end either.
const REPORT: Duration = Duration::from_secs(1);

/// Watches over the orders from a thread of its own, and ends the process if it has not ended by itself `within` that time after the
/// order to stop.
pub(super) fn watch(
    orders: Orders,
    within: Duration,
    progress: Progress,
    metrics: Metrics,
    rulebook: Rulebook,
    exit_code: u8,
) -> std::io::Result<()> {
    std::thread::Builder::new().name("orders".to_owned()).spawn(move || {
        while !orders.stop.load(Ordering::Relaxed) {
            if orders.look.swap(false, Ordering::AcqRel) {
                look(&orders, &metrics, &rulebook);
            }
            std::thread::sleep(LISTEN);
        }
        let _ =
            sd_notify::notify(&[NotifyState::Stopping, NotifyState::Status("draining: making durable what was read")]);
        if !progress.0.by_itself.load(Ordering::Acquire) {
            tracing::info!(seconds = within.as_secs(), "told to stop: draining; a second signal ends at once");
        }
        std::thread::sleep(within);
        let reporter =
            std::thread::Builder::new().name("report".to_owned()).spawn(move || report(&progress, &metrics, within));
        let until = Instant::now() + REPORT;
        while reporter.as_ref().is_ok_and(|thread| !thread.is_finished()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Not through the exit handlers: whatever hangs might hang there, too.
        signal_hook::low_level::exit(i32::from(exit_code));
    })?;
    Ok(())
}

fn report(progress: &Progress, metrics: &Metrics, within: Duration) {
    let (batches, events) = progress.waiting();
    tracing::error!(
        unfinished = progress.unfinished().join(", "),
        batches_not_indexed = batches,
        events_not_indexed = events,
        mails_waiting = outbox(metrics).iter().map(|(_, waiting)| waiting).sum::<i64>(),
        seconds = within.as_secs(),
        "draining took too long and was cut short; nothing is lost: the next start reads it again and sends what waits"
    );
}

/// A hangup asks for what is new on disk. The rules are taken over between two batches; the rest of the configuration is looked at, so
/// that a mistake shows before the restart that would fail by it.
fn look(orders: &Orders, metrics: &Metrics, rulebook: &Rulebook) {
    let path = orders.configuration.display().to_string();
    let read = || -> Result<Texts, String> {
        let config = Config::load(&orders.configuration).map_err(|error| error.to_string())?;
        let rules = config.rule_texts().map_err(|error| error.to_string())?;
        config.engine_with(&rules).map_err(|error| error.to_string())?;
        Ok(rules)
    };
    match read() {
        Ok(rules) => {
            metrics.config_last_reload_successful.set(1);
            let files = rules.files.len();
            if rulebook.want(rules) {
                metrics.config_last_reload_timestamp_seconds.set(now() / 1000);
                tracing::info!(path, files, "the rules on disk are right and taken over with the next batch");
            }
            tracing::info!(
                path,
                "the configuration on disk is right; but for its rules it is taken over by a restart only"
            );
        }
        Err(error) => {
            metrics.config_last_reload_successful.set(0);
            tracing::error!(path, %error, "the configuration or the rules on disk are wrong: a restart would be refused; the old ones stay in force");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_work_and_what_waits_is_known_in_the_order_of_ending() {
        let progress = Progress::default();
        let index = progress.at(Stage::Index);
        let reader = progress.at(Stage::Reader);
        progress.begin(7);
        progress.recorded(8, 100);
        progress.recorded(9, 20);
        progress.indexed(8, 100);
        assert_eq!(progress.unfinished(), ["reader", "index"]);
        assert_eq!(progress.waiting(), (1, 20));
        drop(reader);
        assert_eq!(progress.unfinished(), ["index"]);
        drop(index);
        progress.begin(9);
        assert_eq!((progress.unfinished(), progress.waiting()), (Vec::new(), (0, 0)));
    }

    #[test]
    fn a_replay_goes_on_until_it_is_told_to_stop() {
        let (progress, health, stop) = (Progress::default(), Health::new(), AtomicBool::new(false));
        assert!(progress.replaying(1, 2, &health, &stop));
        assert!(health.last_beat() > 0, "whoever asks sees that it moves");
        stop.store(true, Ordering::Relaxed);
        assert!(!progress.replaying(2, 2, &health, &stop));
    }
}
