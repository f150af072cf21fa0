//! Joins correlations to the rules they name: names to indexes, aliases to fields, bounds and reaches; circles are refused. Not for
//! evaluating them (`correlation`).

use std::collections::{BTreeMap, BTreeSet};

use rsigma_parser::{ConditionExpr, ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType};

use super::correlation::Correlation;
use super::dialect::Dialect;
use super::document::Document;
use super::load::{LoadError, Loaded, Logic, Names};
use super::selectors::written_out;

/// A correlation over the rules it names.
pub(super) fn correlation(
    document: &Document<'_>,
    rule: &CorrelationRule,
    names: &Names,
    dialect: impl Fn(usize) -> Option<Dialect>,
) -> Result<Correlation, LoadError> {
    if rule.rules.is_empty() {
        return Err(document.invalid("the correlation names no 'rules'".to_owned()));
    }
    let mut inputs = Vec::new();
    let mut called = Vec::new();
    for name in &rule.rules {
        let index = *names.indexes.get(name).ok_or_else(|| document.no_such_rule(name))?;
        if inputs.contains(&index) {
            return Err(document.invalid(format!("the correlation names the rule '{name}' twice")));
        }
        inputs.push(index);
        called.push(
            names.indexes.iter().filter(|entry| *entry.1 == index).map(|entry| entry.0.clone()).collect::<Vec<_>>(),
        );
    }
    let mut group_by = Vec::new();
    for name in &rule.group_by {
        let alias = rule.aliases.iter().find(|alias| alias.alias == *name);
        let mut fields = Vec::new();
        for (input, names) in called.iter().enumerate() {
            let field = match alias {
                None => name,
                Some(alias) => names.iter().find_map(|one| alias.mapping.get(one)).ok_or_else(|| {
                    document.invalid(format!(
                        "the alias '{name}' does not say its field for the rule {:?}",
                        rule.rules[input]
                    ))
                })?,
            };
            fields.push(field.clone());
        }
        group_by.push(fields);
    }
    let (mut bounds, fields, percent, expression) = match &rule.condition {
        CorrelationCondition::Threshold { predicates, field, percentile } => {
            (predicates.clone(), field.clone().unwrap_or_default(), percentile.unwrap_or(50), None)
        }
        CorrelationCondition::Extended(expression) => {
            if let Some(name) = stranger(expression, &called) {
                return Err(document.no_such_rule(name));
            }
            let all: Vec<&str> = rule.rules.iter().map(String::as_str).collect();
            let expression = written_out(expression, &all)
                .map_err(|selector| document.invalid(format!("the condition '{selector}' fits none of the rules")))?;
            (Vec::new(), Vec::new(), 50, Some(expression))
        }
    };
    let temporal = matches!(rule.correlation_type, CorrelationType::Temporal | CorrelationType::TemporalOrdered);
    if temporal && expression.is_none() && bounds == [(ConditionOperator::Gte, 1)] {
        bounds = vec![(ConditionOperator::Gte, inputs.len() as u64)];
    }
    let dialects = inputs.iter().map(|input| dialect(*input)).collect();
    Ok(Correlation {
        kind: rule.correlation_type,
        inputs,
        group_by,
        group_names: rule.group_by.clone(),
        span: i64::try_from(rule.timespan.seconds).unwrap_or(i64::MAX).saturating_mul(1000),
        bounds,
        fields,
        percent: percent as f64,
        dialects,
        reach: 0,
        expression,
        names: called,
    })
}

fn stranger<'e>(expression: &'e ConditionExpr, called: &[Vec<String>]) -> Option<&'e str> {
    match expression {
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => parts.iter().find_map(|part| stranger(part, called)),
        ConditionExpr::Not(part) => stranger(part, called),
        ConditionExpr::Identifier(name) => (!called.iter().any(|names| names.contains(name))).then_some(name.as_str()),
        ConditionExpr::Selector { .. } => None,
    }
}

/// Says which rule feeds which correlation, refuses circles, and silences what is only a part of others.
pub(super) fn connect(
    loaded: &mut [Loaded],
    correlations: &[(&Document<'_>, CorrelationRule)],
    first: usize,
) -> Result<(), LoadError> {
    let mut silenced: BTreeMap<usize, bool> = BTreeMap::new();
    for (index, (document, rule)) in correlations.iter().enumerate() {
        let own = first + index;
        let Logic::Correlation(correlation) = &loaded[own].logic else { continue };
        let inputs = correlation.inputs.clone();
        for (place, input) in inputs.into_iter().enumerate() {
            loaded[input].feeds.push((own, place));
            let silent = silenced.entry(input).or_insert(true);
            *silent = *silent && !rule.generate;
            if leads_to(loaded, input, own, own) {
                let id = loaded[own].id.clone();
                return Err(LoadError::Circle { file: document.file.to_owned(), line: document.line_of("rules"), id });
            }
        }
    }
    // Inputs may be loaded after what they feed, so reaches settle over as many rounds as there are links.
    for _ in 0..correlations.len() {
        for own in first..loaded.len() {
            let Logic::Correlation(correlation) = &loaded[own].logic else { continue };
            let of = |input: &usize| match &loaded[*input].logic {
                Logic::Correlation(input) => input.span.saturating_add(input.reach),
                Logic::Single { .. } => 0,
            };
            let reach = correlation.inputs.iter().map(of).max().unwrap_or(0);
            if let Logic::Correlation(correlation) = &mut loaded[own].logic {
                correlation.reach = reach;
            }
        }
    }
    for (index, silent) in silenced {
        loaded[index].finds &= !silent;
    }
    Ok(())
}

/// Whether `from` is decided by `target`, directly or through others; `own` is the correlation being connected.
fn leads_to(loaded: &[Loaded], from: usize, target: usize, own: usize) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(index) = open.pop() {
        if index == target {
            return true;
        }
        if let Logic::Correlation(correlation) = &loaded[index].logic
            && index != own
            && seen.insert(index)
        {
            open.extend(&correlation.inputs);
        }
    }
    false
}
