//! What the daemon has made of all the lines: each in the index exactly once, each attack found exactly once, with all its events.
//! Not for how it got there.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crmwatch::ledger::Ledger;
use crmwatch::store::{Store, StoreOptions};
use crmwatch_detectors::{Field, Severity};

use super::lines::{Attack, FAILURES, number_of};
use super::writer::Written;

/// Which numbers of one log were seen.
struct Seen {
    bits: Vec<u64>,
    lines: u64,
}

impl Seen {
    fn of(lines: u64) -> Seen {
        let words = usize::try_from(lines / 64 + 1).unwrap_or(0);
        Seen { bits: vec![0; words], lines }
    }

    /// True where the number was not seen before; nothing where there is no such line.
    fn see(&mut self, number: u64) -> Option<bool> {
        if number == 0 || number > self.lines {
            return None;
        }
        let word = self.bits.get_mut(usize::try_from(number / 64).ok()?)?;
        let bit = 1 << (number % 64);
        let first = *word & bit == 0;
        *word |= bit;
        Some(first)
    }

    fn missing(&self) -> impl Iterator<Item = u64> + '_ {
        (1..=self.lines).filter(|number| self.bits[(number / 64) as usize] & (1 << (number % 64)) == 0)
    }
}

/// What is not as it should be. Of each kind of fault, the first few.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Lines in the index.
    pub lines: u64,
    /// Lines not in it.
    pub missing: u64,
    /// Lines in it again.
    pub doubled: u64,
    /// Events that are no line that was written.
    pub strange: u64,
    /// Findings that should be there.
    pub expected: u64,
    /// Findings of attacks that are there.
    pub found: u64,
    /// Of these, made of lines in more than one file: which line decides depends on the order of reading.
    pub split: u64,
    /// Findings of other rules.
    pub others: BTreeMap<String, u64>,
    /// Findings of `scan` over the same files that are there, too; nothing where it was not asked.
    pub scanned: Option<u64>,
    /// In words.
    pub faults: Vec<String>,
}

impl Verdict {
    fn fault(&mut self, text: String) {
        if self.faults.len() < 40 {
            self.faults.push(text);
        }
    }

    /// Looks at the index.
    pub fn index(&mut self, state: &Path, written: &[Written]) -> io::Result<()> {
        let store = Store::open(state, StoreOptions::default()).map_err(io::Error::other)?;
        // Copies of lines come in stretches: path, log, last number, how many.
        let mut again: Vec<(String, usize, u64, u64)> = Vec::new();
        let mut seen: Vec<Seen> = written.iter().map(|one| Seen::of(one.lines)).collect();
        store
            .replay(i64::MIN, i64::MAX, |event| {
                let raw = event.raw();
                let told = || format!("{} offset {}: {:.120}", event.origin.path, event.offset, raw);
                if let Some(reason) = event.text(Field::QuarantineReason)
                    && !event.has(Field::Truncated)
                {
                    self.strange += 1;
                    self.fault(format!("rejected as {reason}: {}", told()));
                }
                let number = number_of(raw);
                match number.and_then(|(log, number)| seen.get_mut(log)?.see(number)) {
                    Some(true) => self.lines += 1,
                    Some(false) => {
                        self.doubled += 1;
                        let (log, number) = number.unwrap_or_default();
                        if let Some(last) = again.last_mut()
                            && *last.0 == *event.origin.path
                            && last.2 < number
                        {
                            (last.2, last.3) = (number, last.3 + 1);
                        } else if again.len() < 1_000 {
                            again.push((event.origin.path.to_string(), log, number, 1));
                        }
                    }
                    None => {
                        self.strange += 1;
                        self.fault(format!("no line that was written: {}", told()));
                    }
                }
                true
            })
            .map_err(io::Error::other)?;
        for (path, log, last, count) in again {
            self.fault(format!("in the index again: {count} lines of log {log} up to {last}, as of {path}"));
        }
        for (log, one) in seen.iter().enumerate() {
            let mut missing = one.missing().peekable();
            while let Some(first) = missing.next() {
                let mut last = first;
                while missing.next_if_eq(&(last + 1)).is_some() {
                    last += 1;
                }
                self.missing += last - first + 1;
                self.fault(format!("not in the index: lines {first} to {last} of log {log}"));
            }
        }
        Ok(())
    }

    /// Looks at the ledger. Gives the ids of the attacks' findings, where they do not depend on the order of files.
    pub fn findings(&mut self, state: &Path, written: &[Written]) -> io::Result<BTreeSet<String>> {
        let ledger = Ledger::open(state).map_err(io::Error::other)?;
        let rows = ledger.findings_between(i64::MIN, i64::MAX, Severity::Low).map_err(io::Error::other)?;
        let mut attacks: BTreeMap<String, (&Attack, u64)> = BTreeMap::new();
        for one in written {
            attacks.extend(one.attacks.iter().map(|attack| (attack.victim.clone(), (attack, 0))));
        }
        self.expected = attacks.len() as u64;
        let mut ids = BTreeSet::new();
        for row in rows {
            let finding = &row.finding;
            if &*finding.rule != "brute-force" {
                *self.others.entry(finding.rule.to_string()).or_default() += 1;
                continue;
            }
            let victim = finding.primary_value().split('@').next().unwrap_or_default().to_owned();
            let Some((attack, count)) = attacks.get_mut(&victim) else {
                self.fault(format!("a finding about {victim}, who was not attacked"));
                continue;
            };
            *count += 1;
            let deciding = attack.deciding;
            if (finding.time != deciding && !attack.split) || finding.evidence.count() != FAILURES {
                let text = format!(
                    "{victim}: decided at {} instead of {deciding}, from {} events instead of {FAILURES}",
                    finding.time,
                    finding.evidence.count()
                );
                self.fault(text);
            }
            if attack.split {
                self.split += 1;
            } else {
                ids.insert(finding.id.to_string());
            }
        }
        for (victim, (_, count)) in attacks {
            match count {
                0 => self.fault(format!("the attack on {victim} was not found")),
                1 => self.found += 1,
                count => self.fault(format!("the attack on {victim} was found {count} times")),
            }
        }
        Ok(ids)
    }

    /// Looks whether `scan` over the same files finds the same.
    pub fn scan(
        &mut self,
        binary: &Path,
        configuration: &Path,
        folders: &[&Path],
        ids: &BTreeSet<String>,
    ) -> io::Result<()> {
        let output = Command::new(binary)
            .args(["scan", "--json", "--config"])
            .arg(configuration)
            .args(folders)
            .stderr(Stdio::null())
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!("scan ended with {}", output.status)));
        }
        let mut found = BTreeSet::new();
        for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let finding: serde_json::Value = serde_json::from_slice(line).map_err(io::Error::other)?;
            if finding["rule"] == "brute-force" {
                found.insert(finding["id"].as_str().unwrap_or_default().to_owned());
            }
        }
        self.scanned = Some(found.intersection(ids).count() as u64);
        for id in ids.difference(&found).take(5) {
            self.fault(format!("scan does not find {id}"));
        }
        if found.len() as u64 != self.expected {
            self.fault(format!("scan finds {} attacks instead of {}", found.len(), self.expected));
        }
        Ok(())
    }
}
