//! Google Workspace audit, as the Admin SDK's reports API gives it: an activity holds one or more events; as collectors flatten it, one
//! event beside its activity; and as Google Cloud's audit log carries it. Not for the rest of that log.

use std::borrow::Cow;
use std::fmt::Write as _;

use crmwatch_detectors::{Event, Field};

use super::json::{Reader, Value, each_item, each_object_value};
use super::json_lines::{body, delivery};
use super::vendor::{self, Around, Fields, Vendor, has_all};
use super::{Format, NO_TIME, Verdict, absent, actions};

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: VENDOR.name,
    about: "Google Workspace audit activities (Admin SDK reports API): login, SAML, token, Drive, admin",
    sniff: |record| match body(record) {
        Some(text) if has_all(text, &["#activity\"", "\"applicationName\""]) => 95,
        Some(text) if has_all(text, &["\"applicationName\"", "\"actor\"", "\"events\"", "\"customerId\""]) => 90,
        Some(text)
            if has_all(text, &["\"protoPayload\"", "\"methodName\""])
                && SERVICES.iter().any(|(start, _)| text.contains(start)) =>
        {
            91
        }
        // Some collectors leave the kind and the customer out.
        Some(text) if has_all(text, &["\"applicationName\"", "\"uniqueQualifier\"", "\"events\""]) => 90,
        _ => 0,
    },
    grammar: |options| vendor::grammar(&VENDOR, options),
};

static VENDOR: Vendor = Vendor {
    name: "google-workspace",
    whole: &["events", "parameters", CLOUD_S_EVENTS],
    envelopes: &["items", "activities"],
    read,
};

/// Where Google Cloud's audit log holds the events.
const CLOUD_S_EVENTS: &str = "protoPayload.metadata.event";

/// How the names of methods begin in Google Cloud's audit log, and the application of the reports API that tells the same.
const SERVICES: &[(&str, &str)] = &[
    ("google.login.LoginService.", "login"),
    ("google.admin.AdminService.", "admin"),
    ("google.apps.login.", "login"),
    ("google.identity.oauth2.", "token"),
];

/// Application, event name (a `*` ends a beginning), action. The first that fits counts.
const ACTIONS: &[(&str, &str, &str)] = &[
    ("login", "login_success", "login"),
    ("login", "login_failure", "login"),
    ("login", "suspicious_login*", "login"),
    ("login", "suspicious_programmatic_login", "login"),
    ("login", "logout", "logout"),
    ("login", "login_challenge", "mfa-challenge"),
    ("login", "login_verification", "mfa-challenge"),
    ("login", "2sv_disable", "mfa-removed"),
    ("login", "2sv_enroll", "mfa-enrolled"),
    ("login", "passkey_enrolled", "mfa-enrolled"),
    ("login", "passkey_removed", "mfa-removed"),
    ("login", "password_edit", "password-change"),
    ("login", "recovery_*", "settings-change"),
    ("login", "account_disabled_*", "user-disable"),
    ("login", "email_forwarding_out_of_domain", "settings-change"),
    ("user_accounts", "2sv_disable", "mfa-removed"),
    ("user_accounts", "2sv_enroll", "mfa-enrolled"),
    ("user_accounts", "password_edit", "password-change"),
    ("user_accounts", "email_forwarding_out_of_domain", "settings-change"),
    ("saml", "login_success", "login"),
    ("saml", "login_failure", "login"),
    ("token", "authorize", "oauth-grant"),
    ("token", "revoke", "oauth-revoke"),
    ("token", "activity", "api-call"),
    // As Google Cloud's audit log calls them.
    ("token", "grant", "oauth-grant"),
    ("token", "revoke_token", "oauth-revoke"),
    ("drive", "download", "file-download"),
    ("drive", "export", "export"),
    ("drive", "copy", "create"),
    ("drive", "view", "view"),
    ("drive", "preview", "view"),
    ("drive", "print", "print"),
    ("drive", "edit", "update"),
    ("drive", "rename", "update"),
    ("drive", "move", "update"),
    ("drive", "create", "create"),
    ("drive", "upload", "create"),
    ("drive", "delete", "delete"),
    ("drive", "trash", "delete"),
    ("drive", "untrash", "restore"),
    ("drive", "change_owner*", "ownership-change"),
    ("drive", "change_user_access*", "share"),
    ("drive", "change_document_*", "share"),
    ("drive", "change_acl_editors", "share"),
    ("drive", "team_drive_membership_change", "share"),
    ("drive", "shared_drive_membership_change", "share"),
    ("admin", "CREATE_USER", "user-create"),
    ("admin", "DELETE_USER", "user-delete"),
    ("admin", "SUSPEND_USER", "user-disable"),
    ("admin", "ARCHIVE_USER", "user-disable"),
    ("admin", "UNSUSPEND_USER", "user-enable"),
    ("admin", "UNDELETE_USER", "user-enable"),
    ("admin", "ASSIGN_ROLE", "permission-change"),
    ("admin", "UNASSIGN_ROLE", "permission-change"),
    ("admin", "CREATE_ROLE", "permission-change"),
    ("admin", "ADD_PRIVILEGE", "permission-change"),
    ("admin", "REMOVE_PRIVILEGE", "permission-change"),
    ("admin", "GRANT_ADMIN_PRIVILEGE", "permission-change"),
    ("admin", "REVOKE_ADMIN_PRIVILEGE", "permission-change"),
    ("admin", "GRANT_DELEGATED_ADMIN_PRIVILEGES", "permission-change"),
    ("admin", "ADD_GROUP_MEMBER", "permission-change"),
    ("admin", "REMOVE_GROUP_MEMBER", "permission-change"),
    ("admin", "CHANGE_PASSWORD", "password-reset"),
    ("admin", "CHANGE_PASSWORD_ON_NEXT_LOGIN", "password-reset"),
    ("admin", "TURN_OFF_2_STEP_VERIFICATION", "mfa-removed"),
    ("admin", "UNENROLL_USER_FROM_STRONG_AUTH", "mfa-removed"),
    ("admin", "GENERATE_2SV_SCRATCH_CODES", "mfa-enrolled"),
    ("admin", "ADD_TRUSTED_APP", "integration-install"),
    ("admin", "ADD_APPLICATION", "integration-install"),
    ("admin", "AUTHORIZE_API_CLIENT_ACCESS", "oauth-grant"),
    ("admin", "REMOVE_API_CLIENT_ACCESS", "oauth-revoke"),
    ("admin", "CUSTOMER_TAKEOUT_CREATED", "export"),
    ("admin", "DOWNLOAD_USERLIST_CSV", "export"),
    ("admin", "SECURITY_INVESTIGATION_EXPORT_QUERY", "export"),
    ("admin", "CREATE_DATA_TRANSFER_REQUEST", "ownership-change"),
    ("takeout", "*", "export"),
];

