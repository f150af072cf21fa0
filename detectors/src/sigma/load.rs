//! Loads Sigma documents: texts in, rules ready to be asked out, or an error that names file and line.
//! Not for reading files; the caller hands the texts in.

use std::collections::{BTreeMap, BTreeSet};

use rsigma_eval::CompiledRule;
use rsigma_parser::ast::FilterRuleTarget;
use rsigma_parser::{ConditionExpr, CorrelationCondition, CorrelationRule, FilterRule, LogSource, SigmaRule, Timespan};
use serde::Deserialize;
use serde::de::Error as _;

use super::attributes::{Attributes, Test};
use super::correlation::Correlation;
use super::prefilter;
use super::unsupported::{self, LARGEST_COUNT, Refusal};
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
}

/// What decides a rule.
pub enum Logic {
    /// One event.
    Single {
        /// The engine's form.
        compiled: Box<CompiledRule>,
        /// Where it looks.
        source: LogSource,
        /// See [`prefilter::actions`].
        actions: Option<BTreeSet<String>>,
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
}

/// One YAML document of a file.
struct Document<'t> {
    file: &'t str,
    line: usize,
    text: &'t str,
}

impl Document<'_> {
    /// The line of the first occurrence of a word; the document's first where it has none.
    fn line_of(&self, word: &str) -> usize {
        let found = self.text.lines().position(|line| line.contains(word));
        let first = self.text.lines().position(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        self.line + found.or(first).unwrap_or(0)
    }

    fn invalid(&self, problem: String) -> LoadError {
        // `... at line 3 column 5` counts from the document; a word in quotes is looked up.
        let told = problem
            .split("line ")
            .nth(1)
            .and_then(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<usize>().ok());
        let quoted = problem.split(['\'', '`', '"']).nth(1).filter(|word| !word.is_empty());
        let line = match (told, quoted) {
            (Some(line), _) if problem.contains("YAML") => self.line + line.max(1) - 1,
            _ if problem.contains("Condition") || problem.contains("identifier") => self.line_of("condition"),
            (_, Some(word)) => self.line_of(word),
            _ => self.line_of("\u{0}"),
        };
        LoadError::Invalid { file: self.file.to_owned(), line, problem }
    }

    fn refused(&self, refusal: Refusal) -> LoadError {
        LoadError::Unsupported {
            file: self.file.to_owned(),
            line: self.line_of(refusal.word),
            construct: refusal.construct,
            mend: refusal.mend.to_owned(),
        }
    }

    fn no_such_rule(&self, name: &str) -> LoadError {
        LoadError::NoSuchRule { file: self.file.to_owned(), line: self.line_of(name), name: name.to_owned() }
    }
}

