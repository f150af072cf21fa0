//! The events of many files in one canonical order: event time, then file, then offset. For `scan`; not for following.
//!
//! Each file is read once, through a window within which its events may lie out of order. Small files are sorted whole in memory. A large
//! file that turns out less ordered than the window is sorted through temporary files, and the merge begins again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crmwatch_detectors::{Event, Field, Millis, codec};

use super::Attributed;
use super::input::Input;
use super::whole::WholeFile;

/// How far out of order a large file's events may lie.
const WINDOW: Millis = 600_000;
/// Events held in memory over all files; beyond it the windows are cut short.
const HELD: usize = 60_000;
/// Events sorted at once when a file goes through temporary files.
const RUN: usize = 50_000;
/// So many files are opened at once; of more, only those are open whose times overlap.
const OPEN: usize = 64;

/// What the files held, counted while merging.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Files read.
    pub files: u64,
    /// Files that could not be read, and why.
    pub unreadable: Vec<(PathBuf, String)>,
    /// Records.
    pub records: u64,
    /// Bytes, decompressed.
    pub bytes: u64,
    /// Events by format.
    pub formats: BTreeMap<&'static str, u64>,
    /// Records no grammar accepted, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// The first rejected record of each file: path, line, reason.
    pub first_rejected: Vec<(PathBuf, u64, String)>,
}

/// Why a merge ended early.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A temporary file.
    #[error("cannot sort through temporary files: {0}; TMPDIR names the folder they go to")]
    Temporary(#[from] io::Error),
}

enum Feed {
    File(Box<WholeFile>),
    Sorted(Runs),
    Ended,
}

struct Lane {
    index: usize,
    path: PathBuf,
    feed: Feed,
    whole: bool,
    held: VecDeque<Event>,
    newest: Millis,
    given: Millis,
}

/// The merge of a set of files.
pub struct Merge<'f> {
    files: &'f [Attributed],
    now: Millis,
    /// Files to be sorted through temporary files.
    unordered: BTreeSet<usize>,
    /// Files not opened yet, the earliest last.
    later: Vec<(Millis, usize)>,
    lanes: Vec<Lane>,
    /// The lane that gave last, and the least place of what the others have: below it, it goes on giving without a look at them.
    lead: Option<(usize, Place)>,
    held: usize,
    /// Memory of the last reading.
    read: Vec<Event>,
    /// What was counted.
    pub tally: Tally,
}

/// An event's place in the canonical order: time, file, offset.
type Place = (Millis, usize, u64);

/// What came next.
#[allow(clippy::large_enum_variant, reason = "nearly all are events, and they are passed on by millions")]
pub enum Next {
    /// The next event.
    Event(Event),
    /// A file was less ordered than thought: everything given so far is void and comes again.
    Again,
    /// No more.
    End,
}

