//! A spray finds a password; hours later somebody uses it from elsewhere.

use crmwatch_detectors::Severity;

use super::password_spray::accounts;
use super::{Family, variant};
use crate::demo::act::{Deed, System, Who};
use crate::demo::agents;
use crate::demo::clock::HOUR;
use crate::demo::label::Incident;
use crate::demo::scene::Scene;

/// The ways.
pub const FAMILY: Family = &[variant("from the same address", same), variant("hours later from another", elsewhere)];

const RULES: &[&str] = &[
    "success-after-attack",
    "password-spray",
    "credential-stuffing",
    "first-seen-risk",
    "impossible-travel",
    "anonymiser-login",
];

fn sprayed(scene: &mut Scene<'_>, moves: bool) -> Option<Incident> {
    let victims = accounts(scene, System::M365, 35);
    if victims.len() < 20 {
        return None;
    }
    // Somebody to whom nothing else happens.
    let hit = *victims.iter().find(|victim| !scene.used.contains(victim))?;
    scene.used.insert(hit);
    let (ip, at) = (scene.hosted(), scene.hour(0, 9.0, 15.0));
    let mut script = scene.script(victims[0], System::M365, ip, agents::SCRIPT, at);
    for victim in &victims {
        script.next.who = Who::Person(*victim);
        script.does(Deed::WrongPassword, &mut scene.rng, 2.0);
    }
    script.next.who = Who::Person(hit);
    if moves {
        let country = scene.person(hit).office().country;
        script.next.ip = scene.far(country);
        script.next.device = agents::desktop(&mut scene.rng);
        script.waits(2 * HOUR);
    }
    let success = script.acts.len();
    script.does(Deed::Login, &mut scene.rng, 9.0).looks(6, 900, &mut scene.rng);
    Some(Incident::attack("success-after-attack", RULES, Severity::High, script.acts).decided_by(success))
}

fn same(scene: &mut Scene<'_>) -> Option<Incident> {
    sprayed(scene, false)
}

fn elsewhere(scene: &mut Scene<'_>) -> Option<Incident> {
    Some(sprayed(scene, true)?.stealthy())
}
