//! Who works at the simulated company: jobs, offices, habits, names in every system. Not for what they do on a given day (`day`).

use std::fmt::Write;
use std::net::IpAddr;

use chrono_tz::Tz;

use super::act::System;
use super::agents::{self, Device};
use super::places::{self, Block, Network};
use super::rng::{Guid, Rng, guid};

/// The company's mail domain.
pub const DOMAIN: &str = "larkwood.example";

/// An office: everybody in it leaves through one address.
#[derive(Debug, Clone, Copy)]
pub struct Office {
    /// City.
    pub city: &'static str,
    /// ISO 3166 alpha-2.
    pub country: &'static str,
    /// Zone.
    pub zone: Tz,
    /// Public holidays: month and day.
    pub holidays: &'static [(i64, i64)],
    /// Share of the people, of 100.
    share: u64,
}

/// The offices.
pub const OFFICES: [Office; 6] = [
    Office {
        city: "Berlin",
        country: "DE",
        zone: Tz::Europe__Berlin,
        share: 28,
        holidays: &[(1, 1), (5, 1), (10, 3), (12, 25), (12, 26)],
    },
    Office {
        city: "London",
        country: "GB",
        zone: Tz::Europe__London,
        share: 22,
        holidays: &[(1, 1), (12, 25), (12, 26)],
    },
    Office {
        city: "New York",
        country: "US",
        zone: Tz::America__New_York,
        share: 20,
        holidays: &[(1, 1), (6, 19), (7, 4), (11, 11), (12, 25)],
    },
    Office {
        city: "Sao Paulo",
        country: "BR",
        zone: Tz::America__Sao_Paulo,
        share: 14,
        holidays: &[(1, 1), (4, 21), (5, 1), (9, 7), (11, 15), (12, 25)],
    },
    Office {
        city: "Shanghai",
        country: "CN",
        zone: Tz::Asia__Shanghai,
        share: 12,
        holidays: &[(1, 1), (5, 1), (10, 1), (10, 2), (10, 3)],
    },
    Office {
        city: "Hamburg",
        country: "DE",
        zone: Tz::Europe__Berlin,
        share: 4,
        holidays: &[(1, 1), (5, 1), (10, 3), (10, 31), (12, 25), (12, 26)],
    },
];

/// A job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the name says it")]
pub enum Role {
    Sales,
    Support,
    Marketing,
    Finance,
    Admin,
    Ops,
    Integration,
}

impl Role {
    /// Lower-case word.
    pub const fn word(self) -> &'static str {
        match self {
            Role::Sales => "sales",
            Role::Support => "support",
            Role::Marketing => "marketing",
            Role::Finance => "finance",
            Role::Admin => "admin",
            Role::Ops => "ops",
            Role::Integration => "integration",
        }
    }
}

/// Whether somebody is leaving or gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Works here.
    Active,
    /// Leaves on that day.
    Notice(i64),
    /// Left on that day.
    Gone(i64),
    /// Started on that day.
    Joins(i64),
    /// Has an account and has not used it for long.
    Dormant,
}

/// A person or an integration account.
#[derive(Debug, Clone)]
pub struct Person {
    /// Position in the list.
    pub index: u32,
    /// E-mail address; the name in Salesforce, Microsoft 365 and Odoo.
    pub email: String,
    /// The name in the portal and the gateway.
    pub login: String,
    /// The name in EspoCRM.
    pub espo: String,
    /// The name in SuiteCRM.
    pub suite: String,
    /// Salesforce's 18 characters.
    pub salesforce: String,
    /// Job.
    pub role: Role,
    /// Position in [`OFFICES`].
    pub office: usize,
    /// A second office worked in on some days.
    pub second_office: Option<usize>,
    /// Working, leaving or gone.
    pub standing: Standing,
    /// Systems used, the main one first.
    pub systems: Vec<System>,
    /// Signs in through Microsoft 365 in the morning.
    pub single_sign_on: bool,
    /// Hour the day starts, in the office's zone.
    pub starts: f64,
    /// Hours worked.
    pub hours: f64,
    /// Works late at night now and then.
    pub owl: bool,
    /// Share of week-ends with some work.
    pub weekends: f64,
    /// How much is done in a session, relative to others.
    pub busy: f64,
    /// Exports a day.
    pub exports: f64,
    /// Records in a usual export.
    pub export_rows: f64,
    /// Numbers of the reports used.
    pub reports: Vec<u32>,
    /// Records worked with lie around this number.
    pub territory: u32,
    /// Share of days worked at home.
    pub at_home: f64,
    /// At home, works through the company's VPN.
    pub vpn: bool,
    /// Desk computer.
    pub desk: Device,
    /// Telephone.
    pub phone: Device,
    /// At home, works through a VPN bought for oneself, on some days.
    pub own_vpn: bool,
    /// From that day on, another computer.
    pub new_desk: Option<(i64, Device)>,
    /// Days after a release the computer upgrades.
    pub lag: u32,
    home: &'static Block,
    home_number: u64,
    home_six: bool,
    mobile: &'static Block,
}

