//! `crmwatch replay`: what detectors and rules would have found in the stored events, compared with the settings in force. Nothing is
//! recorded and nobody is alerted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use crmwatch_detectors::sigma::Texts;
use crmwatch_detectors::{Finding, Millis, Severity, codec, json};
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::scan::{moment, text};
use super::{Colour, ConfigFile, Exit, desk, output};
use crate::api::desk::{Answer, Question};
use crate::config::{Config, Span, rule_texts};
use crate::enrich::{Enricher, Settings};
use crate::pipeline::{Backtest, Backtested};
use crate::text::{cut, one_line};

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

/// How a finding of one run stands to the other run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Of both, or of the only one.
    Same,
    /// Of the tried one only.
    New,
    /// Of the one in force only.
    Gone,
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Change::Same => "same",
            Change::New => "new",
            Change::Gone => "gone",
        }
    }
}

/// What one rule did.
#[derive(Debug, Default)]
struct Row<'f> {
    severity: Option<Severity>,
    present: u64,
    tried: u64,
    new: u64,
    gone: u64,
    whom: BTreeMap<(&'f str, &'f str), u64>,
}

/// The findings of one run by rule and whom they are about. One that another setting has begin earlier is the same all the same.
struct Episodes<'f>(BTreeMap<(&'f str, &'f str), Vec<(Millis, Millis)>>);

