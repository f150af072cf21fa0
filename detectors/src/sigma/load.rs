//! Loads Sigma documents: texts in, rules ready to be asked out, or an error that names file and line.
//! Not for reading files; the caller hands the texts in.

use std::collections::{BTreeMap, BTreeSet};

use rsigma_eval::CompiledRule;
use rsigma_parser::ast::FilterRuleTarget;
use rsigma_parser::{ConditionExpr, CorrelationRule, FilterRule, LogSource, SigmaRule};

use super::aggregation;
use super::attributes::{Attributes, Test};
use super::correlation::Correlation;
use super::dialect::Dialect;
use super::document::{Document, documents};
use super::index::{self, Needle};
use super::keywords;
use super::link::{connect, correlation};
use super::placeholders;
use super::prefilter;
use super::print::{fingerprint, join_prints};
use super::selectors::written_out;
use super::settings::describe_settings;
use super::strict;
use super::texts::Texts;
use super::unsupported::{self, Refusal};
use super::voice::{Standard, Voice, condition_in_words};

/// Why a rule cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Not YAML, or not Sigma.
    #[error("{file}:{line}: {problem}; the rule's author can mend it")]
    Invalid {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// Sigma that this engine does not do.
    #[error("{file}:{line}: {construct} is not supported here: {mend}")]
    Unsupported {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// What it is.
        construct: String,
        /// What to do instead.
        mend: String,
    },
    /// A rule names another that is not there.
    #[error("{file}:{line}: there is no rule {name:?}; correlations and filters name others by `name` or `id`")]
    NoSuchRule {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// The name.
        name: String,
    },
    /// Two rules of one id.
    #[error("{file}:{line}: a rule {id:?} stands in {other} already; give each its own `name`")]
    Duplicate {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// The id.
        id: String,
        /// The other file.
        other: String,
    },
    /// Correlations that wait for each other.
    #[error("{file}:{line}: the correlation {id:?} leads back to itself through the rules it names")]
    Circle {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// The id.
        id: String,
    },
    /// Several documents are wrong.
    #[error("{}", several(.0))]
    Several(Vec<LoadError>),
}

/// So many are told of one by one.
const TOLD: usize = 20;

fn several(errors: &[LoadError]) -> String {
    let mut told: Vec<String> = errors.iter().take(TOLD).map(ToString::to_string).collect();
    if errors.len() > TOLD {
        told.push(format!("and {} more", errors.len() - TOLD));
    }
    told.join("\n")
}

impl LoadError {
    /// All of these as one; nothing where there are none.
    fn of(mut errors: Vec<LoadError>) -> Result<(), LoadError> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(LoadError::Several(errors)),
        }
    }
}

/// What decides a rule.
pub enum Logic {
    /// One event.
    Single {
        /// The engine's form.
        compiled: Box<CompiledRule>,
        /// Where it looks.
        source: LogSource,
        /// Whose names it uses, where not ours.
        dialect: Option<Dialect>,
        /// See [`prefilter::actions`].
        actions: Option<BTreeSet<String>>,
        /// See [`index::needles`].
        needles: Option<BTreeSet<Needle>>,
    },
    /// Matches of other rules.
    Correlation(Correlation),
}

/// One rule, loaded.
pub struct Loaded {
    /// Its `name`, else its `id`, else its title.
    pub id: String,
    /// Where it stands.
    pub file: String,
    /// The document's first line.
    pub line: usize,
    /// What it says.
    pub voice: Voice,
    /// What decides it.
    pub logic: Logic,
    /// Whether its matches are findings.
    pub finds: bool,
    /// The correlations it feeds, with its place among their inputs.
    pub feeds: Vec<(usize, usize)>,
    /// Its own tests.
    pub tests: Vec<Test>,
    /// What it is made of, with everything that decides it: equal where nothing has changed.
    pub print: [u8; 32],
}

