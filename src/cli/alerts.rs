//! `crmwatch alerts`: work the incidents. Not for opening the ledger: the caller hands it over, in the daemon or on a stopped one's directory.

use std::io::Write;

use anyhow::{Context, Result, bail};
use chrono::DateTime;
use clap::{Args, Subcommand};
use crmwatch_detectors::json::timestamp;
use crmwatch_detectors::{Millis, Severity};
use serde_json::json;

use crate::config::Span;
use crate::ledger::{FindingRow, Incident, IncidentFilter, IncidentState, Ledger, NewSilence, Reason, Settlement};
use crate::text::{cut, one_line};

/// Work the incidents: list, show, acknowledge, close, silence.
#[derive(Debug, Args)]
pub struct AlertsArgs {
    /// One JSON object a line.
    #[arg(long, global = true)]
    pub json: bool,
    /// Without one: list.
    #[command(subcommand)]
    pub action: Option<Action>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Incidents that are not closed, the latest first.
    List {
        /// Closed ones too.
        #[arg(long)]
        all: bool,
        /// Only those in this state.
        #[arg(long)]
        state: Option<IncidentState>,
        /// Only those of at least this severity.
        #[arg(long, value_parser = severity)]
        severity: Option<Severity>,
        /// At most so many.
        #[arg(short = 'n', long, default_value_t = 50)]
        limit: usize,
    },
    /// One incident with its findings, their evidence and what was done.
    Show {
        /// Its number.
        id: i64,
    },
    /// Say that you are on it.
    Ack {
        /// Numbers.
        #[arg(required = true)]
        ids: Vec<i64>,
        /// To be remembered with it.
        #[arg(long)]
        note: Option<String>,
    },
    /// Settle it. What has not been sent about it is dropped, and the detectors hear the reason: what was benign or a false positive counts as
    /// usual from now on, what was a true positive is forgotten. What nobody settles counts as usual after two weeks.
    Close {
        /// Numbers.
        #[arg(required = true)]
        ids: Vec<i64>,
        /// What it was.
        #[arg(long)]
        reason: Reason,
        /// To be remembered with it.
        #[arg(long)]
        note: Option<String>,
    },
    /// Take a closing back, or give it to somebody else.
    Reopen {
        /// Its number.
        id: i64,
        /// To be remembered with it.
        #[arg(long)]
        note: Option<String>,
    },
    /// Write something down about it.
    Note {
        /// Its number.
        id: i64,
        /// What.
        text: String,
    },
    /// No messages about a rule, an entity or both for some time; findings are recorded all the same.
    Silence {
        /// A rule's id.
        #[arg(long)]
        rule: Option<String>,
        /// Who or what, e.g. `user.name=backup`.
        #[arg(long, value_parser = entity)]
        entity: Option<(String, String)>,
        /// For how long, e.g. `8h`, `7d`.
        #[arg(long = "for", value_parser = span, default_value = "8h")]
        lasts: Millis,
        /// Why.
        #[arg(long, required_unless_present_any = ["end", "preview"])]
        reason: Option<String>,
        /// Only say what it would have kept quiet in the last 30 days.
        #[arg(long)]
        preview: bool,
        /// End the silence of this number.
        #[arg(long, conflicts_with_all = ["rule", "entity", "preview"])]
        end: Option<i64>,
    },
    /// The silences in force.
    Silences,
    /// Findings by the time of their deciding event, also those that belong to no incident.
    Findings {
        /// From, e.g. `24h` (ago) or `2026-03-02T09:14:07Z`.
        #[arg(long, default_value = "24h")]
        since: String,
        /// Before; now where nothing is said.
        #[arg(long)]
        until: Option<String>,
        /// Only those that were old when they were detected.
        #[arg(long)]
        historic: bool,
        /// Only those of at least this severity.
        #[arg(long, value_parser = severity)]
        severity: Option<Severity>,
    },
    /// Messages that wait or were refused.
    Outbox {
        /// Sent and dropped ones too.
        #[arg(long)]
        all: bool,
        /// Try the message of this number again now.
        #[arg(long)]
        retry: Option<i64>,
        /// Give the message of this number up.
        #[arg(long, conflicts_with = "retry")]
        drop: Option<i64>,
    },
}

