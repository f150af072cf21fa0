//! Where a record ends. Not for what it says; the grammar only tells which framing its records have.

use memchr::{memchr, memchr2};

use crate::parse::Framing;

/// The index of the newline that ends the record at the start of `bytes`. `searched` bytes are known to hold no newline.
pub fn record_end(framing: Framing, bytes: &[u8], searched: usize) -> Option<usize> {
    match framing {
        Framing::Lines => line_end(bytes, searched),
        Framing::QuotedCsv => quoted_end(bytes),
        Framing::Json => json_end(bytes),
    }
}

fn line_end(bytes: &[u8], searched: usize) -> Option<usize> {
    memchr(b'\n', bytes.get(searched..)?).map(|index| searched + index)
}

fn quoted_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut quoted = false;
    loop {
        let found = at + memchr2(b'"', b'\n', &bytes[at..])?;
        if bytes[found] == b'"' {
            // A doubled quote inside a cell closes and opens again, which comes to the same.
            quoted = !quoted;
        } else if !quoted {
            return Some(found);
        }
        at = found + 1;
    }
}

fn json_end(bytes: &[u8]) -> Option<usize> {
    let first = bytes.iter().position(|byte| !byte.is_ascii_whitespace())?;
    // Blank lines before a value, and anything that is no value, are records of their own.
    if memchr(b'\n', &bytes[..first]).is_some() || !matches!(bytes[first], b'{' | b'[') {
        return line_end(bytes, 0);
    }
    let mut depth = 0usize;
    let mut at = first;
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return line_end(bytes, at);
                }
            }
            b'"' => {
                at += 1;
                loop {
                    let found = at + memchr2(b'"', b'\\', bytes.get(at..)?)?;
                    at = found + 1;
                    if bytes[found] == b'"' {
                        break;
                    }
                    at += 1;
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_ends_where_its_grammar_says() {
        assert_eq!(record_end(Framing::Lines, b"abc\ndef", 0), Some(3));
        assert_eq!(record_end(Framing::Lines, b"abc", 3), None);
        assert_eq!(record_end(Framing::QuotedCsv, b"\"a\nb\"\"c\",d\ne", 0), Some(10));
        assert_eq!(record_end(Framing::QuotedCsv, b"\"a\nb", 0), None);
        assert_eq!(record_end(Framing::Json, b"{\n\"a}\\\"\":[1,\n2]}\nx", 0), Some(16));
        assert_eq!(record_end(Framing::Json, b"{\"a\":1", 0), None);
        assert_eq!(record_end(Framing::Json, b"plain\n{", 0), Some(5));
        assert_eq!(record_end(Framing::Json, b"{\"a\":\"\\", 0), None);
    }
}
