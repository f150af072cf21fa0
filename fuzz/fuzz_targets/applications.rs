//! See `crmwatch_fuzz::applications`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| crmwatch_fuzz::applications(bytes));
