//! The configuration file as it is written: every key, its type, its default. Not for what the values mean together (`mod.rs`).

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::units::{Size, Span};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default = "state_dir")]
    pub state_dir: PathBuf,
    #[serde(default = "locale")]
    pub locale: Spanned<String>,
    #[serde(default = "stop_timeout")]
    pub stop_timeout: Spanned<Span>,
    #[serde(default)]
    pub source: Vec<Source>,
    #[serde(default)]
    pub format: Vec<OwnFormat>,
    #[serde(default)]
    pub http: Http,
    pub email: Option<Email>,
    #[serde(default)]
    pub alerts: Alerts,
    pub people: Option<NamedFile>,
    pub honeytokens: Option<NamedFile>,
    #[serde(default)]
    pub geo: Geo,
    #[serde(default)]
    pub retention: Retention,
    #[serde(default)]
    pub detectors: BTreeMap<Spanned<String>, toml::Value>,
    #[serde(default)]
    pub rules: Rules,
    #[serde(default)]
    pub spool: Spool,
    #[serde(default)]
    pub push: Push,
    #[serde(default)]
    pub allow: Vec<Spanned<Allow>>,
    #[serde(default)]
    pub travel: Vec<Spanned<Travel>>,
    #[serde(default)]
    pub maintenance: Vec<Spanned<Maintenance>>,
}

fn state_dir() -> PathBuf {
    "/var/lib/crmwatch".into()
}

fn locale() -> Spanned<String> {
    Spanned::new(0..0, "en".to_owned())
}

fn stop_timeout() -> Spanned<Span> {
    Spanned::new(0..0, Span(std::time::Duration::from_secs(20)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub name: Spanned<String>,
    #[serde(default)]
    pub paths: Vec<Spanned<String>>,
    #[serde(default = "auto")]
    pub format: Spanned<String>,
    #[serde(default = "utc")]
    pub timezone: Spanned<String>,
    #[serde(default)]
    pub start: Start,
    #[serde(default = "lateness")]
    pub lateness: Span,
    #[serde(default = "auto")]
    pub encoding: Spanned<String>,
    #[serde(default = "max_line")]
    pub max_line: Size,
    #[serde(default = "hold_deleted")]
    pub hold_deleted: Size,
    /// ECS name to the key of a JSON record.
    #[serde(default)]
    pub mapping: BTreeMap<Spanned<String>, String>,
    /// URL tables: names of shipped ones, or files.
    pub urls: Option<Vec<Spanned<String>>>,
    /// The field that names the user where the log line's own does not.
    pub user_from: Option<String>,
    /// Proxies whose X-Forwarded-For is believed, as CIDR.
    #[serde(default)]
    pub trusted_proxies: Vec<Spanned<String>>,
    /// Where syslog arrives: `udp://`, `tcp://` or `tls://` and an address with a port.
    pub syslog: Option<Spanned<String>>,
    pub tls_certificate: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    /// Senders must show a certificate this authority signed.
    pub tls_client_ca: Option<PathBuf>,
    /// Records arrive at `/api/v1/push/<name>`.
    pub push: Option<Spanned<bool>>,
    pub token_credential: Option<String>,
    /// How the sender signs what it sends.
    pub signature: Option<Spanned<String>>,
    pub signature_credential: Option<String>,
    /// Records arrive on standard input.
    pub stdin: Option<Spanned<bool>>,
    /// Records are the journal's entries that match.
    pub journal: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    pub watch: Watch,
}

/// A file for `parse --format-file`: nothing but formats.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FormatFile {
    #[serde(default)]
    pub format: Vec<OwnFormat>,
}

/// A format of the operator's own; one of `pattern`, `regex`, `json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnFormat {
    pub name: Spanned<String>,
    pub pattern: Option<Spanned<String>>,
    pub regex: Option<Spanned<String>>,
    pub json: Option<BTreeMap<Spanned<String>, String>>,
    pub time: Option<OwnTime>,
    #[serde(default)]
    pub actions: Vec<Spanned<OwnAction>>,
    #[serde(default)]
    pub defaults: BTreeMap<Spanned<String>, Spanned<toml::Value>>,
    /// Names that mean nothing known and are kept as they are.
    #[serde(default)]
    pub keep: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnTime {
    pub field: Spanned<String>,
    pub format: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnAction {
    pub field: Spanned<String>,
    pub equals: Option<String>,
    pub prefix: Option<String>,
    pub contains: Option<String>,
    pub action: Option<Spanned<String>>,
    pub outcome: Option<Spanned<String>>,
}

/// How the daemon learns that something was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Watch {
    /// The kernel says so; the files are looked at once a second all the same.
    #[default]
    Auto,
    /// Only by looking: nothing is asked of the kernel.
    Poll,
}

/// Where reading starts the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At the first byte.
    #[default]
    Beginning,
    /// At the end: what is there already is not read.
    End,
}

