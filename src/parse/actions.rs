//! The words of `event.action`, with the ECS category and type each has, and of `event.outcome`; and which words of other programs
//! mean them. Tables, shared by all formats. Not for deciding which action a record is.

use std::collections::HashMap;
use std::sync::LazyLock;

use crmwatch_detectors::{Event, Field};

use super::deeds;

/// A canonical action.
#[derive(Debug, PartialEq, Eq)]
pub struct Action {
    /// As it stands in `event.action`.
    pub name: &'static str,
    category: &'static str,
    kind: &'static str,
}

const fn action_of(name: &'static str, category: &'static str, kind: &'static str) -> Action {
    Action { name, category, kind }
}

/// Each canonical action with its ECS category and type.
const ACTIONS: &[Action] = &[
    action_of("http-request", "web", "access"),
    action_of("login", "authentication", "start"),
    action_of("logout", "authentication", "end"),
    action_of("mfa-challenge", "authentication", "info"),
    action_of("mfa-denied", "authentication", "denied"),
    action_of("mfa-enrolled", "iam", "change"),
    action_of("mfa-removed", "iam", "change"),
    action_of("login-as", "authentication", "start"),
    action_of("password-reset", "iam", "change"),
    action_of("password-change", "iam", "change"),
    action_of("user-create", "iam", "creation"),
    action_of("user-delete", "iam", "deletion"),
    action_of("user-disable", "iam", "change"),
    action_of("user-enable", "iam", "change"),
    action_of("permission-change", "iam", "admin"),
    action_of("oauth-grant", "iam", "creation"),
    action_of("oauth-revoke", "iam", "deletion"),
    action_of("integration-install", "iam", "creation"),
    action_of("token-create", "iam", "creation"),
    action_of("api-call", "api", "access"),
    action_of("bulk-api", "api", "access"),
    action_of("view", "database", "access"),
    action_of("list", "database", "access"),
    action_of("search", "database", "access"),
    action_of("report-run", "database", "access"),
    action_of("export", "database", "access"),
    action_of("file-download", "file", "access"),
    action_of("print", "database", "access"),
    action_of("import", "database", "creation"),
    action_of("create", "database", "creation"),
    action_of("update", "database", "change"),
    action_of("delete", "database", "deletion"),
    action_of("bulk-delete", "database", "deletion"),
    action_of("restore", "database", "change"),
    action_of("merge", "database", "change"),
    action_of("share", "iam", "change"),
    action_of("ownership-change", "database", "change"),
    action_of("settings-change", "configuration", "change"),
    action_of("audit-disable", "configuration", "change"),
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
    ("auth", "login"),
    ("loginsuccess", "login"),
    ("loginsucceeded", "login"),
    ("loginsuccessful", "login"),
    ("loginfailed", "login"),
    ("loginfailure", "login"),
    ("failedlogin", "login"),
    ("userloginfailed", "login"),
    // Amazon's.
    ("awsconsolesignin", "login"),
    ("consolelogin", "login"),
    // Okta's.
    ("usersessionstart", "login"),
    ("usersessionend", "logout"),
    ("userauthenticationsso", "login"),
    ("userauthenticationauthviamfa", "mfa-challenge"),
    ("usermfafactoractivate", "mfa-enrolled"),
    ("usermfafactordeactivate", "mfa-removed"),
    ("useraccountresetpassword", "password-reset"),
    ("useraccountupdatepassword", "password-change"),
    ("userlifecyclecreate", "user-create"),
    ("userlifecycledeactivate", "user-disable"),
    ("userlifecyclesuspend", "user-disable"),
    ("userlifecycleactivate", "user-enable"),
    ("userlifecycledeleteinitiated", "user-delete"),
    ("useraccountprivilegegrant", "permission-change"),
    ("useraccountprivilegerevoke", "permission-change"),
    ("groupusermembershipadd", "permission-change"),
    ("groupusermembershipremove", "permission-change"),
    ("systemapitokencreate", "token-create"),
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
    ("登陆", "login"),
    ("退出", "logout"),
    ("注销", "logout"),
    ("登出", "logout"),
    ("导出", "export"),
    ("导入", "import"),
    ("批量删除", "bulk-delete"),
    ("删除", "delete"),
    ("新增", "create"),
    ("创建", "create"),
    ("新建", "create"),
    ("添加", "create"),
    ("修改", "update"),
    ("编辑", "update"),
    ("更新", "update"),
    ("查看", "view"),
    ("浏览", "view"),
    ("查询", "search"),
    ("搜索", "search"),
    ("下载", "file-download"),
    ("打印", "print"),
    ("分享", "share"),
    ("共享", "share"),
    ("转移", "ownership-change"),
    ("重置密码", "password-reset"),
    ("修改密码", "password-change"),
    ("创建用户", "user-create"),
    ("新增用户", "user-create"),
    ("添加用户", "user-create"),
    ("删除用户", "user-delete"),
    ("禁用用户", "user-disable"),
    ("停用用户", "user-disable"),
    ("启用用户", "user-enable"),
    ("修改权限", "permission-change"),
    ("权限变更", "permission-change"),
    ("分配角色", "permission-change"),
];

