//! What reading a line costs, from its text to the finished event, for every format: `cargo bench --bench parse -- [speed] [length] [NAME...]`;
//! without a word, everything.
//!
//! speed: lines and bytes a second of one core, beside yardsticks over the same lines in the same run (on a machine that does other
//! things, only the ratios count), what `auto` and the URL tables cost more, and how often memory is asked for. length: what ten times
//! as long a line costs. NAME: only formats whose row is called so.
//!
//! A row is measured in rounds of 5,000 lines, the ways of reading in turn, and the best round of each counts: what disturbs a round
//! only makes it slower. Time is the processor's. Events are kept in batches of 5,000, as the reader does, and freed within the round.

#![allow(clippy::print_stdout, reason = "the figures are the output")]

mod length;
mod lines;
#[path = "../../src/parse/long_lines.rs"]
mod long_lines;
mod speed;

/// As in the binary, whose figures these are to be; the counting costs a nanosecond or two.
#[global_allocator]
static ALLOCATOR: alloc_counter::AllocCounter<mimalloc::MiMalloc> = alloc_counter::AllocCounter(mimalloc::MiMalloc);

fn main() {
    // `cargo bench` adds --bench.
    let words: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (parts, names): (Vec<&str>, Vec<&str>) =
        words.iter().map(String::as_str).partition(|word| matches!(*word, "speed" | "length"));
    println!("load {}", load());
    if parts.is_empty() || parts.contains(&"speed") {
        speed::measure(&names);
    }
    if parts.is_empty() || parts.contains(&"length") {
        length::measure(&names);
    }
    println!("load {}", load());
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or_default().to_owned()
}

/// Time of the processor spent in this thread, in nanoseconds.
fn on_processor() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
