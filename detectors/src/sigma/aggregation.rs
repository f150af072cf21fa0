//! Counts in a condition (`selection | count(user) by address > 10` with a `timeframe`), as rules were written before correlations:
//! taken as the rule before the bar and a correlation over it. Public collections still have some. Not for `near`, nor for sums.

use yaml_serde::{Mapping, Value};

/// A rule written as two documents of today: what the bar counts, and the count.
pub struct WrittenOut {
    /// The rule without its count; finds nothing itself.
    pub counted: String,
    /// The correlation.
    pub count: String,
}

/// The two documents; nothing where the rule counts nothing, or in a way that is not this one (the parser then says so).
pub fn written_out(text: &str) -> Option<WrittenOut> {
    if !text.contains('|') || !text.contains("timeframe") {
        return None;
    }
    let Ok(Value::Mapping(mut rule)) = yaml_serde::from_str::<Value>(text) else { return None };
    let detection = rule.get_mut("detection")?.as_mapping_mut()?;
    let (condition, count) = detection
        .get("condition")?
        .as_str()?
        .split_once('|')
        .map(|(one, two)| (one.trim().to_owned(), Count::read(two)))?;
    let (count, timeframe) = (count?, detection.remove("timeframe")?.as_str()?.to_owned());
    detection.insert("condition".into(), condition.into());
    let own = ["name", "id", "title"].iter().find_map(|key| rule.get(*key)?.as_str())?.to_owned();
    let base = format!("{own} (events)");

    let mut correlation = Mapping::new();
    correlation.insert("type".into(), if count.field.is_some() { "value_count" } else { "event_count" }.into());
    correlation.insert("rules".into(), Value::Sequence(vec![base.as_str().into()]));
    if !count.by.is_empty() {
        correlation
            .insert("group-by".into(), Value::Sequence(count.by.iter().map(|one| one.as_str().into()).collect()));
    }
    correlation.insert("timespan".into(), timeframe.into());
    let mut bound = Mapping::new();
    if let Some(field) = &count.field {
        bound.insert("field".into(), field.as_str().into());
    }
    bound.insert(count.operator.into(), count.bound.into());
    correlation.insert("condition".into(), Value::Mapping(bound));
    let mut outer = rule.clone();
    ["detection", "logsource"].iter().for_each(|key| drop(outer.remove(*key)));
    outer.insert("correlation".into(), Value::Mapping(correlation));

    ["id", "level", "tags", "crmwatch", "related"].iter().for_each(|key| drop(rule.remove(*key)));
    rule.insert("name".into(), base.as_str().into());
    let mut block = Mapping::new();
    block.insert("building_block".into(), true.into());
    rule.insert("crmwatch".into(), Value::Mapping(block));
    Some(WrittenOut { counted: yaml_serde::to_string(&rule).ok()?, count: yaml_serde::to_string(&outer).ok()? })
}

struct Count {
    field: Option<String>,
    by: Vec<String>,
    operator: &'static str,
    bound: u64,
}

impl Count {
    /// `count(user) by address, host >= 10`.
    fn read(text: &str) -> Option<Count> {
        let rest = text.trim().strip_prefix("count")?.trim_start().strip_prefix('(')?;
        let (field, rest) = rest.split_once(')')?;
        let place = rest.find(['<', '>', '='])?;
        let (by, bound) = rest.split_at(place);
        let by = match by.trim() {
            "" => Vec::new(),
            by => by.strip_prefix("by ")?.split(',').map(|one| one.trim().to_owned()).collect(),
        };
        let signs = [(">=", "gte"), ("<=", "lte"), ("==", "eq"), (">", "gt"), ("<", "lt"), ("=", "eq")];
        let (sign, operator) = signs.into_iter().find(|(sign, _)| bound.starts_with(sign))?;
        let field = Some(field.trim().to_owned()).filter(|field| !field.is_empty());
        Some(Count { field, by, operator, bound: bound[sign.len()..].trim().parse().ok()? })
    }
}