/// Parts of Chinese phrases, which have no blanks between words, to action; the first that is part of it counts.
pub(super) const CHINESE: &[(&str, &str)] = &[
    ("登录", "login"),
    ("登入", "login"),
    ("退出", "logout"),
    ("登出", "logout"),
    ("注销", "logout"),
    ("导出", "export"),
    ("批量删除", "bulk-delete"),
    ("批量修改", "update"),
    ("删除成员", "user-delete"),
    ("添加成员", "user-create"),
    ("停用成员", "user-disable"),
    ("删除", "delete"),
    ("导入", "import"),
    ("权限", "permission-change"),
    ("角色", "permission-change"),
    ("管理员", "permission-change"),
    ("密码", "password-change"),
    ("密钥", "token-create"),
    ("分享", "share"),
    ("公开", "share"),
    ("外链", "share"),
    ("下载", "file-download"),
    ("打印", "print"),
    ("恢复", "restore"),
    ("转移", "ownership-change"),
    ("新增", "create"),
    ("添加", "create"),
    ("创建", "create"),
    ("提交", "create"),
    ("修改", "update"),
    ("编辑", "update"),
    ("更新", "update"),
    ("查看", "view"),
    ("查询", "search"),
    ("搜索", "search"),
    ("设置", "settings-change"),
    ("配置", "settings-change"),
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
    "accept",
    "permitted",
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
    "reject",
    "refused",
    "dropped",
    "invalid",
    "blocked",
    "block",
    "unauthorized",
    "forbidden",
    "timeout",
    "失败",
];

/// Both tables by the squeezed word.
static KNOWN: LazyLock<HashMap<Box<str>, &'static Action, ahash::RandomState>> = LazyLock::new(|| {
    let own = ACTIONS.iter().map(|action| (action.name.replace('-', "").into_boxed_str(), action));
    let synonyms = SYNONYMS.iter().filter_map(|(word, action)| Some(((*word).into(), named(action)?)));
    own.chain(synonyms).collect()
});

/// Every action's name.
pub fn names() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|action| action.name)
}

/// The canonical action of that name.
pub fn named(name: &str) -> Option<&'static Action> {
    NAMED.get(name).copied()
}

static NAMED: LazyLock<HashMap<&str, &Action, ahash::RandomState>> =
    LazyLock::new(|| ACTIONS.iter().map(|action| (action.name, action)).collect());

fn squeezed<'b>(word: &str, buffer: &'b mut [u8; 32]) -> Option<&'b str> {
    let mut length = 0;
    for byte in word.trim().bytes().filter(|byte| !matches!(byte, b' ' | b'_' | b'-' | b'.' | b':' | b'/')) {
        *buffer.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    std::str::from_utf8(&buffer[..length]).ok().filter(|text| !text.is_empty())
}

