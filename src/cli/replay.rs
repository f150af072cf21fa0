//! `crmwatch replay`: what detectors and rules would have found in the stored events, compared with the settings in force. Nothing is
//! recorded and nobody is alerted.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use crmwatch_detectors::sigma::Texts;
use crmwatch_detectors::{Millis, codec, json};
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::comparison::Comparison;
use super::scan::moment;
use super::{Colour, ConfigFile, Exit, desk, output};
use crate::api::desk::{Answer, Question};
use crate::config::{Config, Span, rule_texts};
use crate::enrich::{Enricher, Settings};
use crate::pipeline::{Backtest, Backtested};

/// Backtest detectors and rules over the stored events: what would have fired, how often, for whom. Nothing is alerted.
///
/// Stored events are shown again in the order of their times, with the people, places and settings of the configuration as it is now, as
/// `scan` would show the logs they came from. A month before --since teaches what is usual, see --learn. With --rules, --set or
/// --without two runs are made next to each other and compared: as configured, and as tried.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Replay {
    #[command(flatten)]
    config: ConfigFile,
    /// From this time on: 30d (ago), 2026-03-02, 2026-03-02T09:14:07Z.
    #[arg(long, visible_alias = "from", value_name = "TIME", default_value = "7d")]
    since: String,
    /// Before this time.
    #[arg(long, visible_alias = "to", value_name = "TIME")]
    until: Option<String>,
    /// How long before --since events are shown for learning only.
    #[arg(long, value_name = "SPAN", default_value = "30d")]
    learn: String,
    /// Try these Sigma rules, a folder or a file, in the place of the folders under [rules]; can be given several times.
    #[arg(long, value_name = "DIR")]
    rules: Vec<PathBuf>,
    /// Try this setting of a detector: bulk-export.floor_records_per_hour=500; can be given several times.
    #[arg(long, value_name = "ID.KEY=VALUE")]
    set: Vec<String>,
    /// Try without this detector or shipped rule; can be given several times.
    #[arg(long, value_name = "ID")]
    without: Vec<String>,
    /// Show this rule only; can be given several times.
    #[arg(long, value_name = "ID")]
    rule: Vec<String>,
    /// Show the findings, too: where two runs are compared, those that are new and those that are gone.
    #[arg(long)]
    findings: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  crmwatch replay --since 30d                                        what fires, as configured
  crmwatch replay --since 30d --rules ./rules --findings             what rules would find before they are taken over
  crmwatch replay --set brute-force.threshold=5 --rule brute-force   what a lower threshold would cost";

