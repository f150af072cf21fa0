//! The promises of `bulk-export`, told as short stories.

use proptest::prelude::*;

use super::*;
use crate::person::{Person, Status};
use crate::scenario::DAY;
use crate::scenario::*;

const MINUTES: i64 = 60;

fn bulk() -> Box<dyn Detector> {
    BulkExport::build(&serde_json::json!({})).expect("defaults fit")
}

fn found(events: Vec<Event>) -> Vec<crate::Finding> {
    play(bulk(), events)
}

/// Working days of a small company: everybody exports a little and pages through lists; nobody ever above 500 records.
fn company(days: std::ops::Range<i64>) -> Vec<Event> {
    let mut events = Vec::new();
    for day in days {
        if day % 7 >= 5 {
            continue;
        }
        for number in 0..12i64 {
            let user = format!("user{number}");
            let morning = day * DAY + 8 * MINUTES + number * 3;
            for turn in 0..16 {
                events.push(event(morning + turn * 29, &user, BERLIN, "list", 25));
            }
            if (day + number) % 3 == 0 {
                events.push(event(morning + 95, &user, BERLIN, "export", 40 + (number * 37 + day * 11) % 400));
            }
        }
    }
    events
}

fn script(minute: i64, user: &str, records: i64) -> Event {
    with(event(minute, user, DUBLIN_CLOUD, "bulk-api", records), Field::UserAgentDevice, "script")
}

fn on(events: &[crate::Finding]) -> Vec<i64> {
    let mut days: Vec<i64> = events.iter().map(|finding| (finding.time - START).div_euclid(DAY * 60_000)).collect();
    days.sort_unstable();
    days
}

#[test]
fn a_company_at_work_is_silent_from_the_first_day() {
    assert!(found(company(0..28)).is_empty());
}

#[test]
fn twenty_thousand_records_in_an_hour_are_found_and_explained() {
    let mut events = company(0..8);
    events.push(event(7 * DAY + 10 * MINUTES, "user3", BERLIN, "export", 20_000));
    let findings = found(events);
    assert_eq!(findings.len(), 1);
    let finding = &findings[0];
    assert_eq!(finding.severity, Severity::High);
    assert_eq!(finding.primary_value(), "user3");
    assert!(finding.summary.en.starts_with("user3 took about 20,0"), "{}", finding.summary.en);
    assert!(finding.summary.en.contains("2026-03-09 10:00 UTC"), "{}", finding.summary.en);
    assert!(finding.summary.zh.contains("条记录"));
    assert!(finding.parts.iter().any(|(name, points)| &**name == "amount beyond own habit" && *points > 3.0));
}

#[test]
fn a_new_company_has_value_on_its_first_afternoon() {
    let mut events = company(0..1);
    events.push(event(15 * MINUTES, "user3", BERLIN, "export", 80_000));
    assert_eq!(found(events).len(), 1);
}

#[test]
fn a_first_somewhat_larger_export_is_silent_and_one_of_a_wholly_other_size_is_not() {
    let with_one_of = |records| {
        let mut events = company(0..28);
        events.push(event(22 * DAY + 9 * MINUTES, "user3", BERLIN, "export", records));
        found(events).len()
    };
    assert_eq!([1_300, 6_000].map(with_one_of), [0, 1]);
}

#[test]
fn a_report_split_into_many_small_exports_is_found() {
    let mut events = company(0..8);
    events.extend((0..80).map(|turn| event(7 * DAY + 9 * MINUTES + turn, "user3", BERLIN, "export", 100)));
    let findings = found(events);
    assert_eq!(findings.len(), 1);
    assert!(findings[0].evidence.count() >= 20, "{}", findings[0].evidence.count());
}

#[test]
fn exports_whose_size_nobody_logged_are_found_by_their_number() {
    let mut events = company(0..8);
    events.extend((0..40).map(|turn| event(7 * DAY + 9 * MINUTES + turn, "user3", BERLIN, "export", -1)));
    assert_eq!(found(events).len(), 1);
}

#[test]
fn a_file_of_megabytes_counts_by_its_bytes() {
    let mut events = company(0..8);
    let mut file = with(event(7 * DAY + 9 * MINUTES, "user3", BERLIN, "file-download", -1), Field::FileName, "all.csv");
    file.set_integer(Field::HttpResponseBytes, 9_000_000);
    events.push(file);
    assert_eq!(found(events).len(), 1);
}

#[test]
fn paging_through_everything_is_found_like_exporting_it() {
    let mut events = company(0..8);
    events.extend((0..300).map(|turn| event(7 * DAY + 9 * MINUTES + turn / 6, "user3", BERLIN, "list", 200)));
    assert_eq!(found(events).len(), 1);
}

