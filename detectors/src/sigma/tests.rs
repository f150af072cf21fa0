//! The promises of the Sigma detector as a whole.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::engine::Engine;
use crate::event::EventId;
use crate::finding::{Finding, Severity};

fn login(number: u128, second: i64, user: &str, outcome: &str, from: &str) -> Event {
    let mut event = Event::new("");
    event.id = EventId(number);
    event.time = second * 1000;
    event.set(Field::EventAction, "login");
    event.set(Field::EventOutcome, outcome);
    event.set(Field::UserName, user);
    event.set_ip(Field::SourceIp, from.parse::<IpAddr>().expect("an address"));
    event
}

fn engine(text: &str) -> Engine {
    Engine::with(vec![Box::new(Sigma::of(&Texts::one("test.yml", text)).unwrap_or_else(|error| panic!("{error}")))])
}

fn findings(engine: &mut Engine, events: &[Event]) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    for event in events {
        engine.observe(event);
        for finding in engine.drain() {
            all.retain(|one| one.id != finding.id);
            all.push(finding);
        }
    }
    all
}

fn shipped(events: &[Event]) -> Vec<Finding> {
    findings(
        &mut Engine::with(vec![Box::new(Sigma::new(&Settings::new(), &Texts::default()).expect("shipped rules load"))]),
        events,
    )
}

fn refused(text: &str) -> String {
    load(&Texts::one("own.yml", text)).err().map(|error| error.to_string()).unwrap_or_default()
}

const BASE: &str = "title: Failed\nname: failed\nlogsource: {product: crm}\ndetection:\n  selection: {event.action: login, event.outcome: failure}\n  condition: selection\n";

fn correlated(correlation: &str) -> String {
    format!("{BASE}---\ntitle: Many\nname: many\nlevel: high\ncorrelation:\n{correlation}")
}

#[test]
fn every_shipped_rule_passes_its_own_tests_and_is_explained_in_full() {
    let outcomes = trial::run(&Texts::default().with_shipped()).expect("shipped rules load");
    assert!(outcomes.len() >= 8);
    for outcome in outcomes {
        assert!(outcome.passed, "{}: {}: {}", outcome.rule, outcome.test, outcome.told);
    }
    let sigma = Sigma::new(&Settings::new(), &Texts::default()).expect("shipped rules load");
    let rules = sigma.rules();
    assert_eq!(rules.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>(), SHIPPED_IDS);
    for rule in rules {
        for heading in crate::manual::HEADINGS {
            assert!(rule.manual.section(heading).is_some_and(|text| !text.is_empty()), "{}: {heading}", rule.id);
        }
    }
}

#[test]
fn a_failing_test_of_a_rule_is_told() {
    let text = format!(
        "{BASE}crmwatch:\n  tests:\n    - {{name: wrong, finds: true, events: [{{fields: {{event.action: view}}}}]}}\n"
    );
    let outcomes = trial::run(&Texts::one("own.yml", &text)).expect("loads");
    assert!(!outcomes[0].passed);
    assert_eq!(outcomes[0].told, "it found nothing");
}

#[test]
fn a_stale_password_that_fails_for_days_is_one_finding() {
    let events: Vec<Event> =
        (0..3 * 1440).map(|minute| login(minute as u128, minute * 60, "svc-sync", "failure", "10.0.0.5")).collect();
    let found = shipped(&events);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].evidence.count(), 4320);
    assert_eq!(found[0].time, 9 * 60_000);
    assert_eq!(found[0].last_time, 4319 * 60_000);
    assert_eq!(found[0].entity.first("user.name"), Some("svc-sync"));
    assert_eq!(found[0].primary_value(), "svc-sync");
    assert!(
        found[0].summary.en.starts_with("4320 failed logins of svc-sync, 21 of them within 20 minutes"),
        "{}",
        found[0].summary.en
    );
    assert!(found[0].summary.zh.contains("20 分钟"), "{}", found[0].summary.zh);
    assert_eq!(found[0].techniques.iter().map(|one| &**one).collect::<Vec<_>>(), ["T1110.001"]);
}

