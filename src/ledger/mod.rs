//! SQLite: batch journal, findings, incidents, outbox, detector state. Not for events.
