//! What is promised about enrichment as a whole: the order of its facts, and that a cut leaves no trace.

use std::collections::BTreeMap;
use std::sync::Arc;

use crmwatch_detectors::{EventId, Origin, Value};
use proptest::prelude::*;

use super::*;

fn event(source: &str, time: i64) -> Event {
    let mut event = Event::new("");
    event.time = time;
    event.origin = Arc::new(Origin { source: source.into(), ..Origin::default() });
    event
}

fn enricher() -> Enricher {
    let proxied = SourceSettings {
        user_from: Some("http.request.header.x-user".to_owned()),
        trusted_proxies: vec![("10.0.0.0".parse().expect("an address"), 8)],
    };
    let sources = BTreeMap::from([("web".to_owned(), proxied), ("crm".to_owned(), SourceSettings::default())]);
    let mut enricher = Enricher::new(&Settings { sources, ..Settings::default() }).expect("nothing to read");
    let people = "user,aliases,department\nalice@example.com,0051;asmith,Sales\n";
    enricher.people = people::People::new(people_file::parse(people).expect("a good file"));
    enricher
}

#[test]
fn a_line_behind_the_proxy_leads_to_place_person_and_entity() {
    let mut enricher = enricher();
    let mut line = event("web", 1);
    line.set_ip(Field::SourceIp, "10.0.0.1".parse().expect("an address"));
    line.set(Field::ForwardedIp, "1.1.1.1, 8.8.8.8");
    line.set(Field::UserAgent, "curl/8.4.0");
    line.set_other("http.request.header.x-user", Value::Text("CORP\\ASmith"));
    enricher.enrich(&mut line);
    assert_eq!(line.ip(Field::SourceIp), Some("8.8.8.8".parse().expect("an address")));
    assert_eq!(line.text(Field::NetworkClass), Some("public"));
    assert_eq!(line.text(Field::SourceCountry), Some("US"));
    assert_eq!(line.text(Field::UserAgentDevice), Some("script"));
    assert_eq!(line.text(Field::Person), Some("alice@example.com"));
    assert_eq!(line.text(Field::Department), Some("Sales"));
    assert_eq!(line.text(Field::Entity), Some("person:alice@example.com"));
}

#[test]
fn one_person_is_one_entity_whatever_a_source_calls_him() {
    let mut enricher = enricher();
    for (field, name) in [(Field::UserName, "ALICE"), (Field::UserId, "0051"), (Field::UserEmail, "Alice@example.com")]
    {
        let mut line = event("crm", 1);
        line.set(field, name);
        enricher.enrich(&mut line);
        assert_eq!(line.text(Field::Entity), Some("person:alice@example.com"), "{name}");
    }
}

#[test]
fn an_address_that_is_not_public_has_no_place() {
    for address in ["10.1.2.3", "203.0.113.7", "127.0.0.1", "100.64.1.1", "2001:db8::1", "fe80::1", "224.0.0.1"] {
        let mut line = event("crm", 1);
        line.set_ip(Field::SourceIp, address.parse().expect("an address"));
        enricher().enrich(&mut line);
        assert!(!line.has(Field::SourceCountry) && !line.has(Field::SourceLat) && !line.has(Field::GeoRadius));
        assert!(line.text(Field::NetworkClass).is_some_and(|class| class != "public"), "{address}");
    }
}

#[test]
fn a_line_cannot_say_what_only_enrichment_may() {
    let mut line = event("json", 1);
    for field in [Field::Entity, Field::Person, Field::NetworkClass] {
        line.set(field, "person:ceo@example.com");
    }
    line.set_bool(Field::Duplicate, true);
    line.set_bool(Field::UserInferred, true);
    line.set_float(Field::GeoRadius, -1.0);
    line.set(Field::UserName, "mallory");
    enricher().enrich(&mut line);
    assert_eq!(line.text(Field::Entity), Some("user:mallory"));
    assert!(!line.has(Field::Person) && !line.has(Field::Duplicate) && !line.has(Field::UserInferred));
    assert!(!line.has(Field::GeoRadius) && !line.has(Field::NetworkClass));
}

#[test]
fn a_login_delivered_again_after_the_logout_logs_nobody_in() {
    let mut enricher = enricher();
    let act = |enricher: &mut Enricher, action: &str, user: Option<&str>, time| {
        let mut line = event("crm", time);
        line.set_ip(Field::SourceIp, "8.8.8.8".parse().expect("an address"));
        line.set(Field::EventAction, action);
        line.set(Field::EventOutcome, "success");
        if let Some(user) = user {
            line.set(Field::UserName, user);
        }
        line.delivery = (action == "login").then_some(7);
        enricher.enrich(&mut line);
        line
    };
    assert!(!act(&mut enricher, "login", Some("alice"), 1).is(Field::Duplicate));
    assert!(act(&mut enricher, "view", None, 2).is(Field::UserInferred));
    act(&mut enricher, "logout", Some("alice"), 3);
    assert!(act(&mut enricher, "login", Some("alice"), 1).is(Field::Duplicate));
    assert_eq!(act(&mut enricher, "view", None, 4).text(Field::Entity), Some("address:8.8.8.8"));
}

