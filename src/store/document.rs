//! An event as the index takes it: every value already folded and cut, laid out in one text, so that the indexing threads only
//! read. Not for what a column is (`layout`).

use std::fmt::Write;
use std::net::Ipv6Addr;

use crmwatch_detectors::{Event, EventId, Field, Kind, Value, codec};
use tantivy::DateTime;
use tantivy::schema::Field as Column;
use tantivy::schema::document::{ReferenceValue, ReferenceValueLeaf};

use super::layout::{Layout, Slot};
use crate::query::value::{Typed, typed};
use crate::query::words;

#[derive(Debug, Clone, Copy)]
enum Held {
    Text(u32, u32),
    Bytes(u32, u32),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Ip(Ipv6Addr),
    Time(i64),
    Stored,
    Id,
}

/// The document of one event.
pub(super) struct EventDocument {
    stored: Vec<u8>,
    id: [u8; ID_TERM],
    text: String,
    values: Vec<(Column, Held)>,
}

impl EventDocument {
    pub(super) fn new(event: &Event, layout: &Layout) -> EventDocument {
        let raw = words::cut(event.raw(), words::LONGEST_TEXT);
        let mut stored = Vec::with_capacity(event.raw().len() + 512);
        codec::encode(event, &mut stored);
        let mut document = EventDocument {
            stored,
            id: id_term(event.id),
            text: String::with_capacity(raw.len() + 1024),
            values: Vec::with_capacity(56),
        };
        document.values.push((layout.stored, Held::Stored));
        document.values.push((layout.id, Held::Id));
        document.values.push((layout.time, Held::Time(event.time)));
        document.running(layout.raw, raw);
        document.folded(layout.source, Kind::Keyword, &event.origin.source, true);
        document.folded(layout.path, Kind::Exact, &event.origin.path, false);
        document.values.push((layout.offset, Held::Integer(i64::try_from(event.offset).unwrap_or(i64::MAX))));
        if event.line > 0 {
            document.values.push((layout.line, Held::Integer(i64::try_from(event.line).unwrap_or(i64::MAX))));
        }
        for (field, value) in event.known() {
            match layout.known(field) {
                Some(slot) => document.known(layout, slot, field, value),
                None => document.other(layout, field.name(), value, field.kind() == Kind::Exact),
            }
        }
        for (name, value) in event.others() {
            document.other(layout, name, value, words::exact_by_name(name));
        }
        document
    }

    fn known(&mut self, layout: &Layout, slot: Slot, field: Field, value: Value<'_>) {
        let Some(typed) = typed(field.kind(), value) else { return };
        let held = match typed {
            Typed::Text => {
                let other;
                let text = match value {
                    Value::Text(text) => text,
                    value => {
                        other = value.to_string();
                        &other
                    }
                };
                if field.kind() == Kind::Text {
                    self.running(slot.column, words::cut(text, words::LONGEST_TEXT));
                } else {
                    self.folded(slot.column, field.kind(), text, slot.counted);
                }
                None
            }
            Typed::Integer(number) => Some(Held::Integer(number)),
            Typed::Float(number) => Some(Held::Float(number)),
            Typed::Bool(flag) => Some(Held::Bool(flag)),
            Typed::Ip(ip) => Some(Held::Ip(words::address(ip))),
        };
        if let Some(held) = held {
            self.values.push((slot.column, held));
        }
        if slot.marked {
            self.mark(layout, field.name());
        }
    }

    fn other(&mut self, layout: &Layout, name: &str, value: Value<'_>, exact: bool) {
        let start = self.text.len();
        words::name(name, &mut self.text);
        self.text.push_str("\0t");
        let from = self.text.len();
        let other;
        let text = match value {
            Value::Text(text) => text,
            value => {
                other = value.to_string();
                &other
            }
        };
        if exact {
            self.text.push_str(words::exact(text));
        } else {
            words::lower(text, words::LONGEST_VALUE, &mut self.text);
        }
        self.values.push((layout.other, Held::Bytes(start as u32, self.text.len() as u32)));
        if let Some(number) = words::number_of(value) {
            let numeric = self.text.len();
            self.text.extend_from_within(start..from - 1);
            // Writing to a String cannot fail.
            let _ = write!(self.text, "n{:016x}", words::sortable(number));
            self.values.push((layout.other, Held::Bytes(numeric as u32, self.text.len() as u32)));
        }
        self.values.push((layout.has, Held::Bytes(start as u32, (from - 2) as u32)));
    }