#[test]
fn the_evidence_is_every_failure_up_to_the_deciding_one() {
    let events: Vec<Event> =
        (0..10).map(|number| login(number, number as i64, "alice", "failure", "203.0.113.7")).collect();
    let found = shipped(&events);
    assert_eq!(found[0].evidence.count(), 10);
    assert_eq!(found[0].evidence.iter().map(|one| one.id.0).collect::<Vec<_>>(), (0..10).collect::<Vec<u128>>());
}

#[test]
fn ten_failures_are_found_in_whatever_order_they_arrive() {
    let mut events: Vec<Event> =
        (0..10).map(|number| login(number, number as i64 * 100, "alice", "failure", "203.0.113.7")).collect();
    events.swap(0, 9);
    events.swap(3, 5);
    let found = shipped(&events);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].window, (0, 900_000));
}

#[test]
fn a_forged_stamp_neither_hides_an_attack_nor_makes_one() {
    let mut events: Vec<Event> =
        (0..10).map(|number| login(number, number as i64, "alice", "failure", "203.0.113.7")).collect();
    events.insert(5, login(99, 300_000_000, "alice", "failure", "203.0.113.7"));
    let found = shipped(&events);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].window.1, 9_000);
}

#[test]
fn a_name_that_holds_a_separator_is_nobody_else() {
    let one = Correlation::key("r", &["a".to_owned(), "b".to_owned()]);
    let other = Correlation::key("r", &["a\u{1f}1:b".to_owned(), String::new()]);
    assert_ne!(one, other);
}

#[test]
fn values_are_counted_once_each_and_by_group() {
    let text = correlated(
        "  type: value_count\n  rules: failed\n  group-by: [source.ip]\n  timespan: 5m\n  condition: {field: user.name, gte: 3}\n",
    );
    let mut events: Vec<Event> = (0..20)
        .map(|number| login(number, number as i64, ["a", "B", "b"][number as usize % 3], "failure", "203.0.113.7"))
        .collect();
    assert!(findings(&mut engine(&text), &events).is_empty());
    events.push(login(50, 30, "c", "failure", "198.51.100.1"));
    assert!(findings(&mut engine(&text), &events).is_empty());
    events.push(login(51, 31, "c", "failure", "203.0.113.7"));
    let found = findings(&mut engine(&text), &events);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].severity, Severity::High);
    assert_eq!(found[0].primary_value(), "203.0.113.7");
}

#[test]
fn a_range_is_a_range() {
    let text = correlated(
        "  type: event_count\n  rules: [failed]\n  group-by: [user.name]\n  timespan: 1h\n  condition: {gt: 2, lte: 4, neq: 3}\n",
    );
    let events: Vec<Event> = (0..9).map(|number| login(number, number as i64, "a", "failure", "203.0.113.7")).collect();
    let found = findings(&mut engine(&text), &events);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].last_time, 3_000);
}

#[test]
fn sums_and_averages_are_taken_over_the_window() {
    let base = "title: Export\nname: failed\nlogsource: {product: crm}\ndetection:\n  selection: {event.action: export}\n  condition: selection\n";
    let rule = |kind: &str| {
        format!(
            "{base}---\ntitle: Many\nname: many\ncorrelation:\n  type: {kind}\n  rules: [failed]\n  group-by: [user.name]\n  timespan: 1h\n  condition: {{field: crm.records, gte: 1000}}\n"
        )
    };
    let export = |number: u128, second: i64, records: i64| {
        let mut event = login(number, second, "a", "success", "203.0.113.7");
        event.set(Field::EventAction, "export");
        event.set_integer(Field::Records, records);
        event
    };
    let slow = [export(1, 0, 600), export(2, 3_601, 600)];
    let fast = [export(1, 0, 600), export(2, 3_600, 600)];
    assert!(findings(&mut engine(&rule("value_sum")), &slow).is_empty());
    assert_eq!(findings(&mut engine(&rule("value_sum")), &fast).len(), 1);
    assert!(findings(&mut engine(&rule("value_avg")), &fast).is_empty());
    assert_eq!(findings(&mut engine(&rule("value_avg")), &[export(1, 0, 600), export(2, 1, 1_400)]).len(), 1);
}

