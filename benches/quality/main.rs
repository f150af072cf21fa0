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
mod counts;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, anyhow};
use counts::{Counts, Deeds, Label, Shown, labels};
use crmwatch::config::Config;
use crmwatch::demo::{Plan, write};
use crmwatch::enrich::{Enricher, Settings};
use crmwatch::pipeline::{followed, once};
use crmwatch::source::attribute;
use crmwatch_detectors::allowance::Allowances;
use crmwatch_detectors::detector::{Context, Detector, RestoreError, Rule};
use crmwatch_detectors::finding::Detection;
use crmwatch_detectors::{Engine, Event, Field, Finding, Millis, Origin, StateChange, registry};

/// 2025-11-03: a month's end lies in the history.
const END: Millis = 1_762_128_000_000;
const MINUTE: Millis = 60_000;
const DAY: Millis = 24 * 60 * MINUTE;

// As in the daemon: the costs are its own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
        let labels = Arc::new(labels(folder.path())?);
        let (findings, seen) = scan(folder.path(), &asked, &labels)?;
        let user_days = seen.user_days.len();
        eprintln!("seed {seed}: {} findings, {} labels, {user_days} user-days", findings.len(), labels.len());
        all.add(*seed, &findings, &labels, &seen.deeds, user_days, asked.shown());
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
    late: bool,
    events: Option<String>,
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
            late: false,
            events: None,
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
                "--show-late" => asked.late = true,
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
                        "--show-events" => asked.events = Some(value),
                        "--many" => asked.many = value.parse()?,
                        _ => {
                            return Err(anyhow!(
                                "{name}: there are --seeds, --users, --days, --show-missed, --show-false, --show-late, --show-events, --city, --asn, --cost, --many"
                            ));
                        }
                    }
                }
            }
        }
        Ok(asked)
    }

    fn shown(&self) -> Shown {
        Shown {
            missed: self.missed,
            wrong: self.wrong,
            late: self.late,
            city: self.city.is_some(),
            owners: self.asn.is_some(),
        }
    }
}

/// The findings of a folder, and what was seen beside them.
fn scan(folder: &Path, asked: &Asked, labels: &Arc<Vec<Label>>) -> anyhow::Result<(Vec<Finding>, Seen)> {
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
    let seen = Arc::new(Mutex::new(Seen::default()));
    let make = || {
        let enricher = Enricher::new(&settings).map_err(|error| error.to_string())?;
        let mut detectors = registry::build_with(&detector_settings, &rules).map_err(|error| error.to_string())?;
        detectors.push(Box::new(Witness {
            labels: Arc::clone(labels),
            shown: asked.events.clone(),
            seen: Arc::clone(&seen),
            hasher: ahash::RandomState::new(),
        }));
        let mut engine = Engine::with(detectors);
        engine.allow(Allowances::new(config.allowances.clone()));
        Ok((enricher, engine))
    };
    let report = once(&files, &make, (Millis::MIN, Millis::MAX), &|_| {}).map_err(|error| anyhow!(error))?;
    let rejected: u64 = report.tally.rejected.values().sum();
    eprintln!("  {} records, {rejected} not understood; actions {:?}", report.tally.records, report.actions);
    let seen = std::mem::take(&mut *seen.lock().map_err(|_| anyhow!("counting failed"))?);
    let mut findings = report.findings;
    findings.extend(silences(&seen, &config, registry::build_with(&detector_settings, &rules)?));
    Ok((findings, seen))
}

/// What a daemon finds by the clock, which `scan` has none of: each minute what came in it, and then the tick.
fn silences(seen: &Seen, config: &Config, detectors: Vec<Box<dyn Detector>>) -> Vec<Finding> {
    let mut engine = Engine::with(detectors.into_iter().filter(|one| one.id() == "source-silent").collect());
    engine.allow(Allowances::new(config.allowances.clone()));
    let (Some(first), Some(last)) = (seen.minutes.first(), seen.minutes.last()) else { return Vec::new() };
    let (mut findings, mut spoken) = (BTreeMap::new(), seen.minutes.iter().peekable());
    for minute in first.0..=last.0 {
        while let Some((_, origin)) = spoken.next_if(|(at, _)| *at == minute) {
            let mut event = Event::new("");
            event.time = minute * MINUTE;
            event.origin = Arc::clone(&seen.origins[*origin]);
            engine.observe(&event);
        }
        engine.tick((minute + 1) * MINUTE);
        findings.extend(engine.drain().into_iter().map(|finding| (finding.id, finding)));
    }
    findings.into_values().collect()
}

/// What is counted beside the findings.
#[derive(Default)]
struct Seen {
    user_days: HashSet<(u64, i64)>,
    deeds: Deeds,
    /// Minutes in which a source spoke.
    minutes: BTreeSet<(i64, usize)>,
    origins: Vec<Arc<Origin>>,
}

/// Counts persons by day and knows the events of attacks; finds nothing.
struct Witness {
    labels: Arc<Vec<Label>>,
    shown: Option<String>,
    seen: Arc<Mutex<Seen>>,
    hasher: ahash::RandomState,
}

impl Detector for Witness {
    fn id(&self) -> &'static str {
        "witness"
    }

    fn rules(&self) -> Vec<Rule> {
        Vec::new()
    }

    fn observe(&mut self, event: &Event, _: &Context, _: &mut Vec<Detection>) {
        let Ok(mut seen) = self.seen.lock() else { return };
        for (number, label) in self.labels.iter().enumerate().filter(|(_, label)| label.holds(event)) {
            seen.deeds.entry(event.id).or_default().push(number);
            if self.shown.as_ref() == Some(&label.id) {
                print_event(event);
            }
        }
        let known = seen.origins.iter().position(|origin| origin.source == event.origin.source);
        let origin = known.unwrap_or_else(|| {
            seen.origins.push(Arc::clone(&event.origin));
            seen.origins.len() - 1
        });
        seen.minutes.insert((event.time.div_euclid(MINUTE), origin));
        if let Some(person) = event.text(Field::Person) {
            seen.user_days.insert((self.hasher.hash_one(person), event.time.div_euclid(DAY)));
        }
    }

    fn changes(&mut self) -> Vec<StateChange> {
        Vec::new()
    }

    fn restore(&mut self, _: &str, _: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}

fn print_event(event: &Event) {
    let fields = [
        Field::EventAction,
        Field::EventOutcome,
        Field::Entity,
        Field::SourceIp,
        Field::SourceCountry,
        Field::SourceCity,
        Field::UserAgentName,
        Field::UserAgentOs,
        Field::UserAgentDevice,
        Field::Records,
        Field::HttpResponseBytes,
        Field::ObjectType,
        Field::ObjectId,
        Field::SessionId,
    ];
    let told = fields.into_iter().filter_map(|field| Some(format!("{}={}", field.name(), event.value(field)?)));
    let told: Vec<String> = told.collect();
    println!("event   {} {}: {}", crmwatch_detectors::json::timestamp(event.time), event.origin.source, told.join(" "));
}
