//! Rules in the shape of the public collections, from the raw line through our own parsers to the finding. Rules and lines are written
//! for this test, after the fields that the vendors and the collections name.

use std::collections::BTreeSet;
use std::fs;

use crate::program::run;

/// File, format, lines.
const LOGS: &[(&str, &str, &[&str])] = &[
    (
        "m365.jsonl",
        "m365-audit",
        &[
            r#"{"CreationTime":"2026-01-05T08:00:00","Id":"0000000000000000000000000000000000m1","RecordType":1,"Operation":"New-InboxRule","Workload":"Exchange","UserId":"ann@x.example","ClientIP":"203.0.113.7","ResultStatus":"True","Parameters":[{"Name":"ForwardTo","Value":"b@y.example"}]}"#,
            r#"{"CreationTime":"2026-01-05T08:00:00","Id":"0000000000000000000000000000000000m2","RecordType":40,"Operation":"AlertTriggered","Workload":"SecurityComplianceCenter","UserId":"ann@x.example","ResultStatus":"Succeeded","Name":"Activity from an odd place"}"#,
            r#"{"CreationTime":"2026-01-05T08:00:00","Id":"0000000000000000000000000000000000m3","RecordType":15,"Operation":"UserLoggedIn","Workload":"AzureActiveDirectory","UserId":"ann@x.example","ClientIP":"203.0.113.7","ResultStatus":"Success","ExtendedProperties":[{"Name":"RequestType","Value":"Odd:odd"}]}"#,
        ],
    ),
    (
        "entra.jsonl",
        "entra-id",
        &[
            r#"{"id":"00000000-0000-0000-0000-0000000000e1","createdDateTime":"2026-01-05T08:00:00Z","userPrincipalName":"bo@x.example","ipAddress":"203.0.113.8","appDisplayName":"Portal","authenticationRequirement":"multiFactorAuthentication","status":{"errorCode":500121,"failureReason":"Authentication failed.","additionalDetails":"MFA denied; user declined"}}"#,
            r#"{"id":"Directory_1","activityDateTime":"2026-01-05T08:00:00Z","activityDisplayName":"Add member to role","category":"RoleManagement","result":"success","initiatedBy":{"user":{"userPrincipalName":"cy@x.example"}},"targetResources":[]}"#,
            r#"{"time":"2026-01-05T08:00:00Z","resourceId":"/tenants/t/providers/Microsoft.aadiam","operationName":"Update policy","operationVersion":"1.0","category":"AuditLogs","tenantId":"t","correlationId":"c","properties":{"id":"Directory_2","activityDateTime":"2026-01-05T08:00:00Z","activityDisplayName":"Update policy","category":"Policy","result":"success","loggedByService":"Core Directory","initiatedBy":{"user":{"userPrincipalName":"cy@x.example"}},"targetResources":[]}}"#,
            r#"{"TimeGenerated":"2026-01-05T08:00:00Z","Id":"Directory_3","OperationName":"Consent to application","ActivityDisplayName":"Consent to application","Category":"ApplicationManagement","Result":"success","CorrelationId":"c","InitiatedBy":"{\"user\":{\"userPrincipalName\":\"cy@x.example\"}}","TargetResources":"[{\"displayName\":\"App\",\"modifiedProperties\":[{\"displayName\":\"ConsentContext.IsAdminConsent\",\"newValue\":\"\\\"False\\\"\"}]}]"}"#,
        ],
    ),
    (
        "risk.jsonl",
        "auto",
        &[
            r#"{"id":"r1","riskEventType":"oddTravel","riskState":"atRisk","riskLevel":"medium","activity":"signin","ipAddress":"203.0.113.8","detectedDateTime":"2026-01-05T08:00:00Z","activityDateTime":"2026-01-05T08:00:00Z","userPrincipalName":"bo@x.example"}"#,
        ],
    ),
    (
        "cloud-logging.jsonl",
        "auto",
        &[
            r#"{"insertId":"i1","timestamp":"2026-01-05T08:00:00.1Z","severity":"NOTICE","logName":"organizations/1/logs/cloudaudit.googleapis.com%2Factivity","protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","authenticationInfo":{"principalEmail":"ed@x.example"},"serviceName":"admin.googleapis.com","metadata":{"event":[{"eventName":"CHANGE_MAIL_SETTING","eventType":"EMAIL_SETTINGS","parameter":[{"name":"SETTING_NAME","value":"Forward Anywhere"}]}]}}}"#,
        ],
    ),
    (
        "error.log",
        "apache-error",
        &["[Mon Jan 05 08:00:00.123456 2026] [core:notice] [pid 12:tid 34] AH00000: child pid 47 gave up oddly"],
    ),
    (
        "okta.jsonl",
        "json",
        &[
            r#"{"uuid":"o1","published":"2026-01-05T08:00:00Z","eventType":"user.session.start","actor":{"alternateId":"di@x.example"},"client":{"ipAddress":"203.0.113.9"},"outcome":{"result":"SUCCESS"},"securityContext":{"isProxy":true}}"#,
        ],
    ),
    (
        "workspace.jsonl",
        "google-workspace",
        &[
            r#"{"kind":"admin#reports#activity","id":{"time":"2026-01-05T08:00:00.000Z","uniqueQualifier":"1","applicationName":"admin","customerId":"C1"},"actor":{"email":"ed@x.example","profileId":"1"},"ipAddress":"203.0.113.10","events":[{"type":"APPLICATION_SETTINGS","name":"CHANGE_APPLICATION_SETTING","parameters":[{"name":"SETTING_NAME","value":"Sharing Anything"}]}]}"#,
        ],
    ),
    (
        "access.log",
        "nginx",
        &[
            r#"203.0.113.11 - - [05/Jan/2026:08:00:00 +0000] "GET /crm/export.php?f=..%252f..%252fetc%252fpasswd HTTP/1.1" 200 5 "-" "odd-tool/1.0""#,
        ],
    ),
];

