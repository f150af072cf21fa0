//! Requests that carry attacks on the application itself: injections, traversals, scripts.
//!
//! # What it finds
//! Requests whose address or query holds what only attacks hold, several of them, from one person or address.
//!
//! # Why it matters
//! A CRM is a web application. One injection that works reads the database past every right and every audit log.
//!
//! # How it decides
//! Path and query are decoded twice, so that `%2527` hides nothing, and searched for signs of SQL injection, scripts, traversals, commands, look-ups (`${jndi:`) and templates. The
//! signs are whole figures of speech (`' or 1=1`, `union select`, `../../`), not single words, so that O'Brien may be searched for. Different requests are counted by
//! entity within ten minutes. The internet scans everybody all day: from `requests` on it is low where nobody is logged in. It is medium where somebody who is logged in does so, or where ten
//! or more different requests met success (2xx) or broke something (5xx), and high where both hold.
//!
//! # False positives
//! A security scanner of your own (name its network in an allowance); a knowledge base about SQL.
//!
//! # What to check
//! - Did requests of the same address succeed that should not have? Look at status and size of the answers.
//! - Who is behind the account that was logged in? It is probably not its owner.
//!
//! # Settings
//! - `requests` (3): different requests with signs of an attack within ten minutes.

use serde::{Deserialize, Serialize};

use crate::baseline::stable_hash;
use crate::brute_force_success::account_key;
use crate::detector::Context;
use crate::entity::entity_key;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::keyed::Resident;
use crate::mass::Told;
use crate::names::who;
use crate::sigma::window::Distinct;
use crate::watch::{Post, Watch};
use crate::window::Trail;

const SPAN: Millis = 600_000;
const ROOM: usize = 64;
/// No more of an address is looked at.
const LONGEST: usize = 4_096;
/// Requests that met success or broke something, from which on scanning is more than scanning.
const ANSWERED: f64 = 10.0;

/// Signs, in lower case, as they stand after decoding, and what they are signs of.
const SIGNS: &[(&str, &str)] = &[
    ("union select", "sql injection"),
    ("union all select", "sql injection"),
    ("' or 1=1", "sql injection"),
    ("' or '1'='1", "sql injection"),
    ("\" or \"1\"=\"1", "sql injection"),
    ("' and 1=1", "sql injection"),
    ("or sleep(", "sql injection"),
    ("and sleep(", "sql injection"),
    ("waitfor delay", "sql injection"),
    ("benchmark(", "sql injection"),
    ("pg_sleep(", "sql injection"),
    ("information_schema", "sql injection"),
    ("xp_cmdshell", "sql injection"),
    ("extractvalue(", "sql injection"),
    ("; drop table", "sql injection"),
    ("<script", "script"),
    ("javascript:", "script"),
    ("onerror=", "script"),
    ("onload=", "script"),
    ("../../", "traversal"),
    ("..\\..\\", "traversal"),
    ("/etc/passwd", "traversal"),
    ("/win.ini", "traversal"),
    ("php://", "traversal"),
    ("file:///", "traversal"),
    ("${jndi:", "look-up"),
    ("${${", "look-up"),
    ("{{7*7}}", "template"),
    ("<%=", "template"),
    ("#{7*7}", "template"),
    (";cat ", "command"),
    ("|cat ", "command"),
    ("$(id)", "command"),
    ("`id`", "command"),
    ("/bin/sh", "command"),
    ("cmd.exe", "command"),
    ("169.254.169.254", "server-side request"),
];

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    requests: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { requests: 3.0 }
    }
}

/// The attacks of one entity.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Attacker {
    requests: Distinct,
    answered: Distinct,
    trail: Trail,
    told: Told,
}

impl Resident for Attacker {
    fn rank(&self) -> u8 {
        u8::from(self.requests.len() >= 3)
    }
}

/// See the file's head.
pub struct WebAttack;

/// Whether a text may hold a sign at all, in one pass: most addresses are letters, digits and slashes.
fn suspicious(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut before = 0;
    bytes.iter().enumerate().any(|(at, byte)| {
        let last = std::mem::replace(&mut before, *byte);
        match byte {
            b'%' | b'\'' | b'"' | b'<' | b'(' | b'$' | b'{' | b';' | b'|' | b'`' | b'\\' | b'+' => true,
            b'.' => last == b'.' || bytes[..at].ends_with(b"169.254"),
            b'/' => last == b'/' || bytes[..at].ends_with(b"/etc"),
            _ => false,
        }
    })
}

fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).and_then(|byte| (*byte as char).to_digit(16));
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (b'+', ..) => {
                out.push(b' ');
                at += 1;
            }
            (byte, ..) => {
                out.push(byte.to_ascii_lowercase());
                at += 1;
            }
        }
    }
    out.make_ascii_lowercase();
    out
}

fn sign_in(text: &str) -> Option<&'static str> {
    let text = &text[..text.floor_char_boundary(LONGEST)];
    if !suspicious(text) {
        return None;
    }
    let once = String::from_utf8_lossy(&decoded(text)).into_owned();
    // Comments and doubled blanks are a way to hide.
    let twice = String::from_utf8_lossy(&decoded(&once)).replace("/**/", " ");
    let plain = twice.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    SIGNS.iter().find(|(sign, _)| plain.contains(sign)).map(|(_, what)| *what)
}

