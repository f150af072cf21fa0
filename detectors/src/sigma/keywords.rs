//! Keywords with modifiers (`'|all'`, `'|cased'`): as without, they are looked for inside values, and of those that must all be there
//! each may stand in a value of its own. The engine would compare whole values, and look for all in one. Not for fields.

use rsigma_parser::{Detection, DetectionItem, FieldSpec, Modifier};

/// Rewrites one detection in place.
pub fn inside_values(detection: &mut Detection) {
    match detection {
        Detection::AllOf(items) if items.iter().any(|item| item.field.name.is_none()) => {
            let (keywords, fields): (Vec<DetectionItem>, Vec<DetectionItem>) =
                std::mem::take(items).into_iter().partition(|item| item.field.name.is_none());
            let mut parts = Vec::new();
            if !fields.is_empty() {
                parts.push(Detection::AllOf(fields));
            }
            keywords.into_iter().for_each(|item| each(item, &mut parts));
            *detection = Detection::And(parts);
        }
        Detection::AnyOf(parts) | Detection::And(parts) => parts.iter_mut().for_each(inside_values),
        _ => {}
    }
}

fn each(item: DetectionItem, parts: &mut Vec<Detection>) {
    let together = item.field.has_modifier(Modifier::All);
    let mut modifiers = item.field.modifiers;
    modifiers.retain(|one| *one != Modifier::All);
    let placed = [Modifier::Contains, Modifier::StartsWith, Modifier::EndsWith, Modifier::Re, Modifier::Cidr];
    if !modifiers.is_empty() && !modifiers.iter().any(|one| placed.contains(one)) {
        modifiers.push(Modifier::Contains);
    }
    let part = |values| match modifiers.is_empty() {
        true => Detection::Keywords(values),
        false => Detection::AllOf(vec![DetectionItem { field: FieldSpec::new(None, modifiers.clone()), values }]),
    };
    if together {
        parts.extend(item.values.into_iter().map(|value| part(vec![value])));
    } else {
        parts.push(part(item.values));
    }
}
