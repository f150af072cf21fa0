//! Where an attack or an oddity is laid: finds a fitting person at a fitting moment, and writes the deeds down. Not for which
//! attacks there are.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crmwatch_detectors::Millis;

use super::Company;
use super::act::{Act, Deed, System, Who};
use super::agents::Device;
use super::clock::{self, DAY, HOUR, MINUTE, SECOND};
use super::people::{OFFICES, Person, Role, Standing};
use super::places::{self, Block, Network};
use super::rng::Rng;

/// Numbers of contacts that exist only as traps; nobody's territory reaches so far.
pub const HONEYTOKENS: [u32; 5] = [9_900_417, 9_900_655, 9_901_208, 9_903_301, 9_907_742];

/// When an incident is to begin.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// Some time that day.
    Day(i64),
    /// Now.
    Now(Millis),
}

/// A place for one incident.
pub struct Scene<'a> {
    /// The company as planned so far.
    pub company: &'a Company,
    /// Chance.
    pub rng: Rng,
    /// When.
    pub moment: Moment,
    /// Who has been in an incident already.
    pub used: &'a mut BTreeSet<u32>,
}

/// A person met at work.
#[derive(Debug, Clone, Copy)]
pub struct Met {
    /// Who.
    pub person: u32,
    /// The last deed before the incident.
    pub last: Act,
}

impl Scene<'_> {
    /// The person of that number.
    pub fn person(&self, index: u32) -> &Person {
        &self.company.people[index as usize]
    }

    /// Somebody who fits and has not been in an incident yet.
    pub fn somebody(&mut self, fits: impl Fn(&Person) -> bool) -> Option<u32> {
        let everybody = self.company.people.len() as u64;
        for _ in 0..400 {
            let index = self.rng.below(everybody) as u32;
            let person = &self.company.people[index as usize];
            // What Salesforce knows comes hours later: no use where somebody is watching.
            let told_at_once = matches!(self.moment, Moment::Day(_)) || person.systems[0] != System::Salesforce;
            if told_at_once && !self.used.contains(&index) && fits(person) {
                return Some(index);
            }
        }
        None
    }

    /// Somebody who fits, in the middle of work.
    pub fn at_work(&mut self, fits: impl Fn(&Person) -> bool) -> Option<Met> {
        for _ in 0..120 {
            let index = self.somebody(|person| person.standing == Standing::Active && fits(person))?;
            let person = self.person(index);
            let day = match self.moment {
                Moment::Day(day) => day,
                Moment::Now(now) => super::day::day_in_zone(person, now),
            };
            let usual = (day - 1..=day + 1).all(|day| !self.company.changes.contains_key(&(index, day)));
            let sessions = self.company.sessions(person, day);
            let met = sessions.iter().filter(|session| session.system == person.systems[0]).find_map(|session| {
                let acts = self.company.expand(session);
                match self.moment {
                    Moment::Day(_) => acts.get(acts.len() * 2 / 3).filter(|_| acts.len() > 5).copied(),
                    Moment::Now(now) => {
                        acts.iter().rev().find(|act| act.time <= now && now - act.time < 40 * MINUTE).copied()
                    }
                }
            });
            if let (Some(last), true) = (met, usual) {
                self.used.insert(index);
                return Some(Met { person: index, last });
            }
        }
        None
    }

    /// When an incident with somebody who was last seen at `after` begins: later by about so many minutes, or now.
    pub fn later(&mut self, after: Millis, minutes: i64) -> Millis {
        match self.moment {
            Moment::Day(_) => {
                after
                    + self.rng.between(minutes * 2 / 3 + 1, minutes * 4 / 3 + 1) * MINUTE
                    + self.rng.between(0, 59_999)
            }
            Moment::Now(now) => now + 2 * SECOND,
        }
    }

    /// A time of day in an office's zone, or now.
    pub fn hour(&mut self, office: usize, from: f64, to: f64) -> Millis {
        match self.moment {
            Moment::Day(day) => {
                let hour = from + (to - from) * self.rng.unit();
                clock::midnight(day, OFFICES[office].zone) + (hour * HOUR as f64) as Millis
            }
            Moment::Now(now) => now + 2 * SECOND,
        }
    }

    /// An address far from a country: another continent.
    pub fn far(&mut self, country: &str) -> IpAddr {
        let home = self.home(country);
        let block = places::one_of(&mut self.rng, |block| {
            block.network != Network::Satellite && block.network != Network::Hosting && block.distance(home) > 5_000.0
        });
        block.expect("the table spans the globe").host(self.rng.next())
    }

    /// An address in a neighbouring country, too far for an hour.
    pub fn near(&mut self, country: &str) -> Option<IpAddr> {
        let home = self.home(country);
        let block = places::one_of(&mut self.rng, |block| {
            block.country != country
                && block.network == Network::Isp
                && (800.0..2_600.0).contains(&block.distance(home))
        })?;
        Some(block.host(self.rng.next()))
    }

    /// An address in a data centre.
    pub fn hosted(&mut self) -> IpAddr {
        let block = places::one_of(&mut self.rng, |block| {
            block.network == Network::Hosting && block.city != "Frankfurt am Main"
        });
        block.expect("the table has some").host(self.rng.next())
    }

    /// An address in a data centre that fits.
    pub fn hosted_where(&mut self, fits: impl Fn(&Block) -> bool) -> Option<IpAddr> {
        let block = places::one_of(&mut self.rng, |block| {
            block.network == Network::Hosting && block.city != "Frankfurt am Main" && fits(block)
        })?;
        Some(block.host(self.rng.next()))
    }

    /// Another home line in a country.
    pub fn line_in(&mut self, country: &str) -> Option<IpAddr> {
        Some(places::in_country(country, Network::Isp, &mut self.rng)?.host(self.rng.next()))
    }

    /// A home line anywhere, as a botnet has them.
    pub fn anywhere(&mut self) -> IpAddr {
        let block = places::one_of(&mut self.rng, |block| block.network == Network::Isp);
        block.expect("the table has some").host(self.rng.next())
    }

    fn home(&self, country: &str) -> &'static Block {
        let office = OFFICES.iter().find(|office| office.country == country).unwrap_or(&OFFICES[0]);
        places::in_city(office.city, Network::Isp, &mut Rng::of(0, &[])).expect("every office's city has a block")
    }

    /// Begins to write.
    pub fn script(&mut self, person: u32, system: System, ip: IpAddr, device: Device, time: Millis) -> Script {
        let session = self.rng.next();
        Script {
            acts: Vec::new(),
            next: Act { time, system, who: Who::Person(person), deed: Deed::Login, ip, device, session },
        }
    }
}

