//! What `password_spray` promises: sprays told, bad mornings not.

use super::*;
use crate::engine::Engine;
use crate::event::EventId;
use crate::finding::Finding;

const HOUR: i64 = 3_600;

fn login(second: i64, user: &str, outcome: &str, from: &str) -> Event {
    let mut event = Event::new("");
    event.time = second * 1000;
    event.set(Field::EventAction, "login");
    event.set(Field::EventOutcome, outcome);
    event.set(Field::UserName, user);
    event.set_ip(Field::SourceIp, from.parse().expect("an address"));
    event
}

fn numbered(mut events: Vec<Event>) -> Vec<Event> {
    for (number, event) in events.iter_mut().enumerate() {
        event.id = EventId(number as u128 + 1);
    }
    events
}

fn engine() -> Engine {
    Engine::with(vec![Box::new(PasswordSpray::new(Settings::default()))])
}

fn found(events: Vec<Event>) -> Vec<Finding> {
    let mut engine = engine();
    numbered(events).iter().for_each(|event| engine.observe(event));
    engine.drain()
}

fn spray(accounts: i64, every: i64, start: i64) -> Vec<Event> {
    (0..accounts)
        .map(|number| login(start + number * every, &format!("user{number}"), "failure", "203.0.113.7"))
        .collect()
}

#[test]
fn fifteen_accounts_from_one_address_in_five_minutes_are_a_spray() {
    assert!(found(spray(14, 10, 0)).is_empty());
    let found = found(spray(15, 10, 0));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].severity, Severity::Medium);
    assert_eq!(found[0].primary_value(), "203.0.113.7");
    assert_eq!(found[0].entity.0["user.name"].len(), 15);
    assert_eq!(found[0].evidence.count(), 15);
    assert!(found[0].summary.en.contains("15 accounts: 15 failures within 5 minutes"), "{}", found[0].summary.en);
    assert!(found[0].summary.zh.contains("15 个账户"), "{}", found[0].summary.zh);
}

#[test]
fn the_window_slides_and_late_lines_find_their_place() {
    let mut events = spray(15, 19, 290);
    events.swap(0, 14);
    events.swap(3, 9);
    assert_eq!(found(events).len(), 1);
}

#[test]
fn a_slow_list_is_found_within_the_day() {
    assert!(found(spray(24, 1_800, 0)).is_empty());
    let found = found(spray(26, 1_800, 0));
    assert_eq!(found.len(), 1);
    assert!(found[0].summary.en.contains("slowly"), "{}", found[0].summary.en);
}

#[test]
fn an_account_that_gets_in_makes_it_high_even_at_the_first_try() {
    let mut tried = spray(15, 10, 0);
    tried.push(login(400, "user3", "success", "203.0.113.7"));
    assert_eq!(found(tried)[0].severity, Severity::High);
    let mut guessed = spray(15, 10, 0);
    guessed.push(login(200, "carol", "success", "203.0.113.7"));
    let found = found(guessed);
    assert_eq!(found[0].severity, Severity::High);
    assert!(found[0].entity.0["user.name"].contains(&"carol".to_owned()));
    assert!(found[0].observed.en.contains("carol got in"), "{}", found[0].observed.en);
}

#[test]
fn many_tries_at_few_accounts_are_brute_force_and_not_told_here() {
    let events =
        (0..600).map(|number| login(number, &format!("user{}", number % 4), "failure", "203.0.113.7")).collect();
    assert!(found(events).is_empty());
}

#[test]
fn a_handful_of_accounts_tried_in_turns_below_every_other_threshold_is_found() {
    let turns = |users: i64, tries: i64| {
        found(
            (0..tries)
                .map(|number| login(number * 20, &format!("user{}", number % users), "failure", "203.0.113.7"))
                .collect(),
        )
    };
    assert!(turns(6, 39).is_empty());
    let found = turns(6, 48);
    assert_eq!(found.len(), 1);
    assert!(found[0].summary.en.contains("in turns tried passwords on 6 accounts"), "{}", found[0].summary.en);
}

#[test]
fn stamps_at_the_ends_of_time_do_no_harm() {
    let mut events = spray(15, 10, 0);
    for time in [i64::MIN, i64::MAX, 0] {
        for outcome in ["failure", "success"] {
            let mut event = login(0, "user3", outcome, "203.0.113.7");
            event.time = time;
            events.push(event);
        }
    }
    assert_eq!(found(events).iter().filter(|one| one.window.1 < 1_000_000).count(), 1);
}

#[test]
fn an_office_that_types_new_passwords_on_monday_is_no_spray() {
    // Nothing is known of the office yet: all that speaks for it is that those who fail get in.
    let mut events = Vec::new();
    for number in 0..40 {
        let user = format!("user{number}");
        events.push(login(number * 6, &user, "failure", "198.51.100.1"));
        events.push(login(number * 6 + 4, &user, "success", "198.51.100.1"));
    }
    assert!(found(events).is_empty());
}

#[test]
fn an_outage_of_the_sign_in_service_is_no_spray() {
    let mut events = Vec::new();
    let own = |number: i64| if number < 30 { "198.51.100.1".to_owned() } else { format!("192.0.2.{number}") };
    for number in 0..60 {
        events.push(login(number, &format!("user{number}"), "success", &own(number)));
    }
    for number in 0..240 {
        let user = number % 60;
        events.push(login(24 * HOUR + number, &format!("user{user}"), "failure", &own(user)));
    }
    assert!(found(events).is_empty());
}

