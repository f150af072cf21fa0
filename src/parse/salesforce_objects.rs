//! Salesforce objects as JSON: Real-Time Event Monitoring, login history, the setup audit trail; bare, in a query's `records`, or in the
//! envelope of the streaming API. Not for Event Log Files (`salesforce`).

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field};

use super::json_lines::{body, delivery};
use super::salesforce::long_id;
use super::vendor::{self, Around, Fields, Vendor, has_all};
use super::{Format, NO_TIME, Verdict, actions};

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: VENDOR.name,
    about: "Salesforce objects as JSON: real-time events, LoginHistory, SetupAuditTrail",
    sniff: |record| {
        let Some(text) = body(record) else { return 0 };
        let marks: &[&[&str]] = &[
            &["\"EventIdentifier\"", "\"EventDate\""],
            &["\"LoginType\"", "\"Status\"", "\"SourceIp\""],
            &["\"LoginTime\"", "\"LoginType\"", "\"UserId\""],
            &["\"Section\"", "\"Display\"", "\"CreatedById\""],
            &["\"Section\"", "\"Display\"", "\"Action\"", "\"CreatedDate\""],
            &["\"attributes\"", "\"/services/data/"],
            &["\"DelegatedUsername\"", "\"LoginAsCategory\""],
            &["\"payload\"", "\"replayId\"", "EventDate"],
            &["\"ChangeEventHeader\"", "\"changeType\""],
        ];
        if marks.iter().any(|words| has_all(text, words)) { 93 } else { 0 }
    },
    grammar: |options| vendor::grammar(&VENDOR, options),
};

static VENDOR: Vendor = Vendor {
    name: "salesforce-event",
    whole: &["SecurityEventData", "Records", "PolicyOutcome"],
    envelopes: &["records", "data.payload", "payload", "data.sobject"],
    read,
};

/// Beginning of a setup action, in any case, and the action it is.
const SETUP: &[(&str, &str)] = &[
    ("permset", "permission-change"),
    ("changedprofileforuser", "permission-change"),
    ("profile", "permission-change"),
    ("changedrole", "permission-change"),
    ("createdrole", "permission-change"),
    ("groupmembership", "permission-change"),
    ("queuemembership", "permission-change"),
    ("perm", "permission-change"),
    ("createduser", "user-create"),
    ("createduserbyselfreg", "user-create"),
    ("activateduser", "user-enable"),
    ("reactivateduser", "user-enable"),
    ("deactivateduser", "user-disable"),
    ("frozeuser", "user-disable"),
    ("unfrozeuser", "user-enable"),
    ("resetpassword", "password-reset"),
    ("changedpassword", "password-change"),
    ("changedpasswordpolicies", "settings-change"),
    ("changedemail", "settings-change"),
    ("useremailchange", "settings-change"),
    ("suorgadminlogin", "login-as"),
    ("sunetworkadminlogin", "login-as"),
    ("suorgadminlogout", "logout"),
    ("sunetworkadminlogout", "logout"),
    ("loginasgranted", "permission-change"),
    ("insertconnectedapplication", "integration-install"),
    ("updateconnectedapplication", "integration-install"),
    ("deleteconnectedapplication", "oauth-revoke"),
    ("connectedapp", "integration-install"),
    ("createdpackage", "integration-install"),
    ("installedpackage", "integration-install"),
    ("changedsessionsettings", "settings-change"),
    ("orgiprange", "settings-change"),
    ("addediprange", "settings-change"),
    ("loginiprange", "settings-change"),
    ("twofactor", "settings-change"),
    ("mfa", "settings-change"),
    ("sharingmodel", "settings-change"),
    ("orgwidedefault", "settings-change"),
    ("dataexport", "export"),
    ("weeklyexport", "export"),
    ("deletealldata", "bulk-delete"),
    ("massdelete", "bulk-delete"),
    ("auditfieldtracking", "settings-change"),
    ("disabledeventlog", "audit-disable"),
    ("eventlogfiledisabled", "audit-disable"),
];

