//! Salesforce Event Log Files: CSV with a header, one event type a file; or their rows as JSON objects, as collectors hand them on. What types and columns mean is data (`salesforce/map`).
//! Not for the JSON of Real-Time Event Monitoring.

mod map;
mod object;
mod report;

use std::borrow::Cow;

use crmwatch_detectors::{Event, Field, UnknownName};
use sha2::{Digest, Sha256};

pub(super) use self::map::long_id;
use self::map::{Column, Named};
use super::json::Reader;
use super::json_lines::SYNTAX;
use super::{Format, Framing, Grammar, NO_TIME, Options, Verdict, absent, actions, csv, ip, time};

/// Event Log File CSV.
pub const ELF: Format = Format {
    name: "salesforce-elf",
    about: "Salesforce Event Log File, any event type: CSV with a header row, or rows as JSON objects",
    sniff,
    grammar: |options: &Options| {
        Box::new(Elf {
            zone: options.timezone,
            header: None,
            objects: Default::default(),
            reader: Reader::default(),
            buffer: Vec::new(),
        })
    },
};

fn sniff(record: &str) -> u8 {
    if Header::of(record).is_some() { 100 } else { object::sniff(record) }
}

struct Elf {
    zone: chrono_tz::Tz,
    header: Option<Header>,
    /// Columns of the last row that was an object; the next one mostly has the same.
    objects: object::Columns,
    reader: Reader,
    /// What a row's delivery is a hash of.
    buffer: Vec<u8>,
}

struct Header {
    /// The row itself: the state that is carried on.
    row: String,
    /// In upper case.
    names: Vec<String>,
    /// Where each column goes, and what it is called where it is kept.
    columns: Vec<(Column, Option<UnknownName>)>,
    /// Places of the columns that the code reads by name.
    places: [Option<u16>; Named::COUNT],
    /// What stands for each name in the hash of a row: the beginning of a hash of its own.
    marks: Vec<[u8; 2]>,
    /// Places in the order of their names, so that the same row is the same delivery whatever the order of columns.
    sorted: Vec<usize>,
}

/// More columns than any event type has.
const MAX_COLUMNS: usize = 1_000;
/// Digits of a header.
const MOST_DIGITS: usize = 20;

impl Header {
    fn of(record: &str) -> Option<Header> {
        // Cheap first: a row has stamps, and most records are no header.
        if record.bytes().filter(u8::is_ascii_digit).nth(MOST_DIGITS).is_some() {
            return None;
        }
        let record = record.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
        memchr::memmem::find(record.as_bytes(), b"EVENT_TYPE")
            .or_else(|| memchr::memmem::find(record.as_bytes(), b"event_type"))?;
        let names: Vec<String> =
            csv::cells(record, MAX_COLUMNS)?.iter().map(|cell| cell.trim().to_ascii_uppercase()).collect();
        let has = |name: &str| names.iter().any(|known| known == name);
        if !has("EVENT_TYPE") || !(has("TIMESTAMP") || has("TIMESTAMP_DERIVED")) {
            return None;
        }
        Some(Header::named(record.to_owned(), names))
    }

    /// A header of these upper-case names.
    fn named(row: String, names: Vec<String>) -> Header {
        let mut places = [None; Named::COUNT];
        let mut columns = Vec::with_capacity(names.len());
        for (place, name) in names.iter().enumerate() {
            if let Some(known) = Named::of(name) {
                places[known as usize] = u16::try_from(place).ok();
            }
            let column = map::column(name);
            let kept = (column == Column::Kept).then(|| format!("salesforce.{}", name.to_ascii_lowercase()));
            columns.push((column, kept.and_then(|name| UnknownName::of(&name))));
        }
        // What was derived from another column is the same where that is.
        let derived =
            |name: &String| name.strip_suffix("_DERIVED").is_some_and(|base| names.iter().any(|name| name == base));
        let mut sorted: Vec<usize> = (0..names.len()).filter(|place| !derived(&names[*place])).collect();
        sorted.sort_by(|one, other| names[*one].cmp(&names[*other]));
        let mark = |name: &String| *Sha256::digest(name.as_bytes()).first_chunk().expect("a hash has 32 bytes");
        let marks = names.iter().map(mark).collect();
        Header { row, names, columns, places, marks, sorted }
    }
}

/// A data row under its header; its cells have no blanks around them.
struct Row<'r> {
    header: &'r Header,
    cells: &'r [Cow<'r, str>],
}

