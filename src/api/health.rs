//! What the pipeline says of itself to whoever asks whether it is well. Not for the answer's form (`mod.rs`).

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crmwatch_detectors::Millis;

/// A pipeline that has not completed a turn for so long is not alive.
pub const ALIVE_FOR: Millis = 30_000;

#[derive(Default)]
struct State {
    beat: AtomicI64,
    caught_up: AtomicBool,
    writable: AtomicBool,
    stopped: Mutex<Option<String>>,
}

/// Shared between the pipeline, which writes it, and those who ask. Cheap to clone.
#[derive(Clone, Default)]
pub struct Health(Arc<State>);

impl Health {
    /// Nothing is known yet: not alive, not ready.
    pub fn new() -> Health {
        Health::default()
    }

    /// The pipeline completed a turn.
    pub fn beat(&self, now: Millis) {
        self.0.beat.store(now, Ordering::Relaxed);
    }

    /// Whether recovery is done and no source has a backlog from before the start.
    pub fn set_caught_up(&self, caught_up: bool) {
        self.0.caught_up.store(caught_up, Ordering::Relaxed);
    }

    /// Whether the index takes events: its last commit succeeded and there is room.
    pub fn set_index_writable(&self, writable: bool) {
        self.0.writable.store(writable, Ordering::Relaxed);
    }

    /// Why nothing is read at the moment; nothing once it is again.
    pub fn set_stopped(&self, why: Option<String>) {
        *self.0.stopped.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// When the pipeline last completed a turn; 0 if never.
    pub fn last_beat(&self) -> Millis {
        self.0.beat.load(Ordering::Relaxed)
    }

    /// What keeps it from being alive, if anything.
    pub fn ailment(&self, now: Millis) -> Option<String> {
        match self.last_beat() {
            0 => Some("the pipeline has not started yet".to_owned()),
            // A clock that was set back must not look like a stall.
            beat if now.saturating_sub(beat) > ALIVE_FOR => {
                Some(format!("the pipeline has not completed a turn for {} s", (now - beat) / 1000))
            }
            _ => None,
        }
    }

    /// What keeps it from being ready, if anything.
    pub fn unready(&self, now: Millis) -> Option<String> {
        self.ailment(now).or_else(|| {
            if let Some(why) = &*self.0.stopped.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(format!("reading is stopped: {why}"))
            } else if !self.0.writable.load(Ordering::Relaxed) {
                Some("the index takes no events".to_owned())
            } else if !self.0.caught_up.load(Ordering::Relaxed) {
                Some("still reading what was written before the start".to_owned())
            } else {
                None
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_alive_while_turns_are_completed_and_ready_when_caught_up() {
        let health = Health::new();
        assert!(health.ailment(1_000).is_some());
        health.beat(1_000);
        assert_eq!(health.ailment(31_000), None);
        assert!(health.ailment(31_001).expect("stalled").contains("for 30 s"));
        assert!(health.unready(2_000).expect("not yet").contains("index"));
        health.set_index_writable(true);
        assert!(health.unready(2_000).expect("not yet").contains("before the start"));
        health.set_caught_up(true);
        assert_eq!(health.unready(2_000), None);
        health.set_stopped(Some("the disk is full".to_owned()));
        assert_eq!(health.unready(2_000).as_deref(), Some("reading is stopped: the disk is full"));
        assert_eq!(health.ailment(2_000), None, "waiting is not being dead");
        health.set_stopped(None);
        assert_eq!(health.unready(2_000), None);
    }
}
