//! A few passwords tried on many accounts, from one address or from many.
//!
//! # What it finds
//! One address that fails to log in to fifteen or more accounts within five minutes, or to twenty-five within a day, or forty
//! times to five or more within 20 minutes without reaching what brute-force counts for each; and many addresses that
//! together, within a quarter of an hour, try many accounts a few times each.
//!
//! # Why it matters
//! Spraying stays under every lock-out, because no account is tried often. Among a thousand accounts one has the season and the
//! year as its password, and one is enough.
//!
//! # How it decides
//! Only refused logins that name an account count; refused second factors and unknown outcomes do not. What sets spraying apart
//! from a bad morning is judged by its causes:
//!
//! - *Own address.* A failure from an address its account has used for half a day or longer is left out: when the sign-in
//!   service is down, everybody fails from his own address.
//! - *Few tries.* Of the accounts at least four fifths were tried no more than five times (nine, where a handful is tried in
//!   turns); more tries than that are brute-force.
//! - *Shared exit.* Where two fifths of the accounts that failed at an address get in from there soon after, an office is
//!   typing its new passwords. Where as many other accounts get in as fail, three times as many must fail.
//! - *Distributed:* at least 25 tries of at least 8 accounts from at least 5 addresses within 15 minutes, four times what the
//!   organisation's normal quarter of an hour brings, with at least half of the accounts tried from several addresses or half
//!   of the addresses trying several accounts, and fewer accounts failing at home than abroad. Where three quarters of the tries come with one
//!   program that the accounts do not use, 15 are enough and nothing more is asked of addresses and accounts. Such a program is also
//!   found when it takes a day for 25 tries of 15 accounts. Addresses that are found by
//!   themselves are not counted again. What is normal is learned from quarters of an hour that are over and had no finding.
//!
//! The finding is medium, and high once an account gets in from there that had not been at home there.
//!
//! # False positives
//! A scanner of your own; a proxy that hides everybody behind one address on the day it is set up; a migration after which many
//! passwords are wrong and people give up.
//!
//! # What to check
//! - Did any account get in from these addresses, then or since? Treat those as taken over: end sessions, reset, look at exports.
//! - Are the names real ones? Names of people who left, or in alphabetical order, say where the list comes from.
//! - Block the addresses; switch off logins without a second factor.
//!
//! # Settings
//! - `accounts_in_5_minutes` (15) and `accounts_in_a_day` (25): for one address.
//! - `addresses` (5), `accounts` (8), `tries` (25): for many addresses, within 15 minutes.
//! - `tries_at_few_accounts` (40): for one address that takes turns at five to fourteen accounts, within 20 minutes.
//! - `tries_per_account` (5): what still counts as few.
//! - `own_after_hours` (12): how long ago an address must first have been used to be the account's own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use ahash::{AHashMap, AHashSet};
use serde::{Deserialize, Serialize};

use crate::baseline::stable_hash;
use crate::brute_force_success::account_key;
use crate::detector::{Context, Detector, RestoreError, Rule};
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, IDENTITIES_KEPT, Identities, Sentence, Severity};
use crate::keyed::{Keyed, Resident};
use crate::manual::Manual;
use crate::mark::Mark;
use crate::memory::Shelf;
use crate::sigma::template::{list, span_in_words};
use crate::sigma::traces::{Trace, Traces};
use crate::sigma::window::{Times, trim};
use crate::usual::UsualAddresses;
use crate::wording::{span_en, span_zh};

/// The rule's id.
pub const ID: &str = "password-spray";

const TECHNIQUES: [&str; 1] = ["T1110.003"];
const MINUTE: Millis = 60_000;
const DAY: Millis = 1_440 * MINUTE;
const FAST: Millis = 5 * MINUTE;
const WIDE: Millis = 15 * MINUTE;
const SOME: Millis = 20 * MINUTE;
/// A handful of accounts, each below what brute-force counts.
const SOME_ACCOUNTS: usize = 5;
const BELOW_BRUTE_FORCE: u32 = 9;
/// A success this soon after a failure is the answer to it.
const SOON: Millis = 30 * MINUTE;
/// For how long an address that sprayed is watched for an account that gets in, and an episode stays open.
const QUIET: Millis = 60 * MINUTE;
/// Tries of one program at many addresses that are a spray.
const ONE_PROGRAM_TRIES: usize = 15;
/// What goes on is told again this often, not at every failure of a flood.
const AGAIN: Millis = 10_000;