impl<'r> Row<'r> {
    /// The cell of that column, unless it says nothing.
    fn get(&self, name: Named) -> Option<&'r str> {
        let cell = &**self.cells.get(usize::from(self.header.places[name as usize]?))?;
        (!absent(cell)).then_some(cell)
    }

    fn first(&self, names: &[Named]) -> Option<&'r str> {
        names.iter().find_map(|name| self.get(*name))
    }

    fn number(&self, name: Named) -> Option<i64> {
        number(self.get(name)?)
    }

    /// The same for the same row in any file.
    fn delivery(&self, buffer: &mut Vec<u8>) -> u64 {
        buffer.clear();
        for place in &self.header.sorted {
            let cell = &self.cells[*place];
            if !cell.is_empty() {
                buffer.extend_from_slice(&self.header.marks[*place]);
                buffer.extend_from_slice(cell.as_bytes());
                buffer.push(0);
            }
        }
        let digest = Sha256::digest(&*buffer);
        digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

/// Takes the blanks around a cell away; hardly any has some.
fn trim(cell: &mut Cow<'_, str>) {
    let plain = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_graphic);
    if plain(cell.as_bytes().first()) && plain(cell.as_bytes().last()) {
        return;
    }
    match cell {
        Cow::Borrowed(text) => *text = text.trim(),
        Cow::Owned(text) => *text = text.trim().to_owned(),
    }
}

/// A whole number; of a fraction what stands before the point.
fn number(cell: &str) -> Option<i64> {
    cell.parse()
        .ok()
        .or_else(|| cell.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number as i64))
}

impl Grammar for Elf {
    fn framing(&self, line: &[u8]) -> Framing {
        if line.trim_ascii_start().starts_with(b"{") { Framing::Json } else { Framing::QuotedCsv }
    }

    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        if record.trim_ascii().is_empty() {
            return Verdict::Skipped;
        }
        // A concatenated export holds headers among the data; the last one is in force.
        if let Some(header) = Header::of(record) {
            self.header = Some(header);
            return Verdict::Skipped;
        }
        if object::is_object(record) {
            let text = record.trim_start_matches('\u{feff}').trim_ascii();
            let Ok((header, mut cells, "")) = self.objects.read(&mut self.reader, text) else {
                return Verdict::Rejected(SYNTAX);
            };
            cells.iter_mut().for_each(trim);
            return tell(record, &Row { header, cells: &cells }, self.zone, &mut self.buffer, events);
        }
        let Some(header) = &self.header else { return Verdict::Rejected("no header before this row") };
        let text = record.trim_end_matches(['\r', '\n']);
        let Some(mut cells) = csv::cells(text, MAX_COLUMNS) else { return Verdict::Rejected("broken CSV") };
        cells.iter_mut().for_each(trim);
        if cells.len() != header.names.len() {
            return Verdict::Rejected("row does not fit its header");
        }
        tell(record, &Row { header, cells: &cells }, self.zone, &mut self.buffer, events)
    }

    fn state(&self) -> String {
        self.header.as_ref().map(|header| header.row.clone()).unwrap_or_default()
    }

    fn resume(&mut self, state: &str) {
        self.header = Header::of(state);
    }

    fn format(&self) -> &'static str {
        ELF.name
    }
}

/// The event of a row.
fn tell(record: &str, row: &Row<'_>, zone: chrono_tz::Tz, buffer: &mut Vec<u8>, events: &mut Vec<Event>) -> Verdict {
    let Some(kind) = row.get(Named::EventType) else { return Verdict::Rejected("no event type") };
    let mut event = Event::new(record);
    event.time = row
        .get(Named::TimestampDerived)
        .and_then(|stamp| time::iso(stamp, zone))
        .or_else(|| {
            row.get(Named::Timestamp)
                .and_then(|stamp| time::compact(stamp).or_else(|| time::iso(stamp, chrono_tz::Tz::UTC)))
        })
        .unwrap_or(NO_TIME);
    event.delivery = Some(row.delivery(buffer));
    actions::set(&mut event, map::action(kind, row));
    columns(&mut event, record, row);
    people(&mut event, record, kind, row);
    particulars(&mut event, record, kind, row);
    event.set(Field::EventProvider, "salesforce");
    dataset(&mut event, kind);
    events.push(event);
    Verdict::Parsed
}

/// `salesforce.` and the type in lower case, written without asking for memory where the type is as short as types are.
fn dataset(event: &mut Event, kind: &str) {
    const HEAD: &[u8] = b"salesforce.";
    let mut name = [0; 64];
    let end = HEAD.len() + kind.len();
    if let Some(whole) = name.get_mut(..end) {
        whole[..HEAD.len()].copy_from_slice(HEAD);
        whole[HEAD.len()..].copy_from_slice(kind.as_bytes());
        whole.make_ascii_lowercase();
        if let Ok(text) = std::str::from_utf8(whole) {
            return event.set(Field::EventDataset, text);
        }
    }
    event.set(Field::EventDataset, &format!("salesforce.{}", kind.to_ascii_lowercase()));
}

/// Every column: known ones to their fields, the others kept under their names.
fn columns(event: &mut Event, raw: &str, row: &Row<'_>) {
    for ((column, kept), cell) in row.header.columns.iter().zip(row.cells) {
        if absent(cell) {
            continue;
        }
        match *column {
            Column::Elsewhere => {}
            Column::Text(field) => {
                if !event.has(field) {
                    event.set_part(field, raw, cell);
                }
            }
            Column::Number(field) => {
                if let Some(number) = number(cell).filter(|_| !event.has(field)) {
                    event.set_integer(field, number);
                }
            }
            Column::Milliseconds(field) => {
                if let Some(number) = number(cell) {
                    event.set_integer(field, number.saturating_mul(1_000_000));
                }
            }
            Column::Id(field) => event.set_part(field, raw, &long_id(cell)),
            Column::Agent => agent(event, raw, cell),
            Column::Kept => {
                if let Some(name) = kept {
                    event.set_unknown_part(name, raw, cell);
                }
            }
        }
    }
}

