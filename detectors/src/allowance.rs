//! What the operator allows: known travel, maintenance windows, scanners of one's own. Each has a reason and, mostly, an end. A finding
//! that an allowance covers is not made; what it would have taught is learned all the same. Not for thresholds (settings).

use serde::{Deserialize, Serialize};

use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::Detection;
use crate::place::Cidr;

/// One line of the list as it is written. Everything that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Allowance {
    /// Why: shown when it is reviewed.
    pub reason: String,
    /// The rule's id; all rules where absent.
    pub rule: Option<String>,
    /// User name, e-mail address or id the finding is about.
    pub user: Option<String>,
    /// Role or department of the person.
    pub group: Option<String>,
    /// App, by id or name.
    pub app: Option<String>,
    /// A network in which every address of the finding lies.
    pub network: Option<String>,
    /// The country the event comes from, ISO 3166 alpha-2.
    pub country: Option<String>,
    /// The kind of record.
    pub object: Option<String>,
    /// From when on: RFC 3339, or a day in UTC.
    pub from: Option<String>,
    /// Until when: RFC 3339, or a day in UTC, which is included.
    pub until: Option<String>,
}

/// An allowance cannot be used. Who wrote it mends it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllowanceError {
    /// Without a reason nobody dares to remove it.
    #[error("an allowance needs a `reason`")]
    NoReason,
    /// It would silence everything.
    #[error(
        "the allowance {0:?} names neither rule, user, group, app, network, country nor object: it would silence everything"
    )]
    Everything(String),
    /// Not a network.
    #[error("the allowance {0:?}: {1:?} is not a network such as 198.51.100.0/24")]
    Network(String, String),
    /// Not a time.
    #[error("the allowance {0:?}: {1:?} is neither a day (2026-03-31) nor a time (2026-03-31T18:00:00Z)")]
    Time(String, String),
}

#[derive(Debug)]
struct Ready {
    written: Allowance,
    network: Option<Cidr>,
    from: Millis,
    until: Millis,
}

/// The list.
#[derive(Debug, Default)]
pub struct Allowances(Vec<Ready>);

fn moment(text: &str, end: bool) -> Option<Millis> {
    if let Ok(time) = chrono::DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    let day = text.parse::<chrono::NaiveDate>().ok()?;
    let midnight = day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis();
    Some(if end { midnight + 86_400_000 - 1 } else { midnight })
}

impl Allowances {
    /// Checks the list.
    pub fn new(list: Vec<Allowance>) -> Result<Allowances, AllowanceError> {
        list.into_iter().map(ready).collect::<Result<_, _>>().map(Allowances)
    }

    /// Takes away what is allowed.
    pub(crate) fn sift(&self, found: &mut Vec<Detection>, event: &Event) {
        if !self.0.is_empty() {
            found.retain(|detection| !self.0.iter().any(|one| one.covers(detection, event)));
        }
    }
}

fn ready(written: Allowance) -> Result<Ready, AllowanceError> {
    let name = written.reason.clone();
    if name.trim().is_empty() {
        return Err(AllowanceError::NoReason);
    }
    let conditions = [
        &written.rule,
        &written.user,
        &written.group,
        &written.app,
        &written.network,
        &written.country,
        &written.object,
    ];
    if conditions.iter().all(|one| one.is_none()) {
        return Err(AllowanceError::Everything(name));
    }
    let network = match &written.network {
        Some(text) => Some(Cidr::parse(text).ok_or_else(|| AllowanceError::Network(name.clone(), text.clone()))?),
        None => None,
    };
    let time = |text: &Option<String>, end, otherwise| match text {
        Some(text) => moment(text, end).ok_or_else(|| AllowanceError::Time(name.clone(), text.clone())),
        None => Ok(otherwise),
    };
    let (from, until) = (time(&written.from, false, Millis::MIN)?, time(&written.until, true, Millis::MAX)?);
    Ok(Ready { written, network, from, until })
}

