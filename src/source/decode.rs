//! From a record's bytes to its text. Bytes that do not decode reversibly are kept beside the text. Not for framing.

use std::borrow::Cow;

use encoding_rs::{Encoding, GB18030};

/// How a source's bytes become text.
#[derive(Debug, Clone, Copy)]
pub enum Decoder {
    /// UTF-8; what is none is tried as GB18030, and failing that every wrong byte becomes U+FFFD.
    Auto,
    /// The encoding the operator named.
    Named(&'static Encoding),
}

impl Decoder {
    /// `auto`, or a label of the Encoding Standard; an unknown one was refused by the configuration.
    pub fn of(label: &str) -> Decoder {
        match Encoding::for_label(label.as_bytes()) {
            Some(encoding) if encoding != encoding_rs::UTF_8 => Decoder::Named(encoding),
            _ => Decoder::Auto,
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
                let keep = wrong || *encoding.encode(&text).0 != *bytes;
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
        let (text, keep) = Decoder::of("windows-1252").decode(b"caf\xe9");
        assert_eq!((&*text, keep), ("café", false));
    }
}
