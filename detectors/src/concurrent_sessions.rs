//! One account, at work in three sessions at once, one of them from a place it never was.
//!
//! # What it finds
//! Three or more sessions of one person in use within half an hour, from at least two networks, one of which is strange to the account.
//!
//! # Why it matters
//! A person has one pair of hands. A desk, a telephone and a third session from elsewhere is mostly one session too many.
//!
//! # How it decides
//! A session is in use from its first to its last event. Counted are those with an event in the half hour around the new one. At
//! least one must come from a network that the account does not use and that fewer than three others of the organisation use; the
//! account must have been seen on three days. Where that session also has a browser or system that none of the usual ones has, it is medium, else low: it adds to
//! other findings. Three sessions are the number of Elastic's rule for Okta, which asks for nothing else and is therefore loud.
//!
//! # False positives
//! A day of moving: desk, telephone and a borrowed computer in a hotel.
//!
//! # What to check
//! - What was done in the session from the strange network? Search by `source.ip`.
//! - Ask the person which devices are his; end all sessions where he does not know one.
//!
//! # Settings
//! - `sessions` (3): how many at once.

use serde::{Deserialize, Serialize};

use crate::brute_force_success::account_key;
use crate::detector::Context;
use crate::entity::entity_key;
use crate::event::{Event, Millis};
use crate::finding::{Detection, Sentence, Severity};
use crate::names::who;
use crate::seats::{Seat, Sessions};
use crate::watch::{Post, Watch};

const HALF_HOUR: Millis = 30 * 60_000;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    sessions: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { sessions: 3 }
    }
}

/// See the file's head.
pub struct ConcurrentSessions;

impl Watch for ConcurrentSessions {
    const ID: &'static str = "concurrent-sessions";
    const SOURCE: &'static str = include_str!("concurrent_sessions.rs");
    const SEVERITY: Severity = Severity::Medium;
    const TECHNIQUES: &'static [&'static str] = &["T1550.004", "T1078"];
    const ACTIONS: &'static [&'static str] = &[];
    const CAPACITY: usize = 200_000;
    type Settings = Settings;
    type State = Sessions;

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        if !Sessions::concerns(event) {
            return;
        }
        let entity = entity_key(event);
        if at.states.get(&entity).is_some_and(|known| known.stays(event)) {
            return;
        }
        if account_key(event).is_none() {
            return;
        }
        let known = at.states.touch(&entity, event.time);
        if known.note(event, context).is_none() || known.sessions.len() < at.settings.sessions.max(2) {
            return;
        }
        let near = |seat: &&Seat| seat.moments.iter().any(|moment| moment.abs_diff(event.time) <= HALF_HOUR as u64);
        let seats: Vec<&Seat> = known.sessions.iter().filter_map(|session| session.seats.iter().find(near)).collect();
        if seats.len() < at.settings.sessions {
            return;
        }
        let Some(strange) = seats.iter().find(|seat| seat.strange == Some(true)) else { return };
        let others = || seats.iter().filter(|seat| seat.reference.id != strange.reference.id);
        if !others().any(|seat| seat.other_network(strange)) {
            return;
        }
        // Two strangers with one browser are no excuse for each other, whoever came first.
        let usual = || seats.iter().filter(|seat| seat.strange != Some(true));
        let unlike = |one: &Seat| usual().count() > 0 && usual().all(|seat| seat.other_agent(one));
        let alone = seats.iter().any(|seat| seat.strange == Some(true) && unlike(seat));
        out.push(tell(event, if alone { Severity::Medium } else { Severity::Low }, &seats, strange));
    }
}

fn tell(event: &Event, severity: Severity, seats: &[&Seat], strange: &Seat) -> Detection {
    let (who, count) = (who(event), seats.len());
    let from = strange.address.map_or("-".to_owned(), |address| address.to_string());
    let evidence = seats.iter().map(|seat| seat.reference).filter(|one| one.id != event.id).collect();
    let start = seats.iter().map(|seat| seat.first()).min().unwrap_or(event.time);
    let mut detection = ConcurrentSessions::detection(event, severity).resting_on(evidence, start, event.time);
    seats.iter().filter_map(|seat| seat.address).for_each(|address| {
        detection.entity.add(crate::Field::SourceIp.name(), &address.to_string());
    });
    Detection {
        summary: Sentence::new(
            format!(
                "{who} is at work in {count} sessions at once, one of them from {from}, where the account never was before"
            ),
            format!("{who} 同时使用 {count} 个会话，其中一个来自该账户从未出现过的 {from}"),
        ),
        observed: Sentence::new(format!("{count} sessions within half an hour"), format!("半小时内 {count} 个会话")),
        expected: Sentence::new("a desk and a telephone", "通常为一台电脑和一部手机"),
        quiet: 6 * 3_600_000,
        parts: vec![("sessions", count as f64)],
        ..detection
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Field;
    use crate::scenario::{
        BERLIN, BERLIN_MOBILE, CHROME, DAY, FIREFOX, SAO_PAULO, Site, event, fortnight, kept_promises, play_all, with,
        worst,
    };

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<ConcurrentSessions>(&serde_json::json!({})).expect("defaults fit")
    }

    fn story(sessions: &[(&str, Site, &str)]) -> Vec<Event> {
        let mut events = fortnight("mia");
        for (nth, (id, site, agent)) in sessions.iter().enumerate() {
            for step in 0..4 {
                let minute = 15 * DAY + 600 + step * 5 + nth as i64;
                let used = with(event(minute, "mia", *site, "view", 1), Field::UserAgent, agent);
                events.push(with(used, Field::SessionId, id));
            }
        }
        events
    }

    const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Safari/604.1";

    #[test]
    fn a_third_session_from_elsewhere_is_medium() {
        let sessions = [
            ("desk-session-1", BERLIN, CHROME),
            ("phone-session", BERLIN_MOBILE, PHONE),
            ("third-session", SAO_PAULO, FIREFOX),
        ];
        let found = kept_promises(&make, story(&sessions));
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::Medium)));
    }

    #[test]
    fn three_windows_at_one_desk_and_a_desk_with_a_telephone_are_nothing() {
        let desk = [
            ("desk-session-1", BERLIN, CHROME),
            ("desk-session-2", BERLIN, CHROME),
            ("desk-session-3", BERLIN, CHROME),
        ];
        assert_eq!(play_all(&make, story(&desk)).len(), 0);
        let two = [("desk-session-1", BERLIN, CHROME), ("phone-session", BERLIN_MOBILE, PHONE)];
        assert_eq!(play_all(&make, story(&two)).len(), 0);
    }
}
