//! Promises of the spool: what is acknowledged stays, what is not whole is never seen, and faults of the disk pass.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::input::Input;
use super::spool::{Spool, SpoolError};
use super::spool_file::Step;
use super::spool_line::{Received, unwrap};

fn records<'r>(payloads: &[&'r str]) -> Vec<Received<'r>> {
    payloads.iter().map(|payload| Received::new(1_700_000_000_000, None, payload.as_bytes())).collect()
}

/// The payloads a tailer can see, in the order of the files.
fn seen(state_dir: &Path) -> Vec<String> {
    let mut payloads = Vec::new();
    for path in glob::glob(&Spool::pattern(state_dir, "gate")).expect("a pattern").map(|path| path.expect("readable")) {
        let mut bytes = vec![0; 1 << 20];
        let count = Input::open(&path).expect("opened").read_at(&mut bytes, 0).expect("read");
        for line in bytes[..count].split_inclusive(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\n").expect("only whole lines are seen");
            payloads.push(String::from_utf8(unwrap(line).expect("one of ours").payload.into_owned()).expect("text"));
        }
    }
    payloads
}

fn disk_full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path(), "gate", 1 << 30).expect("opened");
    spool.append(&records(&["a", "b\nc"])).expect("taken");
    spool.append(&[]).expect("nothing is nothing");
    spool.append(&records(&["d"])).expect("taken");
    assert_eq!(seen(folder.path()), ["a", "b\nc", "d"]);
    let bytes = spool.bytes();
    drop(spool);
    let spool = Spool::open(folder.path(), "gate", 1 << 30).expect("opened");
    assert_eq!((spool.bytes(), spool.sealed().len()), (bytes, 1));
    spool.append(&records(&["e"])).expect("taken");
    assert_eq!(seen(folder.path()), ["a", "b\nc", "d", "e"]);
    assert_eq!(spool.last().expect("read").as_deref(), Some(&b"e"[..]));
    let long = "x".repeat(200_000);
    spool.append(&records(&["f", &long])).expect("taken");
    assert_eq!(spool.last().expect("read"), Some(long.into_bytes()));
    assert_eq!(spool.sealed().len(), 1, "the file being written is none of them");
}

#[test]
fn cut_off_at_any_byte_only_whole_writes_are_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path(), "gate", 1 << 30).expect("opened");
    let mut ends = vec![(0, 0)];
    let mut all = Vec::new();
    for write in [&["one", "two"][..], &["three"], &["four\nfour", "", "six\\"]] {
        spool.append(&records(write)).expect("taken");
        all.extend(write.iter().map(|payload| (*payload).to_owned()));
        ends.push((spool.bytes(), all.len()));
    }
    drop(spool);
    let path = glob::glob(&Spool::pattern(folder.path(), "gate"))
        .expect("a pattern")
        .next()
        .expect("a file")
        .expect("readable");
    let bytes = fs::read(&path).expect("read");
    for length in 0..=bytes.len() {
        // What a torn write may leave behind the cut: nothing, or a hole of NULs.
        for hole in [0, 9] {
            let crashed = tempfile::tempdir().expect("a folder");
            let spool = crashed.path().join("spool/gate");
            fs::create_dir_all(&spool).expect("made");
            let left = [&bytes[..length], &vec![0; if length < bytes.len() { hole } else { 0 }]].concat();
            fs::write(spool.join(path.file_name().expect("a name")), left).expect("written");
            Spool::open(crashed.path(), "gate", 1 << 30).expect("opened");
            let whole = ends.iter().rfind(|(end, _)| *end <= length as u64).expect("the start").1;
            assert_eq!(seen(crashed.path()), all[..whole], "cut at {length}");
        }
    }
}

