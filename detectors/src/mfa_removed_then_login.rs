//! The second factor is taken off an account, and somebody logs in from where its owner never was.
//!
//! # What it finds
//! A second factor removed from an account, and within twelve hours a login of that account, or a new factor enrolled, from a network
//! that neither the account nor the organisation uses.
//!
//! # Why it matters
//! Whoever talks a helpdesk into a reset, or has a session already, needs the second factor gone to come back whenever he likes.
//!
//! # How it decides
//! The removal is kept under every name of the account it concerns, whoever did it. A login counts when the account has been seen on three days
//! or more and the network is new for it and shared by fewer than three others; with a new country, a data centre or a new program it
//! is high, else medium. So is, medium, another computer with another browser on a line that is new for it, in whosever network: his own city and carrier excuse a
//! stranger of nothing. Order of arrival does not matter. Twelve hours are those of Elastic's rule on resets. Accounts that have no past say nothing.
//!
//! # False positives
//! A new telephone bought on a journey: the factor is removed and enrolled again from the hotel.
//!
//! # What to check
//! - Who removed the factor, and on whose request? Call the owner on a number known before.
//! - If it was not the owner: end the sessions, enrol the factor again in person, look at what was done since the login.
//!
//! # Settings
//! - `hours` (12): how soon after the removal a login counts.

use serde::{Deserialize, Serialize};

use crate::detector::Context;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::keyed::Resident;
use crate::names::{of_actor, of_target_or_actor, who};
use crate::place::Network;
use crate::steps::{Chain, Followed, Step};
use crate::watch::{Post, Watch};
use crate::wording::{span_en, span_zh};

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    hours: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { hours: 12 }
    }
}

/// What is remembered under a name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Account(Chain);

impl Resident for Account {
    fn rank(&self) -> u8 {
        1 + u8::from(!self.0.causes.is_empty())
    }
}

/// See the file's head.
pub struct MfaRemovedThenLogin;

/// How a login counts, in points: a stranger's network, and what makes it worse.
fn strangeness(event: &Event, context: &Context) -> Option<f64> {
    let view = context.view(event);
    // In the own city, or where nobody knows whose networks they are, another computer on another line tells. The new telephone is what
    // the factor was removed for.
    let telephone = event.text(Field::UserAgentDevice) == Some("mobile") || view.network() == Network::Mobile;
    let other = view.new_agent() && (view.untold_network() || (view.new_line() && !telephone));
    let strange = view.strange_network() || other;
    if !view.mature() || !strange {
        return None;
    }
    let worse =
        view.new_country() || view.hosting() || (view.new_agent() && (view.new_network() || view.untold_network()));
    Some(1.0 + f64::from(u8::from(worse)))
}

impl Watch for MfaRemovedThenLogin {
    const ID: &'static str = "mfa-removed-then-login";
    const SOURCE: &'static str = include_str!("mfa_removed_then_login.rs");
    const SEVERITY: Severity = Severity::High;
    const TECHNIQUES: &'static [&'static str] = &["T1556.006", "T1078"];
    const ACTIONS: &'static [&'static str] = &["mfa-removed", "mfa-enrolled", "login"];
    type Settings = Settings;
    type State = Account;

    fn lasting(settings: &Settings) -> Option<Millis> {
        Some(Millis::from(settings.hours) * 3_600_000)
    }

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        if event.text(Field::EventOutcome) == Some("failure") {
            return;
        }
        let within = Millis::from(at.settings.hours) * 3_600_000;
        let removal = event.text(Field::EventAction) == Some("mfa-removed");
        let strange = if removal { None } else { strangeness(event, context) };
        if !removal && strange.is_none() {
            return;
        }
        let names = if removal { of_target_or_actor(event) } else { of_actor(event) };
        let mut told = false;
        for name in names {
            let account = &mut at.states.touch(&name, event.time).0;
            match strange {
                Some(points) => account.effects.add(Step::of(event, points, &who(event))),
                None => account.causes.add(Step::of(event, 0.0, &who(event))),
            }
            if told {
                continue;
            }
            if let Some(followed) = account.around(event.time, within) {
                out.push(tell(event, &name, &followed));
                told = true;
            }
        }
    }
}

