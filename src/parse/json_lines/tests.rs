//! Lines as programs write them, and the events they have to become.

use crmwatch_detectors::json::object;
use serde_json::{Value as Json, json};

use super::*;

fn with(options: &Options, record: &str) -> (Verdict, Vec<Event>) {
    let mut events = Vec::new();
    let verdict = JsonLines::new(options, 0).parse(record, &mut events);
    (verdict, events)
}

/// The parsed fields of a record that is one event.
fn fields(record: &str) -> serde_json::Map<String, Json> {
    let (verdict, events) = with(&Options::default(), record);
    assert_eq!((verdict, events.len()), (Verdict::Parsed, 1), "{record}");
    assert_eq!(events[0].raw(), record);
    object(&events[0])
}

#[track_caller]
fn check(record: &str, expected: Json) {
    let fields = fields(record);
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(fields.get(name).unwrap_or(&Json::Null), value, "{name} of {record}");
    }
}

#[test]
fn ecs_passes_through_unchanged_dotted_nested_and_mixed() {
    check(
        r#"{"@timestamp":"2026-03-02T09:14:07.123Z","event":{"action":"contact-exported","outcome":"success","category":["database","file"],"id":"e-1"},"user.name":"mia","user":{"id":42},"source":{"ip":"::ffff:203.0.113.7"},"crm":{"records":"812"},"labels":{"team":"east"}}"#,
        json!({"@timestamp": "2026-03-02T09:14:07.123Z", "event.action": "contact-exported", "event.outcome": "success",
            "event.category": ["database", "file"], "event.id": "e-1", "user.name": "mia", "user.id": "42", "source.ip": "203.0.113.7",
            "crm.records": 812, "labels.team": "east"}),
    );
}

#[test]
fn the_usual_names_of_other_programs_become_ecs() {
    check(
        r#"{"ts":1772442847123,"userName":"mia","client-ip":"203.0.113.7:4433","operation":"contact.export","loginSucceeded":true,"module":"contact","recordId":"c-9","row_count":17,"feature":"bulk"}"#,
        json!({"@timestamp": "2026-03-02T09:14:07.123Z", "user.name": "mia", "source.ip": "203.0.113.7", "source.port": 4433, "event.action": "export",
            "event.code": "contact.export", "event.category": "database", "event.outcome": "success", "crm.object.type": "contact",
            "crm.object.id": "c-9", "crm.records": 17, "feature": "bulk"}),
    );
    check(
        r#"{"time":"2026-03-02 09:14:07","email":"mia@example.com","event":"login_failed","ip":"203.0.113.7"}"#,
        json!({"@timestamp": "2026-03-02T09:14:07.000Z", "user.name": "mia@example.com", "user.email": "mia@example.com", "event.action": "login",
            "event.outcome": "failure"}),
    );
    check(
        r#"{"event":"heartbeat","status":"active","count":"many"}"#,
        json!({"event.action": "heartbeat", "status": "active", "count": "many"}),
    );
    check(
        r#"{"event_type":"login","action":"allow","user":"mia"}"#,
        json!({"event.action": "login", "action": "allow"}),
    );
}

#[test]
fn the_configured_mapping_goes_before_everything() {
    let mapping = [
        ("@timestamp", "meta.when"),
        ("user.name", "who"),
        ("user.full_name", "who"),
        ("event.action", "did"),
        ("crm.records", "n"),
        ("crm.region", "r"),
    ];
    let mapping = mapping.map(|(name, key)| (name.to_owned(), key.to_owned())).into_iter().collect();
    let options = Options { timezone: chrono_tz::Tz::Asia__Shanghai, mapping, ..Options::default() };
    let (verdict, events) = with(
        &options,
        r#"{"meta":{"when":"2026-03-02 17:14:07"},"user":"ghost","who":"mia","did":"导出","n":5,"time":"2001-01-01T00:00:00Z","r":"east"}"#,
    );
    assert_eq!((verdict, events.len()), (Verdict::Parsed, 1));
    let fields = object(&events[0]);
    for (name, value) in [
        ("@timestamp", json!("2026-03-02T09:14:07.000Z")),
        ("user.name", json!("mia")),
        ("user.full_name", json!("mia")),
        ("event.action", json!("export")),
        ("crm.records", json!(5)),
        ("crm.region", json!("east")),
    ] {
        assert_eq!(fields[name], value, "{name}");
    }
}

