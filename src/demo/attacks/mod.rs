//! The attacks: one file for each family, named after the rule that should find it. A new family is a file and a line in
//! [`FAMILIES`]. Not for the ordinary days around them.

mod anonymiser_login;
mod api_token;
mod audit_disabled;
mod brute_force;
mod brute_force_success;
mod bulk_export;
mod concurrent_sessions;
mod credential_stuffing;
mod dormant_account;
mod first_seen_risk;
mod guest_enumeration;
mod honeytoken;
mod impossible_travel;
mod integration_network;
mod leaver_export;
mod login_as;
mod mass_delete;
mod mass_share;
mod mass_update;
mod mfa_fatigue;
mod mfa_removed;
mod oauth_app;
mod off_hours_export;
mod password_spray;
mod privilege_escalation;
mod public_exposure;
mod query_reconnaissance;
mod record_enumeration;
mod record_snooping;
mod session_hijack;
mod slow_exfiltration;
pub(super) mod source_silent;
mod success_after_attack;
mod web_attack;

use std::collections::BTreeSet;

use super::Company;
use super::label::Incident;
use super::rng::Rng;
use super::scene::{Moment, Scene, last_day, peace};

/// One way of doing it.
#[derive(Debug, Clone, Copy)]
pub struct Variant {
    /// What is particular about it.
    pub name: &'static str,
    /// Lays it out; nothing where nobody fits at that moment.
    pub make: fn(&mut Scene<'_>) -> Option<Incident>,
    /// Over within minutes, so fit for a demonstration.
    pub live: bool,
    /// How many days it needs.
    pub days: i64,
}

/// The ways of one family.
pub type Family = &'static [Variant];

/// Every family.
pub const FAMILIES: &[Family] = &[
    impossible_travel::FAMILY,
    bulk_export::FAMILY,
    brute_force::FAMILY,
    brute_force_success::FAMILY,
    password_spray::FAMILY,
    credential_stuffing::FAMILY,
    leaver_export::FAMILY,
    slow_exfiltration::FAMILY,
    off_hours_export::FAMILY,
    oauth_app::FAMILY,
    privilege_escalation::FAMILY,
    login_as::FAMILY,
    mass_delete::FAMILY,
    mass_share::FAMILY,
    record_enumeration::FAMILY,
    query_reconnaissance::FAMILY,
    dormant_account::FAMILY,
    api_token::FAMILY,
    audit_disabled::FAMILY,
    honeytoken::FAMILY,
    mfa_fatigue::FAMILY,
    mfa_removed::FAMILY,
    integration_network::FAMILY,
    mass_update::FAMILY,
    record_snooping::FAMILY,
    public_exposure::FAMILY,
    first_seen_risk::FAMILY,
    success_after_attack::FAMILY,
    session_hijack::FAMILY,
    concurrent_sessions::FAMILY,
    anonymiser_login::FAMILY,
    guest_enumeration::FAMILY,
    web_attack::FAMILY,
    source_silent::FAMILY,
];

const fn variant(name: &'static str, make: fn(&mut Scene<'_>) -> Option<Incident>) -> Variant {
    Variant { name, make, live: false, days: 1 }
}

impl Variant {
    const fn live(self) -> Variant {
        Variant { live: true, ..self }
    }

    const fn over(self, days: i64) -> Variant {
        Variant { days, ..self }
    }
}

/// Those fit for a demonstration: one of each family, then the next of each, so that no two of a kind follow each other. The export comes
/// first, as the one that needs no explaining.
pub fn live() -> Vec<Variant> {
    let families: Vec<Vec<Variant>> =
        FAMILIES.iter().map(|family| family.iter().filter(|variant| variant.live).copied().collect()).collect();
    let rounds = families.iter().map(Vec::len).max().unwrap_or(0);
    let (travel, others) = families.split_at(1);
    (0..rounds)
        .flat_map(|round| others.iter().chain(travel).filter_map(move |family| family.get(round)).copied())
        .collect()
}

/// Lays one out.
pub fn make(
    company: &Company,
    variant: Variant,
    moment: Moment,
    seed: u64,
    used: &mut BTreeSet<u32>,
) -> Option<Incident> {
    let mut scene = Scene { company, rng: Rng::of(seed, &[40]), moment, used };
    let mut incident = (variant.make)(&mut scene)?;
    incident.variant = variant.name;
    incident.acts.sort_by_key(|act| act.time);
    Some(incident)
}

/// Spreads all over the last two thirds of the history: each variant once, and more often in a larger company.
pub fn plan(company: &mut Company) {
    let mut used: BTreeSet<u32> = company.changes.keys().map(|(person, _)| *person).collect();
    let days = i64::from(company.plan.days);
    let times = 1 + company.plan.users as i64 * days / 4_000;
    let first = peace(company);
    for round in 0..times {
        for (nth, variant) in FAMILIES.iter().flat_map(|family| family.iter()).enumerate() {
            let mut rng = Rng::of(company.plan.seed, &[41, round as u64, nth as u64]);
            let last = last_day(company, variant.days);
            for _ in 0..12 {
                let moment = Moment::Day(rng.between(first, last.max(first)));
                let Some(incident) = make(company, *variant, moment, rng.next(), &mut used) else { continue };
                let (from, to) = incident.span();
                if from >= company.begin() && to < company.plan.end && company.can_tell(&incident) {
                    company.incidents.push(incident);
                    break;
                }
            }
        }
    }
}
