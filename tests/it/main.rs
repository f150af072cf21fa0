//! The one integration binary; each file is a theme.

mod golden;
mod house;
mod observability;
mod repository;
mod shipped_config;
