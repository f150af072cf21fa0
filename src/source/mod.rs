//! Where records come from: tailed files and their positions. Not for what a record means.

mod position;

pub use position::Position;
