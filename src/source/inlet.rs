//! Where a receiver hands in what it received: into the source's spool, with the numbers and words an operator needs. Not for receiving.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus::{IntCounter, IntGauge};

use super::spool::{Spool, SpoolError};
use super::spool_line::Received;
use crate::metrics::Metrics;

/// The way into one source. Cheap to clone.
#[derive(Clone)]
pub struct Inlet {
    shared: Arc<Shared>,
}

struct Shared {
    source: String,
    spool: Spool,
    metrics: Metrics,
    received: IntCounter,
    bytes: IntGauge,
    /// Nothing can be taken in; said once, until it can be again.
    stopped: AtomicBool,
}

impl Inlet {
    /// `transport` is how it travels: `udp`, `tcp`, `tls`, `push`, `stdin`, `journal`.
    pub fn new(source: &str, transport: &'static str, spool: Spool, metrics: &Metrics) -> Inlet {
        let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        metrics.spool_capacity_bytes.with_label_values(&[source]).set(whole(spool.max_bytes()));
        let bytes = metrics.spool_bytes.with_label_values(&[source]);
        bytes.set(whole(spool.bytes()));
        let shared = Shared {
            source: source.to_owned(),
            received: metrics.received_total.with_label_values(&[source, transport]),
            metrics: metrics.clone(),
            spool,
            bytes,
            stopped: AtomicBool::new(false),
        };
        Inlet { shared: Arc::new(shared) }
    }

    /// Takes records in, all of them or none; comes back when they are on the disk. Blocks. What is not taken is counted as refused: for
    /// receivers whose senders are told so.
    pub fn take(&self, records: &[Received<'_>]) -> Result<(), SpoolError> {
        self.offer(records).inspect_err(|error| {
            let cause = match error {
                SpoolError::Full { .. } => "full",
                SpoolError::Io(_) => "disk",
            };
            self.refuse(cause, records.len() as u64);
        })
    }

    /// As [`Inlet::take`], but refuses nothing: for receivers that keep the records and offer them again.
    pub fn offer(&self, records: &[Received<'_>]) -> Result<(), SpoolError> {
        let shared = &*self.shared;
        let taken = shared.spool.append(records);
        shared.bytes.set(i64::try_from(shared.spool.bytes()).unwrap_or(i64::MAX));
        match &taken {
            Ok(()) => {
                shared.received.inc_by(records.len() as u64);
                if shared.stopped.swap(false, Ordering::Relaxed) {
                    tracing::info!(source = shared.source, "the spool takes records again");
                }
            }
            Err(error) => {
                if !shared.stopped.swap(true, Ordering::Relaxed) {
                    tracing::error!(source = shared.source, %error, "nothing is acknowledged until the spool takes records again");
                }
            }
        }
        taken
    }

    /// Counts what is not taken in: records, or requests where nobody looked into them.
    pub fn refuse(&self, cause: &'static str, count: u64) {
        self.shared.metrics.refused_total.with_label_values(&[&self.shared.source, cause]).inc_by(count);
    }

    /// The source's name.
    pub fn source(&self) -> &str {
        &self.shared.source
    }

    /// The spool behind it.
    pub fn spool(&self) -> &Spool {
        &self.shared.spool
    }
}