const FIRST: [&str; 48] = [
    "anna", "ben", "clara", "david", "elena", "felix", "greta", "henry", "ines", "jonas", "karin", "lukas", "marie",
    "nils", "olga", "paul", "rosa", "simon", "tina", "uwe", "vera", "walter", "yara", "zoe", "alice", "brian", "chloe",
    "daniel", "emma", "frank", "grace", "hugo", "irene", "jack", "kate", "liam", "mei", "noah", "oscar", "priya",
    "rafael", "sofia", "thiago", "ulla", "vitor", "wei", "xin", "yan",
];
const LAST: [&str; 48] = [
    "adler", "becker", "costa", "dietrich", "evans", "fischer", "gomes", "hughes", "ivanov", "jones", "keller", "lima",
    "meyer", "nunes", "oliveira", "price", "quinn", "richter", "santos", "thomas", "ullrich", "vogel", "wagner", "xu",
    "young", "zhang", "allen", "brandt", "clarke", "duarte", "ellis", "franke", "garcia", "hahn", "ito", "jansen",
    "kim", "liu", "moreau", "novak", "otto", "pereira", "ross", "silva", "turner", "vega", "wang", "zimmer",
];

/// Which integration there is, and what it works on.
const APPS: [(&str, System); 6] = [
    ("svc-erp-sync", System::Gateway),
    ("svc-newsletter", System::Gateway),
    ("svc-warehouse", System::Salesforce),
    ("svc-billing", System::Odoo),
    ("svc-helpdesk", System::Gateway),
    ("svc-telephony", System::Portal),
];

/// Everybody: `count` people and the integration accounts after them.
pub fn hire(seed: u64, count: usize, first_day: i64, days: i64) -> Vec<Person> {
    let mut taken = std::collections::BTreeSet::new();
    let mut people = Vec::with_capacity(count + APPS.len());
    for index in 0..count + APPS.len() {
        let mut rng = Rng::of(seed, &[1, index as u64]);
        let app = index.checked_sub(count).map(|app| APPS[app]);
        let role = match app {
            Some(_) => Role::Integration,
            None => match rng.below(100) {
                0..40 => Role::Sales,
                40..67 => Role::Support,
                67..79 => Role::Marketing,
                79..89 => Role::Finance,
                89..93 => Role::Admin,
                _ => Role::Ops,
            },
        };
        let office = office(&mut rng);
        let (mut first, mut last) = ((*rng.pick(&FIRST)).to_owned(), (*rng.pick(&LAST)).to_owned());
        let mut number = 1;
        while app.is_none() && !taken.insert(format!("{first}.{last}")) {
            number += 1;
            let stem = last.trim_end_matches(|one: char| one.is_ascii_digit()).to_owned();
            last = format!("{stem}{number}");
        }
        if let Some((name, _)) = app {
            (first, last) = ("svc".to_owned(), name.trim_start_matches("svc-").to_owned());
        }
        let local = app.map_or_else(|| format!("{first}.{last}"), |(name, _)| name.to_owned());
        let place = &OFFICES[office];
        let home = places::in_city(place.city, Network::Isp, &mut rng).expect("every office's city has a block");
        let mobile =
            places::in_country(place.country, Network::Mobile, &mut rng).expect("every office's country has one");
        let systems = app.map_or_else(|| systems(role, office, &mut rng), |(_, system)| vec![system]);
        let (exports, rows) = appetite(role);
        // Of a stream of its own, so that the people are the same with and without.
        let mut later = Rng::of(seed, &[4, index as u64]);
        let own_vpn = later.chance(0.03);
        let changes = later.chance(0.05);
        let new_desk = (first_day + later.between(days / 3, days), agents::desktop(&mut later));
        let new_desk = changes.then_some(new_desk);
        people.push(Person {
            index: index as u32,
            email: format!("{local}@{DOMAIN}"),
            // The number keeps short names apart: two people may share an initial and a surname.
            login: app.map_or_else(|| format!("{}{last}{index}", &first[..1]), |(name, _)| name.to_owned()),
            espo: app.map_or_else(|| format!("{first}_{}{index}", &last[..1]), |(name, _)| name.to_owned()),
            suite: format!("{last}.{first}"),
            salesforce: salesforce_id("005", index as u64, seed),
            role,
            office,
            second_office: (place.city == "Berlin" && rng.chance(0.06)).then_some(5),
            standing: standing(role, index, first_day, days, &mut rng),
            systems,
            single_sign_on: app.is_none() && rng.chance(0.7),
            starts: (8.6 + 0.8 * rng.normal()).clamp(6.0, 12.0),
            hours: (8.4 + 0.8 * rng.normal()).clamp(4.0, 11.5),
            owl: rng.chance(0.07),
            weekends: if rng.chance(0.12) { 0.4 } else { 0.03 },
            busy: rng.lognormal(1.0, 0.5).clamp(0.2, 5.0),
            exports: exports * rng.lognormal(1.0, 0.7),
            export_rows: rng.lognormal(rows, 0.7),
            reports: (0..rng.between(2, 6)).map(|_| rng.between(11, 240) as u32).collect(),
            territory: rng.between(1, 400) as u32 * 500,
            at_home: if rng.chance(0.3) { 0.6 } else { rng.unit() * 0.4 },
            vpn: rng.chance(0.12),
            desk: if app.is_some() { Device::Program(rng.between(1, 3) as u8) } else { agents::desktop(&mut rng) },
            phone: agents::phone(&mut rng),
            own_vpn: own_vpn && app.is_none(),
            new_desk: new_desk.filter(|_| app.is_none()),
            lag: rng.below(40) as u32,
            home,
            home_number: rng.next(),
            home_six: rng.chance(0.25),
            mobile,
        });
    }
    people
}

