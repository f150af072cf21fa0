//! What a query means at a given time: every value typed after its field, relative times fixed. The index compiles this and
//! memory evaluates it, so both start from the same meaning.

use std::net::{IpAddr, Ipv6Addr};
use std::ops::Bound;

use crmwatch_detectors::{EventId, Millis};

use super::error::Mistake;
use super::moment::moment;
use super::target::{Comparison, Target};
use super::tree::{Check, Edge, Node};
use super::wildcard::{Piece, Wildcard};
use super::words::{self, Shape, Words};
use crate::parse::ip::cidr;

/// A query, bound to a time.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Every event.
    All,
    /// What does not match.
    Not(Box<Filter>),
    /// What matches all.
    And(Vec<Filter>),
    /// What matches any.
    Or(Vec<Filter>),
    /// There is a value.
    Has(Target),
    /// Running text holds those tokens.
    Phrase(Target, Vec<Token>),
    /// Running text holds a word like that.
    Word(Target, Wildcard),
    /// A value, folded, is that.
    Equal(Target, String),
    /// A value, folded, is like that.
    Like(Target, Wildcard),
    /// A value, folded, lies between.
    Between(Target, Bound<String>, Bound<String>),
    /// A whole number lies between, both ends with it.
    Integers(Target, i64, i64),
    /// A number lies between, by its sortable bits, both ends with it.
    Numbers(Target, u64, u64),
    /// A flag.
    Flag(Target, bool),
    /// An address lies in one of those stretches, both ends with it.
    Addresses(Target, Vec<(Ipv6Addr, Ipv6Addr)>),
    /// The event's time lies between, both ends with it.
    Times(Millis, Millis),
    /// The event itself.
    Id(EventId),
}

/// One token of a phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// How many tokens after the first.
    pub offset: usize,
    /// The token, or its beginning.
    pub text: String,
    /// Only its beginning is asked for: a single character of a script without spaces.
    pub prefix: bool,
}

pub(super) fn bind(node: &Node, now: Millis) -> Result<Filter, Mistake> {
    let all = |nodes: &[Node]| nodes.iter().map(|node| bind(node, now)).collect::<Result<Vec<_>, _>>();
    Ok(match node {
        Node::All => Filter::All,
        Node::Not(node) => Filter::Not(Box::new(bind(node, now)?)),
        Node::And(nodes) => Filter::And(all(nodes)?),
        Node::Or(nodes) => Filter::Or(all(nodes)?),
        Node::Test(target, check) => test(target.as_ref().unwrap_or(&Target::Raw), check, now)?,
    })
}

/// The meaning of one test, or why it has none.
pub(super) fn test(target: &Target, check: &Check, now: Millis) -> Result<Filter, Mistake> {
    if *check == Check::Exists {
        return Ok(match target {
            Target::Raw | Target::Id | Target::Time | Target::Offset => Filter::All,
            target => Filter::Has(target.clone()),
        });
    }
    let own = target.clone();
    match target.comparison() {
        Comparison::Words => running(target, check),
        Comparison::Keyword => text(own, check, words::keyword, Wildcard::lower),
        Comparison::Exact => text(own, check, |text| words::exact(text).to_owned(), Wildcard::clone),
        Comparison::Integer => {
            let (least, greatest) = ends(target, check, "a whole number, e.g. 500", integer)?;
            let least = match least {
                Bound::Unbounded => i64::MIN.into(),
                Bound::Included(number) => number.ceil,
                Bound::Excluded(number) => number.floor + 1,
            };
            let greatest = match greatest {
                Bound::Unbounded => i64::MAX.into(),
                Bound::Included(number) => number.floor,
                Bound::Excluded(number) => number.ceil - 1,
            };
            let (low, high) = (i128::from(i64::MIN), i128::from(i64::MAX));
            Ok(if least > greatest || least > high || greatest < low {
                nothing()
            } else {
                Filter::Integers(own, least.clamp(low, high) as i64, greatest.clamp(low, high) as i64)
            })
        }
        Comparison::Float => {
            let (least, greatest) = ends(target, check, "a number, e.g. 0.5", words::number)?;
            Ok(numbers(own, least, greatest))
        }
        Comparison::Bool => match check {
            Check::Is(text) if text.eq_ignore_ascii_case("true") => Ok(Filter::Flag(own, true)),
            Check::Is(text) if text.eq_ignore_ascii_case("false") => Ok(Filter::Flag(own, false)),
            _ => Err(Mistake::new(format!("{target} is true or false"), format!("write {target}:true"))),
        },
        Comparison::Ip => addresses(target, check),
        Comparison::Time => times(check, now),
        Comparison::Id => match check {
            Check::Is(text) => EventId::parse(text).map(Filter::Id),
            _ => None,
        }
        .ok_or_else(|| Mistake::new("_id is compared whole", "give all of its 32 hex digits")),
    }
}

