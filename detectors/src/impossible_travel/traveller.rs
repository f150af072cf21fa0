//! What is remembered of one user's whereabouts: a few places with their visits, and what has been seen of him for how long.
//! Not for judging a pair of places (`score`).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::baseline::{Firsts, stable_hash};
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::keyed::Resident;
use crate::mark::Mark;
use crate::place::{Country, Network, Place, haversine_km, prefix};

/// Places remembered per user.
const ANCHORS: usize = 8;
/// Visits remembered per place.
const VISITS: usize = 6;
/// Networks remembered per place.
const PREFIXES: usize = 6;
/// Seconds without activity that end a visit.
const VISIT_GAP: u32 = 600;
/// Within this distance, in one country and network, two points are one place.
const SAME_PLACE_KM: f64 = 50.0;
const FACTS: usize = 12;
const FAILURES: usize = 10;
pub(super) const DAY: u32 = 86_400;

/// Seconds since 1970, as far as they fit.
pub(super) fn seconds(time: Millis) -> u32 {
    u32::try_from((time / 1_000).max(0)).unwrap_or(u32::MAX)
}

/// Unbroken activity at one place.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Visit {
    pub from: u32,
    pub to: u32,
}

impl Visit {
    pub(super) fn gap(&self, time: u32) -> u32 {
        self.from.saturating_sub(time).max(time.saturating_sub(self.to))
    }
}

/// What the client showed, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Client {
    /// The whole agent string; 0 where there is none.
    pub agent: u32,
    /// Its family and system.
    pub family: u32,
    pub session: u32,
    pub device: u32,
    /// A telephone's browser or app.
    pub mobile: bool,
}

impl Client {
    pub(super) fn of(event: &Event) -> Client {
        let hash = |field| event.text(field).filter(|text| !text.is_empty()).map_or(0, stable_hash);
        let agent = hash(Field::UserAgent);
        let named = hash(Field::UserAgentName).wrapping_mul(31).wrapping_add(hash(Field::UserAgentOs));
        Client {
            agent,
            family: if named == 0 { agent } else { named },
            session: hash(Field::SessionId),
            device: hash(Field::DeviceId),
            mobile: event.text(Field::UserAgentDevice) == Some("mobile"),
        }
    }
}

/// A place where the user was active.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Anchor {
    pub id: u16,
    pub lat: f32,
    pub lon: f32,
    pub radius: f32,
    pub country: Country,
    pub city: Box<str>,
    pub asn: u32,
    pub network: Network,
    prefixes: Vec<u64>,
    /// In order of time, never empty.
    pub visits: Vec<Visit>,
    pub first: u32,
    /// Distinct days.
    pub days: u16,
    pub last_day: u16,
    pub client: Client,
    pub ip: IpAddr,
    pub suspect_until: u32,
    latest: Mark,
}

impl Anchor {
    /// The visit nearest in time.
    pub(super) fn nearest(&self, time: u32) -> Visit {
        let nearest = self.visits.iter().min_by_key(|visit| visit.gap(time));
        *nearest.expect("an anchor begins with a visit")
    }

    pub(super) fn last(&self) -> u32 {
        self.visits.last().map_or(self.first, |visit| visit.to)
    }

    pub(super) fn reference(&self) -> Mark {
        self.latest
    }

    pub(super) fn point(&self) -> (f64, f64) {
        (f64::from(self.lat), f64::from(self.lon))
    }

    fn keep(&mut self, event: &Event) {
        self.latest = Mark::of(event);
    }

    /// Puts a sighting in its place; whether a visit began with it.
    fn visit(&mut self, time: u32) -> bool {
        if let Some(last) = self.visits.last_mut()
            && time >= last.from
            && time <= last.to.saturating_add(VISIT_GAP)
        {
            last.to = last.to.max(time);
            return false;
        }
        let position = self.visits.partition_point(|visit| visit.from <= time);
        self.visits.insert(position, Visit { from: time, to: time });
        let mut merged: Vec<Visit> = Vec::with_capacity(self.visits.len());
        for visit in self.visits.drain(..) {
            match merged.last_mut().filter(|last| visit.from <= last.to.saturating_add(VISIT_GAP)) {
                Some(last) => last.to = last.to.max(visit.to),
                None => merged.push(visit),
            }
        }
        let surplus = merged.len().saturating_sub(VISITS);
        merged.drain(..surplus);
        self.visits = merged;
        true
    }
}

/// A pair of places already alerted on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Alerted {
    pub pair: (u16, u16),
    pub time: u32,
    pub high: bool,
    pub returned: bool,
    /// How often it was told.
    pub times: u8,
}

/// Told so often, a pair is known: whoever has not acted on it by then is not helped by another time.
pub(super) const KNOWN_AFTER: u8 = 2;

/// Everything remembered of one user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Traveller {
    pub anchors: Vec<Anchor>,
    next: u16,
    pub countries: Firsts<Country>,
    pub asns: Firsts<u32>,
    pub agents: Firsts<u32>,
    failures: Vec<u32>,
    pub alerted: Vec<Alerted>,
    /// Has done something that a program would not.
    pub human: bool,
    /// Has done what programs do.
    pub program: bool,
    /// Addresses from which others found something, and when.
    explained: Vec<(IpAddr, u32)>,
}

/// Seconds for which what was found at an address tells why its owner was there and here.
const EXPLAINED: u32 = 86_400;
const EXPLAINED_KEPT: usize = 4;

impl Resident for Traveller {
    fn rank(&self) -> u8 {
        u8::from(!self.anchors.is_empty())
    }
}

