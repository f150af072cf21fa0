//! State per key (person, address, app): bounded, saved piece by piece, brought back exactly. Every detector keeps its state in one of these.
//! Not for what the state is, nor for what saving asks of it (`memory`).
//!
//! Eviction takes the entries of lowest rank first, then those of one day only, then those longest without activity, then by key: a total order that does not
//! depend on the map's own order, so that the same sequence of events always evicts the same keys. A flood of invented names can
//! only push out entries of its own rank.

use std::cell::Cell;

use ahash::RandomState;
use hashbrown::{HashTable, hash_table};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Now;
use crate::detector::{RestoreError, StateChange};
use crate::event::Millis;
use crate::fading::{self, Fading};
use crate::key::Key;
use crate::memory::Memory;
use crate::slab::Slab;
use crate::standing::{Ranked, Standings};

const DAY: Millis = 86_400_000;
/// Keys looked at in one go whether their time is over: more than can have come since the last.
const AT_ONCE: usize = 2_048;

/// State that can live in a [`Keyed`].
pub trait Resident: Serialize + DeserializeOwned + Default {
    /// How much it is worth keeping; lower goes first. A name that never did anything successful should rank 0.
    fn rank(&self) -> u8 {
        1
    }

    /// Nobody has touched it for as long as the map's keys last ([`Keyed::lasting`]): lets go of what no longer matters. Whether anything is left
    /// that does.
    fn outlast(&mut self) -> bool {
        false
    }
}

/// Not changed since it was saved.
const CLEAN: u32 = 0;

struct Entry<V> {
    key: Key,
    hash: u64,
    last: Millis,
    /// The round of saving in which it changed last; those of the round before wait to be saved as they are.
    changed: u32,
    /// Active on more than one day: an invented name seldom is.
    returned: bool,
    /// The generation it lies in, and the one in which it was touched last.
    lies: u16,
    touched: u16,
    value: V,
}

impl<V: Resident> Entry<V> {
    fn piece(&self) -> Vec<u8> {
        postcard::to_allocvec(&(self.last, self.returned, &self.value)).expect("state serialises into memory")
    }
}

impl<V: Resident> Ranked for Entry<V> {
    fn standing(&self) -> (u8, Millis) {
        (self.value.rank().min(100) * 2 + u8::from(self.returned), self.last)
    }
}

/// A bounded map of states.
pub struct Keyed<V> {
    owner: &'static str,
    capacity: usize,
    hasher: RandomState,
    index: HashTable<u32>,
    entries: Slab<Entry<V>>,
    /// Where the key asked for last lies: most are asked for several times in a row.
    latest: Cell<u32>,
    evicted: u64,
    round: u32,
    /// What changed in this round, and what waits since the last [`Memory::mark`].
    changed: Vec<u32>,
    waiting: Vec<u32>,
    /// Keys dropped in this round, with their hashes, and those to be told of.
    gone: HashTable<(u64, Key)>,
    waiting_gone: Option<hash_table::IntoIter<(u64, Key)>>,
    /// Who would go first, once anybody has gone.
    standings: Standings,
    /// Pieces that changed again or went while they waited, as they were.
    kept: Vec<(Box<str>, Vec<u8>)>,
    fading: Option<Fading>,
}

impl<V: Resident> Keyed<V> {
    /// Room for `capacity` keys; when an eighth more have come, the least worth keeping go.
    pub fn new(owner: &'static str, capacity: usize) -> Keyed<V> {
        Keyed {
            owner,
            capacity: capacity.max(8),
            hasher: RandomState::new(),
            index: HashTable::new(),
            entries: Slab::default(),
            latest: Cell::new(u32::MAX),
            evicted: 0,
            round: CLEAN + 1,
            changed: Vec::new(),
            waiting: Vec::new(),
            gone: HashTable::new(),
            waiting_gone: None,
            standings: Standings::default(),
            kept: Vec::new(),
            fading: None,
        }
    }

    /// The same, whose keys matter for so long after they were touched, and as much longer as events may be late.
    #[must_use]
    pub fn lasting(self, lasting: Millis) -> Keyed<V> {
        Keyed { fading: Some(Fading::new(lasting)), ..self }
    }

