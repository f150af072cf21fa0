//! Many passwords, and then the right one.

use crmwatch_detectors::Severity;

use super::brute_force::guesses;
use super::{Family, variant};
use crate::demo::act::Deed;
use crate::demo::label::Incident;
use crate::demo::scene::Scene;

/// The ways.
pub const FAMILY: Family = &[variant("same address", same).live(), variant("success from another address", elsewhere)];

const RULES: &[&str] = &[
    "brute-force-success",
    "brute-force",
    "success-after-attack",
    "first-seen-risk",
    "anonymiser-login",
    "impossible-travel",
    "bulk-export",
];

fn same(scene: &mut Scene<'_>) -> Option<Incident> {
    let count = scene.rng.between(18, 45);
    let mut script = guesses(scene, count, 1.5)?;
    let success = script.acts.len();
    script.does(Deed::Login, &mut scene.rng, 4.0).looks(6, 900, &mut scene.rng);
    Some(Incident::attack("brute-force-success", RULES, Severity::High, script.acts).decided_by(success))
}

fn elsewhere(scene: &mut Scene<'_>) -> Option<Incident> {
    let count = scene.rng.between(14, 20);
    let mut script = guesses(scene, count, 12.0)?;
    let success = script.acts.len();
    script.next.ip = scene.hosted();
    script.does(Deed::Login, &mut scene.rng, 9.0).looks(4, 900, &mut scene.rng);
    Some(Incident::attack("brute-force-success", RULES, Severity::High, script.acts).decided_by(success).stealthy())
}
