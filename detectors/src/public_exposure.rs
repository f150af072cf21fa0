//! Data was opened to the public, to guests or to outsiders.
//!
//! # What it finds
//! A public link, a report or dashboard shared outside, or a right given to guests or to everybody.
//!
//! # Why it matters
//! One tick too many in a guest's profile has opened whole customer bases to whoever asked. No password is needed, so no login is ever logged.
//!
//! # How it decides
//! A right given to guests, anonymous users or everybody is high. A report, dashboard or list shared with outsiders or the public is medium. Other public links are
//! everyday work where three people or more have made some on at least five days of the last 30: low there, medium else; in an organisation's first week low.
//!
//! # False positives
//! A brochure published on purpose.
//!
//! # What to check
//! - What can be seen without logging in? Try it.
//! - Take the link or right back, then look in the access log who has used it.
//!
//! # Settings
//! - `allowed_recipients` ([]): addresses or domains that may be shared with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::baseline::stable_hash;
use crate::detector::Context;
use crate::entity::entity_key;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::keyed::Resident;
use crate::names::who;
use crate::watch::{Post, Watch};

const DAY: Millis = 86_400_000;
const KEPT: i64 = 30;
/// Names of those who are nobody in particular.
const ANYBODY: [&str; 6] = ["guest", "anonymous", "everyone", "everybody", "all users", "public"];
const WHOLE: [&str; 4] = ["report", "dashboard", "listview", "list"];

/// What an operator may set.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    allowed_recipients: Vec<String>,
}

/// Who made public links, by day.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Links(BTreeMap<i64, Vec<u32>>);

impl Resident for Links {}

impl Links {
    fn usual(&self, today: i64) -> bool {
        let before = || self.0.range(today - KEPT..today);
        let mut makers: Vec<u32> = before().flat_map(|(_, makers)| makers.iter().copied()).collect();
        makers.sort_unstable();
        makers.dedup();
        makers.len() >= 3 && before().count() >= 5
    }
}

/// See the file's head.
pub struct PublicExposure;

/// What was opened.
enum Opened {
    Right,
    Whole,
    Link,
}

fn opened(event: &Event) -> Option<Opened> {
    let is_anybody = |text: &str| {
        let text = text.to_lowercase();
        ANYBODY.iter().any(|word| {
            text == *word || text.starts_with(&format!("{word} ")) || text.contains(&format!(" {word} user"))
        })
    };
    match event.text(Field::EventAction)? {
        "permission-change" => {
            let named =
                [Field::UserTargetName, Field::ShareRecipient].into_iter().filter_map(|field| event.text(field));
            named.into_iter().any(is_anybody).then_some(Opened::Right)
        }
        "share" => {
            let scope = event.text(Field::ShareScope)?;
            let object = event.text(Field::ObjectType).unwrap_or_default().to_lowercase();
            let whole = WHOLE.contains(&object.as_str()) || event.has(Field::ReportId);
            match scope {
                "public" | "external" if whole => Some(Opened::Whole),
                "public" => Some(Opened::Link),
                _ => None,
            }
        }
        _ => None,
    }
}

impl Watch for PublicExposure {
    const ID: &'static str = "public-exposure";
    const SOURCE: &'static str = include_str!("public_exposure.rs");
    const SEVERITY: Severity = Severity::Medium;
    const TECHNIQUES: &'static [&'static str] = &["T1537", "T1567"];
    const ACTIONS: &'static [&'static str] = &["share", "permission-change"];
    const CAPACITY: usize = 1_000;
    type Settings = Settings;
    type State = Links;

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        if event.text(Field::EventOutcome) == Some("failure") {
            return;
        }
        let Some(opened) = opened(event) else { return };
        let recipient = event.text(Field::ShareRecipient).unwrap_or_default();
        let fits = |allowed: &String| {
            recipient.eq_ignore_ascii_case(allowed)
                || recipient.rsplit_once('@').is_some_and(|(_, domain)| domain.eq_ignore_ascii_case(allowed))
        };
        if !recipient.is_empty() && at.settings.allowed_recipients.iter().any(fits) {
            return;
        }
        let severity = match opened {
            Opened::Right => Severity::High,
            Opened::Whole => Severity::Medium,
            Opened::Link => {
                let today = event.time.div_euclid(DAY);
                let organisation = event.text(Field::OrganizationId).unwrap_or("all");
                let links = at.states.touch(organisation, event.time);
                let makers = links.0.entry(today).or_default();
                let maker = stable_hash(&entity_key(event));
                if makers.len() < 8 && !makers.contains(&maker) {
                    makers.push(maker);
                }
                while links.0.len() > KEPT as usize {
                    links.0.pop_first();
                }
                let quiet = links.usual(today) || context.view(event).organisation_days() < 7.0;
                if quiet { Severity::Low } else { Severity::Medium }
            }
        };
        out.push(tell(event, severity, &opened, recipient));
    }
}

