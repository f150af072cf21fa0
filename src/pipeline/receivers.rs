//! The receivers: what brings records of sources that are no files into their spools. Not for what they receive.
//!
//! Each is started here, in a thread of its own, and ends when the daemon is told to stop. Push has no thread here: it is part of the HTTP
//! face.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::spools::Spools;
use super::{RunError, now};
use crate::api::{self, Entrance, Push, Server};
use crate::config::{Arrival, Config, Source};
use crate::metrics::Metrics;
use crate::source::syslog::{self, Listener};
use crate::source::{Inlet, Journal, Surroundings, read_lines};

/// How long they may take to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// The sources that are pushed to; nothing where there are none.
pub(super) fn push(config: &Config, spools: &Spools, metrics: &Metrics) -> Option<Push> {
    let entrances: Vec<Entrance> = config
        .sources
        .iter()
        .filter_map(|source| match &source.arrival {
            Arrival::Push(door) => Some(Entrance {
                inlet: inlet(source, "push", spools, metrics),
                door: door.clone(),
                max_line: source.max_line,
                trusted_proxies: source.trusted_proxies.clone(),
            }),
            _ => None,
        })
        .collect();
    for source in &config.sources {
        for name in source.secrets() {
            if let Err(error) = api::secret(name) {
                tracing::error!(source = source.name, %error, "a secret of push cannot be read; nobody is let in until it can");
            }
        }
    }
    (!entrances.is_empty()).then(|| Push::new(entrances, config.push_body, now))
}

/// The listener of its own that push may have.
pub(super) fn push_server(config: &Config, push: Option<Push>) -> Result<Option<Server>, RunError> {
    let (Some(listener), Some(push)) = (&config.push, push) else { return Ok(None) };
    let tls = match &listener.tls {
        Some((certificate, key)) => {
            let config = syslog::tls::server_config(certificate, key, None);
            Some(config.map_err(|error| RunError::Configuration(format!("[push] {error}")))?)
        }
        None => None,
    };
    let server = api::serve_push(listener.listen, tls, push)
        .map_err(|error| RunError::Listen { address: listener.listen, error })?;
    tracing::info!(address = %server.address(), "listening for push");
    Ok(Some(server))
}

/// The receivers at work.
pub(super) struct Receivers {
    threads: Vec<JoinHandle<()>>,
    journals: Vec<Journal>,
}

impl Receivers {
    /// Starts them all; what cannot be (a port that is taken) is an error of the start.
    pub(super) fn start(
        config: &Config,
        spools: &Spools,
        metrics: &Metrics,
        stop: &Arc<AtomicBool>,
    ) -> Result<Receivers, RunError> {
        let mut receivers = Receivers { threads: Vec::new(), journals: Vec::new() };
        let mut listeners = Vec::new();
        for source in &config.sources {
            match &source.arrival {
                // Push: the HTTP face.
                Arrival::Files | Arrival::Push(_) => {}
                Arrival::Syslog(syslog) => {
                    let inlet = inlet(source, syslog.endpoint.transport.word(), spools, metrics);
                    listeners.push(Listener::bind(syslog, source.max_line, inlet, metrics).map_err(Box::new)?);
                }
                Arrival::Stdin => receivers.standard_input(source, inlet(source, "stdin", spools, metrics), stop)?,
                Arrival::Journal(matches) => {
                    let journal = Journal::new(matches, source.start);
                    receivers.journals.push(journal.clone());
                    receivers.journal(journal, inlet(source, "journal", spools, metrics), stop)?;
                }
            }
        }
        if !listeners.is_empty() {
            let told = Arc::clone(stop);
            receivers.thread("syslog", stop, move |_| {
                if let Err(error) = syslog::serve(listeners, &told) {
                    tracing::error!(%error, "no syslog is received any more; restart the daemon");
                }
            })?;
        }
        Ok(receivers)
    }

    fn standard_input(&mut self, source: &Source, inlet: Inlet, stop: &Arc<AtomicBool>) -> Result<(), RunError> {
        let max_line = source.max_line;
        self.thread("stdin", stop, move |around| match read_lines(&mut std::io::stdin(), &inlet, max_line, around) {
            Ok(()) if (around.stop)() => {}
            Ok(()) => tracing::info!(source = inlet.source(), "standard input has ended; the other sources go on"),
            Err(error) => tracing::error!(source = inlet.source(), %error, "standard input cannot be read"),
        })
    }

    fn journal(&mut self, journal: Journal, inlet: Inlet, stop: &Arc<AtomicBool>) -> Result<(), RunError> {
        self.thread("journal", stop, move |around| journal.follow(&inlet, around))
    }

    fn thread(
        &mut self,
        name: &str,
        stop: &Arc<AtomicBool>,
        work: impl FnOnce(&Surroundings<'_>) + Send + 'static,
    ) -> Result<(), RunError> {
        let stop = Arc::clone(stop);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(&Surroundings { stop: &|| stop.load(Ordering::Relaxed), now }))
            .map_err(RunError::Thread)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Waits for them to end; they were told to. One that hangs is left behind: nothing it has is acknowledged.
    pub(super) fn end(self) {
        let until = Instant::now() + FAREWELL;
        for journal in &self.journals {
            journal.interrupt();
        }
        for thread in self.threads {
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
            if thread.is_finished() {
                let _ = thread.join();
            } else {
                tracing::warn!(receiver = thread.thread().name(), "did not end in time");
            }
        }
    }
}

/// The way into a source's spool.
pub(super) fn inlet(source: &Source, transport: &'static str, spools: &Spools, metrics: &Metrics) -> Inlet {
    let spool = spools.of(&source.name).expect("opened for every source whose records do not arrive in files");
    Inlet::new(&source.name, transport, spool.clone(), metrics)
}