impl Watch for WebAttack {
    const ID: &'static str = "web-attack";
    const SOURCE: &'static str = include_str!("web_attack.rs");
    const SEVERITY: Severity = Severity::Low;
    const TECHNIQUES: &'static [&'static str] = &["T1190"];
    const ACTIONS: &'static [&'static str] = &[];
    const CAPACITY: usize = 20_000;
    type Settings = Settings;
    type State = Attacker;

    fn look(at: &mut Post<'_, Self>, event: &Event, _: &Context, out: &mut Vec<Detection>) {
        let parts = [Field::UrlPath, Field::UrlQuery];
        let Some(what) = parts.into_iter().filter_map(|field| event.text(field)).find_map(sign_in) else { return };
        let key = entity_key(event);
        if key.is_empty() {
            return;
        }
        let attacker = at.states.touch(&key, event.time);
        let request =
            parts.into_iter().filter_map(|field| event.text(field)).map(stable_hash).fold(0, |one, other| one ^ other);
        attacker.requests.insert(event.time, u64::from(request), SPAN, ROOM);
        let status = event.integer(Field::HttpStatus).unwrap_or(0);
        if matches!(status, 200..300 | 500..600) {
            attacker.answered.insert(event.time, u64::from(request), SPAN, ROOM);
        }
        attacker.trail.add(event, SPAN, 60);
        let amount = |found: Option<crate::sigma::window::Found>| found.map_or(0.0, |found| found.amount);
        let requests = amount(attacker.requests.fullest(event.time, SPAN, 1));
        let answered = amount(attacker.answered.fullest(event.time, SPAN, 1));
        if requests < at.settings.requests {
            return;
        }
        let severity = match (account_key(event).is_some() && !event.is(Field::UserInferred), answered >= ANSWERED) {
            (true, true) => Severity::High,
            (false, false) => Severity::Low,
            _ => Severity::Medium,
        };
        if attacker.told.again(event.time, requests, severity as u8) {
            let mut evidence = attacker.trail.references(event.time - SPAN, event.time);
            evidence.retain(|reference| reference.id != event.id);
            out.push(tell(event, severity, what, [requests, answered]).resting_on(
                evidence,
                event.time - SPAN,
                event.time,
            ));
        }
    }
}

fn tell(event: &Event, severity: Severity, what: &str, figures: [f64; 2]) -> Detection {
    let who = who(event);
    let [requests, answered] = figures;
    Detection {
        summary: Sentence::new(
            format!("{who} sent {requests:.0} requests that carry attacks on the application, the last a {what}"),
            format!("{who} 发送了 {requests:.0} 个带有应用攻击的请求，最近一个为 {what}"),
        ),
        observed: Sentence::new(
            format!(
                "{requests:.0} different requests within ten minutes, {answered:.0} of them answered with success or an error of the server"
            ),
            format!("十分钟内 {requests:.0} 个不同请求，其中 {answered:.0} 个得到成功响应或服务器错误"),
        ),
        expected: Sentence::new("no such requests", "不应有此类请求"),
        quiet: 3_600_000,
        parts: vec![("requests", requests), ("answered", answered)],
        ..WebAttack::detection(event, severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BERLIN, event, kept_promises, play_all, worst};

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<WebAttack>(&serde_json::json!({})).expect("defaults fit")
    }

    fn asked(nth: i64, user: &str, query: &str, status: i64) -> Event {
        let mut one = event(0, user, BERLIN, "list", nth);
        one.time += nth * 3_000;
        one.set(Field::UrlPath, "/crm/contacts");
        one.set(Field::UrlQuery, query);
        one.set_integer(Field::HttpStatus, status);
        if user.is_empty() {
            one.remove(Field::UserName);
        }
        one
    }

    fn injections(count: i64, user: &str, status: i64) -> Vec<Event> {
        (0..count).map(|nth| asked(nth, user, &format!("id={nth}%2527%20UNION%2f**%2fSELECT%201"), status)).collect()
    }

    #[test]
    fn signs_are_found_under_two_layers_of_encoding() {
        for text in [
            "id=1%2527%20or%201=1",
            "q=%3CScRiPt%3E",
            "/etc/passwd",
            "url=http://169.254.169.254/latest",
            "/a/..%2f..%2fetc/passwd",
            "x=${jndi:ldap://x}",
            "id=1+UnIoN/**/SeLeCt+1",
        ] {
            assert!(sign_in(text).is_some(), "{text}");
        }
        for text in [
            "q=O%27Brien",
            "q=select+a+plan+or+union",
            "page=2&sort=name",
            "q=100%25+off",
            "/files/a..b.pdf",
            "q=\u{4f60}",
        ] {
            assert!(sign_in(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_weather_of_the_internet_is_low_and_somebody_logged_in_medium_or_worse() {
        assert_eq!(worst(&play_all(&make, injections(5, "", 404))), Some(Severity::Low));
        assert_eq!(worst(&kept_promises(&make, injections(5, "mia", 404))), Some(Severity::Medium));
        assert_eq!(worst(&play_all(&make, injections(14, "", 500))), Some(Severity::Medium));
        assert_eq!(worst(&play_all(&make, injections(14, "mia", 200))), Some(Severity::High));
    }

    #[test]
    fn the_same_request_again_and_two_of_them_are_nothing() {
        let again = (0..20).map(|nth| asked(nth, "mia", "q=%3Cscript%3E", 200)).collect();
        assert_eq!(play_all(&make, again).len(), 0);
        assert_eq!(play_all(&make, injections(2, "mia", 200)).len(), 0);
    }
}
