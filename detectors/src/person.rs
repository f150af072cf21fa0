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

/// Roles by which a people file says that an account is a program's.
const PROGRAMS: [&str; 10] = [
    "integration",
    "service",
    "service account",
    "service-account",
    "bot",
    "robot",
    "system",
    "api",
    "application",
    "app",
];

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

impl Person {
    /// Whether the people file says that no person stands behind the account.
    pub fn is_program(&self) -> bool {
        self.role.as_deref().is_some_and(|role| PROGRAMS.iter().any(|word| word.eq_ignore_ascii_case(role.trim())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_people_file_may_say_that_an_account_is_a_program_s() {
        let of_role = |role: Option<&str>| Person { role: role.map(Into::into), ..Person::default() }.is_program();
        assert_eq!(
            [Some("Integration"), Some("service account "), Some("sales"), None].map(of_role),
            [true, true, false, false]
        );
    }
}
