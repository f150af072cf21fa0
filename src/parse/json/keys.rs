//! From a record's key to what it means: a table with a small cache in front, since a log's keys repeat from line to line.
//! Not for the tables' content.

use std::collections::HashMap;

const CACHED: usize = 256;
/// Longer keys are looked up each time; the cache stays small whatever is sent.
const CACHED_LENGTH: usize = 96;

/// What a look-up found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<T> {
    /// The key's meaning; nothing where the table has none.
    pub target: Option<T>,
    /// The key may have come before in this record.
    pub repeated: bool,
}

#[derive(Debug)]
struct Entry<T> {
    key: String,
    target: Option<T>,
    record: u64,
}

/// Keys and their meaning. A key is first looked for as it stands, then folded.
#[derive(Debug)]
pub struct KeyTable<T> {
    exact: HashMap<Box<str>, T>,
    by_fold: HashMap<Box<str>, T>,
    fold: fn(char) -> Option<char>,
    cache: Vec<Entry<T>>,
    folded: String,
    record: u64,
}

/// Folds case.
pub fn lower(letter: char) -> Option<char> {
    Some(letter.to_ascii_lowercase())
}

/// Folds case, and takes `_` and `-` away.
pub fn folded(letter: char) -> Option<char> {
    (!matches!(letter, '_' | '-')).then(|| letter.to_ascii_lowercase())
}

impl<T: Copy> KeyTable<T> {
    /// A table of keys that are compared folded; of equal ones the first counts.
    pub fn new<'k>(fold: fn(char) -> Option<char>, keys: impl IntoIterator<Item = (&'k str, T)>) -> KeyTable<T> {
        let mut by_fold = HashMap::new();
        for (key, target) in keys {
            by_fold.entry(key.chars().filter_map(fold).collect::<String>().into_boxed_str()).or_insert(target);
        }
        let cache = (0..CACHED).map(|_| Entry { key: String::new(), target: None, record: 0 }).collect();
        KeyTable { exact: HashMap::new(), by_fold, fold, cache, folded: String::new(), record: 1 }
    }

    /// Adds a key that counts only as it stands, and before any folded one.
    pub fn exact(&mut self, key: &str, target: T) {
        self.exact.insert(key.into(), target);
    }

    /// A new record begins: no key has come yet.
    pub fn begin(&mut self) {
        self.record += 1;
    }

    /// What a key means.
    pub fn find(&mut self, key: &str) -> Found<T> {
        if key.len() > CACHED_LENGTH || key.is_empty() {
            return Found { target: self.look_up(key), repeated: true };
        }
        let first = place(key.as_bytes());
        let record = self.record;
        for place in [first, first ^ 1] {
            let entry = &mut self.cache[place];
            if entry.key == key {
                let repeated = entry.record == record;
                entry.record = record;
                return Found { target: entry.target, repeated };
            }
        }
        // The longer unused of its two places. Where both were used in this very record, the key may have been pushed out of one.
        let place = if self.cache[first].record <= self.cache[first ^ 1].record { first } else { first ^ 1 };
        let target = self.look_up(key);
        let entry = &mut self.cache[place];
        let repeated = entry.record == record;
        entry.key.clear();
        entry.key.push_str(key);
        entry.target = target;
        entry.record = record;
        Found { target, repeated }
    }

    fn look_up(&mut self, key: &str) -> Option<T> {
        if let Some(target) = self.exact.get(key) {
            return Some(*target);
        }
        self.folded.clear();
        self.folded.extend(key.chars().filter_map(self.fold));
        self.by_fold.get(self.folded.as_str()).copied()
    }
}

/// A cheap place in the cache (its neighbour is the other): length, and the first and last eight bytes.
fn place(key: &[u8]) -> usize {
    let word = |bytes: &[u8]| bytes.iter().fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let (head, tail) = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => (word(key), 0),
    };
    let mixed = (head ^ tail.rotate_left(29) ^ key.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 56) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_dashes_make_no_difference_and_an_exact_key_goes_first() {
        let mut table = KeyTable::new(folded, [("user_name", 1), ("client-ip", 2)]);
        table.exact("User-Name", 3);
        table.begin();
        assert_eq!(table.find("userName").target, Some(1));
        assert_eq!(table.find("USER_NAME").target, Some(1));
        assert_eq!(table.find("User-Name").target, Some(3));
        assert_eq!(table.find("clientIp").target, Some(2));
        assert_eq!(table.find("other").target, None);
    }

    #[test]
    fn a_key_that_comes_twice_in_a_record_is_seen_even_when_the_cache_overflows() {
        let mut table = KeyTable::new(lower, [("a", 1)]);
        for _ in 0..2 {
            table.begin();
            assert!(!table.find("a").repeated);
            for number in 0..2_000 {
                table.find(&format!("key{number}"));
            }
            assert!(table.find("a").repeated);
            assert_eq!(table.find("A").target, Some(1));
        }
    }
}
