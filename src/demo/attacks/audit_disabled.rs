//! Auditing is switched off, and then the work is done.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::label::Incident;
use crate::demo::people::Role;
use crate::demo::scene::Scene;

/// The ways.
pub const FAMILY: Family = &[variant("then an export", blind)];

fn blind(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene.at_work(|person| matches!(person.role, Role::Admin | Role::Ops))?;
    let at = scene.later(met.last.time, 8);
    let mut script = scene.script(met.person, System::Gateway, met.last.ip, met.last.device, at);
    let rows = scene.rng.between(4_000, 12_000) as u32;
    script.does(Deed::AuditOff, &mut scene.rng, 60.0).does(Deed::Export { id: 99, rows }, &mut scene.rng, 5.0);
    let rules = &["audit-disabled-then-activity", "bulk-export"];
    Some(Incident::attack("audit-disabled-then-activity", rules, Severity::High, script.acts).decided_by(1))
}
