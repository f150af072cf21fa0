//! The query language: grammar, tree, evaluation on one event. Not for the index.

pub mod value;
pub mod words;
