//! See `crmwatch_fuzz::vendors`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| crmwatch_fuzz::vendors(bytes));