#[test]
fn percentiles_and_medians_are_taken_over_the_window() {
    let rule = |condition: &str| {
        format!(
            "title: Export\nname: failed\nlogsource: {{product: crm}}\ndetection:\n  selection: {{event.action: export}}\n  condition: selection\n---\ntitle: Many\nname: many\ncorrelation:\n  {condition}\n  rules: [failed]\n  group-by: [user.name]\n  timespan: 1h\n"
        )
    };
    let exports: Vec<Event> = [10, 20, 30, 1_000]
        .into_iter()
        .enumerate()
        .map(|(number, records)| {
            let mut event = login(number as u128, number as i64, "a", "success", "203.0.113.7");
            event.set(Field::EventAction, "export");
            event.set_integer(Field::Records, records);
            event
        })
        .collect();
    for (condition, expected) in [
        ("type: value_percentile\n  condition: {field: crm.records, percentile: 95, gte: 800}", 1),
        ("type: value_percentile\n  condition: {field: crm.records, percentile: 50, gte: 26}", 0),
        ("type: value_median\n  condition: {field: crm.records, gte: 25}", 1),
        ("type: value_median\n  condition: {field: crm.records, gte: 26}", 0),
        ("type: value_avg\n  condition: {field: crm.records, gte: 26, lte: 300}", 1),
    ] {
        assert_eq!(findings(&mut engine(&rule(condition)), &exports).len(), expected, "{condition}");
    }
}

#[test]
fn of_several_rules_as_many_must_match_as_the_condition_asks() {
    let base = |name: &str, outcome: &str| {
        format!(
            "title: {name}\nname: {name}\nlogsource: {{product: crm}}\ndetection:\n  s: {{event.action: login, event.outcome: {outcome}}}\n  condition: s\n---\n"
        )
    };
    let rules = ["failure", "success", "unknown"].map(|outcome| base(&format!("on_{outcome}"), outcome)).concat();
    let met = |condition: &str, outcomes: &[&str]| {
        let text = format!(
            "{rules}title: Some\nname: some\ncorrelation:\n  type: temporal\n  rules: [on_failure, on_success, on_unknown]\n  timespan: 1h\n{condition}"
        );
        let events: Vec<Event> = outcomes
            .iter()
            .enumerate()
            .map(|(number, one)| login(number as u128, number as i64, "a", one, "10.0.0.1"))
            .collect();
        !findings(&mut engine(&text), &events).is_empty()
    };
    assert!(!met("", &["failure", "success"]));
    assert!(met("", &["failure", "success", "unknown"]));
    assert!(met("  condition: {gte: 2}\n", &["failure", "success"]));
    assert!(met("  condition: on_success and 1 of *_unknown\n", &["success", "unknown"]));
    assert!(met("  condition: on_failure and (on_success or on_unknown)\n", &["unknown", "failure"]));
    assert!(!met("  condition: all of on_*\n", &["unknown", "failure"]));
}

