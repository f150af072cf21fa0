//! What an operator may set for a shipped rule, and how that is explained. Not for the rule's own text.

use rsigma_parser::Timespan;
use serde::Deserialize;
use serde::de::Error as _;

use super::load::{Loaded, Logic};
use super::unsupported::LARGEST_COUNT;
use super::voice::condition_in_words;

/// What an operator may set for a shipped rule.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSettings {
    enabled: Option<bool>,
    threshold: Option<u64>,
    timespan: Option<String>,
}

/// Applies an operator's settings to a rule.
pub fn apply(rule: &mut Loaded, settings: &serde_json::Value) -> Result<(), serde_json::Error> {
    let settings = RuleSettings::deserialize(settings)?;
    if settings.enabled == Some(false) {
        rule.finds = false;
    }
    let Logic::Correlation(correlation) = &mut rule.logic else {
        return match (settings.threshold, settings.timespan) {
            (None, None) => Ok(()),
            _ => Err(serde_json::Error::custom("this rule looks at single events: it can only be switched off")),
        };
    };
    if let Some(threshold) = settings.threshold {
        if !(1..=LARGEST_COUNT).contains(&threshold) {
            return Err(serde_json::Error::custom(format!("threshold must be between 1 and {LARGEST_COUNT}")));
        }
        match correlation.bounds.first_mut() {
            Some(bound) => bound.1 = threshold,
            None => return Err(serde_json::Error::custom("this rule has no threshold")),
        }
    }
    if let Some(timespan) = settings.timespan {
        let seconds = Timespan::parse(&timespan).map(|span| span.seconds).unwrap_or(0);
        if !(1..=31 * 86_400).contains(&seconds) {
            return Err(serde_json::Error::custom(format!(
                "timespan {timespan:?} is not between one second and 31 days, written like \"20m\""
            )));
        }
        correlation.span = i64::try_from(seconds).unwrap_or(i64::MAX) * 1000;
    }
    describe_settings(rule);
    Ok(())
}

/// The settings in force, as JSON.
pub fn settings_of(rule: &Loaded) -> serde_json::Value {
    match &rule.logic {
        Logic::Single { .. } => serde_json::json!({}),
        Logic::Correlation(correlation) => serde_json::json!({
            "threshold": correlation.threshold(),
            "timespan": format!("{}s", correlation.span / 1000),
        }),
    }
}

/// Writes them into the manual.
pub(super) fn describe_settings(rule: &mut Loaded) {
    let Logic::Correlation(correlation) = &rule.logic else { return };
    let text = format!(
        "- `enabled` (true): whether it finds anything.\n- `threshold` ({}): the figure its condition compares with.\n- `timespan` (\"{}s\"): the window's length.",
        correlation.threshold(),
        correlation.span / 1000
    );
    rule.voice.explain(condition_in_words(correlation), text);
}
