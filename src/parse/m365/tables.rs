//! What the operations and messages of the unified audit log mean. Tables only; an operation that stands in none is `info`.

/// `Operation` to action. A trailing full stop, blanks and dashes before the comparison are taken away, case is ignored; an entry
/// that ends in `*` fits whatever begins so. The first that fits counts.
pub(super) const OPERATIONS: &[(&str, &str)] = &[
    ("UserLoggedIn", "login"),
    ("UserLoginFailed", "login"),
    ("UserLoggedOff", "logout"),
    ("SignInEvent", "login"),
    ("MailboxLogin", "login"),
    ("TeamsSessionStarted", "login"),
    ("Add member to role", "permission-change"),
    ("Remove member from role", "permission-change"),
    ("Add eligible member to role", "permission-change"),
    ("Add app role assignment*", "permission-change"),
    ("Remove app role assignment*", "permission-change"),
    ("Add delegated permission grant", "permission-change"),
    ("Add delegation entry", "permission-change"),
    ("Add-RoleGroupMember", "permission-change"),
    ("New-ManagementRoleAssignment", "permission-change"),
    ("Add-MailboxPermission", "permission-change"),
    ("Add-MailboxFolderPermission", "permission-change"),
    ("Add-RecipientPermission", "permission-change"),
    ("Remove-MailboxPermission", "permission-change"),
    ("Remove-MailboxFolderPermission", "permission-change"),
    ("Remove-RecipientPermission", "permission-change"),
    ("SiteCollectionAdminAdded", "permission-change"),
    ("AddedToGroup", "permission-change"),
    ("Add member to group", "permission-change"),
    ("Remove member from group", "permission-change"),
    ("Add owner to group", "permission-change"),
    ("Remove owner from group", "permission-change"),
    ("MemberAdded", "permission-change"),
    ("MemberRemoved", "permission-change"),
    ("MemberRoleChanged", "permission-change"),
    ("Consent to application", "oauth-grant"),
    ("Add service principal*", "oauth-grant"),
    ("Update application*Certificates and secrets management", "oauth-grant"),
    ("Add OAuth2PermissionGrant", "oauth-grant"),
    ("Remove OAuth2PermissionGrant", "oauth-revoke"),
    ("Remove delegated permission grant", "oauth-revoke"),
    ("Remove service principal*", "oauth-revoke"),
    ("Add user", "user-create"),
    ("Invite external user", "user-create"),
    ("Delete user", "user-delete"),
    ("Hard delete user", "user-delete"),
    ("Disable account", "user-disable"),
    ("Enable account", "user-enable"),
    ("Restore user", "user-enable"),
    ("Reset user password", "password-reset"),
    ("Set force change user password", "password-reset"),
    ("Reset password*", "password-reset"),
    ("Change user password", "password-change"),
    ("Change password*", "password-change"),
    ("User registered security info", "mfa-enrolled"),
    ("User registered all required security info", "mfa-enrolled"),
    ("Admin registered security info", "mfa-enrolled"),
    ("Enable Strong Authentication", "mfa-enrolled"),
    ("User deleted security info", "mfa-removed"),
    ("Disable Strong Authentication", "mfa-removed"),
    ("Admin deleted security info", "mfa-removed"),
    ("FileDownloaded", "file-download"),
    ("FileSyncDownloadedFull", "file-download"),
    ("FileSyncDownloadedPartial", "file-download"),
    ("FileAccessed*", "view"),
    ("FilePreviewed", "view"),
    ("PageViewed*", "view"),
    ("ListViewed", "list"),
    ("ListItemViewed", "view"),
    ("MailItemsAccessed", "view"),
    ("MessageBind", "view"),
    ("SearchQueryPerformed", "search"),
    ("SearchQueryInitiated*", "search"),
    ("SearchStarted", "search"),
    ("SearchExported", "export"),
    ("SearchExportDownloaded", "export"),
    ("New-ComplianceSearchAction", "export"),
    ("New-MailboxExportRequest", "export"),
    ("FileUploaded*", "create"),
    ("FileSyncUploadedFull", "create"),
    ("FolderCreated", "create"),
    ("FileCopied", "create"),
    ("ListItemCreated", "create"),
    ("FileModified*", "update"),
    ("FileRenamed", "update"),
    ("FileMoved", "update"),
    ("ListItemUpdated", "update"),
    ("FileDeleted*", "delete"),
    ("FileRecycled", "delete"),
    ("FolderDeleted*", "delete"),
    ("FolderRecycled", "delete"),
    ("ListItemDeleted", "delete"),
    ("ListItemRecycled", "delete"),
    ("HardDelete", "delete"),
    ("SoftDelete", "delete"),
    ("MoveToDeletedItems", "delete"),
    ("FileRestored", "restore"),
    ("FileVersionsAllDeleted", "delete"),
    ("AnonymousLinkCreated", "share"),
    ("AnonymousLinkUpdated", "share"),
    ("SharingSet", "share"),
    ("SharingInvitationCreated", "share"),
    ("AddedToSecureLink", "share"),
    ("SecureLinkCreated", "share"),
    ("CompanyLinkCreated", "share"),
    ("AddedToSharingLink", "share"),
    ("SharingLinkCreated", "share"),
    ("AnonymousLinkUsed", "view"),
    ("ShareReport", "share"),
    ("ShareDashboard", "share"),
    ("PublishToWebReport", "share"),
    ("New-InboxRule", "settings-change"),
    ("Set-InboxRule", "settings-change"),
    ("UpdateInboxRules", "settings-change"),
    ("Enable-InboxRule", "settings-change"),
    ("Set-Mailbox", "settings-change"),
    ("New-TransportRule", "settings-change"),
    ("Set-TransportRule", "settings-change"),
    ("Set-AdminAuditLogConfig", "settings-change"),
    ("UpdatedAdminFeatureSwitch", "settings-change"),
    ("Set-Company Information", "settings-change"),
    ("Set domain authentication", "settings-change"),
    ("Update policy", "settings-change"),
    ("Add policy", "settings-change"),
    ("Delete policy", "settings-change"),
    ("Add conditional access policy", "settings-change"),
    ("Update conditional access policy", "settings-change"),
    ("Delete conditional access policy", "settings-change"),
    ("ViewReport", "report-run"),
    ("ViewDashboard", "view"),
    ("ExportReport", "export"),
    ("ExportTile", "export"),
    ("ExportDataflow", "export"),
    ("CreateReport", "create"),
    ("DeleteReport", "delete"),
    ("TeamDeleted", "delete"),
    ("ExportArtifact", "export"),
    ("DownloadReport", "export"),
    ("PrintReport", "print"),
    ("AnalyzedByExternalApplication", "export"),
    ("Send", "create"),
    ("Create", "create"),
    ("Update", "update"),
];

