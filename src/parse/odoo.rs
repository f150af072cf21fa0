//! Odoo's server log: `DATE TIME,mmm PID LEVEL DB LOGGER: MESSAGE`, its syslog form without date and pid, or an object with the same
//! (`odoo_object`). Logins, deletions, second factors and the requests of its web server become events of their own kind; everything else
//! is `info`.

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field, Millis};
use memchr::memmem;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_till1, take_while1};
use nom::character::complete::{char, digit1, space0, space1};
use nom::combinator::{map, opt};
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

use super::json::Reader;
use super::time::{self, YearClock};
use super::{Format, Grammar, NO_TIME, Options, Verdict, actions, clf, ip, odoo_object, syslog_header, wrap};

/// Odoo's server log.
pub const ODOO: Format = Format {
    name: "odoo",
    about: "Odoo or OpenERP server log: file, syslog, docker, JSON (logging_json); logins, deletions, web requests",
    sniff: |record| {
        let known =
            odoo_object::is_one(record) || entry(&wrap::plain(record), Tz::UTC, &mut YearClock::new(1970)).is_some();
        if known { 95 } else { 0 }
    },
    grammar: |options: &Options| {
        let reader = Reader::default();
        Box::new(Odoo { zone: options.timezone, clock: YearClock::of(options), started: false, reader })
    },
};

struct Odoo {
    zone: Tz,
    clock: YearClock,
    /// An entry came before, so a line without a head goes on from it.
    started: bool,
    reader: Reader,
}

/// The head of an entry and its message.
struct Entry<'l> {
    time: Millis,
    pid: Option<i64>,
    level: &'l str,
    database: &'l str,
    logger: &'l str,
    message: &'l str,
}

impl Grammar for Odoo {
    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let line = wrap::plain(record);
        if line.trim_ascii().is_empty() {
            return Verdict::Skipped;
        }
        if line.starts_with('{')
            && let Some(object) = odoo_object::read(&mut self.reader, &line)
        {
            let mut event = self.event(
                record,
                &Entry {
                    time: object.time(self.zone).unwrap_or(NO_TIME),
                    pid: object.pid,
                    level: &object.level,
                    database: &object.database,
                    logger: &object.logger,
                    message: object.message.trim_ascii(),
                },
            );
            object.rest(&mut event, record);
            events.push(event);
            return Verdict::Parsed;
        }
        let Some(entry) = entry(&line, self.zone, &mut self.clock) else {
            return if self.started { Verdict::Continuation } else { Verdict::Rejected("no entry's head") };
        };
        self.started = true;
        events.push(self.event(record, &entry));
        Verdict::Parsed
    }

    fn state(&self) -> String {
        if self.started { self.clock.to_string() } else { String::new() }
    }

    fn resume(&mut self, state: &str) {
        self.started |= self.clock.resume(state);
    }

    fn format(&self) -> &'static str {
        ODOO.name
    }
}

impl Odoo {
    fn event(&self, record: &str, entry: &Entry<'_>) -> Event {
        let mut event = Event::new(record);
        event.time = entry.time;
        if !(entry.logger == "werkzeug" && clf::werkzeug(&mut event, record, entry.message, self.zone)) {
            tell(&mut event, record, entry);
        }
        event.set_part(Field::LogLevel, record, entry.level);
        event.set_part(Field::LogLogger, record, entry.logger);
        if let Some(pid) = entry.pid {
            event.set_integer(Field::ProcessPid, pid);
        }
        if !matches!(entry.database, "?" | "") {
            event.set_other_part("odoo.database", record, entry.database);
        }
        event.set(Field::EventProvider, "odoo");
        event
    }
}

fn level(input: &str) -> IResult<&str, &str> {
    alt((tag("DEBUG"), tag("INFO"), tag("WARNING"), tag("ERROR"), tag("CRITICAL"))).parse(input)
}

fn word(input: &str) -> IResult<&str, &str> {
    take_till1(|one| one == ' ').parse(input)
}

fn logger(input: &str) -> IResult<&str, &str> {
    take_while1(|one: char| one.is_ascii_alphanumeric() || matches!(one, '.' | '_' | '-')).parse(input)
}

/// ` PID LEVEL DB LOGGER: MESSAGE`
fn head(input: &str) -> IResult<&str, (&str, &str, &str, &str)> {
    let (rest, pid) = delimited(space1, digit1, space1).parse(input)?;
    let (rest, (level, database)) = (terminated(level, space1), terminated(word, space1)).parse(rest)?;
    let (rest, logger) = terminated(logger, char(':')).parse(rest)?;
    let (message, _) = opt(char(' ')).parse(rest)?;
    Ok((message, (pid, level, database, logger)))
}

/// ` Odoo Server 14.0:DB:LEVEL:LOGGER:MESSAGE`
fn syslog_head(input: &str) -> IResult<&str, (&str, &str, &str)> {
    let (rest, _) =
        (alt((tag("Odoo Server"), tag("OpenERP Server"))), take_till1(|one| one == ':'), char(':')).parse(input)?;
    let field = |input| terminated(take_till1(|one| one == ':'), char(':')).parse(input);
    let (rest, database) = field(rest)?;
    let (rest, level) = terminated(level, char(':')).parse(rest)?;
    let (rest, logger) = terminated(logger, char(':')).parse(rest)?;
    Ok((rest, (database, level, logger)))
}

