//! An account that nobody has used for long, or that should be locked, comes to life.
//!
//! # What it finds
//! A login of an account that was silent for 45 days or longer; and any successful action of somebody who has left by the people file, or whose account a
//! log says was disabled or deleted.
//!
//! # Why it matters
//! Nobody misses an account nobody uses. Old accounts keep old passwords, often without a second factor, and their owners do not
//! notice.
//!
//! # How it decides
//! Silence is measured from the last thing the account did successfully; accounts that were never seen are new, not dormant. After
//! silence a login from surroundings the account knows is low, from a strange network or with a new browser medium. Somebody is gone once the last day of
//! the people file is over; without a last day `disabled` counts only for accounts that were silent for a week before, so that old logs of people who have left since
//! are no alarm. An account that was disabled in the log is so until it is enabled. What somebody gone does is high.
//!
//! # False positives
//! Parental leave and long illness (low, from the own desk); somebody who was hired again and whom the people file does not know yet.
//!
//! # What to check
//! - Who is it? Ask the manager; if nobody knows, lock the account and end its sessions.
//! - Why was the account not locked when its owner left?
//!
//! # Settings
//! - `days` (45): how long an account must have been silent.

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use crate::brute_force_success::account_key;
use crate::detector::Context;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::keyed::Resident;
use crate::names::{of_actor, of_target, who};
use crate::person::Status;
use crate::watch::{Post, Watch};

const DAY: Millis = 86_400_000;
/// What goes on is told again this often.
const AGAIN: Millis = 600_000;
const QUIET: Millis = 12 * 3_600_000;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    days: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { days: 45 }
    }
}

/// What is remembered under a name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Account {
    /// When a log said it was disabled, and when enabled.
    disabled: Option<Millis>,
    enabled: Option<Millis>,
    told: Option<Millis>,
}

impl Resident for Account {
    fn rank(&self) -> u8 {
        1 + u8::from(self.disabled.is_some())
    }
}

/// See the file's head.
pub struct DormantAccount;

/// Why an account should do nothing any more.
enum Gone {
    Left,
    Disabled(Millis),
    Silent(f64),
}

impl Watch for DormantAccount {
    const ID: &'static str = "dormant-account";
    const SOURCE: &'static str = include_str!("dormant_account.rs");
    const SEVERITY: Severity = Severity::High;
    const TECHNIQUES: &'static [&'static str] = &["T1078"];
    const ACTIONS: &'static [&'static str] = &[
        "login",
        "view",
        "list",
        "search",
        "report-run",
        "export",
        "file-download",
        "api-call",
        "bulk-api",
        "update",
        "create",
        "delete",
        "token-create",
        "oauth-grant",
        "user-disable",
        "user-delete",
        "user-enable",
    ];
    type Settings = Settings;
    type State = Account;

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        if event.text(Field::EventOutcome) == Some("failure") {
            return;
        }
        let action = event.text(Field::EventAction).unwrap_or_default();
        if action.starts_with("user-") {
            for name in of_target(event) {
                let account = at.states.touch(&name, event.time);
                let moment = if action == "user-enable" { &mut account.enabled } else { &mut account.disabled };
                *moment = (*moment).max(Some(event.time));
            }
            return;
        }
        let Some(gone) = gone(at, event, action, context) else { return };
        let Some(key) = account_key(event) else { return };
        let account = at.states.touch(&key, event.time);
        if account.told.is_some_and(|told| told.abs_diff(event.time) < AGAIN as u64) {
            return;
        }
        account.told = Some(event.time);
        let view = context.view(event);
        let severity = match gone {
            Gone::Silent(_) if view.strange_network() || view.new_agent() => Severity::Medium,
            Gone::Silent(_) => Severity::Low,
            _ => Severity::High,
        };
        out.push(tell(event, severity, &gone));
    }
}

fn gone(at: &Post<'_, DormantAccount>, event: &Event, action: &str, context: &Context) -> Option<Gone> {
    if let Some(person) = &event.person {
        // Whoever works longer than planned is mostly still there the morning after; a day of grace.
        let over = person.last_day.and_then(|day| day.and_hms_opt(0, 0, 0)).map(|day| {
            DateTime::from_timestamp_millis(event.time).unwrap_or_default().naive_utc() >= day + chrono::Days::new(2)
        });
        let left = match (over, person.status) {
            (Some(over), _) => over,
            (None, Status::Disabled) => {
                let view = context.view(event);
                view.days_silent().is_none_or(|days| days >= 7.0) && view.organisation_days() >= 7.0
                    || at
                        .states
                        .get(&account_key(event)?)
                        .is_some_and(|account| account.told.is_some_and(|told| event.time.saturating_sub(told) < QUIET))
            }
            _ => false,
        };
        if left {
            return Some(Gone::Left);
        }
    }
    // Looking at records alone is too frequent to ask for every name each time; whoever comes back logs in or takes something.
    let looking = matches!(action, "view" | "list" | "search" | "report-run" | "update" | "create");
    if !looking && !at.states.is_empty() {
        for name in of_actor(event) {
            let Some(account) = at.states.get(&name) else { continue };
            if let Some(disabled) = account
                .disabled
                .filter(|disabled| *disabled < event.time && account.enabled.is_none_or(|enabled| enabled < *disabled))
            {
                return Some(Gone::Disabled(disabled));
            }
        }
    }
    if action == "login" {
        let silent = context.view(event).days_silent()?;
        return (silent >= f64::from(at.settings.days)).then_some(Gone::Silent(silent));
    }
    None
}

