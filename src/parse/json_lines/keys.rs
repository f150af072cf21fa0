//! Which key of a JSON record means what: ECS names as they are, and the synonyms that programs without ECS use. Tables only.

use crmwatch_detectors::Field;

use crate::parse::Options;
use crate::parse::json::{KeyTable, folded};

/// How surely a key says what it seems to: less is surer.
pub(super) type Rank = u8;
/// The operator said so.
pub(super) const MAPPED: Rank = 0;
/// The record uses the ECS name.
pub(super) const ECS: Rank = 1;
const SYNONYM: Rank = 2;

/// What a key's value is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// A field, taken as its kind says.
    Field(Field, Rank),
    Time(Rank),
    Action(Rank),
    /// A word, a flag or an HTTP status.
    Outcome(Rank),
    /// Method, URL and version in one.
    RequestLine,
    Url(Rank),
    Method(Rank),
    Version,
    /// Seconds with a fraction.
    Duration,
    /// The list of addresses a proxy was told.
    Forwarded,
    /// The one address a proxy says the client has.
    RealIp,
    /// The method of a web request, else what was done.
    Verb,
    /// The site's name in a web record, else the machine's.
    Host,
    /// The source's own id of the event, where it looks unique.
    NativeId,
    /// A whole line of another program.
    Line,
    /// Set by crmwatch alone: a log that says so itself is not believed.
    Reserved,
    /// What the configuration's mapping says: an index into [`Mapping::rules`].
    Mapped(u16),
}

/// The configuration's mapping of one key.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    To(Target),
    /// A name the schema does not know.
    Named(Box<str>),
}

/// The key table of a source, with its configured rules.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) table: KeyTable<Target>,
    pub(super) rules: Vec<Vec<Rule>>,
}

/// Facts that enrichment, the source stage or the ledger state; from a log they would be forged.
const RESERVED: &[Field] = &[
    Field::Duplicate,
    Field::TimeSuspect,
    Field::UserInferred,
    Field::Person,
    Field::Entity,
    Field::Partial,
    Field::Truncated,
    Field::ContinuationOf,
    Field::QuarantineReason,
    Field::NetworkClass,
    Field::GeoRadius,
];

type Keys = &'static [&'static str];

const TIME: Keys = &[
    "timestamp",
    "time",
    "ts",
    "date",
    "datetime",
    "created_at",
    "occurred_at",
    "event_time",
    "event_date",
    "time_iso8601",
    "time_local",
    "msec",
    "edge_start_timestamp",
    "t",
    "event_timestamp",
    "time_generated",
    "logged_at",
    "performed_at",
    "start_time",
    "asctime",
    // Log4j's.
    "time_millis",
    "instant.epoch_second",
    // Kubernetes' audit.
    "request_received_timestamp",
    // Okta's.
    "published",
    "@t",
    "_time",
    // OpenTelemetry's.
    "time_unix_nano",
    "observed_time_unix_nano",
    // journald's, the sender's before its own.
    "_source_realtime_timestamp",
    "__realtime_timestamp",
    "时间",
    "操作时间",
    "登录时间",
];
const ACTION: Keys = &[
    "action",
    "event",
    "event_type",
    "event_name",
    "operation",
    "activity",
    "method_name",
    "操作",
    "操作类型",
    "动作",
];
const OUTCOME: Keys = &[
    "outcome",
    "result",
    "status",
    "success",
    "login_succeeded",
    "outcome.result",
    "response_elements.console_login",
    "结果",
    "操作结果",
    "状态",
];
const URL: Keys = &[
    "request_uri",
    "uri",
    "url",
    "client_request_uri",
    "path",
    "request_path",
    "http.url",
    "http.target",
    "http.path",
    "req.url",
    "request.url",
    "request.uri",
    "request.path",
    "request_url",
    "cs_uri_stem",
    "http.request.uri",
];
const METHOD: Keys = &[
    "request_method",
    "http_method",
    "method",
    "client_request_method",
    "http.method",
    "req.method",
    "request.method",
    "cs_method",
];
const FORWARDED: Keys = &["x_forwarded_for", "http_x_forwarded_for", "proxy_add_x_forwarded_for", "xff", "fwd"];
/// What a proxy says of a single client; the list of addresses says more.
const REAL_IP: Keys =
    &["x_real_ip", "http_x_real_ip", "real_ip", "true_client_ip", "cf_connecting_ip", "http_cf_connecting_ip"];
