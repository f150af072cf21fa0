//! `crmwatch scan`: one look through the logs somebody already has. Findings on stdout, a summary on stderr.

use std::fmt::Write as _;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use crmwatch_detectors::{Engine, Finding, Millis, Severity, json};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::parse::{Reading, open};
use super::{Colour, Exit, output};
use crate::config::{Config, ConfigError};
use crate::enrich::{Enricher, Settings};
use crate::pipeline::{COUNTED, Report, followed, once};
use crate::source::{Attributed, attribute};

/// Look through existing logs once.
#[derive(Debug, Args)]
pub(super) struct Scan {
    #[command(flatten)]
    reading: Reading,
    /// The people file (CSV).
    #[arg(long, value_name = "FILE")]
    people: Option<PathBuf>,
    /// Only findings from this time on: RFC 3339, a date, or e.g. 30d ago as 30d.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only findings before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Findings as JSON lines.
    #[arg(long)]
    json: bool,
    /// Exit with 1 if there is a finding of this severity or above.
    #[arg(long, value_name = "SEVERITY", value_parser = ["low", "medium", "high", "critical"])]
    fail_on: Option<String>,
    /// Take people, honeytokens, geo files and detector settings from this configuration; files its sources name are read as it says.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Files (also .gz and .zst), folders, or - for standard input.
    #[arg(value_name = "FILE or DIR", required = true)]
    files: Vec<PathBuf>,
}

impl Scan {
    pub(super) fn run(self, colour: Colour) -> anyhow::Result<Exit> {
        let otherwise = match self.reading.followed() {
            Ok(otherwise) => otherwise,
            Err(error) if error.is::<ConfigError>() => return Err(error),
            Err(error) => {
                eprintln!("crmwatch: {error}");
                return Ok(Exit::Usage);
            }
        };
        let config = self.config.as_deref().map(Config::load).transpose()?;
        let mut settings = config.as_ref().map(Settings::of).unwrap_or_default();
        if let Some(people) = &self.people {
            settings.people = Some(people.clone());
        }
        let locale = config.as_ref().map_or("en", |config| config.locale.as_str()).to_owned();
        let now = crate::pipeline::now();
        let since = self.since.as_deref().map(|text| moment(text, now)).transpose()?.unwrap_or(Millis::MIN);
        let until = self.until.as_deref().map(|text| moment(text, now)).transpose()?.unwrap_or(Millis::MAX);

        let mut spooled = Vec::new();
        let mut files = Vec::new();
        for path in output::files(&self.files)? {
            if path.as_os_str() == "-" {
                let (_, _, spool) = open(&path)?;
                let spool = spool.context("standard input is spooled")?;
                files.push(spool.path().to_owned());
                spooled.push(spool);
            } else {
                std::fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
                files.push(path);
            }
        }
        if files.is_empty() {
            bail!(
                "there is no log in {}",
                self.files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
            );
        }
        let configured = config.as_ref().map(followed).transpose()?.unwrap_or_default();
        let files = attribute(files, &configured, &otherwise);
        let bar = bar(&files);
        let make = || {
            let enricher = Enricher::new(&settings).map_err(|error| error.to_string())?;
            let engine = match &config {
                Some(config) => config.engine().map_err(|error| error.to_string())?,
                None => Engine::new(&Default::default()).map_err(|error| error.to_string())?,
            };
            Ok((enricher, engine))
        };
        let began = Instant::now();
        let report = once(&files, &make, (since, until), &|bytes| bar.set_position(bytes))
            .map_err(|error| anyhow::anyhow!(error))?;
        bar.finish_and_clear();

        let stdout = io::stdout();
        let coloured = output::coloured(colour, &stdout);
        let mut out = BufWriter::new(stdout.lock());
        for finding in &report.findings {
            if self.json {
                output::json_line(&mut out, &finding.to_json(&locale))?;
            } else {
                out.write_all(text(finding, &locale, coloured).as_bytes())?;
            }
        }
        out.flush()?;
        eprint!("{}", summary(&report, began.elapsed()));
        let least = self.fail_on.as_deref().and_then(Severity::from_word);
        let failed = least.is_some_and(|least| report.findings.iter().any(|finding| finding.severity >= least));
        Ok(if failed { Exit::Failed } else { Exit::Fine })
    }
}

