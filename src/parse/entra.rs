//! Entra ID: sign-ins and directory audits as Graph gives them, in the envelope of diagnostic settings, or flattened as Log Analytics
//! exports them. Not for the unified audit log (`m365`), which tells of some of the same in another shape.

use std::borrow::Cow;

use crmwatch_detectors::{Event, Field};

use super::json::{Reader, Value, Visitor, each_item, each_object_value, each_pair};
use super::json_lines::{body, is_mail};
use super::m365;
use super::vendor::{self, Around, Fields, Vendor, has_all, moment};
use super::{Format, NO_TIME, Verdict, absent, actions};

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: VENDOR.name,
    about: "Entra ID (Azure AD): sign-ins and directory audits, from Graph, diagnostic settings or Log Analytics",
    sniff: |record| {
        let Some(text) = body(record) else { return 0 };
        let any = |marks: &[&[&str]]| marks.iter().any(|words| has_all(text, words));
        let marks: &[&[&str]] = &[
            &["\"createdDateTime\"", "\"userPrincipalName\"", "\"appDisplayName\""],
            &["\"createdDateTime\"", "\"ipAddress\"", "\"errorCode\""],
            &["\"activityDateTime\"", "\"activityDisplayName\""],
            &["\"operationName\"", "\"category\"", "\"properties\"", "\"correlationId\"", "\"time\""],
            &["\"operationName\"", "\"category\"", "\"tenantId\"", "\"time\"", "SignInLogs\""],
            &["\"UserPrincipalName\"", "\"IPAddress\"", "\"ResultType\""],
            &["\"ActivityDisplayName\"", "\"OperationName\"", "\"TimeGenerated\""],
            &["\"riskEventType\"", "\"riskState\"", "\"detectedDateTime\""],
            &["\"RiskEventType\"", "\"RiskState\"", "\"DetectedDateTime\""],
        ];
        if any(marks) { 94 } else { 0 }
    },
    grammar: |options| vendor::grammar(&VENDOR, options),
};

static VENDOR: Vendor = Vendor {
    name: "entra-id",
    whole: &[
        "properties.targetResources",
        "targetResources",
        "properties.additionalDetails",
        "additionalDetails",
        "properties.authenticationDetails",
        "authenticationDetails",
        "properties.appliedConditionalAccessPolicies",
        "appliedConditionalAccessPolicies",
        "properties.authenticationProcessingDetails",
        "authenticationProcessingDetails",
    ],
    envelopes: &["value", "records"],
    read,
};

/// Results of a sign-in that are steps on the way (another page is shown), not failures.
const INTERRUPTS: &[i64] = &[
    16000, 50055, 50058, 50059, 50072, 50074, 50076, 50079, 50097, 50125, 50127, 50129, 50140, 50143, 50144, 50158,
    50203, 65001,
];
/// Results that mean the second factor was refused or timed out.
const SECOND_FACTOR_REFUSED: &[i64] = &[500121];

fn read(fields: &Fields<'_>, around: &Around<'_>, events: &mut Vec<Event>) -> Verdict {
    let deep = Deep { prefix: if has_properties(fields) { "properties." } else { "" }, fields };
    let category = deep.outer("category").unwrap_or("");
    let mut event = Event::new(around.raw);
    let known = if category == "MicrosoftGraphActivityLogs" {
        graph_activity(&deep, &mut event, around)
    } else if deep.has("createdDateTime") || category.contains("SignInLogs") || fields.has("ResultType") {
        sign_in(&deep, &mut event, around, category)
    } else if deep.has("activityDisplayName") || category == "AuditLogs" {
        audit(&deep, &mut event, around)
    } else if category.contains("Risk") || deep.has("riskEventType") {
        risk(&deep, &mut event, around)
    } else if deep.has("operationName") && deep.has("category") {
        event.set(Field::EventDataset, "entra.other");
        "info"
    } else {
        return Verdict::Rejected("not-an-entra-record");
    };
    if event.has(Field::EventAction) {
        actions::set_beside(&mut event, known);
    } else {
        actions::set(&mut event, known);
    }
    if event.time == NO_TIME {
        let zone = around.zone;
        event.time = ["time", "TimeGenerated", "timeGenerated"]
            .iter()
            .find_map(|path| moment(fields.get(path)?, zone))
            .unwrap_or(NO_TIME);
    }
    deep.put(
        &mut event,
        around.raw,
        &[
            (Field::CorrelationId, "correlationId"),
            (Field::OrganizationId, "tenantId"),
            (Field::EventCode, "operationName"),
        ],
    );
    if let Some(id) = deep.get("id").or_else(|| deep.get("requestId")) {
        event.set_part(Field::EventId, around.raw, id);
        event.delivery = (id.len() >= 16).then(|| super::json_lines::delivery(&format!("{category} {id}")));
    }
    deep.client(&mut event, around.raw);
    event.set(Field::EventProvider, "entra-id");
    if !category.is_empty() {
        event.set_other_part("category", around.raw, category);
    }
    fields.rest(&mut event, around.raw);
    events.push(event);
    Verdict::Parsed
}

