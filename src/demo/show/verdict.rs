//! Findings held against the labels: what was planted and found, what was missed, what is false. Not for showing it.

use std::collections::{BTreeMap, BTreeSet};

use crmwatch_detectors::{Finding, Millis, Severity};
use serde_json::Value;

use crate::demo::clock::HOUR;

/// A line of `labels.jsonl`.
#[derive(Debug, Clone)]
pub(super) struct Label {
    /// Its id.
    pub(super) id: String,
    /// The rule that should name it; for oddities what they are.
    pub(super) family: String,
    /// Whether it is an attack; an oddity else.
    pub(super) attack: bool,
    /// Whom it is about, as a person would say it.
    pub(super) about: String,
    /// When it begins.
    pub(super) start: Millis,
    /// When it can be known for what it is.
    pub(super) deciding: Millis,
    end: Millis,
    rules: BTreeSet<String>,
    /// Names and addresses, in lower case.
    who: BTreeSet<String>,
    /// The first finding that names it: its time, and when it was seen.
    found: Option<(Millis, Millis)>,
}

impl Label {
    /// Reads one.
    pub(super) fn read(label: &Value) -> Option<Label> {
        let time = |key: &str| {
            let text = label.get(key)?.as_str()?;
            Some(chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis())
        };
        let attack = label.get("attack").and_then(Value::as_str);
        let id = attack.or_else(|| label.get("benign").and_then(Value::as_str))?.to_owned();
        let words = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let entity = label.get("entity")?.as_object()?;
        let people = entity.get("user.email").map(words).unwrap_or_default();
        let about = match people.as_slice() {
            [] => entity.get("source.ip").map(words).unwrap_or_default().join(", "),
            [one] => one.clone(),
            more => format!("{} people", more.len()),
        };
        Some(Label {
            id,
            family: label.get("family")?.as_str()?.to_owned(),
            attack: attack.is_some(),
            about,
            start: time("start")?,
            deciding: time("deciding")?,
            end: time("end")?,
            rules: words(label.get("rules")?).into_iter().collect(),
            who: entity.values().flat_map(words).map(|word| word.to_lowercase()).collect(),
            found: None,
        })
    }

    /// Whether a finding is about this: it shares an entity, and its time lies in it or within an hour after.
    fn covers(&self, finding: &Finding) -> bool {
        (self.start..=self.end + HOUR).contains(&finding.time)
            && finding.entity.0.values().flatten().any(|value| self.who.contains(&value.to_lowercase()))
    }

    /// How long after the deciding line somebody watching saw it.
    pub(super) fn delay(&self) -> Option<Millis> {
        self.found.map(|(_, seen)| seen - self.deciding)
    }
}

/// What a finding is, by the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// Of that attack.
    Attack(usize),
    /// Of that harmless oddity.
    Oddity(usize),
    /// Of nothing that was planted.
    Nothing,
}

/// How many of what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Attacks planted whose deciding line is written.
    pub(super) planted: usize,
    /// Of those, found.
    pub(super) found: usize,
    /// Attacks under way.
    pub(super) under_way: usize,
    /// Attacks of kinds no rule watches for; counted nowhere else.
    pub(super) unwatched: BTreeMap<String, usize>,
    /// By family: planted, found.
    pub(super) families: BTreeMap<String, (usize, usize)>,
    /// Findings of medium severity or above.
    pub(super) findings: usize,
    /// Of those, about nothing planted.
    pub(super) false_findings: usize,
    /// Of the false ones, set off by a planted oddity.
    pub(super) by_oddities: usize,
    /// The median of the delays, in milliseconds.
    pub(super) median_delay: Option<Millis>,
}

/// All labels, and what has been found.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// The rules that are watched for.
    watched: BTreeSet<String>,
    labels: Vec<Label>,
    /// By finding id: its time, what it is. Findings of low severity and sums of risk are not in it.
    judged: BTreeMap<String, (Millis, Match)>,
}

impl Verdict {
    /// Judges by what these rules are to find.
    pub(super) fn of(watched: BTreeSet<String>) -> Verdict {
        Verdict { watched, ..Verdict::default() }
    }

    /// Adds labels of something planted.
    pub(super) fn plant(&mut self, label: Label) {
        self.labels.push(label);
    }

    /// A label by its number.
    pub(super) fn label(&self, number: usize) -> &Label {
        &self.labels[number]
    }

    /// How many labels of attacks, of oddities.
    pub(super) fn counts(&self) -> (usize, usize) {
        let attacks = self.labels.iter().filter(|label| label.attack).count();
        (attacks, self.labels.len() - attacks)
    }

    /// Judges a finding that was seen at that time. An attack is found by medium severity or above only.
    pub(super) fn judge(&mut self, finding: &Finding, seen: Millis) -> Match {
        // Several may fit: the one whose rules name it, then the one that decides nearest.
        let best = |attack: bool| {
            let fits = |(_, label): &(usize, &Label)| label.attack == attack && label.covers(finding);
            let rank = |(_, label): &(usize, &Label)| {
                (!label.rules.contains(&*finding.rule), (finding.time - label.deciding).abs())
            };
            self.labels.iter().enumerate().filter(fits).min_by_key(rank).map(|(number, _)| number)
        };
        let verdict =
            best(true).map(Match::Attack).or_else(|| best(false).map(Match::Oddity)).unwrap_or(Match::Nothing);
        if finding.severity >= Severity::Medium {
            for label in self.labels.iter_mut().filter(|label| label.attack && label.covers(finding)) {
                label.found.get_or_insert((finding.time, seen));
            }
            if &*finding.rule != "entity-risk" {
                self.judged.insert(finding.id.to_string(), (finding.time, verdict));
            }
        }
        verdict
    }

