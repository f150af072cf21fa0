//! The names public rules use for what our events hold: which events a rule's log source means, and where each of its fields is. Rules
//! of SigmaHQ for Microsoft 365, Entra ID (`azure`), Okta, Google Workspace, web servers and proxies work as they are. Not for rules
//! written for crmwatch (`product: crm`), which use our own names.

use std::borrow::Cow;

use rsigma_eval::EventValue;
use rsigma_parser::{Detection, LogSource, Modifier, SigmaString, SigmaValue};

use super::event::{named, ours, value};
use super::record::Record;
use crate::event::{Event, Value};
use crate::field::Field;

/// Whose names a rule speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The unified audit log.
    M365,
    /// Sign-ins, directory audits and risks of Entra ID.
    Azure,
    /// The system log.
    Okta,
    /// Admin, login, drive and token activities.
    Workspace,
    /// Access logs, by the names of W3C.
    Web,
}

use Dialect::{Azure, M365, Okta, Web, Workspace};

/// Rule's field (lower case) to where it is looked for, in order; `$` is a path of the vendor's record, everything else a field of ours.
type Names = &'static [(&'static str, &'static [&'static str])];

const M365_NAMES: Names = &[
    // Alerts of the security centre, as the rules under `threat_management` name them.
    ("eventsource", &["$eventSource", "$Workload", "event.provider"]),
    ("eventname", &["$eventName", "$Name", "$AlertType", "$Operation"]),
    ("status", &["event.outcome"]),
    ("operation", &["$Operation", "event.code"]),
    ("userid", &["$UserId", "user.name"]),
    ("clientip", &["$ClientIP", "source.ip"]),
    ("workload", &["$Workload", "event.provider"]),
    // The command with all its words; the record as older collectors gave it, and its parameters as they wrote them out.
    ("payload", &["$Payload", "event.original"]),
    ("eventdata", &["$eventData", "@parameters"]),
];

const AZURE_NAMES: Names = &[
    ("resulttype", &["$ResultType", "$status.errorCode", "$properties.status.errorCode", "event.reason"]),
    ("resultdescription", &["$ResultDescription", "$status.failureReason", "$properties.status.failureReason"]),
    ("status", &["@status"]),
    ("properties.message", &["$properties.message", "@message"]),
    ("operationname", &["@operation"]),
    ("operation", &["$Operation", "@operation"]),
    ("activitydisplayname", &["@operation"]),
    ("activitytype", &["$ActivityType", "@operation"]),
    ("operationtype", &["$operationType", "$properties.operationType", "$AADOperationType"]),
    ("failure_status_reason", &["@reason"]),
    ("authentication_result", &["event.outcome"]),
    ("mfanotificationoutcome", &["@status"]),
    ("accountupn", &["$UserPrincipalName", "$properties.userPrincipalName", "user.name"]),
    ("username", &["$UserPrincipalName", "$properties.userPrincipalName", "user.name"]),
    ("initiatedby", &["$initiatedBy", "$properties.initiatedBy", "user.name"]),
    ("ipaddress", &["$ipAddress", "$properties.ipAddress", "$callerIpAddress", "source.ip"]),
    ("location", &["$Location.countryOrRegion", "$properties.location.countryOrRegion", "$Location"]),
    ("useragent", &["$userAgent", "$properties.userAgent", "user_agent.original"]),
    ("clientapp", &["$clientAppUsed", "$properties.clientAppUsed"]),
    ("app", &["$appDisplayName", "$properties.appDisplayName"]),
    ("applicationid", &["$appId", "$properties.appId"]),
    // That of the record; the envelope's says only which log it is.
    ("category", &["$properties.category", "$category"]),
    ("networklocationdetails", &["$networkLocationDetails", "$properties.networkLocationDetails"]),
    ("devicedetail.trusttype", &["$deviceDetail.trustType", "$properties.deviceDetail.trustType"]),
];

