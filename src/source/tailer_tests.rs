//! The tailer against a trivial model: whatever writers, rotations, truncations and restarts do, each line comes exactly once. Where the
//! world itself destroys lines before anybody could read them, no others are missing.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crmwatch_detectors::Millis;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::input::Input;
use super::tailer::CLOSED;
use super::*;
use crate::config::Source;
use crate::ledger::Segment;
use crate::parse::web::Tables;

/// What the world does to one of its logs, and what the daemon does.
#[derive(Debug, Clone, Copy)]
enum Action {
    /// Append so many whole lines.
    Write(u8),
    /// Append the first half of a line; the next write ends it.
    WriteHalf,
    /// Append a line in ten pieces, with a round of reading after each.
    WriteInPieces,
    /// Append a line longer than the source takes.
    WriteLong,
    /// `mv log log.N`, then a new file.
    Rename,
    /// Rename and compress, as logrotate's `compress` does: after a look, or before anybody looks.
    RenameAndCompress { zstd: bool, seen: bool },
    /// Compress the rotated file that was left longest, as `delaycompress` does.
    CompressOldest { zstd: bool },
    /// Copy to log.N, then truncate.
    CopyTruncate,
    /// Copy to log.N, then so many lines that are read before the truncation, with a look at the folders in between or without.
    CopyWriteTruncate(u8, bool),
    /// Truncate, and write so many lines at once, which may be more than there were.
    Overwrite(u8),
    /// Delete, and begin again at once: with the same inode, as likely as not.
    DeleteAndRecreate,
    /// Another name for the log that the pattern names, too.
    Symlink,
    /// A second name for the log itself.
    HardLink,
    /// One look at the folders and reading to the end.
    Read,
    /// Reading without a look at the folders.
    ReadOnly,
    /// A look at the log's path only, as after a hint, and reading.
    Hint,
    /// So many seconds pass.
    Wait(u8),
    /// The daemon stops; until it starts, nothing is read.
    Stop,
    /// The daemon starts from its positions, or is restarted.
    Start,
    /// It is killed before the last batches were journalled, and starts from older positions.
    Crash,
    /// The last batches are read again from the journal.
    ReadAgain,
}

const MAX_LINE: usize = 4096;
/// Every generation of every log begins with it.
const HEADER: &str = "{\"@timestamp\":\"2026-03-02T09:14:07Z\",\"event.action\":\"startup\",\"version\":1}";

#[derive(Default)]
struct Log {
    half: Option<String>,
    /// Lines written since everything there was to read was read.
    unread: Vec<String>,
    /// Truncated since then.
    truncated: bool,
}

struct World {
    folder: PathBuf,
    logs: [Log; 2],
    number: u32,
    rotations: u32,
    rotated: Vec<PathBuf>,
    links: u32,
    /// Lines that must come, once.
    written: Vec<String>,
    /// Lines that may come, once: they were destroyed before anybody was sure to have looked.
    destroyed: Vec<String>,
    /// The beginning of a line was destroyed.
    torn: bool,
}

impl World {
    fn path(&self, log: usize) -> PathBuf {
        self.folder.join(["app.log", "app-2.log"][log])
    }

    fn append(&self, log: usize, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(log)).expect("opened");
        file.write_all(text.as_bytes()).expect("written");
    }

    fn line(&mut self) -> String {
        self.number += 1;
        format!("{{\"@timestamp\":\"2026-03-02T09:14:07Z\",\"event.action\":\"view\",\"n\":{}}}", self.number)
    }

    fn expect(&mut self, log: usize, line: String) {
        self.logs[log].unread.push(line.clone());
        self.written.push(line);
    }

    /// Lines of a file that may be new; a new one begins with the header, and never holds that alone.
    fn write(&mut self, log: usize, count: u8) {
        if let Some(mut line) = self.logs[log].half.take() {
            line.push_str("\"}");
            self.append(log, "\"}\n");
            self.expect(log, line);
        }
        let mut text = String::new();
        if fs::metadata(self.path(log)).map_or(0, |metadata| metadata.len()) == 0 {
            text = format!("{HEADER}\n");
            self.expect(log, HEADER.to_owned());
        }
        for _ in 0..count {
            let line = self.line();
            text += &format!("{line}\n");
            self.expect(log, line);
        }
        self.append(log, &text);
    }

    fn write_half(&mut self, log: usize) {
        if self.logs[log].half.is_none() {
            self.write(log, 1);
            self.number += 1;
            let start = format!("{{\"@timestamp\":\"2026-03-02T09:14:07Z\",\"n\":\"{}", self.number);
            self.append(log, &start);
            self.logs[log].half = Some(start);
        }
    }

    fn next_name(&mut self, log: usize) -> PathBuf {
        self.rotations += 1;
        let name = self.path(log);
        name.with_file_name(format!(
            "{}.{}",
            name.file_name().and_then(|name| name.to_str()).expect("text"),
            self.rotations
        ))
    }

    /// What is unread moves to a file that stays.
    fn saved(&mut self, log: usize) {
        self.logs[log].unread.clear();
    }

    /// What is unread may never be read.
    fn destroy(&mut self, log: usize) {
        self.torn |= self.logs[log].half.take().is_some();
        for line in std::mem::take(&mut self.logs[log].unread) {
            let at = self.written.iter().rposition(|other| *other == line).expect("written before");
            self.written.remove(at);
            self.destroyed.push(line);
        }
    }

    fn compress(&mut self, path: &Path, zstd: bool) {
        let text = fs::read(path).expect("read");
        let name = path.file_name().and_then(|name| name.to_str()).expect("text");
        if zstd {
            let compressed = zstd::encode_all(&text[..], 1).expect("compressed");
            fs::write(path.with_file_name(format!("{name}.zst")), compressed).expect("written");
        } else {
            let file = File::create(path.with_file_name(format!("{name}.gz"))).expect("made");
            let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            gzip.write_all(&text).expect("written");
            gzip.finish().expect("finished");
        }
        fs::remove_file(path).expect("removed");
    }
}

