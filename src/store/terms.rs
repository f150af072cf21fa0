//! A tantivy query over all terms of a column between two keys, optionally like a pattern: prefixes, wildcards, text ranges.
//! It keeps an eye on the clock, which tantivy's own do not.

use std::time::Instant;

use tantivy::query::{BitSetDocSet, ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::schema::{Field as Column, IndexRecordOption};
use tantivy::{BitSet, DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError};

use crate::query::wildcard::Wildcard;

/// Terms looked at, or documents of one term taken, between two looks at the clock.
const BREATH: u32 = 4096;

/// The terms wanted.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) column: Column,
    /// The least term, with it.
    pub(super) from: Vec<u8>,
    /// The first term beyond; nothing means to the end.
    pub(super) to: Option<Vec<u8>>,
    /// How the term must look after so many bytes.
    pub(super) like: Option<(usize, Wildcard)>,
    pub(super) deadline: Instant,
}

/// The first key after all that start with this one.
pub(super) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut key = prefix[..=last].to_vec();
    key[last] += 1;
    Some(key)
}

/// The first key after this one.
pub(super) fn after(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

pub(super) fn late() -> TantivyError {
    TantivyError::InternalError("the search took too long".to_owned())
}

impl Query for Terms {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(TermsWeight(self.clone())))
    }
}

struct TermsWeight(Terms);

impl Weight for TermsWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let wanted = &self.0;
        let inverted = reader.inverted_index(wanted.column)?;
        let mut found = BitSet::with_max_value(reader.max_doc());
        let mut range = inverted.terms().range().ge(&wanted.from);
        if let Some(to) = &wanted.to {
            range = range.lt(to);
        }
        let mut terms = range.into_stream()?;
        let mut steps = 0;
        while terms.advance() {
            steps += 1;
            if steps >= BREATH {
                steps = 0;
                if Instant::now() >= wanted.deadline {
                    return Err(late());
                }
            }
            if let Some((skipped, pattern)) = &wanted.like {
                let fits = terms.key().get(*skipped..).and_then(|key| std::str::from_utf8(key).ok());
                if !fits.is_some_and(|text| pattern.matches(text)) {
                    continue;
                }
            }
            let mut postings = inverted.read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
            steps += postings.doc_freq();
            loop {
                let doc = postings.doc();
                if doc == TERMINATED {
                    break;
                }
                found.insert(doc);
                postings.advance();
            }
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(found), boost)))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Ok(Explanation::new("terms between two keys", 1.0))
    }
}
