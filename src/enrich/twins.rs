//! One action seen through two sources (a web server and the CRM behind it both report one export) is counted once. Only for actions that
//! change something or take data out, and for logins: those are what detectors count. Bounded and saved. Not for one source's repeats (`repeats`).
//!
//! Two web servers of one CRM tell of two logins; a web server and the CRM behind it may tell of one. So a login is met only by a report of
//! the other kind, that ended the same way, and one that says who it was never gives way to one that does not.
//!
//! The one that comes later is the copy, since the earlier is already counted, and the richer should be the one that counts: so a later
//! one that brings the number of records where the earlier had none is kept beside it. Then both are counted as actions, but the records,
//! which are what bulk is measured by, once. Without that the web server's line, which is always first and knows nothing, would hide
//! the CRM's, which knows all.

use crmwatch_detectors::detector::RestoreError;
use crmwatch_detectors::keyed::{Keyed, Resident};
use crmwatch_detectors::memory::Shelf;
use crmwatch_detectors::{Event, Field, Millis};
use serde::{Deserialize, Serialize};

use super::key;

/// Whose state this is.
pub const OWNER: &str = "enrich.actions";

/// Persons and addresses, by action.
const CAPACITY: usize = 50_000;
/// How far apart two reports of one action may be stamped.
const TOGETHER: Millis = 5_000;
/// Actions remembered of one person or address: a source delivered hours late must still meet them.
const MOST_ACTIONS: usize = 32;

/// What is counted once where a web server and the CRM behind it tell of it.
const LOGIN: &str = "login";

