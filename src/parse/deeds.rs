//! What was done to what, in one word of a program that names its actions so: `mfa.disable`, `disable_mfa`, `UserRoleUpdated`. A table; not
//! for words that mean an action by themselves (`actions`).

use std::sync::LazyLock;

/// Something done. The last part of the word alone would mean a change of any record.
struct Deed {
    /// One of these, in the singular or the plural.
    to: &'static [&'static str],
    /// One of these too, where there are any.
    beside: &'static [&'static str],
    /// And none of these.
    without: &'static [&'static str],
    /// And a word that begins so.
    done: &'static [&'static str],
    action: &'static str,
}

const fn deed(to: &'static [&'static str], done: &'static [&'static str], action: &'static str) -> Deed {
    Deed { to, beside: &[], without: &[], done, action }
}

const FACTORS: &[&str] = &["mfa", "2fa", "otp", "totp", "authenticator"];
const RIGHTS: &[&str] = &["role", "permission", "privilege", "entitlement", "acl"];
const TOKENS: &[&str] = &["token", "apikey", "accesskey", "pat"];
const ADDITIONS: &[&str] = &["integration", "plugin", "extension", "connector", "addon", "webhook"];
const GIVEN: &[&str] = &["authoriz", "authoris", "grant", "approv", "allow", "creat", "add"];
const TAKEN: &[&str] = &["revok", "remov", "delet"];
const EDITED: &[&str] = &["chang", "updat", "edit", "modif", "set", "creat", "add", "remov", "delet", "sav"];

/// The more particular first: a user's role is a right before it is a user.
const DEEDS: &[Deed] = &[
    deed(
        FACTORS,
        &["disabl", "remov", "delet", "reset", "deactivat", "unenrol", "unregister", "bypass"],
        "mfa-removed",
    ),
    deed(FACTORS, &["enabl", "enrol", "register", "add", "activat", "setup", "creat"], "mfa-enrolled"),
    deed(FACTORS, &["denied", "deny", "reject", "declin"], "mfa-denied"),
    deed(FACTORS, &["challeng", "prompt", "push", "sent", "send", "request"], "mfa-challenge"),
    deed(&["password", "passwd"], &["reset", "forgot", "recover"], "password-reset"),
    deed(&["password", "passwd"], &["chang", "updat", "set", "modif"], "password-change"),
    // A contact has a role in a deal.
    Deed { without: &["contact"], ..deed(RIGHTS, EDITED, "permission-change") },
    deed(RIGHTS, &["assign", "unassign", "grant", "revok", "elevat", "escalat"], "permission-change"),
    Deed { beside: &["member", "user"], ..deed(&["group", "team"], EDITED, "permission-change") },
    // Not those that come and go with each login.
    Deed {
        without: &["session", "refresh", "csrf", "jwt"],
        ..deed(TOKENS, &["creat", "generat", "add", "new"], "token-create")
    },
    deed(&["oauth", "consent"], GIVEN, "oauth-grant"),
    deed(&["oauth", "consent"], TAKEN, "oauth-revoke"),
    deed(ADDITIONS, &["install", "creat", "add", "connect", "enabl"], "integration-install"),
    deed(
        &["audit", "auditlog", "logging"],
        &["disabl", "stop", "off", "delet", "clear", "purg", "paus"],
        "audit-disable",
    ),
    deed(&["owner", "ownership"], &["chang", "transfer", "assign", "updat", "set"], "ownership-change"),
    Deed {
        beside: &["public", "share", "sharing"],
        ..deed(&["link", "url"], &["creat", "add", "generat", "enabl"], "share")
    },
    deed(&["user"], &["impersonat"], "login-as"),
    deed(&["user"], &["creat", "add", "invit", "register", "provision"], "user-create"),
    deed(&["user"], &["delet", "remov"], "user-delete"),
    deed(&["user"], &["disabl", "suspend", "deactivat", "lock", "block", "ban"], "user-disable"),
    deed(&["user"], &["enabl", "activat", "reactivat", "unlock", "unblock", "unsuspend"], "user-enable"),
    deed(&["setting", "config", "configuration"], EDITED, "settings-change"),
    deed(&["bulk", "mass", "batch"], &["delet", "remov"], "bulk-delete"),
    deed(&["api"], &["call", "request", "quer", "get", "post", "read", "fetch"], "api-call"),
];

/// Two words that are one thing.
const PAIRS: &[(&str, &str, &str)] = &[
    ("two", "factor", "mfa"),
    ("2", "factor", "mfa"),
    ("2", "fa", "mfa"),
    ("multi", "factor", "mfa"),
    ("api", "key", "apikey"),
    ("access", "key", "accesskey"),
    ("log", "in", "login"),
];

