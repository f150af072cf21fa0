//! The contract of the command line, as scripts depend on it: exit codes, streams, names. Not for what the words of a command say.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use crate::program::{command, run, run_with_input};

const NGINX: &str = "tests/fixtures/nginx/access.log";
const ODOO: &str = "tests/fixtures/odoo/odoo-server.log";

fn temporary(name: &str, bytes: &[u8]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("written");
    let path = path.to_str().expect("UTF-8").to_owned();
    (folder, path)
}

#[test]
fn scan_ends_with_0_also_with_findings_and_with_1_if_asked_to_fail_on_them() {
    assert_eq!(run(&["scan", ODOO]).code, Some(0));
    assert_eq!(run(&["scan", "--fail-on", "high", ODOO]).code, Some(1));
    assert_eq!(run(&["scan", "--fail-on", "critical", ODOO]).code, Some(0), "the worst in it is high");
    assert_eq!(run(&["scan", "/no/such/file.log"]).code, Some(1));
}

#[test]
fn wrong_words_end_with_2_and_say_what_would_be_right() {
    for (arguments, said) in [
        (&["scna", "x"][..], "scan"),
        (&["scan"], "FILE"),
        (&["parse", "--format", "ngimx", NGINX], "did you mean nginx?"),
        (&["scan", "--timezone", "Europe/Berlinn", NGINX], "did you mean Europe/Berlin?"),
        (&["scan", "--fail-on", "urgent", NGINX], "critical"),
    ] {
        let ran = run(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{arguments:?}");
    }
    assert_eq!(run(&["--help"]).code, Some(0));
    assert_eq!(run(&["--version"]).code, Some(0));
}

#[test]
fn rejected_records_end_parse_with_2_and_are_named_one_a_line() {
    let good = r#"203.0.113.7 - ann [02/Mar/2026:09:14:07 +0000] "GET /crm/contacts/7 HTTP/1.1" 200 5 "-" "x""#;
    let (_folder, path) = temporary("access.log", format!("{good}\nnot a line of any log\n{good}\n").as_bytes());
    let ran = run(&["parse", "--format", "nginx", &path]);
    assert_eq!(ran.code, Some(2));
    assert_eq!(ran.objects().len(), 2);
    let said: Vec<&str> = ran.err.lines().collect();
    assert!(said.len() == 1 && said[0].starts_with(&format!("{path}:2: ")), "{}", ran.err);
}

#[test]
fn a_bad_configuration_ends_check_and_run_with_78_and_names_its_place() {
    let (_folder, path) = temporary("crmwatch.toml", b"[[source]]\nname = \"a\"\npahts = [\"/tmp/x\"]\n");
    for name in ["check", "run"] {
        let ran = run(&[name, "--config", &path]);
        assert_eq!(ran.code, Some(78), "{name}: {}", ran.err);
        assert!(ran.err.contains(&format!("{path}:3:1")) && ran.err.contains("paths"), "{name}: {}", ran.err);
        let ran = run(&[name, "--config", "/no/such/crmwatch.toml"]);
        assert_eq!(ran.code, Some(78), "{name}: {}", ran.err);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    // More than a pipe holds, so that the program writes on after the reader is gone.
    let line = std::fs::read(NGINX).expect("the fixture");
    let (_folder, path) = temporary("access.log", &line.repeat(20));
    for arguments in [&["parse", &path][..], &["scan", "--json", "tests/fixtures"]] {
        let mut child =
            command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut out = child.stdout.take().expect("piped");
        if arguments[0] == "parse" {
            out.read_exact(&mut [0; 10]).expect("ten bytes");
        }
        drop(out);
        let ended = child.wait_with_output().expect("it ends");
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
        assert!(!String::from_utf8_lossy(&ended.stderr).contains("panicked"));
    }
}

#[test]
fn colour_is_for_terminals_or_when_asked_for() {
    let coloured = |ran: crate::program::Ran| ran.out.contains('\u{1b}') || ran.err.contains('\u{1b}');
    assert!(!coloured(run(&["scan", ODOO])), "no terminal, no colour");
    assert!(coloured(run(&["scan", "--color", "always", ODOO])));
    assert!(!coloured(run(&["scan", "--color", "never", ODOO])));
    let quiet = command(&["scan", ODOO]).env("NO_COLOR", "1").output().expect("it runs");
    assert!(!quiet.stdout.contains(&0x1b));
}

#[test]
fn the_formats_are_listed_one_a_line_each_usable_by_its_name() {
    let listed = run(&["parse", "--list-formats"]);
    assert_eq!(listed.code, Some(0));
    let names: Vec<&str> = listed.out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for name in ["nginx", "apache", "json", "salesforce-elf", "m365-audit", "odoo", "suitecrm", "auto"] {
        assert!(names.contains(&name), "{name} among {names:?}");
    }
    for name in names {
        assert_ne!(run(&["parse", "--format", name, NGINX]).code, Some(1), "{name} is listed");
    }
}

#[test]
fn standard_input_is_read_as_a_file_is() {
    let text = std::fs::read(NGINX).expect("the fixture");
    let (piped, named) = (run_with_input(&["parse", "-"], &text), run(&["parse", NGINX]));
    assert_eq!(piped.code, Some(0), "{}", piped.err);
    let ids = |ran: &crate::program::Ran| ran.objects().iter().map(|event| event["_id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&piped), ids(&named));
    assert!(piped.objects().iter().all(|event| event["log.file.path"] == "-"));
    let scanned = run_with_input(&["scan", "--json", "-"], &text);
    assert_eq!(scanned.objects().len(), 1, "the journey in it: {}", scanned.err);
}

#[test]
fn the_same_file_gives_the_same_ids_compressed_or_not() {
    let text = std::fs::read(NGINX).expect("the fixture");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&text).expect("in memory");
    let zstd = zstd::encode_all(&text[..], 3).expect("in memory");
    let plain = run(&["parse", NGINX]).objects();
    for (name, bytes) in [("access.log.2.gz", gzip.finish().expect("in memory")), ("access.log.3.zst", zstd)] {
        let (_folder, path) = temporary(name, &bytes);
        let packed = run(&["parse", &path]).objects();
        assert_eq!(packed.len(), plain.len(), "{name}");
        for (packed, plain) in packed.iter().zip(&plain) {
            for field in ["_id", "@timestamp", "log.offset", "event.original"] {
                assert_eq!(packed[field], plain[field], "{field} of {name}");
            }
            assert_eq!(packed["log.file.path"], path.as_str());
        }
    }
}

#[test]
fn every_event_has_its_id_file_and_offset_under_flat_names_with_times_and_numbers_as_promised() {
    let paths = [
        "nginx/access.log",
        "salesforce/2026-03-Report.csv",
        "m365/audit.jsonl",
        "odoo/odoo-server.log",
        "json/app.jsonl",
    ];
    for path in paths {
        let path = format!("tests/fixtures/{path}");
        let text = std::fs::read(&path).expect("the fixture");
        let mut ids = std::collections::BTreeSet::new();
        for event in run(&["parse", &path]).objects() {
            let id = event["_id"].as_str().expect("an id");
            assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
            assert!(ids.insert(id.to_owned()), "{id} twice in {path}");
            assert_eq!(event["log.file.path"], path.as_str());
            let offset = event["log.offset"].as_u64().expect("a number") as usize;
            let original = event["event.original"].as_str().expect("the line");
            assert!(text[offset..].starts_with(original.as_bytes()), "{path} at {offset}");
            let stamp = event["@timestamp"].as_str().expect("a time").as_bytes();
            assert!(stamp.len() == 24 && stamp[10] == b'T' && stamp[19] == b'.' && stamp[23] == b'Z', "{event:?}");
            for (name, value) in &event {
                assert!(!value.is_object(), "{name} of {path} is not flat");
            }
            for name in
                ["http.response.status_code", "http.response.body.bytes", "crm.records", "crm.bytes", "process.pid"]
            {
                assert!(
                    event.get(name).is_none_or(serde_json::Value::is_number),
                    "{name} of {path}: {:?}",
                    event[name]
                );
            }
        }
    }
}

#[test]
fn blank_lines_headers_directives_and_continuations_are_neither_rejected_nor_counted() {
    let line = r#"203.0.113.7 - ann [02/Mar/2026:09:14:07 +0000] "GET / HTTP/1.1" 200 5 "-" "x""#;
    let header = std::fs::read_to_string("tests/fixtures/salesforce/2026-03-LoginAs.csv").expect("the fixture");
    let traceback = "2026-03-02 09:00:00,120 7 ERROR crm odoo.http: Exception\nTraceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 'x'\n";
    for (name, text, events) in [
        ("blank.log", format!("\n{line}\n\n   \n{line}\n\r\n"), 2),
        ("directive.log", format!("# what this is\n{line}\n"), 1),
        ("header.csv", header.clone() + &header, 2),
        ("bom.csv", format!("\u{feff}{header}"), 1),
        ("no-final-newline.log", line.to_owned(), 1),
        ("empty.log", String::new(), 0),
    ] {
        let (_folder, path) = temporary(name, text.as_bytes());
        let ran = run(&["parse", &path]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{name}");
        assert_eq!(ran.objects().len(), events, "{name}");
    }
    let (_folder, path) = temporary("odoo.log", traceback.as_bytes());
    let ran = run(&["parse", "--format", "odoo", &path]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let events = ran.objects();
    assert_eq!(events.len(), 4, "the entry, and what goes on from it line by line");
    assert!(events[1..].iter().all(|event| event["crm.continuation_of"] == events[0]["_id"]), "{events:?}");
}
