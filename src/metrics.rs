//! Every Prometheus metric, in one place, with its help text.
