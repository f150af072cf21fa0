//! Runs the built program as a person would, from the repository's root. Not for what is demanded of it.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// How the program ended, and what it said.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Its output as one JSON object a line.
    #[track_caller]
    pub fn objects(&self) -> Vec<serde_json::Map<String, serde_json::Value>> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("the output is UTF-8 whatever the input"),
            err: String::from_utf8(output.stderr).expect("the talk is UTF-8 whatever the input"),
        }
    }
}

/// The program with these arguments, not yet started.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crmwatch"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(arguments: &[&str]) -> Ran {
    command(arguments).output().expect("the program starts").into()
}

/// Runs it to its end with this standard input.
pub fn run_with_input(arguments: &[&str], input: &[u8]) -> Ran {
    let mut child = command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("its input is piped");
    std::thread::scope(|scope| {
        // A program that ends early closes its input; that is its business.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("it ends").into()
    })
}
