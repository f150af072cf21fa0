//! The one integration binary; each file is a theme.

mod configuration;
mod crash;
mod recover;
