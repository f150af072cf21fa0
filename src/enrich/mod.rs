//! Facts a line does not hold: places, agents, people, who is meant, what was counted before. Not for what a line says itself (`parse`),
//! nor for judging any of it (detectors).
//!
//! A function of the sequence of events and of the operator's files: time is the event's, there is no clock, and state cut and brought
//! back at any point goes on as if it had never been cut. One file per fact; [`Enricher::enrich`] is their order.

mod agent;
mod cache;
mod entity;
mod forwarded;
mod geo;
mod key;
mod names;
mod network;
mod people;
mod people_file;
mod repeats;
mod reports;
mod sessions;
mod twins;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use crmwatch_detectors::detector::RestoreError;
use crmwatch_detectors::memory::Shelf;
use crmwatch_detectors::{Event, Field, Value};

pub use geo::Database;
pub use people_file::{Mistake, PeopleError};

use crate::config::Config;

/// What enrichment needs of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The people file.
    pub people: Option<PathBuf>,
    /// The operator's City database.
    pub geo_city: Option<PathBuf>,
    /// The operator's ASN database.
    pub geo_asn: Option<PathBuf>,
    /// What is particular to a source, by its name; a source that is not here has nothing particular.
    pub sources: BTreeMap<String, SourceSettings>,
}

/// What is particular to one source.
#[derive(Debug, Clone, Default)]
pub struct SourceSettings {
    /// The field that names the user where the line's own does not.
    pub user_from: Option<String>,
    /// Proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<(IpAddr, u8)>,
}

/// Knows the zone a person works in, by any of his names.
pub type ZoneOf = Box<dyn Fn(&str) -> Option<chrono_tz::Tz> + Send>;

impl Settings {
    /// The zones of the people file, for whoever writes times for people.
    pub fn zone_of(&self) -> Result<ZoneOf, EnrichError> {
        let people = match &self.people {
            Some(file) => people::People::new(people_file::load(file)?),
            None => people::People::new(Vec::new()),
        };
        Ok(Box::new(move |name| people.find(name).and_then(|person| person.timezone)))
    }

    /// Those of a configuration.
    pub fn of(config: &Config) -> Settings {
        let of_source = |source: &crate::config::Source| {
            let settings =
                SourceSettings { user_from: source.user_from.clone(), trusted_proxies: source.trusted_proxies.clone() };
            (source.name.clone(), settings)
        };
        Settings {
            people: config.people.clone(),
            geo_city: config.geo_city.clone(),
            geo_asn: config.geo_asn.clone(),
            sources: config.sources.iter().map(of_source).collect(),
        }
    }
}

/// Why enrichment cannot start. The operator mends all of it.
#[derive(Debug, thiserror::Error)]
pub enum EnrichError {
    /// The people file.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// A database of places or networks.
    #[error("{}: cannot read the database: {reason}\n  = correct [geo] in the configuration, or fetch the .mmdb file again", file.display())]
    Geo {
        /// Which.
        file: PathBuf,
        /// What the reader says.
        reason: String,
    },
}

/// The databases in use, for `build_info` and the warning about old ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildInfo {
    /// The country database inside the binary.
    pub country: Database,
    /// The operator's City file.
    pub city: Option<Database>,
    /// The operator's ASN file.
    pub asn: Option<Database>,
}

/// Why an event is a copy: its record was delivered before (`delivery`), or another record told of the same action (`action`).
const DUPLICATE_KIND: &str = "crm.duplicate_kind";
const DELIVERY: &str = "delivery";

/// Adds to events what their lines do not hold.
pub struct Enricher {
    sources: BTreeMap<String, SourceSettings>,
    geo: geo::Geo,
    agents: agent::Agents,
    people: people::People,
    names: names::Names,
    sessions: sessions::Sessions,
    repeats: repeats::Repeats,
    reports: reports::Reports,
    /// Nothing where the configuration has one source only, which has no twin.
    twins: Option<twins::Twins>,
    /// Memory for the next event's key.
    entity: String,
}

