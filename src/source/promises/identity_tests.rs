//! Which file is which: equal heads, reused inodes, many names of one file.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use super::*;

const HEADER: &str = "# exported by the CRM, version 12\n";

fn without_remarks(world: &mut World) {
    world.seen.retain(|line| !line.starts_with('#'));
}

/// Makes a file anew until it gets an inode; false where the file system hands that one out to nobody.
fn with_inode(world: &World, name: &str, inode: u64) -> bool {
    for number in 0..64 {
        fs::write(world.path(name), "").expect("made");
        if fs::metadata(world.path(name)).expect("there").ino() == inode {
            return true;
        }
        // Keeps the inode that was handed out instead in use, so that the next is another.
        world.rename(name, &format!("other.{number}"));
    }
    false
}

// vector#25079; opentelemetry-collector-contrib#19765, #19428.
#[test]
fn two_files_with_the_same_header_are_two_files() {
    let mut world = World::new();
    for name in ["app.log.a", "app.log.b"] {
        world.raw(name, HEADER.as_bytes());
        world.append(name, 3);
        world.settle();
    }
    for name in ["app.log.b", "app.log.a"] {
        world.append(name, 2);
        world.settle();
    }
    without_remarks(&mut world);
    world.exactly_once();
}

// opentelemetry-collector-contrib#19765: an old offset beyond the header, and the file is another one.
#[test]
fn a_new_file_with_the_header_of_one_that_was_read_is_read_from_its_start_also_after_a_restart() {
    let mut world = World::over(&["app.log"]);
    world.raw("app.log", HEADER.as_bytes());
    world.append("app.log", 30);
    world.settle();
    world.remove("app.log");
    world.restart();
    world.raw("app.log", HEADER.as_bytes());
    world.append("app.log", 40);
    world.settle();
    without_remarks(&mut world);
    world.seen_exactly_once();
}

// vector#643, #5833.
#[test]
fn four_hundred_empty_files_are_four_hundred_files() {
    let mut world = World::new();
    for number in 0..400 {
        world.raw(&format!("app.log.{number}"), b"");
    }
    world.settle();
    for number in (0..400).rev() {
        world.append(&format!("app.log.{number}"), 1);
    }
    world.settle();
    world.restart();
    for number in 0..400 {
        world.append(&format!("app.log.{number}"), 1);
    }
    world.exactly_once();
}

// fluent-bit#8025, #4895, #11455; vector#25079.
#[test]
fn a_new_file_on_the_inode_of_one_that_was_read_starts_at_its_own_beginning_whether_larger_or_smaller() {
    let mut met = 0;
    for count in [3, 100] {
        let mut world = World::over(&["app.log"]);
        world.append("app.log", 20);
        world.settle();
        let inode = fs::metadata(world.path("app.log")).expect("there").ino();
        world.remove("app.log");
        met += u32::from(with_inode(&world, "app.log", inode));
        world.restart();
        world.append("app.log", count);
        world.settle();
        world.seen_exactly_once();
    }
    // Where inodes are never handed out again there is nothing to be mistaken about; told so that a run says what it tested.
    eprintln!("inodes were reused {met} times of 2");
}

// rsyslog#4648, #2659.
#[test]
fn two_files_that_swap_their_names_and_so_their_inodes_go_on_each_where_it_was() {
    for stopped in [false, true] {
        let mut world = World::new();
        world.append("app.log.a", 10);
        world.append("app.log.b", 20);
        world.settle();
        world.rename("app.log.a", "kept");
        world.rename("app.log.b", "app.log.a");
        world.rename("kept", "app.log.b");
        if stopped {
            world.restart();
        }
        world.append("app.log.a", 1);
        world.append("app.log.b", 1);
        world.exactly_once();
    }
}

#[test]
fn content_copied_over_another_inode_while_stopped_is_known_by_its_content() {
    let mut world = World::new();
    world.append("app.log", 10);
    world.settle();
    // As a restore from a backup, or an editor, does.
    world.copy("app.log", "other");
    world.remove("app.log");
    world.rename("other", "app.log");
    world.restart();
    world.append("app.log", 2);
    world.exactly_once();
}

// fluent-bit#6867, fluentd#725, beats#36253.
#[test]
fn a_file_matched_by_overlapping_patterns_a_symlink_and_a_hard_link_is_read_once() {
    let mut world = World::over(&["app.log", "app*", "*.log", "link*", "hard*"]);
    world.append("app.log", 3);
    symlink(world.path("app.log"), world.path("link.log")).expect("linked");
    symlink(world.path("link.log"), world.path("link2.log")).expect("linked");
    fs::hard_link(world.path("app.log"), world.path("hard.log")).expect("linked");
    world.settle();
    world.append("hard.log", 2);
    world.append("link2.log", 2);
    world.restart();
    world.append("app.log", 2);
    world.exactly_once();
}

#[test]
fn a_chain_of_symlinks_whose_target_changes_is_followed_to_the_new_target() {
    let mut world = World::over(&["current"]);
    world.append("day1", 3);
    symlink(world.path("day1"), world.path("today")).expect("linked");
    symlink(world.path("today"), world.path("current")).expect("linked");
    world.settle();
    world.append("day1", 2);
    world.append("day2", 4);
    world.remove("today");
    symlink(world.path("day2"), world.path("today")).expect("linked");
    world.settle();
    world.append("day2", 1);
    world.exactly_once();
}

#[test]
fn a_symlink_that_leads_nowhere_is_waited_for() {
    let mut world = World::over(&["current"]);
    symlink(world.path("day1"), world.path("current")).expect("linked");
    world.settle();
    world.append("day1", 2);
    world.exactly_once();
}

// logstash-input-file#109, #111, #207.
#[test]
fn what_is_kept_of_thousands_of_short_lived_files_is_bounded_and_none_of_their_lines_is_lost() {
    let mut world = World::new();
    let mut most = 0;
    for round in 0..24 {
        for number in 0..500 {
            world.append(&format!("app.log.{round}.{number}"), 1);
        }
        world.look();
        world.read();
        for number in 0..500 {
            world.remove(&format!("app.log.{round}.{number}"));
        }
        world.look();
        world.read();
        assert_eq!(world.handles(), 0);
        most = most.max(world.kept.len());
    }
    world.exactly_once();
    assert!(most <= 10_600, "{most} positions are kept of 12000 files that are gone");
}
