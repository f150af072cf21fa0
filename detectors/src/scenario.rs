//! Short stories for detectors' tests: events by minute, user, place and action, shown to an engine. Not for anything but tests.

use std::sync::Arc;

use crate::detector::Detector;
use crate::engine::Engine;
use crate::event::{Event, EventId, Millis, Origin};
use crate::field::Field;
use crate::finding::{Finding, Severity};

/// 2026-03-02T00:00:00Z, a Monday.
pub const START: Millis = 1_772_409_600_000;
pub const HOUR: i64 = 60;
pub const DAY: i64 = 24 * HOUR;

/// Address, city, country, latitude, longitude, radius, network number, its owner.
pub type Site = (&'static str, &'static str, &'static str, f64, f64, f64, i64, &'static str);

pub const BERLIN: Site = ("203.0.113.7", "Berlin", "DE", 52.52, 13.405, 20.0, 3320, "Deutsche Telekom AG");
pub const BERLIN_MOBILE: Site = ("203.0.114.7", "Berlin", "DE", 52.52, 13.405, 20.0, 6805, "Telefonica Mobile");
pub const MUNICH_MOBILE: Site = ("203.0.115.7", "Munich", "DE", 48.137, 11.575, 20.0, 6805, "Telefonica Mobile");
pub const MUNICH: Site = ("203.0.116.7", "Munich", "DE", 48.137, 11.575, 20.0, 8767, "M-net GmbH");
pub const PARIS: Site = ("203.0.117.7", "Paris", "FR", 48.857, 2.352, 20.0, 3215, "Orange S.A.");
pub const SAO_PAULO: Site = ("198.51.100.9", "Sao Paulo", "BR", -23.55, -46.633, 20.0, 27699, "Telefonica Brasil");
pub const NEW_YORK_VPN: Site = ("192.0.2.9", "New York", "US", 40.71, -74.0, 20.0, 9009, "M247 Europe SRL");
pub const AMSTERDAM_VPN: Site = ("192.0.3.9", "Amsterdam", "NL", 52.37, 4.9, 20.0, 9009, "M247 Europe SRL");
pub const DUBLIN_CLOUD: Site = ("192.0.4.9", "Dublin", "IE", 53.35, -6.26, 20.0, 16509, "Amazon.com, Inc.");
pub const OREGON_CLOUD: Site = ("192.0.5.9", "Boardman", "US", 45.84, -119.7, 20.0, 16509, "Amazon.com, Inc.");
/// As a database of countries has it.
pub const GERMANY: Site = ("203.0.118.7", "", "DE", 51.1, 10.4, 430.0, 0, "");
pub const NETHERLANDS: Site = ("203.0.119.7", "", "NL", 52.1, 5.3, 170.0, 0, "");
pub const BRAZIL: Site = ("203.0.120.7", "", "BR", -14.2, -51.9, 2_300.0, 0, "");
pub const NIGERIA: Site = ("203.0.121.7", "", "NG", 9.1, 8.7, 700.0, 0, "");

pub const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/130.0 Safari/537.36";
pub const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0";

/// A successful event `minute` minutes after the start.
pub fn event(minute: i64, user: &str, site: Site, action: &str, records: i64) -> Event {
    let mut event = Event::new("");
    event.time = START + minute * 60_000;
    event.id = crate::finding::finding_id(action, user, EventId(event.time as u128 ^ ((records as u128) << 64)));
    event.origin = Arc::new(Origin { source: "crm".into(), path: "/var/log/crm.log".into(), lateness: 600_000 });
    event.set(Field::UserName, user);
    event.set(Field::EventAction, action);
    event.set(Field::EventOutcome, "success");
    event.set_ip(Field::SourceIp, site.0.parse().expect("an address"));
    event.set(Field::NetworkClass, "public");
    event.set(Field::SourceCountry, site.2);
    event.set_float(Field::SourceLat, site.3);
    event.set_float(Field::SourceLon, site.4);
    event.set_float(Field::GeoRadius, site.5);
    if !site.1.is_empty() {
        event.set(Field::SourceCity, site.1);
    }
    if site.6 != 0 {
        event.set_integer(Field::SourceAsn, site.6);
        event.set(Field::SourceAsOrg, site.7);
    }
    if records >= 0 {
        event.set_integer(Field::Records, records);
    }
    event
}

/// The same with one more text.
pub fn with(mut event: Event, field: Field, text: &str) -> Event {
    event.set(field, text);
    event
}

/// Working days: a view every `step` minutes from 8:00 to 16:00 UTC.
pub fn office(days: std::ops::Range<i64>, user: &str, site: Site, step: i64) -> Vec<Event> {
    days.flat_map(|day| (0..8 * HOUR / step).map(move |turn| day * DAY + 8 * HOUR + turn * step))
        .map(|minute| event(minute, user, site, "view", 1))
        .collect()
}

