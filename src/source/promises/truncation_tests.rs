//! Files that are emptied or overwritten in place.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};

use super::super::Notice;
use super::*;

// rsyslog#511, #3918, #4875.
#[test]
fn the_first_line_after_a_truncation_is_read_at_the_next_turn_and_not_when_the_file_has_grown_back() {
    let mut world = World::new();
    world.append("app.log", 500);
    world.settle();
    world.empty("app.log");
    world.append("app.log", 1);
    // Not even a look at the folder is needed.
    world.read();
    world.seen_exactly_once();
    world.exactly_once();
}

#[test]
fn truncated_several_times_between_two_reads_only_the_unread_is_gone_and_nothing_comes_twice() {
    let mut world = World::new();
    world.append("app.log", 50);
    world.settle();
    for count in [3, 7, 1] {
        world.empty("app.log");
        let before = world.written.len();
        world.append("app.log", count);
        if count != 1 {
            // What is written and overwritten between two reads cannot be known to anybody.
            world.written.truncate(before);
        }
    }
    world.settle();
    world.seen_exactly_once();
}

// fluent-bit#9580.
#[test]
fn a_log_that_its_writer_empties_at_every_tenth_line_gives_all_lines_read_in_between() {
    let mut world = World::new();
    for number in 0..100 {
        if number % 10 == 0 {
            world.overwrite("app.log", 1);
        } else {
            world.append("app.log", 1);
        }
        world.settle();
    }
    world.exactly_once();
}

#[test]
fn what_was_truncated_before_it_could_be_read_is_told_in_bytes() {
    let mut world = World::new();
    world.append("app.log", 5);
    world.settle();
    let line = world.line();
    world.raw("app.log", line.as_bytes());
    world.look();
    world.tailer.lag();
    world.written.pop();
    world.empty("app.log");
    world.settle();
    world.seen_exactly_once();
    for loss in world.losses() {
        assert!(matches!(loss, Notice::Lost { bytes: Some(bytes), .. } if *bytes <= line.len() as u64), "{loss:?}");
    }
}

#[test]
fn a_hole_of_ten_gigabytes_is_passed_over_in_a_few_turns() {
    let mut world = World::new();
    let path = world.path("app.log");
    let mut writer = OpenOptions::new().create(true).truncate(true).write(true).open(&path).expect("opened");
    writer.seek(SeekFrom::Start(10 << 30)).expect("sought");
    let text = world.lines(3);
    writer.write_all(text.as_bytes()).expect("written");
    world.look();
    let mut turns = 0;
    while world.batch() {
        turns += 1;
        assert!(turns < 100, "the hole is read byte by byte");
    }
    world.exactly_once();
}
