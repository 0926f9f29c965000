//! See `packet::split_any`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holloway_fuzz::packet::split_any(bytes));
