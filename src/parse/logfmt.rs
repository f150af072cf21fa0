//! logfmt: `key=value key="quoted value" flag`. Not for lines that merely hold an equals sign somewhere.

use std::borrow::Cow;

use crmwatch_detectors::Event;

use super::pairs::Carrier;
use super::{Format, Grammar, Options, Verdict, actions, wrap};
use crmwatch_detectors::Field;

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: "logfmt",
    about: "logfmt: key=value pairs, values quoted where they hold blanks",
    sniff: |record| {
        let line = wrap::plain(record);
        let mut keys = 0;
        let (mut timed, mut first) = (false, true);
        for (key, value) in Pairs::of(line.trim_ascii()).take(40) {
            if first && value.is_none() {
                return 0;
            }
            first = false;
            keys += usize::from(value.is_some());
            timed |= matches!(key, "time" | "ts" | "t" | "timestamp" | "@timestamp" | "level" | "lvl" | "severity");
        }
        match (keys, timed) {
            (3.., true) => 65,
            (4.., false) => 30,
            _ => 0,
        }
    },
    grammar: |options: &Options| Box::new(Logfmt { carrier: Carrier::new(options) }),
};

struct Logfmt {
    carrier: Carrier,
}

/// The pairs of a line; a bare key has no value.
struct Pairs<'l> {
    rest: &'l str,
}

impl<'l> Pairs<'l> {
    fn of(line: &'l str) -> Pairs<'l> {
        Pairs { rest: line }
    }
}

impl<'l> Iterator for Pairs<'l> {
    type Item = (&'l str, Option<Cow<'l, str>>);

    fn next(&mut self) -> Option<Self::Item> {
        self.rest = self.rest.trim_ascii_start();
        let end = self
            .rest
            .find(|letter: char| letter.is_ascii_whitespace() || letter == '=' || letter == '"')
            .unwrap_or(self.rest.len());
        let (key, after) = self.rest.split_at(end);
        if key.is_empty() {
            self.rest = "";
            return None;
        }
        let Some(value) = after.strip_prefix('=') else {
            if after.starts_with('"') {
                // A quote where a key should be: the line is no logfmt from here on.
                self.rest = "";
                return None;
            }
            self.rest = after;
            return Some((key, None));
        };
        if let Some(inner) = value.strip_prefix('"') {
            let (text, rest) = quoted(inner);
            self.rest = rest;
            return Some((key, Some(text)));
        }
        let end = value.find(|letter: char| letter.is_ascii_whitespace()).unwrap_or(value.len());
        self.rest = &value[end..];
        Some((key, Some(Cow::Borrowed(&value[..end]))))
    }
}

/// Up to the closing quote, `\"`, `\\`, `\n`, `\t`, `\r` and `\uXXXX` undone.
fn quoted(text: &str) -> (Cow<'_, str>, &str) {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut escaped = false;
    let end = loop {
        match memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
            Some(found) if bytes[at + found] == b'"' => break at + found,
            Some(found) => {
                escaped = true;
                at += found + 2;
            }
            None => break text.len(),
        }
    };
    let rest = text.get(end + 1..).unwrap_or("");
    if !escaped {
        return (Cow::Borrowed(&text[..end]), rest);
    }
    let mut out = String::with_capacity(end);
    let mut letters = text[..end].chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('u') => {
                let digits: String = letters.by_ref().take(4).collect();
                match u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32) {
                    Some(decoded) => out.push(decoded),
                    None => {
                        out.push_str("\\u");
                        out.push_str(&digits);
                    }
                }
            }
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    (Cow::Owned(out), rest)
}

