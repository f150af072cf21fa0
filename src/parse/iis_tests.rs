//! Rows of IIS under every kind of header, and the events they have to become.

use super::super::trial::holds;
use super::*;

fn run(text: &str) -> Vec<(Verdict, Option<Event>)> {
    let mut grammar = (FORMAT.grammar)(&Options::default());
    text.lines()
        .map(|line| {
            let mut events = Vec::new();
            let verdict = grammar.parse(line, &mut events);
            (verdict, events.pop())
        })
        .collect()
}

const DEFAULT: &str = "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken";

#[test]
fn a_row_is_read_by_the_fields_in_force_and_they_may_change() {
    let text = format!(
        "#Software: Microsoft Internet Information Services 10.0\n{DEFAULT}\n2026-03-02 09:14:07 10.0.0.5 GET /crm/main.aspx id=7 443 ACME\\mia 203.0.113.7 Mozilla/5.0+(Windows) - 200 0 0 123\n#Fields: time c-ip cs-method cs-uri-stem sc-status\n#Date: 2026-03-03 00:00:00\n09:14:07 203.0.113.8 POST /x 500"
    );
    let rows = run(&text);
    let first = rows[2].1.as_ref().expect("an event");
    holds(
        first,
        &[
            (Field::EventAction, "http-request"),
            (Field::EventOutcome, "success"),
            (Field::UserName, "mia"),
            (Field::UserDomain, "ACME"),
            (Field::SourceIp, "203.0.113.7"),
            (Field::UrlPath, "/crm/main.aspx"),
            (Field::UrlQuery, "id=7"),
            (Field::UrlOriginal, "/crm/main.aspx?id=7"),
            (Field::UserAgent, "Mozilla/5.0 (Windows)"),
            (Field::HttpStatus, "200"),
            (Field::EventDuration, "123000000"),
            (Field::DestinationPort, "443"),
        ],
        "default set",
    );
    assert_eq!(first.time, 1_772_442_847_000);
    let second = rows[5].1.as_ref().expect("an event");
    assert_eq!(second.time, 1_772_442_847_000 + 86_400_000);
    holds(second, &[(Field::EventOutcome, "failure"), (Field::SourceIp, "203.0.113.8")], "changed set");
}

#[test]
fn a_file_without_its_head_is_told_by_the_number_of_fields() {
    for row in [
        "2026-03-02 09:14:07 127.0.0.1 GET / q=100 80 - 203.0.113.7 Mozilla/5.0 - 200 0 0 123",
        "2026-03-02 09:14:07 127.0.0.1 GET / q=100 80 - 203.0.113.7 Mozilla/5.0 200 0 0 123",
        "2026-03-02 09:14:07 W3SVC1 GET / q=100 80 - 203.0.113.7 Mozilla/5.0 - - example.com 200 0 0 123 456 789",
        "2026-03-02 09:14:07 W3SVC1 HOST 127.0.0.1 GET / q=100 80 - 203.0.113.7 HTTP/1.1 Mozilla/5.0 - - example.com 200 0 0 123 456 789",
    ] {
        assert_eq!((FORMAT.sniff)(row), 80, "{row}");
        let rows = run(row);
        let event = rows[0].1.as_ref().unwrap_or_else(|| panic!("{row}: {:?}", rows[0].0));
        holds(event, &[(Field::SourceIp, "203.0.113.7"), (Field::HttpStatus, "200"), (Field::UrlQuery, "q=100")], row);
    }
    assert!(matches!(run("2026-03-02 09:14:07 hello world")[0].0, Verdict::Rejected(_)));
}

#[test]
fn a_failed_logon_is_one_and_a_step_of_the_handshake_is_none() {
    for (codes, action, outcome) in [
        ("401 1 1326", "login", "failure"),
        ("401 2 5", "http-request", "unknown"),
        ("401 0 0", "http-request", "unknown"),
        ("403 0 0", "http-request", "failure"),
    ] {
        let text = format!("{DEFAULT}\n2026-03-02 09:14:07 10.0.0.5 GET /x - 443 - fe80::1%3 - - {codes} 1");
        let rows = run(&text);
        holds(
            rows[1].1.as_ref().expect("an event"),
            &[(Field::EventAction, action), (Field::EventOutcome, outcome), (Field::SourceIp, "fe80::1")],
            codes,
        );
    }
}

