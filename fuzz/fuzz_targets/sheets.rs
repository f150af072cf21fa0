//! See `crmwatch_fuzz::sheets`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| crmwatch_fuzz::sheets(bytes));
