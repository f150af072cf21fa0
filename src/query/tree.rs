//! The syntax tree of a query, and its way back to text. Relative times stay relative in it, so that it can be kept.
//! Not for what it means (`filter`).

use std::fmt::{self, Write};

use super::target::Target;
use super::wildcard::{Piece, Wildcard};

/// A query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Every event.
    All,
    /// What does not match.
    Not(Box<Node>),
    /// All of at least two.
    And(Vec<Node>),
    /// Any of at least two.
    Or(Vec<Node>),
    /// One test; without a target it looks at the raw line.
    Test(Option<Target>, Check),
}

/// What is asked of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// There is one.
    Exists,
    /// It is that, or holds those words in that order.
    Is(String),
    /// It fits the pattern.
    Like(Wildcard),
    /// It lies between.
    Range(Edge, Edge),
}

/// One end of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edge {
    /// No end.
    Open,
    /// With the value itself.
    With(String),
    /// Without it.
    Without(String),
}

impl fmt::Display for Node {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = |node: &Node, out: &mut fmt::Formatter<'_>| match node {
            Node::And(_) | Node::Or(_) => write!(out, "({node})"),
            _ => write!(out, "{node}"),
        };
        match self {
            Node::All => out.write_char('*'),
            Node::Not(node) => {
                out.write_str("NOT ")?;
                inner(node, out)
            }
            Node::And(nodes) | Node::Or(nodes) => {
                let between = if matches!(self, Node::And(_)) { " AND " } else { " OR " };
                for (number, node) in nodes.iter().enumerate() {
                    if number > 0 {
                        out.write_str(between)?;
                    }
                    inner(node, out)?;
                }
                Ok(())
            }
            Node::Test(target, check) => {
                if let Some(target) = target {
                    escaped(&target.to_string(), out)?;
                    out.write_char(':')?;
                }
                write!(out, "{check}")
            }
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Check::Exists => out.write_char('*'),
            Check::Is(text) => quoted(text, out),
            Check::Like(pattern) => {
                for piece in pattern.pieces() {
                    match piece {
                        Piece::One(one) => escaped(one.encode_utf8(&mut [0; 4]), out)?,
                        Piece::Any => out.write_char('?')?,
                        Piece::Run => out.write_char('*')?,
                    }
                }
                Ok(())
            }
            Check::Range(lower, upper) => {
                let (open, least) = match lower {
                    Edge::Open => ('[', None),
                    Edge::With(text) => ('[', Some(text)),
                    Edge::Without(text) => ('{', Some(text)),
                };
                let (close, greatest) = match upper {
                    Edge::Open => (']', None),
                    Edge::With(text) => (']', Some(text)),
                    Edge::Without(text) => ('}', Some(text)),
                };
                out.write_char(open)?;
                edge(least, out)?;
                out.write_str(" TO ")?;
                edge(greatest, out)?;
                out.write_char(close)
            }
        }
    }
}

fn edge(text: Option<&String>, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    match text {
        None => out.write_char('*'),
        Some(text) => quoted(text, out),
    }
}

/// Whether a character stands for itself outside quotes.
pub(super) fn plain(one: char) -> bool {
    one.is_alphanumeric() || "_.@/+,;%&=#~$^-".contains(one)
}

fn escaped(text: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    for one in text.chars() {
        if !one.is_alphanumeric() && !"_.@/".contains(one) {
            out.write_char('\\')?;
        }
        out.write_char(one)?;
    }
    Ok(())
}

fn quoted(text: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let keyword = ["and", "or", "not", "to"].iter().any(|word| text.eq_ignore_ascii_case(word));
    if !text.is_empty() && !keyword && !text.starts_with('-') && text.chars().all(plain) {
        return out.write_str(text);
    }
    out.write_char('"')?;
    for one in text.chars() {
        if matches!(one, '"' | '\\') {
            out.write_char('\\')?;
        }
        out.write_char(one)?;
    }
    out.write_char('"')
}
