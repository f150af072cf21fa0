//! Rules taken over while the daemon runs: with the next batch, without losing what unchanged rules remember, and the same again after
//! a kill. Wrong ones change nothing.

use std::fs;
use std::process::Child;

use crmwatch::ledger::Ledger;
use crmwatch_detectors::Severity;
use rustix::process::Signal;

use crate::running::{House, signal, stop};

/// One rule that finds three of the numbered lines, and one that counts to fifteen.
fn write_rules(house: &House, lines: [u64; 3]) {
    let [one, two, three] = lines;
    let text = format!(
        "title: Probe\nname: probe\nlogsource: {{product: crm}}\ndetection:\n  s: {{n: [{one}, {two}, {three}]}}\n  condition: s\n"
    );
    let folder = house.path().join("rules/deeper");
    fs::create_dir_all(&folder).expect("made");
    fs::write(folder.join("probe.yml"), text).expect("written");
    let counts = "title: View\nname: view\nlogsource: {product: crm}\ndetection:\n  s: {event.action: view}\n  condition: s\n---\ntitle: Fifteen\nname: fifteen\ncorrelation:\n  type: event_count\n  rules: [view]\n  group-by: [user.name]\n  timespan: 1h\n  condition: {gte: 15}\n";
    fs::write(house.path().join("rules/counts.yml"), counts).expect("written");
}

/// The lines a rule's findings rest on, and the line that decided the first.
fn found(house: &House, rule: &str) -> (Vec<u64>, Option<u64>) {
    let rows = Ledger::open(&house.state())
        .and_then(|ledger| ledger.findings_between(i64::MIN, i64::MAX, Severity::Low))
        .expect("read");
    let own: Vec<_> = rows.iter().filter(|row| &*row.finding.rule == rule).collect();
    let mut lines: Vec<u64> = own.iter().flat_map(|row| row.finding.evidence.iter().map(|one| one.line - 1)).collect();
    lines.sort_unstable();
    let decided = own.first().map(|row| (row.finding.time / 1000).rem_euclid(3600) as u64);
    (lines, decided)
}

/// A daemon under rules of its own that has read ten lines.
fn at_work() -> (House, Child) {
    let house = House::new("");
    write_rules(&house, [3, 13, 23]);
    let config = fs::read_to_string(house.config()).expect("read");
    fs::write(house.config(), config + "[rules]\ndirectories = [\"rules\"]\n").expect("written");
    house.append(0..10);
    let child = house.start_and_wait();
    house.wait_for(10);
    (house, child)
}

#[test]
fn rules_are_taken_over_between_batches_and_a_kill_repeats_each_batch_under_its_own() {
    let (house, mut child) = at_work();
    write_rules(&house, [4, 14, 24]);
    signal(&child, Signal::HUP);
    house.wait_until("the rules are taken over", || house.told().contains("other rules are in force"));
    house.append(10..20);
    house.wait_for(20);
    // What detectors remember is saved every ten seconds: all of this is read again.
    signal(&child, Signal::KILL);
    child.wait().expect("ended");
    write_rules(&house, [5, 15, 25]);
    let mut child = house.start_and_wait();
    house.append(20..30);
    house.wait_for(30);
    assert!(stop(&mut child).success(), "{}", house.told());
    assert_eq!(found(&house, "probe").0, [3, 14, 25], "{}", house.told());
    assert_eq!(found(&house, "fifteen").1, Some(14), "what an unchanged rule had counted stayed");
    house.assert_once(0..30);
}

#[test]
fn wrong_rules_change_nothing_and_are_told_with_file_and_line() {
    let (house, mut child) = at_work();
    fs::write(house.path().join("rules/wrong.yml"), "title: Wrong\ncorrelation:\n  type: event_count\n")
        .expect("written");
    signal(&child, Signal::HUP);
    house.wait_until("it has looked", || house.told().contains("the old ones stay in force"));
    assert!(house.told().contains("rules/wrong.yml:"), "{}", house.told());
    house.append(10..20);
    house.wait_for(20);
    assert!(stop(&mut child).success(), "{}", house.told());
    assert_eq!(found(&house, "probe").0, [3, 13], "{}", house.told());
}

/// The rule of the guide, as a reader would copy it.
fn of_the_guide() -> String {
    let guide = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rules-guide.md")).expect("read");
    let (_, rest) = guide.split_once("```yaml\n").expect("an example");
    rest.split_once("```").expect("its end").0.to_owned()
}

#[test]
fn the_rule_of_the_guide_passes_its_own_tests() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("price-list.yml");
    fs::write(&path, of_the_guide()).expect("written");
    let ran = crate::program::run(&["detectors", "test", path.to_str().expect("UTF-8")]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert!(ran.out.ends_with("3 tests, 0 failed\n"), "{}", ran.out);
    fs::write(&path, of_the_guide().replace("gte: 3", "gte: 4")).expect("written");
    let ran = crate::program::run(&["detectors", "test", path.to_str().expect("UTF-8")]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("FAILED price-lists-in-bulk") && ran.out.contains("it found nothing"), "{}", ran.out);
    fs::write(&path, of_the_guide().replace("|contains: price", "|contans: price")).expect("written");
    let ran = crate::program::run(&["detectors", "test", path.to_str().expect("UTF-8")]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("price-list.yml:11: ") && ran.err.contains("contans"), "{}", ran.err);
}
