//! An event as people and other programs read it: one JSON object with flat ECS names. Not for storage (see `codec`).

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value as Json};

use crate::event::{Event, Millis, Value};

/// `2026-03-02T09:14:07.000Z`. A time beyond what can be written (year 262,000) is clamped.
pub fn timestamp(time: Millis) -> String {
    let clamped = time.clamp(-62_135_596_800_000, 253_402_300_799_999);
    DateTime::from_timestamp_millis(clamped).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn value(value: Value<'_>) -> Json {
    match value {
        Value::Text(text) => Json::from(text),
        Value::Integer(number) => Json::from(number),
        Value::Float(number) => Json::from(number),
        Value::Bool(flag) => Json::from(flag),
        Value::Ip(ip) => Json::from(ip.to_string()),
    }
}

/// The event as a flat object. A field with several values holds a list.
pub fn object(event: &Event) -> Map<String, Json> {
    let mut object = Map::new();
    object.insert("@timestamp".into(), timestamp(event.time).into());
    object.insert("_id".into(), event.id.to_string().into());
    for (name, one) in event.values() {
        match object.get_mut(name) {
            None => {
                object.insert(name.to_owned(), value(one));
            }
            Some(Json::Array(list)) => list.push(value(one)),
            Some(first) => *first = Json::Array(vec![first.take(), value(one)]),
        }
    }
    object.insert("log.file.path".into(), Json::from(&*event.origin.path));
    object.insert("log.offset".into(), event.offset.into());
    if event.line > 0 {
        object.insert("log.line".into(), event.line.into());
    }
    if !event.origin.source.is_empty() {
        object.insert("crm.source".into(), Json::from(&*event.origin.source));
    }
    object.insert("event.original".into(), event.raw().into());
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Field;

    #[test]
    fn names_are_flat_and_several_values_are_a_list() {
        let mut event = Event::new("raw");
        event.push(Field::EventCategory, "iam");
        event.push(Field::EventCategory, "web");
        event.set_integer(Field::Records, 5);
        let object = object(&event);
        assert_eq!(object["event.category"], serde_json::json!(["iam", "web"]));
        assert_eq!(object["crm.records"], 5);
        assert_eq!(object["@timestamp"], "1970-01-01T00:00:00.000Z");
        assert_eq!(object["event.original"], "raw");
    }

    #[test]
    fn times_beyond_the_calendar_are_clamped() {
        assert_eq!(timestamp(i64::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(timestamp(i64::MIN), "0001-01-01T00:00:00.000Z");
    }
}
