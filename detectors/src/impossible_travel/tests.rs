//! The promises of `impossible-travel`, told as short stories.

use proptest::prelude::*;

use super::*;
use crate::scenario::DAY;
use crate::scenario::*;

fn travel() -> Box<dyn Detector> {
    ImpossibleTravel::build(&serde_json::json!({})).expect("defaults fit")
}

fn found(events: Vec<Event>) -> Vec<crate::Finding> {
    play(travel(), events)
}

/// A week at home, then something.
fn after_a_week(user: &str, home: Site, more: impl IntoIterator<Item = Event>) -> Vec<Event> {
    let mut events = office(0..5, user, home, 30);
    events.extend(office(7..8, user, home, 30));
    events.extend(more);
    events
}

const MONDAY: i64 = 7 * DAY;

#[test]
fn forty_minutes_from_berlin_to_sao_paulo_is_found_and_explained() {
    let attack = event(MONDAY + 16 * HOUR + 10, "mia@acme.example", SAO_PAULO, "view", 1);
    let findings = found(after_a_week("mia@acme.example", BERLIN, [attack]));
    assert_eq!(findings.len(), 1);
    let finding = &findings[0];
    assert_eq!(finding.severity, Severity::High);
    assert_eq!(
        finding.summary.en,
        "mia@acme.example was active from Berlin/DE and, 40 minutes later, from Sao Paulo/BR: 10,250 km, which no flight covers in that time."
    );
    assert!(finding.summary.zh.contains("10,250 公里"), "{}", finding.summary.zh);
    assert!(finding.observed.en.contains("2026-03-09 15:30 UTC"), "{}", finding.observed.en);
    assert_eq!(finding.evidence.count(), 2);
    assert_eq!(finding.primary_value(), "mia@acme.example");
    assert!(finding.parts.iter().any(|(name, points)| &**name == "country new for the user" && *points == 15.0));
}

#[test]
fn another_continent_is_found_with_nothing_but_a_country_database() {
    for far in [BRAZIL, NIGERIA] {
        let attack = event(MONDAY + 16 * HOUR + 25, "mia", far, "export", 10);
        assert_eq!(found(after_a_week("mia", GERMANY, [attack])).len(), 1, "{}", far.2);
    }
}

#[test]
fn it_is_found_when_the_thief_came_first() {
    let attack = event(MONDAY + 7 * HOUR + 30, "mia", BRAZIL, "view", 1);
    assert_eq!(found(after_a_week("mia", GERMANY, [attack])).len(), 1);
}

#[test]
fn it_is_found_on_the_very_first_day() {
    let mut events = office(0..1, "mia", GERMANY, 30);
    events.push(event(12 * HOUR + 5, "mia", NIGERIA, "view", 1));
    assert_eq!(found(events).len(), 1);
}

#[test]
fn both_at_once_and_back_again_is_one_finding() {
    let attack = (0..60).map(|turn| {
        let site = if turn % 2 == 0 { SAO_PAULO } else { BERLIN };
        event(MONDAY + 10 * HOUR + turn, "mia", site, "view", 1)
    });
    let findings = found(after_a_week("mia", BERLIN, attack));
    assert_eq!(findings.len(), 1);
    assert!(findings[0].summary.en.ends_with("It went back and forth between the two."), "{}", findings[0].summary.en);
}

#[test]
fn neighbouring_countries_of_a_country_database_are_silent() {
    let border = (0..20).map(|turn| {
        let site = if turn % 2 == 0 { NETHERLANDS } else { GERMANY };
        event(MONDAY + 10 * HOUR + turn * 7, "mia", site, "view", 1)
    });
    assert!(found(after_a_week("mia", GERMANY, border)).is_empty());
}

#[test]
fn a_business_trip_at_the_speed_of_a_flight_is_silent() {
    let trip = [
        event(MONDAY + 17 * HOUR, "mia", BERLIN, "view", 1),
        event(MONDAY + 19 * HOUR + 30, "mia", PARIS, "view", 1),
        event(MONDAY + 35 * HOUR, "mia", SAO_PAULO, "view", 1),
    ];
    assert!(found(after_a_week("mia", BERLIN, trip)).is_empty());
}

