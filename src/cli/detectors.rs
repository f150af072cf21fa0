//! `crmwatch detectors`: what is watched, with its thresholds and reasons.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};
use crmwatch_detectors::allowance::Allowance;
use crmwatch_detectors::json::timestamp;
use crmwatch_detectors::manual::{Part, parts};
use crmwatch_detectors::{Engine, Millis, Rule, sigma};

use super::{Exit, output};
use crate::config::{Config, nearest, rule_texts};
use crate::text::{one_line, wrapped};

/// Columns of running text.
const COLUMNS: usize = 96;

/// What is watched, with thresholds and reasons.
#[derive(Debug, Args)]
pub(super) struct Detectors {
    /// With the settings of this configuration.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Every rule with its severity and what it finds.
    List {
        /// As JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// One rule: what it finds, why, how it decides, false positives, what to check, settings.
    Explain {
        /// Its id.
        name: String,
    },
    /// What the configuration says findings are not made about: allowed, travel, maintenance. How often it did is the metric
    /// crmwatch_findings_suppressed_total.
    Allowed,
    /// Run the test events that the Sigma rules carry: those of the shipped rules and of the configuration, or of these files alone.
    ///
    /// Ends with 1 if a rule did not do what its test says, or if rules cannot be loaded; the error names file and line.
    Test {
        /// Rule files, or folders of them; without --config their placeholders have no values.
        #[arg(value_name = "FILE or DIR")]
        paths: Vec<PathBuf>,
    },
}

impl Detectors {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let config = self.config.as_deref().map(Config::load).transpose()?;
        let rules = match &config {
            Some(config) => config.engine()?.rules(),
            None => Engine::new(&Default::default())?.rules(),
        };
        let mut out = io::stdout().lock();
        match self.action.unwrap_or(Action::List { json: false }) {
            Action::List { json } => {
                for rule in &rules {
                    if json {
                        output::json_line(&mut out, &object(rule))?;
                    } else {
                        writeln!(out, "{:<22} {:<9} {}", rule.id, rule.severity.word(), sentence(&rule.manual.title))?;
                    }
                }
            }
            Action::Explain { name } => {
                let Some(rule) = rules.iter().find(|rule| rule.id == name) else {
                    let near = nearest(&name, rules.iter().map(|rule| rule.id.as_str()));
                    bail!(
                        "there is no rule {name:?}{}; `crmwatch detectors list` shows them all",
                        near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default()
                    );
                };
                explain(rule, &mut out)?;
            }
            Action::Allowed => {
                let Some(config) = &config else {
                    bail!("name a configuration with --config: the entries stand in it")
                };
                allowed(&config.allowances, crate::pipeline::now(), &mut out)?;
            }
            Action::Test { paths } if paths.is_empty() => {
                let own = config.as_ref().map(Config::rule_texts).transpose()?.unwrap_or_default();
                return test(&own.with_shipped(), &mut out);
            }
            Action::Test { paths } => {
                let placeholders = config.map(|config| config.rule_placeholders).unwrap_or_default();
                return test(&rule_texts(&paths, &placeholders)?, &mut out);
            }
        }
        Ok(Exit::Fine)
    }
}

fn sentence(title: &str) -> String {
    title.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn object(rule: &Rule) -> serde_json::Value {
    serde_json::json!({
        "id": rule.id,
        "severity": rule.severity.word(),
        "title": sentence(&rule.manual.title),
        "technique": rule.techniques,
        "settings": rule.settings,
    })
}

fn explain(rule: &Rule, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}\n{}\n", rule.id, "=".repeat(rule.id.len()))?;
    writeln!(out, "{}\n", rule.manual.title)?;
    writeln!(out, "Severity: {}   ATT&CK: {}\n", rule.severity.word(), rule.techniques.join(", "))?;
    for (heading, text) in &rule.manual.sections {
        writeln!(out, "{heading}\n{}", "-".repeat(heading.chars().count()))?;
        for part in parts(text) {
            match part {
                Part::Paragraph(text) => hanging(out, "", &text)?,
                Part::List(points) => points.iter().try_for_each(|point| hanging(out, "- ", point))?,
            }
        }
        writeln!(out)?;
    }
    writeln!(out, "In force\n--------\n{:#}", rule.settings)
}

/// Text in lines that are read with ease, the first of them after a mark.
fn hanging(out: &mut impl Write, mark: &str, text: &str) -> io::Result<()> {
    for (nth, line) in wrapped(text, COLUMNS).iter().enumerate() {
        writeln!(out, "{}{line}", if nth == 0 { mark } else { &"  "[..mark.len()] })?;
    }
    Ok(())
}

/// Entries in the order of the file, each with its state at `now`.
fn allowed(entries: &[Allowance], now: Millis, out: &mut impl Write) -> io::Result<()> {
    if entries.is_empty() {
        writeln!(out, "nothing: there is no [[allow]], [[travel]] or [[maintenance]]")?;
    }
    for entry in entries {
        let state = match (entry.from > now, entry.until < now) {
            (true, _) => "not yet",
            (_, true) => "over",
            _ => "in force",
        };
        let until = timestamp(entry.until);
        writeln!(out, "{:<11} {state:<8} until {until}  {}", entry.knowledge.word(), one_line(&entry.reason))?;
        let some = |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name} {value}"));
        let list =
            |name: &str, values: &[String]| (!values.is_empty()).then(|| format!("{name} {}", values.join(", ")));
        let parts = [
            some("user", &entry.user),
            some("group", &entry.group),
            some("app", &entry.app),
            entry.network.map(|network| format!("network {network}")),
            some("country", &entry.country),
            some("object", &entry.object),
            list("rules", &entry.rules),
            list("sources", &entry.sources),
        ];
        writeln!(out, "            {}", one_line(&parts.into_iter().flatten().collect::<Vec<_>>().join("; ")))?;
    }
    Ok(())
}

fn test(texts: &sigma::Texts, out: &mut impl Write) -> anyhow::Result<Exit> {
    let outcomes = sigma::trial::run(texts)?;
    let mut failed = 0;
    for outcome in &outcomes {
        let word = if outcome.passed { "ok" } else { "FAILED" };
        failed += usize::from(!outcome.passed);
        writeln!(
            out,
            "{word:<6} {} ({}:{}): {}",
            one_line(&outcome.rule),
            outcome.file,
            outcome.line,
            one_line(&outcome.test)
        )?;
        if !outcome.passed {
            writeln!(out, "       {}", outcome.told)?;
        }
    }
    let untested = sigma::trial::untested(texts)?;
    writeln!(out, "{} tests, {failed} failed", outcomes.len())?;
    if !untested.is_empty() {
        let names: Vec<_> = untested.iter().take(10).map(|name| one_line(name).into_owned()).collect();
        let more = match untested.len().saturating_sub(names.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        writeln!(out, "without a test: {}{more}", names.join(", "))?;
    }
    Ok(if failed > 0 { Exit::Failed } else { Exit::Fine })
}
