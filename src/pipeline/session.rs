//! One session of the pipeline: opens what is durable, recovers, runs the three stages until told to stop or until one fails.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::{Sender, bounded};

use super::absorb::{Minds, Surroundings, absorb};
use super::clock::Trust;
use super::ending::{Progress, Stage};
use super::index::Index;
use super::reader::{Watch, read};
use super::recover::{RecoverError, recover, same_store};
use super::rulebook::{BeginError, Inforce, Rulebook};
use super::spools::Spools;
use super::{QUEUE, ReadBatch, Recorded};
use crate::api::Health;
use crate::config::{Config, DetectionError};
use crate::enrich::{EnrichError, Enricher, Settings};
use crate::ledger::{Ledger, LedgerError};
use crate::metrics::Metrics;
use crate::source::{Followed, Tailer};
use crate::store::{Store, StoreError};

/// Why a session ended though nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error(transparent)]
    Recover(#[from] RecoverError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Enrich(#[from] EnrichError),
    #[error(transparent)]
    Detection(DetectionError),
    #[error(
        "a stage of the pipeline ended by a fault of its own; this is a defect, please report it with the lines logged before"
    )]
    Panicked,
}

impl SessionError {
    /// Whether only a person can mend it; anything else is tried again. A file of the configuration that cannot be read now was read at
    /// the daemon's start.
    pub(super) fn needs_a_person(&self) -> bool {
        match self {
            SessionError::Recover(error) => error.needs_a_person(),
            SessionError::Ledger(error) => error.needs_a_person(),
            SessionError::Store(error) => error.needs_a_person(),
            SessionError::Enrich(_) | SessionError::Detection(_) | SessionError::Panicked => false,
        }
    }

    /// What failed, in a word for the metric.
    pub(super) fn part(&self) -> &'static str {
        match self {
            SessionError::Recover(RecoverError::Ledger(_)) | SessionError::Ledger(_) => "ledger",
            SessionError::Recover(RecoverError::Store(_)) | SessionError::Store(_) => "index",
            SessionError::Recover(RecoverError::Unreadable { .. }) => "logs",
            SessionError::Recover(
                RecoverError::Strangers { .. } | RecoverError::Gap { .. } | RecoverError::Stopped,
            ) => "state",
            SessionError::Recover(RecoverError::Enrich(_)) => "configuration",
            SessionError::Enrich(_) | SessionError::Detection(_) => "configuration",
            SessionError::Panicked => "defect",
        }
    }
}

impl From<BeginError> for SessionError {
    fn from(error: BeginError) -> SessionError {
        match error {
            BeginError::Ledger(error) => SessionError::Ledger(error),
            BeginError::Detection(error) => SessionError::Detection(error),
        }
    }
}

/// What outlives a session.
pub(super) struct Lasting<'l> {
    pub(super) config: &'l Config,
    pub(super) rulebook: &'l Rulebook,
    pub(super) state_dir: &'l Path,
    pub(super) followed: &'l [Followed],
    pub(super) enrich: &'l Settings,
    pub(super) metrics: &'l Metrics,
    pub(super) health: &'l Health,
    pub(super) store: &'l Store,
    pub(super) stop: &'l AtomicBool,
    pub(super) alert: &'l Sender<()>,
    pub(super) spools: &'l Spools,
    pub(super) progress: &'l Progress,
}

