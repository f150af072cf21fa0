//! What is a copy, and what only begins like another file: files in the making, equal headers, inodes that come again.

use std::fs::{self, File};
use std::io::Write;

use super::super::Notice;
use super::*;

const HEADER: &str = "# exported by the CRM, version 12\n";

/// A header longer than what is remembered of a file's beginning.
fn long_header() -> String {
    format!("# {}\n", "exported by the CRM; ".repeat(60))
}

/// What a compressor has written when half of a file's text is flushed, and when all of it is.
fn halves(world: &World, name: &str) -> [Vec<u8>; 2] {
    let text = fs::read(world.path(name)).expect("read");
    let (first, second) = text.split_at(text.len() / 2);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(first).and_then(|()| encoder.flush()).expect("written");
    let half = encoder.get_ref().clone();
    encoder.write_all(second).expect("written");
    [half, encoder.finish().expect("finished")]
}

fn without_headers(world: &mut World) {
    world.seen.retain(|line| !line.starts_with('#'));
}

#[test]
fn a_file_of_which_only_the_header_was_read_keeps_no_other_with_that_header_from_being_read() {
    for header in [HEADER.to_owned(), long_header()] {
        let mut world = World::new();
        world.raw("app.log", header.as_bytes());
        world.settle();
        world.append("app.log", 2);
        world.rename("app.log", "app.log.1");
        world.raw("app.log", header.as_bytes());
        world.append("app.log", 1);
        world.settle();
        without_headers(&mut world);
        world.exactly_once();
    }
}

#[test]
fn a_file_shorter_than_one_that_was_read_before_the_stop_is_no_copy_of_it_for_having_its_header() {
    for header in [HEADER.to_owned(), long_header()] {
        let mut world = World::new();
        world.raw("app.log", header.as_bytes());
        world.settle();
        world.append("app.log", 2);
        world.settle();
        world.rename("app.log", "app.log.1");
        world.gzip("app.log.1");
        world.raw("app.log", header.as_bytes());
        world.append("app.log", 1);
        world.restart();
        world.settle();
        without_headers(&mut world);
        world.exactly_once();
    }
}

#[test]
fn a_copy_of_lines_behind_a_header_is_read_once_its_original_holds_others_though_the_header_is_the_same() {
    for header in [HEADER.to_owned(), long_header()] {
        for (header_was_read, closed) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut world = World::new();
            if closed {
                // So few files can be open that this one is closed between its turns.
                world.tailer.limit = 1;
                world.append("app.log.other", 1);
            }
            world.raw("app.log", header.as_bytes());
            if header_was_read {
                world.settle();
            }
            world.append("app.log", 1);
            world.copy("app.log", "app.log.1");
            // Held as a copy, and nothing of the lines is read yet.
            world.look();
            world.empty("app.log");
            world.raw("app.log", header.as_bytes());
            world.append("app.log", 1);
            world.settle();
            without_headers(&mut world);
            world.exactly_once();
        }
    }
}

#[test]
fn a_header_that_was_copied_and_truncated_before_it_was_read_is_no_loss() {
    let mut world = World::new();
    world.raw("app.log.1", HEADER.as_bytes());
    world.append("app.log.1", 5);
    world.raw("app.log", HEADER.as_bytes());
    world.look();
    world.copy("app.log", "app.log.2");
    world.empty("app.log");
    world.look();
    world.raw("app.log", HEADER.as_bytes());
    world.append("app.log", 3);
    world.settle();
    without_headers(&mut world);
    world.exactly_once();
}

#[test]
fn a_header_taken_for_the_beginning_of_a_copy_is_a_log_of_its_own_once_it_has_lines_also_when_the_other_is_gone_by_then()
 {
    let mut world = World::new();
    world.raw("app.log", HEADER.as_bytes());
    world.append("app.log", 5);
    world.settle();
    world.rename("app.log", "app.log.1");
    world.raw("app.log", HEADER.as_bytes());
    world.look();
    // Closed, so that what it was is only known by its position.
    for _ in 0..9 {
        world.look();
        world.read();
    }
    world.gzip("app.log.1");
    world.append("app.log", 2);
    world.settle();
    without_headers(&mut world);
    world.exactly_once();
}

