//! Several findings about one person, app or address, which together are worse than each.
//!
//! # What it finds
//! Somebody about whom several different rules have found something within a day or two: a strange login, then a new key, then an export.
//!
//! # Why it matters
//! An attack is a sequence of steps, and each step alone has an innocent explanation. All of them together have none.
//!
//! # How it decides
//! Each rule adds once, by the highest severity it has reached: low 1, medium 4, high 10, critical 16. Half is forgotten in `half_life_hours`. Rules belong to the tactics of ATT&CK
//! by their techniques (getting in, staying, taking rights, hiding, looking around, collecting, taking out, destroying). From `tactics` different
//! tactics on, at least one of them with medium or more, and `score` points it is high; from two rules and 18 points it is medium, whatever the tactics; three tactics with
//! twice `score` are critical. What has one cause is not counted twice: the rules about one login count as one tactic.
//!
//! # False positives
//! A new employee's first week abroad. Look at what each finding says.
//!
//! # What to check
//! Read the findings in the order of their times: they are the story. Act as the worst of them says.
//!
//! # Settings
//! - `tactics` (3): different tactics.
//! - `score` (10): points.
//! - `half_life_hours` (24): after which a finding weighs half.

use serde::{Deserialize, Serialize};

use crate::baseline::remaining;
use crate::detector::Context;
use crate::entity::entity_key;
use crate::event::{Event, Millis};
use crate::finding::{Detection, Identities, Sentence, Severity};
use crate::keyed::Resident;
use crate::mark::Mark;
use crate::mass::Told;
use crate::watch::{Post, Watch};

const HOUR: f64 = 3_600_000.0;
const RULES_KEPT: usize = 16;
const MUCH: f64 = 18.0;

/// Techniques, by their beginning, to tactics. The first that fits counts.
const TACTICS: &[(&str, &str, &str)] = &[
    ("T1567", "taking out", "外传"),
    ("T1048", "taking out", "外传"),
    ("T1030", "taking out", "外传"),
    ("T1537", "taking out", "外传"),
    ("T1485", "destroying", "破坏"),
    ("T1565", "destroying", "破坏"),
    ("T1562", "hiding", "隐藏"),
    ("T1070", "hiding", "隐藏"),
    ("T1098", "staying", "驻留"),
    ("T1556", "staying", "驻留"),
    ("T1548", "taking rights", "提权"),
    ("T1087", "looking around", "探查"),
    ("T1213", "collecting", "收集"),
    ("T1530", "collecting", "收集"),
    ("T1119", "collecting", "收集"),
    ("T1110", "guessing passwords", "猜测密码"),
];
/// What is none of these is about how somebody got in.
const GETTING_IN: (&str, &str) = ("getting in", "进入");

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    tactics: usize,
    score: f64,
    half_life_hours: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { tactics: 3, score: 10.0, half_life_hours: 24.0 }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Part {
    rule: Box<str>,
    tactic: u8,
    severity: Severity,
    time: Millis,
    reference: Mark,
}

/// What was found about somebody.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Risk {
    parts: Vec<Part>,
    told: Told,
}

impl Resident for Risk {
    fn rank(&self) -> u8 {
        u8::from(self.parts.iter().any(|part| part.severity >= Severity::Medium)) + u8::from(self.parts.len() > 1)
    }
}

/// See the file's head.
pub struct EntityRisk;

