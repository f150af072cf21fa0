//! Exit codes, a contract with scripts and systemd.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// As asked; for `scan`, also with findings.
    Fine,
    /// It did not work, or `--fail-on` was met.
    Failed,
    /// The words were wrong, or `parse` rejected records.
    Usage,
    /// The configuration is wrong (`check`, `run`); systemd does not restart on it.
    Configuration,
    /// Stopped by a person.
    Interrupted,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Fine => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Configuration => 78,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
