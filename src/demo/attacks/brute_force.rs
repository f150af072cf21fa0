//! One account, many passwords, none of them right.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::agents;
use crate::demo::label::Incident;
use crate::demo::people::Standing;
use crate::demo::scene::{Scene, Script, human};

/// The ways.
pub const FAMILY: Family = &[variant("fast", fast).live(), variant("slow", slow)];

/// Guesses passwords of somebody, whoever it is; the account need not be in use at the time.
pub(super) fn guesses(scene: &mut Scene<'_>, count: i64, seconds: f64) -> Option<Script> {
    let person = scene.somebody(|person| {
        human(person) && person.standing == Standing::Active && person.systems[0] != System::Suite
    })?;
    scene.used.insert(person);
    let (office, system) = (scene.person(person).office, scene.person(person).systems[0]);
    let (at, ip) = (scene.hour(office, 0.5, 23.0), scene.hosted());
    let mut script = scene.script(person, system, ip, agents::SCRIPT, at);
    for _ in 0..count {
        script.does(Deed::WrongPassword, &mut scene.rng, seconds);
    }
    Some(script)
}

fn fast(scene: &mut Scene<'_>) -> Option<Incident> {
    let count = scene.rng.between(25, 80);
    let script = guesses(scene, count, 1.2)?;
    Some(
        Incident::attack("brute-force", &["brute-force", "password-spray"], Severity::Medium, script.acts)
            .decided_by(9),
    )
}

fn slow(scene: &mut Scene<'_>) -> Option<Incident> {
    let count = scene.rng.between(30, 50);
    let script = guesses(scene, count, 20.0)?;
    Some(Incident::attack("brute-force", &["brute-force"], Severity::Medium, script.acts).decided_by(14).stealthy())
}
