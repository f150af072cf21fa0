//! Writes `crm.entity`, last of all: who the event is about, once everything that can be known about him is. Not for the order of
//! preference, which detectors share (`crmwatch_detectors::entity`).

use crmwatch_detectors::entity::write_entity_key;
use crmwatch_detectors::{Event, Field};

use super::key;

/// Decides the entity; `memory` is what was used for the one before.
pub fn enrich(event: &mut Event, memory: &mut String) {
    // What a line says itself was taken away before.
    write_entity_key(event, memory);
    if !memory.is_empty() {
        // Detectors keep state under this key.
        event.set(Field::Entity, &key::bounded(memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_name_known_is_the_entity() {
        let mut event = Event::new("");
        enrich(&mut event, &mut String::new());
        assert!(!event.has(Field::Entity));
        for (field, value, expected) in [
            (Field::SessionId, "S1x", "session:S1x"),
            (Field::UserId, "005A", "user-id:005A"),
            (Field::UserName, "Alice", "user:alice"),
            (Field::Person, "Alice@Example.com", "person:alice@example.com"),
        ] {
            event.set(field, value);
            event.remove(Field::Entity);
            enrich(&mut event, &mut String::new());
            assert_eq!(event.text(Field::Entity), Some(expected));
        }
    }

    #[test]
    fn a_name_of_a_megabyte_makes_no_key_of_a_megabyte() {
        let mut event = Event::new("");
        event.set(Field::UserName, &"x".repeat(1 << 20));
        enrich(&mut event, &mut String::new());
        assert!(event.text(Field::Entity).expect("set").len() <= 200);
    }
}
