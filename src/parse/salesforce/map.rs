//! What the event types and columns of Event Log Files mean, as tables. Unknown types are `info`, unknown columns are kept.

use std::ops::Deref;

use crmwatch_detectors::Field;

use super::Row;

macro_rules! named {
    ($($variant:ident = $name:literal,)*) => {
        /// Columns that the code reads by name.
        #[derive(Debug, Clone, Copy)]
        pub(super) enum Named { $($variant,)* }

        impl Named {
            /// How many there are.
            pub(super) const COUNT: usize = [$(Named::$variant,)*].len();

            /// The column of that upper-case name.
            pub(super) fn of(name: &str) -> Option<Named> {
                match name { $($name => Some(Named::$variant),)* _ => None }
            }
        }
    };
}

named! {
    AverageRowSize = "AVERAGE_ROW_SIZE",
    ClientIp = "CLIENT_IP",
    DelegatedUserId = "DELEGATED_USER_ID",
    DelegatedUserIdDerived = "DELEGATED_USER_ID_DERIVED",
    DelegatedUserName = "DELEGATED_USER_NAME",
    EventType = "EVENT_TYPE",
    IsSuccess = "IS_SUCCESS",
    LoginStatus = "LOGIN_STATUS",
    Operation = "OPERATION",
    OperationType = "OPERATION_TYPE",
    Origin = "ORIGIN",
    PageContext = "PAGE_CONTEXT",
    PageUrl = "PAGE_URL",
    Query = "QUERY",
    ReportDescription = "REPORT_DESCRIPTION",
    RequestStatus = "REQUEST_STATUS",
    RowCount = "ROW_COUNT",
    SourceIp = "SOURCE_IP",
    StatusCode = "STATUS_CODE",
    Success = "SUCCESS",
    Timestamp = "TIMESTAMP",
    TimestampDerived = "TIMESTAMP_DERIVED",
    TransactionType = "TRANSACTION_TYPE",
    Uri = "URI",
    Username = "USERNAME",
    UserEmail = "USER_EMAIL",
    UserId = "USER_ID",
    UserIdDerived = "USER_ID_DERIVED",
    UserName = "USER_NAME",
}

/// Event type and its action; types that are told by another column stand in [`action`].
const TYPES: &[(&str, &str)] = &[
    ("Login", "login"),
    ("LoginAs", "login-as"),
    ("Logout", "logout"),
    ("ReportExport", "export"),
    ("Report", "report-run"),
    ("AsyncReportRun", "report-run"),
    ("Dashboard", "view"),
    ("API", "api-call"),
    ("RestApi", "api-call"),
    ("ApiTotalUsage", "api-call"),
    ("BulkApi", "bulk-api"),
    ("BulkApi2", "bulk-api"),
    ("BulkApiRequest", "bulk-api"),
    // Some collectors give events of the stream the rows' names.
    ("BulkApiResultEvent", "bulk-api"),
    ("BulkApiResultEventStore", "bulk-api"),
    ("URI", "view"),
    ("LightningPageView", "view"),
    ("AuraRequest", "view"),
    ("ListViewEvent", "search"),
    ("Search", "search"),
    ("SearchClick", "view"),
    ("ContentTransfer", "file-download"),
    ("DocumentAttachmentDownloads", "file-download"),
    ("ContentDocumentLink", "share"),
    ("ContentDistribution", "share"),
    ("Sites", "http-request"),
    ("VisualforceRequest", "view"),
    ("Console", "view"),
    ("KnowledgeArticleView", "view"),
    ("MetadataApiOperation", "settings-change"),
    ("PermissionUpdate", "permission-change"),
    ("PackageInstall", "integration-install"),
];

