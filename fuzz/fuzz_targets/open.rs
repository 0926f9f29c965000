//! See `plane::open`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holloway_fuzz::plane::open(bytes));
