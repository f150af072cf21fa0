//! `crmwatch check --deep`: a whole store is found whole, each kind of damage is found, named and answered with what to do.

use std::fs;
use std::path::{Path, PathBuf};

use crmwatch::store::{Store, StoreOptions};
use crmwatch_detectors::Event;
use rusqlite::Connection;

use crate::program::Ran;
use crate::running::{House, golden, stop};

/// A store of two partitions, a log read to its end, and a daemon that was stopped.
fn house() -> House {
    let house = House::new("");
    house.append(0..300);
    house.run_until(300);
    // A full partition, so that there is an older one.
    let options = StoreOptions { partition_events: 1, ..StoreOptions::default() };
    let store = Store::open(&house.state(), options).expect("opens");
    let mut writer = store.writer().expect("a writer");
    let mut event = Event::new("{\"n\":300}");
    event.time = 1_772_445_247_000;
    writer.add(&event).expect("adds");
    let now = chrono::Utc::now().timestamp_millis();
    writer.commit(&store.payload().expect("committed"), now).expect("commits");
    drop((writer, store));
    house.append(301..400);
    house.run_until(399);
    house
}

fn check(house: &House) -> Ran {
    house.run(&["check", "--deep"])
}

fn partitions(house: &House) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        fs::read_dir(house.state().join("events")).expect("listed").flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

fn file(partition: &Path, ending: &str) -> PathBuf {
    let mut found: Vec<_> = fs::read_dir(partition)
        .expect("listed")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|have| have == ending))
        .collect();
    found.sort();
    found.into_iter().next().unwrap_or_else(|| panic!("no {ending}"))
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("read");
    bytes[at] ^= 0xff;
    fs::write(path, bytes).expect("written");
}

fn ledger(house: &House) -> Connection {
    Connection::open(house.state().join("ledger.sqlite")).expect("opened")
}

/// What was printed, with everything taken out that differs from run to run.
fn plain(house: &House, ran: &Ran) -> String {
    let days: Vec<String> = partitions(house)
        .iter()
        .map(|path| {
            path.file_name().expect("a name").to_string_lossy().rsplit_once('-').expect("a number").0.to_owned()
        })
        .collect();
    let mut text = ran.out.replace(house.path().to_str().expect("UTF-8"), "/house");
    for day in days {
        text = text.replace(&day, "DAY");
    }
    let mut told = String::new();
    for line in text.lines() {
        // How many rules are shipped and how much detectors keep in mind grows with time.
        let line = match (line.strip_prefix("rules: "), line.strip_prefix("right  memory: ")) {
            (Some(_), _) => "rules: N",
            (_, Some(_)) => "right  memory: N pieces of detectors and enrichment read",
            _ => line,
        };
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let sized =
            line.starts_with("right  partition") || line.contains(" free") || line.contains("the journal begins");
        for index in 0..words.len() {
            let unit = words.get(index + 1).is_some_and(|next| ["bytes,", "kB,", "MB", "GB"].contains(&next.as_str()));
            if sized && unit {
                words[index] = "N".to_owned();
                words[index + 1] = words[index + 1].replace("kB", "bytes").replace("MB", "GB");
            }
            if sized && words.get(index + 1).is_some_and(|next| next == "files,") {
                words[index] = "N".to_owned();
            }
            if words[index].len() > 32 && words[index].bytes().take(32).all(|byte| byte.is_ascii_hexdigit()) {
                words[index].replace_range(..32, "SEGMENT");
            }
        }
        told.push_str(&words.join(" "));
        told.push('\n');
    }
    // Batches are cut by time.
    let batch =
        ledger(house).query_row("SELECT value FROM meta WHERE key = 'last_batch'", [], |row| row.get::<_, String>(0));
    let batch = batch.unwrap_or_else(|_| "-".to_owned());
    told.replace(&format!("batch {batch}"), "batch B")
}

