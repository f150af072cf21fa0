//! Rotation by copy and truncation: the copy must not be read twice, nor what only it holds be lost.

use super::*;

// elastic/beats#39731, #45300.
#[test]
fn a_copy_within_the_pattern_is_not_read_again_and_its_unread_rest_is_read_across_a_restart() {
    for stopped in [false, true] {
        let mut world = World::new();
        world.append("app.log", 50);
        world.settle();
        world.append("app.log", 20);
        world.copy("app.log", "app.log.1");
        world.empty("app.log");
        if stopped {
            world.restart();
        }
        world.append("app.log", 3);
        world.exactly_once();
    }
}

// opentelemetry-collector-contrib#27037.
#[test]
fn a_copy_outside_the_pattern_then_a_truncation_and_more_lines_repeats_nothing() {
    let mut world = World::over(&["app.log"]);
    world.append("app.log", 10);
    world.settle();
    world.copy("app.log", "app.log.copy");
    world.empty("app.log");
    world.append("app.log", 5);
    world.settle();
    world.append("app.log", 20);
    world.exactly_once();
}

#[test]
fn the_unread_rest_is_read_from_a_copy_outside_the_pattern() {
    let mut world = World::over(&["app.log"]);
    world.append("app.log", 10);
    world.settle();
    world.append("app.log", 10);
    world.copy("app.log", "app.log.copy");
    world.empty("app.log");
    world.append("app.log", 5);
    world.exactly_once();
}

#[test]
fn a_copy_that_is_compressed_before_it_was_seen_still_gives_the_unread_rest() {
    let mut world = World::new();
    world.append("app.log", 10);
    world.settle();
    world.append("app.log", 10);
    world.copy("app.log", "app.log.1");
    world.empty("app.log");
    world.gzip("app.log.1");
    world.append("app.log", 5);
    world.exactly_once();
}

#[test]
fn several_copies_made_while_stopped_are_each_read_once() {
    let mut world = World::new();
    world.append("app.log", 10);
    world.settle();
    for round in 0..4 {
        world.append("app.log", 7);
        world.copy("app.log", &format!("app.log.{round}"));
        world.empty("app.log");
    }
    world.append("app.log", 2);
    world.restart();
    world.exactly_once();
}
