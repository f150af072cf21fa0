//! Something was changed, and then data was taken out: the common part of the rules that wait for the second. Not for what the change was.

use serde::{Deserialize, Serialize};

use crate::bulk_export::taken_out;
use crate::detector::Context;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Severity};
use crate::keyed::Resident;
use crate::steps::{Chain, Followed, Step};
use crate::wording::{figure, span_en, span_zh};

/// The ways data is taken out.
pub(crate) const TAKEN: [&str; 5] = ["export", "bulk-api", "api-call", "file-download", "report-run"];

/// What is remembered under a name: changes and what was taken out.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Trace {
    pub(crate) chain: Chain,
    told: Option<(Millis, u8)>,
}

impl Resident for Trace {
    fn rank(&self) -> u8 {
        1 + u8::from(!self.chain.causes.is_empty())
    }
}

impl Trace {
    /// Adds a change.
    pub(crate) fn cause(&mut self, step: Step) {
        self.chain.causes.add(step);
    }

    /// Adds what was taken out. Without a change before it, it is kept only as long as a late line about one may come.
    pub(crate) fn effect(&mut self, step: Step, lateness: Millis) {
        let time = step.time;
        self.chain.effects.add(step);
        if self.chain.causes.is_empty() {
            self.chain.effects.forget_before(time.saturating_sub(lateness));
        }
    }

    /// Whether it is to be said again: when it got worse, or ten minutes have passed.
    pub(crate) fn worth_telling(&mut self, time: Millis, severity: Severity) -> bool {
        let worse = self.told.is_none_or(|(told, before)| told.abs_diff(time) >= 600_000 || before < severity as u8);
        if worse {
            self.told = Some((time, severity as u8));
        }
        worse
    }
}

/// What an export or a bulk job counts as whose size no log tells, where it is asked about for another reason than its size: a list of customers.
/// Such a log never tells one, so whoever waits for a number waits for ever.
const UNTOLD: f64 = 500.0;

fn untold(event: &Event) -> bool {
    matches!(event.text(Field::EventAction), Some("export" | "bulk-api"))
        && ![Field::Records, Field::Bytes, Field::HttpResponseBytes, Field::FileSize].iter().any(|one| event.has(*one))
}

/// Records an event takes out as an act of exporting, or as a program reads them; a report looked at is none.
pub(crate) fn records_taken(event: &Event, context: &Context) -> Option<f64> {
    let (records, export) = taken_out(event, context)?;
    let records = if untold(event) { records.max(UNTOLD) } else { records };
    let program = event.text(Field::EventAction) == Some("api-call")
        && !matches!(event.text(Field::UserAgentDevice), Some("desktop" | "mobile"));
    (export || program).then_some(records)
}

/// The step of an event that takes data out; its words say whether the network was strange.
pub(crate) fn taken(event: &Event, context: &Context, strange: bool) -> Option<Step> {
    Some(Step::of(event, records_taken(event, context)?, if strange { "strange" } else { "" }))
}

/// A detection about what followed, with the evidence in it.
pub(crate) fn resting(detection: Detection, event: &Event, followed: &Followed<'_>) -> Detection {
    Detection {
        quiet: 25 * 3_600_000,
        parts: vec![("records", followed.amount)],
        ..detection.resting_on(followed.evidence(event), followed.cause.time, followed.end())
    }
}

/// "4,000 records 20 minutes later", in both languages.
pub(crate) fn amount_and_delay(followed: &Followed<'_>) -> [String; 2] {
    let (records, after) = (figure(followed.amount), followed.effects[0].time - followed.cause.time);
    [format!("{records} records within {}", span_en(after)), format!("{}内 {records} 条记录", span_zh(after))]
}
