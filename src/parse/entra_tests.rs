//! Records of Entra ID in each of its shapes, and the events they have to become.

use super::super::trial::{event, holds};
use super::*;
use crate::parse::Options;

const SIGN_IN: &str = r#"{"id":"77777777-7777-7777-7777-777777777777","createdDateTime":"2026-03-02T09:14:07.7062186Z","userDisplayName":"Mia Roth","userPrincipalName":"mia@example.com","userId":"u-1","appId":"a-1","appDisplayName":"CRM","ipAddress":"203.0.113.7","clientAppUsed":"Browser","userAgent":"Mozilla/5.0","isInteractive":true,"status":{"errorCode":CODE,"failureReason":"REASON"},"deviceDetail":{"deviceId":"d-1","operatingSystem":"Windows 10"},"location":{"city":"Bordeaux","countryOrRegion":"FR"},"authenticationDetails":[{"succeeded":true}],"correlationId":"c-1"}"#;

fn sign_in(code: &str, reason: &str) -> String {
    SIGN_IN.replace("CODE", code).replace("REASON", reason)
}

#[track_caller]
fn check(record: &str, expected: &[(Field, &str)]) -> Event {
    assert!((FORMAT.sniff)(record) >= 90, "{record}");
    let event = event((FORMAT.grammar)(&Options::default()), record);
    holds(&event, expected, record);
    event
}

