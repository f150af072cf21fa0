//! By which time old events are let go. A clock that jumps ahead, by a wrong time server or a dead battery, must not make everything too
//! old at once. Not for anything else that asks what time it is.

use std::time::{Duration, Instant};

use crmwatch_detectors::Millis;

/// A jump further than this is doubted.
const JUMP: Millis = 86_400_000;
/// And believed once the clock has gone on from there for so long.
const BELIEVED_AFTER: Duration = Duration::from_secs(86_400);

/// The time that was believed last, and since when the clock says something far from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trust {
    known: Option<Millis>,
    doubted: Option<Instant>,
}

impl Trust {
    /// Goes on from what was believed before the start.
    pub(super) fn new(known: Option<Millis>) -> Trust {
        Trust { known, doubted: None }
    }

    /// The time to reckon with: the clock's, or while it is too far ahead, the one known before.
    pub(super) fn believe(&mut self, clock: Millis, at: Instant) -> Millis {
        let known = *self.known.get_or_insert(clock);
        if clock.abs_diff(known) <= JUMP.unsigned_abs() {
            self.doubted = None;
            self.known = Some(known.max(clock));
            return clock;
        }
        let since = *self.doubted.get_or_insert(at);
        if at.saturating_duration_since(since) >= BELIEVED_AFTER {
            *self = Trust::new(Some(clock));
            return clock;
        }
        // A clock far behind keeps more, which does no harm.
        clock.min(known)
    }

    /// What is to be remembered over a restart.
    pub(super) fn known(&self) -> Option<Millis> {
        self.known
    }

    /// Whether the clock is doubted at the moment.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubted.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_800_000_000_000;
    const YEAR: Millis = 365 * JUMP;
    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_clock_that_jumps_a_year_ahead_for_an_hour_makes_nothing_old() {
        let start = Instant::now();
        let mut trust = Trust::new(Some(NOW));
        assert_eq!(trust.believe(NOW + YEAR, start), NOW);
        assert_eq!(trust.believe(NOW + YEAR + 3_600_000, start + HOUR), NOW);
        assert!(trust.is_doubted());
        assert_eq!(trust.believe(NOW + 7_200_000, start + 2 * HOUR), NOW + 7_200_000);
        assert!(!trust.is_doubted());
        assert_eq!(trust.known(), Some(NOW + 7_200_000));
    }

    #[test]
    fn after_months_of_standing_still_old_events_go_once_the_clock_has_held_for_a_day() {
        let start = Instant::now();
        let mut trust = Trust::new(Some(NOW));
        let mut last = 0;
        for hour in 0..=24u32 {
            last = trust.believe(NOW + YEAR + Millis::from(hour) * 3_600_000, start + hour * HOUR);
            assert_eq!(last > NOW, hour == 24, "hour {hour}");
        }
        assert_eq!(trust.known(), Some(last));
    }

    #[test]
    fn a_clock_set_back_keeps_more_and_what_was_known_stays_known() {
        let start = Instant::now();
        let mut trust = Trust::new(Some(NOW));
        assert_eq!(trust.believe(0, start), 0);
        assert_eq!(trust.known(), Some(NOW));
        assert_eq!(trust.believe(NOW + 1, start + HOUR), NOW + 1, "and forward again: no jump");
        assert!(!trust.is_doubted());
    }

    #[test]
    fn the_first_time_ever_is_believed() {
        assert_eq!(Trust::new(None).believe(NOW, Instant::now()), NOW);
    }
}
