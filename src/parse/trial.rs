//! For tests: one record through a grammar, and what its event should hold. Not for hostile records (`hostile`).

use crmwatch_detectors::{Event, Field};

use super::{Grammar, Verdict};

/// The event of a record that the grammar takes.
#[track_caller]
pub fn event(mut grammar: Box<dyn Grammar>, record: &str) -> Event {
    let mut events = Vec::new();
    assert_eq!(grammar.parse(record, &mut events), Verdict::Parsed, "{record}");
    events.pop().expect("a parsed record gives an event")
}

/// Each field holds that text; an empty one is not there.
#[track_caller]
pub fn holds(event: &Event, expected: &[(Field, &str)], what: &str) {
    for (field, value) in expected {
        let found = event.value(*field).map(|value| value.to_string()).unwrap_or_default();
        assert_eq!(found, *value, "{} of {what}", field.name());
    }
}