/// The action of a row.
pub(super) fn action(kind: &str, row: &Row<'_>) -> &'static str {
    let has = |column: Named, word: &str| row.get(column).is_some_and(|cell| contains(cell, word));
    let usual = TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(kind)).map_or("info", |(_, action)| action);
    match usual {
        "login" if row.get(Named::LoginStatus).is_some_and(is_challenge) => "mfa-challenge",
        "report-run" if has(Named::Origin, "export") => "export",
        "bulk-api" if has(Named::OperationType, "delete") || has(Named::Operation, "delete") => "bulk-delete",
        "view" if has(Named::PageContext, "objecthome") || has(Named::PageUrl, "/list") => "list",
        "file-download" if has(Named::TransactionType, "saveversion") => "create",
        "settings-change" if ["describe", "list", "retrieve"].iter().any(|word| has(Named::Operation, word)) => "view",
        other => other,
    }
}

/// Where a column goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Column {
    /// Read by the code for what several columns say together.
    Elsewhere,
    Text(Field),
    Number(Field),
    /// Milliseconds to ECS's nanoseconds.
    Milliseconds(Field),
    /// A record id, always kept with 18 characters.
    Id(Field),
    Agent,
    /// Under its own name.
    Kept,
}

use Column::{Agent, Elsewhere, Id, Kept, Milliseconds, Number, Text};

/// In the order of names, for a binary search. Of two columns of one field the first in the row counts.
const COLUMNS: &[(&str, Column)] = &[
    ("BROWSER_TYPE", Agent),
    ("CLIENT_ID", Text(Field::OauthClientId)),
    ("CLIENT_INFO", Agent),
    ("CLIENT_IP", Elsewhere),
    ("CLIENT_NAME", Text(Field::OauthClientName)),
    ("CONNECTED_APP_ID", Text(Field::OauthClientId)),
    ("CONNECTED_APP_NAME", Text(Field::OauthClientName)),
    ("DELEGATED_USER_ID", Elsewhere),
    ("DELEGATED_USER_ID_DERIVED", Elsewhere),
    ("DELEGATED_USER_NAME", Elsewhere),
    ("DESCRIPTION", Text(Field::Message)),
    ("DOCUMENT_ID", Id(Field::ObjectId)),
    ("DOCUMENT_ID_DERIVED", Id(Field::ObjectId)),
    ("ENTITY_ID", Id(Field::ObjectId)),
    ("ENTITY_NAME", Text(Field::ObjectType)),
    ("ENTITY_TYPE", Text(Field::ObjectType)),
    ("EVENT_TYPE", Text(Field::EventCode)),
    ("FORWARDED_FOR_IP", Text(Field::ForwardedIp)),
    ("HTTP_METHOD", Text(Field::HttpMethod)),
    ("LOGIN_KEY", Text(Field::SessionId)),
    ("LOGIN_STATUS", Kept),
    ("LOGIN_TYPE", Text(Field::LoginType)),
    ("MESSAGE", Text(Field::Message)),
    ("METHOD", Text(Field::HttpMethod)),
    ("NUMBER_COLUMNS", Number(Field::Columns)),
    ("NUMBER_FIELDS", Number(Field::Columns)),
    ("NUM_RESULTS", Number(Field::Records)),
    ("ORGANIZATION_ID", Text(Field::OrganizationId)),
    ("PAGE_ENTITY_ID", Id(Field::ObjectId)),
    ("PAGE_ENTITY_TYPE", Text(Field::ObjectType)),
    ("PAGE_URL", Elsewhere),
    ("PERMISSION_TYPE", Text(Field::Permission)),
    ("QUERY", Elsewhere),
    ("RECORDS_PROCESSED", Number(Field::Records)),
    ("REFERRER_URI", Text(Field::HttpReferrer)),
    ("REPORT_DESCRIPTION", Elsewhere),
    ("REPORT_ID", Id(Field::ReportId)),
    ("REPORT_ID_DERIVED", Id(Field::ReportId)),
    ("REQUEST_ID", Text(Field::HttpRequestId)),
    ("REQUEST_SIZE", Number(Field::HttpRequestBytes)),
    ("RESPONSE_SIZE", Number(Field::Bytes)),
    ("ROWS_PROCESSED", Number(Field::Records)),
    ("ROW_COUNT", Number(Field::Records)),
    ("RUN_TIME", Milliseconds(Field::EventDuration)),
    ("SEARCH_QUERY", Text(Field::Query)),
    ("SESSION_KEY", Text(Field::SessionKey)),
    ("SHARED_WITH_ENTITY_ID", Id(Field::ShareRecipient)),
    ("SHARING_PERMISSION", Text(Field::Permission)),
    ("SIZE_BYTES", Number(Field::Bytes)),
    ("SOURCE_IP", Elsewhere),
    ("STATUS_CODE", Number(Field::HttpStatus)),
    ("TIMESTAMP", Elsewhere),
    ("TIMESTAMP_DERIVED", Elsewhere),
    ("URI", Elsewhere),
    ("URI_ID_DERIVED", Id(Field::ObjectId)),
    ("USERNAME", Elsewhere),
    ("USER_AGENT", Agent),
    ("USER_EMAIL", Elsewhere),
    ("USER_ID", Elsewhere),
    ("USER_ID_DERIVED", Elsewhere),
    ("USER_NAME", Elsewhere),
    ("USER_TYPE", Text(Field::UserRoles)),
];

