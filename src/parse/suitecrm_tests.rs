//! What the SuiteCRM grammar promises, with lines made up here.

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field};
use proptest::prelude::*;

use super::super::{Grammar, NO_TIME, Options, Verdict, trial};
use super::SUITECRM;

const STAMP: i64 = 1_772_442_847_000;
const HEAD: &str = "Mon Mar  2 09:14:07 2026 [1187][-none-][FATAL]";

fn grammar() -> Box<dyn Grammar> {
    (SUITECRM.grammar)(&Options::default())
}

fn read(line: &str) -> Event {
    trial::event(grammar(), line)
}

#[track_caller]
fn check(line: &str, expected: &[(Field, &str)]) {
    let event = read(line);
    trial::holds(&event, expected, line);
}

#[test]
fn a_failed_login_gives_name_and_address() {
    let line = format!("{HEAD} FAILED LOGIN:attempts[3], ip[203.0.113.7], username[will]");
    check(
        &line,
        &[
            (Field::EventAction, "login"),
            (Field::EventOutcome, "failure"),
            (Field::UserName, "will"),
            (Field::SourceIp, "203.0.113.7"),
            (Field::ProcessPid, "1187"),
            (Field::LogLevel, "FATAL"),
            (Field::UserId, ""),
        ],
    );
    assert_eq!(read(&line).time, STAMP);
}

#[test]
fn every_wording_of_a_failed_login_is_read() {
    let login = |message: &str, user: &str, ip: &str| {
        let expected = [(Field::EventAction, "login"), (Field::UserName, user), (Field::SourceIp, ip)];
        check(&format!("{HEAD} FAILED LOGIN:{message}"), &expected);
    };
    login("attempts[3] - will", "will", "");
    login(" potential hack attempt", "", "");
    login(" will", "will", "");
    login("attempts[1], ip[2001:db8::7], username[a b]", "a b", "2001:db8::7");
    login("attempts[1], ip[], username[]", "", "");
}

#[test]
fn an_address_that_was_patched_in_behind_the_name_is_the_last_words() {
    let head = "Mon Mar  2 09:14:07 2026 [1187][-none-][FATAL] FAILED LOGIN:attempts[3] - ";
    check(
        &format!("{head}mia from IP: 9.9.9.9 from IP: 203.0.113.7"),
        &[(Field::UserName, "mia from IP: 9.9.9.9"), (Field::SourceIp, "203.0.113.7")],
    );
    check(&format!("{head}mia from IP: home"), &[(Field::UserName, "mia from IP: home"), (Field::SourceIp, "")]);
}

#[test]
fn a_name_with_brackets_does_not_move_the_address() {
    check(
        &format!("{HEAD} FAILED LOGIN:attempts[1], ip[203.0.113.7], username[x], ip[9.9.9.9], username[y]"),
        &[(Field::SourceIp, "203.0.113.7"), (Field::UserName, "x], ip[9.9.9.9], username[y")],
    );
}

#[test]
fn levels_are_trimmed_and_the_user_of_a_session_is_known() {
    for (written, level) in
        [("INFO ", "INFO"), ("SECUR", "SECUR"), ("SECURITY", "SECURITY"), ("PHP S", "PHP S"), ("OFF  ", "OFF")]
    {
        let line = format!("Fri Dec  5 03:23:30 2025 [7][68d92b56-f55c-b8ac-d3e1-583be9227722][{written}] hello");
        check(
            &line,
            &[
                (Field::LogLevel, level),
                (Field::UserId, "68d92b56-f55c-b8ac-d3e1-583be9227722"),
                (Field::EventAction, "info"),
                (Field::Message, "hello"),
            ],
        );
    }
    check("Fri Dec  5 03:23:30 2025 [7][1][WARN ] x", &[(Field::UserId, "1")]);
}

#[test]
fn what_was_denied_is_told() {
    for message in ["SECURITY: user 7 tried", "ACL denied", "Access denied for x"] {
        check(&format!("{HEAD} {message}"), &[(Field::EventType, "denied"), (Field::EventOutcome, "failure")]);
    }
    check(&format!("{HEAD} Query Failed: SELECT 'FAILED LOGIN:'"), &[(Field::EventAction, "info")]);
}