fn has_properties(fields: &Fields<'_>) -> bool {
    [
        "id",
        "createdDateTime",
        "activityDateTime",
        "userPrincipalName",
        "requestId",
        "ipAddress",
        "riskEventType",
        "userId",
    ]
    .iter()
    .any(|key| fields.has_in("properties.", key))
}

/// Keys of the record itself, whether it stands alone or in an envelope's `properties`.
struct Deep<'f, 'a> {
    prefix: &'static str,
    fields: &'f Fields<'a>,
}

impl<'a> Deep<'_, 'a> {
    fn get(&self, key: &str) -> Option<&str> {
        let inner = (!self.prefix.is_empty()).then(|| self.fields.get_in(self.prefix, key)).flatten();
        let outer = self.fields.get(key);
        inner.or(outer)
    }

    /// The envelope's word before the record's.
    fn outer(&self, key: &str) -> Option<&str> {
        self.fields.get(key).or_else(|| self.get(key))
    }

    fn has(&self, key: &str) -> bool {
        self.fields.has(key) || self.fields.has_in(self.prefix, key)
    }

    fn put(&self, event: &mut Event, raw: &str, pairs: &[(Field, &str)]) {
        for (field, key) in pairs {
            if let Some(text) = self.get(key).filter(|_| !event.has(*field)) {
                event.set_part(*field, raw, text);
            }
        }
    }

    fn person(&self, event: &mut Event, raw: &str, keys: &[&str]) {
        self.fields.person_in(self.prefix, event, raw, keys);
    }

    fn client(&self, event: &mut Event, raw: &str) {
        const KEYS: [&str; 3] = ["ipAddress", "initiatedBy.user.ipAddress", "callerIpAddress"];
        self.fields.client_of(event, raw, || {
            let inner = KEYS.iter().filter_map(|key| self.fields.get_in(self.prefix, key));
            inner.chain(self.fields.get("callerIpAddress"))
        });
    }

    /// A list of objects, also where Log Analytics made a text of it.
    fn each_object<'d>(&'d self, key: &str, mut tell: impl FnMut(&'d str)) {
        let Some(list) = self.get(key) else { return };
        let _ = each_item(&mut Reader::default(), list, |item| {
            if let Value::Raw(item) = item {
                tell(item);
            }
        });
    }
}

