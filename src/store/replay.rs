//! All events of a stretch of time in canonical order (event time, then source, file, offset), for rules to be tried on. Memory
//! stays bounded: the times of one day are counted first, then read slice by slice. Not for searches people type.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crmwatch_detectors::{Event, Millis};
use tantivy::DocId;

use super::compile::Compiler;
use super::search::{State, fetch, open, position, walk};
use super::{Search, Store, StoreError};
use crate::query::{Filter, words};

const DAY: Millis = 86_400_000;
const SECOND: Millis = 1_000;
/// Events held at once, unless a single second has more.
const SLICE: u32 = 50_000;
/// A replay may take long, and nobody waits for one slice longer than this.
const PATIENCE: Duration = Duration::from_secs(600);

impl Store {
    /// Gives every event with `since <= time < until`, in canonical order, until `each` answers false. Events that are
    /// committed meanwhile may or may not be among them.
    pub fn replay(&self, since: Millis, until: Millis, mut each: impl FnMut(Event) -> bool) -> Result<(), StoreError> {
        let times: Vec<_> = self.shared.partitions().iter().filter_map(|one| one.times()).collect();
        let Some(first) = times.iter().map(|(least, _)| words::time(*least)).min() else { return Ok(()) };
        let last = times.iter().map(|(_, greatest)| words::time(*greatest)).max().unwrap_or(first);
        let (from, to) = (since.max(first), until.saturating_sub(1).min(last));
        let mut start = from;
        while start <= to {
            let end = (start.div_euclid(DAY) * DAY).saturating_add(DAY - 1).min(to);
            let slices = self.slices(start, end)?;
            if slices.is_empty() {
                // Forged stamps can lie centuries apart: go on at the next event there is.
                let next = Search { newest_first: false, timeout: PATIENCE, ..Search::newest(1, 0) };
                let next = self.find(&Filter::All, next.between(Some(start), None))?;
                let Some(event) = next.events.first() else { return Ok(()) };
                start = words::time(event.time);
                continue;
            }
            for (least, greatest) in slices {
                for event in self.slice(least, greatest)? {
                    if !each(event) {
                        return Ok(());
                    }
                }
            }
            start = end + 1;
        }
        Ok(())
    }

    /// Cuts a day into stretches of few events, at whole seconds.
    fn slices(&self, start: Millis, end: Millis) -> Result<Vec<(Millis, Millis)>, StoreError> {
        let mut counts = vec![0u32; (end - start) as usize / SECOND as usize + 1];
        self.each_place(start, end, |_, _, _, time| counts[((time - start) / SECOND) as usize] += 1)?;
        let mut slices: Vec<(Millis, Millis, u32)> = Vec::new();
        for (second, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let least = start + second as Millis * SECOND;
            let greatest = (least + SECOND - 1).min(end);
            match slices.last_mut() {
                Some((_, reach, events)) if events.saturating_add(count) <= SLICE => {
                    *reach = greatest;
                    *events += count;
                }
                _ => slices.push((least, greatest, count)),
            }
        }
        Ok(slices.into_iter().map(|(least, greatest, _)| (least, greatest)).collect())
    }

    fn slice(&self, least: Millis, greatest: Millis) -> Result<Vec<Event>, StoreError> {
        let mut places = Vec::new();
        let (partitions, states) =
            self.each_place(least, greatest, |number, segment, doc, time| places.push((time, number, segment, doc)))?;
        let mut events = fetch(&partitions, &states, &places)?;
        events.sort_by(|left, right| {
            words::time(left.time).cmp(&words::time(right.time)).then_with(|| position(left).cmp(&position(right)))
        });
        Ok(events)
    }

    #[allow(clippy::type_complexity, reason = "the two halves of one answer")]
    fn each_place(
        &self,
        least: Millis,
        greatest: Millis,
        mut each: impl FnMut(usize, u32, DocId, Millis),
    ) -> Result<(Vec<std::sync::Arc<super::partition::Partition>>, HashMap<usize, State>), StoreError> {
        let deadline = Instant::now() + PATIENCE;
        let partitions = self.shared.partitions();
        let mut states = HashMap::new();
        for (number, partition) in partitions.iter().enumerate() {
            let touches =
                |(first, last): (Millis, Millis)| words::time(first) <= greatest && words::time(last) >= least;
            if !partition.times().is_some_and(touches) {
                continue;
            }
            let Some(opened) = open(partition)? else { continue };
            let searcher = opened.reader.searcher();
            let wanted = Compiler { layout: &opened.layout, deadline }.times(least, greatest);
            walk(&searcher, &*wanted, deadline, |segment, doc, time| each(number, segment, doc, time))
                .map_err(StoreError::read(&partition.path))?;
            states.insert(number, State { searcher, layout: opened.layout });
        }
        Ok((partitions, states))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crmwatch_detectors::{EventId, Origin};

    use super::*;
    use crate::store::{Payload, StoreOptions};

    #[test]
    fn a_replay_gives_every_event_once_in_the_order_of_time_source_file_and_offset() {
        let folder = tempfile::tempdir().expect("a folder");
        let options =
            StoreOptions { threads: 1, memory_per_thread: 15_000_000, partition_events: 7, ..StoreOptions::default() };
        let store = Store::open(folder.path(), options).expect("opens");
        let mut writer = store.writer().expect("a writer");
        let mut expected = Vec::new();
        for number in 0..40u64 {
            let mut event = Event::new("line");
            event.id = EventId(u128::from(number));
            // Late, mixed and forged: two days, equal times, and the two ends of what can be written.
            event.time = match number {
                7 => Millis::MAX,
                9 => Millis::MIN,
                number => (number * 7919 % 5) as Millis * 40_000_000,
            };
            event.offset = number * 31 % 17;
            let source = if number % 3 == 0 { "a" } else { "b" };
            event.origin = Arc::new(Origin { source: source.into(), path: "/f".into(), lateness: 0 });
            writer.add(&event).expect("adds");
            expected.push(event);
            if number % 4 == 3 {
                let payload = Payload { store_id: store.store_id(), batch: number, positions: String::new() };
                writer.commit(&payload, 0).expect("commits");
            }
        }
        expected.sort_by(|left, right| left.time.cmp(&right.time).then_with(|| position(left).cmp(&position(right))));
        let mut found = Vec::new();
        let mut take = |event: Event| {
            found.push(event);
            true
        };
        store.replay(Millis::MIN, Millis::MAX, &mut take).expect("replays");
        assert_eq!(found, expected);
        let mut some = Vec::new();
        store
            .replay(40_000_000, 120_000_000, |event| {
                some.push(event);
                some.len() < 5
            })
            .expect("replays");
        let inside: Vec<_> =
            expected.into_iter().filter(|one| (40_000_000..120_000_000).contains(&one.time)).take(5).collect();
        assert_eq!(some, inside);
    }
}
