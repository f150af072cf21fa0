//! One account was active at two places that no journey connects in the time between.
//!
//! # What it finds
//! A user who is active (not only logs in) at a place so far from his last place that no flight gets there in the time between: for
//! example in Berlin, and 40 minutes later in Sao Paulo. Two people then use one account.
//!
//! # Why it matters
//! A stolen password, session or token is mostly used from somewhere else than its owner. Distance is one of the few things the thief
//! cannot easily forge, and the owner's own activity gives him away.
//!
//! # How it decides
//! For each user up to eight places with their latest visits are remembered. Every successful activity from a public address is compared,
//! in the order of the events' own times, with the visits nearest in time at the other places. The distance is taken between the near edges of
//! both places (an address is known only within a radius: the database's, at least 25 km for fixed lines, 200 km for mobile and 100 km
//! for unknown networks). Impossible is what is farther than `min_distance_km` and faster than `speed_kmh` plus `airport_hours`, with
//! two minutes allowed for clocks. That alone gives 40 points. More are added: far beyond any flight 15; network new for the user 25 (10 for a new
//! address where no database tells the network);
//! device or browser new 20; hosting network 20; otherwise country new for the user 15,
//! for the organisation 10; active at both places within
//! ten minutes 20; one session from both with different browsers 15; failed logins in the hour before 10. Taken off: both places known on three
//! days 30; same device with a second factor 25; mobile network 20; a new address at home seen once while abroad for hours 25; same browser and a short hop 25, or 45 in the
//! same session or over a hosting network (a VPN switched on); same browser after two hours of silence at the other place, where no
//! database tells the network, 25; a telephone at one place and a known computer at the other, not at once (roaming), 25; colleagues on
//! that address up to 20. From `alert_score` it is medium, from `high_score` high, where the networks are known by their owners or the account was active at both at once. One finding per user and pair of places in a day.
//!
//! # False positives
//! A private VPN whose exit is on another continent; an address database that is wrong by a country; an account shared on purpose.
//! Silent are: journeys at feasible speed, addresses of one network or provider and country, a telephone in another city of the same country where no database tells the carrier, relays and satellite networks, new addresses that several
//! colleagues use, the return of its owner to his desk where something was found at the stranger place already, shared addresses that let out people who are elsewhere (a company's VPN), hosting networks the user came back to on another day, accounts that only programs use, failed logins.
//!
//! # What to check
//! Ask the person by telephone where he is and whether he uses a VPN. Look at what was done from the stranger place, from which device,
//! and whether other accounts were used from that address. If it was not him: end his sessions, reset password and tokens.
//!
//! # Settings
//! - `min_distance_km` (300): shorter distances are never judged.
//! - `speed_kmh` (900): the fastest a person travels.
//! - `airport_hours` (0.75): added to every journey.
//! - `alert_score` (60), `high_score` (80): points for medium and high.
//! - `shared_egress_users` (5): an address with so many users of the organisation (or 3 in a hundred of them, at least 3) is shared: no stranger
//!   place, and a familiar one only if it is an office.
//! - `repeat_hours` (24): the same pair of places is not reported again within this time, and after a second report not for 14 days.
//! - `known_networks` ([]): networks of offices and company VPNs, such as "198.51.100.0/24", that say nothing about where a person is.
//! - `capacity` (200000): users remembered.

mod egress;
mod presence;
mod report;
mod score;
#[cfg(test)]
mod tests;
mod traveller;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::baseline::stable_hash;
use crate::detector::{Context, Detector, RestoreError, Rule};
use crate::entity::entity_key;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Severity};
use crate::keyed::Keyed;
use crate::manual::Manual;
use crate::memory::Shelf;
use crate::place::{Cidr, Country, Network, Place};
use egress::{Egress, Organisation, egress_key};
use presence::{Actor, Presence, actor, presence};
use report::{Case, detection};
use score::{Journey, Surroundings, means_nothing, parts, stranger};
use traveller::{Alerted, Anchor, Client, DAY, KNOWN_AFTER, Traveller, seconds};

/// The rule's id.
pub const ID: &str = "impossible-travel";
/// An organisation that has been watched for so short a time: its ways out are not known yet.
const FIRST_DAYS: f64 = 2.0;
const TECHNIQUES: [&str; 1] = ["T1078"];
/// How long what was alerted on counts as strange, without a verdict.
const SUSPECT: u32 = 14 * DAY;

