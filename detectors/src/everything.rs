//! All detectors together, over weeks of a small company with attacks in it: what holds for each must hold for all. Only tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use crate::detector::StateChange;
use crate::engine::Engine;
use crate::event::Event;
use crate::field::Field;
use crate::finding::Finding;
use crate::memory::Taking;
use crate::person::{Person, Status};
use crate::scenario::{
    BERLIN, BERLIN_MOBILE, CHROME, DAY, DUBLIN_CLOUD, FIREFOX, HOUR, MUNICH, NEW_YORK_VPN, PARIS, SAO_PAULO, Site,
    event, failed, with,
};

/// A small generator, the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % most) as i64
    }
}

const USERS: [&str; 10] = ["mia", "ben", "eva", "tom", "ana", "leo", "zoe", "kim", "pat", "sync"];
const ACTIONS: [&str; 12] = [
    "view",
    "view",
    "view",
    "list",
    "search",
    "update",
    "login",
    "report-run",
    "export",
    "api-call",
    "create",
    "delete",
];

fn dressed(mut event: Event, dice: &mut Dice, user: usize) -> Event {
    event.id = crate::EventId(u128::from(dice.0) | 1);
    let name = USERS[user];
    let role = if name == "sync" { "integration" } else { ["sales", "support", "admin"][user % 3] };
    let status = if name == "leo" { Status::Notice } else { Status::Active };
    event.person = Some(Arc::new(Person { user: name.into(), role: Some(role.into()), status, ..Person::default() }));
    event.set(Field::Entity, &format!("user:{name}"));
    event.set(Field::SessionId, &format!("session-{name}-{}", event.time / 86_400_000));
    event.set(Field::ObjectType, ["contact", "account", "case"][user % 3]);
    event.set(Field::ObjectId, &format!("{}", 1_000 + dice.below(400)));
    event
}

fn work(days: i64, dice: &mut Dice) -> Vec<Event> {
    let mut events = Vec::new();
    for day in 0..days {
        for (user, name) in USERS.iter().enumerate() {
            for _ in 0..14 {
                let site: Site =
                    if *name == "sync" { DUBLIN_CLOUD } else { [BERLIN, BERLIN, BERLIN_MOBILE, MUNICH][user % 4] };
                let minute = day * DAY + 8 * HOUR + dice.below(9 * 60);
                let action = ACTIONS[dice.below(12) as usize];
                let records = if action == "export" { 20 + dice.below(300) } else { 1 };
                let agent = if *name == "sync" { "okhttp/4.12.0" } else { CHROME };
                let event = with(event(minute, name, site, action, records), Field::UserAgent, agent);
                events.push(dressed(event, dice, user));
            }
        }
    }
    events
}

fn attacks(day: i64, dice: &mut Dice) -> Vec<Event> {
    let mut events = Vec::new();
    let mut push = |minute: i64, user: usize, site: Site, agent: &str, action: &str, records: i64, dice: &mut Dice| {
        let one = with(event(day * DAY + minute, USERS[user], site, action, records), Field::UserAgent, agent);
        events.push(dressed(one, dice, user));
    };
    for nth in 0..12 {
        push(600 + nth, 0, NEW_YORK_VPN, FIREFOX, "mfa-denied", -1, dice);
    }
    push(615, 0, NEW_YORK_VPN, FIREFOX, "login", -1, dice);
    push(620, 0, NEW_YORK_VPN, FIREFOX, "token-create", -1, dice);
    push(640, 0, NEW_YORK_VPN, FIREFOX, "export", 40_000, dice);
    push(700, 1, SAO_PAULO, FIREFOX, "view", 1, dice);
    push(705, 4, BERLIN, CHROME, "audit-disable", -1, dice);
    push(710, 4, BERLIN, CHROME, "permission-change", -1, dice);
    push(720, 4, BERLIN, CHROME, "export", 9_000, dice);
    push(725, 4, BERLIN, CHROME, "bulk-delete", 3_000, dice);
    push(730, 5, BERLIN, CHROME, "export", 9_000, dice);
    push(180, 2, PARIS, CHROME, "export", 4_000, dice);
    push(800, 9, NEW_YORK_VPN, "python-requests/2.32", "bulk-api", 8_000, dice);
    for nth in 0..300 {
        push(900 + nth / 20, 6, BERLIN, CHROME, "view", nth, dice);
    }
    for nth in 0..60 {
        push(300 + nth / 8, (nth % 8) as usize, NEW_YORK_VPN, FIREFOX, "login", nth, dice);
    }
    let from = events.len() - 60;
    events.drain(from..).collect::<Vec<_>>().into_iter().map(failed).chain(events).collect()
}

