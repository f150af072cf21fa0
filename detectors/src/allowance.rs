//! What the operator knows and the logs do not: who may do what, who travels, when there is maintenance. Each entry has a reason and an end.
//! A finding that an entry covers is not made, and counted; what it would have taught is learned all the same. Not for thresholds (settings),
//! nor for reading the entries (the configuration).

use ahash::AHashMap;

use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::Detection;
use crate::place::Cidr;

/// Which list an entry stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knowledge {
    /// Somebody may do something.
    Allowed,
    /// Somebody is in a country.
    Travel,
    /// Something is being worked on.
    Maintenance,
}

impl Knowledge {
    /// The section's name.
    pub const fn word(self) -> &'static str {
        match self {
            Knowledge::Allowed => "allow",
            Knowledge::Travel => "travel",
            Knowledge::Maintenance => "maintenance",
        }
    }
}

/// Rules that a journey explains: those about where somebody is.
pub const OF_PLACE: [&str; 4] = ["concurrent-sessions", "first-seen-risk", "impossible-travel", "session-hijack"];

/// One entry, checked. Everything that is given must fit; of a list, one of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Allowance {
    /// The list it stands in.
    pub knowledge: Knowledge,
    /// Why: shown when it is reviewed.
    pub reason: String,
    /// Ids of rules; all where there is none.
    pub rules: Vec<String>,
    /// Names of sources the deciding event came from; all where there is none.
    pub sources: Vec<String>,
    /// User name, e-mail address or id the finding is about.
    pub user: Option<String>,
    /// Role or department of the person.
    pub group: Option<String>,
    /// App, by id or name.
    pub app: Option<String>,
    /// A network in which every address of the finding lies.
    pub network: Option<Cidr>,
    /// The country the event comes from, ISO 3166 alpha-2; the person's own fits, too, since a traveller's programs and VPN stay at home.
    pub country: Option<String>,
    /// The kind of record.
    pub object: Option<String>,
    /// From when on.
    pub from: Millis,
    /// Until when.
    pub until: Millis,
}

impl Allowance {
    /// An entry that covers everything, always.
    pub fn new(knowledge: Knowledge, reason: &str) -> Allowance {
        Allowance {
            knowledge,
            reason: reason.to_owned(),
            rules: Vec::new(),
            sources: Vec::new(),
            user: None,
            group: None,
            app: None,
            network: None,
            country: None,
            object: None,
            from: Millis::MIN,
            until: Millis::MAX,
        }
    }

    fn covers(&self, detection: &Detection, event: &Event) -> bool {
        let same = |wanted: &Option<String>, has: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(has);
        let about_user = detection.primary.starts_with("user.");
        let named = |fields: &[Field], wanted: &str| {
            fields.iter().any(|field| {
                // One user of many does not speak for an attack on all.
                let about = about_user || !field.name().starts_with("user.");
                let first = detection.entity.first(field.name()).filter(|_| about);
                first.is_some_and(|one| one.eq_ignore_ascii_case(wanted))
                    || (about && event.text(*field).is_some_and(|one| one.eq_ignore_ascii_case(wanted)))
            })
        };
        let person = event.person.as_deref();
        let of_group = |group: &str| {
            let has = |one: Option<&str>| one.is_some_and(|one| one.eq_ignore_ascii_case(group));
            about_user && person.is_some_and(|person| has(person.role.as_deref()) || has(person.department.as_deref()))
        };
        let of_country = |country: &str| {
            let own = person.and_then(|person| person.country.as_deref());
            let Some(there) = event.text(Field::SourceCountry) else { return false };
            there.eq_ignore_ascii_case(country) || own.is_some_and(|own| own.eq_ignore_ascii_case(there))
        };
        let addresses = detection.entity.0.get(Field::SourceIp.name());
        let inside = |network: &Cidr| {
            addresses.is_some_and(|all| {
                !all.is_empty() && all.iter().all(|one| one.parse().is_ok_and(|ip| network.holds(ip)))
            })
        };
        event.time >= self.from
            && event.time <= self.until
            && (self.rules.is_empty() || self.rules.iter().any(|rule| **rule == *detection.rule))
            && (self.sources.is_empty() || self.sources.iter().any(|source| **source == *event.origin.source))
            && same(&self.user, &|user| named(&[Field::UserName, Field::UserEmail, Field::UserId, Field::Person], user))
            && same(&self.app, &|app| named(&[Field::OauthClientId, Field::OauthClientName], app))
            && same(&self.group, &of_group)
            && self.network.as_ref().is_none_or(inside)
            && same(&self.country, &of_country)
            && same(&self.object, &|object| {
                event.text(Field::ObjectType).is_some_and(|one| one.eq_ignore_ascii_case(object))
            })
    }
}

/// What was not made because of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppressed {
    /// The rule.
    pub rule: String,
    /// The list of the entry that covered it.
    pub knowledge: Knowledge,
}

/// How many episodes of suppressed findings are told apart; beyond, one may be counted twice.
const TOLD_APART: usize = 10_000;

/// The list.
#[derive(Debug, Default)]
pub struct Allowances {
    list: Vec<Allowance>,
    /// Rule and subject, and until when more of the same is the same finding. For counting only.
    episodes: AHashMap<(String, String), Millis>,
    suppressed: Vec<Suppressed>,
}

impl Allowances {
    /// Of checked entries.
    pub fn new(list: Vec<Allowance>) -> Allowances {
        Allowances { list, ..Allowances::default() }
    }

