//! The words a person types: one file per subcommand.

pub mod alerts;
