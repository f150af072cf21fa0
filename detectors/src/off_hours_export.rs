//! An export, or an administrator's changes, at an hour at which this person never works.
//!
//! # What it finds
//! A thousand or more records exported within an hour, in the middle of the night or on a weekend, by somebody who never works then; and rights, keys,
//! accounts or auditing changed then.
//!
//! # Why it matters
//! What nobody is to see is done when nobody is there; and a stolen account is used in the thief's day, which is elsewhere.
//!
//! # How it decides
//! For each person the hours of the day with activity are counted, weekdays and weekends apart, in the zone of the people file (in UTC without one:
//! one's own habit shifts with it). An hour is foreign where it and the three hours before and after it together hold less than four in a thousand of the
//! person's active hours, so working late is not foreign, and who has once worked at that time is not found. It takes thirty active hours on five days to know that of
//! an hour; of the dead of night, where the people file tells the person's zone, twelve: that a person sleeps then is known beforehand. Exports, downloads and reads by program within
//! the hour are added up; from `records` on it is low on an evening or a weekend's day, medium at night (22 to 6) if it is more than one export or three times `records`, and high from a network that is strange to the person. An export whose size no log tells
//! counts as 500. Changes of rights, keys, accounts, second factors or auditing are counted apart: two within an hour at night are medium, as is one from a strange network, two from there high, any other low.
//! Programs work at night and are left out.
//!
//! # False positives
//! An emergency; a person in another time zone for the first time; the first night shift.
//!
//! # What to check
//! - Ask the person whether it was he.
//! - Compare the address with where he is: see impossible-travel and first-seen-risk.
//!
//! # Settings
//! - `records` (1000): records within an hour.

use serde::{Deserialize, Serialize};

use crate::aftermath::records_taken;
use crate::brute_force_success::account_key;
use crate::detector::Context;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::keyed::Resident;
use crate::names::who;
use crate::steps::{Step, Steps};
use crate::watch::{Post, Watch};
use crate::wording::figure;

const HOUR: Millis = 3_600_000;
/// A foreign hour and those around it hold less of the active hours than this: of two hundred hours not one.
const RARE: f64 = 0.004;

/// Active hours from which on it is known of any hour that it is foreign.
const ENOUGH_HOURS: f64 = 30.0;

/// What an administrator's night is judged by.
const CHANGES: [&str; 8] = [
    "permission-change",
    "token-create",
    "user-create",
    "mfa-removed",
    "audit-disable",
    "integration-install",
    "oauth-grant",
    "login-as",
];

/// So many times the limit is much, at once or not.
const MUCH: f64 = 3.0;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    records: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { records: 1_000.0 }
    }
}

/// What somebody took out in foreign hours.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Night {
    steps: Steps,
    told: Option<(Millis, f64)>,
    changes: Steps,
}

impl Resident for Night {}

/// See the file's head.
pub struct OffHoursExport;

