//! A person is talked into admitting a programme, which then reads everything.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::agents::Device;
use crate::demo::label::Incident;
use crate::demo::scene::{Scene, human};

/// The ways.
pub const FAMILY: Family = &[variant("a renamed loader", loader).live()];

fn loader(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene.at_work(|person| human(person) && matches!(person.systems[0], System::Portal | System::Gateway))?;
    let (at, ip, app) = (scene.later(met.last.time, 5), scene.hosted(), scene.rng.between(100, 999) as u32);
    let mut script = scene.script(met.person, System::Gateway, met.last.ip, met.last.device, at);
    script.does(Deed::Consent(app), &mut scene.rng, 14.0);
    script.next.ip = ip;
    script.next.device = Device::Program(5);
    for _ in 0..12 {
        let rows = scene.rng.between(2_000, 9_000) as u32;
        script.does(Deed::Bulk(rows), &mut scene.rng, 2.0);
    }
    let rules = &[
        "oauth-app-then-bulk-read",
        "bulk-export",
        "integration-new-network",
        "impossible-travel",
        "anonymiser-login",
        "first-seen-risk",
        "session-hijack",
    ];
    Some(Incident::attack("oauth-app-then-bulk-read", rules, Severity::High, script.acts).decided_by(3))
}