fn tell(event: &Event, severity: Severity, opened: &Opened, recipient: &str) -> Detection {
    let who = who(event);
    let object = event.text(Field::ObjectType).unwrap_or("record");
    let (summary, observed) = match opened {
        Opened::Right => (
            Sentence::new(
                format!("{who} gave a right to guests or to everybody: data may be open to whoever asks"),
                format!("{who} 向访客或所有人授予了权限：数据可能对任何人开放"),
            ),
            Sentence::new("a right for people who need not log in", "无需登录者获得了权限"),
        ),
        Opened::Whole => (
            Sentence::new(
                format!(
                    "{who} shared a {object} outside the organisation{}",
                    if recipient.is_empty() { String::new() } else { format!(" with {recipient}") }
                ),
                format!(
                    "{who} 将 {object} 分享到组织之外{}",
                    if recipient.is_empty() { String::new() } else { format!("：{recipient}") }
                ),
            ),
            Sentence::new(format!("a {object} shared outside"), format!("{object} 被对外分享")),
        ),
        Opened::Link => (
            Sentence::new(
                format!("{who} made a public link to a {object}: whoever has it sees it without logging in"),
                format!("{who} 为 {object} 创建了公开链接：持有者无需登录即可查看"),
            ),
            Sentence::new(format!("a public link to a {object}"), format!("指向 {object} 的公开链接")),
        ),
    };
    Detection {
        summary,
        observed,
        expected: Sentence::new("customers' data stays inside", "客户数据应留在组织内部"),
        quiet: 12 * 3_600_000,
        ..PublicExposure::detection(event, severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BERLIN, DAY, event, fortnight, kept_promises, play_all, with, worst};

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<PublicExposure>(&serde_json::json!({"allowed_recipients": ["partner.example"]}))
            .expect("fits")
    }

    fn share(day: i64, user: &str, scope: &str, object: &str, recipient: &str) -> Event {
        let event = with(event(day * DAY + 600, user, BERLIN, "share", -1), Field::ShareScope, scope);
        let event = with(event, Field::ObjectType, object);
        if recipient.is_empty() { event } else { with(event, Field::ShareRecipient, recipient) }
    }

    fn after_a_fortnight(last: Event) -> Vec<Event> {
        fortnight("mia").into_iter().chain([last]).collect()
    }

    #[test]
    fn a_right_for_guests_is_high_a_report_outside_and_the_first_public_link_medium() {
        let right =
            with(event(15 * DAY, "ana", BERLIN, "permission-change", -1), Field::UserTargetName, "Portal Guest User");
        assert_eq!(worst(&kept_promises(&make, after_a_fortnight(right))), Some(Severity::High));
        let report = share(15, "mia", "external", "report", "x@elsewhere.example");
        assert_eq!(worst(&play_all(&make, after_a_fortnight(report))), Some(Severity::Medium));
        assert_eq!(
            worst(&play_all(&make, after_a_fortnight(share(15, "mia", "public", "file", "")))),
            Some(Severity::Medium)
        );
    }

    #[test]
    fn where_links_are_everyday_work_they_are_low_and_inside_or_to_a_partner_nothing() {
        let mut events: Vec<Event> =
            (0..14).map(|day| share(day, ["mia", "ben", "eva"][day as usize % 3], "public", "file", "")).collect();
        events.extend(fortnight("mia"));
        events.push(share(15, "tom", "public", "file", ""));
        let last = crate::scenario::START + 15 * 86_400_000;
        let late = play_all(&make, events).into_iter().filter(|one| one.time >= last).map(|one| one.severity).max();
        assert_eq!(late, Some(Severity::Low));
        assert_eq!(play_all(&make, vec![share(0, "mia", "internal", "report", "")]).len(), 0);
        assert_eq!(play_all(&make, vec![share(0, "mia", "external", "report", "a@Partner.example")]).len(), 0);
    }
}
