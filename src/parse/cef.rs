//! ArcSight's Common Event Format: `CEF:VERSION|Vendor|Product|Version|Id|Name|Severity|key=value ...`. Not for the syslog header before it.

use std::borrow::Cow;

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field, Millis};

use super::json_lines::locate;
use super::pairs::{Carrier, spaced};
use super::{Format, Grammar, NO_TIME, Options, Verdict, absent, actions, spoken_time, time};

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: "cef",
    about: "ArcSight Common Event Format (CEF), also as a syslog relay damaged it",
    sniff: |record| match body(record.trim_ascii()) {
        Some((true, _)) => 92,
        Some((false, rest)) if header(rest).is_some() => 70,
        _ => 0,
    },
    grammar: |options: &Options| {
        Box::new(Cef { carrier: Carrier::new(options), found: Vec::new(), labels: Vec::new() })
    },
};

struct Cef {
    carrier: Carrier,
    /// Room for a record's pairs and for its labels; empty between records.
    found: Vec<(&'static str, &'static str)>,
    labels: Vec<(&'static str, &'static str)>,
}

/// The same room, with nothing in it: what is collected from a vector's own items stays where they were.
fn emptied(mut pairs: Vec<(&str, &str)>) -> Vec<(&'static str, &'static str)> {
    pairs.clear();
    pairs.into_iter().map(|_| ("", "")).collect()
}

/// What follows `CEF:`, and whether it was there: a relay that took it for the program's name leaves `0|Vendor|...`.
fn body(line: &str) -> Option<(bool, &str)> {
    let line = line.trim_start_matches('\u{feff}');
    if let Some(rest) = line.strip_prefix("CEF:") {
        return Some((true, rest.trim_ascii_start()));
    }
    (line.starts_with("0|") || line.starts_with("1|")).then_some((false, line))
}

/// The seven fields of the header, `\|` and `\\` undone, and the extension.
fn header(text: &str) -> Option<([Cow<'_, str>; 7], &str)> {
    let mut fields: [Cow<'_, str>; 7] = Default::default();
    let mut rest = text;
    for field in &mut fields {
        let bytes = rest.as_bytes();
        let mut at = 0;
        let mut escaped = false;
        let end = loop {
            let found = at + memchr::memchr2(b'|', b'\\', bytes.get(at..)?)?;
            if bytes[found] == b'|' {
                break found;
            }
            escaped = true;
            at = found + 2;
        };
        *field = if escaped { unescaped(&rest[..end]) } else { Cow::Borrowed(&rest[..end]) };
        rest = &rest[end + 1..];
    }
    Some((fields, rest))
}

/// `\\`, `\|`, `\=`, `\n` and `\r` undone.
fn unescaped(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let Some(first) = memchr::memchr(b'\\', bytes) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    let (mut from, mut at) = (0, Some(first));
    while let Some(escape) = at {
        out.push_str(&text[from..escape]);
        let undone = match bytes.get(escape + 1) {
            Some(b'n') => "\n",
            Some(b'r') => "\r",
            Some(b'\\') => "\\",
            Some(b'|') => "|",
            Some(b'=') => "=",
            _ => "",
        };
        // Another letter's backslash stays.
        out.push_str(if undone.is_empty() { "\\" } else { undone });
        from = escape + 1 + undone.len();
        at = memchr::memchr(b'\\', &bytes[from..]).map(|found| from + found);
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

/// Where in a text the escapes stand.
struct Escapes {
    first: usize,
    last: usize,
}

impl Escapes {
    fn of(text: &str) -> Escapes {
        let at = |found: Option<usize>| found.map(|at| text.as_ptr() as usize + at);
        match at(memchr::memchr(b'\\', text.as_bytes())).zip(at(memchr::memrchr(b'\\', text.as_bytes()))) {
            Some((first, last)) => Escapes { first, last },
            None => Escapes { first: usize::MAX, last: 0 },
        }
    }

    /// A part of that text, unescaped.
    fn undone<'t>(&self, part: &'t str) -> Cow<'t, str> {
        let from = part.as_ptr() as usize;
        if self.last < from || from + part.len() <= self.first { Cow::Borrowed(part) } else { unescaped(part) }
    }
}

/// Extension key to the name its value has elsewhere. Unknown keys keep their own.
fn known(key: &str) -> Option<&'static str> {
    Some(match key.as_bytes() {
        b"src" | b"c6a2" | b"sourceAddress" => "source.ip",
        b"destinationAddress" => "destination.ip",
        b"sourcePort" => "source.port",
        b"sourceUserId" => "user.id",
        b"destinationUserId" => "user.target.id",
        b"eventOutcome" => "event.outcome",
        b"spt" => "source.port",
        b"dst" => "destination.ip",
        b"dpt" => "destination.port",
        b"suid" => "user.id",
        b"duid" => "user.target.id",
        b"sntdom" => "user.domain",
        b"shost" => "source.address",
        b"dvchost" => "host.name",
        b"requestMethod" => "http.request.method",
        b"requestClientApplication" => "user_agent.original",
        b"requestContext" => "http.request.referrer",
        b"externalId" => "event.id",
        b"msg" => "message",
        b"reason" => "event.reason",
        b"outcome" => "event.outcome",
        b"fname" => "file.name",
        b"fsize" => "file.size",
        b"out" => "http.response.body.bytes",
        b"in" => "http.request.body.bytes",
        b"app" => "service.name",
        b"sproc" => "process.name",
        b"spid" => "process.pid",
        _ => return None,
    })
}

impl Grammar for Cef {
    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let line = record.trim_ascii();
        if line.is_empty() {
            return Verdict::Skipped;
        }
        let Some((_, text)) = body(line) else { return Verdict::Rejected("no CEF header") };
        let Some(([_, vendor, product, _, id, name, severity], extension)) = header(text) else {
            return Verdict::Rejected("CEF header of fewer than seven fields");
        };
        let event = self.event(record, extension, &[&vendor, &product, &id, &name, &severity]);
        events.push(event);
        Verdict::Parsed
    }

    fn format(&self) -> &'static str {
        FORMAT.name
    }
}

