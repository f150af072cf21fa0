//! See `crmwatch_fuzz::framing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(crmwatch_fuzz::framing(bytes)));
