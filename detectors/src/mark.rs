//! Where an event lies, as detectors remember it: its file by a number made from its name, so that a name is kept once and not with each
//! event. The names are remembered beside ([`Files`]), and come back when a finding is made. Not for what people read (`finding`).

use std::sync::Arc;

use ahash::AHashMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::detector::RestoreError;
use crate::event::{Event, EventId, Millis, Origin};
use crate::finding::Reference;
use crate::keyed::{Keyed, Resident};
use crate::memory::Shelf;

/// The name under which the names of files are saved.
pub const OWNER: &str = "files";
/// Names remembered; of more, those longest without an event go, and what lay in them is no longer shown.
const FILES: usize = 65_536;
/// Bytes of a file's number: among ten thousand files two have the same once in six million times.
const WIDTH: usize = 6;
const DAY: Millis = 86_400_000;

/// Where one event lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// `_id` of the event.
    pub id: EventId,
    file: u64,
    line: u64,
    offset: u64,
}

/// The number of a source and a file: each eight bytes multiplied in, both halves of the product folded into one (as wyhash does).
fn number_of(origin: &Origin) -> u64 {
    let fold = |one: u64, other: u64| {
        let product = u128::from(one) * u128::from(other);
        product as u64 ^ (product >> 64) as u64
    };
    let mut number = 0xcbf2_9ce4_8422_2325 ^ origin.lateness.unsigned_abs();
    for text in [&origin.source, &origin.path] {
        number = fold(number ^ text.len() as u64, 0xbf58_476d_1ce4_e5b9);
        for bytes in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            number = fold(number ^ u64::from_le_bytes(word), 0x9e37_79b9_7f4a_7c15);
        }
    }
    number >> (64 - 8 * WIDTH)
}

impl Mark {
    /// Where an event lies.
    pub fn of(event: &Event) -> Mark {
        Mark { id: event.id, file: number_of(&event.origin), line: event.line, offset: event.offset }
    }
}

/// As they are saved.
type Saved = ([u8; 16], [u8; WIDTH], u64, u64);

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut file = [0; WIDTH];
        file.copy_from_slice(&self.file.to_le_bytes()[..WIDTH]);
        let saved: Saved = (self.id.0.to_le_bytes(), file, self.line, self.offset);
        saved.serialize(out)
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Mark, D::Error> {
        let (id, bytes, line, offset) = Saved::deserialize(input)?;
        let mut file = [0; 8];
        file[..WIDTH].copy_from_slice(&bytes);
        Ok(Mark { id: EventId(u128::from_le_bytes(id)), file: u64::from_le_bytes(file), line, offset })
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Name(Option<Arc<Origin>>);

impl Resident for Name {}

/// The names of files that marks lie in.
pub struct Files {
    names: Keyed<Name>,
    /// By number, as in `names`.
    by_number: AHashMap<u64, Arc<Origin>>,
    /// Those noted lately, with the day. Held, so that none else is taken for one that is gone.
    lately: [Option<(Arc<Origin>, i64)>; 64],
}

impl Default for Files {
    fn default() -> Self {
        Files { names: Keyed::new(OWNER, FILES), by_number: AHashMap::new(), lately: [const { None }; 64] }
    }
}

impl Files {
    /// Notes an event's file.
    pub fn note(&mut self, event: &Event) {
        let place = (Arc::as_ptr(&event.origin).addr() >> 4) % self.lately.len();
        let day = event.time.div_euclid(DAY);
        if self.lately[place].as_ref().is_some_and(|(known, on)| *on == day && Arc::ptr_eq(known, &event.origin)) {
            return;
        }
        self.lately[place] = Some((event.origin.clone(), day));
        let number = number_of(&event.origin);
        self.names.touch(&format!("{number:x}"), event.time).0.get_or_insert_with(|| event.origin.clone());
        self.by_number.entry(number).or_insert_with(|| event.origin.clone());
        if self.by_number.len() > 2 * FILES {
            let names = &self.names;
            self.by_number.retain(|number, _| names.get(&format!("{number:x}")).is_some());
        }
    }

    /// The whole of a mark, where its file's name is remembered.
    pub fn reference(&self, mark: Mark) -> Option<Reference> {
        let origin = self.by_number.get(&mark.file)?.clone();
        Some(Reference { id: mark.id, origin, line: mark.line, offset: mark.offset })
    }

    /// Everything remembered of them.
    pub fn memory(&mut self) -> Shelf<'_> {
        Shelf::of(&mut self.names)
    }

    /// See [`Keyed::restore`].
    pub fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        self.names.restore(key, value)?;
        let name = self.names.get(key).and_then(|name| name.0.clone());
        let damaged = || RestoreError { owner: OWNER.to_owned(), key: key.to_owned() };
        let (number, name) = u64::from_str_radix(key, 16).ok().zip(name).ok_or_else(damaged)?;
        self.by_number.insert(number, name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(path: &str) -> Event {
        let mut event = Event::new("");
        (event.id, event.line, event.offset) = (EventId(u128::MAX - 7), 12, 3_456);
        event.origin = Arc::new(Origin { source: "crm".into(), path: path.into(), lateness: 600_000 });
        event
    }

    #[test]
    fn a_mark_saved_and_restored_finds_its_file_again() {
        let (one, other) = (event("/var/log/one"), event("/var/log/other"));
        let mut files = Files::default();
        files.note(&one);
        let mut again = Files::default();
        for change in crate::memory::all(vec![files.memory()]) {
            again.restore(&change.key, &change.value.expect("kept")).expect("readable");
        }
        let saved = postcard::to_allocvec(&Mark::of(&one)).expect("memory");
        assert!(saved.len() <= 16 + WIDTH + 3, "{} bytes", saved.len());
        let mark: Mark = postcard::from_bytes(&saved).expect("readable");
        assert_eq!(again.reference(mark), Some(Reference::of(&one)));
        assert_eq!(again.reference(Mark::of(&other)), None);
    }

    #[test]
    fn no_two_of_many_files_have_one_number() {
        let numbers: std::collections::BTreeSet<u64> =
            (0..50_000).map(|nth| number_of(&event(&format!("/var/log/crm/2026-11-{nth}.csv")).origin)).collect();
        assert_eq!(numbers.len(), 50_000);
    }
}
