//! What formats need of JSON inside a record: items of an array, values of a small object, `{Name, Value}` lists, ids in a text.
//! Not for whole records.

use super::{Enter, Reader, Value, Visitor};

struct Elements<F> {
    tell: F,
    inside: bool,
}

impl<'a, F: FnMut(Value<'a, '_>)> Visitor<'a> for Elements<F> {
    fn enter(&mut self, _path: &str, array: bool) -> Enter {
        // The outermost array is opened, what lies in it is not; an object that is no array is its own only item.
        if array && !self.inside {
            self.inside = true;
            return Enter::Flatten;
        }
        Enter::Whole
    }

    fn value(&mut self, _path: &str, value: Value<'a, '_>, _listed: bool) {
        (self.tell)(value);
    }
}

/// Calls with each item of an array; with the value itself where it is no array. Gives what follows the value.
pub fn each_item<'a>(
    reader: &mut Reader,
    text: &'a str,
    tell: impl FnMut(Value<'a, '_>),
) -> Result<&'a str, super::JsonError> {
    reader.read(text, &mut Elements { tell, inside: false })
}

struct Members<F> {
    tell: F,
    opened: bool,
}

impl<'a, F: FnMut(&str, Value<'a, '_>)> Visitor<'a> for Members<F> {
    fn enter(&mut self, _path: &str, array: bool) -> Enter {
        if !array && !self.opened {
            self.opened = true;
            return Enter::Flatten;
        }
        Enter::Whole
    }

    fn value(&mut self, path: &str, value: Value<'a, '_>, _listed: bool) {
        if self.opened {
            (self.tell)(path, value);
        }
    }
}

/// Calls with each key and value of an object, containers whole.
pub fn each_object_value<'a>(
    reader: &mut Reader,
    text: &'a str,
    tell: impl FnMut(&str, Value<'a, '_>),
) -> Result<&'a str, super::JsonError> {
    reader.read(text, &mut Members { tell, opened: false })
}

/// Calls with name, value (or new value) and old value of each item of a list of `{Name, Value}` or `{Name, NewValue, OldValue}`,
/// also `{Key, Value}`, names in any case. Items of another shape are passed over.
pub fn each_pair(text: &str, mut tell: impl FnMut(&str, &str, &str)) {
    let (mut outer, mut inner) = (Reader::default(), Reader::default());
    // A broken list says as much as it says up to the fault.
    let _ = each_item(&mut outer, text, |item| {
        let Value::Raw(item) = item else { return };
        let (mut name, mut new, mut old) = (None, None, None);
        let _ = each_object_value(&mut inner, item, |key, value| {
            let slot = match key {
                key if key.eq_ignore_ascii_case("name") || key.eq_ignore_ascii_case("key") => &mut name,
                key if key.eq_ignore_ascii_case("value") || key.eq_ignore_ascii_case("newvalue") => &mut new,
                key if key.eq_ignore_ascii_case("oldvalue") => &mut old,
                _ => return,
            };
            *slot = Some(value.held());
        });
        if let Some(name) = name {
            tell(&name, new.as_deref().unwrap_or(""), old.as_deref().unwrap_or(""));
        }
    });
}

/// Calls with each GUID (8-4-4-4-12 hex digits) in a text, whatever stands between them.
pub fn each_guid(text: &str, mut tell: impl FnMut(u128)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(window) = bytes.get(at..at + 36) {
        match guid(window) {
            Some(id) => {
                tell(id);
                at += 36;
            }
            None => at += 1,
        }
    }
}

fn guid(bytes: &[u8]) -> Option<u128> {
    let mut id = 0;
    for (place, byte) in bytes.iter().enumerate() {
        match (place, byte) {
            (8 | 13 | 18 | 23, b'-') => {}
            (8 | 13 | 18 | 23, _) => return None,
            (_, byte) => id = id << 4 | u128::from(char::from(*byte).to_digit(16)?),
        }
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_whatever_the_case_of_their_names() {
        let mut seen = Vec::new();
        each_pair(
            r#"[{"Name":"UserAgent","Value":"x \"y\""},{"name":"Role","newValue":"Admin","oldValue":"None"},7,{"Value":1}]"#,
            |name, new, old| {
                seen.push((name.to_owned(), new.to_owned(), old.to_owned()));
            },
        );
        let expected = [("UserAgent", "x \"y\"", ""), ("Role", "Admin", "None")];
        assert_eq!(seen, expected.map(|(name, new, old)| (name.to_owned(), new.to_owned(), old.to_owned())));
    }

    #[test]
    fn items_come_one_by_one_and_an_object_is_its_own_item() {
        let items = |text: &str| {
            let mut items = Vec::new();
            each_item(&mut Reader::default(), text, |item| items.push(item.text().to_owned()))
                .map(|rest| (items, rest.to_owned()))
        };
        assert_eq!(
            items(r#"[{"a":[1]}, 2] x"#),
            Ok((vec![r#"{"a":[1]}"#.to_owned(), "2".to_owned()], " x".to_owned()))
        );
        assert_eq!(items(r#"{"a":1},"#), Ok((vec![r#"{"a":1}"#.to_owned()], ",".to_owned())));
        assert!(items("[1,").is_err());
    }

    #[test]
    fn ids_are_found_between_anything() {
        let mut ids = Vec::new();
        each_guid("a,53c98033-cca4-4420-97e4-4c1b4f81e062;00000000-0000-0000-0000-000000000001客", |id| ids.push(id));
        assert_eq!(ids, [0x53c98033_cca4_4420_97e4_4c1b4f81e062, 1]);
    }
}
