//! One JSON object to one event. Not for what a line may hold besides (arrays, wrappings); see the folder's `mod`.

use std::borrow::Cow;

use chrono_tz::Tz;
use crmwatch_detectors::field::{FIELD_LIMIT, Kind};
use crmwatch_detectors::{Event, Field, Millis, Value as Kept};
use sha2::{Digest, Sha256};

use super::keys::{self, ECS, Mapping, Rank, Rule, Target};
use super::particulars;
use crate::parse::json::{Found, Value, Visitor};
use crate::parse::vendor::PORTAL_S_ZONE;
use crate::parse::{NO_TIME, absent, actions, host_login, ip, spoken_time, time};

const UNSET: Rank = Rank::MAX;
/// Any other key with a meaning goes first.
const LEAST: Rank = 90;
/// A longer text with blanks is no word for what was done.
const LONGEST_ACTION: usize = 64;
/// What an action's rank loses when its word is not recognised, so that a later key with a known word goes first.
const UNRECOGNISED: Rank = 100;

/// An event in the making.
pub(super) struct Record<'r, 'a> {
    mapping: &'r mut Mapping,
    /// The text the event was made over; values that are part of it are pointed at.
    raw: &'r str,
    zone: Tz,
    pub(super) event: Event,
    ranks: [Rank; FIELD_LIMIT],
    time: Option<(Rank, Millis)>,
    /// The action's word, and the canonical action it means.
    action: Option<(Rank, Cow<'a, str>, Option<&'static str>)>,
    outcome: Option<(Rank, &'static str)>,
    host: Option<Cow<'a, str>>,
    request: Option<Cow<'a, str>>,
    url: Option<(Rank, Cow<'a, str>)>,
    /// A word that is the method of a request, if it is one.
    verb: Option<Cow<'a, str>>,
    /// The line a collector wrapped.
    pub(super) line: Option<Cow<'a, str>>,
    /// The name of the attribute whose value comes next.
    attribute: Option<Cow<'a, str>>,
    /// What was called a time was none by itself.
    undated: bool,
}

impl<'r, 'a> Record<'r, 'a> {
    pub(super) fn new(mapping: &'r mut Mapping, raw: &'r str, zone: Tz) -> Record<'r, 'a> {
        mapping.table.begin();
        Record {
            mapping,
            raw,
            zone,
            event: Event::new(raw),
            ranks: [UNSET; FIELD_LIMIT],
            time: None,
            action: None,
            outcome: None,
            host: None,
            request: None,
            url: None,
            verb: None,
            line: None,
            attribute: None,
            undated: false,
        }
    }

    fn apply(&mut self, target: Target, path: &str, value: Value<'a, '_>, found: Found<Target>, listed: bool) {
        let taken = match target {
            Target::Field(field, rank) => self.field(field, rank, value, listed),
            Target::Time(rank) => match stamp(value.text(), self.zone) {
                Some(time) if self.time.is_none_or(|(before, _)| rank <= before) => {
                    self.time = Some((rank, time));
                    true
                }
                _ => {
                    self.undated = true;
                    false
                }
            },
            Target::Action(rank) => self.action(rank, value),
            Target::Outcome(rank) => self.outcome(rank, value),
            Target::RequestLine => {
                let line = value.text();
                if line.contains(' ') {
                    self.request = Some(value.held());
                    true
                } else {
                    // Logstash's patterns keep the target alone under this name.
                    line.starts_with('/') && self.apply_url(ECS + 1, value)
                }
            }
            Target::Url(rank) => self.apply_url(rank, value),
            Target::Verb if is_method(value.text()) => {
                self.verb = Some(value.held());
                true
            }
            Target::Verb => self.action(LEAST, value),
            Target::Method(rank) => {
                let method = value.text();
                let shaped = (3..=7).contains(&method.len()) && method.bytes().all(|byte| byte.is_ascii_uppercase());
                shaped && self.field(Field::HttpMethod, rank, value, false)
            }
            Target::Version => {
                let text = value.text();
                let bare = matches!(text.as_bytes(), [b'0'..=b'9', b'.', b'0'..=b'9']).then_some(text);
                let version = text.strip_prefix("HTTP/").or(bare);
                if let Some(version) = version {
                    self.event.set_part(Field::HttpVersion, self.raw, version);
                }
                version.is_some()
            }
            Target::Duration => match value.text().parse::<f64>() {
                Ok(seconds) if (0.0..1e9).contains(&seconds) => {
                    self.event.set_integer(Field::EventDuration, (seconds * 1e9).round() as i64);
                    true
                }
                _ => false,
            },
            Target::Forwarded => {
                self.event.set_part(Field::ForwardedIp, self.raw, value.text());
                true
            }
            Target::RealIp => {
                let known = self.event.has(Field::ForwardedIp);
                if !known {
                    self.event.set_part(Field::ForwardedIp, self.raw, value.text());
                }
                !known
            }
            Target::Host => {
                let first = self.host.is_none();
                if first {
                    self.host = Some(value.held());
                }
                first
            }
            Target::NativeId => {
                // A short one is a kind of event (`4624`), or a row's number that starts again somewhere.
                let unique = value.text().len() >= 16 && !self.event.has(Field::EventId);
                if unique {
                    self.event.set_part(Field::EventId, self.raw, value.text());
                }
                unique
            }
            Target::Line => {
                let text = matches!(value, Value::Plain(_) | Value::Decoded(_));
                if text {
                    self.line = Some(value.held());
                }
                false
            }
            Target::Reserved => true,
            Target::Mapped(place) => {
                for index in 0..self.mapping.rules[usize::from(place)].len() {
                    match self.mapping.rules[usize::from(place)][index].clone() {
                        Rule::To(target) => self.apply(target, path, value, found, listed),
                        Rule::Named(name) => keep(&mut self.event, self.raw, &name, value, found.repeated && !listed),
                    }
                }
                true
            }
        };
        if !taken {
            keep(&mut self.event, self.raw, path, value, found.repeated && !listed);
        }
    }

    fn apply_url(&mut self, rank: Rank, value: Value<'a, '_>) -> bool {
        let better = self.url.as_ref().is_none_or(|(before, _)| rank <= *before);
        if better {
            self.url = Some((rank, value.held()));
        }
        better
    }

    /// Sets a field as its kind says; false where the value is none of that kind, or a surer key has said it already.
    fn field(&mut self, field: Field, rank: Rank, value: Value<'a, '_>, listed: bool) -> bool {
        let before = self.ranks[field as usize];
        if rank > before {
            return false;
        }
        let text = value.text();
        match field.kind() {
            Kind::Integer => match value.integer() {
                Some(number) if field == Field::HttpStatus && rank > ECS && !(100..1_000).contains(&number) => {
                    return false;
                }
                Some(number) => self.event.set_integer(field, number),
                None => return false,
            },
            Kind::Float => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => self.event.set_float(field, number),
                _ => return false,
            },
            Kind::Bool => match value.bool() {
                Some(flag) => self.event.set_bool(field, flag),
                None => return false,
            },
            Kind::Ip if field == Field::SourceIp => ip::set_source(&mut self.event, self.raw, text),
            Kind::Ip => match ip::address(text) {
                Some((address, _port)) => self.event.set_ip(field, address),
                None => return false,
            },
            // `service=18ms` is how long one took.
            _ if field == Field::ServiceName && text.ends_with("ms") && text.as_bytes()[0].is_ascii_digit() => {
                return false;
            }
            _ if listed && before == rank => self.event.push(field, text),
            _ if field == Field::EventOutcome => match actions::outcome(text) {
                Some(outcome) => self.event.set(field, outcome),
                None => self.event.set_part(field, self.raw, text),
            },
            _ => self.event.set_part(field, self.raw, text),
        }
        self.ranks[field as usize] = rank;
        true
    }

    fn action(&mut self, rank: Rank, value: Value<'a, '_>) -> bool {
        if matches!(value, Value::Bool(_) | Value::Number(_)) {
            return false;
        }
        // Splunk's collector calls the whole line so.
        if value.text().len() > LONGEST_ACTION && value.text().contains(' ') {
            let first = self.line.is_none();
            if first {
                self.line = Some(value.held());
                self.field(Field::Message, LEAST, value, false);
            }
            return first;
        }
        let action = actions::action(value.text());
        let rank = if action.is_some() { rank } else { rank + UNRECOGNISED };
        let better = self.action.as_ref().is_none_or(|(before, ..)| rank <= *before);
        if better {
            self.action = Some((rank, value.held(), action));
        }
        better
    }

    fn outcome(&mut self, rank: Rank, value: Value<'a, '_>) -> bool {
        let Some(outcome) = actions::outcome(value.text()) else { return false };
        if let Some(status) = value.integer().filter(|_| !self.event.has(Field::HttpStatus)) {
            self.event.set_integer(Field::HttpStatus, status);
        }
        if self.outcome.is_none_or(|(before, _)| rank <= before) {
            self.outcome = Some((rank, outcome));
        }
        true
    }

    /// The event, once all keys have been seen.
    pub(super) fn finish(mut self) -> Event {
        self.event.time = self.time.map(|(_, time)| time).or_else(|| self.day_and_clock()).unwrap_or(NO_TIME);
        self.nextcloud();
        self.host_login();
        self.web();
        self.user();
        let event = &mut self.event;
        if let Some((_, word, action)) = self.action.take_if(|_| !event.has(Field::EventAction)) {
            match action {
                Some(action) => {
                    actions::set_beside(event, action);
                    if action != word && !event.has(Field::EventCode) {
                        event.set_part(Field::EventCode, self.raw, &word);
                    }
                    particulars::tell(event, &word);
                    self.outcome = self.outcome.or_else(|| actions::outcome_in(&word).map(|outcome| (UNSET, outcome)));
                }
                None => event.set_part(Field::EventAction, self.raw, &word),
            }
        }
        let web = event.has(Field::HttpMethod) || event.has(Field::HttpStatus);
        if web && !event.has(Field::EventAction) {
            actions::set_beside(event, "http-request");
        }
        if !event.has(Field::EventOutcome) {
            let of_status = || event.integer(Field::HttpStatus).and_then(actions::of_status);
            if let Some(outcome) = self.outcome.map(|(_, outcome)| outcome).or_else(of_status) {
                event.set(Field::EventOutcome, outcome);
            }
        }
        event.delivery = event.text(Field::EventId).map(delivery);
        self.event
    }

    /// The day under one key and the time of day under another.
    fn day_and_clock(&self) -> Option<Millis> {
        if !self.undated {
            return None;
        }
        let other =
            |name: &str| self.event.others().find(|(other, _)| *other == name).map(|(_, value)| value.to_string());
        let (day, clock) = (other("date")?, other("time")?);
        stamp(&format!("{day} {clock}"), self.zone)
    }

    fn web(&mut self) {
        if let Some(verb) = self.verb.take() {
            // `DELETE` may be what was done to a record; only where something was requested it is a method.
            let web = self.request.is_some() || self.url.is_some() || self.event.has(Field::HttpStatus);
            if !web {
                self.action(LEAST, Value::Decoded(&verb));
            } else if !self.event.has(Field::HttpMethod) {
                self.event.set_part(Field::HttpMethod, self.raw, &verb);
            }
            // Logstash's names of the fields of an access line.
            let user = self.event.others().find(|(name, _)| *name == "auth").map(|(_, value)| value.to_string());
            if let Some(user) = user.filter(|_| web && !self.event.has(Field::UserName)) {
                self.event.set(Field::UserName, &user);
            }
        }
        if let Some(request) = self.request.take() {
            let (method, rest) = request.split_once(' ').unwrap_or((&request, ""));
            let (url, version) = rest.rsplit_once(" HTTP/").unwrap_or((rest, ""));
            if !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase()) {
                self.event.set_part(Field::HttpMethod, self.raw, method);
                if !version.is_empty() {
                    self.event.set_part(Field::HttpVersion, self.raw, version);
                }
                locate(&mut self.event, self.raw, url);
            } else {
                keep(&mut self.event, self.raw, "request", Value::Decoded(&request), false);
            }
        }
        if let Some((_, url)) = self.url.take().filter(|_| !self.event.has(Field::UrlOriginal)) {
            locate(&mut self.event, self.raw, &url);
        }
        if let Some(host) = self.host.take() {
            let web = self.event.has(Field::HttpMethod) || self.event.has(Field::HttpStatus);
            let field = if web { Field::UrlDomain } else { Field::HostName };
            if !self.event.has(field) {
                self.event.set_part(field, self.raw, &host);
            }
        }
        let client = self.event.has(Field::SourceIp) || self.event.has(Field::SourceAddress);
        let forwarded = self.event.text(Field::ForwardedIp).filter(|_| !client);
        let first = forwarded.and_then(|list| list.split(',').find_map(|item| ip::address(item.trim())));
        if let Some((address, _port)) = first {
            self.event.set_ip(Field::SourceIp, address);
        }
    }

