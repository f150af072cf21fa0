//! Whose an access line without a user is: the user of the field the operator names; failing that, the one seen before in the same
//! session; failing that, the one who logged in from the same address with the same kind of agent within the session time, if exactly
//! one fits (`crm.user_inferred`). Only logins that succeeded count, and a logout ends them. Bounded and saved. Not for names of ids (`names`).

use crmwatch_detectors::detector::RestoreError;
use crmwatch_detectors::keyed::{Keyed, Resident};
use crmwatch_detectors::memory::Shelf;
use crmwatch_detectors::{Event, Field, Millis};
use serde::{Deserialize, Serialize};

use super::key;
use crate::parse::absent;

/// Whose state the users of sessions are.
pub const SESSIONS: &str = "enrich.sessions";
/// Whose state the logins of addresses are.
pub const LOGINS: &str = "enrich.logins";

const SESSION_CAPACITY: usize = 100_000;
const ADDRESS_CAPACITY: usize = 50_000;
/// How long a login speaks for its address: a working day.
const SESSION_TIME: Millis = 8 * 3_600_000;
/// A session seen again is marked as alive no more often than this.
const REFRESH: Millis = 3_600_000;
/// More people at one address fit nobody any more: it is an office's or a carrier's.
const MOST_PEOPLE: usize = 16;
/// A session id shorter than this is a count, not a secret, and two sources may both have it.
const TELLING: usize = 8;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct User {
    name: Option<Box<str>>,
    id: Option<Box<str>>,
}

impl User {
    fn of(event: &Event) -> Option<User> {
        let part = |field| event.text(field).map(|text| Box::from(&*key::bounded(text)));
        let user = User { name: part(Field::UserName), id: part(Field::UserId) };
        (user != User::default()).then_some(user)
    }

    /// Whether this is exactly who the event names, without making a user of it.
    fn is_of(&self, event: &Event) -> bool {
        let same = |known: &Option<Box<str>>, field| match (known, event.text(field)) {
            (Some(known), Some(text)) => **known == *key::bounded(text),
            (None, None) => true,
            _ => false,
        };
        same(&self.name, Field::UserName) && same(&self.id, Field::UserId)
    }

    fn is(&self, other: &User) -> bool {
        match (&self.name, &other.name) {
            (Some(one), Some(two)) => key::lower(one) == key::lower(two),
            _ => self.id.is_some() && self.id == other.id,
        }
    }

