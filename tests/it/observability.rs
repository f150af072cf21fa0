//! Dashboards, alert rules and the unit agree with the program: a metric they name exists, and they carry what a reader needs at night.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;

use crmwatch::metrics::NAMES;
use serde_json::Value;

/// Every `crmwatch_...` in a text, without what Prometheus adds to a histogram's name.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crmwatch_") {
        let name: String = text[at..].chars().take_while(|one| one.is_ascii_alphanumeric() || *one == '_').collect();
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(&name);
        found.insert(if NAMES.contains(&name.as_str()) { name } else { base.to_owned() });
    }
    found
}

fn dashboards() -> Vec<(String, Value)> {
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (
            path.display().to_string(),
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        )
    };
    crate::repository::files("grafana/dashboards", ".json").into_iter().map(read).collect()
}

fn panels(dashboard: &Value) -> Vec<&Value> {
    let mut all = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        all.push(panel);
        all.extend(panel["panels"].as_array().into_iter().flatten());
    }
    all
}

#[test]
fn every_metric_of_dashboards_and_rules_exists() {
    let mut files = crate::repository::files("grafana", ".json");
    files.extend(crate::repository::files("grafana", ".yml"));
    files.extend(crate::repository::files("docs", ".md"));
    assert!(files.len() >= 4);
    for path in files {
        // A crate's name in an example of code is no metric's.
        let text = std::fs::read_to_string(&path).unwrap().replace("crmwatch_detectors::", "");
        for name in metrics_in(&text) {
            assert!(NAMES.contains(&name.as_str()), "{} speaks of {name}, which is no metric", path.display());
        }
    }
}

#[test]
fn every_panel_explains_itself_and_takes_its_source_from_the_variable() {
    let dashboards = dashboards();
    assert!(!dashboards.is_empty());
    for (path, dashboard) in dashboards {
        assert!(!dashboard["uid"].as_str().unwrap_or_default().is_empty(), "{path} has no uid");
        assert!(dashboard.get("id").is_none_or(Value::is_null), "{path} has an id");
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        assert!(variables.iter().any(|one| one["type"] == "datasource" && one["name"] == "datasource"), "{path}");
        let mut places = BTreeSet::new();
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap_or_default();
            assert!(!title.is_empty(), "{path}: a panel without a title");
            let grid = &panel["gridPos"];
            assert!(places.insert((grid["x"].as_i64(), grid["y"].as_i64())), "{path}: {title} lies on another panel");
            if panel["type"] == "row" {
                continue;
            }
            assert!(panel.get("id").is_none(), "{path}: {title} has an id");
            assert!(panel["description"].as_str().unwrap_or_default().len() > 30, "{path}: {title} is not explained");
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{path}: {title} shows nothing");
            for source in targets.iter().map(|target| &target["datasource"]).chain([&panel["datasource"]]) {
                assert_eq!(source["uid"], "${datasource}", "{path}: {title}");
            }
        }
    }
}

#[test]
fn every_metric_a_person_needs_at_night_is_on_a_dashboard_or_in_a_rule() {
    let mut shown = BTreeSet::new();
    for path in crate::repository::files("grafana", ".json")
        .into_iter()
        .chain(crate::repository::files("grafana", ".rules.yml"))
    {
        shown.extend(metrics_in(&std::fs::read_to_string(path).unwrap()));
    }
    let missing: Vec<&&str> = NAMES.iter().filter(|name| !shown.contains(**name)).collect();
    assert!(missing.is_empty(), "neither on a dashboard nor in a rule: {missing:?}");
}

/// The alerts of the rule file, each with its block of lines.
fn alerts() -> Vec<(String, String)> {
    let text = crate::repository::text("grafana/prometheus/crmwatch.rules.yml");
    text.split("      - alert: ")
        .skip(1)
        .map(|block| (block.lines().next().unwrap().trim().to_owned(), block.to_owned()))
        .collect()
}

#[test]
fn every_alert_says_what_it_is_what_to_do_and_has_a_test() {
    let tests = crate::repository::text("grafana/prometheus/crmwatch.rules.test.yml")
        + &crate::repository::text("grafana/prometheus/crmwatch.slow.rules.test.yml");
    let operating = crate::repository::text("docs/operating.md");
    let alerts = alerts();
    assert!(alerts.len() >= 15);
    for (name, block) in alerts {
        for part in ["severity:", "summary:", "description:", "runbook:"] {
            assert!(block.contains(part), "{name} has no {part}");
        }
        assert!(
            block.contains(&format!("docs/operating.md#{}", name.to_lowercase())),
            "{name} does not lead to its own chapter"
        );
        assert!(operating.contains(&format!("\n### {name}\n")), "docs/operating.md has no chapter {name}");
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} has no test");
    }
}

#[test]
fn every_chapter_about_an_alert_is_about_one_there_is() {
    let names: BTreeSet<String> = alerts().into_iter().map(|(name, _)| name).collect();
    for line in crate::repository::text("docs/operating.md").lines() {
        if let Some(title) = line.strip_prefix("### Crmwatch") {
            assert!(names.contains(&format!("Crmwatch{title}")), "Crmwatch{title} is no alert");
        }
    }
}

#[test]
fn the_unit_restarts_not_on_a_wrong_configuration_and_waits_for_readiness() {
    let unit = crate::repository::text("systemd/crmwatch.service");
    for line in [
        "Type=notify",
        "WatchdogSec=60",
        "RestartPreventExitStatus=78",
        "StateDirectoryMode=0700",
        "NoNewPrivileges=yes",
    ] {
        assert!(unit.lines().any(|one| one == line), "the unit lacks {line}");
    }
    assert_eq!(crmwatch::cli::Exit::Configuration.code(), 78);
}
