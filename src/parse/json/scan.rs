//! The tokens of JSON: blanks, strings, numbers, words. Not for structure.

use super::{JsonError, Value};

/// The first byte from `at` on that is no blank.
pub(super) fn blank(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// A value that is no container, and where it ends.
pub(super) fn scalar<'a, 's>(
    text: &'a str,
    at: usize,
    decoded: &'s mut String,
) -> Result<(Value<'a, 's>, usize), JsonError> {
    let rest = &text.as_bytes()[at..];
    match rest[0] {
        b'"' => string(text, at, decoded),
        b'-' | b'0'..=b'9' => number(text, at),
        b't' if rest.starts_with(b"true") => Ok((Value::Bool(true), at + 4)),
        b'f' if rest.starts_with(b"false") => Ok((Value::Bool(false), at + 5)),
        b'n' if rest.starts_with(b"null") => Ok((Value::Null, at + 4)),
        // Python's and Go's loggers write these.
        b'N' if rest.starts_with(b"NaN") => Ok((Value::Null, at + 3)),
        b'I' if rest.starts_with(b"Infinity") => Ok((Value::Null, at + 8)),
        _ => Err(JsonError { at, problem: "no JSON value starts so" }),
    }
}

/// A string from its opening quote on. Line breaks and other control characters inside are let through: logs have them.
pub(super) fn string<'a, 's>(
    text: &'a str,
    at: usize,
    decoded: &'s mut String,
) -> Result<(Value<'a, 's>, usize), JsonError> {
    const OPEN: JsonError = JsonError { at: 0, problem: "the text ends inside a string" };
    let bytes = text.as_bytes();
    let start = at + 1;
    let stop = start + memchr::memchr2(b'"', b'\\', &bytes[start..]).ok_or(JsonError { at, ..OPEN })?;
    if bytes[stop] == b'"' {
        return Ok((Value::Plain(&text[start..stop]), stop + 1));
    }
    decoded.clear();
    decoded.push_str(&text[start..stop]);
    let mut from = stop;
    loop {
        if bytes[from] == b'"' {
            return Ok((Value::Decoded(decoded), from + 1));
        }
        from = escape(text, from, decoded)?;
        let next = from + memchr::memchr2(b'"', b'\\', &bytes[from..]).ok_or(JsonError { at, ..OPEN })?;
        decoded.push_str(&text[from..next]);
        from = next;
    }
}

/// Decodes the escape that starts at the backslash `at`; gives where it ends.
fn escape(text: &str, at: usize, decoded: &mut String) -> Result<usize, JsonError> {
    let bytes = text.as_bytes();
    let plain = match bytes.get(at + 1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let unit = hex(bytes, at + 2).ok_or(JsonError { at, problem: "four hex digits should follow \\u" })?;
            let low = (0xD800..0xDC00)
                .contains(&unit)
                .then(|| bytes.get(at + 6..at + 8) == Some(b"\\u"))
                .and_then(|pair| pair.then(|| hex(bytes, at + 8)).flatten())
                .filter(|low| (0xDC00..0xE000).contains(low));
            if let Some(low) = low {
                let code = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                decoded.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                return Ok(at + 12);
            }
            // Half of a pair stands for no character.
            decoded.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
            return Ok(at + 6);
        }
        _ => return Err(JsonError { at, problem: "no such escape" }),
    };
    decoded.push(plain);
    Ok(at + 2)
}

fn hex(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.iter().try_fold(0, |sum, byte| Some(sum * 16 + char::from(*byte).to_digit(16)?))
}

/// A number, checked for its shape only. Leading zeros are let through (nginx writes the status `000`).
fn number(text: &str, at: usize) -> Result<(Value<'_, 'static>, usize), JsonError> {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let mut end = from;
        while bytes.get(end).is_some_and(u8::is_ascii_digit) {
            end += 1;
        }
        end
    };
    let start = at + usize::from(bytes[at] == b'-');
    let mut end = digits(start);
    if end == start {
        return match bytes.get(end) {
            Some(b'I') if bytes[end..].starts_with(b"Infinity") => Ok((Value::Null, end + 8)),
            // A bare `-` is what nginx writes for an empty variable.
            Some(b',' | b'}' | b']' | b' ') => Ok((Value::Null, end)),
            _ => Err(JsonError { at, problem: "a digit should follow the sign" }),
        };
    }
    if bytes.get(end) == Some(&b'.') {
        let after = digits(end + 1);
        if after == end + 1 {
            return Err(JsonError { at: after, problem: "a digit should follow the point" });
        }
        end = after;
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let sign = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let after = digits(sign);
        if after == sign {
            return Err(JsonError { at: after, problem: "a digit should follow the exponent's sign" });
        }
        end = after;
    }
    Ok((Value::Number(&text[at..end]), end))
}