#[test]
fn a_whole_store_is_found_whole_in_words() {
    let house = house();
    let ran = check(&house);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    golden("deep_right", &plain(&house, &ran));
    let again = check(&house);
    assert_eq!(again.out, ran.out, "looking changes nothing");
    let json = house.run(&["check", "--deep", "--json"]);
    assert!(json.objects().iter().all(|line| line["level"] == "right" && line["mend"].is_null()), "{}", json.out);
    house.run_until(399);
}

#[test]
fn a_damaged_partition_is_named_with_what_it_held_and_what_to_do() {
    let house = house();
    let all = partitions(&house);
    let old = file(&all[0], "store");
    flip(&old, 20);
    let ran = check(&house);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    golden("deep_partition", &plain(&house, &ran));
    flip(&old, 20);
    assert_eq!(check(&house).code, Some(0), "mended");
    // What is told to do works: without it the daemon runs.
    fs::rename(&all[0], house.path().join("away")).expect("moved");
    house.append(400..450);
    house.run_until(449);
    assert_eq!(house.indexed().len(), 149);
}

#[test]
fn the_partition_that_is_written_to_can_be_moved_away_and_is_read_again_from_the_logs() {
    let house = house();
    let newest = partitions(&house).pop().expect("one");
    let damaged = file(&newest, "term");
    fs::write(&damaged, &fs::read(&damaged).expect("read")[..10]).expect("cut off");
    let ran = check(&house);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    golden("deep_newest", &plain(&house, &ran));
    fs::rename(&newest, house.path().join("away")).expect("moved");
    let ran = check(&house);
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.out.contains("the index is older"), "{}", ran.out);
    let done = house.run(&["recover", "--from", "index"]);
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
    // New lines come after what is read again.
    house.append(400..410);
    house.run_until(409);
    house.assert_once(0..410);
    assert_eq!(check(&house).code, Some(0), "{}", check(&house).out);
}

#[test]
fn a_damaged_page_of_the_ledger_is_found() {
    let house = house();
    let path = house.state().join("ledger.sqlite");
    // Everything into the one file, so that the damage is not hidden by a page in the log beside it.
    ledger(&house).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("done");
    let whole = fs::read(&path).expect("read");
    let mut bytes = whole.clone();
    for page in 2..whole.len() / 4096 {
        bytes[page * 4096..page * 4096 + 64].fill(0xff);
    }
    fs::write(&path, &bytes).expect("written");
    let ran = check(&house);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("FAULT  ledger: ") && ran.out.contains("sqlite3 ledger.sqlite .recover"), "{}", ran.out);
    fs::write(&path, b"this is no database, and longer than the head of one is; it says so from its first byte to its last, one hundred bytes on").expect("written");
    let ran = check(&house);
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.out.contains("FAULT  ledger: it cannot be opened"), "{}", ran.out);
    fs::remove_file(&path).expect("removed");
    let ran = check(&house);
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.out.contains("ledger.sqlite is not there") && !path.exists(), "{}", ran.out);
}

#[test]
fn what_does_not_fit_together_is_told_with_what_to_do() {
    let house = house();
    type Change<'c> = (&'c str, &'c str, &'c str);
    let changes: [Change<'_>; 6] = [
        (
            "UPDATE meta SET value = 'other' WHERE key = 'store_id'",
            "two different stores",
            "UPDATE meta SET value = (SELECT kept FROM kept_id) WHERE key = 'store_id'",
        ),
        (
            "INSERT INTO batches VALUES (99999, 0, '[]')",
            "the index is older",
            "DELETE FROM batches WHERE number = 99999",
        ),
        (
            "UPDATE files SET position = json_set(position, '$.offset', json_extract(position, '$.offset') + 1)",
            "by the ledger it should be",
            "UPDATE files SET position = json_set(position, '$.offset', json_extract(position, '$.offset') - 1)",
        ),
        (
            "INSERT INTO files VALUES (77, '{}'); ",
            "position of file generation 77 cannot be read",
            "DELETE FROM files WHERE generation = 77",
        ),
        (
            "INSERT INTO state VALUES ('engine', 'watermark', x'0102')",
            "pieces that their owner cannot read",
            "DELETE FROM state WHERE owner = 'engine' AND value = x'0102'",
        ),
        (
            "UPDATE meta SET value = value - 1 WHERE key = 'last_batch'",
            "the ledger is older",
            "UPDATE meta SET value = value + 1 WHERE key = 'last_batch'",
        ),
    ];
    ledger(&house)
        .execute_batch("CREATE TABLE kept_id AS SELECT value AS kept FROM meta WHERE key = 'store_id'")
        .expect("kept");
    ledger(&house).execute_batch("DELETE FROM state WHERE owner = 'engine'").expect("made room");
    for (damage, said, mend) in changes {
        ledger(&house).execute_batch(damage).expect("damaged");
        let ran = check(&house);
        assert_eq!(ran.code, Some(1), "{damage}: {}", ran.out);
        let fault = ran.out.lines().find(|line| line.starts_with("FAULT")).unwrap_or_default();
        assert!(ran.out.contains(said) && ran.out.contains("what to do: "), "{damage}: {fault}\n{}", ran.out);
        ledger(&house).execute_batch(mend).expect("mended");
        assert_eq!(check(&house).code, Some(0), "{mend}: {}", check(&house).out);
    }
}

