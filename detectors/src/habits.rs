//! What is usual for whom: the networks, countries and agents each person, account or app works from, and at which hours; and how common
//! each is in the organisation. Learned from what succeeded, one entry an hour at most. Shared by all detectors, which ask through
//! [`View`] before an event is learned. Not for amounts (`baseline`) nor for deciding.
//!
//! What an attacker's own session teaches is not believed: a thing counts as known only a day after it was first seen, and after a
//! finding of medium or above about somebody, what was new within the day before it stays unknown for two weeks more. Of too many things
//! those used least go first, so that whoever changes his network a hundred times pushes out his own.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::baseline::{mix, stable_hash};
use crate::brute_force_success::account_key;
use crate::detector::RestoreError;
use crate::entity::entity_key;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::keyed::{Keyed, Resident};
use crate::memory::Shelf;
use crate::place::{self, Network, Owners};
use crate::verdict::Verdict;

/// The name under which habits are saved.
pub const OWNER: &str = "habits";

const MINUTE: Millis = 60_000;
const HOUR: u32 = 60;
const DAY: u32 = 24 * HOUR;
/// A thing is known this long after it was first seen, in minutes.
const RIPE: u32 = DAY;
/// And this long after a finding, in minutes.
const DOUBTED: u32 = 14 * DAY;
/// From so many entities on, for a day or longer, a network is the organisation's.
const SHARED_BY: u32 = 3;
const FORTNIGHT: u32 = 14 * DAY;
/// Active hours below which nothing is said of somebody's hours.
const LEAST_HOURS: u32 = 12;
/// Minutes within which the file of an export is fetched.
const FILE_FOLLOWS: u32 = 10;
/// No network has such a number: what stands for the owner is a city.
const CITY: u32 = 1 << 31;
/// No table stands in so few bytes.
const SHORT_ANSWER: i64 = 1_024;
const PEOPLE: usize = 1_000_000;
const COMMON: usize = 50_000;

/// What is remembered of an event's surroundings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The /24 or /48 of the address.
    Prefix,
    /// The network's owner, by its number.
    Owner,
    /// The country.
    Country,
    /// Browser or program and operating system, whatever their versions.
    Agent,
    /// The whole text of the agent.
    Browser,
}

const KINDS: [Kind; 5] = [Kind::Prefix, Kind::Owner, Kind::Country, Kind::Agent, Kind::Browser];

impl Kind {
    /// How many of one entity are remembered.
    const fn room(self) -> usize {
        match self {
            Kind::Prefix => 12,
            Kind::Owner | Kind::Agent => 8,
            Kind::Country => 6,
            Kind::Browser => 4,
        }
    }

    const fn letter(self) -> char {
        match self {
            Kind::Prefix => 'p',
            Kind::Owner => 'o',
            Kind::Country => 'c',
            Kind::Agent => 'a',
            Kind::Browser => 'b',
        }
    }
}

/// An event's surroundings, each as a number; nothing where the event does not tell.
pub type Surroundings = [Option<u32>; KINDS.len()];

/// Those of an event. An address inside the house tells nothing.
pub fn surroundings(event: &Event) -> Surroundings {
    let inside = event.text(Field::NetworkClass).is_some_and(|class| !matches!(class, "public" | "documentation"));
    let prefix = event.ip(Field::SourceIp).filter(|_| !inside).map(|ip| {
        let prefix = place::prefix(ip);
        (prefix ^ (prefix >> 32)) as u32
    });
    let owner = event.integer(Field::SourceAsn).and_then(|asn| u32::try_from(asn).ok()).filter(|asn| *asn != 0);
    // Where nobody knows whose network it is, the city it is in tells one from another.
    let owner = owner.or_else(|| {
        let city = event.text(Field::SourceCity).filter(|city| !city.is_empty())?;
        Some(stable_hash(city) ^ u32::from(u16::from_be_bytes(place::country(event))).rotate_left(16) | CITY)
    });
    let country = Some(place::country(event)).filter(|code| *code != [0; 2]);
    let text = event.text(Field::UserAgent);
    let named = event.text(Field::UserAgentName).map(|name| {
        let os = event.text(Field::UserAgentOs).unwrap_or_default();
        stable_hash(name) ^ stable_hash(os).rotate_left(7)
    });
    let agent = named.or_else(|| text.map(without_versions));
    [
        prefix,
        owner.filter(|_| !inside),
        country.filter(|_| !inside).map(|code| u32::from(u16::from_be_bytes(code))),
        agent,
        text.map(stable_hash),
    ]
}

