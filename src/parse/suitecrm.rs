//! The log of SuiteCRM and SugarCRM, `STAMP [PID][USERID][LEVEL] MESSAGE`, and SuiteCRM 8's Monolog lines. It tells of failed logins;
//! successful ones are only in its database and in the web server's log.

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field, Millis};
use memchr::memmem;
use nom::bytes::complete::{tag, take_until, take_while1};
use nom::character::complete::{char, digit1};
use nom::combinator::opt;
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

use super::{Format, Grammar, NO_TIME, Options, Verdict, absent, actions, ip, spoken_time, time, wrap};

/// SuiteCRM's and SugarCRM's log.
pub const SUITECRM: Format = Format {
    name: "suitecrm",
    about: "SuiteCRM and SugarCRM application log (suitecrm.log, sugarcrm.log, SuiteCRM 8's Monolog files)",
    sniff: |record| {
        let line = wrap::plain(record);
        match entry(&line, Tz::UTC) {
            Some(entry) if entry.time != NO_TIME && entry.pid.is_some() => 95,
            Some(entry) if entry.pid.is_some() => 60,
            // Without a channel it is more likely another's.
            Some(entry) if entry.logger.is_empty() => 55,
            Some(_) => 70,
            None => 0,
        }
    },
    grammar: |options: &Options| Box::new(SuiteCrm { zone: options.timezone, started: false }),
};

struct SuiteCrm {
    zone: Tz,
    started: bool,
}

struct Entry<'l> {
    time: Millis,
    pid: Option<&'l str>,
    user: &'l str,
    logger: &'l str,
    level: &'l str,
    message: &'l str,
}

impl Grammar for SuiteCrm {
    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let line = wrap::plain(record);
        if line.trim_ascii().is_empty() {
            return Verdict::Skipped;
        }
        let Some(entry) = entry(&line, self.zone) else {
            return if self.started { Verdict::Continuation } else { Verdict::Rejected("no entry's head") };
        };
        self.started = true;
        let mut event = Event::new(record);
        event.time = entry.time;
        tell(&mut event, record, entry.message);
        if let Some(pid) = entry.pid.and_then(|pid| pid.parse().ok()) {
            event.set_integer(Field::ProcessPid, pid);
        }
        if !absent(entry.user) && entry.user != "-none-" {
            event.set_part(Field::UserId, record, entry.user);
        }
        if !entry.logger.is_empty() {
            event.set_part(Field::LogLogger, record, entry.logger);
        }
        event.set_part(Field::LogLevel, record, entry.level);
        event.set_part(Field::Message, record, entry.message);
        event.set(Field::EventProvider, "suitecrm");
        events.push(event);
        Verdict::Parsed
    }

    fn state(&self) -> String {
        if self.started { "started".to_owned() } else { String::new() }
    }

    fn resume(&mut self, state: &str) {
        self.started = state == "started";
    }

    fn format(&self) -> &'static str {
        SUITECRM.name
    }
}

fn entry(line: &str, zone: Tz) -> Option<Entry<'_>> {
    let line = wrap::compose(line).unwrap_or(line);
    if line.starts_with('[') {
        return monolog(line, zone).ok().map(|(_, entry)| entry);
    }
    if let Some((time, rest)) = time::ctime_prefix(line, zone).or_else(|| time::iso_prefix(line, zone)) {
        let (message, (pid, user, level)) = marks(rest).ok()?;
        return Some(Entry { time, pid: Some(pid), user, logger: "", level, message: message.trim_ascii() });
    }
    // A collector put the line into an object: what stands before the marks is no stamp alone.
    if line.starts_with('{') {
        return None;
    }
    // Another locale, or a configured layout: the marks tell, and they stand near the start.
    let (at, (message, (pid, user, level))) = memmem::find_iter(line.as_bytes(), b" [")
        .take_while(|at| *at < 60)
        .find_map(|at| Some((at, marks(&line[at..]).ok()?)))?;
    let time = spoken_time::moment(&line[..at], zone).unwrap_or(NO_TIME);
    Some(Entry { time, pid: Some(pid), user, logger: "", level, message: message.trim_ascii() })
}

/// ` [PID][USERID][LEVEL] MESSAGE`
fn marks(input: &str) -> IResult<&str, (&str, &str, &str)> {
    let (rest, pid) = delimited(tag(" ["), digit1, tag("][")).parse(input)?;
    let plain = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.' | '@');
    let (rest, user) = terminated(take_while1(plain), tag("][")).parse(rest)?;
    let (rest, level) =
        terminated(take_while1(|one: char| one.is_ascii_uppercase() || one == ' '), char(']')).parse(rest)?;
    Ok((rest, (pid, user, level.trim_ascii())))
}

