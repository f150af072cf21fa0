//! The torture run without its daemon: logs are rotated in every way in single steps, as the kernel shows them, between which the tailer looks,
//! reads, journals, is killed and recovers. Each line comes exactly once, and nothing is said to be lost. Dozens of runs take a second,
//! and one that fails shrinks to the few steps it takes. Not for what the world itself destroys (`tailer_tests`).
//!
//! PROPTEST_CASES asks for more runs, STORM_TOLD to be told what happens.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crmwatch_detectors::Millis;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::config::Source;
use crate::ledger::Segment;
use crate::parse::web::Tables;

/// What a writer, or what compresses its rotated logs, does at once. Those that take several steps put these before all others.
#[derive(Debug, Clone)]
enum Step {
    Write(u8),
    /// The first half of a line; whatever is written next ends it.
    Half,
    /// `.1` to `.2` and so on, the live one to `.1`; then compress `.2`.
    Chain,
    /// To a name that stays.
    Dated,
    /// Copied and truncated, whether read or not.
    CopyTruncate,
    /// Emptied, if all of it is durable.
    Rewrite,
    /// Deleted and made anew, if all of it is durable.
    Delete,
    /// The first rotated file that is not compressed yet.
    Compress {
        zstd: bool,
    },
    /// Out of the folder, the oldest that is durable.
    MoveAway,
    // The single steps of these.
    Move(usize, PathBuf),
    MoveLive(PathBuf, bool),
    Reopen,
    Header,
    CopyHalf(PathBuf),
    CopyWhole(PathBuf),
    Truncate,
    Encoded(PathBuf, Vec<u8>),
    Unlink(usize, PathBuf),
}

/// What happens next.
#[derive(Debug, Clone)]
enum Action {
    /// One of the logs is to be treated so, after what was asked for before.
    Ask(usize, Step),
    /// So many steps of a log are done.
    Steps(usize, u8),
    Look,
    /// A look at the live path of a log, as after a hint.
    Hint(usize),
    /// So many reads, each of at least so many lines.
    Read(u8, u8),
    /// All that was read is journalled.
    Journal,
    /// All that was journalled is in the index.
    Index,
    /// The daemon is killed: what was not journalled is forgotten.
    Kill,
    /// It starts, and reads again what was journalled and is not in the index.
    Start,
}

struct Rotated {
    path: PathBuf,
    chain: Option<usize>,
    compressed: bool,
    lines: Vec<String>,
}

struct Log {
    live: PathBuf,
    kept: PathBuf,
    header: String,
    file: File,
    held: Option<String>,
    /// Whole lines in the live file.
    lines: Vec<String>,
    rotated: Vec<Rotated>,
    names: u32,
    steps: VecDeque<Step>,
}

struct World {
    logs: Vec<Log>,
    number: u32,
    written: Vec<String>,
}

