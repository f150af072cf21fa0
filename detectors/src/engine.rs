//! Shows every event to every detector and gathers the findings. The one place that knows them all at run time; the list of them is `registry`.

use std::collections::BTreeMap;

use crate::detector::{Context, Detector, RestoreError, Rule, StateChange};
use crate::episode::{self, Episodes};
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Finding};
use crate::registry::{self, SettingsError};

const OWNER: &str = "engine";

/// Settings of all detectors, by id, as JSON objects.
pub type Settings = BTreeMap<String, serde_json::Value>;

/// The detectors at work.
pub struct Engine {
    detectors: Vec<Box<dyn Detector>>,
    episodes: Episodes,
    context: Context,
    context_changed: bool,
    found: Vec<Detection>,
    finished: Vec<Finding>,
}

impl Engine {
    /// Every detector of the registry that the settings do not switch off (`enabled = false`).
    pub fn new(settings: &Settings) -> Result<Engine, SettingsError> {
        Engine::with_rules(settings, &[])
    }

    /// The same, with Sigma rules (file name and text) beside the shipped ones.
    pub fn with_rules(settings: &Settings, rules: &[(String, String)]) -> Result<Engine, SettingsError> {
        Ok(Engine::with(registry::build_with(settings, rules)?))
    }

    /// An engine over some detectors only, for tests and backtests.
    pub fn with(detectors: Vec<Box<dyn Detector>>) -> Engine {
        Engine {
            detectors,
            episodes: Episodes::default(),
            context: Context { watermark: Millis::MIN },
            context_changed: false,
            found: Vec::new(),
            finished: Vec::new(),
        }
    }

    /// All rules, in the order of their detectors.
    pub fn rules(&self) -> Vec<Rule> {
        self.detectors.iter().flat_map(|detector| detector.rules()).collect()
    }

    /// Looks at one event. Copies of events already seen teach nothing.
    pub fn observe(&mut self, event: &Event) {
        if event.is(Field::Duplicate) {
            return;
        }
        let watermark = event.time.saturating_sub(event.origin.lateness);
        if watermark > self.context.watermark {
            self.context.watermark = watermark;
            self.context_changed = true;
        }
        for detector in &mut self.detectors {
            detector.observe(event, &self.context, &mut self.found);
        }
        for detection in self.found.drain(..) {
            self.episodes.raise(detection, event, &mut self.finished);
        }
    }

    /// The findings opened or extended since the last call.
    pub fn drain(&mut self) -> Vec<Finding> {
        let mut findings = std::mem::take(&mut self.finished);
        findings.extend(self.episodes.drain());
        findings
    }

    /// State changed since the last call, to be saved with the number of the batch it belongs to.
    pub fn changes(&mut self) -> Vec<StateChange> {
        let mut changes = self.episodes.changes();
        for detector in &mut self.detectors {
            changes.extend(detector.changes());
        }
        if std::mem::take(&mut self.context_changed) {
            let value = Some(self.context.watermark.to_le_bytes().to_vec());
            changes.push(StateChange { owner: OWNER.to_owned(), key: "watermark".to_owned(), value });
        }
        changes
    }

    /// Takes back one saved piece of state. State of a detector that is switched off is passed over.
    pub fn restore(&mut self, owner: &str, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        let damaged = || RestoreError { owner: owner.to_owned(), key: key.to_owned() };
        match owner {
            OWNER => {
                self.context.watermark = Millis::from_le_bytes(value.try_into().map_err(|_| damaged())?);
                Ok(())
            }
            episode::OWNER => self.episodes.restore(key, value),
            _ => match self.detectors.iter_mut().find(|detector| detector.id() == owner) {
                Some(detector) => detector.restore(key, value),
                None => Ok(()),
            },
        }
    }
}
