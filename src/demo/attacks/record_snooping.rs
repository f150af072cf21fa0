//! Somebody reads through customers that are none of his, one by one, as a person does.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::Deed;
use crate::demo::label::Incident;
use crate::demo::people::Role;
use crate::demo::scene::{Scene, names_both};

/// The ways.
pub const FAMILY: Family = &[variant("another's customers", curious), variant("over a long day", patient)];

const RULES: &[&str] = &["record-snooping", "record-enumeration", "bulk-export"];

fn reads(scene: &mut Scene<'_>, count: u32, seconds: f64) -> Option<Incident> {
    let met = scene.at_work(|person| {
        matches!(person.role, Role::Sales | Role::Support | Role::Marketing) && names_both(person) && person.busy < 1.5
    })?;
    let at = scene.later(met.last.time, 2);
    let mut script = scene.script(met.person, met.last.system, met.last.ip, met.last.device, at);
    script.next.session = met.last.session;
    let foreign = scene.person(met.person).territory + 60_000;
    for _ in 0..count {
        script.does(Deed::View(foreign + scene.rng.below(9_000) as u32), &mut scene.rng, seconds);
    }
    // Three hundred different ones are no day's work of this company.
    Some(Incident::attack("record-snooping", RULES, Severity::Medium, script.acts).decided_by(count as usize * 2 / 3))
}

fn curious(scene: &mut Scene<'_>) -> Option<Incident> {
    reads(scene, 600, 9.0)
}

fn patient(scene: &mut Scene<'_>) -> Option<Incident> {
    Some(reads(scene, 480, 26.0)?.stealthy())
}
