//! What a person at the command line may ask of the state directory: events, and the work on incidents. Answered the same by the running
//! daemon through its socket and by the command itself on a stopped one's directory. Not for how the answer is shown.

use std::path::Path;

use clap::Parser;
use crmwatch_detectors::{Millis, codec, json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cli::alerts::{self, AlertsArgs};
use crate::ledger::Ledger;
use crate::query::Query;
use crate::store::{Search, Store};

/// A question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase", deny_unknown_fields)]
pub enum Question {
    /// Events, newest first.
    Search {
        /// In the query language.
        query: String,
        /// From that time on.
        since: Option<Millis>,
        /// Before that time.
        until: Option<Millis>,
        /// At most so many.
        limit: usize,
    },
    /// Every event of a stretch of time in canonical order, in its stored form.
    Replay {
        /// From that time on.
        since: Millis,
        /// Before that time.
        until: Option<Millis>,
    },
    /// `crmwatch alerts` with these words.
    Alerts {
        /// As typed, after `alerts`.
        arguments: Vec<String>,
    },
}

/// One line of an answer. The last is `Done` or `Refused`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// One event, as flat names.
    Event(Map<String, Value>),
    /// One event in its stored form, as hexadecimal digits.
    Stored(String),
    /// Text to be shown as it is; it is neutral.
    Text(String),
    /// The end.
    Done {
        /// How many events match.
        total: u64,
        /// Whether that is the number, or at least so many.
        exact: bool,
        /// The time of the newest event there is.
        newest: Option<Millis>,
    },
    /// It could not be answered, and why.
    Refused(String),
}

#[derive(Parser)]
#[command(name = "crmwatch alerts", no_binary_name = true)]
struct AlertsLine {
    #[command(flatten)]
    arguments: AlertsArgs,
}

/// Answers a question. Who asked what is written down in the ledger's trail.
pub fn answer(
    question: &Question,
    store: &Store,
    state_dir: &Path,
    locale: &str,
    who: &str,
    give: &mut dyn FnMut(Answer) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let now = crate::pipeline::now();
    let last = match respond(question, store, state_dir, locale, who, now, give) {
        Ok(last) => last,
        Err(Fault::Refused(reason)) => Answer::Refused(reason),
        Err(Fault::Gone(error)) => return Err(error),
    };
    give(last)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    digits.map(char::from).collect()
}

enum Fault {
    Refused(String),
    Gone(std::io::Error),
}

impl<E: std::fmt::Display> From<E> for Fault {
    fn from(error: E) -> Fault {
        Fault::Refused(format!("{error:#}"))
    }
}

fn respond(
    question: &Question,
    store: &Store,
    state_dir: &Path,
    locale: &str,
    who: &str,
    now: Millis,
    give: &mut dyn FnMut(Answer) -> std::io::Result<()>,
) -> Result<Answer, Fault> {
    let mut ledger = Ledger::open(state_dir)?;
    ledger.note_look(who, &serde_json::to_string(question)?, now)?;
    match question {
        Question::Search { query, since, until, limit } => {
            let query = Query::parse(query)?;
            let mut gone = None;
            let hits = store.stream(&query, Search::newest(*limit, now).between(*since, *until), &mut |event| {
                gone = give(Answer::Event(json::object(event))).err();
                gone.is_none()
            })?;
            if let Some(error) = gone {
                return Err(Fault::Gone(error));
            }
            Ok(Answer::Done { total: hits.total, exact: hits.exact, newest: store.newest_time() })
        }
        Question::Replay { since, until } => {
            let (mut gone, mut total, mut bytes) = (None, 0, Vec::new());
            store.replay(*since, until.unwrap_or(Millis::MAX), |event| {
                bytes.clear();
                codec::encode(&event, &mut bytes);
                total += 1;
                gone = give(Answer::Stored(hex(&bytes))).err();
                gone.is_none()
            })?;
            if let Some(error) = gone {
                return Err(Fault::Gone(error));
            }
            Ok(Answer::Done { total, exact: true, newest: store.newest_time() })
        }
        Question::Alerts { arguments } => {
            let line = AlertsLine::try_parse_from(arguments)?;
            let mut text = Vec::new();
            alerts::run(&line.arguments, &mut ledger, &mut text, who, locale, now)?;
            give(Answer::Text(String::from_utf8_lossy(&text).into_owned())).map_err(Fault::Gone)?;
            Ok(Answer::Done { total: 0, exact: true, newest: store.newest_time() })
        }
    }
}
