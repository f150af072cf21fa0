//! Sigma rules and correlations as one detector: rules shipped inside the program and those an operator adds.
//! Single events are decided by `rsigma-eval`; correlations by our own windows, because they go by event time, cost the same
//! whatever they hold, and are saved group by group. Not for detectors Sigma cannot say; those are files of their own.
//!
//! | to find | look in |
//! | --- | --- |
//! | how texts become rules, what is refused | [`load`], `link`, `document`, `aggregation`, `keywords`, `placeholders`, `selectors`, `strict`, `unsupported` |
//! | rules taken over while others are at work | `Sigma::reload`, [`Texts`] |
//! | the `crmwatch:` block of a rule | [`attributes`] |
//! | our event as Sigma sees it | `event` |
//! | which rules are asked about an event | `prefilter`, `index` |
//! | the names of public rules | `dialect`, `record` |
//! | windows, sequences | `window`, `correlation` |
//! | what is said | `voice`, `template` |
//! | rules' own tests | [`trial`] |

mod aggregation;
pub mod attributes;
mod correlation;
mod dialect;
mod document;
mod event;
mod index;
mod keywords;
mod link;
pub mod load;
mod placeholders;
mod prefilter;
mod print;
mod record;
mod selectors;
mod settings;
mod strict;
pub(crate) mod template;
mod texts;
pub(crate) mod traces;
pub mod trial;
mod unsupported;
mod voice;
pub(crate) mod window;

#[cfg(test)]
mod conformance_tests;
#[cfg(test)]
mod dialect_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ahash::AHashMap;
use rsigma_parser::LogSource;

use crate::detector::{Context, Detector, RestoreError, Rule};
use crate::engine::Settings;
use crate::entity::{self, entity_key};
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Identities};
use crate::keyed::Keyed;
use crate::memory::Shelf;
use crate::registry::SettingsError;

use correlation::{Correlation, Group, Met};
use dialect::Dialect;
use event::View;
use index::Index;
pub use load::{LoadError, load};
use load::{Loaded, Logic};
use record::Record;
use template::Figures;
pub use texts::Texts;
use traces::{Named, Trace};

/// The name under which the windows are saved.
pub const OWNER: &str = "sigma";

/// The rules inside the program: file name and text.
pub const SHIPPED: &[(&str, &str)] = &[("brute-force.yml", include_str!("../../rules/brute-force.yml"))];

/// The ids of the shipped rules, which may have settings.
pub const SHIPPED_IDS: &[&str] = &["brute-force"];

/// Groups of all correlations together.
const CAPACITY: usize = 100_000;
const LEAST_QUIET: Millis = 30 * 60_000;

/// Rules at work.
pub struct Sigma {
    rules: Arc<Rules>,
    groups: Keyed<Group>,
    /// A rule whose detections are wanted though it is only a part of others; for its own tests.
    listened: Option<usize>,
    /// Those of the shipped rules.
    settings: Settings,
}

/// The shipped rules as the settings have them, and the operator's.
fn rules(settings: &Settings, extra: &Texts) -> Result<Arc<Rules>, SettingsError> {
    let mut loaded = load(&extra.with_shipped())?;
    for rule in &mut loaded {
        if SHIPPED_IDS.contains(&rule.id.as_str())
            && let Some(own) = settings.get(&rule.id)
        {
            settings::apply(rule, own).map_err(|problem| SettingsError::Setting { id: rule.id.clone(), problem })?;
        }
    }
    Ok(Arc::new(Rules::new(loaded)))
}

/// Loaded rules with what finds those an event concerns.
pub(crate) struct Rules {
    pub(crate) loaded: Vec<Loaded>,
    ids: Vec<Arc<str>>,
    by_action: AHashMap<String, Vec<usize>>,
    /// Rules that no action tells from others, by whose names they use and their log source.
    always: Vec<(Option<Dialect>, Vec<(LogSource, Index)>)>,
}

