//! How many records a sentence says were taken out or changed: `导出客户列表 1,200 条`, `Exported 5200 contacts`. Not for numbers that have a
//! field of their own.

use crmwatch_detectors::{Event, Field, Value};

/// What is counted; each directly behind its number, or behind one blank.
const UNITS: [&str; 22] = [
    "条",
    "行",
    "笔",
    "records",
    "record",
    "rows",
    "row",
    "entries",
    "entry",
    "items",
    "item",
    "contacts",
    "contact",
    "leads",
    "lead",
    "accounts",
    "account",
    "customers",
    "customer",
    "deals",
    "opportunities",
    "cases",
];

/// What is done to many records at once.
const COUNTED: [&str; 9] =
    ["export", "report-run", "print", "file-download", "import", "delete", "bulk-delete", "update", "share"];

/// A longer text is no sentence about one deed.
const LONGEST: usize = 1_000;
/// More records than any CRM holds are no number of records.
const MOST: i64 = 1_000_000_000;

/// Gives an event of such an action the number its message says, where nothing else does.
pub(super) fn tell(event: &mut Event) {
    if event.has(Field::Records) || !event.text(Field::EventAction).is_some_and(|action| COUNTED.contains(&action)) {
        return;
    }
    let said = event.all(Field::Message).find_map(|value| match value {
        Value::Text(text) => said(text),
        _ => None,
    });
    if let Some(count) = said {
        event.set_integer(Field::Records, count);
    }
}

/// The largest number of records a text speaks of: who names his list "1 条" does not make an export smaller.
fn said(text: &str) -> Option<i64> {
    if text.len() > LONGEST {
        return None;
    }
    let bytes = text.as_bytes();
    let mut most = None;
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(u8::is_ascii_digit) {
        let from = at + found;
        let length = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b',').count();
        at = from + length;
        let whole = from.checked_sub(1).is_none_or(|before| !matches!(bytes[before], b'.' | b'-' | b'_' | b'#'));
        let rest = text[at..].strip_prefix([' ', '\u{a0}']).unwrap_or(&text[at..]);
        if whole && UNITS.iter().any(|unit| is_word(rest, unit)) {
            let count: Option<i64> = text[from..at].replace(',', "").parse().ok().filter(|count| *count <= MOST);
            most = most.max(count);
        }
    }
    most
}

/// Whether a text begins with this word, and not with a longer one.
fn is_word(text: &str, word: &str) -> bool {
    let begins = text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    begins && (!word.is_ascii() || !text[word.len()..].starts_with(|letter: char| letter.is_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_before_what_is_counted_is_how_many() {
        for (text, expected) in [
            ("导出客户列表 1,200 条", Some(1_200)),
            ("导出数据5200条，共 12 个字段", Some(5_200)),
            ("Exported 340 Contacts to CSV", Some(340)),
            ("exported list \"1 record\" (4000 rows)", Some(4_000)),
            ("Export finished in 120 s", None),
            ("version 2.5 recordings", None),
            ("row 17 deleted", None),
            ("#12 records", None),
            ("99999999999999999999 rows", None),
            ("", None),
        ] {
            assert_eq!(said(text), expected, "{text}");
        }
    }

    #[test]
    fn only_what_is_done_to_many_at_once_is_counted_and_a_field_s_own_number_stays() {
        let told = |action: &str, own: Option<i64>| {
            let mut event = Event::new("");
            event.set(Field::EventAction, action);
            event.set(Field::Message, "导出 5200 条");
            if let Some(own) = own {
                event.set_integer(Field::Records, own);
            }
            tell(&mut event);
            event.integer(Field::Records)
        };
        assert_eq!([told("export", None), told("login", None), told("export", Some(3))], [Some(5_200), None, Some(3)]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_looked_through(text in "([0-9,. ]|条|rows|x|é){0,40}") {
            said(&text);
        }
    }
}
