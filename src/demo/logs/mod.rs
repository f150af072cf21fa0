//! The logs the company's systems write: which there are, and one file for each system's way of writing a deed down.
//! Not for who does what.

mod espo;
mod gateway;
mod m365;
mod odoo;
mod portal;
mod salesforce;
mod suite;

use std::fmt::Write;
use std::path::PathBuf;

use chrono_tz::Tz;
use crmwatch_detectors::Millis;

use super::Company;
use super::act::{Act, System, Who};
use super::clock::{self, HOUR, MINUTE, MONTHS, SECOND, Zone};

/// A log as it stands in the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    /// The source's name.
    pub name: &'static str,
    /// Its files, below the folder.
    pub paths: &'static str,
    /// Its format's name.
    pub format: &'static str,
    /// The zone of its stamps.
    pub zone: Tz,
    /// How late its lines come.
    pub lateness: &'static str,
    /// Whose.
    pub system: System,
}

/// Every log. The first [`PLAIN`] are one file each, in this order; the last is a file for each type and hour.
pub const LOGS: [Log; 8] = [
    Log {
        name: "portal",
        paths: "portal/access.log",
        format: "nginx",
        zone: Tz::Europe__Berlin,
        lateness: "10m",
        system: System::Portal,
    },
    Log {
        name: "gateway",
        paths: "gateway/gateway.jsonl",
        format: "json",
        zone: Tz::UTC,
        lateness: "10m",
        system: System::Gateway,
    },
    Log {
        name: "m365",
        paths: "m365/audit.jsonl",
        format: "m365-audit",
        zone: Tz::UTC,
        lateness: "1h",
        system: System::M365,
    },
    Log {
        name: "odoo",
        paths: "odoo/odoo-server.log",
        format: "odoo",
        // Its stamps have no offset. Most containers run in UTC, and then the logs can be read without being told.
        zone: Tz::UTC,
        lateness: "10m",
        system: System::Odoo,
    },
    Log {
        name: "suitecrm",
        paths: "suitecrm/suitecrm.log",
        format: "suitecrm",
        zone: Tz::UTC,
        lateness: "10m",
        system: System::Suite,
    },
    Log {
        name: "suitecrm-web",
        paths: "suitecrm/access.log",
        format: "apache",
        zone: Tz::UTC,
        lateness: "10m",
        system: System::Suite,
    },
    Log {
        name: "espocrm",
        paths: "espocrm/access.log",
        format: "apache",
        zone: Tz::UTC,
        lateness: "10m",
        system: System::Espo,
    },
    Log {
        name: "salesforce",
        paths: "salesforce/*.csv",
        format: "salesforce-elf",
        zone: Tz::UTC,
        lateness: "26h",
        system: System::Salesforce,
    },
];

/// The account of those who never log in.
pub const GUEST: &str = "guest";

/// How many logs are one file that grows.
pub const PLAIN: usize = 7;

/// A line to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The event's own time; never less than that of the line before in the same file.
    pub time: Millis,
    /// When the log's keeper delivers it.
    pub due: Millis,
    /// Which file: [`path`] names it.
    pub file: usize,
    /// The line, without its newline.
    pub text: String,
}

/// The path of a file below the folder.
pub fn path(file: usize) -> PathBuf {
    match file.checked_sub(PLAIN) {
        None => PathBuf::from(LOGS[file].paths),
        Some(hourly) => {
            let (hour, kind) = (hourly / salesforce::TYPES.len(), hourly % salesforce::TYPES.len());
            let at = clock::civil(hour as Millis * HOUR);
            PathBuf::from(format!(
                "salesforce/{:04}-{:02}-{:02}T{:02}_{}.csv",
                at.year,
                at.month,
                at.day,
                at.hour,
                salesforce::TYPES[kind].name
            ))
        }
    }
}

/// The name of the source a file belongs to.
pub fn source_of(file: usize) -> &'static str {
    LOGS[file.min(PLAIN)].name
}

/// The hour of a file that is written for one.
pub fn hour_of(file: usize) -> usize {
    file.saturating_sub(PLAIN) / salesforce::TYPES.len()
}

/// What the logs' writers remember.
#[derive(Debug)]
pub struct Writers {
    zones: [Zone; PLAIN],
    /// The hour each type's header was last written for.
    headers: [i64; salesforce::TYPES.len()],
    /// Records written so far: request numbers.
    count: u64,
}

