//! A program that has long been working from one network works from another: its key may have been stolen.
//!
//! # What it finds
//! An integration account or app whose calls succeed from a network it never used and the organisation does not use either.
//!
//! # Why it matters
//! Keys of integrations are stored with the vendor, live for months and are watched by nobody. In 2025 hundreds of companies lost
//! their customer data through the keys of one vendor, taken out from servers the vendor had never used.
//!
//! # How it decides
//! A program is an app, an account that the people file calls one, or an account that has only come with scripts so far. It must have
//! been seen on five days or more. A network is new where neither its prefix nor its owner (nor, where owners are unknown, its country) is the program's, and strange
//! where fewer than three others use it. One success from there is medium; a thousand records taken out from there within an hour, or a
//! different program behind the same key as well as another country, are high. What goes on is one finding; after two weeks the network is known.
//!
//! # False positives
//! A vendor that moves to another hosting company: it says so beforehand, mostly. Compare with its published addresses.
//!
//! # What to check
//! - Does the vendor know the address? Ask; look at its published list.
//! - If not: revoke the key at once, then look at what was read since: search by `crm.oauth.client.id` or `user.name`, and `source.ip`.
//!
//! # Settings
//! - `records` (1000): records within an hour from the new network that make it high.

use serde::{Deserialize, Serialize};

use crate::bulk_export::taken_out;
use crate::detector::Context;
use crate::entity::entity_key;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::keyed::Resident;
use crate::names::who;
use crate::steps::{Step, Steps};
use crate::watch::{Post, Watch};
use crate::wording::figure;

const HOUR: Millis = 3_600_000;
/// Nightly jobs are one episode.
const QUIET: Millis = 26 * HOUR;
const AGAIN: Millis = 600_000;
const LEAST_DAYS: u32 = 5;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    records: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { records: 1_000.0 }
    }
}

/// What a program did from a strange network.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Program {
    steps: Steps,
    told: Option<(Millis, u8)>,
}

impl Resident for Program {}

/// See the file's head.
pub struct IntegrationNewNetwork;

impl Watch for IntegrationNewNetwork {
    const ID: &'static str = "integration-new-network";
    const SOURCE: &'static str = include_str!("integration_new_network.rs");
    const SEVERITY: Severity = Severity::High;
    const TECHNIQUES: &'static [&'static str] = &["T1550.001", "T1199"];
    const ACTIONS: &'static [&'static str] =
        &["login", "api-call", "bulk-api", "export", "report-run", "list", "search", "view", "file-download"];
    const CAPACITY: usize = 20_000;
    type Settings = Settings;
    type State = Program;

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        if context.is_guest(event) {
            return;
        }
        let key = entity_key(event);
        let declared = key.starts_with("app:") || event.person.as_ref().is_some_and(|person| person.is_program());
        let script = matches!(event.text(Field::UserAgentDevice), Some("script" | "crawler" | "app"));
        if !(declared || script) || event.text(Field::EventOutcome) == Some("failure") {
            return;
        }
        let view = context.view(event);
        // Whoever is not declared a program must have been one so far: this very agent is what it always came with.
        if view.days() < LEAST_DAYS || !view.mature() || (!declared && view.new_agent()) || !view.strange_network() {
            return;
        }
        let amount = taken_out(event, context).map_or(0.0, |(records, _)| records);
        let other = view.new_agent() && view.new_country();
        let program = at.states.touch(&key, event.time);
        program.steps.add(Step::of(event, amount, event.text(Field::SourceAsOrg).unwrap_or_default()));
        let window = program.steps.fullest(event.time, HOUR);
        let records: f64 = window.iter().map(|step| step.amount).sum();
        let severity = if records >= at.settings.records || other { Severity::High } else { Severity::Medium };
        let told = program
            .told
            .is_some_and(|(told, before)| told.abs_diff(event.time) < AGAIN as u64 && before >= severity as u8);
        if told {
            return;
        }
        let evidence = window.iter().map(|step| step.reference).filter(|one| one.id != event.id).collect();
        let from = window.first().map_or(event.time, |step| step.time);
        out.push(tell(event, severity, records, at.settings.records).resting_on(evidence, from, event.time));
        program.told = Some((event.time, severity as u8));
    }
}

