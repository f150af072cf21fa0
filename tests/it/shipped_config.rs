//! The configuration files that are shipped: they are right, whole, and say the truth about defaults.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::path::Path;

use crmwatch::config::Config;
use crmwatch::enrich::{Enricher, Settings};
use crmwatch_detectors::Engine;

const DEFAULT: &str = "config/crmwatch.toml";

/// The annotated default with every key set: the `#` of lines that have no blank behind it is taken away.
fn everything_set() -> String {
    let lines: Vec<String> = crate::repository::text(DEFAULT)
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    lines.join("\n")
}

fn parse(text: &str) -> Config {
    Config::parse(Path::new("/etc/crmwatch/crmwatch.toml"), text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_shipped_configuration_is_right() {
    let examples = crate::repository::files("config/examples", ".toml");
    assert_eq!(examples.len(), 6);
    for path in examples {
        Config::load(&path).unwrap_or_else(|error| panic!("{error}"));
    }
    parse(&crate::repository::text(DEFAULT));
    parse(&everything_set());
}

#[test]
fn every_url_table_that_an_example_names_is_shipped() {
    for path in crate::repository::files("config", ".toml") {
        let Ok(config) = Config::load(&path) else { continue };
        for source in config.sources {
            crmwatch::parse::web::Tables::load(&source.urls.unwrap_or_default())
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}

#[test]
fn the_example_of_a_people_file_is_read() {
    let people = Some(crate::repository::root().join("config/people.example.csv"));
    if let Err(error) = Enricher::new(&Settings { people, ..Settings::default() }) {
        panic!("{error}");
    }
}

/// The structs of the written configuration and where they stand in the file.
const PLACES: [(&str, &[&str]); 18] = [
    ("File", &[""]),
    ("FormatFile", &[""]),
    ("OwnFormat", &["format"]),
    ("OwnTime", &["format.time"]),
    ("OwnAction", &["format.actions"]),
    ("Source", &["source"]),
    ("Http", &["http"]),
    ("Email", &["email"]),
    ("Alerts", &["alerts"]),
    ("NamedFile", &["people", "honeytokens"]),
    ("Geo", &["geo"]),
    ("Retention", &["retention"]),
    ("Rules", &["rules"]),
    ("Spool", &["spool"]),
    ("Push", &["push"]),
    ("Allow", &["allow"]),
    ("Travel", &["travel"]),
    ("Maintenance", &["maintenance"]),
];

/// Struct and key of every field of `raw.rs`.
fn keys_of_raw() -> Vec<(String, String)> {
    let text = crate::repository::text("src/config/raw.rs");
    let mut structure = String::new();
    let mut keys = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("pub(super) struct ").or_else(|| line.strip_prefix("pub struct ")) {
            structure = rest.split(' ').next().unwrap().to_owned();
        } else if let Some(field) = line.strip_prefix("    pub ") {
            keys.push((structure.clone(), field.split(':').next().unwrap().to_owned()));
        }
    }
    keys
}

#[test]
fn every_key_there_is_stands_in_the_annotated_default() {
    let file: toml::Table = toml::from_str(&everything_set()).unwrap();
    let keys = keys_of_raw();
    let structures: BTreeSet<&str> = keys.iter().map(|(structure, _)| structure.as_str()).collect();
    assert_eq!(
        structures,
        PLACES.iter().map(|(structure, _)| *structure).collect(),
        "a section is new: name its place"
    );
    for (structure, key) in &keys {
        let (_, places) = PLACES.iter().find(|(one, _)| one == structure).unwrap();
        for place in *places {
            let there = match *place {
                "" => file.contains_key(key),
                // Records of one source arrive in one way: the keys stand in several.
                "source" | "format" | "allow" | "travel" | "maintenance" => {
                    file[*place].as_array().unwrap().iter().any(|one| one.get(key).is_some())
                }
                "format.time" => file["format"][0]["time"].get(key).is_some(),
                "format.actions" => {
                    file["format"][0]["actions"].as_array().unwrap().iter().any(|entry| entry.get(key).is_some())
                }
                section => file.get(section).unwrap_or_else(|| panic!("[{section}]")).get(key).is_some(),
            };
            assert!(there, "{DEFAULT}: {key} of [{place}] is not there");
        }
    }
}

#[test]
fn what_the_annotated_default_calls_a_default_is_one() {
    let shown = parse(&everything_set());
    let least = parse(
        "[[source]]\nname = \"portal\"\npaths = [\"/x\"]\n[email]\nserver = \"smtps://mail.example.com\"\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]\n",
    );
    let (one, other) = (&shown.sources[0], &least.sources[0]);
    assert_eq!(
        (&one.format, one.timezone, one.start, one.lateness, &one.encoding, one.max_line),
        (&other.format, other.timezone, other.start, other.lateness, &other.encoding, other.max_line)
    );
    assert_eq!(one.trusted_proxies, other.trusted_proxies);
    assert_eq!((shown.spool_bytes, shown.push_body), (least.spool_bytes, least.push_body));
    assert_eq!((&shown.state_dir, &shown.locale, shown.listen), (&least.state_dir, &least.locale, least.listen));
    assert_eq!(format!("{:?}", shown.retention), format!("{:?}", least.retention));
    let alerts = crmwatch::config::Alerts { link: None, ..shown.alerts };
    assert_eq!(format!("{alerts:?}"), format!("{:?}", least.alerts));
    let (one, other) = (shown.email.unwrap(), least.email.unwrap());
    assert_eq!((one.min_severity, one.max_per_hour), (other.min_severity, other.max_per_hour));
}

#[test]
fn the_detectors_settings_shown_are_all_there_are_and_the_defaults() {
    let shown = parse(&everything_set());
    let mut named = 0;
    for rule in Engine::new(&Default::default()).unwrap().rules() {
        match shown.detectors.get(&rule.id) {
            Some(settings) => {
                named += 1;
                assert_eq!(*settings, rule.settings, "{}", rule.id);
            }
            None => {
                let none = rule.settings.as_object().is_none_or(|settings| settings.is_empty());
                assert!(none, "{DEFAULT}: [detectors.{}] is not there", rule.id);
            }
        }
    }
    assert_eq!(named, shown.detectors.len());
}
