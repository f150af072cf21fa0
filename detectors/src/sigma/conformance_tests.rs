//! What the specification of Sigma 2.1 promises, construct by construct, on our own events.

use super::*;
use crate::event::{EventId, Value};

/// An event over fields: name and JSON value.
fn event(fields: serde_json::Value) -> Event {
    let test = serde_json::json!({"fields": fields});
    let test = attributes::Test {
        name: String::new(),
        finds: true,
        events: vec![serde_json::from_value(test).expect("fields")],
    };
    trial::events(&test).remove(0)
}

fn base() -> Event {
    let mut event = event(serde_json::json!({
        "event.action": "view", "user.name": "Alice", "source.ip": "203.0.113.7", "crm.records": 500, "user.target.name": "alice",
        "url.query": "cmd=%2Fc -EncodedCommand \u{2013}x", "command": "SGVsbG8gd29ybGQ=", "path": "C:\\Windows\\System32\\a*b",
        "empty": "", "message": "First line\nsecond LINE", "wide": "aABlAGwAbABvAA==", "host.name": "Alice-PC"
    }));
    event.id = EventId(1);
    // 2026-01-05T08:00:00Z, a Monday in the second week of ISO 8601.
    event.time = 1_767_600_000_000;
    event.set_other("flag", Value::Bool(true));
    event
}

fn matches(detection: &str) -> bool {
    let text = format!("title: T\nname: t\nlogsource: {{product: crm}}\ndetection:\n{detection}\n");
    let mut sigma = Sigma::of(&Texts::one("t.yml", &text)).unwrap_or_else(|error| panic!("{detection}: {error}"));
    let mut out = Vec::new();
    sigma.observe(&base(), &Context::default(), &mut out);
    !out.is_empty()
}

fn item(item: &str) -> bool {
    matches(&format!("  s:\n    {item}\n  condition: s"))
}

#[test]
fn every_modifier_does_what_the_specification_says() {
    for (text, expected) in [
        ("user.name|contains: LIC", true),
        ("user.name|contains|all: [al, ce]", true),
        ("user.name|contains|all: [al, bob]", false),
        ("user.name|startswith: al", true),
        ("user.name|endswith: ICE", true),
        ("user.name|contains|cased: lic", true),
        ("user.name|cased: alice", false),
        ("user.name|re: '^Al.ce$'", true),
        ("user.name|re: '^al.ce$'", false),
        ("user.name|re|i: '^al.ce$'", true),
        ("message|re|m: '^second'", true),
        ("message|re: '^second'", false),
        ("message|re|s: 'line.second'", true),
        ("message|re: 'line.second'", false),
        ("source.ip|cidr: 203.0.113.0/24", true),
        ("source.ip|cidr: [10.0.0.0/8, '2001:db8::/32']", false),
        ("user.name|exists: true", true),
        ("user.email|exists: false", true),
        ("user.email|exists: true", false),
        ("command|base64: 'Hello world'", true),
        ("command|base64offset|contains: 'ello wor'", true),
        ("wide|wide|base64offset|contains: 'hello'", true),
        ("wide|utf16le|base64offset|contains: 'hello'", true),
        ("wide|utf16be|base64offset|contains: 'hello'", false),
        ("url.query|windash|contains: ' -x'", true),
        ("url.query|contains: ' -x'", false),
        ("crm.records|lt: 501", true),
        ("crm.records|lte: 499", false),
        ("crm.records|gt: 499", true),
        ("crm.records|gte: 501", false),
        ("user.name|neq: bob", true),
        ("user.name|neq: alice", false),
        ("user.name|fieldref: user.target.name", true),
        ("host.name|fieldref|startswith: user.target.name", true),
        ("user.name|fieldref: host.name", false),
        ("'@timestamp|hour': 8", true),
        ("'@timestamp|minute': 1", false),
        ("'@timestamp|day': 5", true),
        ("'@timestamp|week': 2", true),
        ("'@timestamp|month': 1", true),
        ("'@timestamp|year': 2026", true),
    ] {
        assert_eq!(item(text), expected, "{text}");
    }
}

