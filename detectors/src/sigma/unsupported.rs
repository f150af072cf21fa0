//! What Sigma can say and this engine does not do: refused when a rule is loaded, with the construct's name, never passed over.

use rsigma_parser::ast::WindowMode;
use rsigma_parser::{
    ConditionExpr, ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, Detection, FilterRule,
    SigmaRule,
};

/// A construct, a word of it to find its line by, and what to do instead.
#[derive(Debug)]
pub struct Refusal {
    /// The construct.
    pub construct: String,
    /// The word its line holds.
    pub word: String,
    /// What to do instead.
    pub mend: &'static str,
}

fn refuse(construct: impl Into<String>, word: &'static str, mend: &'static str) -> Result<(), Refusal> {
    Err(Refusal { construct: construct.into(), word: word.to_owned(), mend })
}

/// The most a count may have to reach: every event up to it is held.
pub const LARGEST_COUNT: u64 = 10_000;

/// The largest whole number that sums are exact up to.
const LARGEST_FIGURE: u64 = 1 << 53;

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
        Detection::AllOf(_) => Ok(()),
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
    if filter.detection.conditions.is_empty() {
        return refuse("a filter without a condition", "filter", "say which of its selections the rule must meet, too");
    }
    filter.detection.named.values().try_for_each(in_detection)
}

/// A correlation.
pub fn in_correlation(rule: &CorrelationRule) -> Result<(), Refusal> {
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
                    ConditionExpr::Not(_) => true,
                    ConditionExpr::And(parts) | ConditionExpr::Or(parts) => parts.iter().any(negated),
                    ConditionExpr::Identifier(_) | ConditionExpr::Selector { .. } => false,
                }
            }
            if negated(expression) {
                return refuse(
                    "`not` in a correlation's condition",
                    "condition",
                    "that something did not happen is known only later; put it into the rules, or join them with and, or",
                );
            }
            Ok(())
        }
        CorrelationCondition::Threshold { predicates, field, percentile } => {
            if rule.correlation_type == CorrelationType::TemporalOrdered
                && predicates.as_slice() != [(ConditionOperator::Gte, 1)]
            {
                return refuse(
                    "a count in a correlation of type `temporal_ordered`",
                    "condition",
                    "leave the condition out: all rules must match, in their order",
                );
            }
            if percentile.is_some() && rule.correlation_type != CorrelationType::ValuePercentile {
                return refuse("`percentile`", "percentile", "it belongs to the type value_percentile; leave it out");
            }
            if percentile.is_some_and(|percent| percent > 100) {
                return refuse("a percentile above 100", "percentile", "choose between 0 and 100");
            }
            let fields = field.as_ref().map_or(0, Vec::len);
            let of_number = matches!(
                rule.correlation_type,
                CorrelationType::ValueSum
                    | CorrelationType::ValueAvg
                    | CorrelationType::ValuePercentile
                    | CorrelationType::ValueMedian
            );
            if of_number && fields != 1 {
                return refuse(
                    format!("`{}` without exactly one `field`", rule.correlation_type.as_str()),
                    "condition",
                    "name the field in the condition",
                );
            }
            if rule.correlation_type == CorrelationType::ValueCount && fields == 0 {
                return refuse("`value_count` without a `field`", "condition", "name the field in the condition");
            }
            if predicates.iter().any(|(_, bound)| *bound > LARGEST_FIGURE) {
                return refuse("a figure below 0 or above 2^53", "condition", "choose one between");
            }
            let counts = matches!(rule.correlation_type, CorrelationType::EventCount | CorrelationType::ValueCount);
            if counts && predicates.iter().any(|(_, bound)| *bound > LARGEST_COUNT) {
                return refuse("a count above 10,000", "condition", "add up crm.records with value_sum instead");
            }
            Ok(())
        }
    }
}
