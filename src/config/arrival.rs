//! How a source's records arrive: in files, over the network, on standard input, from the journal. Not for receiving them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::error::Problems;
use super::{nearest, raw};
use crate::source::syslog::{Endpoint, Transport};

/// How a source's records arrive. All but files go through a spool on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// In files that are followed.
    Files,
    /// As syslog.
    Syslog(Syslog),
    /// By HTTP, at `/api/v1/push/<source>`.
    Push(Door),
    /// On standard input.
    Stdin,
    /// The journal's entries that match.
    Journal(Vec<String>),
}

/// Where syslog arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syslog {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// For `tls://`: the server's certificates, PEM.
    pub certificate: Option<PathBuf>,
    /// For `tls://`: the key of the first, PEM.
    pub key: Option<PathBuf>,
    /// For `tls://`: senders must show a certificate this authority signed.
    pub client_ca: Option<PathBuf>,
}

/// Who may push to a source. What is asked for must all be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// `Authorization: Bearer`.
    pub token: Token,
    /// How the sender signs, and the credential of the secret it signs with.
    pub signature: Option<(Signature, String)>,
}

/// What stands in for a person's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// Name of a systemd credential, or a file.
    Credential(String),
    /// None is asked for; the operator said so, or the signature is enough.
    NotAsked,
}

/// Ways to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// Jiandaoyun's data push.
    Jiandaoyun,
}

/// Names of the ways to sign.
const SIGNATURES: [(&str, Signature); 1] = [("jiandaoyun", Signature::Jiandaoyun)];

/// A listener for push alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushListener {
    /// Where.
    pub listen: SocketAddr,
    /// Certificates and key, PEM files; without them it only listens to this machine.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// One of `paths`, `syslog`, `push`, `stdin`, `journal`, and what belongs to it.
pub(super) fn check(source: &raw::Source, folder: &Path, problems: &mut Problems<'_>) -> Arrival {
    let at = source.name.span().start;
    let name = source.name.get_ref();
    let said =
        |flag: &Option<Spanned<bool>>| flag.as_ref().filter(|flag| *flag.get_ref()).map(|flag| flag.span().start);
    let ways: Vec<(&str, usize)> = [
        ("paths", source.paths.first().map(|path| path.span().start)),
        ("syslog", source.syslog.as_ref().map(|url| url.span().start)),
        ("push", said(&source.push)),
        ("stdin", said(&source.stdin)),
        ("journal", source.journal.as_ref().map(|matches| matches.span().start)),
    ]
    .into_iter()
    .filter_map(|(way, place)| place.map(|place| (way, place)))
    .collect();
    if ways.is_empty() {
        problems.at(
            at,
            format!("source {name:?} has no paths"),
            "add paths = [\"/var/log/…\"], or one of syslog, push, stdin, journal",
        );
    }
    if let [(first, _), (second, place), ..] = ways[..] {
        problems.at(
            place,
            format!("source {name:?} has both {first} and {second}"),
            "records of one source arrive in one way: make two sources",
        );
    }
    let way = ways.first().map_or("paths", |(way, _)| way);
    belongs(source, way, problems);
    match way {
        "syslog" => Arrival::Syslog(check_syslog(source, folder, problems)),
        "push" => Arrival::Push(check_door(source, problems)),
        "stdin" => Arrival::Stdin,
        "journal" => Arrival::Journal(check_journal(source, problems)),
        _ => Arrival::Files,
    }
}

/// A key that means nothing where it stands was meant for something.
fn belongs(source: &raw::Source, way: &str, problems: &mut Problems<'_>) {
    let keys = [
        ("tls_certificate", "syslog", source.tls_certificate.is_some()),
        ("tls_key", "syslog", source.tls_key.is_some()),
        ("tls_client_ca", "syslog", source.tls_client_ca.is_some()),
        ("token_credential", "push", source.token_credential.is_some()),
        ("signature", "push", source.signature.is_some()),
        ("signature_credential", "push", source.signature_credential.is_some()),
    ];
    for (key, owner, set) in keys {
        if set && owner != way {
            let name = source.name.get_ref();
            problems.at(
                source.name.span().start,
                format!("source {name:?} has {key}, which belongs to {owner}"),
                if key.starts_with("tls") && way == "push" {
                    "the certificate of push stands in [push]: certificate and key".to_owned()
                } else {
                    format!("take {key} away, or say {owner} = …")
                },
            );
        }
    }
}