impl Writers {
    /// At the beginning.
    pub fn new() -> Writers {
        Writers {
            zones: std::array::from_fn(|log| Zone::new(LOGS[log].zone)),
            headers: [i64::MIN; salesforce::TYPES.len()],
            count: 0,
        }
    }

    /// Writes a deed down, as its system does.
    pub fn write(&mut self, company: &Company, act: &Act, to: &mut impl FnMut(Line)) {
        let mut page = Page { company, act, writers: self, to };
        page.writers.count += 1;
        match act.system {
            System::Portal => portal::write(&mut page),
            System::Gateway => gateway::write(&mut page),
            System::M365 => m365::write(&mut page),
            System::Odoo => odoo::write(&mut page),
            System::Suite => suite::write(&mut page),
            System::Espo => espo::write(&mut page),
            System::Salesforce => salesforce::write(&mut page),
        }
    }
}

/// What one system's writer works with.
struct Page<'a, F: FnMut(Line)> {
    company: &'a Company,
    act: &'a Act,
    writers: &'a mut Writers,
    to: &'a mut F,
}

impl<F: FnMut(Line)> Page<'_, F> {
    /// A line into one of the plain logs.
    fn line(&mut self, log: usize, text: String) {
        let delay = if LOGS[log].system == System::M365 { 4 * MINUTE } else { 0 };
        (self.to)(Line { time: self.act.time, due: self.act.time + delay, file: log, text });
    }

    /// The actor's name in this system; nothing where nobody is logged in.
    fn name(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self.act.who {
            Who::Guest => Some(GUEST.into()),
            Who::Nobody => None,
            Who::Person(index) => Some(self.company.people[index as usize].name_in(self.act.system).into()),
            Who::Unknown(number) => Some(invented(number, self.act.system).into()),
        }
    }

    /// The agent as it is written in this moment.
    fn agent(&self, to: &mut String) {
        let lag = match self.act.who {
            Who::Person(index) => self.company.people[index as usize].lag,
            _ => 20,
        };
        super::agents::write(self.act.device, self.act.time, lag, to);
    }

    /// A line of the combined format, as nginx and Apache write it; browsers say from which page they come.
    fn combined(&mut self, log: usize, user: Option<&str>, method: &str, target: &str, status: u16, bytes: u64) {
        let site = match LOGS[log].system {
            System::Suite => "https://suporte.larkwood.example/index.php",
            System::Espo => "https://marketing.larkwood.example/",
            _ => "https://crm.larkwood.example/crm/",
        };
        let at = self.writers.zones[log].civil(self.act.time);
        let offset = self.writers.zones[log].offset(self.act.time) / MINUTE;
        let mut text = String::with_capacity(320);
        let _ = write!(
            text,
            "{} - {} [{:02}/{}/{}:{:02}:{:02}:{:02} {}{:02}{:02}] \"{method} {target} HTTP/1.1\" {status} {bytes} \"",
            self.act.ip,
            user.unwrap_or("-"),
            at.day,
            MONTHS[at.month as usize - 1],
            at.year,
            at.hour,
            at.minute,
            at.second,
            if offset < 0 { '-' } else { '+' },
            offset.abs() / 60,
            offset.abs() % 60,
        );
        let _ = if matches!(self.act.device, super::agents::Device::Program(_)) {
            write!(text, "-\" \"")
        } else {
            write!(text, "{site}\" \"")
        };
        self.agent(&mut text);
        text.push('"');
        self.line(log, text);
    }

    /// Varies with the deed, the same each time.
    fn noise(&self, below: u64) -> u64 {
        let mixed = (self.act.time as u64 ^ self.act.session).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 20) % below.max(1)
    }
}

/// A name from a list of leaked or guessed ones.
pub fn invented(number: u32, system: System) -> String {
    const STEMS: [&str; 16] = [
        "admin",
        "info",
        "test",
        "m.schmidt",
        "john.smith",
        "sales",
        "root",
        "support",
        "j.mueller",
        "user",
        "backup",
        "demo",
        "oracle",
        "peter.jones",
        "maria.silva",
        "office",
    ];
    let stem = STEMS[number as usize % STEMS.len()];
    let name = if number as usize >= STEMS.len() { format!("{stem}{}", number / 16) } else { stem.to_owned() };
    if matches!(system, System::Salesforce | System::M365 | System::Odoo) {
        format!("{name}@{}", super::people::DOMAIN)
    } else {
        name
    }
}

/// The whole second of a stamp that has no fraction.
fn second(time: Millis) -> Millis {
    time.div_euclid(SECOND) * SECOND
}
