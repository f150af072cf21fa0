//! What time it is by the events themselves, so that what can no longer matter is let go: the middle of the times of every five hundred. A forged
//! stamp, or two hundred, moves it nowhere. Not the watermark, which one stamp moves, nor any clock on a wall.

use crate::event::Millis;

/// Events whose middle is taken.
const BLOCK: usize = 512;

/// The time by the events, and how late the latest source may be.
#[derive(Debug, Clone)]
pub struct Clock {
    block: Vec<Millis>,
    time: Millis,
    lateness: Millis,
}

impl Default for Clock {
    fn default() -> Self {
        Clock { block: Vec::with_capacity(BLOCK), time: Millis::MIN, lateness: 0 }
    }
}

/// What time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// By most of the latest events.
    pub time: Millis,
    /// How late an event may still come, by the latest source seen.
    pub lateness: Millis,
}

impl Clock {
    /// Hears an event's time; once in five hundred events, what time it is.
    pub fn hear(&mut self, time: Millis, lateness: Millis) -> Option<Now> {
        self.lateness = self.lateness.max(lateness);
        self.block.push(time);
        if self.block.len() < BLOCK {
            return None;
        }
        let (_, middle, _) = self.block.select_nth_unstable(BLOCK / 2);
        self.time = self.time.max(*middle);
        self.block.clear();
        Some(Now { time: self.time, lateness: self.lateness })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_most_of_the_events_and_never_back() {
        let mut clock = Clock::default();
        let mut told = Vec::new();
        for nth in 0..4 * BLOCK as Millis {
            // Every third stamp is forged, a day ahead; and a source that is read late goes on for a while.
            let time = if nth % 3 == 0 { nth + 86_400_000 } else { nth };
            let time = if nth / BLOCK as Millis == 2 { -1_000 } else { time };
            told.extend(clock.hear(time, nth % 7));
        }
        assert_eq!(told.len(), 4);
        assert!(told.windows(2).all(|pair| pair[0].time <= pair[1].time));
        assert!(told.iter().all(|now| now.time < 4 * BLOCK as Millis && now.lateness == 6), "{told:?}");
        assert_eq!(told[1].time, told[2].time);
        assert!(told[3].time > told[2].time);
    }
}
