//! Formats of the operator's own, from `[[format]]` as it is written to what lines are read with. Not for reading lines (`parse::own`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crmwatch_detectors::Field;
use crmwatch_detectors::field::Kind;
use toml::Spanned;

use super::error::{ConfigError, Problems, nearest};
use super::{mend_of, raw};
use crate::parse::own::{self, Captures, Fault, Form, Meaning, OwnFormat, Pattern, Rule, Shape, Test};
use crate::parse::{FORMATS, actions, auto, ip};

/// The formats of a file that has nothing else.
pub fn read(path: &Path) -> Result<Vec<Arc<OwnFormat>>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(error) => {
            let mut problems = Problems::new(path, "");
            problems.whole(format!("cannot read the formats: {error}"), "name a file that has a [[format]]");
            Err(problems.into_result().expect_err("one problem"))
        }
    }
}

/// The formats of such a file's text.
pub fn parse(path: &Path, text: &str) -> Result<Vec<Arc<OwnFormat>>, ConfigError> {
    let mut problems = Problems::new(path, text);
    let formats = match toml::from_str::<raw::FormatFile>(text) {
        Ok(file) if file.format.is_empty() => {
            problems.whole("there is no format in it", "begin with [[format]] and its name");
            Vec::new()
        }
        Ok(file) => check(file.format, &mut problems).0,
        Err(error) => {
            let byte = error.span().map_or(0, |span| span.start);
            let message = error.message().lines().next().unwrap_or_default().to_owned();
            problems.at(byte, message.clone(), mend_of(&message));
            Vec::new()
        }
    };
    problems.into_result().map(|()| formats)
}

/// Checks the formats of a configuration. Gives those that are right, and the names of all.
pub(super) fn check(
    formats: Vec<raw::OwnFormat>,
    problems: &mut Problems<'_>,
) -> (Vec<Arc<OwnFormat>>, BTreeSet<String>) {
    let mut names = BTreeSet::new();
    let mut checked = Vec::new();
    for format in formats {
        let name = format.name.get_ref().clone();
        let at = format.name.span().start;
        let plain = |one: char| one.is_ascii_alphanumeric() || "-_.".contains(one);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            problems.at(
                at,
                format!("{name:?} is no name for a format"),
                "use up to 64 letters, digits, dots, dashes and underscores: it stands in metrics",
            );
        }
        if name == auto::NAME || FORMATS.iter().any(|shipped| shipped.name == name) {
            problems.at(at, format!("{name:?} is a shipped format"), "give yours another name");
        }
        if !names.insert(name.clone()) {
            problems.at(at, format!("a format named {name:?} stands above already"), "give each its own name");
        }
        checked.extend(Checking { problems, known: Vec::new() }.format(format).map(Arc::new));
    }
    (checked, names)
}

struct Checking<'p, 't> {
    problems: &'p mut Problems<'t>,
    /// Variables or captures; of JSON, none: any key may come.
    known: Vec<String>,
}

impl Checking<'_, '_> {
    fn format(mut self, format: raw::OwnFormat) -> Option<OwnFormat> {
        let place = format.name.span().start;
        let (shape, mut mapping) = self.shape(&format, place)?;
        let json = matches!(shape, Shape::Json);
        let asked: BTreeSet<&str> = format
            .actions
            .iter()
            .map(|rule| rule.get_ref().field.get_ref().as_str())
            .chain(format.time.iter().map(|time| time.field.get_ref().as_str()))
            .chain(format.keep.iter().map(|name| name.get_ref().as_str()))
            .collect();
        if let Some(text) = format.pattern.as_ref().or(format.regex.as_ref()) {
            for name in self.known.clone() {
                match own::meaning(&name) {
                    Some(Meaning::Field(field)) => {
                        mapping.insert(field.name().to_owned(), name);
                    }
                    Some(_) => {}
                    None if asked.contains(name.as_str()) => {}
                    None => self.unknown_name(text, &name),
                }
            }
        }
        let time = match &format.time {
            Some(time) => {
                self.of_line(&time.field, json);
                let form = self.form(&time.format);
                form.map(|form| (time.field.get_ref().clone(), form))
            }
            // Web servers' own names say how the time is written.
            None => self.known.iter().find_map(|name| Some((name.clone(), own::usual_time(name)?))),
        };
        for name in format.keep.iter().filter(|_| !json) {
            self.of_line(name, false);
        }
        let actions = format.actions.iter().filter_map(|rule| self.rule(rule, json)).collect();
        let defaults = format.defaults.iter().filter_map(|(field, value)| self.default(field, value)).collect();
        Some(OwnFormat { name: own::lasting(format.name.get_ref()), shape, mapping, time, actions, defaults })
    }

