//! Stopped or killed at any point, and started again.

use super::*;

// vector#22954.
#[test]
fn rotated_twice_while_stopped_the_rest_of_the_old_file_and_all_of_the_others_are_read() {
    for patterns in [&["app.log*"][..], &["app.log"][..]] {
        let mut world = World::over(patterns);
        world.append("app.log", 10);
        world.settle();
        world.append("app.log", 5);
        world.rename("app.log", "app.log.1");
        if patterns[0].ends_with('*') {
            world.append("app.log", 4);
            world.rename("app.log.1", "app.log.2");
            world.rename("app.log", "app.log.1");
        } else {
            // Outside the pattern only the file that was being read can be known to be ours.
            world.rename("app.log.1", "app.log.2");
        }
        world.append("app.log", 3);
        world.restart();
        world.exactly_once();
    }
}

// vector#22954, with compression on the way.
#[test]
fn rotated_and_compressed_while_stopped_the_unread_rest_is_read_from_the_compressed_file() {
    let mut world = World::over(&["app.log"]);
    world.append("app.log", 10);
    world.settle();
    world.append("app.log", 5);
    world.rename("app.log", "app.log.1");
    world.gzip("app.log.1");
    world.append("app.log", 3);
    world.restart();
    world.exactly_once();
}

// elastic/beats#36541, #31924, #1281.
#[test]
fn rotated_three_times_then_restarted_nothing_comes_again() {
    let mut world = World::new();
    for round in (0..3).rev() {
        world.append("app.log", 10);
        world.settle();
        for number in (1..3 - round).rev() {
            world.rename(&format!("app.log.{number}"), &format!("app.log.{}", number + 1));
        }
        world.rename("app.log", "app.log.1");
    }
    world.append("app.log", 1);
    world.settle();
    for _ in 0..3 {
        world.restart();
        world.settle();
    }
    world.exactly_once();
}

// elastic/logstash-forwarder#197.
#[test]
fn two_generations_of_one_log_open_at_once_each_go_on_after_a_crash() {
    let mut world = World::new();
    world.append("app.log", 30_000);
    world.look();
    world.batch();
    world.rename("app.log", "app.log.1");
    world.append("app.log", 30_000);
    world.look();
    for _ in 0..4 {
        world.batch();
    }
    assert!(world.kept.values().filter(|one| one.offset > 0).count() >= 1);
    world.restart();
    world.append("app.log.1", 1);
    world.append("app.log", 1);
    world.exactly_once();
}

// fluent-bit#2846, #2051, #1797; opentelemetry-collector-contrib#45120: a position is of use only with the batch that carries it.
#[test]
fn lines_read_and_never_made_durable_are_read_again_after_a_crash() {
    let mut world = World::new();
    world.append("app.log", 6_000);
    world.look();
    world.batch();
    let (seen, kept) = (world.seen.clone(), world.kept.clone());
    while world.batch() {}
    // Killed before the last batches reached the ledger.
    (world.seen, world.kept) = (seen, kept);
    world.restart();
    world.exactly_once();
}

// vector#18820, in the tailer; `tests/it` does the same to the daemon.
#[test]
fn two_hundred_restarts_under_load_lose_and_repeat_nothing() {
    let mut world = World::new();
    for round in 0..200 {
        world.append("app.log", 1 + round % 7);
        if round % 3 == 0 {
            world.look();
            world.batch();
        }
        if round % 50 == 49 {
            world.rename("app.log", &format!("app.log.{round}"));
        }
        world.restart();
    }
    world.exactly_once();
}

#[test]
fn a_file_deleted_while_stopped_with_lines_unread_is_told() {
    let mut world = World::over(&["app.log"]);
    world.append("app.log", 5);
    world.settle();
    world.remove("app.log");
    world.restart();
    world.settle();
    world.seen_exactly_once();
    assert!(matches!(world.losses()[..], [Notice::Lost { cause: "gone_while_stopped", .. }]), "{:?}", world.losses());
    // Once, and not at every start.
    world.restart();
    world.settle();
    assert_eq!(world.losses().len(), 1);
}
