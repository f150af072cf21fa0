//! A record is opened that exists only as a trap.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::label::Incident;
use crate::demo::scene::{HONEYTOKENS, Scene, human};

/// The ways.
pub const FAMILY: Family = &[variant("one look", look).live()];

fn look(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene.at_work(|person| human(person) && matches!(person.systems[0], System::Portal | System::Gateway))?;
    let (at, id) = (scene.later(met.last.time, 3), *scene.rng.pick(&HONEYTOKENS));
    let mut script = scene.script(met.person, System::Gateway, met.last.ip, met.last.device, at);
    script.does(Deed::View(id), &mut scene.rng, 1.0);
    Some(
        Incident::attack("honeytoken-touched", &["honeytoken-touched", "record-snooping"], Severity::High, script.acts)
            .stealthy(),
    )
}
