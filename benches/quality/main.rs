//! How well the detectors find what was planted, and how often they cry wolf: simulated companies of several seeds, scanned as
//! `scan --config` does, compared with `labels.jsonl`. Not a test: it prints what a person reads to tune and to judge.
//!
//! ```text
//! cargo bench --bench quality -- --seeds 1,2,3 --users 300 --days 28 --show-missed --show-false [--city FILE.mmdb] [--asn FILE.mmdb]
//! cargo bench --bench quality -- --cost [--users 10000] [--many 1000000]
//! ```
//!
//! Without a city database, attacks that differ from their victim's ways by no more than a city are shown apart and not counted. Times to
//! detect are the first finding's time less the deciding event's: both are event times, and a negative one was found before that event.

#![allow(clippy::print_stdout, reason = "the figures are the output")]

mod cost;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, anyhow};
use crmwatch::config::Config;
use crmwatch::demo::{Plan, write};
use crmwatch::enrich::{Enricher, Settings};
use crmwatch::pipeline::{followed, once};
use crmwatch::source::attribute;
use crmwatch_detectors::detector::{Context, Detector, RestoreError, Rule};
use crmwatch_detectors::finding::Detection;
use crmwatch_detectors::{Engine, Event, Field, Finding, Millis, Severity, StateChange, registry};
use serde_json::Value;

/// 2025-11-03: a month's end lies in the history.
const END: Millis = 1_762_128_000_000;
const HOUR: Millis = 3_600_000;
const DAY: Millis = 24 * HOUR;
/// Counted apart: it adds up other findings.
const APART: &str = "entity-risk";

fn main() -> anyhow::Result<()> {
    let asked = Asked::parse(std::env::args().skip(1))?;
    if asked.cost {
        return cost::print(asked.users, asked.many);
    }
    let mut all = Counts::default();
    for seed in &asked.seeds {
        let folder = tempfile::tempdir()?;
        let plan = Plan { seed: *seed, users: asked.users, days: asked.days, end: END };
        write(folder.path(), &plan)?;
        let (findings, user_days) = scan(folder.path(), &asked)?;
        let labels = labels(folder.path())?;
        eprintln!("seed {seed}: {} findings, {} labels, {user_days} user-days", findings.len(), labels.len());
        all.add(*seed, &findings, &labels, user_days, &asked);
    }
    all.print();
    Ok(())
}

struct Asked {
    seeds: Vec<u64>,
    users: usize,
    days: u32,
    missed: bool,
    wrong: bool,
    city: Option<PathBuf>,
    asn: Option<PathBuf>,
    cost: bool,
    many: usize,
}

impl Asked {
    fn parse(arguments: impl Iterator<Item = String>) -> anyhow::Result<Asked> {
        let mut asked = Asked {
            seeds: vec![1],
            users: 300,
            days: 28,
            missed: false,
            wrong: false,
            city: None,
            asn: None,
            cost: false,
            many: 1_000_000,
        };
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            match name.as_str() {
                "--show-missed" => asked.missed = true,
                "--show-false" => asked.wrong = true,
                "--cost" => (asked.cost, asked.users) = (true, asked.users.max(10_000)),
                // What cargo says to every benchmark.
                "--bench" => {}
                _ => {
                    let value = arguments.next().with_context(|| format!("{name} needs a value"))?;
                    match name.as_str() {
                        "--seeds" => {
                            asked.seeds = value.split(',').map(str::parse).collect::<Result<_, _>>()?;
                        }
                        "--users" => asked.users = value.parse()?,
                        "--days" => asked.days = value.parse()?,
                        "--city" => asked.city = Some(value.into()),
                        "--asn" => asked.asn = Some(value.into()),
                        "--many" => asked.many = value.parse()?,
                        _ => {
                            return Err(anyhow!(
                                "{name}: there are --seeds, --users, --days, --show-missed, --show-false, --city, --asn, --cost, --many"
                            ));
                        }
                    }
                }
            }
        }
        Ok(asked)
    }
}

