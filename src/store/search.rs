//! Finding events: newest or oldest first over the partitions that can hold some, under a limit and a time limit.
//! Not for what a query means.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crmwatch_detectors::{Event, EventId, Millis, codec};
use tantivy::query::{EnableScoring, Query};
use tantivy::schema::Value;
use tantivy::{
    DateTime, DocAddress, DocId, DocSet, Searcher, SegmentReader, TERMINATED, TantivyDocument, TantivyError,
};

use super::compile::Compiler;
use super::document::id_term;
use super::layout::{Layout, TIME};
use super::partition::{Opened, Partition};
use super::terms::late;
use super::{Store, StoreError};
use crate::query::{Filter, Query as UserQuery, words};

/// More events than this are never given at once.
pub const MOST: usize = 10_000;
/// More than this are not given one by one either: their places are held in memory.
const MOST_STREAMED: usize = 1_000_000;
/// Partitions that stay open after a search beside the newest.
const KEPT_OPEN: usize = 16;
/// Documents between two looks at the clock.
const BREATH: u32 = 4096;

/// Which events of which time, how many, in which order.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// From that time on.
    pub since: Option<Millis>,
    /// Before that time.
    pub until: Option<Millis>,
    /// At most so many, and never more than [`MOST`] at once.
    pub limit: usize,
    /// The newest first; else the oldest.
    pub newest_first: bool,
    /// What `now` in the query stands for.
    pub now: Millis,
    /// How long it may take.
    pub timeout: Duration,
}

impl Search {
    /// The newest events, of all times.
    pub fn newest(limit: usize, now: Millis) -> Search {
        Search { since: None, until: None, limit, newest_first: true, now, timeout: Duration::from_secs(30) }
    }

    /// In that range of time.
    pub fn between(self, since: Option<Millis>, until: Option<Millis>) -> Search {
        Search { since, until, ..self }
    }

    /// A time turned so that less is better.
    fn rank(&self, time: Millis) -> Millis {
        if self.newest_first { -time } else { time }
    }

    /// The first and last millisecond as events are compared.
    fn range(&self) -> (Millis, Millis) {
        let least = self.since.unwrap_or(Millis::MIN);
        (least, self.until.map_or(Millis::MAX, |until| until.saturating_sub(1)))
    }
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Hits {
    /// The events, in the order asked for; those of one time by source, file and offset.
    pub events: Vec<Event>,
    /// How many match.
    pub total: u64,
    /// Whether `total` is the number; else it is at least so many.
    pub exact: bool,
}

/// Where a hit is: its time turned so that less is better, then partition, segment and document.
type Place = (Millis, usize, u32, DocId);

impl Store {
    /// Searches. Only partitions whose times touch the range are opened, and none that can only hold events beyond the limit.
    pub fn search(&self, query: &UserQuery, search: Search) -> Result<Hits, StoreError> {
        let filter = query.filter(search.now).map_err(|error| StoreError::Query(error.to_string()))?;
        self.find(&filter, search)
    }

    /// Searches for what a filter means.
    pub fn find(&self, filter: &Filter, search: Search) -> Result<Hits, StoreError> {
        let found = self.places(filter, Search { limit: search.limit.min(MOST), ..search })?;
        Ok(Hits { events: found.events(&found.places, &search)?, total: found.total, exact: found.exact })
    }

    /// Searches, and gives the events one by one until `each` answers false, so that an answer may be longer than memory allows at
    /// once. The hits that come back hold the numbers only.
    pub fn stream(
        &self,
        query: &UserQuery,
        search: Search,
        each: &mut dyn FnMut(&Event) -> bool,
    ) -> Result<Hits, StoreError> {
        let filter = query.filter(search.now).map_err(|error| StoreError::Query(error.to_string()))?;
        let found = self.places(&filter, Search { limit: search.limit.min(MOST_STREAMED), ..search })?;
        let mut rest = &found.places[..];
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(whole_times(rest));
            if !found.events(chunk, &search)?.iter().all(&mut *each) {
                break;
            }
            rest = after;
        }
        Ok(Hits { events: Vec::new(), total: found.total, exact: found.exact })
    }