#[test]
fn advanced_logging_quotes_and_other_servers_fields_are_read() {
    let text = "#Fields: date-local time-local c-ip cs-method cs-uri sc-status cs(User-Agent) x-forwarded-for\n2026-03-02 09:14:07.250 10.0.0.1 GET /a?b=1 200 \"Mozilla \"\"x\"\"\" 203.0.113.7";
    let rows = run(text);
    let event = rows[1].1.as_ref().expect("an event");
    holds(
        event,
        &[
            (Field::UrlPath, "/a"),
            (Field::UrlQuery, "b=1"),
            (Field::UserAgent, "Mozilla \"x\""),
            (Field::ForwardedIp, "203.0.113.7"),
        ],
        text,
    );
    assert_eq!(event.time, 1_772_442_847_250);
}

#[test]
fn the_native_format_is_read_in_local_time() {
    let row =
        "203.0.113.7, ACME\\mia, 3/2/2026, 9:14:07, W3SVC1, WEB1, 10.0.0.5, 2, 769, 143, 304, 0, GET, /crm, id=1,";
    assert_eq!((FORMAT.sniff)(row), 80);
    let rows = run(row);
    let event = rows[0].1.as_ref().expect("an event");
    holds(
        event,
        &[
            (Field::SourceIp, "203.0.113.7"),
            (Field::UserName, "mia"),
            (Field::UrlPath, "/crm"),
            (Field::UrlQuery, "id=1"),
            (Field::HttpStatus, "304"),
        ],
        row,
    );
    assert_eq!(event.time, 1_772_442_847_000);
}

#[test]
fn a_restart_goes_on_with_the_fields_and_the_day() {
    let mut first = (FORMAT.grammar)(&Options::default());
    let mut events = Vec::new();
    for line in ["#Fields: time c-ip cs-method cs-uri-stem sc-status", "#Date: 2026-03-02 00:00:00"] {
        assert_eq!(first.parse(line, &mut events), Verdict::Skipped);
    }
    let mut second = (FORMAT.grammar)(&Options::default());
    second.resume(&first.state());
    assert_eq!(second.parse("09:14:07 203.0.113.8 GET /x 200", &mut events), Verdict::Parsed);
    assert_eq!(events[0].time, 1_772_442_847_000);
}

#[test]
fn a_field_that_is_called_like_a_day_is_still_there_after_a_restart() {
    let mut first = (FORMAT.grammar)(&Options::default());
    let mut events = Vec::new();
    assert_eq!(first.parse("#Fields: 7 cs-method c-ip", &mut events), Verdict::Skipped);
    let mut second = (FORMAT.grammar)(&Options::default());
    second.resume(&first.state());
    for grammar in [&mut first, &mut second] {
        assert_eq!(grammar.parse("x GET 203.0.113.7", &mut events), Verdict::Parsed);
    }
    assert_eq!(first.state(), second.state());
}

#[test]
fn forwarded_addresses_behind_a_row_without_its_head_move_no_column() {
    for (row, agent, host) in [
        (
            "2026-03-02 09:14:07 10.0.0.5 GET /crm/a.aspx id=7 80 mia 203.0.113.7 x+(y) 404 4 2 1234 198.51.100.9,+10.0.0.2",
            "x (y)",
            "",
        ),
        (
            "2026-03-02 09:14:07 W3SVC2 web1 10.0.0.5 GET /crm/a.aspx id=7 80 mia 203.0.113.7 HTTP/1.1 Bot/1.0 - - crm.example 404 4 2 346 306 0 198.51.100.9,+10.0.0.2",
            "Bot/1.0",
            "crm.example",
        ),
    ] {
        let event = run(row).pop().and_then(|(_, event)| event).expect("an event");
        holds(
            &event,
            &[
                (Field::SourceIp, "203.0.113.7"),
                (Field::UserName, "mia"),
                (Field::HttpStatus, "404"),
                (Field::HttpReferrer, ""),
                (Field::UserAgent, agent),
                (Field::UrlDomain, host),
                (Field::ForwardedIp, "198.51.100.9, 10.0.0.2"),
            ],
            row,
        );
        let sub: Vec<String> =
            event.others().filter(|(name, _)| *name == "sc-substatus").map(|(_, value)| value.to_string()).collect();
        assert_eq!(sub, ["4"], "{row}");
    }
}
