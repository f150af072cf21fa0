//! Microsoft IIS: W3C extended logs, with or without their `#Fields` line, and the older native format. Also other servers that write
//! W3C extended, and the event log of Windows where IIS writes to that.

use std::borrow::Cow;
use std::sync::LazyLock;

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field, Millis};

use super::{Format, Grammar, NO_TIME, Options, Verdict, absent, actions, iis_event, ip, spoken_time, target, time};

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: "iis",
    about: "Microsoft IIS W3C extended log (any #Fields), IIS native format, IIS in the Windows event log (XML)",
    sniff: |record| {
        let line = record.trim_start_matches('\u{feff}');
        let directives = ["#Fields:", "#Software:", "#Version: ", "#Date:", "#Start-Date:", "#GMT-Offset:"];
        if directives.iter().any(|word| line.starts_with(word)) {
            return 95;
        }
        if iis_event::is_one(line) {
            return 95;
        }
        if native(line).is_some() {
            return 80;
        }
        if guess(&words(line)).is_some() { 80 } else { 0 }
    },
    grammar: |options: &Options| {
        Box::new(W3c { zone: options.timezone, fields: Vec::new(), row: String::new(), day: None })
    },
};

struct W3c {
    zone: Tz,
    /// The names of the `#Fields` line in force, in lower case; empty before the first.
    fields: Vec<String>,
    row: String,
    /// The day of the last `#Date`, in milliseconds, for rows that have a time alone.
    day: Option<Millis>,
}

/// The usual sets of fields, for files whose directives are gone: by how many there are.
const USUAL: &[&str] = &[
    "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(user-agent) sc-status sc-substatus sc-win32-status time-taken",
    "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(user-agent) cs(referer) sc-status sc-substatus sc-win32-status time-taken",
    "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(user-agent) sc-status sc-substatus sc-win32-status sc-bytes cs-bytes time-taken",
    "date time s-sitename cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(user-agent) cs(cookie) cs(referer) cs-host sc-status sc-substatus sc-win32-status sc-bytes cs-bytes time-taken",
    "date time s-sitename s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs-version cs(user-agent) cs(referer) cs-host sc-status sc-substatus sc-win32-status sc-bytes cs-bytes time-taken",
    "date time s-sitename s-computername s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs-version cs(user-agent) cs(cookie) cs(referer) cs-host sc-status sc-substatus sc-win32-status sc-bytes cs-bytes time-taken",
];

const METHODS: &[&str] =
    &["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "CONNECT", "TRACE", "REPORT", "SEARCH"];

/// The values of a row: between blanks or tabs, or in quotes with quotes inside doubled.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::with_capacity(24);
    let mut rest = line.trim_matches([' ', '\t', '\r', '\n']);
    while !rest.is_empty() {
        let end = if rest.starts_with('"') {
            let bytes = rest.as_bytes();
            let mut at = 1;
            loop {
                match memchr::memchr(b'"', &bytes[at..]) {
                    Some(found) if bytes.get(at + found + 1) == Some(&b'"') => at += found + 2,
                    Some(found) => break at + found + 1,
                    None => break rest.len(),
                }
            }
        } else {
            rest.find([' ', '\t']).unwrap_or(rest.len())
        };
        words.push(&rest[..end]);
        rest = rest[end..].trim_start_matches([' ', '\t']);
    }
    words
}

/// In a saved state, where no day is known.
const NO_DAY: &str = "-";

static USUAL_NAMES: LazyLock<Vec<Vec<String>>> =
    LazyLock::new(|| USUAL.iter().map(|set| set.split(' ').map(str::to_owned).collect()).collect());

