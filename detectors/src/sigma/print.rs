//! What a rule is made of, as one number: a rule that has not changed keeps what it remembers when rules are taken over.

use sha2::{Digest, Sha256};

use super::load::{Loaded, Logic};
use super::placeholders::Placeholders;

/// One number for everything that decides a rule.
pub(super) fn fingerprint(parts: &[String], placeholders: &Placeholders) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    if parts.iter().any(|part| part.contains("expand")) {
        hash.update(serde_json::to_vec(placeholders).expect("texts serialise"));
    }
    hash.finalize().into()
}

/// A correlation is what its inputs are, too.
pub(super) fn join_prints(loaded: &mut [Loaded]) {
    // Inputs may be loaded after what they feed: once more for each link.
    let own: Vec<[u8; 32]> = loaded.iter().map(|rule| rule.print).collect();
    for _ in 0..loaded.len().min(64) {
        let last: Vec<[u8; 32]> = loaded.iter().map(|rule| rule.print).collect();
        for (rule, own) in loaded.iter_mut().zip(&own) {
            let Logic::Correlation(correlation) = &rule.logic else { continue };
            let mut hash = Sha256::new();
            hash.update(own);
            correlation.inputs.iter().for_each(|input| hash.update(last[*input]));
            rule.print = hash.finalize().into();
        }
        if !loaded.iter().any(|rule| {
            matches!(&rule.logic, Logic::Correlation(correlation)
            if correlation.inputs.iter().any(|input| matches!(loaded[*input].logic, Logic::Correlation(_))))
        }) {
            return;
        }
    }
}