fn tell(event: &Event, severity: Severity, gone: &Gone) -> Detection {
    let who = who(event);
    let action = event.text(Field::EventAction).unwrap_or_default();
    let (summary, observed) = match gone {
        Gone::Left => (
            Sentence::new(
                format!("{who} has left according to the people file, and yet the account is in use"),
                format!("根据人员名单 {who} 已离职，但其账户仍在使用"),
            ),
            Sentence::new(format!("{action} by somebody who has left"), format!("已离职人员执行了 {action}")),
        ),
        Gone::Disabled(_) => (
            Sentence::new(
                format!("The account {who} was disabled, and yet it is in use"),
                format!("账户 {who} 已被停用，但仍在使用"),
            ),
            Sentence::new(format!("{action} after the account was disabled"), format!("账户停用之后执行了 {action}")),
        ),
        Gone::Silent(days) => (
            Sentence::new(
                format!("{who} logged in after {days:.0} days of silence"),
                format!("{who} 在沉寂 {days:.0} 天之后登录"),
            ),
            Sentence::new(format!("{days:.0} days without any action"), format!("{days:.0} 天没有任何操作")),
        ),
    };
    Detection {
        summary,
        observed,
        expected: Sentence::new("an account that nobody needs is not used", "无人需要的账户不应被使用"),
        window: (if let Gone::Disabled(at) = gone { *at } else { event.time - DAY }, event.time),
        quiet: QUIET,
        ..DormantAccount::detection(event, severity)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::person::Person;
    use crate::scenario::{
        BERLIN, DAY, FIREFOX, SAO_PAULO, Site, event, fortnight, kept_promises, play_all, with, worst,
    };

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<DormantAccount>(&serde_json::json!({})).expect("defaults fit")
    }

    fn after(days: i64, site: Site, agent: &str) -> Vec<Event> {
        let login = with(event((14 + days) * DAY, "mia", site, "login", -1), Field::UserAgent, agent);
        fortnight("mia").into_iter().chain([login]).collect()
    }

    fn person(mut event: Event, status: Status, last_day: Option<&str>) -> Event {
        let last_day = last_day.map(|day| day.parse().expect("a day"));
        event.person = Some(Arc::new(Person { user: "mia".into(), status, last_day, ..Person::default() }));
        event
    }

    #[test]
    fn a_stranger_with_an_account_of_two_months_ago_is_medium_and_its_owner_back_at_the_desk_low() {
        assert_eq!(worst(&kept_promises(&make, after(60, SAO_PAULO, FIREFOX))), Some(Severity::Medium));
        assert_eq!(worst(&play_all(&make, after(60, BERLIN, crate::scenario::CHROME))), Some(Severity::Low));
        assert_eq!(play_all(&make, after(20, SAO_PAULO, FIREFOX)).len(), 0, "a holiday");
        assert_eq!(play_all(&make, vec![event(0, "new", BERLIN, "login", -1)]).len(), 0, "somebody new");
    }

    #[test]
    fn somebody_who_has_left_is_high_from_the_day_after_and_not_before() {
        let at = |day: i64| person(event(day * DAY, "mia", BERLIN, "view", 1), Status::Disabled, Some("2026-03-11"));
        assert_eq!(worst(&kept_promises(&make, vec![at(9), at(11), at(14)])), Some(Severity::High));
        assert_eq!(play_all(&make, vec![at(8), at(9), at(10)]).len(), 0);
    }

    #[test]
    fn old_logs_of_somebody_who_has_left_since_are_no_alarm_but_a_return_is() {
        let disabled = |event: Event| person(event, Status::Disabled, None);
        let mut events: Vec<Event> = fortnight("mia").into_iter().map(disabled).collect();
        events.extend(fortnight("ben"));
        assert_eq!(play_all(&make, events.clone()).len(), 0);
        events.push(disabled(event(30 * DAY, "mia", BERLIN, "login", -1)));
        assert_eq!(worst(&play_all(&make, events)), Some(Severity::High));
    }

    #[test]
    fn a_disabled_account_that_acts_is_high_until_it_is_enabled() {
        let admin = |minute, action| with(event(minute, "admin", BERLIN, action, -1), Field::UserTargetName, "Mia");
        let story = vec![admin(0, "user-disable"), event(60, "mia", BERLIN, "export", 10)];
        assert_eq!(worst(&play_all(&make, story.clone())), Some(Severity::High));
        let enabled = [story, vec![admin(30, "user-enable")]].concat();
        assert_eq!(play_all(&make, enabled).len(), 0);
    }
}