#[test]
fn a_log_that_is_gone_or_another_is_told_and_is_a_fault_only_where_it_is_still_needed() {
    let house = house();
    let kept = fs::read(house.log()).expect("read");
    fs::remove_file(house.log()).expect("removed");
    let ran = check(&house);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    golden("deep_log_gone", &plain(&house, &ran));
    fs::write(house.log(), "{\"another\":true}\n").expect("written");
    let ran = check(&house);
    assert!(ran.out.contains("another file stands in the place") && ran.code == Some(0), "{}", ran.out);
    // A batch that the index and the detectors are said not to have.
    let sql = "INSERT INTO batches SELECT value + 0, 0, '[{\"generation\":1,\"from\":0,\"to\":' || json_extract(position, '$.offset') || ',\"line\":1}]' \
               FROM meta, files WHERE key = 'last_batch'; UPDATE meta SET value = value - 1 WHERE key = 'snapshot_batch'";
    ledger(&house).execute_batch(sql).expect("changed");
    let ran = check(&house);
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.out.contains("that must be read again at the next start are gone"), "{}", ran.out);
    fs::write(house.log(), kept).expect("put back");
    assert_eq!(check(&house).code, Some(0), "{}", check(&house).out);
}

#[test]
fn beside_a_running_daemon_what_does_not_change_is_checked_and_the_rest_is_said() {
    let house = house();
    let mut child = house.start();
    house.append(400..450);
    house.wait_for(449);
    let ran = check(&house);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    assert!(ran.out.contains("note   daemon: it runs"), "{}", ran.out);
    assert!(ran.out.contains("right  partition") && ran.out.contains("right  ledger: integrity"), "{}", ran.out);
    assert!(stop(&mut child).success());
    house.assert_once(0..450);
}

#[test]
fn before_the_first_start_there_is_nothing_to_check_and_nothing_is_made() {
    let house = House::new("");
    house.append(0..3);
    let ran = check(&house);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    assert!(ran.out.contains("has never run") && !house.state().exists(), "{}", ran.out);
}

#[test]
fn a_spool_is_looked_at_and_the_state_of_a_newer_program_is_not_guessed_at() {
    let house = house();
    let spool = house.state().join("spool/app");
    fs::create_dir_all(&spool).expect("made");
    fs::write(spool.join("0000000000000001.log"), "1772445247000 - a\n").expect("written");
    fs::create_dir_all(house.state().join("spool/gone")).expect("made");
    let ran = check(&house);
    assert!(ran.out.contains("right  spool app: 1 file, 18 bytes"), "{}", ran.out);
    assert!(ran.out.contains("note   spool gone: its source is not configured"), "{}", ran.out);
    ledger(&house).execute_batch("PRAGMA user_version = 99").expect("changed");
    let ran = check(&house);
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.out.contains("form 99") && ran.out.contains("run the newer crmwatch"), "{}", ran.out);
}