fn setup(action: &str) -> &'static str {
    let action = action.to_ascii_lowercase();
    let fitting = SETUP.iter().filter(|(start, _)| action.starts_with(start));
    fitting.max_by_key(|(start, _)| start.len()).map_or("settings-change", |(_, action)| *action)
}

fn read(fields: &Fields<'_>, around: &Around<'_>, events: &mut Vec<Event>) -> Verdict {
    let kind = kind(fields);
    if kind.is_empty() {
        return Verdict::Rejected("not-a-salesforce-event");
    }
    if kind == "ChangeEvent" {
        events.push(change(fields, around.raw));
        return Verdict::Parsed;
    }
    let raw = around.raw;
    let mut event = Event::new(raw);
    // Their stamps are UTC, whatever zone the source has.
    event.time = fields.time(&["EventDate", "LoginTime", "CreatedDate"], Tz::UTC).unwrap_or(NO_TIME);
    people(fields, &mut event, raw, &kind);
    fields.client(&mut event, raw, &["SourceIp", "LoginIp"]);
    fields.put(
        &mut event,
        raw,
        &[
            (Field::SessionId, "LoginKey"),
            (Field::UserAgent, "UserAgent"),
            (Field::OauthClientId, "ConnectedAppId"),
            (Field::OauthClientName, "Application"),
            (Field::OauthClientName, "Client"),
            (Field::LoginType, "LoginType"),
            (Field::Query, "Query"),
            (Field::ReportName, "Name"),
            (Field::FileName, "FileName"),
            (Field::HttpMethod, "HttpMethod"),
            (Field::ObjectType, "QueriedEntities"),
            (Field::EventCreated, "CreatedDate"),
        ],
    );
    if let Some(id) = fields.get("ReportId") {
        event.set_part(Field::ReportId, raw, &long_id(id));
    }
    for key in ["RowsProcessed", "RowsReturned"] {
        if let Some(rows) = fields.integer(key).filter(|_| !event.has(Field::Records)) {
            event.set_integer(Field::Records, rows);
        }
    }
    if let Some(size) = fields.integer("ContentSize") {
        event.set_integer(Field::FileSize, size);
        event.set_integer(Field::Bytes, size);
    }
    if let Some(score) = fields.get("Score").and_then(|text| text.parse::<f64>().ok()) {
        event.set_float(Field::VendorScore, score);
    }
    let action = meaning(fields, &mut event, raw, &kind);
    actions::set(&mut event, action);
    event.set(Field::EventCode, fields.peek("Action").filter(|_| kind == "SetupAuditTrail").unwrap_or(&kind));
    event.set(Field::EventProvider, "salesforce");
    event.set(Field::EventDataset, &format!("salesforce.{}", kind.to_ascii_lowercase()));
    if let Some(id) = fields.first(&["EventIdentifier", "EventUuid", "Id"]) {
        event.set_part(Field::EventId, raw, id);
        event.delivery = Some(delivery(&format!("{kind} {id}")));
    }
    fields.rest(&mut event, raw);
    events.push(event);
    Verdict::Parsed
}

/// Change Data Capture: what was done to which records, by whom; the record's own fields are content.
fn change(fields: &Fields<'_>, raw: &str) -> Event {
    let mut event = Event::new(raw);
    event.time = fields.time(&["ChangeEventHeader.commitTimestamp"], Tz::UTC).unwrap_or(NO_TIME);
    let kind = fields.get("ChangeEventHeader.changeType").unwrap_or_default();
    actions::set(
        &mut event,
        match kind.trim_start_matches("GAP_") {
            "CREATE" => "create",
            "UPDATE" => "update",
            "DELETE" => "delete",
            "UNDELETE" => "restore",
            _ => "info",
        },
    );
    event.set(Field::EventOutcome, "success");
    event.set_part(Field::EventCode, raw, kind);
    event.set(Field::EventProvider, "salesforce");
    event.set(Field::EventDataset, "salesforce.changeevent");
    if let Some(user) = fields.get("ChangeEventHeader.commitUser") {
        event.set_part(Field::UserId, raw, &long_id(user));
    }
    fields.put(&mut event, raw, &[(Field::ObjectType, "ChangeEventHeader.entityName")]);
    let ids = fields.all("ChangeEventHeader.recordIds");
    if let [only] = ids[..] {
        event.set_part(Field::ObjectId, raw, &long_id(only));
    }
    if !ids.is_empty() {
        event.set_integer(Field::Records, ids.len() as i64);
    }
    let number = fields.peek("ChangeEventHeader.sequenceNumber").unwrap_or_default();
    if let Some(key) = fields.peek("ChangeEventHeader.transactionKey") {
        event.delivery = Some(delivery(&format!("{key} {number}")));
    }
    fields.rest(&mut event, raw);
    event
}

