//! The typed configuration: read from one TOML file, checked once, handed on as types that cannot be wrong.
//! Every mistake is reported with file, line, column and what mends it, all of them together. No other module reads configuration.

mod arrival;
mod error;
mod files;
mod knowledge;
mod own_format;
mod raw;
mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use crmwatch_detectors::allowance::Allowance;
use crmwatch_detectors::{Field, Severity};

pub use arrival::{Arrival, Door, PushListener, Signature, Syslog, Token};
use error::Problems;
pub use error::{ConfigError, nearest};
pub use files::{DetectionError, FileError, rule_texts};
pub use own_format::{parse as parse_formats, read as read_formats};
pub use raw::{Start, Watch};
pub use units::{Size, Span};

use crate::parse::own::OwnFormat;

/// Where the configuration is when nobody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/crmwatch/crmwatch.toml";

/// Everything an operator may set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where index and ledger live.
    pub state_dir: PathBuf,
    /// `en` or `zh-CN`.
    pub locale: String,
    /// How long draining may take when the daemon stops.
    pub stop_timeout: Duration,
    /// The logs.
    pub sources: Vec<Source>,
    /// Where metrics and API listen.
    pub listen: SocketAddr,
    /// Mail, if wanted.
    pub email: Option<Email>,
    /// How findings become alerts.
    pub alerts: Alerts,
    /// The people file.
    pub people: Option<PathBuf>,
    /// The file of record ids nobody has a reason to touch.
    pub honeytokens: Option<PathBuf>,
    /// The operator's own City database.
    pub geo_city: Option<PathBuf>,
    /// The operator's own ASN database.
    pub geo_asn: Option<PathBuf>,
    /// How long events are kept.
    pub retention: Retention,
    /// Settings by detector.
    pub detectors: BTreeMap<String, serde_json::Value>,
    /// Folders of Sigma rules beside the shipped ones.
    pub rule_directories: Vec<PathBuf>,
    /// What the placeholders of their values stand for.
    pub rule_placeholders: BTreeMap<String, Vec<String>>,
    /// What may wait in the spool of each source, in bytes.
    pub spool_bytes: u64,
    /// The listener of its own for push, if wanted.
    pub push: Option<PushListener>,
    /// The largest body of a push, in bytes.
    pub push_body: usize,
    /// What the operator knows and the logs do not: findings it covers are not made.
    pub allowances: Vec<Allowance>,
}

/// One log.
#[derive(Debug, Clone)]
pub struct Source {
    /// The name in metrics and events.
    pub name: String,
    /// How its records arrive.
    pub arrival: Arrival,
    /// Globs of the files; of the spool's, where records do not arrive in files.
    pub paths: Vec<String>,
    /// A format's name, or `auto`.
    pub format: String,
    /// What that name means, where it is a format of the operator's own.
    pub own: Option<Arc<OwnFormat>>,
    /// The zone of stamps without an offset.
    pub timezone: Tz,
    /// Where reading starts the first time.
    pub start: Start,
    /// How late events may come.
    pub lateness: Duration,
    /// An encoding's name, or `auto`.
    pub encoding: String,
    /// Longer lines are cut, counted and marked.
    pub max_line: usize,
    /// Unread bytes of deleted files that are held open, at most.
    pub hold_deleted: u64,
    /// ECS name to the key of a JSON record.
    pub mapping: BTreeMap<String, String>,
    /// URL tables by name or file; nothing said means all shipped ones.
    pub urls: Option<Vec<String>>,
    /// The field that names the user where the line's own does not.
    pub user_from: Option<String>,
    /// Proxies whose X-Forwarded-For is believed: address and prefix length.
    pub trusted_proxies: Vec<(std::net::IpAddr, u8)>,
    /// How the daemon learns that something was written.
    pub watch: Watch,
}

/// Room for what the spool writes around a line, beside its escapes.
const SPOOL_ROOM: usize = 256;

impl Source {
    /// A source with every default, for `scan` and tests.
    pub fn named(name: &str) -> Source {
        Source {
            name: name.to_owned(),
            arrival: Arrival::Files,
            paths: Vec::new(),
            format: "auto".to_owned(),
            own: None,
            timezone: Tz::UTC,
            start: Start::Beginning,
            lateness: Duration::from_secs(600),
            encoding: "auto".to_owned(),
            max_line: 1 << 20,
            hold_deleted: 1 << 30,
            mapping: BTreeMap::new(),
            urls: None,
            user_from: None,
            trusted_proxies: Vec::new(),
            watch: Watch::Auto,
        }
    }

