//! The middle stage: enriches, detects, and makes each batch durable in the ledger before it goes to the index. Not for reading or indexing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crmwatch_detectors::detector::RestoreError;
use crmwatch_detectors::memory::{self, Shelf, Taking};
use crmwatch_detectors::{Engine, Event, Field, Finding, Millis, StateChange};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::ending::Progress;
use super::rulebook::{Inforce, Rulebook};
use super::snapshot::{self, Snapshot};
use super::spools::Spools;
use super::{ReadBatch, Recorded};
use crate::enrich::Enricher;
use crate::ledger::{Batch, Ledger, LedgerError};
use crate::metrics::Metrics;

/// How long it is waited for a batch.
const NOTHING_COMES: Duration = Duration::from_millis(500);

/// Enrichment and detection, with the state they share the fate of.
pub(crate) struct Minds {
    pub(crate) enricher: Enricher,
    pub(crate) engine: Engine,
}

impl Minds {
    /// The same of a batch as the journal has it: one without stretches of files says that at its time there was nothing more to read.
    pub(crate) fn absorb_batch(&mut self, batch: &Batch, events: &mut [Event]) -> Vec<(Finding, Millis)> {
        if batch.segments.is_empty() {
            self.engine.tick(batch.read_at);
        }
        self.absorb(events)
    }

    /// Enriches the events and shows them to the detectors; gives the findings they opened or extended.
    pub(crate) fn absorb(&mut self, events: &mut [Event]) -> Vec<(Finding, Millis)> {
        for event in events {
            self.enricher.enrich(event);
            if !event.has(Field::QuarantineReason) && !event.has(Field::ContinuationOf) {
                self.engine.observe(event);
            }
        }
        self.engine
            .drain()
            .into_iter()
            .map(|finding| (lateness(&finding), finding))
            .map(|(late, one)| (one, late))
            .collect()
    }

    /// Everything remembered.
    fn memory(&mut self) -> Vec<Shelf<'_>> {
        let mut shelves = self.enricher.memory();
        shelves.extend(self.engine.memory());
        shelves
    }

    /// What changed of it since the last call, all at once.
    pub(crate) fn changes(&mut self) -> Vec<StateChange> {
        memory::all(self.memory())
    }

    /// Marks what has changed, to be taken piece by piece.
    pub(super) fn mark(&mut self) -> Taking {
        Taking::begin(self.memory())
    }

    /// The next pieces of what was marked.
    pub(super) fn pieces(&mut self, taking: &mut Taking, room: usize) -> Vec<StateChange> {
        taking.next(self.memory(), room)
    }

    /// Tells how much is remembered.
    pub(super) fn count(&mut self, metrics: &Metrics) {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        self.memory().iter().for_each(|shelf| *counts.entry(shelf.owner()).or_default() += shelf.len());
        for (owner, entries) in counts {
            let entries = i64::try_from(entries).unwrap_or(i64::MAX);
            metrics.detector_state_entries.with_label_values(&[owner]).set(entries);
        }
    }

    /// Takes back everything the ledger remembers; gives how many pieces of whom cannot be read.
    pub(crate) fn restore(&mut self, ledger: &Ledger) -> Result<BTreeMap<String, u64>, LedgerError> {
        let mut lost: BTreeMap<String, u64> = BTreeMap::new();
        ledger.each_state(|owner, key, value| {
            if let Err(error) = self.take_back(owner, key, value) {
                tracing::debug!(%error, "a piece of memory cannot be read");
                *lost.entry(owner.to_owned()).or_default() += 1;
            }
        })?;
        Ok(lost)
    }

    /// Takes back one piece, whosever it is.
    pub(crate) fn take_back(&mut self, owner: &str, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        match self.enricher.restore(owner, key, value)? {
            true => Ok(()),
            false => self.engine.restore(owner, key, value),
        }
    }
}

/// The lateness of the source whose event decided.
fn lateness(finding: &Finding) -> Millis {
    finding.evidence.iter().map(|reference| reference.origin.lateness).max().unwrap_or(0)
}

/// What the stage needs of its surroundings.
pub(super) struct Surroundings<'s> {
    pub(super) metrics: &'s Metrics,
    /// The last batch the index has committed.
    pub(super) committed: &'s AtomicU64,
    /// The index has ended.
    pub(super) index_ended: &'s AtomicBool,
    /// Wakes the alert stage.
    pub(super) alert: &'s Sender<()>,
    /// What was read of them may be deleted once it is behind index and detectors.
    pub(super) spools: &'s Spools,
    /// Told what is durable.
    pub(super) progress: &'s Progress,
    /// The rules that are wanted.
    pub(super) rulebook: &'s Rulebook,
}

