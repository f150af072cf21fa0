//! A small company's week of logs in every format: what each line means, and that of it exactly the planted attacks are found.
//! `UPDATE_GOLDEN=1` writes the golden files anew. Not for single grammars, whose tests stand beside them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use crmwatch::parse::{self, Verdict};
use crmwatch_detectors::{Event, Field};
use serde_json::{Map, Value};

use crate::program::{Ran, run};

const FOLDER: &str = "tests/fixtures";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every fixture, by its path from the root.
fn fixtures() -> Vec<PathBuf> {
    let pattern = root().join(FOLDER).join("*/*");
    let found = glob::glob(pattern.to_str().expect("a UTF-8 path")).expect("a pattern").flatten();
    let files: Vec<PathBuf> = found.map(|path| path.strip_prefix(root()).expect("below the root").to_owned()).collect();
    assert!(files.len() >= 14, "{files:?}");
    files
}

/// Time, action, outcome, user, address, records.
fn in_short(event: &Map<String, Value>) -> String {
    let word = |name: &str| match event.get(name) {
        None => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let user = if event.contains_key("user.name") { word("user.name") } else { word("user.id") };
    format!(
        "{} {} {} {user} {} {}",
        word("@timestamp"),
        word("event.action"),
        word("event.outcome"),
        word("source.ip"),
        word("crm.records")
    )
}

/// What was told is what the golden file says.
#[track_caller]
pub(crate) fn golden(name: &str, told: &str) {
    let path = root().join("tests/golden/parse").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, told).expect("written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (line, expected)) in told.lines().zip(expected.lines()).enumerate() {
        assert_eq!(line, expected, "line {} of {} (UPDATE_GOLDEN=1 accepts it)", number + 1, path.display());
    }
    assert_eq!(told.lines().count(), expected.lines().count(), "events of {}", path.display());
}

#[test]
fn every_line_means_what_the_golden_file_says() {
    for path in fixtures() {
        let path = path.to_str().expect("UTF-8");
        let Ran { code, err, .. } = run(&["parse", path]);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{path}");
        let mut told = String::new();
        for event in run(&["parse", path]).objects() {
            let _ = writeln!(told, "{}", in_short(&event));
        }
        golden(&format!("{}.txt", path.trim_start_matches(FOLDER).trim_matches('/').replace(['/', '.'], "-")), &told);
    }
}

#[test]
fn auto_and_the_formats_own_name_read_the_same() {
    for (path, format) in [
        ("nginx/access.log", "nginx"),
        ("apache/espocrm-access.log", "apache"),
        ("json/gateway-ecs.jsonl", "json"),
        ("json/app.jsonl", "json"),
        ("salesforce/2026-03-Report.csv", "salesforce-elf"),
        ("m365/audit.jsonl", "m365-audit"),
        ("m365/export.csv", "m365-audit"),
        ("odoo/odoo-server.log", "odoo"),
        ("suitecrm/suitecrm.log", "suitecrm"),
    ] {
        let path = format!("{FOLDER}/{path}");
        let named = run(&["parse", "--format", format, &path]);
        assert_eq!(named.code, Some(0), "{path}: {}", named.err);
        assert!(named.out == run(&["parse", &path]).out, "{path} reads differently with --format {format}");
    }
}

#[test]
fn exactly_the_planted_attacks_are_found() {
    let scanned = run(&["scan", "--json", FOLDER]);
    assert_eq!(scanned.code, Some(0), "{}", scanned.err);
    let found: Vec<String> = scanned
        .objects()
        .iter()
        .filter(|finding| finding["severity"] != "low")
        .map(|finding| {
            let primary = finding["primary"].as_str().expect("a name");
            let entity = finding["entity"].as_object().expect("an object");
            format!(
                "{} {} {primary} {}",
                finding["time"].as_str().unwrap(),
                finding["rule"].as_str().unwrap(),
                entity[primary].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            // One address, one password, twenty accounts: the Microsoft 365 log.
            "2026-03-04T22:06:14.000Z password-spray source.ip 37.139.0.66",
            // Berlin, and 32 minutes later Sao Paulo: the nginx log.
            "2026-03-05T14:41:17.000Z impossible-travel user.name carla.nunes",
            // Guessing at one account, and the guess that hits: the Odoo log.
            "2026-03-05T23:13:22.120Z brute-force user.name bernd.fischer",
            "2026-03-05T23:18:19.120Z brute-force-success user.name bernd.fischer",
            // Everything, twice, on a Friday evening: the Salesforce files.
            "2026-03-06T17:48:12.000Z bulk-export user.name dieter.kranz@nordlicht.example",
            // Guessing that never hits: the SuiteCRM log.
            "2026-03-07T02:33:16.000Z brute-force user.name admin",
        ],
        "{}",
        scanned.out
    );
}

#[test]
fn a_finding_points_at_lines_that_show_the_attack() {
    for finding in run(&["scan", "--json", FOLDER]).objects() {
        let rule = finding["rule"].as_str().expect("a rule");
        let entity = finding["entity"][finding["primary"].as_str().expect("a name")].as_str().expect("a value");
        let refs = finding["evidence_refs"].as_array().expect("a list");
        assert!(!refs.is_empty() && refs.len() == finding["evidence"].as_array().map_or(0, Vec::len), "{rule}");
        for reference in refs {
            let file = reference["file"].as_str().expect("a path");
            let line = reference["line"].as_u64().expect("a number") as usize;
            let text = std::fs::read_to_string(root().join(file)).expect("the file is there");
            let shown = text.lines().nth(line - 1).expect("the line is there");
            // Report rows carry the account's id, not its name.
            let names_it = shown.contains(entity) || rule == "bulk-export" && shown.contains("0055g00000Ab003");
            assert!(names_it, "{rule}: {file}:{line} does not name {entity}");
        }
    }
}

/// The configuration's mapping: keys in another language, told apart by nothing but the operator.
#[test]
fn a_mapping_of_the_configuration_makes_events_of_keys_nobody_could_guess() {
    let mapping = [
        ("user.name", "mitarbeiter"),
        ("source.ip", "adresse"),
        ("event.action", "crm_aktion"),
        ("event.outcome", "ergebnis"),
        ("crm.records", "anzahl"),
    ];
    let mapping: BTreeMap<String, String> = mapping.iter().map(|(name, key)| ((*name).into(), (*key).into())).collect();
    let text = std::fs::read_to_string(root().join(FOLDER).join("json/mapped.jsonl")).expect("the fixture");
    let read = |mapping: BTreeMap<String, String>| {
        let options = parse::Options { timezone: Tz::UTC, year: 2026, mapping, ..parse::Options::default() };
        let mut grammar = parse::grammar("json", &options).expect("a format");
        let mut events: Vec<Event> = Vec::new();
        for line in text.lines() {
            assert_eq!(grammar.parse(line, &mut events), Verdict::Parsed, "{line}");
        }
        events
    };
    for event in read(mapping) {
        assert!(matches!(event.text(Field::EventAction), Some("login" | "view")), "{event:?}");
        assert_eq!(event.text(Field::EventOutcome), Some("success"), "{event:?}");
        assert_eq!(event.integer(Field::Records), Some(1), "{event:?}");
        assert!(event.has(Field::UserName) && event.has(Field::SourceIp), "{event:?}");
    }
    assert!(read(BTreeMap::new()).iter().all(|event| !event.has(Field::UserName)), "without it nobody knows");
}
