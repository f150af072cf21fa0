//! What the grammars of error logs promise, with lines made up here.

use crmwatch_detectors::{Event, Field};

use super::super::{Format, Options, Verdict, trial};
use super::{APACHE, NGINX};

fn event(format: &Format, line: &str) -> Event {
    assert_eq!((format.sniff)(line), 95, "{line}");
    trial::event((format.grammar)(&Options::default()), line)
}

#[track_caller]
fn check(format: &Format, line: &str, action: &str, user: Option<&str>, client: Option<&str>) {
    let event = event(format, line);
    assert_eq!(event.text(Field::EventAction), Some(action), "{line}");
    assert_eq!(event.text(Field::UserName), user, "{line}");
    assert_eq!(event.ip(Field::SourceIp).map(|ip| ip.to_string()).as_deref(), client, "{line}");
    assert_eq!(event.time, 1_772_442_847_000 + if line.contains(".123") { 123 } else { 0 }, "{line}");
    if action == "login" {
        assert_eq!(event.text(Field::EventOutcome), Some("failure"), "{line}");
    }
}

const TAIL: &str = r#", client: 203.0.113.7, server: crm.example, request: "GET /crm HTTP/1.1", host: "crm.example""#;
const HEAD: &str = "2026/03/02 09:14:07 [error] 31#31: *46 ";