/// Id, log source, detection.
const RULES: &[(&str, &str, &str)] = &[
    (
        "mail-forward",
        "product: m365, service: exchange",
        "Operation: [New-InboxRule, Set-InboxRule], Parameters|contains: [ForwardTo, RedirectTo]",
    ),
    (
        "mail-forward-here",
        "product: m365, service: audit",
        "Operation: New-InboxRule, Parameters|contains|expand: '%domains%'",
    ),
    (
        "cloud-alert",
        "product: m365, service: threat_management",
        "eventSource: SecurityComplianceCenter, eventName: Activity from an odd place, status: success",
    ),
    (
        "second-factor-denied",
        "product: azure, service: signinlogs",
        "ResultType: 500121, AuthenticationRequirement: multiFactorAuthentication, Status|contains: MFA Denied",
    ),
    (
        "role-given",
        "product: azure, service: auditlogs",
        "properties.message: Add member to role, Category: RoleManagement",
    ),
    (
        "anonymous-session",
        "product: okta, service: okta",
        "eventtype: user.session.start, securitycontext.isproxy: 'true'",
    ),
    (
        "sharing-changed",
        "product: gcp, service: google_workspace.admin",
        "eventService: admin.googleapis.com, eventName: CHANGE_APPLICATION_SETTING, setting_name|startswith: Sharing",
    ),
    ("request-type", "product: m365, service: audit", "Operation: UserLoggedIn, RequestType: 'Odd:odd'"),
    (
        "policy-in-an-envelope",
        "product: azure, service: auditlogs",
        "Category: Policy, LoggedByService: Core Directory, OperationName: Update policy, properties.result: success",
    ),
    (
        "consent-in-text",
        "product: azure, service: auditlogs",
        "properties.message: Consent to application, ConsentContext.IsAdminConsent: 'false', properties.targetResources|contains: App",
    ),
    ("risk", "product: azure, service: riskdetection", "riskEventType: oddTravel"),
    (
        "mail-setting-in-cloud-logging",
        "product: gcp, service: google_workspace.admin",
        "eventService: admin.googleapis.com, eventName: CHANGE_MAIL_SETTING, setting_name|contains: Anywhere",
    ),
    ("apache-error", "service: apache", "event.original|contains: gave up oddly"),
    ("traversal", "category: webserver", "cs-method: GET, cs-uri-query|contains: '..%252f..%252fetc', sc-status: 200"),
    (
        "odd-tool",
        "category: proxy",
        "c-useragent|startswith: odd-tool, cs-username: ['-', ''], c-ip|cidr: 203.0.113.0/24",
    ),
    ("never", "category: webserver", "cs-user-agent: null"),
];

#[test]
fn public_rules_find_what_they_mean_in_what_our_parsers_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let mut config =
        "state_dir = \"state\"\n[rules]\ndirectories = [\"rules\"]\nplaceholders = { domains = [\"y.example\"] }\n"
            .to_owned();
    fs::create_dir(at("rules")).expect("made");
    for (id, source, detection) in RULES {
        let text = format!(
            "title: {id}\nid: {id}\nlevel: medium\nlogsource: {{{source}}}\ndetection:\n  selection: {{{detection}}}\n  condition: selection\n"
        );
        fs::write(at("rules").join(format!("{id}.yml")), text).expect("written");
    }
    let mut arguments =
        vec!["scan".to_owned(), "--json".to_owned(), "--config".to_owned(), at("crmwatch.toml").display().to_string()];
    for (file, format, lines) in LOGS {
        fs::write(at(file), lines.join("\n") + "\n").expect("written");
        config.push_str(&format!("[[source]]\nname = {file:?}\nformat = {format:?}\npaths = [{file:?}]\n"));
        arguments.push(at(file).display().to_string());
    }
    fs::write(at("crmwatch.toml"), config).expect("written");
    let ran = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let found: BTreeSet<String> =
        ran.objects().iter().filter_map(|one| Some(one["rule"].as_str()?.to_owned())).collect();
    let missing: Vec<_> = RULES.iter().map(|(id, ..)| *id).filter(|id| !found.contains(*id)).collect();
    assert_eq!(missing, ["never"], "{}", ran.err);
}
