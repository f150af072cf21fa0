//! A mistake in a query: where it is, what is wrong, what would work.

use std::fmt;

/// Why a text is no query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// The query.
    pub query: String,
    /// Where the mistake starts, in characters, from 0.
    pub position: usize,
    /// What is wrong.
    pub message: String,
    /// What would work.
    pub mend: String,
}

impl std::error::Error for QueryError {}

impl fmt::Display for QueryError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "query, character {}: {}", self.position + 1, self.message)?;
        // Enough of the query around the place to recognise it, with nothing in it that a terminal obeys.
        let from = self.position.saturating_sub(60);
        let shown: String = self.query.chars().skip(from).take(120).map(visible).collect();
        let before: String = self.query.chars().skip(from).take(self.position - from).map(blank).collect();
        write!(out, "\n  | {shown}\n  | {before}^")?;
        if !self.mend.is_empty() {
            write!(out, "\n  = {}", self.mend)?;
        }
        Ok(())
    }
}

fn visible(one: char) -> char {
    if one.is_control() || matches!(one, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
        ' '
    } else {
        one
    }
}

/// As wide on a terminal as the character: Chinese takes two columns.
fn blank(one: char) -> char {
    if super::words::is_joined(one) { '\u{3000}' } else { ' ' }
}

/// A mistake whose place is known to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) message: String,
    pub(super) mend: String,
}

impl Mistake {
    pub(super) fn new(message: impl Into<String>, mend: impl Into<String>) -> Mistake {
        Mistake { message: message.into(), mend: mend.into() }
    }
}