/// A country as surroundings have it.
fn country_number(code: &str) -> Option<u32> {
    let code: [u8; 2] = code.as_bytes().try_into().ok()?;
    Some(u32::from(u16::from_be_bytes(code.map(|letter| letter.to_ascii_uppercase()))))
}

/// The line an event came through, as the organisation shares it.
fn exit(event: &Event) -> Option<u32> {
    event.ip(Field::SourceIp).map(place::exit).map(|exit| (exit ^ (exit >> 32)) as u32)
}

/// The hash of an agent's text whose versions do not count.
fn without_versions(text: &str) -> u32 {
    let letters = text.bytes().filter(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'_'));
    letters.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Cheap and good enough to see that nothing has changed since the last event.
pub(crate) fn quick(event: &Event) -> u32 {
    let address = match event.ip(Field::SourceIp) {
        Some(IpAddr::V4(ip)) => u32::from(ip) >> 8,
        Some(IpAddr::V6(ip)) => (u128::from(ip) >> 80) as u32,
        None => 0,
    };
    let text = event.text(Field::UserAgent).unwrap_or_default().as_bytes();
    let tail = text.len().saturating_sub(24);
    let front = mix(u64::from(address) << 32 | text.len() as u64, text.get(13..29).unwrap_or_default());
    mix(u64::from(front), &text[tail..])
}

/// Minutes since 1970.
fn minute_of(time: Millis) -> u32 {
    u32::try_from((time / MINUTE).max(0)).unwrap_or(u32::MAX / 2)
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Thing {
    kind: Kind,
    value: u32,
    first: u32,
    last: u32,
    /// Hours in which it was seen.
    hours: u32,
    /// Not known before this minute, whatever else.
    doubted: u32,
}

/// What is usual for one entity.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Habit {
    first: u32,
    last: u32,
    hours: u32,
    days: u32,
    day: u32,
    things: Vec<Thing>,
    /// Active hours by hour of the day, in the own zone: on weekdays and on weekends.
    clock: [[u8; 24]; 2],
    /// Hours of the last day, which do not count yet: kind of day, hour, minute since 1970.
    today: Vec<(u8, u8, u32)>,
    /// When an export was made whose answer was too short to hold it: the file follows.
    exported: u32,
    /// What was learned last: a quick hash and the hour.
    recent: [(u32, u32); 4],
}

impl Resident for Habit {
    fn rank(&self) -> u8 {
        1 + u8::from(self.days >= 2)
    }
}

impl Habit {
    fn note(&mut self, kind: Kind, value: u32, minute: u32) -> (bool, bool) {
        if let Some(thing) = self.things.iter_mut().find(|thing| thing.kind == kind && thing.value == value) {
            let hour = thing.last / HOUR != minute / HOUR;
            thing.first = thing.first.min(minute);
            thing.last = thing.last.max(minute);
            thing.hours = thing.hours.saturating_add(u32::from(hour));
            return (false, hour);
        }
        let of_kind = |thing: &&(usize, &Thing)| thing.1.kind == kind;
        let held: Vec<(usize, &Thing)> = self.things.iter().enumerate().filter(|one| of_kind(&one)).collect();
        if held.len() >= kind.room()
            && let Some((index, _)) = held.into_iter().min_by_key(|(_, thing)| (thing.hours, thing.last, thing.value))
        {
            self.things.remove(index);
        }
        self.things.push(Thing { kind, value, first: minute, last: minute, hours: 1, doubted: 0 });
        (true, true)
    }

    /// Counts the hours that lie a day back: what happens now is not usual because it happens now.
    fn count_hours(&mut self, minute: u32) {
        let Habit { today, clock, .. } = self;
        today.retain(|(weekend, hour, seen)| {
            let ripe = seen.saturating_add(RIPE) <= minute;
            if ripe {
                let cell = &mut clock[usize::from(*weekend)][usize::from(*hour)];
                *cell += 1;
                if *cell == u8::MAX {
                    clock.iter_mut().flatten().for_each(|cell| *cell /= 2);
                }
            }
            !ripe
        });
        if today.len() > 48 {
            today.remove(0);
        }
    }

    fn thing(&self, kind: Kind, value: u32) -> Option<&Thing> {
        self.things.iter().find(|thing| thing.kind == kind && thing.value == value)
    }