impl Rules {
    pub(crate) fn new(loaded: Vec<Loaded>) -> Rules {
        let mut by_action: AHashMap<String, Vec<usize>> = AHashMap::new();
        let mut places: Vec<(Option<Dialect>, Vec<(LogSource, Vec<usize>)>)> = Vec::new();
        for (index, rule) in loaded.iter().enumerate() {
            match &rule.logic {
                Logic::Single { actions: Some(actions), .. } => {
                    for action in actions {
                        by_action.entry(action.clone()).or_default().push(index);
                    }
                }
                Logic::Single { actions: None, source, dialect, .. } => {
                    let source = LogSource { definition: None, ..source.clone() };
                    let of_dialect = match places.iter().position(|(known, _)| known == dialect) {
                        Some(place) => &mut places[place].1,
                        None => {
                            places.push((*dialect, Vec::new()));
                            &mut places.last_mut().expect("pushed just now").1
                        }
                    };
                    match of_dialect.iter_mut().find(|(known, _)| *known == source) {
                        Some((_, rules)) => rules.push(index),
                        None => of_dialect.push((source, vec![index])),
                    }
                }
                Logic::Correlation(_) => {}
            }
        }
        let needles = |index: &usize| match &loaded[*index].logic {
            Logic::Single { needles, .. } => (*index, needles.as_ref()),
            Logic::Correlation(_) => (*index, None),
        };
        let indexed = |(source, rules): (LogSource, Vec<usize>)| (source, Index::of(rules.iter().map(needles)));
        let always = places
            .into_iter()
            .map(|(dialect, sources)| (dialect, sources.into_iter().map(indexed).collect()))
            .collect();
        let ids = loaded.iter().map(|rule| rule.id.as_str().into()).collect();
        Rules { loaded, ids, by_action, always }
    }

