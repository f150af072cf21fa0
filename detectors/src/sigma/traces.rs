//! What a window can show for itself: where its events lie and who they named; the first and the last fifty.
//! Not for counting; that is `window`.

use std::collections::VecDeque;
use std::net::IpAddr;

use ahash::AHashSet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::compact;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{EVIDENCE_KEPT, Identities};
use crate::mark::Mark;

const ROOM: usize = 2 * EVIDENCE_KEPT;

/// One event of a window.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trace {
    /// When.
    pub time: Millis,
    /// Where it lies.
    pub reference: Mark,
    /// Whom it named.
    pub user: Option<Box<str>>,
    /// From where.
    pub address: Option<IpAddr>,
}

impl Trace {
    /// The trace of an event.
    pub fn of(event: &Event) -> Trace {
        Trace {
            time: event.time,
            reference: Mark::of(event),
            user: event.text(Field::UserName).map(Into::into),
            address: event.ip(Field::SourceIp),
        }
    }
}

/// Traces in the order of time.
#[derive(Debug, Clone, Default)]
pub struct Traces(VecDeque<Trace>);

impl Serialize for Traces {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        compact::in_order(&self.0, |trace| (trace.time, (trace.reference, &trace.user, trace.address)), out)
    }
}

impl<'de> Deserialize<'de> for Traces {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Traces, D::Error> {
        type Saved = (Mark, Option<Box<str>>, Option<IpAddr>);
        let whole = |time, (reference, user, address): Saved| Trace { time, reference, user, address };
        compact::from_order(input, whole).map(Traces)
    }
}

impl Traces {
    /// Puts one in its place. Without room, what lies beyond the window goes first, then the middle.
    pub fn add(&mut self, trace: Trace, span: Millis) {
        let time = trace.time;
        let place = self.0.partition_point(|other| other.time <= time);
        if self
            .0
            .range(..place)
            .rev()
            .take_while(|other| other.time == time)
            .any(|other| other.reference.id == trace.reference.id)
        {
            return;
        }
        self.0.insert(place, trace);
        if self.0.len() <= ROOM {
            return;
        }
        let beyond = |other: Option<&Trace>| other.is_some_and(|other| time.abs_diff(other.time) > span.unsigned_abs());
        if beyond(self.0.front()) {
            self.0.pop_front();
        } else if beyond(self.0.back()) {
            self.0.pop_back();
        } else {
            self.0.remove(EVIDENCE_KEPT);
        }
    }

    /// Those from `from` to `to`.
    pub fn between(&self, from: Millis, to: Millis) -> impl Iterator<Item = &Trace> + Clone {
        self.0.iter().filter(move |trace| trace.time >= from && trace.time <= to)
    }
}

/// Adds what traces say about who it was. Those of one attack mostly name the same one, or the same few, over and over.
pub fn identify<'t>(traces: impl Iterator<Item = &'t Trace>, entity: &mut Identities) {
    let (users, addresses) = (Field::UserName.name(), Field::SourceIp.name());
    let (mut named, mut used) = (Met::default(), Met::default());
    let mut full = (entity.is_full(users), entity.is_full(addresses));
    for trace in traces {
        if let Some(user) = trace.user.as_deref().filter(|user| !full.0 && named.is_new(*user)) {
            entity.add(users, user);
            full.0 = entity.is_full(users);
        }
        if let Some(address) = trace.address.filter(|address| !full.1 && used.is_new(*address)) {
            entity.add(addresses, &address.to_string());
            full.1 = entity.is_full(addresses);
        }
    }
}

/// Those met so far, the last one known without asking.
struct Met<T> {
    last: Option<T>,
    all: AHashSet<T>,
}

impl<T> Default for Met<T> {
    fn default() -> Met<T> {
        Met { last: None, all: AHashSet::new() }
    }
}

impl<T: Copy + Eq + std::hash::Hash> Met<T> {
    fn is_new(&mut self, one: T) -> bool {
        self.last.replace(one) != Some(one) && self.all.insert(one)
    }
}
