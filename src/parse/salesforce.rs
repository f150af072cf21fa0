//! Salesforce Event Log Files: CSV with a header, one event type a file; or their rows as JSON objects, as collectors hand them on. What types and columns mean is data (`salesforce/map`).
//! Not for the JSON of Real-Time Event Monitoring.

mod map;
mod object;
mod report;

use std::borrow::Cow;
use std::collections::HashMap;

use crmwatch_detectors::{Event, Field, Value};
use sha2::{Digest, Sha256};

use self::map::Column;
pub(super) use self::map::long_id;
use super::json::Reader;
use super::json_lines::SYNTAX;
use super::{Format, Framing, Grammar, NO_TIME, Options, Verdict, absent, actions, csv, ip, time};

/// Event Log File CSV.
pub const ELF: Format = Format {
    name: "salesforce-elf",
    about: "Salesforce Event Log File, any event type: CSV with a header row, or rows as JSON objects",
    sniff,
    grammar: |options: &Options| Box::new(Elf { zone: options.timezone, header: None, reader: Reader::default() }),
};

fn sniff(record: &str) -> u8 {
    if Header::of(record).is_some() { 100 } else { object::sniff(record) }
}

struct Elf {
    zone: chrono_tz::Tz,
    header: Option<Header>,
    reader: Reader,
}

struct Header {
    /// The row itself: the state that is carried on.
    row: String,
    /// By upper-case name.
    places: HashMap<String, usize>,
    names: Vec<String>,
    /// Places in the order of their names, so that the same row is the same delivery whatever the order of columns.
    sorted: Vec<usize>,
}

/// More columns than any event type has.
const MAX_COLUMNS: usize = 1_000;

impl Header {
    fn of(record: &str) -> Option<Header> {
        let record = record.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
        // Cheap first: most records are no header.
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
        let places = names.iter().enumerate().map(|(place, name)| (name.clone(), place)).collect();
        let mut sorted: Vec<usize> = (0..names.len()).collect();
        sorted.sort_by(|one, other| names[*one].cmp(&names[*other]));
        Header { row, places, names, sorted }
    }
}

/// A data row under its header.
struct Row<'r> {
    header: &'r Header,
    cells: Vec<Cow<'r, str>>,
}

impl Row<'_> {
    /// The cell of that column, unless it says nothing.
    fn get(&self, name: &str) -> Option<&str> {
        let cell = self.cells.get(*self.header.places.get(name)?)?.trim();
        (!absent(cell)).then_some(cell)
    }

    fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    fn number(&self, name: &str) -> Option<i64> {
        let cell = self.get(name)?;
        cell.parse()
            .ok()
            .or_else(|| cell.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number as i64))
    }

    /// The same for the same row in any file.
    fn delivery(&self) -> u64 {
        let mut hash = Sha256::new();
        for place in &self.header.sorted {
            let cell = self.cells[*place].trim();
            if !cell.is_empty() {
                hash.update(self.header.names[*place].as_bytes());
                hash.update([0]);
                hash.update(cell.as_bytes());
                hash.update([0]);
            }
        }
        let digest = hash.finalize();
        digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
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
            return match object::read(&mut self.reader, text) {
                Ok((header, cells, "")) => tell(record, &Row { header: &header, cells }, self.zone, events),
                _ => Verdict::Rejected(SYNTAX),
            };
        }
        let Some(header) = &self.header else { return Verdict::Rejected("no header before this row") };
        let text = record.trim_end_matches(['\r', '\n']);
        let Some(cells) = csv::cells(text, MAX_COLUMNS) else { return Verdict::Rejected("broken CSV") };
        if cells.len() != header.names.len() {
            return Verdict::Rejected("row does not fit its header");
        }
        tell(record, &Row { header, cells }, self.zone, events)
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
fn tell(record: &str, row: &Row<'_>, zone: chrono_tz::Tz, events: &mut Vec<Event>) -> Verdict {
    let Some(kind) = row.get("EVENT_TYPE") else { return Verdict::Rejected("no event type") };
    let mut event = Event::new(record);
    event.time = row
        .get("TIMESTAMP_DERIVED")
        .and_then(|stamp| time::iso(stamp, zone))
        .or_else(|| {
            row.get("TIMESTAMP").and_then(|stamp| time::compact(stamp).or_else(|| time::iso(stamp, chrono_tz::Tz::UTC)))
        })
        .unwrap_or(NO_TIME);
    event.delivery = Some(row.delivery());
    actions::set(&mut event, map::action(kind, row));
    columns(&mut event, record, row);
    people(&mut event, record, kind, row);
    particulars(&mut event, record, kind, row);
    event.set(Field::EventProvider, "salesforce");
    let mut dataset = String::from("salesforce.");
    dataset.push_str(&kind.to_ascii_lowercase());
    event.set(Field::EventDataset, &dataset);
    events.push(event);
    Verdict::Parsed
}

