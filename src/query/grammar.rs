//! The grammar of the query language. Text in, tree out, or the place of the first mistake and what would work there.
//! Everything is bounded: length, depth, the number of tests and wildcards.

use std::cell::Cell;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{anychar, char, multispace0, none_of};
use nom::combinator::{opt, peek, value, verify};
use nom::error::{ErrorKind, ParseError};
use nom::multi::many0;
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

use super::error::Mistake;
use super::filter;
use super::target::Target;
use super::tree::{Check, Edge, Node, plain};
use super::wildcard::{Piece, Wildcard};
use crate::config::nearest;

const MAX_LENGTH: usize = 4 * 1024;
const MAX_DEPTH: usize = 64;
const MAX_TESTS: usize = 500;
const MAX_PATTERNS: usize = 32;
const MAX_LEADING: usize = 4;
const MAX_RUNS: usize = 8;

/// Where it went wrong: what is left of the text there.
#[derive(Debug)]
pub(super) struct Fault<'t> {
    rest: &'t str,
    mistake: Mistake,
}

impl<'t> ParseError<&'t str> for Fault<'t> {
    fn from_error_kind(rest: &'t str, _: ErrorKind) -> Fault<'t> {
        Fault { rest, mistake: Mistake::new("this is not understood here", "") }
    }

    fn append(_: &'t str, _: ErrorKind, other: Fault<'t>) -> Fault<'t> {
        other
    }
}

type Parsed<'t, T> = IResult<&'t str, T, Fault<'t>>;

/// A mistake that no other reading can mend.
fn fault<'t, T>(rest: &'t str, message: impl Into<String>, mend: impl Into<String>) -> Parsed<'t, T> {
    Err(nom::Err::Failure(Fault { rest, mistake: Mistake::new(message, mend) }))
}

/// A name that is no known field but close to one: how much text was left where it stands, and both names.
pub(super) type Doubt = (usize, String, &'static str);

/// Reads a query; on a mistake gives the byte where it is.
pub(super) fn parse(text: &str) -> Result<(Node, Vec<Doubt>), (usize, Mistake)> {
    if text.len() > MAX_LENGTH {
        let mend = "split the query, or use a range or wildcard instead of a long list";
        return Err((MAX_LENGTH, Mistake::new(format!("the query is longer than {MAX_LENGTH} bytes"), mend)));
    }
    if text.trim().is_empty() {
        return Ok((Node::All, Vec::new()));
    }
    let grammar = Grammar::default();
    match grammar.whole(text) {
        Ok((_, node)) => Ok((node, grammar.doubts.take())),
        Err(nom::Err::Error(fault) | nom::Err::Failure(fault)) => Err((text.len() - fault.rest.len(), fault.mistake)),
        Err(nom::Err::Incomplete(_)) => Err((text.len(), Mistake::new("the query ends too early", ""))),
    }
}

#[derive(Default)]
struct Grammar {
    tests: Cell<usize>,
    patterns: Cell<usize>,
    leading: Cell<usize>,
    doubts: Cell<Vec<Doubt>>,
}

/// What stands around the part being read.
#[derive(Clone, Copy)]
struct Around<'a> {
    /// The field of a group `field:( ... )`.
    field: Option<&'a Target>,
    depth: usize,
}