#[test]
fn a_commuter_between_two_offices_is_silent() {
    let mut events = Vec::new();
    for day in 0..10 {
        events.extend(office(day..day + 1, "mia", BERLIN, 60));
        events.push(event(day * DAY + 19 * HOUR, "mia", MUNICH, "view", 1));
    }
    // The office's line and the train's exit in the other city, both well known by now.
    events.push(event(10 * DAY + 8 * HOUR, "mia", BERLIN, "view", 1));
    events.push(event(10 * DAY + 8 * HOUR + 5, "mia", MUNICH, "view", 1));
    assert!(found(events).is_empty());
}

#[test]
fn a_mobile_carrier_that_comes_out_in_another_city_is_silent() {
    let hops = (0..10).map(|turn| {
        let site = [BERLIN_MOBILE, MUNICH_MOBILE, BERLIN][turn as usize % 3];
        event(MONDAY + 12 * HOUR + turn * 4, "mia", site, "view", 1)
    });
    assert!(found(after_a_week("mia", BERLIN, hops)).is_empty());
}

#[test]
fn an_exit_that_colleagues_share_is_learned() {
    let mut events = Vec::new();
    for number in 0..20 {
        events.extend(office(0..5, &format!("colleague{number}"), NEW_YORK_VPN, 60));
    }
    let vpn = event(MONDAY + 12 * HOUR + 5, "mia", NEW_YORK_VPN, "view", 1);
    events.extend(after_a_week("mia", BERLIN, [vpn]));
    assert!(found(events).is_empty());
}

#[test]
fn whoever_sits_in_an_office_with_many_colleagues_is_watched_like_anybody() {
    let mut events: Vec<Event> =
        (0..20).flat_map(|number| office(0..8, &format!("colleague{number}"), GERMANY, 60)).collect();
    for number in 0..6 {
        events.push(event(MONDAY + (9 + number) * HOUR + 25, &format!("colleague{number}"), BRAZIL, "view", 1));
    }
    assert_eq!(found(events).len(), 6);
}

#[test]
fn an_exit_whose_users_are_elsewhere_meanwhile_says_nothing_about_where_the_next_one_is() {
    let exit: Site = ("203.0.122.7", "", "BR", -14.2, -51.9, 2_300.0, 0, "");
    let at_home = |number: i64| -> Site {
        let address: &'static str = Box::leak(format!("198.18.{number}.7").into_boxed_str());
        (address, "", "DE", 51.1, 10.4, 430.0, 0, "")
    };
    let mut events = Vec::new();
    for number in 0..12 {
        let user = format!("colleague{number}");
        events.extend(office(0..8, &user, exit, 60));
        events.extend((number % 5..7).map(|day| event(day * DAY + 12 * HOUR + 5, &user, at_home(number), "view", 1)));
    }
    events.extend(office(0..8, "mia", exit, 60));
    events.push(event(MONDAY + 12 * HOUR + 5, "mia", at_home(99), "view", 1));
    assert!(found(events).iter().all(|finding| finding.primary_value() != "mia"));
}

#[test]
fn a_telephone_that_comes_out_at_home_while_its_owner_is_abroad_is_silent() {
    let agent = |mut event: Event, agent: &str, device: &str| {
        event.set(Field::UserAgent, agent);
        event.set(Field::UserAgentDevice, device);
        event
    };
    let morning = |desk: &str| {
        let mut events: Vec<Event> = (0..5)
            .flat_map(|day| {
                let early = agent(event(day * DAY + 7 * HOUR, "mia", GERMANY, "view", 1), "Safari iPhone", "mobile");
                let desk = office(day..day + 1, "mia", GERMANY, 30);
                std::iter::once(early).chain(desk.into_iter().map(|event| agent(event, CHROME, "desktop")))
            })
            .collect();
        events.extend(office(0..5, "ada", NIGERIA, 60));
        events.push(agent(event(MONDAY + 7 * HOUR, "mia", GERMANY, "view", 1), "Safari iPhone", "mobile"));
        events.push(agent(event(MONDAY + 7 * HOUR + 40, "mia", NIGERIA, "view", 1), desk, "desktop"));
        found(events).len()
    };
    assert_eq!([CHROME, FIREFOX].map(morning), [0, 1]);
}