/// The findings of a folder, and its user-days.
fn scan(folder: &Path, asked: &Asked) -> anyhow::Result<(Vec<Finding>, usize)> {
    let mut config = Config::load(&folder.join("crmwatch.toml"))?;
    config.geo_city = asked.city.clone().or(config.geo_city);
    config.geo_asn = asked.asn.clone().or(config.geo_asn);
    let configured = followed(&config)?;
    let mut files = Vec::new();
    for pattern in config.sources.iter().flat_map(|source| &source.paths) {
        files.extend(glob::glob(pattern)?.collect::<Result<Vec<_>, _>>()?);
    }
    let otherwise = configured.first().context("the company has logs")?.clone();
    let files = attribute(files, &configured, &otherwise);
    let settings = Settings::of(&config);
    let (detector_settings, rules) = (config.detector_settings()?, config.rule_texts()?);
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let make = || {
        let enricher = Enricher::new(&settings).map_err(|error| error.to_string())?;
        let mut detectors = registry::build_with(&detector_settings, &rules).map_err(|error| error.to_string())?;
        detectors.push(Box::new(UserDays { seen: Arc::clone(&seen), hasher: ahash::RandomState::new() }));
        Ok((enricher, Engine::with(detectors)))
    };
    let report = once(&files, &make, (Millis::MIN, Millis::MAX), &|_| {}).map_err(|error| anyhow!(error))?;
    let rejected: u64 = report.tally.rejected.values().sum();
    eprintln!("  {} records, {rejected} not understood; actions {:?}", report.tally.records, report.actions);
    let user_days = seen.lock().map_err(|_| anyhow!("counting failed"))?.len();
    Ok((report.findings, user_days))
}

/// Counts persons by day; finds nothing.
struct UserDays {
    seen: Arc<Mutex<HashSet<(u64, i64)>>>,
    hasher: ahash::RandomState,
}

impl Detector for UserDays {
    fn id(&self) -> &'static str {
        "user-days"
    }

    fn rules(&self) -> Vec<Rule> {
        Vec::new()
    }

    fn observe(&mut self, event: &Event, _: &Context, _: &mut Vec<Detection>) {
        let Some(person) = event.text(Field::Person) else { return };
        if let Ok(mut seen) = self.seen.lock() {
            seen.insert((self.hasher.hash_one(person), event.time.div_euclid(DAY)));
        }
    }

    fn changes(&mut self) -> Vec<StateChange> {
        Vec::new()
    }

    fn restore(&mut self, _: &str, _: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}

struct Label {
    id: String,
    attack: bool,
    family: String,
    rules: Vec<String>,
    needs_city: bool,
    stealth: bool,
    entity: BTreeSet<(String, String)>,
    span: (Millis, Millis),
    deciding: Millis,
    sources: String,
}

impl Label {
    fn of(line: &str) -> anyhow::Result<Label> {
        let value: Value = serde_json::from_str(line)?;
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
        };
        let time = |key: &str| -> anyhow::Result<Millis> {
            crmwatch::parse::time::iso(&text(key), chrono_tz::UTC).with_context(|| format!("{key} of {line}"))
        };
        let mut entity = BTreeSet::new();
        for (name, values) in value["entity"].as_object().into_iter().flatten() {
            entity.extend(list(values).into_iter().map(|one| (name.clone(), one.to_lowercase())));
        }
        let attack = value.get("attack").is_some();
        Ok(Label {
            id: text(if attack { "attack" } else { "benign" }),
            attack,
            family: text("family"),
            rules: list(&value["rules"]),
            needs_city: value["needs_city"].as_bool().unwrap_or_default(),
            stealth: value["stealth"].as_bool().unwrap_or_default(),
            entity,
            span: (time("start")?, time("end")? + HOUR),
            deciding: time("deciding")?,
            sources: list(&value["sources"]).join(","),
        })
    }

    fn is_named_by(&self, finding: &Finding) -> bool {
        let shared = |(name, values): (&String, &Vec<String>)| {
            values.iter().any(|value| self.entity.contains(&(name.clone(), value.to_lowercase())))
        };
        finding.time >= self.span.0 && finding.time <= self.span.1 && finding.entity.0.iter().any(shared)
    }
}

fn labels(folder: &Path) -> anyhow::Result<Vec<Label>> {
    std::fs::read_to_string(folder.join("labels.jsonl"))?.lines().map(Label::of).collect()
}

#[derive(Default)]
struct Family {
    attacks: usize,
    by_any: usize,
    by_listed: usize,
    by_own: usize,
    needs_city: usize,
    delays: Vec<Millis>,
}

#[derive(Default)]
struct Counts {
    families: BTreeMap<String, Family>,
    wrong: BTreeMap<String, usize>,
    /// Of these, high or critical.
    wrong_high: usize,
    findings: BTreeMap<String, usize>,
    user_days: usize,
}