    fn user(&mut self) {
        if !self.event.has(Field::UserName) {
            self.event.copy(Field::UserEmail, Field::UserName);
        } else if !self.event.has(Field::UserEmail) && self.event.text(Field::UserName).is_some_and(is_mail) {
            self.event.copy(Field::UserName, Field::UserEmail);
        }
    }

    /// What a host's own service said through the journal.
    fn host_login(&mut self) {
        let (Some(program), Some(message)) = (self.event.text(Field::ProcessName), self.event.text(Field::Message))
        else {
            return;
        };
        if !self.event.has(Field::EventAction) && self.action.is_none() {
            let (program, message) = (program.to_owned(), message.to_owned());
            host_login::tell(&mut self.event, self.raw, &program, &message);
        }
    }

    /// Nextcloud tells of a failed login in prose only: `Login failed: NAME (Remote IP: ADDRESS)`. The name may hold anything, so it
    /// ends at the last `(Remote IP: `.
    fn nextcloud(&mut self) {
        if !self.event.has(Field::HttpRequestId)
            || !self.event.has(Field::ServiceName)
            || self.event.has(Field::EventAction)
        {
            return;
        }
        let message =
            self.event.text(Field::Message).and_then(|text| text.strip_prefix("Login failed: ")?.strip_suffix(')'));
        let Some((name, _)) = message.and_then(|text| text.rsplit_once(" (Remote IP: ")) else { return };
        let name = name.strip_prefix('\'').and_then(|name| name.strip_suffix('\'')).unwrap_or(name).to_owned();
        self.event.set(Field::UserName, &name);
        actions::set_beside(&mut self.event, "login");
        self.outcome = Some((ECS, "failure"));
    }
}

