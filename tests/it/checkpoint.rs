//! A record of what was read that is torn, empty or not ours is refused in words; reading never begins at zero in silence. Not for an index
//! that is damaged (`deep`) nor for going on from an older one (`recover`).

use std::fs;
use std::path::PathBuf;

use crate::running::House;

/// Two hundred lines read to their end, and the ledger that says so.
fn house() -> (House, PathBuf) {
    let house = House::new("");
    house.append(0..200);
    house.run_until(200);
    let ledger = house.state().join(crmwatch::ledger::FILE);
    assert!(ledger.is_file());
    (house, ledger)
}

fn without_side_files(house: &House) {
    for ending in ["-wal", "-shm"] {
        let _ = fs::remove_file(house.state().join(format!("{}{ending}", crmwatch::ledger::FILE)));
    }
}

#[test]
fn a_ledger_that_is_empty_torn_or_garbage_is_refused_in_words_and_nothing_is_read_twice() {
    let (house, ledger) = house();
    without_side_files(&house);
    let whole = fs::read(&ledger).expect("read");
    let garbage: Vec<u8> = whole.iter().map(|byte| byte ^ 0x5a).collect();
    // What a kill in the middle of a write leaves of other programs' checkpoints, and worse.
    for (what, damaged) in [("empty", &[][..]), ("torn", &whole[..whole.len() / 2]), ("garbage", &garbage)] {
        without_side_files(&house);
        fs::write(&ledger, damaged).expect("written");
        let told = house.told().len();
        let mut child = house.start();
        let mut ended = None;
        house.wait_until("the ledger is refused", || {
            ended = ended.or_else(|| child.try_wait().expect("asked"));
            ended.is_some() || house.told()[told..].contains("\"ERROR\"")
        });
        let _ = child.kill();
        child.wait().expect("gone");
        assert!(ended.is_none_or(|status| !status.success()), "{what}");
        let told = house.told()[told..].to_owned();
        let words = ["damaged", "crmwatch recover", "another store", "restore the state directory"];
        assert!(words.iter().any(|word| told.contains(word)), "{what}: {told}");
    }
    without_side_files(&house);
    fs::write(&ledger, &whole).expect("written");
    house.append(200..260);
    house.run_until(260);
    house.assert_once(0..260);
}

#[test]
fn killed_at_any_step_of_keeping_its_positions_it_goes_on_where_it_was() {
    let (house, _) = house();
    let mut lines = 200;
    for round in 0..12_u64 {
        let mut child = house.start_to_listen();
        house.append(lines..lines + 50);
        lines += 50;
        // Now before, now after the batch is in the ledger.
        std::thread::sleep(std::time::Duration::from_millis(17 * round % 190));
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
    house.run_until(lines);
    house.assert_once(0..lines);
}
