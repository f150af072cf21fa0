//! HubSpot account activity: audit, login and security records, bare or in the API's `results`. Not for its CSV downloads (`headings`).

use crmwatch_detectors::{Event, Field};

use super::json_lines::{body, delivery};
use super::vendor::{self, Around, Fields, Vendor, has_all};
use super::{Format, NO_TIME, Verdict, actions};

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: VENDOR.name,
    about: "HubSpot account activity: audit, login and security records",
    sniff: |record| match body(record) {
        Some(text) if has_all(text, &["\"loginAt\"", "\"loginSucceeded\""]) => 95,
        Some(text) if has_all(text, &["\"subCategory\"", "\"occurredAt\""]) => 95,
        Some(text) if has_all(text, &["\"createdAt\"", "\"actingUser\"", "\"type\"", "\"infoUrl\""]) => 95,
        Some(text) if has_all(text, &["\"createdAt\"", "\"actingUser\"", "\"type\"", "\"objectId\""]) => 90,
        _ => 0,
    },
    grammar: |options| vendor::grammar(&VENDOR, options),
};

static VENDOR: Vendor = Vendor { name: "hubspot", whole: &[], envelopes: &["results"], read };

/// Words of a type, category or sub-category, in their order, to action: the first that is part of it counts.
const WORDS: &[(&str, &str)] = &[
    ("LOGIN", "login"),
    ("EXPORT", "export"),
    ("ADMIN_USER", "permission-change"),
    ("ADMIN_PERMISSION", "permission-change"),
    ("PERMISSION", "permission-change"),
    ("TEAM", "permission-change"),
    ("DEACTIVATE_USER", "user-disable"),
    ("REACTIVATE_USER", "user-enable"),
    ("REMOVE_USER", "user-delete"),
    ("DELETE_USER", "user-delete"),
    ("ADD_USER", "user-create"),
    ("CREATE_USER", "user-create"),
    ("UNINSTALL_INTEGRATION", "oauth-revoke"),
    ("DISCONNECT", "oauth-revoke"),
    ("INSTALL_INTEGRATION", "integration-install"),
    ("CREATE_API_KEY", "token-create"),
    ("API_KEY", "token-create"),
    ("PRIVATE_APP", "token-create"),
    ("PASSWORD", "password-change"),
    ("DISABLE_TWO_FACTOR", "mfa-removed"),
    ("DISABLE_2FA", "mfa-removed"),
    ("REMOVE_TWO_FACTOR", "mfa-removed"),
    ("TWO_FACTOR", "settings-change"),
    ("2FA", "settings-change"),
    ("SSO", "settings-change"),
    ("SETTING", "settings-change"),
    ("DOMAIN", "settings-change"),
    ("IMPORT", "import"),
];

fn by_word(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_uppercase();
    WORDS.iter().find(|(word, _)| text.contains(word)).map(|(_, action)| *action)
}

fn read(fields: &Fields<'_>, around: &Around<'_>, events: &mut Vec<Event>) -> Verdict {
    let mut event = Event::new(around.raw);
    let known = if fields.has("loginAt") {
        login(fields, &mut event, around)
    } else if fields.has("occurredAt") && fields.has("category") {
        audit(fields, &mut event, around)
    } else if fields.has("type") && fields.has("createdAt") {
        security(fields, &mut event, around)
    } else {
        return Verdict::Rejected("not-an-activity");
    };
    actions::set(&mut event, known);
    fields.put(
        &mut event,
        around.raw,
        &[(Field::UserId, "userId"), (Field::UserAgent, "userAgent"), (Field::EventId, "id")],
    );
    // Small ids of one shape may be those of another, too.
    if let Some(id) = event.text(Field::EventId) {
        event.delivery = Some(delivery(&format!("{} {id}", event.text(Field::EventDataset).unwrap_or_default())));
    }
    fields.client(&mut event, around.raw, &["ipAddress"]);
    event.set(Field::EventProvider, "hubspot");
    fields.rest(&mut event, around.raw);
    events.push(event);
    Verdict::Parsed
}

fn login(fields: &Fields<'_>, event: &mut Event, around: &Around<'_>) -> &'static str {
    event.time = fields.time(&["loginAt"], around.zone).unwrap_or(NO_TIME);
    fields.person(event, around.raw, &["email"]);
    event.set(Field::EventDataset, "hubspot.login");
    event.set(
        Field::EventOutcome,
        match fields.bool("loginSucceeded") {
            Some(true) => "success",
            Some(false) => "failure",
            None => "unknown",
        },
    );
    "login"
}