    /// The best places, sorted; the events themselves are not read yet.
    fn places(&self, filter: &Filter, search: Search) -> Result<Found, StoreError> {
        let deadline = Instant::now() + search.timeout;
        let (least, greatest) = search.range();
        let limit = search.limit;
        let rank = |time: Millis| search.rank(time);
        let partitions = self.shared.partitions();
        let mut order: Vec<(i64, usize)> = Vec::new();
        for (number, partition) in partitions.iter().enumerate() {
            if let Some((first, last)) = partition.times().map(|(first, last)| (words::time(first), words::time(last)))
                && first <= greatest
                && last >= least
            {
                order.push((rank(if search.newest_first { last } else { first }), number));
            }
        }
        order.sort_unstable();
        let mut best: BinaryHeap<Place> = BinaryHeap::with_capacity(limit.min(MOST) + 1);
        let (mut total, mut exact) = (0, true);
        // A place counts only in the state of the index it was found in, so that state is held until the events are read.
        let mut states: HashMap<usize, State> = HashMap::new();
        let kept_open = partitions.len().saturating_sub(KEPT_OPEN);
        for &(reach, number) in &order {
            if best.len() >= limit && best.peek().is_none_or(|worst| reach > worst.0) {
                exact = false;
                break;
            }
            let partition = &partitions[number];
            let Some(opened) = open(partition)? else { continue };
            if number < kept_open {
                partition.close();
            }
            let searcher = opened.reader.searcher();
            let compiler = Compiler { layout: &opened.layout, deadline };
            // Asked after the state was taken: what a commit adds meanwhile can widen these times and not narrow them.
            let (first, last) = partition.times().unwrap_or((Millis::MIN, Millis::MAX));
            let wanted = compiler.compile(filter);
            // A partition that lies wholly in the range needs no look at each event's time.
            let wanted: Box<dyn Query> = if words::time(first) >= least && words::time(last) <= greatest {
                wanted
            } else {
                Box::new(tantivy::query::BooleanQuery::intersection(vec![wanted, compiler.times(least, greatest)]))
            };
            let each = |segment: u32, doc: DocId, time: Millis| {
                total += 1;
                let place = (rank(time), number, segment, doc);
                if best.len() < limit {
                    best.push(place);
                } else if best.peek().is_some_and(|worst| place < *worst) {
                    best.pop();
                    best.push(place);
                }
            };
            walk(&searcher, &*wanted, deadline, each).map_err(|error| failed(error, partition, &search, deadline))?;
            states.insert(number, State { searcher, layout: opened.layout });
            if states.len() > KEPT_OPEN {
                let used: HashSet<usize> = best.iter().map(|place| place.1).collect();
                states.retain(|number, _| used.contains(number));
            }
        }
        Ok(Found { partitions, states, places: best.into_sorted_vec(), total, exact })
    }

    /// The events of those ids that the store holds, in the order asked for. An event that came in twice is given once.
    pub fn get(&self, ids: &[EventId]) -> Result<Vec<Event>, StoreError> {
        let mut found: Vec<Option<Event>> = vec![None; ids.len()];
        for (age, partition) in self.shared.partitions().iter().rev().enumerate() {
            if found.iter().all(Option::is_some) {
                break;
            }
            let Some(opened) = open(partition)? else { continue };
            if age > KEPT_OPEN {
                partition.close();
            }
            let searcher = opened.reader.searcher();
            for (id, slot) in ids.iter().zip(&mut found).filter(|(_, slot)| slot.is_none()) {
                let term = tantivy::Term::from_field_bytes(opened.layout.id, &id_term(*id));
                'segments: for (segment, reader) in searcher.segment_readers().iter().enumerate() {
                    let read = || -> tantivy::Result<Option<_>> {
                        reader
                            .inverted_index(opened.layout.id)?
                            .read_postings(&term, tantivy::schema::IndexRecordOption::Basic)
                            .map_err(TantivyError::from)
                    };
                    let Some(mut postings) = read().map_err(StoreError::read(&partition.path))? else { continue };
                    while postings.doc() != TERMINATED {
                        let address = DocAddress::new(segment as u32, postings.doc());
                        let one = event(&searcher, &opened.layout, address, partition)?;
                        // The term is a part of the id only.
                        if one.id == *id {
                            *slot = Some(one);
                            break 'segments;
                        }
                        postings.advance();
                    }
                }
            }
        }
        Ok(found.into_iter().flatten().collect())
    }
}

