//! `crmwatch run`: the daemon in the foreground.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{ConfigFile, Exit};
use crate::config::Config;
use crate::pipeline::{self, Orders, RunError};

/// Run the daemon in the foreground.
///
/// SIGTERM or SIGINT (Ctrl-C) drains: reading stops, what was read is made durable, the last findings are recorded, mails that wait stay in
/// the outbox. Exit code 0. If it takes longer than `stop_timeout` it ends with 1 and says what did not finish; a second signal ends it at
/// once with 130. Both are safe: the next start reads again what was not durable. SIGHUP takes over the Sigma rules on disk; the rest of the
/// configuration is looked at, and taken over by a restart.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    config: ConfigFile,
}

impl Run {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let config = Config::load(&self.config.config)?;
        log();
        match pipeline::run(&config, orders(&self.config.config)?, Exit::Failed.code()) {
            Ok(()) => Ok(Exit::Fine),
            Err(error @ RunError::Configuration(_)) => {
                eprintln!("crmwatch: {error}");
                Ok(Exit::Configuration)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The signals. The first to stop drains; a second one ends at once, which is safe: what is not durable is read again at the next start.
fn orders(configuration: &Path) -> io::Result<Orders> {
    let (stop, look) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let mut ending = vec![SIGTERM, SIGINT];
    if io::stderr().is_terminal() {
        // The terminal is gone, and with it whoever wanted to see the daemon in the foreground.
        ending.push(SIGHUP);
    } else {
        signal_hook::flag::register(SIGHUP, Arc::clone(&look))?;
    }
    for signal in ending {
        let code = i32::from(Exit::Interrupted.code());
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(Orders { stop, look, configuration: configuration.to_owned() })
}

/// The daemon's own log: text on a terminal, JSON lines otherwise (journald keeps them whole). `CRMWATCH_LOG=debug` shows more.
pub(super) fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("CRMWATCH_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,tantivy=warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // Set once; in a test another may have been first, which does no harm.
    let _ = if io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
}
