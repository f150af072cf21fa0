//! The actions an event can be about, with the ECS category and type each has. Not for deciding which action a record is.

use crmwatch_detectors::{Event, Field};

/// Action, category, type.
const ACTIONS: &[(&str, &str, &str)] = &[
    ("http-request", "web", "access"),
    ("login", "authentication", "start"),
    ("logout", "authentication", "end"),
    ("login-as", "authentication", "start"),
    ("mfa-challenge", "authentication", "info"),
    ("mfa-denied", "authentication", "denied"),
    ("mfa-enrolled", "iam", "change"),
    ("mfa-removed", "iam", "change"),
    ("password-reset", "iam", "change"),
    ("password-change", "iam", "change"),
    ("user-create", "iam", "creation"),
    ("user-delete", "iam", "deletion"),
    ("user-disable", "iam", "change"),
    ("user-enable", "iam", "change"),
    ("permission-change", "iam", "admin"),
    ("oauth-grant", "iam", "creation"),
    ("oauth-revoke", "iam", "deletion"),
    ("integration-install", "iam", "creation"),
    ("token-create", "iam", "creation"),
    ("api-call", "api", "access"),
    ("bulk-api", "api", "access"),
    ("view", "database", "access"),
    ("list", "database", "access"),
    ("search", "database", "access"),
    ("report-run", "database", "access"),
    ("export", "database", "access"),
    ("print", "database", "access"),
    ("file-download", "file", "access"),
    ("import", "database", "creation"),
    ("create", "database", "creation"),
    ("update", "database", "change"),
    ("delete", "database", "deletion"),
    ("bulk-delete", "database", "deletion"),
    ("restore", "database", "change"),
    ("merge", "database", "change"),
    ("share", "iam", "change"),
    ("ownership-change", "database", "change"),
    ("settings-change", "configuration", "change"),
    ("audit-disable", "configuration", "change"),
];

/// Every action's name.
pub fn names() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|(name, _, _)| *name)
}

/// The known action of that name.
pub fn known(name: &str) -> Option<&'static str> {
    names().find(|known| *known == name)
}

/// Gives the event its action, with category and type. An unknown action is `info` of no category.
pub fn set(event: &mut Event, action: &str) {
    event.set(Field::EventAction, action);
    if let Some((_, category, kind)) = ACTIONS.iter().find(|(name, _, _)| *name == action) {
        event.set(Field::EventCategory, category);
        event.set(Field::EventType, kind);
    } else {
        event.set(Field::EventType, "info");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_brings_its_category_and_an_unknown_one_none() {
        let mut event = Event::new("");
        set(&mut event, "login");
        assert_eq!(event.text(Field::EventCategory), Some("authentication"));
        assert_eq!(event.text(Field::EventType), Some("start"));
        let mut event = Event::new("");
        set(&mut event, "info");
        assert_eq!(event.text(Field::EventCategory), None);
        assert_eq!(known("export"), Some("export"));
        assert_eq!(known("exprot"), None);
    }
}