/// A batch: its stretches, and the lines they gave.
type Batch = (Vec<Segment>, Vec<String>);

struct Daemon {
    followed: Followed,
    limit: usize,
    tailer: Tailer,
    running: bool,
    now: Millis,
    kept: BTreeMap<u64, Position>,
    seen: Vec<String>,
    notices: Vec<Notice>,
    /// As it was before the last reading, with the world as it is still.
    before: Option<(BTreeMap<u64, Position>, usize)>,
    last: Vec<Batch>,
}

fn followed(folder: &Path) -> Followed {
    let pattern = folder.join("app*").to_string_lossy().into_owned();
    let source = Source { paths: vec![pattern], format: "json".to_owned(), max_line: MAX_LINE, ..Source::named("app") };
    Followed { source: Arc::new(source), tables: Arc::new(Tables::shipped()) }
}

impl Daemon {
    fn new(folder: &Path, limit: usize) -> Daemon {
        let followed = followed(folder);
        let mut daemon = Daemon {
            tailer: Tailer::new(Vec::new(), BTreeMap::new()),
            followed,
            limit,
            running: true,
            now: 1_800_000_000_000,
            kept: BTreeMap::new(),
            seen: Vec::new(),
            notices: Vec::new(),
            before: None,
            last: Vec::new(),
        };
        daemon.start();
        daemon
    }

    fn start(&mut self) {
        self.tailer = Tailer::new(vec![self.followed.clone()], self.kept.clone());
        self.tailer.limit = self.limit;
        self.running = true;
    }

    fn look(&mut self) {
        if self.running {
            self.tailer.look(self.now, &mut self.notices);
        }
    }

    fn drain(&mut self) {
        if !self.running {
            return;
        }
        self.before = Some((self.kept.clone(), self.seen.len()));
        self.last.clear();
        for turn in 0.. {
            let mut reading = Reading { read_at: self.now, ..Reading::default() };
            let busy = self.tailer.read(self.now, &mut reading, &mut self.notices);
            let lines: Vec<String> = reading.events.iter().map(|event| event.raw().to_owned()).collect();
            self.seen.extend_from_slice(&lines);
            self.last.push((reading.segments, lines));
            let (changed, _) = self.tailer.changed();
            self.kept.extend(changed.into_iter().map(|position| (position.generation, position)));
            assert!(turn < 10_000, "reading comes to an end");
            if !busy {
                return;
            }
        }
    }

    /// Everything that can be read is read, also where few files can be open at a time.
    fn read(&mut self) {
        self.look();
        self.drain();
    }

    fn has_open(&self, path: &Path) -> bool {
        let inode = fs::metadata(path).map_or(0, |metadata| metadata.ino());
        self.running
            && self.tailer.open.iter().any(|open| open.source != CLOSED && open.follower.position.inode == inode)
    }

