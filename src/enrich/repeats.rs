//! Deliveries seen before: a source that hands the same record on twice (later files that repeat an interval, webhooks tried again) makes
//! a copy, marked `crm.duplicate`. Remembered per source, bounded, saved in pieces. Not for one action seen by two sources (`twins`).

use std::collections::BTreeMap;

use ahash::{AHashMap, AHashSet};
use crmwatch_detectors::Event;
use crmwatch_detectors::detector::RestoreError;
use crmwatch_detectors::memory::Memory;

/// Whose state this is.
pub const OWNER: &str = "enrich.deliveries";

/// How much is remembered.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Deliveries of one source.
    source: usize,
    /// Deliveries of all sources.
    all: usize,
    /// Deliveries of one piece: what is written again when one more has come.
    piece: usize,
}

const LIMITS: Limits = Limits { source: 200_000, all: 1_000_000, piece: 512 };

#[derive(Default)]
struct Source {
    seen: AHashSet<u64>,
    /// By number, which counts pieces of all sources in the order they were begun.
    pieces: BTreeMap<u64, Vec<u64>>,
}

/// The deliveries of every source.
pub struct Repeats {
    limits: Limits,
    sources: AHashMap<Box<str>, Source>,
    /// The source of each piece, oldest first.
    order: BTreeMap<u64, Box<str>>,
    next: u64,
    held: usize,
    changed: BTreeMap<u64, Box<str>>,
    /// Pieces on their way to the disk.
    waiting: Vec<(String, Option<Vec<u8>>)>,
}

impl Repeats {
    /// With nothing seen.
    pub fn new() -> Repeats {
        Repeats::with(LIMITS)
    }

    fn with(limits: Limits) -> Repeats {
        Repeats {
            limits,
            sources: AHashMap::new(),
            order: BTreeMap::new(),
            next: 0,
            held: 0,
            changed: BTreeMap::new(),
            waiting: Vec::new(),
        }
    }

    /// Whether the event is a copy; if not, it is remembered.
    pub fn is_copy(&mut self, event: &Event) -> bool {
        let Some(delivery) = event.delivery else { return false };
        let name = &event.origin.source;
        if !self.sources.contains_key(name) {
            self.sources.insert(name.clone(), Source::default());
        }
        let source = self.sources.get_mut(name).expect("inserted above");
        if !source.seen.insert(delivery) {
            return true;
        }
        let open = source.pieces.last_entry().filter(|piece| piece.get().len() < self.limits.piece);
        let number = match open {
            Some(mut piece) => {
                piece.get_mut().push(delivery);
                *piece.key()
            }
            None => {
                let number = self.next;
                self.next += 1;
                source.pieces.insert(number, vec![delivery]);
                self.order.insert(number, name.clone());
                number
            }
        };
        self.held += 1;
        self.changed.entry(number).or_insert_with(|| name.clone());
        if source.seen.len() > self.limits.source
            && let Some(oldest) = source.pieces.keys().next().copied()
        {
            self.forget(oldest);
        }
        while self.held > self.limits.all
            && let Some(oldest) = self.order.keys().next().copied()
        {
            self.forget(oldest);
        }
        false
    }

    fn forget(&mut self, number: u64) {
        let Some(name) = self.order.remove(&number) else { return };
        let Some(source) = self.sources.get_mut(&name) else { return };
        for delivery in source.pieces.remove(&number).unwrap_or_default() {
            source.seen.remove(&delivery);
            self.held -= 1;
        }
        if source.pieces.is_empty() {
            self.sources.remove(&name);
        }
        self.changed.insert(number, name);
    }

    /// Takes back one piece.
    pub fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        let damaged = || RestoreError { owner: OWNER.to_owned(), key: key.to_owned() };
        let (number, name) = key.split_once(' ').ok_or_else(damaged)?;
        let number = u64::from_str_radix(number, 16).map_err(|_| damaged())?;
        let (deliveries, rest) = value.as_chunks::<8>();
        if !rest.is_empty() || deliveries.is_empty() || number == u64::MAX || self.order.contains_key(&number) {
            return Err(damaged());
        }
        let deliveries: Vec<u64> = deliveries.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        let source = self.sources.entry(name.into()).or_default();
        source.seen.extend(&deliveries);
        self.held += deliveries.len();
        source.pieces.insert(number, deliveries);
        self.order.insert(number, name.into());
        // The newest piece of all is never the one that is forgotten, so the count goes on where it was.
        self.next = self.next.max(number + 1);
        Ok(())
    }
}