    /// Takes away what is covered, and counts it.
    pub(crate) fn sift(&mut self, found: &mut Vec<Detection>, event: &Event) {
        if self.list.is_empty() {
            return;
        }
        let Allowances { list, episodes, suppressed } = self;
        found.retain(|detection| {
            let Some(covering) = list.iter().find(|one| one.covers(detection, event)) else { return true };
            if episodes.len() > TOLD_APART {
                episodes.clear();
            }
            let until = episodes.entry((detection.rule.to_string(), detection.subject.clone())).or_insert(Millis::MIN);
            if event.time > *until {
                suppressed.push(Suppressed { rule: detection.rule.to_string(), knowledge: covering.knowledge });
            }
            *until = (*until).max(event.time.saturating_add(detection.quiet));
            false
        });
    }

    /// What was suppressed since the last call, each episode once.
    pub(crate) fn drain(&mut self) -> Vec<Suppressed> {
        std::mem::take(&mut self.suppressed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;
    use crate::scenario::{BERLIN, DAY, SAO_PAULO, START, Site, event};

    fn travel() -> Allowance {
        Allowance {
            rules: vec!["impossible-travel".into()],
            user: Some("Mia".into()),
            country: Some("br".into()),
            from: START,
            until: START + 2 * DAY * 60_000 - 1,
            ..Allowance::new(Knowledge::Travel, "trade fair")
        }
    }

    fn left(allowance: Allowance, rule: &'static str, minute: i64, user: &str) -> usize {
        left_at(allowance, rule, minute, user, SAO_PAULO)
    }

    fn left_at(allowance: Allowance, rule: &'static str, minute: i64, user: &str, site: Site) -> usize {
        let event = event(minute, user, site, "login", -1);
        let mut found = vec![Detection::about(&event, rule, Severity::High)];
        Allowances::new(vec![allowance]).sift(&mut found, &event);
        found.len()
    }

    #[test]
    fn known_travel_is_allowed_to_that_person_there_and_then_only() {
        assert_eq!(left(travel(), "impossible-travel", 60, "mia"), 0);
        assert_eq!(left(travel(), "impossible-travel", 60, "ben"), 1);
        assert_eq!(left(travel(), "bulk-export", 60, "mia"), 1);
        assert_eq!(left(travel(), "impossible-travel", 2 * DAY, "mia"), 1, "the day after");
        assert_eq!(left_at(travel(), "impossible-travel", 60, "mia", BERLIN), 1, "elsewhere");
        let network = |text: &str| Allowance { network: Cidr::parse(text), ..travel() };
        assert_eq!(left(network("198.51.100.0/24"), "impossible-travel", 60, "mia"), 0);
        assert_eq!(left(network("203.0.113.0/24"), "impossible-travel", 60, "mia"), 1);
    }

    #[test]
    fn a_traveller_s_own_country_is_no_surprise_either_and_a_third_one_is() {
        let at = |site: Site| {
            let mut event = event(60, "mia", site, "login", -1);
            let home = crate::Person { user: "mia".into(), country: Some("DE".into()), ..crate::Person::default() };
            event.person = Some(std::sync::Arc::new(home));
            let mut found = vec![Detection::about(&event, "impossible-travel", Severity::High)];
            Allowances::new(vec![travel()]).sift(&mut found, &event);
            found.len()
        };
        assert_eq!([at(SAO_PAULO), at(BERLIN), at(crate::scenario::PARIS)], [0, 0, 1]);
    }

    #[test]
    fn maintenance_covers_what_comes_from_its_sources_while_it_lasts() {
        let window = |sources: &[&str]| Allowance {
            sources: sources.iter().map(|one| (*one).to_owned()).collect(),
            until: START + 3_600_000,
            ..Allowance::new(Knowledge::Maintenance, "migration")
        };
        assert_eq!(left(window(&["crm"]), "mass-update", 30, "mia"), 0);
        assert_eq!(left(window(&["portal"]), "mass-update", 30, "mia"), 1);
        assert_eq!(left(window(&["crm"]), "mass-update", 61, "mia"), 1);
    }

    #[test]
    fn one_user_of_many_does_not_silence_an_attack_on_all() {
        for allowance in [
            Allowance { user: Some("mia".into()), ..Allowance::new(Knowledge::Allowed, "x") },
            Allowance { group: Some("sales".into()), ..Allowance::new(Knowledge::Allowed, "x") },
        ] {
            let mut event = event(0, "mia", BERLIN, "login", -1);
            let sales = crate::Person { user: "mia".into(), role: Some("sales".into()), ..crate::Person::default() };
            event.person = Some(std::sync::Arc::new(sales));
            let mut detection = Detection::about(&event, "password-spray", Severity::High);
            detection.primary = "source.ip";
            let mut found = vec![detection];
            Allowances::new(vec![allowance]).sift(&mut found, &event);
            assert_eq!(found.len(), 1);
        }
    }

    #[test]
    fn what_is_suppressed_is_counted_once_an_episode() {
        let mut allowances = Allowances::new(vec![travel()]);
        for minute in [1, 2, 3, 1_000] {
            let event = event(minute, "mia", SAO_PAULO, "login", -1);
            let one = Detection { quiet: 600_000, ..Detection::about(&event, "impossible-travel", Severity::High) };
            allowances.sift(&mut vec![one], &event);
        }
        let counted = allowances.drain();
        assert_eq!(counted.len(), 2);
        assert_eq!((&*counted[0].rule, counted[0].knowledge.word()), ("impossible-travel", "travel"));
        assert!(allowances.drain().is_empty());
    }
}
