//! One record of the unified audit log to one event. Not for how records are packed (arrays, CSV, wrappings); see the folder's `mod`.

use std::borrow::Cow;
use std::collections::HashSet;

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Field};

use super::tables;
use crate::parse::json::{
    Enter, KeyTable, Reader, Value, Visitor, each_guid, each_item, each_object_value, each_pair, lower,
};
use crate::parse::json_lines::{delivery, is_mail, keep};
use crate::parse::{NO_TIME, absent, actions, ip, time};

/// Keys whose value is used beyond being kept; an index into [`Record::held`].
macro_rules! keys {
    ($($variant:ident = $($name:literal)|+;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Key { $($variant,)* }
        const KEYS: &[(&str, Key)] = &[$($(($name, Key::$variant),)+)*];
        const COUNT: usize = [$(Key::$variant,)*].len();
    };
}

keys! {
    CreationTime = "CreationTime";
    // In the tables of Sentinel and Log Analytics.
    TimeGenerated = "TimeGenerated";
    Id = "Id" | "SourceRecordId" | "OfficeId";
    Operation = "Operation";
    RecordType = "RecordType";
    Workload = "Workload" | "OfficeWorkload";
    UserId = "UserId";
    ActorId = "UserKey";
    UserUpn = "UserUpn";
    SystemUserId = "SystemUserId";
    ClientIp = "ClientIP";
    ClientIpAddress = "ClientIPAddress" | "Client_IPAddress";
    ActorIpAddress = "ActorIpAddress";
    ResultStatus = "ResultStatus";
    OrganizationId = "OrganizationId";
    OrganizationName = "OrganizationName";
    CrmOrganization = "CrmOrganizationUniqueName";
    ObjectId = "ObjectId" | "OfficeObjectId" | "OriginalObjectId";
    LogonError = "LogonError";
    ErrorNumber = "ErrorNumber";
    UserAgent = "UserAgent";
    Message = "Message";
    EntityName = "EntityName";
    ItemType = "ItemType";
    EntityId = "EntityId";
    PrimaryFieldValue = "PrimaryFieldValue";
    Query = "Query";
    QueryResults = "QueryResults";
    CorrelationId = "CorrelationId";
    SessionId = "SessionId" | "AppAccessContext.AADSessionId";
    FileName = "SourceFileName";
    ReportName = "ReportName";
    ReportId = "ReportId";
    Recipient = "TargetUserOrGroupName";
    RecipientType = "TargetUserOrGroupType";
    ClientAppId = "ClientAppId";
    ApplicationId = "ApplicationId";
    ApplicationName = "ApplicationDisplayName";
    ExtendedProperties = "ExtendedProperties";
    ModifiedProperties = "ModifiedProperties";
    DeviceProperties = "DeviceProperties";
    Parameters = "Parameters";
    Fields = "Fields";
    Target = "Target";
    AuditData = "AuditData";
}

/// Lists that are looked at as a whole, not flattened.
const LISTS: &[Key] = &[
    Key::ExtendedProperties,
    Key::ModifiedProperties,
    Key::DeviceProperties,
    Key::Parameters,
    Key::Fields,
    Key::Target,
    Key::QueryResults,
];

/// The table of a source's keys.
pub(super) fn table() -> KeyTable<Key> {
    KeyTable::new(lower, KEYS.iter().copied())
}

/// A record in the making.
pub(super) struct Record<'r, 'a> {
    table: &'r mut KeyTable<Key>,
    raw: &'r str,
    /// A collector's own keys before the record's: `office365.`.
    prefix: &'r str,
    event: Event,
    held: Held<'a>,
}

/// The values of the known keys.
struct Held<'a>([Option<Cow<'a, str>>; COUNT]);

impl Held<'_> {
    fn get(&self, key: Key) -> Option<&str> {
        self.0[key as usize].as_deref().filter(|text| !text.is_empty())
    }
}

