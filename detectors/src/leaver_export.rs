//! Somebody who is leaving takes out more than his work needs.
//!
//! # What it finds
//! Exports of a person who has given or received notice, or whose last day is near, beyond what that person used to take out in a day.
//!
//! # Why it matters
//! Most data that leaves with people leaves in their last weeks. The next employer gets the book of customers.
//!
//! # How it decides
//! The people file says who is leaving: status `notice` or `disabled`, or a last day within 60 days. What such a person exports, downloads
//! or reads by program within 24 hours is added up, reports looked at left out. From `records` on, and from half as much again as on the largest earlier day, more where few days
//! are known (twice after ten, 2.5 times after five; a fifth more where it is in more files than ever, twice then and five times otherwise at the first end of a month that is seen)
//! (one that was reported counts once two were), it is medium; ten times `records` and three times the largest day, or five times the largest day, is high. Those who have fewer than three
//! days with exports behind them are measured at three times `records`, and at ten times in an organisation's first fortnight. The limits lie below bulk-export's, because the reason is known.
//!
//! # False positives
//! A handover of accounts to a successor; the last month-end of somebody in accounting (its like of the month before makes it quiet).
//!
//! # What to check
//! - Which records, and to which device? Compare with what the handover needs.
//! - Speak with the manager and the personnel department before speaking with the person.
//!
//! # Settings
//! - `records` (1000): records within 24 hours.

use serde::{Deserialize, Serialize};

use crate::aftermath::records_taken;
use crate::bulk_export::judge::{A_MONTH, closing_days};
use crate::detector::Context;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::keyed::Resident;
use crate::names::who;
use crate::person::{Person, Status};
use crate::steps::{Step, Steps};
use crate::watch::{Post, Watch};
use crate::wording::figure;

const DAY: Millis = 86_400_000;
const NEAR_DAYS: u64 = 60;
const DAYS_KEPT: usize = 40;
const LEAST_DAYS: f64 = 14.0;
const FEW_DAYS: f64 = 5.0;
/// At a month's end, where none was seen yet.
const CLOSING: f64 = 5.0;

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

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Day {
    number: i64,
    amount: f64,
    /// Exports worth the name.
    files: u32,
    told: bool,
}

/// What is remembered of somebody who is leaving.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Leaver {
    steps: Steps,
    days: Vec<Day>,
    told: Option<(Millis, f64, u8)>,
}

impl Resident for Leaver {}

/// See the file's head.
pub struct LeaverExport;

fn is_leaving(person: &Person, time: Millis) -> bool {
    let today = chrono::DateTime::from_timestamp_millis(time).unwrap_or_default().date_naive();
    let near = person.last_day.map(|last| last <= today + chrono::Days::new(NEAR_DAYS));
    near.unwrap_or(person.status != Status::Active)
}

impl Watch for LeaverExport {
    const ID: &'static str = "leaver-export";
    const SOURCE: &'static str = include_str!("leaver_export.rs");
    const SEVERITY: Severity = Severity::Medium;
    const TECHNIQUES: &'static [&'static str] = &["T1567", "T1048"];
    const ACTIONS: &'static [&'static str] = &["export", "bulk-api", "api-call", "file-download", "print"];
    const CAPACITY: usize = 20_000;
    type Settings = Settings;
    type State = Leaver;

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        let Some(person) = event.person.as_deref().filter(|person| is_leaving(person, event.time)) else { return };
        let Some(records) = records_taken(event, context) else { return };
        let leaver = at.states.touch(&person.user.to_lowercase(), event.time);
        leaver.steps.add(Step::of(event, records, event.text(Field::ObjectType).unwrap_or_default()));
        let number = event.time.div_euclid(DAY);
        let file = u32::from(records >= at.settings.records / 4.0);
        match leaver.days.iter_mut().find(|day| day.number == number) {
            Some(day) => {
                day.amount += records;
                day.files += file;
            }
            None => {
                leaver.days.push(Day { number, amount: records, files: file, told: false });
                leaver.days.sort_by_key(|day| day.number);
                if leaver.days.len() > DAYS_KEPT {
                    leaver.days.remove(0);
                }
            }
        }
        let window: Vec<&Step> = leaver.steps.fullest(event.time, DAY);
        let amount: f64 = window.iter().map(|step| step.amount).sum();
        // What was told on two days is known.
        let told = leaver.days.iter().filter(|day| day.told && day.number < number - 1).count() >= 2;
        let earlier = leaver.days.iter().filter(|day| day.number < number - 1 && (told || !day.told));
        let (count, top, most) = earlier
            .fold((0u32, 0.0, 0), |(count, top, most), day| (count + 1, day.amount.max(top), day.files.max(most)));
        // Whose exports are not known yet may export much as his work; in a company that is new here nobody's are.
        let watched = context.view(event).organisation_days() >= LEAST_DAYS;
        let floor = at.settings.records
            * match (count >= 3, watched) {
                (true, _) => 1.0,
                (false, true) => 3.0,
                (false, false) => 10.0,
            };
        // The fewer days are known, the likelier the next one is larger than all. More files than ever are another matter.
        let files = window.iter().filter(|step| step.amount >= at.settings.records / 4.0).count();
        let many = amount >= 2.0 * floor && files >= 3 && files as f64 >= 1.5 * f64::from(most);
        let closing = closing_days(event) && context.view(event).organisation_days() < A_MONTH && count > 0;
        let times = match (many, closing) {
            (true, true) => 2.0,
            (false, true) => CLOSING,
            (true, false) => 1.2,
            (false, false) => 1.5 + FEW_DAYS / f64::from(count.max(1)),
        };
        if amount < floor || amount < times * top {
            return;
        }
        let much = (amount >= 10.0 * at.settings.records && amount >= 3.0 * top)
            || (top > 0.0 && amount >= (5.0 * top).max(4.0 * floor));
        let severity = if much { Severity::High } else { Severity::Medium };
        let again = leaver.told.is_none_or(|(told, before, worst)| {
            told.abs_diff(event.time) >= 600_000 || amount >= 1.5 * before || severity as u8 > worst
        });
        if again {
            let evidence = window.iter().map(|step| step.reference).filter(|one| one.id != event.id).collect();
            let from = window.first().map_or(event.time, |step| step.time);
            out.push(tell(event, severity, amount, top, floor).resting_on(evidence, from, event.time));
            leaver.told = Some((event.time, amount, severity as u8));
        }
        leaver.days.iter_mut().filter(|day| day.number >= number - 1).for_each(|day| day.told = true);
    }
}

