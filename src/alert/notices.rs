//! Decides when a channel is told of an incident, and queues what it is told: the first message after a short wait for more of the same,
//! further ones only where it became worse or another rule joined, no more an hour than the operator wants. Not for the wording.

use crmwatch_detectors::{Millis, Severity};
use rusqlite::Transaction;

use super::evidence::{PATIENCE, kept};
use super::{AlertStage, mail, millis, summary};
use crate::ledger::{self, FindingRow, Incident, IncidentState, Ledger, LedgerError, NewMessage, Notice};

const HOUR: Millis = 3_600_000;
/// Incidents beyond the limit are summed up at most this often.
const SUM_UP_EVERY: Millis = HOUR / 4;
/// Findings of one incident that are looked through for lines before a message.
const FINDINGS_SHOWN: usize = 10;

/// When one channel wants to be told.
pub(super) struct Plan {
    channel: &'static str,
    least: Severity,
    wait: Millis,
    interval: Millis,
}

/// What of an incident is worth telling: silenced findings are not.
struct Worth {
    severity: Option<Severity>,
    rules: Vec<String>,
    silenced: bool,
}

fn worth(connection: &rusqlite::Connection, incident: i64) -> rusqlite::Result<Worth> {
    let mut worth = Worth { severity: None, rules: Vec::new(), silenced: false };
    let mut statement = connection.prepare_cached(
        "SELECT rule, max(severity), silenced IS NOT NULL FROM findings WHERE incident = ?1 GROUP BY rule, silenced IS NOT NULL ORDER BY min(time), rule",
    )?;
    let mut rows = statement.query([incident])?;
    while let Some(row) = rows.next()? {
        if row.get(2)? {
            worth.silenced = true;
            continue;
        }
        worth.severity = worth.severity.max(Some(ledger::severity(row.get(1)?)));
        worth.rules.push(row.get(0)?);
    }
    Ok(worth)
}

/// A silence made since a finding was taken in holds for it too, as long as nothing has been told.
fn apply_silences(transaction: &Transaction<'_>, findings: &[FindingRow], now: Millis) -> rusqlite::Result<()> {
    for row in findings.iter().filter(|row| row.silenced.is_none()) {
        if let Some(silence) = ledger::silence_of(transaction, &row.finding, now)? {
            transaction
                .prepare_cached("UPDATE findings SET silenced = ?2 WHERE id = ?1")?
                .execute((row.finding.id.to_string(), silence))?;
        }
    }
    Ok(())
}

impl Plan {
    /// Whether there is news for the channel: something of its severity, and nothing told yet, or worse, or by another rule.
    fn wants(&self, notice: &Notice, worth: &Worth) -> bool {
        worth.severity.is_some_and(|severity| severity >= self.least)
            && (notice.told_severity.is_none()
                || worth.severity > notice.told_severity
                || worth.rules.iter().any(|rule| !notice.told_rules.contains(rule)))
    }

    /// Nothing is planned further ahead than this: a notice beyond it was planned while the clock was ahead, and is due.
    fn furthest(&self) -> Millis {
        self.wait.saturating_add(self.interval).saturating_add(HOUR)
    }

    fn is_due(&self, due: Millis, now: Millis) -> bool {
        due <= now || due > now.saturating_add(self.furthest())
    }

    /// Sets when the channel is to be told of an incident that changed.
    pub(super) fn schedule(&self, transaction: &Transaction<'_>, incident: i64, now: Millis) -> rusqlite::Result<()> {
        let mut notice = ledger::notice(transaction, incident, self.channel)?;
        if notice.due.is_some() || notice.summed_since.is_some() {
            return Ok(());
        }
        let open = ledger::incident_in(transaction, incident)?.is_some_and(|one| one.state != IncidentState::Closed);
        if !open || !self.wants(&notice, &worth(transaction, incident)?) {
            return Ok(());
        }
        let after_last = notice.told_at.map_or(now, |told| told.min(now).saturating_add(self.interval));
        notice.due = Some(now.saturating_add(self.wait).max(after_last));
        ledger::put_notice(transaction, incident, self.channel, &notice)
    }
}

