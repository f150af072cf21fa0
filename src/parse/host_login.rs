//! What a host's own services say of logins: OpenSSH's and PAM's sentences, and who acted as whom through `sudo` and `su`. Not for logins to
//! a CRM, nor for the header before the sentence (`syslog`).
//!
//! OpenSSH tells a refused password twice, once through PAM: its own sentence is the login, the other one a remark. A name may hold
//! anything, so what follows it is searched from the right.

use crmwatch_detectors::{Event, Field};

use super::{absent, actions, ip};

/// Says who logged in from where, or failed to, in a sentence of one of these programs. Other sentences leave the event as it is.
pub(super) fn tell(event: &mut Event, raw: &str, program: &str, message: &str) {
    let message = without_id(message.trim_ascii());
    let ssh = matches!(program, "sshd" | "sshd-session" | "sshd-auth");
    if ssh && opensshs(event, raw, message) {
        return;
    }
    if let Some((service, pairs)) = pam(program, message) {
        return pams(event, raw, ssh && service == "sshd", pairs);
    }
    let known = match program {
        "sudo" => sudos(message),
        "su" => sus(message),
        _ => None,
    };
    if let Some(change) = known {
        change.tell(event, raw);
    }
}

/// Somebody took on another's rights, or was not let. A wrong password is told by PAM besides, so this is no login.
struct Change<'m> {
    who: &'m str,
    whom: &'m str,
    /// Why not.
    refused: Option<&'m str>,
    command: &'m str,
}

impl Change<'_> {
    fn tell(&self, event: &mut Event, raw: &str) {
        for (field, name) in [(Field::UserName, self.who), (Field::UserEffectiveName, self.whom)] {
            if !absent(name) {
                event.set_part(field, raw, name);
            }
        }
        if !self.command.is_empty() {
            event.set_other_part("process.command_line", raw, self.command);
        }
        if let Some(reason) = self.refused {
            event.set(Field::EventType, "denied");
            if !reason.is_empty() {
                event.set_part(Field::EventReason, raw, reason);
            }
        }
        event.set(Field::EventOutcome, if self.refused.is_some() { "failure" } else { "success" });
    }
}

/// `mia : TTY=pts/0 ; PWD=/home/mia ; USER=root ; COMMAND=/usr/bin/id`; why not stands before the terminal.
fn sudos(message: &str) -> Option<Change<'_>> {
    let (who, rest) = message.split_once(" : ")?;
    let (rest, command) = rest.split_once("COMMAND=")?;
    let refused = rest.split(" ; ").next().filter(|first| !first.contains('='));
    let whom = rest.split(" ; ").find_map(|part| part.strip_prefix("USER=")).unwrap_or("");
    (!who.contains(' ')).then_some(Change { who, whom: whom.trim_ascii(), refused, command })
}

/// `(to root) mia on pts/0`, `FAILED SU (to root) mia on pts/0`, `Successful su for root by mia`, `FAILED su for root by mia`.
fn sus(message: &str) -> Option<Change<'_>> {
    let sentence = message.strip_prefix("FAILED SU ").unwrap_or(message);
    if let Some((whom, rest)) = sentence.strip_prefix("(to ").and_then(|rest| rest.split_once(") ")) {
        let refused = (sentence.len() < message.len()).then_some("");
        return Some(Change { who: rest.split(' ').next()?, whom, refused, command: "" });
    }
    // BSD's, and AIX's.
    if let Some((people, _)) = message.split_once(" on /dev/") {
        let failed = people.strip_prefix("BAD SU ");
        let (who, whom) = failed.unwrap_or(people).split_once(" to ")?;
        return Some(Change { who, whom, refused: failed.map(|_| ""), command: "" });
    }
    if let Some((_, people)) = message.strip_prefix("failed: ").and_then(|rest| rest.split_once(" changing from ")) {
        let (who, whom) = people.split_once(" to ")?;
        return Some(Change { who, whom, refused: Some(""), command: "" });
    }
    let done = message.strip_prefix("Successful su for ");
    if let Some((whom, who)) = done.or(message.strip_prefix("FAILED su for "))?.split_once(" by ") {
        return Some(Change { who, whom, refused: done.is_none().then_some(""), command: "" });
    }
    None
}

