//! The demonstration from the outside: it ends by itself, says what was found, and leaves nothing behind.

use std::fs;
use std::process::Command;

#[test]
fn a_demonstration_ends_by_itself_and_leaves_nothing_behind() {
    let folder = tempfile::Builder::new().prefix("d").tempdir_in("/tmp").expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_crmwatch"))
        .args(["demo", "--for", "15s", "--users", "40", "--days", "7"])
        .env("TMPDIR", folder.path())
        .output()
        .expect("started");
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{told}");
    assert!(said.contains("7 days of work"), "{said}");
    assert!(said.contains("every line understood"), "{said}");
    assert!(said.contains("an attack begins"), "{said}");
    assert!(said.contains("live       15 s") || said.contains("live       16 s"), "{said}");
    assert!(!said.contains('\x1b'), "colour without a terminal: {said}");
    assert!(!told.contains("ERROR"), "{told}");
    let left: Vec<_> = fs::read_dir(folder.path()).expect("the folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_demonstration_says_so_and_leaves_nothing_behind() {
    let folder = tempfile::Builder::new().prefix("d").tempdir_in("/tmp").expect("a folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_crmwatch"))
        .args(["demo", "--users", "10", "--days", "3"])
        .env("TMPDIR", folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("started");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("piped")));
    lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("Live"))).expect("it goes live").expect("read");
    let number = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(number, rustix::process::Signal::INT).expect("signalled");
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert!(rest.iter().any(|line| line.trim_start().starts_with("live ")), "no last words: {rest:?}");
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0);
}
