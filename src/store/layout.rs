//! Which columns an index has and what goes into each. Not for how an event is put into them (`document`).
//!
//! Every known field has a column of its own, made after its kind; a value under any other name goes to `_other` as
//! `name NUL kind value`. Which fields exist is kept in `_has`, where the column itself cannot say it quickly.

use crmwatch_detectors::{Field, Kind};
use tantivy::schema::{
    BytesOptions, DateOptions, DateTimePrecision, Field as Column, IndexRecordOption, IpAddrOptions, NumericOptions,
    Schema, TextFieldIndexing, TextOptions, Type,
};
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer, TokenizerManager};
use tantivy::{Index, IndexSettings};

use crate::query::words::Words;

/// The name of the tokenizer for running text, as it stands in the schema.
const WORDS: &str = "crm_words";

/// Fields with few values, worth counting by: their columns can be aggregated.
const COUNTED: &[Field] = &[
    Field::EventAction,
    Field::EventOutcome,
    Field::EventCategory,
    Field::EventProvider,
    Field::EventDataset,
    Field::UserName,
    Field::SourceCountry,
    Field::NetworkClass,
    Field::UserAgentName,
    Field::HttpMethod,
    Field::ObjectType,
    Field::ShareScope,
    Field::OauthClientName,
];

/// The columns of one index. A partition keeps the columns it was made with; a field that came later goes to its `_other`.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// The whole event, stored.
    pub(super) stored: Column,
    pub(super) id: Column,
    pub(super) time: Column,
    /// The words of the raw line.
    pub(super) raw: Column,
    pub(super) source: Column,
    pub(super) path: Column,
    pub(super) offset: Column,
    pub(super) line: Column,
    pub(super) other: Column,
    pub(super) has: Column,
    /// By the field's number.
    known: Vec<Option<Slot>>,
}

/// Where the values of a known field go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) column: Column,
    /// It can be aggregated, and its terms are text.
    pub(super) counted: bool,
    /// Its presence is kept in `_has`: the column itself has no quick answer.
    pub(super) marked: bool,
}

pub(super) const TIME: &str = "@timestamp";
pub(super) const SOURCE: &str = "crm.source";

impl Layout {
    /// The column of a known field.
    pub(super) fn known(&self, field: Field) -> Option<Slot> {
        self.known.get(field as usize).copied().flatten()
    }

    /// Finds the columns in an index.
    pub(super) fn of(schema: &Schema) -> tantivy::Result<Layout> {
        let mut known = vec![None; crmwatch_detectors::field::FIELD_LIMIT];
        for &field in Field::ALL {
            let Ok(column) = schema.get_field(field.name()) else { continue };
            let kind = schema.get_field_entry(column).field_type();
            let counted = kind.is_str() && kind.is_fast();
            let fits = match field.kind() {
                Kind::Keyword | Kind::Exact => counted || kind.is_bytes(),
                Kind::Text => kind.is_str() && !counted,
                Kind::Integer => kind.value_type() == Type::I64,
                Kind::Float => kind.value_type() == Type::F64,
                Kind::Bool => kind.value_type() == Type::Bool,
                Kind::Ip => kind.is_ip_addr(),
            };
            // A field that meant something else when the partition was made goes to `_other`, as one that was not known then.
            if fits {
                known[field as usize] = Some(Slot { column, counted, marked: !kind.is_fast() });
            }
        }
        Ok(Layout {
            stored: schema.get_field("_source")?,
            id: schema.get_field("_id")?,
            time: schema.get_field(TIME)?,
            raw: schema.get_field("_raw")?,
            source: schema.get_field(SOURCE)?,
            path: schema.get_field("log.file.path")?,
            offset: schema.get_field("log.offset")?,
            line: schema.get_field("log.line")?,
            other: schema.get_field("_other")?,
            has: schema.get_field("_has")?,
            known,
        })
    }
}

/// The schema of a new partition.
pub(super) fn schema() -> Schema {
    let mut builder = Schema::builder();
    let bytes = || BytesOptions::default().set_indexed();
    let number = || NumericOptions::default().set_fast();
    let words = || {
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(WORDS)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions)
            .set_fieldnorms(false);
        TextOptions::default().set_indexing_options(indexing)
    };
    let counted = || {
        let indexing = TextFieldIndexing::default()
            .set_tokenizer("raw")
            .set_index_option(IndexRecordOption::Basic)
            .set_fieldnorms(false);
        TextOptions::default().set_indexing_options(indexing).set_fast("raw")
    };
    builder.add_bytes_field("_source", BytesOptions::default().set_stored());
    builder.add_bytes_field("_id", bytes());
    builder.add_date_field(TIME, DateOptions::default().set_fast().set_precision(DateTimePrecision::Milliseconds));
    builder.add_text_field("_raw", words());
    builder.add_text_field(SOURCE, counted());
    builder.add_bytes_field("log.file.path", bytes());
    builder.add_i64_field("log.offset", number());
    builder.add_i64_field("log.line", number());
    builder.add_bytes_field("_other", bytes());
    builder.add_bytes_field("_has", bytes());
    for &field in Field::ALL {
        let name = field.name();
        match field.kind() {
            Kind::Keyword if COUNTED.contains(&field) => builder.add_text_field(name, counted()),
            Kind::Keyword | Kind::Exact => builder.add_bytes_field(name, bytes()),
            Kind::Integer => builder.add_i64_field(name, number()),
            Kind::Float => builder.add_f64_field(name, number()),
            Kind::Bool => builder.add_bool_field(name, NumericOptions::default().set_indexed()),
            Kind::Ip => builder.add_ip_addr_field(name, IpAddrOptions::default().set_indexed().set_fast()),
            Kind::Text => builder.add_text_field(name, words()),
        };
    }
    builder.build()
}

/// How a new partition is stored. Level 1 is as fast as anything and a quarter smaller than lz4.
pub(super) fn settings() -> IndexSettings {
    IndexSettings {
        docstore_compression: Compressor::Zstd(ZstdCompressor { compression_level: Some(1) }),
        ..IndexSettings::default()
    }
}

/// Gives an opened or created index the tokenizer its schema names.
pub(super) fn equip(index: &mut Index) {
    let tokenizers = TokenizerManager::default();
    tokenizers.register(WORDS, TextAnalyzer::builder(RunningText::default()).build());
    index.set_tokenizers(tokenizers);
}

/// tantivy's view of [`Words`].
#[derive(Clone, Default)]
struct RunningText {
    token: Token,
}

struct Steps<'t> {
    words: Words<'t>,
    token: &'t mut Token,
}

impl Tokenizer for RunningText {
    type TokenStream<'t> = Steps<'t>;

    fn token_stream<'t>(&'t mut self, text: &'t str) -> Steps<'t> {
        self.token.reset();
        Steps { words: Words::new(text), token: &mut self.token }
    }
}

impl TokenStream for Steps<'_> {
    fn advance(&mut self) -> bool {
        self.token.position = self.token.position.wrapping_add(1);
        self.words.step(&mut self.token.text).is_some()
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
