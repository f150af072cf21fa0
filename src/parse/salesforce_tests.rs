//! What the Event Log File grammar promises, with rows made up here.

use crmwatch_detectors::{Event, Field};
use proptest::prelude::*;

use super::super::{Framing, Grammar, NO_TIME, Options, Verdict, trial};
use super::ELF;

fn grammar() -> Box<dyn Grammar> {
    (ELF.grammar)(&Options::default())
}

fn quoted(cells: &[&str]) -> String {
    cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect::<Vec<_>>().join(",")
}

/// One row of columns and cells, with what every row has.
fn row(kind: &str, columns: &[(&str, &str)]) -> Event {
    let mut names = vec!["EVENT_TYPE", "TIMESTAMP", "USER_ID", "TIMESTAMP_DERIVED"];
    let mut cells = vec![kind, "20260302091407.123", "0053X00000BoLQR", "2026-03-02T09:14:07.123Z"];
    for (name, cell) in columns {
        match names.iter().position(|known| known == name) {
            Some(place) => cells[place] = cell,
            None => {
                names.push(name);
                cells.push(cell);
            }
        }
    }
    let (mut grammar, mut events) = (grammar(), Vec::new());
    assert_eq!(grammar.parse(&quoted(&names), &mut events), Verdict::Skipped);
    assert_eq!(grammar.parse(&quoted(&cells), &mut events), Verdict::Parsed);
    events.pop().expect("a row gives an event")
}

#[track_caller]
fn check(kind: &str, columns: &[(&str, &str)], expected: &[(Field, &str)]) {
    let event = row(kind, columns);
    trial::holds(&event, expected, kind);
}

#[test]
fn rows_named_after_an_event_of_the_stream_have_its_action() {
    let record = r#"{"EVENT_TYPE":"BulkApiResultEventStore","TIMESTAMP_DERIVED":"2026-03-02 09:14:07.250","USER_NAME":"mia@example.com","OPERATION_TYPE":"OP","RECORDS_PROCESSED":1500}"#;
    for (operation, action) in [("query", "bulk-api"), ("delete", "bulk-delete")] {
        let record = record.replace("OP\"", &format!("{operation}\""));
        let mut events = Vec::new();
        (ELF.grammar)(&Options::default()).parse(&record, &mut events);
        assert_eq!(events[0].text(Field::EventAction), Some(action), "{record}");
        assert_eq!((events[0].integer(Field::Records), events[0].time), (Some(1500), 1_772_442_847_250));
    }
}

#[test]
fn a_login_gives_who_whence_and_how_it_ended() {
    let columns = [
        ("USER_NAME", "alice@example.com"),
        ("LOGIN_STATUS", "LOGIN_NO_ERROR"),
        ("SOURCE_IP", "203.0.113.7"),
        ("CLIENT_IP", "198.51.100.1"),
        ("BROWSER_TYPE", "Mozilla/5.0 (X11; rv%3A50.0)"),
        ("LOGIN_KEY", "kEy1"),
        ("SESSION_KEY", "sEs1"),
        ("ORGANIZATION_ID", "00D5j000000AAAA"),
        ("RUN_TIME", "83"),
        ("USER_TYPE", "Standard(db=S,api=Standard)"),
        ("SOMETHING_NEW", "42"),
    ];
    check(
        "Login",
        &columns,
        &[
            (Field::EventAction, "login"),
            (Field::EventOutcome, "success"),
            (Field::EventCategory, "authentication"),
            (Field::EventCode, "Login"),
            (Field::EventDataset, "salesforce.login"),
            (Field::UserId, "0053X00000BoLQRQA3"),
            (Field::UserName, "alice@example.com"),
            (Field::UserEmail, "alice@example.com"),
            (Field::SourceIp, "203.0.113.7"),
            (Field::UserAgent, "Mozilla/5.0 (X11; rv:50.0)"),
            (Field::SessionId, "kEy1"),
            (Field::SessionKey, "sEs1"),
            (Field::EventDuration, "83000000"),
            (Field::UserRoles, "Standard(db=S,api=Standard)"),
        ],
    );
    let event = row("Login", &columns);
    assert_eq!(event.time, 1_772_442_847_123);
    assert_eq!(event.named("salesforce.something_new").map(|value| value.to_string()).as_deref(), Some("42"));
}

