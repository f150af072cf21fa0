//! What the tailer promises of files, one test a promise, each named after it. The remark above a test names the reports of other
//! programs where that promise was broken. Not for random sequences (`tailer_tests`) nor for the daemon around it (`tests/it`).

mod copies_tests;
mod copytruncate_tests;
mod encoding_tests;
mod identity_tests;
mod line_tests;
mod restart_tests;
mod rotation_tests;
mod state_tests;
mod truncation_tests;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crmwatch_detectors::{Event, Millis};

use super::{Followed, Notice, Position, Reading, Tailer};
use crate::config::Source;
use crate::parse::web::Tables;

/// The time of the first look.
const START: Millis = 1_800_000_000_000;

/// A folder with logs in it, what was written to them, and a tailer that follows them.
struct World {
    folder: tempfile::TempDir,
    sources: Vec<Source>,
    tailer: Tailer,
    /// The positions as the ledger would hold them.
    kept: BTreeMap<u64, Position>,
    now: Millis,
    number: u32,
    written: Vec<String>,
    seen: Vec<String>,
    events: Vec<Event>,
    notices: Vec<Notice>,
}

impl World {
    /// Follows `app.log*`, one JSON object a line.
    fn new() -> World {
        World::of(|folder| vec![source("app", folder, &["app.log*"])])
    }

    /// Follows other files of the folder.
    fn over(patterns: &[&str]) -> World {
        World::of(|folder| vec![source("app", folder, patterns)])
    }

    fn of(sources: impl FnOnce(&Path) -> Vec<Source>) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let sources = sources(folder.path());
        let tailer = Tailer::new(followed(&sources), BTreeMap::new());
        World {
            folder,
            sources,
            tailer,
            kept: BTreeMap::new(),
            now: START,
            number: 0,
            written: Vec::new(),
            seen: Vec::new(),
            events: Vec::new(),
            notices: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The next line, with its newline; it is expected to be seen.
    fn line(&mut self) -> String {
        self.number += 1;
        let line =
            format!("{{\"@timestamp\":\"2026-03-02T09:14:07Z\",\"event.action\":\"view\",\"n\":{}}}", self.number);
        self.written.push(line.clone());
        line + "\n"
    }

    fn lines(&mut self, count: usize) -> String {
        (0..count).map(|_| self.line()).collect()
    }

    /// Appends bytes and nothing else.
    fn raw(&self, name: &str, bytes: &[u8]) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).expect("opened");
        file.write_all(bytes).expect("written");
    }

    /// Appends so many new lines.
    fn append(&mut self, name: &str, count: usize) {
        let text = self.lines(count);
        self.raw(name, text.as_bytes());
    }

    /// Writes so many new lines over whatever stood there, as `>` does: the file is emptied, then written.
    fn overwrite(&mut self, name: &str, count: usize) {
        let text = self.lines(count);
        fs::write(self.path(name), text).expect("written");
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("renamed");
    }

    fn copy(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).expect("copied");
    }

    fn empty(&self, name: &str) {
        OpenOptions::new().write(true).truncate(true).open(self.path(name)).expect("truncated");
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("removed");
    }

    /// Replaces a file by its compressed form.
    fn gzip(&self, name: &str) {
        let file = File::create(self.path(&format!("{name}.gz"))).expect("made");
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gzip.write_all(&fs::read(self.path(name)).expect("read")).expect("written");
        gzip.finish().expect("finished");
        self.remove(name);
    }

    /// One look at the folders.
    fn look(&mut self) {
        self.now += 1_000;
        self.tailer.look(self.now, &mut self.notices);
    }

    /// Reads one batch at most and keeps its positions. True if there was anything.
    fn batch(&mut self) -> bool {
        let mut reading = Reading { read_at: self.now, ..Reading::default() };
        let busy = self.tailer.read(self.now, &mut reading, &mut self.notices);
        self.seen.extend(reading.events.iter().map(|event| event.raw().to_owned()));
        self.events.extend(reading.events);
        let (changed, forgotten) = self.tailer.changed();
        self.kept.extend(changed.into_iter().map(|position| (position.generation, position)));
        for generation in forgotten {
            self.kept.remove(&generation);
        }
        busy
    }

    /// Reads to the end of all files.
    fn read(&mut self) {
        for _ in 0..100_000 {
            if !self.batch() {
                return;
            }
        }
        panic!("reading comes to no end");
    }

    /// Looks and reads until nothing can be left.
    fn settle(&mut self) {
        for _ in 0..3 {
            self.look();
            self.read();
        }
    }

    /// The tailer stops, or is killed, and starts again from the positions that were kept.
    fn restart(&mut self) {
        // Positions are kept in JSON.
        let text = serde_json::to_string(&self.kept).expect("written");
        let kept = serde_json::from_str(&text).expect("read");
        self.tailer = Tailer::new(followed(&self.sources), kept);
    }

    /// What was told, without the comings and goings of files.
    fn losses(&self) -> Vec<&Notice> {
        self.notices.iter().filter(|one| matches!(one, Notice::Lost { .. } | Notice::Unreadable { .. })).collect()
    }

    /// Every line that was written was seen once, none was lost, and nothing else was seen.
    #[track_caller]
    fn exactly_once(&mut self) {
        self.settle();
        self.seen_exactly_once();
        assert_eq!(self.losses(), Vec::<&Notice>::new());
    }

    #[track_caller]
    fn seen_exactly_once(&self) {
        let mut counts: BTreeMap<&str, i32> = BTreeMap::new();
        for line in &self.written {
            *counts.entry(line).or_default() += 1;
        }
        for line in &self.seen {
            *counts.entry(line).or_default() -= 1;
        }
        counts.retain(|_, count| *count != 0);
        let some: Vec<_> = counts.iter().take(5).collect();
        assert!(counts.is_empty(), "{} lines too few (+) or too many (-), as {some:?}", counts.len());
    }

    /// Handles this process has on files of the folder, by what the kernel says.
    fn handles(&self) -> usize {
        let folder = self.folder.path().canonicalize().expect("there");
        fs::read_dir("/proc/self/fd")
            .expect("a proc file system")
            .flatten()
            .filter(|entry| fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(&folder)))
            .count()
    }
}

fn source(name: &str, folder: &Path, patterns: &[&str]) -> Source {
    let paths = patterns.iter().map(|pattern| folder.join(pattern).to_string_lossy().into_owned()).collect();
    Source { paths, format: "json".to_owned(), ..Source::named(name) }
}

fn followed(sources: &[Source]) -> Vec<Followed> {
    let tables = Arc::new(Tables::shipped());
    let each = sources.iter().map(|source| Followed { source: Arc::new(source.clone()), tables: tables.clone() });
    each.collect()
}
