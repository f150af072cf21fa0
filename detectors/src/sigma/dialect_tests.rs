//! Rules in the shape of the public collections find what they mean in events as our parsers make them. The rules and records here are
//! written for this test after the published names of fields.

use super::*;
use crate::event::EventId;

fn found(source: &str, detection: &str, event: &Event) -> bool {
    let text = format!("title: T\nname: t\nlogsource: {{{source}}}\ndetection:\n{detection}\n");
    let mut sigma = Sigma::of(&Texts::one("t.yml", &text)).unwrap_or_else(|error| panic!("{detection}: {error}"));
    let mut out = Vec::new();
    sigma.observe(event, &Context::default(), &mut out);
    !out.is_empty()
}

fn event(raw: &str, fields: &[(Field, &str)]) -> Event {
    let mut event = Event::new(raw);
    event.id = EventId(1);
    for (field, text) in fields {
        match text.parse() {
            Ok(ip) if field.kind() == crate::field::Kind::Ip => event.set_ip(*field, ip),
            _ if field.kind() == crate::field::Kind::Integer => {
                event.set_integer(*field, text.parse().expect("a number"))
            }
            _ => event.set(*field, text),
        }
    }
    event
}

#[test]
fn microsoft_365() {
    let raw = r#"{"CreationTime":"2026-01-05T08:00:00","Operation":"New-InboxRule","Workload":"Exchange","UserId":"a@x.example","ClientIP":"203.0.113.7","ResultStatus":"True","Parameters":[{"Name":"ForwardTo","Value":"b@y.example"},{"Name":"DeleteMessage","Value":"True"}],"ModifiedProperties":[{"Name":"Role","NewValue":"Admin"}]}"#;
    let event = event(raw, &[(Field::EventDataset, "m365.exchange"), (Field::EventOutcome, "success")]);
    let audit = "product: m365, service: audit";
    assert!(found(
        audit,
        "  s:\n    Operation: [New-InboxRule, Set-InboxRule]\n    Parameters|contains: ForwardTo\n  condition: s",
        &event
    ));
    assert!(found(
        "product: m365, service: exchange",
        "  s: {o365.audit.ClientIP|cidr: 203.0.113.0/24}\n  condition: s",
        &event
    ));
    assert!(found(audit, "  s: {'ModifiedProperties{}.NewValue': admin}\n  condition: s", &event));
    assert!(found(
        "product: m365, service: threat_management",
        "  s: {eventSource: Exchange, eventName: New-InboxRule, status: success}\n  condition: s",
        &event
    ));
    assert!(!found(audit, "  s: {Operation: New-InboxRule, ResultStatus: 'False'}\n  condition: s", &event));
    assert!(!found("product: azure, service: auditlogs", "  s: {Operation: New-InboxRule}\n  condition: s", &event));
}

