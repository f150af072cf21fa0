//! A tantivy query for what another does not find. tantivy's own exclusion (0.27) asks the excluded documents for ones they have
//! already passed, which phrases do not allow; this one walks them once and keeps a bit for each document.

use std::time::Instant;

use tantivy::query::{BitSetDocSet, ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{BitSet, DocId, DocSet, Score, SegmentReader, TERMINATED};

use super::terms::late;

/// Documents between two looks at the clock.
const BREATH: u32 = 4096;

/// What `inner` does not find.
#[derive(Debug)]
pub(super) struct Complement {
    pub(super) inner: Box<dyn Query>,
    pub(super) deadline: Instant,
}

impl Clone for Complement {
    fn clone(&self) -> Complement {
        Complement { inner: self.inner.box_clone(), deadline: self.deadline }
    }
}

impl Query for Complement {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(ComplementWeight { inner: self.inner.weight(scoring)?, deadline: self.deadline }))
    }
}

struct ComplementWeight {
    inner: Box<dyn Weight>,
    deadline: Instant,
}

impl Weight for ComplementWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let mut left = BitSet::with_max_value_and_full(reader.max_doc());
        let mut inner = self.inner.scorer(reader, 1.0)?;
        let mut steps = 0;
        let mut doc = inner.doc();
        while doc != TERMINATED {
            left.remove(doc);
            steps += 1;
            if steps >= BREATH {
                steps = 0;
                if Instant::now() >= self.deadline {
                    return Err(late());
                }
            }
            doc = inner.advance();
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(left), boost)))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Ok(Explanation::new("what another query does not find", 1.0))
    }
}