#[test]
fn each_login_state_means_what_it_says() {
    let login = |status: &str, request: &str, action: &str, outcome: &str, reason: &str| {
        let columns = [("LOGIN_STATUS", status), ("REQUEST_STATUS", request)];
        let expected = [(Field::EventAction, action), (Field::EventOutcome, outcome), (Field::EventReason, reason)];
        check("Login", &columns, &expected);
    };
    login("LOGIN_NO_ERROR", "", "login", "success", "");
    login("LOGIN_LIGHTNING_LOGIN", "", "login", "success", "");
    login("LOGIN_ERROR_INVALID_PASSWORD", "Success", "login", "failure", "LOGIN_ERROR_INVALID_PASSWORD");
    login("LOGIN_OAUTH_SOMETHING_NEW", "", "login", "failure", "LOGIN_OAUTH_SOMETHING_NEW");
    login("LOGIN_CHALLENGE_ISSUED", "", "mfa-challenge", "unknown", "LOGIN_CHALLENGE_ISSUED");
    login("", "Success", "login", "success", "");
    login("", "", "login", "unknown", "");
}

#[test]
fn a_login_as_names_the_administrator_and_the_user_taken_over() {
    check(
        "LoginAs",
        &[
            ("DELEGATED_USER_ID", "0053X000009q0tM"),
            ("DELEGATED_USER_NAME", "root@example.com"),
            ("USER_NAME", "bob@example.com"),
        ],
        &[
            (Field::EventAction, "login-as"),
            (Field::UserId, "0053X000009q0tMQAQ"),
            (Field::UserName, "root@example.com"),
            (Field::UserEffectiveId, "0053X00000BoLQRQA3"),
            (Field::UserTargetId, "0053X00000BoLQRQA3"),
            (Field::UserEffectiveName, "bob@example.com"),
        ],
    );
}

#[test]
fn a_report_export_tells_report_form_and_columns() {
    let json = "%7B%22reportMetadata%22%3A%7B%22name%22%3A%22All+my+leads%22%2C%22id%22%3A%2200O3X00000B4bTE%22%2C%22reportType%22%3A%7B%22label%22%3A%22Leads%22%7D%2C%22detailColumns%22%3A%5B%22a%22%2C%22b%22%5D%2C%22scope%22%3A%22organization%22%7D%7D";
    check(
        "ReportExport",
        &[
            ("REPORT_DESCRIPTION", &format!("?export=1&enc=UTF-8&xf=csv&runReportJson={json}")),
            ("CLIENT_INFO", "Mozilla/5.0 (X11)"),
            ("URI", "/00O3X00000B4bTE"),
        ],
        &[
            (Field::EventAction, "export"),
            (Field::ReportName, "All my leads"),
            (Field::ReportId, "00O3X00000B4bTEUAZ"),
            (Field::ObjectType, "Leads"),
            (Field::Columns, "2"),
            (Field::ExportFormat, "csv"),
            (Field::UserAgent, "Mozilla/5.0 (X11)"),
            (Field::UrlPath, "/00O3X00000B4bTE"),
        ],
    );
    let bare = [("REPORT_DESCRIPTION", "?xf=xls&runReportJson=%7Bbroken"), ("URI", "/00O3X00000B4bTE")];
    check("ReportExport", &bare, &[(Field::ReportId, "00O3X00000B4bTEUAZ"), (Field::ExportFormat, "xls")]);
}

#[test]
fn each_event_type_becomes_its_action() {
    let action =
        |kind: &str, columns: &[(&str, &str)], action: &str| check(kind, columns, &[(Field::EventAction, action)]);
    action("Report", &[("ORIGIN", "ReportRunFromLightning")], "report-run");
    action("Report", &[("ORIGIN", "ReportExported")], "export");
    action("BulkApi", &[("OPERATION_TYPE", "query")], "bulk-api");
    action("BulkApi", &[("OPERATION_TYPE", "hardDelete")], "bulk-delete");
    action(
        "LightningPageView",
        &[("PAGE_CONTEXT", "one:recordHome"), ("PAGE_URL", "/lightning/r/Case/5/view")],
        "view",
    );
    action("LightningPageView", &[("PAGE_CONTEXT", "force:objectHomeDesktop")], "list");
    action("ContentTransfer", &[("TRANSACTION_TYPE", "VersionDownloadApi")], "file-download");
    action("ContentTransfer", &[("TRANSACTION_TYPE", "saveVersion")], "create");
    action("MetadataApiOperation", &[("OPERATION", "deploy")], "settings-change");
    action("MetadataApiOperation", &[("OPERATION", "listMetadata")], "view");
    action("ApexExecution", &[], "info");
    action("ATypeOfTomorrow", &[], "info");
    for (kind, word) in [("Search", "search"), ("Logout", "logout"), ("PermissionUpdate", "permission-change")] {
        action(kind, &[], word);
    }
}

