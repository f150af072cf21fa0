//! What a person does on one day: where, when, with what, in which systems. A function of person and day alone, so that
//! attacks can be laid against what the victim really did. Not for attacks or oddities.

use std::net::IpAddr;

use crmwatch_detectors::Millis;

use super::Company;
use super::act::{Act, Deed, System, Who};
use super::agents::Device;
use super::clock::{self, HOUR, MINUTE};
use super::people::{OFFICES, Person, Role, Standing, office_address, vpn_address};
use super::rng::Rng;

/// What is other than usual on one day of one person.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// No work.
    Absent,
    /// Works from that address in that office's zone.
    Elsewhere(IpAddr, usize),
    /// Works until the first moment, and again after the second from that address.
    Journey(Millis, Millis, IpAddr),
}

/// A stretch of work in one system.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// Who.
    pub person: u32,
    /// Where.
    pub system: System,
    /// From when.
    pub start: Millis,
    /// Not after.
    pub until: Millis,
    /// About how many deeds.
    pub length: u32,
    /// Address.
    pub ip: IpAddr,
    /// Device.
    pub device: Device,
    /// Its own stream of chance, and the session's token.
    pub seed: u64,
}

impl Company {
    /// A person's sessions on a day of the person's own zone, by start.
    pub fn sessions(&self, person: &Person, day: i64) -> Vec<Session> {
        let mut rng = Rng::of(self.plan.seed, &[10, u64::from(person.index), day as u64]);
        let change = self.changes.get(&(person.index, day)).copied();
        if person.role == Role::Integration || !works(person, day, change.is_some(), &mut rng) {
            return Vec::new();
        }
        let mut office = person.office;
        let (mut place, mut at_home) = (None, rng.chance(person.at_home));
        match change {
            Some(Change::Absent) => return Vec::new(),
            Some(Change::Elsewhere(ip, there)) => (place, office, at_home) = (Some(ip), there, false),
            _ => {}
        }
        if let (Some(second), true, None) = (person.second_office, rng.chance(0.4), change) {
            (office, at_home) = (second, false);
        }
        let desk = person.desk_on(day);
        let mut hidden = Rng::of(self.plan.seed, &[12, u64::from(person.index), day as u64]);
        let desk_ip = match (place, at_home) {
            (Some(ip), _) => ip,
            (None, true) if person.own_vpn && hidden.chance(0.6) => person.own_vpn_address(&mut hidden),
            (None, true) if person.vpn => vpn_address(self.plan.seed),
            (None, true) => person.home_address(day),
            (None, false) => office_address(self.plan.seed, office),
        };
        let midnight = clock::midnight(day, OFFICES[office].zone);
        let start = midnight + ((person.starts + 0.35 * rng.normal()) * HOUR as f64) as Millis;
        let end = start + (person.hours * HOUR as f64) as Millis;
        let mut all = Vec::new();
        let mut add = |system, from: Millis, until, length: f64, ip, device, seed| {
            let session = Session {
                person: person.index,
                system,
                start: from,
                until,
                length: length.max(2.0) as u32,
                ip,
                device,
                seed,
            };
            match change {
                // What would fall into the journey begins on arrival.
                Some(Change::Journey(leaves, arrives, there)) if from >= leaves => {
                    if until > arrives {
                        all.push(Session { ip: there, start: from.max(arrives), ..session });
                    }
                }
                Some(Change::Journey(leaves, _, _)) => all.push(Session { until: until.min(leaves), ..session }),
                _ => all.push(session),
            }
        };
        // On the way to work, by telephone.
        if rng.chance(0.25) {
            let ip = person.mobile_address(&mut rng);
            let from = start - rng.between(20, 55) * MINUTE;
            add(person.systems[0], from, from + 12 * MINUTE, rng.lognormal(4.0, 0.5), ip, person.phone, rng.next());
        }
        if person.single_sign_on && !person.systems.contains(&System::M365) {
            add(System::M365, start, start + MINUTE, 1.0, desk_ip, desk, rng.next());
        }
        let noon = start + (end - start) / 2;
        for (from, until) in [(start, noon - 20 * MINUTE), (noon + 20 * MINUTE, end)] {
            for (nth, &system) in person.systems.iter().enumerate() {
                if nth > 0 && rng.chance(0.6) {
                    continue;
                }
                let from = from + rng.between(1, 25) * MINUTE;
                add(system, from, until, rng.lognormal(24.0, 0.6) * person.busy, desk_ip, desk, rng.next());
            }
        }
        if rng.chance(if person.owl { 0.35 } else { 0.04 }) {
            let from = end + rng.between(120, 300) * MINUTE;
            let ip = if change.is_some() { desk_ip } else { person.home_address(day) };
            add(person.systems[0], from, from + 2 * HOUR, rng.lognormal(10.0, 0.6), ip, desk, rng.next());
        }
        all.sort_by_key(|session| session.start);
        all
    }