    fn give(&self, event: &mut Event) {
        if let Some(name) = &self.name {
            event.set(Field::UserName, name);
        }
        if let Some(id) = &self.id {
            event.set(Field::UserId, id);
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Session {
    user: User,
    at: Millis,
}

impl Resident for Session {}

#[derive(Debug, Serialize, Deserialize)]
struct Login {
    user: User,
    /// Name and system of the agent; empty where the log says nothing of it.
    family: Box<str>,
    at: Millis,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Address {
    logins: Vec<Login>,
    /// Until then too many people were there.
    crowded_until: Option<Millis>,
}

impl Resident for Address {}

/// Who is logged in, as far as the logs say.
pub struct Sessions {
    sessions: Keyed<Session>,
    addresses: Keyed<Address>,
}

impl Sessions {
    /// With nobody logged in.
    pub fn new() -> Sessions {
        Sessions { sessions: Keyed::new(SESSIONS, SESSION_CAPACITY), addresses: Keyed::new(LOGINS, ADDRESS_CAPACITY) }
    }

    /// Gives a line without a user the one it can be given, and learns from a line that has one.
    pub fn enrich(&mut self, event: &mut Event, user_from: Option<&str>, teaches: bool) {
        let mut inferred = false;
        if let Some(field) = user_from
            && !has_user(event)
        {
            take_from(event, field);
        }
        if !has_user(event) {
            if let Some(session) = session_key(event).and_then(|key| self.sessions.get(&key)) {
                session.user.give(event);
            } else if let Some(user) = self.fitting(event) {
                user.give(event);
                event.set_bool(Field::UserInferred, true);
                inferred = true;
            }
        }
        if teaches
            && event.text(Field::EventOutcome) != Some("failure")
            && (event.has(Field::SessionId) || matches!(event.text(Field::EventAction), Some("login" | "logout")))
            && !self.is_known(event)
            && let Some(user) = User::of(event)
        {
            self.learn(event, user, inferred);
        }
    }

    /// Whether an event teaches nothing: it goes on in a session whose user is known, as nearly all do.
    fn is_known(&self, event: &Event) -> bool {
        !matches!(event.text(Field::EventAction), Some("login" | "logout"))
            && session_key(event)
                .and_then(|key| self.sessions.get(&key))
                .is_some_and(|session| session.user.is_of(event) && event.time.saturating_sub(session.at) < REFRESH)
    }

    fn fitting(&self, event: &Event) -> Option<User> {
        // A login names its own user or nobody, and an app is an entity of its own.
        if event.text(Field::EventAction) == Some("login") || event.has(Field::OauthClientId) {
            return None;
        }
        let address = self.addresses.get(&event.ip(Field::SourceIp)?.to_string())?;
        if address.crowded_until.is_some_and(|until| event.time < until) {
            return None;
        }
        let family = family(event);
        let mut fitting = address.logins.iter().filter(|login| {
            let same = login.family.is_empty() || family.is_empty() || *login.family == *family;
            same && event.time >= login.at && event.time - login.at <= SESSION_TIME
        });
        let first = fitting.next()?;
        fitting.all(|other| other.user.is(&first.user)).then(|| first.user.clone())
    }

    fn learn(&mut self, event: &Event, user: User, inferred: bool) {
        let action = event.text(Field::EventAction);
        let address = || event.ip(Field::SourceIp).map(|ip| ip.to_string());
        if action == Some("logout") {
            if let Some(key) = session_key(event) {
                self.sessions.remove(&key);
            }
            if let Some(address) = address() {
                self.log_out(&address, &user, event.time);
            }
            return;
        }
        // What was inferred is not handed on as if it were known.
        if inferred {
            return;
        }
        if action == Some("login")
            && event.text(Field::EventOutcome) == Some("success")
            && let Some(address) = address()
        {
            self.log_in(&address, Login { user: user.clone(), family: family(event), at: event.time });
        }
        if let Some(key) = session_key(event) {
            let fresh = self
                .sessions
                .get(&key)
                .is_some_and(|session| session.user == user && event.time.saturating_sub(session.at) < REFRESH);
            if !fresh {
                let time = event.time;
                let session = self.sessions.touch(&key, time);
                *session = Session { user, at: session.at.max(time) };
            }
        }
    }

    fn log_in(&mut self, address: &str, login: Login) {
        let time = login.at;
        let here = self.addresses.touch(address, time);
        here.logins.retain(|other| {
            let again = other.user.is(&login.user) && other.family == login.family;
            !again && other.at > time.saturating_sub(SESSION_TIME)
        });
        if here.logins.len() == MOST_PEOPLE {
            here.crowded_until = Some(time.saturating_add(SESSION_TIME));
            let oldest = (0..MOST_PEOPLE).min_by_key(|position| here.logins[*position].at).unwrap_or_default();
            here.logins.remove(oldest);
        }
        here.logins.push(login);
    }

    fn log_out(&mut self, address: &str, user: &User, time: Millis) {
        let ends = |login: &Login| login.user.is(user) && login.at <= time;
        if self.addresses.get(address).is_some_and(|here| here.logins.iter().any(ends)) {
            self.addresses.touch(address, time).logins.retain(|login| !ends(login));
        }
    }

    /// Everything it remembers.
    pub fn memory(&mut self) -> [Shelf<'_>; 2] {
        [Shelf::of(&mut self.sessions), Shelf::of(&mut self.addresses)]
    }

    /// Takes back one piece.
    pub fn restore(&mut self, owner: &str, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        if owner == SESSIONS { self.sessions.restore(key, value) } else { self.addresses.restore(key, value) }
    }
}

fn has_user(event: &Event) -> bool {
    event.has(Field::UserName) || event.has(Field::UserId) || event.has(Field::UserEmail)
}

fn take_from(event: &mut Event, field: &str) {
    let Some(value) = event.named(field) else { return };
    let name = value.to_string();
    let name = name.trim();
    if !absent(name) {
        event.set(Field::UserName, name);
    }
}

fn session_key(event: &Event) -> Option<String> {
    let id = event.text(Field::SessionId)?;
    let source: &str = if id.len() < TELLING { &event.origin.source } else { "" };
    Some(key::join(&[source, id]))
}

fn family(event: &Event) -> Box<str> {
    match (event.text(Field::UserAgentName), event.text(Field::UserAgentOs)) {
        (None, None) => "".into(),
        (name, os) => key::join(&[name.unwrap_or_default(), os.unwrap_or_default()]).into(),
    }
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
