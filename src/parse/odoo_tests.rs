//! What the Odoo grammar promises, with lines made up here.

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field};
use proptest::prelude::*;

use super::super::{Grammar, NO_TIME, Options, Verdict, trial};
use super::ODOO;

const STAMP: i64 = 1_772_442_847_698;

fn grammar() -> Box<dyn Grammar> {
    (ODOO.grammar)(&Options { year: 2026, ..Options::default() })
}

fn read(line: &str) -> Event {
    trial::event(grammar(), line)
}

#[track_caller]
fn check(line: &str, expected: &[(Field, &str)]) {
    let event = read(line);
    trial::holds(&event, expected, line);
}

fn users(message: &str) -> String {
    format!("2026-03-02 09:14:07,698 1 INFO crm odoo.addons.base.models.res_users: {message}")
}

#[test]
fn a_login_gives_user_address_and_outcome() {
    let line = users("Login failed for db:crm login:alice@example.com from 203.0.113.7");
    check(
        &line,
        &[
            (Field::EventAction, "login"),
            (Field::EventOutcome, "failure"),
            (Field::UserName, "alice@example.com"),
            (Field::SourceIp, "203.0.113.7"),
            (Field::LogLevel, "INFO"),
            (Field::ProcessPid, "1"),
            (Field::LogLogger, "odoo.addons.base.models.res_users"),
        ],
    );
    let event = read(&line);
    assert_eq!(event.time, STAMP);
    assert_eq!(event.named("odoo.database").map(|value| value.to_string()).as_deref(), Some("crm"));
}

#[test]
fn every_wording_of_a_login_is_read() {
    let login = |message: &str, user: &str, ip: &str, outcome: &str| {
        let expected = [
            (Field::EventAction, "login"),
            (Field::UserName, user),
            (Field::SourceIp, ip),
            (Field::EventOutcome, outcome),
            (Field::SourceAddress, ""),
        ];
        check(&users(message), &expected);
    };
    login("Login successful for db:crm login:alice from 2001:db8::7", "alice", "2001:db8::7", "success");
    login("Login successful for login:admin from n/a ", "admin", "", "success");
    login("Login successful for db:crm login:admin", "admin", "", "success");
    login("Login failed for user 'admin' from 203.0.113.7", "admin", "203.0.113.7", "failure");
    login("Login failed for db:crm login:john doe from 203.0.113.7 ", "john doe", "203.0.113.7", "failure");
    check(&users("Login successful for db:crm id=2 from 203.0.113.7"), &[(Field::UserId, "2"), (Field::UserName, "")]);
    let old = "2018-07-05 14:56:31,506 24849 INFO crm openerp.addons.base.res.res_users: Login failed for db:crm login:admin from 203.0.113.7";
    check(old, &[(Field::EventAction, "login"), (Field::SourceIp, "203.0.113.7")]);
}

#[test]
fn a_login_name_holding_from_does_not_move_the_address() {
    check(
        &users("Login failed for db:crm login:admin from 9.9.9.9 from 203.0.113.7"),
        &[(Field::UserName, "admin from 9.9.9.9"), (Field::SourceIp, "203.0.113.7")],
    );
    check(
        &users("Login failed for db:crm login:x from 9.9.9.9 from n/a"),
        &[(Field::UserName, "x from 9.9.9.9"), (Field::SourceIp, "")],
    );
    check(
        &users("Login failed for db:crm login:late from work"),
        &[(Field::UserName, "late from work"), (Field::SourceIp, "")],
    );
}

#[test]
fn requests_of_its_web_server_are_web_requests() {
    let line = |tail: &str| {
        format!(
            r#"2026-03-02 09:14:07,698 1 INFO crm werkzeug: 203.0.113.7 - - [02/Mar/2026 09:14:07] "POST /web/export/xlsx?a=1 HTTP/1.1" 200 -{tail}"#
        )
    };
    for tail in ["", " 10 0.013 0.319", " - - -", " "] {
        check(
            &line(tail),
            &[
                (Field::EventAction, "http-request"),
                (Field::HttpMethod, "POST"),
                (Field::UrlPath, "/web/export/xlsx"),
                (Field::HttpStatus, "200"),
                (Field::SourceIp, "203.0.113.7"),
                (Field::EventOutcome, "success"),
                (Field::LogLogger, "werkzeug"),
            ],
        );
        assert_eq!(read(&line(tail)).time, STAMP, "the entry's own time is the finer one");
    }
    let other = "2026-03-02 09:14:07,698 1 INFO crm werkzeug:  * Running on http://0.0.0.0:8069/";
    check(other, &[(Field::EventAction, "info")]);
}

#[test]
fn deletions_are_counted_by_their_ids() {
    let line = "2026-03-02 09:14:07,698 7 INFO crm odoo.models.unlink: User #2 deleted res.partner records with IDs: [1, 2, 31]";
    check(
        line,
        &[
            (Field::EventAction, "delete"),
            (Field::UserId, "2"),
            (Field::ObjectType, "res.partner"),
            (Field::Records, "3"),
        ],
    );
    assert_eq!(read(line).all(Field::ObjectId).count(), 3);
    let many = (0..5_000).map(|id| id.to_string()).collect::<Vec<_>>().join(", ");
    let line = format!(
        "2026-03-02 09:14:07,698 7 INFO crm odoo.models.unlink: User #2 deleted crm.lead records with IDs: [{many}]"
    );
    check(&line, &[(Field::Records, "5000"), (Field::UserId, "2")]);
}

