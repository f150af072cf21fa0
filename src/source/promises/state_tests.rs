//! Grammars that carry something from record to record (a header, a year, an entry that goes on) read on after a restart as if there had
//! been none.

use std::sync::LazyLock;

use crmwatch_detectors::json;
use proptest::prelude::*;

use super::*;
use crate::parse::FORMATS;

/// Logs whose records need what came before, each with its format.
fn written_here() -> Vec<(&'static str, String)> {
    let sessions = |days: &[&str], rest: &str| -> String {
        let each = days.iter().enumerate().map(|(number, day)| format!("{day} 03:04:{number:02} crm {rest}{number}\n"));
        each.collect()
    };
    // New Year comes, a late line of the old one after it, and New Year again.
    let days = ["Dec 30", "Dec 31", "Jan  1", "Dec 31", "Jan  2", "Jun  9", "Sep  3", "Dec 31", "Jan  1", "Jan  1"];
    let odoo = "odoo[7]: 2026-03-02 09:14:07,123 7 INFO crm odoo.addons.base.models.res_users: Login successful for db:crm login:u";
    let row = |number: u32, note: &str| format!("\"Login\",\"20260302091407.{number:03}\",\"{note}\"\r\n");
    let headers = ["\"EVENT_TYPE\",\"TIMESTAMP\",\"NOTE\"\r\n", "\"TIMESTAMP\",\"NOTE\",\"EVENT_TYPE\"\r\n"];
    let csv = format!(
        "{}{}{}{}{}{}",
        headers[0],
        row(1, "plain"),
        row(2, "over\nthree\r\nlines, \"\"quoted\"\""),
        headers[1],
        "\"20260302091407.003\",\"other\norder\",\"Logout\"\r\n",
        "\"20260302091407.004\",\"\",\"Logout\"\r\n",
    );
    let pretty = "[\n  {\n    \"@timestamp\": \"2026-03-02T09:14:07Z\",\n    \"user.name\": \"mia\",\n    \"event.action\": \"view\"\n  },\n  {\n    \"user.name\": \"}\\\"\"\n  }\n]\n";
    let trace = "2026-03-02 09:14:07,123 7 ERROR crm odoo.http: Exception\nTraceback (most recent call last):\n  File \"x.py\", line 1\nValueError: x\n";
    let contained = |line: &str| {
        format!(
            "{{\"log\":{},\"stream\":\"stdout\",\"time\":\"2026-03-02T09:14:07.5Z\"}}\n",
            serde_json::json!(format!("{line}\n"))
        )
    };
    // Kubernetes' own stamps have no year either.
    let klog: String = ["1230", "1231", "0101", "1231", "0102", "0903", "0101"]
        .iter()
        .enumerate()
        .map(|(number, day)| format!("I{day} 03:04:{number:02}.123456       1 proxy.go:7] line {number}\n"))
        .collect();
    vec![
        ("klog", klog.clone()),
        ("auto", klog),
        ("syslog", sessions(&days, "app: line ")),
        ("odoo", sessions(&days, odoo)),
        ("auto", sessions(&days, odoo)),
        (
            "nginx",
            sessions(
                &days,
                "nginx: 192.0.2.1 - mia [02/Mar/2026:09:14:07 +0000] \"GET /x HTTP/1.1\" 200 5 \"-\" \"-\" ",
            ),
        ),
        ("salesforce-elf", csv.repeat(3)),
        ("auto", csv.repeat(3)),
        ("json", format!("{pretty}{{\"a\":1}}\n").repeat(4)),
        ("auto", pretty.repeat(4)),
        ("odoo", trace.repeat(4)),
        ("auto", trace.repeat(4)),
        ("json", trace.lines().map(contained).collect::<String>().repeat(3)),
    ]
}

/// Those, and the fixtures of every format, shortened to whole lines.
static LOGS: LazyLock<Vec<(&'static str, Vec<u8>)>> = LazyLock::new(|| {
    let mut logs: Vec<(&'static str, Vec<u8>)> =
        written_here().into_iter().map(|(format, text)| (format, text.into_bytes())).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/*/*");
    let mut fixtures: Vec<PathBuf> =
        glob::glob(&folder.to_string_lossy()).expect("a pattern").map(|path| path.expect("readable")).collect();
    fixtures.retain(|path| path.is_file());
    fixtures.sort();
    for path in fixtures {
        let mut bytes = fs::read(&path).expect("read");
        if let Some(end) = memchr::memchr_iter(b'\n', &bytes).nth(40) {
            bytes.truncate(end + 1);
        }
        logs.push(("auto", bytes.clone()));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let surest = FORMATS
            .iter()
            .max_by_key(|format| text.lines().take(5).map(|line| u32::from((format.sniff)(line))).sum::<u32>());
        logs.push((surest.expect("there are formats").name, bytes));
    }
    assert!(logs.len() > 30);
    logs
});

/// The events of a log that grows by these pieces, with a restart after each where that is wanted.
fn events(format: &str, pieces: &[&[u8]], restarts: bool) -> Vec<serde_json::Value> {
    let mut world = World::of(|folder| {
        let other = source("app", folder, &["app.log*"]);
        vec![Source { format: format.to_owned(), ..other }]
    });
    for piece in pieces {
        world.raw("app.log", piece);
        world.look();
        // The time of reading must be the same, as it stands in for times that cannot be believed.
        world.now = START;
        world.read();
        if restarts {
            world.restart();
        }
    }
    let told = |event: &Event| {
        let mut object = json::object(event);
        object.remove("log.file.path");
        serde_json::Value::Object(object)
    };
    world.events.iter().map(told).collect()
}

fn pieces<'b>(bytes: &'b [u8], cuts: &[usize], at_lines: bool) -> Vec<&'b [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut % bytes.len()).collect();
    if at_lines {
        for at in &mut at {
            *at = memchr::memchr(b'\n', &bytes[*at..]).map_or(bytes.len(), |end| *at + end + 1);
        }
    }
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn stopped_at_any_record_every_grammar_reads_on_as_if_nothing_had_happened(
        which in any::<prop::sample::Index>(),
        cuts in proptest::collection::vec(any::<usize>(), 1..12),
        at_lines in any::<bool>(),
    ) {
        let (format, bytes) = which.get(&LOGS);
        let whole = events(format, &[bytes], false);
        prop_assert!(!whole.is_empty());
        let stopped = events(format, &pieces(bytes, &cuts, at_lines), true);
        prop_assert_eq!(whole, stopped, "{}", format);
    }
}

#[test]
fn stopped_after_every_single_line_each_log_gives_the_same_events() {
    for (format, bytes) in LOGS.iter() {
        let cuts: Vec<usize> = memchr::memchr_iter(b'\n', bytes).map(|end| end + 1).collect();
        let whole = events(format, &[bytes], false);
        let stopped = events(format, &pieces(bytes, &cuts, false), true);
        assert_eq!(whole, stopped, "{format}: {}", String::from_utf8_lossy(&bytes[..bytes.len().min(120)]));
    }
}