#[test]
fn a_sign_in_is_read_alone_and_in_the_envelope_of_diagnostic_settings() {
    let expected = [
        (Field::EventAction, "login"),
        (Field::EventOutcome, "success"),
        (Field::UserName, "mia@example.com"),
        (Field::UserEmail, "mia@example.com"),
        (Field::UserId, "u-1"),
        (Field::SourceIp, "203.0.113.7"),
        (Field::UserAgent, "Mozilla/5.0"),
        (Field::OauthClientName, "CRM"),
        (Field::DeviceId, "d-1"),
        (Field::EventId, "77777777-7777-7777-7777-777777777777"),
        (Field::EventDataset, "entra.signin"),
    ];
    let bare = sign_in("0", "");
    assert_eq!(check(&bare, &expected).time, 1_772_442_847_706);
    check(&format!(r#"{{"value":[{bare}]}}"#), &expected);
    let wrapped = format!(
        r#"{{"time":"2026-03-02T09:15:00.0000000Z","resourceId":"/tenants/t","operationName":"Sign-in activity","category":"SignInLogs","tenantId":"t-1","resultType":"0","callerIpAddress":"198.51.100.1","correlationId":"c-1","Level":4,"properties":{bare}}}"#
    );
    assert_eq!(check(&wrapped, &expected).time, 1_772_442_847_706);
    check(&format!(r#"{{"records":[{wrapped}]}}"#), &expected);
    assert!(check(&wrapped, &[]).delivery.is_some());
}

#[test]
fn steps_on_the_way_are_no_failures_and_a_refused_second_factor_is_one_of_its_own() {
    check(
        &sign_in("50126", "Invalid username or password."),
        &[
            (Field::EventAction, "login"),
            (Field::EventOutcome, "failure"),
            (Field::EventReason, "Invalid username or password."),
        ],
    );
    check(
        &sign_in("\"50158\"", "External security challenge"),
        &[(Field::EventAction, "login"), (Field::EventOutcome, "unknown")],
    );
    check(
        &sign_in("50074", "Strong authentication is required."),
        &[(Field::EventAction, "mfa-challenge"), (Field::EventOutcome, "unknown")],
    );
    check(
        &sign_in("500121", "Authentication failed during strong authentication request."),
        &[(Field::EventAction, "mfa-denied"), (Field::EventOutcome, "failure")],
    );
    check(&sign_in("9999999", ""), &[(Field::EventOutcome, "failure"), (Field::EventReason, "9999999")]);
}

#[test]
fn a_token_renewed_in_the_background_is_no_login_by_a_person() {
    let record = sign_in("0", "").replace("\"isInteractive\":true", "\"isInteractive\":false");
    check(&record, &[(Field::EventAction, "api-call"), (Field::LoginType, "non-interactive")]);
    let service = r#"{"time":"2026-03-02T09:15:00Z","operationName":"Sign-in activity","category":"ServicePrincipalSignInLogs","tenantId":"t-1","resultType":"0","callerIpAddress":"203.0.113.9","correlationId":"c","properties":{"id":"66666666-6666-6666-6666-666666666666","createdDateTime":"2026-03-02T09:14:07Z","servicePrincipalName":"sync","appId":"a-9","ipAddress":"203.0.113.9","status":{"errorCode":0}}}"#;
    check(service, &[(Field::EventAction, "api-call"), (Field::UserName, "sync"), (Field::LoginType, "service")]);
}

#[test]
fn a_directory_audit_names_actor_target_and_what_was_granted() {
    let audit = r#"{"id":"Directory_1_2_345678","category":"RoleManagement","correlationId":"c","result":"success","resultReason":"","activityDisplayName":"Add member to role","activityDateTime":"2026-03-02T09:14:07.5Z","loggedByService":"Core Directory","initiatedBy":{"user":{"id":"u-1","userPrincipalName":"mia@example.com","ipAddress":"203.0.113.7"},"app":null},"targetResources":[{"id":"u-2","displayName":null,"type":"User","userPrincipalName":"jo@example.com","modifiedProperties":[{"displayName":"Role.DisplayName","oldValue":null,"newValue":"\"Global Administrator\""}]}]}"#;
    let expected = [
        (Field::EventAction, "permission-change"),
        (Field::EventOutcome, "success"),
        (Field::UserName, "mia@example.com"),
        (Field::UserTargetName, "jo@example.com"),
        (Field::UserTargetId, "u-2"),
        (Field::Permission, "Global Administrator"),
        (Field::SourceIp, "203.0.113.7"),
        (Field::EventCode, "Add member to role"),
    ];
    check(audit, &expected);
    check(
        &format!(
            r#"{{"time":"2026-03-02T09:14:08Z","operationName":"Add member to role","category":"AuditLogs","tenantId":"t","correlationId":"c","callerIpAddress":"<null>","properties":{audit}}}"#
        ),
        &expected,
    );
    for (name, action) in [
        ("Consent to application", "oauth-grant"),
        ("Add user", "user-create"),
        ("Disable account", "user-disable"),
        ("User registered security info", "mfa-enrolled"),
        ("User deleted security info", "mfa-removed"),
        ("Update device", "info"),
    ] {
        check(&audit.replace("Add member to role", name), &[(Field::EventAction, action)]);
    }
}

#[test]
fn the_flat_form_of_log_analytics_is_read_by_its_own_keys() {
    let record = r#"{"TimeGenerated":"2026-03-02T09:14:07Z","Category":"SignInLogs","OperationName":"Sign-in activity","UserPrincipalName":"mia@example.com","IPAddress":"203.0.113.7","ResultType":"50126","ResultDescription":"Invalid username or password","AppDisplayName":"CRM","CorrelationId":"c","IsInteractive":true,"Status":"{\"errorCode\":50126}"}"#;
    check(
        record,
        &[
            (Field::EventAction, "login"),
            (Field::EventOutcome, "failure"),
            (Field::UserName, "mia@example.com"),
            (Field::SourceIp, "203.0.113.7"),
        ],
    );
}

#[test]
fn risks_and_graph_calls_are_kept_as_what_they_are() {
    let risk = r#"{"time":"3/24/2026 2:42:35 PM","operationName":"User Risk Detection","category":"UserRiskEvents","tenantId":"t","correlationId":"c","properties":{"id":"7c7668bf6b9324b33680508b470da819","riskEventType":"unfamiliarFeatures","riskState":"atRisk","ipAddress":"203.0.113.7","activityDateTime":"2026-03-24T14:40:04.234Z","userPrincipalName":"mia@example.com"}}"#;
    check(
        risk,
        &[
            (Field::EventAction, "info"),
            (Field::EventKind, "alert"),
            (Field::EventReason, "unfamiliarFeatures"),
            (Field::UserName, "mia@example.com"),
        ],
    );
    let graph = r#"{"time":"2026-03-02T09:14:07Z","operationName":"Microsoft Graph Activity","category":"MicrosoftGraphActivityLogs","resultSignature":"403","callerIpAddress":"203.0.113.7","correlationId":"c","properties":{"timeGenerated":"2026-03-02T09:14:07Z","requestId":"r-1","requestMethod":"GET","responseStatusCode":403,"appId":"a-1","UserPrincipalObjectID":"u-1","scopes":"User.Read","ipAddress":"203.0.113.7","requestUri":"https://graph.example.com/v1.0/users"}}"#;
    check(
        graph,
        &[
            (Field::EventAction, "api-call"),
            (Field::EventOutcome, "failure"),
            (Field::UserId, "u-1"),
            (Field::HttpStatus, "403"),
        ],
    );
}

#[test]
fn stamps_as_the_portal_exports_them_are_read() {
    let record = r#"{"TimeGenerated [UTC]":"3/2/2026, 9:14:07.000 AM","UserPrincipalName":"mia@example.com","IPAddress":"203.0.113.7","ResultType":"0","AppDisplayName":"CRM"}"#;
    let event = check(record, &[(Field::EventAction, "login"), (Field::UserName, "mia@example.com")]);
    assert_eq!(event.time, 1_772_442_847_000);
}
