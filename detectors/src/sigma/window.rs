//! Windows by event time: what came late gets its place, and no event's cost grows with what the window holds.
//! Not for what a count means; that is `correlation`.
//!
//! Nothing is let go because time has passed, only because there is no more room: then the end that lies farther from the new
//! event goes. So one stamp far in the future takes one place and blinds nothing.

use std::collections::VecDeque;

use ahash::AHashMap;
use serde::{Deserialize, Serialize};

use crate::event::Millis;

/// What was found around an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// The count, sum or average.
    pub amount: f64,
    /// The first event in it.
    pub from: Millis,
    /// The last.
    pub to: Millis,
    /// When the condition was first met in it.
    pub met: Millis,
}

/// Takes one end away when there is no more room: the one farther from `time`; from an equal distance the older.
pub fn trim<T>(entries: &mut VecDeque<T>, room: usize, time: Millis, time_of: impl Fn(&T) -> Millis) -> Option<T> {
    if entries.len() <= room {
        return None;
    }
    let distance = |entry: Option<&T>| entry.map_or(0, |entry| time.abs_diff(time_of(entry)));
    if distance(entries.back()) > distance(entries.front()) { entries.pop_back() } else { entries.pop_front() }
}

/// The times of events, in order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Times(VecDeque<Millis>);

impl Times {
    /// Puts an event in its place; its index is not kept, as later ones may move it.
    pub fn insert(&mut self, time: Millis, room: usize) {
        let place = self.0.partition_point(|other| *other <= time);
        self.0.insert(place, time);
        trim(&mut self.0, room, time, |time| *time);
    }

    /// The window of that length with the most events among those that hold `time`, which was inserted.
    /// `need` is the count that is enough.
    pub fn fullest(&self, time: Millis, span: Millis, need: usize) -> Option<Found> {
        let first = self.0.partition_point(|other| *other < time.saturating_sub(span));
        let beyond = self.0.partition_point(|other| *other <= time.saturating_add(span));
        let after = self.0.partition_point(|other| *other <= time);
        let mut best = (after - first, first);
        // Only a late event has others behind it within the window; then the windows that begin before it are tried.
        let mut end = after;
        if beyond > after {
            for start in first..after {
                while end < beyond && self.0[end] <= self.0[start].saturating_add(span) {
                    end += 1;
                }
                if end - start > best.0 {
                    best = (end - start, start);
                }
            }
        }
        let (count, start) = best;
        if count == 0 {
            return None;
        }
        let met = self.0[start + need.clamp(1, count) - 1].max(time);
        Some(Found { amount: count as f64, from: self.0[start], to: self.0[start + count - 1], met })
    }

    /// The window of that length that ends with `time`.
    pub fn ending(&self, time: Millis, span: Millis) -> Option<Found> {
        let first = self.0.partition_point(|other| *other < time.saturating_sub(span));
        let after = self.0.partition_point(|other| *other <= time);
        let from = *self.0.get(first)?;
        (after > first).then(|| Found { amount: (after - first) as f64, from, to: time, met: time })
    }

    /// The latest not after `time`.
    pub fn before(&self, time: Millis) -> Option<Millis> {
        let after = self.0.partition_point(|other| *other <= time);
        after.checked_sub(1).map(|index| self.0[index])
    }

    /// The earliest not before `time`.
    pub fn after(&self, time: Millis) -> Option<Millis> {
        self.0.get(self.0.partition_point(|other| *other < time)).copied()
    }

