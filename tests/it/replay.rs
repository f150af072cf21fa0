//! `crmwatch replay`: it finds what `scan` finds, compares what is tried with what is in force, says it the same with the daemon running
//! and stopped, and refuses mistakes in words.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use crmwatch::ledger::Ledger;
use serde_json::{Map, Value};

use crate::program::{command, run};
use crate::running::{House, golden, stop};

/// A finding without where its lines lie, which a path may write in two ways.
fn by_id(objects: Vec<Map<String, Value>>) -> BTreeMap<String, Map<String, Value>> {
    let findings = objects.into_iter().filter(|one| one.contains_key("id"));
    findings
        .map(|mut one| {
            one.remove("evidence_refs");
            one.remove("change");
            (one["id"].as_str().expect("an id").to_owned(), one)
        })
        .collect()
}

fn lines_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("listed").map(|entry| entry.expect("an entry").path());
    entries
        .filter(|path| path.is_dir())
        .flat_map(|path| fs::read_dir(path).expect("listed").map(|entry| entry.expect("an entry").path()))
        .map(|path| fs::read(path).expect("read").iter().filter(|byte| **byte == b'\n').count() as u64)
        .sum()
}

#[test]
fn over_the_simulated_company_replay_finds_what_scan_finds() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("company");
    let at = path.to_str().expect("UTF-8");
    let written = run(&["demo", "--write", at, "--seed", "11", "--users", "30", "--days", "5"]);
    assert_eq!(written.code, Some(0), "{}", written.err);
    let lines = lines_below(&path);
    let config = path.join("crmwatch.toml");
    let mut text = fs::OpenOptions::new().append(true).open(&config).expect("opened");
    text.write_all(b"\n[http]\nlisten = \"127.0.0.1:0\"\n[retention]\nmin_free_bytes = \"0\"\n").expect("written");
    let config = config.to_str().expect("UTF-8");
    let mut child = command(&["run", "--config", config]).stderr(std::process::Stdio::null()).spawn().expect("started");
    let read = || {
        Ledger::open(&path.join("state"))
            .and_then(|ledger| ledger.positions())
            .map_or(0, |all| all.values().map(|position| position.line).sum::<u64>())
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(300);
    while read() < lines {
        assert!(std::time::Instant::now() < deadline, "{} of {lines} lines", read());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(stop(&mut child).success());
    let logs: Vec<String> = ["portal", "gateway", "m365", "odoo", "suitecrm", "espocrm", "salesforce"]
        .iter()
        .map(|source| path.join(source).display().to_string())
        .collect();
    let mut arguments = vec!["scan", "--config", config, "--json"];
    arguments.extend(logs.iter().map(String::as_str));
    let scanned = run(&arguments);
    let replayed =
        run(&["replay", "--config", config, "--since", "2000-01-01", "--learn", "0s", "--findings", "--json"]);
    assert_eq!((scanned.code, replayed.code), (Some(0), Some(0)), "{}{}", scanned.err, replayed.err);
    let (scanned, replayed) = (by_id(scanned.objects()), by_id(replayed.objects()));
    assert!(scanned.len() > 10, "{}", scanned.len());
    for (id, finding) in &scanned {
        assert_eq!(replayed.get(id), Some(finding), "replay differs");
    }
    let more: Vec<_> = replayed.iter().filter(|(id, _)| !scanned.contains_key(*id)).map(|(_, one)| one).collect();
    assert!(more.is_empty(), "only replay finds {more:?}");
}

/// Three accounts that fail to log in: four, seven and eleven times.
fn attacked(locale: &str) -> House {
    let house = House::new(&format!("locale = {locale:?}"));
    let mut text = String::new();
    for (hour, user, failures) in [(9, "ann", 4), (10, "bob", 7), (11, "王小明", 11)] {
        for number in 0..failures {
            text.push_str(&format!(
                "{{\"@timestamp\":\"2026-03-02T{hour:02}:00:{number:02}Z\",\"event.action\":\"login\",\"event.outcome\":\"failure\",\"user.name\":\"{user}\",\"source.ip\":\"203.0.113.{hour}\"}}\n"
            ));
        }
    }
    fs::write(house.log(), text).expect("written");
    house
}

const TRIED: &[&str] =
    &["replay", "--since", "2026-03-01", "--set", "brute-force.threshold=5", "--rule", "brute-force"];

#[test]
fn what_is_tried_is_compared_with_what_is_in_force_in_both_languages() {
    for (locale, name) in [("en", "replay-en"), ("zh-CN", "replay-zh")] {
        let house = attacked(locale);
        house.run_until(22);
        let ran = house.run(&[TRIED, &["--findings"]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        golden(name, &format!("{}{}", ran.out, ran.err).replace(house.path().to_str().expect("UTF-8"), "FOLDER"));
    }
}

#[test]
fn a_running_daemon_and_a_stopped_one_give_the_same_answer_and_nothing_is_recorded() {
    let house = attacked("en");
    let mut child = house.start_and_wait();
    house.wait_for(22);
    let count = |house: &House| house.run(TRIED).err.starts_with("22 events");
    house.wait_until("they are in the index", || count(&house));
    let running = house.run(&[TRIED, &["--json", "--findings"]].concat());
    assert!(stop(&mut child).success(), "{}", house.told());
    let stopped = house.run(&[TRIED, &["--json", "--findings"]].concat());
    assert_eq!((running.code, &running.out), (Some(0), &stopped.out), "{}{}", running.err, stopped.err);
    let rows: Vec<_> = stopped.objects().into_iter().filter_map(|one| one.get("replay").cloned()).collect();
    assert_eq!(rows.len(), 1);
    for (key, expected) in [("findings", 1), ("tried", 2), ("new", 1), ("gone", 0)] {
        assert_eq!(rows[0][key], expected, "{key}: {}", stopped.out);
    }
    let ledger = Ledger::open(&house.state()).expect("opened");
    let found = ledger.findings_between(i64::MIN, i64::MAX, crmwatch_detectors::Severity::Low).expect("read");
    assert_eq!(found.iter().filter(|row| &*row.finding.rule == "brute-force").count(), 1, "only what the daemon found");
}

#[test]
fn rules_are_tried_before_they_are_taken_over() {
    let house = attacked("en");
    house.run_until(22);
    let rule = house.path().join("own.yml");
    let text = "title: Bob fails\nname: bob-fails\nlevel: low\nlogsource: {product: crm}\ndetection:\n  s: {event.outcome: failure, user.name: bob}\n  condition: s\n";
    fs::write(&rule, text).expect("written");
    let path = rule.to_str().expect("UTF-8");
    let ran = house.run(&["replay", "--since", "2026-03-01", "--rules", path, "--json"]);
    let rows: Vec<_> = ran.objects().into_iter().filter_map(|one| one.get("replay").cloned()).collect();
    let own = rows.iter().find(|row| row["rule"] == "bob-fails").unwrap_or_else(|| panic!("{}{}", ran.out, ran.err));
    assert_eq!((own["new"].as_u64(), own["whom"][0]["value"].as_str()), (Some(1), Some("bob")));
    fs::write(
        &rule,
        "title: Bob fails\nlogsource: {product: crm}\ndetection:\n  s: {user.name|soundex: bob}\n  condition: s\n",
    )
    .expect("written");
    let ran = house.run(&["replay", "--since", "2026-03-01", "--rules", path]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("own.yml:4: ") && ran.err.contains("soundex"), "{}", ran.err);
}

#[test]
fn mistakes_are_told_with_what_would_be_right() {
    let house = attacked("en");
    house.run_until(22);
    for (arguments, code, word) in [
        (&["--set", "brute-force"][..], 2, "ID.KEY=VALUE"),
        (&["--set", "brute-forse.threshold=5"], 2, "brute-forse"),
        (&["--set", "brute-force.threshold=none"], 2, "[detectors.brute-force]"),
        (&["--rule", "brute-forse"], 1, "did you mean brute-force?"),
        (&["--since", "yesterday"], 2, "is no time"),
        (&["--learn", "long"], 2, "is no span of time"),
        (&["--rules", "/nowhere"], 2, "/nowhere"),
    ] {
        let ran = house.run(&[&["replay"], arguments].concat());
        assert!(ran.code == Some(code) && ran.err.contains(word), "{arguments:?}: {:?} {}", ran.code, ran.err);
    }
}