#[test]
fn callers_that_come_during_a_sync_share_the_next_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path(), "gate", 1 << 30).expect("opened");
    let syncs = Arc::new(AtomicUsize::new(0));
    let (count, waiting) = (Arc::clone(&syncs), Arc::new(AtomicUsize::new(0)));
    let callers = Arc::clone(&waiting);
    // The first sync takes until all the others are waiting.
    spool.set_fault(Box::new(move |step| {
        if step == Step::Sync && count.fetch_add(1, Ordering::SeqCst) == 0 {
            while callers.load(Ordering::SeqCst) < 20 {
                std::thread::yield_now();
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Ok(())
    }));
    std::thread::scope(|scope| {
        for number in 0..20 {
            let (spool, waiting) = (spool.clone(), Arc::clone(&waiting));
            scope.spawn(move || {
                waiting.fetch_add(1, Ordering::SeqCst);
                spool.append(&records(&[&format!("{number}")])).expect("taken");
            });
        }
    });
    let mut numbers: Vec<u32> = seen(folder.path()).iter().map(|payload| payload.parse().expect("a number")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    assert!(syncs.load(Ordering::SeqCst) < 20, "{} syncs for 20 callers", syncs.load(Ordering::SeqCst));
}

#[test]
fn what_is_written_but_not_synced_is_not_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path(), "gate", 1 << 30).expect("opened");
    spool.append(&records(&["synced"])).expect("taken");
    let path = folder.path().to_owned();
    spool.set_fault(Box::new(move |step| {
        if step == Step::Sync {
            assert_eq!(seen(&path), ["synced"]);
        }
        Ok(())
    }));
    spool.append(&records(&["later"])).expect("taken");
    assert_eq!(seen(folder.path()), ["synced", "later"]);
}

#[test]
fn after_a_fault_of_the_disk_nothing_is_acknowledged_and_it_goes_on_by_itself() {
    for (failing, cut_fails) in [(Step::Write, false), (Step::Sync, false), (Step::Sync, true), (Step::Create, false)] {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path(), "gate", 1 << 30).expect("opened");
        if failing != Step::Create {
            spool.append(&records(&["before"])).expect("taken");
        }
        let full = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&full);
        spool.set_fault(Box::new(move |step| {
            let fails = step == failing || (step == Step::Cut && cut_fails);
            if fails && flag.load(Ordering::SeqCst) { Err(disk_full()) } else { Ok(()) }
        }));
        for _ in 0..3 {
            let refused = spool.append(&records(&["lost"])).expect_err("the disk is full");
            assert!(matches!(refused, SpoolError::Io(_)), "{refused}");
        }
        assert!(!seen(folder.path()).contains(&"lost".to_owned()), "{failing:?}");
        full.store(false, Ordering::SeqCst);
        spool.append(&records(&["after"])).expect("taken");
        let expected: &[&str] = if failing == Step::Create { &["after"] } else { &["before", "after"] };
        assert_eq!(seen(folder.path()), expected, "{failing:?}");
        drop(spool);
        let spool = Spool::open(folder.path(), "gate", 1 << 30).expect("opened");
        assert_eq!(seen(folder.path()), expected, "{failing:?}");
        assert_eq!(spool.sealed().iter().map(|one| one.bytes).sum::<u64>(), spool.bytes());
    }
}

#[test]
fn a_full_spool_refuses_until_files_were_read_and_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path(), "gate", 4_000).expect("opened");
    let record = "x".repeat(300);
    let mut taken = 0;
    let refused = loop {
        match spool.append(&records(&[&record])) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, SpoolError::Full { max_bytes: 4_000, .. }), "{refused}");
    assert!(taken >= 9, "{taken}");
    let sealed = spool.sealed();
    assert!(sealed.len() >= 2, "small spools have small files: {sealed:?}");
    spool.delete(&sealed[0]).expect("deleted");
    spool.append(&records(&[&record])).expect("there is room again");
}

#[test]
fn no_name_is_used_twice_and_a_quiet_file_is_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path(), "gate", 1 << 30).expect("opened");
    spool.append(&records(&["a"])).expect("taken");
    spool.end_file_older_than(std::time::Duration::from_secs(3600));
    assert!(spool.sealed().is_empty());
    spool.end_file_older_than(std::time::Duration::ZERO);
    let first = spool.sealed().remove(0);
    spool.delete(&first).expect("deleted");
    drop(spool);
    // Names are told apart by the millisecond; no process starts in less.
    std::thread::sleep(std::time::Duration::from_millis(2));
    let spool = Spool::open(folder.path(), "gate", 1 << 30).expect("opened");
    spool.append(&records(&["b"])).expect("taken");
    spool.end_file_older_than(std::time::Duration::ZERO);
    assert!(spool.sealed()[0].number > first.number);
}
