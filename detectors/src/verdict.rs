//! What a person has said of a finding, for those that learn: what raised an alert teaches nothing until somebody calls it harmless (then it is
//! learned as it was), or calls it an attack (then it is forgotten), or two weeks pass without a word. Not for incidents, which people settle
//! elsewhere.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::entity::ORDER;
use crate::event::Millis;
use crate::field::{Field, Kind};
use crate::finding::Finding;

/// A person's word on one finding. Hearing it twice changes nothing more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The finding's rule.
    pub rule: Arc<str>,
    /// The keys ([`crate::entity::entity_key`]) under which its events may have been learned.
    pub subjects: Vec<String>,
    /// The first event's time.
    pub from: Millis,
    /// The last event's time.
    pub to: Millis,
    /// It happened and was allowed, or did not happen; otherwise it was an attack.
    pub harmless: bool,
}

impl Verdict {
    /// The word on a finding.
    pub fn on(finding: &Finding, harmless: bool) -> Verdict {
        let mut subjects = Vec::new();
        for (field, word) in ORDER {
            // A person stands under his user names; of anything else only what the finding groups by was learned.
            let name = if field == Field::Person { Field::UserName.name() } else { field.name() };
            if name != Field::UserName.name() && name != &*finding.primary {
                continue;
            }
            for value in finding.entity.0.get(name).into_iter().flatten() {
                let exact = field.kind() == Kind::Exact;
                let value = if exact { value.clone() } else { value.to_lowercase() };
                subjects.push(format!("{word}:{value}"));
            }
        }
        let (from, to) = (finding.window.0.min(finding.time), finding.window.1.max(finding.last_time));
        Verdict { rule: finding.rule.clone(), subjects, from, to, harmless }
    }