#[test]
fn values_escape_and_are_typed_as_the_specification_says() {
    for (text, expected) in [
        (r"path: 'C:\Windows\*'", false),
        (r"path: 'C:\Windows\Sys*'", true),
        (r"path: 'C:\Windows\System32\a\*b'", true),
        (r"path: 'C:\Windows\System32\a?b'", true),
        (r"path: 'C:\Windows\System32\a\?b'", false),
        (r"path: 'C:\\Windows\\*'", true),
        (r"path: '*\\a*'", true),
        ("user.name: 'a*'", true),
        ("user.name: 'A?ice'", true),
        ("user.name: 'a?e'", false),
        ("user.email: null", true),
        ("user.name: null", false),
        ("empty: ''", true),
        ("user.name: ''", false),
        ("crm.records: 500", true),
        ("crm.records: '500'", true),
        ("crm.records: [1, 500]", true),
        ("flag: true", true),
        ("flag: 'true'", true),
        ("user.name: [bob, ALICE]", true),
    ] {
        assert_eq!(item(text), expected, "{text}");
    }
    assert!(matches("  s: [nothing, 'second line']\n  condition: s"), "one of several keywords");
    assert!(matches("  s:\n    '|all': [first, alice]\n  condition: s"), "all keywords");
    assert!(!matches("  s:\n    '|all': [first, bob]\n  condition: s"), "not all keywords");
    assert!(matches("  s:\n    '|cased': [Alice]\n  condition: s"));
    assert!(!matches("  s:\n    '|cased': [ALICE, FIRST]\n  condition: s"));
    assert!(item("user.name: ['100%', '%20a%2Bb%', alice]"), "per cent signs are themselves");
    assert!(matches("  s:\n    - user.name: bob\n    - crm.records: 500\n  condition: s"), "a list of maps is an or");
}

#[test]
fn conditions_bind_and_select_as_the_specification_says() {
    let names = "  sel_a: {user.name: alice}\n  sel_b: {user.name: bob}\n  _hidden: {user.name: bob}\n  other: {crm.records: 500}\n";
    for (condition, expected) in [
        ("sel_a", true),
        ("sel_b", false),
        ("sel_b or sel_a and other", true),
        ("(sel_b or sel_a) and not other", false),
        ("not sel_b and other", true),
        ("not (sel_a and sel_b)", true),
        ("1 of sel_*", true),
        ("all of sel_*", false),
        ("any of them", true),
        ("all of them", false),
        ("1 of *_b", false),
        ("all of o*er", true),
        ("sel_a and 1 of them and not 1 of *_b", true),
        ("2 of them", true),
    ] {
        assert_eq!(matches(&format!("{names}  condition: {condition}")), expected, "{condition}");
    }
    let three = names.replace("sel_b: {user.name: bob}", "sel_b: {user.name: alice}");
    assert!(matches(&format!("{three}  condition: all of them")), "what begins with _ is none of them");
    assert!(matches(&format!("{names}  condition:\n    - sel_b\n    - sel_a")), "a list of conditions is an or");
}

#[test]
fn placeholders_are_put_in_from_the_configuration_and_refused_without() {
    let text = "title: T\nname: t\nlogsource: {product: crm}\ndetection:\n  s:\n    user.name|startswith|expand: '%people%'\n  condition: s\n";
    let mut texts = Texts::one("t.yml", text);
    let error = load(&texts).err().expect("refused").to_string();
    assert!(error.starts_with("t.yml:6: the placeholder %people%"), "{error}");
    texts.placeholders.insert("people".to_owned(), vec!["bob".to_owned(), "al".to_owned()]);
    let mut out = Vec::new();
    Sigma::of(&texts).expect("loads").observe(&base(), &Context::default(), &mut out);
    assert_eq!(out.len(), 1);
}

