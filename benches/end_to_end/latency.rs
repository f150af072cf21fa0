//! From a line written to its finding in the ledger and to the index: brute force against one account after another, in a log that
//! other people write, too.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::daemon::Daemon;
use super::log::{Format, Lines};

/// Lines a second that have nothing to do with the attacks.
pub const BACKGROUND: u32 = 200;
/// Failures that make the finding; the last one decides.
const FAILURES: u32 = 10;

/// Sorted times of many attacks.
#[derive(Debug, Default)]
pub struct Latencies {
    pub recorded: Vec<Duration>,
    pub searchable: Vec<Duration>,
}

struct Written {
    user: String,
    at: Instant,
    /// Lines in the log with this one.
    lines: u64,
}

/// Writes `attacks` to a log that the daemon follows and that holds `before` lines, which it has taken in.
pub fn measure(daemon: &Daemon, log: &Path, before: u64, attacks: u32) -> io::Result<Latencies> {
    let mut file = File::options().append(true).open(log)?;
    let (sender, receiver) = channel();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(daemon, receiver, &done));
        let mut lines = before;
        let mut background = Lines::new(Format::Json, crmwatch::pipeline::now());
        let began = Instant::now();
        for number in 0..attacks {
            // Attacks do not fall into step with the daemon's own beats.
            for _ in 0..20 + number * 7 % 23 {
                file.write_all(background.next(Some(crmwatch::pipeline::now())).as_bytes())?;
                lines += 1;
                std::thread::sleep(Duration::from_secs(1) / BACKGROUND);
            }
            let user = format!("target{number}");
            for failure in 1..=FAILURES {
                let line = failed_login(&user, number, i64::from(failure));
                let at = Instant::now();
                file.write_all(line.as_bytes())?;
                lines += 1;
                if failure == FAILURES {
                    let _ = sender.send(Written { user: user.clone(), at, lines });
                } else if failure == FAILURES - 1 {
                    std::thread::sleep(Duration::from_millis(20 + u64::from(number % 37)));
                }
            }
        }
        drop(sender);
        let deadline = Duration::from_secs(30);
        while !watching.is_finished() && began.elapsed() < deadline + Duration::from_secs(u64::from(attacks)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        done.store(true, Ordering::Relaxed);
        let latencies = watching.join().map_err(|_| io::Error::other("watching the ledger failed"))?;
        latencies.map_err(io::Error::other)
    })
}

fn failed_login(user: &str, number: u32, later: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(crmwatch::pipeline::now() + later).expect("now");
    let stamp = time.format("%Y-%m-%dT%H:%M:%S%.3fZ");
    let address = format!("91.{}.{}.9", 1 + number / 200 % 100, number % 200);
    format!(
        r#"{{"@timestamp":"{stamp}","user.name":"{user}","source.ip":"{address}","event.action":"login","event.outcome":"failure"}}"#
    ) + "\n"
}

fn watch(daemon: &Daemon, written: Receiver<Written>, done: &AtomicBool) -> rusqlite::Result<Latencies> {
    let ledger = daemon.ledger()?;
    ledger.busy_timeout(Duration::from_secs(5))?;
    let mut query =
        ledger.prepare("SELECT count(*) FROM findings WHERE rule = 'brute-force' AND primary_value = ?1")?;
    let mut unrecorded: Vec<Written> = Vec::new();
    let mut unsearchable: Vec<Written> = Vec::new();
    let mut latencies = Latencies::default();
    let mut more = true;
    while (more || !unrecorded.is_empty() || !unsearchable.is_empty()) && !done.load(Ordering::Relaxed) {
        loop {
            match written.try_recv() {
                Ok(one) => {
                    unsearchable.push(Written { user: one.user.clone(), ..one });
                    unrecorded.push(one);
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => break,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                    more = false;
                    break;
                }
            }
        }
        let mut waiting = Vec::new();
        for one in unrecorded {
            let found: u64 = query.query_row([&one.user], |row| row.get(0))?;
            if found > 0 { latencies.recorded.push(one.at.elapsed()) } else { waiting.push(one) }
        }
        unrecorded = waiting;
        if !unsearchable.is_empty() {
            let committed = daemon.committed();
            unsearchable.retain(|one| {
                let there = committed >= one.lines;
                if there {
                    latencies.searchable.push(one.at.elapsed());
                }
                !there
            });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    latencies.recorded.sort_unstable();
    latencies.searchable.sort_unstable();
    Ok(latencies)
}
