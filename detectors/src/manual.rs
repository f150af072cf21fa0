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
