//! Killed again and again while logs of several formats are written and rotated in every way: each line is in the index exactly once,
//! each attack is found exactly once. The same rig as the bench `torture`, which runs as long as one likes.
//!
//! `CRMWATCH_CRASH_KILLS`, `CRMWATCH_CRASH_LINES`, `CRMWATCH_CRASH_SECONDS` and `CRMWATCH_CRASH_SEED` set what stands in the plan.

#[path = "../../benches/torture/rig/mod.rs"]
mod rig;

use std::time::Duration;

#[test]
fn killed_again_and_again_each_line_and_each_finding_is_recorded_exactly_once() {
    let set = |name: &str, otherwise: u64| {
        std::env::var(format!("CRMWATCH_CRASH_{name}")).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let folder = tempfile::Builder::new().prefix("crmwatch-crash-").tempdir().expect("a folder").keep();
    let plan = rig::Plan {
        lines: set("LINES", 10_000),
        kills: u32::try_from(set("KILLS", 8)).expect("a number of kills"),
        time: Duration::from_secs(set("SECONDS", 12)),
        seed: set("SEED", 7),
        folder: folder.clone(),
        binary: env!("CARGO_BIN_EXE_crmwatch").into(),
        copy_unread: set("COPY_UNREAD", 0) > 0,
        scan: true,
        progress: |_| {},
    };
    let account =
        rig::run(&plan).unwrap_or_else(|error| panic!("seed {}, in {}: {error}", plan.seed, folder.display()));
    assert!(account.flawless(), "in {}\n{}", folder.display(), account.table());
    std::fs::remove_dir_all(&folder).expect("removed");
    eprintln!("{}", account.table());
}