fn action(application: &str, name: &str) -> Option<&'static str> {
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => name.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start)),
        None => name.eq_ignore_ascii_case(pattern),
    };
    let known = ACTIONS.iter().find(|(app, pattern, _)| app.eq_ignore_ascii_case(application) && fits(pattern));
    known.map(|(_, _, action)| *action).or_else(|| {
        let settings = application.eq_ignore_ascii_case("admin") && name.to_ascii_uppercase().ends_with("SETTING");
        settings.then_some("settings-change")
    })
}

fn read(fields: &Fields<'_>, around: &Around<'_>, events: &mut Vec<Event>) -> Verdict {
    let method = fields.get("protoPayload.methodName").unwrap_or("");
    let service = SERVICES.iter().find_map(|(start, application)| Some((*application, method.strip_prefix(start)?)));
    let Some(application) = fields.get("id.applicationName").or(service.map(|(application, _)| application)) else {
        return Verdict::Rejected("not-an-activity");
    };
    let alone = Alone {
        name: fields.get("name").map(Cow::Borrowed).or_else(|| Some(Cow::Owned(snake(service?.1)))),
        kind: fields.get("type").unwrap_or(""),
        parameters: fields.get("parameters").unwrap_or("[]"),
    };
    let list = fields.first(&["events", CLOUD_S_EVENTS]);
    let raw = around.raw;
    let mut common = Event::new(raw);
    common.time = fields.time(&["id.time", "timestamp", "receiveTimestamp"], around.zone).unwrap_or(NO_TIME);
    fields.person(
        &mut common,
        raw,
        &[
            "actor.email",
            "actor.key",
            "actor.applicationInfo.applicationName",
            "protoPayload.authenticationInfo.principalEmail",
        ],
    );
    fields.client(&mut common, raw, &["ipAddress", "protoPayload.requestMetadata.callerIp"]);
    fields.put(
        &mut common,
        raw,
        &[
            (Field::UserId, "actor.profileId"),
            (Field::OrganizationId, "id.customerId"),
            (Field::EventId, "id.uniqueQualifier"),
            (Field::EventId, "insertId"),
        ],
    );
    common.set(Field::EventProvider, "google-workspace");
    common.set(Field::EventDataset, &format!("google_workspace.{}", application.to_ascii_lowercase()));
    let qualifier = fields.first(&["id.uniqueQualifier", "id.uniqQualifier", "insertId"]).unwrap_or("");
    // A qualifier is unique within its application and moment.
    let mut base = format!("{application} {} {qualifier}", common.time);
    let length = base.len();
    fields.rest(&mut common, raw);
    let Some(list) = list else {
        let Some(name) = alone.name else { return Verdict::Rejected("not-an-activity") };
        tell(&mut common, application, alone.kind, &name, alone.parameters);
        common.delivery = (!qualifier.is_empty()).then(|| delivery(&format!("{base} 0")));
        events.push(common);
        return Verdict::Parsed;
    };
    let (mut outer, mut inner) = (Reader::default(), Reader::default());
    let mut place = 0;
    let read = each_item(&mut outer, list, |item| {
        let Value::Raw(item) = item else { return };
        let mut event = common.clone();
        let mut name = Cow::Borrowed("");
        let mut kind = Cow::Borrowed("");
        let mut parameters = None;
        let _ = each_object_value(&mut inner, item, |key, value| match key {
            "name" | "eventName" => name = value.held(),
            "type" | "eventType" => kind = value.held(),
            "parameters" | "parameter" => parameters = Some(value.held()),
            _ => {}
        });
        tell(&mut event, application, &kind, &name, parameters.as_deref().unwrap_or("[]"));
        if !qualifier.is_empty() {
            base.truncate(length);
            // Writing to a text cannot fail.
            let _ = write!(base, " {place}");
            event.delivery = Some(delivery(&base));
        }
        place += 1;
        events.push(event);
    });
    match (read, place) {
        (Err(_), _) => Verdict::Rejected("broken-events"),
        (Ok(_), 0) => Verdict::Skipped,
        _ => Verdict::Parsed,
    }
}