impl<'a> Record<'_, 'a> {
    /// The meaning of a key that stands within something else: a collector's object, OpenTelemetry's list of attributes.
    fn within(&mut self, path: &str, value: &Value<'a, '_>) -> Option<Target> {
        if let Some(bare) = path.strip_suffix(PORTAL_S_ZONE) {
            return self.mapping.table.find(bare).target;
        }
        match path.strip_prefix("attributes.") {
            Some("key") => {
                self.attribute = Some(value.held());
                None
            }
            Some("value.stringValue" | "value.intValue" | "value.boolValue" | "value.doubleValue") => {
                let name = self.attribute.take()?;
                self.mapping.table.find(&name).target.map(Target::within)
            }
            _ => self.mapping.table.find(keys::inner(path)?).target.map(Target::within),
        }
    }
}

impl<'a> Visitor<'a> for Record<'_, 'a> {
    fn value(&mut self, path: &str, value: Value<'a, '_>, listed: bool) {
        if absent(value.text()) {
            return;
        }
        let mut found = self.mapping.table.find(path);
        if found.target.is_none() {
            found.target = self.within(path, &value);
        }
        match found.target {
            Some(target) => self.apply(target, path, value, found, listed),
            None => keep(&mut self.event, self.raw, path, value, found.repeated && !listed),
        }
    }
}