    fn find(&self, key: &str) -> Option<u32> {
        let latest = self.latest.get();
        if self.entries.get(latest).is_some_and(|entry| entry.key.is(key)) {
            return Some(latest);
        }
        let hash = self.hasher.hash_one(key);
        let found = self.index.find(hash, |at| self.entries.get(*at).is_some_and(|entry| entry.key.is(key)));
        let found = found.copied()?;
        self.latest.set(found);
        Some(found)
    }

    fn insert(&mut self, key: &str, last: Millis, returned: bool, value: V) -> u32 {
        let hash = self.hasher.hash_one(key);
        if let Ok(came_again) = self.gone.find_entry(hash, |gone| gone.1.is(key)) {
            came_again.remove();
        }
        let entry = Entry {
            key: key.into(),
            hash,
            last,
            changed: CLEAN,
            returned,
            lies: fading::NONE,
            touched: fading::NONE,
            value,
        };
        let at = self.entries.insert(entry);
        let entries = &self.entries;
        self.index.insert_unique(hash, at, |at| entries.get(*at).map_or(0, |entry| entry.hash));
        self.latest.set(at);
        self.standings.changed(at);
        at
    }

    /// The state of a key, made if it is new, marked as changed and active at `time`.
    pub fn touch(&mut self, key: &str, time: Millis) -> &mut V {
        let at = match self.find(key) {
            Some(at) => at,
            None => {
                if self.index.len() >= self.capacity + self.capacity / 8 {
                    self.evict();
                }
                self.insert(key, Millis::MIN, false, V::default())
            }
        };
        self.change(at);
        let entry = self.entries.get_mut(at).expect("found or inserted above");
        if let Some(fading) = &mut self.fading {
            entry.touched = fading.newest();
            if entry.lies == fading::NONE {
                entry.lies = fading.put(entry.touched, at);
            }
        }
        entry.returned |=
            entry.last != Millis::MIN && time > entry.last && time.div_euclid(DAY) != entry.last.div_euclid(DAY);
        entry.last = entry.last.max(time);
        &mut entry.value
    }

    /// Marks an entry as changed; where it waits to be saved, it is kept as it was.
    fn change(&mut self, at: u32) {
        let Some(entry) = self.entries.get_mut(at) else { return };
        if entry.changed != self.round {
            if entry.changed != CLEAN {
                self.kept.push((entry.key.clone().into_boxed(), entry.piece()));
            }
            entry.changed = self.round;
            self.changed.push(at);
        }
        self.standings.changed(at);
    }

    /// The state of a key, if there is any.
    pub fn get(&self, key: &str) -> Option<&V> {
        self.entries.get(self.find(key)?).map(|entry| &entry.value)
    }

    /// Drops a key.
    pub fn remove(&mut self, key: &str) {
        if let Some(at) = self.find(key) {
            self.drop_at(at);
        }
    }

    fn drop_at(&mut self, at: u32) {
        let Some(entry) = self.entries.remove(at) else { return };
        if let Ok(found) = self.index.find_entry(entry.hash, |other| *other == at) {
            found.remove();
        }
        if entry.changed != CLEAN && entry.changed != self.round {
            self.kept.push((entry.key.clone().into_boxed(), entry.piece()));
        }
        self.standings.left(at);
        self.gone.insert_unique(entry.hash, (entry.hash, entry.key), |gone| gone.0);
    }

    /// All keys, in their order.
    pub fn keys(&self) -> Vec<Box<str>> {
        let mut keys: Vec<Box<str>> = self.entries.iter().map(|(_, entry)| entry.key.as_str().into()).collect();
        keys.sort_unstable();
        keys
    }

