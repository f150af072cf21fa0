//! Stored events shown to detectors once more, for `replay`: what would have been found, by one set of settings and rules or by two next
//! to each other. Nothing is kept and nobody is told. Not for reading the store (the caller hands the events in).

use std::collections::BTreeMap;

use crmwatch_detectors::{Engine, Event, EventId, Field, Finding, Millis};

use crate::enrich::Enricher;

/// A backtest at work.
pub struct Backtest {
    enricher: Enricher,
    sides: Vec<Side>,
    from: Millis,
    events: u64,
    learned: u64,
    span: Option<(Millis, Millis)>,
}

struct Side {
    engine: Engine,
    findings: BTreeMap<EventId, Finding>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Events from the beginning on.
    pub events: u64,
    /// Events before it, which only taught.
    pub learned: u64,
    /// First and last event from the beginning on.
    pub span: Option<(Millis, Millis)>,
    /// The findings of each engine in their last form, by time, then id.
    pub findings: Vec<Vec<Finding>>,
}

/// Findings are taken over after so many events: one that goes on is the same finding.
const TURN: u64 = 1_000;

impl Backtest {
    /// Over some engines; events before `from` only teach them.
    pub fn new(enricher: Enricher, engines: Vec<Engine>, from: Millis) -> Backtest {
        let sides = engines.into_iter().map(|engine| Side { engine, findings: BTreeMap::new() }).collect();
        Backtest { enricher, sides, from, events: 0, learned: 0, span: None }
    }

    /// Shows one stored event; they must come in canonical order.
    pub fn take(&mut self, mut event: Event) {
        if event.time >= self.from {
            self.events += 1;
            let (first, last) = self.span.unwrap_or((event.time, event.time));
            self.span = Some((first.min(event.time), last.max(event.time)));
        } else {
            self.learned += 1;
        }
        self.enricher.recall(&mut event);
        if !event.has(Field::QuarantineReason) && !event.has(Field::ContinuationOf) {
            for side in &mut self.sides {
                side.engine.observe(&event);
            }
        }
        if (self.events + self.learned).is_multiple_of(TURN) {
            self.sides.iter_mut().for_each(Side::gather);
        }
    }

    /// The end.
    pub fn finish(mut self) -> Outcome {
        self.sides.iter_mut().for_each(Side::gather);
        let of = |side: Side| {
            let mut found: Vec<Finding> = side.findings.into_values().filter(|one| one.time >= self.from).collect();
            found.sort_by_key(|finding| (finding.time, finding.id));
            found
        };
        Outcome {
            events: self.events,
            learned: self.learned,
            span: self.span,
            findings: self.sides.into_iter().map(of).collect(),
        }
    }
}

impl Side {
    fn gather(&mut self) {
        self.findings.extend(self.engine.drain().into_iter().map(|finding| (finding.id, finding)));
    }
}
