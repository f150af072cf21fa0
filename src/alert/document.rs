//! A mail's content, written once and shown twice: as plain text of 72 columns and as the same in HTML. The HTML has no remote content, no
//! script, no style sheet and no link but the operator's own. Not for what it says (`mail`, `summary`).

use std::borrow::Cow;

use crmwatch_detectors::manual;

use crate::text;

/// Columns of the plain text.
const COLUMNS: usize = 72;
/// What sets log lines and commands apart from what is said about them. Long words break only where nothing else fits.
const QUOTED: &str = "white-space:pre-wrap;overflow-wrap:anywhere;color:#222;background:#f3f4f6;border-left:3px solid #9ca3af;padding:.35em .6em;margin:.1em 0 .6em 0";
/// Longer evidence lines are cut to so many columns.
const LINE_COLUMNS: usize = 420;

/// One block. What came from a log has gone through [`shown`].
enum Block {
    Heading(String),
    Paragraph(String),
    /// Name and value.
    Facts(Vec<(String, String)>),
    /// Log lines, each with where it stands.
    Lines(Vec<(String, String)>),
    List(Vec<String>),
    /// A name and a command to be copied, piece by piece.
    Command(String, Vec<String>),
    Link(String),
}

/// The blocks in their order.
#[derive(Default)]
pub(super) struct Document {
    blocks: Vec<Block>,
}

/// Writes text in lines of 72 columns, with what stands before the first and before the others.
fn put(out: &mut String, first: &str, next: &str, text: &str) {
    let room = COLUMNS.saturating_sub(text::width(first).max(text::width(next)));
    for (number, line) in text::wrapped(text, room).iter().enumerate() {
        out.push_str(if number == 0 { first } else { next });
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// Log text made harmless for a mail: one line, nothing invisible, no links.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    match text::one_line(text) {
        Cow::Borrowed(text) => text::defanged(text),
        Cow::Owned(text) => Cow::Owned(text::defanged(&text).into_owned()),
    }
}

impl Document {
    pub(super) fn heading(&mut self, text: &str) {
        self.blocks.push(Block::Heading(text.to_owned()));
    }

    pub(super) fn paragraph(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Paragraph(text.into()));
    }

    pub(super) fn facts(&mut self, facts: Vec<(String, String)>) {
        self.blocks.push(Block::Facts(facts));
    }

    /// Log lines as they are; they are made harmless here.
    pub(super) fn lines(&mut self, lines: impl Iterator<Item = (String, String)>) {
        let lines = lines
            .map(|(place, line)| {
                let line = shown(&line).into_owned();
                (shown(&place).into_owned(), text::cut(&line, LINE_COLUMNS).into_owned())
            })
            .collect();
        self.blocks.push(Block::Lines(lines));
    }

    pub(super) fn list(&mut self, items: Vec<String>) {
        self.blocks.push(Block::List(items));
    }

    pub(super) fn command(&mut self, name: &str, pieces: Vec<String>) {
        self.blocks.push(Block::Command(name.to_owned(), pieces));
    }

    pub(super) fn link(&mut self, address: String) {
        self.blocks.push(Block::Link(address));
    }

    /// Text with paragraphs and lists as a manual has them: `- item`, `1. item`, blank lines between.
    pub(super) fn prose(&mut self, prose: &str) {
        for part in manual::parts(prose) {
            match part {
                manual::Part::Paragraph(text) => self.paragraph(text),
                manual::Part::List(points) => self.list(points),
            }
        }
    }

    /// As plain text.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for block in &self.blocks {
            match block {
                Block::Heading(heading) => {
                    put(&mut out, "", "", heading);
                    put(&mut out, "", "", &"-".repeat(text::width(heading).min(COLUMNS)));
                    continue;
                }
                Block::Paragraph(paragraph) => put(&mut out, "", "", paragraph),
                Block::Facts(facts) => {
                    for (name, value) in facts {
                        put(&mut out, "", "    ", &format!("{name}: {value}"));
                    }
                }
                Block::Lines(lines) => {
                    for (place, line) in lines {
                        put(&mut out, "  ", "  ", place);
                        put(&mut out, "  | ", "  | ", line);
                    }
                }
                Block::List(items) => {
                    for item in items {
                        put(&mut out, "- ", "  ", item);
                    }
                }
                // Not wrapped: a command that was broken cannot be copied. The backslash is the shell's own way.
                Block::Command(name, pieces) => {
                    put(&mut out, "", "", &format!("{name}:"));
                    out.push_str("    ");
                    out.push_str(&pieces.join(" \\\n        "));
                    out.push('\n');
                }
                Block::Link(address) => {
                    out.push_str(address);
                    out.push('\n');
                }
            }
            out.push('\n');
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }

    /// As HTML.
    pub(super) fn html(&self) -> String {
        let mut out = String::from(
            "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"></head>\n<body style=\"font-family:sans-serif;max-width:46em\">\n",
        );
        for block in &self.blocks {
            match block {
                Block::Heading(heading) => out.push_str(&format!("<h3>{}</h3>\n", text::html(heading))),
                Block::Paragraph(paragraph) => out.push_str(&format!("<p>{}</p>\n", text::html(paragraph))),
                Block::Facts(facts) => {
                    out.push_str("<p>");
                    for (name, value) in facts {
                        out.push_str(&format!("<b>{}</b>: {}<br>\n", text::html(name), text::html(value)));
                    }
                    out.push_str("</p>\n");
                }
                Block::Lines(lines) => {
                    for (place, line) in lines {
                        out.push_str(&format!(
                            "<p style=\"margin:0\"><small>{}</small></p>\n<pre style=\"{QUOTED}\">{}</pre>\n",
                            text::html(place),
                            text::html(line)
                        ));
                    }
                }
                Block::List(items) => {
                    out.push_str("<ul>\n");
                    for item in items {
                        out.push_str(&format!("<li>{}</li>\n", text::html(item)));
                    }
                    out.push_str("</ul>\n");
                }
                Block::Command(name, pieces) => out.push_str(&format!(
                    "<p style=\"margin:0\">{}:</p>\n<pre style=\"{QUOTED}\">{}</pre>\n",
                    text::html(name),
                    text::html(&pieces.join(" "))
                )),
                Block::Link(address) => {
                    let address = text::html(address);
                    out.push_str(&format!("<p><a href=\"{address}\">{address}</a></p>\n"));
                }
            }
        }
        out.push_str("</body></html>\n");
        out
    }
}