fn known(word: &str) -> Option<&'static str> {
    let mut buffer = [0; 32];
    KNOWN.get(squeezed(word, &mut buffer)?).map(|action| action.name)
}

/// The canonical action that a word or words mean as a whole.
pub fn whole(word: &str) -> Option<&'static str> {
    known(word)
}

/// The canonical action a word means: the word itself, one that means the same, what is done to what in `mfa.disable`, or, in
/// `contact.export` and `export_contacts`, the last part or the first. Nothing where none is recognised.
pub fn action(word: &str) -> Option<&'static str> {
    let separator = |letter: char| matches!(letter, '.' | '_' | '-' | ' ' | ':' | '/');
    known(word)
        .or_else(|| deeds::action(word))
        .or_else(|| word.rsplit_once(separator).and_then(|(_, last)| known(last)))
        .or_else(|| word.split_once(separator).and_then(|(first, _)| known(first)))
        .or_else(|| {
            // `user.login.failed`: what was done stands before how it went.
            let (before, last) = word.rsplit_once(separator)?;
            outcome(last)?;
            known(before).or_else(|| before.rsplit_once(separator).and_then(|(_, last)| known(last)))
        })
        .or_else(|| {
            let part = |(part, _): &&(&str, &str)| !word.is_ascii() && word.contains(part);
            CHINESE.iter().find(part).map(|(_, action)| *action)
        })
}

/// Words in a phrase that tell what was done, the more particular first; each stands for itself, not as part of a longer word.
const PHRASES: &[(&[&str], &str)] = &[
    (&["logged", "out"], "logout"),
    (&["signed", "out"], "logout"),
    (&["logout"], "logout"),
    (&["logoff"], "logout"),
    (&["logged", "off"], "logout"),
    (&["log", "off"], "logout"),
    (&["logged", "in"], "login"),
    (&["signed", "in"], "login"),
    (&["log", "in"], "login"),
    (&["sign", "in"], "login"),
    (&["login"], "login"),
    (&["logon"], "login"),
    (&["authentication"], "login"),
    (&["authenticated"], "login"),
    (&["exported"], "export"),
    (&["export"], "export"),
    (&["downloaded"], "file-download"),
    (&["download"], "file-download"),
    (&["password", "changed"], "password-change"),
    (&["password", "reset"], "password-reset"),
    (&["invalid", "password"], "login"),
    (&["wrong", "password"], "login"),
    (&["incorrect", "password"], "login"),
    (&["invalid", "username"], "login"),
    (&["invalid", "credentials"], "login"),
    (&["user", "created"], "user-create"),
    (&["user", "added"], "user-create"),
    (&["add", "user"], "user-create"),
    (&["create", "user"], "user-create"),
    (&["delete", "user"], "user-delete"),
    (&["remove", "user"], "user-delete"),
    (&["user", "deleted"], "user-delete"),
    (&["permission"], "permission-change"),
    (&["permissions"], "permission-change"),
    (&["role", "assigned"], "permission-change"),
    (&["group", "member"], "permission-change"),
];

fn words(phrase: &str) -> impl Iterator<Item = &str> {
    phrase.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).take(MOST_WORDS)
}

/// Of a longer phrase only the beginning is looked at.
const MOST_WORDS: usize = 40;

/// The canonical action a phrase tells of (`Admin logged in from web`); nothing where no word does.
pub fn phrase(phrase: &str) -> Option<&'static str> {
    if phrase.len() > 400 {
        return None;
    }
    let mut there = [""; MOST_WORDS];
    let mut count = 0;
    for (place, word) in there.iter_mut().zip(words(phrase)) {
        *place = word;
        count += 1;
    }
    let has = |word: &&str| there[..count].iter().any(|known| known.eq_ignore_ascii_case(word));
    PHRASES.iter().find(|(words, _)| words.iter().all(&has)).map(|(_, action)| *action)
}

