//! The tailer against a trivial model: whatever writers, rotations, truncations and restarts do, each line comes exactly once.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::config::Source;
use crate::parse::web::Tables;

/// What the world does to the log, and what the daemon does.
#[derive(Debug, Clone)]
enum Action {
    /// Append so many whole lines.
    Write(u8),
    /// Append the first half of a line; the next write ends it.
    WriteHalf,
    /// `mv log log.N`, then a new file.
    Rename,
    /// Rename and compress at once, as logrotate's `compress` does.
    RenameAndCompress,
    /// Copy to log.N, then truncate.
    CopyTruncate,
    /// Copy to log.N, then so many lines that are read before the truncation, with a look at the folders in between or without.
    CopyWriteTruncate(u8, bool),
    /// One look at the folders and reading to the end.
    Read,
    /// Reading without a look at the folders.
    ReadOnly,
    /// The daemon stops and starts again from its positions.
    Restart,
}

struct World {
    folder: PathBuf,
    number: u32,
    rotations: u32,
    half: bool,
    written: Vec<String>,
}

impl World {
    fn log(&self) -> PathBuf {
        self.folder.join("app.log")
    }

    fn append(&self, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.log()).expect("opened");
        file.write_all(text.as_bytes()).expect("written");
    }

    fn line(&mut self) -> String {
        self.number += 1;
        format!("{{\"@timestamp\":\"2026-03-02T09:14:07Z\",\"event.action\":\"view\",\"n\":{}}}", self.number)
    }

    fn write(&mut self, count: u8) {
        for _ in 0..count {
            if std::mem::take(&mut self.half) {
                self.append("\"}\n");
                continue;
            }
            let line = self.line();
            self.append(&format!("{line}\n"));
            self.written.push(line);
        }
    }

    fn write_half(&mut self) {
        if !self.half {
            self.number += 1;
            let start = format!("{{\"@timestamp\":\"2026-03-02T09:14:07Z\",\"n\":\"{}", self.number);
            self.append(&start);
            self.written.push(format!("{start}\"}}"));
            self.half = true;
        }
    }

    fn rotated(&mut self, ending: &str) -> PathBuf {
        self.rotations += 1;
        self.folder.join(format!("app.log.{}{ending}", self.rotations))
    }
}

fn tailer(folder: &Path, positions: BTreeMap<u64, Position>) -> Tailer {
    let pattern = folder.join("app.log*").to_string_lossy().into_owned();
    let source = Source { paths: vec![pattern], format: "json".to_owned(), ..Source::named("app") };
    Tailer::new(vec![Followed { source: Arc::new(source), tables: Arc::new(Tables::shipped()) }], positions)
}

fn drain(tailer: &mut Tailer, kept: &mut BTreeMap<u64, Position>, seen: &mut Vec<String>) {
    let mut notices = Vec::new();
    loop {
        let mut reading = Reading { read_at: 1_800_000_000_000, ..Reading::default() };
        let busy = tailer.read(1_800_000_000_000, &mut reading, &mut notices);
        seen.extend(reading.events.iter().map(|event| event.raw().to_owned()));
        let (changed, _) = tailer.changed();
        kept.extend(changed.into_iter().map(|position| (position.generation, position)));
        if !busy {
            break;
        }
    }
    for notice in notices {
        assert!(!matches!(notice, Notice::Lost { .. } | Notice::Unreadable { .. }), "{notice:?}");
    }
}