/// `[detectors.impossible-travel]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    min_distance_km: f64,
    speed_kmh: f64,
    airport_hours: f64,
    alert_score: f64,
    high_score: f64,
    shared_egress_users: usize,
    repeat_hours: u32,
    known_networks: Vec<String>,
    capacity: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            min_distance_km: 300.0,
            speed_kmh: 900.0,
            airport_hours: 0.75,
            alert_score: 60.0,
            high_score: 80.0,
            shared_egress_users: 5,
            repeat_hours: 24,
            known_networks: Vec::new(),
            capacity: 200_000,
        }
    }
}

/// Score, index of the other place, journey, parts.
type Judged = (f64, usize, Journey, Vec<(&'static str, f64)>);

/// Whose event it is: the entity's key, its hash, the organisation.
#[derive(Clone, Copy)]
struct Subject<'k> {
    key: &'k str,
    hash: u32,
    organisation: &'k str,
}

/// The detector.
pub struct ImpossibleTravel {
    settings: Settings,
    known_networks: Vec<Cidr>,
    users: Keyed<Traveller>,
    egresses: Keyed<Egress>,
    organisations: Keyed<Organisation>,
    rule: Arc<str>,
    /// As of the event at hand: the organisation is in its first days.
    young: bool,
}

impl ImpossibleTravel {
    /// Makes it from its settings.
    pub fn build(settings: &serde_json::Value) -> Result<Box<dyn Detector>, serde_json::Error> {
        let settings: Settings = serde_json::from_value(settings.clone())?;
        let network = |text: &String| {
            let problem = format!("known_networks: {text:?} is no network; write it like \"198.51.100.0/24\"");
            Cidr::parse(text).ok_or_else(|| <serde_json::Error as serde::de::Error>::custom(problem))
        };
        let known_networks = settings.known_networks.iter().map(network).collect::<Result<_, _>>()?;
        Ok(Box::new(ImpossibleTravel {
            known_networks,
            users: Keyed::new(ID, settings.capacity),
            egresses: Keyed::new(ID, settings.capacity),
            organisations: Keyed::new(ID, 1_000),
            rule: ID.into(),
            young: false,
            settings,
        }))
    }

    fn shared(&self, anchor: &Anchor, user: u32, organisation: &str) -> (bool, usize) {
        let others = self.egresses.get(&egress_key(anchor.ip)).map_or(0, |egress| egress.others(user));
        let users = self.organisations.get(organisation).map_or(0, |known| known.users);
        let most = self.settings.shared_egress_users.max(1);
        // Where next to nobody is known yet, a colleague's presence is all there can be.
        let least = if self.young { 1 } else { 3 };
        let enough = ((users as f64 * 0.03).ceil() as usize).clamp(least.min(most), most);
        (others >= enough, others)
    }

    /// Whether a place that many share is a way out for people elsewhere, and so says nothing about where this one is.
    fn is_exit(&self, anchor: &Anchor, user: u32, home: Country) -> bool {
        let abroad = home != [0; 2] && anchor.country != [0; 2] && home != anchor.country;
        anchor.network == Network::Hosting
            || abroad
            || self.egresses.get(&egress_key(anchor.ip)).is_some_and(|egress| egress.is_exit(user))
    }
}

impl Detector for ImpossibleTravel {
    fn id(&self) -> &'static str {
        ID
    }

    fn rules(&self) -> Vec<Rule> {
        vec![Rule {
            id: ID.to_owned(),
            manual: Manual::from_source(include_str!("impossible_travel.rs")),
            severity: Severity::Medium,
            techniques: TECHNIQUES.map(str::to_owned).to_vec(),
            settings: serde_json::to_value(&self.settings).expect("settings are plain data"),
        }]
    }

    fn observe(&mut self, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        let Some(ip) = event.ip(Field::SourceIp) else { return };
        if event.is(Field::UserInferred)
            || context.is_guest(event)
            || event.text(Field::NetworkClass).is_some_and(|class| class != "public")
        {
            return;
        }
        let key = entity_key(event);
        if !["person:", "user:", "user-id:"].iter().any(|kind| key.starts_with(kind)) {
            return;
        }
        let time = seconds(event.time);
        match presence(event) {
            Presence::Here => {}
            // Somebody typing a name from afar is no journey, and must not make room for itself.
            Presence::Failed => {
                if self.users.get(&key).is_some() {
                    self.users.touch(&key, event.time).failed(time);
                }
                return;
            }
            Presence::Nothing => return,
        }
        if self.known_networks.iter().any(|network| network.holds(ip)) {
            return;
        }
        if self.users.get(&key).is_none() && Place::point_of(event).is_none() {
            return;
        }
        let user = self.users.touch(&key, event.time);
        let first_time = user.anchors.is_empty();
        match actor(event) {
            Some(Actor::Person) => user.human = true,
            Some(Actor::Program) => user.program = true,
            None => {}
        }
        let Some(sighting) = user.sight(event, ip, time) else { return };
        if user.anchors.len() == 1 && !sighting.new_day {
            return;
        }
        let here = &user.anchors[sighting.anchor];
        let mut journeys: Vec<(usize, Journey)> = Vec::new();
        for (index, other) in user.anchors.iter().enumerate() {
            if index != sighting.anchor
                && let Some(journey) = Journey::impossible(here, other, time, &self.settings)
            {
                journeys.push((index, journey));
            }
        }
        let new_day = sighting.new_day;
        let organisation = event.text(Field::OrganizationId).unwrap_or_default();
        let subject = Subject { key: &key, hash: stable_hash(&key), organisation };
        let mut suspicious = None;
        let ends = journeys.iter().map(|(index, _)| *index).chain((!journeys.is_empty()).then_some(sighting.anchor));
        let ends: Vec<String> = ends.map(|index| egress_key(user.anchors[index].ip)).collect();
        if !journeys.is_empty() {
            self.young = context.habits.is_some_and(|habits| habits.age_days(event.time) < FIRST_DAYS);
            suspicious = self.judge(event, subject, sighting.anchor, &journeys, out);
        }
        // An attack says nothing about the address its victim works at.
        if suspicious.is_none() {
            for end in ends {
                if self.egresses.get(&end).is_some_and(|egress| !egress.is_remote(subject.hash)) {
                    self.egresses.touch(&end, event.time).note_remote(subject.hash);
                }
            }
        }
        if new_day {
            self.learn(subject, event.time, sighting.anchor, first_time, suspicious.is_some());
        }
        if let Some(strange) = suspicious {
            let day = (time / DAY) as u16;
            self.egresses.touch(&egress_key(strange), event.time).note(subject.hash, day, true);
        }
    }

    fn hear(&mut self, found: &[Detection], event: &Event, _: &Context, _: &mut Vec<Detection>) {
        let worth =
            |one: &Detection| one.severity >= Severity::Medium && *one.rule != *ID && one.primary.starts_with("user.");
        let Some(ip) = event.ip(Field::SourceIp).filter(|_| found.iter().any(worth)) else { return };
        let key = entity_key(event);
        if self.users.get(&key).is_some() {
            self.users.touch(&key, event.time).explain(ip, seconds(event.time));
        }
    }

    fn settle(&mut self, verdict: &crate::Verdict) {
        if &*verdict.rule != ID {
            return;
        }
        for subject in &verdict.subjects {
            if self.users.get(subject).is_some_and(|user| !user.alerted.is_empty()) {
                let user = self.users.touch(subject, Millis::MIN);
                user.settle(seconds(verdict.from), seconds(verdict.to), verdict.harmless);
            }
        }
    }

    fn memory(&mut self) -> Vec<Shelf<'_>> {
        vec![
            Shelf::under("u/", &mut self.users),
            Shelf::under("e/", &mut self.egresses),
            Shelf::under("o/", &mut self.organisations),
        ]
    }

    fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        match key.split_at_checked(2) {
            Some(("u/", rest)) => self.users.restore(rest, value),
            Some(("e/", rest)) => self.egresses.restore(rest, value),
            Some(("o/", rest)) => self.organisations.restore(rest, value),
            _ => Err(RestoreError { owner: ID.to_owned(), key: key.to_owned() }),
        }
    }
}

