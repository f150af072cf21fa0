//! What every channel is: a way to hand a message to people. One file per channel; the outbox, retries and limits are not its business.

use crmwatch_detectors::Severity;

use crate::ledger::Letter;

/// What became of a message the server listened to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Who has it now.
    pub accepted: Vec<String>,
    /// Who never will, and with what words.
    pub refused: Vec<(String, String)>,
    /// Who may be tried again, and why.
    pub later: Vec<(String, String)>,
}

/// Why nothing was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The way is blocked for every message: no connection, no login. Tried again.
    Way(String),
    /// This message is refused for now.
    Later(String),
    /// This message is refused for good.
    Never(String),
}

/// A way to hand a message to people.
pub trait Channel: Send {
    /// Its name in metrics and in the outbox.
    fn name(&self) -> &'static str;
    /// Incidents below are not told.
    fn least_severity(&self) -> Severity;
    /// Beyond this, messages are summed up.
    fn max_per_hour(&self) -> u32;
    /// To whom.
    fn recipients(&self) -> Vec<String>;
    /// What message ids end in.
    fn domain(&self) -> String;
    /// Hands a message to some of the recipients.
    fn send(&mut self, message_id: &str, letter: &Letter, recipients: &[String]) -> Result<Delivery, Failure>;
}