/// Whether anything of the deeds' objects begins with this letter, and so has to be looked for.
static BEGINS: LazyLock<[bool; 256]> = LazyLock::new(|| {
    let mut begins = [false; 256];
    let things = DEEDS.iter().flat_map(|deed| deed.to).chain(PAIRS.iter().map(|(first, ..)| first));
    things.for_each(|thing| begins[usize::from(thing.as_bytes()[0])] = true);
    begins
});

/// Parts of an action's word.
const MOST_PARTS: usize = 8;

/// The canonical action of a word that says what was done to what; nothing where it does not.
pub(super) fn action(word: &str) -> Option<&'static str> {
    let mut buffer = [0; 64];
    let lower = buffer.get_mut(..word.len())?;
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    let lower = std::str::from_utf8(lower).ok()?;
    let mut parts = [""; MOST_PARTS];
    let mut count = 0;
    let mut from = 0;
    let bytes = word.as_bytes();
    for at in 0..=bytes.len() {
        let letter =
            |place: usize| bytes.get(place).is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii());
        let upper = |place: usize| bytes.get(place).is_some_and(u8::is_ascii_uppercase);
        let lower_at = |place: usize| bytes.get(place).is_some_and(u8::is_ascii_lowercase);
        // `disableMfa` and `APITokenCreated` are several words.
        let begins = at > from && upper(at) && (lower_at(at - 1) || (upper(at - 1) && lower_at(at + 1)));
        if at > from && (begins || !letter(at)) {
            *parts.get_mut(count)? = &lower[from..at];
            count += 1;
            from = at;
        }
        if !letter(at) {
            from = at + 1;
        }
    }
    let mut parts = &mut parts[..count];
    if count < 2 || !parts.iter().any(|part| BEGINS[usize::from(part.as_bytes()[0])]) {
        return None;
    }
    for at in 1..count {
        if let Some((.., both)) = PAIRS.iter().find(|(one, other, _)| (*one, *other) == (parts[at - 1], parts[at])) {
            parts[at - 1] = both;
            parts[at..].rotate_left(1);
            parts = &mut parts[..count - 1];
            break;
        }
    }
    let is = |part: &str, thing: &str| part == thing || part.strip_suffix('s') == Some(thing);
    let any = |things: &[&str]| parts.iter().any(|part| things.iter().any(|thing| is(part, thing)));
    let deed = DEEDS.iter().find(|deed| {
        any(deed.to)
            && (deed.beside.is_empty() || any(deed.beside))
            && !any(deed.without)
            && parts.iter().any(|part| deed.done.iter().any(|stem| is_form_of(part, stem)))
    })?;
    Some(deed.action)
}

/// A stem with whatever ending; a short one only with those of a verb, for `set` is not `settings`.
fn is_form_of(part: &str, stem: &str) -> bool {
    part.strip_prefix(stem)
        .is_some_and(|ending| stem.len() > 3 || matches!(ending, "" | "s" | "ed" | "ted" | "ting" | "ing"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::actions::named;

    #[test]
    fn what_was_done_to_what_is_told_however_the_word_is_written() {
        for (word, expected) in [
            ("mfa.disable", Some("mfa-removed")),
            ("disableMfa", Some("mfa-removed")),
            ("two_factor.removed", Some("mfa-removed")),
            ("user.2fa.enabled", Some("mfa-enrolled")),
            ("UserRoleUpdated", Some("permission-change")),
            ("role.assign", Some("permission-change")),
            ("user.add_to_group", Some("permission-change")),
            ("user.update", None),
            ("user.suspended", Some("user-disable")),
            ("api_key.create", Some("token-create")),
            ("APITokenCreated", Some("token-create")),
            ("refresh_token.create", None),
            ("api.query", Some("api-call")),
            ("oauth_app.authorized", Some("oauth-grant")),
            ("audit_log.purge", Some("audit-disable")),
            ("public_link.create", Some("share")),
            ("account.owner.changed", Some("ownership-change")),
            ("password_reset_requested", Some("password-reset")),
            ("account.create", None),
            ("contact.role.view", None),
            ("contact_role.update", None),
            ("password.settings.view", None),
            ("users added", Some("user-create")),
            ("导出.mfa", None),
        ] {
            assert_eq!(action(word), expected, "{word}");
        }
    }

    #[test]
    fn every_deed_is_a_canonical_action() {
        for deed in DEEDS {
            assert!(named(deed.action).is_some(), "{}", deed.action);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_word_is_told_or_not_and_never_panics(word in "([a-zA-Z.é_用户-]|mfa|API|Role|set){0,12}") {
            action(&word);
        }
    }
}
