//! Correlations by event time: which windows a rule's matches go into, and when their condition is met.
//! Not for which events match (`prefilter` and the engine) nor for what is said about it (`voice`).

use std::borrow::Cow;
use std::fmt::Write as _;

use rsigma_eval::EventValue;
use rsigma_parser::{ConditionExpr, ConditionOperator, CorrelationType};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::event::Millis;
use crate::field::{Field, Kind};
use crate::keyed::Resident;

use super::dialect::Dialect;
use super::event::{View, named};
use super::traces::Traces;
use super::window::{Amounts, Distinct, Found, Times, mean, percentile, sum};

/// How many sightings of one rule a sequence holds; more within one window tell nothing new.
const SEQUENCE_ROOM: usize = 64;
const AMOUNTS_ROOM: usize = 1024;
const LEAST_ROOM: usize = 512;

/// One correlation, ready to be asked.
pub struct Correlation {
    /// What is counted.
    pub kind: CorrelationType,
    /// The rules whose matches it takes, in their order.
    pub inputs: Vec<usize>,
    /// For each key of the group: the field, by input.
    pub group_by: Vec<Vec<String>>,
    /// The names by which the group's values are shown, as written in the rule.
    pub group_names: Vec<String>,
    /// The window's length.
    pub span: Millis,
    /// What the figure must meet.
    pub bounds: Vec<(ConditionOperator, u64)>,
    /// The fields whose values are counted, or the one whose numbers are looked at.
    pub fields: Vec<String>,
    /// The percentile that is looked at.
    pub percent: f64,
    /// Whose names the inputs' rules use, where not ours.
    pub dialects: Vec<Option<Dialect>>,
    /// How far before the window the events of its inputs may lie: where those are correlations, their windows' length.
    pub reach: Millis,
    /// The inputs that must have matched, where that is not all of them.
    pub expression: Option<ConditionExpr>,
    /// The inputs' names, for the expression.
    pub names: Vec<Vec<String>>,
}

/// What one group has seen.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Group {
    times: Vec<Times>,
    distinct: Distinct,
    amounts: Amounts,
    /// Where its events lie.
    pub traces: Traces,
    /// The episode that goes on: last time the condition was met, and events since it began.
    pub episode: Option<(Millis, u64)>,
    /// Whether everybody its traces name was named to the episode; not saved, as saying it again changes nothing.
    #[serde(skip)]
    pub told: bool,
}

impl Resident for Group {
    fn rank(&self) -> u8 {
        let held = self.times.iter().map(Times::len).sum::<usize>();
        if self.episode.is_some() { 2 } else { u8::from(held > 1) }
    }
}

/// A sequence or set of rules that was met.
#[derive(Debug, Clone, Copy)]
pub struct Met {
    /// Figure and window.
    pub found: Found,
    /// Whether the window was full, and the figure may be larger.
    pub full: bool,
}

