//! Somebody looks what there is, object by object, before taking it.
//!
//! # What it finds
//! Many kinds of records counted, described or queried by program within ten minutes; and searches for passwords and keys in customers' texts.
//!
//! # Why it matters
//! Before a stolen key reads everything, its new owner looks what is worth reading, and whether support cases hold passwords of other
//! systems. It is the quietest hour of the attack, and the last in which nothing is lost yet.
//!
//! # How it decides
//! Kinds of records touched through queries and interfaces are counted by entity within ten minutes, those of counting or describing queries
//! (`COUNT()`, `describe`, `$metadata`, schema) apart. From `objects_counted` on of the latter, or `objects` of any, and from twice the largest such number of a day
//! ago or earlier, it is medium; high from a network that is strange to the account. Three different searches for secrets within an hour by one person
//! are medium, too. Programs are low in an organisation's first three days.
//!
//! # False positives
//! A developer's tool that describes all objects when it starts, on its first day; support that searches for "password reset" in many words.
//!
//! # What to check
//! - Which queries were they? Search by `user.name` and `event.action:api-call`.
//! - If nobody knows the program: revoke its key now; the export comes next.
//!
//! # Settings
//! - `objects_counted` (15): kinds of records counted or described within ten minutes.
//! - `objects` (30): kinds of records touched by a program within ten minutes.

use serde::{Deserialize, Serialize};

use crate::baseline::stable_hash;
use crate::detector::Context;
use crate::entity::entity_key;
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Sentence, Severity};
use crate::keyed::Resident;
use crate::mass::{HOUR, Hours, Told};
use crate::names::who;
use crate::sigma::window::Distinct;
use crate::verdict::Verdict;
use crate::watch::{Post, Watch};
use crate::window::Trail;

const SPAN: Millis = 600_000;
const ROOM: usize = 128;
const SECRETS: [&str; 14] = [
    "password",
    "passwd",
    "passwort",
    "secret",
    "api_key",
    "apikey",
    "api key",
    "akia",
    "access key",
    "private key",
    "credential",
    "bearer ",
    "密码",
    "口令",
];
const SECRET_SEARCHES: f64 = 3.0;

/// What an operator may set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    objects_counted: f64,
    objects: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { objects_counted: 15.0, objects: 30.0 }
    }
}

/// What one entity asked for.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Scout {
    counted: Distinct,
    touched: Distinct,
    secrets: Distinct,
    hours: Hours,
    trail: Trail,
    told: Told,
}

impl Resident for Scout {}

/// See the file's head.
pub struct QueryReconnaissance;

/// No more of a query is looked at.
const LONGEST: usize = 2_048;

fn lower(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST)].to_lowercase()
}

/// Whether a query counts or describes instead of reading.
fn scouts(event: &Event) -> bool {
    let query = event.text(Field::Query).map(lower);
    let path = event.text(Field::UrlPath).map(lower);
    let has =
        |text: Option<String>, words: &[&str]| text.is_some_and(|text| words.iter().any(|word| text.contains(word)));
    has(query, &["count(", "describe", "information_schema", "entitydefinition"])
        || has(path, &["/describe", "$metadata", "/schema", "fields_get"])
}

fn searches_secrets(event: &Event) -> Option<u32> {
    let texts = [Field::Query, Field::UrlQuery].into_iter().filter_map(|field| event.text(field)).map(lower);
    texts.filter(|text| SECRETS.iter().any(|word| text.contains(word))).map(|text| stable_hash(&text)).next()
}

impl Watch for QueryReconnaissance {
    const ID: &'static str = "query-reconnaissance";
    const SOURCE: &'static str = include_str!("query_reconnaissance.rs");
    const SEVERITY: Severity = Severity::Medium;
    const TECHNIQUES: &'static [&'static str] = &["T1087", "T1213", "T1552"];
    const ACTIONS: &'static [&'static str] = &["api-call", "bulk-api", "search"];
    type Settings = Settings;
    type State = Scout;

    fn look(at: &mut Post<'_, Self>, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        let key = entity_key(event);
        if key.is_empty() || event.text(Field::EventOutcome) == Some("failure") {
            return;
        }
        let secret = searches_secrets(event);
        let browser = matches!(event.text(Field::UserAgentDevice), Some("desktop" | "mobile"));
        let scouting = scouts(event);
        let object = event.text(Field::ObjectType).or_else(|| event.text(Field::UrlPath).filter(|_| scouting));
        let object = object
            .filter(|_| scouting || (!browser && event.text(Field::EventAction) != Some("search")))
            .map(stable_hash);
        if object.is_none() && secret.is_none() {
            return;
        }
        let scout = at.states.touch(&key, event.time);
        let (mut counted, mut touched, mut searched) = (0.0, 0.0, 0.0);
        let many = |distinct: &mut Distinct, value: u32, span: Millis| {
            distinct.insert(event.time, u64::from(value), span, ROOM);
            distinct.fullest(event.time, span, 1).map_or(0.0, |found| found.amount)
        };
        if let Some(object) = object {
            touched = many(&mut scout.touched, object, SPAN);
            if scouting {
                counted = many(&mut scout.counted, object, SPAN);
            }
        }
        if let Some(secret) = secret {
            searched = many(&mut scout.secrets, secret, HOUR);
        }
        let number = event.time.div_euclid(HOUR);
        if object.is_some() {
            scout.hours.change(number, |before| before.max(touched));
        }
        if counted >= 5.0 || touched >= 10.0 || searched > 0.0 {
            scout.trail.add(event, HOUR, 60);
        }
        let usual = scout.hours.usual(number);
        let looked =
            (counted >= at.settings.objects_counted || touched >= at.settings.objects) && touched >= 2.0 * usual;
        if !looked && searched < SECRET_SEARCHES {
            return;
        }
        let view = context.view(event);
        let program = key.starts_with("app:") || event.person.as_ref().is_some_and(|person| person.is_program());
        let severity = if looked && view.mature() && view.strange_network() {
            Severity::High
        } else if looked && program && view.organisation_days() < 3.0 {
            Severity::Low
        } else {
            Severity::Medium
        };
        scout.hours.reported(number);
        if scout.told.again(event.time, touched.max(searched), severity as u8) {
            let mut evidence = scout.trail.references(event.time - HOUR, event.time);
            evidence.retain(|reference| reference.id != event.id);
            let figures = [counted, touched, searched, usual];
            out.push(tell(event, severity, looked, figures).resting_on(evidence, event.time - SPAN, event.time));
        }
    }

    fn settle(at: &mut Post<'_, Self>, verdict: &Verdict) {
        at.each_judged(verdict, |scout| scout.hours.settle(verdict));
    }
}

