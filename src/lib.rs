//! crmwatch watches the access and audit logs of a CRM while they are written, finds misuse, and explains it.
//!
//! The way of the data, one way only:
//!
//! ```text
//! source ──► parse ──► enrich ──► detect ──► redact ──► store      (search, API)
//!   │                               └──► finding ──► incident ──► alert
//!   └── journal of batches (ledger)
//! ```
//!
//! | to find | look in |
//! | --- | --- |
//! | the words a person types | [`cli`] |
//! | what can be configured | [`config`] |
//! | how files are followed | [`source`] |
//! | log formats | [`parse`] |
//! | places, agents, people | [`enrich`] |
//! | how the stages are wired, recovery | [`pipeline`] |
//! | the index of events | [`store`], [`query`] |
//! | the database of everything else | [`ledger`] |
//! | incidents and mail | [`alert`] |
//! | metrics and HTTP | [`metrics`], [`api`] |
//! | log text made harmless for display | [`text`] |
//! | the simulated company | [`demo`] |

pub mod alert;
pub mod api;
pub mod cli;
pub mod config;
pub mod demo;
pub mod enrich;
pub mod ledger;
pub mod metrics;
pub mod parse;
pub mod pipeline;
pub mod query;
pub mod source;
pub mod store;
pub mod text;
