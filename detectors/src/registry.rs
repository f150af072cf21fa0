//! The list of detectors: one line each. A new detector is one file and one line here.

use crate::detector::Detector;
use crate::engine::Settings;
use crate::sigma::{self, Sigma};
use crate::watch::{self, Watch};

/// Makes a detector from its settings (a JSON object; empty for the defaults).
pub type Build = fn(&serde_json::Value) -> Result<Box<dyn Detector>, serde_json::Error>;

/// One line of the list.
pub struct Registration {
    /// The id: of the rule, of its settings, of its state.
    pub id: &'static str,
    /// Makes it.
    pub build: Build,
}

/// Every detector.
#[rustfmt::skip]
pub const DETECTORS: &[Registration] = &[
    Registration { id: crate::impossible_travel::ID, build: crate::impossible_travel::ImpossibleTravel::build },
    Registration { id: crate::bulk_export::ID, build: crate::bulk_export::BulkExport::build },
    Registration { id: crate::brute_force_success::ID, build: crate::brute_force_success::BruteForceSuccess::build },
    Registration { id: crate::honeytoken_touched::ID, build: crate::honeytoken_touched::HoneytokenTouched::build },
    Registration { id: crate::password_spray::ID, build: crate::password_spray::PasswordSpray::build },
    watched::<crate::credential_stuffing::CredentialStuffing>(),
    watched::<crate::anonymiser_login::AnonymiserLogin>(),
    watched::<crate::api_token_created::ApiTokenCreated>(),
    watched::<crate::integration_new_network::IntegrationNewNetwork>(),
    watched::<crate::audit_disabled_then_activity::AuditDisabledThenActivity>(),
    watched::<crate::leaver_export::LeaverExport>(),
    watched::<crate::off_hours_export::OffHoursExport>(),
    watched::<crate::login_as_then_export::LoginAsThenExport>(),
    watched::<crate::oauth_app_then_bulk_read::OauthAppThenBulkRead>(),
    watched::<crate::privilege_escalation_then_export::PrivilegeEscalationThenExport>(),
    watched::<crate::concurrent_sessions::ConcurrentSessions>(),
    watched::<crate::dormant_account::DormantAccount>(),
    watched::<crate::first_seen_risk::FirstSeenRisk>(),
    watched::<crate::guest_enumeration::GuestEnumeration>(),
    watched::<crate::public_exposure::PublicExposure>(),
    watched::<crate::query_reconnaissance::QueryReconnaissance>(),
    watched::<crate::slow_exfiltration::SlowExfiltration>(),
    watched::<crate::record_enumeration::RecordEnumeration>(),
    watched::<crate::record_snooping::RecordSnooping>(),
    watched::<crate::session_hijack::SessionHijack>(),
    watched::<crate::mass_delete::MassDelete>(),
    watched::<crate::mass_share::MassShare>(),
    watched::<crate::mass_update::MassUpdate>(),
    watched::<crate::mfa_fatigue::MfaFatigue>(),
    watched::<crate::mfa_removed_then_login::MfaRemovedThenLogin>(),
    watched::<crate::source_silent::SourceSilent>(),
    watched::<crate::web_attack::WebAttack>(),
    // Those that hear what others found stand last, the one that adds everything up at the very end.
    watched::<crate::success_after_attack::SuccessAfterAttack>(),
    watched::<crate::entity_risk::EntityRisk>(),
];

const fn watched<W: Watch>() -> Registration {
    Registration { id: W::ID, build: watch::build::<W> }
}

/// A detector's settings do not fit.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// No such detector.
    #[error("[detectors.{id}]: there is no detector of that name{}; `crmwatch detectors list` shows them all",
        nearest.as_ref().map(|near| format!(" (did you mean {near}?)")).unwrap_or_default())]
    Unknown {
        /// The name given.
        id: String,
        /// The nearest there is.
        nearest: Option<String>,
    },
    /// A Sigma rule cannot be loaded.
    #[error(transparent)]
    Rule(#[from] sigma::LoadError),
    /// A setting is unknown or of the wrong type.
    #[error("[detectors.{id}]: {problem}")]
    Setting {
        /// The detector.
        id: String,
        /// What is wrong.
        problem: serde_json::Error,
    },
}

