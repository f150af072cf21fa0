//! A person logs in through a data centre, a VPN or Tor that nobody here uses.
//!
//! # What it finds
//! A successful login of a person from a network whose owner rents out servers or hides its customers, and which neither the account
//! nor the organisation uses.
//!
//! # Why it matters
//! People sit behind house and office lines. Whoever uses a stolen password mostly does not want his own line seen.
//!
//! # How it decides
//! The kind of network is told from the name of its owner. A network that the account has used for a day, or three others of the organisation,
//! is a VPN that is known. From an unknown one, with a browser or system that is new for the account or from a country that is, it is
//! medium; with the account's own browser and from its own country low, for that is a person who has bought a VPN. An exit of Tor is
//! high. Programs are left to integration-new-network; relays that leave the region as it is (iCloud, for instance) and accounts seen on
//! fewer than three days are left out, too.
//!
//! # False positives
//! A person's first journey with a bought VPN; a virtual desktop in a cloud that is new in the organisation.
//!
//! # What to check
//! - Ask the owner whether he uses a VPN, and which.
//! - Did the same address try other accounts? Search by `source.ip`.
//!
//! # Settings
//! - `allowed_networks` ([]): networks such as `192.0.2.0/24` from which everybody may come: your own VPN, a virtual desktop.

use serde::{Deserialize, Serialize};

use crate::brute_force_success::account_key;
use crate::detector::Context;
use crate::event::Event;
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::names::who;
use crate::place::Cidr;
use crate::watch::{Post, Watch};

/// Words in the names of networks that serve as exits of Tor.
const TOR: [&str; 3] = ["tor exit", "torservers", "tor-exit"];

/// What an operator may set.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    allowed_networks: Vec<String>,
}

/// See the file's head.
pub struct AnonymiserLogin;

impl Watch for AnonymiserLogin {
    const ID: &'static str = "anonymiser-login";
    const SOURCE: &'static str = include_str!("anonymiser_login.rs");
    const SEVERITY: Severity = Severity::Medium;
    const TECHNIQUES: &'static [&'static str] = &["T1090", "T1078"];
    const ACTIONS: &'static [&'static str] = &["login"];
    type Settings = Settings;
    type State = ();

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        let person = event.person.as_deref();
        let program = matches!(event.text(Field::UserAgentDevice), Some("script" | "crawler"));
        if event.text(Field::EventOutcome) != Some("success")
            || account_key(event).is_none()
            || person.is_some_and(|person| person.is_program())
        {
            return;
        }
        let view = context.view(event);
        if !view.mature() || !view.hosting() || !view.strange_network() || (program && !view.new_agent()) {
            return;
        }
        let Some(address) = event.ip(Field::SourceIp) else { return };
        let allowed = |text: &String| Cidr::parse(text).is_some_and(|network| network.holds(address));
        if at.settings.allowed_networks.iter().any(allowed) {
            return;
        }
        let owner = event.text(Field::SourceAsOrg).unwrap_or_default();
        let lower = owner.to_lowercase();
        let severity = if TOR.iter().any(|word| lower.contains(word)) {
            Severity::High
        } else if view.new_agent() || view.new_country() {
            Severity::Medium
        } else {
            Severity::Low
        };
        let who = who(event);
        out.push(Detection {
            summary: Sentence::new(
                format!("{who} logged in through {owner}, which rents out servers or hides its customers and which nobody here uses"),
                format!("{who} 通过 {owner} 登录；该网络出租服务器或隐藏用户，此前无人使用"),
            ),
            observed: Sentence::new(format!("a login from {address} of {owner}"), format!("从 {owner} 的 {address} 登录")),
            expected: Sentence::new("a house, an office or a telephone", "家庭、办公室或手机网络"),
            quiet: 12 * 3_600_000,
            ..AnonymiserLogin::detection(event, severity)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{
        AMSTERDAM_VPN, BERLIN, CHROME, DAY, FIREFOX, NEW_YORK_VPN, SAO_PAULO, Site, event, fortnight, kept_promises,
        play_all, with, worst,
    };

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<AnonymiserLogin>(&serde_json::json!({})).expect("defaults fit")
    }

    fn story(site: Site, agent: &str) -> Vec<Event> {
        let login = with(event(15 * DAY + 600, "mia", site, "login", -1), Field::UserAgent, agent);
        fortnight("mia").into_iter().chain([login]).collect()
    }

    #[test]
    fn a_stranger_behind_a_vpn_is_medium_and_behind_tor_high() {
        assert_eq!(worst(&kept_promises(&make, story(NEW_YORK_VPN, FIREFOX))), Some(Severity::Medium));
        let mut tor = story(NEW_YORK_VPN, FIREFOX);
        tor.last_mut().expect("the login").set(Field::SourceAsOrg, "Tor Exit Servers e.V.");
        assert_eq!(worst(&play_all(&make, tor)), Some(Severity::High));
    }

    #[test]
    fn house_lines_and_the_organisation_s_own_vpn_are_nothing() {
        assert_eq!(play_all(&make, story(SAO_PAULO, FIREFOX)).len(), 0);
        assert_eq!(play_all(&make, story(BERLIN, FIREFOX)).len(), 0);
        let mut events = story(AMSTERDAM_VPN, CHROME);
        for user in ["ben", "eva", "tom"] {
            events.extend((0..3).map(|day| event(day * DAY + 500, user, AMSTERDAM_VPN, "login", -1)));
        }
        assert_eq!(play_all(&make, events).len(), 0);
    }

    #[test]
    fn what_the_operator_allows_is_nothing() {
        let make = || {
            crate::watch::build::<AnonymiserLogin>(&serde_json::json!({"allowed_networks": ["192.0.2.0/24"]}))
                .expect("fits")
        };
        assert_eq!(play_all(&make, story(NEW_YORK_VPN, FIREFOX)).len(), 0);
    }
}