#[test]
fn second_factors_are_told() {
    let line =
        |message: &str| format!("2026-03-02 09:14:07,698 7 INFO crm odoo.addons.auth_totp.models.res_users: {message}");
    let user = (Field::UserName, "bob");
    check(&line("2FA check: SUCCESS for res.users(7,) 'bob'"), &[(Field::EventAction, "mfa-challenge"), user]);
    check(
        &line("2FA check: FAIL for res.users(7,) 'bob'"),
        &[(Field::EventAction, "mfa-denied"), (Field::EventOutcome, "failure"), (Field::UserId, "7")],
    );
    check(&line("2FA enable: SUCCESS for res.users(7,) 'bob'"), &[(Field::EventAction, "mfa-enrolled"), user]);
    check(
        &line("2FA disable: SUCCESS for res.users(7,) ('bob') by uid #2"),
        &[
            (Field::EventAction, "mfa-removed"),
            (Field::UserId, "2"),
            (Field::UserTargetId, "7"),
            (Field::UserTargetName, "bob"),
        ],
    );
    check(&line("2FA disable: REJECT for res.users(7,) ('bob') by uid #2"), &[(Field::EventOutcome, "failure")]);
}

#[test]
fn an_access_denied_is_kept_but_no_second_failure() {
    let line = "2026-03-02 09:14:07,703 1 WARNING crm odoo.http: Access Denied";
    check(line, &[(Field::EventAction, "info"), (Field::EventOutcome, "unknown"), (Field::Message, "Access Denied")]);
}

#[test]
fn colours_containers_and_carriage_returns_around_an_entry_do_no_harm() {
    let plain = users("Login failed for db:crm login:alice from 203.0.113.7");
    let coloured = plain.replace("INFO", "\u{1b}[1;32m\u{1b}[1;49mINFO\u{1b}[0m");
    for line in [format!("crm_web-1  | {plain}"), coloured, format!("\u{feff}{plain}\r")] {
        check(&line, &[(Field::UserName, "alice"), (Field::SourceIp, "203.0.113.7"), (Field::LogLevel, "INFO")]);
        assert_eq!(read(&line).time, STAMP);
    }
}

#[test]
fn syslog_mode_has_its_time_from_the_header() {
    let message =
        "Odoo Server 14.0:crm:INFO:odoo.addons.base.models.res_users:Login failed for db:crm login:a from 203.0.113.7";
    let line = format!("Mar  2 09:14:07 crmhost {message}");
    check(&line, &[(Field::EventAction, "login"), (Field::SourceIp, "203.0.113.7"), (Field::LogLevel, "INFO")]);
    assert_eq!(read(&line).time, STAMP - 698);
    assert_eq!(read(&format!("<14>1 2026-03-02T09:14:07Z crmhost {message}")).time, STAMP - 698);
    assert_eq!(read(message).time, NO_TIME);
    let wrapped =
        format!("Mar  2 09:14:08 crmhost odoo[7]: {}", users("Login failed for db:crm login:a from 203.0.113.7"));
    check(&wrapped, &[(Field::UserName, "a")]);
}

#[test]
fn stamps_are_of_the_sources_zone() {
    let mut events = Vec::new();
    let options = Options { timezone: Tz::Europe__Berlin, ..Options::default() };
    let line = users("Login failed for db:crm login:a from n/a").replace("09:14", "10:14");
    assert_eq!((ODOO.grammar)(&options).parse(&line, &mut events), Verdict::Parsed);
    assert_eq!(events[0].time, STAMP);
}

#[test]
fn a_traceback_goes_on_from_its_entry_and_nothing_goes_on_from_nothing() {
    let (mut first, mut events) = (grammar(), Vec::new());
    assert_eq!(first.parse("Traceback (most recent call last):", &mut events), Verdict::Rejected("no entry's head"));
    assert_eq!(first.parse(&users("hello"), &mut events), Verdict::Parsed);
    for line in ["Traceback (most recent call last):", "  File \"x.py\", line 1", "ValueError: 2026-03-02"] {
        assert_eq!(first.parse(line, &mut events), Verdict::Continuation);
    }
    assert_eq!(first.parse("  ", &mut events), Verdict::Skipped);
    let mut second = grammar();
    second.resume(&first.state());
    assert_eq!(second.parse("crm-1  |   File \"x.py\"", &mut events), Verdict::Continuation);
}

#[test]
fn the_format_knows_its_own() {
    assert!((ODOO.sniff)(&users("x")) > 90);
    assert_eq!((ODOO.sniff)("2026-03-02 09:14:07,698 INFO something: else"), 0);
}

