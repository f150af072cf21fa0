//! The second factor is taken off an account, and somebody logs in from elsewhere.

use crmwatch_detectors::Severity;

use super::{Family, variant};
use crate::demo::act::{Deed, System};
use crate::demo::agents;
use crate::demo::label::Incident;
use crate::demo::scene::{Scene, human};

/// The ways.
pub const FAMILY: Family = &[variant("then a stranger", taken_off)];

fn taken_off(scene: &mut Scene<'_>) -> Option<Incident> {
    let met = scene.at_work(|person| human(person) && (person.single_sign_on || person.systems[0] == System::M365))?;
    let (at, ip) = (scene.later(met.last.time, 10), scene.anywhere());
    let country = scene.person(met.person).office().country;
    let mut script = scene.script(met.person, System::M365, met.last.ip, met.last.device, at);
    script.does(Deed::FactorRemoved, &mut scene.rng, 600.0);
    script.next.ip = ip;
    // From the owner's own country and with a browser like his, only the city is left to tell them apart.
    let at_home = crate::demo::places::is_in(ip, country);
    script.next.device =
        if at_home { agents::other_than(met.last.device, &mut scene.rng) } else { agents::desktop(&mut scene.rng) };
    script.next.session ^= 1;
    script.does(Deed::Login, &mut scene.rng, 15.0).looks(6, 800, &mut scene.rng);
    let rules =
        &["mfa-removed-then-login", "first-seen-risk", "impossible-travel", "concurrent-sessions", "session-hijack"];
    Some(Incident::attack("mfa-removed-then-login", rules, Severity::High, script.acts).decided_by(1))
}