impl ImpossibleTravel {
    /// Judges the impossible journeys of one event; the address of the stranger place if any of them is worth an alert.
    fn judge(
        &mut self,
        event: &Event,
        subject: Subject<'_>,
        at: usize,
        journeys: &[(usize, Journey)],
        out: &mut Vec<Detection>,
    ) -> Option<std::net::IpAddr> {
        let Subject { key, hash, organisation } = subject;
        let time = seconds(event.time);
        let client = Client::of(event);
        let user = self.users.get(key)?;
        let here = &user.anchors[at];
        let mut best: Option<Judged> = None;
        let (here_shared, here_colleagues) = self.shared(here, hash, organisation);
        let home = home_of(event);
        for (index, journey) in journeys {
            let other = &user.anchors[*index];
            if means_nothing(here, other, &client, user.program && !user.human) {
                continue;
            }
            let (other_shared, colleagues) = self.shared(other, hash, organisation);
            let strange = stranger(here, other);
            let (strange_shared, familiar, familiar_shared) = if std::ptr::eq(strange, here) {
                (here_shared, other, other_shared)
            } else {
                (other_shared, here, here_shared)
            };
            // Where colleagues work, he may work too; and a familiar address of many is an office only if nobody is elsewhere meanwhile.
            if strange_shared || (familiar_shared && self.is_exit(familiar, hash, home)) {
                continue;
            }
            let countries = self.organisations.get(organisation).map(|known| &known.countries);
            let around = Surroundings {
                colleagues: if std::ptr::eq(strange, here) { here_colleagues } else { colleagues },
                country_new_to_all: countries.is_none_or(|known| !known.known(strange.country, time, DAY)),
                home,
                second_factor: matches!(event.text(Field::EventAction), Some("mfa-challenge" | "mfa-enrolled"))
                    || event.text(Field::LoginType).is_some_and(|kind| kind.to_ascii_lowercase().contains("mfa")),
            };
            let parts = parts(user, here, other, &client, journey, time, &around);
            let score = parts.iter().map(|(_, points)| points).sum::<f64>().clamp(0.0, 100.0);
            if best.as_ref().is_none_or(|(most, ..)| score > *most) {
                best = Some((score, *index, *journey, parts));
            }
        }
        let (score, index, journey, parts) = best?;
        if score < self.settings.alert_score {
            return None;
        }
        let other = &user.anchors[index];
        let strange_at = if std::ptr::eq(stranger(here, other), here) { at } else { index };
        let strange_ip = user.anchors[strange_at].ip;
        // Its owner is back at his desk after what was found there already: that is the same story.
        if strange_at == index && user.explained(strange_ip, time) {
            return Some(strange_ip);
        }
        // Where nobody knows whose network it is, it may be a VPN: then only who was caught at both places at once is caught.
        let caught = parts
            .iter()
            .any(|(name, _)| matches!(*name, "active at both places at once" | "one session from both places"));
        let told = here.asn != 0 && other.asn != 0;
        let high = score >= self.settings.high_score && (told || caught);
        let pair = (here.id.min(other.id), here.id.max(other.id));
        let repeat = self.settings.repeat_hours.saturating_mul(3_600);
        // The pair's third leg (back again) is told once, as part of the same finding.
        let returning = here.visits.iter().any(|visit| visit.from < journey.other.from && journey.other.from <= time);
        let known = user.alerted.iter().position(|past| {
            let repeat = if past.times >= KNOWN_AFTER { repeat.max(SUSPECT) } else { repeat };
            past.pair == pair && past.time.abs_diff(time) < repeat
        });
        if let Some(past) = known.map(|past| user.alerted[past])
            && (past.high || !high)
            && (past.returned || !returning)
        {
            return Some(strange_ip);
        }
        let severity = if high { Severity::High } else { Severity::Medium };
        let case = Case {
            rule: &self.rule,
            key,
            severity,
            here,
            other,
            journey: &journey,
            parts,
            returning,
            repeat_hours: self.settings.repeat_hours,
        };
        out.push(detection(event, case));
        let user = self.users.touch(key, event.time);
        user.anchors[strange_at].suspect_until = time.saturating_add(SUSPECT);
        match known {
            Some(past) => {
                user.alerted[past].high |= high;
                user.alerted[past].returned |= returning;
            }
            None => {
                let times = user.alerted.iter().find(|past| past.pair == pair).map_or(0, |past| past.times) + 1;
                user.alerted.retain(|past| past.pair != pair);
                if user.alerted.len() >= 16 {
                    user.alerted.remove(0);
                }
                user.alerted.push(Alerted { pair, time, high, returned: returning, times: times.min(100) });
            }
        }
        Some(strange_ip)
    }

    /// Learns from a first sighting of the day what the organisation's addresses and countries are.
    fn learn(&mut self, subject: Subject<'_>, time: Millis, at: usize, first_time: bool, suspicious: bool) {
        let Subject { key, hash, organisation } = subject;
        let Some(anchor) = self.users.get(key).and_then(|user| user.anchors.get(at)) else { return };
        let (ip, country, network) = (anchor.ip, anchor.country, anchor.network);
        self.egresses.touch(&egress_key(ip), time).note(hash, (seconds(time) / DAY) as u16, suspicious);
        let known = self.organisations.touch(organisation, time);
        known.users += u64::from(first_time);
        if !suspicious && network != Network::Hosting {
            known.countries.note(country, seconds(time), 64);
        }
    }
}

fn home_of(event: &Event) -> Country {
    match event.person.as_ref().and_then(|person| person.country.as_deref()).map(str::as_bytes) {
        Some([a, b]) => [a.to_ascii_uppercase(), b.to_ascii_uppercase()],
        _ => [0; 2],
    }
}