fn office(rng: &mut Rng) -> usize {
    let mut left = rng.below(OFFICES.iter().map(|office| office.share).sum()) as i64;
    OFFICES
        .iter()
        .position(|office| {
            left -= office.share as i64;
            left < 0
        })
        .unwrap_or(0)
}

fn systems(role: Role, office: usize, rng: &mut Rng) -> Vec<System> {
    let city = OFFICES[office].city;
    let mut all = match role {
        Role::Sales if city == "New York" => vec![System::M365],
        Role::Sales if city == "Shanghai" => vec![System::Portal],
        Role::Sales => vec![System::Salesforce],
        Role::Support if city == "Sao Paulo" => vec![System::Suite],
        Role::Support => vec![System::Portal],
        Role::Marketing => vec![System::Espo],
        Role::Finance => vec![System::Odoo],
        Role::Admin => vec![System::Portal, System::Salesforce, System::M365],
        Role::Ops | Role::Integration => vec![System::Odoo, System::Portal],
    };
    if all.len() == 1 && rng.chance(0.22) {
        let second = *rng.pick(&[System::Portal, System::Gateway, System::Espo, System::Salesforce]);
        if !all.contains(&second) {
            all.push(second);
        }
    }
    all
}

/// Exports a day, and the records of a usual one.
fn appetite(role: Role) -> (f64, f64) {
    match role {
        Role::Sales => (0.12, 250.0),
        Role::Support => (0.03, 60.0),
        Role::Marketing => (0.4, 2_500.0),
        Role::Finance => (0.5, 1_800.0),
        Role::Admin => (0.1, 800.0),
        Role::Ops => (0.25, 1_500.0),
        Role::Integration => (0.0, 0.0),
    }
}

fn standing(role: Role, index: usize, first_day: i64, days: i64, rng: &mut Rng) -> Standing {
    if role == Role::Integration || index < 3 {
        return Standing::Active;
    }
    match rng.below(100) {
        0..3 => Standing::Notice(first_day + days + rng.between(3, 25)),
        3..5 => Standing::Gone(first_day - rng.between(5, 90)),
        5..8 => Standing::Joins(first_day + rng.between(days / 4, (days * 3 / 4).max(days / 4))),
        8..10 => Standing::Dormant,
        _ => Standing::Active,
    }
}

impl Person {
    /// The computer used on a day.
    pub fn desk_on(&self, day: i64) -> Device {
        self.new_desk.filter(|(from, _)| day >= *from).map_or(self.desk, |(_, device)| device)
    }

