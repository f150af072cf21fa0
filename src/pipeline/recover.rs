//! What happens before the first new line is read: ledger and index are brought together. The batches behind either of them are read
//! again in the journal's order; each consumer skips those it has. Not for reading new lines.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use crmwatch_detectors::Event;

use super::absorb::Minds;
use super::carried;
use super::index::payload;
use super::now;
use super::rulebook::Inforce;
use super::session::Lasting;
use crate::enrich::{EnrichError, Enricher};
use crate::ledger::{Batch, Ledger, LedgerError, Segment};
use crate::source::{Followed, Position, locate, reread};
use crate::store::{Store, StoreError, Writer};

/// Why ledger and index cannot be brought together.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// They are not of one store.
    #[error(
        "the index in {folder}/events is of store {index}, {folder}/ledger.sqlite of store {ledger}: one of them was replaced, emptied or \
         restored from elsewhere; `crmwatch recover` shows what each has and resumes from the one you choose"
    )]
    Strangers {
        /// The state directory.
        folder: String,
        /// The index's id.
        index: String,
        /// The ledger's.
        ledger: String,
    },
    /// One is older than the journal reaches.
    #[error(
        "{}: one of them was restored from a backup of another time, or a partition was moved away. Nothing is changed; `crmwatch recover` shows \
         what lies between, and goes on from the one you choose", older(*.index, *.detectors, *.first, *.last)
    )]
    Gap {
        /// The index's last batch.
        index: u64,
        /// The saved state's batch.
        detectors: u64,
        /// The journal's first batch.
        first: u64,
        /// The journal's last batch.
        last: u64,
    },
    /// Lines that are in the journal must be read again, and cannot be at the moment: that they are gone is not known.
    #[error(
        "{path} must be read again and cannot be: {error}; trying again. If these lines are lost for good, move the file away to go on without them"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The daemon was told to stop meanwhile; the next start does it.
    #[error("told to stop while reading again what was not durable")]
    Stopped,
    /// What places and people are known from.
    #[error(transparent)]
    Enrich(#[from] EnrichError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The index.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who is older, in words.
fn older(index: u64, detectors: u64, first: u64, last: u64) -> String {
    if index > last {
        format!("the ledger is older than the index: it ends at batch {last}, the index at batch {index}")
    } else if detectors > last {
        format!(
            "the ledger does not fit to itself: its journal ends at batch {last}, what detectors remember is of batch {detectors}"
        )
    } else {
        format!(
            "the index is older than the ledger: it ends at batch {index}, the ledger at batch {last}, and the journal begins only at batch {first}"
        )
    }
}

impl RecoverError {
    /// Whether only a person can mend it.
    pub(super) fn needs_a_person(&self) -> bool {
        match self {
            RecoverError::Strangers { .. } | RecoverError::Gap { .. } => true,
            RecoverError::Unreadable { .. } | RecoverError::Stopped | RecoverError::Enrich(_) => false,
            RecoverError::Ledger(error) => error.needs_a_person(),
            RecoverError::Store(error) => error.needs_a_person(),
        }
    }
}

/// Checks that index and ledger are of one store, or makes them so where both are new.
pub(super) fn same_store(ledger: &mut Ledger, store: &Store) -> Result<String, RecoverError> {
    let index = store.store_id();
    let folder = ledger.folder().display().to_string();
    match ledger.meta("store_id")? {
        Some(known) if known == index => {}
        Some(known) => return Err(RecoverError::Strangers { folder, index, ledger: known }),
        None if store.payload().is_none() => ledger.set_meta("store_id", &index)?,
        None => return Err(RecoverError::Strangers { folder, index, ledger: "none (it is empty)".to_owned() }),
    }
    Ok(index)
}

/// What is read again is made durable each time it took so long: a daemon that is killed again and again still gets on.
const STEP: Duration = Duration::from_secs(2);

/// What was read again.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recovered {
    pub(super) batches: u64,
    pub(super) events: u64,
    pub(super) lost_bytes: u64,
}

