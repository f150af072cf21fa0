//! Where a record is none of an operator's own format, what was expected there, and where the values of one that is stand. For explaining:
//! slow. Not for reading (`grammar`).

use std::ops::Range;
use std::sync::Arc;

use crmwatch_detectors::field::Kind;

use super::grammar::{Own, is_number};
use super::{Meaning, Miss, OwnFormat, Shape, meaning};
use crate::parse::time::YearClock;
use crate::parse::{Grammar, Options, Verdict, json_lines, wrap};

impl OwnFormat {
    /// Where a record is none of the format, and what was expected there; nothing where it is one. Slow: for explaining.
    pub fn miss(&self, record: &str, options: &Options) -> Option<Miss> {
        let line = &*wrap::plain(record);
        let names: Vec<&str> = match &self.shape {
            Shape::Json => return self.miss_of_json(line, options),
            Shape::Pattern(pattern) => pattern.names().collect(),
            Shape::Captures(captures) => captures.names().collect(),
        };
        let mut values = Vec::new();
        match &self.shape {
            Shape::Pattern(pattern) => {
                if let Err(miss) = pattern.read(line, &mut values) {
                    return Some(miss);
                }
            }
            Shape::Captures(captures) if !captures.read(line, &mut values) => return Some(captures.miss(line)),
            _ => {}
        }
        for (name, value) in names.into_iter().zip(values) {
            let Some(value) = value else { continue };
            let at = value.as_ptr() as usize - line.as_ptr() as usize;
            match &self.time {
                Some((of_time, form)) if of_time == name => {
                    let clock = &mut YearClock::of(options);
                    if form.read(value.trim(), options.timezone, clock).is_none() {
                        return Some(Miss::new(
                            at,
                            format!("expected a time such as `{}` for ${name}", form.example()),
                        ));
                    }
                    continue;
                }
                _ => {}
            }
            if let Some(Meaning::Field(field)) = meaning(name)
                && matches!(field.kind(), Kind::Integer | Kind::Float)
                && !is_number(value)
            {
                return Some(Miss::new(at, format!("expected a number for {}", field.name())));
            }
        }
        None
    }

    /// The variables or captures of a line, each with where it stands; none of JSON, nor of a line that does not fit.
    pub fn parts<'f>(&'f self, line: &str) -> Vec<(&'f str, Range<usize>)> {
        let mut values = Vec::new();
        let names: Vec<&str> = match &self.shape {
            Shape::Pattern(pattern) if pattern.read(line, &mut values).is_ok() => pattern.names().collect(),
            Shape::Captures(captures) if captures.read(line, &mut values) => captures.names().collect(),
            _ => return Vec::new(),
        };
        let start = |value: &str| value.as_ptr() as usize - line.as_ptr() as usize;
        let parts = names.into_iter().zip(values);
        parts.filter_map(|(name, value)| value.map(|value| (name, start(value)..start(value) + value.len()))).collect()
    }

    fn miss_of_json(&self, line: &str, options: &Options) -> Option<Miss> {
        let text = json_lines::body(line)?;
        let start = text.as_ptr() as usize - line.as_ptr() as usize;
        if let Err(error) = json_lines::syntax(text) {
            return Some(Miss::new((start + error.at).min(line.len()), format!("expected JSON: {}", error.problem)));
        }
        let own = &mut Own::new(&Arc::new(self.clone()), options);
        match (own.parse(line, &mut Vec::new()), &self.time) {
            (Verdict::Rejected(_), Some((key, form))) => {
                let example = form.example();
                let quoted = format!("\"{}\"", key.rsplit('.').next().unwrap_or(key));
                let at = line.find(&quoted);
                let expected = match at {
                    Some(_) => format!("expected a time such as `{example}` for {key}"),
                    None => format!("expected a key {key} with a time such as `{example}`"),
                };
                Some(Miss::new(at.unwrap_or(start), expected))
            }
            (Verdict::Rejected(_), None) => Some(Miss::new(start, "expected a JSON object")),
            _ => None,
        }
    }
}