fn sign_in(deep: &Deep<'_, '_>, event: &mut Event, around: &Around<'_>, category: &str) -> &'static str {
    let raw = around.raw;
    event.time = deep.get("createdDateTime").and_then(|text| moment(text, around.zone)).unwrap_or(NO_TIME);
    deep.person(event, raw, &["userPrincipalName", "signInIdentifier", "servicePrincipalName", "userDisplayName"]);
    deep.put(
        event,
        raw,
        &[
            (Field::UserId, "userId"),
            (Field::UserId, "servicePrincipalId"),
            (Field::UserFullName, "userDisplayName"),
            (Field::UserAgent, "userAgent"),
            (Field::UserAgentOs, "deviceDetail.operatingSystem"),
            (Field::DeviceId, "deviceDetail.deviceId"),
            (Field::ServiceName, "resourceDisplayName"),
            (Field::OauthClientId, "appId"),
            (Field::OauthClientName, "appDisplayName"),
            (Field::SessionId, "sessionId"),
            (Field::EventReason, "status.failureReason"),
            (Field::EventReason, "resultDescription"),
        ],
    );
    let code =
        deep.get("status.errorCode").or_else(|| deep.outer("resultType")).and_then(|text| text.parse::<i64>().ok());
    let outcome = match code {
        Some(0) => "success",
        Some(code) if INTERRUPTS.contains(&code) => "unknown",
        Some(_) => "failure",
        None => "unknown",
    };
    if let Some(code) = code.filter(|code| *code != 0) {
        event.set_other("status.errorCode", crmwatch_detectors::Value::Integer(code));
        if !event.has(Field::EventReason) {
            event.set(Field::EventReason, &code.to_string());
        }
    } else if code == Some(0) {
        event.remove(Field::EventReason);
    }
    event.set(Field::EventOutcome, outcome);
    let interactive = deep.get("isInteractive").and_then(|text| Value::Plain(text).bool());
    let service = category.starts_with("ServicePrincipal") || category.starts_with("ManagedIdentity");
    let kind = match (service, category.starts_with("NonInteractive") || interactive == Some(false)) {
        (true, _) => "service",
        (_, true) => "non-interactive",
        _ => "interactive",
    };
    event.set(Field::LoginType, kind);
    event.set(Field::EventDataset, "entra.signin");
    let step = |word: &str| word.to_ascii_lowercase().contains("mfa denied");
    match (code, kind) {
        (Some(code), _) if SECOND_FACTOR_REFUSED.contains(&code) => "mfa-denied",
        _ if deep.get("status.additionalDetails").is_some_and(step) => "mfa-denied",
        (Some(50074 | 50076), "interactive") => "mfa-challenge",
        // A token renewed in the background, or a program's own sign-in: nobody sat at a keyboard.
        (_, "interactive") => "login",
        _ => "api-call",
    }
}

fn audit(deep: &Deep<'_, '_>, event: &mut Event, around: &Around<'_>) -> &'static str {
    let raw = around.raw;
    event.time = deep.get("activityDateTime").and_then(|text| moment(text, around.zone)).unwrap_or(NO_TIME);
    deep.person(
        event,
        raw,
        &[
            "initiatedBy.user.userPrincipalName",
            "initiatedBy.user.displayName",
            "initiatedBy.app.displayName",
            "initiatedBy.app.servicePrincipalName",
            "initiatedBy.user.id",
        ],
    );
    deep.put(
        event,
        raw,
        &[
            (Field::UserId, "initiatedBy.user.id"),
            (Field::UserId, "initiatedBy.app.servicePrincipalId"),
            (Field::OauthClientId, "initiatedBy.app.appId"),
            (Field::UserAgent, "userAgent"),
            (Field::EventReason, "resultReason"),
            (Field::ServiceName, "loggedByService"),
        ],
    );
    if !event.has(Field::UserName)
        && let Some(text) = deep.get("initiatedBy").filter(|text| text.starts_with('{'))
    {
        initiated(event, text);
    }
    event.set(Field::EventDataset, "entra.audit");
    let result = deep.get("result").or_else(|| deep.get("resultType")).unwrap_or("");
    event.set(Field::EventOutcome, actions::outcome(result).unwrap_or("unknown"));
    let name = deep.get("activityDisplayName").or_else(|| deep.outer("operationName")).unwrap_or("");
    event.set_part(Field::EventCode, raw, name);
    let mut first = true;
    let mut reader = Reader::default();
    deep.each_object("targetResources", |target| {
        let mut modified = None;
        let mut kind = Cow::Borrowed("");
        let (mut user, mut id, mut shown) = (None, None, None);
        let _ = each_object_value(&mut reader, target, |key, value| {
            let is = |known: &str| key.eq_ignore_ascii_case(known);
            let text = || (!absent(value.text())).then(|| value.held());
            if is("type") {
                kind = value.held();
            } else if is("userPrincipalName") {
                user = text();
            } else if is("id") {
                id = text();
            } else if is("displayName") {
                shown = text();
            } else if is("modifiedProperties") {
                modified = Some(value.held());
            }
        });
        if kind.eq_ignore_ascii_case("User") || user.is_some() {
            for (field, value) in [(Field::UserTargetName, user.or(shown)), (Field::UserTargetId, id)] {
                if let Some(value) = value.filter(|_| !event.has(field)) {
                    event.set_part(field, raw, &value);
                }
            }
        } else if first {
            for (field, value) in [
                (Field::ObjectType, Some(kind).filter(|kind| !kind.is_empty())),
                (Field::ObjectId, id),
                (Field::ObjectName, shown),
            ] {
                if let Some(value) = value {
                    event.set_part(field, raw, &value);
                }
            }
            first = false;
        }
        each_modified(modified.as_deref().unwrap_or("[]"), |name, new, old| {
            event.push(Field::ChangedFields, name);
            let value = if plain(new).is_empty() { plain(old) } else { plain(new) };
            match name {
                "Role.DisplayName"
                | "AppRole.Value"
                | "Group.DisplayName"
                | "DelegatedPermissionGrant.Scope"
                | "ConsentAction.Permissions"
                    if !value.is_empty() =>
                {
                    event.set(Field::Permission, value);
                }
                _ => {}
            }
        });
    });
    m365::operation(name).unwrap_or("info")
}

/// Log Analytics writes values as JSON within a text.
fn plain(text: &str) -> &str {
    text.trim_matches(|one| matches!(one, '"' | '[' | ']' | '\\'))
}

/// Who did it, where Log Analytics made a text of the object.
fn initiated(event: &mut Event, text: &str) {
    struct Actor<'e>(&'e mut Event);
    impl<'a> Visitor<'a> for Actor<'_> {
        fn value(&mut self, path: &str, value: Value<'a, '_>, _listed: bool) {
            let text = value.text();
            let field = match path {
                _ if absent(text) => return,
                "user.userPrincipalName" => Field::UserName,
                "user.displayName" | "app.displayName" => Field::UserFullName,
                "user.id" | "app.servicePrincipalId" => Field::UserId,
                "app.appId" => Field::OauthClientId,
                "user.ipAddress" => return super::ip::set_source(self.0, "", text),
                _ => return,
            };
            self.0.set(field, text);
        }
    }
    // A broken text says as much as it says up to the fault.
    let _ = Reader::default().read(text, &mut Actor(event));
    if !event.has(Field::UserName) {
        event.copy(Field::UserFullName, Field::UserName);
    }
    if event.text(Field::UserName).is_some_and(is_mail) {
        event.copy(Field::UserName, Field::UserEmail);
    }
}