    fn known(&self, kind: Kind, value: u32, minute: u32) -> bool {
        self.thing(kind, value)
            .is_some_and(|thing| thing.first.saturating_add(RIPE) <= minute && thing.doubted <= minute)
    }
}

/// Whether an export's answer is too short to hold what was exported, and the log does not tell how much it was.
fn promises_file(event: &Event) -> bool {
    event.text(Field::EventAction) == Some("export")
        && !event.has(Field::Records)
        && event.integer(Field::HttpResponseBytes).is_some_and(|bytes| bytes < SHORT_ANSWER)
}

/// How common a thing is in the organisation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Common {
    entities: u32,
    hours: u64,
    first: u32,
}

impl Resident for Common {
    fn rank(&self) -> u8 {
        1 + u8::from(self.entities >= SHARED_BY)
    }
}

/// The habits of all.
pub struct Habits {
    entities: Keyed<Habit>,
    common: Keyed<Common>,
    owners: Owners,
}

impl std::fmt::Debug for Habits {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "habits of {}", self.entities.len())
    }
}

impl Default for Habits {
    fn default() -> Self {
        Habits { entities: Keyed::new(OWNER, PEOPLE), common: Keyed::new(OWNER, COMMON), owners: Owners::default() }
    }
}

const OF_ENTITY: &str = "e/";
const OF_COMMON: &str = "c/";
/// The organisation as a whole.
const ALL: &str = "all";

fn common_key(kind: Kind, value: u32) -> String {
    format!("{}:{value:x}", kind.letter())
}

/// Whose habits an event shows: people, accounts and apps have some.
fn owner_key(event: &Event) -> Option<std::borrow::Cow<'_, str>> {
    let key = entity_key(event);
    ["person:", "user:", "user-id:", "app:"].iter().any(|word| key.starts_with(word)).then_some(key)
}

/// Weekend or not, and the hour, where the person works; in UTC where that is not known.
fn own_hour(time: Millis, zone: Option<chrono_tz::Tz>) -> (usize, usize) {
    use chrono::{Datelike, Timelike};
    let utc = chrono::DateTime::from_timestamp_millis(time).unwrap_or_default();
    let (weekday, hour) = match zone {
        Some(zone) => {
            let own = utc.with_timezone(&zone);
            (own.weekday(), own.hour())
        }
        None => (utc.weekday(), utc.hour()),
    };
    (usize::from(weekday.number_from_monday() > 5), hour as usize % 24)
}

impl Habits {
    /// Learns from one event, after everybody has looked at it.
    pub(crate) fn learn(&mut self, event: &Event) {
        if matches!(event.text(Field::EventOutcome), Some("failure")) || event.is(Field::UserInferred) {
            return;
        }
        if matches!(event.text(Field::EventAction), None | Some("http-request" | "info" | "mfa-challenge")) {
            return;
        }
        let Some(key) = owner_key(event) else { return };
        let (minute, now) = (minute_of(event.time), quick(event));
        let hour = minute / HOUR;
        if promises_file(event) {
            self.entities.touch(&key, event.time).exported = minute;
        }
        if let Some(habit) = self.entities.get(&key)
            && habit.recent.contains(&(now, hour))
        {
            return;
        }
        let habit = self.entities.touch(&key, event.time);
        let new_hour = habit.hours == 0 || habit.last / HOUR != hour;
        habit.recent.rotate_right(1);
        habit.recent[0] = (now, hour);
        habit.first = if habit.hours == 0 { minute } else { habit.first.min(minute) };
        habit.last = habit.last.max(minute);
        let mut learned = Vec::new();
        for (kind, value) in KINDS.into_iter().zip(surroundings(event)) {
            let Some(value) = value else { continue };
            let (new, more) = habit.note(kind, value, minute);
            if more {
                learned.push((kind, value, new));
            }
        }
        if habit.hours == 0 || minute / DAY > habit.day {
            habit.day = minute / DAY;
            habit.days = habit.days.saturating_add(1);
        }
        if new_hour {
            habit.hours = habit.hours.saturating_add(1);
            let (weekend, of_day) = own_hour(event.time, event.person.as_ref().and_then(|person| person.timezone));
            habit.today.push((weekend as u8, of_day as u8, minute));
            habit.count_hours(minute);
        }
        for (kind, value, new) in learned {
            // A network is shared by those who leave through the same line: of a carrier's many customers a few are always colleagues.
            let value = if kind == Kind::Prefix { exit(event).unwrap_or(value) } else { value };
            let common = self.common.touch(&common_key(kind, value), event.time);
            common.first = if common.hours == 0 { minute } else { common.first.min(minute) };
            common.entities = common.entities.saturating_add(u32::from(new));
            common.hours += 1;
        }
        if new_hour {
            let all = self.common.touch(ALL, event.time);
            all.first = if all.hours == 0 { minute } else { all.first.min(minute) };
            all.entities = SHARED_BY;
            all.hours += 1;
        }
    }

