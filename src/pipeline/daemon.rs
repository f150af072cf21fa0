//! The daemon: takes the state directory, starts what surrounds the pipeline, and keeps sessions of it going until told to stop.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crmwatch_detectors::Engine;
use crossbeam_channel::bounded;

use super::session::{Lasting, session};
use crate::config::Config;
use crate::enrich::Settings;
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
    /// The index.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What only a person can mend.
    #[error("{0}")]
    Session(String),
}

/// Takes the state directory for this process; held while the file is.
pub(crate) fn lock(state_dir: &Path) -> Result<File, RunError> {
    let wrong = |error| RunError::StateDir { path: state_dir.to_owned(), error };
    std::fs::create_dir_all(state_dir).map_err(wrong)?;
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
            Ok(Followed { source: Arc::new(source.clone()), tables: Arc::new(tables) })
        })
        .collect()
}

/// Faults that pass are waited for this long at first, then twice as long each time.
const PATIENCE: Duration = Duration::from_millis(500);
/// But never longer.
const PATIENCE_LIMIT: Duration = Duration::from_secs(30);

/// Runs until `stop` is set and everything read is durable.
pub fn run(config: &Config, stop: Arc<AtomicBool>) -> Result<(), RunError> {
    let _lock = lock(&config.state_dir)?;
    let metrics = Metrics::new();
    let followed = followed(config)?;
    let enrich = Settings::of(config);
    let store = Store::open(&config.state_dir, StoreOptions::default())?;
    let caught_up = AtomicBool::new(false);
    let (alert, _alert_wake) = bounded(1);
    let lasting = Lasting {
        state_dir: &config.state_dir,
        followed: &followed,
        enrich: &enrich,
        metrics: &metrics,
        store: &store,
        stop: &stop,
        alert: &alert,
        caught_up: &caught_up,
    };
    let mut patience = PATIENCE;
    loop {
        let engine = Engine::new(&config.detectors).map_err(|error| RunError::Configuration(error.to_string()))?;
        let began = Instant::now();
        match session(&lasting, engine) {
            Ok(()) => return Ok(()),
            Err(error) if error.needs_a_person() => return Err(RunError::Session(error.to_string())),
            Err(error) => {
                tracing::error!(%error, "the pipeline stopped; nothing is read until it goes on from what is durable");
                if began.elapsed() > PATIENCE_LIMIT {
                    patience = PATIENCE;
                }
                let until = Instant::now() + patience;
                while Instant::now() < until {
                    if stop.load(Ordering::Relaxed) {
                        return Err(RunError::Session(error.to_string()));
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                patience = (patience * 2).min(PATIENCE_LIMIT);
            }
        }
    }
}