fn audit(fields: &Fields<'_>, event: &mut Event, around: &Around<'_>) -> &'static str {
    let raw = around.raw;
    event.time = fields.time(&["occurredAt"], around.zone).unwrap_or(NO_TIME);
    event.set(Field::EventDataset, "hubspot.audit");
    fields.person(event, raw, &["actingUser.userEmail", "actingUser"]);
    fields.put(event, raw, &[(Field::UserId, "actingUser.userId"), (Field::ObjectId, "targetObjectId")]);
    let category = fields.get("category").unwrap_or("");
    let kind = fields.get("subCategory").unwrap_or("");
    let verb = fields.get("action").unwrap_or("");
    event.set(Field::EventCode, &[category, kind, verb].join("/"));
    let failed = kind.to_ascii_uppercase().contains("FAILED");
    event.set(Field::EventOutcome, if failed { "failure" } else { "success" });
    if matches!(category, "LOGIN" | "CRITICAL_ACTION" | "SECURITY" | "ACCOUNT") {
        return by_word(kind).or_else(|| by_word(category)).unwrap_or("info");
    }
    if let Some(export) = by_word(kind).filter(|action| *action == "export") {
        return export;
    }
    if !kind.is_empty() {
        event.set_part(Field::ObjectType, raw, kind);
    }
    match verb {
        "PUBLISH" | "PERFORM" | "UNPUBLISH" => "update",
        verb => actions::action(verb).unwrap_or("info"),
    }
}

fn security(fields: &Fields<'_>, event: &mut Event, around: &Around<'_>) -> &'static str {
    let raw = around.raw;
    event.time = fields.time(&["createdAt"], around.zone).unwrap_or(NO_TIME);
    event.set(Field::EventDataset, "hubspot.security");
    fields.person(event, raw, &["actingUser.userEmail", "actingUser"]);
    let kind = fields.get("type").unwrap_or("");
    event.set_part(Field::EventCode, raw, kind);
    event.set(Field::EventOutcome, if kind.contains("FAILED") { "failure" } else { "success" });
    let action = by_word(kind).unwrap_or("info");
    let about_a_user = action.starts_with("user-") || action == "permission-change";
    fields.put(event, raw, &[(if about_a_user { Field::UserTargetId } else { Field::ObjectId }, "objectId")]);
    action
}

#[cfg(test)]
mod tests {
    use super::super::trial::{event, holds};
    use super::*;
    use crate::parse::Options;

    #[test]
    fn the_three_shapes_become_their_actions() {
        for (record, fields) in [
            (
                r#"{"id":"3959685975","loginAt":"2026-03-02T09:14:07.186Z","userId":70769783,"email":"mia@example.com","loginSucceeded":false,"ipAddress":"203.0.113.7","location":"delhi, india","userAgent":"Mozilla/5.0","countryCode":"in"}"#,
                vec![
                    (Field::EventAction, "login"),
                    (Field::EventOutcome, "failure"),
                    (Field::UserName, "mia@example.com"),
                    (Field::UserId, "70769783"),
                    (Field::SourceIp, "203.0.113.7"),
                    (Field::UserAgent, "Mozilla/5.0"),
                ],
            ),
            (
                r#"{"id":"Ij8+eTA9=","category":"CRM_OBJECT","subCategory":"CONTACT","action":"DELETE","targetObjectId":"@hubspot/growth","occurredAt":"2026-03-02T09:14:07.186Z","actingUser":{"userId":7,"userEmail":"mia@example.com"}}"#,
                vec![
                    (Field::EventAction, "delete"),
                    (Field::ObjectType, "CONTACT"),
                    (Field::ObjectId, "@hubspot/growth"),
                    (Field::UserName, "mia@example.com"),
                    (Field::UserId, "7"),
                    (Field::SourceIp, ""),
                ],
            ),
            (
                r#"{"id":"x","category":"LOGIN","subCategory":"LOGIN_FAILED","action":"PERFORM","occurredAt":"2026-03-02T09:14:07.186Z","actingUser":{"userId":7,"userEmail":"mia@example.com"}}"#,
                vec![(Field::EventAction, "login"), (Field::EventOutcome, "failure")],
            ),
            (
                r#"{"id":"356492480","createdAt":"2026-03-02T09:14:07.098Z","userId":70700783,"type":"EXPORT_CONTACTS","actingUser":"mia@example.com","objectId":"70769658","infoUrl":null,"location":null,"ipAddress":"203.0.113.7"}"#,
                vec![
                    (Field::EventAction, "export"),
                    (Field::UserName, "mia@example.com"),
                    (Field::ObjectId, "70769658"),
                    (Field::SourceIp, "203.0.113.7"),
                ],
            ),
            (
                r#"{"id":"9","createdAt":"2026-03-02T09:14:07.098Z","userId":1,"type":"DEACTIVATE_USER","actingUser":"mia@example.com","objectId":"70769658","infoUrl":null}"#,
                vec![(Field::EventAction, "user-disable"), (Field::UserTargetId, "70769658")],
            ),
        ] {
            assert!((FORMAT.sniff)(record) >= 90, "{record}");
            holds(&event((FORMAT.grammar)(&Options::default()), record), &fields, record);
        }
    }

    #[test]
    fn a_page_of_the_api_gives_its_records_and_an_id_of_another_shape_is_no_copy() {
        let page = r#"{"results":[{"id":"5","loginAt":"2026-03-02T09:14:07.186Z","email":"a@example.com","loginSucceeded":true},{"id":"5","createdAt":"2026-03-02T09:14:07.098Z","type":"ADD_USER","actingUser":"a@example.com","objectId":"8"}],"paging":{"next":{"after":"x"}}}"#;
        let mut events = Vec::new();
        assert_eq!((FORMAT.grammar)(&Options::default()).parse(page, &mut events), Verdict::Parsed);
        assert_eq!(events.len(), 2);
        assert_ne!(events[0].delivery, events[1].delivery);
    }
}