impl Ready {
    fn covers(&self, detection: &Detection, event: &Event) -> bool {
        let wanted = &self.written;
        let same = |wanted: &Option<String>, has: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(has);
        let named = |fields: &[Field], wanted: &str| {
            fields.iter().any(|field| {
                let about = detection.primary.starts_with("user.") || !field.name().starts_with("user.");
                let first = detection.entity.first(field.name()).filter(|_| about);
                first.is_some_and(|one| one.eq_ignore_ascii_case(wanted))
                    || (about && event.text(*field).is_some_and(|one| one.eq_ignore_ascii_case(wanted)))
            })
        };
        let person = event.person.as_deref();
        let of_group = |group: &str| {
            let has = |one: Option<&str>| one.is_some_and(|one| one.eq_ignore_ascii_case(group));
            person.is_some_and(|person| has(person.role.as_deref()) || has(person.department.as_deref()))
        };
        let addresses = detection.entity.0.get(Field::SourceIp.name());
        let inside = |network: &Cidr| {
            addresses.is_some_and(|all| {
                !all.is_empty() && all.iter().all(|one| one.parse().is_ok_and(|ip| network.holds(ip)))
            })
        };
        event.time >= self.from
            && event.time <= self.until
            && same(&wanted.rule, &|rule| *detection.rule == *rule)
            && same(&wanted.user, &|user| {
                named(&[Field::UserName, Field::UserEmail, Field::UserId, Field::Person], user)
            })
            && same(&wanted.app, &|app| named(&[Field::OauthClientId, Field::OauthClientName], app))
            && same(&wanted.group, &of_group)
            && self.network.as_ref().is_none_or(inside)
            && same(&wanted.country, &|country| {
                event.text(Field::SourceCountry).is_some_and(|one| one.eq_ignore_ascii_case(country))
            })
            && same(&wanted.object, &|object| {
                event.text(Field::ObjectType).is_some_and(|one| one.eq_ignore_ascii_case(object))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;
    use crate::scenario::{BERLIN, SAO_PAULO, event};

    fn travel() -> Allowance {
        Allowance {
            reason: "trade fair".into(),
            rule: Some("impossible-travel".into()),
            user: Some("Mia".into()),
            country: Some("br".into()),
            from: Some("2026-03-01".into()),
            until: Some("2026-03-02".into()),
            ..Allowance::default()
        }
    }

    fn left(allowance: Allowance, rule: &'static str, minute: i64, user: &str) -> usize {
        let event = event(minute, user, SAO_PAULO, "login", -1);
        let mut found = vec![Detection::about(&event, rule, Severity::High)];
        Allowances::new(vec![allowance]).expect("right").sift(&mut found, &event);
        found.len()
    }

    #[test]
    fn known_travel_is_allowed_to_that_person_there_and_then_only() {
        assert_eq!(left(travel(), "impossible-travel", 60, "mia"), 0);
        assert_eq!(left(travel(), "impossible-travel", 60, "ben"), 1);
        assert_eq!(left(travel(), "bulk-export", 60, "mia"), 1);
        assert_eq!(left(travel(), "impossible-travel", 1_440, "mia"), 1, "the day after");
        assert_eq!(left(Allowance { country: Some("DE".into()), ..travel() }, "impossible-travel", 60, "mia"), 1);
        let network = |text: &str| Allowance { network: Some(text.into()), ..travel() };
        assert_eq!(left(network("198.51.100.0/24"), "impossible-travel", 60, "mia"), 0);
        assert_eq!(left(network("203.0.113.0/24"), "impossible-travel", 60, "mia"), 1);
    }

    #[test]
    fn one_that_says_no_reason_or_silences_everything_is_refused() {
        let refused = |allowance| Allowances::new(vec![allowance]).expect_err("wrong").to_string();
        assert!(refused(Allowance::default()).contains("reason"));
        assert!(refused(Allowance { reason: "x".into(), ..Allowance::default() }).contains("everything"));
        assert!(refused(Allowance { network: Some("office".into()), ..travel() }).contains("not a network"));
        assert!(refused(Allowance { until: Some("soon".into()), ..travel() }).contains("neither a day"));
    }

    #[test]
    fn one_user_of_many_does_not_silence_an_attack_on_all() {
        let event = event(0, "mia", BERLIN, "login", -1);
        let mut detection = Detection::about(&event, "password-spray", Severity::High);
        detection.primary = "source.ip";
        let allowance = Allowance { reason: "x".into(), user: Some("mia".into()), ..Allowance::default() };
        let mut found = vec![detection];
        Allowances::new(vec![allowance]).expect("right").sift(&mut found, &event);
        assert_eq!(found.len(), 1);
    }
}
