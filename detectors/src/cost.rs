//! What an ordinary event costs the native detectors, measured. Only a test; run it with
//! `cargo test --release -p crmwatch-detectors -- --ignored --nocapture`.

use crate::detector::{Context, Detector};
use crate::event::Event;
use crate::field::Field;
use crate::scenario::{BERLIN, CHROME, MUNICH, event, with};

/// Nanoseconds this thread has run, so that a busy machine does not count.
#[allow(clippy::disallowed_methods, reason = "a measurement, and only of a test: no detector reads files")]
fn on_processor() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    text.split(' ').next().and_then(|number| number.parse().ok()).expect("the first number")
}

#[test]
#[ignore = "a measurement: means something in a release build only"]
fn an_ordinary_event_costs_less_than_400_nanoseconds() {
    let mut detectors: Vec<Box<dyn Detector>> = vec![
        crate::impossible_travel::ImpossibleTravel::build(&serde_json::json!({})).expect("defaults fit"),
        crate::bulk_export::BulkExport::build(&serde_json::json!({})).expect("defaults fit"),
    ];
    let actions = ["view", "list", "view", "update", "view", "list", "view", "view", "create", "export"];
    let events: Vec<Event> = (0..200_000i64)
        .map(|turn| {
            let user = format!("user{}", turn * 7919 % 5_000);
            let site = if turn % 50 == 0 { MUNICH } else { BERLIN };
            let mut event = event(turn / 100, &user, site, actions[(turn % 10) as usize], 25);
            event.set(Field::Entity, &format!("user:{user}"));
            with(event, Field::UserAgent, CHROME)
        })
        .collect();
    let mut out = Vec::new();
    let mut worst = [0.0; 2];
    // Time goes on: the first quarter warms up, the rest counts.
    for events in [&events[..50_000], &events[50_000..]] {
        for (detector, cost) in detectors.iter_mut().zip(&mut worst) {
            let start = on_processor();
            for event in events {
                detector.observe(event, &Context { watermark: event.time - 600_000, habits: None }, &mut out);
            }
            *cost = (on_processor() - start) as f64 / events.len() as f64;
            detector.changes();
        }
    }
    let total: f64 = worst.iter().sum();
    eprintln!("impossible-travel {:.0} ns, bulk-export {:.0} ns an event", worst[0], worst[1]);
    assert!(total < 400.0, "{worst:?} nanoseconds an event");
    assert!(worst.iter().all(|cost| *cost > 0.0));
}

/// Ordinary work of 5,000 people: what every detector sees, whether it concerns it or not.
fn work(count: i64) -> Vec<Event> {
    let actions = ["view", "list", "view", "update", "view", "list", "view", "search", "login", "export"];
    (0..count)
        .map(|turn| {
            let user = format!("user{}", turn * 7919 % 5_000);
            let site = if turn % 50 == 0 { MUNICH } else { BERLIN };
            let mut event = event(turn / 100, &user, site, actions[(turn % 10) as usize], 25);
            event.set(Field::Entity, &format!("user:{user}"));
            event.set(Field::SessionId, &format!("session-{user}"));
            event.set(Field::ObjectId, &format!("{}", turn * 31 % 90_000));
            event.set(Field::ObjectType, "contact");
            event.set(Field::UrlPath, "/crm/contacts/4711");
            with(event, Field::UserAgent, CHROME)
        })
        .collect()
}

/// Of looking at events; saving is the pipeline's to time.
fn cost_of(mut engine: crate::Engine, events: &[Event]) -> f64 {
    let (first, rest) = events.split_at(events.len() / 4);
    first.iter().for_each(|event| engine.observe(event));
    engine.changes();
    let start = on_processor();
    rest.iter().for_each(|event| engine.observe(event));
    (on_processor() - start) as f64 / rest.len() as f64
}

#[test]
#[ignore = "a measurement: means something in a release build only"]
fn everything_switched_on_costs_less_than_1600_nanoseconds() {
    let events = work(200_000);
    let first =
        ["impossible-travel", "bulk-export", "brute-force-success", "honeytoken-touched", "password-spray", "sigma"];
    let defaults = crate::engine::Settings::new();
    let of = |wanted: &dyn Fn(&str) -> bool| {
        let all = crate::registry::build(&defaults).expect("the defaults fit");
        crate::Engine::with(all.into_iter().filter(|detector| wanted(detector.id())).collect())
    };
    let none = cost_of(of(&|_| false), &events);
    let few = cost_of(of(&|id| first.contains(&id)), &events);
    let all = cost_of(of(&|_| true), &events);
    eprintln!("engine alone {none:.0} ns, with the first {} {few:.0} ns, with all {all:.0} ns an event", first.len());
    for detector in crate::registry::build(&defaults).expect("the defaults fit") {
        let id = detector.id();
        eprintln!("  {id}: {:.0} ns", cost_of(of(&|one| one == id), &events[..100_000]) - none);
    }
    assert!(all < 1_600.0, "{all} nanoseconds an event");
}