impl Replay {
    pub(super) fn run(self, colour: Colour) -> anyhow::Result<Exit> {
        let config = Config::load(&self.config.config)?;
        let (since, until, learn) = match self.times() {
            Ok(times) => times,
            Err(error) => {
                eprintln!("crmwatch: {error}");
                return Ok(Exit::Usage);
            }
        };
        let mut engines = vec![config.engine()?];
        let compared = !(self.rules.is_empty() && self.set.is_empty() && self.without.is_empty());
        if compared {
            match self.tried(&config) {
                Ok(engine) => engines.push(engine),
                Err(error) => {
                    eprintln!("crmwatch: {error:#}");
                    return Ok(Exit::Usage);
                }
            }
        }
        let known: BTreeSet<String> = engines.iter().flat_map(|engine| engine.rules()).map(|rule| rule.id).collect();
        if let Some(rule) = self.rule.iter().find(|rule| !known.contains(*rule)) {
            let near = crate::config::nearest(rule, known.iter().map(String::as_str));
            bail!(
                "there is no rule {rule:?}{}",
                near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default()
            );
        }
        let mut backtest = Backtest::new(Enricher::new(&Settings::of(&config))?, engines, since);
        let bar = bar();
        let question = Question::Replay { since: since.saturating_sub(learn), until };
        let mut refused = None;
        desk::ask(&config.state_dir, &config.locale, &question, &mut |answer| {
            match answer {
                Answer::Stored(hex) => {
                    let event = unhex(&hex).and_then(|bytes| codec::decode(&bytes).ok());
                    backtest.take(event.ok_or_else(|| io::Error::other("the daemon's answer is damaged"))?);
                    bar.inc(1);
                }
                Answer::Refused(reason) => refused = Some(reason),
                Answer::Event(_) | Answer::Text(_) | Answer::Done { .. } => {}
            }
            Ok(())
        })?;
        bar.finish_and_clear();
        if let Some(reason) = refused {
            eprintln!("crmwatch: {reason}");
            return Ok(Exit::Failed);
        }
        let mut outcome = backtest.finish();
        if !self.rule.is_empty() {
            outcome
                .findings
                .iter_mut()
                .for_each(|side| side.retain(|one| self.rule.iter().any(|rule| **rule == *one.rule)));
        }
        let shown = Comparison::of(&outcome.findings);
        let stdout = io::stdout();
        let coloured = output::coloured(colour, &stdout);
        let mut out = BufWriter::new(stdout.lock());
        if self.json {
            shown.json(&mut out, &config.locale, self.findings)?;
        } else {
            out.write_all(shown.table(&config.locale).as_bytes())?;
            if self.findings {
                out.write_all(shown.findings(&config.locale, coloured).as_bytes())?;
            }
        }
        out.flush()?;
        eprint!("{}", summary(&outcome, since));
        Ok(Exit::Fine)
    }

    fn times(&self) -> anyhow::Result<(Millis, Option<Millis>, Millis)> {
        let now = crate::pipeline::now();
        let since = moment(&self.since, now)?;
        let until = self.until.as_deref().map(|until| moment(until, now)).transpose()?;
        let learn = Span::parse(&self.learn)
            .with_context(|| format!("{:?} is no span of time: write 30d, 12h or 0s", self.learn))?;
        Ok((since, until, learn.millis()))
    }

    /// The engine as it is to be tried.
    fn tried(&self, config: &Config) -> anyhow::Result<crmwatch_detectors::Engine> {
        let mut config = config.clone();
        for setting in &self.set {
            let parts = setting.split_once('=').and_then(|(name, value)| Some((name.split_once('.')?, value)));
            let Some(((id, key), value)) = parts else {
                bail!("{setting:?} is no setting: write ID.KEY=VALUE, as in brute-force.threshold=5");
            };
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            insert(&mut config, id, key, value);
        }
        for id in &self.without {
            insert(&mut config, id, "enabled", false.into());
        }
        let texts: Texts = match self.rules.is_empty() {
            true => config.rule_texts()?,
            false => rule_texts(&self.rules, &config.rule_placeholders)?,
        };
        Ok(config.engine_with(&texts)?)
    }
}

fn insert(config: &mut Config, id: &str, key: &str, value: serde_json::Value) {
    let own = config.detectors.entry(id.to_owned()).or_insert_with(|| serde_json::json!({}));
    if let Some(own) = own.as_object_mut() {
        own.insert(key.to_owned(), value);
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |one: u8| (one as char).to_digit(16);
    let bytes = text.as_bytes().chunks_exact(2);
    bytes.map(|two| Some((digit(two[0])? * 16 + digit(two[1])?) as u8)).collect()
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}

fn summary(outcome: &Backtested, since: Millis) -> String {
    let mut out = String::new();
    let _ = match outcome.span {
        Some((from, to)) => {
            writeln!(out, "{} events from {} to {}", outcome.events, json::timestamp(from), json::timestamp(to))
        }
        None => writeln!(out, "no events since {}", json::timestamp(since)),
    };
    if outcome.learned > 0 {
        let _ = writeln!(out, "{} events before that taught what is usual", outcome.learned);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_travel_as_hex() {
        assert_eq!(unhex("00ff7F"), Some(vec![0, 255, 127]));
        assert_eq!(unhex("0g"), None);
    }
}
