//! How text becomes terms: words, Chinese pairs, folded keywords, names, numbers. The index and the evaluation in memory both
//! go through here, so that both mean the same. Not for the query's syntax.

use std::net::{IpAddr, Ipv6Addr};

use crmwatch_detectors::{Millis, Value};

/// Longer words are cut, not dropped: a padded word is still found by its beginning.
pub const LONGEST_WORD: usize = 255;
/// Longer keyword and exact values are cut for comparison; above the longest query, so that a cut value equals no query by accident.
pub const LONGEST_VALUE: usize = 8 * 1024;
/// Running text beyond this is not searched.
pub const LONGEST_TEXT: usize = 1 << 20;
/// Longer names of unknown fields are cut.
pub const LONGEST_NAME: usize = 256;

/// What kind of token a step over a text gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A word of letters and digits.
    Word,
    /// Two neighbouring Chinese, Japanese or Korean characters.
    Pair,
    /// The last character of a run of those; `alone` where the run has no other.
    Last {
        /// The run is this character.
        alone: bool,
    },
}

/// Steps over the words of a text: runs of letters and digits in lower case; of scripts without spaces every pair of
/// neighbours, and the last character of each run, so that a single character is the beginning of some token.
pub struct Words<'t> {
    text: &'t str,
    at: usize,
    in_run: bool,
}

impl<'t> Words<'t> {
    /// Over that text.
    pub fn new(text: &'t str) -> Words<'t> {
        Words { text, at: 0, in_run: false }
    }

    /// Writes the next token to `out`.
    pub fn step(&mut self, out: &mut String) -> Option<Shape> {
        out.clear();
        let bytes = self.text.as_bytes();
        loop {
            let &byte = bytes.get(self.at)?;
            if byte.is_ascii() {
                if byte.is_ascii_alphanumeric() {
                    return Some(self.word(out));
                }
                self.at += 1;
                self.in_run = false;
                continue;
            }
            let one = self.text[self.at..].chars().next()?;
            if is_joined(one) {
                return Some(self.pair(one, out));
            }
            if one.is_alphanumeric() {
                return Some(self.word(out));
            }
            self.at += one.len_utf8();
            self.in_run = false;
        }
    }

    fn pair(&mut self, first: char, out: &mut String) -> Shape {
        self.at += first.len_utf8();
        out.push(first);
        let second = self.text[self.at..].chars().next().filter(|one| is_joined(*one));
        let alone = !self.in_run;
        self.in_run = second.is_some();
        match second {
            Some(second) => {
                out.push(second);
                Shape::Pair
            }
            None => Shape::Last { alone },
        }
    }

    fn word(&mut self, out: &mut String) -> Shape {
        self.in_run = false;
        let rest = &self.text[self.at..];
        let ascii = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let follows = rest.as_bytes().get(ascii).is_some_and(|byte| !byte.is_ascii());
        let length = if follows {
            rest.find(|one: char| !one.is_alphanumeric() || is_joined(one)).unwrap_or(rest.len())
        } else {
            ascii
        };
        self.at += length;
        lower(&rest[..length], LONGEST_WORD, out);
        Shape::Word
    }
}

/// Whether a character is of a script that is written without spaces.
pub fn is_joined(one: char) -> bool {
    matches!(one as u32,
        0x3041..=0x30ff | 0x31f0..=0x31ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xac00..=0xd7af | 0xf900..=0xfaff | 0x20000..=0x323af)
        && one.is_alphanumeric()
}

/// The greatest part of the text that is no longer than that and ends between characters.
pub fn cut(text: &str, longest: usize) -> &str {
    if text.len() <= longest { text } else { &text[..text.floor_char_boundary(longest)] }
}

/// Appends the text in lower case, cut to that many bytes.
pub fn lower(text: &str, longest: usize, out: &mut String) {
    let start = out.len();
    // Lower case can be longer or shorter than what it comes from; four times is beyond any ratio.
    let text = cut(text, longest * 4);
    if text.is_ascii() {
        out.push_str(cut(text, longest));
        out[start..].make_ascii_lowercase();
        return;
    }
    for one in text.chars() {
        // Character by character: the last sigma of a word is folded like every other.
        out.extend(one.to_lowercase());
    }
    let end = start + cut(&out[start..], longest).len();
    out.truncate(end);
}

/// A keyword as it is compared.
pub fn keyword(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST_VALUE));
    lower(text, LONGEST_VALUE, &mut out);
    out
}

/// An exact value as it is compared.
pub fn exact(text: &str) -> &str {
    cut(text, LONGEST_VALUE)
}

/// Appends the name of an unknown field as it is compared: cut, and without the NUL that parts name from value.
pub fn name(name: &str, out: &mut String) {
    for one in cut(name, LONGEST_NAME).chars() {
        out.push(if one == '\0' { '\u{fffd}' } else { one });
    }
}

/// Whether values of an unknown field of that name are compared exactly: ids are.
pub fn exact_by_name(name: &str) -> bool {
    name.ends_with(".id") || name.ends_with("_id")
}

/// A finite number as bits that sort as the number does. Both zeros are one.
pub fn sortable(number: f64) -> u64 {
    let bits = (number + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// The number of those bits.
pub fn unsortable(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
}

/// The number a text is, if it is one.
pub fn number(text: &str) -> Option<f64> {
    let plain = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    if text.is_empty() || text.len() > 40 || !text.bytes().all(plain) {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// The number a value of an unknown field is compared as.
pub fn number_of(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Integer(whole) => Some(whole as f64),
        Value::Float(fraction) => Some(fraction).filter(|one| one.is_finite()),
        Value::Text(text) => number(text),
        Value::Bool(_) | Value::Ip(_) => None,
    }
}

/// A time as it is compared: the index counts nanoseconds in 64 bits, so times beyond the years 1678 to 2261 stand at the ends.
pub fn time(millis: Millis) -> Millis {
    millis.clamp(TIMES.0, TIMES.1)
}

/// The least and greatest time that [`time`] gives.
pub const TIMES: (Millis, Millis) = (i64::MIN / 1_000_000 + 1, i64::MAX / 1_000_000 - 1);

/// An address on the one line of numbers both versions share.
pub fn address(ip: IpAddr) -> Ipv6Addr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut steps = Words::new(text);
        let mut out = String::new();
        std::iter::from_fn(|| steps.step(&mut out).map(|_| out.clone())).collect()
    }

    #[test]
    fn words_are_split_at_anything_that_is_no_letter_or_digit_and_lowered() {
        assert_eq!(words("GET /crm/Export?id=42 ÉCOLE"), ["get", "crm", "export", "id", "42", "école"]);
        assert_eq!(words(" .. "), Vec::<String>::new());
    }

    #[test]
    fn chinese_is_split_into_pairs_and_the_last_character_of_a_run() {
        assert_eq!(words("用户alice导出了"), ["用户", "户", "alice", "导出", "出了", "了"]);
        assert_eq!(words("查 a"), ["查", "a"]);
    }

    #[test]
    fn a_long_word_is_cut_and_not_dropped() {
        let found = words(&"Ab".repeat(100_000));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].len(), LONGEST_WORD);
        assert_eq!(keyword(&"İ".repeat(100_000)).len() / 3, LONGEST_VALUE / 3);
    }

    #[test]
    fn numbers_sort_as_their_bits_do() {
        let numbers = [f64::MIN, -2.5, -1.0, -1e-300, 0.0, 1e-300, 1.0, 2.5, f64::MAX];
        assert!(numbers.windows(2).all(|pair| sortable(pair[0]) < sortable(pair[1])));
        assert_eq!(sortable(-0.0), sortable(0.0));
    }
}
