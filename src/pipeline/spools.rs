//! The spools of all sources whose records do not arrive in files: opened before anything is read, and emptied of what nobody needs again.
//! Not for receiving (`receivers`).

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::{RunError, now};
use crate::config::{Arrival, Config};
use crate::ledger::{Ledger, LedgerError};
use crate::metrics::Metrics;
use crate::source::{SPOOL_FOLDER, Sealed, Spool};

/// A file is ended after so long, however little is in it, so that it can go once it was read.
const FILE_AGE: Duration = Duration::from_secs(600);

/// One source's.
struct Own {
    source: String,
    spool: Spool,
    /// The newest file tells how far the source was read, and stays.
    keeps_newest: bool,
}

/// The spools, by source.
#[derive(Default)]
pub(super) struct Spools(Vec<Own>);

impl Spools {
    /// Opens them all. What was left behind by a source that is not configured any more is said.
    pub(super) fn open(config: &Config) -> Result<Spools, RunError> {
        let mut spools = Vec::new();
        for source in config.sources.iter().filter(|source| source.spooled()) {
            let spool = Spool::open(&config.state_dir, &source.name, config.spool_bytes).map_err(|error| {
                RunError::StateDir { path: config.state_dir.join(SPOOL_FOLDER).join(&source.name), error }
            })?;
            let keeps_newest = matches!(source.arrival, Arrival::Journal(_));
            spools.push(Own { source: source.name.clone(), spool, keeps_newest });
        }
        let spools = Spools(spools);
        spools.tell_of_others(&config.state_dir);
        Ok(spools)
    }

    fn tell_of_others(&self, state_dir: &Path) {
        for entry in std::fs::read_dir(state_dir.join(SPOOL_FOLDER)).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let filled = std::fs::read_dir(entry.path()).is_ok_and(|mut files| files.next().is_some());
            if filled && self.of(&name).is_none() {
                tracing::warn!(
                    folder = %entry.path().display(),
                    "a spool of a source that is not configured any more; what is in it is not read"
                );
            }
        }
    }

    /// The spool of a source.
    pub(super) fn of(&self, source: &str) -> Option<&Spool> {
        self.0.iter().find(|own| own.source == source).map(|own| &own.spool)
    }

    /// Whom to wake when there is something to read.
    pub(super) fn wake(&self, reader: &Sender<()>) {
        for own in &self.0 {
            own.spool.wakes(reader.clone());
        }
    }

    /// Deletes the files that were read to their end and that neither index nor detectors can need again: no batch in the journal names
    /// them. To be called when batches were forgotten.
    pub(super) fn release(&self, ledger: &mut Ledger, metrics: &Metrics) -> Result<(), LedgerError> {
        let mut sealed: Vec<(&Own, Sealed)> = Vec::new();
        for own in &self.0 {
            own.spool.end_file_older_than(FILE_AGE);
            let newest = own.spool.newest();
            let kept = |one: &Sealed| own.keeps_newest && Some(one.number) == newest;
            sealed.extend(own.spool.sealed().into_iter().filter(|one| !kept(one)).map(|one| (own, one)));
        }
        if sealed.is_empty() {
            return Ok(());
        }
        let positions = ledger.positions()?;
        let needed: BTreeSet<u64> = ledger
            .batches_after(0)?
            .iter()
            .flat_map(|batch| &batch.segments)
            .map(|segment| segment.generation)
            .collect();
        for (own, file) in sealed {
            let name = file.path.file_name();
            let of_file: Vec<_> = positions
                .values()
                .filter(|position| position.source == own.source && Path::new(&position.path).file_name() == name)
                .collect();
            let read = of_file.iter().any(|position| position.offset >= file.bytes);
            if !read || of_file.iter().any(|position| needed.contains(&position.generation)) {
                continue;
            }
            // First it is known to be finished, then it goes: stopped in between, nobody misses it.
            for position in of_file {
                ledger.finish_file(position.generation, now())?;
            }
            if let Err(error) = own.spool.delete(&file) {
                tracing::warn!(file = %file.path.display(), %error, "a spool file that was read cannot be deleted; trying again");
            }
            let bytes = i64::try_from(own.spool.bytes()).unwrap_or(i64::MAX);
            metrics.spool_bytes.with_label_values(&[&own.source]).set(bytes);
        }
        Ok(())
    }
}
