//! See `packet::ip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holloway_fuzz::packet::ip(bytes));