impl Counts {
    fn add(&mut self, seed: u64, findings: &[Finding], labels: &[Label], user_days: usize, asked: &Asked) {
        self.user_days += user_days;
        let counted: Vec<&Finding> =
            findings.iter().filter(|one| one.severity >= Severity::Medium && &*one.rule != APART).collect();
        for label in labels.iter().filter(|label| label.attack) {
            let named: Vec<&&Finding> = counted.iter().filter(|finding| label.is_named_by(finding)).collect();
            let family = self.families.entry(label.family.clone()).or_default();
            if label.needs_city && asked.city.is_none() {
                // Without a city database it is luck: shown, and not counted.
                family.needs_city += 1;
                continue;
            }
            family.attacks += 1;
            family.by_any += usize::from(!named.is_empty());
            family.by_listed +=
                usize::from(named.iter().any(|finding| label.rules.iter().any(|rule| **rule == *finding.rule)));
            family.by_own += usize::from(named.iter().any(|finding| *finding.rule == *label.family));
            if let Some(first) = named.iter().map(|finding| finding.time).min() {
                family.delays.push(first - label.deciding);
            } else if asked.missed && registry::ids().any(|id| id == label.family) {
                println!(
                    "missed  {seed} {} {} in {}{}{} from {} entity {:?}",
                    label.id,
                    label.family,
                    label.sources,
                    if label.stealth { " stealth" } else { "" },
                    if label.needs_city { " needs city" } else { "" },
                    crmwatch_detectors::json::timestamp(label.span.0),
                    label.entity.iter().map(|(_, value)| value.as_str()).take(6).collect::<Vec<_>>()
                );
                for finding in findings.iter().filter(|finding| label.is_named_by(finding)) {
                    println!("        but {} {}", finding.severity.word(), finding.summary.en);
                }
            }
        }
        for finding in counted {
            *self.findings.entry(finding.rule.to_string()).or_default() += 1;
            if labels.iter().any(|label| label.attack && label.is_named_by(finding)) {
                continue;
            }
            *self.wrong.entry(finding.rule.to_string()).or_default() += 1;
            self.wrong_high += usize::from(finding.severity >= Severity::High);
            if asked.wrong {
                let near: Vec<&str> = labels
                    .iter()
                    .filter(|label| label.is_named_by(finding))
                    .map(|label| label.family.as_str())
                    .collect();
                println!(
                    "false   {seed} {} {} {} {}{}",
                    crmwatch_detectors::json::timestamp(finding.time),
                    finding.severity.word(),
                    finding.rule,
                    finding.summary.en,
                    if near.is_empty() { String::new() } else { format!(" [{}]", near.join(", ")) }
                );
                println!("        {} | {}", finding.observed.en, finding.expected.en);
                let parts: Vec<String> =
                    finding.parts.iter().map(|(name, value)| format!("{name} {value:.1}")).collect();
                println!("        {}", parts.join(", "));
            }
        }
    }

    fn print(&mut self) {
        println!(
            "\n{:<32} {:>7} {:>5} {:>6} {:>5} {:>6} {:>10} {:>9} {:>8} {:>10}",
            "family", "attacks", "found", "listed", "own", "recall", "needs city", "median s", "worst s", "in 60 s"
        );
        let (mut attacks, mut found, mut soon) = (0, 0, 0);
        for (name, family) in &mut self.families {
            family.delays.sort_unstable();
            let seconds = |delay: Option<&Millis>| delay.map_or(0, |delay| delay / 1_000);
            let in_time = family.delays.iter().filter(|delay| **delay <= 60_000).count();
            println!(
                "{name:<32} {:>7} {:>5} {:>6} {:>5} {:>6.2} {:>10} {:>9} {:>8} {in_time:>10}",
                family.attacks,
                family.by_any,
                family.by_listed,
                family.by_own,
                family.by_any as f64 / family.attacks.max(1) as f64,
                family.needs_city,
                seconds(family.delays.get(family.delays.len() / 2)),
                seconds(family.delays.last()),
            );
            (attacks, found, soon) = (attacks + family.attacks, found + family.by_any, soon + in_time);
        }
        println!(
            "all: {found} of {attacks} found, recall {:.3}; {soon} of them within a minute of the deciding event",
            found as f64 / attacks.max(1) as f64
        );
        let days = self.user_days.max(1) as f64 / 1_000.0;
        println!("\n{:<32} {:>9} {:>7} {:>22}", "rule", "findings", "false", "per 1,000 user-days");
        for (rule, count) in &self.findings {
            let wrong = self.wrong.get(rule).copied().unwrap_or_default();
            println!("{rule:<32} {count:>9} {wrong:>7} {:>22.3}", wrong as f64 / days);
        }
        let without: Vec<&str> =
            registry::ids().filter(|id| *id != APART && !self.families.contains_key(*id)).collect();
        println!("\nrules no attack of the simulation is labelled with: {}", without.join(", "));
        let wrong: usize = self.wrong.values().sum();
        println!(
            "{} user-days, {wrong} false of medium or above: {:.2} per 1,000 user-days; {} of them high or critical: {:.3}",
            self.user_days,
            wrong as f64 / days,
            self.wrong_high,
            self.wrong_high as f64 / days
        );
    }
}