    fn running(&mut self, column: Column, text: &str) {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        self.values.push((column, Held::Text(start, self.text.len() as u32)));
    }

    fn folded(&mut self, column: Column, kind: Kind, text: &str, counted: bool) {
        let start = self.text.len() as u32;
        match kind {
            Kind::Exact => self.text.push_str(words::exact(text)),
            _ => words::lower(text, words::LONGEST_VALUE, &mut self.text),
        }
        let end = self.text.len() as u32;
        self.values.push((column, if counted { Held::Text(start, end) } else { Held::Bytes(start, end) }));
    }

    fn mark(&mut self, layout: &Layout, name: &str) {
        let start = self.text.len() as u32;
        self.text.push_str(name);
        self.values.push((layout.has, Held::Bytes(start, self.text.len() as u32)));
    }

    fn leaf(&self, held: Held) -> ReferenceValueLeaf<'_> {
        match held {
            Held::Text(start, end) => ReferenceValueLeaf::Str(&self.text[start as usize..end as usize]),
            Held::Bytes(start, end) => ReferenceValueLeaf::Bytes(&self.text.as_bytes()[start as usize..end as usize]),
            Held::Integer(number) => ReferenceValueLeaf::I64(number),
            Held::Float(number) => ReferenceValueLeaf::F64(number),
            Held::Bool(flag) => ReferenceValueLeaf::Bool(flag),
            Held::Ip(ip) => ReferenceValueLeaf::IpAddr(ip),
            Held::Time(millis) => ReferenceValueLeaf::Date(time(millis)),
            Held::Stored => ReferenceValueLeaf::Bytes(&self.stored),
            Held::Id => ReferenceValueLeaf::Bytes(&self.id[..]),
        }
    }
}

/// Bytes of an id that are a term. Random terms are the dearest part of a term dictionary, by the byte; these tell billions of events
/// apart, and who needs the very event compares the whole id, which is stored.
const ID_TERM: usize = 8;

/// The term of an id.
pub(super) fn id_term(id: EventId) -> [u8; ID_TERM] {
    ((id.0 >> 64) as u64 ^ id.0 as u64).to_be_bytes()
}

/// An event's time as the index holds it.
pub(super) fn time(millis: i64) -> DateTime {
    DateTime::from_timestamp_nanos(words::time(millis) * 1_000_000)
}

/// A value of an event document; never a list or an object.
#[derive(Debug, Clone)]
pub(super) struct Leaf<'d>(ReferenceValueLeaf<'d>);

impl<'d> tantivy::schema::Value<'d> for Leaf<'d> {
    type ArrayIter = std::iter::Empty<Leaf<'d>>;
    type ObjectIter = std::iter::Empty<(&'d str, Leaf<'d>)>;

    fn as_value(&self) -> ReferenceValue<'d, Leaf<'d>> {
        ReferenceValue::Leaf(self.0.clone())
    }
}

/// Steps over the values of a document.
pub(super) struct Leaves<'d> {
    document: &'d EventDocument,
    at: std::slice::Iter<'d, (Column, Held)>,
}

impl<'d> Iterator for Leaves<'d> {
    type Item = (Column, Leaf<'d>);

    fn next(&mut self) -> Option<Self::Item> {
        let &(column, held) = self.at.next()?;
        Some((column, Leaf(self.document.leaf(held))))
    }
}

impl tantivy::Document for EventDocument {
    type Value<'d> = Leaf<'d>;
    type FieldsValuesIter<'d> = Leaves<'d>;

    fn iter_fields_and_values(&self) -> Leaves<'_> {
        Leaves { document: self, at: self.values.iter() }
    }
}
