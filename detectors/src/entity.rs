//! Who an event is about, for everything that groups by it. Enrichment decides once and writes `crm.entity`; an event that was not
//! enriched gives the same answer from its own fields. Not for finding the person behind a name.

use std::borrow::Cow;

use crate::event::{Event, Value};
use crate::field::{Field, Kind};

/// The kinds of entity, best first, with the field that names each and the word that stands before its key.
pub const ORDER: [(Field, &str); 6] = [
    (Field::Person, "person"),
    (Field::UserName, "user"),
    (Field::UserId, "user-id"),
    (Field::OauthClientId, "app"),
    (Field::SessionId, "session"),
    (Field::SourceIp, "address"),
];

/// `person:alice@example.com`, `user:alice`, `address:203.0.113.7`, ...; empty where an event names nobody.
pub fn entity_key(event: &Event) -> Cow<'_, str> {
    if let Some(key) = event.text(Field::Entity) {
        return Cow::Borrowed(key);
    }
    let mut key = String::new();
    write_entity_key(event, &mut key);
    Cow::Owned(key)
}

/// The same from the event's own fields, in memory that was used before.
pub fn write_entity_key(event: &Event, key: &mut String) {
    key.clear();
    for (field, word) in ORDER {
        if let Some(value) = event.value(field) {
            key.push_str(word);
            key.push(':');
            // Identifiers keep their case: two that differ by it are two.
            match value {
                Value::Text(text) if field.kind() == Kind::Exact => key.push_str(text),
                Value::Text(text) if text.is_ascii() => {
                    key.push_str(text);
                    key.make_ascii_lowercase();
                }
                Value::Text(text) => key.push_str(&text.to_lowercase()),
                other => key.push_str(&other.to_string()),
            }
            return;
        }
    }
}

/// The ECS name by which findings about this event's entity group.
pub fn primary_field(event: &Event) -> Field {
    ORDER
        .into_iter()
        .map(|(field, _)| if field == Field::Person { Field::UserName } else { field })
        .find(|field| event.has(*field))
        .unwrap_or(Field::SourceIp)
}