impl Cef {
    fn event(&mut self, raw: &str, extension: &str, [vendor, product, id, name, severity]: &[&str; 5]) -> Event {
        let mut found: Vec<(&str, &str)> = std::mem::take(&mut self.found);
        let mut labels: Vec<(&str, &str)> = std::mem::take(&mut self.labels);
        let mut said = Said::default();
        spaced(extension.trim_end_matches(['\r', '\n']), |key, value| match said.place(key) {
            _ if absent(value) => {}
            Some(place) => *place = Some(value),
            None if is_label(key) => {
                if labels.len() < MOST_LABELS {
                    labels.push((key, value));
                }
            }
            None => found.push((key, value)),
        });
        // Most values hold no escape: only those between the first and the last are looked through.
        let escapes = Escapes::of(extension);
        let zone = said.zone.and_then(|text| text.parse::<Tz>().ok()).unwrap_or(self.carrier.zone());
        let named = said.actor.is_some() || said.target.is_some() || found.iter().any(|(key, _)| *key == "suid");
        let values = found.iter().map(|(key, value)| {
            // Some write the content's type there instead of the page before.
            let page = *key != "requestContext" || value.contains("://") || value.starts_with('/');
            let name = known(key).filter(|_| page).unwrap_or_else(|| {
                // `cs1` is called what `cs1Label` says.
                let own = label(&labels, key).unwrap_or(key);
                // Who acted has keys of the standard's; an `Account` beside them is what it was done to.
                let own = if named && names_somebody(own) { key } else { own };
                // A key that is called like a field of ours was typed into a value rather than written by the product.
                if Field::from_name(own).is_some() { "" } else { own }
            });
            (name, Some(escapes.undone(value)))
        });
        // A lone `duser` is who acted.
        let (actor, target) = match (said.actor, said.target) {
            (None, alone) => (alone, None),
            both => both,
        };
        let people = [("user.name", actor), ("user.target.name", target)];
        let people = people.into_iter().filter_map(|(name, text)| Some((name, Some(escapes.undone(text?)))));
        let mut event = self.carrier.event(raw, values.chain(people));
        if let Some(url) = said.request {
            locate(&mut event, raw, &escapes.undone(url));
        }
        event.time = [said.received, said.start, said.custom, said.end]
            .iter()
            .find_map(|stamp| moment((*stamp)?, zone))
            .or_else(|| named_time(&found, zone))
            .or((event.time != NO_TIME).then_some(event.time))
            .unwrap_or(NO_TIME);
        (self.found, self.labels) = (emptied(found), emptied(labels));
        self.meaning(&mut event, raw, [said.act, said.category], name, id);
        for (field, text) in [(Field::ObserverVendor, vendor), (Field::ObserverProduct, product)] {
            if !absent(text) {
                event.set_part(field, raw, text);
            }
        }
        event.set_other_part("cef.name", raw, name);
        if let Some(severity) = grade(severity) {
            event.set_integer(Field::EventSeverity, severity);
        }
        event
    }