    /// The source as the tailer follows it: one whose records do not arrive in files has those of its spool.
    pub fn followed(&self, state_dir: &Path) -> Source {
        let mut source = self.clone();
        if self.spooled() {
            source.paths = vec![crate::source::Spool::pattern(state_dir, &self.name)];
            source.start = Start::Beginning;
            // What arrived was cut already: with the spool's words around it and its escapes it must not be cut again.
            source.max_line = 2 * self.max_line + SPOOL_ROOM;
        }
        source
    }

    /// Names of the secrets that are asked of who pushes to it.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let Arrival::Push(door) = &self.arrival else { return None.into_iter().chain(None) };
        let token = match &door.token {
            Token::Credential(name) => Some(name.as_str()),
            Token::NotAsked => None,
        };
        token.into_iter().chain(door.signature.as_ref().map(|(_, name)| name.as_str()))
    }

    /// Whether its records go through a spool.
    pub fn spooled(&self) -> bool {
        self.arrival != Arrival::Files
    }
}

/// How a mail server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailSecurity {
    /// `smtps://`: TLS from the first byte.
    Tls,
    /// `smtp+starttls://`: TLS required before anything is said.
    StartTls,
    /// `smtp://`: none; only to this machine, or where the operator said so.
    Plain,
}

/// Mail.
#[derive(Debug, Clone)]
pub struct Email {
    /// How.
    pub security: MailSecurity,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Sender.
    pub from: lettre::message::Mailbox,
    /// Recipients.
    pub to: Vec<lettre::message::Mailbox>,
    /// Name of a systemd credential, or a file.
    pub username_credential: Option<String>,
    /// Name of a systemd credential, or a file.
    pub password_credential: Option<String>,
    /// Certificate authority beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Incidents below are not mailed.
    pub min_severity: Severity,
    /// Beyond this, mails are summed up.
    pub max_per_hour: u32,
}

/// How findings become alerts.
#[derive(Debug, Clone)]
pub struct Alerts {
    /// Findings whose deciding event is older, beyond its source's lateness, are historic.
    pub max_age: Duration,
    /// Findings of one entity within this time become one incident.
    pub group_for: Duration,
    /// How long a first mail waits for more of the same incident.
    pub group_wait: Duration,
    /// Least time between mails about one incident.
    pub group_interval: Duration,
    /// Where links lead, without a slash at the end.
    pub link: Option<String>,
}

/// How long events are kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Days.
    pub days: u32,
    /// The store's size.
    pub max_bytes: u64,
    /// What must stay free on its file system.
    pub min_free_bytes: u64,
    /// A partition with so many events is followed by another before the day is over.
    pub partition_events: u64,
}

impl Config {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let mut problems = Problems::new(path, "");
            problems.whole(
                format!("cannot read the configuration: {error}"),
                "name another file with --config, or copy config/crmwatch.toml there",
            );
            problems.into_result().expect_err("one problem")
        })?;
        Config::parse(path, &text)
    }

    /// Checks a configuration's text. `path` is where it came from; relative files in it are looked up beside it.
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        let mut problems = Problems::new(path, text);
        match toml::from_str::<raw::File>(text) {
            Ok(file) => {
                let config = check(file, path.parent().unwrap_or(Path::new("")), &mut problems);
                problems.into_result()?;
                Ok(config)
            }
            Err(error) => {
                let byte = error.span().map_or(0, |span| span.start);
                let message = error.message().lines().next().unwrap_or_default().to_owned();
                problems.at(byte, message.clone(), mend_of(&message));
                Err(problems.into_result().expect_err("one problem"))
            }
        }
    }
}

