//! `crmwatch detectors`: what is watched, with its thresholds and reasons.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};
use crmwatch_detectors::allowance::Allowance;
use crmwatch_detectors::json::timestamp;
use crmwatch_detectors::{Engine, Millis, Rule, sigma};

use super::{Exit, output};
use crate::config::{Config, nearest};
use crate::text::one_line;

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
    /// Run the test events that the Sigma rules carry.
    Test,
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
            Action::Test => {
                let own = config.as_ref().map(Config::rule_texts).transpose()?.unwrap_or_default();
                return test(&own, &mut out);
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
        writeln!(out, "{heading}\n{}\n{text}\n", "-".repeat(heading.chars().count()))?;
    }
    writeln!(out, "In force\n--------\n{:#}", rule.settings)
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

fn test(own: &sigma::Texts, out: &mut impl Write) -> anyhow::Result<Exit> {
    let mut failed = 0;
    for outcome in sigma::trial::run(&own.with_shipped())? {
        let word = if outcome.passed { "ok" } else { "FAILED" };
        failed += usize::from(!outcome.passed);
        writeln!(out, "{word:<6} {} ({}:{}): {}", outcome.rule, outcome.file, outcome.line, outcome.test)?;
        if !outcome.passed {
            writeln!(out, "       {}", outcome.told)?;
        }
    }
    Ok(if failed > 0 { Exit::Failed } else { Exit::Fine })
}

#[cfg(test)]
mod tests {
    use crmwatch_detectors::allowance::{Allowance, Knowledge};

    #[test]
    fn what_is_allowed_is_listed_with_its_reason_and_whether_it_is_over() {
        let entry = |reason: &str, until| Allowance {
            user: Some("mia".into()),
            rules: vec!["bulk-export".into()],
            until,
            ..Allowance::new(Knowledge::Allowed, reason)
        };
        let mut out = Vec::new();
        super::allowed(&[entry("year end\u{1b}[2J", 2_000), entry("old", 500)], 1_000, &mut out).expect("written");
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(text.contains("allow       in force until 1970-01-01T00:00:02.000Z  year end"), "{text}");
        assert!(text.contains("allow       over     until 1970-01-01T00:00:00.500Z  old"), "{text}");
        assert!(text.contains("user mia; rules bulk-export") && !text.contains('\u{1b}'), "{text}");
    }
}
