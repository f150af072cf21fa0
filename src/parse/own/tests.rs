//! Lines in formats of an operator's own. Not for what is wrong with a description (`tests/it/golden.rs`), nor for the parts (their own
//! files).

use std::path::Path;
use std::sync::Arc;

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field};

use super::OwnFormat;
use crate::config::parse_formats;
use crate::parse::{Grammar, Options, Verdict, grammar, trial};

fn format(text: &str) -> Arc<OwnFormat> {
    let text = format!("[[format]]\nname = \"shop\"\n{text}");
    match parse_formats(Path::new("shop.toml"), &text) {
        Ok(mut formats) => formats.remove(0),
        Err(error) => panic!("{error}"),
    }
}

fn options(text: &str) -> Options {
    Options { own: Some(format(text)), year: 2026, ..Options::default() }
}

fn reader(text: &str) -> Box<dyn Grammar> {
    grammar("shop", &options(text)).expect("the source's own")
}

fn event(text: &str, line: &str) -> Event {
    trial::event(reader(text), line)
}

const ACCESS: &str = r#"pattern = '$remote_addr - $remote_user [$time_local] "$request" $status'"#;

const ORDERS: &str = r#"
pattern = '$when|$user_name|$source_ip|$op|$crm_records|$shop'
time = { field = "when", format = "%d.%m.%Y %H:%M:%S" }
keep = ["shop"]
defaults = { "crm.object.type" = "order", "event.outcome" = "success" }
actions = [
    { field = "op", equals = "XP", action = "export" },
    { field = "op", prefix = "LG", action = "login" },
    { field = "op", contains = "!", outcome = "failure" },
]
"#;

