//! See `crmwatch_fuzz::syslog`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| crmwatch_fuzz::syslog(bytes));