/// Every id that may have settings: the detectors' and the shipped Sigma rules'.
pub fn ids() -> impl Iterator<Item = &'static str> + Clone {
    DETECTORS.iter().map(|one| one.id).chain(sigma::SHIPPED_IDS.iter().copied())
}

/// Every detector the settings leave switched on.
pub fn build(settings: &Settings) -> Result<Vec<Box<dyn Detector>>, SettingsError> {
    build_with(settings, &sigma::Texts::default())
}

/// Every detector the settings leave switched on, and Sigma rules beside the shipped ones.
pub fn build_with(settings: &Settings, rules: &sigma::Texts) -> Result<Vec<Box<dyn Detector>>, SettingsError> {
    for id in settings.keys() {
        if !ids().any(|one| one == id) {
            return Err(SettingsError::Unknown { id: id.clone(), nearest: None });
        }
    }
    let mut detectors = Vec::new();
    for registration in DETECTORS {
        let mut own = settings.get(registration.id).cloned().unwrap_or_else(|| serde_json::json!({}));
        let enabled = own.as_object_mut().and_then(|object| object.remove("enabled"));
        if enabled == Some(serde_json::Value::Bool(false)) {
            continue;
        }
        let built = (registration.build)(&own)
            .map_err(|problem| SettingsError::Setting { id: registration.id.to_owned(), problem })?;
        detectors.push(built);
    }
    detectors.push(Box::new(Sigma::new(settings, rules)?));
    Ok(detectors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manual::HEADINGS;

    #[test]
    fn every_detector_has_a_whole_manual_and_explains_each_setting() {
        for detector in build(&Settings::new()).expect("the defaults fit") {
            for rule in detector.rules() {
                assert!(!rule.manual.title.is_empty(), "{} has no title", rule.id);
                for heading in HEADINGS {
                    let text = rule.manual.section(heading).unwrap_or_default();
                    assert!(!text.is_empty(), "{} says nothing under `{heading}`", rule.id);
                }
                let explained = rule.manual.section("Settings").unwrap_or_default();
                for name in rule.settings.as_object().into_iter().flat_map(|settings| settings.keys()) {
                    assert!(explained.contains(&format!("`{name}`")), "{} does not explain `{name}`", rule.id);
                }
            }
        }
    }

    #[test]
    fn every_rule_of_the_design_is_there() {
        let all: Vec<&str> = ids().collect();
        for id in [
            "impossible-travel",
            "session-hijack",
            "concurrent-sessions",
            "first-seen-risk",
            "brute-force",
            "brute-force-success",
            "password-spray",
            "credential-stuffing",
            "success-after-attack",
            "mfa-fatigue",
            "mfa-removed-then-login",
            "bulk-export",
            "slow-exfiltration",
            "leaver-export",
            "off-hours-export",
            "oauth-app-then-bulk-read",
            "integration-new-network",
            "privilege-escalation-then-export",
            "login-as-then-export",
            "mass-delete",
            "mass-update",
            "mass-share",
            "record-snooping",
            "record-enumeration",
            "query-reconnaissance",
            "dormant-account",
            "audit-disabled-then-activity",
            "api-token-created",
            "public-exposure",
            "guest-enumeration",
            "anonymiser-login",
            "honeytoken-touched",
            "web-attack",
            "source-silent",
            "entity-risk",
        ] {
            assert!(all.contains(&id), "{id}");
        }
    }

    #[test]
    fn a_setting_that_is_none_is_refused_by_every_detector() {
        for id in ids() {
            let settings = Settings::from([(id.to_owned(), serde_json::json!({"no-such-setting": 1}))]);
            let error = build(&settings).err().unwrap_or_else(|| panic!("{id} takes whatever it is given"));
            assert!(error.to_string().contains("no-such-setting"), "{id}: {error}");
        }
    }

    #[test]
    fn every_id_builds_alone_and_what_is_switched_off_says_nothing() {
        for id in ["brute-force", "brute-force-success", "password-spray"] {
            assert!(ids().any(|one| one == id), "{id}");
            let settings = Settings::from([(id.to_owned(), serde_json::json!({"enabled": false}))]);
            let detectors = build(&settings).expect("known");
            assert!(detectors.iter().flat_map(|one| one.rules()).all(|rule| rule.id != id), "{id}");
            let detectors = build(&Settings::new()).expect("defaults");
            assert!(detectors.iter().flat_map(|one| one.rules()).any(|rule| rule.id == id), "{id}");
        }
    }
}
