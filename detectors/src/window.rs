//! Sums over sliding windows in event time, and the events they rest on. A late event goes where its time says. Buckets of five minutes
//! are held for two hours and of one hour for a week, and only those that hold something. Not for what is normal (`baseline`).

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::compact;
use crate::event::{Event, Millis};
use crate::mark::Mark;

/// Length of a fine bucket.
pub const BUCKET: Millis = 5 * 60_000;
const PER_HOUR: u32 = 12;
const FINE: u32 = 2 * PER_HOUR;
const KEPT: u32 = 7 * 24 * PER_HOUR + PER_HOUR;
/// Amounts are held in hundredths, so that sums do not depend on the order of their parts.
const UNIT: f64 = 100.0;

/// Number of the fine bucket of a time.
pub fn bucket_of(time: Millis) -> u32 {
    u32::try_from((time / BUCKET).max(0)).unwrap_or(u32::MAX)
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Bucket {
    start: u32,
    hour: bool,
    amount: u64,
    actions: u32,
    events: u32,
}

impl Bucket {
    fn end(&self) -> u32 {
        self.start.saturating_add(if self.hour { PER_HOUR } else { 1 })
    }
}

/// What a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Total {
    /// The sum.
    pub amount: f64,
    /// How many actions were counted.
    pub actions: u64,
    /// How many events contributed.
    pub events: u64,
}

/// Amounts and counts of the last week.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ring {
    buckets: Vec<Bucket>,
}

impl Ring {
    /// Adds an amount at a time. What is more than a week behind the newest is not kept.
    pub fn add(&mut self, time: Millis, amount: f64, actions: u32) {
        let amount = (amount.clamp(0.0, 1e12) * UNIT) as u64;
        let number = bucket_of(time);
        let newest = self.newest().unwrap_or(number).max(number);
        if number.saturating_add(KEPT) < newest {
            return;
        }
        let grows = self.newest().is_none_or(|past| number > past);
        let hour = number.saturating_add(FINE) < newest;
        let start = if hour { number - number % PER_HOUR } else { number };
        let position = self.buckets.partition_point(|bucket| bucket.start < start);
        match self.buckets.get_mut(position).filter(|bucket| bucket.start == start) {
            Some(bucket) => {
                bucket.amount += amount;
                bucket.actions = bucket.actions.saturating_add(actions);
                bucket.events = bucket.events.saturating_add(1);
            }
            None => self.buckets.insert(position, Bucket { start, hour, amount, actions, events: 1 }),
        }
        if grows {
            self.fold(newest);
        }
    }

    fn newest(&self) -> Option<u32> {
        self.buckets.last().map(|bucket| bucket.start)
    }

    fn fold(&mut self, newest: u32) {
        let fine_from = newest.saturating_sub(FINE);
        let from = newest.saturating_sub(KEPT);
        let stale = self.buckets.first().is_some_and(|bucket| bucket.start < from);
        // Whole hours only, so that an hour's bucket never overlaps a fine one.
        let hours_end = fine_from - fine_from % PER_HOUR;
        if !stale && !self.buckets.iter().any(|bucket| !bucket.hour && bucket.start < hours_end) {
            return;
        }
        let mut folded: Vec<Bucket> = Vec::with_capacity(self.buckets.len());
        for mut bucket in self.buckets.drain(..).filter(|bucket| bucket.start >= from) {
            if bucket.start < hours_end {
                bucket.start -= bucket.start % PER_HOUR;
                bucket.hour = true;
            }
            match folded.last_mut().filter(|last| last.start == bucket.start) {
                Some(last) => {
                    last.hour |= bucket.hour;
                    last.amount += bucket.amount;
                    last.actions = last.actions.saturating_add(bucket.actions);
                    last.events = last.events.saturating_add(bucket.events);
                }
                None => folded.push(bucket),
            }
        }
        self.buckets = folded;
    }

    /// The sum of the window of that length that ends at `end`, rounded out to whole buckets.
    pub fn sum(&self, end: Millis, length: Millis) -> Total {
        let (last, first) = (bucket_of(end), bucket_of(end.saturating_sub(length)));
        let mut total = Total::default();
        let mut amount = 0u64;
        for bucket in self.buckets.iter().rev() {
            if bucket.start > last {
                continue;
            }
            if bucket.end() <= first {
                break;
            }
            amount += bucket.amount;
            total.actions += u64::from(bucket.actions);
            total.events += u64::from(bucket.events);
        }
        total.amount = amount as f64 / UNIT;
        total
    }

