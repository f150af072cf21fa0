//! Runs the tests that rules carry in their `crmwatch:` block. Not for the shape of those tests (`attributes`).

use std::sync::Arc;

use crate::detector::{Context, Detector};
use crate::event::{Event, EventId, Millis, Value};
use crate::field::{Field, Kind};

use super::attributes::{Test, TestEvent};
use super::load::{LoadError, load};
use super::{Rules, Sigma, Texts};

/// How one test of one rule went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The rule.
    pub rule: String,
    /// The file it stands in.
    pub file: String,
    /// The line its document begins on.
    pub line: usize,
    /// The test.
    pub test: String,
    /// Whether the rule did as the test says.
    pub passed: bool,
    /// What it did, in one sentence.
    pub told: String,
}

/// 2026-01-05T08:00:00Z, a Monday.
const BEGINNING: Millis = 1_767_600_000_000;
/// Events of one test; a test with more is a mistake.
const MOST_EVENTS: usize = 100_000;

/// Runs every test of every rule in these texts, each over windows of its own.
pub fn run(texts: &Texts) -> Result<Vec<Outcome>, LoadError> {
    let rules = Arc::new(Rules::new(load(texts)?));
    let mut outcomes = Vec::new();
    for (index, rule) in rules.loaded.iter().enumerate() {
        for test in &rule.tests {
            let found = run_one(&rules, index, test);
            outcomes.push(Outcome {
                rule: rule.id.clone(),
                file: rule.file.clone(),
                line: rule.line,
                test: test.name.clone(),
                passed: (found > 0) == test.finds,
                told: match found {
                    0 => "it found nothing".to_owned(),
                    times => format!("it matched {times} times"),
                },
            });
        }
    }
    Ok(outcomes)
}

/// The rules that find something and have no test.
pub fn untested(texts: &Texts) -> Result<Vec<String>, LoadError> {
    let rules = load(texts)?.into_iter();
    Ok(rules.filter(|rule| rule.finds && rule.tests.is_empty()).map(|rule| rule.id).collect())
}

fn run_one(rules: &Arc<Rules>, index: usize, test: &Test) -> usize {
    let mut sigma = Sigma::over(Arc::clone(rules), Some(index));
    let mut out = Vec::new();
    for event in events(test) {
        sigma.observe(&event, &Context::default(), &mut out);
    }
    out.iter().filter(|detection| *detection.rule == *rules.loaded[index].id).count()
}

/// The events of a test, in its order.
pub fn events(test: &Test) -> Vec<Event> {
    let repeated = test.events.iter().flat_map(|one| (0..one.repeat).map(move |turn| (one, turn)));
    repeated
        .take(MOST_EVENTS)
        .enumerate()
        .map(|(number, (one, turn))| {
            let mut event = event(one);
            event.id = EventId(number as u128 + 1);
            event.time = BEGINNING.saturating_add(((one.at + one.every * f64::from(turn)) * 1000.0) as Millis);
            event
        })
        .collect()
}

fn event(described: &TestEvent) -> Event {
    let mut event = Event::new(described.fields.get("event.original").and_then(|raw| raw.as_str()).unwrap_or_default());
    for (name, value) in &described.fields {
        let values = match value {
            serde_json::Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            set(&mut event, name, value);
        }
    }
    event
}

fn set(event: &mut Event, name: &str, value: &serde_json::Value) {
    let field = Field::from_name(name);
    match value {
        serde_json::Value::Null => {}
        serde_json::Value::Bool(flag) => event.set_other(name, Value::Bool(*flag)),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => event.set_other(name, Value::Integer(number)),
            None => event.set_other(name, Value::Float(number.as_f64().unwrap_or_default())),
        },
        serde_json::Value::String(text) => match (field, text.parse()) {
            (Some(field), Ok(ip)) if field.kind() == Kind::Ip => event.set_ip(field, ip),
            (Some(field), _) => event.push(field, text),
            (None, _) => event.set_other(name, Value::Text(text)),
        },
        other => event.set_other(name, Value::Text(&other.to_string())),
    }
}
