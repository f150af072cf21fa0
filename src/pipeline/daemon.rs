//! The daemon: takes the state directory, starts what surrounds the pipeline, and keeps sessions of it going until told to stop.

use std::fs::File;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crmwatch_detectors::{Event, EventId};
use crossbeam_channel::{Receiver, bounded};

use super::ending::{Orders, Progress, Stage, farewell, watch};
use super::receivers::{self, Receivers};
use super::rulebook::Rulebook;
use super::session::{Lasting, session};
use super::socket::Socket;
use super::spools::Spools;
use super::tend::tend;
use crate::alert::{AlertSettings, AlertStage, Channel, EmailChannel, EventLookup};
use crate::api::{self, ApiState, Health};
use crate::config::Config;
use crate::enrich::{Enricher, Settings};
use crate::ledger::{Ledger, LedgerError};
use crate::metrics::Metrics;
use crate::parse::web::Tables;
use crate::source::Followed;
use crate::store::{Store, StoreError, StoreOptions};

/// Why the daemon ended though nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state directory.
    #[error(
        "state directory {path}: {error}; it must exist and be writable by this user (state_dir in the configuration)"
    )]
    StateDir {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Another process has it.
    #[error("state directory {path} is in use by another crmwatch; one process owns it at a time")]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// The configuration.
    #[error("{0}")]
    Configuration(String),
    /// The address to listen on.
    #[error(
        "cannot listen on {address}: {error}; another program may have it (http.listen and push.listen in the configuration)"
    )]
    Listen {
        /// Which.
        address: std::net::SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// A source that listens.
    #[error(transparent)]
    Receive(#[from] Box<crate::source::syslog::ListenError>),
    /// The index.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// What only a person can mend, or a fault that had not passed when it was told to stop.
    #[error("{0}")]
    Session(String),
}

/// Takes the state directory for this process; held while the file is.
pub fn lock(state_dir: &Path) -> Result<File, RunError> {
    let wrong = |error| RunError::StateDir { path: state_dir.to_owned(), error };
    // It holds what the logs say of people: nobody but owner and group may look in.
    std::fs::DirBuilder::new().recursive(true).mode(0o750).create(state_dir).map_err(wrong)?;
    let file = File::options().create(true).truncate(false).write(true).open(state_dir.join("lock")).map_err(wrong)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(RunError::InUse { path: state_dir.to_owned() }),
        Err(std::fs::TryLockError::Error(error)) => Err(wrong(error)),
    }
}

/// The sources with their URL tables, ready to be followed.
pub fn followed(config: &Config) -> Result<Vec<Followed>, RunError> {
    config
        .sources
        .iter()
        .map(|source| {
            let tables = match &source.urls {
                Some(urls) => Tables::load(urls).map_err(|error| RunError::Configuration(error.to_string()))?,
                None => Tables::shipped(),
            };
            Ok(Followed { source: Arc::new(source.followed(&config.state_dir)), tables: Arc::new(tables) })
        })
        .collect()
}

/// Faults that pass are waited for this long at first, then twice as long each time.
const PATIENCE: Duration = Duration::from_millis(500);
/// But never longer.
const PATIENCE_LIMIT: Duration = Duration::from_secs(10);
/// Before an alert stage that failed is begun anew.
const ALERT_REST: Duration = Duration::from_secs(5);
/// How long a mail that is being sent may hold up the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs until it is ordered to stop and everything read is durable. If that takes longer than the configuration allows, the process ends
/// with `exit_code` all the same, after saying what did not finish.
pub fn run(config: &Config, orders: Orders, exit_code: u8) -> Result<(), RunError> {
    let (metrics, progress) = (Metrics::new(), Progress::default());
    let (stop, rulebook) = (Arc::clone(&orders.stop), rulebook(config)?);
    watch(orders, config.stop_timeout, progress.clone(), metrics.clone(), rulebook.clone(), exit_code)
        .map_err(RunError::Thread)?;
    run_and_tell(config, &stop, &metrics, &progress, &rulebook, |_| {})?;
    farewell(&config.state_dir, &metrics);
    Ok(())
}

/// The operator's rules as they are on disk.
fn rulebook(config: &Config) -> Result<Rulebook, RunError> {
    config.rule_texts().map(Rulebook::new).map_err(|error| RunError::Configuration(error.to_string()))
}

/// What a daemon shows to the program that started it.
pub struct Started {
    /// Its numbers.
    pub metrics: Metrics,
    /// Where it listens; of use where the configuration left the port open.
    pub address: std::net::SocketAddr,
}

