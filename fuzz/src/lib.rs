//! What a fuzz target runs on its bytes, and what must hold whatever they are. `tests/it/corpus.rs` includes this file.

use std::path::Path;
use std::sync::LazyLock;

use chrono_tz::Tz;
use crmwatch::config::Config;
use crmwatch::parse::web::Tables;
use crmwatch::parse::{self, Options, Verdict};
use crmwatch::query::Query;
use crmwatch::source::syslog::{Deframer, Frame};
use crmwatch::source::{Decoder, record_end};
use crmwatch_detectors::{Event, codec, json as event_json, sigma};

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::shipped);
const NOW: i64 = 1_772_442_847_000;

/// Formats of one event a line, and the finding out which it is.
pub fn lines(bytes: &[u8]) {
    for format in ["nginx", "apache", "nginx-error", "apache-error", "odoo", "suitecrm", "syslog", "auto"] {
        file(format, bytes);
    }
}

/// JSON in all its wrappings.
pub fn json(bytes: &[u8]) {
    for format in ["json", "m365-audit", "salesforce-elf", "auto"] {
        file(format, bytes);
    }
}

/// Rows under a header, with line breaks in their cells.
pub fn csv(bytes: &[u8]) {
    for format in ["salesforce-elf", "m365-audit", "auto"] {
        file(format, bytes);
    }
}

/// Syslog: headers of every kind, before messages of every kind.
pub fn syslog(bytes: &[u8]) {
    for format in ["syslog", "auto", "nginx", "odoo", "json"] {
        file(format, bytes);
    }
    stream(bytes);
}

/// Bytes of a syslog connection: however they are cut into reads, the same messages come out, within their bound.
fn stream(bytes: &[u8]) {
    const LONGEST: usize = 64;
    let frames = |read: usize| {
        let mut deframer = Deframer::new(LONGEST);
        let mut told = Vec::new();
        let mut give = |frame: Frame<'_>| told.push((frame.message.to_vec(), frame.cut, frame.partial));
        for piece in bytes.chunks(read.max(1)) {
            deframer.push(piece, &mut give);
            assert!(deframer.held() <= 2 * LONGEST, "no more is held than may be kept");
        }
        deframer.finish(&mut give);
        told
    };
    let whole = frames(bytes.len());
    assert!(whole.iter().all(|(message, ..)| !message.is_empty() && message.len() <= LONGEST));
    for read in [1, 3, 7] {
        assert!(frames(read) == whole, "cut into reads of {read} bytes the messages are others");
    }
}

/// Reads bytes as a file of that format, record by record, and is stopped and resumed at each.
fn file(format: &str, bytes: &[u8]) {
    let options = Options { timezone: Tz::Asia__Shanghai, year: 2026, ..Options::default() };
    let mut grammar = parse::grammar(format, &options).expect("a format of the list");
    let mut events: Vec<Event> = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let line = &rest[..memchr_line(rest)];
        let framing = grammar.framing(line);
        let end = record_end(framing, rest, 0).unwrap_or(rest.len());
        let (text, _) = Decoder::of("auto").decode(&rest[..end]);
        let mut resumed = parse::grammar(format, &options).expect("a format of the list");
        resumed.resume(&grammar.state());
        let before = events.len();
        let verdict = grammar.parse(&text, &mut events);
        match verdict {
            Verdict::Parsed => assert!(events.len() > before, "{format}: parsed to nothing"),
            _ => assert_eq!(events.len(), before, "{format}: {verdict:?}, and still an event"),
        }
        let mut again = Vec::new();
        assert_eq!(resumed.parse(&text, &mut again), verdict, "{format}: reads otherwise after a restart");
        for event in &mut events[before..] {
            sound(event);
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
}

fn memchr_line(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len())
}

/// What the stages behind the parsers do with an event.
fn sound(event: &mut Event) {
    TABLES.apply(event);
    let object = event_json::object(event);
    let printed = serde_json::to_string(&object).expect("an event is JSON");
    assert!(!printed.contains('\n'), "an event is one line");
    assert!(object["@timestamp"].as_str().is_some_and(|stamp| stamp.ends_with('Z')));
    stored(event);
}

fn stored(event: &Event) {
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    codec::encode(event, &mut once);
    let back = codec::decode(&once).expect("what was stored can be read");
    codec::encode(&back, &mut twice);
    assert!(once == twice, "an event is stored as it was read");
}

/// The query language: what is understood prints to what is understood the same.
pub fn query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let query = match Query::parse(&text) {
        Ok(query) => query,
        Err(error) => {
            assert!(error.position <= text.chars().count(), "a mistake stands in the query");
            return;
        }
    };
    let printed = query.to_string();
    match Query::parse(&printed) {
        Ok(again) => assert_eq!(again.node, query.node, "{printed}"),
        Err(error) => panic!("{text:?} prints to {printed:?}: {error}"),
    }
    let mut event = Event::new("alice exported 500 contacts");
    event.time = NOW;
    if let Ok(filter) = query.filter(NOW) {
        filter.matches(&event);
    }
}

/// Stored events that are damaged, or were never any.
pub fn codec(bytes: &[u8]) {
    if let Ok(event) = codec::decode(bytes) {
        stored(&event);
    }
}

/// What an operator writes: the configuration and rules.
pub fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(error) = Config::parse(Path::new("crmwatch.toml"), &text) {
        assert!(!error.to_string().is_empty());
    }
    if let Err(error) = sigma::load(&[("rule.yml".to_owned(), text.into_owned())]) {
        assert!(!error.to_string().is_empty());
    }
}