fn open(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("opened")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// What a compressor has written when half of the text is flushed, and when all of it is.
fn encoded(text: &[u8], zstd: bool) -> [Vec<u8>; 2] {
    let (first, second) = text.split_at(text.len() / 2);
    if zstd {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("made");
        encoder.write_all(first).and_then(|()| encoder.flush()).expect("written");
        let half = encoder.get_ref().clone();
        encoder.write_all(second).expect("written");
        [half, encoder.finish().expect("finished")]
    } else {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(first).and_then(|()| encoder.flush()).expect("written");
        let half = encoder.get_ref().clone();
        encoder.write_all(second).expect("written");
        [half, encoder.finish().expect("finished")]
    }
}

impl Log {
    fn dated(&mut self) -> PathBuf {
        self.names += 1;
        with_ending(&self.live, &format!("d{}", self.names))
    }

    fn name(&self, place: usize, compressed: &str) -> PathBuf {
        let path = with_ending(&self.live, &place.to_string());
        if compressed.is_empty() { path } else { with_ending(&path, compressed) }
    }

    /// As a server does that goes on in its old file until it is told to open the new one.
    fn rotate(&mut self, to: PathBuf, chain: bool) {
        self.first([Step::MoveLive(to, chain), Step::Write(2), Step::Reopen, Step::Header]);
    }

    fn first<const N: usize>(&mut self, steps: [Step; N]) {
        for step in steps.into_iter().rev() {
            self.steps.push_front(step);
        }
    }

    fn compress(&mut self, at: usize, zstd: bool) {
        let from = self.rotated[at].path.clone();
        let to = with_ending(&from, if zstd { "zst" } else { "gz" });
        let [half, whole] = encoded(&fs::read(&from).expect("read"), zstd);
        let steps = [Vec::new(), half, whole].map(|bytes| Step::Encoded(to.clone(), bytes));
        self.first([Step::Unlink(at, to)]);
        self.first(steps);
    }
}

impl World {
    fn lines(&mut self, log: usize, count: u8) {
        let log = &mut self.logs[log];
        let mut text = String::new();
        if let Some(line) = log.held.take() {
            text += &format!("{}\n", &line[line.len() / 2..]);
            log.lines.push(line.clone());
            self.written.push(line);
        }
        for _ in 0..count {
            self.number += 1;
            let line = line(self.number);
            text += &format!("{line}\n");
            log.lines.push(line.clone());
            self.written.push(line);
        }
        log.file.write_all(text.as_bytes()).expect("written");
    }

    /// Does the next step of a log.
    fn step(&mut self, at: usize, daemon: &Daemon) {
        let Some(step) = self.logs[at].steps.pop_front() else { return };
        if std::env::var_os("STORM_TOLD").is_some() && !matches!(step, Step::Encoded(..)) {
            eprintln!("log {at}: {step:?}");
        }
        let log = &mut self.logs[at];
        match step {
            Step::Write(count) => self.lines(at, count),
            Step::Half => {
                self.lines(at, 0);
                self.number += 1;
                let line = line(self.number);
                let log = &mut self.logs[at];
                log.file.write_all(&line.as_bytes()[..line.len() / 2]).expect("written");
                log.held = Some(line);
            }
            Step::Chain => {
                let to = log.name(1, "");
                log.rotate(to, true);
                let second = log.rotated.iter().position(|one| one.chain == Some(1));
                let mut links: Vec<usize> =
                    (0..log.rotated.len()).filter(|one| log.rotated[*one].chain.is_some()).collect();
                // The first of the chain is put first last of all.
                links.sort_by_key(|one| log.rotated[*one].chain);
                for one in links {
                    let rotated = &log.rotated[one];
                    let place = rotated.chain.expect("filtered") + 1;
                    let ending = rotated.path.extension().filter(|_| rotated.compressed);
                    let ending = ending.map_or(String::new(), |ending| ending.to_string_lossy().into_owned());
                    let to = if place > 3 {
                        let name = log.dated();
                        if ending.is_empty() { name } else { with_ending(&name, &ending) }
                    } else {
                        log.name(place, &ending)
                    };
                    log.rotated[one].chain = Some(place).filter(|place| *place <= 3);
                    log.first([Step::Move(one, to)]);
                }
                if second.is_some() {
                    let zstd = log.names.is_multiple_of(2);
                    log.steps.push_back(Step::Compress { zstd });
                }
            }
            Step::Dated => {
                let to = log.dated();
                log.rotate(to, false);
            }
            Step::CopyTruncate => {
                self.lines(at, 0);
                let log = &mut self.logs[at];
                let to = log.dated();
                log.first([Step::CopyHalf(to.clone()), Step::CopyWhole(to), Step::Truncate, Step::Header]);
            }
            Step::Rewrite | Step::Delete => {
                self.lines(at, 0);
                let log = &mut self.logs[at];
                if log.lines.is_empty() || !log.lines.iter().all(|line| daemon.indexed.contains(line)) {
                    return;
                }
                log.lines.clear();
                if matches!(step, Step::Delete) {
                    fs::remove_file(&log.live).expect("removed");
                    log.file = open(&log.live);
                } else {
                    log.file.set_len(0).expect("truncated");
                }
                log.first([Step::Header]);
            }
            Step::Compress { zstd } => {
                // What is renamed and compressed at once is not what `logrotate` compresses.
                if let Some(one) = log.rotated.iter().position(|one| !one.compressed && one.chain != Some(1)) {
                    log.compress(one, zstd);
                }
            }
            Step::MoveAway => {
                let durable =
                    |one: &Rotated| one.chain.is_none() && one.lines.iter().all(|line| daemon.indexed.contains(line));
                if let Some(one) = log.rotated.iter().position(durable) {
                    let one = log.rotated.remove(one);
                    let name = one.path.file_name().expect("named");
                    fs::rename(&one.path, log.kept.join(name)).expect("moved");
                }
            }
            Step::Move(one, to) => {
                fs::rename(&log.rotated[one].path, &to).expect("renamed");
                log.rotated[one].path = to;
            }
            Step::MoveLive(to, chain) => {
                fs::rename(&log.live, &to).expect("renamed");
                let chain = chain.then_some(1);
                log.rotated.push(Rotated { path: to, chain, compressed: false, lines: Vec::new() });
            }
            Step::Reopen => {
                self.lines(at, 0);
                let log = &mut self.logs[at];
                log.rotated.last_mut().expect("moved before").lines = std::mem::take(&mut log.lines);
                log.file = open(&log.live);
            }
            Step::Header => log.file.write_all(log.header.as_bytes()).expect("written"),
            Step::CopyHalf(to) => {
                let bytes = fs::read(&log.live).expect("read");
                fs::write(&to, &bytes[..bytes.len() / 2]).expect("written");
            }
            Step::CopyWhole(to) => {
                fs::copy(&log.live, &to).expect("copied");
                let lines = std::mem::take(&mut log.lines);
                log.rotated.push(Rotated { path: to, chain: None, compressed: false, lines });
            }
            Step::Truncate => log.file.set_len(0).expect("truncated"),
            Step::Encoded(to, bytes) => {
                // Written on, not anew.
                let mut file = open(&to);
                let before = usize::try_from(file.metadata().expect("there").len()).expect("small");
                file.write_all(&bytes[before..]).expect("written");
            }
            Step::Unlink(one, to) => {
                fs::remove_file(&log.rotated[one].path).expect("removed");
                log.rotated[one].path = to;
                log.rotated[one].compressed = true;
            }
        }
    }
}

fn line(number: u32) -> String {
    let seconds = number % 3600;
    let (minute, second) = (seconds / 60, seconds % 60);
    format!("{{\"@timestamp\":\"2026-03-02T09:{minute:02}:{second:02}Z\",\"event.action\":\"view\",\"n\":{number}}}")
}

/// What one batch holds.
#[derive(Default)]
struct Batch {
    segments: Vec<Segment>,
    lines: Vec<String>,
    positions: Vec<Position>,
    forgotten: Vec<u64>,
    reading: Millis,
}

struct Daemon {
    followed: Vec<Followed>,
    limit: usize,
    tailer: Option<Tailer>,
    now: Millis,
    read: VecDeque<Batch>,
    /// The ledger's positions, and its batches that the index may not have.
    positions: BTreeMap<u64, Position>,
    journal: Vec<Batch>,
    /// Lines in the index, and how often.
    indexed: BTreeSet<String>,
    again: Vec<String>,
    notices: Vec<Notice>,
}

impl Daemon {
    fn look(&mut self) {
        self.now += 700;
        if let Some(tailer) = &mut self.tailer {
            tailer.look(self.now, &mut self.notices);
        }
    }

    fn read(&mut self, lines: u8) -> bool {
        let Some(tailer) = &mut self.tailer else { return false };
        tailer.batch = usize::from(lines);
        self.now += 10;
        let mut reading = Reading { read_at: self.now, ..Reading::default() };
        let busy = tailer.read(self.now, &mut reading, &mut self.notices);
        let (positions, forgotten) = tailer.changed();
        let lines: Vec<String> = reading.events.iter().map(|event| event.raw().to_owned()).collect();
        let segments = reading.segments;
        self.read.push_back(Batch { segments, lines, positions, forgotten, reading: self.now });
        busy
    }

    fn journal(&mut self) {
        for batch in self.read.drain(..) {
            self.positions.extend(batch.positions.iter().map(|one| (one.generation, one.clone())));
            for generation in &batch.forgotten {
                self.positions.remove(generation);
            }
            self.journal.push(batch);
        }
    }

    fn index(&mut self) {
        for batch in self.journal.drain(..) {
            for line in batch.lines {
                if !line.starts_with('#') && !self.indexed.insert(line.clone()) {
                    self.again.push(line);
                }
            }
        }
    }

    fn kill(&mut self) {
        self.read.clear();
        self.tailer = None;
    }

    fn start(&mut self) {
        self.kill();
        let mut journal = std::mem::take(&mut self.journal);
        for batch in &mut journal {
            let mut events = Vec::new();
            for segment in &batch.segments {
                let position = &self.positions[&segment.generation];
                let followed = self.followed.iter().find(|one| one.source.name == position.source).expect("ours");
                let input = locate(position).expect("no error");
                let input = input
                    .unwrap_or_else(|| panic!("{} is to be read again and is not there: {position:?}", position.path));
                let (source, tables) = (followed.source.clone(), followed.tables.clone());
                let (lost, _) =
                    reread(input, segment, position.clone(), source, tables, batch.reading, &mut events).expect("read");
                assert_eq!(lost, 0, "{segment:?}");
            }
            let lines: Vec<String> = events.iter().map(|event| event.raw().to_owned()).collect();
            assert_eq!(lines, batch.lines, "read again from {:?}", batch.segments);
        }
        self.journal = journal;
        self.index();
        let text = serde_json::to_string(&self.positions).expect("written");
        let mut tailer = Tailer::new(self.followed.clone(), serde_json::from_str(&text).expect("read"));
        tailer.limit = self.limit;
        self.tailer = Some(tailer);
    }
}

fn run(headers: &[&str], actions: &[Action], limit: usize) {
    let told = std::env::var_os("STORM_TOLD").is_some();
    let folder = tempfile::tempdir().expect("a folder");
    let tables = Arc::new(Tables::shipped());
    let (mut logs, mut followed) = (Vec::new(), Vec::new());
    for (number, header) in headers.iter().enumerate() {
        let (logged, kept) = (folder.path().join(format!("log{number}")), folder.path().join(format!("kept{number}")));
        fs::create_dir_all(&logged).and_then(|()| fs::create_dir_all(&kept)).expect("made");
        let paths = vec![logged.join("*").to_string_lossy().into_owned()];
        let source = Source { paths, format: "json".to_owned(), ..Source::named(&format!("log{number}")) };
        followed.push(Followed { source: Arc::new(source), tables: tables.clone() });
        let live = logged.join("app.log");
        let file = open(&live);
        let (lines, rotated, steps) = (Vec::new(), Vec::new(), VecDeque::from([Step::Header]));
        logs.push(Log { live, kept, header: (*header).to_owned(), file, held: None, lines, rotated, names: 0, steps });
    }
    let mut world = World { logs, number: 0, written: Vec::new() };
    let mut daemon = Daemon {
        followed,
        limit,
        tailer: None,
        now: 1_800_000_000_000,
        read: VecDeque::new(),
        positions: BTreeMap::new(),
        journal: Vec::new(),
        indexed: BTreeSet::new(),
        again: Vec::new(),
        notices: Vec::new(),
    };
    daemon.start();
    for action in actions {
        if told && !matches!(action, Action::Steps(..)) {
            eprintln!("{action:?}");
        }
        match action {
            Action::Ask(log, step) => world.logs[*log].steps.push_back(step.clone()),
            Action::Steps(log, count) => (0..*count).for_each(|_| world.step(*log, &daemon)),
            Action::Look => daemon.look(),
            Action::Hint(log) => {
                if let Some(tailer) = &mut daemon.tailer {
                    tailer.look_at(std::iter::once(&*world.logs[*log].live), daemon.now, &mut daemon.notices);
                }
            }
            Action::Read(count, lines) => {
                let mut left = *count;
                while left > 0 && daemon.read(*lines) {
                    left -= 1;
                }
            }
            Action::Journal => daemon.journal(),
            Action::Index => daemon.index(),
            Action::Kill => daemon.kill(),
            Action::Start => daemon.start(),
        }
    }
    if daemon.tailer.is_none() {
        daemon.start();
    }
    for log in 0..world.logs.len() {
        while !world.logs[log].steps.is_empty() {
            world.step(log, &daemon);
        }
        world.lines(log, 1);
    }
    for _ in 0..8 {
        daemon.look();
        while daemon.read(u8::MAX) {}
        daemon.journal();
        daemon.index();
    }
    let missing: Vec<&String> = world.written.iter().filter(|line| !daemon.indexed.contains(*line)).collect();
    let lost = |notice: &&Notice| {
        matches!(notice, Notice::Unreadable { .. })
            || matches!(notice, Notice::Lost { bytes, cause, .. } if bytes.is_some() || *cause != "gone_while_stopped")
    };
    let complaints: Vec<&Notice> = daemon.notices.iter().filter(lost).collect();
    assert!(
        missing.is_empty() && daemon.again.is_empty() && complaints.is_empty(),
        "{} missing {:?}, {} twice {:?}, told {complaints:?}",
        missing.len(),
        missing.first(),
        daemon.again.len(),
        daemon.again.first()
    );
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1u8..40).prop_map(Step::Write),
        1 => Just(Step::Half),
        4 => Just(Step::Chain),
        2 => Just(Step::Dated),
        2 => Just(Step::CopyTruncate),
        1 => Just(Step::Rewrite),
        1 => Just(Step::Delete),
        3 => any::<bool>().prop_map(|zstd| Step::Compress { zstd }),
        1 => Just(Step::MoveAway),
    ]
}