#[test]
fn failed_exports_take_nothing_out() {
    let mut events = company(0..8);
    let failed = event(7 * DAY + 9 * MINUTES, "user3", BERLIN, "export", 50_000);
    events.push(with(failed, Field::EventOutcome, "failure"));
    assert!(found(events).is_empty());
}

#[test]
fn a_nightly_integration_is_silent_below_the_ceiling_and_from_the_third_night_above_it() {
    let mut events = company(0..20);
    events.extend((0..20).map(|day| script(day * DAY + 2 * MINUTES + day % 5, "sync", 30_000 + day * 50)));
    assert!(found(events).is_empty());
    let mut events = company(0..20);
    events.extend((0..20).map(|day| script(day * DAY + 2 * MINUTES + day % 5, "sync", 150_000 + day * 50)));
    assert_eq!(on(&found(events)), [0, 1]);
}

#[test]
fn an_integration_that_suddenly_takes_twenty_times_as_much_is_found() {
    let mut events = company(0..20);
    events.extend((0..20).map(|day| script(day * DAY + 2 * MINUTES, "sync", 3_000 + day * 10)));
    events.push(script(19 * DAY + 14 * MINUTES, "sync", 60_000));
    assert_eq!(on(&found(events)), [19]);
}

#[test]
fn a_month_end_is_silent_from_the_second_month() {
    let mut events = company(0..95);
    for month in 1..=3 {
        events.push(event(month * 30 * DAY + 9 * MINUTES, "user3", BERLIN, "export", 15_000 + month * 300));
    }
    assert_eq!(on(&found(events)), [30]);
}

fn of_role(mut event: Event, role: &str, status: Status) -> Event {
    let user = event.text(Field::UserName).unwrap_or_default().into();
    event.person = Some(Arc::new(Person { user, role: Some(role.into()), status, ..Person::default() }));
    event
}

fn analysts(days: std::ops::Range<i64>) -> Vec<Event> {
    days.flat_map(|day| (0..6i64).map(move |number| (day, number)))
        .map(|(day, number)| {
            let records = 2_000 + (number * 311 + day * 97) % 900;
            event(day * DAY + 9 * MINUTES + number * 7, &format!("analyst{number}"), BERLIN, "export", records)
        })
        .map(|event| of_role(event, "analyst", Status::Active))
        .collect()
}

#[test]
fn a_new_joiner_who_does_what_his_peers_do_is_silent_and_a_leaver_is_watched_closer() {
    let mut events = company(0..20);
    events.extend(analysts(0..20));
    let joiner = event(19 * DAY + 11 * MINUTES, "joiner", BERLIN, "export", 2_500);
    events.push(of_role(joiner.clone(), "analyst", Status::Active));
    assert!(found(events.clone()).is_empty());
    // The same amount is much where the role does not do such things.
    events.pop();
    let mut elsewhere = company(0..20);
    elsewhere.push(of_role(
        event(18 * DAY + 11 * MINUTES, "user3", BERLIN, "export", 3_000),
        "assistant",
        Status::Notice,
    ));
    assert_eq!(found(elsewhere).len(), 1);
}

#[test]
fn the_first_export_of_somebody_whose_peers_take_out_the_like_is_silent() {
    let mut events = company(0..12);
    // Analysts who look at lists every day and take out a few thousand now and then, each on days of his own.
    for number in 0..12i64 {
        let user = format!("analyst{number}");
        for day in 0..12 {
            let morning = day * DAY + 9 * MINUTES + number;
            events.extend(
                (0..6).map(|turn| {
                    of_role(event(morning + turn * 50, &user, BERLIN, "list", 25), "analyst", Status::Active)
                }),
            );
            if number > 0 && (day + number) % 6 == 0 {
                let export = event(morning + 20, &user, BERLIN, "export", 4_000 + number * 300);
                events.push(of_role(export, "analyst", Status::Active));
            }
        }
    }
    let late = |records| {
        let mut events = events.clone();
        let export = event(11 * DAY + 10 * MINUTES, "analyst0", BERLIN, "export", records);
        events.push(of_role(export, "analyst", Status::Active));
        found(events).iter().filter(|finding| finding.primary_value() == "analyst0").count()
    };
    assert_eq!([5_000, 60_000].map(late), [0, 1]);
}

