//! How the house is built: what may depend on what, and what no file may do. Read from the sources and the lock file, so that a change
//! that breaks an invariant fails here and not in a review.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};

/// Every package `crmwatch-detectors` is built with, by Cargo.lock (which also names what its tests need).
fn tree_of_detectors() -> BTreeSet<String> {
    let lock: toml::Table = toml::from_str(&crate::repository::text("Cargo.lock")).unwrap();
    let mut needs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap().to_owned();
        let listed = package.get("dependencies").and_then(|list| list.as_array()).into_iter().flatten();
        // An entry is a name, with its version behind it where there are several.
        let names = listed.map(|one| one.as_str().unwrap().split(' ').next().unwrap().to_owned());
        needs.entry(name).or_default().extend(names);
    }
    let mut tree = BTreeSet::new();
    let mut open = vec!["crmwatch-detectors".to_owned()];
    while let Some(name) = open.pop() {
        open.extend(needs.get(&name).unwrap_or_else(|| panic!("{name} is not in the lock file")).iter().cloned());
        if !tree.insert(name) {
            open.retain(|one| !tree.contains(one));
        }
    }
    tree
}

#[test]
fn detectors_are_built_without_a_runtime_an_index_a_server_or_a_database() {
    let tree = tree_of_detectors();
    assert!(tree.contains("rsigma-eval"), "the tree was not walked");
    for foreign in
        ["tokio", "tantivy", "axum", "hyper", "rusqlite", "libsqlite3-sys", "lettre", "rustls", "notify", "crmwatch"]
    {
        assert!(!tree.contains(foreign), "crmwatch-detectors depends on {foreign}");
    }
}

/// The code of a file: without remarks, and without what stands under its first `#[cfg(test)]` with a block.
fn code(path: &std::path::Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The files under a folder, without those that hold nothing but tests.
fn daemon_files(folder: &str) -> Vec<std::path::PathBuf> {
    let mut files = crate::repository::files(folder, ".rs");
    files.retain(|path| !path.to_string_lossy().ends_with("tests.rs"));
    files
}

#[test]
fn detectors_touch_no_clock_file_socket_thread_or_chance() {
    let banned = [
        "SystemTime",
        "Instant",
        "Utc::now",
        "Local::now",
        "std::fs",
        "File::open",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "UnixStream",
        "ToSocketAddrs",
        "std::thread",
        "thread::spawn",
        "std::env",
        "std::process",
        "rand::",
        "println!",
    ];
    let files = daemon_files("detectors/src");
    assert!(files.len() > 30);
    for path in files {
        let code = code(&path);
        for word in banned {
            assert!(!code.contains(word), "{}: {word}", path.display());
        }
    }
}

/// Every Rust file of the project.
fn sources() -> Vec<std::path::PathBuf> {
    ["src", "detectors/src", "tests", "benches", "fuzz/fuzz_targets"]
        .iter()
        .flat_map(|folder| crate::repository::files(folder, ".rs"))
        .collect()
}

#[test]
fn every_file_says_at_its_head_what_it_is_for() {
    let files = sources();
    assert!(files.len() > 100);
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!"), "{} does not open with //!", path.display());
    }
}

#[test]
fn only_the_pipeline_and_the_http_face_start_lasting_threads() {
    for path in daemon_files("src") {
        let own = path.strip_prefix(crate::repository::root()).unwrap();
        if own.starts_with("src/pipeline") || own.starts_with("src/api") {
            continue;
        }
        // A full partition is finished by a thread that ends with that.
        if own.ends_with("src/store/writer.rs") {
            continue;
        }
        // The demo and the command line are programs of their own around the daemon.
        if own.starts_with("src/demo") || own.starts_with("src/cli") {
            continue;
        }
        let code = code(&path);
        for word in ["thread::spawn", "thread::Builder", "spawn_scoped"] {
            assert!(!code.contains(word), "{}: {word} belongs to src/pipeline", own.display());
        }
    }
}

#[test]
fn no_channel_is_unbounded() {
    for path in daemon_files("src") {
        let code = code(&path);
        for word in ["unbounded(", "unbounded::<", "unbounded_channel", "mpsc::channel("] {
            assert!(!code.contains(word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn only_the_configuration_reads_configuration_and_only_metrics_name_metrics() {
    for path in daemon_files("src") {
        let own = path.strip_prefix(crate::repository::root()).unwrap();
        let code = code(&path);
        if !own.starts_with("src/config") {
            assert!(!code.contains("config::raw"), "{}", own.display());
        }
        if !own.ends_with("metrics.rs") {
            for word in ["IntCounterVec::new", "IntGaugeVec::new", "IntCounter::new", "Histogram::with_opts"] {
                assert!(!code.contains(word), "{}: metrics are named in src/metrics.rs", own.display());
            }
        }
    }
}

#[test]
fn nothing_unfinished_is_left_standing() {
    for path in sources() {
        let own = path.strip_prefix(crate::repository::root()).unwrap();
        if own.ends_with("tests/it/house.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for word in ["TODO", "FIXME", "XXX:", "todo!(", "unimplemented!("] {
            assert!(!text.contains(word), "{}: {word}", own.display());
        }
    }
}

#[test]
fn the_workspace_forbids_unsafe_code_and_each_member_takes_its_lints() {
    assert!(crate::repository::text("Cargo.toml").contains("unsafe_code = \"forbid\""));
    for manifest in ["Cargo.toml", "detectors/Cargo.toml"] {
        assert!(crate::repository::text(manifest).contains("[lints]\nworkspace = true"), "{manifest}");
    }
}

#[test]
fn every_test_that_the_architecture_names_exists() {
    let named: BTreeSet<String> = crate::repository::text("ARCHITECTURE.md")
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| {
            word.matches('_').count() >= 3
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
        })
        .map(str::to_owned)
        .collect();
    assert!(named.len() > 20);
    let code: String = sources().iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for test in named {
        assert!(code.contains(&format!("fn {test}(")), "ARCHITECTURE.md names {test}, which is no test");
    }
}
