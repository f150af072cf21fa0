//! A row of an Event Log File that a collector made a JSON object of: the columns are its keys. Not for the objects of Real-Time
//! Event Monitoring, whose keys are others.

use std::borrow::Cow;

use super::{Header, MAX_COLUMNS};
use crate::parse::json::{JsonError, Reader, Value, Visitor};

/// How surely a text is such a row. Some collectors write the columns in lower case; then a column no other program has must be there.
pub(super) fn sniff(text: &str) -> u8 {
    let has = |key: &str| memchr::memmem::find(text.as_bytes(), key.as_bytes()).is_some();
    let upper = has("\"EVENT_TYPE\"")
        && (has("\"TIMESTAMP\"") || has("\"TIMESTAMP_DERIVED\""))
        && (has("\"ORGANIZATION_ID\"") || has("\"USER_ID\"") || has("\"USER_ID_DERIVED\""));
    let lower = || {
        let own = [
            "\"timestamp_derived\"",
            "\"user_id_derived\"",
            "\"report_description\"",
            "\"login_key\"",
            "\"organization_id\"",
        ];
        has("\"event_type\"") && own.into_iter().any(has) && (has("\"timestamp_derived\"") || has("\"request_id\""))
    };
    if is_object(text) && (upper || lower()) { 95 } else { 0 }
}

/// Whether a record is an object and no row.
pub(super) fn is_object(record: &str) -> bool {
    record.trim_start_matches('\u{feff}').trim_ascii_start().starts_with('{')
}

/// An object's keys, one behind the other, and where each ends.
#[derive(Default, PartialEq)]
struct Keys {
    text: String,
    ends: Vec<usize>,
}

impl Keys {
    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.text[start..*end])
    }
}

/// The columns of the last object, kept since those of the next are mostly the same.
#[derive(Default)]
pub(super) struct Columns {
    keys: Keys,
    /// The keys that the header was made of.
    known: Keys,
    header: Option<Header>,
}

struct Cells<'a, 'k> {
    keys: &'k mut Keys,
    cells: Vec<Cow<'a, str>>,
}

impl<'a> Visitor<'a> for Cells<'a, '_> {
    fn value(&mut self, path: &str, value: Value<'a, '_>, _listed: bool) {
        if self.cells.len() < MAX_COLUMNS {
            self.keys.text.push_str(path);
            self.keys.ends.push(self.keys.text.len());
            self.cells.push(value.held());
        }
    }
}

impl Columns {
    /// The header that an object carries with it, its cells, and what follows the object.
    pub(super) fn read<'a>(
        &mut self,
        reader: &mut Reader,
        text: &'a str,
    ) -> Result<(&Header, Vec<Cow<'a, str>>, &'a str), JsonError> {
        self.keys.clear();
        let mut cells = Cells { keys: &mut self.keys, cells: Vec::with_capacity(32) };
        let rest = reader.read(text, &mut cells)?;
        let mut cells = cells.cells;
        if self.keys != self.known {
            self.header = None;
        }
        // Fewer names than cells: a key came twice.
        if self.header.as_ref().is_none_or(|header| header.names.len() != cells.len()) {
            self.header = Some(header(&self.keys, &mut cells));
            std::mem::swap(&mut self.keys, &mut self.known);
        }
        let header = self.header.as_ref().expect("it was made where there was none");
        Ok((header, cells, rest))
    }
}

/// The header of these keys. A list's second value is no second column, and goes.
fn header(keys: &Keys, cells: &mut Vec<Cow<'_, str>>) -> Header {
    let mut names: Vec<String> = Vec::new();
    let mut kept = Vec::new();
    for (name, cell) in keys.names().map(str::to_ascii_uppercase).zip(cells.drain(..)) {
        if !names.contains(&name) {
            names.push(name);
            kept.push(cell);
        }
    }
    *cells = kept;
    Header::named(String::new(), names)
}
