//! What the tailer spends on files: descriptors, memory, turns. Not for which lines come (`tailer_tests`).

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crmwatch_detectors::Millis;

use super::*;
use crate::config::Source;
use crate::parse::web::Tables;

const NOW: Millis = 1_800_000_000_000;

fn source(name: &str, folder: &Path, pattern: &str) -> Source {
    let paths = vec![folder.join(pattern).to_string_lossy().into_owned()];
    Source { paths, format: "json".to_owned(), ..Source::named(name) }
}

fn tailer(sources: Vec<Source>, positions: BTreeMap<u64, Position>) -> Tailer {
    let tables = Arc::new(Tables::shipped());
    let followed = |source| Followed { source: Arc::new(source), tables: Arc::clone(&tables) };
    Tailer::new(sources.into_iter().map(followed).collect(), positions)
}

fn line(stamp: &str, number: usize) -> String {
    format!("{{\"@timestamp\":\"{stamp}\",\"event.action\":\"view\",\"n\":{number}}}\n")
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opened");
    file.write_all(text.as_bytes()).expect("written");
}

/// Reads to the end; what came, and what was told.
fn read(tailer: &mut Tailer, now: Millis) -> (Vec<String>, Vec<Notice>) {
    let (mut lines, mut notices) = (Vec::new(), Vec::new());
    tailer.look(now, &mut notices);
    loop {
        let mut reading = Reading { read_at: now, ..Reading::default() };
        let busy = tailer.read(now, &mut reading, &mut notices);
        lines.extend(reading.events.iter().map(|event| event.raw().to_owned()));
        if !busy {
            return (lines, notices);
        }
    }
}

#[test]
fn quiet_files_hold_no_descriptor_and_the_next_line_of_each_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |number: usize| folder.path().join(format!("app-{number}.log"));
    for number in 0..700 {
        append(&path(number), &line("2026-03-02T09:14:07Z", number));
    }
    let mut tailer = tailer(vec![source("app", folder.path(), "app-*.log")], BTreeMap::new());
    assert_eq!(read(&mut tailer, NOW).0.len(), 700);
    assert!(tailer.descriptors() <= 512, "{} files are open", tailer.descriptors());
    // Those written to a moment ago are looked into once more.
    std::thread::sleep(std::time::Duration::from_millis(30));
    for round in 1..4 {
        assert!(read(&mut tailer, NOW + round * 10_000).0.is_empty());
    }
    assert_eq!(tailer.descriptors(), 0);
    assert_eq!(tailer.held()[&0].0, 700, "all of them are followed");
    append(&path(333), &line("2026-03-02T09:15:00Z", 1000));
    let (lines, notices) = read(&mut tailer, NOW + 50_000);
    assert_eq!((lines.len(), tailer.descriptors()), (1, 1));
    assert!(notices.is_empty(), "{notices:?}");
}

#[test]
fn files_that_lie_as_they_were_left_are_not_opened_at_a_start() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..20 {
        append(&folder.path().join(format!("app-{number}.log")), &line("2026-03-02T09:14:07Z", number));
    }
    let mut first = tailer(vec![source("app", folder.path(), "app-*.log")], BTreeMap::new());
    read(&mut first, NOW);
    let positions = first.changed().0.into_iter().map(|position| (position.generation, position)).collect();
    append(&folder.path().join("app-7.log"), &line("2026-03-02T09:15:00Z", 1000));
    let mut second = tailer(vec![source("app", folder.path(), "app-*.log")], positions);
    let (lines, notices) = read(&mut second, NOW);
    assert_eq!((lines.len(), second.descriptors()), (1, 1));
    assert!(notices.is_empty(), "{notices:?}");
}