    /// Those from `from` to `to`.
    pub fn between(&self, from: Millis, to: Millis) -> impl Iterator<Item = Millis> {
        let first = self.0.partition_point(|other| *other < from);
        self.0.iter().skip(first).take_while(move |time| **time <= to).copied()
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Different values, each with the times it was seen. Two sightings of one value within the window's length are kept as the
/// later one, so that the number of entries within a window is the number of different values.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "VecDeque<(Millis, u64)>", into = "VecDeque<(Millis, u64)>")]
pub struct Distinct {
    seen: VecDeque<(Millis, u64)>,
    times: AHashMap<u64, Vec<Millis>>,
}

impl From<VecDeque<(Millis, u64)>> for Distinct {
    fn from(seen: VecDeque<(Millis, u64)>) -> Distinct {
        let mut times: AHashMap<u64, Vec<Millis>> = AHashMap::new();
        for (time, value) in &seen {
            times.entry(*value).or_default().push(*time);
        }
        Distinct { seen, times }
    }
}

impl From<Distinct> for VecDeque<(Millis, u64)> {
    fn from(distinct: Distinct) -> Self {
        distinct.seen
    }
}

impl Distinct {
    /// How many sightings are held.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Puts a sighting in its place.
    pub fn insert(&mut self, time: Millis, value: u64, span: Millis, room: usize) {
        let times = self.times.entry(value).or_default();
        if times.iter().any(|other| *other >= time && *other <= time.saturating_add(span)) {
            return;
        }
        let replaced = times.iter().position(|other| *other < time && *other >= time.saturating_sub(span));
        if let Some(index) = replaced {
            let old = times.remove(index);
            let place = self.seen.partition_point(|entry| *entry < (old, value));
            self.seen.remove(place);
        }
        let place = times.partition_point(|other| *other <= time);
        times.insert(place, time);
        let place = self.seen.partition_point(|entry| *entry <= (time, value));
        self.seen.insert(place, (time, value));
        if let Some((gone, value)) = trim(&mut self.seen, room, time, |entry| entry.0)
            && let Some(times) = self.times.get_mut(&value)
        {
            times.retain(|time| *time != gone);
            if times.is_empty() {
                self.times.remove(&value);
            }
        }
    }

    /// The window with the most different values among those that hold `time`. What a value's later sighting has moved out
    /// of an earlier window is not seen there any more: the answer is exact for events in order, and never too large.
    pub fn fullest(&self, time: Millis, span: Millis, need: usize) -> Option<Found> {
        let first = self.seen.partition_point(|entry| entry.0 < time.saturating_sub(span));
        let beyond = self.seen.partition_point(|entry| entry.0 <= time.saturating_add(span));
        let after = self.seen.partition_point(|entry| entry.0 <= time);
        let mut best = (after - first, first);
        let mut end = after;
        if beyond > after {
            for start in first..=after.min(beyond - 1) {
                let last = self.seen[start].0.min(time).saturating_add(span);
                while end < beyond && self.seen[end].0 <= last {
                    end += 1;
                }
                if end - start > best.0 {
                    best = (end - start, start);
                }
            }
        }
        let (count, start) = best;
        if count == 0 {
            return None;
        }
        let met = self.seen[start + need.clamp(1, count) - 1].0.max(time);
        Some(Found { amount: count as f64, from: self.seen[start].0, to: self.seen[start + count - 1].0, met })
    }

    /// The window that ends with `time`.
    pub fn ending(&self, time: Millis, span: Millis) -> Option<Found> {
        let first = self.seen.partition_point(|entry| entry.0 < time.saturating_sub(span));
        let after = self.seen.partition_point(|entry| entry.0 <= time);
        let from = self.seen.get(first)?.0;
        (after > first).then(|| Found { amount: (after - first) as f64, from, to: time, met: time })
    }
}

/// Amounts with their times, for sums, averages and percentiles.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Amounts(VecDeque<(Millis, f64, u32)>);

/// After a late amount so many windows that end behind it are looked at.
const WINDOWS: usize = 64;

impl Amounts {
    /// Puts an amount in its place. When there is no more room the two oldest neighbours become one, so that a sum never loses a part.
    pub fn add(&mut self, time: Millis, amount: f64, room: usize) {
        let place = self.0.partition_point(|entry| entry.0 <= time);
        self.0.insert(place, (time, amount, 1));
        if self.0.len() > room
            && let Some((_, amount, count)) = self.0.pop_front()
            && let Some(next) = self.0.front_mut()
        {
            next.1 += amount;
            next.2 += count;
        }
    }

    /// Puts an amount in its place; without room the one farthest from it goes, since amounts put together are in no percentile.
    pub fn keep(&mut self, time: Millis, amount: f64, room: usize) {
        let place = self.0.partition_point(|entry| entry.0 <= time);
        self.0.insert(place, (time, amount, 1));
        trim(&mut self.0, room, time, |entry| entry.0);
    }

    /// The first window that holds `time` and whose figure is as wished: the one that ends with it, then, where it came late, those
    /// that end with what is there already.
    pub fn first(
        &self,
        time: Millis,
        span: Millis,
        figure: impl Fn(&mut dyn Iterator<Item = (f64, u32)>) -> Option<f64>,
        wished: impl Fn(f64) -> bool,
    ) -> Option<Found> {
        let beyond = self.0.partition_point(|entry| entry.0 <= time.saturating_add(span));
        let after = self.0.partition_point(|entry| entry.0 <= time);
        for end in (after..=beyond).take(WINDOWS) {
            let Some(last) = end.checked_sub(1).map(|last| self.0[last].0) else { continue };
            let start = self.0.partition_point(|entry| entry.0 < last.saturating_sub(span));
            let mut held = self.0.range(start..end).map(|entry| (entry.1, entry.2));
            if let Some(amount) = figure(&mut held).filter(|amount| wished(*amount)) {
                return Some(Found { amount, from: self.0[start].0, to: last, met: last });
            }
        }
        None
    }
}

/// The sum of amounts.
pub fn sum(held: &mut dyn Iterator<Item = (f64, u32)>) -> Option<f64> {
    Some(held.map(|(amount, _)| amount).sum())
}

/// Their mean.
pub fn mean(held: &mut dyn Iterator<Item = (f64, u32)>) -> Option<f64> {
    let (sum, count) = held.fold((0.0, 0.0), |all, (amount, count)| (all.0 + amount, all.1 + f64::from(count)));
    (count > 0.0).then(|| sum / count)
}

/// The value below which `percent` of them lie, between two of them in proportion (Hyndman and Fan's seventh definition).
pub fn percentile(held: &mut dyn Iterator<Item = (f64, u32)>, percent: f64) -> Option<f64> {
    let mut all: Vec<f64> = held.map(|(amount, _)| amount).collect();
    let place = percent.clamp(0.0, 100.0) / 100.0 * all.len().checked_sub(1)? as f64;
    let low = place.floor() as usize;
    let (_, &mut lower, above) = all.select_nth_unstable_by(low, f64::total_cmp);
    let upper = above.iter().copied().min_by(f64::total_cmp).unwrap_or(lower);
    Some(lower + (upper - lower) * place.fract())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stamp_far_in_the_future_blinds_nothing() {
        let mut times = Times::default();
        let mut distinct = Distinct::default();
        for second in 0..100 {
            times.insert(second, 10);
            distinct.insert(second, second as u64, 50, 10);
            if second == 95 {
                times.insert(1 << 60, 10);
                distinct.insert(1 << 60, 7, 50, 10);
            }
        }
        assert_eq!(times.fullest(99, 4, 5).expect("some").amount, 5.0);
        assert_eq!(distinct.fullest(99, 4, 5).expect("some").amount, 5.0);
    }

    #[test]
    fn room_is_never_exceeded() {
        let mut distinct = Distinct::default();
        for second in 0..10_000 {
            distinct.insert(second, second as u64, 1_000_000, 64);
        }
        assert_eq!(distinct.seen.len(), 64);
        assert_eq!(distinct.times.len(), 64);
    }

    #[test]
    fn a_sum_keeps_its_parts_when_room_runs_out() {
        let mut amounts = Amounts::default();
        for second in 0..100 {
            amounts.add(second, 2.0, 8);
        }
        assert_eq!(amounts.first(99, 1_000, sum, |_| true).expect("some").amount, 200.0);
    }

    #[test]
    fn percentiles_lie_between_their_neighbours_in_proportion() {
        let of = |percent| percentile(&mut [4.0, 1.0, 3.0, 2.0].into_iter().map(|one| (one, 1)), percent);
        assert_eq!([0.0, 50.0, 75.0, 100.0].map(of), [Some(1.0), Some(2.5), Some(3.25), Some(4.0)]);
        assert_eq!(percentile(&mut std::iter::empty(), 50.0), None);
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_change_the_fullest_window(mut times in proptest::collection::vec(0i64..200, 1..40), span in 1i64..50) {
            let arrival = times.clone();
            let most = |times: &[Millis]| {
                let mut window = Times::default();
                times.iter().map(|time| { window.insert(*time, 100); window.fullest(*time, span, 3).expect("just inserted").amount as usize }).max()
            };
            let late = most(&arrival);
            times.sort_unstable();
            prop_assert_eq!(late, most(&times));
            let plain = times.iter().map(|end| times.iter().filter(|time| **time <= *end && **time >= end - span).count()).max();
            prop_assert_eq!(late, plain);
        }

        #[test]
        fn the_order_of_arrival_does_not_hide_a_sum(mut arrival in proptest::collection::vec((0i64..200, 1u8..9), 1..30), span in 1i64..50, bound in 5u8..40) {
            let met = |events: &[(i64, u8)]| {
                let mut window = Amounts::default();
                events.iter().any(|(time, amount)| {
                    window.add(*time, f64::from(*amount), 100);
                    window.first(*time, span, sum, |sum| sum >= f64::from(bound)).is_some()
                })
            };
            let late = met(&arrival);
            arrival.sort_unstable();
            prop_assert_eq!(late, met(&arrival));
        }

        #[test]
        fn in_order_the_number_of_values_is_exact(mut events in proptest::collection::vec((0i64..200, 0u64..8), 1..60), span in 1i64..50) {
            events.sort_unstable();
            let mut window = Distinct::default();
            for (index, (time, value)) in events.iter().enumerate() {
                window.insert(*time, *value, span, 100);
                let plain: std::collections::BTreeSet<u64> =
                    events[..=index].iter().filter(|one| one.0 >= time - span).map(|one| one.1).collect();
                prop_assert_eq!(window.fullest(*time, span, 1).expect("just inserted").amount as usize, plain.len());
            }
        }
    }
}
