//! The one integration binary; each file is a theme.

mod crash;
mod demo;
