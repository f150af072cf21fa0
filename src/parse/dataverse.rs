//! Rows of Dataverse's `audit` table, as the Web API gives them. What Dynamics 365 tells the unified audit log is another shape (`m365`).

use crmwatch_detectors::{Event, Field};

use super::json::{Reader, Value, each_item, each_object_value};
use super::json_lines::{body, delivery};
use super::vendor::{self, Around, Fields, Vendor, has_all};
use super::{Format, NO_TIME, Verdict, actions};

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: VENDOR.name,
    about: "Dataverse audit table (Dynamics 365), rows of the Web API as JSON",
    sniff: |record| match body(record) {
        Some(text) if has_all(text, &["\"auditid\"", "\"createdon\""]) => 95,
        Some(text) if has_all(text, &["\"objecttypecode\"", "\"_userid_value\""]) => 93,
        _ => 0,
    },
    grammar: |options| vendor::grammar(&VENDOR, options),
};

static VENDOR: Vendor = Vendor { name: "dataverse-audit", whole: &["changedata"], envelopes: &["value"], read };

/// Number of the action, and what it is. Unverified beyond the first three: others are told by the operation.
const ACTIONS: &[(i64, &str)] = &[
    (1, "create"),
    (2, "update"),
    (3, "delete"),
    (4, "user-enable"),
    (5, "user-disable"),
    (11, "merge"),
    (12, "ownership-change"),
    (13, "ownership-change"),
    (14, "share"),
    (33, "permission-change"),
    (34, "permission-change"),
    (48, "share"),
    (52, "permission-change"),
    (53, "permission-change"),
    (54, "permission-change"),
    (55, "permission-change"),
    (56, "permission-change"),
    (57, "permission-change"),
    (58, "permission-change"),
    (59, "permission-change"),
    (64, "login"),
    (65, "login"),
    (100, "bulk-delete"),
    (102, "audit-disable"),
    (105, "settings-change"),
    (112, "login"),
];
/// As [`ACTIONS`], of the operation; 4 is an access of a user.
const OPERATIONS: &[(i64, &str)] = &[(1, "create"), (2, "update"), (3, "delete"), (4, "login")];

