//! `crmwatch check --deep`: prints what was looked at in the state directory, a line each, with what to do. Not for the looking
//! (`pipeline::deep`).

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Exit;
use crate::config::Config;
use crate::pipeline::deep::{Level, Line, Listener, deep};

/// Looks at everything; ends with 1 if something is damaged.
pub(super) fn run(config: &Config, json: bool) -> anyhow::Result<Exit> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let mut printer = Printer { json, bar, faults: 0, notes: 0, failed: None };
    deep(config, &mut printer)?;
    printer.bar.finish_and_clear();
    if let Some(error) = printer.failed {
        return Err(error.into());
    }
    if !json {
        let several = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
        let verdict = match (printer.faults, printer.notes) {
            (0, 0) => "everything is right".to_owned(),
            (0, notes) => format!("nothing is damaged; {} to read", several(notes, "note")),
            (faults, _) => format!("{}: do what stands under each, from the top", several(faults, "fault")),
        };
        writeln!(io::stdout(), "{}: {verdict}", config.state_dir.display())?;
    }
    Ok(if printer.faults > 0 { Exit::Failed } else { Exit::Fine })
}

struct Printer {
    json: bool,
    bar: ProgressBar,
    faults: usize,
    notes: usize,
    failed: Option<io::Error>,
}

impl Listener for Printer {
    fn line(&mut self, line: Line) {
        match line.level {
            Level::Right => {}
            Level::Note => self.notes += 1,
            Level::Fault => self.faults += usize::from(line.mend.is_some()),
        }
        let json = self.json;
        let printed = self.bar.suspend(|| print(&line, json));
        if let Err(error) = printed {
            self.failed.get_or_insert(error);
        }
    }

    fn begin(&mut self, bytes: u64) {
        self.bar.set_length(bytes);
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec}") {
            self.bar.set_style(style);
        }
    }

    fn read(&self, bytes: u64) {
        self.bar.inc(bytes);
    }
}

fn print(line: &Line, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        let level = match line.level {
            Level::Right => "right",
            Level::Note => "note",
            Level::Fault => "fault",
        };
        let object = serde_json::json!({ "level": level, "about": line.about, "text": line.text, "mend": line.mend });
        return writeln!(out, "{object}");
    }
    let level = match line.level {
        Level::Right => "right",
        Level::Note => "note ",
        Level::Fault => "FAULT",
    };
    writeln!(out, "{level}  {}: {}", line.about, line.text)?;
    match &line.mend {
        Some(mend) => writeln!(out, "       what to do: {mend}"),
        None => Ok(()),
    }
}
