//! What real logs do that a reader would not expect: a test for each trap, over the formats' own lines. Not for what lines usually mean
//! (`formats`).

use chrono_tz::Tz;
use crmwatch::parse::{self, Options, Verdict};
use crmwatch_detectors::{Event, Field};

use crate::corpus::through;

fn options() -> Options {
    Options { timezone: Tz::UTC, year: 2026, ..Options::default() }
}

/// The events of records, none of which is refused.
#[track_caller]
fn read(format: &str, records: &[&str]) -> Vec<Event> {
    let mut grammar = parse::grammar(format, &options()).expect("a format of the list");
    let mut events = Vec::new();
    for record in records {
        let verdict = grammar.parse(record, &mut events);
        assert!(!matches!(verdict, Verdict::Rejected(_)), "{record}: {verdict:?}");
    }
    events
}

#[track_caller]
fn one(format: &str, record: &str) -> Event {
    let mut events = read(format, &[record]);
    assert_eq!(events.len(), 1, "{record}");
    events.remove(0)
}

/// Each field holds that text; an empty one is not there.
#[track_caller]
fn holds(event: &Event, expected: &[(Field, &str)]) {
    for (field, value) in expected {
        let found = event.value(*field).map(|value| value.to_string()).unwrap_or_default();
        assert_eq!(found, *value, "{} of {}", field.name(), event.raw());
    }
}

const MOMENT: i64 = 1_772_442_847_000;

#[test]
fn event_log_files_may_turn_their_columns_repeat_their_header_and_break_lines_in_cells() {
    let turned = "\"SOURCE_IP\",\"NEW_COLUMN\",\"USER_ID\",\"EVENT_TYPE\",\"SEARCH_QUERY\",\"TIMESTAMP\"";
    let row = "\"203.0.113.7\",\"x\",\"0053X00000BoLQR\",\"Search\",\"\"\"chri*\"\"\",\"20260302091407.000\"";
    let broken =
        "\"203.0.113.7\",\"two\nlines, \"\"quoted\"\"\",\"0053X00000BoLQR\",\"Search\",\"\",\"20260302091407\"";
    let events = read("salesforce-elf", &[turned, row, turned, broken]);
    assert_eq!(events.len(), 2, "the header is no event, wherever it stands");
    holds(
        &events[0],
        &[
            (Field::EventAction, "search"),
            (Field::SourceIp, "203.0.113.7"),
            (Field::UserId, "0053X00000BoLQRQA3"),
            (Field::Query, "\"chri*\""),
        ],
    );
    assert_eq!((events[0].time, events[1].time), (MOMENT, MOMENT));
}

#[test]
fn of_two_stamps_the_derived_one_counts_and_the_other_where_it_is_empty() {
    let header = "\"EVENT_TYPE\",\"TIMESTAMP\",\"TIMESTAMP_DERIVED\",\"USER_ID\"";
    let events = read(
        "salesforce-elf",
        &[
            header,
            "\"API\",\"20260302091407.13\",\"2026-03-02T09:14:07.128Z\",\"0053X00000BoLQR\"",
            "\"API\",\"20260302091407.13\",\"\",\"0053X00000BoLQR\"",
        ],
    );
    assert_eq!([events[0].time, events[1].time], [MOMENT + 128, MOMENT + 130]);
}

#[test]
fn words_in_the_place_of_an_address_and_codes_in_the_place_of_an_agent_are_not_taken_for_them() {
    let header = "\"EVENT_TYPE\",\"TIMESTAMP\",\"CLIENT_IP\",\"USER_AGENT\",\"USER_TYPE\",\"USER_ID\"";
    let events = read(
        "salesforce-elf",
        &[
            header,
            "\"API\",\"20260302091407\",\"Salesforce.com IP\",\"13047000\",\"Standard(db=S,api=Standard)\",\"0053X00000BoLQR\"",
            "\"API\",\"20260302091407\",\"203.0.113.7\",\"Mozilla/5.0 (rv%3A50.0)\",\"Standard\",\"0053X00000BoLQR\"",
        ],
    );
    holds(&events[0], &[(Field::SourceIp, ""), (Field::SourceAddress, "Salesforce.com IP"), (Field::UserAgent, "")]);
    holds(&events[1], &[(Field::SourceIp, "203.0.113.7"), (Field::UserAgent, "Mozilla/5.0 (rv:50.0)")]);
}

