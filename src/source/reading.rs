//! What was read in one go, before it has a number. Not for reading.

use std::collections::BTreeMap;

use crmwatch_detectors::{Event, Millis};

use super::turn::Turn;
use crate::ledger::Segment;

/// Records in one batch, at most about.
pub const BATCH_RECORDS: usize = 5_000;

/// What was read in one go, before it has a number.
#[derive(Default)]
pub struct Reading {
    /// The events, in the order read.
    pub events: Vec<Event>,
    /// The stretches they came from.
    pub segments: Vec<Segment>,
    /// The one reading time of all of them; it stands in for times that cannot be believed.
    pub read_at: Millis,
    /// Records read, and bytes, by source.
    pub counts: BTreeMap<usize, Counts>,
}

/// What one source gave.
#[derive(Debug, Default, Clone)]
pub struct Counts {
    /// Records.
    pub records: u64,
    /// Bytes.
    pub bytes: u64,
    /// Of these, zeros between records that were passed over.
    pub zeros: u64,
    /// Events, by format.
    pub events: BTreeMap<&'static str, u64>,
    /// Records no grammar accepted, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
}

impl Reading {
    /// Takes in what a turn gave of a stretch that ends at `to`.
    pub(super) fn record(&mut self, source: usize, segment: Segment, to: u64, turn: &Turn) {
        let counts = self.counts.entry(source).or_default();
        counts.records += turn.records;
        counts.bytes += turn.bytes;
        counts.zeros += turn.zeros;
        for reason in &turn.rejected {
            *counts.rejected.entry(reason).or_default() += 1;
        }
        let whole = !segment.partial;
        match self.segments.last_mut() {
            Some(last)
                if last.generation == segment.generation && last.to == segment.from && !last.partial && whole =>
            {
                last.to = to;
            }
            _ => self.segments.push(Segment { to, ..segment }),
        }
    }
}
