//! The demonstration: writes a company's past into a folder, starts the real daemon over it, lets the company go on working and be
//! attacked, and shows what is found beside what was planted. Not for the simulation (`demo`) and not for the daemon (`pipeline`).

mod screen;
mod verdict;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crmwatch_detectors::{Engine, Millis, Severity};
use prometheus::core::Collector;

use self::screen::Screen;
use self::verdict::{Label, Tally, Verdict};
use super::{LOGS, Live, Plan, Summary};
use crate::config::{Config, ConfigError};
use crate::ledger::{FindingRow, Ledger, LedgerError};
use crate::metrics::{Metrics, SourceMetrics};
use crate::pipeline::{self, RunError, Running};

/// What to show.
#[derive(Debug, Clone)]
pub struct Show {
    /// The company. Its history ends now, whatever the plan says.
    pub plan: Plan,
    /// The folder everything is written into.
    pub folder: PathBuf,
    /// How long to go on once the past has been read; until interrupted where nothing is said.
    pub lasts: Option<Duration>,
    /// Colour.
    pub coloured: bool,
    /// How a person calls this program, for the commands that are shown.
    pub program: String,
}

/// How a demonstration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// After the time it was given.
    Over,
    /// By a person.
    Interrupted,
}

/// Why it could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// The folder.
    #[error("cannot write the demonstration's logs into {folder}: {error}; choose another place with TMPDIR")]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Nobody looks any more.
    #[error("cannot write to the terminal")]
    Terminal(#[source] io::Error),
    /// The daemon.
    #[error("the daemon ended: {0}")]
    Daemon(#[from] RunError),
    /// The configuration in the folder.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Lines are written, and findings looked for, so often.
const TURN: Duration = Duration::from_millis(200);
/// The first attack comes so long after the past has been read.
const FIRST_ATTACK: Millis = 3_000;
/// Rates are over so many turns.
const RATE_TURNS: usize = 50;
/// An index that has not grown for so long has everything it will have.
const INDEX_STILL: Duration = Duration::from_secs(60);

/// Shows it. Comes back when its time is over or `interrupted` is set; the daemon has ended then.
pub fn show(what: &Show, interrupted: &AtomicBool) -> Result<Ending, ShowError> {
    let wrong = |error| ShowError::Folder { folder: what.folder.clone(), error };
    let screen = Screen::new(what.coloured);
    screen.say(&words::welcome(&what.plan, &what.folder)).map_err(ShowError::Terminal)?;
    let began = Instant::now();
    let plan = Plan { end: pipeline::now(), ..what.plan };
    let (summary, mut live) = super::open(&what.folder, &plan).map_err(wrong)?;
    // The logs are written on while the past is read, but nobody attacks before somebody watches.
    live.next_attack_at(Millis::MAX);
    let configuration = what.folder.join("crmwatch.toml");
    let mut config = Config::load(&configuration)?;
    // Any free port: a daemon may already have the usual one.
    config.listen.set_port(0);
    // What is thrown away in a minute needs no reserve.
    config.retention.min_free_bytes = 0;
    let engine = Engine::new(&config.detectors).map_err(|error| RunError::Configuration(error.to_string()))?;
    let rules: BTreeSet<String> = engine.rules().into_iter().map(|rule| rule.id.to_string()).collect();
    let mut verdict = Verdict::of(rules.clone());
    live.only(rules);
    let labels = fs::read_to_string(what.folder.join("labels.jsonl")).map_err(wrong)?;
    labels
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter_map(|value| Label::read(&value))
        .for_each(|label| verdict.plant(label));
    screen.say(&words::written(&plan, &summary, began.elapsed().as_secs_f64())).map_err(ShowError::Terminal)?;

    let state_dir = config.state_dir.clone();
    let running = pipeline::spawn(config)?;
    let watched = Ledger::open(&state_dir).map_err(ShowError::from).and_then(|ledger| {
        let numbers = Numbers::of(&running.started.metrics);
        Watch {
            what,
            plan,
            summary,
            running: &running,
            ledger,
            numbers,
            live,
            verdict,
            screen,
            batch: 0,
            shown: BTreeMap::new(),
        }
        .run(interrupted)
    });
    // However it went, the daemon ends before its folder may go.
    let ended = running.end();
    let ending = watched?;
    ended?;
    Ok(ending)
}

/// The demonstration under way.
struct Watch<'s> {
    what: &'s Show,
    plan: Plan,
    summary: Summary,
    running: &'s Running,
    ledger: Ledger,
    numbers: Numbers,
    live: Live,
    verdict: Verdict,
    screen: Screen,
    /// Findings have been read up to this batch.
    batch: u64,
    /// The severity each finding was last shown with, by id.
    shown: BTreeMap<String, Severity>,
}

impl Watch<'_> {
    fn run(mut self, interrupted: &AtomicBool) -> Result<Ending, ShowError> {
        let outcome = self.both(interrupted);
        self.screen.clear();
        outcome
    }

    fn both(&mut self, interrupted: &AtomicBool) -> Result<Ending, ShowError> {
        if !self.past(interrupted)? {
            return Ok(Ending::Interrupted);
        }
        let began = (pipeline::now(), Instant::now());
        let ending = self.present(interrupted, began)?;
        let now = pipeline::now();
        let tally = self.verdict.tally(self.plan.end, Millis::MAX, now);
        self.say(&words::farewell(&tally, began.1.elapsed().as_secs_f64()))?;
        Ok(ending)
    }

    fn say(&self, text: &str) -> Result<(), ShowError> {
        self.screen.say(text).map_err(ShowError::Terminal)
    }

    /// Waits until the past has been read. Says whether it was, or somebody interrupted.
    fn past(&mut self, interrupted: &AtomicBool) -> Result<bool, ShowError> {
        let began = Instant::now();
        let mut rate = Rate::default();
        let mut still = (0, Instant::now());
        loop {
            if interrupted.load(Ordering::Relaxed) {
                return Ok(false);
            }
            self.alive()?;
            self.append(pipeline::now())?;
            let seen = self.numbers.now();
            let status = format!(
                "{} lines a second, {} events indexed, {} findings",
                words::number(rate.of(seen.lines) as u64),
                words::number(seen.indexed),
                self.shown.len()
            );
            self.screen.progress(seen.bytes.min(self.summary.bytes), self.summary.bytes, status);
            for row in self.news()? {
                self.verdict.judge(&row.finding, row.detected_at);
                self.shown.insert(row.finding.id.to_string(), row.finding.severity);
            }
            if seen.indexed != still.0 {
                still = (seen.indexed, Instant::now());
            }
            // The index is the last to have an event; the lines of these very moments need not be waited for.
            let all_read = seen.bytes >= self.summary.bytes;
            if all_read && (seen.indexed >= seen.events || still.1.elapsed() > INDEX_STILL) {
                break;
            }
            std::thread::sleep(TURN);
        }
        let seen = self.numbers.now();
        let tally = self.verdict.tally(Millis::MIN, self.plan.end, pipeline::now());
        let past = words::Past {
            days: self.plan.days,
            lines: seen.lines,
            events: seen.indexed,
            quarantined: seen.quarantined,
            index_bytes: seen.index_bytes,
            took: began.elapsed().as_secs_f64(),
            memories: &self.ledger.state_sizes()?,
            oddities: self.verdict.counts().1,
            tally: &tally,
        };
        self.screen.no_progress();
        self.say(&words::past(&past))?;
        let configuration = self.what.folder.join("crmwatch.toml");
        let lasts = self.what.lasts.map(|lasts| lasts.as_secs());
        self.say(&words::live(&self.what.program, &configuration, self.running.started.address, lasts))?;
        Ok(true)
    }

    fn present(&mut self, interrupted: &AtomicBool, (since, began): (Millis, Instant)) -> Result<Ending, ShowError> {
        let mut rate = Rate::default();
        self.live.next_attack_at(since + FIRST_ATTACK);
        loop {
            self.alive()?;
            let now = pipeline::now();
            self.append(now)?;
            for row in self.news()? {
                self.found(&row, now)?;
            }
            let seen = self.numbers.now();
            let Tally { planted, found, .. } = self.verdict.tally(self.plan.end, Millis::MAX, now);
            self.screen.status(format!(
                "live {:>3} s · {:.1} lines/s · {} events indexed · lag {} · {found} of {planted} attacks found · http://{}/metrics",
                began.elapsed().as_secs(),
                rate.of(seen.lines),
                words::number(seen.indexed),
                words::size(seen.lag),
                self.running.started.address,
            ));
            if interrupted.load(Ordering::Relaxed) {
                return Ok(Ending::Interrupted);
            }
            if self.what.lasts.is_some_and(|lasts| began.elapsed() >= lasts) {
                return Ok(Ending::Over);
            }
            std::thread::sleep(TURN);
        }
    }

    fn alive(&self) -> Result<(), ShowError> {
        if self.running.has_ended() {
            return Err(ShowError::Daemon(RunError::Session("its log says why".to_owned())));
        }
        Ok(())
    }

    /// Writes the logs on, and remembers what was planted.
    fn append(&mut self, now: Millis) -> Result<(), ShowError> {
        let labels = self
            .live
            .append_until(now)
            .map_err(|error| ShowError::Folder { folder: self.what.folder.clone(), error })?;
        for label in labels.iter().filter_map(Label::read) {
            self.say(&words::planted(&label.family, &label.about, &label.id, label.start, self.screen.coloured()))?;
            self.verdict.plant(label);
        }
        Ok(())
    }

    /// Findings opened or changed since the last look.
    fn news(&mut self) -> Result<Vec<FindingRow>, ShowError> {
        let rows = self.ledger.findings_after_batch(self.batch)?;
        self.batch = rows.iter().map(|row| row.batch).max().unwrap_or(self.batch);
        Ok(rows)
    }

    /// Shows a finding the first time, and when it has become worse.
    fn found(&mut self, row: &FindingRow, now: Millis) -> Result<(), ShowError> {
        let finding = &row.finding;
        let verdict = self.verdict.judge(finding, now);
        let before = self.shown.insert(finding.id.to_string(), finding.severity);
        if before.is_some_and(|before| before >= finding.severity) {
            return Ok(());
        }
        let shown = words::Shown { finding, before, verdict, seen: now, past: finding.time < self.plan.end };
        let text = words::finding(&shown, &self.verdict, &self.what.folder, self.screen.coloured());
        self.say(&text)
    }
}

