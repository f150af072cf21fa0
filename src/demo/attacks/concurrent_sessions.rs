//! One password, sold to several: they all come within the hour.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::agents;
use crate::demo::clock::MINUTE;
use crate::demo::label::Incident;
use crate::demo::scene::{Scene, human};

/// The ways.
pub const FAMILY: Family = &[variant("three buyers", sold)];

fn sold(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene.at_work(|person| {
        human(person) && matches!(person.systems[0], System::Salesforce | System::Gateway | System::M365)
    })?;
    let country = scene.person(met.person).office().country;
    let at = scene.later(met.last.time, 20);
    let mut acts = Vec::new();
    for buyer in 0..3 {
        let (ip, device) = (scene.far(country), agents::desktop(&mut scene.rng));
        let mut script = scene.script(met.person, met.last.system, ip, device, at + buyer * 9 * MINUTE);
        script.does(Deed::Login, &mut scene.rng, 20.0).looks(25, 700, &mut scene.rng);
        acts.extend(script.acts);
    }
    acts.sort_by_key(|act| act.time);
    let third = acts.iter().enumerate().filter(|(_, act)| act.deed == Deed::Login).nth(2).map_or(0, |(nth, _)| nth);
    let rules = &["concurrent-sessions", "impossible-travel", "first-seen-risk", "session-hijack", "anonymiser-login"];
    Some(Incident::attack("concurrent-sessions", rules, Severity::High, acts).decided_by(third))
}
