//! A well-known integration's token is used from where it never was.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::agents;
use crate::demo::label::Incident;
use crate::demo::people::Role;
use crate::demo::scene::Scene;

/// The ways.
pub const FAMILY: Family = &[variant("a stolen token", stolen)];

fn stolen(scene: &mut Scene<'_>) -> Option<Incident> {
    let app = scene.somebody(|person| {
        person.role == Role::Integration && matches!(person.systems[0], System::Gateway | System::Salesforce)
    })?;
    let system = scene.person(app).systems[0];
    let (at, ip) = (scene.hour(0, 1.0, 22.0), scene.far("DE"));
    let mut script = scene.script(app, system, ip, agents::SCRIPT, at);
    for entity in 0..12 {
        script.does(Deed::Reconnoitre(entity), &mut scene.rng, 2.0);
    }
    for _ in 0..8 {
        let rows = scene.rng.between(4_000, 9_000) as u32;
        script.does(Deed::Bulk(rows), &mut scene.rng, 5.0);
    }
    let rules = &[
        "integration-new-network",
        "bulk-export",
        "query-reconnaissance",
        "impossible-travel",
        "session-hijack",
        "first-seen-risk",
    ];
    Some(Incident::attack("integration-new-network", rules, Severity::High, script.acts).decided_by(13))
}
