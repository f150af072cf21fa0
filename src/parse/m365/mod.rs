//! Microsoft 365 unified audit log, all workloads, Dynamics 365 and Dataverse among them: one record a line, an array, the
//! `AuditData` string inside an outer record, the `AuditData` column of a CSV export, a collector's wrapping.
//! Not for Entra's own sign-in log nor for Dataverse's `audit` table.

mod record;
mod tables;

use crmwatch_detectors::Event;

use super::json::{KeyTable, Reader, Value, each_item};
use super::json_lines::{Fault, NO_OBJECT, body, framing, with_repair};
use super::{Format, Framing, Grammar, Options, Verdict, csv};
use record::{Key, Record};

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: NAME,
    about: "Microsoft 365 unified audit log (JSON, or its CSV export), with Dynamics 365 CRM",
    sniff,
    grammar,
};

pub(super) use tables::operation;

const NAME: &str = "m365-audit";
/// Said of JSON that is no audit record.
const OTHER: &str = "not-an-audit-record";
/// An export has a dozen columns; more than this is no export.
const MAX_CELLS: usize = 256;
/// Wrappings of wrappings beyond this are refused.
const WRAPPINGS: u8 = 3;

/// Keys that collectors put a record under.
const COLLECTORS: &[&str] = &["office365", "o365.audit", "o365", "o365audit", "auditData"];

fn grammar(_options: &Options) -> Box<dyn Grammar> {
    Box::new(Audit { table: record::table(), reader: Reader::default(), items: Reader::default() })
}

struct Audit {
    table: KeyTable<Key>,
    reader: Reader,
    items: Reader,
}

impl Audit {
    /// The records in a text: one, several behind one another, or arrays of them.
    fn values(&mut self, record: &str, text: &str, depth: u8, events: &mut Vec<Event>) -> Result<Verdict, Fault> {
        let mut items: Vec<&str> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let before = items.len();
            let mut only_objects = true;
            let after = each_item(&mut self.items, rest, |item| match item {
                Value::Raw(item) if item.starts_with('{') => items.push(item),
                _ => only_objects = false,
            })?;
            if !only_objects || items.len() == before && !rest.starts_with('[') {
                return Err(Fault::NoObject);
            }
            rest = after.trim_start_matches(|letter: char| letter.is_ascii_whitespace() || letter == ',');
        }
        let mut verdict = Verdict::Skipped;
        for item in &items {
            let raw = if items.len() == 1 { record } else { item };
            match self.record(raw, item, depth, events)? {
                Verdict::Rejected(reason) => return Ok(Verdict::Rejected(reason)),
                one => verdict = one,
            }
        }
        Ok(verdict)
    }

    fn record(&mut self, raw: &str, object: &str, depth: u8, events: &mut Vec<Event>) -> Result<Verdict, Fault> {
        let prefixes = COLLECTORS.iter().map(|name| format!("{name}."));
        for prefix in std::iter::once(String::new()).chain(prefixes) {
            let mut record = Record::new(&mut self.table, raw, &prefix);
            self.reader.read(object, &mut record)?;
            if let Some(inner) = record.audit_data() {
                if depth == WRAPPINGS {
                    return Err(Fault::Deep);
                }
                return self.values(raw, inner.trim(), depth + 1, events);
            }
            if record.is_one() {
                events.push(record.finish());
                return Ok(Verdict::Parsed);
            }
        }
        Ok(Verdict::Rejected(OTHER))
    }

    /// A row of a CSV export: the cell that holds the record. A row without one is the header.
    fn row(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let text = record.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
        let Some(cells) = csv::cells(text, MAX_CELLS) else { return Verdict::Rejected("broken CSV") };
        if let Some(cell) = cells.iter().rev().find(|cell| cell.trim_start().starts_with('{')) {
            return match self.values(record, cell.trim(), 0, events) {
                Ok(verdict) => verdict,
                Err(fault) => fault.verdict(),
            };
        }
        match cells.iter().any(|cell| cell.eq_ignore_ascii_case("AuditData")) {
            true => Verdict::Skipped,
            false => Verdict::Rejected(NO_OBJECT),
        }
    }
}

fn is_csv(text: &[u8]) -> bool {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text).trim_ascii_start();
    !matches!(text.first(), Some(b'{' | b'[' | b']' | b',') | None)
}

fn sniff(text: &str) -> u8 {
    let has = |word: &str| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some();
    let Some(body) = body(text) else { return 0 };
    if is_csv(body.as_bytes()) {
        // The header of an export, or a row of it: the record's quotes are doubled.
        let header = has("AuditData") && has("Operation") && body.lines().count() == 1;
        let row = has("\"\"CreationTime\"\"") && has("\"\"Operation\"\"");
        return if header || row { 90 } else { 0 };
    }
    let created = ["\"CreationTime\"", "\"creationTime\"", "\"CREATIONTIME\"", "\"creationtime\""].into_iter().any(has);
    let marks =
        ["\"RecordType\"", "\"Workload\"", "\"recordType\"", "\"workload\"", "\"recordtype\""].into_iter().any(has);
    let inside = has("\"AuditData\"") && has("CreationTime") || has("\\\"CreationTime\\\"") && has("\\\"Operation\\\"");
    // Rows of Sentinel's and Log Analytics' tables.
    let row = has("\"TimeGenerated\"") && (has("\"OfficeWorkload\"") || has("\"CrmOrganizationUniqueName\""));
    if created && marks || inside || row { 95 } else { 0 }
}

impl Grammar for Audit {
    fn framing(&self, line: &[u8]) -> Framing {
        if is_csv(line) { Framing::QuotedCsv } else { framing(line) }
    }

    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let before = events.len();
        let verdict = match body(record) {
            Some(text) if is_csv(text.as_bytes()) => self.row(record, events),
            _ => with_repair(record, events, |text, events| self.values(record, text, 0, events)),
        };
        if let Verdict::Rejected(_) = verdict {
            events.truncate(before);
        }
        verdict
    }

    fn format(&self) -> &'static str {
        NAME
    }
}

#[cfg(test)]
mod tests;
