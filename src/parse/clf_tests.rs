//! What the CLF grammar promises, line by line.

use crmwatch_detectors::{Event, Field};
use proptest::prelude::*;

use super::super::{Format, Options, Verdict, trial};
use super::{APACHE, NGINX};

const STAMP: i64 = 1_772_442_847_000;

fn with(format: &Format, line: &str) -> Result<Event, &'static str> {
    let mut events = Vec::new();
    match (format.grammar)(&Options::default()).parse(line, &mut events) {
        Verdict::Parsed => Ok(events.pop().expect("a parsed line gives an event")),
        Verdict::Rejected(reason) => Err(reason),
        Verdict::Skipped => Err("skipped"),
        Verdict::Continuation => Err("continuation"),
    }
}

fn read(line: &str) -> Event {
    let event = with(&NGINX, line).unwrap_or_else(|reason| panic!("{line}: {reason}"));
    assert_eq!(event.time, STAMP, "{line}");
    assert_eq!(event.raw(), line);
    assert_eq!(with(&APACHE, line).as_ref(), Ok(&event));
    event
}

#[track_caller]
fn check(line: &str, expected: &[(Field, &str)]) {
    let event = read(line);
    trial::holds(&event, expected, line);
}

#[test]
fn a_combined_line_gives_every_field() {
    check(
        r#"203.0.113.7 - alice [02/Mar/2026:10:14:07 +0100] "GET /crm/contacts?page=2&q=%C4%E3 HTTP/1.1" 200 5120 "https://crm.example/home" "Mozilla/5.0 (X11)""#,
        &[
            (Field::SourceIp, "203.0.113.7"),
            (Field::SourceAddress, ""),
            (Field::UserName, "alice"),
            (Field::HttpMethod, "GET"),
            (Field::UrlOriginal, "/crm/contacts?page=2&q=%C4%E3"),
            (Field::UrlPath, "/crm/contacts"),
            (Field::UrlQuery, "page=2&q=%C4%E3"),
            (Field::HttpVersion, "1.1"),
            (Field::HttpStatus, "200"),
            (Field::HttpResponseBytes, "5120"),
            (Field::HttpReferrer, "https://crm.example/home"),
            (Field::UserAgent, "Mozilla/5.0 (X11)"),
            (Field::EventAction, "http-request"),
            (Field::EventCategory, "web"),
            (Field::EventType, "access"),
            (Field::EventOutcome, "success"),
        ],
    );
}

#[test]
fn a_common_line_has_no_referrer_and_no_agent() {
    let line = r#"203.0.113.7 - - [02/Mar/2026:09:14:07 +0000] "GET / HTTP/1.0" 404 -"#;
    check(
        line,
        &[
            (Field::UserName, ""),
            (Field::HttpResponseBytes, ""),
            (Field::EventOutcome, "failure"),
            (Field::UserAgent, ""),
        ],
    );
}

