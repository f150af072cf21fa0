//! A value as its field's kind compares it. Both the index and the evaluation in memory ask here, so that a value of the wrong
//! kind (a word where a number belongs) counts the same in both.

use std::net::IpAddr;

use crmwatch_detectors::{Kind, Value};

/// What a value is worth to a field of some kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Typed {
    /// The value's text, to be folded after the field's kind.
    Text,
    /// A whole number.
    Integer(i64),
    /// A finite fraction.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// An address.
    Ip(IpAddr),
}

/// The value as the kind takes it; nothing where it cannot be compared as such.
pub fn typed(kind: Kind, value: Value<'_>) -> Option<Typed> {
    match (kind, value) {
        (Kind::Keyword | Kind::Exact | Kind::Text, _) => Some(Typed::Text),
        (Kind::Integer, Value::Integer(number)) => Some(Typed::Integer(number)),
        (Kind::Integer, Value::Float(number)) if number.fract() == 0.0 && number.abs() < 9e18 => {
            Some(Typed::Integer(number as i64))
        }
        (Kind::Integer, Value::Text(text)) => text.trim().parse().ok().map(Typed::Integer),
        (Kind::Float, Value::Float(number)) if number.is_finite() => Some(Typed::Float(number + 0.0)),
        (Kind::Float, Value::Integer(number)) => Some(Typed::Float(number as f64)),
        (Kind::Float, Value::Text(text)) => super::words::number(text.trim()).map(|number| Typed::Float(number + 0.0)),
        (Kind::Bool, Value::Bool(flag)) => Some(Typed::Bool(flag)),
        (Kind::Bool, Value::Text(text)) => text.trim().parse().ok().map(Typed::Bool),
        (Kind::Ip, Value::Ip(ip)) => Some(Typed::Ip(ip)),
        (Kind::Ip, Value::Text(text)) => text.trim().parse().ok().map(Typed::Ip),
        _ => None,
    }
}
