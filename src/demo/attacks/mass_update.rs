//! Thousands of records are overwritten: at once, or in pieces that each look like work.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::label::Incident;
use crate::demo::people::Role;
use crate::demo::scene::Scene;

/// The ways.
pub const FAMILY: Family = &[variant("at once", at_once), variant("in pieces", in_pieces)];

const RULES: &[&str] = &["mass-update", "mass-delete"];

fn overwritten(scene: &mut Scene<'_>, commands: i64, rows: u32, seconds: f64) -> Option<Incident> {
    let met = scene.at_work(|person| {
        matches!(person.role, Role::Sales | Role::Support | Role::Marketing) && person.systems[0] == System::Portal
    })?;
    let at = scene.later(met.last.time, 5);
    let mut script = scene.script(met.person, System::Gateway, met.last.ip, met.last.device, at);
    for _ in 0..commands {
        script.does(Deed::BulkUpdate(rows), &mut scene.rng, seconds);
    }
    let enough = 10_000 / rows as usize;
    Some(Incident::attack("mass-update", RULES, Severity::Medium, script.acts).decided_by(enough))
}

fn at_once(scene: &mut Scene<'_>) -> Option<Incident> {
    overwritten(scene, 12, 4_000, 20.0)
}

fn in_pieces(scene: &mut Scene<'_>) -> Option<Incident> {
    Some(overwritten(scene, 60, 400, 25.0)?.stealthy())
}