impl Correlation {
    /// A field's text, by the names of that input's rule.
    fn text<'v>(&self, input: usize, name: &str, view: &'v View<'_, '_>) -> Option<Cow<'v, str>> {
        let Some(dialect) = self.dialects[input] else { return named(view.event, name) };
        let value = dialect.get(name, view.event, view.record)?;
        match value {
            EventValue::Str(text) => Some(text),
            EventValue::Array(all) => all.into_iter().find_map(|one| match one {
                EventValue::Str(text) => Some(text),
                other => other.as_str().map(|text| Cow::Owned(text.into_owned())),
            }),
            other => other.as_str().map(|text| Cow::Owned(text.into_owned())),
        }
    }

    /// The values of the group an event belongs to; nothing where one is missing.
    pub fn group(&self, input: usize, view: &View<'_, '_>) -> Option<Vec<String>> {
        self.group_by
            .iter()
            .map(|fields| {
                let name = &fields[input];
                let value = self.text(input, name, view)?;
                let exact =
                    Field::from_name(name).is_none_or(|field| field.kind() == Kind::Exact || field == Field::Entity);
                Some(if exact { value.into_owned() } else { value.to_lowercase() })
            })
            .collect()
    }

    /// The key of a group: the values with their lengths, so that no value can pose as two; a long one by its hash.
    pub fn key(id: &str, values: &[String]) -> String {
        let mut key = String::with_capacity(id.len() + 48);
        key.push_str(id);
        for value in values {
            if value.len() <= 200 {
                let _ = write!(key, "\u{1f}{}:{value}", value.len());
            } else {
                let _ = write!(key, "\u{1f}#{:016x}{:016x}", hash(value, 1), hash(value, 2));
            }
        }
        key
    }

    /// Takes one match in and says whether the condition is met in a window that holds it.
    pub fn take(&self, group: &mut Group, input: usize, view: &View<'_, '_>, at: Millis) -> Option<Met> {
        match self.kind {
            CorrelationType::EventCount => {
                group.times.resize_with(1, Times::default);
                let (need, room) = self.need_and_room();
                group.times[0].insert(at, room);
                let found = if self.only_grows() {
                    group.times[0].fullest(at, self.span, need)
                } else {
                    group.times[0].ending(at, self.span)
                };
                self.judge(found, room)
            }
            CorrelationType::ValueCount => {
                let values: Option<Vec<_>> = self.fields.iter().map(|field| self.text(input, field, view)).collect();
                let value = values?.iter().map(|one| one.to_lowercase()).collect::<Vec<_>>().join("\u{1f}");
                let (need, room) = self.need_and_room();
                group.distinct.insert(at, hash(&value, 0), self.span, room);
                let found = if self.only_grows() {
                    group.distinct.fullest(at, self.span, need)
                } else {
                    group.distinct.ending(at, self.span)
                };
                self.judge(found, room)
            }
            CorrelationType::ValueSum
            | CorrelationType::ValueAvg
            | CorrelationType::ValuePercentile
            | CorrelationType::ValueMedian => {
                let amount = self.text(input, self.fields.first()?, view)?;
                let amount = amount.parse().ok().filter(|one: &f64| one.is_finite())?;
                let summed = matches!(self.kind, CorrelationType::ValueSum | CorrelationType::ValueAvg);
                if summed {
                    group.amounts.add(at, amount, AMOUNTS_ROOM);
                } else {
                    group.amounts.keep(at, amount, AMOUNTS_ROOM);
                }
                let found = group.amounts.first(
                    at,
                    self.span,
                    |held| match self.kind {
                        CorrelationType::ValueSum => sum(held),
                        CorrelationType::ValueAvg => mean(held),
                        _ => percentile(held, self.percent),
                    },
                    |figure| self.meets(figure),
                )?;
                Some(Met { found, full: false })
            }
            CorrelationType::Temporal => {
                self.sight(group, input, at);
                self.together(group, at)
            }
            CorrelationType::TemporalOrdered => {
                self.sight(group, input, at);
                self.in_order(group, input, at)
            }
        }
    }

    /// The bound a person would call the threshold.
    pub fn threshold(&self) -> u64 {
        self.bounds.first().map_or(1, |bound| bound.1)
    }

    fn sight(&self, group: &mut Group, input: usize, at: Millis) {
        group.times.resize_with(self.inputs.len(), Times::default);
        group.times[input].insert(at, SEQUENCE_ROOM);
    }

    fn only_grows(&self) -> bool {
        self.bounds.iter().all(|(operator, _)| matches!(operator, ConditionOperator::Gt | ConditionOperator::Gte))
    }

    fn need_and_room(&self) -> (usize, usize) {
        let need = self.bounds.iter().map(|(operator, bound)| match operator {
            ConditionOperator::Gt => bound + 1,
            ConditionOperator::Gte | ConditionOperator::Eq => *bound,
            _ => 1,
        });
        let need = usize::try_from(need.max().unwrap_or(1)).unwrap_or(usize::MAX);
        let largest = self.bounds.iter().map(|bound| bound.1).max().unwrap_or(1);
        let room = usize::try_from(largest).unwrap_or(LEAST_ROOM).saturating_mul(2).max(LEAST_ROOM);
        (need, room)
    }

    fn judge(&self, found: Option<Found>, room: usize) -> Option<Met> {
        let found = found.filter(|found| self.meets(found.amount))?;
        Some(Met { found, full: found.amount >= room as f64 })
    }

    /// Whether a figure is within the bounds.
    fn meets(&self, figure: f64) -> bool {
        self.bounds.iter().all(|(operator, bound)| {
            let bound = *bound as f64;
            match operator {
                ConditionOperator::Gt => figure > bound,
                ConditionOperator::Gte => figure >= bound,
                ConditionOperator::Lt => figure < bound,
                ConditionOperator::Lte => figure <= bound,
                ConditionOperator::Eq => figure == bound,
                ConditionOperator::Neq => figure != bound,
            }
        })
    }

    /// Whether enough rules (or those the expression asks for) have a match in one window that holds `at`.
    fn together(&self, group: &Group, at: Millis) -> Option<Met> {
        let present = |from: Millis, to: Millis| {
            let seen: Vec<bool> =
                group.times.iter().map(|times| times.before(to).is_some_and(|time| time >= from)).collect();
            match &self.expression {
                None => self.meets(seen.iter().filter(|one| **one).count() as f64),
                Some(expression) => self.holds(expression, &seen),
            }
        };
        let met = |from: Millis, to: Millis| {
            let of = |times: &Times| (times.after(from).filter(|time| *time <= to), times.before(to));
            let first = group.times.iter().filter_map(|times| of(times).0).min().unwrap_or(at);
            let last = group.times.iter().filter_map(|times| of(times).1).max().unwrap_or(at).min(to);
            let amount = group.times.iter().filter(|times| of(times).0.is_some()).count() as f64;
            Some(Met { found: Found { amount, from: first, to: last, met: last.max(at) }, full: false })
        };
        let from = at.saturating_sub(self.span);
        if present(from, at) {
            return met(from, at);
        }
        // A late match: windows that begin before it and end after it.
        let mut starts: Vec<Millis> = group.times.iter().flat_map(|times| times.between(from, at)).collect();
        starts.sort_unstable();
        starts.dedup();
        let start = starts.into_iter().find(|start| present(*start, start.saturating_add(self.span)))?;
        met(start, start.saturating_add(self.span))
    }

    fn holds(&self, expression: &ConditionExpr, seen: &[bool]) -> bool {
        match expression {
            ConditionExpr::And(parts) => parts.iter().all(|part| self.holds(part, seen)),
            ConditionExpr::Or(parts) => parts.iter().any(|part| self.holds(part, seen)),
            ConditionExpr::Identifier(name) => {
                self.names.iter().position(|names| names.contains(name)).is_some_and(|index| seen[index])
            }
            // Refused when the rule is loaded.
            ConditionExpr::Not(_) | ConditionExpr::Selector { .. } => false,
        }
    }

    /// Whether the rules matched one after the other within the window, with `at` as the match of `input`: the latest before
    /// it and the earliest after it make the shortest such sequence.
    fn in_order(&self, group: &Group, input: usize, at: Millis) -> Option<Met> {
        let from = group.times[..input].iter().rev().try_fold(at, |time, times| times.before(time))?;
        let to = group.times[input + 1..].iter().try_fold(at, |time, times| times.after(time))?;
        let within = to.saturating_sub(from) <= self.span;
        let amount = self.inputs.len() as f64;
        within.then_some(Met { found: Found { amount, from, to, met: to }, full: false })
    }
}

/// A hash that nobody who writes names can aim at, the same in every run.
fn hash(text: &str, salt: u8) -> u64 {
    let mut hash = Sha256::new();
    hash.update([salt]);
    hash.update(text.as_bytes());
    let digest = hash.finalize();
    u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}