impl Watch for OffHoursExport {
    const ID: &'static str = "off-hours-export";
    const SOURCE: &'static str = include_str!("off_hours_export.rs");
    const SEVERITY: Severity = Severity::Medium;
    const TECHNIQUES: &'static [&'static str] = &["T1567", "T1078"];
    const ACTIONS: &'static [&'static str] = &[
        "export",
        "bulk-api",
        "api-call",
        "file-download",
        CHANGES[0],
        CHANGES[1],
        CHANGES[2],
        CHANGES[3],
        CHANGES[4],
        CHANGES[5],
        CHANGES[6],
        CHANGES[7],
    ];
    const CAPACITY: usize = 50_000;
    type Settings = Settings;
    type State = Night;

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        let program = event.person.as_ref().is_some_and(|person| person.is_program());
        let change = event.text(Field::EventAction).filter(|action| CHANGES.contains(action));
        if change.is_some() && event.text(Field::EventOutcome) == Some("failure") {
            return;
        }
        let taken = if change.is_some() { Some(0.0) } else { records_taken(event, context) };
        let (Some(key), Some(records)) = (account_key(event).filter(|_| !program), taken) else { return };
        let view = context.view(event);
        let Some((near, hours)) = view.hours_near(3) else { return };
        let share = near / hours.max(1.0);
        // Of somebody whose zone is not known any hour may be night, and of an evening nobody knows beforehand.
        let asleep = view.night() == Some(true);
        if share >= RARE || (hours < ENOUGH_HOURS && !asleep) {
            return;
        }
        // An account that has only come with scripts is a program, whatever the people file says.
        if matches!(event.text(Field::UserAgentDevice), Some("script")) && !view.new_agent() {
            return;
        }
        let night = at.states.touch(&key, event.time);
        let strange = view.mature() && view.strange_network();
        if let Some(change) = change {
            night.changes.add(Step::of(event, 0.0, change));
            let window = night.changes.fullest(event.time, HOUR);
            out.push(tell_changes(event, &window, strange, view.night() != Some(false)));
            return;
        }
        night.steps.add(Step::of(event, records, event.text(Field::ObjectType).unwrap_or_default()));
        let window = night.steps.fullest(event.time, HOUR);
        let amount: f64 = window.iter().map(|step| step.amount).sum();
        let again =
            night.told.is_none_or(|(told, before)| told.abs_diff(event.time) >= 600_000 || amount >= 1.5 * before);
        if amount < at.settings.records || !again {
            return;
        }
        let evidence = window.iter().map(|step| step.reference).filter(|one| one.id != event.id).collect();
        let from = window.first().map_or(event.time, |step| step.time);
        // One list finished late is overtime; a session of taking out is not.
        let exports = window.iter().filter(|step| step.amount >= at.settings.records / 4.0).count();
        let much = exports >= 2 || amount >= MUCH * at.settings.records;
        // Where nobody knows the zone, any hour may be night.
        let dead_of_night = view.night() != Some(false) && much;
        let severity = match (strange, dead_of_night) {
            (true, _) => Severity::High,
            (false, true) => Severity::Medium,
            (false, false) => Severity::Low,
        };
        out.push(tell(event, severity, amount, share).resting_on(evidence, from, event.time));
        night.told = Some((event.time, amount));
    }
}

/// The time where the person works, as far as that is known.
fn local_time(event: &Event) -> String {
    let zone = event.person.as_ref().and_then(|person| person.timezone);
    let utc = chrono::DateTime::from_timestamp_millis(event.time).unwrap_or_default();
    match zone {
        Some(zone) => format!("{} ({zone})", utc.with_timezone(&zone).format("%a %H:%M")),
        None => format!("{} (UTC)", utc.format("%a %H:%M")),
    }
}

fn tell_changes(event: &Event, window: &[&Step], strange: bool, night: bool) -> Detection {
    let (who, local) = (who(event), local_time(event));
    let mut kinds: Vec<&str> = window.iter().map(|step| &*step.words).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let (count, kinds) = (window.len(), kinds.join(", "));
    let severity = match (strange, night && count >= 2) {
        (true, true) => Severity::High,
        (true, false) | (false, true) => Severity::Medium,
        (false, false) => Severity::Low,
    };
    let evidence = window.iter().map(|step| step.reference).filter(|one| one.id != event.id).collect();
    let from = window.first().map_or(event.time, |step| step.time);
    let detection = OffHoursExport::detection(event, severity).resting_on(evidence, from, event.time);
    Detection {
        summary: Sentence::new(
            format!("{who} made changes as an administrator does ({kinds}) at {local}, when this person never works"),
            format!("{who} 在从不工作的时间（{local}）进行了管理类更改（{kinds}）"),
        ),
        observed: Sentence::new(
            format!("{count} changes within an hour: {kinds}"),
            format!("一小时内 {count} 项更改：{kinds}"),
        ),
        expected: Sentence::new("changes in the hours in which this person works", "更改应发生在该人员的工作时间内"),
        quiet: 12 * HOUR,
        parts: vec![("changes", count as f64)],
        ..detection
    }
}

