//! Makes text that came from a log harmless where it is shown: terminal, mail, HTML, mail header, shell command.
//! Not for storage: what is stored stays as it was.
//!
//! A log line is written by whoever attacks. Escape sequences move a terminal's cursor, bidi controls turn a name around, line breaks
//! forge headers and further log lines, and a mail program makes a link of anything that looks like one.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character does something else than appear: control characters, bidi and zero-width marks, line separators, tags, surrogate
/// stand-ins and what no font shows.
fn invisible(one: char) -> bool {
    one.is_control()
        || matches!(one,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Text as one line that shows all there is in it. The escaping is reversible: a backslash is doubled.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, true)
}

fn escaped(text: &str, reversible: bool) -> Cow<'_, str> {
    let acts = |one: char| invisible(one) || (reversible && one == '\\');
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for one in text.chars() {
        match one {
            '\\' if reversible => shown.push_str("\\\\"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            one if invisible(one) && u32::from(one) < 0x100 => write!(shown, "\\x{:02x}", u32::from(one)).unwrap_or(()),
            one if invisible(one) => write!(shown, "\\u{{{:x}}}", u32::from(one)).unwrap_or(()),
            one => shown.push(one),
        }
    }
    Cow::Owned(shown)
}

/// Whether text appears as it is, so that a person who types what he sees types what it is.
pub fn is_plain(text: &str) -> bool {
    matches!(one_line(text), Cow::Borrowed(_))
}

/// Columns a text takes on a terminal; Chinese, Japanese and Korean characters take two.
pub fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