    /// Something was found about the event's entity: what was new for it within a day before stays unknown for a while.
    pub(crate) fn doubt(&mut self, event: &Event) {
        let Some(key) = owner_key(event) else { return };
        let minute = minute_of(event.time);
        let young = |thing: &Thing| {
            thing.first.saturating_add(RIPE) > minute && thing.doubted < minute.saturating_add(DOUBTED - DAY)
        };
        if self.entities.get(&key).is_some_and(|habit| habit.things.iter().any(young)) {
            let habit = self.entities.touch(&key, event.time);
            for thing in habit.things.iter_mut().filter(|thing| young(thing)) {
                thing.doubted = minute.saturating_add(DOUBTED);
            }
        }
    }

    /// What was in doubt because of a finding is usual after all, or was the attacker's own.
    pub(crate) fn settle(&mut self, verdict: &Verdict) {
        let first = minute_of(verdict.from).saturating_sub(RIPE)..=minute_of(verdict.to);
        let judged = |thing: &Thing| thing.doubted != 0 && first.contains(&thing.first);
        for subject in &verdict.subjects {
            if !self.entities.get(subject).is_some_and(|habit| habit.things.iter().any(judged)) {
                continue;
            }
            let things = &mut self.entities.touch(subject, Millis::MIN).things;
            if verdict.harmless {
                things.iter_mut().filter(|thing| judged(thing)).for_each(|thing| thing.doubted = 0);
            } else {
                things.retain(|thing| !judged(thing));
            }
        }
    }

    /// How many entities have habits.
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// Whether anything ever succeeded under this entity's key, a day before `time` or earlier.
    pub fn knows(&self, key: &str, time: Millis) -> bool {
        self.entities.get(key).is_some_and(|habit| habit.first.saturating_add(RIPE) <= minute_of(time))
    }

    /// Whether a file that this entity downloads may be the one an export of the minutes before has made.
    pub(crate) fn awaits_file(&self, event: &Event) -> bool {
        let habit = owner_key(event).and_then(|key| self.entities.get(&key));
        habit.is_some_and(|habit| habit.exported != 0 && minute_of(event.time).abs_diff(habit.exported) <= FILE_FOLLOWS)
    }

    /// For how many days the organisation has been watched, at `time`.
    pub fn age_days(&self, time: Millis) -> f64 {
        self.common.get(ALL).map_or(0.0, |all| f64::from(minute_of(time).saturating_sub(all.first)) / f64::from(DAY))
    }

    pub(crate) fn memory(&mut self) -> [Shelf<'_>; 2] {
        [Shelf::under(OF_ENTITY, &mut self.entities), Shelf::under(OF_COMMON, &mut self.common)]
    }

    pub(crate) fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        match key.split_at_checked(2) {
            Some((OF_ENTITY, rest)) => self.entities.restore(rest, value),
            Some((OF_COMMON, rest)) => self.common.restore(rest, value),
            _ => Err(RestoreError { owner: OWNER.to_owned(), key: key.to_owned() }),
        }
    }
}

/// How usual an event's surroundings are for whom it is about.
#[derive(Debug)]
pub struct View<'h> {
    habits: Option<&'h Habits>,
    habit: Option<&'h Habit>,
    at: Surroundings,
    exit: Option<u32>,
    minute: u32,
    network: Network,
    time: Millis,
    zone: Option<chrono_tz::Tz>,
    /// The person's own country, by the people file.
    home: Option<u32>,
}