fn check_syslog(source: &raw::Source, folder: &Path, problems: &mut Problems<'_>) -> Syslog {
    let url = source.syslog.as_ref().expect("asked for where it is set");
    let at = url.span().start;
    let endpoint = Endpoint::parse(url.get_ref()).unwrap_or_else(|mend| {
        problems.at(at, format!("{:?} does not say where syslog arrives", url.get_ref()), mend);
        Endpoint::here(if source.tls_key.is_some() { Transport::Tls } else { Transport::Tcp })
    });
    let tls = endpoint.transport == Transport::Tls;
    if tls != source.tls_certificate.is_some() || tls != source.tls_key.is_some() {
        problems.at(
            at,
            if tls { "TLS needs a certificate and its key" } else { "a certificate is of no use without TLS" },
            if tls {
                "add tls_certificate and tls_key, PEM files"
            } else {
                "write tls://, or take the certificate away"
            },
        );
    }
    if source.tls_client_ca.is_some() && !tls {
        problems.at(at, "senders show certificates under TLS only", "write tls://, or take tls_client_ca away");
    }
    Syslog {
        endpoint,
        certificate: source.tls_certificate.as_ref().map(|path| folder.join(path)),
        key: source.tls_key.as_ref().map(|path| folder.join(path)),
        client_ca: source.tls_client_ca.as_ref().map(|path| folder.join(path)),
    }
}

fn check_door(source: &raw::Source, problems: &mut Problems<'_>) -> Door {
    let at = source.push.as_ref().map_or(0, |push| push.span().start);
    let mut signature = None;
    if let Some(name) = &source.signature {
        match SIGNATURES.iter().find(|(known, _)| known == name.get_ref()) {
            Some((_, way)) => match &source.signature_credential {
                Some(credential) => signature = Some((*way, credential.clone())),
                None => problems.at(
                    name.span().start,
                    "a signature cannot be checked without the secret it is made with",
                    "add signature_credential: a systemd credential's name, or a file's full path",
                ),
            },
            None => {
                let mend = match nearest(name.get_ref(), SIGNATURES.iter().map(|(known, _)| *known)) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("known here: {}", SIGNATURES.map(|(known, _)| known).join(", ")),
                };
                problems.at(name.span().start, format!("there is no signature {:?}", name.get_ref()), mend);
            }
        }
    } else if source.signature_credential.is_some() {
        problems.at(
            at,
            "signature_credential without signature",
            "say how the sender signs: signature = \"jiandaoyun\"",
        );
    }
    let token = match source.token_credential.as_deref() {
        Some("none") | None => Token::NotAsked,
        Some(name) => Token::Credential(name.to_owned()),
    };
    if source.token_credential.is_none() && source.signature.is_none() {
        problems.at(
            at,
            format!("whoever reaches the port could write to source {:?}", source.name.get_ref()),
            "add token_credential, or signature where the sender signs; while only this machine reaches it, token_credential = \"none\"",
        );
    }
    Door { token, signature }
}

fn check_journal(source: &raw::Source, problems: &mut Problems<'_>) -> Vec<String> {
    let matches = source.journal.as_ref().expect("asked for where it is set").get_ref();
    for one in matches {
        // An option of journalctl here would be one that nobody looked at; `+` is its word for "or".
        let field = one.get_ref().split_once('=').map(|(field, _)| field);
        let plain = |field: &str| {
            !field.is_empty()
                && field.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        };
        if one.get_ref() != "+" && !field.is_some_and(plain) {
            problems.at(
                one.span().start,
                format!("{:?} is no match of journalctl", one.get_ref()),
                "write a field in capitals and its value: \"_SYSTEMD_UNIT=odoo.service\"",
            );
        }
    }
    matches.iter().map(|one| one.get_ref().clone()).collect()
}

