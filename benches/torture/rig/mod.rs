//! Torture: several logs of different formats, written and rotated in every way at once, while the daemon is killed again and again;
//! then each line must be in the index exactly once, and each attack found exactly once. Used by the bench and, shortened, by a test.
//!
//! What no tailer can read is not written: a copy is truncated only while its writer pauses, and what is removed or written over was
//! durable before (`durable`).

mod durable;
mod lines;
mod numbers;
mod process;
mod verify;
mod writer;

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use durable::Durable;
use lines::{Format, Lines, MAX_LINE};
use numbers::Numbers;
use process::{Ends, Process};
use verify::Verdict;
use writer::{Log, Place, Shared, Written};

/// The logs: format, and whether lines end in CR LF. Each is a source of its own.
const LOGS: [(Format, bool); 8] = [
    (Format::Json, false),
    (Format::Nginx, false),
    (Format::Salesforce, false),
    (Format::Spread, false),
    (Format::Json, true),
    (Format::Nginx, false),
    (Format::Salesforce, true),
    (Format::Json, false),
];

/// The index has taken nothing in for this long, though lines are missing: it will not.
const STANDSTILL: Duration = Duration::from_secs(90);

/// What a run is to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Lines of all logs.
    pub lines: u64,
    /// Kills.
    pub kills: u32,
    /// Over which both are spread.
    pub time: Duration,
    /// Of every choice.
    pub seed: u64,
    /// Where logs, state and what is kept lie.
    pub folder: PathBuf,
    /// The program.
    pub binary: PathBuf,
    /// Copy and truncate also logs of which lines are not read yet: they are then in the copy alone.
    pub copy_unread: bool,
    /// Compare with what `scan` finds in the same files.
    pub scan: bool,
    /// Told now and then how far it is.
    pub progress: fn(&str),
}

/// What a run has shown.
pub struct Account {
    plan: Plan,
    ends: Ends,
    written: Vec<Written>,
    bytes: u64,
    verdict: Verdict,
    time: Duration,
    complaints: Vec<String>,
    /// Files gone while the daemon was down, of which it could not know that nothing was missing.
    unsure: u64,
}

/// Runs to the end; an error is one of the rig or of a daemon that did not go on.
pub fn run(plan: &Plan) -> io::Result<Account> {
    let (state, logs, kept) = (plan.folder.join("state"), plan.folder.join("logs"), plan.folder.join("kept"));
    let durable = Durable { state: state.clone() };
    let configuration = configure(plan, &state, &[&logs], "crmwatch.toml")?;
    let own_log = plan.folder.join("daemon.log");
    let mut daemon = Process::new(plan.binary.clone(), configuration, own_log.clone());
    let shared = Arc::new(Shared::default());
    shared.patient.store(!plan.copy_unread, Ordering::Relaxed);
    let began = Instant::now();
    let mut writing = Vec::new();
    for (number, (format, crlf)) in LOGS.into_iter().enumerate() {
        let place = Place {
            live: logs.join(name(number)).join("app.log"),
            kept: kept.join(name(number)),
            durable: durable.clone(),
        };
        let part = number as u64 * 2;
        let lines = Lines::new(format, number, crlf, Numbers::new(plan.seed, part + 1));
        let log = Log::new(place, lines, format, Numbers::new(plan.seed, part + 2), Arc::clone(&shared))?;
        let share = plan.lines / LOGS.len() as u64;
        let rotate = (share / 100).clamp(100, 15_000);
        let time = plan.time.mul_f64(0.95);
        writing.push(std::thread::spawn(move || log.write(share, time, rotate)));
    }
    let ended = suffer(plan, &mut daemon, &durable, &shared, began);
    if ended.is_err() {
        shared.give_up.store(true, Ordering::Relaxed);
    }
    let written: io::Result<Vec<Written>> = writing
        .into_iter()
        .map(|thread| thread.join().unwrap_or_else(|_| Err(io::Error::other("a writer failed"))))
        .collect();
    ended.map_err(|error| with_log(&error, &own_log))?;
    let written = written?;
    let total = written.iter().map(|one| one.lines).sum();
    drain(plan, &mut daemon, &durable, total).map_err(|error| with_log(&error, &own_log))?;
    let time = began.elapsed();
    (plan.progress)("looking at the index");
    let mut verdict = Verdict::default();
    verdict.index(&state, &written)?;
    let ids = verdict.findings(&state, &written)?;
    if plan.scan {
        (plan.progress)("scanning the same files");
        let scan = configure(plan, &state, &[&logs, &kept], "scan.toml")?;
        verdict.scan(&plan.binary, &scan, &[&logs, &kept], &ids)?;
    }
    let (complaints, unsure) = process::complaints(&own_log)?;
    let bytes = shared.bytes.load(Ordering::Relaxed);
    Ok(Account { plan: plan.clone(), ends: daemon.ends, written, bytes, verdict, time, complaints, unsure })
}

fn name(log: usize) -> String {
    format!("log{log}")
}

/// Every log is a source, wherever among the folders its files lie.
fn configure(plan: &Plan, state: &Path, folders: &[&Path], file: &str) -> io::Result<PathBuf> {
    let mut text = format!(
        "state_dir = {state:?}\n[http]\nlisten = \"127.0.0.1:0\"\n[retention]\nmin_free_bytes = \"0\"\npartition_events = {}\n",
        (plan.lines / 40).max(500)
    );
    for (number, (format, _)) in LOGS.iter().enumerate() {
        let paths: Vec<PathBuf> = folders.iter().map(|folder| folder.join(name(number)).join("*")).collect();
        let _ = write!(
            text,
            "[[source]]\nname = \"{}\"\npaths = {paths:?}\nformat = \"{}\"\nmax_line = \"{MAX_LINE}\"\n",
            name(number),
            format.name()
        );
    }
    let path = plan.folder.join(file);
    fs::write(&path, text)?;
    Ok(path)
}

