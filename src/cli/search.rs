//! `crmwatch search`: events that match a query, newest first.

use std::io::{self, BufWriter, Write};

use clap::Args;
use crmwatch_detectors::{Millis, json};
use serde_json::{Map, Value};

use super::scan::moment;
use super::{ConfigFile, Exit, desk, output};
use crate::api::desk::{Answer, Question};
use crate::config::Config;
use crate::query::Query;
use crate::text::{cut, one_line};

/// Query the store, newest first.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Search {
    #[command(flatten)]
    config: ConfigFile,
    /// From this time on: 24h (ago), 2026-03-02, 2026-03-02T09:14:07Z.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    since: String,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Events as JSON lines.
    #[arg(long)]
    json: bool,
    /// At most so many.
    #[arg(short, value_name = "N", default_value_t = 100)]
    n: usize,
    /// In the query language; * for everything.
    #[arg(value_name = "QUERY", required = true)]
    query: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  crmwatch search 'user.name:alice AND event.action:export'
  crmwatch search --since 7d 'source.ip:10.0.0.0/8 crm.records:>=500'
  crmwatch search --json -n 1000 'event.outcome:failure NOT user.name:backup'
  crmwatch search 'crm.quarantine.reason:*'";

impl Search {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let config = Config::load(&self.config.config)?;
        let now = crate::pipeline::now();
        let query = self.query.join(" ");
        // A mistake is shown at once, with its place; the daemon need not be asked for that.
        if let Err(error) = Query::parse(&query) {
            eprintln!("crmwatch: {error}");
            return Ok(Exit::Usage);
        }
        let times = moment(&self.since, now)
            .and_then(|since| Ok((since, self.until.as_deref().map(|until| moment(until, now)).transpose()?)));
        let (since, until) = match times {
            Ok(times) => times,
            Err(error) => {
                eprintln!("crmwatch: {error}");
                return Ok(Exit::Usage);
            }
        };
        let question = Question::Search { query, since: Some(since), until, limit: self.n };
        let mut out = BufWriter::new(io::stdout().lock());
        let mut shown = 0u64;
        let mut refused = None;
        let mut end = None;
        desk::ask(&config.state_dir, &config.locale, &question, &mut |answer| {
            match answer {
                Answer::Event(event) => {
                    shown += 1;
                    if self.json {
                        output::json_line(&mut out, &event)?;
                    } else {
                        out.write_all(line(&event).as_bytes())?;
                    }
                }
                Answer::Text(_) | Answer::Stored(_) => {}
                Answer::Done { total, exact, newest } => end = Some((total, exact, newest)),
                Answer::Refused(reason) => refused = Some(reason),
            }
            Ok(())
        })?;
        out.flush()?;
        if let Some(reason) = refused {
            eprintln!("crmwatch: {reason}");
            return Ok(Exit::Failed);
        }
        if let Some((total, exact, newest)) = end {
            conclude(shown, total, exact, newest, since);
        }
        Ok(Exit::Fine)
    }
}

fn conclude(shown: u64, total: u64, exact: bool, newest: Option<Millis>, since: Millis) {
    if shown > 0 {
        let least = if exact { "" } else { "at least " };
        eprintln!("{shown} of {least}{total} events");
        return;
    }
    match newest {
        None => eprintln!("no events: nothing has been indexed yet"),
        Some(newest) if newest < since => {
            eprintln!("no events since {}; the newest is of {}", json::timestamp(since), json::timestamp(newest));
        }
        Some(_) => eprintln!("no events match"),
    }
}

/// One event as one line for people: what is there of time, source, who, from where, what, to what, how it ended.
fn line(event: &Map<String, Value>) -> String {
    let text = |name: &str| match event.get(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(one_line(&cut(text, 2_000)).into_owned()),
        Some(other) => Some(one_line(&other.to_string()).into_owned()),
    };
    let first = |names: &[&str]| names.iter().find_map(|name| text(name)).unwrap_or_else(|| "-".to_owned());
    let mut line = format!(
        "{} {:<12} {:<24} {:<15} {:<14} {:<8}",
        first(&["@timestamp"]),
        first(&["crm.source"]),
        first(&["user.name", "user.id", "crm.oauth.client.name"]),
        first(&["source.ip", "source.address"]),
        first(&["event.action", "crm.quarantine.reason"]),
        first(&["event.outcome"]),
    );
    for (name, word) in
        [("crm.object.type", ""), ("crm.object.id", ""), ("crm.report.name", ""), ("crm.records", " records")]
    {
        if let Some(value) = text(name) {
            line.push(' ');
            line.push_str(&value);
            line.push_str(word);
        }
    }
    if event.get("event.action").is_none_or(|action| action == "info" || action == "http-request") {
        line.push(' ');
        line.push_str(&cut(&first(&["message", "url.original", "event.original"]), 160));
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}