fn nothing() -> Filter {
    Filter::Not(Box::new(Filter::All))
}

/// The two ends of a check on an ordered field; equal ones where one value is asked for.
fn ends<T: Clone>(
    target: &Target,
    check: &Check,
    wanted: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<(Bound<T>, Bound<T>), Mistake> {
    let read = |text: &str| {
        read(text).ok_or_else(|| Mistake::new(format!("{target} cannot be {text:?}"), format!("write {wanted}")))
    };
    let edge = |edge: &Edge| {
        Ok(match edge {
            Edge::Open => Bound::Unbounded,
            Edge::With(text) => Bound::Included(read(text)?),
            Edge::Without(text) => Bound::Excluded(read(text)?),
        })
    };
    match check {
        Check::Is(text) => {
            let value = read(text)?;
            Ok((Bound::Included(value.clone()), Bound::Included(value)))
        }
        Check::Range(lower, upper) => Ok((edge(lower)?, edge(upper)?)),
        Check::Like(_) | Check::Exists => {
            Err(Mistake::new(format!("{target} takes no wildcard"), format!("write {wanted}, or a range [a TO b]")))
        }
    }
}

/// A number between or on two whole numbers.
#[derive(Clone, Copy)]
struct Whole {
    floor: i128,
    ceil: i128,
}

fn integer(text: &str) -> Option<Whole> {
    if let Ok(number) = text.parse::<i128>() {
        return Some(Whole { floor: number, ceil: number });
    }
    // `as` stops at the ends of i128; one more or less there is beyond every i64 all the same.
    let limited = |number: f64| (number as i128).clamp(i128::MIN + 1, i128::MAX - 1);
    words::number(text).map(|number| Whole { floor: limited(number.floor()), ceil: limited(number.ceil()) })
}

fn numbers(target: Target, least: Bound<f64>, greatest: Bound<f64>) -> Filter {
    let least = match least {
        Bound::Unbounded => words::sortable(f64::NEG_INFINITY),
        Bound::Included(number) => words::sortable(number),
        Bound::Excluded(number) => words::sortable(number) + 1,
    };
    let greatest = match greatest {
        Bound::Unbounded => words::sortable(f64::INFINITY),
        Bound::Included(number) => words::sortable(number),
        Bound::Excluded(number) => words::sortable(number) - 1,
    };
    if least > greatest { nothing() } else { Filter::Numbers(target, least, greatest) }
}

fn text(
    target: Target,
    check: &Check,
    fold: impl Fn(&str) -> String,
    pattern: impl Fn(&Wildcard) -> Wildcard,
) -> Result<Filter, Mistake> {
    match check {
        Check::Exists => Ok(Filter::Has(target)),
        Check::Is(text) => Ok(Filter::Equal(target, fold(text))),
        Check::Like(wildcard) => Ok(Filter::Like(target, pattern(wildcard))),
        Check::Range(lower, upper) => {
            let number = |edge: &Edge| match edge {
                Edge::Open => Some(Bound::Unbounded),
                Edge::With(text) => words::number(text).map(Bound::Included),
                Edge::Without(text) => words::number(text).map(Bound::Excluded),
            };
            // What an unknown field holds is not known; numbers are compared as such.
            if let (Target::Other(_), Some(least), Some(greatest)) = (&target, number(lower), number(upper)) {
                return Ok(numbers(target, least, greatest));
            }
            let end = |edge: &Edge| match edge {
                Edge::Open => Bound::Unbounded,
                Edge::With(text) => Bound::Included(fold(text)),
                Edge::Without(text) => Bound::Excluded(fold(text)),
            };
            Ok(Filter::Between(target, end(lower), end(upper)))
        }
    }
}

fn running(target: &Target, check: &Check) -> Result<Filter, Mistake> {
    let empty = || {
        Mistake::new(
            "there is no letter or digit to search for",
            "running text is searched by its words; try `*` for all",
        )
    };
    match check {
        Check::Is(text) => {
            let tokens = tokens(text);
            if tokens.is_empty() { Err(empty()) } else { Ok(phrase(target, tokens)) }
        }
        Check::Like(pattern) => {
            let mut parts = patterns(target, pattern);
            match parts.len() {
                0 => Err(empty()),
                1 => Ok(parts.remove(0)),
                _ => Ok(Filter::And(parts)),
            }
        }
        _ => Err(Mistake::new(
            format!("{target} is running text and has no order"),
            "search it for words, or take a range of another field, e.g. @timestamp:[now-24h TO now]",
        )),
    }
}

/// A phrase; a last token of which only the beginning is known is asked for anywhere in the text, since the index would have to
/// try every term it may be at that place.
fn phrase(target: &Target, mut tokens: Vec<Token>) -> Filter {
    if tokens.len() < 2 || !tokens.last().is_some_and(|last| last.prefix) {
        return Filter::Phrase(target.clone(), tokens);
    }
    let last = tokens.split_off(tokens.len() - 1);
    let last = last.into_iter().map(|token| Token { offset: 0, ..token }).collect();
    Filter::And(vec![Filter::Phrase(target.clone(), tokens), Filter::Phrase(target.clone(), last)])
}

/// The tokens of a phrase as a text that holds it has them.
fn tokens(text: &str) -> Vec<Token> {
    let mut steps = Words::new(text);
    let (mut out, mut tokens, mut last) = (String::new(), Vec::new(), None);
    while let Some(shape) = steps.step(&mut out) {
        tokens.push(Token { offset: tokens.len(), text: out.clone(), prefix: false });
        last = Some(shape);
    }
    match (last, tokens.last_mut()) {
        // The text may go on where the phrase ends: what is the phrase's last character may start a pair there.
        (Some(Shape::Last { alone: true }), Some(token)) => token.prefix = true,
        (Some(Shape::Last { alone: false }), Some(_)) => {
            tokens.pop();
        }
        _ => {}
    }
    tokens
}

/// The words of a pattern, each a test of its own. Scripts without spaces are searched by what they hold, wherever it stands, so
/// wildcards beside them change nothing.
fn patterns(target: &Target, pattern: &Wildcard) -> Vec<Filter> {
    let mut found = Vec::new();
    let (mut word, mut run) = (Vec::new(), String::new());
    let end = |word: &mut Vec<Piece>, found: &mut Vec<Filter>| {
        let word = Wildcard::new(std::mem::take(word));
        if word.pieces().iter().all(|piece| matches!(piece, Piece::Run)) {
            return;
        }
        if word.pieces().iter().all(|piece| matches!(piece, Piece::One(_))) {
            let text = word.prefix();
            found.push(phrase(target, tokens(&text)));
        } else {
            found.push(Filter::Word(target.clone(), word.lower()));
        }
    };
    let end_run = |run: &mut String, found: &mut Vec<Filter>| {
        if !run.is_empty() {
            found.push(phrase(target, tokens(&std::mem::take(run))));
        }
    };
    for &piece in pattern.pieces() {
        match piece {
            Piece::One(one) if words::is_joined(one) => {
                end(&mut word, &mut found);
                run.push(one);
            }
            Piece::One(one) if !one.is_alphanumeric() => {
                end(&mut word, &mut found);
                end_run(&mut run, &mut found);
            }
            piece => {
                end_run(&mut run, &mut found);
                word.push(piece);
            }
        }
    }
    end(&mut word, &mut found);
    end_run(&mut run, &mut found);
    found
}

fn addresses(target: &Target, check: &Check) -> Result<Filter, Mistake> {
    const WANTED: &str = "an address or a network, e.g. 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32";
    if let Check::Is(text) = check {
        let wrong = || Mistake::new(format!("{text:?} is no address and no network"), format!("write {WANTED}"));
        let (ip, length) = cidr(text).ok_or_else(wrong)?;
        let (length, size) = if ip.is_ipv4() { (u32::from(length) + 96, 128) } else { (u32::from(length), 128) };
        let mask = if length == 0 { 0 } else { u128::MAX << (size - length) };
        let base = match ip {
            IpAddr::V4(ip) => u128::from(ip.to_ipv6_mapped()),
            IpAddr::V6(ip) => u128::from(ip),
        };
        return Ok(Filter::Addresses(target.clone(), stretches(base & mask, base | !mask, ip.is_ipv6())));
    }
    let read = |text: &str| text.parse::<IpAddr>().ok();
    let (least, greatest) = ends(target, check, WANTED, read)?;
    let version6 = [&least, &greatest]
        .iter()
        .any(|end| matches!(end, Bound::Included(ip) | Bound::Excluded(ip) if ip.to_canonical().is_ipv6()));
    let number = |ip: IpAddr| u128::from(words::address(ip));
    let (first, last) = if version6 { (0, u128::MAX) } else { MAPPED };
    let least = match least {
        Bound::Unbounded => Some(first),
        Bound::Included(ip) => Some(number(ip)),
        Bound::Excluded(ip) => number(ip).checked_add(1),
    };
    let greatest = match greatest {
        Bound::Unbounded => Some(last),
        Bound::Included(ip) => Some(number(ip)),
        Bound::Excluded(ip) => number(ip).checked_sub(1),
    };
    let (Some(least), Some(greatest)) = (least, greatest) else { return Ok(nothing()) };
    Ok(Filter::Addresses(target.clone(), stretches(least, greatest, version6)))
}

/// Where IPv4 lies on the line of IPv6 numbers.
const MAPPED: (u128, u128) = (0xffff_0000_0000, 0xffff_ffff_ffff);

/// A stretch of addresses; one of IPv6 leaves out what stands there for IPv4.
fn stretches(least: u128, greatest: u128, version6: bool) -> Vec<(Ipv6Addr, Ipv6Addr)> {
    let parts = if version6 && least <= MAPPED.0 && greatest >= MAPPED.1 {
        vec![(least, MAPPED.0 - 1), (MAPPED.1 + 1, greatest)]
    } else {
        vec![(least, greatest)]
    };
    let whole = parts.into_iter().filter(|(least, greatest)| least <= greatest);
    whole.map(|(least, greatest)| (least.into(), greatest.into())).collect()
}

fn times(check: &Check, now: Millis) -> Result<Filter, Mistake> {
    let (least, greatest) = match check {
        Check::Is(text) => moment(text, now)?,
        Check::Range(lower, upper) => {
            let least = match lower {
                Edge::Open => i64::MIN,
                Edge::With(text) => moment(text, now)?.0,
                Edge::Without(text) => moment(text, now)?.1.saturating_add(1),
            };
            let greatest = match upper {
                Edge::Open => i64::MAX,
                Edge::With(text) => moment(text, now)?.1,
                Edge::Without(text) => moment(text, now)?.0.saturating_sub(1),
            };
            (least, greatest)
        }
        _ => {
            return Err(Mistake::new(
                "@timestamp takes no wildcard",
                "write @timestamp:2026-03-02, or @timestamp:>=now-24h",
            ));
        }
    };
    Ok(if least > greatest { nothing() } else { Filter::Times(least, greatest) })
}