fn run(actions: &[Action]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world =
        World { folder: folder.path().to_owned(), number: 0, rotations: 0, half: false, written: Vec::new() };
    let mut kept = BTreeMap::new();
    let mut seen = Vec::new();
    let mut tail = tailer(folder.path(), BTreeMap::new());
    let look = |tail: &mut Tailer| {
        let mut notices = Vec::new();
        tail.look(1_800_000_000_000, &mut notices);
        for notice in notices {
            assert!(!matches!(notice, Notice::Lost { .. } | Notice::Unreadable { .. }), "{notice:?}");
        }
    };
    // The file is known before anything happens to it; a file that comes and goes between two looks cannot be seen by anybody.
    world.write(1);
    look(&mut tail);
    drain(&mut tail, &mut kept, &mut seen);
    for action in actions {
        match action {
            Action::Write(count) => world.write(*count),
            Action::WriteHalf => world.write_half(),
            Action::Rename if !world.half => {
                let to = world.rotated("");
                fs::rename(world.log(), to).expect("renamed");
                world.write(1);
            }
            Action::RenameAndCompress if !world.half => {
                let to = world.rotated("");
                fs::rename(world.log(), &to).expect("renamed");
                world.write(1);
                // Compressing starts after the daemon had a look, as with logrotate's delaycompress.
                look(&mut tail);
                drain(&mut tail, &mut kept, &mut seen);
                let gz =
                    to.with_file_name(format!("{}.gz", to.file_name().and_then(|name| name.to_str()).expect("a name")));
                let mut gzip =
                    flate2::write::GzEncoder::new(File::create(gz).expect("made"), flate2::Compression::fast());
                gzip.write_all(&fs::read(&to).expect("read")).expect("written");
                gzip.finish().expect("finished");
                fs::remove_file(to).expect("removed");
            }
            Action::CopyTruncate if !world.half => {
                let to = world.rotated("");
                fs::copy(world.log(), to).expect("copied");
                OpenOptions::new().write(true).truncate(true).open(world.log()).expect("truncated");
            }
            Action::CopyWriteTruncate(count, seen_before) if !world.half => {
                look(&mut tail);
                drain(&mut tail, &mut kept, &mut seen);
                let to = world.rotated("");
                fs::copy(world.log(), to).expect("copied");
                world.write(*count);
                if *seen_before {
                    look(&mut tail);
                }
                drain(&mut tail, &mut kept, &mut seen);
                OpenOptions::new().write(true).truncate(true).open(world.log()).expect("truncated");
                if !*seen_before {
                    look(&mut tail);
                }
                drain(&mut tail, &mut kept, &mut seen);
            }
            Action::Read => {
                look(&mut tail);
                drain(&mut tail, &mut kept, &mut seen);
            }
            Action::ReadOnly => drain(&mut tail, &mut kept, &mut seen),
            Action::Restart => tail = tailer(folder.path(), kept.clone()),
            Action::Rename | Action::RenameAndCompress | Action::CopyTruncate | Action::CopyWriteTruncate(..) => {}
        }
    }
    if world.half {
        world.write(1);
    }
    for _ in 0..3 {
        look(&mut tail);
        drain(&mut tail, &mut kept, &mut seen);
    }
    let mut expected = world.written;
    expected.sort();
    seen.sort();
    assert_eq!(seen, expected);
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        4 => (1u8..40).prop_map(Action::Write),
        2 => Just(Action::WriteHalf),
        2 => Just(Action::Rename),
        1 => Just(Action::RenameAndCompress),
        2 => Just(Action::CopyTruncate),
        2 => (1u8..40, any::<bool>()).prop_map(|(count, seen)| Action::CopyWriteTruncate(count, seen)),
        4 => Just(Action::Read),
        2 => Just(Action::ReadOnly),
        2 => Just(Action::Restart),
    ];
    proptest::collection::vec(action, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_to_a_log_each_line_comes_exactly_once(actions in actions()) {
        run(&actions);
    }
}

#[test]
fn a_new_file_with_the_inode_of_a_finished_one_is_not_taken_for_it() {
    use Action::{CopyTruncate, Read, RenameAndCompress, Restart, Write};
    run(&[CopyTruncate, RenameAndCompress, Write(1), Write(1), Read, CopyTruncate, Restart]);
}

#[test]
fn a_copy_longer_than_what_was_read_goes_on_where_reading_stopped() {
    run(&[Action::Write(1), Action::CopyTruncate]);
}

#[test]
fn a_copy_made_a_moment_before_the_last_lines_that_were_read_is_not_read_again() {
    use Action::{CopyWriteTruncate, Read, Rename, Restart, Write};
    for seen_before in [false, true] {
        run(&[Write(30), Read, CopyWriteTruncate(3, seen_before), Write(5), Read, Rename, Restart, Read]);
        run(&[CopyWriteTruncate(1, seen_before), Read, CopyWriteTruncate(30, seen_before), Restart]);
    }
}

#[test]
fn a_compressed_file_that_is_empty_when_it_is_first_seen_is_not_taken_for_plain_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.log.1.gz");
    let file = File::create(&path).expect("made");
    let (mut reader, mut kept, mut seen) = (tailer(folder.path(), BTreeMap::new()), BTreeMap::new(), Vec::new());
    reader.look(0, &mut Vec::new());
    drain(&mut reader, &mut kept, &mut seen);
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    encoder.write_all(b"{\"event.action\":\"view\"}\n").expect("written");
    encoder.finish().expect("whole");
    reader.look(0, &mut Vec::new());
    drain(&mut reader, &mut kept, &mut seen);
    assert_eq!(seen, ["{\"event.action\":\"view\"}"]);
}
