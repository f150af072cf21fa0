//! `crmwatch check --deep`: is everything in the state directory whole, and does it fit together and to the logs? Looks, mends nothing.
//! Not for the configuration (`cli::check`) nor for bringing together what does not fit (`choose`).

mod index;
mod journal;
mod logs;
mod memory;

use std::path::Path;

use crate::config::Config;
use crate::ledger::{FILE, Ledger};
use crate::store::StoreError;

use super::{RunError, lock};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it must be.
    Right,
    /// Worth knowing; nothing is broken.
    Note,
    /// Something is lost or broken, or will be at the next start.
    Fault,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How bad it is.
    pub level: Level,
    /// What was looked at.
    pub about: String,
    /// What there is.
    pub text: String,
    /// What to do about it.
    pub mend: Option<String>,
}

/// Takes the lines, and knows how far the reading is.
pub trait Listener {
    /// One thing was looked at.
    fn line(&mut self, line: Line);
    /// So many bytes of the index will be read.
    fn begin(&mut self, bytes: u64);
    /// So many more have been.
    fn read(&self, bytes: u64);
}

impl Line {
    fn right(about: impl Into<String>, text: impl Into<String>) -> Line {
        Line { level: Level::Right, about: about.into(), text: text.into(), mend: None }
    }

    fn note(about: impl Into<String>, text: impl Into<String>, mend: impl Into<String>) -> Line {
        Line { level: Level::Note, about: about.into(), text: text.into(), mend: Some(mend.into()) }
    }

    fn fault(about: impl Into<String>, text: impl Into<String>, mend: impl Into<String>) -> Line {
        Line { level: Level::Fault, about: about.into(), text: text.into(), mend: Some(mend.into()) }
    }
}

/// Looks at everything. A daemon that runs is not disturbed: what it is writing is then left out, and said.
pub fn deep(config: &Config, listener: &mut dyn Listener) -> Result<(), RunError> {
    let state_dir = &config.state_dir;
    if !state_dir.is_dir() {
        let text = "it does not exist: the daemon has never run with this configuration";
        listener.line(Line::note(shown(state_dir), text, "nothing, before the first start; else correct state_dir"));
        return Ok(());
    }
    let held = match lock(state_dir) {
        Ok(file) => Some(file),
        Err(RunError::InUse { .. }) => None,
        Err(error) => return Err(error),
    };
    let stopped = held.is_some();
    if !stopped {
        listener.line(Line::note(
            "daemon",
            "it runs: the partition it writes to, and how index, ledger and logs fit together, are not looked at",
            "for the whole check, stop it first: `systemctl stop crmwatch`",
        ));
    }
    space(config, listener);
    let payload = index::look(state_dir, stopped, listener)?;
    match Ledger::open_to_look(state_dir) {
        Ok(ledger) => journal::look(&ledger, stopped, payload, config, listener),
        Err(_) if !state_dir.join(FILE).exists() => listener.line(match payload {
            index::Newest::Empty => Line::right("ledger", "none yet, as for the index"),
            _ => Line::fault("ledger", "ledger.sqlite is not there", journal::MEND_MISSING),
        }),
        Err(error) => {
            listener.line(Line::fault("ledger", format!("it cannot be opened: {error}"), journal::mend(state_dir)));
        }
    }
    memory::spools(config, listener);
    Ok(())
}

fn shown(path: &Path) -> String {
    crate::text::one_line(&path.to_string_lossy()).into_owned()
}

/// Room on the disk, and files that came to belong to somebody else.
fn space(config: &Config, listener: &mut dyn Listener) {
    let about = shown(&config.state_dir);
    let least = config.retention.min_free_bytes;
    match rustix::fs::statvfs(&config.state_dir) {
        Ok(statistics) => {
            let free = statistics.f_bavail.saturating_mul(statistics.f_frsize);
            let text = format!("{} free", bytes(free));
            listener.line(if free < least {
                let text = format!("{text}, less than [retention] min_free_bytes ({})", bytes(least));
                Line::note(&about, text, "make room: the daemon drops the oldest partitions until there is so much")
            } else {
                Line::right(&about, text)
            });
            if statistics.f_files > 0 && statistics.f_favail < 1_000 {
                let text = format!("only {} files can still be made on its file system", statistics.f_favail);
                listener.line(Line::note(&about, text, "delete small files there, or move it to another file system"));
            }
        }
        Err(error) => {
            listener.line(Line::fault(&about, format!("its file system does not answer: {error}"), "look at `dmesg`"));
        }
    }
    let mut others = Vec::new();
    strangers(&config.state_dir, &mut others);
    if let Some((owner, first)) = others.first() {
        let text = format!("{} files do not belong to its owner (uid {owner}), the first is {first}", others.len());
        let mend = format!(
            "as root: `chown -R --reference={0} {0}`; commands on a stopped daemon's store are to be run as its user",
            shown(&config.state_dir)
        );
        listener.line(Line::fault(&about, text, mend));
    }
}

/// Files of another owner than the folder's: the daemon could not write to them.
fn strangers(state_dir: &Path, found: &mut Vec<(u32, String)>) {
    use std::os::unix::fs::MetadataExt;
    let Ok(owner) = std::fs::metadata(state_dir).map(|data| data.uid()) else { return };
    let mut folders = vec![state_dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Ok(data) = entry.metadata() else { continue };
            if data.uid() != owner {
                found.push((owner, shown(&entry.path())));
            }
            if data.is_dir() {
                folders.push(entry.path());
            }
        }
    }
}

/// A count with its thousands set off.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Several of a thing.
pub fn several(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {many}", count(number)) }
}

/// Bytes for people.
pub fn bytes(number: u64) -> String {
    match number {
        0..10_000 => format!("{} bytes", count(number)),
        10_000..10_000_000 => format!("{} kB", count(number / 1000)),
        10_000_000..10_000_000_000 => format!("{} MB", count(number / 1_000_000)),
        _ => format!("{} GB", count(number / 1_000_000_000)),
    }
}

/// The ledger and the index as errors of the daemon's.
impl From<&StoreError> for Line {
    fn from(error: &StoreError) -> Line {
        Line::fault("index", error.to_string(), "restore the state directory from a backup, or see `crmwatch recover`")
    }
}