#[test]
fn numbers_of_records_bytes_and_columns_are_counted() {
    check(
        "Report",
        &[
            ("ROW_COUNT", "544"),
            ("AVERAGE_ROW_SIZE", "577"),
            ("NUMBER_COLUMNS", "13"),
            ("REPORT_ID", "00O3X00000B4bTE"),
        ],
        &[
            (Field::Records, "544"),
            (Field::Bytes, "313888"),
            (Field::Columns, "13"),
            (Field::ReportId, "00O3X00000B4bTEUAZ"),
        ],
    );
    check(
        "RestApi",
        &[
            ("ROWS_PROCESSED", "2000"),
            ("RESPONSE_SIZE", "18333"),
            ("STATUS_CODE", "403"),
            ("METHOD", "GET"),
            ("USER_AGENT", "9999"),
        ],
        &[
            (Field::Records, "2000"),
            (Field::Bytes, "18333"),
            (Field::EventOutcome, "failure"),
            (Field::HttpMethod, "GET"),
            (Field::UserAgent, ""),
        ],
    );
    check("ContentTransfer", &[("SIZE_BYTES", "78365")], &[(Field::Bytes, "78365")]);
}

#[test]
fn words_in_the_place_of_an_address_are_no_address() {
    let word = (Field::SourceAddress, "Salesforce.com IP");
    check("Login", &[("SOURCE_IP", "Salesforce.com IP")], &[word, (Field::SourceIp, "")]);
    let columns = [("SOURCE_IP", "Salesforce.com IP"), ("CLIENT_IP", "2001:DB8::1")];
    check("API", &columns, &[(Field::SourceIp, "2001:db8::1")]);
    check("API", &[("CLIENT_IP", "")], &[(Field::SourceIp, ""), (Field::SourceAddress, "")]);
}

#[test]
fn an_empty_derived_stamp_leaves_the_other_and_none_leaves_no_time() {
    assert_eq!(row("API", &[("TIMESTAMP_DERIVED", "")]).time, 1_772_442_847_123);
    assert_eq!(row("API", &[("TIMESTAMP_DERIVED", ""), ("TIMESTAMP", "20260302091407.13")]).time, 1_772_442_847_130);
    assert_eq!(row("API", &[("TIMESTAMP_DERIVED", ""), ("TIMESTAMP", "")]).time, NO_TIME);
}

#[test]
fn cells_with_quotes_commas_and_line_breaks_stay_whole() {
    check(
        "Search",
        &[("SEARCH_QUERY", "\"chri*\", or\nso"), ("USER_AGENT", "\"Mozilla/5.0 (X11)\""), ("NUM_RESULTS", "7")],
        &[(Field::Query, "\"chri*\", or\nso"), (Field::UserAgent, "Mozilla/5.0 (X11)"), (Field::Records, "7")],
    );
    assert_eq!(grammar().framing(b"\"a"), Framing::QuotedCsv);
}

#[test]
fn the_header_may_come_again_change_and_is_carried_on() {
    let (mut first, mut events) = (grammar(), Vec::new());
    assert_eq!(first.parse("\u{feff}\"EVENT_TYPE\",\"TIMESTAMP\",\"USER_ID\"\r", &mut events), Verdict::Skipped);
    assert_eq!(first.parse("\"Login\",\"20260302091407\",\"0053X00000BoLQR\"\r", &mut events), Verdict::Parsed);
    assert_eq!(first.parse("\"EVENT_TYPE\",\"USER_ID\",\"TIMESTAMP\"", &mut events), Verdict::Skipped);
    let mut second = grammar();
    second.resume(&first.state());
    assert_eq!(second.parse("Login,0053X00000BoLQR,20260302091407", &mut events), Verdict::Parsed);
    assert_eq!(events[0].time, events[1].time);
    assert_eq!(events[0].text(Field::UserId), events[1].text(Field::UserId));
    assert_eq!(events[0].delivery, events[1].delivery, "another order of columns is the same delivery");
    assert_eq!(second.parse("", &mut events), Verdict::Skipped);
}

#[test]
fn rows_that_differ_in_anything_are_different_deliveries() {
    let one = row("Login", &[("LOGIN_STATUS", "LOGIN_NO_ERROR")]);
    let other = row("Login", &[("LOGIN_STATUS", "LOGIN_ERROR_X")]);
    assert!(one.delivery.is_some() && one.delivery != other.delivery);
}

#[test]
fn rows_without_a_header_or_that_do_not_fit_are_refused_with_a_reason() {
    let (mut grammar, mut events) = (grammar(), Vec::new());
    let mut refused = |record: &str| grammar.parse(record, &mut events);
    assert_eq!(refused("\"Login\",\"20260302091407\""), Verdict::Rejected("no header before this row"));
    assert_eq!(refused("\"EVENT_TYPE\",\"TIMESTAMP\""), Verdict::Skipped);
    assert_eq!(refused("\"Login\""), Verdict::Rejected("row does not fit its header"));
    assert_eq!(refused("\"Login\",\"x"), Verdict::Rejected("broken CSV"));
    assert_eq!(refused("\"\",\"20260302091407\""), Verdict::Rejected("no event type"));
}

