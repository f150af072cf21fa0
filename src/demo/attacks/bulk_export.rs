//! Far more records leave than a person ever takes: at once, in slices, through the API, page by page.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::label::Incident;
use crate::demo::people::Role;
use crate::demo::scene::{Scene, human, measures};

/// The ways.
pub const FAMILY: Family = &[
    variant("one huge file", huge).live(),
    variant("many slices", slices),
    variant("through the API", through_api).live(),
    variant("page by page", pages),
];

const RULES: &[&str] =
    &["bulk-export", "slow-exfiltration", "off-hours-export", "record-enumeration", "record-snooping"];

fn modest(person: &crate::demo::Person) -> bool {
    human(person)
        && measures(person)
        && person.export_rows < 1_500.0
        && matches!(person.role, Role::Sales | Role::Support | Role::Admin)
}

/// From the person's own desk, in the middle of the day: only the amount is wrong.
fn own_desk(scene: &mut Scene<'_>, fits: impl Fn(&crate::demo::Person) -> bool) -> Option<crate::demo::scene::Script> {
    let met = scene.at_work(|person| modest(person) && fits(person))?;
    let at = scene.later(met.last.time, 3);
    let mut script = scene.script(met.person, met.last.system, met.last.ip, met.last.device, at);
    script.next.session = met.last.session;
    Some(script)
}

fn huge(scene: &mut Scene<'_>) -> Option<Incident> {
    let mut script = own_desk(scene, |_| true)?;
    let rows = scene.rng.between(60_000, 220_000) as u32;
    script.does(Deed::Report { id: 31, rows }, &mut scene.rng, 6.0).does(
        Deed::Export { id: 31, rows },
        &mut scene.rng,
        1.0,
    );
    Some(Incident::attack("bulk-export", RULES, Severity::High, script.acts))
}

fn slices(scene: &mut Scene<'_>) -> Option<Incident> {
    let mut script = own_desk(scene, |_| true)?;
    let count = scene.rng.between(60, 120) as u32;
    for nth in 0..count {
        let rows = scene.rng.between(250, 700) as u32;
        script.does(Deed::Export { id: 40 + nth, rows }, &mut scene.rng, 28.0);
    }
    // Some twelve thousand records in: no usual day of this person.
    Some(Incident::attack("bulk-export", RULES, Severity::High, script.acts).decided_by(25).stealthy())
}

fn through_api(scene: &mut Scene<'_>) -> Option<Incident> {
    let mut script = own_desk(scene, |person| matches!(person.systems[0], System::Salesforce | System::Portal))?;
    if script.next.system == System::Portal {
        script.next.system = System::Gateway;
    }
    script.next.device = crate::demo::agents::SCRIPT;
    let count = scene.rng.between(90, 200) as u32;
    for page in 0..count {
        script.does(Deed::Read { offset: page * 500, rows: 500 }, &mut scene.rng, 0.7);
    }
    Some(Incident::attack("bulk-export", RULES, Severity::High, script.acts).decided_by(30).stealthy())
}

fn pages(scene: &mut Scene<'_>) -> Option<Incident> {
    let mut script = own_desk(scene, |person| matches!(person.systems[0], System::Portal | System::Espo))?;
    for page in 1..=scene.rng.between(350, 700) as u32 {
        script.does(Deed::List(page), &mut scene.rng, 2.2);
    }
    Some(Incident::attack("bulk-export", RULES, Severity::Medium, script.acts).decided_by(150).stealthy())
}
