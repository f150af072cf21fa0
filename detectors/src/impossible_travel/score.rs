//! Judges one pair of places of one user: whether the way between them was possible, and what else speaks for or against two people.
//! Not for which pairs are looked at (`super`).

use super::Settings;
use super::traveller::{Anchor, Client, DAY, Traveller, Visit};
use crate::place::{Country, Network, haversine_km};

/// Clock skew and the delay of log lines.
const SKEW_SECONDS: f64 = 120.0;
/// Beyond this the distance is between continents, and a radius or an exit nearby explains nothing any more.
const FAR_KM: f64 = 2_000.0;
/// Below this a hop with the same browser is most often somebody switching his VPN on.
const NEAR_KM: f64 = 1_500.0;
/// Seconds within which activity at two places counts as simultaneous.
const OVERLAP: u32 = 600;
/// Seconds of silence at the other place after which somebody has moved on from it.
const MOVED_ON: u32 = 2 * 3_600;

/// A journey that could not be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Journey {
    /// Between the points.
    pub distance_km: f64,
    /// What is left of it when both places lie at the near edge of what is known.
    pub least_km: f64,
    /// Seconds between the activities.
    pub gap: u32,
    /// Seconds it takes at least.
    pub needed: f64,
    /// The visit at the other place.
    pub other: Visit,
}

impl Journey {
    /// The journey from `other` to `here` at `time`, if it is impossible.
    pub(super) fn impossible(here: &Anchor, other: &Anchor, time: u32, settings: &Settings) -> Option<Journey> {
        let visit = other.nearest(time);
        let gap = visit.gap(time);
        if gap > DAY {
            return None;
        }
        let distance_km = haversine_km(here.point(), other.point());
        let least_km = (distance_km - f64::from(here.radius) - f64::from(other.radius)).max(0.0);
        if least_km < settings.min_distance_km {
            return None;
        }
        let needed = (least_km / settings.speed_kmh + settings.airport_hours) * 3_600.0;
        let journey = Journey { distance_km, least_km, gap, needed, other: visit };
        (f64::from(gap) + SKEW_SECONDS < needed).then_some(journey)
    }

    fn ratio(&self) -> f64 {
        self.needed / (f64::from(self.gap) + SKEW_SECONDS)
    }
}

/// Whether the pair says nothing about where the person is.
pub(super) fn means_nothing(here: &Anchor, other: &Anchor, client: &Client, program: bool) -> bool {
    let relayed = |anchor: &Anchor| matches!(anchor.network, Network::Relay | Network::Satellite);
    let hosted = |anchor: &Anchor| anchor.network == Network::Hosting;
    // A hosting network the user has come back to on another day is his VPN or his server, not a place.
    // What was reported needs one day more.
    let habitual = |anchor: &Anchor| hosted(anchor) && anchor.days >= 2 + u16::from(anchor.suspect_until > 0);
    let same_carrier = here.asn != 0 && here.asn == other.asn && here.country == other.country;
    let roaming = (here.network == Network::Mobile || other.network == Network::Mobile)
        && client.device != 0
        && client.device == other.client.device
        && client.session != 0
        && client.session == other.client.session;
    // A carrier lets its telephones out in any city of the country; where no database tells who the carrier is, the telephone must.
    let nobody_knows = here.asn == 0 || other.asn == 0;
    let telephone = client.mobile || other.client.mobile || client.agent == 0 || other.client.agent == 0;
    let carrier = nobody_knows && telephone && here.country == other.country && here.country != [0; 2];
    relayed(here)
        || relayed(other)
        || carrier
        || (hosted(here) && hosted(other))
        || habitual(here)
        || habitual(other)
        || same_carrier
        || roaming
        || program
}

/// Seconds after which it is known what is usual for somebody.
const LEARNING: u32 = 2 * DAY;
/// Seconds after which somebody has arrived.
const ARRIVED: u32 = 6 * 3_600;

/// What others of the organisation tell about a pair of places.
pub(super) struct Surroundings {
    /// Colleagues seen on the stranger address without suspicion.
    pub colleagues: usize,
    /// The organisation has never been seen in the stranger place's country.
    pub country_new_to_all: bool,
    /// The country the people file gives the user.
    pub home: Country,
    /// A second factor was satisfied at the new place.
    pub second_factor: bool,
}

/// The stranger of two places: the one with less history, the later one of two equals.
pub(super) fn stranger<'a>(here: &'a Anchor, other: &'a Anchor) -> &'a Anchor {
    let history = |anchor: &Anchor| (anchor.days.min(3), std::cmp::Reverse(anchor.first));
    if history(other) < history(here) { other } else { here }
}

