//! Somebody is given more rights, or gives them to himself, and takes data out at once.
//!
//! # What it finds
//! A role or permission granted, and within 24 hours an export by whoever received it.
//!
//! # Why it matters
//! Rights are the lock on the data. Whoever means to take it opens the lock first, and often closes it again afterwards.
//!
//! # How it decides
//! The grant is kept under each name of the account that receives it; whoever names no receiver gives to himself. What that account
//! exports within `hours` of the earliest grant is added up. From `records_to_oneself` on after a grant to oneself it is high. A grant by somebody else
//! is everyday life, so that takes `records_by_others`, and is medium, or high where the right is one over all data (view all, modify all, administrator).
//! Rights that are taken away do not count.
//!
//! # False positives
//! A new administrator whose first task is an export; a right given for a task by a ticket.
//!
//! # What to check
//! - Who granted the right, and is there a ticket?
//! - What was exported, and is the right still there? Take it away.
//!
//! # Settings
//! - `hours` (24): how soon after the grant an export counts.
//! - `records_to_oneself` (500), `records_by_others` (5000): how many records make a finding.

use serde::{Deserialize, Serialize};

use crate::aftermath::{TAKEN, Trace, amount_and_delay, resting, taken};
use crate::detector::Context;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::names::{of_actor, of_target, who};
use crate::steps::{Followed, Step};
use crate::watch::{Post, Watch};

/// Words of rights over all data, in lower case.
const OVER_ALL: [&str; 9] =
    ["view-all", "view all", "viewall", "view_all", "modify-all", "modify all", "modify_all", "admin", "export"];
/// Words of rights taken away.
const AWAY: [&str; 5] = ["remove", "revoke", "unassign", "delete", "deactivat"];
/// What a grant's words begin with where it is one to oneself.
const ONESELF: &str = "oneself: ";

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    hours: u32,
    records_to_oneself: f64,
    records_by_others: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { hours: 24, records_to_oneself: 500.0, records_by_others: 5_000.0 }
    }
}

/// See the file's head.
pub struct PrivilegeEscalationThenExport;

impl Watch for PrivilegeEscalationThenExport {
    const ID: &'static str = "privilege-escalation-then-export";
    const SOURCE: &'static str = include_str!("privilege_escalation_then_export.rs");
    const SEVERITY: Severity = Severity::High;
    const TECHNIQUES: &'static [&'static str] = &["T1098", "T1548", "T1567"];
    const ACTIONS: &'static [&'static str] = &["permission-change", TAKEN[0], TAKEN[1], TAKEN[2], TAKEN[3]];
    type Settings = Settings;
    type State = Trace;

    fn lasting(settings: &Settings) -> Option<Millis> {
        Some(Millis::from(settings.hours) * 3_600_000)
    }

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        if event.text(Field::EventOutcome) == Some("failure") {
            return;
        }
        let grant = event.text(Field::EventAction) == Some("permission-change");
        let (actor, names) = if grant {
            let (actor, target) = (of_actor(event), of_target(event));
            let names = if target.is_empty() { actor.clone() } else { target };
            (actor, names)
        } else {
            (Vec::new(), of_actor(event))
        };
        let step = if grant {
            if taken_away(event) {
                return;
            }
            let right = event.text(Field::Permission).unwrap_or_default();
            let oneself = names.iter().any(|name| actor.contains(name));
            Step::of(event, 0.0, &if oneself { format!("{ONESELF}{right}") } else { right.to_owned() })
        } else {
            let Some(step) = taken(event, context, false) else { return };
            step
        };
        let within = Millis::from(at.settings.hours) * 3_600_000;
        let (mut told, late) = (false, event.origin.lateness);
        for name in names {
            // Exports of those to whom nothing was granted are not kept longer than a late grant needs.
            let trace = at.states.touch(&name, event.time);
            if grant {
                trace.cause(step.clone())
            } else {
                trace.effect(step.clone(), late)
            }
            let Some(followed) = trace.chain.around(event.time, within) else { continue };
            let Some(severity) = judge(&followed, at.settings) else { continue };
            let detection = tell(event, &name, severity, &followed);
            if trace.worth_telling(event.time, severity) && !told {
                out.push(detection);
            }
            told = true;
        }
    }
}

