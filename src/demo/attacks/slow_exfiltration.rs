//! A little more than usual every day, for days: no single day is remarkable.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::Deed;
use crate::demo::clock::{self, HOUR};
use crate::demo::label::Incident;
use crate::demo::scene::{Scene, human, measures};

/// How many days it goes on.
const DAYS: i64 = 8;

/// The ways.
pub const FAMILY: Family = &[variant("eight working days", drip).over(13)];

fn drip(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene
        .at_work(|person| human(person) && measures(person) && person.export_rows < 1_200.0 && person.exports < 0.5)?;
    let zone = scene.person(met.person).office().zone;
    let usual = scene.person(met.person).export_rows;
    let mut script = scene.script(met.person, met.last.system, met.last.ip, met.last.device, met.last.time);
    let first = clock::day_of(met.last.time);
    for day in (first..).filter(|&day| clock::weekday(day) < 5).take(DAYS as usize) {
        script.next.time = clock::midnight(day, zone) + 10 * HOUR + scene.rng.between(0, 4 * HOUR);
        for id in 70..73 {
            let rows = (usual * (2.0 + scene.rng.unit())).max(600.0) as u32;
            script.does(Deed::Export { id, rows }, &mut scene.rng, 900.0);
        }
    }
    let rules = &["slow-exfiltration", "bulk-export"];
    Some(Incident::attack("slow-exfiltration", rules, Severity::Medium, script.acts).decided_by(15).stealthy())
}
