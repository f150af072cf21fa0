//! Where a public address is (`source.geo.*`, `crm.geo.radius_km`) and whose network it is (`source.as.*`): the country database inside
//! the binary, which the operator's City file replaces where it knows the address, and his ASN file. Not for judging distances.
//!
//! What a line says about its own place stands against the country database, which knows less; an operator's City file overrules it,
//! so that all sources are measured by one map.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crmwatch_detectors::{Event, Field};
use maxminddb::{PathElement, Reader, path};

use super::EnrichError;
use super::cache::Cache;

const COUNTRY_DATABASE: &[u8] = include_bytes!("../../data/country.mmdb");
const COUNTRIES: &str = include_str!("../../data/countries.csv");

/// Addresses whose place is remembered.
const CACHED: usize = 65_536;
/// Kilometres around a city's point, where a database or a line names a city and says nothing of accuracy: the size of a large one with its suburbs.
pub(super) const CITY_RADIUS: f64 = 50.0;

/// A database of places or networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// The operator's file; nothing for the one inside the binary.
    pub file: Option<PathBuf>,
    /// What it calls itself.
    pub kind: String,
    /// When it was built, in seconds since 1970.
    pub build_epoch: u64,
    /// The same as a date: `2026-06-17`.
    pub date: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Place {
    country: Option<Box<str>>,
    region: Option<Box<str>>,
    city: Option<Box<str>>,
    point: Option<(f64, f64)>,
    radius: Option<f64>,
    asn: Option<i64>,
    organization: Option<Box<str>>,
    /// From the operator's City file: overrules the line.
    exact: bool,
}

/// The databases, and what was looked up lately.
pub struct Geo {
    country: Reader<&'static [u8]>,
    city: Option<(PathBuf, Reader<Vec<u8>>)>,
    asn: Option<(PathBuf, Reader<Vec<u8>>)>,
    circles: HashMap<&'static str, (f64, f64, f64)>,
    cache: Cache<u64, Arc<Place>>,
}

impl Geo {
    /// Opens the databases.
    pub fn new(city: Option<&Path>, asn: Option<&Path>) -> Result<Geo, EnrichError> {
        Ok(Geo {
            country: Reader::from_source(COUNTRY_DATABASE).expect("the database inside the binary is whole"),
            city: city.map(open).transpose()?,
            asn: asn.map(open).transpose()?,
            circles: circles(),
            cache: Cache::new(CACHED),
        })
    }

    /// The database inside the binary.
    pub fn country_database(&self) -> Database {
        describe(None, self.country.metadata())
    }

    /// The operator's City file.
    pub fn city_database(&self) -> Option<Database> {
        self.city.as_ref().map(|(file, reader)| describe(Some(file), reader.metadata()))
    }

    /// The operator's ASN file.
    pub fn asn_database(&self) -> Option<Database> {
        self.asn.as_ref().map(|(file, reader)| describe(Some(file), reader.metadata()))
    }

    /// Adds place and network of a public address.
    pub fn enrich(&mut self, event: &mut Event, ip: IpAddr) {
        let place = match self.cache.get(&cache_key(ip)) {
            Some(place) => place,
            None => {
                let place = Arc::new(self.look_up(ip));
                self.cache.insert(cache_key(ip), Arc::clone(&place));
                place
            }
        };
        if place.exact {
            for field in [Field::SourceCity, Field::SourceRegion, Field::GeoRadius] {
                if event.has(field) {
                    event.remove(field);
                }
            }
        }
        let said = |event: &Event, field| !place.exact && event.has(field);
        let own_country = event.text(Field::SourceCountry).filter(|_| !place.exact).map(str::to_ascii_uppercase);
        if let Some(country) = &place.country
            && own_country.is_none()
        {
            event.set(Field::SourceCountry, country);
        }
        if let Some(city) = &place.city {
            event.set(Field::SourceCity, city);
        }
        if let Some(region) = &place.region {
            event.set(Field::SourceRegion, region);
        }
        let own_point = said(event, Field::SourceLat) && said(event, Field::SourceLon);
        if own_point {
            event.set_float(Field::GeoRadius, CITY_RADIUS);
        } else {
            // A line that names its country and no point gets that country's circle, not another's.
            let elsewhere = own_country.filter(|own| place.country.as_deref() != Some(own));
            let (point, radius) = match elsewhere.and_then(|own| self.circles.get(own.as_str())) {
                Some((lat, lon, radius)) => (Some((*lat, *lon)), Some(*radius)),
                None => (place.point, place.radius),
            };
            if let Some((lat, lon)) = point {
                event.set_float(Field::SourceLat, lat);
                event.set_float(Field::SourceLon, lon);
            }
            if let Some(radius) = radius {
                event.set_float(Field::GeoRadius, radius);
            }
        }
        if let Some(asn) = place.asn {
            event.set_integer(Field::SourceAsn, asn);
        }
        if let Some(organization) = &place.organization {
            event.set(Field::SourceAsOrg, organization);
        }
    }

