//! Records of each workload and packing, and the events they have to become.

use crmwatch_detectors::json::object;
use serde_json::{Value as Json, json};

use super::*;

const LOGIN: &str = r#"{"CreationTime":"2026-03-02T09:14:07","Id":"4af0b443-42dd-4dc6-9bd1-751a55441000","Operation":"UserLoggedIn","RecordType":15,"ResultStatus":"Succeeded","Workload":"AzureActiveDirectory","UserKey":"k-1","UserId":"mia@example.com","ClientIP":"203.0.113.7:63070","OrganizationId":"t-1","ErrorNumber":"0","ExtendedProperties":[{"Name":"UserAgent","Value":"Mozilla/5.0"}],"DeviceProperties":[{"Name":"SessionId","Value":"s-1"},{"Name":"OS","Value":"Windows 10"}]}"#;

fn parse(record: &str) -> (Verdict, Vec<Event>) {
    let mut events = Vec::new();
    let verdict = grammar(&Options::default()).parse(record, &mut events);
    (verdict, events)
}

#[track_caller]
fn check(record: &str, expected: Json) {
    let (verdict, events) = parse(record);
    assert_eq!((verdict, events.len()), (Verdict::Parsed, 1), "{record}");
    assert_eq!(events[0].raw(), record);
    let fields = object(&events[0]);
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(fields.get(name).unwrap_or(&Json::Null), value, "{name} of {record}");
    }
}

/// A record with these further keys.
fn record(operation: &str, record_type: u32, workload: &str, more: &str) -> String {
    format!(
        r#"{{"CreationTime":"2026-03-02T09:14:07","Id":"53c98033-cca4-4420-97e4-4c1b4f81e062","Operation":"{operation}","RecordType":{record_type},"Workload":"{workload}","UserId":"mia@example.com","ClientIP":"203.0.113.7"{more}}}"#
    )
}

