//! What is promised of syslog as a carrier.

use chrono_tz::Tz;

use super::*;
use crate::parse::grammar;

/// 2026-03-02T09:14:07Z
const MOMENT: Millis = 1_772_442_847_000;
const ACCESS: &str = r#"203.0.113.7 - mia [02/Mar/2026:09:14:07 +0000] "GET /web/login HTTP/1.1" 200 512 "-" "curl/8""#;

fn options() -> Options {
    Options { timezone: Tz::UTC, year: 2026, ..Options::default() }
}

fn read(grammar: &mut dyn Grammar, record: &str) -> Result<Event, Verdict> {
    let mut events = Vec::new();
    match grammar.parse(record, &mut events) {
        Verdict::Parsed => {
            assert_eq!(events.len(), 1, "{record}");
            Ok(events.remove(0))
        }
        verdict => Err(verdict),
    }
}

fn one(format: &str, record: &str) -> Event {
    let mut grammar = grammar(format, &options()).expect("a format of the list");
    read(&mut *grammar, record).unwrap_or_else(|verdict| panic!("{record}: {verdict:?}"))
}

fn texts(event: &Event, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| event.named(name).map_or(String::new(), |value| value.to_string())).collect()
}

#[test]
fn what_the_header_knows_is_said_of_the_event_and_the_whole_record_is_kept() {
    let record = format!("<190>Mar  2 09:14:08 crm nginx[7]: {ACCESS}");
    for format in ["syslog", "auto", "nginx"] {
        let event = one(format, &record);
        assert_eq!(event.raw(), record);
        assert_eq!(event.time, MOMENT, "the message's own time counts");
        assert_eq!(
            texts(
                &event,
                &["event.action", "user.name", "source.ip", "url.path", "host.name", "process.name", "process.pid"]
            ),
            ["http-request", "mia", "203.0.113.7", "/web/login", "crm", "nginx", "7"]
        );
        assert_eq!(
            texts(
                &event,
                &["log.syslog.priority", "log.syslog.facility.name", "log.syslog.severity.name", "log.level"]
            ),
            ["190", "local7", "info", "info"]
        );
    }
}

#[test]
fn a_message_of_no_format_is_an_event_with_the_headers_time() {
    let event = one(
        "auto",
        "<38>1 2026-03-02T09:14:07Z crm sshd 44 - [meta sequenceId=\"1\" q=\"a\\\"b\"] Connection reset by user x 203.0.113.7",
    );
    assert_eq!(event.time, MOMENT);
    let names =
        ["event.action", "message", "log.syslog.structured_data.meta.sequenceId", "log.syslog.structured_data.meta.q"];
    assert_eq!(texts(&event, &names), ["info", "Connection reset by user x 203.0.113.7", "1", "a\"b"]);
    // None for the web, none for a login: what is not understood is not guessed.
    assert!(!event.has(Field::SourceIp));
}