fn tell(event: &Event, severity: Severity, records: f64, least: f64) -> Detection {
    let who = who(event);
    let address = event.ip(Field::SourceIp).map_or("-".to_owned(), |address| address.to_string());
    let owner = event.text(Field::SourceAsOrg).unwrap_or("?");
    let taken = figure(records);
    Detection {
        summary: Sentence::new(
            format!(
                "The integration {who} works from {address} ({owner}), where it never was before; {taken} records were read from there within an hour"
            ),
            format!("集成 {who} 从从未使用过的 {address}（{owner}）运行；一小时内由此读取 {taken} 条记录"),
        ),
        observed: Sentence::new(
            format!("calls from {address} of {owner}, {taken} records"),
            format!("来自 {owner} 的 {address} 的调用，{taken} 条记录"),
        ),
        expected: Sentence::new(
            format!("the networks it has used so far, and fewer than {} records from any other", figure(least)),
            format!("一直使用的网络；其他网络不超过 {} 条记录", figure(least)),
        ),
        quiet: QUIET,
        parts: vec![("records", records)],
        ..IntegrationNewNetwork::detection(event, severity)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::person::Person;
    use crate::scenario::{
        BERLIN, DAY, DUBLIN_CLOUD, NEW_YORK_VPN, OREGON_CLOUD, Site, event, kept_promises, play_all, with, worst,
    };

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<IntegrationNewNetwork>(&serde_json::json!({})).expect("defaults fit")
    }

    fn call(minute: i64, site: Site, records: i64) -> Event {
        let mut event = with(event(minute, "sync", site, "bulk-api", records), Field::UserAgent, "okhttp/4.12.0");
        let role = Some("integration".into());
        event.person = Some(Arc::new(Person { user: "sync".into(), role, ..Person::default() }));
        event
    }

    fn story(later: &[(i64, Site, i64)]) -> Vec<Event> {
        let nightly = (0..10).flat_map(|day| (0..4).map(move |step| call(day * DAY + 60 + step, DUBLIN_CLOUD, 400)));
        nightly.chain(later.iter().map(|(minute, site, records)| call(12 * DAY + minute, *site, *records))).collect()
    }

    #[test]
    fn a_key_used_from_elsewhere_is_medium_and_reading_much_there_is_high() {
        let found = kept_promises(&make, story(&[(0, NEW_YORK_VPN, 10), (3, NEW_YORK_VPN, 10)]));
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::Medium)));
        let found = kept_promises(&make, story(&[(0, NEW_YORK_VPN, 10), (3, NEW_YORK_VPN, 4_000)]));
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::High)));
    }

    #[test]
    fn another_region_of_the_same_provider_and_the_office_are_nothing() {
        assert_eq!(play_all(&make, story(&[(0, OREGON_CLOUD, 9_000)])).len(), 0);
        let mut events = story(&[(0, BERLIN, 9_000)]);
        for user in ["ben", "eva", "tom"] {
            events.extend((0..3).map(|day| event(day * DAY, user, BERLIN, "view", 1)));
        }
        assert_eq!(play_all(&make, events).len(), 0);
    }

    #[test]
    fn a_person_on_a_journey_and_a_program_of_yesterday_are_nothing() {
        let people = crate::scenario::fortnight("mia").into_iter().chain([event(
            15 * DAY,
            "mia",
            NEW_YORK_VPN,
            "export",
            9_000,
        )]);
        assert_eq!(play_all(&make, people.collect()).len(), 0);
        assert_eq!(play_all(&make, vec![call(0, DUBLIN_CLOUD, 10), call(DAY, NEW_YORK_VPN, 9_000)]).len(), 0);
    }
}
