//! The one integration binary; each file is a theme.

mod checkpoint;
mod command_line;
mod corpus;
mod crash;
mod deep;
mod demo;
mod explain;
mod faults;
mod fixtures;
mod formats;
mod golden;
mod house;
mod observability;
mod program;
mod push;
mod recover;
mod reload;
mod replay;
mod repository;
mod running;
mod shipped_config;
mod shutdown;
mod silence;
mod syslog;
mod transports;
mod traps;