fn severity(word: &str) -> Result<Severity, String> {
    Severity::from_word(word).ok_or_else(|| "use low, medium, high or critical".to_owned())
}

fn entity(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE, e.g. user.name=backup or source.ip=192.0.2.7".to_owned()),
    }
}

fn span(text: &str) -> Result<Millis, String> {
    Span::parse(text).map(Span::millis).ok_or_else(|| "write a number and s, m, h or d, e.g. 8h".to_owned())
}

fn moment(text: &str, now: Millis) -> Result<Millis> {
    if let Ok(ago) = span(text) {
        return Ok(now.saturating_sub(ago));
    }
    let time = DateTime::parse_from_rfc3339(text)
        .with_context(|| format!("{text:?} is no time: write 24h (ago) or 2026-03-02T09:14:07Z"))?;
    Ok(time.timestamp_millis())
}

/// Does it. `who` is the name of the person who asks, for the history; `now` is the clock's.
pub fn run(
    args: &AlertsArgs,
    ledger: &mut Ledger,
    out: &mut impl Write,
    who: &str,
    locale: &str,
    now: Millis,
) -> Result<()> {
    let json = args.json;
    let list = Action::List { all: false, state: None, severity: None, limit: 50 };
    match args.action.as_ref().unwrap_or(&list) {
        Action::List { all, state, severity, limit } => {
            let filter = IncidentFilter { state: *state, all: *all, since: None, severity: *severity, limit: *limit };
            let incidents = ledger.incidents(&filter)?;
            if incidents.is_empty() && !json {
                writeln!(out, "No incidents{}.", if *all { "" } else { " that are not closed" })?;
            }
            for incident in &incidents {
                let findings = ledger.findings_of(incident.id)?;
                if json {
                    let mut object = incident.to_json(None, locale);
                    object["findings"] = findings.iter().map(|row| row.finding.id.to_string()).collect();
                    writeln!(out, "{object}")?;
                } else {
                    line_of(out, incident, &findings, locale)?;
                }
            }
        }
        Action::Show { id } => show(ledger, out, *id, json, locale)?,
        Action::Ack { ids, note } => {
            settle(ledger, out, ids, Settlement::Acknowledge, note.as_deref(), who, now, json)?;
        }
        Action::Close { ids, reason, note } => {
            settle(ledger, out, ids, Settlement::Close(*reason), note.as_deref(), who, now, json)?;
        }
        Action::Reopen { id, note } => {
            settle(ledger, out, &[*id], Settlement::Reopen, note.as_deref(), who, now, json)?;
        }
        Action::Note { id, text } => settle(ledger, out, &[*id], Settlement::Note(text), None, who, now, json)?,
        Action::Silence { end: Some(id), .. } => {
            ledger.end_silence(*id, who, now)?;
            say(out, json, json!({"silence": id, "ended": timestamp(now)}), &format!("Silence {id} is ended."))?;
        }
        Action::Silence { rule, entity, lasts, reason, preview, end: None } => {
            let new = NewSilence {
                rule: rule.clone(),
                entity: entity.clone(),
                until: now.saturating_add(*lasts),
                who: who.to_owned(),
                reason: reason.clone().unwrap_or_default(),
            };
            let (hidden, all) = ledger.would_silence(&new, now.saturating_sub(30 * 86_400_000))?;
            if *preview {
                let sentence = format!("It would have kept {hidden} of the last 30 days' {all} findings quiet.");
                say(out, json, json!({"would_silence": hidden, "of": all}), &sentence)?;
            } else {
                let id = ledger.silence(&new, now)?;
                let until = timestamp(new.until);
                let sentence = format!(
                    "Silence {id} holds until {until}. It would have kept {hidden} of the last 30 days' {all} findings quiet."
                );
                say(out, json, json!({"silence": id, "until": until, "would_silence": hidden, "of": all}), &sentence)?;
            }
        }
        Action::Silences => {
            for silence in ledger.silences(now)? {
                let entity = silence.entity.as_ref().map(|(name, value)| format!("{name}={value}"));
                let about = [silence.rule.clone(), entity].into_iter().flatten().collect::<Vec<_>>().join(" ");
                let until = timestamp(silence.until);
                let sentence = one_line(&format!(
                    "{}  until {until}  {about}  by {}: {}",
                    silence.id, silence.who, silence.reason
                ))
                .into_owned();
                say(out, json, json!(silence), &sentence)?;
            }
        }
        Action::Findings { since, until, historic, severity } => {
            let from = moment(since, now)?;
            let to = until.as_deref().map_or(Ok(Millis::MAX), |until| moment(until, now))?;
            for row in ledger.findings_between(from, to, severity.unwrap_or(Severity::Low))? {
                if *historic && row.historic != Some(true) {
                    continue;
                }
                let finding = &row.finding;
                let sentence = format!(
                    "{}  {:8}  {}  {}",
                    timestamp(finding.time),
                    finding.severity.word(),
                    one_line(&finding.rule),
                    cut(&one_line(finding.summary.in_locale(locale)), 160)
                );
                say(out, json, row.to_json(locale), &sentence)?;
            }
        }
        Action::Outbox { retry: Some(id), .. } => {
            ledger.retry_message(*id, who, now)?;
            say(out, json, json!({"message": id, "state": "queued"}), &format!("Message {id} is tried again now."))?;
        }
        Action::Outbox { drop: Some(id), .. } => {
            ledger.drop_message(*id, who, now)?;
            say(out, json, json!({"message": id, "state": "dropped"}), &format!("Message {id} is given up."))?;
        }
        Action::Outbox { all, .. } => {
            for message in ledger.messages(!all, 1000)? {
                let error = message.error.as_deref().map(one_line).unwrap_or_default();
                let object = json!({
                    "message": message.id, "channel": message.channel, "state": message.state, "incident": message.incident,
                    "message_id": message.message_id, "created": timestamp(message.created), "next": timestamp(message.next),
                    "attempts": message.attempts, "error": message.error,
                });
                let sentence = format!(
                    "{}  {}  {:7}  {}  tried {} times  {error}",
                    message.id, message.channel, message.state, message.key, message.attempts
                );
                say(out, json, object, sentence.trim_end())?;
            }
        }
    }
    Ok(())
}

