//! Messages about many things at once: the old findings of a start, and the incidents beyond the limit of mails an hour.
//! Not for when they are sent (`historic`, `notices`).

use chrono_tz::Tz;
use crmwatch_detectors::json::timestamp;
use crmwatch_detectors::{Millis, Severity};

use super::document::{Document, shown};
use super::mail::moment;
use super::words::{Words, fill};
use super::{AlertSettings, millis};
use crate::ledger::{self, FindingRow, Incident, Letter};
use crate::text;

/// How many are named one by one.
pub(super) const NAMED: usize = 10;
/// Columns of one line.
const ITEM_COLUMNS: usize = 240;

/// Old findings that are to be summed up, by rule and severity, with the stretch of time they lie in.
pub(super) struct Counts {
    by_rule: Vec<(String, Severity, i64)>,
    from: Millis,
    to: Millis,
}

/// Counts them.
pub(super) fn counts(connection: &rusqlite::Connection) -> rusqlite::Result<Counts> {
    let by_rule = connection
        .prepare_cached(
            "SELECT rule, severity, count(*) FROM findings WHERE historic = 1 AND summed = 0 GROUP BY rule, severity ORDER BY severity DESC, rule",
        )?
        .query_map([], |row| Ok((row.get(0)?, ledger::severity(row.get(1)?), row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let (from, to) = connection
        .prepare_cached(
            "SELECT coalesce(min(time), 0), coalesce(max(time), 0) FROM findings WHERE historic = 1 AND summed = 0",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Counts { by_rule, from, to })
}

/// The message about old findings.
pub(super) fn historic(settings: &AlertSettings, counts: &Counts, worst: &[FindingRow], now: Millis) -> Letter {
    let words = Words::of(&settings.locale);
    let total = counts.by_rule.iter().map(|(_, _, count)| count).sum::<i64>().to_string();
    let hours = (millis(settings.alerts.max_age) / 3_600_000).to_string();
    let mut document = Document::default();
    document.paragraph(fill(words.historic_text, &[&total, &fill(words.hours, &[&hours])]));
    document.heading(words.by_rule);
    let row = |(rule, severity, count): &(String, Severity, i64)| {
        format!("{} · {} · {count}", words.severity(*severity), shown(rule))
    };
    document.list(counts.by_rule.iter().map(row).collect());
    document.heading(words.worst);
    document.list(worst.iter().map(|row| line(words, settings, row)).collect());
    document.command(
        words.all_of_it,
        vec![
            "crmwatch alerts findings --historic".to_owned(),
            format!("--since {}", timestamp(counts.from)),
            format!("--until {}", timestamp(counts.to.saturating_add(1))),
        ],
    );
    document.heading(words.why);
    document.paragraph(words.why_historic);
    Letter {
        subject: text::header(&fill(words.historic_subject, &[&total])),
        text: document.text(),
        html: document.html(),
        date: now,
        // However bad it was, it is long ago: what happens now goes before it.
        severity: Severity::Low,
        rule: String::new(),
        references: Vec::new(),
    }
}

/// The message about incidents beyond the limit, the worst first; only the first ones come with a finding.
pub(super) fn limited(settings: &AlertSettings, incidents: &[(Incident, Vec<FindingRow>)], now: Millis) -> Letter {
    let words = Words::of(&settings.locale);
    let total = incidents.len().to_string();
    let worst = incidents.first().map_or(Severity::Low, |(incident, _)| incident.severity);
    let mut document = Document::default();
    document.paragraph(fill(words.limited_text, &[&total]));
    let item = |(incident, findings): &(Incident, Vec<FindingRow>)| {
        let name = fill(words.incident, &[&incident.id.to_string()]);
        match findings.first() {
            Some(row) => format!("{name}: {}", line(words, settings, row)),
            None => name,
        }
    };
    document.list(incidents.iter().take(NAMED).map(item).collect());
    if incidents.len() > NAMED {
        document.paragraph(fill(words.more_incidents, &[&(incidents.len() - NAMED).to_string()]));
    }
    document.command(words.all_of_it, vec!["crmwatch alerts list".to_owned()]);
    Letter {
        subject: text::header(&fill(words.limited_subject, &[words.severity(worst), &total])),
        text: document.text(),
        html: document.html(),
        date: now,
        severity: worst,
        rule: String::new(),
        references: Vec::new(),
    }
}

/// One finding in one line: how bad, when, what.
fn line(words: &Words, settings: &AlertSettings, row: &FindingRow) -> String {
    let finding = &row.finding;
    let sentence = shown(finding.summary.in_locale(&settings.locale));
    let line = format!("{} · {} · {sentence}", words.severity(finding.severity), moment(finding.time, Tz::UTC));
    text::cut(&line, ITEM_COLUMNS).into_owned()
}
