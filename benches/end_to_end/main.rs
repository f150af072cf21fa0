//! The promises about speed and memory, measured: `cargo bench --bench end_to_end -- [LINES [ATTACKS]]`.
//!
//! For each format: the events prebuilt in memory through the store's own writer (bare tantivy with our schema, two indexing threads, a
//! commit each second); the same log through `crmwatch run` until its index has committed the last line; through `crmwatch scan`.
//! Then lines written one by one, and how long until their findings are in the ledger and the lines in the index. Figures of one run are
//! to be compared with each other; of different runs, only with a look at what else the machine did. CRMWATCH_BENCH_BINARY names another
//! binary to measure, CRMWATCH_BENCH_DIR the folder to work in.

#![allow(clippy::print_stdout, reason = "the figures are the output")]

mod daemon;
mod latency;
mod log;

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crmwatch::config::Config;
use crmwatch::enrich::{Enricher, Settings};
use crmwatch::parse::web::Tables;
use crmwatch::source::{Followed, WholeFile};
use crmwatch::store::{Payload, Store, StoreOptions};
use crmwatch_detectors::{Event, EventId};

use daemon::Daemon;
use log::Format;

// As in the binary, whose figures these are to be compared with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Events held in memory for the bare index; of a longer log they come again under other ids.
const PREBUILT: usize = 200_000;

fn main() -> Outcome<()> {
    // `cargo bench` adds --bench.
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let lines = numbers.first().copied().unwrap_or(1_000_000).max(1);
    let attacks = u32::try_from(numbers.get(1).copied().unwrap_or(200))?;
    println!("{lines} lines of each format, {} users, load {}", log::USERS, load());
    println!("format  bytes/line  bare/s  run/s  ratio  run cpu us/line  RssAnon MB  scan/s");
    for format in Format::ALL {
        throughput(format, lines)?;
    }
    if attacks > 0 {
        let latencies = latencies(lines.min(50_000), attacks)?;
        println!(
            "from line written, {attacks} attacks beside {} lines/s    p50 ms    p99 ms   seen",
            latency::BACKGROUND
        );
        for (name, times) in
            [("finding in the ledger", &latencies.recorded), ("line in the index", &latencies.searchable)]
        {
            let at = |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1)));
            let ms = |time: Option<&Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0);
            println!("{name:<50} {:>9.1} {:>9.1} {:>6}", ms(at(50)), ms(at(99)), times.len());
        }
    }
    println!("load {}", load());
    Ok(())
}

fn throughput(format: Format, lines: u64) -> Outcome<()> {
    let folder = tempfile::tempdir_in(std::env::var_os("CRMWATCH_BENCH_DIR").unwrap_or_else(|| "/var/tmp".into()))?;
    let log = folder.path().join("access.log");
    let size = log::write(&log, format, lines, crmwatch::pipeline::now())?;
    let configuration = daemon::configure(folder.path(), &log, format)?;
    let bare = bare(folder.path(), &configuration, &log, lines)?;
    let run = run(&configuration, lines)?;
    let scan = scan(&configuration, format, &log, lines)?;
    println!(
        "{:<7} {:>10} {:>7.0} {:>6.0} {:>6.2} {:>16.1} {:>11.0} {:>7.0}",
        format.name(),
        size / lines,
        bare,
        run.rate,
        run.rate / bare,
        run.processor * 1e6 / lines as f64,
        run.anonymous as f64 / 1e6,
        scan
    );
    Ok(())
}

/// Events a second that the index alone takes.
fn bare(folder: &Path, configuration: &Path, log: &Path, lines: u64) -> Outcome<f64> {
    let mut events = prebuilt(configuration, log)?;
    let store = Store::open(&folder.join("bare"), StoreOptions { threads: 2, ..StoreOptions::default() })?;
    let mut writer = store.writer()?;
    let payload = |batch| Payload { store_id: store.store_id(), batch, positions: String::new() };
    let began = Instant::now();
    let mut committed = began;
    let count = events.len() as u64;
    for number in 0..lines {
        let event = &mut events[(number % count) as usize];
        if number >= count {
            event.id = EventId(event.id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        }
        writer.add(event)?;
        if committed.elapsed() >= Duration::from_secs(1) {
            writer.commit(&payload(number + 1), crmwatch::pipeline::now())?;
            committed = Instant::now();
        }
    }
    writer.commit(&payload(lines), crmwatch::pipeline::now())?;
    let rate = lines as f64 / began.elapsed().as_secs_f64();
    drop(writer);
    std::fs::remove_dir_all(folder.join("bare"))?;
    Ok(rate)
}

/// The log's events as the index gets them in the daemon: parsed and enriched.
fn prebuilt(configuration: &Path, log: &Path) -> Outcome<Vec<Event>> {
    let config = Config::load(configuration)?;
    let source = config.sources.first().ok_or("the configuration has a source")?;
    let followed = Followed { source: Arc::new(source.clone()), tables: Arc::new(Tables::shipped()) };
    let mut enricher = Enricher::new(&Settings::of(&config))?;
    let mut file = WholeFile::open(log, &followed, crmwatch::pipeline::now())?;
    let mut events = Vec::new();
    while events.len() < PREBUILT && !file.step(&mut events)?.ended {}
    for event in &mut events {
        enricher.enrich(event);
    }
    Ok(events)
}

struct Run {
    rate: f64,
    anonymous: u64,
    processor: f64,
}

/// Lines a second through the daemon, from its start to the commit of the last line.
fn run(configuration: &Path, lines: u64) -> Outcome<Run> {
    let began = Instant::now();
    let mut daemon = Daemon::start(configuration)?;
    let mut anonymous = 0;
    while daemon.committed() < lines {
        anonymous = anonymous.max(daemon.anonymous());
        if daemon.ended() {
            return Err(std::fs::read_to_string(configuration.with_file_name("daemon.log"))?.into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let rate = lines as f64 / began.elapsed().as_secs_f64();
    let processor = daemon.processor();
    daemon.stop()?;
    Ok(Run { rate, anonymous, processor })
}

/// Lines a second through `scan`, from its start to its end.
fn scan(configuration: &Path, format: Format, log: &Path, lines: u64) -> Outcome<f64> {
    let began = Instant::now();
    let status = Command::new(daemon::binary())
        .args(["scan", "--json", "--format", format.name(), "--config"])
        .arg(configuration)
        .arg(log)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!("scan ended with {status}").into());
    }
    Ok(lines as f64 / began.elapsed().as_secs_f64())
}

/// Of a daemon that knows the users already.
fn latencies(lines: u64, attacks: u32) -> Outcome<latency::Latencies> {
    let folder = tempfile::tempdir_in(std::env::var_os("CRMWATCH_BENCH_DIR").unwrap_or_else(|| "/var/tmp".into()))?;
    let log = folder.path().join("access.log");
    log::write(&log, Format::Json, lines, crmwatch::pipeline::now())?;
    let configuration = daemon::configure(folder.path(), &log, Format::Json)?;
    let mut daemon = Daemon::start(&configuration)?;
    while daemon.committed() < lines && !daemon.ended() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let latencies = latency::measure(&daemon, &log, lines, attacks)?;
    daemon.stop()?;
    Ok(latencies)
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or_default().to_owned()
}