fn actions(logs: usize) -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        8 => (0..logs, steps()).prop_map(|(log, step)| Action::Ask(log, step)),
        10 => (0..logs, 1u8..6).prop_map(|(log, count)| Action::Steps(log, count)),
        5 => Just(Action::Look),
        1 => (0..logs).prop_map(Action::Hint),
        6 => (1u8..4, 1u8..60).prop_map(|(count, lines)| Action::Read(count, lines)),
        4 => Just(Action::Journal),
        2 => Just(Action::Index),
        1 => Just(Action::Kill),
        2 => Just(Action::Start),
    ];
    proptest::collection::vec(action, 1..80)
}

/// The same cases each time; more, and others each time, where the environment asks for a number of them.
fn plan() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(200),
        rng_seed: if asked.is_some() { RngSeed::Random } else { RngSeed::Fixed(3) },
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

const SHORT: &str = "# exported by the CRM, version 12\n";

fn long() -> String {
    format!("# {}\n", "exported by the CRM; ".repeat(60))
}

proptest! {
    #![proptest_config(plan())]

    #[test]
    fn rotated_in_every_way_step_by_step_and_killed_between_each_line_comes_once(
        actions in actions(2),
        limit in prop_oneof![Just(512usize), 1usize..5],
        header in 0usize..3,
    ) {
        let long = long();
        run(&[["", SHORT, &long][header], ""], &actions, limit);
    }
}