/// The outcome a phrase tells of (`Login failed for mia`).
pub fn outcome_of_phrase(phrase: &str) -> Option<&'static str> {
    if phrase.len() > 400 {
        return None;
    }
    let (mut good, mut before, mut entered) = (None, ["", ""], false);
    for word in words(phrase) {
        // `User signed in`; not `must be signed in`.
        entered |= ["in", "out", "off"].iter().any(|way| word.eq_ignore_ascii_case(way))
            && ["logged", "signed"].iter().any(|done| before[1].eq_ignore_ascii_case(done))
            && !NOT_YET.iter().any(|held| before[0].eq_ignore_ascii_case(held));
        before = [before[1], word];
        match outcome(word) {
            Some("failure") if !word.eq_ignore_ascii_case("no") && !word.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Some("failure");
            }
            Some("success") if !word.bytes().all(|byte| byte.is_ascii_digit()) => good = Some("success"),
            _ => {}
        }
    }
    good.or(entered.then_some("success"))
}

/// Before `logged in` and `signed in` these say that nobody was let in.
const NOT_YET: [&str; 8] = ["not", "never", "be", "been", "t", "is", "are", "isn"];

/// The outcome that is part of an action's word (`login_failed`, `UserLoginFailed`).
pub fn outcome_in(word: &str) -> Option<&'static str> {
    let mut buffer = [0; 32];
    // Of `google.login.LoginService.loginFailure` the last name counts.
    let last = || word.rsplit(['.', '/']).next().unwrap_or_default();
    let word = if word.len() > buffer.len() { last() } else { word };
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

/// Gives the event its action, with category and type in the place of any it had. A word that is no action's is `info` of no category.
pub fn set(event: &mut Event, action: &str) {
    match named(action) {
        Some(action) => set_known(event, action),
        None => {
            event.set(Field::EventAction, action);
            event.set(Field::EventType, "info");
        }
    }
}

/// As [`set`], for who has looked the action up.
pub fn set_known(event: &mut Event, action: &Action) {
    event.set(Field::EventAction, action.name);
    event.set(Field::EventCategory, action.category);
    event.set(Field::EventType, action.kind);
}

/// Gives the event its action; the record's own category and type stay.
pub fn set_beside(event: &mut Event, action: &str) {
    event.set(Field::EventAction, action);
    let Some(known) = named(action) else { return };
    if !event.has(Field::EventCategory) {
        event.set(Field::EventCategory, known.category);
    }
    if !event.has(Field::EventType) {
        event.set(Field::EventType, known.kind);
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
            ("客户数据导出", Some("export")),
            ("mfa.disable", Some("mfa-removed")),
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
        for (sentence, expected) in [
            ("User signed in", Some("success")),
            ("mia logged out.", Some("success")),
            ("Mia was not logged in", None),
            ("you must be logged in", None),
            ("signed in with an invalid token", Some("failure")),
            ("Login of mia", None),
        ] {
            assert_eq!(outcome_of_phrase(sentence), expected, "{sentence}");
        }
        assert_eq!(outcome_in("UserLoginFailed"), Some("failure"));
        assert_eq!(outcome_in("login"), None);
    }

    #[test]
    fn every_synonym_leads_to_a_canonical_action() {
        for (word, action) in SYNONYMS {
            assert!(named(action).is_some(), "{word} leads nowhere");
        }
    }

    #[test]
    fn an_action_brings_its_category_and_type_and_an_unknown_one_none() {
        let mut event = Event::new("");
        set(&mut event, "login");
        assert_eq!(event.text(Field::EventCategory), Some("authentication"));
        assert_eq!(event.text(Field::EventType), Some("start"));
        set_beside(&mut event, "export");
        assert_eq!(event.text(Field::EventAction), Some("export"));
        assert_eq!(event.text(Field::EventCategory), Some("authentication"), "the record's own stays");
        let mut event = Event::new("");
        set(&mut event, "info");
        assert_eq!(event.text(Field::EventCategory), None);
        assert_eq!(event.text(Field::EventType), Some("info"));
    }
}