/// A daemon in a thread of this process, as the demonstration has it.
pub struct Running {
    /// What it shows.
    pub started: Started,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), RunError>>,
}

impl Running {
    /// Whether it ended though nobody asked it to.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it, once everything read is durable.
    pub fn end(self) -> Result<(), RunError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(RunError::Session("the daemon ended by a fault of its own".to_owned())))
    }
}

/// Starts a daemon in a thread; comes back once it listens, or with the reason why it does not.
pub fn spawn(config: Config) -> Result<Running, RunError> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let (tell, told) = bounded(1);
    let thread = std::thread::Builder::new()
        .name("daemon".to_owned())
        .spawn(move || {
            let rulebook = rulebook(&config)?;
            let tell = |started| drop(tell.send(started));
            run_and_tell(&config, &flag, &Metrics::new(), &Progress::default(), &rulebook, tell)
        })
        .map_err(RunError::Thread)?;
    match told.recv() {
        Ok(started) => Ok(Running { started, stop, thread }),
        // It hung up without a word: it has ended.
        Err(_) => match thread.join() {
            Ok(Err(error)) => Err(error),
            _ => Err(RunError::Session("the daemon ended before it had started".to_owned())),
        },
    }
}

fn run_and_tell(
    config: &Config,
    stop: &Arc<AtomicBool>,
    metrics: &Metrics,
    progress: &Progress,
    rulebook: &Rulebook,
    tell: impl FnOnce(Started),
) -> Result<(), RunError> {
    let starting = progress.at(Stage::Start);
    let _lock = lock(&config.state_dir)?;
    let health = Health::new();
    let followed = followed(config)?;
    let enrich = Settings::of(config);
    let enricher = Enricher::new(&enrich).map_err(|error| RunError::Configuration(error.to_string()))?;
    metrics.set_country_database(&enricher.build_info().country.date);
    drop(enricher);
    for source in &config.sources {
        // Every source is shown from the start: one that never speaks must not look like one that does not exist.
        metrics.source(&source.name);
    }
    for over in config.allowances.iter().filter(|one| one.until < super::now()) {
        let until = crmwatch_detectors::json::timestamp(over.until);
        let section = over.knowledge.word();
        tracing::warn!(
            section,
            reason = over.reason,
            until,
            "an entry of the configuration is over and covers nothing any more"
        );
    }
    let spools = Spools::open(config)?;
    let store = Store::open(
        &config.state_dir,
        StoreOptions { partition_events: config.retention.partition_events, ..StoreOptions::default() },
    )?;
    let (alert_sender, alert_receiver) = bounded(1);
    let alerting = Alerting::start(config, metrics, &store, rulebook, alert_receiver)?;
    let push = receivers::push(config, &spools, metrics);
    let state = ApiState {
        metrics: metrics.clone(),
        health: health.clone(),
        state_dir: config.state_dir.clone(),
        locale: config.locale.clone(),
        push: push.clone().filter(|_| config.push.is_none()),
    };
    let server =
        api::serve(config.listen, state).map_err(|error| RunError::Listen { address: config.listen, error })?;
    tracing::info!(address = %server.address(), "listening");
    let push_server = receivers::push_server(config, push)?;
    tell(Started { metrics: metrics.clone(), address: server.address() });
    let receivers = Receivers::start(config, &spools, metrics, stop)?;
    let socket = Socket::open(&config.state_dir, &config.locale, &store)?;
    let lasting = Lasting {
        config,
        rulebook,
        state_dir: &config.state_dir,
        followed: &followed,
        enrich: &enrich,
        metrics,
        health: &health,
        store: &store,
        stop,
        alert: &alert_sender,
        spools: &spools,
        progress,
    };
    let (alerts, answers) = (progress.at(Stage::Alerts), progress.at(Stage::Answers));
    drop(starting);
    let outcome = sessions(&lasting);
    // Also where nobody asked for the end: what comes now could not be read.
    if !stop.load(Ordering::Relaxed) {
        progress.ends_by_itself();
    }
    stop.store(true, Ordering::Relaxed);
    receivers.end();
    if let Some(server) = push_server {
        server.stop();
    }
    // The last findings are recorded: now the alert stage takes them in. Questions and metrics are answered to the last.
    alerting.stop();
    drop(alerts);
    socket.close();
    server.stop();
    drop(answers);
    outcome
}

