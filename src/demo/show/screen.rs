//! The terminal: blocks of text on stdout, one line of status below them on stderr. Not for what they say.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Without a terminal the status is a plain line, so often.
const PLAIN_STATUS: Duration = Duration::from_secs(5);

/// Where the demonstration is shown.
pub(super) struct Screen {
    coloured: bool,
    bar: Option<ProgressBar>,
    said: Option<Instant>,
}

impl Screen {
    pub(super) fn new(coloured: bool) -> Screen {
        let bar = io::stderr().is_terminal().then(|| {
            ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr_with_hz(8)).with_style(style("{msg}"))
        });
        Screen { coloured, bar, said: None }
    }

    /// Whether to colour what is said.
    pub(super) fn coloured(&self) -> bool {
        self.coloured
    }

    /// Text that stays, above the status.
    pub(super) fn say(&self, text: &str) -> io::Result<()> {
        let write = || {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Shows how far something is.
    pub(super) fn progress(&mut self, done: u64, all: u64, status: String) {
        if let Some(bar) = &self.bar {
            bar.set_style(style("  {bar:28} {percent:>3} %  {msg}"));
            bar.set_length(all);
            bar.set_position(done);
        }
        let percent = done.saturating_mul(100) / all.max(1);
        let plain = self.bar.is_none();
        self.status(if plain { format!("{percent} %  {status}") } else { status });
    }

    /// Shows how things stand.
    pub(super) fn status(&mut self, status: String) {
        match &self.bar {
            Some(bar) => bar.set_message(status),
            None if self.said.is_none_or(|said| said.elapsed() >= PLAIN_STATUS) => {
                eprintln!("{status}");
                self.said = Some(Instant::now());
            }
            None => {}
        }
    }

    /// From here on there is only a line of status.
    pub(super) fn no_progress(&mut self) {
        if let Some(bar) = &self.bar {
            bar.set_style(style("{msg}"));
        }
        self.said = None;
    }

    /// Takes the status away.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
