//! The token of a session is used elsewhere, with another browser, while its owner works on.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::System;
use crate::demo::agents;
use crate::demo::label::Incident;
use crate::demo::scene::{Scene, human};

/// The ways.
pub const FAMILY: Family = &[variant("another browser", token)];

fn token(scene: &mut Scene<'_>) -> Option<Incident> {
    // Only these write the session down.
    let met =
        scene.at_work(|person| human(person) && matches!(person.systems[0], System::Salesforce | System::Gateway))?;
    let country = scene.person(met.person).office().country;
    let (ip, at) = (scene.far(country), scene.later(met.last.time, 4));
    let device = agents::other_than(met.last.device, &mut scene.rng);
    let mut script = scene.script(met.person, met.last.system, ip, device, at);
    script.next.session = met.last.session;
    let territory = scene.person(met.person).territory;
    script.looks(18, territory, &mut scene.rng);
    let rules = &["session-hijack", "impossible-travel", "concurrent-sessions"];
    Some(Incident::attack("session-hijack", rules, Severity::High, script.acts).decided_by(0))
}
