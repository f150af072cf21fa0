//! What goes on whether people work or not: load balancers, integration apps by night and by hour, scanners of the internet.
//! Not for people's days (`day`) nor attacks.

use crmwatch_detectors::Millis;

use super::Company;
use super::act::{Act, Deed, System, Who};
use super::agents::Device;
use super::clock::{DAY, HOUR, MINUTE, SECOND};
use super::people::Role;
use super::places::{self, Network};
use super::rng::Rng;

/// A source of deeds that never ends.
#[derive(Debug, Clone, Copy)]
pub enum Ambient {
    /// The load balancer.
    Health,
    /// A stranger going through the usual names of files.
    Scanner(System),
    /// An app that reads what is new each hour.
    Hourly(u32),
    /// An app that takes everything each night.
    Nightly(u32),
}

impl Ambient {
    /// All there are, with the moment each begins.
    pub fn all(company: &Company) -> Vec<(Millis, Ambient)> {
        let begin = company.begin();
        let midnight = begin.div_euclid(DAY) * DAY;
        let mut all = vec![(begin, Ambient::Health)];
        all.extend(
            [System::Portal, System::Odoo, System::Suite, System::Espo]
                .map(|one| (begin + 7 * MINUTE, Ambient::Scanner(one))),
        );
        for app in company.people.iter().filter(|person| person.role == Role::Integration) {
            let seven = i64::from(app.index % 7);
            all.push((begin + seven * 6 * MINUTE, Ambient::Hourly(app.index)));
            let at = midnight + HOUR + seven * 20 * MINUTE;
            all.push((if at < begin { at + DAY } else { at }, Ambient::Nightly(app.index)));
        }
        all
    }

    /// What it does now, and when it does something again.
    pub fn turn(self, company: &Company, now: Millis) -> (Vec<Act>, Millis) {
        let mut rng = Rng::of(company.plan.seed, &[20, self.number(), now as u64]);
        match self {
            Ambient::Health => {
                let ip = std::net::IpAddr::from([10, 20, 0, 4]);
                (
                    vec![act(now, System::Portal, Who::Nobody, Deed::Health, ip, Device::Program(7), 0)],
                    now + 30 * SECOND,
                )
            }
            Ambient::Scanner(system) => {
                let from =
                    places::one_of(&mut rng, |block| block.network == Network::Hosting).expect("the table has some");
                let (ip, first) = (from.host(rng.next()), rng.below(14) as u32);
                let device = if rng.chance(0.5) { Device::Program(8) } else { Device::Program(3) };
                let mut time = now;
                let acts = (0..rng.between(1, 14) as u32).map(|nth| {
                    time += rng.between(150, 2_500);
                    act(time, system, Who::Nobody, Deed::Probe(first + nth), ip, device, 0)
                });
                (acts.collect(), now + rng.pause(4_000.0).max(MINUTE) + 20 * MINUTE)
            }
            Ambient::Hourly(app) => (reads(company, app, now, rng.between(3, 25) as u32, 100, &mut rng), now + HOUR),
            Ambient::Nightly(app) => {
                let mut acts = reads(company, app, now, 1, 200, &mut rng);
                let person = &company.people[app as usize];
                let rows = (20_000.0 + 15_000.0 * f64::from(app % 5)) * (1.0 + 0.03 * rng.normal());
                let (last, system) = (acts.last().map_or(now, |act| act.time), person.systems[0]);
                let deed = match system {
                    System::Salesforce | System::Gateway => Deed::Bulk(rows as u32),
                    _ => Deed::Export { id: 900, rows: rows as u32 },
                };
                acts.push(act(
                    last + 4 * SECOND,
                    system,
                    Who::Person(app),
                    deed,
                    app_address(company, app),
                    person.desk,
                    token(app, now),
                ));
                (acts, now + DAY)
            }
        }
    }

    fn number(self) -> u64 {
        match self {
            Ambient::Health => 1,
            Ambient::Scanner(system) => 10 + system as u64,
            Ambient::Hourly(app) => 1_000 + u64::from(app) * 2,
            Ambient::Nightly(app) => 1_001 + u64::from(app) * 2,
        }
    }
}

/// Where an integration app runs: always there.
pub fn app_address(company: &Company, app: u32) -> std::net::IpAddr {
    let mut rng = Rng::of(company.plan.seed, &[21, u64::from(app)]);
    let block = places::one_of(&mut rng, |block| block.network == Network::Hosting && block.country != "IN");
    block.expect("the table has some").host(rng.next())
}

/// The session an app works in at that time.
fn token(app: u32, now: Millis) -> u64 {
    Rng::of(u64::from(app), &[now as u64]).next()
}

fn reads(company: &Company, app: u32, now: Millis, pages: u32, rows: u32, rng: &mut Rng) -> Vec<Act> {
    let person = &company.people[app as usize];
    let (ip, system) = (app_address(company, app), person.systems[0]);
    let mut time = now;
    let mut acts = vec![act(now, system, Who::Person(app), Deed::Login, ip, person.desk, token(app, now))];
    for page in 0..pages {
        time += rng.between(200, 1_800);
        acts.push(act(
            time,
            system,
            Who::Person(app),
            Deed::Read { offset: page * rows, rows },
            ip,
            person.desk,
            token(app, now),
        ));
    }
    acts
}

fn act(time: Millis, system: System, who: Who, deed: Deed, ip: std::net::IpAddr, device: Device, session: u64) -> Act {
    Act { time, system, who, deed, ip, device, session }
}
