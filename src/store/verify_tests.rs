//! Every kind of damage to a partition is seen and named.

use crmwatch_detectors::{Event, EventId};

use super::*;
use crate::store::{Store, StoreOptions};

/// Two partitions of thirty events, the second written to.
fn store() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let options = StoreOptions {
        threads: 1,
        memory_per_thread: 15_000_000,
        partition_events: 30,
        now: Some(0),
        ..StoreOptions::default()
    };
    let store = Store::open(folder.path(), options).expect("opens");
    let mut writer = store.writer().expect("a writer");
    for number in 1..=60u64 {
        let mut event = Event::new("alice exports");
        event.id = EventId(u128::from(number));
        event.time = Millis::try_from(number).expect("small");
        writer.add(&event).expect("adds");
        if number % 10 == 0 && number < 60 {
            let payload = Payload { store_id: store.store_id(), batch: number, positions: "[]".to_owned() };
            writer.commit(&payload, 0).expect("commits");
        }
    }
    folder
}

fn first(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("events/1970-01-01-000")
}

fn file(partition: &Path, ending: &str) -> PathBuf {
    let mut found: Vec<_> = fs::read_dir(partition)
        .expect("listed")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|have| have == ending))
        .collect();
    found.sort();
    found.into_iter().next().unwrap_or_else(|| panic!("no {ending}"))
}

fn flaws(folder: &tempfile::TempDir) -> Vec<Flaw> {
    examine(&first(folder), "1970-01-01-000", false, &|_| {}).flaws
}

#[test]
fn a_whole_partition_has_no_flaw_and_what_it_holds_is_told() {
    let folder = store();
    let all = partitions(folder.path()).expect("listed");
    assert_eq!(all.partitions.len(), 2);
    let seen = examine(&first(&folder), "1970-01-01-000", false, &|_| {});
    assert_eq!(seen.flaws, []);
    assert_eq!((seen.events, seen.times, seen.sampled), (Some(30), Some((1, 30)), 30));
    let (path, name) = &all.partitions[1];
    let seen = examine(path, name, true, &|_| {});
    assert_eq!((seen.flaws.as_slice(), seen.payload.expect("committed").batch), (&[][..], 50));
}

#[test]
fn a_flipped_byte_in_any_file_is_found_and_the_file_is_named() {
    let folder = store();
    for ending in ["store", "idx", "term", "fast", "pos"] {
        let path = file(&first(&folder), ending);
        let whole = fs::read(&path).expect("read");
        for at in [0, whole.len() / 2] {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&path, &bytes).expect("written");
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let flaws = flaws(&folder);
            assert!(matches!(&flaws[..], [Flaw::Damaged(file, _)] if *file == name), "{ending} at {at}: {flaws:?}");
        }
        fs::write(&path, &whole).expect("mended");
    }
    assert_eq!(flaws(&folder), []);
}

#[test]
fn a_file_cut_off_or_gone_is_found() {
    let folder = store();
    let path = file(&first(&folder), "store");
    let whole = fs::read(&path).expect("read");
    for length in [0, 3, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).expect("written");
        assert!(matches!(&flaws(&folder)[..], [Flaw::Damaged(..)]), "cut at {length}");
    }
    fs::remove_file(&path).expect("removed");
    assert!(matches!(&flaws(&folder)[..], [Flaw::Missing(_)]), "{:?}", flaws(&folder));
}

#[test]
fn a_commit_that_says_another_number_other_times_or_nothing_readable_is_found() {
    let folder = store();
    let meta = first(&folder).join("meta.json");
    let text = fs::read_to_string(&meta).expect("read");
    for (from, to, matching) in [
        ("\\\"events\\\":30", "\\\"events\\\":31", 0),
        ("\\\"times\\\":[1,30]", "\\\"times\\\":[5,30]", 1),
        ("{\\\"form\\\":1", "{\\\"form\\\":9", 2),
        ("\"segments\"", "\"sagments\"", 3),
    ] {
        let damaged = text.replace(from, to);
        assert_ne!(damaged, text, "{from}");
        fs::write(&meta, damaged).expect("written");
        let flaws = flaws(&folder);
        let right = match &flaws[..] {
            [Flaw::Count { said: 31, found: 30 }] => matching == 0,
            [Flaw::Times { said: Some((5, 30)), found: (1, 30) }] => matching == 1,
            [Flaw::Newer(_)] => matching == 2,
            [Flaw::Unreadable(_)] => matching == 3,
            _ => false,
        };
        assert!(right, "{to}: {flaws:?}");
    }
}

#[test]
fn files_that_belong_to_nothing_are_named_and_nothing_is_swept() {
    let folder = store();
    fs::write(first(&folder).join("0123.store"), "x").expect("written");
    fs::create_dir(folder.path().join("events/.new-1970-01-02-000")).expect("made");
    fs::write(folder.path().join("events/notes.txt"), "x").expect("written");
    let seen = examine(&first(&folder), "1970-01-01-000", false, &|_| {});
    assert_eq!((seen.flaws, seen.orphans), (vec![], vec![("0123.store".to_owned(), 1)]));
    let all = partitions(folder.path()).expect("listed");
    assert_eq!(all.unfinished, [".new-1970-01-02-000"]);
    assert_eq!(all.strange, ["notes.txt"]);
    assert!(folder.path().join("events/.new-1970-01-02-000").exists());
}
