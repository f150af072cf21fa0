//! What somebody does in a system, before any log has written it down. Not for how a log writes it (`write`).

use std::net::IpAddr;

use crmwatch_detectors::Millis;

use super::agents::Device;

/// A system of the company; each writes one or two logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum System {
    /// The home-made CRM behind nginx.
    Portal,
    /// The API gateway: JSON lines with ECS keys.
    Gateway,
    /// Salesforce: Event Log Files.
    Salesforce,
    /// Microsoft 365 sign-ins and Dynamics.
    M365,
    /// Odoo.
    Odoo,
    /// SuiteCRM: its own log knows failed logins, Apache the rest.
    Suite,
    /// EspoCRM behind Apache.
    Espo,
}

/// Who acts, as far as the log can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A person or an integration account, by position.
    Person(u32),
    /// A login name nobody has, made of a number.
    Unknown(u32),
    /// A visitor of the customers' portal, under the one account all visitors share.
    Guest,
    /// Nobody logged in.
    Nobody,
}

/// How widely something is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Inside the company.
    Internal,
    /// With an outside address.
    External,
    /// With whoever has the link.
    Public,
}

/// The deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// A login that worked.
    Login,
    /// A wrong password.
    WrongPassword,
    /// The identity provider could not be reached.
    ProviderDown,
    /// The second factor was refused or timed out.
    FactorDenied,
    /// The second factor was taken off an account.
    FactorRemoved,
    /// A logout.
    Logout,
    /// One record looked at.
    View(u32),
    /// One page of a list.
    List(u32),
    /// A search that found so many.
    Search(u32),
    /// One record changed.
    Update(u32),
    /// One record made.
    Create(u32),
    /// One record deleted.
    Delete(u32),
    /// So many records deleted by one command.
    BulkDelete(u32),
    /// So many records changed by one command.
    BulkUpdate(u32),
    /// A report looked at.
    Report {
        /// Its number.
        id: u32,
        /// How long it is.
        rows: u32,
    },
    /// A report or list taken out.
    Export {
        /// The report's number.
        id: u32,
        /// Records in it.
        rows: u32,
    },
    /// A page read through an API.
    Read {
        /// Where the page starts.
        offset: u32,
        /// Records in it.
        rows: u32,
    },
    /// A bulk query job's result.
    Bulk(u32),
    /// A count or a description of what is there, without reading it.
    Reconnoitre(u32),
    /// A record shared.
    Share(u32, Scope),
    /// A record's owner changed.
    Assign(u32),
    /// A role given to somebody.
    Grant {
        /// Who gets it, by position.
        target: u32,
    },
    /// An administrator taking somebody's place.
    LoginAs {
        /// Whose, by position.
        target: u32,
    },
    /// A programme allowed to act for a person.
    Consent(u32),
    /// A new API token.
    Token,
    /// Auditing switched off.
    AuditOff,
    /// A file or page asked for that a scanner is after; the number picks which.
    Probe(u32),
    /// A request that is an attack on the application itself.
    Inject {
        /// Which; every number another.
        number: u32,
        /// Whether it met an answer or an error within; else it was turned away.
        answered: bool,
    },
    /// A load balancer asking whether the portal is well.
    Health,
}

/// One deed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Act {
    /// When.
    pub time: Millis,
    /// Where.
    pub system: System,
    /// Who.
    pub who: Who,
    /// What.
    pub deed: Deed,
    /// From which address.
    pub ip: IpAddr,
    /// With what.
    pub device: Device,
    /// In which session; the same number, the same session token.
    pub session: u64,
}
