//! What a web request means to a CRM: tables of paths turn `http-request` events into logins, views, exports, deletions.
//! The tables are data (`config/urls/*.toml`); reading them is `web/table`. Not for parsing access logs.

mod pattern;
mod table;
mod tree;

use std::cell::OnceCell;

use crmwatch_detectors::event::Part;
use crmwatch_detectors::{Event, Field};

use pattern::Capture;
use table::Rule;
pub use table::TableError;
use tree::Tree;

use super::actions;

/// URL tables, ready to be applied.
#[derive(Debug)]
pub struct Tables {
    /// In order of precedence.
    rules: Vec<Rule>,
    pages: Tree,
    /// The few rules that take style sheets and images, too: such requests are most of a log.
    assets: Tree,
}

/// Deeper paths than this fit only what takes any rest.
const MAX_SEGMENTS: usize = 16;
/// More parameters of a query are not looked at.
const MAX_PAIRS: usize = 24;

type Pair<'r> = (&'r str, &'r str);

/// What is asked of the rules.
struct Request<'r> {
    segments: &'r [&'r str],
    /// Segments beyond those looked at.
    longer: bool,
    method: u8,
    status: i64,
    /// Whether the server says who asks.
    named: bool,
    query: &'r str,
    pairs: OnceCell<([Pair<'r>; MAX_PAIRS], usize)>,
    /// Marks of the parameters that are there, and of them with their values.
    marks: OnceCell<(u64, u64)>,
}

impl<'r> Request<'r> {
    /// The query's parameters: taken apart only once a path fits.
    fn pairs(&self) -> &[Pair<'r>] {
        let (pairs, count) = self.pairs.get_or_init(|| {
            let mut pairs = [("", ""); MAX_PAIRS];
            let mut count = 0;
            let mut rest = Some(self.query);
            while let Some(query) = rest.filter(|_| count < MAX_PAIRS) {
                let end = memchr::memchr(b'&', query.as_bytes());
                let pair = &query[..end.unwrap_or(query.len())];
                pairs[count] = match memchr::memchr(b'=', pair.as_bytes()) {
                    Some(at) => (&pair[..at], &pair[at + 1..]),
                    None => (pair, ""),
                };
                count += 1;
                rest = end.map(|end| &query[end + 1..]);
            }
            (pairs, count)
        });
        &pairs[..*count]
    }

    fn marks(&self) -> (u64, u64) {
        *self.marks.get_or_init(|| {
            let marks = self.pairs().iter().map(|(key, value)| (table::mark(key, ""), table::mark(key, value)));
            marks.fold((0, 0), |(keys, values), (key, value)| (keys | key, values | value))
        })
    }
}

impl Tables {
    /// All tables inside the program, the particular before the generic.
    pub fn shipped() -> Tables {
        let rules = table::SHIPPED.iter().flat_map(|(name, text)| {
            table::read(std::path::Path::new(name), text).expect("a test reads every shipped table")
        });
        Tables::of(rules.collect())
    }

    /// The tables of these names, or files (whatever ends in `.toml` or holds a `/`), in this order of precedence.
    pub fn load<S: AsRef<str>>(names_or_paths: &[S]) -> Result<Tables, TableError> {
        let mut rules = Vec::new();
        for name in names_or_paths {
            rules.extend(table::load(name.as_ref())?);
        }
        Ok(Tables::of(rules))
    }

    /// The names of the tables inside the program.
    pub fn names() -> impl Iterator<Item = &'static str> {
        table::SHIPPED.iter().map(|(name, _)| *name)
    }

    fn of(rules: Vec<Rule>) -> Tables {
        let numbered = || (0..).zip(&rules);
        let pages = Tree::of(numbered());
        let assets = Tree::of(numbered().filter(|(_, rule)| rule.assets));
        Tables { rules, pages, assets }
    }

    /// Gives an `http-request` its CRM action, object and login outcome, where a table knows the path.
    pub fn apply(&self, event: &mut Event) {
        if event.text(Field::EventAction) != Some("http-request") {
            return;
        }
        let Some(path) = event.text(Field::UrlPath) else { return };
        let mut segments = [""; MAX_SEGMENTS];
        let mut count = 0;
        let mut rest = path.as_bytes();
        while count < MAX_SEGMENTS && !rest.is_empty() {
            let end = memchr::memchr(b'/', rest).unwrap_or(rest.len());
            if end > 0 {
                let start = path.len() - rest.len();
                segments[count] = &path[start..start + end];
                count += 1;
            }
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        let segments = &segments[..count];
        let request = Request {
            segments,
            longer: rest.iter().any(|byte| *byte != b'/'),
            method: table::method(event.text(Field::HttpMethod).unwrap_or_default()),
            status: event.integer(Field::HttpStatus).unwrap_or(0),
            named: event.has(Field::UserName),
            query: event.text(Field::UrlQuery).unwrap_or_default(),
            pairs: OnceCell::new(),
            marks: OnceCell::new(),
        };
        let asset = segments.last().is_some_and(|last| is_asset(last));
        let tree = if asset { &self.assets } else { &self.pages };
        let Some(number) = tree.find(&self.rules, &request) else { return };
        let rule = &self.rules[number as usize];
        if rule.action.name == "http-request" {
            return;
        }
        let facts = rule.captures(request.segments, request.pairs());
        // All of them stand in the event's own path and query.
        let facts: Vec<(Capture, Part)> =
            facts.into_iter().filter_map(|(capture, text)| Some((capture, event.part(text)?))).collect();
        let status = event.integer(Field::HttpStatus);
        write(event, rule, facts, status);
    }
}

/// Style sheets, scripts, images and fonts: parts of a page, not deeds.
fn is_asset(name: &str) -> bool {
    let Some(dot) = name.rfind('.').filter(|dot| name.len() - dot <= 6) else { return false };
    let mut lower = [0u8; 5];
    let ending = &name.as_bytes()[dot + 1..];
    lower[..ending.len()].copy_from_slice(ending);
    lower.make_ascii_lowercase();
    const ENDINGS: [&[u8]; 20] = [
        b"css", b"js", b"mjs", b"map", b"png", b"jpg", b"jpeg", b"gif", b"svg", b"ico", b"webp", b"avif", b"bmp",
        b"woff", b"woff2", b"ttf", b"otf", b"eot", b"tpl", b"less",
    ];
    ENDINGS.contains(&&lower[..ending.len()])
}

fn write(event: &mut Event, rule: &Rule, facts: Vec<(Capture, Part)>, status: Option<i64>) {
    actions::set_known(event, rule.action);
    // It stays a web request, too: rules over web logs go on seeing it.
    event.push(Field::EventCategory, "web");
    if let Some(kind) = &rule.object_type {
        event.set(Field::ObjectType, kind);
    }
    for (capture, part) in facts {
        match capture {
            Capture::Ignore => {}
            Capture::Field(field) => event.set_at(field, part),
            Capture::Ids => {
                let text = event.text_at(part);
                let count =
                    text.split([',', ';']).flat_map(|part| part.split("%2C")).filter(|id| !id.is_empty()).count();
                event.set_integer(Field::Records, count as i64);
                if count == 1 {
                    event.set_at(Field::ObjectId, part);
                }
            }
            Capture::Target => {
                event.set_at(Field::UserTargetId, part);
                if rule.action.name == "login-as" {
                    event.set_at(Field::UserEffectiveId, part);
                }
            }
        }
    }
    if let Some(reason) = &rule.reason {
        event.set(Field::EventReason, reason);
    }
    if let Some(outcome) = rule.outcome(status) {
        event.set(Field::EventOutcome, outcome);
    }
}

#[cfg(test)]
#[path = "web_tests.rs"]
mod tests;
