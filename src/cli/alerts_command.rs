//! `crmwatch alerts` as typed: the words go to the running daemon, or to the stopped one's ledger. What they do is in `alerts`.

use std::io::{self, Write};

use clap::Args;

use super::alerts::AlertsArgs;
use super::{ConfigFile, Exit, desk};
use crate::api::desk::{Answer, Question};
use crate::config::Config;

/// Work the incidents.
#[derive(Debug, Args)]
pub(super) struct Alerts {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    arguments: AlertsArgs,
}

impl Alerts {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let config = Config::load(&self.config.config)?;
        let question = Question::Alerts { arguments: words() };
        let mut out = io::stdout().lock();
        let mut refused = None;
        desk::ask(&config.state_dir, &config.locale, &question, &mut |answer| {
            match answer {
                Answer::Text(text) => out.write_all(text.as_bytes())?,
                Answer::Refused(reason) => refused = Some(reason),
                Answer::Event(_) | Answer::Stored(_) | Answer::Done { .. } => {}
            }
            Ok(())
        })?;
        out.flush()?;
        Ok(match refused {
            Some(reason) => {
                eprintln!("crmwatch: {reason}");
                Exit::Failed
            }
            None => Exit::Fine,
        })
    }
}

/// The words after `alerts`, without those that only concern this side. They were parsed once, so they are known to be right.
fn words() -> Vec<String> {
    let mut words = std::env::args().skip(1).skip_while(|word| word != "alerts").skip(1);
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--config" | "--color" => {
                words.next();
            }
            word if word.starts_with("--config=") || word.starts_with("--color=") => {}
            _ => kept.push(word),
        }
    }
    kept
}
