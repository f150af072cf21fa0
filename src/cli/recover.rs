//! `crmwatch recover`: when index and ledger cannot be brought together by themselves, shows what each has and goes on from the one chosen.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use crmwatch_detectors::json;

use super::{ConfigFile, Exit};
use crate::config::Config;
use crate::pipeline::{Choice, Holdings, Side};

/// Bring together an index and a ledger of different age.
#[derive(Debug, Args)]
pub(super) struct Recover {
    #[command(flatten)]
    config: ConfigFile,
    /// Go on from this side; without it, only show what each has.
    #[arg(long, value_enum)]
    from: Option<From>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum From {
    /// Read again what came after the index's last commit: nothing is missing, findings of that time are derived again.
    Index,
    /// Go on where the ledger stopped: what the index lacks up to there stays missing from search.
    Ledger,
}

impl Recover {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let config = Config::load(&self.config.config)?;
        let choice = Choice::open(&config.state_dir)?;
        let mut out = io::stdout().lock();
        show(&mut out, "index", &choice.index)?;
        if let Some(newest) = choice.newest {
            writeln!(out, "  {} events, the newest of {}", choice.events, json::timestamp(newest))?;
        }
        show(&mut out, "ledger", &choice.journal)?;
        let sides = match self.from {
            None => vec![Side::Index, Side::Ledger],
            Some(From::Index) => vec![Side::Index],
            Some(From::Ledger) => vec![Side::Ledger],
        };
        for side in &sides {
            let (word, does) = match side {
                Side::Index => ("index", "read again"),
                Side::Ledger => ("ledger", "missing from the index for good"),
            };
            let gaps = choice.gaps(*side);
            let bytes: u64 = gaps.iter().map(|gap| gap.bytes).sum();
            writeln!(out, "\ngoing on from the {word}: {bytes} bytes would be {does}")?;
            for gap in gaps.iter().take(20) {
                let there = if gap.there { "" } else { " (the file is gone: these bytes are lost)" };
                writeln!(out, "  {} {} bytes{there}", crate::text::one_line(&gap.path), gap.bytes)?;
            }
        }
        let Some(side) = self.from else {
            writeln!(out, "\nchoose with `crmwatch recover --from index` or `--from ledger`")?;
            return Ok(Exit::Fine);
        };
        choice.resume(match side {
            From::Index => Side::Index,
            From::Ledger => Side::Ledger,
        })?;
        writeln!(out, "\ndone; the next `crmwatch run` goes on from there")?;
        Ok(Exit::Fine)
    }
}

fn show(out: &mut impl Write, name: &str, holdings: &Holdings) -> io::Result<()> {
    let bytes: u64 = holdings.positions.values().map(|position| position.offset).sum();
    writeln!(
        out,
        "{name}: store {}, batch {}, {} files, {bytes} bytes read",
        holdings.store_id.as_deref().unwrap_or("none"),
        holdings.batch,
        holdings.positions.len()
    )
}
