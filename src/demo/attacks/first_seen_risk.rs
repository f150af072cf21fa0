//! A stranger with the right password, when its owner has long gone home: nothing but the surroundings tells.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::agents;
use crate::demo::clock::HOUR;
use crate::demo::label::Incident;
use crate::demo::people::Standing;
use crate::demo::scene::{Scene, human};

/// The ways.
pub const FAMILY: Family = &[
    variant("at night from far away", far_away),
    variant("at night through a home line of the same country", next_door),
];

fn far_away(scene: &mut Scene<'_>) -> Option<Incident> {
    stranger(scene, false)
}

fn next_door(scene: &mut Scene<'_>) -> Option<Incident> {
    Some(stranger(scene, true)?.stealthy())
}

fn stranger(scene: &mut Scene<'_>, near: bool) -> Option<Incident> {
    let fits = |person: &crate::demo::Person| {
        human(person) && !person.owl && matches!(person.systems[0], System::M365 | System::Salesforce | System::Portal)
    };
    let person = scene.somebody(|person| fits(person) && person.standing == Standing::Active)?;
    scene.used.insert(person);
    let (office, system) = (scene.person(person).office, scene.person(person).systems[0]);
    let country = scene.person(person).office().country;
    let at = scene.hour(office, 1.5, 3.0) + HOUR / 4;
    let desk = scene.person(person).desk_on(crate::demo::clock::day_of(at));
    let ip = if near { scene.line_in(country)? } else { scene.far(country) };
    let device = agents::other_than(desk, &mut scene.rng);
    let mut script = scene.script(person, system, ip, device, at);
    script.does(Deed::Login, &mut scene.rng, 15.0).looks(12, 800, &mut scene.rng);
    let rules = &["first-seen-risk", "impossible-travel", "anonymiser-login", "session-hijack", "concurrent-sessions"];
    Some(Incident::attack("first-seen-risk", rules, Severity::Medium, script.acts).decided_by(0))
}
