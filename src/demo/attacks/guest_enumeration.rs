//! A visitor who never logs in goes through what the customers' portal lets visitors see.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System, Who};
use crate::demo::agents;
use crate::demo::label::Incident;
use crate::demo::scene::{Scene, Script};

/// The ways.
pub const FAMILY: Family = &[variant("every kind of record", kinds).live(), variant("record by record", records)];

const RULES: &[&str] = &["guest-enumeration", "record-enumeration", "query-reconnaissance"];

fn visitor(scene: &mut Scene<'_>, ip: std::net::IpAddr, device: agents::Device) -> Script {
    let at = scene.hour(0, 0.5, 22.0);
    let mut script = scene.script(0, System::Gateway, ip, device, at);
    script.next.who = Who::Guest;
    script
}

fn kinds(scene: &mut Scene<'_>) -> Option<Incident> {
    let ip = scene.hosted();
    let mut script = visitor(scene, ip, agents::SCRIPT);
    for kind in 0..scene.rng.between(25, 70) as u32 {
        script.does(Deed::Reconnoitre(kind), &mut scene.rng, 2.0);
    }
    Some(Incident::attack("guest-enumeration", RULES, Severity::Medium, script.acts).decided_by(12))
}

fn records(scene: &mut Scene<'_>) -> Option<Incident> {
    let (ip, device) = (scene.anywhere(), agents::desktop(&mut scene.rng));
    let mut script = visitor(scene, ip, device);
    for _ in 0..scene.rng.between(350, 600) {
        let id = scene.rng.below(200_000) as u32;
        script.does(Deed::View(id), &mut scene.rng, 7.0);
    }
    Some(Incident::attack("guest-enumeration", RULES, Severity::Medium, script.acts).decided_by(200).stealthy())
}
