//! A flattening JSON reader: walks one value and calls a visitor with dotted paths and values, without building a tree.
//! Not for what the keys mean; each format has its own table of them.
//!
//! Hand-written over bytes: JSON needs one look at each byte and no backtracking, and the path of a nested key has to live in one
//! buffer that is used again. Strings without escapes are slices of the input. There is no recursion, so depth costs no stack.

mod keys;
mod lists;
mod repair;
mod scan;

use std::borrow::Cow;

pub use keys::{Found, KeyTable, folded, lower};
pub use lists::{each_guid, each_item, each_object_value, each_pair};
pub use repair::repaired;

/// Containers within containers beyond this are refused.
pub const DEPTH: usize = 64;

/// Why a text is not JSON, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not JSON at byte {at}: {problem}; the program that writes this log has to mend it")]
pub struct JsonError {
    /// The byte, counted from the text's start.
    pub at: usize,
    /// What is wrong there.
    pub problem: &'static str,
}

/// Said of containers nested deeper than [`DEPTH`].
pub const TOO_DEEP: &str = "nested too deep";

/// A value as it stands in the text. `'a` is the text's life, `'s` that of the call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a, 's> {
    /// A string without escapes: a slice of the input.
    Plain(&'a str),
    /// A string that had escapes, decoded; valid during the call only.
    Decoded(&'s str),
    /// A number, digit for digit.
    Number(&'a str),
    /// True or false.
    Bool(bool),
    /// Null, and what loggers write for it: `NaN`, `Infinity`, a bare `-`.
    Null,
    /// A whole object or array, for a visitor that asked for it.
    Raw(&'a str),
}

impl<'a> Value<'a, '_> {
    /// The value as text, as it would stand in a string; null is nothing.
    pub fn text(&self) -> &str {
        match self {
            Value::Plain(text) | Value::Number(text) | Value::Raw(text) => text,
            Value::Decoded(text) => text,
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            Value::Null => "",
        }
    }

    /// As [`Value::text`], to be kept beyond the call; copied only where the string had escapes.
    pub fn held(&self) -> Cow<'a, str> {
        match *self {
            Value::Plain(text) | Value::Number(text) | Value::Raw(text) => Cow::Borrowed(text),
            Value::Decoded(text) => Cow::Owned(text.to_owned()),
            Value::Bool(true) => Cow::Borrowed("true"),
            Value::Bool(false) => Cow::Borrowed("false"),
            Value::Null => Cow::Borrowed(""),
        }
    }

    /// The value as a whole number, also from a string.
    pub fn integer(&self) -> Option<i64> {
        let text = self.text();
        text.parse().ok().or_else(|| {
            let number = text.parse::<f64>().ok()?;
            // Beyond 2^53 a fraction's digits are no longer exact.
            (number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0).then_some(number as i64)
        })
    }

    /// The value as true or false, also from a string or 0 and 1.
    pub fn bool(&self) -> Option<bool> {
        match self.text() {
            "1" => Some(true),
            "0" => Some(false),
            text if text.eq_ignore_ascii_case("true") => Some(true),
            text if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }
}

/// What a visitor wants of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enter {
    /// Its values one by one.
    Flatten,
    /// The whole of it as [`Value::Raw`], checked to be JSON.
    Whole,
}

/// Receives a value's parts in the order of the text.
pub trait Visitor<'a> {
    /// Called at each container's start, with its path (empty for the outermost).
    fn enter(&mut self, path: &str, array: bool) -> Enter {
        let _ = (path, array);
        Enter::Flatten
    }

    /// One value with its dotted path; the items of an array share the array's. `listed`: it stands in an array at some level.
    fn value(&mut self, path: &str, value: Value<'a, '_>, listed: bool);
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    start: usize,
    /// Length of the path that the container's keys are added to.
    prefix: usize,
    array: bool,
}

/// The reader's buffers, used again from record to record.
#[derive(Debug, Default)]
pub struct Reader {
    path: String,
    decoded: String,
    stack: Vec<Frame>,
}