#[test]
fn a_hostile_line_costs_time_in_proportion_to_its_length() {
    for unit in [" from ", "\u{1b}[1m", "1, ", ": ", " by uid #", "(", "| "] {
        super::super::hostile::grows_with_length(unit, |text| {
            for line in [
                users(&format!("Login failed for db:crm login:{text}")),
                users(&format!("2FA check: FAIL for {text}")),
                users(&format!("User #2 deleted a records with IDs: [{text}")),
                format!("Mar  2 09:14:07 h {text}"),
                text.to_owned(),
            ] {
                let _ = grammar().parse(&line, &mut Vec::new());
            }
        });
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), cut in 0usize..200) {
        let mut grammar = grammar();
        let _ = grammar.parse(&text, &mut Vec::new());
        for start in ["Login failed for ", "User #", "2FA ", "User #1 deleted a records with IDs: ["] {
            let line = users(&format!("{start}{text}"));
            let _ = grammar.parse(&line, &mut Vec::new());
            let _ = grammar.parse(line.get(..cut).unwrap_or_default(), &mut Vec::new());
        }
        let _ = grammar.parse(&format!("Mar  2 09:14:07 h Odoo Server {text}"), &mut Vec::new());
        let _ = grammar.parse(&format!("2026-03-02 09:14:07,698 1 INFO crm werkzeug: {text}"), &mut Vec::new());
        grammar.resume(&text);
    }
}

#[test]
fn passwords_that_are_changed_or_asked_for_anew_tell_whose_and_by_whom() {
    let head = "2026-03-02 09:14:07,000 1 INFO crm odoo.addons.base.models.res_users: ";
    let check = |message: &str, expected: &[(Field, &str)]| {
        let record = format!("{head}{message}");
        trial::holds(&trial::event(grammar(), &record), expected, &record);
    };
    check(
        "Password change for 'mia' (#7) by 'admin' (#2) from 203.0.113.7",
        &[
            (Field::EventAction, "password-change"),
            (Field::EventOutcome, "success"),
            (Field::UserName, "admin"),
            (Field::UserId, "2"),
            (Field::UserTargetName, "mia"),
            (Field::UserTargetId, "7"),
            (Field::SourceIp, "203.0.113.7"),
        ],
    );
    check(
        "Password reset attempt for <x> by user <admin> from 9.9.9.9> by user <public> from 203.0.113.7",
        &[
            (Field::EventAction, "password-reset"),
            (Field::EventOutcome, "unknown"),
            (Field::UserName, ""),
            (Field::UserTargetName, "x> by user <admin> from 9.9.9.9"),
            (Field::SourceIp, "203.0.113.7"),
        ],
    );
    check("Password change for é", &[(Field::EventAction, "info"), (Field::UserName, "")]);
}

#[test]
fn entries_as_objects_say_what_lines_say() {
    let object = |logger: &str, message: &str| {
        format!(
            r#"{{"asctime": "2026-03-02 09:14:07,250", "pid": 7, "levelname": "INFO", "dbname": "crm", "name": "{logger}", "message": "{message}", "perf_info": "12 0.01"}}"#
        )
    };
    let record = object("odoo.addons.base.models.res_users", "Login failed for db:crm login:mia from 203.0.113.7");
    for format in ["odoo", "auto"] {
        let mut events = Vec::new();
        crate::parse::grammar(format, &Options::default()).expect("a format").parse(&record, &mut events);
        trial::holds(
            &events[0],
            &[
                (Field::EventAction, "login"),
                (Field::EventOutcome, "failure"),
                (Field::UserName, "mia"),
                (Field::SourceIp, "203.0.113.7"),
                (Field::LogLevel, "INFO"),
                (Field::ProcessPid, "7"),
                (Field::EventProvider, "odoo"),
            ],
            &record,
        );
        assert_eq!(events[0].time, 1_772_442_847_250, "{format}");
    }
    let record =
        object("werkzeug", r#"203.0.113.7 - - [02/Mar/2026 09:14:07] \"GET /web HTTP/1.1\" 200 - 12 0.01 0.02"#);
    let event = trial::event(grammar(), &record);
    trial::holds(&event, &[(Field::UrlPath, "/web"), (Field::HttpStatus, "200")], &record);
    for other in [r#"{"levelname":"INFO","name":"gunicorn","message":"x"}"#, r#"{"dbname":"crm""#, "{}"] {
        assert_eq!((ODOO.sniff)(other), 0, "{other}");
    }
}

#[test]
fn an_attempt_that_was_ignored_names_the_address_and_is_no_second_login() {
    let record = "2026-03-02 09:14:07,000 1 WARNING crm odoo.addons.base.models.res_users: Login attempt ignored for 203.0.113.7 on crm: 12 failures since last success, last failure at 2026-03-02 09:13:59. You can configure the number.";
    trial::holds(
        &trial::event(grammar(), record),
        &[
            (Field::EventAction, "info"),
            (Field::EventOutcome, "failure"),
            (Field::EventType, "denied"),
            (Field::SourceIp, "203.0.113.7"),
            (Field::EventReason, "12 failures since last success, last failure at 2026-03-02 09:13:59"),
        ],
        record,
    );
}