/// The daemon's numbers.
struct Numbers {
    metrics: Metrics,
    sources: Vec<SourceMetrics>,
}

/// Them at one moment, of all sources together.
struct Seen {
    lines: u64,
    bytes: u64,
    lag: u64,
    events: u64,
    quarantined: u64,
    indexed: u64,
    index_bytes: u64,
}

impl Numbers {
    fn of(metrics: &Metrics) -> Numbers {
        let sources = LOGS.iter().map(|log| metrics.source(log.name)).collect();
        Numbers { metrics: metrics.clone(), sources }
    }

    fn now(&self) -> Seen {
        let sum = |collector: &dyn Collector| -> u64 {
            let families = collector.collect();
            families.iter().flat_map(|family| family.get_metric()).map(|one| one.get_counter().get_value() as u64).sum()
        };
        let whole = |value: i64| u64::try_from(value).unwrap_or(0);
        // Read before the events: what is indexed has been counted there.
        let indexed = whole(self.metrics.index_events.get());
        Seen {
            lines: self.sources.iter().map(|source| source.lines_read.get()).sum(),
            bytes: self.sources.iter().map(|source| source.bytes_read.get()).sum(),
            lag: self.sources.iter().map(|source| whole(source.lag_bytes.get())).sum(),
            events: sum(&self.metrics.events_parsed_total),
            quarantined: sum(&self.metrics.quarantined_total),
            indexed,
            index_bytes: whole(self.metrics.index_bytes.get()),
        }
    }
}

/// A rate over the last turns.
#[derive(Default)]
struct Rate(std::collections::VecDeque<(Instant, u64)>);

impl Rate {
    fn of(&mut self, count: u64) -> f64 {
        self.0.push_back((Instant::now(), count));
        if self.0.len() > RATE_TURNS {
            self.0.pop_front();
        }
        let (since, before) = self.0.front().copied().expect("just added one");
        let seconds = since.elapsed().as_secs_f64();
        if seconds < 0.1 { 0.0 } else { count.saturating_sub(before) as f64 / seconds }
    }
}

/// Lines of the daemon's log that tell of errors, for whoever shows the end of a demonstration.
pub fn errors_in(log: &Path) -> Vec<String> {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().filter(|line| line.contains(" ERROR ")).map(|line| crate::text::one_line(line).into_owned()).collect()
}