impl<'a> Visitor<'a> for Record<'_, 'a> {
    fn enter(&mut self, path: &str, _array: bool) -> Enter {
        let path = path.strip_prefix(self.prefix).unwrap_or(path);
        match self.table.find(path).target {
            Some(key) if LISTS.contains(&key) => Enter::Whole,
            _ => Enter::Flatten,
        }
    }

    fn value(&mut self, path: &str, value: Value<'a, '_>, listed: bool) {
        if absent(value.text()) {
            return;
        }
        let path = path.strip_prefix(self.prefix).unwrap_or(path);
        let found = self.table.find(path);
        match found.target {
            Some(key) => self.held.0[key as usize] = Some(value.held()),
            None => keep(&mut self.event, self.raw, path, value, found.repeated && !listed),
        }
    }
}

impl<'r, 'a> Record<'r, 'a> {
    pub(super) fn new(table: &'r mut KeyTable<Key>, raw: &'r str, prefix: &'r str) -> Record<'r, 'a> {
        table.begin();
        Record { table, raw, prefix, event: Event::new(raw), held: Held([const { None }; COUNT]) }
    }

    /// The record inside this one, where this is only its wrapping.
    pub(super) fn audit_data(&mut self) -> Option<Cow<'a, str>> {
        self.held.0[Key::AuditData as usize].take_if(|data| data.trim_start().starts_with('{'))
    }

    /// Whether this is a record of the unified audit log at all.
    pub(super) fn is_one(&self) -> bool {
        let known = [Key::Operation, Key::RecordType, Key::Workload, Key::CrmOrganization];
        let dated = self.held.get(Key::CreationTime).or(self.held.get(Key::TimeGenerated));
        dated.is_some() && known.iter().any(|key| self.held.get(*key).is_some())
    }

    /// Sets a field to a key's text; part of the record is pointed at.
    fn field(&mut self, field: Field, key: Key) {
        if let Some(text) = self.held.get(key) {
            self.event.set_part(field, self.raw, text);
        }
    }

    /// Keeps a key under its own name, too.
    fn kept(&mut self, name: &str, key: Key) {
        if let Some(text) = self.held.get(key) {
            self.event.set_other_part(name, self.raw, text);
        }
    }

    /// The event, once all keys have been seen.
    pub(super) fn finish(mut self) -> Event {
        // The stamp has no zone and is UTC all the same.
        let stamp = |key| self.held.get(key).and_then(|text| time::iso(text, Tz::UTC));
        self.event.time = stamp(Key::CreationTime).or_else(|| stamp(Key::TimeGenerated)).unwrap_or(NO_TIME);
        self.event.delivery = self.held.get(Key::Id).filter(|id| id.len() >= 16).map(delivery);
        for (field, key) in [
            (Field::EventId, Key::Id),
            (Field::EventProvider, Key::Workload),
            (Field::UserId, Key::SystemUserId),
            (Field::OrganizationId, Key::OrganizationId),
            (Field::OrganizationName, Key::OrganizationName),
            (Field::OrganizationName, Key::CrmOrganization),
            (Field::ObjectId, Key::ObjectId),
            (Field::ObjectType, Key::ItemType),
            (Field::ObjectType, Key::EntityName),
            (Field::ObjectName, Key::PrimaryFieldValue),
            (Field::Query, Key::Query),
            (Field::CorrelationId, Key::CorrelationId),
            (Field::SessionId, Key::SessionId),
            (Field::UserAgent, Key::UserAgent),
            (Field::FileName, Key::FileName),
            (Field::ReportName, Key::ReportName),
            (Field::ReportId, Key::ReportId),
            (Field::ShareRecipient, Key::Recipient),
            (Field::EventReason, Key::LogonError),
        ] {
            self.field(field, key);
        }
        if self.held.get(Key::ActorId).is_some_and(somebody) {
            self.field(Field::UserId, Key::ActorId);
        }
        for (name, key) in [
            ("RecordType", Key::RecordType),
            ("ErrorNumber", Key::ErrorNumber),
            ("ResultStatus", Key::ResultStatus),
            ("ApplicationId", Key::ApplicationId),
            ("ClientAppId", Key::ClientAppId),
            ("ApplicationDisplayName", Key::ApplicationName),
            ("TargetUserOrGroupType", Key::RecipientType),
        ] {
            self.kept(name, key);
        }
        if let Some(error) =
            self.held.get(Key::ErrorNumber).filter(|error| *error != "0" && !self.event.has(Field::EventReason))
        {
            self.event.set_part(Field::EventReason, self.raw, error);
        }
        if let Some(id) = self.held.get(Key::EntityId).filter(|id| id.bytes().any(|byte| !matches!(byte, b'0' | b'-')))
        {
            self.event.set_part(Field::ObjectId, self.raw, id);
        }
        self.user();
        self.client();
        self.properties();
        self.records();
        self.meaning();
        self.event
    }

    fn user(&mut self) {
        let upn = self.held.get(Key::UserUpn);
        // An id says less than the name that stands beside it.
        let id = self.held.get(Key::UserId).filter(|id| somebody(id));
        let name = id.filter(|id| is_mail(id) || upn.is_none()).or(upn);
        if let Some(name) = name {
            self.event.set_part(Field::UserName, self.raw, name);
            if is_mail(name) {
                self.event.copy(Field::UserName, Field::UserEmail);
            }
        }
    }

    /// The client stands in three keys, in many spellings, and often in one only: the first real address is taken.
    fn client(&mut self) {
        let candidates = [Key::ClientIp, Key::ClientIpAddress, Key::ActorIpAddress];
        let texts = || candidates.iter().filter_map(|key| self.held.get(*key));
        let real = |text: &&str| ip::address(text).is_some_and(|(ip, _)| !ip.is_unspecified());
        let best =
            texts().find(real).or_else(|| texts().find(|text| ip::address(text).is_some())).or_else(|| texts().next());
        if let Some(text) = best.map(str::to_owned) {
            ip::set_source(&mut self.event, self.raw, &text);
        }
    }

    /// The `{Name, Value}` lists: agent, session, change details.
    fn properties(&mut self) {
        for (key, prefix) in [
            (Key::ExtendedProperties, "ExtendedProperties"),
            (Key::DeviceProperties, "DeviceProperties"),
            (Key::Parameters, "Parameters"),
            (Key::ModifiedProperties, "ModifiedProperties"),
            (Key::Fields, "Fields"),
        ] {
            let Some(list) = self.held.0[key as usize].clone() else { continue };
            each_pair(&list, |name, new, old| match name {
                "UserAgent" | "User-Agent" if !absent(new) => self.event.set(Field::UserAgent, new),
                "SessionId" if !absent(new) => self.event.set(Field::SessionId, new),
                _ if key == Key::Fields || key == Key::ModifiedProperties => {
                    self.event.push(Field::ChangedFields, name);
                    self.changed(name, new, old);
                    let name = format!("{prefix}.{name}");
                    keep(&mut self.event, self.raw, &name, Value::Decoded(new), false);
                }
                _ => {
                    let name = format!("{prefix}.{name}");
                    if !absent(new) {
                        keep(&mut self.event, self.raw, &name, Value::Decoded(new), false);
                    }
                }
            });
        }
    }

    /// What a directory change granted: the role's name, the scopes of a consent.
    fn changed(&mut self, name: &str, new: &str, old: &str) {
        let unquoted = |text: &str| text.trim().trim_matches('"').to_owned();
        match name {
            "Role.DisplayName" | "AppRole.Value" | "Group.DisplayName" => {
                // Taken away, the role stands in the old value.
                let role = if absent(&unquoted(new)) { unquoted(old) } else { unquoted(new) };
                if !absent(&role) {
                    self.event.set(Field::Permission, &role);
                }
            }
            "ConsentAction.Permissions" | "DelegatedPermissionGrant.Scope" => {
                let scopes =
                    new.split_once("Scope:").map_or(new, |(_, rest)| rest.split([',', ']']).next().unwrap_or(""));
                let scopes = unquoted(scopes);
                if !scopes.is_empty() {
                    self.event.set(Field::OauthScopes, &scopes);
                    self.event.copy(Field::OauthScopes, Field::Permission);
                }
            }
            _ => {}
        }
    }

    /// The number of distinct records this part of the answer names. A large read comes in several parts with one correlation id;
    /// enrichment sums them.
    fn records(&mut self) {
        let Some(results) = self.held.get(Key::QueryResults) else { return };
        let mut ids = HashSet::new();
        each_guid(results, |id| {
            ids.insert(id);
        });
        let count = if ids.is_empty() {
            let mut items = HashSet::new();
            let list = results.trim();
            if list.starts_with('[') {
                // A broken list counts as far as it can be read.
                let _ = each_item(&mut Reader::default(), list, |item| {
                    items.insert(item.text().to_owned());
                });
                items.len()
            } else {
                list.split([',', ';']).filter(|item| !absent(item.trim())).collect::<HashSet<_>>().len()
            }
        } else {
            ids.len()
        };
        if count > 0 {
            self.event.set_integer(Field::Records, count as i64);
        }
    }

    /// Action and outcome.
    fn meaning(&mut self) {
        let record_type = self.held.get(Key::RecordType).unwrap_or("");
        let is_crm = match self.held.get(Key::Workload) {
            Some(workload) => workload.eq_ignore_ascii_case("CRM"),
            None => self.held.get(Key::CrmOrganization).is_some(),
        };
        let dataset = tables::RECORD_TYPES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(record_type))
            .map(|(_, dataset)| *dataset)
            .or(is_crm.then_some(tables::CRM))
            .unwrap_or(tables::OTHER_RECORDS);
        let operation = self.held.get(Key::Operation).unwrap_or("").to_owned();
        let message = self.held.get(Key::Message).unwrap_or("").to_owned();
        let crm = dataset == tables::CRM;
        let verb = if crm && !message.is_empty() && (operation.is_empty() || is_default(&operation)) {
            &message
        } else {
            &operation
        };
        let mut action =
            if crm { tables::message(verb).or_else(|| tables::operation(verb)) } else { tables::operation(verb) };
        if let Some(exception) = self.exception(verb, crm) {
            action = Some(exception);
        }
        let action = action.unwrap_or("info");
        let event = &mut self.event;
        event.set(Field::EventDataset, dataset);
        if !verb.is_empty() {
            event.set(Field::EventCode, verb);
        }
        if *verb != operation && !operation.is_empty() {
            event.set_other("Operation", crmwatch_detectors::Value::Text(&operation));
        } else if crm && !message.is_empty() && *verb != message {
            event.set_other("Message", crmwatch_detectors::Value::Text(&message));
        }
        actions::set_beside(event, action);
        self.shared(&operation, action);
        self.granted(action, dataset);
        self.outcome(&operation, action);
    }

    /// Where the operation alone does not tell.
    fn exception(&self, verb: &str, crm: bool) -> Option<&'static str> {
        let off = |value: &str| value.eq_ignore_ascii_case("false") || value == "0";
        let turned_off = |list: Key, setting: &str| {
            let mut found = false;
            each_pair(self.held.get(list).unwrap_or(""), |name, new, _| {
                found |= name.eq_ignore_ascii_case(setting) && off(new)
            });
            found
        };
        let about = |what: &str| {
            let places = [Key::EntityName, Key::ItemType, Key::ObjectId, Key::Query, Key::Fields];
            places.iter().any(|key| self.held.get(*key).is_some_and(|text| text.contains(what)))
        };
        match verb {
            "UserLoginFailed"
                if self
                    .held
                    .get(Key::ErrorNumber)
                    .is_some_and(|code| tables::SECOND_FACTOR_REFUSED.contains(&code)) =>
            {
                Some("mfa-denied")
            }
            "Set-AdminAuditLogConfig" if turned_off(Key::Parameters, "UnifiedAuditLogIngestionEnabled") => {
                Some("audit-disable")
            }
            "Associate" | "Disassociate" if crm && (about("systemuserroles") || about("teamroles")) => {
                Some("permission-change")
            }
            "Update user." => self.second_factor(),
            "Update" if crm && self.held.get(Key::EntityName) == Some("organization") => {
                Some(if turned_off(Key::Fields, "isauditenabled") { "audit-disable" } else { "settings-change" })
            }
            _ => None,
        }
    }

    /// Whether a directory change gave a user a second factor or took the last one away.
    fn second_factor(&self) -> Option<&'static str> {
        let none = |list: &str| absent(list) || list.split_ascii_whitespace().collect::<String>() == "[]";
        let mut found = None;
        each_pair(self.held.get(Key::ModifiedProperties)?, |name, new, old| {
            if name == "StrongAuthenticationMethod" {
                found = match (none(old), none(new)) {
                    (true, false) => Some("mfa-enrolled"),
                    (false, true) => Some("mfa-removed"),
                    _ => None,
                };
            }
        });
        found
    }

    fn shared(&mut self, operation: &str, action: &str) {
        if action != "share" {
            return;
        }
        let named = tables::SHARE_SCOPES.iter().find(|(name, _)| *name == operation).map(|(_, scope)| *scope);
        let scope = named.or_else(|| match self.held.get(Key::RecipientType)? {
            kind if kind.eq_ignore_ascii_case("Guest") => Some("external"),
            kind if kind.eq_ignore_ascii_case("Member") => Some("internal"),
            _ => None,
        });
        if let Some(scope) = scope {
            self.event.set(Field::ShareScope, scope);
        }
    }

    /// Whom or what a directory operation was about.
    fn granted(&mut self, action: &str, dataset: &str) {
        match action {
            "oauth-grant" | "oauth-revoke" => {
                self.event.copy(Field::ObjectId, Field::OauthClientId);
                if let Some(name) = self.target_name() {
                    self.event.set(Field::OauthClientName, &name);
                }
            }
            _ if dataset == tables::DIRECTORY => {
                let object = self.held.get(Key::ObjectId).filter(|object| is_mail(object));
                if let Some(target) = object {
                    self.event.set_part(Field::UserTargetName, self.raw, target);
                    self.event.copy(Field::UserTargetName, Field::UserTargetEmail);
                }
            }
            _ => {}
        }
    }

    /// The display name in the `Target` list: `{"ID":"...","Type":1}`.
    fn target_name(&self) -> Option<String> {
        let (mut outer, mut inner, mut name) = (Reader::default(), Reader::default(), None);
        // A broken list says as much as it says up to the fault.
        let _ = each_item(&mut outer, self.held.get(Key::Target)?, |item| {
            let Value::Raw(item) = item else { return };
            let (mut id, mut is_name) = (None, false);
            let _ = each_object_value(&mut inner, item, |key, value| match key {
                key if key.eq_ignore_ascii_case("id") => id = Some(value.held().into_owned()),
                key if key.eq_ignore_ascii_case("type") => is_name = value.text() == "1",
                _ => {}
            });
            if is_name {
                name = id;
            }
        });
        name
    }

    fn outcome(&mut self, operation: &str, action: &str) {
        let outcome = match operation {
            "UserLoggedIn" => Some("success"),
            // The result says `Success` here, too: that the failure was recorded.
            "UserLoginFailed" => Some("failure"),
            _ => match self.held.get(Key::ResultStatus) {
                Some(status) => Some(actions::outcome(status).unwrap_or("unknown")),
                // Workloads that send no result record what was done.
                None if action != "info" => Some("success"),
                None => None,
            },
        };
        if let Some(outcome) = outcome {
            self.event.set(Field::EventOutcome, outcome);
        }
    }
}

/// Whether a user's name or key is one at all.
fn somebody(name: &str) -> bool {
    !name.eq_ignore_ascii_case("Not Available")
}

/// Operations of Dynamics that say nothing; the message tells what was done.
fn is_default(operation: &str) -> bool {
    operation.eq_ignore_ascii_case("CrmDefaultActivity") || operation.eq_ignore_ascii_case("DefaultActivity")
}
