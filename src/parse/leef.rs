//! IBM QRadar's Log Event Extended Format, 1.0 and 2.0. Not for the syslog header before it.

use std::borrow::Cow;

use crmwatch_detectors::{Event, Field};

use super::cef::moment;
use super::pairs::{Carrier, spaced};
use super::{Format, Grammar, NO_TIME, Options, Verdict, absent, actions, time};

/// The format's line in the list.
pub const FORMAT: Format = Format {
    name: "leef",
    about: "IBM QRadar Log Event Extended Format (LEEF 1.0 and 2.0)",
    sniff: |record| if header(record.trim_ascii()).is_some() { 92 } else { 0 },
    grammar: |options: &Options| Box::new(Leef { carrier: Carrier::new(options) }),
};

struct Leef {
    carrier: Carrier,
}

struct Header<'l> {
    vendor: &'l str,
    product: &'l str,
    id: &'l str,
    /// What stands between two attributes.
    between: char,
    attributes: &'l str,
}

fn header(line: &str) -> Option<Header<'_>> {
    let rest = line.trim_start_matches('\u{feff}').strip_prefix("LEEF:")?.trim_ascii_start();
    let mut parts = rest.splitn(6, '|');
    let version = parts.next()?;
    let (vendor, product, _version, id, rest) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if !version.starts_with("2") {
        return Some(Header { vendor, product, id, between: '\t', attributes: rest });
    }
    // `^|`, `0x09|`, `x09|`, `|` for a tab; senders that leave it out altogether begin with an attribute.
    let (between, attributes) = match rest.split_once('|') {
        Some((word, attributes)) if word.len() <= 4 && !word.contains('=') => (delimiter(word)?, attributes),
        _ => ('\t', rest),
    };
    Some(Header { vendor, product, id, between, attributes })
}

fn delimiter(word: &str) -> Option<char> {
    let hex = word.strip_prefix("0x").or_else(|| word.strip_prefix('x')).filter(|hex| !hex.is_empty());
    match (hex, word.chars().next()) {
        (Some(hex), _) => u32::from_str_radix(hex, 16).ok().and_then(char::from_u32),
        (None, None) => Some('\t'),
        (None, Some(letter)) => (word.chars().count() == 1).then_some(letter),
    }
}

/// Attribute to the name its value has elsewhere.
fn named(key: &str) -> Option<&'static str> {
    Some(match key {
        "src" | "identSrc" => "source.ip",
        "srcPort" | "spt" => "source.port",
        "dst" => "destination.ip",
        "dstPort" | "dpt" => "destination.port",
        "usrName" | "accountName" => "user.name",
        "identHostName" => "host.name",
        "url" => "url.original",
        "role" => "user.roles",
        "TargetUser" => "user.target.name",
        "Reason" | "reason" => "event.reason",
        "File" => "file.name",
        "resource" => "crm.object.name",
        "EventMessage" | "description" => "message",
        _ => return None,
    })
}

