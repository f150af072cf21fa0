//! The query language: grammar, tree, evaluation on one event. Not for the index.
//!
//! `user.name:alice AND event.action:export AND crm.records:>=500`. Text becomes a [`tree`], the tree bound to a time becomes a
//! [`Filter`], and that is what the index compiles and what memory evaluates: one meaning everywhere.

mod error;
mod evaluate;
pub mod filter;
mod grammar;
mod moment;
pub mod target;
pub mod tree;
pub mod value;
pub mod wildcard;
pub mod words;

use std::fmt;

use crmwatch_detectors::{Event, Millis};

pub use error::QueryError;
pub use filter::Filter;
pub use tree::Node;

/// A query that has been understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Its tree.
    pub node: Node,
    /// What is allowed but perhaps not meant.
    pub hints: Vec<Hint>,
}

/// A remark on a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Where, in characters, from 0.
    pub position: usize,
    /// What.
    pub message: String,
}

impl Query {
    /// Reads a query. Nothing written means everything.
    pub fn parse(text: &str) -> Result<Query, QueryError> {
        let position = |byte: usize| text[..text.floor_char_boundary(byte)].chars().count();
        match grammar::parse(text) {
            Ok((node, doubts)) => {
                let hint = |(left, name, near): grammar::Doubt| Hint {
                    position: position(text.len() - left),
                    message: format!("no event field is called {name} unless a log names it so; did you mean {near}?"),
                };
                Ok(Query { node, hints: doubts.into_iter().map(hint).collect() })
            }
            Err((byte, mistake)) => Err(QueryError {
                query: text.to_owned(),
                position: position(byte),
                message: mistake.message,
                mend: mistake.mend,
            }),
        }
    }

    /// Its meaning at that time.
    pub fn filter(&self, now: Millis) -> Result<Filter, QueryError> {
        filter::bind(&self.node, now).map_err(|mistake| QueryError {
            query: self.to_string(),
            position: 0,
            message: mistake.message,
            mend: mistake.mend,
        })
    }

    /// Whether one event matches. For many events make the [`Filter`] once.
    pub fn matches(&self, event: &Event, now: Millis) -> bool {
        self.filter(now).is_ok_and(|filter| filter.matches(event))
    }
}

impl fmt::Display for Query {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(out)
    }
}
