//! The daemon as a process that is killed, told to stop, or left down for a while. Not for judging what it did.

use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::durable::Durable;
use super::numbers::Numbers;

/// How long a daemon that is told to stop may take.
const FAREWELL: Duration = Duration::from_secs(60);

/// How long a daemon that is to be killed while it reads may take to start; it is killed then all the same.
const START: Duration = Duration::from_secs(8);

/// No program hears signals before its first instructions, which a loaded machine may be long in coming to.
const STARTING: Duration = Duration::from_millis(500);

/// What was done to the daemon.
#[derive(Debug, Default, Clone, Copy)]
pub struct Ends {
    /// Killed.
    pub kills: u32,
    /// Of these, while a new partition was being made.
    pub at_rolls: u32,
    /// Of these, within a tenth of a second of the start.
    pub at_once: u32,
    /// Told to stop, and stopped.
    pub stops: u32,
    /// Starts.
    pub starts: u32,
    /// Times it was left down, while logs were rotated several times.
    pub storms: u32,
}

/// Starts and ends it.
pub struct Process {
    /// The program.
    pub binary: PathBuf,
    /// Its configuration.
    pub configuration: PathBuf,
    /// Where it logs.
    pub log: PathBuf,
    child: Option<(Child, Instant)>,
    /// The last batch at the last end.
    batch: u64,
    /// What was done to it.
    pub ends: Ends,
}

impl Process {
    /// Not started yet.
    pub fn new(binary: PathBuf, configuration: PathBuf, log: PathBuf) -> Process {
        Process { binary, configuration, log, child: None, batch: 0, ends: Ends::default() }
    }

    /// Starts it.
    pub fn start(&mut self) -> io::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let child = Command::new(&self.binary)
            .args(["run", "--config"])
            .arg(&self.configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.child = Some((child, Instant::now()));
        self.ends.starts += 1;
        Ok(())
    }

    /// Ended, though nobody asked it to.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|(child, _)| child.try_wait().ok().flatten())
    }

    /// Kills it.
    pub fn kill(&mut self) -> io::Result<()> {
        if let Some((mut child, _)) = self.child.take() {
            child.kill()?;
            child.wait()?;
            self.ends.kills += 1;
        }
        Ok(())
    }

    /// Tells it to stop, and waits until it has.
    pub fn stop(&mut self) -> io::Result<()> {
        let Some((mut child, started)) = self.child.take() else { return Ok(()) };
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)?;
        let told = Instant::now();
        let until = told + FAREWELL;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > until {
                child.kill()?;
                child.wait()?;
                return Err(io::Error::other("told to stop, it did not for a minute"));
            }
            sleep(Duration::from_millis(5));
        };
        // Told before it had begun to listen to signals: killed like any other program.
        if status.signal() == Some(15) && told - started < STARTING {
            self.ends.kills += 1;
            return Ok(());
        }
        self.ends.stops += 1;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("told to stop, it ended with {status}"))) }
    }

    /// Lets it run for a time, then ends it in one way or another. True if it is to stay down for a while.
    pub fn live_and_end(&mut self, mean: Duration, durable: &Durable, numbers: &mut Numbers) -> io::Result<bool> {
        let tenth = Duration::from_millis(100);
        match numbers.below(100) {
            // Before it has opened anything, and in the middle of recovery.
            0..12 => {
                sleep(numbers.between(Duration::ZERO, tenth));
                self.ends.at_once += 1;
            }
            12..30 => sleep(numbers.between(tenth, (mean / 2).max(tenth))),
            30..42 => {
                let until = Instant::now() + mean * 2;
                while Instant::now() < until && !durable.rolling() {
                    sleep(Duration::from_millis(1));
                }
                if durable.rolling() {
                    self.ends.at_rolls += 1;
                }
            }
            // While it reads, however long the start takes on this machine.
            _ => {
                let until = Instant::now() + START;
                while Instant::now() < until && durable.last_batch() <= self.batch {
                    sleep(Duration::from_millis(10));
                }
                sleep(numbers.about(mean));
            }
        }
        if let Some(status) = self.ended() {
            return Err(io::Error::other(format!("it ended by itself with {status}")));
        }
        self.batch = self.batch.max(durable.last_batch());
        if numbers.once_in(16) {
            self.stop()?;
        } else {
            self.kill()?;
        }
        let down = numbers.once_in(10);
        if down {
            self.ends.storms += 1;
        }
        Ok(down)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only where the run ended early.
        if let Some(child) = &mut self.child {
            let _ = child.0.kill();
            let _ = child.0.wait();
        }
    }
}

/// What the daemon's own log holds that a run without faults does not have, the first few; and how often it could not tell whether
/// something was lost.
pub fn complaints(log: &Path) -> io::Result<(Vec<String>, u64)> {
    let text = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
    let mut wrong = Vec::new();
    let mut unsure = 0;
    for line in text.lines() {
        let told: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        let lost = told["lost_bytes"].as_u64().unwrap_or(0);
        if told["cause"] == "gone_while_stopped" && told["bytes"].as_u64().is_none() {
            // A writer may take away a file that was read to its end while the daemon is down: whether more was written to it before,
            // nobody can tell then.
            unsure += 1;
        } else if lost > 0 || !matches!(told["level"].as_str(), Some("INFO" | "DEBUG" | "WARN")) {
            wrong.push(line.to_owned());
        }
    }
    Ok((wrong, unsure))
}
