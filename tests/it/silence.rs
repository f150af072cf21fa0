//! What the absence of lines decides: a log that falls silent is found while nothing is read, once, and again after a kill.

use std::fs;

use crmwatch::ledger::Ledger;
use crmwatch::pipeline::now;
use crmwatch_detectors::{EventId, Severity};
use rustix::process::Signal;

use crate::running::{House, signal, stop};

const HOUR: i64 = 3_600_000;

/// Three weeks of a line each half hour, the last one so many hours ago.
fn write(house: &House, silent_for: i64) -> u64 {
    let end = now() - silent_for * HOUR;
    let lines: Vec<String> = (0..21 * 48)
        .rev()
        .map(|half| {
            let time = crmwatch_detectors::json::timestamp(end - half * HOUR / 2);
            format!("{{\"@timestamp\":\"{time}\",\"event.action\":\"view\",\"user.name\":\"ann\",\"n\":{half}}}\n")
        })
        .collect();
    fs::write(house.log(), lines.concat()).expect("written");
    lines.len() as u64
}

fn silences(house: &House) -> Vec<(EventId, i64)> {
    let Ok(ledger) = Ledger::open(&house.state()) else { return Vec::new() };
    let rows = ledger.findings_between(0, i64::MAX, Severity::Low).expect("read");
    let of_rule = rows.iter().filter(|row| &*row.finding.rule == "source-silent");
    of_rule.map(|row| (row.finding.id, row.finding.time)).collect()
}

#[test]
fn a_log_that_falls_silent_is_found_while_nothing_is_read_and_is_the_same_finding_after_a_kill() {
    let house = House::new("");
    let lines = write(&house, 6);
    let mut child = house.start_and_wait();
    house.wait_for(lines);
    house.wait_until("the silence is found", || !silences(&house).is_empty());
    // What the detectors remember is not saved yet, or is: either way the journal tells the rest.
    signal(&child, Signal::KILL);
    child.wait().expect("ended");
    let first = silences(&house);
    let mut again = house.start_and_wait();
    assert!(stop(&mut again).success(), "{}", house.told());
    assert_eq!(silences(&house), first);
}

#[test]
fn an_archive_nobody_writes_to_any_more_is_not_silent() {
    let house = House::new("");
    let lines = write(&house, 60 * 24);
    house.run_until(lines);
    assert_eq!(silences(&house), []);
}
