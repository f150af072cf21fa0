//! What a web request means to a CRM: tables of paths turn `http-request` events into logins, views, exports, deletions.
//! The tables are data (`config/urls/*.toml`); reading them is `web/table`. Not for parsing access logs.
//!
//! All patterns of all tables are one tree of path segments, walked once per event, so the number of patterns costs nothing.

mod pattern;
mod table;

use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crmwatch_detectors::event::Part;
use crmwatch_detectors::{Event, Field};

use pattern::{Capture, Segment};
use table::Rule;
pub use table::TableError;

use super::action;

/// URL tables, ready to be applied.
#[derive(Debug)]
pub struct Tables {
    /// In order of precedence.
    rules: Vec<Rule>,
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, u32, BuildHasherDefault<Fnv>>,
    patterns: Vec<(Segment, u32)>,
    /// Rules whose path ends here, least first.
    ends: Vec<u32>,
    /// Rules that take any rest.
    opens: Vec<u32>,
}

/// FNV-1a: the keys are those of the tables, so no stranger can choose colliding ones.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

const ANCHORED: u32 = 0;
const FLOATING: u32 = 1;
/// A CRM is mounted at most this many segments deep.
const MOUNT_DEPTH: usize = 4;
const MAX_SEGMENTS: usize = 16;
const MAX_PAIRS: usize = 24;
/// Longer segments are no words of a table.
const MAX_WORD: usize = 64;

/// What is asked of the rules.
struct Request<'r> {
    segments: &'r [&'r str],
    /// Segments beyond those looked at.
    longer: bool,
    asset: bool,
    method: u8,
    status: i64,
    query: &'r str,
    pairs: OnceCell<Vec<(&'r str, &'r str)>>,
}

impl<'r> Request<'r> {
    /// The query's parameters: taken apart only once a path fits.
    fn pairs(&self) -> &[(&'r str, &'r str)] {
        self.pairs.get_or_init(|| {
            self.query.split('&').take(MAX_PAIRS).map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect()
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
        let mut tables = Tables { nodes: vec![Node::default(), Node::default()], rules: Vec::new() };
        for (number, rule) in rules.iter().enumerate() {
            let mut ends = vec![if rule.floating { FLOATING } else { ANCHORED }];
            for segment in &rule.segments {
                ends = ends.iter().flat_map(|node| tables.grow(*node, segment)).collect();
            }
            for end in ends {
                let node = &mut tables.nodes[end as usize];
                if rule.open { &mut node.opens } else { &mut node.ends }.push(number as u32);
            }
        }
        tables.rules = rules;
        tables
    }

    /// The nodes behind a segment; one for each word where it is one of several.
    fn grow(&mut self, node: u32, segment: &Segment) -> Vec<u32> {
        let words: &[Box<str>] = match segment {
            Segment::Word(word) => std::slice::from_ref(word),
            Segment::OneOf(words, _) => words,
            other => {
                let known = self.nodes[node as usize].patterns.iter().find(|(known, _)| known == other);
                if let Some((_, next)) = known {
                    return vec![*next];
                }
                let next = self.node();
                self.nodes[node as usize].patterns.push((other.clone(), next));
                return vec![next];
            }
        };
        words
            .iter()
            .map(|word| match self.nodes[node as usize].literals.get(word) {
                Some(next) => *next,
                None => {
                    let next = self.node();
                    self.nodes[node as usize].literals.insert(word.clone(), next);
                    next
                }
            })
            .collect()
    }

    fn node(&mut self) -> u32 {
        self.nodes.push(Node::default());
        self.nodes.len() as u32 - 1
    }

    /// Gives an `http-request` its CRM action, object and login outcome, where a table knows the path.
    pub fn apply(&self, event: &mut Event) {
        if event.text(Field::EventAction) != Some("http-request") {
            return;
        }
        let Some(path) = event.text(Field::UrlPath) else { return };
        let mut segments = [""; MAX_SEGMENTS];
        let mut count = 0;
        let mut longer = false;
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            if count == MAX_SEGMENTS {
                longer = true;
                break;
            }
            segments[count] = segment;
            count += 1;
        }
        let segments = &segments[..count];
        let request = Request {
            segments,
            longer,
            asset: segments.last().is_some_and(|last| is_asset(last)),
            method: table::method(event.text(Field::HttpMethod).unwrap_or_default()),
            status: event.integer(Field::HttpStatus).unwrap_or(0),
            query: event.text(Field::UrlQuery).unwrap_or_default(),
            pairs: OnceCell::new(),
        };
        let Some(number) = self.find(&request) else { return };
        let rule = &self.rules[number as usize];
        if rule.action == "http-request" {
            return;
        }
        let facts = rule.captures(request.segments, request.pairs());
        // All of them stand in the event's own path and query.
        let facts: Vec<(Capture, Part)> =
            facts.into_iter().filter_map(|(capture, text)| Some((capture, event.part(text)?))).collect();
        let status = event.integer(Field::HttpStatus);
        write(event, rule, facts, status);
    }

    fn find(&self, request: &Request<'_>) -> Option<u32> {
        let mut best = u32::MAX;
        self.walk(ANCHORED, request, 0, &mut best);
        for start in 0..=request.segments.len().min(MOUNT_DEPTH) {
            self.walk(FLOATING, request, start, &mut best);
        }
        (best != u32::MAX).then_some(best)
    }

    fn walk(&self, node: u32, request: &Request<'_>, at: usize, best: &mut u32) {
        let node = &self.nodes[node as usize];
        self.take(&node.opens, request, best);
        let Some(segment) = request.segments.get(at) else {
            if !request.longer {
                self.take(&node.ends, request, best);
            }
            return;
        };
        if segment.len() <= MAX_WORD
            && !node.literals.is_empty()
            && let Some(next) = node.literals.get(*segment)
        {
            self.walk(*next, request, at + 1, best);
        }
        for (pattern, next) in &node.patterns {
            if pattern.accepts(segment) {
                self.walk(*next, request, at + 1, best);
            }
        }
    }

    fn take(&self, candidates: &[u32], request: &Request<'_>, best: &mut u32) {
        for number in candidates {
            if number >= best {
                return;
            }
            let rule = &self.rules[*number as usize];
            if rule.accepts(request.method, request.status, request.asset, request.pairs()) {
                *best = *number;
                return;
            }
        }
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
    action::set(event, rule.action);
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
                if rule.action == "login-as" {
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
