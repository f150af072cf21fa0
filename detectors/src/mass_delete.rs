//! Records are deleted by the hundred.
//!
//! # What it finds
//! A person, account or app that deletes far more records within an hour than ever before: one by one or by commands for many.
//!
//! # Why it matters
//! What is deleted is gone, for the business as for the investigation. It is the parting gift of the angry and the cover of the thief.
//!
//! # How it decides
//! Deleted records of the last hour are added up; a command for many that does not say how many counts as 200. From `records` on, and from three times
//! the largest hour of this entity that lies a day back or farther, it is medium; ten times `records`, or from a network that is strange to the account, is high. An hour that
//! was reported becomes usual after two weeks. In an organisation's first three days programs are low: their nightly jobs are not known yet.
//! (Published rules ask for 10,000 a day; few companies have that many records to lose.)
//!
//! # False positives
//! A cleaning of doubles by whoever keeps the data in order; a retention job that runs for the first time.
//!
//! # What to check
//! - Stop it first: lock the account, then ask.
//! - Restore from the recycle bin while it still holds them; compare with the last export of the same person.
//!
//! # Settings
//! - `records` (100): records within an hour.

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

/// What a command for many counts as that does not say how many.
const UNKNOWN: f64 = 200.0;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    records: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { records: 100.0 }
    }
}

/// See the file's head.
pub struct MassDelete;

fn deletes(event: &Event) -> bool {
    match event.text(Field::EventAction) {
        Some("delete" | "bulk-delete") => true,
        _ => event.text(Field::EventType) == Some("deletion") || event.text(Field::HttpMethod) == Some("DELETE"),
    }
}

impl Watch for MassDelete {
    const ID: &'static str = "mass-delete";
    const SOURCE: &'static str = include_str!("mass_delete.rs");
    const SEVERITY: Severity = Severity::Medium;
    const TECHNIQUES: &'static [&'static str] = &["T1485"];
    const ACTIONS: &'static [&'static str] = &["delete", "bulk-delete", "bulk-api", "api-call"];
    const CAPACITY: usize = 50_000;
    type Settings = Settings;
    type State = Deeds;

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        if !deletes(event) || event.text(Field::EventOutcome) == Some("failure") {
            return;
        }
        let key = entity_key(event);
        if key.is_empty() {
            return;
        }
        let deeds = at.states.touch(&key, event.time);
        let Some(amount) = deeds.add(event, records(event, UNKNOWN), at.settings.records) else { return };
        let view = context.view(event);
        let program = key.starts_with("app:") || event.person.as_ref().is_some_and(|person| person.is_program());
        let severity = if program && view.organisation_days() < 3.0 {
            Severity::Low
        } else if amount.records >= 10.0 * at.settings.records || (view.mature() && view.strange_network()) {
            Severity::High
        } else {
            Severity::Medium
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
    let (gone, usual) = (figure(amount.records), figure(amount.usual));
    Detection {
        summary: Sentence::new(
            format!("{who} deleted {gone} records within an hour; the most so far were {usual}"),
            format!("{who} 在一小时内删除了 {gone} 条记录；此前最多为 {usual} 条"),
        ),
        observed: Sentence::new(
            format!("{gone} records deleted within an hour"),
            format!("一小时内删除 {gone} 条记录"),
        ),
        expected: Sentence::new(
            format!("the largest hour before had {usual}"),
            format!("此前最多的一小时为 {usual} 条"),
        ),
        quiet: 6 * HOUR,
        parts: vec![("records", amount.records), ("largest hour before", amount.usual)],
        ..MassDelete::detection(event, severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{
        BERLIN, DAY, SAO_PAULO, Site, event, failed, fortnight, kept_promises, play_all, with, worst,
    };

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<MassDelete>(&serde_json::json!({})).expect("defaults fit")
    }

    fn singly(day: i64, count: i64, site: Site) -> Vec<Event> {
        let one = |nth: i64| {
            let mut one = event(day * DAY + 600, "mia", site, "delete", nth);
            one.time += nth * 2_000;
            one.set_integer(Field::Records, 1);
            one
        };
        (0..count).map(one).collect()
    }

    fn story(more: Vec<Event>) -> Vec<Event> {
        fortnight("mia").into_iter().chain(more).collect()
    }

    #[test]
    fn hundreds_one_by_one_are_medium_and_thousands_or_a_stranger_s_high() {
        let found = kept_promises(&make, story(singly(15, 300, BERLIN)));
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::Medium)));
        assert!(found[0].evidence.count() >= 100);
        assert_eq!(worst(&play_all(&make, story(singly(15, 300, SAO_PAULO)))), Some(Severity::High));
        let bulk = event(15 * DAY + 600, "mia", BERLIN, "bulk-delete", 2_000);
        assert_eq!(worst(&play_all(&make, story(vec![bulk]))), Some(Severity::High));
        let unsaid = event(15 * DAY + 600, "mia", BERLIN, "bulk-delete", -1);
        assert_eq!(worst(&play_all(&make, story(vec![unsaid]))), Some(Severity::Medium));
    }

    #[test]
    fn tidying_up_failed_tries_and_the_clean_up_of_every_week_are_nothing() {
        assert_eq!(play_all(&make, story(singly(15, 60, BERLIN))).len(), 0);
        let refused = failed(event(15 * DAY + 600, "mia", BERLIN, "bulk-delete", 2_000));
        assert_eq!(play_all(&make, story(vec![refused])).len(), 0);
        let weekly = |week: i64| event(week * 7 * DAY + 600, "mia", BERLIN, "bulk-delete", 150 + week);
        let found = play_all(&make, (0..6).map(weekly).collect());
        let late: Vec<_> = found.iter().filter(|one| one.time > crate::scenario::START + 16 * 86_400_000).collect();
        assert!(late.is_empty(), "known after two weeks");
    }

    #[test]
    fn a_retention_job_on_the_first_night_is_low() {
        let mut job = event(60, "sync", BERLIN, "bulk-delete", 5_000);
        job = with(job, Field::OauthClientId, "retention");
        job.remove(Field::UserName);
        assert_eq!(worst(&play_all(&make, vec![job])), Some(Severity::Low));
    }
}
