//! A stolen password is used from a server that somebody rents, in the middle of the owner's day. Only a database of network owners
//! tells what kind of network it is; the country, the city and the browser tell something without.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::agents;
use crate::demo::label::Incident;
use crate::demo::scene::{Scene, human};

/// The ways.
pub const FAMILY: Family = &[variant("through a rented server", rented), variant("in the owner's own country", near)];

const RULES: &[&str] =
    &["anonymiser-login", "first-seen-risk", "impossible-travel", "session-hijack", "concurrent-sessions"];

fn stranger(scene: &mut Scene<'_>, own_country: bool) -> Option<Incident> {
    let met = scene.at_work(|person| {
        human(person)
            && !person.own_vpn
            && matches!(person.systems[0], System::Portal | System::Salesforce | System::M365)
            && (!own_country || matches!(person.office().country, "US" | "GB"))
    })?;
    let country = scene.person(met.person).office().country;
    let (ip, at) =
        (scene.hosted_where(|block| (block.country == country) == own_country)?, scene.later(met.last.time, 70));
    let device = agents::other_than(met.last.device, &mut scene.rng);
    let mut script = scene.script(met.person, met.last.system, ip, device, at);
    script.does(Deed::Login, &mut scene.rng, 12.0).looks(8, 600, &mut scene.rng);
    Some(Incident::attack("anonymiser-login", RULES, Severity::Medium, script.acts).decided_by(0))
}

fn rented(scene: &mut Scene<'_>) -> Option<Incident> {
    stranger(scene, false)
}

fn near(scene: &mut Scene<'_>) -> Option<Incident> {
    let mut incident = stranger(scene, true)?.stealthy();
    // At the owner's hours, in the owner's city, a new browser is a new computer: only the network's owner tells.
    incident.needs_owner = true;
    Some(incident)
}