    /// What began from one time to before another, as it stands now.
    pub(super) fn tally(&self, from: Millis, to: Millis, now: Millis) -> Tally {
        let mut tally = Tally::default();
        let mut delays = Vec::new();
        for label in self.labels.iter().filter(|label| label.attack && (from..to).contains(&label.start)) {
            if label.found.is_none() && !self.watched.contains(&label.family) {
                *tally.unwatched.entry(label.family.clone()).or_default() += 1;
                continue;
            }
            if label.found.is_none() && label.deciding > now {
                tally.under_way += 1;
                continue;
            }
            let family = tally.families.entry(label.family.clone()).or_default();
            family.0 += 1;
            tally.planted += 1;
            if let Some(delay) = label.delay() {
                family.1 += 1;
                tally.found += 1;
                delays.push(delay);
            }
        }
        for (_, verdict) in self.judged.values().filter(|(time, _)| (from..to).contains(time)) {
            tally.findings += 1;
            tally.false_findings += usize::from(!matches!(verdict, Match::Attack(_)));
            tally.by_oddities += usize::from(matches!(verdict, Match::Oddity(_)));
        }
        delays.sort_unstable();
        tally.median_delay = delays.get(delays.len() / 2).copied();
        tally
    }
}

#[cfg(test)]
mod tests {
    use crmwatch_detectors::{EventId, Identities, Sentence};
    use serde_json::json;

    use super::*;

    fn label(id: &str, key: &str, family: &str, user: &str, start: &str) -> Label {
        let time = chrono::DateTime::parse_from_rfc3339(start).unwrap();
        let after = |minutes| (time + chrono::TimeDelta::minutes(minutes)).to_rfc3339();
        Label::read(&json!({
            key: id, "family": family, "rules": [family], "entity": {"user.email": [user], "source.ip": ["192.0.2.7"]},
            "start": start, "deciding": after(2), "end": after(5),
        }))
        .unwrap()
    }

    fn finding(rule: &str, severity: &str, user: &str, time: &str) -> Finding {
        let time = chrono::DateTime::parse_from_rfc3339(time).unwrap().timestamp_millis();
        let mut finding = Finding {
            id: EventId::default(),
            rule: rule.into(),
            severity: Severity::from_word(severity).unwrap(),
            time,
            last_time: time,
            entity: Identities::default(),
            primary: "user.email".into(),
            summary: Sentence::default(),
            observed: Sentence::default(),
            expected: Sentence::default(),
            window: (time, time),
            evidence: Default::default(),
            techniques: Vec::new(),
            parts: Vec::new(),
        };
        finding.entity.add("user.email", user);
        finding
    }

    fn watching() -> Verdict {
        Verdict::of(["bulk-export", "mass-delete"].map(str::to_owned).into())
    }

    #[test]
    fn an_attack_of_a_kind_no_rule_watches_for_is_not_called_missed() {
        let mut verdict = watching();
        verdict.plant(label("a-1", "attack", "mass-share", "ana@x.example", "2026-03-02T09:00:00Z"));
        let tally = verdict.tally(Millis::MIN, Millis::MAX, Millis::MAX);
        assert_eq!((tally.planted, tally.unwatched.get("mass-share")), (0, Some(&1)));
    }

    #[test]
    fn an_attack_is_found_by_medium_or_above_about_its_people_until_an_hour_after() {
        let mut verdict = watching();
        verdict.plant(label("a-1", "attack", "bulk-export", "Ana@x.example", "2026-03-02T09:00:00Z"));
        let all = |verdict: &Verdict| verdict.tally(Millis::MIN, Millis::MAX, Millis::MAX);
        for (severity, user, time) in [
            ("low", "ana@x.example", "2026-03-02T09:03:00Z"),
            ("high", "bob@x.example", "2026-03-02T09:03:00Z"),
            ("high", "ana@x.example", "2026-03-02T10:05:01Z"),
        ] {
            verdict.judge(&finding("bulk-export", severity, user, time), 0);
            assert_eq!(all(&verdict).found, 0, "{severity} {user} {time}");
        }
        let seen = chrono::DateTime::parse_from_rfc3339("2026-03-02T09:02:01.5Z").unwrap().timestamp_millis();
        let one = finding("brute-force", "medium", "ana@x.example", "2026-03-02T09:02:00Z");
        assert_eq!(verdict.judge(&one, seen), Match::Attack(0));
        assert_eq!((all(&verdict).found, all(&verdict).median_delay), (1, Some(1_500)));
        assert_eq!(all(&verdict).false_findings, 0, "the same finding, judged again as it grew");
    }

    #[test]
    fn what_matches_no_attack_is_false_and_an_oddity_is_named() {
        let mut verdict = watching();
        verdict.plant(label("b-1", "benign", "holiday", "eva@x.example", "2026-03-02T09:00:00Z"));
        let one = finding("first-seen-risk", "medium", "eva@x.example", "2026-03-02T09:02:00Z");
        assert_eq!(verdict.judge(&one, 0), Match::Oddity(0));
        let tally = verdict.tally(Millis::MIN, Millis::MAX, Millis::MAX);
        assert_eq!((tally.findings, tally.false_findings, tally.by_oddities, tally.planted), (1, 1, 1, 0));
    }

    #[test]
    fn an_attack_whose_deciding_line_is_not_written_yet_is_not_missed() {
        let mut verdict = watching();
        let one = label("a-1", "attack", "mass-delete", "ana@x.example", "2026-03-02T09:00:00Z");
        let start = one.start;
        verdict.plant(one);
        let tally = verdict.tally(Millis::MIN, Millis::MAX, start + 1_000);
        assert_eq!((tally.planted, tally.under_way), (0, 1));
    }
}