/// Where a column of that upper-case name goes.
pub(super) fn column(name: &str) -> Column {
    COLUMNS.binary_search_by(|(known, _)| (*known).cmp(name)).map_or(Kept, |at| COLUMNS[at].1)
}

fn is_challenge(status: &str) -> bool {
    matches!(status, "LOGIN_CHALLENGE_ISSUED" | "LOGIN_CHALLENGE_PENDING" | "LOGIN_TWOFACTOR_REQ")
}

/// `LOGIN_STATUS`
pub(super) fn login_outcome(status: &str) -> &'static str {
    match status {
        "LOGIN_NO_ERROR" | "LOGIN_LIGHTNING_LOGIN" => "success",
        status if is_challenge(status) => "unknown",
        _ => "failure",
    }
}

/// `REQUEST_STATUS`
pub(super) fn request_outcome(status: &str) -> &'static str {
    match status {
        "S" | "Success" | "R" => "success",
        "F" | "A" | "N" | "Failure" | "Failed" => "failure",
        _ => "unknown",
    }
}

/// Whether a text holds a word, in whatever case.
fn contains(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

/// A record id as it is shown.
pub(in crate::parse) enum LongId<'i> {
    Given(&'i str),
    Made([u8; 18]),
}

impl Deref for LongId<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            LongId::Given(id) => id,
            LongId::Made(id) => std::str::from_utf8(id).expect("letters and digits"),
        }
    }
}

/// A record id with its three characters of checksum; anything else as it is.
pub(in crate::parse) fn long_id(id: &str) -> LongId<'_> {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    if id.len() != 15 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return LongId::Given(id);
    }
    let mut long = [0; 18];
    long[..15].copy_from_slice(id.as_bytes());
    for (place, group) in id.as_bytes().chunks(5).enumerate() {
        let bits =
            group.iter().enumerate().fold(0, |bits, (at, byte)| bits | usize::from(byte.is_ascii_uppercase()) << at);
        long[15 + place] = DIGITS[bits];
    }
    LongId::Made(long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_fifteen_characters_get_their_checksum() {
        assert_eq!(&*long_id("0053X00000BoLQR"), "0053X00000BoLQRQA3");
        assert_eq!(&*long_id("0053X00000BoLQRQA3"), "0053X00000BoLQRQA3");
        assert_eq!(&*long_id("not an id at 15"), "not an id at 15");
    }

    #[test]
    fn the_columns_stand_in_order() {
        assert!(COLUMNS.is_sorted_by(|one, other| one.0 < other.0));
    }
}