#[test]
fn a_filter_may_select_and_may_have_several_conditions() {
    let rule = "title: T\nname: t\nlogsource: {product: crm}\ndetection:\n  s: {crm.records|gt: 1}\n  condition: s\n";
    let finds = |filter: &str| {
        let mut out = Vec::new();
        let text = format!("{rule}---\ntitle: F\nlogsource: {{product: crm}}\nfilter:\n{filter}");
        let mut sigma = Sigma::of(&Texts::one("t.yml", &text)).unwrap_or_else(|error| panic!("{filter}: {error}"));
        sigma.observe(&base(), &Context::default(), &mut out);
        !out.is_empty()
    };
    let selections = "  a_one: {user.name: alice}\n  a_two: {user.name: bob}\n";
    assert!(!finds(&format!("  rules: [t]\n{selections}  condition: not 1 of a_*\n")));
    assert!(finds(&format!("  rules: [t]\n{selections}  condition: not all of a_*\n")));
    assert!(finds(&format!("  rules: any\n{selections}  condition: [a_two, a_one]\n")));
    assert!(!finds(&format!("  rules: any\n{selections}  condition: [a_two, not a_one]\n")));
    let text = format!(
        "{rule}---\ntitle: F\nlogsource: {{product: crm}}\nfilter:\n  rules: [t]\n{selections}  condition: not 1 of b_*\n"
    );
    let error = load(&Texts::one("t.yml", &text)).err().expect("refused").to_string();
    assert!(error.starts_with("t.yml:14: ") && error.contains("1 of b_*"), "{error}");
}

#[test]
fn keys_nobody_reads_are_refused_with_their_line() {
    let many = |lines: &str| {
        format!(
            "title: One\nname: one\nlogsource: {{product: crm}}\ndetection:\n  s: {{user.name: a}}\n  condition: s\n---\ntitle: Many\nname: many\ncorrelation:\n  type: event_count\n  rules: [one]\n  timespan: 1h\n{lines}"
        )
    };
    for (lines, line, key) in [
        ("  condition: {gte: 2}\n  groupby: [user.name]\n", 15, "`groupby`"),
        ("  condition:\n    gte: 2\n    least: 3\n", 16, "`least`"),
        ("  condition: {gte: 2}\nrsigma.suppress: 5m\n", 15, "`rsigma.suppress`"),
        ("  condition: {gte: -2}\n", 14, "a figure below 0"),
    ] {
        let error = load(&Texts::one("t.yml", &many(lines))).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with(&format!("t.yml:{line}: ")) && error.contains(key), "{lines}: {error}");
    }
}

#[test]
fn a_count_in_a_condition_is_taken_as_the_correlation_it_means() {
    let rule = |condition: &str| {
        format!(
            "title: Old\nid: old\nlevel: high\nlogsource: {{product: crm}}\ndetection:\n  s: {{event.action: view}}\n  timeframe: 10m\n  condition: {condition}\n"
        )
    };
    let found = |condition: &str, users: &[&str]| {
        let mut sigma = Sigma::of(&Texts::one("t.yml", &rule(condition))).unwrap_or_else(|error| panic!("{error}"));
        let mut out = Vec::new();
        for (number, user) in users.iter().enumerate() {
            let mut event =
                event(serde_json::json!({"event.action": "view", "user.name": user, "source.ip": "203.0.113.7"}));
            event.id = EventId(number as u128);
            event.time = number as i64 * 60_000;
            sigma.observe(&event, &Context::default(), &mut out);
        }
        assert!(out.iter().all(|one| &*one.rule == "old"), "only the rule itself is told of");
        out.len()
    };
    assert_eq!(found("s | count() by source.ip > 2", &["a", "b", "a", "b"]), 2);
    assert_eq!(found("s | count(user.name) by source.ip >= 3", &["a", "b", "a", "b"]), 0);
    assert_eq!(found("s | count(user.name) by source.ip, event.action >= 3", &["a", "b", "a", "c"]), 1);
    assert_eq!(found("s | count() == 2", &["a", "b", "a"]), 1);
    for (condition, told) in [("s | near other", "t.yml:8: "), ("s | sum(crm.records) > 3", "t.yml:8: ")] {
        let error =
            load(&Texts::one("t.yml", &rule(condition))).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with(told), "{condition}: {error}");
    }
}