/// How many messages an hour a severity may fill: a flood of lesser ones leaves room for the worst.
fn allowance(limit: u32, severity: Severity) -> u32 {
    match severity {
        Severity::Critical => limit,
        Severity::High => limit - limit / 8,
        Severity::Medium | Severity::Low => limit - limit / 4,
    }
}

impl AlertStage {
    pub(super) fn plans(&self) -> Vec<Plan> {
        let alerts = &self.settings.alerts;
        self.channels
            .iter()
            .map(|outlet| Plan {
                channel: outlet.name(),
                least: outlet.least_severity(),
                wait: millis(alerts.group_wait),
                interval: millis(alerts.group_interval),
            })
            .collect()
    }

    /// Writes and queues every message that is due.
    pub(super) fn write_due(&mut self, now: Millis) -> Result<(), LedgerError> {
        for (index, plan) in self.plans().iter().enumerate() {
            for incident in due(&self.ledger, plan, now)? {
                self.write(index, plan, incident, now)?;
            }
            self.sum_up_limited(index, plan, now)?;
        }
        Ok(())
    }

    fn write(&mut self, index: usize, plan: &Plan, id: i64, now: Millis) -> Result<(), LedgerError> {
        let Some(incident) = self.ledger.incident(id)? else { return Ok(()) };
        let mut findings = self.ledger.findings_of(id)?;
        let mut waits = false;
        for row in findings.iter_mut().rev().take(FINDINGS_SHOWN) {
            let had = row.lines.as_deref().map_or(0, |lines| kept(lines).len());
            let lines = self.copy_lines_of(row, now)?;
            if lines.len() > had {
                row.lines = serde_json::to_string(&lines).ok();
            }
            waits |= lines.is_empty() && had == 0 && row.finding.evidence.count() > 0;
        }
        let earlier = self.ledger.earlier_incidents(&incident, 5)?;
        let outlet = &self.channels[index];
        let (limit, recipients, domain) = (outlet.max_per_hour(), outlet.recipients(), outlet.domain());
        let settings = &self.settings;
        let metrics = &self.metrics;
        self.ledger.transaction(|transaction| {
            let mut notice = ledger::notice(transaction, id, plan.channel)?;
            let Some(due) = notice.due.filter(|due| plan.is_due(*due, now)) else { return Ok(()) };
            // The index commits about once a second; a mail is worth that wait, but not a longer one.
            if waits && due <= now && now < due.saturating_add(PATIENCE) {
                return Ok(());
            }
            notice.due = None;
            apply_silences(transaction, &findings, now)?;
            let worth = worth(transaction, id)?;
            let open = ledger::incident_in(transaction, id)?.is_some_and(|one| one.state != IncidentState::Closed);
            if !open || !plan.wants(&notice, &worth) {
                let reason = match (open, worth.silenced) {
                    (false, _) => "settled",
                    (true, true) => "silence",
                    (true, false) => "severity",
                };
                metrics.alerts_suppressed_total.with_label_values(&[plan.channel, reason]).inc();
                return ledger::put_notice(transaction, id, plan.channel, &notice);
            }
            let severity = worth.severity.unwrap_or(incident.severity);
            let sent = ledger::queued_since(transaction, plan.channel, now.saturating_sub(HOUR))?;
            if sent >= allowance(limit, severity) {
                notice.summed_since = Some(now);
                metrics.alerts_suppressed_total.with_label_values(&[plan.channel, "limit"]).inc();
                return ledger::put_notice(transaction, id, plan.channel, &notice);
            }
            let told = mail::Told {
                incident: &incident,
                severity,
                findings: &findings,
                earlier: &earlier,
                before: &notice,
                domain: &domain,
                now,
            };
            let letter = mail::letter(settings, &told);
            let sequence = notice.sequence + 1;
            let message_id = mail::message_id(&told, sequence);
            let key = format!("incident-{id}-{sequence}");
            let new = NewMessage {
                channel: plan.channel,
                key: &key,
                incident: Some(id),
                message_id: &message_id,
                recipients: &recipients,
                letter: &letter,
            };
            ledger::queue(transaction, &new, now)?;
            notice.sequence = sequence;
            told_all(&mut notice, worth, now);
            ledger::put_notice(transaction, id, plan.channel, &notice)
        })
    }

