//! A URL table as it is written, and its rules. Not for finding the rule of a request (the tree in `web`).

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::Request;
use super::actions::{self, Action};
use super::pattern::{Capture, Condition, Segment, condition, segment};
use crate::config::nearest;

/// The tables inside the program, the particular before the generic.
pub(super) const SHIPPED: &[(&str, &str)] = &[
    ("odoo", include_str!("../../../config/urls/odoo.toml")),
    ("espocrm", include_str!("../../../config/urls/espocrm.toml")),
    ("suitecrm", include_str!("../../../config/urls/suitecrm.toml")),
    ("vtiger", include_str!("../../../config/urls/vtiger.toml")),
    ("civicrm", include_str!("../../../config/urls/civicrm.toml")),
    ("salesforce", include_str!("../../../config/urls/salesforce.toml")),
    ("generic", include_str!("../../../config/urls/generic.toml")),
];

/// Why a URL table cannot be used, and what mends it.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// No shipped table of that name.
    #[error("there is no URL table {name:?}\n  = {mend}")]
    Unknown {
        /// As asked for.
        name: String,
        /// What to write instead.
        mend: String,
    },
    /// The file cannot be read.
    #[error("{}: URL table cannot be read: {source}\n  = name a file the daemon's user may read", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A mistake in a table.
    #[error("{}:{line}: {message}\n  = {mend}", file.display())]
    Invalid {
        /// The file, or the shipped table's name.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        message: String,
        /// What mends it.
        mend: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "request")]
    requests: Vec<Raw>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    path: Spanned<String>,
    action: Spanned<String>,
    #[serde(default)]
    methods: Vec<Spanned<String>>,
    #[serde(default)]
    query: std::collections::BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    status: Vec<i64>,
    #[serde(default)]
    success: Vec<i64>,
    #[serde(default)]
    failure: Vec<i64>,
    #[serde(default)]
    unknown: Vec<i64>,
    #[serde(rename = "type")]
    object_type: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    assets: bool,
    #[serde(default)]
    user: bool,
}

/// One `[[request]]`.
#[derive(Debug)]
pub(super) struct Rule {
    /// Matches wherever the CRM is mounted.
    pub floating: bool,
    /// Takes any rest.
    pub open: bool,
    pub segments: Vec<Segment>,
    pub action: &'static Action,
    pub object_type: Option<Box<str>>,
    pub reason: Option<Box<str>>,
    methods: u8,
    query: Vec<(Box<str>, Condition)>,
    /// Marks of the parameters that must be there.
    keys: u64,
    /// For each parameter that must be one of some values, their marks.
    values: Vec<u64>,
    status: Vec<i64>,
    success: Vec<i64>,
    failure: Vec<i64>,
    unknown: Vec<i64>,
    /// Takes style sheets and images, too.
    pub assets: bool,
    /// Takes only what a user asked for whom the server knows.
    user: bool,
}

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
/// A request whose method is not known.
const MISSING: u8 = 1 << 6;
const OTHER: u8 = 1 << 7;
/// What a rule without `methods` takes: `HEAD` and `OPTIONS` fetch nothing.
const USUAL: u8 = 0b1_1111 | MISSING;

/// A method as a bit.
pub(super) fn method(name: &str) -> u8 {
    match METHODS.iter().position(|known| *known == name) {
        Some(at) => 1 << at,
        None if name.is_empty() => MISSING,
        None => OTHER,
    }
}

/// One of 64 bits for a parameter and its value: cheap, and the same for the same texts.
pub(super) fn mark(key: &str, value: &str) -> u64 {
    let ends = |text: &str| match text.as_bytes() {
        [] => 0,
        [first, .., last] => text.len() as u64 | u64::from(*first) << 8 | u64::from(*last) << 16,
        [only] => 1 | u64::from(*only) << 8,
    };
    1 << ((ends(key) ^ ends(value) << 24).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58)
}

fn value<'q>(pairs: &[(&'q str, &'q str)], key: &str) -> Option<&'q str> {
    pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
}