#[test]
fn a_row_that_a_collector_made_an_object_of_is_the_same_event_and_the_same_delivery() {
    let from_csv = row("Report", &[("ROW_COUNT", "544"), ("ORIGIN", "ReportExported"), ("CLIENT_IP", "203.0.113.7")]);
    for text in [
        r#"{"EVENT_TYPE":"Report","TIMESTAMP":"20260302091407.123","USER_ID":"0053X00000BoLQR","TIMESTAMP_DERIVED":"2026-03-02T09:14:07.123Z","ROW_COUNT":"544","ORIGIN":"ReportExported","CLIENT_IP":"203.0.113.7"}"#,
        r#"{"event_type":"Report","timestamp":"20260302091407.123","origin":"ReportExported","user_id":"0053X00000BoLQR","timestamp_derived":"2026-03-02T09:14:07.123Z","row_count":544,"client_ip":"203.0.113.7","session_key":""}"#,
    ] {
        assert_eq!((ELF.sniff)(text), 95, "{text}");
        assert_eq!(grammar().framing(text.as_bytes()), Framing::Json);
        let mut events = Vec::new();
        assert_eq!(grammar().parse(text, &mut events), Verdict::Parsed, "{text}");
        let event = &events[0];
        assert_eq!((event.time, event.delivery), (from_csv.time, from_csv.delivery));
        assert_eq!(event.text(Field::EventAction), Some("export"));
        assert_eq!(event.integer(Field::Records), Some(544));
        assert_eq!(event.text(Field::UserId), Some("0053X00000BoLQRQA3"));
    }
    for text in [r#"{"EVENT_TYPE":"Login""#, r#"{"EVENT_TYPE":"Login"} and more"#] {
        assert_eq!(grammar().parse(text, &mut Vec::new()), Verdict::Rejected("json-syntax"), "{text}");
    }
    assert_eq!(grammar().parse("{}", &mut Vec::new()), Verdict::Rejected("no event type"));
}

#[test]
fn other_programs_objects_with_an_event_type_are_not_taken_for_the_format() {
    assert_eq!((ELF.sniff)("\"EVENT_TYPE\",\"TIMESTAMP\""), 100);
    assert_eq!((ELF.sniff)("{\"EVENT_TYPE\":\"Login\",\"TIMESTAMP\":\"1\"}"), 0);
    assert_eq!(
        (ELF.sniff)("{\"event_type\":\"login\",\"timestamp\":\"1\",\"user_id\":\"7\",\"organization_id\":\"1\"}"),
        0
    );
    assert_eq!((ELF.sniff)("203.0.113.7 - - x"), 0);
}

#[test]
fn a_hostile_row_costs_time_in_proportion_to_its_length() {
    for unit in ["\"", ",", "\"\"", "%41", "a,\""] {
        super::super::hostile::grows_with_length(unit, |text| {
            let mut grammar = grammar();
            let _ = grammar.parse("EVENT_TYPE,TIMESTAMP,REPORT_DESCRIPTION", &mut Vec::new());
            let _ = grammar.parse(text, &mut Vec::new());
            let _ = grammar.parse(&format!("ReportExport,1,\"{text}\""), &mut Vec::new());
            let _ = grammar.parse(&format!("EVENT_TYPE,TIMESTAMP,{text}"), &mut Vec::new());
        });
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(header in "[\"A-Z_,\r\n]{0,40}", text in any::<String>(), kind in "[A-Za-z]{0,12}") {
        let mut grammar = grammar();
        let _ = grammar.parse(&text, &mut Vec::new());
        let _ = grammar.parse(&format!("EVENT_TYPE,TIMESTAMP,{header}"), &mut Vec::new());
        let _ = grammar.parse(&format!("{kind},{text}"), &mut Vec::new());
        let _ = grammar.parse("EVENT_TYPE,TIMESTAMP,REPORT_DESCRIPTION,URI,SOURCE_IP,ROW_COUNT,AVERAGE_ROW_SIZE", &mut Vec::new());
        let cell = text.replace('"', "");
        let _ = grammar.parse(&format!("ReportExport,\"{cell}\",\"?runReportJson={cell}\",\"/{cell}\",\"{cell}\",9223372036854775807,9"), &mut Vec::new());
        grammar.resume(&text);
    }
}
