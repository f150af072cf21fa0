//! What detectors of one rule with one kind of state have in common: settings, state, the manual, saving. Such a detector names its parts
//! in an `impl Watch`, and the registry builds it with [`build`]. Not for detectors of several kinds of state; those write `Detector`.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::detector::{Context, Detector, RestoreError, Rule};
use crate::event::{Event, Millis};
use crate::finding::{Detection, Severity};
use crate::keyed::{Keyed, Resident};
use crate::manual::Manual;
use crate::memory::Shelf;
use crate::verdict::Verdict;

/// A rule and how it is decided.
pub trait Watch: Sized + 'static {
    /// The rule's id; of its settings and state, too.
    const ID: &'static str;
    /// The text of its file, for the manual.
    const SOURCE: &'static str;
    /// The severity it normally reaches.
    const SEVERITY: Severity;
    /// ATT&CK technique ids.
    const TECHNIQUES: &'static [&'static str];
    /// The actions it looks at; none for all.
    const ACTIONS: &'static [&'static str];
    /// How many keys of state are held.
    const CAPACITY: usize = 100_000;
    /// See [`Detector::once_a_minute`].
    const ONCE_A_MINUTE: bool = false;
    /// How long after a key was touched what is remembered of it can matter at most, in milliseconds; none where it is kept for as long as there is room.
    /// See [`Keyed::lasting`].
    fn lasting(_settings: &Self::Settings) -> Option<Millis> {
        None
    }
    /// What an operator may set.
    type Settings: Serialize + DeserializeOwned + Default + Send;
    /// What is remembered of one key.
    type State: Resident + Send;

    /// A detection of this rule about an event's own entity; the sentences are to be filled in.
    fn detection(event: &Event, severity: Severity) -> Detection {
        Detection { techniques: Self::TECHNIQUES.to_vec(), ..Detection::about(event, Self::ID, severity) }
    }

    /// See [`Detector::observe`].
    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>);

    /// See [`Detector::hear`].
    fn hear(
        _at: &mut Post<'_, Self>,
        _found: &[Detection],
        _event: &Event,
        _context: &Context,
        _out: &mut Vec<Detection>,
    ) {
    }

    /// See [`Detector::settle`]; heard only of this rule's own findings.
    fn settle(_at: &mut Post<'_, Self>, _verdict: &Verdict) {}

    /// See [`Detector::tick`].
    fn tick(_at: &mut Post<'_, Self>, _now: Millis, _out: &mut Vec<(Event, Detection)>) {}
}

/// Where a watch stands: its settings and what it remembers.
pub struct Post<'p, W: Watch> {
    /// As the operator has set them.
    pub settings: &'p W::Settings,
    /// What is remembered.
    pub states: &'p mut Keyed<W::State>,
}

impl<W: Watch> Post<'_, W> {
    /// Changes what is remembered of those that a verdict is about, where anything is.
    pub fn each_judged(&mut self, verdict: &Verdict, mut change: impl FnMut(&mut W::State)) {
        for subject in &verdict.subjects {
            if self.states.get(subject).is_some() {
                change(self.states.touch(subject, Millis::MIN));
            }
        }
    }
}

/// A watch as a detector.
pub struct Watching<W: Watch> {
    settings: W::Settings,
    states: Keyed<W::State>,
}

/// For the registry.
pub fn build<W: Watch>(settings: &serde_json::Value) -> Result<Box<dyn Detector>, serde_json::Error> {
    let settings = <W::Settings as serde::Deserialize>::deserialize(settings)?;
    let states = Keyed::new(W::ID, W::CAPACITY);
    let states = match W::lasting(&settings) {
        Some(lasting) => states.lasting(lasting),
        None => states,
    };
    Ok(Box::new(Watching::<W> { settings, states }))
}

impl<W: Watch> Watching<W> {
    fn post(&mut self) -> Post<'_, W> {
        Post { settings: &self.settings, states: &mut self.states }
    }
}

impl<W: Watch> Detector for Watching<W> {
    fn id(&self) -> &'static str {
        W::ID
    }

    fn rules(&self) -> Vec<Rule> {
        vec![Rule {
            id: W::ID.to_owned(),
            manual: Manual::from_source(W::SOURCE),
            severity: W::SEVERITY,
            techniques: W::TECHNIQUES.iter().map(|one| (*one).to_owned()).collect(),
            settings: serde_json::to_value(&self.settings).unwrap_or_default(),
        }]
    }

    fn actions(&self) -> &'static [&'static str] {
        W::ACTIONS
    }

    fn once_a_minute(&self) -> bool {
        W::ONCE_A_MINUTE
    }

    fn observe(&mut self, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        W::look(&mut self.post(), event, context, out);
    }

    fn hear(&mut self, found: &[Detection], event: &Event, context: &Context, out: &mut Vec<Detection>) {
        W::hear(&mut self.post(), found, event, context, out);
    }

    fn tick(&mut self, now: Millis, out: &mut Vec<(Event, Detection)>) {
        W::tick(&mut self.post(), now, out);
    }

    fn memory(&mut self) -> Vec<Shelf<'_>> {
        vec![Shelf::of(&mut self.states)]
    }

    fn settle(&mut self, verdict: &Verdict) {
        if &*verdict.rule == W::ID {
            W::settle(&mut self.post(), verdict);
        }
    }

    fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        self.states.restore(key, value)
    }
}

impl Resident for () {}