/// `unknown field `fromat`, expected one of `name`, `format`` names its own mend.
fn mend_of(message: &str) -> String {
    let mut words = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown") {
        return String::new();
    }
    let Some(wrong) = words.next() else { return String::new() };
    let known: Vec<&str> = words.collect();
    match nearest(wrong, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

fn check(file: raw::File, folder: &Path, problems: &mut Problems<'_>) -> Config {
    if !["en", "zh-CN"].contains(&file.locale.get_ref().as_str()) {
        problems.at(
            file.locale.span().start,
            format!("no such locale: {:?}", file.locale.get_ref()),
            "use \"en\" or \"zh-CN\"",
        );
    }
    let own = own_format::check(file.format, problems);
    let mut names = BTreeSet::new();
    let mut sources = Vec::new();
    for source in file.source {
        if !names.insert(source.name.get_ref().clone()) {
            problems.at(
                source.name.span().start,
                format!("a source named {:?} stands above already", source.name.get_ref()),
                "give each source its own name",
            );
        }
        let place = source.name.span().start;
        sources.push((check_source(source, &own, folder, problems), place));
    }
    if sources.is_empty() {
        problems.whole("no source is configured", "add a [[source]] with a name and paths");
    }
    let push_body = arrival::check_spool(&file.spool, &file.push, &sources, problems);
    let push = arrival::check_push(file.push, folder, problems);
    arrival::check_together(&sources, push.as_ref(), problems);
    let sources: Vec<Source> = sources.into_iter().map(|(source, _)| source).collect();
    let own_rules = !file.rules.directories.is_empty();
    let allowances = knowledge::check((file.allow, file.travel, file.maintenance), &sources, own_rules, problems);
    let listen = file.http.listen.get_ref().parse().unwrap_or_else(|_| {
        problems.at(
            file.http.listen.span().start,
            format!("{:?} is no address to listen on", file.http.listen.get_ref()),
            "write an address and a port, e.g. \"127.0.0.1:8787\" or \"[::1]:8787\"",
        );
        SocketAddr::from(([127, 0, 0, 1], 8787))
    });
    if !listen.ip().is_loopback() {
        problems.at(
            file.http.listen.span().start,
            format!("{listen} is reachable from other machines, and this release has no tokens or TLS of its own yet"),
            "listen on 127.0.0.1 and put a proxy with TLS and authentication before it",
        );
    }
    let known: Vec<&str> = crmwatch_detectors::registry::ids().collect();
    let mut detectors = BTreeMap::new();
    for (id, settings) in file.detectors {
        let byte = id.span().start;
        let id = id.into_inner();
        let settings = serde_json::to_value(settings).unwrap_or_default();
        if !known.contains(&id.as_str()) {
            let mend = match nearest(&id, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`crmwatch detectors list` shows them all".to_owned(),
            };
            problems.at(byte, format!("there is no detector {id:?}"), mend);
            continue;
        }
        let one = BTreeMap::from([(id.clone(), settings.clone())]);
        if let Err(error) = crmwatch_detectors::registry::build(&one) {
            problems.at(byte, error.to_string(), mend_of(&error.to_string()));
        }
        detectors.insert(id, settings);
    }
    let stop_timeout = file.stop_timeout.get_ref().0;
    if !(Duration::from_millis(100)..=Duration::from_secs(600)).contains(&stop_timeout) {
        problems.at(
            file.stop_timeout.span().start,
            "stop_timeout must be between 100ms and 10m".to_owned(),
            "it is best left out; where it is more than 25s, raise TimeoutStopSec= of the unit above it".to_owned(),
        );
    }
    Config {
        stop_timeout,
        state_dir: folder.join(file.state_dir),
        locale: file.locale.into_inner(),
        sources,
        listen,
        email: file.email.map(|email| check_email(email, folder, problems)),
        alerts: Alerts {
            max_age: file.alerts.max_age.0,
            group_for: file.alerts.group_for.0,
            group_wait: file.alerts.group_wait.0,
            group_interval: file.alerts.group_interval.0,
            link: file.alerts.link.map(|link| link.trim_end_matches('/').to_owned()),
        },
        people: file.people.map(|named| folder.join(named.file)),
        honeytokens: file.honeytokens.map(|named| folder.join(named.file)),
        geo_city: file.geo.city.map(|path| folder.join(path)),
        geo_asn: file.geo.asn.map(|path| folder.join(path)),
        retention: Retention {
            days: file.retention.days,
            max_bytes: file.retention.max_bytes.0,
            min_free_bytes: file.retention.min_free_bytes.0,
            partition_events: file.retention.partition_events.get(),
        },
        detectors,
        rule_placeholders: file.rules.placeholders,
        rule_directories: file.rules.directories.iter().map(|path| folder.join(path)).collect(),
        spool_bytes: file.spool.max_bytes.get_ref().0,
        push,
        push_body,
        allowances,
    }
}

fn check_source(
    source: raw::Source,
    own: &(Vec<Arc<OwnFormat>>, BTreeSet<String>),
    folder: &Path,
    problems: &mut Problems<'_>,
) -> Source {
    let name = source.name.get_ref();
    let plain = |one: char| one.is_ascii_alphanumeric() || "-_.".contains(one);
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        problems.at(
            source.name.span().start,
            format!("{name:?} is no name for a source"),
            "use up to 64 letters, digits, dots, dashes and underscores: it stands in metrics and paths",
        );
    }
    let arrival = arrival::check(&source, folder, problems);
    for path in &source.paths {
        if let Err(error) = glob::Pattern::new(path.get_ref()) {
            problems.at(
                path.span().start,
                format!("{:?} is no pattern of file names: {}", path.get_ref(), error.msg),
                "use *, ? and [abc]",
            );
        }
    }
    let shipped = crate::parse::FORMATS.iter().map(|format| format.name).chain(["auto"]);
    let formats = shipped.chain(own.1.iter().map(String::as_str));
    if !formats.clone().any(|format| format == source.format.get_ref()) {
        let mend = match nearest(source.format.get_ref(), formats) {
            Some(near) => format!("did you mean \"{near}\"? `crmwatch parse --list-formats` shows them all"),
            None => "`crmwatch parse --list-formats` shows them all".to_owned(),
        };
        problems.at(source.format.span().start, format!("there is no format {:?}", source.format.get_ref()), mend);
    }
    let timezone = source.timezone.get_ref().parse().unwrap_or_else(|_| {
        let near = nearest(source.timezone.get_ref(), chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        let mend = near.map_or("use a name of the IANA list, e.g. \"Europe/Berlin\"".to_owned(), |near| {
            format!("did you mean \"{near}\"?")
        });
        problems.at(
            source.timezone.span().start,
            format!("there is no time zone {:?}", source.timezone.get_ref()),
            mend,
        );
        Tz::UTC
    });
    let encoding = encoding_rs::Encoding::for_label(source.encoding.get_ref().as_bytes());
    let wide = [encoding_rs::UTF_16LE, encoding_rs::UTF_16BE];
    if encoding.is_some_and(|encoding| !encoding.is_ascii_compatible() && !wide.contains(&encoding)) {
        problems.at(
            source.encoding.span().start,
            format!("logs in {} cannot be read: what a byte means depends on all before it", source.encoding.get_ref()),
            "let the writer write UTF-8, or convert the file before it is read",
        );
    }
    if source.encoding.get_ref() != "auto" && encoding.is_none() {
        problems.at(
            source.encoding.span().start,
            format!("there is no encoding {:?}", source.encoding.get_ref()),
            "use \"auto\", \"utf-8\", \"gb18030\", \"utf-16le\", ...",
        );
    }
    if !(1024..=64 << 20).contains(&source.max_line.0) {
        problems.at(
            source.name.span().start,
            format!("max_line of source {name:?} is out of bounds"),
            "choose between 1KiB and 64MiB",
        );
    }
    for field in source.mapping.keys() {
        if field.get_ref() != "@timestamp" && Field::from_name(field.get_ref()).is_none() {
            let mend = match nearest(field.get_ref(), Field::ALL.iter().map(|field| field.name())) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "the left side is an ECS name or one of crm.*, the right side the record's key".to_owned(),
            };
            problems.at(field.span().start, format!("there is no field {:?}", field.get_ref()), mend);
        }
    }
    let mut trusted_proxies = Vec::new();
    for proxy in &source.trusted_proxies {
        match crate::parse::ip::cidr(proxy.get_ref()) {
            Some(network) => trusted_proxies.push(network),
            None => problems.at(
                proxy.span().start,
                format!("{:?} is no network", proxy.get_ref()),
                "write an address or a network such as \"10.0.0.0/8\"",
            ),
        }
    }
    Source {
        name: source.name.into_inner(),
        arrival,
        paths: source
            .paths
            .into_iter()
            .map(|path| folder.join(path.into_inner()).to_string_lossy().into_owned())
            .collect(),
        own: own.0.iter().find(|own| own.name == source.format.get_ref()).cloned(),
        format: source.format.into_inner(),
        timezone,
        start: source.start,
        lateness: source.lateness.0,
        encoding: source.encoding.into_inner(),
        max_line: usize::try_from(source.max_line.0).unwrap_or(1 << 20),
        hold_deleted: source.hold_deleted.0,
        mapping: source.mapping.into_iter().map(|(field, key)| (field.into_inner(), key)).collect(),
        urls: source.urls.map(|urls| urls.into_iter().map(toml::Spanned::into_inner).collect()),
        user_from: source.user_from,
        trusted_proxies,
        watch: source.watch,
    }
}

