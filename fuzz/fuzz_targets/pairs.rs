//! See `crmwatch_fuzz::pairs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| crmwatch_fuzz::pairs(bytes));