#[test]
fn the_same_browser_on_another_continent_hours_after_the_last_activity_is_silent_and_another_one_is_not() {
    let later = |agent: &str| {
        let mut events = after_a_week("mia", GERMANY, []);
        events.extend(office(0..5, "ada", NIGERIA, 60));
        events.iter_mut().for_each(|event| event.set(Field::UserAgent, CHROME));
        events.push(with(event(MONDAY + 15 * HOUR + 30 + 150, "mia", NIGERIA, "view", 1), Field::UserAgent, agent));
        found(events).len()
    };
    assert_eq!([CHROME, FIREFOX].map(later), [0, 1]);
}

#[test]
fn the_same_browser_in_the_same_session_over_a_vpn_nearby_is_silent() {
    let dress = |event| with(with(event, Field::UserAgent, CHROME), Field::SessionId, "s1");
    let mut events: Vec<Event> = office(0..5, "mia", BERLIN, 30).into_iter().map(dress).collect();
    events.push(dress(event(4 * DAY + 15 * HOUR + 35, "mia", AMSTERDAM_VPN, "view", 1)));
    assert!(found(events.clone()).is_empty());
    events.pop();
    events.push(with(event(4 * DAY + 15 * HOUR + 35, "mia", AMSTERDAM_VPN, "view", 1), Field::UserAgent, FIREFOX));
    assert_eq!(found(events).len(), 1, "another browser there is another person");
}

#[test]
fn a_configured_office_network_is_no_place() {
    let settings = serde_json::json!({"known_networks": ["192.0.2.0/24"]});
    let detector = ImpossibleTravel::build(&settings).expect("settings fit");
    let vpn = event(MONDAY + 12 * HOUR + 5, "mia", NEW_YORK_VPN, "view", 1);
    assert!(play(detector, after_a_week("mia", BERLIN, [vpn])).is_empty());
    let error = ImpossibleTravel::build(&serde_json::json!({"known_networks": ["office"]})).err().expect("refused");
    assert!(error.to_string().contains("198.51.100.0/24"));
}

#[test]
fn somebody_typing_the_name_from_afar_is_no_journey_but_is_evidence() {
    let failed = |minute| {
        let mut event = event(minute, "mia", SAO_PAULO, "login", -1);
        event.set(Field::EventOutcome, "failure");
        event
    };
    let mut events = after_a_week("mia", BERLIN, (0..20).map(|turn| failed(MONDAY + 10 * HOUR + turn)));
    assert!(found(events.clone()).is_empty());
    events.push(event(MONDAY + 10 * HOUR + 30, "mia", SAO_PAULO, "login", -1));
    let findings = found(events);
    assert_eq!(findings.len(), 1);
    assert!(findings[0].parts.iter().any(|(name, _)| &**name == "failed logins in the hour before"));
}

#[test]
fn an_integration_account_of_many_regions_is_silent() {
    let calls = (0..500).map(|turn| {
        let site = [DUBLIN_CLOUD, OREGON_CLOUD, BRAZIL, GERMANY][turn as usize % 4];
        with(event(turn * 7, "sync-app", site, "api-call", 50), Field::UserAgentDevice, "script")
    });
    assert!(found(calls.collect()).is_empty());
}

#[test]
fn private_addresses_inferred_users_and_bare_addresses_are_not_judged() {
    let mut private = event(MONDAY + 10 * HOUR, "mia", SAO_PAULO, "view", 1);
    private.set(Field::NetworkClass, "private");
    let mut inferred = event(MONDAY + 10 * HOUR, "mia", SAO_PAULO, "view", 1);
    inferred.set_bool(Field::UserInferred, true);
    let mut nobody = event(MONDAY + 10 * HOUR, "mia", SAO_PAULO, "view", 1);
    nobody.remove(Field::UserName);
    assert!(found(after_a_week("mia", BERLIN, [private, inferred, nobody])).is_empty());
}