const WORKSPACE_NAMES: Names = &[
    ("eventservice", &["$protoPayload.serviceName", "@service"]),
    ("protopayload.servicename", &["$protoPayload.serviceName", "@service"]),
    ("eventname", &["$protoPayload.metadata.event.eventName", "event.code"]),
    ("protopayload.metadata.event.eventname", &["$protoPayload.metadata.event.eventName", "event.code"]),
    ("protopayload.metadata.event.visibility", &["$protoPayload.metadata.event.visibility", "@parameter"]),
    (
        "protopayload.authenticationinfo.principalemail",
        &["$protoPayload.authenticationInfo.principalEmail", "user.name"],
    ),
];

const WEB_NAMES: Names = &[
    ("cs-method", &["http.request.method"]),
    ("c-method", &["http.request.method"]),
    ("cs-uri", &["url.original"]),
    ("c-uri", &["url.original"]),
    ("cs-url", &["url.original"]),
    ("c-url", &["url.original"]),
    ("url", &["url.original"]),
    ("cs-uri-stem", &["url.path"]),
    ("c-uri-stem", &["url.path"]),
    ("c-uri-path", &["url.path"]),
    ("c-uri-extension", &["@extension"]),
    // Most public rules look for paths here: they were written for logs that keep path and query in one.
    ("cs-uri-query", &["@target"]),
    ("c-uri-query", &["@target"]),
    ("uri-query", &["@target"]),
    ("uri-path", &["url.path"]),
    ("uri", &["url.original"]),
    ("cs-user-agent", &["user_agent.original", "@absent"]),
    ("cs-useragent", &["user_agent.original", "@absent"]),
    ("cs(user-agent)", &["user_agent.original", "@absent"]),
    ("c-useragent", &["user_agent.original", "@absent"]),
    ("c-user-agent", &["user_agent.original", "@absent"]),
    ("user-agent", &["user_agent.original", "@absent"]),
    ("useragent", &["user_agent.original", "@absent"]),
    ("cs-referer", &["http.request.referrer", "@absent"]),
    ("cs-referrer", &["http.request.referrer", "@absent"]),
    ("cs(referer)", &["http.request.referrer", "@absent"]),
    ("referer", &["http.request.referrer", "@absent"]),
    ("sc-status", &["http.response.status_code"]),
    ("status", &["http.response.status_code"]),
    ("response", &["http.response.status_code"]),
    ("sc-bytes", &["http.response.body.bytes"]),
    ("cs-bytes", &["http.request.body.bytes"]),
    ("c-ip", &["source.ip"]),
    ("client_ip", &["source.ip"]),
    ("clientip", &["source.ip"]),
    ("src_ip", &["source.ip"]),
    ("dst_ip", &["destination.ip"]),
    ("dst_port", &["destination.port"]),
    ("s-ip", &["destination.ip"]),
    ("s-port", &["destination.port"]),
    ("cs-username", &["user.name", "@absent"]),
    ("cs-host", &["url.domain"]),
    ("r-dns", &["url.domain"]),
    ("c-dns", &["url.domain"]),
    ("cs-version", &["http.version"]),
];

impl Dialect {
    /// The dialect of a log source; nothing where it is ours.
    pub fn of(source: &LogSource) -> Option<Dialect> {
        let word = |part: &Option<String>| part.as_deref().unwrap_or_default().to_ascii_lowercase();
        let (product, service, category) = (word(&source.product), word(&source.service), word(&source.category));
        // Some name the product as their service only.
        let product = match service.as_str() {
            "apache" | "nginx" | "iis" | "okta" | "m365" if product.is_empty() => service.clone(),
            _ => product,
        };
        match product.as_str() {
            "m365" | "o365" | "microsoft365" => Some(M365),
            "azure" => Some(Azure),
            "okta" => Some(Okta),
            "google_workspace" | "gworkspace" => Some(Workspace),
            "gcp" if service.starts_with("google_workspace") => Some(Workspace),
            "apache" | "nginx" | "iis" | "" if matches!(category.as_str(), "webserver" | "proxy") => Some(Web),
            "apache" | "nginx" | "iis" if category.is_empty() => Some(Web),
            _ => None,
        }
    }

