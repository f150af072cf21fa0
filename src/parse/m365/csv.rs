//! The cells of one CSV row, as the audit log's export writes them. Not for headers or other dialects.

use std::borrow::Cow;

/// The cells; a quote inside a quoted cell is doubled, and a cell may hold line breaks.
pub(super) fn cells(row: &str) -> Vec<Cow<'_, str>> {
    let mut cells = Vec::new();
    let mut rest = row.trim_start_matches('\u{feff}');
    loop {
        let (cell, after) = cell(rest);
        cells.push(cell);
        match after.find(',') {
            Some(comma) => rest = &after[comma + 1..],
            None => return cells,
        }
    }
}

/// One cell, and what follows it from its closing quote or from the comma on.
fn cell(text: &str) -> (Cow<'_, str>, &str) {
    let Some(inside) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        return (Cow::Borrowed(text[..end].trim_end_matches(['\r', '\n'])), &text[end..]);
    };
    let mut from = 0;
    let mut doubled = false;
    while let Some(quote) = inside[from..].find('"').map(|quote| from + quote) {
        if inside[quote + 1..].starts_with('"') {
            doubled = true;
            from = quote + 2;
        } else {
            let cell = &inside[..quote];
            let cell = if doubled { Cow::Owned(cell.replace("\"\"", "\"")) } else { Cow::Borrowed(cell) };
            return (cell, &inside[quote + 1..]);
        }
    }
    // A quote that never closes: the rest is the cell.
    (Cow::Borrowed(inside), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_commas_and_line_breaks_stay_inside_their_cell() {
        assert_eq!(cells("a,\"b,\"\"c\"\"\nd\",,\"e\"\r"), ["a", "b,\"c\"\nd", "", "e"]);
        assert_eq!(cells("\"never closed, x"), ["never closed, x"]);
        assert_eq!(cells(""), [""]);
    }
}