/// The object's name, without `Stream` and `Store`: what the record says of itself, or what its keys tell.
fn kind(fields: &Fields<'_>) -> String {
    if let Some(named) = fields.first(&["attributes.type", "sobjectType"]) {
        let _ = fields.get("attributes.url");
        return named.trim_end_matches("Stream").trim_end_matches("Store").to_owned();
    }
    let has = |key: &str| fields.has(key);
    let told = if has("ChangeEventHeader.changeType") {
        "ChangeEvent"
    } else if has("DelegatedUsername") || has("LoginAsCategory") {
        "LoginAsEvent"
    } else if has("Section") && has("Display") {
        "SetupAuditTrail"
    } else if has("LoginTime") {
        "LoginHistory"
    } else if has("PermissionList") || has("ImpactedUserIds") {
        "PermissionSetEvent"
    } else if has("FileAction") {
        "FileEvent"
    } else if has("SecurityEventData") {
        "AnomalyEvent"
    } else if has("ListViewId") {
        "ListViewEvent"
    } else if has("ReportId") || has("ColumnHeaders") {
        "ReportEvent"
    } else if has("LoginHistoryId") || has("LoginType") && has("Status") {
        "LoginEvent"
    } else if has("QueriedEntities") && has("RowsProcessed") || has("ElapsedTime") && has("Query") {
        "ApiEvent"
    } else if has("LoginKey") && has("EventIdentifier") {
        "LogoutEvent"
    } else if has("EventIdentifier") || has("EventDate") {
        "Event"
    } else {
        ""
    };
    told.to_owned()
}

fn people(fields: &Fields<'_>, event: &mut Event, raw: &str, kind: &str) {
    if kind == "LoginAsEvent" {
        // The administrator is the delegated user; the record's user is the one taken over.
        fields.person(event, raw, &["DelegatedUsername"]);
        fields.put(event, raw, &[(Field::UserEffectiveName, "Username"), (Field::UserEffectiveId, "UserId")]);
        event.copy(Field::UserEffectiveName, Field::UserTargetName);
        event.copy(Field::UserEffectiveId, Field::UserTargetId);
        return;
    }
    fields.person(event, raw, &["Username", "CreatedBy.Username", "User.Username"]);
    let id = fields.first(&["UserId", "CreatedById"]);
    if let Some(delegate) = fields.get("DelegateUser") {
        // Somebody acted in another's place: the trail names the administrator here, and whose place it was with the id.
        if event.has(Field::UserName) {
            event.copy(Field::UserName, Field::UserEffectiveName);
        }
        if let Some(id) = id {
            event.set_part(Field::UserEffectiveId, raw, &long_id(id));
        }
        event.set_part(Field::UserName, raw, delegate);
    } else if let Some(id) = id {
        event.set_part(Field::UserId, raw, &long_id(id));
    }
}

