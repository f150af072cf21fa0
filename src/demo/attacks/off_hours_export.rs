//! An export in the middle of the night by somebody who never works then.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::Deed;
use crate::demo::label::Incident;
use crate::demo::people::Standing;
use crate::demo::scene::{Scene, human, measures};

/// The ways.
pub const FAMILY: Family = &[variant("at three in the morning", night)];

fn night(scene: &mut Scene<'_>) -> Option<Incident> {
    let fits = |person: &crate::demo::Person| human(person) && measures(person) && !person.owl && person.weekends < 0.1;
    let person = scene.somebody(|person| fits(person) && person.standing == Standing::Active)?;
    scene.used.insert(person);
    let (office, system) = (scene.person(person).office, scene.person(person).systems[0]);
    let at = scene.hour(office, 2.0, 4.0);
    let desk = scene.person(person).desk_on(crate::demo::clock::day_of(at));
    let ip = scene.person(person).home_address(crate::demo::clock::day_of(at));
    let mut script = scene.script(person, system, ip, desk, at);
    script.does(Deed::Login, &mut scene.rng, 25.0);
    for id in 80..83 {
        let rows = scene.rng.between(1_800, 5_000) as u32;
        script.does(Deed::Export { id, rows }, &mut scene.rng, 60.0);
    }
    let rules = &["off-hours-export", "bulk-export", "first-seen-risk"];
    Some(Incident::attack("off-hours-export", rules, Severity::Medium, script.acts).decided_by(1))
}