const ADDRESSES: usize = 50_000;
const ACCOUNTS: usize = 100_000;
const TENANTS: usize = 1_000;
const ACCOUNTS_PER_ADDRESS: usize = 512;
const FAILURES_HELD: usize = 256;
const TRIES_PER_TENANT: usize = 256;
const SLOTS_HELD: usize = 128;
/// How much of the normal rate one quarter of an hour moves: about two days' worth of memory.
const LEARNING: f64 = 0.01;

/// What an operator may set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Accounts at one address, quickly.
    pub accounts_in_5_minutes: usize,
    /// Accounts at one address, slowly.
    pub accounts_in_a_day: usize,
    /// Addresses of a distributed spray.
    pub addresses: usize,
    /// Accounts of a distributed spray.
    pub accounts: usize,
    /// Tries of a distributed spray.
    pub tries: usize,
    /// Failures of one address that takes turns at a handful of accounts.
    pub tries_at_few_accounts: usize,
    /// What still counts as few.
    pub tries_per_account: u32,
    /// From when on an address is the account's own.
    pub own_after_hours: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            accounts_in_5_minutes: 15,
            accounts_in_a_day: 25,
            addresses: 5,
            accounts: 8,
            tries: 25,
            tries_at_few_accounts: 40,
            tries_per_account: 5,
            own_after_hours: 12,
        }
    }
}

/// One account at one address.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Touch {
    failed: Option<Millis>,
    tries: u32,
    succeeded: Option<Millis>,
    /// Whether the address was the account's own by then.
    at_home: bool,
}

impl Touch {
    fn last(&self) -> Millis {
        self.failed.max(self.succeeded).unwrap_or(Millis::MIN)
    }

    /// Tries a day apart are two attempts of a slow list, not many tries; a stamp far ahead is not believed for long.
    fn fail(&mut self, time: Millis) {
        match self.failed {
            Some(failed) if failed.abs_diff(time) <= DAY.unsigned_abs() => self.failed = Some(failed.max(time)),
            _ => (self.failed, self.tries) = (Some(time), 0),
        }
        self.tries = self.tries.saturating_add(1);
    }

