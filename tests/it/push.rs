//! Records that arrive over HTTP, on standard input and from the journal: what was acknowledged is in the index exactly once, however the
//! daemon ends.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crmwatch::ledger::Ledger;
use crmwatch::store::{Store, StoreOptions};
use crmwatch_detectors::Field;

struct House {
    folder: tempfile::TempDir,
    address: SocketAddr,
}

/// A port nobody has at the moment.
fn port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl House {
    fn new(source: &str) -> House {
        let house = House { folder: tempfile::tempdir().unwrap(), address: port() };
        let text = format!(
            "state_dir = {:?}\n[http]\nlisten = \"{}\"\n[retention]\nmin_free_bytes = \"0\"\n[[source]]\nname = \"gate\"\nformat = \"json\"\n{source}\n",
            house.state(),
            house.address
        );
        fs::write(house.config(), text).unwrap();
        fs::write(house.folder.path().join("token"), "s3cret\n").unwrap();
        house
    }

    fn pushed_to() -> House {
        let house = House::new("push = true\ntoken_credential = \"TOKEN\"");
        let token = house.folder.path().join("token");
        let text = fs::read_to_string(house.config()).unwrap().replace("TOKEN", token.to_str().unwrap());
        fs::write(house.config(), text).unwrap();
        house
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("crmwatch.toml")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("daemon.log")).unwrap_or_default()
    }

    fn command(&self) -> Command {
        let log = OpenOptions::new().create(true).append(true).open(self.folder.path().join("daemon.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_crmwatch"));
        command.args(["run", "--config"]).arg(self.config()).stdin(Stdio::null()).stderr(log);
        command
    }

    fn post(&self, body: &str) -> std::io::Result<u16> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(
            stream,
            "POST /api/v1/push/gate HTTP/1.1\r\nHost: gate.example.com\r\nConnection: close\r\nAuthorization: Bearer s3cret\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        answer.get(9..12).and_then(|status| status.parse().ok()).ok_or(std::io::ErrorKind::UnexpectedEof.into())
    }

    /// How often each number is in the index.
    fn indexed(&self) -> BTreeMap<u64, u64> {
        let mut seen = BTreeMap::new();
        self.each(|raw, quarantined| {
            let n = raw.split("\"n\":").nth(1).map(|rest| rest.trim_end_matches(['}', ' ']).split(',').next().unwrap());
            *seen.entry(n.unwrap_or_else(|| panic!("{raw}")).parse().unwrap()).or_default() += 1;
            assert!(!quarantined, "{raw}");
        });
        seen
    }

    fn each(&self, mut look: impl FnMut(&str, bool)) {
        let store = Store::open(&self.state(), StoreOptions::default()).unwrap();
        store
            .replay(i64::MIN, i64::MAX, |event| {
                look(event.raw(), event.has(Field::QuarantineReason));
                true
            })
            .unwrap();
    }

    /// Waits until the metrics say so many lines were read since the start, and no lag is left.
    fn wait_for_lines(&self, least: u64) {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let text = self.metrics();
            let value = |name: &str| -> Option<u64> {
                let line =
                    text.lines().find(|line| line.starts_with(&format!("crmwatch_{name}{{source=\"gate\"}} ")))?;
                line.rsplit(' ').next()?.parse().ok()
            };
            if value("lines_read_total").is_some_and(|lines| lines >= least) && value("source_lag_bytes") == Some(0) {
                return;
            }
            assert!(Instant::now() < deadline, "{least} lines were not read\n{}\n{text}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        let asked = TcpStream::connect(self.address).and_then(|mut stream| {
            write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            stream.read_to_string(&mut text)
        });
        asked.map(|_| text).unwrap_or_default()
    }

    fn wait_until_it_listens(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(self.address).is_err() {
            assert!(Instant::now() < deadline, "it does not listen\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn end(mut child: Child, house: &House) {
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    let ended = child.wait().unwrap();
    assert!(ended.success(), "{ended}\n{}", house.log());
}

fn record(n: u64) -> String {
    let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    format!(r#"{{"@timestamp":"{time}","event.action":"view","user.name":"user{}","n":{n}}}"#, n % 40)
}

#[test]
fn killed_again_and_again_what_was_acknowledged_is_in_the_index_exactly_once() {
    let rounds: u64 = std::env::var("CRMWATCH_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let house = House::pushed_to();
    let stop = AtomicBool::new(false);
    let numbers = AtomicU64::new(0);
    let (mut acknowledged, mut sent) = (BTreeSet::new(), BTreeSet::new());
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let (mut acknowledged, mut sent) = (Vec::new(), Vec::new());
                    while !stop.load(Ordering::Relaxed) {
                        let first = numbers.fetch_add(7, Ordering::Relaxed) + 1;
                        let numbers: Vec<u64> = (first..first + 7).collect();
                        let body: Vec<String> = numbers.iter().map(|n| record(*n)).collect();
                        // Nothing is sent twice: what was not acknowledged may be there or not, whole or not at all.
                        match house.post(&format!("[{}]", body.join(","))) {
                            Ok(200) => acknowledged.push(first),
                            _ => std::thread::sleep(Duration::from_millis(5)),
                        }
                        sent.push(first);
                    }
                    (acknowledged, sent)
                })
            })
            .collect();
        for round in 0..rounds {
            let mut child = house.command().spawn().unwrap();
            house.wait_until_it_listens();
            std::thread::sleep(Duration::from_millis(200 + (round * 397) % 1_300));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        for sender in senders {
            let (took, tried) = sender.join().unwrap();
            acknowledged.extend(took);
            sent.extend(tried);
        }
    });
    let child = house.command().spawn().unwrap();
    house.wait_until_it_listens();
    let last = sent.last().unwrap() + 1_000;
    assert_eq!(house.post(&record(last)).unwrap(), 200);
    house.wait_for_lines(1);
    end(child, &house);
    let seen = house.indexed();
    assert_eq!(seen.get(&last), Some(&1), "the last of all is there");
    assert!(acknowledged.len() > 20, "{} pushes were acknowledged\n{}", acknowledged.len(), house.log());
    for first in &sent {
        let counts: Vec<u64> = (*first..first + 7).map(|n| seen.get(&n).copied().unwrap_or(0)).collect();
        let whole = counts.iter().all(|count| *count == 1);
        let nothing = counts.iter().all(|count| *count == 0) && !acknowledged.contains(first);
        assert!(
            whole || nothing,
            "{first}, acknowledged: {}: {counts:?}\n{}",
            acknowledged.contains(first),
            house.log()
        );
    }
    eprintln!("{rounds} kills, {} pushes, {} acknowledged: each exactly once", sent.len(), acknowledged.len());
}