#[test]
fn a_sign_in_is_a_login() {
    let expected = json!({"@timestamp": "2026-03-02T09:14:07.000Z", "event.action": "login", "event.outcome": "success", "event.category": "authentication",
        "user.name": "mia@example.com", "user.email": "mia@example.com", "user.id": "k-1", "source.ip": "203.0.113.7", "source.port": 63070,
        "user_agent.original": "Mozilla/5.0", "session.id": "s-1", "organization.id": "t-1", "event.id": "4af0b443-42dd-4dc6-9bd1-751a55441000",
        "event.code": "UserLoggedIn", "event.dataset": "m365.signin", "event.reason": null, "DeviceProperties.OS": "Windows 10"});
    check(LOGIN, expected.clone());
    check(
        &LOGIN.replace("\"CreationTime\"", "\"creationtime\"").replace("\"ClientIP\"", "\"clientIp\""),
        expected.clone(),
    );
    check(
        &format!(r#"{{"integration":"office365","office365":{}}}"#, LOGIN.replace(":15,", ":\"15\",")),
        expected.clone(),
    );
    check(&json!({"RecordId": "x", "AuditData": LOGIN}).to_string(), expected.clone());
    check(
        &format!("x,2026-03-02T09:14:07.0000000Z,15,UserLoggedIn,mia@example.com,\"{}\",", LOGIN.replace('"', "\"\"")),
        expected,
    );
}

#[test]
fn a_failed_login_is_a_failure_whatever_its_result_status_says() {
    let failed =
        LOGIN.replace("UserLoggedIn", "UserLoginFailed").replace("Succeeded", "Success").replace("\"0\"", "\"50126\"");
    check(&failed, json!({"event.action": "login", "event.outcome": "failure", "event.reason": "50126"}));
    check(&failed.replace("50126", "500121"), json!({"event.action": "mfa-denied", "event.outcome": "failure"}));
}

#[test]
fn the_verb_of_a_dynamics_record_is_its_message() {
    for (message, more, action) in [
        ("ExportToExcel", "", "export"),
        ("RetrieveMultiple", "", "list"),
        ("Retrieve", "", "view"),
        ("BulkDelete", "", "bulk-delete"),
        ("GrantAccess", "", "share"),
        ("Assign", "", "ownership-change"),
        ("Associate", r#","ItemType":"systemuserroles_association""#, "permission-change"),
        ("Associate", r#","ItemType":"account""#, "update"),
        ("UserSignIn", "", "login"),
        (
            "Update",
            r#","EntityName":"organization","Fields":[{"Name":"isauditenabled","Value":"False"}]"#,
            "audit-disable",
        ),
        ("WhoAmI", "", "info"),
    ] {
        let record = record("CrmDefaultActivity", 21, "CRM", &format!(r#","Message":"{message}"{more}"#));
        check(
            &record,
            json!({"event.action": action, "event.code": message, "event.dataset": "m365.crm", "Operation": "CrmDefaultActivity"}),
        );
    }
    check(
        &record("Delete", 21, "CRM", r#","Message":"Delete""#),
        json!({"event.action": "delete", "event.code": "Delete"}),
    );
}

#[test]
fn distinct_ids_of_a_part_are_its_records() {
    let (a, b) = ("11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222");
    let more = format!(
        r#","Message":"RetrieveMultiple","CRMOrganizationUniqueName":"org1","EntityName":"contact","EntityId":"00000000-0000-0000-0000-000000000000","CorrelationId":"c-1","Query":"<fetch/>","QueryResults":"{a},{b},{a}""#
    );
    check(
        &record("CrmDefaultActivity", 21, "CRM", &more),
        json!({"crm.records": 2, "crm.correlation_id": "c-1", "crm.object.type": "contact", "crm.object.id": null, "crm.query": "<fetch/>",
            "organization.name": "org1"}),
    );
    check(&record("RetrieveMultiple", 21, "CRM", r#","QueryResults":["x","y","y"]"#), json!({"crm.records": 2}));
}

#[test]
fn directory_changes_name_what_was_granted_and_to_whom() {
    check(
        &record(
            "Add member to role.",
            8,
            "AzureActiveDirectory",
            r#","ObjectId":"bob@example.com","ModifiedProperties":[{"Name":"Role.DisplayName","NewValue":"\"Global Administrator\"","OldValue":""}]"#,
        ),
        json!({"event.action": "permission-change", "crm.permission": "Global Administrator", "user.target.name": "bob@example.com",
            "user.name": "mia@example.com", "event.category": "iam"}),
    );
    check(
        &record(
            "Consent to application.",
            8,
            "AzureActiveDirectory",
            r#","ObjectId":"app-1","Target":[{"ID":"ServicePrincipal","Type":2},{"ID":"Mail Helper","Type":1}],"ModifiedProperties":[{"Name":"ConsentAction.Permissions","NewValue":"[] => [[Id: 1, Scope:  Mail.Read offline_access, CreatedDateTime: ]]","OldValue":""}]"#,
        ),
        json!({"event.action": "oauth-grant", "crm.oauth.client.id": "app-1", "crm.oauth.client.name": "Mail Helper", "crm.oauth.scopes": "Mail.Read offline_access"}),
    );
    let audit = |value: &str| {
        record(
            "Set-AdminAuditLogConfig",
            1,
            "Exchange",
            &format!(r#","Parameters":[{{"Name":"UnifiedAuditLogIngestionEnabled","Value":"{value}"}}]"#),
        )
    };
    check(&audit("False"), json!({"event.action": "audit-disable"}));
    check(&audit("True"), json!({"event.action": "settings-change"}));
}

#[test]
fn shares_say_how_far_they_reach() {
    for (operation, more, scope) in [
        ("AnonymousLinkCreated", "", json!("public")),
        ("CompanyLinkCreated", "", json!("internal")),
        (
            "AddedToSecureLink",
            r#","TargetUserOrGroupType":"Guest","TargetUserOrGroupName":"eve@example.org""#,
            json!("external"),
        ),
        ("SharingSet", "", Json::Null),
    ] {
        check(
            &record(operation, 14, "SharePoint", more),
            json!({"event.action": "share", "crm.share.scope": scope, "event.outcome": "success"}),
        );
    }
}

#[test]
fn the_first_real_address_of_three_is_the_client() {
    for (text, more, ip, address) in [
        ("203.0.113.7", "", json!("203.0.113.7"), Json::Null),
        ("::ffff:203.0.113.7", "", json!("203.0.113.7"), Json::Null),
        ("[2001:db8::1]:443", "", json!("2001:db8::1"), Json::Null),
        ("FE80::", "", json!("fe80::"), Json::Null),
        ("<null>", r#","ActorIpAddress":"203.0.113.9""#, json!("203.0.113.9"), Json::Null),
        ("0.0.0.0", r#","ClientIPAddress":"203.0.113.9""#, json!("203.0.113.9"), Json::Null),
        ("0.0.0.0", "", json!("0.0.0.0"), Json::Null),
        ("sanitized", "", Json::Null, json!("sanitized")),
        ("", "", Json::Null, Json::Null),
    ] {
        let record = record("FileDownloaded", 6, "SharePoint", more)
            .replace("\"ClientIP\":\"203.0.113.7\"", &format!("\"ClientIP\":\"{text}\""));
        check(&record, json!({"source.ip": ip, "source.address": address, "event.action": "file-download"}));
    }
}

#[test]
fn an_array_is_an_event_for_each_record_and_a_header_none() {
    let (verdict, events) = parse(&format!("[{LOGIN},{LOGIN}]"));
    assert_eq!((verdict, events.len()), (Verdict::Parsed, 2));
    assert_eq!(events[0].delivery, events[1].delivery);
    assert!(events[0].delivery.is_some());
    assert_eq!(parse("\u{feff}RecordId,CreationDate,RecordType,Operation,UserId,AuditData").0, Verdict::Skipped);
    assert_eq!(parse("").0, Verdict::Skipped);
}

#[test]
fn other_json_and_forged_facts_are_not_taken() {
    assert_eq!(parse(r#"{"user":"mia"}"#), (Verdict::Rejected(OTHER), vec![]));
    assert_eq!(parse("a,b,c"), (Verdict::Rejected(NO_OBJECT), vec![]));
    assert_eq!(parse(&format!("[{LOGIN},{{}}]")), (Verdict::Rejected(OTHER), vec![]));
    check(
        &record("FileAccessed", 6, "SharePoint", r#","crm.duplicate":true,"user.name":"ghost""#),
        json!({"crm.duplicate": null, "user.name": "mia@example.com"}),
    );
}

#[test]
fn every_packing_is_recognised_and_other_json_is_not() {
    for text in [
        LOGIN.to_owned(),
        format!("[{LOGIN}]"),
        json!({"AuditData": LOGIN}).to_string(),
        format!("a,\"{}\"", LOGIN.replace('"', "\"\"")),
        "RecordId,CreationDate,RecordType,Operation,UserId,AuditData".to_owned(),
    ] {
        assert!(sniff(&text) >= 90, "{text}");
    }
    for text in [r#"{"user":"mia","action":"login"}"#, "", "a,b,c", "2026-03-02 INFO AuditData was read"] {
        assert_eq!(sniff(text), 0, "{text}");
    }
}

#[test]
fn a_second_factor_given_or_taken_away_is_told_though_the_operation_only_says_update() {
    for (old, new, action) in [
        ("[]", r#"[{\"MethodType\": 7}]"#, "mfa-enrolled"),
        (r#"[{\"MethodType\": 7}]"#, "[]", "mfa-removed"),
        (r#"[{\"MethodType\": 7}]"#, r#"[{\"MethodType\": 6}]"#, "info"),
    ] {
        let more = format!(
            r#","ObjectId":"bob@example.com","UserKey":"Not Available","ModifiedProperties":[{{"Name":"StrongAuthenticationMethod","NewValue":"{new}","OldValue":"{old}"}}]"#
        );
        check(
            &record("Update user.", 8, "AzureActiveDirectory", &more),
            json!({"event.action": action, "user.target.name": "bob@example.com"}),
        );
    }
}
