//! That a line ten times as long costs ten times as much, whatever is in it. Not for how fast that is (`speed`).

use crmwatch::parse::{self, Options};

use super::lines::{HEADED, of_format};
use super::long_lines::LONG;
use super::on_processor;

const SHORT: usize = 1_000_000;
const LONGER: usize = 10 * SHORT;
const ROUNDS: usize = 3;

/// Prints what a line of 10 MB costs beside one of 1 MB.
pub fn measure(names: &[&str]) {
    println!("length: ms of the processor for a line of 1 MB and of 10 MB; a ratio of 10 is in proportion");
    println!("{:<18} {:>8} {:>8} {:>6}  repeated", "", "1 MB", "10 MB", "ratio");
    let mut worst = 0.0f64;
    for (format, begin, unit) in LONG {
        if !names.is_empty() && !names.contains(format) {
            continue;
        }
        let (short, long) = (cost(format, begin, unit, SHORT), cost(format, begin, unit, LONGER));
        // Below a tenth of a millisecond there is no line to speak of: it was refused at its head.
        let ratio = long / short.max(0.1);
        worst = worst.max(ratio);
        println!("{format:<18} {short:>8.2} {long:>8.2} {ratio:>6.1}  {unit:?}");
    }
    println!("worst ratio {worst:.1}");
}

fn cost(format: &str, begin: &str, unit: &str, length: usize) -> f64 {
    let record = format!("{begin}{}", unit.repeat(length / unit.len()));
    let headed = HEADED.contains(&format).then(|| of_format(format));
    let heading = headed.as_ref().and_then(|text| text.lines().next());
    let round = || {
        let mut grammar = parse::grammar(format, &Options::default()).expect("a format of the list");
        if let Some(heading) = heading {
            grammar.parse(heading, &mut Vec::new());
        }
        let before = on_processor();
        grammar.framing(record.as_bytes());
        let mut events = Vec::new();
        grammar.parse(&record, &mut events);
        drop(events);
        (on_processor() - before) as f64 / 1e6
    };
    (0..ROUNDS).map(|_| round()).fold(f64::MAX, f64::min)
}
