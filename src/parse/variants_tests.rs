//! Lines as programs and collectors write them that stand in no fixture: other releases, locales, field orders and wrappings, each told by
//! `auto`. Not for hostile lines (`hostile`), nor for what one format alone has to do.

use super::trial::holds;
use super::{Framing, Options, Verdict, grammar, web};
use crmwatch_detectors::{Event, Field};

const ACCESS: &str = r#"203.0.113.7 - mia [02/Mar/2026:09:14:07 +0000] "POST /index.php?entryPoint=export HTTP/2.0" 200 52310 "https://crm.example.com/" "Mozilla/5.0""#;
const ODOO: &str = "2026-03-02 09:14:07,123 12 INFO crm odoo.addons.base.models.res_users: Login failed for db:crm login:mia from 203.0.113.7";

/// All events of a text's records, as `crmwatch parse` would give them.
#[track_caller]
fn events(text: &str) -> Vec<Event> {
    let tables = web::Tables::shipped();
    let mut grammar = grammar("auto", &Options { year: 2026, ..Options::default() }).expect("a format");
    let mut events = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut record = line.to_owned();
        while grammar.framing(line.as_bytes()) == Framing::QuotedCsv && record.matches('"').count() % 2 == 1 {
            record.push('\n');
            record.push_str(lines.next().expect("the quote is closed"));
        }
        let verdict = grammar.parse(&record, &mut events);
        assert!(!matches!(verdict, Verdict::Rejected(_)), "{verdict:?}: {record}");
    }
    events.iter_mut().for_each(|event| tables.apply(event));
    events
}

