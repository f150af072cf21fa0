//! The `crmwatch:` block of a rule: what standard Sigma has no place for, the words for people and the rule's own test events.
//! Without it a rule works too; its title then stands for the sentences. Not for how sentences are filled (`template`).
//!
//! ```yaml
//! crmwatch:
//!   why: Why it matters.
//!   how: How it decides.
//!   check: What to check.
//!   primary: user.name            # the identity incidents group by
//!   building_block: true          # no findings of its own, only for correlations
//!   summary:  {en: "{count} failed logins of {who}", zh: "..."}
//!   observed: {en: "...", zh: "..."}
//!   expected: {en: "...", zh: "..."}
//!   tests:
//!     - name: ten failures in a row
//!       finds: true
//!       events:
//!         - {at: 0, repeat: 10, every: 30, fields: {event.action: login, event.outcome: failure, user.name: alice}}
//! ```
//!
//! `at` and `every` are seconds. Placeholders: `{count}`, `{total}`, `{timespan}`, `{threshold}`, `{who}`, and any field name.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The block.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attributes {
    /// Why it matters.
    #[serde(default)]
    pub why: String,
    /// How it decides.
    #[serde(default)]
    pub how: String,
    /// What to check.
    #[serde(default)]
    pub check: String,
    /// The identity incidents group by.
    pub primary: Option<String>,
    /// Whether it only serves correlations.
    #[serde(default)]
    pub building_block: bool,
    /// What happened.
    pub summary: Option<Words>,
    /// What was seen.
    pub observed: Option<Words>,
    /// What is normal.
    pub expected: Option<Words>,
    /// The rule's own tests.
    #[serde(default)]
    pub tests: Vec<Test>,
}

/// A sentence as it stands in a rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// English.
    pub en: String,
    /// Simplified Chinese; the English where it is left out.
    #[serde(default)]
    pub zh: String,
}

/// One test of a rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What it shows.
    pub name: String,
    /// Whether the rule must find something.
    pub finds: bool,
    /// The events, in the order in which they come.
    pub events: Vec<TestEvent>,
}

/// One or several equal events of a test.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestEvent {
    /// Seconds from the test's beginning.
    #[serde(default)]
    pub at: f64,
    /// How many there are.
    #[serde(default = "one")]
    pub repeat: u32,
    /// Seconds between them.
    #[serde(default)]
    pub every: f64,
    /// ECS name to value.
    pub fields: BTreeMap<String, serde_json::Value>,
}

fn one() -> u32 {
    1
}
