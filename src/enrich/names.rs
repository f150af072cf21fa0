//! Names of people whom some lines call only by an id, learned from lines that carry both (`user.id` and `user.name`), within one
//! organisation of one provider. Bounded and saved. Not for the people file (`people`).

use crmwatch_detectors::detector::RestoreError;
use crmwatch_detectors::keyed::{Keyed, Resident};
use crmwatch_detectors::memory::Shelf;
use crmwatch_detectors::{Event, Field, Millis};
use serde::{Deserialize, Serialize};

use super::key;

/// Whose state this is.
pub const OWNER: &str = "enrich.names";
/// Ids whose names are remembered.
const CAPACITY: usize = 200_000;
/// A name seen again is marked as alive no more often than this, so that a busy person is not saved with every batch.
const REFRESH: Millis = 24 * 3_600_000;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Learned {
    name: Box<str>,
    /// The latest event that taught it.
    at: Millis,
}

impl Resident for Learned {}

/// What names ids have.
pub struct Names {
    known: Keyed<Learned>,
    /// Memory of the key at hand.
    key: String,
}

impl Names {
    /// With nothing learned.
    pub fn new() -> Names {
        Names { known: Keyed::new(OWNER, CAPACITY), key: String::new() }
    }

    /// Learns from a line that has both; names one that has the id only. A line that names its user by an e-mail address alone is
    /// called by that, so that it is not a nobody.
    pub fn enrich(&mut self, event: &mut Event, teaches: bool) {
        if let Some(id) = event.text(Field::UserId) {
            let scope = |field| event.text(field).unwrap_or_default();
            let mut key = std::mem::take(&mut self.key);
            key::join_into(&mut key, &[scope(Field::EventProvider), scope(Field::OrganizationId), id]);
            let known = self.known.get(&key);
            let own = event.text(Field::UserName);
            // An e-mail address is the name only of whom no line calls by another: else one person had two.
            let taught = own.or_else(|| event.text(Field::UserEmail).filter(|_| known.is_none()));
            match (taught, known) {
                // A failed login proves nothing about whose id it is.
                (Some(name), _) if teaches && name != id && event.text(Field::EventOutcome) != Some("failure") => {
                    self.learn(&key, name, event.time);
                }
                (None, Some(known)) => event.set(Field::UserName, &known.name),
                _ => {}
            }
            self.key = key;
        }
        if !event.has(Field::UserName) {
            event.copy(Field::UserEmail, Field::UserName);
        }
    }

    fn learn(&mut self, key: &str, name: &str, time: Millis) {
        let name = key::bounded(name);
        if let Some(known) = self.known.get(key) {
            let same = *known.name == *name;
            // A late line does not undo a later renaming.
            if time < known.at || (same && time - known.at < REFRESH) {
                return;
            }
        }
        *self.known.touch(key, time) = Learned { name: name.into(), at: time };
    }

    /// Everything it remembers.
    pub fn memory(&mut self) -> Shelf<'_> {
        Shelf::of(&mut self.known)
    }

    /// Takes back one piece.
    pub fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        self.known.restore(key, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(time: Millis, organization: &str, id: &str, name: Option<&str>) -> Event {
        let mut event = Event::new("");
        event.time = time;
        event.set(Field::EventProvider, "salesforce");
        event.set(Field::OrganizationId, organization);
        event.set(Field::UserId, id);
        if let Some(name) = name {
            event.set(Field::UserName, name);
        }
        event
    }

    fn named(names: &mut Names, mut event: Event) -> Option<String> {
        names.enrich(&mut event, true);
        event.text(Field::UserName).map(str::to_owned)
    }

    #[test]
    fn an_id_is_called_by_the_name_it_was_seen_with() {
        let mut names = Names::new();
        assert_eq!(named(&mut names, line(1, "org", "005A", None)), None);
        named(&mut names, line(2, "org", "005A", Some("alice@example.com")));
        assert_eq!(named(&mut names, line(3, "org", "005A", None)).as_deref(), Some("alice@example.com"));
        assert_eq!(named(&mut names, line(3, "other", "005A", None)), None, "another organisation's id is another's");
        assert_eq!(named(&mut names, line(3, "org", "005a", None)), None, "ids differ by case");
    }

    #[test]
    fn a_renaming_holds_against_late_lines() {
        let mut names = Names::new();
        named(&mut names, line(10, "org", "1", Some("old")));
        named(&mut names, line(20, "org", "1", Some("new")));
        named(&mut names, line(15, "org", "1", Some("old")));
        assert_eq!(named(&mut names, line(30, "org", "1", None)).as_deref(), Some("new"));
    }

    #[test]
    fn failed_lines_teach_nothing_and_an_address_alone_is_a_name() {
        let mut names = Names::new();
        let mut failed = line(1, "org", "1", Some("mallory"));
        failed.set(Field::EventOutcome, "failure");
        named(&mut names, failed);
        assert_eq!(named(&mut names, line(2, "org", "1", None)), None);
        let mut mailed = line(3, "org", "1", None);
        mailed.set(Field::UserEmail, "bob@example.com");
        assert_eq!(named(&mut names, mailed).as_deref(), Some("bob@example.com"));
        assert_eq!(named(&mut names, line(4, "org", "1", None)).as_deref(), Some("bob@example.com"));
    }

    #[test]
    fn a_name_learned_goes_before_an_address() {
        let mut names = Names::new();
        named(&mut names, line(1, "org", "1", Some("bob")));
        let mut mailed = line(2, "org", "1", None);
        mailed.set(Field::UserEmail, "bob@example.com");
        assert_eq!(named(&mut names, mailed).as_deref(), Some("bob"));
    }

    #[test]
    fn a_busy_person_is_saved_once_a_day() {
        let mut names = Names::new();
        named(&mut names, line(0, "org", "1", Some("alice")));
        assert_eq!(names.known.changes().len(), 1);
        named(&mut names, line(REFRESH - 1, "org", "1", Some("alice")));
        assert_eq!(names.known.changes().len(), 0);
        named(&mut names, line(REFRESH, "org", "1", Some("alice")));
        assert_eq!(names.known.changes().len(), 1);
    }
}
