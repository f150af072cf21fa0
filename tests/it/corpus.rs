//! Hostile input, kept: every file of `tests/corpus/<target>` goes through what the fuzz target of that name runs. A crash that
//! fuzzing finds becomes a file here. Not for what such input means.

use std::path::Path;

#[path = "../../fuzz/src/lib.rs"]
#[allow(dead_code, reason = "the fuzz targets' crate, included")]
pub(crate) mod through;

/// Runs on bytes, on their beginnings, and on them with one byte changed.
pub(crate) fn damaged(told: &str, bytes: &[u8], run: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    let ran = std::panic::catch_unwind(|| {
        run(bytes);
        // What a file looks like while it is being written, or cut by a full disk.
        for cut in [1, bytes.len() / 3, bytes.len() / 2, bytes.len().saturating_sub(1)] {
            run(&bytes[..cut.min(bytes.len())]);
        }
        // Bytes that were damaged on the way.
        for at in (0..bytes.len()).step_by(bytes.len() / 16 + 1) {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 0x95;
            run(&damaged);
        }
    });
    assert!(ran.is_ok(), "{told}");
}

fn each(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    assert!(files.len() >= 4, "{target} has a corpus");
    for path in files {
        let bytes = std::fs::read(&path).expect("readable");
        damaged(&path.display().to_string(), &bytes, run);
    }
}

/// Too long to keep as files.
fn floods() -> Vec<Vec<u8>> {
    let units: [&[u8]; 9] = [b"\"", b"[", b"{\"a\":", b"\\x", b"\0", b"(", b"a.", "用".as_bytes(), b"\xff"];
    units.iter().map(|unit| unit.repeat(300_000 / unit.len())).collect()
}

#[test]
fn lines_of_every_kind_panic_nowhere() {
    each("lines", through::lines);
    floods().iter().for_each(|bytes| through::lines(bytes));
}

#[test]
fn access_lines_of_every_kind_panic_nowhere() {
    each("web", through::web);
}

#[test]
fn applications_logs_of_every_kind_panic_nowhere() {
    each("applications", through::applications);
}

#[test]
fn pairs_of_every_kind_panic_nowhere() {
    each("pairs", through::pairs);
}

#[test]
fn vendors_records_of_every_kind_panic_nowhere() {
    each("vendors", through::vendors);
}

#[test]
fn sheets_of_every_kind_panic_nowhere() {
    each("sheets", through::sheets);
}

#[test]
fn formats_of_an_operator_s_own_of_every_kind_panic_nowhere() {
    each("own_formats", through::own_formats);
}

#[test]
fn json_of_every_kind_panics_nowhere() {
    each("json", through::json);
    floods().iter().for_each(|bytes| through::json(bytes));
}

#[test]
fn syslog_of_every_kind_panics_nowhere() {
    each("syslog", through::syslog);
    floods().iter().for_each(|bytes| through::syslog(bytes));
}

#[test]
fn csv_of_every_kind_panics_nowhere() {
    each("csv", through::csv);
    floods().iter().for_each(|bytes| through::csv(bytes));
}

#[test]
fn queries_of_every_kind_panic_nowhere() {
    each("query", through::query);
    floods().iter().for_each(|bytes| through::query(bytes));
}

#[test]
fn stored_bytes_of_every_kind_panic_nowhere() {
    each("codec", through::codec);
    floods().iter().for_each(|bytes| through::codec(bytes));
}

#[test]
fn configurations_of_every_kind_panic_nowhere() {
    each("config", through::config);
}

#[test]
fn rules_of_every_kind_panic_nowhere() {
    each("rules", through::rules);
}

#[test]
fn records_end_in_the_same_place_however_their_bytes_come() {
    each("framing", |bytes| drop(through::framing(bytes)));
    // Every kind of framing in every kind of encoding.
    for flood in floods() {
        for kind in 0..18 {
            through::framing(&[&[kind, 5], &flood[..4_000]].concat());
        }
    }
}

#[test]
fn bytes_of_every_encoding_lead_back_or_are_kept() {
    each("decode", through::decode);
    for flood in floods() {
        (0..9).for_each(|label| through::decode(&[&[label], &flood[..4_000]].concat()));
    }
}

#[test]
fn what_is_spooled_is_read_back_as_it_came() {
    each("spool", through::spool);
    floods().iter().for_each(|bytes| through::spool(bytes));
}

#[test]
fn damaged_positions_panic_nowhere() {
    each("positions", through::positions);
}
