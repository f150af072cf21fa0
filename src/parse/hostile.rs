//! For tests: that a grammar's time grows with the length of a line and not with its square. Not for measuring speed.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::long_lines::LONG;

/// The processor's time that this thread took: that others want the processor, too, is not counted.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().expect("not before it began"),
        time.tv_nsec.try_into().expect("below a second"),
    )
}

/// Runs with 200 kB and 2 MB of repeated text. A busy machine may spoil a round, a quadratic grammar (100 times for 10 times the text)
/// spoils every one.
pub fn grows_with_length(unit: &str, read: impl Fn(&str)) {
    let time = |length: usize| {
        let text = unit.repeat(length / unit.len());
        let started = spent();
        read(&text);
        spent() - started
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

#[test]
fn no_format_takes_a_hundred_times_as_long_for_ten_times_the_text() {
    for (format, begin, unit) in LONG {
        grows_with_length(unit, |text| {
            let mut grammar = super::grammar(format, &super::Options::default()).expect("a format of the list");
            let record = format!("{begin}{text}");
            grammar.framing(record.as_bytes());
            grammar.parse(&record, &mut Vec::new());
        });
    }
}

#[test]
fn every_format_is_tried_with_long_lines() {
    // Access lines and the records of two vendors have tests of their own (`clf_tests`, `salesforce_tests`, `m365::tests`).
    let elsewhere = ["nginx", "apache", "salesforce-elf", "m365-audit"];
    for format in super::FORMATS {
        let here = LONG.iter().any(|(name, ..)| *name == format.name);
        assert!(here || elsewhere.contains(&format.name), "{}", format.name);
    }
}
