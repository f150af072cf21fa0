//! Whether a sender is who may push: a token, a signature. Not for what is then done with the body (`push`).
//!
//! Secrets are read at each request: they may be renewed, and none stays in memory for long.

use std::io;
use std::path::{Path, PathBuf};

use crmwatch_detectors::Millis;
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

/// A signature's stamp may be so far from the clock.
const SKEW_SECONDS: i64 = 300;

/// A secret by the name of a systemd credential, or from a file.
pub fn secret(name: &str) -> io::Result<Vec<u8>> {
    let path = if name.contains('/') {
        PathBuf::from(name)
    } else {
        let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("no credential {name:?}: add LoadCredential={name}:/path/of/the/secret to the unit, or name a file with its full path"),
            )
        })?;
        Path::new(&folder).join(name)
    };
    let text =
        std::fs::read(&path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    let secret = text.trim_ascii_end().to_vec();
    // An empty secret would let everybody in who sends an empty one.
    if secret.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{}: it is empty", path.display())));
    }
    Ok(secret)
}

/// Compares in a time that does not tell how much is right.
pub(super) fn same(told: &[u8], right: &[u8]) -> bool {
    Sha1::digest(told).ct_eq(&Sha1::digest(right)).into()
}

/// What Jiandaoyun sends beside the body.
pub(super) struct Signed<'r> {
    /// `X-JDY-Signature`.
    pub(super) signature: &'r str,
    /// `nonce` of the query.
    pub(super) nonce: &'r str,
    /// `timestamp` of the query, in seconds.
    pub(super) timestamp: &'r str,
}

impl Signed<'_> {
    /// `sha1(nonce:payload:secret:timestamp)` over the bytes as they came, and a stamp that is not old: a delivery that somebody recorded
    /// is not accepted later.
    pub(super) fn holds(&self, body: &[u8], secret: &[u8], now: Millis) -> bool {
        let Ok(stamp) = self.timestamp.parse::<i64>() else { return false };
        if stamp.saturating_sub(now / 1_000).abs() > SKEW_SECONDS {
            return false;
        }
        let mut sum = Sha1::new();
        for part in [self.nonce.as_bytes(), body, secret] {
            sum.update(part);
            sum.update(b":");
        }
        sum.update(self.timestamp.as_bytes());
        let right: String = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let told = self.signature.trim();
        let told = told.strip_prefix("sha1=").unwrap_or(told).to_ascii_lowercase();
        told.as_bytes().ct_eq(right.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"op":"data_create","data":{}}"#;
    const RIGHT: &str = "ae9d3cf92f080668cfa81aa203cb1ed7ad39f5f1";
    const NOW: Millis = 1_498_586_609_000;

    fn signed(signature: &str) -> Signed<'_> {
        Signed { signature, nonce: "abc123", timestamp: "1498586609" }
    }

    #[test]
    fn the_signature_is_over_the_bytes_as_they_came() {
        assert!(signed(RIGHT).holds(BODY, b"s3cret", NOW));
        assert!(signed(&format!("sha1={}", RIGHT.to_uppercase())).holds(BODY, b"s3cret", NOW));
        assert!(!signed(RIGHT).holds(br#"{"op": "data_create","data":{}}"#, b"s3cret", NOW), "a blank more");
        assert!(!signed(RIGHT).holds(BODY, b"other", NOW));
        assert!(!signed(&RIGHT[..39]).holds(BODY, b"s3cret", NOW));
        assert!(!signed("").holds(BODY, b"s3cret", NOW));
        assert!(!Signed { nonce: "abc124", ..signed(RIGHT) }.holds(BODY, b"s3cret", NOW));
    }

    #[test]
    fn an_old_delivery_is_not_accepted_again() {
        assert!(signed(RIGHT).holds(BODY, b"s3cret", NOW + 300_000));
        assert!(!signed(RIGHT).holds(BODY, b"s3cret", NOW + 301_000));
        assert!(!signed(RIGHT).holds(BODY, b"s3cret", NOW - 301_000));
        assert!(!Signed { timestamp: "soon", ..signed(RIGHT) }.holds(BODY, b"s3cret", NOW));
    }

    #[test]
    fn a_secret_is_read_without_its_line_end_and_an_empty_one_lets_nobody_in() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        std::fs::write(&path, "s3cret\r\n").expect("written");
        assert_eq!(secret(path.to_str().expect("text")).expect("read"), b"s3cret");
        std::fs::write(&path, "\n").expect("written");
        assert!(secret(path.to_str().expect("text")).is_err());
        assert!(same(b"s3cret", b"s3cret") && !same(b"s3cre", b"s3cret") && !same(b"", b"s3cret"));
    }
}
