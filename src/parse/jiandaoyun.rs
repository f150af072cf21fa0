//! Jiandaoyun (简道云): data pushes, bare or as the push endpoint spools them with query and headers. Field values are content and are
//! not kept, only the fields' names. Not for the exported operation log (`headings`), nor for checking signatures (the push endpoint).

use crmwatch_detectors::{Event, Field};

use super::json::{Reader, Value, each_object_value};
use super::json_lines::{body, delivery};
use super::vendor::{self, Around, Fields, Vendor, has_all, moment};
use super::{Format, NO_TIME, Verdict, absent, actions};

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: VENDOR.name,
    about: "Jiandaoyun (简道云) data push: records created, changed, deleted",
    sniff: |record| match body(record) {
        Some(text) if has_all(text, &["\"op\"", "\"data\"", "\"entryId\""]) => 95,
        Some(text) if has_all(text, &["\\\"op\\\"", "\\\"data\\\"", "\"body\""]) => 95,
        Some(text) if has_all(text, &["\"op\":\"data_", "\"data\""]) => 92,
        Some(text) if has_all(text, &["\"op\":\"f", "\"data\"", "\"send_time\""]) => 92,
        _ => 0,
    },
    grammar: |options| vendor::grammar(&VENDOR, options),
};

static VENDOR: Vendor = Vendor { name: "jiandaoyun", whole: &["data"], envelopes: &[], read };

/// `op`, action, the data's key that names who did it, and the one that says when.
const OPERATIONS: &[(&str, &str, &str, &str)] = &[
    ("data_create", "create", "creator", "createTime"),
    ("data_update", "update", "updater", "updateTime"),
    ("data_remove", "delete", "deleter", "deleteTime"),
    ("data_recover", "restore", "updater", "updateTime"),
    ("form_update", "settings-change", "updater", "updateTime"),
];

fn read(fields: &Fields<'_>, around: &Around<'_>, events: &mut Vec<Event>) -> Verdict {
    // As spooled: the body stands as a text beside query and headers.
    if let Some(inner) = fields.get("body").filter(|text| text.starts_with('{')) {
        let mut found = Parts::default();
        let _ = each_object_value(&mut Reader::default(), inner, |key, value| found.take(key, value));
        found.delivery =
            fields.first(&["headers.X-JDY-DeliverId", "headers.x-jdy-deliverid", "delivery"]).map(str::to_owned);
        found.pushed = fields.first(&["query.timestamp", "received_at"]).map(str::to_owned);
        return tell(&found, fields, around, events);
    }
    let mut found = Parts::default();
    for key in ["op", "data", "send_time", "opTime"] {
        if let Some(text) = fields.get(key) {
            found.take(key, if key == "data" { Value::Raw(text) } else { Value::Decoded(text) });
        }
    }
    tell(&found, fields, around, events)
}

/// The parts of a push.
#[derive(Default)]
struct Parts {
    op: String,
    data: String,
    sent: Option<String>,
    delivery: Option<String>,
    pushed: Option<String>,
}

impl Parts {
    fn take(&mut self, key: &str, value: Value<'_, '_>) {
        match key {
            "op" => self.op = value.text().to_owned(),
            "data" => self.data = value.text().to_owned(),
            "send_time" | "opTime" if !absent(value.text()) => self.sent = Some(value.text().to_owned()),
            _ => {}
        }
    }
}

fn tell(found: &Parts, fields: &Fields<'_>, around: &Around<'_>, events: &mut Vec<Event>) -> Verdict {
    if found.op.is_empty() || !found.data.starts_with('{') {
        return Verdict::Rejected("not-a-push");
    }
    if found.op == "data_test" {
        return Verdict::Skipped;
    }
    let known = OPERATIONS.iter().find(|(op, ..)| *op == found.op);
    let (action, actor, stamp) =
        known.map_or(("info", "creator", "updateTime"), |(_, action, actor, stamp)| (*action, *actor, *stamp));
    let mut event = Event::new(around.raw);
    let zone = around.zone;
    let mut time = None;
    let mut form = None;
    let read = each_object_value(&mut Reader::default(), &found.data, |key, value| {
        let text = value.text();
        if absent(text) {
            return;
        }
        match key {
            // The console's example fills in all three actors: `op` alone says whose turn it is.
            key if key == actor => person(&mut event, text),
            "creator" | "updater" | "deleter" => {}
            key if key == stamp => time = moment(text, zone),
            "createTime" | "updateTime" | "deleteTime" => {}
            "formName" => event.set(Field::ObjectType, text),
            "entryId" => form = Some(text.to_owned()),
            "_id" => event.set(Field::ObjectId, text),
            "appId" => event.set_other("appId", crmwatch_detectors::Value::Text(text)),
            "flowState" => event.set_other("flowState", crmwatch_detectors::Value::Text(text)),
            name => event.push(Field::ChangedFields, name),
        }
    });
    if read.is_err() {
        return Verdict::Rejected(super::json_lines::SYNTAX);
    }
    if let Some(form) = form {
        if event.has(Field::ObjectType) {
            event.set_other("entryId", crmwatch_detectors::Value::Text(&form));
        } else {
            event.set(Field::ObjectType, &form);
        }
    }
    let pushed = || found.sent.as_deref().and_then(|text| moment(text, zone));
    event.time = pushed()
        .filter(|_| known.is_none())
        .or(time)
        .or_else(pushed)
        .or_else(|| found.pushed.as_deref().and_then(|text| moment(text, zone)))
        .unwrap_or(NO_TIME);
    event.set(Field::EventCode, &found.op);
    actions::set(&mut event, action);
    event.set(Field::EventOutcome, "success");
    event.set(Field::EventProvider, "jiandaoyun");
    event.set(Field::EventDataset, "jiandaoyun.push");
    if let Some(id) = &found.delivery {
        event.set(Field::EventId, id);
        event.delivery = Some(delivery(id));
    }
    for key in ["query", "headers", "received_at"] {
        let _ = fields.get(key);
    }
    events.push(event);
    Verdict::Parsed
}

