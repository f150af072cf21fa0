//! What carriers put around a line: docker compose's names, terminal colours, a byte order mark. Not for syslog (`syslog`).

use std::borrow::Cow;

use memchr::memchr;

/// `name-1  | line`: what docker compose puts in front.
pub(super) fn compose(line: &str) -> Option<&str> {
    let bar = memchr(b'|', line.as_bytes().get(..line.len().min(100))?)?;
    let name = line[..bar].strip_suffix(' ')?.trim_end();
    let plain = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        return None;
    }
    Some(line[bar + 1..].strip_prefix(' ').unwrap_or(&line[bar + 1..]))
}

/// The line without byte order mark, carriage return and colour sequences `ESC [ … m`.
pub(super) fn plain(line: &str) -> Cow<'_, str> {
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let Some(mut escape) = memchr(0x1b, line.as_bytes()) else { return Cow::Borrowed(line) };
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    loop {
        let (before, sequence) = rest.split_at(escape);
        out.push_str(before);
        let body = sequence[1..]
            .strip_prefix('[')
            .map(|body| body.trim_start_matches(|one: char| one.is_ascii_digit() || one == ';'));
        match body.and_then(|body| body.strip_prefix('m')) {
            Some(after) => rest = after,
            None => {
                out.push('\u{1b}');
                rest = &sequence[1..];
            }
        }
        match memchr(0x1b, rest.as_bytes()) {
            Some(next) => escape = next,
            None => break,
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_containers_and_colours_are_taken_off_and_nothing_else() {
        assert_eq!(compose("crm_web-1  | line | x"), Some("line | x"));
        assert_eq!(compose("a b | x"), None);
        assert_eq!(compose("a|b"), None);
        assert_eq!(plain("\u{feff}\u{1b}[1;32mINFO\u{1b}[0m ok\r"), "INFO ok");
        assert_eq!(plain("\u{1b}]0;x\u{7}"), "\u{1b}]0;x\u{7}");
    }
}
