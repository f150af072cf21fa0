//! Somebody else works under a person's name from where that person cannot be.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Act, Deed};
use crate::demo::agents;
use crate::demo::label::Incident;
use crate::demo::scene::{Scene, human, names_both};

/// The ways.
pub const FAMILY: Family = &[
    variant("other continent", continent).live(),
    variant("neighbouring country", neighbour),
    variant("stolen session", replay).live(),
];

const RULES: &[&str] = &[
    "impossible-travel",
    "session-hijack",
    "concurrent-sessions",
    "first-seen-risk",
    "anonymiser-login",
    "bulk-export",
    "off-hours-export",
];

fn continent(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene.at_work(|person| human(person) && names_both(person))?;
    let (country, territory, desk) = {
        let person = scene.person(met.person);
        (person.office().country, person.territory, person.desk)
    };
    let (ip, at) = (scene.far(country), scene.later(met.last.time, 25));
    let device = agents::other_than(desk, &mut scene.rng);
    let mut script = scene.script(met.person, met.last.system, ip, device, at);
    let rng = &mut scene.rng;
    script.does(Deed::Login, rng, 8.0).looks(9, territory, rng);
    if rng.chance(0.5) {
        script.does(Deed::Export { id: 12, rows: rng.between(8_000, 40_000) as u32 }, rng, 20.0);
    }
    Some(Incident::attack("impossible-travel", RULES, Severity::High, script.acts).decided_by(0))
}

fn neighbour(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene.at_work(|person| human(person) && names_both(person))?;
    let (country, territory, desk) = {
        let person = scene.person(met.person);
        (person.office().country, person.territory, person.desk)
    };
    let (ip, at) = (scene.near(country)?, scene.later(met.last.time, 30));
    let device = agents::other_than(desk, &mut scene.rng);
    let mut script = scene.script(met.person, met.last.system, ip, device, at);
    script.does(Deed::Login, &mut scene.rng, 20.0).looks(14, territory, &mut scene.rng);
    let mut incident =
        Incident::attack("impossible-travel", RULES, Severity::Medium, script.acts).decided_by(0).stealthy();
    // A country's centre and radius are too rough for a neighbour.
    incident.needs_city = true;
    Some(incident)
}

fn replay(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene.at_work(|person| human(person) && names_both(person))?;
    let (country, territory) = (scene.person(met.person).office().country, scene.person(met.person).territory);
    let (ip, at) = (scene.far(country), scene.later(met.last.time, 6));
    let mut script = scene.script(met.person, met.last.system, ip, met.last.device, at);
    // No login: the token of the victim's session, with the victim's own agent pretended.
    script.next = Act { session: met.last.session, ..script.next };
    script.looks(16, territory, &mut scene.rng);
    Some(Incident::attack("impossible-travel", RULES, Severity::High, script.acts).decided_by(0).stealthy())
}
