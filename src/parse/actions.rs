//! The words of `event.action` and `event.outcome`, and which words of other programs mean them. Tables, shared by the formats
//! whose records name their action in free words. Not for formats with a fixed list of their own.

use std::collections::HashMap;
use std::sync::LazyLock;

use crmwatch_detectors::{Event, Field};

/// Each canonical action with its ECS category and type.
const ACTIONS: &[(&str, &str, &str)] = &[
    ("login", "authentication", "start"),
    ("logout", "authentication", "end"),
    ("mfa-challenge", "authentication", "info"),
    ("mfa-denied", "authentication", "denied"),
    ("mfa-enrolled", "iam", "creation"),
    ("mfa-removed", "iam", "deletion"),
    ("login-as", "authentication", "start"),
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
    ("file-download", "file", "access"),
    ("print", "file", "access"),
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
    ("http-request", "web", "access"),
];

/// What other programs call an action: the whole word or words, in lower case, without blanks, dots and dashes.
const SYNONYMS: &[(&str, &str)] = &[
    ("signin", "login"),
    ("logon", "login"),
    ("loggedin", "login"),
    ("userlogin", "login"),
    ("userloggedin", "login"),
    ("authenticate", "login"),
    ("authentication", "login"),
    ("loginsuccess", "login"),
    ("loginsucceeded", "login"),
    ("loginsuccessful", "login"),
    ("loginfailed", "login"),
    ("loginfailure", "login"),
    ("failedlogin", "login"),
    ("userloginfailed", "login"),
    ("signout", "logout"),
    ("logoff", "logout"),
    ("loggedout", "logout"),
    ("impersonate", "login-as"),
    ("impersonation", "login-as"),
    ("su", "login-as"),
    ("resetpassword", "password-reset"),
    ("changepassword", "password-change"),
    ("passwordchanged", "password-change"),
    ("createuser", "user-create"),
    ("usercreated", "user-create"),
    ("deleteuser", "user-delete"),
    ("userdeleted", "user-delete"),
    ("disableuser", "user-disable"),
    ("userdisabled", "user-disable"),
    ("enableuser", "user-enable"),
    ("rolechange", "permission-change"),
    ("grantrole", "permission-change"),
    ("permissionchanged", "permission-change"),
    ("createtoken", "token-create"),
    ("tokencreated", "token-create"),
    ("apikeycreated", "token-create"),
    ("apicall", "api-call"),
    ("read", "view"),
    ("get", "view"),
    ("retrieve", "view"),
    ("viewed", "view"),
    ("show", "view"),
    ("open", "view"),
    ("index", "list"),
    ("browse", "list"),
    ("query", "search"),
    ("find", "search"),
    ("searched", "search"),
    ("runreport", "report-run"),
    ("exported", "export"),
    ("exportrecords", "export"),
    ("dataexport", "export"),
    ("download", "file-download"),
    ("downloaded", "file-download"),
    ("filedownloaded", "file-download"),
    ("printed", "print"),
    ("imported", "import"),
    ("add", "create"),
    ("added", "create"),
    ("insert", "create"),
    ("created", "create"),
    ("edit", "update"),
    ("edited", "update"),
    ("modify", "update"),
    ("modified", "update"),
    ("change", "update"),
    ("changed", "update"),
    ("save", "update"),
    ("updated", "update"),
    ("remove", "delete"),
    ("removed", "delete"),
    ("deleted", "delete"),
    ("destroy", "delete"),
    ("massdelete", "bulk-delete"),
    ("restored", "restore"),
    ("undelete", "restore"),
    ("merged", "merge"),
    ("shared", "share"),
    ("assign", "ownership-change"),
    ("reassign", "ownership-change"),
    ("transfer", "ownership-change"),
    ("disableaudit", "audit-disable"),
    ("登录", "login"),
    ("退出", "logout"),
    ("登出", "logout"),
    ("导出", "export"),
    ("导入", "import"),
    ("批量删除", "bulk-delete"),
    ("删除", "delete"),
    ("新增", "create"),
    ("创建", "create"),
    ("修改", "update"),
    ("编辑", "update"),
    ("查看", "view"),
    ("分享", "share"),
];

const SUCCESS: &[&str] = &[
    "success",
    "succeeded",
    "successful",
    "partiallysucceeded",
    "ok",
    "true",
    "yes",
    "passed",
    "pass",
    "allowed",
    "allow",
    "granted",
    "accepted",
    "complete",
    "completed",
    "成功",
];
const FAILURE: &[&str] = &[
    "failure",
    "failed",
    "fail",
    "false",
    "no",
    "error",
    "denied",
    "deny",
    "rejected",
    "invalid",
    "blocked",
    "block",
    "unauthorized",
    "forbidden",
    "timeout",
    "失败",
];