#[test]
fn unknown_outcomes_refused_second_factors_and_nameless_lines_do_not_count() {
    let mut events = spray(60, 1, 0);
    for (number, event) in events.iter_mut().enumerate() {
        match number % 3 {
            0 => event.set(Field::EventOutcome, "unknown"),
            1 => event.set(Field::EventAction, "mfa-denied"),
            _ => event.remove(Field::UserName),
        }
    }
    assert!(found(events).is_empty());
}

fn botnet(start: i64) -> Vec<Event> {
    (0..40)
        .map(|number| {
            login(start + number * 15, &format!("user{}", number % 10), "failure", &format!("203.0.113.{}", number % 8))
        })
        .collect()
}

#[test]
fn many_addresses_that_share_a_list_are_one_finding_about_the_organisation() {
    let mut events = botnet(0);
    events.iter_mut().for_each(|event| event.set(Field::OrganizationId, "acme"));
    let mut found = found(events);
    assert_eq!(found.len(), 1);
    let finding = found.remove(0);
    assert_eq!((&*finding.primary, finding.primary_value()), ("organization.id", "acme"));
    assert_eq!(finding.entity.0["source.ip"].len(), 8);
    assert_eq!(finding.entity.0["user.name"].len(), 10);
    assert_eq!(finding.severity, Severity::Medium);
}

#[test]
fn without_an_organisation_the_source_is_named() {
    let mut events = botnet(0);
    let origin = std::sync::Arc::new(crate::event::Origin { source: "portal".into(), ..Default::default() });
    events.iter_mut().for_each(|event| event.origin = origin.clone());
    let found = found(events);
    assert_eq!((&*found[0].primary, found[0].primary_value()), ("crm.source", "portal"));
}

#[test]
fn an_account_that_gets_in_makes_a_distributed_spray_high() {
    let mut events = botnet(0);
    events.push(login(620, "user3", "success", "203.0.113.3"));
    let found = found(events);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].severity, Severity::High);
}

#[test]
fn one_address_that_sprays_is_not_told_a_second_time_as_distributed() {
    assert_eq!(found(spray(200, 1, 0)).len(), 1);
}

#[test]
fn where_failures_abroad_are_normal_more_of_them_are_needed() {
    // Thirty failures of strangers in every quarter of an hour for four days, each from its own address: no list is shared.
    let mut events: Vec<Event> = (0..30 * 4 * 24 * 4)
        .map(|number| {
            let home = format!("10.{}.{}.{}", number / 60_000, number / 250 % 240, number % 250 + 1);
            login(number * 30, &format!("guest{number}"), "failure", &home)
        })
        .collect();
    let end = 30 * 30 * 4 * 24 * 4;
    events.extend(botnet(end + 60));
    events.sort_by_key(|event| event.time);
    assert!(found(events).is_empty());
    assert_eq!(found(botnet(end + 60)).len(), 1);
}

#[test]
fn a_flood_of_names_on_one_address_is_bounded() {
    let mut spray = PasswordSpray::new(Settings::default());
    let mut out = Vec::new();
    for number in 0..16_000 {
        let event = login(number / 50, &format!("user{number}"), "failure", "203.0.113.7");
        spray.observe(&event, &Context::default(), &mut out);
    }
    assert!(out.len() > 10 && out.len() < 200, "{}", out.len());
    let state = spray.addresses.get("at:203.0.113.7").expect("there");
    assert!(state.touched.len() <= ACCOUNTS_PER_ADDRESS);
}

#[test]
fn a_forged_stamp_hides_no_spray() {
    let mut events = spray(15, 10, 0);
    events.insert(7, login(20 * HOUR, "someone", "failure", "203.0.113.7"));
    assert_eq!(found(events).len(), 1);
}

#[test]
fn saved_and_restored_at_any_point_it_finds_the_same() {
    let mut events = spray(20, 10, 0);
    events.extend(botnet(50));
    events.push(login(660, "user3", "success", "203.0.113.3"));
    events.push(login(670, "user4", "success", "203.0.113.7"));
    events.sort_by_key(|event| event.time);
    let events = numbered(events);
    let collect = |engine: &mut Engine, events: &[Event], all: &mut Vec<Finding>| {
        for event in events {
            engine.observe(event);
            for finding in engine.drain() {
                all.retain(|one| one.id != finding.id);
                all.push(finding);
            }
        }
    };
    let mut whole = Vec::new();
    collect(&mut engine(), &events, &mut whole);
    assert!(!whole.is_empty());
    for cut in 0..events.len() {
        let (mut first, mut second, mut all) = (engine(), engine(), Vec::new());
        collect(&mut first, &events[..cut], &mut all);
        for change in first.changes() {
            second.restore(change.owner, &change.key, change.value.as_deref().expect("kept")).expect("readable");
        }
        collect(&mut second, &events[cut..], &mut all);
        assert_eq!(all, whole, "cut at {cut}");
    }
}

#[test]
fn the_manual_is_whole_and_damaged_state_is_refused() {
    let mut spray = PasswordSpray::new(Settings::default());
    for heading in crate::manual::HEADINGS {
        assert!(spray.rules()[0].manual.section(heading).is_some_and(|text| !text.is_empty()), "{heading}");
    }
    assert!(spray.restore("elsewhere", &[]).is_err());
    assert!(PasswordSpray::build(&serde_json::json!({"acounts": 3})).is_err());
}