/// Starts and ends the daemon until all kills are done and all lines are written; leaves it running.
fn suffer(plan: &Plan, daemon: &mut Process, durable: &Durable, shared: &Shared, began: Instant) -> io::Result<()> {
    let mut numbers = Numbers::new(plan.seed, 0);
    let mut told = Instant::now();
    let even = (plan.time * 3 / plan.kills.max(1)).max(Duration::from_millis(250));
    daemon.start()?;
    while daemon.ends.kills < plan.kills {
        let left = plan.time.saturating_sub(began.elapsed());
        let mean = (left / (plan.kills - daemon.ends.kills)).clamp(Duration::from_millis(250), even);
        if daemon.live_and_end(mean, durable, &mut numbers)? {
            shared.storms.fetch_add(1, Ordering::Relaxed);
            sleep(numbers.between(Duration::from_millis(200), Duration::from_millis(1_000)));
        }
        daemon.start()?;
        if told.elapsed() > Duration::from_secs(20) {
            told = Instant::now();
            (plan.progress)(&format!(
                "{:>5} s: {} kills, {} lines written, {} in the index",
                began.elapsed().as_secs(),
                daemon.ends.kills,
                shared.lines.load(Ordering::Relaxed),
                durable.committed()
            ));
        }
    }
    Ok(())
}

/// Waits until the index has every line, or takes in no more; then tells the daemon to stop.
fn drain(plan: &Plan, daemon: &mut Process, durable: &Durable, total: u64) -> io::Result<()> {
    let (mut before, mut since, mut told) = (0, Instant::now(), Instant::now());
    loop {
        let committed = durable.committed();
        if committed != before {
            (before, since) = (committed, Instant::now());
        }
        // A while longer, for what would come twice.
        let patience = if committed >= total { Duration::from_secs(2) } else { STANDSTILL };
        if since.elapsed() > patience {
            break;
        }
        if let Some(status) = daemon.ended() {
            return Err(io::Error::other(format!("it ended by itself with {status}")));
        }
        if told.elapsed() > Duration::from_secs(20) {
            told = Instant::now();
            (plan.progress)(&format!("draining: {committed} of {total} lines are in the index"));
        }
        sleep(Duration::from_millis(100));
    }
    daemon.stop()
}

fn with_log(error: &io::Error, log: &Path) -> io::Error {
    let text = fs::read_to_string(log).unwrap_or_default();
    let last: Vec<&str> = text.lines().rev().take(20).collect();
    io::Error::other(format!("{error}\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n")))
}

impl Account {
    /// Nothing is missing, nothing is there twice.
    pub fn flawless(&self) -> bool {
        let Verdict { missing, doubled, strange, expected, found, .. } = self.verdict;
        missing + doubled + strange == 0
            && expected == found
            && self.verdict.faults.is_empty()
            && self.complaints.is_empty()
    }

    /// The record of the run.
    pub fn table(&self) -> String {
        let Account { plan, ends, verdict, .. } = self;
        let lines: u64 = self.written.iter().map(|one| one.lines).sum();
        let mut rotations = std::collections::BTreeMap::new();
        for (style, count) in self.written.iter().flat_map(|one| &one.rotations) {
            *rotations.entry(format!("{style:?}").to_lowercase()).or_insert(0) += count;
        }
        let seconds = self.time.as_secs_f64();
        let mut out = String::new();
        let mut row = |name: &str, value: String| {
            let _ = writeln!(out, "{name:<36} {value}");
        };
        row("seed", plan.seed.to_string());
        row("kills (SIGKILL)", ends.kills.to_string());
        row("  within 0.1 s of the start", ends.at_once.to_string());
        row("  while a partition was begun", ends.at_rolls.to_string());
        row("stops (SIGTERM)", ends.stops.to_string());
        row("starts", ends.starts.to_string());
        row("storms of rotation while it was down", ends.storms.to_string());
        row("rotations", rotations.values().sum::<u64>().to_string());
        for (style, count) in &rotations {
            row(&format!("  {style}"), count.to_string());
        }
        row("rotated files compressed", self.written.iter().map(|one| one.compressed).sum::<u64>().to_string());
        row("rotated files moved away", self.written.iter().map(|one| one.moved).sum::<u64>().to_string());
        row("lines written", lines.to_string());
        row("GB written", format!("{:.2}", self.bytes as f64 / 1e9));
        row("lines in the index", verdict.lines.to_string());
        row("  missing", verdict.missing.to_string());
        row("  there again", verdict.doubled.to_string());
        row("  never written, or rejected", verdict.strange.to_string());
        row("attacks", verdict.expected.to_string());
        row("  found exactly once", verdict.found.to_string());
        row("  of lines in more than one file", verdict.split.to_string());
        if let Some(scanned) = verdict.scanned {
            row("  found by scan with the same id", scanned.to_string());
        }
        for (rule, count) in &verdict.others {
            row(&format!("  findings of {rule}"), count.to_string());
        }
        row("files gone while down, said so", self.unsure.to_string());
        row("complaints in the daemon's log", self.complaints.len().to_string());
        row("wall time", format!("{seconds:.0} s"));
        row("lines a second", format!("{:.0}", lines as f64 / seconds));
        for text in verdict.faults.iter().chain(self.complaints.iter().take(20)) {
            let _ = writeln!(out, "FAULT {text}");
        }
        out
    }
}
