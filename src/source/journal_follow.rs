//! Follows the systemd journal through `journalctl`: each entry goes into the spool as the JSON it came as. Not for what an entry says
//! (`journal_entry`), nor for its thread (`pipeline::receivers`).
//!
//! How far it got is nowhere but in the spool: its last record carries the cursor it goes on after, so that the two cannot disagree whenever
//! the daemon is killed. The newest file of such a spool is therefore never deleted.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::inlet::Inlet;
use super::journal_entry::cursor;
use super::spool_line::Received;
use super::standard_input::Surroundings;
use crate::config::Start;

/// The program that reads the journal.
pub const JOURNALCTL: &str = "journalctl";
/// Entries handed in at once, at most about.
const TOGETHER: usize = 1 << 20;
/// How long to wait before a journalctl that ended is started again; doubled each time, up to the limit.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_LIMIT: Duration = Duration::from_secs(30);

/// One following of the journal.
#[derive(Clone)]
pub struct Journal {
    matches: Vec<String>,
    start: Start,
    child: Arc<Mutex<Option<Child>>>,
}

impl Journal {
    /// `matches` are journalctl's; `start` counts where nothing was read before.
    pub fn new(matches: &[String], start: Start) -> Journal {
        Journal { matches: matches.to_vec(), start, child: Arc::default() }
    }

    /// Ends journalctl, so that a follower that waits for its next line looks whether to stop.
    pub fn interrupt(&self) {
        if let Some(child) = &mut *self.child() {
            let _ = child.kill();
        }
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows until told to stop. A journalctl that ends is started again.
    pub fn follow(&self, inlet: &Inlet, around: &Surroundings<'_>) {
        let mut patience = AGAIN;
        let mut after = loop {
            match inlet.spool().last() {
                Ok(last) => break last.and_then(|entry| cursor(&entry).map(std::borrow::Cow::into_owned)),
                Err(error) => {
                    tracing::error!(source = inlet.source(), %error, "cannot see in the spool how far the journal was read; trying again");
                    if !around.rest(AGAIN_LIMIT) {
                        return;
                    }
                }
            }
        };
        while !(around.stop)() {
            let began = Instant::now();
            let ended = match self.start(after.as_deref()) {
                Ok(output) => {
                    self.take_entries(output, inlet, around, &mut after);
                    self.end()
                }
                Err(error) => format!("{JOURNALCTL} cannot be started: {error}"),
            };
            if (around.stop)() {
                return;
            }
            if began.elapsed() > AGAIN_LIMIT {
                patience = AGAIN;
            }
            tracing::warn!(source = inlet.source(), reason = ended, again_in = ?patience, "the journal is not followed; trying again");
            if !around.rest(patience) {
                return;
            }
            patience = (patience * 2).min(AGAIN_LIMIT);
        }
    }

    fn arguments(&self, after: Option<&str>) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["--follow", "--output=json", "--all", "--no-pager", "--quiet"].map(str::to_owned).into();
        match (after, self.start) {
            (Some(cursor), _) => arguments.extend([format!("--after-cursor={cursor}"), "--no-tail".to_owned()]),
            (None, Start::Beginning) => arguments.push("--no-tail".to_owned()),
            (None, Start::End) => arguments.push("--lines=0".to_owned()),
        }
        arguments.extend(self.matches.iter().cloned());
        arguments
    }

    fn start(&self, after: Option<&str>) -> std::io::Result<ChildStdout> {
        let mut child = Command::new(JOURNALCTL)
            .args(self.arguments(after))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().expect("it is piped");
        *self.child() = Some(child);
        Ok(output)
    }

    /// Ends what may still run, and says why it ended.
    fn end(&self) -> String {
        let Some(mut child) = self.child().take() else { return String::new() };
        let _ = child.kill();
        let mut said = String::new();
        if let Some(errors) = child.stderr.take() {
            let _ = errors.take(4_096).read_to_string(&mut said);
        }
        let status = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        match said.lines().last() {
            Some(line) => format!("{JOURNALCTL}: {line} ({status})"),
            None => format!("{JOURNALCTL} ended: {status}"),
        }
    }

    /// Reads entries until journalctl ends; what is together in its output goes into the spool together.
    fn take_entries(&self, output: ChildStdout, inlet: &Inlet, around: &Surroundings<'_>, after: &mut Option<String>) {
        let mut output = BufReader::with_capacity(1 << 16, output);
        loop {
            let mut entries: Vec<Vec<u8>> = Vec::new();
            let mut bytes = 0;
            loop {
                let mut line = Vec::new();
                match output.read_until(b'\n', &mut line) {
                    // A line without its end is one that journalctl could not finish; it comes again.
                    Ok(_) if line.last() != Some(&b'\n') => break,
                    Ok(_) => {
                        line.pop();
                        bytes += line.len();
                        entries.push(line);
                    }
                    Err(_) => break,
                }
                if bytes >= TOGETHER || memchr::memchr(b'\n', output.buffer()).is_none() {
                    break;
                }
            }
            if entries.is_empty() {
                return;
            }
            let at = (around.now)();
            let records: Vec<Received<'_>> = entries.iter().map(|entry| Received::new(at, None, entry)).collect();
            if !around.insist(inlet, &records) {
                return;
            }
            if let Some(last) = entries.last().and_then(|entry| cursor(entry)) {
                *after = Some(last.into_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_after_the_last_entry_and_starts_where_it_was_told() {
        let matches = ["_SYSTEMD_UNIT=odoo.service".to_owned()];
        let last = |start, after| Journal::new(&matches, start).arguments(after)[5..].join(" ");
        assert_eq!(last(Start::Beginning, None), "--no-tail _SYSTEMD_UNIT=odoo.service");
        assert_eq!(last(Start::End, None), "--lines=0 _SYSTEMD_UNIT=odoo.service");
        assert_eq!(last(Start::End, Some("s=1;i=2")), "--after-cursor=s=1;i=2 --no-tail _SYSTEMD_UNIT=odoo.service");
    }
}
