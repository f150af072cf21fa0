//! Stopping: draining loses and doubles nothing, a second signal is as safe as a first, and nothing that hangs holds up the end for long.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crmwatch::ledger::Ledger;
use rusqlite::Connection;
use rustix::process::Signal;

use crate::running::{House, signal, stop};

/// Writes numbered lines as fast as a busy CRM does, until told to stop; gives their number.
fn busy(house: &House, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<u64> {
    let (path, stop) = (house.log(), Arc::clone(stop));
    std::thread::spawn(move || {
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            let mut text = String::new();
            for _ in 0..200 {
                text.push_str(&format!(
                    "{{\"@timestamp\":\"2026-03-02T09:00:00Z\",\"event.action\":\"view\",\"user.name\":\"ann\",\"n\":{number}}}\n"
                ));
                number += 1;
            }
            let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("opened");
            file.write_all(text.as_bytes()).expect("written");
            std::thread::sleep(Duration::from_millis(20));
        }
        number
    })
}

/// Starts and stops it under load, then lets it read to the end; gives the exit codes.
fn rounds(house: &House, rounds: u64, mut end: impl FnMut(u64, &mut Child)) -> Vec<Option<i32>> {
    let writing = Arc::new(AtomicBool::new(false));
    let writer = busy(house, &writing);
    let mut codes = Vec::new();
    for round in 0..rounds {
        let mut child = house.start_and_wait();
        std::thread::sleep(Duration::from_millis(round * 137 % 700));
        end(round, &mut child);
        codes.push(child.wait().expect("ended").code());
    }
    writing.store(true, Ordering::Relaxed);
    let lines = writer.join().expect("it wrote");
    house.run_until(lines);
    house.assert_once(0..lines);
    codes
}

#[test]
fn stopped_under_load_it_drains_and_each_line_is_there_once() {
    let house = House::new("");
    let codes = rounds(&house, 5, |_, child| signal(child, Signal::TERM));
    assert_eq!(codes, [Some(0); 5], "{}", house.told());
    assert_eq!(house.told().matches("stopped; everything read is durable").count(), 6, "{}", house.told());
}

#[test]
fn a_second_signal_at_any_moment_of_draining_is_safe() {
    let house = House::new("");
    let codes = rounds(&house, 8, |round, child| {
        signal(child, Signal::TERM);
        std::thread::sleep(Duration::from_millis(round * 9));
        // It may have ended by now; then there is nobody to hear it.
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(child),
            if round % 2 == 0 { Signal::INT } else { Signal::TERM },
        );
    });
    assert!(codes.iter().all(|code| [Some(0), Some(130)].contains(code)), "{codes:?}\n{}", house.told());
    assert!(codes.contains(&Some(130)), "{codes:?}");
}

/// Holds the ledger's write lock, as a disk that does not answer would hold up whoever writes.
fn stuck(house: &House) -> Connection {
    let ledger = Connection::open(house.state().join("ledger.sqlite")).expect("opened");
    ledger.execute_batch("BEGIN IMMEDIATE").expect("locked");
    ledger
}

#[test]
fn a_stage_that_is_stuck_does_not_hold_up_the_end_and_what_did_not_finish_is_told() {
    let house = House::new("stop_timeout = \"1s\"");
    house.append(0..100);
    let mut child = house.start_and_wait();
    house.wait_for(100);
    let held = stuck(&house);
    house.append(100..200);
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    let ended = stop(&mut child);
    assert!(began.elapsed() < Duration::from_secs(8), "it took {:?}", began.elapsed());
    let told = house.told();
    assert_eq!(ended.code(), Some(1), "{told}");
    let report = told.lines().find(|line| line.contains("cut short")).unwrap_or_else(|| panic!("no report in {told}"));
    assert!(report.contains("\"unfinished\":\"absorb") && report.contains("nothing is lost"), "{report}");
    drop(held);
    // A second is too little for a busy machine to end in, with nothing stuck.
    let text = std::fs::read_to_string(house.config()).expect("read");
    std::fs::write(house.config(), text.replace("stop_timeout = \"1s\"", "")).expect("written");
    house.run_until(200);
    house.assert_once(0..200);
}

#[test]
fn while_draining_is_stuck_a_second_signal_ends_it_at_once() {
    let house = House::new("");
    house.append(0..100);
    let mut child = house.start_and_wait();
    house.wait_for(100);
    let held = stuck(&house);
    house.append(100..200);
    std::thread::sleep(Duration::from_millis(500));
    signal(&child, Signal::TERM);
    house.wait_until("it drains", || house.told().contains("told to stop: draining"));
    let began = Instant::now();
    signal(&child, Signal::INT);
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(8), "it took {:?}", began.elapsed());
    drop(held);
    house.run_until(200);
    house.assert_once(0..200);
}

#[test]
fn a_mail_server_that_never_answers_holds_up_the_end_for_seconds_and_loses_no_mail() {
    let server = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = server.local_addr().expect("an address");
    let (spoke, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for connection in server.incoming() {
            let _ = spoke.send(());
            std::thread::spawn(move || {
                let mut sink = Vec::new();
                connection.map(|mut connection| connection.read_to_end(&mut sink))
            });
        }
    });
    let house = House::new(&format!(
        "[email]\nserver = \"smtp://{address}\"\nfrom = \"crmwatch@example.com\"\nto = [\"soc@example.com\"]\n[alerts]\ngroup_wait = \"0s\"\n"
    ));
    let mut text = String::new();
    for number in 0..30 {
        let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        text.push_str(&format!(
            "{{\"@timestamp\":\"{time}\",\"event.action\":\"login\",\"event.outcome\":\"failure\",\"user.name\":\"ann\",\"source.ip\":\"203.0.113.9\",\"n\":{number}}}\n"
        ));
    }
    std::fs::write(house.log(), text).expect("written");
    let mut child = house.start_and_wait();
    heard.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("no mail was tried\n{}", house.told()));
    let began = Instant::now();
    let ended = stop(&mut child);
    assert!(
        ended.success() && began.elapsed() < Duration::from_secs(15),
        "{ended} {:?}\n{}",
        began.elapsed(),
        house.told()
    );
    assert!(house.told().contains("it is sent again at the next start"), "{}", house.told());
    assert!(house.told().contains("\"mails_waiting\":1"), "{}", house.told());
    let waiting = Ledger::open(&house.state()).expect("opened").waiting("email").expect("counted");
    assert_eq!(waiting.queued, 1);
    house.assert_once(0..30);
}

#[test]
fn a_hangup_looks_at_the_configuration_on_disk_and_reading_goes_on() {
    let house = House::new("");
    house.append(0..10);
    let mut child = house.start_and_wait();
    house.wait_for(10);
    signal(&child, Signal::HUP);
    house.wait_until("it has looked", || house.told().contains("it is taken over by a restart only"));
    let right = std::fs::read_to_string(house.config()).expect("read");
    std::fs::write(house.config(), right.replace("format =", "fromat =")).expect("written");
    signal(&child, Signal::HUP);
    house.wait_until("it has looked again", || house.told().contains("a restart would be refused"));
    house.append(10..20);
    house.wait_for(20);
    std::fs::write(house.config(), right).expect("written");
    assert!(stop(&mut child).success(), "{}", house.told());
    house.assert_once(0..20);
}
