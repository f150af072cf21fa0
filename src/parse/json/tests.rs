//! The reader against serde_json, and against anything at all.

use proptest::prelude::*;
use serde_json::Value as Tree;

use super::*;

#[derive(Default)]
struct Collected(Vec<(String, String, bool)>);

impl<'a> Visitor<'a> for Collected {
    fn value(&mut self, path: &str, value: Value<'a, '_>, listed: bool) {
        let text = match value {
            Value::Null => "null".to_owned(),
            Value::Plain(text) | Value::Decoded(text) => format!("{text:?}"),
            other => other.text().to_owned(),
        };
        self.0.push((path.to_owned(), text, listed));
    }
}

fn flat(text: &str) -> Result<Vec<(String, String, bool)>, JsonError> {
    let mut collected = Collected::default();
    Reader::default().read(text, &mut collected).map(|_| collected.0)
}

fn flat_tree(tree: &Tree, path: &str, listed: bool, out: &mut Vec<(String, String, bool)>) {
    match tree {
        Tree::Object(members) => {
            for (key, value) in members {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flat_tree(value, &path, listed, out);
            }
        }
        Tree::Array(items) => items.iter().for_each(|item| flat_tree(item, path, true, out)),
        Tree::String(text) => out.push((path.to_owned(), format!("{text:?}"), listed)),
        scalar => out.push((path.to_owned(), scalar.to_string(), listed)),
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::from),
        any::<i64>().prop_map(Tree::from),
        any::<u64>().prop_map(Tree::from),
        any::<f64>().prop_filter("JSON has no such number", |number| number.is_finite()).prop_map(Tree::from),
        any::<String>().prop_map(Tree::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Tree::from),
            prop::collection::vec((".*", inner), 0..6)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn flattening_agrees_with_serde_json(tree in trees()) {
        let mut expected = Vec::new();
        flat_tree(&tree, "", false, &mut expected);
        prop_assert_eq!(flat(&tree.to_string()), Ok(expected.clone()));
        prop_assert_eq!(flat(&serde_json::to_string_pretty(&tree).expect("a tree is JSON")), Ok(expected));
    }

    #[test]
    fn any_text_is_read_or_refused_and_never_panics(text in r#"([\[\]{}",:\\ux0-9a-f é-]|true|null|.)*"#) {
        let _ = flat(&text);
        let _ = repaired(&text).map(|text| flat(&text));
        each_pair(&text, |_, _, _| {});
        each_guid(&text, |_| {});
    }

    #[test]
    fn a_text_cut_anywhere_is_refused_at_a_byte_within_it(tree in trees(), share in 0.0..1.0f64) {
        let text = Tree::from(vec![tree]).to_string();
        let mut cut = (text.len() as f64 * share) as usize;
        while !text.is_char_boundary(cut) { cut -= 1; }
        let error = flat(&text[..cut]).expect_err("an array that does not end");
        prop_assert!(error.at <= cut);
    }
}

#[test]
fn no_digit_of_a_long_number_is_lost() {
    let rows = flat(r#"{"id":123456789012345678901234567890,"x":-1.50e+10}"#).expect("JSON");
    assert_eq!(rows[0].1, "123456789012345678901234567890");
    assert_eq!(rows[1].1, "-1.50e+10");
}

#[test]
fn dotted_and_nested_keys_give_the_same_path() {
    assert_eq!(flat(r#"{"user":{"name":"a"}}"#), flat(r#"{"user.name":"a"}"#));
    assert_eq!(
        flat(r#"{"u":{"x":{"y":1},"z":2},"w":3}"#).expect("JSON").iter().map(|row| row.0.as_str()).collect::<Vec<_>>(),
        ["u.x.y", "u.z", "w"]
    );
}

#[test]
fn nesting_is_read_to_its_limit_and_refused_beyond() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(flat(&nested(DEPTH)).is_ok());
    assert_eq!(flat(&nested(DEPTH + 1)), Err(JsonError { at: DEPTH, problem: TOO_DEEP }));
    assert_eq!(flat(&"[{\"a\":".repeat(1_000_000)).map_err(|error| error.problem), Err(TOO_DEEP));
}

#[test]
fn what_is_no_json_is_refused_where_it_fails() {
    for (text, at) in [
        ("", 0),
        ("{", 1),
        (r#"{"a" 1}"#, 5),
        (r#"{"a":1,}"#, 7),
        (r#"{"a":tru}"#, 5),
        ("[1 2]", 3),
        (r#"["a]"#, 1),
        (r#"["\x41"]"#, 2),
        ("[1}", 2),
        ("{a:1}", 1),
        ("[1.]", 3),
        (r#"{"a":-x}"#, 5),
    ] {
        assert_eq!(flat(text).map_err(|error| error.at), Err(at), "{text}");
    }
}

#[test]
fn pairs_of_surrogates_are_one_character_and_halves_are_none() {
    assert_eq!(
        flat(r#"["\ud83d\ude00","\ud83d x","\u0041\/\n"]"#)
            .expect("JSON")
            .into_iter()
            .map(|row| row.1)
            .collect::<Vec<_>>(),
        [format!("{:?}", "😀"), format!("{:?}", "\u{fffd} x"), format!("{:?}", "A/\n"),]
    );
}
