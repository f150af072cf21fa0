//! Records are overwritten by the ten thousand.
//!
//! # What it finds
//! A person, account or app that changes far more records within an hour than ever before.
//!
//! # Why it matters
//! A price, a bank account or an owner changed in every record is worse than a deletion: nobody notices for weeks.
//!
//! # How it decides
//! Changed records of the last hour are added up. From `records` on, and from three times the largest hour of this entity that lies a day back or
//! farther, it is a finding: high from a network that is strange to the account, medium from anybody whose work it is not, and low from administrators, operations
//! and programs, which do so in every migration. Ten thousand an hour is the limit of Microsoft's rule for Dataverse.
//!
//! # False positives
//! Migrations and imports: announce them with an allowance.
//!
//! # What to check
//! - Which field was changed, and from what to what? Compare a few records with yesterday's copy.
//! - Was it announced? If not, stop it: lock the account.
//!
//! # Settings
//! - `records` (10000): records within an hour.
//! - `roles` (admin, administrator, operations, ops, it): roles or departments whose work it is.

use serde::{Deserialize, Serialize};

use crate::detector::Context;
use crate::entity::entity_key;
use crate::event::Event;
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::mass::{Amount, Deeds, HOUR, records};
use crate::names::who;
use crate::verdict::Verdict;
use crate::watch::{Post, Watch};
use crate::wording::figure;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    records: f64,
    roles: Vec<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        let roles = ["admin", "administrator", "operations", "ops", "it"].map(str::to_owned).to_vec();
        Settings { records: 10_000.0, roles }
    }
}

/// See the file's head.
pub struct MassUpdate;

fn changes(event: &Event) -> bool {
    match event.text(Field::EventAction) {
        Some("update" | "merge") => true,
        Some("bulk-api" | "api-call") => {
            event.text(Field::EventType) == Some("change")
                || matches!(event.text(Field::HttpMethod), Some("PUT" | "PATCH"))
        }
        _ => false,
    }
}

impl Watch for MassUpdate {
    const ID: &'static str = "mass-update";
    const SOURCE: &'static str = include_str!("mass_update.rs");
    const SEVERITY: Severity = Severity::Medium;
    const TECHNIQUES: &'static [&'static str] = &["T1565"];
    const ACTIONS: &'static [&'static str] = &["update", "merge", "bulk-api", "api-call"];
    const CAPACITY: usize = 100_000;
    type Settings = Settings;
    type State = Deeds;

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        if !changes(event) || event.text(Field::EventOutcome) == Some("failure") {
            return;
        }
        let (key, count) = (entity_key(event), records(event, 1_000.0));
        // Nobody changes ten thousand records one by one within an hour; who begins with single ones is followed from the first many on.
        if key.is_empty() || (count < 20.0 && at.states.get(&key).is_none()) {
            return;
        }
        let deeds = at.states.touch(&key, event.time);
        let Some(amount) = deeds.add(event, count, at.settings.records) else { return };
        let view = context.view(event);
        let person = event.person.as_deref();
        let among = |word: Option<&str>| {
            word.is_some_and(|word| at.settings.roles.iter().any(|role| role.eq_ignore_ascii_case(word.trim())))
        };
        let his_work = key.starts_with("app:")
            || person.is_some_and(|person| {
                person.is_program() || among(person.role.as_deref()) || among(person.department.as_deref())
            });
        let severity = match view.mature() && view.strange_network() {
            true => Severity::High,
            false if his_work => Severity::Low,
            false => Severity::Medium,
        };
        if deeds.worth_telling(event, &amount, severity as u8) {
            let evidence = deeds.evidence(event);
            out.push(tell(event, severity, &amount).resting_on(evidence, event.time - HOUR, event.time));
        }
    }

    fn settle(at: &mut Post<'_, Self>, verdict: &Verdict) {
        at.each_judged(verdict, |deeds| deeds.settle(verdict));
    }
}

fn tell(event: &Event, severity: Severity, amount: &Amount) -> Detection {
    let who = who(event);
    let (changed, usual) = (figure(amount.records), figure(amount.usual));
    Detection {
        summary: Sentence::new(
            format!("{who} changed {changed} records within an hour; the most so far were {usual}"),
            format!("{who} 在一小时内修改了 {changed} 条记录；此前最多为 {usual} 条"),
        ),
        observed: Sentence::new(
            format!("{changed} records changed within an hour"),
            format!("一小时内修改 {changed} 条记录"),
        ),
        expected: Sentence::new(
            format!("the largest hour before had {usual}"),
            format!("此前最多的一小时为 {usual} 条"),
        ),
        quiet: 12 * HOUR,
        parts: vec![("records", amount.records), ("largest hour before", amount.usual)],
        ..MassUpdate::detection(event, severity)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::person::Person;
    use crate::scenario::{BERLIN, DAY, SAO_PAULO, Site, event, fortnight, kept_promises, play_all, worst};

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<MassUpdate>(&serde_json::json!({})).expect("defaults fit")
    }

    fn story(site: Site, role: &str, each: i64) -> Vec<Event> {
        let change = |nth: i64| {
            let mut one = event(15 * DAY + 600 + nth, "mia", site, "update", each);
            one.person = Some(Arc::new(Person { user: "mia".into(), role: Some(role.into()), ..Person::default() }));
            one
        };
        fortnight("mia").into_iter().chain((0..20).map(change)).collect()
    }

    #[test]
    fn twenty_thousand_are_medium_for_a_salesman_high_for_a_stranger_and_low_in_a_migration() {
        assert_eq!(worst(&kept_promises(&make, story(BERLIN, "sales", 1_000))), Some(Severity::Medium));
        assert_eq!(worst(&play_all(&make, story(SAO_PAULO, "sales", 1_000))), Some(Severity::High));
        assert_eq!(worst(&play_all(&make, story(BERLIN, "Operations", 1_000))), Some(Severity::Low));
    }

    #[test]
    fn ordinary_work_is_nothing_and_leaves_no_state() {
        assert_eq!(play_all(&make, story(BERLIN, "sales", 100)).len(), 0);
        let mut detector = make();
        let one = event(0, "mia", BERLIN, "update", 1);
        detector.observe(&one, &Context::default(), &mut Vec::new());
        assert!(detector.changes().is_empty());
    }
}
