//! Records are shared outside, or given to another owner, by the hundred.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, Scope, System};
use crate::demo::label::Incident;
use crate::demo::scene::{Scene, human};

/// The ways.
pub const FAMILY: Family = &[variant("with an outside address", outside), variant("new owner", owner)];

const RULES: &[&str] = &["mass-share", "public-exposure", "mass-update"];

fn outside(scene: &mut Scene<'_>) -> Option<Incident> {
    shared(scene, 150, |id| Deed::Share(id, Scope::External))
}

fn owner(scene: &mut Scene<'_>) -> Option<Incident> {
    shared(scene, 260, Deed::Assign)
}

fn shared(scene: &mut Scene<'_>, count: u32, deed: impl Fn(u32) -> Deed) -> Option<Incident> {
    let met = scene.at_work(|person| human(person) && matches!(person.systems[0], System::Portal | System::Gateway))?;
    let (at, territory) = (scene.later(met.last.time, 4), scene.person(met.person).territory);
    let mut script = scene.script(met.person, System::Gateway, met.last.ip, met.last.device, at);
    for nth in 0..count {
        script.does(deed(territory + nth), &mut scene.rng, 2.0);
    }
    Some(Incident::attack("mass-share", RULES, Severity::High, script.acts).decided_by(100))
}