fn tell(event: &Event, severity: Severity, looked: bool, figures: [f64; 4]) -> Detection {
    let who = who(event);
    let [counted, touched, searched, usual] = figures;
    let (summary, observed) = if looked {
        (
            Sentence::new(
                format!(
                    "{who} queried {touched:.0} kinds of records within ten minutes, as somebody does who looks what there is to take"
                ),
                format!("{who} 在十分钟内查询了 {touched:.0} 种记录，如同在探查有什么可取走"),
            ),
            Sentence::new(
                format!("{touched:.0} kinds of records, {counted:.0} of them only counted or described"),
                format!("{touched:.0} 种记录，其中 {counted:.0} 种仅计数或描述结构"),
            ),
        )
    } else {
        (
            Sentence::new(
                format!(
                    "{who} searched customers' texts for passwords or keys, in {searched:.0} different ways within an hour"
                ),
                format!("{who} 在一小时内以 {searched:.0} 种方式在客户文本中搜索密码或密钥"),
            ),
            Sentence::new(format!("{searched:.0} searches for secrets"), format!("{searched:.0} 次搜索敏感信息")),
        )
    };
    Detection {
        summary,
        observed,
        expected: Sentence::new(
            format!("at most {usual:.0} kinds of records within ten minutes so far"),
            format!("此前十分钟内最多 {usual:.0} 种记录"),
        ),
        quiet: 6 * HOUR,
        parts: vec![("kinds counted", counted), ("kinds touched", touched), ("searches for secrets", searched)],
        ..QueryReconnaissance::detection(event, severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{BERLIN, DAY, NEW_YORK_VPN, Site, event, fortnight, kept_promises, play_all, with, worst};

    fn make() -> Box<dyn crate::Detector> {
        crate::watch::build::<QueryReconnaissance>(&serde_json::json!({})).expect("defaults fit")
    }

    fn asked(minute: i64, site: Site, object: &str, query: &str) -> Event {
        let event = event(15 * DAY + 600 + minute, "mia", site, "api-call", object.len() as i64);
        with(with(event, Field::ObjectType, object), Field::Query, query)
    }

    fn counts(kinds: i64, site: Site) -> Vec<Event> {
        let one = |nth: i64| {
            let mut one = asked(0, site, &format!("entity{nth}"), &format!("SELECT COUNT() FROM entity{nth}"));
            one.time += nth * 5_000;
            one.id = crate::EventId(nth as u128 + 7);
            one
        };
        fortnight("mia").into_iter().chain((0..kinds).map(one)).collect()
    }

    #[test]
    fn counting_object_after_object_is_medium_and_from_a_strange_network_high() {
        let found = kept_promises(&make, counts(40, BERLIN));
        assert_eq!((found.len(), worst(&found)), (1, Some(Severity::Medium)));
        assert_eq!(worst(&kept_promises(&make, counts(20, NEW_YORK_VPN))), Some(Severity::High));
    }

    #[test]
    fn a_page_of_an_application_and_one_object_counted_often_are_nothing() {
        assert_eq!(play_all(&make, counts(10, BERLIN)).len(), 0);
        let often = (0..200).map(|nth| asked(nth / 20, BERLIN, "contact", "SELECT COUNT() FROM Contact"));
        assert_eq!(play_all(&make, often.collect()).len(), 0);
    }

    #[test]
    fn three_searches_for_secrets_are_medium_and_two_nothing() {
        let words = ["Password for VPN", "AKIA", "api_key"];
        let search = |count: usize| {
            let one = |(nth, word): (usize, &&str)| {
                with(event(nth as i64 * 5, "mia", BERLIN, "search", nth as i64), Field::Query, word)
            };
            words[..count].iter().enumerate().map(one).collect::<Vec<_>>()
        };
        assert_eq!(worst(&kept_promises(&make, search(3))), Some(Severity::Medium));
        assert_eq!(play_all(&make, search(2)).len(), 0);
    }
}