/// `Failed password for invalid user NAME from ADDRESS port 22 ssh2`, `Accepted publickey for NAME from ...`, `Invalid user NAME from ...`
fn opensshs(event: &mut Event, raw: &str, message: &str) -> bool {
    let (outcome, login, rest) = if let Some(rest) = message.strip_prefix("Accepted ") {
        ("success", true, rest)
    } else if let Some(rest) = message.strip_prefix("Failed ") {
        ("failure", !rest.starts_with("none "), rest)
    } else if let Some(rest) = message.strip_prefix("Invalid user ").or_else(|| message.strip_prefix("Illegal user ")) {
        // The refusal itself follows.
        return person(event, raw, rest, "failure", false);
    } else {
        return false;
    };
    let Some((_, rest)) = rest.split_once(" for ") else { return false };
    let known = rest.strip_prefix("invalid user ").or_else(|| rest.strip_prefix("illegal user ")).unwrap_or(rest);
    person(event, raw, known, outcome, login)
}

/// Solaris puts `[ID 800047 auth.info] ` before the sentence.
fn without_id(message: &str) -> &str {
    message.strip_prefix("[ID ").and_then(|rest| rest.split_once("] ")).map_or(message, |(_, rest)| rest)
}

/// Places where the address may stand; a name that forges more of them hides it.
const MOST_PLACES: usize = 16;

/// `NAME from ADDRESS port N`. Behind the number the other side's own words may follow, so the last place with a number counts.
fn person(event: &mut Event, raw: &str, rest: &str, outcome: &'static str, login: bool) -> bool {
    let places =
        || rest.rmatch_indices(" from ").take(MOST_PLACES).map(|(at, mark)| (&rest[..at], &rest[at + mark.len()..]));
    let numbered = |(_, from): &(&str, &str)| from.split(' ').nth(1) == Some("port");
    let Some((name, from)) = places().find(numbered).or_else(|| places().next()) else { return false };
    let mut words = from.split(' ');
    let address = words.next().unwrap_or_default();
    if !absent(name) {
        event.set_part(Field::UserName, raw, name);
    }
    ip::set_source(event, raw, address);
    if let Some(port) = words.next().filter(|word| *word == "port").and_then(|_| words.next()?.parse().ok()) {
        event.set_integer(Field::SourcePort, port);
    }
    if login {
        actions::set(event, "login");
    }
    event.set(Field::EventOutcome, outcome);
    true
}

/// `pam_unix(sshd:auth): authentication failure; PAIRS`, `(pam_unix) authentication failure; PAIRS`, and of a program that is called
/// `sshd(pam_unix)`: the service and the pairs.
fn pam<'m>(program: &'m str, message: &'m str) -> Option<(&'m str, &'m str)> {
    let (before, pairs) = message.split_once("authentication failure; ")?;
    if before.is_empty() && program.contains("(pam") {
        return Some(("", pairs));
    }
    let name = before.strip_prefix('(').unwrap_or(before);
    name.starts_with("pam_").then_some(())?;
    let service = name.split_once('(').and_then(|(_, inside)| inside.split([':', ')']).next()).unwrap_or_default();
    Some((service, pairs))
}

/// `logname= uid=0 euid=0 tty=ssh ruser= rhost=ADDRESS  user=NAME`
fn pams(event: &mut Event, raw: &str, told_again: bool, pairs: &str) {
    let Some((before, rest)) = pairs.split_once("rhost=") else { return };
    let (host, name) = rest.split_once(" user=").unwrap_or((rest, ""));
    let asked = before.split_once("ruser=").map_or("", |(_, name)| name.trim_ascii());
    let name = if name.trim_ascii().is_empty() { asked } else { name.trim_ascii() };
    if !absent(name) {
        event.set_part(Field::UserName, raw, name);
    }
    ip::set_source(event, raw, host.trim_ascii());
    if !told_again {
        actions::set(event, "login");
    }
    event.set(Field::EventOutcome, "failure");
}

#[cfg(test)]
mod tests {
    use super::super::trial::holds;
    use super::*;
    use crate::parse::{Options, grammar};

    #[track_caller]
    fn check(line: &str, expected: &[(Field, &str)]) {
        for format in ["syslog", "auto"] {
            let mut events = Vec::new();
            grammar(format, &Options::default()).expect("a format").parse(line, &mut events);
            holds(&events[0], expected, line);
        }
    }