impl<'f> Merge<'f> {
    /// Begins a merge.
    pub fn new(files: &'f [Attributed], now: Millis) -> Merge<'f> {
        let mut merge = Merge {
            files,
            now,
            unordered: BTreeSet::new(),
            later: Vec::new(),
            lanes: Vec::new(),
            lead: None,
            held: 0,
            read: Vec::new(),
            tally: Tally::default(),
        };
        merge.begin();
        merge
    }

    fn begin(&mut self) {
        self.tally = Tally::default();
        self.lanes.clear();
        self.lead = None;
        self.held = 0;
        self.later = (0..self.files.len()).map(|index| (self.first_time(index), index)).collect();
        self.later.sort_unstable_by(|left, right| right.cmp(left));
    }

    /// About when a file begins; only asked where there are too many to open at once.
    fn first_time(&self, index: usize) -> Millis {
        if self.files.len() <= OPEN {
            return Millis::MIN;
        }
        let mut events = Vec::new();
        let given = &self.files[index];
        let Ok(mut file) = WholeFile::open(&given.path, &given.followed, self.now) else { return Millis::MIN };
        while events.is_empty() && file.step(&mut events).is_ok_and(|step| !step.ended) {}
        let believed = events.iter().filter(|event| !aside(event) && !event.is(Field::TimeSuspect));
        believed.map(|event| event.time).min().unwrap_or(Millis::MIN).saturating_sub(WINDOW)
    }

    /// The next event in canonical order.
    #[allow(clippy::should_implement_trait, reason = "not every turn gives an event, and a turn may fail")]
    pub fn next(&mut self) -> Result<Next, MergeError> {
        if let Some((lane, limit)) = self.lead.take() {
            if !self.fill(lane)? {
                return Ok(self.again());
            }
            if self.lanes[lane].front().is_some_and(|place| place < limit) {
                self.lead = Some((lane, limit));
                return Ok(self.give(lane));
            }
        }
        loop {
            if self.open_due()? {
                return Ok(self.again());
            }
            let mut best: Option<(Place, usize)> = None;
            let mut second: Place = (Millis::MAX, usize::MAX, u64::MAX);
            for lane in 0..self.lanes.len() {
                match self.fill(lane)? {
                    true => {}
                    false => return Ok(self.again()),
                }
                if let Some(place) = self.lanes[lane].front() {
                    match best {
                        Some((least, _)) if least < place => second = second.min(place),
                        Some((least, _)) => (best, second) = (Some((place, lane)), least),
                        None => best = Some((place, lane)),
                    }
                }
            }
            let Some(((time, ..), lane)) = best else {
                self.lanes.clear();
                if self.later.is_empty() {
                    return Ok(Next::End);
                }
                continue;
            };
            if self.later.last().is_some_and(|(first, _)| *first <= time) && self.lanes.len() < OPEN * 4 {
                continue;
            }
            // Where room is short, every lane must be looked at each time: its window may be cut.
            if self.held < HELD {
                let opens = self.later.last().map_or(Millis::MAX, |(first, _)| *first);
                self.lead = Some((lane, second.min((opens, 0, 0))));
            }
            return Ok(self.give(lane));
        }
    }

    fn give(&mut self, at: usize) -> Next {
        let lane = &mut self.lanes[at];
        let event = lane.held.pop_front().expect("it has the best front");
        lane.given = event.time;
        self.held -= 1;
        if lane.held.is_empty() && matches!(lane.feed, Feed::Ended) {
            self.lanes.retain(|lane| !(lane.held.is_empty() && matches!(lane.feed, Feed::Ended)));
            self.lead = None;
        }
        Next::Event(event)
    }

    fn again(&mut self) -> Next {
        self.begin();
        Next::Again
    }

    /// Opens the files that may hold the next event. True if the merge must begin again.
    fn open_due(&mut self) -> Result<bool, MergeError> {
        loop {
            let earliest = self.lanes.iter().filter_map(|lane| lane.held.front()).map(|event| event.time).min();
            let due = match (self.later.last(), earliest) {
                (None, _) => false,
                (Some((first, _)), Some(earliest)) => *first <= earliest,
                (Some(_), None) => true,
            };
            if !due || (self.lanes.len() >= OPEN * 4) {
                return Ok(false);
            }
            let (_, index) = self.later.pop().expect("there is one that is due");
            let path = self.files[index].path.clone();
            match self.open(index) {
                Ok((feed, whole)) => {
                    self.tally.files += 1;
                    let (newest, given) = (Millis::MIN, Millis::MIN);
                    self.lanes.push(Lane { index, path, feed, whole, held: VecDeque::new(), newest, given });
                    let lane = self.lanes.len() - 1;
                    if !self.fill(lane)? {
                        return Ok(true);
                    }
                }
                Err(error) => self.tally.unreadable.push((path, error.to_string())),
            }
        }
    }

    fn open(&mut self, index: usize) -> io::Result<(Feed, bool)> {
        let Attributed { path, followed } = &self.files[index];
        let input = Input::open(path)?;
        let size = input.metadata()?.len();
        let compressed = input.compression() != super::Compression::None;
        let mut file = WholeFile::over(input, path, followed, self.now)?;
        if self.unordered.contains(&index) {
            let mut counted = Tally::default();
            let runs = Runs::sort(&mut file, path, &mut counted)?;
            self.tally.add(counted);
            return Ok((Feed::Sorted(runs), false));
        }
        let expected =
            usize::try_from(size / 200).unwrap_or(usize::MAX).saturating_mul(if compressed { 15 } else { 1 });
        Ok((Feed::File(Box::new(file)), self.held.saturating_add(expected) < HELD))
    }

    /// Reads on until a lane's first event can be given. False if the file is less ordered than the window.
    fn fill(&mut self, at: usize) -> Result<bool, MergeError> {
        loop {
            let lane = &mut self.lanes[at];
            let ready = match &lane.feed {
                Feed::Ended => true,
                Feed::Sorted(_) => !lane.held.is_empty(),
                Feed::File(_) if lane.whole => self.held >= HELD * 2 && !lane.held.is_empty(),
                Feed::File(_) => match lane.held.front() {
                    Some(front) => front.time <= lane.newest.saturating_sub(WINDOW) || self.held >= HELD,
                    None => false,
                },
            };
            if ready {
                return Ok(true);
            }
            let mut events = std::mem::take(&mut self.read);
            let mut ended = false;
            match &mut lane.feed {
                Feed::Ended => return Ok(true),
                Feed::Sorted(runs) => match runs.next()? {
                    Some(event) => events.push(event),
                    None => ended = true,
                },
                Feed::File(file) => {
                    match file.step(&mut events) {
                        Ok(step) => {
                            self.tally.records += step.records;
                            self.tally.bytes += step.bytes;
                            ended = step.ended;
                        }
                        Err(error) => {
                            self.tally.unreadable.push((lane.path.clone(), error.to_string()));
                            ended = true;
                        }
                    }
                    self.tally.look(&lane.path, file.format(), &events);
                }
            }
            for event in events.drain(..) {
                if aside(&event) {
                    continue;
                }
                if event.time < lane.given {
                    self.unordered.insert(lane.index);
                    return Ok(false);
                }
                lane.newest = lane.newest.max(event.time);
                // Nearly ordered: the place is near the end.
                let mut place = lane.held.len();
                while place > 0 && (lane.held[place - 1].time, lane.held[place - 1].offset) > (event.time, event.offset)
                {
                    place -= 1;
                }
                lane.held.insert(place, event);
                self.held += 1;
            }
            self.read = events;
            if ended {
                lane.feed = Feed::Ended;
            }
        }
    }
}

impl Lane {
    /// The place of the event it would give next.
    fn front(&self) -> Option<Place> {
        self.held.front().map(|event| (event.time, self.index, event.offset))
    }
}

/// What no detector sees: rejected records and continuation lines.
fn aside(event: &Event) -> bool {
    event.has(Field::QuarantineReason) || event.has(Field::ContinuationOf)
}

impl Tally {
    fn look(&mut self, path: &Path, format: Option<&'static str>, events: &[Event]) {
        let mut parsed = 0;
        for event in events {
            match event.text(Field::QuarantineReason) {
                None => parsed += 1,
                Some(reason) => {
                    *self.rejected.entry(reason.to_owned()).or_default() += 1;
                    if self.first_rejected.len() < 1000
                        && !self.first_rejected.iter().any(|(known, _, _)| known == path)
                    {
                        self.first_rejected.push((path.to_owned(), event.line, reason.to_owned()));
                    }
                }
            }
        }
        if let Some(format) = format
            && parsed > 0
        {
            *self.formats.entry(format).or_default() += parsed;
        }
    }

