//! `key=value` syntaxes that carry any vendor's fields: what their keys mean is looked up as if they stood in a JSON record.
//! Not for a syntax itself; CEF, LEEF and logfmt have a file each.

use chrono_tz::Tz;
use crmwatch_detectors::Event;

use super::Options;
use super::json_lines::{Pair, Pairs};

/// What reads pairs into events.
pub(super) struct Carrier {
    pairs: Pairs,
}

impl Carrier {
    pub(super) fn new(options: &Options) -> Carrier {
        Carrier { pairs: Pairs::new(options) }
    }

    /// The event of a record's pairs.
    pub(super) fn event<'a, 'k>(&mut self, raw: &'a str, pairs: impl Iterator<Item = Pair<'a, 'k>>) -> Event {
        self.pairs.event(raw, pairs)
    }

    /// The zone of stamps without an offset.
    pub(super) fn zone(&self) -> Tz {
        self.pairs.zone()
    }
}

/// Bytes of a key.
const LONGEST_KEY: usize = 100;

/// What a key is made of.
const OF_A_KEY: [bool; 256] = {
    let mut of_a_key = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        of_a_key[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'[' | b']');
        byte += 1;
    }
    of_a_key
};

/// The pairs of a text in which values may hold blanks: a key is a word directly before an equals sign, after a blank or at the start.
/// Of `a=b c=d`, `b` and `d`; of `url=https://x/?q=1 y=2` the question mark keeps `q` from being a key.
pub(super) fn spaced<'a>(text: &'a str, mut tell: impl FnMut(&'a str, &'a str)) {
    let bytes = text.as_bytes();
    // Key start, key end, value start.
    let mut open: Option<(usize, usize, usize)> = None;
    let mut close = |open: &Option<(usize, usize, usize)>, end: usize| {
        if let Some((from, to, value)) = *open {
            let mut end = end.max(value);
            while end > value && bytes[end - 1] == b' ' {
                end -= 1;
            }
            tell(&text[from..to], &text[value..end]);
        }
    };
    for equals in memchr::memchr_iter(b'=', bytes) {
        if equals > 0 && bytes[equals - 1] == b'\\' {
            let escaped = bytes[..equals].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
            if escaped {
                continue;
            }
        }
        // No further back than a key is long: a run of equals signs is not searched again and again.
        let earliest = open.map_or(0, |(_, _, value)| value).max(equals.saturating_sub(LONGEST_KEY + 1));
        let from = bytes[earliest..equals].iter().rposition(|byte| !OF_A_KEY[usize::from(*byte)]);
        let from = from.map_or(earliest, |at| earliest + at + 1);
        let starts = from == 0 || bytes[from - 1] == b' ';
        if !starts || from == equals || equals - from > LONGEST_KEY {
            continue;
        }
        close(&open, from.saturating_sub(1));
        open = Some((from, equals, equals + 1));
    }
    close(&open, text.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_hold_blanks_and_equals_signs() {
        let mut seen = Vec::new();
        let text = r"src=10.0.0.1 msg=Admin logged in from web request=https://x/?q=1&y=2 cs1Label=Malop Id empty= last=a\=b c";
        spaced(text, |key, value| seen.push((key, value)));
        assert_eq!(
            seen,
            [
                ("src", "10.0.0.1"),
                ("msg", "Admin logged in from web"),
                ("request", "https://x/?q=1&y=2"),
                ("cs1Label", "Malop Id"),
                ("empty", ""),
                ("last", r"a\=b c"),
            ]
        );
        spaced("=", |_, _| panic!("no key"));
        spaced("no pairs", |_, _| panic!("no key"));
    }
}