/// What the others of the rules are about: each a few events that are dressed as they would be by a parser.
fn more_attacks(day: i64, dice: &mut Dice) -> Vec<Event> {
    let mut events = Vec::new();
    let mut put =
        |minute: i64, user: usize, site: Site, action: &str, records: i64, facts: &[(Field, &str)], dice: &mut Dice| {
            let one = with(event(day * DAY + minute, USERS[user], site, action, records), Field::UserAgent, CHROME);
            let mut one = dressed(one, dice, user);
            facts.iter().for_each(|(field, value)| one.set(*field, value));
            events.push(one);
        };
    put(610, 4, BERLIN, "login-as", -1, &[(Field::UserTargetName, "eva")], dice);
    put(620, 2, BERLIN, "export", 6_000, &[], dice);
    put(
        640,
        7,
        MUNICH,
        "oauth-grant",
        -1,
        &[(Field::OauthClientId, "loader"), (Field::OauthClientName, "Loader")],
        dice,
    );
    put(660, 7, NEW_YORK_VPN, "bulk-api", 9_000, &[(Field::OauthClientId, "loader")], dice);
    put(670, 8, BERLIN, "mfa-removed", -1, &[(Field::UserTargetName, "pat")], dice);
    put(690, 8, SAO_PAULO, "login", -1, &[(Field::UserAgent, FIREFOX)], dice);
    put(695, 8, SAO_PAULO, "view", 1, &[(Field::UserAgent, FIREFOX), (Field::SessionId, "session-of-a-buyer")], dice);
    put(696, 8, PARIS, "view", 1, &[(Field::UserAgent, FIREFOX), (Field::SessionId, "session-of-another")], dice);
    put(697, 8, BERLIN, "view", 1, &[(Field::SessionId, "session-of-the-owner")], dice);
    put(700, 3, MUNICH, "share", 1, &[(Field::ShareScope, "public"), (Field::ObjectType, "report")], dice);
    for nth in 0..40 {
        let buyer = [(Field::ShareScope, "external"), (Field::ShareRecipient, "x@elsewhere.example")];
        put(710 + nth / 4, 3, MUNICH, "share", 1 + nth, &buyer, dice);
    }
    for nth in 0..6 {
        put(730 + nth, 0, BERLIN, "update", 3_000 + nth, &[], dice);
        let path = format!("/crm/../../etc/passwd{nth}");
        put(740 + nth, 9, DUBLIN_CLOUD, "http-request", nth, &[(Field::UrlPath, &path)], dice);
    }
    for nth in 0..24 {
        let (query, kind) = (format!("SELECT COUNT() FROM Kind{nth}"), format!("kind{nth}"));
        put(750 + nth / 6, 5, BERLIN, "api-call", nth, &[(Field::Query, &query), (Field::ObjectType, &kind)], dice);
    }
    for nth in 0..240 {
        let (id, kind) = (format!("g{nth}"), format!("kind{}", nth % 12));
        let guest = [
            (Field::UserName, "guest"),
            (Field::Entity, "user:guest"),
            (Field::ObjectId, id.as_str()),
            (Field::ObjectType, kind.as_str()),
        ];
        put(760 + nth / 10, 6, SAO_PAULO, "view", nth, &guest, dice);
    }
    put(790, 1, BERLIN, "view", 1, &[(Field::ObjectId, "trap-1")], dice);
    let mut failures = Vec::new();
    for nth in 0..40 {
        let name = format!("somebody{nth}");
        let one = event(day * DAY + 800 + nth / 20, &name, SAO_PAULO, "login", nth);
        failures.push(with(one, Field::Entity, &format!("user:{name}")));
    }
    for nth in 0..15 {
        failures.push(dressed(event(day * DAY + 820 + nth / 3, "kim", NEW_YORK_VPN, "login", nth), dice, 7));
    }
    let success = dressed(event(day * DAY + 830, "kim", NEW_YORK_VPN, "login", -1), dice, 7);
    let later = dressed(event(day * DAY + 860, "eva", NEW_YORK_VPN, "login", -1), dice, 2);
    failures.into_iter().map(failed).chain(events).chain([success, later]).collect()
}

/// Three weeks of work with attacks on the last days, in the order of arrival: up to nine minutes late.
fn company(seed: u64) -> Vec<Event> {
    let mut dice = Dice(seed);
    let mut events = work(21, &mut dice);
    events.extend(attacks(18, &mut dice));
    events.extend(more_attacks(19, &mut dice));
    events.extend(attacks(20, &mut dice));
    let mut arriving: Vec<(i64, Event)> =
        events.into_iter().map(|event| (event.time + dice.below(540_000), event)).collect();
    arriving.sort_by_key(|(at, event)| (*at, event.id));
    arriving.into_iter().map(|(_, event)| event).collect()
}

