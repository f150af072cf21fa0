//! HTTP: metrics, health. Not for what they mean.

mod health;

pub use health::{ALIVE_FOR, Health};