fn read(fields: &Fields<'_>, around: &Around<'_>, events: &mut Vec<Event>) -> Verdict {
    if !fields.has("auditid") && !fields.has("objecttypecode") {
        return Verdict::Rejected("not-an-audit-row");
    }
    let raw = around.raw;
    let mut event = Event::new(raw);
    event.time = fields.time(&["createdon"], chrono_tz::Tz::UTC).unwrap_or(NO_TIME);
    let of = |table: &[(i64, &'static str)], number: Option<i64>| {
        table.iter().find(|(known, _)| Some(*known) == number).map(|(_, action)| *action)
    };
    let (number, operation) = (fields.integer("action"), fields.integer("operation"));
    let action = of(ACTIONS, number).or_else(|| of(OPERATIONS, operation)).unwrap_or("info");
    if let Some(name) = fields.get("action@OData.Community.Display.V1.FormattedValue") {
        event.set_part(Field::EventCode, raw, name);
    } else if let Some(number) = number {
        event.set(Field::EventCode, &number.to_string());
    }
    fields.person(&mut event, raw, &["_userid_value@OData.Community.Display.V1.FormattedValue", "userid.domainname"]);
    fields.put(
        &mut event,
        raw,
        &[
            (Field::UserId, "_userid_value"),
            (Field::ObjectType, "objecttypecode"),
            (Field::ObjectId, "_objectid_value"),
            (Field::ObjectName, "_objectid_value@OData.Community.Display.V1.FormattedValue"),
            (Field::UserAgent, "useradditionalinfo"),
            (Field::HttpRequestId, "transactionid"),
        ],
    );
    // Somebody acted in another's place: the row's user is whom it was done as.
    if let Some(caller) = fields.get("_callinguserid_value").filter(|id| !id.starts_with("00000000-0000")) {
        let caller = caller.to_owned();
        if event.has(Field::UserId) && event.text(Field::UserId) != Some(&caller) {
            event.copy(Field::UserId, Field::UserEffectiveId);
            event.copy(Field::UserName, Field::UserEffectiveName);
            event.remove(Field::UserName);
            event.set(Field::UserId, &caller);
            let name = fields.get("_callinguserid_value@OData.Community.Display.V1.FormattedValue");
            if let Some(name) = name {
                event.set(Field::UserName, name);
            }
        }
    }
    if let Some(data) = fields.get("changedata") {
        changed(&mut event, data);
    }
    actions::set(&mut event, action);
    event.set(Field::EventOutcome, "success");
    event.set(Field::EventProvider, "dynamics");
    event.set(Field::EventDataset, "dataverse.audit");
    if let Some(id) = fields.get("auditid") {
        event.set_part(Field::EventId, raw, id);
        event.delivery = Some(delivery(id));
    }
    fields.rest(&mut event, raw);
    events.push(event);
    Verdict::Parsed
}

/// Names of the changed columns: `{"changedAttributes":[{"logicalName","oldValue","newValue"}]}`. Their values are content.
fn changed(event: &mut Event, data: &str) {
    let mut list = None;
    let _ = each_object_value(&mut Reader::default(), data, |key, value| {
        if key.eq_ignore_ascii_case("changedAttributes") {
            list = Some(value.held().into_owned());
        }
    });
    let mut items = Reader::default();
    let _ = each_item(&mut items, list.as_deref().unwrap_or("[]"), |item| {
        let Value::Raw(item) = item else { return };
        let _ = each_object_value(&mut Reader::default(), item, |key, value| {
            if key.eq_ignore_ascii_case("logicalName") {
                event.push(Field::ChangedFields, value.text());
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::super::trial::{event, holds};
    use super::*;
    use crate::parse::Options;

    const ROW: &str = r#"{"@odata.etag":"W/\"1\"","auditid":"7d1f6e0e-5b2c-4e0f-9b76-0b6f3f5d1c11","createdon":"2026-03-02T09:14:07Z","action":2,"operation":2,"objecttypecode":"contact","_objectid_value":"c0ffee00-0000-4000-8000-000000000001","_userid_value":"aaaaaaaa-0000-4000-8000-000000000001","_callinguserid_value":null,"changedata":"{\"changedAttributes\":[{\"logicalName\":\"telephone1\",\"oldValue\":\"030 1\",\"newValue\":\"030 2\"},{\"logicalName\":\"ownerid\",\"oldValue\":\"a\",\"newValue\":\"b\"}]}"}"#;

    #[test]
    fn a_row_says_who_did_what_to_which_record_and_only_the_names_of_what_changed() {
        for record in [ROW.to_owned(), format!(r#"{{"@odata.context":"https://org/api","value":[{ROW}]}}"#)] {
            assert_eq!((FORMAT.sniff)(&record), 95, "{record}");
            let found = event((FORMAT.grammar)(&Options::default()), &record);
            holds(
                &found,
                &[
                    (Field::EventAction, "update"),
                    (Field::EventOutcome, "success"),
                    (Field::UserId, "aaaaaaaa-0000-4000-8000-000000000001"),
                    (Field::ObjectType, "contact"),
                    (Field::ObjectId, "c0ffee00-0000-4000-8000-000000000001"),
                    (Field::EventId, "7d1f6e0e-5b2c-4e0f-9b76-0b6f3f5d1c11"),
                ],
                &record,
            );
            assert_eq!(found.time, 1_772_442_847_000);
            let names: Vec<String> = found.all(Field::ChangedFields).map(|value| value.to_string()).collect();
            assert_eq!(names, ["telephone1", "ownerid"]);
            assert!(found.values().all(|(_, value)| !value.to_string().contains("030 2")), "values are content");
        }
    }

    #[test]
    fn numbers_are_actions_and_an_impersonator_is_who_acted() {
        for (number, operation, action) in [
            (1, 1, "create"),
            (3, 3, "delete"),
            (13, 2, "ownership-change"),
            (14, 2, "share"),
            (64, 4, "login"),
            (999, 3, "delete"),
        ] {
            let record =
                ROW.replace("\"action\":2,\"operation\":2", &format!("\"action\":{number},\"operation\":{operation}"));
            holds(&event((FORMAT.grammar)(&Options::default()), &record), &[(Field::EventAction, action)], &record);
        }
        let record = ROW.replace(
            "\"_callinguserid_value\":null",
            "\"_callinguserid_value\":\"bbbbbbbb-0000-4000-8000-000000000002\"",
        );
        holds(
            &event((FORMAT.grammar)(&Options::default()), &record),
            &[
                (Field::UserId, "bbbbbbbb-0000-4000-8000-000000000002"),
                (Field::UserEffectiveId, "aaaaaaaa-0000-4000-8000-000000000001"),
            ],
            &record,
        );
    }
}
