//! What a window can show for itself: where its events lie and who they named; the first and the last fifty.
//! Not for counting; that is `window`.

use std::collections::VecDeque;
use std::net::IpAddr;

use ahash::AHashSet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::compact;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{EVIDENCE_KEPT, IDENTITIES_KEPT, Identities};
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

/// Adds what traces say about who it was.
pub fn identify<'t>(traces: impl Iterator<Item = &'t Trace>, entity: &mut Identities) {
    Named::by(traces).add_to(entity);
}

/// Whom traces name, each once and in the order of their times, as many as a finding keeps. Those of one attack mostly name the same one, or
/// the same few, over and over.
#[derive(Default)]
pub struct Named<'t> {
    /// The users.
    pub users: Vec<&'t str>,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
}

impl<'t> Named<'t> {
    /// Those of these traces.
    pub fn by(traces: impl Iterator<Item = &'t Trace>) -> Named<'t> {
        let mut named = Named::default();
        let (mut users, mut addresses) = (Met::default(), Met::default());
        for trace in traces {
            let room = [named.users.len() < IDENTITIES_KEPT, named.addresses.len() < IDENTITIES_KEPT];
            if room == [false; 2] {
                break;
            }
            named.users.extend(trace.user.as_deref().filter(|user| room[0] && users.is_new(*user)));
            named.addresses.extend(trace.address.filter(|address| room[1] && addresses.is_new(*address)));
        }
        named
    }

    /// Takes away what a finding that has all of these would not keep any more: what stands behind `leading` and is not among them.
    pub fn drop_beyond(&self, leading: &Identities, entity: &mut Identities) {
        entity.0.retain(|name, values| {
            let first = leading.0.get(name).map_or(0, Vec::len);
            let (full, among): (bool, &dyn Fn(&str) -> bool) = if name == Field::UserName.name() {
                (self.users.len() >= IDENTITIES_KEPT, &|value| self.users.contains(&value))
            } else if name == Field::SourceIp.name() {
                let among = |value: &str| value.parse().is_ok_and(|address| self.addresses.contains(&address));
                (self.addresses.len() >= IDENTITIES_KEPT, &{ among })
            } else {
                (false, &|_| true)
            };
            let own = values.split_off(first);
            values.extend(own.into_iter().filter(|value| !full || among(value)));
            !values.is_empty()
        });
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.addresses.is_empty()
    }

    /// Adds them, as far as there is room.
    pub fn add_to(&self, entity: &mut Identities) {
        entity.add_all(Field::UserName.name(), self.users.iter().copied());
        self.addresses.iter().for_each(|address| entity.add(Field::SourceIp.name(), &address.to_string()));
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