impl<'f> Episodes<'f> {
    fn of(findings: &'f [Finding]) -> Episodes<'f> {
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for one in findings {
            all.entry((&*one.rule, one.primary_value())).or_default().push(stretch(one));
        }
        Episodes(all)
    }

    fn has(&self, finding: &Finding) -> bool {
        let (from, to) = stretch(finding);
        let of = self.0.get(&(&*finding.rule, finding.primary_value()));
        of.is_some_and(|all| all.iter().any(|(first, last)| *first <= to && *last >= from))
    }
}

fn stretch(finding: &Finding) -> (Millis, Millis) {
    (finding.window.0.min(finding.time), finding.last_time.max(finding.time))
}

/// Both runs next to each other.
struct Comparison<'f> {
    rows: BTreeMap<&'f str, Row<'f>>,
    findings: Vec<(Change, &'f Finding)>,
    compared: bool,
}

impl<'f> Comparison<'f> {
    fn of(sides: &'f [Vec<Finding>]) -> Comparison<'f> {
        let (present, tried) = (sides.first().map_or(&[][..], Vec::as_slice), sides.get(1));
        let mut findings: Vec<(Change, &Finding)> = match tried {
            None => present.iter().map(|one| (Change::Same, one)).collect(),
            Some(tried) => {
                let (before, after) = (Episodes::of(present), Episodes::of(tried));
                let gone = present.iter().filter(|one| !after.has(one)).map(|one| (Change::Gone, one));
                let rest = tried.iter().map(|one| (if before.has(one) { Change::Same } else { Change::New }, one));
                gone.chain(rest).collect()
            }
        };
        findings.sort_by_key(|(_, one)| (one.time, one.id));
        let mut rows: BTreeMap<&str, Row<'_>> = BTreeMap::new();
        for (change, finding) in &findings {
            let row = rows.entry(&finding.rule).or_default();
            row.severity = row.severity.max(Some(finding.severity));
            row.present += u64::from(*change != Change::New);
            row.tried += u64::from(*change != Change::Gone);
            row.new += u64::from(*change == Change::New);
            row.gone += u64::from(*change == Change::Gone);
            *row.whom.entry((&finding.primary, finding.primary_value())).or_default() += 1;
        }
        Comparison { rows, findings, compared: tried.is_some() }
    }

    fn table(&self, locale: &str) -> String {
        let chinese = locale == "zh-CN";
        let (empty, head) = match (chinese, self.compared) {
            (false, false) => ("nothing would have been found\n", ["rule", "severity", "found", "for whom"].to_vec()),
            (false, true) => (
                "nothing would have been found, neither as configured nor as tried\n",
                ["rule", "severity", "now", "tried", "new", "gone", "for whom"].to_vec(),
            ),
            (true, false) => ("不会有任何发现\n", ["规则", "级别", "发现", "涉及对象"].to_vec()),
            (true, true) => (
                "无论按现有配置还是按试用配置，都不会有任何发现\n",
                ["规则", "级别", "现有", "试用", "新增", "消失", "涉及对象"].to_vec(),
            ),
        };
        if self.rows.is_empty() {
            return empty.to_owned();
        }
        let mut lines: Vec<Vec<String>> = vec![head.into_iter().map(str::to_owned).collect()];
        for (rule, row) in &self.rows {
            let severity = row.severity.map(Severity::word).unwrap_or_default();
            let mut line = vec![one_line(rule).into_owned(), severity.to_owned(), row.present.to_string()];
            if self.compared {
                line.extend([row.tried, row.new, row.gone].map(|one| one.to_string()));
            }
            line.push(whom(row, chinese));
            lines.push(line);
        }
        aligned(&lines)
    }

    fn findings(&self, locale: &str, coloured: bool) -> String {
        let mut out = String::new();
        for (change, finding) in &self.findings {
            if self.compared && *change == Change::Same {
                continue;
            }
            let word = match (self.compared, locale == "zh-CN", change) {
                (false, ..) => "",
                (_, false, Change::New) => "NEW   ",
                (_, false, _) => "GONE  ",
                (_, true, Change::New) => "新增  ",
                (_, true, _) => "消失  ",
            };
            let _ = write!(out, "\n{word}{}", text(finding, locale, coloured).trim_end());
            out.push('\n');
        }
        out
    }

    fn json(&self, out: &mut impl Write, locale: &str, findings: bool) -> io::Result<()> {
        for (change, finding) in self.findings.iter().filter(|_| findings) {
            let mut object = finding.to_json(locale);
            object["change"] = change.word().into();
            output::json_line(out, &object)?;
        }
        for (rule, row) in &self.rows {
            let whom: Vec<_> = ranked(row)
                .into_iter()
                .map(|((name, value), count)| serde_json::json!({"name": name, "value": value, "findings": count}))
                .collect();
            let mut object = serde_json::json!({
                "rule": rule, "severity": row.severity.map(Severity::word), "findings": row.present, "whom": whom,
            });
            if self.compared {
                object["tried"] = row.tried.into();
                object["new"] = row.new.into();
                object["gone"] = row.gone.into();
            }
            output::json_line(out, &serde_json::json!({"replay": object}))?;
        }
        Ok(())
    }
}

/// Whom a rule named, the most often named first.
fn ranked<'f>(row: &Row<'f>) -> Vec<((&'f str, &'f str), u64)> {
    let mut all: Vec<_> = row.whom.iter().map(|(whom, count)| (*whom, *count)).collect();
    all.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(&right.0)));
    all
}

const NAMED: usize = 4;

fn whom(row: &Row<'_>, chinese: bool) -> String {
    let all = ranked(row);
    let shown: Vec<String> = all
        .iter()
        .take(NAMED)
        .map(|((_, value), count)| {
            let value = one_line(&cut(value, 60)).into_owned();
            if *count > 1 { format!("{value} ({count})") } else { value }
        })
        .collect();
    match (all.len().saturating_sub(NAMED), chinese) {
        (0, false) => shown.join(", "),
        (0, true) => shown.join("、"),
        (more, false) => format!("{} and {more} more", shown.join(", ")),
        (_, true) => format!("{} 等共 {} 个", shown.join("、"), all.len()),
    }
}

/// Columns as wide as their widest cell; the last one ends where it ends.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| lines.iter().map(|line| crate::text::width(&line[column])).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for line in lines {
        for (cell, width) in line.iter().zip(&widths).take(columns - 1) {
            let _ = write!(out, "{cell}{}  ", " ".repeat(width - crate::text::width(cell)));
        }
        let _ = writeln!(out, "{}", line[columns - 1]);
    }
    out
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
