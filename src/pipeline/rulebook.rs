//! What people change between two batches: which Sigma rules are in force, and what was said of findings. From which batch on is in the ledger,
//! so that a crash repeats each batch under the rules and verdicts it was first read under. Not for what either means (`detectors`) nor for
//! reading rule files (`config`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crmwatch_detectors::sigma::Texts;
use crmwatch_detectors::{Engine, Verdict};

use crate::alert::Manuals;
use crate::config::{Config, DetectionError};
use crate::ledger::{Ledger, LedgerError};

/// The rules the operator wants in force. Cheap to clone.
#[derive(Clone)]
pub(super) struct Rulebook {
    wanted: Arc<Mutex<Arc<Texts>>>,
    turn: Arc<AtomicU64>,
    manuals: Manuals,
}

impl Rulebook {
    pub(super) fn new(texts: Texts) -> Rulebook {
        Rulebook { wanted: Arc::new(Mutex::new(Arc::new(texts))), turn: Arc::default(), manuals: Manuals::default() }
    }

    /// What stands in it now.
    pub(super) fn wanted(&self) -> Arc<Texts> {
        Arc::clone(&self.wanted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Others come into force with the next batch. False where they are the same.
    pub(super) fn want(&self, texts: Texts) -> bool {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let other = **wanted != texts;
        if other {
            *wanted = Arc::new(texts);
            self.turn.fetch_add(1, Ordering::AcqRel);
        }
        other
    }

    /// Changes whenever other rules are wanted.
    pub(super) fn turn(&self) -> u64 {
        self.turn.load(Ordering::Acquire)
    }

    /// What the alert stage explains findings with.
    pub(super) fn manuals(&self) -> &Manuals {
        &self.manuals
    }
}

/// The rules of a session: at first those the saved state belongs to, then those of each later batch, at last the wanted ones.
pub(super) struct Inforce {
    /// Batch and rules that are in force from it on, still to come.
    to_come: std::collections::VecDeque<(u64, Texts)>,
    /// Those in force.
    texts: Arc<Texts>,
    /// Batch and what the detectors heard before it, still to be heard again.
    to_hear: std::collections::VecDeque<(u64, Verdict)>,
}

impl Inforce {
    /// The engine of the saved state, under the rules of its time.
    pub(super) fn begin(
        config: &Config,
        rulebook: &Rulebook,
        ledger: &mut Ledger,
    ) -> Result<(Engine, Inforce), BeginError> {
        let state = ledger.state_batch()?;
        let mut of_old = ledger.rules()?;
        let first_later = of_old.iter().position(|(batch, _)| *batch > state).unwrap_or(of_old.len());
        let to_come: std::collections::VecDeque<_> = of_old.split_off(first_later).into();
        let wanted = rulebook.wanted();
        let texts = match of_old.pop() {
            Some((_, texts)) => Arc::new(texts),
            None => {
                // New, or written by a program that kept no record.
                ledger.set_rules(0, &wanted)?;
                wanted
            }
        };
        let to_hear = ledger.heard_verdicts(state)?.into();
        match config.engine_with(&texts) {
            Ok(engine) => Ok((engine, Inforce { to_come, texts, to_hear })),
            Err(error) => {
                let wanted = rulebook.wanted();
                tracing::warn!(%error, "the rules in force at the last stop are not understood any more; what they had begun to find is begun anew");
                let engine = config.engine_with(&wanted)?;
                Ok((engine, Inforce { to_come, texts: wanted, to_hear }))
            }
        }
    }

    /// Brings into force what is due by a batch that is about to be read again.
    pub(super) fn before(&mut self, batch: u64, engine: &mut Engine) {
        while let Some((_, verdict)) = self.to_hear.pop_front_if(|(from, _)| *from <= batch) {
            engine.settle(&verdict);
        }
        while let Some((_, texts)) = self.to_come.pop_front_if(|(from, _)| *from <= batch) {
            match engine.reload(&texts) {
                Ok(()) => self.texts = Arc::new(texts),
                Err(error) => {
                    tracing::warn!(%error, "rules of an earlier reload are not understood any more and left out")
                }
            }
        }
    }

    /// Lets the detectors hear what people have said of findings, before the batch after `last`.
    pub(super) fn hear(last: u64, ledger: &mut Ledger, engine: &mut Engine) -> Result<(), LedgerError> {
        for verdict in ledger.hear_verdicts(last + 1)? {
            engine.settle(&verdict);
            tracing::info!(rule = &*verdict.rule, harmless = verdict.harmless, "a verdict is heard by the detectors");
        }
        Ok(())
    }

    /// Brings the wanted rules into force with the batch after `last`, if they are not; where they cannot be, the old ones stay.
    pub(super) fn renew(
        &mut self,
        last: u64,
        rulebook: &Rulebook,
        ledger: &mut Ledger,
        engine: &mut Engine,
    ) -> Result<(), LedgerError> {
        self.before(u64::MAX, engine);
        let wanted = rulebook.wanted();
        if *self.texts != *wanted {
            if let Err(error) = engine.reload(&wanted) {
                tracing::error!(%error, "the rules cannot be taken over; the old ones stay in force");
                return Ok(());
            }
            ledger.set_rules(last + 1, &wanted)?;
            tracing::info!(files = wanted.files.len(), batch = last + 1, "other rules are in force from this batch on");
            self.texts = wanted;
        }
        rulebook.manuals.put(engine.rules());
        Ok(())
    }
}

/// A session's rules cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum BeginError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Detection(#[from] DetectionError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(least: u8) -> Texts {
        Texts::one(
            "own.yml",
            &format!(
                "title: Own\nname: own\nlogsource: {{product: crm}}\ndetection:\n  s: {{crm.records|gte: {least}}}\n  condition: s\n"
            ),
        )
    }

