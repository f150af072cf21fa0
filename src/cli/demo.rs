//! `crmwatch demo`: a simulated company, and the daemon watching it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::{Colour, Exit, output};
use crate::config::Span;
use crate::demo::show::{Ending, Show, errors_in, show};
use crate::demo::{Plan, Summary, write};

/// A simulated company whose logs are written, attacked and watched by the real daemon, in a temporary folder.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Only write logs, people.csv, honeytokens.txt, labels.jsonl and a configuration into this folder.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["lasts", "keep"])]
    write: Option<PathBuf>,
    /// The same seed gives the same company.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// People in the company.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    users: u32,
    /// Days of history.
    #[arg(long, value_name = "N", default_value_t = 28, value_parser = clap::value_parser!(u32).range(3..=3650))]
    days: u32,
    /// End so long after the history has been read, e.g. 60s; otherwise Ctrl-C ends it.
    #[arg(long = "for", value_name = "TIME", value_parser = lasts)]
    lasts: Option<Duration>,
    /// Keep the folder.
    #[arg(long)]
    keep: bool,
}

fn lasts(text: &str) -> Result<Duration, String> {
    let span = Span::parse(text).ok_or("write a number and s, m or h, e.g. 60s")?;
    Ok(Duration::from_millis(span.millis().unsigned_abs()))
}

impl Demo {
    pub(super) fn run(self, colour: Colour) -> anyhow::Result<Exit> {
        let plan = Plan { seed: self.seed, users: self.users as usize, days: self.days, end: crate::pipeline::now() };
        if let Some(folder) = &self.write {
            let summary = write(folder, &plan).with_context(|| format!("cannot write to {}", folder.display()))?;
            eprint!("{}", told(folder, &summary));
            return Ok(Exit::Fine);
        }
        let interrupted = Arc::new(AtomicBool::new(false));
        // The first signal ends it in order; a second one at once.
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            let code = i32::from(Exit::Interrupted.code());
            signal_hook::flag::register_conditional_shutdown(signal, code, interrupted.clone())?;
            signal_hook::flag::register(signal, interrupted.clone())?;
        }
        let folder = tempfile::Builder::new()
            .prefix("crmwatch-demo-")
            .tempdir()
            .context("cannot make a temporary folder; choose another place with TMPDIR")?;
        let log = folder.path().join("daemon.log");
        log_into(&log)?;
        let what = Show {
            plan,
            folder: folder.path().to_owned(),
            lasts: self.lasts,
            coloured: output::coloured(colour, &io::stdout()),
            program: program(),
        };
        let outcome = show(&what, &interrupted);
        for line in errors_in(&log) {
            eprintln!("{line}");
        }
        if self.keep || matches!(&outcome, Err(error) if !matches!(error, crate::demo::show::ShowError::Terminal(_))) {
            let kept = folder.keep();
            eprintln!("The folder is kept: {}", kept.display());
        } else {
            let path = folder.path().to_owned();
            folder.close().with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(match outcome? {
            Ending::Over => Exit::Fine,
            Ending::Interrupted => Exit::Interrupted,
        })
    }
}

/// What `--write` says when it is done.
fn told(folder: &Path, summary: &Summary) -> String {
    let place = folder.display();
    format!(
        "{place}: {} lines, {:.1} MB in {} log files of {} people and accounts\n\
         labels.jsonl names {} attacks and {} harmless oddities in them.\n\
         Try: {} scan --config {} {place}\n",
        summary.lines,
        summary.bytes as f64 / 1e6,
        summary.files,
        summary.people,
        summary.attacks,
        summary.oddities,
        program(),
        folder.join("crmwatch.toml").display(),
    )
}

/// How this program was called: what a person can type again from the same folder.
fn program() -> String {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    if called.components().count() > 1 { called.display().to_string() } else { "crmwatch".to_owned() }
}

/// The daemon's log goes into a file: the terminal shows what it finds.
fn log_into(path: &Path) -> anyhow::Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let filter = tracing_subscriber::EnvFilter::try_from_env("CRMWATCH_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,tantivy=warn"));
    // Set once; in a test another may have been first, which does no harm.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Mutex::new(file)).with_ansi(false).try_init();
    Ok(())
}
