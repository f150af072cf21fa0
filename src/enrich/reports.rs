//! Actions that one source writes as several records. Salesforce: a `ReportExport` has no number of rows; the `Report` row of the same user
//! and report, close in time, has. Dynamics: a large read is split into records of one correlation id. Bounded and saved. Not for two
//! sources (`twins`).
//!
//! A `ReportExport` that comes before its `Report` row has been shown to the detectors already and stays as it is; a row that counts as
//! an export itself then brings the records. In files of one interval, and in order of time, the run comes first.

use crmwatch_detectors::detector::RestoreError;
use crmwatch_detectors::keyed::{Keyed, Resident};
use crmwatch_detectors::memory::Shelf;
use crmwatch_detectors::{Event, Field, Millis};
use serde::{Deserialize, Serialize};

use super::key;

/// Whose state the runs of reports are.
pub const RUNS: &str = "enrich.reports";
/// Whose state the split records are.
pub const PARTS: &str = "enrich.parts";

const CAPACITY: usize = 50_000;
/// How long after a report was run its export may follow; who reads it longer sees rows of another moment.
const CLOSE: Millis = 600_000;
/// How long the parts of one record may come after each other.
const SPLIT: Millis = 60_000;
/// A Salesforce id without its check letters, which only some files write.
const SALESFORCE_ID: usize = 15;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Run {
    at: Millis,
    records: Option<i64>,
    /// The row was an export itself: the `ReportExport` that follows is the same one.
    is_export: bool,
}

impl Resident for Run {}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Part {
    at: Option<Millis>,
}

impl Resident for Part {}

/// What waits for its other half.
pub struct Reports {
    runs: Keyed<Run>,
    parts: Keyed<Part>,
}

impl Reports {
    /// With nothing waiting.
    pub fn new() -> Reports {
        Reports { runs: Keyed::new(RUNS, CAPACITY), parts: Keyed::new(PARTS, CAPACITY) }
    }

    /// Joins an export to its run. Whether the event is a further record of an action that counts already.
    pub fn is_copy(&mut self, event: &mut Event) -> bool {
        match event.text(Field::EventCode) {
            Some("Report" | "AsyncReportRun") => {
                self.remember_run(event);
                false
            }
            Some("ReportExport") => self.join_export(event),
            _ => self.is_further_part(event),
        }
    }

    fn remember_run(&mut self, event: &Event) {
        let (Some(records), Some(key)) = (event.integer(Field::Records), report_key(event)) else { return };
        if self.runs.get(&key).is_some_and(|run| run.records.is_some() && run.at > event.time) {
            return;
        }
        let is_export = event.text(Field::EventAction) == Some("export");
        *self.runs.touch(&key, event.time) = Run { at: event.time, records: Some(records), is_export };
    }

    fn join_export(&mut self, event: &mut Event) -> bool {
        let Some(key) = report_key(event) else { return false };
        let Some(run) = self.runs.get(&key) else { return false };
        let (Some(records), is_export) = (run.records, run.is_export) else { return false };
        if event.time.abs_diff(run.at) > CLOSE.unsigned_abs() {
            return false;
        }
        if !event.has(Field::Records) {
            event.set_integer(Field::Records, records);
        }
        if is_export {
            // One row, one export: the next without a row of its own is another.
            self.runs.remove(&key);
        }
        is_export
    }

    /// A part with records of its own is kept, so that their sum over the parts is the action's; a part without adds nothing.
    fn is_further_part(&mut self, event: &Event) -> bool {
        let (Some(correlation), Some(action)) = (event.text(Field::CorrelationId), event.text(Field::EventAction))
        else {
            return false;
        };
        // Steps of one login share a correlation id and are each their own.
        let reads =
            ["view", "list", "search", "export", "report-run", "print", "file-download", "api-call", "bulk-api"];
        if !reads.contains(&action) {
            return false;
        }
        let part = |field| event.text(field).unwrap_or_default();
        let key = key::join(&[
            &event.origin.source,
            correlation,
            action,
            part(Field::UserId),
            part(Field::UserName),
            part(Field::ObjectType),
            // Several records read one by one under one id are several actions.
            part(Field::ObjectId),
        ]);
        let first = self.parts.get(&key).and_then(|part| part.at);
        if first.is_some_and(|at| event.time.abs_diff(at) <= SPLIT.unsigned_abs()) {
            return !event.has(Field::Records);
        }
        self.parts.touch(&key, event.time).at = Some(event.time);
        false
    }