const HOST: Keys = &["host", "http_host", "server_name", "vhost", "client_request_host", "req.headers.host"];

const FIELDS: &[(Field, Keys)] = &[
    (
        Field::UserName,
        &[
            "user",
            "username",
            "user_name",
            "login",
            "account",
            "actor",
            "principal",
            "remote_user",
            "user.login",
            "user.username",
            "actor.name",
            "actor.login",
            "actor.alternate_id",
            "usr.name",
            "usr.login",
            "performed_by",
            "auth_user",
            "cs_username",
            "src_user",
            "authentication_info.principal_email",
            "source_user_name",
            "用户",
            "用户名",
            "操作人",
            "操作者",
            "账号",
            // Grafana's.
            "uname",
            "user_identity.user_name",
        ],
    ),
    (Field::UserEmail, &["email", "user_email", "mail", "actor.email", "usr.email"]),
    (Field::UserId, &["user_id", "uid", "actor_id", "actor.id", "usr.id", "enduser.id"]),
    (Field::UserFullName, &["full_name", "display_name"]),
    (Field::UserRoles, &["role", "roles", "user_role"]),
    (Field::UserTargetName, &["target_user", "target_username", "destination_user_name"]),
    (
        Field::SourceIp,
        &[
            "ip",
            "client_ip",
            "remote_ip",
            "remote_addr",
            "source_ip",
            "src_ip",
            "ip_address",
            "IP地址",
            "登录IP",
            "来源IP",
            "client_address",
            "remote_address",
            "client",
            "source.address",
            "client.ip",
            "client.address",
            "client.ip_address",
            "network.client.ip",
            "net.peer.ip",
            "http.client_ip",
            "req.remote_address",
            "req.ip",
            "request.remote_ip",
            "request.ip",
            "c_ip",
            "request_metadata.caller_ip",
            "http.request.remoteaddr",
            "source_ip_address",
            "source_ips",
        ],
    ),
    (Field::SourcePort, &["remote_port", "client_port", "src_port"]),
    (
        Field::ObjectType,
        &[
            "object_type",
            "entity",
            "module",
            "model",
            "resource",
            "entity_type",
            "resource_type",
            "record_type",
            "object",
            "sobject",
            "模块",
            "操作模块",
            "对象",
            "表单",
        ],
    ),
    (Field::ObjectId, &["object_id", "entity_id", "record_id", "target_id", "resource_id", "数据ID", "记录ID"]),
    (Field::ObjectName, &["object_name", "record_name"]),
    (
        Field::Records,
        &["records", "record_count", "count", "rows", "row_count", "affected", "total", "数量", "条数", "记录数"],
    ),
    (
        Field::UserAgent,
        &[
            "user_agent",
            "http_user_agent",
            "agent",
            "client_request_user_agent",
            "http.useragent",
            "http.user_agent",
            "req.headers.user_agent",
            "request.user_agent",
            "cs_user_agent",
            "request_metadata.caller_supplied_user_agent",
            "http.request.useragent",
            "client.user_agent.raw_user_agent",
        ],
    ),
    (
        Field::HttpStatus,
        &[
            "status_code",
            "http_status",
            "response_status",
            "edge_response_status",
            "response_code",
            "http.status_code",
            "http.status",
            "res.status_code",
            "response.status",
            "response.status_code",
            "http_status_code",
            "response",
            "sc_status",
            "response_status.code",
        ],
    ),
    (
        Field::HttpResponseBytes,
        &[
            "body_bytes_sent",
            "bytes_sent",
            "edge_response_bytes",
            "response_size",
            "bytes",
            "body_sent.bytes",
            "sc_bytes",
        ],
    ),
    (Field::HttpRequestBytes, &["request_length", "request_size"]),
    (Field::HttpReferrer, &["http_referer", "http_referrer", "referer", "referrer", "client_request_referer"]),
    (Field::HttpRequestId, &["request_id", "req_id", "ray_id", "x_request_id"]),
    (Field::TraceId, &["trace_id"]),
    (Field::CorrelationId, &["correlation_id"]),
    (Field::SessionId, &["session_id", "session", "sid"]),
    (Field::OrganizationId, &["tenant_id", "tenant", "organization_id", "org_id"]),
    (Field::LogLevel, &["level_name", "level", "lvl", "severity", "log_level", "severity_text"]),
    (Field::LogLogger, &["logger", "channel"]),
    (
        Field::Message,
        &[
            "msg",
            "message",
            "text",
            "short_message",
            "@m",
            "@mt",
            "text_payload",
            "body",
            "body.string_value",
            "syslog_message",
            "内容",
            "操作内容",
            "描述",
        ],
    ),
    (Field::UrlQuery, &["query_string", "request_query", "args", "cs_uri_query"]),
    (Field::HostName, &["hostname", "computer"]),
    (Field::ProcessName, &["syslog_identifier"]),
    (Field::ProcessPid, &["pid", "process_id"]),
    (Field::ServiceName, &["service", "app", "application"]),
    (Field::EventReason, &["reason", "failure_reason", "error_code", "outcome.reason"]),
    (Field::ErrorMessage, &["error", "error_message"]),
    (Field::ReportName, &["report_name", "report"]),
    (Field::ReportId, &["report_id"]),
    (Field::ExportFormat, &["export_format"]),
    (Field::Query, &["query"]),
    (Field::Permission, &["permission"]),
    (Field::FileName, &["file_name"]),
    (Field::Department, &["department"]),
    (Field::OauthClientId, &["client_id", "oauth_client_id"]),
];