/// What is counted once.
const ACTIONS: &[&str] = &[
    LOGIN,
    "export",
    "bulk-api",
    "file-download",
    "print",
    "import",
    "create",
    "update",
    "delete",
    "bulk-delete",
    "restore",
    "merge",
    "share",
    "ownership-change",
    "permission-change",
    "settings-change",
    "audit-disable",
    "user-create",
    "user-delete",
    "user-disable",
    "user-enable",
    "oauth-grant",
    "oauth-revoke",
    "integration-install",
    "token-create",
    "password-reset",
    "password-change",
    "mfa-enrolled",
    "mfa-removed",
];

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Action {
    /// The `_id` of its first report: the same action stands under its person and under its address.
    first: u128,
    at: Millis,
    /// Who has reported it.
    sources: Vec<Box<str>>,
    user: Option<Box<str>>,
    outcome: Option<Box<str>>,
    object: Option<Box<str>>,
    kind: Option<Box<str>>,
    records: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Recent {
    actions: Vec<Action>,
}

impl Resident for Recent {}

impl Action {
    fn of(event: &Event) -> Action {
        let part = |field| event.text(field).map(|text| Box::from(&*key::bounded(text)));
        if event.text(Field::EventAction) == Some(LOGIN) {
            let web = event.has(Field::HttpStatus);
            return Action {
                first: event.id.0,
                at: event.time,
                sources: vec![event.origin.source.clone()],
                user: user(event),
                outcome: part(Field::EventOutcome),
                object: None,
                kind: Some(Box::from(if web { WEB_LOGIN } else { OWN_LOGIN })),
                records: false,
            };
        }
        Action {
            first: event.id.0,
            at: event.time,
            sources: vec![event.origin.source.clone()],
            user: user(event),
            outcome: part(Field::EventOutcome),
            object: part(Field::ObjectId).or_else(|| part(Field::ReportId)),
            kind: part(Field::ObjectType).map(|kind| Box::from(&*key::lower(&kind))),
            records: event.has(Field::Records),
        }
    }

    /// Whether another source's report may be of the same action. What one of them does not say contradicts nothing.
    fn is(&self, later: &Action) -> bool {
        let agree = |one: &Option<Box<str>>, two: &Option<Box<str>>| one.is_none() || two.is_none() || one == two;
        // Types are spelt differently from source to source; ids are not. Where both have an id, it decides.
        let object = match (&self.object, &later.object) {
            (Some(one), Some(two)) => one == two,
            _ if later.is_login() => {
                self.kind != later.kind
                    && self.outcome == later.outcome
                    && self.outcome.as_deref() != Some("unknown")
                    && (self.user.is_some() || later.user.is_none())
            }
            _ => agree(&self.kind, &later.kind),
        };
        // One source names who it was, another has only the number.
        let person = match (&self.user, &later.user) {
            (Some(one), Some(two)) if one.starts_with(NUMBERED) != two.starts_with(NUMBERED) => self.object.is_some(),
            _ => agree(&self.user, &later.user),
        };
        object
            && person
            && self.at.abs_diff(later.at) <= TOGETHER.unsigned_abs()
            && agree(&self.outcome, &later.outcome)
            && !later.sources.iter().any(|source| self.sources.contains(source))
    }
}

/// Where a login was told.
const WEB_LOGIN: &str = "login at a web server";
const OWN_LOGIN: &str = "login of the application's own";
/// Before a user's number, where no name is told.
const NUMBERED: char = '#';

impl Action {
    fn is_login(&self) -> bool {
        matches!(self.kind.as_deref(), Some(WEB_LOGIN | OWN_LOGIN))
    }
}

fn user(event: &Event) -> Option<Box<str>> {
    match event.text(Field::Person).or(event.text(Field::UserName)) {
        Some(name) => Some(Box::from(&*key::bounded(&key::lower(name)))),
        None => {
            let number = event.text(Field::UserId)?;
            Some(format!("{NUMBERED}{}", key::bounded(&key::lower(number))).into())
        }
    }
}

/// The actions reported lately.
pub struct Twins {
    recent: Keyed<Recent>,
}

impl Twins {
    /// With nothing seen.
    pub fn new() -> Twins {
        Twins { recent: Keyed::new(OWNER, CAPACITY) }
    }

    /// Whether another source has reported the event's action already and the event adds nothing to count.
    pub fn is_copy(&mut self, event: &Event) -> bool {
        let Some(action) = event.text(Field::EventAction).filter(|action| ACTIONS.contains(action)) else {
            return false;
        };
        let this = Action::of(event);
        let keys: Vec<String> = [
            this.user.as_deref().map(|user| key::join(&[action, "user", user])),
            event.ip(Field::SourceIp).map(|ip| key::join(&[action, "address", &ip.to_string()])),
        ]
        .into_iter()
        .flatten()
        .collect();
        let twin =
            keys.iter().find_map(|key| self.recent.get(key)?.actions.iter().find(|known| known.is(&this)).cloned());
        match twin {
            Some(twin) => {
                for key in &keys {
                    let known = |known: &Action| known.first == twin.first;
                    if self.recent.get(key).is_some_and(|recent| recent.actions.iter().any(known))
                        && let Some(met) =
                            self.recent.touch(key, this.at).actions.iter_mut().find(|action| known(action))
                    {
                        // One report of each source is this action; the source's next is another.
                        met.sources.extend(this.sources.iter().cloned());
                        met.records |= this.records;
                    }
                }
                twin.records || !this.records
            }
            None => {
                for key in &keys {
                    let recent = self.recent.touch(key, this.at);
                    if recent.actions.len() == MOST_ACTIONS {
                        recent.actions.remove(0);
                    }
                    recent.actions.push(this.clone());
                }
                false
            }
        }
    }

    /// Everything it remembers.
    pub fn memory(&mut self) -> Shelf<'_> {
        Shelf::of(&mut self.recent)
    }

    /// Takes back one piece.
    pub fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        self.recent.restore(key, value)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crmwatch_detectors::{EventId, Origin};

    use super::*;

    struct Report {
        source: &'static str,
        time: Millis,
        user: &'static str,
        address: &'static str,
        object: &'static str,
        records: Option<i64>,
    }

    const CRM: Report =
        Report { source: "crm", time: 0, user: "alice", address: "8.8.8.8", object: "", records: Some(900) };
    const WEB: Report = Report { source: "web", time: 900, user: "", address: "8.8.8.8", object: "", records: None };

    /// Which of the reports, in this order, are copies.
    fn copies(action: &str, reports: &[Report]) -> Vec<bool> {
        let mut twins = Twins::new();
        let copy = |(position, report): (usize, &Report)| {
            let mut event = Event::new("");
            event.id = EventId(position as u128 + 1);
            event.time = report.time;
            event.origin = Arc::new(Origin { source: report.source.into(), ..Origin::default() });
            event.set(Field::EventAction, action);
            event.set_ip(Field::SourceIp, report.address.parse().expect("an address"));
            if !report.user.is_empty() {
                event.set(Field::UserName, report.user);
            }
            if !report.object.is_empty() {
                event.set(Field::ObjectId, report.object);
            }
            if let Some(records) = report.records {
                event.set_integer(Field::Records, records);
            }
            twins.is_copy(&event)
        };
        reports.iter().enumerate().map(copy).collect()
    }

    #[test]
    fn one_export_seen_through_two_sources_is_counted_once() {
        assert_eq!(copies("export", &[CRM, WEB]), [false, true]);
        assert_eq!(copies("export", &[CRM, Report { user: "Alice", address: "10.0.0.1", ..WEB }]), [false, true]);
    }

    #[test]
    fn the_later_one_that_brings_the_number_of_records_is_kept() {
        assert_eq!(copies("export", &[WEB, CRM]), [false, false]);
        let third = Report { source: "gateway", ..CRM };
        assert_eq!(copies("export", &[WEB, CRM, third]), [false, false, true]);
    }

    #[test]
    fn what_differs_is_another_action() {
        for other in [
            Report { time: 5_001, ..WEB },
            Report { time: -5_001, ..WEB },
            Report { user: "bob", ..WEB },
            Report { address: "8.8.4.4", ..WEB },
            Report { source: "crm", ..WEB },
        ] {
            assert_eq!(copies("export", &[CRM, other]), [false, false]);
        }
        let (one, two) = (Report { object: "00O1", ..CRM }, Report { object: "00O2", ..WEB });
        assert_eq!(copies("export", &[one, two]), [false, false]);
        assert_eq!(copies("view", &[CRM, WEB]), [false, false], "looking is not counted here");
    }

    #[test]
    fn each_report_of_one_source_meets_one_of_the_other() {
        assert_eq!(copies("delete", &[CRM, CRM, WEB, WEB, WEB]), [false, false, true, true, false]);
    }

    /// Whether a login told so first makes the second report a copy: source, whether of a web server, user, outcome.
    fn login_is_copy(reports: [(&'static str, bool, &str, &str); 2]) -> bool {
        let mut twins = Twins::new();
        let mut copy = false;
        for (number, (source, web, user, outcome)) in reports.into_iter().enumerate() {
            let mut event = Event::new("");
            event.id = EventId(number as u128 + 1);
            event.origin = Arc::new(Origin { source: source.into(), ..Origin::default() });
            event.set(Field::EventAction, "login");
            event.set(Field::EventOutcome, outcome);
            event.set_ip(Field::SourceIp, "8.8.8.8".parse().expect("an address"));
            if web {
                event.set_integer(Field::HttpStatus, 401);
            }
            if !user.is_empty() {
                event.set(Field::UserName, user);
            }
            copy = twins.is_copy(&event);
        }
        copy
    }

    #[test]
    fn a_login_that_web_server_and_crm_tell_of_is_counted_once_and_two_servers_logins_are_two() {
        let (web, crm) = (("web", true, "mia", "failure"), ("crm", false, "Mia", "failure"));
        assert!(login_is_copy([web, crm]) && login_is_copy([crm, web]));
        assert!(login_is_copy([crm, ("web", true, "", "failure")]));
        assert!(!login_is_copy([web, ("web2", true, "mia", "failure")]), "two servers");
        assert!(!login_is_copy([("web", true, "", "failure"), crm]), "it says who it was");
        assert!(
            !login_is_copy([("web", true, "", "unknown"), ("crm", false, "mia", "failure")]),
            "it says how it ended"
        );
        assert!(!login_is_copy([web, ("crm", false, "jo", "failure")]));
    }

    #[test]
    fn a_number_and_a_name_may_be_one_person_where_the_object_is_the_same() {
        let mut twins = Twins::new();
        let mut report = |source: &str, field: Field, user: &str, object: &str| {
            let mut event = Event::new("");
            event.origin = Arc::new(Origin { source: source.into(), ..Origin::default() });
            event.set(Field::EventAction, "delete");
            event.set_ip(Field::SourceIp, "8.8.8.8".parse().expect("an address"));
            event.set(field, user);
            event.set(Field::ObjectId, object);
            twins.is_copy(&event)
        };
        assert!(!report("web", Field::UserName, "mia", "a1"));
        assert!(report("crm", Field::UserId, "65e2", "a1"));
        assert!(!report("crm", Field::UserId, "65e2", "a2"));
    }

    #[test]
    fn extremes_of_time_harm_nobody() {
        let (first, last) = (Report { time: Millis::MIN, ..CRM }, Report { time: Millis::MAX, ..WEB });
        assert_eq!(copies("export", &[first, last]), [false, false]);
    }
}