#[test]
fn rules_taken_over_keep_what_unchanged_ones_remember_and_wrong_ones_change_nothing() {
    let many = |name: &str, least: u8| {
        format!(
            "---\ntitle: Many\nname: {name}\nlevel: high\ncorrelation:\n  type: event_count\n  rules: [failed]\n  group-by: [user.name]\n  timespan: 1h\n  condition: {{gte: {least}}}\n"
        )
    };
    let first = Texts::one("own.yml", &format!("{BASE}{}{}", many("same", 4), many("other", 4)));
    let second = Texts::one("own.yml", &format!("{BASE}{}{}", many("other", 3), many("same", 4)));
    let mut engine = Engine::with_rules(&Settings::new(), &first).expect("loads");
    let events: Vec<Event> = (0..4).map(|number| login(number, number as i64, "a", "failure", "203.0.113.7")).collect();
    assert!(findings(&mut engine, &events[..3]).iter().all(|one| &*one.rule == "brute-force"));
    let error = engine.reload(&Texts::one("own.yml", "title: broken\n")).expect_err("refused").to_string();
    assert!(error.starts_with("own.yml:1: "), "{error}");
    engine.reload(&second).expect("right");
    let rules: Vec<_> = findings(&mut engine, &events[3..]).iter().map(|one| one.rule.to_string()).collect();
    assert_eq!(rules, ["same"], "the fourth event completes what the unchanged rule remembers, and only that");
    let gone = engine.changes().into_iter().filter(|change| change.owner == OWNER && change.value.is_none()).count();
    assert_eq!(gone, 0, "what was never saved needs no forgetting");
}

const SEQUENCE: &str = "title: In\nname: in\nlogsource: {product: crm}\ndetection:\n  selection: {event.action: login, event.outcome: success}\n  condition: selection\n---\ntitle: Guessed\nname: guessed\nlevel: high\ncorrelation:\n  type: TYPE\n  rules: [many, in]\n  group-by: [crm.entity]\n  timespan: 20m\n";

fn sequence(kind: &str) -> String {
    let many = correlated(
        "  type: event_count\n  rules: [failed]\n  group-by: [crm.entity]\n  timespan: 20m\n  condition: {gte: 3}\n",
    );
    format!("{many}---\n{}", SEQUENCE.replace("TYPE", kind))
}

#[test]
fn a_correlation_of_a_correlation_keeps_the_order_and_shows_all_its_events() {
    let mut events: Vec<Event> =
        (0..3).map(|number| login(number, number as i64, "a", "failure", "203.0.113.7")).collect();
    events.push(login(9, 10, "a", "success", "203.0.113.7"));
    let found = findings(&mut engine(&sequence("temporal_ordered")), &events);
    assert_eq!(found.iter().map(|one| &*one.rule).collect::<Vec<_>>(), ["guessed"]);
    assert_eq!(found[0].evidence.count(), 4);
    events.rotate_right(1);
    events[0].time = -10_000;
    assert!(findings(&mut engine(&sequence("temporal_ordered")), &events).is_empty());
    assert_eq!(findings(&mut engine(&sequence("temporal")), &events).len(), 1);
}

#[test]
fn a_late_failure_completes_a_sequence_whose_success_came_first() {
    let events = [
        login(1, 0, "a", "failure", "203.0.113.7"),
        login(2, 2, "a", "failure", "203.0.113.7"),
        login(3, 10, "a", "success", "203.0.113.7"),
        login(4, 1, "a", "failure", "203.0.113.7"),
    ];
    assert_eq!(findings(&mut engine(&sequence("temporal_ordered")), &events).len(), 1);
}

#[test]
fn generate_brings_back_the_findings_of_what_is_correlated() {
    let text = sequence("temporal_ordered").replace("title: Guessed", "generate: true\ntitle: Guessed");
    let mut events: Vec<Event> =
        (0..3).map(|number| login(number, number as i64, "a", "failure", "203.0.113.7")).collect();
    events.push(login(9, 10, "a", "success", "203.0.113.7"));
    let mut rules: Vec<_> = findings(&mut engine(&text), &events).iter().map(|one| one.rule.to_string()).collect();
    rules.sort();
    assert_eq!(rules, ["guessed", "in", "many"]);
}