    /// The end of the fullest judgement of an event at `time`: itself, or the newest time held if that is still within one `length`.
    /// A late event thereby counts with what came before it.
    pub fn end_for(&self, time: Millis, length: Millis) -> Millis {
        let newest = self.newest().map_or(time, |number| Millis::from(number) * BUCKET);
        if newest > time && newest <= time.saturating_add(length) { newest } else { time }
    }

    /// How many buckets are held.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

/// The latest events a window rests on, in event order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trail {
    steps: Vec<(Millis, Mark)>,
}

impl Trail {
    /// Adds an event; those more than `length` behind the newest go, and the oldest of more than `room`.
    pub fn add(&mut self, event: &Event, length: Millis, room: usize) {
        let position = self.steps.partition_point(|(time, mark)| (*time, mark.id) < (event.time, event.id));
        self.steps.insert(position, (event.time, Mark::of(event)));
        let from = self.steps.last().map_or(0, |last| last.0).saturating_sub(length);
        let stale = self.steps.partition_point(|step| step.0 < from);
        let surplus = self.steps.len().saturating_sub(room);
        self.steps.drain(..stale.max(surplus));
    }

    /// The events from `from` to `to`, oldest first.
    pub fn references(&self, from: Millis, to: Millis) -> Vec<Mark> {
        self.steps.iter().filter(|(time, _)| *time >= from && *time <= to).map(|(_, mark)| *mark).collect()
    }
}

impl Serialize for Trail {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        compact::in_order(&self.steps, |step| *step, out)
    }
}

impl<'de> Deserialize<'de> for Trail {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Trail, D::Error> {
        Ok(Trail { steps: compact::from_order(input, |time, mark: Mark| (time, mark))? })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::{EventId, Origin};

    const HOUR: Millis = 3_600_000;

    #[test]
    fn many_small_amounts_add_up_over_bucket_edges() {
        let mut ring = Ring::default();
        (0..60).for_each(|minute| ring.add(100 * HOUR + minute * 60_000, 10.0, 1));
        let end = 100 * HOUR + 59 * 60_000;
        assert_eq!(ring.sum(end, HOUR), Total { amount: 600.0, actions: 60, events: 60 });
        assert!(ring.sum(end, 10 * 60_000).amount <= 150.0);
        assert_eq!(ring.sum(end + 30 * HOUR, HOUR).amount, 0.0);
        assert_eq!(ring.sum(end + 20 * HOUR, 24 * HOUR).amount, 600.0);
    }

    #[test]
    fn the_order_of_arrival_does_not_change_the_sums() {
        let times: Vec<Millis> = (0..50).map(|step| 500 * HOUR + step * 97_000).collect();
        let (mut forward, mut backward) = (Ring::default(), Ring::default());
        times.iter().for_each(|time| forward.add(*time, 3.25, 1));
        times.iter().rev().for_each(|time| backward.add(*time, 3.25, 1));
        let end = times[49];
        for length in [600_000, HOUR, 24 * HOUR] {
            assert_eq!(forward.sum(end, length), backward.sum(end, length));
        }
        assert_eq!(backward.end_for(times[10], HOUR * 2), end - end % BUCKET);
    }

    #[test]
    fn a_busy_year_takes_no_more_room_than_a_busy_week() {
        let mut ring = Ring::default();
        (0..365 * 24 * 12).for_each(|step| ring.add(step * BUCKET, 1.0, 1));
        assert!(ring.len() < 210, "{}", ring.len());
        let end = (365 * 24 * 12 - 1) * BUCKET;
        assert!((ring.sum(end, 7 * 24 * HOUR).amount - 2016.0).abs() <= 13.0);
        ring.add(0, 1_000.0, 1);
        assert!(ring.sum(end, 7 * 24 * HOUR).amount < 2100.0, "what is a year late does not count");
    }

    #[test]
    fn evidence_is_bounded_ordered_and_only_of_the_window() {
        let mut trail = Trail::default();
        for number in 0..300u32 {
            let mut event = Event::new("");
            event.id = EventId(u128::from(number));
            event.time = Millis::from(number ^ 1) * 60_000;
            event.origin = Arc::new(Origin { path: format!("file{}", number % 3).into(), ..Origin::default() });
            trail.add(&event, 24 * HOUR, 100);
        }
        let references = trail.references(250 * 60_000, 260 * 60_000);
        assert_eq!(references.len(), 11);
        assert_eq!(references[0].id, EventId(251));
        assert_eq!(trail.references(0, Millis::MAX).len(), 100);
        assert_eq!(references[0], trail.references(251 * 60_000 - 60_000, 251 * 60_000)[0]);
        let saved = postcard::to_allocvec(&trail).expect("memory");
        assert!(saved.len() < 100 * 32, "{} bytes", saved.len());
        assert_eq!(postcard::from_bytes::<Trail>(&saved).expect("readable"), trail);
    }
}
