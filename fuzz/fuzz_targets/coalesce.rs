//! See `packet::coalesce`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holloway_fuzz::packet::coalesce(bytes));
