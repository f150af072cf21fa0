//! The ledger: whether the database is sound, and whether journal, positions and index tell one story.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::carried;
use super::index::Newest;
use super::{Level, Line, Listener, bytes, count, logs, memory, several, shown};
use crate::config::Config;
use crate::ledger::{Ledger, Reckoning, Soundness};
use crate::source::Position;
use crate::store::read_beside;

/// What to do where there is an index and no ledger.
pub(super) const MEND_MISSING: &str =
    "restore ledger.sqlite from a backup; then, or without one, `crmwatch recover` shows what can be gone on from";

/// What to do about a damaged ledger.
pub(super) fn mend(state_dir: &Path) -> String {
    format!(
        "restore {0}/ledger.sqlite from a backup (remove ledger.sqlite-wal and -shm beside it), then `crmwatch recover`. Without a backup: \
         `sqlite3 ledger.sqlite .recover | sqlite3 new.sqlite` saves what can be read; put it in place and check again",
        shown(state_dir)
    )
}

/// Looks at the ledger, and where the daemon is stopped at how it fits to the index and to the logs.
pub(super) fn look(ledger: &Ledger, stopped: bool, newest: Newest, config: &Config, listener: &mut dyn Listener) {
    let sound = match ledger.soundness() {
        Ok(sound) => sound,
        Err(error) => {
            let text = format!("it cannot be checked: {error}");
            return listener.line(Line::fault("ledger", text, mend(&config.state_dir)));
        }
    };
    let readable = soundness(&sound, config, listener);
    if !stopped || !readable {
        return;
    }
    let all = match ledger.reckoning() {
        Ok(all) => all,
        Err(error) => {
            let text = format!("journal and positions cannot be read: {error}");
            return listener.line(Line::fault("ledger", text, mend(&config.state_dir)));
        }
    };
    for row in &all.unreadable {
        listener.line(Line::fault("ledger", format!("{row} cannot be read"), mend(&config.state_dir)));
    }
    let index: Option<Vec<Position>> = match &newest {
        Newest::Known(payload, folder) => match carried::read(&payload.positions, |name| read_beside(folder, name)) {
            Ok(positions) => Some(positions.into_values().collect()),
            Err(error) => {
                let text = format!("the index's own copy of them cannot be read: {error}");
                let mend = "nothing, if the ledger is right: the next start writes it anew; until then `crmwatch recover` cannot go on from the index";
                listener.line(Line::note("positions", text, mend));
                None
            }
        },
        Newest::Empty => Some(Vec::new()),
        Newest::Unknown => None,
    };
    let batch = match &newest {
        Newest::Known(payload, _) => payload.batch,
        _ => 0,
    };
    if let Some(index) = &index {
        listener.line(together(&all, &newest, batch));
        listener.line(positions(&all, batch, index));
    }
    listener.line(journal(&all));
    logs::look(&all, batch.min(all.state_batch), config, listener);
    memory::look(ledger, config, listener);
}

fn soundness(sound: &Soundness, config: &Config, listener: &mut dyn Listener) -> bool {
    if sound.form > sound.known {
        let text = format!("form {}, this program knows up to {}", sound.form, sound.known);
        listener.line(Line::fault("ledger", text, "run the newer crmwatch that wrote it"));
        return false;
    }
    if let Some(first) = sound.faults.first() {
        let more =
            if sound.faults.len() > 1 { format!(" (and {} more)", sound.faults.len() - 1) } else { String::new() };
        let text = format!("the database is damaged: {}{more}", crate::text::one_line(first));
        listener.line(Line::fault("ledger", text, mend(&config.state_dir)));
        return false;
    }
    if let Some(first) = sound.dangling.first() {
        let text = format!(
            "{} point at rows that are not there: {first}",
            several(sound.dangling.len() as u64, "row", "rows")
        );
        listener.line(Line::fault("ledger", text, mend(&config.state_dir)));
    }
    if sound.form < sound.known {
        let text = format!("sound, of form {}; this program brings it to form {}", sound.form, sound.known);
        listener.line(Line::note("ledger", text, "nothing: the next start does it; take a backup before"));
        return false;
    }
    listener.line(Line::right("ledger", format!("integrity and references right, form {}", sound.form)));
    true
}