#[test]
fn a_late_event_is_compared_with_its_neighbours_in_time() {
    let mut events = after_a_week("mia", BERLIN, []);
    events.sort_by_key(|event| event.time);
    // Arrives last, happened between two visits of a morning that went on for hours.
    events.push(event(MONDAY + 9 * HOUR + 10, "mia", BRAZIL, "view", 1));
    assert_eq!(play_as_is(travel(), &events).len(), 1);
}

#[test]
fn a_private_vpn_is_told_twice_and_then_known() {
    let mut events = Vec::new();
    for day in 0..20 {
        events.extend(office(day..day + 1, "mia", BERLIN, 60));
        events.push(event(day * DAY + 12 * HOUR + 5, "mia", SAO_PAULO, "view", 1));
    }
    let findings = found(events);
    assert!((1..=2).contains(&findings.len()), "{}", findings.len());
}

#[test]
fn a_country_of_the_same_continent_is_found_even_where_colleagues_work() {
    let turkey: Site = ("203.0.123.7", "", "TR", 39.0, 35.2, 700.0, 0, "");
    let mut events = office(0..5, "can", ("203.0.124.7", "", "TR", 39.0, 35.2, 700.0, 0, ""), 60);
    events.extend(after_a_week("mia", GERMANY, [event(MONDAY + 15 * HOUR + 50, "mia", turkey, "view", 1)]));
    assert_eq!(found(events).len(), 1);
}

#[test]
fn a_tour_of_addresses_keeps_the_state_small() {
    let mut detector = travel();
    for number in 0..5_000i64 {
        let mut event = event(number, "mia", BERLIN, "view", 1);
        event.set_ip(Field::SourceIp, std::net::Ipv4Addr::from(0x0500_0000 + (number as u32) * 256).into());
        event.set_float(Field::SourceLat, (number % 120) as f64 - 60.0);
        event.set_integer(Field::SourceAsn, number % 50 + 1);
        detector.observe(&event, &Context::default(), &mut Vec::new());
    }
    let changes = detector.changes();
    let user = changes.iter().find(|change| change.key == "u/user:mia").and_then(|change| change.value.as_ref());
    assert!(user.expect("kept").len() < 2_500, "{}", user.expect("kept").len());
}

fn a_lively_fortnight() -> Vec<Event> {
    let mut events = after_a_week("mia", BERLIN, [event(MONDAY + 16 * HOUR, "mia", SAO_PAULO, "view", 1)]);
    events.extend(after_a_week("ben", GERMANY, [event(MONDAY + 12 * HOUR + 3, "ben", NIGERIA, "view", 1)]));
    events.extend(after_a_week("eve", PARIS, [event(MONDAY + 19 * HOUR, "eve", BERLIN, "view", 1)]));
    events.sort_by_key(|event| (event.time, event.id));
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_cut_and_restore_gives_the_same_findings(cuts in proptest::collection::vec(0usize..320, 1..6)) {
        let events = a_lively_fortnight();
        prop_assert_eq!(play_with_cuts(travel, &events, &cuts), play_as_is(travel(), &events));
    }

    #[test]
    fn events_late_within_the_lateness_end_in_the_same_findings(delays in proptest::collection::vec(0i64..10, 320)) {
        let mut events = a_lively_fortnight();
        let who = |findings: Vec<crate::Finding>| {
            let mut who: Vec<String> = findings.iter().map(|finding| finding.primary_value().to_owned()).collect();
            who.sort();
            who
        };
        let straight = who(play_as_is(travel(), &events));
        prop_assert_eq!(&straight, &["ben", "mia"]);
        let mut order: Vec<(i64, usize)> =
            events.iter().enumerate().map(|(index, event)| (event.time + delays[index % delays.len()] * 60_000, index)).collect();
        order.sort_unstable();
        events = order.into_iter().map(|(_, index)| events[index].clone()).collect();
        prop_assert_eq!(who(play_as_is(travel(), &events)), straight);
    }
}