#[test]
fn aliases_join_fields_of_different_names() {
    let text = format!(
        "{BASE}---\ntitle: Reset\nname: reset\nlogsource: {{product: crm}}\ndetection:\n  selection: {{event.action: password-reset}}\n  condition: selection\n---\ntitle: Both\nname: both\ncorrelation:\n  type: temporal\n  rules: [failed, reset]\n  group-by: [account]\n  timespan: 1h\n  aliases:\n    account: {{failed: user.name, reset: user.target.name}}\n"
    );
    let mut reset = login(2, 5, "admin", "success", "10.0.0.1");
    reset.set(Field::EventAction, "password-reset");
    reset.set(Field::UserTargetName, "Alice");
    let events = [login(1, 0, "alice", "failure", "203.0.113.7"), reset];
    assert_eq!(findings(&mut engine(&text), &events).len(), 1);
}

#[test]
fn a_filter_is_joined_with_and_as_it_is_written() {
    let filter = "---\ntitle: Not ours\nlogsource: {product: crm}\nfilter:\n  rules: [failed]\n  ours: {source.ip|cidr: 10.0.0.0/8}\n  condition: not ours\n";
    let mut engine = engine(&format!("{BASE}{filter}"));
    let events = [login(1, 0, "a", "failure", "10.1.2.3"), login(2, 1, "b", "failure", "203.0.113.7")];
    let found = findings(&mut engine, &events);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].entity.first("user.name"), Some("b"));
}

#[test]
fn what_the_engine_takes_for_granted_about_sigma_holds() {
    let matches = |detection: &str| {
        let text = format!("title: T\nname: t\nlogsource: {{product: crm}}\ndetection:\n{detection}\n");
        let mut event = login(1, 0, "Alice", "failure", "203.0.113.7");
        event.set_integer(Field::Records, 500);
        !findings(&mut engine(&text), &[event]).is_empty()
    };
    assert!(matches("  s: {crm.owner: null}\n  condition: s"), "null matches an absent field");
    assert!(matches("  s: [lic]\n  condition: s"), "keywords are looked for inside values");
    assert!(matches("  s: {crm.records: '500'}\n  condition: s"), "a text matches the number it writes");
    assert!(matches("  s: {user.name: 'al*'}\n  condition: s"), "without case, with wildcards");
    assert!(!matches("  s: {user.name|cased: alice}\n  condition: s"));
    assert!(matches("  s: {crm.records|gte: 500}\n  condition: s"));
    assert!(matches("  s: {crm.entity: 'user:alice'}\n  condition: s"), "the entity is there without enrichment");
}

#[test]
fn what_is_not_supported_is_named_with_its_file_and_line() {
    let correlation = |lines: &str| refused(&correlated(lines));
    let text = correlation("  type: value_sum\n  rules: [failed]\n  timespan: 1h\n  condition: {gte: 3}\n");
    assert!(text.starts_with("own.yml:15: `value_sum` without exactly one `field` is not supported"), "{text}");
    let text = correlation("  type: temporal\n  rules: [failed]\n  timespan: 1h\n  condition: not failed\n");
    assert!(text.starts_with("own.yml:15: `not` in a correlation's condition"), "{text}");
    let text = correlation("  type: event_count\n  rules: [faild]\n  timespan: 1h\n  condition: {gte: 3}\n");
    assert!(text.starts_with("own.yml:13: there is no rule \"faild\""), "{text}");
    let text = correlation(
        "  type: event_count\n  rules: [failed]\n  timespan: 1h\n  window: tumbling\n  condition: {gte: 3}\n",
    );
    assert!(text.contains("own.yml:15: `window: tumbling`"), "{text}");
    let text = correlation("  type: event_count\n  rules: [many]\n  timespan: 1h\n  condition: {gte: 3}\n");
    assert!(text.starts_with("own.yml:13: the correlation \"many\" leads back to itself"), "{text}");
    let text = refused(&BASE.replace("event.outcome: failure", "user.name|expand: '%admins%'"));
    assert!(text.starts_with("own.yml:5: the placeholder %admins%"), "{text}");
    let text = refused(&BASE.replace("event.outcome: failure", "user.name|soundex: x"));
    assert!(text.starts_with("own.yml:5:") && text.contains("soundex"), "{text}");
    let text = refused(&format!("{BASE}---\n{BASE}"));
    assert!(text.contains("stands in own.yml line 1 already"), "{text}");
    let text = refused(&format!("{BASE}crmwatch:\n  sumary: {{en: x}}\n"));
    assert!(text.starts_with("own.yml:8:") && text.contains("sumary"), "{text}");
    let text = refused(&format!("{BASE}crmwatch:\n  summary: {{en: 'x {{usr.name}}'}}\n"));
    assert!(text.contains("{usr.name}"), "{text}");
    let text = refused("title: [\n");
    assert!(text.starts_with("own.yml:"), "{text}");
    let text = refused("\n\ntitle: X\naction: global\n");
    assert!(text.starts_with("own.yml:4: `action`"), "{text}");
}

