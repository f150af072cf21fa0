//! Which rules can match an event at all: by its log source, and by the `event.action` a rule's condition cannot do without.
//! What is found here is only asked of the engine; it is never more than a reason not to ask.

use std::collections::BTreeSet;

use rsigma_parser::{ConditionExpr, Detection, Detections, LogSource, SigmaValue};

use super::dialect::Dialect;
use crate::event::{Event, Value};
use crate::field::Field;

/// The actions (lower case) without one of which the rule cannot match; nothing where there is no such set.
pub fn actions(detections: &Detections) -> Option<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for condition in &detections.conditions {
        all.extend(of_condition(condition, detections)?);
    }
    (!detections.conditions.is_empty()).then_some(all)
}

fn of_condition(condition: &ConditionExpr, detections: &Detections) -> Option<BTreeSet<String>> {
    match condition {
        ConditionExpr::Identifier(name) => of_detection(detections.named.get(name)?),
        ConditionExpr::And(parts) => parts.iter().find_map(|part| of_condition(part, detections)),
        ConditionExpr::Or(parts) => parts.iter().try_fold(BTreeSet::new(), |mut all, part| {
            all.extend(of_condition(part, detections)?);
            Some(all)
        }),
        ConditionExpr::Not(_) | ConditionExpr::Selector { .. } => None,
    }
}

fn of_detection(detection: &Detection) -> Option<BTreeSet<String>> {
    match detection {
        Detection::AllOf(items) => items.iter().find_map(|item| {
            if item.field.name.as_deref() != Some(Field::EventAction.name()) || !item.field.modifiers.is_empty() {
                return None;
            }
            item.values
                .iter()
                .map(|value| match value {
                    SigmaValue::String(text) => text.as_plain().map(|plain| plain.to_lowercase()),
                    _ => None,
                })
                .collect()
        }),
        Detection::AnyOf(parts) => parts.iter().try_fold(BTreeSet::new(), |mut all, part| {
            all.extend(of_detection(part)?);
            Some(all)
        }),
        Detection::And(parts) => parts.iter().find_map(of_detection),
        _ => None,
    }
}

/// Whether a rule's log source fits an event. `product` is the event's provider or the first part of its dataset, or `crm` for
/// every log; `service` is its dataset or the last part of it; `category` is one of its categories, `webserver` and `proxy`
/// being `web`. What the rule does not name fits. A source that public rules name is known by its dialect.
pub fn source_fits(source: &LogSource, dialect: Option<Dialect>, event: &Event) -> bool {
    if let Some(dialect) = dialect {
        return dialect.fits(source, event);
    }
    product_fits(source.product.as_deref(), event)
        && service_fits(source.service.as_deref(), event)
        && category_fits(source.category.as_deref(), event)
}

fn product_fits(product: Option<&str>, event: &Event) -> bool {
    let Some(product) = product.filter(|product| !product.eq_ignore_ascii_case("crm")) else { return true };
    let first = event.text(Field::EventDataset).and_then(|dataset| dataset.split('.').next());
    [event.text(Field::EventProvider), first].into_iter().flatten().any(|name| name.eq_ignore_ascii_case(product))
}

fn service_fits(service: Option<&str>, event: &Event) -> bool {
    let Some(service) = service else { return true };
    event.text(Field::EventDataset).is_some_and(|dataset| {
        dataset.eq_ignore_ascii_case(service)
            || dataset.split_once('.').is_some_and(|(_, last)| last.eq_ignore_ascii_case(service))
    })
}

fn category_fits(category: Option<&str>, event: &Event) -> bool {
    let Some(category) = category else { return true };
    let category = match category {
        "webserver" | "proxy" => "web",
        "application" => return true,
        other => other,
    };
    event
        .all(Field::EventCategory)
        .any(|value| matches!(value, Value::Text(text) if text.eq_ignore_ascii_case(category)))
}
