//! One CSV row to its cells, for every format that is CSV. Not for finding where a row ends (the framing does), nor for headers.

use std::borrow::Cow;

use memchr::memchr;
use nom::bytes::complete::take_till;
use nom::character::complete::char;
use nom::combinator::map;
use nom::sequence::preceded;
use nom::{IResult, Parser};

/// The cells; nothing where a quote is left open or text follows one.
pub(super) fn cells(row: &str, limit: usize) -> Option<Vec<Cow<'_, str>>> {
    let mut cells = Vec::with_capacity(48);
    let mut rest = row;
    loop {
        let (after, cell) = cell(rest).ok()?;
        cells.push(cell);
        match after.strip_prefix(',') {
            Some(next) if cells.len() < limit => rest = next,
            Some(_) => return None,
            None if after.is_empty() => return Some(cells),
            None => return None,
        }
    }
}

fn cell(input: &str) -> IResult<&str, Cow<'_, str>> {
    if input.starts_with('"') {
        return quoted(input);
    }
    map(take_till(|one| one == ','), Cow::Borrowed).parse(input)
}

fn quoted(input: &str) -> IResult<&str, Cow<'_, str>> {
    preceded(char('"'), inside).parse(input)
}

/// Up to the closing quote; a doubled one is a quote.
fn inside(input: &str) -> IResult<&str, Cow<'_, str>> {
    let mut cell = Cow::Borrowed("");
    let mut rest = input;
    while let Some(at) = memchr(b'"', rest.as_bytes()) {
        let doubled = rest.as_bytes().get(at + 1) == Some(&b'"');
        let part = &rest[..at + usize::from(doubled)];
        match &mut cell {
            Cow::Borrowed(text) if text.is_empty() && !doubled => cell = Cow::Borrowed(part),
            _ => cell.to_mut().push_str(part),
        }
        if !doubled {
            return Ok((&rest[at + 1..], cell));
        }
        rest = &rest[at + 2..];
    }
    Err(nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::TakeUntil)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_may_be_quoted_empty_doubled_or_hold_line_breaks() {
        let row = cells("\"a\",,\"b,\"\"c\"\"\nd\",e,\"\"", 10).expect("a row");
        assert_eq!(row, ["a", "", "b,\"c\"\nd", "e", ""]);
        assert!(matches!(row[0], Cow::Borrowed("a")));
        assert_eq!(cells("\"\"\"x\"\"\"", 10).expect("a row"), ["\"x\""]);
        for broken in ["\"a", "\"a\"b,c", "a,b,c,d,e,f,g,h,i,j,k"] {
            assert_eq!(cells(broken, 10), None, "{broken}");
        }
    }
}