/// The usual fields of a row whose `#Fields` line nobody has, told by their number and where the method stands.
fn guess(words: &[&str]) -> Option<Cow<'static, [String]>> {
    let dated = words.first().is_some_and(|word| word.len() == 10 && word.as_bytes()[4] == b'-')
        && words.get(1).is_some_and(|word| word.len() >= 8 && word.as_bytes()[2] == b':');
    if !dated {
        return None;
    }
    let method = words.iter().position(|word| METHODS.contains(word))?;
    // What a proxy was told comes last, where the server was made to write it.
    let forwarded = words.last().is_some_and(|last| are_addresses(last));
    let own = &words[..words.len() - usize::from(forwarded)];
    let usual = USUAL_NAMES.iter().find(|set| {
        let at = |name: &str| set.iter().position(|known| known == name);
        set.len() == own.len()
            && set[method] == "cs-method"
            && at("sc-status").is_some_and(|at| status(own[at]).is_some())
            && at("cs(referer)").is_none_or(|at| status(own[at]).is_none())
            && at("c-ip").is_some_and(|at| ip::address(own[at]).is_some() || own[at] == "-")
    });
    match usual {
        Some(set) if forwarded => {
            Some(Cow::Owned(set.iter().map(String::as_str).chain(["x-forwarded-for"]).map(str::to_owned).collect()))
        }
        Some(set) => Some(Cow::Borrowed(&set[..])),
        None => around(words, method).map(Cow::Owned),
    }
}

/// `198.51.100.9,+10.0.0.2`
fn are_addresses(word: &str) -> bool {
    word.split(',').all(|part| ip::address(part.trim_start_matches('+')).is_some())
}

/// Fields told by what stands around the method: the server before it, `stem query port user client` behind it, then, wherever they are,
/// three numbers that are status, sub-status and Win32's, with sizes and duration after them. What lies between keeps no name.
fn around(words: &[&str], method: usize) -> Option<Vec<String>> {
    let mut names: Vec<String> = words.iter().enumerate().map(|(at, _)| format!("x-{}", at + 1)).collect();
    let mut name = |at: usize, text: &str| text.clone_into(&mut names[at]);
    let server = method - 1;
    let number = |at: usize| words.get(at).is_some_and(|word| word.parse::<u32>().is_ok());
    let fits = (3..=5).contains(&method)
        && ip::address(words[server]).is_some()
        && number(method + 3)
        && words.get(method + 5).is_some_and(|word| ip::address(word).is_some() || *word == "-");
    let results = (method + 6..words.len().saturating_sub(3))
        .find(|at| status(words[*at]).is_some_and(|status| status >= 100) && (1..4).all(|more| number(at + more)))?;
    if !fits {
        return None;
    }
    for (at, text) in [(0, "date"), (1, "time"), (server, "s-ip"), (method, "cs-method")] {
        name(at, text);
    }
    for (more, text) in ["cs-uri-stem", "cs-uri-query", "s-port", "cs-username", "c-ip"].into_iter().enumerate() {
        name(method + 1 + more, text);
    }
    for (at, word) in words.iter().enumerate().take(results).skip(method + 6) {
        if word.contains("+(") {
            name(at, "cs(user-agent)");
        } else if word.starts_with("http://") || word.starts_with("https://") {
            name(at, "cs(referer)");
        }
    }
    for (more, text) in ["sc-status", "sc-substatus", "sc-win32-status"].into_iter().enumerate() {
        name(results + more, text);
    }
    let sized = number(results + 4) && number(results + 5);
    let last: &[&str] = if sized { &["sc-bytes", "cs-bytes", "time-taken"] } else { &["time-taken"] };
    for (more, text) in last.iter().enumerate() {
        name(results + 3 + more, text);
    }
    if words.len() == results + 4 + last.len() && words.last().is_some_and(|last| are_addresses(last)) {
        name(words.len() - 1, "x-forwarded-for");
    }
    Some(names)
}

/// A value without the quotes around it.
fn unquoted(word: &str) -> &str {
    word.strip_prefix('"').map_or(word, |inner| inner.strip_suffix('"').unwrap_or(inner))
}