/// An activity's only event, where it stands beside it: some collectors make one record of each event.
struct Alone<'f> {
    name: Option<Cow<'f, str>>,
    kind: &'f str,
    parameters: &'f str,
}

/// `loginFailure` as `login_failure`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for (at, letter) in name.char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// One event of an activity: what was done, and its parameters.
fn tell(event: &mut Event, application: &str, kind: &str, name: &str, parameters: &str) {
    let mut action = action(application, name);
    event.set(Field::EventCode, name);
    if !kind.is_empty() {
        event.set_other("type", crmwatch_detectors::Value::Text(kind));
    }
    let mut failed = name.to_ascii_lowercase().contains("failure");
    let mut succeeded = true;
    let mut lower = String::with_capacity(64);
    each_parameter(parameters, |parameter, value| {
        if absent(value) {
            return;
        }
        // Behind its name elsewhere.
        lower.clear();
        lower.push_str(PARAMETERS);
        lower.push_str(parameter);
        lower.make_ascii_lowercase();
        let field = match &lower[PARAMETERS.len()..] {
            "login_failure_type" | "failure_type" | "initiated_by_failure" => Field::EventReason,
            "is_suspicious" if value == "true" => {
                event.set(Field::EventKind, "alert");
                return;
            }
            "login_challenge_status" => {
                failed |= !value.to_ascii_lowercase().contains("passed");
                succeeded = value.to_ascii_lowercase().contains("passed");
                return;
            }
            "login_type" => Field::LoginType,
            "application_name" | "app_name" if application.eq_ignore_ascii_case("token") => Field::OauthClientName,
            "client_id" | "api_client_name" => Field::OauthClientId,
            "scope" | "api_scopes" => Field::OauthScopes,
            "application_name" => Field::ServiceName,
            "user_email" | "affected_email_address" | "member_id" => Field::UserTargetName,
            "target_user" => Field::ShareRecipient,
            "role_name" | "privilege_name" | "group_email" | "new_value" if action == Some("permission-change") => {
                Field::Permission
            }
            "doc_id" => Field::ObjectId,
            "doc_title" => Field::ObjectName,
            "doc_type" => Field::ObjectType,
            "owner" => Field::Owner,
            "user_agent" => Field::UserAgent,
            "num_response_bytes" => {
                if let Ok(bytes) = value.parse() {
                    event.set_integer(Field::Bytes, bytes);
                }
                return;
            }
            "visibility" if action == Some("share") => {
                let scope = match value {
                    "people_with_link" | "public_on_the_web" | "anyone_with_link" => "public",
                    "people_within_domain_with_link" | "public_in_the_domain" => "internal",
                    "shared_externally" => "external",
                    _ => return,
                };
                event.set(Field::ShareScope, scope);
                return;
            }
            _ => {
                event.set_other(&lower, crmwatch_detectors::Value::Text(value));
                return;
            }
        };
        if event.has(field) { event.push(field, value) } else { event.set(field, value) }
    });
    // A challenge that was passed or not says so in its status; the login itself has its own record.
    if action == Some("mfa-challenge") && failed {
        action = Some("mfa-denied");
    }
    actions::set(event, action.unwrap_or("info"));
    event.set(Field::EventOutcome, if failed || !succeeded { "failure" } else { "success" });
}

