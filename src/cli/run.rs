//! `crmwatch run`: the daemon in the foreground.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;

use super::{ConfigFile, Exit};
use crate::config::Config;
use crate::pipeline::{self, RunError};

/// Run the daemon.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    config: ConfigFile,
}

impl Run {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let config = Config::load(&self.config.config)?;
        log();
        let stop = Arc::new(AtomicBool::new(false));
        // The first signal drains; a second one ends at once, which is safe: what is not durable is read again at the next start.
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            signal_hook::flag::register_conditional_shutdown(
                signal,
                i32::from(Exit::Interrupted.code()),
                stop.clone(),
            )?;
            signal_hook::flag::register(signal, stop.clone())?;
        }
        match pipeline::run(&config, &stop) {
            Ok(()) => Ok(Exit::Fine),
            Err(error @ RunError::Configuration(_)) => {
                eprintln!("crmwatch: {error}");
                Ok(Exit::Configuration)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The daemon's own log: text on a terminal, JSON lines otherwise (journald keeps them whole). `CRMWATCH_LOG=debug` shows more.
pub(super) fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("CRMWATCH_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,tantivy=warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Set once; in a test another may have been first, which does no harm.
    let _ = if std::io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
}