fn status(word: &str) -> Option<i64> {
    word.parse().ok().filter(|status| (0..=999).contains(status))
}

impl Grammar for W3c {
    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let line = record.trim_start_matches('\u{feff}').trim_ascii();
        if line.is_empty() {
            return Verdict::Skipped;
        }
        if let Some(directive) = line.strip_prefix('#') {
            self.directive(directive);
            return Verdict::Skipped;
        }
        if iis_event::is_one(line) {
            let (names, values): (Vec<String>, Vec<_>) = iis_event::fields(line).into_iter().unzip();
            if !names.iter().any(|name| name == "cs-method") {
                return Verdict::Rejected("Windows event that is no request");
            }
            let values: Vec<&str> = values.iter().map(|value| &**value).collect();
            events.push(self.row(record, &names, &values));
            return Verdict::Parsed;
        }
        if let Some(event) = native(line).and_then(|cells| self.native(record, &cells)) {
            events.push(event);
            return Verdict::Parsed;
        }
        let values = words(line);
        let fitting = !self.fields.is_empty() && values.len() == self.fields.len();
        let guessed;
        let names: &[String] = if fitting {
            &self.fields
        } else {
            match guess(&values) {
                Some(names) => {
                    guessed = names;
                    &guessed
                }
                None if self.fields.is_empty() => return Verdict::Rejected("no #Fields line before this row"),
                None => return Verdict::Rejected("row does not fit its #Fields line"),
            }
        };
        events.push(self.row(record, names, &values));
        Verdict::Parsed
    }

    fn state(&self) -> String {
        match self.day {
            Some(day) => format!("{day} {}", self.row),
            None if self.row.is_empty() => String::new(),
            // A field may be called like a day.
            None => format!("{NO_DAY} {}", self.row),
        }
    }

    fn resume(&mut self, state: &str) {
        let row = match state.split_once(' ').map(|(day, row)| (day.parse::<Millis>(), row)) {
            Some((Ok(day), row)) => {
                self.day = Some(day);
                row
            }
            Some((Err(_), row)) if state.starts_with(NO_DAY) => row,
            _ => state,
        };
        self.fields(row);
    }

    fn format(&self) -> &'static str {
        FORMAT.name
    }
}

impl W3c {
    fn directive(&mut self, directive: &str) {
        let Some((name, text)) = directive.split_once(':') else { return };
        match name.to_ascii_lowercase().as_str() {
            "fields" => self.fields(text.trim()),
            "date" | "start-date" => {
                if let Some((time, _)) = time::iso_prefix(text.trim(), Tz::UTC) {
                    self.day = Some(time - time.rem_euclid(86_400_000));
                }
            }
            _ => {}
        }
    }

    fn fields(&mut self, row: &str) {
        self.row = row.to_owned();
        self.fields = row.split_ascii_whitespace().map(str::to_ascii_lowercase).collect();
    }

    fn row(&self, raw: &str, names: &[String], values: &[&str]) -> Event {
        let mut event = Event::new(raw);
        let value = |name: &str| {
            let at = names.iter().position(|known| known == name)?;
            values.get(at).map(|text| unquoted(text)).filter(|text| !absent(text))
        };
        event.time = self.moment(&value);
        for (name, value) in names.iter().zip(values) {
            let text = unquoted(value);
            if absent(text) {
                continue;
            }
            self.value(&mut event, raw, name, text);
        }
        if let (Some(stem), query) = (value("cs-uri-stem"), value("cs-uri-query")) {
            event.set_part(Field::UrlPath, raw, stem);
            if let Some(query) = query {
                event.set_part(Field::UrlQuery, raw, query);
                event.set(Field::UrlOriginal, &format!("{stem}?{query}"));
            } else {
                event.set_part(Field::UrlOriginal, raw, stem);
            }
        } else if let Some(uri) = value("cs-uri") {
            target::locate(&mut event, raw, uri);
        }
        // A proxy in front gives its client in a field of its own.
        if let Some(forwarded) =
            ["x-forwarded-for", "cs(x-forwarded-for)", "x_forwarded_for"].into_iter().find_map(value)
        {
            event.set(Field::ForwardedIp, &forwarded.replace('+', " "));
        }
        let sub = value("sc-substatus").and_then(|text| text.parse::<i64>().ok());
        let win32 = value("sc-win32-status").and_then(|text| text.parse::<i64>().ok());
        finish(&mut event, sub, win32);
        event
    }

