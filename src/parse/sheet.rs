//! CSV exports of audit and login pages: a header row in whatever words and order, rows under it. One reading for all; each vendor's
//! sheet says what its headings and verbs are. Not for Event Log Files, whose columns are fixed (`salesforce`).

use std::borrow::Cow;

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field, Millis};
use sha2::{Digest, Sha256};

use super::json::Value;
use super::json_lines::is_mail;
use super::{Framing, Grammar, NO_TIME, Options, Verdict, absent, actions, amount, csv, ip, spoken_time, time};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// When.
    Time,
    /// When the session ended that began at [`Column::Time`].
    End,
    /// Who acted.
    User,
    /// From where.
    Address,
    /// What was done, in words.
    Action,
    /// How it ended.
    Outcome,
    /// Whether it was refused.
    Denied,
    /// A number of records.
    Records,
    /// Text for a field.
    Text(Field),
}

/// A vendor's sheet.
pub(super) struct Sheet {
    /// The format's name.
    pub name: &'static str,
    /// `event.provider`.
    pub provider: &'static str,
    /// Headings, in lower case without blanks, dashes and underscores; the earlier ones first where two of a kind are there.
    pub headings: &'static [(&'static str, Column)],
    /// Headings that must be there, whatever stands beside them: any of each row.
    pub required: &'static [&'static [&'static str]],
    /// Words in the action's text, in lower case, to action; the first that is part of it counts.
    pub words: &'static [(&'static str, &'static str)],
    /// The action where no word is known or no column says one.
    pub otherwise: &'static str,
    /// The zone of stamps without one where the source names none.
    pub zone: Option<Tz>,
}

/// Starts reading a file of a sheet.
pub(super) fn grammar(sheet: &'static Sheet, options: &Options) -> Box<dyn Grammar> {
    let zone = sheet.zone.filter(|_| options.timezone == Tz::UTC).unwrap_or(options.timezone);
    Box::new(Rows { sheet, zone, header: None })
}

/// How surely a record is the sheet's header.
pub(super) fn sniff(sheet: &'static Sheet, record: &str, sure: u8) -> u8 {
    if Header::of(sheet, record).is_some() { sure } else { 0 }
}

/// Digits in a row of a heading, `Address 2`; a year has four, and each row has one.
const MOST_DIGITS: usize = 3;
/// Between cells: spreadsheets of some languages write semicolons.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
/// More columns than any export has.
const MAX_COLUMNS: usize = 200;

struct Header {
    /// The row itself: the state that is carried on.
    row: String,
    separator: u8,
    names: Vec<String>,
    columns: Vec<Option<Column>>,
}

fn squeezed(heading: &str) -> String {
    let plain = |letter: &char| !matches!(letter, ' ' | '_' | '-' | '.' | '\u{feff}' | '"' | ':' | '：' | '(' | ')');
    heading.chars().filter(plain).flat_map(char::to_lowercase).collect()
}

impl Header {
    fn of(sheet: &'static Sheet, record: &str) -> Option<Header> {
        let row = record.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
        // A header is short and has no digits to speak of; rows have a time, and fall through here.
        if row.len() > 4_000 || row.as_bytes().windows(MOST_DIGITS + 1).any(|run| run.iter().all(u8::is_ascii_digit)) {
            return None;
        }
        SEPARATORS.iter().find_map(|separator| Header::between(sheet, row, *separator))
    }

    fn between(sheet: &'static Sheet, row: &str, separator: u8) -> Option<Header> {
        memchr::memchr(separator, row.as_bytes())?;
        let cells = csv::cells_between(row, separator, MAX_COLUMNS)?;
        let names: Vec<String> = cells.iter().map(|cell| squeezed(cell)).collect();
        let there = |any: &&[&str]| any.iter().any(|heading| names.iter().any(|name| name == heading));
        if !sheet.required.iter().all(there) {
            return None;
        }
        let mut columns: Vec<Option<Column>> = vec![None; names.len()];
        for (heading, column) in sheet.headings {
            // Of two columns of a kind the one whose heading stands earlier in the sheet's list counts.
            if let Some(at) = names.iter().position(|name| name == heading)
                && columns[at].is_none()
                && !columns.contains(&Some(*column))
            {
                columns[at] = Some(*column);
            }
        }
        let names = cells.iter().map(|cell| cell.trim().to_owned()).collect();
        Some(Header { row: row.to_owned(), separator, names, columns })
    }
}

