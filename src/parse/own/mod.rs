//! Formats that an operator describes without code: a pattern, an expression with captures, or a mapping of JSON keys, with a form of time
//! and a table of actions. Not for how the description is written and checked (`config::own_format`).

mod captures;
mod grammar;
mod miss;
mod pattern;
mod stamp;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crmwatch_detectors::Field;

pub use captures::Captures;
pub use grammar::grammar;
pub use pattern::Pattern;
pub use stamp::{Form, NAMES as TIME_FORMS};

use super::actions::Action;
use super::{json_lines, wrap};

/// A description that was found right.
#[derive(Debug, Clone)]
pub struct OwnFormat {
    /// As sources name it.
    pub name: &'static str,
    /// How a line's values are found.
    pub shape: Shape,
    /// ECS name to the name of the value: a variable, a capture, a JSON key.
    pub mapping: BTreeMap<String, String>,
    /// Which value is the time, and how it is written.
    pub time: Option<(String, Form)>,
    /// What values say of action and outcome.
    pub actions: Vec<Rule>,
    /// What holds where a line says nothing.
    pub defaults: Vec<(Field, String)>,
}

/// How a line's values are found.
#[derive(Debug, Clone)]
pub enum Shape {
    /// Literals and variables.
    Pattern(Pattern),
    /// Named captures.
    Captures(Captures),
    /// A JSON object.
    Json,
}

/// What one value says of action and outcome.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The value's name, or the ECS name of what was made of it.
    pub value: String,
    /// What is asked of it.
    pub test: Test,
    /// The action it then is.
    pub action: Option<&'static Action>,
    /// The outcome it then has.
    pub outcome: Option<&'static str>,
}

/// What is asked of a value, letter by letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// It is this.
    Equals(String),
    /// It begins so.
    Prefix(String),
    /// This is in it.
    Contains(String),
}

impl Test {
    fn holds(&self, value: &str) -> bool {
        match self {
            Test::Equals(text) => value == text,
            Test::Prefix(text) => value.starts_with(text),
            Test::Contains(text) => value.contains(text),
        }
    }
}

/// What is wrong with a pattern or an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The byte of the text.
    pub at: usize,
    /// What is wrong there.
    pub message: String,
    /// What mends it.
    pub mend: String,
}

impl Fault {
    fn new(at: usize, message: impl Into<String>, mend: impl Into<String>) -> Fault {
        Fault { at, message: message.into(), mend: mend.into() }
    }
}

/// Where a line is none of the format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    /// The byte of the line.
    pub at: usize,
    /// What would have had to stand there.
    pub expected: String,
}

impl Miss {
    fn new(at: usize, expected: impl Into<String>) -> Miss {
        Miss { at, expected: expected.into() }
    }
}

/// What is read of a record: all but a byte order mark and colours. Places of a [`Miss`] are of this.
pub fn line(record: &str) -> Cow<'_, str> {
    wrap::plain(record)
}

/// What a variable's or capture's name means by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// A field, by its ECS name with underscores for dots.
    Field(Field),
    /// A name that web servers and other programs use for something known.
    Usual,
    /// The value is passed over: the name begins with an underscore.
    Nothing,
}

/// What a variable or capture is by its name.
pub fn meaning(name: &str) -> Option<Meaning> {
    if name.starts_with('_') {
        return Some(Meaning::Nothing);
    }
    let field = Field::ALL.iter().find(|field| underscored(field.name()) == underscored(name));
    field.map(|field| Meaning::Field(*field)).or_else(|| json_lines::usual(name).then_some(Meaning::Usual))
}

/// Every name that means something, for who mistyped one.
pub fn names() -> impl Iterator<Item = String> {
    Field::ALL.iter().map(|field| underscored(field.name())).chain(json_lines::usual_names().map(str::to_owned))
}

fn underscored(name: &str) -> String {
    name.replace('.', "_")
}

/// How web servers write a time under a name of theirs.
pub fn usual_time(name: &str) -> Option<Form> {
    match name {
        "time_local" => Some(Form::Clf),
        "time_iso8601" => Some(Form::Iso),
        "msec" => Some(Form::Epoch),
        _ => None,
    }
}

/// The name for as long as the program runs: metrics hold it. A configuration that is read again brings the same names.
pub fn lasting(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(name);
    name
}

#[cfg(test)]
mod tests;
