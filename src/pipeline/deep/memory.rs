//! What detectors and enrichment remember, piece by piece; and the spool of network sources.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::super::absorb::Minds;
use super::{Line, Listener, bytes, count, several, shown};
use crate::config::Config;
use crate::enrich::{Enricher, Settings};
use crate::ledger::Ledger;

/// Gives every saved piece to whom it belongs, and sees whether he can read it.
pub(super) fn look(ledger: &Ledger, config: &Config, listener: &mut dyn Listener) {
    // A configuration that is wrong is told by the check itself.
    let (Ok(engine), Ok(enricher)) = (config.engine(), Enricher::new(&Settings::of(config))) else { return };
    let mut minds = Minds { enricher, engine };
    let mut pieces = 0;
    let mut lost: BTreeMap<String, u64> = BTreeMap::new();
    let read = ledger.each_state(|owner, key, value| {
        pieces += 1;
        if minds.take_back(owner, key, value).is_err() {
            *lost.entry(owner.to_owned()).or_default() += 1;
        }
    });
    let forget = "they are learned again; to begin anew at once, with the daemon stopped: `sqlite3 ledger.sqlite \"DELETE FROM state WHERE owner = '...'\"`";
    listener.line(match read {
        Err(error) => {
            Line::fault("memory", format!("it cannot be read: {error}"), super::journal::mend(&config.state_dir))
        }
        Ok(()) if !lost.is_empty() => {
            let list: Vec<String> =
                lost.iter().map(|(owner, pieces)| format!("{owner} ({})", count(*pieces))).collect();
            let text = format!("pieces that their owner cannot read: {}", list.join(", "));
            Line::fault("memory", text, forget)
        }
        Ok(()) => {
            Line::right("memory", format!("{} of detectors and enrichment read", several(pieces, "piece", "pieces")))
        }
    });
}

/// Looks at the spool: records that were acknowledged and are waiting to be read.
pub(super) fn spools(config: &Config, listener: &mut dyn Listener) {
    let Ok(folders) = fs::read_dir(config.state_dir.join("spool")) else { return };
    let mut folders: Vec<_> = folders.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    for folder in folders {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let about = format!("spool {}", crate::text::one_line(&name));
        if !config.sources.iter().any(|source| source.name == name) {
            let text = "its source is not configured: what it holds is not read";
            listener.line(Line::note(
                &about,
                text,
                format!("configure the source again, or delete {}", shown(&folder)),
            ));
            continue;
        }
        listener.line(spool(&about, &folder));
    }
}

fn spool(about: &str, folder: &Path) -> Line {
    let mut files = Vec::new();
    let mut strange = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let number =
            name.strip_suffix(".log").filter(|digits| digits.len() == 16).and_then(|digits| digits.parse::<u64>().ok());
        match number {
            Some(number) => files.push((number, entry.path())),
            None => strange.push(crate::text::one_line(&name).into_owned()),
        }
    }
    files.sort();
    let mut held = 0;
    let mut cut = Vec::new();
    for (number, path) in &files {
        match last_byte(path) {
            Ok((length, last)) => {
                held += length;
                // The last line of the newest file may be one whose sender never got an answer.
                if last.is_some_and(|last| last != b'\n') && Some(number) != files.last().map(|(number, _)| number) {
                    cut.push(shown(path));
                }
            }
            Err(error) => {
                let text = format!("{} cannot be read: {error}", shown(path));
                return Line::fault(
                    about,
                    text,
                    "look at the disk (`dmesg`); what it held was acknowledged and is lost with it",
                );
            }
        }
    }
    let text = format!("{}, {}", several(files.len() as u64, "file", "files"), bytes(held));
    if let Some(first) = strange.first() {
        return Line::note(about, format!("{text}; {first} is not the daemon's"), "move it away: it is not read");
    }
    if let Some(first) = cut.first() {
        return Line::note(
            about,
            format!("{text}; the last line of {first} is not whole"),
            "nothing: its sender got no answer and sends it again",
        );
    }
    Line::right(about, text)
}

fn last_byte(path: &Path) -> std::io::Result<(u64, Option<u8>)> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok((0, None));
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok((length, Some(last[0])))
}