/// `[STAMP] CHANNEL.LEVEL: MESSAGE CONTEXT EXTRA`
fn monolog(line: &str, zone: Tz) -> IResult<&str, Entry<'_>> {
    let fail = || nom::Err::Error(nom::error::Error::new(line, nom::error::ErrorKind::Verify));
    let (rest, stamp) = delimited(char('['), take_until("] "), tag("] ")).parse(line)?;
    let time = time::iso(stamp, zone).ok_or_else(fail)?;
    let channel = take_while1(|one: char| one.is_ascii_alphanumeric() || matches!(one, '_' | '-'));
    let (rest, logger) = opt(terminated(channel, char('.'))).parse(rest)?;
    let (rest, level) = terminated(take_while1(|one: char| one.is_ascii_uppercase()), tag(": ")).parse(rest)?;
    // Context and extra, empty nearly always.
    let message = rest.trim_ascii();
    let message = message.strip_suffix(" []").unwrap_or(message);
    let message = message.strip_suffix(" []").unwrap_or(message);
    Ok(("", Entry { time, pid: None, user: "", logger: logger.unwrap_or_default(), level, message }))
}

/// `attempts[N], ip[IP], username[NAME]`: the name comes last and may hold anything, so it ends at the line's last bracket.
fn attempt(input: &str) -> IResult<&str, (&str, &str)> {
    let (rest, _) = delimited(tag("attempts["), digit1, tag("], ip[")).parse(input)?;
    let (rest, ip) = terminated(take_until("], username["), tag("], username[")).parse(rest)?;
    let end = rest.rfind(']').unwrap_or(rest.len());
    Ok(("", (ip, &rest[..end])))
}

/// `attempts[N] - NAME`
fn older_attempt(input: &str) -> IResult<&str, &str> {
    preceded((tag("attempts["), digit1, tag("] - ")), |name| Ok(("", name))).parse(input)
}

/// `NAME from IP: ADDRESS`, as who patched it for fail2ban has it; the name may hold anything, so the last words count.
fn patched(name: &str) -> (&str, &str) {
    let split = name.rsplit_once(" from IP: ").filter(|(_, address)| ip::address(address.trim_ascii()).is_some());
    split.map_or(("", name), |(name, address)| (address, name))
}

fn tell(event: &mut Event, raw: &str, message: &str) {
    if let Some(rest) = message.strip_prefix("FAILED LOGIN:") {
        actions::set(event, "login");
        event.set(Field::EventOutcome, "failure");
        let rest = rest.trim_ascii();
        let (address, name) = match (attempt(rest), older_attempt(rest)) {
            (Ok((_, found)), _) => found,
            (_, Ok((_, name))) => patched(name),
            _ if rest.starts_with("potential hack attempt") => {
                event.set_part(Field::EventReason, raw, rest);
                ("", "")
            }
            _ => ("", rest),
        };
        ip::set_source(event, raw, address.trim_ascii());
        if !absent(name.trim_ascii()) {
            event.set_part(Field::UserName, raw, name.trim_ascii());
        }
        return;
    }
    // Symfony's words, in SuiteCRM 8.
    let (said, context) = message.split_once(" {").unwrap_or((message, ""));
    let outcome = match said.trim_end_matches(['.', '!', ' ']) {
        "User has been authenticated successfully" => "success",
        "Authenticator failed" | "Authentication request failed" => "failure",
        _ => "",
    };
    if !outcome.is_empty() {
        actions::set(event, "login");
        event.set(Field::EventOutcome, outcome);
        let name = context.split_once("\"username\":\"").and_then(|(_, rest)| rest.split_once('"'));
        if let Some((name, _)) = name.filter(|(name, _)| !absent(name)) {
            event.set_part(Field::UserName, raw, name);
        }
        return;
    }
    actions::set(event, "info");
    let denied = ["SECURITY:", "ACL ", "Access denied"].iter().any(|start| message.starts_with(start));
    event.set(Field::EventOutcome, if denied { "failure" } else { "unknown" });
    if denied {
        event.set(Field::EventType, "denied");
    }
}

#[cfg(test)]
#[path = "suitecrm_tests.rs"]
mod tests;
