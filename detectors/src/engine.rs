//! Shows every event to every detector and gathers the findings. The one place that knows them all at run time; the list of them is `registry`.

use std::collections::BTreeMap;

use ahash::AHashMap;

use crate::allowance::{Allowances, Suppressed};
use crate::clock::Clock;
use crate::detector::{Context, Detector, RestoreError, Rule, StateChange};
use crate::episode::{self, Episodes};
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Finding, Severity};
use crate::habits::{self, Habits};
use crate::mark::{self, Files};
use crate::memory::{self, Memory, Shelf};
use crate::registry::{self, SettingsError};
use crate::sigma::Texts;
use crate::verdict::Verdict;

const OWNER: &str = "engine";

/// How many minutes of files are remembered as shown.
const MINUTES: usize = 64;

/// Settings of all detectors, by id, as JSON objects.
pub type Settings = BTreeMap<String, serde_json::Value>;

/// The detectors at work.
pub struct Engine {
    detectors: Vec<Box<dyn Detector>>,
    /// Which detectors look at events of an action; those that look at all are in every list.
    by_action: AHashMap<&'static str, Vec<usize>>,
    /// Which look at events of any other action, or none.
    otherwise: Vec<usize>,
    /// Those for whom one event of each source and minute is enough.
    by_minute: Vec<usize>,
    /// The minutes shown to those lately, by file. Only saves time: to be shown more changes nothing for them.
    minutes: [(usize, Millis); MINUTES],
    habits: Habits,
    allowances: Allowances,
    episodes: Episodes,
    files: Files,
    watermark: Watermark,
    clock: Clock,
    found: Vec<Detection>,
    finished: Vec<Finding>,
}

impl Engine {
    /// Every detector of the registry that the settings do not switch off (`enabled = false`).
    pub fn new(settings: &Settings) -> Result<Engine, SettingsError> {
        Engine::with_rules(settings, &Texts::default())
    }

    /// The same, with Sigma rules beside the shipped ones.
    pub fn with_rules(settings: &Settings, rules: &Texts) -> Result<Engine, SettingsError> {
        Ok(Engine::with(registry::build_with(settings, rules)?))
    }

    /// An engine over some detectors only, for tests and backtests.
    pub fn with(detectors: Vec<Box<dyn Detector>>) -> Engine {
        let everything = |index: &usize| -> bool {
            detectors.get(*index).is_some_and(|one| one.actions().is_empty() && !one.once_a_minute())
        };
        let by_minute = (0..detectors.len()).filter(|index| detectors[*index].once_a_minute()).collect();
        let otherwise: Vec<usize> = (0..detectors.len()).filter(everything).collect();
        let mut by_action: AHashMap<&'static str, Vec<usize>> = AHashMap::new();
        for action in detectors.iter().flat_map(|detector| detector.actions()) {
            let looking = |index: &usize| everything(index) || detectors[*index].actions().contains(action);
            by_action.insert(action, (0..detectors.len()).filter(looking).collect());
        }
        Engine {
            detectors,
            by_action,
            otherwise,
            by_minute,
            minutes: [(0, Millis::MIN); MINUTES],
            habits: Habits::default(),
            allowances: Allowances::default(),
            episodes: Episodes::default(),
            files: Files::default(),
            watermark: Watermark::default(),
            clock: Clock::default(),
            found: Vec::new(),
            finished: Vec::new(),
        }
    }

    /// Takes other Sigma rules over from the next event on; what unchanged ones remember stays. Where they are wrong nothing changes.
    pub fn reload(&mut self, rules: &Texts) -> Result<(), SettingsError> {
        self.detectors.iter_mut().try_for_each(|detector| detector.reload(rules))
    }

    /// What the operator allows: findings that it covers are not made.
    pub fn allow(&mut self, allowances: Allowances) {
        self.allowances = allowances;
    }

    /// The findings not made because of what the operator allows, since the last call.
    pub fn suppressed(&mut self) -> Vec<Suppressed> {
        self.allowances.drain()
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
        self.watermark.rise(watermark);
        self.files.note(event);
        if let Some(now) = self.clock.hear(event.time, event.origin.lateness) {
            self.memory().iter_mut().for_each(|shelf| shelf.fade(now));
        }
        let context = Context::new(self.watermark.time, Some(&self.habits));
        let action = event.text(Field::EventAction);
        let looking = action.and_then(|action| self.by_action.get(action)).unwrap_or(&self.otherwise);
        for index in looking {
            self.detectors[*index].observe(event, &context, &mut self.found);
        }
        let file = std::sync::Arc::as_ptr(&event.origin).addr();
        let minute = event.time.div_euclid(60_000);
        let place = (file >> 4).wrapping_add(minute.unsigned_abs() as usize) % MINUTES;
        if self.minutes[place] != (file, minute) {
            self.minutes[place] = (file, minute);
            for index in &self.by_minute {
                self.detectors[*index].observe(event, &context, &mut self.found);
            }
        }
        let mut doubtful = false;
        if !self.found.is_empty() {
            self.allowances.sift(&mut self.found, event);
            doubtful = self.told(event);
        }
        self.habits.learn(event);
        // After it is learned: of what the event itself has shown, too.
        if doubtful {
            self.habits.doubt(event);
        }
    }

