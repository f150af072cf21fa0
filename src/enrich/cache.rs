//! What was worked out lately and would come out the same again. Bounded; never saved, for nothing depends on it but speed.

use std::borrow::Borrow;
use std::hash::Hash;

use ahash::AHashMap;

/// Two generations: when the young one is full it becomes the old one, and what is asked for there moves up again. A look-up costs one
/// or two hashes, forgetting costs nothing per entry.
pub struct Cache<K, V> {
    capacity: usize,
    young: AHashMap<K, V>,
    old: AHashMap<K, V>,
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    /// Room for `capacity` entries.
    pub fn new(capacity: usize) -> Cache<K, V> {
        Cache { capacity: (capacity / 2).max(1), young: AHashMap::new(), old: AHashMap::new() }
    }

    /// What is known.
    pub fn get<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.insert(key, value.clone());
        Some(value)
    }

    /// Remembers one.
    pub fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_what_is_asked_for() {
        let mut cache = Cache::new(100);
        cache.insert(0, "kept");
        for number in 1..10_000 {
            cache.insert(number, "passing");
            assert_eq!(cache.get(&0), Some("kept"), "after {number}");
        }
        assert!(cache.young.len() + cache.old.len() <= 100);
        assert_eq!(cache.get(&1), None);
    }
}
