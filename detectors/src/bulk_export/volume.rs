//! How much data one event took out, in records. Not for adding up (`window`).

use super::Settings;
use crate::baseline::stable_hash;
use crate::event::Event;
use crate::field::Field;

/// Bytes one record takes in a file, where only bytes are known.
const RECORD_BYTES: f64 = 350.0;
/// A page of rows on a screen is looked at, not taken away: five count as one.
const LIST_WEIGHT: f64 = 0.2;
const REPORT_WEIGHT: f64 = 0.2;
/// Rows of a report that a screen shows (Salesforce's limit), however many it was made from; taking out the rest is an export of its own.
const REPORT_ROWS: f64 = 2_000.0;
/// An API call of a browser is a page of an application.
const BROWSER_API_WEIGHT: f64 = 0.25;
/// Rows of a page whose number only its bytes tell: more do not fit on a screen, and the rest of a large page is its dress.
const PAGE_ROWS: f64 = 100.0;
/// What a document counts as, a contract or an offer for instance.
const DOCUMENT_RECORDS: f64 = 10.0;
const PRINT_RECORDS: f64 = 50.0;
/// Ends of names of files that hold tables, or anything at all.
const TABLES: [&str; 10] = [".csv", ".tsv", ".xls", ".xlsx", ".json", ".xml", ".zip", ".gz", ".parquet", ".sql"];

/// What one event took out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Volume {
    /// Records, weighted.
    pub records: f64,
    /// Whether it is an act of exporting and not of looking.
    pub export: bool,
}

/// Whether a program speaks: a script, an API client that does not say what it is, or an account that the people file calls one.
pub(super) fn program(event: &Event) -> bool {
    match event.text(Field::UserAgentDevice) {
        Some("script" | "crawler") => true,
        Some("desktop" | "mobile") => false,
        _ if event.person.as_ref().is_some_and(|person| person.is_program()) => true,
        _ => !event.has(Field::UserAgent) && matches!(event.text(Field::EventAction), Some("api-call" | "bulk-api")),
    }
}

/// Whether a person speaks for certain: through a browser.
pub(super) fn browser(event: &Event) -> bool {
    matches!(event.text(Field::UserAgentDevice), Some("desktop" | "mobile"))
}

/// Records changed by one command. Those that were read before are being worked on where they lie, not taken out.
pub(super) fn written(event: &Event) -> Option<f64> {
    let changes = match event.text(Field::EventAction)? {
        "update" => true,
        "api-call" | "bulk-api" => writes(event),
        _ => false,
    };
    let records = event.integer(Field::Records).filter(|records| changes && *records > 1)?;
    (event.text(Field::EventOutcome) != Some("failure")).then_some((records as f64).min(1e9))
}

/// Which page of which list an event shows, where the log tells.
pub(super) fn page(event: &Event) -> Option<u32> {
    let listed = matches!(event.text(Field::EventAction), Some("list" | "search"));
    event.text(Field::UrlQuery).filter(|query| listed && !query.is_empty()).map(stable_hash)
}

/// The volume of an event, if it took any data out. `harvest`: it is one of so many pages that nobody reads them; `exported`: a file
/// downloaded now may be what an export just before has made.
pub(super) fn of(event: &Event, harvest: bool, exported: bool, settings: &Settings) -> Option<Volume> {
    let action = event.text(Field::EventAction)?;
    let known = event.integer(Field::Records).filter(|records| *records >= 0).map(|records| records as f64);
    let (weight, unknown, export) = match action {
        "export" => (1.0, bytes(event).map_or(settings.records_when_unknown, |bytes| bytes / RECORD_BYTES), true),
        "bulk-api" if writes(event) => return None,
        "bulk-api" => (1.0, settings.records_when_unknown, true),
        "report-run" => (REPORT_WEIGHT, settings.records_when_unknown, false),
        // The export itself was counted when it was asked for.
        "file-download" if exported => (1.0, bytes(event).map_or(0.0, |bytes| bytes / RECORD_BYTES), false),
        "file-download" if is_table(event) => {
            (1.0, bytes(event).map_or(settings.records_when_unknown, |bytes| bytes / RECORD_BYTES), true)
        }
        "file-download" => (1.0, DOCUMENT_RECORDS, true),
        "print" => {
            let unknown = if is_report(event) { PRINT_RECORDS } else { 1.0 };
            (1.0, bytes(event).map_or(unknown, |bytes| (bytes / RECORD_BYTES).min(PRINT_RECORDS)), true)
        }
        "list" | "search" => {
            let rows = bytes(event).map_or(0.0, |bytes| (bytes / RECORD_BYTES).min(PAGE_ROWS));
            (if harvest { 1.0 } else { LIST_WEIGHT }, rows, false)
        }
        "api-call" if writes(event) => return None,
        "api-call" if program(event) => (1.0, bytes(event).map_or(0.0, |bytes| bytes / RECORD_BYTES), false),
        "api-call" => (BROWSER_API_WEIGHT, 0.0, false),
        _ => return None,
    };
    if event.text(Field::EventOutcome) == Some("failure") {
        return None;
    }
    let columns = event.integer(Field::Columns).map_or(1.0, |columns| (columns as f64 / 10.0).clamp(1.0, 5.0));
    let sensitivity = match event.text(Field::ObjectType) {
        Some(object) if !settings.sensitive_objects.is_empty() => {
            settings.sensitive_objects.get(&object.to_lowercase()).copied().unwrap_or(1.0)
        }
        _ => 1.0,
    };
    let most = if action == "report-run" { REPORT_ROWS } else { 1e9 };
    let records = known.unwrap_or(unknown).min(most) * weight * columns * sensitivity.clamp(0.0, 100.0);
    (records > 0.0).then_some(Volume { records, export })
}

