//! A guest, who never logged in, goes through the records of a portal.
//!
//! # What it finds
//! A guest account that reads many kinds of records, or many records, from one address within an hour.
//!
//! # Why it matters
//! A portal shows guests what its settings let through, and a tool on the internet asks for everything. What comes back is found out later, in the press.
//!
//! # How it decides
//! Guests are told by role or name (`guest`, `anonymous`, a site's guest user). Kinds of records and records are counted by guest and address within an
//! hour, in steps of ten minutes. From `objects` kinds or `records` different records on, and from more than 199 in 200 of such hours of other guests' addresses where 200 are known, it is medium,
//! from five times as many on high. Search engines by their own word are low: anyone may say so, see the address.
//!
//! # False positives
//! A search engine; a portal whose start page loads many kinds of records.
//!
//! # What to check
//! - Which records did it get, and were they meant for guests? Close the guest's profile, then look.
//! - Block the address.
//!
//! # Settings
//! - `objects` (10): kinds of records within an hour.
//! - `records` (150): different records within an hour.

use serde::{Deserialize, Serialize};

use crate::baseline::Histogram;
use crate::detector::Context;
use crate::distinct::Different;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::keyed::Resident;
use crate::mass::Told;
use crate::names::who;
use crate::watch::{Post, Watch};
use crate::window::Trail;
use crate::wording::figure;

const HOUR: Millis = 3_600_000;
const STEP: Millis = 600_000;
const OTHERS: u64 = 200;
const GUESTS: [&str; 3] = ["guest", "anonymous", "访客"];
/// The key of what guests do otherwise.
const ALL: &str = "all";

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    objects: f64,
    records: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { objects: 10.0, records: 150.0 }
    }
}

/// What came from one address.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Visit {
    /// Number of ten minutes, kinds, records.
    slots: Vec<(i64, Different, Different)>,
    trail: Trail,
    told: Told,
    /// Of all: records of a slot that is over.
    others: Histogram,
}

impl Resident for Visit {
    fn rank(&self) -> u8 {
        u8::from(self.slots.iter().any(|slot| slot.2.count() > 10.0)) + 2 * u8::from(self.others.total() > 0)
    }
}

/// See the file's head.
pub struct GuestEnumeration;

/// Whether the event is of the account that visitors share: nobody's own, so no rule about a person's ways holds for it.
pub fn is_guest(event: &Event) -> bool {
    let guest = |text: &str| {
        GUESTS
            .iter()
            .any(|word| text.as_bytes().get(..word.len()).is_some_and(|one| one.eq_ignore_ascii_case(word.as_bytes())))
    };
    [Field::UserRoles, Field::UserName, Field::LoginType]
        .into_iter()
        .filter_map(|field| event.text(field))
        .any(|text| guest(text) || text.match_indices(' ').any(|(at, _)| guest(&text[at + 1..])))
}

