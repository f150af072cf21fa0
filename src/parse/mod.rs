//! Log formats: one file each, with its grammar and its mapping to the event. A new format is one file and one line in [`FORMATS`].
//! Not for where records come from (`source`) nor for facts a line does not hold (`enrich`).

pub mod actions;
mod amount;
mod app_log;
pub mod auto;
mod caddy;
mod cef;
mod civicrm;
mod clf;
mod container;
mod csv;
mod dataverse;
mod deeds;
mod entra;
mod error_log;
mod espocrm;
pub mod explain;
mod google_workspace;
mod haproxy;
mod haproxy_object;
mod host_login;
#[cfg(test)]
mod hostile;
mod hubspot;
mod iis;
mod iis_event;
pub mod ip;
mod jiandaoyun;
mod jiandaoyun_log;
pub mod json;
pub mod json_lines;
mod klog;
mod leef;
mod logfmt;
mod login_history;
#[cfg(test)]
mod long_lines;
pub mod m365;
mod odoo;
mod odoo_object;
pub mod own;
mod pairs;
mod proxy_manager;
mod salesforce;
mod salesforce_objects;
mod sheet;
mod spoken_time;
mod suitecrm;
pub mod syslog;
mod syslog_header;
mod target;
pub mod time;
mod tine;
mod traefik;
#[cfg(test)]
mod trial;
mod twenty;
#[cfg(test)]
mod variants_tests;
mod vendor;
mod vtiger;
pub mod web;
mod wrap;
mod zoho;

use std::sync::Arc;

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Millis};

/// What a grammar needs to know about its source.
#[derive(Debug, Clone)]
pub struct Options {
    /// The zone of stamps without an offset.
    pub timezone: Tz,
    /// The year a year-less stamp starts from: that of the file's modification time when it was opened.
    pub year: i32,
    /// That time itself: a year-less stamp more than a day later is of the year before.
    pub written: Option<Millis>,
    /// ECS name to the key of a JSON record.
    pub mapping: std::collections::BTreeMap<String, String>,
    /// The operator's own format, where the source has one.
    pub own: Option<Arc<own::OwnFormat>>,
}

impl Default for Options {
    fn default() -> Options {
        Options { timezone: Tz::UTC, year: 1970, written: None, mapping: Default::default(), own: None }
    }
}

/// How a record's end is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// At the newline.
    Lines,
    /// At the first newline outside double quotes.
    QuotedCsv,
    /// At the newline after the brace or bracket that closes the first one, braces in strings not counted.
    Json,
}

/// What a grammar made of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// One or more events were given.
    Parsed,
    /// Nothing to say: a blank line, a header, a directive.
    Skipped,
    /// Goes on from the record before; an `info` event naming that one is made of it.
    Continuation,
    /// No record of this format, and why, in a few fixed words (they become a metric's label).
    Rejected(&'static str),
}

/// One file's reading of a format. May remember what its grammar needs (a header), nothing else.
pub trait Grammar: Send {
    /// How the record that starts with this line ends. `line` is without its newline and may be cut at `max_line`.
    fn framing(&self, line: &[u8]) -> Framing {
        let _ = line;
        Framing::Lines
    }

    /// Reads one record (without its final newline) and appends its events, with `time` and fields set;
    /// id, origin and place are the caller's. An event without a time of its own keeps `time` at [`NO_TIME`].
    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict;

    /// What is needed to go on from here: the header in force, the year. Empty where nothing is.
    fn state(&self) -> String {
        String::new()
    }

    /// Goes on from a saved state.
    fn resume(&mut self, state: &str) {
        let _ = state;
    }

    /// The name of the format in use; differs from the configured one for `auto`.
    fn format(&self) -> &'static str;

    /// From now on what was weighed is remembered, for [`Grammar::choice`].
    fn explain(&mut self) {}

    /// What was weighed to find the format of the last record, where anything was.
    fn choice(&mut self) -> Option<explain::Choice> {
        None
    }
}

/// The time of an event whose record has none that can be read.
pub const NO_TIME: Millis = Millis::MIN;

/// A format.
#[derive(Clone, Copy)]
pub struct Format {
    /// As it stands in the configuration.
    pub name: &'static str,
    /// One line for `crmwatch parse --list-formats`.
    pub about: &'static str,
    /// How surely a record is of this format, 0 to 100. Cheap; for `auto`.
    pub sniff: fn(&str) -> u8,
    /// Starts reading a file.
    pub grammar: fn(&Options) -> Box<dyn Grammar>,
}

/// Every format, the more particular first: of two equally sure the first is taken.
#[rustfmt::skip]
pub const FORMATS: &[Format] = &[
    salesforce::ELF,
    salesforce_objects::FORMAT,
    m365::FORMAT,
    dataverse::FORMAT,
    entra::FORMAT,
    google_workspace::FORMAT,
    hubspot::FORMAT,
    jiandaoyun::FORMAT,
    jiandaoyun_log::FORMAT,
    zoho::FORMAT,
    zoho::API,
    login_history::VTIGER,
    espocrm::RECORDS,
    twenty::EVENTS,
    twenty::FORMAT,
    tine::FORMAT,
    caddy::FORMAT,
    traefik::FORMAT,
    cef::FORMAT,
    leef::FORMAT,
    iis::FORMAT,
    haproxy::FORMAT,
    klog::FORMAT,
    odoo::ODOO,
    suitecrm::SUITECRM,
    civicrm::FORMAT,
    vtiger::YETIFORCE,
    vtiger::FORMAT,
    espocrm::FORMAT,
    clf::NGINX,
    clf::APACHE,
    error_log::NGINX,
    error_log::APACHE,
    json_lines::FORMAT,
    logfmt::FORMAT,
    login_history::FORMAT,
    syslog::FORMAT,
];

/// A format by name.
pub fn format(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// Starts reading a file in a format of that name, or in whichever it turns out to be (`auto`). Records of any format may come with what
/// a container's runtime puts around them, and with a syslog header.
pub fn grammar(name: &str, options: &Options) -> Option<Box<dyn Grammar>> {
    let lenient = matches!(name, auto::NAME | syslog::NAME);
    if let Some(own) = options.own.as_ref().filter(|own| own.name == name) {
        return Some(Box::new(container::Contained::unless_whole(own::grammar(own, options))));
    }
    Some(Box::new(container::Contained::new(bare(name, options)?, lenient)))
}

fn bare(name: &str, options: &Options) -> Option<Box<dyn Grammar>> {
    match name {
        auto::NAME => Some(Box::new(auto::Auto::new(options))),
        syslog::NAME => Some(Box::new(syslog::Syslog::lenient(options))),
        name => format(name).map(|format| {
            let carried = syslog::Carried::new((format.grammar)(options), options);
            Box::new(carried) as Box<dyn Grammar>
        }),
    }
}

/// Values that say nothing and are treated as absent in every format.
pub fn absent(text: &str) -> bool {
    // As bytes these are told apart by their length and letters, without a call for each.
    matches!(
        text.as_bytes(),
        b"" | b"-" | b"--" | b"null" | b"<null>" | b"N/A" | b"Unknown" | b"undefined" | b"None" | b"(null)"
    )
}