fn entry<'l>(line: &'l str, zone: Tz, clock: &mut YearClock) -> Option<Entry<'l>> {
    let bare = wrap::compose(line).unwrap_or(line);
    if let Some(entry) = dated(bare, zone) {
        return Some(entry);
    }
    let (time, rest) = match syslog_header::header(bare, zone) {
        Some(header) => {
            // Behind a header stands either form.
            if let Some(entry) = dated(header.message.trim_start(), zone) {
                return Some(entry);
            }
            (header.stamp.and_then(|stamp| stamp.moment(clock, zone)).unwrap_or(NO_TIME), header.behind_host)
        }
        None => (NO_TIME, bare),
    };
    let (message, (database, level, logger)) = syslog_head(rest).ok()?;
    Some(Entry { time, pid: None, level, database, logger, message: message.trim_ascii() })
}

fn dated(line: &str, zone: Tz) -> Option<Entry<'_>> {
    let (time, rest) = time::iso_prefix(line, zone)?;
    let (message, (pid, level, database, logger)) = head(rest).ok()?;
    Some(Entry { time, pid: pid.parse().ok(), level, database, logger, message: message.trim_ascii() })
}

/// What an entry that is no web request says.
fn tell(event: &mut Event, raw: &str, entry: &Entry<'_>) {
    let message = entry.message;
    event.set_part(Field::Message, raw, message);
    if entry.logger.contains("res_users") && login(event, raw, message) {
        return;
    }
    if password(event, raw, message) {
        return;
    }
    if ignored(event, raw, message) {
        return;
    }
    if let Ok((_, second)) = second_factor(message) {
        second.tell(event, raw);
        return;
    }
    if let Ok((_, (id, model, ids))) = unlinked(message) {
        actions::set(event, "delete");
        event.set(Field::EventOutcome, "success");
        event.set_part(Field::UserId, raw, id);
        event.set_part(Field::ObjectType, raw, model);
        let ids = ids.split(',').map(str::trim).filter(|id| !id.is_empty());
        event.set_integer(Field::Records, ids.clone().count() as i64);
        for id in ids.take(MAX_IDS) {
            event.push(Field::ObjectId, id);
        }
        return;
    }
    actions::set(event, "info");
    // "Access Denied" follows a failed login that was told before: kept, but no second failure.
    event.set(Field::EventOutcome, "unknown");
}

/// More ids of one entry are counted, not kept.
const MAX_IDS: usize = 50;

/// `Login successful for db:DB login:LOGIN from IP` in all its wordings. What a stranger types as LOGIN may hold ` from 9.9.9.9`:
/// the last ` from ` counts, and only if an address or `n/a` follows.
fn login(event: &mut Event, raw: &str, message: &str) -> bool {
    let Ok((who, outcome)) = login_head(message) else { return false };
    let (who, from) = match memmem::rfind(who.as_bytes(), b" from ") {
        Some(at) if names_a_place(&who[at + 6..]) => (&who[..at], who[at + 6..].trim_ascii()),
        _ => (who.trim_ascii_end(), ""),
    };
    let who = who.strip_prefix("db:").and_then(|rest| rest.split_once(' ')).map_or(who, |(_database, rest)| rest);
    let id = who.strip_prefix("id=").or_else(|| who.strip_prefix("uid:")).or_else(|| who.strip_prefix("user id="));
    actions::set(event, "login");
    event.set(Field::EventOutcome, outcome);
    match id {
        Some(id) => event.set_part(Field::UserId, raw, id),
        None => {
            let name = who.strip_prefix("login:").or_else(|| who.strip_prefix("user ")).unwrap_or(who);
            let bare = name.strip_prefix('\'').and_then(|name| name.strip_suffix('\''));
            let name = if who.starts_with("user ") { bare.unwrap_or(name) } else { name };
            if !name.is_empty() {
                event.set_part(Field::UserName, raw, name);
            }
        }
    }
    ip::set_source(event, raw, if from.eq_ignore_ascii_case("n/a") { "" } else { from });
    true
}

/// `Login attempt ignored for ADDRESS on DB: 12 failures since last success, ...`: too many came from there. The login that was ignored is
/// told as a failed one besides, so it counts there.
fn ignored(event: &mut Event, raw: &str, message: &str) -> bool {
    let Some(rest) = message.strip_prefix("Login attempt ignored for ") else { return false };
    let Some((address, why)) = rest.split_once(" on ") else { return false };
    actions::set(event, "info");
    event.set(Field::EventOutcome, "failure");
    event.set(Field::EventType, "denied");
    ip::set_source(event, raw, address);
    if let Some((_, why)) = why.split_once(": ") {
        event.set_part(Field::EventReason, raw, why.split_once(". ").map_or(why, |(first, _)| first));
    }
    true
}