    /// The action, by the words of `act`, the name or the id; and the outcome, if no key has said it.
    fn meaning(&self, event: &mut Event, raw: &str, [act, category]: [Option<&str>; 2], name: &str, id: &str) {
        let words = [act, Some(name), category];
        let words = || words.iter().flatten().copied().filter(|word| !absent(word));
        if let Some(code) = act.or(Some(id)).filter(|code| !absent(code)) {
            event.set_part(Field::EventCode, raw, code);
        }
        // Only what was done is told part by part: a name is a sentence, an id is anything.
        let action = act
            .and_then(|act| actions::whole(act).or_else(|| actions::phrase(act)).or_else(|| actions::action(act)))
            .or_else(|| words().find_map(|word| actions::whole(word).or_else(|| actions::phrase(word))))
            .or_else(|| actions::whole(id));
        if action.is_some() || !event.has(Field::EventAction) {
            actions::set_beside(event, action.unwrap_or("info"));
        }
        if !event.has(Field::EventOutcome) {
            event.set(
                Field::EventOutcome,
                words()
                    .find_map(actions::outcome_of_phrase)
                    .or_else(|| words().find_map(actions::outcome_in))
                    .unwrap_or("unknown"),
            );
        }
    }
}

/// The values of keys that are not simply put into a field; the last of several that says something.
#[derive(Default)]
struct Said<'l> {
    zone: Option<&'l str>,
    actor: Option<&'l str>,
    target: Option<&'l str>,
    act: Option<&'l str>,
    category: Option<&'l str>,
    received: Option<&'l str>,
    start: Option<&'l str>,
    custom: Option<&'l str>,
    end: Option<&'l str>,
    request: Option<&'l str>,
    ignored: Option<&'l str>,
}

impl<'l> Said<'l> {
    fn place(&mut self, key: &str) -> Option<&mut Option<&'l str>> {
        Some(match key.as_bytes() {
            b"dtz" => &mut self.zone,
            b"suser" | b"sourceUserName" => &mut self.actor,
            b"duser" | b"destinationUserName" => &mut self.target,
            b"act" | b"deviceAction" => &mut self.act,
            b"cat" | b"deviceEventCategory" => &mut self.category,
            b"rt" | b"deviceReceiptTime" => &mut self.received,
            b"start" => &mut self.start,
            b"end" => &mut self.end,
            b"request" | b"requestUrl" => &mut self.request,
            b"deviceCustomDate1" => &mut self.custom,
            b"deviceCustomDate2" => &mut self.ignored,
            _ => return None,
        })
    }
}

/// The standard knows a few dozen.
const MOST_LABELS: usize = 64;

/// Whether a label would name the actor, were there none.
fn names_somebody(label: &str) -> bool {
    ["account", "user", "username", "user name", "login", "actor", "principal"]
        .iter()
        .any(|name| label.eq_ignore_ascii_case(name))
}

fn is_label(key: &str) -> bool {
    matches!(key.as_bytes(), [_, .., b'L', b'a', b'b', b'e', b'l'])
}

/// A product's own key for the time (`startTime`, `utcTime`, `eventtime`), where it keeps to none of the standard's; one that says when it
/// began goes before one that says when it ended.
fn named_time(found: &[(&str, &str)], zone: Tz) -> Option<Millis> {
    let named = |key: &str, end: &str| {
        key.len() >= end.len()
            && key.is_char_boundary(key.len() - end.len())
            && key[key.len() - end.len()..].eq_ignore_ascii_case(end)
    };
    ["receiptTime", "utcTime", "eventTime", "startTime", "timestamp", "endTime"]
        .iter()
        .find_map(|end| found.iter().filter(|(key, _)| named(key, end)).find_map(|(_, value)| moment(value, zone)))
}