fn tell(event: &Event, severity: Severity, amount: f64, share: f64) -> Detection {
    let (who, local) = (who(event), local_time(event));
    let taken = figure(amount);
    Detection {
        summary: Sentence::new(
            format!("{who} took out {taken} records at {local}, when this person never works"),
            format!("{who} 在从不工作的时间（{local}）导出 {taken} 条记录"),
        ),
        observed: Sentence::new(format!("{taken} records within an hour"), format!("一小时内 {taken} 条记录")),
        expected: Sentence::new(
            format!("{:.1} % of this person's active hours lie around that time", share * 100.0),
            format!("该人员的活动时间仅有 {:.1}% 在此时段附近", share * 100.0),
        ),
        quiet: 12 * HOUR,
        parts: vec![("records", amount), ("share of hours", share)],
        ..OffHoursExport::detection(event, severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BERLIN, DAY, SAO_PAULO, Site, event, fortnight, kept_promises, play_all, worst};

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<OffHoursExport>(&serde_json::json!({})).expect("defaults fit")
    }

    /// Exports at an hour of the fifteenth day, a Tuesday.
    fn story(hour: i64, site: Site, records: &[i64]) -> Vec<Event> {
        let at = 15 * DAY + hour * 60;
        let exports = records
            .iter()
            .enumerate()
            .map(|(nth, records)| event(at + nth as i64 * 5, "mia", site, "export", *records));
        fortnight("mia").into_iter().chain(exports).collect()
    }

    #[test]
    fn an_export_at_three_in_the_morning_is_medium_and_from_elsewhere_high() {
        let found = kept_promises(&make, story(2, BERLIN, &[600, 700]));
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::Medium)));
        assert!(found[0].summary.en.contains("1,300 records at Tue 02:05 (UTC)"), "{}", found[0].summary.en);
        assert_eq!(worst(&play_all(&make, story(2, SAO_PAULO, &[2_000]))), Some(Severity::High));
    }

    #[test]
    fn working_late_a_small_list_at_night_and_a_night_worker_are_nothing() {
        assert_eq!(play_all(&make, story(17, BERLIN, &[5_000])).len(), 0);
        assert_eq!(play_all(&make, story(2, BERLIN, &[300])).len(), 0);
        let mut owl: Vec<Event> = (0..14).map(|day| event(day * DAY + 120, "mia", BERLIN, "view", 1)).collect();
        owl.extend(story(2, BERLIN, &[5_000]));
        assert_eq!(play_all(&make, owl).len(), 0);
    }

    #[test]
    fn in_the_first_days_nobody_s_hours_are_known() {
        assert_eq!(play_all(&make, story(2, BERLIN, &[5_000]).split_off(40)).len(), 0);
    }

    #[test]
    fn of_somebody_seen_for_few_hours_the_dead_of_night_is_foreign_where_his_zone_is_known() {
        let zoned = |mut event: Event, zone: Option<chrono_tz::Tz>| {
            event.person =
                Some(std::sync::Arc::new(crate::Person { user: "mia".into(), timezone: zone, ..Default::default() }));
            event
        };
        let night = |zone| {
            // Two hours on each of nine days.
            let work = crate::scenario::office(0..9, "mia", BERLIN, 240);
            let exports = (0..2).map(|nth| event(9 * DAY + 120 + nth * 5, "mia", BERLIN, "export", 900));
            let events: Vec<Event> = work.into_iter().chain(exports).map(|event| zoned(event, zone)).collect();
            worst(&play_all(&make, events))
        };
        assert_eq!(night(Some(chrono_tz::Europe::Berlin)), Some(Severity::Medium));
        assert_eq!(night(None), None, "any hour may be the night of somebody whose zone is not known");
    }

    #[test]
    fn exports_whose_size_no_log_tells_are_found_by_their_number() {
        assert_eq!(worst(&play_all(&make, story(2, BERLIN, &[-1, -1]))), Some(Severity::Medium));
        assert_eq!(play_all(&make, story(2, BERLIN, &[-1])).len(), 0);
    }

    #[test]
    fn an_administrator_s_changes_at_night_are_medium_together_and_one_is_a_line_in_the_record() {
        let changes = |hour: i64, site: Site, actions: &[&str]| {
            let at = 15 * DAY + hour * 60;
            let changes =
                actions.iter().enumerate().map(|(nth, action)| event(at + nth as i64, "mia", site, action, -1));
            fortnight("mia").into_iter().chain(changes).collect::<Vec<_>>()
        };
        let both = ["permission-change", "token-create"];
        let found = kept_promises(&make, changes(2, BERLIN, &both));
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::Medium)));
        assert!(found[0].summary.en.contains("permission-change, token-create"), "{}", found[0].summary.en);
        assert_eq!(worst(&play_all(&make, changes(2, BERLIN, &both[..1]))), Some(Severity::Low));
        assert_eq!(worst(&play_all(&make, changes(2, SAO_PAULO, &both))), Some(Severity::High));
        assert_eq!(play_all(&make, changes(11, BERLIN, &both)).len(), 0);
    }
}
