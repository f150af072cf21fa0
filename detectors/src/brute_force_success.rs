//! A guessed password: many failed logins of one account, then a success that is not its owner's.
//!
//! # What it finds
//! Ten or more failed logins of an account within 20 minutes, followed in that time by a successful login from an address the
//! account has not long been using.
//!
//! # Why it matters
//! The guessing has ended because it worked. Whoever did it is inside, with everything the account may see.
//!
//! # How it decides
//! Failures and successes of an account are put in the order of their own times, so a late line changes nothing. At each success
//! the failures of the 20 minutes before it are counted. From ten on, the address decides: one the account first used
//! successfully at least 12 hours earlier is its own. A success from its own address while the failures came from elsewhere is
//! the owner at work while somebody knocks, and is no finding (brute-force tells of the knocking). A success from its own address after
//! failures from that same address is mostly a password renewed or remembered at last: a low finding. Any other success is high.
//! A success of unknown address counts as foreign. This is not written in Sigma, which has no word for "an address this account
//! has used before": its correlation would fire whenever the owner of an attacked account logs in.
//!
//! # False positives
//! A person who forgot the password, tries ten times from a new place or on the first day after installation, and then remembers.
//!
//! # What to check
//! Ask the account's owner, by another channel, whether this login was theirs. If not: end its sessions, reset the password,
//! look at what the session exported, and search for the address in other accounts' logins.
//!
//! # Settings
//! - `failures` (10): how many before the success.
//! - `minutes` (20): within which time.
//! - `own_after_hours` (12): how long ago an address must first have been used to be the account's own.

use std::collections::VecDeque;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::detector::{Context, Detector, RestoreError, Rule};
use crate::entity::{entity_key, primary_field};
use crate::event::{Event, EventId, Millis};
use crate::field::Field;
use crate::finding::{Detection, Identities, Sentence, Severity};
use crate::keyed::{Keyed, Resident};
use crate::manual::Manual;
use crate::memory::Shelf;
use crate::sigma::template::list;
use crate::sigma::traces::{Trace, Traces, identify};
use crate::usual::UsualAddresses;

/// The rule's id.
pub const ID: &str = "brute-force-success";

const TECHNIQUES: [&str; 2] = ["T1110.001", "T1078"];
const CAPACITY: usize = 100_000;
const FAILURES_HELD: usize = 256;
const SUCCESSES_HELD: usize = 16;
const MINUTE: Millis = 60_000;

