//! Puts an operator's values in the place of `%name%` where a rule says `expand`. Not for the placeholders of sentences (`template`).

use std::collections::BTreeMap;

use rsigma_parser::{Detection, Modifier, SigmaString, SigmaValue};

use super::unsupported::Refusal;

/// More values than this one item may not become: two lists in one text multiply.
const MOST: usize = 10_000;

/// What the names stand for.
pub type Placeholders = BTreeMap<String, Vec<String>>;

/// Expands one detection in place, or says which name nobody has given a value.
pub fn expand(detection: &mut Detection, known: &Placeholders) -> Result<(), Refusal> {
    match detection {
        Detection::AllOf(items) => {
            for item in items {
                if !item.field.has_modifier(Modifier::Expand) {
                    continue;
                }
                item.field.modifiers.retain(|modifier| *modifier != Modifier::Expand);
                let mut values = Vec::new();
                for value in std::mem::take(&mut item.values) {
                    match value {
                        SigmaValue::String(text) => {
                            for text in each(&text.original, known)? {
                                values.push(SigmaValue::String(SigmaString::new(&text)));
                            }
                        }
                        other => values.push(other),
                    }
                    if values.len() > MOST {
                        return Err(Refusal {
                            construct: format!("a placeholder of more than {MOST} values"),
                            word: "|expand".to_owned(),
                            mend: "give fewer values, or a wildcard",
                        });
                    }
                }
                item.values = values;
            }
            Ok(())
        }
        Detection::AnyOf(parts) | Detection::And(parts) => parts.iter_mut().try_for_each(|part| expand(part, known)),
        _ => Ok(()),
    }
}

/// Every text that one with placeholders stands for. A `%` that opens no name is itself.
fn each(text: &str, known: &Placeholders) -> Result<Vec<String>, Refusal> {
    let mut all = vec![String::new()];
    let mut rest = text;
    while let Some((plain, tail)) = rest.split_once('%') {
        all.iter_mut().for_each(|one| one.push_str(plain));
        let name = tail.split_once('%').filter(|(name, _)| {
            !name.is_empty() && name.chars().all(|one| one.is_ascii_alphanumeric() || matches!(one, '_' | '-' | '.'))
        });
        let Some((name, after)) = name else {
            all.iter_mut().for_each(|one| one.push('%'));
            rest = tail;
            continue;
        };
        let Some(values) = known.get(name).filter(|values| !values.is_empty()) else {
            return Err(Refusal {
                construct: format!("the placeholder %{name}%, which has no values,"),
                word: format!("%{name}%"),
                mend: "give it values under [rules.placeholders] in the configuration, or leave the line out",
            });
        };
        all = all
            .iter()
            .flat_map(|start| values.iter().map(move |value| format!("{start}{}", plain_text(value))))
            .collect();
        if all.len() > MOST {
            all.truncate(MOST + 1);
        }
        rest = after;
    }
    all.iter_mut().for_each(|one| one.push_str(rest));
    Ok(all)
}

/// A value of the configuration is a text as it stands; only its wildcards keep their meaning.
fn plain_text(value: &str) -> String {
    value.replace('\\', "\\\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_takes_the_place_of_its_name_and_an_unknown_name_is_told() {
        let known = Placeholders::from([
            ("domains".to_owned(), vec!["a.example".to_owned(), "b.example".to_owned()]),
            ("none".to_owned(), Vec::new()),
        ]);
        assert_eq!(each("*@%domains%", &known).expect("known"), ["*@a.example", "*@b.example"]);
        assert_eq!(each("100% of %TEMP", &known).expect("no names"), ["100% of %TEMP"]);
        for unknown in ["%admins%", "%none%"] {
            let refusal = each(unknown, &known).expect_err("refused");
            assert!(refusal.construct.contains(unknown), "{}", refusal.construct);
        }
    }
}
