//! A filter as a tantivy query over one partition. It must find exactly the events that `query::evaluate` accepts; the property
//! test below holds the two together.

use std::ops::Bound;
use std::time::Instant;

use crmwatch_detectors::Kind;
use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, ExistsQuery, Occur, PhrasePrefixQuery, PhraseQuery, Query, RangeQuery,
    TermQuery,
};
use tantivy::schema::{Field as Column, IndexRecordOption};

use super::document::time;
use super::layout::Layout;
use super::terms::{Terms, after, after_prefix};
use crate::query::Filter;
use crate::query::filter::Token;
use crate::query::target::Target;
use crate::query::wildcard::Wildcard;
use crate::query::words;

type Boxed = Box<dyn Query>;

/// Where the values of a target are.
enum Place {
    /// In a column of their own; whether its terms are text, not bytes.
    Own(Column, bool),
    /// In `_other`, after that name.
    Other(String),
    /// Nowhere.
    None,
}

/// Compiles filters for one partition.
pub(super) struct Compiler<'l> {
    pub(super) layout: &'l Layout,
    pub(super) deadline: Instant,
}

impl Compiler<'_> {
    pub(super) fn compile(&self, filter: &Filter) -> Boxed {
        match filter {
            Filter::All => Box::new(AllQuery),
            Filter::Not(inner) if **inner == Filter::All => Box::new(EmptyQuery),
            Filter::Not(inner) => Box::new(BooleanQuery::new(vec![
                (Occur::Must, Box::new(AllQuery)),
                (Occur::MustNot, self.compile(inner)),
            ])),
            Filter::And(filters) => {
                let mut clauses: Vec<(Occur, Boxed)> = Vec::with_capacity(filters.len() + 1);
                for filter in filters {
                    clauses.push(match filter {
                        Filter::Not(inner) => (Occur::MustNot, self.compile(inner)),
                        filter => (Occur::Must, self.compile(filter)),
                    });
                }
                if clauses.iter().all(|(occur, _)| *occur == Occur::MustNot) {
                    clauses.push((Occur::Must, Box::new(AllQuery)));
                }
                Box::new(BooleanQuery::new(clauses))
            }
            Filter::Or(filters) => Box::new(BooleanQuery::union(filters.iter().map(|one| self.compile(one)).collect())),
            Filter::Has(target) => self.has(target),
            Filter::Phrase(target, tokens) => self.phrase(target, tokens),
            Filter::Word(target, pattern) => match self.place(target) {
                Place::Own(column, _) => self.like(column, "", pattern),
                Place::Other(_) | Place::None => Box::new(EmptyQuery),
            },
            Filter::Equal(target, value) => match self.place(target) {
                Place::Own(column, true) => term(Term::from_field_text(column, value)),
                Place::Own(column, false) => term(Term::from_field_bytes(column, value.as_bytes())),
                Place::Other(name) => {
                    term(Term::from_field_bytes(self.layout.other, format!("{name}\0t{value}").as_bytes()))
                }
                Place::None => Box::new(EmptyQuery),
            },
            Filter::Like(target, pattern) => match self.place(target) {
                Place::Own(column, _) => self.like(column, "", pattern),
                Place::Other(name) => self.like(self.layout.other, &format!("{name}\0t"), pattern),
                Place::None => Box::new(EmptyQuery),
            },
            Filter::Between(target, least, greatest) => match self.place(target) {
                Place::Own(column, _) => self.between(column, "", least, greatest),
                Place::Other(name) => self.between(self.layout.other, &format!("{name}\0t"), least, greatest),
                Place::None => Box::new(EmptyQuery),
            },
            Filter::Integers(target, least, greatest) => match self.place(target) {
                Place::Own(column, _) => {
                    range(Term::from_field_i64(column, *least), Term::from_field_i64(column, *greatest))
                }
                Place::Other(name) => {
                    self.numbers(&name, words::sortable(*least as f64), words::sortable(*greatest as f64))
                }
                Place::None => Box::new(EmptyQuery),
            },
            Filter::Numbers(target, least, greatest) => match self.place(target) {
                Place::Own(column, _) => {
                    let (least, greatest) = (words::unsortable(*least), words::unsortable(*greatest));
                    range(Term::from_field_f64(column, least), Term::from_field_f64(column, greatest))
                }
                Place::Other(name) => self.numbers(&name, *least, *greatest),
                Place::None => Box::new(EmptyQuery),
            },
            Filter::Flag(target, flag) => match self.place(target) {
                Place::Own(column, _) => term(Term::from_field_bool(column, *flag)),
                Place::Other(name) => {
                    term(Term::from_field_bytes(self.layout.other, format!("{name}\0t{flag}").as_bytes()))
                }
                Place::None => Box::new(EmptyQuery),
            },
            Filter::Addresses(target, stretches) => match self.place(target) {
                Place::Own(column, _) => {
                    let one = |(least, greatest): &(_, _)| match least == greatest {
                        true => term(Term::from_field_ip_addr(column, *least)),
                        false => {
                            range(Term::from_field_ip_addr(column, *least), Term::from_field_ip_addr(column, *greatest))
                        }
                    };
                    Box::new(BooleanQuery::union(stretches.iter().map(one).collect()))
                }
                Place::Other(_) | Place::None => Box::new(EmptyQuery),
            },
            Filter::Times(least, greatest) => self.times(*least, *greatest),
            Filter::Id(id) => term(Term::from_field_bytes(self.layout.id, &id.0.to_be_bytes())),
        }
    }

    fn place(&self, target: &Target) -> Place {
        match target {
            Target::Raw => Place::Own(self.layout.raw, true),
            Target::Source => Place::Own(self.layout.source, true),
            Target::Path => Place::Own(self.layout.path, false),
            Target::Offset => Place::Own(self.layout.offset, false),
            Target::Line => Place::Own(self.layout.line, false),
            Target::Known(field) => match self.layout.known(*field) {
                Some(slot) => Place::Own(slot.column, slot.counted || field.kind() == Kind::Text),
                None => Place::Other(field.name().to_owned()),
            },
            Target::Other(name) => Place::Other(name.clone()),
            Target::Id | Target::Time => Place::None,
        }
    }

    fn has(&self, target: &Target) -> Boxed {
        let name = target.to_string();
        match target {
            Target::Raw | Target::Id | Target::Time | Target::Offset | Target::Source | Target::Path => {
                Box::new(AllQuery)
            }
            Target::Line => Box::new(ExistsQuery::new(name, false)),
            Target::Known(field) if self.layout.known(*field).is_some_and(|slot| !slot.marked) => {
                Box::new(ExistsQuery::new(name, false))
            }
            Target::Known(_) | Target::Other(_) => term(Term::from_field_bytes(self.layout.has, name.as_bytes())),
        }
    }

    fn phrase(&self, target: &Target, tokens: &[Token]) -> Boxed {
        let Place::Own(column, _) = self.place(target) else { return Box::new(EmptyQuery) };
        let terms = || tokens.iter().map(|token| (token.offset, Term::from_field_text(column, &token.text))).collect();
        match tokens {
            [] => Box::new(EmptyQuery),
            [one] if one.prefix => self.like(column, &one.text, &Wildcard::default()),
            [one] => term(Term::from_field_text(column, &one.text)),
            [.., last] if last.prefix => {
                let mut query = PhrasePrefixQuery::new_with_offset(terms());
                // A character has some thousand neighbours at most.
                query.set_max_expansions(u32::MAX);
                Box::new(query)
            }
            _ => Box::new(PhraseQuery::new_with_offset(terms())),
        }
    }

    /// Terms that start with that text; after it they look like the pattern, unless it is empty.
    fn like(&self, column: Column, start: &str, pattern: &Wildcard) -> Boxed {
        let from = format!("{start}{}", pattern.prefix()).into_bytes();
        let like = (!pattern.pieces().is_empty()).then(|| (start.len(), pattern.clone()));
        Box::new(Terms { column, to: after_prefix(&from), from, like, deadline: self.deadline })
    }

    fn between(&self, column: Column, start: &str, least: &Bound<String>, greatest: &Bound<String>) -> Boxed {
        let key = |text: &str| format!("{start}{text}").into_bytes();
        let from = match least {
            Bound::Unbounded => key(""),
            Bound::Included(text) => key(text),
            Bound::Excluded(text) => after(key(text)),
        };
        let to = match greatest {
            Bound::Unbounded => after_prefix(start.as_bytes()),
            Bound::Included(text) => Some(after(key(text))),
            Bound::Excluded(text) => Some(key(text)),
        };
        if to.as_ref().is_some_and(|to| *to <= from) {
            return Box::new(EmptyQuery);
        }
        Box::new(Terms { column, from, to, like: None, deadline: self.deadline })
    }

    fn numbers(&self, name: &str, least: u64, greatest: u64) -> Boxed {
        let from = format!("{name}\0n{least:016x}").into_bytes();
        let to = Some(after(format!("{name}\0n{greatest:016x}").into_bytes()));
        Box::new(Terms { column: self.layout.other, from, to, like: None, deadline: self.deadline })
    }

    /// The events of a time range, both ends with it.
    pub(super) fn times(&self, least: i64, greatest: i64) -> Boxed {
        if least > greatest || least > words::TIMES.1 || greatest < words::TIMES.0 {
            return Box::new(EmptyQuery);
        }
        let end = |millis| Term::from_field_date(self.layout.time, time(millis));
        range(end(least), end(greatest))
    }
}

fn term(term: Term) -> Boxed {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn range(least: Term, greatest: Term) -> Boxed {
    Box::new(RangeQuery::new(Bound::Included(least), Bound::Included(greatest)))
}
