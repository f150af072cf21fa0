//! Requests that try to break the application: from outside, where many meet an answer, or in the name of somebody who is logged in.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System, Who};
use crate::demo::agents;
use crate::demo::label::Incident;
use crate::demo::scene::{Scene, human};

/// The ways.
pub const FAMILY: Family =
    &[variant("from outside, answered", outside).live(), variant("in a person's session, slowly", inside)];

const RULES: &[&str] = &["web-attack", "session-hijack", "impossible-travel", "anonymiser-login"];

fn outside(scene: &mut Scene<'_>) -> Option<Incident> {
    let (ip, at) = (scene.hosted(), scene.hour(0, 0.5, 23.0));
    let mut script = scene.script(0, System::Portal, ip, agents::Device::Chrome(2), at);
    script.next.who = Who::Nobody;
    for number in 0..scene.rng.between(40, 120) as u32 {
        let answered = scene.rng.chance(0.6);
        script.does(Deed::Inject { number, answered }, &mut scene.rng, 1.5);
    }
    // Ten that were answered: no scanner of the internet gets so far.
    let tenth =
        script.acts.iter().enumerate().filter(|(_, act)| matches!(act.deed, Deed::Inject { answered: true, .. }));
    let tenth = tenth.map(|(nth, _)| nth).nth(9)?;
    Some(Incident::attack("web-attack", RULES, Severity::Medium, script.acts).decided_by(tenth))
}

fn inside(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene.at_work(|person| human(person) && person.systems[0] == System::Portal)?;
    let at = scene.later(met.last.time, 5);
    let mut script = scene.script(met.person, met.last.system, met.last.ip, met.last.device, at);
    script.next.session = met.last.session;
    for number in 0..scene.rng.between(6, 14) as u32 {
        let answered = scene.rng.chance(0.5);
        script.does(Deed::Inject { number, answered }, &mut scene.rng, 30.0);
    }
    Some(Incident::attack("web-attack", RULES, Severity::Medium, script.acts).decided_by(2).stealthy())
}
