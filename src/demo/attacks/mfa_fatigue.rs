//! Somebody who has the password asks for the second factor until its owner gives in.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::agents;
use crate::demo::label::Incident;
use crate::demo::scene::{Scene, human};

/// The ways.
pub const FAMILY: Family = &[variant("until it is granted", worn_out).live()];

fn worn_out(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene.at_work(|person| human(person) && (person.single_sign_on || person.systems[0] == System::M365))?;
    let (at, ip) = (scene.later(met.last.time, 40), scene.hosted());
    let device = agents::desktop(&mut scene.rng);
    let mut script = scene.script(met.person, System::M365, ip, device, at);
    for _ in 0..scene.rng.between(7, 14) {
        script.does(Deed::FactorDenied, &mut scene.rng, 18.0);
    }
    let success = script.acts.len();
    script.does(Deed::Login, &mut scene.rng, 5.0).looks(5, 800, &mut scene.rng);
    let rules = &[
        "mfa-fatigue",
        "brute-force-success",
        "brute-force",
        "success-after-attack",
        "first-seen-risk",
        "impossible-travel",
        "anonymiser-login",
        "concurrent-sessions",
        "session-hijack",
    ];
    Some(Incident::attack("mfa-fatigue", rules, Severity::High, script.acts).decided_by(success))
}