    fn value(&self, event: &mut Event, raw: &str, name: &str, text: &str) {
        let integer = |event: &mut Event, field| {
            if let Ok(number) = text.parse() {
                event.set_integer(field, number);
            }
        };
        match name {
            "date"
            | "time"
            | "date-local"
            | "time-local"
            | "date-utc"
            | "time-utc"
            | "cs-uri-stem"
            | "cs-uri-query"
            | "cs-uri"
            | "sc-substatus"
            | "x-forwarded-for"
            | "cs(x-forwarded-for)"
            | "x_forwarded_for" => {}
            "c-ip" => ip::set_source(event, raw, text),
            "s-ip" => match ip::address(text) {
                Some((address, _)) => event.set_ip(Field::DestinationIp, address),
                None => event.set_other_part(name, raw, text),
            },
            "s-port" => integer(event, Field::DestinationPort),
            "cs-method" => event.set_part(Field::HttpMethod, raw, text),
            "cs-username" | "c-auth-id" => {
                // `DOMAIN\user`
                match text.split_once('\\') {
                    Some((domain, user)) if !user.is_empty() => {
                        event.set_part(Field::UserDomain, raw, domain);
                        event.set_part(Field::UserName, raw, user);
                    }
                    _ => event.set_part(Field::UserName, raw, text),
                }
            }
            "cs(user-agent)" if text.contains("\"\"") => {
                event.set(Field::UserAgent, &text.replace('+', " ").replace("\"\"", "\""));
            }
            "cs(user-agent)" => event.set(Field::UserAgent, &text.replace('+', " ")),
            "cs(referer)" | "cs(referrer)" => event.set_part(Field::HttpReferrer, raw, text),
            "cs-host" => event.set_part(Field::UrlDomain, raw, target::without_port(text)),
            "cs-version" => event.set_part(Field::HttpVersion, raw, text.trim_start_matches("HTTP/")),
            "sc-status" => integer(event, Field::HttpStatus),
            "sc-bytes" | "bytes" => integer(event, Field::HttpResponseBytes),
            "cs-bytes" => integer(event, Field::HttpRequestBytes),
            "time-taken" => {
                // IIS writes milliseconds, others seconds with a fraction.
                let nanos = match text.parse::<i64>() {
                    Ok(millis) => millis.checked_mul(1_000_000),
                    Err(_) => {
                        text.parse::<f64>().ok().filter(|seconds| *seconds < 1e6).map(|seconds| (seconds * 1e9) as i64)
                    }
                };
                if let Some(nanos) = nanos {
                    event.set_integer(Field::EventDuration, nanos);
                }
            }
            "s-computername" => event.set_part(Field::HostName, raw, text),
            "s-sitename" => event.set_part(Field::ServiceName, raw, text),
            "cs(cookie)" => {}
            _ => event.set_other_part(name, raw, text),
        }
    }