#[test]
fn deleted_files_are_held_only_so_far_as_the_source_allows_and_what_is_given_up_is_told_in_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let half = format!("{{\"n\":\"{}", "x".repeat(1000));
    let held = Source { hold_deleted: 1500, ..source("app", folder.path(), "*.log") };
    let mut tailer = tailer(vec![held], BTreeMap::new());
    for name in ["a.log", "b.log"] {
        append(&folder.path().join(name), &half.replace('n', &name[..1]));
    }
    let mut notices = Vec::new();
    tailer.look(NOW, &mut notices);
    for name in ["a.log", "b.log"] {
        fs::remove_file(folder.path().join(name)).expect("removed");
    }
    tailer.look(NOW + 1_000, &mut notices);
    let lost: Vec<&Notice> = notices.iter().filter(|notice| matches!(notice, Notice::Lost { .. })).collect();
    let bytes = Some(half.len() as u64);
    assert!(
        matches!(lost[..], [Notice::Lost { bytes: told, cause: "deleted_limit", .. }] if *told == bytes),
        "{lost:?}"
    );
    assert_eq!(tailer.held()[&0], (1, half.len() as u64));
}

#[test]
fn a_deleted_file_that_was_read_is_no_loss_and_one_deleted_while_stopped_is_told_in_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.log");
    append(&path, &(line("2026-03-02T09:14:07Z", 1) + "{\"half\":"));
    let mut first = tailer(vec![source("app", folder.path(), "*.log")], BTreeMap::new());
    read(&mut first, NOW);
    let positions: BTreeMap<u64, Position> =
        first.changed().0.into_iter().map(|position| (position.generation, position)).collect();
    fs::remove_file(&path).expect("removed");
    let (lines, notices) = read(&mut first, NOW + 1_000);
    assert_eq!(lines, ["{\"half\":"]);
    assert!(!notices.iter().any(|notice| matches!(notice, Notice::Lost { .. })), "{notices:?}");
    let mut second = tailer(vec![source("app", folder.path(), "*.log")], positions);
    // While names change a folder's list may lack a file that is there: it is missed at the second look.
    let (_, mut notices) = read(&mut second, NOW);
    notices.extend(read(&mut second, NOW + 1_000).1);
    let told =
        notices.iter().any(|notice| matches!(notice, Notice::Lost { bytes: Some(8), cause: "gone_while_stopped", .. }));
    assert!(told, "{notices:?}");
}

#[test]
fn a_busy_file_does_not_starve_a_quiet_one_whatever_times_its_events_bear() {
    for stamp in ["2001-01-01T00:00:00Z", "2026-03-02T09:14:07Z", "2027-01-15T20:00:00Z", "not a time"] {
        let folder = tempfile::tempdir().expect("a folder");
        let busy = folder.path().join("busy.log");
        append(&folder.path().join("quiet.log"), &line("2026-12-31T00:00:00Z", 0));
        let chunk: String = (0..2_000).map(|number| line(stamp, number)).collect();
        append(&busy, &chunk);
        let sources = vec![source("busy", folder.path(), "busy.log"), source("quiet", folder.path(), "quiet.log")];
        let mut tailer = tailer(sources, BTreeMap::new());
        let mut notices = Vec::new();
        tailer.look(NOW, &mut notices);
        let mut bytes = 0;
        let came = (0..2_000).any(|round| {
            // It always has more than a round takes.
            while tailer.lag()[&0] < 2 * chunk.len() as u64 && bytes < 50 << 20 {
                append(&busy, &chunk.repeat(8));
                bytes += 8 * chunk.len();
                tailer.open.iter_mut().for_each(|open| drop(open.follower.look()));
            }
            let mut reading = Reading { read_at: NOW, ..Reading::default() };
            tailer.read(NOW + round, &mut reading, &mut notices);
            reading.counts.contains_key(&1)
        });
        assert!(came, "the quiet file waits for a busy one of {stamp}");
        assert!(bytes < 25 << 20, "it waited for {bytes} bytes of {stamp}");
    }
}