impl<'h> View<'h> {
    /// The view of an event.
    pub fn of(habits: Option<&'h Habits>, event: &Event) -> View<'h> {
        let habit = habits.and_then(|habits| habits.entities.get(&owner_key(event)?));
        let owner = event.text(Field::SourceAsOrg).unwrap_or_default();
        View {
            habits,
            habit,
            at: surroundings(event),
            exit: exit(event),
            minute: minute_of(event.time),
            network: habits.map_or_else(|| Network::of_owner(owner), |habits| habits.owners.kind(owner)),
            time: event.time,
            zone: event.person.as_ref().and_then(|person| person.timezone),
            home: event.person.as_ref().and_then(|person| person.country.as_deref()).and_then(country_number),
        }
    }

    /// Whether the entity has been seen long enough to say what is unusual: on three days, the first at least three days ago.
    pub fn mature(&self) -> bool {
        self.habit.is_some_and(|habit| habit.days >= 3 && habit.first.saturating_add(3 * DAY) <= self.minute)
    }

    fn known(&self, kind: Kind) -> Option<bool> {
        let value = self.at[kind as usize]?;
        Some(self.habit.is_some_and(|habit| habit.known(kind, value, self.minute)))
    }

    /// Whether anything of this kind is known of the entity: without, nothing is new.
    fn knows_any(&self, kind: Kind) -> bool {
        let any = |habit: &Habit| {
            habit.things.iter().any(|thing| thing.kind == kind && thing.first.saturating_add(RIPE) <= self.minute)
        };
        self.habit.is_some_and(any)
    }

    /// Under what the organisation knows it: a network by the line.
    fn common_value(&self, kind: Kind) -> Option<u32> {
        let value = self.at[kind as usize]?;
        Some(if kind == Kind::Prefix { self.exit.unwrap_or(value) } else { value })
    }

    /// Whether the organisation uses it: several entities, for a day or longer.
    pub fn shared(&self, kind: Kind) -> bool {
        let (Some(value), Some(habits)) = (self.common_value(kind), self.habits) else { return false };
        habits
            .common
            .get(&common_key(kind, value))
            .is_some_and(|common| common.entities >= SHARED_BY && common.first.saturating_add(RIPE) <= self.minute)
    }

    /// Whether the address is outside and neither its prefix nor its network's owner (where unknown, its country) is known for the entity.
    pub fn new_network(&self) -> bool {
        self.known(Kind::Prefix) == Some(false)
            && match self.known(Kind::Owner) {
                Some(known) => !known,
                None => self.known(Kind::Country) != Some(true),
            }
    }

    /// A network new for the entity that is not the organisation's either. A whole country is nobody's own.
    pub fn strange_network(&self) -> bool {
        self.new_network()
            && !self.shared(Kind::Prefix)
            && !(self.network != Network::Hosting && self.shared(Kind::Owner) && !self.new_country())
    }

    /// Whether the network cannot be told from the usual ones: its prefix is new, and nobody knows whose it is.
    pub fn untold_network(&self) -> bool {
        self.known(Kind::Prefix) == Some(false) && self.at[Kind::Owner as usize].is_none() && !self.shared(Kind::Prefix)
    }

    /// Whether it came through a line that is new for the entity and not the organisation's, whatever is known of the network it belongs to.
    pub fn new_line(&self) -> bool {
        self.known(Kind::Prefix) == Some(false) && !self.shared(Kind::Prefix)
    }

    /// Whether the event comes from the person's own country, by the people file.
    pub fn at_home(&self) -> bool {
        self.home.is_some() && self.home == self.at[Kind::Country as usize]
    }

    /// Whether the country is known to be another than ever before, and not the person's own; where none was ever told, another than the person's own.
    pub fn new_country(&self) -> bool {
        self.known(Kind::Country) == Some(false)
            && self.home != self.at[Kind::Country as usize]
            && (self.knows_any(Kind::Country) || self.home.is_some())
    }

    /// Whether browser and system are new for the entity. An upgrade is not.
    pub fn new_agent(&self) -> bool {
        self.known(Kind::Agent) == Some(false) && self.knows_any(Kind::Agent)
    }

    /// Whether the event tells which program it came with.
    pub fn has_agent(&self) -> bool {
        self.at[Kind::Agent as usize].is_some()
    }

    /// Whether the event tells an address outside the house.
    pub fn outside(&self) -> bool {
        self.at[Kind::Prefix as usize].is_some()
    }

    /// A data centre or a VPN.
    pub fn hosting(&self) -> bool {
        self.network == Network::Hosting
    }

    /// The kind of network.
    pub fn network(&self) -> Network {
        self.network
    }

    /// Days since the entity was last seen doing anything; nothing where it never was.
    pub fn days_silent(&self) -> Option<f64> {
        let last = self.habit?.last;
        Some(f64::from(self.minute.saturating_sub(last)) / f64::from(DAY))
    }

    /// Days on which the entity was seen.
    pub fn days(&self) -> u32 {
        self.habit.map_or(0, |habit| habit.days)
    }

    /// For how many days the organisation has been watched.
    pub fn organisation_days(&self) -> f64 {
        self.habits.map_or(0.0, |habits| habits.age_days(Millis::from(self.minute) * MINUTE))
    }

    /// Whether it is between ten in the evening and six in the morning where the person works; nothing where that is not known.
    pub fn night(&self) -> Option<bool> {
        self.zone.is_some().then(|| !(6..22).contains(&own_hour(self.time, self.zone).1))
    }

    /// Whether it is a weekend's day, and the entity is not known for two weekends yet.
    pub fn strange_weekend(&self) -> bool {
        own_hour(self.time, self.zone).0 == 1
            && self.habit.is_none_or(|habit| habit.first.saturating_add(FORTNIGHT) > self.minute)
    }

    /// Active hours that lie within so many hours of this one, on this kind of day, and all of them; nothing where the entity has been
    /// seen in fewer than a dozen on five days. Whoever asks says how many are enough to conclude from what was never seen.
    pub fn hours_near(&self, reach: usize) -> Option<(f64, f64)> {
        let habit = self.habit.filter(|habit| habit.hours >= LEAST_HOURS && habit.days >= 5)?;
        let (kind, hour) = own_hour(self.time, self.zone);
        let clock = &habit.clock[kind];
        let around = (hour + 24 - reach.min(11)..=hour + 24 + reach.min(11)).map(|one| one % 24);
        let near = around.map(|one| f64::from(clock[one])).sum();
        Some((near, habit.clock.iter().flatten().map(|cell| f64::from(*cell)).sum()))
    }

    /// Whether the entity was ever active, on this kind of day, in this hour, in so many before it or in so many after it. Whoever stays late is
    /// in no other part of the day; nothing as in [`View::hours_near`].
    pub fn active_around(&self, before: usize, after: usize) -> Option<bool> {
        let habit = self.habit.filter(|habit| habit.hours >= LEAST_HOURS && habit.days >= 5)?;
        let (kind, hour) = own_hour(self.time, self.zone);
        let mut around = (hour + 24 - before.min(11)..=hour + 24 + after.min(11)).map(|one| one % 24);
        Some(around.any(|one| habit.clock[kind][one] > 0))
    }

    /// How probable it is that the entity works within so many hours of this one, on this kind of day, as if one hour more had been spread over
    /// all 48 kinds of hour: of few hours it says little.
    pub fn hour_share(&self, reach: usize) -> Option<f64> {
        let (near, total) = self.hours_near(reach)?;
        let cells = (2 * reach.min(11) + 1) as f64;
        Some((near + cells / 48.0) / (total + 1.0))
    }

    /// Hours in which the entity and the organisation used this thing, and hours they were seen in at all.
    pub fn counts(&self, kind: Kind) -> Option<[f64; 4]> {
        let value = self.at[kind as usize]?;
        let (habit, habits) = (self.habit?, self.habits?);
        let own = habit.thing(kind, value).filter(|thing| thing.doubted <= self.minute);
        let common = habits.common.get(&common_key(kind, self.common_value(kind)?));
        let all = habits.common.get(ALL).map_or(0, |all| all.hours);
        Some([
            own.map_or(0.0, |thing| f64::from(thing.hours)),
            f64::from(habit.hours),
            common.map_or(0.0, |common| common.hours as f64),
            all as f64,
        ])
    }
}

/// Whether an event is about a person or an account, of whichever outcome.
pub fn of_account(event: &Event) -> bool {
    account_key(event).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{
        BERLIN, CHROME, DAY as DAY_MINUTES, FIREFOX, MUNICH, NEW_YORK_VPN, SAO_PAULO, event, office, with,
    };

    fn learned(days: std::ops::Range<i64>, user: &str) -> Habits {
        let mut habits = Habits::default();
        for event in office(days, user, BERLIN, 20) {
            habits.learn(&with(event, Field::UserAgent, CHROME));
        }
        habits
    }

    fn at(habits: &Habits, day: i64, site: crate::scenario::Site, agent: &str) -> [bool; 4] {
        let event = with(event(day * DAY_MINUTES, "mia", site, "login", -1), Field::UserAgent, agent);
        let view = View::of(Some(habits), &event);
        [view.mature(), view.new_network(), view.new_country(), view.new_agent()]
    }

    #[test]
    fn what_somebody_always_uses_is_known_and_the_rest_is_new() {
        let habits = learned(0..5, "mia");
        assert_eq!(at(&habits, 6, BERLIN, CHROME), [true, false, false, false]);
        assert_eq!(at(&habits, 6, MUNICH, CHROME), [true, true, false, false]);
        assert_eq!(at(&habits, 6, SAO_PAULO, FIREFOX), [true, true, true, true]);
        assert!(!at(&habits, 1, SAO_PAULO, FIREFOX)[0], "two days are no habit");
        assert!(habits.knows("user:mia", crate::scenario::START + 6 * 86_400_000));
        assert!(!habits.knows("user:nobody", crate::scenario::START + 6 * 86_400_000));
    }

    #[test]
    fn a_browser_s_upgrade_is_no_new_agent() {
        let habits = learned(0..5, "mia");
        assert!(!at(&habits, 6, BERLIN, &CHROME.replace("130", "131"))[3]);
    }

    #[test]
    fn what_an_intruder_teaches_is_not_known_the_same_day_nor_for_two_weeks_after_a_finding() {
        let mut habits = learned(0..5, "mia");
        let there = |minute| event(6 * DAY_MINUTES + minute, "mia", NEW_YORK_VPN, "login", -1);
        habits.learn(&there(0));
        assert!(at(&habits, 6, NEW_YORK_VPN, CHROME)[1]);
        habits.doubt(&there(1));
        habits.learn(&there(3 * DAY_MINUTES));
        assert!(at(&habits, 10, NEW_YORK_VPN, CHROME)[1]);
        assert!(!at(&habits, 21, NEW_YORK_VPN, CHROME)[1]);
    }

    #[test]
    fn a_flood_of_networks_pushes_out_itself_and_not_what_was_usual() {
        let mut habits = learned(0..5, "mia");
        for nth in 0..200u8 {
            let mut one = event(6 * DAY_MINUTES + i64::from(nth), "mia", NEW_YORK_VPN, "login", -1);
            one.set_ip(Field::SourceIp, IpAddr::from([198, 18 + nth / 100, nth, 1]));
            one.set_integer(Field::SourceAsn, 60_000 + i64::from(nth));
            habits.learn(&one);
        }
        assert_eq!(at(&habits, 8, BERLIN, CHROME), [true, false, false, false]);
        let habit = habits.entities.get("user:mia").expect("known");
        assert!(habit.things.len() <= 38, "{}", habit.things.len());
    }

    #[test]
    fn a_network_of_three_people_is_the_organisation_s_and_failures_teach_nothing() {
        let mut habits = learned(0..5, "mia");
        for user in ["ben", "eva", "tom"] {
            for event in office(0..3, user, MUNICH, 60) {
                habits.learn(&event);
            }
        }
        let event = event(6 * DAY_MINUTES, "mia", MUNICH, "login", -1);
        let view = View::of(Some(&habits), &event);
        assert!(view.new_network() && !view.strange_network());
        let failed = with(crate::scenario::event(0, "zoe", MUNICH, "login", -1), Field::EventOutcome, "failure");
        habits.learn(&failed);
        assert!(!habits.knows("user:zoe", i64::MAX / 2));
    }

    #[test]
    fn the_hours_of_somebody_s_work_are_known_after_ten_days() {
        let habits = learned(0..12, "mia");
        let share = |minute| {
            let event = event(14 * DAY_MINUTES + minute, "mia", BERLIN, "export", 10);
            View::of(Some(&habits), &event).hour_share(1)
        };
        assert!(share(3 * 60).is_some_and(|share| share < 0.01), "{:?}", share(180));
        assert!(share(10 * 60).is_some_and(|share| share > 0.1));
    }

    #[test]
    fn habits_come_back_as_they_were() {
        let mut habits = learned(0..5, "mia");
        let mut back = Habits::default();
        for change in crate::memory::all(habits.memory().into()) {
            back.restore(&change.key, change.value.as_deref().expect("kept")).expect("readable");
        }
        assert_eq!(back.entities.get("user:mia"), habits.entities.get("user:mia"));
        assert_eq!(at(&back, 6, MUNICH, CHROME), at(&habits, 6, MUNICH, CHROME));
        assert!(crate::memory::all(habits.memory().into()).is_empty());
    }
}
