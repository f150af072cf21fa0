//! Mends `\xHH`, which nginx writes into hand-made JSON. Not for any other fault.

use std::borrow::Cow;

/// The text with each `\xHH` turned into what it stands for; nothing where there is none. nginx escapes byte by byte, so a run of
/// them that is UTF-8 becomes that text, any other byte `\u00HH`.
pub fn repaired(text: &str) -> Option<String> {
    let mut out: Option<String> = None;
    let mut rest = text;
    while let Some(found) = memchr::memchr(b'\\', rest.as_bytes()) {
        let run = bytes_of(&rest[found..]);
        // Any other escape is two characters that belong together: `\\x41` holds no `\x41`.
        let taken = match run.is_empty() {
            false => run.len() * 4,
            true => 1 + rest[found + 1..].chars().next().map_or(0, char::len_utf8),
        };
        if run.is_empty() {
            if let Some(out) = &mut out {
                out.push_str(&rest[..found + taken]);
            }
        } else {
            let consumed = text.len() - rest.len();
            let out = out.get_or_insert_with(|| text[..consumed].to_owned());
            out.push_str(&rest[..found]);
            out.push_str(&decoded(&run));
        }
        rest = &rest[found + taken..];
    }
    let mut out = out?;
    out.push_str(rest);
    Some(out)
}

/// The bytes of the `\xHH` that follow one another from the start on.
fn bytes_of(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    text.as_bytes()
        .chunks_exact(4)
        .map_while(|four| match four {
            [b'\\', b'x', high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_ascii() && text.chars().all(|letter| letter >= '\u{a0}') => Cow::Borrowed(text),
        _ => Cow::Owned(bytes.iter().map(|byte| format!("\\u00{byte:02x}")).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_escaped_by_nginx_become_json() {
        assert_eq!(repaired(r#"{"a":"say \x22hi\x22"}"#).as_deref(), Some(r#"{"a":"say \u0022hi\u0022"}"#));
        assert_eq!(repaired(r#"{"a":"\xE5\xAE\xA2\xE6\x88\xB7 b"}"#).as_deref(), Some(r#"{"a":"客户 b"}"#));
        assert_eq!(repaired(r#"{"a":"\xFF"}"#).as_deref(), Some(r#"{"a":"\u00ff"}"#));
    }

    #[test]
    fn an_escaped_backslash_before_an_x_is_left_alone() {
        assert_eq!(repaired(r#"{"a":"C:\\x41"}"#), None);
        assert_eq!(repaired(r#"{"a":"\\\x41"}"#).as_deref(), Some(r#"{"a":"\\\u0041"}"#));
        assert_eq!(repaired(r"\"), None);
        assert_eq!(repaired(r"\x4"), None);
    }
}
