//! What is wrong with a configuration file, where, and what mends it. Not for how it is found out.

use std::fmt;
use std::path::{Path, PathBuf};

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// From 1; 0 where the mistake is that something is missing.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line itself.
    pub text: String,
    /// What is wrong.
    pub message: String,
    /// What mends it.
    pub mend: String,
}

/// All mistakes of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// In the order of their places.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            let file = self.file.display();
            if problem.line == 0 {
                write!(out, "{file}: {}", problem.message)?;
            } else {
                write!(out, "{file}:{}:{}: {}", problem.line, problem.column, problem.message)?;
                let shown: String =
                    problem.text.chars().map(|one| if one.is_control() { ' ' } else { one }).take(200).collect();
                let indent = " ".repeat(problem.column.saturating_sub(1).min(200));
                write!(out, "\n  | {shown}\n  | {indent}^")?;
            }
            if !problem.mend.is_empty() {
                write!(out, "\n  = {}", problem.mend)?;
            }
        }
        Ok(())
    }
}

/// Gathers the mistakes of one file.
pub(super) struct Problems<'t> {
    file: &'t Path,
    text: &'t str,
    problems: Vec<(usize, Problem)>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(file: &'t Path, text: &'t str) -> Problems<'t> {
        Problems { file, text, problems: Vec::new() }
    }

    /// A mistake at a byte of the file.
    pub(super) fn at(&mut self, byte: usize, message: impl Into<String>, mend: impl Into<String>) {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[start..].chars().count() + 1;
        let text = self.text[start..].lines().next().unwrap_or_default().to_owned();
        self.problems.push((byte, Problem { line, column, text, message: message.into(), mend: mend.into() }));
    }

    /// The place in the file of a byte of a text that is written at `span`; the span's start where escapes make the two differ.
    pub(super) fn within(&self, span: std::ops::Range<usize>, text: &str, byte: usize) -> usize {
        let written = self.text.get(span.clone()).unwrap_or_default();
        written.find(text).filter(|_| !text.is_empty()).map_or(span.start, |at| span.start + at + byte)
    }

    /// A mistake of the file as a whole.
    pub(super) fn whole(&mut self, message: impl Into<String>, mend: impl Into<String>) {
        let problem = Problem { line: 0, column: 0, text: String::new(), message: message.into(), mend: mend.into() };
        self.problems.push((usize::MAX, problem));
    }

    pub(super) fn into_result(mut self) -> Result<(), ConfigError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        self.problems.sort_by_key(|(byte, _)| *byte);
        let problems = self.problems.into_iter().map(|(_, problem)| problem).collect();
        Err(ConfigError { file: self.file.to_owned(), problems })
    }
}

/// The nearest of some words to a mistyped one, if any is near.
pub fn nearest<'w>(word: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let limit = (word.chars().count() / 3).max(1) + 1;
    words
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(a != *b)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_leads_to_the_word_meant() {
        let words = ["format", "timezone", "paths", "lateness"];
        assert_eq!(nearest("fromat", words), Some("format"));
        assert_eq!(nearest("time_zone", words), Some("timezone"));
        assert_eq!(nearest("colour", words), None);
    }
}
