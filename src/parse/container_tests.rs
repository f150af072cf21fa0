//! What containers wrap around lines of every kind, whole and in pieces. Not for whole files of a format (`tests/it/formats`).

use chrono_tz::Tz;
use crmwatch_detectors::Field;

use super::*;
use crate::parse::{self, Options, trial::holds};

fn options() -> Options {
    Options { timezone: Tz::UTC, year: 2026, ..Options::default() }
}

fn read(format: &str, records: &[&str]) -> Vec<Event> {
    let mut grammar = parse::grammar(format, &options()).expect("a format");
    let mut events = Vec::new();
    for record in records {
        // Any two records may be read by two processes.
        let mut next = parse::grammar(format, &options()).expect("a format");
        next.resume(&grammar.state());
        assert_eq!(next.framing(record.as_bytes()), Framing::Lines, "{record}");
        let verdict = next.parse(record, &mut events);
        assert!(!matches!(verdict, Verdict::Rejected(_)), "{record}: {verdict:?}");
        grammar = next;
    }
    events
}

/// One line each of formats that have nothing in common.
const LINES: &[&str] = &[
    r#"203.0.113.7 - mia [02/Mar/2026:09:14:07 +0000] "GET /index.php?module=Contacts&action=index HTTP/1.1" 200 512 "-" "Mozilla/5.0 (X11) \"x\"""#,
    "2026-03-02 09:14:07,123 1 INFO crm odoo.addons.base.models.res_users: Login failed for db:crm login:mia from 203.0.113.7 ",
    r#"CEF:0|Acme|CRM|1.0|100|Report exported|5|rt=1772442847250 src=203.0.113.7 suser=mia@example.com act=export outcome=success"#,
    r#"time=2026-03-02T09:14:07Z level=info msg="export done" user=mia@example.com ip=203.0.113.7 action=export rows=5200"#,
    r#"{"CreationTime":"2026-03-02T09:14:07","Id":"53c98033-cca4-4420-97e4-4c1b4f81e062","Operation":"UserLoggedIn","RecordType":15,"UserType":0,"Workload":"AzureActiveDirectory","ClientIP":"203.0.113.7:5000","UserId":"mia@example.com"}"#,
    r#"203.0.113.7:58430 [02/Mar/2026:09:14:07.608] https-in~ crm/web1 0/0/1/43/44 200 26170 - - ---- 3/3/1/1/0 0/0 "GET /portal/ HTTP/1.1""#,
    "2026-03-02 09:14:07 10.0.0.1 GET /crm/default.aspx id=7 443 ACME\\mia 203.0.113.7 Mozilla/5.0+(X11) - 200 0 0 123",
];

fn same(bare: &Event, found: &Event, record: &str) {
    assert_eq!(bare.time, found.time, "{record}");
    assert_eq!(bare.delivery, found.delivery, "{record}");
    let of = |event: &Event| -> Vec<(String, String)> {
        Field::ALL
            .iter()
            .filter(|field| {
                !field.name().starts_with("log.syslog")
                    && !["host.name", "process.name", "process.pid", "log.level"].contains(&field.name())
            })
            .flat_map(|field| {
                event.all(*field).map(|value| (field.name().to_owned(), value.to_string())).collect::<Vec<_>>()
            })
            .collect()
    };
    assert_eq!(of(bare), of(found), "{record}");
}

