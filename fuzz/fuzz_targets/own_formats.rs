//! See `crmwatch_fuzz::own_formats`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| crmwatch_fuzz::own_formats(bytes));