    /// The rules worth asking about an event, in their order.
    fn candidates(&self, view: &View<'_, '_>) -> Vec<usize> {
        let event = view.event;
        let named = event.text(Field::EventAction).and_then(|action| {
            if action.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
                self.by_action.get(&action.to_lowercase())
            } else {
                self.by_action.get(action)
            }
        });
        let fits = |index: &&usize| match &self.loaded[**index].logic {
            Logic::Single { source, dialect, .. } => prefilter::source_fits(source, *dialect, event),
            Logic::Correlation(_) => false,
        };
        let mut all: Vec<usize> = named.into_iter().flatten().filter(fits).copied().collect();
        for (dialect, sources) in &self.always {
            if !dialect.is_none_or(|dialect| dialect.speaks(event)) {
                continue;
            }
            let view = View { event, record: view.record, dialect: *dialect };
            for (source, index) in sources {
                let fits = match dialect {
                    Some(dialect) => dialect.serves(source, event),
                    None => prefilter::source_fits(source, None, event),
                };
                if fits {
                    index.candidates(&view, &mut all);
                }
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// One match on its way into a correlation.
struct Arrival {
    rule: usize,
    input: usize,
    at: Millis,
    traces: Vec<Trace>,
}

impl Sigma {
    /// The shipped rules with an operator's settings, and the operator's own rules.
    pub fn new(settings: &Settings, extra: &Texts) -> Result<Sigma, SettingsError> {
        let mut sigma = Sigma::over(rules(settings, extra)?, None);
        sigma.settings.extend(
            settings
                .iter()
                .filter(|(id, _)| SHIPPED_IDS.contains(&id.as_str()))
                .map(|(id, own)| (id.clone(), own.clone())),
        );
        Ok(sigma)
    }

    /// Some rules alone, with no settings.
    pub fn of(texts: &Texts) -> Result<Sigma, LoadError> {
        Ok(Sigma::over(Arc::new(Rules::new(load(texts)?)), None))
    }

    pub(crate) fn over(rules: Arc<Rules>, listened: Option<usize>) -> Sigma {
        Sigma { rules, groups: Keyed::new(OWNER, CAPACITY), listened, settings: Settings::new() }
    }

    fn finds(&self, rule: usize) -> bool {
        self.rules.loaded[rule].finds || self.listened == Some(rule)
    }

    fn take(&mut self, view: &View<'_, '_>, arrival: Arrival, waiting: &mut Vec<Arrival>, out: &mut Vec<Detection>) {
        let (rules, event) = (Arc::clone(&self.rules), view.event);
        let rule = &rules.loaded[arrival.rule];
        let Logic::Correlation(correlation) = &rule.logic else { return };
        let Some(values) = correlation.group(arrival.input, view) else { return };
        let key = Correlation::key(&rule.id, &values);
        let finds = self.finds(arrival.rule);
        let group = self.groups.touch(&key, arrival.at);
        let alone = arrival.traces.iter().all(|trace| trace.reference.id == event.id);
        for trace in arrival.traces {
            group.traces.add(trace, correlation.span.saturating_add(correlation.reach));
        }
        let Some(mut met) = correlation.take(group, arrival.input, view, arrival.at) else {
            group.told = false;
            return;
        };
        let quiet = correlation.span.max(LEAST_QUIET);
        let earliest = met.found.from.saturating_sub(correlation.reach);
        let Group { traces, episode, told, .. } = group;
        let held = traces.between(earliest, met.found.to);
        met.found.from = held.clone().next().map_or(met.found.from, |trace| trace.time.min(met.found.from));
        let open = episode.filter(|(last, _)| arrival.at <= last.saturating_add(quiet));
        let (last, total) = match open {
            Some((last, total)) => (last.max(met.found.to), total + 1),
            None => (met.found.to, counted(correlation, &met).max(held.clone().count() as u64)),
        };
        *episode = Some((last, total));
        // What goes on rests on one event more.
        let fresh = || if open.is_some() { vec![Trace::of(event)] } else { held.clone().cloned().collect() };
        for (parent, input) in &rule.feeds {
            waiting.push(Arrival { rule: *parent, input: *input, at: met.found.met, traces: fresh() });
        }
        if !finds {
            return;
        }
        let evidence = if open.is_some() {
            Vec::new()
        } else {
            held.clone().map(|trace| &trace.reference).filter(|one| one.id != event.id).cloned().collect()
        };
        let mut entity = Identities::default();
        let mut primary = None;
        for (name, value) in correlation.group_names.iter().zip(&values) {
            let (name, shown) =
                if name == Field::Entity.name() { entity_parts(value) } else { (name.as_str(), value.as_str()) };
            entity.add(name, shown);
            primary = primary.or_else(|| Field::from_name(name).map(Field::name));
        }
        let grouped = values.first().cloned();
        let voice = &rule.voice;
        let by_group = voice.primary.or(primary).is_some_and(|name| entity.first(name).is_some());
        let mut named = Named::by(held);
        let told_before = std::mem::replace(told, true);
        let leading = entity.clone();
        if open.is_some() && alone && by_group && told_before {
            // Everybody else was named before: only what is new is said again.
            entity.add_event(event);
            named.drop_beyond(&leading, &mut entity);
        } else {
            named.add_to(&mut entity);
            named = Named::default();
            entity.add_event(event);
        }
        let leading = if named.is_empty() { &entity } else { &leading };
        let who = grouped.unwrap_or_else(|| entity_key(event).into_owned());
        let who = entity_parts(&who).1.to_owned();
        let figures = Figures {
            count: met.found.amount,
            full: met.full,
            total,
            span: correlation.span,
            threshold: correlation.threshold(),
            who: &who,
            leading,
            named: &named,
            entity: &entity,
            event,
        };
        let detection = Detection {
            rule: Arc::clone(&rules.ids[arrival.rule]),
            severity: voice.severity,
            primary: "",
            subject: key,
            summary: template::fill(&voice.summary, &figures),
            observed: template::fill(&voice.observed, &figures),
            expected: template::fill(&voice.expected, &figures),
            window: (met.found.from, met.found.to),
            evidence,
            evidence_count: total,
            techniques: voice.techniques.clone(),
            parts: vec![("count", met.found.amount)],
            quiet,
            entity,
        };
        out.push(with_primary(detection, voice.primary.or(primary), event));
    }

    fn single(&self, index: usize, event: &Event) -> Detection {
        let rule = &self.rules.loaded[index];
        let mut entity = Identities::default();
        entity.add_event(event);
        let subject = entity_key(event).into_owned();
        let figures = Figures {
            count: 1.0,
            full: false,
            total: 1,
            span: 0,
            threshold: 1,
            who: entity_parts(&subject).1,
            leading: &entity,
            named: &Named::default(),
            entity: &entity,
            event,
        };
        let voice = &rule.voice;
        let detection = Detection {
            rule: Arc::clone(&self.rules.ids[index]),
            severity: voice.severity,
            primary: "",
            summary: template::fill(&voice.summary, &figures),
            observed: template::fill(&voice.observed, &figures),
            expected: template::fill(&voice.expected, &figures),
            subject: subject.clone(),
            window: (event.time, event.time),
            evidence: Vec::new(),
            evidence_count: 1,
            techniques: voice.techniques.clone(),
            parts: Vec::new(),
            quiet: LEAST_QUIET,
            entity,
        };
        with_primary(detection, voice.primary, event)
    }
}

/// How many events stand behind a window that has just met its condition.
fn counted(correlation: &Correlation, met: &Met) -> u64 {
    match correlation.kind {
        rsigma_parser::CorrelationType::EventCount => met.found.amount as u64,
        _ => 1,
    }
}

/// `user:alice` is the name `user.name` and the value `alice`.
fn entity_parts(key: &str) -> (&'static str, &str) {
    let (word, value) = key.split_once(':').unwrap_or(("", key));
    match entity::ORDER.into_iter().find(|(_, one)| *one == word) {
        Some((Field::Person, _)) => (Field::UserName.name(), value),
        Some((field, _)) => (field.name(), value),
        None => (Field::Entity.name(), key),
    }
}

/// Chooses the identity incidents group by: what the rule wants, if the finding has it; else the best it has; else the source.
fn with_primary(mut detection: Detection, wanted: Option<&'static str>, event: &Event) -> Detection {
    let has = |name: &&'static str| detection.entity.first(name).is_some();
    let chosen = wanted.filter(has).or_else(|| {
        entity::ORDER.into_iter().filter(|(field, _)| *field != Field::Person).map(|(field, _)| field.name()).find(has)
    });
    detection.primary = chosen.unwrap_or_else(|| {
        detection.entity.add("crm.source", &event.origin.source);
        "crm.source"
    });
    detection
}

impl Detector for Sigma {
    fn id(&self) -> &'static str {
        OWNER
    }

    fn rules(&self) -> Vec<Rule> {
        let shown = self.rules.loaded.iter().filter(|rule| rule.finds);
        shown
            .map(|rule| Rule {
                id: rule.id.clone(),
                manual: rule.voice.manual.clone(),
                severity: rule.voice.severity,
                techniques: rule.voice.techniques.iter().map(|one| (*one).to_owned()).collect(),
                settings: settings::settings_of(rule),
            })
            .collect()
    }

    fn observe(&mut self, event: &Event, _: &Context, out: &mut Vec<Detection>) {
        let record = Record::of(event.raw());
        let candidates = self.rules.candidates(&View { event, record: &record, dialect: None });
        if candidates.is_empty() {
            return;
        }
        let rules = Arc::clone(&self.rules);
        let mut waiting = Vec::new();
        for index in candidates {
            let rule = &rules.loaded[index];
            let Logic::Single { compiled, dialect, .. } = &rule.logic else { continue };
            if rsigma_eval::evaluate_rule(compiled, &View { event, record: &record, dialect: *dialect }).is_none() {
                continue;
            }
            if self.finds(index) {
                out.push(self.single(index, event));
            }
            for (parent, input) in &rule.feeds {
                let traces = vec![Trace::of(event)];
                waiting.push(Arrival { rule: *parent, input: *input, at: event.time, traces });
            }
        }
        // What one correlation finds may be a match for the next; circles are refused when rules are loaded, so this ends.
        let view = View { event, record: &record, dialect: None };
        while !waiting.is_empty() {
            for arrival in std::mem::take(&mut waiting) {
                self.take(&view, arrival, &mut waiting, out);
            }
        }
    }

    /// What a rule remembers stays if neither it nor anything that decides it has changed, and is dropped otherwise.
    fn reload(&mut self, extra: &Texts) -> Result<(), SettingsError> {
        let rules = rules(&self.settings, extra)?;
        let same = |id: &str| {
            let of = |rules: &Rules| rules.loaded.iter().find(|rule| rule.id == id).map(|rule| rule.print);
            of(&self.rules).is_some_and(|print| of(&rules) == Some(print))
        };
        for key in self.groups.keys() {
            let id = key.split('\u{1f}').next().unwrap_or_default();
            if !same(id) {
                self.groups.remove(&key);
            }
        }
        self.rules = rules;
        Ok(())
    }

    fn memory(&mut self) -> Vec<Shelf<'_>> {
        vec![Shelf::of(&mut self.groups)]
    }

    fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        self.groups.restore(key, value)
    }
}
