//! One CSV row to its cells, for every format that is CSV. Not for finding where a row ends (the framing does), nor for headers.

use std::borrow::Cow;

use memchr::memchr;

/// The cells; nothing where a quote is left open or text follows one.
///
/// Hand-written over bytes: rows have dozens of cells, most of a few bytes.
pub(super) fn cells(row: &str, limit: usize) -> Option<Vec<Cow<'_, str>>> {
    cells_between(row, b',', limit)
}

/// As [`cells`], with another separator: some languages' spreadsheets write semicolons, some programs tabs.
pub(super) fn cells_between(row: &str, separator: u8, limit: usize) -> Option<Vec<Cow<'_, str>>> {
    let bytes = row.as_bytes();
    let mut cells = Vec::with_capacity(48);
    let mut at = 0;
    loop {
        // Both kinds of cells are pushed where they are made: handed on in an `Option` they cost three times as much.
        let end = if bytes.get(at) == Some(&b'"') {
            let quote = quote(bytes, at + 1)?;
            if bytes.get(quote + 1) == Some(&b'"') {
                let (cell, end) = unescaped(row, at + 1, quote)?;
                cells.push(Cow::Owned(cell));
                end
            } else {
                cells.push(Cow::Borrowed(&row[at + 1..quote]));
                quote + 1
            }
        } else {
            let end = memchr(separator, &bytes[at..]).map_or(bytes.len(), |found| at + found);
            cells.push(Cow::Borrowed(&row[at..end]));
            end
        };
        match bytes.get(end) {
            Some(byte) if *byte == separator && cells.len() < limit => at = end + 1,
            Some(_) => return None,
            None => return Some(cells),
        }
    }
}

/// A cell with quotes in it, each of which is doubled, from behind the opening quote, and where it ends; the first of them is known.
fn unescaped(row: &str, start: usize, first: usize) -> Option<(String, usize)> {
    let bytes = row.as_bytes();
    let mut whole = String::new();
    let (mut from, mut found) = (start, first);
    while bytes.get(found + 1) == Some(&b'"') {
        whole.push_str(&row[from..=found]);
        from = found + 2;
        found = quote(bytes, from)?;
    }
    whole.push_str(&row[from..found]);
    Some((whole, found + 1))
}

/// Where the next quote stands. It mostly is near, so the first words are looked at eight bytes at a time (the byte with a quote in it
/// becomes zero, and of zero bytes the lowest is told by the borrow it takes; Warren, "Hacker's Delight", 6-1).
fn quote(bytes: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut at = from;
    for _ in 0..3 {
        let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) else { break };
        let word = u64::from_le_bytes(*word) ^ (ONES * b'"' as u64);
        let zeros = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if zeros != 0 {
            return Some(at + zeros.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr(b'"', bytes.get(at..)?).map(|found| at + found)
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
        for length in 0..40 {
            let text = format!("{}é", "x".repeat(length));
            let row = format!("\"{text}\",\"{text}\"");
            assert_eq!(cells(&row, 2).expect("a row"), [text.clone(), text], "wherever the quote stands");
        }
        for broken in ["\"a", "\"a\"b,c", "a,b,c,d,e,f,g,h,i,j,k"] {
            assert_eq!(cells(broken, 10), None, "{broken}");
        }
    }
}