    /// Whether a stretch of time is of what was judged.
    pub fn touches(&self, from: Millis, to: Millis) -> bool {
        from <= self.to && to >= self.from
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::Detector;
    use crate::engine::Engine;
    use crate::event::Event;
    use crate::finding::Severity;
    use crate::scenario::{BERLIN, DAY, NEW_YORK_VPN, SAO_PAULO, START, event, fortnight, office, with};

    type Make = fn() -> Box<dyn Detector>;

    /// What is found of medium or above at `again`, after a person's word on everything found before. The word is said twice, and all is saved and brought
    /// back in between, as after a crash.
    fn after(word: Option<bool>, make: Make, mut before: Vec<Event>, again: Vec<Event>) -> usize {
        before.sort_by_key(|event| event.time);
        let mut engine = Engine::with(vec![make()]);
        before.iter().for_each(|event| engine.observe(event));
        let found = engine.drain();
        assert!(found.iter().any(|finding| finding.severity >= Severity::Medium), "there is something to judge");
        let verdicts: Vec<Verdict> =
            word.into_iter().flat_map(|harmless| found.iter().map(move |one| Verdict::on(one, harmless))).collect();
        verdicts.iter().for_each(|verdict| engine.settle(verdict));
        let saved = engine.changes();
        let mut engine = Engine::with(vec![make()]);
        for change in &saved {
            engine.restore(change.owner, &change.key, change.value.as_deref().expect("kept")).expect("readable");
        }
        verdicts.iter().for_each(|verdict| engine.settle(verdict));
        again.iter().for_each(|event| engine.observe(event));
        let news = engine.drain();
        news.iter().filter(|one| one.severity >= Severity::Medium && found.iter().all(|old| old.id != one.id)).count()
    }

    /// Once called harmless the same is usual; without a word, and after an attack, it is found again.
    fn is_learned_once_called_harmless(make: Make, before: &[Event], again: &[Event]) {
        let found = [None, Some(false), Some(true)].map(|word| after(word, make, before.to_vec(), again.to_vec()));
        assert_eq!(found, [1, 1, 0], "without a word, after an attack, after something harmless");
    }

    #[test]
    fn an_export_called_harmless_is_usual_from_then_on() {
        let weeks = || office(0..26, "mia", BERLIN, 60).into_iter().chain(lists(0..26));
        let export = |day: i64| event(day * DAY + 600, "mia", BERLIN, "export", 20_000);
        let make: Make = || crate::bulk_export::BulkExport::build(&serde_json::json!({})).expect("defaults fit");
        let work = office(27..31, "mia", BERLIN, 60);
        let again: Vec<Event> = work.into_iter().chain([export(31)]).collect();
        is_learned_once_called_harmless(make, &weeks().chain([export(26)]).collect::<Vec<_>>(), &again);
    }

    fn lists(days: std::ops::Range<i64>) -> Vec<Event> {
        days.map(|day| event(day * DAY + 540, "mia", BERLIN, "export", 100 + day * 7)).collect()
    }

    #[test]
    fn a_clean_up_called_harmless_is_usual_from_then_on() {
        let delete = |day: i64| event(day * DAY + 600, "mia", BERLIN, "bulk-delete", 400);
        let make: Make =
            || crate::watch::build::<crate::mass_delete::MassDelete>(&serde_json::json!({})).expect("fits");
        let before: Vec<Event> = fortnight("mia").into_iter().chain([delete(15)]).collect();
        is_learned_once_called_harmless(make, &before, &[delete(18)]);
    }

    #[test]
    fn sharing_called_harmless_is_usual_from_then_on() {
        let share = |day: i64| with(event(day * DAY + 600, "mia", BERLIN, "share", 60), Field::ShareScope, "external");
        let make: Make = || crate::watch::build::<crate::mass_share::MassShare>(&serde_json::json!({})).expect("fits");
        let before: Vec<Event> = fortnight("mia").into_iter().chain([share(15)]).collect();
        is_learned_once_called_harmless(make, &before, &[share(18)]);
    }

    #[test]
    fn a_way_called_harmless_is_not_told_again() {
        let from = |day: i64, site| event(day * DAY + 11 * 60 + 10, "mia", site, "view", 1);
        let make: Make = || crate::impossible_travel::ImpossibleTravel::build(&serde_json::json!({})).expect("fits");
        let before: Vec<Event> = office(0..7, "mia", BERLIN, 30).into_iter().chain([from(6, SAO_PAULO)]).collect();
        let mut again = office(9..10, "mia", BERLIN, 30);
        again.push(from(9, SAO_PAULO));
        again.sort_by_key(|event| event.time);
        is_learned_once_called_harmless(make, &before, &again);
    }

    #[test]
    fn a_network_called_harmless_is_known_a_day_after_it_was_first_seen_and_an_attacker_s_never() {
        let make: Make =
            || crate::watch::build::<crate::first_seen_risk::FirstSeenRisk>(&serde_json::json!({})).expect("fits");
        let strange = |day: i64, action: &str, records| {
            let mut one = with(
                event(day * DAY + 1_300, "mia", NEW_YORK_VPN, action, records),
                Field::UserAgent,
                crate::scenario::FIREFOX,
            );
            one.time += i64::from(action != "login") * 240_000;
            one
        };
        let usual = fortnight("mia").into_iter().map(|one| with(one, Field::UserAgent, crate::scenario::CHROME));
        let before: Vec<Event> = usual.chain([strange(15, "login", -1), strange(15, "export", 900)]).collect();
        let again = [strange(19, "login", -1), strange(19, "export", 900)];
        is_learned_once_called_harmless(make, &before, &again);
    }

    #[test]
    fn a_word_on_one_finding_is_none_on_another_s_time_or_person() {
        let delete = |day: i64, user: &str| event(day * DAY + 600, user, BERLIN, "bulk-delete", 400);
        let make: Make =
            || crate::watch::build::<crate::mass_delete::MassDelete>(&serde_json::json!({})).expect("fits");
        let mut engine = Engine::with(vec![make()]);
        fortnight("mia").iter().chain(&[delete(15, "mia")]).for_each(|event| engine.observe(event));
        let found = engine.drain().pop().expect("found");
        let right = Verdict::on(&found, true);
        assert!(right.subjects.contains(&"user:mia".to_owned()) && right.touches(found.time, found.time));
        assert!(!right.touches(START, START + 60_000));
        engine.settle(&Verdict { subjects: vec!["user:ben".into()], ..right.clone() });
        engine.settle(&Verdict { rule: "mass-update".into(), ..right.clone() });
        engine.settle(&Verdict { from: right.from - 86_400_000, to: right.to - 86_400_000, ..right });
        engine.observe(&delete(18, "mia"));
        assert_eq!(engine.drain().len(), 1);
    }
}
