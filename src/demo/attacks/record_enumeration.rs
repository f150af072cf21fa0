//! Record numbers are tried one after the other, whether they exist or not.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::agents;
use crate::demo::label::Incident;
use crate::demo::scene::{Scene, human};

/// The ways.
pub const FAMILY: Family = &[variant("counting up", counting), variant("in random order, slower", shuffled)];

const RULES: &[&str] = &["record-enumeration", "record-snooping", "bulk-export"];

fn counting(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene.at_work(|person| human(person) && person.systems[0] == System::Portal)?;
    let at = scene.later(met.last.time, 4);
    let mut script = scene.script(met.person, met.last.system, met.last.ip, agents::SCRIPT, at);
    for id in 0..scene.rng.between(600, 1_200) as u32 {
        script.does(Deed::View(1_000 + id), &mut scene.rng, 0.8);
    }
    Some(Incident::attack("record-enumeration", RULES, Severity::Medium, script.acts).decided_by(200))
}

fn shuffled(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene.at_work(|person| human(person) && matches!(person.systems[0], System::Portal | System::Espo))?;
    let at = scene.later(met.last.time, 4);
    let mut script = scene.script(met.person, met.last.system, met.last.ip, met.last.device, at);
    for _ in 0..scene.rng.between(500, 800) {
        let id = scene.rng.below(200_000) as u32;
        script.does(Deed::View(id), &mut scene.rng, 4.0);
    }
    Some(Incident::attack("record-enumeration", RULES, Severity::Medium, script.acts).decided_by(300).stealthy())
}
