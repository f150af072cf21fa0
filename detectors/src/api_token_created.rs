//! A new key to the CRM was made that outlives the next password.
//!
//! # What it finds
//! A new API token, a new secret of an application, or a newly installed integration.
//!
//! # Why it matters
//! A token needs neither password nor second factor. Whoever has been in a taken-over account for an hour makes one, and comes back when the password has long
//! been changed.
//!
//! # How it decides
//! Tokens are made every day by those who may, so one alone is low: a line in the record of what changed. What decides is whether its maker is
//! who he seems to be: from a network that is strange to the account and shared by fewer than three others it is medium, and high
//! where browser or system are new, too, and the network is a data centre or in a new country. Accounts seen on fewer than three days stay low.
//!
//! # False positives
//! A developer on a journey.
//!
//! # What to check
//! - Ask the maker what the token is for. If he knows nothing of it: revoke it first, then end the sessions.
//! - Was the token used already, and from where? Search by `crm.oauth.client.id` and for calls of this user.
//!
//! # Settings
//! None.

use serde::{Deserialize, Serialize};

use crate::detector::Context;
use crate::event::Event;
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::names::who;
use crate::watch::{Post, Watch};

/// What an operator may set.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {}

/// See the file's head.
pub struct ApiTokenCreated;

impl Watch for ApiTokenCreated {
    const ID: &'static str = "api-token-created";
    const SOURCE: &'static str = include_str!("api_token_created.rs");
    const SEVERITY: Severity = Severity::Low;
    const TECHNIQUES: &'static [&'static str] = &["T1098.001"];
    const ACTIONS: &'static [&'static str] = &["token-create", "integration-install"];
    type Settings = Settings;
    type State = ();

    fn look(_: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        if event.text(Field::EventOutcome) == Some("failure") {
            return;
        }
        let view = context.view(event);
        let strange = view.mature() && view.strange_network();
        let severity = match strange {
            true if view.new_agent() && (view.new_country() || view.hosting()) => Severity::High,
            true => Severity::Medium,
            // Nobody knows whose network it is, and the browser is another.
            false if view.mature() && view.untold_network() && view.new_agent() => Severity::Medium,
            false => Severity::Low,
        };
        let who = who(event);
        let from = event.ip(Field::SourceIp).map_or("-".to_owned(), |address| address.to_string());
        let (place, place_zh) = if severity > Severity::Low {
            (", where the account never was", "（该账户从未出现过的位置）")
        } else {
            ("", "")
        };
        out.push(Detection {
            summary: Sentence::new(
                format!(
                    "{who} made a new key to the CRM from {from}{place}; it works without password and second factor"
                ),
                format!("{who} 从 {from}{place_zh} 创建了新的访问密钥；使用它无需密码和二次验证"),
            ),
            observed: Sentence::new(
                format!("{} from {from}", event.text(Field::EventAction).unwrap_or_default()),
                format!("从 {from} 执行 {}", event.text(Field::EventAction).unwrap_or_default()),
            ),
            expected: Sentence::new("keys are made seldom, from the desk", "密钥很少创建，且在惯常位置创建"),
            ..ApiTokenCreated::detection(event, severity)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{
        BERLIN, CHROME, DAY, FIREFOX, MUNICH, NEW_YORK_VPN, Site, event, fortnight, kept_promises, play_all, with,
        worst,
    };

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<ApiTokenCreated>(&serde_json::json!({})).expect("defaults fit")
    }

    fn story(site: Site, agent: &str) -> Vec<Event> {
        let token = with(event(15 * DAY + 600, "mia", site, "token-create", -1), Field::UserAgent, agent);
        fortnight("mia").into_iter().chain([token]).collect()
    }

    #[test]
    fn a_key_made_by_a_stranger_is_high_and_by_its_owner_at_the_desk_low() {
        assert_eq!(worst(&kept_promises(&make, story(NEW_YORK_VPN, FIREFOX))), Some(Severity::High));
        assert_eq!(worst(&play_all(&make, story(MUNICH, CHROME))), Some(Severity::Medium));
        assert_eq!(worst(&play_all(&make, story(BERLIN, CHROME))), Some(Severity::Low));
    }

    #[test]
    fn in_a_new_company_it_is_low_whoever_makes_it() {
        assert_eq!(worst(&play_all(&make, story(NEW_YORK_VPN, FIREFOX).split_off(14 * 4))), Some(Severity::Low));
    }
}