impl Rule {
    pub fn accepts(&self, request: &Request<'_>) -> bool {
        let status = request.status;
        if self.methods & request.method == 0 {
            return false;
        }
        if self.user && !request.named {
            return false;
        }
        if !self.status.is_empty() && !self.status.contains(&status) {
            return false;
        }
        // Nobody tried to log in where there is nothing to log in to.
        if self.action.name == "login" && matches!(status, 404 | 405 | 410 | 501) {
            return false;
        }
        // Most rules of a path that many share end here: at marks that a request with what they ask for would have.
        if !self.query.is_empty() {
            let (keys, values) = request.marks();
            if self.keys & !keys != 0 || self.values.iter().any(|one_of| one_of & values == 0) {
                return false;
            }
        }
        self.query.iter().all(|(key, condition)| {
            let found = value(request.pairs(), key);
            match condition {
                Condition::OneOf(words) => found.is_some_and(|found| words.iter().any(|word| **word == *found)),
                Condition::Present => found.is_some(),
                Condition::Absent => found.is_none(),
                Condition::Captured(_) => found.is_some_and(|found| !found.is_empty()),
                Condition::Perhaps(_) => true,
            }
        })
    }

    /// What the request says of object, report, file.
    pub fn captures<'r>(&self, segments: &[&'r str], pairs: &[(&'r str, &'r str)]) -> Vec<(Capture, &'r str)> {
        let starts = if self.floating { segments.len() } else { 0 };
        let matches = |start: &usize| {
            let rest = &segments[*start..];
            rest.len() >= self.segments.len()
                && (self.open || rest.len() == self.segments.len())
                && self.segments.iter().zip(rest).all(|(pattern, segment)| pattern.accepts(segment))
        };
        let start = (0..=starts).find(matches).unwrap_or(segments.len());
        let path = self.segments.iter().zip(&segments[start..]);
        let mut captures: Vec<_> = path
            .filter(|(pattern, _)| pattern.capture() != Capture::Ignore)
            .filter_map(|(pattern, segment)| Some((pattern.capture(), pattern.part(segment)?)))
            .collect();
        for (key, condition) in &self.query {
            if let Condition::Captured(capture) | Condition::Perhaps(capture) = condition
                && let Some(found) = value(pairs, key).filter(|found| !found.is_empty() && found.len() <= 4096)
            {
                captures.push((*capture, found));
            }
        }
        captures
    }

    /// What the status says of the deed; nothing where it says no more than of any request.
    pub fn outcome(&self, status: Option<i64>) -> Option<&'static str> {
        let status = status.unwrap_or(0);
        if self.success.contains(&status) {
            return Some("success");
        }
        if self.failure.contains(&status) {
            return Some("failure");
        }
        if self.unknown.contains(&status) {
            return Some("unknown");
        }
        if self.action.name != "login" {
            return None;
        }
        Some(match status {
            302 | 303 => "success",
            400 | 401 | 403 | 422 | 423 | 429 => "failure",
            // Many CRMs answer a wrong password with a page and 200.
            _ => "unknown",
        })
    }
}

/// A shipped table by name, or a file.
pub(super) fn load(name: &str) -> Result<Vec<Rule>, TableError> {
    if name.contains('/') || name.ends_with(".toml") {
        let file = Path::new(name);
        let text =
            std::fs::read_to_string(file).map_err(|source| TableError::Unreadable { file: file.to_owned(), source })?;
        return read(file, &text);
    }
    match SHIPPED.iter().find(|(known, _)| *known == name) {
        Some((known, text)) => read(Path::new(known), text),
        None => {
            let mend = match nearest(name, SHIPPED.iter().map(|(known, _)| *known)) {
                Some(near) => format!("did you mean {near:?}?"),
                None => {
                    let names: Vec<_> = SHIPPED.iter().map(|(known, _)| *known).collect();
                    format!("use one of {}, or the path of a file ending in .toml", names.join(", "))
                }
            };
            Err(TableError::Unknown { name: name.to_owned(), mend })
        }
    }
}

