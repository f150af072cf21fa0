//! State per key (person, address, app): bounded, saved piece by piece, brought back exactly. Every detector keeps its state in one of these.
//! Not for what the state is.
//!
//! Eviction takes the entries of lowest rank first, then those of one day only, then those longest without activity, then by key: a total order that does not
//! depend on the map's own order, so that the same sequence of events always evicts the same keys. A flood of invented names can
//! only push out entries of its own rank.

use ahash::{AHashMap, AHashSet};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::detector::{RestoreError, StateChange};
use crate::event::Millis;

const DAY: Millis = 86_400_000;

/// State that can live in a [`Keyed`].
pub trait Resident: Serialize + DeserializeOwned + Default {
    /// How much it is worth keeping; lower goes first. A name that never did anything successful should rank 0.
    fn rank(&self) -> u8 {
        1
    }
}

struct Entry<V> {
    last: Millis,
    /// Active on more than one day: an invented name seldom is.
    returned: bool,
    /// Since the pieces were last asked for. Kept here and not in a set beside: it is asked for at every event.
    changed: bool,
    value: V,
}

/// A bounded map of states.
pub struct Keyed<V> {
    owner: &'static str,
    capacity: usize,
    entries: AHashMap<Box<str>, Entry<V>>,
    /// Keys dropped since the pieces were last asked for.
    gone: AHashSet<Box<str>>,
    evicted: u64,
}

impl<V: Resident> Keyed<V> {
    /// Room for `capacity` keys; when an eighth more have come, the least worth keeping go.
    pub fn new(owner: &'static str, capacity: usize) -> Keyed<V> {
        Keyed { owner, capacity: capacity.max(8), entries: AHashMap::new(), gone: AHashSet::new(), evicted: 0 }
    }

    /// The state of a key, made if it is new, marked as changed and active at `time`.
    pub fn touch(&mut self, key: &str, time: Millis) -> &mut V {
        if !self.entries.contains_key(key) {
            if self.entries.len() >= self.capacity + self.capacity / 8 {
                self.evict();
            }
            self.gone.remove(key);
            let entry = Entry { last: Millis::MIN, returned: false, changed: true, value: V::default() };
            self.entries.insert(key.into(), entry);
        }
        let entry = self.entries.get_mut(key).expect("inserted above");
        entry.changed = true;
        entry.returned |=
            entry.last != Millis::MIN && time > entry.last && time.div_euclid(DAY) != entry.last.div_euclid(DAY);
        entry.last = entry.last.max(time);
        &mut entry.value
    }

    /// The state of a key, if there is any.
    pub fn get(&self, key: &str) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// Drops a key.
    pub fn remove(&mut self, key: &str) {
        if let Some((key, _)) = self.entries.remove_entry(key) {
            self.gone.insert(key);
        }
    }

    /// All keys, in their order.
    pub fn keys(&self) -> Vec<Box<str>> {
        let mut keys: Vec<Box<str>> = self.entries.keys().cloned().collect();
        keys.sort_unstable();
        keys
    }

    /// How many keys are held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many were evicted since the start.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn evict(&mut self) {
        let surplus = self.entries.len().saturating_sub(self.capacity);
        let mut order: Vec<(u8, bool, Millis, &str)> =
            self.entries.iter().map(|(key, entry)| (entry.value.rank(), entry.returned, entry.last, &**key)).collect();
        // Which go is decided by the whole order; the order among them shows nowhere.
        if surplus < order.len() {
            order.select_nth_unstable(surplus);
        }
        let going: Vec<Box<str>> = order.into_iter().take(surplus).map(|(.., key)| key.into()).collect();
        for key in going {
            self.entries.remove(&key);
            self.gone.insert(key);
            self.evicted += 1;
        }
    }

    /// The pieces changed since the last call, by key.
    pub fn changes(&mut self) -> Vec<StateChange> {
        let owner = self.owner;
        let piece = |key: &str, value| StateChange { owner: owner.to_owned(), key: key.to_owned(), value };
        let mut changes: Vec<StateChange> = self.gone.drain().map(|key| piece(&key, None)).collect();
        for (key, entry) in self.entries.iter_mut().filter(|(_, entry)| entry.changed) {
            entry.changed = false;
            let value = postcard::to_allocvec(&(entry.last, entry.returned, &entry.value))
                .expect("state serialises into memory");
            changes.push(piece(key, Some(value)));
        }
        changes.sort_unstable_by(|left, right| left.key.cmp(&right.key));
        changes
    }

    /// Takes back one piece.
    pub fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        let (last, returned, value) = postcard::from_bytes(value)
            .map_err(|_| RestoreError { owner: self.owner.to_owned(), key: key.to_owned() })?;
        self.entries.insert(key.into(), Entry { last, returned, changed: false, value });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Default, Serialize, Deserialize)]
    struct Seen(u8);

    impl Resident for Seen {
        fn rank(&self) -> u8 {
            self.0
        }
    }

    #[test]
    fn a_flood_of_invented_names_does_not_push_out_the_real_ones() {
        let mut map: Keyed<Seen> = Keyed::new("test", 100);
        for number in 0..50 {
            map.touch(&format!("real{number}"), 0).0 = 1;
        }
        for number in 0..10_000 {
            map.touch(&format!("invented{number}"), 1_000 + number);
        }
        assert!(map.len() <= 113);
        assert!((0..50).all(|number| map.get(&format!("real{number}")).is_some()));
    }

    #[test]
    fn whoever_was_there_on_two_days_outlasts_any_number_of_names_of_one() {
        let mut map: Keyed<Seen> = Keyed::new("test", 100);
        for number in 0..60 {
            map.touch(&format!("real{number}"), 1_000);
            map.touch(&format!("real{number}"), DAY + 1_000);
        }
        for number in 0..10_000 {
            map.touch(&format!("invented{number}"), 2 * DAY + number);
        }
        assert!((0..60).all(|number| map.get(&format!("real{number}")).is_some()));
        assert!(map.get("invented9999").is_some() && map.get("invented1").is_none());
    }

    #[test]
    fn only_what_changed_is_saved_and_it_comes_back() {
        let mut map: Keyed<Seen> = Keyed::new("test", 100);
        map.touch("b", 1).0 = 7;
        map.touch("a", 1);
        let changes = map.changes();
        assert_eq!(changes.iter().map(|change| change.key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(map.changes().is_empty());
        let mut back: Keyed<Seen> = Keyed::new("test", 100);
        for change in &changes {
            back.restore(&change.key, change.value.as_ref().expect("kept")).expect("readable");
        }
        assert_eq!(back.get("b").expect("restored").0, 7);
        map.remove("b");
        assert_eq!(map.changes()[0].value, None);
        assert!(back.restore("c", &[0xff; 3]).is_err());
    }
}
