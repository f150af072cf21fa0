//! Whether one event in memory matches: for the live tail and for silences. It must agree with the index on every event and
//! every query; a property test in the store holds the two together.

use std::borrow::Cow;
use std::ops::Bound;

use crmwatch_detectors::{Event, Field, Kind, Value};

use super::filter::{Filter, Token};
use super::target::{Comparison, Target};
use super::value::{Typed, typed};
use super::words::{self, Words};

impl Filter {
    /// Whether the event matches.
    pub fn matches(&self, event: &Event) -> bool {
        match self {
            Filter::All => true,
            Filter::Not(filter) => !filter.matches(event),
            Filter::And(filters) => filters.iter().all(|filter| filter.matches(event)),
            Filter::Or(filters) => filters.iter().any(|filter| filter.matches(event)),
            Filter::Has(target) => has(target, event),
            Filter::Phrase(target, tokens) => any_text(target, event, |text| holds(text, tokens)),
            Filter::Word(target, pattern) => {
                any_text(target, event, |text| any_word(text, |word| pattern.matches(word)))
            }
            Filter::Equal(target, wanted) => any_text(target, event, |text| folded(target, text) == wanted.as_str()),
            Filter::Like(target, pattern) => any_text(target, event, |text| pattern.matches(&folded(target, text))),
            Filter::Between(target, least, greatest) => {
                any_text(target, event, |text| between(&folded(target, text), least, greatest))
            }
            Filter::Integers(target, least, greatest) => {
                integers(target, event).any(|number| (*least..=*greatest).contains(&number))
            }
            Filter::Numbers(target, least, greatest) => {
                numbers(target, event).any(|number| (*least..=*greatest).contains(&words::sortable(number)))
            }
            Filter::Flag(target, wanted) => known(target, event).any(|value| value == Typed::Bool(*wanted)),
            Filter::Addresses(target, stretches) => known(target, event).any(|value| {
                let Typed::Ip(ip) = value else { return false };
                let ip = words::address(ip);
                stretches.iter().any(|(least, greatest)| (*least..=*greatest).contains(&ip))
            }),
            Filter::Times(least, greatest) => (*least..=*greatest).contains(&words::time(event.time)),
            Filter::Id(id) => event.id == *id,
        }
    }
}

fn known<'e>(target: &Target, event: &'e Event) -> impl Iterator<Item = Typed> + 'e {
    let field = match target {
        Target::Known(field) => Some(*field),
        _ => None,
    };
    field.into_iter().flat_map(|field| event.all(field).filter_map(move |value| typed(field.kind(), value)))
}

fn has(target: &Target, event: &Event) -> bool {
    match target {
        Target::Raw | Target::Id | Target::Time | Target::Offset | Target::Source | Target::Path => true,
        Target::Line => event.line > 0,
        Target::Known(_) => known(target, event).next().is_some(),
        Target::Other(_) => others(target, event).next().is_some(),
    }
}

fn others<'e>(target: &'e Target, event: &'e Event) -> impl Iterator<Item = Value<'e>> {
    event.others().filter_map(move |(name, value)| {
        let Target::Other(wanted) = target else { return None };
        let mut folded = String::new();
        words::name(name, &mut folded);
        (folded == *wanted).then_some(value)
    })
}

fn any_text(target: &Target, event: &Event, matches: impl Fn(&str) -> bool) -> bool {
    match target {
        Target::Raw => matches(words::cut(event.raw(), words::LONGEST_TEXT)),
        Target::Source => matches(&event.origin.source),
        Target::Path => matches(&event.origin.path),
        Target::Known(field) => event.all(*field).any(|value| matches(&text(*field, value))),
        Target::Other(_) => others(target, event).any(|value| match value {
            Value::Text(text) => matches(text),
            value => matches(&value.to_string()),
        }),
        Target::Id | Target::Time | Target::Offset | Target::Line => false,
    }
}

fn text<'e>(field: Field, value: Value<'e>) -> Cow<'e, str> {
    match value {
        Value::Text(text) if field.kind() == Kind::Text => Cow::Borrowed(words::cut(text, words::LONGEST_TEXT)),
        Value::Text(text) => Cow::Borrowed(text),
        value => Cow::Owned(value.to_string()),
    }
}

fn folded<'t>(target: &Target, text: &'t str) -> Cow<'t, str> {
    match target.comparison() {
        Comparison::Exact => Cow::Borrowed(words::exact(text)),
        _ => Cow::Owned(words::keyword(text)),
    }
}

fn between(text: &str, least: &Bound<String>, greatest: &Bound<String>) -> bool {
    let above = match least {
        Bound::Unbounded => true,
        Bound::Included(end) => text >= end.as_str(),
        Bound::Excluded(end) => text > end.as_str(),
    };
    above
        && match greatest {
            Bound::Unbounded => true,
            Bound::Included(end) => text <= end.as_str(),
            Bound::Excluded(end) => text < end.as_str(),
        }
}

fn integers(target: &Target, event: &Event) -> impl Iterator<Item = i64> {
    let own = match target {
        Target::Offset => Some(event.offset),
        Target::Line if event.line > 0 => Some(event.line),
        _ => None,
    };
    let known = known(target, event).filter_map(|value| match value {
        Typed::Integer(number) => Some(number),
        _ => None,
    });
    own.map(|number| i64::try_from(number).unwrap_or(i64::MAX)).into_iter().chain(known)
}

fn numbers<'e>(target: &'e Target, event: &'e Event) -> impl Iterator<Item = f64> + 'e {
    let known = known(target, event).filter_map(|value| match value {
        Typed::Float(number) => Some(number),
        _ => None,
    });
    known.chain(others(target, event).filter_map(words::number_of))
}

fn any_word(text: &str, matches: impl Fn(&str) -> bool) -> bool {
    let (mut words, mut word) = (Words::new(text), String::new());
    while words.step(&mut word).is_some() {
        if matches(&word) {
            return true;
        }
    }
    false
}

/// Whether the text holds the tokens of a phrase, each at its place.
fn holds(text: &str, phrase: &[Token]) -> bool {
    let fits =
        |token: &Token, word: &str| if token.prefix { word.starts_with(&token.text) } else { word == token.text };
    let Some(last) = phrase.last() else { return false };
    if let [one] = phrase {
        return any_word(text, |word| fits(one, word));
    }
    let mut all = Vec::new();
    let (mut words, mut word) = (Words::new(text), String::new());
    while words.step(&mut word).is_some() {
        all.push(word.clone());
    }
    all.windows(last.offset + 1).any(|window| phrase.iter().all(|token| fits(token, &window[token.offset])))
}
