//! The simulation on disk: log files, people, honeytokens, labels, and a configuration that names them. Not for what happens.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crmwatch_detectors::Millis;

use super::live::Live;
use super::logs::{self, LOGS, Line, PLAIN};
use super::stream::Stream;
use super::{Company, Plan, people};

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Lines in the logs, headers too.
    pub lines: u64,
    /// Bytes in the logs.
    pub bytes: u64,
    /// Files.
    pub files: usize,
    /// People and integration accounts.
    pub people: usize,
    /// Labelled attacks.
    pub attacks: usize,
    /// Labelled oddities.
    pub oddities: usize,
}

/// Writes a whole history, everything delivered.
pub fn write(dir: &Path, plan: &Plan) -> io::Result<Summary> {
    let (mut folder, mut stream) = begin(dir, plan)?;
    while let Some(line) = stream.next_until(plan.end) {
        folder.line(&line)?;
    }
    folder.close()?;
    Ok(folder.summary)
}

/// Writes the history as it lies on disk at its last instant, and goes on from there. What is not yet delivered comes live.
pub fn open(dir: &Path, plan: &Plan) -> io::Result<(Summary, Live)> {
    let (mut folder, mut stream) = begin(dir, plan)?;
    let mut held = Vec::new();
    while let Some(line) = stream.next_until(plan.end) {
        if line.due > plan.end {
            held.push(line);
        } else {
            folder.line(&line)?;
        }
    }
    folder.close()?;
    Ok((folder.summary, Live::new(stream, held, folder)))
}

fn begin(dir: &Path, plan: &Plan) -> io::Result<(Folder, Stream)> {
    let company = Company::new(plan);
    for log in LOGS {
        if let Some(parent) = dir.join(log.paths).parent() {
            fs::create_dir_all(parent)?;
        }
    }
    let mut rows = String::from(people::HEADER);
    for person in company.people() {
        rows.push('\n');
        rows.push_str(&person.row());
    }
    rows.push('\n');
    fs::write(dir.join("people.csv"), rows)?;
    fs::write(dir.join("honeytokens.txt"), company.honeytokens().join("\n") + "\n")?;
    let mut labels = BufWriter::new(File::create(dir.join("labels.jsonl"))?);
    for (number, incident) in company.incidents().iter().enumerate() {
        writeln!(labels, "{}", incident.label(number, company.people()))?;
    }
    labels.flush()?;
    fs::write(dir.join("crmwatch.toml"), configuration(&company))?;
    let attacks = company.incidents().iter().filter(|incident| incident.severity.is_some()).count();
    let summary = Summary {
        people: company.people().len(),
        attacks,
        oddities: company.incidents().len() - attacks,
        ..Summary::default()
    };
    let folder = Folder { dir: dir.to_owned(), files: BTreeMap::new(), fresh: true, summary };
    Ok((folder, Stream::new(company)))
}

/// A configuration beside the logs; its paths are looked up from where it lies.
fn configuration(company: &Company) -> String {
    let mut text = String::from(
        "# The simulated company's logs. Attacks and oddities are named in labels.jsonl.\nstate_dir = \"state\"\n",
    );
    for log in LOGS {
        let _ = write!(
            text,
            "\n[[source]]\nname = \"{}\"\npaths = [\"{}\"]\nformat = \"{}\"\ntimezone = \"{}\"\nlateness = \"{}\"\n",
            log.name,
            log.paths,
            log.format,
            log.zone.name(),
            log.lateness
        );
    }
    for pause in company.silences.iter().filter(|one| one.planned) {
        let _ = write!(
            text,
            "\n[[maintenance]]\nfrom = \"{}\"\nto = \"{}\"\nrules = [\"source-silent\"]\nsources = [\"{}\"]\nreason = \"the log moves to another machine\"\n",
            super::clock::Rfc3339(pause.from),
            super::clock::Rfc3339(pause.to + super::clock::HOUR),
            pause.log.name
        );
    }
    for network in company.scanner_networks() {
        let _ = write!(
            text,
            "\n[[allow]]\nrule = \"web-attack\"\nnetwork = \"{network}\"\nuntil = \"{}\"\nreason = \"our own scanner\"\n",
            &super::clock::Rfc3339(company.plan.end + 366 * super::clock::DAY).to_string()[..10]
        );
    }
    text.push_str("\n[people]\nfile = \"people.csv\"\n\n[honeytokens]\nfile = \"honeytokens.txt\"\n");
    text
}

/// A file being written, and when its last line was delivered.
#[derive(Debug)]
struct Open {
    writer: BufWriter<File>,
    due: Millis,
}

impl Open {
    /// Hands everything to the operating system. A file for one hour bears the date of its delivery, as it would if it had not been
    /// written in a moment for many: whoever follows a folder of such files reads them in the order of their dates.
    fn close(mut self, file: usize) -> io::Result<()> {
        self.writer.flush()?;
        if file >= PLAIN {
            let since = Duration::from_millis(u64::try_from(self.due).unwrap_or(0));
            self.writer.get_ref().set_modified(UNIX_EPOCH + since)?;
        }
        Ok(())
    }
}

/// The folder while it is written to.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    files: BTreeMap<usize, Open>,
    /// Files of an earlier simulation are overwritten, those of this one continued.
    fresh: bool,
    summary: Summary,
}

impl Folder {
    /// Writes a line into its file.
    pub fn line(&mut self, line: &Line) -> io::Result<()> {
        if !self.files.contains_key(&line.file) {
            self.drop_old(line.file)?;
            let path = self.dir.join(logs::path(line.file));
            let file = if self.fresh {
                File::create(path)?
            } else {
                OpenOptions::new().append(true).create(true).open(path)?
            };
            self.summary.files += usize::from(self.fresh);
            let writer = BufWriter::with_capacity(1 << 16, file);
            self.files.insert(line.file, Open { writer, due: line.due });
        }
        let open = self.files.get_mut(&line.file).expect("opened above");
        open.writer.write_all(line.text.as_bytes())?;
        open.writer.write_all(b"\n")?;
        open.due = open.due.max(line.due);
        self.summary.lines += 1;
        self.summary.bytes += line.text.len() as u64 + 1;
        Ok(())
    }

    /// Hands everything to the operating system; what is written later is appended.
    pub fn close(&mut self) -> io::Result<()> {
        for (file, open) in std::mem::take(&mut self.files) {
            open.close(file)?;
        }
        self.fresh = false;
        Ok(())
    }

    /// Adds to `labels.jsonl`.
    pub fn label(&self, label: &serde_json::Value) -> io::Result<()> {
        writeln!(OpenOptions::new().append(true).open(self.dir.join("labels.jsonl"))?, "{label}")
    }

    /// Hourly files of hours gone by are written no more: no lines come for an hour once the next has begun.
    fn drop_old(&mut self, file: usize) -> io::Result<()> {
        if file < PLAIN {
            return Ok(());
        }
        let hour = logs::hour_of(file);
        let old: Vec<usize> =
            self.files.keys().copied().filter(|&one| one >= PLAIN && logs::hour_of(one) < hour).collect();
        for one in old {
            if let Some(open) = self.files.remove(&one) {
                open.close(one)?;
            }
        }
        Ok(())
    }
}
