//! The documents of a rule file, with the lines their mistakes stand on. Not for what a document means (`load`).

use super::load::LoadError;
use super::unsupported::Refusal;

/// One YAML document of a file.
pub(super) struct Document<'t> {
    pub(super) file: &'t str,
    /// Its first line.
    pub(super) line: usize,
    pub(super) text: &'t str,
}

impl Document<'_> {
    /// The line of the first occurrence of a word; the document's first where it has none.
    pub(super) fn line_of(&self, word: &str) -> usize {
        let found = self.text.lines().position(|line| line.contains(word));
        let first = self.text.lines().position(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        self.line + found.or(first).unwrap_or(0)
    }

    pub(super) fn invalid(&self, problem: String) -> LoadError {
        // `... at line 3 column 5` counts from the document; a word in quotes is looked up.
        let told = problem
            .split("line ")
            .nth(1)
            .and_then(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<usize>().ok());
        let quoted = problem.split(['\'', '`', '"']).nth(1).filter(|word| !word.is_empty());
        let line = match (told, quoted) {
            (Some(line), _) if problem.contains("YAML") => self.line + line.max(1) - 1,
            _ if problem.contains("Condition") || problem.contains("identifier") => self.line_of("condition"),
            (_, Some(word)) => self.line_of(word),
            _ => self.line_of("\u{0}"),
        };
        LoadError::Invalid { file: self.file.to_owned(), line, problem }
    }

    pub(super) fn refused(&self, refusal: Refusal) -> LoadError {
        LoadError::Unsupported {
            file: self.file.to_owned(),
            line: self.line_of(&refusal.word),
            construct: refusal.construct,
            mend: refusal.mend.to_owned(),
        }
    }

    pub(super) fn no_such_rule(&self, name: &str) -> LoadError {
        LoadError::NoSuchRule { file: self.file.to_owned(), line: self.line_of(name), name: name.to_owned() }
    }
}

/// The documents of a file that hold anything.
pub(super) fn documents<'t>(file: &'t str, text: &'t str) -> Vec<Document<'t>> {
    let mut documents = Vec::new();
    let (mut start, mut first_line, mut offset) = (0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_end() == "---" {
            documents.push(Document { file, line: first_line, text: &text[start..offset] });
            start = offset + line.len();
            first_line = index + 2;
        }
        offset += line.len();
    }
    documents.push(Document { file, line: first_line, text: &text[start..] });
    documents.retain(|one| one.text.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')));
    documents
}