/// Every column: known ones to their fields, the others kept under their names.
fn columns(event: &mut Event, raw: &str, row: &Row<'_>) {
    for (name, cell) in row.header.names.iter().zip(&row.cells) {
        let cell = cell.trim();
        if absent(cell) {
            continue;
        }
        match map::column(name) {
            Column::Elsewhere => {}
            Column::Text(field) => {
                if !event.has(field) {
                    event.set_part(field, raw, cell);
                }
            }
            Column::Number(field) => {
                if let Some(number) = row.number(name).filter(|_| !event.has(field)) {
                    event.set_integer(field, number);
                }
            }
            Column::Milliseconds(field) => {
                if let Some(number) = row.number(name) {
                    event.set_integer(field, number.saturating_mul(1_000_000));
                }
            }
            Column::Id(field) => event.set(field, &long_id(cell)),
            Column::Agent => agent(event, raw, cell),
            Column::Kept => {
                let key = format!("salesforce.{}", name.to_ascii_lowercase());
                event.set_other(&key, Value::Text(cell));
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
    let id = row.first(&["USER_ID_DERIVED", "USER_ID"]).map(long_id);
    let name = row.first(&["USER_NAME", "USERNAME"]);
    if kind.eq_ignore_ascii_case("LoginAs") {
        // The administrator is the delegated user; the row's user is the one taken over.
        if let Some(id) = row.first(&["DELEGATED_USER_ID_DERIVED", "DELEGATED_USER_ID"]) {
            event.set(Field::UserId, &long_id(id));
        }
        if let Some(name) = row.get("DELEGATED_USER_NAME") {
            user_name(event, raw, name);
        }
        if let Some(id) = id {
            event.set(Field::UserEffectiveId, &id);
            event.copy(Field::UserEffectiveId, Field::UserTargetId);
        }
        if let Some(name) = name {
            event.set_part(Field::UserEffectiveName, raw, name);
            event.copy(Field::UserEffectiveName, Field::UserTargetName);
        }
    } else {
        if let Some(id) = id {
            event.set(Field::UserId, &id);
        }
        if let Some(name) = name.or_else(|| row.get("USER_EMAIL")) {
            user_name(event, raw, name);
        }
    }
    let address = [row.get("SOURCE_IP"), row.get("CLIENT_IP")];
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
    let outcome = match (row.get("LOGIN_STATUS"), row.get("REQUEST_STATUS")) {
        (Some(status), _) if kind.eq_ignore_ascii_case("Login") => {
            let outcome = map::login_outcome(status);
            if outcome != "success" {
                event.set_part(Field::EventReason, raw, status);
            }
            outcome
        }
        (_, Some(status)) => map::request_outcome(status),
        _ => match (row.first(&["SUCCESS", "IS_SUCCESS"]), row.number("STATUS_CODE")) {
            (Some("1" | "true" | "True" | "TRUE"), _) => "success",
            (Some("0" | "false" | "False" | "FALSE"), _) => "failure",
            (_, status) => status.and_then(actions::of_status).unwrap_or("unknown"),
        },
    };
    event.set(Field::EventOutcome, outcome);
    if let Some(path) = row.first(&["PAGE_URL", "URI"]).filter(|uri| uri.starts_with('/')) {
        super::target::locate(event, raw, path);
    }
    if let Some(query) = row.get("QUERY") {
        // A page's query string, or a query in Salesforce's own language.
        let page = kind.eq_ignore_ascii_case("VisualforceRequest") || kind.eq_ignore_ascii_case("Sites");
        event.set_part(if page { Field::UrlQuery } else { Field::Query }, raw, query);
    }
    if let (Some(rows), Some(size)) = (row.number("ROW_COUNT"), row.number("AVERAGE_ROW_SIZE")) {
        event.set_integer(Field::Bytes, rows.saturating_mul(size));
    }
    if kind.eq_ignore_ascii_case("ReportExport") {
        if let Some(description) = row.get("REPORT_DESCRIPTION") {
            report::describe(event, description);
        }
        let id = row.get("URI").and_then(|uri| uri.trim_start_matches('/').split(['?', '/']).next());
        if let Some(id) = id.filter(|id| id.starts_with("00O") && !event.has(Field::ReportId)) {
            event.set(Field::ReportId, &long_id(id));
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