    fn read_again(&self) {
        for (segments, lines) in &self.last {
            let mut events = Vec::new();
            for segment in segments {
                let position = &self.kept[&segment.generation];
                let own = std::iter::once(PathBuf::from(&position.path));
                let input = own
                    .chain(siblings(Path::new(&position.path)))
                    .filter_map(|path| Input::open(&path).ok())
                    .find_map(|mut input| position.fits(&mut input).unwrap_or(false).then_some(input))
                    .expect("the file is there");
                let (source, tables) = (self.followed.source.clone(), self.followed.tables.clone());
                let (lost, _) =
                    reread(input, segment, position.clone(), source, tables, self.now, &mut events).expect("read");
                assert_eq!(lost, 0, "{segment:?}");
            }
            let again: Vec<&str> = events.iter().map(|event| event.raw()).collect();
            assert_eq!(again, *lines, "read again from {segments:?}");
        }
    }
}

fn run(actions: &[(usize, Action)]) {
    run_with(actions, 512);
}

fn run_with(actions: &[(usize, Action)], limit: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World {
        folder: folder.path().to_owned(),
        logs: [Log::default(), Log::default()],
        number: 0,
        rotations: 0,
        rotated: Vec::new(),
        links: 0,
        written: Vec::new(),
        destroyed: Vec::new(),
        torn: false,
    };
    let mut daemon = Daemon::new(folder.path(), limit);
    // The files are known before anything happens to them; one that comes and goes between two looks cannot be seen by anybody.
    world.write(0, 1);
    world.write(1, 1);
    read(&mut world, &mut daemon);
    let mut owed = 0;
    for (log, action) in actions {
        act(&mut world, &mut daemon, *log, *action, &mut owed);
        use Action::{Crash, Hint, Read, ReadAgain, ReadOnly, Start, Stop, Wait};
        if !matches!(action, Read | ReadOnly | Hint | Wait(_) | Stop | Start | Crash | ReadAgain) {
            // What was read before the world went on was journalled before that.
            daemon.before = None;
            daemon.last.clear();
        }
    }
    if !daemon.running {
        daemon.start();
    }
    world.write(0, 1);
    world.write(1, 1);
    for _ in 0..3 {
        read(&mut world, &mut daemon);
    }
    let mut counts: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    for line in &world.written {
        counts.entry(&line[..line.len().min(MAX_LINE)]).or_default().0 += 1;
    }
    for line in &world.destroyed {
        counts.entry(&line[..line.len().min(MAX_LINE)]).or_default().1 += 1;
    }
    for line in &daemon.seen {
        counts.entry(line).or_default().2 += 1;
    }
    for (line, (must, may, seen)) in counts {
        assert!(
            (must..=must + may).contains(&seen),
            "{} came {seen} times, written {must} times, and {may} times where nobody could be sure to read it",
            &line[..line.len().min(120)]
        );
    }
    let lost: Vec<&Notice> = daemon.notices.iter().filter(|notice| matches!(notice, Notice::Lost { .. })).collect();
    let bytes: u64 = lost
        .iter()
        .map(|notice| if let Notice::Lost { bytes, .. } = notice { bytes.unwrap_or_default() } else { 0 })
        .sum();
    assert!(bytes >= owed, "{owed} bytes were seen and destroyed, {bytes} were told: {lost:?}");
    // After a stop nobody knows whether there was more in a file that was overwritten, or truncated after an empty copy.
    let tampered = actions.iter().any(|(_, action)| {
        matches!(action, Action::Overwrite(_) | Action::DeleteAndRecreate | Action::CopyWriteTruncate(..))
    });
    assert!(lost.is_empty() || tampered || !world.destroyed.is_empty(), "nothing was lost: {lost:?}");
    assert!(bytes == 0 || !world.destroyed.is_empty() || world.torn, "nothing was there to be lost: {lost:?}");
    let wrong: Vec<&Notice> =
        daemon.notices.iter().filter(|notice| matches!(notice, Notice::Unreadable { .. })).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(daemon.tailer.descriptors() <= limit.max(1) + 4, "{} files are open", daemon.tailer.descriptors());
}

fn read(world: &mut World, daemon: &mut Daemon) {
    daemon.read();
    if daemon.running {
        for log in &mut world.logs {
            log.unread.clear();
            log.truncated = false;
        }
    }
}

fn truncate(path: &Path) {
    OpenOptions::new().write(true).truncate(true).open(path).expect("truncated");
}