    fn add(&mut self, other: Tally) {
        self.records += other.records;
        self.bytes += other.bytes;
        for (format, count) in other.formats {
            *self.formats.entry(format).or_default() += count;
        }
        for (reason, count) in other.rejected {
            *self.rejected.entry(reason).or_default() += count;
        }
        self.first_rejected.extend(other.first_rejected);
    }
}

/// Sorted stretches of one file's events in temporary files.
struct Runs {
    readers: Vec<BufReader<File>>,
    fronts: Vec<Option<Event>>,
}

impl Runs {
    fn sort(file: &mut WholeFile, path: &Path, tally: &mut Tally) -> io::Result<Runs> {
        let mut runs = Runs { readers: Vec::new(), fronts: Vec::new() };
        let mut events = Vec::new();
        loop {
            let first = events.len();
            let step = file.step(&mut events)?;
            tally.records += step.records;
            tally.bytes += step.bytes;
            tally.look(path, file.format(), &events[first..]);
            events.retain(|event| !aside(event));
            if events.len() >= RUN || step.ended {
                events.sort_by_key(|event| (event.time, event.offset));
                runs.write(&events)?;
                events.clear();
            }
            if step.ended {
                return Ok(runs);
            }
        }
    }

    fn write(&mut self, events: &[Event]) -> io::Result<()> {
        let mut out = BufWriter::new(tempfile::tempfile()?);
        let mut bytes = Vec::new();
        for event in events {
            bytes.clear();
            codec::encode(event, &mut bytes);
            out.write_all(&(bytes.len() as u64).to_le_bytes())?;
            out.write_all(&bytes)?;
        }
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        self.fronts.push(read_event(&mut reader)?);
        self.readers.push(reader);
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<Event>> {
        let least = (0..self.fronts.len())
            .filter_map(|run| self.fronts[run].as_ref().map(|event| ((event.time, event.offset), run)))
            .min();
        let Some((_, run)) = least else { return Ok(None) };
        let next = read_event(&mut self.readers[run])?;
        Ok(std::mem::replace(&mut self.fronts[run], next))
    }
}

fn read_event(reader: &mut BufReader<File>) -> io::Result<Option<Event>> {
    let mut length = [0; 8];
    match reader.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut bytes = vec![0; usize::try_from(u64::from_le_bytes(length)).map_err(io::Error::other)?];
    reader.read_exact(&mut bytes)?;
    codec::decode(&bytes).map(Some).map_err(io::Error::other)
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