struct Rows {
    sheet: &'static Sheet,
    zone: Tz,
    header: Option<Header>,
}

impl Grammar for Rows {
    fn framing(&self, _line: &[u8]) -> Framing {
        Framing::QuotedCsv
    }

    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        if record.trim_ascii().is_empty() {
            return Verdict::Skipped;
        }
        if let Some(header) = Header::of(self.sheet, record) {
            self.header = Some(header);
            return Verdict::Skipped;
        }
        let Some(header) = &self.header else { return Verdict::Rejected("no header before this row") };
        let row = record.trim_end_matches(['\r', '\n']);
        let Some(cells) = csv::cells_between(row, header.separator, MAX_COLUMNS) else {
            return Verdict::Rejected("broken CSV");
        };
        // Trailing empty cells are left out by some programs, and added by others.
        if cells.len() < 2 || cells.len() > header.names.len() + 1 {
            return Verdict::Rejected("row does not fit its header");
        }
        self.tell(record, header, &cells, events)
    }

    fn state(&self) -> String {
        self.header.as_ref().map(|header| header.row.clone()).unwrap_or_default()
    }

    fn resume(&mut self, state: &str) {
        self.header = Header::of(self.sheet, state);
    }

    fn format(&self) -> &'static str {
        self.sheet.name
    }
}

impl Rows {
    fn tell(&self, raw: &str, header: &Header, cells: &[Cow<'_, str>], events: &mut Vec<Event>) -> Verdict {
        let mut event = Event::new(raw);
        event.time = NO_TIME;
        let (mut verb, mut result, mut end, mut denied) = ("", "", None, None);
        for (cell, (name, column)) in cells.iter().zip(header.names.iter().zip(&header.columns)) {
            let cell = cell.trim();
            if absent(cell) || cell.starts_with("0000-00-00") {
                continue;
            }
            match column {
                Some(Column::Time) => event.time = moment(cell, self.zone).unwrap_or(NO_TIME),
                Some(Column::End) => end = moment(cell, self.zone),
                Some(Column::User) => {
                    event.set_part(Field::UserName, raw, cell);
                    if is_mail(cell) {
                        event.copy(Field::UserName, Field::UserEmail);
                    }
                }
                Some(Column::Address) => ip::set_source(&mut event, raw, cell),
                Some(Column::Action) => verb = cell,
                Some(Column::Outcome) => result = cell,
                Some(Column::Denied) => denied = Value::Plain(cell).bool(),
                Some(Column::Records) => {
                    if let Ok(count) = cell.replace([',', ' '], "").parse() {
                        event.set_integer(Field::Records, count);
                    }
                }
                Some(Column::Text(field)) => event.set_part(*field, raw, cell),
                None if !name.is_empty() => event.set_other_part(name, raw, cell),
                None => {}
            }
        }
        if event.time == NO_TIME && !event.has(Field::UserName) && verb.is_empty() {
            return Verdict::Rejected("row says neither when nor who nor what");
        }
        // `Invalid Password` says how a login ended, not that a password was changed.
        let told = |result: &str| outcome(result).is_none().then(|| self.action(result)).flatten();
        // A sheet that says what was done is of more than logins.
        let otherwise = if verb.is_empty() { self.sheet.otherwise } else { "info" };
        let action = self.action(verb).or_else(|| told(result)).unwrap_or(otherwise);
        actions::set(&mut event, action);
        let refused = denied.map(|denied| if denied { "failure" } else { "success" });
        let outcome = refused.or_else(|| outcome(result)).or_else(|| outcome(verb)).unwrap_or("success");
        event.set(Field::EventOutcome, outcome);
        if !verb.is_empty() {
            event.set_part(Field::EventCode, raw, verb);
        }
        if event.text(Field::EventOutcome) == Some("failure") && !result.is_empty() && !event.has(Field::EventReason) {
            event.set_part(Field::EventReason, raw, result);
        }
        amount::tell(&mut event);
        event.set(Field::EventProvider, self.sheet.provider);
        event.set(Field::EventDataset, self.sheet.name);
        // A later export repeats the rows of an earlier one: the same row is the same event.
        event.delivery = Some(delivery(raw));
        if let Some(time) = end {
            let mut closing = event.clone();
            closing.time = time;
            actions::set(&mut closing, "logout");
            closing.delivery = event.delivery.map(|delivery| !delivery);
            events.push(event);
            events.push(closing);
        } else {
            events.push(event);
        }
        Verdict::Parsed
    }

    fn action(&self, verb: &str) -> Option<&'static str> {
        let lower = verb.to_lowercase();
        let word = self.sheet.words.iter().find(|(word, _)| lower.contains(word));
        word.map(|(_, action)| *action).or_else(|| actions::action(verb))
    }
}

