//! A list of names and passwords from a leak elsewhere is tried out, one try each.
//!
//! # What it finds
//! One address, or many together, that fail to log in under many names within a short time, most of them names nobody here has.
//!
//! # Why it matters
//! People use one password in many places. Of a thousand leaked pairs a few fit here, and those who have them get in at the first try.
//!
//! # How it decides
//! Refused logins that name an account are looked at over 30 minutes for an address, over 15 minutes for the organisation. Stuffing is
//! told from the rest by its causes:
//!
//! - *A foreign list.* At least half of the names (of many addresses seven in ten) never succeeded here before. So nothing is said in
//!   the first three days, when nobody is known yet; password-spray covers those.
//! - *One try each.* At least `tries` (25) failures of at least `names` (15) names, four fifths of them with at most two tries: the limits of
//!   Elastic's rule for Okta.
//! - *No outage.* Failures from where an account has long logged in do not count as tries; where as many accounts fail at home as
//!   abroad, the sign-in service is down. Where two fifths of the known names get in from the same address soon after, an
//!   office types its new passwords.
//!
//! It is medium, and high once an account gets in from there that had never used the address.
//!
//! # False positives
//! A portal for customers that is new here, with customers who mistype their own names; a test of your own.
//!
//! # What to check
//! - Did an account get in? End its sessions, have its password changed, look at what it did.
//! - Block the address; ask for a second factor or a puzzle at the login page while it lasts.
//!
//! # Settings
//! - `tries` (25): failures.
//! - `names` (15): different names among them.
//! - `addresses` (5): how many addresses make it one of many addresses.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::baseline::stable_hash;
use crate::brute_force_success::account_key;
use crate::detector::Context;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Identities, Sentence, Severity};
use crate::habits::Kind;
use crate::keyed::Resident;
use crate::sigma::traces::{Trace, Traces, identify};
use crate::sigma::window::trim;
use crate::watch::{Post, Watch};

const MINUTE: Millis = 60_000;
const OF_ADDRESS: Millis = 30 * MINUTE;
const OF_ALL: Millis = 15 * MINUTE;
const ROOM: usize = 256;
const LEAST_DAYS: f64 = 3.0;
const QUIET: Millis = 6 * 60 * MINUTE;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    tries: usize,
    names: usize,
    addresses: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { tries: 25, names: 15, addresses: 5 }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Try {
    time: Millis,
    name: u32,
    address: IpAddr,
    /// Whether somebody of that name has ever succeeded.
    known: bool,
    /// Whether from where he long does.
    home: bool,
    success: bool,
}

/// What is remembered of an address, or of an organisation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Place {
    tries: VecDeque<Try>,
    traces: Traces,
    /// Tries since it was last looked at, so that a flood is not weighed at every event.
    since: u32,
    found: Option<Millis>,
}

impl Resident for Place {
    fn rank(&self) -> u8 {
        u8::from(self.tries.len() > 4) + u8::from(self.found.is_some())
    }
}

/// See the file's head.
pub struct CredentialStuffing;

impl Watch for CredentialStuffing {
    const ID: &'static str = "credential-stuffing";
    const SOURCE: &'static str = include_str!("credential_stuffing.rs");
    const SEVERITY: Severity = Severity::Medium;
    const TECHNIQUES: &'static [&'static str] = &["T1110.004"];
    const ACTIONS: &'static [&'static str] = &["login"];
    const CAPACITY: usize = 50_000;
    type Settings = Settings;
    type State = Place;

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        let success = match event.text(Field::EventOutcome) {
            Some("failure") => false,
            Some("success") => true,
            _ => return,
        };
        let (Some(account), Some(address)) = (account_key(event), event.ip(Field::SourceIp)) else { return };
        let organisation = event.text(Field::OrganizationId).unwrap_or(&event.origin.source);
        let keys = [format!("at/{address}"), format!("all/{organisation}")];
        if success && at.states.get(&keys[0]).is_none() {
            return;
        }
        let view = context.view(event);
        let home = view.mature() && !view.new_network() || view.shared(Kind::Prefix);
        let known = context.habits.is_some_and(|habits| habits.knows(&account, event.time));
        let attempt = Try { time: event.time, name: stable_hash(&account), address, known, home, success };
        let watched = view.organisation_days() >= LEAST_DAYS;
        for (key, span) in keys.iter().zip([OF_ADDRESS, OF_ALL]) {
            let place = at.states.touch(key, event.time);
            let at_position = place.tries.partition_point(|other| other.time <= event.time);
            place.tries.insert(at_position, attempt.clone());
            trim(&mut place.tries, ROOM, event.time, |one| one.time);
            if !success && !home {
                place.traces.add(Trace::of(event), span);
            }
            place.since += 1;
            let lately = place.found.is_some_and(|found| found.abs_diff(event.time) < 3_600_000);
            let due = success && !home && lately || place.since >= if lately { 16 } else { 4 };
            if !watched || !due {
                continue;
            }
            place.since = 0;
            if let Some(seen) = weigh(&place.tries, event.time, span, at.settings) {
                place.found = Some(event.time);
                out.push(tell(event, key, &seen, &place.traces, span));
                break;
            }
        }
    }
}