/// Reads one table.
pub(super) fn read(file: &Path, text: &str) -> Result<Vec<Rule>, TableError> {
    let invalid = |at: usize, message: String, mend: String| TableError::Invalid {
        file: file.to_owned(),
        line: text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1,
        message,
        mend,
    };
    let parsed: File = toml::from_str(text).map_err(|error| {
        let mend = "a table is a list of [[request]] with path, action and perhaps methods, query, status, success, failure, unknown, type, reason, assets, user";
        invalid(error.span().map_or(0, |span| span.start), error.message().to_owned(), mend.to_owned())
    })?;
    parsed
        .requests
        .iter()
        .map(|raw| rule(raw).map_err(|Mistake(at, message, mend)| invalid(at, message, mend)))
        .collect()
}

struct Mistake(usize, String, String);

fn rule(raw: &Raw) -> Result<Rule, Mistake> {
    let name = raw.action.get_ref();
    let action = actions::named(name).ok_or_else(|| {
        let mend = match nearest(name, actions::names()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("use one of {}", actions::names().collect::<Vec<_>>().join(", ")),
        };
        Mistake(raw.action.span().start, format!("there is no action {name:?}"), mend)
    })?;
    let mut methods = 0;
    for one in &raw.methods {
        let bit = method(one.get_ref());
        if bit & (MISSING | OTHER) != 0 {
            let message = format!("{:?} is no method a rule can ask for", one.get_ref());
            return Err(Mistake(one.span().start, message, format!("use {}", METHODS.join(", "))));
        }
        methods |= bit;
    }
    let at = raw.path.span().start;
    let path = raw.path.get_ref().as_str();
    let (floating, inner) = match (path.strip_prefix("**/"), path.strip_prefix('/')) {
        (Some(inner), _) => (true, inner),
        (None, Some(inner)) => (false, inner),
        (None, None) => {
            let mend = "start with / for a path from the root, with **/ for one wherever the CRM is mounted";
            return Err(Mistake(at, format!("{path:?} is no pattern of paths"), mend.to_owned()));
        }
    };
    let (inner, open) = match inner.strip_suffix("**") {
        Some("") => ("", true),
        Some(before) if before.ends_with('/') => (before, true),
        _ => (inner, false),
    };
    let segments = inner.split('/').filter(|segment| !segment.is_empty()).map(segment).collect::<Result<Vec<_>, _>>();
    let segments = segments.map_err(|(message, mend)| Mistake(at, message, mend))?;
    let mut query = Vec::new();
    for (key, pattern) in &raw.query {
        let condition =
            condition(pattern.get_ref()).map_err(|(message, mend)| Mistake(pattern.span().start, message, mend))?;
        query.push((key.as_str().into(), condition));
    }
    let one = |key: &str, condition: &Condition| match condition {
        Condition::OneOf(words) => words.iter().fold(0, |marks, word| marks | mark(key, word)),
        _ => 0,
    };
    let must = |(key, condition): &(Box<str>, Condition)| match condition {
        Condition::OneOf(_) | Condition::Present | Condition::Captured(_) => mark(key, ""),
        Condition::Absent | Condition::Perhaps(_) => 0,
    };
    Ok(Rule {
        keys: query.iter().fold(0, |marks, asked| marks | must(asked)),
        values: query.iter().map(|(key, condition)| one(key, condition)).filter(|marks| *marks != 0).collect(),
        floating,
        open,
        segments,
        action,
        object_type: raw.object_type.as_deref().map(Into::into),
        reason: raw.reason.as_deref().map(Into::into),
        methods: if raw.methods.is_empty() { USUAL } else { methods },
        query,
        status: raw.status.clone(),
        success: raw.success.clone(),
        failure: raw.failure.clone(),
        unknown: raw.unknown.clone(),
        assets: raw.assets,
        user: raw.user,
    })
}
