//! A few lines of every format, with what each means; and those lines cut, damaged and mixed up. `UPDATE_GOLDEN=1` writes the golden files
//! anew. Not for the week of logs in which attacks are planted (`fixtures`), nor for single grammars, whose tests stand beside them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use crmwatch::parse::web::Tables;
use crmwatch::parse::{self, FORMATS, Options, Verdict};
use crmwatch_detectors::{Event, json};
use serde_json::{Map, Value};

use crate::corpus::{damaged, through};
use crate::fixtures::golden;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The file of a format.
#[track_caller]
pub(crate) fn file(format: &str) -> PathBuf {
    let pattern = root().join(format!("tests/formats/{format}.*"));
    let mut found = glob::glob(pattern.to_str().expect("a UTF-8 path")).expect("a pattern").flatten();
    found.next().unwrap_or_else(|| panic!("{format} has no lines in tests/formats"))
}

/// Reads lines in a format; gives the verdict and the events of each, and which format it was.
fn read(format: &str, text: &str) -> (Vec<(Verdict, Vec<Event>)>, &'static str) {
    let options = Options { timezone: Tz::UTC, year: 2026, ..Options::default() };
    let tables = Tables::shipped();
    let mut grammar = parse::grammar(format, &options).expect("a format of the list");
    let records = text.lines().map(|line| {
        let mut events = Vec::new();
        let verdict = grammar.parse(line, &mut events);
        events.iter_mut().for_each(|event| tables.apply(event));
        (verdict, events)
    });
    (records.collect(), grammar.format())
}

pub(crate) fn in_short(event: &Map<String, Value>) -> String {
    let word = |name: &str| match event.get(name) {
        None => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let told = [
        "@timestamp",
        "event.action",
        "event.outcome",
        "user.name",
        "user.id",
        "source.ip",
        "crm.object.type",
        "crm.object.id",
        "crm.records",
        "http.response.status_code",
        "event.code",
        "event.reason",
    ];
    told.map(word).join(" | ")
}

#[test]
fn every_format_has_lines_and_they_mean_what_the_golden_file_says() {
    for format in FORMATS {
        let path = file(format.name);
        let text = std::fs::read_to_string(&path).expect("readable");
        let (records, _) = read(format.name, &text);
        let mut told = String::new();
        for (line, (verdict, events)) in records.iter().enumerate() {
            assert!(!matches!(verdict, Verdict::Rejected(_)), "{}:{}: {verdict:?}", path.display(), line + 1);
            if events.is_empty() {
                let _ = writeln!(told, "{}: {verdict:?}", line + 1);
            }
            for event in events {
                let _ = writeln!(told, "{}: {}", line + 1, in_short(&json::object(event)));
            }
        }
        golden(&format!("formats/{}.txt", format.name), &told);
    }
}

#[test]
fn auto_tells_every_format_from_its_lines_and_reads_the_same() {
    for format in FORMATS {
        let text = std::fs::read_to_string(file(format.name)).expect("readable");
        let (named, _) = read(format.name, &text);
        let (told, chosen) = read("auto", &text);
        // Both servers write the same lines.
        let chosen = if format.name == "apache" { "apache" } else { chosen };
        assert_eq!(chosen, format.name);
        for (line, ((_, named), (_, told))) in named.iter().zip(&told).enumerate() {
            let objects = |events: &[Event]| events.iter().map(json::object).collect::<Vec<_>>();
            assert_eq!(objects(named), objects(told), "{}:{}", format.name, line + 1);
        }
    }
}

#[test]
fn lines_of_every_format_cut_and_damaged_panic_nowhere() {
    for format in FORMATS {
        let bytes = std::fs::read(file(format.name)).expect("readable");
        damaged(format.name, &bytes, |bytes| {
            through::file(format.name, bytes);
            through::file("auto", bytes);
        });
    }
}