    fn shape(&mut self, format: &raw::OwnFormat, place: usize) -> Option<(Shape, BTreeMap<String, String>)> {
        match (&format.pattern, &format.regex, &format.json) {
            (Some(text), None, None) => {
                let pattern = Pattern::new(text.get_ref()).map_err(|fault| self.fault(text, &fault)).ok()?;
                self.known = pattern.names().map(str::to_owned).collect();
                Some((Shape::Pattern(pattern), BTreeMap::new()))
            }
            (None, Some(text), None) => {
                let captures = Captures::new(text.get_ref()).map_err(|fault| self.fault(text, &fault)).ok()?;
                self.known = captures.names().map(str::to_owned).collect();
                Some((Shape::Captures(captures), BTreeMap::new()))
            }
            (None, None, Some(keys)) => {
                let mut mapping = BTreeMap::new();
                for (field, key) in keys {
                    if field.get_ref() != "@timestamp" {
                        self.field(field);
                    }
                    mapping.insert(field.get_ref().clone(), key.clone());
                }
                Some((Shape::Json, mapping))
            }
            _ => {
                self.problems.at(
                    place,
                    format!("format {:?} does not say in one way how its lines look", format.name.get_ref()),
                    "give it one of pattern, regex and json",
                );
                None
            }
        }
    }

    /// A fault within a text: at its very place where the text stands in the file as it is, else at its start.
    fn fault(&mut self, text: &Spanned<String>, fault: &Fault) {
        let at = self.problems.within(text.span(), text.get_ref(), fault.at);
        self.problems.at(at, fault.message.clone(), fault.mend.clone());
    }

