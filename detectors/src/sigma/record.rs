//! The vendor's own record inside a raw line, for rules that name its keys: a JSON object, also where a collector or a CSV export has
//! wrapped it. Read once an event and only when a rule asks. Not for our own fields (`event`).

use std::borrow::Cow;
use std::cell::OnceCell;

use rsigma_eval::EventValue;
use serde_json::Value;

/// A record of the size of a mail with its attachments is not worth the time.
const LONGEST: usize = 1 << 20;
/// Values of one path; lists in lists have no more.
const MOST: usize = 256;
/// Lists within lists that are looked through for a name.
const DEEPEST: u8 = 8;

/// The record of one event.
pub struct Record<'e> {
    raw: &'e str,
    read: OnceCell<Option<Value>>,
}

impl<'e> Record<'e> {
    /// Of a raw line; nothing is read yet.
    pub fn of(raw: &'e str) -> Record<'e> {
        Record { raw, read: OnceCell::new() }
    }

    /// The line.
    pub fn raw(&self) -> &'e str {
        self.raw
    }

    /// The value of an entry that a list gives by its name: `{"Name": name, "Value": …}`, `{"key": name, "value": …}`, or a changed
    /// property's `{"displayName": name, "newValue": …}`. Entra ID puts the latter in quotes, which are taken off. Of several all.
    pub fn pair(&self, name: &str) -> Option<EventValue<'_>> {
        let root = self.read.get_or_init(|| read(self.raw)).as_ref()?;
        let mut found = Vec::new();
        paired(root, name, DEEPEST, &mut found);
        several(found)
    }

    /// The value of a dotted path, keys compared without case; of several in lists all.
    pub fn get(&self, path: &str) -> Option<EventValue<'_>> {
        let root = self.read.get_or_init(|| read(self.raw)).as_ref()?;
        let mut found = Vec::new();
        follow(root, path, &mut found);
        several(found)
    }
}

fn several(mut found: Vec<EventValue<'_>>) -> Option<EventValue<'_>> {
    match found.len() {
        0 => None,
        1 => found.pop(),
        _ => Some(EventValue::Array(found)),
    }
}

fn paired<'v>(value: &'v Value, name: &str, deep: u8, found: &mut Vec<EventValue<'v>>) {
    let Some(deep) = deep.checked_sub(1) else { return };
    match value {
        Value::Array(items) => items.iter().for_each(|item| paired(item, name, deep, found)),
        Value::Object(keys) => {
            let of =
                |words: &[&str]| keys.iter().find(|(key, _)| words.iter().any(|word| key.eq_ignore_ascii_case(word)));
            let named = of(&["name", "key", "displayName"]).and_then(|(_, said)| said.as_str());
            if named.is_some_and(|said| said.eq_ignore_ascii_case(name)) {
                match of(&["value", "newValue", "boolValue", "intValue", "multiStrValue"]) {
                    Some((_, Value::Array(items))) => list(items, found),
                    Some((_, kept)) if found.len() < MOST => found.push(unquoted(kept)),
                    _ => {}
                }
            }
            keys.values().filter(|inner| inner.is_array() || inner.is_object()).for_each(|inner| {
                paired(inner, name, deep, found);
            });
        }
        _ => {}
    }
}

fn unquoted(value: &Value) -> EventValue<'_> {
    match value.as_str().map(serde_json::from_str::<String>) {
        Some(Ok(inner)) => EventValue::Str(Cow::Owned(inner)),
        _ => leaf(value),
    }
}

fn read(raw: &str) -> Option<Value> {
    if raw.len() > LONGEST {
        return None;
    }
    let start = raw.find('{')?;
    let mut documents = serde_json::Deserializer::from_str(&raw[start..]).into_iter::<Value>();
    let root = match documents.next() {
        Some(Ok(root)) => root,
        // A cell of a CSV file doubles its quotes.
        _ => serde_json::from_str(&raw[start..=raw.rfind('}')?].replace("\"\"", "\"")).ok()?,
    };
    let mut root = unwrapped(root, 3);
    opened(&mut root);
    Some(root)
}

/// Log Analytics' answers and exports give an object or a list as its text.
fn opened(root: &mut Value) {
    let Value::Object(keys) = root else { return };
    for (key, value) in keys {
        match value {
            Value::String(text) if text.starts_with(['{', '[']) => {
                if let Ok(inner) = serde_json::from_str(text) {
                    *value = inner;
                }
            }
            Value::Object(_) if key == "properties" => opened(value),
            _ => {}
        }
    }
}