fn ranked(keys: Keys, target: impl Fn(Rank) -> Target) -> impl Iterator<Item = (&'static str, Target)> {
    keys.iter().enumerate().map(move |(place, key)| (*key, target(SYNONYM + place as Rank)))
}

fn ecs(field: Field, rank: Rank) -> Target {
    match field {
        _ if RESERVED.contains(&field) => Target::Reserved,
        Field::UrlOriginal => Target::Url(rank),
        _ => Target::Field(field, rank),
    }
}

const SINGLE: &[(Keys, Target)] = &[
    (&["request"], Target::RequestLine),
    (&["server_protocol", "http_version", "client_request_protocol", "protocol", "request_proto"], Target::Version),
    (&["request_time"], Target::Duration),
    (&["event_id", "uuid", "event_uuid", "log_id", "insert_id"], Target::NativeId),
    (HOST, Target::Host),
    (FORWARDED, Target::Forwarded),
    (REAL_IP, Target::RealIp),
    (&["verb"], Target::Verb),
    // Azure's tables of whole lines call them so.
    (&["line", "raw", "_raw", "raw_data"], Target::Line),
];

/// What programs put around the keys of a record: Elasticsearch, Splunk, Google Cloud, Datadog, Filebeat 6, Monolog, Azure.
const AROUND: &[&str] = &[
    "_source.",
    "result.",
    "event.",
    "jsonpayload.",
    "httprequest.",
    "protopayload.",
    "content.attributes.",
    "content.",
    "nginx.access.",
    "apache2.access.",
    "apache.access.",
    "iis.access.",
    "properties.",
    "fields.",
    "context.",
    "extra.",
    "data.",
    "payload.",
    "detail.",
    "attributes.",
];
/// ECS says these of a record, not what happened in it.
const OF_THE_RECORD: [&str; 9] = [
    "event.module",
    "event.kind",
    "event.start",
    "event.end",
    "event.url",
    "event.severity",
    "event.timezone",
    "event.original",
    "event.hash",
];
/// MongoDB's way of writing what JSON has no type for.
const TYPED: &[&str] = &[".$numberLong", ".$numberInt", ".$numberDouble", ".$numberDecimal", ".$date"];

