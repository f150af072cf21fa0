//! For tests: that a grammar's time grows with the length of a line and not with its square. Not for measuring speed.

use std::time::{Duration, Instant};

/// Runs with 200 kB and 2 MB of repeated text. A busy machine may spoil a round, a quadratic grammar (100 times for 10 times the text)
/// spoils every one.
pub fn grows_with_length(unit: &str, read: impl Fn(&str)) {
    let time = |length: usize| {
        let text = unit.repeat(length / unit.len());
        let started = Instant::now();
        read(&text);
        started.elapsed()
    };
    let mut rounds = Vec::new();
    while rounds.len() < 5 {
        let (small, large) = (time(200_000), time(2_000_000));
        if large < small * 40 + Duration::from_millis(50) {
            return;
        }
        rounds.push((small, large));
    }
    panic!("{unit:?}: {rounds:?}");
}