impl Grammar for Logfmt {
    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let plain = wrap::plain(record);
        let line = plain.trim_ascii();
        if line.is_empty() {
            return Verdict::Skipped;
        }
        let found: Vec<(&str, Option<Cow<'_, str>>)> = Pairs::of(line).collect();
        if !found.iter().any(|(_, value)| value.is_some()) {
            return Verdict::Rejected("no key=value pair");
        }
        let mut event = self.carrier.event(record, found.into_iter());
        if !event.has(Field::EventAction) {
            let action = event.text(Field::Message).and_then(actions::phrase).unwrap_or("info");
            actions::set_beside(&mut event, action);
            // What was done is in the message, so how it ended is, too.
            if !event.has(Field::EventOutcome)
                && let Some(outcome) = event.text(Field::Message).and_then(actions::outcome_of_phrase)
            {
                event.set(Field::EventOutcome, outcome);
            }
        }
        events.push(event);
        Verdict::Parsed
    }

    fn format(&self) -> &'static str {
        FORMAT.name
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{event, holds};
    use super::*;

    #[test]
    fn pairs_are_mapped_by_the_usual_synonyms() {
        let record = r#"time="2026-03-02T09:14:07.25Z" level=info msg="export \"all\" done" user=mia@example.com ip=203.0.113.7 action=export rows=5200 dry= flag url=/a?b=c"#;
        assert_eq!((FORMAT.sniff)(record), 65);
        let found = event((FORMAT.grammar)(&Options::default()), record);
        holds(
            &found,
            &[
                (Field::EventAction, "export"),
                (Field::UserName, "mia@example.com"),
                (Field::SourceIp, "203.0.113.7"),
                (Field::Records, "5200"),
                (Field::Message, "export \"all\" done"),
                (Field::LogLevel, "info"),
            ],
            record,
        );
        assert_eq!(found.time, 1_772_442_847_250);
        assert!(found.others().any(|(name, value)| name == "flag" && value.to_string() == "true"));
    }

    #[test]
    fn what_a_message_tells_of_action_and_outcome_counts_where_no_key_does() {
        let record = r#"ts=1772442847 level=warn msg="login failed" user=jo"#;
        holds(
            &event((FORMAT.grammar)(&Options::default()), record),
            &[(Field::EventAction, "login"), (Field::EventOutcome, "failure"), (Field::UserName, "jo")],
            record,
        );
    }

    #[test]
    fn servers_own_keys_are_known() {
        for (record, expected) in [
            (
                r#"logger=context userId=3 orgId=1 uname=mia t=2026-03-02T09:14:07.25Z level=info msg="Request Completed" method=GET path=/a status=401 remote_addr=203.0.113.7"#,
                vec![(Field::UserName, "mia"), (Field::UserId, "3"), (Field::SourceIp, "203.0.113.7")],
            ),
            (
                r#"time="2026-03-02T09:14:07.25Z" level=warning msg="no token" http.request.method=GET http.request.remoteaddr="203.0.113.7" http.request.uri="/v2/""#,
                vec![(Field::SourceIp, "203.0.113.7"), (Field::UrlPath, "/v2/")],
            ),
            (
                r#"t=2026-03-02T09:14:07.25Z lvl=eror msg="Invalid username or password" remote_addr=203.0.113.7"#,
                vec![(Field::EventAction, "login"), (Field::EventOutcome, "failure")],
            ),
            (
                r#"ts=2026-03-02T09:14:07.25Z at=info method=GET path="/posts" fwd="203.0.113.7" connect=1ms service=18ms status=200"#,
                vec![(Field::SourceIp, "203.0.113.7"), (Field::ServiceName, "")],
            ),
        ] {
            let found = event((FORMAT.grammar)(&Options::default()), record);
            holds(&found, &expected, record);
            assert_eq!(found.time, 1_772_442_847_250, "{record}");
        }
    }

    #[test]
    fn the_last_of_two_equal_keys_counts_and_prose_is_refused() {
        let record = "ts=1772442847 user=a user=b action=login";
        holds(&event((FORMAT.grammar)(&Options::default()), record), &[(Field::UserName, "b")], record);
        let mut events = Vec::new();
        let verdict = (FORMAT.grammar)(&Options::default()).parse("just words here", &mut events);
        assert_eq!(verdict, Verdict::Rejected("no key=value pair"));
        assert_eq!((FORMAT.sniff)("Connection a=b refused"), 0);
    }
}