/// Where a sighting was put.
pub(super) struct Sighting {
    /// Index of the anchor.
    pub anchor: usize,
    /// The anchor, or a day at it, is new.
    pub new_day: bool,
}

impl Traveller {
    /// Notes a failed login: evidence, not whereabouts.
    pub(super) fn failed(&mut self, time: u32) {
        let position = self.failures.partition_point(|known| *known <= time);
        self.failures.insert(position, time);
        if self.failures.len() > FAILURES {
            self.failures.remove(0);
        }
    }

    /// Notes that others have found something that came from an address.
    pub(super) fn explain(&mut self, ip: IpAddr, time: u32) {
        self.explained.retain(|(known, _)| *known != ip);
        if self.explained.len() >= EXPLAINED_KEPT {
            self.explained.remove(0);
        }
        self.explained.push((ip, time));
    }

    /// Whether they have, within a day before.
    pub(super) fn explained(&self, ip: IpAddr, time: u32) -> bool {
        self.explained.iter().any(|(known, at)| *known == ip && at.abs_diff(time) <= EXPLAINED)
    }

    /// Failed logins in the hour before.
    pub(super) fn failures_before(&self, time: u32) -> usize {
        self.failures.iter().filter(|failed| **failed <= time && time - **failed <= 3_600).count()
    }

    /// Ways that raised an alert are this user's own after all, or were an attacker's.
    pub(super) fn settle(&mut self, from: u32, to: u32, harmless: bool) {
        let judged = |past: &Alerted| (from..=to).contains(&past.time);
        let pairs: Vec<(u16, u16)> = self.alerted.iter().filter(|past| judged(past)).map(|past| past.pair).collect();
        // The alert made one place of each pair suspect.
        let suspect = |anchor: &Anchor| {
            anchor.suspect_until > 0 && pairs.iter().any(|pair| pair.0 == anchor.id || pair.1 == anchor.id)
        };
        if harmless {
            self.anchors.iter_mut().filter(|anchor| suspect(anchor)).for_each(|anchor| anchor.suspect_until = 0);
            self.alerted
                .iter_mut()
                .filter(|past| judged(past))
                .for_each(|past| past.times = past.times.max(KNOWN_AFTER));
        } else {
            self.anchors.retain(|anchor| !suspect(anchor));
            self.alerted.retain(|past| !judged(past));
        }
    }

    /// Puts an event at its place, new or known.
    pub(super) fn sight(&mut self, event: &Event, ip: IpAddr, time: u32) -> Option<Sighting> {
        let network_prefix = prefix(ip);
        // By network first: what the database says of an address may change between two events, where the person sits does not.
        let known = self.anchors.iter().position(|anchor| anchor.prefixes.contains(&network_prefix));
        let index = match known {
            Some(index) => index,
            None => self.locate(event, &Place::of(event)?, network_prefix, ip, time),
        };
        let anchor = &mut self.anchors[index];
        let began = anchor.visits.is_empty() | anchor.visit(time);
        let day = (time / DAY) as u16;
        let new_day = began && (anchor.days == 0 || day != anchor.last_day);
        if new_day {
            anchor.days = anchor.days.saturating_add(1);
            anchor.last_day = anchor.last_day.max(day);
        }
        anchor.first = anchor.first.min(time);
        anchor.keep(event);
        if began {
            anchor.client = Client::of(event);
            let (country, asn, family, suspect) =
                (anchor.country, anchor.asn, anchor.client.family, anchor.suspect_until > time);
            // What was alerted on teaches nothing until two weeks have passed.
            if !suspect {
                self.countries.note(country, time, FACTS);
                if asn != 0 {
                    self.asns.note(asn, time, FACTS);
                }
                if family != 0 {
                    self.agents.note(family, time, FACTS);
                }
            }
        }
        Some(Sighting { anchor: index, new_day })
    }

    fn locate(&mut self, event: &Event, place: &Place, network: u64, ip: IpAddr, time: u32) -> usize {
        let same = self.anchors.iter().position(|anchor| {
            anchor.country == place.country
                && anchor.asn == place.asn
                && anchor.network == place.network
                && haversine_km(anchor.point(), place.point) <= SAME_PLACE_KM
        });
        if let Some(index) = same {
            let prefixes = &mut self.anchors[index].prefixes;
            if prefixes.len() >= PREFIXES {
                prefixes.remove(0);
            }
            prefixes.push(network);
            self.anchors[index].radius = self.anchors[index].radius.max(place.radius_km as f32);
            return index;
        }
        if self.anchors.len() >= ANCHORS {
            // Places of one day go before those a person keeps coming back to, so that a tour of addresses cannot push home out.
            let least = (0..self.anchors.len()).min_by_key(|index| {
                let anchor = &self.anchors[*index];
                (anchor.days.min(3), anchor.last(), anchor.id)
            });
            self.anchors.remove(least.expect("there are anchors"));
        }
        self.anchors.push(Anchor {
            id: self.next,
            lat: place.point.0 as f32,
            lon: place.point.1 as f32,
            radius: place.radius_km as f32,
            country: place.country,
            city: event.text(Field::SourceCity).unwrap_or_default().into(),
            asn: place.asn,
            network: place.network,
            prefixes: vec![network],
            visits: Vec::new(),
            first: time,
            days: 0,
            last_day: 0,
            client: Client::default(),
            ip,
            suspect_until: 0,
            latest: Mark::of(event),
        });
        self.next = self.next.wrapping_add(1);
        self.anchors.len() - 1
    }
}