impl Reader {
    /// Walks the first value of the text and gives what follows it.
    pub fn read<'a>(&mut self, text: &'a str, visitor: &mut impl Visitor<'a>) -> Result<&'a str, JsonError> {
        let bytes = text.as_bytes();
        let Reader { path, decoded, stack } = self;
        stack.clear();
        path.clear();
        let mut arrays = 0usize;
        // The depth of the container that is handed on whole; its inside is walked but not told.
        let mut muted: Option<usize> = None;
        // The path of the value at hand: a key of the outermost object is a slice of the text, everything else stands in `path`.
        let mut key: &'a str = "";
        let mut buffered = true;
        let mut at = scan::blank(bytes, 0);
        'value: loop {
            let first = *bytes.get(at).ok_or(JsonError { at, problem: "the text ends where a value should be" })?;
            if first == b'{' || first == b'[' {
                if stack.len() == DEPTH {
                    return Err(JsonError { at, problem: TOO_DEEP });
                }
                if !buffered {
                    path.clear();
                    path.push_str(key);
                }
                let array = first == b'[';
                if muted.is_none() && visitor.enter(path, array) == Enter::Whole {
                    muted = Some(stack.len());
                }
                stack.push(Frame { start: at, prefix: path.len(), array });
                arrays += usize::from(array);
                at = scan::blank(bytes, at + 1);
                if bytes.get(at) != Some(&if array { b']' } else { b'}' }) {
                    if array {
                        buffered = true;
                    } else {
                        (key, buffered, at) = read_key(text, at, path, decoded)?;
                    }
                    continue 'value;
                }
            } else {
                let (value, end) = scan::scalar(text, at, decoded)?;
                if muted.is_none() {
                    visitor.value(if buffered { path } else { key }, value, arrays > 0);
                }
                at = end;
            }
            // After a value: on to the next, or out of the containers that end here.
            loop {
                let Some(frame) = stack.last().copied() else { return Ok(&text[at..]) };
                at = scan::blank(bytes, at);
                match bytes.get(at) {
                    Some(b',') => {
                        at = scan::blank(bytes, at + 1);
                        path.truncate(frame.prefix);
                        if frame.array {
                            buffered = true;
                        } else {
                            (key, buffered, at) = read_key(text, at, path, decoded)?;
                        }
                        continue 'value;
                    }
                    Some(close) if *close == if frame.array { b']' } else { b'}' } => {
                        at += 1;
                        stack.pop();
                        arrays -= usize::from(frame.array);
                        if muted == Some(stack.len()) {
                            muted = None;
                            path.truncate(frame.prefix);
                            visitor.value(path, Value::Raw(&text[frame.start..at]), arrays > 0);
                        }
                    }
                    Some(_) => return Err(JsonError { at, problem: "a comma or the container's end should be here" }),
                    None => return Err(JsonError { at, problem: "the text ends inside a container" }),
                }
            }
        }
    }
}

/// Reads `"key":`. A plain key of the outermost object is given as a slice; any other is added to the path.
fn read_key<'a>(
    text: &'a str,
    at: usize,
    path: &mut String,
    decoded: &mut String,
) -> Result<(&'a str, bool, usize), JsonError> {
    let bytes = text.as_bytes();
    if bytes.get(at) != Some(&b'"') {
        return Err(JsonError { at, problem: "a key in double quotes should be here" });
    }
    let (key, end) = scan::string(text, at, decoded)?;
    let colon = scan::blank(bytes, end);
    if bytes.get(colon) != Some(&b':') {
        return Err(JsonError { at: colon, problem: "a colon should be here" });
    }
    let after = scan::blank(bytes, colon + 1);
    if path.is_empty()
        && let Value::Plain(key) = key
    {
        return Ok((key, false, after));
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key.text());
    Ok(("", true, after))
}

#[cfg(test)]
mod tests;