#[test]
fn whatever_carries_a_line_auto_gives_the_event_of_the_bare_line() {
    for line in LINES {
        let bare = read("auto", &[line]).pop().expect("an event");
        let quoted = serde_json::to_string(line).expect("JSON");
        let ended = serde_json::to_string(&format!("{line}\n")).expect("JSON");
        for record in [
            format!(r#"{{"log":{ended},"stream":"stdout","time":"2026-03-02T09:20:00.5Z"}}"#),
            format!(r#"{{"log":{ended},"stream":"stderr","attrs":{{"tag":"crm"}},"time":"2026-03-02T09:20:00.5Z"}}"#),
            format!("crm_web-1  | {line}"),
            format!("\u{1b}[36mcrm_web-1  | \u{1b}[0m{line}"),
            format!("2026-03-02T09:20:00.123456789Z stdout F {line}"),
            format!("2026-03-02T10:20:00.123456789+01:00 stderr F {line}"),
            format!("<134>Mar  2 09:20:00 web1 crm[77]: {line}"),
            format!("<134>1 2026-03-02T09:20:00Z web1 crm 77 - - {line}"),
            format!("Mar  2 09:20:00 web1 crm[77]: {line}"),
            format!(r#"{{"@timestamp":"2026-03-02T09:20:00Z","log":{quoted}}}"#),
        ] {
            let found = read("auto", &[&record]).pop().expect("an event");
            same(&bare, &found, &record);
            assert!(found.raw() == record || record.starts_with("{\""), "{record}");
        }
    }
}

#[test]
fn a_named_format_reads_its_lines_from_any_container() {
    let line = LINES[1];
    let bare = read("odoo", &[line]).pop().expect("an event");
    let ended = serde_json::to_string(&format!("{line}\n")).expect("JSON");
    for record in [
        format!(r#"{{"log":{ended},"stream":"stdout","time":"2026-03-02T09:20:00.5Z"}}"#),
        format!("crm_web-1  | {line}"),
        format!("2026-03-02T09:20:00.123456789Z stdout F {line}"),
    ] {
        let found = read("odoo", &[&record]).pop().expect("an event");
        same(&bare, &found, &record);
        assert_eq!(found.raw(), record);
    }
}

#[test]
fn pieces_of_a_line_are_joined_each_stream_for_itself_and_over_a_restart() {
    let (head, tail) = LINES[4].split_at(60);
    let events = read(
        "auto",
        &[
            &format!("2026-03-02T09:20:00.1Z stdout P {head}"),
            "2026-03-02T09:20:00.2Z stderr F something was said",
            &format!("2026-03-02T09:20:00.3Z stdout F {tail}"),
        ],
    );
    assert_eq!(events.len(), 2);
    holds(&events[0], &[(Field::EventAction, "info"), (Field::Message, "something was said")], "between");
    assert_eq!(events[0].time, 1_772_443_200_200);
    same(&read("auto", &[LINES[4]])[0], &events[1], "joined");
    assert_eq!(events[1].raw(), LINES[4]);
    // docker cuts at 16 KiB and leaves the line break out.
    let long = format!("{} {}", LINES[3], "x".repeat(20_000));
    let (head, tail) = long.split_at(CUT);
    let events = read(
        "auto",
        &[
            &format!(r#"{{"log":{},"stream":"stdout","time":"2026-03-02T09:20:00Z"}}"#, serde_json::json!(head)),
            &format!(
                r#"{{"log":{},"stream":"stdout","time":"2026-03-02T09:20:00Z"}}"#,
                serde_json::json!(format!("{tail}\n"))
            ),
        ],
    );
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].text(Field::EventAction), Some("export"));
}

#[test]
fn pieces_that_never_end_are_read_as_they_are() {
    let mut grammar = parse::grammar("auto", &options()).expect("a format");
    let mut events = Vec::new();
    let piece = format!("2026-03-02T09:20:00Z stdout P {}", "x ".repeat(150_000));
    let verdicts: Vec<Verdict> = (0..5).map(|_| grammar.parse(&piece, &mut events)).collect();
    assert!(verdicts.contains(&Verdict::Parsed), "{verdicts:?}");
    assert!(grammar.state().len() <= MOST + 100);
}

#[test]
fn what_only_looks_like_a_container_s_is_left_alone() {
    let mut reader = Reader::default();
    for text in [
        "2026-03-02T09:14:07Z stdout X y",
        "2026-03-02T09:14:07Z stdoutF y",
        "2026-03-02 stdout F y",
        "2026-03-02T09:14:07Z x stdout F y",
    ] {
        assert!(cri(text).is_none(), "{text}");
    }
    assert!(docker(&mut reader, r#"{"log":"a","stream":"stdout"} x"#).is_none());
    assert!(docker(&mut reader, r#"{"log":7"#).is_none());
    assert!(composed("a b | c").is_none());
}

#[test]
fn a_format_of_an_operator_s_own_may_begin_as_a_runtime_s_lines_do() {
    for (pattern, record) in
        [("$host_name | $user_name", "web1 | mia"), ("[$host_name] $user_name", "crm-1  | [web1] mia")]
    {
        let text = format!("[[format]]\nname = \"own\"\npattern = '{pattern}'\n");
        let formats = crate::config::parse_formats(std::path::Path::new("own.toml"), &text).expect("a format");
        let options = Options { own: formats.first().cloned(), ..options() };
        let mut grammar = parse::grammar("own", &options).expect("the format");
        let mut events = Vec::new();
        assert_eq!(grammar.parse(record, &mut events), Verdict::Parsed, "{record}");
        let told = [Field::HostName, Field::UserName].map(|field| events[0].text(field));
        assert_eq!(told, [Some("web1"), Some("mia")], "{record}");
        assert_eq!(events[0].raw(), record);
    }
}