/// Shows the events in the order of their times.
pub fn play(detector: Box<dyn Detector>, mut events: Vec<Event>) -> Vec<Finding> {
    events.sort_by_key(|event| event.time);
    play_as_is(detector, &events)
}

/// Shows the events in the order given; findings in their last form, by id.
pub fn play_as_is(detector: Box<dyn Detector>, events: &[Event]) -> Vec<Finding> {
    let mut engine = Engine::with(vec![detector]);
    let mut last = std::collections::BTreeMap::new();
    for event in events {
        engine.observe(event);
        last.extend(engine.drain().into_iter().map(|finding| (finding.id, finding)));
    }
    last.into_values().filter(|finding| finding.severity >= Severity::Medium).collect()
}

/// Shows the events, and at each of `cuts` saves everything, forgets it and goes on with a fresh engine that is given back what was saved.
pub fn play_with_cuts(make: fn() -> Box<dyn Detector>, events: &[Event], cuts: &[usize]) -> Vec<Finding> {
    let mut saved = std::collections::BTreeMap::new();
    let mut engine = Engine::with(vec![make()]);
    let mut last = std::collections::BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        if cuts.contains(&index) {
            for change in engine.changes() {
                match change.value {
                    Some(value) => saved.insert((change.owner, change.key), value),
                    None => saved.remove(&(change.owner, change.key)),
                };
            }
            engine = Engine::with(vec![make()]);
            for ((owner, key), value) in &saved {
                engine.restore(owner, key, value).expect("what was saved is readable");
            }
        }
        engine.observe(event);
        last.extend(engine.drain().into_iter().map(|finding| (finding.id, finding)));
    }
    last.into_values().filter(|finding| finding.severity >= Severity::Medium).collect()
}

/// Findings at whatever severity, in their last form, of events in the order of their times.
pub fn play_all(make: &dyn Fn() -> Box<dyn Detector>, mut events: Vec<Event>) -> Vec<Finding> {
    events.sort_by_key(|event| event.time);
    shown(make, &events, &[])
}

fn shown(make: &dyn Fn() -> Box<dyn Detector>, events: &[Event], cuts: &[usize]) -> Vec<Finding> {
    let mut saved = std::collections::BTreeMap::new();
    let mut engine = Engine::with(vec![make()]);
    let mut last = std::collections::BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        if cuts.contains(&index) {
            for change in engine.changes() {
                match change.value {
                    Some(value) => saved.insert((change.owner, change.key), value),
                    None => saved.remove(&(change.owner, change.key)),
                };
            }
            engine = Engine::with(vec![make()]);
            for ((owner, key), value) in &saved {
                engine.restore(owner, key, value).expect("what was saved is readable");
            }
        }
        engine.observe(event);
        last.extend(engine.drain().into_iter().map(|finding| (finding.id, finding)));
    }
    last.into_values().collect()
}

/// Shows a story that must be found, and checks the promises every detector makes: a cut and restore anywhere near its end changes
/// nothing, and events up to nine minutes late end in the same findings about the same entities.
pub fn kept_promises(make: &dyn Fn() -> Box<dyn Detector>, mut events: Vec<Event>) -> Vec<Finding> {
    events.sort_by_key(|event| event.time);
    let whole = shown(make, &events, &[]);
    let from = events.len().saturating_sub(4);
    for cut in (from..events.len()).chain([events.len() / 2]) {
        assert_eq!(shown(make, &events, &[cut]), whole, "cut at {cut} of {}", events.len());
    }
    let mut late: Vec<(Millis, Event)> = events
        .iter()
        .enumerate()
        .map(|(nth, event)| (event.time + (nth as i64 * 7919 % 10) * 60_000, event.clone()))
        .collect();
    late.sort_by_key(|(arrival, event)| (*arrival, event.time));
    let late: Vec<Event> = late.into_iter().map(|(_, event)| event).collect();
    let about = |findings: &[Finding]| -> std::collections::BTreeSet<(String, Severity)> {
        findings.iter().map(|finding| (finding.primary_value().to_owned(), finding.severity)).collect()
    };
    assert_eq!(about(&shown(make, &late, &[])), about(&whole), "late events");
    for finding in &whole {
        assert!(!finding.summary.zh.is_empty() && finding.summary.en.len() > 20, "{:?}", finding.summary);
        assert!(!finding.observed.en.is_empty() && !finding.expected.zh.is_empty(), "{:?}", finding.expected);
        assert!(!finding.techniques.is_empty(), "{}", finding.rule);
    }
    whole
}

/// The worst severity found.
pub fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(|finding| finding.severity).max()
}

/// A failed one.
pub fn failed(event: Event) -> Event {
    with(event, Field::EventOutcome, "failure")
}

/// Two weeks of office days with one browser: what makes somebody's surroundings known.
pub fn fortnight(user: &str) -> Vec<Event> {
    office(0..14, user, BERLIN, 120).into_iter().map(|event| with(event, Field::UserAgent, CHROME)).collect()
}