/// SDK message of Dataverse, by its beginning, to action; the longest beginning counts.
pub(super) const MESSAGES: &[(&str, &str)] = &[
    ("ExportToExcel", "export"),
    ("ExportToExcelOnline", "export"),
    ("ExportDynamicToExcel", "export"),
    ("ExportToWord", "export"),
    ("ExportPdf", "export"),
    ("Export", "view"),
    ("RetrieveMultiple", "list"),
    ("ExecuteFetch", "list"),
    ("RollUp", "list"),
    ("RetrieveEntitiesForAggregateQuery", "list"),
    ("RetrieveRecordWall", "list"),
    ("RetrievePersonalWall", "list"),
    ("Retrieve", "view"),
    ("Get", "view"),
    ("Search", "view"),
    ("CreateMultiple", "create"),
    ("Create", "create"),
    ("UpdateMultiple", "update"),
    ("Update", "update"),
    ("Upsert", "update"),
    ("SetState", "update"),
    ("Delete", "delete"),
    ("DeleteMultiple", "bulk-delete"),
    ("BulkDelete", "bulk-delete"),
    ("DeleteAuditData", "audit-disable"),
    ("Merge", "merge"),
    ("Restore", "restore"),
    ("ImportRecords", "import"),
    ("DownloadBlock", "file-download"),
    ("QualifyLead", "update"),
    ("WinOpportunity", "update"),
    ("LoseOpportunity", "update"),
    ("CloseIncident", "update"),
    ("GrantAccess", "share"),
    ("ModifyAccess", "share"),
    ("RevokeAccess", "share"),
    ("Assign", "ownership-change"),
    ("AssociateRole", "permission-change"),
    ("DisassociateRole", "permission-change"),
    ("AssignUserRoles", "permission-change"),
    ("Associate", "update"),
    ("Disassociate", "update"),
    ("AddMembersTeam", "permission-change"),
    ("AddUserToRecordTeam", "share"),
    ("RemoveUserFromRecordTeam", "share"),
    ("RemoveMembersTeam", "permission-change"),
    ("AddPrivilegesRole", "permission-change"),
    ("ReplacePrivilegesRole", "permission-change"),
    ("RemovePrivilegeRole", "permission-change"),
    ("UserAccess", "login"),
    ("UserSignIn", "login"),
    ("UserSignOut", "logout"),
    ("PublishAllXml", "settings-change"),
    ("PublishXml", "settings-change"),
    ("ImportSolution", "settings-change"),
    ("DeleteSolution", "settings-change"),
    ("RegisterPlugin", "settings-change"),
];

/// Messages whose middle decides: beginning, part, action.
pub(super) const MESSAGE_PARTS: &[(&str, &str, &str)] =
    &[("ReportViewer", "Export", "export"), ("ReportViewer", "", "report-run")];

