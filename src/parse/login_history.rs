//! CSV exports of login histories and audit trails with English headings: vtiger's and YetiForce's login history, EspoCRM's authentication
//! log, Salesforce's login history and setup audit trail, HubSpot's downloads, and the like. Mapped loosely by heading.

use crmwatch_detectors::Field;

use super::Format;
use super::sheet::{self, Column, Sheet};

/// vtiger's and YetiForce's login history.
pub const VTIGER: Format = Format {
    name: LOGINS.name,
    about: "vtiger and YetiForce login history, CSV export (User Name, IP, Sign-in Time, Sign-out Time, Status)",
    sniff: |record| sheet::sniff(&LOGINS, record, 92),
    grammar: |options| sheet::grammar(&LOGINS, options),
};

/// Any such export.
pub const FORMAT: Format = Format {
    name: TRAIL.name,
    about: "login history or audit trail as CSV with English headings (date, user, IP, action, ...)",
    sniff: |record| sheet::sniff(&TRAIL, record, 75),
    grammar: |options| sheet::grammar(&TRAIL, options),
};

static LOGINS: Sheet = Sheet {
    name: "vtiger-logins",
    provider: "vtiger",
    headings: &[
        ("signintime", Column::Time),
        ("logintime", Column::Time),
        ("signouttime", Column::End),
        ("logouttime", Column::End),
        ("username", Column::User),
        ("user", Column::User),
        ("useripaddress", Column::Address),
        ("userip", Column::Address),
        ("ipaddress", Column::Address),
        ("ip", Column::Address),
        ("status", Column::Outcome),
        ("loginid", Column::Text(Field::SessionId)),
        ("agent", Column::Text(Field::UserAgent)),
        ("browser", Column::Text(Field::UserAgent)),
    ],
    required: &[&["signintime", "logintime"], &["signouttime", "logouttime"], &["username", "user"]],
    words: &[("sign", "login"), ("blocked", "login"), ("fail", "login")],
    otherwise: "login",
    zone: None,
};

static TRAIL: Sheet = Sheet {
    name: "audit-csv",
    provider: "csv",
    headings: &[
        ("timestamp", Column::Time),
        ("datetime", Column::Time),
        ("createdat", Column::Time),
        ("createdon", Column::Time),
        ("occurredat", Column::Time),
        ("logintime", Column::Time),
        ("logindate", Column::Time),
        ("eventtime", Column::Time),
        ("time", Column::Time),
        ("date", Column::Time),
        ("dateutc", Column::Time),
        ("when", Column::Time),
        ("username", Column::User),
        ("useremail", Column::User),
        ("email", Column::User),
        ("emailaddress", Column::User),
        ("login", Column::User),
        ("actor", Column::User),
        ("actoremail", Column::User),
        ("actoruserprincipalname", Column::User),
        ("userprincipalname", Column::User),
        ("actordisplayname", Column::User),
        ("initiatedby", Column::User),
        ("performedby", Column::User),
        ("doneby", Column::User),
        ("changedby", Column::User),
        ("user", Column::User),
        ("userid", Column::Text(Field::UserId)),
        ("ipaddress", Column::Address),
        ("sourceip", Column::Address),
        ("clientip", Column::Address),
        ("remoteip", Column::Address),
        ("ip", Column::Address),
        ("action", Column::Action),
        ("event", Column::Action),
        ("eventtype", Column::Action),
        ("activity", Column::Action),
        ("operation", Column::Action),
        ("logintype", Column::Text(Field::LoginType)),
        ("status", Column::Outcome),
        ("result", Column::Outcome),
        ("outcome", Column::Outcome),
        ("loginsucceeded", Column::Outcome),
        ("success", Column::Outcome),
        ("isdenied", Column::Denied),
        ("denied", Column::Denied),
        ("denialreason", Column::Text(Field::EventReason)),
        ("resultreason", Column::Text(Field::EventReason)),
        ("target1userprincipalname", Column::Text(Field::UserTargetName)),
        ("targetuser", Column::Text(Field::UserTargetName)),
        ("target1displayname", Column::Text(Field::ObjectName)),
        ("target1type", Column::Text(Field::ObjectType)),
        ("target1objectid", Column::Text(Field::ObjectId)),
        ("signinerrorcode", Column::Text(Field::EventCode)),
        ("reason", Column::Text(Field::EventReason)),
        ("failurereason", Column::Text(Field::EventReason)),
        ("correlationid", Column::Text(Field::CorrelationId)),
        ("requestid", Column::Text(Field::EventId)),
        ("applicationid", Column::Text(Field::OauthClientId)),
        ("operatingsystem", Column::Text(Field::UserAgentOs)),
        ("useragent", Column::Text(Field::UserAgent)),
        ("browser", Column::Text(Field::UserAgent)),
        ("object", Column::Text(Field::ObjectType)),
        ("objecttype", Column::Text(Field::ObjectType)),
        ("module", Column::Text(Field::ObjectType)),
        ("section", Column::Text(Field::ObjectType)),
        ("entitytype", Column::Text(Field::ObjectType)),
        ("targettype", Column::Text(Field::ObjectType)),
        ("objectid", Column::Text(Field::ObjectId)),
        ("recordid", Column::Text(Field::ObjectId)),
        ("targetid", Column::Text(Field::ObjectId)),
        ("recordname", Column::Text(Field::ObjectName)),
        ("records", Column::Records),
        ("recordcount", Column::Records),
        ("rowcount", Column::Records),
        ("rows", Column::Records),
        ("delegateuser", Column::Text(Field::UserEffectiveName)),
        ("application", Column::Text(Field::ServiceName)),
        ("sessionid", Column::Text(Field::SessionId)),
        ("description", Column::Text(Field::Message)),
        ("details", Column::Text(Field::Message)),
        ("message", Column::Text(Field::Message)),
    ],
    required: &[
        &[
            "timestamp",
            "datetime",
            "createdat",
            "createdon",
            "occurredat",
            "logintime",
            "logindate",
            "eventtime",
            "time",
            "date",
            "dateutc",
            "when",
        ],
        &[
            "username",
            "useremail",
            "email",
            "emailaddress",
            "login",
            "actor",
            "actoremail",
            "actoruserprincipalname",
            "userprincipalname",
            "actordisplayname",
            "initiatedby",
            "performedby",
            "doneby",
            "changedby",
            "user",
            "userid",
        ],
        &[
            "ipaddress",
            "sourceip",
            "clientip",
            "remoteip",
            "ip",
            "action",
            "event",
            "eventtype",
            "activity",
            "operation",
            "logintype",
            "status",
            "result",
            "useragent",
            "browser",
        ],
    ],
    words: &[
        // Setup and directory trails: what was done to whom, whatever else the sentence names.
        ("login-as access", "login-as"),
        ("assigned permission", "permission-change"),
        ("permission set", "permission-change"),
        ("changed profile", "permission-change"),
        ("to role", "permission-change"),
        ("from role", "permission-change"),
        ("to group", "permission-change"),
        ("from group", "permission-change"),
        ("created new user", "user-create"),
        ("created user", "user-create"),
        ("add user", "user-create"),
        ("invite external user", "user-create"),
        ("deactivated user", "user-disable"),
        ("disable account", "user-disable"),
        ("froze user", "user-disable"),
        ("enable account", "user-enable"),
        ("activated user", "user-enable"),
        ("delete user", "user-delete"),
        ("deleted user", "user-delete"),
        ("reset user password", "password-reset"),
        ("reset password", "password-reset"),
        ("consent to application", "oauth-grant"),
        ("registered security info", "mfa-enrolled"),
        ("deleted security info", "mfa-removed"),
        ("exported", "export"),
        ("export", "export"),
        ("mass delete", "bulk-delete"),
        ("bulk delete", "bulk-delete"),
        ("logged in", "login"),
        ("signed in", "login"),
        ("login", "login"),
        ("logged out", "logout"),
        ("signed off", "logout"),
        ("signed out", "logout"),
        ("logout", "logout"),
        ("password", "password-change"),
        ("permission", "permission-change"),
        ("profile", "permission-change"),
        ("role", "permission-change"),
        ("two-factor", "settings-change"),
        ("download", "file-download"),
    ],
    otherwise: "login",
    zone: None,
};

