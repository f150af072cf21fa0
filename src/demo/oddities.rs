//! What looks like an attack and is none: journeys, shared exits, forgotten passwords, month ends. Each is labelled `benign`, so
//! that a finding about it can be counted as false with its reason. Not for attacks.

use std::collections::BTreeSet;

use crmwatch_detectors::Millis;

use super::Company;
use super::act::{Act, Deed, System, Who};
use super::ambient::app_address;
use super::clock::{self, HOUR, MINUTE, SECOND, day_of};
use super::day::{Change, day_in_zone};
use super::label::Incident;
use super::people::{OFFICES, Role, Standing};
use super::places::{self, Network};
use super::rng::Rng;
use super::scene::{Moment, Scene, human, last_day, measures};

/// What a kind of oddity lays down: the label with its deeds, and the days it changes.
type Laid = (Incident, Vec<((u32, i64), Change)>);

/// A kind of oddity.
type Kind = fn(&mut Scene<'_>) -> Option<Laid>;

/// Those that happen now and then.
const KINDS: &[Kind] = &[
    business_trip,
    same_day_trip,
    conference,
    in_flight,
    mistyped,
    provider_outage,
    migration,
    stale_secret,
    first_export,
    carrier_exit,
    dealing_territories,
    own_token,
    price_list,
    own_scanner,
    search_engine,
    visitors,
    planned_pause,
];

/// Lays everything out, more in a larger company.
pub fn plan(company: &mut Company) {
    standing(company);
    let mut used = BTreeSet::new();
    let times = 1 + company.plan.users as i64 * i64::from(company.plan.days) / 6_000;
    let begin = day_of(company.begin()) + 1;
    for round in 0..times {
        for (nth, kind) in KINDS.iter().enumerate() {
            let mut rng = Rng::of(company.plan.seed, &[50, round as u64, nth as u64]);
            for _ in 0..12 {
                let day = rng.between(begin, last_day(company, 4).max(begin));
                let mut scene =
                    Scene { company, rng: Rng::of(rng.next(), &[]), moment: Moment::Day(day), used: &mut used };
                let Some((mut incident, changes)) = kind(&mut scene) else { continue };
                incident.acts.sort_by_key(|act| act.time);
                let (from, to) = incident.span();
                if from < company.begin() || to >= company.plan.end || !company.can_tell(&incident) {
                    continue;
                }
                incident.deciding = from;
                company.changes.extend(changes);
                company.incidents.push(incident);
                break;
            }
        }
    }
}

/// Those that go on all the time: the VPN's exit, people with two offices, month ends, the nightly jobs, browser upgrades.
fn standing(company: &mut Company) {
    let whole = (company.begin(), company.plan.end - 1);
    let all = |fits: &dyn Fn(&super::Person) -> bool| -> Vec<u32> {
        company.people.iter().filter(|person| fits(person)).map(|person| person.index).collect()
    };
    let groups = [
        ("vpn-exit-shared", all(&|person| human(person) && person.vpn && person.at_home > 0.0)),
        ("commuter-two-offices", all(&|person| person.second_office.is_some())),
        ("nightly-integration-job", all(&|person| person.role == Role::Integration)),
        ("month-end-exports", all(&|person| person.role == Role::Finance)),
        ("night-owl", all(&|person| person.owl)),
        ("private-vpn", all(&|person| person.own_vpn)),
        ("new-computer", all(&|person| person.new_desk.is_some())),
        ("browser-upgrade", all(&|person| human(person) && person.lag < 10)),
    ];
    for (what, victims) in groups {
        if !victims.is_empty() {
            company.incidents.push(Incident {
                victims,
                span: Some(whole),
                deciding: whole.0,
                ..Incident::oddity(what, Vec::new())
            });
        }
    }
}

/// A label over ordinary days that go differently.
fn changed(what: &'static str, person: u32, from: Millis, to: Millis, changes: Vec<(i64, Change)>) -> Option<Laid> {
    let incident = Incident {
        victims: vec![person],
        span: Some((from, to)),
        deciding: from,
        ..Incident::oddity(what, Vec::new())
    };
    Some((incident, changes.into_iter().map(|(day, change)| ((person, day), change)).collect()))
}

fn day(scene: &Scene<'_>) -> i64 {
    match scene.moment {
        Moment::Day(day) => day,
        Moment::Now(now) => day_of(now),
    }
}

fn traveller(scene: &mut Scene<'_>) -> Option<u32> {
    let person = scene.somebody(|person| human(person) && person.standing == Standing::Active)?;
    scene.used.insert(person);
    Some(person)
}

/// A day in the air, three at another office's city, a day back.
fn business_trip(scene: &mut Scene<'_>) -> Option<Laid> {
    let (person, first) = (traveller(scene)?, day(scene));
    let here = scene.person(person).office;
    let there = (here + 1 + scene.rng.below(4) as usize) % 5;
    let hotel = places::in_city(OFFICES[there].city, Network::Isp, &mut scene.rng)?.host(scene.rng.next());
    let mut changes = vec![(first, Change::Absent), (first + 4, Change::Absent)];
    changes.extend((1..4).map(|nth| (first + nth, Change::Elsewhere(hotel, there))));
    changed("business-trip", person, first * clock::DAY, (first + 5) * clock::DAY, changes)
}

/// The morning in one city, the afternoon in another, four hours between: a short flight.
fn same_day_trip(scene: &mut Scene<'_>) -> Option<Laid> {
    let first = day(scene);
    let person =
        scene.somebody(|person| human(person) && matches!(person.office().city, "Berlin" | "London" | "New York"))?;
    scene.used.insert(person);
    let office = scene.person(person).office();
    let city = if office.city == "New York" {
        "Chicago"
    } else if office.city == "Berlin" {
        "London"
    } else {
        "Paris"
    };
    let hotel = places::in_city(city, Network::Isp, &mut scene.rng)?.host(scene.rng.next());
    let leaves = clock::midnight(first, office.zone) + 10 * HOUR + 30 * MINUTE;
    let change = Change::Journey(leaves, leaves + 4 * HOUR + 30 * MINUTE, hotel);
    changed("same-day-flight", person, first * clock::DAY, (first + 1) * clock::DAY + 12 * HOUR, vec![(first, change)])
}

/// A dozen people on one hotel's address for a day.
fn conference(scene: &mut Scene<'_>) -> Option<Laid> {
    let first = day(scene);
    if clock::weekday(first) >= 5 {
        return None;
    }
    let hotel = places::in_city("Munich", Network::Isp, &mut scene.rng)?.host(scene.rng.next());
    let mut changes = Vec::new();
    let mut victims = Vec::new();
    for _ in 0..12 {
        let Some(person) = scene
            .somebody(|person| human(person) && person.office().country == "DE" && person.standing == Standing::Active)
        else {
            break;
        };
        scene.used.insert(person);
        victims.push(person);
        changes.push(((person, first), Change::Elsewhere(hotel, 0)));
    }
    if victims.len() < 3 {
        return None;
    }
    let span = Some((first * clock::DAY, (first + 1) * clock::DAY));
    Some((Incident { victims, span, ..Incident::oddity("conference-wifi", Vec::new()) }, changes))
}

/// Work above the Atlantic: the aeroplane's exit is on another continent than the seat.
fn in_flight(scene: &mut Scene<'_>) -> Option<Laid> {
    let met = scene.at_work(|person| human(person) && measures(person) && person.office().country != "CN")?;
    let country = scene.person(met.person).office().country;
    let exit = places::one_of(&mut scene.rng, |block| block.network == Network::Satellite && block.country != country)?;
    let (at, ip) = (scene.later(met.last.time, 200), exit.host(scene.rng.next()));
    let territory = scene.person(met.person).territory;
    let mut script = scene.script(met.person, met.last.system, ip, met.last.device, at);
    script.does(Deed::Login, &mut scene.rng, 20.0).looks(12, territory, &mut scene.rng);
    // Nobody sits at a desk and in an aeroplane at once, nor at the desk the day after.
    let day = day_in_zone(scene.person(met.person), met.last.time);
    let leaves = met.last.time + MINUTE;
    let changes = vec![
        ((met.person, day), Change::Journey(leaves, leaves + 2 * clock::DAY, ip)),
        ((met.person, day + 1), Change::Absent),
    ];
    Some((Incident::oddity("in-flight-wifi", script.acts), changes))
}

/// The telephone comes out of another city of the same country, minutes after the desk.
fn carrier_exit(scene: &mut Scene<'_>) -> Option<Laid> {
    let met = scene.at_work(|person| human(person) && measures(person))?;
    let (city, country, phone, territory) = {
        let person = scene.person(met.person);
        (person.office().city, person.office().country, person.phone, person.territory)
    };
    let exit = places::one_of(&mut scene.rng, |block| {
        block.network == Network::Mobile && block.country == country && block.city != city
    })?;
    let (at, ip) = (scene.later(met.last.time, 15), exit.host(scene.rng.next()));
    let mut script = scene.script(met.person, met.last.system, ip, phone, at);
    script.does(Deed::Login, &mut scene.rng, 10.0).looks(5, territory, &mut scene.rng);
    Some((Incident::oddity("mobile-carrier-exit", script.acts), Vec::new()))
}

/// Three to six wrong passwords on a Monday, then the right one.
fn mistyped(scene: &mut Scene<'_>) -> Option<Laid> {
    let met = scene.at_work(|person| human(person) && person.systems[0] != System::Suite)?;
    let at = scene.later(met.last.time, 50);
    let mut script = scene.script(met.person, met.last.system, met.last.ip, met.last.device, at);
    for _ in 0..scene.rng.between(3, 6) {
        script.does(Deed::WrongPassword, &mut scene.rng, 9.0);
    }
    script.does(Deed::Login, &mut scene.rng, 9.0);
    Some((Incident::oddity("password-typos", script.acts), Vec::new()))
}

/// The identity provider is down for half an hour: everybody at work fails, some again and again, from their own addresses.
fn provider_outage(scene: &mut Scene<'_>) -> Option<Laid> {
    let first = day(scene);
    if clock::weekday(first) >= 5 {
        return None;
    }
    let from = scene.hour(0, 9.5, 15.0);
    let company = scene.company;
    let mut acts = Vec::new();
    for person in company.people.iter().filter(|person| human(person) && person.single_sign_on) {
        let sessions = company.sessions(person, first);
        let Some(session) = sessions.iter().find(|session| session.start < from && from < session.until) else {
            continue;
        };
        let mut time = from + scene.rng.between(0, 20 * MINUTE);
        for _ in 0..scene.rng.between(1, 4) {
            acts.push(Act {
                time,
                system: System::M365,
                who: Who::Person(person.index),
                deed: Deed::ProviderDown,
                ip: session.ip,
                device: session.device,
                session: session.seed,
            });
            time += scene.rng.pause(40.0);
        }
        acts.push(Act { time: from + 31 * MINUTE + scene.rng.pause(120.0), deed: Deed::Login, ..*acts.last()? });
    }
    (acts.len() > 10).then(|| (Incident::oddity("sso-outage", acts), Vec::new()))
}

/// An announced migration: operations reads and rewrites everything over one evening.
fn migration(scene: &mut Scene<'_>) -> Option<Laid> {
    let met = scene.at_work(|person| person.role == Role::Ops)?;
    let at = scene.later(met.last.time, 240);
    let mut script = scene.script(met.person, System::Gateway, met.last.ip, super::agents::SCRIPT, at);
    script.does(Deed::Login, &mut scene.rng, 3.0);
    for page in 0..120 {
        script.does(Deed::Read { offset: page * 1_000, rows: 1_000 }, &mut scene.rng, 3.0);
        script.does(Deed::BulkUpdate(1_000), &mut scene.rng, 6.0);
    }
    Some((Incident::oddity("data-migration", script.acts), Vec::new()))
}

/// A service account whose secret was changed everywhere but in one place.
fn stale_secret(scene: &mut Scene<'_>) -> Option<Laid> {
    let apps: Vec<u32> =
        scene.company.people.iter().filter(|one| one.role == Role::Integration).map(|one| one.index).collect();
    let app = *scene.rng.pick(&apps);
    let (system, device) = (scene.person(app).systems[0], scene.person(app).desk);
    let at = scene.hour(0, 6.0, 12.0);
    let mut script = scene.script(app, system, app_address(scene.company, app), device, at);
    for _ in 0..scene.rng.between(40, 90) {
        script.does(Deed::WrongPassword, &mut scene.rng, 0.5).waits(5 * MINUTE - SECOND);
    }
    Some((Incident::oddity("stale-service-secret", script.acts), Vec::new()))
}

/// Somebody new takes out a report for the first time.
fn first_export(scene: &mut Scene<'_>) -> Option<Laid> {
    let person =
        scene.somebody(|person| human(person) && measures(person) && matches!(person.standing, Standing::Joins(_)))?;
    let Standing::Joins(first) = scene.person(person).standing else { return None };
    scene.used.insert(person);
    let (office, system, desk) =
        (scene.person(person).office, scene.person(person).systems[0], scene.person(person).desk);
    let rows = scene.person(person).export_rows.min(900.0) as u32 + 20;
    scene.moment = Moment::Day(first + 1);
    let at = scene.hour(office, 10.0, 16.0);
    let ip = super::people::office_address(scene.company.plan.seed, office);
    let mut script = scene.script(person, system, ip, desk, at);
    script.does(Deed::Login, &mut scene.rng, 20.0).does(Deed::Export { id: 14, rows }, &mut scene.rng, 5.0);
    Some((Incident::oddity("new-joiner-export", script.acts), Vec::new()))
}

/// Operations deals out a quarter's accounts.
fn dealing_territories(scene: &mut Scene<'_>) -> Option<Laid> {
    let met = scene.at_work(|person| person.role == Role::Ops)?;
    let (at, territory) = (scene.later(met.last.time, 25), scene.person(met.person).territory);
    let mut script = scene.script(met.person, System::Gateway, met.last.ip, met.last.device, at);
    script.does(Deed::Login, &mut scene.rng, 5.0);
    for nth in 0..scene.rng.between(120, 300) as u32 {
        script.does(Deed::Assign(territory + nth), &mut scene.rng, 3.0);
    }
    Some((Incident::oddity("dealing-territories", script.acts), Vec::new()))
}

/// An administrator makes a key for a new integration, at his desk.
fn own_token(scene: &mut Scene<'_>) -> Option<Laid> {
    let met = scene.at_work(|person| person.role == Role::Admin)?;
    let at = scene.later(met.last.time, 15);
    let mut script = scene.script(met.person, System::Gateway, met.last.ip, met.last.device, at);
    script.does(Deed::Login, &mut scene.rng, 8.0).does(Deed::Token, &mut scene.rng, 5.0);
    Some((Incident::oddity("administrator-token", script.acts), Vec::new()))
}

/// A dozen offers shared with a customer's buyer.
fn price_list(scene: &mut Scene<'_>) -> Option<Laid> {
    let met = scene.at_work(|person| person.role == Role::Support && person.systems[0] == System::Portal)?;
    let (at, territory) = (scene.later(met.last.time, 12), scene.person(met.person).territory);
    let mut script = scene.script(met.person, System::Gateway, met.last.ip, met.last.device, at);
    script.does(Deed::Login, &mut scene.rng, 8.0);
    for nth in 0..scene.rng.between(3, 14) as u32 {
        script.does(Deed::Share(territory + nth, super::act::Scope::External), &mut scene.rng, 20.0);
    }
    Some((Incident::oddity("offers-shared-with-a-buyer", script.acts), Vec::new()))
}

/// The company's own scanner, which the configuration allows.
pub fn scanner_address(seed: u64) -> std::net::IpAddr {
    let block = places::in_city("Frankfurt am Main", Network::Hosting, &mut Rng::of(seed, &[8]));
    block.expect("the table has one").host(77)
}

/// Security tests of one's own: the same requests an attacker sends.
fn own_scanner(scene: &mut Scene<'_>) -> Option<Laid> {
    let (at, ip) = (scene.hour(0, 20.0, 22.0), scanner_address(scene.company.plan.seed));
    let mut script = scene.script(0, System::Portal, ip, super::agents::Device::Program(3), at);
    script.next.who = Who::Nobody;
    for number in 0..80 {
        let answered = scene.rng.chance(0.5);
        script.does(Deed::Inject { number, answered }, &mut scene.rng, 0.8);
    }
    Some((Incident::oddity("own-scanner", script.acts), Vec::new()))
}

/// A search engine goes through what visitors may see.
fn search_engine(scene: &mut Scene<'_>) -> Option<Laid> {
    let (at, ip) = (scene.hour(0, 1.0, 20.0), scene.hosted());
    let mut script = scene.script(0, System::Gateway, ip, super::agents::CRAWLER, at);
    script.next.who = Who::Guest;
    for id in 0..250 {
        script.does(Deed::View(30_000 + id), &mut scene.rng, 6.0);
    }
    Some((Incident::oddity("search-engine", script.acts), Vec::new()))
}

/// Visitors of the customers' portal, each with a few pages.
fn visitors(scene: &mut Scene<'_>) -> Option<Laid> {
    let at = scene.hour(0, 7.0, 20.0);
    let mut acts = Vec::new();
    for _ in 0..40 {
        let (ip, device) = (scene.anywhere(), super::agents::desktop(&mut scene.rng));
        let begins = at + scene.rng.between(0, 90 * MINUTE);
        let mut script = scene.script(0, System::Gateway, ip, device, begins);
        script.next.who = Who::Guest;
        for _ in 0..scene.rng.between(2, 25) {
            let id = 30_000 + scene.rng.below(60) as u32;
            script.does(Deed::View(id), &mut scene.rng, 25.0);
        }
        acts.extend(script.acts);
    }
    Some((Incident::oddity("portal-visitors", acts), Vec::new()))
}

/// A log moves to another machine, as announced.
fn planned_pause(scene: &mut Scene<'_>) -> Option<Laid> {
    let pause = super::attacks::source_silent::silence(scene, &super::logs::LOGS[1], (9.0, 12.0), 4)?;
    Some((Incident { severity: None, family: "planned-log-pause", rules: &[], ..pause }, Vec::new()))
}