/// A spool is no smaller than this.
const LEAST_SPOOL: u64 = 16 << 20;

/// A spool must hold what comes at once, or it would never take it. Gives the largest body.
pub(super) fn check_spool(
    spool: &raw::Spool,
    push: &raw::Push,
    sources: &[(super::Source, usize)],
    problems: &mut Problems<'_>,
) -> usize {
    let lines = sources.iter().filter(|(source, _)| source.spooled()).map(|(source, _)| source.max_line as u64);
    let body = push.max_body.get_ref().0;
    if !(1 << 10..=256 << 20).contains(&body) {
        problems.at(push.max_body.span().start, "max_body is out of bounds", "choose between 1KiB and 256MiB");
    }
    let least = lines.max().unwrap_or(0).max(body).saturating_mul(4).max(LEAST_SPOOL);
    if spool.max_bytes.get_ref().0 < least {
        problems.at(
            spool.max_bytes.span().start,
            format!("a spool of {} bytes is too small", spool.max_bytes.get_ref().0),
            format!("choose at least {least} bytes: 16 MiB, and four of the largest bodies ([push] max_body) and lines (max_line)"),
        );
    }
    usize::try_from(body).unwrap_or(usize::MAX)
}

pub(super) fn check_push(push: raw::Push, folder: &Path, problems: &mut Problems<'_>) -> Option<PushListener> {
    let Some(listen) = push.listen else {
        if push.certificate.is_some() || push.key.is_some() {
            problems.whole(
                "[push] has a certificate and does not listen",
                "add listen = \"0.0.0.0:8443\", or take certificate and key away",
            );
        }
        return None;
    };
    let at = listen.span().start;
    let Ok(address) = listen.get_ref().parse::<SocketAddr>() else {
        problems.at(
            at,
            format!("{:?} is no address to listen on", listen.get_ref()),
            "write an address and a port, e.g. \"0.0.0.0:8443\" or \"[::]:8443\"",
        );
        return None;
    };
    let tls = match (push.certificate, push.key) {
        (Some(certificate), Some(key)) => Some((folder.join(certificate), folder.join(key))),
        (None, None) => None,
        _ => {
            problems.at(at, "[push] has only one of certificate and key", "name both, PEM files");
            return None;
        }
    };
    if tls.is_none() && !address.ip().is_loopback() {
        problems.at(
            at,
            format!("{address} is reachable from other machines, and tokens and logs would travel unencrypted"),
            "add certificate and key, or listen on 127.0.0.1 behind a proxy with TLS",
        );
    }
    Some(PushListener { listen: address, tls })
}

