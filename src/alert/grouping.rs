//! Takes in findings the stage has not seen in their present form: historic or not, silenced or not, and to which incident each belongs.
//! Not for what is written about it (`notices`).

use crmwatch_detectors::{Finding, Millis};
use rusqlite::Transaction;

use super::{AlertStage, millis, notices};
use crate::ledger::{self, FindingRow, Incident, IncidentState, LedgerError, Reason};

/// Findings taken in within one transaction: few enough that the pipeline's own writes do not wait long.
const CHUNK: usize = 200;

/// A finding about more people than this is about a crowd: its victims' own incidents are not joined by it.
const LINKED_NAMES: usize = 3;

impl AlertStage {
    pub(super) fn absorb(&mut self, now: Millis) -> Result<(), LedgerError> {
        self.pass_over_unreadable()?;
        loop {
            let rules = Rules {
                max_age: millis(self.settings.alerts.max_age),
                group_for: millis(self.settings.alerts.group_for),
                now,
            };
            let plans = self.plans();
            let taken = self.ledger.transaction(|transaction| {
                let rows = ledger::findings_in(transaction, "handled < revision ORDER BY time, id LIMIT ?1", [CHUNK])?;
                let mut taken = Vec::with_capacity(rows.len());
                for row in rows {
                    let historic = rules.take(transaction, &row, &plans)?;
                    taken.push((row, historic));
                }
                Ok(taken)
            })?;
            for (row, historic) in &taken {
                if row.historic.is_none() {
                    self.metrics.found(&row.finding.rule, row.finding.severity, *historic);
                }
                if *historic {
                    self.wave.saw(now);
                }
            }
            if taken.len() < CHUNK {
                return Ok(());
            }
        }
    }

    /// One row that cannot be read must not keep all others from being alerted.
    fn pass_over_unreadable(&mut self) -> Result<(), LedgerError> {
        let passed = self.ledger.transaction(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE findings SET handled = revision WHERE handled < revision AND NOT json_valid(body)",
                )?
                .execute([])
        })?;
        if passed > 0 {
            tracing::error!(
                findings = passed,
                "findings in the ledger cannot be read and are not alerted; restore it from a backup"
            );
        }
        Ok(())
    }
}

struct Rules {
    max_age: Millis,
    group_for: Millis,
    now: Millis,
}

/// What an incident already has to do with a finding.
enum Place {
    /// It belongs there.
    Join(i64),
    /// A new one, which goes on from a closed one.
    Open(Option<i64>),
}

impl Rules {
    /// Takes in one finding; says whether it is historic.
    fn take(&self, transaction: &Transaction<'_>, row: &FindingRow, plans: &[notices::Plan]) -> rusqlite::Result<bool> {
        let finding = &row.finding;
        let id = finding.id.to_string();
        let historic = self.is_historic(transaction, row)?;
        let silenced = match row.silenced {
            Some(silence) => Some(silence),
            None => ledger::silence_of(transaction, finding, self.now)?,
        };
        transaction
            .prepare_cached("UPDATE findings SET handled = ?2, historic = ?3, silenced = ?4 WHERE id = ?1")?
            .execute((&id, row.revision, historic, silenced))?;
        if historic {
            return Ok(true);
        }
        let links = links(finding);
        let incident = match self.place(transaction, row, &links)? {
            Place::Join(incident) => {
                if row.incident != Some(incident) {
                    let note = format!("{} ({})", finding.rule, finding.severity.word());
                    ledger::add_history(transaction, self.now, "crmwatch", Some(incident), "finding", Some(&note))?;
                }
                incident
            }
            Place::Open(refers_to) => ledger::open_incident(transaction, finding, refers_to, self.now)?,
        };
        ledger::join(transaction, incident, finding, &links, self.now)?;
        for plan in plans {
            plan.schedule(transaction, incident, self.now)?;
        }
        Ok(false)
    }

    /// Too old when detected. Decided once; only an episode that was summed up already and goes on now becomes news.
    fn is_historic(&self, transaction: &Transaction<'_>, row: &FindingRow) -> rusqlite::Result<bool> {
        let too_old = |time: Millis, at: Millis| time.saturating_add(self.max_age).saturating_add(row.lateness) < at;
        match row.historic {
            None => Ok(too_old(row.finding.time, row.detected_at)),
            Some(false) => Ok(false),
            Some(true) => {
                let summed: bool = transaction
                    .prepare_cached("SELECT summed FROM findings WHERE id = ?1")?
                    .query_row([row.finding.id.to_string()], |row| row.get(0))?;
                Ok(!summed || too_old(row.finding.last_time, self.now))
            }
        }
    }

    fn place(
        &self,
        transaction: &Transaction<'_>,
        row: &FindingRow,
        links: &[(String, String)],
    ) -> rusqlite::Result<Place> {
        let finding = &row.finding;
        if let Some(own) = row.incident
            && let Some(incident) = ledger::incident_in(transaction, own)?
            && !self.is_news(&incident, finding)
        {
            return Ok(Place::Join(own));
        }
        let from = finding.window.0.min(finding.time).saturating_sub(self.group_for);
        let to = finding.last_time.saturating_add(self.group_for);
        let related = ledger::related(transaction, links, from, to)?;
        let same = |incident: &&Incident| {
            incident.primary_key == *finding.primary
                && incident.primary_value.to_lowercase() == finding.primary_value().to_lowercase()
        };
        let open = || related.iter().filter(|incident| incident.state != IncidentState::Closed);
        // What is about the same entity comes before what is only linked to it; the oldest first, so that the order is fixed.
        if let Some(incident) = open().find(same).or_else(|| open().next()) {
            return Ok(Place::Join(incident.id));
        }
        let closed = related.iter().rev().find(same).or(related.last());
        Ok(Place::Open(row.incident.or(closed.map(|incident| incident.id))))
    }

    /// Whether a changed finding of a closed incident is more than the person who closed it knew. It is where it became worse; and where
    /// it goes on, unless he said that it is none.
    fn is_news(&self, incident: &Incident, finding: &Finding) -> bool {
        let Some(closed) = incident.closed.filter(|_| incident.state == IncidentState::Closed) else { return false };
        let settled = matches!(incident.reason, Some(Reason::Benign | Reason::FalsePositive));
        finding.severity > incident.severity || (!settled && finding.last_time > closed)
    }
}

/// What further findings of the same incident are recognised by.
fn links(finding: &Finding) -> Vec<(String, String)> {
    let mut links = vec![(finding.primary.to_string(), finding.primary_value().to_lowercase())];
    let names = finding.entity.0.get("user.name").map_or(&[][..], Vec::as_slice);
    if names.len() <= LINKED_NAMES {
        for name in names {
            let link = ("user.name".to_owned(), name.to_lowercase());
            if !links.contains(&link) {
                links.push(link);
            }
        }
    }
    links
}
