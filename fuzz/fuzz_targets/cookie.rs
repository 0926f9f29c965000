//! See `plane::cookie`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holloway_fuzz::plane::cookie(bytes));