    /// Got in soon after failing.
    fn recovered(&self) -> bool {
        matches!((self.failed, self.succeeded), (Some(failed), Some(succeeded)) if succeeded >= failed && succeeded.saturating_sub(failed) <= SOON)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Address {
    touched: BTreeMap<Box<str>, Touch>,
    traces: Traces,
    /// Every failure of strangers here, while there is room.
    failures: Times,
    found: Option<Millis>,
}

impl Resident for Address {
    fn rank(&self) -> u8 {
        if self.found.is_some() { 2 } else { u8::from(self.touched.len() > 1) }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Home(UsualAddresses);

impl Resident for Home {}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Try {
    time: Millis,
    account: Box<str>,
    address: IpAddr,
    at_home: bool,
    recovered: bool,
    /// The program it came with, where the account does not use it.
    foreign: Option<u32>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Tenant {
    tries: VecDeque<Try>,
    traces: Traces,
    /// Tries abroad per quarter of an hour that is not learned yet.
    slots: BTreeMap<i64, u32>,
    learned: Option<i64>,
    normal: f64,
    found: Option<Millis>,
}

impl Resident for Tenant {}

/// What an address or a tenant shows within a window.
#[derive(Debug, Default)]
struct Seen<'s> {
    accounts: Vec<&'s str>,
    /// Those the finding is to name, as far as it has not yet.
    named: Vec<&'s str>,
    addresses: Vec<IpAddr>,
    tries: u64,
    got_in: Vec<&'s str>,
    from: Millis,
    to: Millis,
}

impl Seen<'_> {
    /// A quarter of an hour, or as long as it took.
    fn span(&self) -> Millis {
        (self.to - self.from).max(WIDE)
    }
}

/// See the file's head.
pub struct PasswordSpray {
    settings: Settings,
    addresses: Keyed<Address>,
    homes: Keyed<Home>,
    tenants: Keyed<Tenant>,
}

const AT: &str = "at:";
const HOME: &str = "home:";
const TENANT: &str = "tenant:";

impl PasswordSpray {
    /// With these settings.
    pub fn new(settings: Settings) -> PasswordSpray {
        PasswordSpray {
            settings,
            addresses: Keyed::new(ID, ADDRESSES),
            homes: Keyed::new(ID, ACCOUNTS),
            tenants: Keyed::new(ID, TENANTS),
        }
    }

    /// For the registry.
    pub fn build(settings: &serde_json::Value) -> Result<Box<dyn Detector>, serde_json::Error> {
        Ok(Box::new(PasswordSpray::new(Settings::deserialize(settings)?)))
    }

    fn succeeded(&mut self, event: &Event, account: &str, address: IpAddr, at_home: bool, out: &mut Vec<Detection>) {
        let home = format!("{HOME}{account}");
        if self.homes.get(&home).is_none_or(|home| home.0.would_learn(address, event.time)) {
            self.homes.touch(&home, event.time).0.learn(address, event.time);
        }
        let key = format!("{AT}{address}");
        // An address nobody fails at needs no state.
        if self.addresses.get(&key).is_some() {
            let state = self.addresses.touch(&key, event.time);
            change(&mut state.touched, account, |touch| {
                touch.succeeded = touch.succeeded.max(Some(event.time));
                touch.at_home |= at_home;
            });
            bound(&mut state.touched);
            let sprayed = state.found.is_some_and(|found| event.time.abs_diff(found) <= QUIET.unsigned_abs());
            if sprayed
                && !at_home
                && let Some((seen, span)) = self.at_address(&key, event.time, account)
            {
                out.push(self.tell_address(event, address, &key, &seen, span));
                self.addresses.touch(&key, event.time).found = Some(event.time);
            }
        }
        let tenant = tenant_key(event);
        if let Some(state) = self.tenants.get(&tenant)
            && state.tries.iter().any(|one| one.address == address && *one.account == *account && !one.recovered)
        {
            let state = self.tenants.touch(&tenant, event.time);
            for one in state.tries.iter_mut().filter(|one| one.address == address && *one.account == *account) {
                one.recovered |= event.time >= one.time && event.time.saturating_sub(one.time) <= SOON;
            }
            let sprayed = state.found.is_some_and(|found| event.time.abs_diff(found) <= QUIET.unsigned_abs());
            if sprayed
                && !at_home
                && let Some(seen) = self.across(&tenant, event.time)
            {
                out.push(self.tell_tenant(event, &tenant, &seen));
                self.tenants.touch(&tenant, event.time).found = Some(event.time);
            }
        }
    }

    fn failed(
        &mut self,
        event: &Event,
        account: &str,
        address: IpAddr,
        at_home: bool,
        context: &Context,
        out: &mut Vec<Detection>,
    ) {
        let tenant = tenant_key(event);
        let mut alone = false;
        if !at_home {
            let key = format!("{AT}{address}");
            let state = self.addresses.touch(&key, event.time);
            change(&mut state.touched, account, |touch| touch.fail(event.time));
            bound(&mut state.touched);
            state.failures.insert(event.time, FAILURES_HELD);
            state.traces.add(Trace::of(event), FAST);
            if !just_told(state.found, event.time)
                && let Some((seen, span)) = self.at_address(&key, event.time, account)
            {
                out.push(self.tell_address(event, address, &key, &seen, span));
                self.addresses.touch(&key, event.time).found = Some(event.time);
            }
            let found = self.addresses.get(&key).and_then(|state| state.found);
            alone = found.is_some_and(|found| event.time.abs_diff(found) <= QUIET.unsigned_abs());
        }
        if alone {
            // What the address is found for by itself is no part of a distributed spray.
            let held =
                self.tenants.get(&tenant).is_some_and(|state| state.tries.iter().any(|one| one.address == address));
            if held {
                self.tenants.touch(&tenant, event.time).tries.retain(|one| one.address != address);
            }
            return;
        }
        let agent = event.text(Field::UserAgent).filter(|_| context.view(event).new_agent());
        let foreign = agent.map(stable_hash);
        let state = self.tenants.touch(&tenant, event.time);
        let one = Try { time: event.time, account: account.into(), address, at_home, recovered: false, foreign };
        let place = state.tries.partition_point(|other| other.time <= event.time);
        state.tries.insert(place, one);
        trim(&mut state.tries, TRIES_PER_TENANT, event.time, |one| one.time);
        if at_home {
            return;
        }
        state.traces.add(Trace::of(event), WIDE);
        state.learn(event.time, context.watermark);
        if !just_told(state.found, event.time)
            && let Some(seen) = self
                .across(&tenant, event.time)
                .or_else(|| foreign.and_then(|program| self.trickled(&tenant, event.time, program)))
        {
            out.push(self.tell_tenant(event, &tenant, &seen));
            let state = self.tenants.touch(&tenant, event.time);
            state.found = Some(event.time);
            state.slots.remove(&event.time.div_euclid(WIDE));
        }
    }

    /// What an address shows around a time, if that is a spray, with the window's length.
    fn at_address(&self, key: &str, time: Millis, account: &str) -> Option<(Seen<'_>, Millis)> {
        let state = self.addresses.get(key)?;
        let settings = &self.settings;
        if state.touched.len() < SOME_ACCOUNTS.min(settings.accounts_in_5_minutes).min(settings.accounts_in_a_day) {
            return None;
        }
        let told = Told { found: state.found, by: account };
        let touched: Vec<Touched<'_>> = state.touched.iter().map(|(account, touch)| (&**account, touch)).collect();
        let quick = || within(&touched, time, FAST, settings.accounts_in_5_minutes, settings.tries_per_account, told);
        let slow = || within(&touched, time, DAY, settings.accounts_in_a_day, settings.tries_per_account, told);
        let few = || {
            let tries = settings.tries_at_few_accounts.min(FAILURES_HELD);
            let held = state.failures.fullest(time, SOME, tries).filter(|found| found.amount >= tries as f64);
            held.and_then(|_| within(&touched, time, SOME, SOME_ACCOUNTS, BELOW_BRUTE_FORCE, told))
        };
        quick()
            .map(|seen| (seen, FAST))
            .or_else(|| slow().map(|seen| (seen, DAY)))
            .or_else(|| few().map(|seen| (seen, SOME)))
    }

    /// What a tenant shows around a time, if that is a distributed spray.
    fn across(&self, key: &str, time: Millis) -> Option<Seen<'_>> {
        let settings = &self.settings;
        let state = self.tenants.get(key)?;
        let first = state.tries.partition_point(|one| one.time < time.saturating_sub(WIDE));
        let after = state.tries.partition_point(|one| one.time <= time.saturating_add(WIDE));
        if after - first < settings.tries.min(ONE_PROGRAM_TRIES) {
            return None;
        }
        // A late event is judged in the window that ends with what came before it but happened after it.
        let end = state.tries.range(first..after).map(|one| one.time).max()?;
        let window: Vec<&Try> =
            state.tries.range(first..after).filter(|one| one.time >= end.saturating_sub(WIDE)).collect();
        // Numbers for names: they are compared a few hundred times at every failure. Mostly one comes after the same.
        let mut numbers: AHashMap<&str, usize> = AHashMap::new();
        let mut tried: Vec<u32> = Vec::new();
        let mut before: Option<(&str, usize)> = None;
        let mut counted: Vec<(&Try, usize)> = Vec::with_capacity(window.len());
        for one in window.iter().filter(|one| !one.at_home) {
            let number = match before {
                Some((account, number)) if *account == *one.account => number,
                _ => {
                    let next = numbers.len();
                    *numbers.entry(&one.account).or_insert(next)
                }
            };
            before = Some((&one.account, number));
            tried.resize(numbers.len(), 0);
            tried[number] += 1;
            counted.push((one, number));
        }
        if tried.iter().filter(|tries| **tries <= settings.tries_per_account).count() < settings.accounts {
            return None;
        }
        let few = |(_, number): &&(&Try, usize)| tried[*number] <= settings.tries_per_account;
        let abroad: Vec<&Try> = counted.iter().filter(few).map(|(one, _)| *one).collect();
        let mut of_address: AHashMap<IpAddr, Several<&str>> = AHashMap::new();
        let mut of_account: AHashMap<&str, Several<IpAddr>> = AHashMap::new();
        for one in &abroad {
            of_address.entry(one.address).or_default().add(&one.account);
            of_account.entry(&one.account).or_default().add(one.address);
        }
        let at_home: AHashSet<&str> = window.iter().filter(|one| one.at_home).map(|one| &*one.account).collect();
        let recovered: BTreeSet<&str> = abroad.iter().filter(|one| one.recovered).map(|one| &*one.account).collect();
        let roaming = of_account.values().filter(|addresses| addresses.more).count();
        let trying = of_address.values().filter(|accounts| accounts.more).count();
        // One program that none of the accounts uses, at all of these addresses: that is no bad morning of many.
        let mut programs: BTreeMap<u32, usize> = BTreeMap::new();
        abroad.iter().filter_map(|one| one.foreign).for_each(|program| *programs.entry(program).or_default() += 1);
        let one_program = programs.values().max().is_some_and(|tries| tries * 4 >= abroad.len() * 3);
        let tries = if one_program { settings.tries.min(ONE_PROGRAM_TRIES) } else { settings.tries };
        let enough = of_address.len() >= settings.addresses
            && of_account.len() >= settings.accounts
            && abroad.len() >= tries
            && abroad.len() as f64 >= 4.0 * state.normal;
        let mixed = one_program || roaming * 2 >= of_account.len() || trying * 2 >= of_address.len();
        let outage = at_home.len() >= of_account.len() || recovered.len() * 5 >= of_account.len() * 2;
        (enough && mixed && !outage).then(|| Seen {
            named: first_named(&recovered, sorted(of_account.keys().copied())),
            accounts: sorted(of_account.keys().copied()),
            addresses: sorted(of_address.keys().copied()),
            tries: abroad.len() as u64,
            got_in: recovered.into_iter().collect(),
            from: abroad.first().map_or(end, |one| one.time),
            to: end,
        })
    }

    fn tell_address(&self, event: &Event, address: IpAddr, key: &str, seen: &Seen<'_>, span: Millis) -> Detection {
        let mut entity = Identities::default();
        entity.add(Field::SourceIp.name(), &address.to_string());
        let count = seen.accounts.len();
        let (least, en, zh) = match span {
            FAST => (self.settings.accounts_in_5_minutes, "quickly", "快速"),
            SOME => (SOME_ACCOUNTS, "in turns", "轮流"),
            _ => (self.settings.accounts_in_a_day, "slowly", "缓慢"),
        };
        let (within, within_zh) = (span_in_words(span, false), span_in_words(span, true));
        let summary = Sentence::new(
            format!("{address} {en} tried passwords on {count} accounts: {} failures within {within}", seen.tries),
            format!("{address} {zh}对 {count} 个账户尝试密码：{within_zh}内失败 {} 次", seen.tries),
        );
        let expected = Sentence::new(
            format!(
                "fewer than {least} accounts that were never at home there failing from one address within {within}"
            ),
            format!("{within_zh}内，一个地址上失败的陌生账户少于 {least} 个"),
        );
        let state = self.addresses.get(key);
        let evidence = state.map(|state| untold(&state.traces, state.found, seen)).unwrap_or_default();
        self.tell(event, entity, Field::SourceIp.name(), key, seen, summary, expected, evidence)
    }

    /// What one program that the accounts do not use tried within a day, minutes apart and from ever new addresses.
    fn trickled(&self, key: &str, time: Millis, program: u32) -> Option<Seen<'_>> {
        let settings = &self.settings;
        let state = self.tenants.get(key)?;
        let first = state.tries.partition_point(|one| one.time < time.saturating_sub(DAY));
        let after = state.tries.partition_point(|one| one.time <= time);
        let tries: Vec<&Try> =
            state.tries.range(first..after).filter(|one| one.foreign == Some(program) && !one.at_home).collect();
        if tries.len() < settings.tries {
            return None;
        }
        let accounts: AHashSet<&str> = tries.iter().map(|one| &*one.account).collect();
        if accounts.len() < settings.accounts_in_5_minutes {
            return None;
        }
        let addresses: BTreeSet<IpAddr> = tries.iter().map(|one| one.address).collect();
        let got_in: BTreeSet<&str> = tries.iter().filter(|one| one.recovered).map(|one| &*one.account).collect();
        let enough = addresses.len() >= settings.addresses;
        // People with a new computer mistype, too, and then get in.
        (enough && got_in.len() * 5 < accounts.len() * 2).then(|| Seen {
            named: first_named(&got_in, sorted(accounts.iter().copied())),
            accounts: sorted(accounts.into_iter()),
            addresses: addresses.into_iter().collect(),
            tries: tries.len() as u64,
            got_in: got_in.into_iter().collect(),
            from: tries.first().map_or(time, |one| one.time),
            to: time,
        })
    }

    fn tell_tenant(&self, event: &Event, key: &str, seen: &Seen<'_>) -> Detection {
        let mut entity = Identities::default();
        let primary = match event.text(Field::OrganizationId) {
            Some(organization) => {
                entity.add(Field::OrganizationId.name(), organization);
                Field::OrganizationId.name()
            }
            None => {
                entity.add("crm.source", &event.origin.source);
                "crm.source"
            }
        };
        for address in &seen.addresses {
            entity.add(Field::SourceIp.name(), &address.to_string());
        }
        let (accounts, addresses) = (seen.accounts.len(), seen.addresses.len());
        let normal = self.tenants.get(key).map_or(0.0, |state| state.normal);
        let summary = Sentence::new(
            format!(
                "{addresses} addresses together tried passwords on {accounts} accounts: {} failures within {}",
                seen.tries,
                span_en(seen.span())
            ),
            format!(
                "{addresses} 个地址共同对 {accounts} 个账户尝试密码：{}内失败 {} 次",
                span_zh(seen.span()),
                seen.tries
            ),
        );
        let expected = Sentence::new(
            format!("{normal:.1} failures within 15 minutes from addresses the accounts do not use"),
            format!("15 分钟内来自账户不常用地址的失败约 {normal:.1} 次"),
        );
        let state = self.tenants.get(key);
        let evidence = state.map(|state| untold(&state.traces, state.found, seen)).unwrap_or_default();
        self.tell(event, entity, primary, key, seen, summary, expected, evidence)
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one finding, said once for either kind")]
    fn tell<'a>(
        &self,
        event: &Event,
        mut entity: Identities,
        primary: &'static str,
        key: &str,
        seen: &Seen<'a>,
        summary: Sentence,
        expected: Sentence,
        evidence: Vec<Mark>,
    ) -> Detection {
        let name = |key: &'a str| key.split_once(':').map_or(key, |(_, name)| name);
        let names = |accounts: &[&'a str]| -> Vec<&'a str> { accounts.iter().map(|key| name(key)).collect() };
        let (tried, got_in) = (names(&seen.accounts), names(&seen.got_in));
        entity.add_all(Field::UserName.name(), seen.named.iter().map(|key| name(key)));
        let observed = if got_in.is_empty() {
            Sentence::new(
                format!("{} failures, among the accounts {}; none got in", seen.tries, list(&tried, false)),
                format!("失败 {} 次，涉及账户 {}；无一成功", seen.tries, list(&tried, true)),
            )
        } else {
            Sentence::new(
                format!("{} failures; {} got in", seen.tries, list(&got_in, false)),
                format!("失败 {} 次；{} 登录成功", seen.tries, list(&got_in, true)),
            )
        };
        Detection {
            rule: ID.into(),
            severity: if got_in.is_empty() { Severity::Medium } else { Severity::High },
            entity,
            primary,
            subject: key.to_owned(),
            summary,
            observed,
            expected,
            window: (seen.from, seen.to),
            evidence: evidence.into_iter().filter(|reference| reference.id != event.id).collect(),
            evidence_count: seen.tries,
            techniques: TECHNIQUES.to_vec(),
            parts: vec![
                ("accounts", seen.accounts.len() as f64),
                ("failures", seen.tries as f64),
                ("got in", seen.got_in.len() as f64),
            ],
            quiet: QUIET,
        }
    }
}

/// Whether there was more than one of something.
#[derive(Debug)]
struct Several<T> {
    first: Option<T>,
    more: bool,
}

impl<T> Default for Several<T> {
    fn default() -> Several<T> {
        Several { first: None, more: false }
    }
}

impl<T: PartialEq> Several<T> {
    fn add(&mut self, one: T) {
        match &self.first {
            Some(first) => self.more |= *first != one,
            None => self.first = Some(one),
        }
    }
}

fn sorted<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.collect();
    all.sort_unstable();
    all
}

/// An account at an address, with what it did there.
type Touched<'t> = (&'t str, &'t Touch);

/// The accounts that failed at an address within the window around a time, if they make a spray.
fn within<'t>(
    touched: &[Touched<'t>],
    time: Millis,
    span: Millis,
    least: usize,
    few_tries: u32,
    told: Told<'_>,
) -> Option<Seen<'t>> {
    let near = |failed: Option<Millis>| failed.filter(|failed| failed.abs_diff(time) <= span.unsigned_abs());
    let end = touched.iter().filter_map(|(_, touch)| near(touch.failed)).max()?;
    let inside = |at: Option<Millis>| at.is_some_and(|at| at <= end && at >= end.saturating_sub(span));
    let (mut failed, mut few, mut recovered, mut came_in, mut tries, mut from) = (0, 0, 0, 0, 0u64, end);
    for (_, touch) in touched {
        if inside(touch.failed) {
            failed += 1;
            few += usize::from(touch.tries <= few_tries);
            recovered += usize::from(touch.recovered());
            tries += u64::from(touch.tries);
            from = touch.failed.map_or(from, |at| at.min(from));
        } else if touch.failed.is_none() {
            came_in += usize::from(touch.succeeded.is_some_and(|at| at.abs_diff(end) <= span.unsigned_abs()));
        }
    }
    let shared_exit = came_in >= failed && failed < least * 3;
    if failed < least || few * 5 < failed * 4 || recovered * 5 >= failed * 2 || shared_exit {
        return None;
    }
    // A right guess at the first try has no failure before it; before the spray began, a success was somebody's own.
    let got_in = |touch: &Touch| {
        !touch.at_home && touch.succeeded.is_some_and(|at| at >= from && at <= end.saturating_add(QUIET))
    };
    let those = |which: &dyn Fn(&Touch) -> bool| -> Vec<Touched<'t>> {
        touched.iter().filter(|(_, touch)| which(touch)).copied().collect()
    };
    let (got_in, accounts) = (those(&got_in), those(&|touch| inside(touch.failed)));
    let since = told.found.filter(|found| end <= found.saturating_add(QUIET));
    let mut met = AHashSet::new();
    let first = got_in.iter().chain(&accounts).filter(|(account, _)| met.insert(*account)).take(IDENTITIES_KEPT);
    // Of a finding that goes on the others were named before.
    let news = first.filter(|(account, touch)| since.is_none_or(|since| touch.last() >= since) || *account == told.by);
    let named = news.map(|(account, _)| *account).collect();
    let names = |those: Vec<Touched<'t>>| those.into_iter().map(|(account, _)| account).collect();
    Some(Seen { got_in: names(got_in), tries, accounts: names(accounts), named, addresses: Vec::new(), from, to: end })
}