impl Grammar for Leef {
    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let line = record.trim_matches(['\r', '\n', ' ']);
        if line.trim_ascii().is_empty() {
            return Verdict::Skipped;
        }
        let Some(header) = header(line) else { return Verdict::Rejected("no LEEF header") };
        let mut found: Vec<(&str, &str)> = Vec::with_capacity(32);
        if header.attributes.contains(header.between) || header.between != '\t' {
            // Only the first equals sign parts key from value.
            for attribute in header.attributes.split(header.between) {
                if let Some((key, value)) = attribute.split_once('=') {
                    found.push((key.trim(), value.trim()));
                }
            }
        } else {
            spaced(header.attributes, |key, value| found.push((key, value)));
        }
        let get = |key: &str| {
            found.iter().rev().find(|(known, value)| *known == key && !absent(value)).map(|(_, value)| *value)
        };
        let pairs = found
            .iter()
            .filter(|(key, value)| {
                !absent(value) && !matches!(*key, "devTime" | "devTimeFormat" | "sev" | "cat" | "action" | "Action")
            })
            // A key that is called like a field of ours was typed into a value rather than written by the product.
            .filter(|(key, _)| Field::from_name(key).is_none())
            .map(|(key, value)| (named(key).unwrap_or(key), Some(Cow::Borrowed(*value))));
        let mut event = self.carrier.event(record, pairs);
        let zone = self.carrier.zone();
        event.time = get("devTime")
            .and_then(|text| moment(text, zone).or_else(|| time::iso(text, zone)))
            .or((event.time != NO_TIME).then_some(event.time))
            .unwrap_or(NO_TIME);
        let act = get("Action").or_else(|| get("action"));
        let words: Vec<Cow<'_, str>> = [act, get("EventMessage"), get("description"), get("cat"), Some(header.id)]
            .into_iter()
            .flatten()
            .map(Cow::Borrowed)
            .collect();
        let action = words
            .iter()
            .find_map(|word| actions::whole(word).or_else(|| actions::phrase(word)))
            .or_else(|| act.and_then(actions::action))
            // Of part of an id only this much is sure (`traditional_signin`, not `port_open`); and the sentence is a stranger's, perhaps.
            .or_else(|| actions::action(header.id).filter(|action| matches!(*action, "login" | "logout")))
            .or_else(|| get("msg").and_then(actions::phrase));
        if action.is_some() || !event.has(Field::EventAction) {
            actions::set_beside(&mut event, action.unwrap_or("info"));
        }
        if !event.has(Field::EventOutcome) {
            event.set(
                Field::EventOutcome,
                words
                    .iter()
                    .find_map(|word| actions::outcome_of_phrase(word))
                    .or_else(|| words.iter().find_map(|word| actions::outcome_in(word)))
                    .unwrap_or("unknown"),
            );
        }
        if let Some(code) = act.or(Some(header.id)).filter(|code| !absent(code)) {
            event.set(Field::EventCode, code);
        }
        event.set(Field::ObserverVendor, header.vendor);
        event.set(Field::ObserverProduct, header.product);
        if let Some(severity) = get("sev").and_then(|text| text.parse().ok()) {
            event.set_integer(Field::EventSeverity, severity);
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
    fn what_was_done_is_told_by_a_part_of_the_id_or_by_the_sentence() {
        for (rest, action, outcome) in [
            ("site_signin|src=203.0.113.7\tsrcPort=1\tdevTime=Mar 02 2026 09:14:07", "login", "unknown"),
            ("Auth_Success|devTime=Mar 02 2026 09:14:07 GMT+00:00\tusrName=mia", "login", "success"),
            ("EVENT|devTime=Mar 02 2026 09:14:07\tmsg=Logout: 'mia' logged off", "logout", "unknown"),
            ("port_open|devTime=1772442847000\tspt=7", "info", "unknown"),
        ] {
            let record = format!("LEEF:1.0|Acme|Vault|14.4|{rest}");
            let found = event((FORMAT.grammar)(&Options::default()), &record);
            holds(&found, &[(Field::EventAction, action), (Field::EventOutcome, outcome)], &record);
            assert_eq!(found.time, 1_772_442_847_000, "{record}");
        }
    }

    #[test]
    fn attributes_are_split_by_whatever_the_header_says() {
        let expected = [
            (Field::EventAction, "login"),
            (Field::UserName, "mia"),
            (Field::SourceIp, "203.0.113.7"),
            (Field::ObserverVendor, "Acme"),
            (Field::EventSeverity, "6"),
        ];
        for (start, between) in [
            ("LEEF:1.0|Acme|Vault|14.4|7|", "\t"),
            ("LEEF:1.0|Acme|Vault|14.4|7|", " "),
            ("LEEF:2.0|Acme|Vault|14.4|7|^|", "^"),
            ("LEEF:2.0|Acme|Vault|14.4|7|x5E|", "^"),
            ("LEEF:2.0|Acme|Vault|14.4|7|0x09|", "\t"),
            ("LEEF:2.0|Acme|Vault|14.4|7||", "\t"),
        ] {
            let record = format!(
                "{start}{}",
                [
                    "sev=6",
                    "Action=Logon",
                    "usrName=mia",
                    "src=203.0.113.7",
                    "devTime=Mar 02 2026 09:14:07",
                    "devTimeFormat=MMM dd yyyy HH:mm:ss"
                ]
                .join(between)
            );
            assert_eq!((FORMAT.sniff)(&record), 92, "{record}");
            let found = event((FORMAT.grammar)(&Options::default()), &record);
            holds(&found, &expected, &record);
            assert_eq!(found.time, 1_772_442_847_000, "{record}");
        }
    }

    #[test]
    fn a_value_keeps_its_blanks_and_equals_signs() {
        let record =
            "LEEF:1.0|Acme|Vault|14.4|295|usrName=mia\tAction=Retrieve password\tExtraDetails=A=1;B=x y\tTargetUser=jo";
        let found = event((FORMAT.grammar)(&Options::default()), record);
        holds(&found, &[(Field::UserTargetName, "jo"), (Field::EventCode, "Retrieve password")], record);
        assert!(found.others().any(|(name, value)| name == "ExtraDetails" && value.to_string() == "A=1;B=x y"));
    }
}