    fn config() -> Config {
        Config::parse(std::path::Path::new("crmwatch.toml"), "[[source]]\nname = \"a\"\npaths = [\"/nowhere\"]\n")
            .expect("right")
    }

    #[test]
    fn each_batch_is_read_again_under_the_rules_it_was_first_read_under() {
        let folder = tempfile::tempdir().expect("a folder");
        let (config, book) = (config(), Rulebook::new(rule(1)));
        let mut ledger = Ledger::open(folder.path()).expect("made");
        let (mut engine, mut inforce) = Inforce::begin(&config, &book, &mut ledger).expect("begins");
        inforce.renew(0, &book, &mut ledger, &mut engine).expect("nothing to do");
        assert!(book.want(rule(2)) && !book.want(rule(2)));
        inforce.renew(7, &book, &mut ledger, &mut engine).expect("renewed");
        // Killed, and changed on disk meanwhile.
        let book = Rulebook::new(rule(3));
        let (mut engine, mut inforce) = Inforce::begin(&config, &book, &mut ledger).expect("begins");
        let mut seen = Vec::new();
        for batch in 6..=9 {
            inforce.before(batch, &mut engine);
            seen.push(inforce.texts.files[0].1.contains("gte: 2"));
        }
        assert_eq!(seen, [false, false, true, true]);
        inforce.renew(9, &book, &mut ledger, &mut engine).expect("renewed");
        assert_eq!(*inforce.texts, rule(3));
        assert_eq!(ledger.rules().expect("read").iter().map(|(batch, _)| *batch).collect::<Vec<_>>(), [0, 8, 10]);
    }

    #[test]
    fn rules_that_are_wrong_change_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let (config, book) = (config(), Rulebook::new(rule(1)));
        let mut ledger = Ledger::open(folder.path()).expect("made");
        let (mut engine, mut inforce) = Inforce::begin(&config, &book, &mut ledger).expect("begins");
        book.want(Texts::one("own.yml", "title: [\n"));
        inforce.renew(3, &book, &mut ledger, &mut engine).expect("the old ones stay");
        assert_eq!(*inforce.texts, rule(1));
        assert_eq!(ledger.rules().expect("read").len(), 1);
    }
}
