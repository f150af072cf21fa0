//! The key of one entry: most are short and lie in the entry itself, so that comparing one looks nowhere else. Not for finding entries (`keyed`).

/// Room in the entry; entities' keys with an e-mail address fit mostly.
const SHORT: usize = 38;

/// A text that is compared more often than it is read.
#[derive(Clone)]
pub(crate) enum Key {
    /// In place.
    Short { length: u8, bytes: [u8; SHORT] },
    /// Elsewhere.
    Long(Box<str>),
}

impl Key {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Key::Short { length, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*length)]).expect("it was made from a text")
            }
            Key::Long(text) => text,
        }
    }

    pub(crate) fn is(&self, text: &str) -> bool {
        match self {
            Key::Short { length, bytes } => bytes[..usize::from(*length)] == *text.as_bytes(),
            Key::Long(own) => **own == *text,
        }
    }

    pub(crate) fn into_boxed(self) -> Box<str> {
        match self {
            Key::Long(text) => text,
            short => short.as_str().into(),
        }
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Key {
        if text.len() > SHORT {
            return Key::Long(text.into());
        }
        let mut bytes = [0; SHORT];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Key::Short { length: text.len() as u8, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_any_length_is_itself_and_no_other() {
        for length in [0, 1, SHORT - 1, SHORT, SHORT + 1, 200] {
            let text = "ü".repeat(length / 2) + &"x".repeat(length % 2);
            let key = Key::from(&*text);
            assert!(key.is(&text) && key.as_str() == text && *key.clone().into_boxed() == *text);
            assert!(!key.is(&format!("{text}\0")) && (text.is_empty() || !key.is(&text[..0])));
        }
        assert_eq!(size_of::<Key>(), 40);
    }
}
