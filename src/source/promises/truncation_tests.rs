//! Files that are emptied or overwritten in place.

use std::fs::{self, OpenOptions};
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

// vector#23619.
#[test]
fn a_file_truncated_and_written_again_longer_than_before_is_read_from_its_start() {
    let mut world = World::new();
    world.append("app.log", 20);
    world.settle();
    world.overwrite("app.log", 200);
    world.exactly_once();
}

// opentelemetry-collector-contrib#43693.
#[test]
fn a_truncated_file_with_the_same_long_head_is_read_again_behind_it() {
    let mut world = World::new();
    let head = "# the same remark at the head of every file\n".repeat(60);
    world.raw("app.log", head.as_bytes());
    world.append("app.log", 30);
    world.settle();
    for count in [40, 10] {
        fs::write(world.path("app.log"), &head).expect("written");
        world.append("app.log", count);
        world.settle();
    }
    world.seen.retain(|line| !line.starts_with('#'));
    world.exactly_once();
}

// fluent-bit#3117, logrotate#286.
#[test]
fn the_hole_of_zeros_that_a_truncation_leaves_under_a_writer_that_keeps_its_place_is_passed_over() {
    let mut world = World::new();
    let path = world.path("app.log");
    let mut writer = OpenOptions::new().create(true).truncate(true).write(true).open(&path).expect("opened");
    let text = world.lines(200);
    writer.write_all(text.as_bytes()).expect("written");
    world.settle();
    OpenOptions::new().write(true).truncate(true).open(&path).expect("truncated");
    // The writer writes on where it was.
    let text = world.lines(3);
    writer.write_all(text.as_bytes()).expect("written");
    world.exactly_once();
}
