//! What the way from the disk to the event costs, against its promises: `cargo bench --bench tail -- [speed] [memory] [idle] [wake] [start]`;
//! without a word, all of them.
//!
//! speed: lines a second of reading and splitting, and with parsing, beside yardsticks over the same bytes in the same run (on a machine
//! that does other things, only the ratio counts; the processor's time is told, too). memory: anonymous memory of reading a line of a
//! gigabyte, ten thousand files, a backlog, each in a process of its own. idle: the processor's time for ten thousand quiet files. wake:
//! from a line written to the line read, with the kernel's wake-ups and without. start: to the first new line, with 400 partitions and
//! ten thousand files. CRMWATCH_BENCH_DIR names the folder to work in.

#![allow(clippy::print_stdout, reason = "the figures are the output")]

mod daemon;
mod memory;
mod speed;

use std::error::Error;
use std::path::{Path, PathBuf};

// As in the binary, whose figures these are to be.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    // `cargo bench` adds --bench.
    let words: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [memory::CHILD, folder] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return memory::child(Path::new(folder));
    }
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| word == name);
    println!("load {}", load());
    type Measure = fn(&Path) -> Outcome;
    let measures: [(&str, Measure); 5] = [
        ("speed", speed::measure),
        ("memory", memory::measure),
        ("idle", daemon::idle),
        ("wake", daemon::wake),
        ("start", daemon::start),
    ];
    for (name, measure) in measures {
        if wanted(name) {
            let folder = tempfile::tempdir_in(folder())?;
            measure(folder.path())?;
        }
    }
    println!("load {}", load());
    Ok(())
}

fn folder() -> PathBuf {
    std::env::var_os("CRMWATCH_BENCH_DIR").map_or_else(|| "/var/tmp".into(), PathBuf::from)
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or_default().to_owned()
}