/// What a log shipper has put around the record is taken off.
fn unwrapped(root: Value, deep: u8) -> Value {
    let Value::Object(keys) = &root else { return root };
    let inner = ["AuditData", "log", "message", "event.original"].iter().find_map(|key| match keys.get(*key) {
        Some(Value::String(text)) if text.trim_start().starts_with('{') => serde_json::from_str::<Value>(text).ok(),
        _ => None,
    });
    match inner {
        Some(inner @ Value::Object(_)) if deep > 0 => unwrapped(inner, deep - 1),
        _ => root,
    }
}

/// Goes down a path; a key may hold dots itself, and `{}` after a name means its list.
fn follow<'v>(value: &'v Value, path: &str, found: &mut Vec<EventValue<'v>>) {
    if found.len() >= MOST {
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| follow(item, path, found)),
        _ if path.is_empty() => found.push(leaf(value)),
        Value::Object(keys) => {
            let mut end = path.len();
            loop {
                let name = path[..end].trim_end_matches("{}");
                let before = found.len();
                for (_, inner) in keys.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)) {
                    let rest = path[end..].trim_start_matches('.');
                    match inner {
                        Value::Array(items) if rest.is_empty() => list(items, found),
                        _ => follow(inner, rest, found),
                    }
                }
                if found.len() > before {
                    return;
                }
                let Some(dot) = path[..end].rfind('.') else { return };
                end = dot;
            }
        }
        _ => {}
    }
}

/// A list asked for by its own name: each plain item; an empty list, and one of objects, as the text it is.
fn list<'v>(items: &'v [Value], found: &mut Vec<EventValue<'v>>) {
    if items.is_empty() || items.iter().any(Value::is_object) {
        found.push(EventValue::Str(Cow::Owned(serde_json::to_string(items).unwrap_or_default())));
        return;
    }
    found.extend(items.iter().take(MOST).map(leaf));
}

fn leaf(value: &Value) -> EventValue<'_> {
    match value {
        Value::Null => EventValue::Null,
        Value::Bool(flag) => EventValue::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(number) => EventValue::Int(number),
            None => EventValue::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => EventValue::Str(Cow::Borrowed(text)),
        other => EventValue::Str(Cow::Owned(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &str, path: &str) -> Option<String> {
        Record::of(raw).get(path).map(|value| match value {
            EventValue::Array(all) => {
                all.iter().filter_map(|one| one.as_str().map(Cow::into_owned)).collect::<Vec<_>>().join("|")
            }
            one => one.as_str().map(Cow::into_owned).unwrap_or_else(|| "null".to_owned()),
        })
    }

    #[test]
    fn keys_are_found_without_case_through_lists_dots_and_wrappings() {
        let plain = r#"{"eventType":"user.lock","actor":{"alternateId":"a@x"},"target":[{"id":"1"},{"id":"2"}],"a.b":{"c":7},"empty":null}"#;
        let syslog = format!("<13>1 2026-01-05T08:00:00Z host app - - - {plain}");
        let docker = serde_json::json!({"log": plain, "stream": "stdout"}).to_string();
        let csv = format!("2026-01-05,17,\"{}\"", plain.replace('"', "\"\""));
        for raw in [plain, &syslog, &docker, &csv] {
            assert_eq!(text(raw, "eventtype").as_deref(), Some("user.lock"), "{raw}");
            assert_eq!(text(raw, "Actor.AlternateID").as_deref(), Some("a@x"));
            assert_eq!(text(raw, "target.id").as_deref(), Some("1|2"));
            assert_eq!(text(raw, "target{}.id").as_deref(), Some("1|2"));
            assert_eq!(text(raw, "a.b.c").as_deref(), Some("7"));
            assert_eq!(text(raw, "empty").as_deref(), Some("null"));
            assert_eq!(text(raw, "target").as_deref(), Some(r#"[{"id":"1"},{"id":"2"}]"#));
            assert_eq!(text(raw, "actor.name"), None);
        }
        assert_eq!(text(r#"{"a":"[{\"b\":1}]","c":[]}"#, "a.b").as_deref(), Some("1"));
        assert_eq!(text(r#"{"a":"[{\"b\":1}]","c":[]}"#, "c").as_deref(), Some("[]"));
        assert_eq!(text("no record", "a"), None);
        assert_eq!(text("{broken", "a"), None);
    }
}
