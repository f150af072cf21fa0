//! One pass over existing files, nothing kept: for `scan`. Reading and parsing in one thread, enrichment and detection in another.

use std::collections::BTreeMap;

use ahash::AHashSet;
use crmwatch_detectors::{Engine, Event, EventId, Field, Finding, Millis};
use crossbeam_channel::bounded;

use super::absorb::Minds;
use crate::source::{Attributed, Merge, MergeError, Next, Tally};

/// What was in the files.
#[derive(Debug, Default)]
pub struct Report {
    /// Counts of the reading.
    pub tally: Tally,
    /// Events shown to the detectors.
    pub events: u64,
    /// Time of the first and last event.
    pub span: Option<(Millis, Millis)>,
    /// How many different users and addresses were seen (counted up to a limit).
    pub users: usize,
    /// See `users`.
    pub addresses: usize,
    /// Actions with their numbers.
    pub actions: BTreeMap<String, u64>,
    /// Every finding in its last form, by time, then id.
    pub findings: Vec<Finding>,
}

/// Different users and addresses are counted up to this many.
pub const COUNTED: usize = 1_000_000;
const CHUNK: usize = 1_000;

enum Message {
    Events(Vec<Event>),
    Again,
}

/// Makes the enrichment and detection of a pass; called again where a pass must begin again.
pub type Make<'m> = dyn Fn() -> Result<(crate::enrich::Enricher, Engine), String> + Sync + 'm;

/// Reads all files, each as its source says, and detects. `between` bounds the findings' time. `progress` is told the bytes read.
pub fn once(
    files: &[Attributed],
    make: &Make<'_>,
    between: (Millis, Millis),
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Report, String> {
    let (sender, receiver) = bounded::<Message>(8);
    // Events are dropped by the thread that made them: memory given back across threads costs more than what is done with it.
    let (spent_sender, spent) = bounded::<Vec<Event>>(16);
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || -> Result<Tally, MergeError> {
            let mut merge = Merge::new(files, super::now());
            let mut chunk = Vec::with_capacity(CHUNK);
            loop {
                match merge.next()? {
                    Next::Event(event) => {
                        chunk.push(event);
                        if chunk.len() == CHUNK {
                            progress(merge.tally.bytes);
                            let mut next = spent.try_recv().unwrap_or_else(|_| Vec::with_capacity(CHUNK));
                            next.clear();
                            if sender.send(Message::Events(std::mem::replace(&mut chunk, next))).is_err() {
                                return Ok(merge.tally);
                            }
                        }
                    }
                    Next::Again => {
                        chunk.clear();
                        if sender.send(Message::Again).is_err() {
                            return Ok(merge.tally);
                        }
                    }
                    Next::End => {
                        let _ = sender.send(Message::Events(chunk));
                        return Ok(merge.tally);
                    }
                }
            }
        });
        let mut pass = Pass::new(make)?;
        for message in receiver {
            match message {
                Message::Events(mut events) => {
                    pass.take(&mut events);
                    let _ = spent_sender.try_send(events);
                }
                Message::Again => pass = Pass::new(make)?,
            }
        }
        let mut report = pass.finish(between);
        report.tally = match reader.join() {
            Ok(tally) => tally.map_err(|error| error.to_string())?,
            Err(_) => return Err("reading ended by a fault of its own; this is a defect, please report it".to_owned()),
        };
        Ok(report)
    })
}

struct Pass {
    minds: Minds,
    report: Report,
    users: AHashSet<Box<str>>,
    addresses: AHashSet<std::net::IpAddr>,
    findings: BTreeMap<EventId, Finding>,
}

impl Pass {
    fn new(make: &Make<'_>) -> Result<Pass, String> {
        let (enricher, engine) = make()?;
        Ok(Pass {
            minds: Minds { enricher, engine },
            report: Report::default(),
            users: AHashSet::new(),
            addresses: AHashSet::new(),
            findings: BTreeMap::new(),
        })
    }

    fn take(&mut self, events: &mut [Event]) {
        let findings = self.minds.absorb(events);
        self.findings.extend(findings.into_iter().map(|(finding, _)| (finding.id, finding)));
        for event in events {
            self.report.events += 1;
            if !event.is(Field::TimeSuspect) {
                let (first, last) = self.report.span.unwrap_or((event.time, event.time));
                self.report.span = Some((first.min(event.time), last.max(event.time)));
            }
            if let Some(action) = event.text(Field::EventAction) {
                if let Some(count) = self.report.actions.get_mut(action) {
                    *count += 1;
                } else if self.report.actions.len() < 1000 {
                    self.report.actions.insert(action.to_owned(), 1);
                }
            }
            if let Some(user) = event.text(Field::Person).or(event.text(Field::UserName))
                && self.users.len() < COUNTED
                && !self.users.contains(user)
            {
                self.users.insert(user.into());
            }
            if let Some(ip) = event.ip(Field::SourceIp)
                && self.addresses.len() < COUNTED
            {
                self.addresses.insert(ip);
            }
        }
    }

    fn finish(mut self, (from, to): (Millis, Millis)) -> Report {
        self.report.users = self.users.len();
        self.report.addresses = self.addresses.len();
        self.report.findings =
            self.findings.into_values().filter(|finding| finding.time >= from && finding.time < to).collect();
        self.report.findings.sort_by_key(|finding| (finding.time, finding.id));
        self.report
    }
}
