//! An index restored from an older backup than the ledger: the daemon refuses and says what to do; `crmwatch recover` brings them together.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crmwatch::ledger::Ledger;
use crmwatch::store::{Store, StoreOptions};

fn crmwatch(arguments: &[&str], config: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crmwatch"));
    command.args(arguments).arg("--config").arg(config).output().expect("run")
}

/// Runs the daemon until so many lines are read, then stops it.
fn run_until(config: &Path, state: &Path, lines: u64) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_crmwatch"))
        .args(["run", "--config"])
        .arg(config)
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("started");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let read: u64 = Ledger::open(state)
            .and_then(|ledger| ledger.positions())
            .map(|positions| positions.values().map(|position| position.line).sum())
            .unwrap_or(0);
        if read >= lines {
            break;
        }
        assert!(Instant::now() < deadline, "{read} of {lines} lines were read");
        std::thread::sleep(Duration::from_millis(100));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("told to stop");
    assert!(child.wait().expect("ended").success());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

fn append(log: &Path, numbers: std::ops::Range<u32>) {
    use std::io::Write;
    let mut file = fs::OpenOptions::new().create(true).append(true).open(log).expect("opened");
    for number in numbers {
        writeln!(file, r#"{{"@timestamp":"2026-03-02T09:14:07Z","event.action":"view","n":{number}}}"#)
            .expect("written");
    }
}

#[test]
fn an_older_index_and_a_newer_ledger_are_brought_together_and_nothing_is_missing_or_doubled() {
    let folder = tempfile::tempdir().expect("a folder");
    let (state, log) = (folder.path().join("state"), folder.path().join("app.log"));
    let config = folder.path().join("crmwatch.toml");
    let text = format!(
        "state_dir = {state:?}\n[http]\nlisten = \"127.0.0.1:0\"\n[retention]\nmin_free_bytes = \"0\"\ndays = 36500\n[[source]]\nname = \"app\"\nformat = \"json\"\npaths = [{log:?}]\n"
    );
    fs::write(&config, text).expect("written");

    append(&log, 0..500);
    run_until(&config, &state, 500);
    let backup = folder.path().join("backup");
    copy(&state.join("events"), &backup);
    append(&log, 500..900);
    run_until(&config, &state, 900);
    fs::remove_dir_all(state.join("events")).expect("removed");
    copy(&backup, &state.join("events"));

    let refused = crmwatch(&["run"], &config);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("crmwatch recover") && told.contains("older"), "{told}");

    let shown = crmwatch(&["recover"], &config);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("going on from the index") && shown.contains("500 events"), "{shown}");
    let done = crmwatch(&["recover", "--from", "index"], &config);
    assert!(done.status.success(), "{done:?}");
    append(&log, 900..1000);
    run_until(&config, &state, 1000);

    let mut seen = BTreeSet::new();
    let store = Store::open(&state, StoreOptions::default()).expect("opened");
    store
        .replay(i64::MIN, i64::MAX, |event| {
            assert!(seen.insert(event.raw().to_owned()), "twice: {}", event.raw());
            true
        })
        .expect("read");
    assert_eq!(seen.len(), 1000);
}