#[test]
fn a_pattern_of_nginx_reads_as_the_access_log_it_is() {
    let event = event(ACCESS, r#"203.0.113.7 - mia [02/Mar/2026:10:14:07 +0100] "POST /login?x=1 HTTP/1.1" 403"#);
    assert_eq!(event.time, 1_772_442_847_000);
    trial::holds(
        &event,
        &[
            (Field::SourceIp, "203.0.113.7"),
            (Field::UserName, "mia"),
            (Field::HttpMethod, "POST"),
            (Field::UrlPath, "/login"),
            (Field::HttpStatus, "403"),
            (Field::EventAction, "http-request"),
            (Field::EventOutcome, "failure"),
        ],
        "an access line",
    );
}

#[test]
fn values_become_fields_and_the_table_says_what_was_done() {
    for (line, action, outcome) in [
        ("02.03.2026 09:14:07|mia|203.0.113.7|XP|1200|north", "export", "success"),
        ("02.03.2026 09:14:07|mia|203.0.113.7|LG-in!|-|north", "login", "failure"),
        ("02.03.2026 09:14:07|mia|203.0.113.7|other|0|north", "info", "success"),
    ] {
        let event = event(ORDERS, line);
        let shared = [(Field::UserName, "mia"), (Field::SourceIp, "203.0.113.7"), (Field::ObjectType, "order")];
        trial::holds(&event, &shared, line);
        trial::holds(&event, &[(Field::EventAction, action), (Field::EventOutcome, outcome)], line);
        assert_eq!(event.named("shop").map(|value| value.to_string()).as_deref(), Some("north"));
        assert_eq!(event.time, 1_772_442_847_000);
    }
}

#[test]
fn captures_read_as_variables_do_and_the_underscore_passes_a_value_over() {
    let text = r#"
regex = '(?P<ts>\S+ \S+) user=(?P<user_name>.*) from (?P<source_ip>\S+): (?P<op>\w+)(?: of (?P<crm_records>\d+))?(?P<_rest>.*)'
time = { field = "ts", format = "iso" }
actions = [{ field = "op", equals = "dump", action = "export", outcome = "success" }]
"#;
    let event = event(text, "2026-03-02 09:14:07 user=o'neil from me from 203.0.113.7: dump of 7, done");
    let expected = [
        (Field::UserName, "o'neil from me"),
        (Field::SourceIp, "203.0.113.7"),
        (Field::Records, "7"),
        (Field::EventAction, "export"),
    ];
    trial::holds(&event, &expected, "a line");
    assert_eq!(event.time, 1_772_442_847_000);
    assert!(event.others().all(|(name, _)| !name.starts_with('_')));
}

#[test]
fn keys_of_json_become_the_fields_they_are_mapped_to_and_the_others_what_they_are() {
    let text = r#"
json = { "user.name" = "who.login", "crm.records" = "n" }
time = { field = "when", format = "%Y%m%d %H%M%S" }
actions = [
    { field = "what", prefix = "dump", action = "export", outcome = "success" },
    { field = "n", equals = "0", outcome = "failure" },
]
"#;
    let line = r#"{"when":"20260302 091407","who":{"login":"mia"},"what":"dump/all","n":12,"client_ip":"203.0.113.7","x":[1,2]}"#;
    let event = event(text, line);
    assert_eq!(event.time, 1_772_442_847_000);
    let expected = [
        (Field::UserName, "mia"),
        (Field::Records, "12"),
        (Field::SourceIp, "203.0.113.7"),
        (Field::EventAction, "export"),
        (Field::EventOutcome, "success"),
    ];
    trial::holds(&event, &expected, line);
    let others: Vec<String> = event.others().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(others, ["what=dump/all", "x=1", "x=2"]);
}

#[test]
fn a_line_that_is_none_of_the_format_is_refused_with_place_and_expectation() {
    let good = "02.03.2026 09:14:07|mia|203.0.113.7|XP|1200|north";
    for (line, reason, at, expected) in [
        (
            "02.03.2026 09:14:07|mia|203.0.113.7",
            "own-line",
            35,
            "expected `|` behind $source_ip, which begins at column 25",
        ),
        (
            "2026-03-02 09:14:07|mia|203.0.113.7|XP|1|n",
            "own-time",
            0,
            "expected a time such as `02.03.2026 09:14:07` for $when",
        ),
        ("02.03.2026 09:14:07|mia|203.0.113.7|XP|many|n", "own-number", 39, "expected a number for crm.records"),
    ] {
        let mut events = Vec::new();
        assert_eq!(reader(ORDERS).parse(line, &mut events), Verdict::Rejected(reason), "{line}");
        assert!(events.is_empty());
        let miss = format(ORDERS).miss(line, &options(ORDERS)).expect("a miss");
        assert_eq!((miss.at, miss.expected.as_str()), (at, expected));
    }
    assert_eq!(format(ORDERS).miss(good, &options(ORDERS)), None);
}

#[test]
fn a_json_line_without_its_time_or_that_is_no_json_is_refused_with_the_place() {
    let text = "json = { \"user.name\" = \"who\" }\ntime = { field = \"when\", format = \"iso\" }";
    for (line, at, expected) in [
        (r#"{"who":"mia"}"#, 0, "expected a key when with a time such as `2026-03-02T09:14:07Z`"),
        (r#"{"who":"mia","when":"noon"}"#, 13, "expected a time such as `2026-03-02T09:14:07Z` for when"),
        (r#"{"who" "mia"}"#, 7, "expected JSON: a colon should be here"),
    ] {
        assert!(matches!(reader(text).parse(line, &mut Vec::new()), Verdict::Rejected(_)), "{line}");
        let miss = format(text).miss(line, &options(text)).expect("a miss");
        assert_eq!((miss.at, miss.expected.as_str()), (at, expected), "{line}");
    }
}

#[test]
fn a_syslog_header_is_taken_off_unless_it_is_part_of_the_format() {
    let line = "02.03.2026 09:14:07|mia|203.0.113.7|XP|1200|north";
    let carried = event(ORDERS, &format!("<134>Mar  2 09:14:08 web01 shop[7]: {line}"));
    let expected = [(Field::UserName, "mia"), (Field::HostName, "web01"), (Field::EventAction, "export")];
    trial::holds(&carried, &expected, "a carried line");
    let own =
        "pattern = '$stamp $host_name $user_name: $message'\ntime = { field = \"stamp\", format = \"%b %d %H:%M:%S\" }";
    // The stamp has blanks in it, and a variable ends at the first.
    assert!(matches!(reader(own).parse("Mar 02 09:14:07 web01 mia: hello", &mut Vec::new()), Verdict::Rejected(_)));
    let own = "regex = '(?P<stamp>.{15}) (?P<host_name>\\S+) (?P<user_name>\\w+): (?P<message>.*)'\ntime = { field = \"stamp\", format = \"%b %d %H:%M:%S\" }";
    let whole = event(own, "Mar 02 09:14:07 web01 mia: hello");
    trial::holds(
        &whole,
        &[(Field::UserName, "mia"), (Field::HostName, "web01"), (Field::ProcessName, "")],
        "a whole line",
    );
    assert_eq!(whole.time, 1_772_442_847_000);
}

#[test]
fn a_year_that_stamps_lack_goes_on_after_a_restart() {
    let text = "pattern = '$stamp|$user_name'\ntime = { field = \"stamp\", format = \"%b %d %H:%M:%S\" }";
    let mut before = reader(text);
    let mut events = Vec::new();
    assert_eq!(before.parse("Dec 31 23:59:59|mia", &mut events), Verdict::Parsed);
    let mut after = reader(text);
    after.resume(&before.state());
    assert_eq!(after.parse("Jan 01 00:00:00|mia", &mut events), Verdict::Parsed);
    assert_eq!(events[1].time - events[0].time, 1_000);
    assert_eq!(after.parse("    at line 7", &mut events), Verdict::Continuation);
}

#[test]
fn stamps_without_an_offset_are_of_the_sources_zone() {
    let options = Options { timezone: Tz::Europe__Berlin, ..options(ORDERS) };
    let reader = grammar("shop", &options).expect("a grammar");
    assert_eq!(trial::event(reader, "02.03.2026 10:14:07|mia|203.0.113.7|XP|1|n").time, 1_772_442_847_000);
}

proptest::proptest! {
    #[test]
    fn no_line_makes_an_own_format_panic_and_a_miss_lies_in_the_line_of_a_refusal(
        line in r#"([|;\[\]{}" -]|02\.03\.2026 09:14:07|\|mia\||"when":|\{"who":"mia"|[0-9]{1,3}|é|日|\\|.){0,40}"#,
        which in 0..4usize,
    ) {
        let text = [
            ORDERS,
            ACCESS,
            "json = { \"user.name\" = \"who\" }\ntime = { field = \"when\", format = \"%Y %m %d %H:%M\" }",
            "regex = '(?P<user_name>.*?)\\|(?P<crm_records>.*)[|;](?P<message>é?.*)'",
        ][which];
        let mut events = Vec::new();
        let mut own = reader(text);
        let verdict = own.parse(&line, &mut events);
        if let Verdict::Rejected(_) = verdict {
            proptest::prop_assert!(events.is_empty());
        }
        if let Some(miss) = format(text).miss(&line, &options(text)) {
            let plain = crate::parse::wrap::plain(&line);
            proptest::prop_assert!(plain.is_char_boundary(miss.at), "{miss:?}");
        }
        let state = own.state();
        own.resume(&state);
        proptest::prop_assert_eq!(own.state(), state);
    }
}