type Canonical = (&'static str, &'static str, &'static str);

/// Both tables by the squeezed word.
static KNOWN: LazyLock<HashMap<Box<str>, Canonical>> = LazyLock::new(|| {
    let canonical = |name: &str| ACTIONS.iter().copied().find(|(action, ..)| *action == name);
    let own = ACTIONS.iter().map(|action| (action.0.replace('-', "").into_boxed_str(), *action));
    let synonyms = SYNONYMS.iter().filter_map(|(word, action)| Some(((*word).into(), canonical(action)?)));
    own.chain(synonyms).collect()
});

fn squeezed<'b>(word: &str, buffer: &'b mut [u8; 32]) -> Option<&'b str> {
    let mut length = 0;
    for byte in word.trim().bytes().filter(|byte| !matches!(byte, b' ' | b'_' | b'-' | b'.' | b':' | b'/')) {
        *buffer.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    std::str::from_utf8(&buffer[..length]).ok().filter(|text| !text.is_empty())
}

/// The canonical action a word means: the word itself, one that means the same, or, in `contact.export` and `export_contacts`,
/// the last part or the first. Nothing where none is recognised.
pub fn action(word: &str) -> Option<&'static str> {
    let known = |word: &str| {
        let mut buffer = [0; 32];
        KNOWN.get(squeezed(word, &mut buffer)?).map(|(action, ..)| *action)
    };
    let separator = |letter: char| matches!(letter, '.' | '_' | '-' | ' ' | ':' | '/');
    known(word)
        .or_else(|| word.rsplit_once(separator).and_then(|(_, last)| known(last)))
        .or_else(|| word.split_once(separator).and_then(|(first, _)| known(first)))
        .or_else(|| {
            // `user.login.failed`: what was done stands before how it went.
            let (before, last) = word.rsplit_once(separator)?;
            outcome(last)?;
            known(before).or_else(|| before.rsplit_once(separator).and_then(|(_, last)| known(last)))
        })
}

/// The outcome that is part of an action's word (`login_failed`, `UserLoginFailed`).
pub fn outcome_in(word: &str) -> Option<&'static str> {
    let mut buffer = [0; 32];
    let word = squeezed(word, &mut buffer)?;
    match word {
        word if word.starts_with("failed") || word.ends_with("failed") || word.ends_with("failure") => Some("failure"),
        word if word.ends_with("success") || word.ends_with("succeeded") || word.ends_with("successful") => {
            Some("success")
        }
        _ => None,
    }
}

/// `success`, `failure` or `unknown` from a word, a flag or an HTTP status; nothing where it is none of these.
pub fn outcome(word: &str) -> Option<&'static str> {
    let mut buffer = [0; 32];
    let word = squeezed(word, &mut buffer)?;
    if let Some(outcome) = word.parse().ok().filter(|_| word.len() == 3).and_then(of_status) {
        return Some(outcome);
    }
    match word {
        "unknown" | "pending" => Some("unknown"),
        word if SUCCESS.contains(&word) => Some("success"),
        word if FAILURE.contains(&word) => Some("failure"),
        _ => None,
    }
}

/// The outcome an HTTP status means; nothing where it is no status.
pub fn of_status(status: i64) -> Option<&'static str> {
    match status {
        100..400 => Some("success"),
        400..600 => Some("failure"),
        _ => None,
    }
}

/// Sets the action, with its category and type where it is canonical and the record did not name them.
pub fn set_action(event: &mut Event, action: &str) {
    event.set(Field::EventAction, action);
    let mut buffer = [0; 32];
    let known = squeezed(action, &mut buffer).and_then(|word| KNOWN.get(word)).filter(|(name, ..)| *name == action);
    let Some((_, category, kind)) = known else { return };
    if !event.has(Field::EventCategory) {
        event.set(Field::EventCategory, category);
    }
    if !event.has(Field::EventType) {
        event.set(Field::EventType, kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_other_programs_become_the_canonical_action() {
        for (word, expected) in [
            ("login", Some("login")),
            ("USER_LOGIN", Some("login")),
            ("user.login.failed", Some("login")),
            ("login_failed", Some("login")),
            ("contact.export", Some("export")),
            ("export_contacts", Some("export")),
            ("File Download", Some("file-download")),
            ("bulk_delete", Some("bulk-delete")),
            ("passwordReset", Some("password-reset")),
            ("批量删除", Some("bulk-delete")),
            ("heartbeat", None),
            ("", None),
            ("allow", None),
        ] {
            assert_eq!(action(word), expected, "{word}");
        }
    }

    #[test]
    fn outcomes_are_read_from_words_flags_and_statuses() {
        for (word, expected) in [
            ("Success", Some("success")),
            ("FAILED", Some("failure")),
            ("true", Some("success")),
            ("403", Some("failure")),
            ("204", Some("success")),
            ("active", None),
            ("7", None),
        ] {
            assert_eq!(outcome(word), expected, "{word}");
        }
        assert_eq!(outcome_in("UserLoginFailed"), Some("failure"));
        assert_eq!(outcome_in("login"), None);
    }

    #[test]
    fn every_synonym_leads_to_a_canonical_action() {
        for (word, action) in SYNONYMS {
            assert!(ACTIONS.iter().any(|(name, ..)| name == action), "{word} leads nowhere");
        }
    }
}
