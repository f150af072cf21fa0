//! An administrator takes another person's place, and data leaves under that person's name.
//!
//! # What it finds
//! An export under the name of somebody whose place an administrator has taken, from the administrator's address, within two hours.
//!
//! # Why it matters
//! Support needs to see what a customer or colleague sees. Nobody needs to export under another's name, except to have it look like the other's deed.
//!
//! # How it decides
//! The taking of a place is kept under both names. Exports count that are made under the name taken over and, where both lines tell an
//! address, from the administrator's: the person's own export from his own desk is his. Exports that the log itself marks as made by the one
//! in the place of the other count wherever they come from. From `records` on it is medium, from ten times as many on high.
//!
//! # False positives
//! Support that reproduces a failing export; administrator and person behind one office address, when the person exports just then.
//!
//! # What to check
//! - Was there a ticket that asked for it? Ask the person, then the administrator.
//! - Where did the file go?
//!
//! # Settings
//! - `hours` (2): how long a place is taken.
//! - `records` (500): how many records make a finding.

use serde::{Deserialize, Serialize};

use crate::aftermath::{TAKEN, Trace, amount_and_delay, resting, taken};
use crate::detector::Context;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::names::{of_actor, of_target, who};
use crate::steps::{Followed, Step};
use crate::watch::{Post, Watch};

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    hours: u32,
    records: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { hours: 2, records: 500.0 }
    }
}

/// See the file's head.
pub struct LoginAsThenExport;

impl Watch for LoginAsThenExport {
    const ID: &'static str = "login-as-then-export";
    const SOURCE: &'static str = include_str!("login_as_then_export.rs");
    const SEVERITY: Severity = Severity::High;
    const TECHNIQUES: &'static [&'static str] = &["T1078", "T1567"];
    const ACTIONS: &'static [&'static str] = &["login-as", TAKEN[0], TAKEN[1], TAKEN[2], TAKEN[3]];
    type Settings = Settings;
    type State = Trace;

    fn lasting(settings: &Settings) -> Option<Millis> {
        Some(Millis::from(settings.hours) * 3_600_000)
    }

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        if event.text(Field::EventOutcome) == Some("failure") {
            return;
        }
        let login_as = event.text(Field::EventAction) == Some("login-as");
        let targets = of_target(event);
        let (names, step) = if login_as {
            (targets, Step::of(event, 0.0, &who(event)))
        } else {
            let Some(mut step) = taken(event, context, false) else { return };
            // The log says itself that one acts in the place of another: no address need agree.
            if !targets.is_empty() {
                step.address = None;
            }
            (if targets.is_empty() { of_actor(event) } else { targets }, step)
        };
        let within = Millis::from(at.settings.hours) * 3_600_000;
        let (mut told, late) = (false, event.origin.lateness);
        for name in names {
            let trace = at.states.touch(&name, event.time);
            if login_as {
                trace.cause(step.clone())
            } else {
                trace.effect(step.clone(), late)
            }
            let Some(mut followed) = trace.chain.around(event.time, within) else { continue };
            let place = followed.cause.address;
            followed.effects.retain(|effect| effect.address.is_none() || place.is_none() || effect.address == place);
            followed.amount = followed.effects.iter().map(|effect| effect.amount).sum();
            if followed.effects.is_empty() || followed.amount < at.settings.records {
                continue;
            }
            let severity =
                if followed.amount >= 10.0 * at.settings.records { Severity::High } else { Severity::Medium };
            let detection = tell(event, &name, severity, &followed);
            if trace.worth_telling(event.time, severity) && !told {
                out.push(detection);
            }
            told = true;
        }
    }
}

fn tell(event: &Event, name: &str, severity: Severity, followed: &Followed<'_>) -> Detection {
    let admin = &followed.cause.words;
    let [amount, amount_zh] = amount_and_delay(followed);
    let mut detection = resting(LoginAsThenExport::detection(event, severity), event, followed);
    // Whoever did it comes first, then in whose name.
    let mut entity = crate::finding::Identities::default();
    entity.add(Field::UserName.name(), admin);
    entity.add(Field::UserName.name(), name);
    entity.merge(&detection.entity);
    detection.entity = entity;
    detection.primary = Field::UserName.name();
    detection.subject = format!("{admin}/{name}");
    Detection {
        summary: Sentence::new(
            format!("{admin} took the place of {name} and took out {amount} under that name"),
            format!("{admin} 以 {name} 的身份登录，并以其名义导出：{amount_zh}"),
        ),
        observed: Sentence::new(
            format!("login as {name}, then {amount}"),
            format!("以 {name} 身份登录，随后{amount_zh}"),
        ),
        expected: Sentence::new("support looks and does not export", "支持人员只查看，不导出"),
        ..detection
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BERLIN, MUNICH, event, kept_promises, play_all, with, worst};

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<LoginAsThenExport>(&serde_json::json!({})).expect("defaults fit")
    }

    fn login_as(minute: i64) -> Event {
        with(event(minute, "ana", BERLIN, "login-as", -1), Field::UserEffectiveName, "Ben")
    }

    #[test]
    fn an_export_in_another_s_place_is_high_and_names_both() {
        let found = kept_promises(&make, vec![login_as(0), event(10, "ben", BERLIN, "export", 9_000)]);
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::High)));
        assert_eq!(found[0].entity.0["user.name"], ["ana", "ben"]);
    }

    #[test]
    fn an_export_that_the_log_marks_itself_counts_from_anywhere() {
        let marked = with(event(10, "ana", MUNICH, "export", 900), Field::UserEffectiveName, "ben");
        assert_eq!(worst(&play_all(&make, vec![login_as(0), marked])), Some(Severity::Medium));
    }

    #[test]
    fn the_person_s_own_export_a_look_and_an_export_in_the_afternoon_are_nothing() {
        assert_eq!(play_all(&make, vec![login_as(0), event(10, "ben", MUNICH, "export", 9_000)]).len(), 0);
        assert_eq!(play_all(&make, vec![login_as(0), event(10, "ben", BERLIN, "view", 1)]).len(), 0);
        assert_eq!(play_all(&make, vec![login_as(0), event(180, "ben", BERLIN, "export", 9_000)]).len(), 0);
    }

    #[test]
    fn an_export_whose_size_no_log_tells_is_an_export() {
        let found = play_all(&make, vec![login_as(0), event(10, "ben", BERLIN, "export", -1)]);
        assert_eq!(worst(&found), Some(Severity::Medium));
    }
}