/// Sessions of the pipeline, one after the other: each goes on from what is durable.
fn sessions(lasting: &Lasting<'_>) -> Result<(), RunError> {
    let mut patience = PATIENCE;
    loop {
        let began = Instant::now();
        let error = match session(lasting) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        lasting.metrics.pipeline_stopped.set(1);
        lasting.metrics.pipeline_faults_total.with_label_values(&[error.part()]).inc();
        if error.needs_a_person() {
            return Err(RunError::Session(error.to_string()));
        }
        lasting.health.set_index_writable(false);
        lasting.health.set_caught_up(false);
        // Files, keys and people's words do not stand in these errors, but a path may.
        let why = crate::text::one_line(&error.to_string()).into_owned();
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(&format!("reading is stopped: {why}"))]);
        lasting.health.set_stopped(Some(why));
        tracing::error!(%error, part = error.part(), "the pipeline stopped; nothing is read until it goes on from what is durable");
        if began.elapsed() > PATIENCE_LIMIT {
            patience = PATIENCE;
        }
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if lasting.stop.load(Ordering::Relaxed) {
                return Err(RunError::Session(error.to_string()));
            }
            // Waiting for a fault to pass is not being stuck.
            lasting.health.beat(super::now());
            let more = sd_notify::NotifyState::ExtendTimeoutUsec(60_000_000);
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog, more]);
            std::thread::sleep(Duration::from_millis(50));
        }
        patience = (patience * 2).min(PATIENCE_LIMIT);
    }
}

/// A new alert stage over a ledger connection of its own.
fn alert_stage(config: &Config, metrics: &Metrics, store: &Store, rulebook: &Rulebook) -> Result<AlertStage, RunError> {
    let mut settings = AlertSettings::new(config.alerts.clone(), &config.locale);
    settings.zone_of = Settings::of(config).zone_of().map_err(|error| RunError::Configuration(error.to_string()))?;
    settings.rules = rulebook.manuals().clone();
    let mut channels: Vec<Box<dyn Channel>> = Vec::new();
    if let Some(email) = &config.email {
        let channel = EmailChannel::new(email.clone()).map_err(|error| RunError::Configuration(error.to_string()))?;
        channels.push(Box::new(channel));
    }
    let ledger = Ledger::open(&config.state_dir)?;
    let lookup = Box::new(Lookup(store.clone()));
    Ok(AlertStage::new(ledger, settings, channels, lookup, metrics.clone()))
}

/// The alert stage in its thread.
struct Alerting {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Alerting {
    fn start(
        config: &Config,
        metrics: &Metrics,
        store: &Store,
        rulebook: &Rulebook,
        wake: Receiver<()>,
    ) -> Result<Alerting, RunError> {
        let engine = config.engine_with(&rulebook.wanted());
        let engine = engine.map_err(|error| RunError::Configuration(error.to_string()))?;
        rulebook.manuals().put(engine.rules());
        let stage = alert_stage(config, metrics, store, rulebook)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, config, metrics, store) = (Arc::clone(&stop), config.clone(), metrics.clone(), store.clone());
        let rulebook = rulebook.clone();
        let fell = {
            let metrics = metrics.clone();
            move || {
                metrics.alert_stage_faults_total.with_label_values(&["defect"]).inc();
                tracing::error!(
                    "the alert stage ended by a fault of its own and is begun anew; this is a defect, please report it"
                );
            }
        };
        let again = {
            let flag = Arc::clone(&flag);
            move || {
                while !flag.load(Ordering::Relaxed) {
                    std::thread::sleep(ALERT_REST);
                    match alert_stage(&config, &metrics, &store, &rulebook) {
                        Ok(stage) => return Some(stage),
                        Err(error) => tracing::error!(%error, "the alert stage cannot be begun; trying again"),
                    }
                }
                None
            }
        };
        let work = move || tend(stage, |stage| stage.run(&wake, &flag), fell, again);
        let thread = std::thread::Builder::new().name("alert".to_owned()).spawn(work).map_err(RunError::Thread)?;
        Ok(Alerting { stop, thread })
    }

    /// Stops it. A mail server that does not answer holds this up for a few seconds at most: what it was being sent is in the
    /// outbox, and goes out at the next start under the same Message-ID.
    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let until = Instant::now() + FAREWELL;
        while !self.thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        if self.thread.is_finished() {
            let _ = self.thread.join();
        } else {
            tracing::warn!("a message was being sent when the daemon stopped; it is sent again at the next start");
        }
    }
}

/// The evidence of findings comes from the index.
struct Lookup(Store);

impl EventLookup for Lookup {
    fn get(&self, ids: &[EventId]) -> Vec<Event> {
        self.0.get(ids).unwrap_or_else(|error| {
            tracing::warn!(%error, "evidence cannot be looked up; the alert goes without its lines");
            Vec::new()
        })
    }
}