/// What can only be said of all sources together.
pub(super) fn check_together(
    sources: &[(super::Source, usize)],
    push: Option<&PushListener>,
    problems: &mut Problems<'_>,
) {
    let mut stdin = None;
    for (source, at) in sources {
        match &source.arrival {
            Arrival::Stdin => {
                if let Some(other) = stdin.replace(&source.name) {
                    problems.at(
                        *at,
                        format!("standard input is read by source {other:?} already"),
                        "there is one standard input: take stdin away from one of them",
                    );
                }
            }
            Arrival::Push(Door { token: Token::NotAsked, signature: None })
                if push.is_some_and(|push| !push.listen.ip().is_loopback()) =>
            {
                problems.at(
                    *at,
                    format!("source {:?} asks for no token, and [push] listens to other machines", source.name),
                    "name a credential in token_credential, or listen on 127.0.0.1",
                );
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("/etc/c.toml"), text).map_err(|error| error.to_string())
    }

    fn source(text: &str) -> Result<Arrival, String> {
        parse(&format!("[[source]]\nname = \"a\"\n{text}\n")).map(|mut config| config.sources.remove(0).arrival)
    }

    #[test]
    fn records_arrive_in_one_way_and_each_has_its_keys() {
        assert_eq!(source("stdin = true"), Ok(Arrival::Stdin));
        assert_eq!(source("journal = [\"_COMM=odoo\"]"), Ok(Arrival::Journal(vec!["_COMM=odoo".to_owned()])));
        let door = Door { token: Token::Credential("t".to_owned()), signature: None };
        assert_eq!(source("push = true\ntoken_credential = \"t\""), Ok(Arrival::Push(door)));
        let signed = Door { token: Token::NotAsked, signature: Some((Signature::Jiandaoyun, "s".to_owned())) };
        let text = "push = true\nsignature = \"jiandaoyun\"\nsignature_credential = \"s\"";
        assert_eq!(source(text), Ok(Arrival::Push(signed)));
        let Ok(Arrival::Syslog(syslog)) =
            source("syslog = \"tls://[::]:6514\"\ntls_certificate = \"c\"\ntls_key = \"k\"")
        else {
            panic!("syslog")
        };
        assert_eq!(syslog.certificate.as_deref(), Some(Path::new("/etc/c")));
        for (text, told) in [
            ("", "has no paths"),
            ("push = false", "has no paths"),
            ("paths = [\"x\"]\nstdin = true", "both paths and stdin"),
            ("stdin = true\ntoken_credential = \"x\"", "token_credential, which belongs to push"),
            ("push = true\ntoken_credential = \"x\"\ntls_key = \"k\"", "stands in [push]"),
            ("journal = [\"--file=/etc/shadow\"]", "no match of journalctl"),
            ("syslog = \"tls://[::]:6514\"", "needs a certificate"),
            ("syslog = \"http://[::]:6514\"", "does not say where"),
            ("syslog = \"tcp://[::]\"\ntls_client_ca = \"c\"", "under TLS only"),
        ] {
            let error = source(text).expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn nobody_pushes_without_a_token_or_a_signature_unless_the_operator_says_so_and_only_here() {
        let error = source("push = true").expect_err("open");
        assert!(error.contains("c.toml:3:8: whoever reaches the port could write"), "{error}");
        assert!(error.contains("token_credential = \"none\""), "{error}");
        assert!(source("push = true\ntoken_credential = \"none\"").is_ok());
        let elsewhere = "push = true\ntoken_credential = \"none\"\n[push]\nlisten = \"0.0.0.0:1\"\ncertificate = \"c\"\nkey = \"k\"";
        assert!(source(elsewhere).expect_err("open to all").contains("asks for no token"));
        assert!(source("push = true\nsignature = \"jiandaoyun\"").expect_err("no secret").contains("secret"));
        assert!(source("push = true\nsignature = \"jiandaoyum\"").expect_err("unknown").contains("did you mean"));
    }

    #[test]
    fn push_does_not_listen_to_other_machines_without_tls() {
        let text = |push: &str| parse(&format!("[[source]]\nname = \"a\"\npaths = [\"x\"]\n[push]\n{push}\n"));
        let error = text("listen = \"0.0.0.0:8443\"").expect_err("open");
        assert!(error.contains("c.toml:5:10: 0.0.0.0:8443 is reachable"), "{error}");
        assert!(text("listen = \"127.0.0.1:8443\"").is_ok());
        assert!(text("listen = \"0.0.0.0:8443\"\ncertificate = \"c\"\nkey = \"k\"").is_ok());
        assert!(text("listen = \"0.0.0.0:8443\"\ncertificate = \"c\"").expect_err("half").contains("only one of"));
        assert!(text("max_body = \"1TiB\"").expect_err("large").contains("out of bounds"));
        let small =
            parse("[[source]]\nname = \"a\"\nstdin = true\n[spool]\nmax_bytes = \"1MiB\"\n").expect_err("small");
        assert!(small.contains("at least 67108864 bytes"), "{small}");
        let two =
            parse("[[source]]\nname = \"a\"\nstdin = true\n[[source]]\nname = \"b\"\nstdin = true\n").expect_err("two");
        assert!(two.contains("standard input is read by source \"a\" already"), "{two}");
    }
}
