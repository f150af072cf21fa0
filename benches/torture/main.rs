//! Torture, as long as you like: `cargo bench --bench torture -- --minutes 15 --kills 500 --lines 10000000 --seed 1`.
//!
//! What is done and demanded stands in `rig`. The record is printed; a run that shows a fault ends with 1, and names its seed and the
//! folder with logs, state and the daemon's own log, which is left as it is. CRMWATCH_BENCH_BINARY names another binary to torture,
//! CRMWATCH_BENCH_DIR the folder to work in. `--no-scan` leaves out the comparison with `scan`.

#![allow(clippy::print_stdout, reason = "the record is the output")]

mod rig;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use rig::Plan;

// As in the binary, beside which this runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // `cargo bench` adds --bench.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |name: &str, otherwise: f64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(otherwise)
    };
    let folder = tempfile::Builder::new()
        .prefix("crmwatch-torture-")
        .tempdir_in(std::env::var_os("CRMWATCH_BENCH_DIR").unwrap_or_else(|| "/var/tmp".into()))
        .expect("a folder to work in can be made")
        .keep();
    let plan = Plan {
        lines: number("--lines", 200_000.0) as u64,
        kills: number("--kills", 30.0) as u32,
        time: Duration::from_secs_f64(number("--minutes", 1.0) * 60.0),
        seed: number("--seed", 1.0) as u64,
        folder: folder.clone(),
        binary: std::env::var_os("CRMWATCH_BENCH_BINARY")
            .map_or_else(|| env!("CARGO_BIN_EXE_crmwatch").into(), PathBuf::from),
        copy_unread: arguments.iter().any(|argument| argument == "--copy-unread"),
        scan: !arguments.iter().any(|argument| argument == "--no-scan"),
        progress: |text| println!("{text}"),
    };
    println!("{} lines, {} kills, seed {}, in {}", plan.lines, plan.kills, plan.seed, folder.display());
    match rig::run(&plan) {
        Ok(account) => {
            print!("{}", account.table());
            if account.flawless() {
                let _ = std::fs::remove_dir_all(&folder);
                return ExitCode::SUCCESS;
            }
        }
        Err(error) => println!("FAULT {error}"),
    }
    println!("seed {}; everything is left in {}", plan.seed, folder.display());
    ExitCode::FAILURE
}