    fn unknown_name(&mut self, text: &Spanned<String>, name: &str) {
        let written = text.get_ref();
        let of_capture = written.find(&format!("<{name}>")).map(|at| at + 1);
        let of_variable = || written.find(&format!("${name}")).or_else(|| written.find(&format!("${{{name}")));
        let names: Vec<String> = own::names().collect();
        let mend = match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}? keep = [{name:?}] keeps it under its own name"),
            None => format!(
                "use an ECS name with _ for the dots (user_name), keep = [{name:?}], or _{name} to pass over it"
            ),
        };
        let fault = Fault {
            at: of_capture.or_else(of_variable).unwrap_or(0),
            message: format!("{name} means nothing known"),
            mend,
        };
        self.fault(text, &fault);
    }

    fn field(&mut self, name: &Spanned<String>) -> Option<Field> {
        let found = Field::from_name(name.get_ref());
        if found.is_none() {
            let mend = match nearest(name.get_ref(), Field::ALL.iter().map(|field| field.name())) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "use an ECS name or one of crm.*".to_owned(),
            };
            self.problems.at(name.span().start, format!("there is no field {:?}", name.get_ref()), mend);
        }
        found
    }

    /// A name that has to be one of the line's values.
    fn of_line(&mut self, name: &Spanned<String>, free: bool) {
        if free || self.known.iter().any(|known| known == name.get_ref()) {
            return;
        }
        let mend = match nearest(name.get_ref(), self.known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("the line has: {}", self.known.join(", ")),
        };
        self.problems.at(name.span().start, format!("the format has no {:?}", name.get_ref()), mend);
    }

    fn form(&mut self, text: &Spanned<String>) -> Option<Form> {
        let wrong = match Form::new(text.get_ref()) {
            Ok(form) => return Some(form),
            Err(wrong) => wrong,
        };
        let mend = match nearest(text.get_ref(), own::TIME_FORMS) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("use {}, or a pattern such as \"%d.%m.%Y %H:%M:%S\"", own::TIME_FORMS.join(", ")),
        };
        self.problems.at(text.span().start, wrong, mend);
        None
    }

    fn rule(&mut self, rule: &Spanned<raw::OwnAction>, json: bool) -> Option<Rule> {
        let place = rule.span().start;
        let rule = rule.get_ref();
        self.of_line(&rule.field, json || Field::from_name(rule.field.get_ref()).is_some());
        let tests = [
            rule.equals.clone().map(Test::Equals),
            rule.prefix.clone().map(Test::Prefix),
            rule.contains.clone().map(Test::Contains),
        ];
        let mut tests = tests.into_iter().flatten();
        let test = match (tests.next(), tests.next()) {
            (Some(test), None) => Some(test),
            _ => {
                let mend = "give it one of equals, prefix and contains";
                self.problems.at(place, "an entry of actions asks one thing of its field", mend);
                None
            }
        };
        if rule.action.is_none() && rule.outcome.is_none() {
            self.problems.at(place, "an entry of actions has nothing to say", "give it an action, an outcome or both");
        }
        let action = rule.action.as_ref().and_then(|name| self.action(name.get_ref(), name.span().start));
        let outcome = rule.outcome.as_ref().and_then(|word| self.outcome(word.get_ref(), word.span().start));
        Some(Rule { value: rule.field.get_ref().clone(), test: test?, action, outcome })
    }

    fn action(&mut self, name: &str, at: usize) -> Option<&'static actions::Action> {
        let action = actions::named(name);
        if action.is_none() {
            let mend = match nearest(name, actions::names()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("known here: {}", actions::names().collect::<Vec<_>>().join(", ")),
            };
            self.problems.at(at, format!("there is no action {name:?}"), mend);
        }
        action
    }

    fn outcome(&mut self, word: &str, at: usize) -> Option<&'static str> {
        let outcome = ["success", "failure", "unknown"].into_iter().find(|known| *known == word);
        if outcome.is_none() {
            self.problems.at(at, format!("there is no outcome {word:?}"), "use success, failure or unknown");
        }
        outcome
    }

    fn default(&mut self, name: &Spanned<String>, value: &Spanned<toml::Value>) -> Option<(Field, String)> {
        let field = self.field(name)?;
        let at = value.span().start;
        let (text, fits) = match (value.get_ref(), field.kind()) {
            (toml::Value::Integer(number), Kind::Integer | Kind::Float) => (number.to_string(), true),
            (toml::Value::Float(number), Kind::Float) => (number.to_string(), true),
            (toml::Value::Boolean(flag), Kind::Bool) => (flag.to_string(), true),
            (toml::Value::String(text), Kind::Ip) => (text.clone(), ip::address(text).is_some()),
            (toml::Value::String(text), Kind::Keyword | Kind::Exact | Kind::Text) => (text.clone(), true),
            (other, _) => (other.to_string(), false),
        };
        if !fits {
            let wanted = match field.kind() {
                Kind::Integer => "a whole number",
                Kind::Float => "a number",
                Kind::Bool => "true or false",
                Kind::Ip => "an address in quotes",
                _ => "a text in quotes",
            };
            self.problems.at(at, format!("{text} is no value of {}", field.name()), format!("write {wanted}"));
        }
        match field {
            Field::EventAction => drop(self.action(&text, at)),
            Field::EventOutcome => drop(self.outcome(&text, at)),
            _ => {}
        }
        Some((field, text))
    }
}
