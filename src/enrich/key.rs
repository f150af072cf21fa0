//! Keys of enrichment's state: several values as one text, bounded however long the values are. Not for what is kept under them.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

/// Longer values are cut and told apart by a hash: a megabyte of user name must not become a megabyte of state.
const LONGEST: usize = 200;

/// The value itself where it is short; else its head and a hash of the whole.
pub fn bounded(value: &str) -> Cow<'_, str> {
    if value.len() <= LONGEST {
        return Cow::Borrowed(value);
    }
    let digest = Sha256::digest(value.as_bytes());
    let hash = digest.iter().take(8).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    Cow::Owned(format!("{}~{hash:016x}", head(value, LONGEST - 20)))
}

/// The longest head of no more than `most` bytes that ends between characters.
pub fn head(value: &str, most: usize) -> &str {
    &value[..value.floor_char_boundary(most)]
}

/// One key from several values. The separator is a control character, so that `a|b` and `c` is not `a` and `b|c`.
pub fn join(parts: &[&str]) -> String {
    let mut key = String::with_capacity(parts.iter().map(|part| part.len().min(LONGEST) + 1).sum());
    join_into(&mut key, parts);
    key
}

/// The same in memory that was used before, for keys of every event.
pub fn join_into(key: &mut String, parts: &[&str]) {
    key.clear();
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            key.push('\u{1f}');
        }
        key.push_str(&bounded(part));
    }
}

/// Lower case, without an allocation where it is already.
pub fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_bounded_and_still_told_apart() {
        let (one, two) = ("导".repeat(1_000) + "a", "导".repeat(1_000) + "b");
        assert!(bounded(&one).len() <= LONGEST);
        assert_ne!(bounded(&one), bounded(&two));
        assert_eq!(bounded("alice"), "alice");
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(join(&["a", "b"]), join(&["ab", ""]));
        assert_eq!(lower("Ärger"), "ärger");
        assert_eq!(lower("plain"), "plain");
    }
}
