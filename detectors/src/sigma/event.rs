//! Our event as Sigma sees it, without building JSON. Not for deciding whether a rule's log source fits (`prefilter`), nor for the
//! names of public rules (`dialect`).

use std::borrow::Cow;

use rsigma_eval::EventValue;

use crate::entity::entity_key;
use crate::event::{Event, Value};
use crate::field::Field;

use super::dialect::Dialect;
use super::record::Record;

/// An event shown to a rule.
pub struct View<'v, 'e> {
    /// The event.
    pub event: &'e Event,
    /// Its vendor's record; read once for all rules.
    pub record: &'v Record<'e>,
    /// Whose names the rule uses, where they are not ours.
    pub dialect: Option<Dialect>,
}

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

/// A value of ours as Sigma has them.
pub fn value(value: Value<'_>) -> EventValue<'_> {
    match value {
        Value::Text(text) => EventValue::Str(Cow::Borrowed(text)),
        Value::Integer(number) => EventValue::Int(number),
        Value::Float(number) => EventValue::Float(number),
        Value::Bool(flag) => EventValue::Bool(flag),
        Value::Ip(ip) => EventValue::Str(Cow::Owned(ip.to_string())),
    }
}

/// The value of a name of ours: a known field, or what the event itself knows.
pub fn ours<'e>(event: &'e Event, name: &str) -> Option<EventValue<'e>> {
    match name {
        "@timestamp" => return Some(EventValue::Str(Cow::Owned(crate::json::timestamp(event.time)))),
        "event.original" => return Some(EventValue::Str(Cow::Borrowed(event.raw()))),
        "crm.entity" => return named(event, name).map(EventValue::Str),
        "crm.source" => return Some(EventValue::Str(Cow::Borrowed(&event.origin.source))),
        "log.file.path" => return Some(EventValue::Str(Cow::Borrowed(&event.origin.path))),
        _ => {}
    }
    let mut all = event.all(Field::from_name(name)?);
    let first = all.next()?;
    let mut rest = all.peekable();
    Some(match rest.peek() {
        None => value(first),
        Some(_) => EventValue::Array(std::iter::once(first).chain(rest).map(value).collect()),
    })
}

impl rsigma_eval::Event for View<'_, '_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        match self.dialect {
            None => ours(self.event, path).or_else(|| self.event.named(path).map(value)),
            Some(dialect) => dialect.get(path, self.event, self.record),
        }
    }

    fn any_string_value(&self, predicate: &dyn Fn(&str) -> bool) -> bool {
        predicate(self.event.raw())
            || self.event.values().any(|(_, value)| match value {
                Value::Text(text) => predicate(text),
                Value::Ip(ip) => predicate(&ip.to_string()),
                _ => false,
            })
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        let values = self.event.values().filter_map(|(_, value)| match value {
            Value::Text(text) => Some(Cow::Borrowed(text)),
            Value::Ip(ip) => Some(Cow::Owned(ip.to_string())),
            _ => None,
        });
        std::iter::once(Cow::Borrowed(self.event.raw())).chain(values).collect()
    }

    fn to_json(&self) -> serde_json::Value {
        crate::json::object(self.event).into()
    }
}