/// The evidence, part by part.
pub(super) fn parts(
    user: &Traveller,
    here: &Anchor,
    other: &Anchor,
    client: &Client,
    journey: &Journey,
    time: u32,
    around: &Surroundings,
) -> Vec<(&'static str, f64)> {
    let strange = stranger(here, other);
    let mut parts = vec![("impossible journey", 40.0)];
    let mut add = |applies: bool, name: &'static str, points: f64| {
        if applies {
            parts.push((name, points));
        }
    };
    let same_browser = client.agent != 0 && client.agent == other.client.agent;
    let same_session = client.session != 0 && client.session == other.client.session;
    let back_and_forth = here.visits.iter().any(|visit| {
        visit.from < journey.other.from && journey.other.from < time && visit.gap(journey.other.from) <= OVERLAP
    }) && journey.gap <= OVERLAP;
    let simultaneous = journey.gap <= OVERLAP && (!same_browser || back_and_forth);
    let strange_family = if std::ptr::eq(strange, here) { client.family } else { other.client.family };

    add(journey.least_km >= FAR_KM && journey.ratio() >= 2.0, "far beyond any flight", 15.0);
    // Where no database tells the network, that the place is new must stand for it.
    // Of whom nothing is old, nothing is new.
    let known = user.anchors.iter().any(|anchor| anchor.first.saturating_add(LEARNING) <= time);
    let fresh_place = known && strange.asn == 0 && strange.first.saturating_add(DAY) > time;
    add(fresh_place, "address new for the user", 10.0);
    add(known && strange.asn != 0 && !user.asns.known(strange.asn, time, DAY), "network new for the user", 25.0);
    add(
        known && strange_family != 0 && !user.agents.known(strange_family, time, DAY),
        "device or browser new for the user",
        20.0,
    );
    add(strange.network == Network::Hosting, "hosting network or anonymiser", 20.0);
    // The country of a hosting network is where the machine stands, not where the person sits.
    let country_new = known
        && strange.network != Network::Hosting
        && strange.country != [0; 2]
        && strange.country != around.home
        && !user.countries.known(strange.country, time, DAY);
    add(country_new, "country new for the user", 15.0);
    add(country_new && around.country_new_to_all, "country new for the organisation", 10.0);
    add(simultaneous, "active at both places at once", 20.0);
    add(same_session && !same_browser, "one session from both places", 15.0);
    add(user.failures_before(time) > 0, "failed logins in the hour before", 10.0);
    add(here.days >= 3 && other.days >= 3, "both places well known", -30.0);
    let same_device = client.device != 0 && client.device == other.client.device;
    add(same_device && around.second_factor, "same device and second factor", -25.0);
    add(here.network == Network::Mobile || other.network == Network::Mobile, "mobile network", -20.0);
    let hop = same_browser && !back_and_forth && journey.least_km < NEAR_KM;
    let vpn = same_session || strange.network == Network::Hosting;
    add(hop && vpn, "same browser, short hop over a VPN", -45.0);
    add(hop && !vpn, "same browser, short hop", -25.0);
    // The owner who is gone from the one place when the other begins has at least not been caught at both: an aeroplane's exit, a VPN. Where
    // nothing tells the network, that is all there is to go by.
    let telephone = client.agent != 0 && other.client.agent != 0 && client.mobile != other.client.mobile;
    let both_known = strange_family != 0 && user.agents.known(strange_family, time, DAY);
    // Abroad a telephone's traffic comes out at home, while the computer comes out of the hotel.
    add(telephone && both_known && !same_session && !simultaneous, "telephone here, own computer there", -25.0);
    // Who came here some hours ago, and is seen once at home through an address that is new: a telephone that is roaming, or a program left behind.
    let familiar = if std::ptr::eq(strange, here) { other } else { here };
    let left_behind = around.home != [0; 2]
        && familiar.country == around.home
        && familiar.first.saturating_add(DAY) > time
        && strange.first.saturating_add(ARRIVED) < familiar.first;
    add(left_behind, "a new address at home, while abroad for hours", -25.0);
    let moved_on = same_browser && !hop && !back_and_forth && journey.gap > MOVED_ON && strange.asn == 0;
    add(moved_on, "same browser, and gone from the other place", -25.0);
    add(around.colleagues > 0, "colleagues use that address", -10.0 * around.colleagues.min(2) as f64);
    parts
}
