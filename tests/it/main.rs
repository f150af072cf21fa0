//! The one integration binary; each file is a theme.

mod crash;
mod golden;
mod house;
mod observability;
mod recover;
mod repository;
mod shipped_config;
