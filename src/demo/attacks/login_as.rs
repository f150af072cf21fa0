//! An administrator takes another person's place and exports there.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System, Who};
use crate::demo::label::Incident;
use crate::demo::people::Role;
use crate::demo::scene::{Scene, human};

/// The ways.
pub const FAMILY: Family = &[variant("in a salesman's place", borrowed).live()];

fn borrowed(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene.at_work(|person| person.role == Role::Admin)?;
    let target = scene
        .somebody(|person| human(person) && person.systems.contains(&System::Portal) && person.index != met.person)?;
    scene.used.insert(target);
    let at = scene.later(met.last.time, 8);
    let mut script = scene.script(met.person, System::Gateway, met.last.ip, met.last.device, at);
    script.does(Deed::LoginAs { target }, &mut scene.rng, 10.0);
    script.next.who = Who::Person(target);
    for id in 95..97 {
        let rows = scene.rng.between(5_000, 15_000) as u32;
        script.does(Deed::Export { id, rows }, &mut scene.rng, 10.0);
    }
    let rules = &["login-as-then-export", "bulk-export", "session-hijack", "concurrent-sessions", "impossible-travel"];
    Some(Incident::attack("login-as-then-export", rules, Severity::High, script.acts).decided_by(1))
}
