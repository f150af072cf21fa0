//! The access lines of nginx proxy manager, to the same parts as the CLF family. Not for its error log.
//!
//! `[STAMP] CACHE UPSTREAM STATUS - METHOD SCHEME HOST "PATH" [Client IP] [Length N] [Gzip N] [Sent-to X] "AGENT" "REFERER"`

use nom::bytes::complete::{tag, take_till, take_until, take_while1};
use nom::character::complete::{char, space1};
use nom::combinator::opt;
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

use super::clf::Access;

/// Takes a line apart.
pub(super) fn access(line: &str) -> Option<Access<'_>> {
    parse(line).ok().map(|(_, access)| access)
}

fn word(input: &str) -> IResult<&str, &str> {
    terminated(take_while1(|one: char| one != ' '), space1).parse(input)
}

fn text(input: &str) -> IResult<&str, &str> {
    delimited(char('"'), take_till(|one| one == '"'), char('"')).parse(input)
}

/// `[NAME value]`
fn named<'l>(name: &'static str) -> impl Parser<&'l str, Output = &'l str, Error = nom::error::Error<&'l str>> {
    delimited((tag(" ["), tag(name), char(' ')), take_till(|one| one == ']'), char(']'))
}

/// Cache and upstream status, each of which may be a dash or missing, then the status and a dash.
fn status(input: &str) -> IResult<&str, i64> {
    let (mut rest, mut status) = (input, None);
    for _ in 0..4 {
        let (after, one) = word(rest)?;
        rest = after;
        match (one, status) {
            ("-", Some(status)) => return Ok((rest, status)),
            _ => status = one.parse().ok(),
        }
    }
    Err(nom::Err::Error(nom::error::Error::new(rest, nom::error::ErrorKind::Digit)))
}

fn parse(line: &str) -> IResult<&str, Access<'_>> {
    let (rest, stamp) = delimited(char('['), take_until("] "), tag("] ")).parse(line)?;
    let (rest, status) = status(rest)?;
    let (rest, (method, _scheme, vhost, target)) = (word, word, word, text).parse(rest)?;
    let (rest, client) = named("Client").parse(rest)?;
    let (rest, bytes) = opt(named("Length")).parse(rest)?;
    let (rest, _) = (opt(named("Gzip")), opt(named("Sent-to"))).parse(rest)?;
    let (rest, agent) = opt(preceded(char(' '), text)).parse(rest)?;
    let (rest, referrer) = opt(preceded(char(' '), text)).parse(rest)?;
    let access = Access {
        vhost,
        client,
        stamp,
        method,
        target,
        status: Some(status),
        bytes: bytes.and_then(|bytes| bytes.parse().ok()),
        agent: agent.unwrap_or_default(),
        referrer: referrer.unwrap_or_default(),
        ..Access::default()
    };
    Ok((rest, access))
}
