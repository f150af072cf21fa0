//! `crmwatch parse`: the events of log files as JSON lines, in file order, before enrichment. Not for telling why (`explain`).

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use chrono_tz::Tz;
use clap::Args;
use crmwatch_detectors::{Field, json};

use super::explain::Explaining;
use super::{Exit, output};
use crate::config::{ConfigError, Source, nearest, read_formats};
use crate::parse::web::Tables;
use crate::parse::{self};
use crate::source::{Followed, Input, WholeFile};

/// What tells how files are read; shared with `scan`.
#[derive(Debug, Clone, Args)]
pub(super) struct Reading {
    /// The format; `auto` finds it out.
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub(super) format: String,
    /// The zone of stamps without an offset, e.g. Europe/Berlin.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub(super) timezone: String,
    /// A file that describes formats of your own, as [[format]] of the configuration does; with several, --format names the one.
    #[arg(long, value_name = "FILE")]
    pub(super) format_file: Option<PathBuf>,
}

impl Reading {
    /// A source that reads so.
    pub(super) fn followed(&self) -> anyhow::Result<Followed> {
        let own = self.format_file.as_deref().map(read_formats).transpose()?.unwrap_or_default();
        let name = match &own[..] {
            [only] if self.format == parse::auto::NAME => only.name,
            _ => &self.format,
        };
        let shipped = || parse::FORMATS.iter().map(|format| format.name).chain([parse::auto::NAME]);
        let names = || shipped().chain(own.iter().map(|format| format.name));
        if !names().any(|known| known == name) {
            let near = nearest(name, names()).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            bail!("there is no format {name:?}{near} (`crmwatch parse --list-formats` shows them all)");
        }
        if own.len() > 1 && name == parse::auto::NAME {
            let names: Vec<&str> = own.iter().map(|format| format.name).collect();
            bail!("the file has several formats: name one with --format ({})", names.join(", "));
        }
        let timezone: Tz = self.timezone.parse().map_err(|_| {
            let near = nearest(&self.timezone, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
            anyhow::anyhow!(
                "there is no time zone {:?}{}",
                self.timezone,
                near.map(|near| format!("; did you mean {near}?")).unwrap_or_default()
            )
        })?;
        let own = own.iter().find(|own| own.name == name).cloned();
        let source = Source { format: name.to_owned(), own, timezone, ..Source::named("scan") };
        Ok(Followed { source: Arc::new(source), tables: Arc::new(Tables::shipped()) })
    }
}

/// Print the events of log files as JSON lines; rejected records on stderr. With --explain, how they came about.
#[derive(Debug, Args)]
pub(super) struct Parse {
    #[command(flatten)]
    reading: Reading,
    /// Print the formats there are.
    #[arg(long)]
    list_formats: bool,
    /// Tell of each record which format it is and why, where each field comes from, and where a line is none of the format.
    #[arg(long)]
    explain: bool,
    /// Files, or - for standard input.
    #[arg(value_name = "FILE", required_unless_present = "list_formats")]
    files: Vec<PathBuf>,
}

impl Parse {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let mut out = BufWriter::new(io::stdout().lock());
        if self.list_formats {
            for format in parse::FORMATS {
                writeln!(out, "{:<16} {}", format.name, format.about)?;
            }
            writeln!(out, "{:<16} finds out which of these a file is", "auto")?;
            out.flush()?;
            return Ok(Exit::Fine);
        }
        let followed = match self.reading.followed() {
            Ok(followed) => followed,
            Err(error) if error.is::<ConfigError>() => return Err(error),
            Err(error) => {
                eprintln!("crmwatch: {error}");
                return Ok(Exit::Usage);
            }
        };
        let mut rejected = false;
        for path in output::files(&self.files)? {
            let (input, name, _spooled) = open(&path)?;
            let mut file = WholeFile::over(input, &name, &followed, crate::pipeline::now())
                .with_context(|| name.display().to_string())?;
            let mut explaining = self.explain.then(|| Explaining::new(&mut file, &name, &followed));
            let mut events = Vec::new();
            loop {
                let step = file.step(&mut events).with_context(|| name.display().to_string())?;
                if let Some(explaining) = &mut explaining {
                    rejected |= explaining.tell(&mut out, &events)?;
                    events.clear();
                }
                for event in events.drain(..) {
                    match event.text(Field::QuarantineReason) {
                        Some(reason) => {
                            rejected = true;
                            out.flush()?;
                            eprintln!("{}:{}: {reason}", name.display(), event.line);
                        }
                        None => output::json_line(&mut out, &json::object(&event))?,
                    }
                }
                if step.ended {
                    break;
                }
            }
        }
        out.flush()?;
        Ok(if rejected { Exit::Usage } else { Exit::Fine })
    }
}

/// Opens a file; standard input is spooled to a file of its own first, so that all is read the same way.
pub(super) fn open(path: &Path) -> anyhow::Result<(Input, PathBuf, Option<tempfile::NamedTempFile>)> {
    if path.as_os_str() != "-" {
        let input = Input::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        return Ok((input, path.to_owned(), None));
    }
    let mut spool = tempfile::NamedTempFile::new().context("cannot make a temporary file for standard input")?;
    io::copy(&mut io::stdin().lock(), &mut spool).context("cannot read standard input")?;
    let input = Input::open(spool.path()).context("cannot read standard input again")?;
    Ok((input, PathBuf::from("-"), Some(spool)))
}