/// What a search has found, before the events are read.
struct Found {
    partitions: Vec<Arc<Partition>>,
    states: HashMap<usize, State>,
    places: Vec<Place>,
    total: u64,
    exact: bool,
}

impl Found {
    /// Reads the events of some of the places, in the order of the search.
    fn events(&self, places: &[Place], search: &Search) -> Result<Vec<Event>, StoreError> {
        let mut events = fetch(&self.partitions, &self.states, places)?;
        events.sort_by(|left, right| {
            let time = search.rank(words::time(left.time)).cmp(&search.rank(words::time(right.time)));
            time.then_with(|| position(left).cmp(&position(right)))
        });
        Ok(events)
    }
}

/// How many places to read at once: at most [`MOST`], and where that can be, all of the last one's time, so that events of one time
/// keep their order.
fn whole_times(places: &[Place]) -> usize {
    let Some(next) = places.get(MOST) else { return places.len() };
    match places[..MOST].partition_point(|place| place.0 < next.0) {
        0 => MOST,
        whole => whole,
    }
}

/// The state of a partition a search has seen.
pub(super) struct State {
    pub(super) searcher: Searcher,
    pub(super) layout: Arc<Layout>,
}

/// Opens a partition; nothing where retention has removed it meanwhile.
pub(super) fn open(partition: &Partition) -> Result<Option<Opened>, StoreError> {
    match partition.open() {
        Ok(opened) => Ok(Some(opened)),
        Err(_) if !partition.path.exists() => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn fetch(
    partitions: &[Arc<Partition>],
    states: &HashMap<usize, State>,
    places: &[Place],
) -> Result<Vec<Event>, StoreError> {
    // In the order of the files: neighbours share a compressed block.
    let mut order: Vec<&Place> = places.iter().collect();
    order.sort_unstable_by_key(|place| (place.1, place.2, place.3));
    let read = |place: &Place| {
        let state = states.get(&place.1).expect("the state of every place is held");
        event(&state.searcher, &state.layout, DocAddress::new(place.2, place.3), &partitions[place.1])
    };
    order.into_iter().map(read).collect()
}

/// The canonical order of events of one time.
pub(super) fn position(event: &Event) -> (&str, &str, u64, EventId) {
    (&event.origin.source, &event.origin.path, event.offset, event.id)
}

fn event(searcher: &Searcher, layout: &Layout, at: DocAddress, partition: &Partition) -> Result<Event, StoreError> {
    let document: TantivyDocument = searcher.doc(at).map_err(StoreError::read(&partition.path))?;
    let bytes = document.get_first(layout.stored).and_then(|value| value.as_bytes()).unwrap_or_default();
    codec::decode(bytes).map_err(|error| StoreError::Event { path: partition.path.clone(), error })
}

fn failed(error: TantivyError, partition: &Partition, search: &Search, deadline: Instant) -> StoreError {
    if Instant::now() >= deadline {
        StoreError::TooSlow { seconds: search.timeout.as_secs() }
    } else {
        StoreError::Read { path: partition.path.clone(), error }
    }
}

/// Gives every match with its segment, document and time.
pub(super) fn walk(
    searcher: &Searcher,
    query: &dyn Query,
    deadline: Instant,
    mut each: impl FnMut(u32, DocId, Millis),
) -> tantivy::Result<()> {
    let weight = query.weight(EnableScoring::disabled_from_searcher(searcher))?;
    for (number, reader) in searcher.segment_readers().iter().enumerate() {
        if Instant::now() >= deadline {
            return Err(late());
        }
        let times = times(reader)?;
        let mut scorer = weight.scorer(reader, 1.0)?;
        let mut steps = 0;
        let mut doc = scorer.doc();
        while doc != TERMINATED {
            if reader.alive_bitset().is_none_or(|alive| alive.is_alive(doc)) {
                each(number as u32, doc, times.get_val(doc).into_timestamp_millis());
            }
            steps += 1;
            if steps >= BREATH {
                steps = 0;
                if Instant::now() >= deadline {
                    return Err(late());
                }
            }
            doc = scorer.advance();
        }
    }
    Ok(())
}

fn times(reader: &SegmentReader) -> tantivy::Result<Arc<dyn tantivy::columnar::ColumnValues<DateTime>>> {
    reader.fast_fields().column_first_or_default(TIME)
}

#[cfg(test)]
mod tests {
    use crmwatch_detectors::Field;

    use super::*;
    use crate::store::{Cause, Keep, Payload, StoreOptions};

    const DAY: Millis = 86_400_000;

    fn event(number: i64) -> Event {
        let mut event = Event::new(&format!("line {number} 客户导出 of alice"));
        event.id = EventId(number as u128);
        event.time = number * DAY;
        event.set(Field::UserName, "Alice");
        event.set_integer(Field::Records, number);
        event
    }

    /// A store with one event a day and a partition for every two.
    fn filled(folder: &std::path::Path, events: i64) -> Store {
        let options = StoreOptions {
            threads: 1,
            memory_per_thread: 15_000_000,
            partition_events: 2,
            now: Some(0),
            ..StoreOptions::default()
        };
        let store = Store::open(folder, options).expect("opens");
        let mut writer = store.writer().expect("a writer");
        for number in 0..events {
            writer.add(&event(number)).expect("adds");
            let payload = Payload { store_id: store.store_id(), batch: 1, positions: String::new() };
            writer.commit(&payload, 0).expect("commits");
        }
        store
    }

    fn days(hits: &Hits) -> Vec<i64> {
        hits.events.iter().map(|event| event.time / DAY).collect()
    }

    fn query(text: &str) -> UserQuery {
        UserQuery::parse(text).expect(text)
    }

    #[test]
    fn a_long_answer_comes_whole_and_in_order_one_by_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), StoreOptions { threads: 1, ..StoreOptions::default() }).expect("opens");
        let mut writer = store.writer().expect("a writer");
        let count = MOST as i64 + 2_000;
        for number in 0..count {
            let mut event = event(number);
            // A log with stamps of whole seconds: many events of one time, which cross the border of what is read at once.
            (event.time, event.offset) = (number / 700 * 1000, (number * 7919 % 700) as u64);
            writer.add(&event).expect("adds");
        }
        writer.commit(&Payload { store_id: store.store_id(), batch: 1, positions: String::new() }, 0).expect("commits");
        let mut given = Vec::new();
        let mut take = |event: &Event| {
            given.push((-event.time, event.offset));
            true
        };
        let hits = store.stream(&query("*"), Search::newest(usize::MAX, 0), &mut take).expect("searches");
        assert_eq!((given.len() as u64, hits.total, hits.exact), (count as u64, count as u64, true));
        assert!(given.is_sorted(), "the newest first, those of one time by offset");
        let mut few = 0;
        let mut take = |_: &Event| {
            few += 1;
            few < 5
        };
        store.stream(&query("*"), Search::newest(usize::MAX, 0), &mut take).expect("searches");
        assert_eq!(few, 5);
    }

    #[test]
    fn the_newest_come_first_and_older_partitions_are_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = filled(folder.path(), 9);
        assert_eq!(store.statistics().partitions, 5);
        let hits = store.search(&query("user.name:alice"), Search::newest(3, 0)).expect("searches");
        assert_eq!((days(&hits), hits.exact), (vec![8, 7, 6], false));
        let oldest = Search { newest_first: false, ..Search::newest(3, 0) };
        assert_eq!(days(&store.search(&query("*"), oldest).expect("searches")), [0, 1, 2]);
        let all = store.search(&query("*"), Search::newest(100, 0)).expect("searches");
        assert_eq!((all.total, all.exact, all.events.len()), (9, true, 9));
        let some = Search::newest(100, 0).between(Some(2 * DAY), Some(5 * DAY));
        assert_eq!(days(&store.search(&query("alice 导出"), some).expect("searches")), [4, 3, 2]);
        assert_eq!(store.newest_time(), Some(8 * DAY));
        assert_eq!(store.search(&query("*"), Search::newest(0, 0)).expect("searches").events.len(), 0);
    }

    #[test]
    fn events_are_found_again_by_their_ids_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = filled(folder.path(), 5);
        let found = store.get(&[EventId(4), EventId(99), EventId(0)]).expect("reads");
        assert_eq!(found, [event(4), event(0)]);
    }

    #[test]
    fn a_padded_name_is_still_found_by_its_beginning() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = filled(folder.path(), 0);
        let mut padded = event(1);
        padded.set(Field::UserName, &format!("mallory{}", "x".repeat(100_000)));
        padded.set(Field::EventAction, &format!("export{}", "导".repeat(100_000)));
        padded.set_other("own", Value::Text(&"y".repeat(100_000)));
        let mut writer = store.writer().expect("a writer");
        writer.add(&padded).expect("adds");
        let payload = Payload { store_id: store.store_id(), batch: 1, positions: String::new() };
        writer.commit(&payload, 0).expect("commits");
        for text in ["user.name:mallory*", "event.action:export*", "own:yyy*", "user.name:*"] {
            let hits = store.search(&query(text), Search::newest(10, 0)).expect("searches");
            assert_eq!(hits.events, [padded.clone()], "{text}");
        }
    }

    use crmwatch_detectors::Value;

    #[test]
    fn a_search_that_takes_too_long_is_stopped_and_says_what_helps() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = filled(folder.path(), 1);
        let search = Search { timeout: Duration::ZERO, ..Search::newest(10, 0) };
        let error = store.search(&query("*"), search).expect_err("no time at all");
        assert!(matches!(error, StoreError::TooSlow { .. }), "{error}");
    }

    #[test]
    fn old_partitions_go_oldest_first_and_the_open_one_never() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = filled(folder.path(), 9);
        let keep = Keep { days: 400, max_bytes: u64::MAX, min_free_bytes: 0, free_bytes: 0 };
        assert_eq!(store.retain(10 * DAY, keep).expect("keeps"), []);
        let dropped = store.retain(10 * DAY, Keep { days: 8, ..keep }).expect("drops");
        assert_eq!(dropped.iter().map(|one| (one.cause, one.events)).collect::<Vec<_>>(), [(Cause::Age, 2)]);
        assert!(!dropped[0].path.exists());
        let third = store.statistics().bytes / 3;
        let dropped = store.retain(10 * DAY, Keep { max_bytes: third * 2, ..keep }).expect("drops");
        assert!(!dropped.is_empty() && dropped.iter().all(|one| one.cause == Cause::Size));
        let dropped = store.retain(10 * DAY, Keep { min_free_bytes: u64::MAX, ..keep }).expect("drops");
        assert!(dropped.iter().all(|one| one.cause == Cause::Space));
        assert_eq!(store.statistics().partitions, 1);
        assert_eq!(days(&store.search(&query("*"), Search::newest(10, 0)).expect("searches")), [8]);
        store.retain(10_000 * DAY, Keep { days: 0, max_bytes: 0, ..keep }).expect("keeps the open one");
        assert_eq!(store.statistics().events, 1);
    }
}
