//! Somebody counts what there is, object by object, before taking it.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::agents;
use crate::demo::label::Incident;
use crate::demo::scene::{Scene, human};

/// The ways.
pub const FAMILY: Family = &[variant("counting objects", counting)];

fn counting(scene: &mut Scene<'_>) -> Option<Incident> {
    let met =
        scene.at_work(|person| human(person) && matches!(person.systems[0], System::Portal | System::Salesforce))?;
    let (at, ip) = (scene.later(met.last.time, 20), scene.hosted());
    let mut script = scene.script(met.person, System::Gateway, ip, agents::SCRIPT, at);
    script.does(Deed::Login, &mut scene.rng, 3.0);
    for entity in 0..80 {
        script.does(Deed::Reconnoitre(entity), &mut scene.rng, 1.5);
    }
    let rules = &[
        "query-reconnaissance",
        "first-seen-risk",
        "impossible-travel",
        "anonymiser-login",
        "session-hijack",
        "concurrent-sessions",
    ];
    Some(Incident::attack("query-reconnaissance", rules, Severity::Medium, script.acts).decided_by(30))
}