/// Whether index and ledger are of one store and can be brought together from the journal.
fn together(all: &Reckoning, newest: &Newest, index: u64) -> Line {
    let about = "index and ledger";
    let recover = "`crmwatch recover` shows what each has, and goes on from the one you choose";
    let fault = |text: String| Line::fault(about, text, recover);
    if let Newest::Known(payload, _) = newest {
        match &all.store_id {
            Some(id) if *id == payload.store_id => {}
            Some(_) => {
                return fault(
                    "they are of two different stores: one was replaced or restored from elsewhere".to_owned(),
                );
            }
            None => return fault("the ledger is new, the index is not: the ledger was replaced or deleted".to_owned()),
        }
    } else if all.last_batch > 0 {
        return fault("the index is new, the ledger is not: the index was replaced or deleted".to_owned());
    }
    let behind = index.min(all.state_batch);
    let first = all.batches.first().map_or(all.last_batch + 1, |batch| batch.number);
    if index > all.last_batch {
        return fault(format!("the ledger is older: it ends at batch {}, the index at {index}", all.last_batch));
    }
    if all.state_batch > all.last_batch {
        let text =
            format!("what detectors remember is of batch {}, the ledger ends at {}", all.state_batch, all.last_batch);
        return fault(text);
    }
    if first > behind + 1 {
        return fault(format!(
            "the index is older: it ends at batch {index}, and the journal begins only at {first} (it ends at {})",
            all.last_batch
        ));
    }
    let again = all.last_batch - behind;
    if again == 0 {
        Line::right(about, format!("of one store, both at batch {}", count(all.last_batch)))
    } else {
        let text = format!(
            "of one store; {} will be read again at the next start (index at {index}, memory at {}, journal at {})",
            several(again, "batch", "batches"),
            all.state_batch,
            all.last_batch
        );
        Line::right(about, text)
    }
}

/// Whether the journal's stretches follow upon each other and end where the positions are.
fn journal(all: &Reckoning) -> Line {
    let about = "journal";
    let mend = "report this with the output of this command; `crmwatch recover --from index` goes on from the index, which has positions of its own";
    for pair in all.batches.windows(2) {
        if pair[1].number != pair[0].number + 1 {
            let text = format!("batches between {} and {} are missing", pair[0].number, pair[1].number);
            return Line::fault(about, text, mend);
        }
    }
    let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
    for batch in &all.batches {
        for segment in &batch.segments {
            if segment.to < segment.from {
                return Line::fault(about, format!("batch {} ends before it begins", batch.number), mend);
            }
            if let Some(end) = ends.insert(segment.generation, segment.to)
                && end != segment.from
            {
                let text = format!(
                    "batch {} goes on at byte {} of file generation {}, the one before ended at {end}",
                    batch.number, segment.from, segment.generation
                );
                return Line::fault(about, text, mend);
            }
        }
    }
    for position in &all.positions {
        if let Some(end) = ends.get(&position.generation)
            && *end != position.offset
        {
            let text = format!(
                "it ends at byte {end} of {}, the position is at {}",
                crate::text::one_line(&position.path),
                position.offset
            );
            return Line::fault(about, text, mend);
        }
    }
    let whole = all.batches.iter().flat_map(|batch| &batch.segments).map(|segment| segment.to - segment.from).sum();
    Line::right(
        about,
        format!("{}, without gaps ({} of logs)", several(all.batches.len() as u64, "batch", "batches"), bytes(whole)),
    )
}

/// Whether the positions in the index's commit and those in the ledger are the two ends of the journal between them.
fn positions(all: &Reckoning, index: u64, of_index: &[Position]) -> Line {
    let about = "positions";
    let mut expected: BTreeMap<u64, u64> =
        all.positions.iter().map(|position| (position.generation, position.offset)).collect();
    for batch in all.batches.iter().rev().filter(|batch| batch.number > index) {
        for segment in batch.segments.iter().rev() {
            expected.insert(segment.generation, segment.from);
        }
    }
    for position in of_index {
        // A generation the ledger does not know any more was forgotten after the index's commit.
        if let Some(offset) = expected.get(&position.generation)
            && *offset != position.offset
            && index <= all.last_batch
        {
            let (path, there) = (crate::text::one_line(&position.path), position.offset);
            let text = format!("the index has read {path} to byte {there}, by the ledger it should be {offset}");
            return Line {
                level: Level::Fault,
                about: about.to_owned(),
                text,
                mend: Some("`crmwatch recover` shows both; report this with its output".to_owned()),
            };
        }
    }
    let read: u64 = all.positions.iter().map(|position| position.offset).sum();
    let files = several(all.positions.len() as u64, "file", "files");
    Line::right(about, format!("index and ledger agree on {files}, {} read", bytes(read)))
}