fn tell(event: &Event, severity: Severity, amount: f64, top: f64, floor: f64) -> Detection {
    let who = who(event);
    let (taken, usual) = (figure(amount), figure(top.max(floor)));
    Detection {
        summary: Sentence::new(
            format!("{who}, who is leaving, took out {taken} records within 24 hours"),
            format!("即将离职的 {who} 在 24 小时内导出 {taken} 条记录"),
        ),
        observed: Sentence::new(format!("{taken} records within 24 hours"), format!("24 小时内 {taken} 条记录")),
        expected: Sentence::new(
            format!("no more than {usual} a day, as so far"),
            format!("与以往相同，每天不超过 {usual} 条"),
        ),
        quiet: 12 * 3_600_000,
        parts: vec![("records", amount), ("largest day before", top)],
        ..LeaverExport::detection(event, severity)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::scenario::{BERLIN, DAY as DAY_MINUTES, event, kept_promises, play_all, worst};

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<LeaverExport>(&serde_json::json!({})).expect("defaults fit")
    }

    fn export(minute: i64, records: i64, status: Status, last_day: Option<&str>) -> Event {
        let mut event = event(minute, "leo", BERLIN, "export", records);
        let last_day = last_day.map(|day| day.parse().expect("a day"));
        event.person = Some(Arc::new(Person { user: "leo".into(), status, last_day, ..Person::default() }));
        event
    }

    /// A weekly list of some hundred records, then what is asked.
    fn story(last: &[i64], status: Status) -> Vec<Event> {
        let weekly = (0..4).map(|week| export(week * 7 * DAY_MINUTES + 600, 400, status, None));
        let last =
            last.iter().enumerate().map(|(nth, records)| export(30 * DAY_MINUTES + nth as i64, *records, status, None));
        weekly.chain(last).collect()
    }

    #[test]
    fn a_farewell_export_is_found_far_below_what_others_may_take() {
        assert_eq!(worst(&kept_promises(&make, story(&[900, 1_000, 500], Status::Notice))), Some(Severity::Medium));
        let found = kept_promises(&make, story(&[2_500, 4_000, 6_000], Status::Notice));
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::High)));
        assert!(found[0].summary.en.contains("12,500"), "{}", found[0].summary.en);
    }

    #[test]
    fn the_list_of_every_week_and_the_same_export_of_somebody_who_stays_are_nothing() {
        assert_eq!(play_all(&make, story(&[700], Status::Notice)).len(), 0);
        assert_eq!(play_all(&make, story(&[9_000], Status::Active)).len(), 0);
    }

    #[test]
    fn a_last_day_that_is_near_makes_a_leaver_and_one_next_year_does_not() {
        let of = |last_day| play_all(&make, vec![export(0, 12_000, Status::Active, Some(last_day))]).len();
        assert_eq!([of("2026-03-31"), of("2027-03-31")], [1, 0]);
    }
}
