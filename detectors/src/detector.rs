//! What every detector is: a pure function of the events it is shown, with state that can be saved and brought back.
//! Not for any particular detector; those are listed in `registry`.

use std::cell::OnceCell;

use crate::event::{Event, Millis};
use crate::finding::{Detection, Severity};
use crate::habits::{Habits, View};
use crate::manual::Manual;
use crate::memory::{self, Shelf};
use crate::verdict::Verdict;

/// What a detector may know besides the event; made anew for each event, since what several detectors ask about it is found out once.
#[derive(Debug, Default)]
pub struct Context<'h> {
    /// No event older than this is expected any more: what baselines may learn.
    pub watermark: Millis,
    /// What is usual for whom, before this event.
    pub habits: Option<&'h Habits>,
    view: OnceCell<View<'h>>,
    guest: OnceCell<bool>,
}

impl<'h> Context<'h> {
    /// For one event.
    pub fn new(watermark: Millis, habits: Option<&'h Habits>) -> Context<'h> {
        Context { watermark, habits, view: OnceCell::new(), guest: OnceCell::new() }
    }

    /// How usual this event's surroundings are for whom it is about.
    pub fn view(&self, event: &Event) -> &View<'h> {
        self.view.get_or_init(|| View::of(self.habits, event))
    }

    /// Whether nobody in particular did it.
    pub fn is_guest(&self, event: &Event) -> bool {
        *self.guest.get_or_init(|| crate::guest_enumeration::is_guest(event))
    }
}

/// One rule as `crmwatch detectors list` shows it.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The stable id.
    pub id: String,
    /// What it is, why, and what to do.
    pub manual: Manual,
    /// The severity it normally reaches.
    pub severity: Severity,
    /// ATT&CK technique ids.
    pub techniques: Vec<String>,
    /// The settings in force, as JSON.
    pub settings: serde_json::Value,
}

/// One changed piece of a detector's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// The owner: a detector's id, or a part of the engine.
    pub owner: &'static str,
    /// The key within the owner.
    pub key: String,
    /// The state's bytes; nothing where the key was dropped.
    pub value: Option<Vec<u8>>,
}

/// Saved state that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("saved state of {owner} for {key:?} cannot be read: it is damaged or from a newer program")]
pub struct RestoreError {
    /// Whose.
    pub owner: String,
    /// Which.
    pub key: String,
}

/// Watches events and decides. No clock, no file, no network, no randomness; time is the event's.
pub trait Detector: Send {
    /// The owner's name of its state; for a detector of one rule, the rule's id.
    fn id(&self) -> &'static str;

    /// The rules it decides on.
    fn rules(&self) -> Vec<Rule>;

    /// The values of `event.action` it looks at; none for all. The engine does not show it any other event.
    fn actions(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether one event of each source and minute is enough for it: the engine shows it no more.
    fn once_a_minute(&self) -> bool {
        false
    }

    /// Looks at one event. Events come in the order of arrival, up to their source's lateness behind each other.
    fn observe(&mut self, event: &Event, context: &Context, out: &mut Vec<Detection>);

    /// Hears what others have just found at this event, those before it in the list; what it finds itself is added.
    fn hear(&mut self, _found: &[Detection], _event: &Event, _context: &Context, _out: &mut Vec<Detection>) {}

    /// Hears that time has passed though nothing may have happened: `now` is no event's time but the pipeline's, and journalled like an
    /// event. What it finds is decided by an event that stands for the silence.
    fn tick(&mut self, _now: Millis, _out: &mut Vec<(Event, Detection)>) {}

    /// Hears what a person said of a finding, for baselines that waited for it. Hearing it again changes nothing more.
    fn settle(&mut self, _verdict: &Verdict) {}

    /// Takes the operator's other Sigma rules over; of interest to one detector only.
    fn reload(&mut self, _rules: &crate::sigma::Texts) -> Result<(), crate::registry::SettingsError> {
        Ok(())
    }

    /// Everything it remembers.
    fn memory(&mut self) -> Vec<Shelf<'_>> {
        Vec::new()
    }

    /// What changed of it since the last call, in an order that depends on nothing but the state.
    fn changes(&mut self) -> Vec<StateChange> {
        memory::all(self.memory())
    }

    /// Takes back one saved piece of state.
    fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), RestoreError>;
}