fn attributes(
    custom: &std::collections::HashMap<String, impl serde::Serialize>,
    document: &Document<'_>,
) -> Result<Attributes, LoadError> {
    let Some(block) = custom.get("crmwatch") else { return Ok(Attributes::default()) };
    serde_json::to_value(block).and_then(serde_json::from_value).map_err(|problem| {
        let problem = format!("in the crmwatch block: {problem}");
        match document.invalid(problem) {
            LoadError::Invalid { file, line, problem } => {
                let line = if problem.contains('`') { line } else { document.line_of("crmwatch:") };
                LoadError::Invalid { file, line, problem }
            }
            other => other,
        }
    })
}

/// What a document holds, ready to be joined with the others.
struct Read {
    rules: Vec<SigmaRule>,
    correlations: Vec<CorrelationRule>,
    filters: Vec<FilterRule>,
}

fn read(document: &Document<'_>, texts: &Texts) -> Result<Read, LoadError> {
    if document.text.lines().any(|line| line.starts_with("action:")) {
        return Err(document.refused(Refusal {
            construct: "`action`".to_owned(),
            word: "action:".to_owned(),
            mend: "write each rule out whole",
        }));
    }
    let parse = |text: &str| {
        let mut parsed = rsigma_parser::parse_sigma_yaml(text).map_err(|error| document.invalid(error.to_string()))?;
        match parsed.errors.is_empty() {
            true => Ok(parsed),
            false => Err(document.invalid(parsed.errors.swap_remove(0))),
        }
    };
    let mut parsed = match aggregation::written_out(document.text) {
        None => parse(document.text)?,
        Some(two) => {
            let mut parsed = parse(&two.counted)?;
            parsed.correlations = parse(&two.count)?.correlations;
            parsed
        }
    };
    strict::keys(document)?;
    let expand = |detections: &mut rsigma_parser::Detections| {
        detections.named.values_mut().try_for_each(|one| {
            keywords::inside_values(one);
            placeholders::expand(one, &texts.placeholders)
        })
    };
    for rule in &mut parsed.rules {
        unsupported::in_rule(rule).map_err(|refusal| document.refused(refusal))?;
        expand(&mut rule.detection).map_err(|refusal| document.refused(refusal))?;
        if let Some(dialect) = Dialect::of(&rule.logsource) {
            rule.detection.named.values_mut().for_each(|one| dialect.adapt(one));
        }
    }
    for rule in &parsed.correlations {
        unsupported::in_correlation(rule).map_err(|refusal| document.refused(refusal))?;
    }
    for filter in &mut parsed.filters {
        unsupported::in_filter(filter).map_err(|refusal| document.refused(refusal))?;
        expand(&mut filter.detection).map_err(|refusal| document.refused(refusal))?;
    }
    Ok(Read { rules: parsed.rules, correlations: parsed.correlations, filters: parsed.filters })
}