fn label<'f>(found: &[(&'f str, &'f str)], key: &str) -> Option<&'f str> {
    // All of them are numbered.
    if found.is_empty() || !key.as_bytes().last().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let custom = ["cs", "cn", "cfp", "c6a", "flexString", "flexNumber", "deviceCustomDate"]
        .iter()
        .any(|start| key.starts_with(start));
    if !custom {
        return None;
    }
    let label =
        found.iter().find(|(name, _)| name.len() == key.len() + 5 && name.starts_with(key) && name.ends_with("Label"));
    label.map(|(_, text)| *text).filter(|text| !absent(text))
}

/// Epoch in milliseconds to nanoseconds, `MMM dd yyyy HH:mm:ss[.SSS][ zzz]`, or ISO.
pub(super) fn moment(text: &str, zone: Tz) -> Option<Millis> {
    let text = text.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() >= 10 {
        return time::epoch(text);
    }
    if let Some(time) = time::month_day_year(text, zone) {
        return Some(time);
    }
    if let Some(time) = time::iso(text, zone).or_else(|| time::ctime_prefix(text, zone).map(|(time, _)| time)) {
        return Some(time);
    }
    // `Sep 23 2022 09:51:24 +0200`
    if let Some((whole, offset)) = text.rsplit_once(' ')
        && let [sign @ (b'+' | b'-'), digits @ ..] = offset.as_bytes()
        && digits.len() == 4
        && let Ok(number) = offset[1..].parse::<i64>()
    {
        let shift = (number / 100 * 60 + number % 100) * 60_000;
        return moment(whole, Tz::UTC).map(|time| if *sign == b'+' { time - shift } else { time + shift });
    }
    // The zone, where it stands at the end, and the fraction, which the other reading does not know.
    let (text, zone) = match text.rsplit_once(' ') {
        Some((before, name))
            if name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'/')
                && name.len() >= 2
                && !matches!(name, "AM" | "PM") =>
        {
            (before, spoken_time::named_zone(name).unwrap_or(zone))
        }
        _ => (text, zone),
    };
    let (whole, millis) = match text.rsplit_once('.') {
        Some((whole, digits)) if digits.len() == 3 && whole.contains(':') => (whole, digits.parse::<i64>().ok()?),
        _ => (text, 0),
    };
    spoken_time::moment(whole, zone).map(|time| time + millis)
}