fn outcome(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    let failed = ["fail", "denied", "invalid", "blocked", "失败", "错误", "拒绝", "error"];
    if failed.iter().any(|word| lower.contains(word)) {
        return Some("failure");
    }
    if lower.contains("interrupted") {
        return Some("unknown");
    }
    actions::outcome(text).or_else(|| text.contains("成功").then_some("success"))
}

/// When, in any of the ways a sheet writes it.
fn moment(cell: &str, zone: Tz) -> Option<Millis> {
    time::iso(cell, zone)
        .or_else(|| cell.bytes().all(|byte| byte.is_ascii_digit()).then(|| time::epoch(cell)).flatten())
        .or_else(|| spoken_time::moment(cell, zone))
}

fn delivery(row: &str) -> u64 {
    let digest = Sha256::digest(row.trim_end_matches(['\r', '\n']).as_bytes());
    digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    static SHEET: Sheet = Sheet {
        name: "test",
        provider: "test",
        headings: &[
            ("time", Column::Time),
            ("doneby", Column::User),
            ("user", Column::User),
            ("ip", Column::Address),
            ("action", Column::Action),
            ("records", Column::Records),
        ],
        required: &[&["time"], &["user", "doneby"]],
        words: &[("mass delete", "bulk-delete")],
        otherwise: "info",
        zone: None,
    };

    fn parse(grammar: &mut Box<dyn Grammar>, record: &str) -> (Verdict, Vec<Event>) {
        let mut events = Vec::new();
        let verdict = grammar.parse(record, &mut events);
        (verdict, events)
    }

    #[test]
    fn a_header_in_any_order_and_spelling_names_the_columns() {
        let mut grammar = grammar(&SHEET, &Options::default());
        assert_eq!(parse(&mut grammar, "\u{feff}\"ACTION\",User,Note,\"Time\",Done_By\r").0, Verdict::Skipped);
        let (verdict, events) = parse(&mut grammar, "Mass Delete,x,why,2026-03-02 09:14:07,mia@example.com");
        assert_eq!(verdict, Verdict::Parsed);
        assert_eq!(events[0].text(Field::UserName), Some("mia@example.com"), "the earlier heading counts");
        assert_eq!(events[0].text(Field::EventAction), Some("bulk-delete"));
        assert_eq!(events[0].time, 1_772_442_847_000);
        let others: Vec<&str> = events[0].others().map(|(name, _)| name).collect();
        assert_eq!(others, ["User", "Note"]);
    }

    #[test]
    fn rows_go_on_from_a_saved_header_and_one_without_is_refused() {
        let mut first = grammar(&SHEET, &Options::default());
        assert!(matches!(parse(&mut first, "2026-03-02 09:14:07,mia").0, Verdict::Rejected(_)));
        assert_eq!(parse(&mut first, "time,user").0, Verdict::Skipped);
        let mut second = grammar(&SHEET, &Options::default());
        second.resume(&first.state());
        assert_eq!(parse(&mut second, "2026-03-02 09:14:07,mia").0, Verdict::Parsed);
        assert!(matches!(parse(&mut second, "a,b,c,d,e").0, Verdict::Rejected(_)));
    }

    #[test]
    fn the_same_row_of_a_later_export_is_the_same_delivery() {
        let mut sheet = grammar(&SHEET, &Options::default());
        assert_eq!(parse(&mut sheet, "time,user").0, Verdict::Skipped);
        let one = parse(&mut sheet, "2026-03-02 09:14:07,mia").1;
        assert_eq!(one[0].delivery, parse(&mut sheet, "2026-03-02 09:14:07,mia\r").1[0].delivery);
    }
}