/// Under this a parameter without a field of its own is kept.
const PARAMETERS: &str = "parameters.";

/// Calls with name and value of each parameter, whichever kind of value it has; of lists with each item. Collectors that flatten make an
/// object of the list.
fn each_parameter(list: &str, mut tell: impl FnMut(&str, &str)) {
    let (mut outer, mut inner, mut items) = (Reader::default(), Reader::default(), Reader::default());
    if list.starts_with('{') {
        let _ = each_object_value(&mut outer, list, |name, value| match value {
            Value::Raw(values) if values.starts_with('[') => {
                let _ = each_item(&mut items, values, |value| tell(name, value.text()));
            }
            value => tell(name, value.text()),
        });
        return;
    }
    let _ = each_item(&mut outer, list, |item| {
        let Value::Raw(item) = item else { return };
        let mut name = Cow::Borrowed("");
        let mut found = None;
        let _ = each_object_value(&mut inner, item, |key, value| match key {
            "name" => name = value.held(),
            "value" | "intValue" | "boolValue" | "messageValue" => found = Some((false, value.held())),
            "multiValue" | "multiIntValue" | "multiStrValue" => found = Some((true, value.held())),
            _ => {}
        });
        match found {
            Some((true, list)) => {
                let _ = each_item(&mut items, &list, |value| tell(&name, value.text()));
            }
            Some((false, value)) => tell(&name, &value),
            None => {}
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::trial::holds;
    use super::*;
    use crate::parse::{Grammar, Options};

    fn grammar() -> Box<dyn Grammar> {
        (FORMAT.grammar)(&Options::default())
    }

    fn events(record: &str) -> Vec<Event> {
        let mut events = Vec::new();
        assert_eq!(grammar().parse(record, &mut events), Verdict::Parsed, "{record}");
        assert!((FORMAT.sniff)(record) >= 90, "{record}");
        events
    }

    fn activity(application: &str, list: &str) -> String {
        format!(
            r#"{{"kind":"admin#reports#activity","id":{{"time":"2026-03-02T09:14:07.250Z","uniqueQualifier":"-77","applicationName":"{application}","customerId":"C01"}},"actor":{{"email":"mia@example.com","profileId":"108"}},"ipAddress":"203.0.113.7","events":[{list}]}}"#
        )
    }

    #[test]
    fn logins_tell_who_from_where_and_how_it_ended() {
        let record = activity(
            "login",
            r#"{"type":"login","name":"login_failure","parameters":[{"name":"login_type","value":"google_password"},{"name":"login_failure_type","value":"login_failure_invalid_password"},{"name":"login_challenge_method","multiValue":["password","idv_any_phone"]}]}"#,
        );
        let event = events(&record).pop().expect("one event");
        holds(
            &event,
            &[
                (Field::EventAction, "login"),
                (Field::EventOutcome, "failure"),
                (Field::EventReason, "login_failure_invalid_password"),
                (Field::UserName, "mia@example.com"),
                (Field::UserEmail, "mia@example.com"),
                (Field::UserId, "108"),
                (Field::SourceIp, "203.0.113.7"),
                (Field::EventCode, "login_failure"),
                (Field::EventDataset, "google_workspace.login"),
            ],
            &record,
        );
        assert_eq!(event.time, 1_772_442_847_250);
    }

    #[test]
    fn events_that_a_collector_flattened_or_google_cloud_s_log_carries_are_the_same() {
        for record in [
            r#"{"kind":"admin#reports#activity","id":{"applicationName":"admin","customerId":"C01","time":"2026-03-02 09:14:07.250000000","uniqueQualifier":"-7"},"actor":{"email":"mia@example.com"},"ipAddress":"203.0.113.7","name":"ASSIGN_ROLE","parameters":{"ROLE_NAME":["_SEED_ADMIN_ROLE"],"USER_EMAIL":"jo@example.com","ORG":null},"type":"DELEGATED_ADMIN_SETTINGS"}"#,
            r#"{"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","authenticationInfo":{"principalEmail":"mia@example.com"},"requestMetadata":{"callerIp":"203.0.113.7"},"serviceName":"admin.googleapis.com","methodName":"google.admin.AdminService.assignRole","metadata":{"event":[{"eventName":"ASSIGN_ROLE","eventType":"DELEGATED_ADMIN_SETTINGS","parameter":[{"name":"ROLE_NAME","type":"TYPE_STRING","value":"_SEED_ADMIN_ROLE"},{"name":"USER_EMAIL","value":"jo@example.com"}]}]}},"insertId":"x7","timestamp":"2026-03-02T09:14:07.250Z"}"#,
        ] {
            let event = events(record).pop().expect("one event");
            holds(
                &event,
                &[
                    (Field::EventAction, "permission-change"),
                    (Field::EventOutcome, "success"),
                    (Field::UserName, "mia@example.com"),
                    (Field::UserTargetName, "jo@example.com"),
                    (Field::Permission, "_SEED_ADMIN_ROLE"),
                    (Field::SourceIp, "203.0.113.7"),
                    (Field::EventCode, "ASSIGN_ROLE"),
                    (Field::EventDataset, "google_workspace.admin"),
                ],
                record,
            );
            assert_eq!(event.time, 1_772_442_847_250, "{record}");
            assert!(event.delivery.is_some());
        }
        let record = r#"{"protoPayload":{"authenticationInfo":{"principalEmail":"mia@example.com"},"methodName":"google.login.LoginService.loginFailure"},"insertId":"x7","timestamp":"2026-03-02T09:14:07Z"}"#;
        let event = events(record).pop().expect("one event");
        holds(&event, &[(Field::EventAction, "login"), (Field::EventOutcome, "failure")], record);
    }

    #[test]
    fn an_activity_of_several_events_gives_one_each_and_a_copy_is_known() {
        let record = activity(
            "drive",
            r#"{"type":"access","name":"download","parameters":[{"name":"doc_id","value":"d1"},{"name":"doc_title","value":"Customers"},{"name":"owner","value":"jo@example.com"}]},{"type":"acl_change","name":"change_document_visibility","parameters":[{"name":"visibility","value":"people_with_link"},{"name":"doc_id","value":"d1"}]}"#,
        );
        let found = events(&record);
        holds(
            &found[0],
            &[
                (Field::EventAction, "file-download"),
                (Field::ObjectId, "d1"),
                (Field::ObjectName, "Customers"),
                (Field::Owner, "jo@example.com"),
            ],
            &record,
        );
        holds(&found[1], &[(Field::EventAction, "share"), (Field::ShareScope, "public")], &record);
        assert_ne!(found[0].delivery, found[1].delivery);
        assert_eq!(found[0].delivery, events(&record)[0].delivery);
    }

    #[test]
    fn consents_roles_and_settings_have_their_actions() {
        for (application, name, parameters, action, field, value) in [
            (
                "token",
                "authorize",
                r#"{"name":"app_name","value":"Sync"},{"name":"scope","multiValue":["a","b"]}"#,
                "oauth-grant",
                Field::OauthClientName,
                "Sync",
            ),
            (
                "admin",
                "GRANT_ADMIN_PRIVILEGE",
                r#"{"name":"USER_EMAIL","value":"jo@example.com"}"#,
                "permission-change",
                Field::UserTargetName,
                "jo@example.com",
            ),
            ("admin", "CHANGE_APPLICATION_SETTING", "", "settings-change", Field::UserName, "mia@example.com"),
            ("login", "2sv_disable", "", "mfa-removed", Field::UserName, "mia@example.com"),
            (
                "saml",
                "login_success",
                r#"{"name":"application_name","value":"CRM"}"#,
                "login",
                Field::ServiceName,
                "CRM",
            ),
            ("chat", "message_posted", "", "info", Field::UserName, "mia@example.com"),
        ] {
            let record =
                activity(application, &format!(r#"{{"type":"x","name":"{name}","parameters":[{parameters}]}}"#));
            let event = events(&record).pop().expect("one event");
            holds(&event, &[(Field::EventAction, action), (field, value), (Field::EventOutcome, "success")], &record);
        }
    }

    #[test]
    fn a_system_actor_without_address_and_a_page_of_the_api_are_read() {
        let record = r#"{"kind":"admin#reports#activities","items":[{"id":{"time":"2026-03-02T09:14:07.250Z","uniqueQualifier":"5","applicationName":"chrome"},"actor":{"callerType":"KEY","key":"SYSTEM"},"events":[{"name":"X"}]}]}"#;
        let event = events(&record.replace("activities\"", "activity\"")).pop().expect("one event");
        holds(&event, &[(Field::UserName, "SYSTEM"), (Field::SourceIp, ""), (Field::EventAction, "info")], record);
    }
}