/// Some types write a number in the place of the agent, some quote it once more, some encode its colons.
fn agent(event: &mut Event, raw: &str, cell: &str) {
    let cell = cell.trim_matches('"');
    if cell.bytes().all(|byte| byte.is_ascii_digit()) || event.has(Field::UserAgent) {
        return;
    }
    match report::percent_decoded(cell, false) {
        Cow::Borrowed(text) => event.set_part(Field::UserAgent, raw, text),
        Cow::Owned(text) => event.set(Field::UserAgent, &text),
    }
}

fn people(event: &mut Event, raw: &str, kind: &str, row: &Row<'_>) {
    let id = row.first(&[Named::UserIdDerived, Named::UserId]).map(long_id);
    let name = row.first(&[Named::UserName, Named::Username]);
    if kind.eq_ignore_ascii_case("LoginAs") {
        // The administrator is the delegated user; the row's user is the one taken over.
        if let Some(id) = row.first(&[Named::DelegatedUserIdDerived, Named::DelegatedUserId]) {
            event.set_part(Field::UserId, raw, &long_id(id));
        }
        if let Some(name) = row.get(Named::DelegatedUserName) {
            user_name(event, raw, name);
        }
        if let Some(id) = id {
            event.set_part(Field::UserEffectiveId, raw, &id);
            event.copy(Field::UserEffectiveId, Field::UserTargetId);
        }
        if let Some(name) = name {
            event.set_part(Field::UserEffectiveName, raw, name);
            event.copy(Field::UserEffectiveName, Field::UserTargetName);
        }
    } else {
        if let Some(id) = id {
            event.set_part(Field::UserId, raw, &id);
        }
        if let Some(name) = name.or_else(|| row.get(Named::UserEmail)) {
            user_name(event, raw, name);
        }
    }
    let address = [row.get(Named::SourceIp), row.get(Named::ClientIp)];
    let best = address.iter().flatten().find(|text| ip::address(text).is_some()).or(address.iter().flatten().next());
    if let Some(text) = best {
        ip::set_source(event, raw, text);
    }
}

fn user_name(event: &mut Event, raw: &str, name: &str) {
    event.set_part(Field::UserName, raw, name);
    if name.contains('@') {
        event.copy(Field::UserName, Field::UserEmail);
    }
}

/// What a type says in its own columns, and how it ended.
fn particulars(event: &mut Event, raw: &str, kind: &str, row: &Row<'_>) {
    let outcome = match (row.get(Named::LoginStatus), row.get(Named::RequestStatus)) {
        (Some(status), _) if kind.eq_ignore_ascii_case("Login") => {
            let outcome = map::login_outcome(status);
            if outcome != "success" {
                event.set_part(Field::EventReason, raw, status);
            }
            outcome
        }
        (_, Some(status)) => map::request_outcome(status),
        _ => match (row.first(&[Named::Success, Named::IsSuccess]), row.number(Named::StatusCode)) {
            (Some("1" | "true" | "True" | "TRUE"), _) => "success",
            (Some("0" | "false" | "False" | "FALSE"), _) => "failure",
            (_, status) => status.and_then(actions::of_status).unwrap_or("unknown"),
        },
    };
    event.set(Field::EventOutcome, outcome);
    if let Some(path) = row.first(&[Named::PageUrl, Named::Uri]).filter(|uri| uri.starts_with('/')) {
        super::target::locate(event, raw, path);
    }
    if let Some(query) = row.get(Named::Query) {
        // A page's query string, or a query in Salesforce's own language.
        let page = kind.eq_ignore_ascii_case("VisualforceRequest") || kind.eq_ignore_ascii_case("Sites");
        event.set_part(if page { Field::UrlQuery } else { Field::Query }, raw, query);
    }
    if let (Some(rows), Some(size)) = (row.number(Named::RowCount), row.number(Named::AverageRowSize)) {
        event.set_integer(Field::Bytes, rows.saturating_mul(size));
    }
    if kind.eq_ignore_ascii_case("ReportExport") {
        if let Some(description) = row.get(Named::ReportDescription) {
            report::describe(event, description);
        }
        let id = row.get(Named::Uri).and_then(|uri| uri.trim_start_matches('/').split(['?', '/']).next());
        if let Some(id) = id.filter(|id| id.starts_with("00O") && !event.has(Field::ReportId)) {
            event.set_part(Field::ReportId, raw, &long_id(id));
        }
    }
    if kind.eq_ignore_ascii_case("ContentDocumentLink") {
        event.set(Field::ShareScope, "internal");
    }
    if kind.eq_ignore_ascii_case("ContentDistribution") {
        event.set(Field::ShareScope, "public");
    }
}

#[cfg(test)]
#[path = "salesforce_tests.rs"]
mod tests;
