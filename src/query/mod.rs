//! The query language: grammar, tree, evaluation on one event. Not for the index.
