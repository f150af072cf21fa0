//! Lines: short, long, written in pieces, unfinished.

use super::*;

// elastic/beats#44780.
#[test]
fn files_of_a_few_bytes_are_read_at_once() {
    let mut world = World::new();
    for (name, length) in [("app.log.1", 0), ("app.log.2", 62), ("app.log.3", 1_022)] {
        let line = "x".repeat(length);
        world.raw(name, format!("{line}\n").as_bytes());
        if length > 0 {
            // No JSON, so it is kept in quarantine; it is read all the same.
            world.written.push(line);
        }
    }
    world.look();
    world.read();
    world.seen_exactly_once();
    assert!(world.tailer.lag().values().all(|bytes| *bytes == 0));
}

// fluent-bit#11265.
#[test]
fn half_a_line_at_the_stop_is_a_whole_line_once_it_is_finished() {
    let mut world = World::new();
    world.append("app.log", 2);
    let line = world.line();
    let (first, second) = line.split_at(30);
    world.raw("app.log", first.as_bytes());
    world.settle();
    assert_eq!(world.seen.len(), 2);
    world.restart();
    world.settle();
    world.now += 30 * 24 * 3_600_000;
    world.settle();
    assert_eq!(world.seen.len(), 2);
    world.raw("app.log", second.as_bytes());
    world.exactly_once();
}

// opentelemetry-collector-contrib#32170, #35042, #4849.
#[test]
fn a_long_line_written_in_ten_pieces_is_one_line_however_slowly_it_comes() {
    let mut world = World::new();
    let long = format!("{{\"@timestamp\":\"2026-03-02T09:14:07Z\",\"padding\":\"{}\"}}", "p".repeat(64 << 10));
    world.written.push(long.clone());
    let bytes = format!("{long}\n");
    for piece in bytes.as_bytes().chunks(bytes.len() / 10 + 1) {
        world.raw("app.log", piece);
        world.now += 600_000;
        world.settle();
    }
    world.append("app.log", 1);
    world.exactly_once();
}

#[test]
fn the_last_line_of_a_deleted_file_comes_without_its_newline_and_says_so() {
    let mut world = World::new();
    let line = world.line();
    world.raw("app.log", line.trim_end().as_bytes());
    world.settle();
    assert!(world.seen.is_empty());
    world.remove("app.log");
    world.exactly_once();
    assert!(world.events[0].is(crmwatch_detectors::Field::Partial));
}

#[test]
fn a_carriage_return_split_from_its_newline_belongs_to_the_line_end() {
    let mut world = World::new();
    for _ in 0..3 {
        let line = world.line();
        world.raw("app.log", line.trim_end().as_bytes());
        world.raw("app.log", b"\r");
        world.settle();
        world.raw("app.log", b"\n");
        world.settle();
    }
    world.exactly_once();
}

#[test]
fn what_only_looks_like_a_line_end_stays_in_the_line() {
    let mut world = World::new();
    for text in ["old\rmac", "form\u{c}feed", "para\u{2029}graph\u{2028}line", "next\u{85}line", "vertical\u{b}tab"] {
        world.raw("app.log", format!("{text}\n").as_bytes());
        world.written.push(text.to_owned());
    }
    world.exactly_once();
}

// vector#16743.
#[test]
fn a_line_beyond_the_limit_is_kept_up_to_it_once_with_a_mark_of_what_was_cut() {
    let mut world = World::of(|folder| vec![Source { max_line: 4_096, ..source("app", folder, &["app.log*"]) }]);
    world.append("app.log", 1);
    let piece = vec![b'z'; 1 << 20];
    for _ in 0..40 {
        world.raw("app.log", &piece);
        world.look();
        world.read();
    }
    let notices = world.notices.len();
    world.settle();
    assert_eq!(world.notices.len(), notices, "an over-long line is told again and again");
    assert_eq!(world.seen.len(), 1);
    world.raw("app.log", b"\n");
    world.written.push("z".repeat(4_096));
    world.append("app.log", 2);
    world.exactly_once();
    let cut = world.events[1].integer(crmwatch_detectors::Field::Truncated);
    assert_eq!(cut, Some((40 << 20) - 4_096));
}

#[test]
fn bytes_of_no_encoding_are_kept_as_they_are() {
    let mut world = World::new();
    world.raw("app.log", b"caf\xe9 \xff\xfe\x80 end\n");
    world.settle();
    assert_eq!(world.events[0].raw_bytes.as_deref(), Some(&b"caf\xe9 \xff\xfe\x80 end"[..]));
    assert!(world.losses().is_empty());
}

/// Bytes read of a file for one record of about so many bytes that comes in pieces.
fn bytes_read_for(format: &str, begin: &str, unit: &str, end: &str, length: usize) -> u64 {
    let mut world = World::of(|folder| {
        let other = source("app", folder, &["app.log*"]);
        vec![Source { max_line: 64 << 20, format: format.to_owned(), ..other }]
    });
    let record = format!("{begin}{}{end}\n", unit.repeat(length / unit.len()));
    let before = crate::source::input::BYTES_READ.get();
    for piece in record.as_bytes().chunks(100_000) {
        world.raw("app.log", piece);
        world.look();
        world.read();
    }
    assert_eq!(world.seen.last().map(|seen| seen.len() + 1), Some(record.len()), "{format}: it is one record");
    crate::source::input::BYTES_READ.get() - before
}

#[test]
fn a_record_ten_times_as_long_costs_ten_times_the_reading_however_many_pieces_it_comes_in() {
    let kinds = [
        ("json", "{\"text\":\"", "x", "\"}"),
        ("json", "{\n\"items\":[\n", "1,\n", "1]}"),
        // The header is a record of its own.
        ("salesforce-elf", "\"Login\",\"", "line\n", "\""),
    ];
    for (format, begin, unit, end) in kinds {
        let short = bytes_read_for(format, begin, unit, end, 1_000_000);
        let long = bytes_read_for(format, begin, unit, end, 10_000_000);
        assert!(long <= 12 * short, "{format}: {short} bytes for 1 MB, {long} for 10 MB");
        assert!(long <= 6 * 10_000_000, "{format}: each byte is read {} times", long / 10_000_000);
    }
}

// rsyslog#3319.
#[test]
fn a_busy_file_does_not_keep_a_quiet_one_waiting() {
    let mut world = World::new();
    world.append("app.log.busy", 60_000);
    world.look();
    world.batch();
    world.append("app.log.quiet", 1);
    let last = world.written.last().cloned().expect("written");
    world.look();
    while !world.seen.contains(&last) {
        assert!(world.seen.len() < 30_000, "the quiet file waits");
        world.batch();
    }
    world.exactly_once();
}
