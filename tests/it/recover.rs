//! Index and ledger of different age: the daemon refuses and says what to do; `crmwatch recover` shows what lies between, and afterwards each
//! line is in the index once and each finding is found once, but for what was counted as missing.

#![allow(clippy::single_range_in_vec_init, reason = "lists of ranges, some of which have one")]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crmwatch::ledger::Ledger;
use crmwatch_detectors::Severity;

use crate::program::Ran;
use crate::running::{House, copy, golden};

/// Numbered lines, a second apart. Around every hundredth somebody tries twelve passwords, so that each border between two ranges goes
/// through the middle of an attack.
fn append(house: &House, numbers: Range<u64>) {
    let mut text = String::new();
    for number in numbers {
        let time = format!("2026-03-02T09:{:02}:{:02}Z", number / 60, number % 60);
        let what = if (number + 6) % 100 < 12 && number > 50 {
            let victim = (number + 6) / 100;
            format!("\"event.action\":\"login\",\"event.outcome\":\"failure\",\"user.name\":\"victim{victim}\"")
        } else {
            "\"event.action\":\"view\",\"event.outcome\":\"success\",\"user.name\":\"ann\"".to_owned()
        };
        text.push_str(&format!("{{\"@timestamp\":\"{time}\",{what},\"source.ip\":\"10.1.2.3\",\"n\":{number}}}\n"));
    }
    let mut file = OpenOptions::new().create(true).append(true).open(house.log()).expect("opened");
    file.write_all(text.as_bytes()).expect("written");
}

/// A daemon that read 500 lines, was copied, and read 400 more.
fn house() -> (House, PathBuf) {
    let house = House::new("");
    append(&house, 0..500);
    house.run_until(500);
    let backup = house.path().join("backup");
    copy(&house.state(), &backup);
    append(&house, 500..900);
    house.run_until(900);
    (house, backup)
}

fn restore_index(house: &House, backup: &Path) {
    fs::remove_dir_all(house.state().join("events")).expect("removed");
    copy(&backup.join("events"), &house.state().join("events"));
}

fn remove_ledger(house: &House) {
    for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = fs::remove_file(house.state().join(name));
    }
}

fn restore_ledger(house: &House, backup: &Path) {
    remove_ledger(house);
    fs::copy(backup.join("ledger.sqlite"), house.state().join("ledger.sqlite")).expect("copied");
}

