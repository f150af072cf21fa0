//! `crmwatch recover`: when index and ledger cannot be brought together by themselves, shows what each has and what lies between, and goes on
//! from the one chosen. Not for the doing (`pipeline::Choice`).

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use crmwatch_detectors::json;

use super::{ConfigFile, Exit};
use crate::config::Config;
use crate::pipeline::deep::{bytes, several};
use crate::pipeline::{Choice, Gap, Holdings, Relation, Side};

/// Bring together an index and a ledger of different age.
///
/// Without --from it changes nothing: it shows what the index and the ledger each have, what lies between them in which files, and what
/// going on from either would mean. The daemon must be stopped.
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
    /// From where the index is. If it is the older one, it reads again what it lacks; if the newer one, detectors and findings lack what they
    /// have not seen.
    Index,
    /// From where the ledger is. If it is the older one, detectors are shown again what they lack; if the newer one, the index lacks what it
    /// does not have.
    Ledger,
}

/// Files named one by one.
const NAMED: usize = 20;

impl Recover {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let config = Config::load(&self.config.config)?;
        let choice = Choice::open(&config)?;
        let mut out = io::stdout().lock();
        let relation = choice.relation();
        let newest = choice.newest.map_or(String::new(), |time| format!(", the newest of {}", json::timestamp(time)));
        writeln!(out, "index:   {}, with {}{newest}", holds(&choice.index), several(choice.events, "event", "events"))?;
        let memory = if choice.memory.batch < choice.journal.batch {
            format!("; detectors at batch {}", choice.memory.batch)
        } else {
            String::new()
        };
        writeln!(out, "ledger:  {}{memory}", holds(&choice.journal))?;
        writeln!(out, "\n{}\n", words(relation))?;
        if relation == Relation::Fit {
            writeln!(out, "There is nothing to choose: start the daemon.")?;
            return Ok(Exit::Fine);
        }
        let gaps = choice.gaps();
        between(&mut out, relation, &gaps)?;
        let Some(from) = self.from else {
            for side in sides(relation) {
                let word = if side == Side::Index { "index" } else { "ledger" };
                writeln!(out, "\ncrmwatch recover --from {word}\n    {}", meaning(relation, side, &gaps))?;
            }
            writeln!(
                out,
                "\nNothing has been changed. Copy {} before you choose; put log files that are missing back beside their paths first.",
                config.state_dir.display()
            )?;
            return Ok(Exit::Fine);
        };
        let side = match from {
            From::Index => Side::Index,
            From::Ledger => Side::Ledger,
        };
        let meaning = meaning(relation, side, &gaps);
        choice.resume(side)?;
        writeln!(out, "\nDone. {meaning}\nStart the daemon: it goes on from there.")?;
        Ok(Exit::Fine)
    }
}

fn holds(side: &Holdings) -> String {
    if side.batch == 0 && side.positions.is_empty() {
        return "empty".to_owned();
    }
    let read = side.positions.values().map(|position| position.offset).sum();
    let files = several(side.positions.len() as u64, "file", "files");
    let store = side.store_id.as_deref().unwrap_or("none").get(..8).unwrap_or("none");
    format!("batch {}, {files} read to {} (store {store})", side.batch, bytes(read))
}

fn words(relation: Relation) -> &'static str {
    match relation {
        Relation::Fit => {
            "They fit together: what one of them lacks is in the journal, and the next start reads it again by itself."
        }
        Relation::Behind(Side::Index) => {
            "The index is older than the ledger: it was restored from an older backup, or its newest partition was moved away."
        }
        Relation::Behind(Side::Ledger) => "The ledger is older than the index: it was restored from an older backup.",
        Relation::Missing(Side::Index) => {
            "The index is empty, the ledger is not: the folder events/ was deleted, moved or replaced."
        }
        Relation::Missing(Side::Ledger) => {
            "The ledger is empty, the index is not: ledger.sqlite was deleted, moved or replaced."
        }
        Relation::Strangers => {
            "They are of two different stores: one of them was put here from another machine, or from a time before both were made anew."
        }
    }
}

