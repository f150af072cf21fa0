//! A filter as a tantivy query over one partition. It must find exactly the events that `query::evaluate` accepts; the property
//! test below holds the two together.

use std::ops::Bound;
use std::time::Instant;

use crmwatch_detectors::Kind;
use tantivy::Term;
use tantivy::query::{AllQuery, BooleanQuery, EmptyQuery, ExistsQuery, PhraseQuery, Query, RangeQuery, TermQuery};
use tantivy::schema::{Field as Column, IndexRecordOption};

use super::complement::Complement;
use super::document::{id_term, time};
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
            Filter::Not(inner) => Box::new(Complement { inner: self.compile(inner), deadline: self.deadline }),
            Filter::And(filters) => {
                Box::new(BooleanQuery::intersection(filters.iter().map(|one| self.compile(one)).collect()))
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
            Filter::Id(id) => term(Term::from_field_bytes(self.layout.id, &id_term(*id))),
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
        match tokens {
            [] => Box::new(EmptyQuery),
            [one] if one.prefix => self.like(column, &one.text, &Wildcard::default()),
            [one] => term(Term::from_field_text(column, &one.text)),
            _ => {
                let term = |token: &Token| (token.offset, Term::from_field_text(column, &token.text));
                Box::new(PhraseQuery::new_with_offset(tokens.iter().map(term).collect()))
            }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crmwatch_detectors::{Event, EventId, Field, Origin, Value};
    use proptest::prelude::*;

    use crate::query::Query as UserQuery;
    use crate::store::{Payload, Search, Store, StoreOptions};

    const NOW: i64 = 1_772_442_847_005;

    /// Values that are near to each other, so that queries hit and miss.
    const VALUES: &[&str] = &[
        "alice",
        "Alice",
        "ALICE B",
        "bob",
        "a*b",
        "",
        "-",
        "5",
        "-3",
        "4.5",
        "0",
        "-0.0",
        "203.0.113.7",
        "10.1.2.3",
        "2001:db8::5",
        "::ffff:10.0.0.1",
        "导出",
        "客户导出了",
        "导",
        "查 导出abc",
        "/crm/Export?id=5",
        "/crm/export",
        "true",
        "ÉCOLE",
        "now",
        "export to csv",
        "quote\"d \\ x",
        "TO",
        "2026-03-02",
        "export",
        "exp\u{0}ort",
        "ǅ",
        "a:b",
        "user.name",
    ];
    const NAMES: &[&str] = &[
        "user.name",
        "user.id",
        "event.action",
        "event.category",
        "crm.records",
        "source.ip",
        "url.path",
        "message",
        "crm.duplicate",
        "crm.vendor.score",
        "own",
        "own.id",
        "组",
        "log.offset",
        "log.line",
        "crm.source",
        "log.file.path",
        "@timestamp",
        "_id",
        "event.original",
        "crm.query",
    ];

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            8 => prop::sample::select(VALUES).prop_map(str::to_owned),
            1 => "[a-c导出]{1,3}",
            1 => (-6i64..7).prop_map(|number| number.to_string()),
        ]
    }

    fn event() -> impl Strategy<Value = Event> {
        let typed = prop_oneof![
            4 => value().prop_map(|text| (Some(text), 0)),
            2 => (-6i64..7).prop_map(|number| (None, number)),
            1 => Just((None, i64::MAX)),
        ];
        let fields = prop::collection::vec((0..NAMES.len(), typed, 0u8..4), 0..8);
        let times = prop_oneof![8 => NOW - 200_000_000..NOW + 5, 1 => Just(i64::MIN), 1 => Just(i64::MAX)];
        (prop::collection::vec(value(), 0..4), fields, times, 0u64..3).prop_map(|(words, fields, time, line)| {
            let mut event = Event::new(&words.join(" "));
            event.time = time;
            event.line = line;
            event.offset = line * 3;
            let source = words.first().cloned().unwrap_or_default();
            event.origin =
                Arc::new(Origin { path: format!("/var/{source}").into(), source: source.into(), lateness: 0 });
            for (name, (text, number), form) in fields {
                let name = NAMES[name];
                let value = match (&text, form) {
                    (Some(text), 0) => text.parse().map_or(Value::Text(text), Value::Ip),
                    (Some(text), _) => Value::Text(text),
                    (None, 0) => Value::Float(number as f64 / 2.0),
                    (None, 1) => Value::Bool(number > 0),
                    (None, _) => Value::Integer(number),
                };
                match (Field::from_name(name), text.as_deref()) {
                    (Some(field), Some(text)) if form == 1 => event.push(field, text),
                    _ => event.set_other(name, value),
                }
            }
            event
        })
    }

    fn written(text: &str) -> String {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }

    fn query() -> impl Strategy<Value = String> {
        let value = || {
            prop_oneof![
                3 => value().prop_map(|text| written(&text)),
                1 => value().prop_map(|text| format!("{}*", text.split(|one: char| !one.is_alphanumeric()).next().unwrap_or_default())),
                1 => "[*?a-c导]{1,4}",
                1 => Just("*".to_owned()),
                1 => prop::sample::select(&["10.0.0.0/8", "::/0", "0.0.0.0/0", "now-24h", "now/d", "2026-03-01"][..]).prop_map(str::to_owned),
                1 => (0u8..6, value(), value()).prop_map(|(form, low, high)| {
                    let (low, high) = (written(&low), written(&high));
                    match form {
                        0 => format!("[{low} TO {high}]"),
                        1 => format!("{{{low} TO {high}}}"),
                        2 => format!(">={low}"),
                        3 => format!("<{high}"),
                        4 => "[now-2d TO now}".to_owned(),
                        _ => format!("[* TO {high}}}"),
                    }
                }),
            ]
        };
        let test = (0..NAMES.len() * 2, value()).prop_map(|(name, value)| match NAMES.get(name) {
            Some(name) => format!("{name}:{value}"),
            None => value,
        });
        test.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" AND "))),
                prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" or "))),
                inner.clone().prop_map(|part| format!("NOT {part}")),
                inner.prop_map(|part| format!("-{part}")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn memory_and_index_agree_on_every_event_and_query(
            mut events in prop::collection::vec(event(), 1..40),
            queries in prop::collection::vec(query(), 100),
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let options = StoreOptions { threads: 1, memory_per_thread: 15_000_000, partition_events: 15, ..StoreOptions::default() };
            let store = Store::open(folder.path(), options).expect("opens");
            let mut writer = store.writer().expect("a writer");
            for (number, event) in events.iter_mut().enumerate() {
                event.id = EventId(number as u128);
                writer.add(event).expect("adds");
                if number % 15 == 0 {
                    let payload = Payload { store_id: store.store_id(), batch: 1, positions: String::new() };
                    writer.commit(&payload, NOW).expect("commits");
                }
            }
            let payload = Payload { store_id: store.store_id(), batch: 2, positions: String::new() };
            writer.commit(&payload, NOW).expect("commits");
            let mut understood = 0;
            for text in &queries {
                let Ok(query) = UserQuery::parse(text) else { continue };
                understood += 1;
                let again = UserQuery::parse(&query.to_string()).expect("what is printed is a query");
                prop_assert_eq!(&again.node, &query.node, "{} printed as {}", text, query);
                let filter = query.filter(NOW).expect("has a meaning");
                let mut found: Vec<u128> =
                    store.search(&query, Search::newest(1000, NOW)).expect("searches").events.iter().map(|event| event.id.0).collect();
                found.sort_unstable();
                let expected: Vec<u128> = events.iter().filter(|event| filter.matches(event)).map(|event| event.id.0).collect();
                prop_assert_eq!(&found, &expected, "{} as {:?} over {:?}", text, filter, events);
            }
            prop_assert!(understood > 10, "only {} queries were understood", understood);
        }
    }
}
