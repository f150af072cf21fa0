//! Gives findings their own copy of a few evidence lines, so that mail and console can show them and they stay readable when the
//! partition is gone. The lines come from the store, where privacy has already taken away what may not be kept.

use crmwatch_detectors::{Event, EventId, Millis};
use serde::{Deserialize, Serialize};

use super::AlertStage;
use crate::ledger::{FindingRow, LedgerError};

/// Finds events by their `_id`.
pub trait EventLookup: Send {
    /// Those of the events that the index has, in any order.
    fn get(&self, ids: &[EventId]) -> Vec<Event>;
}

/// How many lines a finding keeps.
pub const LINES_KEPT: usize = 20;
/// Of a longer line so many characters are kept.
const LINE_KEPT: usize = 2000;
/// The index has a line a second or two after the finding; nothing waits longer than this for it.
pub(super) const PATIENCE: Millis = 5_000;
/// Findings looked after in one turn.
const CHUNK: usize = 20;

/// One line of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceLine {
    /// `_id` of the event.
    pub id: String,
    /// Its time.
    pub time: Millis,
    /// File and line number, or offset.
    pub place: String,
    /// The line.
    pub text: String,
}

impl AlertStage {
    /// Copies the lines of findings that have none yet.
    pub(super) fn copy_lines(&mut self, now: Millis) -> Result<(), LedgerError> {
        for row in self.ledger.findings_without_lines(CHUNK)? {
            self.copy_lines_of(&row, now)?;
        }
        Ok(())
    }

    /// Copies the lines of one finding. Gives what was found; keeps it once all is there or the waiting is over.
    pub(super) fn copy_lines_of(&mut self, row: &FindingRow, now: Millis) -> Result<Vec<EvidenceLine>, LedgerError> {
        let wanted = wanted(row);
        let mut lines: Vec<EvidenceLine> = self
            .lookup
            .get(&wanted)
            .iter()
            .map(|event| EvidenceLine {
                id: event.id.to_string(),
                time: event.time,
                place: match event.line {
                    0 => format!("{} @{}", event.origin.path, event.offset),
                    line => format!("{}:{line}", event.origin.path),
                },
                text: event.raw().chars().take(LINE_KEPT).collect(),
            })
            .collect();
        lines.sort_by(|one, other| (one.time, &one.id).cmp(&(other.time, &other.id)));
        lines.dedup_by(|one, other| one.id == other.id);
        let kept = row.lines.as_deref().map_or(0, |lines| kept(lines).len());
        let over = now.saturating_sub(row.detected_at) > PATIENCE;
        if (lines.len() == wanted.len() || over) && (row.lines.is_none() || lines.len() > kept) {
            let text = serde_json::to_string(&lines).expect("lines serialise");
            self.ledger.set_lines(&row.finding.id.to_string(), &text)?;
        }
        Ok(lines)
    }
}

/// The lines of a finding as they are kept in the ledger.
pub(super) fn kept(lines: &str) -> Vec<EvidenceLine> {
    serde_json::from_str(lines).unwrap_or_default()
}

/// The first nineteen and the last.
fn wanted(row: &FindingRow) -> Vec<EventId> {
    let all: Vec<EventId> = row.finding.evidence.iter().map(|reference| reference.id).collect();
    if all.len() <= LINES_KEPT {
        return all;
    }
    all[..LINES_KEPT - 1].iter().chain(all.last()).copied().collect()
}