fn taken_away(event: &Event) -> bool {
    let texts =
        [Field::EventCode, Field::Message, Field::EventReason].into_iter().filter_map(|field| event.text(field));
    texts
        .chain(event.named("Operation").and_then(|value| match value {
            crate::Value::Text(text) => Some(text),
            _ => None,
        }))
        .any(|text| {
            let head = text[..text.floor_char_boundary(80)].to_lowercase();
            AWAY.iter().any(|word| head.contains(word))
        })
}

fn judge(followed: &Followed<'_>, settings: &Settings) -> Option<Severity> {
    let words = followed.cause.words.to_lowercase();
    if words.starts_with(ONESELF) {
        return (followed.amount >= settings.records_to_oneself).then_some(Severity::High);
    }
    let over_all = OVER_ALL.iter().any(|word| words.contains(word));
    (followed.amount >= settings.records_by_others).then_some(if over_all { Severity::High } else { Severity::Medium })
}

fn tell(event: &Event, name: &str, severity: Severity, followed: &Followed<'_>) -> Detection {
    let oneself = followed.cause.words.starts_with(ONESELF);
    let right = followed.cause.words.trim_start_matches(ONESELF);
    let right = if right.is_empty() { "a right" } else { right };
    let [amount, amount_zh] = amount_and_delay(followed);
    let mut detection = resting(PrivilegeEscalationThenExport::detection(event, severity), event, followed);
    if who(event) != name {
        detection.entity.add(Field::UserName.name(), name);
    }
    detection.subject = name.to_owned();
    let (by, by_zh) = if oneself { ("gave himself", "为自己授予") } else { ("was given", "被授予") };
    Detection {
        summary: Sentence::new(
            format!("{name} {by} {right} and took out {amount} of it"),
            format!("{name} {by_zh} {right}，随后{amount_zh}被导出"),
        ),
        observed: Sentence::new(format!("{right}, then {amount}"), format!("{right}，随后{amount_zh}")),
        expected: Sentence::new(
            "rights are given for work that is known, by somebody else",
            "权限应由他人因已知工作而授予",
        ),
        ..detection
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BERLIN, event, kept_promises, play_all, with, worst};

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<PrivilegeEscalationThenExport>(&serde_json::json!({})).expect("defaults fit")
    }

    fn grant(minute: i64, by: &str, to: &str, right: &str) -> Event {
        let event = with(event(minute, by, BERLIN, "permission-change", -1), Field::UserTargetName, to);
        with(event, Field::Permission, right)
    }

    #[test]
    fn a_right_to_oneself_and_an_export_is_high() {
        let found = kept_promises(
            &make,
            vec![grant(0, "Ana", "ana", "view-all-data"), event(15, "ana", BERLIN, "export", 6_000)],
        );
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::High)));
        assert!(found[0].summary.en.contains("gave himself view-all-data"), "{}", found[0].summary.en);
        assert_eq!(found[0].evidence.count(), 2);
    }

    #[test]
    fn many_small_exports_after_a_grant_add_up() {
        let exports = (0..8).map(|nth| event(15 + nth, "ben", BERLIN, "export", 900));
        let events = std::iter::once(grant(0, "ana", "ben", "administrator")).chain(exports).collect();
        assert_eq!(worst(&kept_promises(&make, events)), Some(Severity::High));
    }

    #[test]
    fn a_new_colleague_s_ordinary_export_a_right_taken_away_and_an_export_before_are_nothing() {
        let story = |first: Event, second: Event| play_all(&make, vec![first, second]).len();
        assert_eq!(story(grant(0, "ana", "ben", "sales"), event(60, "ben", BERLIN, "export", 900)), 0);
        let away = with(grant(0, "ana", "ana", "sales"), Field::EventCode, "Remove member from role");
        assert_eq!(story(away, event(60, "ana", BERLIN, "export", 9_000)), 0);
        assert_eq!(story(event(0, "ana", BERLIN, "export", 9_000), grant(60, "ana", "ana", "sales")), 0);
        assert_eq!(story(grant(0, "ana", "ana", "sales"), event(25 * 60, "ana", BERLIN, "export", 9_000)), 0);
    }
}