struct Seen {
    failures: usize,
    names: usize,
    unknown: usize,
    addresses: BTreeSet<IpAddr>,
    got_in: usize,
    from: Millis,
    to: Millis,
}

fn weigh(tries: &VecDeque<Try>, time: Millis, span: Millis, settings: &Settings) -> Option<Seen> {
    let inside = |one: &&Try| one.time >= time.saturating_sub(span) && one.time <= time.saturating_add(span);
    let abroad = || tries.iter().filter(inside).filter(|one| !one.home && !one.success);
    let end = abroad().map(|one| one.time).max()?;
    let abroad = || abroad().filter(|one| one.time >= end.saturating_sub(span));
    let mut names: BTreeMap<u32, (u32, bool)> = BTreeMap::new();
    for one in abroad() {
        let entry = names.entry(one.name).or_insert((0, one.known));
        entry.0 += 1;
    }
    let failures = abroad().count();
    let addresses: BTreeSet<IpAddr> = abroad().map(|one| one.address).collect();
    let unknown = names.values().filter(|(_, known)| !known).count();
    let few = names.values().filter(|(tries, _)| *tries <= 2).count();
    let at_home: BTreeSet<u32> =
        tries.iter().filter(inside).filter(|one| one.home && !one.success).map(|one| one.name).collect();
    let came_in: BTreeSet<u32> = tries
        .iter()
        .filter(inside)
        .filter(|one| one.success && !one.home && addresses.contains(&one.address))
        .map(|one| one.name)
        .collect();
    let recovered = names.keys().filter(|name| came_in.contains(name)).count();
    let known = names.len() - unknown;
    let alone = span == OF_ADDRESS;
    let foreign = if alone { unknown * 2 >= names.len() } else { unknown * 10 >= names.len() * 7 };
    let office = recovered > 1 && recovered * 5 >= known * 2;
    let enough = failures >= settings.tries && names.len() >= settings.names && few * 5 >= names.len() * 4;
    let fits =
        enough && foreign && !office && at_home.len() < names.len() && (alone || addresses.len() >= settings.addresses);
    let from = abroad().map(|one| one.time).min().unwrap_or(end);
    fits.then_some(Seen { failures, names: names.len(), unknown, addresses, got_in: came_in.len(), from, to: end })
}