fn meaning(fields: &Fields<'_>, event: &mut Event, raw: &str, kind: &str) -> &'static str {
    event.set(Field::EventOutcome, "success");
    match kind {
        "LoginEvent" | "LoginHistory" => {
            let status = fields.get("Status").unwrap_or("");
            let outcome = match status {
                "" => "unknown",
                status if status.eq_ignore_ascii_case("success") => "success",
                status => {
                    event.set_part(Field::EventReason, raw, status);
                    "failure"
                }
            };
            event.set(Field::EventOutcome, outcome);
            "login"
        }
        "LogoutEvent" => "logout",
        "LoginAsEvent" => "login-as",
        "ApiEvent" => "api-call",
        "ReportEvent" => match fields.peek("Operation") {
            Some(operation) if operation.contains("Export") => "export",
            _ => "report-run",
        },
        "ListViewEvent" => "list",
        "UriEvent" | "LightningUriEvent" => "view",
        "BulkApiResultEvent" => "bulk-api",
        "FileEvent" => match fields.get("FileAction").unwrap_or("") {
            action if action.contains("DOWNLOAD") => "file-download",
            "UPLOAD" => "create",
            "PREVIEW" => "view",
            _ => "info",
        },
        "PermissionSetEvent" => {
            fields.put(event, raw, &[(Field::UserTargetId, "ImpactedUserIds"), (Field::Permission, "PermissionList")]);
            "permission-change"
        }
        "SetupAuditTrail" => {
            fields.put(event, raw, &[(Field::Message, "Display")]);
            let action = setup(fields.peek("Action").unwrap_or(""));
            if action == "permission-change" {
                fields.put(event, raw, &[(Field::Permission, "Display")]);
            }
            action
        }
        kind if kind.contains("Anomaly") || kind.contains("Hijacking") || kind.contains("Stuffing") => {
            fields.put(event, raw, &[(Field::Message, "Summary")]);
            event.set(Field::EventKind, "alert");
            event.set(Field::EventOutcome, "unknown");
            "info"
        }
        _ => "info",
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{event, holds};
    use super::*;
    use crate::parse::Options;

    #[track_caller]
    fn check(record: &str, expected: &[(Field, &str)]) -> Event {
        assert!((FORMAT.sniff)(record) >= 90, "{record}");
        let event = event((FORMAT.grammar)(&Options::default()), record);
        holds(&event, expected, record);
        event
    }

    const LOGIN: &str = r#"{"EventDate":"2026-03-02T09:14:07.239+0000","EventIdentifier":"e-1","LoginKey":"k-1","LoginType":"Remote Access 2.0","SourceIp":"203.0.113.7","Status":"Invalid Password","UserId":"0053X00000BoLQR","Username":"mia@example.com","Browser":"Chrome 126","Application":"Data Loader"}"#;

    #[test]
    fn a_login_is_read_bare_in_a_query_and_in_a_stream() {
        let expected = [
            (Field::EventAction, "login"),
            (Field::EventOutcome, "failure"),
            (Field::EventReason, "Invalid Password"),
            (Field::UserName, "mia@example.com"),
            (Field::UserId, "0053X00000BoLQRQA3"),
            (Field::SourceIp, "203.0.113.7"),
            (Field::SessionId, "k-1"),
            (Field::OauthClientName, "Data Loader"),
            (Field::EventDataset, "salesforce.loginevent"),
        ];
        assert_eq!(check(LOGIN, &expected).time, 1_772_442_847_239);
        check(&format!(r#"{{"totalSize":1,"done":true,"records":[{LOGIN}]}}"#), &expected);
        check(
            &format!(
                r#"{{"data":{{"schema":"s","payload":{LOGIN},"event":{{"replayId":7}}}},"channel":"/event/LoginEventStream"}}"#
            ),
            &expected,
        );
        check(
            &LOGIN.replace("Invalid Password", "Success"),
            &[(Field::EventOutcome, "success"), (Field::EventReason, "")],
        );
    }

    #[test]
    fn each_object_has_its_action() {
        for (record, expected) in [
            (
                r#"{"attributes":{"type":"ReportEvent","url":"/services/data/v58.0/x"},"EventDate":"2026-03-02T09:14:07Z","EventIdentifier":"e","Operation":"ReportExported","RowsProcessed":5210,"Name":"All Contacts","ReportId":"00O3X00000BoLQR","Username":"mia@example.com"}"#,
                vec![
                    (Field::EventAction, "export"),
                    (Field::Records, "5210"),
                    (Field::ReportName, "All Contacts"),
                    (Field::EventCode, "ReportEvent"),
                ],
            ),
            (
                r#"{"EventDate":"2026-03-02T09:14:07Z","EventIdentifier":"e","DelegatedUsername":"admin@example.com","LoginAsCategory":"OrgAdmin","Username":"jo@example.com","SourceIp":"203.0.113.7"}"#,
                vec![
                    (Field::EventAction, "login-as"),
                    (Field::UserName, "admin@example.com"),
                    (Field::UserEffectiveName, "jo@example.com"),
                ],
            ),
            (
                r#"{"EventDate":"2026-03-02T09:14:07Z","EventIdentifier":"e","QueriedEntities":"Contact","RowsProcessed":2000,"Query":"SELECT Id FROM Contact","Username":"mia@example.com"}"#,
                vec![(Field::EventAction, "api-call"), (Field::Records, "2000"), (Field::ObjectType, "Contact")],
            ),
            (
                r#"{"EventDate":"2026-03-02T09:14:07Z","EventIdentifier":"e","FileAction":"UI_DOWNLOAD","FileName":"list.xlsx","ContentSize":70000,"Username":"mia@example.com"}"#,
                vec![(Field::EventAction, "file-download"), (Field::FileName, "list.xlsx"), (Field::Bytes, "70000")],
            ),
            (
                r#"{"attributes":{"type":"SetupAuditTrail","url":"/services/data/v58.0/y"},"Id":"0Ym1","Action":"PermSetAssign","Section":"Manage Users","Display":"Permission set Export: assigned to user Jo","CreatedDate":"2026-03-02T09:14:07.000+0000","CreatedById":"0053X00000BoLQR"}"#,
                vec![
                    (Field::EventAction, "permission-change"),
                    (Field::UserId, "0053X00000BoLQRQA3"),
                    (Field::EventCode, "PermSetAssign"),
                ],
            ),
            (
                r#"{"LoginTime":"2026-03-02T09:14:07.000+0000","UserId":"0053X00000BoLQRQA3","SourceIp":"203.0.113.7","Status":"Success","LoginType":"Application","ApiType":"N/A"}"#,
                vec![
                    (Field::EventAction, "login"),
                    (Field::EventOutcome, "success"),
                    (Field::EventDataset, "salesforce.loginhistory"),
                ],
            ),
            (
                r#"{"attributes":{"type":"SetupAuditTrail","url":"/services/data/v58.0/y"},"Action":"changedpassword","CreatedDate":"2026-03-02T09:14:07.000+0000","CreatedById":"0053X00000BoLQR","CreatedBy":{"Username":"mia@example.com"},"DelegateUser":"support@example.com"}"#,
                vec![
                    (Field::UserName, "support@example.com"),
                    (Field::UserId, ""),
                    (Field::UserEffectiveName, "mia@example.com"),
                    (Field::UserEffectiveId, "0053X00000BoLQRQA3"),
                ],
            ),
            (
                r#"{"attributes":{"type":"ReportAnomalyEventStore","url":"/services/data/v58.0/z"},"EventDate":"2026-03-02T09:14:07Z","EventIdentifier":"e","Score":94.5,"SecurityEventData":"[{\"x\":1}]","Summary":"odd","Username":"mia@example.com"}"#,
                vec![
                    (Field::EventAction, "info"),
                    (Field::EventKind, "alert"),
                    (Field::VendorScore, "94.5"),
                    (Field::EventDataset, "salesforce.reportanomalyevent"),
                ],
            ),
        ] {
            check(record, &expected);
        }
    }

    #[test]
    fn setup_actions_are_told_by_their_longest_beginning() {
        for (word, action) in [
            ("changedpassword", "password-change"),
            ("changedPasswordPolicies", "settings-change"),
            ("PermSetEnableUserPerm", "permission-change"),
            ("suOrgAdminLogout", "logout"),
            ("massDeleteRecords", "bulk-delete"),
            ("somethingNew", "settings-change"),
        ] {
            assert_eq!(setup(word), action, "{word}");
        }
        for (_, action) in SETUP {
            assert!(actions::named(action).is_some(), "{action}");
        }
    }
}
