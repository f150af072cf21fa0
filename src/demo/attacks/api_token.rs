//! A new key to the API, made in a taken-over session, that outlives the next password.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::agents;
use crate::demo::label::Incident;
use crate::demo::scene::{Scene, human};

/// The ways.
pub const FAMILY: Family = &[variant("made by a stranger", stranger)];

fn stranger(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene.at_work(|person| human(person) && matches!(person.systems[0], System::Portal | System::Gateway))?;
    let (at, ip) = (scene.later(met.last.time, 35), scene.hosted());
    let device = agents::desktop(&mut scene.rng);
    let mut script = scene.script(met.person, System::Gateway, ip, device, at);
    script.does(Deed::Login, &mut scene.rng, 10.0).does(Deed::Token, &mut scene.rng, 5.0).looks(4, 700, &mut scene.rng);
    let rules = &[
        "api-token-created",
        "first-seen-risk",
        "impossible-travel",
        "anonymiser-login",
        "session-hijack",
        "concurrent-sessions",
    ];
    Some(Incident::attack("api-token-created", rules, Severity::Medium, script.acts).decided_by(1))
}