#[cfg(test)]
mod tests {
    use crmwatch_detectors::Event;

    use super::super::trial::holds;
    use super::*;
    use crate::parse::{Options, Verdict};

    fn rows(format: &Format, text: &str) -> Vec<Event> {
        let mut grammar = (format.grammar)(&Options::default());
        let mut events = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let expected = if number == 0 { Verdict::Skipped } else { Verdict::Parsed };
            assert_eq!(grammar.parse(line, &mut events), expected, "{line}");
        }
        events
    }

    #[test]
    fn a_row_of_a_login_history_is_a_login_and_its_end_a_logout() {
        let events = rows(
            &VTIGER,
            "User Name,User IP Address,Sign-in Time,Sign-out Time,Status\nadmin,203.0.113.7,2026-03-02 09:14:07,2026-03-02 10:14:07,Signed off\njo,203.0.113.8,2026-03-02 09:15:00,0000-00-00 00:00:00,Signed in\nmia,203.0.113.9,2026-03-02 09:16:00,,Failed login",
        );
        assert_eq!(events.len(), 4);
        holds(
            &events[0],
            &[
                (Field::EventAction, "login"),
                (Field::EventOutcome, "success"),
                (Field::UserName, "admin"),
                (Field::SourceIp, "203.0.113.7"),
            ],
            "row 1",
        );
        holds(&events[1], &[(Field::EventAction, "logout"), (Field::UserName, "admin")], "row 1");
        assert_eq!(events[1].time - events[0].time, 3_600_000);
        holds(&events[3], &[(Field::EventAction, "login"), (Field::EventOutcome, "failure")], "row 3");
    }

    #[test]
    fn other_exports_are_mapped_by_their_headings() {
        let events = rows(
            &FORMAT,
            "Date,User,Action,Section,Delegate User\n\"3/2/2026, 9:14:07 AM\",mia@example.com,Exported report,Reports,",
        );
        holds(
            &events[0],
            &[(Field::EventAction, "export"), (Field::UserName, "mia@example.com"), (Field::ObjectType, "Reports")],
            "trail",
        );
        assert_eq!(events[0].time, 1_772_442_847_000);
        let events = rows(
            &FORMAT,
            "username,ipAddress,createdAt,isDenied,denialReason,status\nmia,203.0.113.7,2026-03-02 09:14:07,1,CREDENTIALS,failed",
        );
        holds(
            &events[0],
            &[(Field::EventAction, "login"), (Field::EventOutcome, "failure"), (Field::EventReason, "CREDENTIALS")],
            "logins",
        );
    }
}