fn say(out: &mut impl Write, json: bool, object: serde_json::Value, sentence: &str) -> Result<()> {
    if json {
        writeln!(out, "{object}")?
    } else {
        writeln!(out, "{sentence}")?
    }
    Ok(())
}

#[allow(clippy::too_many_arguments, reason = "the words of one command")]
fn settle(
    ledger: &mut Ledger,
    out: &mut impl Write,
    ids: &[i64],
    settlement: Settlement<'_>,
    note: Option<&str>,
    who: &str,
    now: Millis,
    json: bool,
) -> Result<()> {
    for id in ids {
        let incident = ledger.settle(*id, settlement, who, note, now)?;
        let reason = incident.reason.map(|reason| format!(" ({})", reason.word())).unwrap_or_default();
        let sentence = format!("Incident {id} is {}{reason}.", incident.state.word());
        say(out, json, incident.to_json(None, "en"), &sentence)?;
    }
    Ok(())
}

fn line_of(out: &mut impl Write, incident: &Incident, findings: &[FindingRow], locale: &str) -> Result<()> {
    let worst = findings.iter().max_by_key(|row| (row.finding.severity, std::cmp::Reverse(row.finding.time)));
    let sentence = worst.map_or("", |row| row.finding.summary.in_locale(locale));
    let silenced = !findings.is_empty() && findings.iter().all(|row| row.silenced.is_some());
    writeln!(
        out,
        "{:>5}  {:8}  {:12}  {}  {}{}",
        incident.id,
        incident.severity.word(),
        incident.state.word(),
        timestamp(incident.last_time),
        cut(&one_line(sentence), 120),
        if silenced { "  (silenced)" } else { "" },
    )?;
    Ok(())
}

