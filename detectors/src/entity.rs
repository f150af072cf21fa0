//! Who an event is about, for everything that groups by it. Enrichment decides once and writes `crm.entity`; an event that was not
//! enriched gives the same answer from its own fields. Not for finding the person behind a name.

use std::borrow::Cow;

use crate::event::Event;
use crate::field::Field;

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
    for (field, word) in ORDER {
        if let Some(value) = event.value(field) {
            let value = value.to_string();
            // Identifiers keep their case: two that differ by it are two.
            let value = if field.kind() == crate::field::Kind::Exact { value } else { value.to_lowercase() };
            return Cow::Owned(format!("{word}:{value}"));
        }
    }
    Cow::Borrowed("")
}

/// The ECS name by which findings about this event's entity group.
pub fn primary_field(event: &Event) -> Field {
    ORDER
        .into_iter()
        .map(|(field, _)| if field == Field::Person { Field::UserName } else { field })
        .find(|field| event.has(*field))
        .unwrap_or(Field::SourceIp)
}
