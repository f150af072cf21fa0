//! An account nobody has used for long, or that should be locked, comes to life.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::agents;
use crate::demo::label::Incident;
use crate::demo::people::Standing;
use crate::demo::scene::{Scene, human};

/// The ways.
pub const FAMILY: Family = &[variant("a leaver's account", gone).live()];

fn gone(scene: &mut Scene<'_>) -> Option<Incident> {
    let person = scene.somebody(|person| {
        human(person) && person.systems[0] != System::Suite && matches!(person.standing, Standing::Gone(_))
    })?;
    scene.used.insert(person);
    let (office, system, territory) =
        (scene.person(person).office, scene.person(person).systems[0], scene.person(person).territory);
    let (at, ip) = (scene.hour(office, 1.0, 22.0), scene.anywhere());
    let device = agents::desktop(&mut scene.rng);
    let mut script = scene.script(person, system, ip, device, at);
    script.does(Deed::Login, &mut scene.rng, 6.0).looks(10, territory, &mut scene.rng);
    let rules = &["dormant-account", "first-seen-risk", "leaver-export"];
    Some(Incident::attack("dormant-account", rules, Severity::High, script.acts).decided_by(0))
}
