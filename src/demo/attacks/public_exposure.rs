//! Customers are opened to whoever has the link.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, Scope, System};
use crate::demo::label::Incident;
use crate::demo::scene::{Scene, human};

/// The ways.
pub const FAMILY: Family = &[variant("a few links", links)];

fn links(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene.at_work(|person| human(person) && matches!(person.systems[0], System::Portal | System::Gateway))?;
    let (at, territory) = (scene.later(met.last.time, 6), scene.person(met.person).territory);
    let mut script = scene.script(met.person, System::Gateway, met.last.ip, met.last.device, at);
    for nth in 0..scene.rng.between(2, 6) as u32 {
        script.does(Deed::Share(territory + nth, Scope::Public), &mut scene.rng, 30.0);
    }
    let rules = &["public-exposure", "mass-share"];
    Some(Incident::attack("public-exposure", rules, Severity::Medium, script.acts).decided_by(0))
}