    /// Whether an event is of a log that has these names at all.
    pub fn speaks(self, event: &Event) -> bool {
        let dataset = event.text(Field::EventDataset).unwrap_or_default();
        match self {
            M365 => dataset.starts_with("m365."),
            Azure => dataset.starts_with("entra."),
            Okta => {
                dataset.starts_with("okta")
                    || event.text(Field::EventProvider).is_some_and(|provider| provider.eq_ignore_ascii_case("okta"))
                    || (event.raw().contains("\"eventType\"") && event.raw().contains("\"published\""))
            }
            Workspace => dataset.starts_with("google_workspace") || event.raw().contains("\"protoPayload\""),
            Web => {
                event.has(Field::HttpStatus)
                    || event.has(Field::LogLevel)
                    || event.all(Field::EventCategory).any(|one| matches!(one, Value::Text(text) if text == "web"))
            }
        }
    }

    /// Whether an event is of a log this source means.
    pub fn fits(self, source: &LogSource, event: &Event) -> bool {
        self.speaks(event) && self.serves(source, event)
    }

    /// Whether an event of a log that has these names is of the one this source means.
    pub fn serves(self, source: &LogSource, event: &Event) -> bool {
        let service = source.service.as_deref().unwrap_or_default();
        let is = |word: &str| service.eq_ignore_ascii_case(word);
        let dataset = event.text(Field::EventDataset).unwrap_or_default();
        match self {
            M365 => !is("exchange") || dataset == "m365.exchange",
            Azure => match dataset.strip_prefix("entra.") {
                Some(kind) if is("signinlogs") => kind == "signin",
                Some(kind) if is("auditlogs") => kind == "audit",
                Some(kind) if is("riskdetection") => kind == "risk",
                _ => true,
            },
            Okta => true,
            Workspace => match dataset.strip_prefix("google_workspace") {
                Some(own) => {
                    let service = service.to_ascii_lowercase();
                    let kind = service.strip_prefix("google_workspace.").unwrap_or("");
                    kind.is_empty() || own.strip_prefix('.') == Some(kind)
                }
                None => true,
            },
            Web => {
                event.has(Field::HttpStatus)
                    || event.all(Field::EventCategory).any(|one| matches!(one, Value::Text(text) if text == "web"))
                    || (source.category.is_none() && event.has(Field::LogLevel))
            }
        }
    }

    /// Makes a rule's values those this dialect gives: `null` is nothing where a log writes a dash for nothing, and a program's name is also
    /// read as IIS writes it, with a plus for each blank, which our parser takes back.
    pub fn adapt(self, detection: &mut Detection) {
        let agent = |field: &Option<String>| {
            field.as_deref().unwrap_or_default().to_ascii_lowercase().replace('_', "-").contains("agent")
        };
        let absent = |name: &Option<String>| {
            let name = name.as_deref().unwrap_or_default().to_ascii_lowercase().replace('_', "-");
            self == Web && WEB_NAMES.iter().any(|(known, places)| *known == name && places.contains(&"@absent"))
        };
        match detection {
            Detection::AllOf(items) => {
                for item in items.iter_mut().filter(|item| self == Web && agent(&item.field.name)) {
                    let all = item.field.modifiers.iter().any(|one| matches!(one, Modifier::All | Modifier::Re));
                    let blanks: Vec<_> = item.values.iter().filter(|_| !all).filter_map(without_pluses).collect();
                    item.values.extend(blanks);
                }
                for item in items.iter_mut().filter(|item| absent(&item.field.name)) {
                    for value in item.values.iter_mut().filter(|value| matches!(value, SigmaValue::Null)) {
                        *value = SigmaValue::String(SigmaString::new(""));
                    }
                }
            }
            Detection::AnyOf(parts) | Detection::And(parts) => parts.iter_mut().for_each(|part| self.adapt(part)),
            _ => {}
        }
    }