fn show(ledger: &Ledger, out: &mut impl Write, id: i64, json: bool, locale: &str) -> Result<()> {
    let Some(incident) = ledger.incident(id)? else {
        bail!("there is no incident {id}; `crmwatch alerts list --all` shows them all");
    };
    let findings = ledger.findings_of(id)?;
    let history = ledger.history(id)?;
    if json {
        let mut object = incident.to_json(Some(&findings), locale);
        object["history"] = json!(history);
        writeln!(out, "{object}")?;
        return Ok(());
    }
    writeln!(
        out,
        "Incident {id}: {}, {}{}",
        incident.severity.word(),
        incident.state.word(),
        incident.reason.map(|reason| format!(" ({})", reason.word())).unwrap_or_default()
    )?;
    writeln!(out, "{}: {}", one_line(&incident.primary_key), one_line(&incident.primary_value))?;
    writeln!(out, "from {} to {}", timestamp(incident.first_time), timestamp(incident.last_time))?;
    if let Some(earlier) = incident.refers_to {
        writeln!(out, "goes on from incident {earlier}")?;
    }
    for row in &findings {
        let finding = &row.finding;
        writeln!(out)?;
        writeln!(out, "[{}] {}  {}", finding.severity.word(), one_line(&finding.rule), timestamp(finding.time))?;
        writeln!(out, "  {}", one_line(finding.summary.in_locale(locale)))?;
        for (name, sentence) in [("observed", &finding.observed), ("expected", &finding.expected)] {
            if !sentence.en.is_empty() {
                writeln!(out, "  {name}: {}", one_line(sentence.in_locale(locale)))?;
            }
        }
        for (name, values) in &finding.entity.0 {
            writeln!(out, "  {}: {}", one_line(name), one_line(&values.join(", ")))?;
        }
        writeln!(out, "  evidence: {} events", finding.evidence.count())?;
        let lines: Vec<serde_json::Value> =
            row.lines.as_deref().and_then(|lines| serde_json::from_str(lines).ok()).unwrap_or_default();
        for line in &lines {
            writeln!(out, "  | {}", one_line(line["text"].as_str().unwrap_or_default()))?;
        }
    }
    writeln!(out)?;
    for entry in history {
        let note = entry.note.map(|note| format!(": {}", one_line(&note))).unwrap_or_default();
        writeln!(out, "{}  {}  {}{note}", timestamp(entry.at), one_line(&entry.who), entry.what)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use crmwatch_detectors::finding::Evidence;
    use crmwatch_detectors::{EventId, Finding, Identities, Sentence};

    use super::*;
    use crate::alert::{AlertSettings, AlertStage, EventLookup};
    use crate::ledger::Batch;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        alerts: AlertsArgs,
    }

    struct Nothing;

    impl EventLookup for Nothing {
        fn get(&self, _ids: &[EventId]) -> Vec<crmwatch_detectors::Event> {
            Vec::new()
        }
    }

    const NOW: Millis = 1_772_442_847_000;

    fn with_one_incident() -> (tempfile::TempDir, Ledger) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut ledger = Ledger::open(folder.path()).expect("made");
        let mut entity = Identities::default();
        entity.add("user.name", "mallory\u{1b}[2J");
        let finding = Finding {
            id: EventId(7),
            rule: "bulk-export".into(),
            severity: Severity::High,
            time: NOW,
            last_time: NOW,
            entity,
            primary: "user.name".into(),
            summary: Sentence::new("an export by mallory\u{1b}[2J", "导出"),
            observed: Sentence::new("many", "多"),
            expected: Sentence::new("few", "少"),
            window: (NOW, NOW),
            evidence: Evidence::default(),
            techniques: Vec::new(),
            parts: Vec::new(),
        };
        let batch = Batch { number: 1, read_at: NOW, segments: Vec::new() };
        ledger.record_batch(&batch, &[], &[], &[(finding, 0)]).expect("recorded");
        let alerts =
            crate::config::Config::parse(std::path::Path::new("x"), "[[source]]\nname = \"a\"\npaths = [\"b\"]\n")
                .expect("right")
                .alerts;
        let stage_ledger = Ledger::open(folder.path()).expect("opened");
        let settings = AlertSettings::new(alerts, "en");
        AlertStage::new(stage_ledger, settings, Vec::new(), Box::new(Nothing), crate::metrics::Metrics::new())
            .work(NOW)
            .expect("worked");
        (folder, ledger)
    }

    fn say(ledger: &mut Ledger, words: &[&str]) -> Result<String> {
        let line = Line::try_parse_from([&["alerts"], words].concat())?;
        let mut out = Vec::new();
        run(&line.alerts, ledger, &mut out, "ann", "en", NOW)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn an_incident_is_worked_from_open_to_closed_and_its_history_says_so() {
        let (_folder, mut ledger) = with_one_incident();
        assert!(say(&mut ledger, &[]).expect("listed").contains("open"));
        assert_eq!(say(&mut ledger, &["ack", "1", "--note", "on it"]).expect("done"), "Incident 1 is acknowledged.\n");
        assert!(say(&mut ledger, &["close", "1"]).is_err(), "a reason is needed");
        let closed = say(&mut ledger, &["close", "1", "--reason", "false-positive"]).expect("done");
        assert_eq!(closed, "Incident 1 is closed (false-positive).\n");
        assert_eq!(say(&mut ledger, &["list"]).expect("listed"), "No incidents that are not closed.\n");
        assert!(say(&mut ledger, &["list", "--all"]).expect("listed").contains("closed"));
        let shown = say(&mut ledger, &["show", "1"]).expect("shown");
        for part in ["ann  acknowledged: on it", "ann  closed false-positive", "crmwatch  opened", "observed: many"] {
            assert!(shown.contains(part), "{part} is not in\n{shown}");
        }
        assert!(say(&mut ledger, &["ack", "1"]).expect_err("closed").to_string().contains("reopen it"));
        assert!(say(&mut ledger, &["show", "9"]).expect_err("none").to_string().contains("list --all"));
    }

    #[test]
    fn what_a_log_says_does_nothing_to_the_terminal() {
        let (_folder, mut ledger) = with_one_incident();
        for words in [&["list"][..], &["show", "1"], &["findings"]] {
            let shown = say(&mut ledger, words).expect("shown");
            assert!(!shown.contains('\u{1b}') && shown.contains("mallory\\x1b[2J"), "{shown}");
        }
    }

    #[test]
    fn json_is_one_object_a_line() {
        let (_folder, mut ledger) = with_one_incident();
        for words in [&["--json"][..], &["show", "1", "--json"], &["findings", "--json"], &["note", "1", "x", "--json"]]
        {
            let shown = say(&mut ledger, words).expect("shown");
            let object: serde_json::Value = serde_json::from_str(shown.trim_end()).expect("one object");
            assert!(object.is_object(), "{shown}");
        }
    }

    #[test]
    fn a_silence_has_an_end_an_author_and_a_reason_and_says_what_it_would_have_hidden() {
        let (_folder, mut ledger) = with_one_incident();
        let preview = say(&mut ledger, &["silence", "--rule", "bulk-export", "--preview"]).expect("shown");
        assert_eq!(preview, "It would have kept 1 of the last 30 days' 1 findings quiet.\n");
        assert!(say(&mut ledger, &["silence", "--rule", "bulk-export"]).is_err(), "a reason is needed");
        assert!(say(&mut ledger, &["silence", "--reason", "x"]).is_err(), "not over everything");
        let made = say(&mut ledger, &["silence", "--entity", "user.name=backup", "--for", "2h", "--reason", "copy"]);
        assert!(made.expect("made").starts_with("Silence 1 holds until 2026-03-02T11:14:07.000Z"));
        assert!(say(&mut ledger, &["silences"]).expect("shown").contains("user.name=backup  by ann: copy"));
        assert_eq!(say(&mut ledger, &["silence", "--end", "1"]).expect("ended"), "Silence 1 is ended.\n");
        assert_eq!(say(&mut ledger, &["silences"]).expect("shown"), "");
    }
}