#[test]
fn an_export_that_web_server_and_crm_both_report_is_counted_once() {
    let mut enricher = enricher();
    let report = |enricher: &mut Enricher, source: &str, time, records: Option<i64>| {
        let mut line = event(source, time);
        line.set(Field::EventAction, "export");
        line.set_ip(Field::SourceIp, "8.8.8.8".parse().expect("an address"));
        if let Some(records) = records {
            line.set_integer(Field::Records, records);
        }
        enricher.enrich(&mut line);
        line.is(Field::Duplicate)
    };
    assert!(!report(&mut enricher, "crm", 0, Some(900)));
    assert!(report(&mut enricher, "web", 400, None));
    assert!(!report(&mut enricher, "web", 9_000, None));
}

#[test]
fn the_configuration_says_which_files_and_proxies() {
    let text = "[people]\nfile = \"/p.csv\"\n[geo]\ncity = \"/c.mmdb\"\n\
                [[source]]\nname = \"web\"\npaths = [\"/w.log\"]\nuser_from = \"url.user\"\ntrusted_proxies = [\"10.0.0.0/8\"]\n";
    let config = Config::parse("crmwatch.toml".as_ref(), text).expect("a good file");
    let settings = Settings::of(&config);
    assert_eq!((settings.people, settings.geo_city), (Some("/p.csv".into()), Some("/c.mmdb".into())));
    assert_eq!(settings.geo_asn, None);
    let web = &settings.sources["web"];
    assert_eq!(web.user_from.as_deref(), Some("url.user"));
    assert_eq!(web.trusted_proxies, [("10.0.0.0".parse().expect("an address"), 8)]);
}

#[test]
fn state_of_others_is_left_to_them() {
    let mut enricher = enricher();
    assert_eq!(enricher.restore("bulk-export", "alice", &[1, 2, 3]), Ok(false));
    assert!(enricher.restore(names::OWNER, "key", &[0xff; 3]).is_err());
    assert!(enricher.restore(repeats::OWNER, "no number", &[0; 8]).is_err());
}

#[test]
fn the_databases_in_use_are_told() {
    let info = enricher().build_info();
    assert!(info.country.build_epoch > 0 && !info.country.date.is_empty());
    assert_eq!((info.city, info.asn), (None, None));
}

/// What the property test makes an event of: few values of each kind, so that they meet.
type Seed = (u8, u8, u8, u8, u8, u8, i64);

fn from_seed(position: usize, (source, action, user, address, session, object, step): Seed) -> Event {
    let mut event = event(["web", "crm", "cloud"][source as usize % 3], position as i64 * 1_000 + step);
    event.id = EventId(position as u128 + 1);
    let actions = ["login", "logout", "view", "export", "delete", "report-run"];
    event.set(Field::EventAction, actions[action as usize % actions.len()]);
    event.set(Field::EventOutcome, ["success", "success", "failure"][(action / 16) as usize % 3]);
    event.set(Field::EventCode, ["", "Report", "ReportExport"][(action / 64) as usize % 3]);
    if user & 1 == 1 {
        event.set(Field::UserId, &format!("id{}", user / 4 % 3));
    }
    if user & 2 == 2 {
        event.set(Field::UserName, &format!("user{}", user / 4 % 3));
    }
    if address % 4 > 0 {
        event.set_ip(Field::SourceIp, format!("8.8.8.{}", address % 4).parse().expect("an address"));
    }
    if address & 16 == 16 {
        event.set(Field::UserAgent, ["curl/8.4.0", "okhttp/4.12.0"][address as usize / 32 % 2]);
    }
    if session % 3 == 0 {
        event.set(Field::SessionId, &format!("session-{}", session / 3 % 4));
    }
    if session & 64 == 64 {
        event.set(Field::CorrelationId, &format!("c{}", session % 2));
    }
    if object % 2 == 0 {
        event.set(Field::ReportId, &format!("00O{}", object / 2 % 3));
    }
    if object & 32 == 32 {
        event.set_integer(Field::Records, object.into());
    }
    if object & 64 == 64 {
        event.delivery = Some(u64::from(object % 8));
    }
    event
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_cut_at_any_point_leaves_no_trace(
        seeds in proptest::collection::vec(any::<(u8, u8, u8, u8, u8, u8)>(), 1..80),
        steps in proptest::collection::vec(-4_000i64..4_000, 80),
        cut in 0usize..80,
        every in 1usize..20,
    ) {
        let inputs: Vec<Event> = seeds
            .iter()
            .zip(&steps)
            .enumerate()
            .map(|(position, ((a, b, c, d, e, f), step))| from_seed(position, (*a, *b, *c, *d, *e, *f, *step)))
            .collect();
        let cut = cut.min(inputs.len());
        let mut whole = enricher();
        let mut before = enricher();
        let mut saved: BTreeMap<(&'static str, String), Vec<u8>> = BTreeMap::new();
        for (position, input) in inputs[..cut].iter().enumerate() {
            let (mut one, mut two) = (input.clone(), input.clone());
            whole.enrich(&mut one);
            before.enrich(&mut two);
            prop_assert_eq!(&one, &two);
            if position % every == 0 || position + 1 == cut {
                for change in crmwatch_detectors::memory::all(before.memory()) {
                    prop_assert!(change.owner.starts_with("enrich."));
                    match change.value {
                        Some(value) => saved.insert((change.owner, change.key), value),
                        None => saved.remove(&(change.owner, change.key)),
                    };
                }
            }
        }
        let mut after = enricher();
        for ((owner, key), value) in &saved {
            prop_assert_eq!(after.restore(owner, key, value), Ok(true));
        }
        for input in &inputs[cut..] {
            let (mut one, mut two) = (input.clone(), input.clone());
            whole.enrich(&mut one);
            after.enrich(&mut two);
            prop_assert_eq!(one, two);
        }
    }
}
