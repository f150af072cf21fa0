//! The index's partitions, each in a line, and what to do about a damaged one.

use std::path::{Path, PathBuf};

use crmwatch_detectors::json;

use super::super::RunError;
use super::{Line, Listener, bytes, count, several, shown};
use crate::store::Payload;
use crate::store::verify::{Examined, Flaw, examine, partitions, size};

/// What the partition that is written to says of the whole index.
pub(super) enum Newest {
    /// There is no partition, or nothing was ever committed.
    Empty,
    /// How far it has come.
    Known(Payload, PathBuf),
    /// It cannot be read, or was not looked at.
    Unknown,
}

/// Looks at every partition.
pub(super) fn look(state_dir: &Path, stopped: bool, listener: &mut dyn Listener) -> Result<Newest, RunError> {
    if !state_dir.join("events").is_dir() {
        listener.line(Line::right("index", "none yet"));
        return Ok(Newest::Empty);
    }
    let folder = partitions(state_dir)?;
    let newest = folder.partitions.len().saturating_sub(1);
    // Beside a running daemon the newest one is being written to, and the merges of the one before it may not have ended.
    let wanted = if stopped { folder.partitions.len() } else { newest };
    let chosen = &folder.partitions[..wanted];
    listener.begin(chosen.iter().map(|(path, _)| size(path)).sum());
    let mut last = Newest::Empty;
    let mut before: Option<(u64, String)> = None;
    let mut events = 0;
    let mut sound = 0;
    for (number, (path, name)) in chosen.iter().enumerate() {
        let mut seen = examine(path, name, number == newest, &|bytes| listener.read(bytes));
        if !stopped && !seen.flaws.is_empty() {
            // A merge that ended meanwhile replaced files: what is there now counts.
            seen = examine(path, name, false, &|_| {});
        }
        if !stopped && !path.exists() {
            continue;
        }
        events += seen.events.unwrap_or(0);
        sound += u64::from(seen.flaws.is_empty());
        for line in told(&seen) {
            listener.line(line);
        }
        if let Some(payload) = &seen.payload {
            if let Some((batch, older)) = &before
                && *batch > payload.batch
            {
                let text = format!(
                    "it ends at batch {}, and {older} before it at {batch}: one of them is from another time",
                    payload.batch
                );
                let mend = "restore both from one backup; or move one of them to another place outside events/, then `crmwatch recover`";
                listener.line(Line::fault(format!("partition {name}"), text, mend));
                sound = sound.saturating_sub(1);
            }
            before = Some((payload.batch, name.clone()));
        }
        if number == newest {
            last = match (&seen.payload, seen.events) {
                (Some(payload), _) => Newest::Known(payload.clone(), path.clone()),
                (None, Some(_)) => Newest::Empty,
                (None, None) => Newest::Unknown,
            };
        }
    }
    if !folder.unfinished.is_empty() {
        let text = format!("{} left half made or half removed by a crash", list(&folder.unfinished));
        listener.line(Line::note("index", text, "nothing: the next start removes it"));
    }
    if !folder.strange.is_empty() {
        let text = format!("{} in {} is not the daemon's", list(&folder.strange), shown(&state_dir.join("events")));
        listener.line(Line::note("index", text, "nothing; what is not named like a partition is passed over"));
    }
    let partitions = several(wanted as u64, "partition", "partitions");
    listener.line(if sound == wanted as u64 {
        Line::right("index", format!("{partitions}, {} events", count(events)))
    } else {
        let damaged = wanted as u64 - sound;
        let text = format!("{partitions}, {} events; {damaged} damaged, see above", count(events));
        Line { level: super::Level::Fault, about: "index".to_owned(), text, mend: None }
    });
    Ok(if stopped { last } else { Newest::Unknown })
}

fn list(names: &[String]) -> String {
    let some: Vec<_> = names.iter().take(3).map(|name| crate::text::one_line(name)).collect();
    let more = if names.len() > 3 { format!(" and {} more", names.len() - 3) } else { String::new() };
    format!("{}{more}", some.join(", "))
}

fn told(seen: &Examined) -> Vec<Line> {
    let about = format!("partition {}", seen.name);
    let mut lines = Vec::new();
    for flaw in &seen.flaws {
        let text = words(flaw);
        lines.push(Line::fault(&about, text, mend(seen, flaw)));
    }
    if seen.flaws.is_empty() {
        let held = held(seen);
        let open = if seen.newest { ", written to" } else { "" };
        let text = format!(
            "{held}; {}, {}, checksums right, {} stored events read{open}",
            several(seen.files as u64, "file", "files"),
            bytes(seen.bytes),
            count(seen.sampled)
        );
        lines.push(Line::right(&about, text));
    }
    if !seen.orphans.is_empty() {
        let total = seen.orphans.iter().map(|(_, bytes)| bytes).sum();
        let names: Vec<String> = seen.orphans.iter().map(|(name, _)| name.clone()).collect();
        let text = format!("{} ({}) belongs to nothing; left by a crash", list(&names), bytes(total));
        let mend = if seen.newest {
            "nothing: it goes with one of the next commits"
        } else {
            "nothing must be done; with the daemon stopped these files may be deleted"
        };
        lines.push(Line::note(&about, text, mend));
    }
    lines
}

fn words(flaw: &Flaw) -> String {
    match flaw {
        Flaw::Unreadable(reason) => format!("it cannot be read: {reason}"),
        Flaw::Newer(forms) => format!("a newer crmwatch wrote it: {forms}"),
        Flaw::Missing(file) => format!("{file} is missing"),
        Flaw::Damaged(file, reason) => format!("{file} is damaged: {reason}"),
        Flaw::Count { said, found } => {
            format!("its commit says {} events, there are {}", count(*said), count(*found))
        }
        Flaw::Times { said, found } => {
            let span = |(least, greatest)| format!("{} to {}", json::timestamp(least), json::timestamp(greatest));
            format!(
                "its events are of {}, its commit says {}: searches by time miss some",
                span(*found),
                said.map_or("none".to_owned(), span)
            )
        }
        Flaw::Stored { bad, of, reason } => {
            format!("{} of {} stored events looked at cannot be read: {reason}", count(*bad), count(*of))
        }
    }
}

fn held(seen: &Examined) -> String {
    match (seen.events, seen.times) {
        (Some(events), Some((least, greatest))) => format!(
            "{} of {} to {}",
            several(events, "event", "events"),
            json::timestamp(least),
            json::timestamp(greatest)
        ),
        (Some(events), None) => several(events, "event", "events"),
        (None, _) => "nobody knows how many events".to_owned(),
    }
}

fn mend(seen: &Examined, flaw: &Flaw) -> String {
    if matches!(flaw, Flaw::Newer(_)) {
        return "run the newer crmwatch, or restore the state directory of this one's time from a backup".to_owned();
    }
    let path = shown(&seen.path);
    let holds = held(seen);
    if seen.newest {
        format!(
            "it holds {holds}, and is the one that is written to. Move {path} to another place outside events/, then \
             `crmwatch recover` and `crmwatch recover --from index`: what it held is read again from the logs, as far as they are still there"
        )
    } else {
        format!(
            "it holds {holds}. Restore {path} from a backup: it no longer changes, so any later one will do. Without a backup, stop the \
             daemon, move it to another place outside events/, and start: its events can then not be searched; findings keep their lines"
        )
    }
}