    fn names(self) -> Names {
        match self {
            M365 => M365_NAMES,
            Azure => AZURE_NAMES,
            Okta => &[],
            Workspace => WORKSPACE_NAMES,
            Web => WEB_NAMES,
        }
    }

    /// The value of a rule's field in an event.
    pub fn get<'v>(self, name: &str, event: &'v Event, record: &'v Record<'_>) -> Option<EventValue<'v>> {
        // Rules may name our fields too.
        if let Some(own) = ours(event, name) {
            return Some(own);
        }
        let lower = name.to_ascii_lowercase().replace('_', if self == Web { "-" } else { "_" });
        let plain = name.to_ascii_lowercase();
        let known = self.names().iter().find(|(known, _)| *known == plain || *known == lower);
        if let Some((_, places)) = known {
            return places.iter().find_map(|place| self.at(place, name, event, record));
        }
        if self == Web {
            return event.named(name).map(value);
        }
        let bare = |prefix: &str| name.strip_prefix(prefix).unwrap_or(name);
        let path = match self {
            M365 => bare("o365.audit."),
            Okta => bare("okta."),
            // Graph and Log Analytics have no envelope.
            Azure => bare("properties."),
            Workspace | Web => name,
        };
        record
            .get(path)
            .or_else(|| (self == Azure).then(|| record.get(&format!("properties.{path}"))).flatten())
            .or_else(|| event.others().find(|(other, _)| other.eq_ignore_ascii_case(path)).map(|(_, kept)| value(kept)))
            .or_else(|| (self == Workspace).then(|| parameter(path, event)).flatten())
            .or_else(|| match self {
                M365 | Azure => record.pair(path).or_else(|| record.pair(path.split_once('.')?.1)),
                Workspace => record.pair(path.rsplit('.').next()?),
                Okta | Web => None,
            })
    }

    fn at<'v>(self, place: &str, name: &str, event: &'v Event, record: &'v Record<'_>) -> Option<EventValue<'v>> {
        if let Some(path) = place.strip_prefix('$') {
            return record.get(path);
        }
        let text = |text: Cow<'v, str>| Some(EventValue::Str(text));
        match place {
            "@service" => {
                let dataset = event.text(Field::EventDataset)?;
                text(Cow::Owned(format!("{}.googleapis.com", dataset.strip_prefix("google_workspace.")?)))
            }
            "@parameter" => parameter(name, event).or_else(|| record.pair(name.rsplit('.').next()?)),
            "@parameters" => {
                let all = record.get("Parameters")?.as_str()?.replace("\",\"", "\", \"").replace("\":\"", "\": \"");
                text(Cow::Owned(all))
            }
            "@operation" => operation(record).map(EventValue::Array),
            "@message" => {
                let mut all = operation(record).unwrap_or_default();
                let protocol = ["authenticationProtocol", "properties.authenticationProtocol"];
                let protocol = protocol.iter().find_map(|path| record.get(path));
                if let Some(protocol) = protocol.as_ref().and_then(EventValue::as_str).filter(|word| word != "none") {
                    all.push(EventValue::Str(Cow::Owned(spoken(&protocol))));
                    all.push(EventValue::Str(Cow::Owned(protocol.into_owned())));
                }
                (!all.is_empty()).then_some(EventValue::Array(all))
            }
            "@reason" => {
                let said = ["resultReason", "properties.resultReason", "ResultDescription"];
                let mut all: Vec<_> = said.iter().filter_map(|path| record.get(path)).collect();
                all.extend(record.pair("MethodExecutionResult."));
                (!all.is_empty()).then_some(EventValue::Array(all))
            }
            // Logs write a dash for what was not sent; rules look for that, for nothing, or for null.
            "@absent" => {
                Some(EventValue::Array(vec![EventValue::Str(Cow::Borrowed("-")), EventValue::Str(Cow::Borrowed(""))]))
            }
            "@status" => {
                let said = ["$Status", "$status.additionalDetails", "$properties.status.additionalDetails"];
                let mut all: Vec<_> =
                    said.into_iter().filter_map(|place| self.at(place, name, event, record)).collect();
                all.extend(ours(event, "event.outcome"));
                (!all.is_empty()).then_some(EventValue::Array(all))
            }
            "@extension" => {
                let (_, file) = event.text(Field::UrlPath)?.rsplit_once('/')?;
                text(Cow::Borrowed(file.rsplit_once('.')?.1))
            }
            "@target" => {
                let parts = [Field::UrlQuery, Field::UrlOriginal].into_iter().filter_map(|field| event.text(field));
                let parts: Vec<_> = parts.map(|part| EventValue::Str(Cow::Borrowed(part))).collect();
                (!parts.is_empty()).then_some(EventValue::Array(parts))
            }
            own => ours(event, own).or_else(|| named(event, own).map(EventValue::Str)),
        }
    }
}