#[test]
fn what_was_read_leaves_the_spool_and_nobody_misses_it() {
    let house = House::pushed_to();
    let child = house.command().spawn().unwrap();
    house.wait_until_it_listens();
    let mut n = 0;
    let padding = "x".repeat(900);
    // Two files of 16 MiB, and some of a third.
    for _ in 0..40 {
        let lines: Vec<String> = (0..1_000)
            .map(|_| {
                n += 1;
                format!("{{\"padding\":\"{padding}\",\"n\":{n}}}")
            })
            .collect();
        assert_eq!(house.post(&lines.join("\n")).unwrap(), 200, "{}", house.log());
    }
    house.wait_for_lines(n);
    let files = || fs::read_dir(house.state().join("spool/gate")).unwrap().count();
    let deadline = Instant::now() + Duration::from_secs(60);
    while files() > 1 {
        assert!(Instant::now() < deadline, "{} files are left\n{}", files(), house.log());
        // The index's commits and the detectors' snapshots come with batches.
        n += 1;
        assert_eq!(house.post(&record(n)).unwrap(), 200);
        std::thread::sleep(Duration::from_millis(200));
    }
    end(child, &house);
    // Started again, what is gone is not looked for.
    let child = house.command().spawn().unwrap();
    house.wait_until_it_listens();
    n += 1;
    assert_eq!(house.post(&record(n)).unwrap(), 200);
    house.wait_for_lines(1);
    end(child, &house);
    assert!(!house.log().contains("lines were lost"), "{}", house.log());
    // Of four files begun, the last of each run is remembered.
    let positions = Ledger::open(&house.state()).unwrap().positions().unwrap();
    assert!(positions.len() <= 2, "{positions:?}");
    let seen = house.indexed();
    assert_eq!((seen.len() as u64, seen.values().all(|count| *count == 1)), (n, true));
}

fn write_lines(stdin: &mut ChildStdin, range: std::ops::RangeInclusive<u64>) {
    for n in range {
        writeln!(stdin, "{}", record(n)).unwrap();
    }
}