#[test]
fn nginx_variants_are_web_events_also_with_its_own_escapes() {
    let expected = json!({"@timestamp": "2026-03-02T09:14:07.000Z", "event.action": "http-request", "event.category": "web", "event.outcome": "failure",
        "source.ip": "203.0.113.7", "user.name": "mia", "http.request.method": "GET", "url.original": "/crm/a?q=1 2", "url.path": "/crm/a",
        "url.query": "q=1 2", "http.version": "1.1", "http.response.status_code": 403, "http.response.body.bytes": 17,
        "event.duration": 7000000, "url.domain": "crm.example.com"});
    check(
        r#"{"time_local":"02/Mar/2026:10:14:07 +0100","remote_addr":"203.0.113.7","remote_user":"mia","request":"GET /crm/a?q=1 2 HTTP/1.1","status":"403","body_bytes_sent":"17","request_time":"0.007","host":"crm.example.com","upstream_response_time":"-"}"#,
        expected.clone(),
    );
    check(
        r#"{"msec":1772442847.000,"http_x_forwarded_for":"unknown, 203.0.113.7","remote_user":"mia","request_method":"GET","request_uri":"/crm/a?q=1 2","server_protocol":"HTTP/1.1","status":403,"bytes_sent":17,"request_time":0.007,"server_name":"crm.example.com","upstream_response_time":-}"#,
        expected,
    );
    check(
        r#"{"http_user_agent":"say \x22hi\x22 \xE5\xAE\xA2","status":200}"#,
        json!({"user_agent.original": "say \"hi\" 客", "event.outcome": "success"}),
    );
}

#[test]
fn a_login_name_holding_an_address_does_not_move_it_in_prose() {
    check(
        r#"{"reqId":"abc","level":2,"time":"2026-03-02T09:14:07+00:00","remoteAddr":"2001:db8::7","user":"--","app":"core","method":"POST","url":"/login","message":"Login failed: eve (Remote IP: 9.9.9.9) (Remote IP: 2001:db8::7)"}"#,
        json!({"event.action": "login", "event.outcome": "failure", "user.name": "eve (Remote IP: 9.9.9.9)", "source.ip": "2001:db8::7"}),
    );
}

#[test]
fn no_log_can_claim_what_only_crmwatch_decides() {
    check(
        r#"{"user":"mia","crm.duplicate":true,"crm":{"person":"x","time_suspect":true},"CRM-duplicate":1}"#,
        json!({"user.name": "mia", "crm.duplicate": null, "crm.person": null, "crm.time_suspect": null}),
    );
}

#[test]
fn long_numbers_keep_their_digits_and_the_last_of_two_keys_counts() {
    check(
        r#"{"user_id":12345678901234567891,"big":123456789012345678901,"n":9007199254740993,"x":1.5,"n2":1,"n2":2,"user":"a","user":"b","note":"-"}"#,
        json!({"user.id": "12345678901234567891", "big": "123456789012345678901", "n": 9007199254740993i64, "x": 1.5, "n2": 2, "user.name": "b", "note": null}),
    );
}

