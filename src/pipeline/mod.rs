//! The wiring of the stages; alone spawns long-lived threads and owns the channels.