/// A time a person typed: RFC 3339, a date, `now`, or a span before now (`24h`, `now-24h`).
pub(super) fn moment(text: &str, now: Millis) -> anyhow::Result<Millis> {
    let text = text.trim();
    if text == "now" {
        return Ok(now);
    }
    let span = text.strip_prefix("now").unwrap_or(text).trim_start_matches('-');
    if let Some(span) = crate::config::Span::parse(span) {
        return Ok(now - span.millis());
    }
    let day = format!("{text}T00:00:00Z");
    crate::parse::time::iso(text, chrono_tz::UTC)
        .or_else(|| crate::parse::time::iso(&day, chrono_tz::UTC))
        .with_context(|| format!("{text:?} is no time: write 2026-03-02, 2026-03-02T09:00:00Z, or 24h for a day ago"))
}

fn bar(files: &[Attributed]) -> ProgressBar {
    let total = files.iter().filter_map(|file| std::fs::metadata(&file.path).ok()).map(|metadata| metadata.len()).sum();
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(5));
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

pub(super) fn text(finding: &Finding, locale: &str, coloured: bool) -> String {
    let neutral = |text: &str| crate::text::one_line(text).into_owned();
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} {} {} {}",
        output::severity(finding.severity, coloured),
        json::timestamp(finding.time),
        finding.rule,
        neutral(finding.primary_value())
    );
    let _ = writeln!(out, "         {}", neutral(finding.summary.in_locale(locale)));
    let _ = writeln!(out, "         observed: {}", neutral(finding.observed.in_locale(locale)));
    let _ = writeln!(out, "         normal:   {}", neutral(finding.expected.in_locale(locale)));
    if let Some(first) = finding.evidence.iter().next() {
        let more = finding.evidence.count().saturating_sub(1);
        let _ = write!(out, "         evidence: {}:{}", neutral(&first.origin.path), first.line);
        let _ = if more > 0 { writeln!(out, " and {more} more") } else { writeln!(out) };
    }
    out.push('\n');
    out
}

fn summary(report: &Report, took: Duration) -> String {
    let tally = &report.tally;
    let mut out = String::new();
    let rate = tally.records as f64 / took.as_secs_f64().max(0.001);
    let _ = writeln!(
        out,
        "{} files, {} records, {} in {:.1} s ({:.0} records/s)",
        tally.files,
        tally.records,
        bytes(tally.bytes),
        took.as_secs_f64(),
        rate
    );
    if let Some((from, to)) = report.span {
        let _ = writeln!(out, "events from {} to {}", json::timestamp(from), json::timestamp(to));
    }
    let more = |count: usize| if count >= COUNTED { format!("more than {COUNTED}") } else { count.to_string() };
    let _ = writeln!(out, "{} users, {} addresses", more(report.users), more(report.addresses));
    let list = |counts: Vec<(String, u64)>| {
        let mut counts = counts;
        counts.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(&right.0)));
        let shown: Vec<String> =
            counts.iter().take(12).map(|(name, count)| format!("{} {count}", crate::text::one_line(name))).collect();
        shown.join(", ")
    };
    let formats = tally.formats.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    let _ = writeln!(out, "formats: {}", list(formats));
    let actions = report.actions.iter().map(|(name, count)| (name.clone(), *count)).collect();
    let _ = writeln!(out, "actions: {}", list(actions));
    let rejected: u64 = tally.rejected.values().sum();
    if rejected > 0 {
        let reasons = tally.rejected.iter().map(|(reason, count)| (reason.clone(), *count)).collect();
        let _ = writeln!(out, "not understood: {rejected} records ({})", list(reasons));
        for (path, line, reason) in tally.first_rejected.iter().take(5) {
            let _ = writeln!(out, "  {}:{line}: {reason}", path.display());
        }
    }
    for (path, error) in &tally.unreadable {
        let _ = writeln!(out, "cannot read {}: {error}", path.display());
    }
    let mut severities = [0u64; 4];
    for finding in &report.findings {
        severities[finding.severity as usize] += 1;
    }
    let _ = writeln!(
        out,
        "findings: {} critical, {} high, {} medium, {} low",
        severities[3], severities[2], severities[1], severities[0]
    );
    out
}

fn bytes(count: u64) -> String {
    match count {
        0..1_048_576 => format!("{} kB", count / 1000),
        1_048_576..1_073_741_824 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}