/// The rules of all documents, in the order given; correlations after what they name. Every document that is wrong by itself is told of, so that
/// a folder of public rules is mended in one go.
pub fn load(texts: &Texts) -> Result<Vec<Loaded>, LoadError> {
    let documents: Vec<Document<'_>> = texts.files.iter().flat_map(|(file, text)| documents(file, text)).collect();
    let mut singles: Vec<(&Document<'_>, SigmaRule)> = Vec::new();
    let mut correlations: Vec<(&Document<'_>, CorrelationRule)> = Vec::new();
    let mut filters: Vec<(&Document<'_>, FilterRule)> = Vec::new();
    let mut wrong = Vec::new();
    for document in &documents {
        match read(document, texts) {
            Ok(read) => {
                singles.extend(read.rules.into_iter().map(|rule| (document, rule)));
                correlations.extend(read.correlations.into_iter().map(|rule| (document, rule)));
                filters.extend(read.filters.into_iter().map(|filter| (document, filter)));
            }
            Err(error) => wrong.push(error),
        }
    }
    LoadError::of(wrong)?;
    let mut names = Names::default();
    for (index, (document, rule)) in singles.iter_mut().enumerate() {
        let id = names.add(index, rule.name.as_deref(), rule.id.as_deref(), &rule.title, document)?;
        rule.id = Some(id);
    }
    for (index, (document, rule)) in correlations.iter_mut().enumerate() {
        let id = names.add(singles.len() + index, rule.name.as_deref(), rule.id.as_deref(), &rule.title, document)?;
        rule.id = Some(id);
    }
    let mut prints: Vec<Vec<String>> = singles.iter().map(|(document, _)| vec![document.text.to_owned()]).collect();
    let compiled = compile(&singles, &mut filters, &names, &mut prints)?;
    let mut loaded = Vec::with_capacity(singles.len() + correlations.len());
    for (((document, rule), compiled), print) in singles.iter().zip(compiled).zip(prints) {
        let own = attributes(&rule.custom_attributes, document)?;
        let standard = Standard {
            title: &rule.title,
            description: rule.description.as_deref(),
            falsepositives: &rule.falsepositives,
            level: rule.level,
            tags: &rule.tags,
            author: rule.author.as_deref(),
            license: rule.license.as_deref(),
            references: &rule.references,
        };
        let mut voice = Voice::of(&standard, &own, false).map_err(|problem| document.invalid(problem))?;
        let how = format!("Every event for which: {}.", rule.detection.condition_strings.join("; or "));
        voice.explain(how, "None; it is switched off by taking its file away.".to_owned());
        loaded.push(Loaded {
            id: rule.id.clone().unwrap_or_default(),
            file: document.file.to_owned(),
            line: document.line,
            voice,
            finds: !own.building_block,
            feeds: Vec::new(),
            tests: own.tests,
            print: fingerprint(&print, &texts.placeholders),
            logic: Logic::Single {
                compiled: Box::new(compiled),
                source: rule.logsource.clone(),
                dialect: Dialect::of(&rule.logsource),
                actions: prefilter::actions(&rule.detection),
                needles: index::needles(&rule.detection),
            },
        });
    }
    for (document, rule) in &correlations {
        let own = attributes(&rule.custom_attributes, document)?;
        let standard = Standard {
            title: &rule.title,
            description: rule.description.as_deref(),
            falsepositives: &rule.falsepositives,
            level: rule.level,
            tags: &rule.tags,
            author: rule.author.as_deref(),
            license: rule.license.as_deref(),
            references: &rule.references,
        };
        let mut voice = Voice::of(&standard, &own, true).map_err(|problem| document.invalid(problem))?;
        let dialect = |input: usize| dialect_below(input, &singles, &correlations, &names);
        let correlation = correlation(document, rule, &names, dialect)?;
        voice.explain(condition_in_words(&correlation), String::new());
        loaded.push(Loaded {
            id: rule.id.clone().unwrap_or_default(),
            file: document.file.to_owned(),
            line: document.line,
            voice,
            finds: !own.building_block,
            feeds: Vec::new(),
            tests: own.tests,
            print: fingerprint(&[document.text.to_owned()], &texts.placeholders),
            logic: Logic::Correlation(correlation),
        });
    }
    connect(&mut loaded, &correlations, singles.len())?;
    join_prints(&mut loaded);
    for rule in &mut loaded {
        describe_settings(rule);
    }
    Ok(loaded)
}

/// Whose names all rules use that an input comes down to, through whatever correlations; nothing where those are ours, or several.
fn dialect_below(
    input: usize,
    singles: &[(&Document<'_>, SigmaRule)],
    correlations: &[(&Document<'_>, CorrelationRule)],
    names: &Names,
) -> Option<Dialect> {
    let (mut open, mut seen) = (vec![input], BTreeSet::from([input]));
    let mut all = Vec::new();
    while let Some(index) = open.pop() {
        match index.checked_sub(singles.len()).and_then(|place| correlations.get(place)) {
            Some((_, rule)) => {
                let below = rule.rules.iter().filter_map(|name| names.indexes.get(name).copied());
                open.extend(below.filter(|index| seen.insert(*index)));
            }
            None => all.push(Dialect::of(&singles.get(index)?.1.logsource)),
        }
    }
    let first = *all.first()?;
    all.iter().all(|one| *one == first).then_some(first)?
}

/// Every name a rule may be called by.
#[derive(Default)]
pub(super) struct Names {
    pub(super) indexes: BTreeMap<String, usize>,
    files: BTreeMap<String, String>,
    ids: Vec<String>,
}

impl Names {
    fn add(
        &mut self,
        index: usize,
        name: Option<&str>,
        id: Option<&str>,
        title: &str,
        document: &Document<'_>,
    ) -> Result<String, LoadError> {
        let chosen = name.or(id).unwrap_or(title).to_owned();
        for one in [name, id, Some(chosen.as_str())].into_iter().flatten().collect::<BTreeSet<_>>() {
            if let Some(other) = self.files.insert(one.to_owned(), format!("{} line {}", document.file, document.line))
            {
                let (file, line) = (document.file.to_owned(), document.line_of(one));
                return Err(LoadError::Duplicate { file, line, id: one.to_owned(), other });
            }
            self.indexes.insert(one.to_owned(), index);
        }
        self.ids.push(chosen.clone());
        Ok(chosen)
    }
}

fn compile(
    singles: &[(&Document<'_>, SigmaRule)],
    filters: &mut [(&Document<'_>, FilterRule)],
    names: &Names,
    prints: &mut [Vec<String>],
) -> Result<Vec<CompiledRule>, LoadError> {
    let mut engine = rsigma_eval::Engine::new();
    let wrong = engine.add_rules(singles.iter().map(|(_, rule)| rule));
    LoadError::of(wrong.into_iter().map(|(index, error)| singles[index].0.invalid(error.to_string())).collect())?;
    for (document, filter) in filters {
        if let FilterRuleTarget::Specific(targets) = &mut filter.rules {
            for target in targets {
                let index = names.indexes.get(target).ok_or_else(|| document.no_such_rule(target))?;
                if *index >= singles.len() {
                    return Err(document.refused(Refusal {
                        construct: format!("a filter on the correlation {target:?}"),
                        word: "rules".to_owned(),
                        mend: "filter the rules it correlates",
                    }));
                }
                target.clone_from(&names.ids[*index]);
            }
        }
        let mut own: Vec<String> = filter.detection.named.keys().cloned().collect();
        own.sort_unstable();
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        for condition in &mut filter.detection.conditions {
            *condition = written_out(condition, &own).map_err(|selector| {
                document.invalid(format!("the condition '{selector}' fits no selection of the filter"))
            })?;
            known(condition, &own)
                .map_err(|name| document.invalid(format!("unknown identifier '{name}' in the condition")))?;
        }
        if filter.detection.conditions.len() > 1 {
            // A list of conditions is their or.
            let all = std::mem::take(&mut filter.detection.conditions);
            filter.detection.conditions = vec![ConditionExpr::Or(all)];
        }
        for (print, (_, rule)) in prints.iter_mut().zip(singles) {
            let named = match &filter.rules {
                FilterRuleTarget::Any => true,
                FilterRuleTarget::Specific(targets) => rule.id.as_ref().is_some_and(|id| targets.contains(id)),
            };
            if named {
                print.push(document.text.to_owned());
            }
        }
        engine.apply_filter(filter).map_err(|error| document.invalid(error.to_string()))?;
    }
    Ok(engine.rules().to_vec())
}

fn known(condition: &ConditionExpr, names: &[&str]) -> Result<(), String> {
    match condition {
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => parts.iter().try_for_each(|part| known(part, names)),
        ConditionExpr::Not(part) => known(part, names),
        ConditionExpr::Identifier(name) if !names.contains(&name.as_str()) => Err(name.clone()),
        ConditionExpr::Identifier(_) | ConditionExpr::Selector { .. } => Ok(()),
    }
}
