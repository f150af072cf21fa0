//! A simulated company that writes real log files, with labelled attacks and labelled harmless oddities. Everything follows from
//! the [`Plan`]: the same plan, the same bytes. Not for judging what is found in them.

mod act;
mod agents;
mod ambient;
mod attacks;
mod clock;
mod day;
mod folder;
mod label;
mod live;
mod logs;
mod oddities;
mod people;
mod places;
mod rng;
mod scene;
pub mod show;
mod stream;

use std::collections::BTreeMap;

use crmwatch_detectors::Millis;

pub use folder::{Summary, open, write};
pub use label::Incident;
pub use live::Live;
pub use logs::{LOGS, Line, Log, path, source_of};
pub use people::Person;

use clock::DAY;
use day::Change;

/// What to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Another seed, another company and other attacks.
    pub seed: u64,
    /// People, beside the integration accounts.
    pub users: usize,
    /// Days of history.
    pub days: u32,
    /// The last simulated instant of the history.
    pub end: Millis,
}

/// A company with everything that will happen to it.
#[derive(Debug)]
pub struct Company {
    plan: Plan,
    people: Vec<Person>,
    changes: BTreeMap<(u32, i64), Change>,
    incidents: Vec<Incident>,
    /// Logs that are not written, from when to when, and whether somebody said so before.
    silences: Vec<Silence>,
}

/// A log that is not written for a while.
#[derive(Debug, Clone, Copy)]
struct Silence {
    log: Log,
    from: Millis,
    to: Millis,
    planned: bool,
}

impl Company {
    /// Plans people, oddities and attacks.
    pub fn new(plan: &Plan) -> Company {
        let days = i64::from(plan.days.max(1));
        let first_day = clock::day_of(plan.end) - days;
        let people = people::hire(plan.seed, plan.users.max(1), first_day, days);
        let mut company =
            Company { plan: *plan, people, changes: BTreeMap::new(), incidents: Vec::new(), silences: Vec::new() };
        oddities::plan(&mut company);
        attacks::plan(&mut company);
        company.silences = company
            .incidents
            .iter()
            .filter_map(|incident| {
                let (from, to) = incident.span();
                Some(Silence { log: incident.silent?, from, to, planned: incident.severity.is_none() })
            })
            .collect();
        company
    }

    /// The first instant of the history.
    pub fn begin(&self) -> Millis {
        self.plan.end - i64::from(self.plan.days.max(1)) * DAY
    }

    /// Everybody, integration accounts too.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// What was planned beside the ordinary days.
    pub fn incidents(&self) -> &[Incident] {
        &self.incidents
    }

    /// Whether no log that would tell of it is silent meanwhile, and it silences none that tells of another.
    fn can_tell(&self, incident: &Incident) -> bool {
        let hidden = |told: &Incident, silence: &Incident| {
            let (from, to) = silence.span();
            silence.silent.is_some_and(|log| {
                told.acts.iter().any(|act| act.system == log.system && (from..to).contains(&act.time))
            })
        };
        !self.incidents.iter().any(|other| hidden(incident, other) || hidden(other, incident))
    }

    /// Networks of the company's own scanners.
    pub fn scanner_networks(&self) -> Vec<String> {
        vec![format!("{}/32", oddities::scanner_address(self.plan.seed))]
    }

    /// Record ids nobody has a reason to touch.
    pub fn honeytokens(&self) -> Vec<String> {
        scene::HONEYTOKENS.iter().map(u32::to_string).collect()
    }

    /// The history's lines by time, and so by time within each file.
    pub fn events(self) -> impl Iterator<Item = Line> {
        let end = self.plan.end;
        let mut stream = stream::Stream::new(self);
        std::iter::from_fn(move || stream.next_until(end))
    }
}

#[cfg(test)]
mod tests;
