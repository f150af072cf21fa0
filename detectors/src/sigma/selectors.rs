//! Writes `1 of x_*`, `all of them` out as the names they stand for, where the engine does not: in filters and in the conditions of
//! correlations. Not for a rule's own condition, which the engine reads.

use rsigma_parser::{ConditionExpr, Quantifier, SelectorPattern, detection_name_matches};

/// The expression over names alone; the selector that fits none of them otherwise.
pub fn written_out(expression: &ConditionExpr, names: &[&str]) -> Result<ConditionExpr, String> {
    let parts = |parts: &[ConditionExpr]| parts.iter().map(|part| written_out(part, names)).collect::<Result<_, _>>();
    Ok(match expression {
        ConditionExpr::And(all) => ConditionExpr::And(parts(all)?),
        ConditionExpr::Or(any) => ConditionExpr::Or(parts(any)?),
        ConditionExpr::Not(part) => ConditionExpr::Not(Box::new(written_out(part, names)?)),
        ConditionExpr::Identifier(_) => expression.clone(),
        ConditionExpr::Selector { quantifier, pattern } => {
            let fits = |name: &&&str| match pattern {
                SelectorPattern::Them => !name.starts_with('_'),
                SelectorPattern::Pattern(pattern) => detection_name_matches(pattern, name),
            };
            let chosen: Vec<ConditionExpr> =
                names.iter().filter(fits).map(|name| ConditionExpr::Identifier((*name).to_owned())).collect();
            match quantifier {
                _ if chosen.is_empty() => return Err(expression.to_string()),
                Quantifier::All => ConditionExpr::And(chosen),
                Quantifier::Any => ConditionExpr::Or(chosen),
                Quantifier::Count(least) => at_least(usize::try_from(*least).unwrap_or(usize::MAX), &chosen)
                    .ok_or_else(|| expression.to_string())?,
            }
        }
    })
}

/// Every choice of that many, joined by or; nothing where there are too few, or too many choices to write out.
fn at_least(least: usize, of: &[ConditionExpr]) -> Option<ConditionExpr> {
    if least == 0 || least > of.len() || of.len() > 12 {
        return None;
    }
    let choices = (0u32..1 << of.len()).filter(|choice| choice.count_ones() as usize == least);
    let one = |choice: u32| {
        let chosen = of.iter().enumerate().filter(|(index, _)| choice & (1 << index) != 0).map(|(_, one)| one.clone());
        ConditionExpr::And(chosen.collect())
    };
    Some(ConditionExpr::Or(choices.map(one).collect()))
}
