//! One password tried on many accounts: from one address, or from many at once.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::agents;
use crate::demo::label::Incident;
use crate::demo::people::Role;
use crate::demo::scene::Scene;

/// The ways.
pub const FAMILY: Family = &[
    variant("one address", single).live(),
    variant("many addresses", distributed),
    variant("home lines, each once, over hours", trickled),
];

const RULES: &[&str] = &["password-spray", "credential-stuffing", "brute-force", "success-after-attack"];

/// Accounts of one system, in random order.
pub(super) fn accounts(scene: &mut Scene<'_>, system: System, count: usize) -> Vec<u32> {
    let mut all: Vec<u32> = scene
        .company
        .people
        .iter()
        .filter(|person| {
            person.role != Role::Integration && (system == System::M365 || person.systems.contains(&system))
        })
        .map(|person| person.index)
        .collect();
    scene.rng.shuffle(&mut all);
    all.truncate(count);
    all
}

fn single(scene: &mut Scene<'_>) -> Option<Incident> {
    let system = *scene.rng.pick(&[System::M365, System::Portal]);
    let count = scene.rng.between(25, 60) as usize;
    let victims = accounts(scene, system, count);
    if victims.len() < 12 {
        return None;
    }
    let (ip, at) = (scene.hosted(), scene.hour(0, 1.0, 22.0));
    let mut script = scene.script(victims[0], system, ip, agents::SCRIPT, at);
    for victim in victims {
        script.next.who = crate::demo::act::Who::Person(victim);
        script.does(Deed::WrongPassword, &mut scene.rng, 1.5);
    }
    Some(Incident::attack("password-spray", RULES, Severity::Medium, script.acts).decided_by(11))
}

fn distributed(scene: &mut Scene<'_>) -> Option<Incident> {
    let victims = accounts(scene, System::M365, 45);
    if victims.len() < 15 {
        return None;
    }
    let addresses: Vec<_> = (0..14).map(|_| scene.anywhere()).collect();
    let at = scene.hour(0, 1.0, 22.0);
    let mut script = scene.script(victims[0], System::M365, addresses[0], agents::SCRIPT, at);
    for (nth, victim) in victims.into_iter().enumerate() {
        script.next.who = crate::demo::act::Who::Person(victim);
        script.next.ip = addresses[nth % addresses.len()];
        script.does(Deed::WrongPassword, &mut scene.rng, 10.0);
    }
    Some(Incident::attack("password-spray", RULES, Severity::Medium, script.acts).decided_by(14).stealthy())
}

/// As bought by the thousand: each try through another home line, minutes apart, always with the same program.
fn trickled(scene: &mut Scene<'_>) -> Option<Incident> {
    let victims = accounts(scene, System::M365, 60);
    if victims.len() < 40 {
        return None;
    }
    let (at, first) = (scene.hour(0, 1.0, 14.0), scene.anywhere());
    let mut script = scene.script(victims[0], System::M365, first, agents::SCRIPT, at);
    for victim in victims {
        script.next.who = crate::demo::act::Who::Person(victim);
        script.next.ip = scene.anywhere();
        script.does(Deed::WrongPassword, &mut scene.rng, 120.0);
    }
    Some(Incident::attack("password-spray", RULES, Severity::Medium, script.acts).decided_by(24).stealthy())
}
