//! Where an event came from, as far as its address tells: a point with a radius, a country, a network and what kind of network.
//! Not for looking addresses up (enrichment does) nor for judging a journey (`impossible_travel`).

use std::cell::RefCell;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::baseline::stable_hash;
use crate::event::Event;
use crate::field::Field;

/// Mean radius of the Earth.
const EARTH_KM: f64 = 6371.0088;

/// Kilometres along the surface between two points in degrees.
pub fn haversine_km(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (lat1, lat2) = (from.0.to_radians(), to.0.to_radians());
    let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
    let a = half(to.0 - from.0) + lat1.cos() * lat2.cos() * half(to.1 - from.1);
    2.0 * EARTH_KM * a.clamp(0.0, 1.0).sqrt().asin()
}

/// What kind of network an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Network {
    /// Not known.
    #[default]
    Unknown,
    /// A line into a house or an office.
    Fixed,
    /// A mobile carrier: its addresses come out far from the person.
    Mobile,
    /// A data centre or a VPN: the person is elsewhere.
    Hosting,
    /// A relay that hides the person but not the region.
    Relay,
    /// Comes down wherever the ground station is; aeroplanes and ships.
    Satellite,
}

/// Words of network owners' names, in lower case, by which the kind is told. The first that fits counts.
const OWNERS: &[(&str, Network)] = &[
    ("starlink", Network::Satellite),
    ("spacex", Network::Satellite),
    ("viasat", Network::Satellite),
    ("intelsat", Network::Satellite),
    ("hughes network", Network::Satellite),
    ("inmarsat", Network::Satellite),
    ("panasonic avionics", Network::Satellite),
    ("gogo", Network::Satellite),
    ("eutelsat", Network::Satellite),
    ("oneweb", Network::Satellite),
    ("icloud", Network::Relay),
    ("private relay", Network::Relay),
    ("akamai connected cloud", Network::Hosting),
    ("akamai", Network::Relay),
    ("cloudflare", Network::Relay),
    ("fastly", Network::Relay),
    ("zscaler", Network::Relay),
    ("netskope", Network::Relay),
    ("amazon", Network::Hosting),
    ("google cloud", Network::Hosting),
    ("microsoft", Network::Hosting),
    ("digitalocean", Network::Hosting),
    ("linode", Network::Hosting),
    ("ovh", Network::Hosting),
    ("hetzner", Network::Hosting),
    ("vultr", Network::Hosting),
    ("choopa", Network::Hosting),
    ("contabo", Network::Hosting),
    ("leaseweb", Network::Hosting),
    ("m247", Network::Hosting),
    ("datacamp", Network::Hosting),
    ("cdn77", Network::Hosting),
    ("packethub", Network::Hosting),
    ("mullvad", Network::Hosting),
    ("31173", Network::Hosting),
    ("nordvpn", Network::Hosting),
    ("tefincom", Network::Hosting),
    ("surfshark", Network::Hosting),
    ("expressvpn", Network::Hosting),
    ("proton ag", Network::Hosting),
    ("protonvpn", Network::Hosting),
    ("quadranet", Network::Hosting),
    ("colocrossing", Network::Hosting),
    ("frantech", Network::Hosting),
    ("aeza", Network::Hosting),
    ("scaleway", Network::Hosting),
    ("online s.a.s", Network::Hosting),
    ("ionos", Network::Hosting),
    ("alibaba", Network::Hosting),
    ("aliyun", Network::Hosting),
    ("tencent cloud", Network::Hosting),
    ("huawei cloud", Network::Hosting),
    ("oracle", Network::Hosting),
    ("hostinger", Network::Hosting),
    ("stark industries", Network::Hosting),
    ("tor exit", Network::Hosting),
    ("hosting", Network::Hosting),
    ("datacenter", Network::Hosting),
    ("data center", Network::Hosting),
    ("server", Network::Hosting),
    ("vpn", Network::Hosting),
    ("vps", Network::Hosting),
    ("cloud", Network::Hosting),
    ("colocation", Network::Hosting),
    ("wireless", Network::Mobile),
    ("cellular", Network::Mobile),
    ("cellco", Network::Mobile),
    ("telefonica o2", Network::Mobile),
    ("hutchison", Network::Mobile),
    ("mobil", Network::Mobile),
];

impl Network {
    /// The kind a network owner's name speaks of; `Fixed` where it speaks of none.
    pub fn of_owner(name: &str) -> Network {
        if name.is_empty() {
            return Network::Unknown;
        }
        let name = name.to_lowercase();
        OWNERS.iter().find(|(word, _)| name.contains(word)).map_or(Network::Fixed, |(_, kind)| *kind)
    }

    /// The least radius in kilometres an address of this kind is known within.
    pub fn least_radius_km(self) -> f64 {
        match self {
            Network::Fixed | Network::Hosting => 25.0,
            Network::Mobile => 200.0,
            Network::Unknown | Network::Relay | Network::Satellite => 100.0,
        }
    }
}

/// Kinds of network by their owners' names, those asked for lately: a few hundred owners make up nearly all events, and sixty words are
/// looked for in each name. Only saves time.
#[derive(Default)]
pub struct Owners(RefCell<Vec<(Box<str>, Network)>>);

const OWNERS_KEPT: usize = 256;

impl Owners {
    /// See [`Network::of_owner`].
    pub fn kind(&self, name: &str) -> Network {
        if name.is_empty() {
            return Network::Unknown;
        }
        let place = stable_hash(name) as usize % OWNERS_KEPT;
        let mut kept = self.0.borrow_mut();
        if kept.is_empty() {
            kept.resize(OWNERS_KEPT, (Box::default(), Network::Unknown));
        }
        if *kept[place].0 != *name {
            kept[place] = (name.into(), Network::of_owner(name));
        }
        kept[place].1
    }
}

