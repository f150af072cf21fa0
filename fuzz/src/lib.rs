//! What a fuzz target runs on its bytes, and what must hold whatever they are. `tests/it/corpus.rs` includes this file.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use chrono_tz::Tz;
use crmwatch::config::Config;
use crmwatch::ledger::Segment;
use crmwatch::parse::own::OwnFormat;
use crmwatch::parse::web::Tables;
use crmwatch::parse::{self, Framing, Options, Verdict};
use crmwatch::query::Query;
use crmwatch::source::syslog::{Deframer, Frame};
use crmwatch::source::{Decoder, Found, Input, Position, Received, Scan, Units, spooled, unspooled};
use crmwatch_detectors::detector::{Context, Detector};
use crmwatch_detectors::{Event, EventId, Field, codec, json as event_json, sigma};

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::shipped);
const NOW: i64 = 1_772_442_847_000;

/// Every format, and the finding out which it is.
pub fn lines(bytes: &[u8]) {
    let every = parse::FORMATS.iter().map(|format| format.name);
    every.chain(["auto", "own", "own-captures"]).for_each(|format| file(format, bytes));
}

/// JSON in all its wrappings.
pub fn json(bytes: &[u8]) {
    for format in ["json", "m365-audit", "salesforce-elf", "auto", "own-json"] {
        file(format, bytes);
    }
}

/// Rows under a header, with line breaks in their cells.
pub fn csv(bytes: &[u8]) {
    for format in ["salesforce-elf", "m365-audit", "auto"] {
        file(format, bytes);
    }
}

/// Formats that are read alike. The first byte says which one reads the rest, or that it is told from it.
fn one_of(family: &[&str], bytes: &[u8]) {
    let [kind, rest @ ..] = bytes else { return };
    file(family.get(usize::from(*kind) % (family.len() + 1)).unwrap_or(&"auto"), rest);
}

/// What web servers and proxies write.
pub const WEB: [&str; 8] = ["nginx", "apache", "nginx-error", "apache-error", "haproxy", "iis", "caddy", "traefik"];

/// [`WEB`].
pub fn web(bytes: &[u8]) {
    one_of(&WEB, bytes);
}

/// Prose of CRMs' own logs.
pub const APPLICATIONS: [&str; 9] =
    ["odoo", "suitecrm", "civicrm", "yetiforce", "vtiger", "tine", "espocrm", "twenty", "klog"];

/// [`APPLICATIONS`].
pub fn applications(bytes: &[u8]) {
    one_of(&APPLICATIONS, bytes);
}

/// Keys and values of any vendor.
pub const PAIRS: [&str; 3] = ["cef", "leef", "logfmt"];

/// [`PAIRS`].
pub fn pairs(bytes: &[u8]) {
    one_of(&PAIRS, bytes);
}

/// JSON of one vendor each.
pub const VENDORS: [&str; 10] = [
    "salesforce-event",
    "m365-audit",
    "dataverse-audit",
    "entra-id",
    "google-workspace",
    "hubspot",
    "jiandaoyun",
    "zoho-api",
    "espocrm-records",
    "twenty-events",
];

/// [`VENDORS`].
pub fn vendors(bytes: &[u8]) {
    one_of(&VENDORS, bytes);
}

/// Rows under headings that a person chose or translated.
pub const SHEETS: [&str; 6] = ["salesforce-elf", "m365-audit", "jiandaoyun-log", "zoho", "vtiger-logins", "audit-csv"];

/// [`SHEETS`].
pub fn sheets(bytes: &[u8]) {
    one_of(&SHEETS, bytes);
}

