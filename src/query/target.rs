//! What a query's field name stands for, and how its values are compared. Not for values.

use std::fmt;

use crmwatch_detectors::{Field, Kind};

use super::words;

/// What a query looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The raw line; also `event.original`.
    Raw,
    /// `_id`
    Id,
    /// `@timestamp`
    Time,
    /// `crm.source`: the source's name in the configuration.
    Source,
    /// `log.file.path`
    Path,
    /// `log.offset`
    Offset,
    /// `log.line`
    Line,
    /// A known field.
    Known(Field),
    /// A name only the logs know.
    Other(String),
}

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Word by word.
    Words,
    /// Whole, without case.
    Keyword,
    /// Whole, as written.
    Exact,
    /// As whole numbers.
    Integer,
    /// As numbers.
    Float,
    /// True or false.
    Bool,
    /// As addresses.
    Ip,
    /// As a point in time.
    Time,
    /// As an event's id.
    Id,
}

const SPECIAL: [(&str, Target); 7] = [
    ("event.original", Target::Raw),
    ("_id", Target::Id),
    ("@timestamp", Target::Time),
    ("crm.source", Target::Source),
    ("log.file.path", Target::Path),
    ("log.offset", Target::Offset),
    ("log.line", Target::Line),
];

impl Target {
    /// What that name stands for.
    pub fn named(name: &str) -> Target {
        if let Some((_, target)) = SPECIAL.iter().find(|(special, _)| *special == name) {
            return target.clone();
        }
        match Field::from_name(name) {
            Some(field) => Target::Known(field),
            None => {
                let mut kept = String::new();
                words::name(name, &mut kept);
                Target::Other(kept)
            }
        }
    }

    /// How its values are compared.
    pub fn comparison(&self) -> Comparison {
        match self {
            Target::Raw => Comparison::Words,
            Target::Id => Comparison::Id,
            Target::Time => Comparison::Time,
            Target::Source => Comparison::Keyword,
            Target::Path => Comparison::Exact,
            Target::Offset | Target::Line => Comparison::Integer,
            Target::Known(field) => match field.kind() {
                Kind::Keyword => Comparison::Keyword,
                Kind::Exact => Comparison::Exact,
                Kind::Integer => Comparison::Integer,
                Kind::Float => Comparison::Float,
                Kind::Bool => Comparison::Bool,
                Kind::Ip => Comparison::Ip,
                Kind::Text => Comparison::Words,
            },
            Target::Other(name) if words::exact_by_name(name) => Comparison::Exact,
            Target::Other(_) => Comparison::Keyword,
        }
    }

    /// Every name a query can use besides those only the logs know.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SPECIAL.iter().map(|(name, _)| *name).chain(Field::ALL.iter().map(|field| field.name()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Known(field) => out.write_str(field.name()),
            Target::Other(name) => out.write_str(name),
            special => {
                let name = SPECIAL.iter().find(|(_, target)| target == special).map_or("", |(name, _)| name);
                out.write_str(name)
            }
        }
    }
}