#[test]
fn each_program_of_a_stream_writes_its_own_format() {
    let mut auto = grammar("auto", &options()).expect("auto");
    let odoo = "2026-03-02 09:14:07,000 7 INFO crm odoo.addons.base.models.res_users: Login failed for db:crm login:mia from 203.0.113.7";
    for _ in 0..20 {
        let event = read(&mut *auto, &format!("<190>Mar  2 09:14:08 web nginx: {ACCESS}")).expect("read");
        assert_eq!(event.text(Field::EventAction), Some("http-request"));
        let event = read(&mut *auto, &format!("<14>Mar  2 09:14:08 app odoo[7]: {odoo}")).expect("read");
        assert_eq!(texts(&event, &["event.action", "event.outcome", "host.name"]), ["login", "failure", "app"]);
        let event =
            read(&mut *auto, "<14>Mar  2 09:14:08 app odoo[7]: Traceback (most recent call last):").expect("read");
        assert_eq!(texts(&event, &["event.action", "message"]), ["info", "Traceback (most recent call last):"]);
        let event = read(&mut *auto, "<38>Mar  2 09:14:08 web cron[9]: job done").expect("read");
        assert_eq!(event.text(Field::EventAction), Some("info"));
        let event =
            read(&mut *auto, r#"<38>Mar  2 09:14:08 web api: @cee: {"user":"mia","action":"export"}"#).expect("read");
        assert_eq!(texts(&event, &["event.action", "user.name"]), ["export", "mia"]);
        assert_eq!(event.time, MOMENT + 1_000, "without a time of its own it has the header's");
    }
}

#[test]
fn after_a_restart_it_goes_on_as_if_nothing_had_happened() {
    for format in ["auto", "syslog", "nginx", "odoo"] {
        let mut before = grammar(format, &options()).expect("a format of the list");
        let _ = read(&mut *before, "<14>Dec 31 23:59:59 app Odoo Server 14.0:crm:INFO:odoo:x");
        let _ = read(&mut *before, "<14>Jan  1 00:00:01 app Odoo Server 14.0:crm:INFO:odoo:x");
        let _ = read(&mut *before, &format!("<190>Jan  1 09:14:08 web nginx: {ACCESS}"));
        let mut after = grammar(format, &options()).expect("a format of the list");
        after.resume(&before.state());
        assert_eq!(after.state(), before.state(), "{format}");
        for record in
            ["<14>Jan  2 09:14:08 app Odoo Server 14.0:crm:INFO:odoo:x", "<38>Jan  2 09:14:08 web cron[9]: job done"]
        {
            assert_eq!(read(&mut *after, record), read(&mut *before, record), "{format}: {record}");
        }
    }
}

#[test]
fn the_year_of_year_less_stamps_is_the_files_and_goes_on_at_new_year() {
    for format in ["auto", "syslog", "odoo"] {
        let mut grammar = grammar(format, &Options { year: 2025, ..options() }).expect("a format of the list");
        let mut time = |record: &str| read(&mut *grammar, record).expect("read").time;
        assert_eq!(time("<14>Dec 31 23:59:59 app Odoo Server 14.0:crm:INFO:odoo:x"), 1_767_225_599_000);
        assert_eq!(time("<14>Jan  1 00:00:01 app Odoo Server 14.0:crm:INFO:odoo:x"), 1_767_225_601_000);
    }
}

#[test]
fn a_record_without_a_header_is_a_message_only_where_syslog_was_promised() {
    let bare = "something is wrong";
    let mut named = grammar("syslog", &options()).expect("syslog");
    assert_eq!(read(&mut *named, bare).expect("read").text(Field::Message), Some(bare));
    assert_eq!(read(&mut *named, ACCESS).expect("read").text(Field::UserName), Some("mia"));
    let mut auto = grammar("auto", &options()).expect("auto");
    read(&mut *auto, "<38>Mar  2 09:14:08 web cron[9]: job done").expect("read");
    assert_eq!(read(&mut *auto, bare), Err(Verdict::Rejected(NO_HEADER)));
    assert_eq!(read(&mut *auto, ACCESS).expect("read").text(Field::UserName), Some("mia"));
}

#[test]
fn line_breaks_that_rsyslog_escaped_are_put_back_where_the_format_needs_them() {
    let event = one("auto", r##"<14>Mar  2 09:14:07 crm api: {#012#011"user": "mia",#012#011"action": "login"#012}"##);
    assert_eq!(texts(&event, &["user.name", "event.action"]), ["mia", "login"]);
    let event = one("auto", "<14>Mar  2 09:14:07 crm api: order #0123 is paid");
    assert_eq!(event.text(Field::Message), Some("order #0123 is paid"));
}

#[test]
fn a_stamp_that_is_the_messages_own_is_given_back_to_it() {
    let odoo = "2026-03-02 09:14:07,000 7 INFO crm odoo.addons.base.models.res_users: Login failed for db:crm login:mia from 203.0.113.7";
    for format in ["auto", "syslog", "odoo"] {
        let event = one(format, &format!("<14>{odoo}"));
        assert_eq!(texts(&event, &["event.action", "user.name"]), ["login", "mia"], "{format}");
        assert_eq!(event.time, MOMENT);
    }
}

#[test]
fn a_program_whose_name_holds_blanks_is_understood_behind_either_header() {
    let odoo = "Odoo Server 14.0:crm:INFO:odoo.addons.base.models.res_users:Login failed for db:crm login:mia from 203.0.113.7";
    for header in ["<14>1 2026-03-02T09:14:07Z crm", "<14>Mar  2 09:14:07 crm", "Mar  2 09:14:07 crm"] {
        for format in ["auto", "syslog", "odoo"] {
            let event = one(format, &format!("{header} {odoo}"));
            assert_eq!(texts(&event, &["event.action", "user.name", "host.name"]), ["login", "mia", "crm"], "{format}");
            assert_eq!(event.time, MOMENT);
        }
    }
}

#[test]
fn a_message_that_is_a_remark_is_not_passed_over() {
    let event = one("auto", "<14>Mar  2 09:14:07 crm api: # a remark");
    assert_eq!(event.text(Field::Message), Some("# a remark"));
    let mut auto = grammar("auto", &options()).expect("auto");
    assert_eq!(read(&mut *auto, "<14>Mar  2 09:14:07 crm api: "), Err(Verdict::Skipped));
}

#[test]
fn a_named_format_keeps_to_itself() {
    let mut nginx = grammar("nginx", &options()).expect("nginx");
    let refused = read(&mut *nginx, "<38>Mar  2 09:14:08 web cron[9]: job done");
    assert!(matches!(refused, Err(Verdict::Rejected(_))), "{refused:?}");
    let csv = grammar("salesforce-elf", &options()).expect("csv");
    assert_eq!(csv.framing(b"<13>Mar  2 09:14:08 crm app: \"open"), Framing::Lines);
    assert_eq!(csv.framing(b"\"EVENT_TYPE\",\"open"), Framing::QuotedCsv);
}

#[test]
fn a_flood_of_programs_is_not_remembered() {
    let mut syslog = Syslog::strict(&options());
    for number in 0..1_000 {
        read(&mut syslog, &format!("<190>Mar  2 09:14:08 web p{number}: {ACCESS}")).expect("read");
    }
    assert_eq!(syslog.programs.len(), PROGRAMS);
    assert!(syslog.state().len() < 4_096);
}

#[test]
fn nobody_elses_text_becomes_a_field() {
    let event =
        one("auto", "<38>1 2026-03-02T09:14:07Z crm app 1 - [x crm.source=\"y\"] user.name=root source.ip=1.2.3.4");
    assert!(!event.has(Field::UserName) && !event.has(Field::SourceIp));
    let forged = one("auto", "<38>1 2026-03-02T09:14:07Z crm app 1 - - <38>1 2026-03-02T09:14:07Z other app 1 - - x");
    assert_eq!(forged.text(Field::HostName), Some("crm"));
}

#[test]
fn what_came_several_times_is_told_as_often_but_not_as_often_as_anybody_says() {
    let read = |format: &str, times: &str, message: &str| {
        let record = format!("<38>Mar  2 09:14:07 web1 sshd[7]: message repeated {times} times: [ {message}]");
        let mut events = Vec::new();
        assert_eq!(grammar(format, &options()).expect("a format").parse(&record, &mut events), Verdict::Parsed);
        events
    };
    let refused = "Failed password for mia from 203.0.113.7 port 22 ssh2";
    for format in ["syslog", "auto"] {
        let events = read(format, "3", refused);
        assert_eq!(events.len(), 3, "{format}");
        for event in &events {
            assert_eq!(texts(event, &["event.action", "user.name", "source.ip"]), ["login", "mia", "203.0.113.7"]);
            assert!(event.raw().contains("message repeated 3 times"));
        }
        assert_eq!(read(format, "9000000", refused).len(), 32);
        let remark = read(format, "5", "the same again");
        assert_eq!((remark.len(), remark[0].text(Field::Message)), (1, Some("the same again")));
        assert_eq!(read(format, "-5", refused).len(), 1);
        assert_eq!(read(format, "many", refused).len(), 1);
    }
    let line = "192.0.2.1 - mia [02/Mar/2026:09:14:07 +0000] \"GET /x HTTP/1.1\" 200 5";
    assert_eq!(read("nginx", "2", line).len(), 2);
}
