//! The event model and every detector of crmwatch. Pure: no clock, file, network, thread or randomness, so the same sequence of
//! events always gives the same findings.
//!
//! | to find | look in |
//! | --- | --- |
//! | what an event is, and its names | [`event`], [`field`] |
//! | its stored form, its JSON | [`codec`], [`json`] |
//! | what a detector is, and the list of them | [`detector`], [`registry`] |
//! | how detections become findings | [`episode`], [`finding`], [`mark`] |
//! | Sigma rules and correlations | [`sigma`] |
//! | how state is kept, saved and let go | [`keyed`], [`memory`], [`clock`] |
//! | what is usual for whom | [`habits`] |
//! | sequences: one thing and then another | [`steps`] |
//! | what the operator allows | [`allowance`] |
//! | what people said of findings | [`verdict`] |
//! | sums over time, what is normal, where an address is | [`window`], [`baseline`], [`place`] |
//! | how figures and times are written in sentences | [`wording`] |

mod aftermath;
pub mod allowance;
pub mod anonymiser_login;
pub mod api_token_created;
pub mod audit_disabled_then_activity;
pub mod baseline;
pub mod brute_force_success;
pub mod bulk_export;
pub mod clock;
pub mod codec;
mod compact;
pub mod concurrent_sessions;
pub mod credential_stuffing;
pub mod detector;
pub mod distinct;
pub mod dormant_account;
pub mod engine;
pub mod entity;
pub mod entity_risk;
pub mod episode;
pub mod event;
#[cfg(test)]
mod everything;
mod fading;
pub mod field;
pub mod finding;
pub mod first_seen_risk;
pub mod guest_enumeration;
pub mod habits;
pub mod honeytoken_touched;
pub mod impossible_travel;
pub mod integration_new_network;
pub mod json;
mod key;
pub mod keyed;
pub mod leaver_export;
pub mod login_as_then_export;
pub mod manual;
pub mod mark;
mod mass;
pub mod mass_delete;
pub mod mass_share;
pub mod mass_update;
pub mod memory;
pub mod mfa_fatigue;
pub mod mfa_removed_then_login;
pub mod names;
pub mod oauth_app_then_bulk_read;
pub mod off_hours_export;
pub mod password_spray;
pub mod person;
pub mod place;
pub mod privilege_escalation_then_export;
pub mod public_exposure;
pub mod query_reconnaissance;
pub mod record_enumeration;
pub mod record_snooping;
pub mod registry;
#[cfg(test)]
mod scenario;
pub mod seats;
pub mod session_hijack;
pub mod sigma;
mod slab;
pub mod slow_exfiltration;
pub mod source_silent;
mod standing;
pub mod steps;
pub mod success_after_attack;
pub mod usual;
pub mod verdict;
pub mod watch;
pub mod web_attack;
pub mod window;
pub mod wording;

pub use detector::{Context, Detector, Rule, StateChange};
pub use engine::Engine;
pub use event::{Event, EventId, Millis, Origin, UnknownName, Value};
pub use field::{Field, Kind};
pub use finding::{Detection, Finding, Identities, Reference, Sentence, Severity};
pub use person::{Person, Status};
pub use verdict::Verdict;
