//! `crmwatch parse --explain`: of each record its format and why, its fields and where they stand in it, or where it fails. Text for people.
//! Not for deciding any of it (`parse`).

use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crmwatch_detectors::event::Value;
use crmwatch_detectors::{Event, Field, json};

use crate::config::Source;
use crate::parse::explain::{Account, Answer, Choice, Told};
use crate::parse::{Options, Verdict, own};
use crate::source::{Followed, WholeFile};

/// Longer lines are shown in part.
const SHOWN: usize = 160;
/// Longer values are cut.
const VALUE: usize = 100;

/// The explanations of one file.
pub(super) struct Explaining {
    account: Account,
    path: PathBuf,
    source: Arc<Source>,
    /// The line a record without an event begins at.
    line: u64,
}

impl Explaining {
    /// Before the file's first step.
    pub(super) fn new(file: &mut WholeFile, path: &Path, followed: &Followed) -> Explaining {
        Explaining { account: file.explained(), path: path.to_owned(), source: Arc::clone(&followed.source), line: 1 }
    }

    /// Tells of the records of a step, whose events these are; true if one was refused.
    pub(super) fn tell(&mut self, out: &mut impl Write, events: &[Event]) -> io::Result<bool> {
        let mut rest = events;
        let mut refused = false;
        for told in self.account.take() {
            let count = match told.verdict {
                Verdict::Parsed => told.events,
                Verdict::Skipped => 0,
                // The source stage makes one event of each.
                Verdict::Continuation | Verdict::Rejected(_) => 1,
            };
            let (of_it, after) = rest.split_at(count.min(rest.len()));
            rest = after;
            refused |= matches!(told.verdict, Verdict::Rejected(_));
            self.record(out, &told, of_it)?;
        }
        Ok(refused)
    }

    fn record(&mut self, out: &mut impl Write, told: &Told, events: &[Event]) -> io::Result<()> {
        if let Some(event) = events.first() {
            self.line = event.line;
        }
        let said = match told.verdict {
            Verdict::Parsed => told.format.to_owned(),
            Verdict::Skipped => format!("{}: nothing to say", told.format),
            Verdict::Continuation => format!("{}: goes on from the record before", told.format),
            Verdict::Rejected(reason) => format!("{}: refused ({reason})", told.format),
        };
        writeln!(out, "{}:{}: {said}", self.path.display(), self.line)?;
        self.line += 1 + told.record.matches('\n').count() as u64;
        match told.verdict {
            Verdict::Rejected(_) => self.refused(out, told)?,
            _ => show(out, &told.record, None)?,
        }
        if let Some(choice) = &told.choice {
            chosen(out, choice)?;
        }
        let parsed = told.verdict == Verdict::Parsed;
        for (number, event) in events.iter().enumerate().filter(|_| parsed) {
            if events.len() > 1 {
                writeln!(out, "  event {} of {}", number + 1, events.len())?;
            }
            self.fields(out, event)?;
        }
        writeln!(out)
    }

    /// Where the record fails, if its format can tell.
    fn refused(&self, out: &mut impl Write, told: &Told) -> io::Result<()> {
        let own = self.source.own.as_ref().filter(|own| own.name == told.format);
        let mapping = self.source.mapping.clone();
        let options = Options { timezone: self.source.timezone, mapping, ..Options::default() };
        match own.and_then(|own| own.miss(&told.record, &options)) {
            Some(miss) => show(out, &own::line(&told.record), Some((miss.at, &miss.expected))),
            None => show(out, &told.record, None),
        }
    }

    fn fields(&self, out: &mut impl Write, event: &Event) -> io::Result<()> {
        let own = self.source.own.as_ref();
        let parts = own.map(|own| own.parts(event.raw())).unwrap_or_default();
        let time = match own.and_then(|own| own.time.as_ref()) {
            _ if event.is(Field::TimeSuspect) => "no time to be believed".to_owned(),
            Some((name, _)) => match parts.iter().find(|(known, _)| known == name) {
                Some((_, place)) => format!("{} ${name}", columns(event.raw(), place.clone())),
                None => name.clone(),
            },
            None => "its time".to_owned(),
        };
        line(out, &time, "@timestamp", &json::timestamp(event.time))?;
        for (name, value) in event.values() {
            let place = match place(event, value) {
                Place::At(place) => {
                    let variable = parts.iter().find(|(_, part)| *part == place).map(|(name, _)| format!(" ${name}"));
                    columns(event.raw(), place) + variable.as_deref().unwrap_or_default()
                }
                Place::Several(count) => format!("{count} times in it"),
                Place::Nowhere => "worked out".to_owned(),
            };
            line(out, &place, name, &value.to_string())?;
        }
        Ok(())
    }
}