/// Runs until told to stop, or until a stage fails.
pub(super) fn session(lasting: &Lasting<'_>) -> Result<(), SessionError> {
    let mut ledger = Ledger::open(lasting.state_dir)?;
    let store_id = same_store(&mut ledger, lasting.store)?;
    let mut writer = lasting.store.writer()?;
    let (engine, mut rules) = Inforce::begin(lasting.config, lasting.rulebook, &mut ledger)?;
    let mut minds = Minds { enricher: Enricher::new(lasting.enrich)?, engine };
    let replay = lasting.progress.at(Stage::Replay);
    let recovered = match recover(&mut ledger, &mut writer, &mut minds, &mut rules, &store_id, lasting) {
        Err(RecoverError::Stopped) => {
            tracing::info!(
                "told to stop while reading again what was not durable at the last stop; the next start does it"
            );
            return Ok(());
        }
        recovered => recovered?,
    };
    drop(replay);
    if recovered.batches > 0 {
        tracing::info!(
            batches = recovered.batches,
            events = recovered.events,
            lost_bytes = recovered.lost_bytes,
            "read again what was not durable at the last stop"
        );
    }
    let trust = Trust::new(ledger.clock_known()?);
    let positions = ledger.positions()?;
    let last = ledger.last_batch()?;
    rules.renew(last, lasting.rulebook, &mut ledger, &mut minds.engine)?;
    let tailer = Tailer::new(lasting.followed.to_vec(), positions.clone());
    lasting.progress.begin(last);
    let committed = Arc::new(AtomicU64::new(lasting.store.payload().map_or(0, |payload| payload.batch)));
    let index_ended = AtomicBool::new(false);
    // A stage that ends for whatever reason ends the others: the reader looks at this, too.
    let stop_reading = AtomicBool::new(false);
    let (batch_sender, batch_receiver) = bounded::<ReadBatch>(QUEUE);
    let (recorded_sender, recorded_receiver) = bounded::<Recorded>(QUEUE);
    let (spent_sender, spent_receiver) = bounded(1);
    lasting.health.set_stopped(None);
    lasting.metrics.pipeline_stopped.set(0);
    lasting.health.set_index_writable(true);
    tracing::info!(batch = last, "reading begins");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status("reading")]);
    let either = Either(lasting.stop, &stop_reading);
    let around = Surroundings {
        metrics: lasting.metrics,
        committed: &committed,
        index_ended: &index_ended,
        alert: lasting.alert,
        spools: lasting.spools,
        progress: lasting.progress,
        rulebook: lasting.rulebook,
    };
    let outcomes = std::thread::scope(|scope| {
        let reader = named(scope, "reader", || {
            let _at_work = lasting.progress.at(Stage::Reader);
            read(
                tailer,
                lasting.followed,
                last,
                &Watch { metrics: lasting.metrics, health: lasting.health, spools: lasting.spools },
                &either,
                batch_sender,
                &spent_receiver,
            );
            Ok(())
        });
        let absorber = named(scope, "absorb", || {
            let _at_work = lasting.progress.at(Stage::Absorb);
            let outcome = absorb(minds, ledger, rules, batch_receiver, recorded_sender, &around);
            stop_reading.store(true, Ordering::Release);
            outcome.map_err(SessionError::from)
        });
        let indexer = named(scope, "index", || {
            let _at_work = lasting.progress.at(Stage::Index);
            let index = Index {
                store: lasting.store,
                store_id: &store_id,
                state_dir: lasting.state_dir,
                retention: lasting.config.retention,
                committed: &committed,
                metrics: lasting.metrics,
                progress: lasting.progress,
                spent: spent_sender,
                trust: trust.into(),
                turn: 0.into(),
            };
            let outcome = index.run(writer, positions, recorded_receiver);
            index_ended.store(true, Ordering::Release);
            stop_reading.store(true, Ordering::Release);
            outcome.map_err(SessionError::from)
        });
        // The index's fault is told first: it is what makes the middle stage end early.
        [indexer, absorber, reader].map(|thread| {
            let outcome = thread
                .map_or(Err(SessionError::Panicked), |thread| thread.join().unwrap_or(Err(SessionError::Panicked)));
            index_ended.store(true, Ordering::Release);
            stop_reading.store(true, Ordering::Release);
            outcome
        })
    });
    lasting.health.set_caught_up(false);
    outcomes.into_iter().collect()
}

fn named<'scope, T: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> std::io::Result<std::thread::ScopedJoinHandle<'scope, T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work)
}

/// Set when either is set.
pub(super) struct Either<'f>(pub(super) &'f AtomicBool, pub(super) &'f AtomicBool);

impl Either<'_> {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) || self.1.load(Ordering::Relaxed)
    }
}
