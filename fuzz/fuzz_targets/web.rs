//! See `crmwatch_fuzz::web`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| crmwatch_fuzz::web(bytes));
