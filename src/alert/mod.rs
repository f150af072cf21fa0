//! From findings to incidents to messages that arrive. Not for deciding what is a finding.
//!
//! Everything is done by [`AlertStage::work`], which is called whenever something may be new and, through the same path, every second.
//! Each of its steps reads what the ledger says is to be done and commits what it did, so that a crash between any two of them repeats
//! at most the sending of one message, which then carries the same Message-ID.

mod channel;
mod delivery;
mod document;
mod email;
mod evidence;
mod grouping;
mod historic;
mod mail;
mod notices;
mod summary;
mod words;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono_tz::Tz;
use crmwatch_detectors::{Millis, Rule};

pub use channel::{Channel, Delivery, Failure};
pub use email::{EmailChannel, EmailError};
pub use evidence::{EventLookup, EvidenceLine, LINES_KEPT};

use crate::config::Alerts;
use crate::ledger::{Ledger, LedgerError, Outcome};
use crate::metrics::Metrics;

/// Knows the zone a person works in, by any of his names.
pub type ZoneOf = Box<dyn Fn(&str) -> Option<Tz> + Send>;

/// What the stage needs to know.
pub struct AlertSettings {
    /// How findings become alerts.
    pub alerts: Alerts,
    /// `en` or `zh-CN`.
    pub locale: String,
    /// Every rule with its manual.
    pub rules: Manuals,
    /// The zone a person works in, by any of his names; times are shown in UTC where it is not known.
    pub zone_of: ZoneOf,
}

impl AlertSettings {
    /// Settings that know no rule and nobody's zone.
    pub fn new(alerts: Alerts, locale: &str) -> AlertSettings {
        AlertSettings { alerts, locale: locale.to_owned(), rules: Manuals::default(), zone_of: Box::new(|_| None) }
    }
}

/// Every rule with its manual, by id; others take their place while the stage is at work. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Manuals(Arc<RwLock<Arc<BTreeMap<String, Rule>>>>);

impl Manuals {
    /// Those of all rules in force (`Engine::rules`).
    pub fn put(&self, rules: Vec<Rule>) {
        let rules = rules.into_iter().map(|rule| (rule.id.clone(), rule)).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// Those in force now.
    pub fn now(&self) -> Arc<BTreeMap<String, Rule>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Everything between a finding in the ledger and a person.
pub struct AlertStage {
    ledger: Ledger,
    settings: AlertSettings,
    channels: Vec<delivery::Outlet>,
    lookup: Box<dyn EventLookup>,
    metrics: Metrics,
    wave: historic::Wave,
    /// Attempts that were made and could not be written down: nothing more is sent before they are, or it would be sent again and again.
    unrecorded: Vec<(i64, Outcome)>,
}

/// A rest after the ledger could not be used; the next turn does all that is still to be done.
const AFTER_ERROR: Duration = Duration::from_secs(5);
/// Without a signal, the ledger is looked at so often.
const SCAN: Duration = Duration::from_secs(1);

impl AlertStage {
    /// A stage over its own connection to the ledger.
    pub fn new(
        ledger: Ledger,
        settings: AlertSettings,
        channels: Vec<Box<dyn Channel>>,
        lookup: Box<dyn EventLookup>,
        metrics: Metrics,
    ) -> AlertStage {
        for channel in &channels {
            metrics.channel(channel.name());
        }
        AlertStage {
            ledger,
            settings,
            channels: channels.into_iter().map(delivery::Outlet::new).collect(),
            lookup,
            metrics,
            wave: historic::Wave::default(),
            unrecorded: Vec::new(),
        }
    }

    /// Does all there is to do now; `now` is the clock's.
    pub fn work(&mut self, now: Millis) -> Result<(), LedgerError> {
        // A step that fails does not keep the others from what they can do: what waits to be sent goes out on a full disk, too.
        let steps = [
            self.absorb(now),
            self.copy_lines(now),
            self.write_due(now),
            self.sum_up_historic(now),
            self.deliver(now),
            self.measure(now),
        ];
        steps.into_iter().collect()
    }

    /// Works at each signal and each second until told to stop, or until nobody can signal any more. The last turn takes in what is
    /// there but sends nothing: a mail server that does not answer must not hold up the end.
    pub fn run(mut self, wake: &crossbeam_channel::Receiver<()>, stop: &Arc<AtomicBool>) {
        loop {
            let connected = !matches!(wake.recv_timeout(SCAN), Err(crossbeam_channel::RecvTimeoutError::Disconnected));
            if !connected || stop.load(Ordering::Relaxed) {
                break;
            }
            if let Err(error) = self.work(clock()) {
                tracing::error!(%error, "alerts cannot be worked on; trying again");
                self.metrics.alert_stage_faults_total.with_label_values(&["ledger"]).inc();
                std::thread::sleep(AFTER_ERROR);
                match self.ledger.again() {
                    Ok(ledger) => self.ledger = ledger,
                    Err(error) => {
                        tracing::error!(%error, "the ledger cannot be opened again; trying on with the old connection")
                    }
                }
            }
        }
        if let Err(error) = self.absorb(clock()).and_then(|()| self.measure(clock())) {
            tracing::error!(%error, "the last findings will be alerted at the next start");
        }
    }

    fn measure(&self, now: Millis) -> Result<(), LedgerError> {
        for outlet in &self.channels {
            let name = outlet.name();
            let count = self.ledger.waiting(name)?;
            self.metrics.outbox_messages.with_label_values(&[name]).set(count.queued);
            self.metrics.outbox_parked.with_label_values(&[name]).set(count.parked);
            let oldest = count.oldest.map_or(0, |oldest| now.saturating_sub(oldest).max(0) / 1000);
            self.metrics.outbox_oldest_seconds.with_label_values(&[name]).set(oldest);
        }
        let open = self.ledger.open_incidents()?;
        for severity in ["low", "medium", "high", "critical"] {
            let count = open.iter().find(|(one, _)| one.word() == severity).map_or(0, |(_, count)| *count);
            self.metrics.incidents_open.with_label_values(&[severity]).set(count);
        }
        Ok(())
    }
}

/// The clock, for those who own a thread.
fn clock() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// A configured span in milliseconds.
fn millis(span: Duration) -> Millis {
    Millis::try_from(span.as_millis()).unwrap_or(Millis::MAX / 4)
}

#[cfg(test)]
mod tests;