impl Enricher {
    /// Reads the operator's files.
    pub fn new(settings: &Settings) -> Result<Enricher, EnrichError> {
        let people = match &settings.people {
            Some(file) => people_file::load(file)?,
            None => Vec::new(),
        };
        Ok(Enricher {
            sources: settings.sources.clone(),
            geo: geo::Geo::new(settings.geo_city.as_deref(), settings.geo_asn.as_deref())?,
            agents: agent::Agents::new(),
            people: people::People::new(people),
            names: names::Names::new(),
            sessions: sessions::Sessions::new(),
            repeats: repeats::Repeats::new(),
            reports: reports::Reports::new(),
            twins: (settings.sources.len() != 1).then(twins::Twins::new),
            entity: String::new(),
        })
    }

    /// Adds every fact, in place.
    pub fn enrich(&mut self, event: &mut Event) {
        disown(event);
        // First, for a copy must teach nothing: a login delivered again after its logout would log in again.
        let copy = self.repeats.is_copy(event);
        self.add(event, copy);
    }

    fn add(&mut self, event: &mut Event, copy: bool) {
        let source = self.sources.get(&*event.origin.source);
        let (user_from, trusted) = match source {
            Some(source) => (source.user_from.as_deref(), source.trusted_proxies.as_slice()),
            None => (None, [].as_slice()),
        };
        if !trusted.is_empty() {
            forwarded::enrich(event, trusted);
        }
        if let Some(public) = network::enrich(event) {
            self.geo.enrich(event, public);
        }
        self.agents.enrich(event);
        self.names.enrich(event, !copy);
        self.sessions.enrich(event, user_from, !copy);
        if !event.has(Field::UserName) && event.has(Field::UserId) {
            // The session knew an id only, whose name came later.
            self.names.enrich(event, false);
        }
        self.people.enrich(event);
        let told =
            !copy && (self.reports.is_copy(event) || self.twins.as_mut().is_some_and(|twins| twins.is_copy(event)));
        if copy || told {
            event.set_bool(Field::Duplicate, true);
            event.remove_other(DUPLICATE_KIND);
            event.set_other(DUPLICATE_KIND, Value::Text(if copy { DELIVERY } else { "action" }));
        }
        entity::enrich(event, &mut self.entity);
    }

    /// Adds every fact to an event from the store, as if it came in this order the first time. Whether it is another delivery of a record
    /// is not decided again: what that goes by is not stored.
    pub fn recall(&mut self, event: &mut Event) {
        let delivered = event.is(Field::Duplicate)
            && matches!(event.named(DUPLICATE_KIND), Some(Value::Text(kind)) if kind == DELIVERY);
        if event.is(Field::UserInferred) {
            event.remove(Field::UserName);
            event.remove(Field::UserId);
        }
        if event.float(Field::GeoRadius) != Some(geo::CITY_RADIUS) {
            // The middle of a country: not a point that the line itself has named.
            event.remove(Field::SourceLat);
            event.remove(Field::SourceLon);
        }
        disown(event);
        self.add(event, delivered);
    }

    /// Everything remembered, to be saved with the number of the batch it belongs to.
    pub fn memory(&mut self) -> Vec<Shelf<'_>> {
        let mut shelves = vec![self.names.memory(), Shelf::of(&mut self.repeats)];
        shelves.extend(self.sessions.memory());
        shelves.extend(self.reports.memory());
        shelves.extend(self.twins.iter_mut().map(twins::Twins::memory));
        shelves
    }

    /// Takes back one saved piece; false where it belongs to somebody else.
    pub fn restore(&mut self, owner: &str, key: &str, value: &[u8]) -> Result<bool, RestoreError> {
        match owner {
            names::OWNER => self.names.restore(key, value)?,
            sessions::SESSIONS | sessions::LOGINS => self.sessions.restore(owner, key, value)?,
            repeats::OWNER => self.repeats.restore(key, value)?,
            reports::RUNS | reports::PARTS => self.reports.restore(owner, key, value)?,
            twins::OWNER => self.twins.as_mut().map_or(Ok(()), |twins| twins.restore(key, value))?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The databases in use.
    pub fn build_info(&self) -> BuildInfo {
        BuildInfo { country: self.geo.country_database(), city: self.geo.city_database(), asn: self.geo.asn_database() }
    }
}

/// Takes away what only enrichment may say: a JSON line that carries these names would speak for us.
fn disown(event: &mut Event) {
    for field in
        [Field::Person, Field::Entity, Field::Duplicate, Field::UserInferred, Field::NetworkClass, Field::GeoRadius]
    {
        if event.has(field) {
            event.remove(field);
        }
    }
    event.person = None;
}

#[cfg(test)]
#[path = "enricher_tests.rs"]
mod tests;