/// Those who got in first: the list is bounded and they matter most.
fn first_named<'s>(got_in: &BTreeSet<&'s str>, tried: Vec<&'s str>) -> Vec<&'s str> {
    let others = tried.into_iter().filter(|account| !got_in.contains(account));
    got_in.iter().copied().chain(others).take(IDENTITIES_KEPT).collect()
}

/// When a finding was last told, and whose event is to be told.
#[derive(Clone, Copy)]
struct Told<'t> {
    found: Option<Millis>,
    by: &'t str,
}

/// Changes what an account did at an address.
fn change(touched: &mut BTreeMap<Box<str>, Touch>, account: &str, how: impl FnOnce(&mut Touch)) {
    match touched.get_mut(account) {
        Some(touch) => how(touch),
        None => how(touched.entry(account.into()).or_default()),
    }
}

/// Keeps the accounts of one address within bounds: those longest without activity go.
fn bound(touched: &mut BTreeMap<Box<str>, Touch>) {
    if touched.len() <= ACCOUNTS_PER_ADDRESS {
        return;
    }
    let mut order: Vec<(Millis, Box<str>)> =
        touched.iter().map(|(account, touch)| (touch.last(), account.clone())).collect();
    order.sort_unstable();
    // An eighth at once, so that a flood does not sort at every event.
    for (_, account) in order.into_iter().take(ACCOUNTS_PER_ADDRESS / 8) {
        touched.remove(&account);
    }
}