#[test]
fn a_line_without_end_is_searched_once_and_costs_no_more_memory_than_the_source_allows() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.log");
    let short = Source { max_line: 64 << 10, ..source("app", folder.path(), "*.log") };
    let mut tailer = tailer(vec![short], BTreeMap::new());
    append(&path, "{\"n\":\"");
    let piece = "x".repeat(1 << 20);
    let before = bytes_read();
    for round in 0..64 {
        append(&path, &piece);
        let (lines, notices) = read(&mut tailer, NOW + round);
        assert!(lines.is_empty());
        assert!(notices.iter().all(|notice| matches!(notice, Notice::Opened { .. })), "{notices:?}");
    }
    append(&path, &format!("\"}}\n{}", line("2026-03-02T09:14:07Z", 1)));
    let (lines, _) = read(&mut tailer, NOW + 100);
    assert_eq!(
        lines.iter().map(String::len).collect::<Vec<_>>(),
        [64 << 10, line("2026-03-02T09:14:07Z", 1).len() - 1]
    );
    assert!(tailer.buffer.capacity() < 1 << 20, "{} bytes are kept", tailer.buffer.capacity());
    let read = bytes_read() - before;
    assert!(read < 3 * (64 << 20), "{read} bytes were read of 64 MiB");
}

/// Bytes this thread has asked the kernel for.
fn bytes_read() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/io").unwrap_or_default();
    let bytes = text.lines().find_map(|line| line.strip_prefix("rchar: "));
    bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or_default()
}

#[test]
fn a_copy_of_a_file_of_which_nothing_was_read_yet_is_not_read_beside_it_and_its_truncation_is_no_loss() {
    for truncated in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let (log, copy) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
        append(&log, &(0..50).map(|number| line("2026-03-02T09:14:07Z", number)).collect::<String>());
        let mut tailer = tailer(vec![source("app", folder.path(), "a.log*")], BTreeMap::new());
        let mut notices = Vec::new();
        tailer.look(NOW, &mut notices);
        fs::copy(&log, &copy).expect("copied");
        tailer.look(NOW + 1_000, &mut notices);
        if truncated {
            OpenOptions::new().write(true).truncate(true).open(&log).expect("truncated");
            append(&log, &line("2026-03-02T09:15:00Z", 50));
        }
        let mut lines = Vec::new();
        for round in 2..5 {
            let (more, told) = read(&mut tailer, NOW + round * 1_000);
            lines.extend(more);
            notices.extend(told);
        }
        assert_eq!(lines.len(), 50 + usize::from(truncated), "each line once");
        assert!(!notices.iter().any(|notice| matches!(notice, Notice::Lost { .. })), "{notices:?}");
    }
}

#[test]
fn a_compressed_file_that_is_empty_when_it_is_first_seen_is_not_taken_for_plain_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = fs::File::create(folder.path().join("app-1.log.gz")).expect("made");
    let mut tailer = tailer(vec![source("app", folder.path(), "app-*")], BTreeMap::new());
    assert_eq!(read(&mut tailer, NOW).0, [""; 0]);
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    encoder.write_all(b"{\"event.action\":\"view\"}\n").expect("written");
    encoder.finish().expect("whole");
    assert_eq!(read(&mut tailer, NOW + 1_000).0, ["{\"event.action\":\"view\"}"]);
}

#[test]
fn a_file_moved_out_of_sight_is_read_on_and_keeps_no_other_from_being_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = (folder.path().join("app-1.log"), folder.path().join("app-2.log"));
    let away = folder.path().join("archive");
    fs::create_dir(&away).expect("made");
    append(&first, &line("2026-03-02T09:14:07Z", 1));
    let mut tailer = tailer(vec![source("app", folder.path(), "app-*.log")], BTreeMap::new());
    tailer.limit = 1;
    assert_eq!(read(&mut tailer, NOW).0.len(), 1);
    fs::rename(&first, away.join("1")).expect("moved");
    assert_eq!(read(&mut tailer, NOW + 1_000).0.len(), 0);
    append(&second, &line("2026-03-02T09:14:09Z", 2));
    assert_eq!(read(&mut tailer, NOW + 2_000).0.len(), 1, "the other waits for the one that was moved away");
    append(&away.join("1"), &line("2026-03-02T09:14:08Z", 3));
    append(&second, &line("2026-03-02T09:14:09Z", 4));
    assert_eq!(read(&mut tailer, NOW + 3_000).0.len(), 2);
}
