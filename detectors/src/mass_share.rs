//! Records are shared, or given to another owner, by the hundred.
//!
//! # What it finds
//! Somebody who shares records with outsiders, hands out access, or changes owners far more often within an hour than ever before.
//!
//! # Why it matters
//! What is shared needs not be exported: whoever was given access reads it at leisure, from his own account.
//!
//! # How it decides
//! Shares and changes of owner of the last hour are added up, those with outsiders and the public apart. From `records` on (100, as in
//! Microsoft's rule for Dataverse), or from `outside` shares with outsiders, and from three times the largest hour before, it is medium. Shares with
//! outsiders from 100 on, ten times `records`, or a network that is strange to the account are high. Changes of owner by administrators, operations and
//! programs are low: territories are dealt out anew every quarter. Of an administrator who has been seen on ten days and never did a twentieth of it, they are medium.
//!
//! # False positives
//! A handover of accounts; a routing of leads that runs for the first time.
//!
//! # What to check
//! - With whom was it shared? Search by `crm.share.recipient`.
//! - Take the shares back; they do not end with the session.
//!
//! # Settings
//! - `records` (100): shares and changes of owner within an hour.
//! - `outside` (20): shares with outsiders or the public within an hour.

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

/// Whose work it is to change owners.
const DEALERS: [&str; 5] = ["admin", "administrator", "operations", "ops", "it"];

/// An administrator who has been seen on so many days and has never done a twentieth of it, does not do it as his work.
const ADMINISTRATORS: [&str; 2] = ["admin", "administrator"];
const KNOWN_DAYS: u32 = 10;
const NEVER: f64 = 20.0;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    records: f64,
    outside: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { records: 100.0, outside: 20.0 }
    }
}

/// See the file's head.
pub struct MassShare;

impl Watch for MassShare {
    const ID: &'static str = "mass-share";
    const SOURCE: &'static str = include_str!("mass_share.rs");
    const SEVERITY: Severity = Severity::Medium;
    const TECHNIQUES: &'static [&'static str] = &["T1537", "T1548"];
    const ACTIONS: &'static [&'static str] = &["share", "ownership-change"];
    const CAPACITY: usize = 50_000;
    type Settings = Settings;
    type State = Deeds;

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        let entity = entity_key(event);
        if event.text(Field::EventOutcome) == Some("failure") || entity.is_empty() {
            return;
        }
        let outside = matches!(event.text(Field::ShareScope), Some("external" | "public"));
        let (kind, floor) = if outside { ("outside", at.settings.outside) } else { ("inside", at.settings.records) };
        let deeds = at.states.touch(&format!("{kind}/{entity}"), event.time);
        let Some(amount) = deeds.add(event, records(event, 1.0), floor) else { return };
        let view = context.view(event);
        let person = event.person.as_deref();
        let dealer = person.is_some_and(|person| {
            let role = person.role.as_deref().unwrap_or_default();
            person.is_program() || DEALERS.iter().any(|word| word.eq_ignore_ascii_case(role.trim()))
        }) || entity.starts_with("app:");
        let role = person.and_then(|person| person.role.as_deref()).unwrap_or_default().trim();
        let administrator = ADMINISTRATORS.iter().any(|word| word.eq_ignore_ascii_case(role));
        let severity = if view.mature() && view.strange_network() {
            Severity::High
        } else if dealer
            && !outside
            && !(administrator && view.days() >= KNOWN_DAYS && amount.usual * NEVER <= amount.records)
        {
            Severity::Low
        } else if (outside && amount.records >= 100.0) || amount.records >= 10.0 * at.settings.records {
            Severity::High
        } else {
            Severity::Medium
        };
        if deeds.worth_telling(event, &amount, severity as u8) {
            let evidence = deeds.evidence(event);
            let detection = tell(event, severity, &amount, outside).resting_on(evidence, event.time - HOUR, event.time);
            out.push(Detection { subject: format!("{kind}/{entity}"), ..detection });
        }
    }

    fn settle(at: &mut Post<'_, Self>, verdict: &Verdict) {
        let kinds = |subject: &String| ["outside", "inside"].map(|kind| format!("{kind}/{subject}"));
        let judged = Verdict { subjects: verdict.subjects.iter().flat_map(kinds).collect(), ..verdict.clone() };
        at.each_judged(&judged, |deeds| deeds.settle(verdict));
    }
}

fn tell(event: &Event, severity: Severity, amount: &Amount, outside: bool) -> Detection {
    let who = who(event);
    let (count, usual) = (figure(amount.records), figure(amount.usual));
    let (did, did_zh) = if outside {
        ("shared with outsiders", "对外分享")
    } else {
        ("shared or gave to another owner", "分享或转移所有权")
    };
    let mut detection = MassShare::detection(event, severity);
    if let Some(recipient) = event.text(Field::ShareRecipient) {
        detection.entity.add(Field::ShareRecipient.name(), recipient);
    }
    Detection {
        summary: Sentence::new(
            format!("{who} {did} {count} records within an hour; the most so far were {usual}"),
            format!("{who} 在一小时内{did_zh} {count} 条记录；此前最多为 {usual} 条"),
        ),
        observed: Sentence::new(format!("{count} records within an hour"), format!("一小时内 {count} 条记录")),
        expected: Sentence::new(
            format!("the largest hour before had {usual}"),
            format!("此前最多的一小时为 {usual} 条"),
        ),
        quiet: 6 * HOUR,
        parts: vec![("records", amount.records), ("largest hour before", amount.usual)],
        ..detection
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::person::Person;
    use crate::scenario::{BERLIN, DAY, event, fortnight, kept_promises, play_all, with, worst};

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<MassShare>(&serde_json::json!({})).expect("defaults fit")
    }

    fn story(count: i64, action: &str, scope: &str, role: &str) -> Vec<Event> {
        let one = |nth: i64| {
            let mut one = event(15 * DAY + 600 + nth / 4, "mia", BERLIN, action, nth);
            one.set_integer(Field::Records, 1);
            one.person = Some(Arc::new(Person { user: "mia".into(), role: Some(role.into()), ..Person::default() }));
            with(with(one, Field::ShareScope, scope), Field::ShareRecipient, "drop@elsewhere.example")
        };
        fortnight("mia").into_iter().chain((0..count).map(one)).collect()
    }

    #[test]
    fn twenty_outsiders_are_medium_a_hundred_high_and_a_hundred_owners_medium() {
        assert_eq!(worst(&kept_promises(&make, story(40, "share", "external", "sales"))), Some(Severity::Medium));
        let found = play_all(&make, story(150, "share", "public", "sales"));
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::High)));
        assert!(found[0].entity.0["crm.share.recipient"][0].contains("drop@"));
        assert_eq!(worst(&play_all(&make, story(150, "ownership-change", "", "sales"))), Some(Severity::Medium));
    }

    #[test]
    fn a_few_shares_are_nothing_and_dealing_out_territories_is_low() {
        assert_eq!(play_all(&make, story(12, "share", "external", "sales")).len(), 0);
        assert_eq!(worst(&play_all(&make, story(400, "ownership-change", "", "Operations"))), Some(Severity::Low));
        assert_eq!(worst(&play_all(&make, story(400, "ownership-change", "", "admin"))), Some(Severity::Medium));
    }
}