fn act(world: &mut World, daemon: &mut Daemon, log: usize, action: Action, owed: &mut u64) {
    use Action::*;
    let path = world.path(log);
    // A writer ends its line before the log is rotated.
    if world.logs[log].half.is_some()
        && matches!(
            action,
            WriteInPieces | WriteLong | Rename | RenameAndCompress { .. } | CopyTruncate | CopyWriteTruncate(..)
        )
    {
        return;
    }
    match action {
        Write(count) => world.write(log, count),
        WriteHalf => world.write_half(log),
        WriteInPieces => {
            world.write(log, 1);
            let line = world.line();
            world.expect(log, line.clone());
            for piece in format!("{line}\n").as_bytes().chunks(line.len() / 9) {
                world.append(log, std::str::from_utf8(piece).expect("text"));
                daemon.drain();
            }
        }
        WriteLong => {
            world.write(log, 1);
            let long = format!("{{\"long\":\"{:06}{}\"}}", world.number, "x".repeat(3 * MAX_LINE));
            world.append(log, &long[..2 * MAX_LINE]);
            daemon.drain();
            world.append(log, &format!("{}\n", &long[2 * MAX_LINE..]));
            world.expect(log, long);
        }
        Rename => {
            let to = world.next_name(log);
            fs::rename(&path, &to).expect("renamed");
            world.rotated.push(to);
            world.saved(log);
            world.write(log, 1);
        }
        RenameAndCompress { zstd, seen } => {
            // A file that has another name is still there, uncompressed: whose copy the compressed one is, is only known once it is read.
            let linked = fs::metadata(&path).is_ok_and(|metadata| metadata.nlink() > 1);
            let to = world.next_name(log);
            fs::rename(&path, &to).expect("renamed");
            world.saved(log);
            world.write(log, 1);
            // And of one that was truncated, renamed and compressed between two looks nobody knows that it is the one that is open.
            let truncated = std::mem::take(&mut world.logs[log].truncated);
            if (linked || truncated) && !daemon.running {
                return;
            }
            if seen || linked || truncated {
                read(world, daemon);
            }
            world.compress(&to, zstd);
        }
        CompressOldest { zstd } => {
            if !world.rotated.is_empty() {
                let oldest = world.rotated.remove(0);
                // As above: it may have been truncated before it was renamed.
                if daemon.running {
                    read(world, daemon);
                }
                if fs::metadata(&oldest).is_ok_and(|metadata| metadata.nlink() == 1) {
                    world.compress(&oldest, zstd);
                }
            }
        }
        CopyTruncate => {
            let to = world.next_name(log);
            fs::copy(&path, to).expect("copied");
            truncate(&path);
            world.logs[log].truncated = true;
            world.saved(log);
        }
        CopyWriteTruncate(count, seen) => {
            if !daemon.running {
                return;
            }
            read(world, daemon);
            let to = world.next_name(log);
            fs::copy(&path, to).expect("copied");
            world.write(log, count);
            if seen {
                daemon.look();
            }
            daemon.drain();
            if !daemon.has_open(&path) {
                // It was closed and is looked at by path: without a look nobody saw the lines.
                world.destroy(log);
            }
            truncate(&path);
            world.logs[log].truncated = true;
            world.saved(log);
            if !seen {
                daemon.look();
            }
            daemon.drain();
        }
        Overwrite(count) => {
            if daemon.has_open(&path)
                && let Some(half) = world.logs[log].half.as_ref().filter(|_| world.logs[log].unread.is_empty())
            {
                *owed += half.len() as u64;
            }
            world.destroy(log);
            truncate(&path);
            world.logs[log].truncated = true;
            world.write(log, count);
        }
        DeleteAndRecreate => {
            let open = daemon.has_open(&path);
            let linked = fs::metadata(&path).is_ok_and(|metadata| metadata.nlink() > 1);
            if open && !linked {
                // What is open is read to its end, and the beginning of a line is all there ever will be of it.
                if let Some(half) = world.logs[log].half.take() {
                    world.expect(log, half);
                }
                fs::remove_file(&path).expect("removed");
                read(world, daemon);
            } else if linked {
                world.logs[log].half = None;
                world.saved(log);
                fs::remove_file(&path).expect("removed");
            } else {
                world.destroy(log);
                fs::remove_file(&path).expect("removed");
            }
            world.write(log, 1);
        }
        Symlink | HardLink => {
            world.links += 1;
            let link = world.folder.join(format!("app-link-{}", world.links));
            if matches!(action, Symlink) {
                symlink(&path, link).expect("linked");
            } else {
                fs::hard_link(&path, link).expect("linked");
            }
        }
        Read => read(world, daemon),
        ReadOnly => daemon.drain(),
        Hint => {
            if daemon.running {
                daemon.tailer.look_at(std::iter::once(&*path), daemon.now, &mut daemon.notices);
                daemon.drain();
            }
        }
        Wait(seconds) => daemon.now += 1000 * Millis::from(seconds),
        Stop => daemon.running = false,
        Start => daemon.start(),
        Crash => {
            if let Some((kept, seen)) = daemon.before.take() {
                daemon.kept = kept;
                daemon.seen.truncate(seen);
                daemon.last.clear();
                daemon.start();
                // Nothing counts as read any more but what was journalled.
                read(world, daemon);
            }
        }
        ReadAgain => daemon.read_again(),
    }
}

