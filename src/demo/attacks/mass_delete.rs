//! Records are deleted by the hundred.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::label::Incident;
use crate::demo::scene::{Scene, human};

/// The ways.
pub const FAMILY: Family = &[variant("one by one, fast", singly), variant("in bulk", bulk).live()];

const RULES: &[&str] = &["mass-delete", "mass-update"];

fn singly(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene
        .at_work(|person| human(person) && matches!(person.systems[0], System::Portal | System::Espo | System::M365))?;
    let (at, territory) = (scene.later(met.last.time, 4), scene.person(met.person).territory);
    let mut script = scene.script(met.person, met.last.system, met.last.ip, met.last.device, at);
    for nth in 0..scene.rng.between(350, 700) as u32 {
        script.does(Deed::Delete(territory + nth), &mut scene.rng, 1.5);
    }
    Some(Incident::attack("mass-delete", RULES, Severity::High, script.acts).decided_by(120))
}

fn bulk(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene.at_work(|person| human(person) && matches!(person.systems[0], System::Portal | System::Gateway))?;
    let at = scene.later(met.last.time, 4);
    let mut script = scene.script(met.person, System::Gateway, met.last.ip, met.last.device, at);
    for _ in 0..6 {
        let count = scene.rng.between(1_500, 4_000) as u32;
        script.does(Deed::BulkDelete(count), &mut scene.rng, 8.0);
    }
    Some(Incident::attack("mass-delete", RULES, Severity::High, script.acts).decided_by(1))
}