fn grade(severity: &str) -> Option<i64> {
    Some(match severity.trim() {
        "Low" => 3,
        "Medium" => 6,
        "High" => 8,
        "Very-High" => 10,
        number => number.parse().ok().filter(|number| (0..=10).contains(number))?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::trial::{event, holds};
    use super::*;

    #[track_caller]
    fn check(record: &str, expected: &[(Field, &str)]) -> Event {
        assert!((FORMAT.sniff)(record) >= 70, "{record}");
        let found = event((FORMAT.grammar)(&Options::default()), record);
        holds(&found, expected, record);
        found
    }

    #[test]
    fn a_label_called_account_names_nobody_beside_the_standard_s_own_keys() {
        let line = "CEF:0|Acme|audit|1.0|audit:accessed|AuditLogs|INFO|end=1772442847250 suid=mia flexString1=Contact flexString1Label=Account act=CREATE";
        let found = event((FORMAT.grammar)(&Options::default()), line);
        holds(&found, &[(Field::UserId, "mia"), (Field::UserName, ""), (Field::EventAction, "create")], line);
        let line = "CEF:0|Acme|audit|1.0|1|Export|INFO|rt=1772442847250 cs1=mia cs1Label=Account act=export";
        let found = event((FORMAT.grammar)(&Options::default()), line);
        holds(&found, &[(Field::UserName, "mia")], line);
    }

    #[test]
    fn keys_become_fields_and_labels_become_names() {
        let found = check(
            r"CEF:0|Acme|CRM\|Suite|1.0|100|Report exported|5|rt=1772442847250 src=203.0.113.7 spt=54587 suser=mia@example.com duser=jo act=export outcome=success request=https://crm.example.com/r?id\=7 requestMethod=GET cs1=All Contacts cs1Label=Report msg=Report exported by mia cnt=1 externalId=aaaaaaaaaaaaaaaa",
            &[
                (Field::EventAction, "export"),
                (Field::EventOutcome, "success"),
                (Field::UserName, "mia@example.com"),
                (Field::UserTargetName, "jo"),
                (Field::SourceIp, "203.0.113.7"),
                (Field::SourcePort, "54587"),
                (Field::UrlOriginal, "https://crm.example.com/r?id=7"),
                (Field::HttpMethod, "GET"),
                (Field::Message, "Report exported by mia"),
                (Field::ObserverVendor, "Acme"),
                (Field::ObserverProduct, "CRM|Suite"),
                (Field::EventSeverity, "5"),
            ],
        );
        assert_eq!(found.time, 1_772_442_847_250);
        assert_eq!(found.text(Field::ReportName), Some("All Contacts"), "by its label");
    }

    #[test]
    fn a_header_a_relay_damaged_is_read_and_a_short_one_refused() {
        for start in ["CEF:0|", "CEF: 0|", "0|"] {
            check(
                &format!("{start}Acme|Gate|1|7|Login failed|Medium|duser=mia src=203.0.113.7"),
                &[(Field::EventAction, "login"), (Field::EventOutcome, "failure"), (Field::UserName, "mia")],
            );
        }
        let mut events = Vec::new();
        let short = (FORMAT.grammar)(&Options::default()).parse("CEF:0|Acme|Gate", &mut events);
        assert_eq!(short, Verdict::Rejected("CEF header of fewer than seven fields"));
    }

    #[test]
    fn times_are_read_in_every_way_the_standard_and_senders_write_them() {
        for text in [
            "1772442847000",
            "1772442847000000",
            "Mar 02 2026 09:14:07",
            "Mar 02 2026 09:14:07.000",
            "Mar 02 2026 10:14:07.000 CET",
            "Mar 02 2026 10:14:07 +0100",
            "Mar 02 2026 03:44:07.000 -0530",
            "Mon Mar  2 09:14:07 2026",
            "2026-03-02T09:14:07Z",
        ] {
            assert_eq!(moment(text, Tz::UTC), Some(1_772_442_847_000), "{text}");
        }
        assert_eq!(moment("soon", Tz::UTC), None);
    }

    #[test]
    fn who_signed_in_was_let_in_and_a_content_s_type_is_no_page() {
        let record = "CEF:0|Acme|Suite|1|7|User Signed In|3|rt=1772442847250 suser=mia requestContext=application/json";
        let found = event((FORMAT.grammar)(&Options::default()), record);
        holds(&found, &[(Field::EventAction, "login"), (Field::EventOutcome, "success")], record);
        assert!(!found.has(Field::HttpReferrer));
        let record = "CEF:0|Acme|Suite|1|7|User not logged in|3|suser=mia requestContext=https://crm.example.com/a";
        let found = event((FORMAT.grammar)(&Options::default()), record);
        holds(&found, &[(Field::EventOutcome, "unknown"), (Field::HttpReferrer, "https://crm.example.com/a")], record);
    }

    #[test]
    fn a_number_is_no_outcome_and_a_product_s_own_time_counts_where_there_is_no_other() {
        for (id, time) in [
            ("544", "ACMEutcTime=2026-03-02T09:14:07.000Z"),
            ("201", "startTime=Mon Mar  2 09:14:07 2026"),
            ("7", "ACMEeventtime=1772442847"),
        ] {
            let record = format!("CEF:0|Acme|Gate|1|{id}|Admin accessed it|1|src=203.0.113.7 {time} msg=x");
            let found = check(&record, &[(Field::EventAction, "info"), (Field::EventOutcome, "unknown")]);
            assert_eq!(found.time, 1_772_442_847_000, "{record}");
        }
    }

    #[test]
    fn text_inside_a_value_is_no_field() {
        let found = check(
            "CEF:0|A|B|1|1|Login|3|suser=mia msg=user said suser\\=admin src\\=1.2.3.4 src=203.0.113.7",
            &[(Field::UserName, "mia"), (Field::SourceIp, "203.0.113.7")],
        );
        assert_eq!(found.text(Field::Message), Some("user said suser=admin src=1.2.3.4"));
        let forged = "CEF:0|A|B|1|1|Login|3|suser=mia msg=hello user.name=admin event.action=logout";
        check(forged, &[(Field::UserName, "mia"), (Field::EventAction, "login")]);
    }
}