fn check_email(email: raw::Email, folder: &Path, problems: &mut Problems<'_>) -> Email {
    let at = email.server.span().start;
    let url = email.server.get_ref().as_str();
    let (security, rest, default_port) = if let Some(rest) = url.strip_prefix("smtps://") {
        (MailSecurity::Tls, rest, 465)
    } else if let Some(rest) = url.strip_prefix("smtp+starttls://") {
        (MailSecurity::StartTls, rest, 587)
    } else if let Some(rest) = url.strip_prefix("smtp://") {
        (MailSecurity::Plain, rest, 25)
    } else {
        problems.at(
            at,
            format!("{url:?} does not say how to reach the mail server"),
            "write smtps://host, smtp+starttls://host or, on this machine only, smtp://127.0.0.1",
        );
        (MailSecurity::Tls, url, 465)
    };
    let rest = rest.trim_end_matches('/');
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => match port.parse() {
            Ok(port) => (host, port),
            Err(_) => {
                problems.at(at, format!("{port:?} is no port"), "write a number up to 65535 after the colon");
                (host, default_port)
            }
        },
        _ => (rest, default_port),
    };
    let loopback = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if security == MailSecurity::Plain && !loopback && !email.allow_plaintext {
        problems.at(
            at,
            format!("mail to {host} would travel unencrypted"),
            "use smtps:// or smtp+starttls://, or say allow_plaintext = true",
        );
    }
    let min_severity = Severity::from_word(email.min_severity.get_ref()).unwrap_or_else(|| {
        problems.at(
            email.min_severity.span().start,
            format!("there is no severity {:?}", email.min_severity.get_ref()),
            "use low, medium, high or critical",
        );
        Severity::Medium
    });
    let mut mailbox = |text: &toml::Spanned<String>| {
        text.get_ref().parse().unwrap_or_else(|error| {
            problems.at(
                text.span().start,
                format!("{:?} is no mail address: {error}", text.get_ref()),
                "write name@example.com",
            );
            lettre::message::Mailbox::new(None, lettre::Address::new("crmwatch", "localhost").expect("a valid address"))
        })
    };
    let from = mailbox(&email.from);
    let to: Vec<_> = email.to.get_ref().iter().map(&mut mailbox).collect();
    if to.is_empty() {
        problems.at(email.to.span().start, "nobody would get the mail", "name at least one recipient");
    }
    Email {
        security,
        host: host.to_owned(),
        port,
        from,
        to,
        username_credential: email.username_credential,
        password_credential: email.password_credential,
        ca_file: email.ca_file.map(|path| folder.join(path)),
        min_severity,
        max_per_hour: email.max_per_hour.max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> String {
        Config::parse(Path::new("crmwatch.toml"), text).expect_err("wrong").to_string()
    }

    #[test]
    fn the_least_configuration_is_one_source() {
        let config =
            Config::parse(Path::new("/etc/x.toml"), "[[source]]\nname = \"a\"\npaths = [\"b.log\"]\n").expect("right");
        assert_eq!(config.sources[0].paths, ["/etc/b.log"]);
        assert_eq!(config.state_dir, Path::new("/var/lib/crmwatch"));
        assert_eq!(config.sources[0].lateness, Duration::from_secs(600));
        assert_eq!(config.retention.days, 400);
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_its_mend() {
        let text = mistakes("[[source]]\nname = \"a\"\npaths = [\"b\"]\nfromat = \"auto\"\n");
        assert!(text.starts_with("crmwatch.toml:4:1: unknown field `fromat`"), "{text}");
        assert!(text.contains("did you mean `format`?"), "{text}");
    }

    #[test]
    fn all_mistakes_of_meaning_are_told_together() {
        let text = mistakes(
            "locale = \"de\"\n[[source]]\nname = \"a b\"\npaths = [\"b\"]\ntimezone = \"Asia/Shangai\"\n[detectors.bulk-exprot]\n",
        );
        for part in [
            "1:10: no such locale",
            "3:8: \"a b\" is no name",
            "did you mean \"Asia/Shanghai\"?",
            "6:12: there is no detector",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn mail_does_not_leave_the_machine_unencrypted() {
        let base =
            "[[source]]\nname = \"a\"\npaths = [\"b\"]\n[email]\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]\n";
        assert!(mistakes(&format!("{base}server = \"smtp://mail.example.com\"\n")).contains("unencrypted"));
        assert!(Config::parse(Path::new("x"), &format!("{base}server = \"smtp://127.0.0.1:2525\"\n")).is_ok());
    }
}