fn auto() -> Spanned<String> {
    Spanned::new(0..0, "auto".to_owned())
}

fn utc() -> Spanned<String> {
    Spanned::new(0..0, "UTC".to_owned())
}

fn lateness() -> Span {
    Span(std::time::Duration::from_secs(600))
}

fn max_line() -> Size {
    Size(1 << 20)
}

fn hold_deleted() -> Size {
    Size(1 << 30)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Http {
    #[serde(default = "listen")]
    pub listen: Spanned<String>,
}

fn listen() -> Spanned<String> {
    Spanned::new(0..0, "127.0.0.1:8787".to_owned())
}

impl Default for Http {
    fn default() -> Http {
        Http { listen: listen() }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Email {
    pub server: Spanned<String>,
    pub from: Spanned<String>,
    pub to: Spanned<Vec<Spanned<String>>>,
    pub username_credential: Option<String>,
    pub password_credential: Option<String>,
    /// A file with the certificate authority that signed the server's certificate, beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Send without TLS to a host that is not this one. Said in these words only.
    #[serde(default)]
    pub allow_plaintext: bool,
    #[serde(default = "severity")]
    pub min_severity: Spanned<String>,
    /// No more mails an hour than this; what is beyond is summed up in one.
    #[serde(default = "per_hour")]
    pub max_per_hour: u32,
}

fn severity() -> Spanned<String> {
    Spanned::new(0..0, "medium".to_owned())
}

fn per_hour() -> u32 {
    60
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Alerts {
    pub max_age: Span,
    /// Findings of one entity within this time become one incident.
    pub group_for: Span,
    /// How long a first mail waits for more findings of the same incident.
    pub group_wait: Span,
    /// How long after a mail before the next one about the same incident.
    pub group_interval: Span,
    /// An address that mails and links lead to, e.g. `https://crmwatch.example.com`.
    pub link: Option<String>,
}

impl Default for Alerts {
    fn default() -> Alerts {
        let seconds = |count| Span(std::time::Duration::from_secs(count));
        Alerts {
            max_age: seconds(24 * 3600),
            group_for: seconds(24 * 3600),
            group_wait: seconds(10),
            group_interval: seconds(300),
            link: None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedFile {
    pub file: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Geo {
    pub city: Option<PathBuf>,
    pub asn: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retention {
    pub days: u32,
    pub max_bytes: Size,
    pub min_free_bytes: Size,
    pub partition_events: NonZeroU64,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention {
            days: 400,
            max_bytes: Size(200 << 30),
            min_free_bytes: Size(5 << 30),
            partition_events: NonZeroU64::new(20_000_000).expect("not zero"),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    #[serde(default)]
    pub directories: Vec<PathBuf>,
    /// What `%name%` stands for in values with the modifier `expand`.
    #[serde(default)]
    pub placeholders: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Spool {
    /// For each source, what may wait to be read.
    pub max_bytes: Spanned<Size>,
}

impl Default for Spool {
    fn default() -> Spool {
        Spool { max_bytes: Spanned::new(0..0, Size(1 << 30)) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Push {
    /// A listener of its own, which serves nothing else.
    pub listen: Option<Spanned<String>>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// The largest body, compressed or not.
    pub max_body: Spanned<Size>,
}

impl Default for Push {
    fn default() -> Push {
        Push { listen: None, certificate: None, key: None, max_body: Spanned::new(0..0, Size(16 << 20)) }
    }
}

/// What somebody or something may do. Everything that is given must fit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Allow {
    pub rule: Option<Spanned<String>>,
    pub user: Option<String>,
    /// Role or department.
    pub group: Option<String>,
    pub app: Option<String>,
    pub network: Option<Spanned<String>>,
    /// The kind of record.
    pub object: Option<String>,
    pub until: Spanned<toml::Value>,
    pub reason: Spanned<String>,
}

/// Who is where.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Travel {
    pub person: Spanned<String>,
    pub country: Spanned<String>,
    pub from: Spanned<toml::Value>,
    pub to: Spanned<toml::Value>,
    pub reason: Spanned<String>,
}

/// When something is being worked on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Maintenance {
    pub from: Spanned<toml::Value>,
    pub to: Spanned<toml::Value>,
    #[serde(default)]
    pub rules: Vec<Spanned<String>>,
    #[serde(default)]
    pub sources: Vec<Spanned<String>>,
    pub reason: Spanned<String>,
}
