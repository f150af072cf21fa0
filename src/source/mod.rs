//! Where records come from: tailed files and their positions. Not for what a record means.