    /// One message about the incidents that were beyond the limit.
    fn sum_up_limited(&mut self, index: usize, plan: &Plan, now: Millis) -> Result<(), LedgerError> {
        let since = oldest_limited(&self.ledger, plan.channel)?;
        if since.is_none_or(|since| since <= now && since.saturating_add(plan.interval) > now) {
            return Ok(());
        }
        let outlet = &self.channels[index];
        let (recipients, domain) = (outlet.recipients(), outlet.domain());
        let settings = &self.settings;
        self.ledger.transaction(|transaction| {
            let last: Option<Millis> = transaction
                .prepare_cached("SELECT max(created) FROM outbox WHERE channel = ?1 AND key LIKE 'limited-%'")?
                .query_row([plan.channel], |row| row.get(0))?;
            if last.is_some_and(|last| last <= now && last.saturating_add(SUM_UP_EVERY) > now) {
                return Ok(());
            }
            let ids: Vec<i64> = transaction
                .prepare_cached(
                    "SELECT incident FROM notices WHERE channel = ?1 AND summed_since IS NOT NULL ORDER BY incident",
                )?
                .query_map([plan.channel], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let mut incidents: Vec<(Incident, Vec<FindingRow>)> = Vec::new();
            for id in &ids {
                let mut notice = ledger::notice(transaction, *id, plan.channel)?;
                notice.summed_since = None;
                if let Some(incident) =
                    ledger::incident_in(transaction, *id)?.filter(|one| one.state != IncidentState::Closed)
                {
                    let worth = worth(transaction, *id)?;
                    told_all(&mut notice, worth, now);
                    // Only the ones that will be named need their findings.
                    incidents.push((incident, Vec::new()));
                }
                ledger::put_notice(transaction, *id, plan.channel, &notice)?;
            }
            incidents.sort_by_key(|(incident, _)| (std::cmp::Reverse(incident.severity), incident.id));
            for (incident, findings) in incidents.iter_mut().take(summary::NAMED) {
                *findings = ledger::findings_in(
                    transaction,
                    "incident = ?1 ORDER BY severity DESC, time, id LIMIT 1",
                    [incident.id],
                )?;
            }
            let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(()) };
            if incidents.is_empty() {
                return Ok(());
            }
            let key = format!("limited-{first}-{last}-{now}");
            let letter = summary::limited(settings, &incidents, now);
            let new = NewMessage {
                channel: plan.channel,
                key: &key,
                incident: None,
                message_id: &format!("<crmwatch.{key}@{domain}>"),
                recipients: &recipients,
                letter: &letter,
            };
            ledger::queue(transaction, &new, now)
        })
    }
}

fn told_all(notice: &mut Notice, worth: Worth, now: Millis) {
    notice.told_at = Some(now);
    notice.told_severity = notice.told_severity.max(worth.severity);
    for rule in worth.rules {
        if !notice.told_rules.contains(&rule) {
            notice.told_rules.push(rule);
        }
    }
}

fn due(ledger: &Ledger, plan: &Plan, now: Millis) -> Result<Vec<i64>, LedgerError> {
    let read = || {
        ledger
            .connection
            .prepare_cached(
                "SELECT incident FROM notices JOIN incidents ON id = incident WHERE channel = ?1 AND (due <= ?2 OR due > ?3) ORDER BY severity DESC, id",
            )?
            .query_map((plan.channel, now, now.saturating_add(plan.furthest())), |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<i64>>>()
    };
    read().map_err(|source| ledger.error(source))
}

fn oldest_limited(ledger: &Ledger, channel: &str) -> Result<Option<Millis>, LedgerError> {
    ledger
        .connection
        .prepare_cached("SELECT min(summed_since) FROM notices WHERE channel = ?1 AND summed_since IS NOT NULL")
        .and_then(|mut statement| statement.query_row([channel], |row| row.get(0)))
        .map_err(|source| ledger.error(source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lesser_messages_leaves_room_for_the_worst() {
        assert_eq!(allowance(60, Severity::Medium), 45);
        assert_eq!(allowance(60, Severity::High), 53);
        assert_eq!(allowance(60, Severity::Critical), 60);
        assert_eq!(allowance(1, Severity::Medium), 1);
    }
}
