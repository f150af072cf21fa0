//! Sends what waits in the outbox, again and again with growing pauses, until it is sent, refused for good, or no longer wanted.
//! Not for how a channel speaks (`email`).

use crmwatch_detectors::Millis;
use sha2::{Digest, Sha256};

use super::{AlertStage, Channel, Delivery, Failure};
use crate::ledger::{LedgerError, MessageRow, Outcome};

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Millis = 15_000;
/// The longest pause.
const LONGEST_PAUSE: Millis = 3_600_000;
/// Messages sent in one turn, so that findings are taken in meanwhile.
const PER_TURN: usize = 20;

/// A channel and whether its way is blocked.
pub(super) struct Outlet {
    channel: Box<dyn Channel>,
    blocked_until: Millis,
    failures: u32,
}

impl Outlet {
    pub(super) fn new(channel: Box<dyn Channel>) -> Outlet {
        Outlet { channel, blocked_until: Millis::MIN, failures: 0 }
    }
}

impl std::ops::Deref for Outlet {
    type Target = dyn Channel;

    fn deref(&self) -> &Self::Target {
        &*self.channel
    }
}

/// The pause before the next attempt: doubling, with up to a quarter taken off so that messages do not come back all at once. The
/// jitter is the message's own, so that the pause is the same whenever it is computed.
fn pause(message_id: &str, attempts: u32) -> Millis {
    let full = FIRST_PAUSE.saturating_mul(1 << attempts.min(20)).min(LONGEST_PAUSE);
    let digest = Sha256::digest(format!("{message_id} {attempts}"));
    full - full / 4 * Millis::from(digest[0]) / 255
}

impl AlertStage {
    pub(super) fn deliver(&mut self, now: Millis) -> Result<(), LedgerError> {
        while let Some((message, outcome)) = self.unrecorded.last() {
            self.ledger.record_attempt(*message, outcome, now)?;
            self.unrecorded.pop();
        }
        for index in 0..self.channels.len() {
            for _ in 0..PER_TURN {
                let outlet = &self.channels[index];
                // A clock that was set back must not block the way for long.
                let blocked = outlet.blocked_until > now && outlet.blocked_until - now <= LONGEST_PAUSE;
                if blocked {
                    break;
                }
                let Some(message) = self.ledger.due_message(outlet.name(), now)? else { break };
                self.attempt(index, &message, now)?;
            }
        }
        Ok(())
    }

    fn attempt(&mut self, index: usize, message: &MessageRow, now: Millis) -> Result<(), LedgerError> {
        let outlet = &mut self.channels[index];
        let channel = outlet.name();
        let result = match &message.letter {
            Some(letter) => outlet.channel.send(&message.message_id, letter, &message.recipients),
            None => Err(Failure::Never("its text cannot be read from the ledger".to_owned())),
        };
        let next = now + pause(&message.message_id, message.attempts);
        let later = |recipients: Vec<String>, refused, error: String| {
            tracing::warn!(channel, message = %message.message_id, attempt = message.attempts + 1, %error, "a message could not be sent; trying again");
            Outcome::Later { recipients, refused, next, error }
        };
        let blocked = matches!(result, Err(Failure::Way(_)));
        let outcome = match result {
            Ok(delivery) => settled(delivery, later),
            Err(Failure::Way(error) | Failure::Later(error)) => later(message.recipients.clone(), Vec::new(), error),
            Err(Failure::Never(error)) => Outcome::Parked { error },
        };
        if blocked {
            outlet.failures += 1;
            outlet.blocked_until = now + pause(channel, outlet.failures - 1);
        } else {
            outlet.failures = 0;
        }
        let word = match &outcome {
            Outcome::Sent { refused } => {
                tracing::info!(channel, message = %message.message_id, incident = message.incident, "a message was sent");
                if !refused.is_empty() {
                    tracing::error!(channel, message = %message.message_id, refused = %refused.join("; "), "some recipients were refused for good: correct [email] to");
                }
                self.metrics.last_successful_mail_timestamp_seconds.set(now / 1000);
                "sent"
            }
            Outcome::Later { .. } => "retry",
            Outcome::Parked { error } => {
                tracing::error!(channel, message = %message.message_id, incident = message.incident, %error, "a message was refused for good and is parked: mend the cause, then `crmwatch alerts outbox --retry`");
                "parked"
            }
        };
        self.metrics.alerts_sent_total.with_label_values(&[channel, word]).inc();
        self.ledger
            .record_attempt(message.id, &outcome, now)
            .inspect_err(|_| self.unrecorded.push((message.id, outcome)))
    }
}

/// The outcome of what the server said about each recipient. Text of a server is as little to be trusted as a log's.
fn settled(delivery: Delivery, later: impl Fn(Vec<String>, Vec<String>, String) -> Outcome) -> Outcome {
    let said = |list: &[(String, String)]| -> Vec<String> {
        list.iter().map(|(who, why)| crate::text::one_line(&format!("{who}: {why}")).into_owned()).collect()
    };
    let refused = said(&delivery.refused);
    if !delivery.later.is_empty() {
        let error = said(&delivery.later).join("; ");
        return later(delivery.later.into_iter().map(|(who, _)| who).collect(), refused, error);
    }
    if delivery.accepted.is_empty() {
        return Outcome::Parked { error: refused.join("; ") };
    }
    Outcome::Sent { refused }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour_and_are_the_same_each_time() {
        let pauses: Vec<Millis> = (0..40).map(|attempts| pause("<crmwatch.1.1.x@example.com>", attempts)).collect();
        assert!((11_000..=15_000).contains(&pauses[0]), "{pauses:?}");
        assert!(pauses[30] > 2_600_000 && pauses.iter().all(|pause| *pause <= LONGEST_PAUSE), "{pauses:?}");
        assert_eq!(pause("<crmwatch.1.1.x@example.com>", 3), pauses[3]);
        assert_ne!(pause("<crmwatch.2.1.x@example.com>", 3), pauses[3]);
    }
}
