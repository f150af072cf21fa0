//! The logs as the positions know them: whether each is still there and goes on where reading stopped.

use std::collections::{BTreeMap, BTreeSet};

use super::{Line, Listener, bytes, several};
use crate::config::Config;
use crate::ledger::Reckoning;
use crate::source::{Compression, Input, Position, locate};

/// Files named one by one; of more only the number is told.
const NAMED: usize = 5;

#[derive(Default)]
struct Source {
    files: u64,
    finished: u64,
    unread: u64,
    unknown: u64,
    gone: Vec<String>,
    others: Vec<(String, u64)>,
}

/// Looks at every file that was being read, and at those whose batches must be read again.
pub(super) fn look(all: &Reckoning, behind: u64, config: &Config, listener: &mut dyn Listener) {
    // Bytes that index or detectors do not have yet, by generation.
    let mut needed: BTreeMap<u64, u64> = BTreeMap::new();
    for segment in all.batches.iter().filter(|batch| batch.number > behind).flat_map(|batch| &batch.segments) {
        *needed.entry(segment.generation).or_default() += segment.to - segment.from;
    }
    let configured: BTreeSet<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
    let mut sources: BTreeMap<&str, Source> = BTreeMap::new();
    let (mut missing, mut missing_bytes) = (Vec::new(), 0);
    for position in &all.positions {
        let source = sources.entry(&position.source).or_default();
        source.files += 1;
        let found = match locate(position) {
            Ok(found) => found,
            Err(error) => {
                let mend = "let the daemon's user read it, or mend the disk: reading waits for it";
                let text = format!("{} cannot be read: {error}", crate::text::one_line(&position.path));
                listener.line(Line::fault(format!("source {}", position.source), text, mend));
                source.unknown += 1;
                continue;
            }
        };
        if found.is_none()
            && let Some(bytes) = needed.get(&position.generation)
        {
            missing.push(position.path.clone());
            missing_bytes += bytes;
        }
        if position.finished_at.is_some() {
            source.finished += 1;
            continue;
        }
        match found {
            Some(input) => source.unread += unread(position, &input),
            // Nothing was read of it: it has no content yet by which it could be known.
            None if position.offset == 0 => {}
            None => match std::fs::metadata(&position.path) {
                Ok(data) => source.others.push((position.path.clone(), data.len())),
                Err(_) => source.gone.push(position.path.clone()),
            },
        }
    }
    for (name, source) in &sources {
        let about = format!("source {name}");
        if !configured.contains(name) {
            let text = format!("{} were read for it, and it is not configured", several(source.files, "file", "files"));
            listener.line(Line::note(
                &about,
                text,
                "nothing, if it was taken out on purpose; a renamed source is read from its start again",
            ));
            continue;
        }
        listener.line(Line::right(&about, summary(source)));
        if !source.gone.is_empty() {
            let text = format!("gone while it was being read: {}", names(&source.gone));
            let mend = "put it back beside its path before the next start, under any rotated name; what it held after the position is \
                        otherwise lost, and counted (lost_bytes_total, cause gone_while_stopped)";
            listener.line(Line::note(&about, text, mend));
        }
        if !source.others.is_empty() {
            let paths: Vec<String> =
                source.others.iter().map(|(path, size)| format!("{path} ({} there now)", bytes(*size))).collect();
            let text = format!("another file stands in the place of the one that was read: {}", names(&paths));
            let mend = "if the old one was rotated to a place outside the pattern's folder, put it beside its path before the next start; \
                        the new one is read from its start";
            listener.line(Line::note(&about, text, mend));
        }
    }
    if !missing.is_empty() {
        let text =
            format!("{} that must be read again at the next start are gone: {}", bytes(missing_bytes), names(&missing));
        let mend = "put these files back beside their paths before the next start; otherwise these lines are missing from the index or from \
                    detection, and counted (lost_bytes_total, cause gone_before_recovery)";
        listener.line(Line::fault("logs", text, mend));
    }
}

fn unread(position: &Position, input: &Input) -> u64 {
    // How much a compressed file holds is known only by decompressing it.
    if input.compression() != Compression::None {
        return 0;
    }
    input.metadata().map_or(0, |data| data.len().saturating_sub(position.offset))
}

fn summary(source: &Source) -> String {
    let being_read = source.files - source.finished;
    let there = being_read - (source.gone.len() + source.others.len()) as u64 - source.unknown;
    let finished = match source.finished {
        0 => String::new(),
        number => format!(", {} finished", several(number, "other", "others")),
    };
    let fits = several(there, "file goes on", "files go on");
    format!("{fits} where reading stopped{finished}; {} not read yet", bytes(source.unread))
}

fn names(paths: &[String]) -> String {
    let some: Vec<_> = paths.iter().take(NAMED).map(|path| crate::text::one_line(path)).collect();
    let more = paths.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", some.join(", "))
}
