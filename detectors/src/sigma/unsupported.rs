//! What Sigma can say and this engine does not do: refused when a rule is loaded, with the construct's name, never passed over.

use rsigma_parser::ast::WindowMode;
use rsigma_parser::{
    ConditionExpr, ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, Detection, FilterRule,
    Modifier, SigmaRule,
};

/// A construct, a word of it to find its line by, and what to do instead.
pub struct Refusal {
    /// The construct.
    pub construct: String,
    /// The word its line holds.
    pub word: &'static str,
    /// What to do instead.
    pub mend: &'static str,
}

fn refuse(construct: impl Into<String>, word: &'static str, mend: &'static str) -> Result<(), Refusal> {
    Err(Refusal { construct: construct.into(), word, mend })
}

/// The most a count may have to reach: every event up to it is held.
pub const LARGEST_COUNT: u64 = 10_000;

/// A single-event rule.
pub fn in_rule(rule: &SigmaRule) -> Result<(), Refusal> {
    if rule.detection.timeframe.is_some() {
        return refuse("`timeframe` in a detection", "timeframe", "write a correlation document with a timespan");
    }
    if !rule.logsource.custom.is_empty() {
        return refuse("a log source key of its own", "logsource", "use category, product and service");
    }
    rule.detection.named.values().try_for_each(in_detection)
}

fn in_detection(detection: &Detection) -> Result<(), Refusal> {
    match detection {
        Detection::AllOf(items) => {
            for item in items {
                if item.field.has_modifier(Modifier::Expand) {
                    return refuse(
                        "the modifier `expand`",
                        "|expand",
                        "write the values out; there are no placeholders here",
                    );
                }
                let part_of_time =
                    [Modifier::Minute, Modifier::Hour, Modifier::Day, Modifier::Week, Modifier::Month, Modifier::Year];
                if let Some(modifier) = item.field.modifiers.iter().find(|one| part_of_time.contains(one)) {
                    return refuse(
                        format!("the modifier `{}`", format!("{modifier:?}").to_lowercase()),
                        "|",
                        "parts of a time have no zone in Sigma; use the detector off-hours-export",
                    );
                }
            }
            Ok(())
        }
        Detection::AnyOf(parts) | Detection::And(parts) => parts.iter().try_for_each(in_detection),
        Detection::Keywords(_) => Ok(()),
        Detection::ArrayMatch { .. } | Detection::Conditional { .. } => refuse(
            "matching inside arrays",
            "[",
            "events are flat here: a field with several values matches if one does",
        ),
    }
}

/// A filter.
pub fn in_filter(filter: &FilterRule) -> Result<(), Refusal> {
    fn selects(condition: &ConditionExpr) -> bool {
        match condition {
            ConditionExpr::Selector { .. } => true,
            ConditionExpr::And(parts) | ConditionExpr::Or(parts) => parts.iter().any(selects),
            ConditionExpr::Not(part) => selects(part),
            ConditionExpr::Identifier(_) => false,
        }
    }
    if filter.detection.conditions.len() != 1 {
        return refuse("a filter without exactly one condition", "filter", "join the conditions with and, or");
    }
    if filter.detection.conditions.iter().any(selects) {
        return refuse("`of` in a filter's condition", " of ", "name the filter's selections one by one");
    }
    filter.detection.named.values().try_for_each(in_detection)
}

/// A correlation.
pub fn in_correlation(rule: &CorrelationRule) -> Result<(), Refusal> {
    if matches!(rule.correlation_type, CorrelationType::ValuePercentile | CorrelationType::ValueMedian) {
        return refuse(
            format!("the correlation type `{}`", rule.correlation_type.as_str()),
            "type:",
            "use value_sum, value_avg or value_count; percentiles are the baselines' work",
        );
    }
    if rule.window != WindowMode::Sliding {
        return refuse(format!("`window: {}`", rule.window.as_str()), "window", "windows slide here; leave it out");
    }
    if rule.timespan.seconds == 0 || rule.timespan.seconds > 31 * 86_400 {
        return refuse(
            format!("the timespan {}", rule.timespan.original),
            "timespan",
            "choose between one second and 31 days",
        );
    }
    let temporal = matches!(rule.correlation_type, CorrelationType::Temporal | CorrelationType::TemporalOrdered);
    match &rule.condition {
        CorrelationCondition::Extended(expression) => {
            if rule.correlation_type != CorrelationType::Temporal {
                return refuse(
                    "a condition in words outside `type: temporal`",
                    "condition",
                    "write a count, or leave the condition out",
                );
            }
            fn negated(expression: &ConditionExpr) -> bool {
                match expression {
                    ConditionExpr::Not(_) | ConditionExpr::Selector { .. } => true,
                    ConditionExpr::And(parts) | ConditionExpr::Or(parts) => parts.iter().any(negated),
                    ConditionExpr::Identifier(_) => false,
                }
            }
            if negated(expression) {
                return refuse(
                    "`not` or `of` in a correlation's condition",
                    "condition",
                    "that something did not happen is known only later; join rule names with and, or",
                );
            }
            Ok(())
        }
        CorrelationCondition::Threshold { predicates, field, percentile } => {
            if temporal && predicates.as_slice() != [(ConditionOperator::Gte, 1)] {
                return refuse(
                    "a count in a temporal correlation",
                    "condition",
                    "leave the condition out: all rules must match",
                );
            }
            if percentile.is_some() {
                return refuse("`percentile`", "percentile", "leave it out");
            }
            let of_value = matches!(
                rule.correlation_type,
                CorrelationType::ValueCount | CorrelationType::ValueSum | CorrelationType::ValueAvg
            );
            if of_value && field.as_ref().is_none_or(|fields| fields.len() != 1) {
                return refuse(
                    "a value correlation without exactly one `field`",
                    "condition",
                    "name the field in the condition",
                );
            }
            let counts = matches!(rule.correlation_type, CorrelationType::EventCount | CorrelationType::ValueCount);
            if counts && predicates.iter().any(|(_, bound)| *bound > LARGEST_COUNT) {
                return refuse("a count above 10,000", "condition", "add up crm.records with value_sum instead");
            }
            Ok(())
        }
    }
}