    /// How many keys are held.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// How many were evicted since the start.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn evict(&mut self) {
        let surplus = self.len().saturating_sub(self.capacity);
        let entries = &self.entries;
        let key = |at: u32| entries.get(at).map_or("", |entry| entry.key.as_str());
        for at in self.standings.first(surplus, entries, key) {
            self.drop_at(at);
            self.evicted += 1;
        }
    }

    /// The pieces changed since the last call, by key.
    pub fn changes(&mut self) -> Vec<StateChange> {
        crate::memory::all(vec![crate::memory::Shelf::of(self)])
    }

    /// Takes back one piece.
    pub fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        let (last, returned, value) = postcard::from_bytes(value)
            .map_err(|_| RestoreError { owner: self.owner.to_owned(), key: key.to_owned() })?;
        if let Some(at) = self.find(key) {
            self.drop_at(at);
        }
        let at = self.insert(key, last, returned, value);
        if let (Some(fading), Some(entry)) = (&mut self.fading, self.entries.get_mut(at)) {
            entry.touched = fading.newest();
            entry.lies = fading.put(entry.touched, at);
        }
        Ok(())
    }

    /// Looks at one key whose time may be over; whether there was any.
    fn fade_one(&mut self) -> bool {
        let Some(fading) = &mut self.fading else { return false };
        let Some((generation, at)) = fading.due() else { return false };
        // Where the key has gone since, another may lie in its place.
        let Some(entry) = self.entries.get_mut(at).filter(|entry| entry.lies == generation) else { return true };
        if entry.touched != generation {
            entry.lies = fading.put(entry.touched, at);
            return true;
        }
        entry.lies = fading::NONE;
        self.change(at);
        if self.entries.get_mut(at).is_some_and(|entry| !entry.value.outlast()) {
            self.drop_at(at);
        }
        true
    }
}

impl<V: Resident> Memory for Keyed<V> {
    fn owner(&self) -> &'static str {
        self.owner
    }

    fn len(&self) -> usize {
        self.index.len()
    }

    fn mark(&mut self) {
        self.waiting = std::mem::take(&mut self.changed);
        self.waiting_gone = Some(std::mem::take(&mut self.gone).into_iter());
        self.round = self.round.wrapping_add(1).max(CLEAN + 1);
    }

    fn fade(&mut self, now: Now) {
        if let Some(fading) = &mut self.fading {
            fading.turn(now);
        }
        for _ in 0..AT_ONCE {
            if !self.fade_one() {
                return;
            }
        }
    }

    fn take(&mut self, give: &mut dyn FnMut(&str, Option<Vec<u8>>)) -> bool {
        if let Some((_, key)) = self.waiting_gone.as_mut().and_then(Iterator::next) {
            give(key.as_str(), None);
            return true;
        }
        self.waiting_gone = None;
        // Several may have gone, or been kept before they changed again.
        while self.kept.is_empty()
            && let Some(at) = self.waiting.pop()
        {
            self.keep(at);
        }
        match self.kept.pop() {
            Some((key, value)) => {
                give(&key, Some(value));
                true
            }
            None => false,
        }
    }
}

impl<V: Resident> Keyed<V> {
    /// Keeps a piece that waits, as it is.
    fn keep(&mut self, at: u32) {
        let round = self.round;
        let waits = |entry: &&mut Entry<V>| entry.changed != CLEAN && entry.changed != round;
        if let Some(entry) = self.entries.get_mut(at).filter(waits) {
            entry.changed = CLEAN;
            self.kept.push((entry.key.clone().into_boxed(), entry.piece()));
        }
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

    #[test]
    fn what_nobody_touches_for_its_time_goes_and_what_is_touched_stays() {
        const HOUR: Millis = 3_600_000;
        let mut map: Keyed<Seen> = Keyed::new("test", 100).lasting(2 * HOUR);
        let mut told = Vec::new();
        for hour in 0..12 {
            // Late or forged stamps make no difference: a key lasts from its touch on.
            map.touch("busy", if hour % 2 == 0 { DAY } else { -DAY });
            if hour < 2 {
                map.touch("idle", 90 * DAY);
            }
            map.fade(Now { time: hour * HOUR, lateness: HOUR });
            told.push(map.get("idle").is_some());
            if hour == 2 {
                map.changes();
            }
        }
        assert!(map.get("busy").is_some());
        assert!(told[..5].iter().all(|there| *there) && !told[8], "{told:?}");
        let changes = map.changes();
        assert!(changes.iter().any(|change| change.key == "idle" && change.value.is_none()), "{changes:?}");
        // A silence that is over takes nothing that was touched just before it was noticed.
        map.touch("late", 0);
        map.fade(Now { time: 1_000 * HOUR, lateness: HOUR });
        assert!(map.get("late").is_some());
    }
}