#[test]
fn stamps_of_other_locales_are_read_as_far_as_they_can_be() {
    for stamp in [
        "2026-03-02 09:14:07",
        "Mon 02 Mar 2026 09:14:07 AM UTC",
        "Mo 02 Mär 2026 09:14:07 UTC",
        "lun. 02 mars 2026 09:14:07 UTC",
        "02.03.2026 09:14:07",
        "Mon Mar 02 09:14:07 2026",
    ] {
        let line = format!("{stamp} [7][-none-][FATAL] FAILED LOGIN: will");
        assert_eq!(read(&line).time, STAMP, "{stamp}");
    }
    assert_eq!(read("mar. 03 mars 2026 21:14:07 [7][-none-][FATAL] x").time, STAMP + 36 * 3_600_000);
    assert_eq!(read("2026年03月02日 [7][-none-][FATAL] x").time, NO_TIME);
    let mut events = Vec::new();
    let options = Options { timezone: Tz::Asia__Shanghai, ..Options::default() };
    let line = "Mon Mar  2 17:14:07 2026 [7][-none-][FATAL] x";
    assert_eq!((SUITECRM.grammar)(&options).parse(line, &mut events), Verdict::Parsed);
    assert_eq!(events[0].time, STAMP);
}

#[test]
fn monolog_lines_of_suitecrm_8_are_read() {
    let line = "[2026-03-02 09:14:07] security.WARNING: Something happened [] []";
    check(
        line,
        &[
            (Field::LogLevel, "WARNING"),
            (Field::LogLogger, "security"),
            (Field::Message, "Something happened"),
            (Field::EventAction, "info"),
        ],
    );
    assert_eq!(read("[2026-03-02T09:14:07.123456+00:00] app.INFO: x {\"a\":1} []").time, STAMP + 123);
    check("[2026-03-02 09:14:07] WARNING: no channel", &[(Field::LogLogger, ""), (Field::Message, "no channel")]);
}

#[test]
fn lines_without_a_head_go_on_from_the_entry_before() {
    let (mut first, mut events) = (grammar(), Vec::new());
    assert_eq!(first.parse("-->/var/www/index.php[37]", &mut events), Verdict::Rejected("no entry's head"));
    assert_eq!(first.parse(&format!("{HEAD} Array"), &mut events), Verdict::Parsed);
    assert_eq!(first.parse("    [a] => FAILED LOGIN: b", &mut events), Verdict::Continuation);
    assert_eq!(first.parse("", &mut events), Verdict::Skipped);
    let mut second = grammar();
    second.resume(&first.state());
    assert_eq!(second.parse("(", &mut events), Verdict::Continuation);
    assert_eq!(events.len(), 1);
}

#[test]
fn the_format_knows_its_own() {
    assert!((SUITECRM.sniff)(&format!("{HEAD} x")) > 90);
    assert!((SUITECRM.sniff)("[2026-03-02 09:14:07] app.INFO: x [] []") > 50);
    assert_eq!((SUITECRM.sniff)("[Mon Mar 02 09:14:07 2026] [error] [client 203.0.113.7] x"), 0);
    assert_eq!((SUITECRM.sniff)("203.0.113.7 - - [02/Mar/2026:09:14:07 +0000] \"GET / HTTP/1.1\" 200 1"), 0);
}

#[test]
fn a_hostile_line_costs_time_in_proportion_to_its_length() {
    for unit in [" [", "], username[", " [1][", "[] ", "1 ", "] "] {
        super::super::hostile::grows_with_length(unit, |text| {
            for line in [
                format!("{HEAD} FAILED LOGIN:attempts[1], ip[{text}"),
                format!("[2026-03-02 09:14:07] app.INFO: {text}"),
                text.to_owned(),
            ] {
                let _ = grammar().parse(&line, &mut Vec::new());
            }
        });
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), stamp in "[A-Za-zä0-9:. /,]{0,40}") {
        let mut grammar = grammar();
        for line in [
            text.clone(),
            format!("{HEAD} {text}"),
            format!("{HEAD} FAILED LOGIN:{text}"),
            format!("{HEAD} FAILED LOGIN:attempts[1], ip[{text}"),
            format!("{stamp} [1][-none-][FATAL] {text}"),
            format!("[{stamp}] a.INFO: {text}"),
        ] {
            let _ = grammar.parse(&line, &mut Vec::new());
        }
        grammar.resume(&text);
    }
}