    /// UTC, unless the fields say that they are local.
    fn moment<'v>(&self, value: &impl Fn(&str) -> Option<&'v str>) -> Millis {
        let (date, clock, zone) = match (value("date"), value("time")) {
            (date, Some(clock)) => (date, clock, Tz::UTC),
            (_, None) => match (value("date-local"), value("time-local")) {
                (date, Some(clock)) => (date, clock, self.zone),
                _ => match (value("date-utc"), value("time-utc")) {
                    (date, Some(clock)) => (date, clock, Tz::UTC),
                    _ => return NO_TIME,
                },
            },
        };
        match date {
            Some(date) => time::iso(&format!("{date} {clock}"), zone).unwrap_or(NO_TIME),
            None => self
                .day
                .zip(time::iso(&format!("1970-01-01 {clock}"), Tz::UTC))
                .map_or(NO_TIME, |(day, at)| if zone == Tz::UTC { day + at } else { time::local(day + at, zone) }),
        }
    }

    /// `IP, user, M/D/YYYY, H:MM:SS, W3SVC1, server, serverIP, ms, in, out, status, win32, METHOD, target, params,`
    fn native(&self, raw: &str, cells: &[&str]) -> Option<Event> {
        let mut event = Event::new(raw);
        event.time = spoken_time::moment(&format!("{} {}", cells[2], cells[3]), self.zone)?;
        ip::set_source(&mut event, raw, cells[0]);
        for (name, at) in [
            ("cs-username", 1),
            ("s-sitename", 4),
            ("s-computername", 5),
            ("s-ip", 6),
            ("time-taken", 7),
            ("cs-bytes", 8),
            ("sc-bytes", 9),
            ("sc-status", 10),
            ("cs-method", 12),
        ] {
            if !absent(cells[at]) {
                self.value(&mut event, raw, name, cells[at]);
            }
        }
        event.set_part(Field::UrlPath, raw, cells[13]);
        event.set_part(Field::UrlOriginal, raw, cells[13]);
        if let Some(query) = cells.get(14).filter(|query| !absent(query)) {
            event.set_part(Field::UrlQuery, raw, query);
        }
        finish(&mut event, None, cells[11].parse().ok());
        Some(event)
    }
}

/// Action and outcome. 401.1 is a failed logon, 401.0 and 401.2 are steps of a handshake.
fn finish(event: &mut Event, sub: Option<i64>, win32: Option<i64>) {
    actions::set(event, "http-request");
    event.set(Field::EventProvider, "iis");
    let status = event.integer(Field::HttpStatus);
    let outcome = match (status, sub) {
        (Some(401), Some(0 | 2)) => "unknown",
        (Some(status), _) => actions::of_status(status).unwrap_or("unknown"),
        (None, _) => "unknown",
    };
    event.set(Field::EventOutcome, outcome);
    if let Some(sub) = sub {
        event.set_other("sc-substatus", crmwatch_detectors::Value::Integer(sub));
    }
    let reason = match win32 {
        Some(1326) => Some("wrong user name or password"),
        Some(1909) => Some("account locked out"),
        Some(1331) => Some("account disabled"),
        Some(1330) => Some("password expired"),
        _ => None,
    };
    if let Some(reason) = reason {
        event.set(Field::EventReason, reason);
    }
    if status == Some(401) && sub == Some(1) || reason.is_some() && status == Some(401) {
        actions::set(event, "login");
        event.set(Field::EventOutcome, "failure");
    }
    // FTP's: a name is said first, the password decides.
    if event.text(Field::HttpMethod) == Some("PASS") && matches!(status, Some(230 | 530)) {
        actions::set(event, "login");
    }
}

/// The cells of a native row; nothing where it is none.
fn native(line: &str) -> Option<Vec<&str>> {
    let cells: Vec<&str> = line.splitn(15, ", ").collect();
    if cells.len() < 14 || ip::address(cells[0]).is_none() || !cells[2].contains('/') || !cells[3].contains(':') {
        return None;
    }
    let query = cells.last().map(|last| last.trim_end_matches([',', ' ', '-']));
    let mut cells = cells;
    if let (Some(last), Some(query)) = (cells.last_mut(), query) {
        *last = query;
    }
    (cells.len() >= 14).then_some(cells)
}

#[cfg(test)]
#[path = "iis_tests.rs"]
mod tests;
