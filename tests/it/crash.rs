//! Killed again and again while logs are written and rotated: each line is in the index exactly once, each finding in the ledger exactly once.
//!
//! `CRMWATCH_CRASH_ROUNDS` sets the number of kills.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crmwatch::ledger::Ledger;
use crmwatch::store::{Store, StoreOptions};
use crmwatch_detectors::{Field, Severity};

/// A small generator of numbers, so that a failing round can be run again with its seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

struct Writer {
    log: PathBuf,
    number: u64,
    rotations: u64,
    victims: Vec<String>,
    numbers: Numbers,
}

impl Writer {
    fn append(&mut self, user: &str, action: &str, outcome: &str, file: &mut File) {
        self.number += 1;
        let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        // Lines of different lengths, so that kills fall into the middle of some.
        let padding = "x".repeat(usize::try_from(self.numbers.next(400)).expect("small"));
        writeln!(
            file,
            r#"{{"@timestamp":"{time}","event.action":"{action}","event.outcome":"{outcome}","user.name":"{user}","source.ip":"10.1.2.3","n":{},"padding":"{padding}"}}"#,
            self.number
        )
        .expect("written");
    }

    fn turn(&mut self) {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.log).expect("opened");
        for _ in 0..self.numbers.next(60) {
            let user = format!("user{}", self.numbers.next(40));
            self.append(&user, "view", "success", &mut file);
        }
        if self.numbers.next(6) == 0 {
            let victim = format!("victim{}", self.victims.len());
            for _ in 0..12 {
                self.append(&victim, "login", "failure", &mut file);
            }
            self.victims.push(victim);
        }
        drop(file);
        match self.numbers.next(30) {
            0 => {
                self.rotations += 1;
                let to = self.log.with_extension(format!("log.{}", self.rotations));
                fs::rename(&self.log, to).expect("renamed");
            }
            1 => {
                self.rotations += 1;
                let to = self.log.with_extension(format!("log.{}", self.rotations));
                fs::copy(&self.log, to).expect("copied");
                OpenOptions::new().write(true).truncate(true).open(&self.log).expect("truncated");
            }
            _ => {}
        }
    }
}

fn daemon(config: &Path, log: &Path) -> Child {
    let log = OpenOptions::new().create(true).append(true).open(log).expect("opened");
    Command::new(env!("CARGO_BIN_EXE_crmwatch"))
        .args(["run", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("started")
}

#[test]
fn killed_again_and_again_each_line_and_each_finding_is_recorded_exactly_once() {
    let rounds: u64 = std::env::var("CRMWATCH_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let seed: u64 = std::env::var("CRMWATCH_CRASH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7);
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    let logs = folder.path().join("logs");
    fs::create_dir(&logs).expect("made");
    let config = folder.path().join("crmwatch.toml");
    let text = format!(
        "state_dir = {state:?}\n[http]\nlisten = \"127.0.0.1:0\"\n[retention]\nmin_free_bytes = \"0\"\n[[source]]\nname = \"app\"\nformat = \"json\"\npaths = [{:?}]\n",
        logs.join("app.log*")
    );
    fs::write(&config, text).expect("written");
    let own_log = folder.path().join("daemon.log");

    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let (flag, count) = (Arc::clone(&stop), Arc::clone(&written));
    let log = logs.join("app.log");
    let writing = std::thread::spawn(move || {
        let mut writer = Writer { log, number: 0, rotations: 0, victims: Vec::new(), numbers: Numbers(seed) };
        while !flag.load(Ordering::Relaxed) {
            writer.turn();
            count.store(writer.number, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(10));
        }
        (writer.number, writer.victims, writer.rotations)
    });

    let mut numbers = Numbers(seed ^ 0x5eed);
    for _ in 0..rounds {
        let mut child = daemon(&config, &own_log);
        std::thread::sleep(Duration::from_millis(150 + numbers.next(1_500)));
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
    stop.store(true, Ordering::Relaxed);
    let (lines, victims, rotations) = writing.join().expect("the writer ended well");

    let mut child = daemon(&config, &own_log);
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let read: u64 = Ledger::open(&state)
            .and_then(|ledger| ledger.positions())
            .map(|positions| positions.values().map(|position| position.line).sum())
            .unwrap_or(0);
        if read >= lines {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{read} of {lines} lines were read\n{}",
            fs::read_to_string(&own_log).unwrap_or_default()
        );
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .expect("told to stop");
    let ended = child.wait().expect("ended");
    let told = fs::read_to_string(&own_log).expect("a log");
    assert!(ended.success(), "{ended}\n{told}");

    let store = Store::open(&state, StoreOptions::default()).expect("opened");
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    store
        .replay(i64::MIN, i64::MAX, |event| {
            let raw = event.raw();
            let n = raw.split("\"n\":").nth(1).and_then(|rest| rest.split(',').next()).and_then(|n| n.parse().ok());
            *seen.entry(n.unwrap_or_else(|| panic!("no number in {raw}"))).or_default() += 1;
            assert!(!event.has(Field::QuarantineReason), "{raw}");
            true
        })
        .expect("read");
    let twice: Vec<_> = seen.iter().filter(|(_, count)| **count != 1).take(5).collect();
    let missing: Vec<u64> = (1..=lines).filter(|n| !seen.contains_key(n)).take(5).collect();
    assert!(
        twice.is_empty() && missing.is_empty() && seen.len() as u64 == lines,
        "of {lines} lines after {rounds} kills and {rotations} rotations: twice {twice:?}, missing {missing:?}\n{told}"
    );

    let findings = Ledger::open(&state).expect("opened").findings_between(0, i64::MAX, Severity::Low).expect("read");
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for row in &findings {
        if &*row.finding.rule == "brute-force" {
            *found.entry(row.finding.primary_value().to_owned()).or_default() += 1;
        }
    }
    for victim in &victims {
        assert_eq!(found.get(victim), Some(&1), "{victim}: {found:?}");
    }
    eprintln!("{rounds} kills, {rotations} rotations, {lines} lines, {} victims: each exactly once", victims.len());
}
