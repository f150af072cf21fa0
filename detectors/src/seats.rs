//! From where, with what and when each session of an account is used: what tells a stolen session from one that moves. Not for deciding
//! (session-hijack, concurrent-sessions).

use std::collections::VecDeque;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::baseline::stable_hash;
use crate::detector::Context;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::habits::{Kind, Surroundings, quick, surroundings};
use crate::keyed::Resident;
use crate::mark::Mark;
use crate::place::Network;

/// Sessions of one account, seats of one session, and moments of one seat that are remembered.
const SESSIONS: usize = 6;
const SEATS: usize = 4;
const MOMENTS: usize = 8;
/// Moments closer than this are one.
const GRAIN: Millis = 60_000;
/// A shorter id is a counter, not a session.
const LEAST_ID: usize = 8;

/// A place and a program from which a session was used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seat {
    quick: u32,
    at: Surroundings,
    /// The address it was first used from.
    pub address: Option<IpAddr>,
    /// The event it was first used in.
    pub reference: Mark,
    /// Whether the network was then a strange one: known to be, or in an account's first days perhaps.
    pub strange: Option<bool>,
    /// What kind of network.
    pub network: Network,
    /// Minutes at which it was used, in order.
    pub moments: VecDeque<Millis>,
}

impl Seat {
    fn differs(&self, other: &Seat, kind: Kind) -> bool {
        matches!((self.at[kind as usize], other.at[kind as usize]), (Some(one), Some(two)) if one != two)
    }

    /// Whether they lie in different networks: of different owners or, where those are unknown, in different countries.
    pub fn other_network(&self, other: &Seat) -> bool {
        self.differs(other, Kind::Prefix)
            && match (self.at[Kind::Owner as usize], other.at[Kind::Owner as usize]) {
                (Some(one), Some(two)) => one != two,
                _ => self.other_country(other),
            }
    }

    /// Whether they lie in different countries.
    pub fn other_country(&self, other: &Seat) -> bool {
        self.differs(other, Kind::Country)
    }

    /// Whether browser or system differ.
    pub fn other_agent(&self, other: &Seat) -> bool {
        self.differs(other, Kind::Agent)
    }

    /// How often use went from one to the other and back within `span` before the latest.
    pub fn turns(&self, other: &Seat, span: Millis) -> usize {
        let latest = self.moments.back().max(other.moments.back()).copied().unwrap_or(0);
        let since = |seat: &Seat, mine: bool| -> Vec<(Millis, bool)> {
            seat.moments.iter().filter(|time| **time + span >= latest).map(|time| (*time, mine)).collect()
        };
        let mut all = since(self, true);
        all.extend(since(other, false));
        all.sort_unstable();
        all.windows(2).filter(|pair| pair[0].1 != pair[1].1).count()
    }

    /// When it was first used.
    pub fn first(&self) -> Millis {
        self.moments.front().copied().unwrap_or(0)
    }

    /// When it was last used.
    pub fn last(&self) -> Millis {
        self.moments.back().copied().unwrap_or(0)
    }
}

/// One session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    id: u32,
    /// Where it was used, the first first.
    pub seats: Vec<Seat>,
}

impl Session {
    fn last(&self) -> Millis {
        self.seats.iter().map(Seat::last).max().unwrap_or(Millis::MIN)
    }
}

/// The sessions of one account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sessions {
    /// In the order they were first seen.
    pub sessions: Vec<Session>,
}

impl Resident for Sessions {}

fn id_of(event: &Event) -> Option<u32> {
    name_of(event).map(stable_hash)
}

fn name_of(event: &Event) -> Option<&str> {
    let id = event.text(Field::SessionId).or_else(|| event.text(Field::SessionKey))?;
    (id.len() >= LEAST_ID).then_some(id)
}

impl Sessions {
    /// Whether an event says nothing new: the same session from the same place within a minute.
    pub fn stays(&self, event: &Event) -> bool {
        let Some(id) = id_of(event) else { return true };
        let seat = self.sessions.iter().find(|session| session.id == id).and_then(|session| {
            let now = quick(event);
            session.seats.iter().find(|seat| seat.quick == now)
        });
        seat.is_some_and(|seat| seat.moments.iter().any(|moment| moment.abs_diff(event.time) < GRAIN as u64))
    }

    /// Whether an event names a session at all, used by a person.
    pub fn concerns(event: &Event) -> bool {
        name_of(event).is_some()
            && !crate::guest_enumeration::is_guest(event)
            && event.has(Field::SourceIp)
            && event.text(Field::EventOutcome) != Some("failure")
            && !event.is(Field::UserInferred)
            && event.person.as_ref().is_none_or(|person| !person.is_program())
            && !matches!(event.text(Field::UserAgentDevice), Some("script" | "crawler"))
    }

    /// Notes an event; the position of its session and its seat.
    pub fn note(&mut self, event: &Event, context: &Context) -> Option<(usize, usize)> {
        let (id, now) = (id_of(event)?, quick(event));
        let session = match self.sessions.iter().position(|session| session.id == id) {
            Some(index) => index,
            None => {
                if self.sessions.len() >= SESSIONS {
                    let oldest =
                        (0..SESSIONS).min_by_key(|index| (self.sessions[*index].last(), self.sessions[*index].id));
                    self.sessions.remove(oldest.unwrap_or(0));
                }
                self.sessions.push(Session { id, seats: Vec::new() });
                self.sessions.len() - 1
            }
        };
        let seats = &mut self.sessions[session].seats;
        let seat = match seats.iter().position(|seat| seat.quick == now) {
            Some(index) => index,
            None => {
                if seats.len() >= SEATS {
                    // The first stays: it is where the session was born.
                    let oldest = (1..SEATS).min_by_key(|index| (seats[*index].last(), seats[*index].quick));
                    seats.remove(oldest.unwrap_or(1));
                }
                let view = context.view(event);
                seats.push(Seat {
                    quick: now,
                    at: surroundings(event),
                    address: event.ip(Field::SourceIp),
                    reference: Mark::of(event),
                    strange: view.mature().then(|| view.strange_network()),
                    network: view.network(),
                    moments: VecDeque::new(),
                });
                seats.len() - 1
            }
        };
        let moments = &mut seats[seat].moments;
        let place = moments.partition_point(|moment| *moment < event.time);
        let near = |moment: Option<&Millis>| moment.is_some_and(|moment| moment.abs_diff(event.time) < GRAIN as u64);
        if !near(moments.get(place)) && !near(place.checked_sub(1).and_then(|before| moments.get(before))) {
            moments.insert(place, event.time);
            if moments.len() > MOMENTS {
                moments.remove(1);
            }
        }
        Some((session, seat))
    }
}