#[test]
fn in_the_first_days_an_export_of_some_thousands_is_silent_and_one_of_many_is_not() {
    let first_week = |records| {
        let mut events: Vec<Event> = (0..4)
            .flat_map(|copy| company(0..3).into_iter().map(move |event| (copy, event)))
            .map(|(copy, event)| {
                let user = format!("{}-{copy}", event.text(Field::UserName).unwrap_or_default());
                with(event, Field::UserName, &user)
            })
            .collect();
        events.push(event(2 * DAY + 14 * MINUTES, "user3-0", BERLIN, "export", records));
        found(events).len()
    };
    assert_eq!([4_500, 30_000].map(first_week), [0, 1]);
}

#[test]
fn a_leaver_who_goes_on_with_his_work_is_silent() {
    let leaver = |events: Vec<Event>| events.into_iter().map(|event| of_role(event, "analyst", Status::Notice));
    let mut events = company(0..20);
    events.extend(leaver(
        (0..18).map(|day| event(day * DAY + 9 * MINUTES, "user30", BERLIN, "export", 2_000 + day * 7)).collect(),
    ));
    events.extend(leaver(vec![event(18 * DAY + 9 * MINUTES, "user30", BERLIN, "export", 2_700)]));
    assert!(found(events.clone()).is_empty());
    events.extend(leaver(vec![event(19 * DAY + 9 * MINUTES, "user30", BERLIN, "export", 25_000)]));
    assert_eq!(on(&found(events)), [19]);
}

#[test]
fn whoever_takes_out_much_as_his_work_is_measured_by_the_largest_he_has_taken() {
    let after = |records| {
        let mut events = company(0..20);
        events.extend((0..18).map(|day| {
            let usual = [6_000, 2_500, 14_000, 4_000, 9_000, 3_000][day as usize % 6];
            event(day * DAY + 9 * MINUTES, "user30", BERLIN, "export", usual)
        }));
        events.push(event(18 * DAY + 9 * MINUTES, "user30", BERLIN, "export", records));
        found(events).iter().filter(|finding| finding.primary_value() == "user30").count()
    };
    assert_eq!([32_000, 90_000].map(after), [0, 1]);
}

#[test]
fn a_migration_by_a_listed_exporter_is_silent() {
    let mut events = company(0..8);
    events.extend((0..50).map(|turn| event(7 * DAY + turn * 2, "Migration", BERLIN, "export", 10_000)));
    assert_eq!(found(events.clone())[0].severity, Severity::Critical);
    let settings = serde_json::json!({"expected_exporters": ["migration"]});
    assert!(play(BulkExport::build(&settings).expect("settings fit"), events).is_empty());
}

#[test]
fn an_inferred_user_is_never_more_than_medium() {
    let mut events = company(0..8);
    let mut export = event(7 * DAY + 9 * MINUTES, "user3", BERLIN, "export", 90_000);
    export.set_bool(Field::UserInferred, true);
    events.push(export);
    assert_eq!(found(events)[0].severity, Severity::Medium);
}

#[test]
fn an_attack_does_not_teach_that_attacks_are_normal() {
    let mut events = company(0..12);
    for day in [7, 9] {
        events.push(event(day * DAY + (9 + day) * MINUTES, "user3", BERLIN, "export", 12_000));
    }
    assert_eq!(on(&found(events)), [7, 9]);
}

#[test]
fn what_was_told_on_two_days_is_told_again_only_when_it_grows() {
    let mut events = company(0..20);
    for (day, records) in [(7, 12_000), (9, 13_000), (11, 12_500), (14, 30_000)] {
        events.push(event(day * DAY + (9 + day) * MINUTES, "user3", BERLIN, "export", records));
    }
    assert_eq!(on(&found(events)), [7, 9, 14]);
}

#[test]
fn an_interface_read_out_by_a_person_s_own_script_is_found_on_the_first_day() {
    let mut events = company(0..8);
    // Whose ordinary work a web server wrote down, without numbers of records.
    events.extend(
        (0..8)
            .flat_map(|day| (0..20).map(move |turn| day * DAY + 9 * MINUTES + turn * 11))
            .map(|minute| with(event(minute, "user30", BERLIN, "view", -1), Field::UserAgentDevice, "desktop")),
    );
    events.extend((0..100).map(|turn| {
        let call = event(7 * DAY + 10 * MINUTES + turn / 50, "user30", BERLIN, "api-call", 500);
        with(call, Field::UserAgentDevice, "script")
    }));
    assert_eq!(on(&found(events)), [7]);
}

fn page(minute: i64, user: &str, number: i64) -> Event {
    let mut page = with(event(minute, user, BERLIN, "list", -1), Field::UrlQuery, &format!("page={number}"));
    page.set_integer(Field::HttpResponseBytes, 17_500);
    page
}

