//! Finds the person of the people file behind the names of an event (`crm.person`, `crm.department`). Not for reading the file (`people_file`).

use std::collections::hash_map::Entry;
use std::sync::Arc;

use ahash::AHashMap;
use crmwatch_detectors::{Event, Field, Person};

use super::key::lower;

/// The fields whose names are tried, in this order.
const TRIED: [Field; 3] = [Field::UserName, Field::UserEmail, Field::UserId];

/// Names in lower case, with whom they mean; nobody where several people go by them.
#[derive(Debug, Default)]
pub struct People {
    by_name: AHashMap<Box<str>, Option<Arc<Person>>>,
}

impl People {
    /// Gathers every name each person goes by.
    pub fn new(people: Vec<Person>) -> People {
        let mut by_name: AHashMap<Box<str>, Option<Arc<Person>>> = AHashMap::new();
        for person in people {
            let person = Arc::new(person);
            let local = person.user.split_once('@').map(|(local, _domain)| local);
            let names = person.aliases.iter().map(|alias| &**alias).chain([&*person.user]).chain(local);
            for name in names.map(|name| lower(name.trim())).filter(|name| !name.is_empty()) {
                match by_name.entry(name.into()) {
                    Entry::Vacant(free) => {
                        free.insert(Some(Arc::clone(&person)));
                    }
                    Entry::Occupied(mut taken) => {
                        if taken.get().as_ref().is_some_and(|other| !Arc::ptr_eq(other, &person)) {
                            taken.insert(None);
                        }
                    }
                }
            }
        }
        People { by_name }
    }

    /// The one person a name means.
    pub fn find(&self, name: &str) -> Option<&Arc<Person>> {
        let name = lower(name.trim());
        if let Some(found) = self.by_name.get(&*name) {
            return found.as_ref();
        }
        // Windows writes DOMAIN\user.
        let (_domain, user) = name.rsplit_once('\\')?;
        self.by_name.get(user)?.as_ref()
    }

    /// Sets the person and his department.
    pub fn enrich(&self, event: &mut Event) {
        if self.by_name.is_empty() {
            return;
        }
        let Some(person) = TRIED.into_iter().find_map(|field| self.find(event.text(field)?)).cloned() else { return };
        event.set(Field::Person, &person.user);
        if let Some(department) = &person.department {
            event.set(Field::Department, department);
        }
        event.person = Some(person);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people() -> People {
        let person = |user: &str, aliases: &[&str]| Person {
            user: user.into(),
            aliases: aliases.iter().map(|alias| Box::from(*alias)).collect(),
            department: Some("Sales".into()),
            ..Person::default()
        };
        People::new(vec![
            person("Alice@Example.com", &["a.smith", "0051t000003XYZaAAG"]),
            person("bob@example.com", &["bobby"]),
            person("bob@example.org", &["bobby"]),
            person("carol", &["carol"]),
        ])
    }

    fn found(name: &str) -> Option<String> {
        people().find(name).map(|person| person.user.to_string())
    }

    #[test]
    fn a_person_is_known_by_user_alias_and_the_part_before_the_at() {
        for name in ["alice@example.com", "ALICE", "A.Smith", "0051t000003XYZaAAG", "CORP\\alice", " alice "] {
            assert_eq!(found(name).as_deref(), Some("Alice@Example.com"), "{name}");
        }
        assert_eq!(found("carol").as_deref(), Some("carol"));
    }

    #[test]
    fn a_name_that_fits_two_people_means_nobody() {
        assert_eq!(found("bob"), None);
        assert_eq!(found("bobby"), None);
        assert_eq!(found("CORP\\bob"), None);
        assert_eq!(found("bob@example.org").as_deref(), Some("bob@example.org"));
    }

    #[test]
    fn part_of_a_name_is_not_the_name() {
        for name in ["ali", "alice@evil.example", "", "\\", "example.com"] {
            assert_eq!(found(name), None, "{name}");
        }
    }

    #[test]
    fn the_first_name_that_means_somebody_decides() {
        let mut event = Event::new("");
        event.set(Field::UserName, "unknown");
        event.set(Field::UserEmail, "alice@example.com");
        people().enrich(&mut event);
        assert_eq!(event.text(Field::Person), Some("Alice@Example.com"));
        assert_eq!(event.text(Field::Department), Some("Sales"));
        assert_eq!(event.person.as_ref().map(|person| &*person.user), Some("Alice@Example.com"));
    }
}
