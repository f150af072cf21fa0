//! Auditing is switched off, and then the work is done.
//!
//! # What it finds
//! Auditing switched off, or audit records deleted; and what the same person does in the 24 hours after: exports, deletions, grants, new keys, new accounts.
//!
//! # Why it matters
//! Nobody switches the light off to work better. It is done before, to leave no trace, or after, to remove it.
//!
//! # How it decides
//! Switching off alone is medium: it is rare and leaves everybody blind. Any of the acts named by the same person, up to `hours` later, or up to an hour
//! before, makes it high. Changes of records do not count: a migration switches auditing off for its speed.
//!
//! # False positives
//! A migration, which should be announced; audit records deleted by a retention job (name its account in an allowance).
//!
//! # What to check
//! - Switch auditing on again, at once.
//! - Who did it, and was it announced? What else did this account do, by the logs of other systems?
//!
//! # Settings
//! - `hours` (24): how long afterwards an act counts.

use serde::{Deserialize, Serialize};

use crate::aftermath::Trace;
use crate::detector::Context;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::names::{of_actor, who};
use crate::steps::Step;
use crate::watch::{Post, Watch};
use crate::wording::moment;

const HOUR: Millis = 3_600_000;
/// So long before the switching off an act may lie whose trace it removes.
const BEFORE: Millis = HOUR;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    hours: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { hours: 24 }
    }
}

/// See the file's head.
pub struct AuditDisabledThenActivity;

impl Watch for AuditDisabledThenActivity {
    const ID: &'static str = "audit-disabled-then-activity";
    const SOURCE: &'static str = include_str!("audit_disabled_then_activity.rs");
    const SEVERITY: Severity = Severity::High;
    const TECHNIQUES: &'static [&'static str] = &["T1562", "T1070"];
    const ACTIONS: &'static [&'static str] = &[
        "audit-disable",
        "export",
        "bulk-api",
        "delete",
        "bulk-delete",
        "permission-change",
        "token-create",
        "user-create",
        "oauth-grant",
        "mfa-removed",
    ];
    type Settings = Settings;
    type State = Trace;

    fn lasting(settings: &Settings) -> Option<Millis> {
        Some(Millis::from(settings.hours) * HOUR + BEFORE)
    }

    fn look(at: &mut Post<'_, Self>, event: &Event, _: &Context, out: &mut Vec<Detection>) {
        if event.text(Field::EventOutcome) == Some("failure") {
            return;
        }
        let action = event.text(Field::EventAction).unwrap_or_default();
        let off = action == "audit-disable";
        // Acts are kept for as long as they may lie before the switching off.
        let (mut told, late) = (false, event.origin.lateness.max(BEFORE));
        for name in of_actor(event) {
            let step = Step::of(event, 0.0, action);
            let trace = at.states.touch(&name, event.time);
            if off {
                trace.cause(step)
            } else {
                trace.effect(step, late)
            }
            let reach = Millis::from(at.settings.hours) * HOUR;
            let cause = trace.chain.causes.between(event.time - reach, event.time + BEFORE).next();
            let Some(cause) = cause else { continue };
            let effects: Vec<&Step> = trace.chain.effects.between(cause.time - BEFORE, cause.time + reach).collect();
            let severity = if effects.is_empty() { Severity::Medium } else { Severity::High };
            let detection = tell(event, severity, cause, &effects);
            if trace.worth_telling(event.time, severity) && !told {
                out.push(detection);
            }
            told = true;
        }
    }
}

fn tell(event: &Event, severity: Severity, cause: &Step, effects: &[&Step]) -> Detection {
    let who = who(event);
    let mut deeds: Vec<&str> = effects.iter().map(|step| &*step.words).collect();
    deeds.sort_unstable();
    deeds.dedup();
    let deeds = deeds.join(", ");
    let steps = std::iter::once(cause).chain(effects.iter().copied());
    let evidence = steps.clone().map(|step| step.reference).filter(|one| one.id != event.id).collect();
    let from = steps.map(|step| step.time).min().unwrap_or(event.time);
    let at = moment(cause.time);
    let (summary, observed) = if effects.is_empty() {
        (
            Sentence::new(
                format!("{who} switched auditing off at {at}: what happens since leaves no trace"),
                format!("{who} 于 {at} 关闭了审计：此后的操作不留痕迹"),
            ),
            Sentence::new("auditing switched off", "审计被关闭"),
        )
    } else {
        (
            Sentence::new(
                format!("{who} switched auditing off at {at} and around it did: {deeds}"),
                format!("{who} 于 {at} 关闭了审计，前后执行了：{deeds}"),
            ),
            Sentence::new(format!("auditing switched off; {deeds}"), format!("审计被关闭；{deeds}")),
        )
    };
    Detection {
        summary,
        observed,
        expected: Sentence::new("auditing stays on", "审计应始终开启"),
        quiet: 25 * HOUR,
        ..AuditDisabledThenActivity::detection(event, severity).resting_on(evidence, from, event.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BERLIN, event, kept_promises, play_all, worst};

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<AuditDisabledThenActivity>(&serde_json::json!({})).expect("defaults fit")
    }

    #[test]
    fn an_export_in_the_dark_is_high_and_the_dark_alone_medium() {
        let off = event(60, "ana", BERLIN, "audit-disable", -1);
        let found = kept_promises(&make, vec![off.clone(), event(120, "ana", BERLIN, "export", 10)]);
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::High)));
        assert!(found[0].observed.en.contains("export"));
        assert_eq!(worst(&play_all(&make, vec![off.clone()])), Some(Severity::Medium));
        let before = event(30, "ana", BERLIN, "bulk-delete", 900);
        assert_eq!(worst(&kept_promises(&make, vec![before, off])), Some(Severity::High));
    }

    #[test]
    fn others_work_and_a_migration_s_updates_do_not_make_it_worse() {
        let off = event(60, "ana", BERLIN, "audit-disable", -1);
        let others = vec![off, event(90, "ben", BERLIN, "export", 10), event(95, "ana", BERLIN, "update", 5_000)];
        assert_eq!(worst(&play_all(&make, others)), Some(Severity::Medium));
    }
}
