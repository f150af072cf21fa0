//! What lies in the state directory is damaged, emptied, replaced or held by somebody else: the daemon refuses in words that name the file
//! and the mend, or goes on by itself, and never takes what it cannot read for nothing.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::running::{House, copy, stop};

/// A house whose daemon has read some lines and was stopped.
fn house(lines: u64) -> House {
    let house = House::new("");
    house.append(0..lines);
    house.run_until(lines);
    house
}

fn ledger(house: &House) -> Connection {
    Connection::open(house.state().join("ledger.sqlite")).expect("opened")
}

fn partitions(house: &House) -> Vec<PathBuf> {
    let entries = fs::read_dir(house.state().join("events")).expect("listed");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// A file of a segment, by its ending.
fn segment(partition: &Path, ending: &str) -> PathBuf {
    let entries = fs::read_dir(partition).expect("listed");
    let mut paths = entries.map(|entry| entry.expect("an entry").path());
    paths.find(|path| path.extension().is_some_and(|have| have == ending)).expect("a segment")
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("read");
    assert!(text.contains(from), "{from} is not in {}", path.display());
    fs::write(path, text.replace(from, to)).expect("written");
}

/// Runs the daemon on a damaged directory: it must end by itself, with 1, and its last words must hold these.
#[track_caller]
fn refused(house: &House, damage: &str, words: &[&str]) {
    let ran = house.run(&["run"]);
    assert_eq!(ran.code, Some(1), "{damage}: {}", ran.err);
    let last = ran.err.lines().last().unwrap_or_default();
    for word in words {
        assert!(last.contains(word), "{damage}: {word} is not in {last}");
    }
}

/// Runs the daemon in a thread of its own life until something is true of it, then stops it.
#[track_caller]
fn while_running(house: &House, what: &str, reached: impl FnMut() -> bool) {
    let mut child = house.start_and_wait();
    house.wait_until(what, reached);
    assert!(stop(&mut child).success(), "{}", house.told());
}

#[test]
fn a_damaged_open_partition_is_refused_with_its_name_and_never_taken_for_an_empty_one() {
    let house = house(200);
    let whole = house.path().join("whole");
    copy(&house.state(), &whole);
    type Damage = (&'static str, fn(&Path));
    let damages: [Damage; 8] = [
        ("meta.json is empty", |folder| fs::write(folder.join("meta.json"), "").expect("written")),
        ("meta.json is garbage", |folder| fs::write(folder.join("meta.json"), "{\"segments\": 7").expect("written")),
        ("meta.json is gone", |folder| fs::remove_file(folder.join("meta.json")).expect("removed")),
        (".managed.json is garbage", |folder| fs::write(folder.join(".managed.json"), "no").expect("written")),
        ("the commit has no record", |folder| replace(&folder.join("meta.json"), "\\\"form\\\":1,", "")),
        ("the positions are garbage", |folder| {
            replace(&folder.join("meta.json"), "\\\"positions\\\":\\\"[", "\\\"positions\\\":\\\"[7");
        }),
        ("a segment's file is gone", |folder| fs::remove_file(segment(folder, "term")).expect("removed")),
        ("a segment's file is cut off", |folder| {
            let file = fs::OpenOptions::new().write(true).open(segment(folder, "store")).expect("opened");
            file.set_len(5).expect("cut");
        }),
    ];
    for (damage, make) in damages {
        let newest = partitions(&house).pop().expect("one");
        make(&newest);
        refused(&house, damage, &[newest.to_str().expect("UTF-8"), "crmwatch"]);
        // And the ledger was not brought to the level of what looked empty.
        assert_eq!(house.recorded(), 200, "{damage}");
        fs::remove_dir_all(house.state()).expect("removed");
        copy(&whole, &house.state());
    }
    house.append(200..300);
    house.run_until(300);
    house.assert_once(0..300);
}

#[test]
fn a_partition_that_is_gone_is_not_read_as_a_shorter_past() {
    let house = house(200);
    fs::remove_dir_all(house.state().join("events")).expect("removed");
    refused(&house, "no events", &["events", "ledger.sqlite", "crmwatch recover"]);
    refused(&house, "no events, again", &["events", "ledger.sqlite", "crmwatch recover"]);
}

#[test]
fn locks_that_were_left_lying_hinder_nothing() {
    let house = house(100);
    let newest = partitions(&house).pop().expect("one");
    for name in [".tantivy-writer.lock", ".tantivy-meta.lock"] {
        fs::write(newest.join(name), "left").expect("written");
    }
    house.append(100..200);
    house.run_until(200);
    house.assert_once(0..200);
}

#[test]
fn an_older_partition_that_is_damaged_is_named_and_counted_and_the_daemon_goes_on() {
    type Damage = (&'static str, fn(&Path));
    let damages: [Damage; 3] = [
        ("meta.json", |folder| fs::write(folder.join("meta.json"), "").expect("written")),
        ("a segment's file is gone", |folder| fs::remove_file(segment(folder, "idx")).expect("removed")),
        ("a segment's file is cut off", |folder| {
            let file = fs::OpenOptions::new().write(true).open(segment(folder, "store")).expect("opened");
            file.set_len(5).expect("cut");
        }),
    ];
    for (damage, make) in damages {
        let house = House::new("");
        replace(&house.config(), "days = 36500", "days = 36500\npartition_events = 100");
        house.append(0..150);
        house.run_until(150);
        assert_eq!(partitions(&house).len(), 2, "{damage}");
        let oldest = partitions(&house).remove(0);
        make(&oldest);
        house.append(150..250);
        let name = oldest.file_name().expect("a name").to_string_lossy().into_owned();
        while_running(&house, "the partition is named and the lines are read", || {
            let told = house.told();
            let named = told
                .lines()
                .any(|line| line.contains("ERROR") && line.contains("partition") && line.contains(name.as_str()));
            named && house.recorded() >= 250
        });
    }
}

#[test]
fn a_ledger_that_is_empty_gone_newer_or_damaged_is_refused_with_its_name_and_the_mend() {
    let house = house(200);
    let whole = house.path().join("whole");
    ledger(&house).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("done");
    copy(&house.state(), &whole);
    let file = |house: &House| house.state().join("ledger.sqlite");
    let sql = |statement: &'static str| move |house: &House| ledger(house).execute_batch(statement).expect("changed");
    type Damage<'d> = (&'d str, Box<dyn Fn(&House) + 'd>, &'d [&'d str]);
    let damages: [Damage<'_>; 10] = [
        ("empty", Box::new(|house| fs::write(file(house), "").expect("written")), &["empty", "crmwatch recover"]),
        ("gone", Box::new(|house| fs::remove_file(file(house)).expect("removed")), &["empty", "crmwatch recover"]),
        (
            "no database",
            Box::new(|house| fs::write(file(house), "this is no database ".repeat(300)).expect("written")),
            &["damaged", "backup"],
        ),
        ("newer", Box::new(sql("PRAGMA user_version = 99")), &["form 99", "newer program"]),
        (
            "a position is garbage",
            Box::new(sql("UPDATE files SET position = '{\"offset\": 7'")),
            &["position", "recover"],
        ),
        ("a position is empty", Box::new(sql("UPDATE files SET position = ''")), &["position", "recover"]),
        (
            "a batch is garbage",
            Box::new(sql("INSERT INTO batches SELECT value + 1, 0, 'x' FROM meta WHERE key = 'last_batch'")),
            &["batch", "recover"],
        ),
        (
            "the last batch is garbage",
            Box::new(sql("UPDATE meta SET value = 'x' WHERE key = 'last_batch'")),
            &["last_batch", "recover"],
        ),
        (
            "the state's batch is garbage",
            Box::new(sql("UPDATE meta SET value = '' WHERE key = 'snapshot_batch'")),
            &["snapshot_batch", "recover"],
        ),
        ("another store", Box::new(sql("UPDATE meta SET value = 'x' WHERE key = 'store_id'")), &["store x", "recover"]),
    ];
    for (damage, make, words) in damages {
        make(&house);
        refused(&house, damage, words);
        refused(&house, damage, &["ledger.sqlite"]);
        fs::remove_dir_all(house.state()).expect("removed");
        copy(&whole, &house.state());
    }
    house.append(200..300);
    house.run_until(300);
    house.assert_once(0..300);
}

#[test]
fn memory_that_cannot_be_read_is_told_and_the_rest_is_kept() {
    let house = house(50);
    let changed = ledger(&house)
        .execute("INSERT OR REPLACE INTO state VALUES ('engine', 'watermark', x'0102')", [])
        .expect("changed");
    assert_eq!(changed, 1);
    house.append(50..60);
    house.run_until(60);
    let told = house.told();
    let line = told.lines().find(|line| line.contains("what it remembered cannot be read")).expect("told");
    assert!(line.contains("ERROR") && line.contains("engine") && line.contains("ledger.sqlite"), "{line}");
    house.assert_once(0..60);
}

#[test]
fn a_clock_that_jumped_while_the_daemon_stood_still_makes_no_partition_too_old() {
    const DAY: &str = "1772445247000";
    let house = House::new("");
    replace(&house.config(), "days = 36500", "days = 10\npartition_events = 100");
    house.append(0..150);
    house.run_until(150);
    assert_eq!(partitions(&house).len(), 2);
    // The events are of that day, and the daemon is said to have run then: the clock of today is months ahead.
    let known = |known: &str| {
        let put = "INSERT INTO meta VALUES ('clock_known', ?1) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        ledger(&house).execute(put, [known]).expect("changed");
    };
    known(DAY);
    while_running(&house, "it doubts the clock", || house.told().contains("the clock jumped by more than a day"));
    assert_eq!(partitions(&house).len(), 2, "{}", house.told());
    let kept: String = ledger(&house)
        .query_row("SELECT value FROM meta WHERE key = 'clock_known'", [], |row| row.get(0))
        .expect("read");
    assert_eq!(kept, DAY, "what is doubted is not remembered");
    known(&chrono::Utc::now().timestamp_millis().to_string());
    while_running(&house, "a partition past its days goes", || partitions(&house).len() == 1);
}

#[test]
fn a_ledger_held_by_another_program_stops_reading_and_it_goes_on_by_itself() {
    let house = house(100);
    let mut child = house.start_and_wait();
    let other = ledger(&house);
    other.execute_batch("BEGIN EXCLUSIVE").expect("held");
    house.append(100..200);
    house.wait_until("it says that it stopped", || {
        let told = house.told();
        told.contains("the pipeline stopped") && told.contains("locked")
    });
    other.execute_batch("ROLLBACK").expect("let go");
    house.wait_for(200);
    assert!(stop(&mut child).success(), "{}", house.told());
    house.assert_once(0..200);
}
