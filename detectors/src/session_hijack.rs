//! One session, used from two places at once: its token has been stolen.
//!
//! # What it finds
//! A session of a person that is used from another network with another browser or system than the one it began in, or from two
//! countries in turns.
//!
//! # Why it matters
//! A stolen cookie needs no password and no second factor, and no login is logged. It lives as long as the session does.
//!
//! # How it decides
//! For each account the sessions last used are remembered with the networks and agents they were used from. A network is another
//! one where its owner differs, or, where owners are unknown, the country.
//!
//! - Another network *and* another browser or system (an upgrade is the same browser): high where the new network is strange to the account and shared by
//!   fewer than three others in the organisation; medium in the account's first days, when nothing is known of it; nothing where the account has long used both.
//! - The same agent, but two countries in turns, three times or more within half an hour, one of them strange to the account: high. Telephone networks,
//!   relays and satellites come out anywhere and are left out, and a VPN that is switched on and off again makes two turns.
//!
//! That network and agent must change together is what Okta's and Panther's rules on stolen sessions ask, too.
//!
//! # False positives
//! A program that hands its session id from a telephone to a desk computer; a log whose session ids are not unique to a session (ids shorter than eight characters are passed over).
//!
//! # What to check
//! - End the session; a new password alone does not end it.
//! - What did it do from the second place? Search by `session.id` and `source.ip`.
//! - Look at the owner's computer: stolen cookies come from malware or from a page that stood between him and the login.
//!
//! # Settings
//! - `turns` (3): changes between two countries within half an hour.

use serde::{Deserialize, Serialize};

use crate::brute_force_success::account_key;
use crate::detector::Context;
use crate::entity::entity_key;
use crate::event::{Event, Millis};
use crate::finding::{Detection, Sentence, Severity};
use crate::names::who;
use crate::place::Network;
use crate::seats::{Seat, Sessions};
use crate::watch::{Post, Watch};

const HALF_HOUR: Millis = 30 * 60_000;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    turns: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { turns: 3 }
    }
}

/// See the file's head.
pub struct SessionHijack;

impl Watch for SessionHijack {
    const ID: &'static str = "session-hijack";
    const SOURCE: &'static str = include_str!("session_hijack.rs");
    const SEVERITY: Severity = Severity::High;
    const TECHNIQUES: &'static [&'static str] = &["T1539", "T1550.004"];
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
        let Some((session, seat)) = known.note(event, context) else { return };
        let seats = &known.sessions[session].seats;
        let worst = (0..seats.len())
            .filter(|other| *other != seat)
            .filter_map(|other| Some((judge(&seats[other], &seats[seat], at.settings)?, other)))
            .max_by_key(|(severity, other)| (*severity, std::cmp::Reverse(*other)));
        if let Some((severity, other)) = worst {
            out.push(tell(event, severity, &seats[other], &seats[seat]));
        }
    }
}

fn judge(one: &Seat, other: &Seat, settings: &Settings) -> Option<Severity> {
    if !one.other_network(other) {
        return None;
    }
    let anywhere = |seat: &Seat| matches!(seat.network, Network::Mobile | Network::Relay | Network::Satellite);
    let strange = one.strange == Some(true) || other.strange == Some(true);
    if one.other_agent(other) {
        return match (one.strange, other.strange) {
            _ if strange => Some(Severity::High),
            (None, _) | (_, None) if !anywhere(one) && !anywhere(other) => Some(Severity::Medium),
            _ => None,
        };
    }
    let in_turns = one.other_country(other)
        && strange
        && !anywhere(one)
        && !anywhere(other)
        && one.turns(other, HALF_HOUR) >= settings.turns;
    in_turns.then_some(Severity::High)
}