#[test]
fn entra_id_in_the_shape_of_graph_and_of_log_analytics() {
    let graph = r#"{"createdDateTime":"2026-01-05T08:00:00Z","userPrincipalName":"a@x.example","status":{"errorCode":50057,"failureReason":"User account is disabled."},"conditionalAccessStatus":"notApplied","deviceDetail":{"trustType":""},"location":{"countryOrRegion":"DE"}}"#;
    let analytics = r#"{"TimeGenerated":"2026-01-05T08:00:00Z","UserPrincipalName":"a@x.example","ResultType":"50057","ResultDescription":"User account is disabled.","ConditionalAccessStatus":"notApplied","DeviceDetail":{"trustType":""},"Location":"DE"}"#;
    let enveloped = format!(r#"{{"time":"2026-01-05T08:00:00Z","category":"SignInLogs","properties":{graph}}}"#);
    for raw in [graph, analytics, &enveloped] {
        let event = event(raw, &[(Field::EventDataset, "entra.signin"), (Field::EventOutcome, "failure")]);
        let source = "product: azure, service: signinlogs";
        assert!(
            found(source, "  s: {ResultType: 50057, ResultDescription|contains: disabled}\n  condition: s", &event),
            "{raw}"
        );
        assert!(
            found(source, "  s: {Status: Failure, ConditionalAccessStatus: NotApplied}\n  condition: s", &event),
            "{raw}"
        );
        assert!(
            found(source, "  a: {DeviceDetail.trusttype: ''}\n  b: {Location: DE}\n  condition: a and b", &event),
            "{raw}"
        );
        assert!(!found("product: azure, service: riskdetection", "  s: {ResultType: 50057}\n  condition: s", &event));
    }
    let audit = event(
        r#"{"activityDateTime":"2026-01-05T08:00:00Z","activityDisplayName":"Add member to role","category":"RoleManagement"}"#,
        &[(Field::EventDataset, "entra.audit")],
    );
    assert!(found(
        "product: azure, service: auditlogs",
        "  s: {properties.message: Add member to role, Category: RoleManagement}\n  condition: s",
        &audit
    ));
    let denied = event(
        r#"{"createdDateTime":"2026-01-05T08:00:00Z","status":{"errorCode":500121,"additionalDetails":"MFA denied; user declined the authentication"}}"#,
        &[(Field::EventDataset, "entra.signin"), (Field::EventOutcome, "failure")],
    );
    assert!(found(
        "product: azure, service: signinlogs",
        "  s: {Status|contains: MFA Denied}\n  condition: s",
        &denied
    ));
    let risk = event(r#"{"riskEventType":"passwordSpray"}"#, &[(Field::EventDataset, "entra.risk")]);
    assert!(found(
        "product: azure, service: riskdetection",
        "  s: {riskEventType: passwordSpray}\n  condition: s",
        &risk
    ));
}

#[test]
fn okta() {
    let raw = r#"{"published":"2026-01-05T08:00:00Z","eventType":"policy.evaluate_sign_on","outcome":{"result":"ALLOW"},"securityContext":{"isProxy":true},"target":[{"displayName":"Okta Admin Console"},{"displayName":"x"}],"debugContext":{"debugData":{"behaviors":"{New Device=POSITIVE}"}}}"#;
    let event = event(raw, &[]);
    let source = "product: okta, service: okta";
    assert!(found(
        source,
        "  e: {eventType: policy.evaluate_sign_on, target.displayName: Okta Admin Console}\n  b:\n    - debugContext.debugData.behaviors|contains: POSITIVE\n    - debugContext.debugData.logOnlySecurityData|contains: POSITIVE\n  condition: e and b",
        &event
    ));
    assert!(found(
        source,
        "  s: {eventtype: policy.evaluate_sign_on, securitycontext.isproxy: 'true'}\n  condition: s",
        &event
    ));
    assert!(!found(source, "  s: {eventtype: user.account.lock}\n  condition: s", &event));
}

#[test]
fn google_workspace_from_the_reports_api_and_from_cloud_logging() {
    let mut reports = event(
        "{}",
        &[(Field::EventDataset, "google_workspace.admin"), (Field::EventCode, "CHANGE_APPLICATION_SETTING")],
    );
    reports.set_other("parameters.setting_name", crate::event::Value::Text("ContextAwareAccess.x"));
    let source = "product: gcp, service: google_workspace.admin";
    let rule = "  s: {eventService: admin.googleapis.com, eventName: CHANGE_APPLICATION_SETTING, setting_name|startswith: ContextAwareAccess}\n  condition: s";
    assert!(found(source, rule, &reports));
    assert!(found(&source.replace("gcp", "google_workspace"), rule, &reports));
    assert!(!found(&source.replace("admin", "login"), rule, &reports));
    let cloud = event(
        r#"{"protoPayload":{"serviceName":"login.googleapis.com","metadata":{"event":[{"eventName":"suspicious_login"}]}}}"#,
        &[],
    );
    let rule = "  s: {protoPayload.serviceName: login.googleapis.com, protoPayload.metadata.event.eventName: [suspicious_login]}\n  condition: s";
    assert!(found("product: gcp, service: google_workspace.login", rule, &cloud));
    let cloud = event(
        r#"{"protoPayload":{"serviceName":"admin.googleapis.com","metadata":{"event":[{"eventName":"CHANGE_APPLICATION_SETTING","parameter":[{"name":"SETTING_NAME","value":"ContextAwareAccess.x"},{"name":"visibility","value":"people_with_link"},{"name":"on","boolValue":false}]}]}}}"#,
        &[],
    );
    for rule in [
        "eventService: admin.googleapis.com, eventName: CHANGE_APPLICATION_SETTING, setting_name|startswith: ContextAware",
        "protoPayload.metadata.event.visibility: [people_with_link]",
        "on: 'false'",
    ] {
        assert!(found(source, &format!("  s: {{{rule}}}\n  condition: s"), &cloud), "{rule}");
    }
}

#[test]
fn web_servers_and_proxies() {
    let event = event(
        "203.0.113.7 - - [05/Jan/2026:08:00:00 +0000] \"GET /shell.aspx?cmd=whoami HTTP/1.1\" 200 5 \"-\" \"sqlmap/1.7\"",
        &[
            (Field::EventCategory, "web"),
            (Field::HttpMethod, "GET"),
            (Field::HttpStatus, "200"),
            (Field::UrlOriginal, "/shell.aspx?cmd=whoami"),
            (Field::UrlPath, "/shell.aspx"),
            (Field::UrlQuery, "cmd=whoami"),
            (Field::UserAgent, "sqlmap/1.7"),
            (Field::SourceIp, "203.0.113.7"),
        ],
    );
    for source in ["category: webserver", "category: proxy", "category: webserver, product: apache"] {
        for rule in [
            "  s: {cs-method: GET, sc-status: 200, cs-uri-query|contains: 'cmd='}\n  condition: s",
            "  s: {cs-uri-query|contains: shell.aspx, cs-uri-stem|endswith: .aspx, c-uri-extension: aspx}\n  condition: s",
            "  s: {cs-user-agent|contains: sqlmap, c-ip|cidr: 203.0.113.0/24}\n  condition: s",
            "  m: {cs-method: GET}\n  k: ['=whoami', '=cmd+/c+']\n  condition: m and k",
            "  s: {cs_user_agent|startswith: sql, c-uri|re: '^/shell'}\n  condition: s",
            "  s: {cs-referer: null}\n  condition: s",
            "  s: {cs-referer: '-', cs-username: ['-', '', anonymous]}\n  condition: s",
        ] {
            assert!(found(source, rule, &event), "{source}: {rule}");
        }
        assert!(!found(source, "  s: {cs-uri-query|contains: passwd}\n  condition: s", &event));
    }
}

#[test]
fn what_a_list_gives_by_its_name_is_a_field() {
    let login = event(
        r#"{"Operation":"UserLoggedIn","Workload":"AzureActiveDirectory","ResultStatus":"Success","ExtendedProperties":[{"Name":"UserAgent","Value":"odd"},{"Name":"RequestType","Value":"Login:login"}],"Parameters":"-Name x -Export"}"#,
        &[(Field::EventDataset, "m365.signin")],
    );
    let audit = "product: m365, service: audit";
    assert!(found(audit, "  s: {RequestType: 'login:login', UserAgent: odd}\n  condition: s", &login));
    assert!(found(audit, "  s: {Payload|contains|all: [-export, UserLoggedIn]}\n  condition: s", &login));
    assert!(!found(audit, "  s: {RequestType: odd}\n  condition: s", &login));
    let policy = event(
        r#"{"Operation":"Set-AntiPhishPolicy","Parameters":[{"Name":"Enabled","Value":"False"}]}"#,
        &[(Field::EventDataset, "m365.exchange")],
    );
    assert!(found(audit, "  s: {eventData|contains: 'Enabled\", \"Value\": \"False'}\n  condition: s", &policy));

    let graph = r#"{"activityDateTime":"2026-01-05T08:00:00Z","activityDisplayName":"Consent to application ","category":"ApplicationManagement","result":"failure","operationType":"Assign","targetResources":[{"displayName":"App","modifiedProperties":[{"displayName":"ConsentContext.IsAdminConsent","oldValue":null,"newValue":"\"False\""},{"displayName":"MethodExecutionResult.","newValue":"\"Blocked.ForRisk\""}]}],"additionalDetails":[{"key":"AdditionalInfo","value":"by device id"}]}"#;
    let diagnostic =
        format!(r#"{{"category":"AuditLogs","operationName":"Consent to application","properties":{graph}}}"#);
    let rows = graph.replace("activityDisplayName", "OperationName").replace("operationType", "AADOperationType");
    let mut text: serde_json::Value = serde_json::from_str(&rows).expect("an object");
    for key in ["targetResources", "additionalDetails"] {
        text[key] = text[key].to_string().into();
    }
    for raw in [graph, &diagnostic, &rows, &text.to_string()] {
        let event = event(raw, &[(Field::EventDataset, "entra.audit")]);
        for rule in [
            "ConsentContext.IsAdminConsent: 'false'",
            "additionalDetails.additionalInfo|contains: device id",
            "failure_status_reason: blocked.forrisk",
            "TargetResources.modifiedProperties|contains: IsAdminConsent",
            "TargetResources.modifiedProperties.newValue|contains: ForRisk",
            "properties.targetResources|contains: ConsentContext",
            "properties.result: failure",
            "Category: ApplicationManagement",
            "OperationName: Consent to application",
            "properties.message: Consent to application",
            "OperationName: Consent to application.",
            "OperationType: assign",
        ] {
            let rule = format!("  s: {{{rule}}}\n  condition: s");
            assert!(found("product: azure, service: auditlogs", &rule, &event), "{rule}: {raw}");
        }
        let other = "  s: {ConsentContext.IsAdminConsent: 'true'}\n  condition: s";
        assert!(!found("product: azure, service: auditlogs", other, &event), "{raw}");
    }
}

#[test]
fn how_somebody_signed_in() {
    let raw = r#"{"createdDateTime":"2026-01-05T08:00:00Z","userPrincipalName":"a@x.example","authenticationProtocol":"deviceCode","networkLocationDetails":[],"status":{"errorCode":0}}"#;
    let event = event(raw, &[(Field::EventDataset, "entra.signin"), (Field::EventOutcome, "success")]);
    for rule in [
        "properties.message: Device Code",
        "properties.authenticationProtocol: [deviceCode]",
        "NetworkLocationDetails: '[]'",
        "authentication_result: success, resulttype: 0, AccountUPN: a@x.example",
    ] {
        let rule = format!("  s: {{{rule}}}\n  condition: s");
        assert!(found("product: azure, service: signinlogs", &rule, &event), "{rule}");
    }
    assert!(!found("product: azure, service: signinlogs", "  s: {properties.message: ROPC}\n  condition: s", &event));
}

#[test]
fn a_product_named_as_the_service_is_that_product() {
    let error = event("[core:notice] worker gave up", &[(Field::LogLevel, "notice")]);
    let login = event("[auth] worker gave up", &[(Field::EventDataset, "odoo.login")]);
    for service in ["apache", "nginx"] {
        assert!(found(&format!("service: {service}"), "  k: [gave up]\n  condition: k", &error));
        assert!(!found(&format!("service: {service}"), "  k: [gave up]\n  condition: k", &login));
    }
    let okta = event(r#"{"published":"x","eventType":"zone.delete"}"#, &[]);
    assert!(found("service: okta", "  s: {okta.eventType: zone.delete}\n  condition: s", &okta));
}

#[test]
fn a_program_s_name_with_pluses_is_that_with_blanks() {
    let event = event("x", &[(Field::EventCategory, "web"), (Field::UserAgent, "Odd/1.0 (like Other)")]);
    let source = "category: webserver";
    assert!(found(source, "  s: {cs-user-agent: 'odd/1.0+(like+other)'}\n  condition: s", &event));
    assert!(found(source, "  s: {cs-user-agent|contains: '(like+'}\n  condition: s", &event));
    assert!(!found(source, "  s: {cs-user-agent: 'odd/1.0+(like+another)'}\n  condition: s", &event));
}

#[test]
fn a_correlation_groups_by_the_names_of_its_rules() {
    let text = "title: One\nname: one\nlogsource: {product: okta, service: okta}\ndetection:\n  s: {eventType: user.session.start}\n  condition: s\n---\ntitle: Many\nname: many\ncorrelation:\n  type: value_count\n  rules: [one]\n  group-by: [actor.alternateId]\n  timespan: 5m\n  condition: {field: client.ipAddress, gte: 2}\n";
    let mut sigma = Sigma::of(&Texts::one("t.yml", text)).expect("loads");
    let mut out = Vec::new();
    for (number, (user, ip)) in [("a", "1"), ("b", "2"), ("a", "1"), ("a", "3")].into_iter().enumerate() {
        let raw = format!(
            r#"{{"published":"x","eventType":"user.session.start","actor":{{"alternateId":"{user}"}},"client":{{"ipAddress":"{ip}"}}}}"#
        );
        let mut event = event(&raw, &[]);
        event.id = EventId(number as u128);
        event.time = number as i64 * 1000;
        sigma.observe(&event, &Context::default(), &mut out);
    }
    assert_eq!(out.len(), 1);
    assert_eq!(&*out[0].rule, "many");
}

#[test]
fn a_correlation_of_correlations_groups_by_a_vendors_own_field() {
    let single = |name: &str, status: &str| {
        format!(
            "title: {name}\nname: {name}\nlogsource: {{product: azure, service: signinlogs}}\ndetection:\n  s: {{Status: {status}}}\n  condition: s\n---\n"
        )
    };
    let counted = |name: &str, of: &str, least: u32| {
        format!(
            "title: {name}\nname: {name}\ncorrelation:\n  type: event_count\n  rules: [{of}]\n  group-by: [AccountUPN]\n  timespan: 10m\n  condition: {{gte: {least}}}\n---\n"
        )
    };
    let text = [
        single("refused", "Failure"),
        single("granted", "Success"),
        counted("often-refused", "refused", 3),
        counted("once-granted", "granted", 1),
        "title: both\nname: both\ncorrelation:\n  type: temporal\n  rules: [often-refused, once-granted]\n  group-by: [AccountUPN]\n  timespan: 10m\n".to_owned(),
    ]
    .concat();
    let found = |people: &[&str]| {
        let mut sigma = Sigma::of(&Texts::one("t.yml", &text)).expect("rules");
        let mut out = Vec::new();
        for (minute, person) in people.iter().enumerate() {
            let raw = format!(r#"{{"UserPrincipalName":"{person}@x.example"}}"#);
            let outcome = if minute < 3 { "failure" } else { "success" };
            let mut event = event(&raw, &[(Field::EventDataset, "entra.signin"), (Field::EventOutcome, outcome)]);
            (event.id, event.time) = (EventId(minute as u128 + 1), minute as i64 * 60_000);
            sigma.observe(&event, &Context::default(), &mut out);
        }
        out.iter().filter(|one| &*one.rule == "both").count()
    };
    assert_eq!(found(&["anna", "anna", "anna", "anna"]), 1);
    assert_eq!(found(&["anna", "anna", "anna", "berta"]), 0, "those are two people");
}
