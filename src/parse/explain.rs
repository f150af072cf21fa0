//! Listens to a grammar: what it made of each record, and how `auto` chose. Not for how that is told to a person (`cli::explain`).

use std::sync::{Arc, Mutex, PoisonError};

use crmwatch_detectors::Event;

use super::{Framing, Grammar, Verdict};

/// What was made of one record.
#[derive(Debug)]
pub struct Told {
    /// As the grammar got it.
    pub record: String,
    /// What it said.
    pub verdict: Verdict,
    /// The format in use after it.
    pub format: &'static str,
    /// What `auto` weighed, where it had to.
    pub choice: Option<Choice>,
    /// Events the grammar made.
    pub events: usize,
}

/// How `auto` chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The format in use before, and why it refused the record, if it did.
    pub before: Option<(&'static str, Option<&'static str>)>,
    /// The formats that may fit, the surest first.
    pub candidates: Vec<Candidate>,
}

/// A format that may fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: &'static str,
    /// How sure it is, 0 to 100.
    pub score: u8,
    /// What came of it.
    pub answer: Answer,
}

/// What came of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It read the record and is in use from now on.
    Taken,
    /// It read the record and refused it, for this reason.
    Refused(&'static str),
    /// It was not asked: a surer one took the record, or it is no surer than the one in use.
    NotAsked,
}

/// Where what is told waits to be read.
#[derive(Debug, Clone, Default)]
pub struct Account(Arc<Mutex<Vec<Told>>>);

impl Account {
    /// What was told since the last time.
    pub fn take(&self) -> Vec<Told> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A grammar that gives account of itself.
pub struct Explained {
    grammar: Box<dyn Grammar>,
    account: Account,
}

impl Explained {
    /// Around a grammar.
    pub fn new(mut grammar: Box<dyn Grammar>, account: &Account) -> Explained {
        grammar.explain();
        Explained { grammar, account: account.clone() }
    }
}

impl Grammar for Explained {
    fn framing(&self, line: &[u8]) -> Framing {
        self.grammar.framing(line)
    }

    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let before = events.len();
        let verdict = self.grammar.parse(record, events);
        let told = Told {
            record: record.to_owned(),
            verdict,
            format: self.grammar.format(),
            choice: self.grammar.choice(),
            events: events.len().saturating_sub(before),
        };
        self.account.0.lock().unwrap_or_else(PoisonError::into_inner).push(told);
        verdict
    }

    fn state(&self) -> String {
        self.grammar.state()
    }

    fn resume(&mut self, state: &str) {
        self.grammar.resume(state);
    }

    fn format(&self) -> &'static str {
        self.grammar.format()
    }
}
