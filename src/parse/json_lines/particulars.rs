//! What a record's other keys mean once its action is known: who was given something, how far a share reaches, of what kind the record is.
//! `scope` or `target` alone would mean anything. Not for keys that mean the same everywhere (`keys`).

use crmwatch_detectors::{Event, Field, Value};

use crate::parse::amount;

/// Keys of a share's reach; the surer first.
const SCOPES: [&str; 7] = ["share_scope", "sharing_scope", "sharing", "visibility", "scope", "link_type", "audience"];
const RECIPIENTS: [&str; 6] = ["recipient", "shared_with", "share_with", "recipient_email", "grantee", "invitee"];
const TARGETS: [&str; 6] = ["target", "target.name", "target.email", "affected_user", "subject", "member"];

/// Words for how far a share reaches, without blanks, dashes and underscores.
const REACH: &[(&str, &str)] = &[
    ("public", "public"),
    ("publiclink", "public"),
    ("anyone", "public"),
    ("anyonewithlink", "public"),
    ("anyonewiththelink", "public"),
    ("everyone", "public"),
    ("anonymous", "public"),
    ("link", "public"),
    ("公开", "public"),
    ("external", "external"),
    ("outside", "external"),
    ("guest", "external"),
    ("外部", "external"),
    ("internal", "internal"),
    ("organization", "internal"),
    ("company", "internal"),
    ("domain", "internal"),
    ("team", "internal"),
    ("private", "internal"),
    ("内部", "internal"),
];

/// What is done to another's account, and so has a target.
const TO_ANOTHER: [&str; 11] = [
    "permission-change",
    "mfa-enrolled",
    "mfa-removed",
    "password-reset",
    "password-change",
    "login-as",
    "user-create",
    "user-delete",
    "user-disable",
    "user-enable",
    "ownership-change",
];

/// Kinds of records, in the singular.
const KINDS: [&str; 24] = [
    "account",
    "call",
    "campaign",
    "case",
    "client",
    "company",
    "contact",
    "contract",
    "customer",
    "deal",
    "document",
    "event",
    "invoice",
    "lead",
    "meeting",
    "note",
    "opportunity",
    "order",
    "patient",
    "product",
    "quote",
    "report",
    "task",
    "ticket",
];

/// Adds them to an event whose action is known; `word`: how the record called it.
pub(super) fn tell(event: &mut Event, word: &str) {
    let action = event.text(Field::EventAction).unwrap_or_default();
    let (share, to_another) = (action == "share", TO_ANOTHER.contains(&action));
    if share {
        if !event.has(Field::ShareScope)
            && let Some(scope) = SCOPES.iter().find_map(|name| reach(&other(event, name)?))
        {
            event.set(Field::ShareScope, scope);
        }
        first_of(event, &RECIPIENTS, Field::ShareRecipient);
    } else if to_another && !event.has(Field::UserTargetId) {
        first_of(event, &TARGETS, Field::UserTargetName);
    }
    amount::tell(event);
    if !event.has(Field::ObjectType)
        && let Some(kind) = kind_in(word)
    {
        event.set(Field::ObjectType, kind);
    }
}

fn first_of(event: &mut Event, names: &[&str], field: Field) {
    if event.has(field) {
        return;
    }
    let found = names.iter().find_map(|name| other(event, name).filter(|text| text.len() <= 256));
    if let Some(text) = found {
        event.set(field, &text);
    }
}

fn other(event: &Event, name: &str) -> Option<String> {
    event.others().find_map(|(other, value)| match value {
        Value::Text(text) if other == name && !text.is_empty() => Some(text.to_owned()),
        _ => None,
    })
}

fn reach(word: &str) -> Option<&'static str> {
    let squeezed: String = word.chars().filter(|letter| !matches!(letter, ' ' | '_' | '-')).collect();
    let squeezed = squeezed.to_lowercase();
    REACH.iter().find(|(known, _)| *known == squeezed).map(|(_, scope)| *scope)
}

/// The kind of record in `contact.view`, `export_contacts`, `crm:deals:list`.
fn kind_in(word: &str) -> Option<&str> {
    let separator = |letter: char| matches!(letter, '.' | '_' | '-' | ' ' | ':' | '/');
    let is = |part: &str, kind: &str| {
        part.get(..kind.len()).is_some_and(|head| head.eq_ignore_ascii_case(kind))
            && matches!(&part[kind.len()..], "" | "s" | "S")
    };
    // Of one part alone nobody knows whether it is what was done.
    word.contains(separator)
        .then(|| word.split(separator).find(|part| KINDS.iter().any(|kind| is(part, kind))))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Options, grammar};

    fn one(record: &str) -> Event {
        let mut events = Vec::new();
        grammar("json", &Options::default()).expect("a format of the list").parse(record, &mut events);
        events.remove(0)
    }

    #[test]
    fn keys_that_mean_anything_mean_this_once_the_action_is_known() {
        let share = one(r#"{"action":"report.share","scope":"Anyone with link","shared_with":"x@elsewhere.example"}"#);
        assert_eq!(share.text(Field::ShareScope), Some("public"));
        assert_eq!(share.text(Field::ShareRecipient), Some("x@elsewhere.example"));
        assert_eq!(share.text(Field::ObjectType), Some("report"));
        let right = one(r#"{"action":"role.assign","user":"root","target":"mia","scope":"public"}"#);
        assert_eq!((right.text(Field::UserTargetName), right.text(Field::ShareScope)), (Some("mia"), None));
        let view = one(r#"{"action":"crm:Contacts:view","target":"mia"}"#);
        assert_eq!((view.text(Field::ObjectType), view.text(Field::UserTargetName)), (Some("Contacts"), None));
        assert_eq!(one(r#"{"action":"call"}"#).text(Field::ObjectType), None);
        let own = one(r#"{"action":"contact.view","object":"person"}"#);
        assert_eq!(own.text(Field::ObjectType), Some("person"), "what the record says itself counts");
    }
}
