//! How long a start takes until the first new line is read, with many partitions and many followed files, and what a commit costs then.
//! Run it with `cargo bench --bench startup -- [--partitions 400] [--files 10000] [--rounds 3]`. It measures and judges nothing.
//!
//! A daemon reads the files once and stops. Its one partition is then copied under older names, which gives a store as it is after so many
//! days. Each round starts the daemon, appends a line to one file at once, and waits until the ledger has it.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const LINES: usize = 20;

fn argument(name: &str, default: usize) -> usize {
    let mut arguments = std::env::args().skip_while(|one| one != name).skip(1);
    arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[allow(clippy::print_stdout, reason = "the figures are the output")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (partitions, files, rounds) =
        (argument("--partitions", 400), argument("--files", 10_000), argument("--rounds", 3));
    let folder = tempfile::tempdir()?;
    let logs = folder.path().join("logs");
    write_logs(&logs, files)?;
    let config = folder.path().join("crmwatch.toml");
    let text = format!(
        "state_dir = {:?}\n[http]\nlisten = \"127.0.0.1:0\"\n[retention]\nmin_free_bytes = \"0\"\ndays = 36500\n[[source]]\nname = \"bench\"\nformat = \"json\"\npaths = [{:?}]\n",
        folder.path().join("state"),
        logs.join("*/*.log")
    );
    fs::write(&config, text)?;
    println!("{partitions} partitions, {files} files of {LINES} lines");

    let mut daemon = Daemon::start(folder.path())?;
    let began = Instant::now();
    daemon.wait_for((files * LINES) as u64)?;
    println!("first reading: {:.2} s", began.elapsed().as_secs_f64());
    daemon.stop()?;
    multiply(&folder.path().join("state/events"), partitions)?;

    let mut lines = (files * LINES) as u64;
    for round in 0..rounds {
        let began = Instant::now();
        let mut daemon = Daemon::start(folder.path())?;
        append(&logs.join("000/00000000.log"), 1)?;
        lines += 1;
        let listening = daemon.wait_to_listen(began)?;
        daemon.wait_for(lines)?;
        let (wall, processor) = (began.elapsed().as_secs_f64(), daemon.processor());
        let word = if round == 0 { "start, partitions seen for the first time" } else { "start" };
        println!(
            "{word}: listens after {listening:.3} s, first new line read and recorded after {wall:.3} s, {processor:.2} s of processor, {} descriptors, {} maps",
            daemon.entries("fd"),
            daemon.lines("maps")
        );
        if round + 1 == rounds {
            let before = daemon.processor();
            for _ in 0..20 {
                append(&logs.join("000/00000000.log"), 1)?;
                std::thread::sleep(Duration::from_millis(500));
            }
            let busy = daemon.processor() - before;
            println!("10 s with 2 lines a second: {busy:.2} s of processor");
            for line in daemon.metrics()?.lines().filter(|line| {
                ["commit_seconds_", "journal_seconds_", "snapshot_seconds_"].iter().any(|name| {
                    line.strip_prefix("crmwatch_")
                        .is_some_and(|rest| rest.starts_with(name) && !rest.contains("bucket"))
                })
            }) {
                println!("{line}");
            }
            let newest = fs::read_dir(folder.path().join("state/events"))?.flatten().map(|entry| entry.path()).max();
            if let Some(newest) = newest {
                println!("meta.json of the open partition: {} bytes", fs::metadata(newest.join("meta.json"))?.len());
            }
            lines += 20;
            daemon.wait_for(lines)?;
        }
        daemon.stop()?;
    }
    Ok(())
}

fn write_logs(logs: &Path, files: usize) -> io::Result<()> {
    for number in 0..files {
        let folder = logs.join(format!("{:03}", number / 1000));
        if number % 1000 == 0 {
            fs::create_dir_all(&folder)?;
        }
        append(&folder.join(format!("{number:08}.log")), LINES)?;
    }
    Ok(())
}

fn append(path: &Path, lines: usize) -> io::Result<()> {
    let mut text = String::new();
    for number in 0..lines {
        let line = format!(
            "{{\"@timestamp\":\"2026-03-02T09:00:{:02}Z\",\"event.action\":\"view\",\"user.name\":\"ann\",\"file\":{path:?},\"n\":{number}}}\n",
            number % 60
        );
        text.push_str(&line);
    }
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

/// Copies the one partition under the names of the days before it.
fn multiply(events: &Path, partitions: usize) -> io::Result<()> {
    let newest = fs::read_dir(events)?.flatten().map(|entry| entry.path()).max().ok_or(io::ErrorKind::NotFound)?;
    let first = chrono::NaiveDate::from_ymd_opt(2020, 1, 1).ok_or(io::ErrorKind::InvalidInput)?;
    for number in 1..partitions {
        let copy = events.join(format!("{}-000", first + chrono::Days::new(number as u64)));
        fs::create_dir(&copy)?;
        for entry in fs::read_dir(&newest)?.flatten() {
            // Closed partitions are never written to: one file may stand for all.
            fs::hard_link(entry.path(), copy.join(entry.file_name()))?;
        }
    }
    Ok(())
}

struct Daemon {
    child: Child,
    folder: PathBuf,
    address: Option<String>,
}

impl Daemon {
    fn start(folder: &Path) -> io::Result<Daemon> {
        let log = fs::File::create(folder.join("daemon.log"))?;
        let binary = std::env::var_os("CRMWATCH_BENCH_BINARY")
            .map_or_else(|| env!("CARGO_BIN_EXE_crmwatch").into(), PathBuf::from);
        let child = Command::new(binary)
            .args(["run", "--config"])
            .arg(folder.join("crmwatch.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        Ok(Daemon { child, folder: folder.to_owned(), address: None })
    }

    fn wait_to_listen(&mut self, began: Instant) -> io::Result<f64> {
        loop {
            let log = fs::read_to_string(self.folder.join("daemon.log"))?;
            let listening = log.lines().find(|line| line.contains("\"listening\""));
            if let Some(address) = listening.and_then(|line| line.split("\"address\":\"").nth(1)?.split('"').next()) {
                self.address = Some(address.to_owned());
                return Ok(began.elapsed().as_secs_f64());
            }
            self.still_there()?;
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until so many lines are in the ledger.
    fn wait_for(&mut self, lines: u64) -> Result<(), Box<dyn std::error::Error>> {
        if self.address.is_none() {
            self.wait_to_listen(Instant::now())?;
        }
        loop {
            let metrics = self.metrics()?;
            let batches = metrics.lines().find_map(|line| line.strip_prefix("crmwatch_batches_total ")).unwrap_or("0");
            // Only with a batch recorded the ledger is worth asking.
            if batches != "0" {
                let ledger = rusqlite::Connection::open_with_flags(
                    self.folder.join("state").join(crmwatch::ledger::FILE),
                    rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
                )?;
                let sql = "SELECT coalesce(sum(json_extract(position, '$.line')), 0) FROM files";
                if ledger.query_row(sql, [], |row| row.get::<_, u64>(0))? >= lines {
                    return Ok(());
                }
            }
            self.still_there()?;
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn metrics(&self) -> io::Result<String> {
        let address = self.address.as_deref().ok_or(io::ErrorKind::NotConnected)?;
        let mut connection = TcpStream::connect(address)?;
        write!(connection, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        connection.read_to_string(&mut text)?;
        Ok(text)
    }

    fn still_there(&mut self) -> io::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let log = fs::read_to_string(self.folder.join("daemon.log")).unwrap_or_default();
                Err(io::Error::other(format!("the daemon ended with {status}\n{log}")))
            }
        }
    }

    /// Processor time used so far, in seconds.
    fn processor(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let ticks = |at: usize| after_name.split(' ').nth(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        (ticks(11) + ticks(12)) / 100.0
    }

    fn entries(&self, name: &str) -> usize {
        fs::read_dir(format!("/proc/{}/{name}", self.child.id())).map_or(0, Iterator::count)
    }

    fn lines(&self, name: &str) -> usize {
        fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).map_or(0, |text| text.lines().count())
    }

    fn stop(mut self) -> io::Result<()> {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("the daemon ended with {status}"))) }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
        }
    }
}
