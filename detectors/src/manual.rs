//! What a detector says about itself: the headings of its file's doc block, read from the source at build time.
//! `crmwatch detectors explain`, the mail and the console print it. Not for settings' values.

/// The headings every detector's doc block has, in this order.
pub const HEADINGS: [&str; 6] =
    ["What it finds", "Why it matters", "How it decides", "False positives", "What to check", "Settings"];

/// A detector's manual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manual {
    /// The first sentence of the block.
    pub title: String,
    /// Heading and text, in the order written.
    pub sections: Vec<(String, String)>,
}

impl Manual {
    /// Reads the `//!` block at the head of a source file.
    pub fn from_source(source: &str) -> Manual {
        let lines = source
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .map(|line| line.trim_start_matches("//!").strip_prefix(' ').unwrap_or("").trim_end());
        let mut title = String::new();
        let mut sections: Vec<(String, String)> = Vec::new();
        for line in lines {
            if let Some(heading) = line.strip_prefix("# ") {
                sections.push((heading.to_owned(), String::new()));
                continue;
            }
            let text = sections.last_mut().map_or(&mut title, |(_, text)| text);
            text.push_str(line);
            text.push('\n');
        }
        for (_, text) in &mut sections {
            *text = text.trim().to_owned();
        }
        Manual { title: title.trim().to_owned(), sections }
    }

    /// The text under a heading.
    pub fn section(&self, heading: &str) -> Option<&str> {
        self.sections.iter().find(|(name, _)| name == heading).map(|(_, text)| text.as_str())
    }
}

/// A piece of a section, its lines joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Running text.
    Paragraph(String),
    /// Points, each as running text.
    List(Vec<String>),
}

/// The paragraphs and lists of a section, in their order. A point begins with `- ` or a number, and its further lines are indented.
pub fn parts(section: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut goes_on = false;
    for line in section.lines() {
        let text = line.trim();
        let numbered = text.split_once(". ").filter(|(number, _)| number.parse::<u8>().is_ok());
        let point = text.strip_prefix("- ").or(numbered.map(|(_, text)| text));
        let indented = line.starts_with(' ');
        match (point, parts.last_mut()) {
            _ if text.is_empty() => {}
            (Some(point), Some(Part::List(points))) => points.push(point.to_owned()),
            (Some(point), _) => parts.push(Part::List(vec![point.to_owned()])),
            (None, Some(Part::List(points))) if goes_on && indented => {
                let last = points.last_mut().expect("a list begins with a point");
                last.push(' ');
                last.push_str(text);
            }
            (None, Some(Part::Paragraph(paragraph))) if goes_on => {
                paragraph.push(' ');
                paragraph.push_str(text);
            }
            (None, _) => parts.push(Part::Paragraph(text.to_owned())),
        }
        goes_on = !text.is_empty();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_what_follows_a_list_is_no_point_of_it() {
        let told = parts(
            "It is told\nby two things:\n- one,\n  and more of it;\n- another.\nBoth must hold.\n\n1. First.\n\nAt last.",
        );
        let list = |points: &[&str]| Part::List(points.iter().map(|one| (*one).to_owned()).collect());
        let text = |text: &str| Part::Paragraph(text.to_owned());
        assert_eq!(
            told,
            [
                text("It is told by two things:"),
                list(&["one, and more of it;", "another."]),
                text("Both must hold."),
                list(&["First."]),
                text("At last."),
            ]
        );
        assert!(parts("").is_empty());
    }
}
