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
