//! A person of the people file: who stands behind the names in the logs. Not for how names are matched; that is enrichment.

/// Whether a person works here, is leaving, or may no longer log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// Works here.
    #[default]
    Active,
    /// Has given or received notice.
    Notice,
    /// Has left, or is locked out.
    Disabled,
}

/// One line of the people file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person {
    /// The e-mail address or login that stands for the person everywhere.
    pub user: Box<str>,
    /// Other names the same person goes by in logs.
    pub aliases: Vec<Box<str>>,
    /// Job, e.g. `sales`.
    pub role: Option<Box<str>>,
    /// Department.
    pub department: Option<Box<str>>,
    /// Home country, ISO 3166 alpha-2.
    pub country: Option<Box<str>>,
    /// IANA zone the person works in.
    pub timezone: Option<chrono_tz::Tz>,
    /// Working, leaving or gone.
    pub status: Status,
    /// The last day of work.
    pub last_day: Option<chrono::NaiveDate>,
}