/// The daemon refuses, `recover` shows; what both say, without what differs from run to run.
fn refused(house: &House) -> String {
    let ran = house.run(&["run"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let last = ran.err.lines().last().expect("words");
    let shown = house.run(&["recover"]);
    assert_eq!(shown.code, Some(0), "{}{}", shown.out, shown.err);
    assert_eq!(house.run(&["recover"]).out, shown.out, "looking changes nothing");
    plain(house, &format!("$ crmwatch run\n{last}\n\n$ crmwatch recover\n{}", shown.out))
}

fn plain(house: &House, text: &str) -> String {
    let text = text.replace(house.path().to_str().expect("UTF-8"), "/house");
    let mut told = String::new();
    let words = text.split_inclusive([' ', '\n']);
    let mut before = String::new();
    for word in words {
        let bare = word.trim_end_matches([' ', '\n', ',', ';', ':', ')']);
        let number = before.trim() == "batch" && bare.bytes().all(|byte| byte.is_ascii_digit());
        let id = bare.len() >= 8 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
        told.push_str(&if number || id {
            word.replacen(bare, if id { "ID" } else { "B" }, 1)
        } else {
            word.to_owned()
        });
        before = word.to_owned();
    }
    told
}

fn recover(house: &House, from: &str) -> Ran {
    let ran = house.run(&["recover", "--from", from]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    ran
}

/// Goes on with 150 lines more, and stops.
fn go_on(house: &House) {
    append(house, 900..1050);
    house.run_until(1050);
    let checked = house.run(&["check", "--deep"]);
    assert_eq!(checked.code, Some(0), "{}", checked.out);
}

/// Victims with the number of failed logins found; nobody twice.
fn victims(house: &House) -> BTreeMap<String, u64> {
    let rows =
        Ledger::open(&house.state()).expect("opened").findings_between(0, i64::MAX, Severity::Low).expect("read");
    let mut found = BTreeMap::new();
    for row in rows.iter().filter(|row| &*row.finding.rule == "brute-force") {
        let again = found.insert(row.finding.primary_value().to_owned(), row.finding.evidence.count());
        assert!(again.is_none(), "{} twice", row.finding.primary_value());
    }
    found
}

fn assert_victims(house: &House, numbers: impl IntoIterator<Item = u64>) {
    let wanted: BTreeMap<String, u64> = numbers.into_iter().map(|number| (format!("victim{number}"), 12)).collect();
    assert_eq!(victims(house), wanted, "{}", house.told());
}

fn assert_indexed(house: &House, parts: &[Range<u64>]) {
    let seen = house.indexed();
    let wanted: BTreeMap<u64, u64> = parts.iter().cloned().flatten().map(|number| (number, 1)).collect();
    let wrong: Vec<_> = seen.iter().filter(|one| wanted.get(one.0) != Some(one.1)).take(5).collect();
    let missing: Vec<_> = wanted.keys().filter(|number| !seen.contains_key(number)).take(5).collect();
    assert!(wrong.is_empty() && missing.is_empty(), "wrong {wrong:?}, missing {missing:?}\n{}", house.told());
}

#[test]
fn an_older_index_and_a_newer_ledger_are_brought_together_and_nothing_is_missing_or_doubled() {
    let (house, backup) = house();
    restore_index(&house, &backup);
    golden("recover_older_index", &refused(&house));
    let done = recover(&house, "index");
    assert!(done.out.contains("Nothing will be missing or doubled."), "{}", done.out);
    go_on(&house);
    assert_indexed(&house, &[0..1050]);
    assert_victims(&house, 1..=10);
}

#[test]
fn going_on_from_the_newer_ledger_leaves_out_of_the_index_what_was_said() {
    let (house, backup) = house();
    restore_index(&house, &backup);
    let done = recover(&house, "ledger");
    assert!(done.out.contains("stay missing from the index for good"), "{}", done.out);
    go_on(&house);
    assert_indexed(&house, &[0..500, 900..1050]);
    assert_victims(&house, 1..=10);
}

#[test]
fn an_older_ledger_is_shown_again_what_it_lacks_and_the_index_keeps_each_line_once() {
    let (house, backup) = house();
    restore_ledger(&house, &backup);
    golden("recover_older_ledger", &refused(&house));
    recover(&house, "ledger");
    go_on(&house);
    assert_indexed(&house, &[0..1050]);
    assert_victims(&house, 1..=10);
}

#[test]
fn going_on_from_the_newer_index_leaves_unfound_what_was_said() {
    let (house, backup) = house();
    restore_ledger(&house, &backup);
    let done = recover(&house, "index");
    assert!(done.out.contains("are never shown to the detectors"), "{}", done.out);
    go_on(&house);
    assert_indexed(&house, &[0..1050]);
    // The fifth and the ninth attack lie half in what the detectors have not seen.
    assert_victims(&house, (1..=4).chain([10]));
}

#[test]
fn a_deleted_index_is_read_again_whole_and_nothing_is_found_twice() {
    let (house, _) = house();
    fs::remove_dir_all(house.state().join("events")).expect("removed");
    golden("recover_missing_index", &refused(&house));
    recover(&house, "index");
    go_on(&house);
    assert_indexed(&house, &[0..1050]);
    assert_victims(&house, 1..=10);
}

#[test]
fn a_deleted_ledger_learns_and_finds_everything_again_and_nothing_is_indexed_twice() {
    let (house, _) = house();
    remove_ledger(&house);
    golden("recover_missing_ledger", &refused(&house));
    recover(&house, "ledger");
    go_on(&house);
    assert_indexed(&house, &[0..1050]);
    assert_victims(&house, 1..=10);
}

#[test]
fn what_was_rotated_away_meanwhile_is_counted_as_gone_and_the_rest_is_read() {
    let (house, backup) = house();
    fs::rename(house.log(), house.path().join("kept")).expect("moved");
    append(&house, 900..950);
    house.run_until(950);
    restore_index(&house, &backup);
    golden("recover_gone", &refused(&house));
    recover(&house, "index");
    append(&house, 950..1050);
    house.run_until(1000);
    assert_indexed(&house, &[0..500, 900..1050]);
    let told = house.told();
    assert!(told.contains("are gone and cannot be read again"), "{told}");
    // The log still lies somewhere else: put back in time, it is read.
    restore_index(&house, &backup);
    fs::rename(house.path().join("kept"), house.log().with_extension("log.1")).expect("moved back");
    recover(&house, "index");
    append(&house, 1050..1060);
    house.run_until(1060);
    assert_indexed(&house, &[0..1060]);
    assert_victims(&house, 1..=10);
}

#[test]
fn of_more_files_than_a_commit_carries_the_index_knows_how_far_each_was_read() {
    let house = House::new("");
    let line = |file: u64, number: u64| {
        let path = house.log().with_extension(format!("log-{file:03}"));
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opened");
        writeln!(file, "{{\"@timestamp\":\"2026-03-02T09:00:00Z\",\"event.action\":\"view\",\"n\":{number}}}")
            .expect("written");
    };
    (0..700).for_each(|number| line(number, number));
    house.run_until(700);
    // Now a few of them: the commit names these, and a list beside it the others.
    (0..5).for_each(|number| line(number * 100, 700 + number));
    house.run_until(705);
    let backup = house.path().join("backup");
    copy(&house.state(), &backup);
    (0..7).for_each(|number| line(number * 50, 705 + number));
    house.run_until(712);
    restore_index(&house, &backup);
    let shown = house.run(&["recover"]).out;
    assert!(shown.contains("700 files read to") && shown.contains("of 7 files."), "{shown}");
    recover(&house, "index");
    line(699, 712);
    house.run_until(713);
    assert_indexed(&house, &[0..713]);
    let checked = house.run(&["check", "--deep"]);
    assert!(checked.code == Some(0) && checked.out.contains("agree on 700 files"), "{}", checked.out);
}

#[test]
fn an_index_of_another_store_is_refused_and_either_side_can_be_gone_on_from() {
    for from in ["index", "ledger"] {
        let (house, backup) = house();
        let other = House::new("");
        append(&other, 2000..2010);
        other.run_until(10);
        fs::remove_dir_all(house.state().join("events")).expect("removed");
        copy(&other.state().join("events"), &house.state().join("events"));
        let told = refused(&house);
        if from == "index" {
            golden("recover_strangers", &told.replace(other.path().to_str().expect("UTF-8"), "/other"));
        }
        recover(&house, from);
        append(&house, 900..1050);
        house.run_until(1050);
        let seen = house.indexed();
        // The other store knows this log not at all, and reads all of it; the ledger knows it to 900.
        let first = if from == "index" { 0 } else { 900 };
        assert!((first..1050).all(|number| seen.get(&number) == Some(&1)), "{from}: {}", house.told());
        assert_eq!(seen.len() as u64, 10 + 1050 - first, "{from}");
        assert_eq!(house.run(&["check", "--deep"]).code, Some(0), "{from}");
        drop(backup);
    }
}

#[test]
fn where_nothing_is_wrong_there_is_nothing_to_choose() {
    let (house, _) = house();
    for from in [&["recover"][..], &["recover", "--from", "index"], &["recover", "--from", "ledger"]] {
        let ran = house.run(from);
        assert!(ran.code == Some(0) && ran.out.contains("There is nothing to choose"), "{}{}", ran.out, ran.err);
    }
    go_on(&house);
    assert_indexed(&house, &[0..1050]);
    assert_victims(&house, 1..=10);
}
