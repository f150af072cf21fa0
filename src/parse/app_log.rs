//! Logs that applications write for people: a head with stamp and level, then prose, sometimes over several lines. One reading for all;
//! each application's file says what its head looks like and what its sentences mean. Not for logs whose every field has its place.

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field, Millis};

use super::time::YearClock;
use super::{Grammar, Options, Verdict, absent, actions, ip, wrap};

/// What stands before the message.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Head<'l> {
    /// When; [`super::NO_TIME`] where the head has no stamp that can be read.
    pub time: Millis,
    /// Severity, as written.
    pub level: &'l str,
    /// Who wrote it within the program.
    pub logger: &'l str,
    /// Process.
    pub pid: &'l str,
    /// The user the program was working for.
    pub user: &'l str,
    /// The same user's number.
    pub user_id: &'l str,
    /// The address it was working for.
    pub client: &'l str,
    /// The request or session.
    pub session: &'l str,
    /// The sentence.
    pub message: &'l str,
}

/// An application.
pub(super) struct Application {
    /// The format's name, and `event.provider`.
    pub name: &'static str,
    /// Takes the head off; nothing where the line has none.
    pub head: for<'l> fn(&'l str, Tz, &mut YearClock) -> Option<Head<'l>>,
    /// Reads the sentence; gives action and outcome.
    pub tell: fn(&mut Event, &str, &str) -> Option<(&'static str, &'static str)>,
}

/// Starts reading a file of an application.
pub(super) fn grammar(application: &'static Application, options: &Options) -> Box<dyn Grammar> {
    Box::new(AppLog { application, zone: options.timezone, clock: YearClock::of(options), started: false })
}

/// Whether a line has the application's head: for `sniff`.
pub(super) fn sniff(application: &'static Application, record: &str, sure: u8) -> u8 {
    let line = wrap::plain(record);
    let line = wrap::compose(&line).unwrap_or(&line);
    if (application.head)(line, Tz::UTC, &mut YearClock::new(2000)).is_some() { sure } else { 0 }
}

struct AppLog {
    application: &'static Application,
    zone: Tz,
    clock: YearClock,
    started: bool,
}

impl Grammar for AppLog {
    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let line = wrap::plain(record);
        let line = wrap::compose(&line).unwrap_or(&line);
        if line.trim_ascii().is_empty() {
            return Verdict::Skipped;
        }
        let Some(head) = (self.application.head)(line, self.zone, &mut self.clock) else {
            return if self.started { Verdict::Continuation } else { Verdict::Rejected("no entry's head") };
        };
        self.started = true;
        let mut event = Event::new(record);
        event.time = head.time;
        for (field, text) in [
            (Field::LogLevel, head.level),
            (Field::LogLogger, head.logger),
            (Field::SessionId, head.session),
            (Field::UserName, head.user),
            (Field::UserId, head.user_id),
            (Field::Message, head.message.trim_ascii()),
        ] {
            if !absent(text.trim_ascii()) {
                event.set_part(field, record, text.trim_ascii());
            }
        }
        if !absent(head.client) {
            ip::set_source(&mut event, record, head.client);
        }
        if let Ok(pid) = head.pid.parse() {
            event.set_integer(Field::ProcessPid, pid);
        }
        event.set(Field::EventProvider, self.application.name);
        let (action, outcome) =
            (self.application.tell)(&mut event, record, head.message.trim_ascii()).unwrap_or(("info", "unknown"));
        actions::set(&mut event, action);
        event.set(Field::EventOutcome, outcome);
        events.push(event);
        Verdict::Parsed
    }

    fn state(&self) -> String {
        if self.started { format!("started {}", self.clock) } else { String::new() }
    }

    fn resume(&mut self, state: &str) {
        if let Some(clock) = state.strip_prefix("started ") {
            self.started = true;
            self.clock.resume(clock);
        }
    }

    fn format(&self) -> &'static str {
        self.application.name
    }
}

/// The text between two marks, the second searched from the right: what a stranger typed between them may hold anything.
pub(super) fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let from = text.find(before)? + before.len();
    let to = from + text[from..].rfind(after)?;
    Some(&text[from..to])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{time, trial};

    /// As docs/formats-guide.md shows it.
    static LOG: Application = Application { name: "example", head, tell };

    fn head<'l>(line: &'l str, zone: Tz, _clock: &mut YearClock) -> Option<Head<'l>> {
        let (time, rest) = time::iso_prefix(line, zone)?;
        let (user, message) = rest.strip_prefix(" [")?.split_once("] ")?;
        Some(Head { time, user, message, ..Head::default() })
    }

    fn tell(_event: &mut Event, _raw: &str, message: &str) -> Option<(&'static str, &'static str)> {
        message.starts_with("exported ").then_some(("export", "success"))
    }

    #[test]
    fn the_example_of_the_guide_reads_the_line_it_shows() {
        let line = "2026-03-02 09:14:07 [mia] exported 40 contacts";
        assert_eq!((sniff(&LOG, line, 85), sniff(&LOG, "mia exported", 85)), (85, 0));
        let event = trial::event(grammar(&LOG, &Options::default()), line);
        assert_eq!(event.time, 1_772_442_847_000);
        trial::holds(&event, &[(Field::UserName, "mia"), (Field::EventAction, "export")], line);
        let guide = include_str!("../../docs/formats-guide.md");
        for shown in [line, "time::iso_prefix(line, zone)?", "message.starts_with(\"exported \").then_some"] {
            assert!(guide.contains(shown), "{shown}");
        }
    }
}
