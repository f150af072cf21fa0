//! What commands share in talking: neutral text on a terminal, lists of files, JSON lines. Not for any one command's words.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crmwatch_detectors::Severity;

use super::Colour;

/// Whether to colour a stream.
pub(super) fn coloured(colour: Colour, stream: &impl IsTerminal) -> bool {
    match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// A severity as a word of fixed width, coloured if wanted.
pub(super) fn severity(severity: Severity, coloured: bool) -> String {
    let word = format!("{:<8}", severity.word().to_uppercase());
    if !coloured {
        return word;
    }
    let code = match severity {
        Severity::Low => "36",
        Severity::Medium => "33",
        Severity::High => "31",
        Severity::Critical => "1;31",
    };
    format!("\x1b[{code}m{word}\x1b[0m")
}

/// Files that lie beside logs and are none.
const NOT_LOGS: [&str; 3] = ["labels.jsonl", "people.csv", "honeytokens.txt"];
/// Endings of files that are no logs.
const NOT_LOG_ENDINGS: [&str; 12] =
    ["toml", "yml", "yaml", "md", "mmdb", "sqlite", "sqlite-wal", "sqlite-shm", "lock", "html", "png", "py"];

/// The files meant: each one named, and everything below each folder that may be a log; in the order of their paths.
pub(super) fn files(paths: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" || !path.is_dir() {
            files.push(path.clone());
        } else {
            walk(path, &mut files, 0)?;
        }
    }
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>, depth: usize) -> io::Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    entries.sort();
    for path in entries {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            // Deeper than any log tree: a loop of links.
            if depth < 32 {
                walk(&path, files, depth + 1)?;
            }
        } else if path.is_file()
            && !NOT_LOGS.contains(&name.as_str())
            && !NOT_LOG_ENDINGS.iter().any(|ending| name.to_lowercase().ends_with(&format!(".{ending}")))
        {
            files.push(path);
        }
    }
    Ok(())
}

/// Writes one JSON value as a line.
pub(super) fn json_line(out: &mut impl Write, value: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}
