//! The one integration binary; each file is a theme.

mod command_line;
mod corpus;
mod fixtures;
mod program;