    /// Everything it remembers.
    pub fn memory(&mut self) -> [Shelf<'_>; 2] {
        [Shelf::of(&mut self.runs), Shelf::of(&mut self.parts)]
    }

    /// Takes back one piece.
    pub fn restore(&mut self, owner: &str, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        if owner == RUNS { self.runs.restore(key, value) } else { self.parts.restore(key, value) }
    }
}

fn report_key(event: &Event) -> Option<String> {
    let user = event.text(Field::UserId).or(event.text(Field::UserName))?;
    let report = event.text(Field::ReportId).or(event.text(Field::ObjectId))?;
    let organization = event.text(Field::OrganizationId).unwrap_or_default();
    let [organization, user, report] = [organization, user, report].map(|id| key::head(id, SALESFORCE_ID));
    Some(key::join(&[organization, user, report]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(code: &str, action: &str, time: Millis, records: Option<i64>) -> Event {
        let mut event = Event::new("");
        event.time = time;
        event.set(Field::EventCode, code);
        event.set(Field::EventAction, action);
        event.set(Field::UserId, "0051t000003XYZa");
        event.set(Field::ReportId, "00O1t000004ABCd");
        if let Some(records) = records {
            event.set_integer(Field::Records, records);
        }
        event
    }

    fn seen(reports: &mut Reports, mut event: Event) -> (Option<i64>, bool) {
        let copy = reports.is_copy(&mut event);
        (event.integer(Field::Records), copy)
    }

    #[test]
    fn an_export_takes_the_rows_of_the_run_before_it() {
        let mut reports = Reports::new();
        assert_eq!(seen(&mut reports, row("ReportExport", "export", 0, None)), (None, false));
        seen(&mut reports, row("Report", "report-run", 1_000, Some(4_200)));
        let mut long_id = row("ReportExport", "export", 2_000, None);
        long_id.set(Field::ReportId, "00O1t000004ABCdEAG");
        assert_eq!(seen(&mut reports, long_id), (Some(4_200), false));
        assert_eq!(seen(&mut reports, row("ReportExport", "export", 1_000 + CLOSE + 1, None)), (None, false));
        let mut other = row("ReportExport", "export", 2_000, None);
        other.set(Field::UserId, "0051t000003OTHE");
        assert_eq!(seen(&mut reports, other), (None, false));
    }

    #[test]
    fn a_row_that_is_the_export_itself_is_counted_once() {
        let mut reports = Reports::new();
        assert_eq!(seen(&mut reports, row("Report", "export", 0, Some(10))), (Some(10), false));
        assert_eq!(seen(&mut reports, row("ReportExport", "export", 500, None)), (Some(10), true));
        assert_eq!(seen(&mut reports, row("ReportExport", "export", 900, None)), (None, false));
    }

    fn part(time: Millis, correlation: &str, object: &str, records: Option<i64>) -> Event {
        let mut event = row("CrmDefaultActivity", "export", time, records);
        event.set(Field::CorrelationId, correlation);
        event.set(Field::ObjectId, object);
        event
    }

    #[test]
    fn a_split_record_is_one_action_with_the_records_of_all_its_parts() {
        let mut reports = Reports::new();
        assert!(!seen(&mut reports, part(0, "c1", "", Some(70))).1);
        assert!(seen(&mut reports, part(0, "c1", "", None)).1);
        assert!(!seen(&mut reports, part(1, "c1", "", Some(30))).1);
        assert!(!seen(&mut reports, part(1, "c2", "", None)).1);
        assert!(!seen(&mut reports, part(1, "c1", "another record", None)).1);
        assert!(!seen(&mut reports, part(SPLIT + 1, "c1", "", None)).1);
    }

    #[test]
    fn steps_of_one_login_are_each_their_own() {
        let mut reports = Reports::new();
        for time in 0..3 {
            let mut event = part(time, "c1", "", None);
            event.set(Field::EventAction, "login");
            assert!(!seen(&mut reports, event).1);
        }
    }
}
