//! A request line or its target to `http.*` and `url.*`, with the servers' escapes undone. Not for what a path means (`web`).

use crmwatch_detectors::{Event, Field};
use memchr::{memchr, memrchr};
use nom::bytes::complete::take_while1;
use nom::character::complete::char;
use nom::sequence::terminated;
use nom::{IResult, Parser};

use super::absent;

/// A host without its port.
pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
            if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
        }
        _ => host,
    }
}

fn method(input: &str) -> IResult<&str, &str> {
    terminated(take_while1(|one: char| one.is_ascii_uppercase() || one == '-'), char(' ')).parse(input)
}

/// The request string: never assumed to be three words.
pub(super) fn request(event: &mut Event, raw: &str, request: &str) {
    if absent(request) {
        return;
    }
    let (rest, method) = match method(request) {
        Ok((rest, method)) => (rest, Some(method)),
        Err(_) => (request, None),
    };
    let (target, version) = match (method, memrchr(b' ', rest.as_bytes())) {
        (Some(_), Some(at)) if rest[at + 1..].starts_with("HTTP/") => (&rest[..at], &rest[at + 6..]),
        _ => (rest, ""),
    };
    match method.filter(|method| method.as_bytes()[0] != b'-') {
        Some(method) => event.set_part(Field::HttpMethod, raw, method),
        None => {
            // A TLS hello or another protocol: no target, but kept.
            set(event, Field::UrlOriginal, raw, request);
            return;
        }
    }
    if !version.is_empty() {
        event.set_part(Field::HttpVersion, raw, version);
    }
    locate(event, raw, target.trim_ascii());
}

/// Target to `url.*`: relative, absolute, `*`, or the `host:443` of CONNECT. Percent signs stay as they are.
pub(super) fn locate(event: &mut Event, raw: &str, target: &str) {
    if target.is_empty() {
        return;
    }
    set(event, Field::UrlOriginal, raw, target);
    let mut path = target;
    if !target.starts_with('/') {
        let absolute = target.strip_prefix("http://").or_else(|| target.strip_prefix("https://"));
        let Some(rest) = absolute else {
            if event.text(Field::HttpMethod) == Some("CONNECT") {
                set(event, Field::UrlDomain, raw, without_port(target));
            }
            return;
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        set(event, Field::UrlDomain, raw, without_port(&rest[..end]));
        path = if end == rest.len() { "/" } else { &rest[end..] };
    }
    match memchr(b'?', path.as_bytes()) {
        Some(at) => {
            set(event, Field::UrlPath, raw, if at == 0 { "/" } else { &path[..at] });
            set(event, Field::UrlQuery, raw, &path[at + 1..]);
        }
        None => set(event, Field::UrlPath, raw, path),
    }
}

/// A text that says something, its escapes undone.
pub(super) fn set(event: &mut Event, field: Field, raw: &str, text: &str) {
    if text.is_empty() || text == "-" {
        return;
    }
    if memchr(b'\\', text.as_bytes()).is_none() {
        event.set_part(field, raw, text);
    } else {
        event.set(field, &unescape(text));
    }
}

/// Undoes `\xHH` (nginx), `\xhh`, `\"` and `\\` (Apache). Bytes that are no text, and control characters, stay as the server wrote them:
/// what cannot be shown is not made.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = Vec::new();
    let mut rest = text;
    while let Some(at) = memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        run.clear();
        while let Some(byte) = hex(&rest.as_bytes()[run.len() * 4..]) {
            run.push(byte);
        }
        let (written, after) = rest.split_at(run.len() * 4);
        match std::str::from_utf8(&run) {
            _ if run.is_empty() => {
                let (kept, length) = match rest.as_bytes() {
                    [b'\\', b'"', ..] => ("\"", 2),
                    [b'\\', b'\\', ..] => ("\\", 2),
                    _ => ("\\", 1),
                };
                out.push_str(kept);
                rest = &rest[length..];
            }
            Ok(decoded) if !decoded.chars().any(char::is_control) => {
                out.push_str(decoded);
                rest = after;
            }
            _ => {
                out.push_str(written);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn hex(bytes: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    match bytes {
        [b'\\', b'x', high, low, ..] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}
