//! Zoho CRM audit log: the export's CSV, and rows of the API as JSON. It has no addresses and no logins.

use crmwatch_detectors::{Event, Field};

use super::json_lines::{body, delivery};
use super::sheet::{self, Column, Sheet};
use super::vendor::{self, Around, Fields, Vendor, has_all};
use super::{Format, NO_TIME, Verdict, actions};

/// The CSV export.
pub const FORMAT: Format = Format {
    name: SHEET.name,
    about: "Zoho CRM audit log, CSV export",
    sniff: |record| sheet::sniff(&SHEET, record, 92),
    grammar: |options| sheet::grammar(&SHEET, options),
};

/// Rows of the API.
pub const API: Format = Format {
    name: VENDOR.name,
    about: "Zoho CRM audit log, rows of the API as JSON",
    sniff: |record| match body(record) {
        Some(text) if has_all(text, &["\"audited_time\"", "\"done_by\""]) => 95,
        _ => 0,
    },
    grammar: |options| vendor::grammar(&VENDOR, options),
};

static SHEET: Sheet = Sheet {
    name: "zoho",
    provider: "zoho",
    headings: &[
        ("auditedtime", Column::Time),
        ("time", Column::Time),
        ("date", Column::Time),
        ("doneby", Column::User),
        ("user", Column::User),
        ("performedby", Column::User),
        ("action", Column::Action),
        ("module", Column::Text(Field::ObjectType)),
        ("modulename", Column::Text(Field::ObjectType)),
        ("recordname", Column::Text(Field::ObjectName)),
        ("entity", Column::Text(Field::ObjectName)),
        ("recordid", Column::Text(Field::ObjectId)),
        ("entityid", Column::Text(Field::ObjectId)),
    ],
    required: &[&["auditedtime", "time", "date"], &["doneby", "performedby"], &["action"], &["module", "modulename"]],
    words: WORDS,
    otherwise: "info",
    zone: None,
};

/// What is done, in the words of the log.
const WORDS: &[(&str, &str)] = &[
    ("export", "export"),
    ("import", "import"),
    ("mass delete", "bulk-delete"),
    ("mass update", "update"),
    ("super admin", "permission-change"),
    ("sharing rule", "permission-change"),
    ("profile", "permission-change"),
    ("role", "permission-change"),
    ("group", "permission-change"),
    ("user deactivated", "user-disable"),
    ("webhook", "settings-change"),
    ("workflow", "settings-change"),
    ("template", "settings-change"),
    ("transfer", "ownership-change"),
    ("owner", "ownership-change"),
    ("delete", "delete"),
    ("restore", "restore"),
    ("merge", "merge"),
    ("convert", "update"),
    ("add", "create"),
    ("create", "create"),
    ("update", "update"),
    ("edit", "update"),
    ("view", "view"),
    ("print", "print"),
    ("share", "share"),
];

static VENDOR: Vendor =
    Vendor { name: "zoho-api", whole: &["field_history"], envelopes: &["audit_log", "data", "audit_logs"], read };

fn read(fields: &Fields<'_>, around: &Around<'_>, events: &mut Vec<Event>) -> Verdict {
    if !fields.has("audited_time") {
        return Verdict::Rejected("not-an-audit-row");
    }
    let raw = around.raw;
    let mut event = Event::new(raw);
    event.time = fields.time(&["audited_time"], around.zone).unwrap_or(NO_TIME);
    fields.person(&mut event, raw, &["done_by.email", "done_by.name", "done_by"]);
    fields.put(
        &mut event,
        raw,
        &[
            (Field::UserId, "done_by.id"),
            (Field::UserFullName, "done_by.name"),
            (Field::ObjectType, "module.api_name"),
            (Field::ObjectId, "entity.id"),
            (Field::ObjectId, "record.id"),
            (Field::ObjectName, "entity.name"),
            (Field::ObjectName, "record.name"),
            (Field::EventCode, "action"),
        ],
    );
    let verb = fields.get("action").unwrap_or("").replace('_', " ").to_lowercase();
    let action = WORDS.iter().find(|(word, _)| verb.contains(word)).map_or("info", |(_, action)| *action);
    actions::set(&mut event, action);
    event.set(Field::EventOutcome, "success");
    event.set(Field::EventProvider, "zoho");
    event.set(Field::EventDataset, "zoho.audit");
    if let Some(id) = fields.get("id") {
        event.set_part(Field::EventId, raw, id);
        event.delivery = Some(delivery(id));
    }
    fields.rest(&mut event, raw);
    events.push(event);
    Verdict::Parsed
}

#[cfg(test)]
mod tests {
    use super::super::trial::{event, holds};
    use super::*;
    use crate::parse::Options;

    #[test]
    fn the_export_s_rows_become_their_actions() {
        let mut grammar = (FORMAT.grammar)(&Options::default());
        let header = "\"Audited Time\",\"Done By\",\"Action\",\"Module\",\"Record Name\"";
        assert_eq!((FORMAT.sniff)(header), 92);
        let mut events = Vec::new();
        assert_eq!(grammar.parse(header, &mut events), Verdict::Skipped);
        for (verb, action) in [
            ("exported", "export"),
            ("Mass Deleted", "bulk-delete"),
            ("deleted", "delete"),
            ("Role changed", "permission-change"),
            ("Added", "create"),
        ] {
            events.clear();
            let row = format!("\"2026-03-02T10:15:30+01:00\",\"Jo Lim\",\"{verb}\",\"Contacts\",\"All Contacts\"");
            assert_eq!(grammar.parse(&row, &mut events), Verdict::Parsed);
            let found = &events[0];
            holds(
                found,
                &[(Field::UserName, "Jo Lim"), (Field::ObjectType, "Contacts"), (Field::ObjectName, "All Contacts")],
                &row,
            );
            // `Mass Deleted` holds the word `mass delete`.
            assert_eq!(found.text(Field::EventAction), Some(action), "{verb}");
            assert_eq!(found.time, 1_772_442_930_000);
        }
    }

    #[test]
    fn rows_of_the_api_are_read_alone_and_in_their_page() {
        let row = r#"{"id":"111","done_by":{"id":"7","name":"Jo Lim"},"audited_time":"2026-03-02T10:15:30+01:00","module":{"api_name":"Contacts"},"action":"export","entity":{"id":"9","name":"All"},"field_history":[{"old":1}]}"#;
        for record in [row.to_owned(), format!(r#"{{"audit_log":[{row}]}}"#)] {
            assert_eq!((API.sniff)(&record), 95);
            let found = event((API.grammar)(&Options::default()), &record);
            holds(
                &found,
                &[
                    (Field::EventAction, "export"),
                    (Field::UserName, "Jo Lim"),
                    (Field::UserId, "7"),
                    (Field::ObjectId, "9"),
                ],
                &record,
            );
        }
    }
}
