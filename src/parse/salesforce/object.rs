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
    let lower = || has("\"event_type\"") && has("\"timestamp_derived\"");
    if is_object(text) && (upper || lower()) { 95 } else { 0 }
}

/// Whether a record is an object and no row.
pub(super) fn is_object(record: &str) -> bool {
    record.trim_start_matches('\u{feff}').trim_ascii_start().starts_with('{')
}

#[derive(Default)]
struct Columns<'a> {
    names: Vec<String>,
    cells: Vec<Cow<'a, str>>,
}

impl<'a> Visitor<'a> for Columns<'a> {
    fn value(&mut self, path: &str, value: Value<'a, '_>, _listed: bool) {
        // A list's second value is no second column.
        let name = path.to_ascii_uppercase();
        if self.names.len() < MAX_COLUMNS && !self.names.contains(&name) {
            self.names.push(name);
            self.cells.push(value.held());
        }
    }
}

/// The header that such an object carries with it, its cells, and what follows the object.
pub(super) fn read<'a>(reader: &mut Reader, text: &'a str) -> Result<(Header, Vec<Cow<'a, str>>, &'a str), JsonError> {
    let mut columns = Columns::default();
    let rest = reader.read(text, &mut columns)?;
    Ok((Header::named(String::new(), columns.names), columns.cells, rest))
}