/// Name, new and old value of each changed property; Graph calls the name `displayName`.
fn each_modified(list: &str, mut tell: impl FnMut(&str, &str, &str)) {
    let mut any = false;
    let mut reader = Reader::default();
    let _ = each_item(&mut Reader::default(), list, |item| {
        let Value::Raw(item) = item else { return };
        let (mut name, mut new, mut old) = (Cow::Borrowed(""), Cow::Borrowed(""), Cow::Borrowed(""));
        let _ = each_object_value(&mut reader, item, |key, value| match key {
            "displayName" => name = value.held(),
            "newValue" => new = value.held(),
            "oldValue" => old = value.held(),
            _ => {}
        });
        if !name.is_empty() {
            any = true;
            tell(&name, &new, &old);
        }
    });
    if !any {
        each_pair(list, tell);
    }
}

fn risk(deep: &Deep<'_, '_>, event: &mut Event, around: &Around<'_>) -> &'static str {
    let raw = around.raw;
    event.time = ["activityDateTime", "detectedDateTime", "riskLastUpdatedDateTime"]
        .iter()
        .find_map(|key| moment(deep.get(key)?, around.zone))
        .unwrap_or(NO_TIME);
    deep.person(event, raw, &["userPrincipalName", "userDisplayName"]);
    deep.put(
        event,
        raw,
        &[(Field::UserId, "userId"), (Field::EventReason, "riskEventType"), (Field::EventReason, "riskState")],
    );
    event.set(Field::EventDataset, "entra.risk");
    event.set(Field::EventKind, "alert");
    event.set(Field::EventOutcome, "unknown");
    "info"
}

fn graph_activity(deep: &Deep<'_, '_>, event: &mut Event, around: &Around<'_>) -> &'static str {
    let raw = around.raw;
    event.time = deep.get("timeGenerated").and_then(|text| moment(text, around.zone)).unwrap_or(NO_TIME);
    deep.put(
        event,
        raw,
        &[
            (Field::UserId, "UserPrincipalObjectID"),
            (Field::UserId, "userId"),
            (Field::UserId, "servicePrincipalId"),
            (Field::OauthClientId, "appId"),
            (Field::OauthScopes, "scopes"),
            (Field::UserAgent, "userAgent"),
            (Field::HttpMethod, "requestMethod"),
            (Field::HttpRequestId, "requestId"),
            (Field::UrlOriginal, "requestUri"),
            (Field::SessionId, "signInActivityId"),
        ],
    );
    if let Some(status) = deep.get("responseStatusCode").and_then(|text| text.parse().ok()) {
        event.set_integer(Field::HttpStatus, status);
        event.set(Field::EventOutcome, actions::of_status(status).unwrap_or("unknown"));
    }
    if let Some(bytes) = deep.get("responseSizeBytes").and_then(|text| text.parse().ok()) {
        event.set_integer(Field::HttpResponseBytes, bytes);
    }
    event.set(Field::EventDataset, "entra.graph");
    "api-call"
}

#[cfg(test)]
#[path = "entra_tests.rs"]
mod tests;
