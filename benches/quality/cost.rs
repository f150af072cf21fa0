//! What the engine costs with everything switched on: time of one core per event over a simulated company, with a million users, and over
//! shapes made to be slow; bytes it keeps; how long a snapshot holds the stream up. Not for what reading and parsing cost (`end_to_end`).
//!
//! Events are shown as the pipeline shows them: a few dozen at a time, just built and so still in the cache. Time is that of this thread on
//! the processor.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use crmwatch::config::Config;
use crmwatch::demo::{Plan, write};
use crmwatch::enrich::{Enricher, Settings};
use crmwatch::pipeline::{followed, once};
use crmwatch::source::attribute;
use crmwatch_detectors::detector::{Context, Detector, RestoreError, Rule};
use crmwatch_detectors::finding::Detection;
use crmwatch_detectors::memory::Taking;
use crmwatch_detectors::{Engine, Event, EventId, Field, Millis, StateChange};

/// Events of the company that are kept to be shown.
const KEPT: usize = 500_000;
/// Shown at once.
const CHUNK: usize = 64;
/// Pieces taken at once, as by the pipeline.
const PIECES: usize = 256;
/// Events between two snapshots.
const BETWEEN: usize = 50_000;
const SHAPE: u32 = 100_000;

/// Prints everything.
pub fn print(users: usize, many: usize) -> anyhow::Result<()> {
    let events = company(users)?;
    println!("{} events of {users} people", events.len());
    let mut engine = engine()?;
    let (warm, rest) = events.split_at(events.len() / 4);
    show(&mut engine, warm.iter().cloned());
    say("everything, 10,000 users", show(&mut engine, rest.iter().cloned()), 600_000.0);
    let people = events.iter().filter_map(|event| event.text(Field::Entity)).collect::<std::collections::BTreeSet<_>>();
    kept(&mut engine, people.len());

    let before = resident();
    let mut engine = self::engine()?;
    let renamed = |nth: usize| {
        let mut event = events[nth % events.len()].clone();
        let name = format!("user{}", nth * 7919 % many);
        event.person = None;
        event.set(Field::UserName, &name);
        event.set(Field::Entity, &format!("user:{name}"));
        event
    };
    show(&mut engine, (0..many).map(renamed));
    say("everything, a million users", show(&mut engine, (many..many + many / 4).map(renamed)), 300_000.0);
    println!("memory with {many} users: {} MB", (resident() - before) / 1_000_000);
    snapshot(&mut engine, "first");
    show(&mut engine, (0..BETWEEN).map(renamed));
    snapshot(&mut engine, &format!("after {BETWEEN} events"));

    let login = events.iter().find(|event| event.text(Field::EventAction) == Some("login"));
    let login = login.context("somebody logs in")?;
    let tried = |name: &str, address: u32, failed: bool, nth: u32| {
        let mut event = login.clone();
        event.person = None;
        event.id = EventId(u128::from(nth) + 1);
        event.time += Millis::from(nth) * 20;
        event.set(Field::UserName, name);
        event.set(Field::Entity, &format!("user:{name}"));
        event.set(Field::EventOutcome, if failed { "failure" } else { "success" });
        event.set_ip(Field::SourceIp, std::net::Ipv4Addr::from(0x2d00_0000 + address).into());
        event
    };
    let names = show(&mut self::engine()?, (0..SHAPE).map(|nth| tried(&format!("name{nth}"), 1, nth % 9 > 0, nth)));
    say("one address with 100,000 names", names, 100_000.0);
    let addresses = show(&mut self::engine()?, (0..SHAPE).map(|nth| tried("victim", nth * 256, nth % 9 > 0, nth)));
    say("one name with 100,000 addresses", addresses, 100_000.0);
    let hammered = show(&mut self::engine()?, (0..SHAPE).map(|nth| tried("victim", 1, true, nth)));
    say("one name hammered from one address", hammered, 100_000.0);
    let sprayed = |nth: u32| tried(&format!("name{}", nth % 5_000), nth % 777 * 256, true, nth);
    say("777 addresses spray 5,000 names", show(&mut self::engine()?, (0..SHAPE).map(sprayed)), 100_000.0);
    let reads = |nth: u32| {
        let mut event = tried("reader", 1, false, nth);
        event.set(Field::EventAction, if nth.is_multiple_of(3) { "export" } else { "view" });
        event.set(Field::ObjectId, &nth.to_string());
        event
    };
    say("one name with 100,000 records", show(&mut self::engine()?, (0..SHAPE).map(reads)), 100_000.0);
    Ok(())
}