fn actions() -> impl Strategy<Value = Vec<(usize, Action)>> {
    let action = prop_oneof![
        5 => (1u8..40).prop_map(Action::Write),
        2 => Just(Action::WriteHalf),
        1 => Just(Action::WriteInPieces),
        1 => Just(Action::WriteLong),
        2 => Just(Action::Rename),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(zstd, seen)| Action::RenameAndCompress { zstd, seen }),
        1 => any::<bool>().prop_map(|zstd| Action::CompressOldest { zstd }),
        2 => Just(Action::CopyTruncate),
        2 => (1u8..40, any::<bool>()).prop_map(|(count, seen)| Action::CopyWriteTruncate(count, seen)),
        1 => (1u8..60).prop_map(Action::Overwrite),
        1 => Just(Action::DeleteAndRecreate),
        1 => prop_oneof![Just(Action::Symlink), Just(Action::HardLink)],
        5 => Just(Action::Read),
        2 => Just(Action::ReadOnly),
        1 => Just(Action::Hint),
        2 => (1u8..20).prop_map(Action::Wait),
        1 => Just(Action::Stop),
        2 => Just(Action::Start),
        1 => Just(Action::Crash),
        1 => Just(Action::ReadAgain),
    ];
    proptest::collection::vec((0usize..2, action), 1..40)
}

/// The same cases each time; more, and others each time, where the environment asks for a number of them.
fn plan() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(150),
        rng_seed: if asked.is_some() { RngSeed::Random } else { RngSeed::Fixed(7) },
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(plan())]

    #[test]
    fn whatever_happens_to_a_log_each_line_comes_exactly_once(actions in actions(), limit in prop_oneof![Just(512usize), 3usize..8]) {
        run_with(&actions, limit);
    }
}

fn all(actions: &[Action]) -> Vec<(usize, Action)> {
    actions.iter().map(|action| (0, *action)).collect()
}

#[test]
fn a_new_file_with_the_inode_of_a_finished_one_is_not_taken_for_it() {
    use Action::{CopyTruncate, Read, RenameAndCompress, Start, Write};
    let compress = RenameAndCompress { zstd: false, seen: true };
    run(&all(&[CopyTruncate, compress, Write(1), Write(1), Read, CopyTruncate, Start]));
}

#[test]
fn a_copy_longer_than_what_was_read_goes_on_where_reading_stopped() {
    run(&all(&[Action::Write(1), Action::CopyTruncate]));
}

#[test]
fn a_copy_made_a_moment_before_the_last_lines_that_were_read_is_not_read_again() {
    use Action::{CopyWriteTruncate, Read, Rename, Start, Write};
    for seen_before in [false, true] {
        run(&all(&[Write(30), Read, CopyWriteTruncate(3, seen_before), Write(5), Read, Rename, Start, Read]));
        run(&all(&[CopyWriteTruncate(1, seen_before), Read, CopyWriteTruncate(30, seen_before), Start]));
    }
}

#[test]
fn several_rotations_while_stopped_lose_and_repeat_nothing() {
    use Action::{CompressOldest, CopyTruncate, Read, Rename, RenameAndCompress, Start, Stop, Write};
    for zstd in [false, true] {
        let compress = RenameAndCompress { zstd, seen: false };
        run(&all(&[Write(9), Read, Write(3), Stop, Rename, Write(5), Rename, Write(2), Start, Read]));
        run(&all(&[Write(9), Read, Write(3), Stop, compress, Write(5), Rename, CompressOldest { zstd }, Start, Read]));
        run(&all(&[Write(9), Read, Write(3), Stop, CopyTruncate, Write(5), CopyTruncate, Write(50), Start, Read]));
    }
}

#[test]
fn a_closed_file_that_is_appended_to_and_renamed_before_the_next_look_loses_nothing() {
    use Action::{Read, Rename, RenameAndCompress, Wait, Write};
    for rotation in [Rename, RenameAndCompress { zstd: true, seen: false }, Action::CopyTruncate] {
        run(&all(&[Write(9), Read, Wait(10), Read, Wait(10), Read, Write(3), rotation, Write(2), Read]));
    }
}

#[test]
fn names_of_one_file_are_one_file() {
    use Action::{HardLink, Read, Rename, Start, Symlink, Wait, Write};
    for link in [Symlink, HardLink] {
        run(&all(&[link, Write(2), Read, Wait(10), Read, Read, Write(2), Read, Rename, Read, Start, Write(1), Read]));
    }
}
