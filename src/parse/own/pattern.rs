//! Patterns in the style of nginx's `log_format`: literals and `$variables`, of which each runs to the literal behind it.
//! One pass from left to right, never back. Not for what a variable means (`own`).

use memchr::memmem::Finder;

use super::{Fault, Miss};

/// A pattern, ready to be matched.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// What stands before the first variable.
    head: String,
    parts: Vec<Variable>,
}

#[derive(Debug, Clone)]
struct Variable {
    name: String,
    /// What stands behind it; empty only at the end of the line.
    literal: String,
    finder: Finder<'static>,
    /// It stands between double quotes, in which the writer puts a backslash before a quote of the value's own.
    quoted: bool,
}

impl Pattern {
    /// From its written form: `$name` or `${name}` are variables, `$$` is a dollar sign.
    pub fn new(text: &str) -> Result<Pattern, Fault> {
        let mut head = String::new();
        let mut parts: Vec<Variable> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let at = text.len() - rest.len();
            let literal = parts.last_mut().map_or(&mut head, |part| &mut part.literal);
            let Some(behind) = rest.strip_prefix('$') else {
                let end = rest.find('$').unwrap_or(rest.len());
                literal.push_str(&rest[..end]);
                rest = &rest[end..];
                continue;
            };
            if let Some(behind) = behind.strip_prefix('$') {
                literal.push('$');
                rest = behind;
                continue;
            }
            let (name, behind) = match behind.strip_prefix('{') {
                Some(inside) => {
                    inside.split_once('}').ok_or_else(|| Fault::new(at, "a brace is not closed", "write ${name}"))?
                }
                None => {
                    let end = behind.find(|one: char| !one.is_ascii_alphanumeric() && one != '_');
                    behind.split_at(end.unwrap_or(behind.len()))
                }
            };
            if name.is_empty() {
                return Err(Fault::new(at, "a $ without a name behind it", "write $name, or $$ for the sign itself"));
            }
            if let Some(before) = parts.last()
                && before.literal.is_empty()
            {
                return Err(Fault::new(
                    at,
                    format!("nothing stands between ${} and ${name}", before.name),
                    "a variable runs to the text behind it: put the text between them that the log has there",
                ));
            }
            if parts.iter().any(|part| part.name == name && !name.starts_with('_')) {
                return Err(Fault::new(at, format!("${name} stands here twice"), "give the second another name"));
            }
            let quoted = parts.last().map_or(&head, |part| &part.literal).ends_with('"');
            parts.push(Variable {
                name: name.to_owned(),
                literal: String::new(),
                finder: Finder::new("").into_owned(),
                quoted,
            });
            rest = behind;
        }
        for part in &mut parts {
            part.finder = Finder::new(&part.literal).into_owned();
            part.quoted &= part.literal.starts_with('"');
        }
        if parts.is_empty() {
            return Err(Fault::new(0, "the pattern has no variable", "write $name where the log has a value"));
        }
        Ok(Pattern { head, parts })
    }

    /// The variables' names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.name.as_str())
    }

    /// The values of a line, in the order of the names.
    pub(super) fn read<'l>(&self, line: &'l str, values: &mut Vec<Option<&'l str>>) -> Result<(), Miss> {
        if !line.starts_with(&self.head) {
            let same = line.char_indices().zip(self.head.chars()).take_while(|((_, one), other)| one == other);
            let at = same.last().map_or(0, |((at, one), _)| at + one.len_utf8());
            return Err(Miss::new(at, format!("expected the text `{}`", &self.head[at..])));
        }
        let mut at = self.head.len();
        for part in &self.parts {
            let rest = &line[at..];
            let Some(length) = part.length(rest) else {
                let column = line[..at].chars().count() + 1;
                let expected =
                    format!("expected `{}` behind ${}, which begins at column {column}", part.literal, part.name);
                return Err(Miss::new(line.len(), expected));
            };
            values.push(Some(&rest[..length]));
            at += length + part.literal.len();
        }
        if at < line.len() { Err(Miss::new(at, "expected the end of the line")) } else { Ok(()) }
    }
}

impl Variable {
    /// How long the value at the text's start is; nothing where the literal behind it does not come.
    fn length(&self, text: &str) -> Option<usize> {
        if self.literal.is_empty() {
            return Some(text.len());
        }
        let mut places = self.finder.find_iter(text.as_bytes());
        if !self.quoted {
            return places.next();
        }
        let mut seen = 0;
        let mut backslashes = 0;
        places.find(|place| {
            // Each byte is looked at once, however many quotes there are.
            for byte in &text.as_bytes()[seen..*place] {
                backslashes = if *byte == b'\\' { backslashes + 1 } else { 0 };
            }
            seen = *place;
            backslashes % 2 == 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'l>(pattern: &str, line: &'l str) -> Result<Vec<&'l str>, Miss> {
        let mut values = Vec::new();
        Pattern::new(pattern).expect("a pattern").read(line, &mut values)?;
        Ok(values.into_iter().flatten().collect())
    }

    #[test]
    fn a_variable_runs_to_the_text_behind_it_and_the_last_to_the_end() {
        assert_eq!(read("$a - $b [$c]", "x - y z [t]"), Ok(vec!["x", "y z", "t"]));
        assert_eq!(read("pre${a}b;$c", "pre1b;2;3"), Ok(vec!["1", "2;3"]));
        assert_eq!(read("$$$a", "$5"), Ok(vec!["5"]));
        assert_eq!(read("$a|$b", "|"), Ok(vec!["", ""]));
    }

    #[test]
    fn a_quote_that_the_writer_escaped_does_not_end_a_quoted_value() {
        assert_eq!(read(r#""$a" $b"#, r#""x\" 200" 404"#), Ok(vec![r#"x\" 200"#, "404"]));
        assert_eq!(read(r#""$a" $b"#, r#""x\\" 404"#), Ok(vec![r"x\\", "404"]));
    }

    #[test]
    fn where_a_line_fails_and_what_was_expected_there_is_told() {
        for (pattern, line, at, expected) in [
            ("user=$a;", "usr=1;", 2, "expected the text `er=`"),
            ("$a [$b] $c", "x [y z", 6, "expected `] ` behind $b, which begins at column 4"),
            ("[$a]", "[x] y", 3, "expected the end of the line"),
        ] {
            assert_eq!(read(pattern, line), Err(Miss::new(at, expected)), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_says_too_little_is_refused_with_its_place() {
        for (pattern, at) in [("$a$b", 2), ("x", 0), ("${a", 0), ("a $ b", 2), ("$a $a", 3)] {
            assert_eq!(Pattern::new(pattern).expect_err(pattern).at, at, "{pattern}");
        }
    }

    #[test]
    fn many_escaped_quotes_cost_no_more_than_their_number() {
        let line = format!("\"{}\" 1", r#"\""#.repeat(200_000));
        assert_eq!(read(r#""$a" $b"#, &line).map(|values| values.len()), Ok(2));
    }
}