#[test]
fn every_wrong_document_is_told_of_at_once() {
    let texts = Texts {
        files: vec![
            ("a.yml".to_owned(), "title: [\n".to_owned()),
            ("b.yml".to_owned(), BASE.to_owned()),
            (
                "c.yml".to_owned(),
                BASE.replace("event.outcome", "event.outcome|soundex").replace("name: failed", "name: c"),
            ),
            ("d.yml".to_owned(), "title: X\naction: global\n".to_owned()),
        ],
        ..Texts::default()
    };
    let text = load(&texts).err().expect("refused").to_string();
    let places: Vec<&str> = text.lines().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(places, ["a.yml", "c.yml", "d.yml"], "{text}");
}

#[test]
fn settings_reach_the_rule_and_wrong_ones_are_refused() {
    let with = |json: serde_json::Value| Engine::new(&Settings::from([("brute-force".to_owned(), json)]));
    let events: Vec<Event> =
        (0..5).map(|number| login(number, number as i64, "alice", "failure", "203.0.113.7")).collect();
    let count = |json| {
        findings(&mut with(json).expect("right"), &events).iter().filter(|one| &*one.rule == "brute-force").count()
    };
    assert_eq!(count(serde_json::json!({"threshold": 5})), 1);
    assert_eq!(count(serde_json::json!({"threshold": 5, "timespan": "3s"})), 0);
    assert_eq!(count(serde_json::json!({"threshold": 5, "enabled": false})), 0);
    for wrong in [
        serde_json::json!({"treshold": 5}),
        serde_json::json!({"threshold": 0}),
        serde_json::json!({"timespan": "soon"}),
    ] {
        let error = with(wrong).err().expect("wrong").to_string();
        assert!(error.starts_with("[detectors.brute-force]:"), "{error}");
    }
}

#[test]
fn a_flood_on_one_group_stays_bounded_and_quick() {
    let text = correlated(
        "  type: value_count\n  rules: failed\n  group-by: [source.ip]\n  timespan: 1h\n  condition: {field: user.name, gte: 9000}\n",
    );
    let mut sigma = Sigma::of(&Texts::one("own.yml", &text)).expect("loads");
    let mut out = Vec::new();
    for number in 0..16_000 {
        sigma.observe(
            &login(number, number as i64 / 100, &format!("user{number}"), "failure", "203.0.113.7"),
            &Context::default(),
            &mut out,
        );
    }
    assert_eq!(out.len(), 16_000 - 8_999);
    assert_eq!(sigma.changes().len(), 1);
}

/// Ordinary events are let go before anything is asked of a rule.
#[test]
fn an_event_that_is_no_login_is_no_candidate() {
    let rules = Rules::new(load(&Texts::default().with_shipped()).expect("shipped rules load"));
    let asked = |event: &Event| rules.candidates(&View { event, record: &Record::of(event.raw()), dialect: None });
    let mut event = login(1, 0, "a", "success", "10.0.0.1");
    assert_eq!(asked(&event).len(), 1);
    event.set(Field::EventAction, "LOGIN");
    assert_eq!(asked(&event).len(), 1);
    event.set(Field::EventAction, "view");
    assert!(asked(&event).is_empty());
}