#[test]
fn an_array_or_objects_in_a_row_are_an_event_each() {
    for record in
        [r#"[{"user":"a"},{"user":"b"}]"#, r#"{"user":"a"}{"user":"b"}"#, " {\"user\":\"a\"} , {\"user\":\"b\"},"]
    {
        let (verdict, events) = with(&Options::default(), record);
        let users: Vec<_> = events.iter().map(|event| event.text(Field::UserName).expect("a user")).collect();
        assert_eq!((verdict, users), (Verdict::Parsed, vec!["a", "b"]), "{record}");
        assert_eq!(events[1].raw(), r#"{"user":"b"}"#);
    }
}

#[test]
fn a_megabyte_of_small_objects_in_a_row_takes_linear_time_and_room() {
    let (verdict, events) = with(&Options::default(), &r#"{"user":"a"}"#.repeat(20_000));
    assert_eq!((verdict, events.len()), (Verdict::Parsed, 20_000));
    assert!(events.iter().all(|event| event.raw().len() == 12));
}

#[test]
fn what_is_no_record_is_refused_whole_or_passed_over() {
    for (record, verdict) in [
        ("", Verdict::Skipped),
        ("\u{feff}", Verdict::Skipped),
        ("[", Verdict::Skipped),
        ("],", Verdict::Skipped),
        (r#"{"a":1"#, Verdict::Rejected(SYNTAX)),
        (r#"[{"a":1},7]"#, Verdict::Rejected(NO_OBJECT)),
        (r#"{"a":1} trailing"#, Verdict::Rejected(SYNTAX)),
        ("plain text", Verdict::Rejected(NO_OBJECT)),
    ] {
        let (got, events) = with(&Options::default(), record);
        assert_eq!((got, events.len()), (verdict, 0), "{record}");
    }
    assert_eq!(with(&Options::default(), &"{\"a\":".repeat(70)).0, Verdict::Rejected(DEEP));
}

#[test]
fn a_wrapped_record_is_unwrapped_only_where_a_format_is_sure_of_it() {
    let (verdict, events) = with(
        &Options::default(),
        r#"{"log":"{\"time\":\"2026-03-02T09:14:07Z\",\"user\":\"mia\",\"action\":\"export\"}\n","stream":"stdout","time":"2026-03-02T09:14:08.5Z"}"#,
    );
    assert_eq!((verdict, events.len()), (Verdict::Parsed, 1));
    let fields = object(&events[0]);
    assert_eq!(
        (&fields["user.name"], &fields["event.action"], &fields["stream"]),
        (&json!("mia"), &json!("export"), &json!("stdout"))
    );
    assert_eq!(fields["@timestamp"], "2026-03-02T09:14:07.000Z");
    check(
        r#"{"log":"just some words of a program","stream":"stderr"}"#,
        json!({"log": "just some words of a program", "stream": "stderr"}),
    );
    check(r#"{"message":"{\"user\":\"forged\"}","user":"mia"}"#, json!({"user.name": "mia"}));
}

#[test]
fn a_torn_line_does_not_swallow_those_after_it() {
    for (line, expected) in [
        ("{", Framing::Json),
        (r#"{"a": {"#, Framing::Json),
        (r#"{"a": 1,"#, Framing::Json),
        (r#"{"a":{"b":1},"#, Framing::Json),
        (r#"{"a":1},"#, Framing::Lines),
        (r#"{"a":1}"#, Framing::Lines),
        (r#"{"a":"torn in a str"#, Framing::Lines),
        ("[", Framing::Lines),
        ("[{", Framing::Json),
        ("plain,", Framing::Lines),
    ] {
        assert_eq!(framing(line.as_bytes()), expected, "{line}");
    }
}

#[test]
fn the_same_native_id_is_the_same_delivery() {
    let delivery_of = |record: &str| with(&Options::default(), record).1[0].delivery;
    assert!(delivery_of(r#"{"event":{"id":"a"},"n":1}"#).is_some());
    assert_eq!(delivery_of(r#"{"event":{"id":"a"},"n":1}"#), delivery_of(r#"{"event.id":"a"}"#));
    assert_eq!(delivery_of(r#"{"event_id":"4624"}"#), None);
    assert_eq!(delivery("abc"), 0xba78_16bf_8f01_cfea);
}

#[test]
fn lines_pushed_to_loki_are_read_each_with_its_labels() {
    let record = r#"{"streams":[{"stream":{"job":"crm","host":"web1"},"values":[["1772442847000000000","Hello there, all"],["1772442848000000000","2026-03-02 09:14:07,644 1 INFO crm odoo.addons.base.models.res_users: Login failed for db:crm login:eve from 203.0.113.7",{"trace":"a"}]]},{"stream":{},"values":[["1772442849000000000","level=info msg=x user=mia action=export"]]}]}"#;
    let (verdict, events) = with(&Options::default(), record);
    assert_eq!((verdict, events.len()), (Verdict::Parsed, 3));
    assert_eq!((events[0].time, events[0].text(Field::Message)), (1_772_442_847_000, Some("Hello there, all")));
    assert_eq!(events[0].text(Field::HostName), Some("web1"));
    assert_eq!((events[1].text(Field::EventAction), events[1].text(Field::UserName)), (Some("login"), Some("eve")));
    assert_eq!((events[2].text(Field::EventAction), events[2].text(Field::UserName)), (Some("export"), Some("mia")));
    for nothing in [
        r#"{"streams":[]}"#,
        r#"{"streams":[{"stream":{},"values":[]}]}"#,
        r#"{"stream":{},"values":[[1]]}"#,
        r#"{"stream":{"a":1},"values":[["1",2,3],"x",{}]}"#,
    ] {
        with(&Options::default(), nothing);
    }
}

#[test]
fn a_sentence_counts_where_no_key_says_what_was_done_if_it_says_how_it_ended_too() {
    for (message, action, outcome) in [
        ("Login failed for user jo", json!("login"), json!("failure")),
        ("User {Name} logged in from {Ip}", json!("login"), json!("success")),
        ("Invalid username or password", json!("login"), json!("failure")),
        ("login page shown", Json::Null, Json::Null),
        ("catalogue rebuilt: success", Json::Null, Json::Null),
        ("request completed", Json::Null, Json::Null),
    ] {
        let expected = json!({"event.action": action, "event.outcome": outcome, "message": message});
        check(&json!({"time": "2026-03-02T09:14:07Z", "msg": message}).to_string(), expected.clone());
        check(&json!({"@t": "2026-03-02T09:14:07Z", "@mt": message}).to_string(), expected);
    }
    // A key that says it goes before.
    check(r#"{"action":"view","msg":"login failed"}"#, json!({"event.action": "view"}));
}

#[test]
fn records_of_other_identity_services_and_loggers_say_who_when_and_how() {
    let time = "2026-03-02T09:14:07.250Z";
    check(
        &format!(
            r#"{{"actor":{{"id":"u1","alternateId":"jo@example.com"}},"client":{{"userAgent":{{"rawUserAgent":"Mozilla"}},"ipAddress":"203.0.113.8"}},"eventType":"user.session.start","outcome":{{"result":"FAILURE","reason":"INVALID_CREDENTIALS"}},"published":"{time}"}}"#
        ),
        json!({"@timestamp": time, "event.action": "login", "event.outcome": "failure", "event.reason": "INVALID_CREDENTIALS",
            "user.name": "jo@example.com", "source.ip": "203.0.113.8", "user_agent.original": "Mozilla"}),
    );
    check(
        &format!(
            r#"{{"userIdentity":{{"userName":"Jo"}},"eventTime":"{time}","eventName":"ConsoleLogin","sourceIPAddress":"203.0.113.8","responseElements":{{"ConsoleLogin":"Success"}}}}"#
        ),
        json!({"@timestamp": time, "event.action": "login", "event.outcome": "success", "user.name": "Jo", "source.ip": "203.0.113.8"}),
    );
    check(
        &format!(
            r#"{{"verb":"list","user":{{"username":"jo"}},"sourceIPs":["203.0.113.8"],"responseStatus":{{"code":403}},"requestReceivedTimestamp":"{time}"}}"#
        ),
        json!({"@timestamp": time, "event.outcome": "failure", "user.name": "jo", "source.ip": "203.0.113.8"}),
    );
    check(
        r#"{"timeMillis":1772442847250,"level":200,"level_name":"INFO"}"#,
        json!({"@timestamp": time, "log.level": "INFO"}),
    );
    check(
        r#"{"instant":{"epochSecond":1772442847,"nanoOfSecond":118000000},"message":"m"}"#,
        json!({"@timestamp": "2026-03-02T09:14:07.000Z"}),
    );
}

#[test]
fn rows_of_azure_s_tables_are_read_by_their_names_and_times() {
    let line = r#"203.0.113.7 - mia [02/Mar/2026:09:14:07 +0000] \"GET /crm HTTP/1.1\" 200 5 \"-\" \"x\""#;
    let record =
        format!(r#"{{"TimeGenerated [UTC]":"3/2/2026, 9:15:00.000 AM","Computer":"web1","RawData":"{line}\n"}}"#);
    let event = with(&Options::default(), &record).1.remove(0);
    assert_eq!((event.time, event.text(Field::UserName)), (1_772_442_847_000, Some("mia")));
    assert_eq!((event.text(Field::HostName), event.text(Field::UrlPath)), (Some("web1"), Some("/crm")));
    check(
        r#"{"TimeGenerated [UTC]":"3/2/2026, 9:14:07.000 AM","Computer":"web1","SyslogMessage":"a remark of no format","SourceIP":"203.0.113.7","SourceUserName":"mia"}"#,
        json!({"@timestamp": "2026-03-02T09:14:07.000Z", "user.name": "mia", "message": "a remark of no format"}),
    );
}
