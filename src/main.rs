//! Arguments in, exit code out; nothing else.

use std::process::ExitCode;

// The indexing threads free what other threads made; glibc's allocator would keep it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    crmwatch::cli::main().into()
}