impl Grammar {
    fn whole<'t>(&self, text: &'t str) -> Parsed<'t, Node> {
        let (rest, node) = self.any(text, Around { field: None, depth: 0 })?;
        let (rest, ()) = blanks(rest)?;
        match rest.chars().next() {
            None => Ok((rest, node)),
            Some(')') => fault(rest, "this parenthesis closes nothing", "remove it, or open one before"),
            Some(_) => unexpected(rest),
        }
    }

    /// `a OR b`
    fn any<'t>(&self, text: &'t str, around: Around<'_>) -> Parsed<'t, Node> {
        let (mut rest, first) = self.all(text, around)?;
        let mut nodes = vec![first];
        while let (after, Some(())) = opt(preceded(blanks, alt((word("or"), value((), tag("||")))))).parse(rest)? {
            let (after, node) = self.all(after, around)?;
            nodes.push(node);
            rest = after;
        }
        Ok((rest, joined(nodes, Node::Or)))
    }

    /// `a AND b`, `a b`
    fn all<'t>(&self, text: &'t str, around: Around<'_>) -> Parsed<'t, Node> {
        let (mut rest, first) = self.not(text, around)?;
        let mut nodes = vec![first];
        loop {
            let (after, and) = opt(preceded(blanks, alt((word("and"), value((), tag("&&")))))).parse(rest)?;
            let (next, ()) = blanks(after)?;
            let ends = next.is_empty() || next.starts_with(')') || next.starts_with("||") || word("or")(next).is_ok();
            if and.is_none() && ends {
                return Ok((rest, joined(nodes, Node::And)));
            }
            let (after, node) = self.not(after, around)?;
            nodes.push(node);
            rest = after;
        }
    }

    /// `NOT a`, `-a`, `!a`
    fn not<'t>(&self, text: &'t str, around: Around<'_>) -> Parsed<'t, Node> {
        let (rest, ()) = blanks(text)?;
        if around.depth > MAX_DEPTH {
            return fault(rest, format!("more than {MAX_DEPTH} levels of parentheses and NOT"), "write it flatter");
        }
        let minus = value((), terminated(alt((char('-'), char('!'))), peek(none_of(" \t\r\n"))));
        let (rest, negated) = opt(alt((word("not"), minus))).parse(rest)?;
        if negated.is_none() {
            return self.primary(rest, around);
        }
        let (rest, node) = self.not(rest, Around { depth: around.depth + 1, ..around })?;
        Ok((rest, Node::Not(Box::new(node))))
    }

    fn primary<'t>(&self, text: &'t str, around: Around<'_>) -> Parsed<'t, Node> {
        if text.is_empty() {
            return fault(
                text,
                "the query ends where something to search for should stand",
                "write a word or field:value",
            );
        }
        for keyword in ["and", "or"] {
            if word(keyword)(text).is_ok() {
                return fault(
                    text,
                    format!("{} needs something on both sides", keyword.to_uppercase()),
                    format!("write \"{keyword}\" in quotes to search for the word"),
                );
            }
        }
        if let Ok((rest, _)) = char::<_, Fault<'_>>('(')(text) {
            return self.group(text, rest, around);
        }
        if around.field.is_none()
            && let Ok((rest, name)) = name(text)
        {
            let (after, ()) = blanks(rest)?;
            if let Ok((value, _)) = char::<_, Fault<'_>>(':')(rest) {
                return self.field(text, &name, value, around);
            }
            if after.starts_with(['<', '>']) {
                return self.field(text, &name, after, around);
            }
        }
        self.value(text, around.field)
    }

    fn group<'t>(&self, start: &'t str, inner: &'t str, around: Around<'_>) -> Parsed<'t, Node> {
        let (rest, node) = self.any(inner, Around { depth: around.depth + 1, ..around })?;
        let (rest, ()) = blanks(rest)?;
        match rest.chars().next() {
            Some(')') => Ok((&rest[1..], node)),
            None => fault(start, "this parenthesis is never closed", "add ) at the end of the group"),
            Some(_) => unexpected(rest),
        }
    }

    fn field<'t>(&self, start: &'t str, name: &str, text: &'t str, around: Around<'_>) -> Parsed<'t, Node> {
        let target = Target::named(name);
        if let Target::Other(other) = &target
            && let Some(near) = nearest(other, Target::names())
        {
            let mut doubts = self.doubts.take();
            doubts.push((start.len(), other.clone(), near));
            self.doubts.set(doubts);
        }
        let (text, ()) = blanks(text)?;
        match char::<_, Fault<'_>>('(')(text) {
            Ok((inner, _)) => self.group(text, inner, Around { field: Some(&target), ..around }),
            Err(_) => self.value(text, Some(&target)),
        }
    }

    /// One test: a comparison, a range, a quoted text, a word.
    fn value<'t>(&self, text: &'t str, field: Option<&Target>) -> Parsed<'t, Node> {
        let (rest, check) =
            alt((comparison, range, quoted_check, word_check)).parse(text).or_else(|error| match error {
                nom::Err::Error(_) => unexpected(text),
                error => Err(error),
            })?;
        self.tests.set(self.tests.get() + 1);
        if self.tests.get() > MAX_TESTS {
            return fault(text, format!("more than {MAX_TESTS} tests in one query"), "use a range or a wildcard");
        }
        let check = match check {
            Check::Like(pattern) if pattern.is_all() && field.is_none() => return Ok((rest, Node::All)),
            Check::Like(pattern) if pattern.is_all() => Check::Exists,
            Check::Range(Edge::Open, Edge::Open) => Check::Exists,
            check => check,
        };
        if let Check::Like(pattern) = &check {
            self.bounded(text, pattern)?;
        }
        let target = field.cloned();
        // Any time will do: what is wrong with a value is wrong at every time.
        match filter::test(target.as_ref().unwrap_or(&Target::Raw), &check, 0) {
            Ok(_) => Ok((rest, Node::Test(target, check))),
            Err(mistake) => Err(nom::Err::Failure(Fault { rest: text, mistake })),
        }
    }

    fn bounded<'t>(&self, text: &'t str, pattern: &Wildcard) -> Parsed<'t, ()> {
        self.patterns.set(self.patterns.get() + 1);
        self.leading.set(self.leading.get() + usize::from(pattern.is_leading()));
        if pattern.runs() > MAX_RUNS {
            return fault(text, format!("more than {MAX_RUNS} stars in one pattern"), "write more of the value out");
        }
        if self.patterns.get() > MAX_PATTERNS {
            return fault(
                text,
                format!("more than {MAX_PATTERNS} patterns in one query"),
                "write some of the values out",
            );
        }
        if self.leading.get() > MAX_LEADING {
            let message = format!("more than {MAX_LEADING} patterns that start with a wildcard");
            return fault(text, message, "start them with a letter: such a pattern looks at every value there is");
        }
        Ok((text, ()))
    }
}