/// Brings index and detectors to the journal's end.
pub(super) fn recover(
    ledger: &mut Ledger,
    writer: &mut Writer,
    minds: &mut Minds,
    rules: &mut Inforce,
    store_id: &str,
    lasting: &Lasting<'_>,
) -> Result<Recovered, RecoverError> {
    let Lasting { store, followed, metrics, .. } = *lasting;
    let last = ledger.last_batch()?;
    let index = store.payload().map_or(0, |payload| payload.batch);
    let detectors = ledger.state_batch()?;
    let behind = index.min(detectors);
    let batches = ledger.batches_after(behind)?;
    let first = batches.first().map_or(last + 1, |batch| batch.number);
    if index > last || detectors > last || first > behind + 1 {
        return Err(RecoverError::Gap { index, detectors, first, last });
    }
    for (owner, pieces) in minds.restore(ledger)? {
        metrics.memory_lost_total.with_label_values(&[&owner]).inc_by(pieces);
        tracing::error!(
            owner,
            pieces,
            ledger = %ledger.folder().join(crate::ledger::FILE).display(),
            "what it remembered cannot be read and is learned again; until then it finds less. After a damage restore the state directory \
             from a backup"
        );
    }
    let positions = ledger.positions()?;
    // As of the batch that was read again last.
    let mut reached = index_positions(store)?;
    let mut step = Instant::now();
    let mut recovered = Recovered::default();
    // What detectors and enrichment remember is of a later time than the batches they have already: those are enriched by one that begins
    // with the first of them. To the other every delivery would be a repeated one.
    let mut younger: Option<Enricher> = None;
    for batch in &batches {
        if !lasting.progress.replaying(recovered.batches + 1, batches.len() as u64, lasting.health, lasting.stop) {
            return Err(RecoverError::Stopped);
        }
        let mut events = Vec::new();
        for segment in &batch.segments {
            let lost = again(segment, batch, &positions, followed, &mut events, reached.as_mut())?;
            if lost > 0 {
                recovered.lost_bytes += lost;
                let source = positions.get(&segment.generation).map_or("unknown", |position| position.source.as_str());
                metrics.source(source).lost_bytes("gone_before_recovery").inc_by(lost);
            }
        }
        if batch.number > detectors {
            rules.before(batch.number, &mut minds.engine);
            let findings = minds.absorb_batch(batch, &mut events);
            ledger.record_findings(batch, &findings)?;
        } else {
            // The detectors have it already; the index was restored from an older copy.
            let enricher = match &mut younger {
                Some(enricher) => enricher,
                None => younger.insert(Enricher::new(lasting.enrich)?),
            };
            for event in &mut events {
                enricher.enrich(event);
            }
        }
        if batch.number > index {
            for event in &events {
                writer.add(event)?;
            }
        }
        recovered.batches += 1;
        recovered.events += events.len() as u64;
        metrics.recovered_batches_total.inc();
        if let Some(reached) = &reached
            && step.elapsed() >= STEP
            && batch.number < last
        {
            // The index first: saved state must not be later than what the index has.
            if batch.number > index {
                writer.commit(&payload(store_id, batch.number, reached), now())?;
            }
            if batch.number > detectors {
                ledger.save_state(batch.number, &minds.changes())?;
            }
            ledger.forget_batches(batch.number)?;
            step = Instant::now();
        }
    }
    if last > index {
        writer.commit(&payload(store_id, last, &positions), now())?;
    }
    if !batches.is_empty() {
        ledger.save_state(last, &minds.changes())?;
        ledger.forget_batches(last)?;
    }
    Ok(recovered)
}

/// How far the logs had been read when the index was committed last. Nothing where the list beside the index cannot be read: then the
/// ledger's is written at the end of recovery, and no steps are made before.
fn index_positions(store: &Store) -> Result<Option<BTreeMap<u64, Position>>, RecoverError> {
    let Some(payload) = store.payload() else { return Ok(Some(BTreeMap::new())) };
    let mut asked = false;
    let read = carried::read(&payload.positions, |name| {
        asked = true;
        store.beside(name)
    });
    match read {
        Ok(positions) => Ok(Some(positions)),
        Err(error) if asked => {
            tracing::error!(%error, "the list of positions beside the index cannot be read; it is written anew from the ledger's");
            Ok(None)
        }
        Err(error) => Err(store.damaged(format!("its positions cannot be read: {error}")).into()),
    }
}

/// Reads one stretch again; gives the number of bytes that are gone.
fn again(
    segment: &Segment,
    batch: &Batch,
    positions: &BTreeMap<u64, Position>,
    followed: &[Followed],
    events: &mut Vec<Event>,
    reached: Option<&mut BTreeMap<u64, Position>>,
) -> Result<u64, RecoverError> {
    let whole = segment.to.saturating_sub(segment.from);
    let Some(position) = positions.get(&segment.generation) else { return Ok(whole) };
    let Some(source) = followed.iter().find(|one| one.source.name == position.source) else {
        tracing::error!(
            source = position.source,
            path = position.path,
            bytes = whole,
            "lines read before the stop are of a source that is not configured any more; they are left out"
        );
        return Ok(whole);
    };
    let unreadable = |error| RecoverError::Unreadable { path: position.path.clone(), error };
    let Some(input) = locate(position).map_err(unreadable)? else {
        tracing::error!(
            path = position.path,
            bytes = whole,
            "lines read before the stop are gone and cannot be read again"
        );
        return Ok(whole);
    };
    match reread(input, segment, position.clone(), source.source.clone(), source.tables.clone(), batch.read_at, events)
    {
        Ok((lost, reread)) => {
            let finished_at = position.finished_at.filter(|_| reread.offset >= position.offset);
            if let Some(reached) = reached {
                reached.insert(segment.generation, Position { finished_at, ..reread });
            }
            Ok(lost)
        }
        // The disk's word, or the kernel's: it may be another one in a moment.
        Err(error) if error.raw_os_error().is_some() => Err(unreadable(error)),
        Err(error) => {
            tracing::error!(path = position.path, %error, "lines read before the stop cannot be read again");
            Ok(whole)
        }
    }
}