#[test]
fn a_user_may_hold_blanks_be_empty_or_look_like_a_stamp() {
    let line =
        |user: &str| format!(r#"203.0.113.7 - {user} [02/Mar/2026:09:14:07 +0000] "GET / HTTP/1.1" 200 5 "-" "-""#);
    check(&line("john doe"), &[(Field::UserName, "john doe"), (Field::SourceIp, "203.0.113.7")]);
    check(&line(r#""""#), &[(Field::UserName, "")]);
    check(&line("- -"), &[(Field::UserName, "")]);
    let forged = r#"a [01/Jan/2020:00:00:00 +0000] \x22GET / HTTP/1.1\x22 200 5"#;
    check(&line(forged), &[(Field::UserName, r#"a [01/Jan/2020:00:00:00 +0000] "GET / HTTP/1.1" 200 5"#)]);
    check(&line(r#"a\" b"#), &[(Field::UserName, "a\" b")]);
    check(&line("9.9.9.9 x"), &[(Field::SourceIp, "203.0.113.7"), (Field::UserName, "9.9.9.9 x")]);
}

#[test]
fn a_request_is_never_assumed_to_be_three_words() {
    let line = |request: &str| format!(r#"203.0.113.7 - - [02/Mar/2026:09:14:07 +0000] "{request}" 400 150 "-" "-""#);
    let none = [(Field::HttpMethod, ""), (Field::UrlPath, ""), (Field::HttpStatus, "400")];
    for request in ["", "-", "batman", "HELP", r"\x16\x03\x01\x01 \x02"] {
        check(&line(request), &none);
    }
    check(&line("HELP"), &[(Field::UrlOriginal, "HELP")]);
    check(&line(r"\x16\x03\x01\x01 \x02"), &[(Field::UrlOriginal, r"\x16\x03\x01\x01 \x02")]);
    check(&line("GET /old"), &[(Field::HttpMethod, "GET"), (Field::UrlPath, "/old"), (Field::HttpVersion, "")]);
    check(
        &line("GET /a b.php?c=d e HTTP/1.1"),
        &[(Field::UrlPath, "/a b.php"), (Field::UrlQuery, "c=d e"), (Field::HttpVersion, "1.1")],
    );
    check(&line("PROPFIND /dav HTTP/2.0"), &[(Field::HttpMethod, "PROPFIND"), (Field::HttpVersion, "2.0")]);
}

#[test]
fn targets_may_be_absolute_a_star_or_a_host_with_a_port() {
    let line = |request: &str| format!(r#"203.0.113.7 - - [02/Mar/2026:09:14:07 +0000] "{request}" 200 1 "-" "-""#);
    check(
        &line("GET http://crm.example:8080/login?x=1 HTTP/1.1"),
        &[(Field::UrlDomain, "crm.example"), (Field::UrlPath, "/login"), (Field::UrlQuery, "x=1")],
    );
    check(&line("GET http://crm.example HTTP/1.1"), &[(Field::UrlDomain, "crm.example"), (Field::UrlPath, "/")]);
    check(&line("OPTIONS * HTTP/1.1"), &[(Field::UrlOriginal, "*"), (Field::UrlPath, "")]);
    check(&line("CONNECT mail.example:443 HTTP/1.1"), &[(Field::UrlDomain, "mail.example"), (Field::UrlPath, "")]);
    check(&line("GET /%zz%C4%E3%u1234 HTTP/1.1"), &[(Field::UrlPath, "/%zz%C4%E3%u1234")]);
}

#[test]
fn escapes_of_both_servers_are_undone_but_no_control_character_is_made() {
    check(
        r#"203.0.113.7 - - [02/Mar/2026:09:14:07 +0000] "GET /a HTTP/1.1" 200 1 "-" "a \"quoted\" \\ agent""#,
        &[(Field::UserAgent, r#"a "quoted" \ agent"#)],
    );
    check(
        r#"203.0.113.7 - - [02/Mar/2026:09:14:07 +0000] "GET /\xE5\xAF\xBC\xe5\x87\xba HTTP/1.1" 200 1 "-" "a \x22b\x22 \x1b[31m \xC4\xE3 \t \x""#,
        &[(Field::UrlPath, "/导出"), (Field::UserAgent, r#"a "b" \x1b[31m \xC4\xE3 \t \x"#)],
    );
}

#[test]
fn quotes_that_a_server_does_not_escape_do_not_hide_the_status() {
    check(
        r#"203.0.113.7 - - [02/Mar/2026:09:14:07 +0000] "GET /a"b HTTP/1.1" 302 1 "-" "x""#,
        &[(Field::UrlPath, "/a\"b"), (Field::HttpStatus, "302"), (Field::UserAgent, "x")],
    );
    check(
        r#"203.0.113.7 - - [02/Mar/2026:09:14:07 +0000] "GET /a\" 200 1 "-" "x""#,
        &[(Field::HttpStatus, "200"), (Field::UserAgent, "x")],
    );
}

#[test]
fn a_host_in_front_is_told_from_the_client() {
    let line = |front: &str| format!(r#"{front} [02/Mar/2026:09:14:07 +0000] "GET / HTTP/1.1" 200 1 "-" "-""#);
    let client = (Field::SourceIp, "203.0.113.7");
    let host = (Field::UrlDomain, "crm.example");
    check(&line("crm.example:443 203.0.113.7 - alice"), &[client, host, (Field::UserName, "alice")]);
    check(&line("crm.example 203.0.113.7 - -"), &[client, host, (Field::UserName, "")]);
    check(&line(" crm.example 203.0.113.7 - -"), &[client, host]);
    check(&line("- 203.0.113.7 - alice"), &[client, (Field::UrlDomain, ""), (Field::UserName, "alice")]);
    check(
        &line("10.0.0.5:443 203.0.113.7 id bob"),
        &[client, (Field::UrlDomain, "10.0.0.5"), (Field::UserName, "bob")],
    );
    check(
        &line("crm.example:443 pc7.office.example - bob"),
        &[host, (Field::SourceAddress, "pc7.office.example"), (Field::UserName, "bob")],
    );
    check(&line("203.0.113.7 (-) - -"), &[client, (Field::UserName, "")]);
}

#[test]
fn clients_may_be_ipv6_names_or_a_list() {
    let line = |front: &str| format!(r#"{front} [02/Mar/2026:09:14:07 +0000] "GET / HTTP/1.1" 200 1 "-" "-""#);
    check(&line("2001:db8::7 - alice"), &[(Field::SourceIp, "2001:db8::7"), (Field::UserName, "alice")]);
    check(&line("::ffff:203.0.113.7 - -"), &[(Field::SourceIp, "203.0.113.7")]);
    check(&line("pc7.office.example - alice"), &[(Field::SourceAddress, "pc7.office.example"), (Field::SourceIp, "")]);
    check(
        &line("198.51.100.2, 203.0.113.7 - alice"),
        &[
            (Field::SourceIp, "203.0.113.7"),
            (Field::ForwardedIp, "198.51.100.2, 203.0.113.7"),
            (Field::UserName, "alice"),
        ],
    );
}

#[test]
fn forwarded_addresses_in_front_are_told_from_the_host_that_was_asked_and_from_the_server_s_own_peer() {
    let rest = r#"[02/Mar/2026:09:14:07 +0000] "GET /a HTTP/1.1" 200 571 "-" "x""#;
    for (front, client, host, forwarded) in [
        ("10.0.0.2, 198.51.100.9 - mia", "198.51.100.9", "", "10.0.0.2, 198.51.100.9"),
        ("2001:db8::7, 10.0.0.2 10.0.0.9 - mia", "10.0.0.9", "", "2001:db8::7, 10.0.0.2"),
        (r#""198.51.100.9, 10.0.0.2" 10.0.0.9 - mia"#, "10.0.0.9", "", "198.51.100.9, 10.0.0.2"),
        (r#""-" 10.0.0.9 - mia"#, "10.0.0.9", "", ""),
        ("crm.example 10.0.0.2, 198.51.100.9 - mia", "198.51.100.9", "crm.example", "10.0.0.2, 198.51.100.9"),
        (
            r#"crm.example:80 "198.51.100.9, 10.0.0.2" 10.0.0.9 - mia"#,
            "10.0.0.9",
            "crm.example",
            "198.51.100.9, 10.0.0.2",
        ),
        ("203.0.113.1 2001:db8::7, 10.0.0.2 10.0.0.9 - mia", "10.0.0.9", "203.0.113.1", "2001:db8::7, 10.0.0.2"),
        ("198.51.100.9:11111 crm.example:443 - mia", "198.51.100.9", "crm.example", ""),
    ] {
        check(
            &format!("{front} {rest}"),
            &[
                (Field::SourceIp, client),
                (Field::UserName, "mia"),
                (Field::UrlDomain, host),
                (Field::ForwardedIp, forwarded),
                (Field::SourceAddress, ""),
            ],
        );
    }
    check(&format!("crm.example:80 unix: - - {rest}"), &[(Field::UrlDomain, "crm.example"), (Field::UserName, "")]);
    check(&format!("crm.example localhost, localhost - - {rest}"), &[(Field::UserName, ""), (Field::ForwardedIp, "")]);
}

#[test]
fn apache_s_log_of_tls_requests_is_read_though_it_says_nothing_of_the_answer() {
    check(
        r#"[02/Mar/2026:10:14:07 +0100] 203.0.113.7 TLSv1.3 TLS_AES_128_GCM_SHA256 "GET /crm/index.php?module=Home HTTP/1.1" 1375"#,
        &[
            (Field::SourceIp, "203.0.113.7"),
            (Field::UrlPath, "/crm/index.php"),
            (Field::HttpResponseBytes, "1375"),
            (Field::EventOutcome, "unknown"),
        ],
    );
    check(
        r#"[02/Mar/2026:10:14:07 +0100] 203.0.113.7 - - "-" -"#,
        &[(Field::SourceIp, "203.0.113.7"), (Field::HttpResponseBytes, "")],
    );
}

#[test]
fn what_stands_behind_the_agent_is_no_harm_and_forwarded_addresses_are_kept() {
    let line = |tail: &str| {
        format!(r#"203.0.113.7 - - [02/Mar/2026:09:14:07 +0000] "GET / HTTP/1.1" 200 1 "-" "agent"{tail}"#)
    };
    let agent = (Field::UserAgent, "agent");
    check(&line(r#" "198.51.100.2, 2001:db8::1""#), &[agent, (Field::ForwardedIp, "198.51.100.2, 2001:db8::1")]);
    check(&line(r#" "-""#), &[agent, (Field::ForwardedIp, "")]);
    check(&line(r#" 500 "test@docker" "http://172.17.0.3:80" 0ms"#), &[agent, (Field::ForwardedIp, "")]);
    check(&line(r#" 0.010 "172.17.0.3:80""#), &[agent, (Field::ForwardedIp, "")]);
    check(&line(r#" "203.0.113.9" "0.010" "-/-" "text/plain""#), &[agent, (Field::ForwardedIp, "203.0.113.9")]);
    check(&line(" GoAway=- (107 47us) TLSv1.3 TLS_AES_256_GCM_SHA384"), &[agent]);
    check(&line("\r"), &[agent]);
    let cut = r#"203.0.113.7 - - [02/Mar/2026:09:14:07 +0000] "GET / HTTP/1.1" 499 0 "-" "Mozilla/5.0 (Win"#;
    check(cut, &[(Field::UserAgent, "Mozilla/5.0 (Win"), (Field::HttpStatus, "499")]);
}

#[test]
fn unusual_states_are_legal_and_000_is_no_success() {
    let line = |status: &str| format!(r#"203.0.113.7 - - [02/Mar/2026:09:14:07 +0000] "GET / HTTP/1.1" {status} -"#);
    check(&line("000"), &[(Field::HttpStatus, "0"), (Field::EventOutcome, "unknown")]);
    check(&line("499"), &[(Field::EventOutcome, "failure")]);
    check(&line("444"), &[(Field::EventOutcome, "failure")]);
    check(&line("-"), &[(Field::HttpStatus, ""), (Field::EventOutcome, "unknown")]);
}

#[test]
fn nginx_proxy_manager_is_read_with_any_of_its_states() {
    for state in ["HIT 200 200 -", "- 200 200 -", "200 -", "- - 200 -"] {
        check(
            &format!(
                r#"[02/Mar/2026:09:14:07 +0000] {state} GET https crm.example "/crm/contacts?page=2" [Client 203.0.113.7] [Length 1543] [Gzip 2.45] [Sent-to 10.0.0.15] "agent" "https://crm.example/""#
            ),
            &[
                (Field::SourceIp, "203.0.113.7"),
                (Field::HttpMethod, "GET"),
                (Field::HttpStatus, "200"),
                (Field::UrlPath, "/crm/contacts"),
                (Field::UrlDomain, "crm.example"),
                (Field::HttpResponseBytes, "1543"),
                (Field::UserAgent, "agent"),
                (Field::HttpReferrer, "https://crm.example/"),
            ],
        );
    }
}

#[test]
fn a_syslog_header_in_front_is_taken_off_unless_a_user_wrote_it() {
    let after = r#"[02/Mar/2026:09:14:07 +0000] "GET / HTTP/1.1" 200 1 "-" "-""#;
    check(
        &format!("Mar  2 09:14:08 web1 nginx[2869]: 203.0.113.7 - alice {after}"),
        &[(Field::SourceIp, "203.0.113.7"), (Field::UserName, "alice")],
    );
    check(
        &format!("203.0.113.7 - Mar 2 09:14:08 a nginx: 9.9.9.9 - root {after}"),
        &[(Field::SourceIp, "203.0.113.7"), (Field::UserName, "Mar 2 09:14:08 a nginx: 9.9.9.9 - root")],
    );
}

#[test]
fn what_is_no_access_line_is_refused_with_a_reason() {
    for (line, reason) in [
        ("hello", "no time stamp before a request"),
        ("2026/03/02 09:14:07 [error] 7#7: *1 user \"x\" was not found", "no time stamp before a request"),
        ("[Mon Mar 02 09:14:07 2026] [error] [client 203.0.113.7] x", "error log, not access log"),
        (r#"203.0.113.7 - - [02/Mar/2026:09:14:07 +0000] "GET / HTTP/1.1""#, "no status after the request"),
        (r#"203.0.113.7 - - [31/Feb/2026:09:14:07 +0000] "GET / HTTP/1.1" 200 1"#, "unreadable time stamp"),
        (r#"[02/Mar/2026:09:14:07 +0000] "GET / HTTP/1.1" 200 1"#, "error log, not access log"),
    ] {
        assert_eq!(with(&NGINX, line).err(), Some(reason), "{line}");
    }
    let mut grammar = (NGINX.grammar)(&Options::default());
    for nothing in ["", "  ", "\r", "#Version: 1.0"] {
        assert_eq!(grammar.parse(nothing, &mut Vec::new()), Verdict::Skipped);
    }
}

#[test]
fn of_the_two_servers_the_escapes_decide() {
    let line =
        |agent: &str| format!(r#"203.0.113.7 - - [02/Mar/2026:09:14:07 +0000] "GET / HTTP/1.1" 200 1 "-" "{agent}""#);
    assert!((NGINX.sniff)(&line("x")) >= (APACHE.sniff)(&line("x")));
    assert!((APACHE.sniff)(&line(r#"a \"b\""#)) > (NGINX.sniff)(&line(r#"a \"b\""#)));
    assert_eq!((NGINX.sniff)(r#"{"request":"GET / HTTP/1.1"}"#), 0);
}

#[test]
fn a_hostile_line_costs_time_in_proportion_to_its_length() {
    for unit in ["\"", "[", "] \"", "\\x", "\\\"", "- ", "9.9.9.9,", "\" 200 ", " \"\""] {
        super::super::hostile::grows_with_length(unit, |text| {
            let line = format!(r#"203.0.113.7 - - [02/Mar/2026:09:14:07 +0000] "GET /{text} "#);
            let _ = (with(&NGINX, &line), with(&NGINX, text), (NGINX.sniff)(&line));
        });
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), cut in 0usize..400, insert in any::<String>()) {
        let _ = with(&NGINX, &text);
        let line = r#"crm.example:443 2001:db8::1 - a b [02/Mar/2026:09:14:07 +0000] "GET /\xE5\x87 HTTP/1.1" 200 1 "-" "\"a\\" "1.2.3.4" 5"#;
        let at = cut.min(line.len());
        let _ = with(&NGINX, &format!("{}{insert}{}", &line[..at], &line[at..]));
        let _ = (NGINX.sniff)(&line[..at]);
    }

    #[test]
    fn lines_of_brackets_quotes_and_escapes_do_not_either(text in r#"[\[\]" \\x0-9a-f,:/\-]{0,120}"#) {
        let _ = with(&NGINX, &text);
        let _ = with(&APACHE, &format!(r#"{text} [02/Mar/2026:09:14:07 +0000] "{text}" 200 {text}"#));
    }
}