    /// Where the VPN bought for oneself comes out: one of a few exits of one provider.
    pub fn own_vpn_address(&self, rng: &mut Rng) -> IpAddr {
        let mut provider = Rng::of(self.home_number, &[5]);
        let block = places::one_of(&mut provider, |block| block.network == Network::Hosting && block.country != "IN")
            .expect("the table has some");
        block.host(self.home_number.wrapping_add(rng.below(4)))
    }

    /// The place of work.
    pub fn office(&self) -> &'static Office {
        &OFFICES[self.office]
    }

    /// The home line's address; providers give a new one every week or two, some never.
    pub fn home_address(&self, day: i64) -> IpAddr {
        let period = 6 + (self.home_number % 9) as i64;
        let turn = if self.home_number.is_multiple_of(3) { 0 } else { (day / period) as u64 };
        let number = Rng::of(self.home_number, &[turn]).next();
        match self.home_six.then(|| places::six(self.office().country, number)).flatten() {
            Some(six) => six,
            None => self.home.host(number),
        }
    }

    /// The telephone's address in that session: carriers let out wherever they like in the country.
    pub fn mobile_address(&self, rng: &mut Rng) -> IpAddr {
        let elsewhere = rng.chance(0.2);
        let block = if elsewhere {
            places::in_country(self.office().country, Network::Mobile, rng).unwrap_or(self.mobile)
        } else {
            self.mobile
        };
        block.host(rng.next())
    }

    /// SuiteCRM's number of the person.
    pub fn suite_id(&self) -> Guid {
        guid(u64::from(self.index) + 77_000)
    }

    /// The name this person goes by in a system.
    pub fn name_in(&self, system: System) -> &str {
        match system {
            System::Portal | System::Gateway => &self.login,
            System::Salesforce | System::M365 | System::Odoo => &self.email,
            System::Suite => &self.suite,
            System::Espo => &self.espo,
        }
    }

    /// Every name, the e-mail address first.
    pub fn names(&self) -> Vec<&str> {
        let mut all = vec![self.email.as_str()];
        for name in [&self.login, &self.espo, &self.suite] {
            if !all.contains(&name.as_str()) {
                all.push(name);
            }
        }
        all
    }

    /// The row of `people.csv`.
    pub fn row(&self) -> String {
        let mut row = format!("{},{}", self.email, self.names()[1..].join(";"));
        let (status, last_day) = match self.standing {
            Standing::Active | Standing::Joins(_) | Standing::Dormant => ("active", None),
            Standing::Notice(day) => ("notice", Some(day)),
            Standing::Gone(day) => ("disabled", Some(day)),
        };
        let office = self.office();
        let department = if self.role == Role::Integration { "it" } else { self.role.word() };
        let role = self.role.word();
        let _ = write!(row, ",{role},{department},{},{},{status},", office.country, office.zone.name());
        if let Some(day) = last_day {
            let date = super::clock::civil(day * super::clock::DAY);
            let _ = write!(row, "{:04}-{:02}-{:02}", date.year, date.month, date.day);
        }
        row
    }
}

/// The first line of `people.csv`.
pub const HEADER: &str = "user,aliases,role,department,country,timezone,status,last_day";

/// An office's public address.
pub fn office_address(seed: u64, office: usize) -> IpAddr {
    let mut rng = Rng::of(seed, &[2, office as u64]);
    let block = places::in_city(OFFICES[office].city, Network::Isp, &mut rng).expect("every office's city has a block");
    block.host(rng.next())
}

/// The company's VPN leaves here, whoever uses it from wherever.
pub fn vpn_address(seed: u64) -> IpAddr {
    let mut rng = Rng::of(seed, &[3]);
    let block = places::in_city("Frankfurt am Main", Network::Hosting, &mut rng).expect("the table has one");
    block.host(rng.next())
}

/// A Salesforce id of 18 characters: 15, and three that guard their case.
pub fn salesforce_id(prefix: &str, number: u64, seed: u64) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const GUARD: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    let mut id = format!("{prefix}5g00000");
    let mut rest = (number * 7919 + seed % 1000 * 62 * 62 + 916_132_832 / 3) % 916_132_832;
    let mut tail = [0u8; 5];
    for place in tail.iter_mut().rev() {
        *place = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    id.extend(tail.iter().map(|byte| char::from(*byte)));
    let guard: String = id
        .as_bytes()
        .chunks(5)
        .map(|five| {
            five.iter().enumerate().map(|(bit, one)| usize::from(one.is_ascii_uppercase()) << bit).sum::<usize>()
        })
        .map(|bits| char::from(GUARD[bits]))
        .collect();
    id + &guard
}
