//! See `plane::split_any`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holloway_fuzz::plane::split_any(bytes));