#[test]
fn standard_input_is_a_source_and_its_end_ends_nothing_else() {
    let house = House::new("stdin = true");
    let mut child = house.command().stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    house.wait_until_it_listens();
    write_lines(&mut stdin, 1..=500);
    house.wait_for_lines(500);
    write!(stdin, "{}", record(501)).unwrap();
    drop(stdin);
    house.wait_for_lines(501);
    assert!(house.metrics().contains("crmwatch_received_total{source=\"gate\",transport=\"stdin\"} 501"));
    end(child, &house);
    let seen = house.indexed();
    assert_eq!((seen.len(), seen.values().all(|count| *count == 1)), (501, true));
    assert!(house.log().contains("standard input has ended"), "{}", house.log());
}

/// A journalctl that gives the entries of a file after a cursor, dies now and then, and otherwise waits for more.
const JOURNALCTL: &str = r#"#!/bin/sh
after=0
for word in "$@"; do
  case "$word" in --after-cursor=*) after="${word#--after-cursor=}";; esac
done
echo "$@" >> "$JOURNAL.calls"
tail -n "+$((after + 1))" "$JOURNAL" | head -n 70
if [ "$(wc -l < "$JOURNAL.calls")" -lt 4 ]; then echo "it broke" >&2; exit 1; fi
exec tail -n "+$((after + 71))" -f "$JOURNAL"
"#;

fn entry(n: u64) -> String {
    let message = record(n).replace('"', "\\\"");
    format!(
        "{{\"__CURSOR\":\"{n}\",\"__REALTIME_TIMESTAMP\":\"17000000000{n:05}\",\"_HOSTNAME\":\"crm1\",\"_SYSTEMD_UNIT\":\"odoo.service\",\"MESSAGE\":\"{message}\"}}\n"
    )
}

#[test]
fn the_journal_is_followed_exactly_once_though_journalctl_and_the_daemon_die() {
    let house = House::new("journal = [\"_SYSTEMD_UNIT=odoo.service\"]");
    let bin = house.folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("journalctl"), JOURNALCTL).unwrap();
    fs::set_permissions(bin.join("journalctl"), fs::Permissions::from_mode(0o755)).unwrap();
    let journal = house.folder.path().join("journal");
    let append = |range: std::ops::RangeInclusive<u64>| {
        let mut file = OpenOptions::new().create(true).append(true).open(&journal).unwrap();
        let text: String = range.map(entry).collect();
        file.write_all(text.as_bytes()).unwrap();
    };
    append(1..=200);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let start = || house.command().env("PATH", &path).env("JOURNAL", &journal).spawn().unwrap();
    let mut child = start();
    house.wait_until_it_listens();
    house.wait_for_lines(150);
    child.kill().unwrap();
    child.wait().unwrap();
    append(201..=300);
    let child = start();
    house.wait_until_it_listens();
    let everything = || calls(&journal) && house.received() > 0;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !everything() {
        assert!(Instant::now() < deadline, "{}", house.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    append(301..=320);
    let newest = || newest_cursor(&house.state());
    while newest() != Some(320) {
        assert!(Instant::now() < deadline, "{:?}\n{}", newest(), house.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(300));
    house.wait_for_lines(1);
    end(child, &house);
    let seen = house.indexed();
    assert_eq!((seen.len(), seen.values().all(|count| *count == 1)), (320, true), "{seen:?}");
    let store = Store::open(&house.state(), StoreOptions::default()).unwrap();
    store
        .replay(i64::MIN, i64::MAX, |event| {
            assert_eq!(event.text(Field::HostName), Some("crm1"));
            assert_eq!(event.text(Field::ServiceName), Some("odoo.service"));
            true
        })
        .unwrap();
    assert!(house.log().contains("it broke"), "{}", house.log());
}

impl House {
    fn received(&self) -> u64 {
        let text = self.metrics();
        let line = text.lines().find(|line| line.starts_with("crmwatch_received_total{source=\"gate\""));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    }
}

/// Whether journalctl was asked to go on after an entry.
fn calls(journal: &Path) -> bool {
    let mut name = journal.as_os_str().to_owned();
    name.push(".calls");
    fs::read_to_string(name).is_ok_and(|calls| calls.contains("--after-cursor="))
}

fn newest_cursor(state: &Path) -> Option<u64> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(state.join("spool/gate")).ok()?.flatten().map(|one| one.path()).collect();
    files.sort();
    let text = fs::read_to_string(files.last()?).ok()?;
    text.lines().last()?.split("__CURSOR\":\"").nth(1)?.split('"').next()?.parse().ok()
}