impl Tenant {
    /// Counts a try abroad, and learns from the quarters of an hour no event is expected for any more.
    fn learn(&mut self, time: Millis, watermark: Millis) {
        let slot = time.div_euclid(WIDE);
        let over = watermark.div_euclid(WIDE);
        let learned = *self.learned.get_or_insert(slot.min(over) - 1);
        if slot > learned {
            *self.slots.entry(slot).or_default() += 1;
            if self.slots.len() > SLOTS_HELD {
                self.slots.pop_last();
            }
        }
        while let Some(entry) = self.slots.first_entry().filter(|entry| *entry.key() < over) {
            let (slot, count) = entry.remove_entry();
            let empty = i32::try_from(slot - self.learned.unwrap_or(slot) - 1).unwrap_or(i32::MAX).clamp(0, 1_000);
            self.normal *= (1.0 - LEARNING).powi(empty);
            // One wild quarter of an hour does not move what is normal far.
            let count = f64::from(count).min(2.0 * self.normal + 10.0);
            self.normal += LEARNING * (count - self.normal);
            self.learned = Some(slot);
        }
    }
}

fn just_told(found: Option<Millis>, time: Millis) -> bool {
    found.is_some_and(|found| time >= found && time.saturating_sub(found) < AGAIN)
}

/// Until when it was told, where the finding goes on.
fn told_until(found: Option<Millis>, seen: &Seen<'_>) -> Option<Millis> {
    found.filter(|found| seen.to <= found.saturating_add(QUIET))
}

