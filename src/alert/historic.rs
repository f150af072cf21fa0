//! Old findings of a first start, or of logs that were brought in later: summed up in one message, so that nobody is woken by what was
//! long ago. Not for deciding which are old (`grouping`).

use crmwatch_detectors::Millis;

use super::{AlertStage, summary};
use crate::ledger::{self, FindingRow, LedgerError, NewMessage};

/// A wave is over when nothing came for so long.
const QUIET: Millis = 30_000;
/// A wave that does not end is summed up piece by piece.
const LONGEST: Millis = 600_000;

/// When old findings came, as far as this run of the program knows.
#[derive(Debug, Default)]
pub(super) struct Wave {
    first: Option<Millis>,
    last: Option<Millis>,
}

impl Wave {
    pub(super) fn saw(&mut self, now: Millis) {
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    fn is_over(&mut self, now: Millis) -> bool {
        // After a restart the ledger knows of some and we do not know since when: a wave starts now.
        let first = *self.first.get_or_insert(now);
        let last = *self.last.get_or_insert(now);
        // A clock that was set back must not keep the wave open until it is there again.
        now < first || now.saturating_sub(last) >= QUIET || now.saturating_sub(first) >= LONGEST
    }
}

impl AlertStage {
    pub(super) fn sum_up_historic(&mut self, now: Millis) -> Result<(), LedgerError> {
        if self.ledger.findings_where("historic = 1 AND summed = 0 LIMIT 1", [])?.is_empty() {
            self.wave = Wave::default();
            return Ok(());
        }
        if !self.wave.is_over(now) {
            return Ok(());
        }
        let channels: Vec<_> = self
            .channels
            .iter()
            .map(|outlet| (outlet.name(), outlet.least_severity(), outlet.recipients(), outlet.domain()))
            .collect();
        let settings = &self.settings;
        let told = self.ledger.transaction(|transaction| {
            let counts = summary::counts(transaction)?;
            let findings: Vec<FindingRow> = ledger::findings_in(
                transaction,
                "historic = 1 AND summed = 0 ORDER BY severity DESC, time DESC, id LIMIT ?1",
                [summary::NAMED],
            )?;
            let Some(first) = findings.first() else { return Ok(0) };
            let worst = first.finding.severity;
            for (channel, least, recipients, domain) in &channels {
                if worst < *least {
                    continue;
                }
                let key = format!("historic-{}", first.finding.id);
                let letter = summary::historic(settings, &counts, &findings, now);
                let new = NewMessage {
                    channel,
                    key: &key,
                    incident: None,
                    message_id: &format!("<crmwatch.{key}@{domain}>"),
                    recipients,
                    letter: &letter,
                };
                ledger::queue(transaction, &new, now)?;
            }
            transaction.prepare_cached("UPDATE findings SET summed = 1 WHERE historic = 1 AND summed = 0")?.execute([])
        })?;
        tracing::info!(findings = told, "old findings were summed up");
        self.wave = Wave::default();
        Ok(())
    }
}