impl Memory for Repeats {
    fn owner(&self) -> &'static str {
        OWNER
    }

    fn len(&self) -> usize {
        self.order.len()
    }

    /// All together is a few megabytes: it is copied at once.
    fn mark(&mut self) {
        let piece = |(number, name): (u64, Box<str>)| {
            let piece = self.sources.get(&name).and_then(|source| source.pieces.get(&number));
            let value = piece.map(|piece| piece.iter().flat_map(|delivery| delivery.to_le_bytes()).collect());
            (format!("{number:016x} {name}"), value)
        };
        self.waiting = std::mem::take(&mut self.changed).into_iter().map(piece).collect();
    }

    fn take(&mut self, give: &mut dyn FnMut(&str, Option<Vec<u8>>)) -> bool {
        let Some((key, value)) = self.waiting.pop() else { return false };
        give(&key, value);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crmwatch_detectors::Origin;

    use crmwatch_detectors::memory;

    use super::*;

    fn delivery(source: &str, number: u64) -> Event {
        let mut event = Event::new("");
        event.delivery = Some(number);
        event.origin = Arc::new(Origin { source: source.into(), ..Origin::default() });
        event
    }

    #[test]
    fn a_second_delivery_is_a_copy_and_another_source_s_is_not() {
        let mut repeats = Repeats::new();
        assert!(!repeats.is_copy(&delivery("one", 7)));
        assert!(repeats.is_copy(&delivery("one", 7)));
        assert!(!repeats.is_copy(&delivery("two", 7)));
        assert!(
            !repeats.is_copy(&Event::new("")) && !repeats.is_copy(&Event::new("")),
            "without a key nothing is a copy"
        );
    }

    #[test]
    fn memory_is_bounded_by_source_and_in_all_and_the_oldest_go_first() {
        let mut repeats = Repeats::with(Limits { source: 100, all: 250, piece: 10 });
        for number in 0..10_000 {
            repeats.is_copy(&delivery("loud", number));
            if number % 50 == 0 {
                repeats.is_copy(&delivery(&format!("quiet{}", number % 700), number));
            }
            assert!(repeats.held <= 250);
            assert!(repeats.sources.values().all(|source| source.seen.len() <= 100));
        }
        assert!(repeats.is_copy(&delivery("loud", 9_999)));
        assert!(!repeats.is_copy(&delivery("loud", 1)));
    }

    #[test]
    fn it_goes_on_after_a_restart_as_if_there_had_been_none() {
        let limits = Limits { source: 40, all: 60, piece: 8 };
        for cut in [1, 7, 8, 9, 39, 63, 100, 150] {
            let (mut whole, mut first) = (Repeats::with(limits), Repeats::with(limits));
            let mut saved = BTreeMap::new();
            let inputs: Vec<Event> =
                (0..200u64).map(|number| delivery(["a", "b"][number as usize % 3 / 2], number * 7 % 83)).collect();
            let mut expected: Vec<bool> = inputs.iter().map(|event| whole.is_copy(event)).collect();
            for (position, event) in inputs[..cut].iter().enumerate() {
                first.is_copy(event);
                if position % 5 == 0 || position + 1 == cut {
                    for change in memory::all(vec![memory::Shelf::of(&mut first)]) {
                        match change.value {
                            Some(value) => saved.insert(change.key, value),
                            None => saved.remove(&change.key),
                        };
                    }
                }
            }
            let mut second = Repeats::with(limits);
            for (key, value) in &saved {
                second.restore(key, value).expect("readable");
            }
            let after: Vec<bool> = inputs[cut..].iter().map(|event| second.is_copy(event)).collect();
            assert_eq!(after, expected.split_off(cut), "cut at {cut}");
        }
    }

    #[test]
    fn damaged_pieces_are_refused() {
        let mut repeats = Repeats::new();
        for (key, value) in [("", &[0u8; 8][..]), ("zz one", &[0; 8]), ("00 one", &[0; 7]), ("00 one", &[])] {
            assert!(repeats.restore(key, value).is_err(), "{key:?}");
        }
    }
}