/// Record types to the dataset; a name as some exports write it, too.
pub(super) const RECORD_TYPES: &[(&str, &str)] = &[
    ("15", "m365.signin"),
    ("AzureActiveDirectoryStsLogon", "m365.signin"),
    ("8", "m365.directory"),
    ("9", "m365.directory"),
    ("AzureActiveDirectory", "m365.directory"),
    ("21", "m365.crm"),
    ("CRM", "m365.crm"),
    ("1", "m365.exchange"),
    ("2", "m365.exchange"),
    ("3", "m365.exchange"),
    ("50", "m365.exchange"),
    ("ExchangeAdmin", "m365.exchange"),
    ("ExchangeItem", "m365.exchange"),
    ("ExchangeItemGroup", "m365.exchange"),
    ("ExchangeItemAggregated", "m365.exchange"),
    ("4", "m365.sharepoint"),
    ("6", "m365.sharepoint"),
    ("14", "m365.sharepoint"),
    ("36", "m365.sharepoint"),
    ("SharePoint", "m365.sharepoint"),
    ("SharePointFileOperation", "m365.sharepoint"),
    ("SharePointSharingOperation", "m365.sharepoint"),
    ("SharePointListOperation", "m365.sharepoint"),
    ("20", "m365.powerbi"),
    ("PowerBIAudit", "m365.powerbi"),
    ("25", "m365.teams"),
    ("MicrosoftTeams", "m365.teams"),
    ("40", "m365.alerts"),
    ("SecurityComplianceAlerts", "m365.alerts"),
];

/// The dataset of a record type that is none of these.
pub(super) const OTHER_RECORDS: &str = "m365.audit";
/// The dataset of changes to the directory: users, roles, applications.
pub(super) const DIRECTORY: &str = "m365.directory";
/// The dataset of Dynamics and Dataverse.
pub(super) const CRM: &str = "m365.crm";

/// Sharing operations whose reach their name tells.
pub(super) const SHARE_SCOPES: &[(&str, &str)] = &[
    ("AnonymousLinkCreated", "public"),
    ("AnonymousLinkUpdated", "public"),
    ("PublishToWebReport", "public"),
    ("CompanyLinkCreated", "internal"),
];

/// Sign-in errors that mean the second factor was refused or timed out.
pub(super) const SECOND_FACTOR_REFUSED: &[&str] = &["500121"];

/// The action of an operation.
pub(in crate::parse) fn operation(operation: &str) -> Option<&'static str> {
    let operation = operation.trim().trim_end_matches('.');
    OPERATIONS.iter().find(|(pattern, _)| fits(pattern, operation)).map(|(_, action)| *action)
}

/// The action of an SDK message.
pub(super) fn message(message: &str) -> Option<&'static str> {
    let parted = MESSAGE_PARTS.iter().find(|(start, part, _)| begins(message, start) && message.contains(part));
    parted.map(|(_, _, action)| *action).or_else(|| {
        let fitting = MESSAGES.iter().filter(|(start, _)| begins(message, start));
        fitting.max_by_key(|(start, _)| start.len()).map(|(_, action)| *action)
    })
}

fn begins(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern.eq_ignore_ascii_case(text),
        Some((start, end)) => {
            begins(text, start)
                && text.len() >= start.len() + end.len()
                && text.get(text.len() - end.len()..).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_beginning_of_a_message_counts() {
        for (word, action) in [
            ("RetrieveMultiple", Some("list")),
            ("Retrieve", Some("view")),
            ("RetrieveEntityChanges", Some("view")),
            ("ExportToExcel", Some("export")),
            ("ExportSolution", Some("view")),
            ("ReportViewerRenderExportExcel", Some("export")),
            ("DeleteAuditDataRequest", Some("audit-disable")),
            ("BulkDelete", Some("bulk-delete")),
            ("AssociateRoleToUser", Some("permission-change")),
            ("DownloadBlock", Some("file-download")),
            ("QualifyLead", Some("update")),
            ("AddUserToRecordTeam", Some("share")),
            ("WhoAmI", None),
            ("", None),
        ] {
            assert_eq!(message(word), action, "{word}");
        }
    }

    #[test]
    fn directory_operations_are_known_with_and_without_their_full_stop() {
        for (word, action) in [
            ("Add member to role.", Some("permission-change")),
            ("Add member to role", Some("permission-change")),
            ("Add app role assignment grant to user.", Some("permission-change")),
            ("Update application – Certificates and secrets management ", Some("oauth-grant")),
            ("Update application.", None),
            ("Add service principal credentials.", Some("oauth-grant")),
            ("Remove-MailboxPermission", Some("permission-change")),
            ("Add owner to group.", Some("permission-change")),
            ("Set force change user password.", Some("password-reset")),
            ("ExportDataflow", Some("export")),
            ("AnonymousLinkUsed", Some("view")),
            ("FileMalwareDetected", None),
        ] {
            assert_eq!(operation(word), action, "{word}");
        }
    }

    #[test]
    fn every_action_of_the_tables_is_a_canonical_one() {
        let actions = OPERATIONS
            .iter()
            .chain(MESSAGES)
            .map(|(_, action)| action)
            .chain(MESSAGE_PARTS.iter().map(|(.., action)| action));
        for action in actions {
            assert_eq!(crate::parse::actions::named(action).map(|known| known.name), Some(*action));
        }
    }
}