#[test]
fn of_a_login_as_the_administrator_is_the_delegated_user() {
    let header = "\"EVENT_TYPE\",\"TIMESTAMP\",\"USER_ID\",\"DELEGATED_USER_ID\",\"DELEGATED_USER_NAME\"";
    let row = "\"LoginAs\",\"20260302091407\",\"0053X00000BoLQR\",\"0053X00000BoLQS\",\"admin@example.com\"";
    let events = read("salesforce-elf", &[header, row]);
    holds(
        &events[0],
        &[
            (Field::EventAction, "login-as"),
            (Field::UserName, "admin@example.com"),
            (Field::UserEffectiveId, "0053X00000BoLQRQA3"),
        ],
    );
}

#[test]
fn a_failed_sign_in_that_says_success_is_a_failure_whatever_packs_it() {
    let record = |address: &str| {
        format!(
            r#"{{"CreationTime":"2026-03-02T09:14:07","Id":"4af0b443-42dd-4dc6-9bd1-751a55441000","Operation":"UserLoginFailed","RecordType":15,"ResultStatus":"Success","Workload":"AzureActiveDirectory","ClientIP":"{address}","UserId":"mia@example.com"}}"#
        )
    };
    for (address, expected) in [
        ("203.0.113.7:63070", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("FE80::", "fe80::"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("<null>", ""),
    ] {
        let inside = record(address);
        let quoted = serde_json::to_string(&inside).expect("JSON");
        for record in [inside, format!(r#"{{"RecordId":"1","AuditData":{quoted}}}"#)] {
            let event = one("m365-audit", &record);
            holds(
                &event,
                &[(Field::EventAction, "login"), (Field::EventOutcome, "failure"), (Field::SourceIp, expected)],
            );
            assert_eq!(event.time, MOMENT, "UTC though it has no zone");
        }
    }
}

#[test]
fn the_verb_of_a_dynamics_record_is_its_message_and_parts_of_a_read_share_a_correlation() {
    let part = |ids: &str, key: &str| {
        format!(
            r#"{{"CreationTime":"2026-03-02T09:14:07","Id":"4af0b443-42dd-4dc6-9bd1-{key}","Operation":"CrmDefaultActivity","RecordType":21,"Workload":"CRM","UserId":"mia@example.com","CRMOrganizationUniqueName":"org1","Message":"RetrieveMultiple","EntityName":"contact","CorrelationId":"6b2c0000-0000-4000-8000-000000000001","QueryResults":"{ids}"}}"#
        )
    };
    let first = one(
        "m365-audit",
        &part("c0ffee00-0000-4000-8000-000000000001,c0ffee00-0000-4000-8000-000000000002", "751a55441001"),
    );
    let second = one("m365-audit", &part("c0ffee00-0000-4000-8000-000000000003", "751a55441002"));
    for event in [&first, &second] {
        holds(event, &[(Field::EventAction, "list"), (Field::CorrelationId, "6b2c0000-0000-4000-8000-000000000001")]);
    }
    assert_eq!(first.integer(Field::Records), Some(2));
    assert_ne!(first.delivery, second.delivery, "parts are no copies of one another");
}

#[test]
fn results_of_a_sign_in_may_be_text_or_number_and_interrupts_are_no_failures() {
    for (result, level, outcome) in [
        ("\"50158\"", "\"Level\":4", "unknown"),
        ("50074", "\"level\":\"Informational\"", "unknown"),
        ("\"50126\"", "\"level\":4", "failure"),
        ("0", "\"Level\":\"4\"", "success"),
    ] {
        let record = format!(
            r#"{{"time":"2026-03-02T09:14:07.7062186Z","operationName":"Sign-in activity","category":"SignInLogs","tenantId":"t","correlationId":"c","resultType":{result},{level},"callerIpAddress":"203.0.113.7","properties":{{"id":"x","createdDateTime":"2026-03-02T09:14:07.7062186Z","userPrincipalName":"mia@example.com"}}}}"#
        );
        let event = one("entra-id", &record);
        holds(&event, &[(Field::EventOutcome, outcome), (Field::UserName, "mia@example.com")]);
        assert_eq!(event.time, MOMENT + 706);
    }
}

#[test]
fn hubspot_writes_who_acted_as_text_or_object_and_ids_that_are_names() {
    for actor in [r#""mia@example.com""#, r#"{"userId":7,"userEmail":"mia@example.com"}"#] {
        let record = format!(
            r#"{{"id":"Ij8+=","category":"CRM_OBJECT","subCategory":"CONTACT","action":"DELETE","targetObjectId":"@acme/growth","occurredAt":"2026-03-02T09:14:07.000Z","actingUser":{actor}}}"#
        );
        holds(&one("hubspot", &record), &[(Field::UserName, "mia@example.com"), (Field::ObjectId, "@acme/growth")]);
    }
}

#[test]
fn a_login_name_moves_no_address_and_odoo_s_wordings_are_all_read() {
    let head = "2026-03-02 09:14:07,000 1 INFO crm odoo.addons.base.models.res_users: ";
    for (message, name, address) in [
        ("Login failed for db:crm login:x from 9.9.9.9 from 203.0.113.7", "x from 9.9.9.9", "203.0.113.7"),
        ("Login failed for db:crm login:mia from n/a", "mia", ""),
        ("Login failed for login:mia from 203.0.113.7 ", "mia", "203.0.113.7"),
    ] {
        for record in [format!("{head}{message}"), format!("odoo-1  | {head}{message}")] {
            let event = one("odoo", &record);
            holds(
                &event,
                &[
                    (Field::EventAction, "login"),
                    (Field::EventOutcome, "failure"),
                    (Field::UserName, name),
                    (Field::SourceIp, address),
                ],
            );
            assert_eq!(event.time, MOMENT);
        }
    }
    let mut grammar = parse::grammar("odoo", &options()).expect("a format");
    let mut events = Vec::new();
    grammar.parse(&format!("{head}Login failed for db:crm login:mia from n/a"), &mut events);
    assert_eq!(grammar.parse("Traceback (most recent call last):", &mut events), Verdict::Continuation);
    let request = "2026-03-02 09:14:07,000 1 INFO crm werkzeug: 203.0.113.7 - - [02/Mar/2026 09:14:07] \"GET /web HTTP/1.1\" 200 - - - -";
    holds(&one("odoo", request), &[(Field::HttpStatus, "200"), (Field::UrlPath, "/web")]);
}

#[test]
fn sugar_pads_its_day_cuts_its_level_and_has_users_who_are_none() {
    let events = read(
        "suitecrm",
        &["Fri Dec  5 03:23:30 2025 [1187][-none-][SECUR] one", "Fri Dec  5 03:23:31 2025 [1187][1][PHP S] Array"],
    );
    assert_eq!(events[0].time, 1_764_905_010_000);
    holds(&events[0], &[(Field::UserName, ""), (Field::UserId, ""), (Field::LogLevel, "SECUR")]);
    holds(&events[1], &[(Field::UserId, "1")]);
    let mut grammar = parse::grammar("suitecrm", &options()).expect("a format");
    grammar.parse("Fri Dec  5 03:23:31 2025 [1187][1][FATAL] Array", &mut Vec::new());
    assert_eq!(grammar.parse("(", &mut Vec::new()), Verdict::Continuation);
}

#[test]
fn access_lines_may_lack_what_others_have_and_have_what_others_lack() {
    let stamp = "[02/Mar/2026:09:14:07 +0000]";
    for (line, expected) in [
        (
            format!("203.0.113.7 - john doe {stamp} \"GET / HTTP/1.1\" 200 1 \"-\" \"x\""),
            vec![(Field::UserName, "john doe")],
        ),
        (
            format!("203.0.113.7 - - {stamp} \"/x\" 400 - \"-\" \"-\""),
            vec![(Field::HttpStatus, "400"), (Field::HttpMethod, "")],
        ),
        (format!("203.0.113.7 - - {stamp} \"\\x16\\x03\\x01\" 400 226 \"-\" \"-\""), vec![(Field::HttpMethod, "")]),
        (
            format!("203.0.113.7 - - {stamp} \"GET / HTTP/1.1\" 200 - \"-\" \"a \\\"b\\\" c\""),
            vec![(Field::UserAgent, "a \"b\" c"), (Field::HttpResponseBytes, "")],
        ),
        (
            format!("203.0.113.7 - - {stamp} \"GET / HTTP/1.1\" 200 1 \"-\" \"x\" 17 \"r@d\" \"http://10.0.0.2\" 3ms"),
            vec![(Field::UserAgent, "x")],
        ),
        (
            format!("crm.example:443 203.0.113.7 - - {stamp} \"GET / HTTP/1.1\" 200 1 \"-\" \"x\""),
            vec![(Field::SourceIp, "203.0.113.7"), (Field::UrlDomain, "crm.example")],
        ),
        (format!("2001:DB8::7 - - {stamp} \"GET / HTTP/1.1\" 200 1"), vec![(Field::SourceIp, "2001:db8::7")]),
    ] {
        let event = one("nginx", &line);
        holds(&event, &expected);
        assert_eq!(event.time, MOMENT);
    }
}

#[test]
fn nginx_writes_json_that_is_none_and_times_that_are_none() {
    let record = r#"{"time_iso8601":"2026-03-02T09:14:07+00:00","remote_addr":"203.0.113.7","request":"GET /a\x22b HTTP/1.1","status":"200","upstream_response_time":"-","request_time":"0.005"}"#;
    let event = one("json", record);
    holds(&event, &[(Field::UrlPath, "/a\"b"), (Field::HttpStatus, "200"), (Field::EventDuration, "5000000")]);
}

#[test]
fn of_clients_in_apache_s_error_log_only_the_first_is_one() {
    let head = "[Mon Mar 02 09:14:07.000000 2026] [core:error] [pid 7:tid 9]";
    for (line, address) in [
        (format!("{head} [client 203.0.113.7:4711] x [client 9.9.9.9] y"), "203.0.113.7"),
        (format!("{head} (70014)End of file found: [client 203.0.113.7:4711] x"), "203.0.113.7"),
        (format!("{head} [client 2001:db8::1:4242] x"), "2001:db8::1:4242"),
        (format!("{head} [client [2001:db8::1]:4242] x"), "2001:db8::1"),
    ] {
        holds(&one("apache-error", &line), &[(Field::SourceIp, address)]);
    }
}

#[test]
fn iis_changes_its_fields_loses_them_and_writes_blanks_as_plus_signs() {
    let events = read(
        "iis",
        &[
            "#Fields: date time c-ip cs-username cs-method cs-uri-stem sc-status sc-substatus cs(User-Agent)",
            "2026-03-02 09:14:07 fe80::1%3 ACME\\mia GET /a 401 2 Mozilla/5.0+(X11)",
            "#Fields: date time cs-method cs-uri-stem c-ip sc-status",
            "2026-03-02 09:14:07 GET /b 203.0.113.7 200",
        ],
    );
    holds(
        &events[0],
        &[
            (Field::SourceIp, "fe80::1"),
            (Field::UserName, "mia"),
            (Field::UserDomain, "ACME"),
            (Field::UserAgent, "Mozilla/5.0 (X11)"),
            (Field::EventAction, "http-request"),
            (Field::EventOutcome, "unknown"),
        ],
    );
    holds(&events[1], &[(Field::SourceIp, "203.0.113.7"), (Field::UrlPath, "/b"), (Field::UserName, "")]);
    // The tail of a file whose head is gone; of servers that log a field more, too.
    for row in [
        "2026-03-02 09:14:07 10.0.0.1 GET /c - 443 - 203.0.113.7 Mozilla/5.0+(X11) - 404 0 2 5",
        "2026-03-02 09:14:07 web-01 10.0.0.1 GET /c - 443 - 203.0.113.7 - - 404 0 2 5 -",
        "2026-03-02 09:14:07 10.0.0.1 GET /c - 443 - 203.0.113.7 Mozilla/5.0+(X11) - 404 0 2 1405 242 283",
    ] {
        let event = one("iis", row);
        holds(&event, &[(Field::SourceIp, "203.0.113.7"), (Field::HttpStatus, "404"), (Field::UrlPath, "/c")]);
        assert_eq!(event.time, MOMENT);
    }
}

#[test]
fn haproxy_has_no_server_no_timers_and_half_a_request_and_is_read_all_the_same() {
    for (line, expected) in [
        (
            "203.0.113.7:5 [02/Mar/2026:09:14:07.000] f b/<NOSRV> -1/-1/-1/-1/0 503 212 - - SC-- 0/0/0/0/0 0/0 \"GET / HTTP/1.1\"",
            vec![(Field::HttpStatus, "503")],
        ),
        (
            "2001:db8::1:58430 [02/Mar/2026:09:14:07.000] f b/s 0/0/1/4/5 200 2 - - ---- 0/0/0/0/0 0/0 \"GET / HTTP/1.1\"",
            vec![(Field::SourceIp, "2001:db8::1"), (Field::SourcePort, "58430")],
        ),
        (
            "203.0.113.7:5 [02/Mar/2026:09:14:07.000] f b/s 0/0/1/4/5 200 2 - - ---- 0/0/0/0/0 0/0 {crm.example|Mozilla/5.0 (X11)} {gzip} \"GET / HTTP/1.1\"",
            vec![(Field::UrlDomain, "crm.example"), (Field::UserAgent, "Mozilla/5.0 (X11)")],
        ),
        (
            "203.0.113.7:5 [02/Mar/2026:09:14:07.000] f b/s 0/0/1/4/5 200 2 - - ---- 0/0/0/0/0 0/0 \"GET /cut",
            vec![(Field::UrlPath, "/cut")],
        ),
    ] {
        let event = one("haproxy", line);
        holds(&event, &expected);
        assert_eq!(event.time, MOMENT);
    }
}

#[test]
fn durations_come_as_powers_of_ten_and_nanoseconds_and_a_status_of_nothing_is_none() {
    let caddy = r#"{"ts":1772442847.0,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"203.0.113.7","method":"GET","uri":"/"},"duration":2.701e-06,"status":0}"#;
    holds(
        &one("caddy", caddy),
        &[(Field::EventDuration, "2701"), (Field::HttpStatus, ""), (Field::EventOutcome, "unknown")],
    );
    for service in [r#"{"Scheme":"http","Host":"10.0.0.2"}"#, r#""http://10.0.0.2""#] {
        let record = format!(
            r#"{{"ClientHost":"203.0.113.7","Duration":39999,"DownstreamStatus":200,"RequestMethod":"GET","RequestPath":"/","ServiceURL":{service},"StartUTC":"2026-03-02T09:14:07.000000001Z"}}"#
        );
        holds(&one("traefik", &record), &[(Field::EventDuration, "39999"), (Field::SourceIp, "203.0.113.7")]);
    }
}

#[test]
fn syslog_crosses_new_year_and_its_senders_are_lax() {
    let years = Options { year: 2025, ..options() };
    let mut grammar = parse::grammar("syslog", &years).expect("a format");
    let mut events = Vec::new();
    for line in ["Dec 31 23:59:59 web1 sshd(pam_unix)[7]: one", "Jan  1 00:00:01 web1 CRON[8]: two"] {
        assert_eq!(grammar.parse(line, &mut events), Verdict::Parsed, "{line}");
    }
    assert_eq!(events[1].time - events[0].time, 2_000);
    holds(&events[0], &[(Field::ProcessName, "sshd(pam_unix)"), (Field::ProcessPid, "7")]);
    let french = one("syslog", "août  2 09:14:07 web1 crm[9]: a#012b");
    assert_eq!(french.time, MOMENT + 153 * 86_400_000);
    holds(&french, &[(Field::Message, "a#012b")]);
    let lax = one("syslog", "<38>1 2026-03-02T09:14:07Z web1 crm 7 - [meta sequenceId=\"32\"] done");
    holds(&lax, &[(Field::Message, "done"), (Field::ProcessName, "crm")]);
    // A relay took `CEF:` for the program's name.
    for eaten in [
        "<38>Mar  2 09:14:07 web1 CEF: 0|A|B|1|1|Login failed|3|duser=mia",
        "<38>Mar  2 09:14:07 web1 0|A|B|1|1|Login failed|3|duser=mia",
    ] {
        holds(&one("syslog", eaten), &[(Field::EventAction, "login"), (Field::UserName, "mia")]);
    }
}

#[test]
fn values_of_cef_and_leef_hold_blanks_equals_signs_and_bars() {
    let cef = one(
        "cef",
        r"CEF:0|A\|B|C|1|7|Login|3|rt=1772442847000 msg=mia said a\=b and c url=https://x/?q=1 suser=mia berg",
    );
    holds(
        &cef,
        &[(Field::ObserverVendor, "A|B"), (Field::Message, "mia said a=b and c"), (Field::UserName, "mia berg")],
    );
    assert_eq!((cef.time, one("cef", "CEF:0|A|B|1|7|Login|3|rt=Mar 02 2026 09:14:07").time), (MOMENT, MOMENT));
    for leef in [
        "LEEF:1.0|A|B|1|7|usrName=mia src=203.0.113.7 devTime=Mar 02 2026 09:14:07 devTimeFormat=MMM dd yyyy HH:mm:ss",
        "LEEF:1.0|A|B|1|7|usrName=mia\tdevTimeFormat=yyyy-MM-dd'T'HH:mm:ssZ\tdevTime=2026-03-02T10:14:07+0100\tsrc=203.0.113.7",
        "LEEF:2.0|A|B|1|7|x5E|usrName=mia^devTime=1772442847000^src=203.0.113.7",
        "LEEF:2.0|A|B|1|7|^|usrName=mia^devTime=1772442847000^src=203.0.113.7",
    ] {
        let event = one("leef", leef);
        holds(&event, &[(Field::UserName, "mia"), (Field::SourceIp, "203.0.113.7")]);
        assert_eq!(event.time, MOMENT, "{leef}");
    }
}

/// Signatures are the push listener's, and tested there.
#[test]
fn jiandaoyun_s_fields_have_chinese_names_its_actors_may_be_none_and_deliveries_repeat() {
    let body = r#"{"op":"data_update","data":{"_id":"1","entryId":"e","formName":"客户","updater":"null","deleter":{"_id":"d","name":"x"},"updateTime":"2026-03-02T09:14:07.00Z","deleteTime":"2026-03-01T00:00:00.000Z","电话":"1"}}"#;
    let event = one("jiandaoyun", body);
    holds(&event, &[(Field::EventAction, "update"), (Field::UserName, ""), (Field::ObjectType, "客户")]);
    assert_eq!(event.time, MOMENT);
    let quoted = serde_json::to_string(body).expect("JSON");
    let pushed = |id: &str| {
        one(
            "jiandaoyun",
            &format!(
                r#"{{"received_at":"2026-03-02T09:14:09Z","headers":{{"X-JDY-DeliverId":"{id}"}},"body":{quoted}}}"#
            ),
        )
    };
    assert_eq!(pushed("d-1").delivery, pushed("d-1").delivery);
    assert_ne!(pushed("d-1").delivery, pushed("d-2").delivery);
}

#[test]
fn bytes_that_are_no_text_and_lines_that_never_end_are_read_as_far_as_they_can_be() {
    let line = r#"203.0.113.7 - mia [02/Mar/2026:09:14:07 +0000] "GET /a HTTP/1.1" 200 1 "-" "x""#;
    for record in [
        format!("{line}\r"),
        format!("\u{feff}{line}"),
        line.replace("GET", "\u{1b}[31mGET\u{1b}[0m").replace("\u{1b}[31m", "").replace("\u{1b}[0m", ""),
    ] {
        holds(
            &one("auto", &record),
            &[(Field::UserName, "mia"), (Field::SourceIp, "203.0.113.7"), (Field::UrlPath, "/a")],
        );
    }
    let coloured = "\u{1b}[32m2026-03-02 09:14:07,000 1 \u{1b}[1;32mINFO\u{1b}[0m crm odoo.addons.base.models.res_users: Login failed for db:crm login:mia from 203.0.113.7";
    holds(&one("auto", coloured), &[(Field::EventAction, "login"), (Field::UserName, "mia")]);
    // A line break that a client typed does not begin another record: the server wrote it escaped.
    let forged = line.replace("/a", "/a\\x0a198.51.100.9 - root [02/Mar/2026:09:14:07 +0000] \\x22GET / HTTP/1.1\\x22");
    holds(&one("auto", &forged), &[(Field::UserName, "mia"), (Field::SourceIp, "203.0.113.7")]);
    let gbk = encoding_rs::GBK
        .encode("203.0.113.7 - 张伟 [02/Mar/2026:09:14:07 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"x\"\n")
        .0;
    let long = [line.as_bytes(), &b"x".repeat(1_000_000)].concat();
    for bytes in [&gbk[..], b"\xff\xfe\x00\x00 \x00\n\x00", &long] {
        through::lines(bytes);
    }
}

#[test]
fn other_programs_names_of_a_request_s_parts_are_known() {
    let request = [
        (Field::EventAction, "http-request"),
        (Field::EventOutcome, "failure"),
        (Field::SourceIp, "203.0.113.7"),
        (Field::HttpMethod, "POST"),
        (Field::UrlPath, "/crm/x"),
        (Field::HttpStatus, "403"),
    ];
    for record in [
        // Logstash's patterns, Datadog's attributes, Node's pino, an ingress of Kubernetes, OpenTelemetry.
        r#"{"@timestamp":"2026-03-02T09:14:07.000Z","clientip":"203.0.113.7","ident":"-","auth":"mia","verb":"POST","request":"/crm/x?a=b","httpversion":"1.1","response":"403","bytes":"12","agent":"x"}"#,
        r#"{"timestamp":"1772442847.000","http":{"method":"POST","status_code":403,"url":"https://crm.example.com/crm/x?a=b","useragent":"x"},"network":{"client":{"ip":"203.0.113.7"}},"usr":{"name":"mia"}}"#,
        r#"{"level":30,"time":1772442847000,"pid":7,"hostname":"web1","req":{"method":"POST","url":"/crm/x?a=b","remoteAddress":"203.0.113.7","headers":{"host":"crm.example.com","user-agent":"x"}},"res":{"statusCode":403},"user":"mia","msg":"request completed"}"#,
        r#"{"time":"2026-03-02T09:14:07+00:00","remote_addr":"203.0.113.7","remote_user":"mia","request_proto":"HTTP/2.0","path":"/crm/x","request_query":"a=b","method":"POST","status":403}"#,
        r#"{"timestamp":"2026-03-02T09:14:07Z","http.method":"POST","http.target":"/crm/x?a=b","http.status_code":403,"net.peer.ip":"203.0.113.7","enduser.id":"7","auth_user":"mia"}"#,
    ] {
        let event = one("json", record);
        holds(&event, &request);
        holds(&event, &[(Field::UserName, "mia"), (Field::UrlQuery, "a=b")]);
        assert_eq!(event.time, MOMENT, "{record}");
    }
    // What was done to a record is no method of a request, a number that is no status none, and a client that a proxy tells of goes where
    // all those go.
    let deed = one("json", r#"{"verb":"DELETE","resource":"contact","response":"5","user":"mia"}"#);
    holds(&deed, &[(Field::EventAction, "delete"), (Field::HttpStatus, ""), (Field::HttpMethod, "")]);
    let proxied =
        r#"{"remote_addr":"10.0.0.1","http_x_real_ip":"203.0.113.7","request":"GET / HTTP/1.1","status":200}"#;
    holds(&one("json", proxied), &[(Field::SourceIp, "10.0.0.1"), (Field::ForwardedIp, "203.0.113.7")]);
}

#[test]
fn stamps_in_two_keys_in_mongodb_s_way_in_journald_s_and_in_a_mail_s_are_read() {
    for record in [
        r#"{"date":"2026-03-02","time":"09:14:07","user":"mia"}"#,
        r#"{"time":{"$date":"2026-03-02T09:14:07.000Z"},"user":"mia"}"#,
        r#"{"__REALTIME_TIMESTAMP":"1772442847000123","_HOSTNAME":"web1","MESSAGE":"nothing known"}"#,
        r#"{"time":"Mon, 02 Mar 2026 10:14:07 +0100","user":"mia"}"#,
        r#"{"TimeGenerated":"2026-03-02T09:14:07Z","user":"mia"}"#,
    ] {
        assert_eq!(one("json", record).time, MOMENT, "{record}");
    }
}

#[test]
fn rows_of_sentinel_s_tables_are_audit_records_and_sign_ins() {
    let dataverse = r#"{"TimeGenerated":"2026-03-02T09:14:07Z","ClientIp":"203.0.113.7:443","UserId":"mia@example.com","CrmOrganizationUniqueName":"org1","InstanceUrl":"https://acme.crm4.dynamics.com/","Message":"ExportToExcel","EntityName":"contact","EntityId":"00000000-0000-0000-0000-000000000000","SourceRecordId":"53c98033-cca4-4420-97e4-4c1b4f81e062","Type":"DataverseActivity"}"#;
    let office = r#"{"TimeGenerated":"2026-03-02T09:14:07Z","OfficeWorkload":"SharePoint","Operation":"FileDownloaded","RecordType":"SharePointFileOperation","UserId":"mia@example.com","ClientIP":"203.0.113.7","OfficeObjectId":"https://acme.sharepoint.com/a.xlsx","Type":"OfficeActivity"}"#;
    for (record, action) in [(dataverse, "export"), (office, "file-download")] {
        let event = one("auto", record);
        holds(
            &event,
            &[
                (Field::EventAction, action),
                (Field::EventOutcome, "success"),
                (Field::UserName, "mia@example.com"),
                (Field::SourceIp, "203.0.113.7"),
            ],
        );
        assert_eq!(event.time, MOMENT);
    }
    let audit = r#"{"TimeGenerated":"2026-03-02T09:14:07Z","OperationName":"Add user","Category":"UserManagement","Result":"success","ActivityDisplayName":"Add user","ActivityDateTime":"2026-03-02T09:14:07Z","InitiatedBy":"{\"user\":{\"id\":\"u1\",\"userPrincipalName\":\"admin@example.com\",\"ipAddress\":\"203.0.113.8\"}}","TargetResources":"[{\"userPrincipalName\":\"new@example.com\",\"id\":\"u3\",\"type\":\"User\"}]","Type":"AuditLogs"}"#;
    holds(
        &one("entra-id", audit),
        &[
            (Field::EventAction, "user-create"),
            (Field::UserName, "admin@example.com"),
            (Field::UserId, "u1"),
            (Field::SourceIp, "203.0.113.8"),
            (Field::UserTargetName, "new@example.com"),
        ],
    );
}

#[test]
fn sign_ins_downloaded_from_the_portal_say_who_from_where_and_how_it_ended() {
    let rows = read(
        "auto",
        &[
            "Date (UTC),Request ID,User agent,Correlation ID,User ID,User,Username,Application,IP address,Location,Status,Sign-in error code,Failure reason",
            "2026-03-02T09:14:07Z,r1,Mozilla,c,u1,Mia Berg,mia@example.com,Dynamics 365,203.0.113.7,\"Berlin, DE\",Failure,50126,Invalid username or password",
            "2026-03-02T09:14:07Z,r2,Mozilla,c,u1,Mia Berg,mia@example.com,Dynamics 365,203.0.113.7,\"Berlin, DE\",Interrupted,50074,Strong Authentication is required",
            "2026-03-02T09:14:07Z,r3,Mozilla,c,u1,Mia Berg,mia@example.com,Dynamics 365,203.0.113.7,\"Berlin, DE\",Success,,Other.",
        ],
    );
    for (row, outcome) in rows.iter().zip(["failure", "unknown", "success"]) {
        holds(
            row,
            &[
                (Field::EventAction, "login"),
                (Field::EventOutcome, outcome),
                (Field::UserName, "mia@example.com"),
                (Field::UserId, "u1"),
                (Field::SourceIp, "203.0.113.7"),
                (Field::ServiceName, "Dynamics 365"),
            ],
        );
        assert_eq!(row.time, MOMENT);
    }
    assert_eq!(rows.len(), 3);
}

#[test]
fn access_lines_in_the_event_log_of_windows_are_access_lines() {
    let event = r#"<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System><Provider Name="Microsoft-Windows-IIS-Logging"/><EventID>6200</EventID><TimeCreated SystemTime="2026-03-02T09:14:09Z"/></System><EventData><Data Name="date">2026-03-02</Data><Data Name="time">09:14:07</Data><Data Name="c-ip">203.0.113.7</Data><Data Name="cs-username">ACME\mia</Data><Data Name="cs-method">GET</Data><Data Name="cs-uri-stem">/main.aspx</Data><Data Name="cs-uri-query">etn=contact&amp;id=1</Data><Data Name="sc-status">403</Data><Data Name="csUser-Agent">Mozilla/5.0+(X11)</Data><Data Name="CustomFields" /></EventData></Event>"#;
    let found = one("auto", event);
    holds(
        &found,
        &[
            (Field::EventAction, "http-request"),
            (Field::EventOutcome, "failure"),
            (Field::SourceIp, "203.0.113.7"),
            (Field::UserName, "mia"),
            (Field::UrlPath, "/main.aspx"),
            (Field::UrlQuery, "etn=contact&id=1"),
            (Field::HttpStatus, "403"),
            (Field::UserAgent, "Mozilla/5.0 (X11)"),
        ],
    );
    assert_eq!(found.time, MOMENT);
    let other = "<Event><System><Provider Name=\"Microsoft-Windows-IIS-Logging\"/></System><EventData/></Event>";
    let mut grammar = parse::grammar("iis", &options()).expect("a format");
    assert!(matches!(grammar.parse(other, &mut Vec::new()), Verdict::Rejected(_)));
}

#[test]
fn an_error_log_may_have_its_stamp_in_iso_8601_and_a_leef_id_may_tell_the_outcome() {
    let line = "[2026-03-02 09:14:07.000001] [auth_basic:error] [pid 7] [client 203.0.113.7:5] AH01617: user mia: authentication failure for \"/crm\": Password Mismatch";
    let event = one("apache-error", line);
    holds(&event, &[(Field::EventAction, "login"), (Field::EventOutcome, "failure"), (Field::UserName, "mia")]);
    assert_eq!(event.time, MOMENT);
    let leef = "LEEF:2.0|Acme|CRM|1|LoginFailed|\tusrName=mia\tsrc=203.0.113.7";
    holds(&one("leef", leef), &[(Field::EventAction, "login"), (Field::EventOutcome, "failure")]);
}
