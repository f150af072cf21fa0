//! The words a person types: one file per subcommand. Data goes to stdout, talk to stderr. Not for the work itself.

pub mod alerts;
mod alerts_command;
mod check;
mod check_deep;
mod comparison;
mod demo;
mod desk;
mod detectors;
mod exit;
mod explain;
mod output;
mod parse;
mod recover;
mod replay;
mod run;
mod scan;
mod search;

use std::io;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use exit::Exit;

/// Watches a CRM's access and audit logs, finds misuse, and explains it.
#[derive(Debug, Parser)]
#[command(name = "crmwatch", version, about, arg_required_else_help = true, after_help = EXAMPLES)]
struct Arguments {
    /// Colour on the terminal.
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    color: Colour,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  crmwatch demo                                    see it at work, on an invented company
  crmwatch scan /var/log/nginx                     what is in the logs you already have
  crmwatch parse --format nginx access.log         the events of one file, as JSON lines
  crmwatch parse --explain access.log              and where each of their fields comes from
  crmwatch search --since 7d 'user.name:alice'     what somebody did
  crmwatch detectors explain impossible-travel     what a rule means, and what to do
  crmwatch replay --since 30d --rules ./rules      what rules would have found
  crmwatch check                                   is the configuration right
  crmwatch run                                     the daemon, in the foreground";

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = crate::config::DEFAULT_PATH)]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon in the foreground.
    Run(run::Run),
    /// Look through existing logs once: findings on stdout, a summary on stderr.
    Scan(scan::Scan),
    /// Print the events of log files as JSON lines.
    Parse(parse::Parse),
    /// Query the store, newest first.
    Search(search::Search),
    /// Work the incidents.
    Alerts(alerts_command::Alerts),
    /// What is watched, with thresholds and reasons.
    Detectors(detectors::Detectors),
    /// Validate configuration and rules; with --deep, the state directory.
    Check(check::Check),
    /// Backtest detectors and rules over the stored events; nothing is alerted.
    Replay(replay::Replay),
    /// Bring together an index and a ledger of different age.
    Recover(recover::Recover),
    /// A simulated company, and the daemon watching it.
    Demo(demo::Demo),
}

/// Reads the arguments and does what they say.
pub fn main() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Fine };
        }
    };
    let outcome = match arguments.command {
        Command::Run(command) => command.run(),
        Command::Scan(command) => command.run(arguments.color),
        Command::Parse(command) => command.run(),
        Command::Search(command) => command.run(),
        Command::Alerts(command) => command.run(),
        Command::Detectors(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Replay(command) => command.run(arguments.color),
        Command::Recover(command) => command.run(),
        Command::Demo(command) => command.run(arguments.color),
    };
    outcome.unwrap_or_else(|error| {
        if broken_pipe(&error) {
            return Exit::Fine;
        }
        eprintln!("crmwatch: {error:#}");
        if error.chain().any(|cause| cause.is::<crate::config::ConfigError>()) {
            Exit::Configuration
        } else {
            Exit::Failed
        }
    })
}

/// Whoever read our output has seen enough.
fn broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