    #[test]
    fn a_password_refused_or_taken_by_openssh_is_a_login() {
        for (said, name, outcome) in [
            ("Failed password for invalid user admin from 203.0.113.7 port 51234 ssh2", "admin", "failure"),
            ("Failed password for root from 9.9.9.9 from 203.0.113.7 port 51234 ssh2", "root from 9.9.9.9", "failure"),
            ("Failed password for mia from 203.0.113.7 port 51234 ssh1: ruser from 9.9.9.9", "mia", "failure"),
            (
                "[ID 800047 auth.info] Failed keyboard-interactive for mia from 203.0.113.7 port 51234 ssh2",
                "mia",
                "failure",
            ),
            ("Accepted publickey for mia from 203.0.113.7 port 51234 ssh2: RSA SHA256:x", "mia", "success"),
        ] {
            check(
                &format!("Mar  2 09:14:07 web1 sshd[812]: {said}"),
                &[
                    (Field::EventAction, "login"),
                    (Field::EventOutcome, outcome),
                    (Field::UserName, name),
                    (Field::SourceIp, "203.0.113.7"),
                    (Field::SourcePort, "51234"),
                ],
            );
        }
    }

    #[test]
    fn who_acts_as_another_is_named_with_whom_and_whether_it_was_allowed() {
        let terminal = "TTY=pts/0 ; PWD=/home/mia ; USER=root ; COMMAND=/usr/bin/id -u";
        for (said, outcome, kind, reason) in [
            (format!("sudo:      mia : {terminal}"), "success", "info", ""),
            (
                format!("sudo[7]:      mia : user NOT in sudoers ; {terminal}"),
                "failure",
                "denied",
                "user NOT in sudoers",
            ),
            ("su[7]: (to root) mia on pts/0".to_owned(), "success", "info", ""),
            ("su: FAILED SU (to root) mia on pts/0".to_owned(), "failure", "denied", ""),
            ("su[7]: Successful su for root by mia".to_owned(), "success", "info", ""),
            ("su[7]: FAILED su for root by mia".to_owned(), "failure", "denied", ""),
            ("su: mia to root on /dev/ttyp1".to_owned(), "success", "info", ""),
            ("su[7]: BAD SU mia to root on /dev/ttyp0".to_owned(), "failure", "denied", ""),
            ("su[7]: failed: ttyq4 changing from mia to root".to_owned(), "failure", "denied", ""),
        ] {
            check(
                &format!("Mar  2 09:14:07 web1 {said}"),
                &[
                    (Field::EventAction, "info"),
                    (Field::EventOutcome, outcome),
                    (Field::EventType, kind),
                    (Field::UserName, "mia"),
                    (Field::UserEffectiveName, "root"),
                    (Field::EventReason, reason),
                ],
            );
        }
        check(
            "Mar  2 09:14:07 web1 sudo: pam_unix(sudo:session): session closed for user root",
            &[(Field::UserName, "")],
        );
    }

    #[test]
    fn what_openssh_says_twice_is_one_login() {
        for line in [
            "Mar  2 09:14:07 web1 sshd[812]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=mia",
            "Mar  2 09:14:07 web1 sshd[812]: Invalid user mia from 203.0.113.7",
        ] {
            check(
                line,
                &[
                    (Field::EventAction, "info"),
                    (Field::EventOutcome, "failure"),
                    (Field::UserName, "mia"),
                    (Field::SourceIp, "203.0.113.7"),
                ],
            );
        }
    }

    #[test]
    fn pam_s_refusals_of_other_services_are_logins_whatever_the_name_holds() {
        for (line, name, address) in [
            (
                "Mar  2 09:14:07 web1 sshd(pam_unix)[812]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=203.0.113.7  user=root",
                "root",
                "203.0.113.7",
            ),
            (
                "Mar  2 09:14:07 web1 ftpd: (pam_unix) authentication failure; logname= uid=0 euid=0 tty=ftp ruser=jo rhost=203.0.113.7 ",
                "jo",
                "203.0.113.7",
            ),
            (
                "Mar  2 09:14:07 web1 app: pam_unix(auth): authentication failure; logname= uid=0 euid=0 tty=x ruser= rhost=203.0.113.7 user=test rhost=198.51.100.1",
                "test rhost=198.51.100.1",
                "203.0.113.7",
            ),
        ] {
            check(
                line,
                &[
                    (Field::EventAction, "login"),
                    (Field::EventOutcome, "failure"),
                    (Field::UserName, name),
                    (Field::SourceIp, address),
                ],
            );
        }
    }

    #[test]
    fn other_sentences_and_other_programs_say_nothing_of_logins() {
        for line in [
            "Mar  2 09:14:07 web1 sshd[812]: Failed none for invalid user mia from 203.0.113.7 port 51234 ssh2",
            "Mar  2 09:14:07 web1 sshd[812]: Connection closed by 203.0.113.7 port 51234 [preauth]",
            "Mar  2 09:14:07 web1 crm[812]: Failed password for mia from 203.0.113.7 port 51234 ssh2",
        ] {
            check(line, &[(Field::EventAction, "info")]);
        }
    }
}
