//! The daemon as a process of its own, looked at from outside: what its index holds, what its ledger holds, how much memory it has.
//! Not for judging any of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::log::Format;

/// A running `crmwatch run`.
pub struct Daemon {
    child: Child,
    state: PathBuf,
}

/// The binary that was built with this benchmark, or another one to compare it with.
pub fn binary() -> PathBuf {
    std::env::var_os("CRMWATCH_BENCH_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_crmwatch").into(), PathBuf::from)
}

/// Writes a configuration that follows one file.
pub fn configure(folder: &Path, log: &Path, format: Format) -> io::Result<PathBuf> {
    let file = folder.join("crmwatch.toml");
    let text = format!(
        "state_dir = {:?}\n[http]\nlisten = \"127.0.0.1:0\"\n[retention]\nmin_free_bytes = \"1MB\"\n[[source]]\nname = \"bench\"\npaths = [{:?}]\nformat = \"{}\"\n",
        folder.join("state"),
        log,
        format.name()
    );
    fs::write(&file, text)?;
    Ok(file)
}

impl Daemon {
    /// Starts it.
    pub fn start(configuration: &Path) -> io::Result<Daemon> {
        let state = configuration.with_file_name("state");
        let log = fs::File::create(configuration.with_file_name("daemon.log"))?;
        let child = Command::new(binary())
            .args(["run", "--config"])
            .arg(configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        Ok(Daemon { child, state })
    }

    /// Events its index has committed: the sum over the segments that the newest commits name.
    pub fn committed(&self) -> u64 {
        let Ok(partitions) = fs::read_dir(self.state.join("events")) else { return 0 };
        partitions.flatten().filter_map(|partition| documents(&partition.path().join("meta.json"))).sum()
    }

    /// The ledger, to be read.
    pub fn ledger(&self) -> rusqlite::Result<rusqlite::Connection> {
        rusqlite::Connection::open_with_flags(
            self.state.join(crmwatch::ledger::FILE),
            rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
    }

    /// Anonymous memory, in bytes.
    pub fn anonymous(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).unwrap_or(0) * 1024
    }

    /// Processor time used so far, in seconds.
    pub fn processor(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let ticks = |at: usize| after_name.split(' ').nth(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        // utime and stime, the 14th and 15th of all; Linux counts them in hundredths wherever this runs.
        (ticks(11) + ticks(12)) / 100.0
    }

    /// Whether it ended by itself.
    pub fn ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Asks it to stop and waits.
    pub fn stop(mut self) -> io::Result<()> {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("the daemon ended with {status}"))) }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Only where a measurement ended early: after `stop` there is nothing left to end.
        if !self.ended() {
            let _ = self.child.kill();
        }
    }
}

fn documents(meta: &Path) -> Option<u64> {
    let meta: serde_json::Value = serde_json::from_slice(&fs::read(meta).ok()?).ok()?;
    Some(meta["segments"].as_array()?.iter().filter_map(|segment| segment["max_doc"].as_u64()).sum())
}
