//! Names and passwords from a leak elsewhere: hundreds of names, mostly unknown here, one try each, one of them right.

use crmwatch_detectors::Severity;

use super::password_spray::accounts;
use super::{Family, variant};
use crate::demo::act::{Deed, System, Who};
use crate::demo::agents;
use crate::demo::label::Incident;
use crate::demo::scene::Scene;

/// The ways.
pub const FAMILY: Family = &[variant("a leaked list", list)];

const RULES: &[&str] = &[
    "credential-stuffing",
    "password-spray",
    "success-after-attack",
    "first-seen-risk",
    "anonymiser-login",
    "impossible-travel",
];

fn list(scene: &mut Scene<'_>) -> Option<Incident> {
    let known = accounts(scene, System::Portal, 30);
    let hit = *known.iter().find(|one| !scene.used.contains(one))?;
    scene.used.insert(hit);
    let (ip, at) = (scene.hosted(), scene.hour(1, 1.0, 22.0));
    let mut script = scene.script(hit, System::Portal, ip, agents::Device::Chrome(0), at);
    for nth in 0..240u32 {
        script.next.who = match known.get(nth as usize / 9) {
            Some(&victim) if nth % 9 == 0 && victim != hit => Who::Person(victim),
            _ => Who::Unknown(nth * 3),
        };
        script.does(Deed::WrongPassword, &mut scene.rng, 1.1);
    }
    script.next.who = Who::Person(hit);
    script.does(Deed::Login, &mut scene.rng, 5.0).looks(5, 500, &mut scene.rng);
    Some(Incident::attack("credential-stuffing", RULES, Severity::High, script.acts).decided_by(30))
}