    /// Lets the detectors hear what was found, and makes findings of it. Whether it casts doubt on what was new at the event.
    fn told(&mut self, event: &Event) -> bool {
        let context = Context::new(self.watermark.time, Some(&self.habits));
        for detector in &mut self.detectors {
            if self.found.is_empty() {
                break;
            }
            let mut more = Vec::new();
            detector.hear(&self.found, event, &context, &mut more);
            if !more.is_empty() {
                self.allowances.sift(&mut more, event);
                self.found.append(&mut more);
            }
        }
        let doubtful = self.found.iter().any(|detection| detection.severity >= Severity::Medium);
        for detection in self.found.drain(..) {
            self.episodes.raise(detection, event, &self.files, &mut self.finished);
        }
        doubtful
    }

    /// Says that it is `now`, for what is decided by the absence of events. The pipeline calls it in event time's stead, journalled.
    pub fn tick(&mut self, now: Millis) {
        let mut found = Vec::new();
        for detector in &mut self.detectors {
            detector.tick(now, &mut found);
        }
        for (event, detection) in found {
            self.found.push(detection);
            self.allowances.sift(&mut self.found, &event);
            if self.told(&event) {
                self.habits.doubt(&event);
            }
        }
    }

    /// Hears what a person said of a finding; the pipeline calls it between two batches, journalled.
    pub fn settle(&mut self, verdict: &Verdict) {
        self.habits.settle(verdict);
        for detector in &mut self.detectors {
            detector.settle(verdict);
        }
    }

    /// The findings opened or extended since the last call.
    pub fn drain(&mut self) -> Vec<Finding> {
        let mut findings = std::mem::take(&mut self.finished);
        findings.extend(self.episodes.drain());
        findings
    }

    /// Everything remembered, to be saved with the number of the batch it belongs to.
    pub fn memory(&mut self) -> Vec<Shelf<'_>> {
        let mut shelves = vec![self.episodes.memory(), self.files.memory()];
        shelves.extend(self.habits.memory());
        shelves.extend(self.detectors.iter_mut().flat_map(|detector| detector.memory()));
        shelves.push(Shelf::of(&mut self.watermark));
        shelves
    }

    /// What changed of it since the last call, all at once.
    pub fn changes(&mut self) -> Vec<StateChange> {
        memory::all(self.memory())
    }

    /// Takes back one saved piece of state. State of a detector that is switched off is passed over.
    pub fn restore(&mut self, owner: &str, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        let damaged = || RestoreError { owner: owner.to_owned(), key: key.to_owned() };
        match owner {
            OWNER => {
                self.watermark = Watermark::at(Millis::from_le_bytes(value.try_into().map_err(|_| damaged())?));
                Ok(())
            }
            mark::OWNER => self.files.restore(key, value),
            episode::OWNER => self.episodes.restore(key, value),
            habits::OWNER => self.habits.restore(key, value),
            _ => match self.detectors.iter_mut().find(|detector| detector.id() == owner) {
                Some(detector) => detector.restore(key, value),
                None => Ok(()),
            },
        }
    }
}

/// The time before which no event is expected any more.
struct Watermark {
    time: Millis,
    saved: Millis,
    waiting: Option<Millis>,
}

impl Default for Watermark {
    fn default() -> Self {
        Watermark::at(Millis::MIN)
    }
}

impl Watermark {
    fn at(time: Millis) -> Watermark {
        Watermark { time, saved: time, waiting: None }
    }

    fn rise(&mut self, time: Millis) {
        self.time = self.time.max(time);
    }
}

impl Memory for Watermark {
    fn owner(&self) -> &'static str {
        OWNER
    }

    fn len(&self) -> usize {
        1
    }

    fn mark(&mut self) {
        self.waiting = (self.time != self.saved).then_some(self.time);
        self.saved = self.time;
    }

    fn take(&mut self, give: &mut dyn FnMut(&str, Option<Vec<u8>>)) -> bool {
        let Some(time) = self.waiting.take() else { return false };
        give("watermark", Some(time.to_le_bytes().to_vec()));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BERLIN, event};

    struct Counts(&'static [&'static str], std::sync::Arc<std::sync::atomic::AtomicUsize>);

    impl Detector for Counts {
        fn id(&self) -> &'static str {
            "counts"
        }

        fn rules(&self) -> Vec<Rule> {
            Vec::new()
        }

        fn actions(&self) -> &'static [&'static str] {
            self.0
        }

        fn observe(&mut self, _: &Event, _: &Context, _: &mut Vec<Detection>) {
            self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }

        fn restore(&mut self, _: &str, _: &[u8]) -> Result<(), RestoreError> {
            Ok(())
        }
    }

    #[test]
    fn a_detector_is_shown_the_actions_it_names_and_one_that_names_none_is_shown_all() {
        let counts = [(); 3].map(|()| std::sync::Arc::<std::sync::atomic::AtomicUsize>::default());
        let of = |actions, nth: usize| -> Box<dyn Detector> { Box::new(Counts(actions, counts[nth].clone())) };
        let mut engine = Engine::with(vec![of(&["login"], 0), of(&[], 1), of(&["login", "export"], 2)]);
        for action in ["login", "export", "view", "login"] {
            engine.observe(&event(0, "mia", BERLIN, action, -1));
        }
        assert_eq!(counts.map(|count| count.load(std::sync::atomic::Ordering::Relaxed)), [2, 4, 3]);
    }
}