    fn look_up(&self, ip: IpAddr) -> Place {
        let mut place = self
            .city
            .as_ref()
            .and_then(|(_, reader)| city_place(reader, ip))
            .unwrap_or_else(|| Place { country: text(&self.country, ip, &path!["country_code"]), ..Place::default() });
        if place.point.is_none()
            && let Some((lat, lon, radius)) = place.country.as_deref().and_then(|code| self.circles.get(code))
        {
            place.point = Some((*lat, *lon));
            place.radius = Some(*radius);
        }
        if let Some((_, reader)) = &self.asn {
            place.asn = [&path!["autonomous_system_number"][..], &path!["asn"][..]]
                .into_iter()
                .find_map(|path| number(reader, ip, path))
                .map(|asn| asn as i64);
            place.organization =
                [&path!["autonomous_system_organization"][..], &path!["organization"][..], &path!["as_name"][..]]
                    .into_iter()
                    .find_map(|path| text(reader, ip, path));
        }
        place
    }
}

/// What a City file knows: nested as in GeoLite2 and DB-IP, or flat as in the npm packages of ip-location-db.
fn city_place(reader: &Reader<Vec<u8>>, ip: IpAddr) -> Option<Place> {
    let first = |paths: [&[PathElement<'_>]; 2]| paths.into_iter().find_map(|path| text(reader, ip, path));
    let either = |paths: [&[PathElement<'_>]; 2]| paths.into_iter().find_map(|path| number(reader, ip, path));
    let country = first([&path!["country", "iso_code"], &path!["country_code"]]);
    let latitude = either([&path!["location", "latitude"], &path!["latitude"]]);
    let longitude = either([&path!["location", "longitude"], &path!["longitude"]]);
    let point = latitude.zip(longitude).filter(|(lat, lon)| lat.abs() <= 90.0 && lon.abs() <= 180.0);
    let city = first([&path!["city", "names", "en"], &path!["city"]]);
    if country.is_none() && point.is_none() {
        return None;
    }
    let accuracy = number(reader, ip, &path!["location", "accuracy_radius"]).filter(|radius| *radius > 0.0);
    // Without a city the point is the country's or the region's own, and its circle is the country's.
    let point = point.filter(|_| accuracy.is_some() || city.is_some());
    Some(Place {
        region: first([&path!["subdivisions", 0, "names", "en"], &path!["state1"]]),
        radius: point.map(|_| accuracy.unwrap_or(CITY_RADIUS)),
        point,
        country,
        city,
        exact: true,
        ..Place::default()
    })
}

fn value<'r, T: serde::Deserialize<'r>, S: AsRef<[u8]>>(
    reader: &'r Reader<S>,
    ip: IpAddr,
    path: &[PathElement<'_>],
) -> Option<T> {
    // A damaged branch of an operator's file says nothing about this address; the rest of it still serves.
    reader.lookup(ip).ok()?.decode_path(path).ok()?
}

fn text<S: AsRef<[u8]>>(reader: &Reader<S>, ip: IpAddr, path: &[PathElement<'_>]) -> Option<Box<str>> {
    value::<&str, _>(reader, ip, path).filter(|text| !text.is_empty()).map(Box::from)
}

fn number<S: AsRef<[u8]>>(reader: &Reader<S>, ip: IpAddr, path: &[PathElement<'_>]) -> Option<f64> {
    value::<Number, _>(reader, ip, path).map(|number| number.0).filter(|number| number.is_finite())
}

/// A number of any of the format's eight kinds; builders of databases choose as they like.
struct Number(f64);

impl<'de> serde::Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        struct Any;
        impl serde::de::Visitor<'_> for Any {
            type Value = Number;
            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a number")
            }
            fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
                Ok(Number(number))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number as f64))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
                Ok(Number(number as f64))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

fn open(file: &Path) -> Result<(PathBuf, Reader<Vec<u8>>), EnrichError> {
    match Reader::open_readfile(file) {
        Ok(reader) => Ok((file.to_owned(), reader)),
        Err(error) => Err(EnrichError::Geo { file: file.to_owned(), reason: error.to_string() }),
    }
}

fn describe(file: Option<&PathBuf>, metadata: &maxminddb::Metadata) -> Database {
    let seconds = i64::try_from(metadata.build_epoch).unwrap_or(i64::MAX);
    let date =
        chrono::DateTime::from_timestamp(seconds, 0).map_or_else(String::new, |time| time.date_naive().to_string());
    Database { file: file.cloned(), kind: metadata.database_type.clone(), build_epoch: metadata.build_epoch, date }
}

fn circles() -> HashMap<&'static str, (f64, f64, f64)> {
    let number = |cell: Option<&str>| -> f64 { cell.and_then(|cell| cell.parse().ok()).expect("the table is numbers") };
    COUNTRIES
        .lines()
        .skip(1)
        .map(|line| {
            let mut cells = line.split(',');
            let code = cells.next().expect("a line has a code");
            (code, (number(cells.next()), number(cells.next()), number(cells.next())))
        })
        .collect()
}

/// IPv4 whole; IPv6 by its /64, which is one subscriber's. The two do not meet: public IPv6 starts at 2000::.
fn cache_key(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => (u128::from(ip) >> 64) as u64,
    }
}

#[cfg(test)]
#[path = "geo_tests.rs"]
mod tests;
