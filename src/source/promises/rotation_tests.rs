//! Files that are renamed, compressed or deleted while they are read.

use std::fs;

use super::*;

// fluent-bit#5382.
#[test]
fn after_a_rotation_under_load_every_line_is_whole() {
    let mut world = World::new();
    for round in 0..20 {
        // The writer has the file open over the rename and ends a line after it.
        world.append("app.log", 300);
        let line = world.line();
        let (first, second) = line.split_at(line.len() / 2);
        world.raw("app.log", first.as_bytes());
        world.look();
        world.batch();
        let to = format!("app.log.{round}");
        world.rename("app.log", &to);
        world.batch();
        world.raw(&to, second.as_bytes());
        world.append(&to, 2);
        world.append("app.log", 5);
        world.look();
        world.batch();
    }
    world.exactly_once();
}

// vector#11742, #21998, #22273.
#[test]
fn a_file_deleted_while_reading_is_behind_is_read_to_its_end_and_what_it_holds_is_told() {
    let mut world = World::new();
    world.append("app.log", 20_000);
    world.look();
    world.batch();
    world.remove("app.log");
    world.look();
    let (files, bytes) = world.tailer.held()[&0];
    assert_eq!(files, 1);
    assert!(bytes > 100_000, "{bytes} bytes of a deleted file are held");
    world.exactly_once();
    assert_eq!(world.tailer.held()[&0], (0, 0));
    assert_eq!(world.handles(), 0);
}

// elastic/beats#39732.
#[test]
fn a_file_long_idle_then_appended_and_renamed_between_two_looks_loses_nothing() {
    let mut world = World::over(&["app.log", "app.log.1"]);
    world.append("app.log", 3);
    world.settle();
    for _ in 0..40 {
        world.now += 3_600_000;
        world.settle();
    }
    world.append("app.log", 2);
    world.rename("app.log", "app.log.1");
    world.append("app.log", 2);
    world.exactly_once();
}

#[test]
fn a_file_renamed_to_where_no_pattern_leads_is_still_read_to_its_end() {
    let mut world = World::over(&["app.log"]);
    world.append("app.log", 3);
    world.settle();
    world.append("app.log", 2);
    world.rename("app.log", "app.log-20260302");
    world.append("app.log", 2);
    world.look();
    world.read();
    world.append("app.log-20260302", 1);
    world.exactly_once();
}

// grafana/loki#6503, #8039, #2353; alloy#3931.
#[test]
fn a_file_renamed_within_the_pattern_goes_on_where_it_was() {
    let mut world = World::new();
    for round in 0..5 {
        world.append("app.log", 10);
        world.look();
        world.read();
        world.append("app.log", 1);
        world.rename("app.log", &format!("app.log.{round}"));
        if round % 2 == 0 {
            world.look();
        }
        world.append("app.log", 1);
    }
    world.exactly_once();
}

// vector#13193; opentelemetry-collector-contrib#40523.
#[test]
fn a_log_and_its_compressed_form_are_one_log() {
    let mut world = World::new();
    world.append("app.log", 30);
    world.settle();
    world.rename("app.log", "app.log.1");
    world.append("app.log", 2);
    world.settle();
    world.gzip("app.log.1");
    world.settle();
    // Further down the row under another name, as logrotate moves them.
    world.rename("app.log.1.gz", "app.log.2.gz");
    world.restart();
    world.exactly_once();
}

#[test]
fn lines_written_between_the_last_read_and_the_compression_come_from_the_compressed_form() {
    let mut world = World::new();
    world.append("app.log", 30);
    world.settle();
    world.append("app.log", 30);
    world.rename("app.log", "app.log.1");
    world.append("app.log", 2);
    world.gzip("app.log.1");
    world.exactly_once();
}

// rsyslog#7597: on network file systems a name can lead to the old file for a while; the file itself says what it is.
#[test]
fn a_name_that_leads_to_the_old_file_for_a_while_loses_nothing_and_repeats_nothing() {
    let mut world = World::over(&["app.log", "app.log.1"]);
    world.append("app.log", 3);
    world.settle();
    world.rename("app.log", "app.log.1");
    // The cached name: a second name of the old file.
    fs::hard_link(world.path("app.log.1"), world.path("app.log")).expect("linked");
    world.settle();
    world.append("app.log.1", 1);
    world.settle();
    world.remove("app.log");
    world.append("app.log", 4);
    world.exactly_once();
}

// fluent-bit#7709.
#[test]
fn handles_do_not_grow_over_a_hundred_cycles_of_copytruncate_and_compress() {
    let mut world = World::new();
    world.append("app.log", 3);
    world.settle();
    let handles = world.handles();
    for round in 0..100 {
        world.append("app.log", 3);
        world.settle();
        let copy = format!("app.log.{round}");
        world.copy("app.log", &copy);
        world.look();
        world.empty("app.log");
        world.look();
        world.gzip(&copy);
        world.settle();
    }
    world.exactly_once();
    assert!(world.handles() <= handles, "{} handles, {handles} at first", world.handles());
}

// fluent-bit#1108: nothing but the look at the folders decides, so no lost notification can hide a rotation.
#[test]
fn five_thousand_renames_between_two_looks_lose_no_file_that_is_still_there() {
    let mut world = World::new();
    world.append("app.log", 1);
    world.settle();
    for number in 0..5_000 {
        world.rename("app.log", &format!("app.log.{number}"));
        world.append("app.log", 1);
    }
    world.exactly_once();
}