/// Runs until no more batches come, then saves everything.
pub(super) fn absorb(
    mut minds: Minds,
    mut ledger: Ledger,
    mut rules: Inforce,
    batches: Receiver<ReadBatch>,
    recorded: Sender<Recorded>,
    around: &Surroundings<'_>,
) -> Result<(), LedgerError> {
    let batch_queue = around.metrics.queue("batches", super::QUEUE);
    let recorded_queue = around.metrics.queue("recorded", super::QUEUE);
    let mut last = ledger.last_batch()?;
    let mut turn = around.rulebook.turn();
    rules.renew(last, around.rulebook, &mut ledger, &mut minds.engine)?;
    let mut snapshot = Snapshot::resume(&mut ledger)?;
    loop {
        if turn != around.rulebook.turn() {
            turn = around.rulebook.turn();
            rules.renew(last, around.rulebook, &mut ledger, &mut minds.engine)?;
        }
        Inforce::hear(last, &mut ledger, &mut minds.engine)?;
        match batches.recv_timeout(if snapshot.is_busy() { Duration::ZERO } else { NOTHING_COMES }) {
            Ok(read) => {
                batch_queue.set(batches.len() as i64);
                last = read.batch.number;
                let done = record(read, &mut minds, &mut ledger, around)?;
                if recorded.send(done).is_err() {
                    return Ok(());
                }
                recorded_queue.set(recorded.len() as i64);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        snapshot.step(last, &mut minds, &mut ledger, around, (snapshot::EVERY, snapshot::PATIENCE))?;
    }
    // Nothing more comes: the index commits what it has, then the last state is saved as of the same batch.
    drop(recorded);
    while around.committed.load(Ordering::Acquire) < last && !around.index_ended.load(Ordering::Acquire) {
        std::thread::sleep(Duration::from_millis(5));
    }
    snapshot.step(last, &mut minds, &mut ledger, around, (Duration::ZERO, Duration::MAX))
}

fn record(
    read: ReadBatch,
    minds: &mut Minds,
    ledger: &mut Ledger,
    around: &Surroundings<'_>,
) -> Result<Recorded, LedgerError> {
    let ReadBatch { batch, mut events, positions, forgotten } = read;
    let findings = minds.absorb_batch(&batch, &mut events);
    let timer = around.metrics.journal_seconds.start_timer();
    ledger.record_batch(&batch, &positions, &forgotten, &findings)?;
    timer.observe_duration();
    around.metrics.batches_total.inc();
    for one in minds.engine.suppressed() {
        around.metrics.suppressed(&one.rule, one.knowledge.word());
    }
    around.progress.recorded(batch.number, events.len());
    if !findings.is_empty() {
        let _ = around.alert.try_send(());
    }
    Ok(Recorded { number: batch.number, events, positions, forgotten })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::Settings;
    use crate::ledger::{Batch, Segment};

    const HOUR: Millis = 3_600_000;
    const START: Millis = 1_772_000_000_000 / HOUR * HOUR;

    fn minds() -> Minds {
        let enricher = Enricher::new(&Settings::default()).expect("the defaults fit");
        Minds { enricher, engine: Engine::new(&BTreeMap::new()).expect("the defaults fit") }
    }

    fn batch(number: u64, read_at: Millis, segments: Vec<Segment>) -> Batch {
        Batch { number, read_at, segments }
    }

    /// A view each half hour for three weeks.
    fn work() -> Vec<Event> {
        let origin = crmwatch_detectors::Origin { source: "app".into(), ..crmwatch_detectors::Origin::default() };
        let origin = std::sync::Arc::new(origin);
        (0..21 * 48)
            .map(|half| {
                let mut event = Event::new("");
                event.time = START + half * HOUR / 2;
                event.origin = std::sync::Arc::clone(&origin);
                event.set(Field::EventAction, "view");
                event.set(Field::UserName, "ann");
                event
            })
            .collect()
    }

    #[test]
    fn a_silence_found_by_a_batch_of_nothing_is_found_again_from_the_journal() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut ledger = Ledger::open(folder.path()).expect("opened");
        let segment = Segment { generation: 1, from: 0, to: 9, line: 1, state: String::new(), partial: false };
        let (end, mut events) = (START + 21 * 24 * HOUR, work());
        let full = batch(1, end, vec![segment]);
        let mut first = minds();
        let none = first.absorb_batch(&full, &mut events);
        assert!(none.iter().all(|(finding, _)| &*finding.rule != "source-silent"));
        ledger.record_batch(&full, &[], &[], &none).expect("recorded");
        ledger.save_state(1, &first.changes()).expect("saved");
        // Nothing more comes; the reader says so, and the daemon dies before it saves what the detectors remember.
        let mut found = Vec::new();
        for hour in 0..5 {
            let tick = batch(2 + hour, end + Millis::try_from(hour).expect("small") * HOUR, Vec::new());
            let findings = first.absorb_batch(&tick, &mut []);
            ledger.record_batch(&tick, &[], &[], &findings).expect("recorded");
            found.extend(findings);
        }
        drop(first);
        let silent: Vec<_> = found.iter().filter(|(finding, _)| &*finding.rule == "source-silent").collect();
        assert!(!silent.is_empty(), "{found:?}");
        let mut second = minds();
        assert!(second.restore(&ledger).expect("readable").is_empty());
        let mut again = Vec::new();
        for batch in ledger.batches_after(1).expect("read") {
            again.extend(second.absorb_batch(&batch, &mut []));
        }
        assert_eq!(again, found);
    }
}
