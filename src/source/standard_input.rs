//! Standard input as a source: lines are in the spool before more is read. Not for its thread (`pipeline::receivers`).
//!
//! A pipe cannot be asked again: what was read from it and not yet synced when the daemon is killed is gone. Told to stop, it keeps what it
//! has. When the spool takes nothing, nothing is read, and the writer waits.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use crmwatch_detectors::Millis;
use memchr::memchr;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::inlet::Inlet;
use super::spool_line::Received;

/// Read at once.
const CHUNK: usize = 256 << 10;
/// How long a look for more takes at most before it is seen whether to stop.
const GLANCE: Duration = Duration::from_millis(200);
/// How long to wait before a spool that took nothing is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// What a receiver is told by its surroundings.
pub struct Surroundings<'s> {
    /// Whether to stop.
    pub stop: &'s dyn Fn() -> bool,
    /// Milliseconds since 1970.
    pub now: fn() -> Millis,
}

impl Surroundings<'_> {
    /// Hands records in, however long it takes. False if told to stop before they were taken.
    pub(super) fn insist(&self, inlet: &Inlet, records: &[Received<'_>]) -> bool {
        loop {
            if inlet.offer(records).is_ok() {
                return true;
            }
            if !self.rest(AGAIN) {
                return false;
            }
        }
    }

    /// Waits. False if told to stop meanwhile.
    pub(super) fn rest(&self, time: Duration) -> bool {
        let until = std::time::Instant::now() + time;
        while std::time::Instant::now() < until {
            if (self.stop)() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        !(self.stop)()
    }
}

/// Reads until the end, or until told to stop.
pub fn read_lines(
    input: &mut (impl Read + AsFd),
    inlet: &Inlet,
    max_line: usize,
    around: &Surroundings<'_>,
) -> io::Result<()> {
    let mut lines = Splitter { line: Vec::new(), cut: 0, max_line };
    let mut chunk = vec![0; CHUNK];
    while !(around.stop)() {
        if !readable(input)? {
            continue;
        }
        let count = match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let whole = lines.split(&chunk[..count]);
        if !hand_in(&whole, false, inlet, around) {
            return Ok(());
        }
    }
    if let Some(rest) = lines.rest() {
        hand_in(&[rest], true, inlet, around);
    }
    Ok(())
}

fn readable(input: &impl AsFd) -> io::Result<bool> {
    let mut asked = [PollFd::new(input, PollFlags::IN)];
    let glance = Timespec::try_from(GLANCE).expect("a moment");
    match poll(&mut asked, Some(&glance)) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn hand_in(lines: &[(Vec<u8>, u64)], partial: bool, inlet: &Inlet, around: &Surroundings<'_>) -> bool {
    let at = (around.now)();
    let records: Vec<Received<'_>> =
        lines.iter().map(|(line, cut)| Received { at, peer: None, payload: line, cut: *cut, partial }).collect();
    around.insist(inlet, &records)
}

/// Lines out of chunks; of a line longer than may be, its head.
struct Splitter {
    line: Vec<u8>,
    cut: u64,
    max_line: usize,
}

impl Splitter {
    fn keep(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(self.max_line - self.line.len());
        self.line.extend_from_slice(&bytes[..kept]);
        self.cut += (bytes.len() - kept) as u64;
    }

    fn split(&mut self, mut chunk: &[u8]) -> Vec<(Vec<u8>, u64)> {
        let mut lines = Vec::new();
        while let Some(end) = memchr(b'\n', chunk) {
            self.keep(&chunk[..end]);
            chunk = &chunk[end + 1..];
            lines.extend(self.rest());
        }
        self.keep(chunk);
        lines
    }

    /// The line so far; blank ones are none.
    fn rest(&mut self) -> Option<(Vec<u8>, u64)> {
        let line = std::mem::take(&mut self.line);
        let cut = std::mem::take(&mut self.cut);
        (!line.is_empty() && line != b"\r").then_some((line, cut))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::metrics::Metrics;
    use crate::source::Spool;

    #[test]
    fn lines_are_taken_whole_cut_where_too_long_and_the_last_one_is_marked() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path(), "in", 1 << 20).expect("opened");
        let inlet = Inlet::new("in", "stdin", spool, &Metrics::new());
        let (mut reader, mut writer) = io::pipe().expect("a pipe");
        for part in ["on", "e\r\n\n", "0123456789abc\ntw", "o"] {
            writer.write_all(part.as_bytes()).expect("written");
        }
        drop(writer);
        let around = Surroundings { stop: &|| false, now: || 7 };
        read_lines(&mut reader, &inlet, 10, &around).expect("read");
        let path = glob::glob(&Spool::pattern(folder.path(), "in"))
            .expect("a pattern")
            .next()
            .expect("a file")
            .expect("readable");
        let text = std::fs::read_to_string(path).expect("read");
        let seen: Vec<&str> = text.lines().map(|line| line.split_once(' ').expect("a mark").1).collect();
        assert_eq!(seen, ["- one", "-+cut=3 0123456789", "-+partial two"]);
    }

    #[test]
    fn told_to_stop_it_keeps_what_it_has() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path(), "in", 1 << 20).expect("opened");
        let inlet = Inlet::new("in", "stdin", spool.clone(), &Metrics::new());
        let (mut reader, mut writer) = io::pipe().expect("a pipe");
        writer.write_all(b"half").expect("written");
        let asked = std::cell::Cell::new(0);
        let stop = || asked.replace(asked.get() + 1) > 0;
        read_lines(&mut reader, &inlet, 10, &Surroundings { stop: &stop, now: || 7 }).expect("read");
        drop(writer);
        let last = spool.last().expect("read").expect("a record");
        assert_eq!(last, b"half");
    }
}