#[test]
fn pages_turned_faster_than_anybody_reads_are_found_and_a_list_that_refreshes_itself_is_not() {
    let mut events = company(0..8);
    events.extend((0..400).map(|turn| page(7 * DAY + 9 * MINUTES + turn / 20, "user3", turn)));
    assert_eq!(found(events).len(), 1);
    let mut events = company(0..8);
    events.extend((0..400).map(|turn| page(7 * DAY + 9 * MINUTES + turn, "user3", 1)));
    assert!(found(events).is_empty());
}

#[test]
fn what_is_read_and_written_back_is_worked_on_and_a_change_beforehand_excuses_nothing() {
    let step = |minute, action| event(minute, "user3", BERLIN, action, 1_000);
    let mut migration = company(0..8);
    for turn in 0..120 {
        migration.push(step(7 * DAY + 9 * MINUTES + turn, "api-call"));
        migration.push(step(7 * DAY + 9 * MINUTES + turn, "update"));
    }
    migration.iter_mut().filter(|event| event.text(Field::EventAction) == Some("api-call")).for_each(|event| {
        event.set(Field::UserAgentDevice, "script");
    });
    assert!(found(migration).is_empty());
    let mut theft = company(0..8);
    theft.push(event(7 * DAY + 9 * MINUTES, "user3", BERLIN, "update", 100_000));
    theft.push(event(7 * DAY + 9 * MINUTES + 5, "user3", BERLIN, "export", 50_000));
    assert_eq!(found(theft).len(), 1);
}

#[test]
fn an_account_the_people_file_calls_an_integration_is_judged_as_a_program() {
    let nightly = |role: &'static str| {
        let mut events = company(0..8);
        events.extend((0..3).map(|day| {
            let job = event(day * DAY + 2 * MINUTES, "sync", DUBLIN_CLOUD, "export", 40_000);
            of_role(with(job, Field::UserAgent, "okhttp/4.12.0"), role, Status::Active)
        }));
        found(events).len()
    };
    assert_eq!(nightly("integration"), 0);
    assert!(nightly("assistant") > 0);
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let problem = BulkExport::build(&serde_json::json!({"floor": 3})).err().expect("refused").to_string();
    assert!(problem.contains("floor_records_per_hour"), "{problem}");
}

#[test]
fn months_of_exports_by_one_user_stays_small() {
    let mut detector = bulk();
    let mut saved = BTreeMap::new();
    for turn in 0..40_000i64 {
        let event = event(turn * 5, "mia", BERLIN, "export", 90 + turn % 20);
        let context = Context::new(event.time - 600_000, None);
        detector.observe(&event, &context, &mut Vec::new());
    }
    saved.extend(detector.changes().into_iter().map(|change| (change.key, change.value)));
    let size = saved["x/user:mia"].as_ref().map_or(0, Vec::len);
    assert!(size > 500 && size < 12_000, "{size}");
}

fn a_lively_fortnight() -> Vec<Event> {
    let mut events = company(0..12);
    events.extend((0..12).map(|day| script(day * DAY + 2 * MINUTES, "sync", 30_000)));
    events.extend((0..40).map(|turn| event(8 * DAY + 9 * MINUTES + turn, "user3", BERLIN, "export", 900)));
    events.push(event(10 * DAY + 9 * MINUTES, "user5", BERLIN, "export", 40_000));
    events.sort_by_key(|event| (event.time, event.id));
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn any_cut_and_restore_gives_the_same_findings(cuts in proptest::collection::vec(0usize..1_900, 1..6)) {
        let events = a_lively_fortnight();
        prop_assert_eq!(play_with_cuts(bulk, &events, &cuts), play_as_is(bulk(), &events));
    }

    #[test]
    fn events_late_within_the_lateness_end_in_the_same_findings(delays in proptest::collection::vec(0i64..10, 97)) {
        let events = a_lively_fortnight();
        let who = |findings: Vec<crate::Finding>| {
            let mut who: Vec<String> = findings.iter().map(|finding| finding.primary_value().to_owned()).collect();
            who.sort();
            who
        };
        let straight = who(play_as_is(bulk(), &events));
        prop_assert_eq!(&straight, &["user3", "user5"]);
        let mut order: Vec<(i64, usize)> =
            events.iter().enumerate().map(|(index, event)| (event.time + delays[index % delays.len()] * 60_000, index)).collect();
        order.sort_unstable();
        let shuffled: Vec<Event> = order.into_iter().map(|(_, index)| events[index].clone()).collect();
        prop_assert_eq!(who(play_as_is(bulk(), &shuffled)), straight);
    }
}