fn joined(mut nodes: Vec<Node>, join: fn(Vec<Node>) -> Node) -> Node {
    match nodes.len() {
        1 => nodes.remove(0),
        _ => join(nodes),
    }
}

fn unexpected<T>(rest: &str) -> Parsed<'_, T> {
    match rest.chars().next() {
        None => fault(rest, "the query ends where a value should stand", "write a value, or field:* for any"),
        Some('"') => fault(rest, "this quote is never closed", "add \" at the end of the phrase"),
        Some('[' | '{') => {
            fault(rest, "this is no range", "write [a TO b], {a TO b} without the ends, or * for an open end")
        }
        Some('/') => fault(rest, "there are no regular expressions", "use * and ?, or put the text in quotes"),
        Some(one) if one.is_control() => fault(rest, "a control character", "remove it"),
        Some(one) => {
            fault(rest, format!("{one} has no meaning here"), format!("put the text in quotes, or write \\{one}"))
        }
    }
}

fn blanks(text: &str) -> Parsed<'_, ()> {
    value((), multispace0).parse(text)
}

/// A keyword in either case, that ends where a word ends.
fn word<'t>(keyword: &'static str) -> impl Fn(&'t str) -> Parsed<'t, ()> {
    move |text| {
        let letters = take_while1(|one: char| plain(one) || "*?\\:".contains(one));
        let (rest, _) = verify(letters, |found: &str| found.eq_ignore_ascii_case(keyword)).parse(text)?;
        Ok((rest, ()))
    }
}

/// One character of a word: itself, or any after a backslash.
fn one(text: &str) -> Parsed<'_, char> {
    alt((preceded(char('\\'), anychar), verify(anychar, |one| plain(*one)))).parse(text)
}

fn name(text: &str) -> Parsed<'_, String> {
    let (rest, first) = one(text)?;
    let (rest, more) = many0(one).parse(rest)?;
    Ok((rest, std::iter::once(first).chain(more).collect()))
}

fn word_check(text: &str) -> Parsed<'_, Check> {
    let piece = alt((
        value(Piece::Run, char('*')),
        value(Piece::Any, char('?')),
        one.map(Piece::One),
        value(Piece::One(':'), char(':')),
    ));
    let (rest, pieces) = verify(many0(piece), |pieces: &Vec<Piece>| !pieces.is_empty()).parse(text)?;
    let mut literal = String::new();
    for piece in &pieces {
        match piece {
            Piece::One(one) => literal.push(*one),
            _ => return Ok((rest, Check::Like(Wildcard::new(pieces)))),
        }
    }
    Ok((rest, Check::Is(literal)))
}

fn quoted(text: &str) -> Parsed<'_, String> {
    let inside = many0(alt((preceded(char('\\'), anychar), none_of("\"\\"))));
    let (rest, text) = preceded(char('"'), terminated(inside, char('"'))).parse(text)?;
    Ok((rest, text.into_iter().collect()))
}

fn quoted_check(text: &str) -> Parsed<'_, Check> {
    quoted.map(Check::Is).parse(text)
}

/// A value at the end of a range or after a comparison.
fn end(text: &str) -> Parsed<'_, String> {
    let letter = alt((one, char(':')));
    let unquoted =
        verify(many0(letter), |letters: &Vec<char>| !letters.is_empty()).map(|letters| letters.into_iter().collect());
    alt((quoted, unquoted)).parse(text)
}

/// `>=5`, `> 5`, `<now-1h`
fn comparison(text: &str) -> Parsed<'_, Check> {
    let (rest, sign) = alt((tag(">="), tag("<="), tag(">"), tag("<"))).parse(text)?;
    let (rest, ()) = blanks(rest)?;
    let (rest, value) = end(rest).or_else(|_| unexpected(rest))?;
    Ok((
        rest,
        match sign {
            ">=" => Check::Range(Edge::With(value), Edge::Open),
            "<=" => Check::Range(Edge::Open, Edge::With(value)),
            ">" => Check::Range(Edge::Without(value), Edge::Open),
            _ => Check::Range(Edge::Open, Edge::Without(value)),
        },
    ))
}

/// `[a TO b]`, `{a TO b}`, mixed, with `*` for an open end.
fn range(text: &str) -> Parsed<'_, Check> {
    let (rest, open) = alt((char('['), char('{'))).parse(text)?;
    let bound = |text| preceded(blanks, alt((value(None, char('*')), end.map(Some)))).parse(text);
    let (rest, least) = bound(rest)?;
    let (rest, ()) = preceded(blanks, word("to")).parse(rest)?;
    let (rest, greatest) = bound(rest)?;
    let (rest, close) = preceded(blanks, alt((char(']'), char('}')))).parse(rest)?;
    let edge = |value: Option<String>, with: bool| match value {
        None => Edge::Open,
        Some(value) if with => Edge::With(value),
        Some(value) => Edge::Without(value),
    };
    Ok((rest, Check::Range(edge(least, open == '['), edge(greatest, close == ']'))))
}