fn engine() -> Engine {
    let traps = serde_json::json!({"records": ["trap-1"]});
    Engine::new(&BTreeMap::from([("honeytoken-touched".to_owned(), traps)])).expect("the settings fit")
}

/// What the story does not hold: silence, weeks of silence, weeks of a little more; and a list of leaked names, which has tests of its own.
const BEYOND_THE_STORY: [&str; 4] = ["credential-stuffing", "dormant-account", "slow-exfiltration", "source-silent"];

fn findings(events: &[Event], cuts: &[usize]) -> Vec<Finding> {
    let (mut engine, mut saved, mut last) = (engine(), BTreeMap::new(), BTreeMap::new());
    for (index, event) in events.iter().enumerate() {
        if cuts.contains(&index) {
            save(&mut engine, &mut saved);
            engine = self::engine();
            for ((owner, key), value) in &saved {
                engine.restore(owner, key, value).expect("what was saved is readable");
            }
        }
        engine.observe(event);
        if index % 500 == 499 {
            engine.tick(event.time);
        }
        last.extend(engine.drain().into_iter().map(|finding| (finding.id, finding)));
    }
    last.into_values().collect()
}

type Saved = BTreeMap<(&'static str, String), Vec<u8>>;

fn save(engine: &mut Engine, saved: &mut Saved) {
    put(engine.changes(), saved);
}

fn put(changes: Vec<StateChange>, saved: &mut Saved) {
    for change in changes {
        match change.value {
            Some(value) => saved.insert((change.owner, change.key), value),
            None => saved.remove(&(change.owner, change.key)),
        };
    }
}

#[test]
fn the_attacks_of_the_story_are_found_by_many_rules() {
    let found = findings(&company(1), &[]);
    let mut rules: Vec<&str> = found.iter().map(|finding| &*finding.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    let wanted = crate::registry::ids().filter(|id| !BEYOND_THE_STORY.contains(id));
    let missing: Vec<&str> = wanted.filter(|id| !rules.contains(id)).collect();
    assert!(missing.is_empty(), "{missing:?} are missing of {rules:?}");
}

#[test]
fn three_weeks_of_work_are_quiet_from_the_first_day() {
    let mut dice = Dice(7);
    let mut events = work(21, &mut dice);
    events.sort_by_key(|event| (event.time, event.id));
    let found = findings(&events, &[]);
    let loud: Vec<String> = found
        .iter()
        .filter(|finding| finding.severity >= crate::Severity::Medium)
        .map(|finding| format!("{} {}", finding.rule, finding.summary.en))
        .collect();
    assert!(loud.is_empty(), "{loud:#?}");
}

#[test]
fn no_outcome_and_no_saved_byte_depends_on_the_order_of_a_map() {
    // Every map is seeded anew, within one process too.
    let events = company(2);
    let run = || {
        let (mut engine, mut saved) = (engine(), BTreeMap::new());
        let mut found = Vec::new();
        for (index, event) in events.iter().enumerate() {
            engine.observe(event);
            if index % 400 == 0 {
                found.extend(engine.drain());
                save(&mut engine, &mut saved);
            }
        }
        (found, saved)
    };
    assert!(run() == run());
}

#[test]
fn taken_piece_by_piece_while_events_go_on_it_is_the_memory_of_the_moment_it_was_marked() {
    let small = |id: &str| (id.to_owned(), serde_json::json!({"capacity": 8}));
    let make = || Engine::new(&[small("bulk-export"), small("impossible-travel")].into()).expect("the settings fit");
    let (mut one, mut other) = (make(), make());
    let (mut at_once, mut by_pieces) = (Saved::new(), Saved::new());
    let mut taking = Taking::default();
    let mut events = company(9);
    for (nth, event) in events.iter_mut().enumerate() {
        // More names than there is room for, so that some go while they wait.
        if nth % 3 == 0 {
            event.set(Field::Entity, &format!("user:{}{}", event.text(Field::UserName).unwrap_or("-"), nth / 3 % 20));
        }
        if nth % 150 == 0 {
            while !taking.is_over() {
                put(taking.next(other.memory(), 100), &mut by_pieces);
            }
            assert!(at_once == by_pieces, "as of {} events", nth.saturating_sub(150));
            save(&mut one, &mut at_once);
            taking = Taking::begin(other.memory());
        }
        one.observe(event);
        other.observe(event);
        put(taking.next(other.memory(), nth % 4), &mut by_pieces);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn cut_and_restored_anywhere_all_detectors_find_the_same(seed in 0u64..1_000, parts in prop::collection::vec(0.0f64..1.0, 1..4)) {
        let events = company(seed);
        let cuts: Vec<usize> = parts.iter().map(|part| (part * events.len() as f64) as usize).collect();
        prop_assert_eq!(findings(&events, &cuts), findings(&events, &[]));
    }
}

#[test]
fn an_engine_fits_its_state_into_the_room_it_promises() {
    let events = company(3);
    let mut engine = engine();
    events.iter().for_each(|event| engine.observe(event));
    let mut by_key: BTreeMap<String, usize> = BTreeMap::new();
    for change in engine.changes() {
        let named = USERS.iter().find(|user| change.key.contains(*user)).map_or("-", |user| user);
        *by_key.entry(named.to_owned()).or_default() += change.value.map_or(0, |value| value.len());
    }
    let people: Vec<(&String, &usize)> = by_key.iter().filter(|(name, _)| *name != "-").collect();
    for (name, bytes) in &people {
        assert!(**bytes < 64 * 1024, "{name} takes {bytes} bytes");
    }
}

/// Which rules found whom, at medium or above.
fn named(found: &[Finding]) -> std::collections::BTreeSet<(String, String)> {
    let loud = found.iter().filter(|finding| finding.severity >= crate::Severity::Medium);
    loud.map(|finding| (finding.rule.to_string(), finding.primary_value().to_owned())).collect()
}

#[test]
fn what_arrives_late_within_its_source_s_lateness_ends_in_the_same_findings_as_in_order() {
    for seed in [4, 5] {
        let late = company(seed);
        let mut in_order = late.clone();
        in_order.sort_by_key(|event| (event.time, event.id));
        assert_eq!(named(&findings(&late, &[])), named(&findings(&in_order, &[])), "seed {seed}");
    }
}

#[test]
fn a_forged_stamp_past_or_future_blinds_no_rule() {
    // What lies further ahead or before 2000 never gets here: enrichment puts the reading time in its place.
    let honest = company(6);
    let wanted = named(&findings(&honest, &[]));
    assert!(wanted.len() >= 12, "{wanted:?}");
    for (name, shift) in [("future", 23 * HOUR + 59), ("past", -900 * DAY)] {
        let mut dice = Dice(99);
        let mut forged = Vec::new();
        for (nth, event) in honest.iter().enumerate() {
            forged.push(event.clone());
            // Each day, of everybody who will be attacked, of each kind of thing.
            if nth % 40 == 0 {
                let user = (nth / 40) % USERS.len();
                let action = ["view", "export", "login", "mfa-denied", "share"][(nth / 40) % 5];
                let minute = (event.time - crate::scenario::START) / 60_000 + shift;
                let (site, agent) = match USERS[user] {
                    "sync" => (DUBLIN_CLOUD, "okhttp/4.12.0"),
                    _ => ([BERLIN, BERLIN, BERLIN_MOBILE, MUNICH][user % 4], CHROME),
                };
                let one = with(self::event(minute, USERS[user], site, action, 1), Field::UserAgent, agent);
                forged.push(dressed(one, &mut dice, user));
            }
        }
        let found = named(&findings(&forged, &[]));
        let blind: Vec<_> = wanted.difference(&found).collect();
        assert!(blind.is_empty(), "{name}: {blind:?}");
    }
}

#[test]
fn a_flood_of_invented_users_blinds_nothing() {
    let settings = BTreeMap::from([
        ("bulk-export".to_owned(), serde_json::json!({"capacity": 64})),
        ("impossible-travel".to_owned(), serde_json::json!({"capacity": 64})),
    ]);
    let found = |flood: bool| {
        let mut engine = Engine::new(&settings).expect("the settings fit");
        let mut last = BTreeMap::new();
        let mut flooded = false;
        for event in company(8) {
            // In the night before the first attack.
            if flood && !flooded && event.time > crate::scenario::START + (18 * DAY + 60) * 60_000 {
                flooded = true;
                for nth in 0..3_000i64 {
                    let name = format!("invented{nth}");
                    let mut one = self::event(
                        18 * DAY + nth / 60,
                        &name,
                        crate::scenario::OREGON_CLOUD,
                        ["login", "view", "export"][nth as usize % 3],
                        1,
                    );
                    one.set(Field::Entity, &format!("user:{name}"));
                    engine.observe(&one);
                }
            }
            engine.observe(&event);
            last.extend(engine.drain().into_iter().map(|finding| (finding.id, finding)));
        }
        let found: Vec<Finding> =
            last.into_values().filter(|one| !one.primary_value().starts_with("invented")).collect();
        named(&found)
    };
    let (calm, flooded) = (found(false), found(true));
    let blind: Vec<_> = calm.difference(&flooded).collect();
    assert!(blind.is_empty(), "{blind:?}");
}