#[test]
fn what_is_being_compressed_is_nothing_to_complain_of_and_is_read_once_however_often_one_looks() {
    for read_before in [false, true] {
        for stopped in [false, true] {
            let mut world = World::new();
            world.append("app.log", 30);
            world.look();
            if read_before {
                world.read();
            } else {
                // Its position is journalled, and none of its lines are read.
                let (changed, _) = world.tailer.changed();
                world.kept.extend(changed.into_iter().map(|position| (position.generation, position)));
            }
            world.rename("app.log", "app.log.1");
            let [half, whole] = halves(&world, "app.log.1");
            for part in [&[][..], &half[..1], &half, &whole] {
                fs::write(world.path("app.log.1.gz"), part).expect("written");
                if stopped {
                    world.restart();
                }
                world.look();
                if read_before {
                    world.read();
                }
            }
            world.remove("app.log.1");
            world.append("app.log", 3);
            world.exactly_once();
        }
    }
}

#[test]
fn a_compressed_file_that_nobody_ends_is_told_of_after_a_while_and_once() {
    let mut world = World::new();
    world.append("app.log", 30);
    world.settle();
    let [half, _] = halves(&world, "app.log");
    File::create(world.path("app.log.1.gz")).and_then(|mut file| file.write_all(&half)).expect("written");
    for _ in 0..60 {
        world.look();
    }
    assert_eq!(world.losses(), Vec::<&Notice>::new());
    for _ in 0..600 {
        world.look();
    }
    assert!(matches!(world.losses()[..], [Notice::Unreadable { .. }]), "{:?}", world.losses());
    world.seen_exactly_once();
}

#[test]
fn a_compressed_file_that_is_renamed_while_it_waits_to_be_read_is_met_again_after_each_kill() {
    let mut world = World::new();
    world.append("app.log", 50);
    world.rename("app.log", "app.log.1");
    world.gzip("app.log.1");
    world.append("app.log", 1);
    for place in 2..6 {
        world.look();
        let (changed, _) = world.tailer.changed();
        world.kept.extend(changed.into_iter().map(|position| (position.generation, position)));
        world.rename(&format!("app.log.{}.gz", place - 1), &format!("app.log.{place}.gz"));
        world.restart();
    }
    world.exactly_once();
}

#[test]
fn a_copy_on_the_inode_of_a_file_of_which_only_a_header_was_read_is_still_a_copy() {
    use std::os::unix::fs::MetadataExt;
    for header in [HEADER.to_owned(), long_header()] {
        let mut world = World::new();
        world.raw("app.log.old", header.as_bytes());
        world.settle();
        world.raw("app.log", header.as_bytes());
        world.append("app.log", 5);
        world.settle();
        let inode = fs::metadata(world.path("app.log.old")).expect("there").ino();
        world.now += 10_000;
        world.settle();
        world.remove("app.log.old");
        world.copy("app.log", "app.log.copy");
        // Where inodes are not handed out again at once there is nothing to be mistaken about.
        eprintln!("reused: {}", fs::metadata(world.path("app.log.copy")).expect("there").ino() == inode);
        world.settle();
        world.restart();
        world.settle();
        without_headers(&mut world);
        world.exactly_once();
    }
}

#[test]
fn a_clock_that_jumps_ends_no_patience() {
    let mut world = World::over(&["app.log"]);
    world.append("app.log", 5);
    world.settle();
    // Renamed out of sight; the writer has it open yet.
    world.rename("app.log", "kept");
    world.look();
    world.now += 365 * 86_400_000;
    world.look();
    world.read();
    world.append("kept", 2);
    world.settle();
    world.now -= 2 * 365 * 86_400_000;
    world.settle();
    world.append("kept", 1);
    world.exactly_once();
}

#[test]
fn compressed_logs_that_were_there_before_the_first_start_stay_passed_over_at_the_next() {
    let mut world = World::of(|folder| {
        let start = crate::config::Start::End;
        vec![Source { start, ..source("app", folder, &["app.log*"]) }]
    });
    world.append("app.log.1", 20);
    world.gzip("app.log.1");
    world.append("app.log", 3);
    world.written.clear();
    world.settle();
    for _ in 0..2 {
        world.restart();
        world.append("app.log", 1);
        world.settle();
    }
    world.exactly_once();
}