fn engine() -> anyhow::Result<Engine> {
    Ok(Engine::new(&BTreeMap::new())?)
}

/// Nanoseconds an event, where they are shown in small heaps.
fn show(engine: &mut Engine, events: impl Iterator<Item = Event>) -> f64 {
    let (mut count, mut spent) = (0u64, 0u64);
    let mut heap = Vec::with_capacity(CHUNK);
    let mut events = events.peekable();
    while events.peek().is_some() {
        heap.extend(events.by_ref().take(CHUNK));
        let start = on_processor();
        heap.iter().for_each(|event| engine.observe(event));
        spent += on_processor() - start;
        count += heap.len() as u64;
        heap.clear();
        if count % 6_400 == 0 {
            engine.drain();
        }
    }
    spent as f64 / count.max(1) as f64
}

fn say(what: &str, nanoseconds: f64, wanted: f64) {
    let speed = 1e9 / nanoseconds.max(1.0);
    println!("{what:<34} {nanoseconds:>7.0} ns an event, {speed:>9.0} events/s (wanted {wanted:.0})");
}

/// Takes what has changed as the pipeline does, and says for how long it holds the stream up at once.
fn snapshot(engine: &mut Engine, what: &str) {
    let (start, mut most, mut pieces) = (Instant::now(), Duration::ZERO, 0);
    let mut taking = Taking::begin(engine.memory());
    let mark = start.elapsed();
    while !taking.is_over() {
        let start = Instant::now();
        pieces += taking.next(engine.memory(), PIECES).len();
        most = most.max(start.elapsed());
    }
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "snapshot, {what}: marked in {:.1} ms; {pieces} pieces in {:.0} ms, of which {PIECES} take at most {:.1} ms",
        ms(mark),
        ms(start.elapsed()),
        ms(most)
    );
}

/// Bytes of saved state, by whom it is about.
fn kept(engine: &mut Engine, people: usize) {
    let start = Instant::now();
    let changes = engine.changes();
    let pause = start.elapsed().as_secs_f64() * 1e3;
    let sizes = changes.iter().map(|change| change.value.as_ref().map_or(0, Vec::len) + change.key.len());
    let all: usize = sizes.clone().sum();
    let largest = changes.iter().zip(sizes).max_by_key(|(_, size)| *size);
    println!("state: {all} bytes in {} pieces, {} a person", changes.len(), all / people.max(1));
    if let Some((change, size)) = largest {
        println!("largest piece: {size} bytes, of {}", change.owner);
    }
    println!("first snapshot, everything: {pause:.1} ms");
}

/// Nanoseconds this thread has run.
fn on_processor() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Bytes of memory in use.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}

/// Enriched events of a company.
fn company(users: usize) -> anyhow::Result<Vec<Event>> {
    let folder = tempfile::tempdir()?;
    write(folder.path(), &Plan { seed: 1, users, days: 3, end: super::END })?;
    let config = Config::load(&folder.path().join("crmwatch.toml"))?;
    let configured = followed(&config)?;
    let mut files = Vec::new();
    for pattern in config.sources.iter().flat_map(|source| &source.paths) {
        files.extend(glob::glob(pattern)?.collect::<Result<Vec<_>, _>>()?);
    }
    let otherwise = configured.first().context("the company has logs")?.clone();
    let files = attribute(files, &configured, &otherwise);
    let settings = Settings::of(&config);
    let events = Arc::new(Mutex::new(Vec::with_capacity(KEPT)));
    let make = || {
        let enricher = Enricher::new(&settings).map_err(|error| error.to_string())?;
        Ok((enricher, Engine::with(vec![Box::new(Keeper(Arc::clone(&events)))])))
    };
    once(&files, &make, (Millis::MIN, Millis::MAX), &|_| {}).map_err(|error| anyhow!(error))?;
    let mut events = events.lock().map_err(|_| anyhow!("keeping failed"))?;
    Ok(std::mem::take(&mut *events))
}

/// Keeps what it is shown; finds nothing.
struct Keeper(Arc<Mutex<Vec<Event>>>);

impl Detector for Keeper {
    fn id(&self) -> &'static str {
        "keeper"
    }

    fn rules(&self) -> Vec<Rule> {
        Vec::new()
    }

    fn observe(&mut self, event: &Event, _: &Context, _: &mut Vec<Detection>) {
        if let Ok(mut events) = self.0.lock()
            && events.len() < KEPT
        {
            events.push(event.clone());
        }
    }

    fn changes(&mut self) -> Vec<StateChange> {
        Vec::new()
    }

    fn restore(&mut self, _: &str, _: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}