/// What is to be done first stands first.
fn sides(relation: Relation) -> [Side; 2] {
    match relation {
        Relation::Behind(Side::Ledger) | Relation::Missing(Side::Ledger) => [Side::Ledger, Side::Index],
        _ => [Side::Index, Side::Ledger],
    }
}

fn total(gaps: &[Gap], there: bool) -> (u64, u64) {
    let chosen = gaps.iter().filter(|gap| gap.there == there);
    chosen.fold((0, 0), |(files, bytes), gap| (files + 1, bytes + gap.bytes))
}

fn amount((files, size): (u64, u64)) -> String {
    format!("{} of {}", bytes(size), several(files, "file", "files"))
}

fn between(out: &mut impl Write, relation: Relation, gaps: &[Gap]) -> io::Result<()> {
    if gaps.is_empty() {
        return writeln!(out, "Nothing lies between them: no line is in question.");
    }
    let all = gaps.iter().fold((0, 0), |(files, bytes), gap| (files + 1, bytes + gap.bytes));
    match relation {
        Relation::Strangers => writeln!(out, "What one of them has read and the other has not: {}.", amount(all))?,
        _ => writeln!(out, "Between them lie {}.", amount(all))?,
    }
    for gap in gaps.iter().take(NAMED) {
        let there = if gap.there { "" } else { "   GONE: no file has this content any more" };
        writeln!(out, "  {:>14}  {}{there}", bytes(gap.bytes), crate::text::one_line(&gap.path))?;
    }
    if gaps.len() > NAMED {
        writeln!(out, "  and {} more files", gaps.len() - NAMED)?;
    }
    Ok(())
}

/// What going on from a side means.
fn meaning(relation: Relation, side: Side, gaps: &[Gap]) -> String {
    let (there, gone) = (total(gaps, true), total(gaps, false));
    let all = (there.0 + gone.0, there.1 + gone.1);
    let lost = |of: &str| match gone.0 {
        0 => "Nothing will be missing or doubled.".to_owned(),
        _ => format!("{} are gone and will be missing from {of}; nothing is doubled.", amount(gone)),
    };
    match (relation, side) {
        (Relation::Fit, _) => String::new(),
        (Relation::Behind(Side::Index) | Relation::Missing(Side::Index), Side::Index) => format!(
            "The next start reads {} again, into the index only: findings, incidents and what detectors remember stay as they are. {}",
            amount(there),
            lost("the index")
        ),
        (Relation::Behind(Side::Index) | Relation::Missing(Side::Index), Side::Ledger) => {
            format!("{} stay missing from the index for good: they cannot be searched. Findings stay as they are.", amount(all))
        }
        (Relation::Behind(Side::Ledger) | Relation::Missing(Side::Ledger), Side::Ledger) => format!(
            "The next start shows {} again to the detectors only: findings that are not in this ledger are found again, and mailed if they are \
             not too old (alerts.max_age). The index stays as it is. {}",
            amount(there),
            lost("detection")
        ),
        (Relation::Behind(Side::Ledger) | Relation::Missing(Side::Ledger), Side::Index) => format!(
            "{} are never shown to the detectors of this ledger: attacks in them stay unfound, though their lines can be searched.",
            amount(all)
        ),
        (Relation::Strangers, Side::Index) => {
            "Reading goes on where the index is. Lines it has not read are read, also where this ledger's detectors have seen them; lines it \
             has read are not shown to them. Findings and incidents of this ledger stay."
                .to_owned()
        }
        (Relation::Strangers, Side::Ledger) => {
            "Reading goes on where the ledger is. Lines it has not read are read, and stand twice in the index where that has them; lines it \
             has read stay missing from the index where that lacks them."
                .to_owned()
        }
    }
}
