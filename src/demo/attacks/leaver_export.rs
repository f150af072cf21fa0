//! Somebody under notice takes the book of customers along.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::Deed;
use crate::demo::label::Incident;
use crate::demo::people::Standing;
use crate::demo::scene::{Scene, human, measures};

/// The ways.
pub const FAMILY: Family = &[variant("from home, before leaving", farewell)];

fn farewell(scene: &mut Scene<'_>) -> Option<Incident> {
    let person =
        scene.somebody(|person| human(person) && measures(person) && matches!(person.standing, Standing::Notice(_)))?;
    scene.used.insert(person);
    let (office, system) = (scene.person(person).office, scene.person(person).systems[0]);
    let at = scene.hour(office, 10.0, 17.0);
    let desk = scene.person(person).desk_on(crate::demo::clock::day_of(at));
    let ip = scene.person(person).home_address(crate::demo::clock::day_of(at));
    let mut script = scene.script(person, system, ip, desk, at);
    script.does(Deed::Login, &mut scene.rng, 20.0);
    // Who takes no more than on any day cannot be told from himself: it is more than his work needs.
    let usual = scene.person(person).export_rows;
    for id in 60..64 {
        let rows = (scene.rng.between(2_500, 6_000) as f64).max(usual * (2.5 + scene.rng.unit())) as u32;
        script.does(Deed::Export { id, rows }, &mut scene.rng, 90.0);
    }
    let rules = &["leaver-export", "bulk-export", "slow-exfiltration", "off-hours-export"];
    Some(Incident::attack("leaver-export", rules, Severity::High, script.acts).decided_by(2))
}
