//! Our event as Sigma sees it, without building JSON. Not for deciding whether a rule's log source fits (`prefilter`).

use std::borrow::Cow;

use rsigma_eval::EventValue;

use crate::entity::entity_key;
use crate::event::{Event, Value};
use crate::field::Field;

/// An event shown to Sigma.
pub struct View<'e>(pub &'e Event);

/// A value by its dotted name. `crm.entity` is there also where enrichment has not written it; `@timestamp` is RFC 3339.
pub fn named<'e>(event: &'e Event, name: &str) -> Option<Cow<'e, str>> {
    if name == Field::Entity.name() {
        let key = entity_key(event);
        return (!key.is_empty()).then_some(key);
    }
    match event.named(name)? {
        Value::Text(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}

fn value(value: Value<'_>) -> EventValue<'_> {
    match value {
        Value::Text(text) => EventValue::Str(Cow::Borrowed(text)),
        Value::Integer(number) => EventValue::Int(number),
        Value::Float(number) => EventValue::Float(number),
        Value::Bool(flag) => EventValue::Bool(flag),
        Value::Ip(ip) => EventValue::Str(Cow::Owned(ip.to_string())),
    }
}

impl rsigma_eval::Event for View<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        match path {
            "@timestamp" => return Some(EventValue::Str(Cow::Owned(crate::json::timestamp(self.0.time)))),
            "event.original" => return Some(EventValue::Str(Cow::Borrowed(self.0.raw()))),
            "crm.entity" => return named(self.0, path).map(EventValue::Str),
            _ => {}
        }
        if let Some(field) = Field::from_name(path) {
            let mut all = self.0.all(field);
            let first = all.next()?;
            let mut rest = all.peekable();
            return Some(match rest.peek() {
                None => value(first),
                Some(_) => EventValue::Array(std::iter::once(first).chain(rest).map(value).collect()),
            });
        }
        self.0.named(path).map(value)
    }

    fn any_string_value(&self, predicate: &dyn Fn(&str) -> bool) -> bool {
        predicate(self.0.raw())
            || self.0.values().any(|(_, value)| match value {
                Value::Text(text) => predicate(text),
                Value::Ip(ip) => predicate(&ip.to_string()),
                _ => false,
            })
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        let values = self.0.values().filter_map(|(_, value)| match value {
            Value::Text(text) => Some(Cow::Borrowed(text)),
            Value::Ip(ip) => Some(Cow::Owned(ip.to_string())),
            _ => None,
        });
        std::iter::once(Cow::Borrowed(self.0.raw())).chain(values).collect()
    }

    fn to_json(&self) -> serde_json::Value {
        crate::json::object(self.0).into()
    }
}