/// A name without the quotes or brackets around it, where there are any.
fn without_quotes(name: &str) -> &str {
    let pair = |(open, close): &(char, char)| name.strip_prefix(*open)?.strip_suffix(*close);
    [('\'', '\''), ('"', '"'), ('<', '>')].iter().find_map(pair).unwrap_or(name)
}

/// `Password change for 'mia' (#7) by 'admin' (#2) from IP`, `Password reset attempt for <mia> by user <public> from IP`. What is asked for
/// may hold anything, so the last words count; a name in quotes or brackets ends where the last of them does.
fn password(event: &mut Event, raw: &str, message: &str) -> bool {
    let reset = message.strip_prefix("Password reset attempt for ");
    let Some(rest) = reset.or_else(|| message.strip_prefix("Password change for ")) else { return false };
    let between = if reset.is_some() { " by user " } else { " by " };
    let Some((who, from)) = rest.rsplit_once(" from ").filter(|(_, from)| names_a_place(from)) else { return false };
    let Some((target, actor)) = who.rsplit_once(between) else { return false };
    actions::set(event, if reset.is_some() { "password-reset" } else { "password-change" });
    event.set(Field::EventOutcome, if reset.is_some() { "unknown" } else { "success" });
    for (text, name_field, id_field) in
        [(actor, Field::UserName, Field::UserId), (target, Field::UserTargetName, Field::UserTargetId)]
    {
        let (name, id) = match text.rsplit_once(" (#") {
            Some((name, id)) => (name, id.trim_end_matches(')')),
            None => (text, ""),
        };
        let name = without_quotes(name);
        // Who asks for a new password is nobody yet.
        if !name.is_empty() && name != "public" {
            event.set_part(name_field, raw, name);
        }
        if !id.is_empty() {
            event.set_part(id_field, raw, id);
        }
    }
    let from = from.trim_ascii();
    ip::set_source(event, raw, if from.eq_ignore_ascii_case("n/a") { "" } else { from });
    true
}

fn login_head(message: &str) -> IResult<&str, &str> {
    let outcome = alt((map(tag("successful"), |_| "success"), map(tag("failed"), |_| "failure")));
    delimited(tag("Login "), outcome, (space1, tag("for"), space1)).parse(message)
}

fn names_a_place(text: &str) -> bool {
    let text = text.trim_ascii();
    text.eq_ignore_ascii_case("n/a") || ip::address(text).is_some()
}

/// `User #2 deleted res.partner records with IDs: [1, 2]`
fn unlinked(message: &str) -> IResult<&str, (&str, &str, &str)> {
    let (rest, id) = preceded(tag("User #"), digit1).parse(message)?;
    let (rest, model) = delimited(tag(" deleted "), word, tag(" records with IDs: [")).parse(rest)?;
    let (rest, ids) = take_till1(|one| one == ']').parse(rest)?;
    Ok((rest, (id, model, ids)))
}

/// `2FA check: FAIL for res.users(7,) 'bob'`, `2FA disable: SUCCESS for res.users(7,) (bob) by uid #2`
struct SecondFactor<'l> {
    verb: &'l str,
    result: &'l str,
    id: Option<&'l str>,
    name: &'l str,
    by: Option<&'l str>,
}

fn second_factor(message: &str) -> IResult<&str, SecondFactor<'_>> {
    let (rest, verb) = preceded(tag("2FA "), take_while1(|one: char| one.is_ascii_lowercase())).parse(message)?;
    let (rest, result) = preceded((tag(":"), space0), take_while1(|one: char| one.is_ascii_uppercase())).parse(rest)?;
    let at = memmem::find(rest.as_bytes(), b" for ").map_or(rest.len(), |at| at + 5);
    let (rest, id) =
        opt(delimited(tag("res.users("), digit1, (opt(char(',')), tag(")"), space0))).parse(&rest[at..])?;
    let (name, by) = match memmem::rfind(rest.as_bytes(), b" by uid #") {
        Some(at) => (&rest[..at], Some(rest[at + 9..].trim_ascii())),
        None => (rest, None),
    };
    let name = name.trim_matches(['\'', '"', '(', ')', ' ']);
    Ok(("", SecondFactor { verb, result, id, name, by }))
}

impl SecondFactor<'_> {
    fn tell(&self, event: &mut Event, raw: &str) {
        let success = self.result == "SUCCESS";
        let word = match (self.verb, success) {
            ("check", true) => "mfa-challenge",
            ("check", false) => "mfa-denied",
            ("enable", _) => "mfa-enrolled",
            ("disable", _) => "mfa-removed",
            _ => "info",
        };
        actions::set(event, word);
        event.set(Field::EventOutcome, if success { "success" } else { "failure" });
        let (id_field, name_field) = match self.by {
            Some(by) => {
                event.set_part(Field::UserId, raw, by);
                (Field::UserTargetId, Field::UserTargetName)
            }
            None => (Field::UserId, Field::UserName),
        };
        if let Some(id) = self.id {
            event.set_part(id_field, raw, id);
        }
        if !self.name.is_empty() {
            event.set_part(name_field, raw, self.name);
        }
    }
}

#[cfg(test)]
#[path = "odoo_tests.rs"]
mod tests;