/// `{"_id","name","username"}`; the member number is the login.
fn person(event: &mut Event, object: &str) {
    let _ = each_object_value(&mut Reader::default(), object, |key, value| {
        let text = value.text();
        match key {
            _ if absent(text) => {}
            "username" => event.set(Field::UserName, text),
            "name" => event.set(Field::UserFullName, text),
            "_id" => event.set(Field::UserId, text),
            _ => {}
        }
    });
    if !event.has(Field::UserName) {
        event.copy(Field::UserFullName, Field::UserName);
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{event, holds};
    use super::*;
    use crate::parse::Options;

    const PUSH: &str = r#"{"op":"data_update","data":{"_id":"6406c1d2a3b4c5d6e7f80912","appId":"5f1e32a1ad6bed0006379000","entryId":"5f1e3278ad6bed0006379001","formName":"客户","creator":{"_id":"c1","name":"小云","username":"R-1001","status":1},"updater":{"_id":"c2","name":"小简","username":"R-1002","status":1},"deleter":null,"createTime":"2026-03-02T01:14:07.000Z","updateTime":"2026-03-02T01:20:00.50Z","deleteTime":null,"flowState":1,"_widget_1740442384783":"设备厂家","电话":"13800000000"}}"#;

    #[test]
    fn the_operation_chooses_actor_and_time_and_values_are_not_kept() {
        for (op, action, user, time) in [
            ("data_update", "update", "R-1002", 1_772_414_400_500),
            ("data_create", "create", "R-1001", 1_772_414_047_000),
        ] {
            let record = PUSH.replace("data_update", op);
            assert!((FORMAT.sniff)(&record) >= 90);
            let event = event((FORMAT.grammar)(&Options::default()), &record);
            holds(
                &event,
                &[
                    (Field::EventAction, action),
                    (Field::UserName, user),
                    (Field::ObjectType, "客户"),
                    (Field::ObjectId, "6406c1d2a3b4c5d6e7f80912"),
                    (Field::EventCode, op),
                ],
                &record,
            );
            assert_eq!(event.time, time);
            let names: Vec<String> = event.all(Field::ChangedFields).map(|value| value.to_string()).collect();
            assert!(names.concat().contains("电话"), "{names:?}");
            assert!(event.others().all(|(_, value)| !value.to_string().contains("13800000000")));
        }
    }

    #[test]
    fn a_spooled_delivery_keeps_its_id_and_a_test_of_the_connection_says_nothing() {
        let body = PUSH.replace('\\', "\\\\").replace('"', "\\\"");
        let record = format!(
            r#"{{"received_at":"2026-03-02T01:20:02Z","query":{{"timestamp":"1772414402","nonce":"n"}},"headers":{{"X-JDY-DeliverId":"d-1"}},"body":"{body}"}}"#
        );
        assert!((FORMAT.sniff)(&record) >= 90);
        let event = event((FORMAT.grammar)(&Options::default()), &record);
        holds(&event, &[(Field::EventId, "d-1"), (Field::UserName, "R-1002"), (Field::EventAction, "update")], &record);
        assert_eq!(event.delivery, Some(delivery("d-1")));
        let mut events = Vec::new();
        let test = r#"{"op":"data_test","data":{}}"#;
        assert_eq!((FORMAT.grammar)(&Options::default()).parse(test, &mut events), Verdict::Skipped);
    }

    #[test]
    fn a_message_push_and_a_push_without_actor_are_kept() {
        let message = r#"{"op":"flow_message","data":{"to":[{"username":"jiandaoyun","name":"小云"}],"entry_name":"请假审批"},"send_time":"2026-03-02T01:14:07.430Z"}"#;
        let found = event((FORMAT.grammar)(&Options::default()), message);
        holds(&found, &[(Field::EventAction, "info"), (Field::EventCode, "flow_message")], message);
        assert_eq!(found.time, 1_772_414_047_430);
        let gone = r#"{"op":"data_remove","data":{"_id":"1","entryId":"e","deleter":"null","deleteTime":"2026-03-02T01:14:07.43Z"}}"#;
        let found = event((FORMAT.grammar)(&Options::default()), gone);
        holds(&found, &[(Field::EventAction, "delete"), (Field::UserName, ""), (Field::ObjectType, "e")], gone);
    }
}