/// What an operator may set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many failures before the success.
    pub failures: usize,
    /// Within how many minutes.
    pub minutes: u32,
    /// From when on an address is the account's own.
    pub own_after_hours: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { failures: 10, minutes: 20, own_after_hours: 12 }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Success {
    trace: Trace,
    /// Whether it was told already, so that a late failure does not tell it twice.
    found: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Account {
    failures: VecDeque<(Millis, Option<IpAddr>)>,
    traces: Traces,
    successes: VecDeque<Success>,
    usual: UsualAddresses,
}

impl Resident for Account {
    fn rank(&self) -> u8 {
        u8::from(!self.usual.is_empty())
    }
}

/// See the file's head.
pub struct BruteForceSuccess {
    settings: Settings,
    accounts: Keyed<Account>,
}

impl BruteForceSuccess {
    /// With these settings.
    pub fn new(settings: Settings) -> BruteForceSuccess {
        let failures = settings.failures.clamp(2, FAILURES_HELD);
        BruteForceSuccess { settings: Settings { failures, ..settings }, accounts: Keyed::new(ID, CAPACITY) }
    }

    /// For the registry.
    pub fn build(settings: &serde_json::Value) -> Result<Box<dyn Detector>, serde_json::Error> {
        Ok(Box::new(BruteForceSuccess::new(Settings::deserialize(settings)?)))
    }

    fn judge(&self, account: &Account, success: &Success) -> Option<(Severity, usize)> {
        let span = Millis::from(self.settings.minutes) * MINUTE;
        let time = success.trace.time;
        let before: Vec<Option<IpAddr>> = account
            .failures
            .iter()
            .filter(|(failed, _)| *failed <= time && *failed >= time.saturating_sub(span))
            .map(|(_, address)| *address)
            .collect();
        if before.len() < self.settings.failures {
            return None;
        }
        let age = Millis::from(self.settings.own_after_hours) * 60 * MINUTE;
        let own = success.trace.address.filter(|address| account.usual.knows(*address, time, age));
        let severity = match own {
            None => Severity::High,
            Some(own) => {
                let from_there = before.iter().filter(|address| **address == Some(own)).count();
                if from_there * 2 < before.len() {
                    return None;
                }
                Severity::Low
            }
        };
        Some((severity, before.len()))
    }

    fn tell(&self, account: &Account, success: &Trace, severity: Severity, count: usize, event: &Event) -> Detection {
        let span = Millis::from(self.settings.minutes) * MINUTE;
        let held: Vec<&Trace> = account.traces.between(success.time.saturating_sub(span), success.time).collect();
        let mut failing = Identities::default();
        identify(held.iter().copied(), &mut failing);
        let mut entity = Identities::default();
        entity.add_event(event);
        identify(std::iter::once(success), &mut entity);
        entity.merge(&failing);
        let none = Vec::new();
        let sources = failing.0.get(Field::SourceIp.name()).unwrap_or(&none);
        let who = entity_key(event).split_once(':').map_or(String::new(), |(_, name)| name.to_owned());
        let from = success.address.map_or("-".to_owned(), |address| address.to_string());
        let minutes = self.settings.minutes;
        let evidence = held
            .iter()
            .map(|trace| trace.reference)
            .chain(std::iter::once(success.reference))
            .filter(|reference| reference.id != event.id)
            .collect();
        Detection {
            rule: ID.into(),
            severity,
            primary: primary_field(event).name(),
            subject: entity_key(event).into_owned(),
            summary: Sentence::new(
                format!("{who} logged in from {from} after {count} failed attempts within {minutes} minutes"),
                format!("{who} 在{minutes} 分钟内失败 {count} 次后从 {from} 登录成功"),
            ),
            observed: Sentence::new(
                format!("{count} failures from {}, then a success from {from}", list(sources, false)),
                format!("来自 {} 的 {count} 次失败，随后从 {from} 登录成功", list(sources, true)),
            ),
            expected: Sentence::new(
                format!(
                    "fewer than {} failures before a success from an address not used before",
                    self.settings.failures
                ),
                format!("在未曾使用的地址登录成功之前，失败少于 {} 次", self.settings.failures),
            ),
            window: (held.first().map_or(success.time, |trace| trace.time.min(success.time)), success.time),
            evidence,
            evidence_count: count as u64 + 1,
            techniques: TECHNIQUES.to_vec(),
            parts: vec![("failures", count as f64)],
            quiet: (span).max(30 * MINUTE),
            entity,
        }
    }
}

/// A longer name is cut.
const LONGEST_KEY: usize = 200;

/// An account, not an address or a session that stands for one.
pub(crate) fn account_key(event: &Event) -> Option<String> {
    let key = entity_key(event);
    let names_one = ["person:", "user:", "user-id:"].iter().any(|word| key.starts_with(word));
    names_one.then(|| if key.len() <= LONGEST_KEY { key.into_owned() } else { key.chars().take(LONGEST_KEY).collect() })
}

impl Detector for BruteForceSuccess {
    fn id(&self) -> &'static str {
        ID
    }

    fn rules(&self) -> Vec<Rule> {
        vec![Rule {
            id: ID.to_owned(),
            manual: Manual::from_source(include_str!("brute_force_success.rs")),
            severity: Severity::High,
            techniques: TECHNIQUES.iter().map(|one| (*one).to_owned()).collect(),
            settings: serde_json::to_value(&self.settings).unwrap_or_default(),
        }]
    }

    fn actions(&self) -> &'static [&'static str] {
        &["login"]
    }

    fn observe(&mut self, event: &Event, _: &Context, out: &mut Vec<Detection>) {
        if event.text(Field::EventAction) != Some("login") {
            return;
        }
        let succeeded = match event.text(Field::EventOutcome) {
            Some("success") => true,
            Some("failure") => false,
            _ => return,
        };
        let Some(key) = account_key(event) else { return };
        let address = event.ip(Field::SourceIp);
        let span = Millis::from(self.settings.minutes) * MINUTE;
        // Most successes have no failures near them and come from where they always do.
        if succeeded && let Some(account) = self.accounts.get(&key) {
            let near = account.failures.iter().any(|(time, _)| time.abs_diff(event.time) <= 2 * span.unsigned_abs());
            let learns = address.is_some_and(|address| account.usual.would_learn(address, event.time));
            if !near
                && !learns
                && account.successes.back().is_some_and(|last| last.trace.time >= event.time.saturating_sub(span))
            {
                return;
            }
        }
        let account = self.accounts.touch(&key, event.time);
        if succeeded {
            if let Some(address) = address {
                account.usual.learn(address, event.time);
            }
            let place = account.successes.partition_point(|one| one.trace.time <= event.time);
            account.successes.insert(place, Success { trace: Trace::of(event), found: false });
            crate::sigma::window::trim(&mut account.successes, SUCCESSES_HELD, event.time, |one| one.trace.time);
        } else {
            let place = account.failures.partition_point(|one| one.0 <= event.time);
            account.failures.insert(place, (event.time, address));
            crate::sigma::window::trim(&mut account.failures, FAILURES_HELD, event.time, |one| one.0);
            account.traces.add(Trace::of(event), span);
        }
        // The successes this event may concern: itself, or for a failure those that follow it and were read before it.
        let concerned: Vec<(EventId, Success)> = account
            .successes
            .iter()
            .filter(|one| {
                !one.found && one.trace.time >= event.time && one.trace.time <= event.time.saturating_add(span)
            })
            .map(|one| (one.trace.reference.id, one.clone()))
            .collect();
        for (id, success) in concerned {
            let Some(account) = self.accounts.get(&key) else { return };
            let Some((severity, count)) = self.judge(account, &success) else { continue };
            out.push(self.tell(account, &success.trace, severity, count, event));
            let account = self.accounts.touch(&key, event.time);
            for one in account.successes.iter_mut().filter(|one| one.trace.reference.id == id) {
                one.found = true;
            }
        }
    }

    fn memory(&mut self) -> Vec<Shelf<'_>> {
        vec![Shelf::of(&mut self.accounts)]
    }

    fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        self.accounts.restore(key, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::finding::Finding;

    const DAY: i64 = 86_400;

    fn login(number: u128, second: i64, outcome: &str, from: &str) -> Event {
        let mut event = Event::new("");
        event.id = EventId(number);
        event.time = second * 1000;
        event.set(Field::EventAction, "login");
        event.set(Field::EventOutcome, outcome);
        event.set(Field::UserName, "alice");
        event.set_ip(Field::SourceIp, from.parse().expect("an address"));
        event
    }

    fn failures(from: &str, count: usize, start: i64) -> Vec<Event> {
        (0..count)
            .map(|number| login(1_000 + number as u128 + start as u128, start + number as i64 * 10, "failure", from))
            .collect()
    }

    fn engine() -> Engine {
        Engine::with(vec![Box::new(BruteForceSuccess::new(Settings::default()))])
    }

    fn found(events: &[Event]) -> Vec<Finding> {
        let mut engine = engine();
        events.iter().for_each(|event| engine.observe(event));
        engine.drain()
    }

    #[test]
    fn a_success_after_ten_failures_is_high_and_shows_them_all() {
        let mut events = failures("203.0.113.7", 12, 0);
        events.push(login(1, 300, "success", "203.0.113.7"));
        let found = found(&events);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::High);
        assert_eq!(found[0].evidence.count(), 13);
        assert_eq!(found[0].time, 300_000);
        assert!(found[0].summary.en.contains("after 12 failed attempts"), "{}", found[0].summary.en);
        assert!(found[0].summary.zh.contains("12"), "{}", found[0].summary.zh);
    }

    #[test]
    fn the_owner_at_work_while_somebody_knocks_is_no_finding() {
        let mut events = vec![login(1, 0, "success", "10.0.0.5")];
        events.extend(failures("203.0.113.7", 12, DAY));
        events.push(login(2, DAY + 300, "success", "10.0.0.5"));
        assert!(found(&events).is_empty());
    }

    #[test]
    fn a_guess_that_hits_from_elsewhere_is_found_though_the_owner_has_a_usual_address() {
        let mut events = vec![login(1, 0, "success", "10.0.0.5")];
        events.extend(failures("203.0.113.7", 12, DAY));
        events.push(login(2, DAY + 300, "success", "198.51.100.1"));
        assert_eq!(found(&events)[0].severity, Severity::High);
    }

    #[test]
    fn a_renewed_password_of_a_program_is_no_more_than_low() {
        let mut events = vec![login(1, 0, "success", "10.0.0.5")];
        events.extend(failures("10.0.0.5", 50, DAY));
        events.push(login(2, DAY + 520, "success", "10.0.0.5"));
        assert_eq!(found(&events)[0].severity, Severity::Low);
    }

    #[test]
    fn six_mistypes_an_early_success_and_slow_failures_are_no_finding() {
        let mut mistyped = failures("203.0.113.7", 6, 0);
        mistyped.push(login(1, 100, "success", "203.0.113.7"));
        assert!(found(&mistyped).is_empty());
        let mut early = vec![login(1, 0, "success", "203.0.113.7")];
        early.extend(failures("203.0.113.7", 12, 10));
        assert!(found(&early).is_empty());
        let mut slow: Vec<Event> =
            (0..12).map(|number| login(number, number as i64 * 600, "failure", "203.0.113.7")).collect();
        slow.push(login(99, 7_000, "success", "203.0.113.7"));
        assert!(found(&slow).is_empty());
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let mut events = failures("203.0.113.7", 10, 0);
        events.insert(0, login(1, 300, "success", "203.0.113.7"));
        assert_eq!(found(&events).len(), 1);
        events.rotate_left(5);
        assert_eq!(found(&events).len(), 1);
        assert_eq!(found(&events)[0].window, (0, 300_000));
    }

    #[test]
    fn saved_and_restored_at_any_point_it_finds_the_same() {
        let mut events = failures("203.0.113.7", 12, 0);
        events.push(login(1, 300, "success", "203.0.113.7"));
        events.push(login(2, 310, "success", "203.0.113.7"));
        let whole = found(&events);
        for cut in 0..events.len() {
            let mut first = engine();
            events[..cut].iter().for_each(|event| first.observe(event));
            let mut second = engine();
            for change in first.changes() {
                second.restore(change.owner, &change.key, change.value.as_deref().expect("kept")).expect("readable");
            }
            events[cut..].iter().for_each(|event| second.observe(event));
            assert_eq!(second.drain(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn the_manual_is_whole() {
        let rules = BruteForceSuccess::new(Settings::default()).rules();
        for heading in crate::manual::HEADINGS {
            assert!(rules[0].manual.section(heading).is_some_and(|text| !text.is_empty()), "{heading}");
        }
    }
}