fn bytes(event: &Event) -> Option<f64> {
    [Field::Bytes, Field::HttpResponseBytes, Field::FileSize]
        .into_iter()
        .find_map(|field| event.integer(field).filter(|bytes| *bytes > 0))
        .map(|bytes| bytes as f64)
}

fn is_report(event: &Event) -> bool {
    event.has(Field::ReportId) || event.text(Field::ObjectType).is_some_and(|kind| kind.eq_ignore_ascii_case("report"))
}

fn is_table(event: &Event) -> bool {
    [Field::FileName, Field::UrlPath].into_iter().filter_map(|field| event.text(field)).any(|name| {
        TABLES.iter().any(|end| {
            name.len() >= end.len() && name.as_bytes()[name.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
        })
    })
}

fn writes(event: &Event) -> bool {
    matches!(event.text(Field::HttpMethod), Some("PUT" | "PATCH" | "DELETE"))
        || matches!(event.text(Field::EventType), Some("creation" | "change" | "deletion"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BERLIN, event, with};

    fn volume(event: &Event) -> f64 {
        of(event, false, false, &Settings::default()).map_or(0.0, |volume| volume.records)
    }

    #[test]
    fn every_channel_counts_by_what_it_carries() {
        assert_eq!(volume(&event(0, "mia", BERLIN, "export", 500)), 500.0);
        assert_eq!(volume(&event(0, "mia", BERLIN, "list", 50)), 10.0);
        assert_eq!(volume(&event(0, "mia", BERLIN, "view", 1)), 0.0);
        let mut wide = event(0, "mia", BERLIN, "export", 100);
        wide.set_integer(Field::Columns, 30);
        assert_eq!(volume(&wide), 300.0);
    }

    #[test]
    fn a_page_whose_rows_nobody_logged_counts_by_its_bytes_as_far_as_a_screen_reaches() {
        let mut page = event(0, "mia", BERLIN, "list", -1);
        page.set_integer(Field::HttpResponseBytes, 17_500);
        assert_eq!(volume(&page), 10.0);
        assert_eq!(of(&page, true, false, &Settings::default()).map(|volume| volume.records), Some(50.0));
        page.set_integer(Field::HttpResponseBytes, 9_000_000);
        assert_eq!(volume(&page), 20.0);
        let mut call = with(event(0, "mia", BERLIN, "api-call", -1), Field::UserAgentDevice, "script");
        call.set_integer(Field::HttpResponseBytes, 350_000);
        assert_eq!(volume(&call), 1_000.0);
    }

    #[test]
    fn bytes_stand_in_for_records_of_tables_and_not_of_documents() {
        let mut file = with(event(0, "mia", BERLIN, "file-download", -1), Field::FileName, "All Contacts.CSV");
        file.set_integer(Field::HttpResponseBytes, 3_500_000);
        assert_eq!(volume(&file), 10_000.0);
        file.set(Field::FileName, "contract.pdf");
        assert_eq!(volume(&file), 10.0);
        let mut nameless = event(0, "mia", BERLIN, "file-download", -1);
        nameless.set_integer(Field::HttpResponseBytes, 3_500_000);
        assert_eq!(volume(&nameless), 10.0);
        let followed = of(&nameless, false, true, &Settings::default()).map(|volume| volume.records);
        assert_eq!(followed, Some(10_000.0), "the file an export has just made");
    }

    #[test]
    fn a_printed_report_is_a_list_and_a_printed_record_is_one() {
        let print = event(0, "mia", BERLIN, "print", -1);
        assert_eq!(volume(&print), 1.0);
        assert_eq!(volume(&with(print, Field::ObjectType, "Report")), PRINT_RECORDS);
    }

    #[test]
    fn what_failed_or_was_written_is_no_export() {
        assert_eq!(volume(&with(event(0, "mia", BERLIN, "export", 500), Field::EventOutcome, "failure")), 0.0);
        assert_eq!(volume(&with(event(0, "mia", BERLIN, "bulk-api", 500), Field::HttpMethod, "PATCH")), 0.0);
        assert_eq!(volume(&event(0, "mia", BERLIN, "export", i64::MIN)), 100.0);
    }
}