fn tactic_of(techniques: &[&'static str]) -> u8 {
    let fits = |known: &&str| techniques.iter().position(|one| one.starts_with(*known));
    let best = TACTICS.iter().enumerate().filter_map(|(nth, (known, ..))| Some((fits(known)?, nth))).min();
    best.map_or(TACTICS.len() as u8, |(_, nth)| {
        // The same tactic has one number.
        TACTICS.iter().position(|one| one.1 == TACTICS[nth].1).unwrap_or(nth) as u8
    })
}

fn name_of(tactic: u8) -> (&'static str, &'static str) {
    TACTICS.get(usize::from(tactic)).map_or(GETTING_IN, |one| (one.1, one.2))
}

fn points(severity: Severity) -> f64 {
    match severity {
        Severity::Low => 1.0,
        Severity::Medium => 4.0,
        Severity::High => 10.0,
        Severity::Critical => 16.0,
    }
}

/// Whom a detection is about: the person behind the event where it is about a user, else what it names.
fn key_of(detection: &Detection, event: &Event) -> Option<(String, &'static str, String)> {
    let value = detection.entity.first(detection.primary)?.to_owned();
    let own = entity_key(event);
    let same = own.split_once(':').is_some_and(|(_, name)| {
        detection
            .entity
            .0
            .get(detection.primary)
            .is_some_and(|values| values.iter().any(|one| one.eq_ignore_ascii_case(name)))
    });
    let key = if detection.primary.starts_with("user.") && same {
        own.into_owned()
    } else {
        format!("{}={}", detection.primary, value.to_lowercase())
    };
    Some((key, detection.primary, value))
}

impl Watch for EntityRisk {
    const ID: &'static str = "entity-risk";
    const SOURCE: &'static str = include_str!("entity_risk.rs");
    const SEVERITY: Severity = Severity::High;
    const TECHNIQUES: &'static [&'static str] = &["T1078"];
    /// None of its own: it hears.
    const ACTIONS: &'static [&'static str] = &["entity-risk"];
    const CAPACITY: usize = 50_000;
    type Settings = Settings;
    type State = Risk;

    fn look(_: &mut Post<'_, Self>, _: &Event, _: &Context, _: &mut Vec<Detection>) {}

    fn hear(at: &mut Post<'_, Self>, found: &[Detection], event: &Event, _: &Context, out: &mut Vec<Detection>) {
        for detection in found.iter().filter(|detection| &*detection.rule != Self::ID) {
            let Some((key, primary, value)) = key_of(detection, event) else { continue };
            let risk = at.states.touch(&key, event.time);
            let part = Part {
                rule: (&*detection.rule).into(),
                tactic: tactic_of(&detection.techniques),
                severity: detection.severity,
                time: event.time,
                reference: Mark::of(event),
            };
            match risk.parts.iter_mut().find(|known| known.rule == part.rule) {
                Some(known) => {
                    // An older, worse finding of the same rule is forgotten as it ages.
                    let half_life = at.settings.half_life_hours * HOUR;
                    let left = points(known.severity) * remaining((event.time - known.time) as f64, half_life);
                    if points(part.severity) >= left {
                        *known = part;
                    }
                }
                None => {
                    risk.parts.push(part);
                    if risk.parts.len() > RULES_KEPT {
                        let oldest =
                            (0..risk.parts.len()).min_by_key(|nth| (risk.parts[*nth].time, &risk.parts[*nth].rule));
                        risk.parts.remove(oldest.unwrap_or(0));
                    }
                }
            }
            if let Some((severity, score, tactics)) = weigh(&risk.parts, event.time, at.settings)
                && risk.told.again(event.time, score, severity as u8)
            {
                let mut entity = Identities::default();
                entity.add(primary, &value);
                entity.merge(&detection.entity);
                out.push(tell(event, severity, score, &tactics, risk, (entity, primary, key)));
            }
        }
    }
}

fn weigh(parts: &[Part], time: Millis, settings: &Settings) -> Option<(Severity, f64, Vec<u8>)> {
    let half_life = settings.half_life_hours.max(0.1) * HOUR;
    let left = |part: &Part| points(part.severity) * remaining(time.abs_diff(part.time) as f64, half_life);
    // Findings about one step of an attack mostly come together: of a tactic the worst counts in full, the others by half.
    let mut tactics: Vec<u8> = parts.iter().filter(|part| left(part) >= 0.5).map(|part| part.tactic).collect();
    tactics.sort_unstable();
    tactics.dedup();
    let of = |tactic: &u8| {
        let all: Vec<f64> = parts.iter().filter(|part| part.tactic == *tactic).map(&left).collect();
        let most = all.iter().copied().fold(0.0, f64::max);
        most + (all.iter().sum::<f64>() - most) / 2.0
    };
    let score: f64 = tactics.iter().map(of).sum();
    let rules = parts.iter().filter(|part| left(part) >= 0.5).count();
    let serious = parts.iter().any(|part| part.severity >= Severity::Medium && left(part) >= 1.0);
    let many = tactics.len() >= settings.tactics && serious && score >= settings.score;
    let severity = if many && score >= 2.0 * settings.score {
        Severity::Critical
    } else if many {
        Severity::High
    } else if rules >= 2 && score >= MUCH {
        Severity::Medium
    } else {
        return None;
    };
    Some((severity, score, tactics))
}

