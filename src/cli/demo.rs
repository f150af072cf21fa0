//! `crmwatch demo`: a simulated company, and the daemon watching it.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::Exit;
use crate::demo::{Plan, write};

/// A simulated company whose logs are written, attacked and watched.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Only write logs, people.csv, honeytokens.txt, labels.jsonl and a configuration into this folder.
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// The same seed gives the same company.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// People in the company.
    #[arg(long, default_value_t = 300)]
    users: usize,
    /// Days of history.
    #[arg(long, default_value_t = 28)]
    days: u32,
}

impl Demo {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let plan = Plan { seed: self.seed, users: self.users, days: self.days, end: crate::pipeline::now() };
        if let Some(folder) = &self.write {
            let summary = write(folder, &plan).with_context(|| format!("cannot write to {}", folder.display()))?;
            eprintln!("{summary:?}");
            return Ok(Exit::Fine);
        }
        Ok(Exit::Fine)
    }
}
