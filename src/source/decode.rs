//! From a record's bytes to its text. Bytes that do not decode reversibly are kept beside the text. Not for framing.

use std::borrow::Cow;

use encoding_rs::{Encoding, GB18030, UTF_16BE, UTF_16LE};

use super::units::Units;

/// How a source's bytes become text.
#[derive(Debug, Clone, Copy)]
pub enum Decoder {
    /// UTF-8; what is none is tried as GB18030, and failing that every wrong byte becomes U+FFFD.
    Auto,
    /// The encoding the operator named.
    Named(&'static Encoding),
}

impl Decoder {
    /// `auto`, or a label of the Encoding Standard; an unknown one was refused by the configuration. `head` are the file's first bytes:
    /// a byte order mark of UTF-16 decides, unless another encoding was named. Nothing while too little of the file is there to tell.
    pub fn of(label: &str, head: &[u8]) -> Option<Decoder> {
        let named = Encoding::for_label(label.as_bytes()).filter(|encoding| *encoding != encoding_rs::UTF_8);
        let wide = |encoding| encoding == UTF_16LE || encoding == UTF_16BE;
        match (named, head) {
            (Some(encoding), _) if !wide(encoding) => Some(Decoder::Named(encoding)),
            (_, [0xff, 0xfe, ..]) => Some(Decoder::Named(UTF_16LE)),
            (_, [0xfe, 0xff, ..]) => Some(Decoder::Named(UTF_16BE)),
            (_, [] | [0xfe | 0xff]) => None,
            (Some(encoding), _) => Some(Decoder::Named(encoding)),
            (None, _) => Some(Decoder::Auto),
        }
    }

    /// How characters lie in the bytes.
    pub fn units(self) -> Units {
        match self {
            Decoder::Auto => Units::Mixed,
            Decoder::Named(encoding) => Units::of(encoding),
        }
    }

    /// A line as the grammars look at it to tell what record it begins: in UTF-8, so that no part of a character looks like a quote or a
    /// brace.
    pub fn plain(self, line: &[u8]) -> Cow<'_, [u8]> {
        let same = match self {
            Decoder::Auto => std::str::from_utf8(line).is_ok(),
            Decoder::Named(encoding) => encoding.is_ascii_compatible() && line.is_ascii(),
        };
        if same {
            return Cow::Borrowed(line);
        }
        match self.decode(line).0 {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }
    }

    /// The text, and whether the bytes must be kept because the text does not lead back to them.
    pub fn decode<'b>(self, bytes: &'b [u8]) -> (Cow<'b, str>, bool) {
        match self {
            Decoder::Auto => match std::str::from_utf8(bytes) {
                Ok(text) => (Cow::Borrowed(text), false),
                Err(_) => match chinese(bytes) {
                    Some(text) => (Cow::Owned(text), false),
                    None => (String::from_utf8_lossy(bytes), true),
                },
            },
            Decoder::Named(encoding) => {
                let (text, wrong) = encoding.decode_without_bom_handling(bytes);
                // What is right UTF-16 always leads back; there is no encoder of it.
                let keep = wrong || (!self.units().wide() && *encoding.encode(&text).0 != *bytes);
                (text, keep)
            }
        }
    }
}

/// GB18030 accepts nearly any pair of high bytes, so a text counts as Chinese only if it decodes without a mistake, leads back to the
/// same bytes, and what is not ASCII in it is mostly common Han or CJK punctuation.
fn chinese(bytes: &[u8]) -> Option<String> {
    let text = GB18030.decode_without_bom_handling_and_without_replacement(bytes)?;
    let (mut common, mut other) = (0usize, 0usize);
    for character in text.chars().filter(|character| !character.is_ascii()) {
        match character {
            '\u{4e00}'..='\u{9fff}' | '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ffef}' => common += 1,
            _ => other += 1,
        }
    }
    (common > 0 && other * 4 <= common && *GB18030.encode(&text).0 == *bytes).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_in_gb18030_is_read_and_leads_back() {
        let (bytes, _, _) = GB18030.encode("用户 登录 成功 user=张伟");
        assert_eq!(Decoder::Auto.decode(&bytes), (Cow::Owned("用户 登录 成功 user=张伟".to_owned()), false));
    }

    #[test]
    fn wrong_bytes_are_marked_and_the_rest_stays_readable() {
        let (text, keep) = Decoder::Auto.decode(b"GET /caf\xe9 HTTP\xff");
        assert!(keep && text.starts_with("GET /caf") && text.contains('\u{fffd}'), "{text}");
    }

    #[test]
    fn a_named_encoding_is_used() {
        let decoder = Decoder::of("windows-1252", b"").expect("named");
        let (text, keep) = decoder.decode(b"caf\xe9");
        assert_eq!((&*text, keep), ("café", false));
    }

    #[test]
    fn a_byte_order_mark_decides_and_half_a_one_is_waited_for() {
        let units = |label, head: &[u8]| Decoder::of(label, head).map(Decoder::units);
        for label in ["auto", "utf-16", "utf-16le", "utf-16be"] {
            assert_eq!(units(label, b"\xff\xfe{"), Some(Units::Utf16Le));
            assert_eq!(units(label, b"\xfe\xff\0"), Some(Units::Utf16Be));
            assert_eq!((units(label, b"\xff"), units(label, b"")), (None, None));
        }
        assert_eq!(units("auto", b"{}"), Some(Units::Mixed));
        assert_eq!(units("auto", b"\n"), Some(Units::Mixed));
        assert_eq!(units("utf-16be", b"\0{"), Some(Units::Utf16Be));
        assert_eq!(units("gbk", b"\xff"), Some(Units::Double));
    }

    #[test]
    fn wrong_utf_16_is_marked_and_kept() {
        let decoder = Decoder::of("utf-16le", b"a\0").expect("told");
        assert_eq!(decoder.decode(b"a\0\x3d\xd8\0\xde"), (Cow::Owned("a\u{1f600}".to_owned()), false));
        for wrong in [&b"a\0\x3d\xd8"[..], b"a\0b", b"\0\xdea\0"] {
            let (text, keep) = decoder.decode(wrong);
            assert!(keep && text.contains('a') && text.contains('\u{fffd}'), "{text}");
        }
    }
}