/// Deeds being written down.
#[derive(Debug, Clone)]
pub struct Script {
    /// So far.
    pub acts: Vec<Act>,
    /// The next one, but for what is done.
    pub next: Act,
}

impl Script {
    /// Does something, then waits about so many seconds.
    pub fn does(&mut self, deed: Deed, rng: &mut Rng, seconds: f64) -> &mut Script {
        self.acts.push(Act { deed, ..self.next });
        self.next.time += rng.pause(seconds);
        self
    }

    /// Looks at so many records.
    pub fn looks(&mut self, count: u32, territory: u32, rng: &mut Rng) -> &mut Script {
        for _ in 0..count {
            self.does(Deed::View(territory + rng.below(400) as u32), rng, 12.0);
        }
        self
    }

    /// Nothing for that long.
    pub fn waits(&mut self, milliseconds: Millis) -> &mut Script {
        self.next.time += milliseconds;
        self
    }
}

/// Systems whose lines name user and address.
pub fn names_both(person: &Person) -> bool {
    matches!(person.systems[0], System::Portal | System::Gateway | System::Salesforce | System::M365 | System::Espo)
}

/// Systems that say how much was taken, in records or in bytes, and by whom.
pub fn measures(person: &Person) -> bool {
    matches!(person.systems[0], System::Portal | System::Gateway | System::Salesforce | System::Espo)
}

/// A person, not a programme.
pub fn human(person: &Person) -> bool {
    person.role != Role::Integration
}

/// The last day on which something that takes so many days may begin.
pub fn last_day(company: &Company, length: i64) -> i64 {
    clock::day_of(company.plan.end) - 1 - length
}

/// The days a company knows nothing but peace.
pub fn peace(company: &Company) -> i64 {
    company.begin().div_euclid(DAY) + (i64::from(company.plan.days) / 3).max(1)
}