fn tell(
    event: &Event,
    severity: Severity,
    score: f64,
    tactics: &[u8],
    risk: &Risk,
    (entity, primary, key): (Identities, &'static str, String),
) -> Detection {
    let who = entity.first(primary).unwrap_or("somebody").to_owned();
    let mut parts: Vec<&Part> = risk.parts.iter().collect();
    parts.sort_by_key(|part| (part.time, &part.rule));
    let rules = parts.iter().map(|part| &*part.rule).collect::<Vec<_>>().join(", ");
    let names = tactics.iter().map(|tactic| name_of(*tactic).0).collect::<Vec<_>>().join(", ");
    let names_zh = tactics.iter().map(|tactic| name_of(*tactic).1).collect::<Vec<_>>().join("、");
    let from = parts.first().map_or(event.time, |part| part.time);
    let evidence = parts.iter().map(|part| part.reference).filter(|one| one.id != event.id).collect();
    let count = parts.len();
    let detection = Detection { entity, primary, subject: key, ..EntityRisk::detection(event, severity) };
    Detection {
        summary: Sentence::new(
            format!(
                "{count} rules have found something about {who} lately ({rules}); together they are an attack in steps: {names}"
            ),
            format!("近期有 {count} 条规则涉及 {who}（{rules}）；合起来是分步进行的攻击：{names_zh}"),
        ),
        observed: Sentence::new(format!("{score:.0} points over {}", names), format!("{score:.0} 分，涉及{names_zh}")),
        expected: Sentence::new("a finding now and then, of one kind", "偶尔出现单一类型的发现"),
        parts: vec![("points", score), ("tactics", tactics.len() as f64), ("rules", count as f64)],
        quiet: 24 * 3_600_000,
        ..detection.resting_on(evidence, from, event.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BERLIN, DAY, event};

    fn heard(story: &[(i64, &'static str, Severity, &'static [&'static str])]) -> Vec<Detection> {
        let mut states = crate::keyed::Keyed::new("test", 100);
        let mut out = Vec::new();
        for (minute, rule, severity, techniques) in story {
            let event = event(*minute, "mia", BERLIN, "view", *minute);
            let mut detection = Detection::about(&event, rule, *severity);
            detection.techniques = techniques.to_vec();
            let mut post = Post { settings: &Settings::default(), states: &mut states };
            EntityRisk::hear(&mut post, &[detection], &event, &Context::default(), &mut out);
        }
        out
    }

    const LOGIN: &[&str] = &["T1078"];
    const KEY: &[&str] = &["T1098.001"];
    const EXPORT: &[&str] = &["T1567", "T1530"];

    #[test]
    fn a_strange_login_a_key_and_an_export_are_an_attack_in_steps() {
        let found = heard(&[
            (0, "first-seen-risk", Severity::Medium, LOGIN),
            (10, "api-token-created", Severity::Medium, KEY),
            (30, "bulk-export", Severity::Medium, EXPORT),
        ]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::High);
        assert!(
            found[0].summary.en.contains("first-seen-risk, api-token-created, bulk-export"),
            "{}",
            found[0].summary.en
        );
        assert!(found[0].observed.zh.contains("外传"));
        assert_eq!(found[0].evidence.len(), 2);
    }

    #[test]
    fn one_rule_again_and_again_three_rules_about_one_login_and_findings_a_week_apart_are_not() {
        let again: Vec<_> = (0..50).map(|nth| (nth, "bulk-export", Severity::Medium, EXPORT)).collect();
        assert!(heard(&again).is_empty());
        let login = ["first-seen-risk", "anonymiser-login", "impossible-travel"];
        let one_login: Vec<_> =
            login.into_iter().enumerate().map(|(nth, rule)| (nth as i64, rule, Severity::Medium, LOGIN)).collect();
        assert!(heard(&one_login).is_empty());
        let apart = [
            (0, "first-seen-risk", Severity::Medium, LOGIN),
            (7 * DAY, "api-token-created", Severity::Medium, KEY),
            (14 * DAY, "bulk-export", Severity::Medium, EXPORT),
        ];
        assert!(heard(&apart).is_empty());
        let lows = [(0, "a", Severity::Low, LOGIN), (1, "b", Severity::Low, KEY), (2, "c", Severity::Low, EXPORT)];
        assert!(heard(&lows).is_empty());
    }

    #[test]
    fn two_high_findings_are_medium_together_and_more_steps_are_critical() {
        let two = [(0, "session-hijack", Severity::High, LOGIN), (5, "bulk-export", Severity::High, EXPORT)];
        assert_eq!(heard(&two)[0].severity, Severity::Medium);
        let more = [two[0], two[1], (9, "mass-delete", Severity::High, &["T1485"][..])];
        assert_eq!(heard(&more).last().expect("told").severity, Severity::Critical);
    }
}
