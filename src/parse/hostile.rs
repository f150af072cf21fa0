//! For tests: that a grammar's time grows with the length of a line and not with its square. Not for measuring speed.

use std::time::{Duration, Instant};

/// Runs with 200 kB and 2 MB of repeated text. A busy machine may spoil a round, a quadratic grammar (100 times for 10 times the text)
/// spoils every one.
pub fn grows_with_length(unit: &str, read: impl Fn(&str)) {
    let time = |length: usize| {
        let text = unit.repeat(length / unit.len());
        let started = Instant::now();
        read(&text);
        started.elapsed()
    };
    let mut rounds = Vec::new();
    while rounds.len() < 5 {
        let (small, large) = (time(200_000), time(2_000_000));
        if large < small * 40 + Duration::from_millis(50) {
            return;
        }
        rounds.push((small, large));
    }
    panic!("{unit:?}: {rounds:?}");
}

/// A format, how a line of it begins, and what is repeated until the line is long: what its grammar searches for, again and again.
const LONG: &[(&str, &str, &str)] = &[
    ("salesforce-event", "{\"EventIdentifier\":\"", "\\\""),
    ("dataverse-audit", "{\"auditid\":\"1\",\"changedata\":\"", "{\\\"a\\\":"),
    ("entra-id", "{\"createdDateTime\":1,\"status\":[", "{\"errorCode\":1},"),
    ("google-workspace", "{\"id\":{\"applicationName\":\"a\"},\"events\":[", "{\"name\":\"a\"},"),
    ("hubspot", "{\"category\":\"a\",\"occurredAt\":1,", "\"a\":1,"),
    ("jiandaoyun", "{\"op\":\"data_create\",\"data\":{", "\"a\":1,"),
    ("jiandaoyun-log", "", "操作时间,操作人,"),
    ("zoho", "Audited Time,Done By,Action,Module", ",\"\"\"\""),
    ("zoho-api", "{\"audited_time\":1,", "\"done_by\":{},"),
    ("vtiger-logins", "", "\"a\"\"\","),
    ("espocrm-records", "{\"list\":[", "{\"isDenied\":1},"),
    ("twenty-events", "", "{\"event\":\"a\"}"),
    ("twenty", "[Nest] 7  - 03/02/2026, 9:14:07 AM ", " LOG ["),
    ("tine", "a b -- ", "x -- - "),
    ("tine", "a b -- none -- - 2026-03-02T09:14:07+00:00 WARN (4): a Login with username ", "x from "),
    ("caddy", "{\"ts\":1,\"request\":{\"uri\":\"/\",\"headers\":{\"A\":[", "\"a\","),
    ("traefik", "{\"RequestMethod\":\"GET\",\"RequestPath\":\"", "\\u0041"),
    ("cef", "CEF:0|a|b|1|2|3|4|", "cs1=a "),
    ("cef", "CEF:0|a|b|1|2|3|4|", "cs1Label=a "),
    ("cef", "CEF:0|a|b|1|2|3|4|a", "="),
    ("cef", "CEF:0|a|b|1|2|3|4|a=", "\\\\="),
    ("cef", "CEF:0|", "\\|"),
    ("leef", "LEEF:1.0|a|b|1|2|", "a=b\t"),
    ("leef", "LEEF:1.0|a|b|1|2|a", "=b "),
    ("leef", "LEEF:1.0|a|b|1|2|a", "="),
    ("iis", "2026-03-02 09:14:07 ", "GET "),
    ("iis", "2026-03-02 09:14:07 10.0.0.1 GET / - 80 - - ", "200 "),
    ("iis", "", "\"\"\"\" "),
    ("haproxy", "203.0.113.7:5 [02/Mar/2026:09:14:07.608] f b/s 0/0/1/43/44 200 2 - - ---- 1/1 0/0 ", "{a|"),
    ("haproxy", "203.0.113.7:5 [02/Mar/2026:09:14:07.608] f b/s 0/0/1/43/44 200 2 ", "\"} {"),
    (
        "odoo",
        "2026-03-02 09:14:07,644 1 INFO crm odoo.addons.base.models.res_users: Login failed for db:a login:",
        " from ",
    ),
    ("suitecrm", "Mon Mar  2 09:14:07 2026 [1][-none-][FATAL] FAILED LOGIN:attempts[1], ip[", "], username["),
    ("civicrm", "2026-03-02 09:14:07+0000  ", "[error] "),
    ("yetiforce", "2026-03-02 09:14:07 ", "[a]"),
    ("vtiger", "2026-03-02 09:14:07,123 [4897] FATAL ", "VT - "),
    ("espocrm", "[2026-03-02 09:14:07] Espo.WARNING: AUTH: user '", "' []"),
    ("espocrm", "[2026-03-02 09:14:07] ", "a.: "),
    ("nginx-error", "2026/03/02 09:14:07 [error] 7#7: ", ", client: 1.2.3.4"),
    ("apache-error", "[Mon Mar 02 09:14:07 2026] [error] (1", ": [client "),
    ("json", "", "{\"records\":[{\"a\":1},"),
    ("json", "{\"log\":\"", "{\\\"log\\\":"),
    ("logfmt", "ts=1 ", "a=\"\\\" "),
    ("logfmt", "ts=1 ", "a=b "),
    ("audit-csv", "date,user,ip", ",date"),
    ("syslog", "<13>1 2026-03-02T09:14:07Z - - - - ", "[a b=\"]"),
    ("auto", "2026-03-02T09:14:07Z stdout F ", "a | "),
    ("auto", "", "a | "),
    ("auto", "{\"log\":\"a\",\"stream\":\"std", "\",\"log\":\""),
];

#[test]
fn no_format_takes_a_hundred_times_as_long_for_ten_times_the_text() {
    for (format, begin, unit) in LONG {
        grows_with_length(unit, |text| {
            let mut grammar = super::grammar(format, &super::Options::default()).expect("a format of the list");
            let record = format!("{begin}{text}");
            grammar.framing(record.as_bytes());
            grammar.parse(&record, &mut Vec::new());
        });
    }
}

#[test]
fn every_format_is_tried_with_long_lines() {
    // Access lines and the records of two vendors have tests of their own (`clf_tests`, `salesforce_tests`, `m365::tests`).
    let elsewhere = ["nginx", "apache", "salesforce-elf", "m365-audit"];
    for format in super::FORMATS {
        let here = LONG.iter().any(|(name, ..)| *name == format.name);
        assert!(here || elsewhere.contains(&format.name), "{}", format.name);
    }
}