fn tell(event: &Event, severity: Severity, one: &Seat, other: &Seat) -> Detection {
    let (first, second) = if one.first() <= other.first() { (one, other) } else { (other, one) };
    let who = who(event);
    let address = |seat: &Seat| seat.address.map_or("-".to_owned(), |address| address.to_string());
    let (from, to) = (address(first), address(second));
    let agent = one.other_agent(other);
    let evidence = [first, second].into_iter().map(|seat| seat.reference).filter(|one| one.id != event.id).collect();
    let mut detection = SessionHijack::detection(event, severity).resting_on(evidence, first.first(), event.time);
    detection.entity.add(crate::Field::SourceIp.name(), &from);
    detection.entity.add(crate::Field::SourceIp.name(), &to);
    let (with, with_zh) =
        if agent { ("with another browser", "且浏览器不同") } else { ("in turns", "且交替使用") };
    Detection {
        summary: Sentence::new(
            format!("One session of {who} was used from {from} and from {to}, {with}: its token is probably stolen"),
            format!("{who} 的同一会话先后从 {from} 和 {to} 使用，{with_zh}：会话令牌很可能被盗"),
        ),
        observed: Sentence::new(
            format!("the session of {from} appeared at {to} {with}"),
            format!("{from} 的会话出现在 {to}，{with_zh}"),
        ),
        expected: Sentence::new("a session stays with the browser it began in", "会话应始终停留在其开始时的浏览器中"),
        quiet: 6 * 3_600_000,
        parts: vec![("turns", one.turns(other, HALF_HOUR) as f64)],
        ..detection
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Field;
    use crate::scenario::{
        BERLIN, BERLIN_MOBILE, CHROME, DAY, FIREFOX, MUNICH, NEW_YORK_VPN, SAO_PAULO, Site, event, fortnight,
        kept_promises, play_all, with, worst,
    };

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<SessionHijack>(&serde_json::json!({})).expect("defaults fit")
    }

    fn used(minute: i64, site: Site, agent: &str) -> Event {
        let event = with(event(15 * DAY + 600 + minute, "mia", site, "view", 1), Field::UserAgent, agent);
        with(event, Field::SessionId, "0f9a1c22d7e34b51")
    }

    fn story(later: &[(i64, Site, &str)]) -> Vec<Event> {
        let own = (0..5).map(|nth| used(nth * 2, BERLIN, CHROME));
        fortnight("mia")
            .into_iter()
            .chain(own)
            .chain(later.iter().map(|(m, site, agent)| used(*m, *site, agent)))
            .collect()
    }

    #[test]
    fn a_cookie_replayed_with_another_browser_from_elsewhere_is_high() {
        let found = kept_promises(&make, story(&[(20, SAO_PAULO, FIREFOX), (25, SAO_PAULO, FIREFOX)]));
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::High)));
        assert!(found[0].summary.en.contains("198.51.100.9"), "{}", found[0].summary.en);
    }

    #[test]
    fn a_replay_that_pretends_the_same_browser_is_seen_when_both_work_in_turns() {
        let turns = [(20, SAO_PAULO, CHROME), (22, BERLIN, CHROME), (24, SAO_PAULO, CHROME), (26, BERLIN, CHROME)];
        assert_eq!(worst(&kept_promises(&make, story(&turns))), Some(Severity::High));
    }

    #[test]
    fn a_browser_upgrade_another_office_a_telephone_and_a_vpn_switched_on_and_off_are_nothing() {
        let newer = CHROME.replace("130", "131");
        let stories: [&[(i64, Site, &str)]; 4] = [
            &[(20, BERLIN, &newer), (25, BERLIN, &newer)],
            &[(90, MUNICH, CHROME)],
            &[(20, BERLIN_MOBILE, CHROME), (24, BERLIN, CHROME), (28, BERLIN_MOBILE, CHROME), (30, BERLIN, CHROME)],
            &[(20, NEW_YORK_VPN, CHROME), (24, NEW_YORK_VPN, CHROME), (28, BERLIN, CHROME)],
        ];
        for (nth, story_of) in stories.into_iter().enumerate() {
            assert_eq!(play_all(&make, story(story_of)).len(), 0, "{nth}");
        }
    }

    #[test]
    fn in_an_account_s_first_days_it_is_medium_and_short_ids_say_nothing() {
        let events = story(&[(20, SAO_PAULO, FIREFOX)]).split_off(14 * 4);
        assert_eq!(worst(&play_all(&make, events.clone())), Some(Severity::Medium));
        let short = events.into_iter().map(|event| with(event, Field::SessionId, "17")).collect();
        assert_eq!(play_all(&make, short).len(), 0);
    }
}