fn tell(event: &Event, key: &str, seen: &Seen, traces: &Traces, span: Millis) -> Detection {
    let mut entity = Identities::default();
    let alone = span == OF_ADDRESS;
    let primary = if alone {
        Field::SourceIp.name()
    } else if let Some(organisation) = event.text(Field::OrganizationId) {
        entity.add(Field::OrganizationId.name(), organisation);
        Field::OrganizationId.name()
    } else {
        entity.add("crm.source", &event.origin.source);
        "crm.source"
    };
    seen.addresses.iter().for_each(|address| entity.add(Field::SourceIp.name(), &address.to_string()));
    let held: Vec<&Trace> = traces.between(seen.from, seen.to).collect();
    if seen.got_in > 0 && event.text(Field::EventOutcome) == Some("success") {
        entity.add_event(event);
    }
    identify(held.iter().copied(), &mut entity);
    let Seen { failures, names, unknown, .. } = seen;
    let (minutes, places) = (span / MINUTE, seen.addresses.len());
    let severity = if seen.got_in > 0 { Severity::High } else { Severity::Medium };
    let got_in = seen.got_in;
    let evidence = held.iter().map(|trace| trace.reference).filter(|one| one.id != event.id).collect();
    let detection = CredentialStuffing::detection(event, severity).resting_on(evidence, seen.from, seen.to);
    Detection {
        entity,
        primary,
        subject: key.to_owned(),
        summary: Sentence::new(
            format!(
                "{failures} logins under {names} names failed within {minutes} minutes from {places} address(es); {unknown} of the names do not exist here, which is a list from elsewhere"
            ),
            format!(
                "{minutes} 分钟内，来自 {places} 个地址、{names} 个名称的 {failures} 次登录失败；其中 {unknown} 个名称在此不存在，系外部泄露的名单"
            ),
        ),
        observed: Sentence::new(
            format!("{failures} failures, {names} names, {unknown} of them unknown; {got_in} got in"),
            format!("失败 {failures} 次，{names} 个名称，其中 {unknown} 个未知；{got_in} 个登录成功"),
        ),
        expected: Sentence::new("a few mistyped names an hour", "每小时仅有少量输错的名称"),
        evidence_count: *failures as u64,
        parts: vec![("names", *names as f64), ("unknown", *unknown as f64), ("got in", got_in as f64)],
        quiet: QUIET,
        ..detection
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BERLIN, DAY, NEW_YORK_VPN, Site, event, failed, fortnight, kept_promises, play_all, worst};

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<CredentialStuffing>(&serde_json::json!({})).expect("defaults fit")
    }

    fn from(mut event: Event, address: [u8; 4]) -> Event {
        event.set_ip(Field::SourceIp, IpAddr::from(address));
        event
    }

    /// `count` names fail, every tenth of them a real one.
    fn list(count: i64, site: Site, address: &dyn Fn(i64) -> [u8; 4]) -> Vec<Event> {
        let start = 15 * DAY + 60;
        let mut events: Vec<Event> = (0..10).flat_map(|nth| fortnight(&format!("real{nth}"))).collect();
        for nth in 0..count {
            let name = if nth % 10 == 0 { format!("real{}", nth / 10 % 10) } else { format!("leaked{nth}") };
            let mut one = failed(event(start, &name, site, "login", -1));
            one.time += nth * 7_000;
            events.push(from(one, address(nth)));
        }
        events
    }

    #[test]
    fn a_leaked_list_from_one_address_is_found_and_is_high_once_a_name_fits() {
        let one = |_| [192, 0, 2, 9];
        let mut events = list(100, NEW_YORK_VPN, &one);
        assert_eq!(worst(&kept_promises(&make, events.clone())), Some(Severity::Medium));
        events.push(from(event(15 * DAY + 75, "real3", NEW_YORK_VPN, "login", -1), [192, 0, 2, 9]));
        assert_eq!(worst(&play_all(&make, events)), Some(Severity::High));
    }

    #[test]
    fn a_list_from_a_hundred_addresses_is_found_too() {
        let found = play_all(&make, list(100, NEW_YORK_VPN, &|nth| [198, 18, nth as u8, 7]));
        assert_eq!(found.len(), 1);
        assert_eq!(&*found[0].primary, "crm.source");
    }

    #[test]
    fn an_outage_a_monday_of_typos_and_real_names_only_are_no_stuffing() {
        let start = 15 * DAY + 60;
        let mut outage: Vec<Event> = (0..40).flat_map(|nth| fortnight(&format!("real{nth}"))).collect();
        outage.extend(
            (0..120).map(|nth| failed(event(start + nth / 10, &format!("real{}", nth % 40), BERLIN, "login", -1))),
        );
        assert!(play_all(&make, outage.clone()).is_empty(), "from where everybody works");
        let abroad = (0..120)
            .map(|nth| failed(event(start + nth / 10, &format!("real{}", nth % 40), NEW_YORK_VPN, "login", -1)));
        outage.extend(abroad);
        assert!(play_all(&make, outage).is_empty(), "only names that exist are password-spray's");
        assert!(play_all(&make, list(20, NEW_YORK_VPN, &|_| [192, 0, 2, 9])).is_empty(), "too few");
    }

    #[test]
    fn in_the_first_days_when_nobody_is_known_nothing_is_said() {
        let events = list(100, NEW_YORK_VPN, &|_| [192, 0, 2, 9]);
        assert!(play_all(&make, events[events.len() - 100..].to_vec()).is_empty());
    }
}