fn line(out: &mut impl Write, place: &str, name: &str, value: &str) -> io::Result<()> {
    let shown = printable(value.chars().take(VALUE));
    let more = if value.chars().nth(VALUE).is_some() { " ..." } else { "" };
    writeln!(out, "  {place:<28} {name:<26} {shown}{more}")
}

fn chosen(out: &mut impl Write, choice: &Choice) -> io::Result<()> {
    let taken = choice.candidates.iter().find(|candidate| candidate.answer == Answer::Taken);
    let now = taken.map(|candidate| candidate.name);
    let said = match (choice.before, now) {
        (None, Some(now)) => format!("nothing was chosen yet; {now} is the surest that takes it"),
        (None, None) => "nothing was chosen yet, and no format takes it".to_owned(),
        (Some((before, Some(reason))), Some(now)) => format!("{before} refused it ({reason}); from here on {now}"),
        (Some((before, Some(reason))), None) => format!("{before} refused it ({reason}), and no surer format takes it"),
        (Some((before, None)), Some(now)) => format!("{now} is surer of it than {before}, which was chosen lately"),
        (Some((before, None)), None) => format!("{before} was chosen lately, and no format is surer of it"),
    };
    writeln!(out, "  auto: {said}")?;
    for candidate in &choice.candidates {
        let answer = match candidate.answer {
            Answer::Taken => "takes it".to_owned(),
            Answer::Refused(reason) => format!("refuses it: {reason}"),
            Answer::NotAsked => "not asked".to_owned(),
        };
        writeln!(out, "    {:<24} sure {:>3}  {answer}", candidate.name, candidate.score)?;
    }
    Ok(())
}

enum Place {
    At(Range<usize>),
    Several(usize),
    Nowhere,
}

/// Where a value stands in its record: certain where the event points there, else by the one place where the same is written.
fn place(event: &Event, value: Value<'_>) -> Place {
    let raw = event.raw();
    if let Value::Text(text) = value {
        let start = (text.as_ptr() as usize).wrapping_sub(raw.as_ptr() as usize);
        if start.checked_add(text.len()).is_some_and(|end| end <= raw.len()) {
            return Place::At(start..start + text.len());
        }
    }
    let written = value.to_string();
    let of_word = |one: Option<char>| one.is_some_and(char::is_alphanumeric);
    let mut places = raw
        .match_indices(&written)
        .map(|(at, _)| at..at + written.len())
        .filter(|place| !of_word(raw[..place.start].chars().next_back()) && !of_word(raw[place.end..].chars().next()));
    match (places.next(), places.count()) {
        _ if written.is_empty() => Place::Nowhere,
        (None, _) => Place::Nowhere,
        (Some(place), 0) => Place::At(place),
        (Some(_), more) => Place::Several(more + 1),
    }
}

/// As people count: columns of characters from 1, and the line where the record has several.
fn columns(raw: &str, place: Range<usize>) -> String {
    let before = &raw[..place.start];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let first = before[start..].chars().count() + 1;
    let count = raw[place.clone()].chars().count();
    let columns = if count < 2 { format!("column {first}") } else { format!("columns {first}-{}", first + count - 1) };
    match before.matches('\n').count() {
        0 => columns,
        lines => format!("line +{lines} {columns}"),
    }
}

/// The record's line, and under it a caret at the byte where it fails, with what was expected there.
fn show(out: &mut impl Write, record: &str, miss: Option<(usize, &str)>) -> io::Result<()> {
    let at = miss.map_or(0, |(at, _)| record.floor_char_boundary(at.min(record.len())));
    let start = record[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let text: Vec<char> = record[start..].split('\n').next().unwrap_or_default().chars().collect();
    let column = record[start..at].chars().count();
    let from = column.saturating_sub(SHOWN / 2).min(text.len().saturating_sub(SHOWN));
    let to = (from + SHOWN).min(text.len());
    let (before, after) = (if from > 0 { "... " } else { "" }, if to < text.len() { " ..." } else { "" });
    writeln!(out, "  | {before}{}{after}", printable(text[from..to].iter().copied()))?;
    match miss {
        Some((_, expected)) => {
            let indent = " ".repeat(before.len() + column - from);
            writeln!(out, "  | {indent}^ column {}: {expected}", column + 1)
        }
        None => Ok(()),
    }
}

/// Control characters would move what stands behind them.
fn printable(text: impl Iterator<Item = char>) -> String {
    text.map(|one| if one.is_control() { '\u{fffd}' } else { one }).collect()
}
