//! Any transport may carry any format: each line of each format, packed in each way there is, means what it means alone. Not for what the
//! lines mean (`formats`) nor for what transports say themselves (the tests beside `src/parse/syslog.rs` and `src/parse/container.rs`).

use chrono_tz::Tz;
use crmwatch::parse::web::Tables;
use crmwatch::parse::{self, FORMATS, NO_TIME, Options, Verdict};
use crmwatch_detectors::{Event, json};
use serde_json::json;

use crate::formats::{file, in_short};

/// A way of packing a line; some need several records for one.
type Pack = fn(&str) -> Vec<String>;

fn compose(line: &str) -> Vec<String> {
    vec![format!("crm-web-1  | {line}")]
}

fn docker(line: &str) -> Vec<String> {
    vec![json!({"log": format!("{line}\n"), "stream": "stdout", "time": "2026-03-09T00:00:00.123456789Z"}).to_string()]
}

fn kubernetes(line: &str) -> Vec<String> {
    vec![format!("2026-03-09T00:00:00.123456789Z stdout F {line}")]
}

/// The runtime cut the line, and another stream's line came between.
fn kubernetes_cut(line: &str) -> Vec<String> {
    let at = (0..=line.len() / 2).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    vec![
        format!("2026-03-09T00:00:00.1Z stdout P {}", &line[..at]),
        "2026-03-09T00:00:00.2Z stderr F ".to_owned(),
        format!("2026-03-09T00:00:00.3Z stdout F {}", &line[at..]),
    ]
}

fn rfc3164(line: &str) -> Vec<String> {
    vec![format!("<134>Mar  9 00:00:00 web1 crm[77]: {line}")]
}

/// As rsyslog's files have it: without the priority.
fn syslog_file(line: &str) -> Vec<String> {
    vec![format!("Mar  9 00:00:00 web1 crm: {line}")]
}

fn rfc5424(line: &str) -> Vec<String> {
    vec![format!("<134>1 2026-03-09T00:00:00.000Z web1 crm 77 ID [meta sequenceId=\"32\"] {line}")]
}

fn within(outer: Pack, inner: Pack, line: &str) -> Vec<String> {
    inner(line).iter().flat_map(|record| outer(record)).collect()
}

/// What carries lines of a format that was named.
const CARRIERS: &[(&str, Pack)] = &[
    ("compose", compose),
    ("docker", docker),
    ("kubernetes", kubernetes),
    ("kubernetes, cut", kubernetes_cut),
    ("syslog, RFC 3164", rfc3164),
    ("syslog, a file", syslog_file),
    ("syslog, RFC 5424", rfc5424),
    ("docker with syslog", |line| within(docker, rfc3164, line)),
    ("kubernetes with syslog", |line| within(kubernetes, rfc5424, line)),
    ("compose with syslog", |line| within(compose, rfc3164, line)),
];

fn journald(line: &str) -> Vec<String> {
    vec![
        json!({"__REALTIME_TIMESTAMP": "1773014400000000", "_HOSTNAME": "web1", "SYSLOG_IDENTIFIER": "crm", "MESSAGE": line})
            .to_string(),
    ]
}

fn filebeat(line: &str) -> Vec<String> {
    vec![
        json!({"@timestamp": "2026-03-09T00:00:00.000Z", "message": line, "host": {"name": "web1"},
            "log": {"offset": 7, "file": {"path": "/var/log/x"}}, "input": {"type": "log"}})
        .to_string(),
    ]
}

fn fluentd(line: &str) -> Vec<String> {
    vec![json!({"log": line, "kubernetes": {"pod_name": "crm-0"}, "container_name": "crm"}).to_string()]
}

fn graylog(line: &str) -> Vec<String> {
    vec![
        json!({"version": "1.1", "host": "web1", "short_message": line, "timestamp": 1773014400.5, "level": 6})
            .to_string(),
    ]
}

/// What carries lines of a format that nobody named, in JSON of a collector's own.
const COLLECTORS: &[(&str, Pack)] =
    &[("journald", journald), ("filebeat", filebeat), ("fluentd", fluentd), ("graylog", graylog)];

/// The events of each line, in short; where a line has no time of its own, without one.
fn read(format: &str, lines: &[&str], pack: Option<Pack>) -> Vec<(bool, Vec<String>)> {
    let options = Options { timezone: Tz::UTC, year: 2026, ..Options::default() };
    let tables = Tables::shipped();
    let mut grammar = parse::grammar(format, &options).expect("a format of the list");
    let told = |event: &mut Event| {
        tables.apply(event);
        in_short(&json::object(event))
    };
    let records = lines.iter().map(|line| {
        let mut events = Vec::new();
        for record in pack.map_or_else(|| vec![(*line).to_owned()], |pack| pack(line)) {
            let verdict = grammar.parse(&record, &mut events);
            assert!(!matches!(verdict, Verdict::Rejected(_)), "{format}: {record}: {verdict:?}");
        }
        (events.iter().all(|event| event.time != NO_TIME), events.iter_mut().map(told).collect())
    });
    records.collect()
}

fn same(as_what: &str, format: &str, name: &str, pack: Pack, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut others = Vec::new();
    for (line, ((dated, alone), (_, packed))) in
        lines.iter().zip(read(format, &lines, None).into_iter().zip(read(as_what, &lines, Some(pack))))
    {
        // A heading or a remark is nothing by itself, and a message where a transport gave it a header.
        if alone.is_empty() {
            continue;
        }
        let undated = |told: &String| told.split_once(" | ").map_or_else(String::new, |(_, rest)| rest.to_owned());
        let equal = if dated { alone == packed } else { alone.iter().map(undated).eq(packed.iter().map(undated)) };
        if !equal {
            others.push(format!("{format} in {name}: {line}\n  alone  {alone:?}\n  packed {packed:?}"));
        }
    }
    others
}

fn all(as_what: Option<&str>, packs: &[(&str, Pack)], except: &[&str]) {
    let mut others = Vec::new();
    for format in FORMATS.iter().filter(|format| !except.contains(&format.name)) {
        let text = std::fs::read_to_string(file(format.name)).expect("readable");
        // A message that was given a second header has the first one's words for its text.
        for (name, pack) in packs.iter().filter(|(name, _)| format.name != "syslog" || !name.contains("syslog")) {
            others.extend(same(as_what.unwrap_or(format.name), format.name, name, *pack, &text));
        }
    }
    assert!(others.is_empty(), "{} lines mean something else:\n{}", others.len(), others.join("\n"));
}

#[test]
fn every_format_is_read_the_same_in_every_transport() {
    all(None, CARRIERS, &[]);
}

#[test]
fn every_format_is_told_and_read_the_same_in_every_transport_where_nobody_named_it() {
    all(Some("auto"), CARRIERS, &[]);
}

#[test]
fn every_format_is_told_and_read_the_same_in_the_json_of_every_collector() {
    all(Some("json"), COLLECTORS, &[]);
    all(Some("auto"), COLLECTORS, &[]);
}
