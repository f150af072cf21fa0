//! See `crmwatch_fuzz::positions`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| crmwatch_fuzz::positions(bytes));
