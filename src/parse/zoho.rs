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
    // Headings with 操作人 are those of other products, too.
    sniff: |record| {
        sheet::sniff(&SHEET, record, if record.contains("操作人") || record.contains("操作者") { 91 } else { 93 })
    },
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
        ("überwachtezeit", Column::Time),
        ("auditzeit", Column::Time),
        ("zeitpunkt", Column::Time),
        ("zeit", Column::Time),
        ("uhrzeit", Column::Time),
        ("datum", Column::Time),
        ("审计时间", Column::Time),
        ("审核时间", Column::Time),
        ("时间", Column::Time),
        ("日期", Column::Time),
        ("doneby", Column::User),
        ("user", Column::User),
        ("performedby", Column::User),
        ("durchgeführtvon", Column::User),
        ("ausgeführtvon", Column::User),
        ("erledigtvon", Column::User),
        ("执行者", Column::User),
        ("执行人", Column::User),
        ("完成者", Column::User),
        ("操作人", Column::User),
        ("操作者", Column::User),
        ("action", Column::Action),
        ("aktion", Column::Action),
        ("操作", Column::Action),
        ("动作", Column::Action),
        ("module", Column::Text(Field::ObjectType)),
        ("modulename", Column::Text(Field::ObjectType)),
        ("modul", Column::Text(Field::ObjectType)),
        ("modulname", Column::Text(Field::ObjectType)),
        ("模块", Column::Text(Field::ObjectType)),
        ("模块名称", Column::Text(Field::ObjectType)),
        ("recordname", Column::Text(Field::ObjectName)),
        ("entity", Column::Text(Field::ObjectName)),
        ("datensatzname", Column::Text(Field::ObjectName)),
        ("datensatz", Column::Text(Field::ObjectName)),
        ("记录名称", Column::Text(Field::ObjectName)),
        ("recordid", Column::Text(Field::ObjectId)),
        ("entityid", Column::Text(Field::ObjectId)),
        ("datensatzid", Column::Text(Field::ObjectId)),
        ("记录id", Column::Text(Field::ObjectId)),
    ],
    required: &[
        &[
            "auditedtime",
            "time",
            "date",
            "überwachtezeit",
            "auditzeit",
            "zeitpunkt",
            "zeit",
            "uhrzeit",
            "datum",
            "审计时间",
            "审核时间",
            "时间",
            "日期",
        ],
        &[
            "doneby",
            "performedby",
            "durchgeführtvon",
            "ausgeführtvon",
            "erledigtvon",
            "执行者",
            "执行人",
            "完成者",
            "操作人",
            "操作者",
        ],
        &["action", "aktion", "操作", "动作"],
        &["module", "modulename", "modul", "modulname", "模块", "模块名称"],
    ],
    words: WORDS,
    otherwise: "info",
    zone: None,
};

/// What is done, in the words of the log.
const WORDS: &[(&str, &str)] = &[
    ("export", "export"),
    ("导出", "export"),
    ("import", "import"),
    ("导入", "import"),
    ("mass delete", "bulk-delete"),
    ("massenlösch", "bulk-delete"),
    ("批量删除", "bulk-delete"),
    ("mass update", "update"),
    ("super admin", "permission-change"),
    ("超级管理员", "permission-change"),
    ("sharing rule", "permission-change"),
    ("freigaberegel", "permission-change"),
    ("共享规则", "permission-change"),
    ("profil", "permission-change"),
    ("配置文件", "permission-change"),
    ("role", "permission-change"),
    ("rolle", "permission-change"),
    ("角色", "permission-change"),
    ("group", "permission-change"),
    ("gruppe", "permission-change"),
    ("群组", "permission-change"),
    ("user deactivated", "user-disable"),
    ("benutzer deaktiviert", "user-disable"),
    ("停用用户", "user-disable"),
    ("webhook", "settings-change"),
    ("workflow", "settings-change"),
    ("工作流", "settings-change"),
    ("template", "settings-change"),
    ("vorlage", "settings-change"),
    ("模板", "settings-change"),
    ("transfer", "ownership-change"),
    ("übertragen", "ownership-change"),
    ("转移", "ownership-change"),
    ("owner", "ownership-change"),
    ("besitzer", "ownership-change"),
    ("所有者", "ownership-change"),
    ("delete", "delete"),
    ("gelöscht", "delete"),
    ("删除", "delete"),
    ("restore", "restore"),
    ("wiederhergestellt", "restore"),
    ("恢复", "restore"),
    ("还原", "restore"),
    ("merge", "merge"),
    ("zusammengeführt", "merge"),
    ("合并", "merge"),
    ("convert", "update"),
    ("konvertiert", "update"),
    ("umgewandelt", "update"),
    ("转换", "update"),
    ("add", "create"),
    ("create", "create"),
    ("hinzugefügt", "create"),
    ("erstellt", "create"),
    ("添加", "create"),
    ("新增", "create"),
    ("创建", "create"),
    ("update", "update"),
    ("edit", "update"),
    ("aktualisiert", "update"),
    ("bearbeitet", "update"),
    ("geändert", "update"),
    ("更新", "update"),
    ("编辑", "update"),
    ("修改", "update"),
    ("view", "view"),
    ("angesehen", "view"),
    ("angezeigt", "view"),
    ("查看", "view"),
    ("print", "print"),
    ("gedruckt", "print"),
    ("打印", "print"),
    ("share", "share"),
    ("freigegeben", "share"),
    ("共享", "share"),
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
        assert_eq!((FORMAT.sniff)(header), 93);
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
    fn the_export_is_read_in_german_and_in_chinese() {
        for (header, row, expected) in [
            (
                "\u{feff}Zeit;Durchgeführt von;Aktion;Modul;Datensatzname",
                "02.03.2026 10:15;Jörg Müller;Exportiert;Kontakte;Alle Kontakte",
                ["export", "Jörg Müller", "Kontakte", "Alle Kontakte"],
            ),
            (
                "\"Überwachte Zeit\",\"Ausgeführt von\",\"Aktion\",\"Modul\",\"Datensatz\"",
                "\"2026-03-02T10:15:00+00:00\",\"Jörg Müller\",\"Massenlöschung\",\"Leads\",\"Messe, 2025\"",
                ["bulk-delete", "Jörg Müller", "Leads", "Messe, 2025"],
            ),
            (
                "审计时间,执行者,操作,模块,记录名称",
                "2026-03-02 10:15,王芳,导出,联系人,全部联系人",
                ["export", "王芳", "联系人", "全部联系人"],
            ),
            (
                "时间,操作人,操作,模块,记录名称",
                "2026-03-02 10:15,王芳,已删除,线索,李明",
                ["delete", "王芳", "线索", "李明"],
            ),
        ] {
            let mut grammar = (FORMAT.grammar)(&Options::default());
            assert!((FORMAT.sniff)(header) > 90, "{header}");
            let mut events = Vec::new();
            assert_eq!(grammar.parse(header, &mut events), Verdict::Skipped);
            assert_eq!(grammar.parse(row, &mut events), Verdict::Parsed);
            let fields = [Field::EventAction, Field::UserName, Field::ObjectType, Field::ObjectName];
            holds(&events[0], &fields.into_iter().zip(expected).collect::<Vec<_>>(), row);
            assert_eq!(events[0].time, 1_772_446_500_000, "{row}");
        }
        // Any Chinese product may write these: `auto` does not take them for Zoho's.
        assert_eq!((FORMAT.sniff)("时间,操作人,操作,模块,记录名称"), 91);
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
