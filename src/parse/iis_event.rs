//! The same access lines where Windows writes them into its event log (`IIS-Logging`, event 6200): XML with a value for each field of
//! the W3C format. Not for other events of Windows.

use std::borrow::Cow;

/// More values than the channel has.
const MOST: usize = 60;

/// Whether a record is such an event.
pub(super) fn is_one(line: &str) -> bool {
    line.starts_with("<Event") && memchr::memmem::find(line.as_bytes(), b"IIS-Logging").is_some()
}

/// The fields by the names they have in a W3C log, in lower case, with their values.
pub(super) fn fields(line: &str) -> Vec<(String, Cow<'_, str>)> {
    let mut fields = Vec::with_capacity(24);
    let mut rest = line;
    while let Some(at) = rest.find("<Data Name=\"").filter(|_| fields.len() < MOST) {
        let after = &rest[at + 12..];
        let Some((name, content)) = after.split_once('"') else { break };
        let Some(open) = content.find('>') else { break };
        rest = &content[open + 1..];
        // `<Data Name="x" />` has no value.
        if content[..open].ends_with('/') {
            continue;
        }
        let Some(end) = rest.find("</Data>") else { break };
        fields.push((w3c(name), unescaped(&rest[..end])));
        rest = &rest[end..];
    }
    fields
}

/// `csUser-Agent` is called `cs(user-agent)` elsewhere.
fn w3c(name: &str) -> String {
    match name {
        "csUser-Agent" | "csCookie" | "csReferer" => format!("cs({})", name[2..].to_ascii_lowercase()),
        name => name.to_ascii_lowercase(),
    }
}

/// XML's five entities undone. `&amp;` comes last, so that nothing is undone twice.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = text.to_owned();
    for (entity, letter) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")] {
        out = out.replace(entity, letter);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name_and_their_entities_undone_once() {
        let event = r#"<Event xmlns="x"><System><Provider Name="Microsoft-Windows-IIS-Logging"/></System><EventData><Data Name="date">2026-03-02</Data><Data Name="cs-uri-query">a=1&amp;b=&amp;lt;</Data><Data Name="CustomFields" /><Data Name="csUser-Agent">x+y</Data><Data Name="cut">z"#;
        assert!(is_one(event));
        let found = fields(event);
        let expected = [("date", "2026-03-02"), ("cs-uri-query", "a=1&b=&lt;"), ("cs(user-agent)", "x+y")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), Cow::Borrowed(value))));
    }
}
