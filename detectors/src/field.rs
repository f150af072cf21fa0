//! The names an event's facts go by: Elastic Common Schema, and `crm.*` for what it lacks.
//! Not for values; those are in `event`.

use std::sync::LazyLock;

/// What kind of value a field holds; the store makes its columns after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A word compared without case.
    Keyword,
    /// An identifier, hash or path: compared exactly.
    Exact,
    /// A whole number.
    Integer,
    /// A fraction.
    Float,
    /// True or false.
    Bool,
    /// An address, IPv4 or IPv6.
    Ip,
    /// Words, searched one by one.
    Text,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $kind:ident;)*) => {
        /// A known field. The numbers are part of the stored form of an event: never reused, never changed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the name says it; ECS defines it")]
        pub enum Field { $($(#[$doc])* $variant = $number,)* }

        impl Field {
            /// Every field, in the order of declaration.
            pub const ALL: &'static [Field] = &[$(Field::$variant,)*];

            /// The dotted name, as people write it.
            pub const fn name(self) -> &'static str {
                match self { $(Field::$variant => $name,)* }
            }

            /// What it holds.
            pub const fn kind(self) -> Kind {
                match self { $(Field::$variant => Kind::$kind,)* }
            }

            /// The field of that dotted name.
            pub fn from_name(name: &str) -> Option<Field> {
                let last = name.as_bytes().last()?;
                // Asked for each key of each record: of a hundred names only those of this length and end are compared.
                let alike = BY_LENGTH.get(name.len())?.iter();
                alike.copied().find(|field| field.name().as_bytes().last() == Some(last) && field.name() == name)
            }

            /// The field of that number in the stored form.
            pub const fn from_number(number: u8) -> Option<Field> {
                match number { $($number => Some(Field::$variant),)* _ => None }
            }
        }
    };
}

/// The fields by the length of their name.
static BY_LENGTH: LazyLock<Vec<Vec<Field>>> = LazyLock::new(|| {
    let longest = Field::ALL.iter().map(|field| field.name().len()).max().unwrap_or(0);
    let of_length = |length: usize| Field::ALL.iter().copied().filter(|field| field.name().len() == length).collect();
    (0..=longest).map(of_length).collect()
});

/// One more than the greatest field number; the size of an event's slot table.
pub const FIELD_LIMIT: usize = 120;

fields! {
    EventAction = 1, "event.action", Keyword;
    EventOutcome = 2, "event.outcome", Keyword;
    EventCategory = 3, "event.category", Keyword;
    EventType = 4, "event.type", Keyword;
    EventCode = 5, "event.code", Keyword;
    EventReason = 6, "event.reason", Keyword;
    EventProvider = 7, "event.provider", Keyword;
    EventDataset = 8, "event.dataset", Keyword;
    EventId = 9, "event.id", Exact;
    EventCreated = 10, "event.created", Exact;
    EventKind = 11, "event.kind", Keyword;
    /// Nanoseconds, as ECS has it.
    EventDuration = 12, "event.duration", Integer;
    EventSeverity = 13, "event.severity", Integer;
    Message = 14, "message", Text;
    UserName = 15, "user.name", Keyword;
    UserId = 16, "user.id", Exact;
    UserEmail = 17, "user.email", Keyword;
    UserFullName = 18, "user.full_name", Keyword;
    UserRoles = 19, "user.roles", Keyword;
    UserDomain = 20, "user.domain", Keyword;
    UserTargetName = 21, "user.target.name", Keyword;
    UserTargetId = 22, "user.target.id", Exact;
    UserTargetEmail = 23, "user.target.email", Keyword;
    UserEffectiveName = 24, "user.effective.name", Keyword;
    UserEffectiveId = 25, "user.effective.id", Exact;
    SourceIp = 26, "source.ip", Ip;
    SourcePort = 27, "source.port", Integer;
    SourceAddress = 28, "source.address", Keyword;
    SourceCountry = 29, "source.geo.country_iso_code", Keyword;
    SourceCity = 30, "source.geo.city_name", Keyword;
    SourceRegion = 31, "source.geo.region_name", Keyword;
    SourceLat = 32, "source.geo.location.lat", Float;
    SourceLon = 33, "source.geo.location.lon", Float;
    /// Kilometres around the point within which the address is thought to be.
    GeoRadius = 34, "crm.geo.radius_km", Float;
    SourceAsn = 35, "source.as.number", Integer;
    SourceAsOrg = 36, "source.as.organization.name", Keyword;
    /// `public`, `private`, `loopback`, `link-local`, `carrier`, `documentation`, `reserved`.
    NetworkClass = 37, "crm.network.class", Keyword;
    ForwardedIp = 38, "network.forwarded_ip", Keyword;
    UserAgent = 39, "user_agent.original", Keyword;
    UserAgentName = 40, "user_agent.name", Keyword;
    UserAgentVersion = 41, "user_agent.version", Keyword;
    UserAgentOs = 42, "user_agent.os.name", Keyword;
    /// `desktop`, `mobile`, `crawler`, `script`, ...
    UserAgentDevice = 43, "user_agent.device.name", Keyword;
    UrlOriginal = 44, "url.original", Exact;
    UrlPath = 45, "url.path", Exact;
    UrlQuery = 46, "url.query", Exact;
    UrlDomain = 47, "url.domain", Keyword;
    HttpMethod = 48, "http.request.method", Keyword;
    HttpRequestId = 49, "http.request.id", Exact;
    HttpReferrer = 50, "http.request.referrer", Exact;
    HttpStatus = 51, "http.response.status_code", Integer;
    HttpResponseBytes = 52, "http.response.body.bytes", Integer;
    HttpRequestBytes = 53, "http.request.body.bytes", Integer;
    HttpVersion = 54, "http.version", Keyword;
    SessionId = 55, "session.id", Exact;
    TraceId = 56, "trace.id", Exact;
    OrganizationId = 57, "organization.id", Exact;
    OrganizationName = 58, "organization.name", Keyword;
    HostName = 59, "host.name", Keyword;
    ProcessName = 60, "process.name", Keyword;
    ProcessPid = 61, "process.pid", Integer;
    LogLevel = 62, "log.level", Keyword;
    LogLogger = 63, "log.logger", Keyword;
    SyslogPriority = 64, "log.syslog.priority", Integer;
    ServiceName = 65, "service.name", Keyword;
    ObserverVendor = 66, "observer.vendor", Keyword;
    ObserverProduct = 67, "observer.product", Keyword;
    DeviceId = 68, "device.id", Exact;
    FileName = 69, "file.name", Keyword;
    FileSize = 70, "file.size", Integer;
    DestinationIp = 71, "destination.ip", Ip;
    DestinationPort = 72, "destination.port", Integer;
    ErrorMessage = 73, "error.message", Text;
    ObjectType = 74, "crm.object.type", Keyword;
    ObjectId = 75, "crm.object.id", Exact;
    ObjectName = 76, "crm.object.name", Keyword;
    /// Number of records touched.
    Records = 77, "crm.records", Integer;
    Bytes = 78, "crm.bytes", Integer;
    Columns = 79, "crm.columns", Integer;
    ReportName = 80, "crm.report.name", Keyword;
    ReportId = 81, "crm.report.id", Exact;
    OauthClientId = 82, "crm.oauth.client.id", Exact;
    OauthClientName = 83, "crm.oauth.client.name", Keyword;
    OauthScopes = 84, "crm.oauth.scopes", Keyword;
    Query = 85, "crm.query", Text;
    /// What was granted.
    Permission = 86, "crm.permission", Keyword;
    Owner = 87, "crm.owner", Keyword;
    ShareRecipient = 88, "crm.share.recipient", Keyword;
    /// `public`, `external`, `internal`.
    ShareScope = 89, "crm.share.scope", Keyword;
    ExportFormat = 90, "crm.export.format", Keyword;
    ChangedFields = 91, "crm.changed_fields", Keyword;
    /// A copy of an event already seen: indexed, not given to detectors.
    Duplicate = 92, "crm.duplicate", Bool;
    /// The stamp was out of bounds; the reading time stands in its place.
    TimeSuspect = 93, "crm.time_suspect", Bool;
    UserInferred = 94, "crm.user_inferred", Bool;
    /// The person of the people file.
    Person = 95, "crm.person", Keyword;
    /// Who the event is about, as `kind:key` in lower case.
    Entity = 96, "crm.entity", Keyword;
    SessionKey = 97, "crm.session_key", Exact;
    /// A record whose line never ended: the file died before the newline came.
    Partial = 98, "crm.partial", Bool;
    /// Bytes cut off beyond `max_line`.
    Truncated = 99, "crm.truncated_bytes", Integer;
    /// The `_id` of the event this line goes on from.
    ContinuationOf = 100, "crm.continuation_of", Exact;
    QuarantineReason = 101, "crm.quarantine.reason", Keyword;
    CorrelationId = 102, "crm.correlation_id", Exact;
    LoginType = 103, "crm.login_type", Keyword;
    VendorScore = 104, "crm.vendor.score", Float;
    Department = 105, "crm.department", Keyword;
    /// Who handed the record in, where it came over the network.
    LogSourceAddress = 106, "log.source.address", Keyword;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_lead_back_to_the_field() {
        for &field in Field::ALL {
            assert_eq!(Field::from_name(field.name()), Some(field));
            assert_eq!(Field::from_number(field as u8), Some(field));
            assert!((field as usize) < FIELD_LIMIT, "{} is beyond the slot table", field.name());
        }
    }
}