fn story() -> impl Strategy<Value = Vec<(i64, usize, bool)>> {
    proptest::collection::vec((0i64..3_000, 0usize..3, proptest::bool::weighted(0.8)), 1..120)
}

fn tell(story: &[(i64, usize, bool)]) -> Vec<Event> {
    story
        .iter()
        .enumerate()
        .map(|(number, (second, user, failed))| {
            login(
                number as u128,
                *second,
                ["a", "b", "c"][*user],
                if *failed { "failure" } else { "success" },
                "203.0.113.7",
            )
        })
        .collect()
}

proptest! {
    #[test]
    fn saved_and_restored_at_any_point_it_finds_the_same(story in story(), cut in 0usize..120) {
        let events = tell(&story);
        let cut = cut % events.len();
        let whole = findings(&mut engine(&sequence("temporal_ordered")), &events);
        let mut first = engine(&sequence("temporal_ordered"));
        let mut all = findings(&mut first, &events[..cut]);
        let mut second = engine(&sequence("temporal_ordered"));
        for change in first.changes() {
            second.restore(change.owner, &change.key, change.value.as_deref().expect("kept")).expect("readable");
        }
        for finding in findings(&mut second, &events[cut..]) {
            all.retain(|one| one.id != finding.id);
            all.push(finding);
        }
        all.sort_by_key(|one| one.id);
        let mut whole = whole;
        whole.sort_by_key(|one| one.id);
        prop_assert_eq!(all, whole);
    }

    /// In order, our windows decide as the correlation engine of the crate does.
    #[test]
    fn in_order_the_windows_agree_with_the_reference(mut story in story(), kind in 0usize..4) {
        story.sort_by_key(|one| one.0);
        story.dedup_by_key(|one| one.0);
        let text = match kind {
            0 => correlated("  type: event_count\n  rules: [failed]\n  group-by: [user.name]\n  timespan: 2m\n  condition: {gte: 3}\n"),
            1 => correlated("  type: event_count\n  rules: [failed]\n  group-by: [source.ip]\n  timespan: 3m\n  condition: {gt: 2, lt: 5}\n"),
            2 => correlated("  type: value_count\n  rules: [failed]\n  group-by: [source.ip]\n  timespan: 2m\n  condition: {field: user.name, gte: 3}\n"),
            _ => sequence("temporal_ordered").replace("rules: [many, in]", "rules: [failed, in]").replace("crm.entity", "user.name"),
        };
        let wanted = if kind == 3 { "guessed" } else { "many" };
        let title = if kind == 3 { "Guessed" } else { "Many" };
        let events = tell(&story);
        let mut ours = Sigma::of(&Texts::one("own.yml", &text)).expect("loads");
        // The reference tells rules apart by their ids alone.
        let text = text
            .replace("name: failed\n", "name: failed\nid: 00000000-0000-4000-8000-000000000001\n")
            .replace("name: in\n", "name: in\nid: 00000000-0000-4000-8000-000000000002\n");
        let collection = rsigma_parser::parse_sigma_yaml(&text).expect("parses");
        let mut reference = rsigma_eval::CorrelationEngine::new(rsigma_eval::CorrelationConfig::default());
        reference.add_collection(&collection).expect("compiles");
        for event in &events {
            let mut out = Vec::new();
            ours.observe(event, &Context::default(), &mut out);
            let ours = out.iter().any(|one| &*one.rule == wanted);
            let theirs = reference
                .process_event_at(&View { event, record: &Record::of(event.raw()), dialect: None }, event.time / 1000)
                .iter()
                .any(|one| one.is_correlation() && one.header.rule_title == title);
            // The reference repeats a sequence at every event while it is in the window, ours at the events that are part of one.
            if kind == 3 && event.text(Field::EventOutcome) == Some("failure") {
                continue;
            }
            prop_assert_eq!(ours, theirs, "at {}", event.time / 1000);
        }
    }
}
