//! How many different things there were, in little room: the k smallest hashes (Bar-Yossef and others, 2002). Exact up to k, then within about
//! one in the square root of k; the order of arrival does not matter, and two can be joined. Not for windows (`sigma::window`).

use serde::{Deserialize, Serialize};

use crate::baseline::stable_hash;

/// Hashes kept: exact up to so many, 9 per cent beyond.
const K: usize = 128;

/// A set whose size is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Different(Vec<u32>);

/// FNV's low bits are good, its order is not: neighbours of a counter must not lie side by side.
fn spread(hash: u32) -> u32 {
    let mut x = hash;
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

impl Different {
    /// Adds a thing; whether that changed anything.
    pub fn add(&mut self, thing: &str) -> bool {
        self.add_hash(stable_hash(thing))
    }

    /// Adds a thing by its hash.
    pub fn add_hash(&mut self, hash: u32) -> bool {
        let hash = spread(hash);
        if self.0.len() >= K && self.0.last().is_some_and(|last| hash >= *last) {
            return false;
        }
        match self.0.binary_search(&hash) {
            Ok(_) => false,
            Err(place) => {
                self.0.insert(place, hash);
                self.0.truncate(K);
                true
            }
        }
    }

    /// Adds everything another has.
    pub fn join(&mut self, other: &Different) {
        self.0.extend_from_slice(&other.0);
        self.0.sort_unstable();
        self.0.dedup();
        self.0.truncate(K);
    }

    /// How many different things there were.
    pub fn count(&self) -> f64 {
        match self.0.last() {
            Some(last) if self.0.len() >= K => (K - 1) as f64 * (f64::from(u32::MAX) + 1.0) / (f64::from(*last) + 1.0),
            _ => self.0.len() as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: std::ops::Range<u32>) -> Different {
        let mut set = Different::default();
        range.for_each(|number| {
            set.add(&number.to_string());
        });
        set
    }

    #[test]
    fn small_sets_are_counted_exactly_and_large_ones_within_a_fifth() {
        assert_eq!(of(0..100).count(), 100.0);
        for size in [500, 5_000, 50_000] {
            let counted = of(0..size).count() / f64::from(size);
            assert!((0.8..1.2).contains(&counted), "{size}: {counted}");
        }
    }

    #[test]
    fn the_same_again_and_in_another_order_counts_once_and_joining_is_adding() {
        let mut set = of(0..1_000);
        let before = set.clone();
        (0..1_000).rev().for_each(|number| assert!(!set.add(&number.to_string())));
        assert_eq!(set, before);
        let mut joined = of(0..600);
        joined.join(&of(400..1_000));
        assert_eq!(joined, before);
    }
}