fn documents<'t>(file: &'t str, text: &'t str) -> Vec<Document<'t>> {
    let mut documents = Vec::new();
    let (mut start, mut first_line, mut offset) = (0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_end() == "---" {
            documents.push(Document { file, line: first_line, text: &text[start..offset] });
            start = offset + line.len();
            first_line = index + 2;
        }
        offset += line.len();
    }
    documents.push(Document { file, line: first_line, text: &text[start..] });
    documents.retain(|one| one.text.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')));
    documents
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

/// The rules of all documents, in the order given; correlations after what they name.
pub fn load(files: &[(String, String)]) -> Result<Vec<Loaded>, LoadError> {
    let documents: Vec<Document<'_>> = files.iter().flat_map(|(file, text)| documents(file, text)).collect();
    let mut singles: Vec<(&Document<'_>, SigmaRule)> = Vec::new();
    let mut correlations: Vec<(&Document<'_>, CorrelationRule)> = Vec::new();
    let mut filters: Vec<(&Document<'_>, FilterRule)> = Vec::new();
    for document in &documents {
        if document.text.lines().any(|line| line.starts_with("action:")) {
            return Err(document.refused(Refusal {
                construct: "`action`".to_owned(),
                word: "action:",
                mend: "write each rule out whole",
            }));
        }
        let mut parsed =
            rsigma_parser::parse_sigma_yaml(document.text).map_err(|error| document.invalid(error.to_string()))?;
        if !parsed.errors.is_empty() {
            return Err(document.invalid(parsed.errors.swap_remove(0)));
        }
        for rule in parsed.rules {
            unsupported::in_rule(&rule).map_err(|refusal| document.refused(refusal))?;
            singles.push((document, rule));
        }
        for rule in parsed.correlations {
            unsupported::in_correlation(&rule).map_err(|refusal| document.refused(refusal))?;
            correlations.push((document, rule));
        }
        for filter in parsed.filters {
            unsupported::in_filter(&filter).map_err(|refusal| document.refused(refusal))?;
            filters.push((document, filter));
        }
    }
    let mut names = Names::default();
    for (index, (document, rule)) in singles.iter_mut().enumerate() {
        let id = names.add(index, rule.name.as_deref(), rule.id.as_deref(), &rule.title, document)?;
        rule.id = Some(id);
    }
    for (index, (document, rule)) in correlations.iter_mut().enumerate() {
        let id = names.add(singles.len() + index, rule.name.as_deref(), rule.id.as_deref(), &rule.title, document)?;
        rule.id = Some(id);
    }
    let compiled = compile(&singles, &mut filters, &names)?;
    let mut loaded = Vec::with_capacity(singles.len() + correlations.len());
    for ((document, rule), compiled) in singles.iter().zip(compiled) {
        let own = attributes(&rule.custom_attributes, document)?;
        let standard = Standard {
            title: &rule.title,
            description: rule.description.as_deref(),
            falsepositives: &rule.falsepositives,
            level: rule.level,
            tags: &rule.tags,
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
            logic: Logic::Single {
                compiled: Box::new(compiled),
                source: rule.logsource.clone(),
                actions: prefilter::actions(&rule.detection),
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
        };
        let mut voice = Voice::of(&standard, &own, true).map_err(|problem| document.invalid(problem))?;
        let correlation = correlation(document, rule, &names)?;
        voice.explain(condition_in_words(&correlation), String::new());
        loaded.push(Loaded {
            id: rule.id.clone().unwrap_or_default(),
            file: document.file.to_owned(),
            line: document.line,
            voice,
            finds: !own.building_block,
            feeds: Vec::new(),
            tests: own.tests,
            logic: Logic::Correlation(correlation),
        });
    }
    connect(&mut loaded, &correlations, singles.len())?;
    for rule in &mut loaded {
        describe_settings(rule);
    }
    Ok(loaded)
}

/// Every name a rule may be called by.
#[derive(Default)]
struct Names {
    indexes: BTreeMap<String, usize>,
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
) -> Result<Vec<CompiledRule>, LoadError> {
    let mut engine = rsigma_eval::Engine::new();
    if let Some((index, error)) = engine.add_rules(singles.iter().map(|(_, rule)| rule)).into_iter().next() {
        return Err(singles[index].0.invalid(error.to_string()));
    }
    for (document, filter) in filters {
        if let FilterRuleTarget::Specific(targets) = &mut filter.rules {
            for target in targets {
                let index = names.indexes.get(target).ok_or_else(|| document.no_such_rule(target))?;
                if *index >= singles.len() {
                    return Err(document.refused(Refusal {
                        construct: format!("a filter on the correlation {target:?}"),
                        word: "rules",
                        mend: "filter the rules it correlates",
                    }));
                }
                target.clone_from(&names.ids[*index]);
            }
        }
        for condition in &filter.detection.conditions {
            known(condition, filter)
                .map_err(|name| document.invalid(format!("unknown identifier '{name}' in the condition")))?;
        }
        engine.apply_filter(filter).map_err(|error| document.invalid(error.to_string()))?;
    }
    Ok(engine.rules().to_vec())
}

fn known(condition: &ConditionExpr, filter: &FilterRule) -> Result<(), String> {
    match condition {
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => parts.iter().try_for_each(|part| known(part, filter)),
        ConditionExpr::Not(part) => known(part, filter),
        ConditionExpr::Identifier(name) if !filter.detection.named.contains_key(name) => Err(name.clone()),
        ConditionExpr::Identifier(_) | ConditionExpr::Selector { .. } => Ok(()),
    }
}

fn correlation(document: &Document<'_>, rule: &CorrelationRule, names: &Names) -> Result<Correlation, LoadError> {
    if rule.rules.is_empty() {
        return Err(document.invalid("the correlation names no 'rules'".to_owned()));
    }
    let mut inputs = Vec::new();
    let mut called = Vec::new();
    for name in &rule.rules {
        let index = *names.indexes.get(name).ok_or_else(|| document.no_such_rule(name))?;
        if inputs.contains(&index) {
            return Err(document.invalid(format!("the correlation names the rule '{name}' twice")));
        }
        inputs.push(index);
        called.push(
            names.indexes.iter().filter(|entry| *entry.1 == index).map(|entry| entry.0.clone()).collect::<Vec<_>>(),
        );
    }
    let mut group_by = Vec::new();
    for name in &rule.group_by {
        let alias = rule.aliases.iter().find(|alias| alias.alias == *name);
        let mut fields = Vec::new();
        for (input, names) in called.iter().enumerate() {
            let field = match alias {
                None => name,
                Some(alias) => names.iter().find_map(|one| alias.mapping.get(one)).ok_or_else(|| {
                    document.invalid(format!(
                        "the alias '{name}' does not say its field for the rule {:?}",
                        rule.rules[input]
                    ))
                })?,
            };
            fields.push(field.clone());
        }
        group_by.push(fields);
    }
    let (bounds, field, expression) = match &rule.condition {
        CorrelationCondition::Threshold { predicates, field, .. } => {
            (predicates.clone(), field.as_ref().and_then(|fields| fields.first()).cloned(), None)
        }
        CorrelationCondition::Extended(expression) => (Vec::new(), None, Some(expression.clone())),
    };
    if let Some(expression) = &expression
        && let Some(name) = stranger(expression, &called)
    {
        return Err(document.no_such_rule(name));
    }
    Ok(Correlation {
        kind: rule.correlation_type,
        inputs,
        group_by,
        group_names: rule.group_by.clone(),
        span: i64::try_from(rule.timespan.seconds).unwrap_or(i64::MAX).saturating_mul(1000),
        bounds,
        field,
        reach: 0,
        expression,
        names: called,
    })
}

fn stranger<'e>(expression: &'e ConditionExpr, called: &[Vec<String>]) -> Option<&'e str> {
    match expression {
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => parts.iter().find_map(|part| stranger(part, called)),
        ConditionExpr::Not(part) => stranger(part, called),
        ConditionExpr::Identifier(name) => (!called.iter().any(|names| names.contains(name))).then_some(name.as_str()),
        ConditionExpr::Selector { .. } => None,
    }
}

/// Says which rule feeds which correlation, refuses circles, and silences what is only a part of others.
fn connect(
    loaded: &mut [Loaded],
    correlations: &[(&Document<'_>, CorrelationRule)],
    first: usize,
) -> Result<(), LoadError> {
    let mut silenced: BTreeMap<usize, bool> = BTreeMap::new();
    for (index, (document, rule)) in correlations.iter().enumerate() {
        let own = first + index;
        let Logic::Correlation(correlation) = &loaded[own].logic else { continue };
        let inputs = correlation.inputs.clone();
        for (place, input) in inputs.into_iter().enumerate() {
            loaded[input].feeds.push((own, place));
            let silent = silenced.entry(input).or_insert(true);
            *silent = *silent && !rule.generate;
            if leads_to(loaded, input, own, own) {
                let id = loaded[own].id.clone();
                return Err(LoadError::Circle { file: document.file.to_owned(), line: document.line_of("rules"), id });
            }
        }
    }
    // Inputs may be loaded after what they feed, so reaches settle over as many rounds as there are links.
    for _ in 0..correlations.len() {
        for own in first..loaded.len() {
            let Logic::Correlation(correlation) = &loaded[own].logic else { continue };
            let of = |input: &usize| match &loaded[*input].logic {
                Logic::Correlation(input) => input.span.saturating_add(input.reach),
                Logic::Single { .. } => 0,
            };
            let reach = correlation.inputs.iter().map(of).max().unwrap_or(0);
            if let Logic::Correlation(correlation) = &mut loaded[own].logic {
                correlation.reach = reach;
            }
        }
    }
    for (index, silent) in silenced {
        loaded[index].finds &= !silent;
    }
    Ok(())
}

/// Whether `from` is decided by `target`, directly or through others; `own` is the correlation being connected.
fn leads_to(loaded: &[Loaded], from: usize, target: usize, own: usize) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(index) = open.pop() {
        if index == target {
            return true;
        }
        if let Logic::Correlation(correlation) = &loaded[index].logic
            && index != own
            && seen.insert(index)
        {
            open.extend(&correlation.inputs);
        }
    }
    false
}

/// What an operator may set for a shipped rule.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSettings {
    enabled: Option<bool>,
    threshold: Option<u64>,
    timespan: Option<String>,
}

/// Applies an operator's settings to a rule.
pub fn apply(rule: &mut Loaded, settings: &serde_json::Value) -> Result<(), serde_json::Error> {
    let settings = RuleSettings::deserialize(settings)?;
    if settings.enabled == Some(false) {
        rule.finds = false;
    }
    let Logic::Correlation(correlation) = &mut rule.logic else {
        return match (settings.threshold, settings.timespan) {
            (None, None) => Ok(()),
            _ => Err(serde_json::Error::custom("this rule looks at single events: it can only be switched off")),
        };
    };
    if let Some(threshold) = settings.threshold {
        if !(1..=LARGEST_COUNT).contains(&threshold) {
            return Err(serde_json::Error::custom(format!("threshold must be between 1 and {LARGEST_COUNT}")));
        }
        match correlation.bounds.first_mut() {
            Some(bound) => bound.1 = threshold,
            None => return Err(serde_json::Error::custom("this rule has no threshold")),
        }
    }
    if let Some(timespan) = settings.timespan {
        let seconds = Timespan::parse(&timespan).map(|span| span.seconds).unwrap_or(0);
        if !(1..=31 * 86_400).contains(&seconds) {
            return Err(serde_json::Error::custom(format!(
                "timespan {timespan:?} is not between one second and 31 days, written like \"20m\""
            )));
        }
        correlation.span = i64::try_from(seconds).unwrap_or(i64::MAX) * 1000;
    }
    describe_settings(rule);
    Ok(())
}

/// The settings in force, as JSON.
pub fn settings_of(rule: &Loaded) -> serde_json::Value {
    match &rule.logic {
        Logic::Single { .. } => serde_json::json!({}),
        Logic::Correlation(correlation) => serde_json::json!({
            "threshold": correlation.threshold(),
            "timespan": format!("{}s", correlation.span / 1000),
        }),
    }
}

fn describe_settings(rule: &mut Loaded) {
    let Logic::Correlation(correlation) = &rule.logic else { return };
    let text = format!(
        "- `enabled` (true): whether it finds anything.\n- `threshold` ({}): the figure its condition compares with.\n- `timespan` (\"{}s\"): the window's length.",
        correlation.threshold(),
        correlation.span / 1000
    );
    rule.voice.explain(condition_in_words(correlation), text);
}
