//! Keys that the parser would pass over: refused, since a rule that says more than is done finds something else than its author meant.
//! Not for constructs that are understood and not done (`unsupported`).

use yaml_serde::Value;

use super::document::Document;
use super::load::LoadError;
use super::unsupported::Refusal;

const CORRELATION: &[&str] =
    &["type", "rules", "group-by", "timespan", "timeframe", "condition", "aliases", "generate", "window", "gap"];
const CONDITION: &[&str] = &["field", "percentile", "lt", "lte", "gt", "gte", "eq", "neq"];

/// Looks at one document; what is no YAML is told elsewhere.
pub fn keys(document: &Document<'_>) -> Result<(), LoadError> {
    let Ok(Value::Mapping(root)) = yaml_serde::from_str::<Value>(document.text) else { return Ok(()) };
    let within = |value: Option<&Value>, place: &str, known: &[&str]| match value {
        Some(Value::Mapping(keys)) => match keys.keys().filter_map(Value::as_str).find(|key| !known.contains(key)) {
            Some(key) => Err(document.refused(Refusal {
                construct: format!("the key `{key}` in `{place}`"),
                word: format!("{key}:"),
                mend: "it is no Sigma of version 2.1; leave it out",
            })),
            None => Ok(()),
        },
        _ => Ok(()),
    };
    let correlation = root.get("correlation");
    within(correlation, "correlation", CORRELATION)?;
    within(correlation.and_then(|one| one.get("condition")), "correlation.condition", CONDITION)?;
    match root.keys().filter_map(Value::as_str).find(|key| key.starts_with("rsigma.")) {
        Some(key) => Err(document.refused(Refusal {
            construct: format!("`{key}`"),
            word: key.to_owned(),
            mend: "it is another engine's own extension; leave it out",
        })),
        None => Ok(()),
    }
}
