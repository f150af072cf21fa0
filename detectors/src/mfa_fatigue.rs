//! Somebody who has the password asks for the second factor until its owner gives in.
//!
//! # What it finds
//! Five or more refused second factors of one account within ten minutes, and whether a login succeeded within half an hour of them.
//!
//! # Why it matters
//! Whoever causes the requests already has the password. One tired touch on the telephone, and he is in.
//!
//! # How it decides
//! Refusals and successful logins of an account are put in the order of their own times. Refusals from a network the account does not
//! use are medium, and high once a login succeeds from a network it does not use within `success_minutes` of the last of them. Where
//! refusals and success come from networks the account has long used (where no database tells whose an address is, from addresses near by), its owner is fighting with his own telephone: low. In an
//! account's first days, when nothing is known of it, a success is medium. The numbers are those of Elastic's rule for Okta (five
//! denied requests in ten minutes).
//!
//! # False positives
//! A new telephone that does not receive the requests, set up while travelling; an application that asks again by itself.
//!
//! # What to check
//! - Ask the owner, by telephone, whether the requests were his and whether he approved one.
//! - If a login succeeded and he knows nothing: end all sessions, change the password, look at what the session did.
//! - In any case the password is known to somebody: change it, and turn on number matching.
//!
//! # Settings
//! - `denials` (5): refusals within ten minutes.
//! - `success_minutes` (30): how soon a success must follow to be its result.

use serde::{Deserialize, Serialize};

use crate::brute_force_success::account_key;
use crate::detector::Context;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::keyed::Resident;
use crate::names::who;
use crate::steps::{Step, Steps};
use crate::watch::{Post, Watch};

const MINUTE: Millis = 60_000;
const WINDOW: Millis = 10 * MINUTE;
/// How the network of a step was.
const KNOWN: &str = "known";
const STRANGE: &str = "strange";
const UNTOLD: &str = "";

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    denials: usize,
    success_minutes: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { denials: 5, success_minutes: 30 }
    }
}

/// What is remembered of an account.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Account {
    denials: Steps,
    successes: Steps,
}

impl Resident for Account {}

/// See the file's head.
pub struct MfaFatigue;

impl Watch for MfaFatigue {
    const ID: &'static str = "mfa-fatigue";
    const SOURCE: &'static str = include_str!("mfa_fatigue.rs");
    const SEVERITY: Severity = Severity::High;
    const TECHNIQUES: &'static [&'static str] = &["T1621", "T1078"];
    const ACTIONS: &'static [&'static str] = &["mfa-denied", "login"];
    type Settings = Settings;
    type State = Account;

    fn lasting(settings: &Settings) -> Option<Millis> {
        Some(WINDOW + Millis::from(settings.success_minutes) * MINUTE)
    }

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        let denied = event.text(Field::EventAction) == Some("mfa-denied");
        if !denied && event.text(Field::EventOutcome) != Some("success") {
            return;
        }
        let Some(key) = account_key(event) else { return };
        let success = Millis::from(at.settings.success_minutes) * MINUTE;
        let view = context.view(event);
        let network = match (view.mature() || !view.outside(), view.strange_network()) {
            // Nobody knows whose network it is: with another browser on another system it is somebody else's.
            (true, false) if view.untold_network() => {
                if view.new_agent() {
                    STRANGE
                } else {
                    UNTOLD
                }
            }
            (true, false) => KNOWN,
            (true, true) => STRANGE,
            _ => UNTOLD,
        };
        // A success may be read before the refusals it followed; from where the account always is, it changes nothing.
        if !denied && network == KNOWN && at.states.get(&key).is_none() {
            return;
        }
        let account = at.states.touch(&key, event.time);
        if denied {
            account.denials.add(Step::of(event, 0.0, network));
        } else {
            account.successes.add(Step::of(event, 0.0, network));
        }
        let around =
            if denied { Some(event.time) } else { account.denials.before(event.time, success).map(|step| step.time) };
        let Some(around) = around else { return };
        let denials = account.denials.fullest(around, WINDOW);
        if denials.len() < at.settings.denials.max(2) {
            return;
        }
        let last = denials.last().map_or(around, |step| step.time);
        let won = account.successes.between(denials[0].time, last + success).max_by_key(|step| *step.words != *KNOWN);
        let own = denials.iter().all(|step| *step.words == *KNOWN);
        let severity = match won {
            Some(won) if *won.words == *STRANGE => Severity::High,
            Some(won) if *won.words == *UNTOLD => Severity::Medium,
            _ if own => Severity::Low,
            _ => Severity::Medium,
        };
        out.push(tell(event, severity, &denials, won));
    }
}