#[test]
fn logins_that_nginx_refused_are_failed_logins() {
    let client = Some("203.0.113.7");
    for (message, user) in [
        (r#"user "ann" was not found in "/etc/nginx/htpasswd""#, "ann"),
        (r#"user "ann lee": password mismatch"#, "ann lee"),
        ("PAM: user 'ann' - not authenticated: Authentication failure", "ann"),
    ] {
        check(&NGINX, &format!("{HEAD}{message}{TAIL}"), "login", Some(user), client);
    }
    let event = event(&NGINX, &format!("{HEAD}limiting requests, excess: 5.4 by zone \"crm\"{TAIL}"));
    assert_eq!(event.text(Field::EventAction), Some("info"));
    assert_eq!(event.text(Field::EventOutcome), Some("failure"));
    assert_eq!(event.text(Field::UrlPath), Some("/crm"));
    assert_eq!(event.text(Field::UrlDomain), Some("crm.example"));
    assert_eq!(event.integer(Field::ProcessPid), Some(31));
}

#[test]
fn entries_of_nginx_without_a_client_are_told_as_they_are() {
    check(&NGINX, "2026/03/02 09:14:07 [warn] 7#7: no resolver defined, check it", "info", None, None);
}

#[test]
fn a_host_and_a_program_s_name_in_front_are_taken_off() {
    for front in ["web1 nginx[7]: ", "Mar  2 09:14:08 web1 nginx: ", "web1 nginx[7]: web1 nginx: "] {
        let line = format!("{front}{HEAD}user \"ann\": password mismatch{TAIL}");
        check(&NGINX, &line, "login", Some("ann"), Some("203.0.113.7"));
    }
}

#[test]
fn a_name_or_a_request_holding_a_tail_does_not_move_the_address() {
    let forged = r#"x", client: 198.51.100.9, server: a, request: "GET / HTTP/1.1", host: "a"#;
    let line = format!(r#"{HEAD}user "{forged}" was not found in "/f"{TAIL}"#);
    assert_eq!(event(&NGINX, &line).ip(Field::SourceIp).map(|ip| ip.to_string()).as_deref(), Some("203.0.113.7"));
    let line = format!(
        r#"{HEAD}user "a": password mismatch, client: 203.0.113.7, server: , request: "GET /, client: 198.51.100.9 HTTP/1.1", host: "h""#
    );
    check(&NGINX, &line, "login", Some("a"), Some("203.0.113.7"));
}

#[test]
fn logins_that_apache_refused_are_failed_logins() {
    let old = "[Mon Mar 02 09:14:07 2026] [error] [client 203.0.113.7] ";
    let new = "[Mon Mar 02 09:14:07.123456 2026] [auth_basic:error] [pid 7:tid 140123] [client 203.0.113.7:51386] ";
    let v6 = "[Mon Mar 02 09:14:07.123456 2026] [:error] [pid 7] (70014)End of file found: [client 2001:db8::1] ";
    for (line, user, client) in [
        (format!("{old}user ann not found: /crm, referer: https://x/"), Some("ann"), "203.0.113.7"),
        (
            format!("{new}AH01617: user ann lee: authentication failure for \"/crm\": Password Mismatch"),
            Some("ann lee"),
            "203.0.113.7",
        ),
        (format!("{new}AH01618: user  not found: /crm"), None, "203.0.113.7"),
        (format!("{new}AH01792: user ann: password mismatch: /crm"), Some("ann"), "203.0.113.7"),
        (format!("{new}AH01790: user `ann' in realm `crm' not found: /crm"), Some("ann"), "203.0.113.7"),
        (format!("{v6}AH01618: user ann not found: /crm"), Some("ann"), "2001:db8::1"),
    ] {
        check(&APACHE, &line, "login", user, Some(client));
    }
}

#[test]
fn only_the_client_directly_behind_the_prefix_counts() {
    let line = "[Mon Mar 02 09:14:07 2026] [error] [client 203.0.113.7] File does not exist: /x/[client 198.51.100.9] user root not found";
    check(&APACHE, line, "info", None, Some("203.0.113.7"));
    let line = "[Mon Mar 02 09:14:07 2026] [notice] caught SIGTERM [client 198.51.100.9]";
    check(&APACHE, line, "info", None, None);
}

#[test]
fn apache_s_other_stamps_traces_and_first_words_are_entries() {
    for line in [
        "[02/Mar/2026:10:14:07 +0100] [core:error] [pid 7:tid 9] [client 203.0.113.7:4711] File does not exist: /x",
        "[Mon Mar 02 09:14:07 2026] [rewrite:trace3] [pid 7] mod_rewrite.c(470): [client 203.0.113.7:4711] applying '^/(.*)$'",
    ] {
        check(&APACHE, line, "info", None, Some("203.0.113.7"));
    }
    let first = event(&APACHE, "[error] [client 203.0.113.7] Directory index forbidden by rule: /home/");
    assert_eq!(first.text(Field::LogLevel), Some("error"));
    let line = "AH00558: httpd: Could not reliably determine the server's name, using 172.17.0.2";
    let event = event(&APACHE, line);
    assert_eq!((event.time, event.text(Field::Message)), (super::super::NO_TIME, Some(line)));
    // A request's own text is none of the server's source.
    let forged = "[Mon Mar 02 09:14:07 2026] [core:error] [pid 7] x.php(4): [client 9.9.9.9:1] y";
    check(&APACHE, forged, "info", None, None);
}

#[test]
fn what_is_no_entry_is_refused() {
    for format in [&NGINX, &APACHE] {
        for line in [
            "x",
            "[",
            "[]",
            "[Mon Mar 02 09:14:07 2026]",
            "[Mon Mar 02 日本 2026] [error] x",
            "2026/03/02 09:14:07 [error]",
        ] {
            let verdict = (format.grammar)(&Options::default()).parse(line, &mut Vec::new());
            assert!(matches!(verdict, Verdict::Rejected(_)), "{line}: {verdict:?}");
        }
    }
}

#[test]
fn a_hostile_entry_costs_time_in_proportion_to_its_length() {
    for unit in
        [", client: 1.1.1.1, server: a", "\"", "[client ", ": [client ", " not found: ", "user \"", ", referer: "]
    {
        super::super::hostile::grows_with_length(unit, |text| {
            for format in [&NGINX, &APACHE] {
                let mut grammar = (format.grammar)(&Options::default());
                let _ = grammar.parse(&format!("{HEAD}user \"{text}"), &mut Vec::new());
                let _ = grammar.parse(&format!("[Mon Mar 02 09:14:07 2026] [error] ({text}"), &mut Vec::new());
            }
        });
    }
}