fn tell(event: &Event, name: &str, followed: &Followed<'_>) -> Detection {
    let (cause, login) = (followed.cause, followed.effects[0]);
    let worst = followed.effects.iter().any(|step| step.amount >= 2.0);
    let from = login.address.map_or("-".to_owned(), |address| address.to_string());
    let after = login.time - cause.time;
    let mut detection = MfaRemovedThenLogin::detection(event, if worst { Severity::High } else { Severity::Medium })
        .resting_on(followed.evidence(event), cause.time, followed.end());
    detection.entity.add(Field::UserName.name(), name);
    detection.subject = name.to_owned();
    Detection {
        summary: Sentence::new(
            format!(
                "The second factor of {name} was removed, and {} later the account was used from {from}, where it never was before",
                span_en(after)
            ),
            format!("{name} 的二次验证被移除，{}后该账户从从未出现过的 {from} 登录", span_zh(after)),
        ),
        observed: Sentence::new(
            format!("removed by {}, then a login from {from}", cause.words),
            format!("由 {} 移除，随后从 {from} 登录", cause.words),
        ),
        expected: Sentence::new(
            "after a removal the owner logs in from where he always does",
            "移除之后，账户所有者应从惯常位置登录",
        ),
        quiet: 12 * 3_600_000,
        ..detection
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{
        BERLIN, DAY, FIREFOX, NEW_YORK_VPN, Site, event, fortnight, kept_promises, play_all, with, worst,
    };

    fn story(by: &str, login: Site, after: i64) -> Vec<Event> {
        let start = 15 * DAY + 600;
        let removal = with(event(start, by, BERLIN, "mfa-removed", -1), Field::UserTargetName, "MIA");
        let login = with(event(start + after, "mia", login, "login", -1), Field::UserAgent, FIREFOX);
        fortnight("mia").into_iter().chain([removal, login]).collect()
    }

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<MfaRemovedThenLogin>(&serde_json::json!({})).expect("defaults fit")
    }

    #[test]
    fn a_stranger_after_the_removal_is_high_whoever_removed_it() {
        for by in ["mia", "helpdesk"] {
            let found = kept_promises(&make, story(by, NEW_YORK_VPN, 20));
            assert_eq!((found.len(), worst(&found)), (1, Some(Severity::High)), "{by}");
            assert_eq!(found[0].primary_value(), "mia");
            assert!(found[0].observed.en.contains(by));
        }
    }

    #[test]
    fn a_new_telephone_at_the_own_desk_or_a_journey_days_later_is_nothing() {
        assert_eq!(play_all(&make, story("mia", BERLIN, 20)).len(), 0);
        assert_eq!(play_all(&make, story("mia", NEW_YORK_VPN, 13 * 60)).len(), 0);
    }

    #[test]
    fn an_account_without_a_past_says_nothing() {
        let events = story("helpdesk", NEW_YORK_VPN, 20).split_off(14 * 4);
        assert_eq!(play_all(&make, events).len(), 0);
    }

    #[test]
    fn the_own_city_and_carrier_excuse_no_stranger_s_computer_and_a_new_telephone_is_what_the_removal_was_for() {
        let neighbour: Site = ("203.0.140.9", BERLIN.1, BERLIN.2, BERLIN.3, BERLIN.4, BERLIN.5, BERLIN.6, BERLIN.7);
        assert_eq!(worst(&kept_promises(&make, story("helpdesk", neighbour, 20))), Some(Severity::Medium));
        let telephone = |event: Event| match event.text(Field::UserAgent) {
            Some(FIREFOX) => with(event, Field::UserAgentDevice, "mobile"),
            _ => event,
        };
        let events = story("helpdesk", neighbour, 20).into_iter().map(telephone).collect();
        assert_eq!(play_all(&make, events).len(), 0);
    }
}