    /// A session's deeds, by time.
    pub fn expand(&self, session: &Session) -> Vec<Act> {
        let person = &self.people[session.person as usize];
        let mut rng = Rng::of(session.seed, &[11]);
        let mut time = session.start;
        let mut acts = Vec::with_capacity(session.length as usize + 4);
        let act = |time, deed| Act {
            time,
            system: session.system,
            who: Who::Person(person.index),
            deed,
            ip: session.ip,
            device: session.device,
            session: session.seed,
        };
        // A password mistyped once or twice is everyday life.
        if rng.chance(0.05) {
            for _ in 0..rng.between(1, 2) {
                acts.push(act(time, Deed::WrongPassword));
                time += rng.pause(6.0);
            }
        }
        acts.push(act(time, Deed::Login));
        if session.system == System::M365 && !person.systems.contains(&System::M365) {
            return acts;
        }
        let day_share = person.exports / 2.0;
        let export_at = rng.chance(day_share.min(0.9)).then(|| rng.below(u64::from(session.length)) as u32);
        for nth in 0..session.length {
            time += rng.pause(35.0);
            if time >= session.until {
                return acts;
            }
            let near = |rng: &mut Rng| person.territory + rng.lognormal(60.0, 1.0) as u32;
            let deed = if export_at == Some(nth) {
                // Most take out the same few things; month ends are larger.
                let rows =
                    rng.lognormal(person.export_rows, 0.6) * month_end(person, day_in_zone(person, session.start));
                Deed::Export { id: *rng.pick(&person.reports), rows: rows.clamp(1.0, 90_000.0) as u32 }
            } else {
                match rng.below(100) {
                    0..50 => Deed::View(near(&mut rng)),
                    50..68 => Deed::List(1 + rng.lognormal(1.2, 0.8) as u32),
                    68..78 => Deed::Search(rng.lognormal(6.0, 1.2) as u32),
                    78..90 => Deed::Update(near(&mut rng)),
                    90..94 => Deed::Create(near(&mut rng) + 1000),
                    94..95 => Deed::Delete(near(&mut rng)),
                    95..96 => Deed::Share(near(&mut rng), super::act::Scope::Internal),
                    _ => Deed::Report {
                        id: *rng.pick(&person.reports),
                        rows: rng.lognormal(person.export_rows.max(50.0), 0.5) as u32,
                    },
                }
            };
            acts.push(act(time, deed));
        }
        if rng.chance(0.3) {
            acts.push(act(time + rng.pause(40.0), Deed::Logout));
        }
        acts
    }
}

/// The person's own date at a time.
pub fn day_in_zone(person: &Person, time: Millis) -> i64 {
    clock::day_of(time + clock::offset(time, person.office().zone))
}

fn works(person: &Person, day: i64, changed: bool, rng: &mut Rng) -> bool {
    let employed = match person.standing {
        Standing::Active => true,
        Standing::Notice(last) => day <= last,
        Standing::Joins(first) => day >= first,
        Standing::Gone(_) | Standing::Dormant => false,
    };
    if !employed {
        return false;
    }
    // The draws are made in any case, so that a changed day does not shift what else the day holds.
    let (sick, weekend) = (rng.chance(0.02), rng.chance(person.weekends));
    if changed {
        return true;
    }
    let date = clock::civil(day * clock::DAY);
    // Leave: one week in thirteen, the person's own.
    let leave = (day / 7 + i64::from(person.index)) % 13 == 0 && !person.index.is_multiple_of(3);
    let free = clock::weekday(day) >= 5 || person.office().holidays.contains(&(date.month, date.day));
    if free { weekend } else { !sick && !leave }
}

/// Finance takes out far more in the last two days of a month and the first two of the next.
fn month_end(person: &Person, day: i64) -> f64 {
    let near = |ahead: i64| clock::civil((day + ahead) * clock::DAY).day == 1;
    let closing = near(1) || near(2) || near(0) || near(-1);
    if person.role == Role::Finance && closing { 8.0 } else { 1.0 }
}