/// The key within what stands around it, where something does.
pub(super) fn inner(path: &str) -> Option<&str> {
    memchr::memchr(b'.', path.as_bytes())?;
    let mut inner = path;
    if memchr::memchr(b'$', path.as_bytes()).is_some() {
        for kind in TYPED {
            inner = inner.strip_suffix(kind).unwrap_or(inner);
        }
    }
    if !OF_THE_RECORD.contains(&path) {
        let bare = |around: &&str| {
            inner
                .get(..around.len())
                .filter(|start| start.eq_ignore_ascii_case(around))
                .map(|start| &inner[start.len()..])
        };
        inner = AROUND.iter().find_map(bare).unwrap_or(inner);
    }
    (inner.len() < path.len()).then_some(inner)
}

/// A key that stands within something else says less surely what it seems to.
const WITHIN: Rank = 40;

impl Target {
    /// The same, of a key within something else.
    pub(super) fn within(self) -> Target {
        match self {
            Target::Field(field, rank) => Target::Field(field, rank + WITHIN),
            Target::Time(rank) => Target::Time(rank + WITHIN),
            Target::Action(rank) => Target::Action(rank + WITHIN),
            Target::Outcome(rank) => Target::Outcome(rank + WITHIN),
            Target::Url(rank) => Target::Url(rank + WITHIN),
            Target::Method(rank) => Target::Method(rank + WITHIN),
            other => other,
        }
    }
}

/// Every key that is no ECS name and means something.
pub(super) fn usual_names() -> impl Iterator<Item = &'static str> {
    let tables = [TIME, ACTION, OUTCOME, URL, METHOD].into_iter().chain(SINGLE.iter().map(|(keys, _)| *keys));
    tables.chain(FIELDS.iter().map(|(_, keys)| *keys)).flatten().copied()
}

/// The table for a source.
pub(super) fn mapping(options: &Options) -> Mapping {
    let synonyms = ranked(TIME, Target::Time)
        .chain(ranked(ACTION, Target::Action))
        .chain(ranked(OUTCOME, Target::Outcome))
        .chain(ranked(URL, Target::Url))
        .chain(ranked(METHOD, Target::Method))
        .chain(SINGLE.iter().flat_map(|(keys, target)| keys.iter().map(move |key| (*key, *target))))
        .chain(FIELDS.iter().flat_map(|(field, keys)| ranked(keys, |rank| Target::Field(*field, rank))));
    let mut table = KeyTable::new(folded, synonyms);
    for field in Field::ALL {
        table.exact(field.name(), ecs(*field, ECS));
    }
    table.exact("@timestamp", Target::Time(ECS));
    table.exact("log", Target::Line);
    let mut rules: Vec<Vec<Rule>> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (name, key) in &options.mapping {
        let rule = match Field::from_name(name) {
            _ if name == "@timestamp" => Rule::To(Target::Time(MAPPED)),
            Some(Field::EventAction) => Rule::To(Target::Action(MAPPED)),
            Some(Field::EventOutcome) => Rule::To(Target::Outcome(MAPPED)),
            Some(Field::HttpMethod) => Rule::To(Target::Method(MAPPED)),
            Some(field) => Rule::To(ecs(field, MAPPED)),
            None => Rule::Named(name.as_str().into()),
        };
        let place = *places.entry(key.as_str()).or_insert_with(|| {
            rules.push(Vec::new());
            rules.len() - 1
        });
        rules[place].push(rule);
        // The configuration holds fewer than 65,536 names by its own size limit; beyond, the key keeps its own meaning.
        if let Ok(place) = u16::try_from(place) {
            table.exact(key, Target::Mapped(place));
        }
    }
    Mapping { table, rules }
}
