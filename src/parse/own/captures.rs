//! Formats described by a regular expression with named captures, matched over the whole line in time linear in its length.
//! Not for what a capture means (`own`).

use regex::{Regex, RegexBuilder};
use regex_syntax::ast::{Ast, parse::Parser};

use super::{Fault, Miss};

/// An expression, ready to be matched.
#[derive(Debug, Clone)]
pub struct Captures {
    regex: Regex,
    text: String,
    /// Number and name of each named capture.
    names: Vec<(usize, String)>,
}

/// An expression may compile to so many bytes: a typing mistake in a repetition must not take the memory.
const LARGEST: usize = 4 << 20;

fn whole_line(expression: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?:{expression})$")).size_limit(LARGEST).build()
}

impl Captures {
    /// From its written form.
    pub fn new(text: &str) -> Result<Captures, Fault> {
        if let Err(error) = Parser::new().parse(text) {
            return Err(Fault::new(
                error.span().start.offset,
                format!("no regular expression: {}", error.kind()),
                "the syntax is that of Rust's regex: no look-around, no back-references",
            ));
        }
        let regex = whole_line(text).map_err(|error| {
            let last = error.to_string().lines().last().unwrap_or_default().to_owned();
            Fault::new(0, format!("no regular expression: {last}"), "make it smaller, most of all counted repetitions")
        })?;
        let named = regex.capture_names().enumerate();
        let names: Vec<_> = named.filter_map(|(number, name)| Some((number, name?.to_owned()))).collect();
        if names.is_empty() {
            return Err(Fault::new(
                0,
                "the expression has no named capture",
                "write (?P<user_name>...) around a value",
            ));
        }
        Ok(Captures { regex, text: text.to_owned(), names })
    }

    /// The captures' names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(_, name)| name.as_str())
    }

    /// The values of a line, in the order of the names; a capture that took no part has none. False where the line does not match.
    pub(super) fn read<'l>(&self, line: &'l str, values: &mut Vec<Option<&'l str>>) -> bool {
        let Some(found) = self.regex.captures(line) else { return false };
        values.extend(self.names.iter().map(|(number, _)| found.get(*number).map(|one| one.as_str())));
        true
    }

    /// How far a line that does not match follows the expression, and which part of it comes next. Compiles the expression once for each
    /// of its parts: for explaining only.
    pub(super) fn miss(&self, line: &str) -> Miss {
        let parts: Vec<usize> = match Parser::new().parse(&self.text) {
            Ok(Ast::Concat(ref concat)) => concat.asts.iter().map(|part| part.span().start.offset).collect(),
            _ => vec![0],
        };
        // The first part of the expression that cannot go on, and how far the parts before it went.
        let reach = |end: usize| {
            let prefix = Regex::new(&format!("^(?:{})", &self.text[..end])).ok()?;
            prefix.find(line).map(|found| found.end())
        };
        let failed =
            (1..=parts.len()).find(|count| reach(parts.get(*count).copied().unwrap_or(self.text.len())).is_none());
        let Some(failed) = failed else {
            return Miss::new(reach(self.text.len()).unwrap_or(0), "expected the end of the line");
        };
        let start = parts[failed - 1];
        let at = reach(start).unwrap_or(0);
        let shown: String = self.text[start..].chars().take(40).collect();
        Miss::new(at, format!("expected what matches `{shown}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_line_has_to_match() {
        let captures = Captures::new(r"(?P<user_name>\w+) (?P<op>\w+)( (?P<n>\d+))?").expect("an expression");
        let mut values = Vec::new();
        assert!(captures.read("mia export", &mut values));
        assert_eq!(values, [Some("mia"), Some("export"), None]);
        assert!(!captures.read("mia export now", &mut Vec::new()));
        assert!(!captures.read(" mia export", &mut Vec::new()));
    }

    #[test]
    fn the_first_part_that_does_not_fit_is_told_with_its_place() {
        let captures = Captures::new(r"(?P<user_name>\w+) did (?P<op>[a-z]+)").expect("an expression");
        assert_eq!(captures.miss("mia dad x"), Miss::new(5, r"expected what matches `id (?P<op>[a-z]+)`"));
        assert_eq!(captures.miss("mia did 7"), Miss::new(8, r"expected what matches `(?P<op>[a-z]+)`"));
        assert_eq!(captures.miss("mia did x 7"), Miss::new(9, "expected the end of the line"));
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_place() {
        assert_eq!(Captures::new("a(?P<x>b").expect_err("open").at, 1);
        assert_eq!(Captures::new(r"(?P<x>a)(?=b)").expect_err("look-ahead").at, 8);
        assert!(Captures::new("abc").is_err(), "no capture");
        assert!(Captures::new(r"(?P<x>(\w{1000}){1000})").is_err(), "too large");
    }
}
