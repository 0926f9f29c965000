//! See `texts::request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holloway_fuzz::texts::request(bytes));
