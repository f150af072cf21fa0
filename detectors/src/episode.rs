//! Turns detections into findings: the first opens an episode, later ones about the same subject extend it until it has been quiet long enough.
//! Not for deciding what is a detection.

use serde::{Deserialize, Serialize};

use crate::detector::RestoreError;
use crate::event::{Event, Millis};
use crate::finding::{Detection, Finding, Reference, finding_id};
use crate::keyed::{Keyed, Resident};
use crate::mark::Files;
use crate::memory::Shelf;

#[derive(Default, Serialize, Deserialize)]
struct Episode {
    open: Option<Finding>,
    quiet: Millis,
    /// In which round of draining it was opened or extended last.
    #[serde(skip)]
    touched: u32,
}

impl Resident for Episode {
    fn outlast(&mut self) -> bool {
        // An operator's rule may say otherwise.
        self.quiet > LONGEST_QUIET
    }
}

/// The name under which episodes are saved.
pub const OWNER: &str = "episodes";

const CAPACITY: usize = 100_000;
/// No shipped rule's episodes stay open longer without another event.
const LONGEST_QUIET: Millis = 5 * 86_400_000;

/// Open episodes of all rules.
pub struct Episodes {
    open: Keyed<Episode>,
    touched: Vec<String>,
    round: u32,
}

impl Default for Episodes {
    fn default() -> Self {
        Episodes { open: Keyed::new(OWNER, CAPACITY).lasting(LONGEST_QUIET), touched: Vec::new(), round: 1 }
    }
}

impl Episodes {
    /// Opens an episode, or extends the one that is open.
    pub fn raise(&mut self, detection: Detection, deciding: &Event, files: &Files, finished: &mut Vec<Finding>) {
        let key = format!("{}\0{}", detection.rule, detection.subject);
        let episode = self.open.touch(&key, deciding.time);
        let last = detection.window.1.max(deciding.time);
        let goes_on = episode.open.as_ref().is_some_and(|open| {
            deciding.time <= open.last_time.saturating_add(episode.quiet)
                && deciding.time >= open.window.0.saturating_sub(episode.quiet)
        });
        episode.quiet = detection.quiet;
        if goes_on && let Some(open) = &mut episode.open {
            open.severity = open.severity.max(detection.severity);
            open.last_time = open.last_time.max(last);
            open.window = (open.window.0.min(detection.window.0), open.window.1.max(detection.window.1));
            open.entity.merge(&detection.entity);
            open.summary = detection.summary;
            open.observed = detection.observed;
            open.expected = detection.expected;
            open.parts = detection.parts.into_iter().map(|(name, part)| (name.into(), part)).collect();
            for reference in detection.evidence.into_iter().filter_map(|mark| files.reference(mark)) {
                open.evidence.add(reference);
            }
            open.evidence.add(Reference::of(deciding));
            open.evidence.count_at_least(detection.evidence_count);
        } else {
            if let Some(past) = episode.open.take()
                && episode.touched == self.round
            {
                finished.push(past);
            }
            let primary_value = detection.entity.first(detection.primary).unwrap_or_default();
            let id = finding_id(&detection.rule, primary_value, deciding.id);
            let mut finding = Finding {
                id,
                rule: detection.rule,
                severity: detection.severity,
                time: deciding.time,
                last_time: last,
                entity: detection.entity,
                primary: detection.primary.into(),
                summary: detection.summary,
                observed: detection.observed,
                expected: detection.expected,
                window: detection.window,
                evidence: Default::default(),
                techniques: detection.techniques.into_iter().map(Into::into).collect(),
                parts: detection.parts.into_iter().map(|(name, part)| (name.into(), part)).collect(),
            };
            for reference in detection.evidence.into_iter().filter_map(|mark| files.reference(mark)) {
                finding.evidence.add(reference);
            }
            finding.evidence.add(Reference::of(deciding));
            finding.evidence.count_at_least(detection.evidence_count);
            episode.open = Some(finding);
        }
        if episode.touched != self.round {
            episode.touched = self.round;
            self.touched.push(key);
        }
    }

    /// The findings opened or extended since the last call, in the order they were first touched.
    pub fn drain(&mut self) -> Vec<Finding> {
        let touched = std::mem::take(&mut self.touched);
        self.round = self.round.wrapping_add(1).max(1);
        touched.iter().filter_map(|key| self.open.get(key)?.open.clone()).collect()
    }

    /// Everything remembered of them.
    pub fn memory(&mut self) -> Shelf<'_> {
        Shelf::of(&mut self.open)
    }

    /// See [`Keyed::restore`].
    pub fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        self.open.restore(key, value)
    }
}
