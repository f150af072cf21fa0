//! HTTP: metrics, health. Not for what they mean.