/// An ISO country code; zeros where unknown.
pub type Country = [u8; 2];

/// Where an event came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Degrees.
    pub point: (f64, f64),
    /// Kilometres around it, not less than the kind of network allows.
    pub radius_km: f64,
    /// The country.
    pub country: Country,
    /// The network's number; 0 where unknown.
    pub asn: u32,
    /// The kind of network.
    pub network: Network,
}

impl Place {
    /// The place of an event, if its address is a public one whose place is known.
    pub fn of(event: &Event) -> Option<Place> {
        let point = Place::point_of(event)?;
        let network = Network::of_owner(event.text(Field::SourceAsOrg).unwrap_or_default());
        let radius = event.float(Field::GeoRadius).filter(|radius| radius.is_finite()).unwrap_or(0.0);
        Some(Place {
            point,
            radius_km: radius.max(network.least_radius_km()),
            country: country(event),
            asn: event.integer(Field::SourceAsn).and_then(|asn| u32::try_from(asn).ok()).unwrap_or(0),
            network,
        })
    }

    /// Where that is; nothing where an event has no place.
    pub fn point_of(event: &Event) -> Option<(f64, f64)> {
        if event.text(Field::NetworkClass).is_some_and(|class| class != "public") {
            return None;
        }
        let point = (event.float(Field::SourceLat)?, event.float(Field::SourceLon)?);
        (point.0.abs() <= 90.0 && point.1.abs() <= 180.0).then_some(point)
    }
}

/// The country of an event's address.
pub fn country(event: &Event) -> Country {
    let code = event.text(Field::SourceCountry).unwrap_or_default().as_bytes();
    match code {
        [a, b] => [a.to_ascii_uppercase(), b.to_ascii_uppercase()],
        _ => [0; 2],
    }
}

/// `Berlin/DE`, or as much of it as is known.
pub fn name_of(city: &str, country: Country) -> String {
    let code = if country == [0; 2] { "?".to_owned() } else { String::from_utf8_lossy(&country).into_owned() };
    if city.is_empty() { code } else { format!("{city}/{code}") }
}

/// The network an address is counted as: the /24 of IPv4, the /48 of IPv6.
pub fn prefix(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => u64::from(u32::from(ip) >> 8),
        IpAddr::V6(ip) => (1 << 63) | (u128::from(ip) >> 80) as u64,
    }
}

/// The line an address belongs to: the address of IPv4, the /64 of IPv6. Whoever shares it leaves by the same door.
pub fn exit(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => u64::from(u32::from(ip)),
        IpAddr::V6(ip) => (1 << 63) | (u128::from(ip) >> 64) as u64,
    }
}

/// A network as people write it: `198.51.100.0/24`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    base: IpAddr,
    length: u8,
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.base, self.length)
    }
}

impl Cidr {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Cidr> {
        let (base, length) = match text.split_once('/') {
            Some((base, length)) => (base.parse::<IpAddr>().ok()?, Some(length.parse::<u8>().ok()?)),
            None => (text.parse::<IpAddr>().ok()?, None),
        };
        let most = if base.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(most);
        (length <= most).then_some(Cidr { base, length })
    }

    /// Whether the address lies in it.
    pub fn holds(&self, ip: IpAddr) -> bool {
        match (self.base, ip) {
            (IpAddr::V4(base), IpAddr::V4(ip)) => {
                (u32::from(base) ^ u32::from(ip)).checked_shr(32 - u32::from(self.length)).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(ip)) => {
                (u128::from(base) ^ u128::from(ip)).checked_shr(128 - u32::from(self.length)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn berlin_is_ten_thousand_kilometres_from_sao_paulo() {
        let distance = haversine_km((52.52, 13.405), (-23.55, -46.633));
        assert!((distance - 10_245.0).abs() < 30.0, "{distance}");
        assert!(haversine_km((0.0, 0.0), (0.0, 180.0)) > 20_000.0);
        assert_eq!(haversine_km((10.0, 10.0), (10.0, 10.0)), 0.0);
    }

    #[test]
    fn owners_of_networks_tell_their_kind() {
        assert_eq!(Network::of_owner("SpaceX Services, Inc."), Network::Satellite);
        assert_eq!(Network::of_owner("Hetzner Online GmbH"), Network::Hosting);
        assert_eq!(Network::of_owner("T-Mobile USA"), Network::Mobile);
        assert_eq!(Network::of_owner("Deutsche Telekom AG"), Network::Fixed);
        assert_eq!(Network::of_owner(""), Network::Unknown);
    }

    #[test]
    fn what_was_asked_lately_is_what_would_be_said_anew() {
        let owners = Owners::default();
        for number in 0..2_000 {
            let name = format!("{} {}", ["Hetzner", "Vodafone", "SpaceX", ""][number % 4], number % 700);
            assert_eq!(owners.kind(&name), Network::of_owner(&name), "{name}");
        }
    }

    #[test]
    fn a_network_holds_its_own_addresses_only() {
        let office = Cidr::parse("198.51.100.0/24").expect("a network");
        assert!(office.holds("198.51.100.9".parse().expect("ip")));
        assert!(!office.holds("198.51.101.9".parse().expect("ip")));
        assert!(!office.holds("::1".parse().expect("ip")));
        assert!(Cidr::parse("0.0.0.0/0").expect("all").holds("203.0.113.1".parse().expect("ip")));
        assert_eq!(Cidr::parse("1.2.3.4/33"), None);
        assert_eq!(Cidr::parse("office"), None);
    }
}
