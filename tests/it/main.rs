//! The one integration binary; each file is a theme.

mod command_line;
mod corpus;
mod crash;
mod demo;
mod fixtures;
mod golden;
mod house;
mod observability;
mod program;
mod recover;
mod repository;
mod shipped_config;
mod syslog;
