//! Whether an event shows that its user was where it came from, and whether a person or a program acted. Not for where that is.

use crate::event::Event;
use crate::field::Field;

/// Who acts: a script, a bulk job, an API call by something that does not say what it is, or an account that the people file calls one
/// (unless a browser speaks), is a program. A login alone tells nothing.
pub(super) fn actor(event: &Event) -> Option<Actor> {
    let device = event.text(Field::UserAgentDevice);
    match device {
        Some("script" | "crawler") => return Some(Actor::Program),
        Some("desktop" | "mobile") => return Some(Actor::Person),
        _ if event.person.as_ref().is_some_and(|person| person.is_program()) => return Some(Actor::Program),
        _ => {}
    }
    match (event.text(Field::EventAction), event.has(Field::UserAgent)) {
        (_, true) => Some(Actor::Person),
        (Some("api-call" | "bulk-api" | "oauth-grant"), false) => Some(Actor::Program),
        (Some("login" | "logout"), false) => None,
        _ => Some(Actor::Person),
    }
}

/// A person or a program.
pub(super) enum Actor {
    Person,
    Program,
}

/// What an event says about whether its user was there.
pub(super) enum Presence {
    Here,
    Failed,
    Nothing,
}

/// Reads it from action and outcome.
pub(super) fn presence(event: &Event) -> Presence {
    match (event.text(Field::EventAction), event.text(Field::EventOutcome)) {
        (_, Some("failure")) | (Some("mfa-denied"), _) => Presence::Failed,
        // The first half of a login, or what anybody can ask for in another's name.
        (Some("mfa-challenge" | "password-reset"), _) | (Some("login"), Some("unknown")) => Presence::Nothing,
        _ => Presence::Here,
    }
}