impl Watch for GuestEnumeration {
    const ID: &'static str = "guest-enumeration";
    const SOURCE: &'static str = include_str!("guest_enumeration.rs");
    const SEVERITY: Severity = Severity::Medium;
    const TECHNIQUES: &'static [&'static str] = &["T1190", "T1213"];
    const ACTIONS: &'static [&'static str] =
        &["view", "list", "search", "api-call", "report-run", "export", "bulk-api"];
    const CAPACITY: usize = 20_000;
    type Settings = Settings;
    type State = Visit;

    fn look(at: &mut Post<'_, Self>, event: &Event, _: &Context, out: &mut Vec<Detection>) {
        if !is_guest(event) {
            return;
        }
        let Some(address) = event.ip(Field::SourceIp) else { return };
        let key = format!("{address}");
        let number = event.time.div_euclid(STEP);
        let visit = at.states.touch(&key, event.time);
        let old: Vec<f64> = visit.slots.iter().filter(|slot| slot.0 + 6 < number).map(|slot| slot.2.count()).collect();
        visit.slots.retain(|slot| slot.0 + 6 >= number);
        let position = visit.slots.partition_point(|slot| slot.0 < number);
        if visit.slots.get(position).is_none_or(|slot| slot.0 != number) {
            visit.slots.insert(position, (number, Different::default(), Different::default()));
        }
        let slot = &mut visit.slots[position];
        let mut new = event.text(Field::ObjectType).is_some_and(|kind| slot.1.add(kind));
        new |= event.text(Field::ObjectId).or_else(|| event.text(Field::UrlOriginal)).is_some_and(|id| slot.2.add(id));
        let (mut kinds, mut ids) = (Different::default(), Different::default());
        if new {
            visit.trail.add(event, HOUR, 60);
            visit.slots.iter().for_each(|slot| {
                kinds.join(&slot.1);
                ids.join(&slot.2);
            });
        }
        let (kinds, ids) = (kinds.count(), ids.count().max(event.integer(Field::Records).unwrap_or(0) as f64));
        if !old.is_empty() {
            let all = at.states.touch(ALL, event.time);
            old.into_iter().for_each(|records| all.others.learn(records));
        }
        if kinds < at.settings.objects && ids < at.settings.records {
            return;
        }
        let others = at.states.get(ALL).map(|all| &all.others);
        if kinds < at.settings.objects
            && others.is_some_and(|others| others.total() >= OTHERS && others.share_below(ids) <= 0.995)
        {
            return;
        }
        let much = kinds >= 5.0 * at.settings.objects || ids >= 5.0 * at.settings.records;
        let severity = match (event.text(Field::UserAgentDevice) == Some("crawler"), much) {
            (true, _) => Severity::Low,
            (false, true) => Severity::High,
            (false, false) => Severity::Medium,
        };
        let visit = at.states.touch(&key, event.time);
        if visit.told.again(event.time, kinds.max(ids), severity as u8) {
            let mut evidence = visit.trail.references(event.time - HOUR, event.time);
            evidence.retain(|reference| reference.id != event.id);
            out.push(tell(event, &key, severity, kinds, ids).resting_on(evidence, event.time - HOUR, event.time));
        }
    }
}

fn tell(event: &Event, address: &str, severity: Severity, kinds: f64, ids: f64) -> Detection {
    let who = who(event);
    let (kinds_said, ids_said) = (figure(kinds), figure(ids));
    Detection {
        // Guests are one account for the whole internet: the address is who it is.
        primary: Field::SourceIp.name(),
        subject: address.to_owned(),
        summary: Sentence::new(
            format!(
                "The guest {who} read {ids_said} records of {kinds_said} kinds from {address} within an hour, without ever logging in"
            ),
            format!("访客 {who} 在一小时内从 {address} 读取了 {kinds_said} 种、{ids_said} 条记录，从未登录"),
        ),
        observed: Sentence::new(
            format!("{ids_said} records of {kinds_said} kinds"),
            format!("{kinds_said} 种、{ids_said} 条记录"),
        ),
        expected: Sentence::new("a guest reads a few pages", "访客通常只浏览几页"),
        quiet: 6 * HOUR,
        parts: vec![("kinds", kinds), ("records", ids)],
        ..GuestEnumeration::detection(event, severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BERLIN, NEW_YORK_VPN, event, kept_promises, play_all, with, worst};

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<GuestEnumeration>(&serde_json::json!({})).expect("defaults fit")
    }

    fn read(nth: i64, user: &str, kind: i64) -> Event {
        let mut one = with(event(0, user, NEW_YORK_VPN, "view", nth), Field::ObjectId, &format!("r{nth}"));
        one.time += nth * 2_000;
        with(one, Field::ObjectType, &format!("kind{kind}"))
    }

    #[test]
    fn a_guest_that_goes_through_kinds_or_records_is_medium_and_through_thousands_high() {
        let name = "Support Site Guest User";
        let found = kept_promises(&make, (0..40).map(|nth| read(nth, name, nth % 14)).collect());
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::Medium)));
        assert_eq!(&*found[0].primary, "source.ip");
        assert_eq!(worst(&play_all(&make, (0..1_500).map(|nth| read(nth, name, 1)).collect())), Some(Severity::High));
    }

    #[test]
    fn visitors_people_who_logged_in_and_search_engines_are_no_more_than_low() {
        assert_eq!(play_all(&make, (0..30).map(|nth| read(nth, "guest", nth % 4)).collect()).len(), 0);
        assert_eq!(play_all(&make, (0..400).map(|nth| read(nth, "mia", nth % 40)).collect()).len(), 0);
        let engine = (0..400).map(|nth| with(read(nth, "guest", 1), Field::UserAgentDevice, "crawler"));
        assert_eq!(worst(&play_all(&make, engine.collect())), Some(Severity::Low));
        assert!(!is_guest(&event(0, "m.guestrow", BERLIN, "view", 1)));
    }
}