/// The one event of a text: when in milliseconds after 09:14:07 of the second of March 2026, what, how, who, from where.
#[track_caller]
fn check(text: &str, action: &str, outcome: &str, user: &str, address: &str) -> Event {
    let events = events(text);
    let [event] = &events[..] else { panic!("{} events of {text}", events.len()) };
    assert_eq!(event.time / 1_000, 1_772_442_847, "{text}");
    let expected = [
        (Field::EventAction, action),
        (Field::EventOutcome, outcome),
        (Field::UserName, user),
        (Field::SourceIp, address),
    ];
    holds(event, &expected, text);
    event.clone()
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[test]
fn a_line_is_found_in_whatever_a_collector_puts_around_it() {
    for (line, action, outcome) in [(ACCESS, "export", "success"), (ODOO, "login", "failure")] {
        let quoted = json(line);
        for packed in [
            format!(
                r#"{{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"/crm","logStream":"web1","logEvents":[{{"id":"3195","timestamp":1772442848000,"message":{quoted}}}]}}"#
            ),
            format!(
                r#"{{"events":[{{"logStreamName":"web1","timestamp":1772442848000,"message":{quoted},"eventId":"1"}}],"searchedLogStreams":[]}}"#
            ),
            format!(r#"{{"time":1772442848.123,"host":"web1","sourcetype":"x","event":{quoted}}}"#),
            format!(
                r#"{{"preview":false,"result":{{"_raw":{quoted},"_time":"2026-03-02T09:14:08.000+00:00","host":"web1"}}}}"#
            ),
            format!(r#"{{"line":{quoted},"timestamp":"2026-03-02T09:14:08Z","labels":{{"job":"web"}}}}"#),
            format!(r#"{{"insertId":"a1b2c3d4e5f8","textPayload":{quoted},"timestamp":"2026-03-02T09:14:08Z"}}"#),
            format!(
                r#"{{"resourceLogs":[{{"resource":{{}},"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"1772442848123456789","body":{{"stringValue":{quoted}}}}}]}}]}}]}}"#
            ),
            format!(r#"{{"content":{{"timestamp":"2026-03-02T09:14:08Z","host":"web1","message":{quoted}}}}}"#),
            format!("2026-03-02T09:14:08.123456789Z {line}"),
            format!("[pod/web-0/web] {line}"),
            format!("[pod/web-0/web] 2026-03-02T09:14:08.123456789Z {line}"),
        ] {
            check(&packed, action, outcome, "mia", "203.0.113.7");
        }
    }
}

#[test]
fn a_record_is_found_under_whatever_keys_a_program_puts_it() {
    for record in [
        r#"{"_index":"logs","_source":{"@timestamp":"2026-03-02T09:14:07Z","user":{"name":"mia"},"event":{"action":"export","outcome":"success"},"source":{"ip":"203.0.113.7"}}}"#,
        r#"{"took":2,"hits":{"total":{"value":1},"hits":[{"_source":{"@timestamp":"2026-03-02T09:14:07Z","user":{"name":"mia"},"event":{"action":"export","outcome":"success"},"source":{"ip":"203.0.113.7"}}}]}}"#,
        r#"{"time":1772442847.1,"host":"crm","event":{"user":"mia","action":"export","result":"ok","src_ip":"203.0.113.7"}}"#,
        r#"{"insertId":"a1","jsonPayload":{"user":"mia","action":"export","result":"ok","ip":"203.0.113.7"},"timestamp":"2026-03-02T09:14:07Z"}"#,
        r#"{"message":"exported","context":{"user":"mia","action":"export","ip":"203.0.113.7","success":true},"level":200,"datetime":"2026-03-02T09:14:07.1+00:00"}"#,
        r#"{"_id":{"$oid":"65e2"},"user":"mia","action":"export","success":true,"ip":"203.0.113.7","timestamp":{"$date":{"$numberLong":"1772442847123"}}}"#,
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1772442847123456789","attributes":[{"key":"user","value":{"stringValue":"mia"}},{"key":"action","value":{"stringValue":"export"}},{"key":"result","value":{"stringValue":"ok"}},{"key":"client_ip","value":{"stringValue":"203.0.113.7"}}]}]}]}]}"#,
    ] {
        check(record, "export", "success", "mia", "203.0.113.7");
    }
    let counted = r#"{"user":"mia","action":"export","count":{"$numberLong":"1200"},"timestamp":{"$date":"2026-03-02T09:14:07Z"}}"#;
    assert_eq!(events(counted)[0].integer(Field::Records), Some(1_200));
}

#[test]
fn what_ecs_says_of_a_record_is_no_object_and_no_surer_key_gives_way() {
    let record = r#"{"@timestamp":"2026-03-02T09:14:07Z","event":{"action":"view","module":"nginx","kind":"event"},"user":{"name":"mia"},"data":{"user":"jo"}}"#;
    let found = &events(record)[0];
    holds(found, &[(Field::UserName, "mia"), (Field::ObjectType, "")], record);
    assert!(found.others().any(|(name, _)| name == "data.user"));
}

#[test]
fn requests_are_told_in_the_json_of_every_server_and_collector() {
    for record in [
        r#"{"@timestamp":"2026-03-02T09:14:07Z","nginx":{"access":{"remote_ip":"203.0.113.7","user_name":"mia","method":"GET","url":"/index.php?module=Contacts&action=index","http_version":"1.1","response_code":"200","body_sent":{"bytes":"512"},"agent":"x"}}}"#,
        r#"{"@timestamp":"2026-03-02T09:14:07Z","message":"x","path":"/var/log/nginx/access.log","clientip":"203.0.113.7","auth":"mia","timestamp":"02/Mar/2026:09:14:07 +0000","verb":"GET","request":"/index.php?module=Contacts&action=index","response":"200"}"#,
        r#"{"insertId":"a1","httpRequest":{"requestMethod":"GET","requestUrl":"https://crm.example.com/index.php?module=Contacts&action=index","status":200,"remoteIp":"203.0.113.7"},"jsonPayload":{"user":"mia"},"timestamp":"2026-03-02T09:14:07Z"}"#,
        r#"{"records":[{"time":"2026-03-02T09:14:07Z","category":"AppServiceHTTPLogs","properties":{"CsMethod":"GET","CsUriStem":"/index.php","CsUriQuery":"module=Contacts&action=index","CIp":"203.0.113.7","ScStatus":200,"CsUsername":"mia"}}]}"#,
        "2026/03/02 09:14:07.123\tINFO\thttp.log.access.log0\thandled request\t{\"request\": {\"client_ip\": \"203.0.113.7\", \"proto\": \"HTTP/2.0\", \"method\": \"GET\", \"host\": \"crm\", \"uri\": \"/index.php?module=Contacts&action=index\"}, \"user_id\": \"mia\", \"duration\": 0.0021, \"size\": 512, \"status\": 200}",
        r#"203.0.113.7 - mia [2026-03-02T09:14:07+00:00] "GET /index.php?module=Contacts&action=index HTTP/1.1" 200 5231 "-" "x""#,
    ] {
        let event = check(record, "list", "success", "mia", "203.0.113.7");
        holds(&event, &[(Field::ObjectType, "Contacts"), (Field::HttpMethod, "GET")], record);
    }
}

#[test]
fn exports_of_login_pages_and_trails_say_what_was_done_whatever_else_their_words_name() {
    for (text, action, outcome, user, address) in [
        (
            "\"Username\",\"Login Time\",\"Source IP\",\"Login Type\",\"Status\",\"Browser\"\n\"mia\",\"02.03.2026 10:14:07 CET\",\"203.0.113.7\",\"Application\",\"Invalid Password\",\"Chrome\"",
            "login",
            "failure",
            "mia",
            "203.0.113.7",
        ),
        (
            "\"Date\",\"User\",\"Source Namespace Prefix\",\"Action\",\"Section\",\"Delegate User\"\n\"3/2/2026 1:14:07 AM PST\",\"admin\",\"\",\"Assigned permission set Export Reports to user Mia\",\"Manage Users\",\"\"",
            "permission-change",
            "success",
            "admin",
            "",
        ),
        (
            "Date (UTC),CorrelationId,Service,Category,Activity,Result,ActorUserPrincipalName,IPAddress,Target1UserPrincipalName,Target1ModifiedProperty1Name,Target1ModifiedProperty2Name,Target2ModifiedProperty1Name,Target3ModifiedProperty1Name\n2026-03-02T09:14:07Z,c,Core Directory,UserManagement,Reset user password,success,admin,203.0.113.7,mia,,,,",
            "password-reset",
            "success",
            "admin",
            "203.0.113.7",
        ),
        (
            "Username,IP Address,Created At,Is Denied,Denial Reason\nmia,203.0.113.7,2026-03-02 09:14:07,1,CREDENTIALS",
            "login",
            "failure",
            "mia",
            "203.0.113.7",
        ),
        (
            "Time;User;IP;Action\n02.03.2026 09:14:07;mia;203.0.113.7;\"Exported; all\"",
            "export",
            "success",
            "mia",
            "203.0.113.7",
        ),
        (
            "时间\t成员\t类型\tIP\n2026-03-02 17:14:07\t小云\t批量删除\t203.0.113.7",
            "bulk-delete",
            "success",
            "小云",
            "203.0.113.7",
        ),
    ] {
        check(text, action, outcome, user, address);
    }
}

#[test]
fn application_logs_of_other_locales_and_releases_are_read() {
    check(
        "Mo 02 Mär 2026 10:14:07 CET [1187][-none-][FATAL] FAILED LOGIN:attempts[1] - mia",
        "login",
        "failure",
        "mia",
        "",
    );
    check(
        "Mon 02 Mar 2026 09:14:07 AM UTC [1187][-none-][FATAL] FAILED LOGIN:attempts[1] - mia",
        "login",
        "failure",
        "mia",
        "",
    );
    check(
        r#"[2026-03-02T09:14:07.123456+00:00] security.INFO: User has been authenticated successfully. {"username":"mia"} []"#,
        "login",
        "success",
        "mia",
        "",
    );
    check(
        "5f7b2 2f1c2 - admin 4ms 0ms - 2026-03-02T09:14:07+00:00 WARN (4): Tinebase_Controller::login::106 Login with username mia from 203.0.113.7 failed (-3)!",
        "login",
        "failure",
        "mia",
        "203.0.113.7",
    );
    check(
        "2026-03-02 09:14:07,123 12 INFO crm odoo.addons.base.models.res_users: Password change for mia (#7) by admin (#2) from 203.0.113.7",
        "password-change",
        "success",
        "admin",
        "203.0.113.7",
    );
}

#[test]
fn vendors_records_are_read_in_the_shapes_of_their_other_interfaces() {
    let record = r#"{"CreationTime":"2026-03-02T09:14:07","Id":"53c98033-cca4-4420-97e4-4c1b4f81e062","Operation":"CrmDefaultActivity","RecordType":21,"Workload":"CRM","ClientIP":"203.0.113.7","UserId":"mia","Message":"ExportToExcel","ResultStatus":"Success"}"#;
    let graph = format!(
        r#"{{"id":"53c9","createdDateTime":"2026-03-02T09:14:07Z","auditLogRecordType":"crm","operation":"CrmDefaultActivity","auditData":{record}}}"#
    );
    for text in [graph, format!("[\n{record}")] {
        check(&text, "export", "success", "mia", "203.0.113.7");
    }
    let change = r#"{"data":{"payload":{"ChangeEventHeader":{"entityName":"Contact","recordIds":["0033X00000BoLQRQA3","0033X00000BoLQSQA3"],"changeType":"DELETE","transactionKey":"t","sequenceNumber":1,"commitTimestamp":1772442847000,"commitUser":"0053X00000BoLQRQA3"}},"event":{"replayId":1}}}"#;
    let event = check(change, "delete", "success", "", "");
    holds(
        &event,
        &[(Field::ObjectType, "Contact"), (Field::Records, "2"), (Field::UserId, "0053X00000BoLQRQA3")],
        change,
    );
    let lower = r#"{"event_type":"ReportExport","timestamp":"20260302091407.123","request_id":"4x","user_id":"0053X00000BoLQR","client_ip":"203.0.113.7","report_description":"?xf=csv"}"#;
    check(lower, "export", "unknown", "", "203.0.113.7");
    let google = r#"{"insertId":"x1","protoPayload":{"authenticationInfo":{"principalEmail":"mia@example.com"},"requestMetadata":{"callerIp":"203.0.113.7"},"methodName":"google.login.LoginService.loginFailure"},"timestamp":"2026-03-02T09:14:07Z"}"#;
    check(google, "login", "failure", "mia@example.com", "203.0.113.7");
}

#[test]
fn transports_as_senders_really_write_them_are_read() {
    check(
        "2026-03-02T09:14:07Z fw1 CEF:0|Acme Soft|VPN-1|1|Log|Log In|3|act=Accept src=203.0.113.7 suser=mia",
        "login",
        "success",
        "mia",
        "203.0.113.7",
    );
    check(
        "CEF:0|Acme|CRM|1|login|User login|3|deviceReceiptTime=Mar 02 2026 09:14:07 UTC sourceUserName=mia sourceAddress=203.0.113.7 eventOutcome=failure",
        "login",
        "failure",
        "mia",
        "203.0.113.7",
    );
    check(
        r#"{"__REALTIME_TIMESTAMP":"1772442847123456","_HOSTNAME":"web1","SYSLOG_IDENTIFIER":"sshd","MESSAGE":"Failed password for invalid user mia from 203.0.113.7 port 51234 ssh2"}"#,
        "login",
        "failure",
        "mia",
        "203.0.113.7",
    );
    check(
        "<134>Mar  2 09:14:08 lb haproxy[1234]: [2001:db8::7]:51234 [02/Mar/2026:09:14:07.101] fe be/web1 0/0/1/23/24 200 5123 - - ---- 12/10/3/2/0 0/0 \"GET /x HTTP/1.1\"",
        "http-request",
        "success",
        "",
        "2001:db8::7",
    );
    let table = "Mar  2 09:14:07 h export: \"EVENT_TYPE\",\"TIMESTAMP\",\"USER_ID\",\"CLIENT_IP\"\nMar  2 09:14:07 h export: \"Logout\",\"20260302091407.1\",\"0053X00000BoLQR\",\"203.0.113.7\"";
    check(table, "logout", "unknown", "", "203.0.113.7");
    check(
        "#Fields: date time c-ip cs-username cs-method cs-uri-stem sc-status sc-win32-status\n2026-03-02 09:14:07 203.0.113.7 mia PASS *** 530 1326",
        "login",
        "failure",
        "mia",
        "203.0.113.7",
    );
}

#[test]
fn a_trace_that_php_wrote_through_the_server_goes_on_from_its_entry() {
    let text = "[Mon Mar 02 09:14:07.123456 2026] [php:error] [pid 812] [client 203.0.113.7:51234] PHP Fatal error:  Uncaught Error: x in /a.php:3\nStack trace:\n#0 {main}\n  thrown in /a.php on line 3";
    let found = events(text);
    assert_eq!(found.len(), 1, "the rest is made events of by the caller");
    let mut grammar = grammar("apache-error", &Options::default()).expect("a format");
    assert_eq!(grammar.parse("Stack trace:", &mut Vec::new()), Verdict::Rejected("no error log entry"));
}

#[test]
fn a_page_load_of_espocrm_is_a_login_of_whom_the_server_names() {
    let line = |user: &str| {
        format!(r#"203.0.113.7 - {user} [02/Mar/2026:09:14:07 +0000] "GET /api/v1/App/user HTTP/1.1" 200 5120 "-" "x""#)
    };
    check(&line("mia"), "login", "success", "mia", "203.0.113.7");
    check(&line("-"), "api-call", "success", "", "203.0.113.7");
}