/// What was done in Entra ID. Some names end in a blank there, and those of the unified audit log, which rules take for these, in a dot.
fn operation<'v>(record: &'v Record<'_>) -> Option<Vec<EventValue<'v>>> {
    let places = ["OperationName", "activityDisplayName", "properties.activityDisplayName"];
    let found = places.iter().find_map(|place| record.get(place))?;
    let name = found.as_str()?.trim_end().to_owned();
    let dotted = format!("{name}.");
    Some(vec![EventValue::Str(Cow::Owned(name)), EventValue::Str(Cow::Owned(dotted))])
}

/// `deviceCode` as the portal says it: device code.
fn spoken(word: &str) -> String {
    let mut out = String::with_capacity(word.len() + 1);
    for letter in word.chars() {
        if letter.is_ascii_uppercase() {
            out.push(' ');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// A value with pluses for blanks, with blanks.
fn without_pluses(value: &SigmaValue) -> Option<SigmaValue> {
    let SigmaValue::String(text) = value else { return None };
    let plain = text.original.contains('+') && !text.original.contains(' ');
    plain.then(|| SigmaValue::String(SigmaString::new(&text.original.replace('+', " "))))
}

/// A parameter of an activity, by its last name; what the parser knew has a field of ours.
fn parameter<'v>(path: &str, event: &'v Event) -> Option<EventValue<'v>> {
    let last = path.rsplit('.').next().unwrap_or(path).to_ascii_lowercase();
    let kept = event.others().find(|(name, _)| name.strip_prefix("parameters.") == Some(&last));
    if let Some((_, kept)) = kept {
        return Some(value(kept));
    }
    let field = match last.as_str() {
        "new_value" | "role_name" | "privilege_name" | "group_email" => Field::Permission,
        "user_email" | "affected_email_address" | "member_id" => Field::UserTargetName,
        "target_user" => Field::ShareRecipient,
        "doc_id" => Field::ObjectId,
        "doc_title" => Field::ObjectName,
        "doc_type" => Field::ObjectType,
        "visibility" => Field::ShareScope,
        "application_name" | "app_name" => Field::OauthClientName,
        "scope" | "api_scopes" => Field::OauthScopes,
        _ => return None,
    };
    let kept = ours(event, field.name())?;
    Some(match (field, kept.as_str().as_deref()) {
        // The parser keeps what the word means.
        (Field::ShareScope, Some("public")) => EventValue::Array(
            ["people_with_link", "public_on_the_web"].map(|one| EventValue::Str(Cow::Borrowed(one))).into(),
        ),
        _ => kept,
    })
}