fn tell(event: &Event, severity: Severity, denials: &[&Step], won: Option<&Step>) -> Detection {
    let (who, count) = (who(event), denials.len());
    let from = won.and_then(|won| won.address).map_or("-".to_owned(), |address| address.to_string());
    let evidence = denials.iter().copied().chain(won).map(|step| step.reference);
    let (start, end) = (denials[0].time, won.map_or(event.time, |won| won.time.max(event.time)));
    Detection {
        summary: match won {
            Some(_) => Sentence::new(
                format!(
                    "{who} refused the second factor {count} times within ten minutes, and then a login from {from} succeeded"
                ),
                format!("{who} 在十分钟内拒绝了 {count} 次二次验证，随后从 {from} 登录成功"),
            ),
            None => Sentence::new(
                format!("{who} was asked for the second factor and refused it {count} times within ten minutes"),
                format!("{who} 在十分钟内 {count} 次被要求二次验证并拒绝"),
            ),
        },
        observed: Sentence::new(
            format!("{count} refused second factors{}", if won.is_some() { ", then a success" } else { "" }),
            format!("二次验证被拒绝 {count} 次{}", if won.is_some() { "，随后成功" } else { "" }),
        ),
        expected: Sentence::new("one or two refusals, by mistake", "偶尔一两次误拒"),
        quiet: 60 * MINUTE,
        parts: vec![("refusals", count as f64)],
        ..MfaFatigue::detection(event, severity).resting_on(
            evidence.filter(|reference| reference.id != event.id).collect(),
            start,
            end,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BERLIN, DAY, FIREFOX, NEW_YORK_VPN, Site, fortnight, kept_promises, play_all, with, worst};

    fn story(site: Site, denials: i64, pause: i64, success: Option<Site>) -> Vec<Event> {
        let start = 15 * DAY + 600;
        let mut events = fortnight("mia");
        for nth in 0..denials {
            events.push(crate::scenario::failed(crate::scenario::event(
                start + nth * pause,
                "mia",
                site,
                "mfa-denied",
                -1,
            )));
        }
        if let Some(site) = success {
            let event = crate::scenario::event(start + denials * pause, "mia", site, "login", -1);
            events.push(with(event, Field::UserAgent, FIREFOX));
        }
        events
    }

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<MfaFatigue>(&serde_json::json!({})).expect("defaults fit")
    }

    #[test]
    fn asking_until_it_is_granted_is_high_and_asking_alone_is_medium() {
        let found = kept_promises(&make, story(NEW_YORK_VPN, 7, 1, Some(NEW_YORK_VPN)));
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::High)));
        assert_eq!(found[0].evidence.count(), 8);
        assert!(found[0].summary.en.contains("7 times"), "{}", found[0].summary.en);
        assert_eq!(worst(&play_all(&make, story(NEW_YORK_VPN, 6, 1, None))), Some(Severity::Medium));
    }

    #[test]
    fn a_telephone_that_does_not_ring_at_the_own_desk_is_low_and_two_mistakes_are_nothing() {
        assert_eq!(worst(&play_all(&make, story(BERLIN, 6, 1, Some(BERLIN)))), Some(Severity::Low));
        assert_eq!(worst(&play_all(&make, story(NEW_YORK_VPN, 4, 1, Some(NEW_YORK_VPN)))), None);
        assert_eq!(worst(&play_all(&make, story(NEW_YORK_VPN, 8, 15, None))), None);
    }

    #[test]
    fn a_success_at_the_own_desk_while_somebody_else_asks_is_the_owner_s() {
        assert_eq!(worst(&play_all(&make, story(NEW_YORK_VPN, 6, 1, Some(BERLIN)))), Some(Severity::Medium));
    }
}
