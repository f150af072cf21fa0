//! An administrator gives himself every right and uses it at once.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::label::Incident;
use crate::demo::people::Role;
use crate::demo::scene::Scene;

/// The ways.
pub const FAMILY: Family = &[variant("to oneself", oneself).live()];

fn oneself(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene.at_work(|person| person.role == Role::Admin || person.role == Role::Ops)?;
    let at = scene.later(met.last.time, 8);
    let mut script = scene.script(met.person, System::Gateway, met.last.ip, met.last.device, at);
    script.does(Deed::Grant { target: met.person }, &mut scene.rng, 15.0);
    for id in 90..93 {
        let rows = scene.rng.between(6_000, 20_000) as u32;
        script.does(Deed::Export { id, rows }, &mut scene.rng, 12.0);
    }
    let rules = &["privilege-escalation-then-export", "bulk-export"];
    Some(Incident::attack("privilege-escalation-then-export", rules, Severity::High, script.acts).decided_by(1))
}