/// The events of a window that a finding which goes on does not have yet.
fn untold(traces: &Traces, found: Option<Millis>, seen: &Seen<'_>) -> Vec<Mark> {
    let from = told_until(found, seen).map_or(seen.from, |found| found.max(seen.from));
    traces.between(from, seen.to).map(|trace| trace.reference).collect()
}

fn tenant_key(event: &Event) -> String {
    match event.text(Field::OrganizationId) {
        Some(organization) => format!("{TENANT}organization:{organization}"),
        None => format!("{TENANT}source:{}", event.origin.source),
    }
}

impl Detector for PasswordSpray {
    fn id(&self) -> &'static str {
        ID
    }

    fn rules(&self) -> Vec<Rule> {
        vec![Rule {
            id: ID.to_owned(),
            manual: Manual::from_source(include_str!("password_spray.rs")),
            severity: Severity::Medium,
            techniques: TECHNIQUES.iter().map(|one| (*one).to_owned()).collect(),
            settings: serde_json::to_value(&self.settings).unwrap_or_default(),
        }]
    }

    fn actions(&self) -> &'static [&'static str] {
        &["login"]
    }

    fn observe(&mut self, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        if event.text(Field::EventAction) != Some("login") {
            return;
        }
        let outcome = event.text(Field::EventOutcome);
        if !matches!(outcome, Some("success" | "failure")) {
            return;
        }
        let (Some(account), Some(address)) = (account_key(event), event.ip(Field::SourceIp)) else { return };
        let age = Millis::from(self.settings.own_after_hours) * 60 * MINUTE;
        let home = self.homes.get(&format!("{HOME}{account}"));
        let at_home = home.is_some_and(|home| home.0.knows(address, event.time, age));
        match outcome {
            Some("success") => self.succeeded(event, &account, address, at_home, out),
            _ => self.failed(event, &account, address, at_home, context, out),
        }
    }

    fn memory(&mut self) -> Vec<Shelf<'_>> {
        vec![Shelf::of(&mut self.addresses), Shelf::of(&mut self.homes), Shelf::of(&mut self.tenants)]
    }

    fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        match key {
            _ if key.starts_with(AT) => self.addresses.restore(key, value),
            _ if key.starts_with(HOME) => self.homes.restore(key, value),
            _ if key.starts_with(TENANT) => self.tenants.restore(key, value),
            _ => Err(RestoreError { owner: ID.to_owned(), key: key.to_owned() }),
        }
    }
}

#[cfg(test)]
#[path = "password_spray_tests.rs"]
mod tests;