/// Keeps a value under its own key. A name of the schema is left out: what belongs there has been judged before.
/// `again`: the key may have come before, and what it said then goes.
pub(crate) fn keep(event: &mut Event, raw: &str, name: &str, value: Value<'_, '_>, again: bool) {
    if name.is_empty() || Field::from_name(name).is_some() {
        return;
    }
    if again && event.others().any(|(other, _)| other == name) {
        event.remove_other(name);
    }
    match value {
        Value::Bool(flag) => event.set_other(name, Kept::Bool(flag)),
        Value::Number(text) => match text.parse::<i64>() {
            Ok(number) => event.set_other(name, Kept::Integer(number)),
            // A whole number beyond 64 bits stays text: as a fraction it would lose digits.
            Err(_) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() && text.contains(['.', 'e', 'E']) => {
                    event.set_other(name, Kept::Float(number));
                }
                _ => event.set_other_part(name, raw, text),
            },
        },
        Value::Null => {}
        text => event.set_other_part(name, raw, text.text()),
    }
}

/// A hash of the source's own id of an event: the first eight bytes of its SHA-256.
pub(crate) fn delivery(id: &str) -> u64 {
    let digest = Sha256::digest(id.as_bytes());
    digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Whether a name is a mail address by its shape.
pub(crate) fn is_mail(name: &str) -> bool {
    name.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
}

/// A URL with its path and query; of an absolute one the host, too.
pub(crate) fn locate(event: &mut Event, raw: &str, url: &str) {
    if url.is_empty() {
        return;
    }
    event.set_part(Field::UrlOriginal, raw, url);
    let scheme = url.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let local = match url[scheme..].strip_prefix("://") {
        Some(rest) => {
            let (domain, local) =
                rest.split_at(memchr::memchr3(b'/', b'?', b'#', rest.as_bytes()).unwrap_or(rest.len()));
            if !event.has(Field::UrlDomain) && !domain.is_empty() {
                event.set_part(Field::UrlDomain, raw, domain);
            }
            local
        }
        _ => url,
    };
    let (path, query) = match memchr::memchr(b'?', local.as_bytes()) {
        Some(at) => (&local[..at], &local[at + 1..]),
        None => (local, ""),
    };
    for (field, part) in [(Field::UrlPath, path), (Field::UrlQuery, query)] {
        if !part.is_empty() && !event.has(field) {
            event.set_part(field, raw, part);
        }
    }
}

/// A stamp in any of the shapes JSON logs use. A small number is no stamp: before 1973 nobody wrote JSON.
fn stamp(text: &str, zone: Tz) -> Option<Millis> {
    let text = text.trim();
    let bytes = text.as_bytes();
    match bytes.get(..5)? {
        // `02/Mar/2026:09:14:07 +0100`, or as for people: `3/2/2026, 9:14:07 AM`.
        [_, b'/', ..] | [_, _, b'/', ..] => time::clf(text, zone).or_else(|| spoken_time::moment(text, zone)),
        [_, _, _, _, b'-' | b'/'] => time::iso(text, zone),
        [first, ..] if first.is_ascii_digit() => {
            let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
            let stamp =
                if whole.len() == 14 && whole.starts_with("20") { time::compact(text) } else { time::epoch(text) };
            let seconds =
                || text.parse::<f64>().ok().filter(|seconds| seconds.is_finite()).map(|seconds| (seconds * 1e3) as i64);
            stamp.or_else(seconds).filter(|time| *time >= 100_000_000_000)
        }
        _ => time::ctime_prefix(text, zone).map(|(time, _)| time).or_else(|| time::mail(text)),
    }
}

fn is_method(text: &str) -> bool {
    matches!(text, "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS")
}