/// An operator's own format, and lines for it: the configuration ends at the first NUL. Where it is none, one of ours reads the lines.
pub fn own_formats(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (written, lines) = (String::from_utf8_lossy(&bytes[..at]), bytes.get(at + 1..).unwrap_or_default());
    match crmwatch::config::parse_formats(Path::new("own.toml"), &written) {
        Ok(formats) => formats.into_iter().for_each(|own| read(own.name, Some(own.clone()), lines)),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            ["own", "own-captures", "own-json"].iter().for_each(|format| file(format, lines));
        }
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

/// Formats of an operator's own, one of each shape.
const OWN: &str = r#"
[[format]]
name = "own"
pattern = '$remote_addr - $user_name [$when] "$request" $crm_records'
time = { field = "when", format = "%b %d %H:%M:%S" }
actions = [{ field = "user_name", contains = "a", action = "export", outcome = "success" }]

[[format]]
name = "own-captures"
regex = '(?P<source_ip>\S+) (?P<user_name>.*?) ?\[(?P<time_local>[^\]]*)\](?P<message>.*)'

[[format]]
name = "own-json"
json = { "user.name" = "user", "crm.records" = "a.b" }
time = { field = "time", format = "iso" }
actions = [{ field = "action", prefix = "e", action = "export" }]
"#;

fn own(name: &str) -> Option<Arc<OwnFormat>> {
    static FORMATS: LazyLock<Vec<Arc<OwnFormat>>> =
        LazyLock::new(|| crmwatch::config::parse_formats(Path::new("own.toml"), OWN).expect("right formats"));
    FORMATS.iter().find(|own| own.name == name).cloned()
}

/// Reads bytes as a file of that format, record by record, and is stopped and resumed at each.
pub fn file(format: &str, bytes: &[u8]) {
    read(format, own(format), bytes);
}

fn read(format: &str, own: Option<Arc<OwnFormat>>, bytes: &[u8]) {
    let options = Options { timezone: Tz::Asia__Shanghai, year: 2026, own, ..Options::default() };
    let mut grammar = parse::grammar(format, &options).expect("a format of the list");
    let mut events: Vec<Event> = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let line = &rest[..memchr_line(rest)];
        let framing = grammar.framing(line);
        let end = match Scan::new(framing, Units::Mixed).on(rest) {
            Found::End(end) => end,
            Found::Never => line.len(),
            Found::Open => rest.len(),
        };
        let (text, _) = Decoder::Auto.decode(&rest[..end]);
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

const UNITS: [Units; 6] = [Units::Mixed, Units::Single, Units::Double, Units::ShiftJis, Units::Utf16Le, Units::Utf16Be];
const FRAMINGS: [Framing; 3] = [Framing::Lines, Framing::QuotedCsv, Framing::Json];

/// Where records end. The first byte says how bytes are characters and how records end, the second into what pieces the rest is cut.
pub fn framing(bytes: &[u8]) -> Vec<usize> {
    let [kind, cut, text @ ..] = bytes else { return Vec::new() };
    let units = UNITS[usize::from(*kind) % UNITS.len()];
    let framing = FRAMINGS[usize::from(*kind) / UNITS.len() % FRAMINGS.len()];
    let piece = usize::from(*cut) % 17 + 1;
    let (mut at, mut ends) = (0, Vec::new());
    while at < text.len() {
        let whole = Scan::new(framing, units).on(&text[at..]);
        let mut scan = Scan::new(framing, units);
        let (mut given, mut found) = (at, Found::Open);
        while found == Found::Open && given < text.len() {
            given = (given + piece).min(text.len());
            found = scan.on(&text[at + scan.seen()..given]);
        }
        assert_eq!(found, whole, "{units:?} {framing:?}: the end of a record depends on how it came");
        let Found::End(end) = whole.or_first_line(units, &text[at..]) else { break };
        assert!(units.newline(&text[at + end..], 0) == Some(0), "a record ends before a newline");
        assert_eq!(units.newlines(&text[at..at + end]) == 0, units.newline(&text[at..at + end], 0).is_none());
        at += end + units.width();
        ends.push(at);
    }
    ends
}

trait OrFirstLine {
    fn or_first_line(self, units: Units, text: &[u8]) -> Found;
}

impl OrFirstLine for Found {
    /// What never ends is taken line by line.
    fn or_first_line(self, units: Units, text: &[u8]) -> Found {
        match self {
            Found::Never => units.newline(text, 0).map_or(Found::Open, Found::End),
            other => other,
        }
    }
}

/// Bytes to text and back. The first byte names an encoding.
pub fn decode(bytes: &[u8]) {
    const LABELS: [&str; 9] =
        ["auto", "utf-16le", "utf-16be", "gb18030", "gbk", "big5", "shift_jis", "windows-1252", "utf-8"];
    let [label, bytes @ ..] = bytes else { return };
    let label = LABELS[usize::from(*label) % LABELS.len()];
    let Some(decoder) = Decoder::of(label, bytes) else { return };
    let (text, keep) = decoder.decode(bytes);
    // Text that stands alone must lead back to the bytes.
    if !keep && !text.contains('\u{fffd}') {
        let back = match decoder.units() {
            Units::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Units::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Units::Mixed if std::str::from_utf8(bytes).is_err() => encoding_rs::GB18030.encode(&text).0.into_owned(),
            Units::Mixed => text.as_bytes().to_vec(),
            _ => {
                let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).expect("a label of the list");
                encoding.encode(&text).0.into_owned()
            }
        };
        assert!(back == bytes, "{label}: {bytes:?} is kept as {text:?} only");
    }
    decoder.plain(bytes);
    let units = decoder.units();
    assert!(units.leading_zeros(bytes) <= bytes.len());
    if let Some(at) = units.last_newline(bytes) {
        assert!(units.newline(bytes, at) == Some(at) && units.newlines(bytes) > 0);
    }
}

/// What came over the wire, written to the spool and read back: the same. And what never was a spool line.
pub fn spool(bytes: &[u8]) {
    let payloads: Vec<&[u8]> = bytes.split(|byte| *byte == 0xfe).collect();
    let records: Vec<Received<'_>> =
        payloads.iter().map(|payload| Received::new(NOW, Some([192, 0, 2, 1].into()), payload)).collect();
    let written = spooled(&records);
    let mut lines = written.split(|byte| *byte == b'\n');
    for payload in payloads {
        let line = lines.next().expect("a line a record");
        let back = unspooled(line).expect("one of ours");
        assert!(back.payload == payload && back.at == NOW && back.peer == Some([192, 0, 2, 1].into()));
    }
    assert!(lines.next().is_some_and(<[u8]>::is_empty) && lines.next().is_none());
    bytes.split(|byte| *byte == b'\n').for_each(|line| drop(unspooled(line)));
}

/// What the ledger keeps of files and batches, damaged.
pub fn positions(bytes: &[u8]) {
    if let Ok(position) = serde_json::from_slice::<Position>(bytes) {
        let text = serde_json::to_string(&position).expect("positions serialise");
        assert_eq!(serde_json::from_str::<Position>(&text).expect("what was written can be read"), position);
        let mut file = tempfile::NamedTempFile::new().expect("made");
        file.write_all(bytes).expect("written");
        let mut input = Input::open(file.path()).expect("opened");
        let _ = position.fits(&mut input);
        let _ = position.shorter_copy(&mut input, true);
    }
    if let Ok(segments) = serde_json::from_slice::<Vec<Segment>>(bytes) {
        let text = serde_json::to_string(&segments).expect("segments serialise");
        assert_eq!(serde_json::from_str::<Vec<Segment>>(&text).expect("what was written can be read"), segments);
    }
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
    if let Err(error) = sigma::load(&sigma::Texts::one("rule.yml", &text)) {
        assert!(!error.to_string().is_empty());
    }
}

/// A rule and lines for it: the rule ends at the first NUL. What loads is shown events of every log public rules know, and is saved and
/// brought back.
pub fn rules(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (rule, lines) = text.split_once('\0').unwrap_or((&text, ""));
    let mut texts = sigma::Texts::one("rule.yml", rule);
    texts.placeholders.insert("names".to_owned(), vec!["a".to_owned(), "b*".to_owned()]);
    let mut rules = match sigma::Sigma::of(&texts) {
        Ok(rules) => rules,
        Err(error) => {
            let told = error.to_string();
            assert!(told.starts_with("rule.yml:"), "{told}");
            return;
        }
    };
    drop(sigma::trial::run(&texts).expect("what loads once loads again"));
    let mut out = Vec::new();
    for (number, line) in lines.lines().take(64).enumerate() {
        for dataset in ["m365.exchange", "entra.signin", "google_workspace.admin", "okta.system", "x"] {
            let mut event = Event::new(line);
            event.id = EventId(number as u128);
            event.time = number as i64 * 1_000;
            event.set(Field::EventDataset, dataset);
            event.set(Field::EventCategory, "web");
            event.set(Field::UrlOriginal, line);
            event.set(Field::UserName, line);
            rules.observe(&event, &Context::default(), &mut out);
        }
    }
    let mut again = sigma::Sigma::of(&texts).expect("what loads once loads again");
    for change in rules.changes() {
        if let Some(value) = &change.value {
            again.restore(&change.key, value).expect("what was saved can be read");
        }
    }
}