fn char_width(one: char) -> usize {
    match u32::from(one) {
        0x300..=0x36F => 0,
        0x1100..=0x115F
        | 0x2E80..=0x303E
        | 0x3041..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1FAFF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

/// At most so many columns; what is cut is marked.
pub fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut used = 1;
    let mut shown = String::new();
    for one in text.chars() {
        used += char_width(one);
        if used > columns {
            break;
        }
        shown.push(one);
    }
    shown.push('…');
    Cow::Owned(shown)
}

/// For the text of an HTML element or a quoted attribute.
pub fn html(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    for one in text.chars() {
        match one {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            one => shown.push(one),
        }
    }
    shown
}

/// Columns of a mail header's value; longer ones are cut.
const HEADER_COLUMNS: usize = 180;

/// For the value of a mail header: one line, no control characters, of bounded length. Text that was made harmless already stays as it is.
pub fn header(text: &str) -> String {
    cut(&escaped(text, false), HEADER_COLUMNS).into_owned()
}

/// Addresses that no mail program makes a link of: `hxxps://evil[.]example/x`.
pub fn defanged(text: &str) -> Cow<'_, str> {
    if !text.contains("://") && !text.to_ascii_lowercase().contains("www.") {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut rest = text;
    loop {
        let lower = rest.to_ascii_lowercase();
        let scheme = lower.find("://");
        let www = lower.find("www.");
        match (scheme, www) {
            (Some(at), www) if www.is_none_or(|www| at < www) => {
                let letters = rest[..at].bytes().rev().take_while(u8::is_ascii_alphabetic).count();
                shown.push_str(&rest[..at - letters]);
                shown.push_str(&rest[at - letters..at].replace('t', "x").replace('T', "X"));
                shown.push_str("://");
                rest = bracketed_host(&rest[at + 3..], &mut shown);
            }
            (_, Some(at)) => {
                shown.push_str(&rest[..at]);
                rest = bracketed_host(&rest[at..], &mut shown);
            }
            _ => break,
        }
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// Writes a host with its dots in brackets; gives back what follows it.
fn bracketed_host<'t>(text: &'t str, shown: &mut String) -> &'t str {
    let end = text.find(|one: char| "/?#\"'<> \\|,;)".contains(one)).unwrap_or(text.len());
    shown.push_str(&text[..end].replace('.', "[.]"));
    &text[end..]
}

/// For a POSIX shell, as one word.
pub fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Breaks one line of text at blanks into lines of at most so many columns; a word that is longer is broken where it must.
/// Chinese and Japanese text breaks between any two characters.
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in words(text) {
        let blank = usize::from(word.starts_with(' '));
        let columns_of_word = width(word);
        if used > 0 && used + columns_of_word > columns {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        let word = if used == 0 { &word[blank..] } else { word };
        for one in word.chars() {
            let wide = char_width(one);
            if used + wide > columns {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(one);
            used += wide;
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// Pieces that stay together, each with the one blank before it.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = rest.len();
        let mut before = None;
        for (at, one) in rest.char_indices() {
            let wide_border = before.is_some_and(|before: char| {
                // Closing punctuation stays with what it closes.
                char_width(before) == 2 && !"，。、；：！？）》」".contains(one)
            });
            if at > 0 && (one == ' ' || wide_border) {
                end = at;
                break;
            }
            before = Some(one);
        }
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the escaping back.
    fn unescaped(shown: &str) -> String {
        let mut text = String::new();
        let mut rest = shown.chars();
        while let Some(one) = rest.next() {
            if one != '\\' {
                text.push(one);
                continue;
            }
            let hex = |digits: String| char::from_u32(u32::from_str_radix(&digits, 16).expect("hex")).expect("a char");
            text.push(match rest.next().expect("something escaped") {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'x' => hex(rest.by_ref().take(2).collect()),
                'u' => hex(rest.by_ref().skip(1).take_while(|one| *one != '}').collect()),
                other => other,
            });
        }
        text
    }

    proptest::proptest! {
        #[test]
        fn escaping_can_be_undone_and_leaves_nothing_that_acts(text in ".*", hostile in "[\\\\nrtxu{}\u{0}-\u{1f}\u{7f}-\u{9f}\u{200b}-\u{2069}a-f0-9]*") {
            for text in [text, hostile] {
                let shown = one_line(&text);
                proptest::prop_assert_eq!(unescaped(&shown), text.as_str());
                proptest::prop_assert!(!shown.chars().any(invisible));
            }
        }

        #[test]
        fn wrapped_lines_fit_and_nothing_but_blanks_is_lost(text in "[a-z中文，。 ]*", columns in 4_usize..40) {
            let lines = wrapped(&text, columns);
            for line in &lines {
                proptest::prop_assert!(width(line) <= columns, "{:?}", lines);
            }
            let bare = |text: &str| text.replace(' ', "");
            proptest::prop_assert_eq!(bare(&lines.concat()), bare(&text));
        }
    }

    #[test]
    fn escape_sequences_and_turned_names_are_shown_as_what_they_are() {
        assert_eq!(one_line("a\x1b[31mred\u{202e}txt.exe"), "a\\x1b[31mred\\u{202e}txt.exe");
        assert_eq!(one_line("c:\\x1b"), "c:\\\\x1b");
        assert_eq!(one_line("\u{9b}2J\u{7f}\0"), "\\x9b2J\\x7f\\x00");
        assert_eq!(one_line("王小明"), "王小明");
    }

    #[test]
    fn a_header_value_is_one_line_of_bounded_length() {
        let value = header(&format!("x\r\nBcc: all@example.com\r\n\r\n{}", "y".repeat(10_000)));
        assert!(!value.contains(['\r', '\n']) && width(&value) == HEADER_COLUMNS, "{value}");
        assert_eq!(header(&value), value, "twice is as once");
    }

    #[test]
    fn addresses_in_lines_are_no_links() {
        assert_eq!(defanged("GET https://evil.example.com/a.b HTTP"), "GET hxxps://evil[.]example[.]com/a.b HTTP");
        assert_eq!(defanged("WWW.Evil.com/x HTTP://a.b"), "WWW[.]Evil[.]com/x HXXP://a[.]b");
        assert_eq!(defanged("://://"), "://://");
        assert_eq!(defanged("nothing here"), "nothing here");
    }

    #[test]
    fn a_hostile_value_stays_one_word_of_the_shell() {
        assert_eq!(shell_word("a'; rm -rf /"), "'a'\\''; rm -rf /'");
    }

    #[test]
    fn html_cannot_be_left() {
        assert_eq!(html("<b onload='x'>&\""), "&lt;b onload=&#39;x&#39;&gt;&amp;&quot;");
    }

    #[test]
    fn chinese_is_cut_and_wrapped_by_columns() {
        assert_eq!(cut("批量导出客户", 7), "批量导…");
        assert_eq!(wrapped("批量导出，客户记录", 8), ["批量导", "出，客户", "记录"]);
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
    }
}
